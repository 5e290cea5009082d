"""Conductivity, and what it does with temperature.

σ = L/(R·S), with L the thickness between the electrodes as it is in the cell and S their area; R is the intercept at
high frequency or the resistance of the bulk's arc, and which it is must be said with the number.

Arrhenius: σ = A·exp(−Ea/(kB·T)), or σT = A·exp(−Ea/(kB·T)) as for hopping (Nernst–Einstein), usual for ceramics. Ea of
the second is larger by about kB·T̄, 0.026 to 0.038 eV: results of different forms are not comparable.

Vogel–Tammann–Fulcher: σ = A·T^(−1/2)·exp(−B/(T − T0)), or without T^(−1/2). H. Vogel, Phys. Z. 22 (1921) 645;
G. S. Fulcher, J. Am. Ceram. Soc. 8 (1925) 339; G. Tammann and W. Hesse, Z. Anorg. Allg. Chem. 156 (1926) 245. B·kB is
an energy, but no barrier. A, B and T0 are correlated by more than 0.99: six temperatures over a decade of σ are the
least, and T0 is given with the interval of its profile.

Both are fitted to ln σ, so that all temperatures count alike (or by given relative uncertainties).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize_scalar
from scipy.special import fdtri, stdtrit

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.impedance.elements import Floats
from station.analysis.impedance.spectrum import ImpedanceSpectrum

BOLTZMANN_EV = 8.617333262e-5  # eV/K, exact in the SI of 2019
STARTS = 40  # values of T0 at which a descent may begin
FEW_TEMPERATURES = 6


def conductivity_S_per_m(
    resistance_ohm: float,
    thickness_m: float,
    area_m2: float,
    *,
    resistance_error_ohm: float = 0.0,
    thickness_error_m: float = 0.0,
    area_error_m2: float = 0.0,
) -> Estimate:
    """σ = L/(R·S) in S/m (1 S/m is 0.01 S/cm), with its standard uncertainty; the three are taken as independent.

    Raises `AnalysisError` where a value is not positive or an uncertainty negative.
    """
    for name, value in (("resistance", resistance_ohm), ("thickness", thickness_m), ("area", area_m2)):
        if not (value > 0 and np.isfinite(value)):
            raise AnalysisError(f"a conductivity needs a positive {name}, not {value:g}")
    relative = np.array(
        [resistance_error_ohm / resistance_ohm, thickness_error_m / thickness_m, area_error_m2 / area_m2]
    )
    if not np.all(relative >= 0):
        raise AnalysisError("uncertainties must not be negative")
    sigma = thickness_m / (resistance_ohm * area_m2)
    return Estimate(sigma, sigma * float(np.linalg.norm(relative)))


def high_frequency_intercept_ohm(spectrum: ImpedanceSpectrum) -> float:
    """Re Z where Im Z first changes its sign, from the highest frequency down; interpolated in log frequency.

    For electrolytes between blocking metals. Raises `AnalysisError` where Im Z has no change of sign: then fit a
    circuit, for an extrapolation by eye has no uncertainty.
    """
    imaginary = spectrum.impedance_ohm.imag
    crossing = np.flatnonzero((imaginary[:-1] >= 0) & (imaginary[1:] < 0))
    if not crossing.size:
        raise AnalysisError("the spectrum does not cross the real axis at high frequency; fit a circuit to it")
    at = int(crossing[0])
    share = imaginary[at] / (imaginary[at] - imaginary[at + 1])
    real = spectrum.impedance_ohm.real
    return float(real[at] + share * (real[at + 1] - real[at]))


@dataclass(frozen=True, eq=False)
class Arrhenius:
    """A fit of ln σ, or ln σT, to 1/T."""

    form: str  # 'sigma' or 'sigma T'
    activation_energy_eV: Estimate
    activation_energy_95_eV: tuple[float, float]
    prefactor: Estimate  # S/m, or S·K/m
    correlation: float  # of ln A and Ea
    deviation: float  # standard deviation of ln σ from the line
    aicc: float | None  # None: too few temperatures
    temperature_K: Floats
    conductivity_S_per_m: Floats

    def conductivity(self, temperature_K: ArrayLike) -> Floats:
        """σ in S/m."""
        t = np.asarray(temperature_K, dtype=float)
        sigma: Floats = self.prefactor.value * np.exp(-self.activation_energy_eV.value / (BOLTZMANN_EV * t))
        return sigma / t if self.form == "sigma T" else sigma


@dataclass(frozen=True, eq=False)
class VTF:
    """A fit of ln σ to 1/(T − T0)."""

    square_root: bool  # whether with T^(−1/2)
    prefactor: Estimate  # S/m, or S·K^(1/2)/m
    b_K: Estimate
    pseudo_activation_energy_eV: Estimate  # B·kB
    t0_K: Estimate
    t0_95_K: tuple[float, float]  # where the profile of the sum of squares leaves the 95 % region; 0: open
    deviation: float
    aicc: float | None
    better_than_arrhenius: float | None  # AICc of the Arrhenius fit less this one: 10 is decisive, 2 says nothing
    warnings: tuple[str, ...]
    temperature_K: Floats
    conductivity_S_per_m: Floats

    def conductivity(self, temperature_K: ArrayLike) -> Floats:
        """σ in S/m."""
        t = np.asarray(temperature_K, dtype=float)
        sigma: Floats = self.prefactor.value * np.exp(-self.b_K.value / (t - self.t0_K.value))
        return sigma / np.sqrt(t) if self.square_root else sigma


def fit_arrhenius(
    temperature_K: ArrayLike,
    conductivity_S_per_m: ArrayLike,
    *,
    form: Literal["sigma", "sigma T"] = "sigma",
    relative_error: ArrayLike | None = None,
) -> Arrhenius:
    """Ea and A from three temperatures or more.

    Standard errors are from the scatter about the line; `relative_error` only weights. Raises `AnalysisError` where
    there are too few, or a value is not positive.
    """
    t, sigma, weight = _checked(temperature_K, conductivity_S_per_m, relative_error, 3)
    if form not in ("sigma", "sigma T"):
        raise AnalysisError(f"the form of an Arrhenius fit is 'sigma' or 'sigma T', not '{form}'")
    y = np.log(sigma * t) if form == "sigma T" else np.log(sigma)
    line = _line(-1 / (BOLTZMANN_EV * t), y, weight)
    energy, error = line.slope, line.slope_error
    half = float(stdtrit(t.size - 2, 0.975)) * error
    prefactor = float(np.exp(line.intercept))
    return Arrhenius(
        form,
        Estimate(energy, error),
        (energy - half, energy + half),
        Estimate(prefactor, prefactor * line.intercept_error),
        line.correlation,
        float(np.sqrt(line.sum_of_squares / (t.size - 2))),
        _aicc(t.size, 2, line.sum_of_squares),
        t,
        sigma,
    )


def fit_vtf(
    temperature_K: ArrayLike,
    conductivity_S_per_m: ArrayLike,
    *,
    square_root: bool = True,
    relative_error: ArrayLike | None = None,
) -> VTF:
    """A, B and T0 from four temperatures or more, 0 ≤ T0 < the lowest temperature.

    At each T0 the other two follow by linear regression, so only T0 is searched: descents from many values of it.
    Raises `AnalysisError` where there are too few temperatures, or a value is not positive.
    """
    t, sigma, weight = _checked(temperature_K, conductivity_S_per_m, relative_error, 4)
    y = np.log(sigma) + (0.5 * np.log(t) if square_root else 0.0)

    def at(t0: float) -> _Line:
        return _line(-1 / (t - t0), y, weight)

    def total(t0: float) -> float:
        return at(t0).sum_of_squares

    t0 = _best_t0(total, float(t.min()))
    line, freedom = at(t0), t.size - 3
    variance = max(line.sum_of_squares, 1e-30 * t.size) / freedom
    gradient = np.stack([np.ones(t.size), -1 / (t - t0), -line.slope / (t - t0) ** 2]) * weight
    covariance = np.linalg.pinv(gradient @ gradient.T) * variance
    error = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
    prefactor = float(np.exp(line.intercept))
    aicc = _aicc(t.size, 3, line.sum_of_squares)
    straight = fit_arrhenius(t, sigma, relative_error=relative_error).aicc
    return VTF(
        square_root,
        Estimate(prefactor, prefactor * float(error[0])),
        Estimate(line.slope, float(error[1])),
        Estimate(line.slope * BOLTZMANN_EV, float(error[1]) * BOLTZMANN_EV),
        Estimate(t0, float(error[2])),
        _interval(total, t0, float(t.min()), variance * (1 + float(fdtri(1, freedom, 0.95)) / freedom) * freedom),
        float(np.sqrt(line.sum_of_squares / freedom)),
        aicc,
        None if aicc is None or straight is None else straight - aicc,
        _vtf_warnings(t, sigma, t0),
        t,
        sigma,
    )


def _vtf_warnings(t: Floats, sigma: Floats, t0: float) -> tuple[str, ...]:
    said = []
    if np.unique(t).size < FEW_TEMPERATURES:
        said.append(f"{np.unique(t).size} temperatures: six are the least for three parameters")
    if sigma.max() < 10 * sigma.min():
        said.append("the conductivity changes by less than a decade: T0 is hardly determined")
    if t0 < 1.0:
        said.append("T0 goes to zero: the data are those of an Arrhenius law")
    return tuple(said)


def _best_t0(total: Callable[[float], float], coldest: float) -> float:
    grid = coldest - np.geomspace(coldest, 1e-3 * coldest, STARTS)
    values = np.array([total(each) for each in grid])
    padded = np.concatenate([[np.inf], values, [np.inf]])
    lowest = np.flatnonzero((values <= padded[:-2]) & (values <= padded[2:]))
    found = [(float(values[each]), float(grid[each])) for each in lowest]
    for each in lowest:
        low, high = float(grid[max(0, int(each) - 1)]), float(grid[min(STARTS - 1, int(each) + 1)])
        result = minimize_scalar(total, bounds=(low, high), method="bounded", options={"xatol": 1e-9 * coldest})
        found.append((float(result.fun), float(result.x)))
    return min(found)[1]


def _interval(total: Callable[[float], float], t0: float, coldest: float, level: float) -> tuple[float, float]:
    """Where the profile crosses `level` on both sides; 0 or the coldest temperature where it does not."""

    def above(value: float) -> float:
        return total(value) - level

    top = coldest * (1 - 1e-6)
    low = float(brentq(above, 0.0, t0)) if t0 > 0 and above(0.0) > 0 else 0.0
    high = float(brentq(above, t0, top)) if above(top) > 0 else coldest
    return low, high


@dataclass(frozen=True, slots=True)
class _Line:
    slope: float
    intercept: float
    slope_error: float
    intercept_error: float
    correlation: float
    sum_of_squares: float


def _line(x: Floats, y: Floats, weight: Floats) -> _Line:
    """Weighted linear regression; errors from the scatter."""
    w = weight**2
    mean_x, mean_y = w @ x / w.sum(), w @ y / w.sum()
    spread = float(w @ (x - mean_x) ** 2)
    slope = float(w @ ((x - mean_x) * (y - mean_y))) / spread
    intercept = float(mean_y - slope * mean_x)
    total = float(w @ (y - intercept - slope * x) ** 2)
    variance = total / (x.size - 2)
    of_intercept = float(1 / w.sum() + mean_x**2 / spread)
    correlation = float(-mean_x / spread / np.sqrt(of_intercept / spread))
    return _Line(slope, intercept, (variance / spread) ** 0.5, (variance * of_intercept) ** 0.5, correlation, total)


def _checked(
    temperature_K: ArrayLike, conductivity: ArrayLike, relative_error: ArrayLike | None, least: int
) -> tuple[Floats, Floats, Floats]:
    t = np.atleast_1d(np.asarray(temperature_K, dtype=float))
    sigma = np.atleast_1d(np.asarray(conductivity, dtype=float))
    error = np.ones(t.shape) if relative_error is None else np.broadcast_to(np.asarray(relative_error, float), t.shape)
    if t.ndim != 1 or t.shape != sigma.shape:
        raise AnalysisError(f"as many conductivities as temperatures are needed, not {sigma.size} and {t.size}")
    for name, values in (("temperature in K", t), ("conductivity", sigma), ("relative error", error)):
        if not np.all((values > 0) & np.isfinite(values)):
            raise AnalysisError(f"every {name} must be a positive number")
    if np.unique(t).size < least:
        raise AnalysisError(f"{least} different temperatures are the least; there are {np.unique(t).size}")
    weight = 1 / error
    return t, sigma, weight / np.sqrt(np.mean(weight**2))


def _aicc(data: int, parameters: int, sum_of_squares: float) -> float | None:
    k = parameters + 1  # the noise
    if data - k - 1 <= 0:
        return None
    return data * float(np.log(max(sum_of_squares, 1e-300) / data)) + 2 * k + 2 * k * (k + 1) / (data - k - 1)
