"""What was done to a cell by hand: kept, told, and what it says of the sensor's load."""

from __future__ import annotations

from pathlib import Path

from station.cell_events import in_words, loaded_since
from station.readings import CellEvent, CellEventKind
from station.store import Archive, Batch, Writer, upgrade
from station.store.batch import Numbered, decode, encode

ZERO = CellEvent("cell-7", 100.0, CellEventKind.ZERO, "A1", "mfsr-1", 100.0, 2e7, who="ada")
BUILT_IN = CellEvent(
    "cell-7", 200.0, CellEventKind.ASSEMBLED, "A1", "mfsr-1", 205.0, 2.88e5, 546e3, 36e3, "mfsr-1 v3", 25.0, "", "ada"
)


def test_they_are_kept_by_cell_in_the_order_in_which_they_were_done(database_url: str, tmp_path: Path) -> None:
    upgrade(database_url)
    writer = Writer(database_url, tmp_path / "spool")
    other = CellEvent("cell-8", 150.0, CellEventKind.ASSEMBLED)
    writer.submit(Batch(cell_events=(BUILT_IN, other)))
    writer.submit(Batch(cell_events=(ZERO,)))
    assert writer.flush(10)
    writer.close()
    archive = Archive(database_url)
    assert archive.cell_events("cell-7") == (ZERO, BUILT_IN)
    assert archive.cell_events("cell-8") == (other,)
    assert archive.cell_events("cell-9") == ()
    archive.close()


def test_they_survive_the_spool() -> None:
    item = Numbered("writer", 3, Batch(cell_events=(ZERO, BUILT_IN)))
    assert decode(encode(item)) == item


def test_the_load_begins_with_the_last_assembly_and_a_zero_ends_it() -> None:
    assert loaded_since((), 1e9) is None
    assert loaded_since((ZERO,), 1e9) is None
    assert loaded_since((ZERO, BUILT_IN), 1e9) == 200.0
    assert loaded_since((ZERO, BUILT_IN), 199.0) is None, "it was assembled after that"
    taken_apart = CellEvent("cell-7", 300.0, CellEventKind.ZERO)
    assert loaded_since((ZERO, BUILT_IN, taken_apart), 1e9) is None


def test_in_words() -> None:
    assert in_words(ZERO) == "cell cell-7: in-cell zero, 2e+07 Ω"
    assert in_words(BUILT_IN) == "cell cell-7: assembled, 2.88e+05 Ω, 546 kPa ± 36 kPa (k = 2, mfsr-1 v3)"
    late = CellEvent("cell-7", 200.0, CellEventKind.ASSEMBLED, "A1", note="the sensor was not read")
    assert " at 1970-01-01 " in in_words(late) and in_words(late).endswith("; the sensor was not read")
