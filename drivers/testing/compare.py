"""When two readings are the same, and waiting for a driver that comes back."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping

from drivers.interface import CyclerState, CyclerStatus, InstrumentTimeout, NoReading, Unreachable

SAME = 0.002  # relative: two readings of one thing, with the simulators' noise


def same(one: object, other: object) -> bool:
    """Equal up to the noise of a reading."""
    match one, other:
        case bool(), bool():
            return one == other
        case (int() | float() | complex(), int() | float() | complex()):
            return abs(one - other) <= SAME * max(abs(one), abs(other), 1e-6)
        case Mapping(), Mapping():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case (list() | tuple(), list() | tuple()):
            return len(one) == len(other) and all(map(same, one, other))
        case _ if dataclasses.is_dataclass(one) and type(one) is type(other):
            return all(same(getattr(one, item.name), getattr(other, item.name)) for item in dataclasses.fields(one))
    return one == other


def claims_nothing(value: object) -> bool:
    """Said to be no reading, or a state that is not known: honest, though not what was asked for."""
    match value:
        case NoReading() | CyclerState.UNKNOWN | CyclerStatus(state=CyclerState.UNKNOWN):
            return True
        case Mapping():
            return any(map(claims_nothing, value.values()))
    return False


def until_it_answers(exchange: Callable[[], object], within_s: float = 5.0) -> object:
    """The first answer; until then the driver may say `Unreachable`, or on a busy machine that none came in time."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return exchange()
        except (Unreachable, InstrumentTimeout):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
