"""Where a run stands, what a channel says of it, and what comes of that."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pydantic import TypeAdapter

from station.analysis.shorts import Watch
from station.commands import Command
from station.readings import MarkerEvent, Reading, Spectrum, StepSummary


@dataclass(slots=True)
class Sample:
    """What a channel knows at one moment; `time` in s since the Unix epoch.

    Not frozen, for that takes four times as long, and a forecast makes hundreds of thousands; nobody changes one.
    """

    time: float
    voltage_V: float
    current_A: float
    resistance_ohm: float | None = None
    pressure_Pa: float | None = None
    pressure_U_Pa: float | None = None
    calibration: str | None = None
    temperature_degC: float | None = None
    pressure_mark: str | None = None

    @property
    def has_surroundings(self) -> bool:
        """Whether anything is known of what is around the cell."""
        around = (self.resistance_ohm, self.pressure_Pa, self.temperature_degC)
        return any(value is not None for value in around)


class Phase(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"


class Fit(NamedTuple):
    """Sums of a straight line through the samples of a window, and the slope of the last full one.

    Times count from the window's beginning and values from its first one, so that the sums lose no digits.
    """

    began_s: float | None = None  # by the step's clock; None before the first value
    origin: float = 0.0
    samples: int = 0
    t: float = 0.0
    y: float = 0.0
    tt: float = 0.0
    ty: float = 0.0
    slope: float | None = None  # per second


class CycleCharge(NamedTuple):
    """Charge in Ah of a cycle's halves, each positive in its own direction."""

    first: float = 0.0
    second: float = 0.0


@dataclass
class State:
    """Where a run stands. Written with every commit, so that a run goes on where it was.

    Nobody changes one that was given to him: each function of the sequencer works on a copy of its own.
    """

    phase: Phase
    operation: int  # index of the present step among the program's operations; -1 before the first one
    passes: tuple[int, ...]  # finished passes of each loop, in the order of `Program.loops`
    start_time: float
    step_start_time: float  # moved on by pauses
    step: int = 0
    paused_at: float | None = None
    goes_on_at: int | None = None  # the operation to resume with, where the last step had ended before a trip

    # Cycles
    cycle: int = 1
    first_direction: int = 0  # +1 or -1 once the run has driven the cell
    direction: int = 0
    cycle_charge: CycleCharge = field(default_factory=CycleCharge)  # of the present cycle, without the present step
    last_cycle: CycleCharge | None = None  # the last whole one
    references_Ah: tuple[float | None, ...] = ()  # what the program's reference cycles gave back
    measured_Ah: tuple[float | None, ...] = ()  # what the program's measured steps passed when last executed

    # The samples so far
    latest: Sample | None = None  # of the run
    sampled: bool = False  # whether that was in the present step: the integral goes on with it
    step_time_s: float = 0.0  # when it was, by the step's clock, which stands in a pause
    step_capacity_Ah: float = 0.0
    step_energy_Wh: float = 0.0
    net_capacity_Ah: float = 0.0
    total_capacity_Ah: float = 0.0

    # What is recorded
    sequence: int = 0
    recorded: Reading | None = None  # the last one of this step
    pending: bool = False  # the latest sample was not recorded
    record_next: bool = False  # whatever the rule says
    missed_Ah: float = 0.0  # what a trapezoid over the recorded samples lacks so far
    spectra: int = 0

    # What ends the step
    furthest_V: float | None = None  # the highest voltage of the step, in a discharge the lowest
    dropped_V: float | None = None  # back from there
    first_pressure_Pa: float | None = None
    fits: tuple[Fit, ...] = ()  # in the order of the plan's slopes
    shorts: tuple[Watch, ...] = ()  # in the order of the plan's short circuits
    quietest: float | None = None  # scatter of the run's voltage, as a share of the polarisation
    met_since_s: tuple[float | None, ...] = ()  # of the ends that are to be met for a while, by the step's clock

    # What the source is to do
    holding: bool = False  # constant current went over to constant voltage
    set_A: float | None = None
    set_V: float | None = None
    origin_V: float | None = None  # the voltage at the step's beginning, where the set point refers to it
    stair: int = 0  # of a ramp
    stair_began_s: float = 0.0  # by the set point's clock
    delay_s: float = 0.0  # of the set point's clock behind the step's

    def copied(self) -> State:
        """Quicker than `dataclasses.replace`: this is done for each sample."""
        copy = object.__new__(State)
        copy.__dict__ = self.__dict__.copy()
        return copy

    @property
    def previous(self) -> Sample | None:
        """The last sample of the present step."""
        return self.latest if self.sampled else None


_STATE = TypeAdapter(State)


def dump(state: State) -> str:
    return _STATE.dump_json(state).decode()


def load(text: str) -> State:
    return _STATE.validate_json(text)


@dataclass(slots=True)
class Outcome:
    """What follows from something that happened. Of the commands the one for the source comes first.

    Not frozen, as the state is not: that would take longer than what is done for a sample.
    """

    state: State
    commands: tuple[Command, ...] = ()
    readings: tuple[Reading, ...] = ()
    steps: tuple[StepSummary, ...] = ()
    spectra: tuple[Spectrum, ...] = ()
    markers: tuple[MarkerEvent, ...] = ()
