"""What surrounds a cell: values by time, silence, and whose pressure a sample has."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from drivers.interface import NoReading, Unreachable
from drivers.simulated.clock import ManualClock
from station.environment import NOTHING, Environment, Gauge, watch
from station.readings import Level
from station.sequencer import Sample
from station.workers import Worker

SAMPLE = Sample(100.0, 3.0, 1e-3)


def heard(*said: tuple[float, float | NoReading], lost_after_s: float = 5.0) -> Gauge:
    gauge = Gauge("temperature", "pt100", lost_after_s)
    for when, value in said:
        gauge.hear(when, value)
    return gauge


def test_a_sample_has_what_was_said_last_before_it() -> None:
    gauge = heard((90.0, 25.0), (99.0, 26.0), (101.0, 27.0))
    assert Environment(temperature=gauge).onto(SAMPLE).temperature_degC == 26.0
    assert gauge.newest == 27.0
    assert gauge.before(100.0, 0.5) is None, "that is too long ago"
    assert gauge.before(10.0, 60.0) is None and gauge.before(89.0, 60.0) == 25.0


@pytest.mark.parametrize("said", [NoReading.NOT_AVAILABLE, NoReading.OVERLOAD, math.nan, math.inf])
def test_what_is_no_number_is_no_temperature(said: float | NoReading) -> None:
    gauge = heard((90.0, 25.0), (99.0, said), lost_after_s=0.01)
    assert Environment(temperature=gauge).onto(SAMPLE).temperature_degC is None
    time.sleep(0.02)
    assert gauge.lost is not None and "no temperature from pt100 for 0 s: it says" in gauge.lost


def test_silence_is_no_temperature() -> None:
    gauge = heard((99.0, 25.0), lost_after_s=0.01)
    assert gauge.lost is None
    time.sleep(0.02)
    assert (gauge.newest, gauge.at(100.0)) == (None, None)
    assert gauge.lost is not None
    never = Gauge("pressure", "press", 0.0)
    assert never.newest is None and never.at(1.0) is None and "it was never read" in (never.lost or "")


def test_a_frames_pressure_names_the_frame() -> None:
    gauge = Gauge("pressure", "press", 5.0)
    gauge.hear(99.0, 2e6)
    sample = Environment(pressure=gauge).onto(SAMPLE)
    assert (sample.pressure_Pa, sample.calibration, sample.pressure_U_Pa) == (2e6, "frame press", None)


def test_nothing_around_changes_nothing() -> None:
    assert NOTHING.onto(SAMPLE) is SAMPLE
    assert NOTHING.instruments == ()
    assert Environment(temperature=heard()).instruments == ("pt100",)


class Moody:
    """Answers, then does not, then answers again."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self) -> float:
        self.asked += 1
        if self.asked in (2, 3):
            raise Unreachable("gone", instrument="pt100")
        return 20.0 + self.asked


class Told:
    def __init__(self) -> None:
        self.lines: list[tuple[Level, str]] = []

    def say(self, level: Level, text: str) -> None:
        self.lines.append((level, text))


def test_an_instrument_that_falls_silent_is_said_once_and_again_when_it_is_back() -> None:
    moody, told, gauge = Moody(), Told(), Gauge("temperature", "pt100", 5.0)

    async def follow() -> None:
        worker = Worker("pt100", lambda: moody)  # type: ignore[type-var,arg-type,return-value]
        clock = ManualClock(7.0, speed=100.0)
        task = asyncio.create_task(
            watch(worker, lambda one: one.read(), gauge, clock, 1.0, told)  # type: ignore[attr-defined,arg-type]
        )
        while moody.asked < 5:
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(follow())
    assert told.lines == [(Level.WARNING, "pt100: pt100: gone"), (Level.INFO, "pt100 answers again")]
    assert gauge.before(7.0, 1.0) in (24.0, 25.0)
