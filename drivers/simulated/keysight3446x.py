"""A virtual Keysight 34461A or 34465A with one resistor at its input.

Written from the vendor's Truevolt Series operating and service guide (CONFigure, READ?, FETCh?, SENSe).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from drivers.simulated.clock import Clock
from drivers.simulated.multimeter import FUNCTIONS, Sensor, VirtualMeter
from drivers.simulated.scpi import (
    ILLEGAL_VALUE,
    NOT_ALLOWED,
    OUT_OF_RANGE,
    SETTINGS_CONFLICT,
    Action,
    Arguments,
    MakeSetting,
    NumberSetting,
    ScpiError,
    Setting,
    block,
    choice,
    number,
    switch,
    text,
    unquoted,
)

NPLC = {
    "34461A": (0.02, 0.2, 1.0, 10.0, 100.0),
    "34465A": (0.001, 0.002, 0.006, 0.02, 0.06, 0.2, 1.0, 10.0, 100.0),
}
HIGHEST_OHM = {"34461A": 120e6, "34465A": 1.2e9}  # 20 % above the highest range
IN_MEMORY = 10_000
RESOLUTION_OF_RANGE = {  # at so many PLC
    0.001: 30e-6, 0.002: 15e-6, 0.006: 6e-6, 0.02: 3e-6, 0.06: 1.5e-6, 0.2: 0.7e-6, 1.0: 0.3e-6, 10.0: 0.1e-6,
    100.0: 0.03e-6,
}  # fmt: skip
KEPT = {
    ":TRIGger:SOURce": choice("IMM", "IMMediate", "EXTernal", "BUS", "INTernal"),
    ":TRIGger:DELay": number("0", 0, 3600),
    ":TRIGger:DELay:AUTO": switch("1"),
    ":TRIGger:SLOPe": choice("NEG", "POSitive", "NEGative"),
    ":TRIGger:LEVel": number("0", -1e3, 1e3),
    ":SAMPle:COUNt:PRETrigger": number("0", 0, 1.999e6),
    ":SAMPle:SOURce": choice("IMM", "IMMediate", "TIMer"),
    ":SAMPle:TIMer": number("1", 20e-6, 3600),
    ":OUTPut:TRIGger:SLOPe": choice("NEG", "POSitive", "NEGative"),
    ":DISPlay[:STATe]": switch("1"),
    ":DISPlay:TEXT[:DATA]": text('""'),
    ":SYSTem:BEEPer:STATe": switch("1"),
    ":FORMat[:DATA]": choice("ASC", "ASCii", "REAL"),
    ":FORMat:BORDer": choice("NORM", "NORMal", "SWAPped"),
    ":UNIT:TEMPerature": choice("C", "C", "F", "K"),
    ":ROUTe:TERMinals": text("FRON"),
}


class VirtualKeysight3446x(VirtualMeter):
    """`model` is '34461A' or '34465A'."""

    identity = "Keysight Technologies,34465A,MY54500001,A.02.16-02.40-02.16-00.52-03-02"
    functions = FUNCTIONS
    kept: ClassVar[Mapping[str, MakeSetting]] = {
        "ZERO:AUTO": switch("1", once=True),
        "APERture": number("0.2", 20e-6, 2),
        "APERture:ENABled": switch("0"),
        "NULL[:STATe]": switch("0"),
        "NULL:VALue": number("0", -1.2e9, 1.2e9),
        "NULL:VALue:AUTO": switch("0"),
        "IMPedance:AUTO": switch("0"),
        "OCOMpensated": switch("0"),
        "BANDwidth": choice("20", "3", "20", "200"),
        "SECondary": text('"OFF"'),
    }
    nplc_low, nplc_high = 0.001, 100.0
    highest_ohm = 1.2e9

    def __init__(
        self,
        sensor: Sensor | None,
        *,
        model: str = "34465A",
        clock: Clock | None = None,
        noise: float = 1e-5,
        seed: int = 34465,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.model = model
        super().__init__({1: sensor} if sensor else {}, clock=clock, noise=noise, seed=seed, host=host, port=port)
        self.identity = type(self).identity.replace("34465A", model)
        self.highest_ohm = HIGHEST_OHM[model]
        # Two- and four-wire resistance share their settings.
        self.integration["FRESistance"].here = self.integration["RESistance"].here
        self._memory: list[float] = []
        self._samples = self.setting(":SAMPle:COUNt", NumberSetting("1", low=1, high=1e6))
        self._triggers = self.setting(":TRIGger:COUNt", NumberSetting("1", low=1, high=1e6))
        self.keep(KEPT)
        self._define_readings()
        self.define("*OPT?", lambda _: '"0"')
        self.silent(":ABORt", ":DISPlay:TEXT:CLEar", ":SYSTem:BEEPer[:IMMediate]", ":SYSTem:LOCal")
        for register in ("OPERation", "QUEStionable"):
            self.define(f":STATus:{register}:CONDition?", lambda _: "+0")
            self.define(f":STATus:{register}[:EVENt]?", lambda _: "+0")

    def no_error(self) -> str:
        return '+0,"No error"'

    def nplc(self) -> Setting:
        steps = NPLC[self.model]
        return NumberSetting("10", low=steps[0], high=steps[-1], allowed=lambda nplc: nplc in steps)

    def told(self, function: str) -> str:
        return super().told(function).replace(":DC", "")

    def reset(self) -> None:
        super().reset()
        self.integration["FRESistance"].here = self.integration["RESistance"].here
        self._memory.clear()

    def _define_readings(self) -> None:
        for word in self.functions:
            self.define(f":CONFigure:{word}", self._configure(word))
            self.define(f":MEASure:{word}?", self._measure(word))
            if word in self.integration:
                self.define(f"[:SENSe[1]]:{word}:RESolution?", self._resolution(word))
                self.define(f"[:SENSe[1]]:{word}:RESolution", lambda _: None)
        self.define(":CONFigure?", lambda _: f'"{self.told(self.function)} +1.000000E+03,+1.000000E-03"')
        self.define(":READ?", lambda _: self._told(self._take()))
        self.define(":INITiate[:IMMediate]", lambda _: self._start())
        self.define(":FETCh?", lambda _: self._fetch())
        self.define(":DATA:POINts?", lambda _: f"+{len(self._memory)}")
        self.define(":DATA:LAST?", lambda _: self._told(self._memory[-1:] or [9.91e37]))
        self.define(":DATA:REMove?", self._remove)
        self.define(":R?", self._remove_block)

    def _configure(self, word: str) -> Action:
        def configure(arguments: Arguments) -> None:
            if len(arguments) > 2:
                raise ScpiError(*NOT_ALLOWED)
            first = unquoted(arguments[0]).upper() if arguments else "AUTO"
            if len(arguments) == 2 and first == "AUTO":
                raise ScpiError(*SETTINGS_CONFLICT)
            if first not in ("AUTO", "DEF", "MIN", "MAX") and not _is_number(first):
                raise ScpiError(*ILLEGAL_VALUE)
            self.function = word
            if word in self.integration:
                self.integration[word].here.reset()
            self._samples.reset()
            self._triggers.reset()
            self._memory.clear()

        return configure

    def _measure(self, word: str) -> Action:
        def measure(arguments: Arguments) -> str:
            self._configure(word)(arguments)
            return self._told(self._take())

        return measure

    def _resolution(self, word: str) -> Action:
        """Of the highest range: what follows from the integration."""

        def resolution(arguments: Arguments) -> str:
            integration = self.integration[word].here
            assert isinstance(integration, NumberSetting)
            full_scale = float(self.answer(f"{word.replace('[', '').replace(']', '')}:RANG?") or 1.0)
            return f"{RESOLUTION_OF_RANGE[integration.value] * full_scale:+.8E}"

        return resolution

    def _take(self) -> list[float]:
        return [self.read_channel(1) for _ in range(int(self._samples.value * self._triggers.value))]

    def _start(self) -> None:
        self._memory = self._take()[-IN_MEMORY:]

    def _fetch(self) -> str:
        if not self._memory:
            raise ScpiError(-230, "Data stale")
        return self._told(self._memory)

    def _remove_block(self, arguments: Arguments) -> str:
        """As many as there are up to a number, in a block of definite length."""
        most = int(arguments[0]) if arguments else len(self._memory)
        return block(self._remove([str(min(most, len(self._memory)))]))

    def _remove(self, arguments: Arguments) -> str:
        """The oldest readings, which are erased."""
        count = int(arguments[0]) if arguments else len(self._memory)
        if count > len(self._memory):
            raise ScpiError(*OUT_OF_RANGE)
        taken, self._memory = self._memory[:count], self._memory[count:]
        return self._told(taken)

    def _told(self, values: list[float]) -> str:
        return ",".join(f"{value:+.8E}" for value in values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
