"""Drivers for SCPI instruments as a page of declarations: command, unit and range, stated once.

    class Supply(ScpiInstrument):
        model = "Supply"
        safe_state = "output off"
        identity = r"ACME,SUPPLY 1,"

        output = switch(":OUTP", doc="Output relay.")
        voltage = number(":SOUR:VOLT", "V", within=Range(0.0, 20.0), doc="Level of the source.")

Reading an attribute asks the instrument; writing one checks the value and sends it. Where it must be
certain that the instrument took it, `Supply.voltage.set_verified(supply, 4.2)` sets and reads back.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar, Generic, NoReturn, Self, TypeVar, overload

from drivers.interface import BadReply, NoReading, NotSafe, OutOfRange, Range, Refused, Unreachable, WrongInstrument
from drivers.transports import VisaLine

Value = TypeVar("Value", float, bool, str)

NOT_A_NUMBER = 9.91e37
OVERFLOW = 9.9e37
"""SCPI's reserved values (SCPI-99 volume 1, 7.2.1): no number of theirs ever leaves this module."""

RELATIVE_ROUNDING = 5e-4
"""How far a set value may come back changed by the instrument's own resolution (one part in 2000)."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+|\d(\.\d*)?[Ee](?P<exponent>[+-]?\d+))", re.ASCII)
"""Instruments write one digit before the point where there is an exponent; another count was garbled on the way."""
_LARGEST_EXPONENT = 38
_ERROR = re.compile(r"""([+-]?\d+),\s*(?:"(.*)"|'(.*)')""")


def read_number(text: str) -> float | NoReading:
    """The value of one reading; overload and 'not a number' become `NoReading`. Raises `ValueError`."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None or abs(int(match["exponent"] or 0)) > _LARGEST_EXPONENT:
        raise ValueError(f"{text[:40]!r} is not a number")
    value = float(text)
    if abs(value) < OVERFLOW:
        return value
    return NoReading.NOT_AVAILABLE if abs(value) == NOT_A_NUMBER else NoReading.OVERLOAD


def finite_number(text: str) -> float:
    """The value of one reading, where there must be one. Raises `ValueError`."""
    value = read_number(text)
    if isinstance(value, NoReading):
        raise ValueError(f"{text.strip()} stands for {value.value}, not for a number")
    return value


def read_switch(text: str) -> bool:
    """A state, as the makers tell it: 1 or 0, +1 or +0, ON or OFF. Raises `ValueError`."""
    states = {"0": False, "1": True, "+0": False, "+1": True, "OFF": False, "ON": True}
    if text.upper() not in states:
        raise ValueError("a switch is 0 or 1")
    return states[text.upper()]


def wire_number(value: float) -> str:
    """As a person would write it: '4.2', '-0.001', '1e-06'."""
    return format(value, ".10g")


class ScpiInstrument(ABC):
    """A line to one instrument, its identity checked on opening. Nothing is reset or switched.

    `identity` is the regular expression that the answer to *IDN? begins with.
    """

    model: ClassVar[str]
    safe_state: ClassVar[str]
    identity: ClassVar[str]
    error_query: ClassVar[str] = ":SYST:ERR?"

    def __init__(self, address: str, *, timeout_s: float = 5.0) -> None:
        self.address = address
        self._closed = False
        self._line = VisaLine(address, instrument=self.model, timeout_s=timeout_s)
        try:
            self._check_identity()
            self.clear_errors()
            self.check_set_up()
        except BaseException:
            self._line.close()
            raise

    def identify(self) -> str:
        return self.ask("*IDN?")

    def check_set_up(self) -> None:
        """On opening, once the identity is known. Raises `WrongInstrument` where a person must set it up."""
        return

    @abstractmethod
    def make_safe(self) -> None: ...

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def send(self, command: str) -> None:
        self._check_open()
        self._line.write(command)

    def ask(self, query: str, timeout_s: float | None = None) -> str:
        self._check_open()
        return self._line.query(query, timeout_s)

    def question(self, command: str) -> str:
        """How the value of a setting is asked for."""
        return command + "?"

    def order(self, command: str, argument: str) -> str:
        """How a setting is given its value."""
        return f"{command} {argument}"

    def clear_errors(self) -> None:
        """Empty the error queue of what came from other programs, or from an exchange that failed."""
        self.send("*CLS")

    def check_errors(self) -> None:
        """Empty the error queue; raises `Refused` with all that was in it."""
        errors = []
        for _ in range(100):
            reply = self.ask(self.error_query)
            if not (match := _ERROR.fullmatch(reply)):
                self._bad_reply(self.error_query, reply, 'an error is <code>,"<text>"')
            if int(match[1]) == 0:
                break
            errors.append(f"{int(match[1])} {(match[2] or match[3] or '').split(';')[0]}")
        if errors:
            raise Refused("; ".join(errors), instrument=self.model, address=self.address)

    def _check_identity(self) -> None:
        found = self.identify()
        if not re.match(self.identity, found, re.IGNORECASE):
            raise WrongInstrument(
                f"not a {self.model}: it says {found[:80]!r}",
                instrument=self.model,
                address=self.address,
                hint="is the address right, and the driver?",
            )

    def _check_open(self) -> None:
        if self._closed:
            raise Unreachable("closed by this program", instrument=self.model, address=self.address)

    def _bad_reply(self, query: str, reply: str, why: object) -> NoReturn:
        self._line.close()  # whatever else is on the line belongs to no later question
        raise BadReply(f"{query} was answered with {reply[:60]!r}: {why}", instrument=self.model, address=self.address)


class Declared(ABC, Generic[Value]):
    """One setting of an instrument: a command, the question for it, and what it may be."""

    def __init__(self, command: str, doc: str) -> None:
        self.command = command
        self.__doc__ = doc
        self.name = command

    @abstractmethod
    def to_wire(self, value: Value) -> str:
        """Raises `ValueError` where the instrument cannot take `value`."""

    @abstractmethod
    def from_wire(self, text: str) -> Value:
        """Raises `ValueError` where `text` is no such value."""

    def agree(self, asked: Value, found: Value) -> bool:
        return asked == found

    def text(self, value: Value) -> str:
        """For people: with the unit."""
        return str(value)

    def check(self, instrument: ScpiInstrument, value: Value) -> str:
        """The command's argument. Raises `OutOfRange`; sends nothing."""
        try:
            return self.to_wire(value)
        except ValueError as error:
            raise OutOfRange(
                f"{self.name.replace('_', ' ')}: {error}; nothing was sent",
                instrument=instrument.model,
                address=instrument.address,
            ) from None

    def set_verified(self, instrument: ScpiInstrument, value: Value) -> None:
        """Set, read back, and raise `NotSafe` where the instrument holds another value."""
        self.__set__(instrument, value)
        found = self.__get__(instrument)
        if not self.agree(value, found):
            raise NotSafe(
                f"{self.name.replace('_', ' ')} was set to {self.text(value)} and reads back {self.text(found)}",
                instrument=instrument.model,
                address=instrument.address,
            )

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instrument: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self, instrument: ScpiInstrument, owner: type | None = None) -> Value: ...
    def __get__(self, instrument: ScpiInstrument | None, owner: type | None = None) -> Self | Value:
        if instrument is None:
            return self
        query = instrument.question(self.command)
        reply = instrument.ask(query)
        try:
            return self.from_wire(reply)
        except ValueError as error:
            instrument._bad_reply(query, reply, error)

    def __set__(self, instrument: ScpiInstrument, value: Value) -> None:
        argument = self.check(instrument, value)
        instrument.send(instrument.order(self.command, argument))


class Number(Declared[float]):
    """A number with its unit and range. `rounding` is the coarsest step that the instrument makes."""

    def __init__(self, command: str, unit: str, within: Range, doc: str, rounding: float) -> None:
        super().__init__(command, doc)
        self.unit, self.within, self.rounding = unit, within, rounding

    def to_wire(self, value: float) -> str:
        if value not in self.within:
            low, high = (f"{end:g}" for end in (self.within.low, self.within.high))
            raise ValueError(f"{self.text(value)} is outside {low} … {high} {self.unit}")
        return wire_number(value)

    def from_wire(self, text: str) -> float:
        return finite_number(text)

    def agree(self, asked: float, found: float) -> bool:
        return abs(asked - found) <= max(self.rounding, RELATIVE_ROUNDING * abs(asked))

    def text(self, value: float) -> str:
        return f"{value:g} {self.unit}"


class Switch(Declared[bool]):
    """On or off."""

    def to_wire(self, value: bool) -> str:
        return "ON" if value else "OFF"

    def from_wire(self, text: str) -> bool:
        return read_switch(text)

    def text(self, value: bool) -> str:
        return "on" if value else "off"


class Choice(Declared[str]):
    """One of several names, each with the instrument's token for it."""

    def __init__(self, command: str, doc: str, tokens: dict[str, str]) -> None:
        super().__init__(command, doc)
        self.tokens = tokens

    def to_wire(self, value: str) -> str:
        if value not in self.tokens:
            raise ValueError(f"{value!r} is none of {', '.join(self.tokens)}")
        return self.tokens[value]

    def from_wire(self, text: str) -> str:
        plain = text.strip("\"'").upper()
        for name, token in self.tokens.items():
            if token.strip("\"'").upper() == plain.removesuffix(":DC"):
                return name
        raise ValueError(f"none of {', '.join(self.tokens.values())}")


def number(command: str, unit: str, *, within: Range, doc: str, rounding: float = 0.0) -> Number:
    """Declare a number in `unit`; a value that is not `within` is refused before anything is sent."""
    return Number(command, unit, within, doc, rounding)


def switch(command: str, *, doc: str) -> Switch:
    """Declare an on/off setting."""
    return Switch(command, doc)


def choice(command: str, *, doc: str, **tokens: str) -> Choice:
    """Declare a setting that is one of several names, each with its token on the wire."""
    return Choice(command, doc, tokens)


def declarations(driver: type) -> dict[str, Declared[float] | Declared[bool] | Declared[str]]:
    """All that a driver declares, by attribute name."""
    return {
        name: item
        for base in reversed(driver.__mro__)
        for name, item in vars(base).items()
        if isinstance(item, Declared)
    }
