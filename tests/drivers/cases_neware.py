"""The NEWARE driver for the contract suite that walks all drivers."""

from __future__ import annotations

import tempfile

from drivers.interface import Instrument, ProgramCycler
from drivers.simulated.clock import ManualClock
from drivers.simulated.neware_bts import VirtualNeware
from tests.drivers.contract import Case
from tests.drivers.neware_bench import CHANNEL, OTHER, CapacitorCell, QuickNeware


def virtual_neware() -> VirtualNeware:
    clock = ManualClock(1_000_000.0)
    return VirtualNeware({CHANNEL: CapacitorCell(clock), OTHER: CapacitorCell(clock)}, clock)


def open_neware(address: str) -> QuickNeware:
    return QuickNeware(address, step_file_folder=tempfile.gettempdir(), timeout_s=0.5)


def exchange(driver: Instrument) -> object:
    return driver.identify()


CASES: tuple[Case, ...] = (Case("neware-bts", virtual_neware, open_neware, exchange, (Instrument, ProgramCycler)),)
