"""Set points that go with time, voltage or earlier measurements: what the source is told, and the physics."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from pytest import approx

from protocols.program import (
    ChamberTemperature,
    ConstantCurrent,
    ConstantPower,
    ConstantResistance,
    ConstantVoltage,
    CurrentProfile,
    Kind,
    MeasuredRate,
    Only,
    Quantity,
    Question,
    RecordRule,
    StackPressure,
    Step,
    VoltageRamp,
)
from station import sequencer
from station.commands import (
    Ask,
    Command,
    HoldCurrent,
    HoldVoltage,
    OpenCircuit,
    Rest,
    SetStackPressure,
    SetTemperature,
    Trip,
)
from station.sequencer import Phase
from tests.station.sequences import (
    FILE,
    T0,
    Capacitor,
    Log,
    above,
    assert_charge_balance,
    below,
    charge,
    discharge,
    does,
    end,
    ends,
    program,
    rest,
    simulate,
)

EVERY_SECOND = RecordRule(1.0)


def ramp(to_V: float, start_V: float | None = None, *, rate_V_s: float = 0.01, stair_V: float = 0.1) -> Step:
    return does(Kind.RAMP, VoltageRamp(start_V, to_V, rate_V_s, stair_V))


def told(cell: Capacitor) -> list[tuple[float, Command]]:
    return [(round(at, 6), command) for at, command in cell.told]


# --- constant power and resistance


def test_a_constant_power_takes_its_energy_and_the_charge_that_belongs_to_it() -> None:
    log = Log(program(rest(1), does(Kind.DISCHARGE, ConstantPower(-5e-3), time=3600.0), rule=EVERY_SECOND))
    simulate(log, Capacitor())
    rows = [row for row in log.readings if row.step == 2]
    assert all(row.voltage_V * row.current_A == approx(-5e-3, rel=2e-3) for row in rows[1:])
    by_hand_Ah = sum(
        0.5 * (-5e-3 / one.voltage_V - 5e-3 / other.voltage_V) * (other.step_time_s - one.step_time_s) / 3600
        for one, other in itertools.pairwise(rows)
    )
    assert log.steps[1].energy_Wh == approx(-5e-3, rel=1e-3)
    assert log.steps[1].capacity_Ah == approx(by_hand_Ah, rel=1e-3)
    currents = [command.current_A for command in log.commands if isinstance(command, HoldCurrent)]
    assert all(other < one < 0 for one, other in itertools.pairwise(currents)), "the voltage falls, the current rises"
    assert all(other / one - 1 == approx(1e-3, rel=0.5) for one, other in itertools.pairwise(currents[2:]))
    assert_charge_balance(log)


def test_a_constant_power_charges_too_and_stops_the_source_near_its_end() -> None:
    log = Log(program(rest(1), does(Kind.CHARGE, ConstantPower(3e-3), voltage_above=3.3)))
    simulate(log, Capacitor(ohms=0.0))
    assert log.commands[1] == HoldCurrent(1e-3, 3.3)
    assert log.steps[1].capacity_Ah == approx(10 * 0.3 / 3600, rel=2e-3)
    assert log.steps[1].energy_Wh == approx(10 * (3.3**2 - 3.0**2) / 2 / 3600, rel=2e-3)


def test_a_constant_resistance_discharges_a_capacitor_as_an_exponential() -> None:
    cell = Capacitor(farads=10.0, ohms=0.0)
    log = Log(program(rest(1), does(Kind.DISCHARGE, ConstantResistance(100.0), time=1000.0)))
    simulate(log, cell)
    assert cell.open_V == approx(3.0 * 0.367879, rel=2e-3)
    assert all(row.current_A == approx(-row.voltage_V / 100.0, rel=2e-3) for row in log.readings if row.step == 2)


def test_where_no_voltage_is_known_yet_the_first_sample_brings_it() -> None:
    log = Log(program(does(Kind.DISCHARGE, ConstantPower(-6e-3), time=10.0)))
    assert log.commands == [Rest()]
    assert log.sample(0.0, 3.0, 0.0).commands == (HoldCurrent(-2e-3),)
    assert log.sample(1.0, 2.999, -2e-3).commands == (), "less than 0.1 % off"
    assert log.sample(2.0, 2.5, -2e-3).commands == (HoldCurrent(approx(-2.4e-3)),)


@pytest.mark.parametrize(("voltage_V", "why"), [(0.0, "no current gives"), (-0.1, "no current gives"), (1.0, "limit")])
def test_a_power_that_no_allowed_current_gives_trips_and_is_never_applied(voltage_V: float, why: str) -> None:
    log = Log(program(does(Kind.DISCHARGE, ConstantPower(-6e-3), time=10.0), current_max_A=6e-3))
    log.sample(0.0, 3.0)
    outcome = log.sample(1.0, voltage_V, -2e-3)
    opened, trip = outcome.commands
    assert opened == OpenCircuit() and isinstance(trip, Trip) and why in trip.reason
    assert (log.state.phase, log.state.paused_at) == (Phase.PAUSED, T0 + 1.0)
    assert [command for command in log.commands if isinstance(command, HoldCurrent)] == [HoldCurrent(-2e-3)]
    assert log.readings[-1].voltage_V == voltage_V, "what tripped is on record"


def test_every_current_is_below_the_limit_also_a_written_one() -> None:
    log = Log(program(charge(5e-3, time=1), current_max_A=5e-3))
    assert log.commands[0] == OpenCircuit()
    assert log.commands[1] == Trip("step charge: a current of 5 mA would meet the limit of 5 mA")
    log = Log(program(does(Kind.PROFILE, CurrentProfile((0.0, 5.0), (1e-3, -5e-3)), time=10.0), current_max_A=5e-3))
    simulate(log, Capacitor())
    assert [type(command) for command in log.commands] == [HoldCurrent, OpenCircuit, Trip]


# --- profiles


def test_each_current_of_a_profile_comes_at_its_time() -> None:
    profile = CurrentProfile((0.0, 10.5, 25.0, 30.0), (1e-3, 0.0, -2e-3, 1e-3))
    cell = Capacitor()
    log = Log(program(does(Kind.PROFILE, profile, time=40.0)))
    simulate(log, cell)
    assert told(cell) == [
        (0.0, HoldCurrent(1e-3)),
        (10.5, Rest()),
        (25.0, HoldCurrent(-2e-3)),
        (30.0, HoldCurrent(1e-3)),
        (40.0, OpenCircuit()),
    ]
    assert log.steps[0].capacity_Ah * 3600 == approx(1e-3 * 10.5 - 2e-3 * 5 + 1e-3 * 10, abs=1e-8)
    assert_charge_balance(log)


def test_a_paused_profile_goes_on_where_it_was() -> None:
    profile = CurrentProfile((0.0, 10.0, 20.0), (1e-3, -2e-3, 3e-3))
    log = Log(program(does(Kind.PROFILE, profile, time=30.0)))
    for at in (0.0, 5.0, 10.0, 15.0):
        log.sample(at, 3.0, 1e-3)
    log.pause(15.0)
    assert log.resume(1000.0).commands == (HoldCurrent(-2e-3),)
    log.sample(1000.0, 3.0, -2e-3)
    assert sequencer.next_due(log.program, log.state) == approx(T0 + 1005.0, abs=1e-5)
    assert log.sample(1005.0, 3.0, -2e-3).commands == (HoldCurrent(3e-3),)


def test_a_profile_that_stopped_with_the_station_does_not_leap_over_what_it_missed() -> None:
    profile = CurrentProfile((0.0, 10.0, 20.0), (1e-3, -2e-3, 3e-3))
    log = Log(program(does(Kind.PROFILE, profile, time=1e4)))
    log.sample(0.0, 3.0, 1e-3)
    log.sample(8.0, 3.0, 1e-3)
    log.restore(1008.0, 3.0, -2e-3, on=True)  # it had gone on to the next current before it died
    assert log.commands[-1] == HoldCurrent(1e-3)
    log.sample(1008.0, 3.0, 1e-3)
    assert log.sample(1010.0, 3.0, 1e-3).commands == (HoldCurrent(-2e-3),)
    assert log.sample(1020.0, 3.0, -2e-3).commands == (HoldCurrent(3e-3),)


# --- ramps


def test_a_ramp_is_a_staircase_with_each_stair_at_its_time() -> None:
    cell = Capacitor(farads=1e6)
    log = Log(program(ramp(3.35, 3.0)))
    simulate(log, cell, poll_s=0.7)
    stairs = [(at, command.voltage_V) for at, command in told(cell) if isinstance(command, HoldVoltage)]
    assert [at for at, _ in stairs] == [0.0, 10.0, 20.0, 30.0, 40.0]
    assert [volts for _, volts in stairs] == approx([3.0, 3.1, 3.2, 3.3, 3.35])
    assert told(cell)[-1] == (50.0, OpenCircuit())
    assert log.steps[0].end_reason == "reached 3.35 V"
    assert log.state.phase is Phase.FINISHED


def test_a_ramp_downwards_begins_at_the_voltage_that_it_finds() -> None:
    cell = Capacitor(farads=1e6, open_V=3.2)
    log = Log(program(rest(5.0), ramp(3.0), ramp(3.1, rate_V_s=0.1)))
    simulate(log, cell)
    stairs = [(at, command.voltage_V) for at, command in told(cell) if isinstance(command, HoldVoltage)]
    assert [at for at, _ in stairs] == [5.0, 15.0, 25.0, 35.0, 36.0]
    assert [volts for _, volts in stairs] == approx([3.2, 3.1, 3.0, 3.0, 3.1])


def test_a_ramp_at_the_very_beginning_rests_until_it_knows_where_to_begin() -> None:
    log = Log(program(ramp(3.2)))
    assert log.commands == [Rest()]
    assert log.sample(4.0, 3.0).commands == (HoldVoltage(3.0, None),)
    assert sequencer.next_due(log.program, log.state) == approx(T0 + 14.0, abs=1e-5)
    assert log.sample(14.0, 3.0).commands == (HoldVoltage(approx(3.1), None),)


def test_a_ramp_that_is_looked_at_late_still_holds_its_last_stair_for_its_time() -> None:
    log = Log(program(ramp(3.2, 3.0)))
    log.sample(0.0, 3.0)
    assert log.sample(1000.0, 3.0).commands == (HoldVoltage(3.2, None),)
    log.sample(1009.0, 3.2)
    assert log.state.phase is Phase.RUNNING
    log.sample(1010.0, 3.2)
    assert log.state.phase is Phase.FINISHED


def test_a_ramp_that_is_there_already_is_one_stair() -> None:
    log = Log(program(ramp(3.0, 3.0)))
    log.sample(0.0, 3.0)
    assert log.state.phase is Phase.RUNNING
    log.sample(10.0, 3.0)
    assert log.steps[0].end_reason == "reached 3 V"


def test_a_ramp_ends_by_current_and_keeps_its_limit() -> None:
    step = replace(ramp(4.0, 3.0), ends=ends(current_above=1e-3))
    limited = replace(step, setpoint=VoltageRamp(3.0, 4.0, 0.01, 0.1, current_max_A=5e-3))
    log = Log(program(limited))
    assert log.commands == [HoldVoltage(3.0, 5e-3)]
    log.sample(0.0, 3.0, 5e-4)
    log.sample(1.0, 3.0, -1e-3)
    assert log.steps[0].end_reason == "current ≥ 1 mA"


def test_a_paused_ramp_goes_on_from_where_its_clock_stands() -> None:
    log = Log(program(ramp(4.0, 3.0)))
    for at in range(0, 26, 5):
        log.sample(at, 3.0)
    assert log.commands[-1] == HoldVoltage(approx(3.2), None)
    log.pause(27.0)
    assert log.resume(5027.0).commands == (HoldVoltage(approx(3.2), None),)
    log.sample(5027.0, 3.2)
    assert sequencer.next_due(log.program, log.state) == approx(T0 + 5030.0, abs=1e-5)
    assert log.sample(5030.0, 3.2).commands == (HoldVoltage(approx(3.3), None),)


@pytest.mark.parametrize("voltage_V", [3.2, 3.1, 3.3])
def test_a_ramp_that_stopped_with_the_station_goes_on_with_the_next_stair(voltage_V: float) -> None:
    """The source held a stair, perhaps one that the checkpoint did not know of, and 2 mA flowed."""
    log = Log(program(ramp(4.0, 3.0)))
    for at in range(0, 26, 5):
        log.sample(at, 3.2, 2e-3)
    before_Ah = log.state.step_capacity_Ah
    log.restore(1025.0, voltage_V, 2e-3, on=True)
    assert log.commands[-1] == HoldVoltage(approx(3.2), None)
    assert log.state.step_capacity_Ah - before_Ah == approx(2e-3 * 1000 / 3600)
    assert log.sample(1029.0, 3.2, 2e-3).commands == ()
    assert log.sample(1030.0, 3.2, 2e-3).commands == (HoldVoltage(approx(3.3), None),)


def test_a_source_at_quite_another_voltage_does_not_carry_out_the_ramp() -> None:
    log = Log(program(ramp(4.0, 3.0)))
    log.sample(0.0, 3.0, 2e-3)
    log.sample(5.0, 3.0, 2e-3)
    before_Ah = log.state.step_capacity_Ah
    log.restore(1005.0, 3.4, 2e-3, on=True)
    assert log.state.step_capacity_Ah == before_Ah
    assert log.commands[-1] == HoldVoltage(3.0, None)


# --- a voltage above that of the beginning


def test_a_hold_above_the_rest_voltage_keeps_its_voltage_over_a_pause_and_a_crash() -> None:
    step = does(Kind.HOLD, ConstantVoltage(0.01, 1e-3, above_rest=True), time=100.0)
    log = Log(program(rest(5.0), step))
    log.sample(0.0, 3.0)
    log.sample(5.0, 3.001)
    assert log.commands[-1] == HoldVoltage(approx(3.011), 1e-3)
    log.sample(6.0, 3.011, 5e-4)
    log.pause(7.0)
    assert log.resume(20.0).commands == (HoldVoltage(approx(3.011), 1e-3),)
    assert log.restore(30.0, 3.011, 1e-4, on=True).commands == (HoldVoltage(approx(3.011), 1e-3),)
    assert Log(program(step)).commands == [Rest()]


# --- rates of what was measured


def formation(*after: Step | Only, **more: float) -> Log:
    """A discharge of 1 mA for half an hour, then the rest."""
    log = Log(program(discharge(1e-3, time=1800.0), *after, **more))
    log.sample(0.0, 3.0, -1e-3)
    log.sample(1800.0, 3.0, -1e-3)
    return log


def test_a_rate_of_a_measured_step_is_per_hour_of_its_charge() -> None:
    half_C = does(Kind.CHARGE, MeasuredRate(0.5, 0), voltage_above=3.5, time=60.0)
    third_C = does(Kind.DISCHARGE, MeasuredRate(-1 / 3, 0), time=60.0)
    log = formation(half_C, third_C)
    assert log.commands[-1] == HoldCurrent(approx(0.25e-3), 3.5)
    log.sample(1800.0, 3.0, 0.25e-3)
    log.sample(1860.0, 3.0, 0.25e-3)
    assert log.commands[-1] == HoldCurrent(approx(-0.5e-3 / 3))


def test_a_rate_refers_to_the_last_time_that_the_step_was_executed_and_holds_with_its_current() -> None:
    cccv = Step(Kind.CHARGE, "charge", FILE, 1, MeasuredRate(1.0, 0), 3.5, ends(time=1e6))
    log = formation(cccv)
    log.sample(1800.0, 3.5, 0.5e-3)
    assert log.commands[-1] == HoldVoltage(3.5, approx(0.5e-3))


@pytest.mark.parametrize(
    ("after", "limit_A", "why"),
    [
        (MeasuredRate(2.5, 0), 1.1e-3, "limit"),
        (MeasuredRate(2.0, 2), 1.0, "not executed"),
    ],
)
def test_a_rate_that_cannot_be_set_trips(after: MeasuredRate, limit_A: float, why: str) -> None:
    log = formation(Only(3, every=2), charge(time=1.0), does(Kind.CHARGE, after, time=1.0), current_max_A=limit_A)
    assert log.commands[-2] == OpenCircuit()
    assert isinstance(trip := log.commands[-1], Trip) and why in trip.reason and "step charge" in trip.reason
    assert log.state.phase is Phase.PAUSED
    assert isinstance(log.resume(2000.0).commands[-1], Trip), "nothing has changed"
    log.skip(2001.0)
    assert log.state.phase is Phase.FINISHED


def test_a_rate_of_a_step_without_charge_trips() -> None:
    log = Log(program(charge(time=0.5), does(Kind.CHARGE, MeasuredRate(1.0, 0), time=1.0)))
    log.sample(0.6, 3.0, 1e-3)
    assert isinstance(trip := log.commands[-1], Trip) and "passed no charge" in trip.reason


# --- steps that rest, and ask others


@pytest.mark.parametrize(
    ("step", "command"),
    [
        (does(Kind.TEMPERATURE, ChamberTemperature(45.0), time=10.0), SetTemperature(45.0)),
        (does(Kind.STACK_PRESSURE, StackPressure(2e6), time=10.0), SetStackPressure(2e6)),
        (does(Kind.PROMPT, Question("Valve closed?"), time=10.0), Ask("Valve closed?")),
    ],
)
def test_a_step_of_others_rests_the_cell_first(step: Step, command: Command) -> None:
    log = Log(program(charge(time=5.0), step))
    log.sample(0.0, 3.0, 1e-3)
    assert log.sample(5.0, 3.0, 1e-3).commands == (Rest(), command)
    log.sample(5.0, 3.0)
    log.pause(6.0)
    assert log.resume(100.0).commands == (Rest(), command)
    assert log.restore(101.0, 3.0, 0.0, on=True).commands == (Rest(), command)
    log.sample(114.0, 3.0)
    assert log.state.phase is Phase.FINISHED


def test_a_question_waits_for_its_answer() -> None:
    log = Log(program(does(Kind.PROMPT, Question("Valve closed?")), charge(time=5.0)))
    log.sample(0.0, 3.0)
    log.sample(1e6, 3.0)
    assert log.state.step == 1
    log.pause(1e6)
    assert log.confirm(1e6).commands == (), "a paused step is not confirmed"
    log.resume(1e6)
    log.confirm(1e6 + 1, "yes, by Ada")
    assert log.steps[0].end_reason == "confirmed: yes, by Ada"
    assert log.commands[-1] == HoldCurrent(1e-3)
    assert log.confirm(1e6 + 2).commands == (), "nobody was asked"


def test_a_signed_current_of_zero_is_a_rest() -> None:
    assert Log(program(does(Kind.CHARGE, ConstantCurrent(0.0), time=1.0))).commands == [Rest()]


# --- after a crash


def test_a_power_that_the_voltage_had_changed_since_the_checkpoint_is_recognised() -> None:
    log = Log(program(rest(1.0), does(Kind.DISCHARGE, ConstantPower(-6e-3), time=1e6)))
    log.sample(0.0, 3.0)
    log.sample(1.0, 3.0)
    for at in (1.0, 2.0):
        log.sample(at, 3.0, -2e-3)
    outcome = log.restore(1002.0, 2.8, -2.1e-3, on=True)
    assert outcome.commands == (HoldCurrent(approx(-6e-3 / 2.8)),)
    assert log.state.step_capacity_Ah == approx(-2.05e-3 * 1000 / 3600 - 2e-3 / 3600, rel=1e-3)


def test_a_power_is_not_taken_for_another_ones_current() -> None:
    log = Log(program(rest(1.0), does(Kind.DISCHARGE, ConstantPower(-6e-3), time=1e6)))
    log.sample(0.0, 3.0)
    log.sample(1.0, 3.0)
    log.sample(1.0, 3.0, -2e-3)
    log.restore(1002.0, 2.8, -4e-3, on=True)
    assert log.state.step_capacity_Ah == 0.0


def test_ends_with_several_conditions_do_not_stop_the_source() -> None:
    both = end(above(Quantity.VOLTAGE, 3.3), above(Quantity.TIME, 10.0))
    late = end(above(Quantity.VOLTAGE, 3.4), for_s=5.0)
    alone = end(above(Quantity.VOLTAGE, 3.5))
    other = end(below(Quantity.VOLTAGE, 1.0))
    step = replace(charge(), ends=(both, late, alone, other))
    assert Log(program(step)).commands == [HoldCurrent(1e-3, 3.5)]
