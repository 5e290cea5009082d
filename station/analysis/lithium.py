"""Critical current density of lithium: the largest one of a stepped test of a symmetric cell before it is short.

It depends on the charge passed in each half-cycle, on area, pressure and temperature, which are told with it (Lu et
al., Adv. Funct. Mater. 31 (2021) 2009925; Commun. Chem. (2023), doi:10.1038/s42004-023-01002-4). The truth lies between
the last density that the cell stood and the one at which it failed. Signs of a short circuit: see
`station.analysis.shorts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from protocols.program import ShortCriteria
from station.analysis.errors import AnalysisError
from station.analysis.periods import Period, periods
from station.analysis.record import Floats, Record, as_record
from station.analysis.shorts import Short, Watch, observed

if TYPE_CHECKING:
    import pandas as pd

SAME_CURRENT = 0.02


@dataclass(frozen=True, slots=True)
class CriticalCurrent:
    """Densities in mA cm⁻²; None of `passed` where the first one failed, of `failed` where none did."""

    passed_mA_cm2: float | None
    failed_mA_cm2: float | None
    step: int | None  # of the current, from 1, at which it failed
    half_cycle_s: float  # the longest of the last step that was passed, or of the one that failed
    half_cycle_mAh_cm2: float
    cumulative_mAh_cm2: float  # passed in both directions before the short, or in all
    short: Short | None
    criteria: ShortCriteria
    area_cm2: float
    pressure_Pa: float | None  # mean of the test
    temperature_degC: float | None


@dataclass(frozen=True, slots=True)
class _Step:
    current_A: float
    halves: tuple[Period, ...]


def find_short(data: Record | pd.DataFrame, criteria: ShortCriteria | None = None) -> Short | None:
    """The first sign of a short circuit in a record; None where there is none."""
    record, chosen, watch = as_record(data), criteria or ShortCriteria(), Watch()
    rows = zip(record.time_s.tolist(), record.voltage_V.tolist(), record.current_A.tolist(), strict=True)
    for time_s, voltage_V, current_A in rows:
        watch = observed(chosen, watch, time_s, voltage_V, current_A)
        if watch.short is not None:
            return watch.short
    return None


def critical_current_density(
    data: Record | pd.DataFrame,
    area_cm2: float,
    criteria: ShortCriteria | None = None,
    *,
    rest_current_A: float | None = None,
) -> CriticalCurrent:
    """From the readings of a test with one or more half-cycles at each of rising currents.

    Raises AnalysisError where the area is not above zero or no current flows.
    """
    if not area_cm2 > 0:
        raise AnalysisError(f"the electrode's area is {area_cm2:g} cm²; it is above zero")
    record, chosen = as_record(data), criteria or ShortCriteria()
    steps = _steps(record, rest_current_A)
    short = find_short(record, chosen)
    failed = None if short is None else _step_at(steps, short.time_s)
    passed = steps if failed is None else steps[:failed]
    of = passed[-1] if passed else steps[failed or 0]
    until_s = record.time_s[-1] if short is None else short.time_s
    charge_mAh_cm2 = _cumulative_C(record, float(until_s)) / 3.6 / area_cm2
    return CriticalCurrent(
        passed_mA_cm2=max(step.current_A for step in passed) * 1e3 / area_cm2 if passed else None,
        failed_mA_cm2=None if failed is None else steps[failed].current_A * 1e3 / area_cm2,
        step=None if failed is None else failed + 1,
        half_cycle_s=max(half.duration_s for half in of.halves),
        half_cycle_mAh_cm2=max(half.duration_s for half in of.halves) * of.current_A / 3.6 / area_cm2,
        cumulative_mAh_cm2=charge_mAh_cm2,
        short=short,
        criteria=chosen,
        area_cm2=area_cm2,
        pressure_Pa=_mean(record.pressure_Pa),
        temperature_degC=_mean(record.temperature_degC),
    )


def _steps(record: Record, rest_current_A: float | None) -> list[_Step]:
    """Half-cycles of one magnitude of the current, one after the other."""
    found: list[_Step] = []
    for period in periods(record, rest_current_A, jump=SAME_CURRENT):
        if not period.sign:
            continue
        current_A = float(np.median(np.abs(record.current_A[period.first_row : period.end_row])))
        if found and abs(current_A - found[-1].current_A) <= SAME_CURRENT * found[-1].current_A:
            found[-1] = _Step(found[-1].current_A, (*found[-1].halves, period))
        else:
            found.append(_Step(current_A, (period,)))
    return found


def _step_at(steps: Sequence[_Step], time_s: float) -> int:
    begun = [number for number, step in enumerate(steps) if step.halves[0].start_s <= time_s]
    return begun[-1] if begun else 0


def _cumulative_C(record: Record, until_s: float) -> float:
    rows = record.time_s <= until_s
    return float(np.trapezoid(np.abs(record.current_A[rows]), record.time_s[rows]))


def _mean(values: Floats | None) -> float | None:
    return None if values is None or not np.isfinite(values).any() else float(np.nanmean(values))
