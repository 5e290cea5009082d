"""What can be known of a program's steps before they are run, so that a sample takes little time."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass

from protocols.program import (
    SLOPES,
    ConstantPower,
    ConstantResistance,
    ConstantVoltage,
    CurrentProfile,
    Kind,
    MarkerRule,
    Program,
    Quantity,
    RecordRule,
    Repeat,
    ShortCriteria,
    Step,
    VoltageRamp,
)
from station.sequencer.conditions import PlannedEnd, measure_at_loop_end, measure_in_step, planned_ends
from station.sequencer.state import State

RESTING = (Kind.REST, Kind.TEMPERATURE, Kind.STACK_PRESSURE, Kind.PROMPT)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Of one step."""

    step: Step
    record: RecordRule
    ends: tuple[PlannedEnd, ...]
    slopes: tuple[tuple[Quantity, float], ...]  # with their windows in s
    shorts: tuple[ShortCriteria, ...]  # that are looked for
    timed_ends: tuple[PlannedEnd, ...]  # those that are to be met for a while
    observes: bool  # more than the integrals is kept of each sample
    rests: bool
    follows: bool  # the set point goes with the time or the voltage
    hold_is_above: bool  # of a constant current that goes over to a hold
    changes: bool  # something else is asked of the source as the step goes on
    until_V: float | None  # where a current ends the step or goes over to a hold
    waits: bool  # samples are wanted for more than to be recorded
    times_s: tuple[float, ...]  # when one is wanted, by the step's clock, in order
    marker_rules: tuple[MarkerRule, ...]  # of the step
    marks: bool  # there are rules of step or program


@dataclass(frozen=True, slots=True, eq=False)
class PlannedLoop:
    number: int  # among the program's loops
    operations: range  # those inside of it, and the one at its end
    ends: tuple[PlannedEnd, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plans:
    """Of a program: by the index of the operation, of a loop the one at its end."""

    steps: dict[int, Plan]
    loops: dict[int, PlannedLoop]


_PLANS: dict[int, Plans] = {}


def plans_of(program: Program) -> Plans:
    """Made once and kept while the program lives; found by its identity, for its hash would go through all of it."""
    found = _PLANS.get(id(program))
    if found is None:
        found = _PLANS[id(program)] = _plans(program)
        weakref.finalize(program, _PLANS.pop, id(program), None).atexit = False
    return found


def plan_of(program: Program, state: State) -> Plan:
    """Of the present step."""
    return plans_of(program).steps[state.operation]


def _plans(program: Program) -> Plans:
    at_loop_end = measure_at_loop_end(program)
    steps: dict[int, Plan] = {}
    loops: dict[int, PlannedLoop] = {}
    for index, operation in enumerate(program.operations):
        if isinstance(operation, Step):
            steps[index] = _plan(program, operation)
        elif isinstance(operation, Repeat):
            ends = planned_ends(operation.ends, at_loop_end, timed=False)
            loops[index] = PlannedLoop(len(loops), range(operation.start, index + 1), ends)
    return Plans(steps, loops)


def _plan(program: Program, step: Step) -> Plan:
    looked_at = [condition for end in step.ends for condition in end.conditions]
    slopes = tuple(dict.fromkeys((c.quantity, c.window_s) for c in looked_at if c.quantity in SLOPES))
    shorts = tuple(dict.fromkeys(c.short for c in looked_at if c.short is not None))
    kept = {Quantity.VOLTAGE_DROP, Quantity.PRESSURE_CHANGE}
    ends = planned_ends(step.ends, measure_in_step(program, slopes, shorts))
    timed_ends = tuple(end for end in ends if end.slot is not None)
    follows = _follows(step)
    times_s = {c.value for c in looked_at if c.quantity is Quantity.TIME}
    times_s |= {rule.at_s for rule in step.markers if rule.at_s is not None}
    return Plan(
        step=step,
        record=step.record or program.record,
        ends=ends,
        slopes=slopes,
        shorts=shorts,
        timed_ends=timed_ends,
        observes=bool(slopes or shorts) or any(c.quantity in kept for c in looked_at),
        rests=step.kind in RESTING,
        follows=follows,
        hold_is_above=step.kind is Kind.CHARGE,
        changes=step.hold_V is not None or follows,
        until_V=_until_V(step),
        waits=bool(follows or times_s or slopes or timed_ends or step.markers),
        times_s=tuple(sorted(times_s)),
        marker_rules=step.markers,
        marks=bool(step.markers or program.markers),
    )


def _follows(step: Step) -> bool:
    match step.setpoint:
        case ConstantPower() | ConstantResistance() | CurrentProfile() | VoltageRamp():
            return True
        case ConstantVoltage(above_rest=above_rest):
            return above_rest  # until the voltage at the beginning is known
        case _:
            return False


def _until_V(step: Step) -> float | None:
    """The voltage that the source need not go beyond, in the direction of the current."""
    if step.kind not in (Kind.CHARGE, Kind.DISCHARGE):
        return None
    rising = step.kind is Kind.CHARGE
    ends = list(_voltages_that_end(step, rising))
    if step.hold_V is not None:
        ends.append(step.hold_V)
    return (min(ends) if rising else max(ends)) if ends else None


def _voltages_that_end(step: Step, rising: bool) -> Iterator[float]:
    """By themselves and at once."""
    for end in step.ends:
        alone = len(end.conditions) == 1 and not end.for_s
        if alone and end.conditions[0].quantity is Quantity.VOLTAGE and end.conditions[0].rising is rising:
            yield end.conditions[0].value
