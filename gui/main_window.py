"""The window: channels and events on the left, the selected channel on the right."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QApplication, QLabel, QMainWindow, QSplitter, QVBoxLayout, QWidget

from gui import quantities, theme
from gui.banners import Banner, Notices
from gui.confirmation import Confirmation
from gui.connection import LiveFeed, Requests
from gui.controls import Action, Controls, allowed
from gui.curves import CurvePanel
from gui.dialogs import Answer, ClearTrip, Parameters, StartDialog, skip_question, stop_question
from gui.event_log import EventLog
from gui.header import Header
from gui.history import RunHistory
from gui.sparklines import Sparklines
from gui.theme import DARK, LIGHT, Theme
from gui.tiles import TileArea, TileGrid
from station.client import Client
from station.readings import (
    CellEventKind,
    CellView,
    ChannelState,
    ChannelView,
    EventView,
    Level,
    ProtocolView,
    StationView,
)

COMMAND_THREADS = 4  # a stop never waits behind another channel's pause
MANY_CHANNELS = 12
NOTHING_STOPS = "Closing this window stops no test"


class MainWindow(QMainWindow):
    def __init__(self, url: str, token: str, look: Theme = DARK) -> None:
        super().__init__()
        self.url = url
        self.look = look
        self.station: StationView | None = None
        self._connected = False
        self._retry_in_s = 0.0
        self._lost_because = ""
        self._present_run: str | None = None  # of the selected channel
        self.dialog: Confirmation | StartDialog | Answer | None = None
        self.feed = LiveFeed(url, token)
        self.questions = Requests(url, token)
        self.commands = Requests(url, token, threads=COMMAND_THREADS)
        self.history = RunHistory(self.questions, self)
        self.sparklines = Sparklines(self.questions, self)

        self.header = Header(look)
        self.simulated = Banner("simulated", look)
        self.away = Banner("warning", look)
        self.store = Banner("warning", look)
        self.notices = Notices(look)
        self.tiles = TileGrid(look, self.sparklines.traces)
        self.events = EventLog(look)
        self.controls = Controls(look)
        self.curves = CurvePanel(self.history, look)
        self._build()
        self._connect()
        theme.apply(_application(), look)
        self._entitle()
        self._lose("connecting", 0.0)
        self.feed.start()

    # --- making

    def _build(self) -> None:
        left = QSplitter(Qt.Orientation.Vertical)
        left.addWidget(TileArea(self.tiles))
        left.addWidget(self.events)
        left.setStretchFactor(0, 3)
        left.setStretchFactor(1, 1)
        left.setSizes([640, 190])
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.controls)
        column.addWidget(self.curves, 1)
        self.sides = QSplitter()
        self.sides.addWidget(left)
        self.sides.addWidget(right)
        self.sides.setStretchFactor(0, 1)
        self.sides.setStretchFactor(1, 2)
        self.sides.setHandleWidth(10)
        self.sides.setSizes([520, 1060])
        page = QWidget()
        rows = QVBoxLayout(page)
        rows.setContentsMargins(10, 8, 10, 2)
        rows.setSpacing(8)
        for bar in (self.simulated, self.header, self.away, self.store, self.notices):
            rows.addWidget(bar)
        rows.addWidget(self.sides, 1)
        self.setCentralWidget(page)
        self._where = QLabel()
        self.statusBar().addWidget(self._where, 1)
        self.statusBar().addPermanentWidget(QLabel(NOTHING_STOPS))
        self.statusBar().setSizeGripEnabled(False)

    def _connect(self) -> None:
        self.feed.connected.connect(self._come_back)
        self.feed.lost.connect(self._lose)
        self.feed.viewed.connect(self._show_station)
        self.feed.happened.connect(self._show_event)
        self.history.failed.connect(self._say_failed)
        self.sparklines.changed.connect(lambda _: self.tiles.update())
        self.tiles.selected.connect(self._select)
        self.tiles.answered.connect(lambda _: self._act(Action.CONFIRM))
        self.header.channel_wanted.connect(self.tiles.select)
        self.header.theme_wanted.connect(lambda: self.set_look(LIGHT if self.look is DARK else DARK))
        self.controls.asked.connect(self._act)
        self._countdown = QTimer(self, interval=250)
        self._countdown.timeout.connect(self._count_down)

    def set_look(self, look: Theme) -> None:
        self.look = look
        theme.apply(_application(), look)
        for part in (self.header, self.simulated, self.away, self.store, self.notices, self.tiles, self.events):
            part.set_theme(look)
        self.controls.set_theme(look)
        self.curves.set_theme(look)

    def closeEvent(self, event: QCloseEvent) -> None:
        """End the threads. The station does not notice."""
        self._countdown.stop()
        self.curves.stop()
        self.history.stop()
        self.sparklines.stop()
        self.questions.stop()
        self.commands.stop()
        self.feed.stop()
        super().closeEvent(event)

    # --- what comes from the station

    def channel(self, name: str | None) -> ChannelView | None:
        every = self.station.channels if self.station else ()
        return next((view for view in every if view.name == name), None)

    def _show_station(self, station: StationView) -> None:
        first = self.station is None
        self.station = station
        clock = f"clock {quantities.speed(station.speed)}"
        self.simulated.say(f"SIMULATED BENCH – {clock}" if station.simulated else "")
        broken = station.store != "ok"
        self.store.say(f"The database needs attention: {station.store}" if broken else "")
        self.header.show_station(station)
        self.sparklines.update(station)
        self.events.offer_channels([view.name for view in station.channels])
        self.tiles.show_station(station)
        self._entitle()
        if first:
            self._share_width(len(station.channels))
        if first and station.channels:
            self.tiles.select(_first_of_interest(station).name)
        self._show_selected()

    def _share_width(self, channels: int) -> None:
        """Half of the window to the tiles where there are many."""
        left = (0.5 if channels > MANY_CHANNELS else 0.33) * self.width()
        self.sides.setSizes([int(left), int(self.width() - left)])

    def _show_selected(self) -> None:
        view = self.channel(self.tiles.selection)
        if view is None or self.station is None:
            return
        before, self._present_run = self._present_run, view.run_id
        if view.run_id != before:
            self.history.relist(view.run_id)
        self.controls.show_channel(view)
        self.history.update(view)
        self.curves.update_live(view, self.station.speed)

    def _show_event(self, event: EventView) -> None:
        self.events.model.add(event)
        if event.level is Level.MARKER:
            self.history.marked(event.run_id)

    def _select(self, name: str) -> None:
        view = self.channel(name)
        if view is None:
            return
        self._present_run = view.run_id
        self.events.select_channel(name)
        self.curves.clear("Fetching the readings …")
        self.history.show_channel(view)
        self._show_selected()

    def is_drawn(self) -> bool:
        """The selected channel's data have come and are on the screen."""
        return self._connected and self.station is not None and self.history.settled and self.sparklines.settled

    # --- connection

    def _come_back(self) -> None:
        self._connected = True
        self._countdown.stop()
        self.away.say("")
        self.tiles.set_stale(False)
        self.controls.set_connected(True)
        self._where.setText(f"Connected to {self.url}")
        self.history.refresh()
        self.questions.ask(lambda station: station.events(), self.events.model.replace, self._say_failed)

    def _lose(self, why: str, wait_s: float) -> None:
        self._connected = False
        self._retry_in_s, self._lost_because = wait_s, why
        self.tiles.set_stale(True)
        self.controls.set_connected(False)
        self._where.setText(f"Not connected to {self.url}")
        self._count_down()
        self._countdown.start()

    def _count_down(self) -> None:
        if self._lost_because == "connecting":
            self.away.say(f"Connecting to {self.url} …")
            return
        when = f"trying again in {math.ceil(self._retry_in_s)} s" if self._retry_in_s > 0 else "trying again"
        away = self._lost_because.startswith("the live stream of")  # else a station is there and said no
        what = f"No station at {self.url}" if away else f"The station at {self.url} refuses: {self._lost_because}"
        why = f"\n({self._lost_because})" if away else ""
        self.away.say(f"{what} – {when}. Tests go on without this window.{why}")
        self._retry_in_s = max(0.0, self._retry_in_s - self._countdown.interval() / 1000)

    def _say_failed(self, why: str) -> None:
        if self._connected:  # else the banner says it already
            self.notices.add(why)

    # --- commands

    def _act(self, action: Action) -> None:
        view = self.channel(self.tiles.selection)
        if view is None or self.station is None:
            return
        if action is Action.START:
            self._open_start(view)
        elif action is Action.STOP:
            self._confirm(stop_question(self, view), view, action)
        elif action is Action.SKIP:
            self._confirm(skip_question(self, view), view, action)
        elif action is Action.CLEAR_TRIP:
            self._confirm(ClearTrip(self, view), view, action)
        elif action is Action.CONFIRM:
            self._answer(view)
        else:
            self._command(view.name, action)

    def _confirm(self, question: Confirmation, asked_of: ChannelView, action: Action) -> None:
        """Ask; the answer holds for the run and the state that the question was about, and for no other."""
        question.accepted.connect(lambda: self._go(asked_of, action))
        self._open(question)

    def _answer(self, asked_of: ChannelView) -> None:
        """What the protocol asks, and the operator's note."""
        if asked_of.question is None or not self._connected:
            return
        dialog = Answer(self, asked_of)
        dialog.accepted.connect(lambda: self._go(asked_of, Action.CONFIRM, answer=dialog.note.text().strip()))
        self._open(dialog)

    def _open(self, dialog: Confirmation | Answer) -> None:
        self.dialog = dialog
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _go(self, asked_of: ChannelView, action: Action, **words: str) -> None:
        now = self.channel(asked_of.name)
        asked = (asked_of.run_id, asked_of.reason, asked_of.question if action is Action.CONFIRM else None)
        found = now and (now.run_id, now.reason, now.question if action is Action.CONFIRM else None)
        if now is not None and found == asked and action in allowed(now):
            self._command(asked_of.name, action, **words)
        else:
            self.notices.add(f"{asked_of.name}: the channel has changed since the question; nothing was sent")

    def _command(self, channel: str, action: Action, **words: str) -> None:
        who = self.header.operator.text().strip()

        def job(station: Client) -> None:
            getattr(station, action.method)(channel, who=who, **words)

        def refused(why: str) -> None:
            self.controls.end(channel)
            self.notices.add(f"{channel}: {why}")

        self.controls.begin(channel, action)
        self.commands.ask(job, lambda _: self.controls.end(channel), refused)

    def _open_start(self, view: ChannelView) -> None:
        assert self.station is not None
        dialog = StartDialog(self, self.look, self.station, view.name)
        self.dialog = dialog
        dialog.wanted.connect(lambda *chosen: self._start(dialog, *chosen))
        dialog.recorded.connect(lambda *asked: self._record(dialog, *asked))
        dialog.doubted.connect(lambda name, given: self._describe(dialog, name, given))

        def choices(station: Client) -> tuple[tuple[CellView, ...], tuple[ProtocolView, ...]]:
            return station.cells(), station.protocols()

        self.commands.ask(choices, dialog.offer, dialog.refuse)
        dialog.open()

    def _describe(self, dialog: StartDialog, name: str, given: Parameters) -> None:
        self.commands.ask(
            lambda station: station.protocol(name, given),
            lambda protocol: dialog.tell(protocol, given),
            lambda why: dialog.object_to(name, given, why),
        )

    def _start(self, dialog: StartDialog, channel: str, protocol: str, cell: str, given: Parameters) -> None:
        who = self.header.operator.text().strip()
        self.commands.ask(
            lambda station: station.start(channel, protocol=protocol, cell=cell, who=who, parameters=given),
            dialog.begun,
            dialog.refuse,
        )

    def _record(self, dialog: StartDialog, channel: str, cell: str, kind: CellEventKind, at: float | None) -> None:
        who = self.header.operator.text().strip()
        self.commands.ask(
            lambda station: station.record_cell_event(cell, kind, channel, who, at=at),
            dialog.has_recorded,
            dialog.problem.say,
        )

    def _entitle(self) -> None:
        name = self.station.name if self.station else self.url
        title = f"{name} – Cellstation"
        if self.station and self.station.simulated:
            title = f"SIMULATED BENCH – clock {quantities.speed(self.station.speed)} – {title}"
        if title != self.windowTitle():
            self.setWindowTitle(title)


def _first_of_interest(station: StationView) -> ChannelView:
    """A tripped channel, else a running one, else the first."""
    for state in (ChannelState.TRIPPED, ChannelState.RUNNING):
        for view in station.channels:
            if view.state is state:
                return view
    return station.channels[0]


def _application() -> QApplication:
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    return application
