"""What flows through the procedure: samples in, commands out, and the state between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from calibration.data import CreepSample, Dataset, Frozen, Point, ZeroReading
from calibration.procedure.plan import Step
from calibration.procedure.stages import Stage


@dataclass(frozen=True, slots=True)
class Sample:
    """What the instruments said at `time` (seconds since the Unix epoch); None where they gave no number.

    `force_N` is as corrected by the load cell's certificate, of the indication less `State.zero_indication`.
    `open`: the meter says overload, the sensor does not conduct. `overload`: the load cell says so.
    """

    time: float
    indication: float | None = None
    force_N: float | None = None
    resistance_ohm: float | None = None
    open: bool = False
    overload: bool = False
    trouble: str = ""


class Reading(Frozen):
    """A sample whose numbers are numbers."""

    time: float
    indication: float | None = None
    force_N: float | None = None
    resistance_ohm: float | None = None
    open: bool = False
    overload: bool = False
    trouble: str = ""

    @property
    def whole(self) -> bool:
        return self.force_N is not None and self.resistance_ohm is not None


def read(sample: Sample, not_before: float) -> Reading:
    """What of a sample can be used: NaN, infinity and resistances that are not above zero are no readings."""
    force, indication, resistance = map(_finite, (sample.force_N, sample.indication, sample.resistance_ohm))
    trouble = sample.trouble
    if resistance is not None and resistance <= 0:
        trouble = trouble or f"the meter says {resistance:g} Ω, which no sensor has: look at its leads"
        resistance = None
    return Reading(
        time=max(sample.time, not_before),
        indication=indication if force is not None else None,
        force_N=force if indication is not None else None,
        resistance_ohm=None if sample.open else resistance,
        open=sample.open,
        overload=sample.overload,
        trouble=trouble,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


# --- commands


@dataclass(frozen=True, slots=True)
class SetForce:
    """To the press that the station drives."""

    force_N: float


@dataclass(frozen=True, slots=True)
class Unload:
    """To the press: no force."""


@dataclass(frozen=True, slots=True)
class Reseat:
    """To a press that can: take the sensor out and put it back."""


@dataclass(frozen=True, slots=True)
class Say:
    """For the event log."""

    text: str
    warning: bool = False


Command: TypeAlias = SetForce | Unload | Reseat | Say


# --- state


class Note(Frozen):
    """What was out of the ordinary, for the record; `who` is empty where nobody asked for it."""

    time: float
    text: str
    who: str = ""


class Phase(StrEnum):
    """Within a step."""

    GOING = "going"  # to the load
    RESTING = "resting"  # at the load, until force and resistance have come to rest
    BURST = "burst"


class Pause(Frozen):
    """Someone paused, or the station was away: whether the sensor stayed as it was decides how it goes on."""

    since: float
    low_N: float | None  # between these the force may be without harm: from where it was to where it was to go
    high_N: float | None
    unseen: bool  # nobody watched the force meanwhile
    ended: bool = False  # resumed, but no reading has shown yet how things stand
    disturbed: bool = False  # the force was seen to change
    why: str = "paused"

    def allows(self, force_N: float) -> bool:
        return self.low_N is not None and self.high_N is not None and self.low_N <= force_N <= self.high_N


class Progress(Frozen):
    """How far the present step is."""

    phase: Phase = Phase.GOING
    since: float  # when the step began
    at_load: float | None = None  # since when the force has been near enough
    window: tuple[Reading, ...] = ()  # since then, the newest
    burst: tuple[Reading, ...] = ()
    confirmed: bool = False
    taken: str = ""  # why the burst is taken although the criterion is not met
    notes: tuple[str, ...] = ()  # that go into the point
    asked_N: float | None = None  # what the press was asked for
    creep_from: int = 0  # readings of this hold, from this place in `State.creep` on


class State(Frozen):
    """All that there is to a calibration that goes on."""

    todo: tuple[Step, ...]  # the first is the present one
    done: int = 0
    progress: Progress
    last: Reading
    paused: Pause | None = None
    points: tuple[Point, ...] = ()
    creep: tuple[CreepSample, ...] = ()
    zeros: tuple[ZeroReading, ...] = ()
    set_aside: tuple[CreepSample, ...] = ()  # of a hold that was interrupted
    later: tuple[Step, ...] = ()  # repetitions that wait for the end of the series
    loadings: int = 0  # conditioning loadings done
    series: int = 0  # number of the series in the data set; a repeated one has a number of its own
    insertion: int = 1
    zero_indication: float = 0.0  # of the load cell without load, before this series
    zero_N: float = 0.0  # the same as a force, since the load cell itself was zeroed
    loaded: float | None = None  # since when the sensor has been under load
    farthest_N: float | None = None  # of this branch
    overloaded: bool = False
    press_gain: float = 1.0  # force by the load cell over what the press was asked for
    notes: tuple[Note, ...] = ()
    record: str | None = None
    abandoned: str | None = None

    @property
    def step(self) -> Step | None:
        return self.todo[0] if self.todo else None

    @property
    def stage(self) -> Stage:
        if self.record is not None:
            return Stage.SIGNED
        if self.abandoned is not None:
            return Stage.ABANDONED
        return self.todo[0].stage if self.todo else Stage.REVIEW

    @property
    def time(self) -> float:
        return self.last.time

    @property
    def over(self) -> bool:
        return self.stage in (Stage.SIGNED, Stage.ABANDONED)

    def dataset(self) -> Dataset:
        return Dataset(points=self.points, creep=self.creep, zeros=self.zeros)

    def but(self, **changes: object) -> State:
        return self.model_copy(update=changes)

    def progressed(self, **changes: object) -> State:
        return self.but(progress=self.progress.model_copy(update=changes))

    def excluding(self, index: int, reason: str) -> State:
        """With a point marked ('' takes the mark away); it stays where it is."""
        marked = self.points[index].model_copy(update={"excluded": reason})
        return self.but(points=(*self.points[:index], marked, *self.points[index + 1 :]))

    def noted(self, text: str, who: str = "") -> State:
        return self.but(notes=(*self.notes, Note(time=self.time, text=text, who=who)))
