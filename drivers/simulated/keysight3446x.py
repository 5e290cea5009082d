"""A virtual Keysight 34461A or 34465A with one resistor at its input.

Written from the vendor's Truevolt Series operating and service guide (CONFigure, READ?, FETCh?, SENSe).
"""

from __future__ import annotations

from drivers.simulated.clock import Clock
from drivers.simulated.multimeter import FUNCTIONS, Sensor, VirtualMeter
from drivers.simulated.scpi import (
    ILLEGAL_VALUE,
    NOT_ALLOWED,
    SETTINGS_CONFLICT,
    Action,
    Arguments,
    BooleanSetting,
    NumberSetting,
    ScpiError,
    WordSetting,
    short_form,
    unquoted,
)

NPLC = {
    "34461A": (0.02, 0.2, 1.0, 10.0, 100.0),
    "34465A": (0.001, 0.002, 0.006, 0.02, 0.06, 0.2, 1.0, 10.0, 100.0),
}
HIGHEST_OHM = {"34461A": 120e6, "34465A": 1.2e9}  # 20 % above the highest range
IN_MEMORY = 10_000


class VirtualKeysight3446x(VirtualMeter):
    """`model` is '34461A' or '34465A'."""

    identity = "Keysight Technologies,34465A,MY54500001,A.02.16-02.40-02.16-00.52-03-02"
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
        super().__init__({1: sensor} if sensor else {}, clock=clock, noise=noise, seed=seed, host=host, port=port)
        self.identity = type(self).identity.replace("34465A", model)
        self.highest_ohm = HIGHEST_OHM[model]
        self._function = "VOLT[:DC]"
        self._memory: list[float] = []
        self._samples = self.setting(":SAMPle:COUNt", NumberSetting("1", low=1, high=1e6))
        self.setting(":TRIGger:COUNt", NumberSetting("1", low=1, high=1e6))
        self.setting(":TRIGger:SOURce", WordSetting("IMM", words=("IMMediate", "EXTernal", "BUS", "INTernal")))
        allowed = NPLC[model]
        # Two- and four-wire resistance share their settings.
        self._ohms_nplc = NumberSetting("10", low=allowed[0], high=allowed[-1], allowed=lambda nplc: nplc in allowed)
        autorange = BooleanSetting("1")
        for word in ("RESistance", "FRESistance"):
            self.setting(f"[:SENSe[1]]:{word}:NPLCycles", self._ohms_nplc)
            self.setting(f"[:SENSe[1]]:{word}:RANGe:AUTO", autorange)
        for word in FUNCTIONS:
            self.define(f":CONFigure:{word}", self._configure(word))
            self.define(f":MEASure:{word}?", self._measure(word))
        self.define(":CONFigure?", lambda _: f'"{self._function.partition("[")[0]} +1.000000E+03,+1.000000E-03"')
        self.define("[:SENSe[1]]:FUNCtion[:ON]?", lambda _: f'"{self._function.partition("[")[0]}"')
        self.define(":READ?", lambda _: self._told(self._take()))
        self.define(":INITiate[:IMMediate]", lambda _: self._start())
        self.define(":FETCh?", lambda _: self._fetch())
        self.define("*OPT?", lambda _: "0")
        self.define(":ABORt", lambda _: None)

    def no_error(self) -> str:
        return '+0,"No error"'

    def reset(self) -> None:
        super().reset()
        self._function = "VOLT[:DC]"

    def _configure(self, word: str) -> Action:
        def configure(arguments: Arguments) -> None:
            if len(arguments) > 2:
                raise ScpiError(*NOT_ALLOWED)
            first = unquoted(arguments[0]).upper() if arguments else "AUTO"
            if len(arguments) == 2 and first == "AUTO":
                raise ScpiError(*SETTINGS_CONFLICT)
            if first not in ("AUTO", "DEF", "MIN", "MAX") and not first.replace(".", "").isdigit():
                raise ScpiError(*ILLEGAL_VALUE)
            self._function = short_form(word)
            self._ohms_nplc.reset()
            self._samples.reset()
            self._memory.clear()

        return configure

    def _measure(self, word: str) -> Action:
        def measure(arguments: Arguments) -> str:
            self._configure(word)(())
            return self._told(self._take())

        return measure

    def _take(self) -> list[float]:
        nplc = self._ohms_nplc.value
        return [self.take_reading(1, self._function, nplc) for _ in range(int(self._samples.value))]

    def _start(self) -> None:
        self._memory = self._take()[-IN_MEMORY:]

    def _fetch(self) -> str:
        if not self._memory:
            raise ScpiError(-230, "Data stale")
        return self._told(self._memory)

    def _told(self, values: list[float]) -> str:
        return ",".join(f"{value:+.8E}" for value in values)
