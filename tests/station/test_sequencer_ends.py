"""What ends a step or a loop, by each quantity, and where it leads."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from pytest import approx

from protocols.program import Condition, End, Kind, Quantity, RecordRule, Repeat, ShortCriteria, Step, Then, VoltageRamp
from station import sequencer
from station.commands import Finish, HoldCurrent, OpenCircuit, Rest, Trip
from station.sequencer import Phase, Sample
from tests.station.sequences import (
    T0,
    Capacitor,
    Log,
    above,
    below,
    charge,
    discharge,
    does,
    end,
    hold,
    program,
    rest,
    simulate,
)

MV_H = 1e-3 / 3600.0


def until(step: Step, *its_ends: End) -> Step:
    return replace(step, ends=its_ends)


# --- each quantity, at its very value


Q = Quantity


@pytest.mark.parametrize(
    ("condition", "before", "at"),
    [
        (above(Q.ENERGY, 1e-3), (1799.0, 2.0, -1e-3), (1800.0, 2.0, -1e-3)),
        (above(Q.TOTAL_CAPACITY, 0.5e-3), (1799.0, 2.0, -1e-3), (1800.0, 2.0, -1e-3)),
        (below(Q.NET_CAPACITY, -0.5e-3), (1799.0, 2.0, -1e-3), (1800.0, 2.0, -1e-3)),
        (above(Q.NET_CAPACITY, 0.5e-3), (1799.0, 2.0, -1e-3), (5400.0, 2.0, 1e-3)),
        (below(Q.STATE_OF_CHARGE, 0.25), (1799.0, 2.0, -1e-3), (1800.0, 2.0, -1e-3)),
        (above(Q.TIME, 100.0), (99.999, 2.0, -1e-3), (100.0, 2.0, -1e-3)),
    ],
)
def test_sums(condition: Condition, before: tuple[float, ...], at: tuple[float, ...]) -> None:
    log = Log(program(until(discharge(), End((condition,))), state_of_charge=0.5, capacity_Ah=2e-3))
    log.sample(0.0, 2.0, -1e-3)
    log.sample(*before)
    assert log.state.phase is Phase.RUNNING
    if at[2] > 0:  # from then on it is charged
        log.sample(before[0], 2.0, at[2])
        log.sample(before[0] + 3595.0, 2.0, at[2])
        assert log.state.phase is Phase.RUNNING
        at = (before[0] + 3602.0, *at[1:])
    log.sample(*at)
    assert log.state.phase is Phase.FINISHED
    assert log.steps[0].end_reason == str(condition)


def test_sums_of_the_run_go_on_through_the_steps() -> None:
    total = end(above(Q.TOTAL_CAPACITY, 1e-3))
    log = Log(program(charge(time=1800.0), until(discharge(), total)))
    simulate(log, Capacitor())
    assert log.steps[1].end_time == approx(T0 + 3600.0, abs=1.0)
    assert log.state.net_capacity_Ah == approx(0.0, abs=1e-6)
    assert log.state.total_capacity_Ah == approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("known", [{}, {"state_of_charge": 0.5}, {"capacity_Ah": 1e-3}])
def test_a_state_of_charge_that_nobody_knows_ends_nothing(known: dict[str, float]) -> None:
    log = Log(program(until(charge(), end(above(Q.STATE_OF_CHARGE, -1e9))), **known))
    log.sample(0.0)
    assert log.state.phase is Phase.RUNNING


def test_a_temperature() -> None:
    log = Log(program(until(rest(1.0), end(above(Q.TEMPERATURE, 60.0)))))
    log.sample(0.0)
    log.sample(1.0, temperature_degC=59.9)
    assert log.state.phase is Phase.RUNNING
    log.sample(2.0, temperature_degC=60.0)
    assert log.steps[0].end_reason == "temperature ≥ 60 °C"


@pytest.mark.parametrize("sign", [1, -1])
def test_a_pressure_change_is_a_magnitude_from_the_steps_first_pressure(sign: int) -> None:
    log = Log(program(rest(1.0), until(rest(1.0), end(above(Q.PRESSURE_CHANGE, 1e4)))))
    log.sample(0.0, pressure_Pa=9e5)
    log.sample(1.0, pressure_Pa=9e5)
    log.sample(1.0)
    log.sample(2.0, pressure_Pa=math.nan)
    log.sample(3.0, pressure_Pa=5e5)
    log.sample(4.0, pressure_Pa=5e5 + sign * 9999.0)
    assert log.state.phase is Phase.RUNNING
    log.sample(5.0, pressure_Pa=5e5 + sign * 1e4)
    assert log.state.phase is Phase.FINISHED


def test_minus_delta_V_ends_below_the_highest_voltage_of_the_step() -> None:
    """As a nickel cell is charged: over the hump, and down by 10 mV."""
    log = Log(program(rest(1.0), until(charge(), end(above(Q.VOLTAGE_DROP, 0.01)))))
    log.sample(0.0, 5.0)
    log.sample(1.0, 5.0)  # a step before had been higher
    for at, voltage in ((1.0, 1.30), (2.0, 1.295), (3.0, 1.45), (4.0, 1.50), (5.0, 1.4901)):
        log.sample(at, voltage, 1e-3)
        assert log.state.step == 2
    log.sample(6.0, 1.49, 1e-3)
    assert log.state.phase is Phase.FINISHED
    assert log.steps[1].end_reason == "voltage drop ≥ 10 mV"


def test_a_short_shows_in_a_discharge_as_a_rise_from_the_lowest_voltage() -> None:
    log = Log(program(until(discharge(), end(above(Q.VOLTAGE_DROP, 0.05)))))
    for at, voltage in ((0.0, -0.02), (1.0, -0.10), (2.0, -0.051)):
        log.sample(at, voltage, -1e-3)
        assert log.state.phase is Phase.RUNNING
    log.sample(3.0, -0.049, -1e-3)
    assert log.state.phase is Phase.FINISHED


def shorted(short_at_s: float, *, pause_at_s: float | None = None) -> Log:
    """60 s of discharge of a symmetric cell, whose polarisation of 100 mV falls to a fifth; kept and read back."""
    signs = Condition(Q.SHORT_CIRCUIT, True, 1.0, short=ShortCriteria())
    log = Log(program(until(discharge(), End((signs,), Then.FINISH), end(above(Q.TIME, 60.0)))))
    for second in range(61):
        if log.state.phase is not Phase.RUNNING:
            break
        if second == pause_at_s:
            log.pause(second)
            log.resume(second)
        log.state = sequencer.load(sequencer.dump(log.state))
        log.sample(float(second), -0.1 if second < short_at_s else -0.02, -1e-3)
    return log


def test_a_short_circuit_ends_the_step_at_its_second_sample() -> None:
    log = shorted(30.0)
    assert log.state.phase is Phase.FINISHED
    assert log.steps[0].end_reason == "short circuit"
    assert log.steps[0].end_time == T0 + 31.0
    assert shorted(100.0).steps[0].end_reason.startswith("time")


def test_a_short_circuit_is_not_what_a_pause_makes_of_the_voltage() -> None:
    assert shorted(30.0, pause_at_s=30.0).steps[0].end_reason.startswith("time")


def test_a_current_is_looked_at_in_ramps() -> None:
    ramp = does(Kind.RAMP, VoltageRamp(3.0, 4.0, 1e-3, 1e-3), end(below(Q.CURRENT, 1e-4)))
    log = Log(program(ramp))
    log.sample(0.0, 3.0, 2e-4)
    log.sample(0.5, 3.0, -1e-4)
    assert log.state.phase is Phase.FINISHED


def test_a_ramp_that_has_not_begun_is_not_ended_by_having_no_current() -> None:
    log = Log(program(does(Kind.RAMP, VoltageRamp(None, 4.0, 1e-3, 1e-3), end(below(Q.CURRENT, 1e-4)))))
    log.sample(0.0, 3.0)
    assert log.state.phase is Phase.RUNNING
    log.sample(0.1, 3.0, 1e-4)
    assert log.state.phase is Phase.FINISHED


# --- slopes


def relaxing(log: Log, at: Callable[[float], float], *, every_s: float = 1.0, noise: float = 0.0) -> float:
    """When the run is done, in s since it began; of a voltage over time."""
    random.seed(1)
    time = 0.0
    while log.state.phase is Phase.RUNNING:
        log.sample(time, at(time) + random.gauss(0.0, noise))
        time += every_s
        assert time < 1e5
    return log.steps[-1].end_time - T0


def slope_end(mV_h: float, window_s: float) -> End:
    return end(below(Q.VOLTAGE_SLOPE, mV_h * MV_H, window_s=window_s))


def test_a_slope_counts_when_its_window_is_full() -> None:
    log = Log(program(until(rest(1.0), slope_end(1.0, 60.0))))
    assert relaxing(log, lambda time: 3.0) == 60.0


def test_a_relaxation_ends_where_its_slope_has_fallen_through_the_noise() -> None:
    """100 mV that relax with 30 min, seen with a noise of 50 µV: 1 mV/h is reached after 9537 s."""
    log = Log(program(until(rest(1.0), slope_end(1.0, 600.0)), rule=RecordRule(1e6)))
    ended = relaxing(log, lambda time: 3.0 + 0.1 * math.exp(-time / 1800.0), noise=50e-6)
    assert ended % 600.0 == 0.0
    assert 9600.0 <= ended <= 10200.0


def test_a_slope_is_a_magnitude_and_of_any_sampling() -> None:
    log = Log(program(until(rest(1.0), slope_end(3600.0, 60.0))))  # 1 mV/s
    ended = relaxing(log, lambda time: 3.0 - 2e-3 * min(time, 300.0), every_s=7.0)
    assert ended == 378.0, "the first window of 63 s that is all level began at 315 s"


def test_two_slopes_of_a_step_have_their_own_windows() -> None:
    both = End((slope_end(1.0, 60.0).conditions[0], slope_end(1.0, 100.0).conditions[0]))
    assert relaxing(Log(program(until(rest(1.0), both))), lambda time: 3.0) == 100.0


def test_the_next_sample_is_due_where_a_window_is_full() -> None:
    log = Log(program(until(rest(1.0), slope_end(1.0, 60.0)), rule=RecordRule(1e6)))
    log.sample(5.0)
    assert sequencer.next_due(log.program, log.state) == approx(T0 + 65.0, abs=1e-5)
    log.sample(65.0)
    assert log.state.phase is Phase.FINISHED


def test_a_pressure_that_is_lost_does_not_hurry_the_samples() -> None:
    step = until(rest(1.0), end(below(Q.PRESSURE_SLOPE, 1.0, window_s=60.0)))
    log = Log(program(step, rule=RecordRule(1e6)))
    log.sample(0.0, pressure_Pa=5e5)
    log.sample(100.0)
    assert sequencer.next_due(log.program, log.state) > T0 + 1e5
    log.sample(120.0, pressure_Pa=5e5 + 120.0 * 0.9)
    assert log.state.phase is Phase.FINISHED
    assert log.steps[0].end_reason == "dp/dt ≤ 3.6 kPa/h"


def test_a_slope_of_current_counts_from_where_the_voltage_is_held() -> None:
    step = replace(charge(1e-3, 3.5), ends=(end(below(Q.CURRENT_SLOPE, 1e-7, window_s=10.0)),))
    log = Log(program(step))
    for at in range(0, 100, 5):
        log.sample(at, 3.0, 1e-3)  # level, and means nothing
    log.sample(100.0, 3.5, 1e-3)
    for at in range(101, 111):
        log.sample(at, 3.5, 1e-3 - 1e-4 * (at - 100))
    assert log.state.phase is Phase.RUNNING
    for at in range(111, 122):
        log.sample(at, 3.5, 1e-5)
    assert log.state.phase is Phase.FINISHED


def test_windows_begin_again_after_a_pause() -> None:
    log = Log(program(until(rest(1.0), slope_end(1.0, 60.0))))
    for at in range(0, 51, 10):
        log.sample(at)
    log.pause(50.0)
    log.resume(1000.0)
    for at in range(1000, 1060, 10):
        log.sample(at)
    assert log.state.phase is Phase.RUNNING
    log.sample(1060.0)
    assert log.state.phase is Phase.FINISHED


# --- several conditions, and for a while


def test_all_conditions_of_an_end_are_to_be_met_at_once() -> None:
    both = end(above(Q.VOLTAGE, 3.0), above(Q.TIME, 10.0))
    log = Log(program(until(charge(), both)))
    log.sample(0.0, 3.1)
    log.sample(10.0, 2.9)
    assert log.state.phase is Phase.RUNNING
    log.sample(11.0, 3.0)
    assert log.steps[0].end_reason == "voltage ≥ 3 V and time ≥ 10 s"


def test_the_first_end_in_order_counts() -> None:
    first, second = end(above(Q.VOLTAGE, 3.0), then=2), end(above(Q.TIME, 0.0), then=Then.FINISH)
    log = Log(program(until(charge(), first, second), rest(1.0), rest(2.0)))
    log.sample(0.0, 3.1)
    assert log.state.operation == 2
    log = Log(program(until(charge(), second, first), rest(1.0), rest(2.0)))
    log.sample(0.0, 3.1)
    assert log.commands[-2:] == [OpenCircuit(), Finish()]


def test_an_end_for_a_while_is_to_be_met_at_every_sample() -> None:
    band = end(above(Q.PRESSURE, 4e5), below(Q.PRESSURE, 6e5), for_s=60.0)
    log = Log(program(until(rest(1.0), band), rule=RecordRule(1e6)))
    for at in (0.0, 59.0):
        log.sample(at, pressure_Pa=5e5)
    log.sample(59.5, pressure_Pa=6.1e5)
    log.sample(61.0, pressure_Pa=5e5)
    assert sequencer.next_due(log.program, log.state) == approx(T0 + 121.0, abs=1e-5)
    log.sample(120.0, pressure_Pa=5e5)
    assert log.state.phase is Phase.RUNNING
    log.sample(121.0, pressure_Pa=5e5)
    assert log.steps[0].end_reason == "pressure ≥ 400 kPa and pressure ≤ 600 kPa for 60 s"


def test_a_while_begins_again_after_a_pause_and_a_crash() -> None:
    step = until(rest(1.0), end(below(Q.VOLTAGE, 3.0), for_s=60.0))
    log = Log(program(step))
    log.sample(0.0, 2.0)
    log.sample(59.0, 2.0)
    log.pause(59.0)
    log.resume(100.0)
    log.sample(100.0, 2.0)
    log.sample(159.0, 2.0)
    assert log.state.phase is Phase.RUNNING
    log.restore(500.0, 2.0, 0.0, on=True)
    log.sample(559.0, 2.0)
    assert log.state.phase is Phase.RUNNING
    log.sample(560.0, 2.0)
    assert log.state.phase is Phase.FINISHED


# --- where an end leads


def test_the_end_of_the_run() -> None:
    log = Log(program(until(charge(), end(above(Q.VOLTAGE, 3.0), then=Then.FINISH)), rest(1.0)))
    log.sample(0.0, 3.0)
    assert log.commands[-2:] == [OpenCircuit(), Finish()]
    assert (log.state.phase, len(log.steps)) == (Phase.FINISHED, 1)


def test_a_trip_pauses_in_the_step_and_a_person_goes_on_or_skips() -> None:
    short = end(above(Q.VOLTAGE_DROP, 0.05), then=Then.TRIP)
    log = Log(program(until(charge(), short), rest(1.0)))
    log.sample(0.0, 3.0, 1e-3)
    log.sample(1.0, 2.9, 1e-3)
    assert log.commands[-2:] == [OpenCircuit(), Trip("step charge: voltage drop ≥ 50 mV")]
    assert (log.state.phase, log.state.paused_at, log.steps) == (Phase.PAUSED, T0 + 1.0, [])
    assert log.readings[-1].voltage_V == 2.9, "what tripped is on record"
    assert log.resume(100.0).commands == (HoldCurrent(1e-3),)
    log.sample(100.0, 2.96, 1e-3)
    assert log.state.phase is Phase.RUNNING
    log.sample(101.0, 2.94, 1e-3)
    assert log.state.phase is Phase.PAUSED
    log.skip(200.0)
    assert log.commands[-1] == Rest()
    assert [step.end_reason for step in log.steps] == ["skipped"]


def test_the_end_of_a_loop_may_finish_or_trip() -> None:
    body = (charge(time=5.0), discharge(time=5.0))
    log = Log(program(*body, Repeat(0, 9, (end(above(Q.CYCLE, 2), then=Then.FINISH),)), rest(5.0)))
    simulate(log, Capacitor())
    assert [step.cycle for step in log.steps] == [1, 1, 2, 2]
    log = Log(program(*body, Repeat(0, 9, (end(above(Q.CYCLE, 2), then=Then.TRIP),)), rest(5.0)))
    simulate(log, Capacitor())
    assert log.commands[-2:] == [OpenCircuit(), Trip("at the end of the loop: cycle ≥ 2")]
    assert len(log.steps) == 4, "the last step is over"
    assert log.restore(30.0, 3.0, 0.0, on=False).commands == (OpenCircuit(),)
    for go_on in (sequencer.resume, sequencer.skip):
        after = go_on(log.program, log.state, T0 + 100.0)
        assert (after.commands, after.steps) == ((Rest(),), ())
        assert (after.state.step, after.state.step_start_time) == (5, T0 + 100.0)
    stopped = sequencer.stop(log.program, log.state, T0 + 100.0, "enough")
    assert (stopped.steps, stopped.state.phase) == ((), Phase.STOPPED), "no step is told of twice"


# --- cycles


def cycling(fades: list[tuple[float, float]], *loop_ends: End, count: int = 99) -> Log:
    """Discharges and charges of these mAh at 1 mA, one after the other: what each cycle of a half-cell passes."""
    log = Log(
        program(
            until(discharge(), end(below(Q.VOLTAGE, 1.0))),
            hold(3.0, time=10.0),
            until(charge(), end(above(Q.VOLTAGE, 2.0))),
            Repeat(0, count, loop_ends),
        )
    )
    time = 0.0
    for down_mAh, up_mAh in fades:
        for sign, mAh in ((-1, down_mAh), (0, 0.0), (1, up_mAh)):
            if log.state.phase is not Phase.RUNNING:
                return log
            log.sample(time, 1.5, sign * 1e-3)
            time += mAh * 3600.0 if sign else 10.0
            log.sample(time, {-1: 1.0, 0: 3.0, 1: 2.0}[sign], sign * 1e-3)
    return log


FADING = [(1.2, 1.0), (1.01, 0.95), (0.96, 0.91), (0.91, 0.89), (0.89, 0.84), (0.84, 0.79), (0.79, 0.75)]


def test_a_loop_ends_after_the_very_cycle_in_which_the_retention_fell() -> None:
    log = cycling(FADING, end(below(Q.RETENTION, 0.9, reference_cycle=1)))
    assert log.state.phase is Phase.FINISHED
    assert log.steps[-1].cycle == 4


def test_a_retention_refers_to_its_cycle() -> None:
    log = cycling(FADING, end(below(Q.RETENTION, 0.9, reference_cycle=2)))
    assert log.steps[-1].cycle == 5  # 0.84 of 0.95 mAh
    log = cycling(FADING[:2], end(below(Q.RETENTION, 2.0, reference_cycle=3)))
    assert log.state.phase is Phase.RUNNING, "there is no third cycle yet"


def test_an_efficiency_is_what_came_back_of_what_went_in() -> None:
    assert cycling(FADING, end(above(Q.EFFICIENCY, 0.935))).steps[-1].cycle == 2  # 0.95 of 1.01
    assert cycling(FADING, end(above(Q.EFFICIENCY, 0.97))).steps[-1].cycle == 4
    assert cycling(FADING, end(below(Q.EFFICIENCY, 0.84))).steps[-1].cycle == 1


def test_so_many_cycles() -> None:
    assert cycling(FADING, end(above(Q.CYCLE, 3))).steps[-1].cycle == 3


def test_in_a_step_a_cycle_is_whole_when_the_next_one_has_begun() -> None:
    stops = end(below(Q.EFFICIENCY, 0.84), then=Then.FINISH)
    log = Log(program(until(discharge(), stops, end(above(Q.TIME, 3600.0))), charge(time=2880.0), Repeat(0, 5)))
    simulate(log, Capacitor(farads=1e3), poll_s=720.0)
    assert [step.end_reason for step in log.steps][-1] == "coulombic efficiency ≤ 84 %"
    assert log.steps[-1].cycle == 2
    assert log.steps[-1].end_time == log.steps[-1].start_time, "at its first sample"


def test_a_hold_belongs_to_the_half_cycle_before_it() -> None:
    """Discharge 1 mAh, hold 0.5 mAh more, charge 1.2 mAh: 80 %."""
    log = Log(
        program(
            discharge(time=3600.0),
            hold(1.0, time=3600.0),
            charge(time=1.2 * 3600.0),
            Repeat(0, 2, (end(below(Q.EFFICIENCY, 0.79)),)),
        )
    )
    samples = [
        Sample(T0, 1.0, -1e-3),
        Sample(T0 + 3600.0, 1.0, -1e-3),
        Sample(T0 + 3600.0, 1.0, -1e-3),
        Sample(T0 + 7200.0, 1.0, 0.0),
        Sample(T0 + 7200.0, 1.0, 1e-3),
        Sample(T0 + 7200.0 + 4320.0, 1.0, 1e-3),
    ]
    for sample in samples:
        log.take(sequencer.advance(log.program, log.state, sample))
    assert log.state.cycle_charge == (0.0, 0.0) and log.state.last_cycle == approx((1.5e-3, 1.2e-3))
    assert log.state.cycle == 2
