"""The 2000, the DMM6500, the 2750 and the 34970A: their wire byte for byte, their channels, their overloads."""

import math

import pytest

from drivers.interface import BadReply, NoReading, OutOfRange, Refused, WrongInstrument
from drivers.keithley2000 import Keithley2000
from drivers.keithley2700 import Keithley2700
from drivers.keithley_dmm6500 import KeithleyDmm6500
from drivers.keysight34970a import Keysight34970A
from drivers.simulated.clock import ManualClock
from drivers.simulated.keithley2000 import VirtualKeithley2000
from drivers.simulated.keithley_dmm6500 import VirtualKeithleyDmm6500
from drivers.simulated.keysight34970a import VirtualKeysight34970A
from tests.drivers.scripted import Scripted

NO_ERROR = """
    > :SYST:ERR?
    < 0,"No error"
"""
NOWHERE = "TCPIP::192.0.2.1::5025::SOCKET"

# --- Keithley 2000

OPENING_2000 = """
    > *IDN?
    < KEITHLEY INSTRUMENTS INC.,MODEL 2000,1149456,A19  /A02
    > *CLS
"""
READY_2000 = f"""
    > *CLS
    > :CONF:FRES
    > :SENS:FRES:NPLC 1
    > :SENS:FRES:RANG:AUTO ON
    > :FORM:ELEM READ
    {NO_ERROR}
"""


def test_2000_closes_and_reads_one_channel_after_the_other():
    transcript = f"""
        {OPENING_2000}
        {READY_2000}
        > :ROUT:CLOS (@1)
        > :READ?
        < +1.04530000E+03
        > :ROUT:CLOS (@4)
        > :READ?
        < +9.9E37
        {NO_ERROR}
        > :ROUT:OPEN:ALL
        {NO_ERROR}
    """
    with (
        Scripted(transcript) as instrument,
        Keithley2000(instrument.address, four_wire=True, scanner_card=True, timeout_s=1) as meter,
    ):
        assert list(meter.read_resistances([4, 1]).items()) == [(4, NoReading.OVERLOAD), (1, 1045.3)]
        meter.make_safe()
        assert instrument.finished()


def test_2000_without_a_card_switches_nothing():
    transcript = f"{OPENING_2000}{READY_2000}> :READ?\n< +1.04530000E+03{NO_ERROR}{NO_ERROR}"
    with (
        Scripted(transcript) as instrument,
        Keithley2000(instrument.address, four_wire=True, timeout_s=1) as meter,
    ):
        assert meter.read_resistances([1]) == {1: 1045.3}
        meter.make_safe()
        assert instrument.finished()


# --- Keithley DMM6500

OPENING_DMM = """
    > *IDN?
    < KEITHLEY INSTRUMENTS,MODEL DMM6500,04440000,1.7.12b
    > *CLS
    > *LANG?
    < SCPI
"""


def test_dmm6500_reads_its_input():
    transcript = f"""
        {OPENING_DMM}
        > *CLS
        > :SENS:FUNC "FRES"
        > :SENS:FRES:NPLC 1
        > :SENS:FRES:RANG:AUTO ON
        {NO_ERROR}
        > :READ?
        < 3.414127E-04
        {NO_ERROR}
    """
    with (
        Scripted(transcript) as instrument,
        KeithleyDmm6500(instrument.address, four_wire=True, timeout_s=1) as meter,
    ):
        assert meter.read_resistances([1]) == {1: 3.414127e-4}
        assert instrument.finished()


def test_dmm6500_scans_its_card():
    transcript = f"""
        {OPENING_DMM}
        > :ROUT:TERM?
        < REAR
        > *CLS
        > :SENS:FUNC "RES",(@1:9)
        > :SENS:RES:NPLC 1,(@1:9)
        > :SENS:RES:RANG:AUTO ON,(@1:9)
        > :ROUT:SCAN:CRE (@1:9)
        > :ROUT:SCAN:COUN:SCAN 1
        {NO_ERROR}
        > :TRAC:CLE "defbuffer1"
        > :INIT
        > *OPC?
        < 1
        > :TRAC:DATA? 1,9,"defbuffer1",READ
        < {",".join(["1.045300E+03"] * 8)},9.900000E+37
        {NO_ERROR}
    """
    with (
        Scripted(transcript) as instrument,
        KeithleyDmm6500(instrument.address, scanner_card=True, timeout_s=1) as meter,
    ):
        readings = meter.read_resistances(range(1, 10))
        assert (readings[1], readings[9]) == (1045.3, NoReading.OVERLOAD)
        assert instrument.finished()


def test_dmm6500_wants_its_rear_terminals_for_a_card_alone():
    with VirtualKeithleyDmm6500({1: lambda: 1000.0}, terminals="FRON", clock=ManualClock()) as virtual:
        with KeithleyDmm6500(virtual.address, timeout_s=1) as meter:
            assert meter.read_resistances([1])[1] == pytest.approx(1000.0, rel=1e-3)
        with pytest.raises(WrongInstrument, match="press TERMINALS"):
            KeithleyDmm6500(virtual.address, scanner_card=True, timeout_s=1)


# --- Keysight 34970A and 34972A

OPENING_34970A = """
    > *IDN?
    < {identity}
    > *CLS
"""
IDENTITIES = [
    "HEWLETT-PACKARD,34970A,0,13-2-2",
    "Agilent Technologies,34972A,MY49000001,1.16-1.12-02-02",
    "Keysight Technologies,34972A,MY59000001,1.17-1.12-02-02",
]
READY_34970A = """
    > *CLS
    > CONF:FRES AUTO,DEF,(@101:103)
    > SENS:FRES:NPLC 1,(@101:103)
    > ROUT:CHAN:DEL 0.5,(@101:103)
    > TRIG:SOUR IMM
    > TRIG:COUN 1
    > FORM:READ:CHAN ON
    > FORM:READ:TIME OFF
    > FORM:READ:UNIT OFF
    > FORM:READ:ALAR OFF
    > SYST:ERR?
    < +0,"No error"
"""


@pytest.mark.parametrize("identity", IDENTITIES)
def test_34970a_byte_for_byte(identity):
    transcript = f"""
        {OPENING_34970A.format(identity=identity)}
        {READY_34970A}
        > READ?
        < +1.04530000E+03,101,-3.10000000E-02,102,+9.90000000E+37,103
        > SYST:ERR?
        < +0,"No error"
        > ABOR
        > SYST:ERR?
        < +0,"No error"
    """
    with (
        Scripted(transcript) as instrument,
        Keysight34970A(instrument.address, four_wire=True, delay_s=0.5, timeout_s=1) as meter,
    ):
        readings = meter.read_resistances([103, 101, 102])
        assert readings == {101: 1045.3, 102: -0.031, 103: NoReading.OVERLOAD}
        meter.make_safe()
        assert instrument.finished()


@pytest.mark.parametrize(
    "reply",
    [
        "+1.0E+03,101,+1.0E+03,103,+1.0E+03,102",  # another order
        "+1.0E+03,101,+1.0E+03,102",
        "+1.0E+03,+1.0E+03,+1.0E+03",
        "+1.0E+03,101,+1.0E+03,102,+1.0E+03,103,1",
        "+1.0E+03 OHM,101,+1.0E+03,102,+1.0E+03,103",
    ],
)
def test_34970a_a_reading_is_never_taken_for_another_channels(reply):
    transcript = f"{OPENING_34970A.format(identity=IDENTITIES[0])}{READY_34970A}> READ?\n< {reply}"
    with (
        Scripted(transcript) as instrument,
        Keysight34970A(instrument.address, four_wire=True, delay_s=0.5, timeout_s=1) as meter,
        pytest.raises(BadReply),
    ):
        meter.read_resistances([101, 102, 103])


def test_34970a_tells_its_scan_list_as_a_block():
    with VirtualKeysight34970A({}, clock=ManualClock()) as virtual:
        assert virtual.answer("ROUT:SCAN?") == "#13(@)"
        virtual.answer("ROUT:SCAN (@101:103)")
        assert virtual.answer("ROUT:SCAN?") == "#214(@101,102,103)"
        assert virtual.answer("ROUT:SCAN:SIZE?") == "+3"


@pytest.mark.parametrize(("card_channels", "last", "beyond"), [(20, 310, 311), (16, 308, 309)])
def test_34970a_four_wire_takes_the_upper_half_of_a_card(card_channels, last, beyond):
    with (
        VirtualKeysight34970A({last: lambda: 0.25}, card_channels=card_channels, clock=ManualClock()) as virtual,
        Keysight34970A(virtual.address, four_wire=True, card_channels=card_channels, timeout_s=1) as meter,
    ):
        assert meter.read_resistances([last])[last] == pytest.approx(0.25, rel=1e-3)
        with pytest.raises(OutOfRange, match=f"channel {beyond}"):
            meter.check_channels([beyond])


def test_34970a_waits_for_its_own_delays():
    with VirtualKeysight34970A({}, clock=ManualClock()) as virtual:
        with Keysight34970A(virtual.address, delay_s=2.0, timeout_s=1) as patient:
            assert patient.scan_duration_s(10) > 20
        with Keysight34970A(virtual.address, timeout_s=1) as quick:
            assert quick.scan_duration_s(10) < 5


# --- Keithley 2750


def test_2750_has_five_slots():
    identity = "> *IDN?\n< KEITHLEY INSTRUMENTS INC.,MODEL 2750,1149456,B09  /A02\n> *CLS"
    with Scripted(identity) as instrument, Keithley2700(instrument.address, slots=5, timeout_s=1) as meter:
        meter.check_channels([101, 520])
        with pytest.raises(OutOfRange, match="channel 601"):
            meter.check_channels([601])


# --- all

SENSORS = {1: lambda: 288e3, 2: lambda: math.inf, 3: lambda: 4.7e6, 5: lambda: 12.5}


@pytest.mark.parametrize("four_wire", [False, True])
@pytest.mark.parametrize(
    ("driver", "server"), [(Keithley2000, VirtualKeithley2000), (KeithleyDmm6500, VirtualKeithleyDmm6500)]
)
def test_a_scan_over_the_card_of_ten(driver, server, four_wire):
    with (
        server(SENSORS, clock=ManualClock(), noise=0.0) as virtual,
        driver(virtual.address, four_wire=four_wire, scanner_card=True, timeout_s=1) as meter,
    ):
        assert meter.read_resistances([3, 2, 1, 5]) == {
            3: pytest.approx(4.7e6),
            2: NoReading.OVERLOAD,
            1: pytest.approx(288e3),
            5: pytest.approx(12.5),
        }
        for channel in (6, 10) if four_wire else (11,):
            with pytest.raises(OutOfRange, match=f"channel {channel}"):
                meter.read_resistances([1, channel])


@pytest.mark.parametrize(
    ("driver", "server", "channel"),
    [
        (Keithley2000, VirtualKeithley2000, 1),
        (KeithleyDmm6500, VirtualKeithleyDmm6500, 1),
        (Keysight34970A, VirtualKeysight34970A, 101),
    ],
)
def test_a_meter_that_others_have_set_up_anew_says_so_and_is_set_up_again(driver, server, channel):
    with (
        server({channel: lambda: 288e3}, clock=ManualClock()) as virtual,
        driver(virtual.address, timeout_s=1) as meter,
    ):
        meter.read_resistances([channel])
        virtual.answer(":WHAT:EVER")
        with pytest.raises(Refused, match="-113"):
            meter.read_resistances([channel])
        assert meter.read_resistances([channel])[channel] == pytest.approx(288e3, rel=1e-3)


@pytest.mark.parametrize(
    ("driver", "settings"),
    [
        (Keithley2000, {"nplc": 0.001}),
        (Keithley2000, {"nplc": float("nan")}),
        (KeithleyDmm6500, {"nplc": 20.0}),
        (Keysight34970A, {"nplc": 3.0}),
        (Keysight34970A, {"delay_s": 61.0}),
    ],
)
def test_a_setting_that_the_meter_does_not_have_is_refused_before_anything_is_opened(driver, settings):
    with pytest.raises(OutOfRange):
        driver(NOWHERE, **settings)
