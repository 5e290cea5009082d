"""The Kramers–Kronig test and the distribution of relaxation times."""

from __future__ import annotations

import numpy as np
import pytest

from station.analysis.errors import AnalysisError
from station.analysis.impedance import (
    ImpedanceSpectrum,
    circuit_of,
    distribution_of_relaxation_times,
    from_arrays,
    kramers_kronig,
)
from tests.station.analysis.impedance.spectra import FREQUENCY_HZ, HALF_CELL, TRUTH, synthetic

TWO_ARCS = {"R1": 1.0, "C2": 1e-6, "R2": 5.0, "C3": 1e-3, "R3": 10.0}


def disturbed(factor: np.ndarray, noise: float = 0.001) -> ImpedanceSpectrum:
    """The half-cell's impedance times what it should not be multiplied by; in order of falling frequency."""
    spectrum = synthetic(noise=noise)
    z = spectrum.impedance_ohm * factor
    return from_arrays(spectrum.frequency_Hz, z.real, z.imag)


@pytest.mark.parametrize("r3_ohm", [7.1, 16.0, 31.2, 485.6])
@pytest.mark.parametrize("noise", [1e-5, 0.005])
def test_a_linear_stable_cell_is_consistent(r3_ohm: float, noise: float) -> None:
    test = kramers_kronig(synthetic(values={**TRUTH, "R3": r3_ohm}, noise=noise))
    assert test.capacitance
    assert test.consistent
    assert test.mu <= 0.85
    assert max(test.rms) < max(0.0016, 1.1 * noise)
    assert test.verdict.startswith("consistent")


def test_noise_alone_is_no_violation() -> None:
    assert sum(kramers_kronig(synthetic(seed=seed)).consistent for seed in range(40)) >= 39


def test_a_perfect_arc_is_consistent_without_a_capacitance() -> None:
    test = kramers_kronig(synthetic("R1-(C2R2)-(C3R3)", TWO_ARCS, noise=1e-3))
    assert not test.capacitance
    assert test.consistent


def test_without_its_capacitance_a_tail_looks_like_a_violation() -> None:
    with_it = kramers_kronig(synthetic())
    without = kramers_kronig(synthetic(), capacitance=False, most=with_it.elements)
    assert max(without.rms) > 3 * max(with_it.rms)


@pytest.mark.parametrize(
    "factor",
    [
        1 + 0.1 * np.clip((np.arange(71) - 50) / 20, 0, None),
        1 + 0.05 * (np.arange(71) > 35),
    ],
    ids=["drift at low frequency", "step in the middle"],
)
def test_a_cell_that_changes_meanwhile_is_found_out(factor: np.ndarray) -> None:
    test = kramers_kronig(disturbed(factor))
    assert not test.consistent
    assert test.verdict.startswith("violated")


def test_one_bad_point_is_named() -> None:
    factor = np.ones(71)
    factor[40] = 1.05
    test = kramers_kronig(disturbed(factor))
    assert list(np.flatnonzero(~test.consistent_points)) == [40]
    assert test.consistent
    assert "100 Hz" in test.verdict


def test_too_few_points_for_a_test_are_told() -> None:
    few = synthetic(frequency_Hz=np.logspace(5, 0, 5))
    with pytest.raises(AnalysisError, match="at least 6 points"):
        kramers_kronig(few)
    with pytest.raises(AnalysisError, match="at least 10 points"):
        distribution_of_relaxation_times(few)


def test_relaxation_times_of_two_arcs() -> None:
    drt = distribution_of_relaxation_times(synthetic("R1-(C2R2)-(C3R3)", TWO_ARCS, noise=1e-3))
    assert len(drt.peaks) == 2
    for peak, resistance, tau in zip(drt.peaks, (5.0, 10.0), (5e-6, 1e-2), strict=True):
        assert peak.resistance_ohm.value == pytest.approx(resistance, rel=0.01)
        assert peak.time_constant_s.value == pytest.approx(tau, rel=0.02)
        assert peak.frequency_Hz == pytest.approx(1 / (2 * np.pi * tau), rel=0.02)
    assert drt.polarisation_ohm.value == pytest.approx(15.0, rel=0.005)
    assert drt.high_frequency_resistance_ohm == pytest.approx(1.0, abs=0.03)
    assert drt.tail_exponent is None
    assert not drt.tail


def test_the_integral_is_the_polarisation_and_the_sum_of_the_peaks() -> None:
    drt = distribution_of_relaxation_times(
        synthetic("R1-(Q2R2)-(Q3R3)", {"R1": 1.0, "Q2": 1e-6, "n2": 0.9, "R2": 5.0, "Q3": 1e-3, "n3": 0.85, "R3": 10.0})
    )
    assert drt.polarisation_ohm.value == pytest.approx(15.0, rel=0.03)
    assert sum(peak.resistance_ohm.value for peak in drt.peaks) == pytest.approx(drt.polarisation_ohm.value)
    integral = np.trapezoid(drt.gamma_ohm, np.log(drt.tau_s))
    assert integral == pytest.approx(drt.polarisation_ohm.value, rel=1e-9)
    assert np.all(drt.gamma_ohm >= 0)


def test_a_tail_is_told_from_the_relaxations() -> None:
    drt = distribution_of_relaxation_times(synthetic())
    assert drt.tail_exponent == pytest.approx(0.6, abs=0.051)
    assert drt.tail_Q == pytest.approx(0.02, rel=0.1)
    assert drt.polarisation_ohm.value == pytest.approx(19.0, rel=0.05)
    assert drt.inductance_H == pytest.approx(3e-7, rel=0.02)
    main = max(drt.peaks, key=lambda peak: peak.resistance_ohm.value)
    assert main.time_constant_s.value == pytest.approx((16 * 3e-4) ** (1 / 0.8), rel=0.2)


def test_uncertainty_of_a_peak_is_that_of_repeated_measurements() -> None:
    found = [
        distribution_of_relaxation_times(
            synthetic("R1-(C2R2)-(C3R3)", TWO_ARCS, noise=3e-3, seed=seed), regularisation=1e-4
        ).peaks
        for seed in range(30)
    ]
    values = np.array([peaks[-1].resistance_ohm.value for peaks in found])
    stated = np.median([peaks[-1].resistance_ohm.u or 0.0 for peaks in found])
    assert values.std(ddof=1) == pytest.approx(stated, rel=0.6)


def test_a_regularisation_is_kept_and_checked() -> None:
    drt = distribution_of_relaxation_times(synthetic(), regularisation=0.01)
    assert (drt.regularisation, drt.chosen_by) == (0.01, "given")
    rough = distribution_of_relaxation_times(synthetic(), regularisation=1e-5, tail_exponent=0.6)
    smooth = distribution_of_relaxation_times(synthetic(), regularisation=10.0, tail_exponent=0.6)
    assert np.abs(np.diff(smooth.gamma_ohm)).max() < np.abs(np.diff(rough.gamma_ohm)).max()
    assert np.abs(smooth.residuals).mean() > np.abs(rough.residuals).mean()
    with pytest.raises(AnalysisError, match="regularisation"):
        distribution_of_relaxation_times(synthetic(), regularisation=0.0)
    with pytest.raises(AnalysisError, match="exponent"):
        distribution_of_relaxation_times(synthetic(), tail_exponent=1.5)


def test_the_scale_of_a_cell_does_not_change_the_choice() -> None:
    spectrum = synthetic()
    larger = from_arrays(FREQUENCY_HZ, 1e4 * spectrum.impedance_ohm.real, 1e4 * spectrum.impedance_ohm.imag)
    small, large = (distribution_of_relaxation_times(each) for each in (spectrum, larger))
    assert large.regularisation == small.regularisation
    assert large.polarisation_ohm.value == pytest.approx(1e4 * small.polarisation_ohm.value, rel=1e-6)


def test_the_circuit_of_the_tests_is_the_published_one() -> None:
    assert circuit_of("half-cell").text == HALF_CELL
