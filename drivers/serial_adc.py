"""An analogue-to-digital converter on a microcontroller, with a voltage divider, as a meter for resistive sensors.

The wire is this project's own; docs/instruments/serial-adc.md has it and a sketch for an Arduino with ADS1115s
(evidence: converter's data sheet for its numbers). Not run on hardware yet.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from drivers.about import About, Probe
from drivers.interface import BadReply, InstrumentTimeout, NoReading, Resistance
from drivers.text_instrument import TextInstrument

IDENTITY = re.compile(r"CELLSTATION ADC (?P<version>1),(?P<channels>\d{1,3}),(?P<full_scale>\d{1,8})")
READING = re.compile(r"A(?P<channel>\d{1,3}),(?P<counts>-?\d{1,8}),(?P<reference>-?\d{1,8})")
CHECKED = re.compile(r"(?P<text>[^*]+)\*(?P<sum>[0-9A-F]{2})")


class SerialAdc(TextInstrument):
    """Resistance between the supply of the divider and its tap, `reference_ohm` between the tap and ground.

    Ratiometric: R = `reference_ohm` · (supply / tap - 1), both in counts of one converter, so that the supply's value
    does not matter. `reference_ohm` is what the tap sees: the resistor with the converter's input in parallel. Where
    tap or sensor have less than `least_counts` of the supply, the sensor is open (`NoReading.OVERLOAD`) or short
    (`NoReading.NOT_AVAILABLE`); `resolution_ohm` says how fine a reading is between the two.
    """

    model: ClassVar[str] = "ADC with a divider"
    safe_state: ClassVar[str] = "none needed: it only measures"
    about: ClassVar[About] = About(
        connection="serial port (USB), serial server",
        evidence="a wire of this project's own, with a checksum; not run on hardware",
        quirks="the board may restart when its port is opened; high resistances are read coarsely",
        probes=(Probe(b"?\n", r"^CELLSTATION ADC 1,", "{resource}?baud=115200", baud=115200),),
    )
    terminator: ClassVar[bytes] = b"\n"
    baud: ClassVar[int] = 115200

    def __init__(
        self,
        address: str,
        *,
        reference_ohm: float,
        least_counts: int = 16,
        boot_s: float = 5.0,
        timeout_s: float = 1.0,
    ) -> None:
        self.reference_ohm, self.least_counts = reference_ohm, least_counts
        super().__init__(address, timeout_s=timeout_s)
        if not 0 < reference_ohm < math.inf:
            self._out_of_range(f"setting reference_ohm {reference_ohm}: a resistance above 0 Ω")
        if not 1 <= least_counts <= 10_000:
            self._out_of_range(f"setting least_counts {least_counts}: 1 to 10000")
        try:
            said = self._wait_for_the_board(boot_s)
        except BaseException:
            self.close()
            raise
        self.channel_count, self.full_scale = int(said["channels"]), int(said["full_scale"])

    def identify(self) -> str:
        return self._identity()[0]

    def check_channels(self, channels: Sequence[int]) -> None:
        missing = [channel for channel in channels if not 1 <= channel <= self.channel_count]
        if missing or not channels or len(set(channels)) < len(channels):
            what = f"no channel {', '.join(map(str, missing))}" if missing else "channels missing or repeated"
            self._out_of_range(f"{what} (it has 1 to {self.channel_count}); nothing was sent")

    def read_resistances(self, channels: Sequence[int]) -> Mapping[int, Resistance]:
        self.check_channels(channels)
        return {channel: self._resistance(channel) for channel in channels}

    def resolution_ohm(self, resistance_ohm: float, reference_counts: int) -> float:
        """The step of R that one count of the tap makes, where the supply reads `reference_counts`."""
        return (resistance_ohm + self.reference_ohm) ** 2 / (self.reference_ohm * reference_counts)

    def _resistance(self, channel: int) -> Resistance:
        request = f"A{channel}"
        text = self._sound(request)
        match = READING.fullmatch(text)
        if match is None or int(match["channel"]) != channel:
            self._bad_reply(request, text)
        counts, reference = int(match["counts"]), int(match["reference"])
        if reference >= self.full_scale or reference < 2 * self.least_counts:
            return NoReading.NOT_AVAILABLE  # the supply is beyond the converter's range, or off
        if counts < self.least_counts:
            return NoReading.OVERLOAD
        if reference - counts < self.least_counts:
            return NoReading.NOT_AVAILABLE
        return self.reference_ohm * (reference / counts - 1)

    def _wait_for_the_board(self, boot_s: float) -> re.Match[str]:
        until = time.monotonic() + boot_s
        while True:
            try:
                return self._identity()[1]
            except (InstrumentTimeout, BadReply):
                if time.monotonic() >= until:
                    raise

    def _identity(self) -> tuple[str, re.Match[str]]:
        text = self._sound("?")
        if (match := IDENTITY.fullmatch(text)) is None:
            self._bad_reply("?", text)
        return text, match

    def _sound(self, request: str) -> str:
        """The reply, its checksum verified and taken off."""
        reply = self._ask(request).removesuffix("\r")
        match = CHECKED.fullmatch(reply)
        if match is None or int(match["sum"], 16) != checksum(match["text"]):
            self._bad_reply(request, reply)
        return match["text"]


def checksum(text: str) -> int:
    """All bytes of `text`, exclusive-or, as NMEA 0183 has it."""
    value = 0
    for byte in text.encode("ascii"):
        value ^= byte
    return value
