"""What end conditions look at, and whether they are met."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from protocols.program import SLOPES, Condition, End, Program, Quantity, ShortCriteria
from station.sequencer.state import CycleCharge, State

GRACE_S = 1e-6
"""A sample is asked for at the very moment when something is due; the clock may round it to a little before."""

Measure: TypeAlias = Callable[[State], float | None]
"""A quantity as it stands after the latest sample; None where it is not known, which ends nothing."""


@dataclass(frozen=True, slots=True)
class Comparison:
    measure: Measure
    compare: Callable[[float, float], bool]
    value: float


@dataclass(frozen=True, slots=True)
class PlannedEnd:
    """An end with its conditions made ready to be looked at."""

    end: End
    tests: tuple[Comparison, ...]
    slot: int | None = None  # among the state's `met_since_s`, for one that is to be met for a while

    def is_met(self, state: State) -> bool:
        """At the latest sample."""
        for test in self.tests:
            measured = test.measure(state)
            if measured is None or not test.compare(measured, test.value):
                return False
        return True


def planned_ends(
    ends: Sequence[End], measure: Callable[[Condition], Measure], *, timed: bool = True
) -> tuple[PlannedEnd, ...]:
    """Without `timed`, none of them is to be met for a while."""
    found: list[PlannedEnd] = []
    slots = 0
    for end in ends:
        tests = tuple(Comparison(measure(c), operator.ge if c.rising else operator.le, c.value) for c in end.conditions)
        lasting = timed and end.for_s > 0
        found.append(PlannedEnd(end, tests, slots if lasting else None))
        slots += lasting
    return tuple(found)


def first_met(ends: tuple[PlannedEnd, ...], state: State) -> End | None:
    """The first end in order that is met; of those for a while, all are followed."""
    found = None
    for planned in ends:
        met = planned.is_met(state)
        if planned.slot is not None:
            met = _met_long_enough(planned.end.for_s, planned.slot, met, state)
        if met and found is None:
            found = planned.end
    return found


def _met_long_enough(for_s: float, slot: int, met: bool, state: State) -> bool:
    since_s = state.met_since_s[slot] if met else None
    if met and since_s is None:
        since_s = state.step_time_s
    state.met_since_s = (*state.met_since_s[:slot], since_s, *state.met_since_s[slot + 1 :])
    return since_s is not None and state.step_time_s - since_s >= for_s - GRACE_S


# --- quantities


def measure_in_step(
    program: Program, slopes: tuple[tuple[Quantity, float], ...], shorts: tuple[ShortCriteria, ...]
) -> Callable[[Condition], Measure]:
    """How the conditions of a step's ends are measured; `slopes` and `shorts` as in its plan."""

    def slope(condition: Condition) -> Measure:
        slot = slopes.index((condition.quantity, condition.window_s))
        of_current = SLOPES[condition.quantity] is Quantity.CURRENT

        def measured(state: State) -> float | None:
            known = state.fits[slot].slope
            return abs(known) if known is not None and (not of_current or _holds_voltage(state)) else None

        return measured

    def measure(condition: Condition) -> Measure:
        if condition.quantity in SLOPES:
            return slope(condition)
        if condition.short is not None:
            slot = shorts.index(condition.short)
            return lambda state: float(state.shorts[slot].short is not None)
        return _anywhere(program, condition, last_whole_cycle)

    return measure


def measure_at_loop_end(program: Program) -> Callable[[Condition], Measure]:
    """How the conditions that end a loop are measured; of a step, they look at the last one as it ended."""

    def measure(condition: Condition) -> Measure:
        if condition.quantity in (Quantity.CURRENT, Quantity.SHORT_CIRCUIT) or condition.quantity in SLOPES:
            return lambda state: None  # they mean something while a step goes on
        return _anywhere(program, condition, whole_cycle_by_now)

    return measure


Whole: TypeAlias = Callable[[State], tuple[int, CycleCharge | None]]
"""Number and charge of the last whole cycle."""


def last_whole_cycle(state: State) -> tuple[int, CycleCharge | None]:
    """A cycle is whole when the next one begins."""
    return state.cycle - 1, state.last_cycle


def whole_cycle_by_now(state: State) -> tuple[int, CycleCharge | None]:
    """Between two steps the present cycle is whole once its second half has been driven."""
    if state.direction and state.direction == -state.first_direction:
        return state.cycle, state.cycle_charge
    return last_whole_cycle(state)


def _anywhere(program: Program, condition: Condition, whole: Whole) -> Measure:
    match condition.quantity:
        case Quantity.STATE_OF_CHARGE:
            at_start, capacity_Ah = program.state_of_charge, program.capacity_Ah  # the program is not held alive
            return lambda state: state_of_charge(at_start, capacity_Ah, state.net_capacity_Ah)
        case Quantity.CYCLE:
            return lambda state: whole(state)[0]
        case Quantity.EFFICIENCY:
            return lambda state: _efficiency(whole(state)[1])
        case Quantity.RETENTION:
            slot = program.reference_cycles.index(condition.reference_cycle)
            return lambda state: _retention(whole(state), condition.reference_cycle, state.references_Ah[slot])
        case quantity:
            return _SIMPLE[quantity]


def state_of_charge(at_start: float | None, capacity_Ah: float | None, net_capacity_Ah: float) -> float | None:
    return None if at_start is None or not capacity_Ah else at_start + net_capacity_Ah / capacity_Ah


def _efficiency(charge: CycleCharge | None) -> float | None:
    return charge.second / charge.first if charge is not None and charge.first > 0 else None


def _retention(whole: tuple[int, CycleCharge | None], reference_cycle: int, reference_Ah: float | None) -> float | None:
    number, charge = whole
    if charge is not None and number == reference_cycle:
        reference_Ah = charge.second
    return charge.second / reference_Ah if charge is not None and reference_Ah and reference_Ah > 0 else None


def _voltage_V(state: State) -> float | None:
    return state.latest.voltage_V if state.latest else None


def _current_A(state: State) -> float | None:
    """Only where the voltage is held: on the way there it means nothing."""
    return abs(state.latest.current_A) if state.latest and _holds_voltage(state) else None


def _holds_voltage(state: State) -> bool:
    return state.holding or state.set_V is not None


def _pressure_Pa(state: State) -> float | None:
    return state.latest.pressure_Pa if state.latest else None


def _pressure_change_Pa(state: State) -> float | None:
    now_Pa = _pressure_Pa(state)
    return None if now_Pa is None or state.first_pressure_Pa is None else abs(now_Pa - state.first_pressure_Pa)


_SIMPLE: Mapping[Quantity, Measure] = {
    Quantity.VOLTAGE: _voltage_V,
    Quantity.CURRENT: _current_A,
    Quantity.TIME: lambda state: state.step_time_s + GRACE_S,
    Quantity.CAPACITY: lambda state: abs(state.step_capacity_Ah),
    Quantity.ENERGY: lambda state: abs(state.step_energy_Wh),
    Quantity.TOTAL_CAPACITY: lambda state: state.total_capacity_Ah,
    Quantity.NET_CAPACITY: lambda state: state.net_capacity_Ah,
    Quantity.VOLTAGE_DROP: lambda state: state.dropped_V,
    Quantity.TEMPERATURE: lambda state: state.latest.temperature_degC if state.latest else None,
    Quantity.PRESSURE: _pressure_Pa,
    Quantity.PRESSURE_CHANGE: _pressure_change_Pa,
}
