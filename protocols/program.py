"""A protocol made ready for one cell: SI numbers only, flat, with jumps for loops."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from protocols.limits import Limits


class Quantity(StrEnum):
    VOLTAGE = "voltage"  # V
    CURRENT = "current"  # A, magnitude
    TIME = "time"  # s, since the step began
    CAPACITY = "capacity"  # Ah, magnitude, since the step began
    PRESSURE = "pressure"  # Pa


@dataclass(frozen=True, slots=True)
class Condition:
    """Met when the quantity is at or beyond `value`, upwards (`rising`) or downwards."""

    quantity: Quantity
    rising: bool
    value: float

    def met_by(self, measured: float | None) -> bool:
        """False for None: what is not measured ends nothing (safety sees to a lost sensor)."""
        if measured is None:
            return False
        return measured >= self.value if self.rising else measured <= self.value

    def __str__(self) -> str:
        sign = "≥" if self.rising else "≤"
        value, unit = _for_people(self.quantity, self.value)
        return f"{self.quantity} {sign} {value:.6g} {unit}"


def _for_people(quantity: Quantity, value: float) -> tuple[float, str]:
    match quantity:
        case Quantity.VOLTAGE:
            return value, "V"
        case Quantity.CURRENT:
            return value * 1e3, "mA"
        case Quantity.TIME:
            return (value, "s") if value < 600 else (value / 3600, "h")
        case Quantity.CAPACITY:
            return value * 1e3, "mAh"
        case Quantity.PRESSURE:
            return value / 1e3, "kPa"


class Kind(StrEnum):
    REST = "rest"
    CHARGE = "charge"
    DISCHARGE = "discharge"
    HOLD = "hold"
    IMPEDANCE = "impedance"


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """An impedance sweep, from the first to the last frequency."""

    frequencies_Hz: tuple[float, ...]
    amplitude_rms_V: float
    bias_V: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `current_A` is signed, positive on charge; a HOLD's is the magnitude of its limit.

    A CHARGE or DISCHARGE with `voltage_V` goes over to holding that voltage when it is reached.
    """

    kind: Kind
    name: str  # place and kind, "4.1 discharge 0.2 C"
    line: int  # in the protocol's file
    current_A: float | None = None
    voltage_V: float | None = None
    sweep: SweepPlan | None = None
    every: int = 1  # only where the cycle's number is a multiple of it
    ends: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeat:
    """The end of a loop: back to operation `start` until the loop was passed `count` times in all."""

    start: int
    count: int


Operation: TypeAlias = Step | Repeat


@dataclass(frozen=True, slots=True)
class RecordRule:
    every_s: float
    voltage_V: float | None
    pressure_Pa: float | None


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled protocol: operations in order, with the loops' ends as jumps."""

    title: str
    file: str  # that it was compiled from, for messages
    operations: tuple[Operation, ...]
    record: RecordRule
    limits: Limits

    @property
    def loops(self) -> tuple[int, ...]:
        """Where the loops' ends stand among the operations."""
        return tuple(i for i, operation in enumerate(self.operations) if isinstance(operation, Repeat))

    def steps(self) -> tuple[Step, ...]:
        return tuple(operation for operation in self.operations if isinstance(operation, Step))

    @property
    def cycles_planned(self) -> int:
        """How many cycles the whole program counts: a cycle begins where the first direction comes again."""
        parts: list[tuple[int, _Course]] = []  # with the operation that each begins at
        for index, operation in enumerate(self.operations):
            if isinstance(operation, Step):
                direction = DIRECTIONS.get(operation.kind, 0)
                parts.append((index, _Course(direction, direction)))
                continue
            body = _Course()
            while parts and parts[-1][0] >= operation.start:
                body = parts.pop()[1].then(body)
            parts.append((operation.start, body.times(operation.count)))
        whole = functools.reduce(_Course.then, (course for _, course in parts), _Course())
        return 0 if whole.first == 0 else 1 + (whole.rises if whole.first > 0 else whole.falls)


DIRECTIONS: Mapping[Kind, int] = {Kind.CHARGE: 1, Kind.DISCHARGE: -1}
"""Of the current; other kinds have none of their own."""


@dataclass(frozen=True, slots=True)
class CycleCount:
    """Cycles as a run goes on: a new one begins where the run's first direction comes again after the other one."""

    cycle: int = 1
    first_direction: int = 0  # +1 or -1 once the run has driven the cell
    direction: int = 0  # the last one driven

    def entering(self, kind: Kind) -> CycleCount:
        direction = DIRECTIONS.get(kind, 0)
        first = self.first_direction or direction
        again = direction != 0 and direction == first and self.direction == -first
        return CycleCount(self.cycle + again, first, direction or self.direction)


@dataclass(frozen=True, slots=True)
class _Course:
    """How the direction goes in a part of a program; 0 where nothing drives the cell."""

    first: int = 0
    last: int = 0
    rises: int = 0  # from discharge to charge
    falls: int = 0

    def then(self, other: _Course) -> _Course:
        return self._joined(other, 1, 1)

    def times(self, count: int) -> _Course:
        return self._joined(self, count - 1, count - 1)

    def _joined(self, other: _Course, others: int, joints: int) -> _Course:
        rises = joints if (self.last, other.first) == (-1, 1) else 0
        falls = joints if (self.last, other.first) == (1, -1) else 0
        return _Course(
            first=self.first or other.first,
            last=other.last or self.last,
            rises=self.rises + others * other.rises + rises,
            falls=self.falls + others * other.falls + falls,
        )
