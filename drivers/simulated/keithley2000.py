"""A virtual Keithley 2000 with a 2000-SCAN card.

Written from the vendor's manual 2000-900-01 (`:ROUTe:CLOSe`, p. 5-32) and from PyMeasure's keithley2000 with its tests.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.simulated.clock import Clock
from drivers.simulated.keithley_classic import OF_A_FUNCTION, VirtualClassicMeter
from drivers.simulated.multimeter import AVERAGING, FUNCTIONS, Sensor
from drivers.simulated.scpi import OUT_OF_RANGE, Arguments, ScpiError, channels_in

CARD_CHANNELS = 10


class VirtualKeithley2000(VirtualClassicMeter):
    """One channel is closed at a time; four-wire, channel n takes n + 5 with it. Without one, the input is read."""

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2000,1149456,A19  /A02"
    functions = tuple(word for word in FUNCTIONS if not word.startswith("CAP") and "RATio" not in word)
    elements = ("READing", "CHANnel", "UNITs")
    elements_at_reset = ("READing",)
    kept = AVERAGING | OF_A_FUNCTION
    highest_ohm = 120e6
    nplc_low, nplc_high = 0.01, 10.0

    def __init__(
        self,
        sensors: Mapping[int, Sensor],
        *,
        clock: Clock | None = None,
        noise: float = 1e-5,
        seed: int = 2000,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(sensors, clock=clock, noise=noise, seed=seed, host=host, port=port)
        self._closed = 0
        for word in self.functions:
            if word.endswith(":AC"):
                self.setting_by_channel(f"[:SENSe[1]]:{word}:NPLCycles", self.nplc)
        self.define("*OPT?", lambda _: "200X-SCAN")
        self.define(":ROUTe:CLOSe", self._close)
        self.define(":ROUTe:CLOSe:STATe?", lambda _: f"(@{self._closed})" if self._closed else "(@)")
        self.define(":ROUTe:OPEN:ALL", lambda _: self._open())

    def reset(self) -> None:
        super().reset()
        self._closed = 0

    def take(self, count: int) -> list[str]:
        """Where no channel is closed, the input is read, whose sensor is at 1."""
        return [self._told(self.read_channel(self._closed or 1)) for _ in range(count)]

    def _told(self, value: float) -> str:
        fields = {"READing": f"{value:+.8E}", "CHANnel": f"{self._closed:02d}", "UNITs": ""}
        return ",".join(fields[word] for word in self.chosen if word != "UNITs")

    def _close(self, arguments: Arguments) -> None:
        channels = channels_in(arguments[0]) if arguments else []
        highest = CARD_CHANNELS // 2 if self.function == "FRESistance" else CARD_CHANNELS
        if len(channels) != 1 or not 1 <= channels[0] <= highest:
            raise ScpiError(*OUT_OF_RANGE)
        self._closed = channels[0]

    def _open(self) -> None:
        self._closed = 0
