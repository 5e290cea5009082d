"""When a forecast looks at its cell next: seldom where nothing happens, often where a step is about to end.

A bench samples each second and meets an end as late as that. In virtual time a sample is dear, so the next one
comes after half the time until the end by the present slope, and after no more than the sampling period; where
less than a tolerance is left, the end itself is the next sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from protocols.limits import Limits
from protocols.program import Condition, Program, Quantity, Step
from station.sequencer.conditions import Measure
from station.sequencer.plan import plan_of
from station.sequencer.state import Sample, State

SHORTEST_S = 1e-3
FIRST_S = 1.0
"""From a step's first sample to its second, which gives the first slope."""

VOLTAGE_TOLERANCE_V = 0.5e-3
TOLERANCES: Mapping[Quantity, float] = {
    Quantity.VOLTAGE_DROP: VOLTAGE_TOLERANCE_V,
    Quantity.STATE_OF_CHARGE: 1e-4,
    Quantity.PRESSURE: 50.0,
    Quantity.PRESSURE_CHANGE: 50.0,
    Quantity.TEMPERATURE: 0.02,
}
SHARES: Mapping[Quantity, float] = {
    Quantity.CURRENT: 5e-3,
    Quantity.CAPACITY: 1e-4,
    Quantity.ENERGY: 1e-4,
    Quantity.TOTAL_CAPACITY: 1e-4,
    Quantity.NET_CAPACITY: 1e-4,
}
"""Of the value that is to be met. A time is met by the sequencer's own asking, a slope by its window."""

LEAST_TOLERANCE = 1e-12


@dataclass(slots=True)
class Watch:
    """A condition other than on voltage, and what was measured of it last."""

    measure: Measure
    rising: bool
    value: float
    tolerance: float
    before: float | None = None

    def seconds(self, state: State, elapsed_s: float) -> float:
        """Until the next look."""
        now, before = self.measure(state), self.before
        self.before = now
        if now is None or before is None:
            return math.inf
        slope, room = (now - before) / elapsed_s, self.value - now
        if not self.rising:
            slope, room = -slope, -room
        return max(0.5 * room, self.tolerance) / slope if slope > 0.0 and room > 0.0 else math.inf


class Nearing:
    """Knows the present step's ends: `begin` with its first sample, then `seconds` after each one."""

    def __init__(self, program: Program, limits: Limits, period_s: float) -> None:
        self._program = program
        self._limits = limits
        self._period_s = period_s
        self._upper_V, self._lower_V = math.inf, -math.inf
        self._watches: tuple[Watch, ...] = ()
        self._time = 0.0
        self._voltage_V = 0.0
        self._slope_V_s = 0.0

    def begin(self, state: State, sample: Sample) -> None:
        """Begin a step, or go on in one that has just been given another set point."""
        plan = plan_of(self._program, state)
        self._upper_V, self._lower_V = self._voltages(plan.step, sample)
        self._watches = tuple(
            Watch(test.measure, condition.rising, condition.value, tolerance)
            for planned in plan.ends
            for condition, test in zip(planned.end.conditions, planned.tests, strict=True)
            if (tolerance := _tolerance(condition)) is not None
        )
        self._time, self._voltage_V, self._slope_V_s = sample.time, sample.voltage_V, 0.0

    def seconds(self, state: State, sample: Sample) -> float:
        """Until the next look, by what the cell did since the last one."""
        elapsed_s, voltage_V = sample.time - self._time, sample.voltage_V
        if elapsed_s <= 0.0:  # the first look
            return FIRST_S if self._period_s > FIRST_S else self._period_s
        slope = (voltage_V - self._voltage_V) / elapsed_s
        steepening = slope + slope - self._slope_V_s  # the slope ahead, where it goes on to change as it did
        self._time, self._voltage_V, self._slope_V_s = sample.time, voltage_V, slope
        soonest = self._period_s
        if slope > 0.0:
            room = self._upper_V - voltage_V
        else:
            room, slope, steepening = voltage_V - self._lower_V, -slope, -steepening
        if steepening > slope:
            slope = steepening
        if 0.0 < room < 2.0 * slope * soonest:
            soonest = max(0.5 * room, VOLTAGE_TOLERANCE_V) / slope
        for watch in self._watches:
            soonest = min(soonest, watch.seconds(state, elapsed_s))
        return soonest

    def _voltages(self, step: Step, sample: Sample) -> tuple[float, float]:
        """Above and below the present voltage, the next one at which something happens."""
        voltages = [*_voltages_of(step), self._limits.voltage_max_V, self._limits.voltage_min_V]
        upper = min((v for v in voltages if v > sample.voltage_V), default=math.inf)
        return upper, max((v for v in voltages if v < sample.voltage_V), default=-math.inf)


def _voltages_of(step: Step) -> Iterator[float]:
    if step.hold_V is not None:
        yield step.hold_V
    for end in step.ends:
        yield from (c.value for c in end.conditions if c.quantity is Quantity.VOLTAGE)


def _tolerance(condition: Condition) -> float | None:
    """None for what no two samples show coming."""
    quantity = condition.quantity
    if quantity in SHARES:
        return max(LEAST_TOLERANCE, SHARES[quantity] * abs(condition.value))
    return TOLERANCES.get(quantity)
