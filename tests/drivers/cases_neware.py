"""The NEWARE driver for the conformance suite."""

from __future__ import annotations

import tempfile
import weakref

from drivers.interface import CyclerProgram, CyclerStep, Instrument, ProgramCycler, Protection, StepKind
from drivers.simulated.clock import ManualClock
from drivers.simulated.neware_bts import VirtualNeware
from drivers.testing import Case, Start
from tests.drivers.neware_bench import CHANNEL, OTHER, CapacitorCell, QuickNeware

TIMEOUT_S = 0.3
CHARGE = CyclerProgram(
    "charge",
    (CyclerStep(StepKind.CC, current_A=0.005, end_voltage_V=4.0),),
    Protection(0.0, 4.5, 0.02),
    capacity_max_Ah=0.01,
    record_time_s=10.0,
)


def virtual_neware() -> VirtualNeware:
    clock = ManualClock(1_000_000.0)
    return VirtualNeware({CHANNEL: CapacitorCell(clock), OTHER: CapacitorCell(clock)}, clock)


def open_neware(address: str) -> QuickNeware:
    """With a folder for step files of its own, which goes with the driver."""
    folder = tempfile.TemporaryDirectory()
    driver = QuickNeware(address, step_file_folder=folder.name, timeout_s=TIMEOUT_S)
    weakref.finalize(driver, folder.cleanup)
    return driver


def start(driver: Instrument) -> object:
    assert isinstance(driver, ProgramCycler)
    return driver.start(CHANNEL, CHARGE, "cell 7")


CASES = (
    Case(
        name="neware-bts",
        virtual=virtual_neware,
        open=open_neware,
        exchange=lambda driver: driver.identify(),
        roles=(Instrument, ProgramCycler),
        start=Start(start, rb"<cmd>start</cmd>"),
        timeout_s=TIMEOUT_S,
    ),
)
