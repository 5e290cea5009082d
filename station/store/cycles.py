"""Capacity and Coulombic efficiency by cycle, from the steps of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from station.readings import CycleView

CycleStep: TypeAlias = tuple[int, str, float]
"""Cycle, kind of step ("running" where it has not ended), signed capacity in Ah."""


def cycle_views(
    steps: Sequence[CycleStep],
    pressures: Mapping[int, tuple[float | None, float | None]],
    *,
    finished: bool,
) -> tuple[CycleView, ...]:
    """One view for each cycle that has a step or a reading.

    `steps` in the order executed; `pressures`: lowest and highest pressure in Pa by cycle. A cycle is complete when
    another follows, or when the run has finished.
    """
    capacities: dict[int, list[float]] = {cycle: [] for cycle in pressures}
    for cycle, _, capacity in steps:
        capacities.setdefault(cycle, []).append(capacity)
    numbers = sorted(capacities)
    charge_first = _charges_first(steps)
    return tuple(
        _view(
            number,
            capacities[number],
            pressures.get(number, (None, None)),
            charge_first=charge_first,
            complete=finished or number != numbers[-1],
        )
        for number in numbers
    )


def _view(
    number: int,
    capacities: Sequence[float],
    pressure: tuple[float | None, float | None],
    *,
    charge_first: bool,
    complete: bool,
) -> CycleView:
    charge = sum(capacity for capacity in capacities if capacity > 0)
    discharge = -sum(capacity for capacity in capacities if capacity < 0)
    first, second = (charge, discharge) if charge_first else (discharge, charge)
    return CycleView(
        cycle=number,
        charge_capacity_Ah=charge,
        discharge_capacity_Ah=discharge,
        coulombic_efficiency=second / first if complete and first > 0 and second > 0 else None,
        complete=complete,
        pressure_min_Pa=pressure[0],
        pressure_max_Pa=pressure[1],
    )


def _charges_first(steps: Sequence[CycleStep]) -> bool:
    """Whether the first step that drives the cell charges it: that one begins every cycle."""
    for _, kind, capacity in steps:
        if kind in ("charge", "discharge"):
            return kind == "charge"
        if kind in ("hold", "running") and capacity != 0:
            return capacity > 0
    return True
