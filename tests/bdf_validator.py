"""The Battery Data Format's own validator."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def validate(path: Path) -> dict[str, Any]:
    """What it finds; imported here, since every process of the tests reads every test's module, and few come here."""
    import bdf

    return bdf.validate(path)  # type: ignore[no-any-return]
