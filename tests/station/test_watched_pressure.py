"""The pressure beside a tester that exports files is kept once in each span of time, whenever the scanner speaks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from station.channel import Surroundings
from station.config import ExportsSection
from station.conversion import Pressed
from station.pressure_log import PressureLog
from station.safety import LimitsInForce
from station.sensors import Sensor
from station.watched_folder import WatchedChannel

RECORD_S = 10.0


def kept(folder: Path, said_at: Iterable[float]) -> list[float]:
    """Which of these readings are kept, where the channel looks after each."""
    sensor = SimpleNamespace(name="mfsr-1", newest=None, conversion=None)
    around = cast(Surroundings, SimpleNamespace(limits=LimitsInForce()))
    exports = ExportsSection.model_validate({"folder": folder, "record": f"{RECORD_S} s", "pressures": folder})
    channel = WatchedChannel("L1", around, cast(Sensor, sensor), exports, None, folder, dict, simulated=True)  # type: ignore[arg-type]
    for time in said_at:
        sensor.newest = Pressed(time, 288e3)
        channel._keep_pressure()
    return [said.time for said in PressureLog(folder / "mfsr-1").between(0.0, 1e6)]


@given(st.lists(st.floats(0.5, 3.0), min_size=50, max_size=80))
def test_one_reading_is_kept_in_each_span(tmp_path_factory, gaps_s) -> None:  # type: ignore[no-untyped-def]
    times = [sum(gaps_s[: n + 1], start=1000.0) for n in range(len(gaps_s))]
    spans = [time // RECORD_S for time in kept(tmp_path_factory.mktemp("pressures"), times)]
    assert spans == sorted({time // RECORD_S for time in times})
