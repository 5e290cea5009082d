"""A virtual Keithley 2450 with its native SCPI commands, wired to one cell.

Written from the vendor's reference manual 2450-901-01 Rev. B (output-off states p. 2-82, :READ? 6-6, output
6-31, sense 6-46, source 6-66), and where a sister model's manual says more, from 2461-901-01 and 2470-901-01.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from drivers.simulated.clock import Clock
from drivers.simulated.reading_buffers import DEFAULT_BUFFERS, ReadingBuffers, Sample
from drivers.simulated.scpi import (
    LINE_PERIOD_S,
    MISSING,
    OUT_OF_RANGE,
    OVERFLOW,
    Arguments,
    BooleanSetting,
    NumberSetting,
    ScpiError,
    WordSetting,
    choice,
    number,
    short_form,
    switch,
    text,
    unquoted,
)
from drivers.simulated.source_meter import drive_when_on, is_limited
from drivers.simulated.wiring import Drive, DriveCurrent, DriveVoltage, OpenCircuit, WiredCell

RANGES = {
    "CURR": (*(10.0**exponent for exponent in range(-8, 1)), 4.0, 7.0),  # A; a 2450 ends at 1
    "VOLT": (0.02, 0.2, 2.0, 20.0, 200.0),  # V
}
OVERRANGE = 1.05  # a range reaches 5 % beyond its name
UNITS = {"CURR": "Amp DC", "VOLT": "Volt DC", "RES": "Ohm"}
OF_A_MEASUREMENT = {
    "[:SENSe[1]]:{}:AVERage[:STATe]": switch("0"),
    "[:SENSe[1]]:{}:AVERage:COUNt": number("10", 1, 100),
    "[:SENSe[1]]:{}:AVERage:TCONtrol": choice("REP", "REPeat", "MOVing"),
    "[:SENSe[1]]:{}:AZERo[:STATe]": switch("1", once=True),
    "[:SENSe[1]]:{}:RELative": number("0", -210e6, 210e6),
    "[:SENSe[1]]:{}:RELative:STATe": switch("0"),
    "[:SENSe[1]]:{}:UNIT": text("OHM"),
    "[:SENSe[1]]:{}:OCOMpensated": switch("0"),
    ":DISPlay:{}:DIGits": number("5", 3, 6),
}
OF_A_MEASUREMENT |= {f"[:SENSe[1]]:{{}}:DELay:USER{n}": number("0", 0, 10e3) for n in range(1, 6)}
OF_A_SOURCE = {
    "[:SOURce[1]]:{}:DELay": number("0", 0, 10e3),
    "[:SOURce[1]]:{}:DELay:AUTO": switch("1"),
    "[:SOURce[1]]:{}:HIGH:CAPacitance": switch("0"),
    "[:SOURce[1]]:{}:PROTection[:LEVel]": choice(
        "NONE", *(f"PROT{volts}" for volts in (2, 5, 10, 20, 40, 60, 80, 100, 120, 140, 160, 180)), "NONE"
    ),
}
OF_A_SOURCE |= {f"[:SOURce[1]]:{{}}:DELay:USER{n}": number("0", 0, 10e3) for n in range(1, 6)}
KEPT = {
    ":FORMat[:DATA]": choice("ASC", "ASCii", "REAL", "SREal"),
    ":FORMat[:ASCii]:PRECision": number("0", 0, 16),
    ":FORMat:BORDer": choice("SWAP", "NORMal", "SWAPped"),
    ":DISPlay:LIGHt:STATe": text("ON50"),
    ":SYSTem:TIME": text("1430917024"),
    ":OUTPut[1]:INTerlock:STATe": switch("0"),
}


class SourceFunction:
    """What the 2450 keeps for each of its two source functions."""

    def __init__(self, name: str, level: NumberSetting, limit: NumberSetting) -> None:
        self.name, self.level, self.limit = name, level, limit
        self.off_state = WordSetting("NORM", words=("NORMal", "ZERO", "HIMPedance", "GUARd"))
        self.readback = BooleanSetting("1")
        self.autorange = BooleanSetting("1")
        self.range = NumberSetting(f"{RANGES[name][0]}", low=-level.high, high=level.high)
        self.range.on_change = lambda: self.autorange.put("0")
        level.allowed = lambda value: self.autorange.on or abs(value) <= OVERRANGE * self.full_scale

    @property
    def full_scale(self) -> float:
        """Of the present range."""
        return _range_for(self.name, self.level.value if self.autorange.on else self.range.value)


class VirtualKeithley2450(ReadingBuffers):
    """Powered on: the output is off in the NORMAL state, which is a 0 V source and discharges a cell.

    `noise` scales the noise of the readings, which `seed` makes the same in each run.
    """

    signed = "+"
    identity = "KEITHLEY INSTRUMENTS,MODEL 2450,04096331,1.6.7c"
    highest_A, highest_V = 1.05, 210.0

    def __init__(
        self,
        cell: WiredCell,
        *,
        clock: Clock | None = None,
        noise: float = 1.0,
        seed: int = 2450,
        language: str = "SCPI",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(clock=clock, host=host, port=port)
        self.cell, self.noise, self.language = cell, noise, language
        self._random = random.Random(seed)
        self._drive: Drive | None = None
        self._sweep: tuple[str, list[float], str] | None = None  # function, levels, buffer
        self._define_output()
        self._define_source()
        self._define_sense()
        self._define_sweeps()
        self.define_buffers()
        self.define("*LANG?", lambda _: self.language)
        self.silent("*LANG", ":ABORt", ":DISPlay:SCReen", ":DISPlay:CLEar", ":SYSTem:BEEPer[:IMMediate]")
        self.silent(":DISPlay:USER1[:TEXT][:DATA]", ":DISPlay:USER2[:TEXT][:DATA]", ":TRIGger:LOAD")
        self.define(":TRIGger:STATe?", lambda _: "IDLE;IDLE;0")
        self.keep(KEPT)
        self._wire()

    @property
    def output_is_on(self) -> bool:
        return self._output.on

    def press_output_button(self) -> None:
        """As a person at the front panel."""
        self._output.put("0" if self._output.on else "1")
        self._wire()

    def no_error(self) -> str:
        return '0,"No error;0,0,0"'

    def error(self, code: int, text: str) -> str:
        return f'{code},"{text};1;2015/05/06 12:57:04.484"'

    def reset(self) -> None:
        super().reset()
        self.reset_buffers()
        self._sweep = None
        self._wire()

    # --- commands

    def _define_output(self) -> None:
        self._output = self.setting(":OUTPut[1][:STATe]", BooleanSetting("0", on_change=self._wire))
        self._function = self.setting(
            "[:SOURce[1]]:FUNCtion[:MODE]",
            WordSetting("VOLT", words=("VOLTage", "CURRent"), on_change=self._turn_off),
        )
        self.setting(":ROUTe:TERMinals", WordSetting("FRON", words=("FRONt", "REAR"), on_change=self._turn_off))
        self.define(":OUTPut[1]:SMODe", self._put_both_off_states)
        self.define(":OUTPut[1]:SMODe?", lambda _: self._present.off_state.word)

    def _define_source(self) -> None:
        self._source = {
            "CURR": SourceFunction(
                "CURR",
                NumberSetting("0", low=-self.highest_A, high=self.highest_A),
                NumberSetting("21", low=0.02, high=self.highest_V),
            ),
            "VOLT": SourceFunction(
                "VOLT",
                NumberSetting("0", low=-self.highest_V, high=self.highest_V),
                NumberSetting("105e-6", low=1e-9, high=self.highest_A),
            ),
        }
        for name, limit in (("CURRent", "VLIMit"), ("VOLTage", "ILIMit")):
            source = self._source[short_form(name)]
            for setting in (source.level, source.limit, source.off_state):
                setting.on_change = self._wire
            self.setting(f"[:SOURce[1]]:{name}[:LEVel][:IMMediate][:AMPLitude]", source.level)
            self.setting(f"[:SOURce[1]]:{name}:{limit}[:LEVel]", source.limit)
            self.setting(f"[:SOURce[1]]:{name}:READ:BACK", source.readback)
            self.setting(f"[:SOURce[1]]:{name}:RANGe:AUTO", source.autorange)
            self.setting(f"[:SOURce[1]]:{name}:RANGe", source.range)
            self.setting(f":OUTPut[1]:{name}:SMODe", source.off_state)
            self.define(f"[:SOURce[1]]:{name}:{limit}[:LEVel]:TRIPped?", self._tripped)
        self.keep(OF_A_SOURCE, of=("CURRent", "VOLTage"))

    def _define_sense(self) -> None:
        words = ("CURRent[:DC]", "VOLTage[:DC]", "RESistance")
        told = {"CURR[:DC]": '"CURR:DC"', "VOLT[:DC]": '"VOLT:DC"', "RES": '"RES"'}
        self._measured = self.setting(
            "[:SENSe[1]]:FUNCtion[:ON]", WordSetting("CURR", words=words, told=lambda word: told[word])
        )
        self._count = self.setting("[:SENSe[1]]:COUNt", NumberSetting("1", low=1, high=300_000))
        self._nplc: dict[str, NumberSetting] = {}
        for word in words:
            nplc = NumberSetting("1", low=0.01, high=10.0)
            self._nplc[short_form(word)] = self.setting(f"[:SENSe[1]]:{word}:NPLCycles", nplc)
            self.setting(f"[:SENSe[1]]:{word}:RSENse", BooleanSetting("0", on_change=self._turn_off))
            autorange = self.setting(f"[:SENSe[1]]:{word}:RANGe:AUTO", BooleanSetting("1"))
            upper = self.setting(f"[:SENSe[1]]:{word}:RANGe[:UPPer]", NumberSetting("1", low=-210e6, high=210e6))
            upper.on_change = _turning_off(autorange)
        self.keep(OF_A_MEASUREMENT, of=words)
        self.define("[:SENSe[1]]:AZERo:ONCE", lambda _: None)

    def _define_sweeps(self) -> None:
        self._lists: dict[str, list[float]] = {"CURR": [], "VOLT": []}
        self.define(":INITiate[:IMMediate]", lambda _: self._initiate())
        for word in ("CURRent", "VOLTage"):
            name, root = short_form(word), f"[:SOURce[1]]:SWEep:{word}"
            self.define(f"{root}:LINear", partial(self._put_sweep, name, by_step=False))
            self.define(f"{root}:LINear:STEP", partial(self._put_sweep, name, by_step=True))
            self.define(f"{root}:LIST", partial(self._put_list_sweep, name))
            self.define(f"[:SOURce[1]]:LIST:{word}", partial(self._put_list, name))
            self.define(f"[:SOURce[1]]:LIST:{word}?", partial(self._told_list, name))

    def _put_list(self, name: str, given: Arguments) -> None:
        self._lists[name] = [float(level) for level in given]

    def _told_list(self, name: str, given: Arguments) -> str:
        return ",".join(f"{level:.6E}" for level in self._lists[name])

    def _put_list_sweep(self, name: str, given: Arguments) -> None:
        self._sweep = name, self._lists[name], DEFAULT_BUFFERS[0]

    def _put_sweep(self, name: str, given: Arguments, *, by_step: bool) -> None:
        """Start, stop, number of points (or step); the ninth argument names the buffer."""
        if len(given) < 3:
            raise ScpiError(*MISSING)
        start, stop, third = (float(argument) for argument in given[:3])
        if third <= 0:
            raise ScpiError(*OUT_OF_RANGE)
        count = round(abs(stop - start) / third) + 1 if by_step else int(third)
        if count < 2:
            raise ScpiError(*OUT_OF_RANGE)
        levels = [start + (stop - start) * i / (count - 1) for i in range(count)]
        self._sweep = name, levels, unquoted(given[8]).upper() if len(given) > 8 else DEFAULT_BUFFERS[0]

    def _initiate(self) -> None:
        """Run the sweep that was set up, which switches the output on and off again; without one, take a reading."""
        if self._sweep is None:
            self.acquire(DEFAULT_BUFFERS[0])
            return
        name, levels, buffer = self._sweep
        self._function.put(name)
        self._output.put("1")
        for level in levels:
            self._source[name].level.put(f"{level}")
            self._wire()
            self.append(buffer, self.sample())
        self._turn_off()

    # --- source

    @property
    def _present(self) -> SourceFunction:
        return self._source[self._function.word]

    def _put_both_off_states(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        for source in self._source.values():
            source.off_state.put(arguments[0])
        self._wire()

    def _turn_off(self) -> None:
        """As a change of function, of sensing or of the terminals does."""
        self._output.put("0")
        self._wire()

    def _wire(self) -> None:
        """Tell the cell, where something changed."""
        drive = self._drive_when_on() if self._output.on else self._drive_when_off()
        if drive != self._drive:
            self._drive = drive
            self.cell.drive(drive)

    def _drive_when_on(self) -> Drive:
        return drive_when_on(self._function.word, self._present.level.value, self._present.limit.value)

    def _drive_when_off(self) -> Drive:
        source, is_current = self._present, self._function.word == "CURR"
        tenth_A = 0.1 * (source.full_scale if is_current else _range_for("CURR", source.limit.value))
        tenth_V = 0.1 * (_range_for("VOLT", source.limit.value) if is_current else source.full_scale)
        match source.off_state.word:
            case "HIMP":
                return OpenCircuit()
            case "NORM":
                return DriveVoltage(0.0, tenth_A)
            case "ZERO":
                return DriveVoltage(0.0, max(abs(source.level.value), tenth_A) if is_current else source.limit.value)
            case _:
                return DriveCurrent(0.0, -tenth_V, tenth_V)

    def _tripped(self, arguments: Arguments) -> str:
        if not self._output.on:
            return "0"
        level, limit = self._present.level.value, self._present.limit.value
        return "1" if is_limited(self.cell, self._function.word, level, limit) else "0"

    # --- readings

    def samples_of_one_trigger(self) -> int:
        return int(self._count.value)

    def sample(self) -> Sample:
        measured = self._measured.word.removesuffix("[:DC]")
        self.clock.sleep(2 * self._nplc[self._measured.word].value * LINE_PERIOD_S)  # one more for the autozero
        voltage_V, current_A = (0.0, 0.0) if isinstance(self._drive, OpenCircuit) else self.cell.terminals()
        voltage_V += self.noise * self._random.gauss(0.0, 5e-6 + 5e-6 * abs(voltage_V))
        current_A += self.noise * self._random.gauss(0.0, 50e-12 + 20e-6 * abs(current_A))
        values = {"VOLT": voltage_V, "CURR": current_A, "RES": voltage_V / current_A if current_A else OVERFLOW}
        source = self._present
        return Sample(
            time_s=self.clock.now(),
            sourced=values[self._function.word] if source.readback.on else source.level.value,
            source_unit=UNITS[self._function.word],
            measured=values[measured],
            unit=UNITS[measured],
        )


class VirtualKeithley2460(VirtualKeithley2450):
    """The same commands, up to 7 A (its class by the maker's data sheet)."""

    identity = "KEITHLEY INSTRUMENTS,MODEL 2460,04312874,1.7.3b"
    highest_A, highest_V = 7.0, 100.0


def _range_for(name: str, value: float) -> float:
    return next((scale for scale in RANGES[name] if abs(value) <= OVERRANGE * scale), RANGES[name][-1])


def _turning_off(switch: BooleanSetting) -> Callable[[], None]:
    return lambda: switch.put("0")
