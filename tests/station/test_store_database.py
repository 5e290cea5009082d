"""The care of the database: schema, check, backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from station.readings import DerivationView, RunState
from station.store import Archive, Batch, StoreError, Writer, backup, check, database, schema, upgrade
from tests.station import synthetic

FIRST_RUN = (
    "INSERT INTO runs (run_id, channel, cell, protocol, started, simulated, document, state, reason) "
    "VALUES ('old', 'A1', 'c', 'p', 1.0, FALSE, '{}', 'running', '')"
)
FIRST_SPECTRUM = (
    'INSERT INTO spectra (run_id, number, time, test_time_s, step, cycle, "bias_V", "amplitude_rms_V") '
    "VALUES ('old', 1, 2.0, 1.0, 1, 1, NULL, 0.01)"
)


def record(url: str, spool: Path, run_id: str = "run-1") -> None:
    writer = Writer(url, spool)
    writer.begin_run(synthetic.snapshot(run_id))
    for batch in synthetic.batches(synthetic.half_cell(cycles=1, run_id=run_id)):
        writer.submit(batch)
    writer.close()


def test_the_migrations_make_the_tables_that_the_code_knows(database_url: str) -> None:
    upgrade(database_url)
    upgrade(database_url)  # a second time changes nothing
    engine = database.connect(database.parse(database_url))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        assert database.version(connection) == database.newest_version()
        if engine.dialect.name == "sqlite":
            settings = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in settings]
            assert values == ["wal", 2, 1, 5000]
    engine.dispose()
    assert check(database_url) == []


def test_a_database_of_the_first_version_keeps_what_it_holds(database_url: str, tmp_path: Path) -> None:
    address = database.parse(database_url)
    engine = database.connect(address, writer=True, create=True)
    with engine.begin() as connection:
        command.upgrade(database._alembic(connection), "0001")
    with engine.begin() as connection:
        connection.execute(sa.text(FIRST_RUN))
        connection.execute(sa.text(FIRST_SPECTRUM))
    engine.dispose()
    assert "'cellstation db upgrade'" in check(database_url)[0]
    upgrade(database_url)
    archive = Archive(database_url)
    (sweep,) = archive.sweeps("old")
    assert (sweep.amplitude_rms_V, sweep.amplitude_rms_A, sweep.bias_A) == (0.01, None, None)
    assert archive.markers("old") == ()
    assert archive.cell_events("c") == ()
    (measured,) = archive.derivations("old")
    assert (measured.number, measured.calibration, measured.current) == (0, None, True)
    archive.close()
    writer = Writer(database_url, tmp_path / "spool")
    writer.submit(Batch("old", markers=(synthetic.marker(1),)))
    assert writer.flush(10)
    writer.close()


def test_the_tables_have_a_column_for_each_field() -> None:
    """A field that is added to one of these classes needs a column and a migration."""
    assert tuple(schema.readings.columns.keys()) == ("run_id", *schema.READING_FIELDS)
    assert tuple(schema.steps.columns.keys()) == ("run_id", *schema.STEP_FIELDS)
    assert tuple(schema.markers.columns.keys()) == ("number", "run_id", *schema.MARKER_FIELDS)
    assert tuple(schema.cell_events.columns.keys()) == ("number", *schema.CELL_EVENT_FIELDS)
    assert tuple(schema.derivations.columns.keys()) == tuple(DerivationView.model_fields)


def test_check_names_gaps_and_runs_without_an_end(database_url: str, tmp_path: Path) -> None:
    record(database_url, tmp_path / "spool")
    writer = Writer(database_url, tmp_path / "spool")
    writer.begin_run(synthetic.snapshot("run-2"))
    writer.submit(Batch("run-2", readings=tuple(synthetic.reading(k) for k in (1, 2, 5, 6, 8))))
    writer.close()
    assert check(database_url) == [
        "run run-2: 3 of 8 readings are missing, the first after number 2",
        "run run-2 on channel A1 has no end, its state is 'running' (as it should be only while it runs)",
    ]


def test_check_finds_a_damaged_file(sqlite_url: str, tmp_path: Path) -> None:
    record(sqlite_url, tmp_path / "spool")
    file = tmp_path / "station.db"
    content = bytearray(file.read_bytes())
    content[8192:] = b"\x55" * len(content[8192:])
    file.write_bytes(content)
    problems = check(sqlite_url)
    assert problems
    assert all("malformed" in line or "integrity" in line for line in problems)


def test_check_of_an_older_a_newer_and_a_missing_database(sqlite_url: str, tmp_path: Path) -> None:
    assert "cannot be read" in check(sqlite_url)[0]
    upgrade(sqlite_url)
    with closing(sqlite3.connect(tmp_path / "station.db")) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
        other.commit()
    assert "made by a newer version" in check(sqlite_url)[0]
    with pytest.raises(StoreError, match="made by a newer version"):
        upgrade(sqlite_url)
    (tmp_path / "blank.db").touch()
    assert "run 'cellstation db upgrade'" in check(f"sqlite:///{tmp_path / 'blank.db'}")[0]


def test_a_backup_is_taken_while_a_station_writes(sqlite_url: str, tmp_path: Path) -> None:
    record(sqlite_url, tmp_path / "spool")
    writer = Writer(sqlite_url, tmp_path / "spool", commit_every_s=0.01)
    writer.begin_run(synthetic.snapshot("run-2"))
    for k in range(1, 200):
        writer.submit(Batch("run-2", readings=(synthetic.reading(k),)))
    target = tmp_path / "copy.db"
    backup(sqlite_url, target)
    writer.submit(Batch("run-2", state=RunState.STOPPED, ended=1e9))
    writer.close()
    copy = Archive(f"sqlite:///{target.as_posix()}")
    assert copy.frame("run-1").equals(Archive(sqlite_url).frame("run-1"))
    assert [line for line in check(f"sqlite:///{target.as_posix()}") if "run-2" not in line] == []
    assert not list(tmp_path.glob("*.unfinished"))
    with pytest.raises(StoreError, match="exists already"):
        backup(sqlite_url, target)
    with pytest.raises(StoreError, match="no database at"):
        backup("sqlite:///nowhere.db", tmp_path / "x.db")


def test_a_backup_of_postgresql_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        backup("postgresql://lab:secret@db.example:5433/cells", tmp_path / "cells.dump")
    expected = (
        f'pg_dump --format=custom --file="{tmp_path / "cells.dump"}" --dbname="postgresql://lab@db.example:5433/cells"'
    )
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("station.db", "not a database URL"),
        ("mysql://x/y", "not supported"),
        ("sqlite://", "needs a file"),
    ],
)
def test_addresses_that_are_none(url: str, said: str) -> None:
    with pytest.raises(StoreError, match=said):
        Archive(url)


def test_a_password_is_never_shown() -> None:
    shown = database.shown(database.parse("postgresql://lab:secret@db.example/cells"))
    assert "secret" not in shown
    assert "db.example/cells" in shown


def test_a_writer_makes_the_database_that_is_not_there_yet(tmp_path: Path) -> None:
    url = f"sqlite:///{(tmp_path / 'new folder' / 'station.db').as_posix()}"
    writer = Writer(url, tmp_path / "spool")
    assert writer.trouble is None
    writer.close()
    assert check(url) == []


def test_tables_that_vanish_are_the_databases_fault(database_url: str, tmp_path: Path) -> None:
    writer = Writer(database_url, tmp_path / "spool", commit_every_s=0.01)
    writer.begin_run(synthetic.snapshot())
    assert writer.flush(10)
    engine = sa.create_engine(database.parse(database_url))
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE readings")
    engine.dispose()
    writer.submit(Batch("run-1", readings=(synthetic.reading(1),)))
    assert not writer.flush(0.4)
    assert writer.backlog == 1
    assert "refused" not in (writer.trouble or "")
    writer.close()
