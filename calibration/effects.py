"""Where the readings' scatter about the curve comes from: insertion, branch, noise, and what the curve misses.

A linear model of the residuals of ln R, fitted by weighted least squares: for each insertion (or series) an offset and
a slope over ln F, for the branches a smooth half-difference, and what is left. The offsets of the insertions are a
sample of those to come, so their variance is estimated from their spread (method of moments, as in an analysis of
variance with random effects; S. R. Searle, G. Casella and C. E. McCulloch, Variance Components, Wiley 1992, chapter 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.columns import Columns
from calibration.fitting import Fitted, covariance, residuals, sensitivity
from calibration.models import Floats
from calibration.noise import Noise

LEAST_FOR_SLOPE = 4  # load steps of one insertion
MOST_BINS = 12


@dataclass(frozen=True)
class Spread:
    """A standard deviation of ln R over ln F, with its degrees of freedom; None: not evaluated."""

    sigma: Floats
    degrees_of_freedom: float | None


@dataclass(frozen=True)
class Effects:
    """All as functions of x = ln F; standard deviations of ln R."""

    columns: Columns
    noise: Noise
    fitted: Fitted
    middle: float
    half_span: float
    units: int
    step_sigma: float  # of a load step's mean about its insertion's curve, over the noise's shape
    step_dof: float
    single_extra: float  # variance that a single reading has on top of a burst's mean, over the shape squared
    offsets: Floats  # (units, 1 or 2): of each insertion, with its slope over the scaled ln F
    offset_noise: Floats  # mean covariance of these by the noise alone
    branch: Floats  # coefficients of the half-difference over the scaled ln F; empty where there is one branch
    lack_of_fit: float  # over the shape
    lack_of_fit_dof: float
    parameters: Floats  # covariance of the curve's free parameters by the noise of the load steps

    def _scaled(self, x: Floats) -> Floats:
        return (np.asarray(x) - self.middle) / self.half_span

    def _shape(self, x: Floats) -> Floats:
        return self.noise.shape(self.fitted.predicted_y(np.asarray(x)))

    def repeatability(self, x: Floats) -> Spread:
        """Of a single later reading."""
        return Spread(self._shape(x) * np.sqrt(self.step_sigma**2 + self.single_extra), self.step_dof)

    def reproducibility(self, x: Floats) -> Spread | None:
        """Of a later insertion about the curve, which itself is the mean of a few."""
        if self.units < 2:
            return None
        basis = np.vander(self._scaled(x), self.offsets.shape[1], increasing=True)
        found = np.var(basis @ self.offsets.T, axis=1, ddof=1)
        by_noise = np.einsum("ij,jk,ik->i", basis, self.offset_noise, basis)
        variance = np.maximum(found - by_noise, 0.0) * (1 + 1 / self.units)
        return Spread(np.sqrt(variance), self.units - 1.0)

    def half_difference(self, x: Floats) -> Floats | None:
        """Between the branches, of ln R; positive where the way down conducts better."""
        if not len(self.branch):
            return None
        basis = np.vander(self._scaled(x), len(self.branch), increasing=True)
        return np.asarray(-(basis @ self.branch))

    def curve(self, x: Floats) -> Spread:
        """Of the curve itself, by the noise of the load steps that it goes through."""
        slopes = sensitivity(self.fitted, self.columns, np.asarray(x))
        return Spread(np.sqrt(np.einsum("ij,jk,ik->i", slopes, self.parameters, slopes)), self.step_dof)

    def interpolation(self, x: Floats) -> Spread:
        """What the curve misses systematically between and at the load steps."""
        return Spread(self._shape(x) * self.lack_of_fit, self.lack_of_fit_dof)


def effects_of(columns: Columns, fitted: Fitted, noise: Noise) -> Effects:
    middle, half_span = (columns.x.max() + columns.x.min()) / 2, (columns.x.max() - columns.x.min()) / 2
    scaled = (columns.x - middle) / half_span
    off = residuals(fitted, columns)
    shape = noise.shape(columns.y)
    weights = fitted.weights
    units = _Units.of(columns, scaled)
    branch_order = _branch_order(columns, scaled, off, shape, weights, units)
    design = np.column_stack((units.design, _branch_design(columns, scaled, branch_order)))
    solved = _least_squares(design, off, shape, weights, max(0, fitted.shape.count - units.order))
    count = units.design.shape[1]
    inverse = solved.unscaled * solved.sigma**2
    left = (off - design @ solved.solution) / shape
    lack, lack_dof = _lack_of_fit(columns, left, solved.sigma, fitted.shape.count)
    scale = Noise(noise.variable, 1e-12, max(solved.sigma, 1e-9), noise.middle_ln_ohm)
    return Effects(
        columns=columns,
        noise=noise,
        fitted=fitted,
        middle=middle,
        half_span=half_span,
        units=units.count,
        step_sigma=solved.sigma,
        step_dof=solved.dof,
        single_extra=_single_extra(columns, shape),
        offsets=solved.solution[:count].reshape(units.count, units.order) if units.count > 1 else np.zeros((1, 1)),
        offset_noise=units.mean_block(inverse[:count, :count]) if units.count > 1 else np.zeros((1, 1)),
        branch=solved.solution[count:],
        lack_of_fit=lack,
        lack_of_fit_dof=lack_dof,
        parameters=covariance(fitted, columns, scale),
    )


# --- within


@dataclass(frozen=True)
class _Units:
    """The insertions' columns of the design: an offset each, and a slope where there are points enough."""

    count: int
    order: int
    design: Floats

    @classmethod
    def of(cls, columns: Columns, scaled: Floats) -> _Units:
        numbers = np.unique(columns.unit)
        if len(numbers) < 2:
            return cls(1, 1, np.ones((len(columns), 1)))
        fewest = min(int((columns.unit == number).sum()) for number in numbers)
        order = 2 if fewest >= LEAST_FOR_SLOPE else 1
        basis = np.vander(scaled, order, increasing=True)
        parts = [basis * (columns.unit == number)[:, None] for number in numbers]
        return cls(len(numbers), order, np.column_stack(parts))

    def mean_block(self, inverse: Floats) -> Floats:
        blocks = inverse.reshape(self.count, self.order, self.count, self.order)
        return np.asarray(np.mean([blocks[unit, :, unit, :] for unit in range(self.count)], axis=0))


def _branch_design(columns: Columns, scaled: Floats, order: int) -> Floats:
    return np.vander(scaled, order, increasing=True) * columns.branch[:, None]


@dataclass(frozen=True)
class _Solved:
    solution: Floats
    unscaled: Floats
    sigma: float
    dof: float


def _least_squares(design: Floats, off: Floats, shape: Floats, weights: Floats, spent: int) -> _Solved:
    """`spent` counts parameters of the curve that the design does not span."""
    rows = np.sqrt(weights) / shape
    inverse: Floats = np.asarray(
        np.linalg.pinv((design * rows[:, None]).T @ (design * rows[:, None])), dtype=np.float64
    )
    solution = inverse @ ((design * (rows**2)[:, None]).T @ off)
    left = (off - design @ solution) * rows
    rank = int(np.linalg.matrix_rank(design))
    dof = max(1.0, len(off) - rank - spent)
    return _Solved(np.asarray(solution, dtype=np.float64), inverse, float(np.sqrt(np.sum(left**2) / dof)), dof)


def _branch_order(columns: Columns, scaled: Floats, off: Floats, shape: Floats, weights: Floats, units: _Units) -> int:
    """How the half-difference goes over ln F: constant, straight or bent, by Akaike's criterion."""
    if not columns.both_branches:
        return 0
    best, lowest = 1, np.inf
    for order in (1, 2, 3):
        design = np.column_stack((units.design, _branch_design(columns, scaled, order)))
        if len(columns) <= design.shape[1] + 3:
            break
        solved = _least_squares(design, off, shape, weights, 0)
        value = len(columns) * np.log(max(solved.sigma**2 * solved.dof / len(columns), 1e-16)) + 2 * order
        if value < lowest - 2:
            best, lowest = order, value
    return best


def _single_extra(columns: Columns, shape: Floats) -> float:
    """What a single reading scatters more than a burst's mean, from the readings within the bursts."""
    known = np.isfinite(columns.spread_y)
    if not known.any():
        return 0.0
    within = (columns.spread_y[known] / shape[known]) ** 2
    return float(np.mean(within * (1 - 1 / columns.readings[known])))


def _lack_of_fit(columns: Columns, left: Floats, sigma: float, parameters: int) -> tuple[float, float]:
    """Standard deviation of the curve's systematic misses: what means over narrow ranges of force show beyond noise."""
    edges = np.linspace(columns.x.min(), columns.x.max(), MOST_BINS + 1)
    place = np.clip(np.digitize(columns.x, edges) - 1, 0, MOST_BINS - 1)
    groups = [left[place == one] for one in np.unique(place)]
    dof = float(max(1, len(groups) - parameters))
    if len(groups) <= parameters or all(len(group) == 1 for group in groups):
        return 0.0, dof
    within_dof = sum(len(group) - 1 for group in groups)
    pure = sum(float(np.sum((group - group.mean()) ** 2)) for group in groups) / max(1, within_dof)
    between = sum(len(group) * float(group.mean()) ** 2 for group in groups) / dof
    size = len(left) / len(groups)
    return float(np.sqrt(max(0.0, between - min(pure, sigma**2)) / size)), dof
