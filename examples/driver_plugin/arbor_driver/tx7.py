"""Arbor TX-7 thermometer (made up): one platinum sensor, -50 to 200 °C, TCP port 4007.

Wire facts: say here where they are written down, and whether the driver ever met the instrument.
"""

from __future__ import annotations

import re
from typing import ClassVar, Self

from drivers.about import About, Probe
from drivers.interface import BadReply, NoReading, WrongInstrument
from drivers.transports.framed import FramedSocket

READING = re.compile(rb"T([+-]\d{3}\.\d{2})")  # always eight characters: a doubled digit shows
OPEN_SENSOR = b"T ------"


class ArborTx7:
    """Temperature in °C. `address` is "host" or "host:port"."""

    model: ClassVar[str] = "Arbor TX-7"
    safe_state: ClassVar[str] = "none needed: it only measures"
    about: ClassVar[About] = About(
        connection="TCP",
        evidence="made up, for this template",
        quirks="answers 'T ------' while its sensor is unplugged",
        probes=(Probe(b"ID\n", "ARBOR TX-7", "{host}:{port}", 4007),),
    )

    def __init__(self, address: str, *, timeout_s: float = 3.0) -> None:
        self.address = address
        self._link = FramedSocket(
            address, terminator=b"\n", default_port=4007, instrument=self.model, timeout_s=timeout_s
        )
        try:
            if "ARBOR TX-7" not in (identity := self.identify()):
                raise WrongInstrument(f"{identity[:60]!r} answered", instrument=self.model, address=address)
        except BaseException:
            self._link.end()
            raise

    def identify(self) -> str:
        reply = self._link.exchange(b"ID\n")
        try:
            return reply.decode("ascii")
        except UnicodeDecodeError:
            raise self._bad(reply) from None

    def read_temperature_degC(self) -> float | NoReading:
        reply = self._link.exchange(b"T\n")
        if reply == OPEN_SENSOR:
            return NoReading.NOT_AVAILABLE
        if not (match := READING.fullmatch(reply)):
            raise self._bad(reply)
        return float(match[1])

    def make_safe(self) -> None:
        """Nothing to do: it drives nothing."""

    def close(self) -> None:
        self._link.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _bad(self, reply: bytes) -> BadReply:
        self._link.close()  # whatever else is on the line belongs to no later question
        return BadReply(f"{reply[:60]!r} is no answer of it", instrument=self.model, address=self.address)
