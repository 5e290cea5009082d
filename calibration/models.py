"""Response models of a pressure sensor: resistance from force, and exactly back.

Force in N, resistance in Ω, conductance G = 1/R in S. Every function takes an array of any shape (or a number) and
returns one of the same shape. A model knows no range of its own: where it has no answer it gives NaN, and whether an
answer lies within the calibrated range is for the calibration to say.

Sources: conductance linear in force, Tekscan FlexiForce user manual; power law, Interlink FSR 400 data sheet (R about
proportional to 1/F over the middle decades); polynomial in ln R and ln F, Brimacombe et al., J. Biomech. Eng. 131
(2009) 034503; shape-preserving cubic interpolation, Fritsch and Carlson, SIAM J. Numer. Anal. 17 (1980) 238.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator
from scipy.interpolate import PchipInterpolator

from calibration.data import Frozen, Positive

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
BLOCK = 16384  # elements that are worked on at once: what a core's cache holds
START_NODES = 4096  # of a polynomial's inverse
MOST_NEWTON_STEPS = 8
CLOSE = 1e-7  # a last step of Newton's this small in ln F leaves its square
LEAST_EXPONENT = 0.03  # of a polynomial: where it is flatter, a per cent of resistance is a third of the force
POLISH_STEPS = 40  # of a bracketed search for what has no closed form; it ends as soon as nothing moves


class Response(Frozen):
    """What all models share. Resistance falls as force rises, everywhere where there is an answer."""

    title: ClassVar[str]
    formula: ClassVar[str]

    @abstractmethod
    def _resistance(self, force: Floats) -> Floats:
        """Of a block."""

    @abstractmethod
    def _force(self, resistance: Floats) -> Floats:
        """Of a block."""

    @abstractmethod
    def parameters(self) -> dict[str, tuple[float, str]]:
        """Value and unit of each, by the names that `formula` uses."""

    def resistance_ohm(self, force_N: ArrayLike) -> Floats:
        return _in_blocks(self._resistance, force_N)

    def force_N(self, resistance_ohm: ArrayLike) -> Floats:
        """The inverse of `resistance_ohm`, exact to 1e-9 relative or better."""
        return _in_blocks(self._force, resistance_ohm)

    def exponent(self, force_N: ArrayLike) -> Floats:
        """b = −d ln R / d ln F: a relative error e of the resistance is one of e/b of the force."""
        force = np.asarray(force_N, dtype=np.float64)
        step = 1e-5
        higher, lower = self.resistance_ohm(force * np.exp(step)), self.resistance_ohm(force * np.exp(-step))
        return np.asarray(-(np.log(higher) - np.log(lower)) / (2 * step), dtype=np.float64)


class PowerLaw(Response):
    title: ClassVar[str] = "power law"
    formula: ClassVar[str] = "R = a · (F / 1 N)^(−b)"

    kind: Literal["power"] = "power"
    a_ohm: Positive
    b: Positive

    def _resistance(self, force: Floats) -> Floats:
        return np.asarray(np.exp(np.log(self.a_ohm) - self.b * np.log(force)))

    def _force(self, resistance: Floats) -> Floats:
        return np.asarray(np.exp((np.log(self.a_ohm) - np.log(resistance)) / self.b))

    def parameters(self) -> dict[str, tuple[float, str]]:
        return {"a": (self.a_ohm, "Ω"), "b": (self.b, "")}


class LinearConductance(Response):
    title: ClassVar[str] = "conductance linear in force"
    formula: ClassVar[str] = "1/R = k · F + c"

    kind: Literal["conductance"] = "conductance"
    slope_S_N: Positive
    offset_S: float

    def _resistance(self, force: Floats) -> Floats:
        conductance = self.slope_S_N * force + self.offset_S
        return np.where(conductance > 0, 1.0 / conductance, np.nan)

    def _force(self, resistance: Floats) -> Floats:
        force = (1.0 / resistance - self.offset_S) / self.slope_S_N
        return np.where(force > 0, force, np.nan)

    def parameters(self) -> dict[str, tuple[float, str]]:
        return {"k": (self.slope_S_N, "S/N"), "c": (self.offset_S, "S")}


class SeriesResistance(Response):
    title: ClassVar[str] = "inverse force with a series resistance"
    formula: ClassVar[str] = "R = k / F + R0"

    kind: Literal["series"] = "series"
    k_ohm_N: Positive
    series_ohm: float

    def _resistance(self, force: Floats) -> Floats:
        resistance = self.k_ohm_N / force + self.series_ohm
        return np.where(resistance > 0, resistance, np.nan)

    def _force(self, resistance: Floats) -> Floats:
        force = self.k_ohm_N / (resistance - self.series_ohm)
        return np.where(force > 0, force, np.nan)

    def parameters(self) -> dict[str, tuple[float, str]]:
        return {"k": (self.k_ohm_N, "Ω·N"), "R0": (self.series_ohm, "Ω")}


class OffsetPower(Response):
    title: ClassVar[str] = "power of the force with an offset in conductance"
    formula: ClassVar[str] = "1/R = c + k · (F / 1 N)^m"

    kind: Literal["offset-power"] = "offset-power"
    scale_S: Positive
    exponent_m: Positive
    offset_S: float

    def _resistance(self, force: Floats) -> Floats:
        conductance = self.offset_S + self.scale_S * np.exp(self.exponent_m * np.log(force))
        return np.where(conductance > 0, 1.0 / conductance, np.nan)

    def _force(self, resistance: Floats) -> Floats:
        share = (1.0 / resistance - self.offset_S) / self.scale_S
        return np.exp(np.log(np.where(share > 0, share, np.nan)) / self.exponent_m)

    def parameters(self) -> dict[str, tuple[float, str]]:
        return {"c": (self.offset_S, "S"), "k": (self.scale_S, "S"), "m": (self.exponent_m, "")}


class LogPolynomial(Response):
    """Monotone between `low_N` and `high_N`, or it is refused; outside there is no answer."""

    title: ClassVar[str] = "polynomial in ln R and ln F"
    formula: ClassVar[str] = "ln(R / 1 Ω) = Σ p_i · (ln(F / F*))^i"

    kind: Literal["log-polynomial"] = "log-polynomial"
    coefficients: Annotated[tuple[float, ...], Field(min_length=3, max_length=6)]
    centre_N: Positive
    low_N: Positive
    high_N: Positive

    @model_validator(mode="after")
    def _falls_everywhere(self) -> Self:
        if not self.low_N < self.high_N:
            raise ValueError("'low_N' is not below 'high_N'")
        if self._slopes(np.linspace(*self._ends, 401)).max() > -LEAST_EXPONENT:
            raise ValueError("the polynomial does not fall everywhere between 'low_N' and 'high_N'")
        return self

    @property
    def _ends(self) -> tuple[float, float]:
        return float(np.log(self.low_N / self.centre_N)), float(np.log(self.high_N / self.centre_N))

    def _value(self, x: Floats) -> Floats:
        return np.asarray(np.polynomial.polynomial.polyval(x, self.coefficients))

    def _slopes(self, x: Floats) -> Floats:
        derivative = np.polynomial.polynomial.polyder(np.asarray(self.coefficients))
        return np.asarray(np.polynomial.polynomial.polyval(x, derivative))

    @cached_property
    def _start(self) -> tuple[float, float, Floats]:
        """A table of the inverse, even in ln R (first, steps for each unit, values): where Newton's steps begin."""
        x = np.linspace(*self._ends, 4 * START_NODES)
        y = self._value(x)
        even = np.linspace(y[-1], y[0], START_NODES)
        return float(even[0]), float((START_NODES - 1) / (even[-1] - even[0])), np.interp(even, y[::-1], x[::-1])

    def _resistance(self, force: Floats) -> Floats:
        x = np.log(force / self.centre_N)
        low, high = self._ends
        return np.where((x >= low - 1e-12) & (x <= high + 1e-12), np.exp(self._value(x)), np.nan)

    def _force(self, resistance: Floats) -> Floats:
        y = np.log(resistance)
        first, steps, table = self._start
        place = (y - first) * steps
        known = (place >= -1e-6) & (place <= START_NODES - 1 + 1e-6)
        y = np.where(known, y, first)
        nearest = np.where(known, place + 0.5, 0).astype(np.intp)
        x = table[np.minimum(nearest, START_NODES - 1)]
        for _ in range(MOST_NEWTON_STEPS):
            value, slope = self._value_and_slope(x)
            value -= y
            value /= slope
            x -= value
            if np.abs(value, out=value).max() < CLOSE:
                break
        return np.where(known, self.centre_N * np.exp(x), np.nan)

    def _value_and_slope(self, x: Floats) -> tuple[Floats, Floats]:
        """By Horner's scheme, in place: this is what the time of a conversion goes to."""
        *lower, highest = self.coefficients
        value, slope = np.full_like(x, highest), np.zeros_like(x)
        for coefficient in reversed(lower):
            slope *= x
            slope += value
            value *= x
            value += coefficient
        return value, slope

    def parameters(self) -> dict[str, tuple[float, str]]:
        return {"F*": (self.centre_N, "N")} | {f"p{i}": (value, "") for i, value in enumerate(self.coefficients)}


class MonotoneSpline(Response):
    """ln F as a shape-preserving cubic of ln R through the knots, so that the way that is used is the explicit one."""

    title: ClassVar[str] = "monotone spline in ln F and ln R"
    formula: ClassVar[str] = "ln F = PCHIP(ln R) through the knots"

    kind: Literal["spline"] = "spline"
    knots_ln_ohm: Annotated[tuple[float, ...], Field(min_length=3)]
    knots_ln_N: Annotated[tuple[float, ...], Field(min_length=3)]

    @model_validator(mode="after")
    def _falls_everywhere(self) -> Self:
        if len(self.knots_ln_ohm) != len(self.knots_ln_N):
            raise ValueError("a knot has both a resistance and a force")
        if np.any(np.diff(self.knots_ln_ohm) <= 0) or np.any(np.diff(self.knots_ln_N) >= 0):
            raise ValueError("the knots do not go by rising resistance and falling force")
        return self

    @cached_property
    def _curve(self) -> PchipInterpolator:
        return PchipInterpolator(self.knots_ln_ohm, self.knots_ln_N, extrapolate=False)

    def _force(self, resistance: Floats) -> Floats:
        y = np.log(resistance)
        first, last = self.knots_ln_ohm[0], self.knots_ln_ohm[-1]
        inside = np.where((y >= first - 1e-12) & (y <= last + 1e-12), np.clip(y, first, last), np.nan)
        return np.exp(self._curve(inside))

    def _resistance(self, force: Floats) -> Floats:
        """By bisection and Newton's steps, whichever stays within the bracket: this way is used for drawing only."""
        x = np.log(force)
        highest, lowest = self.knots_ln_N[0], self.knots_ln_N[-1]
        known = (x >= lowest - 1e-12) & (x <= highest + 1e-12)
        wanted = np.clip(x, lowest, highest)
        low = np.full_like(x, self.knots_ln_ohm[0])
        high = np.full_like(x, self.knots_ln_ohm[-1])
        y, slope = np.interp(-wanted, [-k for k in self.knots_ln_N], self.knots_ln_ohm), self._curve.derivative()
        for _ in range(POLISH_STEPS):
            off = self._curve(y) - wanted
            low, high = np.where(off > 0, y, low), np.where(off <= 0, y, high)
            with np.errstate(divide="ignore", invalid="ignore"):
                newton = y - off / slope(y)
            moved = np.where((newton > low) & (newton < high), newton, (low + high) / 2)
            moved = np.where(off == 0, y, moved)
            if np.all(np.abs(moved - y) <= 1e-14 * np.abs(y)):
                y = moved
                break
            y = moved
        return np.where(known, np.exp(y), np.nan)

    def parameters(self) -> dict[str, tuple[float, str]]:
        pairs = zip(self.knots_ln_ohm, self.knots_ln_N, strict=True)
        named = (
            (f"knot {i}: R", float(np.exp(y)), f"knot {i}: F", float(np.exp(x))) for i, (y, x) in enumerate(pairs, 1)
        )
        return {name: value for r, ohm, f, newton in named for name, value in ((r, (ohm, "Ω")), (f, (newton, "N")))}


Model: TypeAlias = Annotated[
    PowerLaw | LinearConductance | SeriesResistance | OffsetPower | LogPolynomial | MonotoneSpline,
    Field(discriminator="kind"),
]


def _in_blocks(function: object, values: ArrayLike) -> Floats:
    """Block by block, so that what is in between stays in the cache; NaN for what is not above zero and finite."""
    assert callable(function)
    given = np.asarray(values, dtype=np.float64)
    flat = np.ascontiguousarray(given).reshape(-1)
    result = np.empty_like(flat)
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, BLOCK):
            block = flat[start : start + BLOCK]
            if not (block.min() > 0 and block.max() < np.inf):  # also where there is a NaN
                block = np.where((block > 0) & (block < np.inf), block, np.nan)
            result[start : start + BLOCK] = function(block)
    return result.reshape(given.shape)
