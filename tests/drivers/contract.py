"""How a contract suite gets at a driver: each driver's test module adds one `Case` to `CASES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drivers.interface import Instrument
from drivers.simulated.server import VirtualInstrument


@dataclass(frozen=True)
class Case:
    """A driver with its virtual instrument.

    `virtual()` gives an instrument that is not started yet, wired to a cell; `open(address)` opens the
    driver with a short timeout; `exchange(driver)` does one harmless query that goes over the wire and
    returns its value.
    """

    name: str
    virtual: Callable[[], VirtualInstrument]
    open: Callable[[str], Instrument]
    exchange: Callable[[Instrument], object]
    roles: tuple[type, ...]
