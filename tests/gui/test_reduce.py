import numpy as np
import pytest

from gui.plots import time_unit
from gui.reduce import MOST_POINTS, half_cycles, notable, thin


def test_thinning_keeps_the_extremes_of_every_curve_and_the_limit() -> None:
    x = np.arange(1_000_000.0)
    y, z = np.sin(x / 1e4), np.full_like(x, np.nan)
    y[123_456], y[765_432] = 9.0, -9.0
    z[500_000] = 3.0
    few, less_y, less_z = thin(x, y, z)
    assert len(few) <= MOST_POINTS
    assert (np.max(less_y), np.min(less_y), np.nanmax(less_z)) == (9.0, -9.0, 3.0)
    assert np.all(np.diff(few) > 0)


def test_few_points_are_left_alone() -> None:
    x = np.arange(4000.0)
    assert thin(x, x)[0] is x


def test_each_half_cycle_begins_at_zero_capacity_and_rests_are_left_out() -> None:
    current = np.array([0.0, -1.0, -1.0, 0.0, 1.0, 1.0])
    net = np.array([0.0, -0.1, -2.0, -2.0, -1.9, -0.2])
    voltage = np.array([3.0, 0.5, 0.1, 0.2, 0.6, 2.0])
    capacity, V = half_cycles(net, current, voltage)
    assert capacity == pytest.approx(np.array([0.0, 1.9, np.nan, 0.0, 1.7]), nan_ok=True)
    assert pytest.approx(np.array([0.5, 0.1, np.nan, 0.6, 2.0]), nan_ok=True) == V


def test_a_cycle_at_rest_has_no_profile() -> None:
    capacity, V = half_cycles(np.zeros(3), np.zeros(3), np.ones(3))
    assert len(capacity) == len(V) == 0


def test_the_cycles_drawn_are_stable_as_the_run_grows() -> None:
    assert notable(0) == ()
    assert notable(2) == (1, 2)
    assert notable(33) == (1, 2, 5, 10, 20, 31, 32, 33)


@pytest.mark.parametrize(
    ("low", "high", "unit"),
    [(0, 60, "s"), (0, 1800, "min"), (0, 1e5, "h"), (0, 1e6, "d"), (1_740_000, 1_743_600, "h")],
)
def test_the_time_axis_suits_its_range(low: float, high: float, unit: str) -> None:
    assert time_unit(low, high)[1] == unit
