"""Calibration records for tests that need one and not its making: a power law with an even uncertainty."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

from calibration.data import Area, Conditions, Dataset, Direction, Meter, Point, Reference, TemperatureCoefficient
from calibration.models import PowerLaw
from calibration.record import Calibration
from calibration.registry import Registry
from calibration.results import Budget, Candidate, Choice, Creep, Evaluation, Quantities, Table, Variable

DAY = datetime.date(2026, 1, 1)


def made_record(
    sensor: str = "mfsr-1",
    version: int = 1,
    a: float = 1e7,
    b: float = 1.0,
    *,
    area_m2: float = 1e-4,
    force_N: tuple[float, float] = (10.0, 100.0),
    relative_U: float = 0.1,
    creep_per_decade: float | None = None,
    creep_u: float = 0.0,
    dwell_s: float = 60.0,
    temperature: TemperatureCoefficient | None = None,
    at_degC: float | None = None,
    calibrated: datetime.date = DAY,
    expires: datetime.date | None = None,
    reference_expires: datetime.date | None = None,
    **more: Any,
) -> Calibration:
    """R in Ω is a · (F in N)^-b within `force_N`; `relative_U` (k = 2) holds for the pressure everywhere."""
    model = PowerLaw(a_ohm=a, b=b)
    low, high = force_N
    creep = None
    if creep_per_decade is not None:
        creep = Creep(
            per_decade=creep_per_decade,
            standard_uncertainty=creep_u,
            reference_s=dwell_s,
            force_N=high,
            longest_s=3600.0,
            residual=0.0,
        )
    return Calibration(
        sensor=sensor,
        version=version,
        model=model,
        area=Area(value_m2=area_m2, source="stated for a test"),
        evaluation=_evaluation(model, low, high, relative_U, area_m2, creep),
        data=Dataset(points=tuple(_point(model, force) for force in (low, math.sqrt(low * high), high))),
        reference=Reference(name="load cell 1", expires=reference_expires),
        meter=Meter(name="meter 1"),
        conditions=Conditions(temperature_degC=at_degC, dwell_s=dwell_s),
        temperature=temperature,
        calibrated=calibrated,
        expires=expires,
        issued=datetime.datetime.combine(calibrated, datetime.time(12), datetime.UTC),
        **more,
    ).sealed()


def write_record(folder: Path, calibration: Calibration) -> Path:
    """Where a station looks for it, whatever versions are there."""
    path = Registry(folder).path(calibration.sensor, calibration.version)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(calibration.model_dump_json(indent=2), encoding="utf-8")
    return path


def _point(model: PowerLaw, force_N: float) -> Point:
    ohm = float(model.resistance_ohm(force_N))
    return Point(series=1, direction=Direction.UP, forces_N=(force_N,), resistances_ohm=(ohm,))


def _evaluation(
    model: PowerLaw, low: float, high: float, relative_U: float, area_m2: float, creep: Creep | None
) -> Evaluation:
    ends = sorted(math.log(float(model.resistance_ohm(force))) for force in (low, high))
    steps = 8
    flat = (relative_U,) * (steps + 1)
    spread = 0.98 * relative_U
    return Evaluation(
        choice=Choice(
            variable=Variable.LN_RESISTANCE,
            candidates=(Candidate(model=model, parameters_fitted=2, aicc=None, residual=0.0, left_out_error=None),),
        ),
        budgets=(_budget(model, high, relative_U, area_m2),),
        table=Table(
            ln_ohm_first=ends[0],
            ln_ohm_step=(ends[1] - ends[0]) / steps,
            expanded=flat,
            expanded_force=flat,
            low=(-spread,) * (steps + 1),
            high=(spread,) * (steps + 1),
        ),
        creep=creep,
        quantities=Quantities(of="sensor", levels=(), zero=None, creep=None, classification="unclassified"),
        force_min_N=low,
        force_max_N=high,
    )


def _budget(model: PowerLaw, force_N: float, relative_U: float, area_m2: float) -> Budget:
    return Budget(
        force_N=force_N,
        pressure_Pa=force_N / area_m2,
        resistance_ohm=float(model.resistance_ohm(force_N)),
        components=(),
        combined=relative_U / 2,
        degrees_of_freedom=None,
        few_readings=1.0,
        expanded=relative_U,
        expanded_force=relative_U,
        low=math.exp(-relative_U),
        high=math.exp(relative_U),
        monte_carlo_standard=relative_U / 2,
        monte_carlo_draws=1,
    )
