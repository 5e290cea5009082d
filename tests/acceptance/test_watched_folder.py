"""Exports of a tester that cannot be controlled become runs, once, with the pressure that was kept meanwhile."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.simulated.cell import Format, silicon_lfp_cell
from drivers.simulated.keithley_daq6510 import VirtualKeithleyDaq6510
from drivers.simulated.wiring import FixedCell
from station.client import Client, ClientError
from station.config import read_config
from station.export import export
from station.readings import RunState
from station.report import write_report
from station.service import listen, serve
from station.station import Station
from tests.acceptance.bench import TOKEN, wait_until
from tests.acceptance.conftest import Live
from tests.acceptance.test_procedures import calibration
from tests.calibration_records import write_record
from tests.station.land_files import english, records

CELL = "cell: pouch-3\nactive_mass: 2 mg\nnominal_capacity: 4 mAh\nlimits: {voltage: [0 V, 4.2 V], current: 20 mA}\n"
ALL = len(records())


@dataclass
class Laboratory:
    folder: Path  # that is exported to
    config: Path

    @contextlib.contextmanager
    def station(self) -> Iterator[Live]:
        listener = listen("127.0.0.1", 0)
        station = Station(read_config(self.config))
        thread = threading.Thread(target=serve, args=(station, listener, TOKEN), daemon=True)
        thread.start()
        with Client(f"http://127.0.0.1:{listener.getsockname()[1]}", TOKEN) as client:
            live = Live(station, client, thread)
            wait_until(lambda: live.channel("L1").pressure_Pa is not None, what="for a pressure")
            try:
                yield live
            finally:
                live.shut_down()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    sensor = silicon_lfp_cell(Format.COIN).sensor
    folder = tmp_path / "exports"
    for name in ("cells", "protocols", "calibrations", "exports"):
        (tmp_path / name).mkdir()
    (tmp_path / "cells" / "pouch-3.yaml").write_text(CELL, encoding="utf-8")
    write_record(tmp_path / "calibrations", calibration("L1", sensor))
    with VirtualKeithleyDaq6510({101: FixedCell(sensor_ohm=sensor.anchor_ohm)}) as scanner:
        config = tmp_path / "station.toml"
        config.write_text(
            f'[station]\npoll = "0.1 s"\nport = 0\n[instruments.scanner]\ndriver = "keithley-daq6510"\n'
            f"address = {json.dumps(scanner.address)}\n"
            '[channels.L1]\nsensor = { meter = "scanner", channel = 101, name = "mfsr-L1" }\n'
            '[channels.L1.exports]\nfolder = "exports"\nfiles = "*_007_3*.csv"\ncell = "pouch-3"\n'
            'settle = "0.4 s"\nevery = "0.1 s"\nrecord = "0.2 s"\nclock_offset = "20 s"\n',
            encoding="utf-8",
        )
        yield Laboratory(folder, config)


def began() -> float:
    """The test's beginning by the tester's clock, 20 s ahead, for one whose last record is made about now."""
    return float(int(time.time()) + 20 - records()[-1][0])


def imported(live: Live, count: int = ALL) -> str:
    """The one run, once it has so many readings."""
    wait_until(lambda: [run.readings for run in live.client.runs()] == [count], 10.0, f"for {count} readings")
    assert live.station.writer.flush(5.0)
    return live.client.runs()[0].run_id


def test_an_export_becomes_a_run_once_it_is_whole_and_is_never_imported_twice(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    start = began()
    whole = english(began=start)
    with laboratory.station() as live:
        laboratory.write("notes.csv", "of somebody else")
        with (laboratory.folder / "a_007_3.csv").open("w", encoding="utf-8") as file:
            for part in range(0, len(whole), len(whole) // 6 + 1):  # as a slow program writes
                file.write(whole[part : part + len(whole) // 6 + 1])
                file.flush()
                time.sleep(0.15)
                assert live.client.runs() == ()
        run_id = imported(live)
        run = live.client.run(run_id)
        assert (run.channel, run.cell, run.protocol) == ("L1", "pouch-3", "export a_007_3.csv")
        assert (run.state, run.active_mass_g) == (RunState.FINISHED, pytest.approx(2e-3))
        assert run.started == start - 20.0, "by the station's clock"
        laboratory.write("copy_007_3.csv", whole)
        wait_until(lambda: live.said("a_007_3.csv imported: 34 readings to cycle 2, with the pressure of"))
        time.sleep(0.8)
        archive = live.station.archive
        steps, frame, cycles = archive.steps(run_id), archive.frame(run_id), archive.cycles(run_id)
    assert [step.kind for step in steps] == ["rest", "charge", "discharge"]
    assert cycles[0].charge_capacity_Ah == pytest.approx(cycles[0].discharge_capacity_Ah, rel=1e-3)
    assert cycles[1].charge_capacity_Ah == pytest.approx(1e-3 * 50 / 3600, rel=1e-3), "the step that may go on too"
    assert frame["pressure_Pa"].iloc[-1] == pytest.approx(546e3, rel=0.2)
    assert frame["pressure_Pa"].iloc[:10].isna().all(), "nothing was kept then"
    assert frame["calibration"].iloc[-1] == "mfsr-L1 v1"
    with laboratory.station() as live:
        time.sleep(1.0)
        assert [run.readings for run in live.client.runs()] == [ALL], "known from the database"
        assert export(live.station.archive, run_id, "bdf-csv", tmp_path / "out.bdf.csv").files
        write_report(live.station.archive, [run_id], tmp_path / "out.html")


def test_a_longer_export_of_the_same_test_goes_on_with_its_run(laboratory: Laboratory) -> None:
    start = began()
    with laboratory.station() as live:
        laboratory.write("a_007_3.csv", english(count=20, began=start))
        run_id = imported(live, 20)
        assert [step.kind for step in live.station.archive.steps(run_id)] == ["rest", "charge"]
        laboratory.write("a_007_3.csv", english(began=start))
        assert imported(live) == run_id
        wait_until(lambda: live.said("a_007_3.csv goes on: 14 readings"))
        assert [step.kind for step in live.station.archive.steps(run_id)] == ["rest", "charge", "discharge"]
        frame = live.station.archive.frame(run_id)
        assert frame["sequence"].tolist() == list(range(1, ALL + 1))
        laboratory.write("b_007_3.csv", english(began=start).replace("3.5", "3.1"))
        wait_until(lambda: live.said("b_007_3.csv is not imported: it begins when run"))
        assert len(live.client.runs()) == 1


def test_an_import_that_the_station_died_in_is_done_to_its_end(laboratory: Laboratory) -> None:
    start = began()
    with laboratory.station() as live:
        laboratory.write("a_007_3.csv", english(count=10, began=start))
        run_id = imported(live, 10)
    with contextlib.closing(sqlite3.connect(laboratory.config.with_name("cellstation.db"))) as database:
        database.execute("UPDATE runs SET state = 'running', ended = NULL")
        database.execute("DELETE FROM readings WHERE sequence > 4")
        database.commit()
    with laboratory.station() as live:
        assert imported(live, 10) == run_id
        wait_until(lambda: live.client.run(run_id).ended is not None)
        assert live.client.run(run_id).state is RunState.FINISHED


def test_what_cannot_be_imported_is_told_and_nothing_starts_there(laboratory: Laboratory) -> None:
    with laboratory.station() as live:
        laboratory.write("x_007_3.csv", "alpha,beta\n1,2\n")
        wait_until(lambda: live.said("x_007_3.csv is not imported: it has no line with the headings"))
        laboratory.write("y_007_3.csv", english(began=began()).replace(",3.6", ",x3.6", 1))
        wait_until(lambda: live.said("1 lines could not be read: "))
        with pytest.raises(ClientError, match="cannot be controlled: start the test in the maker's program"):
            live.client.start("L1", "protocol: x\nsteps:\n  - rest: {for: 1 h}\n", CELL, "tester")
        assert len([event for event in live.client.events(limit=1000) if "x_007_3" in event.text]) == 1
