"""Writing of PyBaMM experiments; their words are described beside their reading."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from protocols.interop.plan import Amount, Drive, Hold, Loop, Plan, PlanItem, Rest, Unit, goes_on_at
from protocols.interop.pybamm_reader import default_time_s
from protocols.interop.report import Report
from protocols.interop.text import c_rate, current, duration, number, one_line


def write(plan: Plan, report: Report) -> str:
    """A Python file that makes the experiment; the strings are of use without it, too."""
    limits = plan.limits
    for value in (limits.voltage_min_V, limits.voltage_max_V):
        if math.isfinite(value):
            report.left_out(plan.where, f"the limit of voltage at {value:g} V; PyBaMM has those of its parameter set")
    if math.isfinite(limits.current_max_A):
        report.left_out(plan.where, f"the limit of current, {current(limits.current_max_A)}")
    if plan.record.voltage_V is not None or plan.record.current_A is not None:
        report.left_out(plan.where, "recording at changes of voltage and current")
    writer = _Writer(report)
    lines = writer.expression(plan.items)
    lines[-1] += ","
    if plan.record.every_s is not None:
        lines.append(f'period="{_seconds(plan.record.every_s)}",')
    return "\n".join(
        [
            f"# {one_line(plan.title)}",
            "import pybamm",
            "",
            "experiment = pybamm.Experiment(",
            *_indented(lines),
            ")",
            "",
        ]
    )


@dataclass
class _Writer:
    report: Report

    def expression(self, items: tuple[PlanItem, ...]) -> list[str]:
        """The lines of lists, joined by '+' where loops stand between steps."""
        found: list[str] = []
        for _, group in itertools.groupby(items, lambda item: isinstance(item, Loop)):
            alike = list(group)
            loops = [self._loop(item) for item in alike if isinstance(item, Loop)]
            for first, *more in loops or [self._list(alike)]:
                found += [f"+ {first}" if found else first, *more]
        return found

    def _list(self, items: Iterable[PlanItem]) -> list[str]:
        return ["[", *_indented(self._strings(items)), "]"]

    def _loop(self, loop: Loop) -> list[str]:
        if any(isinstance(item, Loop) for item in loop.items):
            return ["(", *_indented(self.expression(loop.items)), f") * {loop.count}"]
        cycle = ["(", *_indented(self._strings(loop.items)), ")"]
        return ["[", *_indented(cycle), f"] * {loop.count}"]

    def _strings(self, items: Iterable[PlanItem]) -> Iterator[str]:
        before: PlanItem | None = None
        for item in items:
            yield f'"{self._step(item, before)}",'
            before = item

    def _step(self, item: PlanItem, before: PlanItem | None) -> str:
        period = f" ({_seconds(item.every_s)} period)" if item.every_s is not None else ""
        return self._words(item, before) + period

    def _words(self, item: PlanItem, before: PlanItem | None) -> str:
        match item:
            case Rest():
                return f"Rest for {_seconds(item.time_s)}"
            case Drive():
                verb = "Charge" if item.charge else "Discharge"
                until = f"{number(item.voltage_V)} V" if item.voltage_V is not None else None
                self._remark_on_time(item)
                return f"{verb} at {_amount(item.amount)}{_ends(item.time_s, until)}"
            case Hold():
                if item.limit is not None and not goes_on_at(item, before):
                    self.report.left_out(item.where, f"the largest current of the hold, {_amount(item.limit)}")
                until = _amount(item.current) if item.current is not None else None
                return f"Hold at {number(item.voltage_V)} V{_ends(item.time_s, until)}"
            case _:
                self.report.refuse(item.where, "a PyBaMM string knows no sweep of voltage")
                return ""

    def _remark_on_time(self, drive: Drive) -> None:
        if drive.time_s is None:
            own = duration(default_time_s(drive.amount))
            self.report.note(drive.where, f"says no time; PyBaMM ends it after {own} at the latest")


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


def _ends(time_s: float | None, until: str | None) -> str:
    both = " or" if time_s is not None and until is not None else ""
    time = f" for {_seconds(time_s)}" if time_s is not None else ""
    return time + both + (f" until {until}" if until is not None else "")


def _seconds(seconds: float) -> str:
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{number(seconds / size)} {unit}{'' if seconds == size else 's'}"
    return f"{number(seconds)} seconds"


def _amount(amount: Amount) -> str:
    match amount.unit:
        case Unit.C_RATE:
            return c_rate(amount.value)
        case Unit.AMPERE if amount.value < 1:
            return f"{number(amount.value * 1e3)} mA"
        case Unit.OHM:
            return f"{number(amount.value)} Ohm"
        case unit:
            return f"{number(amount.value)} {unit.value}"
