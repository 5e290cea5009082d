"""What makes no calibration, and what can be used but should be known.

Limits are wide, so that published data of cheap sensors pass: few points, one series, few digits, noise. They are to
find what a person does wrong: columns swapped, another unit, a meter that hangs, a sensor that does not answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.data import Dataset, Direction, Point

Floats = NDArray[np.float64]
FEWEST_FORCES = 5
NARROWEST = 3.0  # largest force over the least
OHMS = (10.0, 1e9)  # of a pressure sensor
NEWTONS = (1e-3, 1e5)
OVERLOAD_OHM = 9e36
SAME_LEVEL = 0.02  # of ln F
WORST_NOISE = 0.7  # rank correlation of resistance and force that is still a response
NOISE_FACTOR = 5.7  # four standard deviations of a difference
LEAST_RISE = 0.03  # of ln R: smaller ones are never a problem, nor those below twice the noise
FEW_LEVELS = 12  # with fewer the noise is not well known, and taken as
MOST_NOISE = 0.07  # of ln R, at most
_SCALES = {1e-9: "G", 1e-6: "M", 1e-3: "k", 1e3: "k", 1e6: "M", 1e9: "G"}


@dataclass(frozen=True, slots=True)
class _Leg:
    """One way of one series, by rising force: a level is the geometric mean of points within 2 % in force."""

    series: int
    direction: Direction
    x: Floats  # ln F
    y: Floats  # ln R
    members: tuple[tuple[Point, ...], ...]

    def says(self, level: int) -> str:
        point = self.members[level][0]
        return f"{_place(point)} ({point.force_N:.4g} N, {_ohms(point.resistance_ohm)})"


def problems(dataset: Dataset) -> tuple[str, ...]:
    """Each in a sentence, with the places; empty where a calibration can be made."""
    points = dataset.used()
    if not points:
        return ("there is no point to be used",)
    if overloads := [point for point in points if point.resistance_ohm >= OVERLOAD_OHM]:
        where = ", ".join(_place(point) for point in overloads[:5])
        return (f"{where}: overload (open circuit) is no resistance; mark with a reason or measure again",)
    amounts = tuple(_amounts(points))
    if magnitudes := tuple(_magnitudes(points)):
        return (*magnitudes, *amounts)
    legs = _legs(points)
    if amounts:
        return (*amounts, *_response(points))
    return (*_response(points), *_stuck(legs), *_rises(legs))


def warnings(dataset: Dataset) -> tuple[str, ...]:
    """Of how the forces cover the range; what the budget lacks is said by the evaluation."""
    points = dataset.used()
    found = []
    if points and all(point.direction is Direction.DOWN for point in points):
        found.append("decreasing series only: the curve is that of unloading")
    forces = np.exp(_levels(points))
    if 1 < len(forces) < 8:
        found.append(f"{len(forces)} forces only; eight or more are usual")
    gaps = np.diff(np.log(forces))
    if len(gaps) > 2 and gaps.max() > max(math.log(3.0), 3 * float(np.median(gaps))):
        at = int(gaps.argmax())
        found.append(f"uneven coverage: nothing between {forces[at]:.4g} N and {forces[at + 1]:.4g} N")
    return tuple(found)


def look_swapped(force_numbers: Floats, resistance_numbers: Floats) -> bool:
    """Numbers as they stand in a table, all above zero: a series that begins by falling, and rounder 'resistances'."""
    if len(force_numbers) < 5 or len({*resistance_numbers}) < 3:
        return False
    falls_first = (
        force_numbers[0] > 0.8 * force_numbers.max() and resistance_numbers[0] < 1.25 * resistance_numbers.min()
    )
    digits_f, digits_r = (np.mean([_digits(v) for v in column[:200]]) for column in (force_numbers, resistance_numbers))
    return bool(falls_first and digits_f - digits_r > 0.7 and len({*resistance_numbers}) <= len({*force_numbers}))


# --- how many, how large


def _amounts(points: Sequence[Point]) -> Iterator[str]:
    forces = _levels(points)
    if len(forces) < FEWEST_FORCES:
        yield f"{len(forces)} different force{'s' * (len(forces) != 1)}; at least {FEWEST_FORCES} are needed"
    values = [point.force_N for point in points]
    ratio = max(values) / min(values)
    if len(forces) > 1 and ratio < NARROWEST:
        yield (
            f"the forces span {min(values):.4g} N to {max(values):.4g} N, a factor of {ratio:.3g}; "
            f"at least {NARROWEST:g} is needed to tell the response"
        )
    counts = {number: [p for p in points if p.series == number] for number in sorted({p.series for p in points})}
    singles = [(number, those[0]) for number, those in counts.items() if len(those) == 1]
    if len(counts) > 1:
        for number, point in singles[:5]:
            yield f"series {number} has a single point ({_place(point)}); measure it, or exclude it with a reason"


def _magnitudes(points: Sequence[Point]) -> Iterator[str]:
    """Units that cannot be right."""
    force, ohm = (_geometric([getattr(p, name) for p in points]) for name in ("force_N", "resistance_ohm"))
    largest = max(point.force_N for point in points)
    ohms = [point.resistance_ohm for point in points]
    force_wrong = largest > NEWTONS[1] or force < NEWTONS[0]
    ohm_wrong = min(ohms) < OHMS[0] or max(ohms) > OHMS[1]
    swapped_fits = OHMS[0] <= force <= OHMS[1] and NEWTONS[0] <= ohm <= NEWTONS[1]
    if (force_wrong or ohm_wrong or force > 100 * ohm) and swapped_fits and force > 1e3:
        yield (
            f"the columns of force and resistance look swapped: forces around {force:.3g} N and resistances around "
            f"{_ohms(ohm)} would make sense the other way round"
        )
    if force_wrong:
        value = largest if largest > NEWTONS[1] else force
        yield f"forces of {value:.3g} N are implausible for a pressure sensor{_fitting(force, 'N', 0.1, 1e3)}"
    if ohm_wrong:
        yield f"resistances around {ohm:.3g} Ω are implausible for a pressure sensor{_fitting(ohm, 'Ω', 1e3, 1e7)}"


def _fitting(value: float, unit: str, low: float, high: float) -> str:
    """The unit that would bring `value` nearest to what such sensors have."""
    middle = math.sqrt(low * high)
    scale = min(_SCALES, key=lambda factor: abs(math.log(value * factor / middle)))
    stated, right = (_SCALES[scale] + unit, unit) if scale < 1 else (unit, _SCALES[scale] + unit)
    return f"; is the unit wrong? {right} where {stated} is stated would give {value * scale:.3g} {unit}"


def _response(points: Sequence[Point]) -> Iterator[str]:
    """Resistance falls with force, or this is something else."""
    x = np.log([point.force_N for point in points])
    y = np.log([point.resistance_ohm for point in points])
    if len(x) < 3 or np.ptp(x) == 0:
        return
    if np.ptp(y) <= 1e-12:
        yield f"one resistance ({_ohms(points[0].resistance_ohm)}) at all forces: the meter is stuck, or not connected"
        return
    correlation = float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])
    if correlation > 0.5:
        yield (
            "resistance rises with force, and that of a pressure sensor falls: the columns look swapped, or the one "
            "called resistance is a conductance or a divider's voltage"
        )
    elif correlation > -WORST_NOISE:
        yield (
            f"resistance does not follow the force (rank correlation {correlation:.2f}, −1 is expected): the series "
            "are not monotone; look at contact, fixture and columns"
        )


# --- along a leg


def _rises(legs: Sequence[_Leg]) -> Iterator[str]:
    """Where resistance rises with force beyond the noise, and other series do not show that it is an outlier."""
    noise = _noise(legs)
    slope = max(0.0, -float(np.median([(leg.y[-1] - leg.y[0]) / (leg.x[-1] - leg.x[0]) for leg in legs] or [0.0])))
    for leg in legs:
        own = noise if len(leg.x) >= FEW_LEVELS else min(noise, MOST_NOISE)
        rises, falls = np.diff(leg.y), slope * np.diff(leg.x)
        large = (rises > max(LEAST_RISE, 2 * own)) & (rises + falls > NOISE_FACTOR * own)
        found = [int(i) for i in np.flatnonzero(large)]
        for i in [i for i in found if not _is_outlier(leg, i, legs)][:5]:
            yield (
                f"series {leg.series}, {leg.direction}: not monotone: resistance rises with force from {leg.says(i)} "
                f"to {leg.says(i + 1)}; measure again, or exclude the wrong point with a reason"
            )


def _is_outlier(leg: _Leg, at: int, legs: Sequence[_Leg]) -> bool:
    """Two others or more cover these forces, and their resistance falls there."""
    falling = 0
    for other in legs:
        if other is leg or not other.x[0] - SAME_LEVEL <= leg.x[at] <= leg.x[at + 1] <= other.x[-1] + SAME_LEVEL:
            continue
        low, high = np.interp(leg.x[at : at + 2], other.x, other.y)
        falling += bool(high < low)
    return falling >= 2


def _noise(legs: Sequence[_Leg]) -> float:
    """Of ln R: from how far each level lies off the line through its neighbours; a low quantile, against outliers."""
    off: list[float] = []
    for leg in legs:
        if len(leg.x) >= 3:
            share = (leg.x[1:-1] - leg.x[:-2]) / (leg.x[2:] - leg.x[:-2])
            expected = leg.y[:-2] + share * (leg.y[2:] - leg.y[:-2])
            off += np.abs((leg.y[1:-1] - expected) / np.sqrt(1 + share**2 + (1 - share) ** 2)).tolist()
    return float(np.quantile(off, 0.25)) / 0.319 if off else 0.0  # 0.319: that quantile of |z|, z standard normal


def _stuck(legs: Sequence[_Leg]) -> Iterator[str]:
    """The same resistance to all its digits at two loads, where neighbours tell of a change of many digits.

    And of more than the noise, by which two readings may happen to be alike.
    """
    every = [point.resistance_ohm for leg in legs for level in leg.members for point in level]
    alike = {id(leg): _alike(leg) for leg in legs}
    noise = NOISE_FACTOR * _noise([_without(leg, alike[id(leg)]) for leg in legs])
    for leg in legs:
        for i in alike[id(leg)]:
            ohm, change = math.exp(leg.y[i]), _expected(leg, i)
            if change > noise and ohm * -math.expm1(-change / 2) > 8 * _resolution(ohm, every):
                yield (
                    f"series {leg.series}, {leg.direction}: {leg.says(i)} and {leg.says(i + 1)} have one resistance "
                    "to all digits: a stuck reading; measure again, or exclude it with a reason"
                )


def _alike(leg: _Leg) -> list[int]:
    """Levels whose resistance is that of the next."""
    same = (np.abs(np.diff(leg.y)) <= 1e-9) & (np.diff(leg.x) >= math.log(1.1))
    return [int(i) for i in np.flatnonzero(same)]


def _without(leg: _Leg, alike: Sequence[int]) -> _Leg:
    keep = [i for i in range(len(leg.x)) if i not in alike and i - 1 not in alike]
    return replace(leg, x=leg.x[keep], y=leg.y[keep], members=tuple(leg.members[i] for i in keep))


def _expected(leg: _Leg, i: int) -> float:
    """By how much ln R should fall from level i to the next, by the levels around; half of it at an end."""
    low, high = max(0, i - 1), min(len(leg.x) - 1, i + 2)
    steps = [(leg.y[a] - leg.y[b]) / (leg.x[b] - leg.x[a]) for a, b in ((low, i), (i + 1, high)) if b > a]
    slope = min(steps) if len(steps) == 2 else steps[0] / 2 if steps else 0.0
    return float(max(0.0, slope) * (leg.x[i + 1] - leg.x[i]))


def _resolution(ohm: float, every: Sequence[float]) -> float:
    """One of the last digit that is given near this resistance."""
    near = max((_digits(other) for other in every if ohm / 10 < other < ohm * 10), default=1)
    return float(10.0 ** (math.floor(math.log10(ohm)) - near + 1))


# --- helpers


def _legs(points: Sequence[Point]) -> list[_Leg]:
    keys = sorted({(point.series, point.direction.value) for point in points})
    return [
        leg
        for series, direction in keys
        if len((leg := _leg([p for p in points if p.series == series and p.direction.value == direction])).x) > 1
    ]


def _leg(points: Sequence[Point]) -> _Leg:
    ordered = sorted(points, key=lambda point: point.force_N)
    levels: list[list[Point]] = []
    for point in ordered:
        if levels and math.log(point.force_N / levels[-1][0].force_N) <= SAME_LEVEL:
            levels[-1].append(point)
        else:
            levels.append([point])
    x = [math.log(_geometric([p.force_N for p in level])) for level in levels]
    y = [float(np.median([math.log(p.resistance_ohm) for p in level])) for level in levels]
    return _Leg(points[0].series, points[0].direction, np.array(x), np.array(y), tuple(map(tuple, levels)))


def _levels(points: Sequence[Point]) -> list[float]:
    """ln F of the different forces."""
    found: list[float] = []
    for x in sorted(math.log(point.force_N) for point in points):
        if not found or x - found[-1] > SAME_LEVEL:
            found.append(x)
    return found


def _ranks(values: Floats) -> Floats:
    """Ties share their mean rank."""
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[at]


def _geometric(values: Sequence[float]) -> float:
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def _digits(value: float) -> int:
    """Significant digits, seven at most."""
    mantissa = f"{value:.6e}".partition("e")[0].replace(".", "").rstrip("0")
    return max(1, len(mantissa))


def _place(point: Point) -> str:
    return point.place or f"series {point.series} at {point.force_N:.4g} N"


def _ohms(value: float) -> str:
    for factor, unit in ((1e6, "MΩ"), (1e3, "kΩ")):
        if value >= factor:
            return f"{value / factor:.4g} {unit}"
    return f"{value:.4g} Ω"
