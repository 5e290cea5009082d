"""Electrodes that let no lithium through: steel and carbon, for conductivity and for stability windows."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import asinh, copysign, cosh, exp, sinh

NO_LEAK_C = 1e-200


@dataclass(frozen=True, slots=True)
class BlockingParameters:
    """Steel or carbon: a double layer, and what the electrolyte does there outside of its window."""

    capacitance_F: float
    area_m2: float
    rest_V: float = 2.8  # against lithium, as built
    reduction_V: float = 0.0  # where `onset_A_m2` flows
    oxidation_V: float = 4.5
    onset_A_m2: float = 0.01
    efold_V: float = 0.08  # that multiply the current by e


@dataclass(slots=True)
class Blocking:
    """A capacitor with a leak: i = 2 k sinh((U - Um)/b), the same exponential beyond either end of the window.

    `insert` is implicit in the leak, so that no step is too long for a small capacitance and a steep exponential.
    """

    parameters: BlockingParameters
    potential_V: float = field(init=False)
    lost_C: float = 0.0  # what reacted: positive if reduced
    slowness: float = 1.0
    thickness_m: float = 0.0
    _middle_V: float = field(init=False)
    _leak_A: float = field(init=False)  # k

    def __post_init__(self) -> None:
        p = self.parameters
        self.potential_V = p.rest_V
        self._middle_V = 0.5 * (p.oxidation_V + p.reduction_V)
        self._leak_A = p.onset_A_m2 * p.area_m2 * exp(-0.5 * (p.oxidation_V - p.reduction_V) / p.efold_V)

    @property
    def lithium_C(self) -> float:
        """What the double layer holds."""
        return (self.parameters.rest_V - self.potential_V) * self.parameters.capacitance_F

    def potential_after(self, charge_C: float, time_s: float) -> float:
        p = self.parameters
        without_leak_V = self.potential_V - charge_C / p.capacitance_F - self._middle_V
        leak, charge = 2.0 * self._leak_A * time_s, p.capacitance_F * abs(without_leak_V)
        if leak < NO_LEAK_C:
            return self._middle_V + without_leak_V
        # The root of C x + leak sinh(x/b) = charge, convex for x > 0: Newton's steps from above stay above it.
        x = min(abs(without_leak_V), p.efold_V * asinh(charge / leak))
        for _ in range(50):
            excess = p.capacitance_F * x + leak * sinh(x / p.efold_V) - charge
            step = excess / (p.capacitance_F + leak / p.efold_V * cosh(x / p.efold_V))
            x -= step
            if step < 1e-12:
                break
        return self._middle_V + copysign(x, without_leak_V)

    def insert(self, charge_C: float, time_s: float) -> float:
        before_C = self.lithium_C
        self.potential_V = self.potential_after(charge_C, time_s)
        self.lost_C += charge_C - (self.lithium_C - before_C)
        return self.potential_V

    def slope_V_C(self) -> float:
        return -1.0 / self.parameters.capacitance_F

    def cycles(self) -> float:
        return 0.0
