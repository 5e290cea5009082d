"""From a session to the record that is signed."""

from __future__ import annotations

import datetime
import importlib.metadata

from calibration.data import Conditions
from calibration.evaluate import Basis, evaluate
from calibration.procedure import Plan, State
from calibration.procedure.words import newtons, share, span
from calibration.record import Calibration
from calibration.results import Evaluation
from station.calibrating.session import Session
from station.calibration_views import DeedOrder

VALID = datetime.timedelta(days=365)


def evaluated(session: Session) -> Evaluation:
    """Raises `DataError` where its points make no calibration yet. Takes a second or two."""
    order = session.order
    basis = Basis(order.area, session.reference, session.meter, order.temperature)
    return evaluate(session.state.dataset(), basis)


def record_of(
    session: Session, evaluation: Evaluation, version: int, now: float, order: DeedOrder | None = None
) -> Calibration:
    """The record as it would be signed at `now`, without its hash."""
    order = order or DeedOrder()
    asked, today = session.order, datetime.datetime.fromtimestamp(now, datetime.UTC)
    measured = datetime.datetime.fromtimestamp(session.state.time, datetime.UTC).date()
    return Calibration(
        sensor=session.sensor,
        version=version,
        model=evaluation.choice.best.model,
        area=asked.area,
        evaluation=evaluation,
        data=session.state.dataset(),
        reference=session.reference,
        meter=session.meter,
        conditions=_conditions(session),
        temperature=asked.temperature,
        calibrated=measured,
        expires=order.expires or measured + VALID,
        issued=today,
        authorised_by=order.authorised_by,
        software=f"cellstation {importlib.metadata.version('cellstation')}",
        simulated=session.simulated,
        note=order.note,
    )


def _conditions(session: Session) -> Conditions:
    asked, plan, state = session.order, session.plan, session.state
    return Conditions(
        operator=asked.operator,
        laboratory=asked.laboratory,
        place=asked.place,
        customer=asked.customer,
        temperature_degC=asked.temperature_degC,
        humidity_percent=asked.humidity_percent,
        fixture=asked.fixture,
        conditioning=_conditioning(plan, state),
        method=_method(plan),
        dwell_s=plan.dwell_s,
        note="\n".join([*session.warnings, *(note.text for note in state.notes)]),
    )


def _conditioning(plan: Plan, state: State) -> str:
    if not state.loadings:
        return "none"
    force = newtons(plan.conditioning_share * plan.full_load_N)
    return (
        f"{state.loadings} loadings to {force} ({plan.conditioning_share:.0%} of full load), one after each reinsertion"
    )


def _method(plan: Plan) -> str:
    rest = plan.stability
    by = "a press that the station drove" if plan.driven else "a screw turned by hand"
    return (
        f"compared with a load cell, loaded by {by}: {plan.levels} loads from {newtons(plan.least_load_N)} to "
        f"{newtons(plan.full_load_N)}, evenly spaced in ln F, up and down; at each, once a straight line through "
        f"the last {span(rest.window_s)} changed by less than {share(rest.force_within)} in force and "
        f"{share(rest.resistance_within)} in resistance and {span(plan.dwell_s)} had passed, {plan.burst} readings "
        f"in {span(plan.burst_s)}"
    )
