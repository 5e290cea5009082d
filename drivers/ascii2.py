"""Older climate chambers by Vötsch, Weiss and CTS that speak ASCII-2: lines of text, on a serial port or through TCP.

Wire facts: docs/instruments/ascii2.md (evidence: public programs; the place of the start digit differs from model to
model). Not run on hardware yet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from drivers.about import About
from drivers.chamber import LimitedChamber
from drivers.interface import NoReading
from drivers.text_instrument import TextInstrument

VALUE = re.compile(r"-?\d{4}\.\d|-\d{3}\.\d")
DIGITS = re.compile(r"[01]{32}")


@dataclass(frozen=True, slots=True)
class Ascii2State:
    """What the chamber says: pairs of set point and actual value, and 32 digital channels."""

    set_points: tuple[float, ...]
    actual_values: tuple[float, ...]
    digits: str


class Ascii2Chamber(TextInstrument, LimitedChamber):
    """The temperature of one chamber, the first of its analogue channels.

    `address` is `COM3` or `socket://host:port`. The other set points and the other digits are written as they were
    read. `start_digit` (0 to 31, from the left) is the one that starts the chamber: look in its manual. `bus` is the
    chamber's number on the line.
    """

    model: ClassVar[str] = "chamber with ASCII-2"
    about: ClassVar[About] = About(
        connection="serial port (RS-232, RS-485), TCP",
        evidence="public programs; not run on hardware",
        quirks="which digit starts it differs from model to model; no checksum",
    )
    terminator: ClassVar[bytes] = b"\r"

    def __init__(
        self,
        address: str,
        *,
        temperature_min_degC: float,
        temperature_max_degC: float,
        start_digit: int,
        safe_temperature_degC: float | None = None,
        bus: int = 1,
        wait_s: float = 1.0,
        timeout_s: float = 3.0,
    ) -> None:
        LimitedChamber.__init__(
            self, address, temperature_min_degC, temperature_max_degC, safe_temperature_degC, wait_s=wait_s
        )
        if start_digit not in range(32):
            self._out_of_range(f"setting start_digit {start_digit}: 0 to 31, from the left")
        if bus not in range(1, 33):
            self._out_of_range(f"setting bus {bus}: 1 to 32")
        self._start_digit, self._bus = start_digit, bus
        TextInstrument.__init__(self, address, timeout_s=timeout_s)
        try:
            self._state()
        except BaseException:
            self.close()
            raise

    def identify(self) -> str:
        """Such chambers do not say what they are: how many analogue channels one has."""
        return f"{self.model}, bus {self._bus:02d}, {len(self._state().set_points)} analogue channels"

    def read_temperature_degC(self) -> float | NoReading:
        """Of the air in the chamber."""
        return self._reading(self._state().actual_values[0])

    def set_temperature(self, temperature_degC: float) -> None:
        """Set and start, leaving all else as it is, and read back."""
        self.check_temperature(temperature_degC)
        before = self._state()
        set_points = (temperature_degC, *before.set_points[1:])
        digits = before.digits[: self._start_digit] + "1" + before.digits[self._start_digit + 1 :]
        command = f"${self._bus:02d}E {' '.join(map(_text, set_points))} {digits}"
        self._ask(command)  # some models answer with their state, some with an acknowledgement
        self._wait_until_running(lambda: self._state().digits[self._start_digit] == "1")
        self._verify(temperature_degC, self._state().set_points[0])

    def _state(self) -> Ascii2State:
        request = f"${self._bus:02d}I"
        reply = self._ask(request)
        *values, digits = reply.split() or [""]
        if not DIGITS.fullmatch(digits) or not all(map(VALUE.fullmatch, values)) or len(values) < 2 or len(values) % 2:
            self._bad_reply(request, reply)
        numbers = tuple(map(float, values))
        self._temperature(numbers[0])
        return Ascii2State(numbers[0::2], numbers[1::2], digits)


def _text(value: float) -> str:
    """Six characters: '0025.0', '-020.0'."""
    return f"{value:06.1f}"
