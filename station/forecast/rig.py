"""A simulated cell with what stands around it on a bench: a source, a chamber, a driven frame. Time is virtual."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

from protocols.program import SweepPlan
from station.commands import (
    Command,
    HoldCurrent,
    HoldVoltage,
    OpenCircuit,
    Rest,
    SetStackPressure,
    SetTemperature,
)
from station.sequencer import Sample

CHAMBER_LAG_S = 20 * 60.0
"""Time constant with which the cell follows its chamber: the chamber's own and that of the cell's mass."""

FRAME_LAG_S = 30.0
"""Time constant with which a driven frame comes to its pressure; then it stands still, and the cell breathes."""

ARRIVED_K = 0.01
ARRIVED_SHARE = 1e-3  # of the pressure
SECONDS_PER_POINT = 0.5
PERIODS_PER_POINT = 3.0
"""An impedance point takes this many seconds and this many periods, as a frequency-response analyser's does."""


class VirtualCell(Protocol):
    """What a forecast asks of a simulated cell: its attributes are what stands right now. Current charges."""

    voltage_V: float
    current_A: float
    pressure_Pa: float
    temperature_degC: float

    def set_current(self, amperes: float) -> None: ...
    def set_voltage(self, volts: float, current_max_A: float) -> None: ...
    def set_temperature(self, degC: float) -> None: ...
    def set_stack_pressure(self, pascals: float) -> None: ...
    def step(self, seconds: float) -> None: ...
    def impedance(self, frequency_Hz: float) -> complex: ...


class Unbearable(Exception):
    """Something that the simulated cell cannot be brought to; the text says what."""


class Rig:
    """Carries out the sequencer's commands on a cell, and samples it. `now` in s since the run began."""

    def __init__(self, cell: VirtualCell, current_max_A: float) -> None:
        self.cell = cell
        self.now = 0.0
        self._current_max_A = current_max_A
        self._chamber_degC: float | None = None  # while the cell has not come to it
        self._frame_Pa: float | None = None  # likewise

    def carry_out(self, command: Command) -> None:
        match command:
            case HoldCurrent(current_A):
                self.cell.set_current(current_A)
            case HoldVoltage(voltage_V, most_A):
                self.cell.set_voltage(voltage_V, min(self._current_max_A, math.inf if most_A is None else most_A))
            case OpenCircuit() | Rest():
                self.cell.set_current(0.0)
            case SetTemperature(temperature_degC):
                self._chamber_degC = temperature_degC
            case SetStackPressure(pressure_Pa):
                self._frame_Pa = pressure_Pa
            case _:
                pass  # what concerns no cell

    def step(self, seconds: float) -> Sample:
        """Let time pass; what stands then."""
        self.cell.step(seconds)
        self.now += seconds
        if self._chamber_degC is not None:
            self._follow_chamber(self._chamber_degC, seconds)
        if self._frame_Pa is not None:
            self._follow_frame(self._frame_Pa, seconds)
        return self.sample()

    def sample(self) -> Sample:
        cell = self.cell
        return Sample(
            self.now, cell.voltage_V, cell.current_A, None, cell.pressure_Pa, None, None, cell.temperature_degC
        )

    def sweep(self, plan: SweepPlan) -> Iterator[complex]:
        """The impedance in Ω at each frequency of the plan, while time goes by."""
        if plan.bias_V is not None:
            self.cell.set_voltage(plan.bias_V, self._current_max_A)
        else:
            self.cell.set_current(plan.bias_A)
        for frequency_Hz in plan.frequencies_Hz:
            yield self.cell.impedance(frequency_Hz)
            self.step(SECONDS_PER_POINT + PERIODS_PER_POINT / frequency_Hz)
        self.cell.set_current(0.0)

    def _follow_chamber(self, target_degC: float, seconds: float) -> None:
        away_K = (self.cell.temperature_degC - target_degC) * math.exp(-seconds / CHAMBER_LAG_S)
        if abs(away_K) < ARRIVED_K:
            away_K, self._chamber_degC = 0.0, None
        try:
            self.cell.set_temperature(target_degC + away_K)
        except ValueError as error:
            raise Unbearable(str(error)) from None

    def _follow_frame(self, target_Pa: float, seconds: float) -> None:
        away_Pa = (self.cell.pressure_Pa - target_Pa) * math.exp(-seconds / FRAME_LAG_S)
        if abs(away_Pa) < ARRIVED_SHARE * target_Pa:
            away_Pa, self._frame_Pa = 0.0, None
        self.cell.set_stack_pressure(target_Pa + away_Pa)
