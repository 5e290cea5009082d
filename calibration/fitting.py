"""Fitting a response model with errors in both variables.

Orthogonal distance regression (Boggs, Byrd and Schnabel, SIAM J. Sci. Stat. Comput. 8 (1987) 1052; ODRPACK95 through
the library odrpack) of ln F against ln R, with the weights that belong to what the noise is even in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import odrpack
from pydantic import ValidationError

from calibration.columns import Columns
from calibration.models import Floats, Model, Response
from calibration.noise import Noise
from calibration.shapes import CannotFit, Shape

FAR = 1e3  # in ln R or ln F: where a model has no answer, ODRPACK is turned back


@dataclass(frozen=True)
class Fitted:
    """One model at its best, with what its parameters' covariance and its residuals are made from."""

    shape: Shape
    free: Floats
    model: Model
    weights: Floats  # Huber's, 1 for all without outliers

    def predicted_y(self, x: Floats) -> Floats:
        return np.log(self.model.resistance_ohm(np.exp(x)))

    def predicted_x(self, y: Floats) -> Floats:
        return np.log(self.model.force_N(np.exp(y)))


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
    return np.where(np.isfinite(values), values, FAR)


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


def parameter_covariance(fitted: Fitted, columns: Columns, noise: Noise) -> Floats:
    """Of the values that `Response.parameters` names, in their order; a row of zeros for one that was not fitted."""

    def values(model: Response) -> Floats:
        return np.array([value for value, _ in model.parameters().values()])

    jacobian = _by_free(fitted, columns, values)
    return np.asarray(jacobian @ covariance(fitted, columns, noise) @ jacobian.T)


def sensitivity(fitted: Fitted, columns: Columns, x: Floats) -> Floats:
    """d ln R / d free parameters at these ln F: shape (points, parameters)."""
    return _by_free(fitted, columns, lambda model: np.log(model.resistance_ohm(np.exp(x))))


def _by_free(fitted: Fitted, columns: Columns, values: Callable[[Response], Floats]) -> Floats:
    """Central differences of what is computed from the model, by its free parameters: shape (values, parameters)."""
    rows = []
    with np.errstate(all="ignore"):
        for number in range(len(fitted.free)):
            step = 1e-5 * max(1.0, abs(float(fitted.free[number])))
            moved = []
            for sign in (1, -1):
                free = fitted.free.copy()
                free[number] += sign * step
                moved.append(values(fitted.shape.build(free, columns)))
            rows.append((moved[0] - moved[1]) / (2 * step))
    return np.nan_to_num(np.array(rows).T)
