"""How a voltage (or a pressure) relaxes in a rest.

    V(t) = V∞ + Σ a_i·exp(−t/τ_i)          one to three exponentials
    V(t) = V∞ + a·exp(−(t/τ)^β)            stretched, 0 < β ≤ 1 (Kohlrausch)

t counts from the rest's first reading. V∞ is an extrapolation: it is worth little where the rest was short beside the
longest τ, which `reached` tells, and silicon relaxes for tens of hours. dV/dt at the end of the rest says more than r².
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.optimize import least_squares

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.lines import line
from station.analysis.record import Floats

MOST_POINTS = 400

Basis: TypeAlias = Callable[[Floats], Floats]
"""Columns that what relaxes is a sum of, for parameters that it is not linear in."""


@dataclass(frozen=True, slots=True)
class Mode:
    amplitude: Estimate
    tau_s: Estimate


@dataclass(frozen=True, slots=True)
class Relaxation:
    """In the unit of what relaxes."""

    modes: tuple[Mode, ...]  # by rising τ; the one of a stretched exponential
    beta: Estimate | None  # of a stretched exponential
    final: Estimate  # V∞
    rms: float
    aicc: float  # to compare models of the same rest: the lowest one is best
    end_slope: Estimate  # per s, by a line through the last tenth of the rest
    rest_s: float

    @property
    def reached(self) -> float:
        """Length of the rest in the longest τ."""
        return self.rest_s / self.modes[-1].tau_s.value


def exponentials(time_s: Floats, values: Floats, modes: int | None = None) -> Relaxation:
    """By `modes` exponentials, or by as many of one to three as the readings support.

    One more has to lower the corrected information criterion (AICc) by 10 (Burnham and Anderson, Sociol. Methods Res.
    33 (2004) 261). Raises AnalysisError for fewer readings than twice the parameters, or where nothing changes.
    """
    t, y = _checked(time_s, values, 2 * (2 * (modes or 1) + 1))
    if modes is not None:
        return _exponentials(t, y, modes)
    fits = [_exponentials(t, y, number) for number in (1, 2, 3) if len(t) >= 2 * (2 * number + 1)]
    best = fits[0]
    for fit in fits[1:]:
        if fit.aicc < best.aicc - 10:
            best = fit
    return best


def stretched(time_s: Floats, values: Floats) -> Relaxation:
    """By a stretched exponential. Raises AnalysisError as `exponentials` does."""
    t, y = _checked(time_s, values, 8)

    def basis(p: Floats) -> Floats:
        return np.column_stack((np.ones_like(t), np.exp(-((t / math.exp(p[0])) ** p[1]))))

    end = math.log(t[-1])
    starts = [np.array([end + math.log(share), beta]) for share in (0.02, 0.2, 1.0) for beta in (0.4, 0.8)]
    fit = _best(basis, y, starts, np.array([end - 12, 0.05]), np.array([end + 5, 1.0]))
    return _relaxation(t, y, fit, (Mode(fit.linear(1), _exp(fit.nonlinear(0))),), fit.nonlinear(1))


def _exponentials(t: Floats, y: Floats, modes: int) -> Relaxation:
    def basis(p: Floats) -> Floats:
        return np.column_stack((np.ones_like(t), np.exp(-np.divide.outer(t, np.exp(p)))))

    gap = float(np.median(np.diff(t[:20])))
    low, high = math.log(max(gap / 3, t[-1] * 1e-5)), math.log(t[-1])
    middle = np.linspace(low, high, modes + 2)[1:-1]
    shift = 0.25 * (high - low) / modes
    fit = _best(
        basis, y, [middle, middle + shift, middle - shift], np.full(modes, low - 2.0), np.full(modes, high + 3.0)
    )
    order = np.argsort(fit.p).tolist()
    return _relaxation(t, y, fit, tuple(Mode(fit.linear(1 + k), _exp(fit.nonlinear(k))) for k in order), None)


# --- the fit: what is linear is solved for at each trial of what is not


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    p: Floats  # not linear
    factors: Floats  # linear
    covariance: Floats  # of the linear ones, then of the others
    squares: float

    def linear(self, number: int) -> Estimate:
        return Estimate(float(self.factors[number]), self._u(number))

    def nonlinear(self, number: int) -> Estimate:
        return Estimate(float(self.p[number]), self._u(len(self.factors) + number))

    def _u(self, place: int) -> float:
        return math.sqrt(max(0.0, float(self.covariance[place, place])))


def _best(basis: Basis, y: Floats, starts: list[Floats], lower: Floats, upper: Floats) -> _Fit:
    return min((_separable(basis, y, start, lower, upper) for start in starts), key=lambda fit: fit.squares)


def _separable(basis: Basis, y: Floats, start: Floats, lower: Floats, upper: Floats) -> _Fit:
    """Variable projection (Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413)."""

    def solved(p: Floats) -> Floats:
        return np.asarray(np.linalg.lstsq(basis(p), y, rcond=None)[0], dtype=np.float64)

    def left(p: Floats) -> Floats:
        return np.asarray(basis(p) @ solved(p) - y, dtype=np.float64)

    begin = np.clip(start, lower + 1e-6, upper - 1e-6)
    p = np.asarray(least_squares(left, begin, bounds=(lower, upper), max_nfev=200).x, dtype=np.float64)
    factors, residual = solved(p), left(p)
    squares = float(residual @ residual)
    full = np.column_stack((basis(p), *(_change(basis, p, k) @ factors for k in range(len(p)))))
    scale = np.linalg.norm(full, axis=0)
    scale[scale == 0] = 1.0
    inverse = np.linalg.pinv((full / scale).T @ (full / scale)) / np.outer(scale, scale)
    return _Fit(p, factors, inverse * squares / max(1, len(y) - full.shape[1]), squares)


def _change(basis: Basis, p: Floats, k: int) -> Floats:
    step = np.zeros(len(p))
    step[k] = 1e-5
    return np.asarray((basis(p + step) - basis(p - step)) / 2e-5, dtype=np.float64)


def _exp(log: Estimate) -> Estimate:
    value = math.exp(log.value)
    return Estimate(value, value * (log.u or 0.0))


def _relaxation(t: Floats, y: Floats, fit: _Fit, modes: tuple[Mode, ...], beta: Estimate | None) -> Relaxation:
    n, k = len(y), len(fit.factors) + len(fit.p) + 1
    floor = 1e-24 * float(y @ y) + 1e-300  # what arithmetic itself leaves over
    aicc = n * math.log((fit.squares + floor) / n) + 2 * k + 2 * k * (k + 1) / max(1, n - k - 1)
    tail = t >= 0.9 * t[-1]
    if np.count_nonzero(tail) < 3:
        tail = np.arange(n) >= n - 3
    slope = line(t[tail], y[tail]).slope
    return Relaxation(modes, beta, fit.linear(0), math.sqrt(fit.squares / n), aicc, slope, float(t[-1]))


def _checked(time_s: Floats, values: Floats, least: int) -> tuple[Floats, Floats]:
    known = np.isfinite(time_s) & np.isfinite(values)
    t, y = np.asarray(time_s, dtype=np.float64)[known], np.asarray(values, dtype=np.float64)[known]
    if len(t) < least or not t[-1] > t[0]:
        raise AnalysisError(f"this relaxation needs {least} readings at different times; there are {len(t)}")
    if not np.ptp(y) > 0:
        raise AnalysisError("the values do not change in this rest: there is no relaxation to fit")
    t = t - t[0]
    if len(t) > MOST_POINTS:  # evenly in the square root of time, for most happens early
        rows = np.unique(np.searchsorted(t, t[-1] * np.linspace(0, 1, MOST_POINTS) ** 2).clip(0, len(t) - 1))
        t, y = t[rows], y[rows]
    return t, y
