"""A virtual Keysight 34972A with three multiplexer cards.

Written from the vendor's user's guide of the 34970A (scan list p. 228, reading format p. 231 and 236, four-wire pairs
p. 317).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from drivers.simulated.clock import Clock
from drivers.simulated.multimeter import FUNCTIONS, Sensor, VirtualScanner
from drivers.simulated.scpi import (
    MISSING,
    OUT_OF_RANGE,
    SETTINGS_CONFLICT,
    Action,
    Arguments,
    BooleanSetting,
    MakeSetting,
    NumberSetting,
    ScpiError,
    Setting,
    WordSetting,
    a_range,
    block,
    choice,
    number,
    switch,
    text,
)

NPLC = (0.02, 0.2, 1.0, 2.0, 10.0, 20.0, 100.0, 200.0)
NOT_EVERY_DMM = ("CAP", "DIOD", "CONT")  # functions that this one has not
INFINITE = "+9.90000200E+37"
KEPT = {
    ":TRIGger:TIMer": number("10", 0, 359_999),
    ":FORMat:READing:TIME:TYPE": choice("REL", "ABSolute", "RELative"),
    ":DISPlay[:STATe]": switch("1"),
    ":DISPlay:TEXT[:DATA]": text('""'),
    ":INSTrument:DMM": switch("1"),
    ":SYSTem:TIME": text("15,30,00.000"),
    ":SYSTem:DATE": text("2015,05,06"),
    "[:ROUTe]:SCAN:TOTalize:TYPE": text("READ"),
}


class VirtualKeysight34970A(VirtualScanner):
    """Each CONFigure redefines the scan list and resets its channels. `READ?` goes once through the list."""

    identity = "Agilent Technologies,34972A,MY49000001,1.16-1.12-02-02"
    functions = tuple(word for word in FUNCTIONS if not word.startswith(NOT_EVERY_DMM) and "RATio" not in word)
    kept: ClassVar[Mapping[str, MakeSetting]] = {
        "ZERO:AUTO": switch("1", once=True),
        "OCOMpensated": switch("0"),
        "APERture": number("0.02", 4e-4, 4),
        "RESolution": number("1e-3", 0, 1e9),
        "DETector:BANDwidth": choice("20", "3", "20", "200"),
        "TRANsducer:TYPE": choice("TC", "TCouple", "RTD", "FRTD", "THERmistor"),
        "TRANsducer:TCouple:TYPE": choice("J", *"BEJKNRST"),
        "TRANsducer:TCouple:RJUNction:TYPE": choice("INT", "INTernal", "EXTernal", "FIXed"),
        "TRANsducer:TCouple:RJUNction": number("0", -20, 80),
        "TRANsducer:TCouple:CHECk": switch("0"),
        "TRANsducer:FRTD:RESistance[:REFerence]": number("100", 49, 2.1e3),
        "TRANsducer:RTD:RESistance[:REFerence]": number("100", 49, 2.1e3),
        "TRANsducer:THERmistor:TYPE": choice("5000", "2252", "5000", "10000"),
        "THReshold:VOLTage:RANGe": a_range("10", 0.1, 1, 10, 100, 300),
    }
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
        self._memory: list[str] = []
        self.keep(KEPT)
        self._define_channels()
        self._define_trigger()
        self._define_readings()
        for register in ("OPERation", "QUEStionable", "ALARm"):
            self.define(f":STATus:{register}:CONDition?", lambda _: "+0")
            self.define(f":STATus:{register}[:EVENt]?", lambda _: "+0")
        self.define(":SYSTem:CTYPe?", self._card)
        self.define(":DIAGnostic:DMM:CYCLes?", lambda _: "+120,+120,+120")
        self.define(":DIAGnostic:RELay:CYCLes?", lambda given: ",".join("+42" for _ in self.channels(given[0])))
        self.define(":DIAGnostic:PEEK:SLOT:DATA?", lambda _: '""')
        self.silent(":DIAGnostic:POKE:SLOT:DATA")
        self.silent(":ABORt", ":DISPlay:TEXT:CLEar", ":SYSTem:LOCal", ":SYSTem:REMote", ":SYSTem:BEEPer[:IMMediate]")

    def no_error(self) -> str:
        return '+0,"No error"'

    def nplc(self) -> Setting:
        return NumberSetting("1", low=NPLC[0], high=NPLC[-1], allowed=lambda nplc: nplc in NPLC)

    def told(self, function: str) -> str:
        return super().told(function).replace(":DC", "")

    def reset(self) -> None:
        super().reset()
        self._memory.clear()

    def _define_channels(self) -> None:
        self.define("[:ROUTe]:SCAN", self._put_scan_list)
        self.define("[:ROUTe]:SCAN?", lambda _: self._told_scan_list())
        self.define("[:ROUTe]:SCAN:SIZE?", lambda _: f"+{len(self.scan_list)}")
        self._delay = self.setting_by_channel("[:ROUTe]:CHANnel:DELay", number("0", 0, 60))
        self.setting_by_channel("[:ROUTe]:CHANnel:DELay:AUTO", switch("1"))
        self.setting_by_channel("[:ROUTe]:CHANnel:ADVance:SOURce", text("IMM"))
        self.setting_by_channel(":UNIT:TEMPerature", choice("C", "C", "F", "K"))
        self.define_closing("[:ROUTe]:CLOSe", "[:ROUTe]:OPEN")
        self.define("[:ROUTe]:CLOSe?", lambda given: self._states(given, "1", "0"))
        self.define("[:ROUTe]:OPEN?", lambda given: self._states(given, "0", "1"))
        self.define("[:ROUTe]:DONE?", lambda _: "1")
        self.define("[:ROUTe]:MONitor?", lambda _: "#13(@)")
        self.silent("[:ROUTe]:MONitor", "[:ROUTe]:MONitor:STATe")

    def _define_trigger(self) -> None:
        sources = ("BUS", "IMMediate", "EXTernal", "TIMer", "ALARm1", "ALARm2", "ALARm3", "ALARm4")
        self.setting(":TRIGger:SOURce", WordSetting("IMM", words=sources))
        self._triggers = NumberSetting("1", low=1, high=50_000)
        self._endless = False
        self.define(":TRIGger:COUNt", self._put_triggers)
        self.define(":TRIGger:COUNt?", lambda given: INFINITE if self._endless else f"{self._triggers.value:+.8E}")
        self._with = {
            word: self.setting(f":FORMat:READing:{word}", BooleanSetting("0"))
            for word in ("CHANnel", "TIME", "UNIT", "ALARm")
        }

    def _define_readings(self) -> None:
        for word in self.functions:
            self.define(f":CONFigure:{word}", self._configure(word))
            self.define(f":MEASure:{word}?", self._measure(word))
        self.define(":CONFigure?", self._told_configuration)
        self.define(":READ?", lambda _: self._read())
        self.define(":INITiate", lambda _: self._start())
        self.define(":FETCh?", lambda _: self._fetch())
        self.define(":DATA:POINts?", lambda _: f"+{len(self._memory)}")
        self.define(":DATA:LAST?", lambda _: self._memory[-1] if self._memory else "+9.91000000E+37")
        self.define(":DATA:REMove?", self._remove)
        self.define(":R?", self._remove_block)

    # --- what is scanned

    def _configure(self, word: str) -> Action:
        def configure(arguments: Arguments) -> None:
            if not arguments:
                raise ScpiError(*MISSING)
            channels = self.channels(arguments[-1])
            for channel in channels:
                self.function_of[channel] = word
                for setting in self.by_channel:
                    setting.of.pop(channel, None)
            if self.lower_half(channels) != channels:
                raise ScpiError(*OUT_OF_RANGE)
            self.scan_list = sorted(channels)

        return configure

    def _measure(self, word: str) -> Action:
        def measure(arguments: Arguments) -> str:
            self._configure(word)(arguments)
            return ",".join(self._sweep())

        return measure

    def _told_configuration(self, arguments: Arguments) -> str:
        channels = self.channels(arguments[0]) if arguments else self.scan_list
        return ",".join(
            f'"{self.told(self.function_at(channel))} +1.00000000E+03,+1.00000000E-03"' for channel in channels
        )

    def _put_scan_list(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        self.scan_list = sorted(self.channels(arguments[0]))

    def _told_scan_list(self) -> str:
        """A block of definite length: '#214(@101,102,103)'."""
        return block(f"(@{','.join(map(str, self.scan_list))})")

    def _states(self, given: Arguments, closed: str, opened: str) -> str:
        if not given:
            raise ScpiError(*MISSING)
        return ",".join(closed if channel in self.closed else opened for channel in self.channels(given[0]))

    def _card(self, arguments: Arguments) -> str:
        slot = int(arguments[0]) // 100 if arguments else 0
        if not 1 <= slot <= self.slots:
            raise ScpiError(*OUT_OF_RANGE)
        return f"HEWLETT-PACKARD,{'34902A' if self.card_channels == 16 else '34901A'},0,2.3"

    # --- readings

    def _put_triggers(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        self._endless = arguments[0].upper() in ("INF", "INFINITY")
        if not self._endless:
            self._triggers.put(arguments[0])

    def _start(self) -> None:
        self._memory = self._sweep()

    def _read(self) -> str:
        self._start()
        return ",".join(self._memory)

    def _fetch(self) -> str:
        if not self._memory:
            raise ScpiError(-230, "Data stale")
        return ",".join(self._memory)

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
        return ",".join(taken)

    def _sweep(self) -> list[str]:
        if self._endless:
            raise ScpiError(*SETTINGS_CONFLICT)  # it would go on until it is aborted, which is not simulated
        if not self.scan_list:
            raise ScpiError(-224, "Illegal parameter value")
        return [self._told(channel) for channel in self.scan_list * int(self._triggers.value)]

    def _told(self, channel: int) -> str:
        delay = self._delay.at(channel)
        assert isinstance(delay, NumberSetting)
        self.clock.sleep(delay.value)
        fields = [f"{self.read_channel(channel):+.8E}" + (" OHM" if self._with["UNIT"].on else "")]
        if self._with["TIME"].on:
            fields.append("00000000.017")
        if self._with["CHANnel"].on:
            fields.append(str(channel))
        if self._with["ALARm"].on:
            fields.append("0")
        return ",".join(fields)
