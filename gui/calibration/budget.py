"""What the uncertainty is made of, at one force: a table with a bar for the share of each contribution."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from calibration.models import LogPolynomial, Model
from calibration.results import Budget, Candidate, Choice, Component
from gui import quantities
from gui.calibration.fields import choice, dim, put
from gui.theme import TOUCH, Theme

SHORT = {
    "power": "power law",
    "conductance": "linear conductance",
    "series": "series resistance",
    "offset-power": "power with offset",
    "spline": "monotone spline",
}
ROOMY = 600  # px
SHARE = Qt.ItemDataRole.UserRole


def plain_table(headings: tuple[str, ...], stretch: int) -> QTableWidget:
    table = QTableWidget(0, len(headings))
    table.setHorizontalHeaderLabels(headings)
    table.setProperty("role", "roomy")
    table.setShowGrid(False)
    table.setAlternatingRowColors(True)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setWordWrap(False)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(30)
    head = table.horizontalHeader()
    head.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    for column in range(len(headings)):
        mode = QHeaderView.ResizeMode.Stretch if column == stretch else QHeaderView.ResizeMode.Fixed
        head.setSectionResizeMode(column, mode)
    return table


def cell(text: str, tip: str = "", right: bool = False) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setToolTip(tip or text)
    if right:
        item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item


class Bars(QStyledItemDelegate):
    """A bar from the left edge, as long as the share of the variance; its number stands in it or beside it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        share = index.data(SHARE)
        if share is None:
            super().paint(painter, option, index)
            return
        box = QRectF(option.rect).adjusted(6, 7, -58, -7)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self.theme.accent))
        if share > 0:
            painter.drawRoundedRect(QRectF(box.left(), box.top(), max(2.0, box.width() * share), box.height()), 3, 3)
        painter.setPen(QColor(self.theme.text))
        beside = QRectF(option.rect).adjusted(0, 0, -8, 0)
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(beside, int(flags), f"{share * 100:.0f} %" if share >= 0.005 or share == 0 else "< 1 %")
        painter.restore()


class BudgetPanel(QWidget):
    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._budgets: tuple[Budget, ...] = ()
        self.forces = choice()
        self.total = QLabel()
        self.total.setProperty("role", "heading")
        self.total.setWordWrap(True)
        self.table = plain_table(("Contribution", "Standard", "Type", "Distribution", "Share of the variance"), 4)
        for column, width in enumerate((226, 80, 50, 108)):
            self.table.setColumnWidth(column, width)
        self._bars = Bars(theme)
        self.table.setItemDelegateForColumn(4, self._bars)
        self.check = dim()
        line = QHBoxLayout()
        line.setSpacing(10)
        label = QLabel("At")
        label.setMinimumHeight(TOUCH)
        line.addWidget(label)
        line.addWidget(self.forces, 1)
        column_box = QVBoxLayout(self)
        column_box.setContentsMargins(0, 0, 0, 0)
        column_box.setSpacing(6)
        column_box.addLayout(line)
        column_box.addWidget(self.total)
        column_box.addWidget(self.table, 1)
        column_box.addWidget(self.check)
        self.forces.currentIndexChanged.connect(self._show)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.table.setColumnHidden(3, self.width() < ROOMY)  # the bars say more than the distributions do

    def set_theme(self, theme: Theme) -> None:
        self._bars.theme = theme
        self.table.viewport().update()

    def draw(self, budgets: tuple[Budget, ...]) -> None:
        self._budgets = budgets
        chosen = self.forces.currentIndex()
        self.forces.blockSignals(True)
        self.forces.clear()
        for budget in budgets:
            where = f"{quantities.force(budget.force_N)}  =  {quantities.kilopascals(budget.pressure_Pa)}"
            self.forces.addItem(f"{where}  ({quantities.resistance(budget.resistance_ohm)})")
        self.forces.setCurrentIndex(chosen if 0 <= chosen < len(budgets) else len(budgets) // 2)
        self.forces.blockSignals(False)
        self._show()

    def _show(self) -> None:
        index = self.forces.currentIndex()
        if not 0 <= index < len(self._budgets):
            return
        budget = self._budgets[index]
        parts = sorted(budget.components, key=lambda part: -part.relative)
        self.table.setRowCount(len(parts))
        variance = budget.combined**2 or 1.0
        for row, part in enumerate(parts):
            for column, item in enumerate(_cells(part, variance)):
                self.table.setItem(row, column, item)
        stated = quantities.pressure(budget.pressure_Pa, budget.expanded * budget.pressure_Pa)
        put(self.total, f"{stated} (k = 2): {quantities.share(budget.expanded)} of the pressure")
        degrees = "infinite" if budget.degrees_of_freedom is None else f"{budget.degrees_of_freedom:.0f}"
        put(
            self.check,
            f"Combined {quantities.share(budget.combined)}, effective degrees of freedom {degrees}, "
            f"factor for few readings {budget.few_readings:.3f}. Propagation of distributions, "
            f"{budget.monte_carlo_draws:,} draws: {quantities.share(budget.monte_carlo_standard)}; "
            f"95 % interval × {budget.low:.3f} … {budget.high:.3f}.",
        )


def _cells(part: Component, variance: float) -> tuple[QTableWidgetItem, ...]:
    evaluated = bool(part.evaluation)
    bar = cell("" if evaluated else quantities.NOTHING, right=True)
    if evaluated:
        bar.setData(SHARE, part.relative**2 / variance)
    return (
        cell(part.name, part.note or part.name),
        cell(quantities.share(part.relative) if evaluated else "not known", part.note),
        cell(part.evaluation or quantities.NOTHING),
        cell(part.distribution.value),
        bar,
    )


class ModelsPanel(QWidget):
    """The models that were fitted, best first, and why the others were not."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen = QLabel()
        self.chosen.setProperty("role", "heading")
        self.chosen.setWordWrap(True)
        self.parameters = dim()
        self.parameters.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.table = plain_table(("Model", "AICc", "Residual", "Series left out", "Remark"), 0)
        for column, width in ((1, 74), (2, 78), (3, 108), (4, 96)):
            self.table.setColumnWidth(column, width)
        self.note = dim("Errors of the force. 'Series left out': at the points of a series that was not fitted.")
        column_box = QVBoxLayout(self)
        column_box.setContentsMargins(0, 4, 0, 0)
        column_box.setSpacing(6)
        for widget in (self.chosen, self.parameters):
            column_box.addWidget(widget)
        column_box.addWidget(self.table, 1)
        column_box.addWidget(self.note)

    def draw(self, found: Choice) -> None:
        best = found.best.model
        fitted = ", with a robust loss because of outliers" if found.robust else ""
        put(self.chosen, f"Chosen: {best.title}, {best.formula}")
        values = list(best.parameters().items())[:8]
        listed = ",  ".join(f"{name} = {value:.5g} {unit}".strip() for name, (value, unit) in values)
        put(self.parameters, f"{listed}\nFitted in {found.variable.value}{fitted}.")
        self.table.setRowCount(len(found.candidates) + len(found.rejected))
        for row, candidate in enumerate(found.candidates):
            for column, item in enumerate(_candidate_cells(candidate, chosen=row == 0)):
                self.table.setItem(row, column, item)
        for row, (title, reason) in enumerate(found.rejected, len(found.candidates)):
            texts = (title, quantities.NOTHING, quantities.NOTHING, quantities.NOTHING, reason)
            for column, text in enumerate(texts):
                self.table.setItem(row, column, cell(text))


def short_name(model: Model) -> str:
    """As it fits into a column; the whole title is the cell's tool tip."""
    if isinstance(model, LogPolynomial):
        return f"polynomial, degree {len(model.coefficients) - 1}"
    return SHORT[model.kind]


def _candidate_cells(candidate: Candidate, chosen: bool) -> tuple[QTableWidgetItem, ...]:
    aicc = quantities.NOTHING if candidate.aicc is None else f"{candidate.aicc:.1f}".replace("-", quantities.MINUS)
    return (
        cell(short_name(candidate.model), f"{candidate.model.title}: {candidate.model.formula}"),
        cell(aicc),
        cell(quantities.share(candidate.residual)),
        cell(quantities.share(candidate.left_out_error)),
        cell("✓ chosen" if chosen else ""),
    )
