"""The write side: one thread that puts batches into the database, or on disk while the database is away."""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, ProgrammingError, SQLAlchemyError

from station.store import database
from station.store.batch import Batch, Numbered, RunSnapshot, encode
from station.store.database import StoreError, one_line
from station.store.spool import Spool
from station.store.target import DatabaseAway, Target

logger = logging.getLogger(__name__)

SPOOL_CHUNK = 500  # batches replayed in one transaction
RETRY_FIRST_S, RETRY_LONGEST_S = 0.5, 10.0
RETRY_IN_MEMORY_S = 1.0  # where the spool cannot be written either
CLOSING_RETRY_S = 0.2


@dataclass(frozen=True, slots=True)
class _Outage:
    since: datetime
    reason: str


class Writer:
    """Takes runs and batches without ever waiting for the database, and writes them in order.

    A batch is in the database within a second, whole or not at all. While the database is away, batches go to
    `spool_folder` (one folder for each writer), and from there into the database when it is back, each exactly
    once; what a former process left there is written before `__init__` returns, if the database is there.
    """

    def __init__(self, url: str, spool_folder: Path, *, commit_every_s: float = 0.5) -> None:
        self._address = database.parse(url)
        self._every_s = commit_every_s
        self._name = uuid.uuid4().hex  # numbers are this writer's own: no two processes share a name
        self._numbers = count(1)
        self._incoming: deque[Numbered] = deque()
        self._held: list[Numbered] = []  # taken from `_incoming`, neither on disk nor in the database yet
        self._spool = Spool(spool_folder)
        self._target: Target | None = None
        self._outage: _Outage | None = None
        self._spool_fault = ""
        self._rejected = 0
        self._retry_s = RETRY_FIRST_S
        self._retry_at = 0.0
        self._changed = threading.Condition()
        self._submitted = 0
        self._settled = 0  # up to which number all is in the database (or refused by it for good)
        self._hurry = 0
        self._closing = False
        self._first_contact = True
        self._recover()
        self._thread = threading.Thread(target=self._work, name="store writer", daemon=True)
        self._thread.start()

    # --- for the station

    def begin_run(self, snapshot: RunSnapshot) -> None:
        self._submit(snapshot)

    def submit(self, batch: Batch) -> None:
        self._submit(batch)

    @property
    def backlog(self) -> int:
        """How many batches are not in the database yet."""
        return self.in_memory + self._spool.waiting

    @property
    def in_memory(self) -> int:
        """How many batches a crash of this process would lose now."""
        return len(self._incoming) + len(self._held)

    @property
    def trouble(self) -> str | None:
        """One line for people: what is wrong, since when, how much waits where. None when all is well."""
        parts = []
        outage = self._outage
        if outage is not None:
            parts.append(
                f"the database {database.shown(self._address)} cannot be written since "
                f"{outage.since:%Y-%m-%d %H:%M:%S} ({outage.reason}); "
                f"{self._spool.waiting} batches wait in {self._spool.path}"
            )
        if self._spool_fault:
            parts.append(f"{self._spool_fault}; {self.in_memory} batches are in memory alone")
        if self._rejected:
            parts.append(f"the database refused {self._rejected} batches for good, kept in {self._spool.rejects}")
        return "; ".join(parts) or None

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was submitted so far is in the database; False where it is not within the time."""
        with self._changed:
            goal = self._hurry = self._submitted
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: self._settled >= goal and not self._spool.waiting, timeout_s)
            self._hurry = 0
            return done

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what is left to the database or else to the spool. Raises StoreError where neither can be done."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise StoreError(f"the store is closed with data unwritten: {self.trouble or 'the database hangs'}")

    # --- the thread

    def _submit(self, entry: RunSnapshot | Batch) -> None:
        with self._changed:
            if self._closing:
                raise StoreError("the store is closed: nothing more can be written")
            self._submitted = next(self._numbers)
            self._incoming.append(Numbered(self._name, self._submitted, entry))
            self._changed.notify_all()

    def _work(self) -> None:
        written_at = -math.inf
        while True:
            with self._changed:
                self._changed.wait_for(self._something_to_do, self._pause_s())
                until = written_at + self._every_s
                self._changed.wait_for(self._in_a_hurry, max(0.0, until - time.monotonic()))
                closing = self._closing
                if closing:
                    self._retry_at = 0.0
            try:
                self._round()
            except Exception as error:  # whatever happens, this thread goes on and says so
                logger.exception("the store's writer met something unforeseen")
                self._away(f"unforeseen: {error!r}")
            written_at = time.monotonic()
            if closing and not self.in_memory:
                self._let_go()
                return
            if closing:
                time.sleep(CLOSING_RETRY_S)

    def _something_to_do(self) -> bool:
        return bool(self._incoming) or self._closing

    def _in_a_hurry(self) -> bool:
        return self._closing or self._hurry > self._settled

    def _pause_s(self) -> float | None:
        """How long to sleep where nothing comes in; called with the lock held."""
        if self._held:
            return RETRY_IN_MEMORY_S
        return max(0.0, self._retry_at - time.monotonic()) if self._outage or self._spool.waiting else None

    def _recover(self) -> None:
        try:
            self._spool.recover()
            self._round()
        except OSError as error:
            self._away(one_line(error))

    def _round(self) -> None:
        """Take what came in and bring it, after all that came before, to the database or to the disk."""
        self._hold()
        if self._outage or self._spool.waiting:
            self._to_spool()
            if time.monotonic() < self._retry_at:
                return
        try:
            self._drain()
            self._apply(self._held)
            self._settle(self._held)
            self._held = []
            self._back()
        except (DatabaseAway, OSError) as error:
            self._away(one_line(error))
            self._to_spool()

    def _hold(self) -> None:
        with self._changed:
            self._held.extend(self._incoming)
            self._incoming.clear()

    def _to_spool(self) -> None:
        """Make what is held safe on disk; where that fails, it stays in memory and is tried again."""
        try:
            if self._held:
                self._spool.append(self._held)
            self._held = []
            self._spool_fault = ""
        except OSError as error:
            self._spool_fault = f"the spool {self._spool.path} cannot be written ({one_line(error)})"
            logger.error("%s", self._spool_fault)

    def _drain(self) -> None:
        """Write the spool into the database, in order, chunk by chunk; what comes in meanwhile goes to its end."""
        while self._spool.waiting:
            chunk = self._spool.take(SPOOL_CHUNK)
            self._apply(chunk)
            self._spool.done()
            self._settle(chunk)
            self._hold()
            if self._spool.waiting:
                self._to_spool()

    def _settle(self, items: Sequence[Numbered]) -> None:
        with self._changed:
            self._settled = max([self._settled, *(item.number for item in items if item.writer == self._name)])
            self._changed.notify_all()

    def _away(self, reason: str) -> None:
        if self._outage is None:
            self._outage = _Outage(datetime.now().astimezone(), reason)
            self._retry_s = RETRY_FIRST_S
            logger.error("the database %s cannot be written: %s", database.shown(self._address), reason)
        else:
            self._outage = _Outage(self._outage.since, reason)
            self._retry_s = min(2 * self._retry_s, RETRY_LONGEST_S)
        self._retry_at = time.monotonic() + (RETRY_IN_MEMORY_S if self._spool_fault else self._retry_s)
        self._let_go()

    def _back(self) -> None:
        if self._outage is not None:
            logger.warning("the database %s is written again", database.shown(self._address))
        self._outage, self._spool_fault = None, ""

    def _let_go(self) -> None:
        if self._target is not None:
            self._target.close()
        self._target = None

    # --- the database

    def _reach(self) -> Target:
        """The open database; an empty one is given its tables at the first contact of this process."""
        if self._target is None:
            self._target = Target(self._address, create=self._first_contact)
            self._first_contact = False
        self._target.check_still_there()
        return self._target

    def _apply(self, items: Sequence[Numbered]) -> None:
        """Write `items` in one transaction; those that no database would take are set aside, one by one."""
        target = self._reach()
        if not items:
            return
        try:
            target.write(items)
        except Exception as error:  # sorted out: the database's fault, or the data's
            if not self._is_datas_fault(error):
                raise DatabaseAway(one_line(error)) from error
            if len(items) > 1:
                half = len(items) // 2
                self._apply(items[:half])
                self._apply(items[half:])
            else:
                self._reject(items[0], error)

    def _is_datas_fault(self, error: Exception) -> bool:
        if isinstance(error, IntegrityError | DataError):
            return True
        if isinstance(error, InterfaceError | ProgrammingError):  # a wrong type, or tables that are gone
            self._let_go()
            self._reach()
            return True
        return not isinstance(error, SQLAlchemyError | sqlite3.Error | OSError)

    def _reject(self, item: Numbered, error: Exception) -> None:
        self._spool.reject(encode(item), one_line(error))
        self._rejected += 1
        logger.error("the database refused a batch of run %s for good: %s", item.entry.run_id, one_line(error))
