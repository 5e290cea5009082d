"""A virtual PalmSens potentiostat: the communication protocol, and an interpreter for the MethodSCRIPT it is sent.

Written from the MethodSCRIPT manual 1.8, PalmSens' published scripts and communication protocols; see
docs/instruments/palmsens.md. What these leave open is marked here.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import operator
import random
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.server import VirtualInstrument
from drivers.simulated.wiring import DriveCurrent, DriveVoltage, OpenCircuit, WiredCell

SCALES = dict(zip("afpnum kMGTPEi", [10.0 ** (3 * power) for power in range(-6, 7)] + [1.0], strict=True))
COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
LOOPS = {"meas_loop_lsv": "0000", "meas_loop_cv": "0005", "meas_loop_ca": "0007", "meas_loop_cp": "000A",
         "meas_loop_ocp": "000B", "meas_loop_eis": "000D", "meas_loop_geis": "000E"}  # fmt: skip
ARGUMENTS = {"var": 1, "store_var": 3, "copy_var": 2, "add_var": 2, "sub_var": 2, "mul_var": 2, "div_var": 2,
             "set_pgstat_chan": 1, "set_pgstat_mode": 1, "set_max_bandwidth": 1, "set_range_minmax": 3, "set_range": 2,
             "set_autoranging": 3, "set_e": 1, "set_i": 1, "cell_on": 0, "cell_off": 0, "wait": 1, "timer_start": 0,
             "timer_get": 1, "pck_start": 0, "pck_add": 1, "pck_end": 0, "if": 3, "endif": 0, "loop": 3, "endloop": 0,
             "breakloop": 0, "abort": 0, "on_finished:": 0, "meas_loop_lsv": 6, "meas_loop_cv": 7, "meas_loop_ca": 5,
             "meas_loop_cp": 5, "meas_loop_ocp": 3, "meas_loop_eis": 8, "meas_loop_geis": 8}  # fmt: skip
WITHOUT_GALVANOSTAT = ("espico", "senswb")
MODES_V = {2: (-1.25, 2.0), 3: (-1.7, 2.0), 4: (-1.7, 2.0)}  # of the Pico
HIGHEST_V = {"espico": 2.0, "senswb": 2.0, "es4_lr": 3.0, "mes4lr": 3.0, "nexus1": 10.0}
HIGHEST_A = {"espico": 5e-3, "senswb": 5e-3, "es4_lr": 10e-3, "mes4lr": 10e-3, "nexus1": 1.0}
DEAF_S = 0.1  # after an error


class Trouble(Exception):
    """An error code, at a line of the script."""

    def __init__(self, code: int, line: int = 0, column: int = 0) -> None:
        self.code, self.line, self.column = code, line, column


class CalledOff(Exception):
    """By `Z`, or by the script's own `abort`."""


class Broken(Exception):
    """`breakloop`."""


@dataclass
class Line:
    """One line of a script, with the block that it opens."""

    number: int
    words: list[str]
    block: list[Line] = field(default_factory=list)


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


class VirtualPalmSens(VirtualInstrument):
    """One device, whoever is connected: its script goes on when a client leaves, and talks to the next one.

    `cell_is_on` is the truth. `fail_next(code)` makes the running script end with a run-time error at its next point,
    the cell staying as it is. `overload` flags the currents of packages. `received` has each line that came.
    """

    resource = "socket://{host}:{port}"

    def __init__(
        self,
        cell: WiredCell,
        clock: Clock | None = None,
        *,
        device: str = "es4_hr",
        noise: float = 1e-5,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host, port)
        self.cell, self.clock, self.device = cell, clock or ScaledClock(), device
        self.noise, self.random = noise, random.Random(seed)
        self.cell_is_on = False
        self.overload = False
        self.received: list[str] = []
        self._failure: int | None = None
        self._script: list[str] | None = None
        self._deaf_until = 0.0
        self._run: Run | None = None
        self._client: socket.socket | None = None
        self._lock = threading.RLock()

    def serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._client = connection
        pending = b""
        while chunk := connection.recv(4096):
            pending += chunk
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                self._heard(line.decode("ascii", "replace"))

    def stop(self) -> None:
        if self._run is not None:
            self._run.called_off = True
        super().stop()

    def fail_next(self, code: int) -> None:
        self._failure = code

    def say(self, text: str) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._client is not None:
                self._client.sendall(text.encode("ascii") + b"\n")
            if "!" in text:
                self._deaf_until = self.clock.now() + DEAF_S

    def _heard(self, line: str) -> None:
        with self._lock:
            self.received.append(line)
            if self.clock.now() < self._deaf_until:
                self._script = None
            elif self._script is not None:
                if line:
                    self._script.append(line)
                else:
                    script, self._script = self._script, None
                    self._start(script)
            else:
                self._command(line)

    def _command(self, line: str) -> None:
        running = self._run is not None and self._run.alive
        match line[:1]:
            case "":
                return
            case "t":
                self.say(f"t{self.device}1600#Sep 30 2025 12:00:00")
                self.say("R*")
            case "i":
                self.say("iSIM00001")
            case "Z" if running and self._run is not None:
                self.say("Z")
                self._run.called_off = True
            case "Z":
                self.say("Z!0006")
            case "e" if running:
                self.say("e!0006")  # which code a second script gives is not stated
            case "e":
                self._script = []
            case letter:
                self.say(f"{letter}!0003")

    def _start(self, lines: Sequence[str]) -> None:
        try:
            body, finish = parse(lines)
        except Trouble as error:
            self.say(f"e!{error.code:04X}: Line {error.line}, Col {error.column}")
            return
        self.say("e")
        self._run = Run(self, body, finish)
        threading.Thread(target=self._run, daemon=True, name="MethodSCRIPT").start()

    def failing(self) -> int | None:
        code, self._failure = self._failure, None
        return code

    # --- the potentiostat

    def drive(self, *, on: bool, galvanostat: bool, volts: float, amperes: float) -> None:
        highest_V, highest_A = HIGHEST_V.get(self.device, 6.0), HIGHEST_A.get(self.device, 0.1)
        with self._lock:
            self.cell_is_on = on
            if not on:
                self.cell.drive(OpenCircuit())
            elif galvanostat:
                self.cell.drive(DriveCurrent(amperes, -highest_V, highest_V))
            else:
                self.cell.drive(DriveVoltage(volts, highest_A))

    def measured(self) -> tuple[float, float]:
        volts, amperes = self.cell.terminals()
        noise = self.random.gauss(0, self.noise)
        return volts + noise, amperes * (1 + noise)


class Run:
    """One script as it is run, in a thread of its own."""

    def __init__(self, device: VirtualPalmSens, body: Sequence[Line], finish: Sequence[Line]) -> None:
        self.device, self.body, self.finish = device, body, finish
        self.alive, self.called_off = True, False
        self.variables: dict[str, Value] = {}
        self.mode, self.volts, self.amperes = 2, 0.0, 0.0
        self.package: list[str] | None = None
        self.timer_s = 0.0

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
            case "cell_on", []:
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
                if COMPARE[comparison](self.number(left), self.number(right)):
                    self.block(line.block)
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
        while (left := until - self.device.clock.now()) > 0 and not self.called_off:
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
        with contextlib.suppress(Broken):
            for _ in self.points(verb, arguments):
                if (code := self.device.failing()) is not None:
                    raise Trouble(code)
                if self.called_off:
                    raise CalledOff
                self.block(line.block)
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
        for start, end in itertools.pairwise(turns):
            for index in range(round(abs(end - start) / step_V) + 1):
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


def parse(lines: Sequence[str]) -> tuple[list[Line], list[Line]]:
    """The script as blocks, and what stands under `on_finished:`. Raises `Trouble` as the device finds it."""
    body: list[Line] = []
    finish: list[Line] = []
    stack: list[tuple[str, list[Line]]] = [("", body)]
    for number, text in enumerate(lines, start=1):
        words = text.split("#")[0].split()
        if not words:
            continue
        verb = words[0]
        if verb not in ARGUMENTS:
            raise Trouble(0x4001, number, 1)
        for word in words[1:]:
            if re.search(r"\d\.", word):
                raise Trouble(0x4039, number, text.index(word) + 1)
        optional = sum("(" in word for word in words)
        if len(words) - 1 - optional != ARGUMENTS[verb]:
            raise Trouble(0x4018, number, len(text) + 1)
        if verb == "on_finished:":
            stack = [("", finish)]
        elif verb in ("endloop", "endif"):
            if stack.pop()[0] != verb:
                raise Trouble(0x400C, number, 1)
        else:
            line = Line(number, words)
            stack[-1][1].append(line)
            if verb in ("if", "loop") or verb in LOOPS:
                stack.append(("endif" if verb == "if" else "endloop", line.block))
    if len(stack) != 1:
        raise Trouble(0x4018, len(lines), 1)
    return body, finish
