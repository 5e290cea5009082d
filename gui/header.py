"""The top line: which station, how many channels are in which state, and who is at work."""

from __future__ import annotations

import getpass
from collections.abc import Sequence

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from gui import icons, quantities
from gui.theme import Theme
from station.calibration_views import SessionView
from station.readings import ChannelState, StationView

ORDER = (
    ChannelState.TRIPPED,
    ChannelState.OFFLINE,
    ChannelState.STOPPING,
    ChannelState.PAUSED,
    ChannelState.RUNNING,
    ChannelState.IDLE,
)
NAMES_SHOWN = 4
CALIBRATE = "Calibrate …"


def login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # an account without a name
        return ""


class Header(QWidget):
    channel_wanted = Signal(str)
    theme_wanted = Signal()
    calibration_wanted = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._members: dict[ChannelState, list[str]] = {state: [] for state in ORDER}
        self._last_shown: dict[ChannelState, str] = {}
        self._title = QLabel("Cellstation")
        self._title.setProperty("role", "heading")
        self._clock = QLabel()
        self._clock.setProperty("role", "caption")
        self.chips = {state: QPushButton() for state in ORDER}
        self.operator = QLineEdit(login_name())
        self.operator.setPlaceholderText("your name")
        self.operator.setToolTip("Written into the event log with every command")
        self.operator.setAccessibleName("Operator")
        self.operator.setFixedWidth(120)
        self.theme_button = QPushButton()
        self.theme_button.clicked.connect(self.theme_wanted)
        self.calibrate = QPushButton(CALIBRATE)
        self.calibrate.setProperty("role", "chip")
        self.calibrate.setToolTip("Calibrate a pressure sensor against a load cell")
        self.calibrate.clicked.connect(self.calibration_wanted)
        self._build()
        self.set_theme(theme)

    def _build(self) -> None:
        names = QVBoxLayout()
        names.setSpacing(0)
        names.addWidget(self._title)
        names.addWidget(self._clock)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addLayout(names)
        row.addSpacing(16)
        for state, chip in self.chips.items():
            chip.setProperty("role", "alarm-chip" if state is ChannelState.TRIPPED else "chip")
            chip.setIconSize(QSize(16, 16))
            chip.hide()
            chip.clicked.connect(lambda _=False, state=state: self._show_next(state))
            row.addWidget(chip)
        row.addStretch(1)
        row.addWidget(self.calibrate)
        row.addSpacing(8)
        who = QLabel("Operator")
        who.setProperty("role", "dim")
        row.addWidget(who)
        row.addWidget(self.operator)
        row.addWidget(self.theme_button)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.theme_button.setText("Light" if theme.name == "dark" else "Dark")
        for state, chip in self.chips.items():
            colour = "#ffffff" if state is ChannelState.TRIPPED else theme.state(state)
            chip.setIcon(icons.icon(icons.STATES[state], colour, theme.faint))

    def show_station(self, station: StationView) -> None:
        self._title.setText(f"Cellstation · {station.name}")
        self._clock.setText(f"Station time {quantities.clock_time(station.time)}")
        for state, chip in self.chips.items():
            names = [view.name for view in station.channels if view.state is state]
            if names != self._members[state]:
                self._members[state] = names
                chip.setText(_chip_text(state, names))
                chip.setToolTip(f"Show the next of: {', '.join(names)}")
                chip.setVisible(bool(names))

    def show_calibrations(self, sessions: Sequence[SessionView]) -> None:
        """Those that go on, or wait to be taken up again."""
        text = CALIBRATE
        if len(sessions) == 1:
            text = f"Calibration of {sessions[0].sensor}: step {sessions[0].step} of {sessions[0].steps}"
        elif sessions:
            text = f"{len(sessions)} calibrations …"
        if self.calibrate.text() != text:
            self.calibrate.setText(text)

    def _show_next(self, state: ChannelState) -> None:
        names = self._members[state]
        last = self._last_shown.get(state)
        name = names[(names.index(last) + 1) % len(names)] if last in names else names[0]
        self._last_shown[state] = name
        self.channel_wanted.emit(name)


def _chip_text(state: ChannelState, names: list[str]) -> str:
    if state not in (ChannelState.TRIPPED, ChannelState.OFFLINE):
        return f"{len(names)} {state.value}"
    shown = ", ".join(names[:NAMES_SHOWN]) + (" …" if len(names) > NAMES_SHOWN else "")
    word = state.value.upper() if state is ChannelState.TRIPPED else state.value
    return f"{len(names)} {word}: {shown}"
