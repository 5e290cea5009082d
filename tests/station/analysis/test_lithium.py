"""Short circuits of symmetric cells, and what is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from protocols.program import ShortCriteria
from station.analysis.errors import AnalysisError
from station.analysis.lithium import critical_current_density, find_short
from station.analysis.record import Record, record
from station.analysis.shorts import ShortCircuitDetector, Sign, Watch, observed

OHM, AREA_CM2 = 200.0, 0.785
Shape = Callable[[np.ndarray, int], np.ndarray]


def stepped(shape: Shape | None = None, steps: int = 8, every_s: float = 1.0, noise_V: float = 2e-5) -> Record:
    """0.1, 0.2, … mA cm⁻²: at each a half-cycle of 30 min either way. `shape(t, step)` is the polarisation over I·R."""
    times, volts, amperes, now = [], [], [], 0.0
    t = np.arange(0.0, 1800.0, every_s)
    for step in range(1, steps + 1):
        for sign in (1.0, -1.0):
            current = sign * step * 1e-4 * AREA_CM2
            polarisation = np.ones(len(t)) if shape is None else shape(t, step if sign > 0 else 0)
            times.append(now + t)
            amperes.append(np.full(len(t), current))
            volts.append(current * OHM * polarisation)
            now += 1800.0
    noise = np.random.default_rng(6).normal(0.0, noise_V, len(t) * 2 * steps)
    return record(np.concatenate(times), np.concatenate(volts) + noise, np.concatenate(amperes))


def dropping(t: np.ndarray, step: int) -> np.ndarray:
    return np.where((t > 900) & (step == 5), 0.2, 1.0)


def test_a_sound_cell_passes_all_steps() -> None:
    found = critical_current_density(stepped(), AREA_CM2)
    assert found.short is None
    assert found.failed_mA_cm2 is None
    assert found.passed_mA_cm2 == pytest.approx(0.8)
    assert found.cumulative_mAh_cm2 == pytest.approx(2 * 0.5 * sum(range(1, 9)) * 0.1, rel=2e-3)


def test_a_sudden_loss_of_polarisation() -> None:
    found = critical_current_density(stepped(dropping), AREA_CM2)
    assert found.short is not None
    assert found.short.sign is Sign.DROP
    assert found.short.time_s == pytest.approx(8 * 1800 + 902, abs=3)
    assert (found.passed_mA_cm2, found.failed_mA_cm2) == pytest.approx((0.4, 0.5))
    assert found.step == 5
    assert found.half_cycle_s == pytest.approx(1800, abs=2)
    assert found.half_cycle_mAh_cm2 == pytest.approx(0.2, rel=2e-3)


@pytest.mark.parametrize(
    "shape",
    [
        lambda t, step: 1 + 1.5 * np.exp(-t / 300),  # nucleation, then a plateau
        lambda t, step: 1 + 0.5 * (t / 1800) ** 2,  # concentration polarisation
        lambda t, step: 1 - 0.4 * np.exp(-t / 60),  # slow rise
        lambda t, step: 1 + 0.02 * np.sin(t / 50),  # the room's temperature
        lambda t, step: np.where(t == 700, 0.3, 1.0),  # one bad reading
    ],
)
@pytest.mark.parametrize("every_s", [1.0, 10.0])
def test_what_is_no_short_circuit(shape: Shape, every_s: float) -> None:
    assert find_short(stepped(shape, every_s=every_s)) is None


def test_noise_and_persistent_fluctuation() -> None:
    generator = np.random.default_rng(7)

    def noisy(t: np.ndarray, step: int) -> np.ndarray:
        return 1 + generator.normal(0.0, 0.03, len(t)) * ((step == 3) & (t > 600))

    def swinging(t: np.ndarray, step: int) -> np.ndarray:
        return 1 - 0.12 * ((step == 3) & (t > 600)) * (1 - np.cos((t - 600) / 12)) / 2

    noise = find_short(stepped(noisy), ShortCriteria(swings=50))
    assert noise is not None
    assert noise.sign is Sign.NOISE
    assert 0 < noise.time_s - (4 * 1800 + 600) < 60
    swings = find_short(stepped(swinging))
    assert swings is not None
    assert swings.sign is Sign.FLUCTUATION
    assert 0 < swings.time_s - (4 * 1800 + 600) < 600


@given(st.floats(0.1, 10.0), st.floats(1.0, 1e4))
@settings(max_examples=15, deadline=None)
def test_only_shares_and_times_matter(scale: float, start_s: float) -> None:
    data = stepped(lambda t, step: np.where(t > 300, 0.5, 1.0), steps=1).rows(0, 400)
    scaled = record(data.time_s + start_s, scale * data.voltage_V, scale * data.current_A)
    one, other = find_short(data), find_short(scaled)
    assert one is not None and other is not None
    assert other.sign is one.sign
    assert other.time_s - start_s == pytest.approx(one.time_s)


def test_a_watch_goes_on_where_it_was_kept() -> None:
    kept_as = TypeAdapter(Watch)
    data = stepped(lambda t, step: np.where(t > 300, 0.5, 1.0), steps=1).rows(0, 400)
    detector, watch = ShortCircuitDetector(), Watch()
    for row in zip(data.time_s.tolist(), data.voltage_V.tolist(), data.current_A.tolist(), strict=True):
        watch = kept_as.validate_json(kept_as.dump_json(observed(ShortCriteria(), watch, *row)))
        assert detector.feed(*row) == watch.short
    assert watch == detector.watch
    assert watch.short == find_short(data)
    assert watch.short is not None


def test_criteria_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="'drop' of a short circuit is 0"):
        ShortCriteria(drop=0.0)
    with pytest.raises(AnalysisError, match="area is 0"):
        critical_current_density(stepped(steps=1), 0.0)
