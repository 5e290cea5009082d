"""The cyclers that run stored procedures, for the conformance suite: Maccor and Arbin."""

from __future__ import annotations

from drivers.arbin import ArbinCti
from drivers.interface import Current, Instrument, ProcedureCycler, Protection, Source
from drivers.maccor import MaccorMacNet
from drivers.maccor_direct import MaccorDirect
from drivers.simulated.arbin import VirtualArbin
from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.maccor import VirtualMaccor
from drivers.simulated.stored_procedure import Mode, StoredProcedure, StoredStep
from drivers.testing import Case, Start, checksummed
from tests.drivers.neware_bench import CapacitorCell

TIMEOUT_S = 0.3
ARBIN_TIMEOUT_S = 1.0  # its replies are long, and one test sends them byte by byte
PROCEDURES = {
    "rest": StoredProcedure((StoredStep(Mode.REST, time_s=3600.0),)),
    "charge": StoredProcedure((StoredStep(Mode.CHARGE, 0.001, time_s=3600.0),)),
    "cycle": StoredProcedure(
        (
            StoredStep(Mode.CHARGE, 0.01, voltage_V=3.5),
            StoredStep(Mode.REST, time_s=10.0),
            StoredStep(Mode.DISCHARGE, 0.01, voltage_V=2.5),
        ),
        cycles=2,
    ),
}
LIMITS = Protection(1.0, 4.2, 0.01)


def steady_cell(clock: Clock) -> CapacitorCell:
    """3 V behind 10 Ω, of so much charge that a test does not move it."""
    return CapacitorCell(clock, capacitance_F=1e6)


class QuickMaccor(MaccorMacNet):
    """The driver with a test's patience."""

    confirm_s = 0.3
    confirm_poll_s = 0.02


class QuickArbin(ArbinCti):
    """The driver with a test's patience."""

    confirm_s = 0.3
    confirm_poll_s = 0.02


def virtual_maccor() -> VirtualMaccor:
    clock = ScaledClock()
    return VirtualMaccor((steady_cell(clock), steady_cell(clock)), clock, procedures=PROCEDURES)


def virtual_arbin() -> VirtualArbin:
    clock = ScaledClock()
    return VirtualArbin((steady_cell(clock), steady_cell(clock)), clock, schedules=PROCEDURES, user="me", password="it")


def open_arbin(address: str) -> QuickArbin:
    return QuickArbin(address, user="me", password="it", timeout_s=ARBIN_TIMEOUT_S)


def start_charge(driver: Instrument) -> object:
    assert isinstance(driver, ProcedureCycler)
    driver.start_procedure("1", "charge", "run-1", LIMITS)
    return None


def direct_charge(driver: Instrument) -> object:
    assert isinstance(driver, Source)
    driver.apply(Current(1e-3), LIMITS)
    return None


def resting_voltage(driver: Instrument) -> object:
    assert isinstance(driver, Source)
    return driver.measure().voltage_V


def label(driver: Instrument) -> object:
    assert isinstance(driver, ProcedureCycler)
    return driver.procedure_status(["2"])["2"].label


CASES = (
    Case(
        name="maccor-macnet",
        virtual=virtual_maccor,
        open=lambda address: QuickMaccor(address, timeout_s=TIMEOUT_S),
        exchange=lambda driver: driver.identify(),
        roles=(Instrument, ProcedureCycler),
        start=Start(start_charge, rb'"FClass": 6, "FNum": 2,'),
    ),
    Case(
        name="maccor-direct",
        virtual=virtual_maccor,
        open=lambda address: MaccorDirect(address, channel=2, watchdog_s=30.0, timeout_s=TIMEOUT_S),
        exchange=resting_voltage,
        roles=(Instrument, Source),
        start=Start(direct_charge, rb'"FClass": 6, "FNum": 7,'),
    ),
    Case(
        name="arbin-cti",
        virtual=virtual_arbin,
        open=open_arbin,
        exchange=label,
        roles=(Instrument, ProcedureCycler),
        start=Start(start_charge, rb"\x04\x00\x32\xbb"),
        undetectable=checksummed,
        timeout_s=ARBIN_TIMEOUT_S,
    ),
)
