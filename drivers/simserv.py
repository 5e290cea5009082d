"""Climate chambers by Weiss Technik and Vötschtechnik with S!MPAC, through their SIMSERV protocol.

Wire facts: docs/instruments/simserv.md (evidence: three public programs that quote the maker's manual).
Not run on hardware yet.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import ClassVar, NoReturn

from drivers.about import About, Probe
from drivers.chamber import LimitedChamber, POSSIBLE_degC
from drivers.interface import NoReading
from drivers.transports.framed import FramedSocket

SEPARATOR = b"\xb6"  # one byte, the pilcrow of Latin-1
DONE, READ_FAILED = 1, -8
REFUSALS = {-5: "unknown command", -6: "too few or wrong parameters", READ_FAILED: "the value could not be read"}
TEMPERATURE = 1  # number of the temperature among the control variables
MANUAL_MODE = 1  # number of the manual mode among the digital outputs
RUNNING, ALARM = 2, 8  # bits of the chamber's status


class Command(IntEnum):
    SET_SET_POINT = 11001
    SET_POINT = 11002
    ACTUAL_VALUE = 11004
    INPUT_LIMIT_MIN = 11007
    INPUT_LIMIT_MAX = 11009
    SWITCH = 14001
    IS_ON = 14003
    STATUS = 10012
    INFORMATION = 99997


class SimServChamber(LimitedChamber):
    """The temperature of one chamber, in manual mode.

    `address` is "host" or "host:port" (port 2049 if left out). A chamber goes where it is told: `temperature_min_degC`
    and `temperature_max_degC` say what the cells in it stand, and the chamber's own input limits narrow them.
    After a start the chamber is asked each `start_wait_s` whether it runs, for ten times as long.
    """

    model: ClassVar[str] = "Weiss/Vötsch chamber with SIMSERV"
    about: ClassVar[About] = About(
        connection="TCP, SIMSERV",
        evidence="public programs that quote the maker's manual; not run on hardware",
        quirks="needs a second after a start; a program of its own is not disturbed",
        probes=(Probe(b"99997\xb61\xb61\r", r"^1\xb6.*\S", "{host}:{port}", 2049, ends_with=b"\r\n"),),
    )

    def __init__(
        self,
        address: str,
        *,
        temperature_min_degC: float,
        temperature_max_degC: float,
        safe_temperature_degC: float | None = None,
        start_wait_s: float = 1.0,
        timeout_s: float = 3.0,
    ) -> None:
        super().__init__(
            address, temperature_min_degC, temperature_max_degC, safe_temperature_degC, wait_s=start_wait_s
        )
        self._link = FramedSocket(
            address, terminator=b"\r\n", default_port=2049, instrument=self.model, timeout_s=timeout_s
        )
        try:
            self._narrow(
                self._number(Command.INPUT_LIMIT_MIN, TEMPERATURE), self._number(Command.INPUT_LIMIT_MAX, TEMPERATURE)
            )
        except BaseException:
            self._link.end()
            raise

    def identify(self) -> str:
        kind, serial = (self._ask(Command.INFORMATION, number) for number in (1, 3))
        return f"{kind}, serial number {serial}"

    def read_temperature_degC(self) -> float | NoReading:
        """Of the air in the chamber."""
        code, values = self._exchange(Command.ACTUAL_VALUE, TEMPERATURE)
        if code == READ_FAILED:
            return NoReading.NOT_AVAILABLE
        return self._finite(Command.ACTUAL_VALUE, self._checked(Command.ACTUAL_VALUE, code, values))

    def set_temperature(self, temperature_degC: float) -> None:
        """Set, read back, and start the manual mode where it is off; a program of the chamber's is not disturbed."""
        self.check_temperature(temperature_degC)
        manual = self._is_manual()
        if not manual and self._status() & RUNNING:
            self._refuse_program()
        self._checked(
            Command.SET_SET_POINT, *self._exchange(Command.SET_SET_POINT, TEMPERATURE, _text(temperature_degC))
        )
        self._verify(temperature_degC, self._number(Command.SET_POINT, TEMPERATURE))
        if not manual:
            self._start()
        if self._status() & ALARM:
            self._refuse_alarm()

    def close(self) -> None:
        self._link.end()

    def _start(self) -> None:
        self._checked(Command.SWITCH, *self._exchange(Command.SWITCH, MANUAL_MODE, "1"))
        self._wait_until_running(self._is_manual)

    def _is_manual(self) -> bool:
        return self._flag(Command.IS_ON, MANUAL_MODE) == 1

    def _status(self) -> int:
        return self._flag(Command.STATUS, 1)

    def _flag(self, command: Command, number: int) -> int:
        text = self._ask(command, number)
        if not text.isascii() or not text.isdecimal():
            self._bad_reply(command, text)
        return int(text)

    def _number(self, command: Command, number: int) -> float:
        return self._finite(command, self._ask(command, number))

    def _finite(self, command: Command, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            self._bad_reply(command, text)
        if value not in POSSIBLE_degC:
            self._bad_reply(command, text)
        return value

    # --- the protocol

    def _ask(self, command: Command, number: int) -> str:
        return self._checked(command, *self._exchange(command, number))

    def _exchange(self, command: Command, *arguments: int | str) -> tuple[int, list[str]]:
        """The answer's code and values. The chamber's index is always 1."""
        request = SEPARATOR.join(str(field).encode("ascii") for field in (int(command), 1, *arguments)) + b"\r"
        code, *values = self._link.exchange(request).split(SEPARATOR)
        try:
            return int(code), [value.decode("latin-1") for value in values]
        except ValueError:
            self._bad_reply(command, code.decode("latin-1"))

    def _checked(self, command: Command, code: int, values: list[str]) -> str:
        """The first value, '' where there is none; an answer that is not 'done' raises `Refused`."""
        if code != DONE:
            self._refuse(f"{int(command)} was refused: {REFUSALS.get(code, 'for a reason unknown')} ({code})")
        return values[0].strip() if values else ""

    def _bad_reply(self, command: Command, text: str) -> NoReturn:
        self._link.close()  # whatever else is on the line belongs to no later question
        self._bad(f"{int(command)} was answered with {text[:60]!r}")


def _text(temperature_degC: float) -> str:
    assert math.isfinite(temperature_degC)  # it is within the range
    return str(round(temperature_degC, 2))
