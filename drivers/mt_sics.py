"""Balances by Mettler Toledo and others that speak MT-SICS, as force gauges.

Wire facts: docs/instruments/mt-sics.md (evidence: maker's reference manual 11780711). Not run on hardware yet.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal, NoReturn

from drivers.about import About, Probe
from drivers.force import KILOGRAMS, STANDARD_GRAVITY_m_s2
from drivers.interface import BadReply, NoReading
from drivers.text_instrument import TextInstrument

STABLE, AT_ONCE = "S", "SI"
WEIGHT = re.compile(r"(?P<status>[SD]) (?P<value>[ .\d+-]{10}|[ .\d+-]{12}) (?P<unit>[A-Za-z]{1,3})")
"""The value's field has 10 characters, of which none can be lost unseen; the manual's own example of a tare has 12."""
NUMBER = re.compile(r" *-?\d+(\.\d+)?")
QUOTED = re.compile(r'(?P<id>I\d+) A "(?P<text>[^"]*)"')
ERRORS = {
    "ES": "it does not know this command (ES)",
    "ET": "it received the command garbled (ET)",
    "EL": "it cannot carry this out (EL)",
}
PLAUSIBLE_GRAVITY = (9.7, 9.9)  # m/s², anywhere on the ground


class MtSicsBalance(TextInstrument):
    """Force in N: the balance's mass times `gravity_m_s2`, in whatever unit the balance displays.

    A balance is adjusted with masses where it stands, so `gravity_m_s2` is that of the place. With `stable` each
    reading waits until the balance calls it stable, within `timeout_s`.
    """

    model: ClassVar[str] = "MT-SICS balance"
    safe_state: ClassVar[str] = "none needed: it only measures"
    about: ClassVar[About] = About(
        connection="serial port (RS-232, USB), serial server, TCP",
        evidence="maker's reference manual; not run on hardware",
        quirks="speaks unasked when its print key is pressed; slower than 20 readings a second",
        probes=(Probe(b"I4\r\n", r"^I4 A \"", "{resource}?baud=9600", baud=9600),),
    )

    def __init__(
        self,
        address: str,
        *,
        stable: bool = False,
        gravity_m_s2: float = STANDARD_GRAVITY_m_s2,
        timeout_s: float = 3.0,
    ) -> None:
        self._weigh: Literal["S", "SI"] = "S" if stable else "SI"
        self._gravity_m_s2 = gravity_m_s2
        super().__init__(address, timeout_s=timeout_s)
        low, high = PLAUSIBLE_GRAVITY
        if not low <= gravity_m_s2 <= high:
            self._out_of_range(f"setting gravity_m_s2 {gravity_m_s2}: {low} to {high} m/s²")
        try:
            self.identify()
        except BaseException:
            self.close()
            raise

    def identify(self) -> str:
        return f"{self._quoted('I2')}, serial number {self._quoted('I4')}"

    def read_force(self) -> float | NoReading:
        """Force in N, net of the balance's own tare."""
        return self._weighed(self._weigh, self._weigh_reply(self._weigh))

    def tare(self) -> None:
        """Take the present load for zero, once the balance is stable."""
        match self._checked("T"):
            case "T I":
                self._refuse("it does not come to rest, or is busy", "tare again when nothing moves")
            case "T +" | "T -":
                self._refuse("the load is outside the range that can be tared")
            case reply if not reply.startswith("T S ") or WEIGHT.fullmatch(reply[2:]) is None:
                self._bad_reply("T", reply)

    def _weigh_reply(self, request: str) -> str:
        reply = self._checked(request)
        if not reply.startswith("S "):
            self._bad_reply(request, reply)
        return reply[2:]

    def _weighed(self, request: str, said: str) -> float | NoReading:
        if said in ("+", "-"):
            return NoReading.OVERLOAD
        if said == "I":
            return NoReading.NOT_AVAILABLE
        match = WEIGHT.fullmatch(said)
        if match is None or not NUMBER.fullmatch(match["value"]) or (self._weigh == STABLE and match["status"] != "S"):
            self._bad_reply(request, f"S {said}")
        if (kilograms := KILOGRAMS.get(match["unit"])) is None:
            self._unknown_unit(match["unit"])
        return float(match["value"]) * kilograms * self._gravity_m_s2

    def _quoted(self, request: str) -> str:
        reply = self._checked(request)
        match = QUOTED.fullmatch(reply)
        if match is None or match["id"] != request:
            self._bad_reply(request, reply)
        return match["text"]

    def _checked(self, request: str) -> str:
        reply = self._ask(request)
        if reply in ERRORS:
            self._refuse(f"{request}: {ERRORS[reply]}")
        return reply

    def _unknown_unit(self, unit: str) -> NoReturn:
        raise BadReply(
            f"it weighs in {unit!r}, which is no mass known here",
            instrument=self.model,
            address=self.address,
            hint=f"set the balance to one of {', '.join(KILOGRAMS)}",
        )
