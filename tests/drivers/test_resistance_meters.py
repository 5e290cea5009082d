"""The DAQ6510, the 2700 and the 3446xA: their wire byte for byte, their channels, their overloads."""

import math

import pytest

from drivers.interface import BadReply, InstrumentTimeout, NoReading, OutOfRange, Refused, WrongInstrument
from drivers.keithley2700 import Keithley2700
from drivers.keithley_daq6510 import KeithleyDaq6510
from drivers.keysight3446x import Keysight3446x
from drivers.multimeter import channel_list
from drivers.simulated.clock import ManualClock
from drivers.simulated.keithley2700 import VirtualKeithley2700
from drivers.simulated.keithley_daq6510 import VirtualKeithleyDaq6510
from drivers.simulated.keysight3446x import VirtualKeysight3446x
from tests.drivers.scripted import Scripted

OPENING_2700 = """
    > *IDN?
    < KEITHLEY INSTRUMENTS INC.,MODEL 2701,1149456,B09  /A02
    > *CLS
"""
NO_ERROR = """
    > :SYST:ERR?
    < 0,"No error"
"""


def test_2700_byte_for_byte():
    transcript = f"""
        {OPENING_2700}
        > *CLS
        > *RST
        > TRAC:CLE
        > INIT:CONT OFF
        > TRIG:SOUR IMM
        > TRIG:COUN 1
        > SAMP:COUN 5
        > SENS:FUNC 'FRES',(@101:105)
        > SENS:FRES:NPLC 1,(@101:105)
        > SENS:FRES:RANG:AUTO ON,(@101:105)
        > ROUT:SCAN (@101:105)
        > ROUT:SCAN:TSO IMM
        > ROUT:SCAN:LSEL INT
        > FORM:ELEM READ
        {NO_ERROR}
        > READ?
        < +1.04530000E+03,+2.88000000E+05,+9.9E37,-3.10000000E-02,+1.00000000E+00
        {NO_ERROR}
        > READ?
        < +1.04530000E+03,+2.88000000E+05,+9.9E37,-3.10000000E-02,+2.00000000E+00
        {NO_ERROR}
    """
    with (
        Scripted(transcript) as instrument,
        Keithley2700(instrument.address, four_wire=True, timeout_s=1) as meter,
    ):
        readings = meter.read_resistances([105, 101, 102, 103, 104])
        assert list(readings.items()) == [
            (105, 1.0),
            (101, 1045.3),
            (102, 288e3),
            (103, NoReading.OVERLOAD),
            (104, -0.031),
        ]
        assert meter.read_resistances([101, 102, 103, 104, 105])[105] == 2.0
        assert instrument.finished()


OPENING_DAQ = """
    > *IDN?
    < KEITHLEY INSTRUMENTS,MODEL DAQ6510,04591126,1.7.12b
    > *CLS
    > *LANG?
    < SCPI
    > :ROUT:TERM?
    < REAR
"""


@pytest.mark.parametrize("per_channel", [True, False])
def test_daq6510_byte_for_byte(per_channel):
    where = ",(@101:102,201)"
    transcript = f"""
        {OPENING_DAQ}
        > *CLS
        > :SENS:FUNC "RES"{where if per_channel else ""}
        > :SENS:RES:NPLC 0.1{where}
        > :SENS:RES:RANG:AUTO ON{where}
        > :ROUT:SCAN:CRE (@101:102,201)
        > :ROUT:SCAN:COUN:SCAN 1
        > :SYST:ERR?
        < 0,"No error;0,0,0"
        > :TRAC:CLE "defbuffer1"
        > :INIT
        > *OPC?
        < 1
        > :TRAC:DATA? 1,3,"defbuffer1",READ
        < 3.414127E-04,2.880000E+05,9.900000E+37
        > :SYST:ERR?
        < 0,"No error;0,0,0"
    """
    with (
        Scripted(transcript) as instrument,
        KeithleyDaq6510(instrument.address, nplc=0.1, function_per_channel=per_channel, timeout_s=1) as meter,
    ):
        assert meter.read_resistances([101, 102, 201]) == {101: 3.414127e-4, 102: 288e3, 201: NoReading.OVERLOAD}
        assert instrument.finished()


OPENING_3446X = """
    > *IDN?
    < Keysight, 34465A, 1000, A.02.16-02.40-02.16-00.52-03-02
    > *CLS
"""
READY_3446X = """
    > *CLS
    > CONF:FRES AUTO
    > SENS:FRES:NPLC 10
    > SAMP:COUN 1
    > :SYST:ERR?
    < +0,"No error"
"""


def test_3446x_byte_for_byte():
    transcript = f"""
        {OPENING_3446X}
        {READY_3446X}
        > READ?
        < +1.04530000E+03
        > :SYST:ERR?
        < +0,"No error"
        > READ?
        < +9.90000000E+37
        > :SYST:ERR?
        < +0,"No error"
    """
    with (
        Scripted(transcript) as instrument,
        Keysight3446x(instrument.address, four_wire=True, nplc=10, timeout_s=1) as meter,
    ):
        assert meter.read_resistances([1]) == {1: 1045.3}
        assert meter.read_resistances([1]) == {1: NoReading.OVERLOAD}
        assert instrument.finished()


@pytest.mark.parametrize("reply", ["+1.0E+03,+1.0E+03", "", "+1.0E+03OHM", "nan", "1.0E+0", "-"])
def test_3446x_takes_one_number_for_one_reading(reply):
    transcript = f'{OPENING_3446X}{READY_3446X}> READ?\n< {reply}\n> :SYST:ERR?\n< +0,"No error"'
    with (
        Scripted(transcript) as instrument,
        Keysight3446x(instrument.address, four_wire=True, nplc=10, timeout_s=1) as meter,
    ):
        if reply == "1.0E+0":
            assert meter.read_resistances([1]) == {1: 1.0}
        else:
            with pytest.raises(BadReply):
                meter.read_resistances([1])


@pytest.mark.parametrize(
    "identity",
    [
        "Keysight Technologies,34461A,MY53200001,A.02.08-02.37-02.08-00.49-01-01",
        "Agilent Technologies,34461A,MY53200001,A.01.10-02.25-01.10-00.35-01-01",
    ],
)
def test_3446x_knows_its_names(identity):
    with Scripted(f"> *IDN?\n< {identity}\n> *CLS\n> *IDN?\n< {identity}") as instrument:
        with Keysight3446x(instrument.address, timeout_s=1) as meter:
            assert meter.identify() == identity
        assert instrument.finished()


def test_daq6510_wants_its_rear_terminals_and_scpi():
    with (
        VirtualKeithleyDaq6510({}, terminals="FRON") as virtual,
        pytest.raises(WrongInstrument, match=r"front terminals are selected .*press TERMINALS"),
    ):
        KeithleyDaq6510(virtual.address, timeout_s=1)
    with (
        VirtualKeithleyDaq6510({}, language="TSP") as virtual,
        pytest.raises(WrongInstrument, match="command set is 'TSP'"),
    ):
        KeithleyDaq6510(virtual.address, timeout_s=1)


SENSORS = {101: lambda: 288e3, 102: lambda: math.inf, 103: lambda: 4.7e6, 110: lambda: 12.5, 201: lambda: 0.02}


@pytest.mark.parametrize("four_wire", [False, True])
@pytest.mark.parametrize(
    ("driver", "server"), [(KeithleyDaq6510, VirtualKeithleyDaq6510), (Keithley2700, VirtualKeithley2700)]
)
def test_a_scan_over_two_cards(driver, server, four_wire):
    with (
        server(SENSORS, clock=ManualClock(), noise=0.0) as virtual,
        driver(virtual.address, four_wire=four_wire, timeout_s=1) as meter,
    ):
        assert meter.read_resistances([201, 103, 102, 101, 104]) == {
            201: pytest.approx(0.02),
            103: pytest.approx(4.7e6),
            102: NoReading.OVERLOAD,
            101: pytest.approx(288e3),
            104: NoReading.OVERLOAD,  # nothing is connected
        }
        assert meter.read_resistances([110]) == {110: pytest.approx(12.5)}
        for channel in (111, 120) if four_wire else (121,):
            with pytest.raises(OutOfRange, match=f"channel {channel}"):
                meter.read_resistances([101, channel])
        with pytest.raises(OutOfRange, match="repeated"):
            meter.check_channels([101, 101])


@pytest.mark.parametrize(
    ("driver", "server"),
    [(KeithleyDaq6510, VirtualKeithleyDaq6510), (Keithley2700, VirtualKeithley2700)],
)
def test_the_meter_is_set_up_once_and_again_after_an_error(driver, server):
    with (
        server(SENSORS, clock=ManualClock()) as virtual,
        driver(virtual.address, timeout_s=1) as meter,
    ):

        def functions_set() -> int:
            return sum("SENS:FUNC" in line for line in virtual.received)

        for _ in range(3):
            meter.read_resistances([101, 103])
        assert functions_set() == 1
        virtual.answer("*RST;:WHAT:EVER")  # someone else at the instrument
        with pytest.raises((Refused, BadReply, InstrumentTimeout)):
            meter.read_resistances([101, 103])
        assert meter.read_resistances([101, 103])[101] == pytest.approx(288e3, rel=1e-3)
        assert functions_set() == 2


def test_how_long_a_scan_may_take_grows_with_what_it_does():
    with VirtualKeithley2700({}, clock=ManualClock()) as virtual:
        with Keithley2700(virtual.address, nplc=1.0, timeout_s=1) as quick:
            assert 1.5 <= quick.scan_duration_s(10) < 5
        with Keithley2700(virtual.address, nplc=10.0, timeout_s=1) as slow:
            assert slow.scan_duration_s(10) > 10 * 10 * 0.02 * 2
    with VirtualKeysight3446x(None, clock=ManualClock()) as single, Keysight3446x(single.address, nplc=100) as meter:
        assert meter.scan_duration_s(1) > 4


@pytest.mark.parametrize(
    ("driver", "nplc"),
    [(Keithley2700, 0.001), (KeithleyDaq6510, 15.0), (Keysight3446x, 3.0), (Keysight3446x, float("nan"))],
)
def test_an_integration_that_the_meter_does_not_have_is_refused_before_anything_is_opened(driver, nplc):
    with pytest.raises(OutOfRange):
        driver("TCPIP::192.0.2.1::5025::SOCKET", nplc=nplc)


def test_34461a_overloads_where_34465a_does_not():
    for model, expected in (("34461A", NoReading.OVERLOAD), ("34465A", pytest.approx(500e6, rel=1e-3))):
        with (
            VirtualKeysight3446x(lambda: 500e6, model=model, clock=ManualClock()) as virtual,
            Keysight3446x(virtual.address, timeout_s=1) as meter,
        ):
            assert meter.read_resistances([1]) == {1: expected}


def test_channel_lists():
    assert channel_list([101]) == "(@101)"
    assert channel_list([101, 102, 103, 105, 201, 202]) == "(@101:103,105,201:202)"
