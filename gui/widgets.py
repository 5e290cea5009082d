"""Two widgets whose marks the style sheet cannot draw."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QCheckBox, QComboBox, QStyle, QStyleOptionButton

from gui import icons


class Choice(QComboBox):
    """A combo box with an arrow."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.width() - 22, self.height() / 2 - 5, 11, 11)
        icons.draw(painter, icons.downward(), box, self.palette().color(QPalette.ColorRole.PlaceholderText))
        painter.end()


class TickBox(QCheckBox):
    """A check box with a tick that a glove cannot miss."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self.isChecked():
            return
        option = QStyleOptionButton()
        self.initStyleOption(option)
        square = self.style().subElementRect(QStyle.SubElement.SE_CheckBoxIndicator, option, self)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(QPalette.ColorRole.Window)
        icons.draw(painter, icons.tick(), QRectF(square).adjusted(6, 6, -6, -6), ink)
        painter.end()
