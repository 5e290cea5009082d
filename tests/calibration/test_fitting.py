"""Fits find the truth, say how well, and the right model is chosen; outliers neither rule nor vanish."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import odrpack
import pytest

from calibration.choice import fit_all
from calibration.columns import columns_of
from calibration.data import Dataset, Point
from calibration.fitting import covariance, fit_shape
from calibration.models import PowerLaw
from calibration.noise import Noise
from calibration.results import Variable
from calibration.shapes import SHAPES
from tests.calibration.simulation import (
    Design,
    SimulatedSensor,
    bent,
    calibrate,
    linear,
    power,
    saturating,
)

QUIET = SimulatedSensor(power, noise=0.01, insertion=0.0, hysteresis=0.0)
PLAIN = Design(burst=1)


def with_point(data: Dataset, place: int, factor: float) -> Dataset:
    """One load step whose resistance was misread by this factor."""
    point = data.points[place]
    wrong: Point = point.model_copy(update={"resistances_ohm": tuple(factor * r for r in point.resistances_ohm)})
    return data.model_copy(update={"points": (*data.points[:place], wrong, *data.points[place + 1 :])})


def test_a_power_law_is_found_within_its_standard_errors() -> None:
    pulls = []
    for seed in range(40):
        columns = columns_of(calibrate(QUIET, PLAIN, np.random.default_rng(seed)))
        noise = Noise(Variable.LN_RESISTANCE, 1e-3, 0.01, float(columns.y.mean()))
        fitted = fit_shape(SHAPES[0], columns, noise, np.ones(len(columns)))
        error = np.sqrt(np.diag(covariance(fitted, columns, noise)))
        truth = np.array([power(np.array([0.0]))[0], np.log(0.85)])
        pulls.append((fitted.free - truth) / error)
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.5
    assert np.all((np.std(pulls, axis=0) > 0.75) & (np.std(pulls, axis=0) < 1.3))


def test_the_covariance_is_that_of_odrpack() -> None:
    columns = columns_of(calibrate(QUIET, PLAIN, np.random.default_rng(3)))
    noise = Noise(Variable.LN_RESISTANCE, 1e-3, 0.01, float(columns.y.mean()))
    fitted = fit_shape(SHAPES[0], columns, noise, np.ones(len(columns)))

    def line(x: np.ndarray, beta: np.ndarray) -> np.ndarray:
        return np.asarray(beta[0] - np.exp(beta[1]) * x)

    found = odrpack.odr_fit(line, columns.x, columns.y, fitted.free, weight_x=1e6, weight_y=1e4)
    assert found.beta == pytest.approx(fitted.free, rel=1e-6)
    assert covariance(fitted, columns, noise) == pytest.approx(found.cov_beta, rel=1e-3)


def test_errors_of_force_do_not_flatten_the_curve() -> None:
    """Where the force is as uncertain as the resistance, least squares of R alone would find too small an exponent."""
    rng = np.random.default_rng(5)
    x = np.linspace(1, 2, 100)
    noisy = zip(x + rng.normal(0, 0.15, x.shape), power(x) + rng.normal(0, 0.1, x.shape), strict=True)
    points = tuple(
        Point(series=1, direction="up", forces_N=(float(np.exp(a)),), resistances_ohm=(float(np.exp(b)),))
        for a, b in noisy
    )
    columns = columns_of(Dataset(points=points))
    flat = -np.polyfit(columns.x, columns.y, 1)[0]
    noise = Noise(Variable.LN_RESISTANCE, 0.15, 0.1, float(columns.y.mean()))
    exponent = np.exp(fit_shape(SHAPES[0], columns, noise, np.ones(len(columns))).free[1])
    assert abs(exponent - 0.85) < 0.1
    assert exponent > flat + 0.05


@pytest.mark.parametrize(
    ("truth", "kinds"),
    [
        (power, {"power"}),
        (linear, {"conductance"}),
        (saturating, {"series", "log-polynomial"}),
        (bent, {"log-polynomial"}),
    ],
)
def test_the_right_model_is_chosen(truth: Callable[[np.ndarray], np.ndarray], kinds: set[str]) -> None:
    sensor = SimulatedSensor(truth, noise=0.003, insertion=0.01)
    found = [
        fit_all(columns_of(calibrate(sensor, Design(burst=2), np.random.default_rng(seed))))[0].best.model.kind
        for seed in range(4)
    ]
    assert set(found) <= kinds


def test_a_wrong_model_predicts_a_series_left_out_worse() -> None:
    choice, _, _ = fit_all(columns_of(calibrate(SimulatedSensor(power), Design(), np.random.default_rng(1))))
    errors = {candidate.model.kind: candidate.left_out_error for candidate in choice.candidates}
    assert errors["conductance"] > 2 * errors["power"]
    assert errors["power"] == pytest.approx(0.03, abs=0.02)


def test_noise_even_in_conductance_is_seen() -> None:
    sensor = SimulatedSensor(linear, noise=0.0005, noise_G_S=2e-8, insertion=0.0, hysteresis=0.0)
    choice, _, _ = fit_all(columns_of(calibrate(sensor, Design(burst=1), np.random.default_rng(2))))
    assert choice.variable is Variable.CONDUCTANCE
    forces = np.geomspace(10, 100, 5)
    assert choice.best.model.resistance_ohm(forces) == pytest.approx(np.exp(linear(np.log(forces))), rel=0.03)


@pytest.mark.parametrize("factor", [0.5, 1.6])
def test_an_outlier_is_named_and_does_not_rule(factor: float) -> None:
    data = calibrate(QUIET, PLAIN, np.random.default_rng(7))
    clean, _, _ = fit_all(columns_of(data))
    choice, _, _ = fit_all(columns_of(with_point(data, 12, factor)))
    assert 12 in choice.suspects
    assert len(choice.suspects) <= 2  # one in ten thousand looks like an outlier by chance
    assert choice.robust
    assert not clean.robust
    forces = np.geomspace(2, 100, 20)
    moved = choice.best.model.force_N(clean.best.model.resistance_ohm(forces)) / forces - 1
    assert np.abs(moved).max() < 0.01


def test_a_point_that_is_excluded_is_not_used() -> None:
    data = calibrate(QUIET, PLAIN, np.random.default_rng(7))
    wrong = with_point(data, 12, 3.0)
    marked = wrong.points[12].model_copy(update={"excluded": "the press was bumped"})
    excluded = wrong.model_copy(update={"points": (*wrong.points[:12], marked, *wrong.points[13:])})
    without = data.model_copy(update={"points": (*data.points[:12], *data.points[13:])})
    assert fit_all(columns_of(excluded))[0].best == fit_all(columns_of(without))[0].best


def test_long_ramps_are_averaged_before_they_are_fitted() -> None:
    rng = np.random.default_rng(11)
    x = np.linspace(0.5, 4.5, 5000)
    y = power(x) + rng.normal(0, 0.02, x.shape)
    points = tuple(
        Point(series=1, direction="up", forces_N=(float(np.exp(a)),), resistances_ohm=(float(np.exp(b)),))
        for a, b in zip(x, y, strict=True)
    )
    columns = columns_of(Dataset(points=points))
    assert len(columns) <= 60
    assert columns.readings.sum() == 5000
    assert np.nanmean(columns.spread_y) == pytest.approx(0.02, rel=0.1)
    best = fit_all(columns)[0].best.model
    assert isinstance(best, PowerLaw)
    assert best.b == pytest.approx(0.85, abs=0.003)
