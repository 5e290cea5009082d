"""A TCP proxy that stands between a driver and its virtual instrument and spoils the traffic."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

Spoil = Callable[[bytes], bytes | None]
"""What to do with one chunk of a reply: pass it on changed, or None to close the connection."""


def cut_after(count: int) -> Spoil:
    """Pass `count` bytes of each chunk, then close the connection."""
    return lambda chunk: chunk[:count] + CLOSE


def swallow(chunk: bytes) -> bytes:
    """The instrument says nothing."""
    return b""


def garble(chunk: bytes) -> bytes:
    """Every byte wrong, the line ends kept."""
    return bytes(byte if byte in b"\r\n#" else (byte ^ 0x80) for byte in chunk)


def double(chunk: bytes) -> bytes:
    return chunk + chunk


def dribble(chunk: bytes) -> bytes:
    """Marks the chunk to be sent byte by byte."""
    return DRIBBLE + chunk


def _hang_up(side: socket.socket) -> None:
    """Close so that a thread in `recv` on the other side of it sees the end at once."""
    with contextlib.suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
    side.close()


CLOSE = b"\x00<close>"
DRIBBLE = b"\x00<dribble>"


@dataclass
class FaultProxy:
    """Listens on a port of its own and forwards to `port`; `spoil` acts on what the instrument sends."""

    port: int
    host: str = "127.0.0.1"
    spoil: Spoil | None = None

    def __post_init__(self) -> None:
        self.sent: list[bytes] = []  # what the driver sent, chunk by chunk
        self._listener = socket.create_server((self.host, 0))
        self.proxy_port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self.refuse = False
        threading.Thread(target=self._accept, daemon=True).start()

    def address(self, template: str) -> str:
        """`template` with {host} and {port} filled in, as `VirtualInstrument.resource`."""
        return template.format(host=self.host, port=self.proxy_port)

    def drop(self) -> None:
        """Cut every connection now."""
        for side in self._open:
            _hang_up(side)
        self._open.clear()

    def close(self) -> None:
        self._listener.close()
        self.drop()

    def _accept(self) -> None:
        while True:
            try:
                driver, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                driver.close()
                continue
            try:
                instrument = socket.create_connection((self.host, self.port))
            except OSError:
                driver.close()
                continue
            for side in (driver, instrument):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [driver, instrument]
            threading.Thread(target=self._upward, args=(driver, instrument), daemon=True).start()
            threading.Thread(target=self._downward, args=(instrument, driver), daemon=True).start()

    def _upward(self, driver: socket.socket, instrument: socket.socket) -> None:
        try:
            while chunk := driver.recv(65536):
                self.sent.append(chunk)
                instrument.sendall(chunk)
        except OSError:
            pass
        _hang_up(instrument)

    def _downward(self, instrument: socket.socket, driver: socket.socket) -> None:
        try:
            while chunk := instrument.recv(65536):
                self._pass_on(driver, self.spoil(chunk) if self.spoil else chunk)
        except OSError:
            pass
        _hang_up(driver)

    def _pass_on(self, driver: socket.socket, chunk: bytes | None) -> None:
        if chunk is None:
            raise OSError("cut by the proxy")
        if chunk.startswith(DRIBBLE):
            for count, byte in enumerate(chunk.removeprefix(DRIBBLE)):
                driver.sendall(bytes([byte]))
                time.sleep(0.0005 if count < 100 else 0.0)  # long replies keep within the drivers' time-outs
            return
        if chunk.endswith(CLOSE):
            driver.sendall(chunk.removesuffix(CLOSE))
            driver.shutdown(socket.SHUT_RDWR)
            raise OSError("cut by the proxy")
        driver.sendall(chunk)
