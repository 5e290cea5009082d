"""Real widgets against a service over real sockets."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QLabel, QLineEdit
from pytestqt.qtbot import QtBot

from gui.app import grab, run
from gui.cell_events import RecordEvent
from gui.confirmation import Confirmation
from gui.connection import LiveFeed
from gui.controls import Action
from gui.dialogs import Answer, ClearTrip, StartDialog
from gui.event_log import SELECTED
from gui.main_window import MainWindow
from gui.plots import MOST_LINES, MarkerLines
from gui.reduce import MOST_POINTS
from gui.theme import DARK, LIGHT
from station.readings import ChannelState, Level
from tests.gui.bench import OFFLINE, TRIP, Bench
from tests.gui.conftest import Open
from tests.gui.fake_service import FakeService

LEFT = Qt.MouseButton.LeftButton


def click_tile(qtbot: QtBot, window: MainWindow, channel: str) -> None:
    qtbot.mouseClick(window.tiles, LEFT, pos=window.tiles.tile_of(channel).center())
    assert window.tiles.selection == channel


def click(qtbot: QtBot, window: MainWindow, action: Action) -> None:
    button = window.controls.buttons[action]
    qtbot.waitUntil(button.isEnabled, timeout=3000)
    qtbot.mouseClick(button, LEFT)


def enabled(window: MainWindow) -> set[Action]:
    return {action for action, button in window.controls.buttons.items() if button.isEnabled()}


def times(window: MainWindow) -> np.ndarray:
    return np.array(window.curves.voltage.curve.getData()[0])


def drawn(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(window.is_drawn, timeout=8000)


# --- what is shown


def test_tiles_show_values_with_their_units(window: MainWindow, service: FakeService) -> None:
    text = window.tiles.text_of("A1")
    assert (text.name, text.state, text.cell, text.cycle) == ("A1", "RUNNING", "Si-011", "cycle 49 of 300")
    assert text.voltage.endswith(" V") and text.current == "−0.8400 mA"
    assert text.capacity.endswith(" mAh") and text.specific.endswith(" mAh/g")
    value, _, U, unit = text.pressure.split()
    truth = service.bench.channel("A1")
    assert unit == "kPa" and truth.pressure_Pa is not None and truth.pressure_U_Pa is not None
    assert float(value) == pytest.approx(truth.pressure_Pa / 1e3, rel=0.05)
    assert float(U) == pytest.approx(truth.pressure_U_Pa / 1e3, rel=0.05)


def test_a_tripped_tile_tells_why_and_stands_out(qtbot: QtBot, window: MainWindow) -> None:
    assert window.tiles.text_of("A4").reason == TRIP
    assert window.header.chips[ChannelState.TRIPPED].text() == "1 TRIPPED: A4"
    assert not window.header.chips[ChannelState.TRIPPED].isHidden()
    image = window.tiles.grab().toImage()
    assert _share_of(image, window, "A4", window.look.danger_fill) > 0.5
    assert _share_of(image, window, "A1", window.look.danger_fill) == 0.0
    click_tile(qtbot, window, "A4")
    assert TRIP in window.controls.reason
    click_tile(qtbot, window, "A7")
    assert OFFLINE in window.controls.reason


def _share_of(image: QImage, window: MainWindow, channel: str, colour: str) -> float:
    box, wanted = window.tiles.tile_of(channel), QColor(colour)
    ratio = image.devicePixelRatio()
    points = [(x, y) for x in range(box.left(), box.right(), 3) for y in range(box.top(), box.bottom(), 3)]
    hits = sum(image.pixelColor(QPoint(int(x * ratio), int(y * ratio))) == wanted for x, y in points)
    return hits / len(points)


def test_a_simulated_bench_says_so_shows_the_trip_first_and_outlives_the_window(
    own_window: MainWindow, own_service: FakeService
) -> None:
    assert own_window.simulated.isVisible() and own_window.simulated.text == "SIMULATED BENCH – clock ×60"
    assert own_window.windowTitle().startswith("SIMULATED BENCH – clock ×60")
    assert own_window.tiles.selection == "A4"
    labels = [label.text() for label in own_window.statusBar().findChildren(QLabel)]
    assert "Closing this window stops no test" in labels
    own_window.close()
    assert own_service.commands == [] and own_service.bench.states["A1"] is ChannelState.RUNNING


def test_a_real_bench_has_no_such_banner_and_a_broken_store_has_one(open_window: Open, qtbot: QtBot) -> None:
    with FakeService(Bench(simulated=False, speed=1.0)) as service:
        window = open_window(service)
        assert not window.simulated.isVisible() and "SIMULATED" not in window.windowTitle()
        assert not window.store.isVisible()
        service.bench.store = "no space left on /data"
        qtbot.waitUntil(window.store.isVisible, timeout=3000)
        assert "no space left on /data" in window.store.text


def test_arrow_keys_go_from_tile_to_tile(qtbot: QtBot, window: MainWindow) -> None:
    click_tile(qtbot, window, "A1")
    qtbot.keyClick(window.tiles, Qt.Key.Key_Right)
    assert window.tiles.selection == "A2"
    qtbot.keyClick(window.tiles, Qt.Key.Key_Home)
    qtbot.keyClick(window.tiles, Qt.Key.Key_Left)
    assert window.tiles.selection == "A1"
    qtbot.keyClick(window.tiles, Qt.Key.Key_End)
    assert window.tiles.selection == "A8"


def test_selection_changes_the_numbers_and_the_curves(qtbot: QtBot, window: MainWindow) -> None:
    click_tile(qtbot, window, "A1")
    drawn(qtbot, window)
    t, V = window.curves.voltage.curve.getData()
    assert t[-1] > 1.7e6 and 0 < np.nanmin(V) < 0.1 and 1.5 < np.nanmax(V) < 2.1
    assert window.controls.value("Current") == "−0.8400 mA"
    assert len(window.curves.profiles.curves) >= 8 and window.curves.nyquist.message == ""
    n, discharge = window.curves.cycles.discharge.getData()
    assert list(n) == list(range(1, 49)) and 2800 < discharge[-1] < 3000  # mAh/g
    click_tile(qtbot, window, "A8")
    qtbot.waitUntil(lambda: window.is_drawn() and times(window)[-1] < 1e6, timeout=8000)
    assert window.controls.value("Current") == "+0.8400 mA"


def test_what_was_not_measured_is_said_and_not_drawn_as_zero(qtbot: QtBot, window: MainWindow) -> None:
    click_tile(qtbot, window, "A6")
    drawn(qtbot, window)
    assert window.curves.pressure.message == "No pressure was measured"
    assert window.tiles.text_of("A6").pressure == "no pressure"
    click_tile(qtbot, window, "A5")
    qtbot.waitUntil(lambda: window.curves.voltage.message == "No run on this channel yet", timeout=3000)


def test_the_service_is_asked_for_the_range_on_show_at_its_width(qtbot: QtBot, window: MainWindow) -> None:
    click_tile(qtbot, window, "A1")
    drawn(qtbot, window)
    service_now = times(window)[-1]
    window.curves.set_span(3600.0)
    qtbot.waitUntil(lambda: window.is_drawn() and len(times(window)) < 400, timeout=5000)
    assert times(window)[0] > service_now - 2 * 3600.0
    low, high = window.curves.voltage.view.viewRange()[0]
    assert high - low == pytest.approx(3600.0, rel=0.05)


def test_dragging_lets_go_and_follow_takes_up_again(qtbot: QtBot, window: MainWindow) -> None:
    click_tile(qtbot, window, "A1")
    drawn(qtbot, window)
    window.curves.voltage.view.setXRange(1000.0, 90_000.0, padding=0)
    window.curves.voltage.view.sigRangeChangedManually.emit([True, False])
    assert not window.curves.follow.isChecked()
    qtbot.waitUntil(lambda: window.is_drawn() and times(window)[-1] < 110_000, timeout=5000)
    window.curves.follow.click()
    qtbot.waitUntil(lambda: window.curves.voltage.view.viewRange()[0][1] > 1.7e6, timeout=5000)


def test_the_readout_follows_the_pointer(qtbot: QtBot, window: MainWindow) -> None:
    click_tile(qtbot, window, "A1")
    drawn(qtbot, window)
    curves = window.curves
    for figure in (curves.pressure, curves.profiles, curves.cycles, curves.nyquist):
        figure.widget.scene().sigMouseMoved.emit(figure.view.sceneBoundingRect().center())
    assert curves.pressure.readout.endswith("kPa") and " ± " in curves.pressure.readout
    assert curves.voltage.readout.endswith(" V")
    assert "mAh/g" in curves.profiles.readout and curves.profiles.readout.startswith("cycle")
    assert "%" in curves.cycles.readout
    assert "Hz" in curves.nyquist.readout


def test_the_cycle_that_goes_on_stands_apart_from_the_whole_ones(
    qtbot: QtBot, window: MainWindow, service: FakeService
) -> None:
    click_tile(qtbot, window, "A1")
    drawn(qtbot, window)
    curves = window.curves
    whole, _ = curves.cycle_pressure.bars.getOriginalDataset()
    now, _ = curves.cycle_pressure.unfinished.getOriginalDataset()
    assert set(now) == {whole.max() + 1}
    assert curves.cycle_pressure.unfinished.opts["pen"].style() == Qt.PenStyle.DotLine
    assert curves.cycles.charge.getOriginalDataset()[0].max() == whole.max()


def test_no_curve_has_more_points_than_can_be_drawn(qtbot: QtBot, open_window: Open) -> None:
    with FakeService(Bench(1, speed=1.0, test_time_s=3e7)) as service:
        window = open_window(service)
        click_tile(qtbot, window, "A1")
        drawn(qtbot, window)
        assert service.bench.run_view(service.bench.runs["A1"]).readings == 1_000_000
        asked = [int(query["points"]) for path, query in service.asked if path.endswith("A1/series")]
        assert asked and max(asked) <= MOST_POINTS
        _check_points(window)
        service.rows_whatever_is_asked = 6_000  # a service that gives more than it was asked for
        window.curves.set_span(86_400.0 * 100)
        qtbot.wait(300)
        drawn(qtbot, window)
        _check_points(window)


def _check_points(window: MainWindow) -> None:
    curves = window.curves
    singles = [figure.curve for figure in curves.over_time]
    singles += [curves.cycles.charge, curves.cycles.discharge, curves.cycles.efficiency, curves.cycle_pressure.bars]
    for curve in [*singles, *curves.profiles.curves, *curves.nyquist.curves]:
        x, _ = curve.getOriginalDataset()
        assert x is None or len(x) <= MOST_POINTS
    assert len(curves.voltage.curve.getOriginalDataset()[0]) > 100
    assert all(figure.curve.opts["pen"].width() == 1 for figure in curves.over_time)


def test_sixty_four_channels_fit_the_grid_and_scroll(open_window: Open) -> None:
    with FakeService(Bench(64)) as service:
        window = open_window(service)
        window.tiles.select("H8")
        assert window.tiles.visibleRegion().boundingRect().contains(window.tiles.tile_of("H8"))
        for _ in range(3):
            window.tiles.repaint()
        boxes = [window.tiles.tile_of(name) for name in service.bench.names]
        assert not any(a.intersects(b) for i, a in enumerate(boxes) for b in boxes[:i])
        window.tiles.select("B4")
        assert window.controls.reason.endswith(TRIP)


def test_a_view_without_news_reads_no_style_sheet(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Qt keeps some kilobytes of each that it reads: gigabytes a day at five views a second."""
    view = window.channel("A1")
    assert view is not None
    window.controls.show_channel(view)
    read: list[str] = []
    monkeypatch.setattr(QLabel, "setStyleSheet", lambda _, sheet: read.append(sheet))
    window.controls.show_channel(view)
    assert read == []


def test_both_themes_paint(qtbot: QtBot, window: MainWindow) -> None:
    drawn(qtbot, window)
    window.set_look(LIGHT)
    image = window.grab().toImage()
    window.set_look(DARK)
    assert image.pixelColor(4, image.height() // 2).lightness() > 200


# --- commands


@pytest.mark.parametrize(
    ("channel", "actions"),
    [
        ("A1", {Action.PAUSE, Action.SKIP, Action.STOP}),
        ("A3", {Action.RESUME, Action.STOP}),
        ("A4", {Action.CLEAR_TRIP}),
        ("A5", {Action.START}),
        ("A7", {Action.STOP}),
    ],
)
def test_buttons_follow_the_state(qtbot: QtBot, window: MainWindow, channel: str, actions: set[Action]) -> None:
    window.tiles.select(channel)
    qtbot.waitUntil(lambda: enabled(window) == actions, timeout=3000)


def test_pause_and_resume_name_who_asked(qtbot: QtBot, window: MainWindow, service: FakeService) -> None:
    window.header.operator.setText("m.kato")
    window.tiles.select("A1")
    click(qtbot, window, Action.PAUSE)
    qtbot.waitUntil(lambda: window.tiles.text_of("A1").state == "PAUSED", timeout=3000)
    click(qtbot, window, Action.RESUME)
    qtbot.waitUntil(lambda: window.tiles.text_of("A1").state == "RUNNING", timeout=3000)
    assert service.commands == [("pause", "A1", {"who": "m.kato"}), ("resume", "A1", {"who": "m.kato"})]


@pytest.mark.parametrize(("action", "verb"), [(Action.STOP, "stop"), (Action.SKIP, "skip")])
def test_stop_and_skip_ask_first(
    qtbot: QtBot, window: MainWindow, service: FakeService, action: Action, verb: str
) -> None:
    window.tiles.select("A1")
    click(qtbot, window, action)
    question = window.dialog
    assert isinstance(question, Confirmation)
    words = question.heading.text() + question.text.text()
    assert "A1" in words and "Si-011" in words and "20 d 04:" in words
    assert question.stay.isDefault()
    qtbot.mouseClick(question.stay, LEFT)
    qtbot.wait(150)
    assert service.commands == []
    click(qtbot, window, action)
    qtbot.mouseClick(window.dialog.go, LEFT)
    qtbot.waitUntil(lambda: service.verbs() == [verb], timeout=3000)


def test_an_answer_holds_for_the_run_that_was_asked_about(
    qtbot: QtBot, window: MainWindow, service: FakeService
) -> None:
    window.tiles.select("A1")
    click(qtbot, window, Action.STOP)
    service.bench.runs["A1"] = replace(service.bench.runs["A1"], run_id="the-next-run")
    qtbot.waitUntil(lambda: window.history.run_id == "the-next-run", timeout=3000)
    question = window.dialog
    assert isinstance(question, Confirmation)
    qtbot.mouseClick(question.go, LEFT)
    assert window.notices.texts()[0] == "A1: the channel has changed since the question; nothing was sent"
    qtbot.wait(100)
    assert service.commands == []


def test_a_trip_is_cleared_only_with_a_tick(qtbot: QtBot, window: MainWindow, service: FakeService) -> None:
    window.tiles.select("A4")
    click(qtbot, window, Action.CLEAR_TRIP)
    question = window.dialog
    assert isinstance(question, ClearTrip) and question.reason.text() == TRIP
    qtbot.mouseClick(question.go, LEFT)
    assert service.commands == [] and not question.go.isEnabled()
    question.tick.setChecked(True)
    qtbot.mouseClick(question.go, LEFT)
    qtbot.waitUntil(lambda: service.verbs() == ["clear-trip"], timeout=3000)


def test_start_sends_what_was_chosen(qtbot: QtBot, window: MainWindow, service: FakeService) -> None:
    window.header.operator.setText("m.kato")
    window.tiles.select("A5")
    click(qtbot, window, Action.START)
    dialog = window.dialog
    assert isinstance(dialog, StartDialog)
    qtbot.waitUntil(lambda: dialog.protocols.count() == 3, timeout=3000)
    assert [dialog.channels.itemText(i) for i in range(dialog.channels.count())] == ["A5"]
    dialog.cells.setCurrentIndex(1)
    assert "Rest for 4 h" in dialog.summary.text() and "Si-032" in dialog.consequence.text()
    dialog.protocols.setCurrentRow(2)
    service.refuse["start"] = "cell Si-032 has no active mass; add it to the cell's file"
    qtbot.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(dialog.problem.isVisible, timeout=3000)
    assert dialog.problem.text == service.refuse.pop("start")
    qtbot.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: not dialog.isVisible(), timeout=3000)
    wanted = {"protocol": "rate-test", "cell": "Si-032", "who": "m.kato"}
    for verb, channel, order in service.commands:
        assert (verb, channel) == ("start", "A5") and wanted.items() <= order.items()
    assert len(service.commands) == 2
    qtbot.waitUntil(lambda: window.history.run_id == "new-A5", timeout=3000)


def test_parameters_are_set_before_a_start_and_told_in_words(
    qtbot: QtBot, window: MainWindow, service: FakeService
) -> None:
    window.tiles.select("A5")
    click(qtbot, window, Action.START)
    dialog = window.dialog
    assert isinstance(dialog, StartDialog)
    qtbot.waitUntil(lambda: dialog.protocols.count() == 3, timeout=3000)
    assert dialog.parameters.isHidden(), "the first protocol declares none"
    dialog.protocols.setCurrentRow(2)
    assert {name: field.text() for name, field in dialog.parameters.fields.items()} == {"cycles": "5", "rate": "0.1 C"}
    assert "5 times at 0.1 C" in dialog.summary.text() and dialog.start.isEnabled()

    retype(qtbot, dialog.parameters.fields["cycles"], "many")
    assert not dialog.start.isEnabled()
    qtbot.waitUntil(lambda: dialog.problem.text == "cycles is a number, such as 5, not 'many'", timeout=3000)
    retype(qtbot, dialog.parameters.fields["cycles"], "12")
    qtbot.waitUntil(dialog.start.isEnabled, timeout=3000)
    assert "12 times at 0.1 C" in dialog.summary.text() and dialog.problem.text == ""

    retype(qtbot, dialog.parameters.fields["rate"], "fast")
    qtbot.waitUntil(lambda: "'fast' is not a current" in dialog.problem.text, timeout=3000)
    assert not dialog.start.isEnabled(), "nothing starts that the station could not read"
    retype(qtbot, dialog.parameters.fields["rate"], "0.1 C")
    qtbot.waitUntil(dialog.start.isEnabled, timeout=3000)
    qtbot.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: not dialog.isVisible(), timeout=3000)
    ((verb, channel, order),) = service.commands
    assert (verb, channel, order["parameters"]) == ("start", "A5", {"cycles": 12}), "what is as declared is not sent"


EXPIRED = "the calibration mfsr-A5 v3 expired on 2026-06-30"


def test_what_the_station_knows_against_a_run_is_read_before_and_after_its_start(
    qtbot: QtBot, own_window: MainWindow, own_service: FakeService
) -> None:
    own_service.bench.calibration_warnings["A5"] = EXPIRED
    own_service.warnings = (EXPIRED, "when cell Si-031 was assembled is not recorded")
    qtbot.waitUntil(lambda: (view := own_window.channel("A5")) and view.calibration_warning == EXPIRED, timeout=3000)
    own_window.tiles.select("A5")
    click(qtbot, own_window, Action.START)
    dialog = own_window.dialog
    assert isinstance(dialog, StartDialog)
    qtbot.waitUntil(dialog.start.isEnabled, timeout=3000)
    assert dialog.caution.text == EXPIRED
    qtbot.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(lambda: dialog.caution.text.startswith("The run has begun."), timeout=3000)
    assert "was assembled is not recorded" in dialog.caution.text
    assert dialog.isVisible() and not dialog.start.isEnabled() and dialog.cancel.text() == "Close"
    qtbot.mouseClick(dialog.cancel, LEFT)
    assert not dialog.isVisible() and own_service.verbs() == ["start"]


def test_zero_and_assembly_are_recorded_from_the_start_dialog(
    qtbot: QtBot, own_window: MainWindow, own_service: FakeService
) -> None:
    own_window.header.operator.setText("m.kato")
    own_window.tiles.select("A5")
    click(qtbot, own_window, Action.START)
    dialog = own_window.dialog
    assert isinstance(dialog, StartDialog)
    qtbot.waitUntil(dialog.start.isEnabled, timeout=3000)
    cell = dialog.cells.currentData().name

    qtbot.mouseClick(dialog.events.zero, LEFT)
    question = dialog.question
    assert isinstance(question, RecordEvent) and "without any load" in question.text.text()
    assert question.stay.isDefault()
    qtbot.mouseClick(question.stay, LEFT)
    assert own_service.commands == []

    qtbot.mouseClick(dialog.events.zero, LEFT)
    assert isinstance(dialog.question, RecordEvent)
    qtbot.mouseClick(dialog.question.go, LEFT)
    qtbot.waitUntil(lambda: "in-cell zero" in dialog.told.text() and "22.00 MΩ" in dialog.told.text(), timeout=3000)

    qtbot.mouseClick(dialog.events.assembled, LEFT)
    assert isinstance(dialog.question, RecordEvent)
    dialog.question.ago.setValue(20)
    qtbot.mouseClick(dialog.question.go, LEFT)
    qtbot.waitUntil(lambda: "546 ± 36 kPa" in dialog.told.text(), timeout=3000)
    assert own_window.station is not None
    for (verb, of, order), kind in zip(own_service.commands, ("in-cell zero", "assembled"), strict=True):
        assert (verb, of, order["kind"], order["channel"], order["who"]) == ("events", cell, kind, "A5", "m.kato")
    assert own_service.commands[0][2]["at"] is None
    assert 1100 < own_window.station.time - own_service.commands[1][2]["at"] < 2400, "the bench's clock runs fast"

    own_service.refuse["events"] = "channel A5 runs cell Si-007"
    qtbot.mouseClick(dialog.events.zero, LEFT)
    assert isinstance(dialog.question, RecordEvent)
    qtbot.mouseClick(dialog.question.go, LEFT)
    qtbot.waitUntil(lambda: dialog.problem.text == own_service.refuse["events"], timeout=3000)
    dialog.reject()


def retype(qtbot: QtBot, field: QLineEdit, text: str) -> None:
    field.selectAll()
    qtbot.keyClicks(field, text)


# --- a question to the operator


QUESTION = "Open the argon valve, wait until the flow is steady, then confirm"


def ask(qtbot: QtBot, window: MainWindow, service: FakeService, channel: str = "A1") -> None:
    service.bench.questions[channel] = QUESTION
    qtbot.waitUntil(lambda: window.tiles.text_of(channel).question == QUESTION, timeout=3000)


def test_a_question_is_a_banner_on_its_tile_and_beside_it(
    qtbot: QtBot, window: MainWindow, service: FakeService
) -> None:
    click_tile(qtbot, window, "A1")
    assert Action.CONFIRM not in enabled(window) and window.controls.buttons[Action.CONFIRM].isHidden()
    assert _share_of(window.tiles.grab().toImage(), window, "A1", window.look.warning_fill) == 0.0
    ask(qtbot, window, service)
    assert f"waits for you: {QUESTION}" in window.tiles.text_of("A1").lines()
    image = window.tiles.grab().toImage()
    assert _share_of(image, window, "A1", window.look.warning_fill) > 0.15
    assert _share_of(image, window, "A2", window.look.warning_fill) == 0.0
    qtbot.waitUntil(lambda: QUESTION in window.controls.question, timeout=3000)
    assert Action.CONFIRM in enabled(window)


def test_the_button_on_the_tile_asks_for_a_note_and_sends_it(
    qtbot: QtBot, window: MainWindow, service: FakeService
) -> None:
    window.header.operator.setText("m.kato")
    ask(qtbot, window, service, "A2")
    qtbot.mouseClick(window.tiles, LEFT, pos=window.tiles.confirm_button_of("A2").center())
    dialog = window.dialog
    assert isinstance(dialog, Answer) and window.tiles.selection == "A2"
    assert dialog.question.text() == QUESTION and "channel A2" in dialog.windowTitle()
    qtbot.keyClicks(dialog.note, "flow 20 sccm at 10:03")
    qtbot.keyClick(dialog.note, Qt.Key.Key_Return)
    assert service.commands == [], "the return key is no answer"
    qtbot.mouseClick(dialog.go, LEFT)
    qtbot.waitUntil(lambda: service.verbs() == ["confirm"], timeout=3000)
    assert service.commands[0][1:] == ("A2", {"who": "m.kato", "answer": "flow 20 sccm at 10:03"})
    qtbot.waitUntil(lambda: window.tiles.text_of("A2").question == "", timeout=3000)


def test_not_yet_sends_nothing_and_a_question_that_changed_is_not_answered(
    qtbot: QtBot, window: MainWindow, service: FakeService
) -> None:
    ask(qtbot, window, service)
    window.tiles.select("A1")
    click(qtbot, window, Action.CONFIRM)
    assert isinstance(window.dialog, Answer)
    qtbot.mouseClick(window.dialog.stay, LEFT)
    click(qtbot, window, Action.CONFIRM)
    service.bench.questions["A1"] = "Close the valve"
    qtbot.waitUntil(lambda: window.tiles.text_of("A1").question == "Close the valve", timeout=3000)
    assert isinstance(window.dialog, Answer)
    qtbot.mouseClick(window.dialog.go, LEFT)
    assert any("has changed since the question" in text for text in window.notices.texts())
    assert service.commands == []


# --- markers


def test_markers_are_lines_in_the_time_plots_and_named_under_the_pointer(
    qtbot: QtBot, window: MainWindow, service: FakeService
) -> None:
    window.tiles.select("A1")
    window.curves.set_span(None)
    drawn(qtbot, window)
    run = service.bench.runs["A1"]
    expected = [marker.test_time_s for marker in run.markers(service.bench.now_s(run))]
    assert len(expected) == 3
    for figure in (each for each in window.curves.over_time if each.isVisible()):  # a low window leaves one out
        qtbot.waitUntil(lambda figure=figure: len(figure.lines.shown_times(figure.lines.viewRect())) == 3, timeout=3000)
        assert list(figure.lines.shown_times(figure.lines.viewRect())) == pytest.approx(expected)
    assert "⚑ image 40" in window.curves.voltage.read_at(expected[2])
    assert "⚑" not in window.curves.voltage.read_at(0.5 * (expected[1] + expected[2]))
    figure = window.curves.voltage
    figure.curve.hide()
    marked = figure.grab().toImage()
    figure.mark(())
    bare = figure.grab().toImage()
    places = [(x, y) for x in range(marked.width()) for y in range(marked.height())]
    inked = [place for place in places if marked.pixel(*place) != bare.pixel(*place)]
    assert len({x for x, _ in inked}) in (2, 3), "one at each marker, but where the axis is in its way"
    assert max(y for _, y in inked) - min(y for _, y in inked) > 0.5 * marked.height(), "over the whole height"
    figure.mark(run.markers(service.bench.now_s(run)))
    figure.curve.show()


def test_a_marker_that_is_made_is_fetched_without_the_ones_before(
    qtbot: QtBot, window: MainWindow, service: FakeService
) -> None:
    window.tiles.select("A2")
    drawn(qtbot, window)
    run = service.bench.runs["A2"]
    service.asked.clear()
    run.marked[99] = service.bench.now_s(run)
    try:
        service.bench.say("image 99 (step 5.1 discharge, cycle 44)", "A2", Level.MARKER)
        qtbot.waitUntil(lambda: len(window.curves.voltage.lines.shown_times(QRectF(0, 0, 1e9, 1))) == 4, timeout=5000)
        asked = [query for path, query in service.asked if path.endswith("/markers")]
        assert all(float(query["since"]) == run.edges[4 * 39] for query in asked[:1])
    finally:
        run.marked.clear()


def test_thousands_of_markers_are_a_few_lines(qtbot: QtBot) -> None:
    lines = MarkerLines()
    lines.set_times(np.arange(0.0, 1e6, 10.0))
    assert len(lines.shown_times(QRectF(0.0, 0.0, 1e6, 1.0))) == MOST_LINES
    assert list(lines.shown_times(QRectF(95.0, 0.0, 20.0, 1.0))) == [100.0, 110.0]


def test_markers_can_be_left_out_of_the_events(window: MainWindow, service: FakeService, qtbot: QtBot) -> None:
    model = window.events.model
    service.bench.say("tilt (step 5.1 discharge, cycle 49)", "A1", Level.MARKER)
    qtbot.waitUntil(lambda: model.rowCount() > 0 and model.event_at(0).text.startswith("tilt"), timeout=3000)
    window.events.levels.setCurrentText("All but markers")
    assert all(model.event_at(row).level is not Level.MARKER for row in range(model.rowCount()))
    window.events.levels.setCurrentText("Markers")
    assert model.event_at(0).text.startswith("tilt")
    window.events.levels.setCurrentIndex(0)


def test_a_refused_command_shows_the_services_words(qtbot: QtBot, window: MainWindow, service: FakeService) -> None:
    service.refuse["pause"] = "a spectrum is being measured on A1; wait for 40 s or stop the run"
    window.tiles.select("A1")
    click(qtbot, window, Action.PAUSE)
    words = "A1: a spectrum is being measured on A1; wait for 40 s or stop the run"
    qtbot.waitUntil(lambda: words in window.notices.texts(), timeout=3000)
    assert window.notices.isVisible()
    assert Action.PAUSE in enabled(window)


# --- the log


def test_events_are_newest_first_and_filtered(qtbot: QtBot, window: MainWindow, service: FakeService) -> None:
    model = window.events.model
    qtbot.waitUntil(lambda: model.rowCount() >= 6, timeout=3000)
    numbers = [model.event_at(row).number for row in range(model.rowCount())]
    assert numbers == sorted(numbers, reverse=True)
    service.bench.say("step 5.2 begins", "A1")
    qtbot.waitUntil(lambda: model.event_at(0).text == "step 5.2 begins", timeout=3000)
    window.events.levels.setCurrentIndex(1)
    assert {model.event_at(row).level for row in range(model.rowCount())} == {Level.WARNING, Level.ALARM}
    window.events.levels.setCurrentIndex(0)
    window.events.channels.setCurrentText("A3")
    assert [model.event_at(row).who for row in range(model.rowCount())] == ["m.kato"]
    window.events.channels.setCurrentText(SELECTED)
    window.tiles.select("A7")
    assert {model.event_at(row).channel for row in range(model.rowCount())} == {"A7"}
    service.bench.say("somewhere else", "A1")
    qtbot.wait(250)
    assert {model.event_at(row).channel for row in range(model.rowCount())} == {"A7"}
    window.events.channels.setCurrentIndex(0)


# --- the connection


def test_the_service_dies_and_comes_back(qtbot: QtBot, own_window: MainWindow, own_service: FakeService) -> None:
    own_window.tiles.select("A1")
    drawn(qtbot, own_window)
    own_service.stop()
    qtbot.waitUntil(lambda: "trying again" in own_window.away.text, timeout=3000)
    assert own_window.away.text.startswith(f"No station at {own_service.url} – trying again")
    assert "Tests go on without this window." in own_window.away.text
    assert enabled(own_window) == set()
    own_service.bench.say("said while the window was deaf", "A1")
    own_service.start()
    qtbot.waitUntil(lambda: not own_window.away.isVisible(), timeout=5000)
    qtbot.waitUntil(lambda: Action.PAUSE in enabled(own_window), timeout=3000)
    qtbot.waitUntil(lambda: own_window.events.model.event_at(0).text == "said while the window was deaf", timeout=3000)
    assert own_window.events.model.rowCount() == 7
    drawn(qtbot, own_window)
    assert own_window.notices.texts() == []


def test_a_wrong_token_is_told_in_the_services_words(qtbot: QtBot, service: FakeService) -> None:
    feed = LiveFeed(service.url, "wrong")
    with qtbot.waitSignal(feed.lost, timeout=3000) as lost:
        feed.start()
    feed.stop()
    assert lost.args is not None and lost.args[0] == "missing or wrong token"


def test_a_slow_service_does_not_hold_the_window_up(qtbot: QtBot, window: MainWindow, service: FakeService) -> None:
    service.delay_s = 0.5
    before = window.station
    window.tiles.select("A2")
    window.tiles.select("A1")
    qtbot.waitUntil(lambda: window.station is not before, timeout=400)
    service.delay_s = 0.0
    drawn(qtbot, window)
    assert window.history.run_id == service.bench.runs["A1"].run_id


# --- the program


def test_grab_waits_for_the_curves(window: MainWindow, tmp_path: Path) -> None:
    window.tiles.select("A1")
    grab(window, tmp_path / "dashboard.png")
    assert window.curves.voltage.has_data()
    image = QImage(str(tmp_path / "dashboard.png"))
    assert (image.width(), image.height()) == (window.width(), window.height())
    with pytest.raises(OSError, match="cannot write"):
        grab(window, tmp_path / "no such folder" / "dashboard.png")


def test_run_takes_a_screenshot_and_ends(service: FakeService, tmp_path: Path) -> None:
    assert run(service.url, service.token, screenshot=tmp_path / "shot.png", seconds=0.1) == 0
    assert (tmp_path / "shot.png").stat().st_size > 50_000


@pytest.mark.parametrize("url", ["http://[nowhere", "127.0.0.1:8765", "http://host:99999", "ftp://host"])
def test_run_says_what_is_no_address(capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert run(url, "") == 2
    assert "is not the address of a station" in capsys.readouterr().err


def test_calls_that_return_nothing_lose_no_reference(qtbot: QtBot) -> None:
    """PySide6 6.12 on Python 3.11 dies here: each void call takes a reference from None."""
    label = QLabel()
    qtbot.addWidget(label)
    for number in range(50_000):
        label.setText("a" if number % 2 else "b")
    assert label.text() == "a"
