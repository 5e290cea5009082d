"""The clock that virtual instruments and a simulated station share."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol


class Clock(Protocol):
    """Seconds since the Unix epoch, and sleeping, at the clock's own pace."""

    @property
    def speed(self) -> float: ...

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True)
class ScaledClock:
    """A clock that runs `speed` times as fast as the wall's, and agreed with it at `epoch`.

    Two processes with the same `epoch` and `speed` read the same time without talking to each other.
    """

    speed: float = 1.0
    epoch: float = field(default_factory=time.time)

    def now(self) -> float:
        if self.speed == 1.0:
            return time.time()
        return self.epoch + (time.time() - self.epoch) * self.speed

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds) / self.speed)


class SteadyClock:
    """The wall's clock as it was when this was made, going on without the steps of a corrected system clock."""

    speed = 1.0

    def __init__(self) -> None:
        self._offset_s = time.time() - time.monotonic()

    def now(self) -> float:
        return self._offset_s + time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


@dataclass
class ManualClock:
    """A clock that stands until it is told to go on."""

    time_s: float = 0.0
    speed: float = 1.0

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds
