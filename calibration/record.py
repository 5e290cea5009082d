"""A sensor's calibration as it is kept and used: resistance to pressure, with its uncertainty. Never changed."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from calibration.data import Area, Conditions, Dataset, Frozen, Meter, Reference, TemperatureCoefficient
from calibration.models import Floats, Model
from calibration.results import Evaluation

EXACT = 1e-9  # to which an end of the range belongs to it


class CalibrationError(Exception):
    """A calibration that cannot be used; the text names file and place."""


class Place(IntEnum):
    """Where a reading lies: nothing is extrapolated or clipped in silence.

    `AT_END` marks a reading beyond the last calibrated force by less than its own expanded uncertainty, so that it
    may well lie within: it has a value. Further away there is none.
    """

    BELOW = -1  # less force than the least calibrated
    INSIDE = 0
    AT_END = 1
    ABOVE = 2  # more force than the largest calibrated
    NO_READING = 3


@dataclass(frozen=True, slots=True)
class UnderLoad:
    """How long the sensor has been under load, in seconds; between two times where it is not known better."""

    least_s: float
    most_s: float

    @classmethod
    def since(cls, seconds: float) -> Self:
        return cls(seconds, seconds)


@dataclass(frozen=True, slots=True)
class Pressure:
    """Pressure in Pa with its expanded uncertainty (k = 2) and its 95 % interval."""

    value_Pa: float
    expanded_uncertainty_Pa: float
    low_Pa: float
    high_Pa: float
    at_end: bool = False  # marked: beyond the calibrated range, by less than its uncertainty


@dataclass(frozen=True, slots=True)
class Pressures:
    """Of an array of readings, in Pa; NaN where `place` says that there is none."""

    value_Pa: Floats
    expanded_uncertainty_Pa: Floats
    low_Pa: Floats
    high_Pa: Floats
    place: NDArray[np.int8]


class Calibration(Frozen):
    """One version of one sensor's calibration, with all that it was made from."""

    sensor: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    version: int = Field(ge=1)
    model: Model
    area: Area
    evaluation: Evaluation
    data: Dataset
    reference: Reference
    meter: Meter
    conditions: Conditions = Conditions()
    temperature: TemperatureCoefficient | None = None
    calibrated: datetime.date
    expires: datetime.date | None = None
    issued: datetime.datetime
    authorised_by: str = ""
    software: str = ""
    simulated: bool = False  # the readings are a simulated bench's
    note: str = ""
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")

    @property
    def id(self) -> str:
        return f"{self.sensor} v{self.version}"

    @property
    def force_min_N(self) -> float:
        return self.evaluation.force_min_N

    @property
    def force_max_N(self) -> float:
        return self.evaluation.force_max_N

    def expired(self, today: datetime.date) -> bool:
        return self.expires is not None and today > self.expires

    # --- its hash

    def content_hash(self) -> str:
        """SHA-256 over the record's content: canonical JSON (sorted keys, no white space) without the hash itself."""
        content: dict[str, Any] = self.model_dump(mode="json", exclude={"sha256"})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def sealed(self) -> Self:
        """The same record with its hash."""
        return self.model_copy(update={"sha256": self.content_hash()})

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        if not self.force_min_N < self.force_max_N:
            raise ValueError("'force_min_N' is not below 'force_max_N'")
        return self

    # --- use

    def pressure(
        self, resistance_ohm: float, under_load: UnderLoad | None = None, temperature_degC: float | None = None
    ) -> Pressure | None:
        """Of one reading; None outside the calibrated range."""
        found = self.pressures([resistance_ohm], under_load, temperature_degC)
        if found.place[0] not in (Place.INSIDE, Place.AT_END):
            return None
        numbers = (found.value_Pa, found.expanded_uncertainty_Pa, found.low_Pa, found.high_Pa)
        value, expanded, low, high = (float(array[0]) for array in numbers)
        return Pressure(value, expanded, low, high, at_end=bool(found.place[0] == Place.AT_END))

    def place(self, resistance_ohm: float) -> Place:
        return Place(int(self.pressures([resistance_ohm]).place[0]))

    def pressures(
        self,
        resistance_ohm: ArrayLike,
        under_load: UnderLoad | Sequence[UnderLoad] | None = None,
        temperature_degC: ArrayLike | None = None,
    ) -> Pressures:
        """Of many readings in Ω.

        `under_load` is the time since the sensor was loaded: the creep since the calibration's own dwell is
        corrected, and what is not known of it is added to the uncertainty. None: as long as in the calibration.
        `temperature_degC` is the sensor's: corrected likewise; None: within the range that the budget allows for.
        """
        resistance = np.asarray(resistance_ohm, dtype=np.float64)
        creep, creep_u = self._creep(under_load)
        warmth, warmth_u = self._warmth(temperature_degC)
        with np.errstate(all="ignore"):
            as_calibrated = resistance * np.exp(creep - warmth)
            force = self.model.force_N(as_calibrated)
            extra = np.hypot(creep_u, warmth_u) / self.model.exponent(
                np.clip(force, self.force_min_N, self.force_max_N)
            )
        return self._stated(as_calibrated, force, extra)

    def _stated(self, resistance: Floats, force: Floats, extra: Floats) -> Pressures:
        """With the table's uncertainty, widened by what came on top of it (a relative standard uncertainty)."""
        table = self.evaluation.table
        grid = table.ln_ohm_first + table.ln_ohm_step * np.arange(len(table.expanded))
        with np.errstate(all="ignore"):
            at = np.log(resistance)
            stated = np.interp(at, grid, table.expanded)
            expanded = np.hypot(stated, 2 * extra)
            wider = expanded / stated
            value = force / self.area.value_m2
            low = value * np.exp(wider * np.interp(at, grid, table.low))
            high = value * np.exp(wider * np.interp(at, grid, table.high))
        place = self._places(resistance, force, expanded)
        has_value = (place == Place.INSIDE) | (place == Place.AT_END)

        def known(column: Floats) -> Floats:
            return np.asarray(np.where(has_value, column, np.nan))

        return Pressures(known(value), known(value * expanded), known(low), known(high), place)

    def _places(self, resistance: Floats, force: Floats, expanded: Floats) -> NDArray[np.int8]:
        with np.errstate(all="ignore"):
            readable = (resistance > 0) & np.isfinite(resistance)
            inside = (force >= self.force_min_N * (1 - EXACT)) & (force <= self.force_max_N * (1 + EXACT))
            near = (force * (1 + expanded) >= self.force_min_N) & (force <= self.force_max_N * (1 + expanded))
            hard = resistance < self.model.resistance_ohm(self.force_max_N)
        choices = [~readable, inside, near, hard]
        found = [Place.NO_READING, Place.INSIDE, Place.AT_END, Place.ABOVE]
        return np.select(choices, found, Place.BELOW).astype(np.int8)

    def _creep(self, under_load: UnderLoad | Sequence[UnderLoad] | None) -> tuple[Floats, Floats]:
        """What to add to ln R, so that it is as it was in the calibration, and its standard uncertainty."""
        known = self.evaluation.creep
        if known is None or under_load is None:
            return np.zeros(1), np.zeros(1)
        times = [under_load] if isinstance(under_load, UnderLoad) else under_load
        least = np.array([max(each.least_s, known.reference_s / 10) for each in times])
        most = np.array([max(each.most_s, known.reference_s / 10) for each in times])
        early, late = np.log10(least / known.reference_s), np.log10(most / known.reference_s)
        middle, half = (early + late) / 2, (late - early) / 2
        spread = known.per_decade * half / math.sqrt(3.0)
        return np.log1p(known.per_decade * middle), np.hypot(known.standard_uncertainty * middle, spread)

    def _warmth(self, temperature_degC: ArrayLike | None) -> tuple[Floats, Floats]:
        """What the temperature has added to ln R since the calibration's, and its standard uncertainty."""
        if self.temperature is None or temperature_degC is None:
            return np.zeros(1), np.zeros(1)
        warmer = np.atleast_1d(np.asarray(temperature_degC, dtype=np.float64)) - self.temperature.reference_degC
        warmer = np.where(np.isfinite(warmer), warmer, 0.0)
        return self.temperature.per_K * warmer, np.abs(self.temperature.standard_uncertainty_per_K * warmer)
