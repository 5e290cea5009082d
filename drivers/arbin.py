"""Arbin cyclers through CTI, as cyclers that run schedules stored on them.

Wire facts: docs/instruments/arbin-cti.md (evidence: the maker's protocol document, frames recorded from a cycler).
Not run on hardware yet.
"""

from __future__ import annotations

import re
import select
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeVar

from drivers import arbin_frames as cti
from drivers.about import About
from drivers.arbin_frames import ChannelInfo, Command, Feedback, FrameError, Login, Status
from drivers.interface import (
    Activity,
    BadReply,
    CyclerState,
    InstrumentError,
    Measurement,
    OutOfRange,
    ProcedureStatus,
    Protection,
    Refused,
    WrongInstrument,
)
from drivers.procedure_cycler import StoredProcedures
from drivers.transports.framed import FramedSocket

T = TypeVar("T")
PORT = 9031
LOOK = "look at the channel in Monitor and Control before anything else"
STRAGGLERS_S = 0.05  # between the pieces of one frame
LABEL = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{cti.NAME_CHARACTERS - 2}}}")
SCHEDULE = re.compile(rf"[\x20-\x7e]{{1,{cti.SCHEDULE_CHARACTERS - 1}}}")
CREDENTIAL = re.compile(r"[\x21-\x7e]{1,32}")

STATES = {
    Status.PAUSE: CyclerState.PAUSED,
    Status.FINISHED: CyclerState.FINISHED,
    Status.IDLE: CyclerState.STOPPED,
    Status.IDLE_FROM_MCU: CyclerState.STOPPED,
    Status.EMPTY: CyclerState.STOPPED,
    Status.UNSAFE: CyclerState.PROTECTED,
    Status.DAQ_MEMORY_UNSAFE: CyclerState.PROTECTED,
    Status.CALIBRATION: CyclerState.UNKNOWN,
    Status.TEST_SETTINGS: CyclerState.UNKNOWN,
    Status.ERROR: CyclerState.UNKNOWN,
    Status.VOLT_METER: CyclerState.UNKNOWN,
}
"""All others are part of a running test."""

ENDED = frozenset({CyclerState.FINISHED, CyclerState.STOPPED})
ACTIVITIES = {Status.CHARGE: Activity.CHARGE, Status.DISCHARGE: Activity.DISCHARGE, Status.REST: Activity.REST}

IN_USE = "someone has the start or resume window open in Monitor and Control"
REFUSALS: Mapping[Command, Mapping[int, str]] = {
    Command.ASSIGN_SCHEDULE: {
        0x10: "there is no such channel",
        0x11: IN_USE,
        0x12: "the schedule's name is empty",
        0x13: "there is no schedule of this name",
        0x14: "the channel is running",
        0x15: "the channel still loads another schedule",
        0x16: "a batch file is open",
        0x17: "it failed",
    },
    Command.START: {
        0x10: "there is no such channel",
        0x11: IN_USE,
        0x12: "the channel is running or unsafe",
        0x13: "the channel is not connected",
        0x14: "the schedule is not compatible",
        0x15: "no schedule is assigned",
        0x16: "the schedule's version is wrong",
        0x19: "a step's number is wrong",
        0x1B: "the schedule wants other auxiliary channels",
        0x1C: "the schedule wants other auxiliary channels",
        0x21: "the schedule is still being loaded",
        0x22: "its database does not answer",
        0x23: "the test's name is empty",
        0x26: "the schedule did not pass the safety check",
    },
    Command.STOP: {0x10: "there is no such channel", 0x11: IN_USE},
    Command.CONTINUE: {
        0x10: "there is no such channel",
        0x11: IN_USE,
        0x12: "the channel is running",
        0x13: "the channel is not connected",
        0x14: "the channel is being calibrated",
        0x15: "the channel is not paused as by a person",
        0x16: "the channel is unsafe",
    },
}


class CtiSocket(FramedSocket):
    """Frames by the length that they state; a server that does not count the checksum in it is understood too."""

    def _take(self) -> bytes | None:
        try:
            length = cti.frame_length(self._pending)
        except FrameError as error:
            self.close()
            raise BadReply(str(error), instrument=self.instrument, address=self.address) from None
        if length is None or len(self._pending) < length:
            return None
        if not cti.is_sound(self._pending[:length]):
            longer = length + cti.CHECKSUM.size
            if len(self._pending) < longer and self._more_comes():
                return None
            length = longer if cti.is_sound(self._pending[:longer]) else length
        frame, self._pending = self._pending[:length], self._pending[length:]
        return frame

    def _more_comes(self) -> bool:
        return bool(self._socket and select.select([self._socket], [], [], STRAGGLERS_S)[0])


class ArbinCti(StoredProcedures):
    """All channels behind one MITS; a channel is named by its number as people count it ("14" is 13 on the wire).

    `address` is "host" or "host:port" of the PC with MITS (port 9031 if left out). `user` and `password` are those of
    the CTI. A procedure is a schedule's file name, such as "Formation.sdx". Call from one thread.
    """

    model: ClassVar[str] = "Arbin (CTI)"
    safe_state: ClassVar[str] = (
        "every running test goes on within its own schedule's safety limits; "
        "nothing is stopped unless stop(channel) is called"
    )
    about: ClassVar[About] = About(
        connection="TCP to the PC with MITS, binary frames",
        evidence="the maker's protocol document, frames recorded from a cycler; not run on hardware",
        quirks="no limits can be set from here: the schedule's own hold; an open start window blocks commands",
    )
    holds_protection: ClassVar[bool] = False
    poll_period_s: ClassVar[float] = 1.0
    confirm_s: ClassVar[float] = 20.0  # how long a start or stop may take to show
    confirm_poll_s: ClassVar[float] = 0.5

    def __init__(self, address: str, *, user: str, password: str, timeout_s: float = 10.0) -> None:
        self.address = address
        if not (CREDENTIAL.fullmatch(user) and CREDENTIAL.fullmatch(password)):
            raise OutOfRange("user and password have 1 to 32 ASCII characters each", **self._where())
        self._login = cti.login(user, password)
        self._logged_in = 0  # the connection that the log-in was made on
        self._link = CtiSocket(address, default_port=PORT, instrument=self.model, timeout_s=timeout_s)
        try:
            self._cycler = self._log_in()
        except BadReply as error:
            self.close()
            raise WrongInstrument(f"what answers is no CTI: {error.message}", **self._where()) from error
        except BaseException:
            self.close()
            raise

    # --- what every instrument has

    def identify(self) -> str:
        self._cycler = self._log_in()
        return f"Arbin, serial number {self._cycler.serial}, {self._cycler.channels} channels"

    def close(self) -> None:
        """Close the link for good. Running tests go on."""
        self._link.end()

    # --- commands

    def check_procedure(self, channel: str, procedure: str, label: str, protection: Protection) -> None:
        """Names and channel alone: CTI tells of a schedule only by assigning it."""
        if not SCHEDULE.fullmatch(procedure):
            raise OutOfRange(f"schedule {procedure!r}: a name of 1 to 199 ASCII characters", **self._where())
        if not LABEL.fullmatch(label):
            raise OutOfRange(
                f"test name {label!r}: up to {cti.NAME_CHARACTERS - 1} letters, digits, '_', '-' and '.'",
                **self._where(),
            )
        self._wire(channel)
        if not self._cycler.may_control:
            raise Refused("this user may look and not control", hint="ask for the right in MITS", **self._where())

    def start_procedure(self, channel: str, procedure: str, label: str, protection: Protection) -> None:
        """Assign the schedule, see that it is assigned, start once, and return when the channel runs under `label`.

        A lost answer to the start is decided from what the channel shows, never by starting again. `Refused` says
        that the test does not run, `InstrumentTimeout` that this is not known. `protection` cannot be set here.
        """
        self.check_procedure(channel, procedure, label, protection)
        number = self._wire(channel)
        before = self._info(number)
        if (state := state_of(before)) not in ENDED:
            self._refuse(channel, f"it is {state.value}; nothing was started")
        if before.test_name == label:  # the new test could not be told from it
            self._refuse(channel, f"its last test was {label!r} too; nothing was started")
        self._command(channel, Command.ASSIGN_SCHEDULE, cti.assign_schedule(number, procedure))
        if (assigned := self._info(number).schedule).casefold() != procedure.casefold():
            self._refuse(channel, f"{procedure!r} was assigned, and {assigned!r} is; nothing was started")
        said = self._sent(channel, Command.START, cti.start(number, label))
        last = None
        for last in self._watch(lambda: self._info(number)):
            if last.test_name == label and state_of(last) is not CyclerState.STOPPED:
                return
        if said is None and last is not None and state_of(last) in ENDED:
            self._refuse(channel, f"{label!r} did not start, and was not sent again: its answer was lost")
        self._unknown(channel, f"whether {label!r} runs is not known; it was not sent again", LOOK)

    def stop(self, channel: str) -> None:
        number = self._wire(channel)
        if not _is_stopped(self._info(number)):
            self._sent(channel, Command.STOP, cti.stop(number))
            self._see(channel, _is_stopped, "it was told to stop and does not")

    def proceed(self, channel: str) -> None:
        number = self._wire(channel)
        if (state := state_of(self._info(number))) is not CyclerState.PAUSED:
            self._refuse(channel, f"it is {state.value}, not paused")
        self._sent(channel, Command.CONTINUE, cti.proceed(number))
        self._see(channel, lambda info: state_of(info) is CyclerState.RUNNING, "it was told to continue and does not")

    # --- what the cycler says

    def procedure_status(self, channels: Sequence[str]) -> Mapping[str, ProcedureStatus]:
        """One request a channel."""
        numbers = {channel: self._wire(channel) for channel in channels}
        return {channel: _status(self._info(number)) for channel, number in numbers.items()}

    def _info(self, number: int) -> ChannelInfo:
        info = self._read(Command.CHANNEL_INFO, cti.channel_info(number), cti.read_channel_info)
        if info.channel != number:
            raise BadReply(f"information on channel {info.channel + 1} where {number + 1} was asked", **self._where())
        return info

    # --- within

    def _command(self, channel: str, command: Command, request: bytes) -> None:
        """Raises `Refused` where the cycler says so."""
        feedback = self._read(command, request, cti.read_feedback)
        self._insist(channel, command, feedback)

    def _sent(self, channel: str, command: Command, request: bytes) -> Feedback | None:
        """Sent once; None where the answer was lost. Raises `Refused` where the cycler says so."""
        try:
            feedback = self._read(command, request, cti.read_feedback)
        except InstrumentError:
            return None
        self._insist(channel, command, feedback)
        return feedback

    def _insist(self, channel: str, command: Command, feedback: Feedback) -> None:
        if feedback.channel not in (-1, self._wire(channel)):
            raise BadReply(f"a feedback of channel {feedback.channel + 1}, not {channel}", **self._where())
        if feedback.result:
            said = REFUSALS[command].get(feedback.result, "the cycler gives no known reason")
            self._refuse(channel, f"{command.name.lower()} was refused, 0x{feedback.result:02X}: {said}")

    def _see(self, channel: str, done: Callable[[ChannelInfo], bool], otherwise: str) -> None:
        for info in self._watch(lambda: self._info(self._wire(channel))):
            if done(info):
                return
        self._unknown(channel, otherwise, LOOK)

    def _log_in(self) -> Login:
        """On each new connection; asked again, the cycler says that it is done already."""
        found = self._exchange(Command.LOGIN, self._login, cti.read_login)
        if found.result not in (1, 3):
            raise Refused("the log-in failed", hint="are user and password those of the CTI?", **self._where())
        self._logged_in = self._link.connections
        return found

    def _read(self, command: Command, request: bytes, read: Callable[[bytes], T]) -> T:
        self._link.ready()
        if self._logged_in != self._link.connections:
            self._log_in()
        return self._exchange(command, request, read)

    def _exchange(self, command: Command, request: bytes, read: Callable[[bytes], T]) -> T:
        frame = self._link.exchange(request)
        try:
            return read(cti.arguments_of(frame, command))
        except FrameError as error:
            self._link.close()
            raise BadReply(str(error), **self._where()) from None

    def _wire(self, channel: str) -> int:
        if not (channel.isascii() and channel.isdecimal() and 1 <= int(channel) <= self._cycler.channels):
            raise OutOfRange(f"no channel {channel!r}; the cycler has {self._cycler.channels}", **self._where())
        return int(channel) - 1


def state_of(info: ChannelInfo) -> CyclerState:
    """A channel that the cycler's own PC has lost is UNKNOWN."""
    return CyclerState.UNKNOWN if info.link_lost else STATES.get(info.status, CyclerState.RUNNING)


def _is_stopped(info: ChannelInfo) -> bool:
    """An unsafe channel stands where no current is measured."""
    state = state_of(info)
    return state in ENDED or (state is CyclerState.PROTECTED and info.current_A == 0.0)


def _status(info: ChannelInfo) -> ProcedureStatus:
    state = state_of(info)
    running = state is CyclerState.RUNNING
    return ProcedureStatus(
        state=state,
        label=info.test_name,
        procedure=info.schedule,
        step=info.step if running else "",
        activity=ACTIVITIES.get(info.status, Activity.OTHER),
        test_time_s=info.test_time_s,
        step_time_s=info.step_time_s,
        measurement=None if info.link_lost else Measurement(info.voltage_V, info.current_A),
        counted_Ah=info.charge_Ah - info.discharge_Ah,
        reason="" if running else f"{info.status.name.lower().replace('_', ' ')}, {info.exit_condition}".rstrip(", "),
    )
