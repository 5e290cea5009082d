"""Conductivity and what it does with temperature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.analysis.errors import AnalysisError
from station.analysis.impedance import (
    conductivity_S_per_m,
    fit_arrhenius,
    fit_vtf,
    from_arrays,
    high_frequency_intercept_ohm,
)
from tests.station.analysis.impedance.spectra import synthetic

KB = 8.617333262e-5
T = np.linspace(253.15, 353.15, 11)


def noisy(sigma: np.ndarray, seed: int = 0, relative: float = 0.01) -> np.ndarray:
    return sigma * np.exp(relative * np.random.default_rng(seed).normal(size=sigma.size))


def test_conductivity_is_thickness_by_resistance_and_area() -> None:
    # 100 µm, 10 Ω, 1.54 cm²: 6.49e-4 S/cm
    sigma = conductivity_S_per_m(
        10.0, 100e-6, 1.54e-4, resistance_error_ohm=0.1, thickness_error_m=2e-6, area_error_m2=0.0
    )
    assert sigma.value / 100 == pytest.approx(6.4935e-4, rel=1e-4)
    assert sigma.u == pytest.approx(sigma.value * np.hypot(0.01, 0.02))
    with pytest.raises(AnalysisError, match="positive thickness"):
        conductivity_S_per_m(10.0, 0.0, 1e-4)
    with pytest.raises(AnalysisError, match="negative"):
        conductivity_S_per_m(10.0, 1e-4, 1e-4, area_error_m2=-1.0)


def test_the_intercept_is_where_the_curve_crosses_the_real_axis() -> None:
    values = {"L": 1e-7, "R1": 12.0, "Q2": 1e-4, "n2": 0.95}
    assert high_frequency_intercept_ohm(synthetic("L-R1-Q2", values, noise=0.0)) == pytest.approx(12.0, rel=0.02)
    with pytest.raises(AnalysisError, match="does not cross"):
        high_frequency_intercept_ohm(from_arrays([10, 1], [1, 1], [-1, -2]))


@given(st.floats(0.1, 1.0), st.floats(1.0, 1e6), st.sampled_from(["sigma", "sigma T"]))
@settings(max_examples=40, deadline=None)
def test_an_arrhenius_law_is_found(energy_eV: float, prefactor: float, form: str) -> None:
    sigma = prefactor * np.exp(-energy_eV / (KB * T)) / (T if form == "sigma T" else 1.0)
    fit = fit_arrhenius(T, sigma, form=form)  # type: ignore[arg-type]
    assert fit.activation_energy_eV.value == pytest.approx(energy_eV, rel=1e-9)
    assert fit.prefactor.value == pytest.approx(prefactor, rel=1e-8)
    np.testing.assert_allclose(fit.conductivity(T), sigma, rtol=1e-9)


def test_the_two_forms_differ_by_the_thermal_energy() -> None:
    sigma = 1e3 * np.exp(-0.35 / (KB * T))
    difference = (
        fit_arrhenius(T, sigma, form="sigma T").activation_energy_eV.value
        - fit_arrhenius(T, sigma).activation_energy_eV.value
    )
    assert difference == pytest.approx(KB * T.mean(), rel=0.03)


def test_the_interval_of_an_activation_energy_holds() -> None:
    held = 0
    for seed in range(200):
        low, high = fit_arrhenius(T, noisy(1e3 * np.exp(-0.35 / (KB * T)), seed)).activation_energy_95_eV
        held += low <= 0.35 <= high
    assert 0.9 <= held / 200 <= 0.99


@given(st.floats(120.0, 230.0), st.floats(300.0, 1500.0), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_vtf_law_is_found(t0_K: float, b_K: float, square_root: bool) -> None:
    sigma = 5.0 * np.exp(-b_K / (T - t0_K)) / (np.sqrt(T) if square_root else 1.0)
    fit = fit_vtf(T, sigma, square_root=square_root)
    assert fit.t0_K.value == pytest.approx(t0_K, abs=0.05)
    assert fit.b_K.value == pytest.approx(b_K, rel=1e-3)
    assert fit.pseudo_activation_energy_eV.value == pytest.approx(b_K * KB, rel=1e-3)
    np.testing.assert_allclose(fit.conductivity(T), sigma, rtol=1e-4)


def test_a_polymer_is_told_from_a_ceramic() -> None:
    polymer = fit_vtf(T, noisy(5 * np.exp(-800 / (T - 190)) / np.sqrt(T)))
    assert polymer.better_than_arrhenius is not None
    assert polymer.better_than_arrhenius > 10
    assert polymer.t0_95_K[0] < 190 < polymer.t0_95_K[1]
    assert not polymer.warnings
    ceramic = fit_vtf(T, noisy(1e3 * np.exp(-0.35 / (KB * T))))
    assert ceramic.better_than_arrhenius is not None
    assert ceramic.better_than_arrhenius < 2
    assert ceramic.t0_95_K[0] == 0.0


def test_the_interval_of_t0_holds() -> None:
    held = 0
    for seed in range(60):
        low, high = fit_vtf(T, noisy(5 * np.exp(-800 / (T - 190)) / np.sqrt(T), seed)).t0_95_K
        held += low <= 190 <= high
    assert held >= 52


def test_weak_data_are_told() -> None:
    few = fit_vtf(T[:5], noisy(5 * np.exp(-800 / (T - 190)) / np.sqrt(T))[:5])
    assert any("six" in warning for warning in few.warnings)
    flat = fit_vtf(T, noisy(5 * np.exp(-100 / (T - 150))))
    assert any("decade" in warning for warning in flat.warnings)


@pytest.mark.parametrize(
    ("temperatures", "sigma", "words"),
    [
        ([300, 310], [1, 2], "3 different temperatures"),
        ([300, 310, 320], [1, 2], "as many conductivities"),
        ([300, 310, -5], [1, 2, 3], "temperature in K"),
        ([300, 310, 320], [1, 0, 3], "conductivity must be"),
    ],
)
def test_data_that_are_none_are_told(temperatures: list[float], sigma: list[float], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        fit_arrhenius(temperatures, sigma)
