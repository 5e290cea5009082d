"""What a forecast says, all of it simulated. Times in s since the run began; charge and current charge the cell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Ending(StrEnum):
    """How a forecast ended; all but the first are nobody's wish."""

    FINISHED = "finished"
    TRIPPED = "tripped"
    UNENDING = "did not end"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Moment:
    """When and where in the protocol."""

    time_s: float
    step: int  # how many steps had been entered, from 1
    step_name: str
    cycle: int


@dataclass(frozen=True, slots=True)
class Extreme:
    """The lowest or highest recorded value of a quantity, and its moment."""

    value: float
    at: Moment


@dataclass(frozen=True, slots=True)
class Range:
    """Of a quantity over the whole run."""

    lowest: Extreme
    highest: Extreme
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class StepForecast:
    """One executed step."""

    step: int
    step_name: str
    kind: str
    cycle: int
    start_s: float
    duration_s: float
    capacity_Ah: float  # signed
    energy_Wh: float  # signed
    end_reason: str


@dataclass(frozen=True, slots=True)
class CycleForecast:
    """Capacities and energies as magnitudes, by the direction of the charge.

    The Coulombic efficiency is the charge of the second half-cycle by that of the first; the energy efficiency what
    the cell gives on discharge by what it takes on charge. Both are None for a cycle that is not whole.
    """

    cycle: int
    start_s: float
    duration_s: float
    charge_capacity_Ah: float
    discharge_capacity_Ah: float
    coulombic_efficiency: float | None
    charge_energy_Wh: float
    discharge_energy_Wh: float
    energy_efficiency: float | None
    pressure_min_Pa: float | None
    pressure_max_Pa: float | None


@dataclass(frozen=True, slots=True)
class LimitForecast:
    """A limit in force, and how near the run comes to it (None where nothing was recorded)."""

    limit: str  # 'voltage_max_V', ...
    value: float
    set_by: str
    nearest: float | None
    met: bool


@dataclass(frozen=True, slots=True)
class LimitMet:
    """A limit that trips the run: safety's words, and the moment."""

    limit: str
    limit_value: float
    value: float
    set_by: str
    text: str
    at: Moment


@dataclass(frozen=True, slots=True)
class MarkerForecast:
    name: str
    at: Moment
    state_of_charge: float | None
    triggered: bool


@dataclass(frozen=True, slots=True)
class QuestionForecast:
    """A question to the operator. The forecast answers it at once; a run waits for the answer."""

    text: str
    at: Moment


@dataclass(frozen=True, slots=True)
class WaitForecast:
    """A step that waits for a temperature or a pressure."""

    at: Moment
    duration_s: float
    end_reason: str


@dataclass(frozen=True, slots=True)
class SpectrumForecast:
    """An impedance sweep, and how long it takes."""

    number: int
    at: Moment
    duration_s: float
    points: int


@dataclass(frozen=True, slots=True)
class StorageForecast:
    """Space in an SQLite database, from the bytes that a part of this very forecast takes in one.

    `readings_expected` is more than `readings_in_forecast` where a bench that samples each `poll_s` would see a
    change to record between two of the forecast's samples.
    """

    readings_in_forecast: int
    readings_expected: int
    poll_s: float
    bytes_per_reading: float
    bytes_of_the_rest: float  # steps and spectra
    total_bytes: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What running a protocol on a simulated cell came to."""

    simulated: bool  # always
    protocol: str
    protocol_file: str
    cell: str
    cell_file: str
    chemistry: str
    active_mass_g: float | None
    parameters: dict[str, int | float | str]
    ending: Ending
    reason: str
    ended_at: str  # file and line of the last step
    limit_met: LimitMet | None
    duration_s: float
    cycles_planned: int
    cycles_whole: int
    samples: int
    temperature_begin_degC: float
    pressure_Pa: Range | None
    voltage_V: Range | None
    current_A: Range | None
    temperature_degC: Range | None
    storage: StorageForecast
    limits: tuple[LimitForecast, ...]
    markers: tuple[MarkerForecast, ...]
    questions: tuple[QuestionForecast, ...]
    waits: tuple[WaitForecast, ...]
    spectra: tuple[SpectrumForecast, ...]
    cycles: tuple[CycleForecast, ...]
    steps: tuple[StepForecast, ...]
