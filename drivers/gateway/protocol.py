"""What passes between a station and a gateway: one JSON object a line, request and reply. docs/gateway.md.

A value is sent as its dataclass's fields, and read back strictly: what would not be sent in the same words is an error.
"""

from __future__ import annotations

import enum
import functools
import json
import math
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from pydantic import TypeAdapter, ValidationError

from drivers.interface import (
    BadReply,
    Current,
    InstrumentError,
    InstrumentTimeout,
    NotSafe,
    OutOfRange,
    Refused,
    Unreachable,
    Voltage,
    WrongInstrument,
)

VERSION = 1
DEFAULT_PORT = 48752
LONGEST_LINE = 4 * 2**20  # bytes
RECORDS_A_PAGE = 500

Json: TypeAlias = dict[str, Any]
T = TypeVar("T")

ERRORS: dict[str, type[InstrumentError]] = {
    "unreachable": Unreachable,
    "timeout": InstrumentTimeout,
    "bad reply": BadReply,
    "refused": Refused,
    "wrong instrument": WrongInstrument,
    "out of range": OutOfRange,
    "not safe": NotSafe,
    "error": InstrumentError,
}
"""How an error of the instrument is named on the wire."""


class Capability(enum.StrEnum):
    SOURCE = "source"
    IMPEDANCE = "impedance"
    CYCLER = "cycler"


class LostHost(enum.StrEnum):
    """What a gateway does when no station has said anything for a while."""

    LEAVE = "leave"  # whatever runs goes on
    OPEN = "open"  # every circuit is opened


@dataclass(frozen=True, slots=True)
class Description:
    """What a back end says of itself and its instrument. Ranges are of magnitudes but for the voltage."""

    instrument: str
    capabilities: tuple[Capability, ...]
    channels: tuple[str, ...]
    voltage_min_V: float
    voltage_max_V: float
    current_max_A: float
    frequency_min_Hz: float = 0.0
    frequency_max_Hz: float = 0.0
    amplitude_max_V: float = 0.0
    amplitude_max_A: float = 0.0
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Greeting:
    """The reply to `hello`."""

    version: int
    backend: str
    description: Description
    lost_host: LostHost
    after_s: float
    host_was_lost: str  # what was done, and when, since the last station; '' where nothing was


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a spectrum."""

    frequency_Hz: float
    real_ohm: float
    imaginary_ohm: float


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a sweep: the points after those asked for, whether it is over, and why where that was an error."""

    points: tuple[Point, ...]
    over: bool
    error: str = ""
    kind: str = ""


class Malformed(ValueError):
    """A line, or a value in it, that is not of the protocol."""


def encode(message: Json) -> bytes:
    """Raises `ValueError` for what JSON has no number for."""
    return json.dumps(message, allow_nan=False, separators=(",", ":"), ensure_ascii=True).encode("ascii") + b"\n"


def decode(line: bytes) -> Json:
    """Raises `Malformed`."""
    try:
        message = json.loads(
            line.decode("ascii"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{line[:60]!r} is no JSON: {error}") from None
    if not isinstance(message, dict):
        raise Malformed(f"{line[:60]!r} is no JSON object")
    return message


def to_wire(kind: Any, value: object) -> Any:
    """`kind` is the value's type, or what it is declared as."""
    return _adapter(kind).dump_python(value, mode="json")


def from_wire(kind: type[T], data: object) -> T:
    """Raises `Malformed` where a field is missing, unknown, or of another kind."""
    adapter = _adapter(kind)  # type: ignore[arg-type]
    try:
        value: T = adapter.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Malformed(f"{where or 'the value'}: {first['msg']}") from None
    if _plain(adapter.dump_python(value, mode="json")) != _plain(data):
        raise Malformed(f"{str(data)[:80]!r} has fields that are not known, or lacks some")
    return value


def count_from_wire(data: object) -> int:
    """A number of things, or which of them. Raises `Malformed`."""
    if not isinstance(data, int) or isinstance(data, bool) or data < 0:
        raise Malformed(f"{str(data)[:40]!r} is no count")
    return data


def error_to_wire(error: InstrumentError) -> Json:
    kind = next(name for name, cls in ERRORS.items() if isinstance(error, cls))
    return {"kind": kind, "message": error.message, "hint": error.hint}


def error_from_wire(data: object, instrument: str, address: str) -> InstrumentError:
    """Raises `Malformed`."""
    if not isinstance(data, dict) or set(data) != {"kind", "message", "hint"} or data["kind"] not in ERRORS:
        raise Malformed(f"{str(data)[:80]!r} is no error")
    return ERRORS[data["kind"]](str(data["message"]), instrument=instrument, address=address, hint=str(data["hint"]))


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _plain(data: Any) -> Any:
    """Tuples and lists are one in JSON."""
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    return [_plain(value) for value in data] if isinstance(data, list | tuple) else data


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a field twice")
    return dict(pairs)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_constant(text[:20])


SETPOINT: Any = Current | Voltage
"""As it is declared for the wire: {"amperes": 0.001} or {"volts": 4.2}."""
