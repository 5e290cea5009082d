"""All models fitted, compared, and one chosen.

Where outliers stand in the data, the fit is repeated with Huber's weights (P. J. Huber, Ann. Math. Stat. 35 (1964) 73):
they count less, and none is left out. The choice: Akaike's criterion with its correction for few points (Hurvich and
Tsai, Biometrika 76 (1989) 297) among the models that predict a series left out of the fit about as well as the best.
"""

from __future__ import annotations

import numpy as np

from calibration.columns import Columns
from calibration.fitting import Fitted, fit_shape, parameter_covariance, residuals
from calibration.models import Bools, Floats
from calibration.noise import Noise, first_noise, robust_scale, without_units
from calibration.results import Candidate, Choice
from calibration.shapes import SHAPES, CannotFit, Shape

HUBER = 1.345  # standard deviations; 95 % as efficient as least squares for normal errors
OUTLIER = 4.0  # robust standard deviations from the curve: looks like an outlier
ABOUT_AS_WELL = 1.05  # times the error of the model that predicts best
MOST_FOLDS = 8
REWEIGHTINGS = 8


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
    robust = bool(np.any(best.weights < 1))
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
    fitted = fit_shape(shape, columns, noise, np.ones(len(columns)))
    if not np.any(_suspects(fitted, columns, noise)):
        return fitted
    for _ in range(REWEIGHTINGS):
        off = np.abs(_standardised(fitted, columns, noise))
        huber = np.minimum(1.0, HUBER / np.maximum(off, 1e-9))
        fitted = fit_shape(shape, columns, noise, huber, fitted.free)
    return fitted


def _standardised(fitted: Fitted, columns: Columns, noise: Noise) -> Floats:
    """Residuals by their robust scale, those of each insertion about their own middle."""
    relative = without_units(columns, residuals(fitted, columns) / noise.shape(columns.y))
    return relative / max(robust_scale(relative), 1e-9)


def _suspects(fitted: Fitted, columns: Columns, noise: Noise) -> Bools:
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
        model=fitted.model,
        covariance=tuple(map(tuple, parameter_covariance(fitted, columns, noise))),
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
