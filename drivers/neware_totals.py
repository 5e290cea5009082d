"""NEWARE counts time, capacity and energy anew in each step of its file; a program's CCCV is two of these."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drivers.interface import CyclerRecord
from drivers.neware_stepfile import StepMap


@dataclass(frozen=True, slots=True)
class Totals:
    """What the earlier part of a program's step (the CC of a CCCV) adds to the records after it."""

    last: CyclerRecord | None = None  # as the tester numbers and counts
    time_s: float = 0.0
    capacity_Ah: float = 0.0
    energy_Wh: float = 0.0

    def follows(self, row: CyclerRecord) -> bool:
        return row.sequence == (self.last.sequence + 1 if self.last else 1)

    def at(self, row: CyclerRecord, steps: StepMap | None) -> Totals:
        """The totals that go with `row`, which comes next."""
        last = self.last
        if last is None or (last.step == row.step and last.step_time_s <= row.step_time_s):
            return replace(self, last=row)
        if steps is not None and steps.continues(row.step) and last.step == row.step - 1:
            return Totals(row, last.step_time_s, last.step_capacity_Ah, last.step_energy_Wh)
        return Totals(row)

    def applied(self, row: CyclerRecord, steps: StepMap | None) -> CyclerRecord:
        return replace(
            row,
            step=steps.program_step(row.step) if steps else row.step,
            step_time_s=row.step_time_s + self.time_s,
            step_capacity_Ah=row.step_capacity_Ah + self.capacity_Ah,
            step_energy_Wh=row.step_energy_Wh + self.energy_Wh,
        )
