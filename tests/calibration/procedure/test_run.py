"""A calibration run: what is measured, what is said, and what is done about what goes wrong."""

from __future__ import annotations

import math

import pytest

from calibration.data import Direction
from calibration.procedure import Deed, Kind, Plan, ProcedureError, Sample, SetForce, Stage, Unload, begin, take_up
from tests.calibration.procedure.pressing import BY_HAND, QUICK, Bench


def series_of(bench: Bench, series: int) -> list[tuple[Direction, float | None]]:
    return [(point.direction, point.nominal_N) for point in bench.state.points if point.series == series]


def to_level(bench: Bench, nominal_N: float, direction: Direction = Direction.UP, series: int = 1) -> None:
    """By hand or by the press, until the step of this load is the present one."""
    for _ in range(3000):
        step = bench.state.step
        assert step is not None
        key = (step.kind, step.nominal_N, step.direction, step.series)
        if key == (Kind.POINT, nominal_N, direction, series):
            return
        bench.as_told()
    raise AssertionError(f"never came to {nominal_N} N")


# --- the whole of it


@pytest.mark.parametrize("plan", [QUICK, BY_HAND], ids=["driven", "by hand"])
def test_a_run_measures_all_that_the_plan_asks_for(plan: Plan) -> None:
    bench = Bench(plan)
    bench.work()
    up = [(Direction.UP, force) for force in plan.forces_N]
    down = [(Direction.DOWN, force) for force in reversed(plan.forces_N[:-1])]
    for series, insertion in ((1, 1), (2, 2)):
        assert series_of(bench, series) == up + down
        assert {point.insertion for point in bench.state.points if point.series == series} == {insertion}
    for point in bench.state.points:
        assert point.used and not point.note
        assert point.force_N == pytest.approx(point.nominal_N, rel=plan.tolerance), "less the zero of the load cell"
        assert point.resistance_ohm == pytest.approx(12e6 * point.force_N**-0.85, rel=0.01)
        assert point.under_load_s is not None and point.under_load_s > plan.dwell_s
    zeros = [(zero.series, zero.before) for zero in bench.state.zeros]
    assert zeros == [(0, True), (1, True), (1, False), (2, True), (2, False)]
    assert all(
        zero.force_N == pytest.approx(1.3, abs=0.05) and zero.resistance_ohm is None for zero in bench.state.zeros
    )
    times = [sample.time_s for sample in bench.state.creep]
    assert times == sorted(times) and times[-1] >= plan.creep_s and len(times) >= 8
    assert bench.state.stage is Stage.REVIEW and (bench.goal_N == 0.0 or not plan.driven)


def test_levels_are_evenly_spaced_in_ln_force() -> None:
    plan = QUICK.model_copy(update={"levels": 10})
    ratios = [math.log(high / low) for low, high in zip(plan.forces_N, plan.forces_N[1:], strict=False)]
    assert plan.forces_N[0] == 2.0 and plan.forces_N[-1] == 100.0
    assert ratios == pytest.approx([math.log(50) / 9] * 9, abs=0.01)


def test_the_press_is_never_asked_for_more_than_the_limit_and_is_corrected_by_the_load_cell() -> None:
    bench = Bench(QUICK, scale=0.96)
    bench.work()
    asked = [command.force_N for command in bench.commands if isinstance(command, SetForce)]
    assert max(asked) <= QUICK.limit_N
    for point in bench.state.points:
        assert point.force_N == pytest.approx(point.nominal_N, rel=QUICK.tolerance)


def test_it_says_what_to_do_in_newtons() -> None:
    bench = Bench(BY_HAND)
    assert "take all load off" in bench.now.instruction and Deed.CONFIRM in bench.now.deeds
    to_level(bench, BY_HAND.forces_N[2])
    bench.goal_N = bench.force_N = 10.0
    bench.tick()
    assert bench.now.instruction.startswith(f"Turn the screw to {BY_HAND.forces_N[2]:g} N (now 10 N): 4.1 N more.")
    assert bench.now.title == "Series 1 of 2, going up"
    bench.goal_N = bench.force_N = BY_HAND.forces_N[2]
    bench.tick()
    assert "Hands off: waiting for" in bench.now.instruction and bench.now.force_ok
    bench.until(lambda: bench.now.taking is not None)
    assert "do not touch" in bench.now.instruction


def test_the_estimate_of_what_is_left_falls_to_nothing() -> None:
    bench = Bench(QUICK)
    first = bench.now.remaining_s
    began = bench.time_s
    bench.work()
    assert first is not None and 0.5 < (bench.time_s - began) / first < 2.0
    assert bench.now.remaining_s is None


# --- waiting


def test_a_load_that_never_rests_is_asked_about_and_taken_with_a_note() -> None:
    bench = Bench(QUICK)
    to_level(bench, QUICK.forces_N[1])
    for _ in range(200):
        drift = math.exp(0.01 * bench.time_s)
        truth = bench.sample()
        ohm = None if truth.resistance_ohm is None else truth.resistance_ohm / drift
        bench.tick(Sample(bench.time_s + 1.0, truth.indication, truth.force_N, ohm, open=ohm is None))
    assert bench.now.overdue and "Take it all the same" in bench.now.instruction
    assert not bench.now.resistance_stable and bench.now.force_stable
    before = len(bench.state.points)
    bench.do(Deed.TAKE, reason="it is late")
    bench.until(lambda: len(bench.state.points) > before)
    assert "before it had come to rest" in bench.state.points[-1].note and "it is late" in bench.state.points[-1].note


def test_a_sensor_that_does_not_conduct_gives_no_number_and_can_be_skipped_with_a_reason() -> None:
    bench = Bench(QUICK, threshold_N=3.0)
    bench.until(lambda: bench.now.overdue)
    assert bench.state.points == ()
    assert "has not conducted" in bench.now.instruction and "does not conduct" in bench.now.trouble
    with pytest.raises(ProcedureError, match="does not conduct"):
        bench.do(Deed.TAKE)
    with pytest.raises(ProcedureError, match="with a reason"):
        bench.do(Deed.SKIP)
    bench.do(Deed.SKIP, reason="below its threshold")
    assert bench.state.step is not None and bench.state.step.nominal_N == QUICK.forces_N[1]
    assert any("2 N" in note.text and "below its threshold" in note.text for note in bench.state.notes)


@pytest.mark.parametrize(
    "broken",
    [
        lambda time, ok: Sample(time, None, None, ok.resistance_ohm, trouble="load cell: no answer"),
        lambda time, ok: Sample(time, ok.indication, ok.force_N, None, trouble="meter: no answer"),
        lambda time, ok: Sample(time, ok.indication, ok.force_N, math.nan),
        lambda time, ok: Sample(time, math.nan, math.nan, ok.resistance_ohm),
        lambda time, ok: Sample(time, ok.indication, ok.force_N, None, open=True),
        lambda time, ok: Sample(time, ok.indication, ok.force_N, -5.0),
    ],
    ids=["no force", "no resistance", "NaN ohm", "NaN force", "overload", "negative"],
)
def test_what_is_no_reading_makes_no_point_and_a_cut_burst_is_taken_anew(broken: object) -> None:
    assert callable(broken)
    bench = Bench(QUICK)
    to_level(bench, QUICK.forces_N[2])
    bench.until(lambda: bench.now.taking is not None)
    points, began = len(bench.state.points), bench.time_s
    for _ in range(40):
        bench.tick(broken(bench.time_s + 1.0, bench.sample()))
    assert len(bench.state.points) == points, "nothing is made of nothing"
    bench.until(lambda: len(bench.state.points) > points)
    taken = bench.state.points[-1]
    assert taken.time is not None and taken.time > began + 40, "all of its readings are of one go"
    assert len(taken.resistances_ohm) == QUICK.burst


# --- the force goes where it should not


def test_a_load_that_was_passed_is_taken_where_it_is_and_no_one_goes_back() -> None:
    bench = Bench(BY_HAND)
    to_level(bench, BY_HAND.forces_N[1])
    past = BY_HAND.forces_N[1] * 1.2
    bench.goal_N = past
    bench.until(lambda: len(bench.state.points) == 2, 100)
    point = bench.state.points[-1]
    assert point.force_N == pytest.approx(past, rel=0.02) and point.nominal_N == BY_HAND.forces_N[1]
    assert f"instead of {BY_HAND.forces_N[1]:g} N" in point.note and point.used
    # And beyond the next level: that one is left out, which is written down.
    bench.goal_N = BY_HAND.forces_N[3] * 0.9
    bench.until(lambda: len(bench.state.points) == 3, 100)
    assert bench.state.points[-1].nominal_N is None or bench.state.points[-1].note
    assert bench.state.step is not None and bench.state.step.nominal_N == BY_HAND.forces_N[3]


def test_going_back_is_seen_and_said_in_the_point() -> None:
    bench = Bench(BY_HAND)
    to_level(bench, BY_HAND.forces_N[3])
    bench.goal_N = BY_HAND.forces_N[3] * 0.8
    bench.ticks(8)
    bench.goal_N = BY_HAND.forces_N[3] * 0.5
    bench.ticks(8)
    assert "went back from" in bench.now.trouble
    bench.goal_N = BY_HAND.forces_N[3]
    points = len(bench.state.points)
    bench.until(lambda: len(bench.state.points) > points, 100)
    assert "went back from" in bench.state.points[-1].note


def test_too_much_force_unloads_a_press_and_the_series_is_measured_again() -> None:
    bench = Bench(QUICK)
    to_level(bench, QUICK.forces_N[3])
    bench.force_N = bench.goal_N = 121.0
    bench.tick()
    assert bench.commands[-2] == Unload() or Unload() in bench.commands[-3:]
    assert "TOO MUCH FORCE" in bench.now.trouble
    with pytest.raises(ProcedureError, match="too much force still"):
        bench.do(Deed.RESUME)
    bench.ticks(20)
    assert bench.force_N < 0.1 and bench.state.paused is not None, "a person decides how it goes on"
    bench.do(Deed.RESUME)
    bench.work()
    first = [point for point in bench.state.points if point.series == 1]
    assert first and all("interrupted: too much force" in point.excluded for point in first)
    assert {point.series for point in bench.state.points if point.used} == {2, 3}


def test_too_much_force_by_hand_is_said_loudly_and_remembered() -> None:
    bench = Bench(BY_HAND)
    to_level(bench, 100.0)
    bench.force_N = bench.goal_N = 130.0
    bench.ticks(30)
    assert "TOO MUCH FORCE: 130 N" in bench.now.trouble and "take load off" in bench.now.trouble
    assert bench.now.taking is None, "nothing is taken meanwhile"
    bench.goal_N = bench.force_N = 100.0
    bench.ticks(30)
    assert "too much force: 130 N" in bench.state.points[-1].note
    assert any("too much force" in note.text for note in bench.state.notes)


# --- pauses, and a station that was away


def test_a_pause_under_the_same_load_goes_on_where_it_was() -> None:
    bench = Bench(QUICK)
    to_level(bench, QUICK.forces_N[3])
    bench.ticks(3)
    bench.do(Deed.PAUSE)
    points = bench.state.points
    bench.ticks(120)
    assert bench.state.points == points and "Paused" in bench.now.title
    bench.do(Deed.RESUME)
    bench.until(lambda: len(bench.state.points) > len(points), 60)
    assert all(point.used for point in bench.state.points)
    assert "after a pause" in bench.state.points[-1].note


def test_a_load_that_changed_during_a_pause_breaks_the_series_and_keeps_its_points() -> None:
    bench = Bench(BY_HAND)
    to_level(bench, BY_HAND.forces_N[2])
    bench.do(Deed.PAUSE)
    before = bench.state.points
    bench.goal_N = 0.0
    bench.ticks(20)
    bench.goal_N = before[-1].force_N
    bench.ticks(20)
    bench.do(Deed.RESUME)
    bench.ticks(2)
    assert [point.forces_N for point in bench.state.points] == [point.forces_N for point in before]
    assert all(point.excluded == "series interrupted: paused" for point in bench.state.points)
    bench.work()
    assert series_of(bench, 2) == [
        *((Direction.UP, force) for force in BY_HAND.forces_N),
        *((Direction.DOWN, force) for force in reversed(BY_HAND.forces_N[:-1])),
    ]


@pytest.mark.parametrize(
    ("gap_s", "force_N", "kept"),
    [(60.0, None, True), (60.0, 0.0, False), (4000.0, None, False)],
    ids=["left under load", "unloaded", "too long"],
)
def test_a_series_that_is_taken_up_goes_on_only_from_a_load_that_surely_stayed(
    gap_s: float, force_N: float | None, kept: bool
) -> None:
    bench = Bench(BY_HAND)
    to_level(bench, BY_HAND.forces_N[3])
    before = len(bench.state.points)
    bench.time_s += gap_s
    bench.state = take_up(bench.plan, bench.state, bench.time_s)
    if force_N is not None:
        bench.goal_N = bench.force_N = force_N
    bench.ticks(2)
    assert bench.state.paused is None
    assert all(point.used is kept for point in bench.state.points) and len(bench.state.points) == before
    bench.work()
    assert len([point for point in bench.state.points if point.used]) == 18


def test_a_hold_that_is_cut_begins_anew_and_its_readings_stay() -> None:
    bench = Bench(QUICK)
    bench.until(lambda: len(bench.state.creep) >= 5)
    cut = bench.state.creep
    bench.time_s += 5000.0
    bench.state = take_up(bench.plan, bench.state, bench.time_s)
    bench.work()
    assert bench.state.set_aside == cut
    assert bench.state.creep[0].time_s < 10.0 and bench.state.creep[-1].time_s >= QUICK.creep_s


# --- deeds


def test_the_point_taken_last_is_repeated_at_its_load() -> None:
    bench = Bench(QUICK)
    to_level(bench, QUICK.forces_N[2])
    bench.do(Deed.REPEAT, point=1, reason="someone slammed the door")
    assert bench.state.step is not None and bench.state.step.nominal_N == QUICK.forces_N[1]
    bench.until(lambda: len(bench.state.points) == 3)
    former, again = bench.state.points[1:]
    assert former.excluded == "someone slammed the door" and again.used
    assert again.nominal_N == former.nominal_N and again.series == former.series


@pytest.mark.parametrize("index", [1, 7], ids=["going up", "going down"])
def test_an_earlier_point_is_repeated_by_itself_from_the_side_it_was_reached_from(index: int) -> None:
    bench = Bench(QUICK.model_copy(update={"reinsertions": 0}))
    bench.work()
    former = bench.state.points[index]
    bench.ticks(20)
    bench.do(Deed.REPEAT, point=index)
    assert bench.state.stage is Stage.SERIES
    highest = 0.0
    for _ in range(400):
        if bench.state.step is None:
            break
        bench.as_told()
        highest = max(highest, bench.force_N)
    again = bench.state.points[-1]
    assert bench.state.points[index].excluded == "repeated"
    assert (again.direction, again.nominal_N, again.series) == (former.direction, former.nominal_N, former.series)
    assert highest == pytest.approx(100.0 if former.direction is Direction.DOWN else former.force_N, rel=0.02)


def test_a_point_of_another_insertion_is_not_repeated() -> None:
    bench = Bench(QUICK)
    bench.work()
    with pytest.raises(ProcedureError, match="taken out since"):
        bench.do(Deed.REPEAT, point=0)


def test_a_point_is_excluded_with_a_reason_and_never_lost() -> None:
    bench = Bench(QUICK)
    bench.work()
    count = len(bench.state.points)
    with pytest.raises(ProcedureError, match="with a reason"):
        bench.do(Deed.EXCLUDE, point=3, reason=" ")
    with pytest.raises(ProcedureError, match="there is no point 99"):
        bench.do(Deed.EXCLUDE, point=99, reason="x")
    bench.do(Deed.EXCLUDE, point=3, reason="the plate was crooked")
    data = bench.state.dataset()
    assert len(data.points) == count and len(data.used()) == count - 1
    bench.do(Deed.INCLUDE, point=3)
    assert len(bench.state.dataset().used()) == count
    assert any("the plate was crooked" in note.text and note.who == "tester" for note in bench.state.notes)


def test_the_rest_of_a_stage_is_left_out_with_a_reason() -> None:
    bench = Bench(QUICK)
    to_level(bench, QUICK.forces_N[1])
    bench.do(Deed.SKIP, reason="no time", whole_stage=True)
    assert bench.state.stage is Stage.REINSERTION
    bench.do(Deed.SKIP, reason="no time", whole_stage=True)
    assert bench.state.stage is Stage.CREEP
    bench.do(Deed.SKIP, reason="no time", whole_stage=True)
    assert bench.state.stage is Stage.REVIEW and len(bench.state.points) == 1


def test_signed_and_abandoned_are_the_end() -> None:
    bench = Bench(QUICK)
    with pytest.raises(ProcedureError, match="cannot be done in the stage 'zero'"):
        bench.do(Deed.SIGN, record="s v1")
    bench.work()
    bench.do(Deed.SIGN, record="s v1")
    assert bench.state.stage is Stage.SIGNED and bench.now.title == "Signed: s v1"
    with pytest.raises(ProcedureError, match="nothing more"):
        bench.do(Deed.EXCLUDE, point=0, reason="x")
    other = Bench(QUICK)
    other.ticks(50)
    other.do(Deed.ABANDON, reason="sensor broke")
    assert other.state.stage is Stage.ABANDONED and other.commands[-1] == Unload()


# --- plans


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"least_load_N": 120.0}, "is not below the full load"),
        ({"conditioning_share": 1.3}, "passes 115%"),
        ({"levels": 30, "least_load_N": 60.0}, "nearer to each other than the tolerance"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_words(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Plan(**(QUICK.model_dump() | changes))


def test_a_person_confirms_the_first_zero_for_the_load_cell_cannot_know_it() -> None:
    bench = Bench(BY_HAND, offset_N=25.0)
    bench.ticks(60)
    assert begin(BY_HAND, 0.0).todo == bench.state.todo
    bench.do(Deed.CONFIRM)
    bench.until(lambda: bench.state.zeros != (), 60)
    assert bench.state.zero_indication == pytest.approx(25.0, abs=0.01)
