"""A virtual Keithley 2602B SourceMeter: two channels, each wired to a cell, and what they need of the TSP language.

Written from the vendor's manual 2600BS-901-01 Rev. F (section 9) as quoted by labmcp-keithley-smu, and from QCoDeS'
instrument description Keithley_2600. Of the language there are assignments, calls and `print`; no loops, no functions,
no scripts.
"""

from __future__ import annotations

import random
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.scpi import LINE_PERIOD_S, OVERFLOW, split_outside
from drivers.simulated.server import LineInstrument
from drivers.simulated.source_meter import SMALL_A, drive_when_on, is_limited
from drivers.simulated.wiring import Drive, DriveVoltage, OpenCircuit, WiredCell

CONSTANTS = {
    "OUTPUT_DCAMPS": 0,
    "OUTPUT_DCVOLTS": 1,
    "OUTPUT_OFF": 0,
    "OUTPUT_ON": 1,
    "OUTPUT_HIGH_Z": 2,
    "OUTPUT_NORMAL": 0,
    "OUTPUT_ZERO": 1,
    "SENSE_LOCAL": 0,
    "SENSE_REMOTE": 1,
    "AUTORANGE_OFF": 0,
    "AUTORANGE_ON": 1,
    "OFF": 0,
    "ON": 1,
    "ENABLE": 1,
    "DISABLE": 0,
    "AUTOZERO_OFF": 0,
    "AUTOZERO_ONCE": 1,
    "AUTOZERO_AUTO": 2,
    "FILTER_MOVING_AVG": 0,
    "FILTER_REPEAT_AVG": 1,
    "FILTER_MEDIAN": 2,
    "FILTER_OFF": 0,
    "FILTER_ON": 1,
    "DELAY_OFF": 0,
    "DELAY_AUTO": -1,
    "SMUA": 0,
    "SMUB": 1,
    "SMUA_SMUB": 2,
    "USER": 3,
    "ASCII": 1,
    "SREAL": 2,
    "REAL": 3,
    "MEASURE_DCAMPS": 0,
    "MEASURE_DCVOLTS": 1,
    "MEASURE_OHMS": 2,
    "MEASURE_WATTS": 3,
    "DIGITS_4_5": 4,
    "DIGITS_5_5": 5,
    "DIGITS_6_5": 6,
}
TOO_BIG, TOO_SMALL = (1101, "Parameter too big"), (1102, "Parameter too small")
SYNTAX, RUNTIME = (-285, "TSP Syntax error"), (-286, "TSP Runtime error")


class TspError(Exception):
    """What goes into the error queue."""


@dataclass(frozen=True)
class Attribute:
    default: float
    low: float
    high: float


ATTRIBUTES = {
    "source.func": Attribute(1, 0, 1),
    "source.output": Attribute(0, 0, 2),
    "source.offmode": Attribute(0, 0, 2),
    "source.leveli": Attribute(0.0, -3.0, 3.0),
    "source.levelv": Attribute(0.0, -40.0, 40.0),
    "source.limiti": Attribute(0.1, 1e-8, 3.0),
    "source.limitv": Attribute(20.0, 0.01, 40.0),
    "source.autorangei": Attribute(1, 0, 1),
    "source.autorangev": Attribute(1, 0, 1),
    "measure.autorangei": Attribute(1, 0, 2),
    "measure.autorangev": Attribute(1, 0, 2),
    "measure.nplc": Attribute(1.0, 0.001, 25.0),
    "measure.count": Attribute(1, 1, 60_000),
    "measure.interval": Attribute(0.0, 0.0, 1.0),
    "measure.delay": Attribute(-1.0, -1.0, 1e5),
    "measure.autozero": Attribute(2, 0, 2),
    "measure.rangei": Attribute(0.1, -3.0, 3.0),
    "measure.rangev": Attribute(6.0, -40.0, 40.0),
    "measure.lowrangei": Attribute(1e-7, 1e-7, 3.0),
    "measure.lowrangev": Attribute(0.1, 0.1, 40.0),
    "measure.filter.enable": Attribute(0, 0, 1),
    "measure.filter.count": Attribute(1, 1, 100),
    "measure.filter.type": Attribute(1, 0, 2),
    "measure.rel.enablei": Attribute(0, 0, 1),
    "measure.rel.enablev": Attribute(0, 0, 1),
    "source.rangei": Attribute(1e-7, -3.0, 3.0),
    "source.rangev": Attribute(0.1, -40.0, 40.0),
    "source.lowrangei": Attribute(1e-7, 1e-7, 3.0),
    "source.lowrangev": Attribute(0.1, 0.1, 40.0),
    "source.delay": Attribute(0.0, -1.0, 1e5),
    "source.settling": Attribute(0, 0, 5),
    "source.highc": Attribute(0, 0, 1),
    "source.sink": Attribute(0, 0, 1),
    "source.limitp": Attribute(0.0, 0.0, 240.0),
    "source.offfunc": Attribute(1, 0, 1),
    "source.offlimiti": Attribute(1e-3, 1e-8, 3.0),
    "source.offlimitv": Attribute(40.0, 0.01, 40.0),
    "sense": Attribute(0, 0, 3),
}
RANGE_OF = re.compile(r"(source|measure)\.range([iv])")  # one that is set is no longer chosen by itself
KEPT = {  # settings of the whole instrument
    "format.data": 1.0,
    "format.byteorder": 1.0,
    "format.asciiprecision": 6.0,
    "localnode.prompts": 0.0,
    "localnode.showerrors": 0.0,
    "localnode.autolinefreq": 1.0,
    "localnode.linefreq": 50.0,
    "display.screen": 2.0,
    "display.smua.measure.func": 1.0,
    "display.smub.measure.func": 1.0,
    "display.smua.digits": 5.0,
    "display.smub.digits": 5.0,
    "beeper.enable": 1.0,
    "status.request_enable": 0.0,
    "status.measurement.instrument.smua.condition": 0.0,
    "status.measurement.instrument.smub.condition": 0.0,
    "status.condition": 0.0,
}
SILENT = (
    "display.clear",
    "display.settext",
    "display.setcursor",
    "display.sendkey",
    "beeper.beep",
    "waitcomplete",
    "delay",
    "status.reset",
    "collectgarbage",
)
COMMON = {"*OPC?": "1", "*TST?": "0", "*ESR?": "0", "*STB?": "0", "*SRE?": "0", "*ESE?": "0"}

Value: TypeAlias = "float | str | bool | None"


class Channel:
    """smua or smub. Powered on: the output is off in the NORMAL state, a 0 V source."""

    def __init__(self, cell: WiredCell, clock: Clock, noise: float, seed: int) -> None:
        self.cell, self.clock, self.noise = cell, clock, noise
        self._random = random.Random(seed)
        self.reset()

    def reset(self) -> None:
        self.values = {name: float(attribute.default) for name, attribute in ATTRIBUTES.items()}
        self.wire()

    @property
    def on(self) -> bool:
        return self.values["source.output"] == 1

    def put(self, name: str, value: float) -> None:
        if name not in ATTRIBUTES:
            raise TspError(*RUNTIME)
        if value > ATTRIBUTES[name].high:
            raise TspError(*TOO_BIG)
        if value < ATTRIBUTES[name].low:
            raise TspError(*TOO_SMALL)
        self.values[name] = value
        if ranged := RANGE_OF.fullmatch(name):
            self.values[f"{ranged[1]}.autorange{ranged[2]}"] = 0.0
        self.wire()

    def call(self, name: str) -> list[Value]:
        """What a function of the channel returns."""
        if name == "reset":
            self.reset()
            return []
        if name not in ("measure.iv", "measure.i", "measure.v", "measure.r", "measure.p"):
            raise TspError(*RUNTIME)
        current_A, voltage_V = self.iv()
        ohm = voltage_V / current_A if current_A else OVERFLOW
        fields: dict[str, list[Value]] = {
            "iv": [current_A, voltage_V],
            "i": [current_A],
            "v": [voltage_V],
            "r": [ohm],
            "p": [voltage_V * current_A],
        }
        return fields[name.rpartition(".")[2]]

    def iv(self) -> tuple[float, float]:
        self.clock.sleep(2 * 2 * self.values["measure.nplc"] * LINE_PERIOD_S)
        voltage_V, current_A = self.cell.terminals() if self.on else (0.0, 0.0)
        voltage_V += self.noise * self._random.gauss(0.0, 5e-6 + 5e-6 * abs(voltage_V))
        current_A += self.noise * self._random.gauss(0.0, 50e-12 + 20e-6 * abs(current_A))
        return current_A, voltage_V

    def limited(self) -> bool:
        return self.on and is_limited(self.cell, *self._present())

    def wire(self) -> None:
        self.cell.drive(drive_when_on(*self._present()) if self.on else self._drive_when_off())

    def _present(self) -> tuple[str, float, float]:
        if self.values["source.func"] == 0:
            return "CURR", self.values["source.leveli"], self.values["source.limitv"]
        return "VOLT", self.values["source.levelv"], self.values["source.limiti"]

    def _drive_when_off(self) -> Drive:
        match self.values["source.offmode"]:
            case 2:
                return OpenCircuit()
            case 1:
                return DriveVoltage(0.0, self.values["source.limiti"])
            case _:
                return DriveVoltage(0.0, SMALL_A)


class VirtualKeithley2600B(LineInstrument):
    """Each line is one statement; every line that it was sent is kept in `received`."""

    identity = "Keithley Instruments, Model 2602B, 4388888, 3.0.4"

    def __init__(
        self,
        cells: Mapping[str, WiredCell],
        *,
        clock: Clock | None = None,
        noise: float = 1.0,
        seed: int = 2602,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host, port)
        used = clock or ScaledClock()
        self.channels = {f"smu{name}": Channel(cell, used, noise, seed) for name, cell in cells.items()}
        self.received: list[str] = []
        self.kept = dict(KEPT)
        self.variables: dict[str, Value] = {}
        self._errors: deque[tuple[int, str]] = deque()
        self._one_at_a_time = threading.RLock()

    def answer(self, line: str) -> str | None:
        with self._one_at_a_time:
            self.received.append(line)
            try:
                return self._carry_out(line.strip())
            except TspError as error:
                code, text = error.args
                self._errors.append((code, text))
                return None

    def _carry_out(self, line: str) -> str | None:
        """One line: statements with semicolons between, of which `print` alone answers."""
        if line.startswith("*"):
            return self._common(line.upper())
        told = [reply for part in split_outside(line, ";") if (reply := self._state(part.strip())) is not None]
        return "\n".join(told) if told else None

    def _common(self, command: str) -> str | None:
        """The few commands of IEEE 488.2 beside the language."""
        if command == "*IDN?":
            return self.identity
        if command in COMMON:
            return COMMON[command]
        if command == "*RST":
            self._reset()
        elif command == "*CLS":
            self._errors.clear()
        elif not re.fullmatch(r"\*(WAI|OPC|TRG|SRE \d+|ESE \d+)", command):
            raise TspError(*SYNTAX)
        return None

    def _state(self, statement: str) -> str | None:
        if not statement:
            return None
        if match := re.fullmatch(r"print\s*\((.*)\)", statement):
            terms = split_outside(match[1], ",")
            return "\t".join(self._told(value) for term in terms for value in self._evaluate(term.strip()))
        if match := re.fullmatch(r"(?:local\s+)?([A-Za-z_][\w.]*)\s*=\s*([^=].*)", statement):
            self._assign(match[1], (self._evaluate(match[2].strip()) or [None])[0])
        elif re.fullmatch(r"[A-Za-z_][\w.]*\s*\(.*\)", statement):
            self._evaluate(statement)
        else:
            raise TspError(*SYNTAX)
        return None

    def _assign(self, name: str, value: Value) -> None:
        channel, _, attribute = name.partition(".")
        if channel in self.channels:
            if not isinstance(value, float):
                raise TspError(*RUNTIME)
            self.channels[channel].put(attribute, value)
        elif name in KEPT:
            self.kept[name] = value if isinstance(value, float) else 0.0
        elif not attribute:
            self.variables[name] = value
        else:
            raise TspError(*RUNTIME)

    def _evaluate(self, term: str) -> list[Value]:
        """A number, a text, a constant, a setting, a variable or a call."""
        if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", term):
            return [float(term)]
        if re.fullmatch(r"\"[^\"]*\"|'[^']*'", term):
            return [term[1:-1]]
        if match := re.fullmatch(r"([A-Za-z_][\w.]*)\s*\((.*)\)", term):
            return self._call(match[1], match[2].strip())
        if not re.fullmatch(r"[A-Za-z_][\w.]*", term):
            raise TspError(*SYNTAX)
        return [self._named(term)]

    def _call(self, name: str, arguments: str) -> list[Value]:
        channel, _, function = name.partition(".")
        if channel in self.channels:
            return self.channels[channel].call(function)
        if name in SILENT:
            return []
        calls: dict[str, Callable[[], list[Value]]] = {
            "reset": self._reset,
            "localnode.reset": self._reset,
            "errorqueue.next": self._next_error,
            "errorqueue.clear": self._clear_errors,
            "tostring": lambda: [self._told(self._evaluate(arguments)[0])],
        }
        if name not in calls:
            raise TspError(*RUNTIME)
        return calls[name]()

    def _named(self, name: str) -> Value:
        channel, _, attribute = name.partition(".")
        constant = name.rpartition(".")[2]
        told: dict[str, Value] = {
            "true": True,
            "false": False,
            "nil": None,
            "errorqueue.count": float(len(self._errors)),
            "localnode.model": self.identity.split(",")[1].split()[-1],
            "localnode.serialno": self.identity.split(",")[2].strip(),
            "localnode.revision": self.identity.split(",")[3].strip(),
            "localnode.description": self.identity.rpartition(",")[0],
        }
        if name in told:
            return told[name]
        if name in self.kept:
            return self.kept[name]
        if name in self.variables:
            return self.variables[name]
        if "." in name and constant in CONSTANTS:
            return float(CONSTANTS[constant])
        if channel in self.channels:
            if attribute == "source.compliance":
                return self.channels[channel].limited()
            return self.channels[channel].values.get(attribute)
        if attribute:
            raise TspError(*RUNTIME)  # an index into nil
        return None

    def _reset(self) -> list[Value]:
        for channel in self.channels.values():
            channel.reset()
        self.kept = dict(KEPT)
        return []

    def _clear_errors(self) -> list[Value]:
        self._errors.clear()
        return []

    def _next_error(self) -> list[Value]:
        code, text = self._errors.popleft() if self._errors else (0, "Queue Is Empty")
        return [float(code), text, 20.0 if code else 0.0, 1.0]

    def _told(self, value: Value) -> str:
        match value:
            case None:
                return "nil"
            case bool():
                return "true" if value else "false"
            case float():
                return f"{value:.{int(self.kept['format.asciiprecision']) - 1}e}"
            case _:
                return str(value)
