"""The SCPI instruments, for the contract suites. A case has the driver's short name in the registry."""

from __future__ import annotations

from drivers.interface import Current, Instrument, Protection, ResistanceMeter, Source
from drivers.keithley2450 import Keithley2450
from drivers.keithley2700 import Keithley2700
from drivers.keithley_daq6510 import KeithleyDaq6510
from drivers.keysight3446x import Keysight3446x
from drivers.simulated.clock import ManualClock
from drivers.simulated.keithley2450 import VirtualKeithley2450
from drivers.simulated.keithley2700 import VirtualKeithley2700
from drivers.simulated.keithley_daq6510 import VirtualKeithleyDaq6510
from drivers.simulated.keysight3446x import VirtualKeysight3446x
from drivers.simulated.wiring import FixedCell
from drivers.testing import Case, Start

TIMEOUT_S = 0.3


def read_101(meter: Instrument) -> object:
    assert isinstance(meter, ResistanceMeter)
    return meter.read_resistances([101])[101]


def read_1(meter: Instrument) -> object:
    assert isinstance(meter, ResistanceMeter)
    return meter.read_resistances([1])[1]


def resting_voltage(source: Instrument) -> object:
    assert isinstance(source, Source)
    return source.measure().voltage_V


def charge(source: Instrument) -> object:
    assert isinstance(source, Source)
    source.apply(Current(1e-3), Protection(1.0, 4.2, 0.01))
    return None


CASES = [
    Case(
        name="keithley-2450",
        virtual=lambda: VirtualKeithley2450(FixedCell(), clock=ManualClock()),
        open=lambda address: Keithley2450(address, timeout_s=TIMEOUT_S),
        exchange=resting_voltage,
        roles=(Source,),
        start=Start(charge, rb":OUTP ON"),
    ),
    Case(
        name="keithley-daq6510",
        virtual=lambda: VirtualKeithleyDaq6510({101: FixedCell()}, clock=ManualClock()),
        open=lambda address: KeithleyDaq6510(address, timeout_s=TIMEOUT_S),
        exchange=read_101,
        roles=(ResistanceMeter,),
    ),
    Case(
        name="keithley-2700",
        virtual=lambda: VirtualKeithley2700({101: FixedCell()}, clock=ManualClock()),
        open=lambda address: Keithley2700(address, timeout_s=TIMEOUT_S),
        exchange=read_101,
        roles=(ResistanceMeter,),
    ),
    Case(
        name="keysight-3446x",
        virtual=lambda: VirtualKeysight3446x(FixedCell(), clock=ManualClock()),
        open=lambda address: Keysight3446x(address, timeout_s=TIMEOUT_S),
        exchange=read_1,
        roles=(ResistanceMeter,),
    ),
]
