"""Instruments that answer a line of text with a line of text, over a serial port or through a serial server."""

from __future__ import annotations

from typing import ClassVar, NoReturn, Self

from drivers.interface import BadReply, OutOfRange, Refused
from drivers.transports.serial_port import text_link


class TextInstrument:
    """A line to one instrument; nothing is sent on opening.

    `address` is `COM3`, `/dev/ttyUSB0?baud=9600` or `socket://host:port` (a serial server in raw mode).
    """

    model: ClassVar[str]
    terminator: ClassVar[bytes] = b"\r\n"  # of requests and of replies
    baud: ClassVar[int] = 9600

    def __init__(self, address: str, *, timeout_s: float) -> None:
        self.address = address
        self._link = text_link(
            address, terminator=self.terminator, baud=self.baud, instrument=self.model, timeout_s=timeout_s
        )

    def make_safe(self) -> None:
        """Nothing to do: it drives nothing."""

    def close(self) -> None:
        self._link.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ask(self, request: str) -> str:
        """The reply, without its terminator and without another change."""
        reply = self._link.exchange(request.encode("ascii") + self.terminator)
        return self._text(request, reply)

    def _text(self, request: str, reply: bytes) -> str:
        try:
            return reply.decode("ascii")
        except UnicodeDecodeError:
            self._bad_reply(request, reply.decode("latin-1"))

    def _bad_reply(self, request: str, reply: str) -> NoReturn:
        self._link.close()  # whatever else is on the line belongs to no later question
        raise BadReply(f"{request!r} was answered with {reply[:60]!r}", instrument=self.model, address=self.address)

    def _refuse(self, message: str, hint: str = "") -> NoReturn:
        raise Refused(message, instrument=self.model, address=self.address, hint=hint)

    def _out_of_range(self, message: str) -> NoReturn:
        raise OutOfRange(message, instrument=self.model, address=self.address)
