"""What the sequencer asks of a channel. Voltages in V, currents in A, positive on charge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from protocols.program import SweepPlan


@dataclass(frozen=True, slots=True)
class OpenCircuit:
    """Open the circuit: the source is disconnected, and sees nothing of the cell."""


@dataclass(frozen=True, slots=True)
class Rest:
    """No current, with the voltage measured."""


@dataclass(frozen=True, slots=True)
class HoldCurrent:
    """Constant power, constant resistance and current profiles come as one of these after another."""

    current_A: float
    until_V: float | None = None  # where the step ends or goes over to a hold: the source need not go beyond


@dataclass(frozen=True, slots=True)
class HoldVoltage:
    """Ramps of voltage come as one of these after another."""

    voltage_V: float
    current_max_A: float | None  # None: the channel's own limit


@dataclass(frozen=True, slots=True)
class MeasureImpedance:
    plan: SweepPlan


@dataclass(frozen=True, slots=True)
class SetTemperature:
    """Of the chamber; a `Rest` comes with it, and the set point stays when the step is over."""

    temperature_degC: float


@dataclass(frozen=True, slots=True)
class SetStackPressure:
    """Of the driven frame; a `Rest` comes with it, and the set point stays when the step is over."""

    pressure_Pa: float


@dataclass(frozen=True, slots=True)
class Ask:
    """Show this to the operator, whose answer is `sequencer.confirm`; a `Rest` comes with it."""

    text: str


@dataclass(frozen=True, slots=True)
class PulseTrigger:
    """Pulse the channel's trigger line, where it has one; the marker itself is stored by the outcome."""

    marker: str


@dataclass(frozen=True, slots=True)
class Trip:
    """Trip as a limit does; an `OpenCircuit` came before it, and the run is paused."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The program is done; the circuit is open already."""


Command: TypeAlias = (
    OpenCircuit
    | Rest
    | HoldCurrent
    | HoldVoltage
    | MeasureImpedance
    | SetTemperature
    | SetStackPressure
    | Ask
    | PulseTrigger
    | Trip
    | Finish
)
