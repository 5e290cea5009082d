"""A program cut at what the station does itself: the parts, one after the other, are the program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.cell import parse_cell
from protocols.compile import parse_protocol
from protocols.document import DocumentError
from protocols.limits import Limits
from protocols.program import Kind, Program, Repeat, Step
from station import sequencer
from station.cycler_parts import Own, Part, cut, cut_at_procedures, different
from station.cycler_program import for_cycler
from station.sequencer import Phase

CELL = "cell: x\nnominal_capacity: 4 mAh\nactive_mass: 2 mg\nlimits: {voltage: [-0.1 V, 4.2 V], current: 10 mA}\n"
LIMITS = Limits(voltage_min_V=-0.1, voltage_max_V=4.2, current_max_A=0.01)
CHARGE = "charge: {at: 1 mA, for: 1 h, until: {voltage: 3.9 V}}"
DISCHARGE = "discharge: {at: 2 mA, until: {voltage: 2 V}}"
REST = "rest: {for: 1 min}"
SWEEP = "impedance: {from: 1 kHz, to: 1 Hz, amplitude: 10 mV}"


def compiled(*steps: str) -> Program:
    lines = "".join(f"  - {step}\n" for step in steps)
    return parse_protocol(f"protocol: x\nsteps:\n{lines}", "p.yaml").compile_for(parse_cell(CELL))


def kinds(part: Part) -> list[str]:
    """A part in short: `2x1` is a loop of two passes back to the second operation."""
    if isinstance(part, Step):
        return [f"({part.kind.value})"]
    if isinstance(part, Own):
        return [f"[{part.step.kind.value}]"]
    return [
        f"{one.count}x{one.start}" if isinstance(one, Repeat) else one.kind.value
        for one in part.operations
        if isinstance(one, Step | Repeat)
    ]


def executed(program: Program) -> Iterator[tuple[int, Kind]]:
    """What the sequencer does, step by step: its line, and its kind."""
    state = sequencer.begin(program, 0.0).state
    while state.phase is Phase.RUNNING:
        step = sequencer.current_step(program, state)
        yield step.line, step.kind
        state = sequencer.skip(program, state, 0.0).state


def strung(parts: Sequence[Part]) -> list[tuple[int, Kind]]:
    found: list[tuple[int, Kind]] = []
    for part in parts:
        found += [(part.line, part.kind)] if isinstance(part, Step) else executed(getattr(part, "program", part))
    return found


def test_a_program_without_a_sweep_is_one_part_as_it_is() -> None:
    program = compiled(f"{{repeat: 1000, steps: [{{{CHARGE}}}, {{{DISCHARGE}}}]}}")
    assert cut(program, measures_impedance=True) == (program,)


def test_a_sweep_in_each_pass_leaves_one_part_that_comes_again() -> None:
    program = compiled(REST, f"{{repeat: 3, steps: [{{{CHARGE}}}, {{{SWEEP}}}, {{{DISCHARGE}}}]}}")
    parts = cut(program, measures_impedance=True)
    assert [kinds(part) for part in parts] == [
        ["rest", "charge"],
        ["(impedance)"],
        ["discharge", "charge"],
        ["(impedance)"],
        ["discharge", "charge"],
        ["(impedance)"],
        ["discharge"],
    ]
    assert parts[2] is parts[4] and len(different(parts)) == 4


def test_cycles_between_sweeps_are_a_loop_again() -> None:
    sweep = f"{{{SWEEP}, every: 10 cycles}}"
    program = compiled(f"{{repeat: 25, steps: [{{{CHARGE}}}, {{{DISCHARGE}}}, {sweep}]}}")
    parts = cut(program, measures_impedance=True)
    assert [kinds(part) for part in parts] == [
        ["charge", "discharge", "10x0"],
        ["(impedance)"],
        ["charge", "discharge", "10x0"],
        ["(impedance)"],
        ["charge", "discharge", "5x0"],
    ]


def test_a_loop_within_a_loop_is_found_again() -> None:
    inner = f"{{repeat: 4, steps: [{{{CHARGE}}}, {{{DISCHARGE}}}]}}"
    program = compiled(f"{{repeat: 6, steps: [{inner}, {{{REST}}}]}}", SWEEP)
    assert [kinds(part) for part in cut(program, measures_impedance=True)] == [
        ["charge", "discharge", "4x0", "rest", "6x0"],
        ["(impedance)"],
    ]


def test_what_is_done_in_some_passes_only_is_written_out_without_any_sweep() -> None:
    program = compiled(f"{{repeat: 6, steps: [{{{CHARGE}}}, {{{DISCHARGE}}}, {{{REST}, every: 3 cycles}}]}}")
    (part,) = cut(program, measures_impedance=False)
    assert kinds(part) == ["charge", "discharge", "3x0", "rest", "2x0"]
    assert isinstance(part, Program) and for_cycler(part, LIMITS, 4e-3)


def test_what_is_around_the_cell_and_rests_that_the_cycler_cannot_end_are_the_station_s() -> None:
    slow = "rest: {for: 4 h, until: {dV/dt: 1 mV/h}}"
    program = compiled("temperature: {set: 30 degC}", CHARGE, slow, "prompt: look", REST, DISCHARGE)
    parts = cut(program, measures_impedance=False)
    assert [kinds(part) for part in parts] == [
        ["[temperature]"],
        ["charge"],
        ["[rest]"],
        ["[prompt]"],
        ["rest", "discharge"],
    ]


def test_an_end_that_names_the_next_step_is_said_by_the_place() -> None:
    program = compiled(
        SWEEP, "charge: {at: 1 mA, for: 1 h, until: {voltage: 3 V, then: pause}}", f"{{name: pause, {REST}}}"
    )
    part = cut(program, measures_impedance=True)[1]
    assert isinstance(part, Program) and for_cycler(part, LIMITS, 4e-3).steps[0].end_voltage_V == 3.0


@pytest.mark.parametrize(
    ("steps", "line", "words"),
    [
        ([SWEEP, "linear_sweep: {from: 1 V, to: 2 V, rate: 1 mV/s}"], 4, "makes no ramps"),
        (["rest: {for: 4 h, until: {dV/dt: 1 mV/h, then: end of run}}", SWEEP], 3, "leads to the next one or to"),
        ([SWEEP, "charge: {at: 1 mA, for: 1 h, until: {voltage: 3 V, then: end of run}}"], 4, "no 'then'"),
        ([SWEEP, "hold: {at: 3 V, limit: 1 mA, for: 1 h}"], 4, "must know the current's direction"),
        ([SWEEP, "marker: image"], 4, "makes no markers"),
        ([SWEEP, f"{{repeat: 9, steps: [{{{REST}}}], until: {{cycles: 3}}}}"], 4, "ends a loop after so many passes"),
        ([f"{{repeat: 30000, steps: [{{{REST}}}, {{{SWEEP}}}]}}"], 1, "more than 50000 steps"),
    ],
)
def test_what_cannot_be_said_is_named_once_with_its_line(steps: list[str], line: int, words: str) -> None:
    with pytest.raises(DocumentError, match=words) as caught:
        cut(compiled(*steps), measures_impedance=True)
    assert [problem.line for problem in caught.value.problems] == [line]


def test_a_sweep_where_nothing_measures_one_is_named() -> None:
    with pytest.raises(DocumentError, match=r"p.yaml:3:5: .*measures no impedance; bind an 'impedance' instrument"):
        cut(compiled(SWEEP), measures_impedance=False)


def test_procedures_are_parts_of_their_own() -> None:
    program = compiled(f"{{repeat: 2, steps: [{{procedure: A}}, {{{SWEEP}}}]}}", "procedure: B")
    parts = cut_at_procedures(program, measures_impedance=True)
    assert [kinds(part) for part in parts] == [
        ["procedure"],
        ["(impedance)"],
        ["procedure"],
        ["(impedance)"],
        ["procedure"],
    ]
    assert parts[0] is parts[2] and parts[0] is not parts[4]
    with pytest.raises(DocumentError, match=r"p.yaml:3:\d+: this channel has no impedance instrument; bind one"):
        cut_at_procedures(program, measures_impedance=False)


EVERY = (f"{REST}, every: 2 cycles", f"{SWEEP}, every: 3 cycles")
STEPS = st.sampled_from([REST, CHARGE, DISCHARGE, SWEEP, "prompt: look", "temperature: {set: 30 degC}", *EVERY])


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    bodies = st.lists(inner, min_size=1, max_size=3).map(lambda body: [REST, *body])  # one step in each pass
    return st.builds(
        lambda n, body: f"repeat: {n}, steps: [{', '.join(f'{{{x}}}' for x in body)}]", st.integers(1, 5), bodies
    )


@settings(deadline=None)
@given(st.lists(st.recursive(STEPS, nested, max_leaves=5), min_size=1, max_size=4))
def test_the_parts_strung_together_are_the_program(steps: list[str]) -> None:
    program = compiled(*(f"{{{step}}}" for step in steps))
    parts = cut(program, measures_impedance=True)
    assert strung(parts) == list(executed(program))
