"""What the bidirectional supplies have in common: how a cell is charged, discharged and held with one of them."""

from __future__ import annotations

import enum
import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from drivers.interface import Current, Measurement, OutOfRange, Protection, Range, Setpoint, Voltage, WrongInstrument
from drivers.source import CellSource

LEAST_CURRENT = 1e-3  # of the nominal value: less would drown in its resolution
HIGHEST_PROTECTION = 1.1  # of the nominal value


class Quantity(enum.Enum):
    """What can be set, with its unit."""

    VOLTAGE = "V"
    SOURCE_CURRENT = "A source"
    SINK_CURRENT = "A sink"
    SOURCE_POWER = "W source"
    SINK_POWER = "W sink"
    OVERVOLTAGE = "V protection"
    SOURCE_OVERCURRENT = "A source protection"
    SINK_OVERCURRENT = "A sink protection"

    @property
    def unit(self) -> str:
        return self.value[0]

    @property
    def of_sink(self) -> bool:
        return "sink" in self.value


class Regulation(enum.Enum):
    """Which set value the instrument is holding."""

    VOLTAGE = "CV"
    RESISTANCE = "CR"
    CURRENT = "CC"
    POWER = "CP"


@dataclass(frozen=True, slots=True)
class Actual:
    voltage_V: float
    current_A: float  # positive: the instrument sources
    on: bool
    regulation: Regulation


class BidirectionalSupply(CellSource):
    """A voltage source with a limit of the current that it gives and another of the current that it takes.

    - charging is `voltage_max_V` with the source's limit at the current, and a sink's limit of 0;
    - discharging is `voltage_min_V` with the sink's limit at the current, and a source's limit of 0;
    - resting at 0 A is `voltage_max_V` with both limits at 0;
    - holding a voltage has both limits at `current_max_A`.

    So the set values themselves keep the cell within its limits, PC or no PC. `margin` (of the nominal value)
    beyond them lie the instrument's own protections, which switch it off. One that `sinks` not, only charges.
    """

    safe_state = "DC output off, confirmed by the instrument"
    nominal: dict[str, float]  # by unit: V, A, W
    sinks: bool
    margin: float
    voltage_min_of_nominal: ClassVar[float] = -0.01  # below it, the cell is the wrong way round
    quantities: frozenset[Quantity]  # those that can be set

    @abstractmethod
    def put(self, quantity: Quantity, value: float) -> None:
        """Set it, read it back, and raise `NotSafe` where the instrument holds another value."""

    @abstractmethod
    def value_of(self, quantity: Quantity) -> float: ...

    @abstractmethod
    def actual(self) -> Actual: ...

    @abstractmethod
    def switch(self, on: bool) -> None:
        """Tell it; `actual` says what came of it."""

    @abstractmethod
    def acknowledge_alarms(self) -> None: ...

    # --- what the station asks

    def check_limits(self, protection: Protection) -> None:
        for volts in (protection.voltage_min_V, protection.voltage_max_V):
            if volts not in Range(0.0, self.nominal["V"]):
                self._out_of_range(f"{volts:g} V is outside 0 … {self.nominal['V']:g} V")
        if protection.current_max_A not in Range(0.0, self.nominal["A"]):
            self._out_of_range(f"{protection.current_max_A:g} A is outside 0 … {self.nominal['A']:g} A")

    def check_current(self, amperes: float, protection: Protection) -> None:
        least_A = LEAST_CURRENT * self.nominal["A"]
        if 0 < abs(amperes) < least_A:
            self._out_of_range(f"{amperes:g} A is less than it can hold, {least_A:g} A")
        if amperes < 0 and not self.sinks:
            self._out_of_range(f"{amperes:g} A: it cannot discharge, it is a source alone")

    def go_to(self, setpoint: Setpoint, protection: Protection) -> None:
        """The output stays on from any set point to any other; limits that fall are set first, those that rise last."""
        before = self.actual()
        if not before.on:
            self._check_cell(before.voltage_V, setpoint, protection)
        self.acknowledge_alarms()
        self._protect(protection)
        volts, source_A, sink_A = self._set_values(setpoint, protection)
        rising = []
        for quantity, amperes in ((Quantity.SOURCE_CURRENT, source_A), (Quantity.SINK_CURRENT, sink_A)):
            if not self._has(quantity):
                continue
            if before.on and amperes > self.value_of(quantity):
                rising.append((quantity, amperes))
            else:
                self.put(quantity, amperes)
        self.put(Quantity.VOLTAGE, volts)
        for quantity, amperes in rising:
            self.put(quantity, amperes)
        if not before.on:
            self.switch(True)
        if not self.output_is_on():
            self._not_safe("the output did not go on, or not stay on; is there an alarm?")

    def measure(self) -> Measurement:
        """With the output off it measures on, at its own terminals."""
        actual = self.actual()
        if not actual.on:
            return Measurement(actual.voltage_V, 0.0)
        match self._asked:
            case Current():
                wanted = Regulation.CURRENT
            case Voltage():
                wanted = Regulation.VOLTAGE
            case None:  # found on when the driver was opened
                wanted = actual.regulation
        return Measurement(actual.voltage_V, actual.current_A, in_compliance=actual.regulation is not wanted)

    def off(self) -> None:
        self.switch(False)
        self._asked = None
        if self.output_is_on():
            self._not_safe("the output was told to go off and says that it is on")

    def output_is_on(self) -> bool:
        return self.actual().on

    # --- how it goes to a set point

    def _set_values(self, setpoint: Setpoint, protection: Protection) -> tuple[float, float, float]:
        """The voltage, and the most that is given and taken."""
        match setpoint:
            case Current(amperes) if amperes >= 0:
                return protection.voltage_max_V, amperes, 0.0
            case Current(amperes):
                return protection.voltage_min_V, 0.0, -amperes
            case Voltage(volts):
                return volts, protection.current_max_A, protection.current_max_A

    def _protect(self, protection: Protection) -> None:
        beyond = {
            Quantity.OVERVOLTAGE: protection.voltage_max_V,
            Quantity.SOURCE_OVERCURRENT: protection.current_max_A,
            Quantity.SINK_OVERCURRENT: protection.current_max_A,
        }
        for quantity, limit in beyond.items():
            if self._has(quantity):
                nominal = self.nominal[quantity.unit]
                self.put(quantity, min(limit + self.margin * nominal, HIGHEST_PROTECTION * nominal))
        for quantity in (Quantity.SOURCE_POWER, Quantity.SINK_POWER):
            if self._has(quantity):
                self.put(quantity, self.nominal["W"])

    def _has(self, quantity: Quantity) -> bool:
        return quantity in self.quantities and (self.sinks or not quantity.of_sink)

    def _check_cell(self, volts: float, setpoint: Setpoint, protection: Protection) -> None:
        """Before the output goes on: is what is connected within its limits, the right way round?"""
        if volts < self.voltage_min_of_nominal * self.nominal["V"]:
            self._not_safe(f"the cell is at {volts:.4g} V: is it the wrong way round?")
        charging = isinstance(setpoint, Current) and setpoint.amperes > 0
        if charging and not volts < protection.voltage_max_V:
            self._not_safe(f"the cell is at {volts:.4g} V, not below {protection.voltage_max_V:g} V: not charged")
        resting = setpoint == Current(0.0)
        if not charging and not resting and not volts > protection.voltage_min_V:
            self._not_safe(f"the cell is at {volts:.4g} V, not above {protection.voltage_min_V:g} V")

    def _take_nominals(self, volts: float, amperes: float, watts: float) -> None:
        self.nominal = {"V": volts, "A": amperes, "W": watts}
        if not all(math.isfinite(value) and 0 < value < 1e6 for value in self.nominal.values()):
            raise WrongInstrument(
                f"its nominal values are {volts:g} V, {amperes:g} A and {watts:g} W",
                instrument=self.model,
                address=self.address,
            )

    def _check_margin(self, margin: float) -> None:
        if margin not in Range(0.001, 0.1):
            raise OutOfRange(f"margin {margin:g}: 0.001 to 0.1", instrument=self.model, address=self.address)
        self.margin = margin
