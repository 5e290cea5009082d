"""A whole virtual bench: simulated cells wired to virtual instruments, each on a TCP port of its own.

Two positions for cells, as a small laboratory would have them:
- `A1`: a µm-Si ‖ Li coin cell on a Keithley 2450, with a Solartron 1260 and 1287 for its spectra;
- `B1`: a Si ‖ LFP coin cell on a NEWARE CT-4008T.
Both have a pressure sensor inside, read by one DAQ6510, and stand in one climate chamber. Beside it is a press, in
which a copy of either sensor lies on a Modbus load cell, read by a Keysight 34465A: turned by hand, or by its drive.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from drivers.simulated.cell import CellParameters, Format, SimulatedCell, silicon_half_cell, silicon_lfp_cell
from drivers.simulated.clock import Clock
from drivers.simulated.keithley2450 import VirtualKeithley2450
from drivers.simulated.keithley_daq6510 import VirtualKeithleyDaq6510
from drivers.simulated.keysight3446x import VirtualKeysight3446x
from drivers.simulated.modbus_load_cell import LoadCellMap, VirtualModbusLoadCell
from drivers.simulated.neware_bts import VirtualNeware
from drivers.simulated.press import VirtualPress, VirtualPressDrive
from drivers.simulated.server import VirtualInstrument
from drivers.simulated.simserv import VirtualSimServ
from drivers.simulated.solartron import VirtualSolartron

LOAD_CELL_FACTOR = 1.0006  # of the true force, within what its certificate states
LOAD_CELL_OFFSET_N = 0.35  # the weight of the lower plate
LOAD_CELL_NOISE_N = 0.01


@dataclass(frozen=True)
class Connection:
    """How a station reaches one virtual instrument: driver, address and settings."""

    driver: str
    address: str
    settings: dict[str, str | float | int | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Position:
    """A cell's position, with the names of the instruments at it."""

    cell: SimulatedCell
    parameters: CellParameters
    sensor_channel: int
    source: str | None = None
    impedance: str | None = None
    cycler: tuple[str, str] | None = None  # instrument, channel


class VirtualBench:
    """Starts every server on entering and stops them on leaving."""

    NEWARE_CHANNEL = "27-1-1-1"

    def __init__(self, clock: Clock, folder: Path, seed: int = 1) -> None:
        self.clock = clock
        self.folder = folder
        self.step_files = folder / "step-files"
        half, full = silicon_half_cell(), silicon_lfp_cell(Format.COIN)
        self.positions = {
            "A1": Position(_assembled(half, clock, seed), half, 101, source="smu", impedance="eis"),
            "B1": Position(_assembled(full, clock, seed + 1), full, 102, cycler=("neware", self.NEWARE_CHANNEL)),
        }
        sensors = {f"mfsr-{name}": position.parameters.sensor for name, position in self.positions.items()}
        self.press = VirtualPress(
            sensors,
            clock,
            seed + 2,
            gauge_factor=LOAD_CELL_FACTOR,
            gauge_offset_N=LOAD_CELL_OFFSET_N,
            gauge_noise_N=LOAD_CELL_NOISE_N,
        )
        a1, b1 = self.positions["A1"].cell, self.positions["B1"].cell
        self.servers: dict[str, VirtualInstrument] = {
            "smu": VirtualKeithley2450(a1, clock=clock),
            "eis": VirtualSolartron(a1, clock),
            "neware": VirtualNeware({self.NEWARE_CHANNEL: b1}, clock),
            "scanner": VirtualKeithleyDaq6510({101: a1, 102: b1}, clock=clock),
            "chamber": VirtualSimServ(clock, (a1.set_temperature_degC, b1.set_temperature_degC)),
            "press-meter": VirtualKeysight3446x(self.press.read_ohm, clock=clock),
            "press-force": VirtualModbusLoadCell(
                self.press.indicated_N, LoadCellMap(value=0, dtype="float32", status=None, command=None)
            ),
            "press-drive": VirtualPressDrive(self.press, clock),
        }
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.step_files.mkdir(parents=True, exist_ok=True)
        for server in self.servers.values():
            self._stack.enter_context(server)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def connections(self) -> dict[str, Connection]:
        """How to reach each instrument, once the bench is started."""
        address = {name: server.address for name, server in self.servers.items()}
        scaled = self.clock.speed != 1.0
        return {
            "smu": Connection("keithley-2450", address["smu"]),
            # A scaled bench answers after scaled times: the driver waits by the same clock.
            "eis": Connection(
                "solartron-1260-1287",
                address["eis"],
                {"speed": self.clock.speed, "write_wait_s": 0.0} if scaled else {},
            ),
            "neware": Connection("neware-bts", address["neware"], {"step_file_folder": str(self.step_files)}),
            "scanner": Connection("keithley-daq6510", address["scanner"]),
            "chamber": Connection(
                "simserv",
                address["chamber"],
                {"temperature_min_degC": -20.0, "temperature_max_degC": 60.0, "start_wait_s": 1.0 / self.clock.speed},
            ),
            "press-meter": Connection("keysight-3446x", address["press-meter"]),
            "press-force": Connection(
                "modbus-load-cell", address["press-force"], {"register": 0, "dtype": "float32", "capacity_N": 500.0}
            ),
            "press-drive": Connection("virtual-press", address["press-drive"]),
        }


def _assembled(parameters: CellParameters, clock: Clock, seed: int) -> SimulatedCell:
    """A cell in which the sensor came to lie as it came to lie."""
    insertion = Random(f"assembly {seed}").lognormvariate(0.0, parameters.sensor.insertion)
    return SimulatedCell(parameters, clock, seed, insertion=insertion)
