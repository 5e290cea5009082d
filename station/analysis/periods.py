"""A record cut into periods of rest and of current, as pulses and titrations are read from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from station.analysis.flow import resting_A
from station.analysis.record import Record


@dataclass(frozen=True, slots=True)
class Period:
    """Rows `first_row` up to, not including, `end_row`, with one sign of the current and no jump of it."""

    first_row: int
    end_row: int
    sign: int  # of the current, 0 at rest
    start_s: float  # when it began: by the station's own clock of the step, otherwise at the row before it
    end_s: float  # at its last row

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


def periods(record: Record, rest_current_A: float | None = None, *, jump: float | None = None) -> tuple[Period, ...]:
    """In the order run. Currents up to `rest_current_A` are rest; by default a ten-thousandth of the largest one.

    With `jump`, a change of the current between two rows by more than this share of the largest magnitude begins a
    period too. Raises AnalysisError where no current flows.
    """
    amperes = record.current_A
    rest_A = resting_A(record, rest_current_A)
    sign = (amperes > rest_A).astype(np.int8) - (amperes < -rest_A).astype(np.int8)
    begins = sign[1:] != sign[:-1]
    if jump is not None:
        begins |= np.abs(np.diff(amperes)) > jump * float(np.abs(amperes).max())
    starts = np.concatenate(([0], np.flatnonzero(begins) + 1)).tolist()
    ends = [*starts[1:], len(record)]
    return tuple(
        Period(first, end, int(sign[first]), began_s(record, first), float(record.time_s[end - 1]))
        for first, end in zip(starts, ends, strict=True)
    )


def began_s(record: Record, row: int) -> float:
    """When what begins with this row began: by the station's own clock of the step, otherwise at the row before it."""
    before_s = float(record.time_s[max(0, row - 1)])
    if record.step_time_s is None or record.step is None:
        return before_s
    if row and record.step[row] == record.step[row - 1]:
        return before_s
    return float(record.time_s[row] - record.step_time_s[row])
