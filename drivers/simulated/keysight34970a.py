"""A virtual Keysight 34972A with three multiplexer cards.

Written from the vendor's user's guide of the 34970A (scan list p. 228, reading format p. 231 and 236, four-wire pairs
p. 317).
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.simulated.clock import Clock
from drivers.simulated.multimeter import FUNCTIONS, Sensor, VirtualScanner
from drivers.simulated.scpi import (
    MISSING,
    OUT_OF_RANGE,
    Action,
    Arguments,
    BooleanSetting,
    NumberSetting,
    ScpiError,
    WordSetting,
    short_form,
)

NPLC = (0.02, 0.2, 1.0, 2.0, 10.0, 20.0, 100.0, 200.0)


class VirtualKeysight34970A(VirtualScanner):
    """Each CONFigure redefines the scan list and resets its channels. `READ?` goes once through the list."""

    identity = "Agilent Technologies,34972A,MY49000001,1.16-1.12-02-02"
    highest_ohm = 120e6
    nplc_low, nplc_high = NPLC[0], NPLC[-1]

    def __init__(
        self,
        sensors: Mapping[int, Sensor],
        *,
        card_channels: int = 20,
        clock: Clock | None = None,
        noise: float = 1e-5,
        seed: int = 34972,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(
            sensors, slots=3, card_channels=card_channels, clock=clock, noise=noise, seed=seed, host=host, port=port
        )
        self._memory = ""
        self._delay_of: dict[int, float] = {}
        for word in FUNCTIONS:
            self.define(f":CONFigure:{word}", self._configure(word))
        self.define("[:ROUTe]:SCAN", self._put_scan_list)
        self.define("[:ROUTe]:SCAN?", lambda _: self._told_scan_list())
        self.define("[:ROUTe]:SCAN:SIZE?", lambda _: f"+{len(self.scan_list)}")
        self.define("[:ROUTe]:CHANnel:DELay", self._put_delay)
        sources = ("BUS", "IMMediate", "EXTernal", "TIMer")
        self.setting(":TRIGger:SOURce", WordSetting("IMM", words=sources))
        self._triggers = self.setting(":TRIGger:COUNt", NumberSetting("1", low=1, high=50_000))
        self._with = {
            word: self.setting(f":FORMat:READing:{word}", BooleanSetting("0"))
            for word in ("CHANnel", "TIME", "UNIT", "ALARm")
        }
        self.define(":READ?", lambda _: self._sweep())
        self.define(":INITiate", lambda _: self._start())
        self.define(":FETCh?", lambda _: self._memory)
        self.define(":ABORt", lambda _: None)

    def no_error(self) -> str:
        return '+0,"No error"'

    def reset(self) -> None:
        super().reset()
        self._delay_of = {}

    def _configure(self, word: str) -> Action:
        def configure(arguments: Arguments) -> None:
            if not arguments:
                raise ScpiError(*MISSING)
            channels = self.channels(arguments[-1])
            for channel in channels:
                self.function_of[channel] = short_form(word)
                self.nplc_of[channel] = 1.0
                self._delay_of.pop(channel, None)
            if self.lower_half(channels) != channels:
                raise ScpiError(*OUT_OF_RANGE)
            self.scan_list = sorted(channels)

        return configure

    def _put_nplc(self, arguments: Arguments) -> None:
        if arguments and float(arguments[0]) not in NPLC:
            raise ScpiError(*OUT_OF_RANGE)
        super()._put_nplc(arguments)

    def _put_scan_list(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        self.scan_list = sorted(self.channels(arguments[0]))

    def _put_delay(self, arguments: Arguments) -> None:
        if len(arguments) < 2:
            raise ScpiError(*MISSING)
        if not 0 <= float(arguments[0]) <= 60:
            raise ScpiError(*OUT_OF_RANGE)
        for channel in self.channels(arguments[1]):
            self._delay_of[channel] = float(arguments[0])

    def _told_scan_list(self) -> str:
        """A block of definite length: '#214(@101,102,103)'."""
        told = f"(@{','.join(map(str, self.scan_list))})"
        return f"#{len(str(len(told)))}{len(told)}{told}"

    def _start(self) -> None:
        self._memory = self._sweep()

    def _sweep(self) -> str:
        return ",".join(self._told(channel) for channel in self.scan_list * int(self._triggers.value))

    def _told(self, channel: int) -> str:
        self.clock.sleep(self._delay_of.get(channel, 0.0))
        fields = [f"{self.read_channel(channel):+.8E}" + (" OHM" if self._with["UNIT"].on else "")]
        if self._with["TIME"].on:
            fields.append("00000000.017")
        if self._with["CHANnel"].on:
            fields.append(str(channel))
        if self._with["ALARm"].on:
            fields.append("0")
        return ",".join(fields)
