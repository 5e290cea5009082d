import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from collections.abc import Callable, Iterator

import pytest
from pytestqt.qtbot import QtBot

from gui import connection
from gui.main_window import MainWindow
from tests.gui.bench import Bench
from tests.gui.fake_service import FakeService


@pytest.fixture(autouse=True)
def quick_return(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_WAIT_S", 0.2)


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService(Bench()) as running:
        yield running


Open = Callable[[FakeService], MainWindow]


@pytest.fixture
def open_window(qtbot: QtBot) -> Iterator[Open]:
    """Opens the dashboard on a service and waits for the first view of the station."""
    windows = []

    def opened(service: FakeService) -> MainWindow:
        window = MainWindow(service.url, service.token)
        windows.append(window)
        window.resize(1600, 1000)
        window.show()
        qtbot.waitUntil(lambda: window.station is not None, timeout=5000)
        return window

    yield opened
    for window in windows:
        window.close()
        window.deleteLater()


@pytest.fixture
def window(service: FakeService, open_window: Open) -> MainWindow:
    return open_window(service)
