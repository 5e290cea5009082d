"""Ready protocols, one file for each published experiment, and the cells that they are for."""

from __future__ import annotations

import difflib
from pathlib import Path

_FOLDER = Path(__file__).parent
_CELLS = _FOLDER / "cells"


def names() -> tuple[str, ...]:
    return _stems(_FOLDER)


def path(name: str) -> Path:
    """The file of a ready protocol; raises `KeyError` that names a close match."""
    return _file(_FOLDER, name, "protocol")


def cell_names() -> tuple[str, ...]:
    return _stems(_CELLS)


def cell_path(name: str) -> Path:
    """The file of a ready cell, which a protocol names as its `cell`; raises `KeyError` that names a close match."""
    return _file(_CELLS, name, "cell")


def _stems(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(file.stem for file in folder.glob("*.yaml")))


def _file(folder: Path, name: str, kind: str) -> Path:
    known = _stems(folder)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        meant = f"; did you mean '{close[0]}'?" if close else f"; there are: {', '.join(known)}"
        raise KeyError(f"no library {kind} '{name}'{meant}")
    return folder / f"{name}.yaml"
