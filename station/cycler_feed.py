"""One cycler polled once for all of its channels."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from drivers.interface import CyclerStatus, Instrument, InstrumentError, ProcedureCycler, ProcedureStatus, ProgramCycler
from station.workers import Worker

C = TypeVar("C", bound=Instrument)
S = TypeVar("S", bound=CyclerStatus | ProcedureStatus)
MIN_PERIOD_S = 0.05


@dataclass(frozen=True)
class Poll(Generic[S]):
    """What a cycler said of all its channels."""

    asked_at: float = -math.inf  # on the monotonic clock
    statuses: Mapping[str, S] = field(default_factory=dict)


@dataclass
class CyclerFeed(Generic[C, S]):
    """`read` asks the cycler for the statuses of the channels named."""

    worker: Worker[C]
    read: Callable[[C, Sequence[str]], Mapping[str, S]]
    channels: list[str] = field(default_factory=list)
    latest: Poll[S] = field(default_factory=lambda: Poll())
    error: InstrumentError | None = None  # of the last attempt
    _fresh: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def loop(self, period_s: float) -> None:
        while True:
            try:
                self.latest, self.error = await self.worker.call(self._poll), None
            except InstrumentError as error:
                self.error = error
            async with self._fresh:
                self._fresh.notify_all()
            await asyncio.sleep(period_s)

    def _poll(self, cycler: C) -> Poll[S]:
        return Poll(time.monotonic(), self.read(cycler, self.channels))

    async def fresh(self, channel: str) -> tuple[float, S]:
        """When the next poll was made, and the channel's status in it; raises what the poll raised."""
        async with self._fresh:
            await self._fresh.wait()
        if self.error is not None:
            raise self.error
        poll = self.latest
        status = poll.statuses.get(channel)
        if status is None:
            raise InstrumentError(f"says nothing of channel {channel}", instrument=self.worker.name)
        return poll.asked_at, status


def read_programs(cycler: ProgramCycler, channels: Sequence[str]) -> Mapping[str, CyclerStatus]:
    return cycler.status(channels)


def read_procedures(cycler: ProcedureCycler, channels: Sequence[str]) -> Mapping[str, ProcedureStatus]:
    return cycler.procedure_status(channels)


def feed_period_s(vendor_s: float, speed: float) -> float:
    """On the wall's clock: no faster than the vendor's data are refreshed."""
    return max(vendor_s / speed, MIN_PERIOD_S) if speed > 1 else vendor_s
