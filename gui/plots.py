"""What every plot has: a title, a readout under the pointer, axes in the theme's colours, a word where data lack."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPainterPath
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout

from gui.reduce import Array
from gui.theme import Theme, font

SYMBOLS = "●▲▼◇○×"
MOST_LINES = 150  # of markers on one screen
AXIS_WIDTH = 62  # the same on all, so that plots above one another line up

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def time_unit(low_s: float, high_s: float) -> tuple[float, str]:
    """Seconds in the unit that suits a range, and its name: an hour on the tenth day is read in hours."""
    if high_s - low_s > 5 * DAY:
        return DAY, "d"
    most = max(abs(low_s), abs(high_s))
    return (HOUR, "h") if most > 2 * HOUR else (MINUTE, "min") if most > 2 * MINUTE else (1.0, "s")


class TimeAxis(pg.AxisItem):  # type: ignore[misc]
    """Data in seconds, shown in s, min, h or d as the range suits."""

    _text = ""
    _unit = ""

    def __init__(self, text: str) -> None:
        super().__init__("bottom")
        self._text, self._unit = text, ""
        self.enableAutoSIPrefix(False)

    def setRange(self, low: float, high: float) -> None:
        seconds, name = time_unit(low, high)
        if name != self._unit:
            self._unit = name
            self.setScale(1 / seconds)
            self.setLabel(f"{self._text} ({name})" if self._text else None)
        super().setRange(low, high)


class Band(pg.GraphicsObject):  # type: ignore[misc]
    """The area between two curves, broken where either is NaN."""

    def __init__(self) -> None:
        super().__init__()
        self._path = QPainterPath()
        self._colour = QColor()

    def set_colour(self, colour: str, alpha: int) -> None:
        self._colour = QColor(colour)
        self._colour.setAlpha(alpha)
        self.update()

    def set_data(self, x: Array, low: Array, high: Array) -> None:
        self.prepareGeometryChange()
        self._path = QPainterPath()
        known = np.isfinite(low) & np.isfinite(high)
        for part in np.split(np.arange(len(x)), np.flatnonzero(np.diff(known)) + 1):
            if len(part) > 1 and known[part[0]]:
                around_x = np.concatenate([x[part], x[part][::-1]])
                around_y = np.concatenate([low[part], high[part][::-1]])
                self._path.addPath(pg.arrayToQPath(around_x, around_y))
        self.informViewBoundsChanged()
        self.update()

    def set_sideways(self, y: Array, left: Array, right: Array) -> None:
        """Between two curves that are given as x over y."""
        self.prepareGeometryChange()
        self._path = QPainterPath()
        if len(y) > 1:
            self._path = pg.arrayToQPath(np.concatenate([left, right[::-1]]), np.concatenate([y, y[::-1]]))
        self.informViewBoundsChanged()
        self.update()

    def boundingRect(self) -> QRectF:
        return self._path.boundingRect()

    def paint(self, painter: QPainter, *_: object) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.fillPath(self._path, self._colour)


class MarkerLines(pg.GraphicsObject):  # type: ignore[misc]
    """A vertical line over the whole height at each of many times; at most one to a few pixels."""

    def __init__(self) -> None:
        super().__init__()
        self._times = np.empty(0)
        self._pen = pg.mkPen()

    def set_colour(self, colour: str) -> None:
        faint = QColor(colour)
        faint.setAlpha(130)
        self._pen = pg.mkPen(faint, width=1, style=Qt.PenStyle.DashLine)
        self.update()

    def set_times(self, times: Array) -> None:
        """In the order of time."""
        self._times = times
        self.update()

    def shown_times(self, rectangle: QRectF) -> Array:
        low, high = np.searchsorted(self._times, (rectangle.left(), rectangle.right()))
        within = self._times[low:high]
        if len(within) <= MOST_LINES:
            return within
        chosen: Array = within[np.linspace(0, len(within) - 1, MOST_LINES).round().astype(int)]
        return chosen

    def boundingRect(self) -> QRectF:
        return QRectF(self.viewRect())

    def viewTransformChanged(self) -> None:
        self.prepareGeometryChange()
        super().viewTransformChanged()  # which forgets the range that was on show
        self.update()

    def paint(self, painter: QPainter, *_: object) -> None:
        rectangle = self.viewRect()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(self._pen)
        for time in self.shown_times(rectangle):
            painter.drawLine(QPointF(time, rectangle.top()), QPointF(time, rectangle.bottom()))


class Plot(QFrame):
    """A card with one plot. Subclasses draw, and say in `read` what lies under the pointer."""

    moved = Signal(float)  # the pointer's x
    left = Signal()

    def __init__(self, title: str, theme: Theme, bottom: pg.AxisItem | None = None) -> None:
        super().__init__()
        self.setObjectName("card")
        self.title = title
        self._title = QLabel(title)
        self._title.setProperty("role", "heading")
        self._key = QLabel()  # what the colours mean
        self._key.setTextFormat(Qt.TextFormat.RichText)
        self._readout = QLabel()
        self._readout.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._readout.setTextFormat(Qt.TextFormat.PlainText)
        self.widget = pg.PlotWidget(axisItems={"bottom": bottom} if bottom else None)
        self.item = self.widget.getPlotItem()
        self.view = self.item.getViewBox()
        self._message = QLabel(self.widget)
        self._message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._message.setProperty("role", "dim")
        self._message.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._arrange()
        self._prepare()
        self.theme = theme

    def _arrange(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(self._title)
        head.addWidget(self._key)
        head.addWidget(self._readout, 1)
        for label in (self._key, self._readout):
            label.setMinimumWidth(1)  # the plots share the width evenly, whatever is written above them
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 8, 4)
        column.setSpacing(2)
        column.addLayout(head)
        column.addWidget(self.widget, 1)

    def _prepare(self) -> None:
        self.widget.setFrameShape(QFrame.Shape.NoFrame)
        self.widget.setMinimumHeight(60)
        self.item.setMenuEnabled(False)
        self.item.hideButtons()
        self.item.showGrid(x=True, y=True, alpha=0.13)
        self.item.setContentsMargins(0, 4, 6, 0)
        axis = self.item.getAxis("left")
        axis.setWidth(AXIS_WIDTH)
        self.crosshair = pg.InfiniteLine(angle=90)
        self.crosshair.hide()
        self.item.addItem(self.crosshair, ignoreBounds=True)
        self.widget.scene().sigMouseMoved.connect(self._pointer_moved)

    def set_theme(self, theme: Theme) -> None:
        self.theme = theme
        self.widget.setBackground(theme.surface)
        for name in ("left", "bottom", "right"):
            axis = self.item.getAxis(name)
            axis.setPen(pg.mkPen(theme.grid, width=1))
            axis.setTextPen(pg.mkPen(theme.dim))
            axis.setTickFont(font(11))
            axis.setStyle(tickTextOffset=5, maxTickLevel=1)  # a third level of grid lines costs time and calm
            axis.label.setFont(font(11))
            axis.labelStyle = {"color": theme.dim}
            axis.setLabel(axis.labelText or None, units=axis.labelUnits or None)
        self.crosshair.setPen(pg.mkPen(theme.dim, width=1, style=Qt.PenStyle.DashLine))

    def say(self, message: str) -> None:
        """A word over an empty plot; nothing with ''."""
        self._message.setText(message)
        self._message.setVisible(bool(message))
        self._message.setGeometry(self.widget.rect().adjusted(AXIS_WIDTH, 0, 0, -20))

    @property
    def message(self) -> str:
        return self._message.text()

    def key(self, *entries: tuple[str, str]) -> None:
        """Pairs of colour and word, beside the title; a word may begin with a symbol of its own."""
        self._key.setText(" &nbsp; ".join(_coloured(colour, word) for colour, word in entries))

    def read(self, point: QPointF) -> str:
        """What lies nearest to `point` (in the plot's coordinates), in words."""
        return ""

    def point_at(self, x: float | None) -> None:
        """Move the crosshair to `x`, or away."""
        self.crosshair.setVisible(x is not None)
        if x is not None:
            self.crosshair.setValue(x)

    @property
    def readout(self) -> str:
        return self._readout.text()

    def set_readout(self, text: str) -> None:
        self._readout.setText(text)
        title, key, readout = (label.sizeHint().width() + 12 for label in (self._title, self._key, self._readout))
        self._key.setVisible(not text or title + key + readout < self.width() - 20)
        self._title.setVisible(not text or title + readout < self.width() - 20)

    def resizeEvent(self, event: object) -> None:
        self.say(self._message.text())

    def leaveEvent(self, event: object) -> None:
        self.set_readout("")
        self.point_at(None)
        self.left.emit()

    def _pointer_moved(self, position: QPointF) -> None:
        if self.item.sceneBoundingRect().contains(position):
            point = self.view.mapSceneToView(position)
            self.set_readout(self.read(point))
            self.moved.emit(point.x())

    def nearest(self, x: Array, y: Array, point: QPointF) -> int | None:
        """The index of the data point nearest on the screen."""
        width, height = self.view.viewPixelSize()
        distance = ((x - point.x()) / width) ** 2 + ((y - point.y()) / height) ** 2
        return None if not np.isfinite(distance).any() else int(np.nanargmin(distance))


def _coloured(colour: str, word: str) -> str:
    symbol, text = (word[0], word[1:]) if word[0] in SYMBOLS else ("■", f" {word}")
    return f'<span style="color:{colour}">{symbol}</span>{text}'
