"""From what was kept to what a forecast says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from protocols.program import Kind, Program, Quantity, Step
from station.forecast.course import limits_set
from station.forecast.kept import Floats, Kept
from station.forecast.results import (
    CycleForecast,
    Extreme,
    LimitForecast,
    MarkerForecast,
    Moment,
    Range,
    SpectrumForecast,
    StepForecast,
    WaitForecast,
)
from station.readings import StepSummary
from station.safety import LimitsInForce
from station.store.cycles import cycle_views

WAITING = (Kind.TEMPERATURE, Kind.STACK_PRESSURE)
WAITED_FOR = (Quantity.PRESSURE, Quantity.PRESSURE_SLOPE, Quantity.PRESSURE_CHANGE, Quantity.TEMPERATURE)


def moment(step: StepSummary) -> Moment:
    return Moment(step.start_time, step.step, step.step_name, step.cycle)


def step_forecasts(steps: Sequence[StepSummary]) -> tuple[StepForecast, ...]:
    return tuple(
        StepForecast(
            step=step.step,
            step_name=step.step_name,
            kind=str(step.kind),
            cycle=step.cycle,
            start_s=step.start_time,
            duration_s=step.end_time - step.start_time,
            capacity_Ah=step.capacity_Ah,
            energy_Wh=step.energy_Wh,
            end_reason=step.end_reason,
        )
        for step in steps
    )


# --- cycles


def cycle_forecasts(kept: Kept, *, finished: bool) -> tuple[CycleForecast, ...]:
    by_cycle: dict[int, list[StepSummary]] = {}
    for step in kept.steps:
        by_cycle.setdefault(step.cycle, []).append(step)
    views = cycle_views(
        [(step.cycle, step.kind, step.capacity_Ah) for step in kept.steps],
        _pressures(kept.table()),
        finished=finished,
    )
    found = []
    for view in views:
        steps = by_cycle.get(view.cycle, [])
        charged_Wh = sum(step.energy_Wh for step in steps if step.capacity_Ah > 0)
        discharged_Wh = -sum(step.energy_Wh for step in steps if step.capacity_Ah < 0)
        whole = view.coulombic_efficiency is not None and charged_Wh > 0
        found.append(
            CycleForecast(
                cycle=view.cycle,
                start_s=steps[0].start_time if steps else 0.0,
                duration_s=steps[-1].end_time - steps[0].start_time if steps else 0.0,
                charge_capacity_Ah=view.charge_capacity_Ah,
                discharge_capacity_Ah=view.discharge_capacity_Ah,
                coulombic_efficiency=view.coulombic_efficiency,
                charge_energy_Wh=charged_Wh,
                discharge_energy_Wh=discharged_Wh,
                energy_efficiency=discharged_Wh / charged_Wh if whole else None,
                pressure_min_Pa=view.pressure_min_Pa,
                pressure_max_Pa=view.pressure_max_Pa,
            )
        )
    return tuple(found)


def _pressures(table: Mapping[str, Floats]) -> dict[int, tuple[float | None, float | None]]:
    """Lowest and highest by cycle; cycles stand in order."""
    cycle, pressure = table["cycle"], table["pressure_Pa"]
    if not len(cycle):
        return {}
    starts = np.flatnonzero(np.diff(cycle, prepend=np.nan))
    lowest, highest = np.fmin.reduceat(pressure, starts), np.fmax.reduceat(pressure, starts)
    return {
        int(cycle[start]): (float(low), float(high)) for start, low, high in zip(starts, lowest, highest, strict=True)
    }


# --- extremes and limits


def value_range(program: Program, kept: Kept, column: str) -> Range | None:
    """Of one recorded quantity; None where nothing was recorded."""
    table = kept.table()
    values = table[column]
    if not np.isfinite(values).any():
        return None

    def extreme(row: int) -> Extreme:
        step = int(table["step"][row])
        operation = program.operations[kept.operations[step - 1]]
        assert isinstance(operation, Step)
        at = Moment(float(table["test_time_s"][row]), step, operation.name, int(table["cycle"][row]))
        return Extreme(float(values[row]), at)

    return Range(
        extreme(int(np.nanargmin(values))), extreme(int(np.nanargmax(values))), float(values[0]), float(values[-1])
    )


def limit_forecasts(limits: LimitsInForce, kept: Kept) -> tuple[LimitForecast, ...]:
    table, met = kept.table(), kept.limit_met
    columns = {
        "voltage": "voltage_V",
        "current": "current_A",
        "pressure": "pressure_Pa",
        "temperature": "temperature_degC",
    }
    found = []
    for name, value in limits_set(limits.limits):
        values = table[columns[name.split("_")[0]]]
        if name == "current_max_A":
            values = np.abs(values)
        nearest = float(np.nanmax(values) if "_max_" in name else np.nanmin(values)) if len(values) else None
        by = dict(limits.origin).get(name, "")
        found.append(LimitForecast(name, value, by, nearest, met is not None and met.limit == name))
    return tuple(found)


# --- what else comes up


def waits(program: Program, kept: Kept) -> tuple[WaitForecast, ...]:
    """Steps that wait for a temperature or a pressure."""
    return tuple(
        WaitForecast(moment(step), step.end_time - step.start_time, step.end_reason)
        for step in kept.steps
        if _waits(program, kept.operations[step.step - 1])
    )


def _waits(program: Program, operation: int) -> bool:
    step = program.operations[operation]
    assert isinstance(step, Step)
    conditions = (condition for end in step.ends for condition in end.conditions)
    return step.kind in WAITING or (step.kind is Kind.REST and any(c.quantity in WAITED_FOR for c in conditions))


def spectra(kept: Kept) -> tuple[SpectrumForecast, ...]:
    names = {step.step: step.step_name for step in kept.steps}
    return tuple(
        SpectrumForecast(
            each.number,
            Moment(each.test_time_s, each.step, names.get(each.step, ""), each.cycle),
            took_s,
            len(each.frequency_Hz),
        )
        for each, took_s in zip(kept.spectra, kept.sweeps_s, strict=False)
    )


def markers(kept: Kept) -> tuple[MarkerForecast, ...]:
    return tuple(
        MarkerForecast(
            each.name,
            Moment(each.test_time_s, each.step, each.step_name, each.cycle),
            each.state_of_charge,
            each.triggered,
        )
        for each in kept.markers
    )
