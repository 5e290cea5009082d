"""The grid of channels: one widget that paints every tile by hand, quick enough for hundreds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QScrollArea, QToolTip, QWidget

from gui import icons, quantities
from gui.reduce import Array
from gui.sparklines import SPAN_S, Trace
from gui.theme import Theme, font
from station.readings import ChannelState, ChannelView, StationView

GAP = 8
PAD = 12
STRIPE = 5
FULL = QSize(236, 146)  # the least size of a tile with everything on it
COMPACT = QSize(194, 98)
TALLEST = 178
NO_PRESSURE = "no pressure"

LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
WRAPPED = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap


@dataclass(frozen=True)
class TileText:
    """Everything a tile says, with its units."""

    name: str
    state: str
    cell: str
    step: str
    cycle: str
    voltage: str
    current: str
    capacity: str
    specific: str
    pressure: str
    reason: str
    question: str = ""

    @staticmethod
    def of(view: ChannelView) -> TileText:
        pressure = quantities.pressure(view.pressure_Pa, view.pressure_U_Pa)
        if view.pressure_Pa is None:
            pressure = NO_PRESSURE if view.run_id else ""
        if view.pressure_Pa is None and view.resistance_ohm is not None:
            pressure = f"sensor {quantities.resistance(view.resistance_ohm)}"
        specific = quantities.specific_capacity(view.specific_capacity_mAh_g)
        return TileText(
            name=view.name,
            state=view.state.value.upper(),
            cell=view.cell or "no cell",
            step=view.step_name or "",
            cycle=quantities.cycle(view.cycle, view.cycles_planned) if view.cycle is not None else "",
            voltage=quantities.voltage(view.voltage_V),
            current=quantities.current(view.current_A),
            capacity=quantities.capacity(view.step_capacity_Ah) if view.step_capacity_Ah is not None else "",
            specific=specific if view.specific_capacity_mAh_g is not None else "",
            pressure=pressure,
            reason=view.reason,
            question=view.question or "",
        )

    def lines(self) -> tuple[str, ...]:
        """The same in words, for the tool tip and for screen readers."""
        every = (
            f"{self.name}: {self.state.lower()}",
            self.reason,
            f"waits for you: {self.question}" if self.question else "",
            self.cell,
            " · ".join(part for part in (self.step, self.cycle) if part),
            f"{self.voltage}, {self.current}",
            ", ".join(part for part in (self.capacity, self.specific) if part),
            self.pressure,
        )
        return tuple(line for line in every if line and line != quantities.NOTHING)


class TileGrid(QWidget):
    selected = Signal(str)
    opened = Signal(str)  # double click
    answered = Signal(str)  # the button under a question

    def __init__(self, theme: Theme, traces: Mapping[str, Trace]) -> None:
        super().__init__()
        self._theme = theme
        self._traces = traces
        self._views: tuple[ChannelView, ...] = ()
        self._texts: dict[str, TileText] = {}
        self._selection: str | None = None
        self._stale = False
        self._columns = 1
        self._tile = FULL
        self._full = True
        self._room = QSize(480, 600)
        self._fonts = {size: (font(size), font(size, bold=True)) for size in (11, 12, 13, 15, 17)}
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Channels")

    # --- what is shown

    def show_station(self, station: StationView) -> None:
        rearranged = [view.name for view in station.channels] != [view.name for view in self._views]
        self._views = station.channels
        self._texts = {view.name: TileText.of(view) for view in self._views}
        if rearranged:
            self.arrange(self._room)
        self._describe()
        self.update()

    def set_stale(self, stale: bool) -> None:
        """Fade what is shown: it is the last that was heard."""
        self._stale = stale
        self.update()

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.update()

    def text_of(self, channel: str) -> TileText:
        return self._texts[channel]

    @property
    def selection(self) -> str | None:
        return self._selection

    def select(self, channel: str) -> None:
        if channel == self._selection or channel not in self._texts:
            return
        self._selection = channel
        self._describe()
        self.update()
        self.selected.emit(channel)

    def _describe(self) -> None:
        text = self._texts.get(self._selection or "")
        self.setAccessibleDescription("; ".join(text.lines()) if text else "")

    # --- where the tiles are

    def arrange(self, room: QSize) -> None:
        """Full tiles where all of them fit into `room`, else compact ones."""
        self._room = room
        for size in (FULL, COMPACT):
            self._columns = max(1, (room.width() + GAP) // (size.width() + GAP))
            rows = max(1, -(-len(self._views) // self._columns))
            self._full = size is FULL
            if rows * (size.height() + GAP) <= room.height():
                break
        height = max(size.height(), min(room.height() // rows - GAP, TALLEST if self._full else FULL.height()))
        self._tile = QSize((room.width() + GAP) // self._columns - GAP, height)
        self.setMinimumHeight(rows * (height + GAP))
        self.update()

    def tile_of(self, channel: str) -> QRect:
        return self._tile_at(next(i for i, view in enumerate(self._views) if view.name == channel))

    def _tile_at(self, index: int) -> QRect:
        row, column = divmod(index, self._columns)
        step = QSize(self._tile.width() + GAP, self._tile.height() + GAP)
        return QRect(QPoint(column * step.width(), row * step.height()), self._tile)

    def question_of(self, channel: str) -> QRect:
        """The bar with the channel's question: its right end is the button."""
        body = self._inner(self.tile_of(channel)).adjusted(0, 42, 0, 0)
        return _question_bar(body, self._full)

    def confirm_button_of(self, channel: str) -> QRect:
        return _confirm_button(self.question_of(channel), self._full)

    def _inner(self, box: QRect) -> QRect:
        return box.adjusted(PAD + STRIPE, 9, -PAD, -8)

    def _index_at(self, point: QPoint) -> int | None:
        return next((i for i in range(len(self._views)) if self._tile_at(i).contains(point)), None)

    # --- what the user does

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self._index_at(event.position().toPoint())
        if index is None:
            return
        view = self._views[index]
        self.select(view.name)
        if view.question and self.confirm_button_of(view.name).contains(event.position().toPoint()):
            self.answered.emit(view.name)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        over = self._index_at(event.position().toPoint()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key
        steps = {key.Key_Left: -1, key.Key_Right: 1, key.Key_Up: -self._columns, key.Key_Down: self._columns}
        names = [view.name for view in self._views]
        here = names.index(self._selection) if self._selection in names else 0
        if names and event.key() in steps:
            there = here + steps[Qt.Key(event.key())]
            self.select(names[there] if 0 <= there < len(names) else names[here])
        elif names and event.key() in (key.Key_Home, key.Key_End):
            self.select(names[0 if event.key() == key.Key_Home else -1])
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            index = self._index_at(event.pos())
            if index is not None:
                QToolTip.showText(event.globalPos(), "\n".join(self._texts[self._views[index].name].lines()), self)
            return True
        return super().event(event)

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(event.rect(), QColor(self._theme.window))
        for index, view in enumerate(self._views):
            box = self._tile_at(index)
            if box.intersects(event.rect()):
                self._paint_tile(painter, box, view)
        if self._stale:
            veil = QColor(self._theme.window)
            veil.setAlpha(130)
            painter.fillRect(event.rect(), veil)
        painter.end()

    def _paint_tile(self, painter: QPainter, box: QRect, view: ChannelView) -> None:
        text = self._texts[view.name]
        tripped = view.state is ChannelState.TRIPPED
        self._paint_ground(painter, box, view)
        ink = _Ink(painter, self._fonts, "#ffffff" if tripped else self._theme.text)
        quiet = "#ffe1d8" if tripped else self._theme.dim
        inner = self._inner(box)
        full = self._full

        head = QRect(inner.left(), inner.top(), inner.width(), 20)
        mark = "#ffffff" if tripped else self._theme.state(view.state)
        icons.draw(painter, icons.STATES[view.state], QRectF(head.left(), head.top() + 2, 16, 16), mark)
        ink.put(head.adjusted(24, 0, 0, 0), text.name, 17, bold=True)
        ink.put(head, text.state, 11 if not full else 12, bold=True, align=RIGHT, colour=mark)
        second = QRect(inner.left(), inner.top() + 23, inner.width(), 17)
        ink.put(second, text.cell, 13)
        ink.put(second.adjusted(ink.width(text.cell, 13) + 10, 0, 0, 0), text.cycle, 12, align=RIGHT, colour=quiet)
        body = inner.adjusted(0, 42, 0, 0)
        if text.question:
            self._paint_question(painter, ink, body, text)
        elif text.reason:
            self._paint_reason(ink, body, text, full)
        elif full:
            self._paint_full(painter, ink, body, view, text)
        else:
            self._paint_compact(painter, ink, body, text)

    def _paint_ground(self, painter: QPainter, box: QRect, view: ChannelView) -> None:
        theme = self._theme
        chosen = view.name == self._selection
        tripped, offline = view.state is ChannelState.TRIPPED, view.state is ChannelState.OFFLINE
        ground = theme.danger_fill if tripped else theme.raised if chosen else theme.surface
        edge = QPen(QColor(theme.danger if tripped or offline else theme.border), 1)
        if offline:
            edge.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(edge)
        painter.setBrush(QColor(ground))
        painter.drawRoundedRect(QRectF(box).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)
        if not tripped:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.state(view.state)))
            painter.drawRoundedRect(QRectF(box.left() + 5, box.top() + 10, 3, box.height() - 20), 1.5, 1.5)
        if chosen:
            painter.setPen(QPen(QColor("#ffffff" if tripped else theme.accent), 3))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(box).adjusted(1.5, 1.5, -1.5, -1.5), 7, 7)

    def _paint_reason(self, ink: _Ink, body: QRect, text: TileText, full: bool) -> None:
        """The reason, and below it what is known of the cell where there is room: on a small tile, beside few words."""
        size = 13 if full else 11
        below = full or ink.width(text.reason, size) <= body.width()
        ink.wrap(body.adjusted(0, 0, 0, -18 if below else 0), text.reason, size, bold=full)
        if below:
            known = [each for each in (text.voltage, text.pressure) if each not in (quantities.NOTHING, NO_PRESSURE)]
            line = QRect(body.left(), body.bottom() - 17, body.width(), 18)
            ink.put(line, "   ".join(known), 13 if full else 12)

    def _paint_question(self, painter: QPainter, ink: _Ink, body: QRect, text: TileText) -> None:
        """A bar with the question and a button to answer it; the voltage below, where there is room."""
        theme, full = self._theme, self._full
        bar = _question_bar(body, full)
        button = _confirm_button(bar, full)
        painter.setPen(QPen(QColor(theme.warning), 1))
        painter.setBrush(QColor(theme.warning_fill))
        painter.drawRoundedRect(QRectF(bar).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        icons.draw(painter, icons.question(), QRectF(bar.left() + 7, bar.top() + 7, 14, 14), theme.warning)
        words = QRect(bar.left() + 27, bar.top() + 4, button.left() - bar.left() - 33, bar.height() - 8)
        ink.wrap(words, text.question, 12 if full else 11, bold=True, colour=theme.warning)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.accent))
        painter.drawRoundedRect(QRectF(button), 6, 6)
        middle = Qt.AlignmentFlag.AlignCenter
        ink.put(button, "Confirm", 12 if full else 11, bold=True, align=middle, colour=theme.window)
        if full:
            below = QRect(body.left(), bar.bottom() + 4, body.width(), 18)
            ink.put(below, "   ".join(each for each in (text.voltage, text.pressure) if each), 13)

    def _paint_full(self, painter: QPainter, ink: _Ink, body: QRect, view: ChannelView, text: TileText) -> None:
        theme = self._theme

        def row(offset: int, height: int) -> QRect:
            return QRect(body.left(), body.top() + offset, body.width(), height)

        ink.put(row(0, 20), text.voltage, 17, bold=True, colour=theme.voltage)
        ink.put(row(0, 20), text.current, 15, bold=True, align=RIGHT, colour=theme.current)
        ink.put(row(22, 16), text.step, 12, colour=theme.dim)
        amount = text.specific or text.capacity
        both = f"{text.capacity} · {text.specific}" if text.specific else amount
        room = body.width() - ink.width(text.step, 12) - 10
        ink.put(row(22, 16), both if ink.width(both, 12) <= room else amount, 12, align=RIGHT, colour=theme.dim)
        ink.put(row(41, 17), text.pressure, 13, colour=theme.pressure if view.pressure_Pa is not None else theme.dim)
        self._paint_sparklines(painter, body.adjusted(0, 61, 0, 0), view.name)

    def _paint_sparklines(self, painter: QPainter, strip: QRect, channel: str) -> None:
        trace = self._traces.get(channel)
        if trace is not None and len(trace.test_time_s) > 1 and strip.height() > 12:
            _sparkline(painter, QRectF(strip), trace.test_time_s, trace.pressure_Pa, self._theme.pressure)
            _sparkline(painter, QRectF(strip), trace.test_time_s, trace.voltage_V, self._theme.voltage)

    def _paint_compact(self, painter: QPainter, ink: _Ink, body: QRect, text: TileText) -> None:
        theme = self._theme
        first = QRect(body.left(), body.top(), body.width(), 20)
        roomy = body.width() > 186
        ink.put(first, text.voltage, 15 if roomy else 13, bold=True, colour=theme.voltage)
        ink.put(first, text.current, 13 if roomy else 12, bold=True, align=RIGHT, colour=theme.current)
        second = first.translated(0, 20)
        self._paint_sparklines(painter, body.adjusted(0, 44, 0, 0), text.name)
        ink.put(second, text.pressure, 12, colour=theme.pressure if text.pressure != NO_PRESSURE else theme.dim)
        if ink.width(text.pressure, 12) + ink.width(text.capacity, 12) + 8 <= second.width():
            ink.put(second, text.capacity, 12, align=RIGHT, colour=theme.dim)


def _question_bar(body: QRect, full: bool) -> QRect:
    below = 24 if full else 0
    return QRect(body.left() - 4, body.top(), body.width() + 8, body.height() - below)


def _confirm_button(bar: QRect, full: bool) -> QRect:
    width, height = (78, 34) if full else (64, 28)
    return QRect(bar.right() - width - 4, bar.bottom() - height - 4, width, height)


class _Ink:
    """Text on one tile."""

    def __init__(self, painter: QPainter, fonts: Mapping[int, tuple[QFont, QFont]], colour: str) -> None:
        self._painter, self._fonts, self._colour = painter, fonts, colour

    def width(self, text: str, size: int) -> int:
        return QFontMetrics(self._fonts[size][0]).horizontalAdvance(text)

    def put(
        self,
        box: QRect,
        text: str,
        size: int,
        *,
        bold: bool = False,
        align: Qt.AlignmentFlag = LEFT,
        colour: str | None = None,
    ) -> None:
        face = self._fonts[size][bold]
        self._painter.setFont(face)
        self._painter.setPen(QColor(colour or self._colour))
        metrics = QFontMetrics(face)
        if metrics.horizontalAdvance(text) > box.width():
            text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, box.width())
        self._painter.drawText(box, align, text)

    def wrap(self, box: QRect, text: str, size: int, *, bold: bool = False, colour: str | None = None) -> None:
        """As many words as fit; the tool tip has the rest."""
        face = self._fonts[size][bold]
        self._painter.setFont(face)
        self._painter.setPen(QColor(colour or self._colour))
        text = re.sub(r"(?<=[:/_@])", "\u200b", text)  # addresses may break there
        metrics, words = QFontMetrics(face), text.split()
        while len(words) > 1 and metrics.boundingRect(box, WRAPPED, text).height() > box.height():
            words.pop()
            text = " ".join(words) + " …"
        self._painter.drawText(box, WRAPPED, text)


def _sparkline(painter: QPainter, strip: QRectF, t: Array, y: Array, colour: str) -> None:
    known = y[np.isfinite(y)]
    if len(known) < 2 or strip.height() < 6:
        return
    low, high = float(known.min()), float(known.max())
    span = max(high - low, 1e-3 * max(abs(high), abs(low)), 1e-12)
    begin = t[-1] - min(SPAN_S, t[-1] - t[0])
    xs = strip.left() + (t - begin) / max(t[-1] - begin, 1e-9) * strip.width()
    ys = strip.bottom() - (y - low) / span * strip.height()
    inside = xs >= strip.left()
    painter.setPen(QPen(QColor(colour), 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(pg.arrayToQPath(xs[inside], ys[inside], connect="finite"))


class TileArea(QScrollArea):
    """The grid with a scroll bar where it is needed."""

    def __init__(self, grid: TileGrid) -> None:
        super().__init__()
        self.grid = grid
        self.setWidget(grid)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusProxy(grid)
        self.setMinimumWidth(FULL.width() + 2 * GAP + 16)
        grid.selected.connect(self._show_selection)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.grid.arrange(QSize(self.width() - 16, self.height()))  # room for the bar, whether it is there or not

    def _show_selection(self, channel: str) -> None:
        box = self.grid.tile_of(channel)
        self.ensureVisible(box.center().x(), box.center().y(), 0, box.height() // 2 + GAP)
