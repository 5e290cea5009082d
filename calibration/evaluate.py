"""From a data set to everything that a record states: fit, choice, budget, table, quantities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration import checks
from calibration.branches import to_the_middle
from calibration.budget import Sources, budgets_at, table_of
from calibration.choice import fit_all
from calibration.columns import Columns, columns_of, place_of
from calibration.creep import fit_creep
from calibration.data import Area, DataError, Dataset, Meter, Reference, TemperatureCoefficient
from calibration.effects import Effects, effects_of
from calibration.results import Choice, Creep, Evaluation
from calibration.sensor_quantities import quantities_of
from calibration.shapes import CannotFit

DWELL_S = 60.0  # that a load step is taken to have lasted where nothing says how long
BUDGETS = 5  # over the range, evenly in ln F, both ends included
DRAWS = 100_000


@dataclass(frozen=True, slots=True)
class Basis:
    """What the evaluation rests on beside the readings."""

    area: Area
    reference: Reference
    meter: Meter
    temperature: TemperatureCoefficient | None = None
    draws: int = DRAWS  # of the propagation of distributions


def evaluate(data: Dataset, basis: Basis) -> Evaluation:
    """Raises `DataError` where the data make no calibration, with every problem and its place."""
    if problems := checks.problems(data):
        raise DataError("\n".join(problems))
    columns = columns_of(data)
    try:
        choice, fitted, noise = fit_all(to_the_middle(columns))
    except CannotFit as error:
        raise DataError(f"no response model fits these data: {error}") from None
    effects = effects_of(columns, fitted, noise)
    creep = fit_creep(data.creep, fitted.model, _dwell_s(data))
    sources = Sources(effects, creep, data, basis.area, basis.reference, basis.meter, basis.temperature)
    low, high = _covered(columns)
    table, _ = table_of(sources, (low, high), basis.draws)
    return Evaluation(
        choice=choice,
        budgets=budgets_at(sources, np.linspace(low, high, BUDGETS), basis.draws),
        table=table,
        creep=creep,
        quantities=quantities_of(columns, fitted, creep),
        force_min_N=float(np.exp(low)),
        force_max_N=float(np.exp(high)),
        warnings=_warnings(data, choice, effects, creep),
    )


def _covered(columns: Columns) -> tuple[float, float]:
    """The least and the largest force that was applied, as ln F."""
    return float(columns.x.min()), float(columns.x.max())


def _dwell_s(data: Dataset) -> float:
    """The time under load that the curve belongs to: the geometric mean over the load steps."""
    times = [point.under_load_s for point in data.used() if point.under_load_s]
    return float(np.exp(np.mean(np.log(times)))) if times else DWELL_S


def _warnings(data: Dataset, choice: Choice, effects: Effects, creep: Creep | None) -> tuple[str, ...]:
    """What does not stand in the way of a record, but whoever signs it should know."""
    said = [f"looks like an outlier, and is used: {place_of(data.points[index])}" for index in choice.suspects]
    if choice.robust:
        said.append("there are outliers: the fit uses a loss that gives them less weight")
    if effects.units < 2:
        said.append("there is one series alone: how well the sensor repeats itself is not known")
    elif not effects.columns.reinserted:
        said.append("the sensor was never taken out and put back: reproducibility is between series alone")
    elif effects.units == 2:
        said.append("two insertions tell little of those to come: the uncertainty is large for want of more of them")
    if not effects.columns.both_branches:
        said.append("there are no series both up and down: hysteresis is not known")
    said += checks.warnings(data)
    if creep is None:
        said.append("creep was not measured: readings long after loading are less certain than stated")
    return tuple(said)
