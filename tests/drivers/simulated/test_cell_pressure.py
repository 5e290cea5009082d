"""Thickness, pressure and the sensor that sees it."""

import math
from dataclasses import replace
from itertools import pairwise
from random import Random
from statistics import stdev

import pytest

from drivers.simulated.cell import (
    Format,
    SensorParameters,
    SimulatedCell,
    lithium_symmetric_cell,
    scattered,
    silicon_half_cell,
    silicon_lfp_cell,
)
from drivers.simulated.cell.electrodes import SiliconParameters
from drivers.simulated.cell.mechanics import Casing, Stack
from drivers.simulated.cell.sensor import Sensor
from drivers.simulated.clock import ManualClock
from drivers.simulated.wiring import DriveCurrent


@pytest.mark.parametrize("cell", [silicon_half_cell(), silicon_lfp_cell(Format.COIN), lithium_symmetric_cell()])
def test_new_coin_cell_stands_at_the_published_pressure_and_resistance(cell) -> None:
    new = SimulatedCell(replace(cell, sensor=SensorParameters(noise=0.0)), ManualClock())
    assert new.pressure_Pa() == 546e3
    assert new.sensor_resistance_ohm() == pytest.approx(0.288e6, rel=1e-12)


@pytest.mark.parametrize("cell", [silicon_half_cell(Format.POUCH), silicon_lfp_cell()])
def test_new_pouch_cell_stands_at_52_kPa(cell) -> None:
    new = SimulatedCell(replace(cell, sensor=SensorParameters(noise=0.0)), ManualClock())
    assert new.pressure_Pa() == 52e3
    assert new.sensor_resistance_ohm() == pytest.approx(0.288e6 * (546 / 52) ** 0.85, rel=1e-12)


@pytest.mark.parametrize(
    ("cell", "lithiating", "swing_kPa"),
    [
        (silicon_half_cell(), -1, (50, 150)),
        (silicon_lfp_cell(Format.COIN), +1, (50, 170)),
        (silicon_lfp_cell(Format.POUCH), +1, (5, 25)),
    ],
)
def test_lithiated_silicon_presses_harder(cell, lithiating: int, swing_kPa: tuple[float, float]) -> None:
    clock = ManualClock()
    new = SimulatedCell(cell, clock)
    new.drive(DriveCurrent(lithiating * cell.current_A(0.1), 0.02, 3.9))
    pressures = [new.pressure_Pa()]
    for _ in range(8):
        clock.sleep(3600)
        pressures.append(new.pressure_Pa())
    assert all(after > before for before, after in pairwise(pressures))
    assert swing_kPa[0] < (pressures[-1] - pressures[0]) / 1e3 < swing_kPa[1]


def test_casing_and_stack_yield_in_series() -> None:
    casing = Casing(preload_Pa=1e5, area_m2=1.54e-4, stiffness_N_m=2e7)
    assert casing.pressure_per_thickness_Pa_m == pytest.approx(119e3 / 1e-6, rel=0.01)


def test_pressure_relaxes_in_part_and_never_pulls() -> None:
    stack = Stack(Casing(preload_Pa=1e5, area_m2=1.54e-4, stiffness_N_m=2e7))
    stack.advance(1e-6, 1.0)
    peak = stack.pressure_Pa
    for _ in range(100):
        stack.advance(1e-6, 3600.0)
    assert (stack.pressure_Pa - 1e5) / (peak - 1e5) == pytest.approx(0.92, abs=0.001)
    stack.advance(-5e-6, 1.0)
    assert stack.pressure_Pa == 0.0
    stack.advance(1e-6, 1.0)
    assert stack.pressure_Pa > 1e5


def sensor(**changes: float) -> Sensor:
    return Sensor(replace(SensorParameters(**changes)), Random(1), 546e3)


def test_sensor_creeps_by_a_few_per_cent_a_decade() -> None:
    one = sensor()
    new = one.true_resistance_ohm(25.0)
    one.advance(546e3, 9 * 3600.0)
    assert new / one.true_resistance_ohm(25.0) == pytest.approx(1.03, rel=1e-9)


def test_sensor_keeps_a_higher_conductance_on_the_way_back() -> None:
    one = sensor(creep_per_decade=0.0)
    one.advance(800e3, 1.0)
    one.advance(546e3, 1.0)
    assert 288e3 / one.true_resistance_ohm(25.0) == pytest.approx(1.04, rel=0.002)
    one.advance(300e3, 1.0)
    one.advance(546e3, 1.0)
    assert one.true_resistance_ohm(25.0) == pytest.approx(288e3, rel=0.002)


def test_sensor_noise_is_lognormal_and_its_seed_repeats_it() -> None:
    readings = [math.log(sensor.read_ohm(25.0)) for sensor in [sensor()] for _ in range(2000)]
    assert stdev(readings) == pytest.approx(0.003, rel=0.1)
    one, other = (SimulatedCell(silicon_half_cell(), ManualClock(), seed=7) for _ in range(2))
    assert [one.sensor_resistance_ohm() for _ in range(5)] == [other.sensor_resistance_ohm() for _ in range(5)]
    assert one.sensor_resistance_ohm() != SimulatedCell(silicon_half_cell(), ManualClock(), 8).sensor_resistance_ohm()


def test_unloaded_sensor_does_not_conduct_and_creeps_anew() -> None:
    one = sensor()
    one.advance(546e3, 1e6)
    one.advance(0.0, 1.0)
    assert one.read_ohm(25.0) == math.inf
    one.advance(546e3, 3600.0)
    assert one.true_resistance_ohm(25.0) == pytest.approx(288e3, rel=1e-9)
    assert SensorParameters().resistance_ohm(1.4e3) > 10e6


def test_sensor_has_a_temperature_coefficient() -> None:
    assert sensor().true_resistance_ohm(35.0) / 288e3 == pytest.approx(0.97, abs=0.001)


def test_sensor_area_gives_the_anchors_force() -> None:
    assert SensorParameters().area_m2 * 546e3 == pytest.approx(84.05, abs=0.01)


def test_sister_cells_differ_a_little_and_the_same_seed_gives_the_same_cell() -> None:
    cell = silicon_lfp_cell()
    assert scattered(cell, 3) == scattered(cell, 3) != scattered(cell, 4)
    assert scattered(cell, 3).casing.preload_Pa == pytest.approx(52e3, rel=0.15)


def test_stack_that_shrinks_loses_contact_and_reads_infinity() -> None:
    """Silicon that was built in full and comes out thin: no pressure, no reading, no negative number."""
    cell = silicon_half_cell()
    assert isinstance(cell.positive, SiliconParameters)
    loose = replace(
        cell,
        positive=replace(cell.positive, filling=0.9, formed=True),
        casing=replace(cell.casing, preload_Pa=20e3),
    )
    clock = ManualClock()
    simulated = SimulatedCell(loose, clock)
    assert math.isfinite(simulated.sensor_resistance_ohm())
    simulated.drive(DriveCurrent(cell.current_A(0.2), 0.0, 2.0))
    clock.sleep(3 * 3600)
    assert simulated.pressure_Pa() == 0.0 and simulated.sensor_resistance_ohm() == math.inf
    simulated.drive(DriveCurrent(-cell.current_A(0.2), 0.0, 2.0))
    clock.sleep(3 * 3600)
    assert simulated.pressure_Pa() > 0.0
