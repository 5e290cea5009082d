"""Series and directions from the order of the forces, where a table does not state them; bursts from its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

SAME_FORCE = 0.005  # relative: rows nearer than this were taken at one load
SAME_RESISTANCE = 0.02  # relative: further apart, the load was applied anew between two rows
BURST_GAP_S = 60.0
REVERSALS = (0.01, 0.03, 0.1)  # of the largest force: what counts as a change of direction, the finest first
RECORDING = 1000  # rows; more are a recording with its noise, where the finest reversal means nothing


@dataclass(frozen=True, slots=True)
class Order:
    """For each row its series, from 1, and whether it was reached from above. `known`: the forces have an order."""

    series: Ints
    down: Bools
    known: bool = True


@dataclass(frozen=True, slots=True)
class _Leg:
    """Rows first..last, in one direction; `levels` is how many forces it has."""

    first: int
    last: int
    down: bool
    levels: int


def infer(forces: Floats) -> Order:
    """From turning points: a new series begins where the force rises again after it fell, or is back at its start."""
    starts = _plateaus(forces)
    heights = np.array([forces[a:b].mean() for a, b in _spans(starts, len(forces))])
    for share in REVERSALS[len(forces) > RECORDING :]:
        legs = _legs(starts, _turns(heights, share * heights.max()), heights, len(forces))
        if len(legs) <= 2 or sum(leg.levels for leg in legs) >= 3 * len(legs):
            return _numbered(legs, len(forces))
    return Order(np.ones(len(forces), np.int64), np.zeros(len(forces), np.bool_), known=False)


def series_of_directions(forces: Floats, down: Bools) -> Ints:
    """Series where the table states directions alone."""
    number, start = 1, forces[0]
    numbers = [1]
    for before, now in zip(range(len(forces) - 1), range(1, len(forces)), strict=True):
        turned = down[before] != down[now]
        if turned and down[before]:
            number, start = number + 1, forces[now]
        elif turned:
            start = forces[now]
        else:
            back = forces[now] < forces[before] if not down[now] else forces[now] > forces[before]
            at_start = forces[now] <= 1.5 * start if not down[now] else forces[now] >= start / 1.5
            if back and at_start and abs(forces[now] - forces[before]) > 0.1 * max(forces[now], forces[before]):
                number, start = number + 1, forces[now]
        numbers.append(number)
    return np.array(numbers, np.int64)


def bursts(keys: Ints, forces: Floats, resistances: Floats, times: Floats | None) -> Iterator[tuple[int, int]]:
    """Rows first..last (exclusive) that make one point.

    They follow each other directly, have the same key (series, direction and so on), the same force within 0.5 % and
    the same resistance within 2 %: what scatters more was loaded anew in between, and is a point of its own.
    """
    key, force, ohm = keys.tolist(), forces.tolist(), resistances.tolist()
    time = times.tolist() if times is not None else None
    first, least, most = 0, ohm[0], ohm[0]
    for row in range(1, len(force)):
        least_now, most_now = min(least, ohm[row]), max(most, ohm[row])
        if (
            key[row] == key[first]
            and abs(force[row] - force[first]) <= SAME_FORCE * force[first]
            and most_now <= least_now * (1 + SAME_RESISTANCE)
            and not (time and time[row] - time[row - 1] > BURST_GAP_S)
        ):
            least, most = least_now, most_now
        else:
            yield first, row
            first, least, most = row, ohm[row], ohm[row]
    yield first, len(force)


def _plateaus(forces: Floats) -> list[int]:
    """Where each run of equal forces begins."""
    starts, level = [0], float(forces[0])
    for row, force in enumerate(forces.tolist()):
        if abs(force - level) > SAME_FORCE * max(abs(force), abs(level)):
            starts.append(row)
            level = force
    return starts


def _spans(starts: list[int], rows: int) -> Iterator[tuple[int, int]]:
    return zip(starts, [*starts[1:], rows], strict=True)


def _turns(heights: Floats, reversal: float) -> list[int]:
    """Plateaus at which the direction changes for good: by more than `reversal`."""
    low = high = extreme = 0
    rising: bool | None = None
    turns: list[int] = []
    for index, height in enumerate(heights.tolist()):
        if rising is None:
            low = index if height < heights[low] else low
            high = index if height > heights[high] else high
            if height - heights[low] > reversal:
                rising, extreme = True, index
            elif heights[high] - height > reversal:
                rising, extreme = False, index
        elif (height >= heights[extreme]) == rising:
            extreme = index
        elif abs(height - heights[extreme]) > reversal:
            turns.append(extreme)
            rising, extreme = not rising, index
    return turns


def _legs(starts: list[int], turns: list[int], heights: Floats, rows: int) -> list[_Leg]:
    """A plateau at a turn belongs to the leg before it; one of about twice the usual length is shared out."""
    spans = list(_spans(starts, rows))
    usual = float(np.median([b - a for a, b in spans]))
    legs: list[_Leg] = []
    first, level = 0, 0
    for turn in turns:
        start, end = spans[turn]
        shared = end - start >= 1.5 * usual and end - start >= 2
        last = (start + end + 1) // 2 if shared else end
        legs.append(_Leg(first, last, bool(heights[turn] < heights[level]), turn - level + (not legs)))
        first, level = last, turn
    last_level = len(heights) - 1
    legs.append(_Leg(first, rows, bool(heights[last_level] < heights[level]), last_level - level + (not legs)))
    return list(_without_returns([leg for leg in legs if leg.last > leg.first]))


def _without_returns(legs: list[_Leg]) -> Iterator[_Leg]:
    """A leg of one force leads back to the start of the next, and belongs to it."""
    pending: _Leg | None = None
    for index, leg in enumerate(legs):
        start, levels = (pending.first, leg.levels + 1) if pending else (leg.first, leg.levels)
        pending = None
        whole = _Leg(start, leg.last, leg.down, levels)
        if leg.levels == 1 and levels == 1 and 0 < index < len(legs) - 1:
            pending = whole
        else:
            yield whole


def _numbered(legs: list[_Leg], rows: int) -> Order:
    series, down = np.ones(rows, np.int64), np.zeros(rows, np.bool_)
    number = 1
    for before, leg in zip([None, *legs[:-1]], legs, strict=True):
        if before is not None and not (leg.down and not before.down):
            number += 1
        series[leg.first : leg.last], down[leg.first : leg.last] = number, leg.down
    return Order(series, down)
