"""Creep: conductance against the logarithm of time at constant force.

G(t) = G(t0) · (1 + m · log10(t/t0)). Makers state less than 5 % a decade (Interlink FSR 400 data sheet; Tekscan); it
depends on the sourcing voltage too (Paredes-Madrid et al., Materials 10 (2017) 1334), so it holds for the meter and
range that it was measured with.
"""

from __future__ import annotations

import numpy as np

from calibration.data import CreepSample, DataError
from calibration.models import Response
from calibration.results import Creep

LEAST_SAMPLES = 5
LEAST_DECADES = 0.5


def fit_creep(samples: tuple[CreepSample, ...], model: Response, reference_s: float) -> Creep | None:
    """None without samples; raises `DataError` where there are too few, over too short a time.

    A force that did not stay quite constant is corrected by the curve. The uncertainty allows for samples that follow
    each other's drift: that of a straight line, times the inflation by the lag-one correlation of its residuals.
    """
    if not samples:
        return None
    time = np.array([sample.time_s for sample in samples])
    decades = np.log10(time / reference_s)
    if len(samples) < LEAST_SAMPLES or np.ptp(decades) < LEAST_DECADES:
        raise DataError(
            f"creep: {len(samples)} samples over {np.ptp(decades):.1f} decades of time are too few; "
            f"at least {LEAST_SAMPLES} over half a decade (10 s to 32 s, say)"
        )
    force = np.array([sample.force_N for sample in samples])
    middle = float(np.exp(np.mean(np.log(force))))
    y = np.log([sample.resistance_ohm for sample in samples])
    y = y + model.exponent(middle) * np.log(force / middle)
    conductance = np.exp(-(y - y.mean()))
    design = np.column_stack((np.ones_like(decades), decades))
    inverse = np.linalg.inv(design.T @ design)
    level, slope = inverse @ (design.T @ conductance)
    left = conductance - design @ np.array([level, slope])
    sigma = float(np.sqrt(np.sum(left**2) / (len(samples) - 2)))
    return Creep(
        per_decade=float(slope / level),
        standard_uncertainty=float(sigma * np.sqrt(inverse[1, 1]) / level * _inflation(left)),
        reference_s=reference_s,
        force_N=middle,
        longest_s=float(time.max()),
        residual=sigma / float(level),
    )


def _inflation(left: np.ndarray) -> float:
    """√((1+ρ)/(1−ρ)) for residuals with a lag-one correlation ρ."""
    power = float(np.sum(left**2))
    correlation = float(np.sum(left[1:] * left[:-1])) / power if power > 0 else 0.0
    correlation = min(max(correlation, 0.0), 0.9)
    return float(np.sqrt((1 + correlation) / (1 - correlation)))
