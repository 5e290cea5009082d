"""From a protocol and a cell to a program: numbers in SI units, loops as jumps, and every mistake found before."""

from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from protocols.cell import Cell, parse_cell
from protocols.compile import parse_protocol
from protocols.document import DocumentError
from protocols.language import ProtocolFile
from protocols.limits import Limits
from protocols.program import Condition, ConstantCurrent, Kind, Only, Program, Quantity, Repeat, Step, SweepPlan

CELL = """\
cell: coin-1
active_mass: 2 mg
electrode_area: 0.5 cm^2
nominal_capacity: 4 mAh
limits: {voltage: [0 V, 4 V], current: 10 mA, pressure: {above: 1.5 MPa}}
"""
HEAD = "protocol: x\nsteps:\n"


def compiled(steps: str, cell: str = CELL, head: str = HEAD, **parameters: object) -> Program:
    return parse_protocol(head + steps, "p.yaml", parameters).compile_for(parse_cell(cell))


def problems(steps: str, cell: str = CELL, head: str = HEAD, **parameters: object) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        compiled(steps, cell, head, **parameters)
    return str(caught.value).splitlines()


def only_step(steps: str, cell: str = CELL) -> Step:
    (step,) = compiled(steps, cell).steps()
    return step


def current_of(step: Step) -> float:
    assert isinstance(step.setpoint, ConstantCurrent)
    return step.setpoint.current_A


def conditions_of(step: Step) -> list[Condition]:
    """Of ends with one condition each, which lead to the next step."""
    assert all(len(end.conditions) == 1 and end.then is None and end.for_s == 0 for end in step.ends)
    return [end.conditions[0] for end in step.ends]


# --- rates and charges by their basis


@pytest.mark.parametrize(
    ("at", "current_A"),
    [
        ("1 mA", 1e-3),
        ("2 mA/cm^2", 1e-3),
        ("500 mA/g", 1e-3),
        ("0.25 C", 1e-3),
        ("C/4", 1e-3),
    ],
)
def test_a_rate_becomes_a_signed_current(at: str, current_A: float) -> None:
    assert current_of(only_step(f"  - charge: {{at: {at}, for: 1 h}}")) == approx(current_A, rel=1e-12)
    assert current_of(only_step(f"  - discharge: {{at: {at}, for: 1 h}}")) == approx(-current_A, rel=1e-12)


def test_1C_from_specific_capacity_and_mass() -> None:
    cell = "cell: x\nactive_mass: 2 mg\nspecific_capacity: 3579 mAh/g\n"
    step = only_step("  - charge: {at: C/10, for: 1 h}", cell)
    assert current_of(step) == approx(0.7158e-3, rel=1e-12)


@pytest.mark.parametrize(
    ("amount", "capacity_Ah"), [("1 mAh", 1e-3), ("2 mAh/cm^2", 1e-3), ("500 mAh/g", 1e-3), ("3.6 coulomb", 1e-3)]
)
def test_a_charge_becomes_ampere_hours(amount: str, capacity_Ah: float) -> None:
    (end,) = conditions_of(only_step(f"  - charge: {{at: 1 mA, until: {{capacity: {amount}}}}}"))
    assert (end.quantity, end.rising, end.value) == (Quantity.CAPACITY, True, approx(capacity_Ah, rel=1e-12))


@pytest.mark.parametrize(
    ("at", "missing"),
    [
        ("1 mA/cm^2", "p.yaml:3:14: '1 mA/cm^2' needs the cell's electrode_area, and cell 'bare' does not give it"),
        ("1 mA/g", "p.yaml:3:14: '1 mA/g' needs the cell's active_mass"),
        ("0.1 C", "p.yaml:3:14: '0.1 C' needs the cell's nominal_capacity (or specific_capacity and active_mass)"),
    ],
)
def test_what_the_cell_does_not_say(at: str, missing: str) -> None:
    (line,) = problems(f"  - charge: {{at: {at}, for: 1 h}}", "cell: bare\n")
    assert line.startswith(missing)


# --- steps that would harm or never end


@pytest.mark.parametrize(
    ("step", "said"),  # », where the problem stands
    [
        ("»charge: {at: 1 mA}", "this step has no end; give 'for: 1 h'"),
        ("»rest: {}", "this step has no end"),
        ("»hold: {at: 1 V}", "this step has no end"),
        ("charge: {»at: 0 mA, for: 1 h}", "a current of zero drives nothing"),
        ("charge: {»at: -1 mA, for: 1 h}", "'-1 mA' is negative; the direction is said by 'charge'"),
        ("charge: {»at: 11 mA, for: 1 h}", "11 mA is 11 mA and not below the limit of 10 mA"),
        ("discharge: {»at: 3 C, for: 1 h}", "3 C is 12 mA and not below the limit of 10 mA"),
        ("charge: {»at: 10 mA, for: 1 h}", "10 mA is 10 mA and not below the limit"),
        ("charge: {»at: 1e308 C, for: 1 h}", "1e308 C is inf mA and not below the limit of 10 mA"),
        ("hold: {»at: 4.1 V, for: 1 h}", "4.1 V is not inside the limits of 0 V to 4 V"),
        ("hold: {»at: 4 V, for: 1 h}", "4 V is not inside the limits"),
        ("hold: {»at: 0 V, for: 1 h}", "0 V is not inside the limits"),
        ("hold: {at: 1 V, »limit: 0 mA, for: 1 h}", "a current limit of zero"),
        ("hold: {at: 1 V, »limit: 20 mA, for: 1 h}", "20 mA is 20 mA and not below the limit of 10 mA"),
        ("charge: {at: 1 mA, »hold: 4.2 V, for: 1 h}", "4.2 V is not inside the limits"),
        ("»charge: {at: 1 mA, hold: 3 V, until: {voltage: 3.5 V}}", "a hold needs an end"),
        ("charge: {at: 1 mA, until: {»voltage: 4 V}}", "4 V is not inside the limits"),
        ("charge: {at: 1 mA, until: {voltage: {»above: 5 V}}}", "5 V is not inside the limits"),
        ("charge: {at: 1 mA, until: {voltage: 3 V, »current: 0.1 C}}", "a current ends a hold"),
        ("charge: {at: 1 mA, until: {»capacity: 0 mAh}}", "the capacity that ends a step is a magnitude"),
        ("charge: {at: 1 mA, hold: 3 V, until: {»current: 0 mA}}", "the current that ends a hold"),
        ("rest: {until: {»voltage: 1 V}}", "a rest has no direction; say {above: …} or {below: …}"),
        ("rest: {until: {»current: 1 mA}}", "a current ends a hold"),
        ("rest: {until: {»capacity: 1 mAh}}", "a rest passes no charge"),
        ("rest: {until: {pressure: {»above: 2 MPa}}}", "2000 kPa is not inside the limits"),
        ("rest: {until: {»pressure: {above: 1 kPa, below: 2 kPa}}}", "'above' is not above 'below'"),
        ("rest: {»for: 0 s}", "'for': input should be greater than 0"),
        ("impedance: {from: 1 kHz, to: 1 Hz, amplitude: 10 mV, »at: 5 V}", "5 V (± 0.0141 V) is not inside"),
        ("impedance: {from: 1 kHz, to: 1 Hz, amplitude: 10 mV, »at: 5 mV}", "0.005 V (± 0.0141 V) is not inside"),
        ("impedance: {»from: 0 Hz, to: 1 Hz, amplitude: 10 mV}", "'from': input should be greater than 0"),
        ("{»repeat: 0, steps: [{rest: {for: 1 s}}]}", "'repeat': input should be greater than or equal to 1"),
        ("»{repeat: 2}", "'repeat' and 'steps' belong together"),
        ("»{name: x}", "a step is exactly one of rest, charge, discharge, "),
        ("»{rest: {for: 1 s}, hold: {at: 1 V, for: 1 s}}", "a step is exactly one of rest"),
        ("{repeat: 2, »steps: []}", "'steps': tuple should have at least 1 item"),
        (
            "{repeat: 2, »steps: [{every: 9 cycles, rest: {for: 1 h}}]}",
            "nothing in this loop is done in each pass",
        ),
    ],
)
def test_a_step_that_cannot_be_carried_out_is_refused(step: str, said: str) -> None:
    written = f"  - {step}"
    lines = problems(written.replace("»", ""))
    assert any(line.startswith(f"p.yaml:3:{written.index('»') + 1}: {said}") for line in lines), lines


def test_all_problems_of_all_steps_are_told_at_once() -> None:
    lines = problems("  - charge: {at: 1 A, hold: 9 V}\n  - rest: {}\n  - hold: {at: -1 V, for: 1 h}\n")
    assert [line.split(":")[1] for line in lines] == ["3", "3", "3", "3", "4", "5"]


def test_the_limits_of_protocol_and_cell_hold_together() -> None:
    head = "protocol: x\nlimits: {voltage: [1 V, 9 V], current: 1 A}\nsteps:\n"
    assert "not inside the limits of 1 V to 4 V" in problems("  - hold: {at: 1 V, for: 1 h}", head=head)[0]
    assert "not below the limit of 10 mA" in problems("  - charge: {at: 20 mA, for: 1 h}", head=head)[0]
    program = compiled("  - hold: {at: 2 V, for: 1 h}", head=head)
    assert program.limits == Limits(voltage_min_V=1.0, voltage_max_V=9.0, current_max_A=1.0)


# --- what a step becomes


def test_each_kind_of_end() -> None:
    step = only_step(
        "  - charge: {at: 1 mA, hold: 3 V, for: 2 h, until: {voltage: 3.5 V, current: C/20, time: 3 h, capacity: 1 mAh,"
        " pressure: {above: 600 kPa, below: 100 kPa}}}"
    )
    assert step.kind is Kind.CHARGE
    assert step.hold_V == 3.0
    assert list(map(str, step.ends)) == [
        "time ≥ 2 h",
        "time ≥ 3 h",
        "voltage ≥ 3.5 V",
        "current ≤ 0.2 mA",
        "capacity ≥ 1 mAh",
        "pressure ≥ 600 kPa",
        "pressure ≤ 100 kPa",
    ]


@pytest.mark.parametrize(
    ("step", "rising"),
    [
        ("charge: {at: 1 mA, until: {voltage: 2 V}}", True),
        ("discharge: {at: 1 mA, until: {voltage: 2 V}}", False),
        ("charge: {at: 1 mA, for: 1 h, until: {voltage: {below: 2 V}}}", False),
        ("discharge: {at: 1 mA, for: 1 h, until: {voltage: {above: 2 V}}}", True),
        ("rest: {until: {voltage: {above: 2 V}}}", True),
        ("hold: {at: 1 V, until: {voltage: {below: 2 V}}}", False),
    ],
)
def test_a_voltage_ends_a_step_in_its_direction(step: str, rising: bool) -> None:
    assert conditions_of(only_step(f"  - {step}"))[-1] == Condition(Quantity.VOLTAGE, rising, 2.0)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Condition(Quantity.VOLTAGE, True, 2.0), "voltage ≥ 2 V"),
        (Condition(Quantity.CURRENT, False, 1e-4), "current ≤ 0.1 mA"),
        (Condition(Quantity.TIME, True, 30.0), "time ≥ 30 s"),
        (Condition(Quantity.TIME, True, 5400.0), "time ≥ 1.5 h"),
        (Condition(Quantity.CAPACITY, True, 1e-3), "capacity ≥ 1 mAh"),
        (Condition(Quantity.PRESSURE, True, 5.46e5), "pressure ≥ 546 kPa"),
    ],
)
def test_a_condition_in_words(condition: Condition, words: str) -> None:
    assert str(condition) == words


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.booleans())
def test_a_condition_is_met_at_its_value_and_beyond(value: float, measured: float, rising: bool) -> None:
    condition = Condition(Quantity.VOLTAGE, rising, value)
    assert condition.met_by(value)
    assert condition.met_by(measured) is (measured >= value if rising else measured <= value)
    assert not condition.met_by(math.nan)
    assert not condition.met_by(None)


def test_names_and_lines_lead_back_to_the_file() -> None:
    program = compiled(
        "  - rest: {for: 1 h}\n  - repeat: 2\n    steps:\n      - charge: {at: 0.1 C, for: 1 h}\n"
        "      - name: settle\n        rest: {for: 1 h}\n  - hold: {at: 3 V, for: 1 h}\n"
    )
    assert [(step.name, step.line) for step in program.steps()] == [
        ("1 rest", 3),
        ("2.1 charge 0.1 C", 6),
        ("2.2 settle", 8),
        ("3 hold 3 V", 9),
    ]


def test_loops_are_jumps() -> None:
    program = compiled(
        "  - rest: {for: 1 s}\n  - repeat: 3\n    steps:\n      - repeat: 2\n        steps: [rest: {for: 2 s}]\n"
        "      - rest: {for: 3 s}\n"
    )
    assert program.loops == (2, 4)
    assert [one for one in program.operations if isinstance(one, Repeat)] == [Repeat(1, 2), Repeat(1, 3)]


# --- impedance


def sweep_of(written: str) -> tuple[float, ...]:
    step = only_step(f"  - impedance: {{{written}, amplitude: 10 mV}}")
    assert isinstance(step.setpoint, SweepPlan)
    return step.setpoint.frequencies_Hz


def test_a_sweep_has_both_ends_and_points_per_decade() -> None:
    frequencies = sweep_of("from: 1 MHz, to: 0.1 Hz, points_per_decade: 10")
    assert len(frequencies) == 71
    assert (frequencies[0], frequencies[-1]) == (1e6, 0.1)
    assert frequencies[10] == approx(1e5, rel=1e-12)
    assert sweep_of("from: 0.1 Hz, to: 1 MHz, points_per_decade: 10") == frequencies[::-1]
    assert sweep_of("from: 1 kHz, to: 1 kHz") == (1000.0,)
    assert sweep_of("from: 1 kHz, to: 999 Hz") == (1000.0, 999.0)


@settings(deadline=None)
@given(st.floats(1e-4, 1e7), st.floats(1e-4, 1e7), st.integers(1, 30))
def test_any_sweep_goes_evenly_from_end_to_end(start: float, to: float, points: int) -> None:
    frequencies = sweep_of(f"from: {start!r} Hz, to: {to!r} Hz, points_per_decade: {points}")
    assert (frequencies[0], frequencies[-1]) == (start, to)
    steps = [math.log10(after / before) for before, after in itertools.pairwise(frequencies)]
    assert all(one == approx(steps[0], rel=1e-6, abs=1e-12) for one in steps)
    if abs(math.log10(start / to)) * points > 2:
        assert abs(steps[0]) * points == approx(1.0, rel=0.3)


def test_frequencies_far_apart_do_not_overflow() -> None:
    assert len(sweep_of("from: 1e300 Hz, to: 1e-300 Hz, points_per_decade: 1")) == 601


@pytest.mark.parametrize(
    ("written", "only"),
    [
        ("every: 10 cycles", Only(2, every=10)),
        ("every: 1 cycle", Only(2, every=1)),
        ("every: 10", Only(2, every=10)),
        ("every: '10'", Only(2, every=10)),
        ("every:  7cycles", Only(2, every=7)),
        ("first: 3 passes", Only(2, first=3, loop=3)),
        ("after: 3 passes", Only(2, after=3, loop=3)),
        ("after: 1 pass", Only(2, after=1, loop=3)),
        ("first: 3 cycles", Only(2, first=3)),
    ],
)
def test_a_step_is_done_only_in_some_cycles_or_passes(written: str, only: Only) -> None:
    program = compiled(
        f"  - repeat: 9\n    steps:\n      - {{{written}, rest: {{for: 1 s}}}}\n      - rest: {{for: 2 s}}"
    )
    assert program.operations[0] == only
    assert isinstance(program.operations[2], Step)
    assert program.operations[3] == Repeat(0, 9)


@pytest.mark.parametrize("every", ["0", "0 cycles", "-1", "10 s", "often", "1.5", "yes"])
def test_every_what(every: str) -> None:
    (said,) = problems(f"  - {{every: {every}, rest: {{for: 1 s}}}}")
    assert said.startswith("p.yaml:3:6: ") and "is no count" in said


def test_passes_are_those_of_a_loop() -> None:
    assert problems("  - {first: 3 passes, rest: {for: 1 s}}")[0].startswith("p.yaml:3:6: passes are those of a loop")


# --- parameters

WITH_PARAMETERS = 'protocol: "x ${n} ${ c }"\nparameters: {n: 3, c: 0.2 C}\nsteps:\n'
LOOP = "  - repeat: ${n}\n    steps:\n      - charge: {at: '${c}', for: 1 h}\n"


def test_parameters_keep_their_type_and_can_be_given() -> None:
    program = compiled(LOOP, head=WITH_PARAMETERS)
    assert program.title == "x 3 0.2 C"
    assert program.operations[1] == Repeat(0, 3)
    given_ = compiled(LOOP, head=WITH_PARAMETERS, n="7", c="1 mA")
    assert given_.operations[1] == Repeat(0, 7)
    assert current_of(given_.steps()[0]) == 1e-3


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"m": 1}, "p.yaml:2:1: no parameter 'm' here; there are: n, c"),
        ({"n": "many"}, "p.yaml:4:5: 'repeat': input should be a valid integer"),
        ({"n": 0}, "p.yaml:4:5: 'repeat': input should be greater than or equal to 1, not 0"),
        ({"c": "0.2 V"}, "p.yaml:6:18: '0.2 V' is not a current"),
        ({"c": 5}, "p.yaml:6:18: '5' is not a current"),
        ({"n": [3]}, "p.yaml:4:5: 'repeat'"),
    ],
)
def test_a_parameter_that_does_not_fit(parameters: dict[str, object], said: str) -> None:
    assert problems(LOOP, head=WITH_PARAMETERS, **parameters)[0].startswith(said)


def test_parameters_that_are_not_there_or_not_used() -> None:
    assert problems(LOOP) == [
        "p.yaml:3:5: '${n}' is not among the parameters",
        "p.yaml:5:18: '${c}' is not among the parameters",
    ]
    unused = "protocol: x\nparameters: {n: 3, cycles: 300}\nsteps:\n"
    assert problems("  - {repeat: '${n}', steps: [rest: {for: 1 s}]}", head=unused) == [
        "p.yaml:2:20: parameter 'cycles' is used nowhere"
    ]


# --- cycles


@pytest.mark.parametrize(
    ("steps", "cycles"),
    [
        ("  - rest: {for: 1 h}\n", 0),
        ("  - charge: {at: 1 mA, for: 1 h}\n", 1),
        ("  - charge: {at: 1 mA, for: 1 h}\n  - discharge: {at: 1 mA, for: 1 h}\n", 1),
        ("  - repeat: 50\n    steps: [discharge: {at: 1 mA, for: 1 h}, charge: {at: 1 mA, for: 1 h}]\n", 50),
        ("  - repeat: 50\n    steps: [charge: {at: 1 mA, for: 1 h}, rest: {for: 1 h}]\n", 1),  # GITT
        (
            "  - charge: {at: 1 mA, for: 1 h}\n  - charge: {at: 2 mA, for: 1 h}\n  - discharge: {at: 1 mA, for: 1 h}\n",
            1,
        ),
        (
            "  - discharge: {at: 1 mA, for: 1 h}\n  - repeat: 3\n    steps:\n"
            "      - charge: {at: 1 mA, for: 1 h}\n      - discharge: {at: 1 mA, for: 1 h}\n",
            4,
        ),
        (
            "  - repeat: 4\n    steps:\n      - repeat: 5\n"
            "        steps: [charge: {at: 1 mA, for: 1 h}, discharge: {at: 1 mA, for: 1 h}]\n"
            "      - rest: {for: 1 s}\n",
            20,
        ),
        (
            "  - repeat: 1000000000\n    steps:\n      - repeat: 1000000000\n"
            "        steps: [charge: {at: 1 mA, for: 1 h}, discharge: {at: 1 mA, for: 1 h}]\n",
            10**18,
        ),
    ],
)
def test_cycles_are_planned_as_they_are_counted(steps: str, cycles: int) -> None:
    assert compiled(steps).cycles_planned == cycles


def test_the_language_has_a_json_schema() -> None:
    schema = ProtocolFile.model_json_schema(by_alias=True)
    assert json.loads(json.dumps(schema)) == schema
    assert set(schema["required"]) == {"protocol", "steps"}
    assert schema["$defs"]["Rest"]["properties"]["for"]
    assert "0.05 V vs Li+/Li" in json.dumps(schema["$defs"]["Hold"]["properties"]["at"])
    assert json.dumps(Cell.model_json_schema())


# --- limits


limits = st.builds(
    Limits,
    *(st.one_of(st.just(-math.inf if low else math.inf), st.floats(-10, 10)) for low in (1, 0, 0, 1, 0, 1, 0)),
)


@given(limits, limits)
def test_limits_are_narrowed_and_never_widened(one: Limits, other: Limits) -> None:
    both = one.narrowed_by(other)
    assert both == other.narrowed_by(one)
    assert both.narrowed_by(one) == both
    assert both.narrowed_by(Limits()) == both
    for limit in (one, other):
        assert both.voltage_min_V >= limit.voltage_min_V
        assert both.voltage_max_V <= limit.voltage_max_V
        assert both.current_max_A <= limit.current_max_A
        assert both.pressure_min_Pa >= limit.pressure_min_Pa
        assert both.pressure_max_Pa <= limit.pressure_max_Pa
        assert both.temperature_min_degC >= limit.temperature_min_degC
        assert both.temperature_max_degC <= limit.temperature_max_degC
