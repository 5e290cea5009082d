"""A virtual Keithley DAQ6510 with two 20-channel multiplexer cards.

Written from programs that run on the instrument or its sister, the DMM6500: the maker's own (tektronix/keithley:
Drivers/DMM6500_DAQ6510, Instrument_Examples/DAQ6510), PyMeasure's keithleyDMM6500 with its tests on a device,
nemocrys/exp-B-control.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.simulated.clock import Clock
from drivers.simulated.multimeter import AVERAGING, FUNCTIONS, RANGES, ByChannel, Sensor, VirtualScanner
from drivers.simulated.reading_buffers import ReadingBuffers, Sample
from drivers.simulated.scpi import (
    MISSING,
    Action,
    Arguments,
    NumberSetting,
    ScpiError,
    a_range,
    channels_out,
    choice,
    number,
    switch,
    text,
)

UNITS = {
    "VOLT": "Volt DC",
    "VOLT:AC": "Volt AC",
    "CURR": "Amp DC",
    "CURR:AC": "Amp AC",
    "RES": "Ohm",
    "FRES": "Ohm",
    "TEMP": "Celsius",
    "FREQ": "Hertz",
    "PER": "Second",
    "CAP": "Farad",
}
KEPT = {
    ":FORMat[:DATA]": choice("ASC", "ASCii", "SREal", "REAL"),
    ":FORMat[:ASCii]:PRECision": number("0", 0, 16),
    ":FORMat:BORDer": choice("SWAP", "NORMal", "SWAPped"),
    ":DISPlay:LIGHt:STATe": text("ON75"),
    ":SYSTem:TIME": text("1430917024"),
    "[:ROUTe]:SCAN:INTerval": number("0", 0, 100e3),
    "[:ROUTe]:SCAN:MEASure:INTerval": number("0", 0, 100e3),
    "[:ROUTe]:SCAN:BUFFer": text("defbuffer1"),
    "[:ROUTe]:SCAN:RESTart": switch("0"),
    "[:ROUTe]:SCAN:BYPass": switch("1"),
    "[:ROUTe]:SCAN:MODE": choice("ALL", "ALL", "USED", "ABRupt"),
    "[:ROUTe]:SCAN:MONitor:MODE": choice("OFF", "OFF", "UPPer", "LOWer", "WINDow", "OUTside"),
    "[:ROUTe]:SCAN:MONitor:LIMit:UPPer[:DATA]": number("0", -1e9, 1e9),
    "[:ROUTe]:SCAN:MONitor:LIMit:LOWer[:DATA]": number("0", -1e9, 1e9),
    "[:ROUTe]:SCAN:MONitor:CHANnel": text("(@)"),
}
TIMERS = {
    ":TRIGger:TIMer{}:DELay": number("1e-5", 8e-6, 100e3),
    ":TRIGger:TIMer{}:COUNt": number("1", 0, 1_048_575),
    ":TRIGger:TIMer{}:STATe": switch("0"),
    ":TRIGger:TIMer{}:STARt:STIMulus": text("NONE"),
}
NPLC_HIGH = {50: 12.0, 60: 15.0}  # by the frequency of the mains, Hz
AUTOZERO = "AZERo[:STATe]"


class VirtualKeithleyDaq6510(VirtualScanner, ReadingBuffers):
    """One scan appends its readings to defbuffer1, in the order of the scan list."""

    identity = "KEITHLEY INSTRUMENTS,MODEL DAQ6510,04591126,1.7.12b"
    functions = FUNCTIONS
    kept = AVERAGING | {
        AUTOZERO: switch("1", once=True),
        "OCOMpensated": choice("OFF", "OFF", "ON", "AUTO"),
        "ODETector": switch("0"),
        "LINE:SYNC": switch("0"),
        "DELay:AUTO": switch("1"),
        "DELay:USER1": number("0", 0, 10e3),
        "RELative": number("0", -1e9, 1e9),
        "RELative:STATe": switch("0"),
        "DETector:BANDwidth": choice("3", "3", "30", "300"),
        "INPutimpedance": choice("MOHM10", "MOHM10", "AUTO"),
        "UNIT": text("CELS"),
        "THReshold:RANGe": a_range("10", 0.1, 1, 10, 100, 700),
        "THReshold:RANGe:AUTO": switch("1"),
        "BIAS:LEVel": number("0.001", 1e-5, 1e-2),
        "TRANsducer": choice("TC", "TCouple", "THERmistor", "RTD", "TRTD", "FRTD"),
        "TCouple:TYPE": choice("K", *"BEJKNRST"),
        "TCouple:RJUNction:RSELect": choice("SIM", "SIMulated", "INTernal", "EXTernal"),
        "TCouple:RJUNction:SIMulated": number("23", 0, 65),
        "RTD:FOUR": text("PT100"),
    }
    highest_ohm = 120e6
    nplc_low = 0.0005

    def __init__(
        self,
        sensors: Mapping[int, Sensor],
        *,
        card_channels: int = 20,
        terminals: str = "REAR",
        language: str = "SCPI",
        line_Hz: int = 50,
        clock: Clock | None = None,
        noise: float = 1e-5,
        seed: int = 6510,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.line_Hz, self.nplc_high = line_Hz, NPLC_HIGH[line_Hz]
        super().__init__(
            sensors, card_channels=card_channels, clock=clock, noise=noise, seed=seed, host=host, port=port
        )
        self.define(":SYSTem:LFRequency?", lambda _: str(line_Hz))
        self.terminals, self.language = terminals, language
        self.define("*LANG?", lambda _: self.language)
        self.silent("*LANG")  # takes effect when it is next switched on
        self.define(":ROUTe:TERMinals?", lambda _: self.terminals)
        self.keep(KEPT)
        self.keep(TIMERS, of="1234")
        self._define_display()
        self._define_scan()
        self._define_functions()
        self.define_buffers()

    def no_error(self) -> str:
        return '0,"No error;0,0,0"'

    def error(self, code: int, text: str) -> str:
        return f'{code},"{text};1;2015/05/06 12:57:04.484"'

    def reset(self) -> None:
        super().reset()
        self.reset_buffers()

    def sample(self) -> Sample:
        """Of the channel that is closed, or of the input."""
        return self._sample_of(self.closed[0] if self.closed else 1)

    def _define_display(self) -> None:
        self.silent(":DISPlay:SCReen", ":DISPlay:CLEar", ":DISPlay:WATCh:CHANnels", "[:ROUTe]:CHANnel:LABel")
        self.silent(":DISPlay:USER1[:TEXT][:DATA]", ":DISPlay:USER2[:TEXT][:DATA]", ":SYSTem:BEEPer[:IMMediate]")
        for word in self.functions:
            self.setting_by_channel(f":DISPlay:{word}:DIGits", number("6", 3, 6))

    def _define_scan(self) -> None:
        self.define("[:ROUTe]:SCAN:CREate", self._create)
        self.define("[:ROUTe]:SCAN:CREate?", lambda _: channels_out(self.scan_list))
        self._scans = self.setting("[:ROUTe]:SCAN:COUNt:SCAN", NumberSetting("1", low=0, high=1e8))
        self.define("[:ROUTe]:SCAN:COUNt:STEP?", lambda _: str(len(self.scan_list)))
        self.define("[:ROUTe]:SCAN:STATe?", lambda _: "SUCCESS;1;1")
        for delay in ("[:ROUTe]:DELay", "[:ROUTe]:CHANnel:DELay"):
            self.setting_by_channel(delay, number("0", 0, 60))
        self.define_closing("[:ROUTe][:CHANnel]:CLOSe", "[:ROUTe][:CHANnel]:OPEN")
        self.define("[:ROUTe][:CHANnel]:CLOSe?", lambda _: channels_out(sorted(self.closed)))
        self.define("[:ROUTe][:CHANnel]:STATe?", self._states)
        self.define(":INITiate[:IMMediate]", lambda _: self._scan())
        self.define(":TRIGger:STATe?", lambda _: "IDLE;IDLE;0")
        self.silent(":ABORt", ":TRIGger:LOAD")

    def _define_functions(self) -> None:
        self.setting_by_channel("[:SENSe[1]]:COUNt", number("1", 1, 1e6))
        self.define("[:SENSe[1]]:AZERo:ONCE", lambda _: self._autozero_once())
        for word in self.functions:
            root = f"[:SENSe[1]]:{word}"
            self.define(f":MEASure:{word}?", self._measure(word))
            self.define(f"{root}:RELative:ACQuire", lambda _: None)
            for limit in ("1", "2"):
                self.setting_by_channel(f":CALCulate2:{word}:LIMit{limit}:STATe", switch("0"))
            self.setting_by_channel(f":CALCulate[1]:{word}:MATH:STATe", switch("0"))
            if word in self.integration:
                self._define_aperture(word)
            elif word not in RANGES:
                self.setting_by_channel(f"{root}:APERture", number("0.2", 2e-3, 0.273))

    def _define_aperture(self, word: str) -> None:
        """The same integration, in seconds."""
        integration = self.integration[word]

        def put(arguments: Arguments) -> None:
            if not arguments:
                raise ScpiError(*MISSING)
            named = arguments[0].upper() in ("MIN", "MAX", "DEF")
            nplc = arguments[0] if named else f"{float(arguments[0]) * self.line_Hz}"
            integration.put(nplc, self.channels(arguments[1]) if len(arguments) > 1 else [])

        self.define(f"[:SENSe[1]]:{word}:APERture", put)
        self.define(f"[:SENSe[1]]:{word}:APERture?", lambda _: self._told_aperture(integration))

    def _told_aperture(self, integration: ByChannel) -> str:
        return f"{round(float(integration.here.get(())) / self.line_Hz, 8):g}"

    def _autozero_once(self) -> None:
        for (_, header), setting in self.kept_of.items():
            if header == AUTOZERO:
                setting.put("0", [])

    def _create(self, arguments: Arguments) -> None:
        self.scan_list = self.lower_half(self.channels(arguments[0])) if arguments else []

    def _states(self, arguments: Arguments) -> str:
        if not arguments:
            raise ScpiError(*MISSING)
        return ",".join("1" if channel in self.closed else "0" for channel in self.channels(arguments[0]))

    def _scan(self) -> None:
        if not self.scan_list:
            self.acquire("DEFBUFFER1")
            return
        for channel in self.scan_list * int(self._scans.value):
            self.append("DEFBUFFER1", self._sample_of(channel))

    def _sample_of(self, channel: int) -> Sample:
        function = self.told(self.function_at(channel)).removesuffix(":DC").removesuffix(":VOLT")
        value = self.read_channel(channel)
        return Sample(self.clock.now(), value, UNITS.get(function, ""), channel)

    def _measure(self, word: str) -> Action:
        def measure(arguments: Arguments) -> str:
            self.function = word
            return self.read(arguments)

        return measure
