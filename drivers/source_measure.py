"""What the source-measure units have in common: how a cell is charged, discharged and held with one of them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from drivers.interface import Current, Measurement, Protection, Range, Setpoint, Voltage
from drivers.scpi import Choice, Number, ScpiInstrument, Switch
from drivers.source import CellSource

LINE_PERIOD_S = 0.02  # 50 Hz, the slower


@dataclass(frozen=True, slots=True)
class SourceReading:
    """One sample while the output is on; `limited`: the limit is held, not the level."""

    function: str  # "Current" or "Voltage": what is sourced
    voltage_V: float
    current_A: float
    limited: bool


class SourceMeasureUnit(CellSource, ScpiInstrument):
    """A current source with a limit of |V|, and a voltage source with a limit of |I|, in one.

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

    safe_state = "output off with the relay open (high impedance), confirmed by the instrument"
    voltage_range: ClassVar[Range]  # V
    output: Switch
    source_function: Choice  # Current or Voltage
    current: Number
    voltage_limit: Number
    voltage: Number
    current_limit: Number
    nplc_setting: Number

    def __init__(self, address: str, *, four_wire: bool = True, nplc: float = 1.0, timeout_s: float = 5.0) -> None:
        self.address = address
        type(self).nplc_setting.check(self, nplc)
        self.four_wire, self.nplc, self.timeout_s = four_wire, nplc, timeout_s
        self._looking = False  # connected as a voltmeter, for one reading with the output "off"
        super().__init__(address, timeout_s=timeout_s)

    def check_set_up(self) -> None:
        """A station that restarts finds its source as it was: an output that is on stays on."""
        if self.output:
            self.check_adopted()
        else:
            self.open_relay_when_off()

    # --- what each model says in its own words

    @abstractmethod
    def check_adopted(self) -> None:
        """Raise `Refused` where an output that is on would not be read as voltage and current."""

    @abstractmethod
    def open_relay_when_off(self) -> None:
        """High impedance for both functions: the relay opens at once where the output is off."""

    @abstractmethod
    def set_up(self, function: str) -> None:
        """Source `function`, measure the other, four-wire. The output is off."""

    @abstractmethod
    def read(self) -> SourceReading:
        """One sample; the output is on."""

    # --- what the station asks

    def check_limits(self, protection: Protection) -> None:
        type(self).voltage.check(self, protection.voltage_min_V)
        type(self).voltage.check(self, protection.voltage_max_V)
        type(self).current_limit.check(self, protection.current_max_A)

    def check_current(self, amperes: float, protection: Protection) -> None:
        if amperes < 0:
            type(self).current_limit.check(self, -amperes)
        else:
            type(self).current.check(self, amperes)
            type(self).voltage_limit.check(self, protection.voltage_max_V)

    def go_to(self, setpoint: Setpoint, protection: Protection) -> None:
        """From one current to another of the same direction, and from one voltage to another, the output
        stays on; it opens for a moment where the instrument must change from sourcing current to
        sourcing voltage or back.
        """
        self.clear_errors()
        match setpoint:
            case Current(amperes) if amperes >= 0:
                self._drive_current(amperes, protection)
            case Current(amperes):
                self._drive_voltage(protection.voltage_min_V, -amperes, protection)
            case Voltage(volts):
                self._drive_voltage(volts, protection.current_max_A, protection)
        self.check_errors()

    def apply(self, setpoint: Setpoint, protection: Protection) -> None:
        """Go to `setpoint`; where that fails on the way, the output is switched off."""
        super().apply(setpoint, protection)
        self._looking = False

    def measure(self) -> Measurement:
        if self._looking or not self.output:
            return self._measure_open_circuit()
        reading = self.read()
        limited = reading.limited
        if reading.function == "Voltage" and isinstance(self._asked, Current):
            limited = not limited  # discharging: the current limit is the set point
        return Measurement(reading.voltage_V, reading.current_A, in_compliance=limited)

    def off(self) -> None:
        self._switch_off()
        self._asked, self._looking = None, False
        self.open_relay_when_off()

    def output_is_on(self) -> bool:
        return self.output

    def leave(self) -> None:
        ScpiInstrument.close(self)

    # --- how it goes to a set point

    def _drive_current(self, amperes: float, protection: Protection) -> None:
        """Source a current that charges (or rests), held below `voltage_max_V`."""
        self._connect_as_voltmeter(keep_level=amperes > 0)
        high = protection.voltage_max_V
        # A limit that the cell is already beyond, of either sign, would draw current from it. At 0 A
        # the limit protects nothing, and stays out of the way of a cell that rests above it.
        limit_V = self.voltage_limit
        if high > limit_V or (high < limit_V and -high < (voltage_V := self.cell_voltage()) < high):
            type(self).voltage_limit.set_verified(self, high)
        elif high == limit_V:
            pass  # it is in force, as was just read
        elif amperes > 0:
            self._not_safe(f"the cell is at {voltage_V:.4g} V, not within ±{high:g} V: not charged")
        type(self).current.set_verified(self, amperes)
        self._confirm_on()

    def _drive_voltage(self, volts: float, most_A: float, protection: Protection) -> None:
        """Source a voltage with a limit of the current, in both directions."""
        if self.output and self.source_function == "Voltage":
            self._change_voltage(volts, most_A)
            return
        self._connect_as_voltmeter()
        if not (voltage_V := self.cell_voltage()) > protection.voltage_min_V:
            self._not_safe(f"the cell is at {voltage_V:.4g} V, not above {protection.voltage_min_V:g} V")
        self._switch_off()
        self.set_up("Voltage")
        type(self).voltage.set_verified(self, volts)
        type(self).current_limit.set_verified(self, most_A)
        self.check_errors()
        self._switch_on()

    def _change_voltage(self, volts: float, most_A: float) -> None:
        """With the output on, in the order in which no moment allows more than before or after."""
        level, limit = type(self).voltage, type(self).current_limit
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
                type(self).current.set_verified(self, 0.0)
            return
        self._switch_off()
        self.set_up("Current")
        type(self).current.set_verified(self, 0.0)
        type(self).voltage_limit.set_verified(self, self.voltage_range.high)
        self.check_errors()
        self._switch_on()

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

    # --- readings

    def reading_time_s(self) -> float:
        """The longest that one sample should take, beyond which nobody answers."""
        return self.timeout_s + 6 * self.nplc * LINE_PERIOD_S

    def cell_voltage(self) -> float:
        """While a current is sourced."""
        return self.read().voltage_V

    def _measure_open_circuit(self) -> Measurement:
        self._looking = True
        try:
            self._connect_as_voltmeter()
            voltage_V = self.cell_voltage()
        finally:
            self._switch_off()
            self._looking = False
        return Measurement(voltage_V=voltage_V, current_A=0.0)
