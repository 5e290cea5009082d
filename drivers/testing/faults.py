"""A TCP proxy that stands between a driver and its virtual instrument and spoils the traffic."""

from __future__ import annotations

import contextlib
import enum
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

Piece: TypeAlias = "bytes | float | None"
"""Bytes to pass on, a pause in seconds, or None: hang up."""

Spoil: TypeAlias = Callable[[bytes], "bytes | Sequence[Piece] | None"]
"""What to do with one chunk of a reply: pass it on changed, in pieces, or (None) hang up."""


def cut_after(count: int) -> Spoil:
    """Pass `count` bytes of each chunk, then close the connection."""
    return lambda chunk: [chunk[:count], None]


def swallow(chunk: bytes) -> bytes:
    """The instrument says nothing."""
    return b""


def garble(chunk: bytes) -> bytes:
    """Every byte wrong, the line ends kept."""
    return bytes(byte if byte in b"\r\n#" else (byte ^ 0x80) for byte in chunk)


def double(chunk: bytes) -> bytes:
    return chunk + chunk


def dribble(chunk: bytes) -> Sequence[Piece]:
    """Byte by byte."""
    pieces: list[Piece] = []
    for count in range(len(chunk)):
        # Long replies keep within the drivers' time-outs.
        pieces += [chunk[count : count + 1], 0.0005 if count < 100 else 0.0]
    return pieces


class Kind(enum.Enum):
    """What can happen to one byte of a reply."""

    HUNG_UP = "cut, and the link closed"
    CUT = "cut, and nothing more comes of this reply"
    DELAYED = "delayed beyond the driver's patience"
    DOUBLED = "doubled"
    FLIPPED = "its lowest bit flipped"
    GARBLED = "its highest bit flipped"


MASKS = {Kind.FLIPPED: 0x01, Kind.GARBLED: 0x80}


class FaultAt:
    """One fault, once, at byte `position` of all that the instrument says from now on."""

    def __init__(self, kind: Kind, position: int, hold_s: float) -> None:
        self.kind, self.position, self.hold_s = kind, position, hold_s
        self.reply, self.index = b"", 0  # the chunk that was struck, and where
        self._passed = 0
        self._lock = threading.Lock()

    def __call__(self, chunk: bytes) -> bytes | Sequence[Piece]:
        with self._lock:
            index = self.position - self._passed
            self._passed += len(chunk)
        if not 0 <= index < len(chunk):
            return chunk
        self.reply, self.index = chunk, index
        before, byte, after = chunk[:index], chunk[index : index + 1], chunk[index + 1 :]
        match self.kind:
            case Kind.HUNG_UP:
                return [before, None]
            case Kind.CUT:
                return before
            case Kind.DELAYED:
                return [before, self.hold_s, byte + after]
            case Kind.DOUBLED:
                return before + byte + byte + after
            case _:
                return before + bytes([byte[0] ^ MASKS[self.kind]]) + after

    def __str__(self) -> str:
        return f"byte {self.position} {self.kind.value}"


def _hang_up(side: socket.socket) -> None:
    """Close so that a thread in `recv` on the other side of it sees the end at once."""
    with contextlib.suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
    side.close()


@dataclass
class FaultProxy:
    """Listens on a port of its own and forwards to `port`; `spoil` acts on what the instrument sends."""

    port: int
    host: str = "127.0.0.1"
    spoil: Spoil | None = None

    def __post_init__(self) -> None:
        self.sent: list[bytes] = []  # what the driver sent, chunk by chunk
        self.said = 0  # bytes that the instrument sent
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
        _hang_up(self._listener)  # closed only, a thread in `accept` would hold the port
        self.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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
                self.said += len(chunk)
                self._pass_on(driver, self.spoil(chunk) if self.spoil else chunk)
        except OSError:
            pass
        _hang_up(driver)

    def _pass_on(self, driver: socket.socket, spoiled: bytes | Sequence[Piece] | None) -> None:
        for piece in [spoiled] if spoiled is None or isinstance(spoiled, bytes) else spoiled:
            if piece is None:
                raise OSError("cut by the proxy")
            if isinstance(piece, float):
                time.sleep(piece)
            else:
                driver.sendall(piece)
