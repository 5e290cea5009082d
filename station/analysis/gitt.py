"""Galvanostatic intermittent titration (GITT): diffusion coefficients from pulses and rests, in three ways.

By Weppner and Huggins, J. Electrochem. Soc. 124 (1977) 1569, for a sphere of radius R, where n_m·V_m/S = R/3:

    D = (4/(πτ))·(R/3)²·(ΔE_s/ΔE_τ)²            (total)
    D = (4/π)·(R/3)²·((ΔE_s/τ)/(dE/d√t))²       (√t)

ΔE_s is the change of the relaxed voltage by the pulse, ΔE_τ the one during the pulse without the ohmic drop. Both hold
for τ ≪ R²/D alone: even an ideal sphere gives 0.83 D at Dτ/R² = 0.01 and 0.20 D at 0.58, while r² of the √t line stays
above 0.97. So Dτ/R² is told with each result, and the total's value is corrected by the exact solution (see
`station.analysis.diffusion`) as far as the pulse is short enough to say anything. The third way fits that solution,

    E(t) = E₀ + ΔE_s·f(Dt/R²)/(3Dτ/R²),

to the pulse, with E₀, which takes up the ohmic and kinetic drop, and D free.

All of them suppose: a small step (potential linear in concentration), no phase boundary, rests long enough to relax, a
known radius of equal spheres, and a working electrode whose voltage is what changes. D in m² s⁻¹, R in m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar

from station.analysis.diffusion import surface, unbiased
from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate, root_sum_square
from station.analysis.flow import Direction
from station.analysis.lines import line, thinned
from station.analysis.record import Floats, Record, as_record
from station.analysis.titration import Titration, titrations

if TYPE_CHECKING:
    import pandas as pd

NAN = float("nan")
SHORT = 0.01
"""Dτ/R² up to which the bias of Weppner and Huggins is below 17 %."""
SMALL_STEP_V = 0.05
RELAXED_V_S = 1e-3 / 3600
"""1 mV/h at the end of a rest."""
LARGEST = 20.0
"""Dτ/R² at which a fit gives up: the shape of so long a pulse says nothing any more."""
LONGEST_FIT = 400  # points of a pulse that a fit looks at


@dataclass(frozen=True, slots=True)
class Check:
    """A condition of the method, and what was found."""

    name: str
    met: bool
    found: str


@dataclass(frozen=True, slots=True)
class GittPulse:
    """NaN where a method gives nothing."""

    number: int
    direction: Direction
    start_s: float
    pulse_s: float
    rest_s: float
    current_A: float  # signed
    relaxed_V: float  # after the rest
    relaxed_change_V: Estimate  # ΔE_s
    pulse_change_V: Estimate  # ΔE_τ
    ohmic_V: float  # the jump at the pulse's beginning
    D_total: Estimate
    D_sqrt: Estimate  # √t line over the whole pulse
    D_sqrt_early: Estimate  # over its first quarter
    sqrt_r2: float
    D_corrected: Estimate | None  # the total's, without the bias of a sphere; None where the pulse was too long
    D_fit: Estimate
    fit_rms_V: float
    rest_slope_V_s: Estimate  # at the end of the rest
    radius_m: float
    checks: tuple[Check, ...]

    @property
    def fourier(self) -> float:
        """Dτ/R² with the D that Weppner and Huggins' total gives; no pulse gives more than 0.14."""
        return self.D_total.value * self.pulse_s / self.radius_m**2

    @property
    def fourier_corrected(self) -> float:
        """Dτ/R² with the corrected D, or that of the fit where there is none."""
        value = self.D_fit.value if self.D_corrected is None else self.D_corrected.value
        return value * self.pulse_s / self.radius_m**2


def gitt(
    data: Record | pd.DataFrame, radius_m: Estimate | float, *, rest_current_A: float | None = None
) -> tuple[GittPulse, ...]:
    """One result for each pulse between two rests, in the order run.

    For a film or another shape, give three times its volume over its area as the radius; only D_total and D_sqrt hold
    then. Raises AnalysisError where the radius is not above zero or there is no such pulse.
    """
    radius = radius_m if isinstance(radius_m, Estimate) else Estimate(radius_m)
    if not radius.value > 0:
        raise AnalysisError(f"the particles' radius is {radius.value:g} m; it is above zero")
    found = list(titrations(as_record(data), rest_current_A))
    if not found:
        raise AnalysisError("there is no pulse of five readings or more with a rest before and after it")
    changes = [one.after_V.value - one.before_V.value for one in found]
    return tuple(
        _pulse(number, one, radius, changes[max(0, number - 2) : number + 1]) for number, one in enumerate(found, 1)
    )


def _pulse(number: int, one: Titration, radius: Estimate, nearby_V: list[float]) -> GittPulse:
    relaxed = _difference(one.after_V, one.before_V)
    began = one.without_ohmic_drop()
    pulse = _difference(Estimate(float(one.voltage_V[-1]), one.before_V.u), began)
    tau, scale = one.pulse_s, 4 / math.pi * (radius.value / 3) ** 2
    whole = line(np.sqrt(one.t), one.voltage_V)
    quarter = one.t <= tau / 4
    early = line(np.sqrt(one.t[quarter]), one.voltage_V[quarter]) if np.count_nonzero(quarter) > 2 else whole
    total = _squared(scale / tau, relaxed, pulse, radius)
    per_root = _over(relaxed, tau)
    fit, rms_V = _fit(one, relaxed, radius)
    return GittPulse(
        number=number,
        direction=one.direction,
        start_s=one.start_s,
        pulse_s=tau,
        rest_s=one.rest_s,
        current_A=one.mean_current_A,
        relaxed_V=one.after_V.value,
        relaxed_change_V=relaxed,
        pulse_change_V=pulse,
        ohmic_V=began.value - one.before_V.value,
        D_total=total,
        D_sqrt=_squared(scale, per_root, whole.slope, radius),
        D_sqrt_early=_squared(scale, per_root, early.slope, radius),
        sqrt_r2=whole.r2,
        D_corrected=_corrected(total, tau, radius),
        D_fit=fit,
        fit_rms_V=rms_V,
        rest_slope_V_s=one.rest_line.slope,
        radius_m=radius.value,
        checks=tuple(_checks(one, relaxed, pulse, total, whole.r2, radius, nearby_V)),
    )


def _difference(after: Estimate, before: Estimate) -> Estimate:
    return Estimate(after.value - before.value, root_sum_square(after.u or 0.0, before.u or 0.0))


def _over(value: Estimate, by: float) -> Estimate:
    return Estimate(value.value / by, None if value.u is None else value.u / by)


def _squared(scale: float, above: Estimate, below: Estimate, radius: Estimate) -> Estimate:
    """scale·(above/below)², where `scale` holds the radius squared; NaN where the two do not go the same way."""
    if not above.value * below.value > 0:
        return Estimate(NAN)
    value = scale * (above.value / below.value) ** 2
    relative = root_sum_square(above.relative_u or 0.0, below.relative_u or 0.0, radius.relative_u or 0.0)
    return Estimate(value, 2 * value * relative)


def _corrected(total: Estimate, tau: float, radius: Estimate) -> Estimate | None:
    """The bias depends on Dτ/R² as it is found, in which the radius cancels; D goes with its square."""
    true = unbiased(total.value * tau / radius.value**2)
    if true is None:
        return None
    fourier, gain = true
    value = fourier * radius.value**2 / tau
    of_radius = 2 * (radius.relative_u or 0.0)
    of_voltages = math.sqrt(max(0.0, (total.relative_u or 0.0) ** 2 - of_radius**2))
    return Estimate(value, value * root_sum_square(gain * of_voltages, of_radius))


# --- the fit


def _fit(one: Titration, relaxed: Estimate, radius: Estimate) -> tuple[Estimate, float]:
    """D by the exact solution for a sphere, and the root mean square of what it leaves over."""
    rows = thinned(len(one.t), LONGEST_FIT)
    t, volts = one.t[rows] / one.pulse_s, one.voltage_V[rows]
    if not relaxed.value * (volts[-1] - volts[0]) > 0:
        return Estimate(NAN), NAN
    log_T, residual = _least_squares(t, volts, relaxed.value)
    if log_T > math.log(LARGEST) - 0.1:
        return Estimate(NAN), NAN
    rms_V = float(np.sqrt(residual @ residual / len(t)))
    step = 1e-3
    change = (_model(t, log_T + step, relaxed.value) - _model(t, log_T - step, relaxed.value)) / (2 * step)
    sensitivity = change - change.mean()
    variance = float(residual @ residual) / max(1, len(t) - 2)
    u_fit = math.sqrt(variance / float(sensitivity @ sensitivity))
    u_step = 0.0
    if relaxed.u:
        moved, _ = _least_squares(t, volts, relaxed.value + math.copysign(relaxed.u, relaxed.value))
        u_step = abs(moved - log_T)
    value = math.exp(log_T) * radius.value**2 / one.pulse_s
    return Estimate(value, value * root_sum_square(u_fit, u_step, 2 * (radius.relative_u or 0.0))), rms_V


def _model(t: Floats, log_T: float, step_V: float) -> Floats:
    """Without E₀; `t` in units of the pulse, `log_T` of Dτ/R²."""
    T = math.exp(log_T)
    change: Floats = step_V * surface(T * t) / (3 * T)
    return change


def _least_squares(t: Floats, volts: Floats, step_V: float) -> tuple[float, Floats]:
    """ln(Dτ/R²) and the residuals; E₀ follows as the mean of what is left."""

    def left(log_T: float) -> Floats:
        over: Floats = volts - _model(t, log_T, step_V)
        over -= over.mean()
        return over

    def cost(log_T: float) -> float:
        over = left(log_T)
        return float(over @ over)

    grid = np.linspace(math.log(1e-6), math.log(LARGEST), 35)
    best = int(np.argmin([cost(log_T) for log_T in grid.tolist()]))
    low, high = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
    found = minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    return float(found.x), left(float(found.x))


# --- conditions


def _checks(
    one: Titration,
    relaxed: Estimate,
    pulse: Estimate,
    total: Estimate,
    r2: float,
    radius: Estimate,
    nearby_V: list[float],
) -> list[Check]:
    T = total.value * one.pulse_s / radius.value**2
    true = unbiased(T)
    bias = f"Dτ/R² = {T:.2g} with the D found, " + (
        "too long to say" if true is None else f"{true[0]:.2g} with the true one"
    )
    slope = one.rest_line.slope.value
    same = [value / relaxed.value for value in nearby_V if relaxed.value and value * relaxed.value > 0]
    even = len(same) == len(nearby_V) and all(0.5 < share < 2 for share in same)
    noise = 3 * math.hypot(relaxed.u or 0.0, 0.0)
    return [
        Check("pulse short beside R²/D", math.isfinite(T) and T < SHORT, bias),
        Check("small step", abs(relaxed.value) < SMALL_STEP_V, f"ΔE_s = {1e3 * relaxed.value:.3g} mV"),
        Check("step above the noise", abs(relaxed.value) > noise, f"3u = {1e3 * noise:.2g} mV"),
        Check("E linear in √t", r2 > 0.99, f"r² = {r2:.4f}, which a pulse much too long passes too"),
        Check("relaxed", abs(slope) < RELAXED_V_S, f"dE/dt = {3.6e6 * slope:.3g} mV/h at the end of the rest"),
        Check("ΔE_s changes slowly", even, "beside the pulses before and after"),
        Check("same sign", relaxed.value * pulse.value > 0, f"ΔE_τ = {1e3 * pulse.value:.3g} mV"),
    ]
