"""The quantities of ISO 376:2011 for a pressure sensor; its indication is the force that the curve makes of a reading.

A membrane sensor meets no class; the quantities are there to be compared, and called unclassified.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from calibration.columns import Columns
from calibration.fitting import Fitted
from calibration.models import Floats
from calibration.results import Creep, LevelQuantities, Quantities

NEAR = 0.1  # in ln F: load steps so near to each other are one level
UNCLASSIFIED = "unclassified: the classes of ISO 376 are for force-proving instruments"


def quantities_of(columns: Columns, fitted: Fitted, creep: Creep | None) -> Quantities:
    """In per cent. Zero is not stated: without load such a sensor does not conduct."""
    with np.errstate(all="ignore"):  # a reading that the curve never reaches indicates nothing
        indication = np.exp(fitted.predicted_x(columns.y) - columns.x)  # as a share of the force
    return Quantities(
        of=f"indicated force of the sensor by its curve ({fitted.shape.title})",
        levels=tuple(_level(columns, indication, rows) for rows in _levels(columns)),
        zero=None,
        creep=None if creep is None else 100 * creep.per_decade / float(fitted.model.exponent(creep.force_N)),
        classification=UNCLASSIFIED,
    )


def _levels(columns: Columns) -> list[np.ndarray]:
    """Rows of load steps at about the same force; at most a few levels fewer than steps of one series."""
    order = np.argsort(columns.x)
    gaps = np.flatnonzero(np.diff(columns.x[order]) > _gap(columns))
    return np.split(order, gaps + 1)


def _gap(columns: Columns) -> float:
    """Half of the usual distance between the steps of one series and branch."""
    distances = []
    for series in np.unique(columns.series):
        for branch in (-1.0, 1.0):
            x = np.sort(columns.x[(columns.series == series) & (columns.branch == branch)])
            distances += list(np.diff(x))
    return min(NEAR, 0.5 * float(np.median(distances))) if distances else NEAR


def _level(columns: Columns, indication: Floats, rows: np.ndarray) -> LevelQuantities:
    up: dict[int, dict[int, float]] = defaultdict(dict)
    down: dict[int, dict[int, float]] = defaultdict(dict)
    for row in rows[np.isfinite(indication[rows])]:
        way = up if columns.branch[row] < 0 else down
        way[int(columns.unit[row])][int(columns.series[row])] = float(indication[row])
    first = [next(iter(series.values())) for series in up.values()]
    within = [list(series.values()) for series in up.values() if len(series) > 1]
    both = [(values[key], down[unit][key]) for unit, values in up.items() for key in values if key in down[unit]]
    mean = float(np.mean(first)) if first else None
    return LevelQuantities(
        force_N=float(np.exp(columns.x[rows].mean())),
        reproducibility=100 * float(np.ptp(first)) / mean if mean and columns.reinserted and len(first) > 1 else None,
        repeatability=max((100 * float(np.ptp(values)) / float(np.mean(values)) for values in within), default=None),
        interpolation=100 * (mean - 1.0) if mean else None,
        reversibility=float(np.mean([100 * abs(lower - higher) / higher for higher, lower in both])) if both else None,
    )
