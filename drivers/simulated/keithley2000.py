"""A virtual Keithley 2000 with a 2000-SCAN card.

Written from the vendor's manual 2000-900-01 (`:ROUTe:CLOSe`, p. 5-32) and from PyMeasure's keithley2000 with its tests.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.simulated.clock import Clock
from drivers.simulated.multimeter import FUNCTIONS, Sensor, VirtualMeter
from drivers.simulated.scpi import (
    ILLEGAL_VALUE,
    OUT_OF_RANGE,
    Action,
    Arguments,
    BooleanSetting,
    NumberSetting,
    ScpiError,
    channels_in,
    matches,
    short_form,
)

CARD_CHANNELS = 10
ELEMENTS = ("READing", "CHANnel", "UNITs")


class VirtualKeithley2000(VirtualMeter):
    """One channel is closed at a time; four-wire, channel n takes n + 5 with it. Without one, the input is read."""

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2000,1149456,A19  /A02"
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
        self._function, self._closed = "VOLT[:DC]", 0
        self._elements: tuple[str, ...] = ("READing",)
        self.setting(":INITiate:CONTinuous", BooleanSetting("0"))
        self._nplc: dict[str, NumberSetting] = {}
        for word in FUNCTIONS:
            nplc = NumberSetting("1", low=self.nplc_low, high=self.nplc_high)
            self._nplc[short_form(word)] = self.setting(f"[:SENSe[1]]:{word}:NPLCycles", nplc)
            self.setting(f"[:SENSe[1]]:{word}:RANGe:AUTO", BooleanSetting("1"))
            self.setting(f"[:SENSe[1]]:{word}:RANGe[:UPPer]", NumberSetting("1000", low=0, high=120e6))
            self.define(f":CONFigure:{word}", self._configure(word))
        self.define(":CONFigure?", lambda _: f'"{self._function.replace("[", "").replace("]", "")}"')
        self.define("[:SENSe[1]]:FUNCtion", self._put_function)
        self.define("[:SENSe[1]]:FUNCtion?", lambda _: f'"{self._function.replace("[", "").replace("]", "")}"')
        self.define(":ROUTe:CLOSe", self._close)
        self.define(":ROUTe:CLOSe:STATe?", lambda _: f"(@{self._closed})" if self._closed else "(@)")
        self.define(":ROUTe:OPEN:ALL", lambda _: self._open())
        self.define(":FORMat:ELEMents", self._put_elements)
        self.define(":FORMat:ELEMents?", lambda _: ",".join(word[:4].upper() for word in self._elements))
        self.define(":READ?", lambda _: self._read())

    def reset(self) -> None:
        super().reset()
        self._function, self._closed, self._elements = "VOLT[:DC]", 0, ("READing",)

    def _configure(self, word: str) -> Action:
        def configure(arguments: Arguments) -> None:
            self._function = short_form(word)
            self._nplc[self._function].reset()

        return configure

    def _put_function(self, arguments: Arguments) -> None:
        named = [word for word in FUNCTIONS if arguments and matches(word, arguments[0])]
        if not named:
            raise ScpiError(*ILLEGAL_VALUE)
        self._function = short_form(named[0])

    def _put_elements(self, arguments: Arguments) -> None:
        chosen = tuple(word for word in ELEMENTS if any(matches(word, argument) for argument in arguments))
        if not chosen or len(chosen) < len(arguments):
            raise ScpiError(*ILLEGAL_VALUE)
        self._elements = chosen

    def _close(self, arguments: Arguments) -> None:
        channels = channels_in(arguments[0]) if arguments else []
        highest = CARD_CHANNELS // 2 if self._function == "FRES" else CARD_CHANNELS
        if len(channels) != 1 or not 1 <= channels[0] <= highest:
            raise ScpiError(*OUT_OF_RANGE)
        self._closed = channels[0]

    def _open(self) -> None:
        self._closed = 0

    def _read(self) -> str:
        """Where no channel is closed, the input is read, whose sensor is at 1."""
        channel = self._closed or 1
        value = self.take_reading(channel, self._function, self._nplc[self._function].value)
        fields = {"READing": f"{value:+.8E}", "CHANnel": f"{self._closed:02d}", "UNITs": ""}
        return ",".join(fields[word] for word in self._elements if word != "UNITs")
