"""Whatever happens: no taken point is lost, none that is excluded counts, and there is always a way to the end."""

from __future__ import annotations

import math
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibration.data import Point
from calibration.procedure import (
    Deed,
    Doing,
    Plan,
    ProcedureError,
    Reseat,
    Sample,
    SetForce,
    Stage,
    State,
    act,
    advance,
    situation,
    take_up,
)
from tests.calibration.procedure.pressing import BY_HAND, QUICK, Bench

numbers = st.one_of(st.none(), st.floats(-50.0, 150.0), st.just(math.nan), st.just(math.inf))
ohms = st.one_of(st.none(), st.floats(-1.0, 1e8), st.just(math.nan), st.just(math.inf))
happenings = st.one_of(
    st.tuples(st.just("work"), st.integers(1, 60)),
    st.tuples(
        st.just("sample"), st.builds(lambda *a: a, numbers, ohms, st.booleans(), st.booleans(), st.text(max_size=3))
    ),
    st.tuples(
        st.just("deed"),
        st.tuples(st.sampled_from(list(Deed)), st.one_of(st.none(), st.integers(-1, 20)), st.booleans()),
    ),
    st.tuples(st.just("push"), st.floats(0.0, 130.0)),
    st.tuples(st.just("away"), st.floats(1.0, 2000.0)),
)
plans = st.sampled_from([QUICK, BY_HAND])


class Watch:
    """Keeps what was taken, and looks after each happening whether it is there still."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.taken: list[tuple[tuple[float, ...], tuple[float, ...]]] = []

    def look(self) -> None:
        state = self.bench.state
        readings = [(point.forces_N, point.resistances_ohm) for point in state.points]
        assert readings[: len(self.taken)] == self.taken, "a point was lost or changed"
        self.taken = readings
        used = state.dataset().used()
        assert not any(point.excluded for point in used)
        assert len(used) == len([point for point in state.points if _counts(point)])
        assert all(
            command.force_N <= self.bench.plan.limit_N
            for command in self.bench.commands
            if isinstance(command, SetForce)
        )
        assert State.model_validate_json(state.model_dump_json()) == state
        now = situation(self.bench.plan, state)
        assert now.title and (state.over or now.instruction) and set(now.deeds) <= set(Deed)
        assert now.remaining_s is None or now.remaining_s >= 0


def _counts(point: Point) -> bool:
    return point.excluded == ""


def happen(bench: Bench, kind: str, what: object) -> None:
    match kind, what:
        case "work", int(seconds):
            for _ in range(seconds):
                bench.as_told() if not bench.state.over else bench.tick()
        case "sample", (force, ohm, is_open, overload, trouble):
            bench.tick(Sample(bench.time_s + 1.0, force, force, ohm, is_open, overload, trouble))
        case "deed", (deed, point, whole):
            try:
                bench.do(deed, point=point, reason="a reason", whole_stage=whole, record="s v1")
            except ProcedureError as error:
                assert str(error)
        case "push", float(force):
            bench.force_N = force
            bench.ticks(3)
        case "away", float(seconds):
            bench.time_s += seconds
            bench.state = take_up(bench.plan, bench.state, bench.time_s)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(plans, st.lists(happenings, max_size=40))
def test_nothing_is_lost_and_there_is_a_way_to_the_end(plan: Plan, story: list[tuple[str, object]]) -> None:
    bench = Bench(plan, noise=0.002)
    watch = Watch(bench)
    for kind, what in story:
        happen(bench, kind, what)
        watch.look()
    for _ in range(6000):
        if bench.state.over or bench.state.step is None:
            break
        if bench.state.paused is not None and not bench.state.paused.ended and not bench.state.overloaded:
            bench.do(Deed.RESUME)
        elif bench.now.overdue:
            bench.do(Deed.SKIP, reason="never there")
        elif "Do not go back up" in bench.now.instruction:
            bench.do(Deed.SKIP, reason="passed")
        bench.as_told()
    watch.look()
    assert bench.state.stage in (Stage.REVIEW, Stage.SIGNED, Stage.ABANDONED), bench.now


@settings(max_examples=25, deadline=None)
@given(plans, st.integers(0, 900), st.integers(0, 10))
def test_a_state_that_was_written_down_goes_on_as_if_it_had_not(plan: Plan, seconds: int, seed: int) -> None:
    bench = Bench(plan, seed)
    for _ in range(seconds):
        bench.as_told()
    copy = State.model_validate_json(bench.state.model_dump_json())
    kept = bench.state
    reseats: Callable[[State], State] = lambda state: act(plan, state, Deed.CONFIRM, Doing(bench.time_s))[0]  # noqa: E731
    for _ in range(120):
        bench.time_s += 1.0
        bench.force_N += 0.5 * ((kept.step.nominal_N if kept.step else 0.0) - bench.force_N)
        sample = bench.sample()
        kept, commands = advance(plan, kept, sample)
        copy, again = advance(plan, copy, sample)
        assert again == commands
        if any(isinstance(command, Reseat) for command in commands):
            kept, copy = reseats(kept), reseats(copy)
        assert copy == kept
