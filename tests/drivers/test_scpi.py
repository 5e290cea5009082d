"""The declarative layer: what a declaration reads, refuses, sends and verifies."""

import pytest

from drivers.interface import (
    BadReply,
    InstrumentTimeout,
    NoReading,
    NotSafe,
    OutOfRange,
    Range,
    Refused,
    Unreachable,
    WrongInstrument,
)
from drivers.scpi import (
    ScpiInstrument,
    choice,
    declarations,
    finite_number,
    number,
    read_number,
    switch,
    wire_number,
)
from tests.drivers.scripted import Scripted

OPENING = """
    > *IDN?
    < ACME,SUPPLY 1,0001,1.0
    > *CLS
"""


class Supply(ScpiInstrument):
    """A supply as simple as they come."""

    model = "Supply"
    safe_state = "output off"
    identity = r"ACME,SUPPLY 1,"

    output = switch(":OUTP", doc="Output relay.")
    voltage = number(":SOUR:VOLT", "V", within=Range(-1.0, 20.0), rounding=1e-3, doc="Level.")
    mode = choice(":SOUR:FUNC", Steady="FIX", Sweep="SWE", doc="How the level moves.")

    def make_safe(self) -> None:
        Supply.output.set_verified(self, False)


def play(transcript: str) -> Scripted:
    return Scripted(OPENING + transcript)


def test_attributes_are_asked_and_sent():
    with (
        play(
            """
            > :SOUR:VOLT?
            < +4.200000E+00
            > :SOUR:VOLT -0.5
            > :SOUR:VOLT 1e-06
            > :OUTP ON
            > :OUTP?
            < 1
            > :SOUR:FUNC SWE
            > :SOUR:FUNC?
            < FIX
            """
        ) as instrument,
        Supply(instrument.address, timeout_s=1) as supply,
    ):
        assert supply.voltage == 4.2
        supply.voltage = -0.5
        supply.voltage = 1e-6
        supply.output = True
        assert supply.output is True
        supply.mode = "Sweep"
        assert supply.mode == "Steady"
        assert instrument.finished()


@pytest.mark.parametrize("value", [20.001, -1.001, float("nan"), float("inf")])
def test_a_value_outside_the_range_is_refused_and_nothing_is_sent(value):
    with play("> :OUTP OFF") as instrument, Supply(instrument.address, timeout_s=1) as supply:
        with pytest.raises(OutOfRange, match=r"voltage: .* V is outside -1 … 20 V; nothing was sent"):
            supply.voltage = value
        supply.output = False  # the next bytes on the wire are these
        with pytest.raises(OutOfRange, match="'Fast' is none of Steady, Sweep"):
            supply.mode = "Fast"


def test_verified_setting_allows_for_rounding_and_no_more():
    with (
        play(
            """
            > :SOUR:VOLT 4.2
            > :SOUR:VOLT?
            < 4.199500E+00
            > :SOUR:VOLT 4.2
            > :SOUR:VOLT?
            < 4.202500E+00
            > :OUTP OFF
            > :OUTP?
            < 1
            """
        ) as instrument,
        Supply(instrument.address, timeout_s=1) as supply,
    ):
        Supply.voltage.set_verified(supply, 4.2)
        with pytest.raises(NotSafe, match=r"voltage was set to 4\.2 V and reads back 4\.2025 V"):
            Supply.voltage.set_verified(supply, 4.2)
        with pytest.raises(NotSafe, match="output was set to off and reads back on"):
            supply.make_safe()


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        ("voltage", "+9.9E37"),
        ("voltage", "nan"),
        ("voltage", "4,2"),
        ("voltage", ""),
        ("output", "2"),
        ("mode", "LIST"),
    ],
)
def test_an_answer_that_is_no_such_value_is_a_bad_reply(query, reply):
    command = declarations(Supply)[query].command
    with (
        play(f"> {command}?\n< {reply}") as instrument,
        Supply(instrument.address, timeout_s=1) as supply,
        pytest.raises(BadReply),
    ):
        getattr(supply, query)


def test_all_errors_in_the_queue_are_told_at_once():
    with (
        play(
            """
            > :SYST:ERR?
            < -222,"Data out of range;1;2015/05/06 12:57:04.484"
            > :SYST:ERR?
            < -113,"Undefined header"
            > :SYST:ERR?
            < +0,"No error"
            > :SYST:ERR?
            < 0,"No error;0,0,0"
            """
        ) as instrument,
        Supply(instrument.address, timeout_s=1) as supply,
    ):
        with pytest.raises(Refused, match="-222 Data out of range; -113 Undefined header") as caught:
            supply.check_errors()
        assert instrument.address in str(caught.value)
        supply.check_errors()
        assert instrument.finished()


def test_another_instrument_at_the_address():
    with Scripted("> *IDN?\n< ACME,LOAD 7,0001,1.0") as instrument:
        with pytest.raises(WrongInstrument, match=r"not a Supply: it says 'ACME,LOAD 7,0001,1\.0'"):
            Supply(instrument.address, timeout_s=1)
        assert instrument.finished()


def test_a_silent_instrument_and_one_that_was_closed():
    with play("") as instrument:
        supply = Supply(instrument.address, timeout_s=0.2)
        with pytest.raises(InstrumentTimeout):
            _ = supply.voltage
        supply.close()
        supply.close()
        with pytest.raises(Unreachable, match="closed"):
            supply.identify()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+1.04530000E+03", 1045.3),
        ("3.414127E-04", 3.414127e-4),
        ("-.5", -0.5),
        ("+9.9E37", NoReading.OVERLOAD),
        ("+9.90000000E+37", NoReading.OVERLOAD),
        ("-9.9E37", NoReading.OVERLOAD),
        ("+9.91E37", NoReading.NOT_AVAILABLE),
    ],
)
def test_readings(text, value):
    assert read_number(text) == value


@pytest.mark.parametrize("text", ["", "nan", "inf", "1.0.0", "1e", "0x10", "1_000", "+1.0 OHM", "٣"])
def test_what_is_no_reading(text):
    with pytest.raises(ValueError):
        read_number(text)


def test_numbers_on_the_wire():
    assert [wire_number(value) for value in (4.2, -0.001, 1e-6, 0, 1.05)] == ["4.2", "-0.001", "1e-06", "0", "1.05"]
    with pytest.raises(ValueError, match="stands for overload"):
        finite_number("+9.9E37")


def test_declarations_can_be_walked():
    assert sorted(declarations(Supply)) == ["mode", "output", "voltage"]
    assert (Supply.voltage.unit, Supply.voltage.within, Supply.voltage.__doc__) == ("V", Range(-1.0, 20.0), "Level.")
