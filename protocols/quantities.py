"""What people type with a unit, read by pint into SI numbers: '0.5 mA/cm^2', '546 kPa', 'C/5'."""

from __future__ import annotations

import contextlib
import functools
import math
import re
import tokenize
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import pint
from pydantic import BeforeValidator, InstanceOf, WithJsonSchema

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NUMBER_AND_UNIT = re.compile(rf"\s*([-+]?{_NUMBER})\s*(.*?)\s*", re.DOTALL)
_C_RATE = re.compile(rf"\s*({_NUMBER})?\s*C\s*(?:/\s*({_NUMBER}))?\s*")
_OF_STEP = re.compile(r"(.*\d.*|\s*C\s*|.*C\s*/.*?)\s+of\s+(?:step\s+)?(\S.*?)\s*")
_AGAINST = re.compile(r"(.*?)\s+vs\.?\s+(\S.*?)\s*", re.DOTALL)
_PERCENT = re.compile(rf"\s*([-+]?{_NUMBER})\s*%\s*")
_POWER = r"(?:(?:\^|\*\*)-?\d|⁻[¹²³])?"
_NAME = rf"(?:°?[^\W\d_]+(?:_[^\W\d_]+)*|%){_POWER}"
# Units and their powers, and nothing else that pint's parser would evaluate.
_UNIT = re.compile(rf"{_NAME}(?:\s*[*/·⋅\s]\s*{_NAME})*")


class QuantityError(ValueError):
    """A text that is no quantity of the wanted kind; says what would be."""


# What pint raises on words that are no units, some of them by way of Python's own tokenizer.
_NO_UNIT: tuple[type[Exception], ...] = (
    pint.errors.PintError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    SyntaxError,
    AssertionError,
    tokenize.TokenError,
)


@functools.cache
def _units() -> pint.UnitRegistry[Any]:
    return pint.UnitRegistry(cache_folder=":auto:")


def number(text: object, unit: str, kind: str) -> float:
    """The value of `text` in `unit`. `kind` names the quantity in messages ('a voltage')."""
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise QuantityError(f"{text!r} is not {kind}; write it like '1 {unit}'")
    if isinstance(text, int | float):
        raise QuantityError(f"{text} has no unit; write it like '{text} {unit}'")
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None:
        raise QuantityError(f"'{text}' is not {kind}; write it like '1 {unit}'")
    if not match[2]:
        raise QuantityError(f"'{text}' has no unit; write it like '{text} {unit}'")
    if not _UNIT.fullmatch(match[2]):
        raise QuantityError(f"'{match[2]}' in '{text}' is not a unit; one like {unit} is wanted")
    try:
        value = float(_units().Quantity(float(match[1]), match[2]).to(unit).magnitude)
    except pint.DimensionalityError:
        raise QuantityError(f"'{text}' is not {kind}; a unit like {unit} is wanted") from None
    except _NO_UNIT:
        raise QuantityError(f"'{match[2]}' in '{text}' is not a unit; one like {unit} is wanted") from None
    if not math.isfinite(value):
        raise QuantityError(f"'{text}' is too large for {kind}")
    return value


def _quantity(unit: str, kind: str) -> Any:
    return (
        BeforeValidator(lambda value: number(value, unit, kind)),
        WithJsonSchema({"type": "string", "description": f"{kind}, such as '1 {unit}'"}),
    )


Volts = Annotated[float, *_quantity("V", "a voltage")]
Amperes = Annotated[float, *_quantity("A", "a current")]
Seconds = Annotated[float, *_quantity("s", "a time")]
Pascals = Annotated[float, *_quantity("Pa", "a pressure")]
Hertz = Annotated[float, *_quantity("Hz", "a frequency")]
Celsius = Annotated[float, *_quantity("degC", "a temperature")]
Grams = Annotated[float, *_quantity("g", "a mass")]
SquareCentimetres = Annotated[float, *_quantity("cm^2", "an area")]
SquareMillimetres = Annotated[float, *_quantity("mm^2", "an area")]
AmpereHours = Annotated[float, *_quantity("Ah", "a capacity")]
AmpereHoursPerGram = Annotated[float, *_quantity("Ah/g", "a specific capacity")]
Newtons = Annotated[float, *_quantity("N", "a force")]
Watts = Annotated[float, *_quantity("W", "a power")]
WattHours = Annotated[float, *_quantity("Wh", "an energy")]
Ohms = Annotated[float, *_quantity("ohm", "a resistance")]
Kelvins = Annotated[float, *_quantity("K", "a difference of temperature")]
VoltsPerSecond = Annotated[float, *_quantity("V/s", "a change of voltage with time")]
AmperesPerSecond = Annotated[float, *_quantity("A/s", "a change of current with time")]
PascalsPerSecond = Annotated[float, *_quantity("Pa/s", "a change of pressure with time")]


def share(value: object) -> float:
    """Read '80 %' as 0.8."""
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        return float(match[1]) / 100.0
    raise QuantityError(f"{value!r} is not a share; write it like '80 %'")


Share = Annotated[
    float, BeforeValidator(share), WithJsonSchema({"type": "string", "description": "a share, such as '80 %'"})
]


@dataclass(frozen=True, slots=True)
class Potential:
    """A voltage between the cell's terminals (`against` is empty) or against something that is named."""

    volts: float
    against: str
    text: str


def potential(value: object) -> Potential:
    """Read '2 V', '0.05 V vs Li+/Li' or '10 mV vs OCV'."""
    if isinstance(value, Potential):
        return value
    text = value if isinstance(value, str) else str(value)
    if match := _AGAINST.fullmatch(text):
        return Potential(number(match[1], "V", "a voltage"), match[2], text.strip())
    return Potential(number(value, "V", "a voltage"), "", text.strip())


class Basis(StrEnum):
    """What a rate or an amount of charge refers to."""

    ABSOLUTE = "absolute"
    AREA = "electrode area"
    MASS = "active mass"
    CAPACITY = "capacity"


@dataclass(frozen=True, slots=True)
class Rate:
    """A current by its basis: A, A/cm², A/g, or the multiple of 1C (per hour).

    `of_step` names the earlier step whose measured charge 1C refers to; empty for the cell's own capacity.
    """

    value: float
    basis: Basis
    text: str
    of_step: str = ""


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount of charge by its basis: Ah, Ah/cm² or Ah/g."""

    value: float
    basis: Basis
    text: str


def rate(value: object) -> Rate:
    """Read '1 mA', '0.5 mA/cm^2', '175 mA/g', '0.2 C', 'C/5' or '0.5 C of formation'."""
    if isinstance(value, Rate):
        return value
    text = value if isinstance(value, str) else str(value)
    if match := _OF_STEP.fullmatch(text):
        measured = rate(match[1])
        if measured.basis is not Basis.CAPACITY:
            raise QuantityError(f"'{text.strip()}': only a C-rate refers to a step, such as '0.5 C of {match[2]}'")
        return Rate(measured.value, Basis.CAPACITY, text.strip(), match[2])
    if match := _C_RATE.fullmatch(text):
        return Rate(_multiple(match, text), Basis.CAPACITY, text.strip())
    wanted = "a current, such as '1 mA', '0.5 mA/cm^2', '175 mA/g' or '0.2 C'"
    return Rate(*_by_basis(value, text, (("A", Basis.ABSOLUTE), ("A/cm^2", Basis.AREA), ("A/g", Basis.MASS)), wanted))


def _multiple(match: re.Match[str], text: str) -> float:
    """Of 1C."""
    hours = float(match[2] or 1)
    value = float(match[1] or 1) / hours if hours > 0 else math.inf
    if not math.isfinite(value):
        raise QuantityError(f"'{text.strip()}' is not a rate; write it like 'C/5' or '0.2 C'")
    return value


def charge(value: object) -> Charge:
    """Read '3 mAh', '2 mAh/cm^2' or '1000 mAh/g'."""
    if isinstance(value, Charge):
        return value
    if isinstance(value, str) and _C_RATE.fullmatch(value):
        raise QuantityError(f"'{value}' may mean coulombs or a part of the capacity; write it in mAh")
    wanted = "a capacity, such as '3 mAh', '2 mAh/cm^2' or '1000 mAh/g'"
    units = (("Ah", Basis.ABSOLUTE), ("Ah/cm^2", Basis.AREA), ("Ah/g", Basis.MASS))
    return Charge(*_by_basis(value, str(value), units, wanted))


def _by_basis(value: object, text: str, units: tuple[tuple[str, Basis], ...], wanted: str) -> tuple[float, Basis, str]:
    for unit, basis in units:
        with contextlib.suppress(QuantityError):
            return number(value, unit, wanted), basis, text.strip()
    raise QuantityError(f"'{text}' is not {wanted}")


RateField = Annotated[
    InstanceOf[Rate],
    BeforeValidator(rate),
    WithJsonSchema({"type": "string", "description": "a current: '1 mA', '0.5 mA/cm^2', '175 mA/g', '0.2 C' or 'C/5'"}),
]
ChargeField = Annotated[
    InstanceOf[Charge],
    BeforeValidator(charge),
    WithJsonSchema({"type": "string", "description": "a capacity: '3 mAh', '2 mAh/cm^2' or '1000 mAh/g'"}),
]
PotentialField = Annotated[
    InstanceOf[Potential],
    BeforeValidator(potential),
    WithJsonSchema({"type": "string", "description": "a voltage: '2 V', '0.05 V vs Li+/Li' or '10 mV vs OCV'"}),
]
