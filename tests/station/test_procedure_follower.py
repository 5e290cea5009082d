"""Looks at a cycler that runs a procedure of its own, as readings and steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.interface import Activity, CyclerState, Measurement, ProcedureStatus
from protocols.program import RecordRule
from station.procedure_follower import Looked, LookState, dump, ended, load, look
from station.sequencer import Sample

RULE = RecordRule(every_s=10.0)


def shown(step: str, activity: Activity, step_time_s: float, counted_Ah: float | None = None) -> ProcedureStatus:
    return ProcedureStatus(
        CyclerState.RUNNING, "run", "p", step, activity, 0.0, step_time_s, Measurement(3.0, 0.0), counted_Ah
    )


def sample(time_s: float, current_A: float, voltage_V: float = 3.0) -> Sample:
    return Sample(1000.0 + time_s, voltage_V, current_A)


def follow(*looks: tuple[ProcedureStatus, Sample], rule: RecordRule = RULE) -> Looked:
    """All readings and steps of a run that ends after these."""
    whole = Looked(LookState(label="run", start_time=1000.0))
    for status, at in looks:
        one = look(whole.state, rule, status, at)
        whole = Looked(one.state, (*whole.readings, *one.readings), (*whole.steps, *one.steps), one.uncounted_s)
    last = ended(whole.state, "end")
    return Looked(last.state, (*whole.readings, *last.readings), (*whole.steps, *last.steps), whole.uncounted_s)


CHARGE, DISCHARGE, REST = Activity.CHARGE, Activity.DISCHARGE, Activity.REST


def test_steps_are_made_of_what_the_cycler_shows():
    seen = follow(
        (shown("1", REST, 1.0), sample(1.0, 0.0)),
        (shown("1", REST, 5.0), sample(5.0, 0.0)),
        (shown("2", CHARGE, 1.0, 0.01), sample(8.0, 1.0)),
        (shown("2", CHARGE, 5.0, 0.02), sample(12.0, 1.0)),
        (shown("2", CHARGE, 13.0, 0.05), sample(20.0, 1.0)),
    )
    assert [reading.time for reading in seen.readings] == [1001.0, 1005.0, 1008.0, 1020.0]
    assert [reading.sequence for reading in seen.readings] == [1, 2, 3, 4]
    assert [(s.step, s.step_name, s.kind) for s in seen.steps] == [(1, "1 rest", "rest"), (2, "2 charge", "charge")]
    assert seen.steps[1].start_time == 1007.0, "by the cycler's own step time"
    assert seen.steps[1].capacity_Ah == pytest.approx(0.04 + 0.5 * 3.0 / 3600), (
        "its own count, and the trapezoid before"
    )
    assert seen.steps[1].energy_Wh == pytest.approx(3.0 * seen.steps[1].capacity_Ah)


def test_the_same_step_again_is_another_step():
    seen = follow(
        (shown("1", CHARGE, 50.0), sample(50.0, 1.0)),
        (shown("1", CHARGE, 2.0), sample(52.0, 1.0)),
    )
    assert [step.step for step in seen.steps] == [1, 2]


def test_a_cycle_begins_where_the_first_direction_comes_again():
    order = [REST, CHARGE, DISCHARGE, REST, CHARGE, DISCHARGE]
    seen = follow(*((shown(str(n), one, 1.0), sample(10.0 * n + 1, 0.0)) for n, one in enumerate(order)))
    assert [step.cycle for step in seen.steps] == [1, 1, 1, 1, 2, 2]


def test_a_count_that_begins_anew_is_not_taken():
    seen = follow(
        (shown("1", CHARGE, 10.0, 5.0), sample(10.0, 3.6)),
        (shown("1", CHARGE, 20.0, 0.01), sample(20.0, 3.6)),
    )
    assert seen.readings[-1].step_capacity_Ah == pytest.approx(0.01), "3.6 A for 10 s"


def test_a_gap_within_a_step_is_the_cyclers_count_and_one_over_its_end_is_told():
    within = follow(
        (shown("1", CHARGE, 10.0, 1.0), sample(10.0, 1.0)), (shown("1", CHARGE, 3610.0, 2.5), sample(3610.0, 1.0))
    )
    assert (within.readings[-1].net_capacity_Ah, within.uncounted_s) == (1.5, 0.0)
    over = follow(
        (shown("1", CHARGE, 10.0, 1.0), sample(10.0, 1.0)), (shown("2", DISCHARGE, 10.0, 2.5), sample(3610.0, -1.0))
    )
    assert (over.readings[-1].net_capacity_Ah, over.uncounted_s) == (0.0, 3600.0)


def test_changes_and_bursts_are_recorded():
    looks = [(shown("1", CHARGE, float(n)), sample(float(n), 1.0, 3.0 + 0.004 * n)) for n in range(1, 30)]
    by_change = follow(*looks, rule=RecordRule(1e6, voltage_V=0.02))
    assert [r.time - 1000 for r in by_change.readings] == [1.0, 6.0, 11.0, 16.0, 21.0, 26.0, 29.0]
    burst = follow(*looks, rule=RecordRule(10.0, burst_every_s=2.0, burst_s=6.0))
    assert [r.time - 1000 for r in burst.readings] == [1.0, 3.0, 5.0, 15.0, 25.0, 29.0]


@given(
    looks=st.lists(
        st.tuples(
            st.sampled_from(["1", "2"]),
            st.sampled_from(list(Activity)),
            st.floats(0.1, 100.0),
            st.floats(-1.0, 1.0),
            st.none() | st.floats(-1.0, 1.0),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_whatever_is_shown_sequence_time_and_charge_go_on(looks):
    now, made = 0.0, []
    for step, activity, gap_s, current_A, counted_Ah in looks:
        now += gap_s
        made.append((shown(step, activity, now % 37.0, counted_Ah), sample(now, current_A)))
    seen = follow(*made)
    assert [reading.sequence for reading in seen.readings] == list(range(1, len(seen.readings) + 1))
    times = [reading.test_time_s for reading in seen.readings]
    assert times == sorted(set(times))
    assert [step.step for step in seen.steps] == list(range(1, len(seen.steps) + 1))
    assert sum(step.capacity_Ah for step in seen.steps) == pytest.approx(seen.readings[-1].net_capacity_Ah, abs=1e-9)
    assert all(step.start_time <= step.end_time for step in seen.steps)


def test_the_state_is_kept_as_text():
    state = look(LookState(label="run", start_time=1000.0), RULE, shown("1", CHARGE, 1.0, 0.5), sample(1.0, 1.0)).state
    assert load(dump(state)) == state
    assert load(dump(replace(state, last=None))).last is None
