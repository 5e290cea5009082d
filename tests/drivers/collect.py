"""All the cases of the contract suites: the lists `CASES` of the modules `tests/drivers/cases_*.py`."""

from __future__ import annotations

import importlib
from pathlib import Path

from drivers.testing import Case


def all_cases() -> list[Case]:
    modules = sorted(path.stem for path in Path(__file__).parent.glob("cases_*.py"))
    return [case for module in modules for case in importlib.import_module(f"tests.drivers.{module}").CASES]
