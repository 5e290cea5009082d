"""Where a run stands that is done in parts: tests of a cycler that runs alone, with what the station does between them.

Pure: state and what happened in, state and rows out. What a cycler's own records make of it is in `station.follower`
and `station.procedure_follower`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from protocols.program import Program, RecordRule, Step
from station import sequencer
from station.readings import Reading, StepSummary
from station.sequencer import Outcome, Sample, State

STEP_CHANGE_S = 1e-3
"""A step's first record is made at its time 0, the instant of the last step's end: so test time rises strictly."""


class Doing(StrEnum):
    """What is done of the present part."""

    STARTING = "starting"  # the cycler is told to start a test; whether it has is not known
    FOLLOWING = "following"  # its test is on
    SWEEPING = "sweeping"  # the station measures
    OWN = "own step"  # the station does it by its sequencer
    WAITING = "waiting"  # the circuit is open: the part is begun when a person resumes the run


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    """The part, and the numbering of readings, steps and cycles, which goes on through all of them."""

    start_time: float  # of the run
    part: int = 0
    doing: Doing = Doing.FOLLOWING
    part_began_s: float = 0.0  # in test time
    spectra: int = 0
    sequence: int = 0
    step: int = 0
    is_step_open: bool = False  # `last` belongs to a step that is not summed up
    cycle: int = 1
    first_direction: int = 0
    direction: int = 0
    last: Reading | None = None
    own: State | None = None  # where the sequencer stands in a step of the station's own


P = TypeVar("P", bound=PartState)


def starting(state: P, part: int) -> P:
    """A part that is a test is about to be started."""
    return replace(state, part=part, doing=Doing.STARTING, is_step_open=False)


def sweeping(state: P, part: int, time: float) -> P:
    """A part that is a sweep begins: a step of its own."""
    began_s = max(time - state.start_time, end_s(state))
    return replace(
        state, part=part, doing=Doing.SWEEPING, part_began_s=began_s, step=state.step + 1, is_step_open=False
    )


def own_begun(state: P, part: int, program: Program, time: float) -> tuple[P, Outcome]:
    """A part that the sequencer does begins: its readings go on with the run's numbers."""
    began_s = max(time - state.start_time, end_s(state))
    outcome = sequencer.begin(program, state.start_time + began_s)
    outcome.state = replace(
        outcome.state,
        start_time=state.start_time,
        step=state.step + 1,
        sequence=state.sequence,
        cycle=state.cycle,
        first_direction=state.first_direction,
        direction=state.direction,
        net_capacity_Ah=state.last.net_capacity_Ah if state.last else 0.0,
    )
    begun = replace(state, part=part, doing=Doing.OWN, part_began_s=began_s, step=state.step + 1, is_step_open=False)
    return own_taken(begun, outcome), outcome


def own_taken(state: P, outcome: Outcome) -> P:
    """What the sequencer made of a sample, or of what a person said."""
    last = outcome.readings[-1] if outcome.readings else state.last
    return replace(state, own=outcome.state, sequence=outcome.state.sequence, last=last)


def swept(state: PartState, step: Step, time: float, reason: str) -> StepSummary:
    """The sweep's step as ended; it passed no charge."""
    began = state.start_time + state.part_began_s
    return StepSummary(
        step=state.step,
        step_name=step.name,
        kind=step.kind,
        cycle=state.cycle,
        start_time=began,
        end_time=max(time, began),
        capacity_Ah=0.0,
        energy_Wh=0.0,
        end_reason=reason,
    )


def watched(state: P, step: Step, rule: RecordRule, sample: Sample) -> tuple[P, tuple[Reading, ...]]:
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


def end_s(state: PartState) -> float:
    """Test time before which nothing new begins."""
    return state.last.test_time_s + STEP_CHANGE_S if state.last else 0.0
