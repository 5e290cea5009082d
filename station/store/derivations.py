"""Pressures of a run that were derived anew: all sets are kept, the readings have the current one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import SQLAlchemyError

from station.readings import DerivationView, Level
from station.store import database, schema
from station.store.database import StoreError, one_line
from station.store.reduce import Floats
from station.store.target import insert_statement

_PRESSURE_COLUMNS = ("pressure_Pa", "pressure_U_Pa", "calibration", "pressure_mark")
_derivations, _derived, _readings = schema.derivations, schema.derived_pressures, schema.readings
PATIENCE_MS = 10_000  # a station that runs writes twice a second


@dataclass(frozen=True, slots=True)
class RunPressures:
    """Of the readings with a resistance, by `sequence`; NaN and None where there is no value. Equal lengths."""

    sequence: NDArray[np.int64]
    pressure_Pa: Floats
    pressure_U_Pa: Floats
    calibration: tuple[str | None, ...]
    pressure_mark: tuple[str | None, ...]


def derivations(connection: Connection, run_id: str, started: float) -> tuple[DerivationView, ...]:
    """Oldest first; of a run that was never touched, the one that it was measured with (number 0)."""
    rows = connection.execute(
        sa.select(_derivations).where(_derivations.c.run_id == run_id).order_by(_derivations.c.number)
    ).fetchall()
    if not rows:
        return (_as_measured(connection, run_id, started),)
    return tuple(DerivationView(**row._mapping) for row in rows)


def _as_measured(connection: Connection, run_id: str, started: float) -> DerivationView:
    text = connection.scalar(sa.select(schema.runs.c.document).where(schema.runs.c.run_id == run_id))
    document = json.loads(text or "{}")
    record = document.get("calibration") or {}
    return DerivationView(
        number=0,
        run_id=run_id,
        calibration=f"{record['sensor']} v{record['version']}" if record else None,
        sha256=record.get("sha256", ""),
        assembled=document.get("assembled"),
        time=started,
        who="station",
        current=True,
    )


def current_number(connection: Connection, run_id: str) -> int:
    """Of the derivation that the readings have; 0 where they were never derived anew."""
    wanted = sa.select(_derivations.c.number).where(_derivations.c.run_id == run_id, _derivations.c.current.is_(True))
    return connection.scalar(wanted) or 0


def pressures(connection: Connection, derivation: DerivationView) -> RunPressures:
    if derivation.current:
        table, mine = _readings, _readings.c.run_id == derivation.run_id
        mine &= _readings.c.resistance_ohm.is_not(None)
    else:
        table, mine = _derived, _derived.c.derivation == derivation.number
    columns = (table.c.sequence, *(table.c[name] for name in _PRESSURE_COLUMNS))
    # The driver's own tuples: of a long run, SQLAlchemy's take longer to make than to read.
    found = connection.execute(sa.select(*columns).where(mine).order_by(table.c.sequence))
    rows = list(cast("Iterable[tuple[Any, ...]]", found.cursor))
    sequence, pressure, expanded, calibration, mark = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return RunPressures(
        np.array(sequence, dtype=np.int64),
        np.array(pressure, dtype=np.float64),
        np.array(expanded, dtype=np.float64),
        calibration,
        mark,
    )


def make_current(url: str | URL, wanted: DerivationView, found: RunPressures | None, said: str) -> int:
    """Give the readings of a run other pressures, in one transaction with the event that says so.

    `found` belongs to a derivation that is new; None where `wanted` is one that is kept already. Returns its number.
    Raises `StoreError`, with nothing changed, where the run goes on or the database does not let it.
    """
    address = database.parse(url)
    engine = database.connect(address, writer=True)
    try:
        with engine.connect() as connection:
            if problem := database.version_problem(connection, address):
                raise StoreError(problem)
            _be_patient(connection)
            with connection.begin():
                return _replace(connection, wanted, found, said)
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(
            f"the pressures of run {wanted.run_id} stay what they were: {database.shown(address)}: {one_line(error)}"
        ) from error
    finally:
        engine.dispose()


def _be_patient(connection: Connection) -> None:
    """Waits and lasts longer than a station's writer may."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {PATIENCE_MS}")
    else:
        connection.exec_driver_sql(f"SET lock_timeout = {PATIENCE_MS}")
        connection.exec_driver_sql("SET statement_timeout = 0")
    connection.rollback()


def _replace(connection: Connection, wanted: DerivationView, found: RunPressures | None, said: str) -> int:
    run_id = wanted.run_id
    of_run = sa.select(schema.runs).where(schema.runs.c.run_id == run_id).with_for_update()
    row = connection.execute(of_run).one()
    if row.ended is None:
        raise StoreError(f"run {run_id} goes on: its pressures can be derived anew when it has ended")
    if current_number(connection, run_id) == 0:
        _keep(connection, _as_measured(connection, run_id, row.started))
    number = wanted.number if found is None else _add(connection, wanted, found)
    connection.execute(
        sa.update(_derivations)
        .where(_derivations.c.run_id == run_id)
        .values(current=sa.case((_derivations.c.number == number, True), else_=False))
    )
    connection.execute(
        sa.update(_readings)
        .where(
            _readings.c.run_id == run_id,
            _derived.c.derivation == number,
            _derived.c.sequence == _readings.c.sequence,
        )
        .values({name: _derived.c[name] for name in _PRESSURE_COLUMNS})
    )
    event = {"time": wanted.time, "level": Level.INFO.value, "text": said, "channel": row.channel}
    connection.execute(sa.insert(schema.events).values(**event, run_id=run_id, who=wanted.who))
    return number


def _keep(connection: Connection, measured: DerivationView) -> None:
    """What the readings have since they were measured, as a derivation of its own."""
    number = _insert(connection, measured)
    columns = [_readings.c.sequence, *(_readings.c[name] for name in _PRESSURE_COLUMNS)]
    source = sa.select(sa.literal(number), *columns).where(
        _readings.c.run_id == measured.run_id, _readings.c.resistance_ohm.is_not(None)
    )
    connection.execute(sa.insert(_derived).from_select(["derivation", "sequence", *_PRESSURE_COLUMNS], source))


def _add(connection: Connection, wanted: DerivationView, found: RunPressures) -> int:
    number = _insert(connection, wanted)
    numbers = (_no_nan(found.pressure_Pa), _no_nan(found.pressure_U_Pa))
    columns = (found.sequence.tolist(), *numbers, found.calibration, found.pressure_mark)
    rows = [(number, *row) for row in zip(*columns, strict=True)]
    if rows:
        names = ("derivation", "sequence", *_PRESSURE_COLUMNS)
        connection.exec_driver_sql(insert_statement(connection.engine, _derived, names), rows)
    return number


def _no_nan(values: Floats) -> list[float | None]:
    """NaN is no value."""
    return [None if value != value else value for value in values.tolist()]


def _insert(connection: Connection, view: DerivationView) -> int:
    values = view.model_dump(exclude={"number"})
    key = connection.execute(sa.insert(_derivations).values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])
