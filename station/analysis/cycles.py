"""Cycles: efficiencies, hysteresis, retention, fade, rate tests.

Values are shares (0.998, not 99.8 %), and those above 1 are kept: they say something of the cell or of the instrument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from station.analysis.basis import Basis
from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate, root_sum_square
from station.analysis.flow import Direction
from station.analysis.halfcycles import HOLD_TOLERANCE_V, HalfCycle, half_cycles
from station.analysis.record import Floats, Record
from station.analysis.trend import robust_slope

if TYPE_CHECKING:
    import pandas as pd

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Cycle:
    """A charge and a discharge; NaN stands for what the half that is missing would say."""

    number: int
    first: Direction  # of the two half-cycles
    charge: HalfCycle | None
    discharge: HalfCycle | None

    def half(self, direction: Direction) -> HalfCycle | None:
        return self.charge if direction is Direction.CHARGE else self.discharge

    @property
    def coulombic_efficiency(self) -> float:
        """Charge of the second half-cycle over that of the first: Q_dis/Q_ch of a full cell, which is charged first;
        Q_ch/Q_dis, delithiation over lithiation, of an anode's half-cell (Smith, Burns and Dahn, JES 157 (2010) A196).
        """
        return _ratio(self.half(self.first.other), self.half(self.first), lambda half: half.capacity_Ah)

    @property
    def energy_efficiency(self) -> float:
        """E_dis/E_ch, whichever came first."""
        return _ratio(self.discharge, self.charge, lambda half: half.energy_Wh)

    @property
    def voltage_efficiency(self) -> float:
        """V̄_dis/V̄_ch, which is the energy efficiency over Q_dis/Q_ch."""
        return _ratio(self.discharge, self.charge, lambda half: half.mean_voltage_V)

    @property
    def hysteresis_V(self) -> float:
        """V̄_ch − V̄_dis."""
        if self.charge is None or self.discharge is None:
            return NAN
        return self.charge.mean_voltage_V - self.discharge.mean_voltage_V

    @property
    def polarisation_V(self) -> float:
        """V_ch − V_dis, each where half of its own capacity had passed."""
        if self.charge is None or self.discharge is None:
            return NAN
        return self.charge.half_capacity_voltage_V - self.discharge.half_capacity_voltage_V


def _ratio(above: HalfCycle | None, below: HalfCycle | None, value: Callable[[HalfCycle], float]) -> float:
    return value(above) / value(below) if above is not None and below is not None and value(below) else NAN


def cycles(
    data: Record | pd.DataFrame,
    *,
    first: Direction | None = None,
    rest_current_A: float | None = None,
    hold_tolerance_V: float = HOLD_TOLERANCE_V,
) -> tuple[Cycle, ...]:
    """The cycles of a record; see `half_cycles`. `first` is the direction that a cycle begins with.

    Without it, that of the first half-cycle. A last cycle that went on when the record ended is among them, as far as
    it had come. Raises AnalysisError as `half_cycles` does.
    """
    halves = half_cycles(data, rest_current_A=rest_current_A, hold_tolerance_V=hold_tolerance_V)
    return paired(halves, first)


def cut_half(cycles: Sequence[Cycle], rows: int) -> HalfCycle | None:
    """The last half-cycle, where it goes up to the end of a record of so many rows; None where it ended before.

    In a run that has not finished, that is the one that it was cut in, or goes on in: its capacity says nothing of the
    cell.
    """
    if not cycles:
        return None
    halves = [half for half in (cycles[-1].charge, cycles[-1].discharge) if half is not None]
    last = max(halves, key=lambda half: half.end_row)
    return last if last.end_row >= rows - 1 else None


def paired(halves: Sequence[HalfCycle], first: Direction | None = None) -> tuple[Cycle, ...]:
    """Half-cycles by their cycle's number."""
    if not halves:
        return ()
    begins = first if first is not None else halves[0].direction
    by_cycle: dict[int, dict[Direction, HalfCycle]] = {}
    for half in halves:
        by_cycle.setdefault(half.cycle, {})[half.direction] = half
    return tuple(
        Cycle(number, begins, both.get(Direction.CHARGE), both.get(Direction.DISCHARGE))
        for number, both in sorted(by_cycle.items())
    )


# --- what a row of cycles says


def capacities_Ah(cycles: Sequence[Cycle], direction: Direction) -> Floats:
    """One for each cycle; NaN where there is none."""
    halves = (cycle.half(direction) for cycle in cycles)
    return np.array([NAN if half is None else half.capacity_Ah for half in halves])


def _numbers(cycles: Sequence[Cycle]) -> Floats:
    return np.array([cycle.number for cycle in cycles], dtype=np.float64)


def _given_back(cycles: Sequence[Cycle]) -> Direction:
    """The direction of the second half-cycles, whose capacity is what a cell is good for."""
    if not cycles:
        raise AnalysisError("there are no cycles")
    return cycles[0].first.other


def initial_efficiency(cycles: Sequence[Cycle]) -> float:
    """Coulombic efficiency of the first cycle (ICE)."""
    _given_back(cycles)
    return cycles[0].coulombic_efficiency


@dataclass(frozen=True, slots=True)
class AverageEfficiency:
    """Over the cycles `first` to `last`, both included, that have both halves."""

    first: int
    last: int
    cycles: int
    arithmetic: Estimate  # u: standard error of the mean, from the scatter
    geometric: float  # (Π CE)^(1/N)
    product: float  # Π CE: near the retention of a cell that its lithium limits


def average_efficiency(cycles: Sequence[Cycle], first: int | None = None, last: int | None = None) -> AverageEfficiency:
    """Mean Coulombic efficiency over a stated range of cycles, all of them by default."""
    chosen = [
        (cycle.number, cycle.coulombic_efficiency)
        for cycle in cycles
        if (first is None or cycle.number >= first)
        and (last is None or cycle.number <= last)
        and math.isfinite(cycle.coulombic_efficiency)
    ]
    if not chosen:
        raise AnalysisError(
            f"no cycle from {first or 'the first'} to {last or 'the last'} has a charge and a discharge"
        )
    values = np.array([value for _, value in chosen])
    u = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    with np.errstate(divide="ignore"):
        logarithms = np.log(values)
    return AverageEfficiency(
        first=chosen[0][0],
        last=chosen[-1][0],
        cycles=len(values),
        arithmetic=Estimate(float(values.mean()), u),
        geometric=float(np.exp(logarithms.mean())),
        product=float(np.exp(logarithms.sum())),
    )


def retention(cycles: Sequence[Cycle], reference: int = 1, direction: Direction | None = None) -> Floats:
    """Q(n)/Q(reference) for each cycle; of the second half-cycle unless a direction is named.

    Raises AnalysisError where the reference cycle is not there or passed nothing.
    """
    capacity_Ah = capacities_Ah(cycles, direction or _given_back(cycles))
    return capacity_Ah / _reference_Ah(cycles, capacity_Ah, reference)


def _reference_Ah(cycles: Sequence[Cycle], capacity_Ah: Floats, reference: int) -> float:
    for cycle, value in zip(cycles, capacity_Ah.tolist(), strict=True):
        if cycle.number == reference and value > 0:
            return float(value)
    there = f"{cycles[0].number} to {cycles[-1].number}"
    raise AnalysisError(f"cycle {reference}, that others are to be compared with, has no capacity; there are {there}")


def fade_per_cycle(
    cycles: Sequence[Cycle],
    reference: int = 1,
    direction: Direction | None = None,
    first: int | None = None,
    last: int | None = None,
) -> Estimate:
    """Robust slope of the retention over the cycles `first` to `last`, in shares per cycle; negative while it fades.

    A last cycle that had not ended when the record did is an outlier that does not bend the slope.
    """
    numbers, share = _numbers(cycles), retention(cycles, reference, direction)
    within = (numbers >= (first if first is not None else -np.inf)) & (
        numbers <= (last if last is not None else np.inf)
    )
    return robust_slope(numbers[within], share[within])


def end_of_life(
    cycles: Sequence[Cycle], below: float = 0.8, reference: int = 1, direction: Direction | None = None
) -> int | None:
    """The first cycle from the reference on with a retention below this share; None where there is none."""
    for cycle, share in zip(cycles, retention(cycles, reference, direction).tolist(), strict=True):
        if cycle.number > reference and share < below:
            return cycle.number
    return None


# --- rate tests


@dataclass(frozen=True, slots=True)
class Rate:
    """Consecutive cycles at one current."""

    first: int
    last: int
    current_A: float  # mean magnitude before a hold
    c_rate: float | None  # per hour; None where the nominal capacity is not known
    capacity_Ah: Estimate  # mean, u: standard error from the scatter
    share: float  # of the first group's mean capacity


def rate_test(
    cycles: Sequence[Cycle],
    nominal_capacity_Ah: float | None = None,
    direction: Direction | None = None,
    tolerance: float = 0.05,
) -> tuple[Rate, ...]:
    """Groups of consecutive cycles whose currents differ by less than `tolerance`, in the order run.

    By the second half-cycle unless a direction is named.
    """
    of = direction or _given_back(cycles)
    groups: list[list[tuple[int, HalfCycle]]] = []
    for cycle in cycles:
        half = cycle.half(of)
        if half is None or not half.constant_current_A > 0:
            continue
        same = groups and abs(math.log(half.constant_current_A / groups[-1][0][1].constant_current_A)) < tolerance
        if same:
            groups[-1].append((cycle.number, half))
        else:
            groups.append([(cycle.number, half)])
    found: list[Rate] = []
    for group in groups:
        values = np.array([half.capacity_Ah for _, half in group])
        current_A = float(np.mean([half.constant_current_A for _, half in group]))
        mean_Ah = float(values.mean())
        u_Ah = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
        found.append(
            Rate(
                first=group[0][0],
                last=group[-1][0],
                current_A=current_A,
                c_rate=current_A / nominal_capacity_Ah if nominal_capacity_Ah else None,
                capacity_Ah=Estimate(mean_Ah, u_Ah),
                share=mean_Ah / (found[0].capacity_Ah.value if found else mean_Ah),
            )
        )
    return tuple(found)


# --- uncertainty


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of the instrument, as standard uncertainties; gains are relative."""

    current_gain: float = 0.0
    current_offset_A: float = 0.0
    voltage_gain: float = 0.0
    voltage_offset_V: float = 0.0

    def capacity_Ah(self, half: HalfCycle) -> Estimate:
        """u² = (u_gain·Q)² + (u_offset·t)²."""
        offset_Ah = self.current_offset_A * half.duration_s / 3600
        return Estimate(half.capacity_Ah, root_sum_square(self.current_gain * half.capacity_Ah, offset_Ah))

    def energy_Wh(self, half: HalfCycle) -> Estimate:
        """That of the capacity times V̄, with u² = (u_gain·E)² + (u_offset·Q)² of the voltage added."""
        of_current_Wh = (self.capacity_Ah(half).u or 0.0) * half.mean_voltage_V
        of_voltage = (self.voltage_gain * half.energy_Wh, self.voltage_offset_V * half.capacity_Ah)
        return Estimate(half.energy_Wh, root_sum_square(of_current_Wh, *of_voltage))

    def coulombic_efficiency(self, cycle: Cycle) -> Estimate:
        """u(CE)/CE = u_offset·(t₁/Q₁ + t₂/Q₂): the gain is common to both halves and cancels, while an offset adds to
        one and takes from the other.
        """
        value = cycle.coulombic_efficiency
        if cycle.charge is None or cycle.discharge is None:
            return Estimate(value)
        per_A = sum(half.duration_s / 3600 / half.capacity_Ah for half in (cycle.charge, cycle.discharge))
        return Estimate(value, value * self.current_offset_A * per_A)


# --- as a table


def cycle_table(
    cycles: Sequence[Cycle],
    basis: Basis | None = None,
    *,
    lithiation: Direction | None = None,
    accuracy: Accuracy | None = None,
) -> pd.DataFrame:
    """One row for each cycle; the unit is in each column's name, efficiencies are shares.

    With `lithiation`, the direction in which the working electrode takes lithium up (the discharge of a half-cell
    against lithium), capacities stand under the names of lithiation and delithiation too.
    """
    import pandas as pd  # half a second, which only those who want a frame should wait

    rows = [_row(cycle, basis or Basis(), lithiation, accuracy) for cycle in cycles]
    return pd.DataFrame(rows)


def _row(cycle: Cycle, basis: Basis, lithiation: Direction | None, accuracy: Accuracy | None) -> Mapping[str, Any]:
    row: dict[str, Any] = {"cycle": cycle.number}
    for direction in (cycle.first, cycle.first.other):
        half = cycle.half(direction)
        row |= _half_columns(direction.value, half, basis)
        if accuracy is not None:
            u_Ah = NAN if half is None else accuracy.capacity_Ah(half).u
            row[f"{direction}_capacity_u_mAh"] = NAN if u_Ah is None else 1e3 * u_Ah
        if lithiation is not None:
            name = "lithiation" if direction is lithiation else "delithiation"
            for unit, _ in basis.capacities():
                row[f"{name}_capacity_{unit}"] = row[f"{direction}_capacity_{unit}"]
    row["coulombic_efficiency"] = cycle.coulombic_efficiency
    if accuracy is not None:
        row["coulombic_efficiency_u"] = accuracy.coulombic_efficiency(cycle).u
    row["energy_efficiency"] = cycle.energy_efficiency
    row["voltage_efficiency"] = cycle.voltage_efficiency
    row["hysteresis_V"] = cycle.hysteresis_V
    row["polarisation_V"] = cycle.polarisation_V
    return row


def _half_columns(name: str, half: HalfCycle | None, basis: Basis) -> Mapping[str, float]:
    columns: dict[str, float] = {}
    for unit, scale in basis.capacities():
        columns[f"{name}_capacity_{unit}"] = NAN if half is None else half.capacity_Ah * scale
    columns[f"{name}_hold_capacity_mAh"] = NAN if half is None else 1e3 * half.hold_capacity_Ah
    for unit, scale in basis.energies():
        columns[f"{name}_energy_{unit}"] = NAN if half is None else half.energy_Wh * scale
    columns[f"{name}_mean_voltage_V"] = NAN if half is None else half.mean_voltage_V
    return columns
