"""Resistance from a step of the current (DCIR), at stated times after it.

    R(Δt) = [V(t₀+Δt) − V(t₀⁻)] / [I(t₀+Δt) − I(t₀⁻)]

in Ω (IEC 61960-3; ISO 12405-4; FreedomCAR HPPC). It grows with Δt, for it takes in one process after another: a
resistance without its time says nothing. The first sample comes nearest to the ohmic one. Valid while the state of
charge hardly changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.flow import Direction, flow
from station.analysis.lines import line
from station.analysis.periods import Period, periods
from station.analysis.record import Record, as_record

if TYPE_CHECKING:
    import pandas as pd

TIMES_S = (1.0, 10.0, 30.0)
JUMP = 0.02
"""Of the largest current: a smaller change between two readings is no pulse."""


@dataclass(frozen=True, slots=True)
class Resistance:
    delay_s: float  # Δt
    first_sample: bool
    ohm: Estimate

    def area_specific(self, area_cm2: float) -> Estimate:
        """ASR = R·A in Ω cm²."""
        return Estimate(self.ohm.value * area_cm2, None if self.ohm.u is None else self.ohm.u * area_cm2)


@dataclass(frozen=True, slots=True)
class PulseResistance:
    """One step of the current."""

    number: int
    start_s: float
    direction: Direction  # of the current after the step, or of the one before where that ended
    ends: bool  # whether the current went to rest
    before_V: float
    before_A: float
    after_A: float
    net_capacity_Ah: float  # passed since the record began, positive on charge
    temperature_degC: float | None
    resistances: tuple[Resistance, ...]  # at the first sample, and at the times asked for that it reaches


def pulse_resistances(
    data: Record | pd.DataFrame,
    times_s: Sequence[float] = TIMES_S,
    *,
    rest_current_A: float | None = None,
    jump: float = JUMP,
    longest_gap_s: float = 60.0,
) -> tuple[PulseResistance, ...]:
    """For each step of the current: from rest, between two currents, and to rest.

    V at a stated time is that on the straight line between two readings. A step whose readings before and after are
    further apart than `longest_gap_s` is left out: its beginning is not known. Raises AnalysisError where none is
    found.
    """
    record = as_record(data)
    found = periods(record, rest_current_A, jump=jump)
    net_Ah = np.cumsum(flow(record, rest_current_A).charge_Ah)
    results: list[PulseResistance] = []
    for before, after in pairwise(found):
        row = before.end_row - 1
        gap_s = float(record.time_s[after.first_row] - record.time_s[row])
        if gap_s > longest_gap_s or not (resistances := _resistances(record, before, after, times_s)):
            continue
        temperature = record.temperature_degC
        results.append(
            PulseResistance(
                number=len(results) + 1,
                start_s=after.start_s,
                direction=Direction.CHARGE if (after.sign or before.sign) > 0 else Direction.DISCHARGE,
                ends=after.sign == 0,
                before_V=float(record.voltage_V[row]),
                before_A=float(record.current_A[row]),
                after_A=float(record.current_A[after.first_row]),
                net_capacity_Ah=float(net_Ah[row]),
                temperature_degC=None if temperature is None else float(temperature[row]),
                resistances=resistances,
            )
        )
    if not results:
        raise AnalysisError(f"no step of the current with readings at most {longest_gap_s:g} s apart around it")
    return tuple(results)


def _resistances(record: Record, before: Period, after: Period, times_s: Sequence[float]) -> tuple[Resistance, ...]:
    rows = slice(after.first_row, after.end_row)
    since_s = record.time_s[rows] - after.start_s
    volts, amperes = record.voltage_V[rows], record.current_A[rows]
    last = before.end_row - 1
    u_V = _noise_V(record, before) * 2**0.5  # of a difference
    asked = [(float(since_s[0]), True), *((time_s, False) for time_s in times_s)]
    found = []
    for time_s, first in asked:
        if not first and not since_s[0] <= time_s <= since_s[-1]:
            continue
        change_A = float(np.interp(time_s, since_s, amperes)) - float(record.current_A[last])
        change_V = float(np.interp(time_s, since_s, volts)) - float(record.voltage_V[last])
        if change_A:
            found.append(Resistance(time_s, first, Estimate(change_V / change_A, u_V / abs(change_A))))
    return tuple(found)


def _noise_V(record: Record, before: Period) -> float:
    """Of one voltage: the scatter about a line through the last ten readings before the step."""
    rows = slice(max(before.first_row, before.end_row - 10), before.end_row)
    if rows.stop - rows.start < 4 or record.time_s[rows.start] == record.time_s[rows.stop - 1]:
        return 0.0
    return line(record.time_s[rows] - record.time_s[rows.start], record.voltage_V[rows]).scatter
