"""ITECH bidirectional supplies (IT-M3400, M3900, IT6000C, IT8000 and IT8300), as host-sequenced sources for one cell.

Wire facts: docs/instruments/itech-bidirectional.md (evidence: other people's programs, all unverified). Not run on
hardware yet.
"""

from __future__ import annotations

from typing import ClassVar

from drivers.about import About, scpi_probes
from drivers.bidirectional import Actual, BidirectionalSupply, Quantity, Regulation
from drivers.interface import OutOfRange, Protection, Range, Refused, Setpoint
from drivers.scpi import ScpiInstrument, finite_number, read_switch, wire_number

ROUNDING = 2e-4  # of the rated value: what a set value may come back changed by
AT_ITS_LIMIT = 2e-3  # of the rated current: nearer than this, the current is what is held


class ItechBidirectional(BidirectionalSupply, ScpiInstrument):
    """In voltage priority, whatever is asked for. `rated_voltage_V` and `rated_current_A` are those of the model."""

    model = "ITECH bidirectional supply"
    identity = r"ITECH[^,]*,\s*IT-?(M3[49]\d\d|60\d\d(?!D)|8[03]\d\d)"
    about = About(
        connection="TCP socket 30000, VXI-11, USB, RS-232 (VISA)",
        evidence="other people's programs, all unverified; not run on hardware",
        quirks="its rating must be stated; whether it holds a voltage or a current is told by the readings",
        probes=scpi_probes(identity, tcp_port=30_000),
    )
    error_query = "SYST:ERR?"
    commands: ClassVar[dict[Quantity, str]] = {
        Quantity.VOLTAGE: "VOLT",
        Quantity.SOURCE_CURRENT: "CURR:LIM:POS",
        Quantity.SINK_CURRENT: "CURR:LIM:NEG",  # zero or negative
        Quantity.OVERVOLTAGE: "VOLT:PROT",
        Quantity.SOURCE_OVERCURRENT: "CURR:PROT",
    }
    quantities = frozenset(commands)
    sinks = True

    def __init__(
        self,
        address: str,
        *,
        rated_voltage_V: float,
        rated_current_A: float,
        four_wire: bool = True,
        margin: float = 0.02,
        timeout_s: float = 5.0,
    ) -> None:
        self.address, self.four_wire = address, four_wire
        for name, value in (("rated_voltage_V", rated_voltage_V), ("rated_current_A", rated_current_A)):
            if value not in Range(0.1, 10_000.0):
                raise OutOfRange(f"{name} {value:g}: 0.1 to 10000", instrument=self.model, address=address)
        self.nominal = {"V": rated_voltage_V, "A": rated_current_A}
        self._check_margin(margin)
        super().__init__(address, timeout_s=timeout_s)

    def check_set_up(self) -> None:
        self.send("SYST:REM")
        if not self.output_is_on():
            self._set_word("FUNC:MODE", "FIXED")
            self._set_word("FUNC", "VOLT")
            self._set_word("SENS", "1" if self.four_wire else "0")
        elif not self.ask("FUNC?").upper().startswith("VOLT"):
            raise Refused(
                "its output is on, and not in voltage priority",
                instrument=self.model,
                address=self.address,
                hint="someone else is using it; switch its output off at the front panel",
            )

    def go_to(self, setpoint: Setpoint, protection: Protection) -> None:
        self.clear_errors()
        if self._is_one("OUTP:REV?"):
            self._not_safe("it says that the cell is the wrong way round")
        super().go_to(setpoint, protection)
        self.check_errors()

    def put(self, quantity: Quantity, value: float) -> None:
        command = self.commands[quantity]
        signed = -value if quantity is Quantity.SINK_CURRENT and value else value
        self.send(f"{command} {wire_number(signed)}")
        found = self._number(command + "?")
        if abs(found - signed) > ROUNDING * self.nominal[quantity.unit]:
            unit = quantity.unit
            self._not_safe(f"{command} was set to {signed:g} {unit} and reads back {found:g} {unit}")

    def value_of(self, quantity: Quantity) -> float:
        return abs(self._number(self.commands[quantity] + "?"))

    def actual(self) -> Actual:
        volts, amperes = self._number("MEAS:VOLT?"), self._number("MEAS:CURR?")
        on = self.output_is_on()
        held = self._held(amperes) if on else Regulation.VOLTAGE
        return Actual(volts, amperes, on, held)

    def output_is_on(self) -> bool:
        return self._is_one("OUTP?")

    def switch(self, on: bool) -> None:
        self.send("OUTP 1" if on else "OUTP 0")

    def acknowledge_alarms(self) -> None:
        """No command for it is known: a person does it at the front panel."""

    def leave(self) -> None:
        """It stays under remote control, and as it is."""
        ScpiInstrument.close(self)

    def close(self) -> None:
        if self._closed:
            return
        try:
            self.off()
            self.send("SYST:LOC")
        finally:
            ScpiInstrument.close(self)

    def _held(self, amperes: float) -> Regulation:
        """The current, where it is at the limit of its direction; the voltage otherwise."""
        near = AT_ITS_LIMIT * self.nominal["A"]
        for quantity, sign in ((Quantity.SOURCE_CURRENT, 1.0), (Quantity.SINK_CURRENT, -1.0)):
            limit = self.value_of(quantity)
            if sign * amperes > -near and abs(sign * amperes - limit) <= near:
                return Regulation.CURRENT
        return Regulation.VOLTAGE

    def _number(self, query: str) -> float:
        reply = self.ask(query)
        try:
            return finite_number(reply)
        except ValueError as error:
            self._bad_reply(query, reply, error)

    def _is_one(self, query: str) -> bool:
        reply = self.ask(query)
        try:
            return read_switch(reply)
        except ValueError as error:
            self._bad_reply(query, reply, error)

    def _set_word(self, command: str, word: str) -> None:
        """The answer may be the word's long form."""
        self.send(f"{command} {word}")
        if not (found := self.ask(command + "?").upper()).startswith(word[:4]) and not word.startswith(found or "?"):
            self._not_safe(f"{command} was set to {word} and reads back {found[:40]!r}")
