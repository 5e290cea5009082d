"""From what a cycler shows of its procedure to readings. Pure, as the sequencer: state and look in, rows out.

The cycler keeps its records to itself; here a run is made of looks at it. Charge is the cycler's own count as it
changes within a step, and the trapezoid of the current where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from drivers.interface import Activity, ProcedureStatus
from protocols.program import CycleCount, Kind, RecordRule
from station.readings import Reading, StepSummary
from station.sequencer import Sample

KINDS = {Activity.CHARGE: Kind.CHARGE, Activity.DISCHARGE: Kind.DISCHARGE, Activity.REST: Kind.REST}
SIGNS = {Activity.CHARGE: 1.0, Activity.DISCHARGE: -1.0}
LONGEST_TRAPEZOID_S = 60.0
"""Between looks further apart, the current says nothing of the charge that was passed."""


@dataclass(frozen=True, slots=True)
class LookState:
    """How far the procedure was followed."""

    label: str  # that the test was started under
    start_time: float
    begun: bool = False  # the cycler was seen running it
    sequence: int = 0  # of the last reading that was recorded
    cycle: int = 1
    first_direction: int = 0
    direction: int = 0
    step: int = 0
    step_start_time: float = 0.0
    shown: tuple[str, str] = ("", "")  # the step and the activity, as the cycler showed them last
    shown_step_time_s: float = 0.0
    counted_Ah: float | None = None
    last: Reading | None = None  # the last look
    recorded: Reading | None = None  # the last look that was recorded


_STATE = TypeAdapter(LookState)


def dump(state: LookState) -> str:
    return _STATE.dump_json(state).decode()


def load(text: str) -> LookState:
    return _STATE.validate_json(text)


@dataclass(frozen=True, slots=True)
class Looked:
    state: LookState
    readings: tuple[Reading, ...] = ()
    steps: tuple[StepSummary, ...] = ()
    uncounted_s: float = 0.0  # a gap in which charge was passed that nobody counted


def look(state: LookState, rule: RecordRule, status: ProcedureStatus, sample: Sample) -> Looked:
    """Take up what the cycler shows of the running test; `sample` has the surroundings too."""
    shown = (status.step, status.activity.value)
    same_step = state.last is not None and shown == state.shown and status.step_time_s >= state.shown_step_time_s
    passed_Ah, uncounted_s = _passed(state, status, sample, same_step)
    done: tuple[Reading, ...] = ()
    steps: tuple[StepSummary, ...] = ()
    if not same_step:
        state, done, steps = _enter(state, status, sample)
    reading = _reading(state, status, sample, passed_Ah, same_step)
    state = replace(
        state,
        begun=True,
        shown=shown,
        shown_step_time_s=status.step_time_s,
        counted_Ah=status.counted_Ah,
        last=reading,
    )
    if not _is_due(state.recorded, rule, reading, same_step):
        return Looked(state, done, steps, uncounted_s)
    state, recorded = _recorded(state, reading)
    return Looked(state, (*done, recorded), steps, uncounted_s)


def ended(state: LookState, reason: str) -> Looked:
    """The test is over: its last look is recorded, and its last step summed up."""
    if state.last is None:
        return Looked(state)
    state, readings = _with_last(state)
    return Looked(state, readings, (_summary(state, reason),))


# --- charge


def _passed(state: LookState, status: ProcedureStatus, sample: Sample, same_step: bool) -> tuple[float, float]:
    """Charge in Ah, positive on charge, since the last look; and the length of a gap in which it is not known."""
    last = state.last
    if last is None:
        return 0.0, 0.0
    if same_step and status.counted_Ah is not None and state.counted_Ah is not None:
        counted_Ah = status.counted_Ah - state.counted_Ah
        if counted_Ah * SIGNS.get(status.activity, 0.0) >= 0.0:  # else it began to count anew
            return counted_Ah, 0.0
    gap_s = sample.time - last.time
    if gap_s > LONGEST_TRAPEZOID_S and (last.current_A or sample.current_A):
        return 0.0, gap_s
    return 0.5 * ((last.current_A or 0.0) + sample.current_A) * gap_s / 3600, 0.0


# --- steps


def _enter(
    state: LookState, status: ProcedureStatus, sample: Sample
) -> tuple[LookState, tuple[Reading, ...], tuple[StepSummary, ...]]:
    done: tuple[Reading, ...] = ()
    steps: tuple[StepSummary, ...] = ()
    if state.last is not None:
        state, done = _with_last(state)
        steps = (_summary(state, "ended by the cycler"),)
    kind = KINDS.get(status.activity, Kind.PROCEDURE)
    count = CycleCount(state.cycle, state.first_direction, state.direction).entering(kind)
    began = sample.time - status.step_time_s
    earliest = state.last.time if state.last is not None else state.start_time
    entered = replace(
        state,
        step=state.step + 1,
        step_start_time=min(sample.time, max(earliest, began)),
        cycle=count.cycle,
        first_direction=count.first_direction,
        direction=count.direction,
    )
    return entered, done, steps


def _with_last(state: LookState) -> tuple[LookState, tuple[Reading, ...]]:
    """The last look, where it was not recorded: a step's end."""
    if state.last is None or (state.recorded is not None and state.recorded.time == state.last.time):
        return state, ()
    state, recorded = _recorded(state, state.last)
    return state, (recorded,)


def _recorded(state: LookState, reading: Reading) -> tuple[LookState, Reading]:
    recorded = replace(reading, sequence=state.sequence + 1)
    return replace(state, sequence=recorded.sequence, last=recorded, recorded=recorded), recorded


def _summary(state: LookState, reason: str) -> StepSummary:
    last = state.last
    assert last is not None
    activity = Activity(state.shown[1])
    return StepSummary(
        step=last.step,
        step_name=last.step_name,
        kind=KINDS.get(activity, Kind.PROCEDURE),
        cycle=last.cycle,
        start_time=state.step_start_time,
        end_time=last.time,
        capacity_Ah=last.step_capacity_Ah,
        energy_Wh=last.step_energy_Wh,
        end_reason=reason,
    )


# --- readings


def _reading(state: LookState, status: ProcedureStatus, sample: Sample, passed_Ah: float, same_step: bool) -> Reading:
    last = state.last
    before_V = last.voltage_V if last is not None and last.voltage_V is not None else sample.voltage_V
    passed_Wh = passed_Ah * 0.5 * (before_V + sample.voltage_V)
    so_far = last if same_step else None
    return Reading(
        sequence=0,  # given when it is recorded
        time=sample.time,
        test_time_s=sample.time - state.start_time,
        step=state.step,
        step_name=_step_name(status),
        cycle=state.cycle,
        step_time_s=sample.time - state.step_start_time,
        voltage_V=sample.voltage_V,
        current_A=sample.current_A,
        step_capacity_Ah=(so_far.step_capacity_Ah if so_far else 0.0) + passed_Ah,
        step_energy_Wh=(so_far.step_energy_Wh if so_far else 0.0) + passed_Wh,
        net_capacity_Ah=(last.net_capacity_Ah if last else 0.0) + passed_Ah,
        resistance_ohm=sample.resistance_ohm,
        pressure_Pa=sample.pressure_Pa,
        pressure_U_Pa=sample.pressure_U_Pa,
        calibration=sample.calibration,
        temperature_degC=sample.temperature_degC,
    )


def _step_name(status: ProcedureStatus) -> str:
    """As the cycler says it; where that is a bare number, with what it does."""
    return status.step if not status.step.isdecimal() else f"{status.step} {status.activity.value}"


def _is_due(recorded: Reading | None, rule: RecordRule, reading: Reading, same_step: bool) -> bool:
    if recorded is None or not same_step:
        return True
    every_s = rule.every_s
    if rule.burst_every_s is not None and reading.step_time_s <= rule.burst_s:
        every_s = rule.burst_every_s
    changes = (
        (rule.voltage_V, recorded.voltage_V, reading.voltage_V),
        (rule.current_A, recorded.current_A, reading.current_A),
        (rule.pressure_Pa, recorded.pressure_Pa, reading.pressure_Pa),
        (rule.temperature_K, recorded.temperature_degC, reading.temperature_degC),
    )
    return reading.time - recorded.time >= every_s - 1e-6 or any(
        change is not None and before is not None and now is not None and abs(now - before) >= change
        for change, before, now in changes
    )
