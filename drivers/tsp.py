"""Declarations for instruments that run the Test Script Processor's language: `name = value`, `print(name)`.

In a command, `smu` stands for the channel's own name: `smua` or `smub`.
"""

from __future__ import annotations

from drivers.interface import Refused
from drivers.scpi import Choice, ScpiInstrument, Switch, finite_number


class TspInstrument(ScpiInstrument):
    """As a `ScpiInstrument`, in the other language. `smu` is the name of the channel that is driven."""

    smu: str = "smua"

    def question(self, command: str) -> str:
        return f"print({self.named(command)})"

    def order(self, command: str, argument: str) -> str:
        return f"{self.named(command)} = {self.named(argument)}"

    def named(self, text: str) -> str:
        return text.replace("smu.", f"{self.smu}.")

    def clear_errors(self) -> None:
        self.send("errorqueue.clear()")

    def check_errors(self) -> None:
        """Empty the error queue; raises `Refused` with all that was in it."""
        query = "print(errorqueue.count)"
        reply = self.ask(query)
        try:
            count = int(finite_number(reply))
        except ValueError as error:
            self._bad_reply(query, reply, error)
        errors = [self._next_error() for _ in range(min(count, 100))]
        if errors:
            raise Refused("; ".join(errors), instrument=self.model, address=self.address)

    def _next_error(self) -> str:
        query = "print(errorqueue.next())"
        reply = self.ask(query)
        try:
            code, message = reply.split("\t")[:2]
            return f"{int(finite_number(code))} {message}"
        except ValueError:
            self._bad_reply(query, reply, "an error is <code>, <text>, <severity> and <node>, with tabs between")


class TspSwitch(Switch):
    """On or off, by two constants of the language, whose values are 1 and 0."""

    def __init__(self, command: str, doc: str, on: str, off: str) -> None:
        super().__init__(command, doc)
        self.on, self.off = on, off

    def to_wire(self, value: bool) -> str:
        return self.on if value else self.off

    def from_wire(self, text: str) -> bool:
        value = finite_number(text)
        if value not in (0.0, 1.0):
            raise ValueError("a switch is 0 or 1")
        return value == 1.0


class TspChoice(Choice):
    """One of several names, each with its constant and the number that the constant stands for."""

    def __init__(self, command: str, doc: str, constants: dict[str, tuple[str, int]]) -> None:
        super().__init__(command, doc, {name: constant for name, (constant, _) in constants.items()})
        self.names = {number: name for name, (_, number) in constants.items()}

    def from_wire(self, text: str) -> str:
        value = finite_number(text)
        if value not in self.names:
            raise ValueError(f"none of {', '.join(map(str, self.names))}")
        return self.names[int(value)]


def tsp_switch(command: str, *, on: str, off: str, doc: str) -> TspSwitch:
    """Declare an on/off setting."""
    return TspSwitch(command, doc, on, off)


def tsp_choice(command: str, *, doc: str, **constants: tuple[str, int]) -> TspChoice:
    """Declare a setting that is one of several names, each with its constant and the constant's number."""
    return TspChoice(command, doc, constants)
