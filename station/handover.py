"""One cell between its source and a shared impedance instrument, by a switch: never on both, open after a failure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from drivers.interface import InstrumentError, Switch
from station.workers import Worker


class Handover:
    """The two routes of a channel's cell.

    Whoever wants the cell gets it in this order: the other route is opened, read back open, and only then the wanted
    one closed and read back. Where any of it fails, both routes are opened as far as the line allows and the error is
    raised; nobody has the cell then. Source and impedance instrument are off before they are called here: relays do
    not switch currents.
    """

    def __init__(self, switch: Worker[Switch], source_route: str, impedance_route: str) -> None:
        self._switch = switch
        self._source_route, self._impedance_route = source_route, impedance_route
        self._closed: str | None = None  # the route that was seen closed last; None: neither, or not known

    @property
    def name(self) -> str:
        return self._switch.name

    @property
    def at_source(self) -> bool:
        """Whether the cell is at its source, as far as this station has seen."""
        return self._closed == self._source_route

    async def check(self) -> None:
        """Raise `OutOfRange` where the switch has not these routes; nothing is sent."""
        for route in self._routes:
            await self._switch.call(lambda switch, route=route: switch.check_route(route))  # type: ignore[misc]

    async def to_source(self) -> None:
        await self._go(self._impedance_route, self._source_route)

    async def to_impedance(self) -> None:
        await self._go(self._source_route, self._impedance_route)

    async def open(self) -> None:
        """Open both routes; returns when both read back open. The second is tried where the first fails."""
        self._closed = None
        await self._switch.call(lambda switch: _open(switch, self._routes))

    async def find(self) -> bool:
        """After a restart: whether the cell is at its source, and nowhere else, as the switch says now."""
        connected = await self._switch.call(lambda switch: switch.connected())
        here = connected & set(self._routes)
        self._closed = self._source_route if here == {self._source_route} else None
        return self.at_source

    @property
    def _routes(self) -> tuple[str, str]:
        return self._impedance_route, self._source_route

    async def _go(self, away: str, route: str) -> None:
        if self._closed == route:
            return
        self._closed = None
        await self._switch.call(lambda switch: _hand_over(switch, away, route))
        self._closed = route


def _hand_over(switch: Switch, away: str, route: str) -> None:
    """In the switch's thread, so that nobody comes between the steps."""
    try:
        switch.disconnect(away)
        switch.connect(route)
    except InstrumentError:
        with contextlib.suppress(InstrumentError):  # the first error is the one to tell
            _open(switch, (away, route))
        raise


def _open(switch: Switch, routes: Iterable[str]) -> None:
    errors: list[InstrumentError] = []
    for route in routes:
        try:
            switch.disconnect(route)
        except InstrumentError as error:
            errors.append(error)
    if errors:
        raise errors[0]
