"""What happened and who asked for it, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QFrame, QHBoxLayout, QHeaderView, QLabel, QTableView, QVBoxLayout

from gui import icons, quantities
from gui.theme import Theme
from gui.widgets import Choice
from station.readings import EventView, Level

COLUMNS = ("Time", "", "Channel", "What", "Who")
MOST_EVENTS = 5000
EVERY, SELECTED = "All channels", "Selected channel"
LEVELS: tuple[tuple[str, frozenset[Level]], ...] = (
    ("All levels", frozenset(Level)),
    ("Warnings and alarms", frozenset({Level.WARNING, Level.ALARM})),
    ("Alarms", frozenset({Level.ALARM})),
    ("All but markers", frozenset(Level) - {Level.MARKER}),
    ("Markers", frozenset({Level.MARKER})),
)

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()


class EventModel(QAbstractTableModel):
    """All events by number, and of those the ones that pass the filter, newest first."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._events: list[EventView] = []  # rising numbers
        self._shown: list[EventView] = []
        self._levels = frozenset(Level)
        self._channel: str | None = None
        self._marks: dict[Level, QPixmap] = {}
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        self._marks = {level: icons.pixmap(shape, theme.level(level), 16) for level, shape in icons.LEVELS.items()}
        self._refilter()

    def replace(self, events: Sequence[EventView]) -> None:
        """All that the service has; the numbers may have begun anew."""
        newer = [event for event in self._events if not events or event.number > events[-1].number]
        same_story = not events or any(event in events for event in self._events[-50:])
        self._events = [*events, *(newer if same_story else [])][-MOST_EVENTS:]
        self._refilter()

    def add(self, event: EventView) -> None:
        if self._events and event.number <= self._events[-1].number:
            return
        self._events.append(event)
        if self._passes(event):
            self.beginInsertRows(ROOT, 0, 0)
            self._shown.insert(0, event)
            self.endInsertRows()
        if len(self._events) > MOST_EVENTS + 500:
            self._events = self._events[-MOST_EVENTS:]
            self._refilter()

    def filter(self, channel: str | None, levels: frozenset[Level]) -> None:
        self._channel, self._levels = channel, levels
        self._refilter()

    def event_at(self, row: int) -> EventView:
        return self._shown[row]

    def _passes(self, event: EventView) -> bool:
        return event.level in self._levels and self._channel in (None, event.channel)

    def _refilter(self) -> None:
        self.beginResetModel()
        self._shown = [event for event in reversed(self._events) if self._passes(event)]
        self.endResetModel()

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        return COLUMNS[section] if role == _TEXT and orientation is Qt.Orientation.Horizontal else None

    def data(self, index: Index, role: int = 0) -> Any:
        if role != _TEXT and role != _MARK and role != _TIP:  # integers: this is asked thousands of times a second
            return None
        event = self._shown[index.row()]
        column = index.column()
        if role == _MARK:
            return self._marks[event.level] if column == 1 else None
        if role == _TIP:
            return (quantities.clock_time(event.time), event.level.value, None, event.text, None)[column]
        if column == 0:
            return quantities.short_time(event.time)
        return (None, "", event.channel or quantities.NOTHING, event.text, event.who)[column]


_TEXT = int(Qt.ItemDataRole.DisplayRole)
_MARK = int(Qt.ItemDataRole.DecorationRole)
_TIP = int(Qt.ItemDataRole.ToolTipRole)


class EventLog(QFrame):
    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("card")
        self.model = EventModel(theme)
        self._selected: str | None = None
        title = QLabel("Events")
        title.setProperty("role", "heading")
        self.channels, self.levels = Choice(), Choice()
        self.channels.addItems([EVERY, SELECTED])
        self.levels.addItems([name for name, _ in LEVELS])
        for box in (self.channels, self.levels):
            box.currentIndexChanged.connect(self._filter)
        self.table = QTableView()
        self._prepare_table()
        row = QHBoxLayout()
        row.addWidget(title)
        row.addStretch(1)
        row.addWidget(self.channels)
        row.addWidget(self.levels)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 8, 10, 8)
        column.setSpacing(6)
        column.addLayout(row)
        column.addWidget(self.table, 1)
        self.setMinimumHeight(130)

    def _prepare_table(self) -> None:
        table = self.table
        table.setModel(self.model)
        table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QTableView.EditTrigger.NoEditTriggers)
        table.setAlternatingRowColors(True)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setAccessibleName("Events")
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(28)
        header = table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column, width in enumerate((98, 30, 62, 300, 70)):
            header.resizeSection(column, width)
        header.setSectionResizeMode(3, QHeaderView.ResizeMode.Stretch)

    def set_theme(self, theme: Theme) -> None:
        self.model.set_theme(theme)

    def offer_channels(self, names: Sequence[str]) -> None:
        if [self.channels.itemText(i) for i in range(2, self.channels.count())] != list(names):
            chosen = self.channels.currentText()
            self.channels.blockSignals(True)
            self.channels.clear()
            self.channels.addItems([EVERY, SELECTED, *names])
            self.channels.setCurrentText(chosen)
            self.channels.blockSignals(False)
            self._filter()

    def select_channel(self, name: str) -> None:
        self._selected = name
        if self.channels.currentText() == SELECTED:
            self._filter()

    def _filter(self) -> None:
        choice = self.channels.currentText()
        channel = None if choice == EVERY else self._selected if choice == SELECTED else choice
        self.model.filter(channel, LEVELS[self.levels.currentIndex()][1])
