"""How fast the store writes, beside bare sqlite3 with the same rows in transactions of the same size."""

from __future__ import annotations

import dataclasses
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.table import show
from station.readings import Reading
from station.store import Batch, RunSnapshot, Writer, upgrade

ROWS = 100_000
BATCH = 10  # readings in one batch, as a busy channel hands over


def readings() -> list[Reading]:
    return [
        Reading(
            k, 1.7e9 + k, float(k), 1, "1 charge", 1, float(k), 3.0, 1e-3, 1e-6 * k, 3e-6 * k, 1e-6 * k, 288e3, 546e3
        )
        for k in range(1, ROWS + 1)
    ]


def through_the_store(folder: Path, rows: list[Reading]) -> float:
    """Seconds until all rows are in the database."""
    url = f"sqlite:///{(folder / 'store.db').as_posix()}"
    upgrade(url)
    writer = Writer(url, folder / "spool")
    writer.begin_run(RunSnapshot("run", "A1", "cell", "protocol", 1.7e9, True, None, None, "{}"))
    assert writer.flush(10.0)
    began = time.perf_counter()
    for start in range(0, ROWS, BATCH):
        writer.submit(Batch("run", tuple(rows[start : start + BATCH]), checkpoint="{}"))
    assert writer.flush(120.0)
    took_s = time.perf_counter() - began
    writer.close()
    return took_s


def bare(folder: Path, rows: list[Reading]) -> float:
    """Seconds; one transaction, with the same safety: WAL and synchronous FULL."""
    columns = [field.name for field in dataclasses.fields(Reading)]
    with closing(sqlite3.connect(folder / "bare.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            f"CREATE TABLE readings (run_id TEXT, {', '.join(columns)}, PRIMARY KEY (run_id, sequence)) WITHOUT ROWID"
        )
        began = time.perf_counter()
        marks = ", ".join("?" * (len(columns) + 1))
        tuples = [("run", *(getattr(row, name) for name in columns)) for row in rows]
        with connection:
            connection.executemany(f"INSERT INTO readings VALUES ({marks})", tuples)
        return time.perf_counter() - began


def main() -> None:
    rows = readings()
    with tempfile.TemporaryDirectory() as folder:
        store_s, bare_s = through_the_store(Path(folder), rows), bare(Path(folder), rows)
    row = (f"{ROWS} readings", f"{ROWS / store_s:.0f}", f"{ROWS / bare_s:.0f}", f"{bare_s / store_s:.2f}")
    show("Store (SQLite, WAL, synchronous FULL)", ("", "store rows / s", "bare rows / s", "ratio"), [row])


if __name__ == "__main__":
    main()
