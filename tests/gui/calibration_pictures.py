"""Pictures of the wizard's pages on a service of formulas, for a look at them and for the documentation.

python -m tests.gui.calibration_pictures FOLDER [--theme light] [--size 1366x768]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEvent, QEventLoop
from PySide6.QtWidgets import QApplication

from calibration.data import Area
from gui import theme
from gui.calibration.window import CalibrationWindow, Page
from station.calibration_views import PlanOrder, SessionOrder
from tests.gui.fake_service import FakeService

PACE = 40  # ticks of a load step: fine enough for a curve of the force
LONGEST_S = 20.0


def order() -> SessionOrder:
    return SessionOrder(
        sensor="mfsr-A1",
        meter="scanner",
        meter_channel=3,
        gauge="press",
        reference="s-beam-40113",
        area=Area.disc(14e-3, 0.1e-3, "drawing 14-02"),
        plan=PlanOrder(full_load_N=120.0),
        operator="Anna",
    )


def settle(until: Callable[[], bool], window: CalibrationWindow) -> None:
    application = QApplication.instance()
    assert application is not None
    deadline = time.monotonic() + LONGEST_S
    while not until() and time.monotonic() < deadline:
        application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)
        time.sleep(0.01)
    for _ in range(4):  # axes settle their size while they paint
        application.sendPostedEvents(None, QEvent.Type.LayoutRequest)
        application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
        window.grab()


DOCUMENTED = {"run": "calibration-run.png", "review": "calibration-review.png"}


def pictures(folder: Path, look: theme.Theme, width: int, height: int, documentation: bool) -> None:
    """Page by page; the files are called after the page, the theme and the width."""

    def shoot(name: str) -> None:
        if documentation:
            if name in DOCUMENTED:
                window.grab().save(str(folder / DOCUMENTED[name]), "PNG", 0)
            return
        window.grab().save(str(folder / f"{name}-{look.name}-{width}.png"), "PNG")

    with FakeService() as service:
        fake = service.calibrations
        fake.pace = PACE
        fake.remember(order())
        going = fake.begin(order())
        going.play(9)
        window = CalibrationWindow(service.url, service.token, look, who="Anna")
        window.resize(width, height)
        window.show()
        settle(lambda: window.options is not None, window)
        window.choose.sensor.setCurrentText("mfsr-A1")
        window.choose.area_source.setText("drawing 14-02")
        settle(lambda: window.next.isEnabled(), window)
        shoot("choose")
        window.next.click()
        settle(lambda: window.page is Page.PLAN, window)
        shoot("plan")
        going.play(53, ticks=8)
        window.session = going.session
        settle(lambda: window.page is Page.RUN and len(window.run.points.model.points) > 30, window)
        shoot("run-way")
        going.play(62, ticks=32)
        settle(lambda: going.tick > 33, window)
        window.run.points.table.selectRow(4)
        settle(lambda: True, window)
        shoot("run")
        going.play(len(going.steps))
        settle(lambda: window.review.record is not None, window)
        shoot("review")
        window.review.tabs["Models"].click()
        settle(lambda: True, window)
        shoot("review-models")
        window.review.tabs["Points"].click()
        window.review.points.table.selectRow(0)
        settle(lambda: True, window)
        shoot("review-points")
        for point in window.review.undecided():
            window.review.points.kept.emit(point)
        window.review.sign.click()
        settle(lambda: window.dialog is not None, window)
        assert window.dialog is not None
        if not documentation:
            window.dialog.grab().save(str(folder / f"sign-{look.name}-{width}.png"), "PNG")
        window.dialog.go.click()
        settle(lambda: window.certificate.record is not None, window)
        shoot("certificate")
        window.close()


def main() -> None:
    options = argparse.ArgumentParser(description="Pictures of the calibration wizard.")
    options.add_argument("folder", type=Path)
    options.add_argument("--theme", default="dark")
    options.add_argument("--size", default="1600x1000")
    options.add_argument("--documentation", action="store_true", help="the two that the documentation shows")
    given = options.parse_args()
    application = QApplication(sys.argv[:1])
    look = theme.themed(given.theme)
    theme.apply(application, look)
    width, height = map(int, given.size.split("x"))
    given.folder.mkdir(parents=True, exist_ok=True)
    pictures(given.folder, look, width, height, given.documentation)


if __name__ == "__main__":
    main()
