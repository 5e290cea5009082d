"""What holds for every test."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import typer.testing
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

HERE = Path(__file__).parent
OVER_SOCKETS = ("acceptance", "drivers", "gui", "station")
LONG_ONES_FIRST = ("acceptance", "calibration", "station", "gui", "protocols")
IN_PARTS = "tests/drivers/test_contracts.py"  # its tests share nothing

# The same examples in each run: what fails by chance says nothing of the change that is tested.
# `make test ARGS=--hypothesis-profile=explore` tries others, and remembers those that fail.
settings.register_profile(
    "same", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--exhaustive", action="store_true", help="strike each byte of each reply of each driver")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--exhaustive"):
        os.environ["CELLSTATION_EXHAUSTIVE"] = "1"  # that others' packages set, whose tests see no option of ours


def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: many tests wait for time-outs."""
    return 2 * (os.cpu_count() or 1)


class LongOnesFirst(LoadFileScheduling):
    """A file's tests share a process and its fixtures; files go out in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(IN_PARTS) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LongOnesFirst | None:
    if config.option.dist != "loadfile":
        return None
    config.option.loadscopereorder = False  # by number of tests, and those of the most are the shortest
    return LongOnesFirst(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is made here stays: to look through it for garbage, now and later, would find none and take long."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that no worker begins one when all else is done.

    Tests over real sockets, with real time-outs, may be tried twice: it tells a busy machine from a wrong program.
    What needed its second try is named in the summary.
    """
    items.sort(key=_place)
    for item in items:
        if _folder(item) in OVER_SOCKETS:
            item.add_marker(pytest.mark.flaky(reruns=1))


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(HERE).parts[0] if item.path.is_relative_to(HERE) else ""


def _place(item: pytest.Item) -> tuple[int, bool]:
    folder = _folder(item)
    of_folder = LONG_ONES_FIRST.index(folder) if folder in LONG_ONES_FIRST else len(LONG_ONES_FIRST)
    return of_folder, item.nodeid.startswith(IN_PARTS)


@pytest.fixture(scope="session", autouse=True)
def command_line_is_made_once() -> Iterator[None]:
    """It takes longer than most commands, and is the same for each."""
    made = functools.cache(typer.main.get_command)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", made)
        patch.setattr(typer.testing, "_get_command", made)
        yield
