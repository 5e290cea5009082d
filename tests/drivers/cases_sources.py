"""Contract cases: the sources beside the 2450."""

from __future__ import annotations

from drivers.interface import Source
from drivers.keithley2400 import Keithley2400
from drivers.keithley2450 import Keithley2460
from drivers.keithley2600b import Keithley2600B
from drivers.simulated.clock import ManualClock
from drivers.simulated.keithley2400 import VirtualKeithley2400
from drivers.simulated.keithley2450 import VirtualKeithley2460
from drivers.simulated.keithley2600b import VirtualKeithley2600B
from drivers.simulated.wiring import FixedCell
from drivers.testing import Case, Start
from tests.drivers.cases_scpi import TIMEOUT_S, charge, resting_voltage

CASES = [
    Case(
        name="keithley-2400",
        virtual=lambda: VirtualKeithley2400(FixedCell(), clock=ManualClock()),
        open=lambda address: Keithley2400(address, timeout_s=TIMEOUT_S),
        exchange=resting_voltage,
        roles=(Source,),
        start=Start(charge, rb":OUTP ON"),
    ),
    Case(
        name="keithley-2460",
        virtual=lambda: VirtualKeithley2460(FixedCell(), clock=ManualClock()),
        open=lambda address: Keithley2460(address, timeout_s=TIMEOUT_S),
        exchange=resting_voltage,
        roles=(Source,),
        start=Start(charge, rb":OUTP ON"),
    ),
    Case(
        name="keithley-2600b",
        virtual=lambda: VirtualKeithley2600B({"a": FixedCell(), "b": FixedCell()}, clock=ManualClock()),
        open=lambda address: Keithley2600B(address, timeout_s=TIMEOUT_S),
        exchange=resting_voltage,
        roles=(Source,),
        start=Start(charge, rb"source\.output = smua\.OUTPUT_ON"),
    ),
]
