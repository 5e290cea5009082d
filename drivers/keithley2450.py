"""Keithley 2450 and 2460 source-measure units, as host-sequenced sources for one cell.

Wire facts: docs/instruments/keithley-2450.md and keithley-2460.md (evidence: vendor manuals; the limits of the 2460
unverified). Not run on hardware yet.
"""

from __future__ import annotations

from drivers.about import About, scpi_probes
from drivers.interface import Protection, Range, Refused, WrongInstrument
from drivers.scpi import choice, finite_number, number, switch
from drivers.source_measure import SourceMeasureUnit, SourceReading


class Keithley2450(SourceMeasureUnit):
    """Source and meter of up to ±1.05 A within ±21 V, for one cell."""

    model = "Keithley 2450"
    identity = r"KEITHLEY[^,]*,\s*MODEL 2450,"
    about = About(
        connection="TCP socket, VXI-11, USB, GPIB (VISA)",
        evidence="maker's manuals; not run on hardware",
        quirks="until the driver was opened once, 'off' is a 0 V source; its voltage limit acts on |V| and stops no "
        "discharge",
        probes=scpi_probes(identity),
    )

    current_range = Range(-1.05, 1.05)  # A
    voltage_range = Range(-21.0, 21.0)  # V

    output = switch(":OUTP", doc="Output on or off.")
    source_function = choice(":SOUR:FUNC", Current="CURR", Voltage="VOLT", doc="What is sourced.")
    measure_function = choice(":SENS:FUNC", Current='"CURR"', Voltage='"VOLT"', doc="What is measured beside it.")

    current = number(":SOUR:CURR", "A", within=current_range, doc="Level of the current source.")
    voltage_limit = number(
        ":SOUR:CURR:VLIM", "V", within=Range(0.02, 21.0), rounding=5e-4, doc="Limit of |V| of the current source."
    )
    current_readback = switch(":SOUR:CURR:READ:BACK", doc="Measure the sourced current, do not repeat its level.")
    current_autorange = switch(":SOUR:CURR:RANG:AUTO", doc="Range of the current source follows its level.")
    current_off_state = choice(
        ":OUTP:CURR:SMOD",
        HighImpedance="HIMP",
        Normal="NORM",
        Zero="ZERO",
        Guard="GUAR",
        doc="What 'off' means to the current source; Normal discharges a cell through a 0 V source.",
    )
    remote_sense_of_voltage = switch(":SENS:VOLT:RSEN", doc="Four-wire, while the voltage is measured.")
    voltage_measure_autorange = switch(":SENS:VOLT:RANG:AUTO", doc="Range of the voltage reading.")
    voltage_nplc = number(":SENS:VOLT:NPLC", "PLC", within=Range(0.01, 10.0), doc="Integration of the voltage reading.")

    voltage = number(":SOUR:VOLT", "V", within=voltage_range, rounding=5e-4, doc="Level of the voltage source.")
    current_limit = number(":SOUR:VOLT:ILIM", "A", within=Range(1e-9, 1.05), doc="Limit of |I| of the voltage source.")
    voltage_readback = switch(":SOUR:VOLT:READ:BACK", doc="Measure the sourced voltage, do not repeat its level.")
    voltage_autorange = switch(":SOUR:VOLT:RANG:AUTO", doc="Range of the voltage source follows its level.")
    voltage_off_state = choice(
        ":OUTP:VOLT:SMOD",
        HighImpedance="HIMP",
        Normal="NORM",
        Zero="ZERO",
        Guard="GUAR",
        doc="What 'off' means to the voltage source.",
    )
    remote_sense_of_current = switch(":SENS:CURR:RSEN", doc="Four-wire, while the current is measured.")
    current_measure_autorange = switch(":SENS:CURR:RANG:AUTO", doc="Range of the current reading.")
    current_nplc = number(":SENS:CURR:NPLC", "PLC", within=Range(0.01, 10.0), doc="Integration of the current reading.")

    readings = number(":SENS:COUN", "1", within=Range(1, 300_000), doc="Readings to one trigger.")

    nplc_setting = voltage_nplc

    def check_set_up(self) -> None:
        self._check_language()
        super().check_set_up()

    def check_adopted(self) -> None:
        source, measured = self.source_function, self.measure_function
        readback = self.current_readback if source == "Current" else self.voltage_readback
        if measured == source or not readback:
            raise Refused(
                "its output is on, and it is not set up to read both voltage and current back",
                instrument=self.model,
                address=self.address,
                hint="someone else is using it; switch its output off at the front panel",
            )

    def open_relay_when_off(self) -> None:
        Keithley2450.current_off_state.set_verified(self, "HighImpedance")
        Keithley2450.voltage_off_state.set_verified(self, "HighImpedance")

    def set_up(self, function: str) -> None:
        of = type(self)
        of.source_function.set_verified(self, function)
        if function == "Current":
            of.measure_function.set_verified(self, "Voltage")
            of.remote_sense_of_voltage.set_verified(self, self.four_wire)
            of.current_readback.set_verified(self, True)
            of.current_off_state.set_verified(self, "HighImpedance")
            self.current_autorange = self.voltage_measure_autorange = True
            self.voltage_nplc = self.nplc
        else:
            of.measure_function.set_verified(self, "Current")
            of.remote_sense_of_current.set_verified(self, self.four_wire)
            of.voltage_readback.set_verified(self, True)
            of.voltage_off_state.set_verified(self, "HighImpedance")
            self.voltage_autorange = self.current_measure_autorange = True
            self.current_nplc = self.nplc
        self.readings = 1

    def read(self) -> SourceReading:
        sourced, measured = self._sample()
        function = self.source_function
        if function == "Current":
            return SourceReading(function, measured, sourced, limited=self._limited(":SOUR:CURR:VLIM"))
        return SourceReading(function, sourced, measured, limited=self._limited(":SOUR:VOLT:ILIM"))

    def cell_voltage(self) -> float:
        return self._sample()[1]

    def _sample(self) -> tuple[float, float]:
        """The source's own value as measured, and the measured function's."""
        query = ':READ? "defbuffer1",SOUR,READ'
        reply = self.ask(query, self.reading_time_s())
        try:
            sourced, measured = (finite_number(field) for field in reply.split(","))
        except ValueError as error:
            self._bad_reply(query, reply, error)
        return sourced, measured

    def _limited(self, limit: str) -> bool:
        query = limit + ":TRIP?"
        reply = self.ask(query)
        if reply not in ("0", "1"):
            self._bad_reply(query, reply, "neither 0 nor 1")
        return reply == "1"

    def _check_language(self) -> None:
        if (language := self.ask("*LANG?")) != "SCPI":
            raise WrongInstrument(
                f"its command set is {language!r}",
                instrument=self.model,
                address=self.address,
                hint="send *LANG SCPI, or choose SCPI in its menu under Settings, then switch it off and on",
            )


class Keithley2460(Keithley2450):
    """As the 2450, for up to ±7 A. Its limits are unverified: `current_max_A` says how far one dares to go.

    The instrument refuses what it cannot do, at more than a few volts less than 7 A.
    """

    model = "Keithley 2460"
    identity = r"KEITHLEY[^,]*,\s*MODEL 2460,"
    about = About(
        connection="TCP socket, VXI-11, USB, GPIB (VISA)",
        evidence="the 2450's manuals, whose commands it shares; its limits unverified; not run on hardware",
        quirks="as the 2450's",
        probes=scpi_probes(identity),
    )

    current_range = Range(-7.0, 7.0)  # A
    current = number(":SOUR:CURR", "A", within=current_range, doc="Level of the current source.")
    current_limit = number(":SOUR:VOLT:ILIM", "A", within=Range(1e-9, 7.0), doc="Limit of |I| of the voltage source.")

    def __init__(
        self,
        address: str,
        *,
        current_max_A: float = 1.05,
        four_wire: bool = True,
        nplc: float = 1.0,
        timeout_s: float = 5.0,
    ) -> None:
        self.address, self.current_max_A = address, current_max_A
        type(self).current_limit.check(self, current_max_A)
        super().__init__(address, four_wire=four_wire, nplc=nplc, timeout_s=timeout_s)

    def check_limits(self, protection: Protection) -> None:
        super().check_limits(protection)
        if protection.current_max_A > self.current_max_A:
            self._out_of_range(
                f"{protection.current_max_A:g} A is more than the setting current_max_A, {self.current_max_A:g} A"
            )
