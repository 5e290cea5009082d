"""A driver that talks to its virtual instrument through a proxy, for one test."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from drivers.interface import InstrumentError, Protection
from drivers.simulated.server import LineInstrument
from drivers.testing.case import Case
from drivers.testing.compare import until_it_answers
from drivers.testing.faults import FaultProxy

F = TypeVar("F", bound=Callable[..., object])


@dataclass
class Bench:
    """One case at work. `driver` is of any role: each test asks for what the case claims."""

    case: Case
    proxy: FaultProxy
    driver: Any
    address: str

    def exchange(self) -> object:
        return self.case.exchange(self.driver)

    def right(self) -> object:
        """What the exchange gives on a sound line."""
        return until_it_answers(self.exchange)

    def sends(self, act: Callable[[], object]) -> bytes:
        """What the driver sent while it did `act`."""
        time.sleep(0.03)  # for what is on its way already
        before = len(self.proxy.sent)
        act()
        time.sleep(0.03)
        return b"".join(self.proxy.sent[before:])

    @property
    def limits(self) -> Protection:
        return Protection(voltage_min_V=1.0, voltage_max_V=4.2, current_max_A=10 * self.case.current_A)


def bench_for(case: Case) -> Iterator[Bench]:
    with case.virtual() as virtual, FaultProxy(virtual.port) as proxy:
        address = proxy.address(virtual.resource)
        driver = case.open(address)
        yield Bench(case, proxy, driver, address)
        proxy.spoil, proxy.refuse = None, False
        with contextlib.suppress(InstrumentError):  # the test may have left it unreachable
            driver.close()


class Stranger(LineInstrument):
    """Says who it is to whatever it is asked."""

    def __init__(self, resource: str) -> None:
        super().__init__()
        self.resource = resource

    def answer(self, line: str) -> str:
        return "ACME,MODEL 1,0,0"


def in_role(role: type) -> Callable[[F], F]:
    """Only for the cases that have this role."""

    def mark(test: F) -> F:
        test.role = role  # type: ignore[attr-defined]
        return test

    return mark


def role_of(test: object) -> type | None:
    return getattr(test, "role", None)
