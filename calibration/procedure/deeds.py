"""What follows from a person's deed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calibration.data import Point
from calibration.procedure import readings, steps
from calibration.procedure.plan import Kind, Plan, Step
from calibration.procedure.press import pressed
from calibration.procedure.stages import Deed, Stage
from calibration.procedure.state import Command, Phase, Progress, State, Unload
from calibration.procedure.words import newtons

Outcome = tuple[State, tuple[Command, ...]]


class ProcedureError(Exception):
    """A deed that cannot be done now; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Doing:
    """Who does it, when, to which point (its index), and why."""

    time: float
    who: str = ""
    point: int | None = None
    reason: str = ""
    whole_stage: bool = False  # of skip
    record: str = ""  # of sign: id of the record


def allowed(plan: Plan, state: State) -> tuple[Deed, ...]:
    """What can be done now."""
    if state.over:
        return ()
    deeds = [Deed.EXCLUDE, Deed.INCLUDE] if state.points else []
    step = state.step
    if step is None:
        return (Deed.FIT, Deed.SIGN, *([Deed.REPEAT] if state.points else []), *deeds, Deed.ABANDON)
    if state.paused is not None:
        return (Deed.RESUME, *deeds, Deed.ABANDON)
    mine: list[Deed] = []
    if step.kind in (Kind.ZERO, Kind.UNLOAD, Kind.REINSERT) and not state.progress.confirmed:
        mine.append(Deed.CONFIRM)
    if step.kind in (Kind.ZERO, Kind.POINT, Kind.LOAD) and state.progress.phase is not Phase.BURST:
        mine.append(Deed.TAKE)
    return (*mine, Deed.REPEAT, Deed.SKIP, Deed.PAUSE, *deeds, Deed.ABANDON)


def act(plan: Plan, state: State, deed: Deed, doing: Doing) -> Outcome:
    """The next state, and what is to be done. Raises `ProcedureError` where it cannot be; nothing is changed then."""
    if state.over:
        raise ProcedureError(f"this calibration is {state.stage}; nothing more is done to it")
    if deed not in allowed(plan, state):
        may = ", ".join(allowed(plan, state))
        where = "while it is paused" if state.paused else f"in the stage '{state.stage}'"
        raise ProcedureError(f"'{deed}' cannot be done {where}; what can be: {may}")
    before = state.step
    state, commands = _DEEDS[deed](plan, state, doing)
    if state.step is before:
        return state, commands
    state, asked = pressed(plan, state)
    return state, (*commands, *asked)


def _confirm(plan: Plan, state: State, doing: Doing) -> Outcome:
    step, force = state.step, state.last.force_N
    assert step is not None
    if step.kind is not Kind.REINSERT:
        state = state.progressed(confirmed=True, since=doing.time)
        if state.zeros and force is not None and abs(force) > plan.unloaded_N:
            text = f"said to be without load at {newtons(force)} over the former zero"
            state = state.noted(text, doing.who)
        return (steps.finished(plan, state) if step.kind is Kind.UNLOAD else state), ()
    if force is not None and not readings.without_load(plan, state, force):
        raise ProcedureError(f"take the load off first: the load cell says {newtons(force)}")
    return steps.finished(plan, state.but(insertion=step.insertion)), ()


def _take(plan: Plan, state: State, doing: Doing) -> Outcome:
    step, last = state.step, state.last
    assert step is not None
    if last.force_N is None:
        raise ProcedureError(f"nothing can be taken: there is no force ({last.trouble or 'the load cell is silent'})")
    if step.kind is Kind.POINT and (not last.whole or last.force_N <= 0):
        what = "the sensor does not conduct" if last.open else last.trouble or "there is no resistance, or no force"
        raise ProcedureError(f"nothing can be taken: {what}; wait, or leave this load out ('skip')")
    note = readings.taken_note(plan, state) + (f" ({doing.reason})" if doing.reason else "")
    if step.kind is Kind.POINT:
        return state.progressed(taken=note), ()
    state = state.noted(f"{step.kind} {note}", doing.who)
    if step.kind is Kind.LOAD:
        state = state.but(loadings=state.loadings + (step.stage is Stage.CONDITIONING))
        return steps.finished(plan, state), ()
    return state.progressed(taken=note, confirmed=True), ()


def _repeat(plan: Plan, state: State, doing: Doing) -> Outcome:
    """A point once more: at once where its load still stands; else by itself, once the series is over."""
    if doing.point is None:
        return _wait_anew(state), ()
    point = _point(state, doing)
    if point.insertion != state.insertion:
        raise ProcedureError(
            f"point {doing.point} is of another insertion: the sensor was taken out since, so that it cannot be "
            "repeated; exclude it with a reason where it is wrong"
        )
    reason = doing.reason or "repeated"
    state = state if point.excluded else state.excluding(doing.point, reason)
    state = state.noted(f"point {doing.point} is measured again: {reason}", doing.who)
    if (step := _still_there(plan, state, doing.point)) is not None:
        return state.but(todo=(step, *state.todo), done=state.done - 1, progress=Progress(since=doing.time)), ()
    again = plan.again(point.direction, point.nominal_N or point.force_N, point.series, point.insertion)
    state = state.but(later=(*state.later, *again))
    fresh = state.step is None or (state.progress.phase is Phase.GOING and steps.is_boundary(state.step))
    return (steps.entered(plan, state, state.todo) if fresh else state), ()


def _wait_anew(state: State) -> State:
    if state.step is None:
        raise ProcedureError("name the point that shall be repeated")
    if state.step.kind is Kind.CREEP:
        return steps.hold_again(state, "asked for")
    return steps.anew(state)


def _still_there(plan: Plan, state: State, index: int) -> Step | None:
    """The step of the point taken last, while the sensor is at its load still."""
    point, step, force = state.points[index], state.step, state.last.force_N
    if step is None or force is None or step.extra or index != len(state.points) - 1 or point.series != state.series:
        return None
    if step.stage is not Stage.SERIES or (step.kind is Kind.ZERO and step.before):
        return None
    if abs(force - point.force_N) > 2 * plan.within_N(point.force_N) or point.nominal_N is None:
        return None
    kept = {"kind": Kind.POINT, "direction": point.direction, "nominal_N": point.nominal_N, "before": True}
    return step.model_copy(update=kept)


def _exclude(plan: Plan, state: State, doing: Doing) -> Outcome:
    if not doing.reason.strip():
        raise ProcedureError("a point is excluded with a reason, which is kept in the record")
    _point(state, doing)
    assert doing.point is not None
    return state.excluding(doing.point, doing.reason.strip()).noted(
        f"point {doing.point} excluded: {doing.reason.strip()}", doing.who
    ), ()


def _include(plan: Plan, state: State, doing: Doing) -> Outcome:
    point = _point(state, doing)
    assert doing.point is not None
    text = f"point {doing.point} included again; it was excluded because: {point.excluded or 'it was not'}"
    return state.excluding(doing.point, "").noted(text, doing.who), ()


def _skip(plan: Plan, state: State, doing: Doing) -> Outcome:
    step = state.step
    assert step is not None
    if not doing.reason.strip():
        raise ProcedureError("what is left out is left out with a reason, which is kept in the record")
    todo = steps.without_stage(state) if doing.whole_stage else steps.without_step(state)
    if doing.whole_stage:
        what = f"the rest of the stage '{step.stage}'"
    else:
        what = newtons(step.nominal_N) if step.nominal_N else str(step.kind)
        what += f", going {step.direction}, in series {state.series}" if step.kind is Kind.POINT else ""
    state = state.noted(f"{what} left out: {doing.reason.strip()}", doing.who)
    if step.kind is Kind.ZERO and step.before and step.stage is Stage.SERIES and not doing.whole_stage:
        state = state.but(series=state.series + 1)
    state = state.but(done=state.done + len(state.todo) - len(todo))
    return steps.entered(plan, state, todo), ()


def _pause(plan: Plan, state: State, doing: Doing) -> Outcome:
    return steps.put_back(state).but(paused=steps.pause(plan, state, doing.time)), ()


def _resume(plan: Plan, state: State, doing: Doing) -> Outcome:
    assert state.paused is not None
    if state.overloaded:
        raise ProcedureError("there is too much force still: take the load off first")
    return state.but(paused=state.paused.model_copy(update={"ended": True})), ()


def _fit(plan: Plan, state: State, doing: Doing) -> Outcome:
    return state, ()


def _sign(plan: Plan, state: State, doing: Doing) -> Outcome:
    if not doing.record:
        raise ProcedureError("the record is made first, then it is signed")
    return state.but(record=doing.record), ()


def _abandon(plan: Plan, state: State, doing: Doing) -> Outcome:
    return state.but(abandoned=doing.reason.strip() or "no reason given"), ((Unload(),) if plan.driven else ())


def _point(state: State, doing: Doing) -> Point:
    if doing.point is None or not 0 <= doing.point < len(state.points):
        last = len(state.points) - 1
        raise ProcedureError(f"there is no point {doing.point}; the points are numbered from 0 to {last}")
    return state.points[doing.point]


_DEEDS: dict[Deed, Callable[[Plan, State, Doing], Outcome]] = {
    Deed.CONFIRM: _confirm,
    Deed.TAKE: _take,
    Deed.REPEAT: _repeat,
    Deed.EXCLUDE: _exclude,
    Deed.INCLUDE: _include,
    Deed.SKIP: _skip,
    Deed.PAUSE: _pause,
    Deed.RESUME: _resume,
    Deed.FIT: _fit,
    Deed.SIGN: _sign,
    Deed.ABANDON: _abandon,
}
