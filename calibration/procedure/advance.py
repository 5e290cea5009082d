"""What follows from one sample."""

from __future__ import annotations

from calibration.data import Direction
from calibration.procedure import steps
from calibration.procedure.plan import Kind, Plan
from calibration.procedure.press import pressed
from calibration.procedure.state import (
    Command,
    Progress,
    Reading,
    Sample,
    Say,
    State,
    Unload,
    read,
)
from calibration.procedure.words import newtons, span

LONGEST_UNSEEN_S = 600.0
"""A load that nobody watched for longer is not taken for the same load, though the force be the same."""
Outcome = tuple[State, tuple[Command, ...]]


def begin(plan: Plan, time: float) -> State:
    return State(todo=plan.steps(), progress=Progress(since=time), last=Reading(time=time))


def take_up(plan: Plan, state: State, time: float) -> State:
    """After the station was away: with the next reading it turns out how the calibration goes on."""
    if state.over:
        return state
    if state.paused is not None:
        return state.but(paused=state.paused.model_copy(update={"unseen": True, "ended": True}))
    pause = steps.pause(plan, state, state.time, "the station was away")
    pause = pause.model_copy(update={"unseen": True, "ended": True})
    return steps.put_back(state.but(paused=pause, last=Reading(time=max(time, state.time))))


def advance(plan: Plan, state: State, sample: Sample) -> Outcome:
    """The next state, and what is to be done. A sample of another time than rising is taken for the present's."""
    reading = read(sample, state.time)
    state = _watched(plan, state, reading)
    if state.over or state.step is None:
        return state, ()
    state, alarm = _overload(plan, state, reading)
    if state.paused is not None:
        if not state.paused.ended or reading.force_N is None:
            return state, alarm
        state, said = _gone_on(plan, state, reading.force_N)
        alarm = (*alarm, *said)
    state, asked = pressed(plan, state)
    before = len(state.todo), state.done
    state, said = steps.worked(plan, state, reading)
    follow: tuple[Command, ...] = ()
    if (len(state.todo), state.done) != before:
        state, follow = pressed(plan, state)
    return state, (*alarm, *asked, *said, *follow)


# --- what is watched whatever the step


def _watched(plan: Plan, state: State, reading: Reading) -> State:
    """The state with the reading as its last, how long the sensor has been loaded, and how far the branch went."""
    force, before = reading.force_N, state.last.force_N
    state = state.but(last=reading)
    if force is None:
        return state
    loaded = (state.loaded or reading.time) if force > plan.unloaded_N else None
    farthest = _farthest(state, force, before)
    pause = state.paused
    if pause is not None and not pause.ended and not pause.allows(force):
        pause = pause.model_copy(update={"disturbed": True})
    return state.but(loaded=loaded, farthest_N=farthest, paused=pause)


def _farthest(state: State, force: float, before: float | None) -> float | None:
    """Of this branch; two readings in a row have to say so."""
    step = state.step
    if step is None or step.kind is not Kind.POINT or before is None:
        return None if step is None or step.kind is not Kind.POINT else state.farthest_N
    if step.direction is Direction.UP:
        both = min(force, before)
        return both if state.farthest_N is None else max(state.farthest_N, both)
    both = max(force, before)
    return both if state.farthest_N is None else min(state.farthest_N, both)


def _overload(plan: Plan, state: State, reading: Reading) -> Outcome:
    """Too much force: said loudly; a press is unloaded, and goes on only when a person says so."""
    force = reading.force_N
    known = force is not None and bool(state.zeros)  # before the first zero, what stands on the load cell counts too
    too_much = reading.overload or (known and force is not None and force > plan.limit_N)
    if not too_much:
        ended = state.overloaded and force is not None
        return (state.but(overloaded=False) if ended else state), ()
    if state.overloaded:
        return state, ()
    said = "overload of the load cell" if reading.overload or force is None else newtons(force)
    text = f"too much force: {said}, where {newtons(plan.limit_N)} is the most"
    state = state.but(overloaded=True).noted(text)
    state = steps.put_back(state)
    state = state.progressed(notes=(*state.progress.notes, text))
    if not plan.driven:
        return state, (Say(text, warning=True),)
    pause = state.paused or steps.pause(plan, state, state.time, text)
    pause = pause.model_copy(update={"disturbed": True, "ended": False, "why": text})
    return state.but(paused=pause), (Unload(), Say(f"{text}; the press is unloaded", warning=True))


def _gone_on(plan: Plan, state: State, force: float) -> Outcome:
    """After a pause: on with the step where the sensor stayed as it was, or with the series from its beginning."""
    pause = state.paused
    assert pause is not None
    for_s = state.time - pause.since
    state = state.but(paused=None)
    seen = not pause.unseen or for_s <= LONGEST_UNSEEN_S
    if pause.allows(force) and seen and not pause.disturbed:
        note = (f"after a pause of {span(for_s)} under load",) if state.loaded is not None else ()
        return state.progressed(since=state.time, asked_N=None, notes=(*state.progress.notes, *note)), ()
    if not steps.has_history(state):
        return steps.anew(state), ()
    return steps.broken(plan, state, pause.why)
