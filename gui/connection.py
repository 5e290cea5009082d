"""The service at arm's length: threads that talk to it, so that the window never waits."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from PySide6.QtCore import QObject, Qt, Signal, Slot

from station.client import Client, ClientError
from station.readings import StationView

T = TypeVar("T")

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 10.0


class LiveFeed(QObject):
    """Follows the service's stream, and comes back by itself when the service does.

    A window that is slow gets the newest view of the station, not a queue of old ones; events are all delivered.
    """

    connected = Signal()
    lost = Signal(str, float)  # why, and the seconds until the next attempt
    viewed = Signal(object)  # StationView
    happened = Signal(object)  # EventView
    _arrived = Signal()

    def __init__(self, url: str, token: str) -> None:
        super().__init__()
        self._url, self._token = url, token
        self._stopping = threading.Event()
        self._again = threading.Event()
        self._newest: StationView | None = None
        self._lock = threading.Lock()
        self._arrived.connect(self._show_newest, Qt.ConnectionType.QueuedConnection)
        self._thread = threading.Thread(target=self._follow, name="live feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End within a second; a thread that waits for a silent service is left to end with the process."""
        self._stopping.set()
        self._again.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def try_now(self) -> None:
        """Do not wait for the next attempt."""
        self._again.set()

    def _follow(self) -> None:
        wait = FIRST_WAIT_S
        while not self._stopping.is_set():
            came_through = False
            why = f"the live stream of {self._url} ended"
            try:
                with Client(self._url, self._token) as station:
                    for update in station.stream():
                        if self._stopping.is_set():
                            return
                        if not came_through:
                            came_through = True
                            self.connected.emit()
                        self._deliver(update)
            except (ClientError, ValueError) as error:  # ValueError: a line that this version does not know
                why = str(error)
            wait = FIRST_WAIT_S if came_through else min(wait * 1.7, LONGEST_WAIT_S)
            self._again.clear()
            if self._stopping.is_set():
                return
            self.lost.emit(why, wait)
            self._again.wait(wait)

    def _deliver(self, update: object) -> None:
        if not isinstance(update, StationView):
            self.happened.emit(update)
            return
        with self._lock:
            told_already = self._newest is not None
            self._newest = update
        if not told_already:
            self._arrived.emit()

    @Slot()
    def _show_newest(self) -> None:
        with self._lock:
            view, self._newest = self._newest, None
        if view is not None and not self._stopping.is_set():
            self.viewed.emit(view)


class Requests(QObject):
    """Requests to the service, each answered later in the window's thread by `then` or `otherwise`."""

    _answered = Signal(object)

    def __init__(self, url: str, token: str, threads: int = 1) -> None:
        super().__init__()
        self.pending = 0
        self._url, self._token = url, token
        self._jobs: queue.SimpleQueue[Callable[[Client], Callable[[], None]] | None] = queue.SimpleQueue()
        self._stopping = False
        self._answered.connect(self._hand_over, Qt.ConnectionType.QueuedConnection)
        self._threads = [
            threading.Thread(target=self._work, name=f"requests {number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, job: Callable[[Client], T], then: Callable[[T], None], otherwise: Callable[[str], None]) -> None:
        """Do `job` in a thread that holds a client; `otherwise` gets the reason in the service's words."""
        self.pending += 1
        self._jobs.put(lambda station: _outcome(job, then, otherwise, station))

    def stop(self) -> None:
        """Deliver nothing more; requests under way end with their time limit."""
        self._stopping = True
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        with Client(self._url, self._token) as station:
            while (job := self._jobs.get()) is not None and not self._stopping:
                answer = job(station)
                if not self._stopping:
                    self._answered.emit(answer)

    @Slot(object)
    def _hand_over(self, answer: Callable[[], None]) -> None:
        self.pending -= 1
        if not self._stopping:
            answer()


def _outcome(
    job: Callable[[Client], T], then: Callable[[T], None], otherwise: Callable[[str], None], station: Client
) -> Callable[[], None]:
    try:
        return partial(then, job(station))
    except ClientError as error:
        return partial(otherwise, str(error))
    except Exception as error:  # noqa: BLE001 - a defect in one answer must not end the thread: it is shown instead
        return partial(otherwise, f"{type(error).__name__}: {error}")
