"""Contract cases: climate chambers."""

from __future__ import annotations

from drivers.ascii2 import Ascii2Chamber
from drivers.binder import BinderMb1, BinderMb2
from drivers.espec import EspecChamber
from drivers.interface import Chamber, Instrument, Thermometer
from drivers.memmert import MemmertChamber
from drivers.simulated.ascii2 import VirtualAscii2
from drivers.simulated.binder import VirtualBinderMb1, VirtualBinderMb2
from drivers.simulated.clock import ManualClock
from drivers.simulated.espec import VirtualEspec
from drivers.simulated.memmert import VirtualMemmert
from drivers.testing import Case, checksummed

LIMITS = {"temperature_min_degC": -20.0, "temperature_max_degC": 80.0, "timeout_s": 0.3, "wait_s": 0.01}
ROLES = (Instrument, Thermometer, Chamber)


def read_temperature(driver: Instrument) -> object:
    assert isinstance(driver, Thermometer)
    return driver.read_temperature_degC()


CASES = [
    Case(
        name="binder-mb1",
        virtual=lambda: VirtualBinderMb1(ManualClock()),
        open=lambda address: BinderMb1(address, **LIMITS),
        exchange=read_temperature,
        roles=ROLES,
        undetectable=checksummed,
    ),
    Case(
        name="binder-mb2",
        virtual=lambda: VirtualBinderMb2(ManualClock()),
        open=lambda address: BinderMb2(address, **LIMITS),
        exchange=read_temperature,
        roles=ROLES,
        undetectable=checksummed,
    ),
    Case(
        name="espec",
        virtual=lambda: VirtualEspec(ManualClock()),
        open=lambda address: EspecChamber(address, **LIMITS),
        exchange=read_temperature,
        roles=ROLES,
    ),
    Case(
        name="memmert-atmoweb",
        virtual=lambda: VirtualMemmert(ManualClock()),
        open=lambda address: MemmertChamber(address, **LIMITS),
        exchange=read_temperature,
        roles=ROLES,
    ),
    Case(
        name="ascii2",
        virtual=lambda: VirtualAscii2(ManualClock()),
        open=lambda address: Ascii2Chamber(address, start_digit=1, **LIMITS),
        exchange=read_temperature,
        roles=ROLES,
    ),
]
