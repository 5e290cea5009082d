"""An interpreter for MethodSCRIPT, as far as a virtual PalmSens device needs it.

Written from the MethodSCRIPT manual 1.8 and PalmSens' published scripts; see docs/instruments/palmsens.md. What these
leave open is marked here.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import operator
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.simulated.methodscript_parser import LOOPS, Line, Trouble

if TYPE_CHECKING:
    from drivers.simulated.palmsens import VirtualPalmSens

SCALES = dict(zip("afpnum kMGTPEi", [10.0 ** (3 * power) for power in range(-6, 7)] + [1.0], strict=True))
COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
WITHOUT_GALVANOSTAT = ("espico", "senswb")
MODES_V = {2: (-1.25, 2.0), 3: (-1.7, 2.0), 4: (-1.7, 2.0)}  # of the Pico
HIGHEST_V = {"espico": 2.0, "senswb": 2.0, "es4_lr": 3.0, "mes4lr": 3.0, "nexus1": 10.0}
HIGHEST_A = {"espico": 5e-3, "senswb": 5e-3, "es4_lr": 10e-3, "mes4lr": 10e-3, "nexus1": 1.0}


class CalledOff(Exception):
    """By `Z`, or by the script's own `abort`."""


class Broken(Exception):
    """`breakloop`."""


@dataclass(frozen=True)
class Value:
    number: float
    kind: str
    metadata: str = ""
    whole: bool = False


def package_value(value: Value) -> str:
    """Two letters, seven hexadecimal digits, a prefix, and metadata."""
    return f"{value.kind}{digits(value.number, value.whole)}{value.metadata}"


def digits(number: float, whole: bool = False) -> str:
    if math.isnan(number):
        return "     nan"
    if whole:
        return f"{round(number) + 0x8000000:07X}i"
    for prefix in "afpnum kMGTPE":
        scaled = round(number / SCALES[prefix])
        if abs(scaled) < 0x8000000 and (scaled or number == 0):
            return f"{scaled + 0x8000000:07X}{prefix if scaled else ' '}"
    return "     nan"


class Run:
    """One script as it is run, in a thread of its own."""

    def __init__(self, device: VirtualPalmSens, body: Sequence[Line], finish: Sequence[Line]) -> None:
        self.device, self.body, self.finish = device, body, finish
        self.alive, self.called_off = True, False
        self.variables: dict[str, Value] = {}
        self.mode, self.volts, self.amperes = 2, 0.0, 0.0
        self.package: list[str] | None = None
        self.timer_s = 0.0
        self.interval_s, self.interval_from_s = 0.0, 0.0
        self.loop_ended = False
        self.going = threading.Event()
        self.going.set()

    def __call__(self) -> None:
        try:
            with contextlib.suppress(CalledOff, Broken):
                self.block(self.body)
            self.called_off = False
            self.block(self.finish)
        except Trouble as error:
            self.alive = False
            self.device.say(f"!{error.code:04X}: Line {error.line}")
        else:
            self.alive = False
            self.device.say("")

    def told(self, command: str) -> None:
        """To end the measurement loop (`Y`), to halt (`h`) or to go on (`H`)."""
        match command:
            case "Y":
                self.loop_ended = True
            case "h":
                self.going.clear()
            case "H":
                self.going.set()

    def block(self, lines: Sequence[Line]) -> None:
        for line in lines:
            if self.called_off:
                raise CalledOff
            try:
                self.line(line)
            except Trouble as error:
                raise Trouble(error.code, error.line or line.number) from None

    def line(self, line: Line) -> None:
        verb, *arguments = line.words
        match verb, arguments:
            case "var", [name]:
                if name in self.variables:
                    raise Trouble(0x4026)
                self.variables[name] = Value(0.0, "aa")
            case "store_var", [name, literal, kind]:
                self.store(name, Value(self.number(literal), kind, whole=literal.endswith("i")))
            case "copy_var", [source, name]:
                self.store(name, self.variable(source))
            case (("add_var" | "sub_var" | "mul_var" | "div_var"), [name, other]):
                self.calculate(verb, name, self.number(other))
            case "set_pgstat_mode", [mode]:
                self.set_mode(int(mode))
            case "set_e", [volts]:
                self.volts = self.number(volts)
                self.drive()
            case "set_i", [amperes]:
                self.amperes = self.number(amperes)
                self.drive()
            case "cell_on", _:
                self.drive(True)
            case "cell_off", []:
                self.drive(False)
            case "wait", [seconds]:
                self.sleep(self.number(seconds))
            case "timer_start", []:
                self.timer_s = self.device.clock.now()
            case "timer_get", [name]:
                self.store(name, Value(self.device.clock.now() - self.timer_s, "eb"))
            case "if", [left, comparison, right]:
                holds = COMPARE[comparison](self.number(left), self.number(right))
                self.block(line.block if holds else line.otherwise)
            case "send_string", [text]:
                self.device.say("T" + text)
            case "meas", [_, _, kind] if kind not in ("ab", "ba"):
                raise Trouble(0x001B)
            case "meas", [duration, name, kind]:
                self.sleep(self.number(duration))
                volts_now, amperes_now = self.device.measured()
                self.store(name, Value(amperes_now if kind == "ba" else volts_now, kind, ",10,204"))
            case "set_int", [duration]:
                self.interval_s, self.interval_from_s = self.number(duration), self.device.clock.now()
            case "await_int", []:
                self.interval_from_s += self.interval_s
                self.sleep(self.interval_from_s - self.device.clock.now())
            case "loop", [left, comparison, right]:
                self.loop(line, left, comparison, right)
            case "breakloop", []:
                raise Broken
            case "abort", []:
                raise CalledOff
            case (("pck_start" | "pck_add" | "pck_end"), _):
                self.pack(verb, arguments)
            case _ if verb in LOOPS:
                self.measure(line, verb, arguments)

    # --- numbers

    def variable(self, name: str) -> Value:
        if name not in self.variables:
            raise Trouble(0x420B)
        return self.variables[name]

    def number(self, word: str) -> float:
        if (found := re.fullmatch(r"([-+]?\d+)([afpnumkMGTPEi]?)", word)) is not None:
            return int(found[1]) * SCALES[found[2] or " "]
        return self.variable(word).number

    def store(self, name: str, value: Value) -> None:
        self.variable(name)
        self.variables[name] = value

    def calculate(self, verb: str, name: str, other: float) -> None:
        value = self.variable(name)
        done = {"add_var": operator.add, "sub_var": operator.sub, "mul_var": operator.mul, "div_var": operator.truediv}
        self.store(name, Value(done[verb](value.number, other), value.kind, whole=value.whole))

    def pack(self, verb: str, arguments: Sequence[str]) -> None:
        if (self.package is None) != (verb == "pck_start"):
            raise Trouble(0x401B)
        if verb == "pck_start":
            self.package = []
        elif verb == "pck_add" and self.package is not None:
            self.package.append(package_value(self.variable(arguments[0])))
        elif self.package is not None:
            self.device.say("P" + ";".join(self.package))
            self.package = None

    # --- the cell

    def set_mode(self, mode: int) -> None:
        pico = self.device.device in WITHOUT_GALVANOSTAT
        if mode not in ((2, 3, 4) if pico else (2, 3, 4, 6)):
            raise Trouble(0x0021)
        if self.device.cell_is_on:
            raise Trouble(0x4028)
        self.mode = mode

    def drive(self, on: bool | None = None) -> None:
        device = self.device
        highest_V = HIGHEST_V.get(device.device, 6.0)
        low_V, high_V = MODES_V[self.mode] if device.device in WITHOUT_GALVANOSTAT else (-highest_V, highest_V)
        if not low_V <= self.volts <= high_V:
            raise Trouble(0x000F)
        if on is None and not device.cell_is_on:
            return
        device.drive(on=on is not False, galvanostat=self.mode == 6, volts=self.volts, amperes=self.amperes)

    def sleep(self, seconds: float) -> None:
        until = self.device.clock.now() + seconds
        while not self.called_off and not self.loop_ended:
            if not self.going.wait(0.05):
                continue  # halted
            if (left := until - self.device.clock.now()) <= 0:
                return
            self.device.clock.sleep(min(left, 0.05 * self.device.clock.speed))

    # --- loops

    def loop(self, line: Line, left: str, comparison: str, right: str) -> None:
        self.device.say("L")
        with contextlib.suppress(Broken):
            while COMPARE[comparison](self.number(left), self.number(right)):
                self.block(line.block)
        self.device.say("+")

    def measure(self, line: Line, verb: str, arguments: Sequence[str]) -> None:
        if verb == "meas_loop_ocp" and self.device.cell_is_on:
            raise Trouble(0x4028)
        if verb != "meas_loop_ocp" and not self.device.cell_is_on:
            raise Trouble(0x4027)
        if (self.mode == 6) != (verb in ("meas_loop_cp", "meas_loop_geis")) and verb != "meas_loop_ocp":
            raise Trouble(0x0023)
        self.device.say("M" + LOOPS[verb])
        self.loop_ended = False
        with contextlib.suppress(Broken):
            for _ in self.points(verb, arguments):
                if (code := self.device.failing()) is not None:
                    raise Trouble(code)
                if self.called_off:
                    raise CalledOff
                if self.loop_ended:
                    break
                self.block(line.block)
        self.loop_ended = False
        self.device.say("*")

    def points(self, verb: str, arguments: Sequence[str]) -> Iterator[None]:
        """Each point of a loop: its values are in the script's variables."""
        names = arguments[: {"meas_loop_ocp": 1, "meas_loop_eis": 3, "meas_loop_geis": 3}.get(verb, 2)]
        numbers = [self.number(word) for word in arguments[len(names) :] if not word.startswith("nscans")]
        match verb:
            case "meas_loop_ocp":
                yield from self.timed(names, numbers[0], numbers[1], current=False)
            case "meas_loop_ca":
                self.volts = numbers[0]
                self.drive()
                yield from self.timed(names, numbers[1], numbers[2])
            case "meas_loop_cp":
                self.amperes = numbers[0]
                self.drive()
                yield from self.timed(names, numbers[1], numbers[2])
            case "meas_loop_lsv":
                yield from self.staircase(names, numbers[:2], *numbers[2:])
            case "meas_loop_cv":
                scans = next((int(word[7:-1]) for word in arguments if word.startswith("nscans")), 1)
                start, first, second, step, rate = numbers
                for scan in range(scans):
                    if scans > 1:
                        self.device.say(f"C{scan:04d}")
                    yield from self.staircase(names, [start, first, second, start], step, rate)
                    if scans > 1:
                        self.device.say("-")
            case _:
                yield from self.spectrum(names, *numbers, galvanostatic=verb == "meas_loop_geis")

    def timed(self, names: Sequence[str], interval_s: float, run_s: float, *, current: bool = True) -> Iterator[None]:
        begin = self.device.clock.now()
        for number in range(1, max(1, round(run_s / interval_s)) + 1):
            self.sleep(begin + number * interval_s - self.device.clock.now())
            self.sample(names, current)
            yield

    def staircase(self, names: Sequence[str], turns: Sequence[float], step_V: float, rate: float) -> Iterator[None]:
        begin, number = self.device.clock.now(), 0
        for leg, (start, end) in enumerate(itertools.pairwise(turns)):
            for index in range(1 if leg else 0, round(abs(end - start) / step_V) + 1):  # each vertex once
                self.volts = start + math.copysign(index * step_V, end - start)
                self.drive()
                number += 1
                self.sleep(begin + number * step_V / rate - self.device.clock.now())
                self.sample(names, True)
                yield

    def sample(self, names: Sequence[str], current: bool) -> None:
        volts, amperes = self.device.measured()
        if self.mode == 6 or not current:
            self.store(names[0], Value(volts, "ab", ",10,204"))
        else:
            self.store(names[0], Value(self.volts, "da"))
        if current:
            status = 2 if self.device.overload else 0
            self.store(names[1], Value(amperes, "ba", f",1{status:X},224"))

    def spectrum(
        self,
        names: Sequence[str],
        amplitude: float,
        first_Hz: float,
        last_Hz: float,
        count: float,
        bias: float,
        *,
        galvanostatic: bool,
    ) -> Iterator[None]:
        if galvanostatic:
            self.amperes = bias
        else:
            self.volts = bias
        self.drive()
        for index in range(int(count)):
            frequency = first_Hz * (last_Hz / first_Hz) ** (index / max(1.0, count - 1))
            self.sleep(2 / frequency + 0.01)
            z = self.device.cell.impedance(frequency) * (1 + self.device.random.gauss(0, self.device.noise))
            status = 2 if self.device.overload else 0
            self.store(names[0], Value(frequency, "dc"))
            self.store(names[1], Value(z.real, "cc", f",1{status:X},224"))
            self.store(names[2], Value(z.imag, "cd", f",1{status:X},204"))
            yield
