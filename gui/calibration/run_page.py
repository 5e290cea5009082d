"""The third page: what to do next in large words, where the force is, what is at rest, and the curve as it grows."""

from __future__ import annotations

import re

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from gui import quantities
from gui.calibration.fields import Card, button, put
from gui.calibration.figures import ForceTrace, GrowingCurve, ResistanceTrace
from gui.calibration.gauge import Gauge, Lamp
from gui.calibration.points import PointList
from gui.calibration.questions import seems_loaded
from gui.theme import Theme
from station.calibration_views import CalibrationView, Deed, Stage

LOW = 760  # px of the page: below, the words are a size smaller
WORDS = {
    Deed.CONFIRM: "Done, go on",
    Deed.TAKE: "Take anyway …",
    Deed.PAUSE: "Pause",
    Deed.RESUME: "Go on",
    Deed.SKIP: "Skip …",
    Deed.ABANDON: "Abandon …",
}


def together(text: str) -> str:
    """A number and its unit stay on one line."""
    return re.sub(r"(?<=\d) (?=(?:N|kPa|s|min|h)\b)", "\u00a0", text)


class RunPage(QWidget):
    wanted = Signal(object, object)  # Deed, PointView or None
    left = Signal()
    taken_up = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._view: CalibrationView | None = None
        self._instruction_px = 0
        self.title, self.instruction = QLabel(), QLabel()
        self.gauge = Gauge(theme)
        self.lamps = {name: Lamp(name, theme) for name in ("On target", "Force", "Resistance", "Reading")}
        self.burst = QProgressBar()
        self.burst.setTextVisible(False)
        self.force, self.resistance = ForceTrace(theme), ResistanceTrace(theme)
        self.curve = GrowingCurve(theme)
        self.points = PointList(theme)
        self.progress, self.progress_bar = QLabel(), QProgressBar()
        self.progress_bar.setTextVisible(False)
        self.keys: dict[Deed, QPushButton] = {}
        self.leave = button("Leave", "action", self.left.emit)
        self.leave.setToolTip("Close this window: the calibration goes on in the station and can be taken up again")
        self.take_up = button("Take it up again", "primary", self.taken_up.emit)
        self._build()
        self.set_theme(theme)

    def _build(self) -> None:
        for deed, word in WORDS.items():
            role = {Deed.CONFIRM: "primary", Deed.RESUME: "primary", Deed.ABANDON: "danger"}.get(deed, "action")
            self.keys[deed] = button(word, role, lambda deed=deed: self.wanted.emit(deed, None))  # type: ignore[misc]
        self.points.wanted.connect(self.wanted)
        sides = QHBoxLayout()
        sides.setSpacing(10)
        sides.addLayout(self._left(), 3)
        sides.addLayout(self._right(), 2)
        keys = QHBoxLayout()
        keys.setSpacing(8)
        keys.addWidget(self.take_up, 2)
        for deed in (Deed.CONFIRM, Deed.TAKE, Deed.PAUSE, Deed.RESUME, Deed.SKIP):
            keys.addWidget(self.keys[deed], 2 if deed is Deed.CONFIRM else 1)
        keys.addWidget(self.leave, 1)
        keys.addWidget(self.keys[Deed.ABANDON], 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(sides, 1)
        column.addLayout(keys)

    def _left(self) -> QVBoxLayout:
        words = Card()
        self.title.setProperty("role", "dim")
        for label in (self.title, self.instruction):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            words.body.addWidget(label)
        words.body.setSpacing(2)
        self.instruction.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        words.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        lamps = QHBoxLayout()
        lamps.setSpacing(8)
        for lamp in self.lamps.values():
            lamps.addWidget(lamp, 1)
        traces = QHBoxLayout()
        traces.setSpacing(8)
        traces.addWidget(self.force, 1)
        traces.addWidget(self.resistance, 1)
        column = QVBoxLayout()
        column.setSpacing(8)
        column.addWidget(words)
        column.addWidget(self.gauge)
        column.addLayout(lamps)
        column.addWidget(self.burst)
        column.addLayout(traces, 1)
        return column

    def _right(self) -> QVBoxLayout:
        card = Card()
        self.progress.setProperty("role", "heading")
        card.body.addWidget(self.progress)
        card.body.addWidget(self.progress_bar)
        column = QVBoxLayout()
        column.setSpacing(8)
        column.addWidget(card)
        column.addWidget(self.curve, 5)
        column.addWidget(self.points, 4)
        return column

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        for part in (self.gauge, self.curve, self.points):
            part.set_theme(theme)
        for lamp in self.lamps.values():
            lamp.set_theme(theme)
        self.force.paint_in(theme, theme.text)
        self.resistance.paint_in(theme, theme.accent)
        self._dress(anew=True)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._dress()

    def _dress(self, anew: bool = False) -> None:
        pixels = 22 if self.height() < LOW else 30
        if anew or pixels != self._instruction_px:
            self._instruction_px = pixels
            self.instruction.setStyleSheet(f"font-size: {pixels}px; font-weight: 600; color: {self._theme.text};")
            self.title.setStyleSheet(f"font-size: {15 if pixels < 30 else 17}px;")
            self.instruction.setMinimumHeight(2 * (pixels + 8))  # two lines, so that nothing below jumps

    # --- what is shown

    def show_view(self, view: CalibrationView, alive: bool, doing: Deed | None) -> None:
        """`alive`: the service answers; `doing`: what it was asked and has not answered."""
        self._view = view
        put(self.title, f"{view.sensor}   –   {view.title}" + ("   –   PAUSED" if view.paused else ""))
        put(self.instruction, together(view.instruction))
        self.gauge.show_view(view, alive)
        self._show_lamps(view)
        self._show_progress(view)
        band = None
        if view.target_N and view.tolerance_N:
            band = (view.target_N - view.tolerance_N, view.target_N + view.tolerance_N)
        self.force.draw_trace(view.trace, view.trace.force_N, band)
        self.resistance.draw_trace(view.trace, view.trace.resistance_ohm, None)
        for figure in (self.force, self.resistance):
            figure.say("" if figure.has_data() else "No reading yet")
        self.curve.show_view(view)
        newest_first = tuple(reversed(view.points))
        self.points.show_points(newest_first, view.deeds, alive and doing is None)
        self._enable(view, alive, doing)

    def _show_lamps(self, view: CalibrationView) -> None:
        at_work = view.target_N is not None and not view.paused
        for name, well, yes, no in (
            ("On target", view.force_ok, "on target", "not yet"),
            ("Force", view.force_stable, "steady", "moving"),
            ("Resistance", view.resistance_stable, "steady", "moving"),
        ):
            word = (yes if well else no) if at_work else quantities.NOTHING
            self.lamps[name].show_state(word, ("lit" if well else "waiting") if at_work else "idle")
        if view.taking is not None:
            self.lamps["Reading"].show_state(f"taking, {view.taking * 100:.0f} %", "lit")
        elif view.dwell_left_s > 0 and at_work:
            self.lamps["Reading"].show_state(f"in {quantities.about(view.dwell_left_s)}", "waiting")
        elif at_work:
            waited = f"waiting {quantities.about(view.waited_s)}" if view.waited_s >= 1 else "waiting"
            self.lamps["Reading"].show_state(waited, "waiting")
        else:
            self.lamps["Reading"].show_state(quantities.NOTHING, "idle")
        self.burst.setValue(round(100 * (view.taking or 0.0)))

    def _show_progress(self, view: CalibrationView) -> None:
        left = f", about {quantities.about(view.remaining_s)} left" if view.remaining_s is not None else ""
        now = min(view.step + 1, view.steps)
        put(self.progress, f"Step {now} of {view.steps}{left}")
        self.progress_bar.setMaximum(max(1, view.steps))
        self.progress_bar.setValue(view.step)

    def _enable(self, view: CalibrationView, alive: bool, doing: Deed | None) -> None:
        for deed, key in self.keys.items():
            offered = deed in view.deeds
            key.setEnabled(offered and alive and doing is None)
            word = "Asking the station …" if doing is deed else WORDS[deed]
            if deed is Deed.CONFIRM and doing is None and seems_loaded(view):
                word = "There is no load …"
            if key.text() != word:
                key.setText(word)
        interrupted = view.paused and not view.deeds  # since the station was started
        self.take_up.setVisible(interrupted)
        self.take_up.setEnabled(alive)
        self.keys[Deed.RESUME].setVisible(Deed.RESUME in view.deeds)
        self.keys[Deed.PAUSE].setVisible(Deed.RESUME not in view.deeds and not interrupted)
        self.keys[Deed.CONFIRM].setVisible(Deed.CONFIRM in view.deeds)
        self.keys[Deed.TAKE].setVisible(Deed.TAKE in view.deeds or not (interrupted or Deed.CONFIRM in view.deeds))

    @property
    def stage(self) -> Stage | None:
        return self._view.stage if self._view else None
