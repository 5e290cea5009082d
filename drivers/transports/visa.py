"""Message-based links through PyVISA: TCP sockets, VXI-11, HiSLIP, USBTMC, GPIB, Prologix and serial."""

from __future__ import annotations

import contextlib
import functools
import select
import socket
from typing import Any, NoReturn, cast

import pyvisa
from pyvisa.resources import MessageBasedResource

from drivers.interface import BadReply, InstrumentTimeout, Unreachable
from drivers.transports.link import Backoff, Tap, wire_log


@functools.cache
def _manager(library: str) -> pyvisa.ResourceManager:
    return pyvisa.ResourceManager(library)


class VisaLine:
    """A line of text to one instrument; one request outstanding at a time, from one thread.

    After a time-out or a lost link the connection is opened anew before the next request, so that a
    late answer is never taken for the answer to another question. Nothing is ever sent twice.

    `address` is a VISA resource name; `library` is '@py' (PyVISA-py) or '@ivi' (a vendor's VISA).
    `traced_as` is the link's name in a trace, where its user has another one for it.
    """

    def __init__(
        self,
        address: str,
        *,
        instrument: str = "",
        timeout_s: float = 5.0,
        termination: str = "\n",
        library: str = "@py",
        baud: int = 9600,
        traced_as: str = "",
    ) -> None:
        self.address = address
        self.instrument = instrument
        self.timeout_s = timeout_s
        self._termination = termination
        self._library = library
        self._baud = baud
        self._resource: MessageBasedResource | None = None
        self._backoff = Backoff()
        self._ended = False
        self._tap = Tap(traced_as or address)
        self._open()

    def write(self, text: str) -> None:
        resource = self._connected()
        if _has_unread(resource):
            # Bytes that nobody asked for would be taken for the next answer.
            wire_log.warning("%s: unexpected input thrown away, connecting anew", self.address)
            self.close()
            resource = self._connected()
        self._tap.sent((text + self._termination).encode("ascii", errors="replace"))
        try:
            resource.write(text)
        except (pyvisa.Error, OSError) as error:
            self._failed(text, error)

    def read(self, timeout_s: float | None = None) -> str:
        """The next line. Raises `InstrumentTimeout`, `Unreachable`, or `BadReply` where it is not ASCII."""
        resource = self._connected()
        try:
            raw = resource.read_raw() if timeout_s is None else _read_within(resource, timeout_s)
        except (pyvisa.Error, OSError) as error:
            self._failed("read", error)
        self._tap.received(raw)
        return self._decode(raw)

    def query(self, text: str, timeout_s: float | None = None) -> str:
        self.write(text)
        return self.read(timeout_s)

    def close(self) -> None:
        if self._resource is not None:
            with contextlib.suppress(pyvisa.Error, OSError):  # the link may be dead already
                self._resource.close()
            self._resource = None

    def end(self) -> None:
        """Close for good: nothing connects anew."""
        self._ended = True
        self.close()

    def _decode(self, raw: bytes) -> str:
        end = self._termination.encode("ascii")
        if not raw.endswith(end):
            self.close()
            raise BadReply(f"cut reply {raw[:60]!r}", instrument=self.instrument, address=self.address)
        try:
            return raw.removesuffix(end).decode("ascii").strip()
        except UnicodeDecodeError:
            self.close()
            raise BadReply(f"garbled reply {raw[:60]!r}", instrument=self.instrument, address=self.address) from None

    def _connected(self) -> MessageBasedResource:
        if self._resource is None:
            self._open()
        assert self._resource is not None
        return self._resource

    def _open(self) -> None:
        if self._ended:
            raise Unreachable("closed by this program", instrument=self.instrument, address=self.address)
        if (wait_s := self._backoff.remaining_s()) > 0:
            raise Unreachable(
                f"not connected; next attempt in {wait_s:.1f} s", instrument=self.instrument, address=self.address
            )
        try:
            opened = cast(
                MessageBasedResource,
                _manager(self._library).open_resource(
                    self.address,
                    open_timeout=int(self.timeout_s * 1000),
                    timeout=int(self.timeout_s * 1000),
                    read_termination=self._termination,
                    write_termination=self._termination,
                ),
            )
            _send_at_once(opened)
            if self.address.upper().startswith("ASRL"):
                opened.baud_rate = self._baud  # type: ignore[attr-defined]
        except Exception as error:  # PyVISA-py raises bare Exception where a host does not answer
            self._backoff.failed()
            raise Unreachable(
                f"cannot connect: {_brief(error)}",
                instrument=self.instrument,
                address=self.address,
                hint="is it switched on, is the address right, does another program hold it?",
            ) from error
        self._resource = opened
        self._tap.noted("opened")
        self._backoff.succeeded()

    def _failed(self, what: str, error: Exception) -> NoReturn:
        """Give the connection up, and say what became of it."""
        timed_out = (
            isinstance(error, pyvisa.errors.VisaIOError)
            and error.error_code == pyvisa.constants.StatusCode.error_timeout
            and not (self._resource is not None and _hung_up(self._resource))
        )
        self._tap.noted("timeout" if timed_out else "lost")
        self.close()
        if timed_out:
            raise InstrumentTimeout(
                f"no answer to {what!r} within {self.timeout_s:g} s", instrument=self.instrument, address=self.address
            ) from error
        if not isinstance(error, pyvisa.errors.VisaIOError):
            self._backoff.failed()
        raise Unreachable(
            f"link lost at {what!r}: {_brief(error)}", instrument=self.instrument, address=self.address
        ) from error


def _read_within(resource: MessageBasedResource, timeout_s: float) -> bytes:
    before = resource.timeout
    resource.timeout = int(timeout_s * 1000)
    try:
        return resource.read_raw()
    finally:
        resource.timeout = before


def _session(resource: MessageBasedResource) -> tuple[socket.socket, bytearray] | None:
    """PyVISA-py's own socket and its unread bytes; None on other links and with a vendor's VISA."""
    session: Any = getattr(resource.visalib, "sessions", {}).get(resource.session)
    link = getattr(session, "interface", None)
    return (link, session._pending_buffer) if isinstance(link, socket.socket) else None


def _send_at_once(resource: MessageBasedResource) -> None:
    """Switch Nagle's delay off (it costs 40 ms whenever a query follows a command) and prove the link.

    PyVISA-py 0.8 raises on VI_ATTR_TCPIP_NODELAY and reports a refused connection as open, so its
    socket is reached directly.
    """
    if (session := _session(resource)) is not None:
        session[0].getpeername()
        session[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _has_unread(resource: MessageBasedResource) -> bool:
    if (session := _session(resource)) is None:
        return False
    link, pending = session
    return bool(pending) or bool(select.select([link], [], [], 0)[0])


def _hung_up(resource: MessageBasedResource) -> bool:
    """Whether the other side has closed the connection, which PyVISA-py reports as a time-out."""
    if (session := _session(resource)) is None:
        return False
    link = session[0]
    try:
        return bool(select.select([link], [], [], 0)[0]) and not link.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def _brief(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
