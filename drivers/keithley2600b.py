"""Keithley 2601B, 2602B and 2604B SourceMeter, one channel of it, as a host-sequenced source for one cell.

Wire facts: docs/instruments/keithley-2600b.md (evidence: vendor manual as quoted in other people's programs). Not run
on hardware yet.
"""

from __future__ import annotations

from typing import Literal

from drivers.about import About, scpi_probes
from drivers.interface import OutOfRange, Range
from drivers.scpi import finite_number, number
from drivers.source_measure import SourceMeasureUnit, SourceReading
from drivers.tsp import TspInstrument, tsp_choice, tsp_switch


class Keithley2600B(SourceMeasureUnit, TspInstrument):
    """One channel, "a" or "b": up to ±3 A within ±40 V; the instrument itself refuses what is beyond its power.

    `digits` is the precision that numbers are printed with; None leaves the instrument's own 6.
    """

    model = "Keithley 2600B"
    identity = r"Keithley[^,]*,\s*Model 260[124]B(-L)?,"
    about = About(
        connection="TCP socket, VXI-11, USB, GPIB (VISA)",
        evidence="maker's manual as quoted in other people's programs; not run on hardware",
        quirks="until the driver was opened once, 'off' is a 0 V source; its raw socket takes one client, so that two "
        "channels want two kinds of link",
        probes=scpi_probes(identity),
    )

    current_range = Range(-3.0, 3.0)  # A
    voltage_range = Range(-40.0, 40.0)  # V

    output = tsp_switch("smu.source.output", on="smu.OUTPUT_ON", off="smu.OUTPUT_OFF", doc="Output on or off.")
    off_state = tsp_choice(
        "smu.source.offmode",
        HighImpedance=("smu.OUTPUT_HIGH_Z", 2),
        Normal=("smu.OUTPUT_NORMAL", 0),
        Zero=("smu.OUTPUT_ZERO", 1),
        doc="What 'off' means; Normal discharges a cell through a 0 V source.",
    )
    source_function = tsp_choice(
        "smu.source.func",
        Current=("smu.OUTPUT_DCAMPS", 0),
        Voltage=("smu.OUTPUT_DCVOLTS", 1),
        doc="What is sourced.",
    )
    sense = tsp_choice("smu.sense", Remote=("smu.SENSE_REMOTE", 1), Local=("smu.SENSE_LOCAL", 0), doc="Four-wire?")

    current = number("smu.source.leveli", "A", within=current_range, doc="Level of the current source.")
    voltage_limit = number(
        "smu.source.limitv", "V", within=Range(0.02, 40.0), rounding=5e-4, doc="Limit of |V| of the current source."
    )
    current_autorange = tsp_switch(
        "smu.source.autorangei", on="smu.AUTORANGE_ON", off="smu.AUTORANGE_OFF", doc="Range follows the level."
    )
    voltage_measure_autorange = tsp_switch(
        "smu.measure.autorangev", on="smu.AUTORANGE_ON", off="smu.AUTORANGE_OFF", doc="Range of the voltage reading."
    )

    voltage = number("smu.source.levelv", "V", within=voltage_range, rounding=5e-4, doc="Level of the voltage source.")
    current_limit = number("smu.source.limiti", "A", within=Range(1e-8, 3.0), doc="Limit of |I| of the voltage source.")
    voltage_autorange = tsp_switch(
        "smu.source.autorangev", on="smu.AUTORANGE_ON", off="smu.AUTORANGE_OFF", doc="Range follows the level."
    )
    current_measure_autorange = tsp_switch(
        "smu.measure.autorangei", on="smu.AUTORANGE_ON", off="smu.AUTORANGE_OFF", doc="Range of the current reading."
    )
    nplc_setting = number("smu.measure.nplc", "PLC", within=Range(0.001, 25.0), doc="Integration of the readings.")
    readings = number("smu.measure.count", "1", within=Range(1, 60_000), doc="Readings to one request.")
    precision = number("format.asciiprecision", "1", within=Range(1, 16), doc="Digits of a printed number.")

    def __init__(
        self,
        address: str,
        *,
        channel: Literal["a", "b"] = "a",
        four_wire: bool = True,
        nplc: float = 1.0,
        digits: int | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        if channel not in ("a", "b"):
            raise OutOfRange(f"channel {channel!r}: a or b", instrument=self.model, address=address)
        self.address, self.smu, self.digits = address, f"smu{channel}", digits
        if digits is not None:
            Keithley2600B.precision.check(self, digits)
        super().__init__(address, four_wire=four_wire, nplc=nplc, timeout_s=timeout_s)

    def check_set_up(self) -> None:
        if self.digits is not None:
            self.precision = self.digits
        super().check_set_up()

    def check_adopted(self) -> None:
        """Nothing to check: `measure.iv` reads both, however the channel is set up."""

    def open_relay_when_off(self) -> None:
        Keithley2600B.off_state.set_verified(self, "HighImpedance")

    def set_up(self, function: str) -> None:
        of = Keithley2600B
        of.source_function.set_verified(self, function)
        of.sense.set_verified(self, "Remote" if self.four_wire else "Local")
        self.open_relay_when_off()
        if function == "Current":
            self.current_autorange = self.voltage_measure_autorange = True
        else:
            self.voltage_autorange = self.current_measure_autorange = True
        self.nplc_setting = self.nplc
        self.readings = 1

    def read(self) -> SourceReading:
        query = self.question("smu.measure.iv()")
        reply = self.ask(query, 2 * self.reading_time_s())  # two conversions, one after the other
        try:
            current_A, voltage_V = (finite_number(field) for field in reply.split("\t"))
        except ValueError as error:
            self._bad_reply(query, reply, error)
        return SourceReading(self.source_function, voltage_V, current_A, limited=self._limited())

    def _limited(self) -> bool:
        query = self.question("smu.source.compliance")
        reply = self.ask(query)
        if reply not in ("true", "false"):
            self._bad_reply(query, reply, "neither true nor false")
        return reply == "true"
