"""The middle of the ways up and down, which is what a curve is fitted to.

The half-difference between the branches is found before any model is known, beside a smooth curve and an offset for
each insertion, by least squares with Huber's weights. So levels that only one branch has do not pull the curve to it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calibration.columns import Columns
from calibration.models import Floats
from calibration.noise import huber_weights

SMOOTH_DEGREE = 4
HIGHEST_ORDER = 3  # of the half-difference over ln F: constant, straight, bent
REWEIGHTINGS = 6


def to_the_middle(columns: Columns) -> Columns:
    """The same load steps, each moved by the half-difference of its branch; as they are where there is one branch."""
    if not columns.both_branches:
        return columns
    scaled = (columns.x - columns.x.mean()) / max(float(np.ptp(columns.x)) / 2, 1e-9)
    best, lowest = np.zeros(len(columns)), np.inf
    for order in range(1, HIGHEST_ORDER + 1):
        branch, spread = _half_difference(columns, scaled, order)
        criterion = len(columns) * np.log(max(spread, 1e-16)) + 2 * order
        if criterion < lowest - 2:
            best, lowest = branch, criterion
    return replace(columns, y=columns.y - best)


def _half_difference(columns: Columns, scaled: Floats, order: int) -> tuple[Floats, float]:
    """What the branch adds to ln R in each load step, and the mean weighted square of what is left."""
    levels = len(np.unique(np.round(columns.x, 1)))
    smooth = np.vander(scaled, min(SMOOTH_DEGREE, max(1, levels - 2)) + 1, increasing=True)
    units = (columns.unit[:, None] == np.unique(columns.unit)[None, 1:]).astype(np.float64)
    branch = np.vander(scaled, order, increasing=True) * columns.branch[:, None]
    design = np.column_stack((smooth, units, branch))
    weights = np.ones(len(columns))
    for _ in range(REWEIGHTINGS):
        root = np.sqrt(weights)
        solution = np.linalg.lstsq(design * root[:, None], columns.y * root, rcond=None)[0]
        left = columns.y - design @ solution
        scale = 1.4826 * float(np.median(np.abs(left)))
        weights = huber_weights(left / max(scale, 1e-9))
    return branch @ solution[-order:], float(np.average(left**2, weights=weights))
