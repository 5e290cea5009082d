"""A session as its clients see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from calibration.data import Point
from calibration.procedure import situation
from station.calibrating.session import Session
from station.calibration_views import CalibrationView, PointView, TraceView

Trace: TypeAlias = Sequence[tuple[float, float | None, float | None]]
"""Time since the session began, force in N, resistance in Ω."""


def view_of(session: Session, trace: Trace = (), trouble: str = "", suspects: Sequence[int] = ()) -> CalibrationView:
    state = session.state
    now = situation(session.plan, state)
    return CalibrationView(
        session=session.id,
        sensor=session.sensor,
        stage=state.stage,
        paused=state.paused is not None,
        title=now.title,
        instruction=now.instruction,
        target_N=now.target_N,
        tolerance_N=now.tolerance_N,
        force_N=state.last.force_N if trace else None,
        resistance_ohm=state.last.resistance_ohm if trace else None,
        resistance_open=state.last.open,
        force_ok=now.force_ok,
        force_stable=now.force_stable,
        resistance_stable=now.resistance_stable,
        taking=now.taking,
        waited_s=now.waited_s,
        dwell_left_s=now.dwell_left_s,
        step=state.done,
        steps=now.steps,
        remaining_s=now.remaining_s,
        points=tuple(_point(index, point, index in suspects) for index, point in enumerate(state.points)),
        trace=TraceView(
            time_s=tuple(time for time, _, _ in trace),
            force_N=tuple(force for _, force, _ in trace),
            resistance_ohm=tuple(ohm for _, _, ohm in trace),
        ),
        deeds=now.deeds,
        trouble=now.trouble or trouble,
        driven=session.plan.driven,
        hands=now.hands,
        overdue=now.overdue,
        simulated=session.simulated,
        record=state.record,
    )


def resting_view(session: Session) -> CalibrationView:
    """Of a session that nobody has taken up: nothing is live in it."""
    view = view_of(session)
    if session.state.step is None:
        return view
    live = ("force_ok", "force_stable", "resistance_stable", "hands", "overdue")
    quiet = dict.fromkeys(live, False) | {"taking": None, "waited_s": 0.0, "dwell_left_s": 0.0, "deeds": ()}
    text = "This calibration was interrupted. Take it up to go on with it."
    return view.model_copy(update={"paused": True, "instruction": text, "trouble": "", **quiet})


def _point(index: int, point: Point, suspect: bool) -> PointView:
    return PointView(
        index=index,
        series=point.series,
        insertion=point.insertion,
        direction=point.direction,
        nominal_N=point.nominal_N,
        force_N=point.force_N,
        resistance_ohm=point.resistance_ohm,
        excluded=point.excluded,
        suspect=suspect,
        note=point.note,
    )
