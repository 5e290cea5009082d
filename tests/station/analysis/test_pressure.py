"""Pressure over cycles of a cell whose pressure follows its charge, with growth and hysteresis that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from station.analysis.curves import half_curves
from station.analysis.cycles import cycles
from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.flow import Direction
from station.analysis.pressure import (
    difference,
    growth,
    pressure_against_lithiation,
    pressure_cycles,
    pressure_loop,
)
from station.analysis.record import Record, record
from tests.station.analysis.records import ideal_cell

BASE_PA, SWING_PA, RELATIVE_U = 5e5, 1e5, 0.05


def breathing(count: int = 9, growth_Pa: float = 500.0, root: bool = False, hysteresis_Pa: float = 8e3) -> Record:
    """P = base + swing·Q/capacity ± half of the hysteresis (none at rest) + growth at the end of each cycle."""
    plain = ideal_cell(count, efficiency=1.0, every_s=30.0)
    charge_Ah = np.concatenate(
        ([0.0], np.cumsum((plain.current_A[1:] + plain.current_A[:-1]) / 2 * np.diff(plain.time_s)) / 3600)
    )
    length = len(plain) // count
    number = np.arange(len(plain)) // length + 1.0
    grown = growth_Pa * (np.sqrt(number) if root else number)
    pressure = BASE_PA + SWING_PA * charge_Ah / 2e-3 + grown + hysteresis_Pa / 2 * np.sign(plain.current_A)
    expanded = 2 * RELATIVE_U * pressure
    return record(plain.time_s, plain.voltage_V, plain.current_A, pressure_Pa=pressure, pressure_U_Pa=expanded)


def test_swing_growth_and_offset() -> None:
    data = breathing()
    found = pressure_cycles(data, cycles(data), area_cm2=1.13, correlation=1.0)
    assert len(found) == 9
    for number, one in enumerate(found, 1):
        assert one.swing.value == pytest.approx(SWING_PA + 8e3, rel=1e-6)
        assert one.swing.u == pytest.approx(RELATIVE_U * one.swing.value)  # a scale error alone
        assert one.charge_to_discharge is not None
        assert one.charge_to_discharge.value == pytest.approx(SWING_PA + 8e3, rel=1e-6)
        assert one.offset is not None and one.growth is not None
        assert one.offset.value == pytest.approx(BASE_PA + 500.0 * number, rel=1e-6)
        assert one.growth.value == pytest.approx(500.0 * (number - 1), abs=1e-3)
        assert one.rest_s == pytest.approx(600.0)
        assert one.swing_per_areal is not None
        assert one.swing_per_areal.value == pytest.approx((SWING_PA + 8e3) * 1.13 / 2, rel=1e-6)


def test_what_is_common_to_two_readings_cancels_from_their_difference() -> None:
    high, low = Estimate(6e5, 3e4), Estimate(5e5, 2.5e4)
    assert difference(high, low, 1.0).u == pytest.approx(5e3)
    assert difference(high, low, 0.0).u == pytest.approx(math.hypot(3e4, 2.5e4))
    assert difference(high, low, 0.95).u == pytest.approx(math.sqrt(3e4**2 + 2.5e4**2 - 1.9 * 3e4 * 2.5e4))
    assert difference(high, Estimate(5e5)).u is None


def test_the_stated_uncertainty_is_that_of_drawn_sensors() -> None:
    """Each sensor has a scale error common to its readings, and errors of single readings."""
    generator = np.random.default_rng(8)
    correlation, u, high, low = 0.9, 0.05, 6e5, 5e5
    scale = generator.normal(0.0, u * math.sqrt(correlation), 200_000)
    single = generator.normal(0.0, u * math.sqrt(1 - correlation), (2, 200_000))
    drawn = high * (1 + scale + single[0]) - low * (1 + scale + single[1])
    stated = difference(Estimate(high, u * high), Estimate(low, u * low), correlation)
    assert stated.u == pytest.approx(float(drawn.std()), rel=0.01)


@pytest.mark.parametrize(("root", "follows"), [(False, "n"), (True, "√n")])
def test_growth_by_cycle_or_by_its_root(root: bool, follows: str) -> None:
    data = breathing(16, root=root)
    found = growth(pressure_cycles(data, cycles(data)))
    assert found.follows == follows
    if root:
        assert found.per_root.value == pytest.approx(500.0, rel=1e-3)
    else:
        assert found.per_cycle.value == pytest.approx(500.0, rel=1e-6)


def test_the_hysteresis_of_a_loop() -> None:
    data = breathing(2)
    loop = pressure_loop(data, cycles(data)[1], correlation=1.0)
    assert loop.hysteresis_Pa.value == pytest.approx(8e3, rel=1e-6)
    assert loop.area_Pa_Ah.value == pytest.approx(8e3 * 2e-3, rel=0.02)
    assert loop.hysteresis_Pa.u == pytest.approx(RELATIVE_U * 8e3, rel=1e-6)
    assert loop.charge_Pa - loop.discharge_Pa == pytest.approx(8e3)


def test_pressure_against_lithiation() -> None:
    data = breathing(1, growth_Pa=0.0, hysteresis_Pa=0.0)
    charge, discharge = half_curves(data)
    into = pressure_against_lithiation(charge, 4e-3, lithiation=Direction.CHARGE)
    out = pressure_against_lithiation(discharge, 4e-3, lithiation=Direction.CHARGE)
    assert (into.lithiating, out.lithiating) == (True, False)
    assert (into.share[0], into.share[-1]) == pytest.approx((0.0, 0.5))
    assert (out.share[0], out.share[-1]) == pytest.approx((0.5, 0.0))
    for one in (into, out):
        assert one.slope_Pa.value == pytest.approx(2 * SWING_PA, rel=1e-6)
        assert one.slope_Pa.relative_u == pytest.approx(RELATIVE_U, rel=1e-3)
        assert one.pressure_Pa == pytest.approx(BASE_PA + 2 * SWING_PA * one.share)


def test_without_pressure_it_says_so() -> None:
    plain = ideal_cell(1)
    with pytest.raises(AnalysisError, match="no pressure"):
        pressure_cycles(plain, cycles(plain))
    with pytest.raises(AnalysisError, match="no pressure"):
        pressure_loop(plain, cycles(plain)[0])
    data = breathing(1)
    with pytest.raises(AnalysisError, match="correlation of 2"):
        pressure_cycles(data, cycles(data), correlation=2.0)
    with pytest.raises(AnalysisError, match="needs four"):
        growth(pressure_cycles(data, cycles(data)))
