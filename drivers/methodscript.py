"""MethodSCRIPT, the language of PalmSens potentiostats: numbers, packages, a script's output, errors.

Pure text in and out. Sources: MethodSCRIPT manual 1.8 (chapters 3 to 6, 11, appendix A), PalmSens.
"""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass

from drivers.interface import NoReading

PREFIXES = {
    "a": 1e-18, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, " ": 1.0, "i": 1.0,
    "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
}  # fmt: skip
OFFSET = 0x8000000
NOT_A_NUMBER = "     nan"
LONGEST_LINE = 255
TECHNIQUES = {
    "0000": "LSV", "0005": "CV", "0007": "CA", "000A": "CP", "000B": "OCP", "000D": "EIS", "000E": "GEIS",
}  # fmt: skip

ERRORS = {
    0x0003: "unknown command",
    0x0006: "wrong mode, or no script is running",
    0x0007: "an argument has an unexpected value",
    0x0008: "the command is too long",
    0x000F: "the potential is not valid",
    0x001B: "not supported by this device",
    0x0021: "this potentiostat mode is not supported",
    0x0023: "invalid in the chosen potentiostat mode",
    0x0032: "critical overload: the measurement was stopped",
    0x0058: "timing error during a fast measurement",
    0x005A: "the timing asked for cannot be met",
    0x4001: "unknown script command",
    0x4004: "unexpected character",
    0x4005: "the script is too large",
    0x4018: "the script ended unexpectedly",
    0x401B: "package commands in the wrong order",
    0x4026: "the variable exists already",
    0x4027: "this needs the cell switched on",
    0x4028: "this needs the cell switched off",
    0x4039: "a number is not well formed",
    0x420B: "a variable is not declared",
    0x7FFF: "fatal error: the device must be reset",
}

_ERROR = re.compile(r"([A-Za-z]?)!([0-9A-F]{4})(?:: Line (\d+)(?:, Col (\d+))?)?")
_VARIABLE = re.compile(r"([a-j][a-z])([0-9A-F]{7}[afpnum kMGTPEi]| {5}nan)((?:,[0-9A-F]{2,3})*)")


class Status(enum.IntFlag):
    """Metadata 1 of a variable."""

    OK = 0
    TIMING_NOT_MET = 1
    OVERLOAD = 2
    UNDERLOAD = 4
    OVERLOAD_WARNING = 8


@dataclass(frozen=True, slots=True)
class Variable:
    """One value of a package: `kind` is its two letters (ab, ba, cc …), `range` the code of the range in use."""

    kind: str
    value: float | NoReading
    status: Status = Status.OK
    range: int | None = None


@dataclass(frozen=True, slots=True)
class ScriptError:
    """An error that the device reports, at a line of the script where it says so."""

    code: int
    line: int | None
    command: str = ""  # the letter of the command it answers; none for a run-time error

    def __str__(self) -> str:
        where = f" at line {self.line} of the script" if self.line else ""
        return f"error {self.code:04X}{where}: {ERRORS.get(self.code, 'see appendix A of the MethodSCRIPT manual')}"


def literal(value: float) -> str:
    """A number as a script has it: a whole number and a prefix, never a decimal point. '-500m', '4200m', '1u'.

    Raises `ValueError` for what is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is no number for a script")
    if value == 0:
        return "0"
    for prefix in " kMGmunpfa":
        whole = round(value / PREFIXES[prefix])
        if 0 < abs(whole) < OFFSET and math.isclose(whole * PREFIXES[prefix], value, rel_tol=1e-9):
            return f"{whole}{prefix.strip()}"
    prefix = next(each for each in "afpnum kMGTPE" if abs(value) / PREFIXES[each] < OFFSET)
    return f"{round(value / PREFIXES[prefix])}{prefix.strip()}"


def read_error(line: str) -> ScriptError | None:
    """The error that a line states; None where it states none."""
    if (found := _ERROR.fullmatch(line)) is None:
        return None
    return ScriptError(int(found[2], 16), int(found[3]) if found[3] else None, found[1])


def read_package(line: str) -> tuple[Variable, ...]:
    """The values of a line 'P…'. Raises `ValueError` where it is not well formed."""
    if not line.startswith("P"):
        raise ValueError(f"{line[:40]!r} is no package")
    return tuple(_variable(part) for part in line[1:].split(";"))


def _variable(text: str) -> Variable:
    if (found := _VARIABLE.fullmatch(text)) is None:
        raise ValueError(f"{text[:40]!r} is no variable of a package")
    kind, value, metadata = found.groups()
    status, current_range = Status.OK, None
    for item in metadata.split(",")[1:]:
        match item[0], len(item):
            case "1", 2:
                status = Status(int(item[1], 16))
            case "2", 3:
                current_range = int(item[1:], 16)
            case "4", 2:
                continue  # noise
            case _:
                raise ValueError(f"{text!r} has metadata of an unknown kind, {item!r}")
    if value == NOT_A_NUMBER:
        overloaded = Status.OVERLOAD in status
        return Variable(kind, NoReading.OVERLOAD if overloaded else NoReading.NOT_AVAILABLE, status, current_range)
    return Variable(kind, (int(value[:7], 16) - OFFSET) * PREFIXES[value[7]], status, current_range)


@dataclass(frozen=True, slots=True)
class Ended:
    """The script has come to its end; what it has under `on_finished:` was done."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A run-time error stopped the script; `on_finished:` was not done, so the cell may be on."""

    error: ScriptError


class Output:
    """What a running script says, line by line, behind its acknowledgement.

    It is strict: an end within a loop, or a line of no known kind, is a `ValueError`.
    """

    def __init__(self) -> None:
        self._open: list[str] = []

    def feed(self, line: str) -> tuple[Variable, ...] | Ended | Failed | None:
        """What the line says: a package, an end, an error; None where it only says where the script is."""
        closing = {"*": "M", "-": "C", "+": "L"}
        if (error := read_error(line)) is not None and not error.command:
            return Failed(error)
        if line == "":
            if self._open:
                raise ValueError("the script's end came within a loop")
            return Ended()
        if line.startswith("P"):
            return read_package(line)
        if re.fullmatch(r"M[0-9A-F]{4}|C\d{4}|L", line):
            self._open.append(line[0])
        elif line in closing:
            if not self._open or self._open.pop() != closing[line]:
                raise ValueError(f"{line!r} ends what was not begun")
        elif not line.startswith("T"):
            raise ValueError(f"{line[:40]!r} is none of a script's lines")
        return None
