"""The list of steps: how one is finished, left out, begun anew or put in again."""

from __future__ import annotations

from collections.abc import Sequence

from calibration.data import Direction
from calibration.procedure import readings
from calibration.procedure.plan import Kind, Plan, Step
from calibration.procedure.stages import Stage
from calibration.procedure.state import Command, Pause, Phase, Progress, Reading, Say, State
from calibration.procedure.words import newtons

Outcome = tuple[State, tuple[Command, ...]]


def worked(plan: Plan, state: State, reading: Reading) -> Outcome:
    """The present step with one more reading."""
    step = state.step
    assert step is not None
    match step.kind:
        case Kind.UNLOAD:
            unloaded = reading.force_N is not None and readings.without_load(plan, state, reading.force_N)
            return (finished(plan, state), ()) if unloaded else (state, ())
        case Kind.LOAD:
            state, done, said = readings.loading(plan, state, reading)
            conditioned = step.stage is Stage.CONDITIONING
            return (finished(plan, state.but(loadings=state.loadings + conditioned)), said) if done else (state, said)
        case Kind.REINSERT:
            return state, readings.reseating(plan, state, reading)
        case Kind.ZERO:
            state, done = readings.zero(plan, state, reading)
            return (finished(plan, state), ()) if done else (state, ())
        case Kind.CREEP:
            state, done, said = readings.hold(plan, state, reading)
            return (finished(plan, state), said) if done else (state, said)
        case Kind.POINT:
            state, done, said = readings.point(plan, state, reading)
            return (finished(plan, state), said) if done else (state, said)


def finished(plan: Plan, state: State) -> State:
    """On to the next step."""
    state = state.but(done=state.done + 1)
    return entered(plan, state, state.todo[1:])


def entered(plan: Plan, state: State, todo: Sequence[Step]) -> State:
    """At the beginning of `todo`: repetitions that wait come first where nothing is cut in two by them.

    A load that was passed already is left out, for going back to it would be a false reversal.
    """
    if state.later and (not todo or is_boundary(todo[0])):
        todo, state = (*state.later, *todo), state.but(later=())
    state = _same_branch(state, todo[0] if todo else None)
    while todo and (passed := _passed(plan, todo[0], state.last.force_N)):
        state = state.noted(f"{newtons(todo[0].nominal_N)} left out: {passed}").but(done=state.done + 1)
        todo = todo[1:]
    return state.but(todo=tuple(todo), progress=Progress(since=state.time))


def anew(state: State) -> State:
    """The present step from its beginning."""
    return state.but(progress=Progress(since=state.time, notes=state.progress.notes))


def put_back(state: State) -> State:
    """Out of a burst, which is to be taken in one go."""
    if state.step is None or state.step.kind is Kind.CREEP:
        return state
    return state.progressed(phase=Phase.GOING, at_load=None, window=(), burst=(), taken="")


def pause(plan: Plan, state: State, time: float, why: str = "paused") -> Pause:
    """With the forces that the sensor may be found at afterwards: a press on its way goes on to where it was sent."""
    force, step = state.last.force_N, state.step
    if force is None or step is None:
        return Pause(since=time, low_N=None, high_N=None, unseen=False, why=why)
    target = step.nominal_N if step.kind in (Kind.POINT, Kind.LOAD, Kind.CREEP) else 0.0
    low, high = min(force, target), max(force, target)
    if not plan.driven and state.progress.at_load is not None:
        low = high = force
    margin = max(2 * plan.within_N(high), plan.unloaded_N / 2)
    return Pause(since=time, low_N=low - margin, high_N=high + margin, unseen=False, why=why)


def has_history(state: State) -> bool:
    """Whether the present step depends on how the sensor was loaded before."""
    step = state.step
    if step is None:
        return False
    if step.kind is Kind.CREEP:
        return state.progress.at_load is not None
    return step.stage is Stage.SERIES and not (step.kind is Kind.ZERO and step.before)


def broken(plan: Plan, state: State, why: str) -> Outcome:
    """The sensor's history was cut: the series (or the hold) is measured again from its beginning; its points stay."""
    step = state.step
    assert step is not None
    if step.kind is Kind.CREEP:
        return hold_again(state, why), (Say(f"the hold begins anew: {why}", warning=True),)
    if step.extra:
        rest = tuple(each for each in state.todo[_leading(state.todo, step) :])
        point = next((each for each in state.todo if each.extra and each.kind is Kind.POINT), None)
        repeated = plan.again(point.direction, point.nominal_N, point.series, point.insertion) if point else ()
        return entered(plan, state, (*repeated, *rest)), ()
    reason = f"series interrupted: {why}"
    for index, each in enumerate(state.points):
        if each.series == state.series and each.used:
            state = state.excluding(index, reason)
    text = f"series {step.series} is repeated from its beginning: {why}; its points are kept, excluded"
    rest = state.todo[_leading(state.todo, step) :]
    state = state.noted(text)
    return entered(plan, state, (*plan.series_steps(step.series), *rest)), (Say(text, warning=True),)


def hold_again(state: State, why: str) -> State:
    """The readings of the hold that was cut stay in the state, but make no curve."""
    begun = state.progress.creep_from
    state = state.but(set_aside=(*state.set_aside, *state.creep[begun:]), creep=state.creep[:begun])
    return anew(state.noted(f"the creep hold begins anew: {why}"))


def without_stage(state: State) -> tuple[Step, ...]:
    """What is left to do without the rest of the present stage."""
    step = state.step
    assert step is not None
    if step.stage is Stage.REINSERTION:
        return tuple(each for each in state.todo if each.stage is Stage.CREEP)
    return state.todo[_leading(state.todo, step) :]


def without_step(state: State) -> tuple[Step, ...]:
    """What is left to do without the present step; a reinsertion goes with the series that it is for."""
    step = state.step
    assert step is not None
    if step.kind is not Kind.REINSERT:
        return state.todo[1:]
    return tuple(each for each in state.todo if each.insertion != step.insertion or each.stage is Stage.CREEP)


def _leading(todo: Sequence[Step], step: Step) -> int:
    """How many of the first steps belong together with the present one."""
    key = (step.stage, step.series, step.insertion, step.extra)
    same = ((each.stage, each.series, each.insertion, each.extra) == key for each in todo)
    return next((number for number, is_same in enumerate(same) if not is_same), len(todo))


def is_boundary(step: Step) -> bool:
    """Whether a repetition can come before it."""
    return step.kind in (Kind.REINSERT, Kind.CREEP) or (step.kind is Kind.ZERO and step.before)


def _same_branch(state: State, following: Step | None) -> State:
    step = state.step
    same = (
        step is not None
        and following is not None
        and (step.kind, step.direction, step.series) == (following.kind, following.direction, following.series)
    )
    return state if same else state.but(farthest_N=None)


def _passed(plan: Plan, step: Step, force: float | None) -> str:
    """Why a load cannot be taken in its direction any more; the ends of a series always are."""
    if step.kind is not Kind.POINT or step.extra or force is None:
        return ""
    if step.direction is Direction.UP:
        past = force > step.nominal_N + plan.within_N(step.nominal_N) and step.nominal_N < plan.full_load_N
    else:
        past = force < step.nominal_N - plan.within_N(step.nominal_N) and step.nominal_N > plan.least_load_N
    return f"the force was past it, at {newtons(force)}" if past else ""
