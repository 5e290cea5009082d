"""The Keithley 2600B: its TSP statements byte for byte, its two channels, its error queue."""

import pytest

from drivers.interface import BadReply, Current, NotSafe, OutOfRange, Protection, Refused, Voltage, WrongInstrument
from drivers.keithley2600b import Keithley2600B
from drivers.simulated.clock import ManualClock
from drivers.simulated.keithley2600b import VirtualKeithley2600B
from drivers.simulated.wiring import DriveVoltage, FixedCell, OpenCircuit
from tests.drivers.scripted import Scripted

LIMITS = Protection(voltage_min_V=2.5, voltage_max_V=4.2, current_max_A=0.2)

OPENING = """
    > *IDN?
    < Keithley Instruments, Model 2602B, 4388888, 3.0.4
    > errorqueue.clear()
"""
RELAY_OPEN = """
    > smua.source.offmode = smua.OUTPUT_HIGH_Z
    > print(smua.source.offmode)
    < 2.00000e+00
"""
IS_OFF = """
    > print(smua.source.output)
    < 0.00000e+00
"""
IS_ON = """
    > print(smua.source.output)
    < 1.00000e+00
"""
OFF = f"> smua.source.output = smua.OUTPUT_OFF{IS_OFF}"
NO_ERROR = """
    > print(errorqueue.count)
    < 0.00000e+00
"""
CURRENT_SOURCE = f"""
    > smua.source.func = smua.OUTPUT_DCAMPS
    > print(smua.source.func)
    < 0.00000e+00
    > smua.sense = smua.SENSE_REMOTE
    > print(smua.sense)
    < 1.00000e+00
    {RELAY_OPEN}
    > smua.source.autorangei = smua.AUTORANGE_ON
    > smua.measure.autorangev = smua.AUTORANGE_ON
    > smua.measure.nplc = 1
    > smua.measure.count = 1
"""
CHARGE = f"""
    > errorqueue.clear()
    {IS_OFF}
    {OFF}
    {CURRENT_SOURCE}
    > smua.source.leveli = 0
    > print(smua.source.leveli)
    < 0.00000e+00
    > smua.source.limitv = 40
    > print(smua.source.limitv)
    < 4.00000e+01
    {NO_ERROR}
    > smua.source.output = smua.OUTPUT_ON
    {IS_ON}
    > print(smua.source.limitv)
    < 4.00000e+01
    > print(smua.measure.iv())
    < 1.00000e-12\t3.70000e+00
    > print(smua.source.func)
    < 0.00000e+00
    > print(smua.source.compliance)
    < false
    > smua.source.limitv = 4.2
    > print(smua.source.limitv)
    < 4.20000e+00
    > smua.source.leveli = 0.1
    > print(smua.source.leveli)
    < 1.00000e-01
    {IS_ON}
    {NO_ERROR}
"""
READING = f"""
    {IS_ON}
    > print(smua.measure.iv())
    < 1.00000e-01\t3.70000e+00
    > print(smua.source.func)
    < 0.00000e+00
    > print(smua.source.compliance)
    < true
"""


def test_opening_charging_reading_and_closing_byte_for_byte():
    with Scripted(OPENING + IS_OFF + RELAY_OPEN + CHARGE + READING + OFF + RELAY_OPEN) as instrument:
        with Keithley2600B(instrument.address, timeout_s=1) as smu:
            smu.apply(Current(0.1), LIMITS)
            measured = smu.measure()
        assert (measured.voltage_V, measured.current_A, measured.in_compliance) == (3.7, 0.1, True)
        assert instrument.finished()


def test_coming_back_to_an_output_that_is_on_sends_queries_only():
    with Scripted(OPENING + IS_ON + READING) as instrument:
        smu = Keithley2600B(instrument.address, timeout_s=1)
        assert smu.measure().voltage_V == 3.7
        smu.leave()
        assert instrument.finished()


def test_the_error_queue_is_told_and_the_output_is_off():
    queue = """
        > print(errorqueue.count)
        < 1.00000e+00
        > print(errorqueue.next())
        < 1.10200e+03\tParameter too small\t2.00000e+01\t1.00000e+00
    """
    transcript = OPENING + IS_OFF + RELAY_OPEN + CHARGE.rpartition("> print(errorqueue.count)")[0] + queue
    with Scripted(transcript + OFF + RELAY_OPEN) as instrument:
        smu = Keithley2600B(instrument.address, timeout_s=1)
        with pytest.raises(Refused, match="1102 Parameter too small"):
            smu.apply(Current(0.1), LIMITS)
        smu.leave()
        assert instrument.finished()


@pytest.mark.parametrize(
    ("asked", "reply"),
    [
        ("1.00000e-01\t3.70000e+00", "1.00000e-01"),
        ("1.00000e-01\t3.70000e+00", "1.00000e-01,3.70000e+00"),
        ("1.00000e-01\t3.70000e+00", "nil\t3.70000e+00"),
        ("1.00000e-01\t3.70000e+00", "9.91000e+37\t3.70000e+00"),
        ("< true", "< maybe"),
        ("< 0.00000e+00\n    > print(smua.source.compliance)", "< 3.00000e+00\n    > print(smua.source.compliance)"),
    ],
)
def test_a_misshapen_reading_is_no_measurement(asked, reply):
    with Scripted(OPENING + IS_ON + READING.replace(asked, reply)) as instrument:
        smu = Keithley2600B(instrument.address, timeout_s=1)
        with pytest.raises(BadReply):
            smu.measure()
        smu.leave()


def test_more_digits_are_asked_for_where_they_are_wanted():
    precision = "> format.asciiprecision = 10"
    with Scripted(OPENING + precision + IS_OFF + RELAY_OPEN + OFF + RELAY_OPEN) as instrument:
        Keithley2600B(instrument.address, digits=10, timeout_s=1).close()
        assert instrument.finished()


@pytest.mark.parametrize("settings", [{"channel": "c"}, {"digits": 17}, {"nplc": 30.0}])
def test_settings_that_it_does_not_have_are_refused_before_anything_is_opened(settings):
    with pytest.raises(OutOfRange):
        Keithley2600B("TCPIP::192.0.2.1::5025::SOCKET", **settings)


def test_another_model_is_not_opened():
    with (
        Scripted("> *IDN?\n< Keithley Instruments, Model 2636B, 4388888, 3.0.4") as instrument,
        pytest.raises(WrongInstrument, match="2636B"),
    ):
        Keithley2600B(instrument.address, timeout_s=1)


# --- with the virtual instrument, wired to two cells


@pytest.fixture
def cells():
    return {"a": FixedCell(emf_V=3.0, resistance_ohm=10.0), "b": FixedCell(emf_V=3.6, resistance_ohm=1.0)}


@pytest.fixture
def virtual(cells):
    with VirtualKeithley2600B(cells, clock=ManualClock(), noise=0.0) as instrument:
        yield instrument


def test_each_channel_drives_its_own_cell(virtual, cells):
    with (
        Keithley2600B(virtual.address, timeout_s=1) as a,
        Keithley2600B(virtual.address, channel="b", timeout_s=1) as b,
    ):
        a.apply(Current(0.05), LIMITS)
        b.apply(Current(-0.1), LIMITS)
        assert (a.measure().voltage_V, b.measure().voltage_V) == pytest.approx((3.5, 3.5))
        assert not b.measure().in_compliance
        assert cells["b"]._drive == DriveVoltage(2.5, 0.1)
        b.off()
        assert cells["b"]._drive == OpenCircuit()
        assert a.output_is_on()
        assert a.measure().current_A == pytest.approx(0.05)


def test_the_virtual_one_speaks_as_much_of_the_language_as_others_need(virtual):
    virtual.answer("smub.source.func = smub.OUTPUT_DCAMPS")
    virtual.answer("smub.source.output = 1")
    assert virtual.answer("print(smub.measure.v())") == "3.60000e+00"
    assert virtual.answer("print(smub.source.limitv)") == "2.00000e+01"
    virtual.answer("smub.source.limiti = 50")
    virtual.answer("smub.sauce = 1")
    virtual.answer("what is this")
    assert virtual.answer("print(errorqueue.count)") == "3.00000e+00"
    codes = [virtual.answer("print(errorqueue.next())").split("\t")[:2] for _ in range(4)]
    assert codes == [
        ["1.10100e+03", "Parameter too big"],
        ["-2.86000e+02", "TSP Runtime error"],
        ["-2.85000e+02", "TSP Syntax error"],
        ["0.00000e+00", "Queue Is Empty"],
    ]


def test_it_charges_discharges_and_holds_until_its_limits(virtual, cells):
    cell = cells["a"]
    with Keithley2600B(virtual.address, timeout_s=1) as smu:
        smu.apply(Current(0.05), LIMITS)
        cell.emf_V = 4.0
        assert (smu.measure().voltage_V, smu.measure().in_compliance) == (pytest.approx(4.2), True)
        smu.apply(Current(-0.04), LIMITS)
        cell.emf_V = 2.6
        measured = smu.measure()
        assert (measured.voltage_V, measured.current_A) == pytest.approx((2.5, -0.01))
        assert measured.in_compliance
        smu.apply(Voltage(3.0), LIMITS)
        assert smu.measure().current_A == pytest.approx(0.04)
        cell.emf_V = 2.0
        smu.off()
        with pytest.raises(NotSafe, match=r"not above 2\.5 V"):
            smu.apply(Voltage(3.0), LIMITS)
    assert cell._drive == OpenCircuit()
