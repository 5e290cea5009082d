"""A socket to an instrument whose messages end with a terminator, for vendors' own framing."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator

from drivers.interface import BadReply, InstrumentTimeout, Unreachable
from drivers.transports.link import Backoff, Tap, wire_log


class FramedSocket:
    """Request and reply over TCP; one request outstanding at a time, from one thread.

    `address` is "host:port", "host" (with the default port) or either with "socket://" before it.

    A frame is bytes up to and including `terminator` (a subclass may frame otherwise, and has none); nothing is
    decoded before it is complete. After a
    time-out, a lost link or bytes that nobody asked for, the connection is opened anew before the next
    request, so that a late answer is never taken for the answer to another question. Nothing is ever
    sent twice.
    """

    longest_frame = 64 * 2**20  # bytes; more than that is not an answer

    def __init__(
        self, address: str, *, terminator: bytes = b"", default_port: int, instrument: str = "", timeout_s: float = 5.0
    ) -> None:
        self.address = address
        self.instrument = instrument
        self.timeout_s = timeout_s
        self.connections = 0  # how often the link was opened: a session's log-in is lost with the link
        self._terminator = terminator
        self._host, self._port = self._parse(address, default_port)
        self._socket: socket.socket | None = None
        self._pending = b""
        self._proven = False  # this connection gave an answer
        self._ended = False
        self._backoff = Backoff()
        self.tap = Tap(address)

    def exchange(self, request: bytes) -> bytes:
        """Send `request` as it is and return the next frame without its terminator.

        Raises `Unreachable`, `InstrumentTimeout` (whether the instrument acted is then unknown) or `BadReply`.
        """
        link = self.ready()
        self.tap.sent(request)
        deadline = time.monotonic() + self.timeout_s
        with self._guarded():
            link.settimeout(self.timeout_s)
            link.sendall(request)
            return self._heard(link, deadline)

    def listen(self, count: int) -> list[bytes]:
        """The next `count` whole frames of an instrument that speaks unasked.

        What had come before, and the frame that was on its way, are thrown away. Raises as `exchange`.
        """
        self._open()
        assert self._socket is not None
        link, deadline = self._socket, time.monotonic() + self.timeout_s
        with self._guarded():
            self._pending = b""
            while select.select([link], [], [], 0)[0]:
                if not link.recv(65536):
                    raise ConnectionError("closed by the instrument")
            self._heard(link, deadline)
            return [self._heard(link, deadline) for _ in range(count)]

    def connect(self) -> None:
        """Open the link where it is not open, and anew where it was closed or has said what nobody asked for."""
        if self._socket is not None and (self._pending or select.select([self._socket], [], [], 0)[0]):
            # Bytes that nobody asked for would be taken for the next answer; a closed link shows here too.
            wire_log.warning("%s: unexpected input or closed link, connecting anew", self.address)
            self.close()
        self._open()

    def _open(self) -> None:
        """Open the link where it is not open."""
        if self._socket is not None:
            return
        if self._ended:
            raise Unreachable("closed", hint="open it anew", **self._where())
        if (wait_s := self._backoff.remaining_s()) > 0:
            raise Unreachable(f"not connected; next attempt in {wait_s:.1f} s", **self._where())
        try:
            self._socket = socket.create_connection((self._host, self._port), timeout=self.timeout_s)
        except OSError as error:
            self._backoff.failed()
            raise Unreachable(
                f"cannot connect: {error}",
                hint="is it switched on, is the address right, does a firewall stand between?",
                **self._where(),
            ) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tap.noted("opened")
        self.connections += 1

    def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the link may be dead already
                self._socket.close()
        self._socket, self._pending, self._proven = None, b"", False

    def end(self) -> None:
        """Close for good: nothing connects anew."""
        self._ended = True
        self.close()

    def ready(self) -> socket.socket:
        """A connection on which the next answer belongs to the next request; made anew where it must be."""
        self.connect()
        assert self._socket is not None
        return self._socket

    def _heard(self, link: socket.socket, deadline: float) -> bytes:
        frame = self._frame(link, deadline)
        self.tap.received(frame + self._terminator)
        self._proven = True
        self._backoff.succeeded()
        return frame

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            got = len(self._pending)
            self.tap.received(self._pending)
            self.tap.noted("timeout")
            self.close()
            raise InstrumentTimeout(
                f"no complete answer within {self.timeout_s:g} s ({got} bytes came)", **self._where()
            ) from None
        except OSError as error:
            self.tap.received(self._pending)
            self.tap.noted("lost")
            self._lost()
            raise Unreachable(f"link lost: {error}", **self._where()) from error

    def _frame(self, link: socket.socket, deadline: float) -> bytes:
        while (frame := self._take()) is None:
            if (left_s := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            link.settimeout(left_s)
            chunk = link.recv(65536)
            if not chunk:
                raise ConnectionError(f"closed by the instrument after {len(self._pending)} bytes of an answer")
            self._pending += chunk
            if len(self._pending) > self.longest_frame:
                self.close()
                raise BadReply(f"answer without end ({self.longest_frame} bytes)", **self._where())
        return frame

    def _take(self) -> bytes | None:
        """Take the first frame off what has come; None while it is not complete. Another framing overrides this."""
        if self._terminator not in self._pending:
            return None
        frame, self._pending = self._pending.split(self._terminator, 1)
        return frame

    def _lost(self) -> None:
        if not self._proven:  # one that accepts and hangs up at once must not be called in a tight loop
            self._backoff.failed()
        self.close()

    def _where(self) -> dict[str, str]:
        return {"instrument": self.instrument, "address": self.address}

    def _parse(self, address: str, default_port: int) -> tuple[str, int]:
        place = address.removeprefix("socket://")
        host, colon, port = place.rpartition(":")
        if not colon or place.endswith("]"):
            host, port = place, str(default_port)
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise Unreachable(f"{address!r} is not of the form host:port", **self._where())
        return host.strip("[]"), int(port)
