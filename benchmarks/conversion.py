"""Resistance to force, as many a second as one core makes, beside the bare NumPy expression of a power law."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.table import show
from calibration.models import (
    LinearConductance,
    LogPolynomial,
    MonotoneSpline,
    OffsetPower,
    PowerLaw,
    Response,
    SeriesResistance,
)

READINGS = 10_000_000
MODELS: tuple[Response, ...] = (
    PowerLaw(a_ohm=1.25e7, b=0.85),
    LinearConductance(slope_S_N=3.4e-8, offset_S=2e-8),
    SeriesResistance(k_ohm_N=1e6, series_ohm=1e4),
    OffsetPower(scale_S=8e-8, exponent_m=0.85, offset_S=1e-8),
    LogPolynomial(coefficients=(13.9, -0.85, 0.03, -0.01), centre_N=14.0, low_N=1.0, high_N=200.0),
    MonotoneSpline(knots_ln_ohm=(11.0, 12.0, 13.0, 14.5, 17.0), knots_ln_N=(6.2, 5.0, 3.9, 2.0, -0.8)),
)


def rate_per_s(convert: Callable[[np.ndarray], np.ndarray], resistances: np.ndarray) -> float:
    """The best of three."""
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        convert(resistances)
        seconds.append(time.perf_counter() - began)
    return len(resistances) / min(seconds)


def main() -> None:
    forces = np.exp(np.random.default_rng(1).uniform(np.log(2.0), np.log(100.0), READINGS))
    bare = rate_per_s(lambda resistance: np.exp((16.3 - np.log(resistance)) / 0.85), MODELS[0].resistance_ohm(forces))
    rows = []
    for model in MODELS:
        resistances = model.resistance_ohm(forces)
        rate = rate_per_s(model.force_N, resistances)
        error = float(np.max(np.abs(model.force_N(resistances) / forces - 1)))
        rows.append((model.title, f"{rate / 1e6:.0f}", f"{rate / bare:.2f}", f"{error:.0e}"))
    headings = ("model", "million conversions a second", "of bare NumPy's power law", "largest relative error")
    show("Resistance to force", headings, rows)
