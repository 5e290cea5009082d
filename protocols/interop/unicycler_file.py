"""Protocols of aurora-unicycler (JSON): what may stand in them.

Keys, units and rules are those of EmpaEconversion/aurora-unicycler 0.4.6, `aurora_unicycler/_core.py` (MIT): current
is positive on charge, a rate wins over a current, a loop says how often it is passed in all, and unknown keys are
errors. Its amplitudes of impedance are peak values, which its exporter hands on to EC-Lab as such; ours are r.m.s.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

VERSION = "0.4.6"

_RATE = re.compile(r"(\d*\.?\d*(?:[eE][-+]?\d+)?)([CD]?)(?:/(\d*\.?\d+(?:[eE][-+]?\d+)?))?")


def _number(value: Any) -> float | None:
    """A number, or a text that is one; an empty text is none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a number")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is not a number") from None
    if not math.isfinite(found):
        raise ValueError(f"{value!r} is not a finite number")
    return found


def _not_negative(value: float | None) -> float | None:
    if value is not None and value < 0:
        raise ValueError(f"{value:g} is below zero")
    return value


def _rate(value: Any) -> float | None:
    """A C-rate as a number, '0.5', '1/5', 'C/3' or 'D/2'; D discharges."""
    try:
        return _number(value)
    except ValueError:
        match = _RATE.fullmatch(value.replace(" ", "")) if isinstance(value, str) else None
    if match is None or not (match[1] or match[2]):
        raise ValueError(f"{value!r} is not a rate; write 0.5, 'C/3' or 'D/2'")
    try:
        rate = float(match[1] or 1) / float(match[3] or 1)
    except (ValueError, ZeroDivisionError):
        rate = math.inf
    if not math.isfinite(rate):
        raise ValueError(f"{value!r} is not a rate; write 0.5, 'C/3' or 'D/2'")
    return -rate if match[2] == "D" else rate


Number: TypeAlias = Annotated[float | None, BeforeValidator(_number)]
Size: TypeAlias = Annotated[Number, AfterValidator(_not_negative)]
CRate: TypeAlias = Annotated[float | None, BeforeValidator(_rate)]
Needed: TypeAlias = Annotated[float, BeforeValidator(_number)]


class UnicyclerModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, coerce_numbers_to_str=True)


class Version(UnicyclerModel):
    version: str = VERSION


class Sample(UnicyclerModel):
    name: str = "$NAME"
    capacity_mAh: Size = None


class Record(UnicyclerModel):
    time_s: Size = None
    voltage_V: Size = None
    current_mA: Size = None


class Safety(UnicyclerModel):
    max_voltage_V: Number = None
    min_voltage_V: Number = None
    max_current_mA: Number = None
    min_current_mA: Number = None
    max_capacity_mAh: Size = None
    delay_s: Size = None


class UnicyclerStep(UnicyclerModel):
    id: str | None = None


class OpenCircuit(UnicyclerStep):
    step: Literal["open_circuit_voltage"] = "open_circuit_voltage"
    until_time_s: Needed = Field(gt=0)


class ConstantCurrent(UnicyclerStep):
    step: Literal["constant_current"] = "constant_current"
    rate_C: CRate = None
    current_mA: Number = None
    until_time_s: Size = None
    until_voltage_V: Number = None


class ConstantVoltage(UnicyclerStep):
    step: Literal["constant_voltage"] = "constant_voltage"
    voltage_V: Needed
    until_time_s: Size = None
    until_rate_C: CRate = None
    until_current_mA: Number = None


class Impedance(UnicyclerStep):
    step: Literal["impedance_spectroscopy"] = "impedance_spectroscopy"
    amplitude_V: Size = None
    amplitude_mA: Size = None
    start_frequency_Hz: Needed = Field(gt=0)
    end_frequency_Hz: Needed = Field(gt=0)
    points_per_decade: int = Field(10, gt=0)
    measures_per_point: int = Field(1, gt=0)
    drift_correction: bool | None = False


class VoltageScan(UnicyclerStep):
    step: Literal["voltage_scan"] = "voltage_scan"
    start_voltage_V: Needed
    end_voltage_V: Needed
    scan_rate_mV_per_s: Needed = Field(gt=0)


class LoopStep(UnicyclerStep):
    step: Literal["loop"] = "loop"
    loop_to: int | str = Field(1, validation_alias=AliasChoices("loop_to", "start_step"))  # the latter before 0.2
    cycle_count: int = Field(gt=0)


class Tag(UnicyclerStep):
    step: Literal["tag"] = "tag"
    tag: str = Field(min_length=1)


AnyStep: TypeAlias = Annotated[
    OpenCircuit | ConstantCurrent | ConstantVoltage | Impedance | VoltageScan | LoopStep | Tag,
    Field(discriminator="step"),
]


class ProtocolJson(UnicyclerModel):
    unicycler: Version = Version()
    sample: Sample = Sample()
    record: Record
    safety: Safety = Safety()
    method: tuple[AnyStep, ...] = Field(min_length=1)
