"""Distribution of relaxation times.

Z(ω) = R∞ + jωL + 1/(Q(jω)^m) + ∫ γ(ln τ)/(1 + jωτ) d ln τ, with γ ≥ 0 in Ω, by Tikhonov regularisation. What is
minimised is Σ|Z − Ẑ|²/|Z|² + λ·∫(dγ/d ln τ)² d ln τ/γ₀², with γ₀ the span of the real part, so that λ has no unit and
means the same for every cell. γ is linear between the points of a grid that reaches a decade past the measured
frequencies, at low frequency only where there is no tail. λ is given, or the largest at which what one part of the
spectrum (real, imaginary) says predicts the other almost as well as at any.

Sources: T. H. Wan, M. Saccoccio, C. Chen, F. Ciucci, Electrochim. Acta 184 (2015) 483 (regularisation, cross-validation
of real and imaginary parts); C. L. Lawson and R. J. Hanson, Solving Least Squares Problems (1974), ch. 23 (γ ≥ 0).

The series element 1/(Q(jω)^m) is there where the spectrum ends in a blocking or diffusive tail, which is no relaxation;
m = 1 is a capacitance, and m is given or that of the least sum. What it does not take shows as γ at the largest τ,
which `DRT.tail` flags.

Validity: a consistent spectrum (`kramers_kronig`). Resolution ends where peaks are closer than about a decade.
Uncertainties are of the noise at the given λ and m, from repetitions with as much of it. The bias of the regularisation
is not in them, and the tails of a depressed arc may show as small peaks beside it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.impedance.elements import Complexes, Floats
from station.analysis.impedance.kramers_kronig import has_tail
from station.analysis.impedance.spectrum import ImpedanceSpectrum

FEWEST_POINTS = 10
BEYOND = 1.0  # decades of the grid past the measured frequencies
A_DECADE = 10  # points of the grid
CANDIDATES: tuple[float, ...] = tuple(10.0 ** np.arange(-6.0, 0.51, 0.5))
ALMOST = 1.1  # times the least error of prediction: the smoothest γ below it is chosen
EXPONENTS: tuple[float | None, ...] = tuple(0.05 * number for number in range(8, 21))
REPETITIONS = 40  # with other noise, for the uncertainties
SEARCH = 1e-3  # λ while the tail's exponent is found
LEAST_SHARE = 0.01  # of the polarisation, that a peak has
LARGE_SHARE = 0.1  # of one that is less than three standard errors
SIGNIFICANT = 3.0


@dataclass(frozen=True, slots=True)
class Peak:
    """A peak of γ, from one minimum to the next; what is insignificant is part of its neighbour.

    The time constant is the centroid in ln τ.
    """

    time_constant_s: Estimate
    frequency_Hz: float  # 1/(2πτ)
    resistance_ohm: Estimate  # ∫γ d ln τ over the peak


@dataclass(frozen=True, eq=False)
class DRT:
    """γ in Ω over τ in s; R∞, L and, where there is one, the series element of the tail."""

    spectrum: ImpedanceSpectrum
    tau_s: Floats
    gamma_ohm: Floats
    gamma_error_ohm: Floats
    high_frequency_resistance_ohm: float
    inductance_H: float
    tail_Q: float | None  # of 1/(Q(jω)^m), in S·s^m
    tail_exponent: float | None  # m
    polarisation_ohm: Estimate  # ∫γ d ln τ over all, the sum of all peaks
    regularisation: float  # λ
    chosen_by: str
    peaks: tuple[Peak, ...]
    fitted_ohm: Complexes

    @property
    def residuals(self) -> Complexes:
        """(Z − Ẑ)/|Z|."""
        relative: Complexes = (self.spectrum.impedance_ohm - self.fitted_ohm) / self.spectrum.modulus_ohm
        return relative

    @property
    def tail(self) -> bool:
        """Whether γ is still large at the slow end: then diffusion or a blocking tail is in it, not a process."""
        slow = self.tau_s > 0.3 / (2 * np.pi * self.spectrum.frequency_Hz[-1])
        return bool(self.gamma_ohm[slow].max(initial=0.0) > 0.1 * self.gamma_ohm.max())


def distribution_of_relaxation_times(
    spectrum: ImpedanceSpectrum,
    *,
    regularisation: float | None = None,
    tail: bool | None = None,
    tail_exponent: float | None = None,
    inductance: bool = True,
    points_per_decade: int = A_DECADE,
) -> DRT:
    """γ(τ) of a spectrum with its peaks.

    `regularisation`: λ; chosen by cross-validation of the real and imaginary parts unless given. `tail`: whether
    there is a series element; None decides by the phase at the lowest frequencies. `tail_exponent`: m in (0, 1]; found
    unless given. Raises `AnalysisError` for too few points, or a λ or m out of its range.
    """
    if len(spectrum) < FEWEST_POINTS:
        raise AnalysisError(
            f"a distribution of relaxation times needs at least {FEWEST_POINTS} points; there are {len(spectrum)}"
        )
    if regularisation is not None and not 0 < regularisation < np.inf:
        raise AnalysisError(f"the regularisation must be a positive number, not {regularisation}")
    if tail_exponent is not None and not 0 < tail_exponent <= 1:
        raise AnalysisError(f"the exponent of the tail is in (0, 1], not {tail_exponent}")
    exponents: tuple[float | None, ...] = (None,)
    if has_tail(spectrum) if tail is None else tail:
        exponents = EXPONENTS if tail_exponent is None else (tail_exponent,)
    problems = [_Problem.of(spectrum, each, inductance, points_per_decade) for each in exponents]
    problem = min(problems, key=lambda each: each.objective(regularisation or SEARCH))
    chosen_by = "given"
    if regularisation is None:
        regularisation, chosen_by = problem.cross_validated(CANDIDATES), "cross-validation of real and imaginary parts"
    return _result(problem, spectrum, regularisation, chosen_by)


@dataclass(frozen=True, eq=False)
class _Problem:
    basis: Complexes  # points × unknowns, weighted: γ first, then R∞, L, 1/Q where they are
    data: Complexes  # weighted
    tau: Floats
    names: tuple[str, ...]
    units: Floats  # of the unknowns after γ, as the basis has them
    roughness: Floats
    exponent: float | None

    @classmethod
    def of(cls, spectrum: ImpedanceSpectrum, exponent: float | None, inductance: bool, a_decade: int) -> _Problem:
        s = 2j * np.pi * spectrum.frequency_Hz
        fast, slow = np.log10(1 / s[0].imag) - BEYOND, np.log10(1 / s[-1].imag) + (BEYOND if exponent is None else 0.0)
        tau = np.logspace(fast, slow, int(np.ceil((slow - fast) * a_decade)) + 1)
        step = np.log(tau[1] / tau[0])
        weight = np.full(tau.size, step)
        weight[[0, -1]] = step / 2
        columns: list[Complexes] = list(weight[:, None] / (1 + tau[:, None] * s))
        names, units = ["R"], [1.0]
        columns.append(np.ones_like(s))
        if inductance:
            columns.append(s / s[0].imag)
            names.append("L")
            units.append(1 / s[0].imag)
        if exponent is not None:
            columns.append((s[-1].imag / s) ** exponent)
            names.append("1/Q")
            units.append(s[-1].imag ** exponent)
        modulus = spectrum.modulus_ohm
        span = max(float(np.ptp(spectrum.impedance_ohm.real)), 1e-6 * float(modulus.max()))
        slopes = np.diff(np.eye(tau.size), axis=0) / np.sqrt(step) / span
        roughness = np.concatenate([slopes, np.zeros((tau.size - 1, len(names)))], axis=1)
        basis: Complexes = np.stack(columns, axis=1) / modulus[:, None]
        return cls(basis, spectrum.impedance_ohm / modulus, tau, tuple(names), np.array(units), roughness, exponent)

    def rows(self, parts: Sequence[str]) -> tuple[Floats, Floats]:
        basis = {"real": self.basis.real, "imaginary": self.basis.imag}
        data = {"real": self.data.real, "imaginary": self.data.imag}
        return np.concatenate([basis[part] for part in parts]), np.concatenate([data[part] for part in parts])

    def solve(self, regularisation: float, parts: Sequence[str] = ("real", "imaginary")) -> Floats:
        basis, data = self.rows(parts)
        matrix = np.concatenate([basis, np.sqrt(regularisation) * self.roughness])
        right = np.concatenate([data, np.zeros(len(self.roughness))])
        # Columns of one length: what nnls takes for zero is then the same for all.
        length = np.linalg.norm(matrix, axis=0) + 1e-300
        solution: Floats = nnls(matrix / length, right, maxiter=50 * matrix.shape[1])[0] / length
        return solution

    def objective(self, regularisation: float) -> float:
        solution = self.solve(regularisation)
        basis, data = self.rows(("real", "imaginary"))
        left, rough = data - basis @ solution, self.roughness @ solution
        return float(left @ left + regularisation * rough @ rough)

    def with_data(self, data: Complexes) -> _Problem:
        return dataclasses.replace(self, data=data)

    def cross_validated(self, candidates: Sequence[float]) -> float:
        def error(regularisation: float) -> float:
            total = 0.0
            for fitted, other in (("real", "imaginary"), ("imaginary", "real")):
                solution = self.solve(regularisation, (fitted,))
                basis, data = self.rows((other,))
                # What the fitted part cannot say (the imaginary R∞, the real L and C) is fitted to the other.
                extra = basis[:, self.tau.size :]
                left = data - basis[:, : self.tau.size] @ solution[: self.tau.size]
                left = left - extra @ np.linalg.lstsq(extra, left, rcond=None)[0]
                total += float(left @ left)
            return total

        errors = [error(each) for each in candidates]
        return max(each for each, reached in zip(candidates, errors, strict=True) if reached <= ALMOST * min(errors))


def _result(problem: _Problem, spectrum: ImpedanceSpectrum, regularisation: float, chosen_by: str) -> DRT:
    solution = problem.solve(regularisation)
    size = problem.tau.size
    gamma = solution[:size]
    covariance = _covariance(problem, solution, regularisation)
    weight = np.full(size, np.log(problem.tau[1] / problem.tau[0]))
    weight[[0, -1]] /= 2
    extra = dict(zip(problem.names, solution[size:] * problem.units, strict=True))
    return DRT(
        spectrum,
        problem.tau,
        gamma,
        np.sqrt(covariance.diagonal()),
        float(extra["R"]),
        float(extra.get("L", 0.0)),
        float(1 / extra["1/Q"]) if extra.get("1/Q") else None,
        problem.exponent,
        _integral(gamma, weight, covariance),
        regularisation,
        chosen_by,
        _peaks(problem.tau, gamma, weight, covariance),
        (problem.basis @ solution) * spectrum.modulus_ohm,
    )


def _covariance(problem: _Problem, solution: Floats, regularisation: float) -> Floats:
    """Of γ, from repetitions with other noise: γ ≥ 0 makes of it what no formula says."""
    basis, data = problem.rows(("real", "imaginary"))
    left = data - basis @ solution
    used = np.flatnonzero(solution > 0)
    normal = basis[:, used].T @ basis[:, used]
    smooth = regularisation * problem.roughness[:, used].T @ problem.roughness[:, used]
    effective = float(np.trace(np.linalg.pinv(normal + smooth) @ normal))
    noise = math.sqrt(float(left @ left) / max(1.0, data.size - effective))
    rng, fitted = np.random.default_rng(0), problem.basis @ solution
    samples = [
        problem.with_data(fitted + noise * (rng.normal(size=fitted.size) + 1j * rng.normal(size=fitted.size))).solve(
            regularisation
        )[: problem.tau.size]
        for _ in range(REPETITIONS)
    ]
    return np.cov(np.array(samples), rowvar=False)


def _integral(gamma: Floats, weight: Floats, covariance: Floats) -> Estimate:
    return Estimate(float(weight @ gamma), math.sqrt(max(0.0, float(weight @ covariance @ weight))))


def _peaks(tau: Floats, gamma: Floats, weight: Floats, covariance: Floats) -> tuple[Peak, ...]:
    padded = np.concatenate([[0.0], gamma, [0.0]])
    tops = np.flatnonzero((padded[1:-1] > padded[:-2]) & (padded[1:-1] >= padded[2:]))
    if not tops.size:
        return ()
    valleys = [int(a + np.argmin(gamma[a : b + 1])) for a, b in itertools.pairwise(tops)]
    edges = [0, *valleys, tau.size]
    peaks = [_peak(tau, gamma, weight, covariance, low, high) for low, high in itertools.pairwise(edges)]
    total = float(weight @ gamma)
    while len(peaks) > 1:
        weak = [number for number, peak in enumerate(peaks) if not _stands(peak, total)]
        if not weak:
            break
        least = min(weak, key=lambda number: peaks[number].resistance_ohm.value)
        inner = [edge for edge in (least, least + 1) if 0 < edge < len(edges) - 1]
        del edges[max(inner, key=lambda edge: gamma[edges[edge]])]  # it joins its neighbour over the higher valley
        peaks = [_peak(tau, gamma, weight, covariance, low, high) for low, high in itertools.pairwise(edges)]
    return tuple(peaks)


def _stands(peak: Peak, total: float) -> bool:
    resistance = peak.resistance_ohm
    certain = resistance.value > SIGNIFICANT * (resistance.u or 0.0)
    return resistance.value > (LEAST_SHARE if certain else LARGE_SHARE) * total


def _peak(tau: Floats, gamma: Floats, weight: Floats, covariance: Floats, low: int, high: int) -> Peak:
    share = np.zeros(tau.size)
    share[low:high] = weight[low:high]
    resistance = _integral(gamma, share, covariance)
    centre = float(share @ (gamma * np.log(tau))) / resistance.value
    lean = share * (np.log(tau) - centre) / resistance.value
    error = math.sqrt(max(0.0, float(lean @ covariance @ lean)))
    value = float(np.exp(centre))
    return Peak(Estimate(value, value * error), 1 / (2 * np.pi * value), resistance)
