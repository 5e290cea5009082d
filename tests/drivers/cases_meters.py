"""Contract cases: the meters beside the first three."""

from __future__ import annotations

from drivers.interface import ResistanceMeter
from drivers.keithley2000 import Keithley2000
from drivers.keithley_dmm6500 import KeithleyDmm6500
from drivers.keysight34970a import Keysight34970A
from drivers.simulated.clock import ManualClock
from drivers.simulated.keithley2000 import VirtualKeithley2000
from drivers.simulated.keithley_dmm6500 import VirtualKeithleyDmm6500
from drivers.simulated.keysight34970a import VirtualKeysight34970A
from drivers.simulated.wiring import FixedCell
from drivers.testing import Case
from tests.drivers.cases_scpi import TIMEOUT_S, read_1, read_101

CASES = [
    Case(
        name="keithley-2000",
        virtual=lambda: VirtualKeithley2000({1: FixedCell()}, clock=ManualClock()),
        open=lambda address: Keithley2000(address, scanner_card=True, timeout_s=TIMEOUT_S),
        exchange=read_1,
        roles=(ResistanceMeter,),
    ),
    Case(
        name="keithley-dmm6500",
        virtual=lambda: VirtualKeithleyDmm6500({1: FixedCell()}, clock=ManualClock()),
        open=lambda address: KeithleyDmm6500(address, scanner_card=True, timeout_s=TIMEOUT_S),
        exchange=read_1,
        roles=(ResistanceMeter,),
    ),
    Case(
        name="keysight-34970a",
        virtual=lambda: VirtualKeysight34970A({101: FixedCell()}, clock=ManualClock()),
        open=lambda address: Keysight34970A(address, timeout_s=TIMEOUT_S),
        exchange=read_101,
        roles=(ResistanceMeter,),
    ),
]
