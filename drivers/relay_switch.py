"""What switches made of relays have in common: named routes, and that a cell is never on two of them."""

from __future__ import annotations

import contextlib
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NoReturn, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drivers.interface import InstrumentError, NotSafe, OutOfRange

Relays: TypeAlias = tuple[int, ...]


class Route(BaseModel):
    """From a cell to an instrument, through relays that are closed and opened together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cell: str = Field(min_length=1)
    to: str = Field(min_length=1)
    relays: Relays = Field(min_length=1)

    def excludes(self, other: Route) -> bool:
        return self.cell == other.cell or self.to == other.to


class RelaySwitch(ABC):
    """Routes by name. A subclass says which relays there are, closes and opens some, and reads some back.

    Break before make is not left to whoever calls: `connect` reads back every route that excludes the wanted one, and
    refuses unless each of their relays is open. Relays are given `settle_s` before they are read back.
    """

    model: ClassVar[str]
    safe_state: ClassVar[str] = "all routes open, read back"
    address: str

    def __init__(self, address: str, routes: Mapping[str, Any], settle_s: float) -> None:
        self.address, self.settle_s = address, settle_s
        self.routes = {name: self._route(name, stated) for name, stated in routes.items()}
        if not self.routes:
            self._wrong_setting("routes: there is none")
        if not 0 <= settle_s < math.inf:
            self._wrong_setting(f"settle_s {settle_s}: 0 or more seconds")
        self._check_relays()

    @abstractmethod
    def has_relay(self, relay: int) -> bool: ...

    @abstractmethod
    def operate(self, relays: Relays, *, close: bool) -> None:
        """Close or open them; returns when the instrument has taken the command."""

    @abstractmethod
    def closed_of(self, relays: Relays) -> frozenset[int]:
        """Those that the instrument says are closed now."""

    def check_route(self, route: str) -> None:
        if route not in self.routes:
            raise OutOfRange(
                f"no route {route!r}; there are {', '.join(self.routes)}; nothing was sent",
                instrument=self.model,
                address=self.address,
            )

    def connect(self, route: str) -> None:
        self.check_route(route)
        wanted = self.routes[route]
        rivals = [name for name, other in self.routes.items() if name != route and wanted.excludes(other)]
        if busy := self._not_open(rivals):
            self._not_safe(f"route {route!r} was not closed: {' and '.join(map(repr, busy))} is not open")
        try:
            self.operate(wanted.relays, close=True)
            self._settle()
            if missing := set(wanted.relays) - self.closed_of(wanted.relays):
                self._not_safe(f"route {route!r} was to be closed, and relay {_numbers(missing)} reads back open")
        except InstrumentError:
            with contextlib.suppress(InstrumentError):  # the first error is the one to tell
                self.disconnect(route)
            raise

    def disconnect(self, route: str) -> None:
        self.check_route(route)
        self._open(self.routes[route].relays, f"route {route!r}")

    def connected(self) -> frozenset[str]:
        return frozenset(self._not_open(self.routes))

    def make_safe(self) -> None:
        """Open all routes, and verify it."""
        self._open(tuple(sorted(relay for route in self.routes.values() for relay in route.relays)), "all routes")

    def _open(self, relays: Relays, what: str) -> None:
        self.operate(relays, close=False)
        self._settle()
        if closed := self.closed_of(relays):
            self._not_safe(f"{what} was to be opened, and relay {_numbers(closed)} reads back closed")

    def _not_open(self, names: Iterable[str]) -> list[str]:
        names = tuple(names)
        relays = tuple(sorted(relay for name in names for relay in self.routes[name].relays))
        closed = self.closed_of(relays) if relays else frozenset()
        return [name for name in names if closed & set(self.routes[name].relays)]

    def _settle(self) -> None:
        if self.settle_s:
            time.sleep(self.settle_s)

    def _route(self, name: str, stated: object) -> Route:
        try:
            return Route.model_validate(stated)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            self._wrong_setting(f"routes.{name}.{'.'.join(map(str, first['loc']))}: {first['msg']}")

    def _check_relays(self) -> None:
        used: dict[int, str] = {}
        for name, route in self.routes.items():
            for relay in route.relays:
                if not self.has_relay(relay):
                    self._wrong_setting(f"routes.{name}: there is no relay {relay}")
                if relay in used:
                    self._wrong_setting(f"routes.{name}: relay {relay} is in route {used[relay]!r} already")
                used[relay] = name

    def _wrong_setting(self, message: str) -> NoReturn:
        raise OutOfRange(f"setting {message}", instrument=self.model, address=self.address)

    def _not_safe(self, message: str) -> NoReturn:
        raise NotSafe(message, instrument=self.model, address=self.address, hint="look at the relays before going on")


def _numbers(relays: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(relays)))
