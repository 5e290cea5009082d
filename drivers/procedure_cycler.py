"""What the drivers of cyclers that run procedures stored on them have in common, whatever is in the box."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, NoReturn, Self, TypeVar

from drivers.interface import InstrumentError, InstrumentTimeout, Refused

T = TypeVar("T")


class StoredProcedures(ABC):
    """A `ProcedureCycler` whose tests go on unwatched; what became of a command is seen from what its channel shows."""

    model: ClassVar[str]
    safe_state: ClassVar[str]
    confirm_s: ClassVar[float]  # how long a start or stop may take to show
    confirm_poll_s: ClassVar[float]
    address: str

    @abstractmethod
    def identify(self) -> str: ...

    @abstractmethod
    def close(self) -> None:
        """Close the link for good. Running tests go on."""

    def make_safe(self) -> None:
        """Stops nothing (see `safe_state`); raises `InstrumentError` where the cycler does not answer."""
        self.identify()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- for drivers

    def _watch(self, look: Callable[[], T]) -> Iterator[T]:
        """What the channel shows, for `confirm_s`; looks that fail are passed over."""
        until = time.monotonic() + self.confirm_s
        while True:
            try:
                yield look()
            except InstrumentError:
                pass  # what counts is what it says in the end
            if time.monotonic() >= until:
                return
            time.sleep(self.confirm_poll_s)

    def _refuse(self, channel: str, message: str) -> NoReturn:
        raise Refused(f"channel {channel}: {message}", **self._where())

    def _unknown(self, channel: str, message: str, hint: str) -> NoReturn:
        raise InstrumentTimeout(f"channel {channel}: {message}", hint=hint, **self._where())

    def _where(self) -> dict[str, str]:
        return {"instrument": self.model, "address": self.address}
