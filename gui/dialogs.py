"""Questions before a click that cannot be undone. They block nothing: the window behind goes on living."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui import quantities
from gui.banners import Banner
from gui.theme import Theme
from gui.widgets import Choice, TickBox
from station.readings import CellView, ChannelState, ChannelView, ProtocolView, StationView


def where(view: ChannelView) -> str:
    cell = f"cell {view.cell}" if view.cell else "no cell"
    return f"channel {view.name}, {cell}"


class Confirmation(QDialog):
    """A question with a safe answer, which is the default, and a dangerous one."""

    def __init__(self, parent: QWidget, title: str, text: str, *, go: str, stay: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(520)
        self.heading = QLabel(title)
        self.heading.setProperty("role", "title")
        self.heading.setWordWrap(True)
        self.text = QLabel(text)
        self.text.setWordWrap(True)
        self.go = QPushButton(go)
        self.go.setProperty("role", "danger")
        self.go.setAutoDefault(False)
        self.go.clicked.connect(self.accept)
        self.stay = QPushButton(stay)
        self.stay.setProperty("role", "action")
        self.stay.setDefault(True)
        self.stay.clicked.connect(self.reject)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(24, 20, 24, 20)
        self.column.setSpacing(14)
        self.column.addWidget(self.heading)
        self.column.addWidget(self.text)
        buttons = QHBoxLayout()
        buttons.setSpacing(12)
        buttons.addWidget(self.stay, 1)
        buttons.addWidget(self.go, 1)
        self.column.addLayout(buttons)
        self.stay.setFocus()


def stop_question(parent: QWidget, view: ChannelView) -> Confirmation:
    running = quantities.duration(view.test_time_s)
    at = quantities.cycle(view.cycle, view.cycles_planned)
    return Confirmation(
        parent,
        f"Stop {where(view)}?",
        f"It has been running for {running} ({at}, step {view.step_name or quantities.NOTHING}).\n\n"
        "The circuit is opened and the run ends here. It cannot be continued later; pause it if you want to go on.",
        go="Stop the run",
        stay="Keep it running",
    )


def skip_question(parent: QWidget, view: ChannelView) -> Confirmation:
    step = quantities.duration(view.step_time_s)
    return Confirmation(
        parent,
        f"Skip the step on {where(view)}?",
        f"Step {view.step_name or quantities.NOTHING} has been on for {step} of a run of "
        f"{quantities.duration(view.test_time_s)}.\n\n"
        "It ends now, whatever its end condition, and the next one begins at once. The half-cycle will be incomplete.",
        go="Skip this step",
        stay="Stay in this step",
    )


class ClearTrip(Confirmation):
    """The reason, and a tick without which the button stays dead."""

    def __init__(self, parent: QWidget, view: ChannelView) -> None:
        super().__init__(
            parent,
            f"Clear the trip of {where(view)}?",
            "The channel opened its circuit and stays open because:",
            go="Clear the trip",
            stay="Leave it tripped",
        )
        self.reason = QLabel(view.reason or "no reason was given")
        self.reason.setWordWrap(True)
        self.reason.setProperty("role", "heading")
        self.tick = TickBox("I have looked at the cell, and the cause is removed")
        self.tick.toggled.connect(self.go.setEnabled)
        self.column.insertWidget(2, self.reason)
        self.column.insertWidget(3, self.tick)
        self.go.setEnabled(False)


class StartDialog(QDialog):
    """Choose channel, cell and protocol. Stays open until the service has accepted, or shows why it did not."""

    wanted = Signal(str, str, str)  # channel, protocol, cell

    def __init__(self, parent: QWidget, theme: Theme, station: StationView, channel: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("Start a run")
        self.resize(840, 560)
        self._station = station
        self.channels, self.cells, self.protocols = Choice(), Choice(), QListWidget()
        self.channels.addItems([view.name for view in station.channels if view.state is ChannelState.IDLE])
        self.channels.setCurrentText(channel)
        self.summary = QLabel("Fetching the station's cells and protocols …")
        self.summary.setWordWrap(True)
        self.summary.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.summary.setTextFormat(Qt.TextFormat.PlainText)
        self.consequence = QLabel()
        self.consequence.setWordWrap(True)
        self.consequence.setProperty("role", "heading")
        self.problem = Banner("danger", theme)
        self.caution = Banner("warning", theme)
        self.start = QPushButton("Start")
        self.start.setProperty("role", "primary")
        self.start.setEnabled(False)
        self.start.clicked.connect(self._start)
        self.cancel = QPushButton("Cancel")
        self.cancel.setProperty("role", "action")
        self.cancel.clicked.connect(self.reject)
        self._build()
        for box in (self.channels, self.cells):
            box.setMinimumHeight(46)
            box.currentIndexChanged.connect(self._describe)
        self.protocols.currentRowChanged.connect(self._describe)

    def _build(self) -> None:
        form = QFormLayout()
        form.setSpacing(10)
        form.addRow("Channel", self.channels)
        form.addRow("Cell", self.cells)
        left = QVBoxLayout()
        left.addLayout(form)
        left.addWidget(QLabel("Protocol"))
        left.addWidget(self.protocols, 1)
        plan = QFrame()
        plan.setObjectName("card")
        right = QVBoxLayout(plan)
        right.setContentsMargins(18, 14, 18, 14)
        right.setSpacing(12)
        right.addWidget(self.consequence)
        right.addWidget(self.summary, 1)
        sides = QHBoxLayout()
        sides.setSpacing(20)
        sides.addLayout(left, 1)
        sides.addWidget(plan, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(12)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel, 1)
        buttons.addWidget(self.start, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 20)
        column.setSpacing(14)
        column.addWidget(self.problem)
        column.addLayout(sides, 1)
        column.addWidget(self.caution)
        column.addLayout(buttons)

    def offer(self, choices: tuple[Sequence[CellView], Sequence[ProtocolView]]) -> None:
        cells, protocols = choices
        for cell in cells:
            self.cells.addItem(" · ".join(part for part in (cell.name, cell.chemistry) if part), cell)
        for protocol in protocols:
            item = QListWidgetItem(protocol.title or protocol.name)
            item.setData(Qt.ItemDataRole.UserRole, protocol)
            item.setToolTip(protocol.name)
            self.protocols.addItem(item)
        self.protocols.setCurrentRow(0)
        self._describe()

    def refuse(self, why: str) -> None:
        self.problem.say(why)
        self.start.setText("Start")
        self._describe()

    def _chosen(self) -> tuple[CellView | None, ProtocolView | None]:
        item = self.protocols.currentItem()
        return self.cells.currentData(), item.data(Qt.ItemDataRole.UserRole) if item else None

    def _describe(self) -> None:
        cell, protocol = self._chosen()
        channel = self.channels.currentText()
        ready = bool(channel and cell and protocol)
        self.start.setEnabled(ready)
        if cell is None or protocol is None:
            self.summary.setText("The station knows no cell or no protocol yet.")
            return
        self.consequence.setText(f"Channel {channel} begins at once with cell {cell.name}:")
        lines = [*protocol.summary, "", cell.description, f"Source: {protocol.source}" if protocol.source else ""]
        self.summary.setText("\n".join(lines).strip())
        busy = [view.name for view in self._station.channels if view.cell == cell.name and view.run_id and _busy(view)]
        self.caution.say(f"Cell {cell.name} is in use on channel {', '.join(busy)}." if busy else "")

    def _start(self) -> None:
        cell, protocol = self._chosen()
        if cell is not None and protocol is not None:
            self.problem.say("")
            self.start.setEnabled(False)
            self.start.setText("Starting …")
            self.wanted.emit(self.channels.currentText(), protocol.name, cell.name)


def _busy(view: ChannelView) -> bool:
    return view.state is not ChannelState.IDLE
