"""Load steps that stand far from the others, before any model is known.

A smooth curve, bent as far as the number of levels allows, is fitted with Huber's weights (P. J. Huber, Ann. Math.
Stat. 35 (1964) 73); the residuals are studentised and compared with their robust scale. So a model that does not
describe the data makes no outliers of them.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from calibration.columns import Columns
from calibration.models import Bools, Floats
from calibration.noise import Noise, huber_weights, robust_scale, without_units

LEAST_DISTANCE = 4.0  # robust standard deviations; further where there are many points that could be off by chance
BY_CHANCE = 0.05  # how likely it may be that any point of good data is called an outlier
MOST_BENDS = 4
REWEIGHTINGS = 10


def distances(columns: Columns, noise: Noise) -> Floats:
    """Studentised residuals of ln R about the smooth curve, in robust standard deviations."""
    degree = int(np.clip(_levels(columns) // 3, 1, MOST_BENDS))
    scaled = (columns.x - columns.x.mean()) / max(float(np.ptp(columns.x)) / 2, 1e-9)
    design = np.vander(scaled, degree + 1) / noise.shape(columns.y)[:, None]
    value = columns.y / noise.shape(columns.y)
    weights, off = np.ones(len(columns)), np.zeros(len(columns))
    for _ in range(REWEIGHTINGS):
        root = np.sqrt(weights)[:, None]
        inverse = np.linalg.pinv(design * root)
        left = value - design @ (inverse @ (value * root[:, 0]))
        leverage = np.clip(np.einsum("ij,ji->i", design * root, inverse), 0.0, 0.99)
        off = without_units(columns, left) / np.sqrt(1 - leverage)
        off = off / max(robust_scale(off), 1e-9)
        weights = huber_weights(off)
    return np.asarray(off)


def suspects(off: Floats) -> Bools:
    by_chance = float(stats.norm.isf(BY_CHANCE / 2 / max(1, len(off))))
    return np.asarray(np.abs(off) > max(LEAST_DISTANCE, by_chance))


def weights_against(off: Floats) -> Floats:
    """Huber's where there are outliers, else 1 for all."""
    return huber_weights(off) if np.any(suspects(off)) else np.ones(len(off))


def _levels(columns: Columns) -> int:
    return len(np.unique(np.round(columns.x, 1)))
