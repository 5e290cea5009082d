"""The sequencer step by step: what it commands, records, counts, and how it goes on after pauses and crashes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from protocols.program import Kind, Only, Program, Question, RecordRule, Repeat, Step, VoltageRamp
from station import sequencer
from station.commands import Command, Finish, HoldCurrent, HoldVoltage, MeasureImpedance, OpenCircuit, Rest
from station.sequencer import Outcome, Phase, Sample, State
from tests.station.sequences import (
    SWEEP,
    T0,
    Log,
    assert_charge_balance,
    charge,
    discharge,
    does,
    ends,
    hold,
    impedance,
    program,
    rest,
    spectrum,
)

# --- a step


def test_begin_enters_the_first_step_with_one_command() -> None:
    log = Log(program(charge(time=10)))
    assert log.commands == [HoldCurrent(1e-3)]
    assert (log.state.step, log.state.cycle, log.state.phase) == (1, 1, Phase.RUNNING)


@pytest.mark.parametrize(
    ("step", "command"),
    [
        (rest(1), Rest()),
        (charge(2e-3, time=1), HoldCurrent(2e-3)),
        (discharge(2e-3, time=1), HoldCurrent(-2e-3)),
        (charge(voltage_above=3.9), HoldCurrent(1e-3, 3.9)),
        (charge(voltage_above=3.9, voltage_below=1.0), HoldCurrent(1e-3, 3.9)),
        (discharge(voltage_below=0.05), HoldCurrent(-1e-3, 0.05)),
        (charge(hold_V=3.9, time=1, voltage_above=4.0), HoldCurrent(1e-3, 3.9)),
        (discharge(hold_V=0.1, time=1), HoldCurrent(-1e-3, 0.1)),
        (hold(2.0, 5e-3, time=1), HoldVoltage(2.0, 5e-3)),
        (hold(2.0, time=1), HoldVoltage(2.0, None)),
        (impedance(), MeasureImpedance(SWEEP)),
    ],
)
def test_what_each_step_asks_of_the_source(step: Step, command: Command) -> None:
    assert Log(program(step)).commands == [command]


@pytest.mark.parametrize(
    ("conditions", "before", "at"),
    [
        ({"voltage_above": 2.0}, Sample(0, 1.999999, 1e-3), Sample(0, 2.0, 1e-3)),
        ({"voltage_below": 2.0}, Sample(0, 2.000001, 1e-3), Sample(0, 2.0, 1e-3)),
        ({"pressure_above": 6e5}, Sample(0, 1, 1e-3, pressure_Pa=599999.0), Sample(0, 1, 1e-3, pressure_Pa=6e5)),
        ({"pressure_below": 6e5}, Sample(0, 1, 1e-3, pressure_Pa=None), Sample(0, 1, 1e-3, pressure_Pa=6e5)),
    ],
)
def test_a_condition_ends_a_step_at_its_very_value(conditions: dict[str, float], before: Sample, at: Sample) -> None:
    log = Log(program(charge(**conditions), rest(1)))
    log.take(sequencer.advance(log.program, log.state, replace(before, time=T0 + 1)))
    assert log.state.step == 1
    log.take(sequencer.advance(log.program, log.state, replace(at, time=T0 + 2)))
    assert log.state.step == 2
    assert log.commands[1:] == [Rest()]
    (summary,) = log.steps
    assert summary.end_reason == str(log.program.steps()[0].ends[0])
    assert (summary.start_time, summary.end_time) == (T0, T0 + 2)
    assert log.readings[-1].time == T0 + 2  # the sample that ended it is always recorded


def test_capacity_ends_a_step_as_a_magnitude() -> None:
    log = Log(program(discharge(1e-3, capacity=1e-3), rest(1)))
    for at in (0.0, 1800.0, 3599.0):
        log.sample(at, 1.0, -1e-3)
    assert log.state.step == 1
    log.sample(3600.0, 1.0, -1e-3)
    assert log.steps[0].capacity_Ah == approx(-1e-3)


@given(st.floats(0.001, 1e7), st.floats(0, 1e5))
def test_a_time_ends_exactly_when_it_was_due(seconds: float, start: float) -> None:
    one = program(rest(seconds), rule=RecordRule(1e9))
    state = sequencer.begin(one, T0 + start).state
    state = sequencer.advance(one, state, Sample(T0 + start, 1.0, 0.0)).state
    due = sequencer.next_due(one, state)
    assert due == approx(T0 + start + seconds, abs=1e-6)
    early = sequencer.advance(one, state, Sample(due - 0.0005, 1.0, 0.0))
    assert early.state.phase is Phase.RUNNING
    assert sequencer.advance(one, early.state, Sample(due, 1.0, 0.0)).state.phase is Phase.FINISHED


def test_the_next_sample_is_due_for_the_sooner_of_record_and_end() -> None:
    log = Log(program(charge(time=100)))
    assert sequencer.next_due(log.program, log.state) == -math.inf  # nothing is recorded of this step yet
    log.sample(1.0, current_A=1e-3)
    assert sequencer.next_due(log.program, log.state) == T0 + 31
    log.sample(90.0, current_A=1e-3)
    assert sequencer.next_due(log.program, log.state) == T0 + 100
    log.pause(95)
    assert sequencer.next_due(log.program, log.state) == math.inf


def test_constant_current_goes_over_to_constant_voltage_and_only_there_a_current_ends_it() -> None:
    step = charge(1e-3, 3.9, current_below=1e-4)
    log = Log(program(step, rest(1)))
    log.sample(0, 3.0, 5e-5)  # not at its current yet: this must not end it
    log.sample(1, 3.89, 1e-3)
    assert log.commands == [HoldCurrent(1e-3, 3.9)]
    log.sample(2, 3.9, 1e-3)
    assert log.commands[1:] == [HoldVoltage(3.9, 1e-3)]
    log.sample(3, 3.9, 5e-4)
    assert log.commands[2:] == []
    log.sample(4, 3.9, 1e-4)
    assert log.commands[2:] == [Rest()]
    assert log.steps[0].end_reason == "current ≤ 0.1 mA"


def test_discharge_to_a_hold() -> None:
    log = Log(program(discharge(1e-3, 0.1, current_below=1e-4)))
    log.sample(0, 0.11, -1e-3)
    log.sample(1, 0.1, -1e-3)
    assert log.commands[1:] == [HoldVoltage(0.1, 1e-3)]
    log.sample(2, 0.1, -0.9e-4)
    assert log.state.phase is Phase.FINISHED


def test_a_hold_ends_by_its_current_whatever_its_sign() -> None:
    for sign in (1, -1):
        log = Log(program(hold(2.0, 1e-3, current_below=1e-4)))
        log.sample(0, 2.0, sign * 1e-3)
        log.sample(1, 2.0, sign * 1e-4)
        assert log.state.phase is Phase.FINISHED


def test_the_end_opens_the_circuit_before_it_finishes() -> None:
    log = Log(program(charge(time=1)))
    log.sample(0, 1.0, 1e-3)
    log.sample(1, 1.0, 1e-3)
    assert log.commands[1:] == [OpenCircuit(), Finish()]
    before = log.result()
    log.sample(2, 1.0, 1e-3)
    log.pause(3)
    assert log.result() == before
    assert log.resume(4).commands == (OpenCircuit(), Finish())  # all that is left is to say so


def test_skip_and_stop() -> None:
    log = Log(program(charge(time=1e6), discharge(time=1e6)))
    log.sample(0, 1.0, 1e-3)
    log.sample(1, 1.0, 1e-3)
    log.take(sequencer.skip(log.program, log.state, T0 + 2, "skipped by Ada"))
    assert log.commands[1:] == [HoldCurrent(-1e-3)]
    assert log.steps[0].end_reason == "skipped by Ada"
    assert [row.time - T0 for row in log.readings] == [0, 1]  # the last sample is not lost
    log.sample(3, 1.0, -1e-3)
    log.sample(4, 1.0, -1e-3)
    log.take(sequencer.stop(log.program, log.state, T0 + 5, "stopped by Ada"))
    assert log.commands[2:] == [OpenCircuit()]
    assert log.state.phase is Phase.STOPPED
    assert [row.time - T0 for row in log.readings] == [0, 1, 3, 4]
    assert [one.end_reason for one in log.steps] == ["skipped by Ada", "stopped by Ada"]


def test_a_spectrum_belongs_to_its_step_and_cycle() -> None:
    log = Log(program(rest(1), impedance(), impedance()))
    assert log.swept(0.5).spectra == ()  # nobody measures in a rest
    log.sample(0)
    log.sample(1)
    log.swept(100)
    log.swept(200)
    assert [(one.number, one.step, one.cycle) for one in log.spectra] == [(1, 2, 1), (2, 3, 1)]
    assert log.steps[1].end_reason == "2 points measured"
    assert log.state.phase is Phase.FINISHED


HAPPENINGS = {
    "advance": lambda one, state: sequencer.advance(one, state, Sample(T0 + 50.0, 3.9, 1e-3)),
    "record": lambda one, state: sequencer.record(one, state, Sample(T0 + 50.0, 3.9, 1e-3)),
    "swept": lambda one, state: sequencer.swept(one, state, spectrum(T0 + 50.0), T0 + 50.0),
    "confirm": lambda one, state: sequencer.confirm(one, state, T0 + 50.0, "yes"),
    "pause": lambda one, state: sequencer.pause(one, state, T0 + 50.0),
    "resume": lambda one, state: sequencer.resume(one, state, T0 + 50.0),
    "skip": lambda one, state: sequencer.skip(one, state, T0 + 50.0),
    "stop": lambda one, state: sequencer.stop(one, state, T0 + 50.0, "enough"),
    "restored on": lambda one, state: sequencer.restore(one, state, Sample(T0 + 50.0, 3.9, 1e-3), True),
    "restored off": lambda one, state: sequencer.restore(one, state, Sample(T0 + 50.0, 3.9, 0.0), False),
    "restored further on": lambda one, state: sequencer.restore(one, state, Sample(T0 + 50.0, 3.9, -2e-3), True),
    "next due": lambda one, state: sequencer.next_due(one, state),
    "before the gap": lambda one, state: sequencer.before_gap_A(one, state, Sample(T0 + 50.0, 3.9, 1e-3)),
}


@pytest.mark.parametrize("happen", HAPPENINGS.values(), ids=HAPPENINGS)
@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize(
    "step",
    [
        charge(1e-3, 3.9, current_below=1e-4, time=1e3),
        impedance(),
        does(Kind.PROMPT, Question("Well?")),
        does(Kind.RAMP, VoltageRamp(None, 4.0, 1e-3, 1e-2)),
    ],
    ids=lambda step: step.kind.value,
)
def test_nothing_that_happens_changes_a_state_that_was_given(
    step: Step, paused: bool, happen: Callable[[Program, State], object]
) -> None:
    log = Log(program(step, discharge(2e-3, time=1e3)))
    log.sample(0.0, 3.0, 1e-3)
    log.sample(1.0, 3.0, 1e-3)
    if paused:
        log.pause(2.0)
    before = sequencer.dump(log.state)
    happen(log.program, log.state)
    assert sequencer.dump(log.state) == before


# --- what is recorded


def test_recorded_by_time_and_by_change() -> None:
    log = Log(program(rest(1e6), rule=RecordRule(30.0, voltage_V=5e-3, pressure_Pa=2e3)))
    for at in range(0, 61, 10):
        log.sample(at, 1.0, pressure_Pa=5e5)
    log.sample(61, 1.004, pressure_Pa=5e5)
    log.sample(62, 1.006, pressure_Pa=5e5)
    log.sample(63, 1.006, pressure_Pa=5.019e5)
    log.sample(64, 1.006, pressure_Pa=5.021e5)
    assert [row.time - T0 for row in log.readings] == [0, 30, 60, 62, 64]
    assert [row.sequence for row in log.readings] == [1, 2, 3, 4, 5]
    assert log.readings[-1].pressure_Pa == 5.021e5


def test_a_kink_of_the_current_is_recorded_where_it_is() -> None:
    log = Log(program(charge(time=1e6), rule=RecordRule(1000.0)))
    for at in range(0, 100, 10):
        log.sample(at, 1.0, 1e-3)
    for at in range(100, 200, 10):
        log.sample(at, 1.0, 0.5e-3)
    assert [row.time - T0 for row in log.readings][:3] == [0, 90, 100]


def test_the_noise_of_a_rest_fills_no_database() -> None:
    log = Log(program(rest(1e6), rule=RecordRule(1000.0)))
    for at in range(2000):
        log.sample(at, 1.0, 1e-9 * math.sin(at * at))
    assert len(log.readings) == 2


# --- cycles


@pytest.mark.parametrize(
    ("directions", "cycles"),
    [
        ("-+-+-+", [1, 1, 2, 2, 3, 3]),  # a half-cell: discharge first
        ("+-+-+-", [1, 1, 2, 2, 3, 3]),  # a full cell: charge first
        ("0-0+0-0+", [1, 1, 1, 1, 1, 2, 2, 2]),  # a rest belongs to the cycle that it follows
        ("++--++", [1, 1, 1, 1, 2, 2]),
        ("+0+0+0", [1, 1, 1, 1, 1, 1]),  # GITT
        ("00", [1, 1]),
    ],
)
def test_a_cycle_begins_where_the_first_direction_comes_again(directions: str, cycles: list[int]) -> None:
    kinds = {"+": charge(time=10), "-": discharge(time=10), "0": rest(10)}
    log = Log(program(*(kinds[one] for one in directions)))
    for at in range(0, 10 * len(directions) + 1, 5):
        log.sample(at)
    assert [one.cycle for one in log.steps] == cycles


def test_impedance_every_so_many_cycles() -> None:
    log = Log(program(discharge(time=10), charge(time=10), Only(4, every=3), impedance(), Repeat(0, 10)))
    at = 0.0
    while log.state.phase is Phase.RUNNING:
        at += 5
        if isinstance(log.commands[-1], MeasureImpedance):
            log.swept(at)
        else:
            log.sample(at)
    assert [one.cycle for one in log.spectra] == [3, 6, 9]
    assert log.steps[-1].cycle == 10


# --- pauses


def test_a_pause_stops_the_clock_and_loses_no_charge() -> None:
    log = Log(program(charge(1e-3, time=100), rest(1), rule=RecordRule(1e6)))
    for at in (0, 20, 40):
        log.sample(at, 1.0, 1e-3)
    log.pause(45)
    assert log.commands[-1] == OpenCircuit()
    assert log.readings[-1].time == T0 + 40  # written before the pause, not after it
    for at in (100, 1000, 2000):
        assert log.sample(at, 1.0, 0.0) == Outcome(log.state)  # the source is off, and sees nothing
    log.resume(3645)
    assert log.commands[-1] == HoldCurrent(1e-3)
    log.sample(3646, 1.0, 1e-3)
    assert log.readings[-1].time == T0 + 3646
    assert log.readings[-1].step_time_s == approx(46)
    assert log.readings[-1].step_capacity_Ah == approx(1e-3 * 46 / 3600)  # what flowed until 45 s and since
    log.sample(3699, 1.0, 1e-3)
    assert log.state.step == 1
    assert sequencer.next_due(log.program, log.state) == approx(T0 + 3700)
    log.sample(3700, 1.0, 1e-3)
    assert log.state.step == 2
    assert log.steps[0].capacity_Ah == approx(1e-3 * 100 / 3600)
    assert_charge_balance(log)


def test_a_hold_is_resumed_as_a_hold() -> None:
    log = Log(program(charge(1e-3, 3.9, current_below=1e-4)))
    log.sample(0, 3.9, 1e-3)
    log.pause(1)
    log.resume(2)
    assert log.commands[-1] == HoldVoltage(3.9, 1e-3)


def test_pause_and_resume_of_what_is_not_running_or_paused() -> None:
    log = Log(program(charge(time=10)))
    before = log.state
    assert log.resume(1) == Outcome(before)
    log.pause(2)
    paused = log.state
    assert log.pause(3) == Outcome(paused)
    assert log.swept(3) == Outcome(paused)


def test_a_paused_run_can_be_stopped_or_skipped() -> None:
    for happen, phase in ((sequencer.stop, Phase.STOPPED), (sequencer.skip, Phase.FINISHED)):
        log = Log(program(charge(time=100)))
        log.sample(0, 1.0, 1e-3)
        log.sample(36, 1.0, 1e-3)
        log.pause(36)
        log.take(happen(log.program, log.state, T0 + 100, "enough"))
        assert log.state.phase is phase
        assert log.steps[0].capacity_Ah == approx(1e-5)
        assert OpenCircuit() in log.commands[1:]


# --- after a crash


def test_a_source_that_stayed_on_bridges_the_gap() -> None:
    log = Log(program(charge(1e-3, time=10_000)))
    log.sample(0, 1.0, 1e-3)
    log.sample(10, 1.0, 1e-3)
    log.restore(3610, 1.2, 1e-3, on=True)
    assert log.commands[1:] == [HoldCurrent(1e-3)]  # said again: the checkpoint may be older than the source
    assert log.state.step_capacity_Ah == approx(1e-3 * 3610 / 3600)
    assert log.readings[-1].step_time_s == approx(3610)
    assert_charge_balance(log)


def test_what_ended_during_the_gap_ends_at_once() -> None:
    log = Log(program(charge(1e-3, time=100), discharge(2e-3, time=100)))
    log.sample(0, 1.0, 1e-3)
    log.restore(500, 1.2, 1e-3, on=True)
    assert log.state.step == 2
    assert log.commands[1:] == [HoldCurrent(-2e-3)]
    assert log.steps[0].capacity_Ah == approx(1e-3 * 500 / 3600)


def test_a_source_that_was_found_off_counts_nothing_and_the_clock_stood() -> None:
    log = Log(program(charge(1e-3, time=100), rule=RecordRule(1e6)))
    for at in (0, 20, 40):
        log.sample(at, 1.0, 1e-3)
    log.restore(3640, 0.9, 0.0, on=False)
    assert log.commands[1:] == [HoldCurrent(1e-3)]
    assert log.state.step_capacity_Ah == approx(1e-3 * 40 / 3600)
    log.sample(3641, 1.0, 1e-3)
    assert log.readings[-1].step_time_s == approx(41)
    assert log.state.step_capacity_Ah == approx(1e-3 * 41 / 3600)
    assert sequencer.next_due(log.program, log.state) == approx(T0 + 3670)
    log.sample(3700, 1.0, 1e-3)
    assert log.state.phase is Phase.FINISHED
    assert log.steps[0].capacity_Ah == approx(1e-3 * 100 / 3600)
    assert_charge_balance(log)


def test_a_rest_goes_on_whoever_watches() -> None:
    log = Log(program(rest(100), charge(time=10)))
    log.sample(0)
    log.restore(50, 1.0, 0.0, on=False)
    assert log.commands[1:] == [Rest()]
    log.sample(100)
    assert log.state.step == 2


def test_a_source_that_was_told_of_the_next_step_already() -> None:
    log = Log(program(charge(1e-3, time=1e6), discharge(2e-3, time=1e6)))
    log.sample(0, 1.0, 1e-3)
    log.sample(100, 1.0, 1e-3)
    log.restore(1000, 0.8, -2e-3, on=True)
    assert log.steps[0].end_reason == "ended unseen"
    assert log.steps[0].capacity_Ah == approx(1e-3 * 100 / 3600)
    assert log.state.step == 2
    assert log.state.step_capacity_Ah == approx(-2e-3 * 900 / 3600)
    assert log.commands[1:] == [HoldCurrent(-2e-3)]


@pytest.mark.parametrize("current_A", [5e-3, -1e-3, 0.0, math.nan])
def test_a_source_that_does_something_else_is_told_again_and_nothing_is_bridged(current_A: float) -> None:
    log = Log(program(charge(1e-3, time=1e6)))
    log.sample(0, 1.0, 1e-3)
    log.sample(36, 1.0, 1e-3)
    log.restore(3600, 1.0, current_A, on=True)
    assert log.state.step_capacity_Ah == approx(1e-5)
    assert log.commands[1:] == [HoldCurrent(1e-3)]


def test_a_current_that_decayed_in_the_gap_is_bridged_by_an_estimate() -> None:
    step = hold(2.0, 1e-2, time=1e6)
    log = Log(program(step, rule=RecordRule(1e6)))

    def current_A(at: float) -> float:
        return 1e-3 * math.exp(-at / 1000)

    for at in range(0, 101, 10):
        log.sample(at, 2.0, current_A(at))
    log.restore(2100, 2.0, current_A(2100), on=True)
    flowed_Ah = 1e-3 * 1000 * (1 - math.exp(-2.1)) / 3600
    assert log.state.step_capacity_Ah == approx(flowed_Ah, rel=1e-4)
    assert log.readings[-1].time == T0 + 2100
    rows = len(log.readings)
    for at in range(2101, 2200):
        log.sample(at, 2.0, current_A(2100))
    assert len(log.readings) == rows  # no other row would bring what the rows lack of an estimate


def test_a_step_that_was_never_begun_gets_no_charge_of_the_step_before() -> None:
    log = Log(program(charge(1e-3, time=100), discharge(2e-3, time=100)))
    log.sample(0, 1.0, 1e-3)
    log.sample(100, 1.0, 1e-3)
    assert log.state.step == 2
    net_Ah = log.state.net_capacity_Ah
    log.restore(3700, 1.2, 1e-3, on=True)  # the source still charges
    assert log.commands[-1] == HoldCurrent(-2e-3)
    assert log.state.step_capacity_Ah == 0.0
    assert log.state.net_capacity_Ah == approx(net_Ah + 1e-3)
    log.sample(3700, 1.0, -2e-3)
    log.sample(3800, 1.0, -2e-3)
    assert log.state.phase is Phase.FINISHED
    assert log.steps[1].capacity_Ah == approx(-2e-3 * 100 / 3600)


def test_an_interrupted_sweep_begins_anew() -> None:
    log = Log(program(impedance()))
    log.restore(1000, 1.0, 0.0, on=False)
    assert log.commands == [MeasureImpedance(SWEEP), MeasureImpedance(SWEEP)]


def test_a_station_that_died_before_the_first_sample_of_a_step() -> None:
    log = Log(program(charge(1e-3, time=100)))
    log.restore(5000, 1.0, 0.0, on=False)
    log.sample(5000, 1.0, 1e-3)
    log.sample(5099, 1.0, 1e-3)
    assert log.state.phase is Phase.RUNNING
    log.sample(5100, 1.0, 1e-3)
    assert log.steps[0].capacity_Ah == approx(1e-3 * 100 / 3600)


def test_a_station_that_died_between_resuming_and_the_next_sample() -> None:
    log = Log(program(charge(1e-3, time=100)))
    log.sample(0, 1.0, 1e-3)
    log.sample(40, 1.0, 1e-3)
    log.pause(40)
    log.resume(4000)
    log.restore(8000, 1.0, 0.0, on=False)
    log.sample(8000, 1.0, 1e-3)
    assert log.readings[-1].step_time_s == approx(40)
    log.sample(8060, 1.0, 1e-3)
    assert log.state.phase is Phase.FINISHED


def test_whatever_had_ended_stays_ended_and_open() -> None:
    paused = Log(program(charge(time=10)))
    paused.sample(0, 1.0, 1e-3)
    paused.pause(1)
    assert paused.restore(100, 1.0, 0.0, on=False).commands == (OpenCircuit(),)
    assert paused.state.phase is Phase.PAUSED
    stopped = Log(program(charge(time=10)))
    stopped.take(sequencer.stop(stopped.program, stopped.state, T0 + 1, "enough"))
    assert stopped.restore(100, 1.0, 0.0, on=True).commands == (OpenCircuit(),)
    finished = Log(program(charge(time=10)))
    finished.sample(0, 1.0, 1e-3)
    finished.sample(10, 1.0, 1e-3)
    assert finished.restore(100, 1.0, 0.0, on=True).commands == (OpenCircuit(), Finish())  # nobody was told


# --- samples that are no numbers

nothing = st.sampled_from([math.nan, math.inf, -math.inf])


EVERY = {"voltage_above": 3.0, "voltage_below": 0.5, "current_below": 1e-4, "capacity": 1.0, "time": 1e6}


@given(
    nothing,
    st.sampled_from(["time", "voltage_V", "current_A"]),
    st.sampled_from([rest(1e6), charge(**EVERY), charge(hold_V=2.5, **EVERY), hold(2.5, **EVERY), impedance()]),
)
def test_no_number_ends_nothing_counts_nothing_and_commands_nothing(value: float, which: str, step: Step) -> None:
    log = Log(program(step))
    log.sample(0, 1.0, 1e-3, pressure_Pa=math.nan)
    before = log.result()
    sample = replace(Sample(T0 + 1, 1.0, 1e-3), **{which: value})
    assert log.take(sequencer.advance(log.program, log.state, sample)).commands == ()
    assert log.result() == before
    log.sample(2, 1.0, 1e-3)
    assert log.state.step_capacity_Ah == approx(2e-3 / 3600)  # bridged by the neighbours


def test_a_pressure_that_is_no_number_ends_nothing() -> None:
    log = Log(program(rest(1e6), rest(1)))
    step = replace(rest(1e6), ends=ends(pressure_above=1.0, pressure_below=-1.0))
    log = Log(program(step))
    log.sample(0, 1.0, 0.0, pressure_Pa=math.nan)
    assert log.state.phase is Phase.RUNNING
    assert sequencer.load(sequencer.dump(log.state)).step == 1


def test_a_clock_that_is_set_back_takes_no_charge_away() -> None:
    log = Log(program(charge(1e-3, time=1e6)))
    log.sample(100, 1.0, 1e-3)
    log.sample(136, 1.0, 1e-3)
    log.sample(50, 1.0, 1e-3)
    log.sample(86, 1.0, 1e-3)
    assert log.state.step_capacity_Ah == approx(2e-5)
