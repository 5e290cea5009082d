"""Least squares within bounds, for many small problems: Levenberg–Marquardt whose steps are cut at the bounds.

scipy.optimize.least_squares finds the same minima; a fit of ten parameters to 71 points takes it several times as long,
nearly all of it outside the model (`python -m benchmarks impedance` measures both), and a search from sixteen starts
for each spectrum of a run is made of such fits. The damping is K. Madsen, H. B. Nielsen and O. Tingleff's, Methods for
Non-Linear Least Squares Problems, 2nd ed. (2004), algorithm 3.16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from station.analysis.impedance.elements import Floats

LONGEST_STEP = 3.0  # of a logarithm: a factor of twenty


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where a descent ended."""

    x: Floats
    sum_of_squares: float
    jacobian: Floats
    converged: bool


def minimise(
    model: Callable[[Floats], tuple[Floats, Callable[[], Floats]]],
    start: Floats,
    low: Floats,
    high: Floats,
    *,
    tolerance: float = 1e-9,
    most: int = 60,
) -> Minimum:
    """The local minimum of Σr² that is reached from `start`, with low ≤ x ≤ high.

    `model(x)` returns the residuals r and a function that gives their Jacobian there. It ends when a step promises less
    than `tolerance` of the sum, or after `most` steps (then not `converged`).
    """
    x = np.clip(start, low, high)
    residuals, slopes = model(x)
    total = float(residuals @ residuals)
    damping, growth = 1e-2, 2.0
    jacobian = slopes()
    for _ in range(most):
        gradient = jacobian.T @ residuals
        free = ~(((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0)))
        step, promised = _step(jacobian[:, free], gradient[free], damping)
        if promised <= tolerance * total:
            return Minimum(x, total, jacobian, True)
        trial = x.copy()
        trial[free] += step
        trial = np.clip(trial, low, high)
        new_residuals, new_slopes = model(trial)
        new_total = float(new_residuals @ new_residuals)
        if new_total < total:
            gained = (total - new_total) / promised
            damping *= max(0.1, 1 - (2 * gained - 1) ** 3)
            growth = 2.0
            x, residuals, total = trial, new_residuals, new_total
            jacobian = new_slopes()
        else:
            damping, growth = damping * growth, growth * 2
            if damping > 1e12:
                return Minimum(x, total, jacobian, True)
    return Minimum(x, total, jacobian, False)


def _step(jacobian: Floats, gradient: Floats, damping: float) -> tuple[Floats, float]:
    """A damped step, and by how much it lowers the sum of squares of the linear model."""
    if not gradient.size:
        return gradient, 0.0
    normal = jacobian.T @ jacobian
    scale = normal.diagonal() + 1e-30
    step = np.linalg.solve(normal + np.diag(damping * scale + 1e-30), -gradient)
    longest = float(np.abs(step).max())
    if longest > LONGEST_STEP:
        step *= LONGEST_STEP / longest
    return step, float(-2 * gradient @ step - step @ normal @ step)
