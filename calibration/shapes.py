"""The response models as fits see them: how each is made from free parameters, and where its fit begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from calibration.columns import Columns
from calibration.models import (
    Floats,
    LinearConductance,
    LogPolynomial,
    Model,
    MonotoneSpline,
    OffsetPower,
    PowerLaw,
    SeriesResistance,
)

MARGIN = 0.2  # in ln F, by which a curve goes beyond the readings: for what lies at the end within its uncertainty


class CannotFit(Exception):
    """This model does not describe these data; the text says why."""


@dataclass(frozen=True)
class Shape:
    """How the model is made from free parameters, and where a fit of it begins."""

    title: str
    count: int
    start: Callable[[Columns], Floats]
    build: Callable[[Floats, Columns], Model]
    inverse: bool = False  # ln F as a function of ln R is what is explicit


def _line(columns: Columns) -> tuple[float, float]:
    slope, offset = np.polyfit(columns.x, columns.y, 1)
    return float(offset), float(max(-slope, 0.05))


def _power_start(columns: Columns) -> Floats:
    offset, b = _line(columns)
    return np.array([offset, np.log(b)])


def _power(free: Floats, _: Columns) -> Model:
    return PowerLaw(a_ohm=np.exp(free[0]), b=np.exp(free[1]))


def _relative_line(u: Floats, v: Floats) -> tuple[float, float]:
    """v = slope · u + offset with even relative errors of v."""
    design = np.column_stack((u, np.ones_like(u))) / v[:, None]
    slope, offset = np.linalg.lstsq(design, np.ones_like(v), rcond=None)[0]
    return float(slope), float(offset)


def _conductance_start(columns: Columns) -> Floats:
    slope, offset = _relative_line(np.exp(columns.x), np.exp(-columns.y))
    if slope <= 0:
        raise CannotFit("conductance does not rise with force")
    return np.array([np.log(slope), offset * np.exp(columns.y.mean())])


def _conductance(free: Floats, columns: Columns) -> Model:
    return LinearConductance(slope_S_N=np.exp(free[0]), offset_S=free[1] * np.exp(-columns.y.mean()))


def _series_start(columns: Columns) -> Floats:
    slope, offset = _relative_line(np.exp(-columns.x), np.exp(columns.y))
    if slope <= 0:
        raise CannotFit("resistance does not fall with force")
    return np.array([np.log(slope), offset * np.exp(-columns.y.mean())])


def _series(free: Floats, columns: Columns) -> Model:
    return SeriesResistance(k_ohm_N=np.exp(free[0]), series_ohm=free[1] * np.exp(columns.y.mean()))


def _offset_start(columns: Columns) -> Floats:
    offset, b = _line(columns)
    return np.array([-offset, np.log(b), 0.0])


def _offset(free: Floats, columns: Columns) -> Model:
    offset = free[2] * np.exp(-columns.y.max())
    return OffsetPower(scale_S=np.exp(free[0]), exponent_m=np.exp(free[1]), offset_S=offset)


def _polynomial(degree: int) -> Shape:
    def start(columns: Columns) -> Floats:
        return np.polynomial.polynomial.polyfit(columns.x - columns.x.mean(), columns.y, degree)

    def build(free: Floats, columns: Columns) -> Model:
        ends = columns.x.min(), columns.x.max()
        for margin in (MARGIN, MARGIN / 4, 1e-6):
            low, high = np.exp(ends[0] - margin), np.exp(ends[1] + margin)
            try:
                return LogPolynomial(
                    coefficients=tuple(free), centre_N=np.exp(columns.x.mean()), low_N=low, high_N=high
                )
            except ValidationError:
                continue
        raise CannotFit("the polynomial does not fall everywhere")

    return Shape(f"polynomial of degree {degree} in ln R and ln F", degree + 1, start, build)


def _spline(knots: int) -> Shape:
    """Through knots at even shares of the readings, with steps that cannot but fall."""

    def places(columns: Columns) -> Floats:
        return np.linspace(columns.y.min(), columns.y.max(), knots)

    def start(columns: Columns) -> Floats:
        smooth = np.polynomial.Polynomial.fit(columns.y, columns.x, min(3, knots - 1))
        heights = smooth(places(columns))
        return np.concatenate(([heights[0]], np.log(np.maximum(-np.diff(heights), 0.02))))

    def build(free: Floats, columns: Columns) -> Model:
        at = places(columns)
        heights = free[0] - np.concatenate(([0.0], np.cumsum(np.exp(free[1:]))))
        first, last = (heights[0] - heights[1]) / (at[1] - at[0]), (heights[-2] - heights[-1]) / (at[-1] - at[-2])
        outer_y = (at[0] - MARGIN / first, *at, at[-1] + MARGIN / last)
        outer_x = (heights[0] + MARGIN, *heights, heights[-1] - MARGIN)
        return MonotoneSpline(knots_ln_ohm=outer_y, knots_ln_N=outer_x)

    return Shape(f"monotone spline through {knots} knots", knots, start, build, inverse=True)


SHAPES = (
    Shape(PowerLaw.title, 2, _power_start, _power),
    Shape(LinearConductance.title, 2, _conductance_start, _conductance),
    Shape(SeriesResistance.title, 2, _series_start, _series),
    Shape(OffsetPower.title, 3, _offset_start, _offset),
    _polynomial(2),
    _polynomial(3),
    _spline(5),
)
