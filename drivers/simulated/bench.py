"""A whole virtual bench: simulated cells wired to virtual instruments, each on a TCP port of its own.

Two positions for cells, as a small laboratory would have them:
- `A1`: a µm-Si ‖ Li coin cell on a Keithley 2450, with a Solartron 1260 and 1287 for its spectra;
- `B1`: a Si ‖ LFP coin cell on a NEWARE CT-4008T.
Both have a pressure sensor inside, read by one DAQ6510, and stand in one climate chamber. Beside it is a press, in
which a copy of either sensor lies on a Modbus load cell, read by a Keysight 34465A: turned by hand, or by its drive.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drivers.simulated.cell import Format, silicon_half_cell, silicon_lfp_cell
from drivers.simulated.clock import Clock
from drivers.simulated.keithley2450 import VirtualKeithley2450
from drivers.simulated.keithley_daq6510 import VirtualKeithleyDaq6510
from drivers.simulated.keysight3446x import VirtualKeysight3446x
from drivers.simulated.modbus_load_cell import LoadCellMap, VirtualModbusLoadCell
from drivers.simulated.neware_bts import VirtualNeware
from drivers.simulated.positions import Bench, Position, Sample, assembled
from drivers.simulated.press import VirtualPress, VirtualPressDrive
from drivers.simulated.simserv import VirtualSimServ
from drivers.simulated.solartron import VirtualSolartron

LOAD_CELL_FACTOR = 1.0006  # of the true force, within what its certificate states
LOAD_CELL_OFFSET_N = 0.35  # the weight of the lower plate
LOAD_CELL_NOISE_N = 0.01
CHAMBER_degC = {"temperature_min_degC": -20.0, "temperature_max_degC": 60.0}


class VirtualBench(Bench):
    """The bench of the demonstration."""

    NEWARE_CHANNEL = "27-1-1-1"

    def __init__(self, clock: Clock, folder: Path, seed: int = 1) -> None:
        super().__init__(clock, folder)
        step_files = folder / "step-files"
        step_files.mkdir(parents=True, exist_ok=True)
        half = Sample(silicon_half_cell(), "Si | Li", "si-half-cell", (-0.1, 2.5))
        full = Sample(silicon_lfp_cell(Format.COIN), "Si | LFP", "si-lfp-coin", (-0.1, 4.2))
        a1, b1 = assembled(half.parameters, clock, seed), assembled(full.parameters, clock, seed + 1)
        place: dict[str, Any] = {"meter": "scanner", "chamber": "chamber"}
        self.positions = {
            "A1": Position(a1, half, "si-half-cell-1", sensor_channel=101, source="smu", impedance="eis", **place),
            "B1": Position(
                b1, full, "si-lfp-coin-1", sensor_channel=102, cycler=("neware", self.NEWARE_CHANNEL), **place
            ),
        }
        self.add("smu", "keithley-2450", VirtualKeithley2450(a1, clock=clock))
        self.add("eis", "solartron-1260-1287", VirtualSolartron(a1, clock), **solartron_settings(clock))
        neware = VirtualNeware({self.NEWARE_CHANNEL: b1}, clock)
        self.add("neware", "neware-bts", neware, step_file_folder=str(step_files))
        self.add("scanner", "keithley-daq6510", VirtualKeithleyDaq6510({101: a1, 102: b1}, clock=clock))
        air = VirtualSimServ(clock, (a1.set_temperature_degC, b1.set_temperature_degC))
        self.add("chamber", "simserv", air, **CHAMBER_degC, start_wait_s=1.0 / clock.speed)
        self.press = add_press(self, seed + 2)


def solartron_settings(clock: Clock) -> dict[str, float]:
    """A scaled bench answers after scaled times: the driver waits by the same clock."""
    return {"speed": clock.speed, "write_wait_s": 0.0} if clock.speed != 1.0 else {}


def add_press(bench: Bench, seed: int) -> VirtualPress:
    """The press with its meter, its load cell and its drive; copies of the positions' sensors lie beside it."""
    press = VirtualPress(
        {f"mfsr-{name}": position.parameters.sensor for name, position in bench.positions.items()},
        bench.clock,
        seed,
        gauge_factor=LOAD_CELL_FACTOR,
        gauge_offset_N=LOAD_CELL_OFFSET_N,
        gauge_noise_N=LOAD_CELL_NOISE_N,
    )
    load_cell = VirtualModbusLoadCell(
        press.indicated_N, LoadCellMap(value=0, dtype="float32", status=None, command=None)
    )
    bench.add("press-meter", "keysight-3446x", VirtualKeysight3446x(press.read_ohm, clock=bench.clock))
    bench.add("press-force", "modbus-load-cell", load_cell, register=0, dtype="float32", capacity_N=500.0)
    bench.add("press-drive", "virtual-press", VirtualPressDrive(press, bench.clock))
    return press
