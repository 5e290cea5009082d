"""What is done with readings within one step: getting to a load, coming to rest, the burst."""

from __future__ import annotations

import math
from collections.abc import Sequence

from calibration.data import CreepSample, Direction, Point, ZeroReading
from calibration.procedure.plan import Kind, Plan, Step
from calibration.procedure.rest import kept, rest_of
from calibration.procedure.stages import Stage
from calibration.procedure.state import Command, Phase, Reading, Reseat, Say, SetForce, State
from calibration.procedure.words import newtons, share

TRIM_AT_MOST = 1.25  # a press's set point is corrected by no more than this factor
Done = tuple[State, bool]


def is_near(plan: Plan, step: Step, force: float) -> bool:
    """Near enough for this step. A load that was passed a little is taken where it is: nobody goes back for it."""
    within = plan.within_N(step.nominal_N)
    if step.kind is Kind.POINT and step.direction is Direction.DOWN:
        return plan.unloaded_N < force <= step.nominal_N + within
    return force >= step.nominal_N - within


def without_load(plan: Plan, state: State, force: float) -> bool:
    """Whether the force says so. Before the first zero it cannot: then a person does, or the press."""
    if state.progress.confirmed:
        return True
    if not state.zeros:
        return plan.driven
    return abs(force) <= plan.unloaded_N


# --- the steps


def loading(plan: Plan, state: State, reading: Reading) -> tuple[State, bool, tuple[Command, ...]]:
    """Conditioning: to the force, and as long there as before a reading."""
    state = _arriving(plan, state, reading)
    at_load = state.progress.at_load
    if at_load is None:
        return _not_there(plan, state)
    done = reading.time - at_load >= plan.dwell_s
    if done and reading.force_N is not None:
        state = learned(state, reading.force_N)
    return state, done, ()


def reseating(plan: Plan, state: State, reading: Reading) -> tuple[Command, ...]:
    """A press that reinserts by itself is asked to, again and again until it is confirmed that it did."""
    if not plan.reseats or reading.force_N is None or not without_load(plan, state, reading.force_N):
        return ()
    return (Reseat(),)


def zero(plan: Plan, state: State, reading: Reading) -> Done:
    """Without load: the force alone has to rest, for the sensor is open or nearly so."""
    force, progress = reading.force_N, state.progress
    if progress.phase is Phase.BURST:
        return _zero_burst(plan, state, reading)
    if force is None:
        return state, False
    if not without_load(plan, state, force):
        return state.progressed(phase=Phase.GOING, at_load=None, window=()), False
    at_load = reading.time if progress.at_load is None else progress.at_load
    state = state.progressed(phase=Phase.RESTING, at_load=at_load, window=kept(plan, progress.window, reading))
    drift = rest_of(plan, state.progress.window).force
    forces = [each.force_N for each in state.progress.window if each.force_N is not None]
    middle = max(abs(math.fsum(forces) / len(forces)), plan.floor_N)
    allowed = max(plan.stability.force_within * plan.least_load_N, plan.floor_N)
    if progress.taken or (drift is not None and drift * middle <= allowed):
        return _zero_burst(plan, state.progressed(phase=Phase.BURST, burst=()), reading)
    return state, False


def hold(plan: Plan, state: State, reading: Reading) -> tuple[State, bool, tuple[Command, ...]]:
    """Creep: readings at rising intervals since the load was applied; the force is not touched meanwhile."""
    progress = state.progress
    if progress.at_load is None:
        state = _arriving(plan, state, reading)
        if state.progress.at_load is None:
            return _not_there(plan, state)
        state = state.progressed(creep_from=len(state.creep))
        progress = state.progress
    assert progress.at_load is not None and state.step is not None
    elapsed = reading.time - progress.at_load
    if reading.force_N is not None and reading.force_N < state.step.nominal_N / 2:
        text = "the load was taken off during the creep hold"
        set_aside = (*state.set_aside, *state.creep[progress.creep_from :])
        state = state.noted(f"{text}: the hold begins anew")
        state = state.but(set_aside=set_aside, creep=state.creep[: progress.creep_from])
        return state.progressed(at_load=None, phase=Phase.GOING), False, (Say(text, warning=True),)
    if not _usable(reading) or elapsed <= 0:
        return state, False, ()
    last = state.creep[-1].time_s if len(state.creep) > progress.creep_from else 0.0
    due = next((time for time in plan.creep_times_s() if time > last * (1 + 1e-9)), None)
    if due is not None and elapsed >= due * (1 - 1e-9):
        assert reading.force_N is not None and reading.resistance_ohm is not None
        sample = CreepSample(time_s=elapsed, force_N=reading.force_N, resistance_ohm=reading.resistance_ohm)
        state = state.but(creep=(*state.creep, sample))
    return state, elapsed >= plan.creep_s * (1 - 1e-9), ()


def point(plan: Plan, state: State, reading: Reading) -> tuple[State, bool, tuple[Command, ...]]:
    """One load step."""
    if state.progress.phase is Phase.BURST:
        return _burst(plan, state, reading)
    state = _went_back(plan, state)
    state = _arriving(plan, state, reading)
    progress = state.progress
    rest = rest_of(plan, progress.window)
    if progress.taken and _usable(reading):
        return _burst(plan, state.progressed(phase=Phase.BURST, burst=()), reading)
    if progress.at_load is None:
        return _not_there(plan, state)
    if rest.both and reading.time - progress.at_load >= plan.dwell_s and _usable(reading):
        return _burst(plan, state.progressed(phase=Phase.BURST, burst=()), reading)
    return state, False, ()


# --- getting there


def _arriving(plan: Plan, state: State, reading: Reading) -> State:
    """Since when the force has been near enough, and the readings since."""
    step, progress = state.step, state.progress
    assert step is not None
    if reading.force_N is None:  # the window shows the gap; whether the load stayed is seen with the next reading
        window = kept(plan, progress.window, reading) if progress.window else ()
        return state.progressed(window=window)
    if not is_near(plan, step, reading.force_N):
        window = kept(plan, progress.window if progress.at_load is None else (), reading)
        return state.progressed(phase=Phase.GOING, at_load=None, window=window)
    if progress.at_load is None:
        return state.progressed(phase=Phase.RESTING, at_load=reading.time, window=(reading,))
    return state.progressed(window=kept(plan, progress.window, reading))


def _not_there(plan: Plan, state: State) -> tuple[State, bool, tuple[Command, ...]]:
    """A press that rests short of the load, as the load cell has it, is asked for as much more."""
    step, progress = state.step, state.progress
    forces = [each.force_N for each in progress.window if each.force_N is not None]
    if not plan.driven or step is None or not progress.asked_N or not forces:
        return state, False, ()
    if not rest_of(plan, progress.window).force_stable or min(forces) < plan.unloaded_N:
        return state, False, ()
    state = learned(state, math.fsum(forces) / len(forces))
    asked = asked_of_press(plan, state, step.nominal_N)
    if math.isclose(asked, progress.asked_N, rel_tol=1e-4):
        return state, False, ()
    return state.progressed(asked_N=asked, window=()), False, (SetForce(asked),)


def learned(state: State, force_N: float) -> State:
    """What a press made of the force that it was asked for, to be allowed for in the next one."""
    asked = state.progress.asked_N
    if not asked:
        return state
    return state.but(press_gain=min(max(force_N / asked, 1 / TRIM_AT_MOST), TRIM_AT_MOST))


def asked_of_press(plan: Plan, state: State, force_N: float) -> float:
    """What a press is asked for, so that the load cell says `force_N`; never beyond the limit."""
    return min(force_N / state.press_gain, plan.limit_N)


def _went_back(plan: Plan, state: State) -> State:
    """A false reversal, while the load is sought: the point will say so."""
    step, force, farthest = state.step, state.last.force_N, state.farthest_N
    if step is None or force is None or farthest is None:
        return state
    back = farthest - force if step.direction is Direction.UP else force - farthest
    if back <= 2 * plan.within_N(abs(farthest)):
        return state
    text = f"reached after the force went back from {newtons(farthest)}"
    return state if text in state.progress.notes else state.progressed(notes=(*state.progress.notes, text))


# --- bursts


def _usable(reading: Reading) -> bool:
    return reading.whole and reading.force_N is not None and reading.force_N > 0


def _collected(plan: Plan, burst: Sequence[Reading], reading: Reading) -> tuple[Reading, ...]:
    apart = plan.burst_s / plan.burst
    if burst and reading.time - burst[-1].time < apart * (1 - 1e-9):
        return tuple(burst)
    return (*burst, reading)


def _cut(plan: Plan, state: State, reading: Reading) -> bool:
    """A burst is taken in one go: a gap as long as the window ends it."""
    burst = state.progress.burst
    return bool(burst) and reading.time - burst[-1].time > max(plan.stability.window_s, 3 * plan.burst_s / plan.burst)


def _resting_again(state: State) -> State:
    return state.progressed(phase=Phase.RESTING, window=(), burst=(), taken="")


def _burst(plan: Plan, state: State, reading: Reading) -> tuple[State, bool, tuple[Command, ...]]:
    progress = state.progress
    if _cut(plan, state, reading):
        return _resting_again(state), False, (Say("a burst was cut by missing readings: it is taken anew"),)
    first = progress.burst[0].force_N if progress.burst else None
    if reading.force_N is not None and first is not None and abs(reading.force_N - first) > 2 * plan.within_N(first):
        state = state.progressed(phase=Phase.GOING, at_load=None, window=(), burst=(), taken="")
        return state, False, (Say("the force was changed during a burst: it is taken anew", warning=True),)
    if not _usable(reading):
        return state, False, ()
    burst = _collected(plan, progress.burst, reading)
    state = state.progressed(burst=burst)
    if len(burst) < plan.burst:
        return state, False, ()
    taken = _point(plan, state, burst)
    return learned(state.but(points=(*state.points, taken)), taken.force_N), True, ()


def _point(plan: Plan, state: State, burst: Sequence[Reading]) -> Point:
    step, progress, time = state.step, state.progress, burst[0].time
    assert step is not None
    point = Point(
        series=step.series if step.extra else max(1, state.series),
        insertion=step.insertion,
        direction=step.direction,
        forces_N=tuple(each.force_N for each in burst if each.force_N is not None),
        resistances_ohm=tuple(each.resistance_ohm for each in burst if each.resistance_ohm is not None),
        nominal_N=step.nominal_N,
        time=time,
        under_load_s=time - state.loaded if state.loaded is not None else None,
    )
    notes = [*dict.fromkeys(progress.notes), *([progress.taken] if progress.taken else [])]
    if abs(point.force_N - step.nominal_N) > plan.within_N(step.nominal_N):
        notes.append(f"taken at {newtons(point.force_N)} instead of {newtons(step.nominal_N)}")
        nominal = step.nominal_N if _belongs(plan, step.nominal_N, point.force_N) else None
        point = point.model_copy(update={"nominal_N": nominal})
    if step.extra:
        notes.append("measured again by itself")
    return point.model_copy(update={"note": "; ".join(notes)})


def _belongs(plan: Plan, nominal: float, force: float) -> bool:
    """Whether a force is nearer to its level than to the next, in ln F."""
    apart = math.log(plan.full_load_N / plan.least_load_N) / (plan.levels - 1)
    return abs(math.log(force / nominal)) < apart / 2


def _zero_burst(plan: Plan, state: State, reading: Reading) -> Done:
    if _cut(plan, state, reading):
        return _resting_again(state), False
    if reading.force_N is None:
        return state, False
    if not without_load(plan, state, reading.force_N):
        return state.progressed(phase=Phase.GOING, at_load=None, window=(), burst=(), taken=""), False
    burst = _collected(plan, state.progress.burst, reading)
    state = state.progressed(burst=burst)
    return (_zeroed(state, burst), True) if len(burst) >= plan.burst else (state, False)


def _zeroed(state: State, burst: Sequence[Reading]) -> State:
    """The zero of the load cell is that of the series that it comes before."""
    step = state.step
    assert step is not None
    forces = [each.force_N for each in burst if each.force_N is not None]
    indications = [each.indication for each in burst if each.indication is not None]
    logs = [math.log(each.resistance_ohm) for each in burst if each.resistance_ohm is not None]
    force = math.fsum(forces) / len(forces)
    series = state.series
    if step.before and step.stage is Stage.SERIES:
        series += 1
    reading = ZeroReading(
        series=series,
        before=step.before,
        force_N=state.zero_N + force,
        resistance_ohm=math.exp(math.fsum(logs) / len(logs)) if 2 * len(logs) > len(burst) else None,
        time=burst[0].time,
    )
    state = state.but(zeros=(*state.zeros, reading), series=series, loaded=None)
    if not step.before:
        return state
    return state.but(zero_indication=math.fsum(indications) / len(indications), zero_N=state.zero_N + force)


def taken_note(plan: Plan, state: State) -> str:
    """What is written into a point that is taken before its time."""
    rest = rest_of(plan, state.progress.window)
    window = f"{plan.stability.window_s:g} s"
    drifts = [
        f"{name} drifted by {share(drift)} in {window}"
        for name, drift in (("force", rest.force), ("resistance", rest.resistance))
        if drift is not None
    ]
    return f"taken before it had come to rest: {', '.join(drifts) or f'less than {window} at the load'}"
