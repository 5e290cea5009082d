"""What a run weighs in a database: some of the forecast's own rows are written into one, and the file is looked at."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from protocols.program import Program, RecordRule, Step
from station.forecast.kept import Floats, Kept
from station.forecast.results import StorageForecast
from station.readings import Reading, Spectrum, StepSummary
from station.store import Batch, RunSnapshot
from station.store.batch import Entry, Numbered
from station.store.database import parse
from station.store.target import Target

POLL_S = 1.0  # how often a bench samples, unless its configuration says another time
MOST_STEPS, MOST_SPECTRA = 4000, 20  # that are written to see what they weigh
RUN = RunSnapshot("20260101T000000-A1", "A1", "cell", "protocol", 0.0, True, None, None, "{}")


def storage(program: Program, kept: Kept, poll_s: float = POLL_S) -> StorageForecast:
    """For the whole of what was kept; a run of a bench that samples each `poll_s`."""
    examples, steps, spectra = kept.examples, kept.steps[:MOST_STEPS], kept.spectra[:MOST_SPECTRA]
    with tempfile.TemporaryDirectory(prefix="cellstation") as folder:
        sizes = _sizes(Path(folder) / "measure.db", examples, steps, spectra)
    per_reading, per_step, per_spectrum = (
        size / count if count else 0.0
        for size, count in zip(sizes, (len(examples), len(steps), len(spectra)), strict=True)
    )
    recorded = len(kept.table()["step"])
    expected = recorded + _between(program, kept, poll_s)
    rest = per_step * len(kept.steps) + per_spectrum * len(kept.spectra)
    return StorageForecast(recorded, expected, poll_s, per_reading, rest, per_reading * expected + rest)


def _sizes(
    path: Path, readings: Sequence[Reading], steps: Sequence[StepSummary], spectra: Sequence[Spectrum]
) -> tuple[int, ...]:
    """By how many bytes an SQLite file grows with each of these."""
    parts = (
        Batch(RUN.run_id, readings=tuple(readings)),
        Batch(RUN.run_id, steps=tuple(steps)),
        Batch(RUN.run_id, spectra=tuple(spectra)),
    )
    before, grown = _size_after(path, 1, RUN), []
    for number, part in enumerate(parts, start=2):
        after = _size_after(path, number, part)
        grown.append(after - before)
        before = after
    return tuple(grown)


def _size_after(path: Path, number: int, entry: Entry) -> int:
    """Closed each time, so that nothing is left in the write-ahead log."""
    target = Target(parse(f"sqlite:///{path.as_posix()}"), create=True)
    try:
        target.write([Numbered("forecast", number, entry)])
    finally:
        target.close()
    return path.stat().st_size


# --- what is recorded at a change, between two samples


def _between(program: Program, kept: Kept, poll_s: float) -> int:
    """How many changes to record a bench would see between two recorded readings of a forecast."""
    table = kept.table()
    if len(table["step"]) < 2:
        return 0
    steps = table["step"].astype(np.intp)
    rules = [_rule(program, operation) for operation in kept.operations]
    changes = np.zeros(len(steps) - 1)
    for column, name in (
        ("voltage_V", "voltage_V"),
        ("current_A", "current_A"),
        ("pressure_Pa", "pressure_Pa"),
        ("temperature_degC", "temperature_K"),
    ):
        at = np.array([getattr(rule, name) or np.inf for rule in rules])
        changes = np.maximum(changes, _changes(table[column], at[steps[1:] - 1]))
    seen = np.minimum(changes, np.diff(table["test_time_s"]) / poll_s)  # no more than one at each poll
    same_step = steps[1:] == steps[:-1]
    return int(np.sum(np.maximum(seen - 1.0, 0.0), where=same_step))


def _changes(values: Floats, at: Floats) -> Floats:
    moved: Floats = np.abs(np.diff(values)) / at
    return np.nan_to_num(moved)


def _rule(program: Program, operation: int) -> RecordRule:
    step = program.operations[operation]
    assert isinstance(step, Step)
    return step.record or program.record
