"""Least squares within bounds, for many small problems: Levenberg–Marquardt whose steps are cut at the bounds.

scipy.optimize.least_squares finds the same minima; a fit of ten parameters to 71 points takes it several times as long,
nearly all of it outside the model (`python -m benchmarks impedance` measures both), and a search from sixteen starts
for each spectrum of a run is made of such fits. The damping is K. Madsen, H. B. Nielsen and O. Tingleff's, Methods for
Non-Linear Least Squares Problems, 2nd ed. (2004), algorithm 3.16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.linalg.lapack import dposv

from station.analysis.impedance.elements import Floats

# Residuals at x, and a function that gives their gradients there: a row for each parameter.
Model: TypeAlias = Callable[[Floats], tuple[Floats, Callable[[], Floats]]]
PATIENCE = 8
LONGEST_STEP = 3.0  # of a logarithm: a factor of twenty


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where a descent ended."""

    x: Floats
    sum_of_squares: float
    gradients: Floats  # of the residuals: a row for each parameter
    converged: bool


def minimise(
    model: Model,
    start: Floats,
    low: Floats,
    high: Floats,
    *,
    tolerance: float = 1e-9,
    most: int = 60,
    hopeless: float = np.inf,
) -> Minimum:
    """The local minimum of Σr² that is reached from `start`, with low ≤ x ≤ high.

    It ends when a step promises less than `tolerance` of the sum, or, not `converged`, after `most` steps, or where
    `PATIENCE` steps have not led below a sum of `hopeless`.
    """
    x = np.minimum(np.maximum(start, low), high)
    residuals, slopes = model(x)
    total, gradients = float(residuals @ residuals), slopes()
    damping, growth = 0.1, 2.0
    for steps in range(most):
        if steps >= PATIENCE and total > hopeless:
            break
        step, promised = _step(gradients, residuals, x, low, high, damping)
        if promised <= tolerance * total:
            return Minimum(x, total, gradients, True)
        trial = np.minimum(np.maximum(x + step, low), high)
        new_residuals, new_slopes = model(trial)
        new_total = float(new_residuals @ new_residuals)
        if new_total < total:
            gained = (total - new_total) / promised
            damping, growth = damping * max(0.1, 1 - (2 * gained - 1) ** 3), 2.0
            x, residuals, total, gradients = trial, new_residuals, new_total, new_slopes()
        else:
            damping, growth = damping * growth, growth * 2
            if damping > 1e12:
                return Minimum(x, total, gradients, True)
    return Minimum(x, total, gradients, False)


def _step(
    gradients: Floats, residuals: Floats, x: Floats, low: Floats, high: Floats, damping: float
) -> tuple[Floats, float]:
    """A damped step, and by how much it lowers the sum of squares of the linear model."""
    normal, gradient = gradients @ gradients.T, gradients @ residuals
    stuck = ((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0))
    if stuck.any():
        gradient[stuck] = 0.0
        normal[stuck], normal[:, stuck] = 0.0, 0.0
    damped = normal.copy()
    damped.flat[:: x.size + 1] += damping * normal.diagonal() + 1e-30
    _, step, failed = dposv(damped, -gradient)
    if failed:
        step = -gradient / damped.diagonal()
    longest = float(np.abs(step).max(initial=0.0))
    if longest > LONGEST_STEP:
        step *= LONGEST_STEP / longest
    return step, float(-2 * (gradient @ step) - step @ normal @ step)
