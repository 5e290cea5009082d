"""Potentiostatic intermittent titration (PITT): a diffusion coefficient from the current after a step of the voltage.

For a sphere of radius R whose surface goes to a new concentration at once, with Q the charge of the whole step,

    I(t) = (6DQ/R²)·Σ exp(−n²π²Dt/R²),   n = 1, 2, …

so that late, from Dt/R² ≈ 0.1 on, ln I falls by π²D/R² per second; and early, I = (3Q/R²)·(R·√(D/(πt)) − D) (Crank,
The Mathematics of Diffusion (1975), 6.20; Wen, Boukamp, Huggins and Weppner, J. Electrochem. Soc. 126 (1979) 2258 for a
film). Valid for a small step with the potential linear in concentration, no limit by kinetics or by an ohmic drop
(which make D too small: Li et al., J. Phys. Chem. C 116 (2012) 1472), and equal spheres. A background current has to be
taken off before. D in m² s⁻¹.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate, root_sum_square
from station.analysis.lines import line, thinned
from station.analysis.periods import began_s
from station.analysis.record import Floats, Record, as_record

if TYPE_CHECKING:
    import pandas as pd

LATE = 0.1
"""Dt/R² from which the first term of the series stands alone, to 5 % there and to 0.3 % at 0.2."""
EARLY = 0.03
MOST_POINTS = 400
LEAST_ROWS = 8
_N_SQUARED = np.arange(1, 25, dtype=np.float64) ** 2


@dataclass(frozen=True, slots=True)
class PittStep:
    """`D_late` and `D_early` are None where the readings do not reach their range of Dt/R²."""

    start_s: float
    voltage_V: float  # held
    step_s: float
    charge_Ah: float  # that passed while it was measured, signed
    whole_charge_Ah: Estimate  # that would pass, by the fit
    D_fit: Estimate
    D_late: Estimate | None  # slope of ln I
    D_early: Estimate | None  # I against 1/√t (Cottrell)
    fourier: float  # Dt/R² at the end of the step, with D of the fit


def sphere_current(T: Floats) -> Floats:
    """I·R²/(DQ) at T = Dt/R² > 0."""
    T = np.asarray(T, dtype=np.float64)
    early = 3 * (1 / np.sqrt(math.pi * np.minimum(T, 0.05)) - 1)
    late = 6 * np.exp(-np.multiply.outer(np.maximum(T, 0.05), math.pi**2 * _N_SQUARED)).sum(axis=-1)
    found: Floats = np.where(T < 0.05, early, late)
    return found


def pitt(data: Record | pd.DataFrame, radius_m: Estimate | float, *, step_V: float = 2e-3) -> tuple[PittStep, ...]:
    """One result for each step of a voltage that is held, in the order run.

    A step begins where the voltage changes by more than `step_V` between two readings, or where the station began one;
    of its readings eight need a current, and the voltage has to stay within `step_V`. Raises AnalysisError where there
    is none.
    """
    record = as_record(data)
    begins = np.abs(np.diff(record.voltage_V)) > step_V
    if record.step is not None:
        begins |= record.step[1:] != record.step[:-1]
    starts = np.concatenate(([0], np.flatnonzero(begins) + 1)).tolist()
    found = []
    for first, end in zip(starts, [*starts[1:], len(record)], strict=True):
        rows = slice(first, end)
        if np.count_nonzero(record.current_A[rows]) >= LEAST_ROWS and np.ptp(record.voltage_V[rows]) <= step_V:
            found.append(pitt_step(record.rows(first, end), radius_m, start_s=began_s(record, first)))
    if not found:
        raise AnalysisError(
            f"there is no step in which the voltage stays within {1e3 * step_V:g} mV for {LEAST_ROWS} readings with a "
            "current; say by 'step_V' how far it may wander"
        )
    return tuple(found)


def pitt_step(record: Record, radius_m: Estimate | float, *, start_s: float | None = None) -> PittStep:
    """From the readings of one step of the voltage alone, which began with the first of them or at `start_s`.

    Raises AnalysisError for fewer than eight readings with a current of one sign, or a radius not above zero.
    """
    radius = radius_m if isinstance(radius_m, Estimate) else Estimate(radius_m)
    if not radius.value > 0:
        raise AnalysisError(f"the particles' radius is {radius.value:g} m; it is above zero")
    began = float(record.time_s[0]) if start_s is None else start_s
    t = record.time_s - began
    sign = 1.0 if np.median(record.current_A) >= 0 else -1.0
    used = (t > 0) & (sign * record.current_A > 0)
    if np.count_nonzero(used) < LEAST_ROWS:
        raise AnalysisError(f"a step of the voltage needs eight readings of its current; there are {used.sum()}")
    charge_Ah = float(np.trapezoid(record.current_A, t)) / 3600
    t, amperes = t[used], sign * record.current_A[used]
    rate, whole_C = _fit(t, amperes)
    T = rate.value * t
    late, early = T > LATE, T < EARLY
    return PittStep(
        start_s=began,
        voltage_V=float(np.median(record.voltage_V)),
        step_s=float(t[-1]),
        charge_Ah=charge_Ah,
        whole_charge_Ah=Estimate(sign * whole_C.value / 3600, (whole_C.u or 0.0) / 3600),
        D_fit=_times_radius_squared(rate, radius),
        D_late=_times_radius_squared(_late(t[late], amperes[late]), radius) if late.sum() > 3 else None,
        D_early=(
            _times_radius_squared(_early(t[early], amperes[early], whole_C.value), radius) if early.sum() > 3 else None
        ),
        fourier=float(T[-1]),
    )


def _late(t: Floats, amperes: Floats) -> Estimate:
    """D/R² in s⁻¹, from the slope of ln I."""
    slope = line(t, np.log(amperes)).slope
    return Estimate(-slope.value / math.pi**2, (slope.u or 0.0) / math.pi**2)


def _early(t: Floats, amperes: Floats, whole_C: float) -> Estimate:
    """D/R² in s⁻¹, from the slope of I over 1/√t, which is (3Q/R)·√(D/π)."""
    slope = line(1 / np.sqrt(t), amperes).slope
    value = math.pi * (slope.value / (3 * whole_C)) ** 2
    return Estimate(value, 2 * value * (slope.relative_u or 0.0))


def _times_radius_squared(rate: Estimate, radius: Estimate) -> Estimate:
    D = rate.value * radius.value**2
    return Estimate(D, abs(D) * root_sum_square(rate.relative_u or 0.0, 2 * (radius.relative_u or 0.0)))


def _fit(t: Floats, amperes: Floats) -> tuple[Estimate, Estimate]:
    """D/R² in s⁻¹ and the whole charge in C, by relative errors of the current."""
    rows = thinned(len(t), MOST_POINTS)
    t, measured = t[rows], np.log(amperes[rows])

    def left(p: Floats) -> Floats:
        found: Floats = np.log(np.maximum(sphere_current(math.exp(p[0]) * t), 1e-300)) + p[0] + p[1] - measured
        return found

    fits = []
    for start in np.log(np.geomspace(0.02, 3.0, 4) / t[-1]).tolist():
        charge = -float(np.median(left(np.array([start, 0.0]))))
        fits.append(least_squares(left, [start, charge]))
    best = min(fits, key=lambda fit: float(fit.cost))
    jacobian = np.asarray(best.jac)
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * 2 * float(best.cost) / max(1, len(t) - 2)
    rate, charge = math.exp(best.x[0]), math.exp(best.x[1])
    return (
        Estimate(rate, rate * math.sqrt(float(covariance[0, 0]))),
        Estimate(charge, charge * math.sqrt(float(covariance[1, 1]))),
    )
