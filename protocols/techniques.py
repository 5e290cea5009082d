"""Each technique of the language as operations of the program."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from protocols import language
from protocols.builder import Builder, Here, Loop
from protocols.ends import loop_ends, needs_state_of_charge, step_ends, time_end
from protocols.program import (
    DIRECTIONS,
    ChamberTemperature,
    Condition,
    ConstantCurrent,
    ConstantPower,
    ConstantResistance,
    ConstantVoltage,
    CurrentProfile,
    End,
    Kind,
    Marker,
    MarkerRule,
    MeasuredRate,
    Only,
    Quantity,
    Question,
    RecordRule,
    Repeat,
    StackPressure,
    Step,
    StoredProcedure,
    SweepPlan,
    VoltageRamp,
)
from protocols.quantities import Potential, QuantityError, Rate, rate

MOST_EXPANDED = 2000  # operations of one written step

Drives = ConstantCurrent | MeasuredRate | ConstantPower | ConstantResistance


def add_steps(builder: Builder, here: Here, steps: tuple[language.Step, ...]) -> None:
    """`here` is the place of the list; its label is what the steps' numbers begin with."""
    for index, step in enumerate(steps):
        number = f"{here.label}{index + 1}"
        place = here.at(index)
        if step.record is not None:
            place = replace(place, record=record_rule(step.record))
        if step.markers:
            place = replace(place, markers=markers(builder, place.at("markers"), step.markers))
        _add(builder, place, number, step)


def _add(builder: Builder, here: Here, number: str, step: language.Step) -> None:
    if step.name is not None:
        builder.name(here, step.name)
    past = builder.label()
    for key in ("every", "first", "after"):
        if (count := getattr(step, key)) is not None:
            _only(builder, here.at(key), key, count, past)
    if step.steps is not None:
        if step.markers:
            builder.say(here.at("markers"), "markers stand on a step with a technique, or at the top of the protocol")
        _group(builder, here, number, step)
    elif step.include is not None:
        _include(builder, here, number)
    else:
        body = getattr(step, step.technique)
        at = replace(here.at(step.technique), label=f"{number} {step.name or step.technique.replace('_', ' ')}")
        _TECHNIQUES[step.technique](builder, at, body)
    builder.put(past)


def _only(builder: Builder, here: Here, key: str, count: language.Counted, past: int) -> None:
    loop = None
    if count.passes:
        if not here.loops:
            builder.say(here, "passes are those of a loop, and there is none around this step; count cycles")
        else:
            loop = here.loops[-1].end
    builder.operations.append(Only(past, **{key: count.count}, loop=loop))


def _group(builder: Builder, here: Here, number: str, step: language.Step) -> None:
    assert step.steps is not None
    inside = replace(here.at("steps"), label=f"{number}.")
    if step.repeat is None:
        add_steps(builder, inside, step.steps)
        return
    loop = Loop(builder.label(), builder.label())
    start = len(builder.operations)
    add_steps(builder, replace(inside, loops=(*here.loops, loop)), step.steps)
    if not _always_does_something(builder, start):
        builder.say(here.at("steps"), "nothing in this loop is done in each pass; at least one step should be")
    ends = loop_ends(builder, here.at("until"), step.until, loop.after)
    builder.put(loop.end)
    builder.operations.append(Repeat(start, step.repeat, ends))
    builder.put(loop.after)


def _always_does_something(builder: Builder, start: int) -> bool:
    """Whether a step among the operations from `start` on is under no condition."""
    index = start
    while index < len(builder.operations):
        operation = builder.operations[index]
        if isinstance(operation, Step):
            return True
        index = builder.position(operation.past) if isinstance(operation, Only) else index + 1
    return False


def _include(builder: Builder, here: Here, number: str) -> None:
    source = here.source.includes[here.place]
    rule = record_rule(source.content.record) if source.states("record") else here.record
    if source.content.markers:
        said = (
            "a file that is included marks its steps; the markers at its top would count from another run's beginning"
        )
        builder.say(here.at("include"), said)
    scope = (*here.scope, "/".join(map(str, here.place)))
    inside = Here(source, ("steps",), f"{number}.", scope, here.loops, rule, here.markers)
    add_steps(builder, inside, source.content.steps)


# --- recording and marking


def record_rule(record: language.Record) -> RecordRule:
    changes, burst = record.changes(), record.burst
    return RecordRule(
        record.every,
        changes.voltage_V,
        changes.current_A,
        changes.pressure_Pa,
        changes.temperature_K,
        burst.every if burst else None,
        burst.duration if burst else 0.0,
    )


def markers(builder: Builder, here: Here, written: tuple[language.MarkerRule, ...]) -> tuple[MarkerRule, ...]:
    for index, rule in enumerate(written):
        if rule.state_of_charge is not None:
            needs_state_of_charge(builder, here.at(index, "state_of_charge"))
    return tuple(MarkerRule(m.name, m.trigger, m.at, m.every, m.state_of_charge or ()) for m in written)


def _marker(builder: Builder, here: Here, body: language.Marker) -> None:
    problem = here.problem("")
    builder.operations.append(Marker(body.name, body.trigger, problem.file, problem.line))


# --- rest and constant current, power, resistance


def _ends(
    builder: Builder, here: Here, body: language.Timed, kind: Kind, *, holds: bool = False, needed: bool = True
) -> tuple[End, ...]:
    ends = step_ends(builder, here.at("until"), body.until, kind, holds=holds)
    if body.duration is not None:
        ends = (time_end(body.duration), *ends)
    if needed and not ends:
        builder.say(here, "this step has no end; give 'for: 1 h' or 'until: {voltage: …}'")
    return ends


def _rest(builder: Builder, here: Here, body: language.Rest) -> None:
    builder.step(here, Kind.REST, ends=_ends(builder, here, body, Kind.REST))


def _charge(builder: Builder, here: Here, body: language.Drive) -> None:
    _drive(builder, here, body, Kind.CHARGE)


def _discharge(builder: Builder, here: Here, body: language.Drive) -> None:
    _drive(builder, here, body, Kind.DISCHARGE)


def _drive(builder: Builder, here: Here, body: language.Drive, kind: Kind) -> None:
    ends = _ends(builder, here, body, kind, holds=body.hold is not None)
    hold_V = builder.volts(here.at("hold"), body.hold) if body.hold is not None else None
    if hold_V is not None and not any(_ends_a_hold(end) for end in ends):
        builder.say(here, "a hold needs an end: a current ('until: {current: 0.05 C}') or a time")
    setpoint, detail = _driven(builder, here, body, kind, ends)
    builder.step(here, kind, setpoint, ends, hold_V=hold_V, detail=detail)


def _ends_a_hold(end: End) -> bool:
    """Whether it comes in a hold of itself: a voltage that is held does not reach another one."""
    beyond = (Quantity.VOLTAGE, Quantity.VOLTAGE_DROP, Quantity.SHORT_CIRCUIT)
    return all(condition.quantity not in beyond for condition in end.conditions)


def _driven(
    builder: Builder, here: Here, body: language.Drive, kind: Kind, ends: tuple[End, ...]
) -> tuple[Drives, str]:
    sign = float(DIRECTIONS[kind])
    if body.at is not None:
        return builder.rate(here.at("at"), body.at, sign), body.at.text
    if body.power is not None:
        _power_below_limit(builder, here.at("power"), body.power, ends)
        return ConstantPower(sign * body.power), f"{body.power * 1e3:g} mW"
    assert body.resistance is not None
    if kind is Kind.CHARGE:
        builder.say(here.at("resistance"), "a resistance is a load: it discharges only")
    elif math.isfinite(builder.limits.voltage_max_V):
        largest = builder.limits.voltage_max_V / body.resistance
        builder.below_limit(here.at("resistance"), largest, f"the current through {body.resistance:g} Ω at the limit")
    return ConstantResistance(body.resistance), f"{body.resistance:g} Ω"


def _power_below_limit(builder: Builder, here: Here, power_W: float, ends: tuple[End, ...]) -> None:
    """The current is largest at the lowest voltage that the step may come to."""
    conditions = [condition for end in ends for condition in end.conditions if len(end.conditions) == 1]
    lowest = [c.value for c in conditions if c.quantity is Quantity.VOLTAGE and not c.rising]
    low = max([builder.limits.voltage_min_V, *lowest])
    if low > 0:
        builder.below_limit(here, power_W / low, f"the current of {power_W * 1e3:g} mW at {low:g} V")


def _chronopotentiometry(builder: Builder, here: Here, body: language.Chronopotentiometry) -> None:
    text = body.at.strip()
    kind = Kind.DISCHARGE if text.startswith("-") else Kind.CHARGE
    try:
        current = rate(text.lstrip("+-").strip())
    except QuantityError as error:
        builder.say(here.at("at"), str(error))
        return
    setpoint = builder.rate(here.at("at"), current, float(DIRECTIONS[kind]))
    builder.step(here, kind, setpoint, _ends(builder, here, body, kind), detail=text)


def _profile(builder: Builder, here: Here, body: language.Profile) -> None:
    profile = here.source.profiles[here.place[:-1]]
    *times, last = profile.times_s
    largest = max(map(abs, profile.currents_A))
    builder.below_limit(here.at("file"), largest, "its largest current")
    ends = (*_ends(builder, here, body, Kind.PROFILE, needed=False), time_end(last))
    setpoint = CurrentProfile(tuple(times), profile.currents_A[:-1])
    builder.step(here, Kind.PROFILE, setpoint, ends, detail=body.file)


# --- constant and ramped voltage


def _hold(builder: Builder, here: Here, body: language.Hold) -> None:
    setpoint = _held(builder, here, body.at, body.limit)
    ends = _ends(builder, here, body, Kind.HOLD, holds=True)
    builder.step(here, Kind.HOLD, setpoint, ends, detail=body.at.text)


def _held(builder: Builder, here: Here, potential: Potential, limit: Rate | None) -> ConstantVoltage:
    current = builder.current_limit(here.at("limit"), limit)
    if potential.against.upper() == "OCV":
        return ConstantVoltage(potential.volts, current, above_rest=True)
    return ConstantVoltage(builder.volts(here.at("at"), potential), current)


def _linear_sweep(builder: Builder, here: Here, body: language.LinearSweep) -> None:
    end_V = builder.volts(here.at("to"), body.to)
    start_V = _start(builder, here.at("from"), body.start)
    _ramp(builder, here, body, start_V, end_V)


def _cyclic_voltammetry(builder: Builder, here: Here, body: language.CyclicVoltammetry) -> None:
    """From the start to the first vertex, then between both; back to the start at last, where it was given."""
    start_V = _start(builder, here.at("from"), body.start)
    to_V, back_V = builder.volts(here.at("to"), body.to), builder.volts(here.at("back"), body.back)
    if to_V == back_V:
        builder.say(here.at("back"), "both vertices are at the same potential")
    over = builder.label()
    _ramp(builder, here, body, start_V, to_V, over)
    if body.cycles > 1:
        begin = len(builder.operations)
        _ramp(builder, here, body, to_V, back_V, over)
        _ramp(builder, here, body, back_V, to_V, over)
        builder.operations.append(Repeat(begin, body.cycles - 1))
    _ramp(builder, here, body, to_V, back_V, over)
    if start_V is not None and start_V != back_V:
        _ramp(builder, here, body, back_V, start_V, over)
    builder.put(over)


def _start(builder: Builder, here: Here, potential: Potential | None) -> float | None:
    if potential is None:
        return None
    if potential.against.upper() == "OCV":
        if potential.volts:
            builder.say(here, "a sweep begins at the open-circuit voltage itself ('0 V vs OCV') or at a given one")
        return None
    return builder.volts(here, potential)


def _ramp(
    builder: Builder,
    here: Here,
    body: language.LinearSweep,
    start_V: float | None,
    end_V: float,
    over: int | None = None,
) -> None:
    if start_V == end_V:
        builder.say(here, f"this sweep goes nowhere: it begins and ends at {end_V:g} V")
    ends = step_ends(builder, here.at("until"), body.until, Kind.RAMP, holds=True, following=over)
    if body.duration is not None:
        ends = (time_end(body.duration, over), *ends)
    limit = builder.current_limit(here.at("limit"), body.limit)
    setpoint = VoltageRamp(start_V, end_V, body.rate, body.stair, limit)
    builder.step(here, Kind.RAMP, setpoint, ends, detail=f"to {end_V:g} V at {body.rate * 1e3:g} mV/s")


# --- impedance


def _impedance(builder: Builder, here: Here, body: language.Impedance) -> None:
    staircase = body.staircase
    if staircase is None:
        builder.step(here, Kind.IMPEDANCE, _sweep(builder, here, body, body.at))
    elif staircase.potential is not None:
        for index, potential in enumerate(staircase.potential):
            _at_potential(builder, here, body, index, potential, staircase.settle)
    else:
        _at_states_of_charge(builder, here, body, staircase)


def _sweep(builder: Builder, here: Here, body: language.Impedance, bias: Potential | None) -> SweepPlan:
    """From the first to the last frequency, both included, in equal steps of the logarithm."""
    peak_V = math.sqrt(2.0) * (body.amplitude.volts or 0.0)
    bias_V = None
    if bias is not None and not (bias.against.upper() == "OCV" and bias.volts == 0.0):
        bias_V = builder.volts(here.at("at"), bias, peak_V)
    peak_A = math.sqrt(2.0) * (body.amplitude.amperes or 0.0) + abs(body.bias_current or 0.0)
    builder.below_limit(here.at("amplitude"), peak_A, "the peak of amplitude and bias")
    return SweepPlan(_frequencies(body), body.amplitude.volts, bias_V, body.amplitude.amperes, body.bias_current or 0.0)


def _frequencies(body: language.Impedance) -> tuple[float, ...]:
    high, low = max(body.start, body.to), min(body.start, body.to)
    decades = math.log10(high) - math.log10(low)
    count = max(2, round(decades * body.points_per_decade) + 1) if high > low else 1
    falling = (*(high * 10 ** (-decades * i / (count - 1)) for i in range(count - 1)), low)
    return falling if body.start >= body.to else falling[::-1]


def _at_potential(
    builder: Builder, here: Here, body: language.Impedance, index: int, potential: Potential, settle_s: float
) -> None:
    at = here.at("staircase", "potential", index)
    held = ConstantVoltage(builder.volts(at, potential), builder.current_limit(here, _limit_of(body)))
    if settle_s:
        builder.step(here, Kind.HOLD, held, (time_end(settle_s),), detail=potential.text)
    builder.step(here, Kind.IMPEDANCE, _sweep(builder, at, body, potential), detail=potential.text)


def _limit_of(body: language.Impedance) -> Rate | None:
    return body.staircase.at if body.staircase is not None else None


def _at_states_of_charge(
    builder: Builder, here: Here, body: language.Impedance, staircase: language.StaircaseOf
) -> None:
    assert staircase.state_of_charge is not None and staircase.at is not None
    needs_state_of_charge(builder, here.at("staircase", "state_of_charge"))
    at = here.at("staircase", "at")
    for share in staircase.state_of_charge:
        detail = f"{share * 100:g} %"
        charge, discharge, there = builder.label(), builder.label(), builder.label()
        above, below = (Condition(Quantity.STATE_OF_CHARGE, rising, share) for rising in (True, False))
        # A moment of rest, whose first sample says which way to go.
        builder.step(here, Kind.REST, ends=(End((above,), discharge), End((below,), charge)), detail=f"before {detail}")
        builder.put(charge)
        builder.step(here, Kind.CHARGE, builder.rate(at, staircase.at), (End((above,), there),), detail=f"to {detail}")
        builder.put(discharge)
        setpoint = builder.rate(at, staircase.at, -1.0)
        builder.step(here, Kind.DISCHARGE, setpoint, (End((below,)),), detail=f"to {detail}")
        builder.put(there)
        if staircase.settle:
            builder.step(here, Kind.REST, ends=(time_end(staircase.settle),), detail=f"at {detail}")
        builder.step(here, Kind.IMPEDANCE, _sweep(builder, here, body, None), detail=f"at {detail}")


# --- titrations, pulses, ramps of current


def _gitt(builder: Builder, here: Here, body: language.Gitt) -> None:
    """Pulse and rest in turn; the end of a pulse that ends it all leads to the last rest."""
    kind = Kind(body.direction)
    last_rest, over = builder.label(), builder.label()
    ends = step_ends(builder, here.at("until"), body.until, kind, following=last_rest)
    if not ends:
        builder.say(here, "a titration needs an end, such as 'until: {voltage: 3.2 V}'")
    begin = len(builder.operations)
    setpoint = builder.rate(here.at("at"), body.at, float(DIRECTIONS[kind]))
    builder.step(here, kind, setpoint, (*ends, time_end(body.pulse)), detail=f"pulse {body.at.text}")
    _gitt_rest(builder, here, body)
    builder.operations.append(Repeat(begin, body.most))
    builder.operations.append(Only(over, first=0))  # never: after the last of the pulses allowed, its rest is made
    builder.put(last_rest)
    _gitt_rest(builder, here, body)
    builder.put(over)


def _gitt_rest(builder: Builder, here: Here, body: language.Gitt) -> None:
    ends = step_ends(builder, here.at("rest_until"), body.rest_until, Kind.REST)
    builder.step(here, Kind.REST, ends=(*ends, time_end(body.rest)), detail="rest")


def _pitt(builder: Builder, here: Here, body: language.Pitt) -> None:
    start_V, end_V = builder.volts(here.at("from"), body.start), builder.volts(here.at("to"), body.to)
    steps = math.ceil(abs(end_V - start_V) / body.step - 1e-9)
    if steps > MOST_EXPANDED:
        builder.say(here.at("step"), f"these are {steps} steps of potential; {MOST_EXPANDED} at most")
        return
    limit = builder.current_limit(here.at("limit"), body.limit)
    ends = step_ends(builder, here.at("until"), body.until, Kind.HOLD, holds=True)
    if body.duration is not None:
        ends = (*ends, time_end(body.duration))
    if not ends:
        builder.say(here, "each step of potential needs an end: 'for: 2 h' or 'until: {current: C/100}'")
    sign = math.copysign(1.0, end_V - start_V)
    for i in range(steps + 1):
        volts = end_V if i == steps else start_V + sign * i * body.step
        builder.step(here, Kind.HOLD, ConstantVoltage(volts, limit), ends, detail=f"{volts:.6g} V")


def _pulse(builder: Builder, here: Here, body: language.Pulse) -> None:
    fine = RecordRule(body.record)
    builder.step(here, Kind.REST, ends=(time_end(body.rest),), detail="rest before")
    for direction in ("discharge", "charge") if body.direction == "both" else (body.direction,):
        kind = Kind(direction)
        setpoint = builder.rate(here.at("at"), body.at, float(DIRECTIONS[kind]))
        ends = (*step_ends(builder, here.at("until"), body.until, kind), time_end(body.duration))
        builder.step(here, kind, setpoint, ends, detail=f"{direction} {body.at.text}", record=fine)
        builder.step(here, Kind.REST, ends=(time_end(body.rest),), detail="rest after", record=fine)


def _current_ramp(builder: Builder, here: Here, body: language.CurrentRamp) -> None:
    """Each current for a half-cycle in both directions; what stops it leads past all of them."""
    rates = _rates(builder, here, body)
    kinds = (Kind.DISCHARGE, Kind.CHARGE) if body.first == "discharge" else (Kind.CHARGE, Kind.DISCHARGE)
    over = builder.label()
    amount = builder.amount(here.at("capacity"), body.capacity) if body.capacity is not None else None
    for current in rates:
        for kind in kinds:
            stops = step_ends(builder, here.at("stop"), body.stop, kind, following=over)
            half = Condition(Quantity.TIME, True, body.duration or 0.0)
            if body.duration is None:
                half = Condition(Quantity.CAPACITY, True, amount or 0.0)
            setpoint = builder.rate(here.at("to"), current, float(DIRECTIONS[kind]))
            builder.step(here, kind, setpoint, (*stops, End((half,))), detail=f"{kind} {current.text}")
            if body.rest:
                builder.step(here, Kind.REST, ends=(time_end(body.rest),), detail="rest")
    builder.put(over)


def _rates(builder: Builder, here: Here, body: language.CurrentRamp) -> tuple[Rate, ...]:
    start, end, step = body.start, body.to, body.step
    if len({start.basis, end.basis, step.basis}) > 1 or start.of_step or end.of_step or step.of_step:
        builder.say(here, "'from', 'to' and 'step' are of one kind, such as all in mA/cm^2")
        return ()
    if not (step.value > 0 and 0 < start.value <= end.value):
        builder.say(here, "a ramp rises: 'from' is above zero and not above 'to', and 'step' is above zero")
        return ()
    count = math.floor((end.value - start.value) / step.value + 1e-9) + 1
    if 4 * count > MOST_EXPANDED:
        builder.say(here.at("step"), f"these are {count} currents; {MOST_EXPANDED // 4} at most")
        return ()
    number, unit = _number_and_unit(start)
    factor = number / start.value
    values = [start.value + i * step.value for i in range(count)]
    return tuple(Rate(value, start.basis, f"{value * factor:.6g} {unit}") for value in values)


def _number_and_unit(rate: Rate) -> tuple[float, str]:
    number, _, unit = rate.text.partition(" ")
    try:
        return float(number), unit
    except ValueError:
        return rate.value, "C"  # written 'C/10'


# --- surroundings, prompts


def _otherwise(builder: Builder, here: Here, body: language.Wait | language.Prompt, at_most_s: float) -> End:
    condition = Condition(Quantity.TIME, True, at_most_s)
    return End((condition,), builder.then(here.at("otherwise"), body.otherwise))


def _condition_pressure(builder: Builder, here: Here, body: language.PressureConditioning) -> None:
    conditions: list[Condition] = []
    if body.reach is not None:
        for key, rising in (("above", True), ("below", False)):
            if (value := getattr(body.reach, key)) is not None:
                builder.inside_pressure(here.at("reach", key), value)
                conditions.append(Condition(Quantity.PRESSURE, rising, value))
        if len(conditions) > 1:
            builder.say(here.at("reach"), "give 'above' or 'below'; what is above one is not below the other")
    if body.stable is not None:
        conditions.append(Condition(Quantity.PRESSURE_SLOPE, False, body.stable.below, body.stable.over))
    builder.step(here, Kind.REST, ends=(End(tuple(conditions)), _otherwise(builder, here, body, body.at_most)))


def _temperature(builder: Builder, here: Here, body: language.SetTemperature) -> None:
    builder.inside_temperature(here.at("set"), body.set)
    band = _band(Quantity.TEMPERATURE, body.set, body.within)
    ends = (End(band, for_s=body.duration), _otherwise(builder, here, body, body.at_most))
    builder.step(here, Kind.TEMPERATURE, ChamberTemperature(body.set), ends, detail=f"{body.set:g} °C")


def _stack_pressure(builder: Builder, here: Here, body: language.SetStackPressure) -> None:
    builder.inside_pressure(here.at("set"), body.set)
    band = _band(Quantity.PRESSURE, body.set, body.within)
    ends = (End(band, for_s=body.duration), _otherwise(builder, here, body, body.at_most))
    builder.step(here, Kind.STACK_PRESSURE, StackPressure(body.set), ends, detail=f"{body.set / 1e6:g} MPa")


def _band(quantity: Quantity, value: float, within: float) -> tuple[Condition, ...]:
    return (Condition(quantity, True, value - within), Condition(quantity, False, value + within))


def _prompt(builder: Builder, here: Here, body: language.Prompt) -> None:
    ends = () if body.at_most is None else (_otherwise(builder, here, body, body.at_most),)
    builder.step(here, Kind.PROMPT, Question(body.say), ends)


def _procedure(builder: Builder, here: Here, body: language.Procedure) -> None:
    builder.step(here, Kind.PROCEDURE, StoredProcedure(body.run), detail=body.run)


_TECHNIQUES: Mapping[str, Callable[[Builder, Here, Any], None]] = {
    "rest": _rest,
    "charge": _charge,
    "discharge": _discharge,
    "hold": _hold,
    "chronoamperometry": _hold,
    "chronopotentiometry": _chronopotentiometry,
    "linear_sweep": _linear_sweep,
    "cyclic_voltammetry": _cyclic_voltammetry,
    "impedance": _impedance,
    "gitt": _gitt,
    "pitt": _pitt,
    "pulse": _pulse,
    "current_ramp": _current_ramp,
    "profile": _profile,
    "condition_pressure": _condition_pressure,
    "temperature": _temperature,
    "stack_pressure": _stack_pressure,
    "prompt": _prompt,
    "procedure": _procedure,
    "marker": _marker,
}
