"""The list of points, and what can be done to one: measured again, marked as an outlier with a reason, taken back."""

from __future__ import annotations

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractItemView, QHBoxLayout, QHeaderView, QTableView, QVBoxLayout, QWidget

from calibration.data import Direction
from gui import quantities
from gui.calibration.fields import button
from gui.theme import Theme
from station.calibration_views import Deed, PointView

ANY_INDEX = QModelIndex | QPersistentModelIndex
COLUMNS = ("No.", "Series", "Force", "Resistance", "Remark")
WIDTHS = (52, 96, 96, 112)
ARROWS = {Direction.UP: "▲ up", Direction.DOWN: "▼ down"}
ROW = 38  # px


class PointModel(QAbstractTableModel):
    """Newest first while measuring; `kept` are suspects that somebody has looked at and kept."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.points: tuple[PointView, ...] = ()
        self.kept: frozenset[int] = frozenset()

    def show(self, points: tuple[PointView, ...], kept: frozenset[int]) -> None:
        if (points, kept) != (self.points, self.kept):
            self.beginResetModel()
            self.points, self.kept = points, kept
            self.endResetModel()

    def rowCount(self, parent: ANY_INDEX | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.points)

    def columnCount(self, parent: ANY_INDEX | None = None) -> int:
        return len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> object:
        across = orientation is Qt.Orientation.Horizontal and role == int(Qt.ItemDataRole.DisplayRole)
        return COLUMNS[section] if across else None

    def data(self, index: ANY_INDEX, role: int = 0) -> object:
        point = self.points[index.row()]
        if role == int(Qt.ItemDataRole.DisplayRole):
            return self._text(point, index.column())
        if role == int(Qt.ItemDataRole.ForegroundRole):
            return QColor(self._ink(point, index.column()))
        if role == int(Qt.ItemDataRole.ToolTipRole) and index.column() == 4:
            return self.remark(point)
        return None

    def _text(self, point: PointView, column: int) -> str:
        return (
            str(point.index + 1),
            f"{point.series} {ARROWS[point.direction]}",
            quantities.force(point.force_N),
            quantities.resistance(point.resistance_ohm),
            self.remark(point),
        )[column]

    def remark(self, point: PointView) -> str:
        if point.excluded:
            return f"✕ {point.excluded}"
        if point.suspect:
            return "kept, though suspect" if point.index in self.kept else "◯ suspect"
        return point.note

    def _ink(self, point: PointView, column: int) -> str:
        if point.excluded:
            return self.theme.danger if column == 4 else self.theme.dim
        if point.suspect and point.index not in self.kept:
            return self.theme.warning
        return self.theme.text


class PointList(QWidget):
    """`wanted` says what to do with which point; keeping a suspect is said by `kept`, for the station need not know."""

    wanted = Signal(object, object)  # Deed, PointView
    kept = Signal(object)  # PointView

    def __init__(self, theme: Theme, *, keeps: bool = False) -> None:
        super().__init__()
        self.model = PointModel(theme)
        self.table = QTableView()
        self.table.setModel(self.model)
        self.table.setProperty("role", "roomy")
        self.table.setShowGrid(False)
        self.table.setAlternatingRowColors(True)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(ROW)
        head = self.table.horizontalHeader()
        head.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        head.setHighlightSections(False)
        for column, width in enumerate(WIDTHS):
            head.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            self.table.setColumnWidth(column, width)
        head.setSectionResizeMode(len(WIDTHS), QHeaderView.ResizeMode.Stretch)
        self.repeat = button("Measure again", "action", lambda: self._want(Deed.REPEAT))
        self.mark = button("Mark as outlier …", "action", lambda: self._want(Deed.EXCLUDE))
        self.mark.setToolTip("Mark as an outlier, with a reason; it stays in the record")
        self.unmark = button("Take mark away", "action", lambda: self._want(Deed.INCLUDE))
        self.keep = button("Keep", "action", self._keep)
        self.keep.setVisible(keeps)
        self._keeps = keeps
        self._deeds: tuple[Deed, ...] = ()
        self._alive = True
        keys = QHBoxLayout()
        keys.setSpacing(6)
        for key in (self.repeat, self.mark, self.unmark, self.keep):
            keys.addWidget(key, 1)
        column_box = QVBoxLayout(self)
        column_box.setContentsMargins(0, 0, 0, 0)
        column_box.setSpacing(6)
        column_box.addWidget(self.table, 1)
        column_box.addLayout(keys)
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._enable())
        self._enable()

    def set_theme(self, theme: Theme) -> None:
        self.model.theme = theme
        self.table.viewport().update()

    def show_points(
        self, points: tuple[PointView, ...], deeds: tuple[Deed, ...], alive: bool, kept: frozenset[int] = frozenset()
    ) -> None:
        chosen = self.chosen()
        self._deeds, self._alive = deeds, alive
        before = self.model.points
        self.model.show(points, kept)
        if chosen is not None and self.model.points is not before:
            self.choose(chosen.index)
        self._enable()

    def chosen(self) -> PointView | None:
        rows = self.table.selectionModel().selectedRows()
        return self.model.points[rows[0].row()] if rows and rows[0].row() < len(self.model.points) else None

    def choose(self, index: int) -> None:
        """The point with this place in the data set."""
        for row, point in enumerate(self.model.points):
            if point.index == index:
                self.table.selectRow(row)

    def _want(self, deed: Deed) -> None:
        point = self.chosen()
        if point is not None:
            self.wanted.emit(deed, point)

    def _keep(self) -> None:
        point = self.chosen()
        if point is not None:
            self.kept.emit(point)

    def _enable(self) -> None:
        point = self.chosen() if self._alive else None
        marked = point is not None and bool(point.excluded)
        self.repeat.setEnabled(point is not None and Deed.REPEAT in self._deeds)
        self.mark.setEnabled(point is not None and not marked and Deed.EXCLUDE in self._deeds)
        self.unmark.setEnabled(marked and Deed.INCLUDE in self._deeds)
        self.mark.setVisible(not marked)
        self.unmark.setVisible(marked)
        undecided = point is not None and point.suspect and not marked and point.index not in self.model.kept
        self.keep.setEnabled(self._keeps and undecided)
