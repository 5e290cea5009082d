"""Reading of protocols of aurora-unicycler."""

from __future__ import annotations

import math
from collections.abc import Iterator

from protocols.interop.loops import Entry, Jump, nested
from protocols.interop.plan import Amount, Drive, Hold, Plan, Recording, Rest, Scan, Sweep, Unit
from protocols.interop.positions import JsonDocument
from protocols.interop.report import Report, Where
from protocols.interop.unicycler_file import (
    ConstantCurrent,
    ConstantVoltage,
    Impedance,
    LoopStep,
    OpenCircuit,
    ProtocolJson,
    Tag,
    VoltageScan,
)
from protocols.limits import Limits


def read(text: str, file: str, report: Report) -> Plan:
    """Raises `DocumentError` where the file is not a unicycler protocol."""
    document = JsonDocument(text, file)
    content = document.as_model(ProtocolJson)
    reader = _Reader(document, content, report)
    sample = content.sample
    notes = [f"The file gives its sample a capacity of {sample.capacity_mAh:g} mAh."] if sample.capacity_mAh else []
    record = content.record
    return Plan(
        title="" if sample.name == "$NAME" else sample.name,
        file=file,
        items=nested(list(reader.entries()), report),
        record=Recording(record.time_s or None, record.voltage_V or None, (record.current_mA or 0.0) / 1e3 or None),
        limits=reader.limits(),
        notes=tuple(notes),
    )


class _Reader:
    def __init__(self, document: JsonDocument, content: ProtocolJson, report: Report) -> None:
        self.document = document
        self.content = content
        self.report = report
        tags = [(step.tag, index) for index, step in enumerate(content.method) if isinstance(step, Tag)]
        self.tags = dict(reversed(tags))
        for tag, index in tags:
            if self.tags[tag] != index:
                report.refuse(self.where(index, "tag"), f"there is a tag '{tag}' already")

    def where(self, index: int, key: str = "") -> Where:
        problem = self.document.problem(("method", index, key), "")
        return Where(self.document.file, problem.line, f"step {index + 1}", problem.column)

    def entries(self) -> Iterator[Entry]:
        for index, step in enumerate(self.content.method):
            where, name = self.where(index), step.id or ""
            match step:
                case OpenCircuit():
                    yield Rest(step.until_time_s, where=where, name=name)
                case ConstantCurrent():
                    yield self._drive(index, step)
                case ConstantVoltage():
                    yield self._hold(index, step)
                case Impedance():
                    yield self._sweep(index, step)
                case VoltageScan():
                    if step.start_voltage_V == step.end_voltage_V:
                        self.report.refuse(where, "this scan begins and ends at the same voltage")
                    rate = step.scan_rate_mV_per_s / 1e3
                    yield Scan(step.start_voltage_V, step.end_voltage_V, rate, where=where, name=name)
                case LoopStep():
                    yield self._jump(index, step)
                case Tag():
                    yield None

    def _drive(self, index: int, step: ConstantCurrent) -> Entry:
        capacity, rate, current_mA = self.content.sample.capacity_mAh, step.rate_C, step.current_mA
        if not rate and not current_mA:
            self.report.refuse(self.where(index), "needs a rate_C or a current_mA that is not zero")
            return None
        signed = rate or current_mA or 0.0
        amount = Amount(abs(rate), Unit.C_RATE) if rate else Amount(abs(signed) / 1e3, Unit.AMPERE)
        if rate and current_mA and not (capacity and math.isclose(rate * capacity, current_mA, rel_tol=1e-6)):
            self.report.note(self.where(index, "current_mA"), "the rate_C counts, and not the current_mA beside it")
        voltage_V, time_s = step.until_voltage_V, step.until_time_s or None
        if voltage_V == 0 and signed > 0:
            if time_s is None:
                self.report.refuse(self.where(index, "until_voltage_V"), "a charge until 0 V is over as it begins")
            voltage_V = None  # zero stands for none
        if voltage_V is None and time_s is None:
            self.report.refuse(self.where(index), "needs an end: until_voltage_V or until_time_s")
        return Drive(signed > 0, amount, voltage_V, time_s, where=self.where(index), name=step.id or "")

    def _hold(self, index: int, step: ConstantVoltage) -> Entry:
        time_s, current_end = step.until_time_s or None, None
        if step.until_rate_C:
            current_end = Amount(abs(step.until_rate_C), Unit.C_RATE)
        elif step.until_current_mA:
            current_end = Amount(abs(step.until_current_mA) / 1e3, Unit.AMPERE)
        if time_s is None and current_end is None:
            said = "needs an end: until_current_mA, until_rate_C or until_time_s; it would hold for ever"
            self.report.refuse(self.where(index), said)
        return Hold(step.voltage_V, current_end, time_s, where=self.where(index), name=step.id or "")

    def _sweep(self, index: int, step: Impedance) -> Entry:
        where = self.where(index)
        volts, milliamperes = step.amplitude_V or 0.0, step.amplitude_mA or 0.0
        if (volts > 0) == (milliamperes > 0):
            self.report.refuse(where, "needs one amplitude above zero: amplitude_V or amplitude_mA")
            return None
        if step.measures_per_point > 1:
            said = f"{step.measures_per_point} measurements of each point"
            self.report.left_out(self.where(index, "measures_per_point"), said)
        if step.drift_correction:
            self.report.left_out(self.where(index, "drift_correction"), "the drift correction")
        rms = math.sqrt(0.5)
        self.report.note(where, "its amplitude is a peak value; ours is the r.m.s. value of the same wave")
        return Sweep(
            step.start_frequency_Hz,
            step.end_frequency_Hz,
            step.points_per_decade,
            volts * rms or None,
            milliamperes / 1e3 * rms or None,
            where=where,
            name=step.id or "",
        )

    def _jump(self, index: int, step: LoopStep) -> Entry:
        where, count = self.where(index, "loop_to"), len(self.content.method)
        target = self.tags.get(str(step.loop_to))
        if target is None and str(step.loop_to).strip().isdecimal():
            target = int(step.loop_to) - 1
        if target is None:
            known = ", ".join(f"'{tag}'" for tag in self.tags) or "none"
            self.report.refuse(where, f"there is no tag '{step.loop_to}'; tags: {known}")
            return None
        if not 0 <= target < index:
            of = f"step {step.loop_to} of {count}" if target != index else "the loop itself"
            self.report.refuse(where, f"a loop goes back to a step before it, and this one goes to {of}")
            return None
        return Jump(target, step.cycle_count, self.where(index), step.id or "")

    # --- limits

    def limits(self) -> Limits:
        safety, report = self.content.safety, self.report
        where = self._safety("max_capacity_mAh")
        if safety.max_capacity_mAh:
            report.left_out(where, f"the limit of capacity, {safety.max_capacity_mAh:g} mAh")
        if safety.delay_s:
            said = f"a limit trips at the first reading beyond it, not after {safety.delay_s:g} s"
            report.note(self._safety("delay_s"), said)
        low = -math.inf if safety.min_voltage_V is None else safety.min_voltage_V
        high = math.inf if safety.max_voltage_V is None else safety.max_voltage_V
        if low >= high:
            report.refuse(self._safety("max_voltage_V"), f"max_voltage_V, {high:g}, is not above min_voltage_V")
        elif math.isfinite(low) != math.isfinite(high):
            said = "there is a voltage limit on one side only; the other side is left wide open"
            report.note(self._safety("max_voltage_V" if math.isfinite(high) else "min_voltage_V"), said)
        return Limits(voltage_min_V=low, voltage_max_V=high, current_max_A=self._current_max_A())

    def _current_max_A(self) -> float:
        """Ours is one for both directions: the narrower one, where the steps allow it."""
        sides = {"max_current_mA": self.content.safety.max_current_mA, "min_current_mA": None}
        if (lowest := self.content.safety.min_current_mA) is not None:
            sides["min_current_mA"] = -lowest
        given = {key: side for key, side in sides.items() if side is not None}
        if unusual := [key for key, side in given.items() if side <= 0]:
            self.report.left_out(self._safety(unusual[0]), f"the limit {unusual[0]}, which allows one direction only")
        sizes = sorted(side for side in given.values() if side > 0)
        if not sizes:
            return math.inf
        fitting = [size for size in sizes if size > self._largest_mA()]
        chosen = fitting[0] if fitting else sizes[-1]
        if len(sizes) == 1 or sizes[0] != sizes[1]:
            said = f"one limit of current for both directions, {chosen:g} mA"
            self.report.approximated(self._safety(next(iter(given))), said)
        return chosen / 1e3

    def _largest_mA(self) -> float:
        capacity = self.content.sample.capacity_mAh or 0.0
        found = [step for step in self.content.method if isinstance(step, ConstantCurrent)]
        sizes = (abs(step.rate_C * capacity if step.rate_C else step.current_mA or 0.0) for step in found)
        return max(sizes, default=0.0)

    def _safety(self, key: str) -> Where:
        problem = self.document.problem(("safety", key), "")
        return Where(self.document.file, problem.line, "safety", problem.column)
