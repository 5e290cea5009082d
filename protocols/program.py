"""A protocol made ready for one cell: SI numbers only, flat, with jumps for loops."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from protocols.limits import Limits

# --- conditions


class Quantity(StrEnum):
    """What an end condition looks at. Of a step unless it is said otherwise."""

    VOLTAGE = "voltage"  # V
    CURRENT = "current"  # A, magnitude; looked at in holds and ramps of voltage only
    TIME = "time"  # s, since the step began
    CAPACITY = "capacity"  # Ah, magnitude, since the step began
    ENERGY = "energy"  # Wh, magnitude, since the step began
    TOTAL_CAPACITY = "total capacity"  # Ah, passed in either direction since the run began
    NET_CAPACITY = "net capacity"  # Ah, signed, since the run began
    STATE_OF_CHARGE = "state of charge"  # 1 is full
    VOLTAGE_SLOPE = "dV/dt"  # V/s, magnitude
    CURRENT_SLOPE = "dI/dt"  # A/s, magnitude
    PRESSURE_SLOPE = "dp/dt"  # Pa/s, magnitude
    VOLTAGE_DROP = "voltage drop"  # V, back from the furthest that the step had come to (-ΔV)
    TEMPERATURE = "temperature"  # °C
    PRESSURE = "pressure"  # Pa
    PRESSURE_CHANGE = "pressure change"  # Pa, magnitude, since the step began
    RETENTION = "retention"  # capacity of the last whole cycle by that of the reference cycle
    EFFICIENCY = "coulombic efficiency"  # of the last whole cycle: what came back by what went in
    CYCLE = "cycle"  # number of whole cycles
    SHORT_CIRCUIT = "short circuit"  # 1 once a sign of one has been seen in the step, 0 before


SLOPES: Mapping[Quantity, Quantity] = {
    Quantity.VOLTAGE_SLOPE: Quantity.VOLTAGE,
    Quantity.CURRENT_SLOPE: Quantity.CURRENT,
    Quantity.PRESSURE_SLOPE: Quantity.PRESSURE,
}
"""A slope, and the quantity that it is the slope of."""


@dataclass(frozen=True, slots=True)
class ShortCriteria:
    """Signs of a short circuit of a symmetric cell, in shares of the polarisation |V| at constant current.

    A drop: two readings in a row are lower by the share `drop` than a moving average that forgets within `reference_s`.
    Noise: a reading's scatter, over `noise_s`, is above the share `noise` and above `noise_factor` times the quietest
    so far. Fluctuation: `swings` turns back of the share `swing` or more within `within_s`.
    """

    drop: float = 0.3
    reference_s: float = 30.0
    noise: float = 0.02
    noise_factor: float = 5.0
    noise_s: float = 30.0
    swing: float = 0.05
    swings: int = 6
    within_s: float = 600.0
    settle_s: float = 10.0  # after the current was set, in which nothing is judged
    same_current: float = 0.02  # a current that changes by more begins anew

    def __post_init__(self) -> None:
        for name in ("drop", "noise", "swing", "reference_s", "noise_s", "within_s", "noise_factor"):
            if not getattr(self, name) > 0:
                raise ValueError(f"'{name}' of a short circuit is {getattr(self, name):g}; it is above zero")
        if not self.drop < 1 or self.swings < 2:
            raise ValueError("a short circuit's 'drop' is a share below 100 %, and its 'swings' are two at least")

    def __str__(self) -> str:
        return (
            f"drop of {100 * self.drop:g} % within {self.reference_s:g} s, noise above {100 * self.noise:g} % and "
            f"{self.noise_factor:g} times the quietest, or {self.swings} swings of {100 * self.swing:g} % within "
            f"{self.within_s:g} s"
        )


@dataclass(frozen=True, slots=True)
class Condition:
    """Met when the quantity is at or beyond `value`, upwards (`rising`) or downwards."""

    quantity: Quantity
    rising: bool
    value: float
    window_s: float = 0.0  # over which a slope is taken
    reference_cycle: int = 0  # that retention refers to
    short: ShortCriteria | None = None  # of a short circuit

    def met_by(self, measured: float | None) -> bool:
        """False for None: what is not measured ends nothing (safety sees to a lost sensor)."""
        if measured is None:
            return False
        return measured >= self.value if self.rising else measured <= self.value

    def __str__(self) -> str:
        if self.quantity is Quantity.SHORT_CIRCUIT:
            return str(self.quantity)
        sign = "≥" if self.rising else "≤"
        value, unit = for_people(self.quantity, self.value)
        return f"{self.quantity} {sign} {value:.6g} {unit}".rstrip()


def time_in_words(seconds: float) -> str:
    value, unit = for_people(Quantity.TIME, seconds)
    return f"{value:.6g} {unit}"


def for_people(quantity: Quantity, value: float) -> tuple[float, str]:
    """The value in the unit that people read it in."""
    match quantity:
        case Quantity.TIME if value < 600:
            return value, "s"
        case Quantity.TIME:
            return (value / 60, "min") if value < 3600 else (value / 3600, "h")
        case Quantity.CYCLE | Quantity.SHORT_CIRCUIT:
            return value, ""
        case _:
            scale, unit = _UNITS[quantity]
            return value * scale, unit


_UNITS: Mapping[Quantity, tuple[float, str]] = {
    Quantity.VOLTAGE: (1.0, "V"),
    Quantity.CURRENT: (1e3, "mA"),
    Quantity.CAPACITY: (1e3, "mAh"),
    Quantity.ENERGY: (1e3, "mWh"),
    Quantity.TOTAL_CAPACITY: (1e3, "mAh"),
    Quantity.NET_CAPACITY: (1e3, "mAh"),
    Quantity.STATE_OF_CHARGE: (100.0, "%"),
    Quantity.VOLTAGE_SLOPE: (3.6e6, "mV/h"),
    Quantity.CURRENT_SLOPE: (3.6e9, "µA/h"),
    Quantity.PRESSURE_SLOPE: (3.6, "kPa/h"),
    Quantity.VOLTAGE_DROP: (1e3, "mV"),
    Quantity.TEMPERATURE: (1.0, "°C"),
    Quantity.PRESSURE: (1e-3, "kPa"),
    Quantity.PRESSURE_CHANGE: (1e-3, "kPa"),
    Quantity.RETENTION: (100.0, "%"),
    Quantity.EFFICIENCY: (100.0, "%"),
}


class Then(StrEnum):
    """What follows an end that leads neither to the next operation nor to a given one."""

    FINISH = "end of run"
    TRIP = "trip"


@dataclass(frozen=True, slots=True)
class End:
    """Met when all its conditions are, at one sample or, with `for_s`, at all samples for so long.

    `then` is the index of the operation that follows; None is the next one.
    """

    conditions: tuple[Condition, ...]
    then: int | Then | None = None
    for_s: float = 0.0

    def __str__(self) -> str:
        text = " and ".join(map(str, self.conditions))
        return f"{text} for {time_in_words(self.for_s)}" if self.for_s else text


# --- what a step does


@dataclass(frozen=True, slots=True)
class ConstantCurrent:
    current_A: float  # positive on charge


@dataclass(frozen=True, slots=True)
class MeasuredRate:
    """A current as a multiple, per hour, of the charge that an earlier step passed; positive on charge."""

    per_hour: float
    of_step: int  # its index among the operations


@dataclass(frozen=True, slots=True)
class ConstantPower:
    power_W: float  # positive on charge


@dataclass(frozen=True, slots=True)
class ConstantResistance:
    """A load: the current is the voltage over the resistance, discharging."""

    resistance_ohm: float


@dataclass(frozen=True, slots=True)
class CurrentProfile:
    """Each current is held from its time on, until the next one's; the last one until the step ends."""

    times_s: tuple[float, ...]  # rising, from 0 on
    currents_A: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ConstantVoltage:
    voltage_V: float
    current_max_A: float | None = None  # None: the channel's own limit
    above_rest: bool = False  # `voltage_V` is added to the voltage at the step's beginning


@dataclass(frozen=True, slots=True)
class VoltageRamp:
    """A staircase of steps of `stair_V` at `rate_V_s` in the mean (both magnitudes)."""

    start_V: float | None  # None: the voltage at the step's beginning
    end_V: float
    rate_V_s: float
    stair_V: float
    current_max_A: float | None = None


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """An impedance sweep, from the first to the last frequency; of voltage (PEIS) or of current (GEIS).

    `bias_V` None is the open-circuit voltage. Exactly one of the amplitudes is given.
    """

    frequencies_Hz: tuple[float, ...]
    amplitude_rms_V: float | None
    bias_V: float | None = None
    amplitude_rms_A: float | None = None
    bias_A: float = 0.0


@dataclass(frozen=True, slots=True)
class ChamberTemperature:
    temperature_degC: float


@dataclass(frozen=True, slots=True)
class StackPressure:
    """Of the driven frame that the cell is clamped in."""

    pressure_Pa: float


@dataclass(frozen=True, slots=True)
class Question:
    """The step waits, without current, until a person confirms it."""

    text: str


@dataclass(frozen=True, slots=True)
class StoredProcedure:
    """What a cycler does by a procedure that is stored on it; nobody else knows what that is."""

    name: str


Setpoint: TypeAlias = (
    ConstantCurrent
    | MeasuredRate
    | ConstantPower
    | ConstantResistance
    | CurrentProfile
    | ConstantVoltage
    | VoltageRamp
    | SweepPlan
    | ChamberTemperature
    | StackPressure
    | Question
    | StoredProcedure
)


class Kind(StrEnum):
    REST = "rest"  # no set point
    CHARGE = "charge"  # ConstantCurrent, MeasuredRate or ConstantPower
    DISCHARGE = "discharge"  # these or ConstantResistance
    PROFILE = "profile"  # CurrentProfile
    HOLD = "hold"  # ConstantVoltage
    RAMP = "ramp"  # VoltageRamp
    IMPEDANCE = "impedance"  # SweepPlan
    TEMPERATURE = "temperature"  # ChamberTemperature; rests meanwhile
    STACK_PRESSURE = "stack pressure"  # StackPressure; rests meanwhile
    PROMPT = "prompt"  # Question; rests meanwhile
    PROCEDURE = "procedure"  # StoredProcedure


# --- recording and marking


@dataclass(frozen=True, slots=True)
class RecordRule:
    """A sample is recorded each `every_s` and at each of these changes; for `burst_s` of each step `burst_every_s`."""

    every_s: float
    voltage_V: float | None = None
    current_A: float | None = None
    pressure_Pa: float | None = None
    temperature_K: float | None = None
    burst_every_s: float | None = None
    burst_s: float = 0.0


@dataclass(frozen=True, slots=True)
class MarkerRule:
    """A named event in the record: once at `at_s`, each `every_s`, or where the state of charge passes one of these.

    Times count from the beginning of the step, or of the run for a program's own rules.
    """

    name: str
    trigger: bool = False  # pulse the bench's trigger line too, where there is one
    at_s: float | None = None
    every_s: float | None = None
    states_of_charge: tuple[float, ...] = ()


# --- operations


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a set point until one of the `ends` is met; the first of them in order counts.

    A CHARGE or DISCHARGE with `hold_V` goes over to holding that voltage when it is reached (CCCV), at no more
    than its own current.
    """

    kind: Kind
    name: str  # place and kind, "4.1 discharge 0.2 C"
    file: str  # that it was written in
    line: int
    setpoint: Setpoint | None = None
    hold_V: float | None = None
    ends: tuple[End, ...] = ()
    record: RecordRule | None = None  # None: the program's
    markers: tuple[MarkerRule, ...] = ()
    column: int = 1  # of its place in the file


@dataclass(frozen=True, slots=True)
class Marker:
    """An event in the record, made in passing."""

    name: str
    trigger: bool
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Only:
    """Go on with the next operation where the number allows it, with operation `past` elsewhere.

    The number is the run's cycle, or with `loop` the present pass (from 1) of the loop that ends at that operation.
    """

    past: int
    every: int = 1  # the number is a multiple of it
    first: int | None = None  # the number is not above it
    after: int = 0  # the number is above it
    loop: int | None = None

    def allows(self, number: int) -> bool:
        within = self.first is None or number <= self.first
        return within and number > self.after and number % self.every == 0


@dataclass(frozen=True, slots=True)
class Repeat:
    """The end of a loop: back to operation `start` until it was passed `count` times in all, or an end is met.

    An end with `then` None leaves the loop.
    """

    start: int
    count: int
    ends: tuple[End, ...] = ()


Operation: TypeAlias = Step | Marker | Only | Repeat


@dataclass(frozen=True)
class Program:
    """A compiled protocol: operations in order, with the loops' ends as jumps."""

    title: str
    file: str  # that it was compiled from, for messages
    operations: tuple[Operation, ...]
    record: RecordRule
    limits: Limits  # of the protocol itself
    markers: tuple[MarkerRule, ...] = ()
    capacity_Ah: float | None = None  # that a state of charge refers to
    state_of_charge: float | None = None  # when the run begins
    current_max_A: float = float("inf")  # of protocol and cell: the sequencer asks for less than this

    @functools.cached_property
    def loops(self) -> tuple[int, ...]:
        """Where the loops' ends stand among the operations."""
        return tuple(i for i, operation in enumerate(self.operations) if isinstance(operation, Repeat))

    @functools.cached_property
    def measured_steps(self) -> tuple[int, ...]:
        """The steps whose charge a later rate refers to."""
        return tuple(sorted({p.of_step for s in self.steps() if isinstance(p := s.setpoint, MeasuredRate)}))

    @functools.cached_property
    def reference_cycles(self) -> tuple[int, ...]:
        """The cycles that a retention refers to."""
        return tuple(sorted({c.reference_cycle for c in self.conditions() if c.quantity is Quantity.RETENTION}))

    def steps(self) -> tuple[Step, ...]:
        return tuple(operation for operation in self.operations if isinstance(operation, Step))

    def conditions(self) -> Iterator[Condition]:
        for operation in self.operations:
            if isinstance(operation, Step | Repeat):
                for end in operation.ends:
                    yield from end.conditions

    @property
    def cycles_planned(self) -> int:
        """Cycles where no end cuts the program short; one begins where the first direction comes again."""
        parts: list[tuple[int, _Course]] = []  # with the operation that each begins at
        for index, operation in enumerate(self.operations):
            if isinstance(operation, Step):
                direction = DIRECTIONS.get(operation.kind, 0)
                parts.append((index, _Course(direction, direction)))
            elif isinstance(operation, Repeat):
                body = _Course()
                while parts and parts[-1][0] >= operation.start:
                    body = parts.pop()[1].then(body)
                parts.append((operation.start, body.times(operation.count)))
        whole = functools.reduce(_Course.then, (course for _, course in parts), _Course())
        return 0 if whole.first == 0 else 1 + (whole.rises if whole.first > 0 else whole.falls)


DIRECTIONS: Mapping[Kind, int] = {Kind.CHARGE: 1, Kind.DISCHARGE: -1}
"""Of the current; other kinds have none of their own."""

WITHOUT_CURRENT = (Kind.REST, Kind.TEMPERATURE, Kind.STACK_PRESSURE, Kind.PROMPT, Kind.IMPEDANCE)
"""Kinds that pass no charge."""


@dataclass(frozen=True, slots=True)
class CycleCount:
    """Cycles as a run goes on: a new one begins where the run's first direction comes again after the other one."""

    cycle: int = 1
    first_direction: int = 0  # +1 or -1 once the run has driven the cell
    direction: int = 0  # the last one driven

    def entering(self, kind: Kind) -> CycleCount:
        direction = DIRECTIONS.get(kind, 0)
        first = self.first_direction or direction
        again = direction != 0 and direction == first and self.direction == -first
        return CycleCount(self.cycle + again, first, direction or self.direction)


@dataclass(frozen=True, slots=True)
class _Course:
    """How the direction goes in a part of a program; 0 where nothing drives the cell."""

    first: int = 0
    last: int = 0
    rises: int = 0  # from discharge to charge
    falls: int = 0

    def then(self, other: _Course) -> _Course:
        return self._joined(other, 1, 1)

    def times(self, count: int) -> _Course:
        return self._joined(self, count - 1, count - 1)

    def _joined(self, other: _Course, others: int, joints: int) -> _Course:
        rises = joints if (self.last, other.first) == (-1, 1) else 0
        falls = joints if (self.last, other.first) == (1, -1) else 0
        return _Course(
            first=self.first or other.first,
            last=other.last or self.last,
            rises=self.rises + others * other.rises + rises,
            falls=self.falls + others * other.falls + falls,
        )
