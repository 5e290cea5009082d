"""Transference numbers from a small polarisation of a symmetric cell, with the impedance before and after.

    Evans, Vincent and Bruce   t₊ = I_s(ΔV − I₀R₀)/[I₀(ΔV − I_sR_s)]       Polymer 28 (1987) 2324; Bruce and Vincent,
                                                                          J. Electroanal. Chem. 225 (1987) 1
    uncorrected                t₊ = I_s/I₀                                 valid only for R₀, R_s ≪ ΔV/I
    Watanabe                   t₊ = I_s·R_b/(ΔV − I_sR_s)                  Solid State Ionics 28–30 (1988) 911
    current fraction           ρ₊ = (I_s/I_Ω)(ΔV − I_ΩR₀)/(ΔV − I_sR_s),   I_Ω = ΔV/(R_b + R₀)
                                                                          Balsara and Newman, JES 162 (2015) A2720

I₀ is the current at the first moment, I_s the steady one, R₀ and R_s the resistance of the interfaces before and after,
R_b the electrolyte's. ρ₊ is t₊ for an ideal dilute electrolyte alone. With I₀ = I_Ω the first, third and fourth are the
same; a slow sampler misses the true I₀, which shows in their difference. Valid for ΔV of about 10 mV (linear regime), a
current that is steady, and impedances of the same cell at the same temperature. Uncertainties by Monte Carlo (JCGM
101:2008), for small differences ΔV − IR make them asymmetric.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.lines import line
from station.analysis.record import Floats

DRAWS = 100_000
DISAGREE = 0.1
LINEAR_V = 0.02
STEADY_PER_HOUR = 0.01


@dataclass(frozen=True, slots=True)
class Polarisation:
    """What was measured. Without `initial_A`, I₀ is ΔV/(R_b + R₀)."""

    delta_V: Estimate
    steady_A: Estimate
    initial_ohm: Estimate  # R₀
    steady_ohm: Estimate  # R_s
    bulk_ohm: Estimate | None = None  # R_b
    initial_A: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """`value` from the values as measured, standard uncertainty and 95 % interval from the draws."""

    value: float
    u: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{Estimate(self.value, self.u)} (95 %: {self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, slots=True)
class Transference:
    """None where R_b is not known."""

    corrected: Interval
    uncorrected: Interval
    watanabe: Interval | None
    current_fraction: Interval | None
    initial_A: float  # I₀ that was used
    ohmic_A: float | None  # I_Ω
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Values:
    delta: Floats
    steady: Floats
    initial_ohm: Floats
    steady_ohm: Floats
    bulk_ohm: Floats | None
    initial: Floats

    @property
    def driving(self) -> Floats:
        """ΔV − I_sR_s, what is left for the electrolyte."""
        return np.asarray(self.delta - self.steady * self.steady_ohm, dtype=np.float64)


def _corrected(of: _Values, initial: Floats | None = None) -> Floats:
    begin = of.initial if initial is None else initial
    found: Floats = of.steady * (of.delta - begin * of.initial_ohm) / (begin * of.driving)
    return found


def _watanabe(of: _Values) -> Floats:
    assert of.bulk_ohm is not None
    found: Floats = of.steady * of.bulk_ohm / of.driving
    return found


def _current_fraction(of: _Values) -> Floats:
    assert of.bulk_ohm is not None
    return _corrected(of, of.delta / (of.bulk_ohm + of.initial_ohm))


def transference(measured: Polarisation, *, draws: int = DRAWS, seed: int = 1) -> Transference:
    """All that the measurement allows, and what speaks against it.

    Magnitudes: the signs of ΔV and the currents are dropped. The draws are normal and begin with `seed`, so that the
    same values give the same result. Raises AnalysisError where neither I₀ nor R_b is known, or where the interfaces
    take up all of ΔV.
    """
    if measured.initial_A is None and measured.bulk_ohm is None:
        raise AnalysisError("a transference number needs the initial current, or the electrolyte's resistance R_b")
    generator = np.random.default_rng(seed)
    nominal, drawn = _values(measured, None, draws), _values(measured, generator, draws)
    _check_driving(nominal)

    def interval(of: Callable[[_Values], Floats]) -> Interval:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = of(drawn)
        low, minus, plus, high = np.percentile(found[np.isfinite(found)], [2.5, 15.865, 84.135, 97.5]).tolist()
        return Interval(float(of(nominal)[0]), (plus - minus) / 2, low, high)

    has_bulk = measured.bulk_ohm is not None
    corrected = interval(_corrected)
    watanabe = interval(_watanabe) if has_bulk else None
    ohmic_A = (
        None if nominal.bulk_ohm is None else float(nominal.delta[0] / (nominal.bulk_ohm + nominal.initial_ohm)[0])
    )
    return Transference(
        corrected,
        interval(lambda of: of.steady / of.initial),
        watanabe,
        interval(_current_fraction) if has_bulk else None,
        float(nominal.initial[0]),
        ohmic_A,
        tuple(_warnings(measured, nominal, corrected, watanabe, ohmic_A)),
    )


def _values(measured: Polarisation, generator: np.random.Generator | None, draws: int) -> _Values:
    def taken(value: Estimate) -> Floats:
        size = abs(value.value)
        if generator is None:
            return np.array([size])
        return generator.normal(size, value.u or 0.0, draws)

    delta, initial_ohm = taken(measured.delta_V), taken(measured.initial_ohm)
    bulk = None if measured.bulk_ohm is None else taken(measured.bulk_ohm)
    if measured.initial_A is not None:
        initial = taken(measured.initial_A)
    else:
        assert bulk is not None
        initial = delta / (bulk + initial_ohm)
    return _Values(delta, taken(measured.steady_A), initial_ohm, taken(measured.steady_ohm), bulk, initial)


def _check_driving(of: _Values) -> None:
    for current, ohm, when in (
        (of.initial, of.initial_ohm, "initial"),
        (of.steady, of.steady_ohm, "steady"),
    ):
        drop_V, delta_V = float((current * ohm)[0]), float(of.delta[0])
        if not 0 < drop_V < delta_V and not drop_V == 0.0:
            raise AnalysisError(
                f"the {when} current of {float(current[0]):.4g} A through interfaces of {float(ohm[0]):.4g} Ω drops "
                f"{1e3 * drop_V:.4g} mV, and only {1e3 * delta_V:.4g} mV are applied: one of the three is not right"
            )
        if not float(current[0]) > 0:
            raise AnalysisError(f"the {when} current is zero")


def _warnings(
    measured: Polarisation, nominal: _Values, corrected: Interval, watanabe: Interval | None, ohmic_A: float | None
) -> list[str]:
    found = []
    if abs(measured.delta_V.value) > LINEAR_V:
        found.append(f"ΔV of {1e3 * abs(measured.delta_V.value):.3g} mV: the methods hold for about 10 mV")
    if watanabe is not None and abs(watanabe.value / corrected.value - 1) > DISAGREE:
        found.append(
            f"Bruce–Vincent gives {corrected.value:.3f} and Watanabe {watanabe.value:.3f}: the initial current was "
            f"missed ({float(nominal.initial[0]):.4g} A; ΔV/(R_b + R₀) is {ohmic_A or 0:.4g} A), or R_b changed"
        )
    if nominal.steady[0] > nominal.initial[0]:
        found.append("the steady current is above the initial one")
    if not 0 <= corrected.value <= 1:
        found.append(f"t₊ of {corrected.value:.3f} is no share: the cell is not what the method supposes")
    return found


@dataclass(frozen=True, slots=True)
class Currents:
    """Read from the current over time at constant voltage."""

    first_A: float  # at the first reading with a current
    first_s: float  # when that was, after the record's beginning: what went before is not seen
    steady_A: Estimate  # mean of the tail; u holds its scatter and half of its drift
    drift_per_hour: float  # of the tail, as a share of the steady current
    steady: bool  # drift below 1 % per hour


def currents(time_s: Floats, current_A: Floats, tail: float = 0.1) -> Currents:
    """I₀ as sampled, and I_s by the last tenth of the time. Raises AnalysisError for fewer than five readings."""
    driven = np.flatnonzero(current_A != 0)
    if len(driven) < 5:
        raise AnalysisError(f"a chronoamperogram needs five readings with a current; there are {len(driven)}")
    last = time_s >= time_s[-1] - tail * (time_s[-1] - time_s[0])
    if np.count_nonzero(last) < 3:
        last = np.arange(len(time_s)) >= len(time_s) - 3
    fitted = line(time_s[last] - time_s[-1], current_A[last])
    mean = float(current_A[last].mean())
    drift_A = fitted.slope.value * float(np.ptp(time_s[last]))
    u = float(np.hypot(fitted.scatter / np.sqrt(np.count_nonzero(last)), drift_A / 2))
    drift = fitted.slope.value * 3600 / mean if mean else float("nan")
    first = int(driven[0])
    return Currents(
        float(current_A[first]),
        float(time_s[first] - time_s[0]),
        Estimate(mean, u),
        drift,
        abs(drift) < STEADY_PER_HOUR,
    )
