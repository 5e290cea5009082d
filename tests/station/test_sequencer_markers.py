"""Markers, and the finer rules of recording."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytest import approx

from protocols.program import Marker, MarkerRule, RecordRule, Repeat, Step
from station import sequencer
from station.commands import Finish, HoldCurrent, OpenCircuit, PulseTrigger, Rest
from station.sequencer import Phase
from tests.station.sequences import (
    FILE,
    T0,
    Capacitor,
    Log,
    charge,
    discharge,
    program,
    rest,
    simulate,
)

RARELY = RecordRule(1e6)


def marker(name: str, trigger: bool = False) -> Marker:
    return Marker(name, trigger, FILE, 1)


def marked(step: Step, *rules: MarkerRule) -> Step:
    return replace(step, markers=rules)


def when(log: Log) -> list[tuple[str, float]]:
    return [(one.name, round(one.test_time_s, 3)) for one in log.markers]


# --- in passing


def test_a_marker_belongs_to_the_step_that_it_leads_to() -> None:
    log = Log(program(marker("start"), discharge(time=10.0), charge(time=10.0), Repeat(0, 2), marker("end")))
    simulate(log, Capacitor())
    assert [(one.name, one.step, one.step_name, one.cycle, one.test_time_s) for one in log.markers] == [
        ("start", 1, "discharge", 1, 0.0),
        ("start", 3, "discharge", 2, approx(20.0, abs=1e-5)),
        ("end", 4, "charge", 2, approx(40.0, abs=1e-5)),
    ]


def test_the_source_does_not_wait_for_a_trigger() -> None:
    log = Log(program(rest(1.0), marker("beam", True), marker("note"), charge(time=1.0), marker("off", True)))
    simulate(log, Capacitor())
    assert log.commands == [
        Rest(),
        HoldCurrent(1e-3),
        PulseTrigger("beam"),
        OpenCircuit(),
        PulseTrigger("off"),
        Finish(),
    ]
    assert [(one.name, one.triggered) for one in log.markers] == [("beam", True), ("note", False), ("off", True)]


# --- by the clock


def test_a_steps_markers_go_by_its_clock() -> None:
    rules = MarkerRule("once", at_s=3.5), MarkerRule("often", at_s=None, every_s=4.0), MarkerRule("first", at_s=0.0)
    log = Log(program(rest(5.0), marked(rest(10.0), *rules), rule=RARELY))
    simulate(log, Capacitor(), poll_s=100.0)
    assert when(log) == [("first", 5.0), ("once", 8.5), ("often", 9.0), ("often", 13.0)]


def test_a_steps_clock_stands_in_a_pause_and_the_runs_does_not() -> None:
    of_step = MarkerRule("step", at_s=10.0)
    log = Log(program(marked(rest(100.0), of_step), markers=(MarkerRule("run", at_s=50.0),), rule=RARELY))
    log.sample(0.0)
    log.sample(5.0)
    log.pause(5.0)
    log.resume(105.0)
    log.sample(105.0)
    assert when(log) == [("run", 105.0)], "passed meanwhile"
    assert sequencer.next_due(log.program, log.state) == approx(T0 + 110.0, abs=1e-5)
    log.sample(110.0)
    assert when(log)[1:] == [("step", 110.0)]


def test_a_programs_markers_go_through_the_steps_and_trigger() -> None:
    rule = MarkerRule("image", trigger=True, every_s=20.0)
    log = Log(program(charge(time=15.0), discharge(time=15.0), rest(15.0), markers=(rule,), rule=RARELY))
    simulate(log, Capacitor(), poll_s=100.0)
    assert when(log) == [("image", 20.0), ("image", 40.0)]
    assert [one.step_name for one in log.markers] == ["discharge", "rest"]
    assert sum(isinstance(command, PulseTrigger) for command in log.commands) == 2


def test_a_marker_at_the_very_end_of_a_step_comes_before_the_next_one() -> None:
    log = Log(program(marked(rest(10.0), MarkerRule("end", trigger=True, at_s=10.0)), charge(time=10.0)))
    simulate(log, Capacitor())
    assert [(one.name, one.step) for one in log.markers] == [("end", 1)]
    assert log.commands[1:3] == [HoldCurrent(1e-3), PulseTrigger("end")]


def test_samples_far_apart_make_one_marker_of_many() -> None:
    log = Log(program(marked(rest(1e6), MarkerRule("often", every_s=1.0)), rule=RARELY))
    log.sample(0.0)
    log.sample(100.5)
    log.sample(100.9)
    log.sample(101.0)
    assert when(log) == [("often", 100.5), ("often", 101.0)]


# --- by the state of charge


def soc(*values: float) -> MarkerRule:
    return MarkerRule("soc", states_of_charge=values)


def at_soc(log: Log, *socs: float) -> list[int]:
    """How many markers there are after each, of a cell of 1 mAh."""
    time, before, counts = 0.0, log.program.state_of_charge or 0.0, []
    for value in socs:
        if log.state.latest is None:
            log.sample(0.0, 3.0, 1.0)
        time += 1.0
        current_A = 2 * (value - before) * 3.6 - (log.state.previous.current_A if log.state.previous else 0.0)
        log.sample(time, 3.0, current_A)
        before = value
        counts.append(len(log.markers))
    return counts


def test_states_of_charge_are_passed_in_either_direction() -> None:
    step = replace(charge(), ends=())
    log = Log(program(step, markers=(soc(0.25, 0.5),), capacity_Ah=1e-3, state_of_charge=0.1))
    assert at_soc(log, 0.2, 0.26, 0.3, 0.24, 0.6, 0.55, 0.1) == [0, 1, 1, 2, 3, 3, 4]
    assert [one.state_of_charge for one in log.markers] == approx([0.26, 0.24, 0.6, 0.1])


def test_the_state_of_charge_that_a_run_begins_with_counts_and_what_is_left_does_not() -> None:
    step = replace(charge(), ends=())
    log = Log(program(step, markers=(soc(0.5),), capacity_Ah=1e-3, state_of_charge=0.5))
    log.sample(0.0, 3.0, 1e-3)
    assert when(log) == [("soc", 0.0)]
    log.sample(1.0, 3.0, 1e-3)
    log.sample(2.0, 3.0, 1e-3)
    assert len(log.markers) == 1


def test_an_unknown_state_of_charge_marks_nothing() -> None:
    log = Log(program(charge(time=10.0), markers=(soc(0.5),), state_of_charge=0.5))
    simulate(log, Capacitor())
    assert log.markers == []


def test_a_checkpoint_neither_loses_nor_doubles_a_marker() -> None:
    rules = MarkerRule("a", at_s=5.0), MarkerRule("b", every_s=3.0), soc(0.5)
    log = Log(program(charge(time=20.0), markers=rules, capacity_Ah=1e-3, state_of_charge=0.497))
    for at in range(21):
        log.state = sequencer.load(sequencer.dump(log.state))
        log.sample(float(at), 3.0, 1e-3)
    assert [name for name, _ in when(log)] == ["b", "a", "b", "b", "soc", "b", "b", "b"]


# --- recording


@pytest.mark.parametrize(
    ("rule", "samples", "recorded"),
    [
        ({"current_A": 1e-4}, [(1.0, 1.0e-3, 20.0), (1.0, 1.09e-3, 20.0), (1.0, 1.11e-3, 20.0)], [0, 2]),
        ({"temperature_K": 0.5}, [(1.0, 0.0, 20.0), (1.0, 0.0, 20.4), (1.0, 0.0, 20.6), (1.0, 0.0, None)], [0, 2]),
        ({"temperature_K": 0.5}, [(1.0, 0.0, None), (1.0, 0.0, 20.0), (1.0, 0.0, 19.6)], [0, 1]),
        ({}, [(1.0, 1.0, 20.0), (2.0, 2.0, 30.0)], [0]),
    ],
)
def test_changes(rule: dict[str, float], samples: list[tuple[float, float, float]], recorded: list[int]) -> None:
    log = Log(program(rest(1e6), rule=RecordRule(1e6, **rule)))
    for at, (voltage_V, current_A, temperature_degC) in enumerate(samples):
        log.sample(at, voltage_V, current_A, temperature_degC=temperature_degC)
    assert [row.time - T0 for row in log.readings] == recorded


def test_each_step_begins_with_its_burst() -> None:
    rule = RecordRule(10.0, burst_every_s=0.5, burst_s=2.0)
    log = Log(program(rest(15.0), rest(12.0), rule=rule))
    simulate(log, Capacitor(), poll_s=100.0)
    burst = [0.0, 0.5, 1.0, 1.5, 2.0]
    times = [round(row.step_time_s, 3) for row in log.readings]
    assert times == [*burst, 12.0, 15.0, *burst, 12.0]


def test_a_step_may_have_a_record_of_its_own() -> None:
    fine = replace(rest(2.0), record=RecordRule(0.5))
    log = Log(program(rest(2.0), fine, rule=RecordRule(10.0)))
    simulate(log, Capacitor(), poll_s=100.0)
    assert [(row.step, round(row.step_time_s, 3)) for row in log.readings] == [
        (1, 0.0),
        (1, 2.0),
        *((2, 0.5 * k) for k in range(5)),
    ]
    assert log.state.phase is Phase.FINISHED
