"""Slopes that single outliers do not bend."""

from __future__ import annotations

import numpy as np
from scipy import stats

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.record import Floats

MOST_POINTS = 1000
"""The slopes of all pairs are looked at; of more points, so many evenly spaced ones are taken."""


def robust_slope(x: Floats, y: Floats) -> Estimate:
    """Median of the slopes of all pairs (Theil–Sen); `u` is half of its 68 % confidence interval.

    Sen, J. Am. Stat. Assoc. 63 (1968) 1379. Values that are no numbers are left out; three are needed.
    """
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(known) < 3 or np.ptp(x[known]) == 0:
        raise AnalysisError(f"a slope needs three points at different places; there are {len(known)}")
    if len(known) > MOST_POINTS:
        known = known[np.linspace(0, len(known) - 1, MOST_POINTS).round().astype(np.int64)]
    found = stats.theilslopes(y[known], x[known], alpha=0.6827)
    return Estimate(float(found.slope), float(found.high_slope - found.low_slope) / 2)
