"""What is written comes back as it was, from SQLite and from PostgreSQL."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.readings import Event, Level, RunState, StepSummary
from station.store import Archive, Batch, StoreError, Writer
from station.store.recent import RecentColumns
from station.store.reduce import extremes
from tests.station import synthetic


@pytest.fixture
def writer(database_url: str, tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(database_url, tmp_path / "spool", commit_every_s=0.05)
    yield writer
    writer.close()


@pytest.fixture
def archive(writer: Writer, database_url: str) -> Iterator[Archive]:
    archive = Archive(database_url)
    yield archive
    archive.close()


def write(writer: Writer, *batches: Batch) -> None:
    for batch in batches:
        writer.submit(batch)
    assert writer.flush(10)


def test_a_run_comes_back_as_it_was_recorded(writer: Writer, archive: Archive) -> None:
    channel = synthetic.half_cell(cycles=2)
    snapshot = synthetic.snapshot()
    writer.begin_run(snapshot)
    write(writer, *synthetic.batches(channel))

    frame = archive.frame("run-1")
    assert len(frame) == len(channel.readings)
    for field in dataclasses.fields(synthetic.Reading):
        expected = [getattr(one, field.name) for one in channel.readings]
        got = frame[field.name].tolist()
        if expected[0] is None:
            assert all(value != value for value in got)
        else:
            assert got == expected  # to the last bit
    assert archive.steps("run-1") == tuple(channel.steps)
    assert archive.sweeps("run-1") == tuple(channel.spectra)
    assert archive.spectra("run-1")[1].imaginary_ohm == channel.spectra[1].imaginary_ohm
    assert archive.snapshot("run-1") == snapshot

    view = archive.run("run-1")
    assert (view.state, view.reason, view.ended) == (
        RunState.FINISHED,
        "the protocol is complete",
        channel.readings[-1].time,
    )
    assert (view.readings, view.cycles, view.simulated) == (len(channel.readings), 2, True)
    assert archive.open_runs() == ()


def test_batches_are_in_the_database_within_a_second(database_url: str, tmp_path: Path) -> None:
    writer, archive = Writer(database_url, tmp_path / "spool"), Archive(database_url)
    writer.begin_run(synthetic.snapshot())
    assert writer.flush(10)
    delays_s = []
    for k in range(1, 4):
        writer.submit(Batch("run-1", readings=(synthetic.reading(k),)))
        submitted = time.monotonic()
        while archive.run("run-1").readings < k:
            assert time.monotonic() - submitted < 10
            time.sleep(0.02)
        delays_s.append(time.monotonic() - submitted)
    assert sorted(delays_s)[1] < 1.0  # the median: others may be using this machine
    writer.close()
    archive.close()


def test_submitting_does_not_wait_for_the_database(writer: Writer) -> None:
    writer.begin_run(synthetic.snapshot())
    began = time.monotonic()
    for k in range(1, 1001):
        writer.submit(Batch("run-1", readings=(synthetic.reading(k),)))
    assert time.monotonic() - began < 1.0
    assert writer.flush(10)
    assert writer.backlog == 0
    assert writer.trouble is None


def test_unended_runs_are_found_with_their_last_checkpoint(writer: Writer, archive: Archive) -> None:
    for name, started in (("later", 2e9), ("earlier", 1e9), ("done", 1.5e9)):
        writer.begin_run(synthetic.snapshot(name, started=started))
    write(
        writer,
        Batch("earlier", checkpoint='{"at": 1}', readings=(synthetic.reading(1),)),
        Batch(
            "earlier", checkpoint='{"at": 2}', readings=(synthetic.reading(2),), state=RunState.PAUSED, reason="lunch"
        ),
        Batch("done", state=RunState.STOPPED, reason="asked for", ended=1.6e9),
    )
    assert [(snapshot.run_id, checkpoint) for snapshot, checkpoint in archive.open_runs()] == [
        ("earlier", '{"at": 2}'),
        ("later", None),
    ]
    assert [run.run_id for run in archive.runs()] == ["later", "done", "earlier"]
    assert archive.run("earlier").reason == "lunch"


def test_events_are_numbered_and_paged(writer: Writer, archive: Archive) -> None:
    channels = itertools.cycle(["A1", "A2"])
    write(writer, *(Batch(events=(Event(1e9 + k, Level.WARNING, f"no {k}", next(channels)),)) for k in range(10)))
    events = archive.events()
    assert [event.text for event in events] == [f"no {k}" for k in range(10)]
    assert [event.number for event in events] == sorted({event.number for event in events})
    assert events[3].level is Level.WARNING
    assert [event.text for event in archive.events(limit=2)] == ["no 8", "no 9"]
    assert [event.text for event in archive.events(after=events[6].number, channel="A2")] == ["no 7", "no 9"]


def test_markers_come_back_as_they_were_made(writer: Writer, archive: Archive) -> None:
    writer.begin_run(synthetic.snapshot())
    made = (synthetic.marker(1), synthetic.marker(2, state_of_charge=None, triggered=False, name="ünusual | name"))
    said = Event(made[0].time, Level.MARKER, "image 1", "A1", "run-1")
    write(writer, Batch("run-1", markers=made[:1], events=(said,), checkpoint="{}"), Batch("run-1", markers=made[1:]))
    assert archive.markers("run-1") == made
    assert archive.run_events("run-1")[0].level is Level.MARKER
    with pytest.raises(StoreError, match="there is no run"):
        archive.markers("run-2")


def test_sweeps_of_current_keep_their_bias_and_amplitude(writer: Writer, archive: Archive) -> None:
    channel = synthetic.half_cell(cycles=1)
    swept = dataclasses.replace(channel.spectra[0], amplitude_rms_V=None, amplitude_rms_A=1e-4, bias_A=-1e-3)
    writer.begin_run(synthetic.snapshot())
    write(writer, Batch("run-1", spectra=(swept,)))
    assert archive.sweeps("run-1") == (swept,)


def test_a_batch_without_a_run_carries_events_alone() -> None:
    with pytest.raises(ValueError, match="events alone"):
        Batch(readings=(synthetic.reading(1),))


def test_nan_is_no_value(writer: Writer, archive: Archive) -> None:
    writer.begin_run(synthetic.snapshot())
    write(writer, Batch("run-1", readings=(synthetic.reading(1, voltage_V=math.nan), synthetic.reading(2))))
    series = archive.series("run-1", ["voltage_V", "pressure_Pa"])
    assert series.columns["voltage_V"] == (None, 3.002)
    assert series.columns["pressure_Pa"] == (None, None)
    assert archive.cycles("run-1")[0].pressure_max_Pa is None


# --- series


def test_series_by_time_and_by_cycle(writer: Writer, archive: Archive) -> None:
    channel = synthetic.half_cell(cycles=3)
    writer.begin_run(synthetic.snapshot())
    write(writer, *synthetic.batches(channel))
    times = [one.test_time_s for one in channel.readings]

    whole = archive.series("run-1", ["sequence", "voltage_V"], points=10_000)
    assert whole.columns["test_time_s"] == tuple(times)
    assert whole.columns["sequence"] == tuple(range(1, len(times) + 1))

    between = archive.series("run-1", ["voltage_V"], since_s=times[40], until_s=times[90])
    assert between.columns["test_time_s"] == tuple(times[40:91])
    second = archive.series("run-1", ["current_A", "test_time_s"], cycle=2, points=10_000)
    assert second.columns["test_time_s"] == tuple(one.test_time_s for one in channel.readings if one.cycle == 2)
    assert archive.series("run-1", ["current_A"], cycle=99).columns == {"test_time_s": (), "current_A": ()}
    assert archive.series("run-1", [], until_s=-1.0).columns == {"test_time_s": ()}


def test_a_series_that_is_asked_for_again_has_what_came_since(writer: Writer, archive: Archive) -> None:
    writer.begin_run(synthetic.snapshot())
    for count in (0, 3, 3, 5):
        last = archive.run("run-1").readings if count else 0
        write(writer, *(Batch("run-1", readings=(synthetic.reading(k),)) for k in range(last + 1, count + 1)))
        assert archive.series("run-1", ["voltage_V"]).columns["test_time_s"] == tuple(range(1, count + 1))
        assert len(archive.series("run-1", ["voltage_V", "current_A"]).columns["current_A"]) == count


def test_columns_kept_for_later_have_a_limit() -> None:
    recent = RecentColumns(limit_bytes=200)
    for k in range(5):
        recent.keep((f"run-{k}", ("x",), 0), {"x": np.zeros(10)})
        recent.get(("run-1", ("x",), 0))
    assert recent.get(("run-0", ("x",), 0)) is None
    assert recent.get(("run-1", ("x",), 0)) is not None
    recent.keep(("large", ("x",), 0), {"x": np.zeros(1000)})
    assert recent.get(("large", ("x",), 0)) is not None


def test_a_reduced_series_keeps_every_extreme(writer: Writer, archive: Archive) -> None:
    rows = [synthetic.reading(k, voltage_V=3.0, current_A=1e-3 * math.sin(k / 50)) for k in range(1, 5001)]
    rows[1234] = dataclasses.replace(rows[1234], voltage_V=4.9)
    rows[4321] = dataclasses.replace(rows[4321], voltage_V=-0.2)
    writer.begin_run(synthetic.snapshot())
    write(writer, Batch("run-1", readings=tuple(rows)))
    reduced = archive.series("run-1", ["voltage_V", "current_A"], points=200).columns
    assert len(reduced["test_time_s"]) <= 210
    as_measured = {(one.test_time_s, one.voltage_V, one.current_A) for one in rows}
    assert set(zip(*reduced.values(), strict=True)) <= as_measured
    assert {4.9, -0.2} <= set(reduced["voltage_V"])
    assert (reduced["test_time_s"][0], reduced["test_time_s"][-1]) == (1.0, 5000.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.floats(-1e3, 1e3), st.just(math.nan)), min_size=1, max_size=300), st.integers(2, 80))
def test_reduction_loses_no_extreme_of_any_bucket(values: list[float], points: int) -> None:
    column = np.array(values)
    times = np.cumsum(np.abs(np.roll(np.nan_to_num(column), 1)) + 0.5)
    kept = extremes(times, {"x": column}, points)
    assert np.all(np.diff(kept) > 0)
    assert kept[0] == 0
    assert kept[-1] == len(column) - 1
    if len(column) <= points:
        assert len(kept) == len(column)
        return
    assert len(kept) <= points + 2
    edges = np.linspace(times[0], times[-1], points // 2 + 1)[1:-1]
    bucket, kept_bucket = (np.searchsorted(edges, some, side="right") for some in (times, times[kept]))
    for k in np.unique(bucket[np.isfinite(column)]):
        assert np.nanmin(column[kept][kept_bucket == k]) == np.nanmin(column[bucket == k])
        assert np.nanmax(column[kept][kept_bucket == k]) == np.nanmax(column[bucket == k])


def test_what_cannot_be_answered_is_said_with_a_hint(writer: Writer, archive: Archive) -> None:
    writer.begin_run(synthetic.snapshot("2026-11-02-A1"))
    assert writer.flush(10)
    with pytest.raises(StoreError, match=r"did you mean 2026-11-02-A1\?"):
        archive.run("2026-11-02-A2")
    with pytest.raises(StoreError, match="no run 'x'"):
        archive.cycles("x")
    with pytest.raises(StoreError, match="did you mean 'voltage_V'"):
        archive.series("2026-11-02-A1", ["voltage"])
    with pytest.raises(StoreError, match="is text"):
        archive.series("2026-11-02-A1", ["step_name"])


def test_a_missing_database_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    archive = Archive(f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(StoreError, match=r"none\.db cannot be read"):
        archive.runs()
    assert not (tmp_path / "none.db").exists()


# --- cycles


def test_cycles_give_capacity_efficiency_and_pressure(writer: Writer, archive: Archive) -> None:
    channel = synthetic.half_cell(cycles=3)
    writer.begin_run(synthetic.snapshot())
    write(writer, *synthetic.batches(channel))
    cycles = archive.cycles("run-1")
    assert [view.cycle for view in cycles] == [1, 2, 3]
    held_Ah = 1e-3 * 300 * (1 - math.exp(-3)) / 3600
    for view in cycles:
        charged_Ah = 1e-3 * (3000 - 10 * view.cycle) / 3600 + held_Ah
        assert view.discharge_capacity_Ah == pytest.approx(1e-3, rel=1e-9)
        assert view.charge_capacity_Ah == pytest.approx(charged_Ah, rel=1e-4)
        assert view.coulombic_efficiency == pytest.approx(charged_Ah / 1e-3, rel=1e-4)  # discharge comes first
        pressures = [one.pressure_Pa for one in channel.readings if one.cycle == view.cycle]
        assert (view.pressure_min_Pa, view.pressure_max_Pa) == (min(pressures), max(pressures))


def test_a_cycle_that_goes_on_has_no_efficiency_and_counts_the_running_step(writer: Writer, archive: Archive) -> None:
    def step(number: int, kind: str, cycle: int, capacity_Ah: float) -> StepSummary:
        return StepSummary(number, f"{number} {kind}", kind, cycle, 0.0, 1.0, capacity_Ah, capacity_Ah, "voltage")

    writer.begin_run(synthetic.snapshot())
    running = dataclasses.replace(synthetic.reading(1), step=5, cycle=2, step_capacity_Ah=-0.25)
    write(
        writer,
        Batch(
            "run-1",
            readings=(running,),
            steps=(
                step(1, "rest", 1, 0.0),
                step(2, "charge", 1, 1.0),
                step(3, "discharge", 1, -0.9),
                step(4, "charge", 2, 0.95),
            ),
        ),
    )
    first, second = archive.cycles("run-1")
    assert first.coulombic_efficiency == pytest.approx(0.9)
    assert (second.charge_capacity_Ah, second.discharge_capacity_Ah) == (0.95, 0.25)
    assert second.coulombic_efficiency is None and first.complete and not second.complete
    write(writer, Batch("run-1", steps=(step(5, "discharge", 2, -0.9),), state=RunState.STOPPED, ended=1e9))
    assert archive.cycles("run-1")[1].coulombic_efficiency is None
    assert archive.cycles("run-1")[1].discharge_capacity_Ah == 0.9 and not archive.cycles("run-1")[1].complete
    write(writer, Batch("run-1", state=RunState.FINISHED, ended=1e9))
    assert archive.cycles("run-1")[1].coulombic_efficiency == pytest.approx(0.9 / 0.95)


def test_what_a_checkpoint_says_is_what_the_readings_say(writer: Writer, archive: Archive) -> None:
    writer.begin_run(synthetic.snapshot())
    for batch in synthetic.batches(synthetic.half_cell(cycles=1), size=7, state=None):
        writer.submit(batch)
        ((_, checkpoint),) = archive.open_runs() or ((None, None),)
        run = archive.runs()
        if checkpoint is not None and run:
            assert json.loads(checkpoint)["after"] <= archive.run("run-1").readings
    assert writer.flush(10)
    ((_, checkpoint),) = archive.open_runs()
    assert json.loads(checkpoint or "")["after"] == archive.run("run-1").readings
