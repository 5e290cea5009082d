"""From step to step: what is passed between them, and where the ends lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from protocols.program import CycleCount, Marker, Only, Program, Repeat, Step, Then
from station.commands import Finish, OpenCircuit, Trip
from station.readings import StepSummary
from station.sequencer.conditions import first_met
from station.sequencer.markers import event, with_triggers
from station.sequencer.plan import Plans, plan_of, plans_of
from station.sequencer.recording import flush, observe_anew
from station.sequencer.setpoints import CannotBeSet, drive, drive_all, settle
from station.sequencer.state import CycleCharge, Outcome, Phase, State

_T = TypeVar("_T")

MOST_OPERATIONS = 100_000
"""That may be passed without entering a step; a program that passes more does nothing."""


def current_step(program: Program, state: State) -> Step:
    """The present step, or the last one where the run stands between two; before the first one, that."""
    operation = program.operations[state.operation] if state.operation >= 0 else program.steps()[0]
    assert isinstance(operation, Step)
    return operation


# --- leaving a step; the states that come in here are the caller's own copies


def leave(program: Program, state: State, time: float, reason: str, then: int | Then | None = None) -> Outcome:
    """End the present step and go where its end leads."""
    readings = flush(plan_of(program, state), state)
    summary = summarised(program, state, time, reason)
    _count_charge(program, state)
    match then:
        case None:
            after = go_on(program, state, state.operation + 1, time)
        case Then():
            after = finish(program, state, time)
        case index:
            after = go_on(program, state, _jumped(program, state, index), time)
    return replace(after, readings=readings, steps=(summary,))


def summarised(program: Program, state: State, time: float, reason: str) -> StepSummary:
    step = current_step(program, state)
    return StepSummary(
        step=state.step,
        step_name=step.name,
        kind=step.kind,
        cycle=state.cycle,
        start_time=state.step_start_time,
        end_time=time,
        capacity_Ah=state.step_capacity_Ah,
        energy_Wh=state.step_energy_Wh,
        end_reason=reason,
    )


def _count_charge(program: Program, state: State) -> None:
    """Towards the half-cycle that the step belongs to, and for the rates that refer to it."""
    first, second = state.cycle_charge
    if state.direction and state.direction == state.first_direction:
        state.cycle_charge = CycleCharge(first + state.direction * state.step_capacity_Ah, second)
    elif state.direction:
        state.cycle_charge = CycleCharge(first, second + state.direction * state.step_capacity_Ah)
    if state.operation in program.measured_steps:
        slot = program.measured_steps.index(state.operation)
        state.measured_Ah = _with(state.measured_Ah, slot, abs(state.step_capacity_Ah))


def finish(program: Program, state: State, time: float, passed: Sequence[Marker] = ()) -> Outcome:
    state.phase = Phase.FINISHED
    return _marked(program, Outcome(state, (OpenCircuit(), Finish())), time, passed)


def trip(program: Program, state: State, time: float, reason: str, passed: Sequence[Marker] = ()) -> Outcome:
    """Pause with the circuit open until a person has looked."""
    state.phase = Phase.PAUSED
    state.paused_at = time
    return _marked(program, Outcome(state, (OpenCircuit(), Trip(reason))), time, passed)


# --- between two steps


def go_on(program: Program, state: State, index: int, time: float) -> Outcome:
    """Pass the operations from `index` on as far as the next step, the end of the run or a trip."""
    plans = plans_of(program)
    state.goes_on_at = None
    passed: list[Marker] = []
    for _ in range(MOST_OPERATIONS):
        if index == len(program.operations):
            return finish(program, state, time, passed)
        match program.operations[index]:
            case Step():
                return _enter(program, state, index, time, passed)
            case Marker() as marker:
                passed.append(marker)
                index += 1
            case Only() as only:
                index = index + 1 if only.allows(_number(plans, state, only)) else only.past
            case Repeat() as repeat:
                end = first_met(plans.loops[index].ends, state)
                if end is None:
                    index = _next_pass(plans, state, repeat, index)
                elif end.then is Then.FINISH:
                    return finish(program, state, time, passed)
                elif end.then is Then.TRIP:
                    state.goes_on_at = _jumped(program, state, index + 1)
                    return trip(program, state, time, f"at the end of the loop: {end}", passed)
                else:
                    index = _jumped(program, state, index + 1 if end.then is None else end.then)
    state.goes_on_at = index
    reason = f"{MOST_OPERATIONS} operations were passed without a step to carry out: these loops do nothing"
    return trip(program, state, time, reason)


def _number(plans: Plans, state: State, only: Only) -> int:
    return state.cycle if only.loop is None else state.passes[plans.loops[only.loop].number] + 1


def _next_pass(plans: Plans, state: State, repeat: Repeat, index: int) -> int:
    loop = plans.loops[index].number
    passes = state.passes[loop] + 1
    is_over = passes >= repeat.count
    state.passes = _with(state.passes, loop, 0 if is_over else passes)  # 0: for the next pass of a loop around
    return index + 1 if is_over else repeat.start


def _jumped(program: Program, state: State, target: int) -> int:
    """The target, with the passes of the loops that it is not inside of begun anew."""
    loops = plans_of(program).loops.values()
    state.passes = tuple(
        passes if target in loop.operations else 0 for passes, loop in zip(state.passes, loops, strict=True)
    )
    return target


def _enter(program: Program, state: State, index: int, time: float, passed: Sequence[Marker]) -> Outcome:
    step = program.operations[index]
    assert isinstance(step, Step)
    _count_cycle(program, state, step)
    plan = plans_of(program).steps[index]
    state.operation = index
    state.step += 1
    state.step_start_time = time
    state.step_time_s = state.step_capacity_Ah = state.step_energy_Wh = state.missed_Ah = 0.0
    state.sampled = state.pending = state.record_next = state.holding = False
    state.recorded = None
    state.furthest_V = state.dropped_V = state.first_pressure_Pa = None
    state.set_A = state.set_V = state.origin_V = None
    state.stair = 0
    state.stair_began_s = state.delay_s = 0.0
    observe_anew(plan, state)
    return _marked(program, driven(program, state, time, anew=True), time, passed)


def driven(program: Program, state: State, time: float, *, anew: bool) -> Outcome:
    """Bring the set point up to the moment; command it where it changed, or `anew` whether it did or not."""
    plan = plan_of(program, state)
    try:
        changed = settle(program, plan, state)
    except CannotBeSet as why:
        readings = flush(plan, state)
        return replace(trip(program, state, time, f"step {plan.step.name}: {why}"), readings=readings)
    if anew:
        return Outcome(state, drive_all(program, state))
    return Outcome(state, (drive(program, state),) if changed else ())


def _count_cycle(program: Program, state: State, step: Step) -> None:
    count = CycleCount(state.cycle, state.first_direction, state.direction).entering(step.kind)
    if count.cycle > state.cycle:
        state.last_cycle, state.cycle_charge = state.cycle_charge, CycleCharge()
        if state.cycle in program.reference_cycles:
            slot = program.reference_cycles.index(state.cycle)
            state.references_Ah = _with(state.references_Ah, slot, state.last_cycle.second)
    state.cycle = count.cycle
    state.first_direction = count.first_direction
    state.direction = count.direction


def _marked(program: Program, outcome: Outcome, time: float, passed: Sequence[Marker]) -> Outcome:
    """With the markers that led there: of the step that now begins, or of the last one where none does."""
    if not passed:
        return outcome
    name = current_step(program, outcome.state).name if outcome.state.step else ""
    events = tuple(event(program, outcome.state, marker, time, name) for marker in passed)
    return replace(outcome, commands=with_triggers(outcome.commands, events), markers=events)


def _with(values: tuple[_T, ...], index: int, value: _T) -> tuple[_T, ...]:
    return (*values[:index], value, *values[index + 1 :])
