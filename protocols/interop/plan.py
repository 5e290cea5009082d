"""What the exchange formats have in common: a few kinds of steps, and loops that stand inside one another.

Voltages in V, times in s, currents and powers as magnitudes with their direction beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

from protocols.interop.report import Where
from protocols.limits import Limits


class Unit(StrEnum):
    AMPERE = "A"
    C_RATE = "C"  # multiples of 1C, per hour
    WATT = "W"
    OHM = "ohm"


@dataclass(frozen=True, slots=True)
class Amount:
    """What drives the cell, or ends a hold: a magnitude."""

    value: float
    unit: Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Shared by all steps. Two steps are equal where they do the same, wherever they stand."""

    where: Where = field(compare=False)
    name: str = ""
    every_s: float | None = None  # recording interval, where it is not the plan's


@dataclass(frozen=True, slots=True)
class Rest(Item):
    time_s: float


@dataclass(frozen=True, slots=True)
class Drive(Item):
    """Constant current, power or resistance until a voltage is reached or a time is over; one of them is given."""

    charge: bool
    amount: Amount
    voltage_V: float | None = None
    time_s: float | None = None


@dataclass(frozen=True, slots=True)
class Hold(Item):
    """Constant voltage until the current has decayed or a time is over; one of them is given."""

    voltage_V: float
    current: Amount | None = None
    time_s: float | None = None
    limit: Amount | None = None  # largest current; None where it is not said
    charge: bool | None = None  # None where it cannot be told


@dataclass(frozen=True, slots=True)
class Sweep(Item):
    """An impedance spectrum at the open-circuit voltage; exactly one r.m.s. amplitude is given."""

    start_Hz: float
    end_Hz: float
    points_per_decade: int
    volts: float | None = None
    amperes: float | None = None


@dataclass(frozen=True, slots=True)
class Scan(Item):
    """A linear sweep of voltage; from the present voltage where `start_V` is None."""

    start_V: float | None
    end_V: float
    rate_V_s: float


@dataclass(frozen=True, slots=True)
class Loop(Item):
    """Its items, `count` times in all."""

    items: tuple[PlanItem, ...]
    count: int


PlanItem: TypeAlias = Rest | Drive | Hold | Sweep | Scan | Loop


@dataclass(frozen=True, slots=True)
class Recording:
    """Each `every_s`, and at each of these changes."""

    every_s: float | None = None
    voltage_V: float | None = None
    current_A: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A protocol as the exchange formats can say it."""

    title: str
    file: str
    items: tuple[PlanItem, ...]
    record: Recording = Recording()
    limits: Limits = field(default_factory=Limits)
    capacity_Ah: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> Where:
        return Where(self.file)


def steps(items: tuple[PlanItem, ...]) -> Iterator[PlanItem]:
    """All steps in order, without the loops around them."""
    for item in items:
        if isinstance(item, Loop):
            yield from steps(item.items)
        else:
            yield item


def amounts(item: PlanItem) -> tuple[Amount, ...]:
    match item:
        case Drive():
            return (item.amount,)
        case Hold():
            return tuple(amount for amount in (item.current, item.limit) if amount is not None)
        case _:
            return ()


def goes_on_at(hold: Hold, before: PlanItem | None) -> bool:
    """Whether a hold goes on where a constant current has led, at no more than that current."""
    return (
        isinstance(before, Drive)
        and before.voltage_V == hold.voltage_V
        and before.amount.unit in (Unit.AMPERE, Unit.C_RATE)
        and hold.limit in (None, before.amount)
    )


def in_amperes(items: tuple[PlanItem, ...], capacity_Ah: float) -> tuple[PlanItem, ...]:
    """The same with a current for each multiple of 1C."""

    def amperes(amount: Amount | None) -> Amount | None:
        if amount is None or amount.unit is not Unit.C_RATE:
            return amount
        return Amount(amount.value * capacity_Ah, Unit.AMPERE)

    found: list[PlanItem] = []
    for item in items:
        if isinstance(item, Drive):
            found.append(replace(item, amount=amperes(item.amount) or item.amount))
        elif isinstance(item, Hold):
            found.append(replace(item, current=amperes(item.current), limit=amperes(item.limit)))
        elif isinstance(item, Loop):
            found.append(replace(item, items=in_amperes(item.items, capacity_Ah)))
        else:
            found.append(item)
    return tuple(found)
