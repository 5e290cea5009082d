"""Solartron 1287 electrochemical interface, as the potentiostat of a 1260.

Wire facts: docs/instruments/solartron-1260-1287.md (evidence: vendor manual, public code).
Not run on hardware yet.
"""

from __future__ import annotations

import re
import time

from drivers.interface import BadReply, NotSafe, OutOfRange, Range, Refused
from drivers.solartron1260 import GpibLine, number

CURRENT_LIMITS_A = {6: 2.0, 5: 0.2, 4: 0.02, 3: 2e-3, 2: 200e-6, 1: 20e-6}
"""IL code: A. Public code has 6 for 2 A; the others follow by decades and are unverified."""

STANDARD_RESISTORS_OHM = {1: 0.1, 2: 1.0, 3: 10.0, 4: 100.0, 5: 1e3, 6: 10e3, 7: 100e3, 8: 1e6}
"""RR code: Ω. Public code has 1, 5 and 8; the manual's table 3.1 has the decades between."""

VOLTMETER = ("RG0", "DG0", "TR0", "GP2")  # own range, 5 digits, one reading at a time, to GPIB

FULL_SCALE_V = 0.2  # across the standard resistor (manual, table 3.1)

SEEN_MOST = 1.4
"""Times its ranges: more was garbled on the way (its meter sees a little beyond what it drives)."""

_FLOAT = r"([+-]\d\.\d{5}E[+-]\d\d)"
_READING = re.compile(rf"{_FLOAT},{_FLOAT},(\d\d),(\d\d)")


class Solartron1287:
    """A potentiostat of ±14.5 V whose set point an analyser's signal is added to.

    In full standby (BY0) the cell is disconnected; in half standby (BY1) it is connected to the
    voltmeter and not polarised; PW1 polarises it, and PW0 goes back to the standby chosen.
    """

    model = "Solartron 1287"
    voltage_range = Range(-14.5, 14.5)  # V
    current_range = Range(-2.0, 2.0)  # A

    def __init__(self, line: GpibLine, *, address: str = "", write_wait_s: float = 0.02) -> None:
        self.line = line
        self.address = address
        self.write_wait_s = write_wait_s
        self.resistor_ohm = 0.1

    def write(self, text: str) -> None:
        self.line.write(text)
        time.sleep(self.write_wait_s)

    def current_limit_A(self, allowed_A: float) -> float:
        """The widest of the instrument's current limits that is within `allowed_A`."""
        limits = [limit for limit in CURRENT_LIMITS_A.values() if limit <= allowed_A]
        if not limits:
            raise OutOfRange(
                f"a current limit of {allowed_A:g} A: the least is {min(CURRENT_LIMITS_A.values()):g} A",
                instrument=self.model,
                address=self.address,
            )
        return max(limits)

    def configure(
        self, limit_A: float, resistor_ohm: float, *, attenuate: bool = False, galvanostat: bool = False
    ) -> None:
        """Potentiostat (or galvanostat) with a current limit and a fixed standard resistor; the cell stays as it is."""
        for command in (
            "OT1",  # replies end with CR LF and EOI
            "PO1" if galvanostat else "PO0",
            "ON0",  # polarisation on means the set voltage, not the rest potential
            f"IL{_code(CURRENT_LIMITS_A, limit_A)}",
            "OL2",  # at the limit it limits, and does not cut out
            f"RR{_code(STANDARD_RESISTORS_OHM, resistor_ohm)}",
            "PB2",  # bandwidth C, beyond 1 MHz
            "CC0",  # no IR compensation
            "FI0",  # no 10 Hz filter
            "VX0",  # outputs to the analyser ×1
            "IX0",
            "BR0",
            "PI1" if attenuate else "PI0",  # the analyser's signal ×0.01 or ×1
            *VOLTMETER,
        ):
            self.write(command)
        self.resistor_ohm = resistor_ohm

    def measure(self) -> tuple[float, float]:
        """Voltage (V) and current (A) by the voltmeter; in full standby it does not see the cell."""
        reading = _READING.fullmatch(self.answers())
        assert reading is not None
        if (codes := reading.groups()[2:]) != ("00", "00"):
            raise Refused(
                f"the voltmeter reports codes {codes[0]} (voltage) and {codes[1]} (current)",
                instrument=self.model,
                address=self.address,
            )
        volts, amperes = float(reading[1]), float(reading[2])
        if abs(volts) > SEEN_MOST * self.voltage_range.high or abs(amperes) > SEEN_MOST * self.current_range.high:
            raise BadReply(
                f"{volts:g} V and {amperes:g} A: more than there can be", instrument=self.model, address=self.address
            )
        return volts, amperes

    def open_circuit_V(self) -> float:
        """The cell's voltage with nothing polarised; ends in full standby."""
        try:
            for command in ("OT1", "PW0", "BY1", *VOLTMETER):  # whatever state another program left
                self.write(command)
            return self.measure()[0]
        finally:
            self.full_standby()

    def half_standby(self) -> None:
        self.write("BY1")

    def full_standby(self) -> None:
        self.write("BY0")

    def set_voltage(self, volts: float) -> None:
        """The voltage to polarise at, taken off the output to the analyser so that it can range down."""
        for command in (
            f"PV{number(volts)}",
            "VT1",
            f"VR{number(volts)}",
            "IT1",
            f"IR{number(0.0)}",
            "BR1",
        ):
            self.write(command)

    def set_current(self, amperes: float) -> None:
        """Of the galvanostat; positive into CE and out of WE."""
        self.write(f"PC{number(amperes)}")

    def voltmeter(self) -> None:
        """Set it up for single readings, whatever state another program left. The cell stays as it is."""
        for command in ("OT1", *VOLTMETER):
            self.write(command)

    def answers(self) -> str:
        """The voltmeter's reply, whatever it says: the 1287 has no words for what it is. Raises `BadReply`."""
        reply = self.line.query("RU1")
        if _READING.fullmatch(reply) is None:
            raise BadReply(f"{reply[:60]!r} is no reading", instrument=self.model, address=self.address)
        return reply

    def polarise(self) -> None:
        self.write("PW1")

    def polarisation_off(self) -> None:
        self.write("PW0")

    def verify_no_current(self) -> None:
        """Raise unless the 1287 answers and the cell, connected to the voltmeter alone, carries no current."""
        for command in ("BY1", *VOLTMETER):  # whatever state another program left
            self.write(command)
        _, current_A = self.measure()
        if abs(current_A) > (threshold_A := 0.005 * FULL_SCALE_V / self.resistor_ohm):
            raise NotSafe(
                f"{current_A:g} A flows after polarisation off, more than {threshold_A:g} A",
                instrument=self.model,
                address=self.address,
            )


def _code(table: dict[int, float], value: float) -> int:
    return next(code for code, known in table.items() if known == value)
