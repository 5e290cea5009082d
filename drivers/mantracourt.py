"""Mantracourt DSCUSB, DSC and DCell strain-gauge converters, through their ASCII protocol.

Wire facts: docs/instruments/mantracourt-ascii.md (evidence: maker's manuals). Not run on hardware yet.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from drivers.about import About
from drivers.force import NEWTONS, faults_of_scale, within_capacity
from drivers.interface import NoReading
from drivers.text_instrument import TextInstrument

NUMBER = re.compile(r"[+-]?\d{1,8}(\.\d{1,7})?")
REFUSED = "?"
STATIONS = range(1, 254)  # 000 is for all, and nobody answers it


class MantracourtAscii(TextInstrument):
    """Force in N from one station: SYS times `scale` plus `offset`, in `unit`.

    Beyond 1.5 times `capacity_N`, or with a bit of `overload_mask` set in the latched flags (unverified which bit
    means what: compare the manual), the reading is `NoReading.OVERLOAD`.
    """

    model: ClassVar[str] = "Mantracourt strain-gauge converter"
    safe_state: ClassVar[str] = "none needed: it only measures"
    about: ClassVar[About] = About(
        connection="serial port (USB, RS-232, RS-485), serial server",
        evidence="maker's manuals; not run on hardware",
        quirks="no checksum; the stations of a bus share its port; Linux does not claim USB id 1781:0BAD by itself",
    )
    terminator: ClassVar[bytes] = b"\r"
    baud: ClassVar[int] = 115200

    def __init__(
        self,
        address: str,
        *,
        capacity_N: float,
        station: int = 1,
        unit: Literal["N", "kN", "mN", "gf", "kgf", "lbf"] = "N",
        scale: float = 1.0,
        offset: float = 0.0,
        overload_mask: int = 0,
        timeout_s: float = 1.0,
    ) -> None:
        self.station, self.capacity_N = station, capacity_N
        self._scale, self._offset, self._newtons = scale, offset, NEWTONS.get(unit, 0.0)
        self._overload_mask = overload_mask
        super().__init__(address, timeout_s=timeout_s)
        faults = faults_of_scale(capacity_N, scale, offset)
        faults += [f"station {station}: 1 to 253"] if station not in STATIONS else []
        faults += [f"unit {unit!r}: one of {', '.join(NEWTONS)}"] if not self._newtons else []
        if faults:
            self._out_of_range(f"setting {faults[0]}")
        try:
            self._number("SYS")
        except BaseException:
            self.close()
            raise

    def identify(self) -> str:
        version, low, high = (self._number(parameter) for parameter in ("VER", "SERL", "SERH"))
        return f"{self.model}, station {self.station:03d}, serial number {high:g}:{low:g}, version {version:g}"

    def read_force(self) -> float | NoReading:
        """Force in N, in the converter's own filter and calibration."""
        number = self._number("SYS")
        # The flags after the number: a number that was already wrong is never let through.
        if self._overload_mask and int(self._number("FLAG")) & self._overload_mask:
            return NoReading.OVERLOAD
        return within_capacity((number * self._scale + self._offset) * self._newtons, self.capacity_N)

    def _number(self, parameter: str) -> float:
        request = f"!{self.station:03d}:{parameter}?"
        reply = self._ask(request)
        if reply == REFUSED:
            self._refuse(f"{request} was refused", "is this parameter known to this model?")
        if not NUMBER.fullmatch(reply):
            self._bad_reply(request, reply)
        return float(reply)
