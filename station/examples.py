"""What `cellstation init` writes: a commented configuration, a cell and a protocol to start from."""

from __future__ import annotations

from pathlib import Path

STATION = """\
# The station's configuration. Folders are relative to this file. 'cellstation check' reaches every instrument.

[station]
name = "Bench 1"
database = "sqlite:///cellstation.db"   # or postgresql+psycopg://user@host/name
poll = "1 s"                            # how often each channel is sampled
lost_after = "5 s"                      # without a good sample for so long, a channel trips
# host = "0.0.0.0"                      # let other computers see the dashboard; commands need the token anyway
# limits = { current = "1 A" }          # for every channel; a limit narrows others, it never widens them

# One table for each instrument: driver, address, and the driver's own settings.
# 'cellstation virtual-bench' starts simulated instruments to try this with.

[instruments.smu]
driver = "keithley-2450"
address = "TCPIP::smu.example::5025::SOCKET"
settings = { four_wire = true }

[instruments.scanner]
driver = "keithley-daq6510"
address = "TCPIP::scanner.example::5025::SOCKET"

# One table for each position of a cell.

[channels.A1]
source = "smu"
sensor = { meter = "scanner", channel = 101, name = "mfsr-1" }   # its calibrations: calibrations/mfsr-1-v*.json
limits = { voltage = ["-0.1 V", "4.3 V"], current = "10 mA", pressure = { above = "2 MPa" } }
# chamber = "chamber"                   # an instrument that sets the temperature; several channels may name one
# thermometer = "..."                   # at the cell, in place of the chamber's own
# frame = "..."                         # a driven frame that the cell is clamped in
# trigger = "..."                       # an instrument whose trigger line a protocol's markers pulse
"""

CELL = """\
# A cell: what rates, limits and specific capacities refer to.
cell: example
chemistry: Si | Li
format: coin
active_mass: 0.68 mg
electrode_area: 1.131 cm^2
specific_capacity: 3579 mAh/g       # 1C is this times the mass; or give nominal_capacity
limits: {voltage: [-0.05 V, 2.2 V], current: 5 mA}
"""

PROTOCOL = """\
protocol: Three cycles
record: {every: 30 s, change: [5 mV, 2 kPa]}
limits: {voltage: [-0.05 V, 2.2 V]}
steps:
  - rest: {for: 10 min}
  - repeat: 3
    steps:
      - discharge: {at: 0.1 C, until: {voltage: 0.02 V}}
      - charge: {at: 0.1 C, until: {voltage: 2 V}}
"""


def write(folder: Path) -> tuple[Path, ...]:
    """Raises `FileExistsError` before anything is written where one of the files is there already."""
    files = {
        folder / "station.toml": STATION,
        folder / "cells" / "example.yaml": CELL,
        folder / "protocols" / "three-cycles.yaml": PROTOCOL,
    }
    for path in files:
        if path.exists():
            raise FileExistsError(17, "is there already; nothing was written", str(path))
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "calibrations").mkdir(exist_ok=True)
    return tuple(files)
