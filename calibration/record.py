"""A sensor's calibration as the station uses it: resistance to pressure, with its uncertainty."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator


class CalibrationError(Exception):
    """A calibration record that cannot be used; the text names file and place."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """Pressure in Pa with its expanded uncertainty (k = 2)."""

    value_Pa: float
    expanded_uncertainty_Pa: float


class Calibration(BaseModel):
    """Power law R = a·F^(-b) between two forces, and the loaded area: P = F / area.

    R in Ω, F in N, `a` in Ω·N^b. `relative_uncertainty` is that of the pressure, expanded with k = 2, and
    holds between `force_min_N` and `force_max_N`; outside there is no pressure, only the resistance.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    sensor: str
    version: int = Field(ge=1)
    model: Literal["power"]
    a: float = Field(gt=0)
    b: float = Field(gt=0)
    area_m2: float = Field(gt=0)
    force_min_N: float = Field(gt=0)
    force_max_N: float = Field(gt=0)
    relative_uncertainty: float = Field(gt=0)
    calibrated: datetime.date
    expires: datetime.date | None = None
    note: str = ""

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        if self.force_min_N >= self.force_max_N:
            raise ValueError("'force_min_N' is not below 'force_max_N'")
        try:
            self.resistance_ohm(self.force_min_N), self.resistance_ohm(self.force_max_N)
        except OverflowError:
            raise ValueError("'b' is too large for these forces") from None
        return self

    @property
    def id(self) -> str:
        return f"{self.sensor} v{self.version}"

    def force_N(self, resistance_ohm: float) -> float:
        """The inverse of the power law; also outside the calibrated range."""
        return float((self.a / resistance_ohm) ** (1.0 / self.b))

    def resistance_ohm(self, force_N: float) -> float:
        """The power law; also outside the calibrated range."""
        return float(self.a * force_N**-self.b)

    def pressure(self, resistance_ohm: float) -> Pressure | None:
        """None outside the calibrated range: nothing is extrapolated, nothing clipped."""
        if not self.resistance_ohm(self.force_max_N) <= resistance_ohm <= self.resistance_ohm(self.force_min_N):
            return None
        value = self.force_N(resistance_ohm) / self.area_m2
        return Pressure(value, value * self.relative_uncertainty)

    def expired(self, today: datetime.date) -> bool:
        return self.expires is not None and today > self.expires


def read_calibration(path: Path) -> Calibration:
    """A record from its JSON file."""
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise CalibrationError(f"{path}: {place}: {first['msg']}") from None


def newest(folder: Path, sensor: str) -> Calibration | None:
    """The sensor's calibration with the highest version among the records in `folder`; None where it has none.

    Raises `CalibrationError` where a record cannot be read, or where two have that version.
    """
    records = [read_calibration(path) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []
    own = [record for record in records if record.sensor == sensor]
    highest = max((record.version for record in own), default=0)
    candidates = [record for record in own if record.version == highest]
    if len(candidates) > 1:
        raise CalibrationError(f"{folder}: {len(candidates)} records are version {highest} of sensor '{sensor}'")
    return candidates[0] if candidates else None
