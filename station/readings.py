"""What flows through the station, from a channel to the store, the service and its clients.

Current and capacity are positive on charge. SI units, with capacity in Ah, energy in Wh, temperature in °C.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


@dataclass(slots=True)
class Reading:
    """One recorded sample of a run. `sequence` rises by one from 1 without gaps within a run.

    Not frozen, for that takes four times as long, and a forecast makes hundreds of thousands; nobody changes one.
    """

    sequence: int
    time: float  # seconds since the Unix epoch
    test_time_s: float  # since the run began
    step: int  # how many steps have been entered so far, from 1
    step_name: str  # where in the protocol: "4.1 discharge"
    cycle: int  # from 1; a new cycle begins where the first half-cycle's direction comes again
    step_time_s: float
    voltage_V: (
        float | None
    )  # None, as the current, where nobody measures it: while an impedance instrument has the cell
    current_A: float | None
    step_capacity_Ah: float  # signed charge since the step began
    step_energy_Wh: float
    net_capacity_Ah: float  # signed charge since the run began
    resistance_ohm: float | None = None  # the pressure sensor's, as the meter gave it
    pressure_Pa: float | None = None
    pressure_U_Pa: float | None = None  # expanded uncertainty, k = 2
    calibration: str | None = None  # id and version of the calibration that gave the pressure
    temperature_degC: float | None = None
    pressure_mark: str | None = None  # beyond the calibrated range: at end (with a pressure), below, above


@dataclass(frozen=True, slots=True)
class StepSummary:
    """One executed step, written when it ends."""

    step: int
    step_name: str
    kind: str  # rest, charge, discharge, hold, ramp, impedance, ...
    cycle: int
    start_time: float
    end_time: float
    capacity_Ah: float  # signed
    energy_Wh: float  # signed
    end_reason: str


@dataclass(frozen=True, slots=True)
class Spectrum:
    """One impedance sweep; tuples of equal length, in the order measured."""

    number: int  # from 1 within the run
    time: float
    test_time_s: float
    step: int
    cycle: int
    bias_V: float | None
    amplitude_rms_V: float | None  # of a sweep of voltage (PEIS)
    frequency_Hz: tuple[float, ...]
    real_ohm: tuple[float, ...]
    imaginary_ohm: tuple[float, ...]
    bias_A: float | None = None
    amplitude_rms_A: float | None = None  # of a sweep of current (GEIS)


@dataclass(frozen=True, slots=True)
class MarkerEvent:
    """A named moment of a run, for whoever looks at the cell with something else."""

    name: str
    time: float
    test_time_s: float
    step: int
    step_name: str
    cycle: int
    state_of_charge: float | None  # 1 is full; None where the cell does not say enough
    triggered: bool  # the bench's trigger line was to be pulsed


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"
    MARKER = "marker"  # made by a protocol, for whoever looks at the cell with something else


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened or was asked for; commands name who asked (the audit log)."""

    time: float
    level: Level
    text: str
    channel: str | None = None
    run_id: str | None = None
    who: str = "station"


class CellEventKind(StrEnum):
    """What a person does to a cell and its pressure sensor."""

    ZERO = "in-cell zero"  # the sensor without load, before assembly
    ASSEMBLED = "assembled"  # under load from now on; its pressure is the built-in pressure


@dataclass(frozen=True, slots=True)
class CellEvent:
    """Something that a person did to a cell, with what its pressure sensor said.

    `time` is when it was done, `measured` when the sensor was read; both in seconds since the Unix epoch.
    A resistance that is None was open, or was not read: `note` says which.
    """

    cell: str
    time: float
    kind: CellEventKind
    channel: str | None = None
    sensor: str | None = None
    measured: float | None = None
    resistance_ohm: float | None = None
    pressure_Pa: float | None = None
    pressure_U_Pa: float | None = None  # expanded uncertainty, k = 2
    calibration: str | None = None
    temperature_degC: float | None = None
    note: str = ""
    who: str = "station"


class ChannelState(StrEnum):
    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    TRIPPED = "tripped"  # open circuit, latched, needs a person
    OFFLINE = "offline"  # an instrument of this channel does not answer


class RunState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    TRIPPED = "tripped"


class View(BaseModel):
    """What the service sends to its clients."""

    model_config = ConfigDict(frozen=True)


class ChannelView(View):
    """A channel as it is now; None where nothing is known."""

    name: str
    state: ChannelState
    reason: str = ""  # why it is tripped, offline or stopped
    cell: str | None = None
    protocol: str | None = None
    run_id: str | None = None
    step_name: str | None = None
    cycle: int | None = None
    cycles_planned: int | None = None
    time: float | None = None  # of the last sample
    test_time_s: float | None = None
    step_time_s: float | None = None
    voltage_V: float | None = None
    current_A: float | None = None
    step_capacity_Ah: float | None = None
    specific_capacity_mAh_g: float | None = None
    resistance_ohm: float | None = None
    pressure_Pa: float | None = None
    pressure_U_Pa: float | None = None
    temperature_degC: float | None = None
    question: str | None = None  # what the operator is asked; the run waits for the confirmation
    instruments: tuple[str, ...] = ()
    sensor: str | None = None  # of pressure
    calibration: str | None = None  # that gives the pressure
    calibration_expires: datetime.date | None = None
    calibration_warning: str = ""  # it is missing, or has expired
    pressure_mark: str | None = None  # beyond the calibrated range: at end, below, above


class StationView(View):
    name: str
    version: str
    simulated: bool
    speed: float
    time: float
    store: str  # "ok", or what is wrong with the database
    channels: tuple[ChannelView, ...]


class RunView(View):
    run_id: str
    channel: str
    cell: str
    protocol: str
    state: RunState
    reason: str = ""
    started: float
    ended: float | None = None
    simulated: bool = False
    active_mass_g: float | None = None
    electrode_area_cm2: float | None = None
    readings: int = 0
    cycles: int = 0
    warnings: tuple[str, ...] = ()  # known before it began; in lists of runs they are left out


class CycleView(View):
    """Capacities as magnitudes; the efficiency is the second half-cycle's over the first's."""

    cycle: int
    charge_capacity_Ah: float
    discharge_capacity_Ah: float
    coulombic_efficiency: float | None  # 0.998, not 99.8; None while the cycle goes on
    complete: bool = True  # no: the run goes on in it, or was cut in it
    pressure_min_Pa: float | None = None
    pressure_max_Pa: float | None = None


class SpectrumView(View):
    number: int
    time: float
    test_time_s: float
    cycle: int
    frequency_Hz: tuple[float, ...]
    real_ohm: tuple[float, ...]
    imaginary_ohm: tuple[float, ...]


class EventView(View):
    number: int
    time: float
    level: Level
    text: str
    channel: str | None = None
    run_id: str | None = None
    who: str = "station"


class ProtocolView(View):
    name: str  # what to start it by
    title: str
    source: str = ""
    summary: tuple[str, ...] = ()  # the steps in words, a line each
    parameters: dict[str, int | float | str] = {}  # as declared, with their defaults


class CellView(View):
    name: str
    chemistry: str = ""
    description: str = ""


class DerivationView(View):
    """One set of pressures of a run: as they were measured, or as derived anew with another calibration."""

    number: int
    run_id: str
    calibration: str | None  # None: there was none, and so no pressure
    sha256: str = ""  # of the calibration's record
    assembled: float | None = None  # since when the sensor was taken to be under load
    time: float
    who: str
    current: bool  # these are the ones that the run's readings have now


class SeriesView(View):
    """Columns of equal length, ordered by time; None where a quantity was not measured."""

    run_id: str
    columns: dict[str, tuple[float | None, ...]]
