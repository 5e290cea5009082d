"""A station's folder for a virtual bench: configuration, cells and the sensors' calibrations."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

from calibration.registry import Registry
from drivers.simulated.bench import Connection, Position, VirtualBench
from station.bench_calibration import simulated_calibration

CELL_NAMES = {"A1": "si-half-cell-1", "B1": "si-lfp-coin-1"}
CHEMISTRIES = {"A1": "Si | Li", "B1": "Si | LFP"}
LIMITS_V = {"A1": (-0.1, 2.5), "B1": (-0.1, 4.2)}


def write_station(bench: VirtualBench, folder: Path, *, epoch: float, port: int = 8765) -> Path:
    """Write `station.toml` and what belongs to it; returns its path."""
    for name in ("cells", "protocols", "calibrations"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    registry = Registry(folder / "calibrations")
    today = datetime.datetime.now(datetime.UTC).date()
    for name, position in bench.positions.items():
        (folder / "cells" / f"{CELL_NAMES[name]}.yaml").write_text(_cell(name, position), encoding="utf-8")
        if not registry.versions(sensor := f"mfsr-{name}"):
            registry.add(simulated_calibration(sensor, position.parameters.sensor, today))
    path = folder / "station.toml"
    path.write_text(_toml(bench, epoch, port), encoding="utf-8")
    return path


def _toml(bench: VirtualBench, epoch: float, port: int) -> str:
    lines = [
        "# A virtual bench: every instrument is simulated, on the scaled clock below.",
        "[station]",
        'name = "Virtual bench"',
        f"port = {port}",
        "[simulation]",
        f"speed = {bench.clock.speed!r}",
        f"epoch = {epoch!r}",
    ]
    for name, connection in bench.connections().items():
        lines += _instrument(name, connection)
    for name, position in bench.positions.items():
        lines += _channel(name, position)
    return "\n".join(lines) + "\n"


def _instrument(name: str, connection: Connection) -> list[str]:
    lines = [
        f"[instruments.{name}]",
        f"driver = {json.dumps(connection.driver)}",
        f"address = {json.dumps(connection.address)}",
    ]
    if connection.settings:
        lines.append(f"[instruments.{name}.settings]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in connection.settings.items()]
    return lines


def _channel(name: str, position: Position) -> list[str]:
    low, high = LIMITS_V[name]
    lines = [f"[channels.{name}]"]
    if position.source:
        lines.append(f'source = "{position.source}"')
    if position.cycler:
        lines.append(f'cycler = {{ instrument = "{position.cycler[0]}", channel = "{position.cycler[1]}" }}')
    if position.impedance:
        lines.append(f'impedance = "{position.impedance}"')
    lines += [
        'chamber = "chamber"',
        f'sensor = {{ meter = "scanner", channel = {position.sensor_channel}, name = "mfsr-{name}" }}',
        f'limits = {{ voltage = ["{low} V", "{high} V"], current = "20 mA", pressure = {{ above = "2 MPa" }} }}',
    ]
    return lines


def _cell(name: str, position: Position) -> str:
    p = position.parameters
    low, high = LIMITS_V[name]
    return (
        f"cell: {CELL_NAMES[name]}\n"
        f"chemistry: {CHEMISTRIES[name]}\n"
        f"format: {p.format.value}\n"
        "description: simulated cell of the virtual bench\n"
        f"active_mass: {p.active_mass_g * 1e3:.6g} mg\n"
        f"electrode_area: {p.electrode_area_cm2:.6g} cm^2\n"
        f"nominal_capacity: {p.nominal_capacity_Ah * 1e3:.6g} mAh\n"
        f"limits: {{voltage: [{low} V, {high} V], current: 20 mA}}\n"
    )
