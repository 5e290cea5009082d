"""Charge and energy from one reading to the next.

By the trapezoid rule on time stamps, or, where they came with the readings, by the sums that the station kept of every
sample. Where a trapezoid spans a change of the current's sign, each side of the zero crossing counts for its own
direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from station.analysis.errors import AnalysisError
from station.analysis.record import Floats, Record, as_record

if TYPE_CHECKING:
    import pandas as pd

REST_SHARE = 1e-4
"""Of the largest current; less is taken for rest where nothing else is stated."""


class Direction(StrEnum):
    CHARGE = "charge"
    DISCHARGE = "discharge"

    @property
    def sign(self) -> int:
        return 1 if self is Direction.CHARGE else -1

    @property
    def other(self) -> Direction:
        return Direction.DISCHARGE if self is Direction.CHARGE else Direction.CHARGE


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """What passed from each row to the next, told at the later of both; direction 0 is rest."""

    charge_Ah: Floats  # signed
    energy_Wh: Floats  # signed
    seconds: Floats
    direction: NDArray[np.int8]
    rest_A: float


def flow(data: Record | pd.DataFrame, rest_current_A: float | None = None) -> Flow:
    """Charge and energy between rows; a mean current of at most `rest_current_A` is rest.

    Without it, `REST_SHARE` of the largest current. Raises AnalysisError where no current flows at all.
    """
    record = as_record(data)
    return _flow(record, resting_A(record, rest_current_A))


def resting_A(record: Record, given_A: float | None) -> float:
    """Up to which magnitude a current is rest. Raises AnalysisError where none is larger."""
    largest_A = max(float(record.current_A.max()), -float(record.current_A.min()))
    rest_A = REST_SHARE * largest_A if given_A is None else given_A
    if largest_A <= rest_A:
        raise AnalysisError(f"no current above {rest_A:g} A flows in these {len(record)} readings")
    return rest_A


def _flow(record: Record, rest_A: float) -> Flow:
    charge_Ah, energy_Wh, seconds = _between_samples(record) if record.integrated else _trapezoids(record)
    threshold_Ah = seconds * (rest_A / 3600)
    direction = (charge_Ah > threshold_Ah).view(np.int8) - (charge_Ah < -threshold_Ah).view(np.int8)
    return Flow(charge_Ah, energy_Wh, seconds, direction, rest_A)


def flow_of_rows(record: Record, first: int, end: int, rest_A: float) -> Flow:
    """As within the whole record: what passed at its edges needs the rows beside them."""
    passed = _flow(record.rows(max(0, first - 1), end + 1), rest_A)
    inner = slice(min(first, 1), min(first, 1) + end - first)
    return Flow(
        passed.charge_Ah[inner], passed.energy_Wh[inner], passed.seconds[inner], passed.direction[inner], rest_A
    )


def _between_samples(record: Record) -> tuple[Floats, Floats, Floats]:
    """From sums within each step that came with the readings."""
    assert record.step is not None and record.step_time_s is not None
    assert record.step_capacity_Ah is not None and record.step_energy_Wh is not None
    begins = np.flatnonzero(record.step[1:] != record.step[:-1]) + 1
    found = []
    for sums in (record.step_capacity_Ah, record.step_energy_Wh, record.step_time_s):
        between = np.empty_like(sums)
        between[0] = sums[0]
        np.subtract(sums[1:], sums[:-1], out=between[1:])
        between[begins] = sums[begins]
        found.append(between)
    return found[0], found[1], found[2]


def _trapezoids(record: Record) -> tuple[Floats, Floats, Floats]:
    amperes, volts = record.current_A, record.voltage_V
    seconds = np.empty(len(record))
    seconds[0] = 0.0
    np.subtract(record.time_s[1:], record.time_s[:-1], out=seconds[1:])
    charge_Ah = _trapezoid(amperes, seconds)
    energy_Wh = _trapezoid(amperes * volts, seconds)
    for row in np.flatnonzero(_reverses(amperes)) + 1:  # few: where the current changes its sign within one interval
        before_A, after_A = amperes[row - 1], amperes[row]
        hours = seconds[row] / 3600 / (abs(before_A) + abs(after_A))
        ended_Ah, begun_Ah = before_A * abs(before_A) * hours / 2, after_A * abs(after_A) * hours / 2
        charge_Ah[row], energy_Wh[row] = begun_Ah, begun_Ah * volts[row]
        charge_Ah[row - 1] += ended_Ah
        energy_Wh[row - 1] += ended_Ah * volts[row - 1]
    return charge_Ah, energy_Wh, seconds


def _trapezoid(rate: Floats, seconds: Floats) -> Floats:
    sums = np.empty_like(rate)
    sums[0] = 0.0
    np.add(rate[1:], rate[:-1], out=sums[1:])
    sums *= seconds
    sums /= 7200
    return sums


def _reverses(amperes: Floats) -> NDArray[np.bool_]:
    positive, negative = amperes > 0, amperes < 0
    return (positive[1:] & negative[:-1]) | (negative[1:] & positive[:-1])
