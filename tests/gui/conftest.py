import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import time
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui import connection
from gui.main_window import MainWindow
from tests.gui.bench import Bench
from tests.gui.fake_service import FakeService


@pytest.fixture(autouse=True)
def quick_return(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_WAIT_S", 0.2)


Open = Callable[[FakeService], MainWindow]


@pytest.fixture
def open_window(qtbot: QtBot) -> Iterator[Open]:
    """Opens a dashboard on a service and waits for the first view of the station."""
    windows = []

    def opened(service: FakeService) -> MainWindow:
        windows.append(_opened(service))
        return windows[-1]

    yield opened
    for window in windows:
        _end(window)


@pytest.fixture
def own_service() -> Iterator[FakeService]:
    with FakeService(Bench()) as running:
        yield running


@pytest.fixture
def own_window(own_service: FakeService, open_window: Open) -> MainWindow:
    return open_window(own_service)


@pytest.fixture(scope="module")
def shared_service() -> Iterator[FakeService]:
    with FakeService(Bench()) as running:
        yield running


@pytest.fixture(scope="module")
def shared_window(shared_service: FakeService, qapp: QApplication) -> Iterator[MainWindow]:
    window = _opened(shared_service)
    yield window
    _end(window)


@pytest.fixture
def service(shared_service: FakeService) -> FakeService:
    """The bench as it was at first; making a window anew for each test would take most of the time."""
    bench = shared_service.bench
    shared_service.commands.clear()
    shared_service.refuse.clear()
    shared_service.delay_s = 0.0
    bench.questions.clear()
    bench.states, bench.runs = dict(bench.first_states), dict(bench.first_runs)
    for run in bench.runs.values():
        run.live = True
    return shared_service


@pytest.fixture
def window(service: FakeService, shared_window: MainWindow, qtbot: QtBot) -> MainWindow:
    def is_up_to_date() -> bool:
        shown = {view.name: view.state for view in shared_window.station.channels} if shared_window.station else {}
        return shown == service.bench.states

    qtbot.waitUntil(is_up_to_date, timeout=3000)
    return shared_window


def _opened(service: FakeService) -> MainWindow:
    window = MainWindow(service.url, service.token)
    window.resize(1400, 900)
    window.show()
    deadline = time.monotonic() + 5
    while window.station is None and time.monotonic() < deadline:
        QApplication.processEvents()
    return window


def _end(window: MainWindow) -> None:
    window.close()
    window.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
