"""One thread for each instrument: the only place where a blocking call is made."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from drivers.interface import Instrument, InstrumentError, Unreachable
from drivers.transports import Backoff
from station.lending import Lender

log = logging.getLogger(__name__)
I = TypeVar("I", bound=Instrument)  # noqa: E741
T = TypeVar("T")


class Worker(Generic[I]):
    """An instrument, opened when it is first used, and opened anew where that failed.

    Calls are carried out one after the other, in the order asked.
    """

    def __init__(self, name: str, open_instrument: Callable[[], I]) -> None:
        self.name = name
        self._open = open_instrument
        self._instrument: I | None = None
        self._backoff = Backoff()
        self._why = ""
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"instrument-{name}")
        self.lender = Lender(name, time.monotonic)

    async def call(self, use: Callable[[I], T]) -> T:
        """Run `use(instrument)` in the instrument's thread; raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._use, use)

    @property
    def opened(self) -> I | None:
        """The instrument where it is open, for the few calls that are safe from any thread."""
        return self._instrument

    async def close(self, *, leave: bool = False) -> None:
        """Close the link; with `leave` a source's output stays as it is."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._close, leave)
        self._executor.shutdown(wait=False)

    def _use(self, use: Callable[[I], T]) -> T:
        if self._instrument is None:
            self._instrument = self._opened()
        return use(self._instrument)

    def _opened(self) -> I:
        if (wait_s := self._backoff.remaining_s()) > 0:
            raise Unreachable(f"{self._why}; next attempt in {wait_s:.0f} s", instrument=self.name)
        try:
            instrument = self._open()
        except InstrumentError as error:
            self._why = str(error)
            self._backoff.failed()
            raise
        self._backoff.succeeded()
        return instrument

    def _close(self, leave: bool) -> None:
        instrument, self._instrument = self._instrument, None
        if instrument is None:
            return
        try:
            closing: Any = getattr(instrument, "leave", instrument.close) if leave else instrument.close
            closing()
        except InstrumentError as error:
            log.warning("closing %s: %s", self.name, error)


class Patience:
    """How long something has been failing, on the wall's clock."""

    def __init__(self, lost_after_s: float) -> None:
        self._lost_after_s = lost_after_s
        self._last_good = time.monotonic()
        self.failing = False

    def good(self) -> None:
        self._last_good = time.monotonic()
        self.failing = False

    def bad(self) -> bool:
        """True the first time in a row."""
        first, self.failing = not self.failing, True
        return first

    @property
    def since_s(self) -> float:
        return time.monotonic() - self._last_good

    @property
    def lost(self) -> bool:
        return self.since_s > self._lost_after_s
