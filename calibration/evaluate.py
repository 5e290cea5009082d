"""From a data set to everything that a record states: fit, choice, budget, table, quantities."""

from __future__ import annotations

from dataclasses import dataclass

from calibration.data import Area, Dataset, Meter, Reference, TemperatureCoefficient
from calibration.results import Evaluation


@dataclass(frozen=True, slots=True)
class Basis:
    """What the evaluation rests on beside the readings."""

    area: Area
    reference: Reference
    meter: Meter
    temperature: TemperatureCoefficient | None = None
    draws: int = 100_000  # of the Monte-Carlo propagation


def evaluate(data: Dataset, basis: Basis) -> Evaluation:
    """Raises `DataError` where the data make no calibration, with every problem and its place."""
    raise NotImplementedError
