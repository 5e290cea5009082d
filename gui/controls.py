"""The selected channel: its numbers, large, and the buttons that work it."""

from __future__ import annotations

from enum import Enum

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout

from gui import icons, quantities
from gui.banners import Banner
from gui.theme import Theme, font
from station.readings import ChannelState, ChannelView

VALUE_SIZES = (20, 17, 15, 13, 11)  # px
VALUE_GAP = 18
SIDE = 14


class Action(Enum):
    """A button's word; the name of the client's method; what it says while the station is at it."""

    START = ("Start …", "start", "Starting …")
    PAUSE = ("Pause", "pause", "Pausing …")
    RESUME = ("Resume", "resume", "Resuming …")
    SKIP = ("Skip step …", "skip", "Skipping …")
    STOP = ("Stop …", "stop", "Stopping …")
    CONFIRM = ("Confirm …", "confirm", "Confirming …")
    CLEAR_TRIP = ("Clear trip …", "clear_trip", "Clearing …")

    def __init__(self, word: str, method: str, doing: str) -> None:
        self.word, self.method, self.doing = word, method, doing


SHAPES = {
    Action.START: icons.play,
    Action.PAUSE: icons.bars,
    Action.RESUME: icons.resume,
    Action.SKIP: icons.skip,
    Action.STOP: icons.square,
    Action.CONFIRM: icons.question,
    Action.CLEAR_TRIP: icons.tick,
}


def allowed(view: ChannelView) -> frozenset[Action]:
    """What makes sense in the channel's state; the service has the last word."""
    asked = frozenset({Action.CONFIRM}) if view.question else frozenset[Action]()
    return {
        ChannelState.IDLE: frozenset({Action.START}),
        ChannelState.RUNNING: frozenset({Action.PAUSE, Action.SKIP, Action.STOP}) | asked,
        ChannelState.PAUSED: frozenset({Action.RESUME, Action.STOP}),
        ChannelState.STOPPING: frozenset[Action](),
        ChannelState.TRIPPED: frozenset({Action.CLEAR_TRIP}),
        ChannelState.OFFLINE: frozenset({Action.STOP}) if view.run_id else frozenset[Action](),
    }[view.state]


class Controls(QFrame):
    asked = Signal(object)  # Action

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("card")
        self._theme = theme
        self._view: ChannelView | None = None
        self._connected = False
        self._value_size = VALUE_SIZES[0]
        self._dressed: tuple[str, ChannelState] | None = None
        self._doing: dict[str, Action] = {}
        self._name = QLabel("–")
        self._name.setProperty("role", "title")
        self._mark, self._state = QLabel(), QLabel()
        self._about = QLabel("Choose a channel")
        self._about.setProperty("role", "dim")
        self._reason = Banner("danger", theme)
        self._question = Banner("warning", theme)
        self._values: dict[str, tuple[QLabel, QLabel]] = {}
        self.buttons = {action: QPushButton(action.word) for action in Action}
        self._build()
        self.set_theme(theme)
        self._enable()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(10)
        for widget in (self._name, self._mark, self._state):
            head.addWidget(widget)
        head.addSpacing(8)
        self._about.setMinimumWidth(1)
        head.addWidget(self._about, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(SIDE, 8, SIDE, 10)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(self._reason)
        column.addWidget(self._question)
        column.addLayout(self._build_values())
        row = QHBoxLayout()
        row.setSpacing(8)
        for action, button in self.buttons.items():
            role = {Action.STOP: "danger", Action.CONFIRM: "primary"}.get(action, "action")
            button.setProperty("role", role)
            button.setIconSize(QSize(16, 16))
            button.clicked.connect(lambda _=False, action=action: self.asked.emit(action))
            row.addWidget(button, 1)
        column.addLayout(row)

    def _build_values(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(VALUE_GAP)
        grid.setVerticalSpacing(0)
        titles = ("Voltage", "Current", "Capacity in this step", "Pressure ± U", "Temperature", "Test time")
        for place, title in enumerate(titles):
            caption, value = QLabel(title), QLabel(quantities.NOTHING)
            caption.setProperty("role", "caption")
            value.setProperty("role", "value")
            value.setMinimumWidth(1)
            grid.addWidget(caption, 0, place)
            grid.addWidget(value, 1, place)
            self._values[title.split()[0]] = (caption, value)
        grid.setColumnStretch(len(titles), 1)
        return grid

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self._reason.set_theme(theme)
        self._question.set_theme(theme)
        for action, button in self.buttons.items():
            colour = {Action.STOP: "#ffffff", Action.CONFIRM: theme.window}.get(action, theme.text)
            button.setIcon(icons.icon(SHAPES[action](), colour, theme.faint))
        self._dress_values()
        if self._view is not None:
            self.show_channel(self._view)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_values(grow=True)

    def _fit_values(self, *, grow: bool) -> None:
        """The largest type in which every value stands with its unit."""
        sizes = VALUE_SIZES if grow else tuple(size for size in VALUE_SIZES if size <= self._value_size)
        size = next((size for size in sizes if self._values_width(size) <= self.width()), VALUE_SIZES[-1])
        if size != self._value_size:
            self._value_size = size
            self._dress_values()

    def _values_width(self, size: int) -> int:
        metrics = QFontMetrics(font(size, bold=True))
        widths = (
            max(caption.sizeHint().width(), metrics.horizontalAdvance(value.text()))
            for caption, value in self._values.values()
        )
        return sum(width + VALUE_GAP for width in widths) + 2 * SIDE

    def _dress_values(self) -> None:
        colours = {"Voltage": self._theme.voltage, "Current": self._theme.current, "Pressure": self._theme.pressure}
        for name, (_, value) in self._values.items():
            colour = colours.get(name, self._theme.text)
            value.setStyleSheet(f"color: {colour}; font-size: {self._value_size}px;")

    def _dress_state(self, state: ChannelState) -> None:
        """Only as it changes: Qt keeps something of every style sheet that it reads."""
        look = (self._theme.name, state)
        if look != self._dressed:
            self._dressed = look
            colour = self._theme.state(state)
            self._mark.setPixmap(icons.pixmap(icons.STATES[state], colour, 20))
            self._state.setStyleSheet(f"color: {colour}; font-weight: 700; font-size: 14px;")

    def show_channel(self, view: ChannelView) -> None:
        another = self._view is None or self._view.name != view.name
        self._view = view
        self._name.setText(view.name)
        self._dress_state(view.state)
        word = view.state.value.upper()
        self._state.setText(word if self._connected else f"{word} when last heard of")
        place = (view.cell and f"cell {view.cell}", view.protocol, view.step_name and f"step {view.step_name}")
        cycle = quantities.cycle(view.cycle, view.cycles_planned) if view.cycle is not None else ""
        self._about.setText(" · ".join(part for part in (*place, cycle) if part) or "no run")
        self._about.setToolTip("Instruments: " + ", ".join(view.instruments))
        # Why a run has ended or is paused stands in its tile; red is for what a person must see to.
        alarming = view.state in (ChannelState.TRIPPED, ChannelState.OFFLINE)
        self._reason.say(f"{view.state.value.capitalize()}: {view.reason}" if view.reason and alarming else "")
        self._question.say(f"Waits for you: {view.question}" if view.question else "")
        pressure = quantities.pressure(view.pressure_Pa, view.pressure_U_Pa)
        if view.pressure_Pa is None and view.resistance_ohm is not None:
            why = f"{view.pressure_mark} range" if view.pressure_mark else "not calibrated"
            pressure = f"{quantities.resistance(view.resistance_ohm)} ({why})"
        specific = view.specific_capacity_mAh_g
        amount = quantities.specific_capacity(specific) if specific is not None else quantities.NOTHING
        capacity = quantities.capacity(view.step_capacity_Ah)
        self._put("Voltage", quantities.voltage(view.voltage_V))
        self._put("Current", quantities.current(view.current_A))
        self._put("Capacity", capacity if specific is None else f"{capacity} · {amount}")
        self._put("Pressure", pressure)
        self._put("Temperature", quantities.temperature(view.temperature_degC))
        self._put("Test", quantities.duration(view.test_time_s))
        self._fit_values(grow=another)  # else it would change to and fro, and each style sheet leaves something behind
        self._enable()

    def value(self, name: str) -> str:
        """What stands under a caption, by its first word."""
        return self._values[name][1].text()

    @property
    def reason(self) -> str:
        return self._reason.text

    @property
    def question(self) -> str:
        return self._question.text

    def set_connected(self, connected: bool) -> None:
        self._connected = connected
        if self._view is not None:
            self.show_channel(self._view)
        self._enable()

    def begin(self, channel: str, action: Action) -> None:
        """The station was asked; no second command to this channel until `end`."""
        self._doing[channel] = action
        self._enable()

    def end(self, channel: str) -> None:
        self._doing.pop(channel, None)
        self._enable()

    def _put(self, name: str, text: str) -> None:
        label = self._values[name][1]
        if label.text() != text:
            label.setText(text)

    def _enable(self) -> None:
        view = self._view
        doing = self._doing.get(view.name) if view else None
        can = allowed(view) if view and self._connected and doing is None else frozenset[Action]()
        for action, button in self.buttons.items():
            button.setEnabled(action in can)
            word = action.doing if action is doing else action.word
            if button.text() != word:
                button.setText(word)
        tripped = view is not None and view.state is ChannelState.TRIPPED
        self.buttons[Action.CLEAR_TRIP].setVisible(tripped)
        self.buttons[Action.CONFIRM].setVisible(view is not None and view.question is not None)
        paused = view is not None and view.state is ChannelState.PAUSED
        self.buttons[Action.RESUME].setVisible(paused)
        self.buttons[Action.PAUSE].setVisible(not paused)
