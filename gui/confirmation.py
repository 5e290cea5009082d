"""A question before a click that cannot be undone. It blocks nothing: the window behind goes on living."""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget


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
