"""EA Elektro-Automatik PSB and PSI by SCPI, as host-sequenced sources for one cell.

Wire facts: docs/instruments/ea-scpi.md (evidence: vendor guide; the interface watchdog unverified). Not run on hardware
yet.
"""

from __future__ import annotations

import re
import time
from typing import ClassVar

from drivers.about import About, scpi_probes
from drivers.bidirectional import Actual, BidirectionalSupply, Quantity, Regulation
from drivers.interface import Protection, Range, Refused, Setpoint
from drivers.scpi import ScpiInstrument, finite_number, wire_number

COARSEST = 1e-3  # of the nominal value: an answer with fewer decimals proves nothing
OWNER_ASKED, OWNER_SETTLES_S = 3, 0.1
STEPS = 26214  # from zero to the nominal value: the resolution of all set values


class EaScpi(BidirectionalSupply, ScpiInstrument):
    """PSB (charges and discharges) or PSI (charges), by SCPI. Its own nominal values are its limits.

    `monitor_s` (10000 series, unverified) switches the output off where nobody asks anything for so long.
    """

    model = "EA PSB/PSI (SCPI)"
    identity = r"[^,]*Elektro-?Automatik[^,]*,\s*(EA-)?PS(BE?|I)\b"
    about = About(
        connection="TCP socket, USB, RS-232 (VISA)",
        evidence="maker's guide and others' programs; not run on hardware",
        quirks="closes an idle TCP link after 5 s (it is opened anew); millivolts and milliamperes of a small cell are "
        "below its resolution",
        probes=scpi_probes(identity),
    )
    error_query = "SYST:ERR?"
    commands: ClassVar[dict[Quantity, str]] = {
        Quantity.VOLTAGE: "SOUR:VOLT",
        Quantity.SOURCE_CURRENT: "SOUR:CURR",
        Quantity.SINK_CURRENT: "SINK:CURR",
        Quantity.SOURCE_POWER: "SOUR:POW",
        Quantity.SINK_POWER: "SINK:POW",
        Quantity.OVERVOLTAGE: "VOLT:PROT",
        Quantity.SOURCE_OVERCURRENT: "CURR:PROT",
        Quantity.SINK_OVERCURRENT: "SINK:CURR:PROT",
    }
    quantities = frozenset(commands)
    regulations: ClassVar[dict[int, Regulation]] = {
        1 << 8: Regulation.VOLTAGE,
        1 << 9: Regulation.CURRENT,
        1 << 10: Regulation.POWER,
        1 << 11: Regulation.RESISTANCE,
    }
    """Bits of the operation status register."""

    def __init__(
        self,
        address: str,
        *,
        margin: float = 0.02,
        monitor_s: int | None = None,
        pause_s: float = 0.01,
        timeout_s: float = 5.0,
    ) -> None:
        self.address, self.monitor_s, self.pause_s = address, monitor_s, pause_s
        self._check_margin(margin)
        if monitor_s is not None and monitor_s not in Range(1, 36_000):
            self._out_of_range(f"monitor_s {monitor_s:g}: 1 to 36000")
        self._not_before = 0.0
        super().__init__(address, timeout_s=timeout_s)

    def check_set_up(self) -> None:
        self.sinks = "PSB" in self.identify().upper().split(",")[1]
        self._take_nominals(*(self._number(f"SYST:NOM:{name}?") for name in ("VOLT", "CURR", "POW")))
        self.send("SYST:LOCK ON")
        if (owner := self._owner()) != "REMOTE":
            raise Refused(
                f"it cannot be taken under remote control: {owner!r} has it",
                instrument=self.model,
                address=self.address,
                hint="unlock it at the front panel, leave its menus",
            )
        if not self.output_is_on():
            self._set_word("SYST:CONF:OUTP:REST", "OFF")  # the output stays off when the mains come back
        if self.monitor_s is not None:
            self.send(f"SYST:COMM:MON:TIM {self.monitor_s}")
            self._set_word("SYST:COMM:MON:ACT", "ON")

    def _owner(self) -> str:
        """Who controls it. Just after `SYST:LOCK ON` some still say NONE; they are asked again."""
        for _ in range(OWNER_ASKED):
            if (owner := self.ask("SYST:LOCK:OWN?")) != "NONE":
                break
            time.sleep(OWNER_SETTLES_S)
        return owner

    def go_to(self, setpoint: Setpoint, protection: Protection) -> None:
        self.clear_errors()
        super().go_to(setpoint, protection)
        self.check_errors()

    def put(self, quantity: Quantity, value: float) -> None:
        command = self.commands[quantity]
        self.send(f"{command} {wire_number(value)}")
        query = command + "?"
        found, step = self._quantity(query, self.ask(query), quantity.unit)
        nominal = self.nominal[quantity.unit]
        if abs(found - value) > min(step / 2, COARSEST * nominal) + nominal / STEPS:
            self._not_safe(f"{command} was set to {value:g} {quantity.unit} and reads back {found:g} {quantity.unit}")

    def value_of(self, quantity: Quantity) -> float:
        return self._number(self.commands[quantity] + "?")

    def actual(self) -> Actual:
        query = "MEAS:ARR?"
        reply = self.ask(query)
        fields = reply.split(",")
        if len(fields) != 3:
            self._bad_reply(query, reply, "not a voltage, a current and a power")
        volts, amperes, _ = (self._quantity(query, text, unit)[0] for text, unit in zip(fields, "VAW", strict=True))
        held = self._held()
        on = self._is_on()  # asked last: what an alarm has just switched off holds nothing
        if on and held is None:
            self._bad_reply(
                "STAT:OPER:COND?", "0", "it is on, and holds none of voltage, current, power and resistance"
            )
        return Actual(volts, amperes, on, held or Regulation.VOLTAGE)

    def output_is_on(self) -> bool:
        return self._is_on()

    def switch(self, on: bool) -> None:
        self.send("OUTP ON" if on else "OUTP OFF")

    def acknowledge_alarms(self) -> None:
        """By asking for the errors, which the driver does in any case."""
        self.check_errors()

    def leave(self) -> None:
        """It stays under remote control, and as it is."""
        ScpiInstrument.close(self)

    def close(self) -> None:
        if self._closed:
            return
        try:
            self.off()
            self.send("SYST:LOCK OFF")
            self.ask("SYST:LOCK:OWN?")  # it has arrived
        finally:
            ScpiInstrument.close(self)

    def send(self, command: str) -> None:
        self._pause()
        super().send(command)

    def ask(self, query: str, timeout_s: float | None = None) -> str:
        self._pause()
        return super().ask(query, timeout_s)

    def _pause(self) -> None:
        """Messages want to be apart."""
        time.sleep(max(0.0, self._not_before - time.monotonic()))
        self._not_before = time.monotonic() + self.pause_s

    def _is_on(self) -> bool:
        query = "OUTP?"
        if (reply := self.ask(query).upper()) not in ("ON", "OFF"):
            self._bad_reply(query, reply, "neither ON nor OFF")
        return reply == "ON"

    def _held(self) -> Regulation | None:
        query = "STAT:OPER:COND?"
        reply = self.ask(query)
        if not (reply.isascii() and reply.isdigit()):
            self._bad_reply(query, reply, "not a whole number")
        held = [regulation for bit, regulation in self.regulations.items() if int(reply) & bit]
        if len(held) > 1:
            self._bad_reply(query, reply, "it says that it holds several values at once")
        return held[0] if held else None

    def _set_word(self, command: str, word: str) -> None:
        self.send(f"{command} {word}")
        if (found := self.ask(command + "?").upper()) != word:
            self._not_safe(f"{command} was set to {word} and reads back {found[:40]!r}")

    def _number(self, query: str) -> float:
        unit = {"VOLT": "V", "CURR": "A", "POW": "W"}[query.rstrip("?").removesuffix(":PROT").rpartition(":")[2]]
        return self._quantity(query, self.ask(query), unit)[0]

    def _quantity(self, query: str, text: str, unit: str) -> tuple[float, float]:
        """The value, with its unit (a blank before it or none) or without, and one in its last place."""
        match = re.fullmatch(rf"\s*([+-]?\d+(?:\.(\d+))?)\s*(?:(k?){unit})?\s*", text, re.ASCII)
        if match is None:
            self._bad_reply(query, text, f"not a number with the unit {unit}")
        thousand = 1000.0 if match[3] else 1.0
        return finite_number(match[1]) * thousand, 10.0 ** -len(match[2] or "") * thousand
