"""Arbor FG-50 force gauge (made up), 50 N.

Wire facts: docs/instruments/arbor-fg50.md (evidence: vendor document). Not run on hardware yet.
"""

from __future__ import annotations

import re
from typing import ClassVar, Self

from drivers.about import About, scpi_probes
from drivers.interface import BadReply, NoReading, OutOfRange, WrongInstrument
from drivers.transports import VisaLine

IDENTITY = re.compile(r"ARBOR,FG-50,")
READING = re.compile(r"[+-]\d\.\d{4}E[+-]\d\d")
OVERLOAD = 9.9e37
RATES_Hz = (1, 10, 100)


class ArborFg50:
    """Force in N, compression positive. The mean over 1/`rate_Hz` seconds."""

    model: ClassVar[str] = "Arbor FG-50"
    safe_state: ClassVar[str] = "none needed: it only measures"
    about: ClassVar[About] = About(
        connection="TCP socket, USB (VISA)",
        evidence="maker's document; not run on hardware",
        quirks="beyond 55 N it says 9.9E37",
        probes=scpi_probes(IDENTITY.pattern),
    )

    def __init__(self, address: str, *, rate_Hz: int = 10, timeout_s: float = 3.0) -> None:
        if rate_Hz not in RATES_Hz:
            raise OutOfRange(f"rate {rate_Hz} Hz: one of {RATES_Hz}", instrument=self.model, address=address)
        self.address = address
        self._line = VisaLine(address, instrument=self.model, timeout_s=timeout_s)
        try:
            if not IDENTITY.match(identity := self.identify()):
                raise WrongInstrument(f"{identity[:60]!r} answered", instrument=self.model, address=address)
            self._line.write(f":SENS:RATE {rate_Hz}")
        except BaseException:
            self._line.end()
            raise

    def identify(self) -> str:
        return self._line.query("*IDN?")

    def read_force(self) -> float | NoReading:
        reply = self._line.query(":MEAS:FORC?")
        if not READING.fullmatch(reply):
            self._line.close()  # whatever else is on the line belongs to no later question
            raise BadReply(f"{reply[:60]!r} is no force", instrument=self.model, address=self.address)
        force_N = float(reply)
        return force_N if abs(force_N) < OVERLOAD else NoReading.OVERLOAD

    def make_safe(self) -> None:
        """Nothing to do: the gauge drives nothing."""

    def close(self) -> None:
        self._line.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
