"""The sequencer: what follows from one sample. Pure: no I/O, no clock, no sleep.

Given the program, the state, and something that happened (a sample, a finished sweep, a person's command),
each function returns an `Outcome`: the new state, the commands to carry out, and what to store. The same
code runs the bench, a forecast in virtual time, every property test, and the resume after a crash.

Charge is integrated by the trapezoid rule over all samples of a step, from its first sample on, by the step's
own clock, which stands in a pause. Samples are recorded by time and by change of voltage or pressure, and
whenever the recorded ones alone would miss more than `CHARGE_TOLERANCE` of the step's charge; so a trapezoid
over the stored rows, by `step_time_s`, gives the stored charge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import TypeAdapter

from protocols.program import (
    Condition,
    ConstantCurrent,
    ConstantVoltage,
    CycleCount,
    Kind,
    Only,
    Program,
    Quantity,
    RecordRule,
    Repeat,
    Step,
    SweepPlan,
)
from station.commands import Command, Finish, HoldCurrent, HoldVoltage, MeasureImpedance, OpenCircuit, Rest
from station.readings import Reading, Spectrum, StepSummary

CHARGE_TOLERANCE = 2e-4
MOST_STEPS_UNSEEN = 3  # that may end within the time of a commit
HELD_WITHIN_V = 5e-3
NO_CURRENT_A = 1e-7


@dataclass(frozen=True, slots=True)
class Sample:
    """What a channel knows at one moment; `time` in s since the Unix epoch."""

    time: float
    voltage_V: float
    current_A: float
    resistance_ohm: float | None = None
    pressure_Pa: float | None = None
    pressure_U_Pa: float | None = None
    calibration: str | None = None
    temperature_degC: float | None = None


# --- state


class Phase(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Mark:
    """The last recorded sample, as far as the next decision to record needs it."""

    time: float
    step_time_s: float
    voltage_V: float
    current_A: float
    pressure_Pa: float | None
    step_capacity_Ah: float


@dataclass(frozen=True, slots=True)
class State:
    """Where a run stands. Written with every commit, so that a run goes on where it was."""

    phase: Phase
    operation: int  # index of the present step among the program's operations
    passes: tuple[int, ...]  # finished passes of each loop, in the order of `Program.loops`
    start_time: float
    step_start_time: float  # moved on by pauses
    step: int = 0
    cycle: int = 1
    first_direction: int = 0  # +1 or -1 once the run has driven the cell
    direction: int = 0
    holding: bool = False
    step_capacity_Ah: float = 0.0
    step_energy_Wh: float = 0.0
    net_capacity_Ah: float = 0.0
    previous: Sample | None = None  # last sample of the step, with which the integral goes on
    previous_step_time_s: float = 0.0  # when that was, by the step's clock
    recorded: Mark | None = None
    pending: Reading | None = None  # last sample, where it was not recorded
    missed_Ah: float = 0.0  # what a trapezoid over the recorded samples lacks so far
    sequence: int = 0
    spectra: int = 0
    paused_at: float | None = None


_STATE = TypeAdapter(State)


def dump(state: State) -> str:
    return _STATE.dump_json(state).decode()


def load(text: str) -> State:
    return _STATE.validate_json(text)


@dataclass(frozen=True, slots=True)
class Outcome:
    state: State
    commands: tuple[Command, ...] = ()
    readings: tuple[Reading, ...] = ()
    steps: tuple[StepSummary, ...] = ()
    spectra: tuple[Spectrum, ...] = ()


# --- what happens


def begin(program: Program, time: float) -> Outcome:
    """Start the program's first step."""
    state = State(Phase.RUNNING, -1, (0,) * len(program.loops), start_time=time, step_start_time=time)
    return _enter_next(program, state, time)


def advance(program: Program, state: State, sample: Sample) -> Outcome:
    """What follows from one sample; nothing from one that is no number, which is safety's to judge."""
    if state.phase is not Phase.RUNNING or not _is_number(sample):
        return Outcome(state)
    step = current_step(program, state)
    state = _integrated(state, sample)
    reason = _end(step, state, sample)
    state, readings = _recorded(program, state, step, sample, last=reason is not None)
    if reason is not None:
        after = _leave(program, state, sample.time, reason)
        return replace(after, readings=readings)
    if step.kind in (Kind.CHARGE, Kind.DISCHARGE) and step.hold_V is not None and not state.holding:
        beyond = sample.voltage_V >= step.hold_V if step.kind is Kind.CHARGE else sample.voltage_V <= step.hold_V
        if beyond:
            state = replace(state, holding=True)
            return Outcome(state, (drive(program, state),), readings)
    return Outcome(state, (), readings)


def record(program: Program, state: State, sample: Sample) -> Outcome:
    """Store this sample whatever the rules say, and nothing more: the last one before a trip."""
    if state.phase is not Phase.RUNNING or not _is_number(sample):
        return Outcome(state)
    step = current_step(program, state)
    state, readings = _recorded(program, _integrated(state, sample), step, sample, last=True)
    return Outcome(state, (), readings)


def swept(program: Program, state: State, spectrum: Spectrum, time: float) -> Outcome:
    """The sweep of the present step is done."""
    step = current_step(program, state)
    if state.phase is not Phase.RUNNING or not isinstance(step.setpoint, SweepPlan):
        return Outcome(state)
    number = state.spectra + 1
    numbered = replace(spectrum, number=number, step=state.step, cycle=state.cycle)
    after = _leave(program, replace(state, spectra=number), time, f"{len(spectrum.frequency_Hz)} points measured")
    return replace(after, spectra=(numbered,))


def pause(program: Program, state: State, time: float) -> Outcome:
    if state.phase is not Phase.RUNNING:
        return Outcome(state)
    state, readings = _flushed(state)
    return Outcome(replace(state, phase=Phase.PAUSED, paused_at=time), (OpenCircuit(),), readings)


def resume(program: Program, state: State, time: float) -> Outcome:
    """Go on after a pause, in the same step; the step's clock stood meanwhile."""
    if state.phase is Phase.FINISHED:  # all that is left is to say so
        return Outcome(state, (OpenCircuit(), Finish()))
    if state.phase is not Phase.PAUSED or state.paused_at is None:
        return Outcome(state)
    moved = state.step_start_time + max(0.0, time - state.paused_at)
    state = replace(_overdue(program, state), phase=Phase.RUNNING, paused_at=None, step_start_time=moved)
    return Outcome(state, (drive(program, state),))


def skip(program: Program, state: State, time: float, reason: str = "skipped") -> Outcome:
    """End the present step and go on with the next."""
    if state.phase not in (Phase.RUNNING, Phase.PAUSED):
        return Outcome(state)
    return _leave(program, replace(state, phase=Phase.RUNNING, paused_at=None), time, reason)


def stop(program: Program, state: State, time: float, reason: str) -> Outcome:
    """End the run, with the circuit open."""
    if state.phase not in (Phase.RUNNING, Phase.PAUSED):
        return Outcome(state)
    state, readings = _flushed(state)
    summary = _summary(program, state, time, reason)
    return Outcome(replace(state, phase=Phase.STOPPED), (OpenCircuit(),), readings, (summary,))


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
    if not output_is_on:
        return _unbridged(program, state, sample)
    if _carried_out(drive(program, state), sample):
        return _bridged(program, state, sample)
    if state.previous is None:
        return _not_begun(program, state, sample)
    return _further_on(program, state, sample) or _unbridged(program, state, sample)


def _further_on(program: Program, state: State, sample: Sample) -> Outcome | None:
    """In one of the next steps, where the source does what that one wants; a sweep is never passed over."""
    ended = state.step_start_time + state.previous_step_time_s
    gone = Outcome(state)
    for _ in range(MOST_STEPS_UNSEEN):
        left = _leave(program, gone.state, ended, "ended unseen")
        gone = replace(left, readings=gone.readings + left.readings, steps=gone.steps + left.steps)
        if gone.state.phase is not Phase.RUNNING or isinstance(gone.commands[0], MeasureImpedance):
            return None
        if _carried_out(gone.commands[0], sample):
            after = _bridged(program, gone.state, sample)
            return replace(after, readings=gone.readings + after.readings, steps=gone.steps + after.steps)
    return None


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


def _carried_out(command: Command, sample: Sample) -> bool:
    """Whether a source that is on does what the command says, or has come to the clamp beyond the step's end."""
    match command:
        case Rest():
            return abs(sample.current_A) < NO_CURRENT_A
        case HoldCurrent(current):
            share = sample.current_A / current
            return abs(sample.current_A) > NO_CURRENT_A and 0.0 < share <= 1.02
        case HoldVoltage(voltage):
            return abs(sample.voltage_V - voltage) < HELD_WITHIN_V
        case _:
            return False


def _bridged(program: Program, state: State, sample: Sample) -> Outcome:
    """The source did the step's will all the while; where no sample of the step was kept, since it began."""
    began = replace(sample, time=state.step_start_time, current_A=before_gap_A(program, state, sample))
    outcome = advance(program, _over_gap(_overdue(program, state), state.previous or began, sample), sample)
    after = outcome.state
    if after.step == state.step:  # what the rows lack of an estimated charge, no other row would bring
        after = replace(after, missed_Ah=state.missed_Ah)
    return replace(outcome, state=after, commands=outcome.commands or (drive(program, after),))


def _not_begun(program: Program, state: State, sample: Sample) -> Outcome:
    """The source was not told of this step yet: the step before went on, and only the sum counts its charge."""
    began = replace(sample, time=state.step_start_time)
    gone_on = _over_gap(state, began, sample)
    state = replace(state, net_capacity_Ah=gone_on.net_capacity_Ah, step_start_time=max(began.time, sample.time))
    return Outcome(state, (drive(program, state),))


def _over_gap(state: State, before: Sample, now: Sample) -> State:
    """The integral over a gap in which the source drove the cell and nobody watched."""
    seconds = max(0.0, _since_previous_s(state, now))
    current_A = mean_over_gap_A(before.current_A, now.current_A)
    power_W = 0.5 * (before.voltage_V + now.voltage_V) * current_A
    return _counted(state, now, seconds, current_A, power_W)


def _unbridged(program: Program, state: State, sample: Sample) -> Outcome:
    step = current_step(program, state)
    if step.kind is not Kind.REST:  # a rest goes on by itself, whoever watches
        stood_since = sample.time - state.previous_step_time_s
        state = replace(state, step_start_time=max(state.step_start_time, stood_since))
    state, readings = _flushed(state)
    return Outcome(_overdue(program, state), (drive(program, state),), readings)


# --- what the channel asks


def current_step(program: Program, state: State) -> Step:
    operation = program.operations[state.operation]
    assert isinstance(operation, Step)
    return operation


def drive(program: Program, state: State) -> Command:
    """The command that carries out the present step."""
    step = current_step(program, state)
    match step.setpoint:
        case None:
            return Rest()
        case SweepPlan():
            return MeasureImpedance(step.setpoint)
        case ConstantVoltage(voltage_V, current_max_A):
            return HoldVoltage(voltage_V, current_max_A)
        case ConstantCurrent(current_A):
            if state.holding and step.hold_V is not None:
                return HoldVoltage(step.hold_V, abs(current_A))
            return HoldCurrent(current_A, _until_V(step))
        case _:
            raise NotImplementedError(f"step {step.name}: {step.setpoint} is not carried out yet")


def next_due(program: Program, state: State) -> float:
    """When the next sample is wanted at the latest, for a time to end a step or a reading to be recorded."""
    if state.phase is not Phase.RUNNING:
        return math.inf
    step = current_step(program, state)
    times = [
        condition.value for end in step.ends for condition in end.conditions if condition.quantity is Quantity.TIME
    ]
    record = state.recorded.time + _rule(program, step).every_s if state.recorded else -math.inf
    return min(record, *(state.step_start_time + time_s for time_s in times)) if times else record


def _rule(program: Program, step: Step) -> RecordRule:
    return step.record or program.record


# --- inside a step


def _until_V(step: Step) -> float | None:
    rising = step.kind is Kind.CHARGE
    ends = [
        end.conditions[0].value
        for end in step.ends
        if len(end.conditions) == 1
        and not end.for_s
        and end.conditions[0].quantity is Quantity.VOLTAGE
        and end.conditions[0].rising is rising
    ]
    if step.hold_V is not None:
        ends.append(step.hold_V)
    return (min(ends) if rising else max(ends)) if ends else None


def _is_number(sample: Sample) -> bool:
    return all(map(math.isfinite, (sample.time, sample.voltage_V, sample.current_A)))


def _integrated(state: State, sample: Sample) -> State:
    previous = state.previous
    seconds = _since_previous_s(state, sample)
    if previous is None or seconds <= 0.0:
        return _counted(state, sample, 0.0, 0.0, 0.0)
    current_A = 0.5 * (previous.current_A + sample.current_A)
    power_W = 0.5 * (previous.current_A * previous.voltage_V + sample.current_A * sample.voltage_V)
    return _counted(state, sample, seconds, current_A, power_W)


def _since_previous_s(state: State, sample: Sample) -> float:
    """By the step's clock, which stands in pauses and while the source is off."""
    return sample.time - state.step_start_time - state.previous_step_time_s


def _counted(state: State, sample: Sample, seconds: float, current_A: float, power_W: float) -> State:
    """These flowed in the mean for so long, until `sample`."""
    charge_Ah = current_A * seconds / 3600.0
    return replace(
        state,
        previous=sample,
        previous_step_time_s=sample.time - state.step_start_time,
        step_capacity_Ah=state.step_capacity_Ah + charge_Ah,
        step_energy_Wh=state.step_energy_Wh + power_W * seconds / 3600.0,
        net_capacity_Ah=state.net_capacity_Ah + charge_Ah,
    )


def _end(step: Step, state: State, sample: Sample) -> str | None:
    for end in step.ends:
        if all(_met(condition, step, state, sample) for condition in end.conditions):
            return str(end)
    return None


def _met(condition: Condition, step: Step, state: State, sample: Sample) -> bool:
    match condition.quantity:
        case Quantity.VOLTAGE:
            return condition.met_by(sample.voltage_V)
        case Quantity.CURRENT:
            holds_voltage = step.kind is Kind.HOLD or state.holding
            return holds_voltage and condition.met_by(abs(sample.current_A))
        case Quantity.TIME:
            # A microsecond's grace: the sample was asked for at this very moment.
            return condition.met_by(sample.time - state.step_start_time + 1e-6)
        case Quantity.CAPACITY:
            return condition.met_by(abs(state.step_capacity_Ah))
        case Quantity.PRESSURE:
            return condition.met_by(sample.pressure_Pa)
        case _:
            raise NotImplementedError(f"step {step.name}: {condition} is not looked at yet")


def _recorded(
    program: Program, state: State, step: Step, sample: Sample, *, last: bool
) -> tuple[State, tuple[Reading, ...]]:
    """Record what the rules ask for: the last unrecorded sample, this one, both or none."""
    rows: tuple[Reading, ...] = ()
    reading = _reading(state, step, sample)
    missed = state.missed_Ah + _missed(state.recorded, reading)
    due = last or _due(_rule(program, step), state, sample)
    too_much = abs(missed) > CHARGE_TOLERANCE * abs(state.step_capacity_Ah)
    if too_much and step.kind is not Kind.REST:  # the charge of a rest is noise
        state, rows = _flushed(state)
    if due:
        state, more = _put(state, reading)
        return state, rows + more
    return replace(state, pending=reading), rows


def _due(rule: RecordRule, state: State, sample: Sample) -> bool:
    mark = state.recorded
    if mark is None or sample.time - mark.time >= rule.every_s - 1e-6:
        return True
    if rule.voltage_V is not None and abs(sample.voltage_V - mark.voltage_V) >= rule.voltage_V:
        return True
    if rule.pressure_Pa is None or sample.pressure_Pa is None:
        return False
    return mark.pressure_Pa is None or abs(sample.pressure_Pa - mark.pressure_Pa) >= rule.pressure_Pa


def _overdue(program: Program, state: State) -> State:
    """The next sample is to be recorded, whatever the rule says."""
    mark, rule = state.recorded, _rule(program, current_step(program, state))
    return replace(state, recorded=mark and replace(mark, time=mark.time - rule.every_s))


def _missed(mark: Mark | None, reading: Reading) -> float:
    """What a straight line from the last recorded sample to this one lacks of the charge between them, in Ah."""
    if mark is None:
        return 0.0
    line_Ah = 0.5 * (mark.current_A + reading.current_A) * (reading.step_time_s - mark.step_time_s) / 3600.0
    return reading.step_capacity_Ah - mark.step_capacity_Ah - line_Ah


def _put(state: State, reading: Reading) -> tuple[State, tuple[Reading, ...]]:
    row = replace(reading, sequence=state.sequence + 1)
    mark = Mark(row.time, row.step_time_s, row.voltage_V, row.current_A, row.pressure_Pa, row.step_capacity_Ah)
    missed = state.missed_Ah + _missed(state.recorded, row)
    return replace(state, sequence=row.sequence, recorded=mark, pending=None, missed_Ah=missed), (row,)


def _flushed(state: State) -> tuple[State, tuple[Reading, ...]]:
    return _put(state, state.pending) if state.pending is not None else (state, ())


def _reading(state: State, step: Step, sample: Sample) -> Reading:
    return Reading(
        sequence=0,
        time=sample.time,
        test_time_s=sample.time - state.start_time,
        step=state.step,
        step_name=step.name,
        cycle=state.cycle,
        step_time_s=sample.time - state.step_start_time,
        voltage_V=sample.voltage_V,
        current_A=sample.current_A,
        step_capacity_Ah=state.step_capacity_Ah,
        step_energy_Wh=state.step_energy_Wh,
        net_capacity_Ah=state.net_capacity_Ah,
        resistance_ohm=sample.resistance_ohm,
        pressure_Pa=sample.pressure_Pa,
        pressure_U_Pa=sample.pressure_U_Pa,
        calibration=sample.calibration,
        temperature_degC=sample.temperature_degC,
    )


# --- from step to step


def _leave(program: Program, state: State, time: float, reason: str) -> Outcome:
    state, rows = _flushed(state)
    after = _enter_next(program, state, time)
    return replace(after, readings=rows, steps=(_summary(program, state, time, reason),))


def _summary(program: Program, state: State, time: float, reason: str) -> StepSummary:
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


def _enter_next(program: Program, state: State, time: float) -> Outcome:
    index, passes = state.operation + 1, list(state.passes)
    while index < len(program.operations):
        operation = program.operations[index]
        match operation:
            case Step():
                return _enter(program, replace(state, operation=index, passes=tuple(passes)), operation, time)
            case Repeat():
                index = _jump(program, operation, index, passes)
            case Only(past, loop=loop):
                number = state.cycle if loop is None else passes[program.loops.index(loop)] + 1
                index = index + 1 if operation.allows(number) else past
            case _:
                raise NotImplementedError(f"{operation} is not carried out yet")
    return Outcome(replace(state, phase=Phase.FINISHED, passes=tuple(passes)), (OpenCircuit(), Finish()))


def _jump(program: Program, repeat: Repeat, index: int, passes: list[int]) -> int:
    loop = program.loops.index(index)
    passes[loop] += 1
    if passes[loop] >= repeat.count:
        passes[loop] = 0  # for the next pass of a loop around this one
        return index + 1
    return repeat.start


def _enter(program: Program, state: State, step: Step, time: float) -> Outcome:
    count = CycleCount(state.cycle, state.first_direction, state.direction).entering(step.kind)
    state = replace(
        state,
        step=state.step + 1,
        step_start_time=time,
        cycle=count.cycle,
        first_direction=count.first_direction,
        direction=count.direction,
        holding=False,
        step_capacity_Ah=0.0,
        step_energy_Wh=0.0,
        previous=None,
        previous_step_time_s=0.0,
        recorded=None,
        pending=None,
        missed_Ah=0.0,
    )
    return Outcome(state, (drive(program, state),))
