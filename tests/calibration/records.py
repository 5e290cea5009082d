"""A small record, made by hand: what reads, keeps and compares records needs no fit."""

from __future__ import annotations

import datetime
import math

from calibration.data import Area, Dataset, Direction, Meter, Point, Reference
from calibration.models import PowerLaw
from calibration.record import Calibration
from calibration.results import (
    Budget,
    Candidate,
    Choice,
    Component,
    Evaluation,
    LevelQuantities,
    Quantities,
    Table,
    Variable,
)

DISC = Area.disc(14e-3)
B = 0.85
COIN_PA, COIN_OHM = 546e3, 0.288e6  # a coin cell's preload and the resistance that belongs to it
A_OHM = COIN_OHM * (COIN_PA * DISC.value_m2) ** B
TODAY = datetime.date(2026, 9, 21)
FORCES = (1.0, 4.0, 20.0, 84.05, 400.0)


def record(*, a_ohm: float = A_OHM, expanded: float = 0.08, **changes: object) -> Calibration:
    model = PowerLaw(a_ohm=a_ohm, b=B)
    ohms = [float(model.resistance_ohm(force)) for force in FORCES]
    points = tuple(
        Point(series=1, direction=Direction.UP, forces_N=(force,), resistances_ohm=(ohm,), place=f"line {line}")
        for line, (force, ohm) in enumerate(zip(FORCES, ohms, strict=True), 2)
    )
    ends = math.log(ohms[-1]) - 0.2, math.log(ohms[0]) + 0.2
    budget = Budget(
        force_N=84.05,
        pressure_Pa=COIN_PA,
        resistance_ohm=COIN_OHM,
        components=(Component(name="repeatability", relative=expanded / 2, evaluation="A"),),
        combined=expanded / 2,
        degrees_of_freedom=None,
        few_readings=1.0,
        expanded=expanded,
        expanded_force=expanded,
        low=math.exp(-expanded),
        high=math.exp(expanded),
        monte_carlo_standard=expanded / 2,
        monte_carlo_draws=1,
    )
    evaluation = Evaluation(
        choice=Choice(
            variable=Variable.LN_RESISTANCE,
            candidates=(Candidate(model=model, parameters_fitted=2, aicc=-50.0, residual=0.02, left_out_error=None),),
        ),
        budgets=(budget,),
        table=Table(
            ln_ohm_first=ends[0],
            ln_ohm_step=ends[1] - ends[0],
            expanded=(expanded, expanded),
            expanded_force=(expanded, expanded),
            low=(-expanded, -expanded),
            high=(expanded, expanded),
        ),
        creep=None,
        quantities=Quantities(
            of="sensor",
            levels=tuple(
                LevelQuantities(
                    force_N=f, reproducibility=None, repeatability=None, interpolation=None, reversibility=None
                )
                for f in FORCES
            ),
            zero=None,
            creep=None,
            classification="unclassified",
        ),
        force_min_N=FORCES[0],
        force_max_N=FORCES[-1],
    )
    values: dict[str, object] = {
        "sensor": "mfsr-1",
        "version": 3,
        "model": model,
        "area": DISC,
        "evaluation": evaluation,
        "data": Dataset(points=points),
        "reference": Reference(name="cell"),
        "meter": Meter(name="dmm"),
        "calibrated": TODAY,
        "issued": datetime.datetime(2026, 9, 21, 12, tzinfo=datetime.UTC),
    }
    return Calibration.model_validate({**values, **changes})
