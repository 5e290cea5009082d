"""Keithley 2400 and 2401 SourceMeter, as a host-sequenced source for one cell.

Wire facts: docs/instruments/keithley-2400.md (evidence: vendor manual, others' programs). Not run on hardware yet.
"""

from __future__ import annotations

from drivers.about import About, scpi_probes
from drivers.interface import Range, Refused
from drivers.scpi import choice, finite_number, number, switch
from drivers.source_measure import SourceMeasureUnit, SourceReading

VOLTAGE_SOURCED, CURRENT_SOURCED = 1 << 14, 1 << 15
LIMITED = 1 << 3 | 1 << 16  # by the compliance, or by a range below it
STATUS = Range(0, 2**24 - 1)


class Keithley2400(SourceMeasureUnit):
    """Source and meter of up to ±1.05 A within ±21 V, for one cell."""

    model = "Keithley 2400"
    identity = r"KEITHLEY[^,]*,\s*MODEL 240[01](-LV)?,"
    about = About(
        connection="GPIB, RS-232 (VISA)",
        evidence="maker's manual as quoted in other people's programs; not run on hardware",
        quirks="until the driver was opened once, 'off' is a 0 V source; front or rear terminals by its own key",
        probes=scpi_probes(identity, tcp_port=None, baud=9600),
    )

    current_range = Range(-1.05, 1.05)  # A
    voltage_range = Range(-21.0, 21.0)  # V

    output = switch(":OUTP", doc="Output on or off.")
    off_state = choice(
        ":OUTP:SMOD",
        HighImpedance="HIMP",
        Normal="NORM",
        Zero="ZERO",
        Guard="GUAR",
        doc="What 'off' means; Normal discharges a cell through a 0 V source.",
    )
    source_function = choice(":SOUR:FUNC", Current="CURR", Voltage="VOLT", doc="What is sourced.")
    remote_sense = switch(":SYST:RSEN", doc="Four-wire.")
    auto_off = switch(":SOUR:CLE:AUTO", doc="A reading turns the output on, and off again after it.")
    concurrent = switch(":SENS:FUNC:CONC", doc="Measure voltage and current, not the last named alone.")

    current = number(":SOUR:CURR", "A", within=current_range, doc="Level of the current source.")
    voltage_limit = number(":SENS:VOLT:PROT", "V", within=Range(0.02, 21.0), rounding=5e-4, doc="Compliance, |V|.")
    current_mode = choice(":SOUR:CURR:MODE", Fixed="FIX", Sweep="SWE", List="LIST", doc="Where its level is from.")
    current_autorange = switch(":SOUR:CURR:RANG:AUTO", doc="Range of the current source follows its level.")
    voltage_measure_autorange = switch(":SENS:VOLT:RANG:AUTO", doc="Range of the voltage reading.")

    voltage = number(":SOUR:VOLT", "V", within=voltage_range, rounding=5e-4, doc="Level of the voltage source.")
    current_limit = number(":SENS:CURR:PROT", "A", within=Range(1e-9, 1.05), doc="Compliance, |I|.")
    voltage_mode = choice(":SOUR:VOLT:MODE", Fixed="FIX", Sweep="SWE", List="LIST", doc="Where its level is from.")
    voltage_autorange = switch(":SOUR:VOLT:RANG:AUTO", doc="Range of the voltage source follows its level.")
    current_measure_autorange = switch(":SENS:CURR:RANG:AUTO", doc="Range of the current reading.")

    nplc_setting = number(":SENS:VOLT:NPLC", "PLC", within=Range(0.01, 10.0), doc="Integration of all readings.")
    arms = number(":ARM:COUN", "1", within=Range(1, 2500), doc="Rounds to one reading.")
    triggers = number(":TRIG:COUN", "1", within=Range(1, 2500), doc="Readings to one round.")

    def check_set_up(self) -> None:
        self._state_fields()
        super().check_set_up()

    def check_adopted(self) -> None:
        measured = self.ask(":SENS:FUNC?").upper()
        if "VOLT" not in measured or "CURR" not in measured or self.auto_off:
            raise Refused(
                "its output is on, and it is not set up to read both voltage and current",
                instrument=self.model,
                address=self.address,
                hint="someone else is using it; switch its output off at the front panel",
            )

    def open_relay_when_off(self) -> None:
        Keithley2400.off_state.set_verified(self, "HighImpedance")

    def set_up(self, function: str) -> None:
        of = Keithley2400
        of.source_function.set_verified(self, function)
        of.auto_off.set_verified(self, False)
        of.concurrent.set_verified(self, True)
        self.send(':SENS:FUNC "VOLT","CURR"')
        of.remote_sense.set_verified(self, self.four_wire)
        self.open_relay_when_off()
        if function == "Current":
            of.current_mode.set_verified(self, "Fixed")
            self.current_autorange = self.voltage_measure_autorange = True
        else:
            of.voltage_mode.set_verified(self, "Fixed")
            self.voltage_autorange = self.current_measure_autorange = True
        self.nplc_setting = self.nplc
        self.arms = self.triggers = 1
        self._state_fields()

    def read(self) -> SourceReading:
        """:READ? and never :MEAS?, which would switch the output on by itself."""
        query = ":READ?"
        reply = self.ask(query, 2 * self.reading_time_s())  # two functions, one after the other
        try:
            voltage_V, current_A, status = (finite_number(field) for field in reply.split(","))
            if status not in STATUS or status != int(status):
                raise ValueError(f"{status:g} is no status word of 24 bits")
            word = int(status)
            if bool(word & VOLTAGE_SOURCED) == bool(word & CURRENT_SOURCED):
                raise ValueError(f"the status word {word} does not say what is sourced")
        except ValueError as error:
            self._bad_reply(query, reply, error)
        function = "Voltage" if word & VOLTAGE_SOURCED else "Current"
        return SourceReading(function, voltage_V, current_A, limited=bool(word & LIMITED))

    def _state_fields(self) -> None:
        self.send(":FORM:ELEM VOLT,CURR,STAT")
