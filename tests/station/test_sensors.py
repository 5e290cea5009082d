"""Pressure sensors: the raw resistance is kept whatever becomes of the pressure, and what is old is not used."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import pytest
from pytest import approx

from calibration.data import TemperatureCoefficient
from calibration.record import Calibration
from drivers.interface import InstrumentTimeout, NoReading, Resistance
from drivers.simulated.clock import ManualClock
from station import sensors
from station.conversion import Conversion, Pressed
from station.environment import Gauge
from station.readings import Level
from station.sensors import Sensor, scan
from station.sequencer import Sample
from station.workers import Worker
from tests.calibration_records import made_record

CALIBRATION = made_record("mfsr-1", 2)
IN_RANGE, PRESSURE_PA = 2e5, 5e5  # 50 N on 1 cm²
SAMPLE = Sample(100.0, 1.0, 1e-3)


class WallClock:
    """Stands in for the module `time` in `station.sensors` and `station.workers`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    clock = WallClock()
    monkeypatch.setattr(sensors.time, "monotonic", clock.monotonic)
    return clock


def sensor(calibration: Calibration | None = CALIBRATION) -> Sensor:
    return Sensor("mfsr-1", "scanner", 101, calibration, lost_after_s=5.0)


def test_a_resistance_becomes_a_pressure_with_uncertainty_and_calibration(wall: WallClock) -> None:
    one = sensor()
    one.hear(99.0, IN_RANGE)
    sample = one.onto(SAMPLE)
    assert (sample.time, sample.voltage_V, sample.current_A) == (100.0, 1.0, 1e-3)
    assert sample.resistance_ohm == IN_RANGE
    assert sample.pressure_Pa == approx(PRESSURE_PA)
    assert sample.pressure_U_Pa == approx(0.1 * PRESSURE_PA)
    assert sample.calibration == "mfsr-1 v2"
    assert one.lost is None


@pytest.mark.parametrize("said", [NoReading.OVERLOAD, NoReading.NOT_AVAILABLE, math.nan, math.inf])
def test_what_is_no_number_is_no_reading(wall: WallClock, said: Resistance) -> None:
    one = sensor()
    one.hear(98.0, IN_RANGE)
    one.hear(99.0, said)
    assert one.onto(SAMPLE) == SAMPLE  # nothing on it, not the value before either
    wall.now += 6
    assert one.lost is not None
    assert "no pressure from mfsr-1 for 6 s: the meter says '" in one.lost


@pytest.mark.parametrize("ohm", [9.0e4, 1.2e6, 1.0, 1e9, 0.0, -5.0])
def test_outside_the_calibration_there_is_no_pressure_and_the_resistance_is_kept(wall: WallClock, ohm: float) -> None:
    one = sensor()
    one.hear(99.0, ohm)
    sample = one.onto(SAMPLE)
    assert sample.resistance_ohm == ohm
    assert (sample.pressure_Pa, sample.pressure_U_Pa, sample.calibration) == (None, None, None)
    wall.now += 6
    assert one.lost is not None
    assert "its resistance is outside the calibrated range" in one.lost


def test_without_a_calibration_the_resistance_is_kept(wall: WallClock) -> None:
    one = sensor(None)
    one.hear(99.0, IN_RANGE)
    assert one.onto(SAMPLE).resistance_ohm == IN_RANGE
    assert one.onto(SAMPLE).pressure_Pa is None
    wall.now += 6
    assert one.lost is not None
    assert "no calibration" in one.lost


def test_it_is_lost_after_its_patience_and_found_again(wall: WallClock) -> None:
    one = sensor()
    wall.now += 5.0
    assert one.lost is None
    wall.now += 0.001
    assert one.lost == "no pressure from mfsr-1 for 5 s: it was never read"
    one.hear(99.0, IN_RANGE)
    assert one.lost is None
    wall.now += 4
    one.hear(100.0, NoReading.OVERLOAD)  # heard, but no pressure: patience goes on from the last good one
    assert one.lost is None
    wall.now += 2
    assert one.lost is not None


def test_what_is_too_old_is_not_used(wall: WallClock) -> None:
    one = sensor()
    assert one.onto(SAMPLE) == SAMPLE
    assert one.newest is None
    one.hear(99.0, IN_RANGE)
    wall.now += 5.0
    assert one.onto(SAMPLE).pressure_Pa == approx(PRESSURE_PA)
    assert one.newest == one.before(100.0)
    wall.now += 0.001
    assert one.onto(SAMPLE) == SAMPLE
    assert one.newest is None


def test_looked_up_by_time() -> None:
    one = sensor(None)
    assert one.before(0.0) is None
    for when in range(10, 20):
        one.hear(float(when), 1000.0 + when)
    assert one.before(15.0) == Pressed(15.0, 1015.0)
    assert one.before(15.9) == Pressed(15.0, 1015.0)
    assert one.before(1e9) == Pressed(19.0, 1019.0)
    assert one.before(10.0) == Pressed(10.0, 1010.0)
    assert one.before(3.0) == Pressed(10.0, 1010.0)  # the oldest kept


def test_the_past_is_not_kept_without_end() -> None:
    one = sensor(None)
    for when in range(6000):
        one.hear(float(when), 1000.0)
    oldest = one.before(0.0)
    assert oldest is not None
    assert oldest.time == 1000.0


# --- scanning


class FakeMeter:
    """Says one thing after another; an error where it is one."""

    model: ClassVar[str] = "fake"
    safe_state: ClassVar[str] = "nothing to do"
    address = "nowhere"

    def __init__(self, *said: Mapping[int, Resistance] | Exception) -> None:
        self.said = list(said)
        self.asked: list[tuple[int, ...]] = []

    def read_resistances(self, channels: Sequence[int]) -> Mapping[int, Resistance]:
        self.asked.append(tuple(channels))
        answer = self.said.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def check_channels(self, channels: Sequence[int]) -> None: ...
    def identify(self) -> str:
        return "fake"

    def make_safe(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...


class FakeJournal:
    def __init__(self) -> None:
        self.said: list[tuple[Level, str]] = []

    def say(self, level: Level, text: str, **_: object) -> None:
        self.said.append((level, text))


def scanned(meter: FakeMeter, *watched: Sensor) -> list[tuple[Level, str]]:
    """Scan until the meter has said all it had to say."""
    journal = FakeJournal()

    async def until_done() -> None:
        worker = Worker("scanner", lambda: meter)
        task = asyncio.create_task(scan(worker, list(watched), ManualClock(50.0, 1e6), 1.0, journal))  # type: ignore[arg-type]
        while meter.said:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await worker.close()

    asyncio.run(until_done())
    return journal.said


def test_one_scan_serves_all_sensors_of_a_meter() -> None:
    one, other = sensor(), Sensor("mfsr-2", "scanner", 102, None, 5.0)
    meter = FakeMeter({101: IN_RANGE, 102: NoReading.OVERLOAD}, {101: 3e5})
    assert scanned(meter, one, other) == []
    assert meter.asked == [(101, 102), (101, 102)]
    assert one.before(50.0) == Pressed(50.0, 3e5, approx(1e7 / 3e5 / 1e-4), approx(0.1e7 / 3e5 / 1e-4), "mfsr-1 v2")
    assert other.before(50.0) == Pressed(50.0, None)


def test_a_meter_in_trouble_is_told_once_and_does_not_end_the_scan() -> None:
    one = sensor()
    trouble = InstrumentTimeout("no answer", instrument="DAQ6510", address="nowhere")
    said = scanned(FakeMeter({101: IN_RANGE}, trouble, trouble, {101: IN_RANGE}), one)
    assert said == [
        (Level.WARNING, "scanner: DAQ6510 at nowhere: no answer"),
        (Level.INFO, "scanner answers again"),
    ]
    assert one.lost is None


# --- the calibration of a run


def test_a_run_keeps_its_calibration_and_the_next_has_the_new_one(wall: WallClock) -> None:
    one = sensor()
    one.hear(99.0, IN_RANGE)
    newer = made_record("mfsr-1", 3, a=2e7)
    one.begin(Conversion(CALIBRATION, began=99.5))
    one.calibrated(newer)
    one.hear(100.0, IN_RANGE)
    assert one.onto(SAMPLE).calibration == "mfsr-1 v2"
    one.end()
    assert one.onto(SAMPLE).calibration == "mfsr-1 v3", "while nothing runs, the newest is shown"
    assert one.onto(SAMPLE).pressure_Pa == approx(2 * PRESSURE_PA)


def test_what_was_heard_before_a_run_is_seen_by_its_calibration(wall: WallClock) -> None:
    one = sensor(None)
    one.hear(99.0, IN_RANGE)
    wall.now += 60.0
    assert one.lost is not None
    one.begin(Conversion(CALIBRATION, began=99.5))
    assert one.lost is None
    said = one.before(100.0)
    assert said == Pressed(99.0, IN_RANGE, approx(PRESSURE_PA), approx(0.1 * PRESSURE_PA), "mfsr-1 v2")


def test_an_excursion_is_said_once_and_its_end(wall: WallClock) -> None:
    told: list[tuple[Level, str]] = []
    one = Sensor("mfsr-1", "scanner", 101, CALIBRATION, 5.0, say=lambda *said: told.append(said))
    one.hear(98.0, 5e4)
    assert told == [], "where nothing runs, there may be no cell"
    one.begin(Conversion(CALIBRATION, began=98.5))
    for when, ohm in enumerate([IN_RANGE, 5e4, 5.1e4, 9.5e4, 5e4, IN_RANGE, 2e6]):
        one.hear(99.0 + when, ohm)
    assert told == [
        (
            Level.WARNING,
            "5e+04 Ω of sensor mfsr-1 is above the range of mfsr-1 v2 (100 kPa to 1000 kPa): its pressure is not known",
        ),
        (Level.INFO, "sensor mfsr-1 is within the range of mfsr-1 v2 again"),
        (
            Level.WARNING,
            "2e+06 Ω of sensor mfsr-1 is below the range of mfsr-1 v2 (100 kPa to 1000 kPa): its pressure is not known",
        ),
    ]


def test_a_reading_at_the_end_of_the_range_has_a_mark_and_a_pressure(wall: WallClock) -> None:
    one = sensor()
    one.hear(99.0, 9.5e4)
    sample = one.onto(SAMPLE)
    assert sample.pressure_mark == "at end"
    assert sample.pressure_Pa == approx(1e7 / 9.5e4 / 1e-4)


def test_the_temperature_is_the_thermometers(wall: WallClock) -> None:
    gauge = Gauge("temperature", "pt100", 5.0)
    gauge.hear(98.0, 45.0)
    coefficient = TemperatureCoefficient(per_K=-0.003, reference_degC=25.0)
    one = Sensor("mfsr-1", "scanner", 101, made_record(temperature=coefficient), 5.0, gauge)
    one.hear(99.0, IN_RANGE * math.exp(-0.003 * 20))
    assert one.onto(SAMPLE).pressure_Pa == approx(PRESSURE_PA)


def test_a_calibration_that_is_signed_in_another_thread_leaves_no_reading_between_two(wall: WallClock) -> None:
    one = sensor()
    newer = made_record("mfsr-1", 3, a=2e7)
    signing = threading.Thread(target=lambda: [one.calibrated(each) for each in (newer, CALIBRATION) * 20])
    signing.start()
    count = 0
    while signing.is_alive() or count < 100:
        one.hear(float(count), IN_RANGE)
        said = one.before(float(count))
        assert said is not None and said.pressure_Pa in (approx(PRESSURE_PA), approx(2 * PRESSURE_PA))
        count += 1
    signing.join()
    assert {one.before(float(when)).calibration for when in range(max(0, count - 100), count)} == {"mfsr-1 v2"}  # type: ignore[union-attr]
