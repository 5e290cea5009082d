"""A protocol in the terms of a cycler that runs alone, or a word on each step that it cannot say."""

from __future__ import annotations

import re

import pytest
from pytest import approx

from drivers.interface import CyclerStep, Protection, StepKind
from drivers.neware_stepfile import wire_steps
from protocols.cell import parse_cell
from protocols.compile import parse_protocol, read_protocol
from protocols.document import DocumentError
from protocols.library import path
from protocols.limits import Limits
from protocols.program import Program
from station.cycler_program import for_cycler, largest_current_A

CELL = "cell: x\nnominal_capacity: 4 mAh\nactive_mass: 2 mg\nlimits: {voltage: [-0.1 V, 4.2 V], current: 10 mA}\n"
LIMITS = Limits(voltage_min_V=-0.1, voltage_max_V=4.2, current_max_A=0.01)


def compiled(steps: str) -> Program:
    text = "protocol: x\nrecord: {every: 10 s, change: [5 mV]}\nsteps:\n" + steps
    return parse_protocol(text, "p.yaml").compile_for(parse_cell(CELL))


def said(*steps: str) -> tuple[CyclerStep, ...]:
    program = for_cycler(compiled("".join(f"  - {step}\n" for step in steps)), LIMITS, 4e-3)
    assert wire_steps(program)  # what is said here, a NEWARE step file can write
    return program.steps


def test_each_kind_of_step() -> None:
    assert said(
        "rest: {for: 1 h}",
        "charge: {at: 1 mA, for: 2 h, until: {voltage: 3.9 V}}",
        "discharge: {at: 2 mA, until: {voltage: 2 V}}",
        "charge: {at: 1 mA, hold: 3.9 V, until: {current: 0.1 mA}}",
    ) == (
        CyclerStep(StepKind.REST, end_time_s=3600.0),
        CyclerStep(StepKind.CC, 1e-3, end_time_s=7200.0, end_voltage_V=3.9),
        CyclerStep(StepKind.CC, -2e-3, end_voltage_V=2.0),
        CyclerStep(StepKind.CCCV, 1e-3, 3.9, end_current_A=approx(1e-4)),
    )


def test_operation_n_is_step_n_plus_1_loops_included() -> None:
    steps = said(
        "rest: {for: 1 s}",
        "{repeat: 3, steps: [{charge: {at: 1 mA, for: 1 s}}, {repeat: 2, steps: [rest: {for: 2 s}]}]}",
    )
    assert [one.kind for one in steps] == [StepKind.REST, StepKind.CC, StepKind.REST, StepKind.LOOP, StepKind.LOOP]
    assert (steps[3].loop_to, steps[3].loop_count) == (3, 2)
    assert (steps[4].loop_to, steps[4].loop_count) == (2, 3)


def test_a_hold_goes_in_the_direction_of_the_step_before() -> None:
    after_charge = said("charge: {at: 1 mA, for: 1 h}", "hold: {at: 3 V, limit: 2 mA, for: 1 h}")
    assert after_charge[1] == CyclerStep(StepKind.CV, 2e-3, 3.0, end_time_s=3600.0)
    after_discharge = said("discharge: {at: 1 mA, for: 1 h}", "hold: {at: 3 V, limit: 2 mA, for: 1 h}")
    assert after_discharge[1].current_A == approx(-2e-3)
    unlimited = said("discharge: {at: 1 mA, until: {voltage: 0.1 V}}", "hold: {at: 0.1 V, until: {current: 0.1 mA}}")
    assert unlimited[1].current_A is None


def test_protection_capacity_and_recording() -> None:
    program = for_cycler(compiled("  - rest: {for: 1 h}\n"), LIMITS, 4e-3)
    assert program.protection == Protection(-0.1, 4.2, 0.01)
    assert program.capacity_max_Ah == approx(6e-3)
    assert (program.record_time_s, program.record_voltage_V) == (10.0, approx(5e-3))
    assert program.name == "x"


def test_the_full_cell_protocol_of_the_library() -> None:
    program = read_protocol(path("si-lfp-full-cell")).compile_for(parse_cell(CELL))
    assert wire_steps(for_cycler(program, LIMITS, 4e-3))


@pytest.mark.parametrize(
    ("steps", "line", "words"),
    [
        (["impedance: {from: 1 kHz, to: 1 Hz, amplitude: 10 mV}"], 4, "measures no impedance"),
        (["charge: {at: 1 mA, until: {capacity: 1 mAh}}"], 4, "cannot end a step on capacity"),
        (["rest: {for: 1 h}", "rest: {until: {pressure: {above: 1 kPa}}}"], 5, "cannot end a step on pressure"),
        (["rest: {for: 1 h, until: {voltage: {above: 1 V}}}"], 4, "only in the direction of a charge"),
        (["charge: {at: 1 mA, for: 1 h, until: {voltage: {below: 1 V}}}"], 4, "only in the direction of a charge"),
        (["rest: {for: 1 h, until: {time: 2 h}}"], 4, "takes one end of each kind"),
        (["charge: {at: 1 mA, hold: 3 V, for: 1 h}"], 4, "ends it on its current alone"),
        (["charge: {at: 1 mA, hold: 3 V, until: {current: 0.1 mA, voltage: 3.5 V}}"], 4, "on its current alone"),
        (["charge: {power: 5 mW, for: 1 h}"], 4, "no power, resistance or measured rate"),
        (["discharge: {resistance: 1 kohm, for: 1 h}"], 4, "no power, resistance or measured rate"),
        (["linear_sweep: {from: 1 V, to: 2 V, rate: 1 mV/s}"], 4, "makes no ramps"),
        (["chronoamperometry: {at: 10 mV vs OCV, for: 1 h}"], 4, "against that at rest"),
        (["temperature: {set: 30 degC}"], 4, "sets no chamber"),
        (["stack_pressure: {set: 1 MPa, within: 10 kPa}"], 4, "sets no frame"),
        (["prompt: 'turn the valve'"], 4, "asks nobody"),
        (["marker: image"], 4, "makes no markers"),
        (["{rest: {for: 1 h}, markers: [{name: image, at: 1 min}]}"], 4, "makes no markers"),
        (["{rest: {for: 1 h}, record: {every: 1 s}}"], 4, "records all steps alike"),
        (["rest: {until: {dV/dt: 1 mV/h}}"], 4, "cannot end a step on dV/dt"),
        (["charge: {at: 1 mA, for: 1 h, until: {energy: 1 mWh}}"], 4, "cannot end a step on energy"),
        (["charge: {at: 1 mA, for: 1 h, until: {voltage: 3 V, for: 5 s}}"], 4, "as soon as its condition is met"),
        (["charge: {at: 1 mA, for: 1 h, until: {all: {voltage: 3 V, time: 1 min}}}"], 4, "one condition"),
        (["charge: {at: 1 mA, for: 1 h, until: {voltage: 3 V, then: end of run}}"], 4, "no 'then'"),
        (["{repeat: 9, steps: [{rest: {for: 1 s}}], until: {cycles: 3}}"], 4, "ends a loop after so many passes"),
        (["rest: {for: 1 s}", "{rest: {for: 1 s}, every: 5 cycles}"], 5, "every step in every pass"),
        (["hold: {at: 3 V, limit: 1 mA, for: 1 h}"], 4, "must know the current's direction"),
        (["rest: {for: 1 h}", "hold: {at: 3 V, limit: 1 mA, for: 1 h}"], 5, "must know the current's direction"),
        (["charge: {at: 1 mA, for: 1 h}", "hold: {at: 3 V, for: 1 h}"], 5, "give it as 'limit'"),
        (
            [
                "charge: {at: 1 mA, for: 1 h}",
                "{repeat: 2, steps: [{hold: {at: 3 V, limit: 1 mA, for: 1 h}}, {discharge: {at: 1 mA, for: 1 h}}]}",
            ],
            5,
            "must know the current's direction",
        ),
    ],
)
def test_what_the_cycler_cannot_say_is_named_with_its_line(steps: list[str], line: int, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        said(*steps)
    (problem,) = caught.value.problems
    assert re.match(rf"p\.yaml:{line}:\d+: (step|around step|marker) '", str(problem))
    if not problem.message.startswith("marker"):  # it points at a technique's key
        assert re.match(r"\w+: ", f"  - {steps[line - 4]}"[problem.column - 1 :])
    assert words in problem.message


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("record: {every: 10 s, burst: {every: 0.1 s, for: 5 s}}", "no 'burst'"),
        ("record: {every: 10 s, change: [0.1 mA]}", "not of current"),
        ("markers: [{name: image, every: 1 h}]", "makes no markers"),
    ],
)
def test_what_holds_for_all_steps_is_named_with_the_file(head: str, words: str) -> None:
    text = f"protocol: x\n{head}\nsteps:\n  - rest: {{for: 1 h}}\n"
    program = parse_protocol(text, "p.yaml").compile_for(parse_cell(CELL))
    with pytest.raises(DocumentError, match=f"p.yaml:1:1: .*{words}"):
        for_cycler(program, LIMITS, 4e-3)


def test_an_end_that_leads_to_the_next_step_by_its_name_can_be_said() -> None:
    steps = said("charge: {at: 1 mA, for: 1 h, until: {voltage: 3 V, then: pause}}", "{name: pause, rest: {for: 1 s}}")
    assert steps[0] == CyclerStep(StepKind.CC, 1e-3, end_time_s=3600.0, end_voltage_V=3.0)


def test_the_largest_current_is_that_of_steps_and_holds() -> None:
    program = compiled("  - charge: {at: 1 mA, for: 1 h}\n  - hold: {at: 3 V, limit: 2 mA, for: 1 h}\n")
    assert largest_current_A(program) == approx(2e-3)
    assert largest_current_A(compiled("  - rest: {for: 1 h}\n")) == 0.0


def test_a_problem_in_an_included_file_is_named_with_that_file() -> None:
    part = "protocol: part\nsteps:\n  - rest: {for: 1 s}\n  - prompt: look\n"
    text = "protocol: x\nsteps:\n  - include: part.yaml\n"
    program = parse_protocol(text, "p.yaml", files={"part.yaml": part}).compile_for(parse_cell(CELL))
    with pytest.raises(DocumentError, match=r"^part\.yaml:4:5: step '.*prompt': .*asks nobody"):
        for_cycler(program, LIMITS, 4e-3)


def test_every_step_that_cannot_be_said_is_named() -> None:
    with pytest.raises(DocumentError) as caught:
        said("rest: {until: {voltage: {above: 1 V}}}", "rest: {for: 1 s}", "hold: {at: 3 V, for: 1 h}")
    assert [problem.line for problem in caught.value.problems] == [4, 6]
