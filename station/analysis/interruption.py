"""Intermittent current interruption (ICI): resistance and diffusion from short pauses of a constant current.

While the current I is off for a few seconds, the voltage goes as V = V₀ + (dV/d√t)·√t. Extrapolated to the moment of
the interruption it gives

    R = (V_before − V₀)/I                Ω, the resistance without diffusion
    k = −(dV/d√t)/I                      Ω s^−½
    D = (4/π)·(R_p/3)²·[(dE/dt)/(dE/d√t)]²

with dE/dt the change with time of the voltages V₀ from one interruption to the next while the current flows, which
stands for the open-circuit voltage's, and R_p the radius of spheres (three times their volume over their area). Lacey,
ChemElectroChem 4 (2017) 1997; Chien, Liu, Menon, Brant, Brandell and Lacey, Nat. Commun. 14 (2023) 2289. Valid for
interruptions short beside R_p²/D that leave the state as it is, from about one second on (double layers have
discharged then), and where the current has flowed for long beside an interruption. D in m² s⁻¹.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate, root_sum_square
from station.analysis.flow import Direction
from station.analysis.lines import Line, line
from station.analysis.periods import Period, periods
from station.analysis.record import Record, as_record

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Interruption:
    number: int
    direction: Direction  # of the current that was interrupted
    start_s: float
    off_s: float
    current_A: float  # signed, before
    before_V: float
    resistance_ohm: Estimate
    diffusion_ohm_per_root_s: Estimate  # k
    sqrt_r2: float
    D: Estimate | None  # None without a radius or a neighbour; NaN where the voltage does not go back


@dataclass(frozen=True, slots=True)
class _Pause:
    period: Period
    current_A: float  # before it
    root: Line  # voltage over √t


def interruptions(
    data: Record | pd.DataFrame,
    radius_m: Estimate | float | None = None,
    *,
    from_s: float = 1.0,
    longest_s: float = 60.0,
    rest_current_A: float | None = None,
) -> tuple[Interruption, ...]:
    """Every pause of at most `longest_s` within a current of one direction; its √t line begins `from_s` after it.

    Raises AnalysisError where there is none.
    """
    record = as_record(data)
    radius = radius_m if isinstance(radius_m, Estimate) or radius_m is None else Estimate(radius_m)
    found = periods(record, rest_current_A)
    pauses: list[_Pause] = []
    for before, pause, after in zip(found, found[1:], found[2:], strict=False):
        if pause.sign or not before.sign or before.sign != after.sign or pause.duration_s > longest_s:
            continue
        if (root := _root_line(record, pause, from_s)) is not None:
            pauses.append(_Pause(pause, float(record.current_A[pause.first_row - 1]), root))
    if not pauses:
        raise AnalysisError(
            f"there is no pause of at most {longest_s:g} s with three readings from {from_s:g} s on; "
            "say what interruptions are by 'longest_s' and 'from_s'"
        )
    return tuple(_interruption(record, pauses, number, radius) for number in range(len(pauses)))


def _root_line(record: Record, pause: Period, from_s: float) -> Line | None:
    rows = slice(pause.first_row, pause.end_row)
    since_s = record.time_s[rows] - pause.start_s
    used = since_s >= from_s
    if np.count_nonzero(used) < 3:
        return None
    return line(np.sqrt(since_s[used]), record.voltage_V[rows][used])


def _interruption(record: Record, pauses: list[_Pause], number: int, radius: Estimate | None) -> Interruption:
    pause = pauses[number]
    before_V, current_A = float(record.voltage_V[pause.period.first_row - 1]), pause.current_A
    intercept, slope = pause.root.intercept, pause.root.slope
    return Interruption(
        number=number + 1,
        direction=Direction.CHARGE if current_A > 0 else Direction.DISCHARGE,
        start_s=pause.period.start_s,
        off_s=pause.period.duration_s,
        current_A=current_A,
        before_V=before_V,
        resistance_ohm=Estimate((before_V - intercept.value) / current_A, (intercept.u or 0.0) / abs(current_A)),
        diffusion_ohm_per_root_s=Estimate(-slope.value / current_A, (slope.u or 0.0) / abs(current_A)),
        sqrt_r2=pause.root.r2,
        D=None if radius is None else _diffusion(pauses, number, radius),
    )


def _diffusion(pauses: list[_Pause], number: int, radius: Estimate) -> Estimate | None:
    """dE/dt by the interruptions on both sides with the same direction, counting the time with current alone."""
    pause = pauses[number]
    around = [one for one in pauses[max(0, number - 1) : number + 2] if one.current_A * pause.current_A > 0]
    if len(around) < 2:
        return None
    off_s = np.cumsum([0.0, *(one.period.duration_s for one in around[:-1])])
    on_s = np.array([one.period.start_s for one in around]) - off_s
    slope = line(on_s, np.array([one.root.intercept.value for one in around])).slope
    root = pause.root.slope
    if not slope.value * root.value < 0:  # after an interruption the voltage goes back
        return Estimate(float("nan"))
    value = 4 / math.pi * (radius.value / 3) ** 2 * (slope.value / root.value) ** 2
    relative = root_sum_square(slope.relative_u or 0.0, root.relative_u or 0.0, radius.relative_u or 0.0)
    return Estimate(value, 2 * value * relative)
