"""The recorded rows of a step give its charge back, whatever the rule, the samples, the pauses and the gaps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from protocols.program import RecordRule
from station import sequencer
from tests.station.sequences import (
    T0,
    Log,
    assert_charge_balance,
    charge,
    discharge,
    program,
)

currents = st.floats(1e-6, 1e-2)
intervals = st.floats(0.01, 500.0)
rules = st.builds(
    RecordRule,
    st.floats(0.5, 5000.0),
    voltage_V=st.one_of(st.none(), st.floats(1e-4, 0.1)),
    pressure_Pa=st.one_of(st.none(), st.floats(100.0, 1e4)),
)
samples = st.lists(st.tuples(intervals, st.floats(0.0, 4.0), currents, st.floats(1e5, 1e6)), min_size=1, max_size=60)


@given(samples, rules, st.sampled_from([1, -1]))
def test_the_recorded_rows_give_the_charge_back_whatever_the_rule(
    given_samples: list[tuple[float, float, float, float]], rule: RecordRule, sign: int
) -> None:
    log = Log(program(charge(time=1e9) if sign > 0 else discharge(time=1e9), rule=rule))
    at, exact, before = 0.0, 0.0, 0.0
    for interval, voltage, current, pressure in given_samples:
        exact += 0.5 * (before + current) * interval / 3600.0 if log.state.previous else 0.0
        at, before = at + interval, current
        log.sample(at, voltage, sign * current, pressure_Pa=pressure)
    log.take(sequencer.stop(log.program, log.state, T0 + at, "enough"))
    assert log.steps[0].capacity_Ah == approx(sign * exact, rel=1e-9, abs=1e-12)  # a time has 0.2 µs since 1970
    assert log.readings[-1].step_capacity_Ah == log.steps[0].capacity_Ah
    assert log.state.net_capacity_Ah == log.steps[0].capacity_Ah
    assert_charge_balance(log)


@given(samples, rules, st.data())
def test_the_rows_give_the_charge_back_with_pauses_and_gaps_too(
    given_samples: list[tuple[float, float, float, float]], rule: RecordRule, data: st.DataObject
) -> None:
    log = Log(program(charge(time=1e9), rule=rule))
    at = 0.0
    for interval, voltage, current, pressure in given_samples:
        at += interval
        match data.draw(st.sampled_from(["sample"] * 6 + ["pause", "off", "on"])):
            case "pause":
                log.pause(at)
                at += data.draw(intervals) * 100
                log.resume(at)
            case "off":
                log.restore(at, voltage, 0.0, on=False)
            case "on":
                # Of a current that fell in the gap, the stored charge is the exponential's, not the straight line's.
                flowed = log.state.previous.current_A if log.state.previous else 1e-3
                log.restore(at, voltage, flowed, on=True)
            case _:
                log.sample(at, voltage, current, pressure_Pa=pressure)
    log.take(sequencer.stop(log.program, log.state, T0 + at, "enough"))
    if log.readings:
        assert_charge_balance(log)
