"""Connections to the database, and the care of it: upgrade, check, backup."""

from __future__ import annotations

import functools
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from station.store.schema import metadata, readings, runs

READER_BUSY_MS = 5000
WRITER_BUSY_MS = 500  # then the batches go to the spool, which is safe sooner than a long wait
UPGRADE_LOCK = 0x43E11  # names the lock under which one station at a time upgrades a shared PostgreSQL


class StoreError(Exception):
    """The store cannot do what was asked; the text is for people: what, where, what to do."""


def parse(url: str | URL) -> URL:
    """`sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://…`, made complete."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(
            f"not a database URL: {str(url)!r} (say sqlite:///FILE or postgresql://USER@HOST/DATABASE)"
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise StoreError(f"{shown(parsed)}: databases of this kind are not supported (SQLite and PostgreSQL are)")
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError("an SQLite database needs a file: sqlite:///FILE")
    return parsed


def shown(url: URL) -> str:
    """The URL for people: a file's path, a server's address without the password."""
    return str(sqlite_path(url)) if url.drivername == "sqlite" else url.render_as_string(hide_password=True)


def sqlite_path(url: URL) -> Path:
    return Path(url.database or "").absolute()


def one_line(error: BaseException) -> str:
    """What the database said, without SQLAlchemy's statement and link."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return " ".join(str(cause).split()) or type(cause).__name__


def connect(url: URL, *, writer: bool = False, create: bool = False) -> Engine:
    """An engine; a missing SQLite file is an error on use, unless `create`."""
    if url.drivername == "sqlite":
        return _sqlite(url, writer=writer, create=create)
    engine = sa.create_engine(
        url,
        pool_pre_ping=not writer,
        paramstyle="format",
        connect_args={
            "connect_timeout": 3,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 2,
            "tcp_user_timeout": 5000,
            "application_name": "cellstation",
        },
    )
    if writer:

        @sa.event.listens_for(engine, "connect")
        def limit_waits(connection: Any, _: ConnectionPoolEntry) -> None:
            connection.execute("SET lock_timeout = '2s'")
            connection.execute("SET statement_timeout = '20s'")
            connection.commit()

    return engine


def _sqlite(url: URL, *, writer: bool, create: bool) -> Engine:
    path = sqlite_path(url)
    engine = sa.create_engine(
        URL.create("sqlite", database=path.as_uri(), query={"mode": "rwc" if create else "rw", "uri": "true"})
    )
    busy_ms = WRITER_BUSY_MS if writer else READER_BUSY_MS

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin below, where SQLAlchemy says so
        for setting in (
            f"busy_timeout = {busy_ms}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {setting}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    return engine


# --- schema


def _alembic(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@functools.cache
def newest_version() -> str:
    return ScriptDirectory.from_config(_alembic()).get_current_head() or ""


def version(connection: Connection) -> str | None:
    """The schema's version; None in an empty database."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(url: str | URL) -> None:
    """Create the database's tables or bring them to this version. An SQLite file is made where there is none."""
    address = parse(url)
    try:
        if address.drivername == "sqlite":
            sqlite_path(address).parent.mkdir(parents=True, exist_ok=True)
        engine = connect(address, writer=True, create=True)
        try:
            with engine.begin() as connection:
                if engine.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(UPGRADE_LOCK)))
                command.upgrade(_alembic(connection), "head")
        finally:
            engine.dispose()
    except CommandError as error:
        raise StoreError(
            f"the database {shown(address)} was made by a newer version of cellstation: upgrade this one ({error})"
        ) from error
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"the database {shown(address)} could not be set up: {one_line(error)}") from error


def version_problem(connection: Connection, address: URL) -> str | None:
    """Why this version of cellstation cannot work with the database, if so."""
    found, wanted = version(connection), newest_version()
    if found == wanted:
        return None
    if found is None:
        return f"the database {shown(address)} has no tables yet: run 'cellstation db upgrade'"
    known = {script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions()}
    if found in known:
        return (
            f"the database {shown(address)} has schema version {found}, this is version {wanted}: "
            "run 'cellstation db backup', then 'cellstation db upgrade'"
        )
    return (
        f"the database {shown(address)} has schema version {found}, unknown here (newest: {wanted}): "
        "it was made by a newer version of cellstation"
    )


# --- care


def check(url: str | URL) -> list[str]:
    """What is wrong with the database, a line each; empty when all is well."""
    address = parse(url)
    engine = connect(address)
    try:
        with engine.connect() as connection:
            problem = version_problem(connection, address)
            if problem:
                return [problem]
            integrity = _integrity(connection) if engine.dialect.name == "sqlite" else []
            return integrity + _gaps(connection) + _open_ends(connection)
    except (SQLAlchemyError, OSError) as error:
        return [f"the database {shown(address)} cannot be read: {one_line(error)}"]
    finally:
        engine.dispose()


def _integrity(connection: Connection) -> list[str]:
    lines = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check")]
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    return [f"SQLite integrity check: {line}" for line in lines if line != "ok"] + [
        f"a row of '{table}' belongs to no row of '{parent}'" for table, _, parent, _ in orphans
    ]


def _gaps(connection: Connection) -> list[str]:
    """Runs whose sequence does not go 1, 2, 3, …; the database counts, so that no reading is moved."""
    number = readings.c.sequence
    counted = sa.select(readings.c.run_id, sa.func.count().label("rows"), sa.func.max(number).label("last")).group_by(
        readings.c.run_id
    )
    problems = []
    for run_id, rows, last in connection.execute(counted).fetchall():
        if rows == last:
            continue
        before = sa.func.lag(number, 1, 0).over(order_by=number).label("before")
        pairs = sa.select(number.label("after"), before).where(readings.c.run_id == run_id).subquery()
        gap = sa.select(pairs).where(pairs.c.after != pairs.c.before + 1).order_by(pairs.c.after).limit(1)
        found = connection.execute(gap).one()
        problems.append(
            f"run {run_id}: {last - rows} of {last} readings are missing, the first after number {found.before}"
        )
    return problems


def _open_ends(connection: Connection) -> list[str]:
    unended = sa.select(runs.c.run_id, runs.c.state, runs.c.channel).where(runs.c.ended.is_(None)).order_by("run_id")
    return [
        f"run {run_id} on channel {channel} has no end, its state is '{state}' (as it should be only while it runs)"
        for run_id, state, channel in connection.execute(unended)
    ]


def backup(url: str | URL, target: Path) -> None:
    """Copy a SQLite database, also while a station writes to it; `target` must not exist yet."""
    address = parse(url)
    if address.drivername != "sqlite":
        plain = address._replace(drivername="postgresql", password=None).render_as_string()
        raise StoreError(
            "PostgreSQL is backed up by its own tool, run: "
            f'pg_dump --format=custom --file="{target}" --dbname="{plain}"'
        )
    source = sqlite_path(address)
    if not source.is_file():
        raise StoreError(f"there is no database at {source}")
    if target.exists():
        raise StoreError(f"{target} exists already: choose another name, or remove it")
    unfinished = target.with_name(target.name + ".unfinished")
    try:
        copy_sqlite(source, unfinished)
        unfinished.replace(target)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"no backup was made of {source}: {one_line(error)}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def copy_sqlite(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True)) as original,
        closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy)


__all__ = ["StoreError", "backup", "check", "connect", "metadata", "one_line", "parse", "shown", "upgrade"]
