"""What is read from two metres away: force against its target, resistance, and lamps that say what is at rest."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPainterPath, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from gui import icons, quantities
from gui.calibration.fields import put
from gui.theme import Theme, font
from station.calibration_views import CalibrationView

OFF = (-0.5, -0.2, -0.1, 0.1, 0.2, 0.5)  # ticks: shares away from the target
SPREAD = 0.5  # the scale's power: 3 % off the target is a sixth of the way to the end


def place(force_N: float, target_N: float) -> float:
    """Where on the bar, from −1 (no load) over 0 (the target) to 1 (twice the target or more).

    The root of the distance, so that the neighbourhood of the target is wide and nothing falls off the end.
    """
    off = max(-1.0, min(1.0, force_N / target_N - 1.0))
    return math.copysign(abs(off) ** SPREAD, off)


class ForceBar(QWidget):
    """The target in the middle, its tolerance as a band, and a needle where the force is now."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self._view: CalibrationView | None = None
        self.setMinimumHeight(86)
        self.setMinimumWidth(300)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(600, 86)

    def show_view(self, view: CalibrationView) -> None:
        self._view = view
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        bar = QRectF(14, 20, self.width() - 28, 38)
        painter.setPen(QPen(QColor(self.theme.border), 1))
        painter.setBrush(QColor(self.theme.raised))
        painter.drawRoundedRect(bar, 7, 7)
        view = self._view
        if view is not None and view.target_N:
            self._paint_scale(painter, bar, view.target_N, view.tolerance_N or 0.0, view.force_ok)
            if view.force_N is not None:
                self._paint_needle(painter, bar, view.force_N, view.target_N, view.force_ok)
        painter.end()

    def _x(self, bar: QRectF, where: float) -> float:
        return bar.center().x() + where * bar.width() / 2

    def _paint_scale(self, painter: QPainter, bar: QRectF, target_N: float, tolerance_N: float, on_it: bool) -> None:
        low = self._x(bar, place(target_N - tolerance_N, target_N))
        high = self._x(bar, place(target_N + tolerance_N, target_N))
        fill = QColor(self.theme.good)
        fill.setAlpha(110 if on_it else 70)
        painter.fillRect(QRectF(low, bar.top() + 1, high - low, bar.height() - 2), fill)
        painter.setPen(QPen(QColor(self.theme.good), 2))
        for x in (low, high):
            painter.drawLine(QPointF(x, bar.top() - 4), QPointF(x, bar.bottom() + 4))
        painter.setFont(font(13))
        metrics = QFontMetrics(painter.font())
        for off in (-1.0, *OFF, 1.0):
            x = self._x(bar, place(target_N * (1 + off), target_N))
            painter.setPen(QPen(QColor(self.theme.grid), 1))
            painter.drawLine(QPointF(x, bar.bottom() - 8), QPointF(x, bar.bottom()))
            text = quantities.force(target_N * (1 + off)).removesuffix(" N") if off > -1 else "0"
            text = f"{target_N * (1 + off):.3g}" if off > -1 else text
            wide = metrics.horizontalAdvance(text)
            left = min(max(x - wide / 2, 2.0), self.width() - wide - 2.0)
            painter.setPen(QColor(self.theme.dim))
            painter.drawText(QPointF(left, bar.bottom() + 20), text)
        painter.setFont(font(14, bold=True))
        painter.setPen(QColor(self.theme.good))
        text = f"{target_N:.4g} N"
        wide = QFontMetrics(painter.font()).horizontalAdvance(text)
        painter.drawText(QPointF(bar.center().x() - wide / 2, bar.bottom() + 20), text)

    def _paint_needle(self, painter: QPainter, bar: QRectF, force_N: float, target_N: float, on_it: bool) -> None:
        x = min(max(self._x(bar, place(force_N, target_N)), bar.left() + 4), bar.right() - 4)
        ink = QColor(self.theme.good if on_it else self.theme.text)
        painter.setPen(QPen(ink, 4))
        painter.drawLine(QPointF(x, bar.top() - 2), QPointF(x, bar.bottom() + 2))
        path = QPainterPath()
        path.addPolygon(QPolygonF([QPointF(x - 11, 2), QPointF(x + 11, 2), QPointF(x, 19)]))
        painter.fillPath(path, ink)
        if abs(force_N / target_N - 1) > 1 and force_N > target_N:  # beyond the bar's end
            painter.setFont(font(14, bold=True))
            painter.drawText(QPointF(bar.right() - 40, bar.center().y() + 5), "▶▶")


class Lamp(QFrame):
    """A shape, a name and a word; lit or not."""

    def __init__(self, name: str, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("lamp")
        self._name = name
        self._theme = theme
        self._state: tuple[str, str] | None = None
        self._mark, self._title, self._word = QLabel(), QLabel(name), QLabel()
        self._title.setProperty("role", "caption")
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self._title)
        words.addWidget(self._word)
        line = QHBoxLayout(self)
        line.setContentsMargins(12, 6, 12, 6)
        line.setSpacing(10)
        line.addWidget(self._mark)
        line.addLayout(words, 1)
        self._word.setMinimumWidth(1)

    @property
    def word(self) -> str:
        return self._word.text()

    @property
    def lit(self) -> bool:
        return self._state is not None and self._state[1] == "lit"

    def show_state(self, word: str, look: str) -> None:
        """`look`: lit, waiting or idle; told by the shape and the word, and by the colour beside them."""
        put(self._word, word)
        if (self._theme.name, look) != self._state:
            self._state = (self._theme.name, look)
            shape, ink = {
                "lit": (icons.tick(), self._theme.good),
                "waiting": (icons.ring(), self._theme.warning),
                "idle": (icons.ring(), self._theme.faint),
            }[look]
            self._mark.setPixmap(icons.pixmap(shape, ink, 26))
            edge = ink if look != "idle" else self._theme.border
            self.setStyleSheet(
                f"QFrame#lamp {{ background: {self._theme.surface}; border: 2px solid {edge}; border-radius: 8px; }}"
            )
            colour = self._theme.text if look != "idle" else self._theme.dim
            self._word.setStyleSheet(f"color: {colour}; font-size: 16px; font-weight: 700;")
        self.setAccessibleName(f"{self._name}: {word}")

    @property
    def look(self) -> str:
        return self._state[1] if self._state else "idle"

    def set_theme(self, theme: Theme) -> None:
        word, look = self.word, self.look
        self._theme = theme
        self.show_state(word, look)


class Gauge(QFrame):
    """Force, large, with what to do about it; resistance; the bar."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("card")
        self._theme = theme
        self._dressed: object = None
        self.force, self.resistance, self.advice, self.target = QLabel(), QLabel(), QLabel(), QLabel()
        self.bar = ForceBar(theme)
        captions = {}
        numbers = QHBoxLayout()
        numbers.setSpacing(24)
        for name, value in (("Force", self.force), ("Do this", self.advice), ("Resistance", self.resistance)):
            caption = QLabel(name)
            caption.setProperty("role", "dim")
            captions[name] = caption
            pair = QVBoxLayout()
            pair.setSpacing(0)
            pair.addWidget(caption)
            pair.addWidget(value)
            value.setMinimumWidth(1)
            numbers.addLayout(pair, 1)
        self.target = captions["Force"]
        self._advice_caption = captions["Do this"]
        self.advice.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 10, 16, 4)
        column.setSpacing(4)
        column.addLayout(numbers)
        column.addWidget(self.bar)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.bar.theme = theme
        self._dressed = None
        self.force.setStyleSheet(f"color: {theme.text}; font-size: 44px; font-weight: 700;")
        self.resistance.setStyleSheet(f"color: {theme.accent}; font-size: 44px; font-weight: 700;")
        self._dress(self.advice.text(), False)
        self.bar.update()

    def show_view(self, view: CalibrationView, alive: bool) -> None:
        put(self.force, quantities.force(view.force_N))
        put(self.resistance, "open" if view.resistance_open else quantities.resistance(view.resistance_ohm))
        if view.target_N:
            within = f" ± {quantities.force(view.tolerance_N)}" if view.tolerance_N else ""
            put(self.target, f"Force   –   target {quantities.force(view.target_N)}{within}")
        else:
            put(self.target, "Force" if view.target_N is None else "Force   –   target: no load")
        word, good = advice(view)
        put(self.advice, word if alive else quantities.NOTHING)
        put(self._advice_caption, "The frame" if view.driven else "The screw")
        self._dress(word, good)
        self.bar.setVisible(bool(view.target_N))
        self.bar.show_view(view)

    def _dress(self, word: str, good: bool) -> None:
        look = (self._theme.name, good)
        if look != self._dressed:
            self._dressed = look
            colour = self._theme.good if good else self._theme.warning
            self.advice.setStyleSheet(f"color: {colour}; font-size: 44px; font-weight: 700;")


def advice(view: CalibrationView) -> tuple[str, bool]:
    """More, less, or hold; and whether that is good news."""
    if view.paused:
        return "paused", False
    if view.force_N is None or view.target_N is None:
        return quantities.NOTHING, True
    if view.force_ok:
        return ("✓ hold", True) if view.target_N else ("✓ no load", True)
    if view.force_N < view.target_N:
        return ("▶ rising", False) if view.driven else ("▶ more", False)
    return ("◀ falling", False) if view.driven else ("◀ less", False)
