"""Opening the dashboard: `run(url, token)`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from PySide6.QtCore import QEvent, QEventLoop, QSettings, QTimer
from PySide6.QtWidgets import QApplication

from gui import theme
from gui.main_window import MainWindow

LONGEST_WAIT_S = 20.0  # for the curves, before a screenshot is taken as it is
SIGNAL_POLL_MS = 200


def run(url: str, token: str, *, screenshot: Path | None = None, seconds: float | None = None) -> int:
    """Show the dashboard of the station at `url` until it is closed, or for `seconds`.

    `screenshot` names a PNG file, written before the end: when `seconds` are over, or, where no time is given, as
    soon as the curves are drawn. Returns 0; 1 where there is no display or the file cannot be written; 2 where `url`
    is none.
    """
    if not _is_address(url):
        return _complain(f"{url!r} is not the address of a station, as http://127.0.0.1:8765 is", 2)
    if not _has_display():
        if screenshot is None:
            return _complain("no display here (neither DISPLAY nor WAYLAND_DISPLAY is set); the station runs on", 1)
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    application.setApplicationName("Cellstation")
    kept = QSettings("Cellstation", "dashboard")
    window = MainWindow(url, token, theme.themed(str(kept.value("theme", "dark"))))
    window.resize(1600, 1000)
    geometry = kept.value("geometry")
    if geometry is not None and screenshot is None:
        window.restoreGeometry(geometry)
    window.show()
    try:
        outcome = _live(application, window, screenshot, seconds)
    finally:
        window.close()
    if screenshot is None:
        kept.setValue("theme", window.look.name)
        kept.setValue("geometry", window.saveGeometry())
    return outcome


def grab(window: MainWindow, path: Path) -> None:
    """Wait until the curves of the selected channel are drawn, and write the window to a PNG file.

    Raises OSError where the file cannot be written: its folder must exist.
    """
    application = QApplication.instance()
    assert application is not None
    deadline = time.monotonic() + LONGEST_WAIT_S
    while not window.is_drawn() and time.monotonic() < deadline:
        application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)
        time.sleep(0.01)
    application.sendPostedEvents(None, QEvent.Type.LayoutRequest)
    for _ in range(2):  # axes settle their size while they paint
        application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
        image = window.grab()
    if not image.save(str(path), "PNG"):
        raise OSError(f"cannot write the screenshot {path}")


def _live(application: QApplication, window: MainWindow, screenshot: Path | None, seconds: float | None) -> int:
    outcome = 0

    def shoot() -> None:
        nonlocal outcome
        if screenshot is not None:
            try:
                grab(window, screenshot)
            except OSError as error:
                outcome = _complain(str(error), 1)

    def end() -> None:
        shoot()
        application.exit(0)

    if seconds is not None:
        QTimer.singleShot(int(seconds * 1000), end)
    elif screenshot is not None:
        QTimer.singleShot(0, end)
    with _Interruptible(application):
        application.exec()
    return outcome


class _Interruptible:
    """Ctrl-C closes the window; Qt's loop must wake now and then for Python to see it."""

    def __init__(self, application: QApplication) -> None:
        self._application = application
        self._waker = QTimer(interval=SIGNAL_POLL_MS)
        self._waker.timeout.connect(lambda: None)

    def __enter__(self) -> None:
        self._before = None
        try:
            self._before = signal.signal(signal.SIGINT, lambda *_: self._application.exit(0))
        except ValueError:  # not the main thread
            return
        self._waker.start()

    def __exit__(self, *_: object) -> None:
        self._waker.stop()
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket that is not closed, a port beyond 65535
        return False


def _has_display() -> bool:
    chosen = os.environ.get("QT_QPA_PLATFORM")
    if chosen or not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _complain(text: str, status: int) -> int:
    print(f"cellstation gui: {text}", file=sys.stderr)
    return status
