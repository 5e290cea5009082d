"""All models fitted, compared, and one chosen.

Where outliers stand in the data, all fits have Huber's weights: they count less, and none is left out. The choice:
Akaike's criterion with its correction for few points (Hurvich and Tsai, Biometrika 76 (1989) 297) among the models that
predict a series left out of the fit about as well as the best one does.
"""

from __future__ import annotations

import numpy as np

from calibration.columns import Columns
from calibration.fitting import Fitted, fit_shape, parameter_covariance, residuals
from calibration.models import Bools
from calibration.noise import Noise, first_noise
from calibration.outliers import distances, suspects, weights_against
from calibration.results import Candidate, Choice
from calibration.shapes import SHAPES, CannotFit

ABOUT_AS_WELL = 1.05  # times the error of the model that predicts best
MOST_FOLDS = 8


def fit_all(columns: Columns) -> tuple[Choice, Fitted, Noise]:
    """Every model, compared; the best one as it was fitted. Raises `CannotFit` where none does."""
    noise = first_noise(columns)
    off = distances(columns, noise)
    weights = weights_against(off)
    fits, rejected = [], []
    for shape in SHAPES:
        try:
            fits.append(fit_shape(shape, columns, noise, weights))
        except CannotFit as error:
            rejected.append((shape.title, str(error)))
    if not fits:
        raise CannotFit("; ".join(f"{title}: {why}" for title, why in rejected))
    candidates = [_candidate(fitted, columns, noise) for fitted in fits]
    order = _best_first(candidates)
    best = fits[order[0]]
    choice = Choice(
        variable=noise.variable,
        candidates=tuple(candidates[place] for place in order),
        rejected=tuple(rejected),
        robust=bool(np.any(weights < 1)),
        suspects=tuple(int(place) for place in columns.index[suspects(off)] if place >= 0),
    )
    return choice, best, noise


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
    """Relative error of force of what the fit has not seen: series, or with one series the levels between its ends."""
    squares, weights = [], []
    for out in _folds(columns):
        try:
            again = fit_shape(fitted.shape, columns.keep(~out), noise, fitted.weights[~out], fitted.free)
        except CannotFit:
            return None
        with np.errstate(all="ignore"):
            off = again.predicted_x(columns.y[out]) - columns.x[out]
        known = np.isfinite(off)
        squares.append(off[known] ** 2)
        weights.append(fitted.weights[out][known])
    if not squares or not len(np.concatenate(squares)):
        return None
    return float(np.sqrt(np.average(np.concatenate(squares), weights=np.concatenate(weights))))


def _folds(columns: Columns) -> list[Bools]:
    """What is left out together; several series or levels at a time where there are many."""
    group = columns.series if len(np.unique(columns.series)) > 1 else np.round(columns.x, 1)
    members = np.unique(group)
    if group is not columns.series:
        members = members[1:-1]
    return [np.isin(group, fold) for fold in np.array_split(members, min(len(members), MOST_FOLDS)) if len(fold)]


def _best_first(candidates: list[Candidate]) -> list[int]:
    """Those that predict about as well as the best, by the criterion; then the others by their error."""
    places = range(len(candidates))

    def criterion(place: int) -> float:
        value = candidates[place].aicc
        return np.inf if value is None else value

    def error(place: int) -> float:
        """Infinite too where there are too few points for the criterion, unless no model has enough."""
        known = candidates[place].left_out_error
        enough = candidates[place].aicc is not None or all(each.aicc is None for each in candidates)
        return known if known is not None and enough else np.inf

    least = min(error(place) for place in places)
    good = [place for place in places if error(place) <= ABOUT_AS_WELL * least]
    rest = sorted((place for place in places if place not in good), key=error)
    return [*sorted(good, key=criterion), *rest]
