"""MethodSCRIPT as a virtual PalmSens device reads it: lines, and the blocks that they make.

Written from the MethodSCRIPT manual 1.8 and PalmSens' published scripts; see docs/instruments/palmsens.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

LOOPS = {"meas_loop_lsv": "0000", "meas_loop_cv": "0005", "meas_loop_ca": "0007", "meas_loop_cp": "000A",
         "meas_loop_ocp": "000B", "meas_loop_eis": "000D", "meas_loop_geis": "000E"}  # fmt: skip
"""Measurement loops, with what the device calls each in its output."""

ARGUMENTS = {
    **dict.fromkeys(("cell_on", "cell_off", "timer_start", "pck_start", "pck_end", "else", "endif", "endloop",
                     "breakloop", "abort", "await_int", "on_finished:"), 0),
    **dict.fromkeys(("var", "set_pgstat_chan", "set_pgstat_mode", "set_max_bandwidth", "set_e", "set_i", "wait",
                     "timer_get", "pck_add", "set_int", "send_string", "set_acquisition_frac_autoadjust",
                     "set_gpio"), 1),
    **dict.fromkeys(("copy_var", "add_var", "sub_var", "mul_var", "div_var", "set_range", "set_gpio_cfg"), 2),
    **dict.fromkeys(("store_var", "set_range_minmax", "set_autoranging", "if", "elseif", "loop", "meas",
                     "meas_loop_ocp"), 3),
    **dict.fromkeys(("meas_loop_ca", "meas_loop_cp"), 5),
    "meas_loop_lsv": 6, "meas_loop_cv": 7, "meas_loop_eis": 8, "meas_loop_geis": 8,
}  # fmt: skip
"""How many each command takes; those with brackets are more."""


class Trouble(Exception):
    """An error code, at a line of the script."""

    def __init__(self, code: int, line: int = 0, column: int = 0) -> None:
        self.code, self.line, self.column = code, line, column


@dataclass
class Line:
    """One line of a script, with the block that it opens, and the one of its `else`."""

    number: int
    words: list[str]
    block: list[Line] = field(default_factory=list)
    otherwise: list[Line] = field(default_factory=list)


@dataclass
class Opened:
    """A block that is being read: what closes it, and the line that opened it."""

    closes: str
    block: list[Line]
    by: Line | None = None


def _words(text: str) -> list[str]:
    if (said := re.fullmatch(r'\s*send_string\s+f?"([^"]*)".*', text)) is not None:
        return ["send_string", said[1]]
    return text.split("#")[0].split()


def parse(lines: Sequence[str]) -> tuple[list[Line], list[Line]]:
    """The script as blocks, and what stands under `on_finished:`. Raises `Trouble` as the device finds it."""
    body: list[Line] = []
    finish: list[Line] = []
    stack: list[Opened] = [Opened("", body)]
    for number, text in enumerate(lines, start=1):
        words = _words(text)
        if not words:
            continue
        verb = words[0]
        if verb not in ARGUMENTS:
            raise Trouble(0x4001, number, 1)
        for word in words[1:]:
            if verb != "send_string" and re.search(r"\d\.", word):
                raise Trouble(0x4039, number, text.index(word) + 1)
        optional = sum("(" in word for word in words) if verb != "send_string" else 0
        if len(words) - 1 - optional != ARGUMENTS[verb]:
            raise Trouble(0x4018, number, len(text) + 1)
        if verb == "on_finished:":
            stack = [Opened("", finish)]
            continue
        if verb in ("endloop", "endif", "else", "elseif"):
            closed = stack.pop()
            if closed.closes != (verb if verb == "endloop" else "endif"):
                raise Trouble(0x400C, number, 1)
            if verb.startswith("end"):
                continue
            assert closed.by is not None
            if verb == "else":
                stack.append(Opened("endif", closed.by.otherwise, closed.by))
                continue
            stack.append(Opened("", closed.by.otherwise))
            words = ["if", *words[1:]]
        line = Line(number, words)
        stack[-1].block.append(line)
        if verb == "elseif":
            stack[-1] = Opened("endif", line.block, line)
        elif verb in ("if", "loop") or verb in LOOPS:
            stack.append(Opened("endif" if verb == "if" else "endloop", line.block, line))
    if len(stack) != 1:
        raise Trouble(0x4018, len(lines), 1)
    return body, finish
