"""Limits that protect a cell, as they are written and as they are held."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from protocols.quantities import Amperes, Celsius, Pascals, Volts


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds in SI units; infinite where there is none. `current_max_A` is a magnitude."""

    voltage_min_V: float = -math.inf
    voltage_max_V: float = math.inf
    current_max_A: float = math.inf
    pressure_min_Pa: float = -math.inf
    pressure_max_Pa: float = math.inf
    temperature_min_degC: float = -math.inf
    temperature_max_degC: float = math.inf

    def narrowed_by(self, other: Limits) -> Limits:
        """The intersection of both: a limit is narrowed, never widened."""
        narrowed = {
            field.name: (max if "_min_" in field.name else min)(getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)
        }
        return Limits(**narrowed)

    def watches_pressure(self) -> bool:
        return math.isfinite(self.pressure_min_Pa) or math.isfinite(self.pressure_max_Pa)

    def watches_temperature(self) -> bool:
        return math.isfinite(self.temperature_min_degC) or math.isfinite(self.temperature_max_degC)


class Model(BaseModel):
    """What people write: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class PressureBounds(Model):
    """Bounds of pressure."""

    above: Pascals | None = Field(None, description="trip above this pressure")
    below: Pascals | None = Field(None, description="trip below this pressure")


class TemperatureBounds(Model):
    """Bounds of temperature."""

    above: Celsius | None = Field(None, description="trip above this temperature")
    below: Celsius | None = Field(None, description="trip below this temperature")


class LimitsModel(Model):
    """`{voltage: [-0.05 V, 2.2 V], current: 5 mA, pressure: {above: 1.5 MPa}}`."""

    voltage: tuple[Volts, Volts] | None = Field(None, description="lowest and highest voltage")
    current: Amperes | None = Field(None, description="largest current in either direction")
    pressure: PressureBounds | None = None
    temperature: TemperatureBounds | None = None

    @model_validator(mode="before")
    @classmethod
    def _pairs(cls, data: Any) -> Any:
        if (
            isinstance(data, dict)
            and (pair := data.get("voltage")) is not None
            and (not isinstance(pair, list | tuple) or len(pair) != 2)
        ):
            raise ValueError("voltage limits are a pair, such as [-0.05 V, 2.2 V]")
        return data

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        limits = self.limits()
        for low, high, name in (
            (limits.voltage_min_V, limits.voltage_max_V, "voltage"),
            (limits.pressure_min_Pa, limits.pressure_max_Pa, "pressure"),
            (limits.temperature_min_degC, limits.temperature_max_degC, "temperature"),
        ):
            if low >= high:
                raise ValueError(f"the {name} limits are in the wrong order: {low:g} is not below {high:g}")
        if limits.current_max_A <= 0:
            raise ValueError("the current limit is a magnitude above zero")
        return self

    def limits(self) -> Limits:
        low, high = self.voltage or (-math.inf, math.inf)
        pressure = self.pressure or PressureBounds()
        temperature = self.temperature or TemperatureBounds()
        return Limits(
            voltage_min_V=low,
            voltage_max_V=high,
            current_max_A=_or(self.current, math.inf),
            pressure_min_Pa=_or(pressure.below, -math.inf),
            pressure_max_Pa=_or(pressure.above, math.inf),
            temperature_min_degC=_or(temperature.below, -math.inf),
            temperature_max_degC=_or(temperature.above, math.inf),
        )


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
