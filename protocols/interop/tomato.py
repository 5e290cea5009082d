"""Payloads 2.2 of tomato (YAML): a list of tasks, which one component carries out in order.

Keys as in dgbowl/dgbowl-schemas, `tomato/payload_2_2` (MIT). What a technique is called and what it takes is up to the
component's driver; the names here are those of tomato's BioLogic driver (dgbowl/tomato 0.2,
`tomato/drivers/biologic/__init__.py`): limits are signed, so that a hold after a discharge ends at `limit_current_max`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from protocols.interop.loops import written_out
from protocols.interop.plan import Drive, Hold, Plan, PlanItem, Rest, Unit, goes_on_at
from protocols.interop.report import Report
from protocols.interop.text import number, one_line, quoted

MOST_TASKS = 2000
ROLE = "cycler"
DAY_S = 24 * 3600.0
LONGEST = 2.0  # times what the whole capacity would take, for a step that says no time


def write(plan: Plan, report: Report) -> str:
    """The payload as text; its user and sample are placeholders."""
    for value, what in (
        (plan.limits.voltage_min_V, "voltage"),
        (plan.limits.voltage_max_V, "voltage"),
        (plan.limits.current_max_A, "current"),
    ):
        if math.isfinite(value):
            report.left_out(plan.where, f"the limit of {what} at {value:g} {'V' if what == 'voltage' else 'A'}")
    if plan.record.voltage_V is not None or plan.record.current_A is not None:
        report.left_out(plan.where, "recording at changes of voltage and current")
    said = f"the role '{ROLE}' and the names of techniques are those that the pipeline's driver must know"
    report.note(plan.where, f"{said}; fill in user and sample")
    tasks = written_out(plan.items, MOST_TASKS)
    if tasks is None:
        report.refuse(plan.where, f"tasks are done once each, and there would be more than {MOST_TASKS} of them")
        tasks = []
    lines = [
        f"# {one_line(plan.title)}",
        'version: "2.2"',
        "user:",
        "  identifier: $USER",
        "sample:",
        "  identifier: $SAMPLE",
        "settings:",
        "  unlock_when_done: true",
        "  verbosity: INFO",
        "method:",
    ]
    before: PlanItem | None = None
    for item in tasks:
        lines += _Task(plan, item, before, report).lines()
        before = item
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Task:
    plan: Plan
    item: PlanItem
    before: PlanItem | None
    report: Report

    def lines(self) -> Iterator[str]:
        item = self.item
        match item:
            case Rest():
                yield from self._task("open_circuit_voltage", item.time_s, {})
            case Drive():
                yield from self._drive(item)
            case Hold():
                yield from self._hold(item)
            case _:
                self.report.refuse(item.where, "tomato's techniques know no such sweep of voltage")

    def _drive(self, drive: Drive) -> Iterator[str]:
        if drive.amount.unit is not Unit.AMPERE:
            self.report.refuse(drive.where, "tomato's techniques know no constant power or resistance")
        parameters = {"current": drive.amount.value if drive.charge else -drive.amount.value}
        if drive.voltage_V is not None:
            parameters["limit_voltage_max" if drive.charge else "limit_voltage_min"] = drive.voltage_V
        time_s = drive.time_s
        if time_s is None:
            time_s = self._longest(drive)
            self.report.approximated(drive.where, f"a task needs a time: it ends after {time_s:g} s at the latest")
        yield from self._task("constant_current", time_s, parameters)

    def _hold(self, hold: Hold) -> Iterator[str]:
        parameters = {"voltage": hold.voltage_V}
        if hold.limit is not None and not goes_on_at(hold, self.before):
            said = f"the largest current of the hold, {hold.limit.value * 1e3:g} mA: tomato would take it for its end"
            self.report.left_out(hold.where, said)
        if hold.current is not None and hold.charge is None:
            said = "whether the hold charges or discharges cannot be told here, and its end depends on it"
            self.report.refuse(hold.where, f"{said}; lead to its voltage first")
        elif hold.current is not None and hold.charge:
            parameters["limit_current_min"] = hold.current.value
        elif hold.current is not None:
            parameters["limit_current_max"] = -hold.current.value
        time_s = hold.time_s
        if time_s is None:
            time_s = DAY_S
            self.report.approximated(hold.where, "a task needs a time: the hold ends after 24 h at the latest")
        yield from self._task("constant_voltage", time_s, parameters)

    def _longest(self, drive: Drive) -> float:
        """In whole minutes."""
        capacity = self.plan.capacity_Ah
        seconds = DAY_S if capacity is None else LONGEST * 3600.0 * capacity / drive.amount.value
        return 60.0 * math.ceil(seconds / 60.0)

    def _task(self, technique: str, time_s: float, parameters: dict[str, float]) -> Iterator[str]:
        every_s = self.item.every_s or self.plan.record.every_s or 30.0
        yield f"  - component_role: {ROLE}"
        yield f"    technique_name: {technique}"
        yield f"    max_duration: {number(time_s)}"
        yield f"    sampling_interval: {number(every_s)}"
        if self.item.name:
            yield f"    task_name: {quoted(self.item.name)}"
        if parameters:
            yield "    task_params:"
            yield from (f"      {name}: {_float(value)}" for name, value in parameters.items())


def _float(value: float) -> str:
    """A number that a YAML 1.1 reader takes for one: with a point and a signed exponent, if any."""
    text = number(value)
    mantissa, _, exponent = text.partition("e")
    pointed = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{pointed}e{exponent}" if exponent else pointed
