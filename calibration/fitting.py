"""Fitting the response models, with errors in both variables, and choosing between them.

Orthogonal distance regression (Boggs, Byrd and Schnabel, SIAM J. Sci. Stat. Comput. 8 (1987) 1052; ODRPACK95 through
the library odrpack) of ln F against what the noise is even in. Where outliers stand in the data, the fit is repeated
with Huber's weights (P. J. Huber, Ann. Math. Stat. 35 (1964) 73): they count less, and none is left out.

The choice: Akaike's criterion with its correction for few points (Hurvich and Tsai, Biometrika 76 (1989) 297) among
the models that predict a series left out of the fit about as well as the best one does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import odrpack
from pydantic import ValidationError

from calibration.columns import Columns
from calibration.models import (
    Floats,
    LinearConductance,
    LogPolynomial,
    MonotoneSpline,
    OffsetPower,
    PowerLaw,
    Response,
    SeriesResistance,
)
from calibration.results import Candidate, Choice, Variable

HUBER = 1.345  # standard deviations; 95 % as efficient as least squares for normal errors
OUTLIER = 4.0  # robust standard deviations from the curve: looks like an outlier
ABOUT_AS_WELL = 1.05  # times the error of the model that predicts best
LEAST_SPREAD_X = 1e-4  # relative: no force is known better from one burst
EVENNESS = 3.0  # by how much the log-likelihood must favour a variable other than ln R
MOST_FOLDS = 8
MARGIN = (
    0.2  # in ln F, by which a curve is defined beyond the readings: for what lies at the end within its uncertainty
)
POWER_OF_G = {Variable.LN_RESISTANCE: 0.0, Variable.CONDUCTANCE: -1.0, Variable.RESISTANCE: 1.0}


class CannotFit(Exception):
    """This model does not describe these data; the text says why."""


@dataclass(frozen=True)
class Shape:
    """How the model is made from free parameters, and where a fit of it begins."""

    title: str
    count: int
    start: Callable[[Columns], Floats]
    build: Callable[[Floats, Columns], Response]
    inverse: bool = False  # ln F as a function of ln R is what is explicit


@dataclass(frozen=True)
class Noise:
    """Standard deviations of a load step: of ln F, and of ln R as `scale` · G^`power` (G relative to its middle)."""

    variable: Variable
    sigma_x: float
    scale: float
    middle_ln_ohm: float

    def sigma_y(self, y: Floats) -> Floats:
        return np.asarray(self.scale * self.shape(y))

    def shape(self, y: Floats) -> Floats:
        """Of the standard deviation of ln R, over ln R; 1 in the middle."""
        return np.exp(POWER_OF_G[self.variable] * (self.middle_ln_ohm - np.asarray(y)))


@dataclass(frozen=True)
class Fitted:
    """One model at its best, with what its parameters' covariance and its residuals are made from."""

    shape: Shape
    free: Floats
    model: Response
    weights: Floats  # Huber's, 1 for all without outliers

    def predicted_y(self, x: Floats) -> Floats:
        return np.log(self.model.resistance_ohm(np.exp(x)))

    def predicted_x(self, y: Floats) -> Floats:
        return np.log(self.model.force_N(np.exp(y)))


# --- the models


def _line(columns: Columns) -> tuple[float, float]:
    slope, offset = np.polyfit(columns.x, columns.y, 1)
    return float(offset), float(max(-slope, 0.05))


def _power_start(columns: Columns) -> Floats:
    offset, b = _line(columns)
    return np.array([offset, np.log(b)])


def _power(free: Floats, _: Columns) -> Response:
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


def _conductance(free: Floats, columns: Columns) -> Response:
    return LinearConductance(slope_S_N=np.exp(free[0]), offset_S=free[1] * np.exp(-columns.y.mean()))


def _series_start(columns: Columns) -> Floats:
    slope, offset = _relative_line(np.exp(-columns.x), np.exp(columns.y))
    if slope <= 0:
        raise CannotFit("resistance does not fall with force")
    return np.array([np.log(slope), offset * np.exp(-columns.y.mean())])


def _series(free: Floats, columns: Columns) -> Response:
    return SeriesResistance(k_ohm_N=np.exp(free[0]), series_ohm=free[1] * np.exp(columns.y.mean()))


def _offset_start(columns: Columns) -> Floats:
    offset, b = _line(columns)
    return np.array([-offset, np.log(b), 0.0])


def _offset(free: Floats, columns: Columns) -> Response:
    offset = free[2] * np.exp(-columns.y.max())
    return OffsetPower(scale_S=np.exp(free[0]), exponent_m=np.exp(free[1]), offset_S=offset)


def _polynomial(degree: int) -> Shape:
    def start(columns: Columns) -> Floats:
        return np.polynomial.polynomial.polyfit(columns.x - columns.x.mean(), columns.y, degree)

    def build(free: Floats, columns: Columns) -> Response:
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

    def build(free: Floats, columns: Columns) -> Response:
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


# --- one fit


def fit_shape(shape: Shape, columns: Columns, noise: Noise, weights: Floats, begin: Floats | None = None) -> Fitted:
    """Orthogonal distance regression with these weights; raises `CannotFit`."""
    if len(columns) <= shape.count:
        raise CannotFit(f"{len(columns)} load steps are too few for its {shape.count} parameters")
    start = shape.start(columns) if begin is None else begin
    wx = weights / noise.sigma_x**2
    wy = weights / noise.sigma_y(columns.y) ** 2

    def forward(x: Floats, free: Floats) -> Floats:
        return _finite(np.log(shape.build(free, columns).resistance_ohm(np.exp(x))))

    def backward(y: Floats, free: Floats) -> Floats:
        return _finite(np.log(shape.build(free, columns).force_N(np.exp(y))))

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if shape.inverse:
                found = odrpack.odr_fit(backward, columns.y, columns.x, start, weight_x=wy, weight_y=wx)
            else:
                found = odrpack.odr_fit(forward, columns.x, columns.y, start, weight_x=wx, weight_y=wy)
            model = shape.build(found.beta, columns)
        except (CannotFit, ValidationError, ValueError, OverflowError, FloatingPointError) as error:
            raise CannotFit(_reason(error)) from None
    if not np.all(np.isfinite(found.beta)):
        raise CannotFit("the fit does not end")
    return Fitted(shape, np.asarray(found.beta), model, weights)


def _finite(values: Floats) -> Floats:
    """ODRPACK wants a number everywhere; a far one turns it back."""
    return np.where(np.isfinite(values), values, 1e3)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
    return str(error)


def residuals(fitted: Fitted, columns: Columns) -> Floats:
    """Of ln R, in the load steps: positive where the reading shows more resistance than the curve."""
    with np.errstate(all="ignore"):
        return columns.y - fitted.predicted_y(columns.x)


def covariance(fitted: Fitted, columns: Columns, noise: Noise) -> Floats:
    """Of the free parameters, from the curve's slopes at the readings and the noise in both variables."""
    jacobian = sensitivity(fitted, columns, columns.x)
    slope = fitted.model.exponent(np.exp(columns.x))
    variance = noise.sigma_y(columns.y) ** 2 + (slope * noise.sigma_x) ** 2
    weighted = jacobian * (fitted.weights / variance)[:, None]
    return np.asarray(np.linalg.pinv(jacobian.T @ weighted))


def sensitivity(fitted: Fitted, columns: Columns, x: Floats) -> Floats:
    """d ln R / d free parameters at these ln F: shape (points, parameters)."""
    rows = []
    with np.errstate(all="ignore"):
        for number in range(len(fitted.free)):
            step = 1e-5 * max(1.0, abs(float(fitted.free[number])))
            moved = []
            for sign in (1, -1):
                free = fitted.free.copy()
                free[number] += sign * step
                moved.append(np.log(fitted.shape.build(free, columns).resistance_ohm(np.exp(x))))
            rows.append((moved[0] - moved[1]) / (2 * step))
    return np.nan_to_num(np.array(rows).T)


# --- the noise


def first_noise(columns: Columns) -> tuple[Noise, Floats]:
    """What the noise is even in, and how large, about a smooth curve that knows no model; with that curve's residuals.

    The scatter about the curve is compared, as likelihoods, with an even one of ln R, of G and of R.
    """
    degree = max(1, min(3, len(np.unique(np.round(columns.x, 2))) - 2))
    smooth = np.polynomial.Polynomial.fit(columns.x, columns.y, degree, w=np.sqrt(columns.balance))
    scatter = columns.y - smooth(columns.x)
    scatter = _without_units(columns, scatter)
    middle = float(columns.y.mean())
    floor = 1e-6
    bounded = np.clip(scatter, -5 * _robust_scale(scatter) - floor, 5 * _robust_scale(scatter) + floor)
    likelihoods = {
        variable: -len(columns) / 2 * np.log(np.mean((bounded / np.exp(power * (middle - columns.y))) ** 2) + floor**2)
        - np.sum(power * (middle - columns.y))
        for variable, power in POWER_OF_G.items()
    }
    variable = max(likelihoods, key=lambda one: likelihoods[one])
    if likelihoods[variable] < likelihoods[Variable.LN_RESISTANCE] + EVENNESS:
        variable = Variable.LN_RESISTANCE
    noise = Noise(variable, _sigma_x(columns), 1.0, middle)
    scale = max(_robust_scale(scatter / noise.shape(columns.y)), 1e-4)
    return replace(noise, scale=scale), scatter


def _without_units(columns: Columns, scatter: Floats) -> Floats:
    """Less what each insertion and each branch has in common, where there are enough points."""
    left = scatter.copy()
    for unit in np.unique(columns.unit):
        for branch in (-1.0, 1.0):
            rows = (columns.unit == unit) & (columns.branch == branch)
            if rows.sum() >= 4:
                left[rows] -= np.median(left[rows])
    return left


def _robust_scale(values: Floats) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _sigma_x(columns: Columns) -> float:
    """Relative standard deviation of a burst's mean force."""
    known = np.isfinite(columns.spread_x)
    if not known.any():
        return 1e-3
    mean_square = np.mean(columns.spread_x[known] ** 2 / columns.readings[known])
    return max(float(np.sqrt(mean_square)), LEAST_SPREAD_X)


# --- all models


def fit_all(columns: Columns) -> tuple[Choice, Fitted, Noise]:
    """Every model, compared; the best one as it was fitted. Raises `CannotFit` where none does."""
    noise, _ = first_noise(columns)
    fits, rejected = [], []
    for shape in SHAPES:
        try:
            fits.append(_robustly(shape, columns, noise))
        except CannotFit as error:
            rejected.append((shape.title, str(error)))
    if not fits:
        raise CannotFit("; ".join(f"{title}: {why}" for title, why in rejected))
    candidates = [_candidate(fitted, columns, noise) for fitted in fits]
    order = _best_first(candidates)
    best = fits[order[0]]
    robust = bool(np.any(best.weights < columns.balance.min() * 0.999)) or bool(np.any(_suspects(best, columns, noise)))
    choice = Choice(
        variable=noise.variable,
        candidates=tuple(candidates[place] for place in order),
        rejected=tuple(rejected),
        robust=robust,
        suspects=tuple(int(i) for i in columns.index[_suspects(best, columns, noise)] if i >= 0),
    )
    return choice, best, noise


def _robustly(shape: Shape, columns: Columns, noise: Noise) -> Fitted:
    """Plainly; again with Huber's weights where a point stands far from the curve."""
    fitted = fit_shape(shape, columns, noise, columns.balance)
    if not np.any(_suspects(fitted, columns, noise)):
        return fitted
    for _ in range(8):
        off = np.abs(_standardised(fitted, columns, noise))
        huber = np.minimum(1.0, HUBER / np.maximum(off, 1e-9))
        fitted = fit_shape(shape, columns, noise, columns.balance * huber, fitted.free)
    return fitted


def _standardised(fitted: Fitted, columns: Columns, noise: Noise) -> Floats:
    """Residuals by their robust scale, each branch of each insertion about its own middle."""
    relative = _without_units(columns, residuals(fitted, columns) / noise.shape(columns.y))
    return relative / max(_robust_scale(relative), 1e-9)


def _suspects(fitted: Fitted, columns: Columns, noise: Noise) -> Floats:
    return np.abs(_standardised(fitted, columns, noise)) > OUTLIER


def _candidate(fitted: Fitted, columns: Columns, noise: Noise) -> Candidate:
    off = residuals(fitted, columns) / fitted.model.exponent(np.exp(columns.x))
    even = residuals(fitted, columns) / noise.shape(columns.y)
    count, parameters = len(columns), fitted.shape.count + 1  # the scale is one too
    weighted = float(np.average(even**2, weights=fitted.weights))
    aicc = None
    if count > parameters + 1:
        correction = 2 * parameters * (parameters + 1) / (count - parameters - 1)
        aicc = count * np.log(max(weighted, 1e-16)) + 2 * parameters + correction
    return Candidate(
        model=fitted.model,  # type: ignore[arg-type]  # one of the union's members
        covariance=tuple(map(tuple, covariance(fitted, columns, noise))),
        parameters_fitted=fitted.shape.count,
        aicc=aicc,
        residual=float(np.sqrt(np.average(off**2, weights=fitted.weights))),
        left_out_error=_left_out_error(fitted, columns, noise),
    )


def _left_out_error(fitted: Fitted, columns: Columns, noise: Noise) -> float | None:
    """Relative error of force of series that the fit has not seen; several at a time where they are many."""
    series = np.unique(columns.series)
    if len(series) < 2:
        return None
    folds = np.array_split(series, min(len(series), MOST_FOLDS))
    squares, weights = [], []
    for fold in folds:
        out = np.isin(columns.series, fold)
        try:
            again = fit_shape(fitted.shape, columns.keep(~out), noise, fitted.weights[~out], fitted.free)
        except CannotFit:
            return None
        with np.errstate(all="ignore"):
            off = again.predicted_x(columns.y[out]) - columns.x[out]
        known = np.isfinite(off)
        squares.append(off[known] ** 2)
        weights.append(fitted.weights[out][known])
    return float(np.sqrt(np.average(np.concatenate(squares), weights=np.concatenate(weights))))


def _best_first(candidates: list[Candidate]) -> list[int]:
    """Those that predict about as well as the best, by the criterion; then the others by their error."""
    places = range(len(candidates))

    def criterion(place: int) -> float:
        value = candidates[place].aicc
        return np.inf if value is None else value

    errors = [candidate.left_out_error for candidate in candidates]
    if any(error is not None for error in errors):
        known = [np.inf if error is None else error for error in errors]
        good = [place for place in places if known[place] <= ABOUT_AS_WELL * min(known)]
        rest = sorted((place for place in places if place not in good), key=lambda place: known[place])
    else:
        good, rest = list(places), []
    return [*sorted(good, key=criterion), *rest]
