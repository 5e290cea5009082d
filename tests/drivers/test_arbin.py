"""Arbin's CTI: frames recorded from a cycler, schedules, and what a lost answer leaves."""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import arbin_frames as cti
from drivers.arbin import ArbinCti, CtiSocket
from drivers.arbin_frames import Command, FrameError, Status
from drivers.interface import Activity, BadReply, CyclerState, InstrumentTimeout, OutOfRange, Refused, WrongInstrument
from drivers.simulated.arbin import VirtualArbin
from drivers.simulated.clock import ManualClock
from drivers.simulated.stored_procedure import Safety, State
from drivers.testing import FaultProxy
from tests.drivers.cases_cyclers import LIMITS, PROCEDURES, QuickArbin
from tests.drivers.neware_bench import CapacitorCell

TOKEN = "dddddddddddddd11"

# Recorded from a cycler by BatteryDataAlliance/pyctiarbin (tests/example_messages; user and password replaced there).
LOGIN = bytes.fromhex(
    f"{TOKEN} 4a000000 0100abee 00000000"
    + b"fake username".ljust(32, b"\0").hex()
    + b"fake passowrd".ljust(32, b"\0").hex()
    + "4112"
)
CHANNEL_INFO = bytes.fromhex(f"{TOKEN} 32000000 0300abee 00000000 0d000100 00000000 {'00' * 32} f807")
STOP = bytes.fromhex(f"{TOKEN} 74000000 010031bb 00000000 0d000000 {'00' * 102} 8a07")
START = bytes.fromhex(
    f"{TOKEN} a0000000 040032bb 00000000"
    + "sample_test_name".encode("utf-16-le").ljust(144, b"\0").hex()
    + "01000000 0d00 5c0e"
)
ASSIGN = bytes.fromhex(
    f"{TOKEN} 93020000 010021bb 00000000 0d000000 00"
    + "Rest+207855.sdx".encode("utf-16-le").ljust(400, b"\0").hex()
    + "0000803f" + "00" * 144 + "0000803f" * 16 + "00" * 32 + "cb18"
)  # fmt: skip
STOPPED = bytes.fromhex(f"{TOKEN} 80000000 010013bb 00000000 0d000000 {'00' * 102} 7807")
STARTED = bytes.fromhex(f"{TOKEN} 80000000 040023bb 00000000 0d000000 {'00' * 102} 8b07")
ASSIGNED = bytes.fromhex(f"{TOKEN} 80000000 010012bb 00000000 0d000000 {'00' * 102} 7707")


RECORDED_SHA256 = "3d37440758ec73d1740d8cab28cd7bea86f73cc1888b4bec4f0e256345ae5d7b"


def recorded_channel_info() -> bytes:
    """The recorded reply, put together from its fields; its checksum is that of the record."""
    wide = lambda text, size: text.encode("utf-16-le").ljust(size, b"\0")  # noqa: E731
    body = bytes.fromhex(f"{TOKEN} f3060000 0300baee 00000000 01000000 0d000000 0400 00")
    body += wide("Rest+207855.sdx", 400) + wide("0", 144) + b"N/A".ljust(100, b"\0")
    body += b"[1] 1: Step_A, Rest".ljust(64, b"\0") + bytes(144 + 400 + 400)
    body += struct.pack("<Hddf", 13, 2.5432, 2.5432, 3.4564647674560547) + bytes(4 * 11 + 2 * 14)
    return body + (sum(body) & 0xFFFF).to_bytes(2, "little")


def test_requests_are_those_recorded_byte_for_byte():
    assert cti.login("fake username", "fake passowrd") == LOGIN
    assert cti.channel_info(13) == CHANNEL_INFO
    assert cti.stop(13) == STOP
    assert cti.start(13, "sample_test_name") == START
    assert cti.assign_schedule(13, "Rest+207855.sdx") == ASSIGN
    assert [len(frame) for frame in (LOGIN, CHANNEL_INFO, STOP, START, ASSIGN)] == [86, 62, 128, 172, 671]


def test_replies_are_read_as_recorded():
    frame = recorded_channel_info()
    assert len(frame) == cti.frame_length(frame) == 1779
    assert hashlib.sha256(frame).hexdigest() == RECORDED_SHA256
    info = cti.read_channel_info(cti.arguments_of(frame, Command.CHANNEL_INFO))
    assert (info.channel, info.status, info.schedule, info.test_name) == (13, Status.REST, "Rest+207855.sdx", "0")
    assert (info.exit_condition, info.step) == ("N/A", "[1] 1: Step_A, Rest")
    assert (info.test_time_s, info.step_time_s) == (2.5432, 2.5432)
    assert (info.voltage_V, info.current_A) == (3.4564647674560547, 0.0)
    for frame, command in ((STOPPED, Command.STOP), (STARTED, Command.START), (ASSIGNED, Command.ASSIGN_SCHEDULE)):
        assert cti.read_feedback(cti.arguments_of(frame, command)) == cti.Feedback(13, 0)


@given(position=st.integers(0, 127), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found(position, bit):
    spoilt = bytearray(STOPPED)
    spoilt[position] ^= 1 << bit
    with pytest.raises(FrameError):
        if (length := cti.frame_length(bytes(spoilt))) is None or length > len(spoilt):
            raise FrameError("waits for more, until the time is out")
        cti.arguments_of(bytes(spoilt[:length]), Command.STOP)


@given(st.binary(max_size=200))
def test_anything_at_all_is_a_frame_or_an_error(content):
    try:
        length = cti.frame_length(content)
    except FrameError:
        return
    assert length is None or 22 <= length <= cti.LONGEST


@pytest.mark.parametrize(
    ("read", "size"), [(cti.read_login, 8655), (cti.read_feedback, 4), (cti.read_channel_info, 1756)]
)
def test_a_short_reply_is_an_error(read, size):
    with pytest.raises(FrameError):
        read(bytes(size))


def test_a_server_that_does_not_count_the_checksum_in_the_length_is_understood():
    """As the public arbinspoofer has it; what lies behind the checksum is the next frame."""
    body = STOPPED[:8] + (126).to_bytes(4, "little") + STOPPED[12:-2]
    uncounted = body + cti.CHECKSUM.pack(cti.checksum(body))
    link = CtiSocket("127.0.0.1", default_port=1, instrument="Arbin")
    link._pending = uncounted + STARTED
    first, second = link._take(), link._take()
    assert first is not None and cti.read_feedback(cti.arguments_of(first, Command.STOP)) == cti.Feedback(13, 0)
    assert second == STARTED
    link._pending = uncounted[:-2] + b"\0\0"
    with pytest.raises(FrameError, match="checksum"):
        cti.arguments_of(link._take() or b"", Command.STOP)


SET_VARIABLE = bytes.fromhex(
    f"{TOKEN} 3e000000 010015bb 00000000 0d000000 01000000 34000000 {'00' * 16} 01000000 cdcc4c3e {'00' * 16} 9109"
)
VARIABLE_SET = bytes.fromhex(f"{TOKEN} 80000000 010051bb 00000000 0d000000 {'00' * 102} b607")


# --- at work


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000.0)


@pytest.fixture
def cycler(clock: ManualClock) -> Iterator[VirtualArbin]:
    cells = tuple(CapacitorCell(clock, capacitance_F=1.0) for _ in range(14))
    with VirtualArbin(cells, clock, schedules=PROCEDURES, user="me", password="it") as cycler:
        yield cycler


@pytest.fixture
def arbin(cycler: VirtualArbin) -> Iterator[ArbinCti]:
    with QuickArbin(cycler.address, user="me", password="it", timeout_s=1.0) as driver:
        yield driver


def commands(cycler: VirtualArbin) -> list[int]:
    return [struct.unpack_from("<I", frame, 12)[0] for frame in cycler.requests]


def test_the_virtual_cycler_takes_a_variable_as_recorded(arbin, cycler):
    with socket.create_connection((cycler.host, cycler.port)) as client, client.makefile("rb") as replies:
        client.sendall(cti.login("me", "it") + SET_VARIABLE)
        replies.read(8678)
        assert replies.read(128)[24] == 0x12  # the channel does not run
        arbin.start_procedure("14", "rest", "run-1", LIMITS)
        client.sendall(SET_VARIABLE)
        assert replies.read(128) == VARIABLE_SET
    assert cycler.variables == {(13, 1): pytest.approx(0.2)}


def test_a_name_that_the_last_test_had_is_refused(arbin, cycler, clock):
    arbin.start_procedure("14", "rest", "run-1", LIMITS)
    clock.sleep(3601.0)
    assert arbin.procedure_status(["14"])["14"].state is CyclerState.FINISHED
    before = len(cycler.requests)
    with pytest.raises(Refused, match="its last test was 'run-1' too; nothing was started"):
        arbin.start_procedure("14", "rest", "run-1", LIMITS)
    assert 0xBB320004 not in commands(cycler)[before:]


def test_it_says_what_it_is(arbin):
    assert arbin.identify() == "Arbin, serial number 207855, 14 channels"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"user": "me", "password": "wrong"}, Refused, "log-in failed"),
        ({"user": "", "password": "it"}, OutOfRange, "1 to 32"),
        ({"user": "x" * 33, "password": "it"}, OutOfRange, "1 to 32"),
    ],
)
def test_a_wrong_log_in_is_told(cycler, settings, error, message):
    with pytest.raises(error, match=message):
        ArbinCti(cycler.address, timeout_s=1.0, **settings)


def test_a_start_assigns_and_looks_before_it_starts_once(cycler, arbin):
    cycler.requests.clear()
    arbin.start_procedure("14", "cycle", "cell-7_run", LIMITS)
    sent = commands(cycler)
    assert sent.count(Command.START) == sent.count(Command.ASSIGN_SCHEDULE) == 1
    assert sent.index(Command.ASSIGN_SCHEDULE) < sent.index(Command.START)
    assert cti.start(13, "cell-7_run") in cycler.requests
    status = arbin.procedure_status(["14"])["14"]
    assert (status.state, status.label, status.procedure) == (CyclerState.RUNNING, "cell-7_run", "cycle")


def test_a_schedule_is_followed_to_its_end(clock, arbin):
    arbin.start_procedure("1", "cycle", "run", LIMITS)
    clock.sleep(10.0)
    status = arbin.procedure_status(["1"])["1"]
    assert (status.activity, status.step) == (Activity.CHARGE, "[1] 1: Step_A, Charge")
    assert status.measurement.current_A == pytest.approx(0.01)
    assert status.counted_Ah == pytest.approx(0.1 / 3600)
    clock.sleep(60.0)
    status = arbin.procedure_status(["1"])["1"]
    assert (status.activity, status.step) == (Activity.DISCHARGE, "[1] 3: Step_C, Discharge")
    assert status.measurement.current_A == pytest.approx(-0.01)
    clock.sleep(1000.0)
    assert arbin.procedure_status(["1"])["1"].state is CyclerState.FINISHED
    arbin.start_procedure("1", "rest", "next", LIMITS)


@pytest.mark.parametrize("minus_one", [True, False])
def test_a_success_names_the_channel_or_minus_one(cycler, arbin, minus_one):
    cycler.minus_one = minus_one
    arbin.start_procedure("3", "rest", "run", LIMITS)
    arbin.stop("3")


def test_refusals_are_told_in_words_and_start_nothing(cycler, arbin):
    with pytest.raises(Refused, match=r"0x13: there is no schedule of this name"):
        arbin.start_procedure("1", "wombat.sdx", "run", LIMITS)
    cycler.window_open = True
    with pytest.raises(Refused, match="someone has the start or resume window open"):
        arbin.start_procedure("1", "rest", "run", LIMITS)
    cycler.window_open = False
    arbin.start_procedure("1", "rest", "run", LIMITS)
    with pytest.raises(Refused, match="it is running; nothing was started"):
        arbin.start_procedure("1", "rest", "again", LIMITS)
    assert commands(cycler).count(Command.START) == 1


def test_a_user_who_may_only_look_is_told_before_anything_is_sent(clock):
    cells = (CapacitorCell(clock),)
    with (
        VirtualArbin(cells, clock, schedules=PROCEDURES, user="me", password="it", may_control=False) as cycler,
        QuickArbin(cycler.address, user="me", password="it") as driver,
        pytest.raises(Refused, match="may look and not control"),
    ):
        driver.start_procedure("1", "rest", "run", LIMITS)


def test_another_schedule_than_the_one_asked_for_is_not_started(cycler, arbin, monkeypatch):
    monkeypatch.setattr(cycler, "_assign", lambda arguments: cycler._feedback(0xBB120001, 0, 0))
    with pytest.raises(Refused, match="'rest' was assigned, and '' is"):
        arbin.start_procedure("1", "rest", "run", LIMITS)
    assert Command.START not in commands(cycler)


@pytest.mark.parametrize("does", [True, False])
def test_a_lost_answer_to_a_start_is_decided_by_what_the_channel_shows(does, cycler, monkeypatch):
    with (
        FaultProxy(cycler.port) as proxy,
        QuickArbin(proxy.address(cycler.resource), user="me", password="it", timeout_s=0.3) as driver,
    ):
        real = cycler._start

        def start(arguments: bytes) -> bytes:
            proxy.spoil = lambda chunk: heal() or b""
            return real(arguments) if does else STARTED

        def heal() -> None:
            proxy.spoil = None

        monkeypatch.setattr(cycler, "_start", start)
        if does:
            driver.start_procedure("1", "rest", "run", LIMITS)
        else:
            with pytest.raises(Refused, match="did not start, and was not sent again"):
                driver.start_procedure("1", "rest", "run", LIMITS)
        assert commands(cycler).count(Command.START) == 1
        assert commands(cycler).count(Command.LOGIN) == 2, "a new link is logged in anew"


def test_a_start_that_is_confirmed_and_does_not_show_is_not_known(cycler, arbin, monkeypatch):
    monkeypatch.setattr(cycler, "_start", lambda arguments: cycler._feedback(0xBB230004, 0, 0))
    with pytest.raises(InstrumentTimeout, match="whether 'run' runs is not known; it was not sent again"):
        arbin.start_procedure("1", "rest", "run", LIMITS)


def test_stop_and_continue_are_confirmed(clock, cycler, arbin):
    arbin.start_procedure("1", "charge", "run", LIMITS)
    cycler.channels[0].suspend()
    assert arbin.procedure_status(["1"])["1"].state is CyclerState.PAUSED
    arbin.proceed("1")
    assert arbin.procedure_status(["1"])["1"].state is CyclerState.RUNNING
    arbin.stop("1")
    assert cycler.channels[0].cell.terminals()[1] == 0.0
    cycler.requests.clear()
    arbin.stop("1")
    assert Command.STOP not in commands(cycler), "it stands already"


def test_an_unsafe_channel_is_protected_and_a_lost_one_is_unknown(clock, cycler, arbin):
    cycler.channels[0].safety = Safety(voltage_max_V=3.1)
    arbin.start_procedure("1", "charge", "run", LIMITS)
    clock.sleep(1000.0)
    status = arbin.procedure_status(["1"])["1"]
    assert (status.state, status.reason) == (CyclerState.PROTECTED, "unsafe, Unsafe")
    assert cycler.channels[0].show().state is State.TRIPPED
    arbin.stop("1")
    cycler.lost.add(1)
    status = arbin.procedure_status(["2"])["2"]
    assert (status.state, status.measurement) == (CyclerState.UNKNOWN, None)


def test_information_on_another_channel_is_not_taken(cycler, arbin, monkeypatch):
    real = cycler._info
    monkeypatch.setattr(cycler, "_info", lambda number, shown: real(number + 1, shown))
    with pytest.raises(BadReply, match="information on channel 2 where 1 was asked"):
        arbin.procedure_status(["1"])


def test_what_is_no_cti_is_not_opened(cycler, monkeypatch):
    monkeypatch.setattr(cycler, "_log_in", lambda *_: b"220 FTP server ready\r\n")
    with pytest.raises(WrongInstrument, match="no CTI"):
        QuickArbin(cycler.address, user="me", password="it")
