"""The SIMSERV chamber: bytes on the wire, refusals, and physics through driver and virtual chamber."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from drivers.interface import (
    BadReply,
    InstrumentError,
    InstrumentTimeout,
    NoReading,
    NotSafe,
    OutOfRange,
    Refused,
)
from drivers.simserv import SimServChamber
from drivers.simulated.clock import ManualClock
from drivers.simulated.simserv import VirtualSimServ
from drivers.testing.faults import FaultProxy, cut_after, garble, swallow


@pytest.fixture
def virtual() -> Iterator[VirtualSimServ]:
    with VirtualSimServ(ManualClock(1000.0), start_s=0.0) as chamber:
        yield chamber


def opened(virtual: VirtualSimServ, **settings: float) -> SimServChamber:
    limits = {"temperature_min_degC": -20.0, "temperature_max_degC": 80.0, "start_wait_s": 0.0, "timeout_s": 5.0}
    return SimServChamber(virtual.address, **(limits | settings))


# --- bytes


def test_the_separator_is_one_byte_and_a_set_point_is_read_back_before_the_start(virtual: VirtualSimServ) -> None:
    with opened(virtual) as chamber:
        virtual.received.clear()
        chamber.set_temperature(25.0)
    assert virtual.received == [
        b"14003\xb61\xb61",  # is the manual mode on?
        b"10012\xb61\xb61",  # it is not: does it run a program?
        b"11001\xb61\xb61\xb625.0",
        b"11002\xb61\xb61",
        b"14001\xb61\xb61\xb61",
        b"14003\xb61\xb61",
        b"10012\xb61\xb61",  # any alarm?
    ]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (b"14001\xb61\xb67\xb61", b"1"),  # compressed air on
        (b"14003\xb61\xb67", b"1\xb60"),
        (b"14003\xb61\xb699", b"-6"),
        (b"11066\xb61\xb61", b"1\xb60.0"),
        (b"11018\xb61", b"1\xb61"),
        (b"17002\xb61", b"1\xb60"),
        (b"19210\xb61", b"1\xb60"),
        (b"17012\xb61", b"1"),
        (b"12345\xb61", b"-5"),
    ],
)
def test_the_virtual_chamber_answers_what_public_clients_ask(
    virtual: VirtualSimServ, request_: bytes, said: bytes
) -> None:
    assert virtual.answer(request_.split(b"\xb6")) == said


def test_a_chamber_that_runs_is_not_started_again(virtual: VirtualSimServ) -> None:
    with opened(virtual) as chamber:
        chamber.set_temperature(25.0)
        virtual.received.clear()
        chamber.set_temperature(37.25)
    assert not any(request.startswith(b"14001") for request in virtual.received)
    assert b"11001\xb61\xb61\xb637.25" in virtual.received


def test_what_it_says_it_is(virtual: VirtualSimServ) -> None:
    with opened(virtual) as chamber:
        assert chamber.identify() == "VT3 4018 (simulated), serial number 58566000000010"
    assert virtual.received[-2:] == [b"99997\xb61\xb61", b"99997\xb61\xb63"]


# --- limits


def test_the_chambers_own_limits_narrow_the_settings(virtual: VirtualSimServ) -> None:
    virtual.input_limits_degC = (-10.0, 180.0)
    with opened(virtual) as chamber:
        for inside in (-10.0, 80.0):
            chamber.check_temperature(inside)
        for outside in (-10.1, 80.1, math.nan):
            with pytest.raises(OutOfRange, match=r"outside -10 … 80 °C; nothing was sent"):
                chamber.set_temperature(outside)
    assert not any(request.startswith(b"11001") for request in virtual.received)


@pytest.mark.parametrize("limits", [(80.0, -20.0), (-300.0, 80.0), (math.nan, 80.0)])
def test_limits_that_are_none_are_refused_before_anything_is_opened(limits: tuple[float, float]) -> None:
    with pytest.raises(OutOfRange, match="temperature_min_degC"):
        SimServChamber("192.0.2.1", temperature_min_degC=limits[0], temperature_max_degC=limits[1])


# --- refusals and faults


def test_a_program_of_its_own_is_left_alone(virtual: VirtualSimServ) -> None:
    virtual.program = True
    with opened(virtual) as chamber, pytest.raises(Refused, match="runs a program of its own"):
        chamber.set_temperature(30.0)
    assert virtual.set_point_degC == 25.0


def test_an_alarm_is_told(virtual: VirtualSimServ) -> None:
    virtual.alarm = True
    with opened(virtual) as chamber, pytest.raises(Refused, match="reports an alarm"):
        chamber.set_temperature(30.0)


def test_a_set_point_that_reads_back_otherwise_is_not_taken(
    virtual: VirtualSimServ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtual, "_set", lambda value: b"1")  # says 'done' and does nothing
    with opened(virtual) as chamber, pytest.raises(NotSafe, match="30 °C was set, and 25 °C reads back"):
        chamber.set_temperature(30.0)
    assert not virtual.manual


def test_a_chamber_that_does_not_start_is_told(virtual: VirtualSimServ) -> None:
    virtual.start_s = 1e9
    with opened(virtual) as chamber, pytest.raises(InstrumentTimeout, match="does not run"):
        chamber.set_temperature(30.0)


def test_a_broken_sensor_is_no_reading(virtual: VirtualSimServ) -> None:
    virtual.sensor_broken = True
    with opened(virtual) as chamber:
        assert chamber.read_temperature_degC() is NoReading.NOT_AVAILABLE


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"-5", Refused),
        (b"-6", Refused),
        (b"-99", Refused),
        (b"", BadReply),
        (b"1", BadReply),
        (b"1\xb6read failed", BadReply),
        (b"1\xb6nan", BadReply),
        (b"1\xb69.9e37", BadReply),
        (b"\xc2\xb6", BadReply),
    ],
)
def test_an_answer_that_is_no_temperature_is_an_error(
    virtual: VirtualSimServ, monkeypatch: pytest.MonkeyPatch, reply: bytes, error: type[InstrumentError]
) -> None:
    with opened(virtual) as chamber:
        monkeypatch.setattr(virtual, "answer", lambda fields: reply)
        with pytest.raises(error):
            chamber.read_temperature_degC()


@pytest.mark.parametrize("spoil", [swallow, garble, cut_after(0), cut_after(4)])
def test_a_set_point_on_a_spoiled_line_is_never_taken_for_done(virtual: VirtualSimServ, spoil: object) -> None:
    proxy = FaultProxy(virtual.port)
    with SimServChamber(
        proxy.address(virtual.resource), temperature_min_degC=0, temperature_max_degC=60, timeout_s=0.2
    ) as chamber:
        proxy.spoil = spoil  # type: ignore[assignment]
        with pytest.raises(InstrumentError):
            chamber.set_temperature(40.0)
    proxy.close()


# --- physics


def test_the_air_goes_to_the_set_point_and_a_cell_goes_with_it() -> None:
    clock, felt = ManualClock(0.0), []
    with VirtualSimServ(clock, [felt.append], time_constant_s=600.0, start_s=0.0) as virtual:
        with opened(virtual) as chamber:
            chamber.set_temperature(45.0)
            for _ in range(3):
                clock.sleep(600.0)
                chamber.read_temperature_degC()
            expected = 45.0 - 20.0 * math.exp(-3.0)
            assert chamber.read_temperature_degC() == pytest.approx(expected, abs=0.01)
        assert felt[0] == 25.0
        assert felt[-1] == pytest.approx(expected, abs=0.01)
        assert virtual.set_point_degC == 45.0 and virtual.manual, "a chamber goes on when nobody watches"
