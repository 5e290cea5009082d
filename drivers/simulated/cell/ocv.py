"""Open-circuit potentials against lithium, in V, as plain functions of the host's filling.

No curve rises with the filling, over all real numbers: beyond its physical range it runs
into a plateau (lithium plating below, oxidation of electrolyte and collector above), so that a cell
can be overcharged and overdischarged without a singularity.

Sources: silicon branches, Verbrugge, Baker and Xiao, J. Electrochem. Soc. 163 (2016) A262; iron phosphate,
Afshar et al. (2017); NMC811, Chen et al., J. Electrochem. Soc. 167 (2020) 080534; polynomials as coded in
PyBaMM (BSD-3). The ends, below 2 % and above 98 % of the filling (NMC811: above 90 %), the first lithiation of
crystalline silicon and the whole curve of the selenium composite are this simulator's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, tanh

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
    """What continues a curve on [0, `full`] smoothly: an exponential into a plateau at each end."""

    empty_V: float
    empty_plateau_V: float
    empty_rate: float
    full_V: float
    full_plateau_V: float
    full_rate: float
    full: float = 1.0

    @classmethod
    def of(
        cls, curve: Callable[[float], float], empty_plateau_V: float, full_plateau_V: float, end: float = 1.0
    ) -> Tails:
        h = 1e-7
        empty, full = curve(0.0), curve(end)
        empty_slope, full_slope = (curve(h) - empty) / h, (full - curve(end - h)) / h
        return cls(
            empty,
            empty_plateau_V,
            -empty_slope / (empty_plateau_V - empty),
            full,
            full_plateau_V,
            -full_slope / (full - full_plateau_V),
            end,
        )

    def below(self, s: float) -> float:
        return self.empty_plateau_V + (self.empty_V - self.empty_plateau_V) * exp(self.empty_rate * s)

    def above(self, s: float) -> float:
        return self.full_plateau_V + (self.full_V - self.full_plateau_V) * exp(-self.full_rate * (s - self.full))


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


NICKEL_FULL = 0.94  # what goes in no further at room temperature


def _chen(x: float) -> float:
    return (
        4.4875
        - 0.8090 * x
        - 0.0428 * tanh(18.5138 * (x - 0.5542))
        - 17.7326 * tanh(15.7890 * (x - 0.3117))
        + 17.5842 * tanh(15.9308 * (x - 0.3120))
        - 0.9 * exp((x - NICKEL_FULL) / 0.0125)
    )


_NICKEL = Tails.of(_chen, empty_plateau_V=5.0, full_plateau_V=1.2, end=NICKEL_FULL)


def nickel_rich_oxide(x: float) -> float:
    """LiₓNi₀.₈Mn₀.₁Co₀.₁O₂, also for its neighbours richer in nickel; x is 0.93 as made and 0.26 at 4.3 V."""
    if 0.0 <= x <= NICKEL_FULL:
        return _chen(x)
    return _NICKEL.below(x) if x < 0.0 else _NICKEL.above(x)


def _selenium(x: float) -> float:
    return 2.16 - 0.14 * x + 1.6 * exp(-x / 0.008) + 0.35 * exp(-x / 0.08) - 0.6 * exp((x - 1.0) / 0.03)


_SELENIUM = Tails.of(_selenium, empty_plateau_V=4.6, full_plateau_V=0.3)


def selenium_composite(x: float) -> float:
    """Selenium in Mo₆Se₈; x = 1 is all selenide. A plateau that slopes from 2.2 to 2.0 V: this simulator's own."""
    if 0.0 <= x <= 1.0:
        return _selenium(x)
    return _SELENIUM.below(x) if x < 0.0 else _SELENIUM.above(x)
