"""Shapes that say what a state, a level or a button means without its colour. Drawn in a unit square."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPainterPath, QPixmap, QPolygonF, QTransform

from station.readings import ChannelState, Level


def _polygon(*points: tuple[float, float]) -> QPainterPath:
    path = QPainterPath()
    path.addPolygon(QPolygonF([QPointF(x, y) for x, y in points]))
    path.closeSubpath()
    return path


def _rectangle(x: float, y: float, width: float, height: float) -> QPainterPath:
    path = QPainterPath()
    path.addRoundedRect(QRectF(x, y, width, height), 0.06, 0.06)
    return path


def _disc(radius: float, x: float = 0.5, y: float = 0.5) -> QPainterPath:
    path = QPainterPath()
    path.addEllipse(QPointF(x, y), radius, radius)
    return path


def _octagon() -> QPainterPath:
    turns = [math.radians(22.5 + 45 * corner) for corner in range(8)]
    return _polygon(*[(0.5 + 0.5 * math.cos(turn), 0.5 + 0.5 * math.sin(turn)) for turn in turns])


def _exclamation(top: float, bottom: float) -> QPainterPath:
    return _rectangle(0.435, top, 0.13, bottom - top - 0.18).united(_disc(0.075, 0.5, bottom - 0.07))


def play() -> QPainterPath:
    return _polygon((0.18, 0.06), (0.92, 0.5), (0.18, 0.94))


def bars() -> QPainterPath:
    return _rectangle(0.16, 0.08, 0.24, 0.84).united(_rectangle(0.60, 0.08, 0.24, 0.84))


def square() -> QPainterPath:
    return _rectangle(0.12, 0.12, 0.76, 0.76)


def ring() -> QPainterPath:
    path = _disc(0.44)
    path.addPath(_disc(0.30))  # odd and even: a difference of paths would be made of chords
    return path


def alarm() -> QPainterPath:
    return _octagon().subtracted(_exclamation(0.2, 0.82))


def warning() -> QPainterPath:
    return _polygon((0.5, 0.04), (1.0, 0.94), (0.0, 0.94)).subtracted(_exclamation(0.34, 0.86))


def information() -> QPainterPath:
    letter = _rectangle(0.435, 0.42, 0.13, 0.36).united(_disc(0.08, 0.5, 0.28))
    return _disc(0.44).subtracted(letter)


def cross() -> QPainterPath:
    bar = _rectangle(0.41, -0.02, 0.18, 1.04)
    turn = QTransform().translate(0.5, 0.5)
    one, other = QTransform(turn).rotate(45), QTransform(turn).rotate(-45)
    back = QTransform().translate(-0.5, -0.5)
    return (back * one).map(bar).united((back * other).map(bar))


def skip() -> QPainterPath:
    return _polygon((0.08, 0.08), (0.70, 0.5), (0.08, 0.92)).united(_rectangle(0.74, 0.08, 0.17, 0.84))


def resume() -> QPainterPath:
    return _rectangle(0.08, 0.08, 0.17, 0.84).united(_polygon((0.34, 0.08), (0.96, 0.5), (0.34, 0.92)))


def downward() -> QPainterPath:
    return _polygon((0.0, 0.25), (1.0, 0.25), (0.5, 0.8))


def tick() -> QPainterPath:
    return _polygon((0.04, 0.54), (0.18, 0.40), (0.38, 0.60), (0.82, 0.14), (0.96, 0.28), (0.38, 0.88))


def flag() -> QPainterPath:
    return _rectangle(0.16, 0.04, 0.12, 0.92).united(_polygon((0.28, 0.08), (0.92, 0.28), (0.28, 0.5)))


def question() -> QPainterPath:
    """An exclamation in a speech bubble: somebody is spoken to."""
    bubble = _rectangle(0.02, 0.06, 0.96, 0.66).united(_polygon((0.2, 0.66), (0.5, 0.66), (0.2, 0.98)))
    return bubble.subtracted(_exclamation(0.14, 0.66))


STATES: dict[ChannelState, QPainterPath] = {
    ChannelState.IDLE: ring(),
    ChannelState.RUNNING: play(),
    ChannelState.PAUSED: bars(),
    ChannelState.STOPPING: square(),
    ChannelState.TRIPPED: alarm(),
    ChannelState.OFFLINE: cross(),
}
LEVELS: dict[Level, QPainterPath] = {
    Level.INFO: information(),
    Level.WARNING: warning(),
    Level.ALARM: alarm(),
    Level.MARKER: flag(),
}


def draw(painter: QPainter, shape: QPainterPath, box: QRectF, colour: str | QColor) -> None:
    painter.save()
    painter.translate(box.topLeft())
    painter.scale(box.width(), box.height())
    painter.fillPath(shape, QColor(colour))
    painter.restore()


def pixmap(shape: QPainterPath, colour: str, pixels: int = 18, ratio: float = 2.0) -> QPixmap:
    image = QPixmap(QSize(pixels, pixels) * ratio)
    image.setDevicePixelRatio(ratio)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    draw(painter, shape, QRectF(1, 1, pixels - 2, pixels - 2), colour)
    painter.end()
    return image


def icon(shape: QPainterPath, colour: str, disabled: str) -> QIcon:
    made = QIcon(pixmap(shape, colour))
    made.addPixmap(pixmap(shape, disabled), QIcon.Mode.Disabled)
    return made
