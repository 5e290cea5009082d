"""Pressure inside a cell over its cycles.

    swing                   ΔP_rev(n) = P_max(n) − P_min(n), and P_EOC − P_EOD
    offset                  P₀(n), at the end of the cycle's second half and of the rest that follows it
    irreversible growth     ΔP_irr(n) = P₀(n) − P₀(reference)
    hysteresis              mean of |P_charge − P_discharge| over the charge that both have passed

EOC and EOD are the ends of charge and discharge (Cannarella and Arnold, J. Power Sources 245 (2014) 745). The second
half is the discharge of a full cell, and the delithiation of an anode's half-cell, so that offsets are compared empty.

Uncertainty. `pressure_U_Pa` is the expanded uncertainty of each reading (k = 2); U/2 is its standard uncertainty u.
Most of it is common to all readings of a sensor in one cell (area, reference force, calibration parameters), so that
readings are correlated: with a correlation coefficient r,

    u²(P₁ − P₂) = u₁² + u₂² − 2r·u₁u₂            (JCGM 100:2008, 5.2.2)

With r = 1, all of it is a scale error: u(ΔP) = |u₁ − u₂|, and a relative u of 5 % is one of 5 % of the swing, not of
the pressure. r = 0 would take readings for independent, and a swing of a tenth of the pressure would drown. What is not
common is the sensor's own hysteresis, creep, temperature and noise; `CORRELATION` is what is assumed where the
calibration does not say. It is stated in each result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from station.analysis.curves import HalfCurve, half_curves
from station.analysis.cycles import Cycle
from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.flow import Direction
from station.analysis.halfcycles import HalfCycle
from station.analysis.lines import line
from station.analysis.record import Floats, Record, as_record
from station.analysis.trend import robust_slope

if TYPE_CHECKING:
    import pandas as pd

CORRELATION = 0.95
GRID = 200


@dataclass(frozen=True, slots=True)
class CyclePressure:
    """In Pa; None where the cycle does not have what it takes."""

    cycle: int
    lowest: Estimate
    highest: Estimate
    swing: Estimate  # highest − lowest
    end_of_charge: Estimate | None
    end_of_discharge: Estimate | None  # both while current flowed
    charge_to_discharge: Estimate | None  # P_EOC − P_EOD
    offset: Estimate | None  # after the second half and its rest, or at its end where none follows
    rest_s: float  # length of that rest
    growth: Estimate | None  # of the offset since the reference cycle
    swing_per_areal: Estimate | None  # Pa cm² mAh⁻¹, by the discharge capacity
    correlation: float


def difference(one: Estimate, other: Estimate, correlation: float = CORRELATION) -> Estimate:
    """one − other, of two readings of one sensor in one cell."""
    a, b = one.u, other.u
    if a is None or b is None:
        return Estimate(one.value - other.value)
    return Estimate(one.value - other.value, math.sqrt(max(0.0, a * a + b * b - 2 * correlation * a * b)))


def pressure_cycles(
    data: Record | pd.DataFrame,
    cycles: Sequence[Cycle],
    *,
    reference: int | None = None,
    area_cm2: float | None = None,
    correlation: float = CORRELATION,
) -> tuple[CyclePressure, ...]:
    """One result for each cycle of the record that has a pressure.

    Growth counts from cycle `reference`, the first one by default; compare offsets at one temperature, after rests of
    one length. Raises AnalysisError where no pressure was measured.
    """
    record = as_record(data)
    if record.pressure_Pa is None or not np.isfinite(record.pressure_Pa).any():
        raise AnalysisError("no pressure was measured in this record")
    if not -1 <= correlation <= 1:
        raise AnalysisError(f"a correlation of {correlation:g} is none; it lies between 0 (independent) and 1 (common)")
    ends = [*(_first_row(cycle) for cycle in cycles[1:]), len(record)]
    found: list[CyclePressure] = []
    of_reference: Estimate | None = None
    for cycle, end in zip(cycles, ends, strict=True):
        rows = slice(_first_row(cycle), end)
        if not np.isfinite(record.pressure_Pa[rows]).any():
            continue
        result = _cycle(record, cycle, rows, area_cm2, correlation)
        if of_reference is None and (reference is None or cycle.number == reference):
            of_reference = result.offset
        growth = None
        if result.offset is not None and of_reference is not None:
            growth = difference(result.offset, of_reference, correlation)
        found.append(replace(result, growth=growth))
    return tuple(found)


def _first_row(cycle: Cycle) -> int:
    return min(half.first_row for half in (cycle.charge, cycle.discharge) if half is not None)


def _cycle(record: Record, cycle: Cycle, rows: slice, area_cm2: float | None, correlation: float) -> CyclePressure:
    assert record.pressure_Pa is not None
    pressure = record.pressure_Pa[rows]
    lowest = _reading(record, rows.start + int(np.nanargmin(pressure)))
    highest = _reading(record, rows.start + int(np.nanargmax(pressure)))
    swing = difference(highest, lowest, correlation)
    charged = _at_end(record, cycle.charge)
    discharged = _at_end(record, cycle.discharge)
    offset, rest_s = _rested(record, cycle, rows.stop)
    both = None
    if charged is not None and discharged is not None:
        both = difference(charged, discharged, correlation)
    per_areal = None
    if area_cm2 and cycle.discharge is not None and cycle.discharge.capacity_Ah > 0:
        scale = area_cm2 / (1e3 * cycle.discharge.capacity_Ah)
        per_areal = Estimate(swing.value * scale, None if swing.u is None else swing.u * scale)
    return CyclePressure(
        cycle.number, lowest, highest, swing, charged, discharged, both, offset, rest_s, None, per_areal, correlation
    )


def _reading(record: Record, row: int) -> Estimate:
    """A pressure with its standard uncertainty, half of the expanded one."""
    assert record.pressure_Pa is not None
    U = None if record.pressure_U_Pa is None else float(record.pressure_U_Pa[row])
    return Estimate(float(record.pressure_Pa[row]), None if U is None or not math.isfinite(U) else U / 2)


def _at_end(record: Record, half: HalfCycle | None) -> Estimate | None:
    """Of the last row with a pressure."""
    if half is None or record.pressure_Pa is None:
        return None
    known = np.flatnonzero(np.isfinite(record.pressure_Pa[half.first_row : half.end_row]))
    return _reading(record, half.first_row + int(known[-1])) if len(known) else None


def _rested(record: Record, cycle: Cycle, end: int) -> tuple[Estimate | None, float]:
    """The last pressure of the cycle, before row `end`, and how long the cell had rested then after the second half."""
    half = cycle.half(cycle.first.other)
    if half is None:
        return None, 0.0
    assert record.pressure_Pa is not None
    known = np.flatnonzero(np.isfinite(record.pressure_Pa[half.first_row : max(half.end_row, end)]))
    if not len(known):
        return None, 0.0
    row = half.first_row + int(known[-1])
    return _reading(record, row), max(0.0, float(record.time_s[row]) - half.end_s)


# --- growth over cycles


@dataclass(frozen=True, slots=True)
class Growth:
    """How the offset grows: by the same amount each cycle, or as a diffusion-limited layer does with √n."""

    per_cycle: Estimate  # Pa, robust
    per_root: Estimate  # Pa per √cycle, by least squares
    follows: str  # 'n' or '√n', whichever leaves the smaller scatter
    scatter_n_Pa: float
    scatter_root_Pa: float


def growth(results: Sequence[CyclePressure]) -> Growth:
    """Over the cycles that have an offset; four are needed.

    Uncertainties are of the scatter over cycles. A scale error of the sensor comes on top, as the same share of the
    slope.
    """
    known = [(float(one.cycle), one.offset.value) for one in results if one.offset is not None]
    if len(known) < 4:
        raise AnalysisError(
            f"growth over cycles needs four of them with a pressure at their end; there are {len(known)}"
        )
    numbers, offsets = np.array([n for n, _ in known]), np.array([value for _, value in known])
    straight, root = line(numbers, offsets), line(np.sqrt(numbers), offsets)
    follows = "n" if straight.scatter <= root.scatter else "√n"
    return Growth(robust_slope(numbers, offsets), root.slope, follows, straight.scatter, root.scatter)


# --- pressure over capacity


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """Pressure on charge and discharge over the charge in the cell, from the end of discharge on."""

    cycle: int
    capacity_Ah: Floats  # that both have passed
    charge_Pa: Floats
    discharge_Pa: Floats
    hysteresis_Pa: Estimate  # mean of |charge − discharge|
    area_Pa_Ah: Estimate  # ∮P dQ: positive where the pressure is higher on charge
    correlation: float


def pressure_loop(
    data: Record | pd.DataFrame, cycle: Cycle, *, rest_current_A: float | None = None, correlation: float = CORRELATION
) -> Loop:
    """The loop of one cycle; its halves are laid together where the first one ends and the second begins.

    Raises AnalysisError where a half or its pressure is missing.
    """
    if cycle.charge is None or cycle.discharge is None:
        raise AnalysisError(f"cycle {cycle.number} has no charge or no discharge: there is no loop")
    record = as_record(data)
    halves = (cycle.charge, cycle.discharge)
    charge, discharge = half_curves(record, halves, rest_current_A=rest_current_A, hold=True)
    up_Ah, up_Pa, up_u = _with_u(charge)
    down_Ah, down_Pa, down_u = _with_u(discharge)
    if cycle.first is Direction.CHARGE:
        down_Ah = up_Ah[-1] - down_Ah
    else:
        up_Ah = up_Ah - down_Ah[-1]
        down_Ah = -down_Ah
    down_Ah, down_Pa, down_u = down_Ah[::-1], down_Pa[::-1], down_u[::-1]
    low, high = max(up_Ah[0], down_Ah[0]), min(up_Ah[-1], down_Ah[-1])
    if not high > low:
        raise AnalysisError(f"cycle {cycle.number}: charge and discharge have no charge in common")
    at = np.linspace(low, high, GRID)
    one, other = np.interp(at, up_Ah, up_Pa), np.interp(at, down_Ah, down_Pa)
    a, b = np.interp(at, up_Ah, up_u), np.interp(at, down_Ah, down_u)
    apart = one - other
    u = np.sqrt(np.maximum(0.0, a**2 + b**2 - 2 * correlation * a * b))
    mean_u = float(u.mean())  # common to all of the loop
    area = float(np.trapezoid(apart, at))
    return Loop(
        cycle.number,
        at - low,
        one,
        other,
        Estimate(float(np.abs(apart).mean()), None if math.isnan(mean_u) else mean_u),
        Estimate(area, None if math.isnan(mean_u) else mean_u * float(high - low)),
        correlation,
    )


def _with_u(curve: HalfCurve) -> tuple[Floats, Floats, Floats]:
    """Capacity, pressure and its standard uncertainty (NaN where none came with it), where there is a pressure."""
    if curve.pressure_Pa is None or not (known := np.isfinite(curve.pressure_Pa)).any():
        raise AnalysisError(f"cycle {curve.cycle}, {curve.direction}: no pressure was measured")
    u = np.full(len(known), np.nan) if curve.pressure_U_Pa is None else curve.pressure_U_Pa / 2
    return curve.capacity_Ah[known], curve.pressure_Pa[known], u[known]


@dataclass(frozen=True, slots=True, eq=False)
class LithiationPressure:
    """Pressure against the share of lithium in the working electrode, in the order measured."""

    cycle: int
    lithiating: bool
    share: Floats
    pressure_Pa: Floats
    u_Pa: Floats | None
    slope_Pa: Estimate  # dP/dx by a straight line; u of its scatter and of the sensor's scale


def pressure_against_lithiation(
    curve: HalfCurve, full_Ah: float, *, lithiation: Direction = Direction.DISCHARGE, begin: float | None = None
) -> LithiationPressure:
    """`full_Ah` is the capacity of a share of 1; `begin` the share where the curve begins.

    By default a lithiation begins at 0 and a delithiation where it ends at 0. `lithiation` is the discharge of a
    half-cell against lithium, and the charge for the negative electrode of a full cell.
    """
    if not full_Ah > 0:
        raise AnalysisError(f"the capacity of full lithiation is {full_Ah:g} Ah; it is above zero")
    capacity_Ah, pressure_Pa, u_Pa = _with_u(curve)
    lithiating = curve.direction is lithiation
    passed = capacity_Ah / full_Ah
    start = begin if begin is not None else (0.0 if lithiating else float(passed[-1]))
    share = start + passed if lithiating else start - passed
    slope = line(share, pressure_Pa).slope
    has_u = bool(np.isfinite(u_Pa).any())
    scale = float(np.nanmean(u_Pa / np.abs(pressure_Pa))) if has_u else 0.0
    slope = Estimate(slope.value, math.hypot(slope.u or 0.0, scale * slope.value))
    return LithiationPressure(curve.cycle, lithiating, share, pressure_Pa, u_Pa if has_u else None, slope)
