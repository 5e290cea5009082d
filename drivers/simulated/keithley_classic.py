"""What the virtual Keithley 2000 and 2700 share: taking readings (trigger, INITiate, FETCh?, READ?) and the buffer.

Written from the vendor's manuals 2000-900-01 (section 5) and 2700-900-01 (sections 8, 13 and 15).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drivers.simulated.clock import Clock
from drivers.simulated.multimeter import Sensor, VirtualMeter
from drivers.simulated.scpi import (
    ILLEGAL_VALUE,
    MISSING,
    NOT_ALLOWED,
    Action,
    Arguments,
    BooleanSetting,
    MakeSetting,
    NumberSetting,
    ScpiError,
    WordSetting,
    choice,
    matches,
    number,
    switch,
    text,
)

INIT_IGNORED = (-213, "Init ignored")
DATA_STALE = (-230, "Data stale")
MOST_READINGS = 55_000
OF_A_FUNCTION: dict[str, MakeSetting] = {
    "DIGits": number("7", 4, 7),
    "REFerence": number("0", -1e9, 1e9),
    "REFerence:STATe": switch("0"),
    "DETector:BANDwidth": number("30", 3, 300),
    "APERture": number("1", 0.01, 1),
    "THReshold:VOLTage:RANGe": number("10", 0, 1010),
}
KEPT = {
    ":FORMat[:DATA]": choice("ASC", "ASCii", "SREal", "DREal", "REAL"),
    ":FORMat:BORDer": choice("SWAP", "NORMal", "SWAPped"),
    ":TRIGger[:SEQuence[1]]:DELay": number("0", 0, 999999.999),
    ":TRIGger[:SEQuence[1]]:DELay:AUTO": switch("1"),
    ":TRIGger[:SEQuence[1]]:TIMer": number("0.1", 0.001, 999999.999),
    ":TRIGger[:SEQuence[1]]:SOURce": choice("IMM", "IMMediate", "TIMer", "MANual", "BUS", "EXTernal"),
    ":DISPlay:ENABle": switch("1"),
    ":DISPlay[:WINDow[1]]:TEXT:DATA": text('""'),
    ":DISPlay[:WINDow[1]]:TEXT:STATe": switch("0"),
    ":SYSTem:BEEPer:STATe": switch("1"),
    ":SYSTem:AZERo:STATe": switch("1", once=True),
    ":SYSTem:KCLick": switch("1"),
    ":UNIT:TEMPerature": choice("C", "C", "CEL", "F", "FAR", "K"),
    ":STATus:MEASurement:ENABle": number("0", 0, 32767),
    ":STATus:OPERation:ENABle": number("0", 0, 32767),
    ":STATus:QUEStionable:ENABle": number("0", 0, 32767),
}


class VirtualClassicMeter(VirtualMeter):
    """A subclass tells one reading; this one counts, remembers and fills the buffer."""

    elements: Sequence[str]
    elements_at_reset: Sequence[str]

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
        self.chosen = tuple(self.elements_at_reset)
        self._latest: list[str] = []
        self._buffer: list[str] = []
        self.keep(KEPT)
        self._define_readings()
        self._define_buffer()
        self.define(":FORMat:ELEMents", self._put_elements)
        self.define(":FORMat:ELEMents?", lambda _: ",".join(word[:4].upper() for word in self.chosen))
        for event in ("MEASurement", "OPERation", "QUEStionable"):
            self.define(f":STATus:{event}[:EVENt]?", lambda _: "0")
            self.define(f":STATus:{event}:CONDition?", lambda _: "0")
        self.define(":SYSTem:FRSWitch?", lambda _: "0")
        self.silent(":SYSTem:BEEPer[:IMMediate]", ":SYSTem:LOCal", ":SYSTem:REMote", ":SYSTem:RWLock", ":SYSTem:PRESet")

    def take(self, count: int) -> list[str]:
        """The next `count` readings, as they are told."""
        raise NotImplementedError

    def reset(self) -> None:
        super().reset()
        self.chosen = tuple(self.elements_at_reset)
        self._latest = []

    def _define_readings(self) -> None:
        self._continuous = self.setting(":INITiate:CONTinuous", BooleanSetting("0"))
        self._triggers = self.setting(":TRIGger[:SEQuence[1]]:COUNt", NumberSetting("1", low=1, high=110_000))
        self._samples = self.setting(":SAMPle:COUNt", NumberSetting("1", low=1, high=110_000))
        self.define(":INITiate[:IMMediate]", lambda _: self._start())
        self.define(":READ?", lambda _: self._read())
        self.define(":FETCh?", lambda _: self._fetch())
        self.define("[:SENSe[1]]:DATA[:LATest]?", lambda _: self._fetch())
        self.define("[:SENSe[1]]:DATA:FRESh?", lambda _: self._fetch())
        self.silent(":ABORt")
        for word in self.functions:
            self.define(f":CONFigure:{word}", self._configure(word))
            self.define(f":MEASure:{word}?", self._measure(word))
            self.define(f"[:SENSe[1]]:{word}:REFerence:ACQuire", lambda _: None)
        self.define(":CONFigure?", lambda _: f'"{self.told(self.function)}"')

    def _define_buffer(self) -> None:
        self._points = self.setting(":TRACe:POINts", NumberSetting("100", low=2, high=MOST_READINGS))
        self.setting(":TRACe:FEED", WordSetting("SENS", words=("SENSe[1]", "CALCulate[1]", "NONE")))
        words = ("NEVer", "NEXT", "ALWays")
        self._feeding = self.setting(":TRACe:FEED:CONTrol", WordSetting("NEV", words=words))
        self.define(":TRACe:CLEar", lambda _: self._buffer.clear())
        self.define(":TRACe:DATA?", lambda _: ",".join(self._buffer))
        self.define(":TRACe:ACTual?", lambda _: str(len(self._buffer)))
        self.define(":TRACe:FREE?", lambda _: f"{16 * (MOST_READINGS - len(self._buffer))},{16 * len(self._buffer)}")

    def _start(self) -> None:
        if self._continuous.on:
            raise ScpiError(*INIT_IGNORED)
        self._latest = self.take(int(self._samples.value * self._triggers.value))
        if self._feeding.word != "NEV":
            self._buffer = (self._buffer + self._latest)[: int(self._points.value)]
        if self._feeding.word == "NEXT" and len(self._buffer) == int(self._points.value):
            self._feeding.put("NEV")

    def _read(self) -> str:
        self._start()
        return ",".join(self._latest)

    def _fetch(self) -> str:
        """The latest; where nothing was asked for, a meter that measures of itself has one all the same."""
        if self._continuous.on:
            self._latest = self.take(1)
        if not self._latest:
            raise ScpiError(*DATA_STALE)
        return ",".join(self._latest)

    def _configure(self, word: str) -> Action:
        def configure(arguments: Arguments) -> None:
            where = [argument for argument in arguments if argument.startswith("(")]
            if len(arguments) - len(where) > 2:
                raise ScpiError(*NOT_ALLOWED)
            channels = self.channels(where[0]) if where else []
            for channel in channels:
                self.function_of[channel] = word
            if not channels:
                self.function = word
            self._continuous.put("0")
            self._triggers.reset()
            self._samples.reset()
            if word in self.integration:
                self.integration[word].put("1", channels)

        return configure

    def _measure(self, word: str) -> Action:
        def measure(arguments: Arguments) -> str:
            self._configure(word)(arguments)
            return self._read()

        return measure

    def _put_elements(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        chosen = tuple(word for word in self.elements if any(matches(word, argument) for argument in arguments))
        if not chosen or len(chosen) < len(arguments):
            raise ScpiError(*ILLEGAL_VALUE)
        self.chosen = chosen
