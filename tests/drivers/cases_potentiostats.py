"""Contract cases: potentiostats."""

from __future__ import annotations

from drivers.interface import Current, ImpedanceSource, Instrument, Protection, Source
from drivers.palmsens import PalmSens
from drivers.simulated.clock import ScaledClock
from drivers.simulated.palmsens import VirtualPalmSens
from drivers.simulated.solartron import VirtualSolartron
from drivers.simulated.wiring import FixedCell
from drivers.solartron1287_source import Solartron1287Source
from drivers.testing import Case, Start, hexadecimal_without_checksum, text_of_fixed_width

SPEED = 2.0


def resting_voltage(source: Instrument) -> object:
    assert isinstance(source, Source)
    return source.measure().voltage_V


def charge(source: Instrument) -> object:
    assert isinstance(source, Source)
    source.apply(Current(1e-3), Protection(1.0, 4.2, 0.01))
    return None


def virtual_1287() -> VirtualSolartron:
    virtual = VirtualSolartron(FixedCell(), ScaledClock())
    virtual.resource = "prologix://{host}:{port}/6"
    return virtual


CASES = [
    Case(
        name="solartron-1287",
        virtual=virtual_1287,
        open=lambda address: Solartron1287Source(
            address, host_limits_voltage=True, write_wait_s=0.0, timeout_s=0.3, patience_s=2.0
        ),
        exchange=resting_voltage,
        roles=(Instrument, Source),
        start=Start(charge, rb"PW1"),
        undetectable=text_of_fixed_width,
    ),
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
