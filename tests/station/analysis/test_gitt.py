"""GITT of a sphere that obeys the exact solution: what each method makes of a diffusion coefficient that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.analysis.diffusion import SATURATED, surface, unbiased, weppner_huggins_bias
from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.flow import Direction
from station.analysis.gitt import gitt
from tests.station.analysis.records import ideal_cell, titration

R = 2.5e-6
# Dτ/R², then D found over D: by the total, by the √t line, by its first quarter.
BIAS = [
    (0.001, 0.94, 0.93, 0.96),
    (0.01, 0.83, 0.80, 0.89),
    (0.03, 0.72, 0.68, 0.82),
    (0.1, 0.54, 0.48, 0.69),
    (0.3, 0.32, 0.26, 0.52),
    (0.58, 0.20, 0.15, 0.39),
    (1.0, 0.12, 0.09, 0.29),
]


def one_pulse(T: float, **changes: float):
    D = T * R**2 / 3600
    rest_s = max(3.0 * R**2 / D, 20000.0)
    (found,) = gitt(titration(D, R, pulses=1, pulse_s=3600.0, rest_s=rest_s, rows=2000, **changes), R)
    return D, found


def test_the_series_and_its_short_time_form_meet() -> None:
    below, above = surface(np.array([0.02 - 1e-9, 0.02 + 1e-9]))
    assert above - below == pytest.approx(1.034e-8, rel=0.01)  # the slope there times 2e-9
    assert surface(np.array([0.0]))[0] == 0.0
    assert surface(np.array([10.0]))[0] == pytest.approx(30.2)


@pytest.mark.parametrize(("T", "total", "root", "quarter"), BIAS)
def test_the_methods_are_biased_as_they_must_be(T: float, total: float, root: float, quarter: float) -> None:
    D, found = one_pulse(T)
    assert found.D_total.value / D == pytest.approx(total, abs=0.02)
    assert found.D_sqrt.value / D == pytest.approx(root, abs=0.011)
    assert found.D_sqrt_early.value / D == pytest.approx(quarter, abs=0.03)
    assert weppner_huggins_bias(T) == pytest.approx(total, abs=0.006)


@pytest.mark.parametrize("T", [0.001, 0.01, 0.03, 0.1, 0.3, 0.58])
def test_the_corrected_value_and_the_fit_are_the_truth(T: float) -> None:
    D, found = one_pulse(T, ohmic_V=0.01)
    assert found.D_corrected is not None
    assert found.D_corrected.value / D == pytest.approx(1.0, abs=0.1 if T > 0.05 else 0.03)
    assert found.D_fit.value / D == pytest.approx(1.0, abs=1e-3)
    assert found.fourier_corrected == pytest.approx(T, rel=0.1)
    assert found.ohmic_V == pytest.approx(-0.01, abs=2e-4)


def test_a_pulse_much_too_long_is_not_corrected() -> None:
    _, found = one_pulse(20.0)
    assert found.D_corrected is None
    assert found.fourier == pytest.approx(SATURATED, rel=0.1)
    assert unbiased(0.2) is None
    assert math.isnan(one_pulse(100.0)[1].D_fit.value)


def test_the_check_of_a_short_pulse_says_what_r2_does_not() -> None:
    checks = {check.name: check for check in one_pulse(0.03)[1].checks}
    assert checks["E linear in √t"].met
    assert not checks["pulse short beside R²/D"].met
    assert "0.02" in checks["pulse short beside R²/D"].found
    assert all(check.met for check in one_pulse(0.003)[1].checks)


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_with_noise_the_truth_lies_within_the_stated_uncertainty(seed: int) -> None:
    D = 1e-15
    data = titration(D, R, pulses=1, pulse_s=600.0, rest_s=40000.0, rows=400)
    noise = np.random.default_rng(seed).normal(0.0, 2e-5, len(data))
    data.voltage_V[:] += noise
    (found,) = gitt(data, R)
    assert found.D_fit.u is not None
    assert abs(found.D_fit.value - D) < 4.5 * found.D_fit.u
    assert found.D_fit.u < 0.1 * D


def test_a_series_of_pulses_and_the_radius_s_uncertainty() -> None:
    data = titration(1e-15, R, pulses=4, pulse_s=300.0, rest_s=40000.0)
    exact, doubtful = gitt(data, R), gitt(data, Estimate(R, 0.05 * R))
    assert [one.number for one in exact] == [1, 2, 3, 4]
    assert all(one.direction is Direction.DISCHARGE for one in exact)
    for one, other in zip(exact, doubtful, strict=True):
        assert one.D_corrected is not None and other.D_corrected is not None
        assert one.D_corrected.value == pytest.approx(1e-15, rel=0.05)
        assert other.D_corrected.relative_u == pytest.approx(0.1, abs=0.01)  # D goes with the radius squared
        assert other.D_total.relative_u == pytest.approx(0.1, abs=0.01)


def test_a_rest_that_went_on_relaxing_is_told() -> None:
    (found,) = gitt(titration(1e-15, R, pulses=1, pulse_s=3600.0, rest_s=600.0, share=0.1), R)
    assert not next(check for check in found.checks if check.name == "relaxed").met


def test_without_titration_it_says_so() -> None:
    with pytest.raises(AnalysisError, match="no pulse"):
        gitt(ideal_cell(1, rest_s=0.01), R)
    with pytest.raises(AnalysisError, match="radius is 0 m"):
        gitt(titration(), 0.0)
