"""How a sensor of the virtual bench is calibrated: between the same plates as those of its cell and of the press."""

from __future__ import annotations

from dataclasses import replace
from math import log
from random import Random
from statistics import mean, stdev

import pytest

from drivers.simulated.cell.sensor import SensorParameters
from station.bench_calibration import Press

QUIET = SensorParameters(noise=0.0, creep_per_decade=0.0, hysteresis=0.0)
FORCE_N = 80.0


def contacts(parameters: SensorParameters, insertions: int) -> list[float]:
    """ln of what is read over what is true, of one insertion after another."""
    press = Press(parameters, Random(7))
    truth_ohm = parameters.resistance_ohm(FORCE_N / parameters.area_m2)
    found = []
    for _ in range(insertions):
        press.hold(FORCE_N, 30.0)
        found.append(log(press.read_ohm() / truth_ohm))
        press.reinsert()
    return found


@pytest.mark.parametrize("insertion", [SensorParameters().insertion, 0.06])
def test_insertions_scatter_as_the_sensor_says_and_about_its_truth(insertion: float) -> None:
    logs = contacts(replace(QUIET, insertion=insertion), 400)
    assert stdev(logs) == pytest.approx(insertion, rel=0.15)
    assert mean(logs) == pytest.approx(0.0, abs=0.2 * insertion)


def test_the_first_insertion_is_one_like_the_others() -> None:
    assert contacts(QUIET, 1) != [0.0]
    assert contacts(replace(QUIET, insertion=0.0), 3) == pytest.approx([0.0] * 3)
