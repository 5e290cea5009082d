"""The database as the writer sees it: batches go in whole, each once."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from station.readings import RunState, Spectrum
from station.store import database, schema
from station.store.batch import Batch, Numbered, RunSnapshot
from station.store.database import StoreError, one_line

Row: TypeAlias = tuple[Any, ...]

_SNAPSHOT_FIELDS = tuple(RunSnapshot.__slots__)
_SPECTRUM_FIELDS = (
    *("number", "time", "test_time_s", "step", "cycle"),
    *("bias_V", "amplitude_rms_V", "bias_A", "amplitude_rms_A"),
)
_EVENT_FIELDS = ("time", "level", "text", "channel", "run_id", "who")

_snapshot_values = attrgetter(*_SNAPSHOT_FIELDS)
_reading_values = attrgetter(*schema.READING_FIELDS)
_step_values = attrgetter(*schema.STEP_FIELDS)
_spectrum_values = attrgetter(*_SPECTRUM_FIELDS)
_event_values = attrgetter(*_EVENT_FIELDS)
_marker_values = attrgetter(*schema.MARKER_FIELDS)
_cell_event_values = attrgetter(*schema.CELL_EVENT_FIELDS)

# In this order, so that every row finds the one that it belongs to.
_INSERTS: tuple[tuple[sa.Table, tuple[str, ...]], ...] = (
    (schema.runs, (*_SNAPSHOT_FIELDS, "state", "reason")),
    (schema.readings, ("run_id", *schema.READING_FIELDS)),
    (schema.steps, ("run_id", *schema.STEP_FIELDS)),
    (schema.spectra, ("run_id", *_SPECTRUM_FIELDS)),
    (schema.impedance_points, ("run_id", "number", "point", "frequency_Hz", "real_ohm", "imaginary_ohm")),
    (schema.markers, ("run_id", *schema.MARKER_FIELDS)),
    (schema.events, _EVENT_FIELDS),
    (schema.cell_events, schema.CELL_EVENT_FIELDS),
)
_KEEP_CHECKPOINT = sa.text(
    "INSERT INTO checkpoints (run_id, document) VALUES (:run_id, :document) "
    "ON CONFLICT (run_id) DO UPDATE SET document = excluded.document"
)
_KEEP_APPLIED = sa.text(
    "INSERT INTO applied (writer, batch) VALUES (:writer, :batch) "
    "ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch"
)
_SET_STATE = sa.text(
    "UPDATE runs SET state = :state, reason = :reason, ended = COALESCE(:ended, ended) WHERE run_id = :run_id"
)


class DatabaseAway(Exception):
    """The database cannot be written now; the text says why."""


class Target:
    """An open database, checked to be of this version."""

    def __init__(self, address: URL, *, create: bool) -> None:
        """Raises `DatabaseAway`. With `create`, a database without tables is given them."""
        self._path = database.sqlite_path(address) if address.drivername == "sqlite" else None
        try:
            if create and self._path is not None and not self._path.exists():
                database.upgrade(address)
            self._engine = database.connect(address, writer=True)
            with self._engine.connect() as connection:
                new = database.version(connection) is None
            if create and new:
                database.upgrade(address)
            with self._engine.connect() as connection:
                problem = database.version_problem(connection, address)
            if problem:
                raise DatabaseAway(problem)
            self._identity = self._file_identity()
            self._sql = {table.name: insert_statement(self._engine, table, names) for table, names in _INSERTS}
        except (SQLAlchemyError, StoreError, OSError) as error:
            raise DatabaseAway(one_line(error)) from error

    def close(self) -> None:
        self._engine.dispose()

    def write(self, items: Sequence[Numbered]) -> None:
        """All of `items` in one transaction, but for those that are in the database already."""
        with self._engine.begin() as connection:
            fresh = _not_applied(connection, items)
            rows = _rows(fresh)
            for table, _ in _INSERTS:
                if rows[table.name]:
                    connection.exec_driver_sql(self._sql[table.name], rows[table.name])
            _keep_states(connection, [item.entry for item in fresh if isinstance(item.entry, Batch)])
            last = {item.writer: item.number for item in fresh}
            if last:
                connection.execute(_KEEP_APPLIED, [{"writer": name, "batch": number} for name, number in last.items()])

    # --- SQLite writes on into a file that was removed or replaced, and all of it is lost when it is closed

    def check_still_there(self) -> None:
        """Raise `DatabaseAway` where the open file is not the one at its path any more."""
        if self._path is None:
            return
        found = self._file_identity()
        if found == self._identity:
            return
        what = "was removed" if found is None else "was replaced by another"
        raise DatabaseAway(f"the file {what} while it was in use; {self._rescue()}")

    def _file_identity(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _rescue(self) -> str:
        """Copy what the open file holds to a new one beside it; says in words where it is."""
        assert self._path is not None
        rescued = self._path.with_name(f"{self._path.name}.rescued-{datetime.now():%Y%m%dT%H%M%S}")
        try:
            with closing(self._engine.raw_connection()) as pooled, closing(sqlite3.connect(rescued)) as copy:
                original = pooled.driver_connection
                assert isinstance(original, sqlite3.Connection)
                original.backup(copy)
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            return f"what it held could not be saved ({one_line(error)})"
        return f"what it held is saved in {rescued.name}: put that in its place, or bring the file back"


def insert_statement(engine: Engine, table: sa.Table, names: tuple[str, ...]) -> str:
    """The INSERT with the driver's own positional marks, so that rows can be plain tuples."""
    statement = table.insert().inline().compile(engine, column_keys=list(names))
    if statement.positiontup is not None and tuple(statement.positiontup) != names:
        raise AssertionError(f"{table.name}: columns are not in the order of the rows")
    return str(statement)


def _not_applied(connection: Connection, items: Sequence[Numbered]) -> list[Numbered]:
    applied = schema.applied
    known = sa.select(applied.c.writer, applied.c.batch).where(applied.c.writer.in_({item.writer for item in items}))
    last = {row.writer: row.batch for row in connection.execute(known)}
    return [item for item in items if item.number > last.get(item.writer, 0)]


def _rows(items: Sequence[Numbered]) -> dict[str, list[Row]]:
    """The rows of all items, by table."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for entry in (item.entry for item in items):
        if isinstance(entry, RunSnapshot):
            rows["runs"].append((*_snapshot_values(entry), RunState.RUNNING.value, ""))
            continue
        rows["events"].extend(_no_nan(_event_values(event)) for event in entry.events)
        rows["cell_events"].extend(_no_nan(_cell_event_values(event)) for event in entry.cell_events)
        run = (entry.run_id,)
        rows["readings"].extend(run + _no_nan(_reading_values(reading)) for reading in entry.readings)
        rows["steps"].extend(run + _no_nan(_step_values(step)) for step in entry.steps)
        rows["markers"].extend(run + _no_nan(_marker_values(marker)) for marker in entry.markers)
        for spectrum in entry.spectra:
            rows["spectra"].append(run + _no_nan(_spectrum_values(spectrum)))
            rows["impedance_points"].extend(run + point for point in _points(spectrum))
    return rows


def _points(spectrum: Spectrum) -> list[Row]:
    columns = (spectrum.frequency_Hz, spectrum.real_ohm, spectrum.imaginary_ohm)
    return [(spectrum.number, k, *_no_nan(values)) for k, values in enumerate(zip(*columns, strict=True), start=1)]


def _no_nan(values: Row) -> Row:
    """NaN is 'no value' in both databases (SQLite keeps it so by itself)."""
    return tuple([None if value != value else value for value in values])


def _keep_states(connection: Connection, batches: Sequence[Batch]) -> None:
    """The last checkpoint and every change of state of each run."""
    checkpoints = {batch.run_id: batch.checkpoint for batch in batches if batch.checkpoint is not None}
    if checkpoints:
        connection.execute(
            _KEEP_CHECKPOINT, [{"run_id": run_id, "document": document} for run_id, document in checkpoints.items()]
        )
    states = [
        {"run_id": batch.run_id, "state": batch.state.value, "reason": batch.reason, "ended": batch.ended}
        for batch in batches
        if batch.state is not None
    ]
    if states:
        connection.execute(_SET_STATE, states)
