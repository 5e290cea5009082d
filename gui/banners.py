"""Bars across the window that stay until what they say is over; none of them needs an answer."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from gui import icons
from gui.theme import Theme

MOST_NOTICES = 3


class Banner(QFrame):
    """One bar: a shape, a text and, where `closable`, a button that closes it. `kind`: simulated, warning or danger."""

    def __init__(self, kind: str, theme: Theme, text: str = "", *, closable: bool = False) -> None:
        super().__init__()
        self.setObjectName("banner")
        self._kind = kind
        self._mark = QLabel()
        self._label = QLabel()
        self._label.setWordWrap(True)
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 6, 8, 6)
        row.setSpacing(12)
        row.addWidget(self._mark)
        row.addWidget(self._label, 1)
        self.close_button = QPushButton("Close")
        self.close_button.setVisible(closable)
        self.close_button.clicked.connect(self.deleteLater)
        row.addWidget(self.close_button)
        self.set_theme(theme)
        self.say(text)

    @property
    def text(self) -> str:
        return self._label.text()

    def say(self, text: str) -> None:
        """Show `text`; with '' the bar goes away."""
        if text != self._label.text():
            self._label.setText(text)
            self.setAccessibleName(text)
        self.setVisible(bool(text))

    def set_theme(self, theme: Theme) -> None:
        ground, ink, shape = {
            "simulated": (theme.simulated_fill, theme.simulated, icons.information()),
            "warning": (theme.warning_fill, theme.warning, icons.warning()),
            "danger": (theme.danger_fill, "#ffffff", icons.alarm()),
        }[self._kind]
        self._mark.setPixmap(icons.pixmap(shape, ink, 20))
        self.setStyleSheet(
            f"QFrame#banner {{ background: {ground}; border-radius: 8px; }}"
            f"QFrame#banner > QLabel {{ color: {ink}; font-weight: 600; font-size: 14px; }}"
        )


class Notices(QWidget):
    """What the service refused, in its own words: the newest on top, each until it is closed."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._bars: list[Banner] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(6)
        self.hide()

    def add(self, text: str) -> None:
        if text in self.texts():
            return
        bar = Banner("danger", self._theme, text, closable=True)
        bar.close_button.clicked.connect(lambda: self._drop(bar))
        self._bars.insert(0, bar)
        self._column.insertWidget(0, bar)
        for old in self._bars[MOST_NOTICES:]:
            old.close_button.click()
        self.show()

    def texts(self) -> list[str]:
        return [bar.text for bar in self._bars]

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        for bar in self._bars:
            bar.set_theme(theme)

    def _drop(self, bar: Banner) -> None:
        self._bars.remove(bar)
        self.setVisible(bool(self._bars))
