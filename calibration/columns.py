"""A data set as arrays, which is what the fits and the statistics work on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibration.data import Dataset, Direction, Point
from calibration.models import Floats

MOST_POINTS = 60
"""Of one branch of one series: a ramp of thousands of rows is averaged to so many, evenly in ln F."""


@dataclass(frozen=True)
class Columns:
    """One row for each load step that is used; `x` = ln F (N), `y` = ln R (Ω).

    `branch` is −1 on the way up and +1 on the way down; `unit` numbers what is compared for reproducibility: the
    insertions, or the series where the sensor was never taken out. `spread_y` and `spread_x` are the standard
    deviations of single readings of ln R and ln F within a burst (NaN where there is one reading), `readings` their
    number. `index` is the place in `Dataset.points`, −1 for what was averaged.
    """

    x: Floats
    y: Floats
    branch: Floats
    unit: np.ndarray
    series: np.ndarray
    spread_x: Floats
    spread_y: Floats
    readings: np.ndarray
    index: np.ndarray
    reinserted: bool

    def __len__(self) -> int:
        return len(self.x)

    @property
    def both_branches(self) -> bool:
        return bool((self.branch > 0).sum() >= 3 and (self.branch < 0).sum() >= 3)

    def keep(self, rows: np.ndarray) -> Columns:
        return replace(self, **{name: getattr(self, name)[rows] for name in _ARRAYS})


_ARRAYS = ("x", "y", "branch", "unit", "series", "spread_x", "spread_y", "readings", "index")


def columns_of(data: Dataset) -> Columns:
    """Of the points that are used."""
    rows = [(index, point) for index, point in enumerate(data.points) if point.used]
    reinserted = len({point.insertion for _, point in rows}) > 1
    columns = Columns(
        x=np.array([np.mean(np.log(point.forces_N)) for _, point in rows]),
        y=np.array([np.mean(np.log(point.resistances_ohm)) for _, point in rows]),
        branch=np.array([1.0 if point.direction is Direction.DOWN else -1.0 for _, point in rows]),
        unit=np.array([point.insertion if reinserted else point.series for _, point in rows]),
        series=np.array([point.series for _, point in rows]),
        spread_x=np.array([_spread(point.forces_N) for _, point in rows]),
        spread_y=np.array([_spread(point.resistances_ohm) for _, point in rows]),
        readings=np.array([len(point.forces_N) for _, point in rows]),
        index=np.array([index for index, _ in rows]),
        reinserted=reinserted,
    )
    return _condensed(columns)


def _spread(values: tuple[float, ...]) -> float:
    return float(np.std(np.log(values), ddof=1)) if len(values) > 1 else float("nan")


def _condensed(columns: Columns) -> Columns:
    """Long ramps averaged to a number of points that a fit can weigh."""
    parts, thinned = [], False
    for series in np.unique(columns.series):
        for branch in (-1.0, 1.0):
            rows = np.flatnonzero((columns.series == series) & (columns.branch == branch))
            if len(rows) <= 2 * MOST_POINTS:
                parts.append(columns.keep(rows))
            else:
                parts.append(_averaged(columns.keep(rows)))
                thinned = True
    if not thinned:
        return columns
    joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
    return replace(columns, **joined)


def _averaged(columns: Columns) -> Columns:
    edges = np.linspace(columns.x.min(), columns.x.max(), MOST_POINTS + 1)
    place = np.clip(np.digitize(columns.x, edges) - 1, 0, MOST_POINTS - 1)
    filled = np.unique(place)
    groups = [np.flatnonzero(place == one) for one in filled]
    return Columns(
        x=np.array([columns.x[rows].mean() for rows in groups]),
        y=np.array([columns.y[rows].mean() for rows in groups]),
        branch=np.full(len(groups), columns.branch[0]),
        unit=np.full(len(groups), columns.unit[0]),
        series=np.full(len(groups), columns.series[0]),
        spread_x=np.full(len(groups), np.nan),
        spread_y=np.array([_scatter_about_line(columns.x[rows], columns.y[rows]) for rows in groups]),
        readings=np.array([columns.readings[rows].sum() for rows in groups]),
        index=np.full(len(groups), -1),
        reinserted=columns.reinserted,
    )


def _scatter_about_line(x: Floats, y: Floats) -> float:
    """Standard deviation of y about its trend over x."""
    if len(x) < 4:
        return float("nan")
    trend = np.polynomial.Polynomial.fit(x, y, 1)
    return float(np.sqrt(np.sum((y - trend(x)) ** 2) / (len(x) - 2)))


def place_of(point: Point) -> str:
    """How messages call a point."""
    where = f"{point.place}: " if point.place else ""
    return f"{where}series {point.series}, {point.direction.value}, {point.force_N:.4g} N"
