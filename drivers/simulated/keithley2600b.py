"""A virtual Keithley 2602B SourceMeter: two channels, each wired to a cell, and what they need of the TSP language.

Written from the vendor's manual 2600BS-901-01 Rev. F (section 9) as quoted by labmcp-keithley-smu, and from QCoDeS'
instrument description Keithley_2600.
"""

from __future__ import annotations

import random
import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.scpi import LINE_PERIOD_S
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
    "sense": Attribute(0, 0, 3),
}


class Channel:
    """smua or smub. Powered on: the output is off in the NORMAL state, a 0 V source."""

    def __init__(self, cell: WiredCell, clock: Clock, noise: float, seed: int) -> None:
        self.cell, self.clock, self.noise = cell, clock, noise
        self._random = random.Random(seed)
        self.reset()

    def reset(self) -> None:
        self.values = {name: attribute.default for name, attribute in ATTRIBUTES.items()}
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
        self.wire()

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
        self.precision = 6
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
        if line.upper() == "*IDN?":
            return self.identity
        if line == "errorqueue.clear()" or line.upper() == "*CLS":
            self._errors.clear()
        elif line in ("reset()", "*RST"):
            for channel in self.channels.values():
                channel.reset()
        elif match := re.fullmatch(r"(smu[ab])\.reset\(\)", line):
            self._channel(match[1]).reset()
        elif match := re.fullmatch(r"print\((.*)\)", line):
            return self._printed(match[1])
        elif match := re.fullmatch(r"([\w.]+)\s*=\s*([\w.+-]+)", line):
            self._assign(match[1], match[2])
        else:
            raise TspError(*SYNTAX)
        return None

    def _assign(self, name: str, text: str) -> None:
        value = self._value(text)
        if name == "format.asciiprecision":
            self.precision = int(value)
            return
        channel, _, attribute = name.partition(".")
        self._channel(channel).put(attribute, value)

    def _printed(self, expression: str) -> str:
        if expression == "errorqueue.count":
            return self._number(len(self._errors))
        if expression == "errorqueue.next()":
            code, text = self._errors.popleft() if self._errors else (0, "Queue Is Empty")
            return "\t".join((self._number(code), text, self._number(20 if code else 0), self._number(1)))
        name, _, attribute = expression.partition(".")
        channel = self._channel(name)
        if attribute in ("measure.iv()", "measure.i()", "measure.v()"):
            current_A, voltage_V = channel.iv()
            fields = {"iv": (current_A, voltage_V), "i": (current_A,), "v": (voltage_V,)}
            return "\t".join(map(self._number, fields[attribute[8:-2]]))
        if attribute == "source.compliance":
            return "true" if channel.limited() else "false"
        if attribute not in channel.values:
            return "nil"
        return self._number(channel.values[attribute])

    def _channel(self, name: str) -> Channel:
        if name not in self.channels:
            raise TspError(*RUNTIME)
        return self.channels[name]

    def _value(self, text: str) -> float:
        constant = text.rpartition(".")[2]
        if constant in CONSTANTS:
            return CONSTANTS[constant]
        try:
            return float(text)
        except ValueError:
            raise TspError(*SYNTAX) from None

    def _number(self, value: float) -> str:
        return f"{value:.{self.precision - 1}e}"
