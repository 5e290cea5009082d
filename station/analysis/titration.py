"""Pulses of current between rests, as galvanostatic titrations consist of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate, root_sum_square
from station.analysis.flow import Direction
from station.analysis.lines import Line, line
from station.analysis.periods import Period, periods
from station.analysis.record import Floats, Record

TAIL = 0.1
"""Share of a rest, at its end, by which its slope and its noise are judged."""
EARLY = 0.1
"""Share of a pulse, at its beginning, whose √t line gives the voltage without the ohmic drop."""


@dataclass(frozen=True, slots=True, eq=False)
class Titration:
    """One pulse with the rests around it; `t` counts from the pulse's beginning."""

    direction: Direction
    start_s: float
    t: Floats  # of the pulse's rows
    voltage_V: Floats
    current_A: Floats
    rest_t: Floats  # of the rest's rows after it
    rest_voltage_V: Floats
    before_V: Estimate  # relaxed, at the last row before
    after_V: Estimate
    rest_line: Line  # through the end of the rest after the pulse

    @property
    def pulse_s(self) -> float:
        return float(self.t[-1])

    @property
    def rest_s(self) -> float:
        return float(self.rest_t[-1]) - self.pulse_s

    @property
    def mean_current_A(self) -> float:
        return float(np.median(self.current_A))

    def without_ohmic_drop(self) -> Estimate:
        """The voltage at which diffusion begins: the √t line through the first tenth of the pulse, at its beginning."""
        early = self.t <= EARLY * self.pulse_s
        if np.count_nonzero(early) < 3:
            early = np.arange(len(self.t)) < 3
        return line(np.sqrt(self.t[early]), self.voltage_V[early]).intercept


def titrations(record: Record, rest_current_A: float | None = None, least_rows: int = 5) -> Iterator[Titration]:
    """Every pulse of at least so many rows that has a rest before and after it, in the order run."""
    found = periods(record, rest_current_A)
    for before, pulse, after in zip(found, found[1:], found[2:], strict=False):
        if not pulse.sign or before.sign or after.sign:
            continue
        if pulse.end_row - pulse.first_row >= least_rows and after.end_row - after.first_row >= 3:
            yield _titration(record, before, pulse, after)


def _titration(record: Record, before: Period, pulse: Period, after: Period) -> Titration:
    of_pulse, of_rest = slice(pulse.first_row, pulse.end_row), slice(after.first_row, after.end_row)
    rest_line = tail_line(record, after)
    return Titration(
        direction=Direction.CHARGE if pulse.sign > 0 else Direction.DISCHARGE,
        start_s=pulse.start_s,
        t=record.time_s[of_pulse] - pulse.start_s,
        voltage_V=record.voltage_V[of_pulse],
        current_A=record.current_A[of_pulse],
        rest_t=record.time_s[of_rest] - pulse.start_s,
        rest_voltage_V=record.voltage_V[of_rest],
        before_V=_relaxed(record, before),
        after_V=_relaxed(record, after),
        rest_line=rest_line,
    )


def tail_line(record: Record, rest: Period) -> Line:
    """Through the last tenth of a rest, three rows at least; time counts from the rest's end."""
    time_s = record.time_s[rest.first_row : rest.end_row] - rest.end_s
    volts = record.voltage_V[rest.first_row : rest.end_row]
    tail = time_s >= -TAIL * rest.duration_s
    if np.count_nonzero(tail) < 3:
        tail = np.arange(len(time_s)) >= len(time_s) - 3
    try:
        return line(time_s[tail], volts[tail])
    except AnalysisError:  # a rest of one moment says nothing of its slope
        return Line(Estimate(float("nan")), Estimate(float(volts[-1])), 0.0, 0.0, len(volts))


def _relaxed(record: Record, rest: Period) -> Estimate:
    """The last voltage of a rest, with the noise about its last line, or the resolution where that is more."""
    volts = record.voltage_V[rest.first_row : rest.end_row]
    steps = np.abs(np.diff(volts[-50:]))
    resolution_V = float(steps[steps > 0].min()) if (steps > 0).any() else 0.0
    noise = tail_line(record, rest).scatter
    return Estimate(float(volts[-1]), root_sum_square(noise, min(resolution_V, 1e-3) / 12**0.5))
