"""A value with its standard uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """`u` is a standard uncertainty (k = 1) in the unit of `value`; None where nothing is known of it."""

    value: float
    u: float | None = None

    @property
    def relative_u(self) -> float | None:
        return None if self.u is None or self.value == 0 else self.u / abs(self.value)

    def __str__(self) -> str:
        """Two digits of the uncertainty, and the value to the same place: '0.3000 ± 0.0021'."""
        if self.u is None or not math.isfinite(self.u) or self.u == 0 or not math.isfinite(self.value):
            return f"{self.value:.4g}"
        place = math.floor(math.log10(self.u)) - 1
        if -7 < place <= 0:
            return f"{self.value:.{-place}f} ± {self.u:.{-place}f}"
        digits = max(1, math.floor(math.log10(max(abs(self.value), self.u))) - place)
        return f"{self.value:.{min(digits, 12)}e} ± {self.u:.1e}"


def root_sum_square(*parts: float) -> float:
    """Independent standard uncertainties added (JCGM 100:2008, 5.1.2)."""
    return math.sqrt(sum(part * part for part in parts))
