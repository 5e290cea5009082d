"""Transference numbers, windows, self-discharge and thickness with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.halfcycles import half_cycles
from station.analysis.record import record
from station.analysis.selfdischarge import leakage_from_decay, self_discharge, self_discharge_of
from station.analysis.thickness import (
    Component,
    expansion,
    expansion_per_capacity,
    particle_expansion,
    porosity,
    solid_density,
)
from station.analysis.transference import Polarisation, currents, transference
from station.analysis.window import Reaction, stability_limit, window

# R_b = 100 Ω, R₀ = 40 Ω, R_s = 45 Ω, ΔV = 10 mV and t₊ = 0.30.
I0_A, IS_A = 71.43e-6, 26.43e-6


def measured(**changes: Estimate | None) -> Polarisation:
    values = {
        "delta_V": Estimate(10e-3, 1e-5),
        "steady_A": Estimate(IS_A, 1e-7),
        "initial_ohm": Estimate(40.0, 0.4),
        "steady_ohm": Estimate(45.0, 0.4),
        "bulk_ohm": Estimate(100.0, 1.0),
        "initial_A": Estimate(I0_A, 2e-7),
    }
    return Polarisation(**{**values, **changes})


def test_the_known_cell() -> None:
    found = transference(measured())
    assert found.corrected.value == pytest.approx(0.300, abs=2e-4)
    assert found.watanabe is not None
    assert found.watanabe.value == pytest.approx(0.300, abs=2e-4)
    assert found.current_fraction is not None
    assert found.current_fraction.value == pytest.approx(0.300, abs=2e-4)
    assert found.uncorrected.value == pytest.approx(IS_A / I0_A)
    assert found.warnings == ()
    assert found.ohmic_A == pytest.approx(I0_A, rel=1e-3)


@given(st.floats(0.05, 0.95), st.floats(10, 1000), st.floats(0, 500), st.floats(0, 500))
@settings(max_examples=30, deadline=None)
def test_with_the_ohmic_initial_current_all_are_the_same(t: float, bulk: float, before: float, after: float) -> None:
    initial_A = 10e-3 / (bulk + before)
    steady_A = 10e-3 * t / (bulk + t * after)
    values = {"initial_ohm": Estimate(before), "steady_ohm": Estimate(after), "bulk_ohm": Estimate(bulk)}
    assume(steady_A * after < 0.99 * 10e-3)
    for initial in (Estimate(initial_A), None):
        found = transference(
            measured(delta_V=Estimate(10e-3), steady_A=Estimate(steady_A), initial_A=initial, **values), draws=100
        )
        assert found.watanabe is not None and found.current_fraction is not None
        assert found.corrected.value == pytest.approx(t, rel=1e-9)
        assert found.watanabe.value == pytest.approx(t, rel=1e-9)
        assert found.current_fraction.value == pytest.approx(t, rel=1e-9)


def test_the_uncertainty_is_that_of_linear_propagation_where_it_is_small() -> None:
    """∂t/∂x by differences, added in squares."""
    base = measured()
    square = 0.0
    for name in ("delta_V", "steady_A", "initial_ohm", "steady_ohm", "initial_A"):
        value = getattr(base, name)
        moved = transference(measured(**{name: Estimate(value.value + value.u, value.u)}), draws=100).corrected.value
        square += (moved - transference(base, draws=100).corrected.value) ** 2
    found = transference(base).corrected
    assert found.u == pytest.approx(square**0.5, rel=0.05)
    assert found.low == pytest.approx(found.value - 1.96 * found.u, abs=0.1 * found.u)
    assert transference(base) == transference(base)


def test_a_missed_initial_current_is_flagged() -> None:
    (warning,) = transference(measured(initial_A=Estimate(0.8 * I0_A))).warnings
    assert "initial current was missed" in warning
    assert "7.143e-05 A" in warning
    assert "ΔV of 50 mV" in transference(measured(delta_V=Estimate(50e-3))).warnings[0]


def test_a_polarisation_that_cannot_be() -> None:
    with pytest.raises(AnalysisError, match=r"steady current .* drops 11\.\d+ mV, and only 10 mV"):
        transference(measured(steady_ohm=Estimate(450.0)))
    with pytest.raises(AnalysisError, match="initial current, or the electrolyte"):
        transference(measured(initial_A=None, bulk_ohm=None))


def test_currents_of_a_chronoamperogram() -> None:
    t = np.linspace(0, 36000, 3601)
    amperes = IS_A + (I0_A - IS_A) * np.exp(-t / 1200)
    found = currents(t, amperes)
    assert found.first_A == pytest.approx(I0_A)
    assert found.steady_A.value == pytest.approx(IS_A, rel=1e-6)
    assert found.steady
    early = currents(t[:200], amperes[:200])
    assert not early.steady
    assert early.drift_per_hour < -0.01


def test_a_window_by_a_threshold_of_exponential_currents() -> None:
    """j = j₀·exp((E − E₀)/b) beside a capacitive background: the threshold is crossed at E₀ + b·ln(j/j₀)."""
    up, down = np.linspace(3.0, 6.0, 3001), np.linspace(3.0, -0.5, 3501)
    area, j0, b = 1.13, 1e-6, 0.05
    capacitive_mA_cm2 = 2e-3
    anodic = (j0 * np.exp((up - 4.3) / b) + capacitive_mA_cm2) * 1e-3 * area
    cathodic = -(j0 * np.exp((0.4 - down) / b) + capacitive_mA_cm2) * 1e-3 * area
    above = stability_limit(up, anodic, area, 0.01, background=(3.2, 3.8))
    below = stability_limit(down, cathodic, area, 0.01, background=(1.5, 2.5))
    assert (above.reaction, below.reaction) == (Reaction.OXIDATION, Reaction.REDUCTION)
    assert above.potential_V.value == pytest.approx(4.3 + b * np.log(1e4), abs=1e-3)
    assert below.potential_V.value == pytest.approx(0.4 - b * np.log(1e4), abs=1e-3)
    whole = window(above, below)
    assert whole.width_V.value == pytest.approx(3.9 + 2 * b * np.log(1e4), abs=2e-3)
    with pytest.raises(AnalysisError, match="oxidation current does not reach 1 mA/cm²"):
        stability_limit(up[:1200], anodic[:1200], area, 1.0)
    with pytest.raises(AnalysisError, match="between an oxidation and a reduction"):
        window(below, above)


def test_a_spike_is_no_limit() -> None:
    up = np.linspace(3.0, 5.0, 2001)
    current = 1e-3 * 1e-6 * np.exp((up - 4.3) / 0.05)
    spiked = current.copy()
    spiked[300] = 1e-3
    clean = stability_limit(up, current, 1.0, 0.01).potential_V.value
    assert stability_limit(up, spiked, 1.0, 0.01).potential_V.value == pytest.approx(clean, abs=1e-9)


def test_self_discharge_from_capacities_and_from_a_test() -> None:
    day = 86400.0
    found = self_discharge(10 * day, Estimate(2e-3, 2e-6), Estimate(1.9e-3, 2e-6), Estimate(1.96e-3, 2e-6))
    assert found.loss.value == pytest.approx(0.05)
    assert found.loss.u == pytest.approx(0.95 * 1e-3 * (1 + 1 / 0.95**2) ** 0.5, rel=1e-3)
    assert found.loss_per_day.value == pytest.approx(0.005)
    assert found.reversible is not None and found.irreversible is not None
    assert found.reversible.value + found.irreversible.value == pytest.approx(found.loss.value)
    assert found.mean_current_A.value == pytest.approx(1e-4 / 240)
    hours = np.array([0, 2, 2, 4, 4, 6, 6, 246, 246, 247.9, 247.9, 249.9, 249.9, 251.86])
    amperes = np.array([0, 0, -1, -1, 1, 1, 0, 0, -1, -1, 1, 1, -1, -1]) * 1e-3
    tested = self_discharge_of(half_cycles(record(hours * 3600, 3.0 + 0 * hours, amperes)))
    assert tested.rest_s == pytest.approx(10 * day)
    assert tested.loss.value == pytest.approx(0.05, abs=1e-9)
    assert tested.again_Ah is not None
    assert tested.again_Ah.value == pytest.approx(1.96e-3)
    with pytest.raises(AnalysisError, match="in this order"):
        self_discharge_of(half_cycles(record([0, 1], [3, 3], [1, 1])))


def test_leakage_from_the_decay_of_the_voltage() -> None:
    t = np.linspace(0, 36000, 361)
    leakage_A, per_V = 1e-6, 2e-3
    volts = 4.1 - leakage_A * t / 3600 / per_V
    found = leakage_from_decay(t, volts, Estimate(per_V, 0.1 * per_V))
    assert found.value == pytest.approx(leakage_A)
    assert found.relative_u == pytest.approx(0.1)


def test_porosity_and_expansion() -> None:
    parts = [Component("silicon", 0.8, 2.33), Component("carbon", 0.1, 1.9), Component("binder", 0.1, 1.2)]
    density = solid_density(parts)
    area, thickness_um, pores = 1.13, 20.0, 0.4
    mass = (1 - pores) * area * thickness_um * 1e-4 * density
    found = porosity(Estimate(mass, 0.01 * mass), Estimate(area), Estimate(thickness_um, 0.4), parts)
    assert found.value == pytest.approx(pores)
    assert found.u == pytest.approx(0.6 * (0.01**2 + 0.02**2) ** 0.5)
    growth = expansion(Estimate(20.0, 0.2), Estimate(30.0, 0.2))
    assert growth.value == pytest.approx(0.5)
    assert particle_expansion(growth, Estimate(0.4), Estimate(0.1)).value == pytest.approx(1.5 * 0.9 / 0.6 - 1)
    per = expansion_per_capacity(Estimate(20.0, 0.1), Estimate(30.08, 0.1), Estimate(3.0))
    assert per.value == pytest.approx(3.36)
    with pytest.raises(AnalysisError, match=r"add up to 0\.900"):
        solid_density(parts[:2])
    with pytest.raises(AnalysisError, match="% solid"):
        porosity(Estimate(2 * mass), Estimate(area), Estimate(thickness_um), parts)
