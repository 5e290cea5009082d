"""Climate chambers by ESPEC with P300 or SCP-220 controllers: lines of text, on a serial port or through TCP.

Wire facts: docs/instruments/espec.md (evidence: the maker's own public library, a recorded dialog). Not run on
hardware yet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from drivers.about import About, Probe
from drivers.chamber import LimitedChamber
from drivers.interface import NoReading
from drivers.text_instrument import TextInstrument

NUMBER = re.compile(r"-?\d{1,3}(\.\d{1,2})?")
MODES = ("OFF", "STANDBY", "CONSTANT", "RUN")
WRONG = "NA:"  # an error, with its name behind it


@dataclass(frozen=True, slots=True)
class Temperatures:
    """What `TEMP?` answers, in °C: actual value, set point, and the chamber's own upper and lower limit."""

    actual: float
    set_point: float
    high: float
    low: float


class EspecChamber(TextInstrument, LimitedChamber):
    """The temperature of one ESPEC chamber, in its constant mode.

    `address` is `COM3` or `socket://host:10001`; on RS-485, `unit` is the chamber's address on the line. The chamber's
    own limits, read when it is opened, narrow the settings. After a start it is asked each `wait_s` whether it runs.
    """

    model: ClassVar[str] = "ESPEC chamber"
    about: ClassVar[About] = About(
        connection="serial port (RS-232, RS-485), TCP port 10001",
        evidence="the maker's public library, a recorded dialog; not run on hardware",
        quirks="a set point has a tenth of a degree; a program of its own is not disturbed",
        probes=(
            Probe(b"TYPE?\r\n", r"^[A-Z0-9]+,[A-Z0-9]+,.*\d", "socket://{host}:{port}", 10001),
            Probe(b"TYPE?\r\n", r"^[A-Z0-9]+,[A-Z0-9]+,.*\d", "{resource}?baud=9600", baud=9600),
        ),
    )

    def __init__(
        self,
        address: str,
        *,
        temperature_min_degC: float,
        temperature_max_degC: float,
        safe_temperature_degC: float | None = None,
        unit: int | None = None,
        wait_s: float = 1.0,
        timeout_s: float = 3.0,
    ) -> None:
        LimitedChamber.__init__(
            self, address, temperature_min_degC, temperature_max_degC, safe_temperature_degC, wait_s=wait_s
        )
        TextInstrument.__init__(self, address, timeout_s=timeout_s)
        self._prefix = "" if unit is None else f"{unit},"
        try:
            found = self._temperatures()
            self._narrow(found.low, found.high)
        except BaseException:
            self.close()
            raise

    def identify(self) -> str:
        return f"{self.model}, type {self._said('TYPE?')}, software {self._said('ROM?')}"

    def read_temperature_degC(self) -> float | NoReading:
        """Of the air in the chamber."""
        return self._temperatures().actual

    def set_temperature(self, temperature_degC: float) -> None:
        """Set, read back, and start the constant mode where it is off or on standby."""
        self.check_temperature(temperature_degC)
        mode = self._mode()
        if mode == "RUN":
            self._refuse_program()
        self._tell(f"TEMP, S{temperature_degC:.1f}")
        self._verify(temperature_degC, self._temperatures().set_point)
        if mode != "CONSTANT":
            self._tell("MODE,CONSTANT")
            self._wait_until_running(lambda: self._mode() == "CONSTANT")
        if count := self._alarms():
            self._refuse_alarm(f"{count} alarm{'s' if count > 1 else ''}")

    def _temperatures(self) -> Temperatures:
        reply = self._said("TEMP?")
        fields = reply.split(",")
        if len(fields) != 4 or not all(map(NUMBER.fullmatch, fields)):
            self._bad_reply("TEMP?", reply)
        actual, set_point, high, low = (self._temperature(float(field)) for field in fields)
        return Temperatures(actual, set_point, high, low)

    def _mode(self) -> str:
        reply = self._said("MODE?")
        mode = reply.split(",")[0].split()[0] if reply.strip() else ""
        if mode not in MODES:
            self._bad_reply("MODE?", reply)
        return mode

    def _alarms(self) -> int:
        reply = self._said("ALARM?")
        count, *codes = reply.split(",")
        if not all(field.isdecimal() for field in (count, *codes)) or int(count) != len(codes):
            self._bad_reply("ALARM?", reply)
        return int(count)

    def _said(self, request: str) -> str:
        reply = self._ask(self._prefix + request)
        if reply.startswith(WRONG):
            self._refuse(f"{request} was refused: {reply.removeprefix(WRONG)}")
        return reply

    def _tell(self, command: str) -> None:
        if (reply := self._said(command)) != f"OK:{self._prefix}{command}" and reply != f"OK:{command}":
            self._bad_reply(command, reply)
