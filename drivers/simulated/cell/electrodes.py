"""Electrodes: where the lithium goes, what potential it makes and how thick the layer gets.

Charge is counted in coulombs and is positive when it puts lithium into the electrode. Every coulomb
that passes is found again in `lithium_C` (it can come back) or in `lost_C` (it cannot: bound in the
solid-electrolyte interphase, SEI, or trapped in silicon that lost contact; what oxidises the electrolyte
on an emptied, overcharged electrode counts there as negative).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp
from typing import Protocol, TypeAlias

from drivers.simulated.cell.blocking import Blocking, BlockingParameters
from drivers.simulated.cell.tables import (
    EMPTIED,
    INTERVALS,
    NODES_PER_FILLING,
    Curve,
    Row,
    silicon_half_gap,
    silicon_middle,
    silicon_table,
    silicon_virgin_excess,
    tabulated,
)

FARADAY = 96485.33  # C/mol

# Partial molar volume of lithium in m³/mol: in silicon (280 % at Li3.75Si), as metal, in LiFePO4 (6.8 %), on the mean
# in NMC811 (5 %), from selenium to Li2Se (densities 4.8 and 2.07 g/cm³), from indium to InLi (a = 0.679 nm, Z = 8).
VOLUME_IN_SILICON = 9.0e-6
VOLUME_IN_METAL = 13.0e-6
VOLUME_IN_PHOSPHATE = 2.85e-6
VOLUME_IN_NICKEL_OXIDE = 1.4e-6
VOLUME_IN_SELENIDE = 14.2e-6
VOLUME_IN_INDIUM = 7.9e-6

AGEING_STEP = 0.05  # cycles after which what ages slowly is worked out anew
LEAST_VIRGINITY = 1e-6
DEPLETION_WIDTH = 0.012  # filling
SLOWEST = 61.0  # `slowness` of empty silicon


class Electrode(Protocol):
    """What a cell asks of an electrode, one step after the other."""

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

    def insert(self, charge_C: float, time_s: float) -> float:
        """Let `charge_C` go in over `time_s`, an hour at the most; returns the potential afterwards."""
        ...

    @property
    def slowness(self) -> float:
        """The factor on the diffusion resistance at the present filling, at least 1."""
        ...

    @property
    def thickness_m(self) -> float:
        """Change of the layer's thickness since the cell was built that reaches the stack, at constant load."""
        ...

    def slope_V_C(self) -> float:
        """dU/dq (zero or negative) of a small charge to and fro, too small to move a hysteresis."""
        ...

    def cycles(self) -> float:
        """Equivalent full cycles so far, which age the interfaces."""
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


SiliconState: TypeAlias = tuple[float, float, float, float]
"""Filling, elastic part, hysteresis and virginity: what a charge changes at once."""


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
    slowness: float = field(init=False)
    thickness_m: float = 0.0
    passed_C: float = 0.0  # charge passed in either direction
    bound_C: float = 0.0  # in the SEI and in dead silicon
    oxidised_C: float = 0.0
    _table: list[tuple[float, float, float, float]] = field(init=False, repr=False)
    _built_C: float = field(init=False)
    _swelling_m_C: float = field(init=False)
    _growth_m_C: float = field(init=False)
    _fade_per_C: float = field(init=False)
    _kept: float = field(init=False)  # share of the lithiating charge that does not feed the SEI
    _kept_until_C: float = 0.0  # charge passed at which that is worked out anew

    def __post_init__(self) -> None:
        p = self.parameters
        self.filling = p.filling
        self.deepest = 0.97 if p.formed else p.filling
        self.virginity = 0.0 if p.formed else 1.0
        self.capacity_C = p.capacity_C
        self.slowness = _depletion(p.filling)
        self._table = silicon_table()
        self._built_C = p.share_empty * p.filling * p.capacity_C
        self._swelling_m_C = VOLUME_IN_SILICON / (FARADAY * p.area_m2)
        self._growth_m_C = p.volume_of_lost / (FARADAY * p.area_m2)
        self._fade_per_C = 0.5 * p.fade_per_cycle / p.capacity_C
        self._age()

    def _age(self) -> None:
        p = self.parameters
        self._kept = 1.0 - p.loss - p.early_loss * exp(-self.cycles() / p.early_cycles)
        self._kept_until_C = self.passed_C + 2.0 * AGEING_STEP * p.capacity_C

    @property
    def lithium_C(self) -> float:
        return self.filling * self.capacity_C

    @property
    def lost_C(self) -> float:
        return self.bound_C - self.oxidised_C

    def _after(self, charge_C: float, time_s: float) -> SiliconState:
        p = self.parameters
        before, hysteresis, virginity = self.filling, self.hysteresis, self.virginity
        lasting, virgin = charge_C, 0.0
        if charge_C > 0.0:
            lasting *= self._kept
            if before >= self.deepest:
                virgin = 1.0
                fresh_loss = p.first_loss / p.first_loss_width * exp(-before / p.first_loss_width)
                lasting /= 1.0 + fresh_loss
        change = lasting / self.capacity_C
        elastic = stretched = self.elastic + change
        play = p.hysteresis_elasticity
        if stretched > play:
            elastic = play
            hysteresis = 1.0 + (hysteresis - 1.0) * exp(p.hysteresis_rate * (play - stretched))
        elif stretched < -play:
            elastic = -play
            hysteresis = -1.0 + (hysteresis + 1.0) * exp(p.hysteresis_rate * (play + stretched))
        if virginity != virgin:
            virginity = virgin + (virginity - virgin) * exp(-abs(change) / 0.03)
            if virginity < LEAST_VIRGINITY:
                virginity = 0.0
        if time_s > 0.0:
            hysteresis *= exp(-time_s / p.hysteresis_decay_s)
            if before > 0.0:
                change -= before * p.self_discharge_per_s * time_s
        filling = before + change
        return (filling if filling > EMPTIED else EMPTIED), elastic, hysteresis, virginity

    def potential_after(self, charge_C: float, time_s: float) -> float:
        filling, _, hysteresis, virginity = self._after(charge_C, time_s)
        return self._potential(filling, hysteresis, virginity)

    def _potential(self, filling: float, hysteresis: float, virginity: float) -> float:
        place = (filling - EMPTIED) * NODES_PER_FILLING
        if 0.0 <= place < INTERVALS:
            node = int(place)
            part = place - node
            middle, middle_change, gap, gap_change = self._table[node]
            potential = middle + part * middle_change - hysteresis * (gap + part * gap_change)
        else:
            potential = silicon_middle(filling) - hysteresis * silicon_half_gap(filling)
        if virginity:
            potential += 0.5 * (1.0 + hysteresis) * virginity * silicon_virgin_excess(filling)
        return potential

    def insert(self, charge_C: float, time_s: float) -> float:
        p = self.parameters
        before_C = self.filling * self.capacity_C
        filling, self.elastic, hysteresis, virginity = self._after(charge_C, time_s)
        self.filling, self.hysteresis, self.virginity = filling, hysteresis, virginity
        if filling > self.deepest:
            self.deepest = filling
        passed_C = abs(charge_C)
        self.passed_C += passed_C
        if filling > 0.0:
            self.capacity_C /= 1.0 + self._fade_per_C * passed_C
        lithium_C = filling * self.capacity_C
        missing_C = charge_C - (lithium_C - before_C)
        if missing_C > 0.0:
            self.bound_C += missing_C
        else:
            self.oxidised_C -= missing_C
        if self.passed_C > self._kept_until_C:
            self._age()
        self.slowness = 1.0 if filling > 0.25 else _depletion(filling)
        share = 0.0 if filling < 0.0 else filling if filling < 1.0 else 1.0
        reaching_C = (p.share_empty + (p.share_full - p.share_empty) * share) * lithium_C - self._built_C
        self.thickness_m = reaching_C * self._swelling_m_C + self.bound_C * self._growth_m_C
        return self._potential(filling, hysteresis, virginity)

    def slope_V_C(self) -> float:
        low, high = (self._potential(self.filling + d, self.hysteresis, self.virginity) for d in (1e-6, -1e-6))
        return (low - high) / (2e-6 * self.capacity_C)

    def cycles(self) -> float:
        return self.passed_C / (2.0 * self.parameters.capacity_C)


def _depletion(filling: float) -> float:
    """Slowness of nearly empty silicon: its last lithium comes out slowly, and the voltage falls back when it may."""
    return 1.0 + (SLOWEST - 1.0) * exp(-max(0.0, filling) / DEPLETION_WIDTH)


@dataclass(frozen=True, slots=True)
class HostParameters:
    """An electrode whose host keeps its structure, such as LiFePO₄."""

    curve: Curve
    capacity_C: float  # from x = 0 to x = 1
    area_m2: float
    filling: float  # x as built
    volume_of_lithium: float  # m³/mol
    fade_per_cycle: float = 0.0


@dataclass(slots=True)
class Host:
    """A host without hysteresis: what it has is small beside silicon's."""

    parameters: HostParameters
    filling: float = field(init=False)
    capacity_C: float = field(init=False)
    passed_C: float = 0.0
    dead_C: float = 0.0  # lithium in material that lost contact
    oxidised_C: float = 0.0
    slowness: float = 1.0
    thickness_m: float = 0.0
    _table: list[Row] = field(init=False, repr=False)
    _built_C: float = field(init=False)
    _swelling_m_C: float = field(init=False)
    _fade_per_C: float = field(init=False)

    def __post_init__(self) -> None:
        p = self.parameters
        self.filling = p.filling
        self.capacity_C = p.capacity_C
        self._table = tabulated(p.curve)
        self._built_C = p.filling * p.capacity_C
        self._swelling_m_C = p.volume_of_lithium / (FARADAY * p.area_m2)
        self._fade_per_C = 0.5 * p.fade_per_cycle / p.capacity_C

    @property
    def lithium_C(self) -> float:
        return self.filling * self.capacity_C

    @property
    def lost_C(self) -> float:
        return self.dead_C - self.oxidised_C

    def potential_after(self, charge_C: float, time_s: float) -> float:
        return self._potential(self.filling + charge_C / self.capacity_C)

    def _potential(self, filling: float) -> float:
        place = (filling - EMPTIED) * NODES_PER_FILLING
        if place < 0.0:
            place = 0.0
        if place < INTERVALS:
            node = int(place)
            value, change = self._table[node]
            return value + (place - node) * change
        return self.parameters.curve(filling)

    def insert(self, charge_C: float, time_s: float) -> float:
        filling = self.filling + charge_C / self.capacity_C
        if filling < EMPTIED:
            self.oxidised_C += (EMPTIED - filling) * self.capacity_C
            filling = EMPTIED
        self.filling = filling
        passed_C = abs(charge_C)
        self.passed_C += passed_C
        if filling > 0.0:
            before_C = self.capacity_C
            self.capacity_C = before_C / (1.0 + self._fade_per_C * passed_C)
            self.dead_C += (before_C - self.capacity_C) * filling
        self.thickness_m = self._swelling_m_C * (filling * self.capacity_C + self.dead_C - self._built_C)
        return self._potential(filling)

    def slope_V_C(self) -> float:
        return (self._potential(self.filling + 1e-6) - self._potential(self.filling - 1e-6)) / (2e-6 * self.capacity_C)

    def cycles(self) -> float:
        return self.passed_C / (2.0 * self.parameters.capacity_C)


@dataclass(frozen=True, slots=True)
class MetalParameters:
    """A lithium foil, or another electrode that takes lithium at one potential."""

    area_m2: float
    share: float = 1.0  # of the plated volume that reaches the stack: stripping leaves pits, not a thinner foil
    dead_share: float = 1e-3  # of the plated lithium that stays as moss
    potential_V: float = 0.0  # against lithium
    volume_of_lithium: float = VOLUME_IN_METAL


@dataclass(slots=True)
class Metal:
    """Lithium metal, the zero of the potential scale, or its alloy with indium: at one potential without end."""

    parameters: MetalParameters
    lithium_C: float = 0.0  # since the cell was built
    lost_C: float = 0.0
    plated_C: float = 0.0
    slowness: float = 1.0
    thickness_m: float = 0.0

    def potential_after(self, charge_C: float, time_s: float) -> float:
        return self.parameters.potential_V

    def insert(self, charge_C: float, time_s: float) -> float:
        p = self.parameters
        self.lithium_C += charge_C
        if charge_C > 0.0:
            self.plated_C += charge_C
        grown_C = p.share * self.lithium_C + p.dead_share * self.plated_C
        self.thickness_m = p.volume_of_lithium * grown_C / (FARADAY * p.area_m2)
        return p.potential_V

    def slope_V_C(self) -> float:
        return 0.0

    def cycles(self) -> float:
        return 0.0


ElectrodeParameters: TypeAlias = SiliconParameters | HostParameters | MetalParameters | BlockingParameters


def electrode(parameters: ElectrodeParameters) -> Electrode:
    """A new electrode."""
    match parameters:
        case SiliconParameters():
            return Silicon(parameters)
        case HostParameters():
            return Host(parameters)
        case MetalParameters():
            return Metal(parameters)
        case BlockingParameters():
            return Blocking(parameters)
