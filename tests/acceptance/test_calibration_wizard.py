"""A technician calibrates a sensor in the wizard: a real service, real drivers, the virtual bench's press."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from calibration.record import Calibration
from drivers.simulated.cell.sensor import Sensor
from gui.calibration import window as window_module
from gui.calibration.run_page import WORDS
from gui.calibration.window import CalibrationWindow, Page
from gui.theme import DARK
from station.calibration_views import Deed
from tests.acceptance.bench import TOKEN
from tests.acceptance.conftest import Live, Rig, rig_at

LEFT = Qt.MouseButton.LeftButton
SPEED = 200.0
FULL_LOAD_N = 100.0


@pytest.fixture
def fast_rig(tmp_path: Path) -> Iterator[Rig]:
    with rig_at(SPEED, tmp_path) as rig:
        yield rig


def click(qtbot: QtBot, button: QPushButton) -> None:
    qtbot.waitUntil(button.isEnabled, timeout=10_000)
    qtbot.mouseClick(button, LEFT)


def test_a_sensor_is_calibrated_from_the_choice_to_the_certificate(
    qtbot: QtBot, fast_rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(window_module, "POLL_MS", 50)
    with fast_rig.station(poll="1 s", lost_after="1000 s") as live:
        window = CalibrationWindow(live.client.url, TOKEN, DARK, "Anna")
        try:
            window.show()
            choose(qtbot, window)
            plan(qtbot, window)
            run(qtbot, window)
            review(qtbot, window)
            certificate(qtbot, window, live, tmp_path)
            assert_true_within_its_uncertainty(fast_rig, live.client.calibrations("mfsr-A1")[0])
        finally:
            window.close()
            window.deleteLater()
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def choose(qtbot: QtBot, window: CalibrationWindow) -> None:
    qtbot.waitUntil(lambda: window.options is not None, timeout=10_000)
    page = window.choose
    page.sensor.setCurrentText("mfsr-A1")
    page.meter.setCurrentIndex(page.meter.findData("press-meter"))
    page.gauge.setCurrentIndex(page.gauge.findData("press-force"))
    page.reference.setCurrentIndex(page.reference.findData("press-force"))
    page.frame.setCurrentIndex(page.frame.findData("press-drive"))
    page.area_source.setText("diameter that the simulation was given")
    page.meter_within.put(0.01)
    assert "Newest calibration: v1" in page.sensor_note.text()
    click(qtbot, window.next)


def plan(qtbot: QtBot, window: CalibrationWindow) -> None:
    for field, value in (
        (window.plan.full_load, FULL_LOAD_N),
        (window.plan.levels, 5),
        (window.plan.series, 1),
        (window.plan.reinsertions, 1),
        (window.plan.conditioning, 1),
        (window.plan.creep, 5),
        (window.plan.burst, 5),
        (window.plan.dwell, 10),
    ):
        field.put(value)
    assert window.plan.problem() == ""
    click(qtbot, window.next)
    qtbot.waitUntil(lambda: window.page is Page.RUN or bool(window.notices.texts()), timeout=20_000)
    assert window.notices.texts() == []


def run(qtbot: QtBot, window: CalibrationWindow) -> None:
    """The drive presses; what is asked is answered."""
    confirm = window.run.keys[Deed.CONFIRM]

    def asks() -> bool:
        """Not while the drive still takes the load off."""
        return confirm.isEnabled() and confirm.text() == WORDS[Deed.CONFIRM]

    while window.page is Page.RUN:
        qtbot.waitUntil(lambda: window.page is not Page.RUN or asks(), timeout=60_000)
        if window.page is Page.RUN:
            qtbot.mouseClick(confirm, LEFT)
    assert window.page is Page.REVIEW


def review(qtbot: QtBot, window: CalibrationWindow) -> None:
    qtbot.waitUntil(lambda: window.review.record is not None or bool(window.review.problem.text), timeout=60_000)
    assert window.review.problem.text == ""
    while suspects := window.review.undecided():
        window.review.points.choose(suspects[0].index)
        click(qtbot, window.review.points.keep)
    click(qtbot, window.review.sign)
    assert window.dialog is not None
    click(qtbot, window.dialog.go)
    qtbot.waitUntil(lambda: window.page is Page.CERTIFICATE, timeout=20_000)


def certificate(qtbot: QtBot, window: CalibrationWindow, live: Live, folder: Path) -> None:
    qtbot.waitUntil(lambda: window.certificate.record is not None, timeout=20_000)
    record = window.certificate.record
    assert record is not None and record.id == "mfsr-A1 v2" and record.simulated
    assert record.sha256 == record.content_hash() and record.authorised_by == "Anna"
    assert window.certificate.history.rowCount() == 2
    path = folder / "certificate.html"
    window.certificate.save("html", path)
    qtbot.waitUntil(lambda: path.exists() or bool(window.certificate.problem.text), timeout=60_000)
    assert record.sha256 in path.read_text(encoding="utf-8")


def assert_true_within_its_uncertainty(rig: Rig, record: Calibration) -> None:
    """At four pressures of the range, of the very sensor that was pressed, as it lies at rest."""
    truth = Sensor(rig.bench.positions["A1"].parameters.sensor, Random(0))
    for share in (0.05, 0.2, 0.5, 0.9):
        pressure_Pa = share * FULL_LOAD_N / record.area.value_m2
        truth.advance(pressure_Pa, 60.0)
        found = record.pressure(truth.true_resistance_ohm(25.0))
        assert found is not None and found.low_Pa <= pressure_Pa <= found.high_Pa
