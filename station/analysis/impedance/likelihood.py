"""How far a parameter may go: the sum of squares while all others follow.

The covariance describes the sum of squares near its minimum as a paraboloid. Where a parameter is weakly determined
(a tail hidden behind an arc), the valley is curved, and standard errors of the covariance are too small on one side or
both. Then the distance is sought at which the profile of the sum of squares has risen as for three standard errors, and
a third of it is taken (D. M. Bates and D. G. Watts, Nonlinear Regression Analysis and Its Applications (1988), ch. 6).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from station.analysis.impedance.elements import Floats
from station.analysis.impedance.solver import Minimum, Model, minimise

REACH = 3.0  # standard errors at which the shape of the minimum is looked at
ALIKE = (0.75, 1.5)  # the rise by that of the paraboloid, between which nobody need look closer
WIDEST = 30.0  # times the error of the covariance
LOOSE = 1e-3  # tolerance of the others’ descent: a hundredth of the rise that is looked for


@dataclass(frozen=True, slots=True)
class Errors:
    """Standard errors of logarithms, downwards and upwards; or a better minimum that was met on the way."""

    down: Floats
    up: Floats
    better: Minimum | None = None


def errors(model: Model, best: Minimum, low: Floats, high: Floats, covariance: Floats, noise: float) -> Errors:
    """For each parameter; `noise` is the variance of a weighted residual, `covariance` has it in."""
    sigma = np.sqrt(covariance.diagonal())
    found = np.stack([sigma, sigma])
    for index in range(sigma.size):
        for side, sign in enumerate((-1.0, 1.0)):
            factor = _factor(model, best, low, high, covariance, noise, index, sign)
            if isinstance(factor, Minimum):
                return Errors(sigma, sigma, factor)
            found[side, index] *= factor
    return Errors(found[0], found[1])


def _factor(
    model: Model,
    best: Minimum,
    low: Floats,
    high: Floats,
    covariance: Floats,
    noise: float,
    index: int,
    sign: float,
) -> float | Minimum:
    """The error of one side by that of the covariance."""
    sigma = float(np.sqrt(covariance[index, index]))
    room = float(high[index] - best.x[index] if sign > 0 else best.x[index] - low[index])
    if not 0 < sigma < np.inf or room <= 0:
        return 1.0
    direction = sign * covariance[:, index] / sigma  # how all follow when this one goes by a standard error
    expected = REACH**2 * noise
    reach = min(REACH, room / sigma)
    if reach == REACH:
        residuals, _ = model(np.clip(best.x + REACH * direction, low, high))
        if ALIKE[0] < (float(residuals @ residuals) - best.sum_of_squares) / expected < ALIKE[1]:
            return 1.0
    for _ in range(2):
        held = np.clip(best.x + reach * direction, low, high)
        held[index] = best.x[index] + sign * reach * sigma
        pinned_low, pinned_high = low.copy(), high.copy()
        pinned_low[index] = pinned_high[index] = held[index]
        along = minimise(model, held, pinned_low, pinned_high, tolerance=LOOSE, most=8)
        rise = (along.sum_of_squares - best.sum_of_squares) / expected
        if rise < -1e-3:
            return along
        if 0.9 < rise < 1.1 or (rise < 1 and reach * sigma >= room):
            break
        reach = min(reach * float(np.clip(rise**-0.5 if rise > 0 else 3.0, 0.4, 3.0)), room / sigma, WIDEST * REACH)
    return reach / REACH
