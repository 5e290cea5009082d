"""Ready protocols, one file for each published experiment."""

from __future__ import annotations

import difflib
from pathlib import Path

_FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def path(name: str) -> Path:
    """The file of a ready protocol; raises `KeyError` that names close matches."""
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=1)
        meant = f"; did you mean '{close[0]}'?" if close else f"; there are: {', '.join(names())}"
        raise KeyError(f"no library protocol '{name}'{meant}")
    return _FOLDER / f"{name}.yaml"
