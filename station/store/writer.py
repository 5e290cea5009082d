"""The write side: takes batches at once, and hands them to the courier in a thread of its own."""

from __future__ import annotations

import logging
import math
import threading
import time
import uuid
from collections import deque
from itertools import count
from pathlib import Path

from station.store import database
from station.store.batch import Batch, Numbered, RunSnapshot
from station.store.courier import RETRY_IN_MEMORY_S, Courier
from station.store.database import StoreError

logger = logging.getLogger(__name__)

CLOSING_RETRY_S = 0.2


class Writer:
    """Takes runs and batches without ever waiting for the database, and writes them in order.

    A batch is in the database within a second, whole or not at all. While the database is away, batches go to
    `spool_folder` (one folder for each writer), and from there into the database when it is back, each exactly
    once; what a former process left there is written before `__init__` returns, if the database is there. Where the
    spool cannot be written either, batches stay in memory, and both are tried again each second.
    """

    def __init__(self, url: str, spool_folder: Path, *, commit_every_s: float = 0.5) -> None:
        self._address = database.parse(url)
        self._every_s = commit_every_s
        self._name = uuid.uuid4().hex  # numbers are this writer's own: no two processes share a name
        self._numbers = count(1)
        self._submitted = 0
        self._incoming: deque[Numbered] = deque()
        self._changed = threading.Condition()
        self._hurry = False
        self._urgent = False  # what waits says where a run is: a crash should find it written
        self._closing = False
        self._courier = Courier(self._address, spool_folder)
        self._courier.recover()
        self._thread = threading.Thread(target=self._work, name="store writer", daemon=True)
        self._thread.start()

    def begin_run(self, snapshot: RunSnapshot) -> None:
        self._submit(snapshot)

    def submit(self, batch: Batch) -> None:
        self._submit(batch)

    @property
    def backlog(self) -> int:
        """How many batches are not in the database yet."""
        return self.in_memory + self._courier.spool.waiting

    @property
    def in_memory(self) -> int:
        """How many batches a crash of this process would lose now."""
        return len(self._incoming) + len(self._courier.held)

    @property
    def trouble(self) -> str | None:
        """One line for people: what is wrong, since when, how much waits where. None when all is well."""
        courier, parts = self._courier, []
        outage = courier.outage
        if outage is not None:
            parts.append(
                f"the database {database.shown(self._address)} cannot be written since "
                f"{outage.since:%Y-%m-%d %H:%M:%S} ({outage.reason}); "
                f"{courier.spool.waiting} batches wait in {courier.spool.path}"
            )
        if courier.spool_fault:
            parts.append(f"{courier.spool_fault}; {self.in_memory} batches are in memory alone")
        if courier.rejected:
            parts.append(f"the database refused {courier.rejected} batches for good, kept in {courier.spool.rejects}")
        return "; ".join(parts) or None

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was submitted so far is in the database; False where it is not within the time."""
        with self._changed:
            goal, self._hurry = self._submitted, True
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: self._settled(goal), timeout_s)
            self._hurry = False
            return done

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what is left to the database or else to the spool. Raises StoreError where neither can be done."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise StoreError(f"the store is closed with data unwritten: {self.trouble or 'the database hangs'}")

    # --- within

    def _submit(self, entry: RunSnapshot | Batch) -> None:
        with self._changed:
            if self._closing:
                raise StoreError("the store is closed: nothing more can be written")
            self._submitted = next(self._numbers)
            self._incoming.append(Numbered(self._name, self._submitted, entry))
            self._urgent = self._urgent or _changes_place(entry)
            self._changed.notify_all()

    def _settled(self, goal: int) -> bool:
        return self._courier.settled.get(self._name, 0) >= goal and not self._courier.spool.waiting

    def _work(self) -> None:
        """The thread: rounds at least `commit_every_s` apart, and none while there is nothing to do."""
        round_at = -math.inf
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._incoming or self._closing, self._pause_s())
                rest_s = max(0.0, round_at + self._every_s - time.monotonic())
                self._changed.wait_for(lambda: self._hurry or self._urgent or self._closing, rest_s)
                self._urgent, closing = False, self._closing
            if closing:
                self._courier.retry_at = 0.0
            self._round()
            round_at = time.monotonic()
            if closing and not self.in_memory:
                self._courier.let_go()
                return
            if closing:
                time.sleep(CLOSING_RETRY_S)

    def _round(self) -> None:
        try:
            self._courier.deliver(self._collect)
        except Exception as error:  # whatever happens, this thread goes on and says so
            logger.exception("the store's writer met something unforeseen")
            self._courier.fault(error)
        with self._changed:
            self._changed.notify_all()

    def _collect(self) -> list[Numbered]:
        with self._changed:
            items = list(self._incoming)
            self._incoming.clear()
            return items

    def _pause_s(self) -> float | None:
        """How long the thread may sleep where nothing comes in."""
        if self._courier.held:
            return RETRY_IN_MEMORY_S
        if self._courier.outage or self._courier.spool.waiting:
            return max(0.0, self._courier.retry_at - time.monotonic())
        return None


def _changes_place(entry: RunSnapshot | Batch) -> bool:
    """Whether a run begins, ends, halts, marks a moment or enters another step: that is committed at once.

    Readings are committed twice a second.
    """
    return isinstance(entry, RunSnapshot) or bool(entry.steps or entry.markers or entry.state)
