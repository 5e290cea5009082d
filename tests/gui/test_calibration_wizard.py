"""The wizard from the choice of a sensor to its certificate, against a service over real sockets."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from calibration.data import Area
from gui.calibration import window as window_module
from gui.calibration.fields import DateField, NumberField
from gui.calibration.forecast import plan_of, planned
from gui.calibration.gauge import advice, place
from gui.calibration.questions import Skip, WithReason
from gui.calibration.window import CalibrationWindow, Page
from gui.main_window import MainWindow
from gui.theme import DARK, LIGHT
from station.calibration_views import Deed, PlanOrder, SensorInCell, SessionOrder, Stage
from tests.gui.conftest import Open
from tests.gui.fake_service import FakeService

LEFT = Qt.MouseButton.LeftButton
PLAN = PlanOrder(full_load_N=100.0, levels=6, conditioning_cycles=1, series_before=1, reinsertions=2, creep_s=600.0)
Wizard = Callable[..., CalibrationWindow]


def order(sensor: str = "mfsr-A1", plan: PlanOrder = PLAN) -> SessionOrder:
    area = Area.disc(14e-3, 0.1e-3, "drawing")
    return SessionOrder(sensor=sensor, meter="scanner", gauge="press", area=area, plan=plan, operator="Anna")


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService() as running:
        running.calibrations.pace = 1
        yield running


@pytest.fixture
def wizard(service: FakeService, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wizard]:
    """Opens one and waits until it knows what there is to choose from."""
    monkeypatch.setattr(window_module, "POLL_MS", 15)
    monkeypatch.setattr(window_module, "POLL_LOST_MS", 40)
    opened: list[CalibrationWindow] = []

    def make(session: str | None = None) -> CalibrationWindow:
        window = CalibrationWindow(service.url, service.token, DARK, "Anna", session)
        opened.append(window)
        window.show()
        qtbot.waitUntil(lambda: window.options is not None, timeout=5000)
        return window

    yield make
    for window in opened:
        window.close()
        window.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def click(qtbot: QtBot, button: QPushButton) -> None:
    qtbot.waitUntil(button.isEnabled, timeout=5000)
    qtbot.mouseClick(button, LEFT)


def answer(qtbot: QtBot, window: CalibrationWindow, reason: str = "") -> None:
    dialog = window.dialog
    assert dialog is not None
    if isinstance(dialog, WithReason):
        assert not dialog.go.isEnabled()
        dialog.reason.setText(reason)
    click(qtbot, dialog.go)


# --- from start to certificate


def test_from_the_choice_to_the_certificate(qtbot: QtBot, service: FakeService, wizard: Wizard, tmp_path: Path) -> None:
    window, fake = wizard(), service.calibrations
    assert not window.next.isEnabled() and window.hint.text() == "Choose a sensor, or type a new one's name"
    window.choose.sensor.setCurrentText("mfsr-A1")
    assert "EXPIRED on 2026-02-20" in window.choose.sensor_note.text()
    assert window.choose.meter_channel.currentText() == "3"
    assert "valid until 2027-05-31" in window.choose.reference_note.text()
    assert "Say where the area comes from" in window.hint.text()
    window.choose.area_source.setText("drawing 14-02")
    window.choose.temperature.put(23.5)
    click(qtbot, window.next)

    assert window.page is Page.PLAN
    plan = window.plan
    plan.full_load.put(PLAN.full_load_N)
    assert plan.least_load.number() == 2.0  # a fiftieth, as long as nobody says otherwise
    for field, value in (
        (plan.levels, 5),
        (plan.series, 1),
        (plan.reinsertions, 1),
        (plan.conditioning, 1),
        (plan.creep, 10),
    ):
        field.put(value)
    assert plan.summary.text().startswith("18 load steps, about ")
    assert "Full load 100.0 N is 650 kPa" in plan.pressure.text()
    click(qtbot, window.next)

    qtbot.waitUntil(lambda: window.page is Page.RUN, timeout=5000)
    begun = next(iter(fake.sessions.values())).order
    assert begun.area.value_m2 == pytest.approx(153.94e-6, rel=1e-4) and begun.area.source == "drawing 14-02"
    assert begun.plan == PLAN.model_copy(update={"least_load_N": 2.0, "levels": 5, "reinsertions": 1})
    assert begun.temperature_degC == 23.5
    assert begun.meter_channel == 3 and begun.reference == "s-beam-40113" and begun.operator == "Anna"
    while window.page is Page.RUN:
        qtbot.waitUntil(
            lambda: window.page is not Page.RUN or window.run.keys[Deed.CONFIRM].isVisible(), timeout=20_000
        )
        if window.page is Page.RUN:
            click(qtbot, window.run.keys[Deed.CONFIRM])
            qtbot.waitUntil(lambda: not window.run.keys[Deed.CONFIRM].isVisible(), timeout=5000)
    assert [deed for deed, _, _ in fake.deeds] == ["confirm"] * 2  # zero and the reinsertion
    assert all(told.who == "Anna" for _, _, told in fake.deeds)

    assert window.page is Page.REVIEW
    qtbot.waitUntil(lambda: window.review.record is not None, timeout=10_000)
    assert window.review.headline.text().startswith("mfsr-A1 v1: ") and "k = 2" in window.review.headline.text()
    suspects = [point.index for point in window.review.undecided()]
    assert 17 in suspects
    assert "mark or keep" in window.review.missing() and not window.review.sign.isEnabled()
    click(qtbot, window.review.tabs["Points"])
    for index in suspects:
        window.review.points.choose(index)
        click(qtbot, window.review.points.keep)
    assert window.review.missing() == ""
    window.review.note.setText("first of the year.")
    click(qtbot, window.review.sign)
    answer(qtbot, window)

    qtbot.waitUntil(lambda: window.certificate.record is not None, timeout=10_000)
    record = fake.records["mfsr-A1"][0]
    assert window.page is Page.CERTIFICATE and record.authorised_by == "Anna"
    kept = ", ".join(str(index + 1) for index in suspects)
    assert record.note == f"first of the year. Suspect points looked at and kept: {kept}."
    assert window.certificate.headline.text() == "mfsr-A1 v1 is signed"
    assert record.sha256 in window.certificate.hash.text() and record.sha256 == record.content_hash()
    for format in ("pdf", "html"):
        path = tmp_path / window.certificate.file_name(format)
        window.certificate.save(format, path)
        qtbot.waitUntil(path.exists, timeout=5000)
        assert path.read_bytes() == f"%{format.upper()} certificate of mfsr-A1 v1".encode()
    window.certificate.save("pdf", tmp_path / "no folder" / "x.pdf")
    qtbot.waitUntil(lambda: bool(window.certificate.problem.text), timeout=5000)
    assert "cannot write" in window.certificate.problem.text


def test_the_budget_shown_is_the_records_own(qtbot: QtBot, service: FakeService, wizard: Wizard) -> None:
    fake = service.calibrations
    session = fake.begin(order())
    session.play(len(session.steps))
    window = wizard(session.session)
    qtbot.waitUntil(lambda: window.review.record is not None, timeout=10_000)
    record, panel = window.review.record, window.review.budget
    assert record is not None and panel.forces.count() == len(record.evaluation.budgets)
    budget = record.evaluation.budgets[panel.forces.currentIndex()]
    assert panel.table.rowCount() == len(budget.components)
    largest = max(budget.components, key=lambda part: part.relative)
    first = panel.table.item(0, 0)
    assert first is not None and first.text() == largest.name
    chosen = window.review.models.table.item(0, 4)
    assert chosen is not None and chosen.text() == "✓ chosen"
    window.set_look(LIGHT)
    assert window.review.curve.theme is LIGHT
    force = window.review.curve.curve.getData()[0]
    assert 10 ** force[0] == pytest.approx(record.force_min_N) and 10 ** force[-1] == pytest.approx(record.force_max_N)


def test_an_outlier_is_marked_with_a_reason_and_the_fit_is_made_anew(
    qtbot: QtBot, service: FakeService, wizard: Wizard
) -> None:
    fake = service.calibrations
    session = fake.begin(order())
    session.play(len(session.steps))
    window = wizard(session.session)
    qtbot.waitUntil(lambda: window.review.record is not None, timeout=10_000)
    with_it = window.review.record
    window.review.points.choose(17)
    click(qtbot, window.review.points.mark)
    answer(qtbot, window, "jolt at the bench")
    qtbot.waitUntil(lambda: window.review.record not in (None, with_it), timeout=10_000)
    assert fake.deeds[-1][0] == "exclude" and (fake.deeds[-1][2].point, fake.deeds[-1][2].reason) == (
        17,
        "jolt at the bench",
    )
    assert 17 not in [point.index for point in window.review.undecided()]
    remarks = [window.review.points.model.remark(point) for point in window.review.points.model.points]
    assert "✕ jolt at the bench" in remarks and len(remarks) == len(session.data.points)
    window.review.points.choose(17)
    assert window.review.points.unmark.isVisibleTo(window.review.points)
    click(qtbot, window.review.points.unmark)
    qtbot.waitUntil(lambda: fake.deeds[-1][0] == "include", timeout=5000)


# --- while it goes on


def test_a_session_is_taken_up_again_from_the_list_and_outlives_the_window(
    qtbot: QtBot, service: FakeService, wizard: Wizard
) -> None:
    fake = service.calibrations
    session = fake.begin(order())
    session.play(8)
    window = wizard()
    rows = window.choose.sessions.findChildren(QPushButton)
    assert len(rows) == 1 and "mfsr-A1" in rows[0].text() and f"step 8 of {len(session.steps)}" in rows[0].text()
    qtbot.mouseClick(rows[0], LEFT)
    qtbot.waitUntil(lambda: window.page is Page.RUN, timeout=5000)
    assert fake.taken_up == [(session.session, "Anna")]
    click(qtbot, window.run.leave)
    assert not window.isVisible() and fake.deeds == [] and session.stage is None
    again = wizard(session.session)
    qtbot.waitUntil(lambda: again.page is Page.RUN, timeout=5000)


def test_a_service_that_is_lost_in_the_middle_is_waited_for(qtbot: QtBot, service: FakeService, wizard: Wizard) -> None:
    fake = service.calibrations
    fake.pace = 10_000
    session = fake.begin(order())
    session.pace = 10_000
    session.done = 6
    window = wizard(session.session)
    qtbot.waitUntil(lambda: window.run.keys[Deed.PAUSE].isEnabled(), timeout=5000)
    service.stop()
    qtbot.waitUntil(window.away.isVisible, timeout=8000)
    assert "trying again" in window.away.text and "is kept there" in window.away.text
    assert not any(key.isEnabled() for key in window.run.keys.values()) and window.run.leave.isEnabled()
    service.start()
    qtbot.waitUntil(lambda: not window.away.isVisible() and window.run.keys[Deed.PAUSE].isEnabled(), timeout=8000)
    assert window.session == session.session


def test_giving_up_asks_and_wants_a_reason(qtbot: QtBot, service: FakeService, wizard: Wizard) -> None:
    fake = service.calibrations
    session = fake.begin(order())
    session.play(6)
    window = wizard(session.session)
    click(qtbot, window.run.keys[Deed.ABANDON])
    dialog = window.dialog
    assert isinstance(dialog, WithReason) and dialog.stay.isDefault() and not dialog.go.isEnabled()
    click(qtbot, dialog.stay)
    assert fake.deeds == [] and session.stage is None
    click(qtbot, window.run.keys[Deed.ABANDON])
    answer(qtbot, window, "sensor damaged")
    qtbot.waitUntil(lambda: window.page is Page.CHOOSE, timeout=5000)
    assert session.stage is Stage.ABANDONED and fake.deeds[-1][2].reason == "sensor damaged"
    assert any("abandoned" in text for text in window.notices.texts())


def test_pausing_skipping_and_what_the_service_refuses(qtbot: QtBot, service: FakeService, wizard: Wizard) -> None:
    fake = service.calibrations
    session = fake.begin(order())
    session.pace = 10_000
    session.done = 6
    window = wizard(session.session)
    click(qtbot, window.run.keys[Deed.PAUSE])
    qtbot.waitUntil(lambda: window.run.keys[Deed.RESUME].isVisible(), timeout=5000)
    assert "PAUSED" in window.run.title.text() and not window.run.keys[Deed.PAUSE].isVisible()
    click(qtbot, window.run.keys[Deed.RESUME])
    qtbot.waitUntil(lambda: window.run.keys[Deed.SKIP].isEnabled(), timeout=5000)
    fake.refuse["skip"] = "the force is too high to leave this load"
    click(qtbot, window.run.keys[Deed.SKIP])
    assert isinstance(window.dialog, Skip)
    window.dialog.whole_stage.setChecked(True)
    answer(qtbot, window, "no time today")
    qtbot.waitUntil(lambda: fake.refuse["skip"] in window.notices.texts(), timeout=5000)
    assert fake.deeds[-1][2].whole_stage and session.done == 6
    qtbot.waitUntil(lambda: window.run.keys[Deed.SKIP].isEnabled(), timeout=5000)


def test_no_load_is_confirmed_twice_where_the_load_cell_says_otherwise(
    qtbot: QtBot, service: FakeService, wizard: Wizard
) -> None:
    fake = service.calibrations
    session = fake.begin(order())
    window = wizard()
    window.session = session.session
    window._clock.stop()
    told = {"target_N": 0.0, "force_N": 131.9, "force_ok": False, "stage": Stage.CONDITIONING}
    window._show(session.view().model_copy(update=told))
    assert window.run.keys[Deed.CONFIRM].text() == "There is no load …"
    click(qtbot, window.run.keys[Deed.CONFIRM])
    assert window.dialog is not None and "131.9 N" in window.dialog.text.text() and fake.deeds == []
    window._show(session.view().model_copy(update=told | {"force_N": 0.01, "force_ok": True}))
    assert window.dialog is None  # it was answered by the load cell
    window._show(session.view().model_copy(update=told))
    click(qtbot, window.run.keys[Deed.CONFIRM])
    answer(qtbot, window)
    qtbot.waitUntil(lambda: [deed for deed, _, _ in fake.deeds] == ["confirm"], timeout=5000)


def test_trouble_stands_in_the_warning_banner(qtbot: QtBot, service: FakeService, wizard: Wizard) -> None:
    session = service.calibrations.begin(order())
    session.play(6)
    session.trouble = "the load cell does not answer"
    window = wizard(session.session)
    qtbot.waitUntil(window.trouble.isVisible, timeout=5000)
    assert window.trouble.text == "the load cell does not answer"
    assert window.simulated.isVisible()
    session.trouble = ""
    qtbot.waitUntil(lambda: not window.trouble.isVisible(), timeout=5000)


def test_lamps_say_in_words_what_is_at_rest(qtbot: QtBot, service: FakeService, wizard: Wizard) -> None:
    session = service.calibrations.begin(order())
    session.pace = 40
    session.play(6, ticks=3)
    window = wizard()
    window.session = session.session
    window._clock.stop()
    window._show(session.view())
    lamps = {name: (lamp.word, lamp.look) for name, lamp in window.run.lamps.items()}
    assert lamps["On target"] == ("not yet", "waiting") and lamps["Force"] == ("moving", "waiting")
    assert window.run.gauge.advice.text() == "▶ more"
    session.play(6, ticks=36)
    window._show(session.view())
    lamps = {name: (lamp.word, lamp.look) for name, lamp in window.run.lamps.items()}
    assert lamps["On target"] == ("on target", "lit") and lamps["Resistance"] == ("steady", "lit")
    assert lamps["Reading"][0].startswith("taking, ") and window.run.gauge.advice.text() == "✓ hold"
    assert window.run.burst.value() == round(100 * (session.view().taking or 0))
    assert window.run.progress.text().startswith(f"Step 7 of {len(session.steps)}, about ")


# --- fields and forecast


def test_the_gauge_is_wide_about_its_target() -> None:
    assert (place(0.0, 80.0), place(80.0, 80.0), place(160.0, 80.0), place(500.0, 80.0)) == (-1.0, 0.0, 1.0, 1.0)
    assert place(80.0 * 1.03, 80.0) == pytest.approx(0.173, abs=1e-3)
    assert place(80.0 * 0.97, 80.0) == pytest.approx(-0.173, abs=1e-3)


def test_advice_says_which_way() -> None:
    from tests.gui.fake_calibration import FakeSession

    view = FakeSession("s", order()).view().model_copy(update={"target_N": 50.0, "tolerance_N": 1.5})
    assert advice(view.model_copy(update={"force_N": 60.0, "force_ok": False})) == ("◀ less", False)
    assert advice(view.model_copy(update={"force_N": 40.0, "force_ok": False})) == ("▶ more", False)
    assert advice(view.model_copy(update={"force_N": 50.5, "force_ok": True})) == ("✓ hold", True)
    assert advice(view.model_copy(update={"force_N": 0.1, "target_N": 0.0, "force_ok": True})) == ("✓ no load", True)
    assert advice(view.model_copy(update={"force_N": None})) == ("–", True)


def test_numbers_are_read_with_commas_and_refused_in_words(qtbot: QtBot) -> None:
    field = NumberField("Full load", "N", 100.0, step=10, least=1, most=500, decimals=1)
    qtbot.addWidget(field)
    field.field.setText("12,5")
    assert field.value() == 12.5
    qtbot.mouseClick(field.more, LEFT)
    assert field.value() == 22.5
    for text, said in (("", "is a number"), ("much", "not 'much'"), ("501", "between 1 and 500"), ("nan", "between")):
        field.field.setText(text)
        with pytest.raises(ValueError, match=said):
            field.value()
        assert field.field.property("wrong") == "true"


def test_dates_move_by_months_and_lie_ahead(qtbot: QtBot) -> None:
    field = DateField("Expires", datetime.date(2090, 1, 31))
    qtbot.addWidget(field)
    qtbot.mouseClick(field.more, LEFT)
    assert field.day() == datetime.date(2090, 2, 28)
    for text in ("31.1.2090", "2020-01-01", ""):
        field.field.setText(text)
        with pytest.raises(ValueError, match="Expires"):
            field.day()


def test_the_forecast_is_the_procedures_own() -> None:
    plan = plan_of(PLAN)
    found = planned(plan)
    assert found.readings == 3 * (2 * 6 - 1)
    assert found.duration_s == pytest.approx(sum(plan.expected_s(step) for step in plan.steps()))
    assert found.load_N.max() == pytest.approx(110.0)
    names = [name for _, name, _, _ in found.spans]
    assert names[:3] == ["zero", "conditioning", "series 1"] and names[-1] == "creep"
    with pytest.raises(ValueError, match="not below the full load"):
        plan_of(PLAN.model_copy(update={"least_load_N": 200.0}))


def test_a_plan_that_cannot_be_is_said_before_it_begins(qtbot: QtBot, wizard: Wizard) -> None:
    window = wizard()
    window.choose.sensor.setCurrentText("mfsr-A1")
    window.choose.area_source.setText("drawing")
    click(qtbot, window.next)
    window.plan.conditioning_share.put(140)
    assert "overload" in window.hint.text() and not window.next.isEnabled()
    window.plan.conditioning_share.put(110)
    assert window.hint.text() == "" and window.next.isEnabled()
    click(qtbot, window.back)
    window.choose.reference.setCurrentIndex(1)
    assert "not traceable" in window.choose.warning.text


# --- in the dashboard


def test_the_dashboard_opens_the_wizard_and_tells_of_calibrations(
    qtbot: QtBot, service: FakeService, open_window: Open
) -> None:
    main: MainWindow = open_window(service)
    assert main.header.calibrate.text() == "Calibrate …"
    session = service.calibrations.begin(order())
    session.pace = 10_000
    main._look_for_calibrations()
    qtbot.waitUntil(lambda: "mfsr-A1" in main.header.calibrate.text(), timeout=5000)
    assert main.header.calibrate.text() == f"Calibration of mfsr-A1: step 0 of {len(session.steps)}"
    qtbot.mouseClick(main.header.calibrate, LEFT)
    wizard = main.wizard
    assert wizard is not None
    qtbot.waitUntil(lambda: wizard.options is not None, timeout=5000)
    qtbot.mouseClick(wizard.choose.sessions.findChildren(QPushButton)[0], LEFT)
    qtbot.waitUntil(lambda: wizard.page is Page.RUN, timeout=5000)
    wizard.close()
    assert main.wizard is None
    qtbot.mouseClick(main.header.calibrate, LEFT)
    again = main.wizard
    assert again is not None and again.session == session.session
    qtbot.waitUntil(lambda: again.page is Page.RUN, timeout=5000)


def test_the_selected_channel_says_which_calibration_its_pressure_comes_from(
    qtbot: QtBot, service: FakeService, open_window: Open
) -> None:
    main = open_window(service)
    main.tiles.select("A1")
    line = main.controls.calibration
    qtbot.waitUntil(lambda: "mfsr-A1 v3, expires 2027-01-31" in line.text(), timeout=5000)
    service.bench.calibration_warnings["A1"] = "the calibration mfsr-A1 v3 expired on 2027-01-31"
    qtbot.waitUntil(lambda: line.text().startswith("⚠ the calibration mfsr-A1 v3 expired"), timeout=5000)
    assert main.look.warning in line.styleSheet()


def test_a_sensor_in_a_cell_that_runs_is_said_before_anything_is_pressed(
    qtbot: QtBot, service: FakeService, wizard: Wizard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another sensor can be chosen, another channel of the meter, or the run be waited for."""
    monkeypatch.setattr(window_module, "RUN_OVER_MS", 20)
    fake = service.calibrations
    fake.in_cells = (
        SensorInCell(sensor="mfsr-A1", meter="scanner", meter_channel=3, channel="A1", cell="c-7", run_id="r-9"),
    )
    window = wizard()
    window.choose.area_source.setText("drawing 14-02")
    window.choose.sensor.setCurrentText("mfsr-A1")
    assert window.hint.text().startswith("Sensor mfsr-A1 lies in cell c-7 in channel A1, where run r-9 is on")
    assert not window.next.isEnabled()
    window.choose.sensor.setCurrentText("mfsr-A2")
    assert window.choose.meter_channel.currentText() == "4" and window.next.isEnabled()
    window.choose.meter_channel.setCurrentText("3")
    assert window.hint.text().startswith("Channel 3 of scanner reads sensor mfsr-A1 of cell c-7")
    assert not window.next.isEnabled()
    fake.in_cells = ()
    qtbot.waitUntil(window.next.isEnabled, timeout=5000)
    assert window.hint.text() == "" and not fake.sessions
