"""How the conformance suite gets at a driver, and what no driver could notice on its line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from drivers.interface import Instrument
from drivers.simulated.server import VirtualInstrument
from drivers.testing.faults import FaultAt, Kind

Undetectable: TypeAlias = Callable[[FaultAt, object], bool]
"""Whether the reply that this fault has struck is as well-formed as a true one, so that this value may be wrong."""


@dataclass(frozen=True)
class Start:
    """What sets something going, and must never be sent twice.

    `act(driver)` does it; `command` is a regular expression for the bytes on the wire that start, switch on or
    polarise. A fault may make the driver send it fewer times than an undisturbed line does, never more often.
    """

    act: Callable[[Instrument], object]
    command: bytes


def text_without_checksum(fault: FaultAt, value: object) -> bool:
    """A digit for another, or a digit too many: no reader can tell it from a true number of free width.

    In a reply that is words (an identity, a state), a letter for another too.
    """
    byte = fault.reply[fault.index : fault.index + 1]
    if fault.kind is Kind.DOUBLED:
        return byte.isdigit() or (not is_number(value) and byte.isascii() and byte.decode().isprintable())
    if fault.kind is not Kind.FLIPPED:
        return False
    flipped = bytes([byte[0] ^ 1])
    if is_number(value):
        return byte.isdigit() and flipped.isdigit()
    return all(each.isascii() and each.decode().isprintable() for each in (byte, flipped))


def text_of_fixed_width(fault: FaultAt, value: object) -> bool:
    """As `text_without_checksum`, where the driver knows how long a number is."""
    return text_without_checksum(fault, value) and (fault.kind is Kind.FLIPPED or not is_number(value))


def hexadecimal_without_checksum(fault: FaultAt, value: object) -> bool:
    """A hexadecimal digit for another, where a number has a fixed count of them."""
    byte = fault.reply[fault.index]
    digits = b"0123456789ABCDEFabcdef"
    return fault.kind is Kind.FLIPPED and byte in digits and byte ^ 1 in digits


def checksummed(fault: FaultAt, value: object) -> bool:
    """Nothing goes unnoticed."""
    return False


def modbus_tcp_registers(fault: FaultAt, value: object) -> bool:
    """Modbus TCP has no checksum of its own: the registers behind header, function and byte count can be anything."""
    return fault.kind in (Kind.FLIPPED, Kind.GARBLED) and fault.index >= 9


def is_number(value: object) -> bool:
    return isinstance(value, int | float | complex) and not isinstance(value, bool)


@dataclass(frozen=True)
class Case:
    """A driver with its virtual instrument.

    `virtual()` gives an instrument that is not started yet, wired to a cell; `open(address)` opens the
    driver with a short timeout (0.3 s); `exchange(driver)` does one harmless query that goes over the wire and
    returns its value, which does not change from one time to the next. `roles` are the capabilities that it has.
    A driver that sets something going (a source, a cycler, an impedance source) says how in `start`.
    `undetectable` is what the line's own format cannot show; the rest must end in an error or in the right value.
    """

    name: str
    virtual: Callable[[], VirtualInstrument]
    open: Callable[[str], Instrument]
    exchange: Callable[[Instrument], object]
    roles: tuple[type, ...]
    start: Start | None = None
    undetectable: Undetectable = text_without_checksum
    current_A: float = 1e-3  # for a source: what it can hold, and what raises the virtual cell's voltage by 10 mV
    timeout_s: float = 0.3  # that `open` gives the driver
    longest_s: float = 6.0  # in which any one call must have given up
