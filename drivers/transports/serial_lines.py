"""A serial line, real or over the network, to an instrument that talks in lines whenever it wants to."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import serial
from serial.urlhandler import protocol_socket

from drivers.interface import BadReply, InstrumentTimeout, Unreachable
from drivers.transports.link import Backoff, Tap

LONGEST_LINE = 65536


class _Socket(protocol_socket.Serial):  # type: ignore[misc]
    """pyserial's socket://, which sleeps 0.3 s at each closing and lets Nagle's algorithm delay what is sent."""

    _socket: Any

    def open(self) -> None:
        super().open()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self.is_open = None, False


class SerialLines:
    """Lines to and from `address`: a port (COM3, /dev/ttyUSB0) or a pyserial URL (socket://host:port, rfc2217://…).

    What the instrument says unasked is kept until it is read. A lost link is opened anew at the next use; nothing is
    ever sent twice. One thread uses it.
    """

    def __init__(
        self,
        address: str,
        *,
        baud: int,
        xonxoff: bool = False,
        rtscts: bool = False,
        instrument: str = "",
        timeout_s: float = 5.0,
    ) -> None:
        self.address = address
        self.instrument = instrument
        self.timeout_s = timeout_s
        self._settings = {"baudrate": baud, "xonxoff": xonxoff, "rtscts": rtscts}
        self._port: serial.SerialBase | None = None
        self._pending = b""
        self._ended = False
        self._backoff = Backoff()
        self._tap = Tap(address)

    def write(self, data: bytes) -> None:
        port = self._connected()
        self._tap.sent(data)
        with self._guard("write"):
            port.write(data)

    def read_line(self, timeout_s: float | None = None) -> bytes:
        """The next line without its end. Raises `InstrumentTimeout` where none is complete in time; keeps its part."""
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._pending:
            self._receive(max(0.0, deadline - time.monotonic()))
            if b"\n" not in self._pending and time.monotonic() >= deadline:
                self._tap.noted("timeout")
                raise InstrumentTimeout(f"no line within {limit_s:.3g} s", **self._where())
        line, self._pending = self._pending.split(b"\n", 1)
        return line

    def lines_here(self) -> list[bytes]:
        """All complete lines that have come, without waiting."""
        while self._receive(0.0):
            continue
        *lines, self._pending = self._pending.split(b"\n")
        return lines

    def close(self) -> None:
        """Until the next use; what was not read is gone."""
        if self._port is not None:
            with contextlib.suppress(OSError):  # the link may be dead already
                self._port.close()
        self._port, self._pending = None, b""

    def end(self) -> None:
        """For good."""
        self._ended = True
        self.close()

    def _receive(self, wait_s: float) -> bytes:
        port = self._connected()
        with self._guard("read"):
            port.timeout = wait_s
            data: bytes = port.read(max(1, port.in_waiting))
        self._tap.received(data)
        self._pending += data
        if len(self._pending) > LONGEST_LINE and b"\n" not in self._pending:
            self.close()
            raise BadReply(f"a line without end ({LONGEST_LINE} bytes)", **self._where())
        return data

    def _connected(self) -> serial.SerialBase:
        if self._port is not None:
            return self._port
        if self._ended:
            raise Unreachable("closed by this program", **self._where())
        if (wait_s := self._backoff.remaining_s()) > 0:
            raise Unreachable(f"not connected; next attempt in {wait_s:.1f} s", **self._where())
        try:
            opened = _Socket if self.address.startswith("socket://") else serial.serial_for_url
            self._port = opened(self.address, write_timeout=self.timeout_s, **self._settings)
        except (OSError, ValueError) as error:  # pyserial's own error is an OSError
            self._backoff.failed()
            raise Unreachable(
                f"cannot open it: {error}",
                hint="is it plugged in, is the port's name right, does another program hold it?",
                **self._where(),
            ) from error
        self._tap.noted("opened")
        self._backoff.succeeded()
        return self._port

    @contextlib.contextmanager
    def _guard(self, what: str) -> Iterator[None]:
        try:
            yield
        except serial.SerialTimeoutException as error:
            self._tap.noted("timeout")
            self.close()
            raise InstrumentTimeout("it takes no more data", **self._where()) from error
        except (OSError, TypeError) as error:  # pyserial raises TypeError where a port was closed under it
            self._tap.noted("lost")
            self.close()
            self._backoff.failed()
            raise Unreachable(f"link lost at {what}: {error}", **self._where()) from error

    def _where(self) -> dict[str, str]:
        return {"instrument": self.instrument, "address": self.address}
