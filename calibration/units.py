"""Units that force and resistance come in, as exact factors to SI: in column headings, certificates and options.

A prefix's case tells milli from mega, so a unit is read as written; another case is accepted where it can mean one
thing only ('kpa', 'KOHM'), and refused where it could mean two ('mn').
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

STANDARD_GRAVITY = 9.80665  # m/s²; exact
POUND_FORCE = 4.4482216152605  # N; exact


class UnitError(ValueError):
    """A text that is no quantity of the wanted kind; says what would be."""


class Kind(StrEnum):
    """What a number can be; the words are those of messages."""

    FORCE = "force"
    PRESSURE = "pressure"
    RESISTANCE = "resistance"
    CONDUCTANCE = "conductance"
    VOLTAGE = "voltage"
    RATIO = "bridge output"
    LENGTH = "length"
    AREA = "area"
    TIME = "time"
    TEMPERATURE = "temperature"


_OHMS = {"m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}

FACTORS: dict[Kind, dict[str, float]] = {
    Kind.FORCE: {
        "N": 1.0,
        "mN": 1e-3,
        "kN": 1e3,
        "MN": 1e6,
        "newton": 1.0,
        "newtons": 1.0,
        "kgf": STANDARD_GRAVITY,
        "kp": STANDARD_GRAVITY,
        "gf": STANDARD_GRAVITY * 1e-3,
        "lbf": POUND_FORCE,
        "ozf": POUND_FORCE / 16,
        # A mass that lies on the sensor: its weight under standard gravity.
        "kg": STANDARD_GRAVITY,
        "g": STANDARD_GRAVITY * 1e-3,
        "gram": STANDARD_GRAVITY * 1e-3,
        "grams": STANDARD_GRAVITY * 1e-3,
        "lb": POUND_FORCE,
        "lbs": POUND_FORCE,
        "oz": POUND_FORCE / 16,
    },
    Kind.PRESSURE: {
        "Pa": 1.0,
        "hPa": 1e2,
        "kPa": 1e3,
        "MPa": 1e6,
        "bar": 1e5,
        "mbar": 1e2,
        "psi": POUND_FORCE / 0.0254**2,
        "N/mm^2": 1e6,
        "N/cm^2": 1e4,
        "N/m^2": 1.0,
        "kgf/cm^2": STANDARD_GRAVITY * 1e4,
    },
    Kind.RESISTANCE: {prefix + name: factor for prefix, factor in _OHMS.items() for name in ("Ω", "ohm", "ohms")}
    | {"kiloohm": 1e3, "kilohm": 1e3, "megaohm": 1e6, "megohm": 1e6},
    Kind.CONDUCTANCE: {
        "S": 1.0,
        "mS": 1e-3,
        "µS": 1e-6,
        "uS": 1e-6,
        "nS": 1e-9,
        "mho": 1.0,
        "µmho": 1e-6,
        "1/Ω": 1.0,
        "1/ohm": 1.0,
        "1/kΩ": 1e-3,
        "1/kohm": 1e-3,
        "1/MΩ": 1e-6,
        "1/Mohm": 1e-6,
    },
    Kind.VOLTAGE: {"V": 1.0, "mV": 1e-3, "volt": 1.0, "volts": 1.0},
    Kind.RATIO: {"mV/V": 1.0},
    Kind.LENGTH: {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "µm": 1e-6, "um": 1e-6, "in": 0.0254, "inch": 0.0254},
    Kind.AREA: {"m^2": 1.0, "cm^2": 1e-4, "mm^2": 1e-6, "in^2": 0.0254**2},
    Kind.TIME: {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0, "sec": 1.0, "seconds": 1.0},
    Kind.TEMPERATURE: {"degC": 1.0, "C": 1.0, "K": 1.0, "degF": 1.0, "celsius": 1.0},  # see `celsius`
}
MASSES = frozenset({"kg", "g", "gram", "grams", "lb", "lbs", "oz"})
_QUANTITY = re.compile(r"([-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?)\s*(.*)", re.DOTALL)


def tidy(text: str) -> str:
    """One spelling of what looks the same: Ω, µ, powers, minus, spaces."""
    text = text.replace("²", "^2").replace("−", "-").replace("**", "^")
    text = unicodedata.normalize("NFKC", text).replace("μ", "µ").replace("℧", "mho")
    return text.replace("°", "deg").strip()


def find(text: str, kind: Kind) -> str | None:
    """The unit's own spelling; None where it is none of this kind, or could be two."""
    text = re.sub(r"\s*/\s*", "/", tidy(text)).replace("mm2", "mm^2").replace("cm2", "cm^2").replace("sq ", "")
    known = FACTORS[kind]
    if text in known:
        return text
    alike = [name for name in known if name.casefold() == text.casefold()]
    same_prefix = [name for name in alike if name[:1] == text[:1]]  # 'MOhm' is not 'mohm'
    for names in (same_prefix, alike):
        if len({known[name] for name in names}) == 1:
            return names[0]
    return None


def factor(text: str, kind: Kind) -> float:
    """To SI; raises `UnitError`."""
    name = find(text, kind)
    if name is None:
        raise UnitError(f"'{text.strip()}' is no unit of {kind}; there are: {', '.join(FACTORS[kind])}")
    return FACTORS[kind][name]


def quantity(text: str, kind: Kind) -> float:
    """'10 kΩ' in SI; raises `UnitError`."""
    match = _QUANTITY.fullmatch(tidy(text))
    example = next(iter(FACTORS[kind]))
    if match is None:
        raise UnitError(f"'{text}' is no {kind}; write it like '1 {example}'")
    if not match[2]:
        raise UnitError(f"'{text}' has no unit; write it like '{text} {example}'")
    return float(match[1].replace(",", ".")) * factor(match[2], kind)


def share(text: str) -> float | None:
    """'0.5 %' as 0.005; None where there is no percent sign."""
    match = _QUANTITY.fullmatch(tidy(text))
    if match is None or match[2] not in ("%", "percent"):
        return None
    return float(match[1].replace(",", ".")) / 100
