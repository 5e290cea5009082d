"""Half-cycles: what a cell takes up in one direction, and gives back in the other.

    Q = ∫|I| dt        charge in Ah, by the trapezoid rule on time stamps, or as the station integrated every sample
    E = ∫V|I| dt       energy in Wh
    V̄ = E/Q            mean voltage in V, weighted by charge

Rests are excluded, from charge and from durations. The charge of a closing hold at constant voltage is included, and
reported separately. Where a trapezoid spans a change of the current's sign, each side of the zero crossing counts for
its own direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from station.analysis.errors import AnalysisError
from station.analysis.flow import Direction, Flow, flow_of_rows, resting_A
from station.analysis.record import Floats, Ints, Record, as_record

if TYPE_CHECKING:
    import pandas as pd

HOLD_TOLERANCE_V = 2e-3
"""How far a voltage may be from the half-cycle's last extreme, and still be held there."""
HELD_CURRENT_SHARE = 0.9
"""A current that ends below this share of its beginning has fallen, as it does while the voltage is held."""
CONSTANT_CURRENT_SHARE = 0.99
"""Near the hold's voltage, the current has not begun to fall before it is below this share."""
TRIFLE = 1e-4
"""Of the largest charge between two reversals: one that passes less is noise, and counts in what it interrupts."""

BLOCK = 200_000
"""Rows worked on at once."""


@dataclass(frozen=True, slots=True)
class HalfCycle:
    """Magnitudes; voltages are those measured while current flowed."""

    number: int  # from 1 within the record
    cycle: int
    direction: Direction
    first_row: int  # of the record; rows of rest and of the other direction may lie between
    end_row: int  # one beyond the last
    start_s: float
    end_s: float
    duration_s: float  # with current
    capacity_Ah: float
    hold_capacity_Ah: float  # of that, what passed while the voltage was held at the end
    energy_Wh: float
    half_capacity_voltage_V: float  # where half of the capacity had passed
    first_voltage_V: float
    last_voltage_V: float
    constant_current_A: float  # mean magnitude before the hold

    @property
    def mean_voltage_V(self) -> float:
        """E/Q."""
        return self.energy_Wh / self.capacity_Ah if self.capacity_Ah else float("nan")


def half_cycles(
    data: Record | pd.DataFrame,
    *,
    rest_current_A: float | None = None,
    hold_tolerance_V: float = HOLD_TOLERANCE_V,
) -> tuple[HalfCycle, ...]:
    """The half-cycles, in the order begun.

    Where the record numbers its cycles, a half-cycle is all that passed in one direction within a cycle, pulses in the
    other direction left to that one. Otherwise a half-cycle ends where the current turns, and a cycle where the first
    half-cycle's direction comes again. Raises AnalysisError where no current flows or the cycles' numbers fall.
    """
    record = as_record(data)
    rest_A = resting_A(record, rest_current_A)
    cycles = _counted(record, rest_A) if record.cycle is None else _as_numbered(record.cycle)
    found: list[HalfCycle] = []
    for block in cycles.blocks():
        passed = flow_of_rows(record, block.first, block.end, rest_A)
        if cycles.direction is not None:
            passed.direction[:] = cycles.direction[block.first : block.end]
        for direction in Direction:
            found += _in_direction(record, passed, block, direction, hold_tolerance_V)
    if not found:
        raise AnalysisError(f"no charge passes in these {len(record)} readings: a current needs two of them, one later")
    found.sort(key=lambda half: half.first_row)
    return tuple(replace(half, number=number) for number, half in enumerate(found, 1))


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Some whole cycles: rows, and for each row the cycle's number."""

    first: int
    end: int
    cycle: Ints


@dataclass(frozen=True, slots=True, eq=False)
class _Cycles:
    first_rows: Ints
    numbers: Ints
    rows: int
    direction: NDArray[np.int8] | None  # of each row; None where that of the current holds

    def blocks(self) -> Iterator[_Block]:
        """Of about `BLOCK` rows: small enough for a computer's cache, and for its memory."""
        ends = np.concatenate((self.first_rows[1:], [self.rows]))
        first = 0
        while first < len(ends):
            begin = int(self.first_rows[first])
            end = min(len(ends), max(first + 1, int(np.searchsorted(ends, begin + BLOCK, "right"))))
            lengths = ends[first:end] - self.first_rows[first:end]
            yield _Block(begin, int(ends[end - 1]), np.repeat(self.numbers[first:end], lengths))
            first = end


def _as_numbered(cycle: Ints) -> _Cycles:
    falls = cycle[1:] < cycle[:-1]
    if falls.any():
        row = int(np.argmax(falls)) + 1
        raise AnalysisError(
            f"the cycle falls from {cycle[row - 1]} to {cycle[row]} at reading {row + 1}; "
            "leave this column out, and cycles are counted by the direction of the current"
        )
    first_rows = np.concatenate(([0], np.flatnonzero(cycle[1:] != cycle[:-1]) + 1))
    return _Cycles(first_rows, cycle[first_rows], len(cycle), None)


def _counted(record: Record, rest_A: float) -> _Cycles:
    """By the direction of the current; noise that reverses nothing joins what it interrupts."""
    direction, starts, charge_Ah = _runs(record, rest_A)
    signs = direction[starts].astype(np.int64)
    signs[np.abs(charge_Ah) < TRIFLE * np.abs(charge_Ah).max()] = 0
    trifles = (signs == 0) & (direction[starts] != 0)
    if trifles.any():
        _join(direction, starts, signs, trifles)
    driven = np.flatnonzero(signs)
    turns = np.flatnonzero(np.diff(signs[driven])) + 1  # among the driven runs
    begins = driven[turns[1::2]]  # the first direction comes again
    first_rows = np.concatenate(([0], starts[begins]))
    return _Cycles(first_rows, np.arange(1, len(first_rows) + 1), len(record), direction)


def _runs(record: Record, rest_A: float) -> tuple[NDArray[np.int8], Ints, Floats]:
    """The direction of each row, where a run of one direction starts, and its charge."""
    direction = np.empty(len(record), np.int8)
    starts, charges = [], []
    for first in range(0, len(record), BLOCK):
        passed = flow_of_rows(record, first, min(first + BLOCK, len(record)), rest_A)
        direction[first : first + BLOCK] = passed.direction
        begins = np.concatenate(([0], np.flatnonzero(passed.direction[1:] != passed.direction[:-1]) + 1))
        starts.append(first + begins)
        charges.append(np.add.reduceat(passed.charge_Ah, begins))
    return direction, np.concatenate(starts), np.concatenate(charges)


def _join(direction: NDArray[np.int8], starts: Ints, signs: Ints, trifles: NDArray[np.bool_]) -> None:
    """Give trifles the direction of the driven run before them, or of the first one."""
    before = np.maximum.accumulate(np.where(signs != 0, np.arange(len(signs)), -1))
    before[before < 0] = int(np.argmax(signs != 0))
    joined = np.where(trifles, signs[before], direction[starts]).astype(np.int8)
    direction[:] = np.repeat(joined, np.diff(np.concatenate((starts, [len(direction)]))))


@dataclass(frozen=True, slots=True, eq=False)
class _Driven:
    """Rows of one direction, with signs as of a charge; half-cycles one after the other."""

    row: Ints  # of the record
    charge_Ah: Floats
    total_Ah: Floats  # of them all so far
    energy_Wh: Floats
    seconds: Floats
    volts: Floats
    amperes: Floats
    on: NDArray[np.bool_]  # not where the cell has come to rest since the row before
    starts: Ints  # of each half-cycle, among these rows
    ends: Ints


def _in_direction(
    record: Record, passed: Flow, block: _Block, direction: Direction, hold_tolerance_V: float
) -> list[HalfCycle]:
    """One half-cycle for each cycle of the block in which current flowed this way."""
    sign = direction.sign
    within = np.flatnonzero(passed.direction == sign)
    if not len(within):
        return []
    numbers, rows = block.cycle[within], within + block.first
    starts = np.concatenate(([0], np.flatnonzero(numbers[1:] != numbers[:-1]) + 1))
    charge_Ah, amperes = sign * passed.charge_Ah[within], sign * record.current_A[rows]
    driven = _Driven(
        rows,
        charge_Ah,
        np.cumsum(charge_Ah),
        sign * passed.energy_Wh[within],
        passed.seconds[within],
        record.voltage_V[rows],
        amperes,
        amperes > passed.rest_A,
        starts,
        np.concatenate((starts[1:], [len(rows)])),
    )
    columns = {
        "cycle": numbers[starts],
        "end_row": rows[driven.ends - 1] + 1,
        "end_s": record.time_s[rows[driven.ends - 1]],
        **_beginnings(record, driven, sign, passed.rest_A),
        **_amounts(driven, _holds(driven, sign, hold_tolerance_V)),
        **_voltages(driven),
    }
    lists = (values.tolist() for values in columns.values())
    return [
        HalfCycle(number=0, direction=direction, **dict(zip(columns, values, strict=True)))
        for values in zip(*lists, strict=True)
    ]


def _beginnings(record: Record, driven: _Driven, sign: int, rest_A: float) -> dict[str, NDArray[Any]]:
    """Charge passes from the row before the first one on, unless that was of another step."""
    first = driven.row[driven.starts]
    before = np.maximum(first - 1, 0)
    if record.step is not None and record.integrated:
        before = np.where(record.step[before] == record.step[first], before, first)
    on = sign * record.current_A[before] > rest_A
    next_on = np.minimum.reduceat(np.where(driven.on, driven.row, driven.row[-1]), driven.starts)
    return {
        "first_row": before,
        "start_s": record.time_s[before],
        "first_voltage_V": record.voltage_V[np.where(on, before, next_on)],
    }


def _amounts(driven: _Driven, hold: Ints) -> dict[str, NDArray[Any]]:
    """Sums over each half-cycle, and over its closing hold, which begins with the rows `hold`."""
    starts, ends = driven.starts, driven.ends
    capacity_Ah, seconds = np.add.reduceat(driven.charge_Ah, starts), np.add.reduceat(driven.seconds, starts)
    hold_Ah, hold_s = _sums(driven.charge_Ah, hold, ends), _sums(driven.seconds, hold, ends)
    with np.errstate(divide="ignore", invalid="ignore"):
        constant_A = 3600 * (capacity_Ah - hold_Ah) / (seconds - hold_s)
    return {
        "duration_s": seconds,
        "capacity_Ah": capacity_Ah,
        "hold_capacity_Ah": hold_Ah,
        "energy_Wh": np.add.reduceat(driven.energy_Wh, starts),
        "constant_current_A": constant_A,
    }


def _voltages(driven: _Driven) -> dict[str, NDArray[Any]]:
    places, starts = np.arange(len(driven.row)), driven.starts
    last_on = np.maximum.reduceat(np.where(driven.on, places, 0), starts)
    before_Ah = driven.total_Ah[starts] - driven.charge_Ah[starts]
    half_Ah = (before_Ah + driven.total_Ah[driven.ends - 1]) / 2
    return {
        "half_capacity_voltage_V": _at(half_Ah, driven.total_Ah, driven.volts, starts, driven.ends),
        "last_voltage_V": driven.volts[last_on],
    }


def _holds(driven: _Driven, sign: int, tolerance_V: float) -> Ints:
    """Where each half-cycle's closing hold begins; its end where there is none.

    The voltage stays within the tolerance of its extreme from there to the end, and the current falls meanwhile.
    """
    volts, starts, ends = sign * driven.volts, driven.starts, driven.ends
    limit_V = np.maximum.reduceat(np.where(driven.on, volts, -np.inf), starts)
    outside = volts < np.repeat(limit_V - tolerance_V, ends - starts)
    outside &= driven.on
    places = np.arange(len(volts))
    first = np.maximum(np.maximum.reduceat(np.where(outside, places, -1), starts) + 1, starts)
    last = np.maximum.reduceat(np.where(driven.on, places, -1), starts)
    constant_A = driven.amperes[np.minimum(first, last)]
    falls = (last > first) & (driven.amperes[last] < HELD_CURRENT_SHARE * constant_A)
    constant = driven.amperes >= CONSTANT_CURRENT_SHARE * np.repeat(constant_A, ends - starts)
    first = np.maximum(first, np.maximum.reduceat(np.where(constant, places, -1), starts))
    return np.where(falls, first + 1, ends)  # what passed up to the hold's first row was at constant current


def _sums(values: Floats, first: Ints, end: Ints) -> Floats:
    """Of `values[first:end]` for each pair; the pairs rise."""
    found = np.zeros(len(first))
    some = first < end
    if some.any():
        edges = np.column_stack((first[some], end[some])).ravel()
        found[some] = np.add.reduceat(values, edges if edges[-1] < len(values) else edges[:-1])[::2]
    return found


def _at(wanted: Floats, rising: Floats, values: Floats, starts: Ints, ends: Ints) -> Floats:
    """`values` where `rising` reaches what is `wanted`, on the straight line between two rows of a half-cycle."""
    after = np.clip(np.searchsorted(rising, wanted), starts, ends - 1)
    before = np.maximum(after - 1, starts)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (wanted - rising[before]) / (rising[after] - rising[before])
    share = np.where(np.isfinite(share), np.clip(share, 0.0, 1.0), 1.0)
    found: Floats = values[before] + share * (values[after] - values[before])
    return found
