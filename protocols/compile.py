"""From a protocol file and a cell to a program, with every mistake found before a cell is touched."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocols.cell import Cell
from protocols.document import Document, DocumentError, Place, Problem
from protocols.language import Drive, Hold, Impedance, PressureEnd, ProtocolFile, Rest, Until
from protocols.language import Step as WrittenStep
from protocols.limits import Limits
from protocols.program import Condition, Kind, Operation, Program, Quantity, RecordRule, Repeat, Step, SweepPlan
from protocols.quantities import Basis, Charge, Rate

_PARAMETER = re.compile(r"\$\{\s*([A-Za-z_]\w*)\s*\}")


@dataclass(frozen=True)
class Protocol:
    """A protocol file that was read and is well-formed; `compile_for` makes it ready for a cell."""

    document: Document
    content: ProtocolFile

    @property
    def title(self) -> str:
        return self.content.protocol

    def compile_for(self, cell: Cell) -> Program:
        """Raises `DocumentError` with every problem: missing mass or area, a step that cannot end, ..."""
        compiler = _Compiler(self.document, cell, self.content.limits.limits().narrowed_by(cell.limits.limits()))
        compiler.add(self.content.steps, ("steps",), "")
        if compiler.problems:
            raise DocumentError(compiler.problems)
        voltage, pressure = self.content.record.changes()
        rule = RecordRule(self.content.record.every, voltage, pressure)
        return Program(self.title, self.document.file, tuple(compiler.operations), rule, self.content.limits.limits())

    def summary(self) -> tuple[str, ...]:
        """The steps in words, a line each."""
        return tuple(_in_words(self.content.steps, ""))


def read_protocol(path: Path, parameters: dict[str, Any] | None = None) -> Protocol:
    """Raises `DocumentError` with every problem in the file."""
    return _protocol(Document.read(path), parameters or {})


def parse_protocol(text: str, file: str = "protocol", parameters: dict[str, Any] | None = None) -> Protocol:
    return _protocol(Document(text, file), parameters or {})


def _protocol(document: Document, given: dict[str, Any]) -> Protocol:
    data = document.data
    if not isinstance(data, dict):
        raise DocumentError([Problem(document.file, 1, 1, "is empty or not a mapping of keys to values")])
    declared = data.get("parameters") or {}
    if not isinstance(declared, dict):
        raise DocumentError([document.problem(("parameters",), "parameters are written {name: value}")])
    if unknown := [name for name in given if name not in declared]:
        known = ", ".join(declared) or "none"
        raise DocumentError(
            [document.problem(("parameters",), f"no parameter '{unknown[0]}' here; there are: {known}")]
        )
    problems: list[Problem] = []
    used: set[str] = set()
    filled = _fill(data, {**declared, **given}, (), document, problems, used)
    if problems:
        raise DocumentError(problems)
    content = document.as_model(ProtocolFile, filled)
    if unused := [name for name in declared if name not in used]:
        raise DocumentError([document.problem(("parameters", n), f"parameter '{n}' is used nowhere") for n in unused])
    return Protocol(document, content)


def _fill(
    node: Any, values: dict[str, Any], place: Place, document: Document, problems: list[Problem], used: set[str]
) -> Any:
    """`node` with each ${name} replaced; a text that is nothing but one keeps the value's type."""
    if isinstance(node, dict):
        return {key: _fill(value, values, (*place, key), document, problems, used) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, values, (*place, i), document, problems, used) for i, value in enumerate(node)]
    if not isinstance(node, str):
        return node
    for name in _PARAMETER.findall(node):
        used.add(name)
        if name not in values:
            problems.append(document.problem(place, f"'${{{name}}}' is not among the parameters"))
            return node
    if whole := _PARAMETER.fullmatch(node.strip()):
        return values[whole[1]]
    return _PARAMETER.sub(lambda match: str(values[match[1]]), node)


@dataclass
class _Compiler:
    document: Document
    cell: Cell
    limits: Limits
    operations: list[Operation] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, steps: tuple[WrittenStep, ...], place: Place, number: str) -> None:
        for index, step in enumerate(steps):
            here: Place = (*place, index)
            own = f"{number}{index + 1}"
            if step.repeat is not None and step.steps is not None:
                start = len(self.operations)
                self.add(step.steps, (*here, "steps"), f"{own}.")
                if all(isinstance(one, Repeat) or one.every > 1 for one in self.operations[start:]):
                    self._say((*here, "steps"), "nothing in this loop is done each time; 'every' counts cycles")
                self.operations.append(Repeat(start, step.repeat))
            else:
                self.operations.append(self._step(step, (*here, step.technique), own))

    def _step(self, step: WrittenStep, place: Place, number: str) -> Step:
        line = self.document.problem(place, "").line
        kind = Kind(step.technique)
        label = f"{number} {step.name or step.technique}"
        if step.impedance is not None:
            return Step(kind, label, line, sweep=self._sweep(step.impedance, place), every=step.impedance.every)
        if step.rest is not None:
            return Step(kind, label, line, ends=self._ends(step.rest, kind, place))
        if step.hold is not None:
            return self._hold(step.hold, kind, label, line, place)
        drive = step.charge or step.discharge
        assert drive is not None
        return self._drive(drive, kind, label, line, place)

    def _drive(self, drive: Drive, kind: Kind, label: str, line: int, place: Place) -> Step:
        sign = 1.0 if kind is Kind.CHARGE else -1.0
        current = self._current(drive.at, (*place, "at"))
        if current == 0:
            self._say((*place, "at"), "a current of zero drives nothing; use 'rest'")
        self._below_limit(current, drive.at, (*place, "at"))
        if drive.hold is not None:
            self._inside((*place, "hold"), drive.hold)
        ends = self._ends(drive, kind, place)
        ends_hold = (drive.until.current, drive.duration, drive.until.time)
        if drive.hold is not None and all(end is None for end in ends_hold):
            self._say(place, "a hold needs an end: a current ('until: {current: 0.05 C}') or a time")
        return Step(kind, f"{label} {drive.at.text}", line, sign * (current or 0.0), drive.hold, ends=ends)

    def _hold(self, hold: Hold, kind: Kind, label: str, line: int, place: Place) -> Step:
        self._inside((*place, "at"), hold.at)
        limit = None
        if hold.limit is not None:
            limit = self._current(hold.limit, (*place, "limit"))
            if limit == 0:
                self._say((*place, "limit"), "a current limit of zero lets nothing flow; use 'rest'")
            self._below_limit(limit, hold.limit, (*place, "limit"))
        return Step(kind, f"{label} {hold.at:g} V", line, limit, hold.at, ends=self._ends(hold, kind, place))

    def _ends(self, step: Rest | Drive | Hold, kind: Kind, place: Place) -> tuple[Condition, ...]:
        until, at = step.until, (*place, "until")
        ends: list[Condition] = []
        for time_s in (step.duration, until.time):
            if time_s is not None:
                ends.append(Condition(Quantity.TIME, True, time_s))
        if until.voltage is not None:
            ends.append(self._voltage_end(until, kind, (*at, "voltage")))
        if until.current is not None:
            ends += self._current_end(until.current, step, (*at, "current"))
        if until.capacity is not None:
            ends += self._capacity_end(until.capacity, kind, (*at, "capacity"))
        if until.pressure is not None:
            ends += self._pressure_ends(until.pressure, (*at, "pressure"))
        if not ends:
            self._say(place, "this step has no end; give 'for: 1 h' or 'until: {voltage: …}'")
        return tuple(ends)

    def _voltage_end(self, until: Until, kind: Kind, place: Place) -> Condition:
        assert until.voltage is not None
        if until.voltage.at is not None:
            if kind not in (Kind.CHARGE, Kind.DISCHARGE):
                self._say(place, f"a {kind} has no direction; say {{above: …}} or {{below: …}}")
            self._inside(place, until.voltage.at)
            return Condition(Quantity.VOLTAGE, kind is Kind.CHARGE, until.voltage.at)
        above = until.voltage.above is not None
        value = until.voltage.above if above else until.voltage.below
        assert value is not None
        self._inside(place, value)
        return Condition(Quantity.VOLTAGE, above, value)

    def _current_end(self, rate: Rate, step: Rest | Drive | Hold, place: Place) -> list[Condition]:
        if not isinstance(step, Hold) and not (isinstance(step, Drive) and step.hold is not None):
            self._say(place, "a current ends a hold of constant voltage only")
        current = self._current(rate, place)
        if current is not None and current <= 0:
            self._say(place, "the current that ends a hold is a magnitude above zero")
        return [] if current is None else [Condition(Quantity.CURRENT, False, current)]

    def _capacity_end(self, charge: Charge, kind: Kind, place: Place) -> list[Condition]:
        if kind is Kind.REST:
            self._say(place, "a rest passes no charge; give it a time")
        amount = self._amount(charge, place)
        return [] if amount is None else [Condition(Quantity.CAPACITY, True, amount)]

    def _pressure_ends(self, end: PressureEnd, place: Place) -> list[Condition]:
        ends: list[Condition] = []
        for key, value in (("above", end.above), ("below", end.below)):
            if value is None:
                continue
            if not self.limits.pressure_min_Pa < value < self.limits.pressure_max_Pa:
                self._say(
                    (*place, key),
                    f"{value / 1e3:g} kPa is not inside the limits of {self.limits.pressure_min_Pa / 1e3:g} kPa to "
                    f"{self.limits.pressure_max_Pa / 1e3:g} kPa of the protocol and the cell",
                )
            ends.append(Condition(Quantity.PRESSURE, key == "above", value))
        return ends

    def _sweep(self, written: Impedance, place: Place) -> SweepPlan:
        """From the first to the last frequency, both included, in equal steps of the logarithm."""
        high, low = max(written.start, written.to), min(written.start, written.to)
        if written.at is not None:
            peak = math.sqrt(2.0) * written.amplitude
            for swing in (-peak, peak):
                self._inside((*place, "at"), written.at + swing)
        decades = math.log10(high) - math.log10(low)
        count = max(2, round(decades * written.points_per_decade) + 1) if high > low else 1
        falling = (*(high * 10 ** (-decades * i / (count - 1)) for i in range(count - 1)), low)
        frequencies = falling if written.start >= written.to else falling[::-1]
        return SweepPlan(frequencies, written.amplitude, written.at)

    def _below_limit(self, current_A: float | None, rate: Rate, place: Place) -> None:
        """A current at the limit would trip with the first sample."""
        if current_A is not None and not current_A < self.limits.current_max_A:
            largest = f"{self.limits.current_max_A * 1e3:.4g} mA"
            self._say(place, f"{rate.text} is {current_A * 1e3:.4g} mA and not below the limit of {largest}")

    def _inside(self, place: Place, voltage_V: float) -> None:
        if not self.limits.voltage_min_V < voltage_V < self.limits.voltage_max_V:
            self._say(
                place,
                f"{voltage_V:g} V is not inside the limits of {self.limits.voltage_min_V:g} V to "
                f"{self.limits.voltage_max_V:g} V of the protocol and the cell",
            )

    def _current(self, rate: Rate, place: Place) -> float | None:
        """In A, as a magnitude; None, with a problem noted, where the cell does not say enough."""
        return self._scaled(rate.value, rate.basis, rate.text, place)

    def _amount(self, charge: Charge, place: Place) -> float | None:
        if charge.value <= 0:
            self._say(place, "the capacity that ends a step is a magnitude above zero")
        return self._scaled(charge.value, charge.basis, charge.text, place)

    def _scaled(self, value: float, basis: Basis, text: str, place: Place) -> float | None:
        if value < 0:
            self._say(place, f"'{text}' is negative; the direction is said by 'charge' or 'discharge'")
            return None
        match basis:
            case Basis.ABSOLUTE:
                return value
            case Basis.AREA:
                factor, missing = self.cell.electrode_area, "electrode_area"
            case Basis.MASS:
                factor, missing = self.cell.active_mass, "active_mass"
            case Basis.CAPACITY:
                factor, missing = self.cell.capacity_Ah, "nominal_capacity (or specific_capacity and active_mass)"
        if factor is not None and not math.isfinite(value * factor):
            self._say(place, f"'{text}' is too large")
            return None
        if factor is None:
            self._say(place, f"'{text}' needs the cell's {missing}, and cell '{self.cell.cell}' does not give it")
            return None
        return value * factor

    def _say(self, place: Place, message: str) -> None:
        self.problems.append(self.document.problem(place, message))


def _in_words(steps: tuple[WrittenStep, ...], indent: str) -> list[str]:
    lines: list[str] = []
    for step in steps:
        if step.repeat is not None and step.steps is not None:
            lines += [f"{indent}{step.repeat} times:", *_in_words(step.steps, indent + "    ")]
        else:
            lines.append(indent + _step_in_words(step))
    return lines


def _step_in_words(step: WrittenStep) -> str:
    if step.impedance is not None:
        sweep = step.impedance
        often = f", each {sweep.every}th cycle" if sweep.every > 1 else ""
        return f"impedance {sweep.start:g} Hz to {sweep.to:g} Hz, {sweep.amplitude * 1e3:g} mV{often}"
    body = step.rest or step.charge or step.discharge or step.hold
    assert body is not None
    words = step.technique
    if isinstance(body, Drive):
        words += f" at {body.at.text}" + (f", then hold {body.hold:g} V" if body.hold is not None else "")
    elif isinstance(body, Hold):
        words += f" {body.at:g} V"
    if body.duration is not None:
        words += f" for {body.duration / 3600:g} h" if body.duration >= 600 else f" for {body.duration:g} s"
    until = body.until.model_dump(exclude_none=True)
    if until:
        words += " until " + " or ".join(_end_in_words(name, getattr(body.until, name)) for name in until)
    return words


def _end_in_words(name: str, end: Any) -> str:
    match name:
        case "voltage":
            value = next(v for v in (end.at, end.above, end.below) if v is not None)
            return f"{value:g} V"
        case "time":
            return f"{end / 3600:g} h" if end >= 600 else f"{end:g} s"
        case "pressure":
            parts = [f"above {end.above / 1e3:g} kPa"] if end.above is not None else []
            parts += [f"below {end.below / 1e3:g} kPa"] if end.below is not None else []
            return "pressure " + " or ".join(parts)
        case _:
            return f"{name} {end.text}"
