"""Electrodes: where the lithium goes, what potential it makes and how thick the layer gets.

Charge is counted in coulombs and is positive when it puts lithium into the electrode. Every coulomb
that passes is found again in `lithium_C` (it can come back) or in `lost_C` (it cannot: bound in the
solid-electrolyte interphase, SEI, or trapped in silicon that lost contact; what oxidises the electrolyte
on an emptied, overcharged electrode counts there as negative).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp
from typing import Protocol

from drivers.simulated.cell.ocv import iron_phosphate, silicon_branches, silicon_first_lithiation

FARADAY = 96485.33  # C/mol

# Partial molar volume of lithium in m³/mol: in silicon (280 % at Li3.75Si), as metal, in LiFePO4 (6.8 %).
VOLUME_IN_SILICON = 9.0e-6
VOLUME_IN_METAL = 13.0e-6
VOLUME_IN_PHOSPHATE = 2.85e-6

EMPTIED = -0.02  # filling from which the electrolyte is oxidised instead, on the potential's plateau


class Electrode(Protocol):
    @property
    def lithium_C(self) -> float:
        """Lithium that can come back out, as charge."""
        ...

    @property
    def lost_C(self) -> float:
        """Lithium that cannot, as charge."""
        ...

    def potential_after(self, charge_C: float, time_s: float) -> float:
        """Open-circuit potential against lithium in V, were `charge_C` to go in over `time_s`; changes nothing."""
        ...

    def insert(self, charge_C: float, time_s: float) -> None:
        """Let `charge_C` go in over `time_s`, an hour at the most."""
        ...

    def slope_V_C(self) -> float:
        """dU/dq (zero or negative) of a small charge to and fro, too small to move a hysteresis."""
        ...

    def slowness(self) -> float:
        """The factor on the diffusion resistance at the present filling, at least 1."""
        ...

    def cycles(self) -> float:
        """Equivalent full cycles so far, which age the interfaces."""
        ...

    def thickness_m(self) -> float:
        """Change of the layer's thickness since the cell was built that reaches the stack, at constant load."""
        ...


@dataclass(frozen=True, slots=True)
class SiliconParameters:
    """A µm-silicon electrode."""

    capacity_C: float  # of the silicon that takes part, from s = 0 to s = 1
    area_m2: float
    filling: float = 0.0045  # s as built
    formed: bool = False  # the first lithiation is over
    hysteresis_rate: float = 15.0  # γ of Plett's model
    hysteresis_elasticity: float = 1e-3  # filling to and fro that leaves the hysteresis alone
    hysteresis_decay_s: float = 40 * 3600.0  # silicon's voltage relaxes for days at open circuit
    first_loss: float = 0.15  # lost in the first full lithiation, relative to `capacity_C`
    first_loss_width: float = 0.4  # filling over which most of that happens
    loss: float = 0.0012  # share of the lithiating charge that feeds the SEI in the long run
    early_loss: float = 0.004  # and on top of it in the first cycles
    early_cycles: float = 2.0
    fade_per_cycle: float = 1.0e-3  # silicon that loses contact
    self_discharge_per_s: float = 5e-9
    share_empty: float = 0.75  # of the volume change that reaches the stack; pores take the rest
    share_full: float = 1.0
    volume_of_lost: float = 16.0e-6  # m³ per mol of lost lithium: SEI and dead, swollen silicon, less what pores take


@dataclass(slots=True)
class Silicon:
    """µm-silicon with hysteresis, a costly first lithiation and a slow loss of lithium and of material.

    Hysteresis after Plett's one-state model: dh/d|q| = γ/Q·(±1 - h), +1 while lithiating; the potential lies
    between the delithiation branch (h = -1) and the lithiation branch (h = +1). A small excursion to and fro is
    elastic (a play operator before the model), so that a spectrum sees the curve and not the hysteresis. Silicon
    that was never lithiated before follows the first-lithiation curve and loses `first_loss` of its capacity.
    """

    parameters: SiliconParameters
    filling: float = field(init=False)
    deepest: float = field(init=False)  # the highest filling ever
    capacity_C: float = field(init=False)
    hysteresis: float = 0.0
    elastic: float = 0.0  # how far the play is taken up, in filling
    virginity: float = field(init=False)  # 1 while new silicon is being lithiated
    passed_C: float = 0.0  # charge passed in either direction
    bound_C: float = 0.0  # in the SEI and in dead silicon
    oxidised_C: float = 0.0

    def __post_init__(self) -> None:
        p = self.parameters
        self.filling = p.filling
        self.deepest = 0.97 if p.formed else p.filling
        self.virginity = 0.0 if p.formed else 1.0
        self.capacity_C = p.capacity_C

    @property
    def lithium_C(self) -> float:
        return self.filling * self.capacity_C

    @property
    def lost_C(self) -> float:
        return self.bound_C - self.oxidised_C

    def _after(self, charge_C: float, time_s: float) -> tuple[float, float, float, float]:
        """Filling, elastic part, hysteresis and virginity."""
        p = self.parameters
        lasting, virgin = charge_C, 0.0
        if charge_C > 0.0:
            lasting *= 1.0 - p.loss - p.early_loss * exp(-self.cycles() / p.early_cycles)
            if self.filling >= self.deepest:
                virgin = 1.0
                fresh_loss = p.first_loss / p.first_loss_width * exp(-self.filling / p.first_loss_width)
                lasting /= 1.0 + fresh_loss
        change = lasting / self.capacity_C
        stretched = self.elastic + change
        elastic = min(max(stretched, -p.hysteresis_elasticity), p.hysteresis_elasticity)
        hysteresis = self.hysteresis
        if stretched != elastic:
            toward = 1.0 if change > 0.0 else -1.0
            hysteresis = toward + (hysteresis - toward) * exp(-p.hysteresis_rate * abs(stretched - elastic))
        virginity = virgin + (self.virginity - virgin) * exp(-abs(change) / 0.03)
        if time_s > 0.0:
            hysteresis *= exp(-time_s / p.hysteresis_decay_s)
            change -= max(0.0, self.filling) * p.self_discharge_per_s * time_s
        return max(EMPTIED, self.filling + change), elastic, hysteresis, virginity

    def potential_after(self, charge_C: float, time_s: float) -> float:
        filling, _, hysteresis, virginity = self._after(charge_C, time_s)
        return self._potential(filling, hysteresis, virginity)

    @staticmethod
    def _potential(filling: float, hysteresis: float, virginity: float) -> float:
        lithiation, delithiation = silicon_branches(filling)
        if virginity > 1e-6:
            lithiation += virginity * (silicon_first_lithiation(filling) - lithiation)
        return 0.5 * (lithiation + delithiation - hysteresis * (delithiation - lithiation))

    def insert(self, charge_C: float, time_s: float) -> None:
        p = self.parameters
        before = self.lithium_C
        self.filling, self.elastic, self.hysteresis, self.virginity = self._after(charge_C, time_s)
        self.deepest = max(self.deepest, self.filling)
        self.passed_C += abs(charge_C)
        if self.filling > 0.0:
            self.capacity_C *= exp(-p.fade_per_cycle * abs(charge_C) / (2.0 * p.capacity_C))
        missing = charge_C - (self.lithium_C - before)
        if missing > 0.0:
            self.bound_C += missing
        else:
            self.oxidised_C -= missing

    def slope_V_C(self) -> float:
        low, high = (self._potential(self.filling + d, self.hysteresis, self.virginity) for d in (1e-6, -1e-6))
        return (low - high) / (2e-6 * self.capacity_C)

    def slowness(self) -> float:
        """Depletion: the last lithium comes out slowly, and the voltage falls back when it may."""
        return 1.0 + 60.0 * exp(-max(0.0, self.filling) / 0.012)

    def cycles(self) -> float:
        return self.passed_C / (2.0 * self.parameters.capacity_C)

    def thickness_m(self) -> float:
        p = self.parameters
        share = p.share_empty + (p.share_full - p.share_empty) * min(max(self.filling, 0.0), 1.0)
        swollen = VOLUME_IN_SILICON * (share * self.lithium_C - p.share_empty * p.filling * p.capacity_C)
        return (swollen + p.volume_of_lost * self.bound_C) / (FARADAY * p.area_m2)


@dataclass(frozen=True, slots=True)
class PhosphateParameters:
    """A LiFePO₄ electrode."""

    capacity_C: float
    area_m2: float
    filling: float = 0.99  # x as built


@dataclass(slots=True)
class Phosphate:
    """LiFePO₄ without hysteresis or ageing: both are small beside silicon's."""

    parameters: PhosphateParameters
    filling: float = field(init=False)
    lost_C: float = 0.0

    def __post_init__(self) -> None:
        self.filling = self.parameters.filling

    @property
    def lithium_C(self) -> float:
        return self.filling * self.parameters.capacity_C

    def potential_after(self, charge_C: float, time_s: float) -> float:
        return iron_phosphate(self._after(charge_C))

    def _after(self, charge_C: float) -> float:
        return max(EMPTIED, self.filling + charge_C / self.parameters.capacity_C)

    def insert(self, charge_C: float, time_s: float) -> None:
        before = self.lithium_C
        self.filling = self._after(charge_C)
        self.lost_C += charge_C - (self.lithium_C - before)

    def slope_V_C(self) -> float:
        low, high = (iron_phosphate(self.filling + d) for d in (1e-6, -1e-6))
        return (low - high) / (2e-6 * self.parameters.capacity_C)

    def slowness(self) -> float:
        return 1.0

    def cycles(self) -> float:
        return 0.0

    def thickness_m(self) -> float:
        p = self.parameters
        return VOLUME_IN_PHOSPHATE * (self.lithium_C - p.filling * p.capacity_C) / (FARADAY * p.area_m2)


@dataclass(frozen=True, slots=True)
class MetalParameters:
    """A lithium foil."""

    area_m2: float
    share: float = 1.0  # of the plated volume that reaches the stack: stripping leaves pits, not a thinner foil
    dead_share: float = 1e-3  # of the plated lithium that stays as moss


@dataclass(slots=True)
class Metal:
    """Lithium metal: the zero of the potential scale, without end."""

    parameters: MetalParameters
    lithium_C: float = 0.0  # since the cell was built
    lost_C: float = 0.0
    plated_C: float = 0.0

    def potential_after(self, charge_C: float, time_s: float) -> float:
        return 0.0

    def insert(self, charge_C: float, time_s: float) -> None:
        self.lithium_C += charge_C
        self.plated_C += max(0.0, charge_C)

    def slope_V_C(self) -> float:
        return 0.0

    def slowness(self) -> float:
        return 1.0

    def cycles(self) -> float:
        return 0.0

    def thickness_m(self) -> float:
        p = self.parameters
        return VOLUME_IN_METAL * (p.share * self.lithium_C + p.dead_share * self.plated_C) / (FARADAY * p.area_m2)
