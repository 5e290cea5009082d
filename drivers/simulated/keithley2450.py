"""A virtual Keithley 2450 with its native SCPI commands, wired to one cell.

Written from the vendor's reference manual 2450-901-01 Rev. B (output-off states p. 2-82, :READ? 6-6, output
6-31, sense 6-46, source 6-66), and where a sister model's manual says more, from 2461-901-01 and 2470-901-01.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from drivers.simulated.clock import Clock
from drivers.simulated.scpi import (
    ILLEGAL_VALUE,
    LINE_PERIOD_S,
    MISSING,
    OUT_OF_RANGE,
    OVERFLOW,
    Arguments,
    BooleanSetting,
    NumberSetting,
    ScpiError,
    ScpiServer,
    Setting,
    WordSetting,
    matches,
    short_form,
    unquoted,
)
from drivers.simulated.source_meter import drive_when_on, is_limited
from drivers.simulated.wiring import Drive, DriveCurrent, DriveVoltage, OpenCircuit, WiredCell

RANGES = {
    "CURR": (*(10.0**exponent for exponent in range(-8, 1)), 4.0, 7.0),  # A; a 2450 ends at 1
    "VOLT": (0.02, 0.2, 2.0, 20.0, 200.0),  # V
}
OVERRANGE = 1.05  # a range reaches 5 % beyond its name
DEFAULT_BUFFERS = ("DEFBUFFER1", "DEFBUFFER2")
UNITS = {"CURR": "Amp DC", "VOLT": "Volt DC", "RES": "Ohm"}
CHANGES_NOTHING = (
    "[:SENSe[1]]:{}:AVERage[:STATe]",
    "[:SENSe[1]]:{}:AVERage:COUNt",
    "[:SENSe[1]]:{}:AVERage:TCONtrol",
    "[:SENSe[1]]:{}:AZERo[:STATe]",
    "[:SENSe[1]]:{}:DELay:USER1",
    "[:SOURce[1]]:{}:DELay",
    "[:SOURce[1]]:{}:DELay:AUTO",
    "[:SOURce[1]]:{}:HIGH:CAPacitance",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading as a buffer keeps it."""

    time_s: float
    since_start_s: float
    sourced: float
    source_unit: str
    measured: float
    unit: str


ELEMENTS: dict[str, Callable[[Sample], str]] = {
    "READing": lambda sample: _number(sample.measured),
    "SOURce": lambda sample: _number(sample.sourced),
    "RELative": lambda sample: _number(sample.since_start_s),
    "SEConds": lambda sample: str(int(sample.time_s)),
    "FRACtional": lambda sample: f"{sample.time_s % 1:.9f}",
    "DATE": lambda sample: time.strftime("%m/%d/%Y", time.gmtime(sample.time_s)),
    "TIME": lambda sample: time.strftime("%H:%M:%S", time.gmtime(sample.time_s)),
    "TSTamp": lambda sample: time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime(sample.time_s)),
    "FORMatted": lambda sample: f"{sample.measured:+.5g} {sample.unit.split()[0]}",
    "SOURFORMatted": lambda sample: f"{sample.sourced:+.5g} {sample.source_unit.split()[0]}",
    "UNIT": lambda sample: sample.unit,
    "SOURUNIT": lambda sample: sample.source_unit,
    "STATus": lambda sample: "0",  # the bits are not simulated
    "SOURSTATus": lambda sample: "0",
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


class VirtualKeithley2450(ScpiServer):
    """Powered on: the output is off in the NORMAL state, which is a 0 V source and discharges a cell.

    `noise` scales the noise of the readings, which `seed` makes the same in each run.
    """

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
        self._started_s = self.clock.now()
        self._drive: Drive | None = None
        self._buffers: dict[str, list[Sample]] = {name: [] for name in DEFAULT_BUFFERS}
        self._define_output()
        self._define_source()
        self._define_sense()
        self._define_buffers()
        self.define("*LANG?", lambda _: self.language)
        for header in ("*LANG", ":ABORt", ":DISPlay:SCReen", ":FORMat[:DATA]"):
            self.define(header, lambda _: None)
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
        self._buffers = {name: [] for name in DEFAULT_BUFFERS}
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
            for header in CHANGES_NOTHING:
                self.setting(header.format(word), Setting("0"))
        self.define("[:SENSe[1]]:AZERo:ONCE", lambda _: None)

    def _define_buffers(self) -> None:
        for query in (":READ?", ":MEASure?"):
            self.define(query, self._read)
        self.define(":FETCh?", self._fetch)
        self.define(":INITiate[:IMMediate]", lambda _: self._acquire("DEFBUFFER1"))
        self.define(":TRACe:TRIGger", lambda arguments: self._acquire(self._buffer_name(arguments)))
        self.define(":TRACe:MAKE", self._make_buffer)
        self.define(":TRACe:DELete", self._delete_buffer)
        self.define(":TRACe:CLEar", lambda arguments: self._buffer(arguments).clear())
        self.define(":TRACe:ACTual[:END]?", lambda arguments: str(len(self._buffer(arguments))))
        self.define(":TRACe:ACTual:STARt?", lambda arguments: str(min(1, len(self._buffer(arguments)))))
        self.define(":TRACe:DATA?", self._data)
        self.define(":TRACe:POINts", lambda _: None)
        self.define(":TRACe:POINts?", lambda _: "100000")

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

    def _sample(self) -> Sample:
        measured = self._measured.word.removesuffix("[:DC]")
        self.clock.sleep(2 * self._nplc[self._measured.word].value * LINE_PERIOD_S)  # one more for the autozero
        voltage_V, current_A = (0.0, 0.0) if isinstance(self._drive, OpenCircuit) else self.cell.terminals()
        voltage_V += self.noise * self._random.gauss(0.0, 5e-6 + 5e-6 * abs(voltage_V))
        current_A += self.noise * self._random.gauss(0.0, 50e-12 + 20e-6 * abs(current_A))
        values = {"VOLT": voltage_V, "CURR": current_A, "RES": voltage_V / current_A if current_A else OVERFLOW}
        source = self._present
        return Sample(
            time_s=self.clock.now(),
            since_start_s=self.clock.now() - self._started_s,
            sourced=values[self._function.word] if source.readback.on else source.level.value,
            source_unit=UNITS[self._function.word],
            measured=values[measured],
            unit=UNITS[measured],
        )

    def _acquire(self, name: str) -> None:
        self._buffers[name] += [self._sample() for _ in range(int(self._count.value))]

    def _read(self, arguments: Arguments) -> str:
        self._acquire(self._buffer_name(arguments))
        return self._fetch(arguments)

    def _fetch(self, arguments: Arguments) -> str:
        samples = self._buffer(arguments)
        if not samples:
            raise ScpiError(*OUT_OF_RANGE)
        return _told(samples[-1:], arguments[1:])

    def _data(self, arguments: Arguments) -> str:
        if len(arguments) < 2:
            raise ScpiError(*MISSING)
        first, last = (int(argument) for argument in arguments[:2])
        samples = self._buffer(arguments[2:])
        if not 1 <= first <= last <= len(samples):
            raise ScpiError(*OUT_OF_RANGE)
        return _told(samples[first - 1 : last], arguments[3:])

    def _buffer_name(self, arguments: Arguments) -> str:
        name = unquoted(arguments[0]).upper() if arguments else DEFAULT_BUFFERS[0]
        if name not in self._buffers:
            raise ScpiError(*ILLEGAL_VALUE)
        return name

    def _buffer(self, arguments: Arguments) -> list[Sample]:
        return self._buffers[self._buffer_name(arguments)]

    def _make_buffer(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        self._buffers[unquoted(arguments[0]).upper()] = []

    def _delete_buffer(self, arguments: Arguments) -> None:
        if (name := self._buffer_name(arguments)) in DEFAULT_BUFFERS:
            raise ScpiError(*ILLEGAL_VALUE)
        del self._buffers[name]


class VirtualKeithley2460(VirtualKeithley2450):
    """The same commands, up to 7 A (its class by the maker's data sheet)."""

    identity = "KEITHLEY INSTRUMENTS,MODEL 2460,04312874,1.7.3b"
    highest_A, highest_V = 7.0, 100.0


def _told(samples: Iterable[Sample], elements: Arguments) -> str:
    chosen = [_element(word) for word in elements] or [ELEMENTS["READing"]]
    return ",".join(tell(sample) for sample in samples for tell in chosen)


def _element(word: str) -> Callable[[Sample], str]:
    for notation, tell in ELEMENTS.items():
        if matches(notation, word):
            return tell
    raise ScpiError(*ILLEGAL_VALUE)


def _range_for(name: str, value: float) -> float:
    return next((scale for scale in RANGES[name] if abs(value) <= OVERRANGE * scale), RANGES[name][-1])


def _turning_off(switch: BooleanSetting) -> Callable[[], None]:
    return lambda: switch.put("0")


def _number(value: float) -> str:
    return f"{value:+.6E}"
