"""A virtual Keithley 2602B SourceMeter: two channels, each wired to a cell, and what they need of the TSP language.

Written from the vendor's manual 2600BS-901-01 Rev. F (section 9) as quoted by labmcp-keithley-smu, and from QCoDeS'
instrument description Keithley_2600. Of the language there are assignments, calls and `print`; no loops, no functions,
no scripts.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Mapping

from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.keithley2600b_channel import ATTRIBUTES, RUNTIME, SYNTAX, Channel, TspError, Value
from drivers.simulated.scpi import split_outside
from drivers.simulated.server import LineInstrument
from drivers.simulated.wiring import WiredCell

NAME = r"[A-Za-z_][\w.]*"
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
    "REAL32": 2,
    "REAL64": 3,
    "BIGENDIAN": 0,
    "LITTLEENDIAN": 1,
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
FUNCTIONS = ("reset", "localnode.reset", "errorqueue.next", "errorqueue.clear", "tostring")
CHANNEL_FUNCTIONS = (
    "reset",
    *(f"measure.{function}" for function in ("iv", "i", "v", "r", "p")),
    *(f"nvbuffer{number}.clear" for number in (1, 2)),
)
COMMON = {"*OPC?": "1", "*TST?": "0", "*ESR?": "0", "*STB?": "0", "*SRE?": "0", "*ESE?": "0"}


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
        self._scripts: dict[str, list[str]] = {}
        self._loading: list[str] | None = None
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
            except (ValueError, KeyError, TypeError):  # what was given is not what was wanted
                self._errors.append(RUNTIME)
            return None

    def _carry_out(self, line: str) -> str | None:
        """One line: statements with semicolons between, of which `print` alone answers."""
        if self._loading is not None or line.startswith(("loadscript", "loadandrunscript")):
            return self._load(line)
        if line.startswith("*"):
            return self._common(line.upper())
        told = [reply for part in split_outside(line, ";") if (reply := self._state(part.strip())) is not None]
        return "\n".join(told) if told else None

    def _load(self, line: str) -> str | None:
        """Lines between `loadscript <name>` and `endscript` are kept until `<name>.run()` or `<name>()`."""
        if self._loading is None:
            self._loading = self._scripts[line.partition(" ")[2].strip().removesuffix("()")] = []
        elif line == "endscript":
            self._loading = None
        else:
            self._loading.append(line)
        return None

    def _run(self, name: str) -> str | None:
        told = [reply for line in self._scripts[name] if (reply := self._carry_out(line.strip())) is not None]
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
        statement = re.sub(r"\b_G\.", "", statement)  # the table of all globals
        if (match := re.fullmatch(r"(\w+)(?:\.run)?\(\)", statement)) and match[1] in self._scripts:
            return self._run(match[1])
        if match := re.fullmatch(r"print\s*\((.*)\)", statement):
            terms = split_outside(match[1], ",")
            return "\t".join(self._told(value) for term in terms for value in self._evaluate(term.strip()))
        if match := re.fullmatch(r"printbuffer\s*\((.*)\)", statement):
            return self._printed([term.strip() for term in match[1].split(",")])
        if match := re.fullmatch(
            r"(?:local\s+)?([A-Za-z_][\w.]*(?:\s*,\s*[A-Za-z_][\w.]*)*)\s*=\s*([^=].*)", statement
        ):
            names = [name.strip() for name in match[1].split(",")]
            values = self._evaluate(match[2].strip())
            for name, value in zip(names, [*values, *[None] * len(names)], strict=False):
                self._assign(name, value)
        elif re.fullmatch(r"[A-Za-z_][\w.]*\s*\(.*\)", statement):
            self._evaluate(statement)
        else:
            raise TspError(*SYNTAX)
        return None

    def _printed(self, terms: list[str]) -> str:
        """Of buffers, from the first index to the last: each one's readings in turn, with commas between."""
        first, last = (int(number) for term in terms[:2] if isinstance(number := self._evaluate(term)[0], float))
        columns = []
        for term in terms[2:]:
            channel, _, buffer = term.removesuffix(".readings").partition(".")
            if channel not in self.channels or buffer not in self.channels[channel].buffers:
                raise TspError(*RUNTIME)
            columns.append(self.channels[channel].buffers[buffer][first - 1 : last])
        return ", ".join(self._told(value) for row in zip(*columns, strict=False) for value in row)

    def _assign(self, name: str, value: Value) -> None:
        channel, _, attribute = name.partition(".")
        if channel in self.channels or name in KEPT:
            if not isinstance(value, float | bool):
                raise TspError(*RUNTIME)
            if name in KEPT:
                self.kept[name] = float(value)
            else:
                self.channels[channel].put(attribute, float(value))
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
            buffers = [term.strip().rpartition(".")[2] for term in arguments.split(",") if "nvbuffer" in term]
            return self.channels[channel].call(function, buffers)
        if name in SILENT:
            return []
        calls: dict[str, Callable[[], list[Value]]] = {
            "next": lambda: self._next_of(*split_outside(arguments, ",")),
            "type": lambda: [self._type_of(arguments)],
            "getmetatable": lambda: [None],
            "reset": self._reset,
            "localnode.reset": self._reset,
            "errorqueue.next": self._next_error,
            "errorqueue.clear": self._clear_errors,
            "tostring": lambda: [self._told(self._evaluate(arguments)[0])],
        }
        if name not in calls:
            raise TspError(*RUNTIME)
        return calls[name]()

    def _names(self) -> list[str]:
        """All that there is to name: settings, constants and functions, the tables they are in being left out."""
        channels = [
            f"{channel}.{name}" for channel in self.channels for name in (*ATTRIBUTES, *CONSTANTS, *CHANNEL_FUNCTIONS)
        ]
        return [*channels, *KEPT, *SILENT, *FUNCTIONS, "errorqueue.count", "localnode.model", "localnode.serialno"]

    def _next_of(self, table: str, key: str = "nil") -> list[Value]:
        """The entry of a table after `key`, as programs ask that look for what there is; nil at its end."""
        path = "" if table.strip() == "_G" else f"{table.strip()}."
        entries = list(
            dict.fromkeys(name[len(path) :].split(".")[0] for name in self._names() if name.startswith(path))
        )
        if not entries:
            raise TspError(*RUNTIME)
        after = self._evaluate(key.strip())[0]
        index = entries.index(after) + 1 if isinstance(after, str) else 0
        if index == len(entries):
            return [None]
        name = f"{path}{entries[index]}"
        kind = self._type_of(name)
        return [entries[index], f"{kind}: 0x1" if kind in ("table", "function") else self._named(name)]

    def _type_of(self, name: str) -> str:
        if name == "_G" or any(known.startswith(f"{name}.") for known in self._names()):
            return "table"
        if name in (*SILENT, *FUNCTIONS) or name.partition(".")[2] in CHANNEL_FUNCTIONS:
            return "function"
        value = self._named(name)
        return {str: "string", bool: "boolean", float: "number"}.get(type(value), "nil")

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
            if attribute in ("nvbuffer1.n", "nvbuffer2.n"):
                return float(len(self.channels[channel].buffers[attribute[:-2]]))
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
