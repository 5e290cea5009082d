"""Maccor's MacNet: JSON-RPC over TCP, as both Maccor drivers speak it.

Wire facts: docs/instruments/maccor-macnet.md (evidence: the maker's help text). Not run on hardware yet.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NoReturn

from drivers.interface import Activity, BadReply, NotSafe, OutOfRange, Protection, Range, Refused
from drivers.transports.framed import FramedSocket

PORT = 57570
OK = "OK"
POWER_IGNORED = 65536.0  # W; a value outside its range is ignored
FLOAT32 = 1e-6  # relative: the tester keeps single precision


class Function:
    """Class and number."""

    VERSION = (1, 1)
    SYSTEM = (1, 2)
    PROCEDURE_EXISTS = (1, 3)
    CHANNEL_SPECIFICATION = (3, 1)
    NAMES = (4, 6)
    READINGS = (4, 7)
    START_TEST = (6, 2)
    SUSPEND = (6, 3)
    RESUME = (6, 4)
    RESET = (6, 5)
    START_DIRECT = (6, 7)
    SET_DIRECT = (6, 8)
    SET_SAFETY = (6, 10)
    CHECK_START = (6, 11)


class Stat(IntEnum):
    """The state of a channel in the tester's software."""

    AVAILABLE = 0
    SELECTED = 1
    ACTIVE = 2
    SUSPENDED = 3
    COMPLETED = 4
    PROBLEM = 5
    NOT_AVAILABLE = 6
    RESET = 7
    START = 8
    POWER_FAIL = 9
    NO_CONTROLLER = 10
    SHUT_DOWN = 11
    STARTING = 12
    BLOCKED = 13
    WAITING = 14
    FRA = 15
    REMOTE_MAINTENANCE = 16
    UNUSED = 17
    NA = 18


RUNNING = frozenset({Stat.ACTIVE, Stat.START, Stat.STARTING, Stat.WAITING, Stat.FRA})
OPEN = frozenset({Stat.AVAILABLE, Stat.SELECTED, Stat.SUSPENDED, Stat.COMPLETED, Stat.RESET})
"""The channel drives nothing."""

ACTIVITIES = {1: Activity.CHARGE, 2: Activity.DISCHARGE, 4: Activity.REST, 8: Activity.CHARGE, 9: Activity.DISCHARGE}
ACTIVITIES |= {19: Activity.CHARGE, 20: Activity.DISCHARGE}
"""By RF1, the controller's own code of what it does; pulses and external ones with the rest of their kind."""

SAFETY = {
    189: "safety capacity",
    190: "safety voltage",
    191: "safety overcharge",
    196: "overcharge safety",
    197: "voltage safety",
    253: "voltage safety, absolute",
}
REASONS = SAFETY | {
    192: "suspended by an operator, or a pause step",
    193: "normal end",
    194: "timeout fault",
    195: "timeout fault",
    198: "slave error",
    252: "current control error",
    254: "lost current control",
    255: "buffer full",
}
"""By RF2, why a step or a test ended."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What a channel shows now. `current_A` is signed, `capacity_Ah` is the tester's own magnitude."""

    stat: Stat
    doing: int  # RF1
    why: int  # RF2
    step: int
    test_time_s: float
    step_time_s: float
    capacity_Ah: float
    current_A: float
    voltage_V: float

    @property
    def activity(self) -> Activity:
        return ACTIVITIES.get(self.doing, Activity.OTHER)

    @property
    def reason(self) -> str:
        return REASONS.get(self.why, f"reason {self.why}")

    @property
    def is_open(self) -> bool:
        """No current flows; a channel that stopped at a problem says so by its current alone."""
        return self.stat in OPEN or (self.stat is Stat.PROBLEM and self.current_A == 0.0)


@dataclass(frozen=True, slots=True)
class Names:
    test: str
    procedure: str


@dataclass(frozen=True, slots=True)
class Specification:
    """Ranges of a channel; currents are magnitudes in its four ranges, the smallest first."""

    voltage_range: Range
    charge_A: tuple[float, ...]
    discharge_A: tuple[float, ...]


class MacNet:
    """One tester; a channel is named by its number as people count it, from "1"."""

    def __init__(self, address: str, *, instrument: str, timeout_s: float) -> None:
        self.address = address
        self.instrument = instrument
        self._link = FramedSocket(
            address, terminator=b"\r\n", default_port=PORT, instrument=instrument, timeout_s=timeout_s
        )
        self._ids = itertools.count(1)

    def end(self) -> None:
        self._link.end()

    # --- questions

    def version(self) -> str:
        answer = self._ask(Function.VERSION)
        parts = (answer.integer(f"MacTest32EXEversion{part}") for part in ("Major", "Minor", "Build"))
        return "MacTest32 " + ".".join(map(str, parts))

    def system(self) -> tuple[str, int, int]:
        """Name, type (0: lab system) and number of channels."""
        answer = self._ask(Function.SYSTEM)
        return answer.text("SystemID"), answer.integer("SystemType"), answer.integer("TestChannels")

    def procedure_exists(self, procedure: str) -> bool:
        said = self._ask(Function.PROCEDURE_EXISTS, ProcName=procedure).text("ProcedurExists")
        if said not in ("TRUE", "FALSE"):
            self._bad(f"ProcedurExists is {said!r}")
        return said == "TRUE"

    def specification(self, channel: str) -> Specification:
        answer = self._ask(Function.CHANNEL_SPECIFICATION, Chan=wire_channel(channel))
        charge = [answer.number(f"IR{number}Chg") for number in (1, 2, 3, 4)]
        discharge = [answer.number(f"IR{number}Dis") for number in (1, 2, 3, 4)]
        low, high = answer.number("Vmin"), answer.number("Vmax")
        if not low < high or sorted(charge) != charge or sorted(discharge) != discharge or charge[0] < 0:
            self._bad(f"the ranges of channel {channel} are out of order")
        return Specification(Range(low, high), tuple(charge), tuple(discharge))

    def readings(self, channel: str) -> Readings:
        answer = self._ask(Function.READINGS, Chan=wire_channel(channel))
        number = answer.integer("Stat")
        if number not in set(Stat):
            self._bad(f"channel {channel} is in state {number}, which is not known")
        doing = answer.integer("RF1")
        sign = -1.0 if ACTIVITIES.get(doing) is Activity.DISCHARGE else 1.0
        return Readings(
            stat=Stat(number),
            doing=doing,
            why=answer.integer("RF2"),
            step=answer.integer("Step"),
            test_time_s=answer.number("TestTime"),
            step_time_s=answer.number("StepTime"),
            capacity_Ah=abs(answer.number("Capacity")),
            current_A=sign * abs(answer.number("Current")),
            voltage_V=answer.number("Voltage"),
        )

    def names(self, channel: str) -> Names:
        answer = self._ask(Function.NAMES, Chan=wire_channel(channel))
        return Names(answer.text("TestName").rstrip(), answer.text("ProcName").rstrip())

    # --- commands

    def command(self, function: tuple[int, int], channel: str, **parameters: float | str) -> str:
        """Sent once. What the tester says to it: "OK", or its comment or number of a refusal."""
        return self._ask(function, Chan=wire_channel(channel), **parameters).result()

    def set_safety(self, channel: str, protection: Protection) -> None:
        """The tester's own limits for the channel, as it echoes them; raises `NotSafe` where they differ."""
        wanted = {
            "VSafeMax": protection.voltage_max_V,
            "VSafeMin": protection.voltage_min_V,
            "ISafeChg": protection.current_max_A,
            "ISafeDis": protection.current_max_A,
        }
        most_W = max(abs(protection.voltage_min_V), abs(protection.voltage_max_V)) * protection.current_max_A
        wanted |= {"PBatSafeChg": most_W, "PBatSafeDis": most_W}
        answer = self._ask(Function.SET_SAFETY, Chan=wire_channel(channel), **wanted)
        for name, value in wanted.items():
            if abs((found := answer.number(name)) - value) > FLOAT32 * max(1e-3, abs(value)):
                raise NotSafe(
                    f"channel {channel}: the limit {name} was set to {value:g}, and the tester says {found:g}",
                    **self._where(),
                )

    # --- the wire

    def _ask(self, function: tuple[int, int], **parameters: float | str) -> Answer:
        params: dict[str, float | str] = {"FClass": function[0], "FNum": function[1], **parameters}
        number = next(self._ids)
        message = {"jsonrpc": "2.0", "method": "MacNet", "params": params, "id": number}
        reply = self._link.exchange(json.dumps(message).encode("ascii"))
        try:
            content = json.loads(reply.decode("ascii"), parse_constant=_no_constant)
        except ValueError:
            self._bad(f"{reply[:80]!r} is no JSON")
        if not isinstance(content, dict) or content.get("jsonrpc") != "2.0" or content.get("id") != number:
            self._bad(f"{reply[:80]!r} does not answer request {number}")
        if (error := content.get("error")) is not None:
            said = error.get("message", error) if isinstance(error, dict) else error
            raise Refused(f"the tester answers {str(said)[:80]!r} to function {function}", **self._where())
        result = content.get("result")
        echoed = {name: params.get(name) for name in ("FClass", "FNum", "Chan") if name in params}
        if not isinstance(result, dict) or any(result.get(name) != value for name, value in echoed.items()):
            self._bad(f"{reply[:120]!r} does not answer function {function}")
        return Answer(result, self)

    def _bad(self, message: str) -> NoReturn:
        raise BadReply(message, **self._where())

    def _where(self) -> dict[str, str]:
        return {"instrument": self.instrument, "address": self.address}


@dataclass(frozen=True)
class Answer:
    """The result of a function, with what is asked of its values."""

    content: Mapping[str, object]
    net: MacNet

    def integer(self, name: str) -> int:
        value = self.content.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            self.net._bad(f"{name} is {value!r}, not a whole number")
        return value

    def number(self, name: str) -> float:
        value = self.content.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            self.net._bad(f"{name} is {value!r}, not a number")
        return float(value)

    def text(self, name: str) -> str:
        value = self.content.get(name)
        if not isinstance(value, str):
            self.net._bad(f"{name} is {value!r}, not a text")
        return value

    def result(self) -> str:
        value = self.content.get("Result")
        if isinstance(value, bool) or not isinstance(value, str | int):
            self.net._bad(f"Result is {value!r}")
        return OK if value in (0, "0", OK) else str(value)


def wire_channel(channel: str) -> int:
    """MacNet counts from 0."""
    if not (channel.isascii() and channel.isdecimal() and int(channel) > 0):
        raise OutOfRange(f"no channel {channel!r}: a channel is a number from 1", instrument="Maccor")
    return int(channel) - 1


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
