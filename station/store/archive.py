"""The read side: runs, series, cycles, spectra and events, as the service and the command line show them."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from station.readings import (
    CellEvent,
    CellEventKind,
    CycleView,
    DerivationView,
    EventView,
    Level,
    MarkerEvent,
    RunState,
    RunView,
    SeriesView,
    Spectrum,
    SpectrumView,
    StepSummary,
)
from station.store import database, schema
from station.store import derivations as derived
from station.store.batch import RunSnapshot
from station.store.cycles import cycle_views
from station.store.database import StoreError, one_line
from station.store.derivations import RunPressures
from station.store.recent import RecentColumns
from station.store.reduce import Floats, extremes
from station.store.schema import CELL_EVENT_FIELDS, MARKER_FIELDS, READING_FIELDS, STEP_FIELDS, TEXT_FIELDS

if TYPE_CHECKING:
    import pandas as pd

_INTEGERS = frozenset({"sequence", "step", "cycle"})
_runs, _readings, _steps = schema.runs, schema.readings, schema.steps


class Archive:
    """A database to read from, by many threads at once. Every method raises `StoreError` where it cannot answer."""

    def __init__(self, url: str) -> None:
        self._address = database.parse(url)
        self._engine = database.connect(self._address)
        self._recent = RecentColumns()

    def close(self) -> None:
        self._engine.dispose()

    # --- runs

    def runs(self) -> tuple[RunView, ...]:
        """All runs, newest first."""
        with self._connection() as connection:
            newest_first = _run_columns().order_by(_runs.c.started.desc(), _runs.c.run_id)
            return tuple(_run_view(row) for row in connection.execute(newest_first))

    def run(self, run_id: str) -> RunView:
        """One run, with what was known against it before it began."""
        with self._connection() as connection:
            view = self._run(connection, run_id)
        warnings = json.loads(self.snapshot(run_id).document).get("warnings", ())
        return view.model_copy(update={"warnings": tuple(warnings)})

    def open_runs(self) -> tuple[tuple[RunSnapshot, str | None], ...]:
        """Runs that have not ended, oldest first, each with its last checkpoint: what to resume after a crash."""
        checkpoint = schema.checkpoints.c.document.label("checkpoint")
        unended = (
            sa.select(_runs, checkpoint)
            .join_from(_runs, schema.checkpoints, isouter=True)
            .where(_runs.c.ended.is_(None))  # running, paused, or tripped and not cleared yet
            .order_by(_runs.c.started)
        )
        with self._connection() as connection:
            return tuple((_snapshot(row), row.checkpoint) for row in connection.execute(unended))

    def snapshot(self, run_id: str) -> RunSnapshot:
        """The run as it began, with the document that states all it depends on."""
        with self._connection() as connection:
            row = connection.execute(sa.select(_runs).where(_runs.c.run_id == run_id)).one_or_none()
            if row is None:
                raise _unknown_run(connection, run_id)
            return _snapshot(row)

    # --- readings

    def series(
        self,
        run_id: str,
        columns: Sequence[str],
        since_s: float | None = None,
        until_s: float | None = None,
        cycle: int | None = None,
        points: int = 2000,
    ) -> SeriesView:
        """Fields of `Reading`, as `station.client.Client.series` describes them."""
        asked = [name for name in dict.fromkeys(columns) if name != "test_time_s"]
        _check_columns(asked)
        with self._connection() as connection:
            self._run(connection, run_id)
            if since_s is until_s is cycle is None:
                loaded = self._whole(connection, run_id, ("test_time_s", *asked))
            else:
                first, end = _sequence_range(connection, run_id, since_s, until_s, cycle)
                loaded = _load(connection, run_id, ("test_time_s", *asked), first, end)
        kept = extremes(loaded["test_time_s"], {name: loaded[name] for name in asked}, max(2, points))
        return SeriesView.model_construct(
            run_id=run_id, columns={name: _plain(values[kept], name) for name, values in loaded.items()}
        )

    def frame(self, run_id: str) -> pd.DataFrame:
        """All readings of the run: a column for each field of `Reading`, NaN where a quantity was not measured."""
        import pandas as pd  # half a second, which only those who want a frame should wait

        numbers = [name for name in READING_FIELDS if name not in TEXT_FIELDS]
        with self._connection() as connection:
            self._run(connection, run_id)
            loaded: dict[str, Any] = dict(_load(connection, run_id, numbers))
            texts = _select(run_id, [_readings.c[name] for name in sorted(TEXT_FIELDS)])
            rows = list(_raw_rows(connection, texts))
        columns = zip(*rows, strict=True) if rows else ((),) * len(TEXT_FIELDS)
        for name, values in zip(sorted(TEXT_FIELDS), columns, strict=True):
            loaded[name] = pd.array(values, dtype="str")
        for name in _INTEGERS:
            loaded[name] = loaded[name].astype(np.int64)
        return pd.DataFrame({name: loaded[name] for name in READING_FIELDS})

    def columns(self, run_id: str, names: Sequence[str]) -> dict[str, Floats]:
        """Fields of `Reading` that are numbers, of shape (readings,); NaN where there is no value."""
        _check_columns(names)
        with self._connection() as connection:
            self._run(connection, run_id)
            return _load(connection, run_id, names)

    # --- pressures by several calibrations

    def derivations(self, run_id: str) -> tuple[DerivationView, ...]:
        """Every set of pressures that the run has, oldest first; one of them is current."""
        with self._connection() as connection:
            return derived.derivations(connection, run_id, self._run(connection, run_id).started)

    def pressures(self, run_id: str, calibration: str | DerivationView) -> RunPressures:
        """Of one of the derivations: by its calibration ('mfsr-1 v3'; the newest, of several) or by its number."""
        wanted = self.derivation(run_id, calibration) if isinstance(calibration, str) else calibration
        with self._connection() as connection:
            return derived.pressures(connection, wanted)

    def derivation(self, run_id: str, calibration: str) -> DerivationView:
        """The one that `pressures` gives."""
        known = self.derivations(run_id)
        for one in reversed(known):
            if calibration in (one.calibration, str(one.number)):
                return one
        there = ", ".join(f"{one.calibration or 'no calibration'} (number {one.number})" for one in known)
        raise StoreError(f"run {run_id} has no pressures by {calibration!r}; there are those by {there}")

    # --- steps and cycles

    def steps(self, run_id: str) -> tuple[StepSummary, ...]:
        """The steps that have ended, in order."""
        with self._connection() as connection:
            self._run(connection, run_id)
            return _ended_steps(connection, run_id)

    def cycles(self, run_id: str) -> tuple[CycleView, ...]:
        """Capacities, efficiency and range of pressure of each cycle, the present one included."""
        with self._connection() as connection:
            state = self._run(connection, run_id).state
            steps = [(step.cycle, step.kind, step.capacity_Ah) for step in _ended_steps(connection, run_id)]
            running = _running_step(connection, run_id)
            pressures = _pressure_ranges(connection, run_id)
        return cycle_views([*steps, *running], pressures, finished=state is RunState.FINISHED)

    # --- impedance and events

    def spectra(self, run_id: str) -> tuple[SpectrumView, ...]:
        """All impedance sweeps, in the order measured."""
        return tuple(
            SpectrumView(
                number=one.number,
                time=one.time,
                test_time_s=one.test_time_s,
                cycle=one.cycle,
                frequency_Hz=one.frequency_Hz,
                real_ohm=one.real_ohm,
                imaginary_ohm=one.imaginary_ohm,
            )
            for one in self.sweeps(run_id)
        )

    def sweeps(self, run_id: str) -> tuple[Spectrum, ...]:
        """As `spectra`, with the step, bias and amplitude of each."""
        heads, points = schema.spectra, schema.impedance_points
        with self._connection() as connection:
            self._run(connection, run_id)
            measured: dict[int, list[list[float | None]]] = {}
            values = sa.select(points.c.number, points.c.frequency_Hz, points.c.real_ohm, points.c.imaginary_ohm)
            ordered = values.where(points.c.run_id == run_id).order_by(points.c.number, points.c.point)
            for number, *point in connection.execute(ordered):
                measured.setdefault(number, []).append(point)
            rows = connection.execute(sa.select(heads).where(heads.c.run_id == run_id).order_by(heads.c.number))
            return tuple(_sweep(row, measured.get(row.number, [])) for row in rows)

    def markers(self, run_id: str, since_s: float | None = None) -> tuple[MarkerEvent, ...]:
        """What the run's protocol marked, in the order made; `since_s` is in test time, and included."""
        markers = schema.markers
        with self._connection() as connection:
            self._run(connection, run_id)
            wanted = sa.select(*(markers.c[name] for name in MARKER_FIELDS)).where(markers.c.run_id == run_id)
            if since_s is not None:
                wanted = wanted.where(markers.c.test_time_s >= since_s)
            return tuple(MarkerEvent(*row) for row in connection.execute(wanted.order_by(markers.c.number)))

    def events(self, after: int = 0, channel: str | None = None, limit: int = 500) -> tuple[EventView, ...]:
        """Events with number > `after`, oldest first; the newest `limit` of them."""
        events = schema.events
        wanted = sa.select(events).where(events.c.number > after)
        if channel is not None:
            wanted = wanted.where(events.c.channel == channel)
        return self._events(wanted.order_by(events.c.number.desc()).limit(limit))

    def run_events(self, run_id: str) -> tuple[EventView, ...]:
        """All events of one run, oldest first."""
        events = schema.events
        return self._events(sa.select(events).where(events.c.run_id == run_id).order_by(events.c.number.desc()))

    def cell_events(self, cell: str) -> tuple[CellEvent, ...]:
        """What people did to a cell, by the time when they did it."""
        events = schema.cell_events
        wanted = sa.select(*(events.c[name] for name in CELL_EVENT_FIELDS)).where(events.c.cell == cell)
        with self._connection() as connection:
            rows = connection.execute(wanted.order_by(events.c.time, events.c.number))
            return tuple(CellEvent(**{**row._mapping, "kind": CellEventKind(row.kind)}) for row in rows)

    def _events(self, newest_first: sa.Select[Any]) -> tuple[EventView, ...]:
        with self._connection() as connection:
            rows = connection.execute(newest_first).fetchall()
        return tuple(
            EventView(
                number=row.number,
                time=row.time,
                level=Level(row.level),
                text=row.text,
                channel=row.channel,
                run_id=row.run_id,
                who=row.who,
            )
            for row in reversed(rows)
        )

    # --- within

    def _whole(self, connection: Connection, run_id: str, names: tuple[str, ...]) -> dict[str, Floats]:
        """Columns of the whole run, of which only what is new is read from the database."""
        numbered = ("sequence", *names)
        key = (run_id, names, derived.current_number(connection, run_id))
        known = self._recent.get(key)
        last = int(known["sequence"][-1]) if known is not None and len(known["sequence"]) else 0
        if last > _last_sequence(connection, run_id):  # another database has taken the place of the one read before
            known, last = None, 0
        columns = _load(connection, run_id, numbered, first=last + 1)
        if known is not None:
            columns = {name: np.concatenate((known[name], columns[name])) for name in numbered}
        self._recent.keep(key, columns)
        return {name: columns[name] for name in names}

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(
                f"the database {database.shown(self._address)} cannot be read: {one_line(error)}"
            ) from error

    def _run(self, connection: Connection, run_id: str) -> RunView:
        row = connection.execute(_run_columns().where(_runs.c.run_id == run_id)).one_or_none()
        if row is None:
            raise _unknown_run(connection, run_id)
        return _run_view(row)


def _unknown_run(connection: Connection, run_id: str) -> StoreError:
    known = list(connection.scalars(sa.select(_runs.c.run_id).order_by(_runs.c.started.desc())))
    close = [name for name in known if run_id and run_id in name][:3] or difflib.get_close_matches(run_id, known)
    hint = f"did you mean {' or '.join(close)}?" if close else "'cellstation runs' lists them"
    return StoreError(f"there is no run {run_id!r}: {hint}")


def _run_columns() -> sa.Select[Any]:
    of_run = sa.select(_readings).where(_readings.c.run_id == _runs.c.run_id)
    last = of_run.order_by(_readings.c.sequence.desc()).limit(1)
    return sa.select(
        _runs,
        last.with_only_columns(_readings.c.sequence).scalar_subquery().label("readings"),
        last.with_only_columns(_readings.c.cycle).scalar_subquery().label("cycles"),
    )


def _run_view(row: sa.Row[Any]) -> RunView:
    return RunView(
        run_id=row.run_id,
        channel=row.channel,
        cell=row.cell,
        protocol=row.protocol,
        state=RunState(row.state),
        reason=row.reason,
        started=row.started,
        ended=row.ended,
        simulated=row.simulated,
        active_mass_g=row.active_mass_g,
        electrode_area_cm2=row.electrode_area_cm2,
        readings=row.readings or 0,
        cycles=row.cycles or 0,
    )


def _snapshot(row: sa.Row[Any]) -> RunSnapshot:
    return RunSnapshot(**{name: getattr(row, name) for name in RunSnapshot.__slots__})


def _check_columns(names: Sequence[str]) -> None:
    for name in names:
        if name not in READING_FIELDS:
            close = difflib.get_close_matches(name, READING_FIELDS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(READING_FIELDS)}"
            raise StoreError(f"a reading has no column {name!r}: {hint}")
        if name in TEXT_FIELDS:
            raise StoreError(f"{name!r} is text and cannot be in a series")


def _select(run_id: str, columns: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
    return sa.select(*columns).where(_readings.c.run_id == run_id).order_by(_readings.c.sequence)


def _load(
    connection: Connection, run_id: str, names: Sequence[str], first: int = 1, end: int | None = None
) -> dict[str, Floats]:
    """Columns as arrays, for `first` <= sequence < `end`; NaN where there is no value.

    The driver's rows go straight into one flat array; infinity stands for NULL on the way, which it cannot hold.
    """
    missing = sa.literal(math.inf, sa.Double)
    wanted = _select(run_id, [sa.func.coalesce(_readings.c[name], missing) for name in names])
    wanted = wanted.where(_readings.c.sequence >= first)
    if end is not None:
        wanted = wanted.where(_readings.c.sequence < end)
    flat = np.fromiter(chain.from_iterable(_raw_rows(connection, wanted)), dtype=np.float64)
    flat[np.isposinf(flat)] = np.nan
    return dict(zip(names, flat.reshape(-1, len(names)).T, strict=True))


def _raw_rows(connection: Connection, wanted: sa.Select[Any]) -> Iterable[Sequence[Any]]:
    """The driver's own tuples: for millions of rows, making SQLAlchemy's of them takes longer than reading them."""
    return cast("Iterable[Sequence[Any]]", connection.execute(wanted).cursor)


def _sequence_range(
    connection: Connection, run_id: str, since_s: float | None, until_s: float | None, cycle: int | None
) -> tuple[int, int | None]:
    """The first sequence number within the limits, and the first one beyond them (None: to the end).

    Time and cycle rise with the sequence, so each limit is found by bisection on the primary key, a few rows read.
    """
    firsts, ends = [1], []
    if since_s is not None:
        firsts.append(_bisect(connection, run_id, "test_time_s", since_s))
    if until_s is not None:
        ends.append(_bisect(connection, run_id, "test_time_s", math.nextafter(until_s, math.inf)))
    if cycle is not None:
        firsts.append(_bisect(connection, run_id, "cycle", cycle))
        ends.append(_bisect(connection, run_id, "cycle", cycle + 1))
    return max(firsts), min(ends) if ends else None


def _last_sequence(connection: Connection, run_id: str) -> int:
    last = sa.select(sa.func.max(_readings.c.sequence)).where(_readings.c.run_id == run_id)
    return connection.scalar(last) or 0


def _bisect(connection: Connection, run_id: str, column: str, value: float) -> int:
    """The first sequence number at which `column` is at least `value`; one beyond the last where it never is."""
    low, high = 1, _last_sequence(connection, run_id) + 1
    at = _select(run_id, [_readings.c[column]]).where(_readings.c.sequence >= sa.bindparam("middle")).limit(1)
    while low < high:
        middle = (low + high) // 2
        found = connection.scalar(at, {"middle": middle})
        if found is not None and found < value:
            low = middle + 1
        else:
            high = middle
    return low


def _plain(values: Floats, name: str) -> tuple[float | None, ...]:
    if name in _INTEGERS:
        return tuple(values.astype(np.int64).tolist())
    return tuple(None if value != value else value for value in values.tolist())


def _ended_steps(connection: Connection, run_id: str) -> tuple[StepSummary, ...]:
    ended = sa.select(*(_steps.c[name] for name in STEP_FIELDS)).where(_steps.c.run_id == run_id)
    return tuple(StepSummary(*row) for row in connection.execute(ended.order_by(_steps.c.step)))


def _running_step(connection: Connection, run_id: str) -> list[tuple[int, str, float]]:
    """Cycle, kind and capacity so far of the step that has not ended, if there is one."""
    last = _select(run_id, [_readings.c.step, _readings.c.cycle, _readings.c.step_capacity_Ah])
    row = connection.execute(last.order_by(None).order_by(_readings.c.sequence.desc()).limit(1)).one_or_none()
    if row is None or row.step_capacity_Ah is None:
        return []
    ended = sa.select(_steps.c.step).where(_steps.c.run_id == run_id, _steps.c.step == row.step)
    return [] if connection.scalar(ended) is not None else [(row.cycle, "running", row.step_capacity_Ah)]


def _pressure_ranges(connection: Connection, run_id: str) -> dict[int, tuple[float | None, float | None]]:
    """Minimum and maximum of the pressure in each cycle that has readings."""
    pressure = _readings.c.pressure_Pa
    by_cycle = sa.select(_readings.c.cycle, sa.func.min(pressure), sa.func.max(pressure)).group_by(_readings.c.cycle)
    rows = connection.execute(by_cycle.where(_readings.c.run_id == run_id))
    return {cycle: (low, high) for cycle, low, high in rows}


def _sweep(row: sa.Row[Any], points: Sequence[Sequence[float | None]]) -> Spectrum:
    values = [tuple(math.nan if value is None else value for value in point) for point in points]
    frequency, real, imaginary = zip(*values, strict=True) if values else ((), (), ())
    return Spectrum(
        number=row.number,
        time=row.time,
        test_time_s=row.test_time_s,
        step=row.step,
        cycle=row.cycle,
        bias_V=row.bias_V,
        amplitude_rms_V=row.amplitude_rms_V,
        bias_A=row.bias_A,
        amplitude_rms_A=row.amplitude_rms_A,
        frequency_Hz=frequency,
        real_ohm=real,
        imaginary_ohm=imaginary,
    )
