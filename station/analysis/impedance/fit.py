"""Complex non-linear least squares: a circuit fitted to a spectrum, without start values from a person.

What is minimised is S = Σ |Z_i − Ẑ_i|²/|Z_i|² over all points (weights by the modulus of the data, so that all decades
count alike), by the logarithms of the parameters. Standard errors follow from Cov = (JᵀJ)⁻¹·S/(2N − p) on logarithms,
and intervals are those of Student's t there: a resistance of 10 Ω with a large error is 5 to 20 Ω, never negative.
Validity: the noise is as the weights say; the errors are those of noise, not of a wrong circuit. See J. R. Macdonald
and L. D. Potter, Solid State Ionics 24 (1987) 61; B. A. Boukamp, Solid State Ionics 20 (1986) 31.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from station.analysis.errors import AnalysisError
from station.analysis.impedance.arcs import Arc, arcs, exchanges, ordered
from station.analysis.impedance.circuit import Circuit, Parameter
from station.analysis.impedance.elements import Complexes, Floats, Frequencies
from station.analysis.impedance.likelihood import Errors, errors
from station.analysis.impedance.named import circuit_of
from station.analysis.impedance.solver import Minimum, minimise
from station.analysis.impedance.spectrum import ImpedanceSpectrum
from station.analysis.impedance.starts import is_simple
from station.analysis.impedance.starts import starts as found_starts

Weights: TypeAlias = Literal["modulus", "unit"] | ArrayLike
ENOUGH = 3  # descents from different starts that end in the best minimum
THOROUGH = 8  # the fewest descents where a circuit has more than arcs in series
SAME = 1e-3  # relative difference of sums of squares that are one minimum
SEARCH = 1e-6  # tolerance of a descent: a hundredth of a standard error; the best one is then brought to rest
HOPELESS = 3.0  # times the best sum of squares: what a descent must come below in time
CONTENDERS, NEAR = 5, 1.3  # how many are brought to rest where no minimum was reached often, and how near they are
CORRELATED = 0.95
UNCERTAIN = 0.2
UPSIDE_DOWN = 0.8  # share of points with positive Im Z, which no cell has down to low frequency


@dataclass(frozen=True, slots=True)
class FittedParameter:
    """A parameter with its standard error and 95 % interval, in `unit`; NaN errors where it was fixed."""

    name: str
    value: float
    unit: str
    standard_error: float
    low_95: float
    high_95: float
    fixed: bool
    at_bound: bool


@dataclass(frozen=True, eq=False)
class CircuitFit:
    """A fitted circuit; `fit["R2"]` is a parameter's value."""

    circuit: Circuit
    spectrum: ImpedanceSpectrum
    weighting: str
    parameters: tuple[FittedParameter, ...]
    covariance: Floats  # of the logarithms, in the order of `parameters`; zero for those fixed
    sum_of_squares: float  # Σ w²|Z − Ẑ|²
    chi2_reduced: float  # the same by 2N − p
    fitted_ohm: Complexes
    starts: int  # descents made
    reached: int  # how many of them ended in the best minimum
    converged: bool

    def __getitem__(self, name: str) -> float:
        return self.parameter(name).value

    def parameter(self, name: str) -> FittedParameter:
        self.circuit.check_names({name: None})
        return self.parameters[self.circuit.names.index(name)]

    @property
    def values(self) -> dict[str, float]:
        return {each.name: each.value for each in self.parameters}

    @property
    def free(self) -> int:
        """How many parameters were fitted."""
        return sum(not each.fixed for each in self.parameters)

    @property
    def residuals(self) -> Complexes:
        """(Z − Ẑ)/|Z|."""
        relative: Complexes = (self.spectrum.impedance_ohm - self.fitted_ohm) / self.spectrum.modulus_ohm
        return relative

    @cached_property
    def correlation(self) -> Floats:
        """Of the logarithms, in the order of `parameters`; NaN for those fixed."""
        deviation = np.sqrt(self.covariance.diagonal())
        with np.errstate(invalid="ignore", divide="ignore"):
            matrix: Floats = self.covariance / np.outer(deviation, deviation)
        return matrix

    @cached_property
    def arcs(self) -> tuple[Arc, ...]:
        """The circuit's arcs by rising time constant, with characteristic frequencies and effective capacitances."""
        return arcs(self.circuit, np.array([each.value for each in self.parameters]), self.covariance)

    @cached_property
    def flags(self) -> tuple[str, ...]:
        """What is to be doubted, in words."""
        said = [f"{each.name} is at a bound of its range" for each in self.parameters if each.at_bound]
        for each in self.parameters:
            if each.standard_error > UNCERTAIN * each.value:
                share = each.standard_error / each.value
                error = f"standard error {share:.0%}" if share < 10 else "hardly anything is known of it"
                said.append(f"{each.name} is uncertain: {error}")
        for row, column in zip(*np.triu_indices(len(self.parameters), 1), strict=True):
            rho = self.correlation[row, column]
            if abs(rho) > CORRELATED:
                first, second = self.parameters[row].name, self.parameters[column].name
                said.append(f"{first} and {second} are hardly told apart: correlation {rho:+.3f}")
        if np.mean(self.spectrum.impedance_ohm.imag > 0) > UPSIDE_DOWN:
            said.append("Im Z is positive nearly everywhere: was it −Im Z?")
        if not self.converged:
            said.append("the fit did not come to rest")
        return tuple(said)

    def frame(self) -> pd.DataFrame:
        """The parameters as a table."""
        rows = [
            (each.name, each.value, each.standard_error, each.low_95, each.high_95, each.unit)
            for each in self.parameters
        ]
        return pd.DataFrame(rows, columns=["parameter", "value", "standard error", "low 95 %", "high 95 %", "unit"])


def fit_circuit(
    spectrum: ImpedanceSpectrum,
    circuit: str | Circuit,
    *,
    weights: Weights = "modulus",
    bounds: Mapping[str, tuple[float, float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    start: Mapping[str, float] | None = None,
    starts: int = 16,
    seed: int = 0,
) -> CircuitFit:
    """Fit `circuit`, a name or a circuit string, to `spectrum`.

    `weights`: "modulus" (1/|Z| of the data), "unit", or standard uncertainties in Ω, one a point in the order of
    `spectrum.frequency_Hz`, or an N × 2 array for the real and imaginary parts; given uncertainties are taken as they
    are, otherwise the noise is estimated from the residuals. `bounds` and `fixed` by name ('n4': (0.4, 0.6)). `start`:
    values to begin with; where all are given the only descent begins there. Otherwise descents begin at up to `starts`
    places found in the data and end once the best minimum was reached three times. `seed` makes it repeatable.

    Raises `AnalysisError` where a name is unknown or there are too few points.
    """
    circuit = circuit_of(circuit) if isinstance(circuit, str) else circuit
    problem = _Problem.of(spectrum, circuit, weights, bounds or {}, fixed or {})
    circuit.check_names(start or {})
    for name, value in (start or {}).items():
        if not (value > 0 and np.isfinite(value)):
            raise AnalysisError(f"the start value of {name} is {value}: it must be a positive number")
    minima = _descents(problem, start or {}, starts, np.random.default_rng(seed))
    best = min(minima, key=lambda each: each.sum_of_squares)
    reached = sum(each.sum_of_squares <= best.sum_of_squares * (1 + SAME) for each in minima)
    rest = [
        minimise(problem.model, each.x, problem.low, problem.high, most=300) for each in _contenders(minima, reached)
    ]
    best = min(rest, key=lambda each: each.sum_of_squares)
    return _result(problem, best, len(minima), reached)


def _contenders(minima: list[Minimum], reached: int) -> list[Minimum]:
    """What may come to rest as the best: the best, and where starts do not agree on it, those that are near."""
    ranked = sorted(minima, key=lambda each: each.sum_of_squares)
    if reached >= ENOUGH or len(ranked) == 1:
        return ranked[:1]
    return [each for each in ranked[:CONTENDERS] if each.sum_of_squares < NEAR * ranked[0].sum_of_squares]


def _descents(problem: _Problem, start: Mapping[str, float], most: int, rng: np.random.Generator) -> list[Minimum]:
    names, given = problem.circuit.names, {name: np.log(value) for name, value in start.items()}
    if len(given) == len(names):
        begin = np.array([given[name] for name in names])
        return [minimise(problem.model, problem.begin(begin), problem.low, problem.high, tolerance=SEARCH, most=100)]
    least = ENOUGH if all(is_simple(block) for block in problem.circuit.blocks) else THOROUGH
    minima: list[Minimum] = []
    best, reached = np.inf, 0

    def descend(begin: Floats) -> None:
        nonlocal best, reached
        hopeless = HOPELESS * best
        x = problem.begin(begin)
        minimum = minimise(problem.model, x, problem.low, problem.high, tolerance=SEARCH, hopeless=hopeless)
        minima.append(minimum)
        if minimum.sum_of_squares < best * (1 - SAME):
            best, reached = minimum.sum_of_squares, 1
        elif minimum.sum_of_squares <= best * (1 + SAME):
            best, reached = min(best, minimum.sum_of_squares), reached + 1

    z, weights = problem.spectrum.impedance_ohm, problem.weights.reshape(-1, 2).mean(axis=1)
    places = found_starts(problem.circuit, problem.frequencies, z, weights, rng, problem.held)
    for begin in itertools.islice(places, max(1, most)):
        for name, value in given.items():
            begin[names.index(name)] = value
        descend(begin)
        if reached >= ENOUGH and len(minima) >= least:
            break
    found = min(minima, key=lambda each: each.sum_of_squares)
    for begin in exchanges(problem.circuit, problem.everything(found.x)):
        descend(begin)
    return minima


@dataclass(frozen=True, eq=False)
class _Problem:
    """What is minimised, by the logarithms of the parameters that are not fixed."""

    spectrum: ImpedanceSpectrum
    circuit: Circuit
    frequencies: Frequencies
    weighting: str
    weights: Floats  # of the real and the imaginary part of each point in turn
    free: NDArray[np.intp]  # indices
    fixed: Mapping[str, float]
    template: Floats  # logarithms of all, with those fixed
    low: Floats
    high: Floats
    held: frozenset[int]  # those with bounds or a value of a person

    @classmethod
    def of(
        cls,
        spectrum: ImpedanceSpectrum,
        circuit: Circuit,
        weights: Weights,
        bounds: Mapping[str, tuple[float, float]],
        fixed: Mapping[str, float],
    ) -> _Problem:
        circuit.check_names({**bounds, **fixed})
        names = circuit.names
        free = np.array([index for index, name in enumerate(names) if name not in fixed], dtype=int)
        if not free.size:
            raise AnalysisError(f"all parameters of {circuit.text} are fixed: nothing is left to fit")
        if 2 * len(spectrum) <= free.size:
            raise AnalysisError(f"{circuit.text} has {free.size} parameters to fit: {len(spectrum)} points are too few")
        template = np.zeros(len(names))
        for name, value in fixed.items():
            if not (value > 0 and np.isfinite(value)):
                raise AnalysisError(f"{name} is fixed at {value}: it must be a positive number")
            template[names.index(name)] = np.log(value)
        limits = [_limits(circuit.parameters[index], spectrum, bounds) for index in free]
        low, high = np.log(np.array(limits).reshape(-1, 2).T)
        weighting, array = _weights(spectrum, weights)
        held = frozenset(names.index(name) for name in {**bounds, **fixed})
        frequencies = Frequencies(spectrum.frequency_Hz)
        return cls(spectrum, circuit, frequencies, weighting, array, free, dict(fixed), template, low, high, held)

    def begin(self, everything: Floats) -> Floats:
        """The free ones, a little within their bounds."""
        margin = 1e-3 * (self.high - self.low)
        inside: Floats = np.clip(everything[self.free], self.low + margin, self.high - margin)
        return inside

    @cached_property
    def all_free(self) -> bool:
        return self.free.size == len(self.circuit.names)

    def everything(self, x: Floats) -> Floats:
        full = self.template.copy()
        full[self.free] = x
        return full

    def model(self, x: Floats) -> tuple[Floats, Callable[[], Floats]]:
        values = np.exp(self.everything(x)).tolist()
        z, slopes = self.circuit.root.evaluate(self.frequencies, values)

        def gradients() -> Floats:
            along = np.array(slopes())
            rows: Floats = (along if self.all_free else along[self.free]).view(float)
            return rows * self.weights

        residuals: Floats = (z - self.spectrum.impedance_ohm).view(float) * self.weights
        return residuals, gradients


def _weights(spectrum: ImpedanceSpectrum, given: Weights) -> tuple[str, Floats]:
    if isinstance(given, str):
        if given == "modulus":
            return given, np.repeat(1 / spectrum.modulus_ohm, 2)
        if given == "unit":
            return given, np.ones(2 * len(spectrum))
        raise AnalysisError(f"there are no weights '{given}': 'modulus', 'unit', or uncertainties in ohm")
    sigma = np.asarray(given, dtype=float)
    if sigma.shape not in ((len(spectrum),), (len(spectrum), 2)):
        raise AnalysisError(f"{len(spectrum)} points need as many uncertainties, not an array of {sigma.shape}")
    if not np.all((sigma > 0) & np.isfinite(sigma)):
        raise AnalysisError("uncertainties must be positive numbers, in ohm")
    return "sigma", 1 / (np.repeat(sigma, 2) if sigma.ndim == 1 else sigma.ravel())


def _limits(
    parameter: Parameter, spectrum: ImpedanceSpectrum, bounds: Mapping[str, tuple[float, float]]
) -> tuple[float, float]:
    """Of a person, or far beyond what the spectrum could show."""
    if parameter.name in bounds:
        low, high = bounds[parameter.name]
        if not 0 < low < high < np.inf:
            raise AnalysisError(f"bounds of {parameter.name}: 0 < low < high is wanted, not {low:g} and {high:g}")
        return low, high
    modulus, omega = spectrum.modulus_ohm, 2 * np.pi * spectrum.frequency_Hz
    least, most, slow, fast = 1e-4 * modulus.min(), 1e4 * modulus.max(), omega.min(), omega.max()
    match parameter.kind.unit:
        case "ohm":
            return least, most
        case "H":
            return 1e-2 * least / fast, most / slow
        case "ohm s^-0.5":
            return least * slow**0.5, most * fast**0.5
        case "F" | "S s^n":
            return 1 / (most * max(fast, 1.0)), 1 / (least * min(slow, 1.0))
        case "s":
            return 1e-3 / fast, 1e4 / slow
        case _:
            return 0.1, 1.0


def _result(problem: _Problem, best: Minimum, starts: int, reached: int) -> CircuitFit:
    circuit, spectrum = problem.circuit, problem.spectrum
    freedom = 2 * len(spectrum) - problem.free.size
    x = np.log(ordered(circuit, np.exp(problem.everything(best.x)), problem.held))[problem.free]
    best = Minimum(x, best.sum_of_squares, problem.model(x)[1](), best.converged)
    noise = 1.0 if problem.weighting == "sigma" else best.sum_of_squares / freedom
    covariance = _covariance(best.gradients) * noise
    sides = errors(problem.model, best, problem.low, problem.high, covariance, noise)
    if sides.better is not None:
        better = minimise(problem.model, sides.better.x, problem.low, problem.high, most=300)
        return _result(problem, better, starts + 1, 1)
    values, full = np.exp(problem.everything(x)), np.zeros((len(circuit.names), len(circuit.names)))
    full[np.ix_(problem.free, problem.free)] = covariance
    return CircuitFit(
        circuit,
        spectrum,
        problem.weighting,
        _parameters(problem, x, sides, float(stdtrit(freedom, 0.975))),
        full,
        best.sum_of_squares,
        best.sum_of_squares / freedom,
        circuit.root.evaluate(problem.frequencies, values.tolist())[0],
        starts,
        reached,
        best.converged,
    )


def _parameters(problem: _Problem, x: Floats, sides: Errors, t: float) -> tuple[FittedParameter, ...]:
    nan = float("nan")
    found = [
        FittedParameter(each.name, problem.fixed.get(each.name, nan), each.unit, nan, nan, nan, True, False)
        for each in problem.circuit.parameters
    ]
    for row, index in enumerate(problem.free):
        value, down, up = float(np.exp(x[row])), float(sides.down[row]), float(sides.up[row])
        low, high = (float(np.exp(np.clip(x[row] + by, -700, 700))) for by in (-t * down, t * up))
        found[index] = FittedParameter(
            found[index].name,
            value,
            found[index].unit,
            value * max(down, up),
            low,
            min(1.0, high) if problem.circuit.parameters[index].is_exponent else high,
            False,
            bool(x[row] <= problem.low[row] + 1e-6 or x[row] >= problem.high[row] - 1e-6),
        )
    return tuple(found)


def _covariance(gradients: Floats) -> Floats:
    """(JᵀJ)⁻¹; a direction that the data do not tell gets a huge variance instead of none."""
    scale = np.linalg.norm(gradients, axis=1) + 1e-300
    scaled = gradients / scale[:, None]
    eigenvalues, vectors = np.linalg.eigh(scaled @ scaled.T)
    inverse = (vectors / np.maximum(eigenvalues, 1e-14)) @ vectors.T
    covariance: Floats = inverse / np.outer(scale, scale)
    return covariance
