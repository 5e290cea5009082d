"""The Keithley 2400 and 2460: the wire byte for byte, the physics, what is refused."""

import pytest

from drivers.interface import BadReply, Current, NotSafe, OutOfRange, Protection, Refused, Voltage, WrongInstrument
from drivers.keithley2400 import Keithley2400
from drivers.keithley2450 import Keithley2460
from drivers.simulated.clock import ManualClock
from drivers.simulated.keithley2400 import VirtualKeithley2400
from drivers.simulated.keithley2450 import VirtualKeithley2460
from drivers.simulated.wiring import DriveVoltage, FixedCell, OpenCircuit
from tests.drivers.scripted import Scripted

LIMITS = Protection(voltage_min_V=2.5, voltage_max_V=4.2, current_max_A=0.2)
CHARGING = 1 << 22 | 1 << 15 | 1 << 12 | 1 << 11  # four-wire, current sourced, both measured
DISCHARGING = 1 << 22 | 1 << 14 | 1 << 12 | 1 << 11
COMPLIANCE, RANGE_COMPLIANCE = 1 << 3, 1 << 16

OPENING = """
    > *IDN?
    < KEITHLEY INSTRUMENTS INC.,MODEL 2400,4105123,C32   Oct  4 2010 14:20:11/A02  /S/K
    > *CLS
    > :FORM:ELEM VOLT,CURR,STAT
"""
RELAY_OPEN = """
    > :OUTP:SMOD HIMP
    > :OUTP:SMOD?
    < HIMP
"""
IS_OFF = """
    > :OUTP?
    < 0
"""
IS_ON = """
    > :OUTP?
    < 1
"""
OFF = f"> :OUTP OFF{IS_OFF}"
NO_ERROR = """
    > :SYST:ERR?
    < 0,"No error"
"""


def set_up(function: str) -> str:
    other = {"CURR": "VOLT", "VOLT": "CURR"}[function]
    return f"""
        > :SOUR:FUNC {function}
        > :SOUR:FUNC?
        < {function}
        > :SOUR:CLE:AUTO OFF
        > :SOUR:CLE:AUTO?
        < 0
        > :SENS:FUNC:CONC ON
        > :SENS:FUNC:CONC?
        < 1
        > :SENS:FUNC "VOLT","CURR"
        > :SYST:RSEN ON
        > :SYST:RSEN?
        < 1
        {RELAY_OPEN}
        > :SOUR:{function}:MODE FIX
        > :SOUR:{function}:MODE?
        < FIX
        > :SOUR:{function}:RANG:AUTO ON
        > :SENS:{other}:RANG:AUTO ON
        > :SENS:VOLT:NPLC 1
        > :ARM:COUN 1
        > :TRIG:COUN 1
        > :FORM:ELEM VOLT,CURR,STAT
    """


VOLTMETER = f"""
    {IS_OFF}
    {OFF}
    {set_up("CURR")}
    > :SOUR:CURR 0
    > :SOUR:CURR?
    < +0.000000E+00
    > :SENS:VOLT:PROT 21
    > :SENS:VOLT:PROT?
    < +2.100000E+01
    {NO_ERROR}
    > :OUTP ON
    {IS_ON}
"""
CHARGE = f"""
    > *CLS
    {VOLTMETER}
    > :SENS:VOLT:PROT?
    < +2.100000E+01
    > :READ?
    < +3.700000E+00,+1.000000E-12,{CHARGING:+.6E}
    > :SENS:VOLT:PROT 4.2
    > :SENS:VOLT:PROT?
    < +4.200000E+00
    > :SOUR:CURR 0.1
    > :SOUR:CURR?
    < +1.000000E-01
    {IS_ON}
    {NO_ERROR}
"""
DISCHARGE = f"""
    > *CLS
    {IS_OFF}
    {VOLTMETER}
    > :READ?
    < +3.700000E+00,-2.000000E-12,{CHARGING:+.6E}
    {OFF}
    {set_up("VOLT")}
    > :SOUR:VOLT 2.5
    > :SOUR:VOLT?
    < +2.500000E+00
    > :SENS:CURR:PROT 0.05
    > :SENS:CURR:PROT?
    < +5.000000E-02
    {NO_ERROR}
    > :OUTP ON
    {IS_ON}
    {NO_ERROR}
"""


def reading(voltage_V: float, current_A: float, status: int) -> str:
    return f"{IS_ON}> :READ?\n< {voltage_V:+.6E},{current_A:+.6E},{status:+.6E}"


@pytest.mark.parametrize(
    ("status", "in_compliance"),
    [(CHARGING, False), (CHARGING | COMPLIANCE, True), (CHARGING | RANGE_COMPLIANCE, True)],
)
def test_opening_charging_reading_and_closing_byte_for_byte(status, in_compliance):
    transcript = OPENING + IS_OFF + RELAY_OPEN + CHARGE + reading(3.7, 0.1, status) + "\n" + OFF + RELAY_OPEN
    with Scripted(transcript) as instrument:
        with Keithley2400(instrument.address, timeout_s=1) as smu:
            smu.apply(Current(0.1), LIMITS)
            measured = smu.measure()
        assert (measured.voltage_V, measured.current_A, measured.in_compliance) == (3.7, 0.1, in_compliance)
        assert instrument.finished()


@pytest.mark.parametrize(("limited", "in_compliance"), [(COMPLIANCE, False), (0, True)])
def test_discharging_is_the_compliance_of_a_voltage_source(limited, in_compliance):
    transcript = OPENING + IS_OFF + RELAY_OPEN + DISCHARGE + reading(3.1, -0.05, DISCHARGING | limited)
    with Scripted(transcript) as instrument:
        smu = Keithley2400(instrument.address, timeout_s=1)
        smu.apply(Current(-0.05), LIMITS)
        measured = smu.measure()
        assert (measured.voltage_V, measured.current_A, measured.in_compliance) == (3.1, -0.05, in_compliance)
        smu.leave()
        assert instrument.finished()


ADOPTING = f"""
    {OPENING}{IS_ON}
    > :SENS:FUNC?
    < "VOLT:DC","CURR:DC"
    > :SOUR:CLE:AUTO?
    < 0
"""


def test_coming_back_to_an_output_that_is_on_leaves_it_on():
    with Scripted(ADOPTING + reading(3.7, 0.1, CHARGING)) as instrument:
        smu = Keithley2400(instrument.address, timeout_s=1)
        assert smu.measure().current_A == 0.1
        smu.leave()
        assert instrument.finished()


@pytest.mark.parametrize(
    ("asked", "answer"),
    [('< "VOLT:DC","CURR:DC"', '< "CURR:DC"'), ("> :SOUR:CLE:AUTO?\n    < 0", "> :SOUR:CLE:AUTO?\n    < 1")],
)
def test_an_output_that_others_left_on_is_not_taken_over_where_it_does_not_read_both(asked, answer):
    with Scripted(ADOPTING.replace(asked, answer)) as instrument, pytest.raises(Refused, match="front panel"):
        Keithley2400(instrument.address, timeout_s=1)


@pytest.mark.parametrize(
    "reply",
    [
        "+9.9E37,+1.0E-01,+4.233216E+06",
        "+3.7E+00,+9.91E37,+4.233216E+06",
        "+3.7E+00,+1.0E-01",
        "+3.7E+00,+1.0E-01,+4.233216E+06,+1",
        "+3.7E+00,+1.0E-01,+2.000000E+07",  # beyond 24 bits
        "+3.7E+00,+1.0E-01,+1.200000E-01",
        "+3.7E+00,+1.0E-01,+0.000000E+00",  # nothing is sourced
        "+3.7E+00,+1.0E-01,+4.915200E+04",  # both are
    ],
)
def test_an_overflowed_or_misshapen_reading_is_no_measurement(reply):
    with Scripted(f"{ADOPTING}{IS_ON}> :READ?\n< {reply}") as instrument:
        smu = Keithley2400(instrument.address, timeout_s=1)
        with pytest.raises(BadReply, match="READ"):
            smu.measure()
        smu.leave()


@pytest.mark.parametrize("model", ["2410", "2450", "2000"])
def test_another_model_is_not_opened(model):
    identity = f"KEITHLEY INSTRUMENTS INC.,MODEL {model},4105123,C32"
    with Scripted(f"> *IDN?\n< {identity}") as instrument, pytest.raises(WrongInstrument, match=model):
        Keithley2400(instrument.address, timeout_s=1)


# --- with the virtual instrument, wired to a cell


@pytest.fixture
def cell():
    return FixedCell(emf_V=3.0, resistance_ohm=10.0)


@pytest.fixture
def virtual(cell):
    with VirtualKeithley2400(cell, clock=ManualClock(), noise=0.0) as instrument:
        yield instrument


@pytest.fixture
def smu(virtual):
    with Keithley2400(virtual.address, timeout_s=1) as driver:
        yield driver


def test_opening_stops_the_discharge_through_a_freshly_powered_instrument(virtual, cell):
    assert cell.terminals()[1] < 0  # the NORMAL off state
    with Keithley2400(virtual.address, timeout_s=1):
        assert cell.terminals() == (3.0, 0.0)


def test_charging_and_discharging_hold_their_current_then_their_voltage(smu, cell):
    smu.apply(Current(0.05), LIMITS)
    assert (smu.measure().voltage_V, smu.measure().in_compliance) == (pytest.approx(3.5), False)
    cell.emf_V = 4.0  # as it fills
    measured = smu.measure()
    assert (measured.voltage_V, measured.current_A) == pytest.approx((4.2, 0.02))
    assert measured.in_compliance
    smu.apply(Current(-0.04), LIMITS)
    assert cell._drive == DriveVoltage(2.5, 0.04)
    assert smu.measure().current_A == pytest.approx(-0.04)
    assert not smu.measure().in_compliance
    cell.emf_V = 2.6  # as it empties, with nobody watching
    measured = smu.measure()
    assert (measured.voltage_V, measured.current_A) == pytest.approx((2.5, -0.01))
    assert measured.in_compliance
    smu.off()
    assert cell._drive == OpenCircuit()


def test_a_cell_beyond_its_limits_is_not_charged_nor_discharged(smu, cell):
    cell.emf_V = 4.5
    with pytest.raises(NotSafe, match=r"4\.5 V"):
        smu.apply(Current(0.05), LIMITS)
    cell.emf_V = 2.0
    with pytest.raises(NotSafe, match="2 V"):
        smu.apply(Current(-0.05), LIMITS)
    assert not smu.output_is_on()
    assert cell._drive == OpenCircuit()


def test_the_wire_never_has_a_measure_command(smu, virtual):
    smu.measure()
    smu.apply(Voltage(3.5), LIMITS)
    smu.measure()
    assert not any("MEAS" in line for line in virtual.received)


def test_the_virtual_one_switches_itself_on_to_measure_as_the_real_one_does(virtual, cell):
    cell.emf_V = 0.5
    virtual.answer(":SYST:RSEN ON;:SOUR:FUNC CURR;:OUTP:SMOD HIMP")
    assert virtual.answer(":READ?") is None
    assert virtual.answer(":SYST:ERR?") == '802,"Not permitted with OUTPUT off"'
    virtual.answer(":FORM:ELEM VOLT")
    assert virtual.answer(":MEAS:VOLT?") == "+5.000000E-01"
    assert virtual.output_is_on


# --- 2460


def test_a_2460_goes_as_far_as_its_user_dares():
    cell = FixedCell(emf_V=3.0, resistance_ohm=0.1)
    amperes = Protection(2.5, 4.2, 5.0)
    with VirtualKeithley2460(cell, clock=ManualClock(), noise=0.0) as virtual:
        with (
            Keithley2460(virtual.address, timeout_s=1) as smu,
            pytest.raises(OutOfRange, match=r"5 A is more than the setting current_max_A, 1\.05 A"),
        ):
            smu.check(Current(1.0), amperes)
        with Keithley2460(virtual.address, current_max_A=5.0, timeout_s=1) as smu:
            smu.apply(Current(5.0), amperes)
            assert smu.measure().voltage_V == pytest.approx(3.5)
            smu.apply(Current(-4.0), amperes)
            assert smu.measure().current_A == pytest.approx(-4.0)
            smu.apply(Voltage(3.3), amperes)
            assert smu.measure().current_A == pytest.approx(3.0)
    with pytest.raises(OutOfRange):
        Keithley2460("TCPIP::192.0.2.1::5025::SOCKET", current_max_A=8.0)
