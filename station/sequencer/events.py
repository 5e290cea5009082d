"""What happens to a run, and what follows."""

from __future__ import annotations

import bisect
import math
from dataclasses import replace

from protocols.program import End, Program, Question, SweepPlan, Then
from station.commands import Finish, OpenCircuit
from station.readings import Spectrum
from station.sequencer import recording
from station.sequencer.conditions import GRACE_S, first_met
from station.sequencer.course import current_step, driven, go_on, leave, summarised, trip
from station.sequencer.markers import next_marker_s, passed, with_triggers
from station.sequencer.plan import Plan, plan_of
from station.sequencer.setpoints import done, drive, next_change_s
from station.sequencer.state import Outcome, Phase, Sample, State

RUNNING = Phase.RUNNING  # quicker than asking the enumeration at each sample


def begin(program: Program, time: float) -> Outcome:
    """Start the program's first step."""
    state = State(
        phase=RUNNING,
        operation=-1,
        passes=(0,) * len(program.loops),
        start_time=time,
        step_start_time=time,
        references_Ah=(None,) * len(program.reference_cycles),
        measured_Ah=(None,) * len(program.measured_steps),
    )
    return go_on(program, state, 0, time)


# --- samples


def advance(program: Program, state: State, sample: Sample) -> Outcome:
    """What follows from one sample; nothing from one that is no number, which is safety's to judge."""
    if state.phase is not RUNNING or not recording.is_number(sample):
        return Outcome(state)
    after = state.copied()
    recording.integrate(after, sample)
    return judged(program, state, after)


def judged(program: Program, before: State, state: State) -> Outcome:
    """What follows from the latest sample, which `state` has taken up already and `before` has not."""
    plan = plan_of(program, state)
    if plan.observes:
        recording.observe(plan, state)
    end = first_met(plan.ends, state)
    reason = str(end) if end is not None else done(plan, state) if plan.follows else None
    readings = recording.record(plan, before, state, last=reason is not None)
    markers = passed(program, plan, before, state) if plan.marks else ()
    if reason is not None:
        after = _ended(program, plan, state, end, reason)
    elif plan.changes:
        after = _gone_along(program, plan, state)
    else:
        after = Outcome(state)
    after.commands = with_triggers(after.commands, markers)
    after.readings = readings + after.readings
    after.markers = markers + after.markers
    return after


def _gone_along(program: Program, plan: Plan, state: State) -> Outcome:
    """The set point goes with the time or the voltage, or over to a hold."""
    assert state.latest is not None
    if plan.follows:
        return driven(program, state, state.latest.time, anew=False)
    if not _goes_over(plan, state):
        return Outcome(state)
    state.holding = True
    recording.fit_anew(plan, state)
    return Outcome(state, (drive(program, state),))


def _goes_over(plan: Plan, state: State) -> bool:
    hold_V = plan.step.hold_V
    if hold_V is None or state.holding or state.latest is None:
        return False
    return state.latest.voltage_V >= hold_V if plan.hold_is_above else state.latest.voltage_V <= hold_V


def _ended(program: Program, plan: Plan, state: State, end: End | None, reason: str) -> Outcome:
    assert state.latest is not None
    time = state.latest.time
    if end is not None and end.then is Then.TRIP:
        return trip(program, state, time, f"step {plan.step.name}: {reason}")
    return leave(program, state, time, reason, end.then if end is not None else None)


def record(program: Program, state: State, sample: Sample) -> Outcome:
    """Store this sample whatever the rules say, and nothing more: the last one before a trip."""
    if state.phase is not RUNNING or not recording.is_number(sample):
        return Outcome(state)
    after = state.copied()
    recording.integrate(after, sample)
    return Outcome(after, (), recording.record(plan_of(program, state), state, after, last=True))


def watched(program: Program, state: State, surroundings: Sample) -> Outcome:
    """Record what is around the cell while an impedance instrument has it; voltage and current are not looked at."""
    if state.phase is not RUNNING or not isinstance(current_step(program, state).setpoint, SweepPlan):
        return Outcome(state)
    after = state.copied()
    return Outcome(after, (), recording.record_surroundings(plan_of(program, state), after, surroundings))


# --- what others say


def swept(program: Program, state: State, spectrum: Spectrum, time: float, waited_s: float = 0.0) -> Outcome:
    """The sweep of the present step is done; for `waited_s` before it another channel had the instrument."""
    if state.phase is not RUNNING or not isinstance(current_step(program, state).setpoint, SweepPlan):
        return Outcome(state)
    state = state.copied()
    state.spectra += 1
    numbered = replace(spectrum, number=state.spectra, step=state.step, cycle=state.cycle)
    after = leave(program, state, time, measured_in_words(spectrum, waited_s))
    return replace(after, spectra=(numbered,))


def measured_in_words(spectrum: Spectrum, waited_s: float) -> str:
    """Why an impedance step ended."""
    waited = f" after a wait of {waited_s:.0f} s for the instrument" if waited_s else ""
    return f"{len(spectrum.frequency_Hz)} points measured{waited}"


def confirm(program: Program, state: State, time: float, answer: str = "") -> Outcome:
    """A person answers the question of the present step."""
    if state.phase is not RUNNING or not isinstance(current_step(program, state).setpoint, Question):
        return Outcome(state)
    return leave(program, state.copied(), time, f"confirmed: {answer}" if answer else "confirmed")


def pause(program: Program, state: State, time: float) -> Outcome:
    if state.phase is not RUNNING:
        return Outcome(state)
    state = state.copied()
    readings = recording.flush(plan_of(program, state), state)
    state.phase = Phase.PAUSED
    state.paused_at = time
    return Outcome(state, (OpenCircuit(),), readings)


def resume(program: Program, state: State, time: float) -> Outcome:
    """Go on after a pause, in the same step; the step's clock stood meanwhile."""
    if state.phase is Phase.FINISHED:  # all that is left is to say so
        return Outcome(state, (OpenCircuit(), Finish()))
    if state.phase is not Phase.PAUSED or state.paused_at is None:
        return Outcome(state)
    stood_s = max(0.0, time - state.paused_at)
    state = _awake(state)
    if state.goes_on_at is not None:
        return go_on(program, state, state.goes_on_at, time)
    state.step_start_time += stood_s
    return taken_up(program, state, time)


def skip(program: Program, state: State, time: float, reason: str = "skipped") -> Outcome:
    """End the present step and go on with the next."""
    if state.phase not in (RUNNING, Phase.PAUSED):
        return Outcome(state)
    state = _awake(state)
    if state.goes_on_at is not None:
        return go_on(program, state, state.goes_on_at, time)
    return leave(program, state, time, reason)


def stop(program: Program, state: State, time: float, reason: str) -> Outcome:
    """End the run, with the circuit open."""
    if state.phase not in (RUNNING, Phase.PAUSED):
        return Outcome(state)
    state = state.copied()
    state.phase = Phase.STOPPED
    if state.goes_on_at is not None:  # between two steps
        return Outcome(state, (OpenCircuit(),))
    readings = recording.flush(plan_of(program, state), state)
    return Outcome(state, (OpenCircuit(),), readings, (summarised(program, state, time, reason),))


def taken_up(program: Program, state: State, time: float) -> Outcome:
    """Go on in the present step after an interruption. `state` is the caller's own copy, and running."""
    state.record_next = True
    recording.observe_anew(plan_of(program, state), state)
    return driven(program, state, time, anew=True)


def _awake(state: State) -> State:
    state = state.copied()
    state.phase = RUNNING
    state.paused_at = None
    return state


# --- when the next sample is wanted


def next_due(program: Program, state: State) -> float:
    """When the next sample is wanted at the latest, for something to end, to change, to be recorded or marked."""
    if state.phase is not RUNNING:
        return math.inf
    if state.recorded is None or state.record_next:
        return -math.inf  # at once
    plan = plan_of(program, state)
    due_s = recording.next_record_s(plan, state.recorded)
    if plan.waits:
        due_s = min(due_s, _next_of_step_s(plan, state))
    if program.markers:
        run_s = state.step_start_time - state.start_time
        due_s = min(due_s, next_marker_s(program.markers, run_s + state.step_time_s) - run_s)
    return state.step_start_time + due_s


def _next_of_step_s(plan: Plan, state: State) -> float:
    """By the step's clock."""
    index = bisect.bisect_right(plan.times_s, state.step_time_s + GRACE_S)
    due_s = plan.times_s[index] if index < len(plan.times_s) else math.inf
    if plan.follows:
        due_s = min(due_s, next_change_s(plan, state))
    if plan.observes:
        due_s = min(due_s, recording.next_full_window_s(plan, state))
    if plan.marker_rules:
        due_s = min(due_s, next_marker_s(plan.marker_rules, state.step_time_s))
    for since_s, planned in zip(state.met_since_s, plan.timed_ends, strict=True):
        if since_s is not None:
            due_s = min(due_s, since_s + planned.end.for_s)
    return due_s
