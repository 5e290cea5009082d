"""Keithley 2450 source-measure unit, as a host-sequenced source for one cell.

Wire facts: docs/instruments/keithley-2450.md (evidence: vendor manuals). Not run on hardware yet.
"""

from __future__ import annotations

from drivers.about import About, scpi_probes
from drivers.interface import (
    Current,
    InstrumentError,
    Measurement,
    NotSafe,
    OutOfRange,
    Protection,
    Range,
    Refused,
    Setpoint,
    Voltage,
    WrongInstrument,
)
from drivers.scpi import ScpiInstrument, choice, finite_number, number, switch

LINE_PERIOD_S = 0.02  # 50 Hz, the slower


class Keithley2450(ScpiInstrument):
    """Source and meter of up to ±1.05 A within ±21 V, for one cell.

    The instrument itself holds the cell within its limits, so that a dead PC leaves it at a safe
    voltage. A voltage limit acts on |V| and would not stop a discharge, so

    - charging (and resting at 0 A) is a current source with the voltage limit at `voltage_max_V`;
    - discharging is a voltage source at `voltage_min_V` with the current limit at |I|: the
      instrument sinks |I| until the cell comes down to `voltage_min_V`, and then holds that;
    - holding a voltage is a voltage source with the current limit at `current_max_A`.

    A voltage limit below the cell's own voltage would itself draw current. So before any of these,
    the cell is measured: 0 A, the voltage limit at its highest.

    With the output off the relay is open and the instrument cannot see the cell; `measure` then
    connects it as a voltmeter (0 A) for the one reading, at the price of the relay's wear. To
    follow a cell at rest, hold `Current(0.0)` instead.
    """

    model = "Keithley 2450"
    safe_state = "output off with the relay open (high impedance), confirmed by the instrument"
    identity = r"KEITHLEY INSTRUMENTS,MODEL 2450,"
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

    def __init__(self, address: str, *, four_wire: bool = True, nplc: float = 1.0, timeout_s: float = 5.0) -> None:
        self.address = address
        Keithley2450.voltage_nplc.check(self, nplc)
        self.four_wire, self.nplc, self.timeout_s = four_wire, nplc, timeout_s
        self._asked: Setpoint | None = None
        self._looking = False  # connected as a voltmeter, for one reading with the output "off"
        super().__init__(address, timeout_s=timeout_s)

    def check_set_up(self) -> None:
        """A station that restarts finds its source as it was: an output that is on stays on."""
        self._check_language()
        if self.output:
            self._check_adopted()
        else:
            self._open_relay_when_off()

    # --- what the station asks

    def check(self, setpoint: Setpoint, protection: Protection) -> None:
        low, high, most = protection.voltage_min_V, protection.voltage_max_V, protection.current_max_A
        if not low < high:
            self._out_of_range(f"there is no voltage between {low:g} V and {high:g} V")
        Keithley2450.voltage.check(self, low)
        Keithley2450.voltage.check(self, high)
        Keithley2450.current_limit.check(self, most)
        match setpoint:
            case Voltage(volts) if volts not in Range(low, high):
                self._out_of_range(f"{volts:g} V is outside the protection's {low:g} … {high:g} V")
            case Current(amperes) if abs(amperes) not in Range(0.0, most):
                self._out_of_range(f"{amperes:g} A is more than the protection's {most:g} A")
            case Current(amperes) if amperes < 0:
                Keithley2450.current_limit.check(self, -amperes)
            case Current(amperes):
                Keithley2450.current.check(self, amperes)
                Keithley2450.voltage_limit.check(self, high)

    def apply(self, setpoint: Setpoint, protection: Protection) -> None:
        """Go to `setpoint`; where that fails on the way, the output is switched off.

        From one current to another of the same direction, and from one voltage to another, the output
        stays on; it opens for a moment where the instrument must change from sourcing current to
        sourcing voltage or back.
        """
        self.check(setpoint, protection)
        try:
            self.clear_errors()
            match setpoint:
                case Current(amperes) if amperes >= 0:
                    self._drive_current(amperes, protection)
                case Current(amperes):
                    self._drive_voltage(protection.voltage_min_V, -amperes, protection)
                case Voltage(volts):
                    self._drive_voltage(volts, protection.current_max_A, protection)
            self.check_errors()
        except InstrumentError as error:
            self._off_after(error)
            raise
        self._asked, self._looking = setpoint, False

    def measure(self) -> Measurement:
        if self._looking or not self.output:
            return self._measure_open_circuit()
        sourced, measured = self._read()
        if self.source_function == "Current":
            return Measurement(voltage_V=measured, current_A=sourced, in_compliance=self._limited(":SOUR:CURR:VLIM"))
        limited = self._limited(":SOUR:VOLT:ILIM")
        discharging = isinstance(self._asked, Current)  # then the current limit is the set point
        return Measurement(voltage_V=sourced, current_A=measured, in_compliance=limited != discharging)

    def off(self) -> None:
        self._switch_off()
        self._asked, self._looking = None, False
        self._open_relay_when_off()

    def output_is_on(self) -> bool:
        return self.output

    def make_safe(self) -> None:
        self.off()

    def leave(self) -> None:
        super().close()

    def close(self) -> None:
        if self._closed:
            return
        try:
            self.off()
        finally:
            super().close()

    # --- how it goes to a set point

    def _drive_current(self, amperes: float, protection: Protection) -> None:
        """Source a current that charges (or rests), held below `voltage_max_V`."""
        self._connect_as_voltmeter(keep_level=amperes > 0)
        high = protection.voltage_max_V
        # A limit that the cell is already beyond, of either sign, would draw current from it. At 0 A
        # the limit protects nothing, and stays out of the way of a cell that rests above it.
        limit_V = self.voltage_limit
        if high > limit_V or (high < limit_V and -high < (voltage_V := self._cell_voltage()) < high):
            Keithley2450.voltage_limit.set_verified(self, high)
        elif high == limit_V:
            pass  # it is in force, as was just read
        elif amperes > 0:
            self._not_safe(f"the cell is at {voltage_V:.4g} V, not within ±{high:g} V: not charged")
        Keithley2450.current.set_verified(self, amperes)
        self._confirm_on()

    def _drive_voltage(self, volts: float, most_A: float, protection: Protection) -> None:
        """Source a voltage with a limit of the current, in both directions."""
        if self.output and self.source_function == "Voltage":
            self._change_voltage(volts, most_A)
            return
        self._connect_as_voltmeter()
        if not (voltage_V := self._cell_voltage()) > protection.voltage_min_V:
            self._not_safe(f"the cell is at {voltage_V:.4g} V, not above {protection.voltage_min_V:g} V")
        self._switch_off()
        self._set_up("Voltage")
        Keithley2450.voltage.set_verified(self, volts)
        Keithley2450.current_limit.set_verified(self, most_A)
        self.check_errors()
        self._switch_on()

    def _change_voltage(self, volts: float, most_A: float) -> None:
        """With the output on, in the order in which no moment allows more than before or after."""
        level, limit = Keithley2450.voltage, Keithley2450.current_limit
        limit_A = self.current_limit
        if most_A == limit_A:  # it is in force, as was just read
            level.set_verified(self, volts)
        elif most_A < limit_A:
            limit.set_verified(self, most_A)
            level.set_verified(self, volts)
        else:
            level.set_verified(self, volts)
            limit.set_verified(self, most_A)
        self._confirm_on()

    def _connect_as_voltmeter(self, keep_level: bool = False) -> None:
        """Output on at 0 A, with the voltage limit out of any cell's way.

        Where a current is sourced already, the limit stays, and with `keep_level` the current too.
        """
        if self.output and self.source_function == "Current":
            if not keep_level:
                Keithley2450.current.set_verified(self, 0.0)
            return
        self._switch_off()
        self._set_up("Current")
        Keithley2450.current.set_verified(self, 0.0)
        Keithley2450.voltage_limit.set_verified(self, self.voltage_range.high)
        self.check_errors()
        self._switch_on()

    def _set_up(self, function: str) -> None:
        """Source `function`, measure the other, four-wire, with read-back. The output is off."""
        of = Keithley2450
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

    # --- output and relay

    def _switch_on(self) -> None:
        self.output = True
        self._confirm_on()

    def _confirm_on(self) -> None:
        if not self.output:
            self._not_safe("the output did not go on, or not stay on; is the interlock open?")

    def _switch_off(self) -> None:
        self.output = False
        if self.output:
            self._not_safe("the output was told to go off and says that it is on")

    def _open_relay_when_off(self) -> None:
        """High impedance for both functions: the relay opens at once where the output is off."""
        Keithley2450.current_off_state.set_verified(self, "HighImpedance")
        Keithley2450.voltage_off_state.set_verified(self, "HighImpedance")

    def _off_after(self, error: InstrumentError) -> None:
        try:
            self.off()
        except InstrumentError as second:
            error.add_note(f"and the output could not be confirmed off: {second}")

    # --- readings

    def _measure_open_circuit(self) -> Measurement:
        self._looking = True
        try:
            self._connect_as_voltmeter()
            voltage_V = self._cell_voltage()
        finally:
            self._switch_off()
            self._looking = False
        return Measurement(voltage_V=voltage_V, current_A=0.0)

    def _cell_voltage(self) -> float:
        """While a current is sourced."""
        return self._read()[1]

    def _read(self) -> tuple[float, float]:
        """The source's own value as measured, and the measured function's."""
        query = ':READ? "defbuffer1",SOUR,READ'
        reply = self.ask(query, self.timeout_s + 6 * self.nplc * LINE_PERIOD_S)
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

    # --- on opening

    def _check_language(self) -> None:
        if (language := self.ask("*LANG?")) != "SCPI":
            raise WrongInstrument(
                f"its command set is {language!r}",
                instrument=self.model,
                address=self.address,
                hint="send *LANG SCPI, or choose SCPI in its menu under Settings, then switch it off and on",
            )

    def _check_adopted(self) -> None:
        """An output that is on must be one whose readings mean voltage and current."""
        source, measured = self.source_function, self.measure_function
        readback = self.current_readback if source == "Current" else self.voltage_readback
        if measured == source or not readback:
            raise Refused(
                "its output is on, and it is not set up to read both voltage and current back",
                instrument=self.model,
                address=self.address,
                hint="someone else is using it; switch its output off at the front panel",
            )

    def _out_of_range(self, message: str) -> None:
        raise OutOfRange(f"{message}; nothing was sent", instrument=self.model, address=self.address)

    def _not_safe(self, message: str) -> None:
        raise NotSafe(message, instrument=self.model, address=self.address)
