"""Force gauges that send a line of text for each reading: HX711 and other amplifiers on an Arduino, indicators.

There is no standard, so the pattern of a line is this driver's setting.
Wire facts: docs/instruments/line-stream.md (evidence: common practice). Not run on hardware yet.
"""

from __future__ import annotations

import re
import statistics
import time
from typing import ClassVar

from drivers.about import About
from drivers.force import NEWTONS, faults_of_scale, within_capacity
from drivers.interface import BadReply, InstrumentTimeout, NoReading
from drivers.text_instrument import TextInstrument

BOOT_TEXT_LINES = 50
"""How many lines in a row may say something else before it is told: boot text, comments, a cut line."""


class LineStream(TextInstrument):
    r"""Force in N from lines that match `pattern`, a regular expression for a whole line.

    Its group `value` is the number; a group `unit` says the unit, which is `unit` where there is none. Force =
    (number · `scale` + `offset`) in that unit. A reading is the median of `median_of` lines: where one of them was
    struck by a disturbance, which no checksum shows, the median is that of a sound one. Lines come by themselves,
    or each for a `request`, which is sent with a line feed. Opening waits `boot_s` for a first good line, for many
    boards restart when their port is opened.
    """

    model: ClassVar[str] = "force gauge with a line stream"
    safe_state: ClassVar[str] = "none needed: it only measures"
    about: ClassVar[About] = About(
        connection="serial port (USB), serial server",
        evidence="common practice of Arduino sketches; not run on hardware",
        quirks="no checksum: a reading is the median of several lines; the board may restart when opened",
    )
    terminator: ClassVar[bytes] = b"\n"

    def __init__(
        self,
        address: str,
        *,
        capacity_N: float,
        pattern: str = r"(?P<value>[+-]?\d+(\.\d+)?)( ?(?P<unit>N|kN|mN|gf|kgf|lbf))?",
        unit: str = "N",
        scale: float = 1.0,
        offset: float = 0.0,
        median_of: int = 3,
        request: str = "",
        tare_request: str = "",
        boot_s: float = 5.0,
        timeout_s: float = 2.0,
    ) -> None:
        self.capacity_N, self._unit, self._scale, self._offset = capacity_N, unit, scale, offset
        self._median_of, self._request, self._tare_request = median_of, request, tare_request
        super().__init__(address, timeout_s=timeout_s)
        self._pattern = self._compiled(pattern)
        faults = faults_of_scale(capacity_N, scale, offset)
        faults += [f"unit {unit!r}: one of {', '.join(NEWTONS)}"] if unit not in NEWTONS else []
        faults += [f"median_of {median_of}: an odd number, 1 to 99"] if median_of not in range(1, 100, 2) else []
        if faults:
            self._out_of_range(f"setting {faults[0]}")
        try:
            self._wait_for_a_good_line(boot_s)
        except BaseException:
            self.close()
            raise

    def identify(self) -> str:
        """Such boards do not say what they are: the pattern, once a line has matched it."""
        self._forces_N(1)
        return f"{self.model}, lines like {self._pattern.pattern}"

    def read_force(self) -> float | NoReading:
        return within_capacity(statistics.median(self._forces_N(self._median_of)), self.capacity_N)

    def tare(self) -> None:
        """Send the board's own tare command; it is not known whether it took it."""
        if not self._tare_request:
            self._refuse("no tare_request is configured")
        self._link.exchange(self._tare_request.encode("ascii") + self.terminator)

    def _wait_for_a_good_line(self, boot_s: float) -> None:
        until = time.monotonic() + boot_s
        while True:
            try:
                self._forces_N(1)
                return
            except (InstrumentTimeout, BadReply):
                if time.monotonic() >= until:
                    raise

    def _forces_N(self, count: int) -> list[float]:
        """Of the next `count` lines that match; others between them are passed over."""
        forces: list[float] = []
        others = 0
        while len(forces) < count:
            for line in self._lines(count - len(forces)):
                if (match := self._pattern.fullmatch(line)) is not None:
                    forces.append(self._force_N(match))
                elif (others := others + 1) >= BOOT_TEXT_LINES:
                    self._bad_reply(self._request or "listening", f"{line} (which the pattern does not match)")
        return forces

    def _lines(self, count: int) -> list[str]:
        if self._request:
            return [self._plain(self._link.exchange(self._request.encode("ascii") + self.terminator))]
        return [self._plain(line) for line in self._link.listen(count)]

    def _plain(self, line: bytes) -> str:
        return line.decode("latin-1").removesuffix("\r").strip(" ")

    def _force_N(self, match: re.Match[str]) -> float:
        unit = match.groupdict().get("unit") or self._unit
        if unit not in NEWTONS:
            self._bad_reply(self._request or "listening", f"{match[0]} (unit {unit!r} is not known)")
        return (float(match["value"]) * self._scale + self._offset) * NEWTONS[unit]

    def _compiled(self, pattern: str) -> re.Pattern[str]:
        try:
            compiled = re.compile(pattern, re.ASCII)
        except re.error as error:
            self._out_of_range(f"setting pattern {pattern!r}: {error}")
        if "value" not in compiled.groupindex:
            self._out_of_range(f"setting pattern {pattern!r}: it has no group (?P<value>…)")
        return compiled
