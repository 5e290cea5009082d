"""End conditions, from the language's words to the program's."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.builder import Builder, Here
from protocols.language import AnyOf, Bounds, Ends, ShortCircuitEnd, StateOfChargeEnd, Until, VoltageEnd
from protocols.program import DIRECTIONS, WITHOUT_CURRENT, Condition, End, Kind, Quantity, ShortCriteria

_SLOPES = {
    "dV_dt": ("dV/dt", Quantity.VOLTAGE_SLOPE),
    "dI_dt": ("dI/dt", Quantity.CURRENT_SLOPE),
    "dp_dt": ("dp/dt", Quantity.PRESSURE_SLOPE),
}
_OF_LOOPS = (
    Quantity.RETENTION,
    Quantity.EFFICIENCY,
    Quantity.CYCLE,
    Quantity.TOTAL_CAPACITY,
    Quantity.NET_CAPACITY,
    Quantity.STATE_OF_CHARGE,
)


def time_end(seconds: float, then: int | None = None) -> End:
    return End((Condition(Quantity.TIME, True, seconds),), then)


def step_ends(
    builder: Builder, here: Here, until: Until, kind: Kind, *, holds: bool = False, following: int | None = None
) -> tuple[End, ...]:
    """Ends of a step; `holds` says that it holds a voltage, `following` what 'next' means."""
    found: list[End] = []
    for where, any_of in _each(here, until):
        then = builder.then(where.at("then"), any_of.then, following)
        held = any_of.held or 0.0
        for conditions in _groups(builder, where, any_of, kind, holds):
            found.append(End(conditions, then, held))
    return tuple(found)


def loop_ends(builder: Builder, here: Here, until: Until, after: int) -> tuple[End, ...]:
    """Ends of a loop, looked at after each pass; 'next' leaves it."""
    ends = step_ends(builder, here, until, Kind.REST, following=after)
    if any(condition.quantity not in _OF_LOOPS for end in ends for condition in end.conditions):
        known = ", ".join(quantity.value for quantity in _OF_LOOPS)
        builder.say(
            here, f"a loop ends after a pass by {known}; other ends belong to its steps, with 'then: end of loop'"
        )
    if any(end.for_s for end in ends):
        builder.say(here, "a loop looks at its ends once a pass; 'for' belongs to the ends of a step")
    return ends


def _each(here: Here, until: Until) -> Iterator[tuple[Here, AnyOf]]:
    for index, any_of in enumerate(until):
        yield here.at(index), any_of


def _groups(builder: Builder, here: Here, any_of: AnyOf, kind: Kind, holds: bool) -> Iterator[tuple[Condition, ...]]:
    found = False
    for condition in _conditions(builder, here, any_of, kind, holds):
        found = True
        yield (condition,)
    if any_of.all is not None:
        found = True
        together = tuple(_conditions(builder, here.at("all"), any_of.all, kind, holds))
        if not together and not builder.problems:
            builder.say(here.at("all"), "'all' names no quantity")
        yield together
    if not found and not builder.problems:
        builder.say(here, "this end names no quantity; give one, such as 'voltage: 2 V' or 'time: 1 h'")


def _conditions(builder: Builder, here: Here, ends: Ends, kind: Kind, holds: bool) -> Iterator[Condition]:
    if ends.time is not None:
        yield Condition(Quantity.TIME, True, ends.time)
    if ends.voltage is not None:
        yield _voltage(builder, here.at("voltage"), ends.voltage, kind)
    yield from _of_flow(builder, here, ends, kind, holds)
    yield from _of_run(builder, here, ends)
    if ends.state_of_charge is not None:
        yield from _state_of_charge(builder, here.at("state_of_charge"), ends.state_of_charge, kind)
    for name, (key, quantity) in _SLOPES.items():
        if (slope := getattr(ends, name)) is not None:
            if quantity is Quantity.CURRENT_SLOPE and not holds:
                builder.say(here.at(key), "dI/dt ends a hold of constant voltage only")
            yield Condition(quantity, False, slope.below, slope.over)
    if ends.voltage_drop is not None:
        yield Condition(Quantity.VOLTAGE_DROP, True, ends.voltage_drop)
    if ends.pressure_change is not None:
        yield Condition(Quantity.PRESSURE_CHANGE, True, ends.pressure_change)
    if ends.short_circuit is not None:
        yield _short_circuit(builder, here.at("short_circuit"), ends.short_circuit, kind)
    yield from _surroundings(builder, here, ends)


def _voltage(builder: Builder, here: Here, end: VoltageEnd, kind: Kind) -> Condition:
    if end.at is not None:
        if kind not in DIRECTIONS:
            builder.say(here, f"a {kind} has no direction; say {{above: …}} or {{below: …}}")
        return Condition(Quantity.VOLTAGE, kind is Kind.CHARGE, builder.volts(here, end.at))
    rising = end.above is not None
    value = end.above or end.below
    assert value is not None
    return Condition(Quantity.VOLTAGE, rising, builder.volts(here.at("above" if rising else "below"), value))


def _short_circuit(builder: Builder, here: Here, end: ShortCircuitEnd, kind: Kind) -> Condition:
    if kind not in DIRECTIONS:
        builder.say(here, f"a {kind} shows no short circuit: it is seen while a constant current flows")
    signs = ShortCriteria(
        drop=end.drop,
        reference_s=end.over,
        noise=end.noise,
        noise_s=end.over,
        swing=end.swing,
        swings=end.swings,
        within_s=end.within,
    )
    return Condition(Quantity.SHORT_CIRCUIT, True, 1.0, short=signs)


def _of_flow(builder: Builder, here: Here, ends: Ends, kind: Kind, holds: bool) -> Iterator[Condition]:
    """Ends by current, charge and energy of the step."""
    if ends.current is not None:
        if not holds:
            builder.say(here.at("current"), "a current ends a hold of constant voltage only")
        current = builder.current(here.at("current"), ends.current)
        if current is not None and current <= 0:
            builder.say(here.at("current"), "the current that ends a hold is a magnitude above zero")
        yield Condition(Quantity.CURRENT, False, current or 0.0)
    if ends.capacity is not None:
        if kind in WITHOUT_CURRENT:
            builder.say(here.at("capacity"), f"a {kind} passes no charge; give it a time")
        yield Condition(Quantity.CAPACITY, True, builder.amount(here.at("capacity"), ends.capacity) or 0.0)
    if ends.energy is not None:
        if kind in WITHOUT_CURRENT:
            builder.say(here.at("energy"), f"a {kind} passes no energy; give it a time")
        yield Condition(Quantity.ENERGY, True, ends.energy)


def _of_run(builder: Builder, here: Here, ends: Ends) -> Iterator[Condition]:
    """Ends by what the run has done so far."""
    if ends.total_capacity is not None:
        amount = builder.amount(here.at("total_capacity"), ends.total_capacity)
        yield Condition(Quantity.TOTAL_CAPACITY, True, amount or 0.0)
    if ends.net_capacity is not None:
        yield from _bounds(ends.net_capacity, Quantity.NET_CAPACITY)
    if ends.retention is not None:
        reference = ends.retention.of_cycle
        yield Condition(Quantity.RETENTION, False, ends.retention.below, reference_cycle=reference)
    if ends.efficiency is not None:
        yield from _bounds(ends.efficiency, Quantity.EFFICIENCY)
    if ends.cycles is not None:
        yield Condition(Quantity.CYCLE, True, float(ends.cycles))


def _bounds(end: Bounds, quantity: Quantity) -> Iterator[Condition]:
    for key, rising in (("above", True), ("below", False)):
        if (value := getattr(end, key)) is not None:
            yield Condition(quantity, rising, value)


def _state_of_charge(builder: Builder, here: Here, end: StateOfChargeEnd, kind: Kind) -> Iterator[Condition]:
    needs_state_of_charge(builder, here)
    if end.at is not None:
        if kind not in DIRECTIONS:
            builder.say(here, f"a {kind} has no direction; say {{above: …}} or {{below: …}}")
        yield Condition(Quantity.STATE_OF_CHARGE, kind is Kind.CHARGE, end.at)
        return
    rising = end.above is not None
    value = end.above if end.above is not None else end.below
    assert value is not None
    yield Condition(Quantity.STATE_OF_CHARGE, rising, value)


def needs_state_of_charge(builder: Builder, here: Here) -> None:
    cell = builder.cell
    if cell.state_of_charge is None:
        said = "needs the cell's 'state_of_charge' when the run begins, such as '0 %'"
    elif cell.capacity_Ah is None:
        said = "needs the cell's nominal_capacity (or specific_capacity and active_mass)"
    else:
        return
    builder.say(here, f"a state of charge {said}; cell '{cell.cell}' does not give it")


def _surroundings(builder: Builder, here: Here, ends: Ends) -> Iterator[Condition]:
    if ends.temperature is not None:
        for condition in _bounds(ends.temperature, Quantity.TEMPERATURE):
            builder.inside_temperature(here.at("temperature"), condition.value)
            yield condition
    if ends.pressure is not None:
        for condition in _bounds(ends.pressure, Quantity.PRESSURE):
            builder.inside_pressure(here.at("pressure", "above" if condition.rising else "below"), condition.value)
            yield condition
