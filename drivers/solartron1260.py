"""Solartron 1260 (1255B) frequency response analyser: generator, and the ratio of its inputs V1 and V2.

Wire facts: docs/instruments/solartron-1260-1287.md (evidence: vendor manual, public code).
Not run on hardware yet.
"""

from __future__ import annotations

import cmath
import math
import re
import time
from typing import Protocol

from drivers.interface import BadReply, Range, Refused, WrongInstrument

_RECORD = re.compile(
    r"([+-]\d\.\d{7}E[+-]\d\d),"  # frequency, Hz
    r"([+-]\d\.\d{4}E[+-]\d\d),"  # magnitude
    r"([+-]\d\.\d{4}E[+-]\d\d),"  # angle, degrees
    r"(\d),(00|-1|\+1)"  # error, limit check
)
_RECORD_LENGTH = 43


class GpibLine(Protocol):
    """What a GPIB instrument needs of its link; `VisaLine` and `PrologixDevice` are such."""

    def write(self, text: str) -> None: ...
    def read(self, timeout_s: float | None = None) -> str: ...
    def query(self, text: str, timeout_s: float | None = None) -> str: ...
    def close(self) -> None: ...


class Solartron1260:
    """Single-sine measurements of V1/V2, one frequency at a time."""

    model = "Solartron 1260"
    frequency_range = Range(10e-6, 32e6)  # Hz
    amplitude_range = Range(0.0, 3.0)  # V rms

    settings = (
        "OS 0",  # separator: comma
        "OP 2,1",  # every result to GPIB
        "OP 3,0",  # none to the file
        "GT 0",  # generator: voltage
        "VB 0.0000E+0",  # no bias: that is the 1287's
        "AU 0",  # integrate for the time set, not until it is quiet
        "MS 0.0000E+0",  # no delay
        "RA 1,0",  # V1 and V2 choose their range,
        "RA 2,0",
        "DC 1,0",  # are coupled directly,
        "DC 2,0",
        "IP 1,0",  # single-ended,
        "IP 2,0",
        "OU 1,1",  # their outer conductors floating
        "OU 2,1",
        "SO 1,2",  # V1/V2
        "CV 1",  # as r, θ
        "CZ 1",
        "UW 0",  # θ within ±180°
        "SW 0",  # no sweep of its own
        "BP 0",
        "CE",
    )

    def __init__(self, line: GpibLine, *, address: str = "", write_wait_s: float = 0.02) -> None:
        self.line = line
        self.address = address
        self.write_wait_s = write_wait_s
        self.write("OT 1")  # results end with CR LF and EOI; without EOI a GPIB reader waits in vain
        self.identity = self._identified()

    def write(self, text: str) -> None:
        self.line.write(text)
        time.sleep(self.write_wait_s)

    def prepare(self, amplitude_rms_V: float) -> None:
        """State every setting that a result depends on, and switch the generator on."""
        for command in self.settings:
            self.write(command)
        self.write(f"VA {number(amplitude_rms_V)}")

    def start(self, frequency_Hz: float, integration_s: float) -> None:
        """Begin one measurement; it takes the integration time and about a cycle more."""
        self.write(f"FR {number(frequency_Hz, digits=7)}")
        self.write(f"IS {number(integration_s)}")
        self.write("SI")

    def result(self, frequency_Hz: float, timeout_s: float) -> complex:
        """V1/V2 of the measurement that was started, once it is finished."""
        self.write("SO 1,2")
        self.write("DO")
        return self._parse(self.line.read(timeout_s), frequency_Hz)

    def stop(self) -> None:
        """Break off a measurement and take the generator to 0 V; the answer shows that all before was taken."""
        self.write("BK")
        self.write(f"VA {number(0.0)}")
        self.line.query("*IDN?")

    def _identified(self) -> str:
        identity = self.line.query("*IDN?")
        if not re.search(r"\b(1260|1255)", identity):
            raise WrongInstrument(
                f"{identity[:60]!r} answered, not a 1260", instrument=self.model, address=self.address
            )
        return identity

    def _parse(self, reply: str, frequency_Hz: float) -> complex:
        record = _RECORD.fullmatch(reply)
        if len(reply) != _RECORD_LENGTH or record is None:
            raise self._bad(f"{reply[:60]!r} is not a result of {_RECORD_LENGTH} characters")
        echoed_Hz, r, degrees = (float(field) for field in record.groups()[:3])
        if record[4] != "0":
            raise Refused(
                f"error {record[4]} at {frequency_Hz:g} Hz",
                instrument=self.model,
                address=self.address,
                hint="an input overloaded or without signal: is the cell connected, do amplitude, standard "
                "resistor and current limit fit it?",
            )
        if not math.isclose(echoed_Hz, frequency_Hz, rel_tol=1e-4):
            raise self._bad(f"a result at {echoed_Hz:g} Hz where {frequency_Hz:g} Hz was asked for: left over?")
        if r < 0 or abs(degrees) > 180:
            raise self._bad(f"{reply!r} is not magnitude and angle")
        return cmath.rect(r, math.radians(degrees))

    def _bad(self, message: str) -> BadReply:
        return BadReply(message, instrument=self.model, address=self.address)


def number(value: float, digits: int = 4) -> str:
    """As the manuals write numbers, 1.0000E+3: an exponent of one digit where one is enough."""
    mantissa, exponent = f"{value:.{digits}E}".split("E")
    return f"{mantissa}E{int(exponent):+d}"
