"""A serial port to an instrument whose messages end with a terminator, with the same calls as a `FramedSocket`.

Addresses: `COM3`, `/dev/ttyUSB0?baud=115200&parity=N&stopbits=1`, pyserial's `rfc2217://host:port`, and
`socket://host:port` for a serial server in raw mode.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl

import serial

from drivers.interface import BadReply, InstrumentTimeout, Unreachable
from drivers.transports.framed import FramedSocket
from drivers.transports.link import Backoff, Tap, wire_log

QUIET_S = 0.05
"""After a failure a line is taken to be done with late answers once it has been silent for so long."""


class TextLink(Protocol):
    """What a driver sees of a line, whatever it runs over."""

    def exchange(self, request: bytes) -> bytes: ...

    def listen(self, count: int) -> list[bytes]: ...

    def close(self) -> None: ...

    def end(self) -> None: ...


def text_link(address: str, *, terminator: bytes, baud: int, instrument: str, timeout_s: float) -> TextLink:
    """`socket://…` is a socket, all else a port (at `baud` unless its address says otherwise).

    Several instruments of one bus (RS-485) have one address: they share the link, one exchange after the other.
    """
    settings = (terminator, baud, timeout_s)
    with _buses_lock:
        bus = _buses.get(address)
        if bus is None:
            bus = _buses[address] = _Bus(_link(address, terminator, baud, instrument, timeout_s), settings)
        elif bus.settings != settings:
            raise Unreachable(
                f"{bus.link.instrument} has this port open with another terminator, baud rate or time-out",
                instrument=instrument,
                address=address,
                hint="what hangs on one line is spoken to alike",
            )
        bus.users += 1
    return _Share(bus, address, instrument)


def _link(address: str, terminator: bytes, baud: int, instrument: str, timeout_s: float) -> FramedSocket | SerialPort:
    if address.startswith("socket://"):
        return FramedSocket(
            address, terminator=terminator, default_port=10001, instrument=instrument, timeout_s=timeout_s
        )
    return SerialPort(address, terminator=terminator, baud=baud, instrument=instrument, timeout_s=timeout_s)


@dataclass(eq=False)
class _Bus:
    """One link with everyone who talks over it; kept for as long as somebody does."""

    link: FramedSocket | SerialPort
    settings: tuple[bytes, int, float]
    lock: threading.RLock = field(default_factory=threading.RLock)
    users: int = 0


# A port can be opened once, whatever hangs on it.
_buses: weakref.WeakValueDictionary[str, _Bus] = weakref.WeakValueDictionary()
_buses_lock = threading.Lock()


class _Share:
    """One instrument's part in a link: what passes is recorded as its own, and errors name it."""

    def __init__(self, bus: _Bus, address: str, instrument: str) -> None:
        self._bus, self._address, self._instrument = bus, address, instrument
        self._tap = Tap(address) if bus.users > 1 else bus.link.tap
        self._ended = False

    def exchange(self, request: bytes) -> bytes:
        with self._bus.lock:
            return self._mine().exchange(request)

    def listen(self, count: int) -> list[bytes]:
        with self._bus.lock:
            return self._mine().listen(count)

    def close(self) -> None:
        with self._bus.lock:
            self._bus.link.close()

    def end(self) -> None:
        with _buses_lock:
            if self._ended:
                return
            self._ended = True
            self._bus.users -= 1
            if self._bus.users == 0:
                _buses.pop(self._address, None)
                self._bus.link.end()

    def _mine(self) -> FramedSocket | SerialPort:
        if self._ended:
            raise Unreachable("closed", instrument=self._instrument, address=self._address, hint="open it anew")
        link = self._bus.link
        link.tap, link.instrument = self._tap, self._instrument
        return link


class SerialPort:
    """Request and reply over a serial port; one request outstanding at a time, from one thread.

    What came unasked is thrown away before a request, and after a failure until the line is silent, so that a late
    answer is never taken for the answer to another question. Nothing is ever sent twice.
    """

    longest_frame = 64 * 1024  # bytes

    def __init__(
        self, address: str, *, terminator: bytes, baud: int = 9600, instrument: str = "", timeout_s: float = 1.0
    ) -> None:
        self.address, self.instrument, self.timeout_s = address, instrument, timeout_s
        self._terminator = terminator
        self._link = self._made(address, baud)
        self._ended = self._doubtful = False
        self._backoff = Backoff()
        self.tap = Tap(address)

    def exchange(self, request: bytes) -> bytes:
        """As `FramedSocket.exchange`."""
        self.connect()
        try:
            self._throw_away()
            self.tap.sent(request)
            self._link.write(request)
            return self._frame()
        except OSError as error:  # serial.SerialException is one
            raise self._lost(error) from error

    def listen(self, count: int) -> list[bytes]:
        """As `FramedSocket.listen`."""
        self.connect()
        try:
            self._link.reset_input_buffer()
            self._frame()
            return [self._frame() for _ in range(count)]
        except OSError as error:
            raise self._lost(error) from error

    def connect(self) -> None:
        if self._link.is_open:
            return
        if self._ended:
            raise self._unreachable("closed", "open it anew")
        if (wait_s := self._backoff.remaining_s()) > 0:
            raise self._unreachable(f"not connected; next attempt in {wait_s:.1f} s", "")
        try:
            self._link.open()
        except (OSError, ValueError) as error:
            self._backoff.failed()
            raise self._unreachable(
                f"cannot be opened: {error}", "is it plugged in, does another program hold it, may you use it?"
            ) from error
        self._backoff.succeeded()
        self.tap.noted("opened")

    def close(self) -> None:
        """Nothing: opening a port anew restarts many small boards. The line is cleared before the next request."""
        self._doubtful = True

    def end(self) -> None:
        """Close for good."""
        self._ended = True
        with contextlib.suppress(OSError):  # it may have been unplugged
            self._link.close()

    def _frame(self) -> bytes:
        received: bytes = self._link.read_until(self._terminator, self.longest_frame)
        self.tap.received(received)
        if received.endswith(self._terminator):
            return received.removesuffix(self._terminator)
        self._doubtful = True
        if len(received) >= self.longest_frame:
            raise BadReply("answer without end", instrument=self.instrument, address=self.address)
        self.tap.noted("timeout")
        raise InstrumentTimeout(
            f"no complete answer within {self.timeout_s:g} s ({len(received)} bytes came)",
            instrument=self.instrument,
            address=self.address,
            hint="are baud rate, parity and stop bits those of the device?",
        )

    def _throw_away(self) -> None:
        if self._doubtful:
            until = time.monotonic() + self.timeout_s
            quiet_since = time.monotonic()
            while time.monotonic() - quiet_since < QUIET_S and time.monotonic() < until:
                if self._link.in_waiting:
                    self._link.reset_input_buffer()
                    quiet_since = time.monotonic()
                time.sleep(0.005)
            self._doubtful = False
            self._link.reset_input_buffer()
        elif self._link.in_waiting:
            wire_log.warning("%s: unexpected input thrown away", self.address)
            self._link.reset_input_buffer()

    def _lost(self, error: OSError) -> Unreachable:
        self.tap.noted("lost")
        with contextlib.suppress(OSError):
            self._link.close()
        self._backoff.failed()
        return self._unreachable(f"link lost: {error}", "is it plugged in?")

    def _made(self, address: str, baud: int) -> serial.SerialBase:
        """The port, not open yet."""
        name, _, query = address.partition("?")
        try:
            settings = dict(parse_qsl(query, strict_parsing=True)) if query else {}
            port = serial.serial_for_url(
                name,
                do_not_open=True,
                baudrate=int(settings.pop("baud", baud)),
                parity=settings.pop("parity", "N"),
                stopbits=int(settings.pop("stopbits", "1")),
                timeout=self.timeout_s,
                write_timeout=self.timeout_s,
            )
            if settings or not name:
                raise ValueError(f"no setting of a port: {', '.join(settings)}" if settings else "which port?")
        except ValueError as error:
            raise self._unreachable(
                f"not an address of a serial port ({error})",
                "COM3?baud=9600&parity=N&stopbits=1, /dev/ttyUSB0 or socket://host:port",
            ) from error
        return port

    def _unreachable(self, message: str, hint: str) -> Unreachable:
        return Unreachable(message, instrument=self.instrument, address=self.address, hint=hint)
