"""What every link needs: a trace of the wire, and patience after a lost connection."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

wire_log = logging.getLogger("cellstation.wire")
"""Every exchange is logged here at DEBUG: address, direction ('>' to the instrument), text or bytes."""


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
