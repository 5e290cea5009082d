"""What is asked of a press that the station drives."""

from __future__ import annotations

from calibration.data import Direction
from calibration.procedure.plan import Kind, Plan, Step
from calibration.procedure.readings import asked_of_press
from calibration.procedure.state import Command, SetForce, State, Unload


def pressed(plan: Plan, state: State) -> tuple[State, tuple[Command, ...]]:
    """Ask the press for the present step's force, once; when all is measured, to let go of the sensor."""
    step, force = state.step, state.last.force_N
    if not plan.driven or state.paused is not None or state.over:
        return state, ()
    if step is None:
        return state, (Unload(),)
    if state.progress.asked_N is not None:
        return state, ()
    if step.kind in (Kind.ZERO, Kind.UNLOAD, Kind.REINSERT):
        return state.progressed(asked_N=0.0), (Unload(),)
    if force is not None and _would_go_back(step, force):
        return state.progressed(asked_N=force), ()
    asked = asked_of_press(plan, state, step.nominal_N)
    return state.progressed(asked_N=asked), (SetForce(asked),)


def _would_go_back(step: Step, force: float) -> bool:
    if step.kind is not Kind.POINT:
        return False
    return force > step.nominal_N if step.direction is Direction.UP else force < step.nominal_N
