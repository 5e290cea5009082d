"""Units to draw in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Scale:
    """A unit to draw in: its name, and how much of it one SI unit is."""

    unit: str
    factor: float


def time_scale(longest_s: float) -> Scale:
    for limit_s, unit, seconds in ((300, "s", 1), (3 * 3600, "min", 60), (4 * 86400, "h", 3600)):
        if longest_s <= limit_s:
            return Scale(unit, 1 / seconds)
    return Scale("d", 1 / 86400)


def prefix_scale(largest: float, unit: str) -> Scale:
    """The prefix in which the largest magnitude is between 1 and 1000, as near as there is one."""
    for factor, prefix in ((1e-6, "M"), (1e-3, "k"), (1.0, ""), (1e3, "m"), (1e6, "µ")):
        if abs(largest) * factor >= 0.9995:
            return Scale(prefix + unit, factor)
    return Scale("n" + unit, 1e9) if largest else Scale(unit, 1.0)


def span(values: ArrayLike) -> float:
    given = np.asarray(values, dtype=np.float64)
    return float(given[-1] - given[0]) if len(given) else 0.0


def largest(values: ArrayLike) -> float:
    """The largest finite magnitude, 0 where there is none."""
    given = np.asarray(values, dtype=np.float64)
    finite = given[np.isfinite(given)]
    return float(np.max(np.abs(finite))) if len(finite) else 0.0
