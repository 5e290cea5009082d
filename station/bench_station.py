"""A station's folder for a virtual bench: configuration, cells, calibrations, and a load cell's certificate."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calibration.registry import Registry
from drivers.simulated.positions import Bench, Connection, Position
from station.bench_calibration import simulated_calibration

FASTEST_POLL_S = 0.2  # of the wall's clock, where many channels are read at once
MANY = 8


def write_station(bench: Bench, folder: Path, *, epoch: float, port: int = 8765) -> Path:
    """Write `station.toml` and what belongs to it; returns its path."""
    for name in ("cells", "protocols", "calibrations"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    registry = Registry(folder / "calibrations")
    today = datetime.datetime.now(datetime.UTC).date()
    for name, position in bench.positions.items():
        (folder / "cells" / f"{position.cell_name}.yaml").write_text(_cell(bench, position), encoding="utf-8")
        if not registry.versions(sensor := f"mfsr-{name}"):
            registry.add(simulated_calibration(sensor, position.parameters.sensor, today, bench.sensor_batch))
    for name, text in bench.protocols.items():
        (folder / "protocols" / f"{name}.yaml").write_text(text, encoding="utf-8")
    references = folder / "calibrations" / "references"
    references.mkdir(exist_ok=True)
    (references / "press-force.toml").write_text(_certificate(today), encoding="utf-8")
    path = folder / "station.toml"
    path.write_text(_toml(bench, epoch, port), encoding="utf-8")
    return path


def _toml(bench: Bench, epoch: float, port: int) -> str:
    lines = [
        f"# A {bench.title.lower()}: every instrument is simulated, on the scaled clock below.",
        "[station]",
        f'name = "{bench.title}"',
        f"port = {port}",
    ]
    if len(bench.positions) > MANY and bench.clock.speed * FASTEST_POLL_S > 1.0:
        lines.append(f'poll = "{bench.clock.speed * FASTEST_POLL_S:g} s"')
    lines += ["[simulation]", f"speed = {bench.clock.speed!r}", f"epoch = {epoch!r}"]
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
        lines += [f"{key} = {_value(value)}" for key, value in connection.settings.items()]
    return lines


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


def _channel(name: str, position: Position) -> list[str]:
    low, high = position.sample.voltage_V
    lines = [f"[channels.{name}]"]
    if position.source:
        lines.append(f'source = "{position.source}"')
    if position.cycler:
        lines.append(f'cycler = {{ instrument = "{position.cycler[0]}", channel = "{position.cycler[1]}" }}')
    if position.exports:
        folder = json.dumps(position.exports.as_posix())
        patience = 'settle = "2 s", every = "1 s"'
        lines.append(f'exports = {{ folder = {folder}, cell = "{position.cell_name}", {patience} }}')
    if position.impedance:
        lines.append(f'impedance = "{position.impedance}"')
    if position.switch:
        switch, *routes = position.switch
        lines.append(
            f'switch = {{ instrument = "{switch}", source_route = "{routes[0]}", impedance_route = "{routes[1]}" }}'
        )
    if position.chamber:
        lines.append(f'chamber = "{position.chamber}"')
    pressure = f'pressure = {{ above = "{position.sample.pressure_max_Pa / 1e6:g} MPa" }}'
    lines += [
        f'sensor = {{ meter = "{position.meter}", channel = {position.sensor_channel}, name = "mfsr-{name}" }}',
        f'limits = {{ voltage = ["{low} V", "{high} V"], current = "{_current(position)}", {pressure} }}',
    ]
    return lines


def _current(position: Position) -> str:
    amperes = position.sample.current_max_A
    return f"{amperes:g} A" if amperes >= 1.0 else f"{amperes * 1e3:g} mA"


def _cell(bench: Bench, position: Position) -> str:
    p = position.parameters
    low, high = position.sample.voltage_V
    series = f"cells_in_series: {p.cells_in_series}\n" if p.cells_in_series > 1 else ""
    return (
        f"cell: {position.cell_name}\n"
        f"chemistry: {position.sample.chemistry}\n"
        f"format: {p.format.value}\n"
        f"description: simulated cell of the {bench.title.lower()}\n"
        f"active_mass: {p.active_mass_g * 1e3:.6g} mg\n"
        f"electrode_area: {p.electrode_area_cm2:.6g} cm^2\n"
        f"nominal_capacity: {p.nominal_capacity_Ah * 1e3:.6g} mAh\n"
        f"{series}"
        f"limits: {{voltage: [{low} V, {high} V], current: {_current(position)}}}\n"
    )


def _certificate(today: datetime.date) -> str:
    """Of the virtual load cell, whose error lies within what is stated here."""
    return (
        "# SIMULATED: the certificate of the virtual bench's load cell, of no real one.\n"
        'name = "virtual load cell"\n'
        'serial = "SIMULATED"\n'
        'certificate = "none: simulated"\n'
        f"calibrated = {today}\n"
        f"expires = {today + datetime.timedelta(days=3650)}\n"
        'unit = "N"\n'
        'resolution = "0.01 N"\n'
        "[polynomial]\n"
        "coefficients = [0.0, 1.0]\n"
        "range = [0.0, 500.0]\n"
        'force_unit = "N"\n'
        'expanded_uncertainty = "0.2 %"\n'
    )
