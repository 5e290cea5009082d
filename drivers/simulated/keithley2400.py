"""A virtual Keithley 2400 SourceMeter, wired to one cell.

Written from the vendor's manual 2400S-900-01 Rev. K (section 18: data elements and status word p. 18-50, output off
states, auto clear 18-72; defaults, tables 18-4 to 18-9) as quoted by labmcp-keithley-smu and by PyMeasure's
keithley2400 and its tests on a device.
"""

from __future__ import annotations

import random
from functools import partial

from drivers.simulated.clock import Clock
from drivers.simulated.scpi import (
    ILLEGAL_VALUE,
    LINE_PERIOD_S,
    MISSING,
    OVERFLOW,
    Action,
    Arguments,
    BooleanSetting,
    NumberSetting,
    RangeSetting,
    ScpiError,
    ScpiServer,
    WordSetting,
    choice,
    matches,
    number,
    switch,
    text,
)
from drivers.simulated.source_meter import SMALL_A, drive_when_on, is_limited
from drivers.simulated.wiring import Drive, DriveCurrent, DriveVoltage, OpenCircuit, WiredCell

NOT_WITH_OUTPUT_OFF = (802, "Not permitted with OUTPUT off")
DATA_STALE = (-230, "Data corrupt or stale")
NOT_A_NUMBER = 9.91e37
RANGES = {
    "CURR": (1.05e-6, 1.05e-5, 1.05e-4, 1.05e-3, 1.05e-2, 0.105, 1.05),
    "VOLT": (0.21, 2.1, 21.0, 210.0),
    "RES": (21.0, 210.0, 2.1e3, 2.1e4, 2.1e5, 2.1e6, 2.1e7, 2.1e8),
}
RANGE_AT_RESET = {"CURR": "1.05e-4", "VOLT": "21", "RES": "2.1e5"}
FUNCTIONS = ("VOLTage[:DC]", "CURRent[:DC]", "RESistance")
MOST_READINGS = 2500
KEPT = {
    ":SOURce[1]:DELay": number("0.001", 0, 999.9999),
    ":SOURce[1]:DELay:AUTO": switch("1"),
    ":SOURce[1]:SWEep:RANGing": choice("BEST", "BEST", "AUTO", "FIXed"),
    ":SOURce[1]:SWEep:SPACing": choice("LIN", "LINear", "LOGarithmic"),
    ":SOURce[1]:SWEep:DIRection": choice("UP", "UP", "DOWN"),
    ":SOURce[1]:VOLTage:PROTection[:LEVel]": number("210", 20, 210),
    "[:SENSe[1]]:AVERage[:STATe]": switch("0"),
    "[:SENSe[1]]:AVERage:COUNt": number("10", 1, 100),
    "[:SENSe[1]]:AVERage:TCONtrol": choice("REP", "REPeat", "MOVing"),
    "[:SENSe[1]]:RESistance:MODE": choice("AUTO", "MANual", "AUTO"),
    "[:SENSe[1]]:RESistance:OCOMpensated": switch("0"),
    ":SYSTem:AZERo[:STATe]": switch("1", once=True),
    ":SYSTem:LFRequency": choice("50", "50", "60"),
    ":SYSTem:LFRequency:AUTO": switch("1"),
    ":SYSTem:BEEPer:STATe": switch("1"),
    ":SYSTem:GUARd": choice("OHMS", "OHMS", "CABLe"),
    ":SYSTem:TIME:RESet:AUTO": switch("0"),
    ":DISPlay:ENABle": switch("1"),
    ":DISPlay:DIGits": number("5", 4, 7),
    ":DISPlay[:WINDow[1]]:TEXT:DATA": text('""'),
    ":DISPlay[:WINDow[1]]:TEXT:STATe": switch("0"),
    ":FORMat[:DATA]": choice("ASC", "ASCii", "REAL", "SREal"),
    ":FORMat:BORDer": choice("NORM", "NORMal", "SWAPped"),
    ":FORMat:SREGister": choice("ASC", "ASCii", "HEXadecimal", "OCTal", "BINary"),
    ":ARM[:SEQuence[1]][:LAYer[1]]:SOURce": choice(
        "IMM", "IMMediate", "TLINk", "TIMer", "MANual", "BUS", "NSTest", "PSTest", "BSTest"
    ),
    ":ARM[:SEQuence[1]][:LAYer[1]]:TIMer": number("0.1", 0.001, 99999.99),
    ":ARM[:SEQuence[1]][:LAYer[1]][:TCONfigure]:DIRection": choice("ACC", "SOURce", "ACCeptor"),
    ":ARM[:SEQuence[1]][:LAYer[1]][:TCONfigure]:OUTPut": choice("NONE", "TENTer", "TEXit", "NONE"),
    ":ARM[:SEQuence[1]][:LAYer[1]][:TCONfigure]:ILINe": number("1", 1, 4),
    ":ARM[:SEQuence[1]][:LAYer[1]][:TCONfigure]:OLINe": number("2", 1, 4),
    ":TRIGger[:SEQuence[1]]:SOURce": choice("IMM", "IMMediate", "TLINk"),
    ":TRIGger[:SEQuence[1]]:DELay": number("0", 0, 999.9999),
    ":TRIGger[:SEQuence[1]][:TCONfigure]:DIRection": choice("ACC", "SOURce", "ACCeptor"),
    ":TRIGger[:SEQuence[1]][:TCONfigure]:OUTPut": choice("NONE", "SOURce", "DELay", "SENSe", "NONE"),
    ":TRIGger[:SEQuence[1]][:TCONfigure]:ILINe": number("1", 1, 4),
    ":TRIGger[:SEQuence[1]][:TCONfigure]:OLINe": number("2", 1, 4),
    ":STATus:MEASurement:ENABle": number("0", 0, 65535),
    ":STATus:OPERation:ENABle": number("0", 0, 65535),
    ":STATus:QUEStionable:ENABle": number("0", 0, 65535),
}
ELEMENTS = ("VOLTage", "CURRent", "RESistance", "TIME", "STATus")
COMPLIANCE, VOLTAGE_MEASURED, CURRENT_MEASURED = 1 << 3, 1 << 11, 1 << 12
VOLTAGE_SOURCED, CURRENT_SOURCED, REMOTE_SENSE = 1 << 14, 1 << 15, 1 << 22


class VirtualKeithley2400(ScpiServer):
    """Powered on: the output is off in the NORMAL state, which is a 0 V source and discharges a cell."""

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2400,4105123,C32   Oct  4 2010 14:20:11/A02  /S/K"

    def __init__(
        self,
        cell: WiredCell,
        *,
        clock: Clock | None = None,
        noise: float = 1.0,
        seed: int = 2400,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(clock=clock, host=host, port=port)
        self.cell, self.noise = cell, noise
        self._random = random.Random(seed)
        self._elements: tuple[str, ...] = ELEMENTS
        self._measured: tuple[str, ...] = ("CURR",)
        self._latest: list[str] = []
        self._buffer: list[str] = []
        self._define_output()
        self._define_source_and_sense()
        self._define_sweeps()
        self._define_readings()
        self.keep(KEPT)
        self.silent(":SYSTem:BEEPer[:IMMediate]", ":SYSTem:LOCal", ":SYSTem:REMote", ":SYSTem:RWLock", ":ABORt")
        self.silent(":SYSTem:PRESet", ":TRIGger:CLEar", ":SYSTem:TIME:RESet", ":STATus:QUEue:ENABle")
        for event in ("MEASurement", "OPERation", "QUEStionable"):
            self.define(f":STATus:{event}[:EVENt]?", lambda _: "0")
            self.define(f":STATus:{event}:CONDition?", lambda _: "0")
        self._wire()

    @property
    def output_is_on(self) -> bool:
        return self._output.on

    def reset(self) -> None:
        super().reset()
        self._elements, self._measured = ELEMENTS, ("CURR",)
        self._latest, self._buffer = [], []
        self._wire()

    # --- commands

    def _define_output(self) -> None:
        self._output = self.setting(":OUTPut[1][:STATe]", BooleanSetting("0", on_change=self._wire))
        words = ("NORMal", "ZERO", "HIMPedance", "GUARd")
        self._off_state = self.setting(":OUTPut[1]:SMODe", WordSetting("NORM", words=words, on_change=self._wire))
        self._function = self.setting(
            ":SOURce[1]:FUNCtion[:MODE]", WordSetting("VOLT", words=("VOLTage", "CURRent"), on_change=self._turn_off)
        )
        self._auto_clear = self.setting(":SOURce[1]:CLEar:AUTO", BooleanSetting("0"))
        self.define(":SOURce[1]:CLEar[:IMMediate]", lambda _: self._turn_off())
        terminals = WordSetting("FRON", words=("FRONt", "REAR"), on_change=self._turn_off)
        self.setting(":ROUTe:TERMinals", terminals)
        self._remote_sense = self.setting(":SYSTem:RSENse", BooleanSetting("0"))

    def _define_source_and_sense(self) -> None:
        self._level = {"CURR": NumberSetting("0", low=-1.05, high=1.05), "VOLT": NumberSetting("0", low=-210, high=210)}
        self._limit = {  # of the quantity that is measured
            "VOLT": NumberSetting("21", low=0.0002, high=210.0),
            "CURR": NumberSetting("105e-6", low=1e-9, high=1.05),
        }
        self._nplc = NumberSetting("1", low=0.01, high=10.0)
        self._mode: dict[str, WordSetting] = {}
        for name in ("CURRent", "VOLTage"):
            short = name[:4]
            for setting in (self._level[short], self._limit[short]):
                setting.on_change = self._wire
            self.setting(f":SOURce[1]:{name}[:LEVel][:IMMediate][:AMPLitude]", self._level[short])
            self._mode[short] = self.setting(
                f":SOURce[1]:{name}:MODE", WordSetting("FIX", words=("FIXed", "LIST", "SWEep"))
            )
            self._range(f":SOURce[1]:{name}", short)
            self.setting(f"[:SENSe[1]]:{name}[:DC]:PROTection[:LEVel]", self._limit[short])
            self.define(f"[:SENSe[1]]:{name}[:DC]:PROTection:TRIPped?", lambda _: "1" if self._limited() else "0")
            self._range(f"[:SENSe[1]]:{name}[:DC]", short)
            self.setting(f"[:SENSe[1]]:{name}[:DC]:NPLCycles", self._nplc)  # one for all functions
        self._range("[:SENSe[1]]:RESistance", "RES")
        self.setting("[:SENSe[1]]:RESistance:NPLCycles", self._nplc)
        self._concurrent = self.setting("[:SENSe[1]]:FUNCtion:CONCurrent", BooleanSetting("1"))
        self.define("[:SENSe[1]]:FUNCtion[:ON]", self._put_measured)
        self.define("[:SENSe[1]]:FUNCtion[:ON]?", lambda _: ",".join(_told(name) for name in self._measured))
        self.define("[:SENSe[1]]:FUNCtion[:ON]:COUNt?", lambda _: str(len(self._measured)))
        self.define("[:SENSe[1]]:FUNCtion[:ON]:ALL", lambda _: self._measure_these("VOLT", "CURR", "RES"))
        self.define("[:SENSe[1]]:FUNCtion:OFF", self._put_unmeasured)
        self.define("[:SENSe[1]]:FUNCtion:OFF:ALL", lambda _: self._measure_these())
        self.define(":FORMat:ELEMents[:SENSe[1]]", self._put_elements)
        self.define(":FORMat:ELEMents[:SENSe[1]]?", lambda _: ",".join(word[:4].upper() for word in self._elements))
        for word in FUNCTIONS:
            self.define(f":MEASure:{word}?", self._measure_one(_short(word)))
            self.define(f":CONFigure:{word}", self._configure(_short(word)))
        self.define(":CONFigure?", lambda _: ",".join(_told(name) for name in self._measured))

    def _range(self, root: str, name: str) -> None:
        """A range, and whether it is chosen by itself, which one that is set ends."""
        auto = self.setting(f"{root}:RANGe:AUTO", BooleanSetting("1"))
        fixed = RangeSetting(RANGE_AT_RESET[name], ranges=RANGES[name])
        self.setting(f"{root}:RANGe[:UPPer]", fixed).on_change = lambda: auto.put("0")

    def _define_sweeps(self) -> None:
        self._lists: dict[str, list[float]] = {"CURR": [], "VOLT": []}
        self._ends: dict[tuple[str, str], NumberSetting] = {}
        for name in ("CURRent", "VOLTage"):
            short, most = name[:4], self._level[name[:4]].high
            for end in ("STARt", "STOP", "STEP"):
                self._ends[short, end] = self.setting(
                    f":SOURce[1]:{name}:{end}", NumberSetting("0", low=-most, high=most)
                )
            root = f":SOURce[1]:LIST:{name}"
            self.define(root, partial(self._put_list, short))
            self.define(f"{root}:APPend", partial(self._append, short))
            self.define(f"{root}?", partial(self._told_list, short))
            self.define(f"{root}:POINts?", partial(self._list_length, short))
        self._points = self.setting(":SOURce[1]:SWEep:POINts", NumberSetting("2500", low=2, high=MOST_READINGS))

    def _put_list(self, name: str, given: Arguments) -> None:
        self._lists[name] = []
        self._append(name, given)

    def _told_list(self, name: str, given: Arguments) -> str:
        return ",".join(f"{level:+.6E}" for level in self._lists[name])

    def _list_length(self, name: str, given: Arguments) -> str:
        return str(len(self._lists[name]))

    def _append(self, name: str, given: Arguments) -> None:
        self._lists[name] += [float(level) for level in given]

    def _define_readings(self) -> None:
        self._arms = self.setting(":ARM[:SEQuence[1]][:LAYer[1]]:COUNt", NumberSetting("1", low=1, high=MOST_READINGS))
        self._triggers = self.setting(":TRIGger[:SEQuence[1]]:COUNt", NumberSetting("1", low=1, high=MOST_READINGS))
        self.define(":READ?", lambda _: self._read())
        self.define(":MEASure?", lambda _: self._measure())
        self.define(":INITiate[:IMMediate]", lambda _: self._initiate())
        for query in (":FETCh?", "[:SENSe[1]]:DATA[:LATest]?"):
            self.define(query, lambda _: self._fetch())
        self._room = self.setting(":TRACe:POINts", NumberSetting("100", low=1, high=MOST_READINGS))
        self.define(":TRACe:POINts:ACTual?", lambda _: str(len(self._buffer)))
        self.keep({":TRACe:FEED": choice("SENS", "SENSe[1]", "CALCulate[1]", "CALCulate2")})
        self._feeding = self.setting(":TRACe:FEED:CONTrol", WordSetting("NEV", words=("NEVer", "NEXT")))
        self.keep({":TRACe:TSTamp:FORMat": choice("ABS", "ABSolute", "DELTa")})
        self.define(":TRACe:CLEar", lambda _: self._buffer.clear())
        self.define(":TRACe:DATA?", lambda _: ",".join(self._buffer))
        self.define(":TRACe:FREE?", lambda _: f"{44 * (MOST_READINGS - len(self._buffer))},{44 * len(self._buffer)}")

    def _named(self, arguments: Arguments) -> list[str]:
        names = [word for word in FUNCTIONS if any(matches(word, text) for text in arguments)]
        if len(names) < len(arguments) or not names:
            raise ScpiError(*ILLEGAL_VALUE)
        return [_short(name) for name in names]

    def _put_measured(self, arguments: Arguments) -> None:
        named = self._named(arguments)
        self._measure_these(*((*self._measured, *named) if self._concurrent.on else named[-1:]))

    def _put_unmeasured(self, arguments: Arguments) -> None:
        named = self._named(arguments)
        self._measure_these(*(name for name in self._measured if name not in named))

    def _measure_these(self, *names: str) -> None:
        self._measured = tuple(dict.fromkeys(names))

    def _put_elements(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        chosen = tuple(word for word in ELEMENTS if any(matches(word, text) for text in arguments))
        if len(chosen) < len(arguments):
            raise ScpiError(*ILLEGAL_VALUE)
        self._elements = chosen

    # --- source

    def _present(self) -> tuple[str, float, float]:
        """What is sourced, at which level, within which limit of the other."""
        function = self._function.word
        return function, self._level[function].value, self._limit["VOLT" if function == "CURR" else "CURR"].value

    def _turn_off(self) -> None:
        self._output.put("0")
        self._wire()

    def _wire(self) -> None:
        self.cell.drive(drive_when_on(*self._present()) if self._output.on else self._drive_when_off())

    def _drive_when_off(self) -> Drive:
        match self._off_state.word:
            case "HIMP":
                return OpenCircuit()
            case "GUAR":
                return DriveCurrent(0.0, -1.0, 1.0)
            case "ZERO":
                return DriveVoltage(0.0, self._limit["CURR"].value)
            case _:
                return DriveVoltage(0.0, SMALL_A)

    def _limited(self) -> bool:
        return self._output.on and is_limited(self.cell, *self._present())

    # --- readings

    def _configure(self, name: str) -> Action:
        """As the real one: it switches the output on by itself."""

        def configure(arguments: Arguments) -> None:
            self._measured = (name,)
            self._output.put("1")
            self._wire()

        return configure

    def _measure_one(self, name: str) -> Action:
        def measure(arguments: Arguments) -> str:
            self._configure(name)(())
            return self._read()

        return measure

    def _measure(self) -> str:
        """It switches the output on, too."""
        self._output.put("1")
        self._wire()
        return self._read()

    def _read(self) -> str:
        self._initiate()
        return ",".join(self._latest)

    def _initiate(self) -> None:
        """As many readings as the trigger model counts, each at its own level of a sweep or list."""
        if not self._output.on and not self._auto_clear.on:
            raise ScpiError(*NOT_WITH_OUTPUT_OFF)
        self._output.put("1")
        self._wire()
        levels = self._levels()
        self._latest = []
        for i in range(int(self._arms.value * self._triggers.value)):
            if levels:
                self._level[self._function.word].put(f"{levels[i % len(levels)]}")
                self._wire()
            self.clock.sleep(2 * len(self._measured) * self._nplc.value * LINE_PERIOD_S)
            fields = self._fields()
            self._latest.append(",".join(f"{fields[word]:+.6E}" for word in self._elements))
        if self._auto_clear.on:
            self._turn_off()
        if self._feeding.word == "NEXT":
            self._buffer = (self._buffer + self._latest)[: int(self._room.value)]
            self._feeding.put("NEXT" if len(self._buffer) < int(self._room.value) else "NEV")

    def _levels(self) -> list[float]:
        """Of the sweep or list that is set up for what is sourced; none in fixed mode."""
        name = self._function.word
        if self._mode[name].word == "LIST":
            return self._lists[name]
        if self._mode[name].word == "FIX":
            return []
        start, stop, step = (self._ends[name, end].value for end in ("STARt", "STOP", "STEP"))
        count = round(abs((stop - start) / step)) + 1 if step else int(self._points.value)
        return [start + (stop - start) * i / max(1, count - 1) for i in range(count)]

    def _fetch(self) -> str:
        if not self._latest:
            raise ScpiError(*DATA_STALE)
        return ",".join(self._latest)

    def _fields(self) -> dict[str, float]:
        voltage_V, current_A = self.cell.terminals()
        voltage_V += self.noise * self._random.gauss(0.0, 5e-6 + 5e-6 * abs(voltage_V))
        current_A += self.noise * self._random.gauss(0.0, 50e-12 + 20e-6 * abs(current_A))
        function = self._function.word
        status = VOLTAGE_SOURCED if function == "VOLT" else CURRENT_SOURCED
        status |= COMPLIANCE if self._limited() else 0
        status |= REMOTE_SENSE if self._remote_sense.on else 0
        status |= VOLTAGE_MEASURED if "VOLT" in self._measured else 0
        status |= CURRENT_MEASURED if "CURR" in self._measured else 0
        level = self._level[function].value
        voltage = voltage_V if "VOLT" in self._measured else level if function == "VOLT" else NOT_A_NUMBER
        current = current_A if "CURR" in self._measured else level if function == "CURR" else NOT_A_NUMBER
        resistance = voltage_V / current_A if current_A else OVERFLOW
        return dict(zip(ELEMENTS, (voltage, current, resistance, self.clock.now() % 1e5, float(status)), strict=True))


def _short(function: str) -> str:
    return function[:4].upper() if "[" in function else "RES"


def _told(name: str) -> str:
    return f'"{name}"' if name == "RES" else f'"{name}:DC"'
