"""Open-circuit potentials against lithium, in V, as plain functions of the host's filling.

No curve rises with the filling, over all real numbers: beyond its physical range it runs
into a plateau (lithium plating below, oxidation of electrolyte and collector above), so that a cell
can be overcharged and overdischarged without a singularity.

Sources: silicon branches, Verbrugge, Baker and Xiao, J. Electrochem. Soc. 163 (2016) A262; iron
phosphate, Afshar et al. (2017); polynomials as coded in PyBaMM (BSD-3). The ends, below 2 % and above
98 % of the filling, and the first lithiation of crystalline silicon are this simulator's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp

SOFTENING = 2e-3  # keeps Verbrugge's poles at s = 0 and s = 1 finite
EMPTY_RISE_V = 1.5  # amplitude and width of the rise of an emptied silicon electrode
EMPTY_WIDTH = 0.01
OXIDATION_V = 3.5  # where the collector or the electrolyte takes over from an emptied electrode
PLATING_V = -0.03
STRIPPING_V = 0.015


def _lithiation_polynomial(s: float) -> float:
    return (
        0.8633
        + s * (-9.286 + s * (62.99 + s * (-232.8 + s * (489.9 + s * (-587.6 + s * (372.6 - 96.63 * s))))))
        + 1e-4 * (1.0 / (s + SOFTENING) - 1.0 / (1.0 - s + SOFTENING))
    )


def _delithiation_polynomial(s: float) -> float:
    return (
        0.9937
        + s * (-3.792 + s * (16.87 + s * (-58.76 + s * (140.2 + s * (-205.7 + s * (161.3 - 51.02 * s))))))
        - 0.06 * exp((s - 1.0) / 0.008)
    )


def _crystalline_plateau(s: float) -> float:
    return (
        0.108 - 0.02 * s + 0.5 * exp(-s / 0.012) + 0.25 * exp(-s / 0.06) - 0.06 * s**14 - 1e-4 / (1.0 - s + SOFTENING)
    )


def _empty_rise(s: float) -> float:
    return EMPTY_RISE_V * exp(-s / EMPTY_WIDTH)


@dataclass(frozen=True, slots=True)
class Tails:
    """What continues a curve on [0, 1] smoothly: an exponential into a plateau at each end."""

    empty_V: float
    empty_plateau_V: float
    empty_rate: float
    full_V: float
    full_plateau_V: float
    full_rate: float

    @classmethod
    def of(cls, curve: Callable[[float], float], empty_plateau_V: float, full_plateau_V: float) -> Tails:
        h = 1e-7
        empty, full = curve(0.0), curve(1.0)
        empty_slope, full_slope = (curve(h) - empty) / h, (full - curve(1.0 - h)) / h
        return cls(
            empty,
            empty_plateau_V,
            -empty_slope / (empty_plateau_V - empty),
            full,
            full_plateau_V,
            -full_slope / (full - full_plateau_V),
        )

    def below(self, s: float) -> float:
        return self.empty_plateau_V + (self.empty_V - self.empty_plateau_V) * exp(self.empty_rate * s)

    def above(self, s: float) -> float:
        return self.full_plateau_V + (self.full_V - self.full_plateau_V) * exp(-self.full_rate * (s - 1.0))


_LITHIATION = Tails.of(lambda s: _lithiation_polynomial(s) + _empty_rise(s), OXIDATION_V, PLATING_V)
_DELITHIATION = Tails.of(lambda s: _delithiation_polynomial(s) + _empty_rise(s), OXIDATION_V + 0.05, STRIPPING_V)
_FIRST_LITHIATION = Tails.of(lambda s: _crystalline_plateau(s) + _empty_rise(s), OXIDATION_V, PLATING_V)


def silicon_branches(s: float) -> tuple[float, float]:
    """Lithiation and delithiation potential of amorphous silicon; s = 1 is the fully lithiated host."""
    if 0.0 <= s <= 1.0:
        rise = _empty_rise(s)
        return _lithiation_polynomial(s) + rise, _delithiation_polynomial(s) + rise
    if s < 0.0:
        return _LITHIATION.below(s), _DELITHIATION.below(s)
    return _LITHIATION.above(s), _DELITHIATION.above(s)


def silicon_first_lithiation(s: float) -> float:
    """Crystalline silicon being lithiated for the first time: a flat two-phase plateau near 0.1 V.

    A plateau after Obrovac and Krause, J. Electrochem. Soc. 154 (2007) A103; the function is this simulator's own.
    """
    if 0.0 <= s <= 1.0:
        return _crystalline_plateau(s) + _empty_rise(s)
    return _FIRST_LITHIATION.below(s) if s < 0.0 else _FIRST_LITHIATION.above(s)


def _afshar(x: float) -> float:
    return 3.4077 - 0.020269 * x + 0.5 * exp(-150.0 * x) - 0.9 * exp(-30.0 * (1.0 - x))


_PHOSPHATE = Tails.of(_afshar, empty_plateau_V=4.8, full_plateau_V=1.2)


def iron_phosphate(x: float) -> float:
    """LiₓFePO₄; x = 1 is the lithiated phase, as the electrode is made."""
    if 0.0 <= x <= 1.0:
        return _afshar(x)
    return _PHOSPHATE.below(x) if x < 0.0 else _PHOSPHATE.above(x)
