"""Brings batches to the database, or to the spool while the database is away; exactly once and in order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, ProgrammingError

from station.store import database
from station.store.batch import Numbered, encode
from station.store.database import one_line
from station.store.spool import Spool
from station.store.target import DatabaseAway, Target

logger = logging.getLogger(__name__)

SPOOL_CHUNK = 500  # batches replayed in one transaction
RETRY_FIRST_S, RETRY_LONGEST_S = 0.5, 10.0
RETRY_IN_MEMORY_S = 1.0  # where the spool cannot be written either


@dataclass(frozen=True, slots=True)
class Outage:
    since: datetime
    reason: str


class Courier:
    """Knows no thread and no queue: `deliver` is one round, and returns when the round is over."""

    def __init__(self, address: URL, spool_folder: Path) -> None:
        self._address = address
        self._target: Target | None = None
        self._first_contact = True
        self._retry_s = RETRY_FIRST_S
        self.spool = Spool(spool_folder)
        self.held: list[Numbered] = []  # neither on disk nor in the database yet
        self.outage: Outage | None = None
        self.spool_fault = ""
        self.rejected = 0  # batches that no database would take
        self.retry_at = 0.0  # monotonic time of the next attempt, in an outage
        self.settled: dict[str, int] = {}  # by writer, up to which number all is in the database (or rejected)

    def recover(self) -> None:
        """Write what a former process left in the spool, if the database is there."""
        try:
            self.spool.recover()
        except OSError as error:
            self._away(f"the spool cannot be read: {one_line(error)}")
            return
        self.deliver(list)

    def deliver(self, collect: Callable[[], list[Numbered]]) -> None:
        """One round: bring what `collect` gives, after all that came before, to the database or to the disk."""
        self.held.extend(collect())
        if self.outage or self.spool.waiting:
            self._to_spool()
            if time.monotonic() < self.retry_at:
                return
        try:
            self._drain(collect)
            self._apply(self.held)
            self._settle(self.held)
            self.held = []
            self._back()
        except (DatabaseAway, OSError) as error:
            self._away(one_line(error))
            self._to_spool()

    def fault(self, error: Exception) -> None:
        """Take note of an error that nobody foresaw; what is held stays and is tried again."""
        self._away(f"unforeseen: {error!r}")

    def let_go(self) -> None:
        """Close the connection; the next round opens it again."""
        if self._target is not None:
            self._target.close()
        self._target = None

    # --- spool

    def _to_spool(self) -> None:
        """Make what is held safe on disk; where that fails, it stays in memory and is tried again."""
        try:
            if self.held:
                self.spool.append(self.held)
            self.held = []
            self.spool_fault = ""
        except OSError as error:
            self.spool_fault = f"the spool {self.spool.path} cannot be written ({one_line(error)})"
            logger.error("%s", self.spool_fault)

    def _drain(self, collect: Callable[[], list[Numbered]]) -> None:
        """Write the spool into the database, chunk by chunk; what comes in meanwhile goes to its end."""
        while self.spool.waiting:
            chunk = self.spool.take(SPOOL_CHUNK)
            self._apply(chunk)
            self.spool.done()
            self._settle(chunk)
            self.held.extend(collect())
            if self.spool.waiting:
                self._to_spool()

    # --- state of affairs

    def _settle(self, items: Sequence[Numbered]) -> None:
        self.settled.update({item.writer: item.number for item in items})

    def _away(self, reason: str) -> None:
        if self.outage is None:
            self.outage = Outage(datetime.now().astimezone(), reason)
            self._retry_s = RETRY_FIRST_S
            logger.error("the database %s cannot be written: %s", database.shown(self._address), reason)
        else:
            self.outage = Outage(self.outage.since, reason)
            self._retry_s = min(2 * self._retry_s, RETRY_LONGEST_S)
        self.retry_at = time.monotonic() + (RETRY_IN_MEMORY_S if self.spool_fault else self._retry_s)
        self.let_go()

    def _back(self) -> None:
        if self.outage is not None:
            logger.warning("the database %s is written again", database.shown(self._address))
        self.outage, self.spool_fault = None, ""

    # --- database

    def _reach(self) -> Target:
        """The open database; one without tables is given them at the first contact of this process."""
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

    @staticmethod
    def _is_datas_fault(error: Exception) -> bool:
        """Whether trying again would be in vain. In doubt it is the database's fault, and the data are kept."""
        if isinstance(error, InterfaceError | ProgrammingError):
            # A value of a wrong type is found by the driver; tables or rights that are missing, by the server.
            by_driver = getattr(error.orig, "sqlstate", None) is None
            return by_driver and not error.connection_invalidated
        return isinstance(error, IntegrityError | DataError | ValueError | TypeError | OverflowError)

    def _reject(self, item: Numbered, error: Exception) -> None:
        self.spool.reject(encode(item), one_line(error))
        self.rejected += 1
        logger.error("the database refused a batch of run %s for good: %s", item.entry.run_id, one_line(error))
