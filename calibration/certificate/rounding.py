"""Numbers as a certificate states them: two digits of the uncertainty, and the value to the same place.

Rule: JCGM 100:2008, 7.2.6; EA-4/02 M:2022, 6.3 (with two digits, rounding never takes away more than 5 %).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
PREFIXES = ((-12, "p"), (-9, "n"), (-6, "µ"), (-3, "m"), (0, ""), (3, "k"), (6, "M"), (9, "G"))


@dataclass(frozen=True, slots=True)
class Scale:
    """A unit to write in: its name, and how much of it one SI unit is."""

    unit: str
    factor: float

    @classmethod
    def of(cls, magnitude: float, unit: str) -> Scale:
        """The prefix with which the magnitude is between 1 and 1000, as near as there is one."""
        power = 3 * math.floor(math.log10(abs(magnitude) * (1 + 1e-12)) / 3) if magnitude else 0
        power = min(max(power, PREFIXES[0][0]), PREFIXES[-1][0])
        return cls(dict(PREFIXES)[power] + unit, 10.0**-power)


def decimals(uncertainty: float, digits: int = 2) -> int:
    """Decimal places at which a positive number has so many significant digits; negative left of the point."""
    exponent = int(f"{uncertainty:.{digits - 1}e}".partition("e")[2])  # after the rounding: 0.0996 is 0.10
    return digits - 1 - exponent


def rounded(value: float, places: int) -> str:
    """To a decimal place; `places` below zero rounds to tens, hundreds and so on."""
    exact = Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
    text = f"{exact:.{max(0, places)}f}"
    return text.removeprefix("-") if not exact else text.replace("-", "−")


def significant(value: float, digits: int) -> str:
    """With so many significant digits; as a power of ten where the zeros would be many."""
    if value == 0:
        return "0"
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    if -4 <= exponent < max(digits, 5):
        return rounded(value, digits - 1 - exponent)
    mantissa = f"{value:.{digits - 1}e}".partition("e")[0].replace("-", "−")
    return f"{mantissa}·10{str(exponent).translate(SUPERSCRIPTS)}"


def with_uncertainty(value: float, u: float, digits: int) -> tuple[str, str]:
    """A value with so many digits, and its uncertainty with two, in the same power of ten."""
    text = significant(value, digits)
    mantissa, times, power = text.partition("·10")
    if not times or u <= 0:
        return text, uncertainty(u) if u > 0 else ""
    scale = abs(value / float(mantissa.replace("−", "-")))
    return text, f"{significant(u / scale, 2)}·10{power}"


def uncertainty(value: float) -> str:
    """Two significant digits."""
    return significant(value, 2)


def to_the_place_of(value: float, expanded: float) -> str:
    """A value, to the place of the second digit of its uncertainty."""
    return rounded(value, decimals(expanded)) if expanded > 0 else significant(value, 4)


def shares(parts: list[float], total: float = 100.0, places: int = 1) -> list[float]:
    """Parts as shares of a total, rounded so that they add up to it (largest remainders)."""
    whole = math.fsum(parts)
    if whole <= 0:
        return [0.0] * len(parts)
    unit = 10.0**-places
    exact = [total * part / whole / unit for part in parts]
    floors = [math.floor(each + 1e-9) for each in exact]
    left = round(total / unit) - sum(floors)
    by_remainder = sorted(range(len(parts)), key=lambda index: floors[index] - exact[index])
    for index in by_remainder[:left]:
        floors[index] += 1
    return [round(each * unit, places) for each in floors]


def degrees(value: float | None) -> str:
    """Degrees of freedom: cut to whole numbers, as Student's tables want."""
    if value is None or value >= 1000:
        return "∞"
    return rounded(value, 1) if value < 1 else str(math.floor(value))
