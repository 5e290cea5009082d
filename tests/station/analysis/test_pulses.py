"""Pulses, potential steps, interruptions and relaxations with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.analysis.diffusion import surface
from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.flow import Direction
from station.analysis.interruption import interruptions
from station.analysis.pitt import pitt, pitt_step, sphere_current
from station.analysis.pulses import pulse_resistances
from station.analysis.record import record
from station.analysis.relaxation import exponentials, stretched

R0, R1, TAU_S = 20.0, 30.0, 5.0
R = 2.5e-6


def rc_pulse(noise_V: float = 0.0):
    """Rest, 60 s of discharge at 1 mA through R0 and R1 ∥ C, rest; rows of each phase begin at its first moment."""
    t = np.linspace(0, 60, 601)
    during = -1e-3 * (R0 + R1 * (1 - np.exp(-t / TAU_S)))
    after = -1e-3 * R1 * (1 - math.exp(-60 / TAU_S)) * np.exp(-t / TAU_S)
    volts = 3.7 + np.concatenate((np.zeros(601), during, after))
    volts += np.random.default_rng(2).normal(0.0, noise_V, len(volts)) if noise_V else 0.0
    amperes = np.repeat([0.0, -1e-3, 0.0], 601)
    return record(np.concatenate((t, 60 + t, 120 + t)), volts, amperes, temperature_degC=np.full(len(volts), 25.0))


def test_resistance_at_stated_times() -> None:
    begins, ends = pulse_resistances(rc_pulse())
    assert (begins.direction, begins.ends, ends.ends) == (Direction.DISCHARGE, False, True)
    assert begins.temperature_degC == 25.0
    for pulse in (begins, ends):
        first, *later = pulse.resistances
        assert first.first_sample
        assert first.ohm.value == pytest.approx(R0)
        assert [one.delay_s for one in later] == [1.0, 10.0, 30.0]
        for one in later:
            assert one.ohm.value == pytest.approx(R0 + R1 * (1 - math.exp(-one.delay_s / TAU_S)), rel=1e-4)
    assert begins.resistances[0].area_specific(1.13).value == pytest.approx(R0 * 1.13)


def test_the_uncertainty_of_a_resistance_is_that_of_two_voltages() -> None:
    (first, *_), clean = pulse_resistances(rc_pulse(noise_V=1e-5))[0].resistances, R0
    assert first.ohm.u == pytest.approx(1e-5 * math.sqrt(2) / 1e-3, rel=0.6)
    assert abs(first.ohm.value - clean) < 5 * first.ohm.u


def test_a_step_between_two_currents() -> None:
    t = np.linspace(0, 10, 11)
    amperes = np.repeat([1e-3, 3e-3], 11)
    (found,) = pulse_resistances(record(np.concatenate((t, 10 + t)), 3 + 40 * amperes, amperes))
    assert found.resistances[0].ohm.value == pytest.approx(40.0)
    with pytest.raises(AnalysisError, match="no step"):
        pulse_resistances(record(t, 3 + t, np.full(11, 1e-3)))


@given(st.floats(-17, -13), st.floats(0.05, 2.0), st.sampled_from([-1.0, 1.0]))
@settings(max_examples=15, deadline=None)
def test_pitt_of_a_sphere(log_D: float, T: float, sign: float) -> None:
    D, whole_C = 10**log_D, 3.6
    end_s = T * R**2 / D
    t = np.concatenate(([0.0], np.geomspace(1e-4, 1, 300) * end_s))
    amperes = np.concatenate(([0.0], sign * whole_C * D / R**2 * sphere_current(D * t[1:] / R**2)))
    found = pitt_step(record(t, np.full(len(t), 0.3), amperes), Estimate(R, 0.01 * R))
    assert found.D_fit.value == pytest.approx(D, rel=1e-4)
    assert found.D_fit.relative_u == pytest.approx(0.02, rel=0.01)
    assert found.whole_charge_Ah.value == pytest.approx(sign * 1e-3, rel=1e-4)
    assert found.fourier == pytest.approx(T, rel=1e-3)
    assert found.D_early is not None
    assert found.D_early.value == pytest.approx(D, rel=1e-3)
    if T > 0.3:
        assert found.D_late is not None
        assert found.D_late.value == pytest.approx(D, rel=0.03)


def test_pitt_of_a_staircase() -> None:
    """A rest and three steps of 10 mV, each until the sphere is full; rows of each begin with its first moment."""
    D, whole_C = 1e-14, 0.36
    t = np.concatenate(([0.0], np.geomspace(1e-3, 1, 200) * R**2 / D))
    amperes = np.concatenate(([0.0], whole_C * D / R**2 * sphere_current(D * t[1:] / R**2)))
    times = np.concatenate([number * t[-1] + t for number in range(4)])
    volts = np.repeat([3.00, 3.01, 3.02, 3.03], len(t))
    found = pitt(record(times, volts, np.concatenate((0 * amperes, amperes, amperes, amperes))), R)
    assert [one.voltage_V for one in found] == [3.01, 3.02, 3.03]
    for one in found:
        assert one.D_fit.value == pytest.approx(D, rel=1e-3)
        assert one.whole_charge_Ah.value == pytest.approx(1e-4, rel=1e-3)
    with pytest.raises(AnalysisError, match="no step in which the voltage stays"):
        pitt(rc_pulse(), R, step_V=1e-6)


def test_the_current_of_a_sphere_passes_the_whole_charge() -> None:
    T = np.geomspace(1e-8, 5, 20000)
    assert np.trapezoid(sphere_current(T), T) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("off_s", [5.0, 10.0])
def test_interruptions_of_a_current_into_a_sphere(off_s: float) -> None:
    D, current_A, slope_V, ohmic = 1e-14, -1e-3, -0.4, 12.0
    per_s = slope_V * 1 / 36000  # of the potential, by the mean concentration
    times, amperes, edges = [], [], []
    now = 0.0
    for _ in range(12):
        times += [now + np.linspace(0, 300, 61), now + 300 + np.linspace(0, off_s, 51)]
        amperes += [np.full(61, current_A), np.zeros(51)]
        edges += [(now, 1.0), (now + 300, -1.0)]
        now += 300 + off_s
    t, current = np.concatenate(times), np.concatenate(amperes)
    volts = np.full(len(t), 0.6)
    for moment, sign in edges:
        since = np.maximum(t - moment, 0.0)
        volts += sign * per_s * (R**2 / (3 * D)) * surface(D * since / R**2)
    found = interruptions(record(t, volts + ohmic * current, current), R)
    assert len(found) == 11  # the last pause has no current after it
    for one in found[6:]:
        assert one.direction is Direction.DISCHARGE
        assert one.resistance_ohm.value == pytest.approx(ohmic, rel=0.02)
        assert one.off_s == pytest.approx(off_s)
        assert one.D is not None
        assert one.D.value == pytest.approx(D, rel=0.12)  # 10 s of a rest are not quite a beginning alone
    assert interruptions(record(t, volts, current))[0].D is None
    with pytest.raises(AnalysisError, match="longest_s"):
        interruptions(record(t, volts, current), longest_s=2.0)


def test_exponentials_are_found_with_their_number() -> None:
    t = np.linspace(0, 7200, 1500)
    truth = 0.35 + 0.02 * np.exp(-t / 60) + 0.03 * np.exp(-t / 1500)
    noise_V = 2e-5
    found = exponentials(t, truth + np.random.default_rng(4).normal(0, noise_V, len(t)))
    assert len(found.modes) == 2
    for mode, amplitude, tau_s in zip(found.modes, (0.02, 0.03), (60, 1500), strict=True):
        assert mode.amplitude.u is not None and mode.tau_s.u is not None
        assert abs(mode.amplitude.value - amplitude) < 4 * mode.amplitude.u
        assert abs(mode.tau_s.value - tau_s) < 4 * mode.tau_s.u
    assert found.final.u is not None
    assert abs(found.final.value - 0.35) < 4 * found.final.u
    assert found.rms == pytest.approx(noise_V, rel=0.2)
    assert found.reached == pytest.approx(4.8, rel=0.02)
    assert found.end_slope.value == pytest.approx(-0.03 / 1500 * math.exp(-6840 / 1500), rel=0.05)


@given(st.floats(0.35, 0.95), st.floats(100, 3000), st.floats(-0.1, 0.1).filter(lambda a: abs(a) > 1e-3))
@settings(max_examples=12, deadline=None)
def test_a_stretched_exponential(beta: float, tau_s: float, amplitude: float) -> None:
    t = np.linspace(0, 36000, 2000)
    found = stretched(t, 0.4 + amplitude * np.exp(-((t / tau_s) ** beta)))
    assert found.beta is not None
    assert found.beta.value == pytest.approx(beta, rel=1e-3)
    assert found.modes[0].tau_s.value == pytest.approx(tau_s, rel=1e-3)
    assert found.modes[0].amplitude.value == pytest.approx(amplitude, rel=1e-3)
    assert found.final.value == pytest.approx(0.4, rel=1e-3)


def test_a_rest_in_which_nothing_happens() -> None:
    with pytest.raises(AnalysisError, match="do not change"):
        exponentials(np.arange(20.0), np.ones(20))
    with pytest.raises(AnalysisError, match="needs 6 readings"):
        exponentials(np.arange(3.0), np.arange(3.0))
