"""Loops, jumps and what comes only in some passes."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

from pytest import approx

from protocols.program import Condition, Marker, Only, Program, Quantity, Repeat, Step, Then
from station import sequencer
from station.commands import Finish, HoldCurrent, OpenCircuit, Rest, Trip
from station.sequencer import Phase
from station.sequencer.plan import _PLANS
from tests.station.sequences import (
    FILE,
    T0,
    Capacitor,
    Log,
    above,
    below,
    charge,
    discharge,
    end,
    ends,
    impedance,
    program,
    rest,
    simulate,
)


def named(name: str, step: Step) -> Step:
    return replace(step, name=name)


def executed(*operations: object, **more: object) -> list[str]:
    log = Log(program(*operations, **more))  # type: ignore[arg-type]
    simulate(log, Capacitor())
    return [step.step_name for step in log.steps]


A, B, C = (named(name, rest(1.0)) for name in "abc")


def leading(step: Step, then: int | Then) -> Step:
    """Ended by its time, and then there."""
    return replace(step, ends=(end(above(Quantity.TIME, 1.0), then=then),))


# --- only


def test_only_in_some_passes_of_the_loop_around() -> None:
    log = executed(Only(2, every=2, loop=3), A, B, Repeat(0, 5))
    assert "".join(log) == "babbabb"
    assert "".join(executed(Only(2, first=2, loop=3), A, B, Repeat(0, 4))) == "ababbb"
    assert "".join(executed(Only(2, after=2, loop=3), A, B, Repeat(0, 4))) == "bbabab"


def test_only_by_an_outer_loops_passes() -> None:
    inner = (Only(2, every=2, loop=4), A, B, Repeat(0, 2), Repeat(0, 3))
    assert "".join(executed(*inner)) == "bbababbb"


def test_only_in_some_cycles_of_the_run() -> None:
    body = (named("d", discharge(time=1.0)), named("c", charge(time=1.0)), Only(4, every=2), A, Repeat(0, 4))
    assert "".join(executed(*body)) == "dcdcadcdca"


# --- jumps


def test_a_jump_forwards_passes_over_and_backwards_does_again() -> None:
    assert "".join(executed(leading(A, 2), B, C)) == "ac"
    again = replace(
        B, ends=(end(above(Quantity.TOTAL_CAPACITY, 2.5e-3 / 3600.0)), end(above(Quantity.TIME, 1), then=0))
    )
    assert "".join(executed(named("c", charge(time=1.0)), again)) == "cbcbcb"


def test_a_jump_out_of_a_loop_begins_it_anew() -> None:
    """GITT: pulses until a voltage, then on; and the whole of it a second time."""
    pulse = named("p", replace(charge(), ends=(end(above(Quantity.VOLTAGE, 3.0), then=3), *ends(time=1.0))))
    log = Log(program(pulse, A, Repeat(0, 4), B, Repeat(0, 2)))
    for at, volts in enumerate((0, 0, 0, 0, 0, 9, 0, *(0 for _ in range(20)))):
        log.sample(at * 1.001, float(volts), 1e-3 if isinstance(log.commands[-1], HoldCurrent) else 0.0)
    assert "".join(step.step_name for step in log.steps).startswith("papapb" + "papapapa" + "b")
    assert log.state.phase is Phase.FINISHED


def test_a_jump_within_a_loop_keeps_its_passes() -> None:
    """The next pass, by a jump to the loop's end; the last one still is the last."""
    assert "".join(executed(leading(A, 2), B, Repeat(0, 3), C)) == "aaac"


def test_a_jump_into_the_outer_loop_ends_the_inner_one_alone() -> None:
    skipping = replace(A, ends=(end(above(Quantity.TIME, 1.0), then=3),))
    assert "".join(executed(skipping, B, Repeat(0, 3), C, Repeat(0, 2))) == "acac"


# --- ends of loops


def test_a_loop_goes_on_until_an_end_is_met_and_at_most_its_count() -> None:
    spent = end(above(Quantity.TOTAL_CAPACITY, 2.5e-3 / 3600.0))
    body = (named("c", charge(time=1.0)), Repeat(0, 9, (spent,)), A)
    assert "".join(executed(*body)) == "ccca"
    assert "".join(executed(body[0], Repeat(0, 2, (spent,)), A)) == "cca"


def test_a_loop_that_an_end_has_left_begins_anew_in_the_loop_around() -> None:
    by_voltage = end(above(Quantity.VOLTAGE, 3.0))
    log = Log(program(A, Repeat(0, 3, (by_voltage,)), B, Repeat(0, 2)))
    for at, volts in enumerate((0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)):
        log.sample(at * 1.001, float(volts))
    assert "".join(step.step_name for step in log.steps) == "aab" + "aaab"


def test_a_loops_end_leads_where_it_says() -> None:
    assert "".join(executed(A, Repeat(0, 9, (end(above(Quantity.TIME, 0.0), then=3),)), B, C)) == "ac"


def test_a_potential_that_alternates_between_two_ends() -> None:
    """The first end that is met decides: a cell is charged to 3.2 V and discharged to 2.8 V, three times."""
    up = named("+", replace(charge(5e-3), ends=(end(above(Quantity.VOLTAGE, 3.2)),)))
    down = named("-", replace(discharge(5e-3), ends=(end(below(Quantity.VOLTAGE, 2.8)),)))
    log = Log(program(up, down, Repeat(0, 3)))
    simulate(log, Capacitor(ohms=0.0))
    assert "".join(step.step_name for step in log.steps) == "+-" * 3
    assert [step.capacity_Ah * 3600 for step in log.steps] == approx([2, -4, 4, -4, 4, -4], abs=0.02)


# --- what does nothing


def test_a_loop_that_does_nothing_does_not_hang_but_trips() -> None:
    log = Log(program(A, Only(3, every=1000), B, Repeat(1, 10**9), C))
    log.sample(0.0)
    log.sample(1.0)
    assert log.commands[-2] == OpenCircuit()
    assert log.commands[-1] == Trip("100000 operations were passed without a step to carry out: these loops do nothing")
    assert log.state.phase is Phase.PAUSED and sequencer.load(sequencer.dump(log.state)) == log.state
    log.resume(2.0)
    assert isinstance(log.commands[-1], Trip), "it goes on, and does nothing again"
    log.take(sequencer.stop(log.program, log.state, T0 + 3.0, "enough"))
    assert [step.step_name for step in log.steps] == ["a"]


def test_jumps_that_do_nothing_trip_too() -> None:
    log = Log(program(Marker("here", False, FILE, 1), Repeat(0, 2, (end(below(Quantity.CYCLE, 5), then=0),)), A))
    assert isinstance(log.commands[-1], Trip)
    assert sequencer.current_step(log.program, log.state) is A
    assert log.resume(1.0).commands[0] == OpenCircuit()


def test_a_program_whose_steps_are_all_passed_over_is_done() -> None:
    log = Log(program(Only(2, every=2), A, Marker("end", True, FILE, 1)))
    assert [type(command).__name__ for command in log.commands] == ["OpenCircuit", "PulseTrigger", "Finish"]
    assert log.markers[0].step == 0
    assert Log(program(Marker("alone", False, FILE, 1))).commands == [OpenCircuit(), Finish()]


def test_deep_loops_are_passed_in_no_time() -> None:
    loops = [Repeat(0, 3) for _ in range(8)]
    log = Log(program(named("x", charge(time=0.5)), *loops))
    for at in range(3**8):
        assert log.state.phase is Phase.RUNNING
        log.sample(float(at), 3.0, 1e-3)
        if log.state.phase is Phase.RUNNING:
            log.sample(at + 0.6, 3.0, 1e-3)
    assert len(log.steps) == 3**8 and log.state.phase is Phase.FINISHED


def test_a_sweep_in_a_loop_counts_on() -> None:
    log = Log(program(rest(1.0), impedance(), Repeat(0, 3)))
    simulate(log, Capacitor())
    assert [one.number for one in log.spectra] == [1, 2, 3]
    assert log.commands[-3] != Rest()


# --- what is kept of a program


def test_what_was_planned_goes_with_its_program() -> None:
    spent = Condition(Quantity.STATE_OF_CHARGE, True, 0.5)
    kept = Condition(Quantity.RETENTION, False, 0.8, reference_cycle=1)

    def made() -> tuple[weakref.ref[Program], int]:
        one = program(replace(charge(), ends=(end(spent), end(kept))), Repeat(0, 2, (end(kept),)), capacity_Ah=1.0)
        sequencer.begin(one, 0.0)
        assert id(one) in _PLANS
        return weakref.ref(one), id(one)

    gone, key = made()
    gc.collect()
    assert gone() is None and key not in _PLANS
