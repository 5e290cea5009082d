"""What a calibration is made from: load steps, creep, zeros, and the statements that they rest on.

SI units; times in seconds since the Unix epoch. Everything here is frozen and goes into the record as it is.
"""

from __future__ import annotations

import datetime
import math
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class DataError(Exception):
    """Data that make no calibration; each problem on a line of its own, with the place and what to do."""


class Frozen(BaseModel):
    """What all parts of a record share: unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Direction(StrEnum):
    """How a load step was reached: from below or from above."""

    UP = "up"
    DOWN = "down"


class Point(Frozen):
    """One load step: a burst of readings of force and resistance, taken together when both had come to rest.

    `forces_N` are as corrected by the load cell's certificate. `excluded` says why the point is not used; it stays
    in the record all the same.
    """

    series: int = Field(ge=1)
    insertion: int = Field(1, ge=1, description="rises by one each time the sensor was taken out and put back")
    direction: Direction
    forces_N: tuple[Positive, ...] = Field(min_length=1)
    resistances_ohm: tuple[Positive, ...] = Field(min_length=1)
    nominal_N: Positive | None = None
    time: float | None = None
    under_load_s: NotNegative | None = Field(None, description="since the sensor was last without load")
    temperature_degC: float | None = None
    excluded: str = ""
    place: str = Field("", description="where it came from, for messages: 'line 7'")

    @model_validator(mode="after")
    def _in_pairs(self) -> Self:
        if len(self.forces_N) != len(self.resistances_ohm):
            raise ValueError("a burst has as many forces as resistances")
        return self

    @property
    def force_N(self) -> float:
        return math.fsum(self.forces_N) / len(self.forces_N)

    @property
    def resistance_ohm(self) -> float:
        """Geometric mean, for the noise of such a sensor is a share of its resistance."""
        return math.exp(math.fsum(map(math.log, self.resistances_ohm)) / len(self.resistances_ohm))

    @property
    def used(self) -> bool:
        return not self.excluded


class CreepSample(Frozen):
    """One reading while the force was held constant; `time_s` since this load was applied."""

    time_s: Positive
    force_N: Positive
    resistance_ohm: Positive


class ZeroReading(Frozen):
    """Without load, before or after a series. `resistance_ohm` is None where the meter said overload: open."""

    series: int = Field(ge=0, description="0: before conditioning")
    before: bool
    force_N: float
    resistance_ohm: Positive | None = None
    time: float | None = None


class Dataset(Frozen):
    """Everything that was measured."""

    points: tuple[Point, ...]
    creep: tuple[CreepSample, ...] = ()
    zeros: tuple[ZeroReading, ...] = ()

    def used(self) -> tuple[Point, ...]:
        return tuple(point for point in self.points if point.used)


class Area(Frozen):
    """The area that the force acts on, P = F / area, with its standard uncertainty and where it comes from."""

    value_m2: Positive
    standard_uncertainty_m2: NotNegative = 0.0
    source: str = Field(min_length=1, description="drawing, measurement, or whose statement it is")

    @classmethod
    def disc(cls, diameter_m: float, tolerance_m: float = 0.0, source: str = "") -> Self:
        """A disc whose diameter is known within ± `tolerance_m` (rectangular): u(A)/A = 2 u(d)/d."""
        value = math.pi / 4 * diameter_m**2
        relative = 2 * tolerance_m / math.sqrt(3) / diameter_m
        return cls(
            value_m2=value,
            standard_uncertainty_m2=value * relative,
            source=source or f"disc of {diameter_m * 1e3:g} mm, as stated",
        )


class Reference(Frozen):
    """The reference load cell, as its certificate states it (see `calibration.reference`)."""

    name: str = Field(min_length=1)
    serial: str = ""
    certificate: str = ""
    laboratory: str = ""
    calibrated: datetime.date | None = None
    expires: datetime.date | None = None
    relative_standard_uncertainty: NotNegative = Field(0.0, description="of the force, systematic")
    standard_uncertainty_N: NotNegative = Field(0.0, description="of the force, systematic, added in quadrature")
    resolution_N: NotNegative = 0.0
    statement: str = Field("", description="how its indication becomes a force, in words")


class Meter(Frozen):
    """What read the resistance, and how well: standard uncertainties from its limits of error."""

    name: str = Field(min_length=1)
    identity: str = ""
    settings: str = ""
    relative_standard_uncertainty: NotNegative = 0.0
    resolution_ohm: NotNegative = 0.0


class TemperatureCoefficient(Frozen):
    """d ln R/dT at constant force in 1/K, and the range of temperature in use that the budget allows for."""

    per_K: float
    standard_uncertainty_per_K: NotNegative = 0.0
    reference_degC: float
    use_within_K: NotNegative = Field(0.0, description="half-width around the reference where it is not measured")
    source: str = ""


class Conditions(Frozen):
    """Under which circumstances, by whom, and with what."""

    operator: str = ""
    laboratory: str = ""
    place: str = ""
    customer: str = ""
    temperature_degC: float | None = None
    temperature_within_K: NotNegative | None = None
    humidity_percent: float | None = Field(None, ge=0, le=100)
    fixture: str = Field("", description="what the sensor was pressed between")
    conditioning: str = Field("", description="loadings before the first series, in words")
    method: str = ""
    dwell_s: NotNegative | None = Field(None, description="time at a load before its reading")
    note: str = ""
