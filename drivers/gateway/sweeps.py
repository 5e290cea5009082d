"""A sweep of the gateway in a thread of its own, for its points may take minutes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from drivers.gateway.protocol import Point, Progress, error_to_wire
from drivers.interface import ImpedancePoint, InstrumentError

ENDS_WITHIN_S = 5.0  # of being called off; some vendors' software finishes a point first


class RunningSweep:
    """Takes the points from a back end as they come; `called_off` is the event that the back end was given."""

    def __init__(self, points: Iterator[ImpedancePoint], called_off: threading.Event) -> None:
        self._points, self._called_off = points, called_off
        self._done: list[Point] = []
        self._failure: InstrumentError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="sweep")
        self._thread.start()

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def progress(self, after: int) -> Progress:
        over = self.over  # asked first: what it left is then complete
        failure = error_to_wire(self._failure) if self._failure else {"message": "", "kind": ""}
        return Progress(tuple(self._done[after:]), over, failure["message"], failure["kind"])

    def call_off(self) -> None:
        """Raises `InstrumentError` where it does not end."""
        self._called_off.set()
        self._thread.join(ENDS_WITHIN_S)
        if not self.over:
            raise InstrumentError("the sweep does not end", instrument="gateway")

    def _run(self) -> None:
        try:
            with contextlib.closing(self._points) as points:  # type: ignore[type-var]
                for point in points:
                    z = point.impedance_ohm
                    self._done.append(Point(point.frequency_Hz, z.real, z.imag))
                    if self._called_off.is_set():
                        break
            if self._called_off.is_set():
                raise InstrumentError("interrupted", instrument="gateway")
        except Exception as error:  # noqa: BLE001 - a vendor's software may raise anything; the station is told
            self._failure = as_instrument_error(error)


def as_instrument_error(error: Exception) -> InstrumentError:
    """Whatever a vendor's software raised, as a station can be told."""
    if isinstance(error, InstrumentError):
        return error
    return InstrumentError(f"the back end failed: {type(error).__name__}: {error}", instrument="gateway")
