"""What every link needs: a record of what passes over it, and patience after a lost connection."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from drivers.transports.trace import recorder_in_use

wire_log = logging.getLogger("cellstation.wire")
"""Every exchange is logged here at DEBUG: address, direction ('>' to the instrument), text or bytes."""


class Tap:
    """Where a link tells what passes over it: to the log, and to the trace that was being recorded when it was made.

    A transport makes one in its constructor, and tells it the bytes as they are on the wire, terminators too.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._recorder = recorder_in_use()

    def sent(self, data: bytes) -> None:
        if self._recorder is not None or wire_log.isEnabledFor(logging.DEBUG):  # a query takes 60 µs without
            self._tell(">", data)

    def received(self, data: bytes) -> None:
        if self._recorder is not None or wire_log.isEnabledFor(logging.DEBUG):
            self._tell("<", data)

    def noted(self, event: str) -> None:
        """'opened', 'closed', 'timeout' or 'lost'."""
        if self._recorder is not None:
            self._recorder.record(self.address, "!", event=event)

    def _tell(self, direction: str, data: bytes) -> None:
        if not data:
            return
        wire_log.debug("%s %s %r", self.address, direction, data)
        if self._recorder is not None:
            self._recorder.record(self.address, direction, data)


class Backoff:
    """When to try again: at once after the first loss, then 0.5 s, doubling to 30 s."""

    def __init__(
        self, first_s: float = 0.5, longest_s: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._first_s, self._longest_s, self._clock = first_s, longest_s, clock
        self._delay_s = 0.0
        self._not_before = 0.0

    def remaining_s(self) -> float:
        """Seconds until the next attempt is due; 0 when one may be made now."""
        return max(0.0, self._not_before - self._clock())

    def failed(self) -> None:
        self._delay_s = min(max(self._first_s, 2 * self._delay_s), self._longest_s)
        self._not_before = self._clock() + self._delay_s

    def succeeded(self) -> None:
        self._delay_s = 0.0
        self._not_before = 0.0
