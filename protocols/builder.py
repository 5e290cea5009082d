"""What compiling a protocol has in common for all techniques: places, labels, rates and potentials of one cell."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import cast

from protocols.cell import KNOWN_REFERENCES, Cell, reference_name
from protocols.document import DocumentError, Place, Problem
from protocols.limits import Limits
from protocols.program import (
    ConstantCurrent,
    End,
    Kind,
    MarkerRule,
    MeasuredRate,
    Only,
    Operation,
    RecordRule,
    Repeat,
    Setpoint,
    Step,
    Then,
)
from protocols.quantities import Basis, Charge, Potential, Rate
from protocols.source import Source

_KEYWORDS = {"end of run": Then.FINISH, "trip": Then.TRIP}
_DRIVEN = (Kind.CHARGE, Kind.DISCHARGE, Kind.HOLD)

# Operations are built with labels, which are negative, in place of the indices that are known at the end only.


@dataclass(frozen=True)
class Loop:
    """A loop that is being built: its end, and what follows it."""

    end: int
    after: int


@dataclass(frozen=True)
class Here:
    """A place in a source while it is compiled, and what holds there."""

    source: Source
    place: Place = ()
    label: str = ""  # "4.1 discharge", or what numbers below it begin with
    scope: tuple[str, ...] = ()  # of names: the includes that led here
    loops: tuple[Loop, ...] = ()
    record: RecordRule | None = None
    markers: tuple[MarkerRule, ...] = ()

    def at(self, *keys: str | int) -> Here:
        return replace(self, place=(*self.place, *keys))

    def problem(self, message: str) -> Problem:
        return self.source.document.problem(self.place, message)


@dataclass(frozen=True)
class _Wanted:
    """A name that stands for a step, to be found once all steps are known."""

    name: str
    here: Here
    measured: bool  # its charge is wanted, so it must come before


@dataclass
class Builder:
    """Collects operations and problems."""

    cell: Cell
    limits: Limits
    operations: list[Operation] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    _labels: list[int | None] = field(default_factory=lambda: [None])
    _names: dict[tuple[tuple[str, ...], str], int] = field(default_factory=dict)
    _wanted: dict[int, _Wanted] = field(default_factory=dict)

    def say(self, here: Here, message: str) -> None:
        self.problems.append(here.problem(message))

    # --- labels and names

    def label(self) -> int:
        self._labels.append(None)
        return 1 - len(self._labels)

    def put(self, label: int) -> None:
        """The next operation is what `label` stands for."""
        self._labels[-label] = len(self.operations)

    def position(self, label: int) -> int:
        """Of a label that was put already."""
        found = self._labels[-label]
        assert found is not None
        return found

    def name(self, here: Here, name: str) -> None:
        """The next operation is what `name` stands for."""
        if (here.scope, name) in self._names:
            self.say(here.at("name"), f"there is a step '{name}' already; names are given once")
        self._names[here.scope, name] = len(self.operations)

    def then(self, here: Here, text: str, following: int | None = None) -> int | Then | None:
        """What follows an end; `following` is what 'next' means where it is not the next operation."""
        if text == "next":
            return following
        if text in _KEYWORDS:
            return _KEYWORDS[text]
        if text in ("end of loop", "next pass"):
            if not here.loops:
                self.say(here, f"'{text}': there is no loop around this step")
                return None
            return here.loops[-1].after if text == "end of loop" else here.loops[-1].end
        return self._want(here, text, measured=False)

    def _want(self, here: Here, name: str, *, measured: bool) -> int:
        label = self.label()
        self._wanted[label] = _Wanted(name, here, measured)
        return label

    def _find(self, wanted: _Wanted) -> int | None:
        """The operation of a name: in the same file, in those that include it, or in one of those included there."""
        scope = wanted.here.scope
        for depth in range(len(scope), -1, -1):
            if (found := self._names.get((scope[:depth], wanted.name))) is not None:
                return found
            below = [i for (s, name), i in self._names.items() if s[:depth] == scope[:depth] and name == wanted.name]
            if len(below) == 1:
                return below[0]
            if below:
                self.say(wanted.here, f"'{wanted.name}' may mean several of the included steps")
                return None
        known = ", ".join(f"'{name}'" for _, name in self._names) or "none"
        self.say(wanted.here, f"there is no step named '{wanted.name}'; named steps: {known}")
        return None

    # --- operations

    def step(
        self,
        here: Here,
        kind: Kind,
        setpoint: Setpoint | None = None,
        ends: tuple[End, ...] = (),
        *,
        hold_V: float | None = None,
        detail: str = "",
        record: RecordRule | None = None,
    ) -> None:
        problem = here.problem("")
        self.operations.append(
            Step(
                kind,
                f"{here.label} {detail}".strip(),
                problem.file,
                problem.line,
                setpoint,
                hold_V,
                ends,
                record or here.record,
                here.markers,
                problem.column,
            )
        )

    def finish(self) -> tuple[Operation, ...]:
        """The operations with indices for labels. Raises `DocumentError` with every problem."""
        for label, wanted in self._wanted.items():
            self._labels[-label] = self._find(wanted)
        operations = tuple(self._linked(i, operation) for i, operation in enumerate(self.operations))
        if self.problems:
            raise DocumentError(sorted(dict.fromkeys(self.problems), key=lambda p: (p.file, p.line, p.column)))
        return operations

    def _linked(self, index: int, operation: Operation) -> Operation:
        match operation:
            case Step(setpoint=MeasuredRate(per_hour, of_step)):
                measured = MeasuredRate(per_hour, self._measured(index, of_step))
                return replace(operation, setpoint=measured, ends=self._ends(operation.ends))
            case Step():
                return replace(operation, ends=self._ends(operation.ends))
            case Repeat():
                return replace(operation, start=self._index(operation.start), ends=self._ends(operation.ends))
            case Only():
                loop = None if operation.loop is None else self._index(operation.loop)
                return replace(operation, past=self._index(operation.past), loop=loop)
            case _:
                return operation

    def _ends(self, ends: tuple[End, ...]) -> tuple[End, ...]:
        return tuple(replace(end, then=self._target(end.then)) if type(end.then) is int else end for end in ends)

    def _target(self, then: int | Then | None) -> int | Then:
        index = self._index(cast(int, then))
        return Then.FINISH if index == len(self.operations) else index

    def _index(self, label: int) -> int:
        found = self._labels[-label] if label < 0 else label
        return 0 if found is None else found  # where a name was not found, which is among the problems

    def _measured(self, index: int, label: int) -> int:
        found = self._labels[-label]
        if found is None:
            return 0
        wanted = self._wanted[label]
        target = self.operations[found]
        if found >= index:
            self.say(wanted.here, f"step '{wanted.name}' comes later; its charge is not known here")
        elif not isinstance(target, Step) or target.kind not in _DRIVEN:
            self.say(wanted.here, f"'{wanted.name}' does not name a charge, a discharge or a hold")
        return found

    # --- quantities of this cell

    def rate(self, here: Here, rate: Rate, sign: float = 1.0) -> ConstantCurrent | MeasuredRate:
        """A set point; problems are noted and leave a current of zero."""
        if rate.of_step:
            if rate.value <= 0:
                self.say(here, f"'{rate.text}' drives nothing; use 'rest'")
            return MeasuredRate(sign * rate.value, self._want(here, rate.of_step, measured=True))
        current = self.current(here, rate)
        if current == 0:
            self.say(here, "a current of zero drives nothing; use 'rest'")
        self.below_limit(here, current, rate.text)
        return ConstantCurrent(sign * (current or 0.0))

    def below_limit(self, here: Here, current_A: float | None, text: str) -> None:
        """A current at the limit would trip with the first sample."""
        if current_A is not None and not current_A < self.limits.current_max_A:
            largest = f"{self.limits.current_max_A * 1e3:.4g} mA"
            self.say(here, f"{text} is {current_A * 1e3:.4g} mA and not below the limit of {largest}")

    def current_limit(self, here: Here, rate: Rate | None) -> float | None:
        """Largest current of a hold or a ramp, in A."""
        if rate is None:
            return None
        current = self.current(here, rate)
        if current == 0:
            self.say(here, "a current limit of zero lets nothing flow; use 'rest'")
        self.below_limit(here, current, rate.text)
        return current

    def current(self, here: Here, rate: Rate) -> float | None:
        """In A, as a magnitude; None, with a problem noted, where the cell does not say enough."""
        if rate.of_step:
            self.say(here, f"'{rate.text}': a measured capacity is for the current of a charge or discharge ('at')")
            return None
        return self._scaled(here, rate.value, rate.basis, rate.text)

    def amount(self, here: Here, charge: Charge) -> float | None:
        """In Ah; None, with a problem noted, where the cell does not say enough."""
        if charge.value <= 0:
            self.say(here, "the capacity that ends a step is a magnitude above zero")
            return None
        return self._scaled(here, charge.value, charge.basis, charge.text)

    def _scaled(self, here: Here, value: float, basis: Basis, text: str) -> float | None:
        if value < 0:
            self.say(here, f"'{text}' is negative; the direction is said by 'charge' or 'discharge'")
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
        if factor is None:
            self.say(here, f"'{text}' needs the cell's {missing}, and cell '{self.cell.cell}' does not give it")
            return None
        if not math.isfinite(value * factor):
            self.say(here, f"'{text}' is too large")
            return None
        return value * factor

    def volts(self, here: Here, potential: Potential, margin_V: float = 0.0) -> float:
        """At the cell's terminals, and inside the limits by `margin_V`."""
        volts = potential.volts + self._reference(here, potential)
        low, high = self.limits.voltage_min_V, self.limits.voltage_max_V
        if not (low < volts - margin_V and volts + margin_V < high):
            about = f" (± {margin_V:.3g} V)" if margin_V else ""
            said = (
                f"{volts:g} V{about} is not inside the limits of {low:g} V to {high:g} V of the protocol and the cell"
            )
            self.say(here, said)
        return volts

    def _reference(self, here: Here, potential: Potential) -> float:
        """What the potential's reference is against the terminals' own."""
        if not potential.against:
            return 0.0
        if potential.against.upper() == "OCV":
            self.say(here, "'vs OCV' is for a hold, a chronoamperometry or the beginning of a sweep")
            return 0.0
        own = self.cell.reference
        name = reference_name(potential.against)
        if own is None:
            said = "needs the cell's 'reference', the electrode that its voltage is measured against"
            self.say(here, f"'{potential.text}' {said}; cell '{self.cell.cell}' does not give it")
            return 0.0
        if name == reference_name(own.name):
            return 0.0
        if name not in KNOWN_REFERENCES:
            known = ", ".join(dict.fromkeys((*KNOWN_REFERENCES, own.name)))
            self.say(here, f"'{potential.against}' is no reference that is known here; there are {known}")
            return 0.0
        return KNOWN_REFERENCES[name] - own.volts

    def inside_pressure(self, here: Here, pressure_Pa: float) -> None:
        low, high = self.limits.pressure_min_Pa, self.limits.pressure_max_Pa
        if not low < pressure_Pa < high:
            self.say(
                here,
                f"{pressure_Pa / 1e3:g} kPa is not inside the limits of {low / 1e3:g} kPa to {high / 1e3:g} kPa "
                "of the protocol and the cell",
            )

    def inside_temperature(self, here: Here, temperature_degC: float) -> None:
        low, high = self.limits.temperature_min_degC, self.limits.temperature_max_degC
        if not low < temperature_degC < high:
            self.say(
                here,
                f"{temperature_degC:g} °C is not inside the limits of {low:g} °C to {high:g} °C "
                "of the protocol and the cell",
            )
