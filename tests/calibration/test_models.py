"""Response models: exactly back, falling everywhere, and no answer rather than a wrong one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from calibration.models import (
    LinearConductance,
    LogPolynomial,
    Model,
    MonotoneSpline,
    OffsetPower,
    PowerLaw,
    Response,
    SeriesResistance,
)

FORCES = np.geomspace(1.0, 400.0, 1001)


def polynomial(*coefficients: float) -> LogPolynomial:
    return LogPolynomial(coefficients=coefficients, centre_N=20.0, low_N=1.0, high_N=400.0)


MODELS: list[Response] = [
    PowerLaw(a_ohm=1.3e7, b=0.85),
    LinearConductance(slope_S_N=4e-8, offset_S=2e-8),
    LinearConductance(slope_S_N=4e-8, offset_S=-3e-8),
    SeriesResistance(k_ohm_N=2e7, series_ohm=3e4),
    OffsetPower(scale_S=5e-8, exponent_m=0.8, offset_S=1e-8),
    polynomial(14.0, -0.85, 0.03, -0.01),
    polynomial(14.0, -0.85, 0.05),
    MonotoneSpline(knots_ln_ohm=(10.0, 11.5, 12.0, 14.0, 16.5), knots_ln_N=(6.2, 4.5, 3.7, 1.6, -0.3)),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.kind)
def test_the_inverse_is_exact(model: Response) -> None:
    back = model.force_N(model.resistance_ohm(FORCES))
    assert np.max(np.abs(back / FORCES - 1)) < 1e-9


@given(
    st.floats(0.3, 1.5),
    st.lists(st.tuples(st.floats(0.05, 3.0), st.floats(0.05, 3.0)), min_size=2, max_size=9),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_any_spline_that_falls_is_inverted(first: float, steps: list[tuple[float, float]], shares: list[float]) -> None:
    ohms, newtons = np.array(steps).T
    spline = MonotoneSpline(
        knots_ln_ohm=tuple(10 + np.concatenate(([0.0], np.cumsum(ohms)))),
        knots_ln_N=tuple(first + 20 - np.concatenate(([0.0], np.cumsum(newtons)))),
    )
    ln_ohm = spline.knots_ln_ohm[0] + np.array(shares) * (spline.knots_ln_ohm[-1] - spline.knots_ln_ohm[0])
    force = spline.force_N(np.exp(ln_ohm))
    again = spline.force_N(spline.resistance_ohm(force))
    assert np.allclose(again, force, rtol=1e-9, atol=0)


@given(st.tuples(*[st.floats(-0.08, 0.08)] * 3), st.floats(0.4, 1.5))
def test_any_polynomial_that_falls_is_inverted(bends: tuple[float, ...], slope: float) -> None:
    try:
        model = polynomial(13.0, -slope, *bends)
    except ValidationError:
        assume(False)
        return
    back = model.force_N(model.resistance_ohm(FORCES))
    assert np.max(np.abs(back / FORCES - 1)) < 1e-9


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.kind)
def test_resistance_falls_and_the_exponent_is_its_slope(model: Response) -> None:
    resistance = model.resistance_ohm(FORCES)
    assert np.all(np.diff(resistance) < 0)
    by_difference = -np.gradient(np.log(resistance), np.log(FORCES))
    assert np.allclose(model.exponent(FORCES[5:-5]), by_difference[5:-5], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.kind)
def test_what_is_no_resistance_has_no_force(model: Response) -> None:
    wrong = [0.0, -1.0, -math.inf, math.inf, math.nan]
    assert np.all(np.isnan(model.force_N(wrong)))
    mixed = model.force_N([math.nan, float(model.resistance_ohm(10.0)), -5.0])
    assert mixed[1] == pytest.approx(10.0, rel=1e-9)
    assert np.isnan(mixed[[0, 2]]).all()


def test_no_answer_where_the_model_has_none() -> None:
    assert np.isnan(LinearConductance(slope_S_N=1e-8, offset_S=5e-8).force_N(1 / 4e-8))
    assert np.isnan(SeriesResistance(k_ohm_N=1e6, series_ohm=2e4).force_N(1.9e4))
    assert np.isnan(OffsetPower(scale_S=1e-8, exponent_m=0.8, offset_S=2e-8).force_N(1e9))
    assert np.isnan(polynomial(14.0, -0.85, 0.03).resistance_ohm(500.0))
    assert np.isnan(MODELS[-1].force_N(math.exp(16.6)))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: polynomial(14.0, -0.2, 0.3), "does not fall everywhere"),
        (lambda: polynomial(14.0, 0.85, 0.0), "does not fall everywhere"),
        (lambda: MonotoneSpline(knots_ln_ohm=(1, 2, 2), knots_ln_N=(3, 2, 1)), "rising resistance and falling force"),
        (lambda: MonotoneSpline(knots_ln_ohm=(1, 2, 3), knots_ln_N=(3, 3, 1)), "rising resistance and falling force"),
        (lambda: PowerLaw(a_ohm=-1.0, b=0.8), "greater than 0"),
        (lambda: PowerLaw(a_ohm=math.nan, b=0.8), "finite"),
    ],
)
def test_what_is_no_model(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(ValidationError, match=said):
        make()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.kind)
def test_a_model_comes_back_from_json(model: Response) -> None:
    adapter: TypeAdapter[Response] = TypeAdapter(Model)
    again = adapter.validate_json(model.model_dump_json())
    assert again == model
    assert np.array_equal(again.force_N([1e5, 1e6]), model.force_N([1e5, 1e6]), equal_nan=True)


def test_shapes_are_kept_and_large_arrays_are_worked_on_in_blocks() -> None:
    model = MODELS[0]
    forces = np.geomspace(1, 100, 60_000).reshape(200, 300)
    resistances = model.resistance_ohm(forces)
    assert resistances.shape == forces.shape
    assert np.allclose(model.force_N(resistances), forces, rtol=1e-12)
    assert model.resistance_ohm(5.0).shape == ()
