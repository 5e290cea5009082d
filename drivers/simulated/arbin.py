"""A virtual Arbin cycler: CTI's binary frames, wired to simulated cells.

Frames are laid out as the maker's protocol document states, and as frames that others recorded from a cycler.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterable, Mapping

from drivers.simulated.clock import Clock
from drivers.simulated.server import VirtualInstrument
from drivers.simulated.stored_procedure import Mode, Shown, State, StoredProcedure, StoredProcedureChannel
from drivers.simulated.wiring import WiredCell

TOKEN = bytes.fromhex("dddddddddddddd11")
HEAD = struct.Struct("<8sIII")
MODES = {Mode.CHARGE: 2, Mode.DISCHARGE: 3, Mode.REST: 4}
STATUSES = {State.IDLE: 0, State.SUSPENDED: 18, State.COMPLETED: 15, State.TRIPPED: 8}
CONTROLLED_BY_SOMEONE = 0x11
VARIABLES = dict(zip((*range(52, 56), *range(105, 117)), range(1, 17), strict=True))
"""By the code on the wire, the number of the user's variable."""


class VirtualArbin(VirtualInstrument):
    """Channels in the order of `cells`; wire number 0 is the first.

    While `window_open`, someone has the start window open and commands are refused. With `minus_one`, a feedback on
    success names channel −1, as the document says; recorded ones name the channel.
    """

    resource = "{host}:{port}"

    def __init__(
        self,
        cells: tuple[WiredCell, ...],
        clock: Clock,
        *,
        schedules: Mapping[str, StoredProcedure],
        user: str,
        password: str,
        may_control: bool = True,
        max_step_s: float = 1.0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host, port)
        self.clock, self.schedules, self.may_control = clock, dict(schedules), may_control
        self.channels = [StoredProcedureChannel(cell, clock, max_step_s) for cell in cells]
        self.assigned = [""] * len(cells)
        self.variables: dict[tuple[int, int], float] = {}  # by channel and number, as they were set
        self.lost: set[int] = set()  # channels that the cycler's PC has lost
        self.window_open = self.minus_one = False
        self.requests: list[bytes] = []
        self._credentials = (user.encode().ljust(32, b"\0"), password.encode().ljust(32, b"\0"))
        self._one_at_a_time = threading.Lock()

    # --- the wire

    def serve(self, connection: socket.socket) -> None:
        pending, logged_in = b"", False
        while chunk := connection.recv(65536):
            pending += chunk
            while len(pending) >= 12 and len(pending) >= (size := 12 + int.from_bytes(pending[8:12], "little")):
                frame, pending = pending[:size], pending[size:]
                if frame[:8] != TOKEN or sum(frame[:-2]) & 0xFFFF != int.from_bytes(frame[-2:], "little"):
                    return
                self.requests.append(frame)
                (command,) = struct.unpack_from("<I", frame, 12)
                with self._one_at_a_time:
                    replies = list(self._answer(command, frame[20:-2], logged_in))
                logged_in = logged_in or (command == 0xEEAB0001 and replies[0][20] != 2)
                for reply in replies:
                    connection.sendall(reply)

    def _answer(self, command: int, arguments: bytes, logged_in: bool) -> Iterable[bytes]:
        if command == 0xEEAB0001:
            return [self._log_in(arguments, logged_in)]
        if not logged_in:
            return []
        match command:
            case 0xEEAB0002:
                return [_frame(0xEEBA0002, arguments[:4] + bytes(4 + 32))]  # accepted
            case 0xEEAB0003:
                return self._infos(*struct.unpack_from("<hh", arguments))
            case 0xBB210001:
                return [self._assign(arguments)]
            case 0xBB320004:
                return [self._start(arguments)]
            case 0xBB310001:
                return [self._stop(arguments)]
            case 0xBB320006:
                return [self._continue(arguments)]
            case 0xBB150001:
                return [self._set_variable(arguments)]
        return []

    # --- questions

    def _log_in(self, arguments: bytes, logged_in: bool) -> bytes:
        right = (arguments[:32], arguments[32:64]) == self._credentials
        result = (3 if logged_in else 1) if right else 2
        texts = bytes(4) + b"207855".ljust(16, b"\0") + b"Virtual".ljust(256, b"\0") + bytes(4 * 2048 + 128 + 32)
        return _frame(
            0xEEBA0001,
            struct.pack("<I", result)
            + texts
            + struct.pack("<6I", 7918320, 1, int(self.may_control), len(self.channels), 0, 0),
        )

    def _infos(self, only: int, kind: int) -> list[bytes]:
        numbers = range(len(self.channels)) if only == -1 else [only] if 0 <= only < len(self.channels) else []
        shown = [(number, self.channels[number].show()) for number in numbers]
        wanted = {1: (State.IDLE, *STATUSES, State.RUNNING), 2: (State.RUNNING,), 3: (State.TRIPPED,)}[kind]
        return [self._info(number, each) for number, each in shown if each.state in wanted]

    def _info(self, number: int, shown: Shown) -> bytes:
        running = shown.state is State.RUNNING
        status = MODES[shown.mode] if running else STATUSES[shown.state]
        step = f"[{shown.cycle + 1}] {shown.step}: Step_{chr(64 + shown.step)}, {shown.mode.value}" if running else ""
        reason = "N/A" if shown.state is not State.TRIPPED else "Unsafe"
        return _frame(
            0xEEBA0003,
            struct.pack("<IIhB", 1, number, status, number in self.lost)
            + _wide(self.assigned[number], 200)
            + _wide(shown.test_name or "0", 72)
            + reason.encode().ljust(100, b"\0")
            + step.encode().ljust(64, b"\0")
            + _wide("", 72)
            + _wide("", 200)
            + _wide("", 200)
            + struct.pack("<Hdd", number, shown.test_time_s, shown.step_time_s)
            + struct.pack("<fff", shown.voltage_V, shown.current_A, shown.voltage_V * shown.current_A)
            + struct.pack("<ff", shown.charge_Ah, shown.discharge_Ah)
            + bytes(4 * 7 + 2 * 14),
        )

    # --- commands

    def _assign(self, arguments: bytes) -> bytes:
        (number,) = struct.unpack_from("<i", arguments)
        name = _text(arguments[5:405])
        if result := self._problem(number):
            return self._feedback(0xBB120001, number, result)
        if name not in self.schedules:
            return self._feedback(0xBB120001, number, 0x13 if name else 0x12)
        if self.channels[number].show().state in (State.RUNNING, State.SUSPENDED):
            return self._feedback(0xBB120001, number, 0x14)
        self.assigned[number] = name
        return self._feedback(0xBB120001, number, 0)

    def _start(self, arguments: bytes) -> bytes:
        name, (count, number) = _text(arguments[:144]), struct.unpack_from("<IH", arguments, 144)
        if (result := self._problem(number)) or count != 1:
            return self._feedback(0xBB230004, number, result or 0x10)
        channel, schedule = self.channels[number], self.assigned[number]
        if not name or not schedule:
            return self._feedback(0xBB230004, number, 0x15 if name else 0x23)
        if channel.show().state is State.COMPLETED:
            channel.clear()
        done = channel.start(name, schedule, self.schedules[schedule])
        return self._feedback(0xBB230004, number, 0 if done else 0x12)

    def _stop(self, arguments: bytes) -> bytes:
        (number,) = struct.unpack_from("<i", arguments)
        if result := self._problem(number):
            return self._feedback(0xBB130001, number, result)
        self.channels[number].suspend()
        self.channels[number].clear()
        return self._feedback(0xBB130001, number, 0)

    def _continue(self, arguments: bytes) -> bytes:
        (number,) = struct.unpack_from("<I", arguments)
        if result := self._problem(number):
            return self._feedback(0xBB230006, number, result)
        return self._feedback(0xBB230006, number, 0 if self.channels[number].resume() else 0x15)

    def _set_variable(self, arguments: bytes) -> bytes:
        """One of the user's variables, UD1 to UD16, of a running test."""
        number, _, code, _, value = struct.unpack_from("<iii16xif", arguments)
        if code not in VARIABLES:
            return self._feedback(0xBB510001, number, 0x11)
        if self._problem(number) or self.channels[number].show().state is not State.RUNNING:
            return self._feedback(0xBB510001, number, 0x12)
        self.variables[number, VARIABLES[code]] = value
        return self._feedback(0xBB510001, number, 0)

    def _problem(self, number: int) -> int:
        if self.window_open:
            return CONTROLLED_BY_SOMEONE
        return 0 if 0 <= number < len(self.channels) else 0x10

    def _feedback(self, command: int, number: int, result: int) -> bytes:
        named = -1 if self.minus_one and not result else number
        return _frame(command, struct.pack("<iB101x", named, result))


def _frame(command: int, arguments: bytes) -> bytes:
    """A reply states the length of the whole frame."""
    body = HEAD.pack(TOKEN, HEAD.size + len(arguments) + 2, command, 0) + arguments
    return body + (sum(body) & 0xFFFF).to_bytes(2, "little")


def _wide(text: str, characters: int) -> bytes:
    return text.encode("utf-16-le").ljust(2 * characters, b"\0")


def _text(field: bytes) -> str:
    return field.decode("utf-16-le").split("\0")[0]
