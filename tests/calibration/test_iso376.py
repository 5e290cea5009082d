"""ISO 376's quantities and classes, by hand-made series whose quantities are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pytest import approx

from calibration.iso376 import (
    CLASSES,
    CreepPair,
    Series,
    ZeroDrift,
    classification,
    quantities_of_series,
    uncertainties,
)
from calibration.results import LevelQuantities

FORCES = np.array([20.0, 40.0, 100.0])
CURVE = FORCES / 100.0  # 1 mV/V at 100 N


def series(*factors: tuple[int, bool, float]) -> list[Series]:
    return [Series(position, rising, CURVE * factor) for position, rising, factor in factors]


def test_the_formulas() -> None:
    """X1..X6' as multiples of the curve: each quantity is then one number at all forces."""
    six = series(
        (0, True, 1.0), (0, True, 1.0002), (1, True, 1.001), (1, False, 1.003), (2, True, 0.999), (2, False, 1.002)
    )
    found = quantities_of_series(
        "cell",
        FORCES,
        six,
        CURVE,
        zeros=[ZeroDrift(0.0, 0.0001), ZeroDrift(0.0, -0.0004)],
        creep=CreepPair(1.0, 1.0005),
    )
    for level in found.levels:
        assert level.reproducibility == approx(100 * (1.001 - 0.999) / 1.0)
        assert level.repeatability == approx(100 * 0.0002 / 1.0001)
        assert level.interpolation == approx(0.0, abs=1e-12)
        assert level.reversibility == approx(100 * (0.002 / 1.001 + 0.003 / 0.999) / 2)
    assert found.zero == approx(-0.04)  # per cent of X_N = 1
    assert found.creep == approx(0.05)
    assert found.classification.startswith("class 1 (")  # by b = 0.2 and v = 0.25


def test_interpolation_is_against_the_curve() -> None:
    found = quantities_of_series("cell", FORCES, series((0, True, 1.01)), CURVE)
    assert [level.interpolation for level in found.levels] == approx([1.0] * 3)
    assert found.levels[0].reproducibility is None
    assert found.classification == "unclassified: b, b', f0, v or c not known"


def test_a_level_that_one_series_lacks_is_not_known() -> None:
    whole, part = CURVE * 1.0, CURVE * 1.001
    part[0] = math.nan
    found = quantities_of_series("cell", FORCES, [Series(0, True, whole), Series(1, True, part)], CURVE)
    assert found.levels[0].reproducibility is None
    assert found.levels[1].reproducibility == approx(100 * 0.001 / 1.0005)


@pytest.mark.parametrize("place", range(len(CLASSES)))
def test_the_class_that_all_quantities_keep(place: int) -> None:
    limits = CLASSES[place]
    level = LevelQuantities(
        force_N=100.0,
        reproducibility=limits.reproducibility,
        repeatability=limits.repeatability,
        interpolation=-limits.interpolation,
        reversibility=limits.reversibility,
    )
    said = classification([level], limits.zero, None)
    assert said.startswith(f"class {limits.name} (")
    assert "to be checked against ISO 376" in said
    over = level.model_copy(update={"repeatability": limits.repeatability * 1.01})
    worse = CLASSES[place + 1].name if place + 1 < len(CLASSES) else None
    told = classification([level, over], limits.zero, None)
    assert told.startswith(f"class {worse} (" if worse else "unclassified: outside class 2")


def test_the_eight_uncertainties() -> None:
    three = series((0, True, 1.0), (0, True, 1.0002), (1, True, 1.001), (2, True, 0.999))
    found = quantities_of_series(
        "cell", FORCES, three, CURVE * 0.9995, zeros=[ZeroDrift(0.0, 0.0003)], creep=CreepPair(1.0, 1.0006)
    )
    at_100 = uncertainties(
        FORCES,
        three,
        found,
        applied_relative=5e-5,
        resolution=1e-5,
        temperature_per_K=2.7e-4,
        temperature_range_K=2.0,
    )[-1]
    assert at_100.applied_force == approx(0.005)
    assert at_100.reproducibility == approx(100 * math.sqrt((0.001**2 + 0.001**2) / 6))
    assert at_100.repeatability == approx(100 * 0.0002 / 1.0001 / math.sqrt(3))
    assert at_100.resolution == approx(100 * 1e-5 / math.sqrt(6))
    assert at_100.creep == approx(0.06 / math.sqrt(3))
    assert at_100.zero == approx(0.03)
    assert at_100.temperature == approx(100 * 2.7e-4 / math.sqrt(3))
    assert at_100.interpolation == approx(100 * (1.0 - 0.9995) / 0.9995)
    parts = "applied_force reproducibility repeatability resolution creep zero temperature interpolation"
    squares = sum(getattr(at_100, part) ** 2 for part in parts.split())
    assert at_100.combined_N == approx(math.sqrt(squares))
    assert at_100.expanded_percent == approx(2 * math.sqrt(squares))
