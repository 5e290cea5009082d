"""The protocol language: what may stand in a protocol file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, InstanceOf, WithJsonSchema, field_validator, model_validator

from protocols.limits import LimitsModel, Model
from protocols.quantities import (
    AmpereHours,
    Amperes,
    AmperesPerSecond,
    Celsius,
    ChargeField,
    Hertz,
    Kelvins,
    Ohms,
    Pascals,
    PascalsPerSecond,
    PotentialField,
    QuantityError,
    RateField,
    Seconds,
    Share,
    Volts,
    VoltsPerSecond,
    WattHours,
    Watts,
    number,
)


def _count(words: str) -> Any:
    """A validator for '10 cycles', '10' or 10."""
    pattern = re.compile(rf"\s*(\d+)\s*(?:{words})?\s*")

    def read(value: Any) -> Any:
        return int(match[1]) if isinstance(value, str) and (match := pattern.fullmatch(value)) else value

    return BeforeValidator(read)


def _count_schema(words: str, *examples: str) -> WithJsonSchema:
    pattern = rf"^\s*\d+\s*(?:{words})?\s*$"
    return WithJsonSchema({"type": ["integer", "string"], "minimum": 1, "pattern": pattern, "examples": list(examples)})


Cycles: TypeAlias = Annotated[int, _count("cycles?"), Field(ge=1), _count_schema("cycles?", "10 cycles")]
Times: TypeAlias = Annotated[int, _count("times"), Field(ge=1), _count_schema("times", "50 times")]


def _one_of(model: Model, names: tuple[str, ...], hint: str) -> None:
    if sum(getattr(model, name) is not None for name in names) != 1:
        raise ValueError(f"give exactly one of {', '.join(names)}: {hint}")


# --- ends


class Bounds(Model):
    """Shared by the ends that are written `{above: …}` or `{below: …}`."""

    EXAMPLE: ClassVar[str] = "600 kPa"

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            raise ValueError(f"say which way: {{above: {cls.EXAMPLE}}} or {{below: {cls.EXAMPLE}}}")
        return data

    @model_validator(mode="after")
    def _any(self) -> Self:
        above, below = getattr(self, "above", None), getattr(self, "below", None)
        if above is None and below is None:
            raise ValueError(f"give {{above: {self.EXAMPLE}}}, {{below: {self.EXAMPLE}}} or both")
        if isinstance(above, float) and isinstance(below, float) and above <= below:
            raise ValueError("'above' is not above 'below': every value ends this step")
        return self


class VoltageEnd(Model):
    """A voltage that ends the step: in the step's own direction, or as said by `above` or `below`."""

    at: PotentialField | None = None
    above: PotentialField | None = None
    below: PotentialField | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return data if isinstance(data, dict) else {"at": data}

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.at, self.above, self.below)) != 1:
            raise ValueError("give one voltage: '2 V', {above: 2 V} or {below: 0.02 V}")
        return self


class PressureEnd(Bounds):
    """A pressure that ends the step."""

    above: Pascals | None = None
    below: Pascals | None = None


class TemperatureEnd(Bounds):
    """A temperature that ends the step."""

    EXAMPLE: ClassVar[str] = "60 degC"

    above: Celsius | None = None
    below: Celsius | None = None


class NetCapacityEnd(Bounds):
    """Net charge since the run began, positive on charge."""

    EXAMPLE: ClassVar[str] = "1 mAh"

    above: AmpereHours | None = None
    below: AmpereHours | None = None


class StateOfChargeEnd(Model):
    """A state of charge that ends the step: in the step's own direction, or as said by `above` or `below`."""

    at: Share | None = None
    above: Share | None = None
    below: Share | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return data if isinstance(data, dict) else {"at": data}

    @model_validator(mode="after")
    def _one(self) -> Self:
        _one_of(self, ("at", "above", "below"), "'50 %', {above: 50 %} or {below: 50 %}")
        return self


class EfficiencyEnd(Bounds):
    """Coulombic efficiency of the last whole cycle: the charge of its second half by that of its first."""

    EXAMPLE: ClassVar[str] = "98 %"

    above: Share | None = None
    below: Share | None = None


class RetentionEnd(Model):
    """Capacity retention: what the last whole cycle gave back, by what the reference cycle gave back."""

    below: Share
    of_cycle: Cycles = Field(1, description="the reference cycle")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return data if isinstance(data, dict) else {"below": data}


WINDOW_S = 600.0  # long enough for the noise of a good meter


class Slope(Model):
    """Shared by the ends on a change with time: it has fallen to this magnitude."""

    over: Seconds = Field(WINDOW_S, gt=0, description="the window that the slope is fitted over")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return data if isinstance(data, dict) else {"below": data}


class VoltageSlope(Slope):
    """`1 mV/h` or `{below: 1 mV/h, over: 10 min}`."""

    below: VoltsPerSecond = Field(gt=0)


class CurrentSlope(Slope):
    """`1 uA/h` or `{below: 1 uA/h, over: 10 min}`."""

    below: AmperesPerSecond = Field(gt=0)


class PressureSlope(Slope):
    """`1 kPa/h` or `{below: 1 kPa/h, over: 10 min}`."""

    below: PascalsPerSecond = Field(gt=0)


class ShortCircuitEnd(Model):
    """Signs of a short circuit, in shares of a symmetric cell's polarisation; `{}` or `{drop: 50 %}`."""

    drop: Share = Field(0.3, gt=0, lt=1, description="sudden loss of polarisation, by two samples in a row")
    over: Seconds = Field(30.0, gt=0, description="what falls more slowly is no sudden loss")
    noise: Share = Field(0.02, gt=0, description="scatter from sample to sample")
    swing: Share = Field(0.05, gt=0, description="a fluctuation that counts")
    swings: Times = Field(6, ge=2, description="so many of them")
    within: Seconds = Field(600.0, gt=0, description="in so long a time")


class Ends(Model):
    """Quantities that end a step."""

    voltage: VoltageEnd | None = None
    current: RateField | None = Field(None, description="ends a hold when the current's magnitude falls to this")
    time: Seconds | None = Field(None, gt=0, description="since the step began")
    capacity: ChargeField | None = Field(None, description="charge passed in this step, as a magnitude")
    energy: WattHours | None = Field(None, gt=0, description="energy passed in this step, as a magnitude")
    total_capacity: ChargeField | None = Field(None, description="charge passed either way since the run began")
    net_capacity: NetCapacityEnd | None = None
    state_of_charge: StateOfChargeEnd | None = None
    dV_dt: VoltageSlope | None = Field(None, alias="dV/dt")
    dI_dt: CurrentSlope | None = Field(None, alias="dI/dt")
    dp_dt: PressureSlope | None = Field(None, alias="dp/dt")
    voltage_drop: Volts | None = Field(
        None, gt=0, description="back from the step's highest voltage (-ΔV); in a discharge, from its lowest"
    )
    short_circuit: ShortCircuitEnd | None = Field(None, description="of a symmetric cell at constant current")
    temperature: TemperatureEnd | None = None
    pressure: PressureEnd | None = None
    pressure_change: Pascals | None = Field(None, gt=0, description="magnitude, since the step began")
    retention: RetentionEnd | None = None
    efficiency: EfficiencyEnd | None = None
    cycles: Cycles | None = Field(None, description="this many whole cycles since the run began")


KEYWORDS = ("next", "end of loop", "next pass", "end of run", "trip")
THEN = "'next', 'next pass', 'end of loop', 'end of run', 'trip' or the name of a step"


class AnyOf(Ends):
    """Any of these quantities ends the step (`all`: all of those together); `then` says what follows."""

    all: Ends | None = Field(None, description="all of these together")
    held: Seconds | None = Field(None, alias="for", gt=0, description="only when met without a break for so long")
    then: str = Field("next", description=THEN)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else [value]


Until: TypeAlias = Annotated[tuple[AnyOf, ...], BeforeValidator(_listed)]
"""End conditions; the first one that is met ends the step. A mapping, or a list of them with `then` each."""


# --- recording and marking


class Burst(Model):
    """A finer recording at the beginning of each step."""

    every: Seconds = Field(gt=0)
    duration: Seconds = Field(alias="for", gt=0)


class Record(Model):
    """When a sample is recorded: each `every`, and at each `change` of voltage, current, pressure or temperature."""

    every: Seconds = Field(30.0, gt=0)
    change: tuple[str, ...] = Field((), description="such as [5 mV, 0.1 mA, 2 kPa, 0.5 K]")
    burst: Burst | None = Field(None, description="after each change of step")

    @model_validator(mode="after")
    def _readable(self) -> Self:
        self.changes()
        return self

    def changes(self) -> Changes:
        found: dict[str, float] = {}
        for text in self.change:
            name, value = _change(text)
            if value <= 0:
                raise ValueError(f"'{text}': a change to record at is above zero")
            if name in found:
                raise ValueError(f"'{text}': there is a change of {name.rsplit('_', 1)[0]} already")
            found[name] = value
        return Changes(**found)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a sample is recorded at; None where a change does not matter."""

    voltage_V: float | None = None
    current_A: float | None = None
    pressure_Pa: float | None = None
    temperature_K: float | None = None


def _change(text: str) -> tuple[str, float]:
    for name, unit in (("voltage_V", "V"), ("current_A", "A"), ("pressure_Pa", "Pa"), ("temperature_K", "K")):
        try:
            return name, number(text, unit, "a change")
        except QuantityError:
            continue
    raise ValueError(
        f"'{text}' is no change of voltage (5 mV), current (0.1 mA), pressure (2 kPa) or temperature (0.5 K)"
    )


class Marker(Model):
    """A named, time-stamped event in the record, so that a microscope or a beamline can be synchronised."""

    name: str = Field(min_length=1)
    trigger: bool = Field(False, description="pulse the channel's trigger line too")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data


class MarkerRule(Model):
    """A marker at a time, every so many minutes, or at states of charge."""

    name: str = Field(min_length=1)
    trigger: bool = Field(False, description="pulse the channel's trigger line too")
    at: Seconds | None = Field(None, ge=0, description="once, so long after the beginning of the step (or the run)")
    every: Seconds | None = Field(
        None, gt=0, description="each time so long after the beginning of the step (or the run)"
    )
    state_of_charge: tuple[Share, ...] | None = Field(None, min_length=1, description="such as [25 %, 50 %, 75 %]")

    @model_validator(mode="after")
    def _one(self) -> Self:
        _one_of(self, ("at", "every", "state_of_charge"), "'20 min' or [25 %, 50 %]")
        return self


# --- techniques


class Timed(Model):
    """Shared by what can end after a time or by end conditions."""

    duration: Seconds | None = Field(None, alias="for", gt=0, description="how long")
    until: Until = ()


class Rest(Timed):
    """No current: the open-circuit voltage (OCV) is recorded."""


class Drive(Timed):
    """Constant current (CC), power (CP) or resistance (CR); with `hold` then constant voltage (CCCV)."""

    at: RateField | None = None
    power: Watts | None = Field(None, gt=0)
    resistance: Ohms | None = Field(None, gt=0, description="of a load; discharging only")
    hold: PotentialField | None = Field(None, description="go over to this constant voltage when it is reached")

    @model_validator(mode="after")
    def _one(self) -> Self:
        _one_of(self, ("at", "power", "resistance"), "'at: 0.2 C', 'power: 5 mW' or 'resistance: 100 ohm'")
        if self.hold is not None and self.at is None:
            raise ValueError("'hold' follows a constant current; give 'at'")
        return self


class Hold(Timed):
    """Constant voltage (CV hold)."""

    at: PotentialField
    limit: RateField | None = Field(None, description="largest current on the way; the channel's limit otherwise")


class Chronoamperometry(Hold):
    """A step of potential, and the current that follows it: '10 mV vs OCV'."""


class Chronopotentiometry(Timed):
    """A signed current (positive charges), and the potential that follows it."""

    at: str = Field(description="a current with its sign: '-0.1 mA' or '0.5 mA/cm^2'")


class LinearSweep(Timed):
    """Linear sweep voltammetry (LSV)."""

    start: PotentialField | None = Field(None, alias="from", description="the voltage at the beginning otherwise")
    to: PotentialField
    rate: VoltsPerSecond = Field(gt=0, description="such as 0.1 mV/s")
    stair: Volts = Field(1e-3, gt=0, description="height of the staircase that makes up the ramp")
    limit: RateField | None = Field(None, description="largest current; the channel's limit otherwise")


class CyclicVoltammetry(LinearSweep):
    """Sweeps to `to`, on to `back` and so on, `cycles` times (CV)."""

    back: PotentialField = Field(description="the other vertex")
    cycles: Cycles = 1


class StaircaseOf(Model):
    """A spectrum at each of these potentials or states of charge."""

    potential: tuple[PotentialField, ...] | None = Field(None, min_length=1)
    state_of_charge: tuple[Share, ...] | None = Field(None, min_length=1)
    at: RateField | None = Field(None, description="current on the way; needed for states of charge")
    settle: Seconds = Field(
        1800.0, ge=0, description="hold (potentials) or rest (states of charge) before each spectrum"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        _one_of(self, ("potential", "state_of_charge"), "[0.1 V, 0.5 V] or [0 %, 50 %, 100 %]")
        if self.state_of_charge is not None and self.at is None:
            raise ValueError("a staircase of states of charge needs 'at', the current on the way")
        return self


def _amplitude(value: Any) -> Any:
    """In V for PEIS, in A for GEIS; the unit decides."""
    if not isinstance(value, str):
        return {"volts": number(value, "V", "an amplitude")}
    try:
        return {"volts": number(value, "V", "an amplitude, such as '10 mV' or '0.1 mA'")}
    except QuantityError:
        return {"amperes": number(value, "A", "an amplitude, such as '10 mV' or '0.1 mA'")}


class Amplitude(Model):
    """R.m.s. value of the excitation: a voltage (PEIS) or a current (GEIS)."""

    volts: float | None = Field(None, gt=0)
    amperes: float | None = Field(None, gt=0)


class Impedance(Model):
    """An impedance sweep: PEIS with an amplitude in mV, GEIS with one in mA; at rest, under bias, or as a staircase."""

    start: Hertz = Field(alias="from", gt=0)
    to: Hertz = Field(gt=0)
    amplitude: Annotated[Amplitude, BeforeValidator(_amplitude)] = Field(description="r.m.s. value")
    points_per_decade: int = Field(10, ge=1, le=100)
    at: PotentialField | None = Field(None, description="bias of a PEIS; the open-circuit voltage otherwise")
    bias_current: Amperes | None = Field(None, description="bias of a GEIS; none otherwise")
    staircase: StaircaseOf | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.at is not None and self.amplitude.amperes is not None:
            raise ValueError("a GEIS has a 'bias_current'; 'at' is the bias of a PEIS")
        if self.bias_current is not None and self.amplitude.volts is not None:
            raise ValueError("a PEIS has a bias 'at'; 'bias_current' is that of a GEIS")
        if self.staircase is not None and (self.at is not None or self.bias_current is not None):
            raise ValueError("the staircase says the bias; leave out 'at' and 'bias_current'")
        if self.staircase is not None and self.staircase.potential is not None and self.amplitude.volts is None:
            raise ValueError("a staircase of potentials is a PEIS: give its amplitude in mV")
        return self


Direction: TypeAlias = Literal["charge", "discharge"]


class Gitt(Model):
    """Galvanostatic intermittent titration: pulses of current with rests, until a voltage ends the whole of it."""

    direction: Direction
    at: RateField
    pulse: Seconds = Field(gt=0)
    rest: Seconds = Field(gt=0)
    rest_until: Until = Field((), description="ends a rest early, such as {dV/dt: 1 mV/h}")
    until: Until = Field(description="ends the titration, such as {voltage: 3.2 V}; the last rest is still made")
    most: Times = Field(1000, description="pulses at most")


class Pitt(Model):
    """Potentiostatic intermittent titration: steps of potential, each until the current has decayed."""

    start: PotentialField = Field(alias="from")
    to: PotentialField
    step: Volts = Field(gt=0)
    duration: Seconds | None = Field(None, alias="for", gt=0, description="of each step at most")
    until: Until = Field((), description="ends each step, such as {current: C/100}")
    limit: RateField | None = None


class Pulse(Model):
    """Direct-current resistance (DCIR): a pulse of current between rests, recorded finely."""

    direction: Direction | Literal["both"] = Field(description="'both' is a discharge and then a charge")
    at: RateField
    duration: Seconds = Field(alias="for", gt=0)
    rest: Seconds = Field(60.0, gt=0, description="before the pulse and after each")
    record: Seconds = Field(0.1, gt=0, description="recording interval in the pulse and the rest after it")
    until: Until = Field((), description="protects: ends the pulse early, such as {voltage: {below: 2.5 V}}")


class CurrentRamp(Model):
    """Critical current density: plate and strip at rising currents until the cell fails."""

    start: RateField = Field(alias="from")
    to: RateField
    step: RateField
    duration: Seconds | None = Field(None, alias="for", gt=0, description="of each half-cycle")
    capacity: ChargeField | None = Field(None, description="of each half-cycle")
    rest: Seconds = Field(600.0, ge=0, description="between the half-cycles")
    first: Direction = "discharge"
    stop: Until = Field(
        description="ends the ramp in either half: {voltage: {above: 1 V}} or a short, {short_circuit: {}}"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        _one_of(self, ("duration", "capacity"), "'for: 1 h' or 'capacity: 0.5 mAh/cm^2'")
        return self


class Profile(Timed):
    """A current over time from a CSV file, with columns 'time / s' and 'current / A' (or mA)."""

    file: str
    scale: float = Field(1.0, gt=0, description="multiplies the currents")


class Wait(Model):
    """Shared by what waits for something: how long at most, and what follows if it does not come."""

    at_most: Seconds = Field(gt=0)
    otherwise: str = Field("trip", description=f"after so long: {THEN}")


class PressureConditioning(Wait):
    """Rest until the pressure is where it should be, and then until it is stable."""

    reach: PressureEnd | None = Field(None, description="such as {above: 500 kPa}")
    stable: PressureSlope | None = Field(None, description="such as {below: 2 kPa/h, over: 30 min}")

    @model_validator(mode="after")
    def _any(self) -> Self:
        if self.reach is None and self.stable is None:
            raise ValueError("give 'reach: {above: 500 kPa}', 'stable: {below: 2 kPa/h, over: 30 min}' or both")
        return self


class Settling(Wait):
    """Shared by what has to stay within a band for a while."""

    duration: Seconds = Field(alias="for", gt=0, description="so long without a break")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.duration >= self.at_most:
            raise ValueError(
                f"'for' is {self.duration:g} s and 'at_most' {self.at_most:g} s: it can never be met in time"
            )
        return self


class SetTemperature(Settling):
    """Set the chamber, then rest until the cell's temperature has stayed within a band for a while."""

    set: Celsius
    within: Kelvins = Field(1.0, gt=0)
    duration: Seconds = Field(600.0, alias="for", gt=0, description="so long without a break")
    at_most: Seconds = Field(4 * 3600.0, gt=0)


class SetStackPressure(Settling):
    """Set the frame's pressure, then rest until it has stayed within a band for a while."""

    set: Pascals = Field(gt=0)
    within: Pascals = Field(gt=0)
    duration: Seconds = Field(60.0, alias="for", gt=0, description="so long without a break")
    at_most: Seconds = Field(3600.0, gt=0)


class Prompt(Model):
    """Ask the operator, and wait without current for the confirmation."""

    say: str = Field(min_length=1)
    at_most: Seconds | None = Field(None, gt=0)
    otherwise: str = Field("trip", description=f"after so long without an answer: {THEN}")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return {"say": data} if isinstance(data, str) else data


class Procedure(Model):
    """Have the channel's cycler run a procedure that is stored on it; impedance sweeps may stand between two."""

    run: str = Field(min_length=1, description="the name that the cycler has it under")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return {"run": data} if isinstance(data, str) else data


# --- steps


_NUMBERED = re.compile(r"\s*(\d+)\s*(cycles?|passes|pass)?\s*")


@dataclass(frozen=True, slots=True)
class Counted:
    """'10 cycles' of the run, or '3 passes' of the loop around."""

    count: int
    passes: bool


def _counted(value: Any) -> Counted:
    if isinstance(value, Counted):
        return value
    match = _NUMBERED.fullmatch(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if match is None or int(match[1]) < 1:
        raise ValueError(f"{value!r} is no count; write '10 cycles' (of the run) or '3 passes' (of the loop around)")
    return Counted(int(match[1]), bool(match[2]) and match[2].startswith("pass"))


CountedField: TypeAlias = Annotated[
    InstanceOf[Counted],
    BeforeValidator(_counted),
    _count_schema("cycles?|passes|pass", "10 cycles", "3 passes"),
]


class Include(Model):
    """The steps of another protocol file, beside this one or in the library."""

    file: str = Field(min_length=1)
    set: dict[str, int | float | str] = Field(default_factory=dict, description="its parameters")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return {"file": data} if isinstance(data, str) else data


class Step(Model):
    """One step: exactly one technique, an `include`, or `steps` as a group or with `repeat` as a loop."""

    TECHNIQUES: ClassVar[tuple[str, ...]] = (
        "rest",
        "charge",
        "discharge",
        "hold",
        "chronoamperometry",
        "chronopotentiometry",
        "linear_sweep",
        "cyclic_voltammetry",
        "impedance",
        "gitt",
        "pitt",
        "pulse",
        "current_ramp",
        "profile",
        "condition_pressure",
        "temperature",
        "stack_pressure",
        "prompt",
        "procedure",
        "marker",
        "include",
        "steps",
    )

    name: str | None = Field(None, min_length=1, description="for 'then', for 'C of …' and in the results")
    every: CountedField | None = Field(None, description="only each so many: '10 cycles' or '5 passes'")
    first: CountedField | None = Field(None, description="only in the first: '3 passes'")
    after: CountedField | None = Field(None, description="only after so many: '3 passes'")
    record: Record | None = Field(None, description="for this step, instead of the protocol's")
    markers: tuple[MarkerRule, ...] = ()

    rest: Rest | None = None
    charge: Drive | None = None
    discharge: Drive | None = None
    hold: Hold | None = None
    chronoamperometry: Chronoamperometry | None = None
    chronopotentiometry: Chronopotentiometry | None = None
    linear_sweep: LinearSweep | None = None
    cyclic_voltammetry: CyclicVoltammetry | None = None
    impedance: Impedance | None = None
    gitt: Gitt | None = None
    pitt: Pitt | None = None
    pulse: Pulse | None = None
    current_ramp: CurrentRamp | None = None
    profile: Profile | None = None
    condition_pressure: PressureConditioning | None = None
    temperature: SetTemperature | None = None
    stack_pressure: SetStackPressure | None = None
    prompt: Prompt | None = None
    procedure: Procedure | None = None
    marker: Marker | None = None
    include: Include | None = None
    steps: tuple[Step, ...] | None = Field(None, min_length=1)
    repeat: int | None = Field(None, ge=1, description="how many times `steps` are done in all, at most")
    until: Until = Field((), description="ends the loop after a pass: {retention: {below: 80 %}}")

    @model_validator(mode="after")
    def _one_technique(self) -> Self:
        given = [name for name in self.TECHNIQUES if getattr(self, name) is not None]
        if self.repeat is not None and self.steps is None:
            raise ValueError("'repeat' and 'steps' belong together")
        if len(given) != 1:
            found = f"here stand {' and '.join(given)}" if given else "here is none of them"
            raise ValueError(f"a step is exactly one of {', '.join(self.TECHNIQUES)}; {found}")
        if self.until and self.repeat is None:
            raise ValueError("'until' beside a technique ends nothing: put it inside, or give 'repeat' and 'steps'")
        if self.name in KEYWORDS:
            raise ValueError(f"'{self.name}' says what follows an end and cannot name a step")
        return self

    @property
    def technique(self) -> str:
        return next(name for name in self.TECHNIQUES if getattr(self, name) is not None)


class ProtocolFile(Model):
    """A protocol: a title, what to record, limits, and the steps."""

    protocol: str = Field(description="title")
    source: str = Field("", description="where it was published")
    cell: str = Field("", description="the cell that it was published for; for the library, a cell's file")
    result: str = Field("", description="the published result that a run may be compared with")
    notes: str = ""
    parameters: dict[str, int | float | str] = Field(default_factory=dict)
    record: Record = Record()
    markers: tuple[MarkerRule, ...] = ()
    limits: LimitsModel = LimitsModel()
    steps: tuple[Step, ...] = Field(min_length=1)

    @field_validator("parameters", mode="before")
    @classmethod
    def _plain(cls, parameters: Any) -> Any:
        for name, value in parameters.items() if isinstance(parameters, dict) else ():
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                raise ValueError(f"parameter '{name}' is {value!r}; it should be a number or a text")
        return parameters
