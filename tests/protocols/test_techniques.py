"""Each technique as operations: what is driven, what ends it, and what follows."""

from __future__ import annotations

import math

import pytest
from pytest import approx

from protocols.cell import parse_cell
from protocols.compile import parse_protocol
from protocols.document import DocumentError
from protocols.program import (
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
    Program,
    Quantity,
    Question,
    RecordRule,
    Repeat,
    ShortCriteria,
    StackPressure,
    Step,
    StoredProcedure,
    SweepPlan,
    Then,
    VoltageRamp,
)

CELL = """\
cell: all-solid-1
active_mass: 2 mg
electrode_area: 0.5 cm^2
nominal_capacity: 4 mAh
reference: Li-In
state_of_charge: 0 %
limits: {voltage: [-1 V, 4 V], current: 50 mA, pressure: {above: 120 MPa}, temperature: {above: 90 degC}}
"""


def compiled(steps: str, cell: str = CELL, head: str = "", files: dict[str, str] | None = None) -> Program:
    text = f"protocol: x\n{head}steps:\n{steps}"
    return parse_protocol(text, "p.yaml", files=files).compile_for(parse_cell(cell))


def problem(steps: str, cell: str = CELL, head: str = "", files: dict[str, str] | None = None) -> str:
    with pytest.raises(DocumentError) as caught:
        compiled(steps, cell, head, files)
    return "\n".join(map(str, caught.value.problems))


def steps_of(steps: str, **more: str) -> tuple[Step, ...]:
    return compiled(f"  - {steps}", **more).steps()


def only(steps: str) -> Step:
    (step,) = steps_of(steps)
    return step


# --- power, resistance, signed currents


def test_power_and_resistance_are_set_points_of_their_own() -> None:
    assert only("charge: {power: 5 mW, for: 1 h}").setpoint == ConstantPower(5e-3)
    assert only("discharge: {power: 5 mW, until: {voltage: 1 V}}").setpoint == ConstantPower(-5e-3)
    assert only("discharge: {resistance: 1 kohm, for: 1 h}").setpoint == ConstantResistance(1000.0)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("charge: {resistance: 1 kohm, for: 1 h}", "p.yaml:3:14: a resistance is a load: it discharges only"),
        ("discharge: {resistance: 50 ohm, for: 1 h}", "p.yaml:3:17: the current through 50 Ω at the limit is 80 mA"),
        ("discharge: {power: 100 mW, until: {voltage: 1 V}}", "p.yaml:3:17: the current of 100 mW at 1 V is 100 mA"),
        ("charge: {at: 1 mA, power: 5 mW, for: 1 h}", "p.yaml:3:5: give exactly one of at, power, resistance"),
        ("charge: {power: 5 mW, hold: 3 V, for: 1 h}", "p.yaml:3:5: 'hold' follows a constant current"),
        ("chronopotentiometry: {at: 0 mA, for: 1 h}", "p.yaml:3:27: a current of zero drives nothing"),
        ("chronopotentiometry: {at: fast, for: 1 h}", "p.yaml:3:27: 'fast' is not a current"),
    ],
)
def test_what_no_source_should_be_asked_for(step: str, said: str) -> None:
    assert problem(f"  - {step}").startswith(said)


def test_a_chronopotentiometry_goes_by_the_sign_of_its_current() -> None:
    step = only("chronopotentiometry: {at: -0.5 mA/cm^2, for: 1 h}")
    assert (step.kind, step.setpoint) == (Kind.DISCHARGE, ConstantCurrent(-0.25e-3))
    assert only("chronopotentiometry: {at: +1 mA, for: 1 h}").kind is Kind.CHARGE


# --- measured capacity


def test_a_rate_of_a_measured_capacity_names_its_step() -> None:
    program = compiled(
        "  - name: formation\n    charge: {at: 0.1 C, until: {voltage: 3 V}}\n"
        "  - discharge: {at: C/2 of formation, until: {voltage: 1 V}}\n"
    )
    assert program.steps()[1].setpoint == MeasuredRate(-0.5, 0)
    assert program.measured_steps == (0,)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("  - charge: {at: 1 C of later, for: 1 h}\n  - {name: later, charge: {at: 1 mA, for: 1 h}}", "comes later"),
        ("  - {name: wait, rest: {for: 1 h}}\n  - charge: {at: 1 C of wait, for: 1 h}", "does not name a charge"),
        ("  - charge: {at: 1 C of nothing, for: 1 h}", "there is no step named 'nothing'; named steps: none"),
        ("  - charge: {at: 1 mA of x, for: 1 h}", "only a C-rate refers to a step"),
        (
            "  - {name: a, charge: {at: 1 mA, for: 1 h}}\n  - hold: {at: 1 V, until: {current: 0.1 C of a}}",
            "a measured capacity is for the current",
        ),
    ],
)
def test_a_measured_capacity_that_is_not_known(steps: str, said: str) -> None:
    assert said in problem(steps)


# --- references


def test_potentials_are_turned_to_the_cells_own_reference() -> None:
    step = only("charge: {at: 1 mA, until: {voltage: 1.5 V vs Li+/Li}}")
    assert step.ends[0].conditions[0].value == approx(1.5 - 0.62)
    assert only("hold: {at: -0.6 V vs Li-In, for: 1 h}").setpoint == ConstantVoltage(-0.6)
    custom = CELL.replace("Li-In", "{name: LTO, potential: 1.55 V}")
    assert steps_of("hold: {at: 1.5 V vs Li, for: 1 h}", cell=custom)[0].setpoint == ConstantVoltage(1.5 - 1.55)


@pytest.mark.parametrize(
    ("cell", "at", "said"),
    [
        (CELL.replace("reference: Li-In\n", ""), "1 V vs Li", "needs the cell's 'reference'"),
        (CELL, "1 V vs Ag/AgCl", "is no reference that is known here; there are Li, Li-In"),
        (CELL, "-0.5 V vs Li", "-1.12 V is not inside the limits of -1 V to 4 V"),
    ],
)
def test_a_potential_that_means_nothing_here(cell: str, at: str, said: str) -> None:
    assert said in problem(f"  - hold: {{at: {at}, for: 1 h}}", cell)


def test_a_step_of_potential_from_where_the_cell_rests() -> None:
    step = only("chronoamperometry: {at: 10 mV vs OCV, for: 10 h, until: {dI/dt: {below: 1 uA/h, over: 20 min}}}")
    assert step.setpoint == ConstantVoltage(0.01, above_rest=True)
    slope = step.ends[1].conditions[0]
    assert (slope.quantity, slope.window_s) == (Quantity.CURRENT_SLOPE, 1200.0)
    assert slope.value == approx(1e-6 / 3600)
    assert "'vs OCV' is for" in problem("  - charge: {at: 1 mA, until: {voltage: 10 mV vs OCV}}")


# --- sweeps


def test_a_linear_sweep_ends_by_itself() -> None:
    step = only("linear_sweep: {to: 3.9 V, rate: 0.1 mV/s, limit: 1 mA}")
    assert step.setpoint == VoltageRamp(None, 3.9, approx(1e-4), 1e-3, 1e-3)
    assert step.ends == ()


def ramps(program: Program) -> list[tuple[float | None, float]]:
    """From where to where, with loops written out."""
    done: list[tuple[float | None, float]] = []
    index, passes = 0, 0
    while index < len(program.operations):
        operation = program.operations[index]
        index += 1
        if isinstance(operation, Repeat):
            passes += 1
            index = operation.start if passes < operation.count else index
        elif isinstance(operation, Step) and isinstance(operation.setpoint, VoltageRamp):
            done.append((operation.setpoint.start_V, operation.setpoint.end_V))
    return done


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("to: 0 V, back: 1.5 V", [(None, 0.0), (0.0, 1.5)]),
        ("from: 1 V, to: 0 V, back: 1.5 V", [(1.0, 0.0), (0.0, 1.5), (1.5, 1.0)]),
        ("from: 1.5 V, to: 0 V, back: 1.5 V, cycles: 2", [(1.5, 0.0), (0.0, 1.5), (1.5, 0.0), (0.0, 1.5)]),
        ("to: 2 V, back: 1 V, cycles: 3", [(None, 2.0), (2.0, 1.0), (1.0, 2.0), (2.0, 1.0), (1.0, 2.0), (2.0, 1.0)]),
    ],
)
def test_cyclic_voltammetry_goes_between_its_vertices(written: str, path: list[tuple[float | None, float]]) -> None:
    assert ramps(compiled(f"  - cyclic_voltammetry: {{{written}, rate: 1 mV/s}}")) == path


def test_what_ends_a_voltammetry_ends_all_of_it() -> None:
    program = compiled(
        "  - cyclic_voltammetry: {to: 0 V, back: 1 V, rate: 1 mV/s, cycles: 9, until: {capacity: 1 mAh}}\n"
        "  - rest: {for: 1 h}\n"
    )
    after = len(program.operations) - 1
    assert {end.then for step in program.steps()[:-1] for end in step.ends} == {after}


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("linear_sweep: {from: 1 V, to: 1 V, rate: 1 mV/s}", "this sweep goes nowhere"),
        ("cyclic_voltammetry: {to: 1 V, back: 1 V, rate: 1 mV/s}", "both vertices are at the same potential"),
        ("linear_sweep: {from: 5 mV vs OCV, to: 1 V, rate: 1 mV/s}", "begins at the open-circuit voltage itself"),
        ("linear_sweep: {to: 9 V, rate: 1 mV/s}", "9 V is not inside the limits"),
        ("linear_sweep: {to: 1 V, rate: 1 mV}", "'1 mV' is not a change of voltage with time"),
    ],
)
def test_a_sweep_that_cannot_be(step: str, said: str) -> None:
    assert said in problem(f"  - {step}")


# --- impedance


def test_an_amplitude_of_current_is_a_geis() -> None:
    plan = only("impedance: {from: 1 kHz, to: 1 Hz, amplitude: 0.1 mA, bias_current: -1 mA}").setpoint
    assert isinstance(plan, SweepPlan)
    assert (plan.amplitude_rms_V, plan.amplitude_rms_A, plan.bias_A) == (None, 1e-4, -1e-3)
    said = problem("  - impedance: {from: 1 kHz, to: 1 Hz, amplitude: 30 mA, bias_current: 10 mA}")
    assert f"is {30 * math.sqrt(2) + 10:.4g} mA and not below the limit of 50 mA" in said


def test_a_staircase_of_potentials_settles_before_each_spectrum() -> None:
    steps = steps_of(
        "impedance: {from: 1 kHz, to: 1 Hz, amplitude: 10 mV, staircase: {potential: [1 V, 2 V], settle: 1 h}}"
    )
    assert [step.kind for step in steps] == [Kind.HOLD, Kind.IMPEDANCE] * 2
    assert [s.setpoint.voltage_V for s in steps if isinstance(s.setpoint, ConstantVoltage)] == [1.0, 2.0]
    assert [s.setpoint.bias_V for s in steps if isinstance(s.setpoint, SweepPlan)] == [1.0, 2.0]
    assert steps[0].ends == (End((Condition(Quantity.TIME, True, 3600.0),)),)


def test_a_staircase_of_states_of_charge_goes_the_way_it_must() -> None:
    program = compiled(
        "  - impedance: {from: 1 kHz, to: 1 Hz, amplitude: 10 mV, "
        "staircase: {state_of_charge: [50 %], at: C/10, settle: 1 h}}"
    )
    look, charge, discharge, rest, sweep = program.steps()
    above, below = (Condition(Quantity.STATE_OF_CHARGE, rising, 0.5) for rising in (True, False))
    assert look.ends == (End((above,), then=2), End((below,), then=1))
    assert (charge.kind, charge.ends) == (Kind.CHARGE, (End((above,), then=3),))
    assert (discharge.kind, discharge.ends) == (Kind.DISCHARGE, (End((below,)),))
    assert (rest.kind, sweep.kind) == (Kind.REST, Kind.IMPEDANCE)


# --- titrations, pulses, ramps of current


def test_gitt_is_a_loop_that_its_voltage_leads_out_of_by_way_of_a_last_rest() -> None:
    program = compiled(
        "  - gitt: {direction: charge, at: 0.05 C, pulse: 1 h, rest: 2 h, until: {voltage: 3.2 V}, most: 60}\n"
        "  - rest: {for: 1 s}"
    )
    pulse, rest, repeat, skip, last, after = program.operations
    assert isinstance(pulse, Step) and pulse.setpoint == ConstantCurrent(0.2e-3)
    assert pulse.ends == (
        End((Condition(Quantity.VOLTAGE, True, 3.2),), then=4),
        End((Condition(Quantity.TIME, True, 3600.0),)),
    )
    assert isinstance(rest, Step) and isinstance(last, Step) and rest.ends == last.ends
    assert repeat == Repeat(0, 60)
    assert isinstance(skip, Only) and skip.past == 5 and not any(skip.allows(n) for n in range(1, 99))
    assert isinstance(after, Step)


def test_pitt_steps_from_end_to_end() -> None:
    steps = steps_of("pitt: {from: 1 V, to: 0.75 V, step: 100 mV, for: 2 h, until: {current: C/100}}")
    assert [s.setpoint.voltage_V for s in steps if isinstance(s.setpoint, ConstantVoltage)] == approx(
        [1.0, 0.9, 0.8, 0.75]
    )
    assert all(list(map(str, s.ends)) == ["current ≤ 0.04 mA", "time ≥ 2 h"] for s in steps)
    assert "steps of potential; 2000 at most" in problem("  - pitt: {from: 0 V, to: 3 V, step: 1 mV, for: 1 h}")


def test_a_pulse_is_recorded_finely_between_rests() -> None:
    steps = steps_of("pulse: {direction: both, at: 1 C, for: 10 s, rest: 30 s, record: 50 ms}")
    assert [step.kind for step in steps] == [Kind.REST, Kind.DISCHARGE, Kind.REST, Kind.CHARGE, Kind.REST]
    assert steps[1].setpoint == ConstantCurrent(-4e-3)
    assert steps[0].record is None
    assert all(step.record == RecordRule(0.05) for step in steps[1:])


def test_a_short_circuit_stops_a_ramp_of_current_in_either_half() -> None:
    steps = steps_of(
        "current_ramp: {from: 1 mA, to: 2 mA, step: 1 mA, for: 1 h, stop: {short_circuit: {drop: 50 %, over: 1 min}}}"
    )
    signs = ShortCriteria(drop=0.5, reference_s=60.0, noise_s=60.0)
    for step in steps:
        if isinstance(step.setpoint, ConstantCurrent):
            assert step.ends[0].conditions == (Condition(Quantity.SHORT_CIRCUIT, True, 1.0, short=signs),)
            assert str(step.ends[0]) == "short circuit"


def test_a_ramp_of_current_goes_both_ways_at_each_current() -> None:
    program = compiled(
        "  - current_ramp: {from: 0.1 mA/cm^2, to: 0.3 mA/cm^2, step: 0.1 mA/cm^2, capacity: 0.5 mAh/cm^2, "
        "rest: 1 min, stop: {voltage: {above: 1 V}, voltage_drop: 50 mV}}\n  - rest: {for: 1 s}"
    )
    driven = [s for s in program.steps() if isinstance(s.setpoint, ConstantCurrent)]
    currents = [s.setpoint.current_A for s in driven if isinstance(s.setpoint, ConstantCurrent)]
    assert currents == approx([-0.05e-3, 0.05e-3, -0.1e-3, 0.1e-3, -0.15e-3, 0.15e-3])
    after = len(program.operations) - 1
    assert [end.then for end in driven[0].ends] == [after, after, None]
    assert str(driven[0].ends[2]) == "capacity ≥ 0.25 mAh"
    assert driven[2].name == "1 current ramp discharge 0.2 mA/cm^2"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("from: 0.1 mA, to: 1 C, step: 0.1 mA", "'from', 'to' and 'step' are of one kind"),
        ("from: 2 mA, to: 1 mA, step: 0.1 mA", "a ramp rises"),
        ("from: 1 uA, to: 10 mA, step: 1 uA", "these are 10000 currents"),
    ],
)
def test_a_ramp_of_current_that_is_none(written: str, said: str) -> None:
    assert said in problem(f"  - current_ramp: {{{written}, for: 1 h, stop: {{voltage: {{above: 1 V}}}}}}")


# --- surroundings, prompts, markers


def test_waiting_for_pressure_temperature_and_frame() -> None:
    steps = compiled(
        "  - condition_pressure: {reach: {above: 500 kPa}, stable: {below: 2 kPa/h, over: 30 min}, at_most: 1 day}\n"
        "  - temperature: {set: 60 degC, within: 0.5 K, for: 20 min, at_most: 3 h, otherwise: end of run}\n"
        "  - stack_pressure: {set: 10 MPa, within: 0.1 MPa}\n"
        "  - prompt: {say: Tighten the frame, at_most: 1 h, otherwise: next}\n"
    ).steps()
    assert [str(end) for end in steps[0].ends] == ["pressure ≥ 500 kPa and dp/dt ≤ 2 kPa/h", "time ≥ 24 h"]
    assert [end.then for end in steps[0].ends] == [None, Then.TRIP]
    assert steps[1].setpoint == ChamberTemperature(60.0)
    assert str(steps[1].ends[0]) == "temperature ≥ 59.5 °C and temperature ≤ 60.5 °C for 20 min"
    assert steps[1].ends[1].then is Then.FINISH
    assert steps[2].setpoint == StackPressure(approx(10e6))
    assert steps[3].setpoint == Question("Tighten the frame")
    assert "95 °C is not inside the limits" in problem("  - temperature: {set: 95 degC}")
    assert "200000 kPa is not inside" in problem("  - stack_pressure: {set: 200 MPa, within: 1 MPa}")


def test_markers_of_a_moment_of_a_step_and_of_the_run() -> None:
    program = compiled(
        "  - marker: SEM image\n"
        "  - rest: {for: 2 h}\n    markers: [{name: frame, every: 20 min, trigger: true}, {name: once, at: 1 h}]\n",
        head="markers: [{name: beam, state_of_charge: [25 %, 50 %]}]\n",
    )
    marker, rest = program.operations
    assert isinstance(marker, Marker) and (marker.name, marker.trigger, marker.line) == ("SEM image", False, 4)
    assert isinstance(rest, Step)
    assert rest.markers == (
        MarkerRule("frame", True, every_s=1200.0),
        MarkerRule("once", at_s=3600.0),
    )
    assert program.markers == (MarkerRule("beam", states_of_charge=(0.25, 0.5)),)
    bare = CELL.replace("state_of_charge: 0 %\n", "")
    said = problem("  - rest: {for: 1 h}", bare, "markers: [{name: beam, state_of_charge: [25 %]}]\n")
    assert said.startswith("p.yaml:2:24: a state of charge needs the cell's 'state_of_charge'")


# --- ends and what follows


def test_what_follows_an_end() -> None:
    program = compiled(
        "  - repeat: 5\n    steps:\n"
        "      - name: up\n        charge: {at: 1 mA, until: [{voltage: 3 V}, {time: 9 h, then: trip},"
        " {pressure: {above: 1 MPa}, then: end of loop}, {temperature: {above: 50 degC}, then: next pass},"
        " {energy: 1 mWh, then: down}, {all: {capacity: 1 mAh, voltage: {above: 2 V}}, for: 10 s, then: end of run}]}\n"
        "      - rest: {for: 1 h}\n"
        "  - name: down\n    discharge: {at: 1 mA, until: [{voltage: 1 V}, {retention: 70 %, then: up}]}\n"
    )
    up, down = program.steps()[0], program.steps()[2]
    assert [end.then for end in up.ends] == [None, Then.TRIP, 3, 2, 3, Then.FINISH]
    assert str(up.ends[-1]) == "voltage ≥ 2 V and capacity ≥ 1 mAh for 10 s"
    assert [end.then for end in down.ends] == [None, 0]


def test_an_end_of_the_loop_at_the_end_of_the_protocol_ends_the_run() -> None:
    program = compiled(
        "  - repeat: 5\n    until: {retention: {below: 80 %, of_cycle: 3}}\n    steps:\n"
        "      - charge: {at: 1 mA, until: {voltage: 3 V}}\n"
        "      - discharge: {at: 1 mA, until: {voltage: 1 V}}\n"
    )
    repeat = program.operations[-1]
    assert isinstance(repeat, Repeat)
    retention = Condition(Quantity.RETENTION, False, 0.8, reference_cycle=3)
    assert repeat.ends == (End((retention,), then=Then.FINISH),)
    assert program.reference_cycles == (3,)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("  - rest: {until: {time: 1 h, then: elsewhere}}", "p.yaml:3:31: there is no step named 'elsewhere'"),
        ("  - rest: {until: {time: 1 h, then: end of loop}}", "there is no loop around this step"),
        ("  - rest: {until: {then: trip}}", "this end names no quantity"),
        ("  - {name: a, rest: {for: 1 s}}\n  - {name: a, rest: {for: 1 s}}", "p.yaml:4:6: there is a step 'a' already"),
        ("  - {name: next, rest: {for: 1 s}}", "says what follows an end and cannot name a step"),
        (
            "  - {repeat: 2, until: {voltage: {above: 1 V}}, steps: [rest: {for: 1 s}]}",
            "a loop ends after a pass by retention",
        ),
        ("  - {rest: {for: 1 s}, until: {time: 1 s}}", "'until' beside a technique ends nothing"),
        ("  - {markers: [{name: x, at: 1 s}], steps: [rest: {for: 1 s}]}", "markers stand on a step"),
    ],
)
def test_what_cannot_follow(steps: str, said: str) -> None:
    assert said in problem(steps)


# --- recording


def test_recording_of_the_protocol_and_of_a_step() -> None:
    program = compiled(
        "  - rest: {for: 1 h}\n  - record: {every: 1 s}\n    steps:\n      - rest: {for: 1 h}\n"
        "      - {record: {every: 2 s}, rest: {for: 1 h}}\n",
        head="record: {every: 30 s, change: [5 mV, 0.1 mA, 2 kPa, 0.5 K], burst: {every: 0.1 s, for: 10 s}}\n",
    )
    assert program.record == RecordRule(30.0, 0.005, approx(1e-4), 2000.0, 0.5, 0.1, 10.0)
    assert [step.record for step in program.steps()] == [None, RecordRule(1.0), RecordRule(2.0)]


# --- other files

FORMATION = """\
protocol: formation
parameters: {rate: 0.1 C}
record: {every: 10 s}
limits: {voltage: [0.5 V, 3.5 V]}
steps:
  - name: first charge
    charge: {at: "${rate}", until: [{voltage: 3 V}, {time: 20 h, then: done}]}
  - name: done
    rest: {for: 1 h}
"""


def test_an_included_file_brings_its_steps_limits_and_recording() -> None:
    program = compiled(
        "  - include: {file: formation.yaml, set: {rate: 0.2 C}}\n  - include: formation.yaml\n"
        "  - {name: done, discharge: {at: 1 mA, until: {voltage: 1 V}}}\n",
        files={"formation.yaml": FORMATION},
    )
    first, rest, again, _, last = program.steps()
    assert (first.file, first.line, first.name) == ("formation.yaml", 7, "1.1 first charge 0.2 C")
    assert (first.setpoint, again.setpoint) == (ConstantCurrent(0.8e-3), ConstantCurrent(0.4e-3))
    assert [end.then for end in first.ends] == [None, 1]
    assert [end.then for end in again.ends] == [None, 3]
    assert (rest.record, last.record) == (RecordRule(10.0), None)
    assert (program.limits.voltage_min_V, program.limits.voltage_max_V) == (0.5, 3.5)


def test_a_measured_capacity_may_come_from_an_included_file() -> None:
    steps = "  - include: formation.yaml\n  - discharge: {at: 1 C of first charge, until: {voltage: 1 V}}\n"
    files = {"formation.yaml": FORMATION}
    assert compiled(steps, files=files).steps()[2].setpoint == MeasuredRate(-1.0, 0)
    twice = "  - include: formation.yaml\n" + steps
    assert "'first charge' may mean several" in problem(twice, files=files)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "p.yaml:3:5: 'formation.yaml' cannot be read: No such file"),
        ({"formation.yaml": "steps: ["}, "formation.yaml:1:9: "),
        ({"formation.yaml": FORMATION.replace("3 V", "3 A")}, "formation.yaml:7:38: '3 A' is not a voltage"),
        ({"formation.yaml": FORMATION.replace("3 V", "3.6 V")}, "formation.yaml:7:38: 3.6 V is not inside"),
        (
            {"formation.yaml": "protocol: x\nsteps:\n  - include: formation.yaml\n"},
            "formation.yaml:3:5: 'formation.yaml' includes itself",
        ),
    ],
)
def test_an_included_file_that_cannot_be_used(files: dict[str, str], said: str) -> None:
    assert problem("  - include: formation.yaml", files=files).startswith(said)


def test_a_current_profile_comes_from_a_table() -> None:
    table = "time / min,note,current / mA\n0,x,1\n1,,-2\n2.5,end,0\n"
    (step,) = compiled("  - profile: {file: drive.csv, scale: 2}", files={"drive.csv": table}).steps()
    assert step.setpoint == CurrentProfile((0.0, 60.0), approx((2e-3, -4e-3)))
    assert list(map(str, step.ends)) == ["time ≥ 150 s"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "drive.csv:1:1: has no column 'time / s'"),
        ("time / s\n0\n", "drive.csv:1:1: has no column 'current / A'"),
        ("time / s,current / V\n0,1\n", "drive.csv:1:1: has no column 'current / A'"),
        ("time / s,current / A\n0,1e-3\n", "drive.csv:1:1: has fewer than two rows"),
        ("time / s,current / A\n1,1e-3\n2,0\n", "drive.csv:2:1: the first time is 1 s"),
        ("time / s,current / A\n0,1e-3\n0,0\n", "drive.csv:3:1: the time 0 s does not rise"),
        ("time / s,current / A\n0,much\n1,0\n", "drive.csv:2:3: 'much' is not a number"),
        ("time / s,current / A\n0,nan\n1,0\n", "drive.csv:2:3: 'nan' is not a number"),
        ("time / s,current / A\n0\n1,0\n", "drive.csv:2:3: '' is not a number"),
        ("time / s,current / A\n0,60e-3\n1,0\n", "p.yaml:3:15: its largest current is 60 mA"),
    ],
)
def test_a_current_profile_that_cannot_be_used(table: str, said: str) -> None:
    assert problem("  - profile: {file: drive.csv}", files={"drive.csv": table}).startswith(said)


# --- procedures stored on a cycler


@pytest.mark.parametrize("written", ["FORM-C10", "{run: FORM-C10}"])
def test_a_stored_procedure_is_named_and_ends_by_itself(written: str) -> None:
    (step,) = compiled(f"  - procedure: {written}\n").steps()
    assert (step.kind, step.setpoint, step.ends) == (Kind.PROCEDURE, StoredProcedure("FORM-C10"), ())
    assert step.name == "1 procedure FORM-C10"


@pytest.mark.parametrize(
    ("steps", "head"),
    [
        ("  - procedure: A\n  - charge: {at: 1 mA, for: 1 h}\n", ""),
        ("  - repeat: 2\n    until: {cycles: 1}\n    steps: [procedure: A]\n", ""),
        ("  - procedure: A\n  - marker: x\n", ""),
        ("  - procedure: A\n", "markers: [{name: x, every: 1 h}]\n"),
    ],
)
def test_a_stored_procedure_stands_alone(steps: str, head: str) -> None:
    assert "stored procedures stand among steps without current alone" in problem(steps, head=head)


def test_procedures_and_sweeps_may_follow_one_another_in_loops() -> None:
    sweep = "impedance: {from: 1 kHz, to: 1 Hz, amplitude: 10 mV}"
    program = compiled(f"  - repeat: 2\n    steps:\n      - procedure: A\n      - {sweep}\n  - procedure: B\n")
    assert [step.kind for step in program.steps()] == [Kind.PROCEDURE, Kind.IMPEDANCE, Kind.PROCEDURE]


def test_a_stored_procedure_has_a_name() -> None:
    assert "at least 1 character" in problem("  - procedure: ''\n")
