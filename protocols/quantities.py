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
        zero = float(_units().Quantity(0.0, match[2]).to(unit).magnitude)
    except pint.DimensionalityError:
        raise QuantityError(f"'{text}' is not {kind}; a unit like {unit} is wanted") from None
    except _NO_UNIT:
        raise QuantityError(f"'{match[2]}' in '{text}' is not a unit; one like {unit} is wanted") from None
    if unit == "K" and zero != 0.0:  # 1 degC is 274.15 K
        raise QuantityError(f"'{text}' is a temperature; {kind} is written like '{match[1]} K'")
    if not math.isfinite(value):
        raise QuantityError(f"'{text}' is too large for {kind}")
    return value


def _text(kind: str, symbols: str, *examples: str) -> WithJsonSchema:
    """For editors: a number, and a unit that `symbols` occurs in, a regular expression; it may let mistakes pass."""
    pattern = rf"^\s*[-+]?{_NUMBER}\s*\D*?(?:{symbols})"
    said = f"{kind}: {' or '.join(examples)}"
    return WithJsonSchema({"type": "string", "description": said, "pattern": pattern, "examples": list(examples)})


def _quantity(unit: str, kind: str, symbols: str, *examples: str) -> Any:
    return BeforeValidator(lambda value: number(value, unit, kind)), _text(kind, symbols, *examples)


Volts = Annotated[float, *_quantity("V", "a voltage", "[vV]", "2 V", "10 mV")]
Amperes = Annotated[float, *_quantity("A", "a current", "A|amp", "1 mA", "50 uA")]
Seconds = Annotated[float, *_quantity("s", "a time", "[smhdwy]", "30 s", "10 min", "4 h")]
Pascals = Annotated[float, *_quantity("Pa", "a pressure", "[Pp]a|bar|psi|atm|torr|N", "600 kPa", "1.5 MPa")]
Hertz = Annotated[float, *_quantity("Hz", "a frequency", "[hH]z|hertz|s", "1 MHz", "0.1 Hz")]
Celsius = Annotated[float, *_quantity("degC", "a temperature", "[CKF]|°|deg|kelvin|celsius", "25 degC", "60 degC")]
Grams = Annotated[float, *_quantity("g", "a mass", "g", "0.68 mg")]
SquareCentimetres = Annotated[float, *_quantity("cm^2", "an area", "m", "1.131 cm^2")]
SquareMillimetres = Annotated[float, *_quantity("mm^2", "an area", "m", "113 mm^2")]
AmpereHours = Annotated[float, *_quantity("Ah", "a capacity", "A|C|amp|coul", "2.4 mAh")]
AmpereHoursPerGram = Annotated[float, *_quantity("Ah/g", "a specific capacity", "A|C|amp|coul", "3579 mAh/g")]
Newtons = Annotated[float, *_quantity("N", "a force", "N|newton|f", "10 N")]
Watts = Annotated[float, *_quantity("W", "a power", "[wW]|J|V", "5 mW")]
WattHours = Annotated[float, *_quantity("Wh", "an energy", "[wW]|J|V|cal", "10 mWh")]
Ohms = Annotated[float, *_quantity("ohm", "a resistance", "[oO]hm|Ω|Ω|V", "100 ohm")]
Kelvins = Annotated[float, *_quantity("K", "a difference of temperature", "K|C|°|deg|kelvin", "1 K")]
VoltsPerSecond = Annotated[float, *_quantity("V/s", "a change of voltage with time", "[vV]", "0.1 mV/s", "1 mV/h")]
AmperesPerSecond = Annotated[float, *_quantity("A/s", "a change of current with time", "A|amp", "1 uA/h")]
PascalsPerSecond = Annotated[
    float, *_quantity("Pa/s", "a change of pressure with time", "[Pp]a|bar|psi|atm|torr|N", "2 kPa/h")
]


def share(value: object) -> float:
    """Read '80 %' as 0.8."""
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        return float(match[1]) / 100.0
    raise QuantityError(f"{value!r} is not a share; write it like '80 %'")


Share = Annotated[float, BeforeValidator(share), _text("a share", "%", "80 %")]


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


_RATE = WithJsonSchema(
    {
        "type": "string",
        "description": "a current: 1 mA, 0.5 mA/cm^2, 175 mA/g, 0.2 C, C/5 or 0.5 C of formation (a step's name)",
        "pattern": rf"^\s*(?:[-+]?{_NUMBER})?\s*\D*?(?:A|C|amp)",
        "examples": ["1 mA", "0.5 mA/cm^2", "175 mA/g", "0.2 C", "C/5"],
    }
)
RateField = Annotated[InstanceOf[Rate], BeforeValidator(rate), _RATE]
ChargeField = Annotated[
    InstanceOf[Charge],
    BeforeValidator(charge),
    _text("a capacity", "A|C|amp|coul", "3 mAh", "2 mAh/cm^2", "1000 mAh/g"),
]
PotentialField = Annotated[
    InstanceOf[Potential],
    BeforeValidator(potential),
    _text("a voltage", "[vV]", "2 V", "0.05 V vs Li+/Li", "10 mV vs OCV"),
]
