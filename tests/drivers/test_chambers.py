"""Climate chambers by Binder, ESPEC, Memmert and with ASCII-2: bytes, refusals, limits, and a cell inside."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from drivers.ascii2 import Ascii2Chamber
from drivers.binder import BinderMb1, BinderMb2
from drivers.chamber import LimitedChamber
from drivers.espec import EspecChamber
from drivers.interface import (
    BadReply,
    Chamber,
    InstrumentError,
    InstrumentTimeout,
    NoReading,
    NotSafe,
    OutOfRange,
    Refused,
    Unreachable,
)
from drivers.memmert import MemmertChamber, read_values
from drivers.simserv import SimServChamber
from drivers.simulated.ascii2 import VirtualAscii2
from drivers.simulated.binder import VirtualBinderMb1, VirtualBinderMb2
from drivers.simulated.clock import ManualClock
from drivers.simulated.espec import VirtualEspec
from drivers.simulated.memmert import VirtualMemmert
from drivers.simulated.simserv import VirtualSimServ
from drivers.testing.faults import FaultProxy
from tests.drivers.test_force_gauges import Heart

LIMITS: dict[str, Any] = {
    "temperature_min_degC": -20.0,
    "temperature_max_degC": 60.0,
    "timeout_s": 0.3,
    "wait_s": 0.0,
}


def frames(
    act: Callable[[LimitedChamber], object], virtual: VirtualBinderMb1 | VirtualBinderMb2, driver: Any
) -> list[str]:
    """What goes over the wire for `act`."""
    with virtual, FaultProxy(virtual.port) as proxy, driver(proxy.address(virtual.resource), **LIMITS) as chamber:
        proxy.sent.clear()
        act(chamber)
        return [chunk.hex(" ").upper() for chunk in proxy.sent]


# --- Binder


def test_binder_mb1_bytes() -> None:
    sent = frames(lambda chamber: chamber.set_temperature(25.0), VirtualBinderMb1(ManualClock()), BinderMb1)  # type: ignore[attr-defined]
    wanted = ["01 10 15 6F 00 02 04 00 00 41 C8 76 91", "01 06 1A 22 08 00 29 18"]
    assert [frame for frame in sent if frame in wanted] == wanted, "the set points first, then the manual mode"
    assert [frame[3:17] for frame in sent] == [
        "03 1A 22 00 01",  # which mode?
        "10 15 81 00 02",
        "10 15 6F 00 02",
        "03 15 81 00 02",  # both read back
        "03 15 6F 00 02",
        "06 1A 22 08 00",
        "03 1A 22 00 01",  # does it run?
        "03 12 3D 00 01",  # any alarm?
    ]


def test_binder_mb1_reads_its_register() -> None:
    sent = frames(lambda chamber: chamber.read_temperature_degC(), VirtualBinderMb1(ManualClock()), BinderMb1)  # type: ignore[attr-defined]
    assert sent == ["01 03 11 A9 00 02 11 17"]


def test_binder_mb2_bytes() -> None:
    sent = frames(lambda chamber: chamber.set_temperature(25.0), VirtualBinderMb2(ManualClock()), BinderMb2)  # type: ignore[attr-defined]
    assert sent[0] == "01 10 11 4C 00 02 04 00 00 41 C8 06 5C"
    assert frames(lambda chamber: chamber.read_temperature_degC(), VirtualBinderMb2(ManualClock()), BinderMb2) == [  # type: ignore[attr-defined]
        "01 03 10 04 00 02 81 0A"
    ]


@pytest.mark.parametrize(
    ("words", "temperature_degC"),
    [((0x1C12, 0x4233), 44.77741241), ((0x47A0, 0x41FE), 31.78497314), ((0x0000, 0x420C), 35.0)],
)
def test_the_dumps_of_a_real_mb1(words: tuple[int, int], temperature_degC: float) -> None:
    class Dump(VirtualBinderMb1):
        def show(self) -> None:
            super().show()
            self.registers[self.ACTUAL], self.registers[self.ACTUAL + 1] = words

    with Dump(ManualClock()) as virtual, BinderMb1(virtual.address, **LIMITS) as chamber:
        assert chamber.read_temperature_degC() == pytest.approx(temperature_degC, abs=1e-7)


def test_binder_mb1_goes_on_in_basic_mode_and_leaves_programs_alone() -> None:
    with VirtualBinderMb1(ManualClock()) as virtual, BinderMb1(virtual.address, **LIMITS) as chamber:
        virtual.registers[virtual.MODE] = 0x1000
        chamber.set_temperature(40.0)
        assert (virtual.registers[virtual.MODE], virtual.goal_degC) == (0x1000, 40.0)
        virtual.registers[virtual.MODE] = 0x0400
        with pytest.raises(Refused, match="a program of its own"):
            chamber.set_temperature(50.0)
        assert virtual.get(virtual.MANUAL_SET) == 40.0
        virtual.registers[virtual.MODE] = 0x0001
        with pytest.raises(BadReply, match="mode 0x0001"):
            chamber.set_temperature(50.0)


def test_binder_mb1_tells_its_alarm() -> None:
    with VirtualBinderMb1(ManualClock()) as virtual, BinderMb1(virtual.address, **LIMITS) as chamber:
        virtual.say("TEMPERATURE LIMIT")
        with pytest.raises(Refused, match="an alarm: TEMPERATURE LIMIT"):
            chamber.set_temperature(40.0)


def test_binder_mb2_is_waited_for_and_found_out() -> None:
    with VirtualBinderMb2(ManualClock()) as virtual, BinderMb2(virtual.address, **LIMITS) as chamber:
        virtual.takes_looks = 4
        chamber.set_temperature(40.0)
        assert virtual.goal_degC == 40.0, "and it is idle no more"
        virtual.takes_looks = 10**6
        with pytest.raises(NotSafe, match="50 °C was set, and 40 °C reads back"):
            chamber.set_temperature(50.0)


def test_binder_serves_others_between_two_questions() -> None:
    with (
        VirtualBinderMb1(ManualClock()) as virtual,
        BinderMb1(virtual.address, **LIMITS) as one,
        BinderMb1(virtual.address.replace("127.0.0.1", "localhost"), **LIMITS) as other,
    ):
        for chamber in (one, other, one, other):
            assert chamber.read_temperature_degC() == 25.0


# --- ESPEC


def test_espec_dialog() -> None:
    with VirtualEspec(ManualClock()) as virtual:
        with EspecChamber(virtual.address, **LIMITS) as chamber:
            assert chamber.identify() == "ESPEC chamber, type T,T,S2,160.0, software P3SIM1.00"
            virtual.received.clear()
            chamber.set_temperature(25.0)
        assert virtual.received == ["MODE?", "TEMP, S25.0", "TEMP?", "MODE,CONSTANT", "MODE?", "ALARM?"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("MON?", "25.0,50,STANDBY,0"),
        ("MON?,DETAIL", "25.0,50,STANDBY,0"),
        ("HUMI?", "50,OFF,100,0"),
        ("TEMP, S30.0 H60.0 L-10.0", "OK:TEMP, S30.0 H60.0 L-10.0"),
        ("TEMP, S30.0 H20.0 L-10.0", "NA:DATA OUT OF RANGE"),
        ("HUMI,SOFF", "OK:HUMI,SOFF"),
        ("POWER,ON", "OK:POWER,ON"),
        ("RELAY,ON,1,2", "OK:RELAY,ON,1,2"),
        ("KEYPROTECT?", "OFF"),
        ("SET?", "REF9"),
        ("temp?", "NA:CMD ERR"),
    ],
)
def test_the_virtual_espec_answers_what_the_makers_library_asks(line: str, said: str) -> None:
    with VirtualEspec(ManualClock()) as virtual:
        assert virtual.answer(line) == said


def test_espec_limits_of_its_own_narrow_the_settings() -> None:
    with Heart({"TEMP?": "26.4,0.0,50.0,-10.0"}) as heart, EspecChamber(heart.address, **LIMITS) as chamber:
        assert chamber.read_temperature_degC() == 26.4
        assert (chamber.temperature_range.low, chamber.temperature_range.high) == (-10.0, 50.0)
        with pytest.raises(OutOfRange):
            chamber.set_temperature(50.1)
    assert heart.received == ["TEMP?", "TEMP?"]


def test_espec_on_a_line_with_others_is_asked_by_its_number() -> None:
    with Heart({"3,TEMP?": "26.4,0.0,140.0,-50.0"}) as heart:
        with EspecChamber(heart.address, unit=3, **LIMITS) as chamber:
            assert chamber.read_temperature_degC() == 26.4
        assert set(heart.received) == {"3,TEMP?"}


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"mode": "RUN"}, Refused, "a program of its own"),
        ({"alarms": [3, 17]}, Refused, "2 alarms"),
        ({"protected": True}, Refused, "PROTECT ON"),
    ],
)
def test_espec_refusals(change: dict[str, object], error: type[InstrumentError], said: str) -> None:
    with VirtualEspec(ManualClock()) as virtual, EspecChamber(virtual.address, **LIMITS) as chamber:
        for name, value in change.items():
            setattr(virtual, name, value)
        with pytest.raises(error, match=said):
            chamber.set_temperature(40.0)


@pytest.mark.parametrize("said", ["26.4,0.0,140.0", "26.4,OFF,140.0,-50.0", "", "1e3,0,0,0", "999.9,0.0,140.0,-50.0"])
def test_what_is_no_espec_temperature_is_an_error(said: str) -> None:
    with Heart({"TEMP?": said}) as heart, pytest.raises(BadReply):
        EspecChamber(heart.address, **LIMITS)


# --- Memmert


def test_memmert_dialog() -> None:
    with VirtualMemmert(ManualClock()) as virtual:
        with MemmertChamber(virtual.address, **LIMITS) as chamber:
            assert (chamber.temperature_range.low, chamber.temperature_range.high) == (0.0, 60.0)
            assert chamber.identify() == "Memmert IPP110plus (simulated), serial number F217.0001, software V4.1"
            virtual.received.clear()
            chamber.set_temperature(25.0)
        assert virtual.received == ["/atmoweb?CurOp=", "/atmoweb?TempSet=25.0", "/atmoweb?TempSet="]


@pytest.mark.parametrize(
    ("body", "values"),
    [
        ('"Temp1Read": 28.7,', {"Temp1Read": 28.7}),
        ('"Temp1Read": 28.7, "TempSet": -5,\r\n', {"Temp1Read": 28.7, "TempSet": -5}),
        ('"TempSet_Range": {min: 0.0, max: 70.0},', {"TempSet_Range": {"min": 0.0, "max": 70.0}}),
        ('{"CurOp": Manual}', {"CurOp": "Manual"}),
        ('"Temp2Read": N/A,', {"Temp2Read": "N/A"}),
    ],
)
def test_memmert_answers_that_are_nearly_json(body: str, values: dict[str, object]) -> None:
    assert read_values(body) == values


@pytest.mark.parametrize("firmware", [{}, {"bare_words": True}, {"braces": True}])
def test_memmert_of_each_firmware(firmware: dict[str, bool]) -> None:
    with VirtualMemmert(ManualClock()) as virtual:
        for name, value in firmware.items():
            setattr(virtual, name, value)
        with MemmertChamber(virtual.address, **LIMITS) as chamber:
            chamber.set_temperature(25.0)
            assert chamber.read_temperature_degC() == 25.0
            virtual.sensor_broken = True
            assert chamber.read_temperature_degC() is NoReading.NOT_AVAILABLE


def test_a_memmert_that_says_more_than_it_was_asked() -> None:
    class Talkative(VirtualMemmert):
        def _body(self, path: str) -> str:
            return '{"Temp1Read": 21.5, "Temp4Read": "N/D", "TempSet_Range": {"min": 0, "max": 70}}'

    with Talkative(ManualClock()) as virtual, MemmertChamber(virtual.address, **LIMITS) as chamber:
        assert chamber.read_temperature_degC() == 21.5


@pytest.mark.parametrize(
    "body", ['"Temp1Read": 28', '"Temp1Read": 28.7', "", "{", '"a": 1, "a": 2,', '"a": 1,,', '"a": NaN,', "<html>,"]
)
def test_what_is_cut_or_doubled_is_no_memmert_answer(body: str) -> None:
    try:
        found = read_values(body)
    except ValueError:
        return
    assert found == {"a": "NaN"}, "a word, which is no number"


def test_memmert_refusals() -> None:
    with VirtualMemmert(ManualClock()) as virtual, MemmertChamber(virtual.address, **LIMITS) as chamber:
        virtual.operation = "Prog"
        with pytest.raises(Refused, match="it is in the mode 'Prog'"):
            chamber.set_temperature(40.0)
        virtual.operation, virtual.remote = "Manual", False
        with pytest.raises(NotSafe, match="40 °C was set, and 25 °C reads back"):
            chamber.set_temperature(40.0)
        virtual.sensor_broken = True
        assert chamber.read_temperature_degC() is NoReading.NOT_AVAILABLE
    with pytest.raises(Unreachable, match="http://host"):
        MemmertChamber("192.0.2.1", **LIMITS)


# --- ASCII-2


def test_ascii2_writes_what_it_read_but_for_the_temperature_and_the_start() -> None:
    with VirtualAscii2(ManualClock(), start_digit=1) as virtual:
        virtual.digits = "1" + "0" * 30 + "1"
        with Ascii2Chamber(virtual.address, start_digit=1, **LIMITS) as chamber:
            virtual.received.clear()
            chamber.set_temperature(-5.5)
            assert chamber.read_temperature_degC() == 25.0
        assert virtual.received[:2] == ["$01I", "$01E -005.5 0050.0 11000000000000000000000000000001"]


@pytest.mark.parametrize(
    "said",
    [
        "",
        "0025.0 0024.9",
        "25.0 24.9 " + "0" * 32,
        "0025.0 " + "0" * 32,
        "0025.0 0024.9 " + "0" * 31,
        "0025.0 0024.9 " + "2" * 32,
    ],
)
def test_what_is_no_ascii2_state_is_an_error(said: str) -> None:
    with Heart({"$01I": said}, b"\r") as heart, pytest.raises(BadReply):
        Ascii2Chamber(heart.address, start_digit=1, **LIMITS)


def test_ascii2_with_the_wrong_digit_is_found_out() -> None:
    class Fixed(VirtualAscii2):
        def answer(self, line: str) -> str | None:
            return super().answer(line.replace(" 01", " 00"))  # it does not start by this digit

    with (
        Fixed(ManualClock()) as virtual,
        Ascii2Chamber(virtual.address, start_digit=1, **LIMITS) as chamber,
        pytest.raises(InstrumentTimeout, match="does not run"),
    ):
        chamber.set_temperature(30.0)


# --- all of them

ALL = [
    pytest.param(VirtualBinderMb1, BinderMb1, id="binder-mb1"),
    pytest.param(VirtualBinderMb2, BinderMb2, id="binder-mb2"),
    pytest.param(VirtualEspec, EspecChamber, id="espec"),
    pytest.param(VirtualMemmert, MemmertChamber, id="memmert"),
    pytest.param(VirtualAscii2, lambda address, **more: Ascii2Chamber(address, start_digit=1, **more), id="ascii2"),
    pytest.param(
        lambda *args, **more: VirtualSimServ(*args, start_s=0.0, **more),
        lambda address, wait_s, **more: SimServChamber(address, start_wait_s=wait_s, **more),
        id="simserv",
    ),
]


@pytest.mark.parametrize(("make", "open_it"), ALL)
def test_the_air_goes_to_the_set_point_and_a_cell_goes_with_it(make: Any, open_it: Any) -> None:
    clock, felt = ManualClock(0.0), list[float]()
    with make(clock, [felt.append], time_constant_s=600.0) as virtual, open_it(virtual.address, **LIMITS) as chamber:
        assert isinstance(chamber, Chamber)
        chamber.set_temperature(45.0)
        for _ in range(3):
            clock.sleep(600.0)
            reading = chamber.read_temperature_degC()
        assert reading == pytest.approx(45.0 - 20.0 * math.exp(-3.0), abs=0.06)
        chamber.make_safe()
        chamber.close()
        assert felt[0] == 25.0 and felt[-1] == pytest.approx(reading, abs=0.06)


@pytest.mark.parametrize(("make", "open_it"), ALL)
def test_limits_and_safe_temperature_on_this_side_of_the_wire(make: Any, open_it: Any) -> None:
    with make(ManualClock()) as virtual:
        with open_it(virtual.address, safe_temperature_degC=22.0, **LIMITS) as chamber:
            chamber.check_temperature(60.0)
            assert chamber.safe_temperature_degC == 22.0
            for outside in (-20.1, 60.1, math.nan, math.inf):
                with pytest.raises(OutOfRange):
                    chamber.check_temperature(outside)
        for wrong in (61.0, math.nan):
            with pytest.raises(OutOfRange, match="setting safe_temperature_degC"):
                open_it(virtual.address, safe_temperature_degC=wrong, **LIMITS)
        with pytest.raises(OutOfRange, match="the first below the second"):
            open_it(virtual.address, **(LIMITS | {"temperature_min_degC": 60.0}))
