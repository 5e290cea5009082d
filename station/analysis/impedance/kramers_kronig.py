"""Is a spectrum one of a linear, causal, stable cell? The linear Kramers–Kronig test.

Z_KK = R∞ + jωL + 1/(jωC) + Σ R_k/(1 + jωτ_k), k = 1…M, with τ_k spaced evenly in log from 1/ω_max to 1/ω_min, obeys
the Kramers–Kronig relations whatever its R_k are; it is fitted by linear least squares, weighted by 1/|Z|, to both
parts. What it cannot follow violates them: drift, non-linearity, disturbances. M rises until
µ = 1 − Σ|R_k < 0|/Σ|R_k ≥ 0| is 0.85 or less, where the fit begins to follow the noise; as µ may also be small where
M is far too small, M rises on until the spectrum is followed, and where it never is, to where more elements no longer
help. B. A. Boukamp, J. Electrochem.
Soc. 142 (1995) 1885; M. Schönleber, D. Klotz, E. Ivers-Tiffée, Electrochim. Acta 131 (2014) 20.

The series capacitance is there where the spectrum ends in a blocking or diffusive tail: without it such a spectrum
shows violations that are none. Validity: at least five points a decade; a violation much slower than the lowest
frequency is invisible to any such test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from station.analysis.errors import AnalysisError
from station.analysis.impedance.elements import Complexes, Floats
from station.analysis.impedance.spectrum import ImpedanceSpectrum

MU = 0.85
TOLERANCE = 0.01
FURTHER = 0.95  # of the residuals, to which more elements must lower them to be worth it
TAIL = 0.05  # −Im/|Z| at the lowest frequencies from which a capacitance is fitted
FEWEST_POINTS = 6
NOISE_FACTOR = 3.5  # standard deviations of the noise that a point may be off


@dataclass(frozen=True, eq=False)
class KramersKronig:
    """The test's result; residuals are (Z − Z_KK)/|Z|, arrays in the order of the spectrum."""

    spectrum: ImpedanceSpectrum
    elements: int  # M
    mu: float
    capacitance: bool  # whether a series capacitance was fitted
    fitted_ohm: Complexes
    residuals: Complexes
    noise: float  # standard deviation of each part of the residuals, from differences of neighbours
    limit: float  # of the residual of a consistent point
    consistent_points: np.ndarray

    @property
    def rms(self) -> tuple[float, float]:
        """Root mean square of the residuals' real and imaginary parts."""
        return float(np.sqrt(np.mean(self.residuals.real**2))), float(np.sqrt(np.mean(self.residuals.imag**2)))

    @property
    def consistent(self) -> bool:
        """At most one point in twenty is off, and no three neighbours are."""
        off = ~self.consistent_points
        three = np.convolve(off, np.ones(3), mode="valid") >= 3
        return bool(off.mean() <= 0.05 and not three.any())

    @property
    def verdict(self) -> str:
        """In words."""
        off = self.spectrum.frequency_Hz[~self.consistent_points]
        rms = f"rms {100 * self.rms[0]:.2f} % (real), {100 * self.rms[1]:.2f} % (imaginary), M = {self.elements}"
        if not off.size:
            return f"consistent: every point within {100 * self.limit:.1f} %, {rms}"
        where = (
            f"{off.min():.3g} Hz" if off.size == 1 else f"{off.size} points from {off.min():.3g} to {off.max():.3g} Hz"
        )
        state = "consistent but for" if self.consistent else "violated at"
        return f"{state} {where}, beyond {100 * self.limit:.1f} %; {rms}"


def kramers_kronig(
    spectrum: ImpedanceSpectrum,
    *,
    mu: float = MU,
    tolerance: float = TOLERANCE,
    capacitance: bool | None = None,
    inductance: bool = True,
    most: int | None = None,
) -> KramersKronig:
    """The linear Kramers–Kronig test of a spectrum.

    `tolerance`: relative residual that a point may have whatever the noise; where the noise, which is estimated from
    differences of neighbouring residuals, is larger, a point may be 3.5 of its standard deviations off. `capacitance`:
    None decides by the tail. `most`: the largest M; as many as there are points unless said. Raises `AnalysisError`
    for fewer than six points.
    """
    if len(spectrum) < FEWEST_POINTS:
        raise AnalysisError(f"a Kramers–Kronig test needs at least {FEWEST_POINTS} points; there are {len(spectrum)}")
    if capacitance is None:
        capacitance = has_tail(spectrum)
    decades = np.log10(spectrum.frequency_Hz[0] / spectrum.frequency_Hz[-1])
    first = max(3, int(np.ceil(decades)))
    best: KramersKronig | None = None
    for elements in range(first, max(first, most or len(spectrum)) + 1):
        tested = _tested(spectrum, elements, capacitance, inductance, tolerance)
        if tested.mu <= mu and tested.consistent:
            return tested
        if best is None or sum(tested.rms) < FURTHER * sum(best.rms):
            best = tested
    assert best is not None
    return best


def has_tail(spectrum: ImpedanceSpectrum) -> bool:
    """Whether the impedance is still clearly capacitive at the lowest frequencies."""
    last = slice(-3, None)
    share = -spectrum.impedance_ohm[last].imag / spectrum.modulus_ohm[last]
    return bool(np.median(share) > TAIL)


def _tested(
    spectrum: ImpedanceSpectrum, elements: int, capacitance: bool, inductance: bool, tolerance: float
) -> KramersKronig:
    fitted, mu = _fit(spectrum, elements, capacitance, inductance)
    residuals = (spectrum.impedance_ohm - fitted) / spectrum.modulus_ohm
    noise = _noise(residuals)
    limit = max(tolerance, NOISE_FACTOR * noise)
    good = (np.abs(residuals.real) <= limit) & (np.abs(residuals.imag) <= limit)
    return KramersKronig(spectrum, elements, mu, capacitance, fitted, residuals, noise, limit, good)


def _fit(spectrum: ImpedanceSpectrum, elements: int, capacitance: bool, inductance: bool) -> tuple[Complexes, float]:
    s = 2j * np.pi * spectrum.frequency_Hz
    tau = np.geomspace(1 / s[0].imag, 1 / s[-1].imag, elements)
    columns = [1 / (1 + s * each) for each in tau] + [np.ones_like(s)]
    if inductance:
        columns.append(s / s[0].imag)
    if capacitance:
        columns.append(s[-1].imag / s)
    basis = np.stack(columns, axis=1) / spectrum.modulus_ohm[:, None]
    data = spectrum.impedance_ohm / spectrum.modulus_ohm
    stacked = np.concatenate([basis.real, basis.imag])
    solution = np.linalg.lstsq(stacked, np.concatenate([data.real, data.imag]), rcond=None)[0]
    resistances = solution[:elements]
    positive = resistances[resistances >= 0].sum()
    mu = 1 - np.abs(resistances[resistances < 0]).sum() / positive if positive else 0.0
    return (basis @ solution) * spectrum.modulus_ohm, float(mu)


def _noise(residuals: Complexes) -> float:
    """Robust, and blind to what changes slowly with frequency."""
    steps: Floats = np.concatenate([np.diff(residuals.real), np.diff(residuals.imag)])
    return float(1.4826 * np.median(np.abs(steps)) / np.sqrt(2))
