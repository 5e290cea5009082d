"""An export of a tester's own as the readings and steps of a run. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from protocols.program import CycleCount, Kind
from station.conversion import Pressed
from station.land_export import Row
from station.pressure_log import nearest
from station.readings import Reading, StepSummary

LONGEST_PRESSURE_AGE_S = 60.0
"""A pressure further away than this does not belong to a record."""

RESTING_A = 1e-9


def readings_of(
    rows: Sequence[Row], pressures: list[Pressed], clock_offset_s: float
) -> tuple[tuple[Reading, ...], tuple[StepSummary, ...]]:
    """All readings, and the steps but the last, of which nobody knows whether it has ended.

    `clock_offset_s` is how far the tester's clock is ahead of this one.
    """
    readings: list[Reading] = []
    steps: list[StepSummary] = []
    count, began = CycleCount(), rows[0].time - clock_offset_s
    net_Ah = 0.0
    for number, step_rows in enumerate(_steps(rows), start=1):
        kind = _kind(step_rows)
        count = count.entering(kind)
        name = step_rows[0].step or f"{number} {kind}"
        start = step_rows[0].time - clock_offset_s - (step_rows[0].step_time_s or 0.0)
        for row, charge_Ah, energy_Wh in _integrals(step_rows, kind):
            time = row.time - clock_offset_s
            said = nearest(pressures, time, LONGEST_PRESSURE_AGE_S)
            readings.append(
                Reading(
                    sequence=len(readings) + 1,
                    time=time,
                    test_time_s=time - began,
                    step=number,
                    step_name=name,
                    cycle=count.cycle,
                    step_time_s=time - start,
                    voltage_V=row.voltage_V,
                    current_A=row.current_A,
                    step_capacity_Ah=charge_Ah,
                    step_energy_Wh=energy_Wh,
                    net_capacity_Ah=net_Ah + charge_Ah,
                    resistance_ohm=said.resistance_ohm if said else None,
                    pressure_Pa=said.pressure_Pa if said else None,
                    pressure_U_Pa=said.pressure_U_Pa if said else None,
                    calibration=said.calibration if said else None,
                    pressure_mark=said.mark if said else None,
                )
            )
        last = readings[-1]
        net_Ah = last.net_capacity_Ah
        steps.append(
            StepSummary(
                number, name, kind, count.cycle, start, last.time, last.step_capacity_Ah, last.step_energy_Wh,
                "as exported by the tester",
            )
        )  # fmt: skip
    return tuple(readings), tuple(steps[:-1])


def _steps(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """A new step where the tester says so, or where the step's time begins again."""
    step = [rows[0]]
    for before, row in itertools.pairwise(rows):
        again = row.step_time_s is not None and before.step_time_s is not None and row.step_time_s < before.step_time_s
        turned = not row.step and _sign(row) != _sign(before)
        if again or turned or (row.step, row.cycle) != (before.step, before.cycle):
            yield step
            step = []
        step.append(row)
    yield step


def _kind(rows: Sequence[Row]) -> Kind:
    """By the tester's own word, or else by the current in the middle of the step."""
    direction = rows[0].direction or _sign(rows[len(rows) // 2])
    return {1: Kind.CHARGE, -1: Kind.DISCHARGE}.get(direction, Kind.REST)


def _sign(row: Row) -> int:
    return 0 if abs(row.current_A) < RESTING_A else 1 if row.current_A > 0 else -1


def _integrals(rows: Sequence[Row], kind: Kind) -> Iterator[tuple[Row, float, float]]:
    """Signed charge and energy since the step began: the tester's own, or else by the trapezoid rule."""
    sign = {Kind.CHARGE: 1.0, Kind.DISCHARGE: -1.0}.get(kind, 0.0)
    charge_Ah = energy_Wh = 0.0
    for before, row in zip([rows[0], *rows], rows, strict=False):
        passed_Ah = 0.5 * (before.current_A + row.current_A) * (row.time - before.time) / 3600
        charge_Ah = charge_Ah + passed_Ah if row.capacity_Ah is None else sign * row.capacity_Ah
        passed_Wh = passed_Ah * 0.5 * (before.voltage_V + row.voltage_V)
        energy_Wh = energy_Wh + passed_Wh if row.energy_Wh is None else sign * row.energy_Wh
        yield row, charge_Ah, energy_Wh
