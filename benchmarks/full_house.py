"""An hour of a full laboratory: `python -m benchmarks.full_house [SPEED]`, 60 times as fast unless said otherwise.

64 pressure sensors on one scanner, 16 cells on two cyclers, one impedance analyser for all of them by a relay board;
real drivers over real sockets to virtual instruments. Counts what was due to be recorded and was not.
Exits 1 where a reading was missed or a run did not finish.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from station.pressure_log import PressureLog
from station.readings import ChannelState
from tests.acceptance.bench import wait_until
from tests.acceptance.conftest import Live
from tests.acceptance.full_house import House, full_house, name_of, station_in

EVERY_S = 10.0
LATE = 1.6
"""Times `EVERY_S` that may lie between two records: an idle cycler is looked at each five seconds."""
PASSES = 3
PROTOCOL = f"""
protocol: Full house
record: {{every: {EVERY_S:g} s}}
limits: {{voltage: [-0.05 V, 4.1 V]}}
steps:
  - rest: {{for: 1 min}}
  - repeat: {PASSES}
    steps:
      - charge: {{at: 0.2 C, for: 5 min, until: {{voltage: 3.9 V}}}}
      - rest: {{for: 1 min}}
      - impedance: {{from: 10 kHz, to: 1 Hz, amplitude: 10 mV}}
      - discharge: {{at: 0.2 C, for: 4 min, until: {{voltage: 1.5 V}}}}
      - rest: {{for: 2 min}}
"""


@dataclass(frozen=True)
class Count:
    recorded: int
    missed: int
    longest_gap_s: float

    @classmethod
    def of(cls, times_s: pd.Series[float]) -> Count:
        gaps = times_s.sort_values().diff().dropna()
        late = gaps[gaps > LATE * EVERY_S]
        return cls(len(times_s), int(sum(math.ceil(gap / EVERY_S) - 1 for gap in late)), float(gaps.max()))

    def __str__(self) -> str:
        return f"{self.recorded} recorded, {self.missed} missed, longest gap {self.longest_gap_s:.1f} s"


def main(speed: float) -> int:
    with tempfile.TemporaryDirectory() as folder, full_house(Path(folder), speed) as house:
        with station_in(house) as live:
            wait_until(
                lambda: all(one.resistance_ohm for one in live.client.status().channels), 60.0, "for the sensors"
            )
            runs = {name: live.client.start(name, PROTOCOL, f"cell-{name}", "bench").run_id for name in house.names}
            _watch(live, runs)
            live.station.writer.flush(10.0)
            failures = [_told(house, live, name, run_id) for name, run_id in runs.items()]
        failures += [_told_of_sensor(house, n) for n in range(house.cell_count, house.sensor_count)]
        print(f"a cell on two instruments at once: {house.together} times")
    return 1 if any(failures) or house.together else 0


def _watch(live: Live, runs: dict[str, str]) -> None:
    while not all(live.client.run(run_id).ended for run_id in runs.values()):
        view = live.client.status()
        steps = [f"{one.name} {one.step_name}" for one in view.channels if one.run_id]
        print(f"{time.strftime('%H:%M:%S')}  {', '.join(steps)}", flush=True)
        if tripped := [f"{one.name}: {one.reason}" for one in view.channels if one.state is ChannelState.TRIPPED]:
            raise SystemExit(f"tripped: {'; '.join(tripped)}")
        time.sleep(min(60.0, 600.0 / view.speed))


def _told(house: House, live: Live, name: str, run_id: str) -> bool:
    """One run's line; True where something is missing."""
    archive, run = live.station.archive, live.client.run(run_id)
    frame, spectra = archive.frame(run_id), archive.spectra(run_id)
    count, without = Count.of(frame["test_time_s"]), int(frame["pressure_Pa"].isna().sum())
    true_C = house.cells[house.names.index(name)].state().charge_passed_C
    charge_mC = 3.6e6 * frame["net_capacity_Ah"].iloc[-1]
    hours = frame["test_time_s"].iloc[-1] / 3600.0
    print(
        f"{name}: {run.state} after {hours:.2f} h; {count}; {without} without pressure; {len(spectra)} spectra; "
        f"charge {charge_mC:.1f} mC, with what the sweeps passed {1e3 * true_C:.1f} mC"
    )
    return count.missed > 0 or without > 0 or len(spectra) != PASSES or run.state != "finished"


def _told_of_sensor(house: House, n: int) -> bool:
    """A sensor in a cell of a tester that exports files; True where a reading is missing."""
    said = PressureLog(house.folder / "pressures" / name_of(n)).between(0.0, house.clock.now())
    count = Count.of(pd.Series([one.time for one in said]))
    print(f"{name_of(n)}: {count}")
    return count.missed > 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0))
