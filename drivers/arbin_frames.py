"""Arbin's CTI as bytes: frames, and the fields of the replies that the driver reads. Knows no socket.

Wire facts: docs/instruments/arbin-cti.md (evidence: the maker's protocol document, frames recorded from a cycler).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

TOKEN = b"\xdd" * 7 + b"\x11"
HEADER = struct.Struct("<8sIII")  # token, length, command, 0
CHECKSUM = struct.Struct("<H")
AFTER_LENGTH = 12  # a request's length does not count the token and itself
LONGEST = 1 << 20  # bytes of a reply; the longest known has some 9000

NAME_CHARACTERS, SCHEDULE_CHARACTERS = 72, 200
ALL_CHANNELS_INFO = 1


class Command(IntEnum):
    LOGIN = 0xEEAB0001
    CHANNEL_INFO = 0xEEAB0003
    START = 0xBB320004
    STOP = 0xBB310001
    CONTINUE = 0xBB320006
    ASSIGN_SCHEDULE = 0xBB210001


REPLIES = {
    Command.LOGIN: 0xEEBA0001,
    Command.CHANNEL_INFO: 0xEEBA0003,
    Command.START: 0xBB230004,
    Command.STOP: 0xBB130001,
    Command.CONTINUE: 0xBB230006,
    Command.ASSIGN_SCHEDULE: 0xBB120001,
}


class Status(IntEnum):
    IDLE = 0
    TRANSITION = 1
    CHARGE = 2
    DISCHARGE = 3
    REST = 4
    WAIT = 5
    EXTERNAL_CHARGE = 6
    CALIBRATION = 7
    UNSAFE = 8
    PULSE = 9
    INTERNAL_RESISTANCE = 10
    AC_IMPEDANCE = 11
    ACI_CELL = 12
    TEST_SETTINGS = 13
    ERROR = 14
    FINISHED = 15
    VOLT_METER = 16
    WAITING_FOR_ACS = 17
    PAUSE = 18
    EMPTY = 19
    IDLE_FROM_MCU = 20
    START = 21
    RUNNING = 22
    STEP_TRANSFER = 23
    RESUME = 24
    GO_PAUSE = 25
    GO_STOP = 26
    GO_NEXT_STEP = 27
    ONLINE_UPDATE = 28
    DAQ_MEMORY_UNSAFE = 29
    ACR = 30


class FrameError(ValueError):
    """No frame, or not the one that was asked for."""


# --- requests


def request(command: Command, arguments: bytes) -> bytes:
    """A whole frame with its checksum."""
    length = HEADER.size + len(arguments) + CHECKSUM.size - AFTER_LENGTH
    body = HEADER.pack(TOKEN, length, command, 0) + arguments
    return body + CHECKSUM.pack(checksum(body))


def login(user: str, password: str) -> bytes:
    return request(Command.LOGIN, _padded(user.encode("ascii"), 32) + _padded(password.encode("ascii"), 32))


def channel_info(channel: int) -> bytes:
    return request(Command.CHANNEL_INFO, struct.pack("<hhI32x", channel, ALL_CHANNELS_INFO, 0))


def assign_schedule(channel: int, schedule: str) -> bytes:
    """Capacity and the user's variables, which only MITS 7 looks at, are 1 as in the recorded frame."""
    name = _wide(schedule, SCHEDULE_CHARACTERS)
    barcode = _wide("", NAME_CHARACTERS)
    return request(
        Command.ASSIGN_SCHEDULE,
        struct.pack("<iB", channel, 0) + name + struct.pack("<f", 1.0) + barcode + struct.pack("<16f32x", *[1.0] * 16),
    )


def start(channel: int, test_name: str) -> bytes:
    return request(Command.START, _wide(test_name, NAME_CHARACTERS) + struct.pack("<IH", 1, channel))


def stop(channel: int) -> bytes:
    return request(Command.STOP, struct.pack("<iB101x", channel, 0))


def proceed(channel: int) -> bytes:
    """After a pause. The document states one number for 'Continue', that of the channel."""
    return request(Command.CONTINUE, struct.pack("<I", channel))


# --- replies


def frame_length(begun: bytes) -> int | None:
    """Of the frame whose beginning this is; None while that is not known. Raises `FrameError`."""
    if not TOKEN.startswith(begun[: len(TOKEN)]):
        raise FrameError(f"{begun[:8].hex(' ')} begins no frame")
    if len(begun) < 12:
        return None
    length = int.from_bytes(begun[8:12], "little")
    if not HEADER.size + CHECKSUM.size <= length <= LONGEST:
        raise FrameError(f"a frame of {length} bytes")
    return length


def is_sound(frame: bytes) -> bool:
    """Whether its checksum is right, and its length is what it states, with the checksum or (one server) without."""
    stated = int.from_bytes(frame[8:12], "little")
    return stated in (len(frame), len(frame) - CHECKSUM.size) and CHECKSUM.pack(checksum(frame[:-2])) == frame[-2:]


def arguments_of(frame: bytes, command: Command) -> bytes:
    """What the reply to `command` carries; raises `FrameError` where it is another frame or was spoilt."""
    _, _, found, _ = HEADER.unpack_from(frame)
    if not is_sound(frame):
        raise FrameError("the checksum is wrong")
    if found != REPLIES[command]:
        raise FrameError(f"reply 0x{found:08X} to {command.name}, where 0x{REPLIES[command]:08X} belongs")
    return frame[HEADER.size : -2]


@dataclass(frozen=True, slots=True)
class Login:
    result: int  # 1 done, 2 failed, 3 done already
    serial: str
    may_control: bool
    channels: int


def read_login(arguments: bytes) -> Login:
    if len(arguments) < 8656:
        raise FrameError(f"a reply to the log-in of {len(arguments)} bytes")
    (result,) = struct.unpack_from("<I", arguments)
    may_control, channels = struct.unpack_from("<II", arguments, 8640)
    return Login(result, arguments[8:24].split(b"\0")[0].decode("ascii", errors="replace"), may_control == 1, channels)


@dataclass(frozen=True, slots=True)
class Feedback:
    """On a command: the channel as the cycler names it (0-based, or -1), and 0 for done."""

    channel: int
    result: int


def read_feedback(arguments: bytes) -> Feedback:
    if len(arguments) < 5:
        raise FrameError(f"a feedback of {len(arguments)} bytes")
    return Feedback(*struct.unpack_from("<iB", arguments))


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """A channel as the cycler shows it; capacities are magnitudes since the test began."""

    channel: int  # 0-based
    status: Status
    link_lost: bool  # between the cycler's PC and the channel
    schedule: str
    test_name: str
    exit_condition: str
    step: str  # "[1] 1: Step_A, Rest"
    test_time_s: float
    step_time_s: float
    voltage_V: float
    current_A: float
    charge_Ah: float
    discharge_Ah: float


def read_channel_info(arguments: bytes) -> ChannelInfo:
    """Of one channel. Offsets count from the reply's arguments, which begin at byte 20 of the frame."""
    if len(arguments) < 1757:
        raise FrameError(f"channel information of {len(arguments)} bytes")
    count, channel, status, link_lost = struct.unpack_from("<IIhB", arguments)
    if count != 1:
        raise FrameError(f"information on {count} channels in one frame")
    if status not in set(Status):
        raise FrameError(f"channel {channel} has the status {status}, which is not known")
    test_time_s, step_time_s = struct.unpack_from("<dd", arguments, 1665)
    voltage_V, current_A, _, charge_Ah, discharge_Ah = struct.unpack_from("<fffff", arguments, 1681)
    return ChannelInfo(
        channel,
        Status(status),
        link_lost != 0,
        _text(arguments[11:411], "utf-16-le"),
        _text(arguments[411:555], "utf-16-le"),
        _text(arguments[555:655], "ascii"),
        _text(arguments[655:719], "ascii"),
        test_time_s,
        step_time_s,
        voltage_V,
        current_A,
        charge_Ah,
        discharge_Ah,
    )


# --- parts


def checksum(content: bytes) -> int:
    return sum(content) & 0xFFFF


def _padded(text: bytes, size: int) -> bytes:
    if len(text) > size:
        raise ValueError(f"{len(text)} bytes do not go into {size}")
    return text.ljust(size, b"\0")


def _wide(text: str, characters: int) -> bytes:
    return _padded(text.encode("utf-16-le"), 2 * characters)


def _text(field: bytes, encoding: str) -> str:
    """Up to the first zero."""
    return field.decode(encoding, errors="replace").split("\0")[0]
