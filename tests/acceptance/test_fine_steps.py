"""Stairs, profiles and bursts of a tenth of a second, at the pace of a real bench."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from station.readings import RunState
from tests.acceptance.bench import SourceWatch, wait_until
from tests.acceptance.conftest import Live, Rig, rig_at

CELL = "si-half-cell-1"
LATE_S = 0.15  # on a busy machine


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with rig_at(1.0, tmp_path) as rig:
        yield rig


def finished(live: Live, *steps: str, files: dict[str, str] | None = None) -> str:
    text = "protocol: Fine\nrecord: {every: 1 s}\nlimits: {voltage: [-0.05 V, 2.9 V]}\nsteps:\n"
    text += "".join(f"  - {step}\n" for step in steps)
    run_id = live.client.start("A1", text, CELL, "tester", files=files).run_id
    wait_until(lambda: live.client.run(run_id).ended is not None, 30.0, f"for the end; {live.channel()}")
    assert live.client.run(run_id).state is RunState.FINISHED
    return run_id


def test_a_ramp_with_stairs_of_a_tenth_of_a_second_keeps_the_output_on(rig: Rig) -> None:
    stairs_V = np.arange(2.35, 2.30 - 1e-9, -0.002)
    with rig.station() as live:
        step = "linear_sweep: {from: 2.35 V, to: 2.30 V, rate: 20 mV/s, stair: 2 mV}"
        run_id = finished(live, f"{{{step}, record: {{every: 0.1 s}}}}")
        frame = live.station.archive.frame(run_id)
    lines = rig.source.received
    levels = [float(line.split()[1]) for line in lines if line.startswith(":SOUR:VOLT ")]
    places = [int(np.argmin(np.abs(stairs_V - level))) for level in levels]
    assert levels == pytest.approx([*stairs_V[places]], abs=1e-9), "nothing but stairs"
    assert all(later > earlier for earlier, later in pairwise(places)), "each once, in order"
    assert len(places) > 0.6 * len(stairs_V) and places[-1] == len(stairs_V) - 1, "few are left out on a busy machine"
    first = lines.index(f":SOUR:VOLT {levels[0]:.10g}")
    last = max(index for index, line in enumerate(lines) if line.startswith(":SOUR:VOLT "))
    assert ":OUTP OFF" not in lines[lines.index(":OUTP ON", first) : last], "from the first stair to the last"
    assert SourceWatch(2.92, 0.02).faults(lines) == []
    times = frame["step_time_s"].to_numpy()
    assert times[-1] == pytest.approx(len(stairs_V) * 0.1, abs=LATE_S)
    assert np.median(np.diff(times)) < 0.2, "the stairs are recorded"
    assert frame["voltage_V"].iloc[-1] == pytest.approx(2.30, abs=1e-3)


def test_a_profile_of_tenths_of_a_second_is_followed(rig: Rig) -> None:
    points = [(0.1 * k, -0.5 if k % 2 else -1.0) for k in range(21)]
    csv = "time / s,current / mA\n" + "".join(f"{time_s:.1f},{current_mA}\n" for time_s, current_mA in points)
    cell = rig.bench.positions["A1"].cell
    with rig.station() as live:
        before_C = cell.state().charge_passed_C
        step = "profile: {file: load.csv}"
        run_id = finished(live, f"{{{step}, record: {{every: 0.05 s}}}}", files={"load.csv": csv})
        frame = live.station.archive.frame(run_id)
        passed_C = cell.state().charge_passed_C - before_C
    set_A = [float(line.split()[1]) for line in rig.source.received if line.startswith(":SOUR:VOLT:ILIM ")]
    driven_A = [min((1e-3, 0.5e-3), key=lambda known: abs(known - one)) for one in set_A[-20:]]
    assert set_A[-20:] == pytest.approx(driven_A, rel=1e-3)
    assert sum(one != other for one, other in pairwise(driven_A)) >= 12, "to and fro; few are left out when it is busy"
    counted_C = float(frame["net_capacity_Ah"].iloc[-1]) * 3600
    assert counted_C == pytest.approx(passed_C, rel=0.1)
    assert counted_C == pytest.approx(-0.75e-3 * 2.0, rel=0.25), "which of them are left out is chance"


def test_a_burst_is_recorded_finely_and_then_no_more(rig: Rig) -> None:
    burst = "record: {every: 1 s, burst: {every: 0.1 s, for: 1 s}}"
    with rig.station() as live:
        run_id = finished(live, f"{{discharge: {{at: 0.2 C, for: 3 s}}, {burst}}}")
        times = live.station.archive.frame(run_id)["step_time_s"].to_numpy()
    within, after = times[times <= 1.0], times[times > 1.0]
    assert len(within) >= 6, f"about ten in the first second, and fewer on a busy machine: {within}"
    assert np.median(np.diff(within)) == pytest.approx(0.1, abs=0.06)
    assert all(later - earlier > 0.5 for earlier, later in pairwise(after[:-1])), "then each second"


def test_constant_power_follows_the_voltage_without_a_gap(rig: Rig) -> None:
    with rig.station() as live:
        run_id = finished(live, "discharge: {power: 5 mW, for: 3 s}")
        frame = live.station.archive.frame(run_id).iloc[2:]
    power_W = (frame["voltage_V"] * frame["current_A"]).to_numpy()
    assert power_W == pytest.approx(np.full(len(power_W), -5e-3), rel=0.05)
    lines = rig.source.received
    driven = lines.index(":OUTP ON", max(i for i, line in enumerate(lines) if line == ":SOUR:FUNC VOLT"))
    levels = [i for i, line in enumerate(lines) if line.startswith(":SOUR:VOLT:ILIM ") and i > driven]
    assert not levels or ":OUTP OFF" not in lines[driven : levels[-1]]
