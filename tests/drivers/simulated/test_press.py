"""The virtual press: its load comes and relaxes, its sensor lies differently each time, its load cell errs."""

from __future__ import annotations

import math
from statistics import stdev

import pytest

from drivers.interface import NotSafe, OutOfRange, Refused
from drivers.simulated.bench import LOAD_CELL_FACTOR, VirtualBench
from drivers.simulated.cell import SensorParameters
from drivers.simulated.clock import ManualClock
from drivers.simulated.press import VirtualPress, VirtualPressDrive
from drivers.virtual_press import VirtualPress as Driver

QUIET = SensorParameters(noise=0.0, creep_per_decade=0.0, hysteresis=0.0)


def pressed(press: VirtualPress, clock: ManualClock, force_N: float) -> None:
    press.turn_to(force_N)
    clock.sleep(60.0)


def test_a_load_by_hand_comes_within_seconds_and_relaxes_a_little() -> None:
    clock = ManualClock()
    press = VirtualPress({"s": QUIET}, clock, time_constant_s=2.0)
    press.turn_to(100.0)
    clock.sleep(2.0)
    assert press.force_N() == pytest.approx(100.0 * (1 - math.exp(-1)), rel=0.01)
    clock.sleep(20.0)
    early = press.force_N()
    clock.sleep(2000.0)
    assert 0.98 * early < press.force_N() < early < 100.0
    press.drive_to(100.0)
    clock.sleep(60.0)
    assert press.force_N() == pytest.approx(100.0, rel=1e-9), "a drive holds it"


def test_the_sensor_is_the_truth_times_how_it_lies_in_the_press() -> None:
    clock = ManualClock()
    press = VirtualPress({"s": QUIET}, clock, seed=3)
    logs = []
    for _ in range(200):
        pressed(press, clock, 84.05)
        truth = QUIET.resistance_ohm(press.force_N() / QUIET.area_m2)
        logs.append(math.log(press.read_ohm() / truth))
        again = math.log(press.read_ohm() / truth)
        assert again == pytest.approx(logs[-1], abs=1e-12), "as long as it stays where it is"
        press.reseat()
        assert press.force_N() == 0.0 and press.read_ohm() == math.inf
    assert stdev(logs) == pytest.approx(QUIET.insertion, rel=0.15)


def test_the_load_cell_errs_by_its_factor_its_offset_and_its_noise() -> None:
    clock = ManualClock()
    press = VirtualPress({"s": QUIET}, clock, gauge_factor=1.01, gauge_offset_N=0.5, gauge_noise_N=0.02)
    press.drive_to(50.0)
    clock.sleep(60.0)
    readings = [press.indicated_N() for _ in range(400)]
    assert sum(readings) / 400 == pytest.approx(51.0, abs=0.005)
    assert stdev(readings) == pytest.approx(0.02, rel=0.15)


def test_no_press_pulls_and_none_holds_a_sensor_that_is_not_there() -> None:
    press = VirtualPress({"s": QUIET}, ManualClock())
    for force in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="a press pushes"):
            press.turn_to(force)
    with pytest.raises(KeyError):
        press.insert("t")


def test_its_driver_sets_a_force_and_changes_the_sensor() -> None:
    clock = ManualClock()
    press = VirtualPress({"s": QUIET, "t": QUIET}, clock)
    with VirtualPressDrive(press, clock, scale=0.98) as drive, Driver(drive.address) as driver:
        driver.set_force(50.0)
        clock.sleep(60.0)
        assert press.force_N() == pytest.approx(49.0)
        assert drive.received[-2:] == [":FORC 50", ":FORC?"]
        with pytest.raises(OutOfRange, match="501 N is outside 0 … 500 N"):
            driver.check_force(501.0)
        driver.insert("t")
        assert (press.sensor_name, press.force_N(), press.insertions) == ("t", 0.0, 2)
        with pytest.raises(Refused, match="Illegal parameter value"):
            driver.insert("u")
        with pytest.raises(OutOfRange, match="no sensor's name"):
            driver.insert('u"')
        press.sensor_name = "s"
        drive.define(":SENSor:INSert", lambda _: None)
        drive._actions.insert(0, drive._actions.pop())
        with pytest.raises(NotSafe, match="sensor s lies in the press, not t"):
            driver.insert("t")


def test_the_bench_presses_the_sensors_of_its_cells(tmp_path) -> None:
    bench = VirtualBench(ManualClock(), tmp_path)
    assert set(bench.press.truths) == {"mfsr-A1", "mfsr-B1"}
    assert bench.press.truths["mfsr-A1"] == bench.positions["A1"].parameters.sensor
    assert abs(LOAD_CELL_FACTOR - 1) < 0.001, "within what its certificate states"
    for server in bench.servers.values():
        server.stop()
