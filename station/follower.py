"""From a cycler's records to readings. Pure, as the sequencer: state and record in, state and rows out.

The cycler integrates charge itself, within each step; here its steps are strung together to a run. A run may be
several tests of the cycler's, one after the other, with sweeps of the station's between them: the parts of
`station.cycler_parts`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import TypeAdapter

from drivers.interface import CyclerRecord
from protocols.program import DIRECTIONS, CycleCount, Program, RecordRule, Step
from station.readings import Reading, StepSummary
from station.sequencer import Sample

STEP_CHANGE_S = 1e-3
"""A step's first record is made at its time 0, the instant of the last step's end: so test time rises strictly."""


class Doing(StrEnum):
    """What is done of the present part."""

    STARTING = "starting"  # the cycler is told to start a test; whether it has is not known
    FOLLOWING = "following"  # its test is on
    SWEEPING = "sweeping"  # the station measures
    WAITING = "waiting"  # the circuit is open: the part is begun when a person resumes the run


@dataclass(frozen=True, slots=True)
class FollowState:
    """How far the records of a run were taken up."""

    test_id: int  # of the part's test; before it is on, of the last one that the channel had
    start_time: float
    part: int = 0
    doing: Doing = Doing.FOLLOWING
    part_began_s: float = 0.0  # in test time
    spectra: int = 0
    last_record: int = 0  # the cycler's own number of the last record taken up
    sequence: int = 0
    step: int = 0
    cycle: int = 1
    first_direction: int = 0
    direction: int = 0
    net_before_step_Ah: float = 0.0
    time_before_step_s: float = 0.0
    last: Reading | None = None
    last_capacity_Ah: float = 0.0  # as the cycler gave it: magnitudes within the step
    last_energy_Wh: float = 0.0
    last_key: tuple[int, int] | None = None  # the cycler's step and cycle of the last record


_STATE = TypeAdapter(FollowState)


def dump(state: FollowState) -> str:
    return _STATE.dump_json(state).decode()


def load(text: str) -> FollowState:
    return _STATE.validate_json(text)


def starting(state: FollowState, part: int) -> FollowState:
    """A part that is a test is about to be started; `test_id` stays that of the last test."""
    return replace(state, part=part, doing=Doing.STARTING)


def started(state: FollowState, test_id: int, time: float) -> FollowState:
    """The part's test is on: its first record enters a new step. With the first one of all the run begins."""
    if state.step == 0:
        state = replace(state, start_time=time)
    began_s = max(time - state.start_time, _end_s(state))
    return replace(state, doing=Doing.FOLLOWING, test_id=test_id, part_began_s=began_s, last_record=0, last_key=None)


def sweeping(state: FollowState, part: int, time: float) -> FollowState:
    """A part that is a sweep begins: a step of its own."""
    began_s = max(time - state.start_time, _end_s(state))
    return replace(state, part=part, doing=Doing.SWEEPING, part_began_s=began_s, step=state.step + 1, last_key=None)


def swept(state: FollowState, step: Step, time: float, reason: str) -> StepSummary:
    """The sweep's step as ended; it passed no charge."""
    return StepSummary(
        step=state.step,
        step_name=step.name,
        kind=step.kind,
        cycle=state.cycle,
        start_time=state.start_time + state.part_began_s,
        end_time=max(time, state.start_time + state.part_began_s),
        capacity_Ah=0.0,
        energy_Wh=0.0,
        end_reason=reason,
    )


def watched(
    state: FollowState, step: Step, rule: RecordRule, sample: Sample
) -> tuple[FollowState, tuple[Reading, ...]]:
    """What is seen of a cell that waits for its sweep, or of what is around it: recorded where the rule asks for it.

    A voltage that is no number is one that nobody measures.
    """
    last, step_time_s = state.last, sample.time - state.start_time - state.part_began_s
    if last is not None and last.step == state.step and step_time_s < last.step_time_s + rule.every_s:
        return state, ()
    is_seen = math.isfinite(sample.voltage_V)
    reading = Reading(
        sequence=state.sequence + 1,
        time=sample.time,
        test_time_s=sample.time - state.start_time,
        step=state.step,
        step_name=step.name,
        cycle=state.cycle,
        step_time_s=step_time_s,
        voltage_V=sample.voltage_V if is_seen else None,
        current_A=sample.current_A if is_seen else None,
        step_capacity_Ah=0.0,
        step_energy_Wh=0.0,
        net_capacity_Ah=last.net_capacity_Ah if last else 0.0,
        resistance_ohm=sample.resistance_ohm,
        pressure_Pa=sample.pressure_Pa,
        pressure_U_Pa=sample.pressure_U_Pa,
        calibration=sample.calibration,
        temperature_degC=sample.temperature_degC,
        pressure_mark=sample.pressure_mark,
    )
    return replace(state, sequence=reading.sequence, last=reading), (reading,)


def _end_s(state: FollowState) -> float:
    """Test time before which nothing new begins."""
    return state.last.test_time_s + STEP_CHANGE_S if state.last else 0.0


def follow(
    program: Program, state: FollowState, record: CyclerRecord
) -> tuple[FollowState, Reading, StepSummary | None]:
    """Take up the next record; a summary comes with the first record of another step.

    Raises `ValueError` where the record belongs to no step of the program.
    """
    step = step_of(program, record)
    summary = None
    if _is_new_step(state, record):
        summary = last_step(program, state, "ended by the cycler")
        state = _enter(state, step)
    capacity_Ah, energy_Wh = _signed(step, state, record)
    test_time_s = state.time_before_step_s + record.step_time_s
    reading = Reading(
        sequence=state.sequence + 1,
        time=state.start_time + test_time_s,
        test_time_s=test_time_s,
        step=state.step,
        step_name=step.name,
        cycle=state.cycle,
        step_time_s=record.step_time_s,
        voltage_V=record.voltage_V,
        current_A=record.current_A,
        step_capacity_Ah=capacity_Ah,
        step_energy_Wh=energy_Wh,
        net_capacity_Ah=state.net_before_step_Ah + capacity_Ah,
    )
    state = replace(
        state,
        last_record=record.sequence,
        sequence=reading.sequence,
        last=reading,
        last_capacity_Ah=record.step_capacity_Ah,
        last_energy_Wh=record.step_energy_Wh,
        last_key=(record.step, record.cycle),
    )
    return state, reading, summary


def step_of(program: Program, record: CyclerRecord) -> Step:
    """The program's step that a record belongs to."""
    index = record.step - 1
    operation = program.operations[index] if 0 <= index < len(program.operations) else None
    if not isinstance(operation, Step):
        raise ValueError(f"the cycler recorded step {record.step}, which the program does not have")
    return operation


def last_step(program: Program, state: FollowState, reason: str) -> StepSummary | None:
    """The step that the last record belongs to, as ended."""
    reading = state.last
    if reading is None or state.last_key is None:
        return None
    operation = program.operations[state.last_key[0] - 1]
    assert isinstance(operation, Step)
    return StepSummary(
        step=reading.step,
        step_name=reading.step_name,
        kind=operation.kind,
        cycle=reading.cycle,
        start_time=reading.time - reading.step_time_s,
        end_time=reading.time,
        capacity_Ah=reading.step_capacity_Ah,
        energy_Wh=reading.step_energy_Wh,
        end_reason=reason,
    )


def _is_new_step(state: FollowState, record: CyclerRecord) -> bool:
    if state.last is None or state.last_key != (record.step, record.cycle):
        return True
    return record.step_time_s < state.last.step_time_s


def _enter(state: FollowState, step: Step) -> FollowState:
    count = CycleCount(state.cycle, state.first_direction, state.direction).entering(step.kind)
    return replace(
        state,
        step=state.step + 1,
        cycle=count.cycle,
        first_direction=count.first_direction,
        direction=count.direction,
        last_capacity_Ah=0.0,
        last_energy_Wh=0.0,
        net_before_step_Ah=state.last.net_capacity_Ah if state.last else 0.0,
        time_before_step_s=state.part_began_s if state.last_key is None else _end_s(state),
    )


def _signed(step: Step, state: FollowState, record: CyclerRecord) -> tuple[float, float]:
    """Capacity and energy since the step began, positive on charge; of a hold by the current's sign as it went on."""
    if direction := DIRECTIONS.get(step.kind, 0):
        return direction * record.step_capacity_Ah, direction * record.step_energy_Wh
    so_far = state.last if state.last is not None and state.last.step == state.step else None
    capacity_Ah, energy_Wh = (so_far.step_capacity_Ah, so_far.step_energy_Wh) if so_far else (0.0, 0.0)
    sign = math.copysign(1.0, record.current_A or capacity_Ah)
    return (
        capacity_Ah + sign * (record.step_capacity_Ah - state.last_capacity_Ah),
        energy_Wh + sign * (record.step_energy_Wh - state.last_energy_Wh),
    )
