"""The tables of what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

import numpy as np

from calibration.certificate import figures
from calibration.certificate.rounding import Scale, decimals, rounded, significant
from calibration.document import Column, Table
from calibration.record import Calibration

MOST_STEPS = 200  # load steps; a ramp has thousands
MOST_CREEP_ROWS = 24
NONE = "–"


def evenly(count: int, most: int) -> list[int]:
    """Places of so many of `count`, at the most."""
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))


def readings(calibration: Calibration) -> Iterator[Table]:
    yield _load_steps(calibration)
    if calibration.data.creep:
        yield _creep(calibration)
    if calibration.data.zeros:
        yield _zeros(calibration)


def _load_steps(calibration: Calibration) -> Table:
    points = calibration.data.points
    suspects = set(calibration.evaluation.choice.suspects)
    ohm = Scale.of(statistics.median(point.resistance_ohm for point in points), "Ω")
    timed = any(point.under_load_s is not None for point in points)
    warm = any(point.temperature_degC is not None for point in points)
    rows = []
    places = sorted(
        {*evenly(len(points), MOST_STEPS), *(i for i, point in enumerate(points) if point.excluded), *suspects}
    )
    for index in places:
        point = points[index]
        force, force_spread = _mean(point.force_N, point.forces_N)
        resistances = [each * ohm.factor for each in point.resistances_ohm]
        resistance, spread = _mean(point.resistance_ohm * ohm.factor, resistances)
        row = [str(index + 1), str(point.series), str(point.insertion), point.direction.value, str(len(point.forces_N))]
        row += [force, force_spread, resistance, spread]
        row += [NONE if point.under_load_s is None else significant(point.under_load_s, 3)] * timed
        row += [NONE if point.temperature_degC is None else rounded(point.temperature_degC, 1)] * warm
        row.append("excluded" if point.excluded else "suspect" if index in suspects else "")
        rows.append(tuple(row))
    columns = [
        Column("No.", 0.6),
        Column("Series", 0.75),
        Column("Insertion", 0.95),
        Column("Going", 0.75, number=False),
        Column("n", 0.45),
        Column("Force / N"),
        Column("± / N", 0.85),
        Column(f"Resistance / {ohm.unit}", 1.3),
        Column(f"± / {ohm.unit}", 0.9),
        *[Column("Under load / s", 1.0)] * timed,
        *[Column("Temp. / °C", 0.8)] * warm,
        Column("", 0.95, number=False),
    ]
    marked = tuple(row for row, index in enumerate(places) if points[index].excluded)
    some = f" {len(rows)} of {len(points)}, evenly chosen." if len(rows) < len(points) else ""
    caption = f"Load steps, in the order in which they were taken.{some}"
    return Table(caption, tuple(columns), tuple(rows), marked=marked)


def _mean(mean: float, values: Sequence[float]) -> tuple[str, str]:
    """To the place of the second digit of the standard deviation, which is of the single readings."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    if spread <= 0:
        return significant(mean, 5), NONE
    places = min(decimals(spread), 4)
    return rounded(mean, places), rounded(spread, places)


def _creep(calibration: Calibration) -> Table:
    samples, found = calibration.data.creep, calibration.evaluation.creep
    ohm = Scale.of(samples[0].resistance_ohm, "Ω")
    places = evenly(len(samples), MOST_CREEP_ROWS)
    change = None if found is None else figures.creep_percent(calibration, found)
    rows = [
        (
            significant(samples[place].time_s, 4),
            significant(samples[place].force_N, 4),
            significant(samples[place].resistance_ohm * ohm.factor, 5),
            NONE if change is None else rounded(float(change[place]), 2),
        )
        for place in places
    ]
    some = f" {len(rows)} of {len(samples)} samples." if len(rows) < len(samples) else ""
    columns = (
        Column("Time / s"),
        Column("Force / N"),
        Column(f"Resistance / {ohm.unit}"),
        Column("Change of conductance / %"),
    )
    return Table(f"Creep at constant force.{some}", columns, tuple(rows), width=0.75)


def _zeros(calibration: Calibration) -> Table:
    rows = [
        (
            "conditioning" if zero.series == 0 else f"series {zero.series}",
            "before" if zero.before else "after",
            rounded(zero.force_N, 4),
            "open (overload)" if zero.resistance_ohm is None else significant(zero.resistance_ohm / 1e6, 4),
        )
        for zero in calibration.data.zeros
    ]
    columns = (
        Column("", number=False),
        Column("", number=False),
        Column("Force / N"),
        Column("Resistance / MΩ"),
    )
    return Table("Without load.", columns, tuple(rows), width=0.62)
