"""Contract cases: the sources beside the 2450."""

from __future__ import annotations

from drivers.ea_modbus import EaModbus
from drivers.ea_scpi import EaScpi
from drivers.interface import Current, Instrument, Protection, Source
from drivers.itech import ItechBidirectional
from drivers.keithley2400 import Keithley2400
from drivers.keithley2450 import Keithley2460
from drivers.keithley2600b import Keithley2600B
from drivers.simulated.clock import ManualClock
from drivers.simulated.ea import VirtualEa, VirtualEaModbusTcp
from drivers.simulated.itech import VirtualItech
from drivers.simulated.keithley2400 import VirtualKeithley2400
from drivers.simulated.keithley2450 import VirtualKeithley2460
from drivers.simulated.keithley2600b import VirtualKeithley2600B
from drivers.simulated.supply import PowerStage
from drivers.simulated.wiring import FixedCell
from drivers.testing import Case, Start, checksummed, modbus_tcp_registers
from tests.drivers.cases_scpi import TIMEOUT_S, charge, resting_voltage


def amperes(current_A: float) -> FixedCell:
    """A cell whose voltage rises by 10 mV with this current."""
    return FixedCell(resistance_ohm=0.01 / current_A)


def charge_with_1_A(source: Instrument) -> object:
    assert isinstance(source, Source)
    source.apply(Current(1.0), Protection(1.0, 4.2, 10.0))
    return None


CASES = [
    Case(
        name="ea-scpi",
        virtual=lambda: VirtualEa(PowerStage(amperes(1.0)), clock=ManualClock()),
        open=lambda address: EaScpi(address, pause_s=0.0, timeout_s=TIMEOUT_S),
        exchange=resting_voltage,
        roles=(Source,),
        start=Start(charge_with_1_A, rb"OUTP ON"),
        current_A=1.0,
    ),
    Case(
        name="ea-modbus",
        virtual=lambda: VirtualEaModbusTcp(PowerStage(amperes(1.0))),
        open=lambda address: EaModbus(address, timeout_s=TIMEOUT_S),
        exchange=resting_voltage,
        roles=(Source,),
        start=Start(charge_with_1_A, rb"\x05\x01\x95\xff\x00"),
        undetectable=modbus_tcp_registers,
        current_A=1.0,
    ),
    Case(
        name="ea-modbus, RTU",
        virtual=lambda: VirtualEa(PowerStage(amperes(1.0)), rtu=True, clock=ManualClock()),
        open=lambda address: EaModbus(address, timeout_s=TIMEOUT_S),
        exchange=resting_voltage,
        roles=(Source,),
        start=Start(charge_with_1_A, rb"\x05\x01\x95\xff\x00"),
        undetectable=checksummed,
        current_A=1.0,
    ),
    Case(
        name="itech-bidirectional",
        virtual=lambda: VirtualItech(PowerStage(amperes(1.0), volts=60.0, amperes=30.0), clock=ManualClock()),
        open=lambda address: ItechBidirectional(
            address, rated_voltage_V=60.0, rated_current_A=30.0, timeout_s=TIMEOUT_S
        ),
        exchange=resting_voltage,
        roles=(Source,),
        start=Start(charge_with_1_A, rb"OUTP 1"),
        current_A=1.0,
    ),
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
