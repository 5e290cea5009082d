"""Whether a file is of a simulated cell, as what Cellstation writes says of itself."""

from __future__ import annotations

import json
from pathlib import Path

BEGINNING = 65536
"""Bytes of a file among which the word is looked for."""


def is_simulated(path: Path) -> bool:
    """By the file's name and beginning, by the metadata in a Parquet file, or by the export's .json beside it."""
    if "SIMULATED" in path.name:
        return True
    with path.open("rb") as file:
        beginning = file.read(BEGINNING)
    if beginning.startswith(b"PAR1"):
        return _parquet_says_so(path)
    return b"SIMULATED" in beginning or any(_metadata_says_so(each) for each in _beside(path))


def _beside(path: Path) -> list[Path]:
    """run.json for run.bdf.csv and run.eis.csv."""
    parts = path.name.split(".")
    return [path.with_name(".".join((*parts[:count], "json"))) for count in range(len(parts) - 1, 0, -1)]


def _metadata_says_so(path: Path) -> bool:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # no export's
    return isinstance(document, dict) and document.get("simulated") is True


def _parquet_says_so(path: Path) -> bool:
    import pyarrow
    from pyarrow import parquet

    try:
        metadata = parquet.read_schema(path).metadata or {}
    except (OSError, pyarrow.ArrowInvalid):
        return False  # whoever reads it says what is wrong
    return bool(metadata.get(b"simulated") == b"true")
