"""One instrument for many channels: lent to one at a time, in the order asked, with a record of who waited."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from drivers.interface import InstrumentError


class NotLent(InstrumentError):
    """The wait for an instrument was longer than it may be; nothing was done with it."""


@dataclass(frozen=True, slots=True)
class Loan:
    """What came before a channel got its turn."""

    waited_s: float
    ahead: tuple[str, ...]  # who had it, and who was before this channel in the queue, when it asked


@dataclass
class _Turn:
    channel: str
    given: asyncio.Future[None]


class Lender:
    """Lends one instrument. A holder that fails gives it back; one that does not wait any longer leaves the queue.

    A channel that may have it still, from before the station died, is `unsettled`: nobody is given it until all such
    are `settled`. `now` gives the time in s that waits are measured in; call from one event loop.
    """

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self.name = name
        self._now = now
        self._holder: str | None = None
        self._since = 0.0
        self._queue: deque[_Turn] = deque()
        self._unsettled: set[str] = set()

    def unsettled(self, channel: str) -> None:
        self._unsettled.add(channel)

    def settled(self, channel: str) -> None:
        """The channel's cell is off the instrument, which drives nothing; may be said at any time."""
        self._unsettled.discard(channel)
        if self._holder is None:
            self._pass_on()

    @property
    def is_free(self) -> bool:
        return self._holder is None and not self._unsettled

    @property
    def holder(self) -> str | None:
        return self._holder

    @property
    def waiting(self) -> tuple[str, ...]:
        """In the order of their turns."""
        return tuple(turn.channel for turn in self._queue)

    @contextlib.asynccontextmanager
    async def to(self, channel: str, within_s: float | None = None) -> AsyncIterator[Loan]:
        """Hold the instrument for the block. Raises `NotLent` where its turn does not come `within_s` (real time)."""
        asked = self._now()
        ahead = (
            *([self._holder] if self._holder is not None else []),
            *sorted(self._unsettled - {channel}),
            *self.waiting,
        )
        await self._turn(channel, within_s)
        try:
            yield Loan(self._now() - asked, ahead)
        finally:
            self._pass_on()

    async def _turn(self, channel: str, within_s: float | None) -> None:
        if self.is_free:
            self._hand_to(channel)
            return
        turn = _Turn(channel, asyncio.get_running_loop().create_future())
        self._queue.append(turn)
        try:
            await asyncio.wait_for(asyncio.shield(turn.given), within_s)
        except BaseException as error:
            if turn.given.done():
                self._pass_on()  # it came in the very moment that nobody waited any more
            else:
                self._queue.remove(turn)
            if isinstance(error, TimeoutError):
                raise NotLent(self._why(within_s or 0.0), instrument=self.name) from None
            raise

    def _hand_to(self, channel: str) -> None:
        self._holder, self._since = channel, self._now()

    def _pass_on(self) -> None:
        self._holder = None
        if self._queue and not self._unsettled:
            turn = self._queue.popleft()
            self._hand_to(turn.channel)
            turn.given.set_result(None)

    def _why(self, within_s: float) -> str:
        held_s = self._now() - self._since
        if self._holder is None:
            left = ", ".join(sorted(self._unsettled))
            return f"not to be had within {within_s / 60:.3g} min: channel {left} may have it since before the restart"
        behind = f"; {', '.join(self.waiting)} wait for it too" if self._queue else ""
        return (
            f"not to be had within {within_s / 60:.3g} min: channel {self._holder} has had it for {held_s / 60:.3g} min"
            f"{behind}"
        )
