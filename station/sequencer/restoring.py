"""Going on after the station died: what the source has done meanwhile, and what flowed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from protocols.program import (
    ConstantPower,
    ConstantResistance,
    CurrentProfile,
    Program,
    Step,
    SweepPlan,
    Then,
    VoltageRamp,
)
from station.commands import Command, Finish, HoldCurrent, HoldVoltage, MeasureImpedance, OpenCircuit, Rest
from station.sequencer.course import current_step, leave
from station.sequencer.events import judged, taken_up
from station.sequencer.markers import with_triggers
from station.sequencer.plan import plan_of
from station.sequencer.recording import flush, integrate_mean, observe_anew, since_latest_s
from station.sequencer.setpoints import currents_around, drive, drive_all
from station.sequencer.state import Outcome, Phase, Sample, State

MOST_STEPS_UNSEEN = 3  # that may end within the time of a commit
MOMENT_S = 5.0  # in which a set point may have gone on since the last commit
HELD_WITHIN_V = 5e-3
NO_CURRENT_A = 1e-7
CLAMPED_SHARE = 1.02  # a clamped current is less than its set point, and its measurement a little off
FOLLOWING_SHARE = 1.25  # the same for a current that goes with the voltage


def restore(program: Program, state: State, sample: Sample, output_is_on: bool) -> Outcome:
    """Go on after the station died and came back; `sample` was taken before anything was changed.

    The state may be older than what the source was last told, by less than a commit takes: a current that is
    not the step's but a later one's says that the step had ended. Where the source stayed on, its current
    flowed all the while, and the integral bridges the gap. Where it was found off, no charge is counted for
    the gap and the step's clock stood.
    """
    if state.phase is Phase.FINISHED:  # it died before anyone was told
        return Outcome(state, (OpenCircuit(), Finish()))
    if state.phase is not Phase.RUNNING:
        return Outcome(state, (OpenCircuit(),))
    if not output_is_on or _waits_for_sweep(program, state, sample):
        return _unbridged(program, state, sample)
    if _is_done(program, state, sample):
        return _bridged(program, state, sample)
    if state.previous is None:
        return _not_begun(program, state, sample)
    return _further_on(program, state, sample) or _unbridged(program, state, sample)


def before_gap_A(program: Program, state: State, sample: Sample) -> float:
    """The current at the beginning of a gap, as far as it is known: the last one seen, or what the step begins with."""
    if state.previous is not None:
        return state.previous.current_A
    command = drive(program, state)
    return command.current_A if isinstance(command, HoldCurrent) else sample.current_A


def mean_over_gap_A(before_A: float, now_A: float) -> float:
    """Of a current that was constant, or decayed exponentially as in a hold.

    Where nothing is left of it, or it has turned round, the source was changed just after `before_A` was seen.
    """
    if before_A * now_A <= 0 or abs(now_A) < 1e-3 * abs(before_A):
        return now_A
    ratio = now_A / before_A
    return before_A if abs(ratio - 1) < 1e-6 else (now_A - before_A) / math.log(ratio)


# --- what the source does


def _is_done(program: Program, state: State, sample: Sample) -> bool:
    """Whether the source, which is on, does what the present step wants or wanted a moment ago.

    Of a current, it may have come to the clamp beyond the step's end.
    """
    setpoint = plan_of(program, state).step.setpoint
    if isinstance(setpoint, CurrentProfile):
        currents_A = currents_around(setpoint, state, MOMENT_S)
        return any(_flows(current_A, sample, CLAMPED_SHARE) for current_A in currents_A)
    match drive(program, state):
        case Rest():
            return _flows(0.0, sample, CLAMPED_SHARE)
        case HoldCurrent(current_A):
            follows = isinstance(setpoint, ConstantPower | ConstantResistance)
            return _flows(current_A, sample, FOLLOWING_SHARE if follows else CLAMPED_SHARE)
        case HoldVoltage(voltage_V):
            further_V = 0.0
            if isinstance(setpoint, VoltageRamp):
                further_V = setpoint.stair_V + setpoint.rate_V_s * MOMENT_S
            return abs(sample.voltage_V - voltage_V) < HELD_WITHIN_V + further_V
        case _:
            return False


def _waits_for_sweep(program: Program, state: State, sample: Sample) -> bool:
    """At rest before its turn at the instrument: a rest that comes after the sweep looks the same, and waits for it."""
    is_sweep = isinstance(plan_of(program, state).step.setpoint, SweepPlan)
    return is_sweep and _flows(0.0, sample, CLAMPED_SHARE)


def _flows(current_A: float, sample: Sample, most: float) -> bool:
    if not current_A:
        return abs(sample.current_A) < NO_CURRENT_A
    return abs(sample.current_A) > NO_CURRENT_A and 0.0 < sample.current_A / current_A <= most


# --- where the run stands then


def _bridged(program: Program, state: State, sample: Sample) -> Outcome:
    """The source did the step's will all the while; where no sample of the step was kept, since it began."""
    began = replace(sample, time=state.step_start_time, current_A=before_gap_A(program, state, sample))
    before = state.previous or began
    current_A = mean_over_gap_A(before.current_A, sample.current_A)
    after = state.copied()
    # A ramp or a profile had stopped where it was: it does not leap over what it missed.
    if isinstance(plan_of(program, state).step.setpoint, VoltageRamp | CurrentProfile):
        after.delay_s += max(0.0, since_latest_s(state, sample))
    integrate_mean(after, sample, current_A, 0.5 * (before.voltage_V + sample.voltage_V) * current_A)
    after.record_next = True
    observe_anew(plan_of(program, state), after)
    outcome = judged(program, state, after)
    if after.phase is not Phase.RUNNING or after.step != state.step:
        return outcome
    after.missed_Ah = state.missed_Ah  # what the rows lack of an estimated charge, no other row would bring
    return replace(outcome, commands=with_triggers(drive_all(program, after), outcome.markers))


def _not_begun(program: Program, state: State, sample: Sample) -> Outcome:
    """The source was not told of this step yet: the step before went on, and only the sums count its charge."""
    state = state.copied()
    hours = max(0.0, sample.time - state.step_start_time) / 3600.0
    state.net_capacity_Ah += sample.current_A * hours
    state.total_capacity_Ah += abs(sample.current_A) * hours
    state.step_start_time = max(state.step_start_time, sample.time)
    return taken_up(program, state, sample.time)


def _further_on(program: Program, state: State, sample: Sample) -> Outcome | None:
    """In one of the next steps, where the source does what that one wants; a sweep is never passed over."""
    ended = state.step_start_time + state.step_time_s
    courses = [Outcome(state)]
    for _ in range(MOST_STEPS_UNSEEN):
        courses = [
            _joined(gone, leave(program, gone.state.copied(), ended, "ended unseen", then))
            for gone in courses
            for then in _ways(current_step(program, gone.state))
        ]
        courses = [gone for gone in courses if gone.state.phase is Phase.RUNNING and not _is_sweep(gone.commands[0])]
        for gone in courses:
            if _is_done(program, gone.state, sample):
                return _joined(gone, _bridged(program, gone.state, sample))
    return None


def _ways(step: Step) -> Iterable[int | Then | None]:
    """Where the step may have led, by its ends or by itself."""
    return dict.fromkeys([*(end.then for end in step.ends if end.then is not Then.TRIP), None])


def _is_sweep(command: Command) -> bool:
    return isinstance(command, MeasureImpedance)


def _joined(first: Outcome, then: Outcome) -> Outcome:
    """What came of both; only the last commands count."""
    return replace(
        then,
        readings=first.readings + then.readings,
        steps=first.steps + then.steps,
        markers=first.markers + then.markers,
    )


def _unbridged(program: Program, state: State, sample: Sample) -> Outcome:
    plan = plan_of(program, state)
    state = state.copied()
    if not plan.rests:  # a rest goes on by itself, whoever watches
        state.step_start_time = max(state.step_start_time, sample.time - state.step_time_s)
    readings = flush(plan, state)
    return replace(taken_up(program, state, sample.time), readings=readings)
