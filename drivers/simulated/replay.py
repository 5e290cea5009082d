"""A recording played back as a virtual instrument, so that what went wrong in a laboratory goes wrong in a test.

It answers what is asked as the recording did, in its order. A poll that is made more often than in the recording gets
the same answer again, one that is made less often is passed over. Where the recording has no answer, there is none;
where the link was lost, it hangs up. Numbers that differ from run to run (counters, times in names) match any other.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from drivers.simulated.server import VirtualInstrument
from drivers.transports.trace import MASK, TraceLine

MODBUS_TCP_ID = 2  # bytes at the beginning that the answer repeats from the request


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was sent, what came of it, and whether the link was lost then."""

    sent: bytes
    received: bytes
    lost: bool = False


def exchanges(lines: Iterable[TraceLine]) -> dict[str, list[Exchange]]:
    """By link, in order; what came before anything was sent is left out."""
    found: dict[str, list[Exchange]] = {}
    for line in lines:
        of_link = found.setdefault(line.link, [])
        if line.direction == ">":
            of_link.append(Exchange(line.data, b""))
        elif of_link:
            last = of_link[-1]
            lost = last.lost or line.event in ("lost", "closed")
            of_link[-1] = Exchange(last.sent, last.received + line.data, lost)
    return {link: of_link for link, of_link in found.items() if of_link}


class Script:
    """Which exchange answers what is asked; knows no socket."""

    def __init__(self, recorded: Sequence[Exchange], *, skip: int = 0) -> None:
        self.recorded = list(recorded)
        self.unexpected: list[bytes] = []  # what was asked and is nowhere in the recording
        self._skip = skip  # bytes of a request that differ from run to run
        self._next = 0
        self._patterns = [_pattern(exchange.sent[skip:]) for exchange in self.recorded]

    def take(self, pending: bytes) -> tuple[Exchange | None, int]:
        """The exchange for the request at the beginning of `pending`, and how long that is; 0: more must come."""
        for exact in (True, False):
            for index in self._in_order():
                if length := self._matches(index, pending, exact):
                    self._next = max(self._next, index + 1) if index >= self._next else self._next
                    return self.recorded[index], length
        if self._begins(pending):
            return None, 0
        return None, next((start for start in range(1, len(pending)) if self._begins(pending[start:])), len(pending))

    def _begins(self, pending: bytes) -> bool:
        """Whether this is a known request, or the beginning of one."""
        rest = pending[self._skip :]
        requests = (exchange.sent[self._skip :] for exchange in self.recorded)
        return any(rest.startswith(sent) or sent.startswith(rest) for sent in requests)

    @property
    def finished(self) -> bool:
        """Whether all of the recording was played."""
        return self._next >= len(self.recorded)

    def _in_order(self) -> list[int]:
        """The one that is due, the one just played (a poll repeated), what follows, what came before."""
        due = self._next
        later, earlier = range(due + 1, len(self.recorded)), range(due - 1, -1, -1)
        first = [due] if due < len(self.recorded) else []
        return [*first, *list(earlier)[:1], *later, *list(earlier)[1:]]

    def _matches(self, index: int, pending: bytes, exact: bool) -> int:
        skip, sent = self._skip, self.recorded[index].sent
        if exact:
            return len(sent) if len(pending) >= len(sent) and pending[skip:].startswith(sent[skip:]) else 0
        found = self._patterns[index].match(pending[skip:])
        return skip + found.end() if found else 0


class VirtualReplay(VirtualInstrument):
    """Plays one link of a trace; each client goes on where the last one was.

    `script.unexpected` says what did not fit.
    """

    def __init__(self, link: str, recorded: Sequence[Exchange], *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host, port)
        self.link = link
        self.resource = address_of(link)
        self._repeats_id = self.resource.startswith("tcp://")
        self.script = Script(recorded, skip=MODBUS_TCP_ID if self._repeats_id else 0)
        self._lock = threading.Lock()

    def serve(self, connection: socket.socket) -> None:
        pending = b""
        while chunk := connection.recv(65536):
            pending += chunk
            while pending:
                with self._lock:
                    exchange, length = self.script.take(pending)
                if length == 0:
                    break
                request, pending = pending[:length], pending[length:]
                if exchange is None:
                    self.script.unexpected.append(request)
                    continue
                answer = exchange.received
                if self._repeats_id:
                    answer = request[:MODBUS_TCP_ID] + answer[MODBUS_TCP_ID:]
                connection.sendall(answer)
                if exchange.lost:
                    return


def replays(lines: Iterable[TraceLine], *, port: int = 0) -> list[VirtualReplay]:
    """One server for each link of a trace, not started yet; at `port` and those after it, or at free ones."""
    links = exchanges(lines).items()
    return [
        VirtualReplay(link, recorded, port=port + number if port else 0)
        for number, (link, recorded) in enumerate(links)
    ]


def address_of(link: str) -> str:
    """How a driver names the server that stands in for `link`, with {host} and {port} to be filled in.

    USB, GPIB and serial links become sockets: the bytes are the same.
    """
    if re.match(r"(TCPIP|USB|GPIB|ASRL|PXI|VXI)\d*::?|ASRL", link, re.IGNORECASE):
        return "TCPIP::{host}::{port}::SOCKET"
    if link.startswith("serial:"):
        return "rtu+tcp://{host}:{port}"
    if "://" in link:
        parts = urlsplit(link)
        return f"{parts.scheme}://{{host}}:{{port}}{parts.path}"
    if re.match(r"COM\d+(\?|$)|/dev/", link):
        return "socket://{host}:{port}"
    return "{host}:{port}"


def _pattern(sent: bytes) -> re.Pattern[bytes]:
    """`sent` with any other digits for its digits, and anything for what was masked."""
    pieces = re.split(rb"(\*\*\*|[0-9a-f]{8,}|\d+)", sent)
    made = [_piece(piece) for piece in pieces]
    return re.compile(b"".join(made), re.DOTALL)


def _piece(piece: bytes) -> bytes:
    if piece == MASK:
        return rb"[^<>\r\n]*"
    if re.fullmatch(rb"[0-9a-f]{8,}", piece):
        return rb"[0-9a-f]+"
    return rb"\d+" if piece.isdigit() else re.escape(piece)
