"""Reading of PyBaMM experiments: lists of strings such as 'Discharge at C/10 for 10 hours or until 3.3 V'.

The words are those of PyBaMM 26.10, `pybamm/experiment/step/steps.py` and `base_step.py` (BSD). A string is a step, a
tuple of strings is a cycle, and `[...] * 3` repeats. A Python file is parsed and never run: what is read are lists,
tuples, strings, whole numbers, names that stand for these, and calls of `Experiment` and `pybamm.step`.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from protocols.document import DocumentError, Problem
from protocols.interop.loops import folded
from protocols.interop.plan import Amount, Drive, Hold, Loop, Plan, PlanItem, Recording, Rest, Unit
from protocols.interop.report import Report, Where
from protocols.interop.text import duration

DAY_S = 24 * 3600.0
LONG_LIST = 24  # steps that are written out, from which on repeated ones are made loops
MOST_STEPS = 100_000

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ELECTRIC = re.compile(rf"(?P<number>{_NUMBER})\s*(?P<milli>m?)(?P<unit>A|V|W|Ohm|C)|C\s*/\s*(?P<hours>{_NUMBER})")
_TIME = re.compile(rf"({_NUMBER})\s*([a-z]+)")
_STEP = re.compile(
    r"(?P<what>Rest|(?P<verb>[A-Za-z]+) at (?P<value>.+?))"
    r"(?: for (?P<time>.+?))?(?:(?: or)? until (?P<until>.+?))?(?: \((?P<period>.+?) period\))?"
)
_SECONDS: Mapping[str, float] = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
}
_VERBS = ("Charge", "Discharge", "Hold", "Rest")


class _NotReadable(Exception):
    """What cannot be read, and where."""

    def __init__(self, node: ast.AST | int, message: str) -> None:
        self.line: int = node if isinstance(node, int) else getattr(node, "lineno", 1)
        self.column: int = 1 if isinstance(node, int) else getattr(node, "col_offset", 0) + 1
        self.message = message
        super().__init__(message)


# --- reading


def read(text: str, file: str, report: Report) -> Plan:
    """Raises `DocumentError` where the text holds no experiment that can be read."""
    try:
        found = _Reader(file, report).experiment(_statements(text, file))
    except _NotReadable as error:
        raise DocumentError([Problem(file, error.line, error.column, error.message)]) from None
    except RecursionError:
        raise DocumentError([Problem(file, 1, 1, "is nested too deeply")]) from None
    where = Where(file)
    items = found.items
    if len(items) >= LONG_LIST:
        items = folded([(item,) for item in items], where)
    if not items:
        raise DocumentError([Problem(file, 1, 1, "has no steps")])
    return Plan(title="", file=file, items=items, record=Recording(found.period_s))


@dataclass
class _Found:
    items: tuple[PlanItem, ...]
    period_s: float | None = None


def _statements(text: str, file: str) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd literals and escapes
            return ast.parse(text).body
    except SyntaxError as error:
        lines = [line.strip() for line in text.splitlines()]
        if any(line.startswith(_VERBS) for line in lines):
            return [_plain_line(number, line) for number, line in enumerate(lines, 1) if line and line[0] != "#"]
        line, column = error.lineno or 1, error.offset or 1
        raise DocumentError(
            [Problem(file, line, column, f"is neither Python nor a list of steps: {error.msg}")]
        ) from None
    except (ValueError, MemoryError) as error:
        raise DocumentError([Problem(file, 1, 1, f"is neither Python nor a list of steps: {error}")]) from None


def _plain_line(number: int, line: str) -> ast.stmt:
    """A line that is a step by itself."""
    step = ast.Constant(line.strip("\"',"), lineno=number, col_offset=0)
    return ast.Expr(ast.List([step], ast.Load(), lineno=number, col_offset=0), lineno=number, col_offset=0)


_Value: TypeAlias = "tuple[PlanItem, ...] | _NotReadable"


@dataclass
class _Reader:
    file: str
    report: Report
    named: dict[str, _Value] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def experiment(self, statements: list[ast.stmt]) -> _Found:
        """The experiment that is made, or else the last list; bare lists follow one another."""
        bare: list[PlanItem] = []
        last: _Value | None = None
        for statement in statements:
            if (call := _experiment_call(statement)) is not None:
                return self._call(call)
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.List | ast.Tuple | ast.BinOp):
                bare += self._items(statement.value)
            elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
                last = self._assign(statement, statement.value) or last
        if bare:
            return _Found(tuple(bare))
        if isinstance(last, _NotReadable):
            raise last
        if last is None:
            raise _NotReadable(1, "there is no list of steps here and no Experiment([...])")
        return _Found(last)

    def _assign(self, statement: ast.Assign | ast.AnnAssign, value: ast.expr) -> _Value | None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            self.texts |= dict.fromkeys(names, value.value)
            return None
        try:
            self.numbers |= dict.fromkeys(names, self._number(value))
            return None
        except _NotReadable:
            pass
        found: _Value
        try:
            found = self._items(value)
        except _NotReadable as error:
            found = error
        self.named |= dict.fromkeys(names, found)
        return found if isinstance(value, ast.List | ast.Tuple | ast.BinOp) else None

    def _call(self, call: ast.Call) -> _Found:
        keys = {keyword.arg: keyword.value for keyword in call.keywords}
        conditions = call.args[0] if call.args else keys.get("operating_conditions")
        if conditions is None:
            raise _NotReadable(call, "this experiment has no list of steps")
        period = call.args[1] if len(call.args) > 1 else keys.get("period")
        for key in ("temperature", "termination"):
            if (value := keys.get(key)) is not None and not (isinstance(value, ast.Constant) and value.value is None):
                self.report.left_out(self._where(value), f"the experiment's {key}, {ast.unparse(value)}")
        return _Found(self._items(conditions), self._seconds(period) if period is not None else None)

    def _where(self, node: ast.AST) -> Where:
        return Where(self.file, getattr(node, "lineno", 1), column=getattr(node, "col_offset", 0) + 1)

    # --- expressions

    def _items(self, node: ast.expr) -> tuple[PlanItem, ...]:
        match node:
            case ast.Constant(value=str() as text):
                return tuple(self._step(node, text))
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                items = tuple(item for element in elements for item in self._items(element))
                if len(items) > MOST_STEPS:
                    raise _NotReadable(node, "has too many steps")
                return items
            case ast.Starred(value=value):
                return self._items(value)
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return self._items(left) + self._items(right)
            case ast.BinOp(op=ast.Mult(), left=left, right=right):
                return self._repeated(node, left, right)
            case ast.Name(id=name) if name in self.texts:
                return tuple(self._step(node, self.texts[name]))
            case ast.Name(id=name):
                found = self.named.get(name)
                if isinstance(found, _NotReadable):
                    raise found
                if found is None:
                    raise _NotReadable(node, f"'{name}' does not stand for a list of steps here")
                return found
            case ast.Call():
                return tuple(self._step_call(node))
            case _:
                raise _NotReadable(node, f"'{_short(node)}' is no step and no list of steps; nothing is run here")

    def _repeated(self, node: ast.expr, left: ast.expr, right: ast.expr) -> tuple[PlanItem, ...]:
        try:
            count, steps = self._number(left), right
        except _NotReadable:
            count, steps = self._number(right), left
        if count != int(count) or count < 1:
            raise _NotReadable(node, f"a list is repeated a whole number of times, not {count:g}")
        items = self._items(steps)
        return (Loop(items, int(count), where=self._where(node)),) if items else ()

    def _number(self, node: ast.expr) -> float:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and abs(value) < 1e300:
                return float(value)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._number(operand)
            case ast.BinOp(op=ast.Div() | ast.Mult() as op, left=left, right=right):
                one, other = self._number(left), self._number(right)
                if isinstance(op, ast.Mult) or other:
                    found = one * other if isinstance(op, ast.Mult) else one / other
                    if math.isfinite(found):
                        return found
            case ast.Name(id=name) if name in self.numbers:
                return self.numbers[name]
        raise _NotReadable(node, f"'{_short(node)}' is not a number that can be read")

    def _text(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=str() as text):
                return text
            case ast.Name(id=name) if name in self.texts:
                return self.texts[name]
        raise _NotReadable(node, f"'{_short(node)}' is not a text")

    def _seconds(self, node: ast.expr) -> float | None:
        """Of a time as a text, or as a number of seconds; None stands for none."""
        if isinstance(node, ast.Constant) and node.value is None:
            return None
        try:
            seconds = self._number(node)
        except _NotReadable:
            return _time(node, self._text(node))
        if seconds <= 0:
            raise _NotReadable(node, f"a time of {seconds:g} s is not above zero")
        return seconds

    # --- steps

    def _step(self, node: ast.AST, text: str) -> Iterator[PlanItem]:
        match = _STEP.fullmatch(" ".join(text.split()))
        if match is None:
            said = "is no step; write it like 'Discharge at C/10 for 10 hours or until 3.3 V' or 'Rest for 1 hour'"
            raise _NotReadable(node, f"'{text}' {said}")
        until, time = match["until"], match["time"]
        if until is None and time is None:
            raise _NotReadable(node, f"'{text}' says neither 'for' nor 'until'")
        yield self._item(
            node,
            text,
            verb="Rest" if match["what"] == "Rest" else match["verb"],
            amount=_electric(node, match["value"]) if match["value"] else None,
            time_s=_time(node, time) if time else None,
            ends=[until] if until else [],
            every_s=_time(node, match["period"]) if match["period"] else None,
        )

    def _step_call(self, call: ast.Call) -> Iterator[PlanItem]:
        """`pybamm.step.c_rate(1, duration="1 hour", termination="2.5 V")` and the like; positive discharges."""
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        keys = {keyword.arg: keyword.value for keyword in call.keywords}
        given = call.args[0] if call.args else keys.get("value", keys.get("text"))
        units = {"current": "A", "c_rate": "C", "power": "W", "resistance": "Ohm", "voltage": "V"}
        for key in keys.keys() - {"value", "text", "duration", "termination", "period", "direction", "description"}:
            self.report.left_out(self._where(call), f"{key} of '{_short(call)}'")
        if name == "string" and given is not None:
            for item in self._step(given, self._text(given)):
                every_s = self._seconds(keys["period"]) if "period" in keys else item.every_s
                yield replace(item, every_s=every_s)
            return
        if name != "rest" and (name not in units or given is None):
            raise _NotReadable(call, f"'{_short(call)}' is no step that can be read; nothing is run here")
        duration_node = keys.get("duration", given if name == "rest" else None)
        value = 0.0 if name == "rest" or given is None else self._number(given)
        verb = "Rest" if name == "rest" else "Hold" if name == "voltage" else "Charge" if value < 0 else "Discharge"
        yield self._item(
            call,
            _short(call),
            verb=verb,
            amount=None if name == "rest" else (abs(value) if name != "voltage" else value, units[name]),
            time_s=self._seconds(duration_node) if duration_node is not None else None,
            ends=self._terminations(keys.get("termination")),
            every_s=self._seconds(keys["period"]) if "period" in keys else None,
        )

    def _terminations(self, node: ast.expr | None) -> list[str]:
        if node is None or (isinstance(node, ast.Constant) and node.value is None):
            return []
        return [self._text(each) for each in (node.elts if isinstance(node, ast.List | ast.Tuple) else [node])]

    def _item(
        self,
        node: ast.AST,
        text: str,
        *,
        verb: str,
        amount: tuple[float, str] | None,
        time_s: float | None,
        ends: list[str],
        every_s: float | None,
    ) -> PlanItem:
        where = replace(self._where(node), step=f"'{text}'")
        if verb not in _VERBS:
            raise _NotReadable(node, f"'{text}' begins with none of {', '.join(_VERBS)}")
        limits = [_Limit.read(node, end) for end in ends]
        if amount is None:
            rest_s = self._default(where, DAY_S) if time_s is None else time_s
            self._leave_out(where, limits)
            return Rest(rest_s, where=where, every_s=every_s)
        value, unit = amount
        if (unit == "V") != (verb == "Hold"):
            raise _NotReadable(node, f"'{text}': a voltage is held ('Hold at 4.1 V'), and nothing else is")
        if unit != "V" and value <= 0:
            raise _NotReadable(node, f"'{text}': the direction is said by the verb; the value is above zero")
        if unit == "V":
            return self._hold(where, value, time_s, limits, every_s)
        if time_s is None:
            time_s = self._default(where, default_time_s(Amount(value, _UNITS[unit])))
        if verb == "Charge" and unit == "Ohm":
            raise _NotReadable(node, f"'{text}': a resistance is a load, which discharges only")
        charge = verb == "Charge"
        directed = [limit for limit in limits if limit.unit == "V" and limit.rising in (None, charge)]
        self._leave_out(where, [limit for limit in limits if limit not in directed])
        voltages = [limit.value for limit in directed]
        voltage_V = None if not voltages else min(voltages) if charge else max(voltages)
        driven = Amount(value, _UNITS[unit])
        return Drive(charge, driven, voltage_V, time_s, where=where, every_s=every_s)

    def _hold(
        self, where: Where, volts: float, time_s: float | None, limits: list[_Limit], every_s: float | None
    ) -> Hold:
        if time_s is None:
            time_s = self._default(where, DAY_S)
        ends = [limit for limit in limits if limit.unit in "AC" and limit.rising is None and limit.value > 0]
        self._leave_out(where, [limit for limit in limits if limit not in ends[:1]])
        current_end = Amount(ends[0].value, _UNITS[ends[0].unit]) if ends else None
        return Hold(volts, current_end, time_s, where=where, every_s=every_s)

    def _default(self, where: Where, seconds: float) -> float:
        self.report.note(where, f"says no time; PyBaMM's own, {duration(seconds)}, is written")
        return seconds

    def _leave_out(self, where: Where, limits: list[_Limit]) -> None:
        for limit in limits:
            self.report.left_out(where, f"its end at '{limit.text}', which such a step of ours does not have")


def default_time_s(amount: Amount) -> float:
    """How long a step without a time goes on in PyBaMM at most: twice as long as the whole capacity takes, or a day."""
    return 2 * 3600.0 / amount.value if amount.unit is Unit.C_RATE else DAY_S


_UNITS = {"A": Unit.AMPERE, "C": Unit.C_RATE, "W": Unit.WATT, "Ohm": Unit.OHM}


@dataclass(frozen=True, slots=True)
class _Limit:
    """What follows 'until'."""

    text: str
    value: float
    unit: str
    rising: bool | None  # None where the step's direction decides

    @classmethod
    def read(cls, node: ast.AST, text: str) -> _Limit:
        plain = text.strip()
        rising = {">": True, "<": False}.get(plain[:1])
        value, unit = _electric(node, plain if rising is None else plain[1:].strip())
        return cls(text, value, unit, rising)


def _electric(node: ast.AST, text: str) -> tuple[float, str]:
    match = _ELECTRIC.fullmatch(text)
    try:
        if match is not None and match["hours"]:
            return 1 / float(match["hours"]), "C"
        if match is not None and math.isfinite(value := float(match["number"])):
            return value / 1e3 if match["milli"] else value, match["unit"]
    except ZeroDivisionError:
        pass
    raise _NotReadable(node, f"'{text}' is no value; write it like '1 A', '50 mA', '4.1 V', '5 W', '0.5 C' or 'C/10'")


def _time(node: ast.AST, text: str) -> float:
    match = _TIME.fullmatch(text.strip())
    seconds = float(match[1]) * _SECONDS.get(match[2], 0.0) if match else 0.0
    if not 0 < seconds < math.inf:
        raise _NotReadable(node, f"'{text}' is no time; write it like '30 seconds', '10 minutes' or '1 hour'")
    return seconds


def _experiment_call(statement: ast.stmt) -> ast.Call | None:
    for node in ast.walk(statement):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name == "Experiment":
                return node
    return None


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else text[:57] + "..."
