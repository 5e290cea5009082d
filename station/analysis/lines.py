"""A straight line with its uncertainties."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.record import Floats


@dataclass(frozen=True, slots=True)
class Line:
    """y = intercept + slope·x by least squares; uncertainties from the scatter, `r2` is no test of anything."""

    slope: Estimate
    intercept: Estimate
    scatter: float  # standard deviation about the line
    r2: float
    points: int


def line(x: Floats, y: Floats) -> Line:
    """Two points give a line without uncertainties. Raises AnalysisError for fewer, or for one x only."""
    n = len(x)
    centre = float(x.mean()) if n else 0.0
    t = x - centre
    spread = float(t @ t)
    if n < 2 or not spread > 0:
        raise AnalysisError(f"a straight line needs two points at different places; there are {n}")
    slope = float(t @ y) / spread
    mean = float(y.mean())
    residual = y - mean - slope * t
    left = float(residual @ residual)
    total = float(((y - mean) ** 2).sum())
    r2 = 1 - left / total if total > 0 else 1.0
    if n == 2:
        return Line(Estimate(slope), Estimate(mean - slope * centre), 0.0, r2, n)
    scatter = math.sqrt(left / (n - 2))
    return Line(
        Estimate(slope, scatter / math.sqrt(spread)),
        Estimate(mean - slope * centre, scatter * math.sqrt(1 / n + centre**2 / spread)),
        scatter,
        r2,
        n,
    )


def thinned(rows: int, most: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Numbers of at most so many evenly spaced rows, the first and the last among them."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).round().astype(np.int64))
