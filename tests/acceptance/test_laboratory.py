"""The virtual laboratory: every driver at its virtual instrument, on one station, at work at once."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from drivers.interface import ForceGauge
from drivers.registry import BUILT_IN, open_instrument
from drivers.simulated.cell import SimulatedCell
from drivers.simulated.clock import ScaledClock
from drivers.simulated.laboratory import Laboratory
from drivers.simulated.laboratory.places import CLAMPS, LAND, MINUTE_CHECK, PLACES, protocol_for
from station.bench_station import write_station
from station.cli import app
from station.client import Client
from station.config import read_config
from station.readings import CellEventKind, RunState, RunView, SpectrumView, StationView, StepSummary
from station.service import listen, serve
from station.station import Station
from tests.acceptance.bench import TOKEN, wait_until
from tests.acceptance.conftest import Live

SPEED = 30.0
RUN_BY_THE_STATION = [name for name, place in PLACES.items() if place.by != LAND]
WITH_SPECTRA = [name for name, place in PLACES.items() if place.impedance]


@dataclass(frozen=True)
class Done:
    """A run as the station tells it, and what truly passed through the cell."""

    run: RunView
    steps: tuple[StepSummary, ...]
    frame: pd.DataFrame
    spectra: tuple[SpectrumView, ...]
    passed_Ah: float


@dataclass
class Work:
    """What one hour of the laboratory left behind."""

    bench: Laboratory
    config: Path
    checked: list[dict[str, Any]] = field(default_factory=list)
    view: StationView | None = None
    done: dict[str, Done] = field(default_factory=dict)

    @property
    def toml(self) -> dict[str, Any]:
        return tomllib.loads(self.config.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Work]:
    folder, epoch = tmp_path_factory.mktemp("laboratory"), time.time()
    bench = Laboratory(ScaledClock(SPEED, epoch), folder)
    bench.land.first_s = 1e6  # not before the station keeps its pressure
    with bench:
        work = Work(bench, write_station(bench, folder, epoch=epoch, port=0))
        work.checked = json.loads(CliRunner().invoke(app, ["check", str(work.config), "--json"]).stdout)
        with station(work.config) as live:
            bench.land.begin()
            for name, position in bench.positions.items():  # whose sensors have settled for an hour
                live.client.record_cell_event(
                    position.cell_name, CellEventKind.ASSEMBLED, name, "tester", at=epoch - 3600.0
                )
            with ThreadPoolExecutor(max_workers=4) as pool:
                begun = pool.map(
                    lambda name: (
                        live.client.start(name, protocol_for(name), bench.positions[name].cell_name, "tester").run_id
                    ),
                    RUN_BY_THE_STATION,
                )
                runs = dict(zip(RUN_BY_THE_STATION, begun, strict=True))
            for name in runs:
                channel = live.station.channels[name]  # looked at from within: many questions would slow it down
                wait_until(lambda: channel.run is None, 40.0, f"for {live.channel(name)}")  # noqa: B023
            assert live.station.writer.flush(5.0)
            wait_until(lambda: imported(live), 20.0, "for LAND's export")
            work.view = live.client.status()
            runs["L1"] = imported(live)[0]
            work.done = {name: done(live, run, bench.cells[name]) for name, run in runs.items()}
        yield work


@contextlib.contextmanager
def station(config: Path) -> Iterator[Live]:
    listener = listen("127.0.0.1", 0)
    station = Station(read_config(config))
    thread = threading.Thread(target=serve, args=(station, listener, TOKEN), daemon=True)
    thread.start()
    with Client(f"http://127.0.0.1:{listener.getsockname()[1]}", TOKEN) as client:
        live = Live(station, client, thread)
        wait_until(lambda: all(each.pressure_Pa is not None for each in client.status().channels), what="for pressures")
        try:
            yield live
        finally:
            live.shut_down()


def imported(live: Live) -> list[str]:
    return [run.run_id for run in live.client.runs() if run.channel == "L1" and run.ended is not None]


def done(live: Live, run_id: str, cell: SimulatedCell) -> Done:
    archive = live.station.archive
    passed_Ah = cell.state().charge_passed_C / 3600  # since the cell was built, and nothing else was done to it
    frame, spectra = archive.frame(run_id), archive.spectra(run_id)
    return Done(archive.run(run_id), archive.steps(run_id), frame, spectra, passed_Ah)


def test_every_driver_has_a_place(work: Work) -> None:
    placed = {instrument["driver"] for instrument in work.toml["instruments"].values()}
    assert placed == set(BUILT_IN), "a new driver's virtual instrument belongs into drivers/simulated/laboratory"


def test_the_command_starts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("station.cli.bench._wait_for_end", lambda with_parent: None)
    said = CliRunner().invoke(app, ["virtual-bench", "--laboratory", "--folder", str(tmp_path), "--json"])
    assert said.exit_code == 0
    config = read_config(tmp_path / "station.toml")
    assert {row["name"] for row in json.loads(said.stdout)} == set(config.instruments)
    assert (set(config.channels), config.station.name) == (set(PLACES), "Virtual laboratory")
    assert config.simulation is not None


def test_check_reaches_every_instrument_and_all_say_what_they_are(work: Work) -> None:
    assert {row["instrument"] for row in work.checked} == set(work.toml["instruments"])
    assert [row for row in work.checked if not row["ok"]] == []
    assert all(row["answer"] for row in work.checked)


def test_it_says_that_it_is_simulated(work: Work) -> None:
    assert work.toml["simulation"]["speed"] == SPEED
    assert work.view is not None and work.view.simulated
    assert all(done.run.simulated for done in work.done.values())


def test_each_chamber_is_read_by_the_channels_in_it(work: Work) -> None:
    assert work.view is not None
    warmth = {channel.name: channel.temperature_degC for channel in work.view.channels}
    assert {name: warmth[name] for name in RUN_BY_THE_STATION} == {
        name: pytest.approx(25.0, abs=0.2) for name in RUN_BY_THE_STATION
    }


@pytest.mark.parametrize("name", RUN_BY_THE_STATION)
def test_a_run_of_a_minute_counts_the_charge_that_passed(work: Work, name: str) -> None:
    found = work.done[name]
    assert found.run.state is RunState.FINISHED, found.run.reason
    there = 1 if "discharge" not in protocol_for(name) else -1
    driven = [step for step in found.steps if step.kind in ("charge", "discharge")]
    assert [step.kind for step in driven] == (["charge", "discharge"] if there > 0 else ["discharge", "charge"])
    current_A = amperes(name)
    for step, seconds, sign in zip(driven, (60.0, 30.0), (there, -there), strict=True):
        assert 0.2 < step.capacity_Ah / (sign * current_A * seconds / 3600) < 1.2, "less where it took long to change"
        currents = found.frame[found.frame["step"] == step.step]["current_A"]
        assert currents.median() == pytest.approx(sign * current_A, rel=0.02)
    assert found.frame["net_capacity_Ah"].iloc[-1] == pytest.approx(found.passed_Ah, abs=current_A * 12.0 / 3600)


def amperes(name: str) -> float:
    """What flows in the minute's check."""
    if protocol_for(name) == "check-stored":
        return MINUTE_CHECK.steps[1].current_A
    return 0.25 * PLACES[name].sample.parameters.nominal_capacity_Ah


@pytest.mark.parametrize("name", PLACES)
def test_the_pressure_is_that_of_the_stack(work: Work, name: str) -> None:
    frame = work.done[name].frame
    assert frame["pressure_Pa"].notna().mean() > 0.7
    true_Pa = work.bench.cells[name].pressure_Pa()
    assert frame["pressure_Pa"].median() == pytest.approx(true_Pa, rel=0.1)


@pytest.mark.parametrize("name", WITH_SPECTRA)
def test_a_spectrum_is_that_of_the_channels_own_cell(work: Work, name: str) -> None:
    (spectrum,) = work.done[name].spectra
    assert (max(spectrum.frequency_Hz), min(spectrum.frequency_Hz)) == pytest.approx((1e3, 10.0), rel=0.01)
    cell = work.bench.cells[name]
    for frequency_Hz, real_ohm in zip(spectrum.frequency_Hz, spectrum.real_ohm, strict=True):
        assert real_ohm == pytest.approx(cell.impedance(frequency_Hz).real, rel=0.05)


def test_no_cell_was_ever_at_two_instruments_at_once(work: Work) -> None:
    assert {name: cell.together for name, cell in work.bench.switched.items()} == {
        name: 0 for name, place in PLACES.items() if place.switch
    }


def test_an_export_of_land_becomes_a_run(work: Work) -> None:
    found = work.done["L1"]
    assert (found.run.cell, found.run.state) == ("si-lfp-coin-L1", RunState.FINISHED)
    passed_Ah = MINUTE_CHECK.steps[1].current_A / 3600
    ended = [step.capacity_Ah for step in found.steps]  # the last may yet go on in a longer export
    assert ended == pytest.approx([0.0, 60.0 * passed_Ah, 0.0], abs=passed_Ah)
    assert found.frame["net_capacity_Ah"].iloc[-1] == pytest.approx(found.passed_Ah, abs=passed_Ah)


@pytest.mark.parametrize("name", CLAMPS)
def test_a_force_gauge_weighs_the_stack_above_it(work: Work, name: str) -> None:
    section = read_config(work.config).instruments[name]
    with contextlib.closing(open_instrument(section.driver, section.address, section.settings)) as gauge:
        assert isinstance(gauge, ForceGauge)
        force_N = gauge.read_force()
    casing, cell = PLACES[CLAMPS[name]].sample.parameters.casing, work.bench.cells[CLAMPS[name]]
    assert force_N == pytest.approx(cell.pressure_Pa() * casing.area_m2, rel=1e-3)
