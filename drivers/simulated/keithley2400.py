"""A virtual Keithley 2400 SourceMeter, wired to one cell.

Written from the vendor's manual 2400S-900-01 Rev. K (section 18: data elements and status word p. 18-50, output off
states, auto clear 18-72) as quoted by labmcp-keithley-smu and by PyMeasure's keithley2400.
"""

from __future__ import annotations

import random

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
    ScpiError,
    ScpiServer,
    Setting,
    WordSetting,
    matches,
)
from drivers.simulated.source_meter import SMALL_A, drive_when_on, is_limited
from drivers.simulated.wiring import Drive, DriveCurrent, DriveVoltage, OpenCircuit, WiredCell

NOT_WITH_OUTPUT_OFF = (802, "Not permitted with OUTPUT off")
NOT_A_NUMBER = 9.91e37
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
        self._define_output()
        self._define_source_and_sense()
        self._wire()

    @property
    def output_is_on(self) -> bool:
        return self._output.on

    def reset(self) -> None:
        super().reset()
        self._elements, self._measured = ELEMENTS, ("CURR",)
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
        for name in ("CURRent", "VOLTage"):
            short = name[:4]
            for setting in (self._level[short], self._limit[short]):
                setting.on_change = self._wire
            self.setting(f":SOURce[1]:{name}[:LEVel][:IMMediate][:AMPLitude]", self._level[short])
            self.setting(f":SOURce[1]:{name}:MODE", WordSetting("FIX", words=("FIXed", "LIST", "SWEep")))
            self.setting(f":SOURce[1]:{name}:RANGe:AUTO", BooleanSetting("1"))
            self.setting(f"[:SENSe[1]]:{name}[:DC]:PROTection[:LEVel]", self._limit[short])
            self.define(f"[:SENSe[1]]:{name}[:DC]:PROTection:TRIPped?", lambda _: "1" if self._limited() else "0")
            self.setting(f"[:SENSe[1]]:{name}[:DC]:RANGe:AUTO", BooleanSetting("1"))
            self.setting(f"[:SENSe[1]]:{name}[:DC]:NPLCycles", self._nplc)  # one for all functions
        self._concurrent = self.setting("[:SENSe[1]]:FUNCtion:CONCurrent", BooleanSetting("1"))
        self.define("[:SENSe[1]]:FUNCtion[:ON]", self._put_measured)
        self.define("[:SENSe[1]]:FUNCtion[:ON]?", lambda _: ",".join(f'"{name}:DC"' for name in self._measured))
        self.define(":FORMat:ELEMents[:SENSe[1]]", self._put_elements)
        self.define(":FORMat:ELEMents[:SENSe[1]]?", lambda _: ",".join(word[:4].upper() for word in self._elements))
        for header in (":ARM[:SEQuence[1]][:LAYer[1]]:COUNt", ":TRIGger[:SEQuence[1]]:COUNt"):
            self.setting(header, NumberSetting("1", low=1, high=2500))
        self.setting(":SYSTem:AZERo[:STATe]", Setting("1"))
        self.define(":READ?", self._read)
        self.define(":MEASure?", self._measure)
        for word in ("VOLTage[:DC]", "CURRent[:DC]"):
            self.define(f":MEASure:{word}?", self._measure_one(word[:4].upper()))
            self.define(f":CONFigure:{word}", self._configure(word[:4].upper()))

    def _put_measured(self, arguments: Arguments) -> None:
        names = [word for word in ("VOLTage[:DC]", "CURRent[:DC]") if any(matches(word, text) for text in arguments)]
        if len(names) < len(arguments) or not names:
            raise ScpiError(*ILLEGAL_VALUE)
        named = tuple(name[:4] for name in names)
        self._measured = tuple(dict.fromkeys((*self._measured, *named))) if self._concurrent.on else named[-1:]

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
            return self._read(())

        return measure

    def _measure(self, arguments: Arguments) -> str:
        """It switches the output on, too."""
        self._output.put("1")
        self._wire()
        return self._read(arguments)

    def _read(self, arguments: Arguments) -> str:
        if not self._output.on and not self._auto_clear.on:
            raise ScpiError(*NOT_WITH_OUTPUT_OFF)
        self._output.put("1")
        self._wire()
        self.clock.sleep(2 * len(self._measured) * self._nplc.value * LINE_PERIOD_S)
        fields = self._fields()
        if self._auto_clear.on:
            self._turn_off()
        return ",".join(f"{fields[word]:+.6E}" for word in self._elements)

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
