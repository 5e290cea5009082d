"""What holds for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OVER_SOCKETS = ("acceptance", "drivers", "gui", "station")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--exhaustive", action="store_true", help="strike each byte of each reply of each driver")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--exhaustive"):
        os.environ["CELLSTATION_EXHAUSTIVE"] = "1"  # that others' packages set, whose tests see no option of ours


def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: many tests wait for time-outs."""
    return 3 * (os.cpu_count() or 1) // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests over real sockets, with real time-outs, may be tried twice: it tells a busy machine from a wrong program.

    What needed its second try is named in the summary.
    """
    for item in items:
        if item.path.is_relative_to(HERE) and item.path.relative_to(HERE).parts[0] in OVER_SOCKETS:
            item.add_marker(pytest.mark.flaky(reruns=1))
