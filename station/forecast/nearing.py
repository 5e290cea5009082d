"""When a forecast looks at its cell next: seldom where nothing happens, often where a step is about to end.

A bench samples each second and meets an end as late as that. In virtual time a sample is dear, so the next one
comes after half the time until the end by the present slope, and after no more than the sampling period; where
less than a tolerance is left, the end itself is the next sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from protocols.limits import Limits
from protocols.program import Condition, Program, Quantity, Step
from station.sequencer import Sample, State

SHORTEST_S = 1e-3
FIRST_S = 1.0
"""From a step's first sample to its second, which gives the first slope."""

VOLTAGE_TOLERANCE_V = 0.5e-3
SHARE_TOLERANCE = 1e-4  # of a charge or an energy
TOLERANCES = {
    Quantity.CURRENT: 1e-8,
    Quantity.VOLTAGE_DROP: VOLTAGE_TOLERANCE_V,
    Quantity.PRESSURE: 50.0,
    Quantity.PRESSURE_CHANGE: 50.0,
    Quantity.TEMPERATURE: 0.02,
}
"""In the quantity's own unit; a current's is above all a share of the value, as a charge's is."""

CURRENT_SHARE = 5e-3


@dataclass(slots=True)
class Watch:
    """A condition other than on voltage, and what was measured of it last."""

    condition: Condition
    measure: Callable[[State, Sample], float | None]
    tolerance: float
    before: float | None = None

    def seconds(self, state: State, sample: Sample, elapsed_s: float) -> float:
        """Until the next look."""
        now, before = self.measure(state, sample), self.before
        self.before = now
        if now is None or before is None or elapsed_s <= 0.0:
            return math.inf
        up = 1.0 if self.condition.rising else -1.0
        slope, room = up * (now - before) / elapsed_s, up * (self.condition.value - now)
        return max(0.5 * room, self.tolerance) / slope if slope > 0.0 and room > 0.0 else math.inf


class Nearing:
    """Knows the present step's ends; `begin` with its first sample, then `seconds` after each one."""

    def __init__(self, program: Program, limits: Limits, period_s: float) -> None:
        self._program = program
        self._limits = limits
        self._period_s = period_s
        self._upper_V, self._lower_V = math.inf, -math.inf
        self._watches: tuple[Watch, ...] = ()
        self._time = 0.0
        self._voltage_V = 0.0
        self._slope_V_s = 0.0

    def begin(self, step: Step, sample: Sample) -> float:
        """Seconds until the second look at a step, or at one that has just been given another set point."""
        targets = [condition for end in step.ends for condition in end.conditions]
        voltages = [c for c in targets if c.quantity is Quantity.VOLTAGE]
        here_V = sample.voltage_V
        beyond = [self._limits.voltage_max_V, *(c.value for c in voltages if c.rising)]
        below = [self._limits.voltage_min_V, *(c.value for c in voltages if not c.rising)]
        if step.hold_V is not None:
            (beyond if sample.current_A > 0 else below).append(step.hold_V)
        self._upper_V = min((v for v in beyond if v > here_V), default=math.inf)
        self._lower_V = max((v for v in below if v < here_V), default=-math.inf)
        self._watches = tuple(filter(None, (self._watch(condition, sample) for condition in targets)))
        self._time, self._voltage_V, self._slope_V_s = sample.time, here_V, 0.0
        return min(FIRST_S, self._period_s)

    def seconds(self, state: State, sample: Sample) -> float:
        """Until the next look; each one is taken after the time that the last one gave."""
        elapsed_s = sample.time - self._time
        if elapsed_s <= 0.0:
            return min(FIRST_S, self._period_s)
        voltage_V = sample.voltage_V
        slope = (voltage_V - self._voltage_V) / elapsed_s
        steepening = slope + slope - self._slope_V_s  # the slope ahead, where it goes on to change as it did
        self._time, self._voltage_V, self._slope_V_s = sample.time, voltage_V, slope
        soonest = self._period_s
        if slope > 0.0:
            room, slope = self._upper_V - voltage_V, max(slope, steepening)
        else:
            room, slope = voltage_V - self._lower_V, max(-slope, -steepening)
        if 0.0 < room < 2.0 * slope * soonest:
            soonest = max(0.5 * room, VOLTAGE_TOLERANCE_V) / slope
        if self._watches:
            soonest = min(soonest, *(watch.seconds(state, sample, elapsed_s) for watch in self._watches))
        return soonest

    def _watch(self, condition: Condition, first: Sample) -> Watch | None:
        """None for what time alone brings, or what no sample shows coming."""
        quantity, value = condition.quantity, abs(condition.value)
        measure = self._measure(quantity, first)
        if measure is None:
            return None
        share = CURRENT_SHARE if quantity is Quantity.CURRENT else SHARE_TOLERANCE
        return Watch(condition, measure, max(TOLERANCES.get(quantity, 0.0), share * value))

    def _measure(self, quantity: Quantity, first: Sample) -> Callable[[State, Sample], float | None] | None:
        match quantity:
            case Quantity.CURRENT:
                return lambda state, sample: abs(sample.current_A)
            case Quantity.CAPACITY:
                return lambda state, sample: abs(state.step_capacity_Ah)
            case Quantity.ENERGY:
                return lambda state, sample: abs(state.step_energy_Wh)
            case Quantity.NET_CAPACITY:
                return lambda state, sample: state.net_capacity_Ah
            case Quantity.PRESSURE:
                return lambda state, sample: sample.pressure_Pa
            case Quantity.TEMPERATURE:
                return lambda state, sample: sample.temperature_degC
            case _:
                return None
