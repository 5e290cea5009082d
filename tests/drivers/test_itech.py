"""The ITECH bidirectional supplies: the wire byte for byte, the physics, what is refused."""

import pytest

from drivers.interface import BadReply, Current, NotSafe, OutOfRange, Protection, Refused, Voltage
from drivers.itech import ItechBidirectional
from drivers.simulated.clock import ManualClock
from drivers.simulated.itech import VirtualItech
from drivers.simulated.supply import PowerStage
from drivers.simulated.wiring import FixedCell, OpenCircuit
from tests.drivers.scripted import Scripted

LIMITS = Protection(voltage_min_V=2.5, voltage_max_V=4.2, current_max_A=20.0)
RATED = {"rated_voltage_V": 60.0, "rated_current_A": 30.0, "timeout_s": 1}

OPENING = """
    > *IDN?
    < ITECH Ltd., IT-M3412, 803012345678901234, 1.08
    > *CLS
    > SYST:REM
    > OUTP?
    < 0
    > FUNC:MODE FIXED
    > FUNC:MODE?
    < FIXED
    > FUNC VOLT
    > FUNC?
    < VOLTAGE
    > SENS 1
    > SENS?
    < 1
"""
DISCHARGE = """
    > *CLS
    > OUTP:REV?
    < 0
    > MEAS:VOLT?
    < 3.7001
    > MEAS:CURR?
    < 0.0000
    > OUTP?
    < 0
    > VOLT:PROT 5.4
    > VOLT:PROT?
    < 5.400
    > CURR:PROT 20.6
    > CURR:PROT?
    < 20.600
    > CURR:LIM:POS 0
    > CURR:LIM:POS?
    < 0.000
    > CURR:LIM:NEG -10
    > CURR:LIM:NEG?
    < -10.000
    > VOLT 2.5
    > VOLT?
    < 2.500
    > OUTP 1
    > OUTP?
    < 1
    > SYST:ERR?
    < 0,"No error"
"""
READING = """
    > MEAS:VOLT?
    < 3.6100
    > MEAS:CURR?
    < -9.9990
    > OUTP?
    < 1
    > CURR:LIM:POS?
    < 0.000
    > CURR:LIM:NEG?
    < -10.000
"""
CLOSING = """
    > OUTP 0
    > OUTP?
    < 0
    > SYST:LOC
"""


def test_opening_discharging_reading_and_closing_byte_for_byte():
    with Scripted(OPENING + DISCHARGE + READING + CLOSING) as instrument:
        with ItechBidirectional(instrument.address, **RATED) as supply:
            supply.apply(Current(-10.0), LIMITS)
            measured = supply.measure()
        assert (measured.voltage_V, measured.current_A, measured.in_compliance) == (3.61, -9.999, False)
        assert instrument.finished()


@pytest.mark.parametrize(
    ("asked", "held"), [("< 5.400", "< 66.000"), ("< -10.000", "< 10.000"), ("< 2.500\n", "< 0.000\n")]
)
def test_a_set_value_that_reads_back_otherwise_is_not_safe(asked, held):
    transcript = OPENING + DISCHARGE.partition(asked)[0] + held + "\n> OUTP 0\n> OUTP?\n< 0"
    with Scripted(transcript) as instrument:
        supply = ItechBidirectional(instrument.address, **RATED)
        with pytest.raises(NotSafe, match="reads back"):
            supply.apply(Current(-10.0), LIMITS)
        supply.leave()
        assert instrument.finished()


def test_an_output_that_others_left_on_in_another_mode_is_not_taken_over():
    opening = OPENING.partition("< 0")[0] + "< 1\n> FUNC?\n< CURR"
    with Scripted(opening) as instrument, pytest.raises(Refused, match="not in voltage priority"):
        ItechBidirectional(instrument.address, **RATED)


@pytest.mark.parametrize("reply", ["3.70V", "", "nan", "9.9E37", "3.7,0.1"])
def test_a_reading_is_one_bare_number(reply):
    with Scripted(f"{OPENING}> MEAS:VOLT?\n< {reply}") as instrument:
        supply = ItechBidirectional(instrument.address, **RATED)
        with pytest.raises(BadReply, match="MEAS:VOLT"):
            supply.measure()
        supply.leave()


@pytest.mark.parametrize("settings", [{"rated_voltage_V": 0.0}, {"rated_current_A": float("nan")}, {"margin": 1.0}])
def test_settings_that_cannot_be_are_refused_before_anything_is_opened(settings):
    with pytest.raises(OutOfRange):
        ItechBidirectional("TCPIP::192.0.2.1::30000::SOCKET", **RATED | settings)


# --- with the virtual instrument, wired to a cell


@pytest.fixture
def cell():
    return FixedCell(emf_V=3.0, resistance_ohm=0.05)


@pytest.fixture
def supply(cell):
    stage = PowerStage(cell, volts=60.0, amperes=30.0, watts=200.0)
    with (
        VirtualItech(stage, clock=ManualClock()) as virtual,
        ItechBidirectional(virtual.address, **RATED) as driver,
    ):
        yield driver


def close_to(measured):
    return pytest.approx((measured.voltage_V, measured.current_A), abs=0.01)


def test_it_charges_and_discharges_until_the_cell_is_at_its_limit(supply, cell):
    supply.apply(Current(10.0), LIMITS)
    measured = supply.measure()
    assert close_to(measured) == (3.5, 10.0)
    assert not measured.in_compliance
    cell.emf_V = 4.0  # as it fills
    measured = supply.measure()
    assert close_to(measured) == (4.2, 4.0)
    assert measured.in_compliance
    supply.apply(Current(-8.0), LIMITS)
    assert close_to(supply.measure()) == (3.6, -8.0)
    assert not supply.measure().in_compliance
    cell.emf_V = 2.6  # as it empties, with nobody watching
    measured = supply.measure()
    assert close_to(measured) == (2.5, -2.0)
    assert measured.in_compliance
    supply.apply(Voltage(2.8), LIMITS)
    measured = supply.measure()
    assert close_to(measured) == (2.8, 4.0)
    assert not measured.in_compliance
    supply.off()
    assert cell._drive == OpenCircuit()
    assert supply.measure().current_A == 0.0


@pytest.mark.parametrize(
    ("emf_V", "setpoint", "reason"),
    [
        (-3.0, Current(5.0), "wrong way round"),
        (4.3, Current(5.0), "not below"),
        (2.4, Current(-5.0), "not above"),
    ],
)
def test_a_cell_beyond_its_limits_is_not_switched_on(supply, cell, emf_V, setpoint, reason):
    cell.emf_V = emf_V
    with pytest.raises(NotSafe, match=reason):
        supply.apply(setpoint, LIMITS)
    assert not supply.output_is_on()


@pytest.mark.parametrize(
    ("setpoint", "limits"),
    [(Current(25.0), LIMITS), (Current(10.0), Protection(2.5, 4.2, 31.0)), (Voltage(3.0), Protection(2.5, 61.0, 20.0))],
)
def test_what_it_cannot_do_is_refused(supply, setpoint, limits):
    with pytest.raises(OutOfRange, match="nothing was sent"):
        supply.apply(setpoint, limits)
