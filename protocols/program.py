"""A protocol made ready for one cell: SI numbers only, flat, with jumps for loops."""

from __future__ import annotations

import math
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
        """How many pairs of charge and discharge the program holds, loops counted in full."""
        half_cycles = 0
        for index, operation in enumerate(self.operations):
            if isinstance(operation, Step) and operation.kind in (Kind.CHARGE, Kind.DISCHARGE):
                loops_around = (repeat for i in self.loops if (repeat := self._repeat(i)).start <= index < i)
                half_cycles += math.prod(repeat.count for repeat in loops_around)
        return (half_cycles + 1) // 2

    def _repeat(self, index: int) -> Repeat:
        repeat = self.operations[index]
        assert isinstance(repeat, Repeat)
        return repeat
