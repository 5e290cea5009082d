"""What a station makes of a source that it finds after a crash: where the run stands, and what flowed meanwhile."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from protocols.program import Kind, Quantity, RecordRule, Repeat
from station import sequencer
from station.commands import Finish, HoldCurrent, HoldVoltage, MeasureImpedance, OpenCircuit
from station.sequencer import Outcome, Phase, Sample, State, mean_over_gap_A
from tests.station.sequences import above, charge, discharge, end, ends, impedance, program, rest

PROGRAM = program(
    charge(1e-3, 4.0, current_below=1e-4),
    rest(5),
    discharge(2e-3, time=3600),
    impedance(),
    charge(3e-3, time=3600),
    rule=RecordRule(10.0),
)
DISCHARGE = PROGRAM.operations[2]
GAP_S = 100.0


def charging() -> State:
    """In the first step, half a minute after its beginning."""
    state = sequencer.begin(PROGRAM, 0.0).state
    for time in (0.0, 10.0, 20.0, 30.0):
        state = sequencer.advance(PROGRAM, state, Sample(time, 3.5, 1e-3)).state
    return state


def found(state: State, voltage_V: float, current_A: float, *, is_on: bool = True) -> Outcome:
    last = state.previous.time if state.previous else state.step_start_time
    return sequencer.restore(PROGRAM, state, Sample(last + GAP_S, voltage_V, current_A), is_on)


def bridged_C(before: State, after: Outcome) -> float:
    return (after.state.net_capacity_Ah - before.net_capacity_Ah) * 3600.0


def test_a_constant_current_is_bridged() -> None:
    outcome = found(charging(), 3.6, 1e-3)
    assert bridged_C(charging(), outcome) == pytest.approx(1e-3 * GAP_S)
    assert outcome.commands == (HoldCurrent(1e-3, 4.0),)


def test_a_decayed_current_is_bridged_as_a_decay() -> None:
    outcome = found(charging(), 4.02, 0.5e-3)
    assert bridged_C(charging(), outcome) == pytest.approx(0.5e-3 / math.log(2) * GAP_S)
    assert outcome.commands == (HoldVoltage(4.0, 1e-3),)


def test_a_source_found_off_counts_nothing_and_its_step_goes_on() -> None:
    outcome = found(charging(), 3.5, 0.0, is_on=False)
    assert bridged_C(charging(), outcome) == 0.0
    assert outcome.state.step == 1
    assert outcome.state.step_start_time == GAP_S
    assert outcome.commands == (HoldCurrent(1e-3, 4.0),)


@pytest.mark.parametrize(("voltage_V", "current_A", "name"), [(3.9, 0.0, "rest"), (3.6, -2e-3, "discharge")])
def test_the_current_tells_how_many_steps_ended_unseen(voltage_V: float, current_A: float, name: str) -> None:
    outcome = found(charging(), voltage_V, current_A)
    ended = [step.end_reason for step in outcome.steps]
    if name == "rest":
        assert ended == ["ended unseen", "time ≥ 5 s"]  # the gap was longer than the rest
    else:
        assert sequencer.current_step(PROGRAM, outcome.state).name == name
        assert ended == ["ended unseen"] * 2
    assert bridged_C(charging(), outcome) == pytest.approx(current_A * GAP_S)


def test_a_step_that_was_reached_by_a_jump_is_recognised_too() -> None:
    """Pulses with rests, until a voltage ends them and the cell is discharged."""
    pulse = replace(charge(1e-3, time=60.0), ends=(end(above(Quantity.VOLTAGE, 4.0), then=3), *ends(time=60.0)))
    one = program(pulse, rest(60.0), Repeat(0, 100), discharge(2e-3, time=3600.0))
    state = sequencer.begin(one, 0.0).state
    for time in (0.0, 10.0):
        state = sequencer.advance(one, state, Sample(time, 3.9, 1e-3)).state
    outcome = sequencer.restore(one, state, Sample(110.0, 3.9, -2e-3), True)
    assert sequencer.current_step(one, outcome.state).kind is Kind.DISCHARGE
    assert bridged_C(state, outcome) == pytest.approx(-2e-3 * 100.0)


def test_a_sweep_is_not_passed_over() -> None:
    """Of a charge at 3 mA, which comes after the sweep: the discharge before it is done again."""
    state = charging()
    while sequencer.current_step(PROGRAM, state) is not DISCHARGE:
        state = sequencer.skip(PROGRAM, state, 30.0).state
    state = sequencer.advance(PROGRAM, state, Sample(30.0, 3.5, -2e-3)).state
    outcome = found(state, 3.5, 3e-3)
    assert outcome.state.step == state.step
    assert outcome.commands == (HoldCurrent(-2e-3, None),)


def test_a_step_whose_first_sample_was_never_kept_is_bridged_from_its_beginning() -> None:
    begun = sequencer.begin(PROGRAM, 0.0).state
    outcome = found(begun, 3.5, 1e-3)
    assert bridged_C(begun, outcome) == pytest.approx(1e-3 * GAP_S)
    assert outcome.state.step_capacity_Ah == outcome.state.net_capacity_Ah


def test_what_the_step_before_did_is_counted_in_the_sum_alone() -> None:
    """The station died before it told the source to rest."""
    resting = sequencer.skip(PROGRAM, charging(), 30.0).state
    outcome = found(resting, 3.5, 1e-3)
    assert bridged_C(resting, outcome) == pytest.approx(1e-3 * GAP_S)
    assert outcome.state.step_capacity_Ah == 0.0
    assert outcome.state.step_start_time == 30.0 + GAP_S, "the rest begins now"


def test_a_program_that_was_done_is_finished() -> None:
    done = replace(charging(), phase=Phase.FINISHED)
    assert found(done, 3.5, 1e-3).commands == (OpenCircuit(), Finish())
    assert sequencer.resume(PROGRAM, done, 200.0).commands == (OpenCircuit(), Finish())


def test_an_unfinished_sweep_is_measured_anew() -> None:
    state = charging()
    while sequencer.current_step(PROGRAM, state).kind is not Kind.IMPEDANCE:
        state = sequencer.skip(PROGRAM, state, 30.0).state
    (command,) = found(state, 3.5, 0.0, is_on=False).commands
    assert isinstance(command, MeasureImpedance)


@pytest.mark.parametrize("seen", [False, True])
def test_a_sweep_that_was_waited_for_is_not_taken_for_done_because_a_rest_comes_after_it(seen: bool) -> None:
    """While it waits the source is on, without a current, as it is in the rest."""
    one = program(charge(1e-3, time=60.0), impedance(), rest(3600.0), charge(1e-3, time=60.0))
    state = sequencer.skip(one, sequencer.begin(one, 0.0).state, 30.0).state
    if seen:
        state = sequencer.advance(one, state, Sample(31.0, 3.5, 0.0)).state
    outcome = sequencer.restore(one, state, Sample(131.0, 3.5, 0.0), True)
    assert outcome.steps == ()
    (command,) = outcome.commands
    assert isinstance(command, MeasureImpedance)
    later = sequencer.restore(one, state, Sample(45.0, 3.5, 1e-3), True)
    ended = [step.end_reason for step in later.steps]
    assert ended == (["ended unseen"] * 2 if seen else []), "a current comes after it, or from the step before"


@pytest.mark.parametrize(
    ("before_A", "now_A", "mean_A"),
    [(1e-3, 1e-3, 1e-3), (2e-3, 1e-3, 1e-3 / math.log(2)), (1e-3, 1e-10, 1e-10), (1e-3, -2e-3, -2e-3), (0.0, 0.0, 0.0)],
)
def test_mean_over_a_gap(before_A: float, now_A: float, mean_A: float) -> None:
    assert mean_over_gap_A(before_A, now_A) == pytest.approx(mean_A)
