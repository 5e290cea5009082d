"""The protocol language: what may stand in a protocol file."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from protocols.limits import LimitsModel, Model
from protocols.quantities import ChargeField, Hertz, Pascals, QuantityError, RateField, Seconds, Volts, number


def _every(value: Any) -> Any:
    """'10 cycles', '10' or 10."""
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+)\s*(?:cycles?)?\s*", value)):
        return int(match[1])
    return value


class VoltageEnd(Model):
    """A voltage that ends the step: in the step's own direction, or as said by `above` or `below`."""

    at: Volts | None = None
    above: Volts | None = None
    below: Volts | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return data if isinstance(data, dict) else {"at": data}

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.at, self.above, self.below)) != 1:
            raise ValueError("give one voltage: '2 V', {above: 2 V} or {below: 0.02 V}")
        return self


class PressureEnd(Model):
    """A pressure that ends the step."""

    above: Pascals | None = None
    below: Pascals | None = None

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            raise ValueError("say which way: {above: 600 kPa} or {below: 500 kPa}")
        return data

    @model_validator(mode="after")
    def _any(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("give {above: 600 kPa}, {below: 500 kPa} or both")
        if self.above is not None and self.below is not None and self.above <= self.below:
            raise ValueError("'above' is not above 'below': every pressure ends this step")
        return self


class Until(Model):
    """End conditions; the first one that is met ends the step."""

    voltage: VoltageEnd | None = None
    current: RateField | None = Field(None, description="ends a hold when the current's magnitude falls to this")
    time: Seconds | None = Field(None, gt=0)
    capacity: ChargeField | None = Field(None, description="charge passed in this step, as a magnitude")
    pressure: PressureEnd | None = None


class Rest(Model):
    """Open circuit."""

    duration: Seconds | None = Field(None, alias="for", gt=0, description="how long")
    until: Until = Until()


class Drive(Model):
    """Constant current, and with `hold` constant current and then constant voltage (CCCV)."""

    at: RateField
    hold: Volts | None = Field(None, description="go over to this constant voltage when it is reached")
    duration: Seconds | None = Field(None, alias="for", gt=0)
    until: Until = Until()


class Hold(Model):
    """Constant voltage."""

    at: Volts
    limit: RateField | None = Field(None, description="largest current on the way; the channel's limit otherwise")
    duration: Seconds | None = Field(None, alias="for", gt=0)
    until: Until = Until()


class Impedance(Model):
    """Potentiostatic impedance sweep (PEIS) at open circuit, or at the bias `at`."""

    start: Hertz = Field(alias="from", gt=0)
    to: Hertz = Field(gt=0)
    amplitude: Volts = Field(gt=0, description="r.m.s. value")
    points_per_decade: int = Field(10, ge=1, le=100)
    at: Volts | None = Field(None, description="bias; the open-circuit voltage otherwise")
    every: Annotated[int, BeforeValidator(_every)] = Field(
        1, ge=1, description="only where the cycle's number is a multiple: '10 cycles'"
    )


class Step(Model):
    """One step: exactly one technique, or `repeat` with its `steps`."""

    TECHNIQUES: ClassVar[tuple[str, ...]] = ("rest", "charge", "discharge", "hold", "impedance", "repeat")

    name: str | None = None
    rest: Rest | None = None
    charge: Drive | None = None
    discharge: Drive | None = None
    hold: Hold | None = None
    impedance: Impedance | None = None
    repeat: int | None = Field(None, ge=1, description="how many times `steps` are done in all")
    steps: tuple[Step, ...] | None = None

    @model_validator(mode="after")
    def _one_technique(self) -> Self:
        given = [name for name in self.TECHNIQUES if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"here stand {' and '.join(given)}" if given else "here is none of them"
            raise ValueError(f"a step is exactly one of {', '.join(self.TECHNIQUES)}; {found}")
        if (self.repeat is None) != (self.steps is None):
            raise ValueError("'repeat' and 'steps' belong together")
        if self.steps is not None and not self.steps:
            raise ValueError("'repeat' has no steps")
        return self

    @property
    def technique(self) -> str:
        return next(name for name in self.TECHNIQUES if getattr(self, name) is not None)


class Record(Model):
    """When a sample is recorded: each `every`, and at each `change` of voltage or pressure."""

    every: Seconds = Field(30.0, gt=0)
    change: tuple[str, ...] = Field((), description="such as [5 mV, 2 kPa]")

    @model_validator(mode="after")
    def _readable(self) -> Self:
        self.changes()
        return self

    def changes(self) -> tuple[float | None, float | None]:
        """ΔV in V and Δpressure in Pa."""
        voltage = pressure = None
        for text in self.change:
            try:
                voltage = number(text, "V", "a voltage")
            except QuantityError:
                try:
                    pressure = number(text, "Pa", "a pressure")
                except QuantityError:
                    raise ValueError(f"'{text}' is neither a voltage ('5 mV') nor a pressure ('2 kPa')") from None
        if (voltage is not None and voltage <= 0) or (pressure is not None and pressure <= 0):
            raise ValueError("a change to record at is above zero")
        return voltage, pressure


class ProtocolFile(Model):
    """A protocol: a title, what to record, limits, and the steps."""

    protocol: str = Field(description="title")
    source: str = Field("", description="where it was published")
    notes: str = ""
    parameters: dict[str, int | float | str] = Field(default_factory=dict)
    record: Record = Record()
    limits: LimitsModel = LimitsModel()
    steps: tuple[Step, ...] = Field(min_length=1)

    @field_validator("parameters", mode="before")
    @classmethod
    def _plain(cls, parameters: Any) -> Any:
        for name, value in parameters.items() if isinstance(parameters, dict) else ():
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                raise ValueError(f"parameter '{name}' is {value!r}; it should be a number or a text")
        return parameters
