"""Where a calibration is, in words and numbers, as the technician needs it."""

from __future__ import annotations

from dataclasses import dataclass

from calibration.data import Direction
from calibration.procedure.deeds import allowed
from calibration.procedure.plan import Kind, Plan, Step
from calibration.procedure.readings import is_near, without_load
from calibration.procedure.rest import Rest, rest_of
from calibration.procedure.stages import Deed, Stage
from calibration.procedure.state import Phase, State
from calibration.procedure.words import newtons, share, span


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a display shows beside the points and the curves."""

    title: str
    instruction: str
    trouble: str
    target_N: float | None
    tolerance_N: float | None
    force_ok: bool
    force_stable: bool
    resistance_stable: bool
    taking: float | None
    waited_s: float
    dwell_left_s: float
    overdue: bool
    hands: bool  # a person is to do something, and to confirm it
    steps: int
    remaining_s: float | None
    deeds: tuple[Deed, ...]


def situation(plan: Plan, state: State) -> Situation:
    """Of the last sample."""
    step, progress = state.step, state.progress
    rest = rest_of(plan, progress.window)
    target = _target(plan, state)
    waited = state.time - (progress.at_load if progress.at_load is not None else progress.since)
    seeking = state.step is not None and state.paused is None
    overdue = seeking and _overdue(plan, state, waited)
    taking = len(progress.burst) / plan.burst if progress.phase is Phase.BURST else None
    if step is not None and step.kind is Kind.CREEP and progress.at_load is not None:
        taking = min(1.0, waited / plan.creep_s)
    at_load = progress.at_load
    return Situation(
        title=_title(plan, state),
        instruction=_instruction(plan, state, rest, overdue),
        trouble=_trouble(plan, state),
        target_N=target,
        tolerance_N=None if target is None else plan.within_N(target),
        force_ok=_force_ok(plan, state),
        force_stable=rest.force_stable,
        resistance_stable=rest.resistance_stable,
        taking=taking,
        waited_s=max(0.0, waited) if seeking else 0.0,
        dwell_left_s=max(0.0, plan.dwell_s - (state.time - at_load)) if at_load is not None and seeking else 0.0,
        overdue=overdue,
        hands=seeking and _hands(plan, state),
        steps=state.done + len(state.todo),
        remaining_s=_remaining_s(plan, state),
        deeds=allowed(plan, state),
    )


def _target(plan: Plan, state: State) -> float | None:
    step = state.step
    if state.over or step is None:
        return None
    return step.nominal_N if step.kind in (Kind.LOAD, Kind.POINT, Kind.CREEP) else 0.0


def _force_ok(plan: Plan, state: State) -> bool:
    step, force = state.step, state.last.force_N
    if step is None or force is None:
        return False
    if step.kind in (Kind.LOAD, Kind.POINT, Kind.CREEP):
        return is_near(plan, step, force) and force <= plan.limit_N
    return without_load(plan, state, force)


def _overdue(plan: Plan, state: State, waited: float) -> bool:
    """Waiting for rest, or for a press; never for a person's hands, who take the time that they take."""
    step, progress = state.step, state.progress
    if step is None or progress.phase is Phase.BURST:
        return False
    if step.kind is Kind.CREEP and progress.at_load is not None:
        return False
    waits = progress.at_load is not None or plan.driven
    return waits and waited > plan.stability.longest_wait_s + (plan.dwell_s if progress.at_load is not None else 0.0)


def _hands(plan: Plan, state: State) -> bool:
    step, force = state.step, state.last.force_N
    if step is None or state.progress.confirmed:
        return False
    if step.kind is Kind.REINSERT:
        return not plan.reseats and (force is None or without_load(plan, state, force))
    return step.kind is Kind.ZERO and not state.zeros and not plan.driven


def _remaining_s(plan: Plan, state: State) -> float | None:
    if state.over or state.step is None:
        return None
    expected = [plan.expected_s(step) for step in (*state.todo, *state.later)]
    spent = min(state.time - state.progress.since, expected[0])
    return sum(expected) - max(0.0, spent)


# --- words


def _title(plan: Plan, state: State) -> str:
    step = state.step
    match state.stage:
        case Stage.SIGNED:
            return f"Signed: {state.record}"
        case Stage.ABANDONED:
            return "Abandoned"
        case Stage.REVIEW:
            return "Look at the points and the fit, then sign"
    assert step is not None
    paused = "Paused: " if state.paused else ""
    return paused + _step_title(plan, state, step)


def _step_title(plan: Plan, state: State, step: Step) -> str:
    match step.kind, step.stage:
        case Kind.CREEP, _:
            return f"Creep: {newtons(step.nominal_N)} held for {span(plan.creep_s)}"
        case Kind.REINSERT, _:
            return f"Reinsertion {step.insertion - 1} of {plan.reinsertions}"
        case _, Stage.ZERO:
            return "Zero, before all"
        case _, Stage.CONDITIONING:
            if step.insertion > 1:
                return f"One loading after reinsertion {step.insertion - 1}"
            return f"Conditioning {min(state.loadings + 1, plan.conditioning_cycles)} of {plan.conditioning_cycles}"
        case Kind.ZERO, _:
            return f"Series {step.series} of {plan.series}, zero {'before' if step.before else 'after'} it"
    if step.extra:
        return f"One load of series {step.series} once more"
    return f"Series {step.series} of {plan.series}, going {step.direction}"


def _instruction(plan: Plan, state: State, rest: Rest, overdue: bool) -> str:
    step, progress = state.step, state.progress
    if state.over:
        return "" if state.abandoned is None else f"Abandoned: {state.abandoned}"
    if step is None:
        off = "The press has let go of the sensor. " if plan.driven else "Take the load off. "
        return off + "All is measured: look at the points, exclude with a reason what went wrong, then sign."
    if state.paused is not None:
        if state.paused.ended:
            return "Waiting for a reading of the force, to see whether the sensor was left as it was."
        return "Paused. Leave the load as it is; if it changes, the series is measured again from its beginning."
    if progress.phase is Phase.BURST:
        what = "Taking the zero" if step.kind is Kind.ZERO else f"Taking {plan.burst} readings"
        return f"{what}: do not touch."
    if overdue:
        return _ask(plan, state, rest)
    if step.kind in (Kind.LOAD, Kind.POINT, Kind.CREEP):
        return _wait(plan, state, rest) if progress.at_load is not None else _go(plan, state)
    return _without_load(plan, state, rest)


def _go(plan: Plan, state: State) -> str:
    """'Turn the screw to 20 N (now 13.2 N): 6.8 N more'."""
    step, force = state.step, state.last.force_N
    assert step is not None
    target = newtons(step.nominal_N)
    now = "" if force is None else f" (now {newtons(force)})"
    if plan.driven:
        return f"The press goes to {target}{now}."
    if step.kind is Kind.POINT and step.direction is Direction.DOWN:
        if force is not None and force <= plan.unloaded_N:
            return (
                f"The load fell past {target}{now}. Do not go back up, for the sensor would be on neither branch: "
                "leave this load out (skip)."
            )
        less = "" if force is None else f": {newtons(force - step.nominal_N)} less"
        return f"Turn the screw back to {target}{now}{less}. Do not go below it."
    more = "" if force is None else f": {newtons(step.nominal_N - force)} more"
    beyond = " Do not go beyond it." if step.kind is Kind.POINT else ""
    return f"Turn the screw to {target}{now}{more}.{beyond}"


def _wait(plan: Plan, state: State, rest: Rest) -> str:
    step, force = state.step, state.last.force_N
    assert step is not None and state.progress.at_load is not None
    left = plan.dwell_s - (state.time - state.progress.at_load)
    if step.kind is Kind.CREEP:
        done = span(state.time - state.progress.at_load)
        return f"The load is held: {done} of {span(plan.creep_s)}. Do not touch the press."
    if step.kind is Kind.LOAD:
        return f"Stay at this load for {span(left)} more."
    passed = ""
    if force is not None and abs(force - step.nominal_N) > plan.within_N(step.nominal_N):
        passed = f"The load is past {newtons(step.nominal_N)}: do not go back, it is taken at {newtons(force)}. "
    return passed + f"Hands off: waiting for {_restless(plan, rest, left)}."


def _restless(plan: Plan, rest: Rest, left: float) -> str:
    """What is not at rest yet, by how much."""
    stability = plan.stability
    window = span(stability.window_s)
    restless = [
        f"the {name} (changes by {share(drift)} in {window}, {share(within)} is allowed)"
        for name, drift, within, stable in (
            ("force", rest.force, stability.force_within, rest.force_stable),
            ("resistance", rest.resistance, stability.resistance_within, rest.resistance_stable),
        )
        if drift is not None and not stable
    ]
    if restless:
        return " and ".join(restless) + " to come to rest"
    if rest.both:
        return f"{span(max(0.0, left))} more at this load"
    return f"{window} of readings at this load"


def _ask(plan: Plan, state: State, rest: Rest) -> str:
    """It has waited for longer than was stated: the technician decides."""
    step, last = state.step, state.last
    assert step is not None
    waited = span(plan.stability.longest_wait_s)
    if step.kind is Kind.POINT and last.open:
        return f"The sensor has not conducted for {waited}. Leave this load out (skip), or wait anew (repeat)."
    if state.progress.at_load is None:
        what = newtons(step.nominal_N) if step.nominal_N else "no load"
        return f"The press has not come to {what} for {waited}. Look at it; then wait anew (repeat) or skip this load."
    return (
        f"No rest for {waited}: {_restless(plan, rest, 0.0)}. Take it all the same (take), which is written into the "
        "record, wait anew (repeat), or leave this load out (skip)."
    )


def _without_load(plan: Plan, state: State, rest: Rest) -> str:
    step, force = state.step, state.last.force_N
    assert step is not None
    unloaded = force is not None and without_load(plan, state, force)
    now = "" if force is None else f" (now {newtons(force)})"
    if not unloaded:
        if plan.driven and state.zeros:
            return f"The press takes the load off{now}."
        if not state.zeros:
            return f"Insert the sensor, take all load off it{now}, then confirm: this is the zero."
        return f"Take the load off the sensor{now}. If there is none, confirm it: this is the zero then."
    if step.kind is Kind.REINSERT:
        if plan.reseats:
            return "The press takes the sensor out and puts it back."
        return "Take the sensor out and put it back, turned a little; then confirm. Load it only afterwards."
    return "Hands off: the load cell's zero and the sensor's open resistance are read."


def _trouble(plan: Plan, state: State) -> str:
    """What must be seen at once."""
    last, step = state.last, state.step
    if state.over:
        return ""
    if state.overloaded:
        now = f"{newtons(last.force_N)}" if last.force_N is not None else "overload"
        off = "the press is unloaded" if plan.driven else "take load off at once"
        return f"TOO MUCH FORCE: {now}, more than {newtons(plan.limit_N)}; {off}"
    if state.paused is not None and state.paused.why != "paused":
        return state.paused.why
    if last.trouble:
        return last.trouble
    if step is not None and step.kind is Kind.POINT and last.open and state.progress.at_load is not None:
        return f"the sensor does not conduct at {newtons(last.force_N or 0.0)}: the meter says overload"
    if step is not None and step.kind is Kind.POINT and state.progress.notes:
        return state.progress.notes[-1]
    return ""
