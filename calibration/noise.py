"""What the noise of the load steps is even in, and how large it is, before any model is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from calibration.columns import Columns
from calibration.models import Floats
from calibration.results import Variable

LEAST_SPREAD_X = 1e-4  # relative: no force is known better from one burst
USUAL_SPREAD_X = 1e-3  # where no bursts tell
EVENNESS = 3.0  # by how much the log-likelihood must favour a variable other than ln R
HUBER = 1.345  # standard deviations; 95 % as efficient as least squares for normal errors
LEAST_SCALE = 1e-4  # of ln R
POWER_OF_G = {Variable.LN_RESISTANCE: 0.0, Variable.CONDUCTANCE: -1.0, Variable.RESISTANCE: 1.0}


@dataclass(frozen=True)
class Noise:
    """Standard deviations of a load step: of ln F, and of ln R as `scale` · G^`power` (G relative to its middle)."""

    variable: Variable
    sigma_x: float
    scale: float
    middle_ln_ohm: float

    def sigma_y(self, y: Floats) -> Floats:
        return np.asarray(self.scale * self.shape(y))

    def shape(self, y: Floats) -> Floats:
        """Of the standard deviation of ln R, over ln R; 1 in the middle."""
        return np.exp(POWER_OF_G[self.variable] * (self.middle_ln_ohm - np.asarray(y)))


def first_noise(columns: Columns) -> Noise:
    """What the noise is even in, and how large, about a smooth curve that knows no model.

    The scatter about the curve is compared, as likelihoods, with an even one of ln R, of G and of R.
    """
    degree = max(1, min(3, len(np.unique(np.round(columns.x, 2))) - 2))
    smooth = np.polynomial.Polynomial.fit(columns.x, columns.y, degree)
    scatter = columns.y - smooth(columns.x)
    scatter = without_units(columns, scatter)
    middle = float(columns.y.mean())
    floor = 1e-6
    bounded = np.clip(scatter, -5 * robust_scale(scatter) - floor, 5 * robust_scale(scatter) + floor)
    likelihoods = {
        variable: -len(columns) / 2 * np.log(np.mean((bounded / np.exp(power * (middle - columns.y))) ** 2) + floor**2)
        - np.sum(power * (middle - columns.y))
        for variable, power in POWER_OF_G.items()
    }
    variable = max(likelihoods, key=lambda one: likelihoods[one])
    if likelihoods[variable] < likelihoods[Variable.LN_RESISTANCE] + EVENNESS:
        variable = Variable.LN_RESISTANCE
    noise = Noise(variable, _sigma_x(columns), 1.0, middle)
    scale = max(robust_scale(scatter / noise.shape(columns.y)), LEAST_SCALE)
    return replace(noise, scale=scale)


def without_units(columns: Columns, scatter: Floats) -> Floats:
    """Less what each insertion has in common, where there are enough points."""
    left = scatter.copy()
    for unit in np.unique(columns.unit):
        rows = columns.unit == unit
        if rows.sum() >= 4:
            left[rows] -= np.median(left[rows])
    return left


def huber_weights(off: Floats) -> Floats:
    """Of residuals in standard deviations (P. J. Huber, Ann. Math. Stat. 35 (1964) 73)."""
    return np.minimum(1.0, HUBER / np.maximum(np.abs(off), 1e-9))


def robust_scale(values: Floats) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _sigma_x(columns: Columns) -> float:
    """Relative standard deviation of a burst's mean force."""
    known = np.isfinite(columns.spread_x)
    if not known.any():
        return USUAL_SPREAD_X
    mean_square = np.mean(columns.spread_x[known] ** 2 / columns.readings[known])
    return max(float(np.sqrt(mean_square)), LEAST_SPREAD_X)
