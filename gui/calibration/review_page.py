"""The fourth page: what the measurements come to, which points are doubtful, and the signature."""

from __future__ import annotations

import datetime

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from calibration.record import Calibration
from gui.banners import Banner
from gui.calibration.budget import BudgetPanel, ModelsPanel
from gui.calibration.fields import Card, DateField, button, put, words
from gui.calibration.points import PointList
from gui.calibration.review_figures import CurveFigure, HysteresisFigure, ResidualFigure
from gui.theme import TOUCH, Theme
from station.calibration_views import CalibrationView, Deed, DeedOrder, PointView

A_YEAR = 365  # days
MOST_WARNINGS = 2


class ReviewPage(QWidget):
    wanted = Signal(object, object)  # Deed, PointView or None
    signed = Signal(object)  # DeedOrder
    fit_wanted = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._view: CalibrationView | None = None
        self._points: tuple[PointView, ...] = ()  # with the fit's suspects
        self._alive = True
        self.record: Calibration | None = None
        self.kept: frozenset[int] = frozenset()
        self.headline = QLabel()
        self.warnings = Banner("warning", theme)
        self.problem = Banner("danger", theme)
        self.curve, self.residual = CurveFigure(theme), ResidualFigure(theme)
        self.hysteresis = HysteresisFigure(theme)
        self.budget, self.models, self.points = BudgetPanel(theme), ModelsPanel(), PointList(theme, keeps=True)
        self.tabs: dict[str, QPushButton] = {}
        self.authorised_by = words("authorised by")
        self.note = words("note for the record (may be left empty)")
        self.expires = DateField("Expires", datetime.date.today() + datetime.timedelta(days=A_YEAR))
        self.sign = button("Sign …", "primary", self._sign)
        self.abandon = button("Abandon …", "danger", lambda: self.wanted.emit(Deed.ABANDON, None))
        self.what_is_missing = QLabel()
        self._build()
        self.points.wanted.connect(self.wanted)
        self.points.kept.connect(self._keep)
        self.authorised_by.textChanged.connect(lambda _: self._enable())
        self.expires.changed.connect(self._enable)

    def _build(self) -> None:
        self.headline.setProperty("role", "title")
        self.headline.setWordWrap(True)
        plots = QGridLayout()
        plots.setSpacing(8)
        plots.addWidget(self.curve, 0, 0, 1, 2)
        plots.addWidget(self.residual, 1, 0)
        plots.addWidget(self.hysteresis, 1, 1)
        plots.setRowStretch(0, 5)
        plots.setRowStretch(1, 4)
        right = Card()
        right.body.addLayout(self._build_tabs())
        right.body.addWidget(self.stack, 1)
        right.setMinimumWidth(520)
        sides = QHBoxLayout()
        sides.setSpacing(10)
        sides.addLayout(plots, 5)
        sides.addWidget(right, 4)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for widget in (self.headline, self.problem, self.warnings):
            column.addWidget(widget)
        column.addLayout(sides, 1)
        column.addWidget(self._build_signature())

    def _build_tabs(self) -> QHBoxLayout:
        self.stack = QStackedWidget()
        row = QHBoxLayout()
        row.setSpacing(6)
        group = QButtonGroup(self)
        for name, panel in (("Budget", self.budget), ("Models", self.models), ("Points", self.points)):
            self.stack.addWidget(panel)
            tab = button(name, "action", lambda panel=panel: self.stack.setCurrentWidget(panel))  # type: ignore[misc]
            tab.setCheckable(True)
            group.addButton(tab)
            row.addWidget(tab, 1)
            self.tabs[name] = tab
        self.tabs["Budget"].setChecked(True)
        return row

    def _build_signature(self) -> Card:
        card = Card()
        row = QHBoxLayout()
        row.setSpacing(10)
        self.what_is_missing.setProperty("role", "dim")
        self.what_is_missing.setWordWrap(True)
        for label, field, stretch in (
            ("Authorised by", self.authorised_by, 2),
            ("Expires", self.expires, 0),
            ("Note", self.note, 2),
        ):
            name = QLabel(label)
            name.setProperty("role", "name")
            name.setMinimumHeight(TOUCH)
            row.addWidget(name)
            row.addWidget(field, stretch)
        row.addWidget(self.sign, 1)
        row.addWidget(self.abandon, 1)
        card.body.addLayout(row)
        card.body.addWidget(self.what_is_missing)
        return card

    def set_theme(self, theme: Theme) -> None:
        for part in (self.warnings, self.problem, self.curve, self.residual, self.hysteresis, self.budget, self.points):
            part.set_theme(theme)
        self._draw()

    # --- what is shown

    def begin(self) -> None:
        """Another session."""
        self.kept, self.record, self._view = frozenset(), None, None
        self._points = ()

    def show_view(self, view: CalibrationView, alive: bool, doing: Deed | None) -> None:
        """Asks for the fit where the points that are used have changed."""
        changed = self._view is None or self._view.points != view.points or self._view.session != view.session
        self._view, self._alive = view, alive and doing is None
        if changed:
            self.record = None
            self.fit_wanted.emit()
        self._show_points()
        self._enable()

    def wait(self) -> None:
        put(self.headline, f"{self._view.sensor if self._view else ''}: evaluating …")
        self._enable()

    def show_record(self, record: Calibration) -> None:
        self.record = record
        self.problem.say("")
        self.warnings.say(_some(record.evaluation.warnings))
        self.warnings.setToolTip("\n".join(record.evaluation.warnings))
        self._draw()
        self._enable()

    def refuse(self, why: str) -> None:
        """The points make no calibration, in the service's words."""
        self.record = None
        put(self.headline, "These points make no calibration yet")
        self.problem.say(why)
        self._show_points()
        self._enable()

    def _draw(self) -> None:
        record = self.record
        self._show_points()
        if record is None:
            return
        put(self.headline, _headline(record))
        self.curve.draw(record, self._points)
        self.residual.draw(record, self._points)
        self.hysteresis.draw(record, self._points)
        self.budget.draw(record.evaluation.budgets)
        self.models.draw(record.evaluation.choice)

    def _show_points(self) -> None:
        """Suspects first."""
        if self._view is None:
            return
        found = set(self.record.evaluation.choice.suspects) if self.record else set()
        self._points = tuple(
            point.model_copy(update={"suspect": True}) if point.index in found else point for point in self._view.points
        )
        ranked = sorted(self._points, key=lambda point: (not (point.suspect and not point.excluded), point.index))
        self.points.show_points(tuple(ranked), self._view.deeds, self._alive, self.kept)
        open_ones = len(self.undecided())
        word = f"Points ({open_ones} to decide)" if open_ones else "Points"
        if self.tabs["Points"].text() != word:
            self.tabs["Points"].setText(word)

    def undecided(self) -> list[PointView]:
        return [
            point for point in self._points if point.suspect and not point.excluded and point.index not in self.kept
        ]

    def _keep(self, point: PointView) -> None:
        self.kept |= {point.index}
        self._show_points()
        self._enable()

    # --- the signature

    def missing(self) -> str:
        """What stands between here and the signature."""
        if self.record is None:
            return "The evaluation is not there."
        open_ones = self.undecided()
        if open_ones:
            names = ", ".join(str(point.index + 1) for point in open_ones[:6])
            return f"Look at the suspect points first (tab 'Points'): mark or keep {names}."
        if self._view is not None and Deed.SIGN not in self._view.deeds:
            return "The station does not take a signature now."
        if not self.authorised_by.text().strip():
            return "Fill in who authorises it."
        try:
            self.expires.day()
        except ValueError as error:
            return str(error)
        return ""

    def _enable(self) -> None:
        missing = self.missing()
        put(self.what_is_missing, missing)
        self.what_is_missing.setVisible(bool(missing))
        self.sign.setEnabled(not missing and self._alive)
        self.abandon.setEnabled(self._alive and self._view is not None and Deed.ABANDON in self._view.deeds)

    def order(self) -> DeedOrder:
        kept = ", ".join(str(index + 1) for index in sorted(self.kept & {point.index for point in self._points}))
        looked_at = f"Suspect points looked at and kept: {kept}." if kept else ""
        return DeedOrder(
            authorised_by=self.authorised_by.text().strip(),
            expires=self.expires.day(),
            note=" ".join(part for part in (self.note.text().strip(), looked_at) if part),
        )

    def _sign(self) -> None:
        if not self.missing():
            self.signed.emit(self.order())


def _some(warnings: tuple[str, ...]) -> str:
    """So many that the plots keep their room."""
    more = len(warnings) - MOST_WARNINGS
    return "\n".join((*warnings[:MOST_WARNINGS], *([f"… and {more} more"] if more > 0 else [])))


def _headline(record: Calibration) -> str:
    pressures = [force / record.area.value_m2 / 1e3 for force in (record.force_min_N, record.force_max_N)]
    spreads = [budget.expanded * 100 for budget in record.evaluation.budgets]
    within = f", U = {min(spreads):.1f} to {max(spreads):.1f} % (k = 2)" if spreads else ""
    return f"{record.id}: {pressures[0]:.3g} to {pressures[1]:.3g} kPa{within}"
