"""A cycler's records strung together to a run: steps, signs, charge, cycles, and going on at any record."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from drivers.interface import CyclerRecord
from protocols.limits import Limits
from protocols.program import ConstantCurrent, ConstantVoltage, Kind, Operation, Program, RecordRule, Repeat, Step
from station import follower
from station.follower import FollowState
from station.readings import Reading, StepSummary

T0 = 1_790_000_000.0
REST = Step(Kind.REST, "1 rest", "test.yaml", 1)
CHARGE = Step(Kind.CHARGE, "2 charge", "test.yaml", 2, ConstantCurrent(1e-3))
DISCHARGE = Step(Kind.DISCHARGE, "3 discharge", "test.yaml", 3, ConstantCurrent(-1e-3))
HOLD = Step(Kind.HOLD, "4 hold", "test.yaml", 4, ConstantVoltage(2.0, 1e-3))


def program(*operations: Operation) -> Program:
    return Program("test", "test.yaml", operations, RecordRule(30.0), Limits())


ALL = program(REST, CHARGE, DISCHARGE, HOLD, Repeat(1, 3))


@dataclass
class Recorder:
    """Makes records as a NEWARE tester does: magnitudes, and a clock that starts anew in each step."""

    records: list[CyclerRecord] = field(default_factory=list)

    def step(self, number: int, current_A: float, seconds: float, cycle: int = 1, every: float = 60.0) -> Recorder:
        self.part(number, [current_A] * (round(seconds / every) + 1), cycle, every)
        return self

    def part(self, number: int, currents: Sequence[float], cycle: int = 1, every: float = 60.0) -> Recorder:
        capacity = 0.0
        for index, current in enumerate(currents):
            capacity += abs(current) * every / 3600 if index else 0.0
            self.records.append(
                CyclerRecord(
                    sequence=len(self.records) + 1,
                    step=number,
                    cycle=cycle,
                    kind="cc",
                    step_time_s=index * every,
                    wall_time="2026-09-21 10:00:00",
                    voltage_V=2.0,
                    current_A=current,
                    step_capacity_Ah=capacity,
                    step_energy_Wh=2.0 * capacity,
                )
            )
        return self


def followed(
    tester: Recorder, of: Program = ALL, *, reload: bool = False
) -> tuple[FollowState, list[Reading], list[StepSummary]]:
    state = FollowState(test_id=7, start_time=T0)
    readings: list[Reading] = []
    summaries: list[StepSummary] = []
    for record in tester.records:
        state, reading, summary = follower.follow(of, state, record)
        if reload:
            state = follower.load(follower.dump(state))
        readings.append(reading)
        summaries += [summary] if summary else []
    last = follower.last_step(of, state, "end of the program")
    return state, readings, [*summaries, *([last] if last else [])]


def cycle(tester: Recorder, number: int, minutes: int = 60) -> Recorder:
    tester.step(2, 1e-3, minutes * 60.0, number)
    return tester.step(3, -1e-3, (minutes - 1) * 60.0, number)


def test_steps_signs_and_the_running_charge() -> None:
    state, readings, steps = followed(cycle(Recorder().step(1, 0.0, 120.0), 1))
    assert [one.step_name for one in steps] == ["1 rest", "2 charge", "3 discharge"]
    assert [one.kind for one in steps] == ["rest", "charge", "discharge"]
    assert [one.capacity_Ah for one in steps] == approx([0.0, 1e-3, -1e-3 * 59 / 60])
    assert [one.energy_Wh for one in steps] == approx([0.0, 2e-3, -2e-3 * 59 / 60])
    assert [one.end_reason for one in steps] == ["ended by the cycler", "ended by the cycler", "end of the program"]
    assert readings[-1].net_capacity_Ah == approx(1e-3 / 60)
    assert readings[-1].step == 3
    assert state.last_record == len(readings)


def test_time_and_charge_go_on_from_step_to_step() -> None:
    _, readings, steps = followed(cycle(cycle(Recorder().step(1, 0.0, 600.0), 1), 2))
    assert [one.sequence for one in readings] == list(range(1, len(readings) + 1))
    for before, after in itertools.pairwise(readings):
        assert before.test_time_s < after.test_time_s <= before.test_time_s + 60.01
        assert abs(after.net_capacity_Ah - before.net_capacity_Ah) <= 1.001e-3 / 60
        assert after.time == T0 + after.test_time_s
    for one, other in itertools.pairwise(steps):
        assert other.start_time == approx(one.end_time, abs=0.01)
    assert sum(one.capacity_Ah for one in steps) == approx(readings[-1].net_capacity_Ah, abs=1e-15)


def test_cycles_are_counted_as_the_station_counts_them() -> None:
    tester = Recorder().step(1, 0.0, 60.0)
    for number in (1, 2, 3):
        cycle(tester, number)
    _, readings, steps = followed(tester)
    assert [one.cycle for one in steps] == [1, 1, 1, 2, 2, 3, 3]
    assert {one.step: one.cycle for one in readings} == {n + 1: one.cycle for n, one in enumerate(steps)}


def test_a_loop_around_a_single_step_is_seen_by_the_clock_that_starts_anew() -> None:
    single = program(CHARGE, Repeat(0, 3))
    tester = Recorder().step(1, 1e-3, 600.0).step(1, 1e-3, 600.0).step(1, 1e-3, 600.0, cycle=2)
    _, readings, steps = followed(tester, single)
    assert [one.step for one in steps] == [1, 2, 3]
    assert [one.capacity_Ah for one in steps] == approx([1e-3 / 6] * 3)
    assert readings[-1].net_capacity_Ah == approx(0.5e-3)


def test_the_two_parts_of_a_cccv_are_one_charge_and_lose_nothing() -> None:
    cccv = program(replace(CHARGE, hold_V=3.9), DISCHARGE)
    tester = Recorder().step(1, 1e-3, 600.0).part(1, [1e-3, 0.5e-3, 0.25e-3]).step(2, -1e-3, 600.0)
    _, readings, steps = followed(tester, cccv)
    assert [one.step_name for one in steps] == ["2 charge", "2 charge", "3 discharge"]
    assert sum(one.capacity_Ah for one in steps[:2]) == approx(1e-3 / 6 + 0.75e-3 / 60)
    assert readings[-1].net_capacity_Ah == approx(0.75e-3 / 60)
    assert [one.cycle for one in steps] == [1, 1, 1]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_hold_keeps_its_charge_when_its_current_comes_to_zero(sign: float) -> None:
    tester = Recorder().part(4, [sign * 1e-3, sign * 1e-4, 0.0])
    _, readings, steps = followed(tester)
    assert steps[0].capacity_Ah == approx(sign * 1e-4 / 60)
    assert [row.net_capacity_Ah for row in readings] == approx([0.0, sign * 1e-4 / 60, sign * 1e-4 / 60])


def test_a_current_that_is_rounded_to_zero_goes_on_in_its_direction() -> None:
    tester = Recorder().part(4, [-1e-3, -1e-3, 0.0])
    last = tester.records[-1]
    tester.records[-1] = replace(last, step_capacity_Ah=last.step_capacity_Ah + 1e-9)
    _, _, steps = followed(tester)
    assert steps[0].capacity_Ah == approx(-1e-3 / 60 - 1e-9)


def test_a_hold_whose_current_turns_gives_charge_back() -> None:
    tester = Recorder().step(2, 1e-3, 600.0).part(4, [1e-4, 1e-4, 1e-4, -1e-5])
    _, _, steps = followed(tester)
    assert steps[1].capacity_Ah == approx((2e-4 - 1e-5) / 60)
    assert steps[1].energy_Wh == approx(2 * (2e-4 - 1e-5) / 60)


def test_a_record_of_a_step_that_the_program_does_not_have() -> None:
    for number in (0, 5, 6, -1):  # 5 is the loop's end
        with pytest.raises(ValueError, match=f"step {number}, which the program does not have"):
            followed(Recorder().step(number, 0.0, 60.0))


def test_nothing_recorded_is_no_step() -> None:
    assert follower.last_step(ALL, FollowState(test_id=1, start_time=T0), "never begun") is None


parts = st.lists(
    st.tuples(st.integers(1, 4), st.lists(st.floats(-1e-2, 1e-2), min_size=1, max_size=5), st.integers(1, 3)),
    max_size=6,
)


@given(parts)
def test_going_on_at_any_record_gives_the_same(made: list[tuple[int, list[float], int]]) -> None:
    tester = Recorder()
    for number, currents, number_of_cycle in made:
        tester.part(number, currents, number_of_cycle)
    assert followed(tester) == followed(tester, reload=True)


@given(parts)
def test_the_running_charge_is_that_of_the_steps(made: list[tuple[int, list[float], int]]) -> None:
    tester = Recorder()
    for number, currents, number_of_cycle in made:
        tester.part(number, currents, number_of_cycle)
    _, readings, steps = followed(tester)
    if readings:
        assert readings[-1].net_capacity_Ah == approx(sum(one.capacity_Ah for one in steps), abs=1e-12)
        assert [one.step for one in steps] == list(range(1, len(steps) + 1))
