"""Random protocols as trees, the way they are written: made into programs, and read as a person reads them.

The reader knows nothing of operations and jumps. It goes through the tree, counts passes and cycles for itself,
and so says which step follows when one has ended by a given end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random

from protocols.limits import Limits
from protocols.program import (
    DIRECTIONS,
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
    Operation,
    Program,
    Quantity,
    Question,
    RecordRule,
    Repeat,
    Setpoint,
    ShortCriteria,
    Step,
    SweepPlan,
    Then,
    VoltageRamp,
)

FILE = "random.yaml"
LIMIT_A = 0.012
CAPACITY_AH = 3e-5
LONGEST_S = 30.0


class Way(StrEnum):
    """Where an end leads, as it is written; None is the next step, and a `Leaf` is that one."""

    OUT = "end of loop"
    PASS = "next pass"
    FINISH = "end of run"
    TRIP = "trip"


@dataclass(eq=False)
class Leaf:
    step: Step
    ways: list[Leaf | Way | None] = field(default_factory=list)
    every: int = 1
    first: int | None = None
    after: int = 0
    by_passes: bool = False
    rate: tuple[float, Leaf] | None = None  # per hour, of a measured step

    @property
    def guarded(self) -> bool:
        return self.every > 1 or self.first is not None or self.after > 0

    def comes(self, number: int) -> bool:
        return not number % self.every and number > self.after and (self.first is None or number <= self.first)


@dataclass(eq=False)
class Note:
    name: str
    trigger: bool


@dataclass(eq=False)
class Loop:
    count: int
    body: list[Node]
    ends: list[End] = field(default_factory=list)
    ways: list[Leaf | Way | None] = field(default_factory=list)


Node = Leaf | Note | Loop


@dataclass
class Written:
    """A tree, where each node stands in it, and the program that was made of it."""

    tree: list[Node]
    around: dict[Node, Loop | None]
    program: Program
    names: dict[str, Leaf]

    def siblings(self, node: Node) -> list[Node]:
        loop = self.around[node]
        return self.tree if loop is None else loop.body

    def loops_around(self, node: Node) -> Iterator[Loop]:
        loop = self.around[node]
        while loop is not None:
            yield loop
            loop = self.around[loop]


# --- making one


def random_protocol(random: Random) -> Written:
    tree = _nodes(random, depth=0)
    around = dict(_arounds(tree, None))
    leaves = [node for node in around if isinstance(node, Leaf)]
    if not leaves:
        leaves = [_leaf(random)]
        tree.append(leaves[0])
        around[leaves[0]] = None
    for node in around:
        if isinstance(node, Leaf):
            inside = around[node] is not None
            node.ways = [_way(random, leaves, inside=inside) for _ in node.step.ends]
            node.by_passes = inside and random.random() < 0.5
            if isinstance(node.step.setpoint, ConstantCurrent) and random.random() < 0.15:
                sign = DIRECTIONS[node.step.kind]
                node.rate = sign * random.choice([1.0, 20.0, 200.0, 1000.0]), random.choice(leaves)
        elif isinstance(node, Loop):
            node.ways = [_way(random, leaves, inside=around[node] is not None) for _ in node.ends]
    return _compiled(random, tree, around)


def _nodes(random: Random, depth: int) -> list[Node]:
    nodes = [_node(random, depth) for _ in range(random.randint(1, 3))]
    if depth and random.random() < 0.6:  # so that there are cycles
        pair: list[Node] = [Leaf(_step(random, Kind.DISCHARGE)), Leaf(_step(random, Kind.CHARGE))]
        nodes += pair if random.random() < 0.5 else pair[::-1]
    return nodes


def _node(random: Random, depth: int) -> Node:
    kind = random.random()
    if kind < 0.1:
        return Note(f"note {random.randint(1, 9)}", random.random() < 0.5)
    if kind < 0.6 and depth < 3:
        ends = [_loop_end(random) for _ in range(random.choice([0, 0, 1, 2]))]
        return Loop(random.choice([1, 2, 3, 4, 8]), _nodes(random, depth + 1), ends)
    return _leaf(random)


def _leaf(random: Random) -> Leaf:
    leaf = Leaf(_step(random))
    if random.random() < 0.25:
        leaf.every = random.randint(1, 3)
        leaf.first = random.choice([None, None, 1, 3])
        leaf.after = random.choice([0, 0, 1])
    return leaf


def _arounds(nodes: Sequence[Node], loop: Loop | None) -> Iterator[tuple[Node, Loop | None]]:
    for node in nodes:
        yield node, loop
        if isinstance(node, Loop):
            yield from _arounds(node.body, node)


def _way(random: Random, leaves: Sequence[Leaf], *, inside: bool) -> Leaf | Way | None:
    dice = random.random()
    if dice < 0.7:
        return None
    if dice < 0.9:
        return random.choice([Way.OUT, Way.PASS]) if inside else None
    if dice < 0.99:
        return random.choice(leaves)
    return random.choice([Way.FINISH, Way.TRIP])


# --- steps


def _step(random: Random, kind: Kind | None = None) -> Step:
    kind = kind or random.choice([Kind.CHARGE, Kind.DISCHARGE, Kind.CHARGE, Kind.DISCHARGE, *Kind])
    setpoint = _setpoint(random, kind)
    ends = [End((_condition(random),), for_s=random.choice([0.0, 0.0, 0.0, 3.0])) for _ in range(random.randint(0, 2))]
    if random.random() < 0.2:
        ends.append(End((_condition(random), _condition(random))))
    random.shuffle(ends)
    ends.append(End((Condition(Quantity.TIME, True, random.uniform(0.5, LONGEST_S)),)))
    hold_V = None
    if isinstance(setpoint, ConstantCurrent) and random.random() < 0.3:
        hold_V = random.uniform(1.5, 4.0)
    record = RecordRule(random.uniform(0.5, 10.0)) if random.random() < 0.1 else None
    markers = tuple(_rule(random) for _ in range(random.choice([0, 0, 0, 1, 2])))
    ends_ = () if kind is Kind.IMPEDANCE else tuple(ends)
    return Step(kind, "", FILE, 1, setpoint, hold_V, ends_, record, markers)


def _setpoint(random: Random, kind: Kind) -> Setpoint | None:
    sign = DIRECTIONS.get(kind, 0)
    current_A = random.choice(
        [1e-3, 5e-3, random.uniform(1e-4, 1e-2), random.uniform(1e-4, 1e-2), random.uniform(1e-4, 1.3e-2)]
    )
    volts = random.uniform(1.0, 4.0)
    limit_A = random.choice([None, random.uniform(1e-3, 1e-2)])
    match kind:
        case Kind.CHARGE | Kind.DISCHARGE:
            options: list[Setpoint] = [ConstantCurrent(sign * current_A)] * 3
            options.append(ConstantPower(sign * random.uniform(1e-3, 1.5e-2)))
            if sign < 0:
                options.append(ConstantResistance(random.uniform(300.0, 5000.0)))
            return random.choice(options)
        case Kind.PROFILE:
            times = sorted({0.0, *(random.uniform(0.0, LONGEST_S) for _ in range(3))})
            return CurrentProfile(tuple(times), tuple(random.choice([0.0, 3e-3, -2e-3]) for _ in times))
        case Kind.HOLD:
            if random.random() < 0.3:
                return ConstantVoltage(random.uniform(-0.1, 0.1), limit_A, above_rest=True)
            return ConstantVoltage(volts, limit_A)
        case Kind.RAMP:
            start_V = random.choice([None, random.uniform(1.0, 4.0)])
            return VoltageRamp(start_V, volts, random.uniform(0.05, 1.0), random.uniform(0.02, 0.3), limit_A)
        case Kind.IMPEDANCE:
            return SweepPlan((1e3, 1.0), 0.01)
        case Kind.PROMPT:
            return Question("Well?")
        case _:
            return None


def _condition(random: Random) -> Condition:
    rising = random.random() < 0.5
    quantity = random.choice([q for q in Quantity if q is not Quantity.TIME])
    value, window_s, reference = 0.0, 0.0, 0
    match quantity:
        case Quantity.VOLTAGE:
            value = random.uniform(1.0, 4.0)
        case Quantity.CURRENT:
            rising, value = rising and random.random() < 0.2, random.uniform(1e-5, 5e-3)
        case Quantity.CAPACITY | Quantity.TOTAL_CAPACITY:
            rising, value = True, random.uniform(1e-6, 1e-4)
        case Quantity.ENERGY:
            rising, value = True, random.uniform(1e-6, 1e-4)
        case Quantity.NET_CAPACITY:
            value = random.uniform(-5e-5, 5e-5)
        case Quantity.STATE_OF_CHARGE:
            value = random.uniform(0.0, 1.0)
        case Quantity.VOLTAGE_SLOPE | Quantity.CURRENT_SLOPE | Quantity.PRESSURE_SLOPE:
            rising, window_s = False, random.uniform(2.0, 10.0)
            typical = {Quantity.VOLTAGE_SLOPE: 1e-2, Quantity.CURRENT_SLOPE: 1e-4}.get(quantity, 1e3)
            value = typical * random.uniform(0.5, 1.5)
        case Quantity.VOLTAGE_DROP:
            rising, value = True, random.uniform(0.05, 1.0)
        case Quantity.TEMPERATURE:
            value = random.uniform(20.0, 30.0)
        case Quantity.PRESSURE:
            value = random.uniform(1e5, 4e5)
        case Quantity.PRESSURE_CHANGE:
            rising, value = True, random.uniform(1e4, 1e5)
        case Quantity.RETENTION:
            rising, value, reference = False, random.uniform(0.2, 1.2), random.randint(1, 3)
        case Quantity.EFFICIENCY:
            value = random.uniform(0.3, 1.5)
        case Quantity.SHORT_CIRCUIT:
            return Condition(quantity, True, 1.0, short=ShortCriteria(drop=random.uniform(0.05, 0.5), settle_s=1.0))
        case _:
            rising, value = True, random.randint(1, 6)
    return Condition(quantity, rising, value, window_s, reference)


LOOP_QUANTITIES = (
    Quantity.CYCLE,
    Quantity.RETENTION,
    Quantity.EFFICIENCY,
    Quantity.TOTAL_CAPACITY,
    Quantity.NET_CAPACITY,
    Quantity.STATE_OF_CHARGE,
)


def _loop_end(random: Random) -> End:
    while (condition := _condition(random)).quantity not in LOOP_QUANTITIES:
        pass
    return End((condition,))


def _rule(random: Random) -> MarkerRule:
    name, trigger = f"rule {random.randint(1, 9)}", random.random() < 0.5
    match random.randint(1, 3):
        case 1:
            return MarkerRule(name, trigger, at_s=random.uniform(0.0, LONGEST_S))
        case 2:
            return MarkerRule(name, trigger, every_s=random.uniform(1.0, LONGEST_S))
        case _:
            return MarkerRule(name, trigger, states_of_charge=(random.random(), random.random()))


# --- from tree to program


def _compiled(random: Random, tree: list[Node], around: dict[Node, Loop | None]) -> Written:
    begins: dict[Node, int] = {}
    ends: dict[Node, int] = {}
    _lay_out(tree, 0, begins, ends)
    written = [node for node in around if isinstance(node, Leaf)]

    def target(way: Leaf | Way | None, loop: Loop | None) -> int | Then | None:
        match way:
            case Leaf():
                return begins[way]
            case Way.FINISH:
                return Then.FINISH
            case Way.TRIP:
                return Then.TRIP
            case None:
                return None
            case _:
                assert loop is not None
                return ends[loop] + 1 if way is Way.OUT else ends[loop]

    operations: dict[int, Operation] = {}
    names: dict[str, Leaf] = {}
    for node, loop in around.items():
        match node:
            case Note():
                operations[begins[node]] = Marker(node.name, node.trigger, FILE, 1)
            case Loop():
                leads = [replace(e, then=target(w, loop)) for e, w in zip(node.ends, node.ways, strict=True)]
                operations[ends[node]] = Repeat(begins[node], node.count, tuple(leads))
            case Leaf():
                index = ends[node]
                if node.guarded:
                    passes = ends[loop] if node.by_passes and loop is not None else None
                    operations[begins[node]] = Only(index + 1, node.every, node.first, node.after, passes)
                step = node.step
                leads = [replace(e, then=target(w, loop)) for e, w in zip(step.ends, node.ways, strict=True)]
                setpoint = MeasuredRate(node.rate[0], ends[node.rate[1]]) if node.rate else step.setpoint
                name = f"{index} {step.kind}"
                names[name] = node
                operations[index] = replace(step, name=name, setpoint=setpoint, ends=tuple(leads))
    rule = RecordRule(
        random.uniform(0.5, 20.0),
        voltage_V=random.choice([None, 0.05]),
        burst_every_s=random.choice([None, 0.5]),
        burst_s=2.0,
    )
    program = Program(
        title="random",
        file=FILE,
        operations=tuple(operations[index] for index in range(len(operations))),
        record=rule,
        limits=Limits(),
        markers=tuple(_rule(random) for _ in range(random.choice([0, 0, 1, 2]))),
        capacity_Ah=random.choice([None, CAPACITY_AH]),
        state_of_charge=random.choice([None, 0.5]),
        current_max_A=LIMIT_A,
    )
    assert len(names) == len(written)
    return Written(tree, around, program, names)


def _lay_out(nodes: Sequence[Node], index: int, begins: dict[Node, int], ends: dict[Node, int]) -> int:
    for node in nodes:
        begins[node] = index
        if isinstance(node, Loop):
            index = _lay_out(node.body, index, begins, ends)
        elif isinstance(node, Leaf) and node.guarded:
            index += 1
        ends[node] = index
        index += 1
    return index


# --- reading one


class Unending(Exception):
    """Loops that do nothing, for ever."""


@dataclass
class Reader:
    """Goes through a written protocol from step to step. `sums` gives net and total charge by now, in Ah."""

    written: Written
    sums: Callable[[], tuple[float, float]]
    passes: dict[Loop, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    first: int = 0
    last: int = 0
    halves: list[float] = field(default_factory=lambda: [0.0, 0.0])
    whole: list[tuple[float, float]] = field(default_factory=list)
    hops: int = 0
    stopped_after: Node | None = None

    @property
    def cycle(self) -> int:
        return len(self.whole) + 1

    def begin(self) -> Leaf | Way:
        return self._go(lambda: self._on(self.written.tree[0]))

    def leave(self, leaf: Leaf, charge_Ah: float, way: Leaf | Way | None) -> Leaf | Way:
        """What follows a step that passed so much charge and ended by an end that leads this way."""
        if self.last:
            self.halves[self.last != self.first] += self.last * charge_Ah
        return self._go(lambda: self._led(way, leaf))

    def go_on(self) -> Leaf | Way:
        """After a trip at the end of a loop."""
        node, self.stopped_after = self.stopped_after, None
        assert node is not None
        return self._go(lambda: self._after(node))

    def _go(self, way: Callable[[], Leaf | Way | Callable[[], object]]) -> Leaf | Way:
        """To the next step; on it, the cycle is counted."""
        self.hops = 0
        found: object = way
        while callable(found):
            self.hops += 1
            if self.hops > 30_000:
                raise Unending
            found = found()
        assert isinstance(found, Leaf | Way)
        if isinstance(found, Leaf):
            self._count(DIRECTIONS.get(found.step.kind, 0))
        return found

    def _count(self, direction: int) -> None:
        self.first = self.first or direction
        if direction and direction == self.first and self.last == -self.first:
            self.whole.append((self.halves[0], self.halves[1]))
            self.halves = [0.0, 0.0]
        self.last = direction or self.last

    def _on(self, node: Node) -> Leaf | Callable[[], object]:
        match node:
            case Loop():
                return lambda: self._on(node.body[0])
            case Note():
                self.notes.append(node.name)
                return lambda: self._after(node)
            case Leaf():
                loop = self.written.around[node]
                number = self.passes.get(loop, 0) + 1 if node.by_passes and loop is not None else self.cycle
                return node if not node.guarded or node.comes(number) else lambda: self._after(node)

    def _after(self, node: Node) -> Way | Callable[[], object]:
        siblings = self.written.siblings(node)
        place = siblings.index(node)
        if place + 1 < len(siblings):
            return lambda: self._on(siblings[place + 1])
        loop = self.written.around[node]
        return Way.FINISH if loop is None else lambda: self._end_of_pass(loop)

    def _end_of_pass(self, loop: Loop) -> Leaf | Way | Callable[[], object]:
        for end, way in zip(loop.ends, loop.ways, strict=True):
            if all(self._is_met(condition) for condition in end.conditions):
                if not isinstance(way, Leaf):  # that may lead back into this very pass
                    self.passes[loop] = 0
                return self._led(way, loop)
        self.passes[loop] = self.passes.get(loop, 0) + 1
        if self.passes[loop] < loop.count:
            return lambda: self._on(loop.body[0])
        self.passes[loop] = 0
        return lambda: self._after(loop)

    def _led(self, way: Leaf | Way | None, node: Node) -> Leaf | Way | Callable[[], object]:
        loop = self.written.around[node]
        match way:
            case None:
                return lambda: self._after(node)
            case Leaf():
                inside = set(self.written.loops_around(way))
                self.passes = {one: count for one, count in self.passes.items() if one in inside}
                return lambda: self._on(way)
            case Way.OUT:
                assert loop is not None
                self.passes[loop] = 0
                return lambda: self._after(loop)
            case Way.PASS:
                assert loop is not None
                return lambda: self._end_of_pass(loop)
            case Way.TRIP:
                self.stopped_after = node
                return Way.TRIP
            case _:
                return Way.FINISH

    def _is_met(self, condition: Condition) -> bool:
        net_Ah, total_Ah = self.sums()
        whole = (
            [*self.whole, (self.halves[0], self.halves[1])] if self.last and self.last == -self.first else self.whole
        )
        program = self.written.program
        value: float | None = None
        match condition.quantity:
            case Quantity.CYCLE:
                value = len(whole)
            case Quantity.EFFICIENCY:
                value = whole[-1][1] / whole[-1][0] if whole and whole[-1][0] > 0 else None
            case Quantity.RETENTION:
                known = 0 < condition.reference_cycle <= len(whole)
                reference = whole[condition.reference_cycle - 1][1] if known else 0.0
                value = whole[-1][1] / reference if reference > 0 else None
            case Quantity.TOTAL_CAPACITY:
                value = total_Ah
            case Quantity.NET_CAPACITY:
                value = net_Ah
            case Quantity.STATE_OF_CHARGE:
                if program.state_of_charge is not None and program.capacity_Ah:
                    value = program.state_of_charge + net_Ah / program.capacity_Ah
        return value is not None and condition.met_by(value)
