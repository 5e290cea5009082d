"""Diffusion into a sphere, exactly: what a constant current does to the surface of a particle.

    c_s(t) − c₀ = (jR/D)·f(T),  f(T) = 3T + 1/5 − 2Σ exp(−λ_k²T)/λ_k²,  T = Dt/R²,  tan λ_k = λ_k

for a flux j into a sphere of radius R and one diffusion coefficient D (Crank, The Mathematics of Diffusion, 2nd ed.
(1975), 6.45; Carslaw and Jaeger, Conduction of Heat in Solids, 2nd ed. (1959), 9.7). For small T the series converges
slowly, and f(T) = exp(T)·(1 + erf √T) − 1 but for terms of the order exp(−1/T). The mean concentration follows 3T.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import erf

from station.analysis.record import Floats

_TERMS = 24
_SHORT = 0.02
"""Up to here, exp(−1/T) is below 1e-21."""
SATURATED = 4 / (9 * math.pi)
"""What Weppner and Huggins' Dτ/R² comes to at most, however fast diffusion is."""
SAYS_NOTHING = 0.9
"""Share of that beyond which (Dτ/R² above 1.2) one per cent of what is found is ten of what is true."""


def _roots() -> Floats:
    """λ_k of tan λ = λ, by Newton's method from where they tend to."""
    asymptote = (np.arange(1, _TERMS + 1) + 0.5) * math.pi
    roots = asymptote - 1 / asymptote
    for _ in range(6):
        roots = roots - (np.sin(roots) - roots * np.cos(roots)) / (roots * np.sin(roots))
    return np.asarray(roots, dtype=np.float64)


_ROOTS_SQUARED = _roots() ** 2


def surface(T: Floats) -> Floats:
    """f(T) for each dimensionless time T ≥ 0."""
    T = np.asarray(T, dtype=np.float64)
    short = np.minimum(T, _SHORT)
    early = np.exp(short) * (1 + erf(np.sqrt(short))) - 1
    long = np.maximum(T, _SHORT)
    late = 3 * long + 0.2 - 2 * (np.exp(-np.multiply.outer(long, _ROOTS_SQUARED)) / _ROOTS_SQUARED).sum(axis=-1)
    found: Floats = np.where(T < _SHORT, early, late)
    return found


def weppner_huggins_bias(T: float) -> float:
    """D by Weppner and Huggins over the true D, for a pulse of T = Dτ/R² into a sphere: 4T/(πf²).

    Open-circuit potential linear in concentration, no kinetics. 1 for short pulses, 0.83 at T = 0.01, 0.20 at 0.58.
    """
    return 4 * T / (math.pi * float(surface(np.array(T))) ** 2)


def unbiased(found_T: float) -> tuple[float, float] | None:
    """The true Dτ/R² for one found by Weppner and Huggins, and how many per cent it changes for one per cent of that.

    None where the pulse was too long for the shape to say anything: what is found then comes near `SATURATED`.
    """
    if not 0 < found_T < SAYS_NOTHING * SATURATED:
        return None

    def excess(log_T: float) -> float:
        T = math.exp(log_T)
        return T * weppner_huggins_bias(T) - found_T

    log_T = float(brentq(excess, math.log(found_T) - 0.1, math.log(100.0), xtol=1e-12))
    rise = (excess(log_T + 1e-4) - excess(log_T - 1e-4)) / 2e-4 / found_T
    return math.exp(log_T), 1 / rise
