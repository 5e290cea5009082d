"""Contract cases: potentiostats."""

from __future__ import annotations

from drivers.interface import Current, ImpedanceSource, Instrument, Protection, Source
from drivers.palmsens import PalmSens
from drivers.simulated.clock import ScaledClock
from drivers.simulated.palmsens import VirtualPalmSens
from drivers.simulated.wiring import FixedCell
from drivers.testing import Case, Start, hexadecimal_without_checksum

SPEED = 2.0


def resting_voltage(source: Instrument) -> object:
    assert isinstance(source, Source)
    return source.measure().voltage_V


def charge(source: Instrument) -> object:
    assert isinstance(source, Source)
    source.apply(Current(1e-3), Protection(1.0, 4.2, 0.01))
    return None


CASES = [
    Case(
        name="palmsens",
        virtual=lambda: VirtualPalmSens(FixedCell(), ScaledClock(speed=SPEED)),
        open=lambda address: PalmSens(address, interval_s=0.02, timeout_s=0.3),
        exchange=resting_voltage,
        roles=(Instrument, Source, ImpedanceSource),
        start=Start(charge, rb"set_i goal\ncell_on"),
        undetectable=hexadecimal_without_checksum,
    ),
]
