"""Questions before a click that cannot be undone. They block nothing: the window behind goes on living."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TypeAlias

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from gui import quantities
from gui.banners import Banner
from gui.cell_events import CellEventButtons, RecordEvent, in_words
from gui.confirmation import Confirmation
from gui.theme import Theme
from gui.widgets import Choice, TickBox
from station.readings import (
    CellEvent,
    CellEventKind,
    CellView,
    ChannelState,
    ChannelView,
    ProtocolView,
    RunView,
    StationView,
)

Parameters: TypeAlias = "dict[str, int | float | str]"
ASK_AFTER_MS = 300  # since the last key


def where(view: ChannelView) -> str:
    cell = f"cell {view.cell}" if view.cell else "no cell"
    return f"channel {view.name}, {cell}"


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


class Answer(QDialog):
    """What the protocol asks, with room for a note that is kept with the run."""

    def __init__(self, parent: QWidget, view: ChannelView) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Confirm on {where(view)}")
        self.setMinimumWidth(520)
        heading = QLabel(f"The protocol on {where(view)} asks:")
        heading.setProperty("role", "dim")
        self.question = QLabel(view.question or "")
        self.question.setWordWrap(True)
        self.question.setProperty("role", "title")
        self.question.setTextFormat(Qt.TextFormat.PlainText)
        self.note = QLineEdit()
        self.note.setPlaceholderText("Note, kept with the run (may be left empty)")
        self.go = QPushButton("Confirm, go on")
        self.go.setProperty("role", "primary")
        self.go.setAutoDefault(False)  # the note's return key does not answer
        self.go.clicked.connect(self.accept)
        self.stay = QPushButton("Not yet")
        self.stay.setProperty("role", "action")
        self.stay.setAutoDefault(False)
        self.stay.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.setSpacing(12)
        buttons.addWidget(self.stay, 1)
        buttons.addWidget(self.go, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 20)
        column.setSpacing(14)
        for widget in (heading, self.question, self.note):
            column.addWidget(widget)
        column.addLayout(buttons)
        self.note.setFocus()


class ParameterForm(QWidget):
    """The parameters that a protocol declares, each with its value to start with."""

    edited = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._defaults: Parameters = {}
        self.fields: dict[str, QLineEdit] = {}
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setSpacing(8)
        self.hide()

    def offer(self, defaults: Parameters) -> None:
        while self._form.rowCount():
            self._form.removeRow(0)
        self._defaults, self.fields = dict(defaults), {}
        for name, value in defaults.items():
            field = QLineEdit(str(value))
            field.setAccessibleName(name)
            field.textEdited.connect(self.edited)
            self._form.addRow(name, field)
            self.fields[name] = field
        self.setVisible(bool(defaults))

    def given(self) -> Parameters:
        """Those that are not as declared. Raises `ValueError` where a number is none."""
        typed = {name: _as(default, self.fields[name].text(), name) for name, default in self._defaults.items()}
        return {name: value for name, value in typed.items() if value != self._defaults[name]}


def _as(default: int | float | str, text: str, name: str) -> int | float | str:
    """What was typed, as what the protocol declared: a whole number, a number or a text."""
    if isinstance(default, str):
        return text.strip()
    with contextlib.suppress(ValueError):
        return int(text)
    with contextlib.suppress(ValueError):
        return float(text.replace(",", "."))
    raise ValueError(f"{name} is a number, such as {default}, not '{text}'")


def _scrolled(widget: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidget(widget)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    return area


class StartDialog(QDialog):
    """Choose channel, cell and protocol. Stays open until the service has accepted, or shows why it did not."""

    wanted = Signal(str, str, str, object)  # channel, protocol, cell, parameters that are not the protocol's own
    recorded = Signal(str, str, object, object)  # channel, cell, CellEventKind, station's time or None: now
    doubted = Signal(str, object)  # protocol, parameters: what would be done in words, or why it cannot

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
        self.parameters = ParameterForm()
        self._in_words: ProtocolView | None = None  # the chosen protocol, as the parameters make it
        self._asked = QTimer(self, singleShot=True, interval=ASK_AFTER_MS)
        self._asked.timeout.connect(self._ask)
        self.parameters.edited.connect(self._doubt)
        self.consequence = QLabel()
        self.consequence.setWordWrap(True)
        self.consequence.setProperty("role", "heading")
        self.problem = Banner("danger", theme)
        self.caution = Banner("warning", theme)
        self.events = CellEventButtons()
        self.events.asked.connect(self._ask_to_record)
        self.told = QLabel()
        self.told.setWordWrap(True)
        self.told.setProperty("role", "dim")
        self.told.hide()
        self.question: RecordEvent | None = None
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
        self.protocols.currentRowChanged.connect(self._choose)

    def _build(self) -> None:
        form = QFormLayout()
        form.setSpacing(10)
        form.addRow("Channel", self.channels)
        form.addRow("Cell", self.cells)
        form.addRow("", self.events)
        left = QVBoxLayout()
        left.addLayout(form)
        left.addWidget(self.told)
        left.addWidget(QLabel("Protocol"))
        left.addWidget(self.protocols, 1)
        plan = QFrame()
        plan.setObjectName("card")
        right = QVBoxLayout(plan)
        right.setContentsMargins(18, 14, 18, 14)
        right.setSpacing(12)
        right.addWidget(self.consequence)
        right.addWidget(self.parameters)
        right.addWidget(_scrolled(self.summary), 1)
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
        self._choose()

    def refuse(self, why: str) -> None:
        self.problem.say(why)
        self.start.setText("Start")
        self._describe()

    def begun(self, run: RunView) -> None:
        """The station has accepted; what it knows against the run stays to be read."""
        if not run.warnings:
            self.accept()
            return
        self.caution.say("\n".join(("The run has begun. Know that:", *(f"•  {said}" for said in run.warnings))))
        for widget in (self.start, self.events, self.channels, self.cells, self.protocols, self.parameters):
            widget.setEnabled(False)
        self.start.setText("Started")
        self.cancel.setText("Close")

    def has_recorded(self, event: CellEvent) -> None:
        self.told.setText(f"Recorded: {in_words(event)}")
        self.told.show()

    def _ask_to_record(self, kind: CellEventKind) -> None:
        cell, channel = self.cells.currentData(), self.channels.currentText()
        if cell is None or not channel:
            return
        question = RecordEvent(self, kind, channel, cell.name)
        self.question = question

        def record() -> None:
            self.problem.say("")
            ago_min = question.ago.value()
            at = self._station.time - 60.0 * ago_min if ago_min else None
            self.recorded.emit(channel, cell.name, kind, at)

        question.accepted.connect(record)
        question.open()

    def _chosen(self) -> tuple[CellView | None, ProtocolView | None]:
        item = self.protocols.currentItem()
        return self.cells.currentData(), item.data(Qt.ItemDataRole.UserRole) if item else None

    def _choose(self) -> None:
        """Another protocol: with its own parameters, as it was described with the list."""
        _, protocol = self._chosen()
        self._in_words = protocol
        self._asked.stop()
        self.problem.say("")
        self.parameters.offer(protocol.parameters if protocol else {})
        self._describe()

    def _doubt(self) -> None:
        """A parameter was changed: nothing starts before the station has said what it makes of it."""
        self._in_words = None
        self._describe()
        self._asked.start()

    def _ask(self) -> None:
        _, protocol = self._chosen()
        if protocol is None:
            return
        try:
            given = self.parameters.given()
        except ValueError as error:
            self.problem.say(str(error))
            return
        self.doubted.emit(protocol.name, given)

    def tell(self, protocol: ProtocolView, given: Parameters) -> None:
        """The station's words for a protocol with these parameters, if they are still the ones that stand here."""
        if self._is_current(protocol.name, given):
            self._in_words = protocol
            self.problem.say("")
            self._describe()

    def object_to(self, name: str, given: Parameters, why: str) -> None:
        """The station cannot make anything of these parameters."""
        if self._is_current(name, given):
            self.problem.say(why)

    def _is_current(self, name: str, given: Parameters) -> bool:
        _, protocol = self._chosen()
        try:
            return protocol is not None and protocol.name == name and self.parameters.given() == given
        except ValueError:
            return False

    def _describe(self) -> None:
        cell, protocol = self._chosen()
        channel = self.channels.currentText()
        self.start.setEnabled(bool(channel and cell and self._in_words))
        if cell is None or protocol is None:
            self.summary.setText("The station knows no cell or no protocol yet.")
            return
        self.consequence.setText(f"Channel {channel} begins at once with cell {cell.name}:")
        if self._in_words is not None:
            source = f"Source: {protocol.source}" if protocol.source else ""
            lines = [*self._in_words.summary, "", cell.description, source]
            self.summary.setText("\n".join(lines).strip())
        busy = [view.name for view in self._station.channels if view.cell == cell.name and view.run_id and _busy(view)]
        against = [view.calibration_warning for view in self._station.channels if view.name == channel]
        used = [f"Cell {cell.name} is in use on channel {', '.join(busy)}."] if busy else []
        self.caution.say("\n".join(said for said in (*used, *against) if said))
        self.events.setEnabled(any(view.name == channel and view.sensor for view in self._station.channels))

    def _start(self) -> None:
        cell, protocol = self._chosen()
        if cell is not None and protocol is not None:
            self.problem.say("")
            self.start.setEnabled(False)
            self.start.setText("Starting …")
            self.wanted.emit(self.channels.currentText(), protocol.name, cell.name, self.parameters.given())


def _busy(view: ChannelView) -> bool:
    return view.state is not ChannelState.IDLE
