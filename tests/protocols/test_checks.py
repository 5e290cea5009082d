"""Mistakes of a whole program: ends that are never met, steps that nothing leads to, and what a channel lacks."""

from __future__ import annotations

import pytest

from protocols.abilities import Abilities, check_channel
from protocols.cell import parse_cell
from protocols.checks import remarks
from protocols.compile import parse_protocol
from protocols.document import DocumentError
from protocols.program import Program

CELL = """\
cell: coin-1
active_mass: 2 mg
electrode_area: 0.5 cm^2
nominal_capacity: 4 mAh
state_of_charge: 0 %
limits: {voltage: [0 V, 4 V], current: 10 mA, pressure: {above: 1.5 MPa}}
"""
HEAD = "protocol: x\nsteps:\n"


def compiled(text: str, cell: str = CELL) -> Program:
    return parse_protocol(text, "p.yaml").compile_for(parse_cell(cell))


def problems(steps: str, head: str = HEAD) -> list[str]:
    """`steps` with a mistake; » in it, which is taken out, is where the one problem should stand."""
    marked = head + steps
    with pytest.raises(DocumentError) as caught:
        compiled(marked.replace("»", ""))
    if "»" in marked:
        line = marked[: marked.index("»")].count("\n") + 1
        column = marked.index("»") - marked.rfind("\n", 0, marked.index("»"))
        assert [(p.line, p.column) for p in caught.value.problems] == [(line, column)], caught.value
    return [problem.message for problem in caught.value.problems]


# --- steps that never end


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("»charge: {at: 1 mA, until: {voltage: {below: 1 V}}}", "'voltage ≤ 1 V' lies behind it"),
        ("»discharge: {at: 1 mA, until: {voltage: {above: 1 V}}}", "write 'below' for 'above', or give a time"),
        ("»discharge: {power: 1 mW, until: {voltage: {above: 1 V}}}", "this discharge never ends"),
        ("»charge: {at: 1 mA, until: {state_of_charge: {below: 10 %}}}", "'state of charge ≤ 10 %' lies behind it"),
        ("»discharge: {at: 1 mA, until: {state_of_charge: {above: 90 %}}}", "never ends"),
        ("»charge: {at: 1 mA, until: {net_capacity: {below: -1 mAh}}}", "'net capacity ≤ -1 mAh' lies behind it"),
        ("»chronopotentiometry: {at: -1 mA, until: {voltage: {above: 1 V}}}", "this discharge never ends"),
        ("»charge: {at: 1 mA, until: {all: {voltage: {below: 1 V}, state_of_charge: {below: 5 %}}}}", "never ends"),
        ("»rest: {until: {state_of_charge: {above: 90 %}}}", "'state of charge ≥ 90 %' does not change while it lasts"),
        ("»rest: {until: {total_capacity: 1 mAh}}", "does not change while it lasts"),
        ("»hold: {at: 1 V, until: {cycles: 3}}", "put this end on the loop ('until' beside 'repeat')"),
    ],
)
def test_a_step_whose_ends_are_never_met(step: str, said: str) -> None:
    (message,) = problems(f"  - {step}\n")
    assert said in message


@pytest.mark.parametrize(
    "step",
    [
        "charge: {at: 1 mA, until: {voltage: {below: 1 V}}, for: 1 h}",
        "charge: {at: 1 mA, until: {all: {voltage: {below: 1 V}, time: 10 min}}}",  # still so low after so long
        "charge: {at: 1 mA, until: {voltage_drop: 50 mV}}",
        "pulse: {direction: both, at: 1 mA, for: 10 s, until: {voltage: {below: 1 V}}}",
        "current_ramp: {from: 1 mA, to: 2 mA, step: 1 mA, for: 1 h, stop: {voltage: {above: 1 V}}}",
        "rest: {until: [{state_of_charge: {above: 50 %}}, {state_of_charge: {below: 50 %}}]}",  # one of them is so
        "rest: {until: {voltage: {above: 1 V}}}",
        "rest: {until: {all: {voltage: {above: 1 V}, state_of_charge: {above: 10 %}}}}",
        "hold: {at: 1 V, until: {capacity: 1 mAh}}",
        "charge: {at: 1 mA, hold: 3 V, until: {current: 0.1 mA, voltage: 3.5 V}}",
        "impedance: {from: 1 kHz, to: 1 Hz, amplitude: 10 mV, staircase: {state_of_charge: [0 %, 50 %], at: 1 mA}}",
        "gitt: {direction: charge, at: 1 mA, pulse: 10 min, rest: 1 h, until: {voltage: 3 V}}",
        "cyclic_voltammetry: {to: 1 V, back: 2 V, rate: 1 mV/s, cycles: 3}",
        "pitt: {from: 1 V, to: 2 V, step: 100 mV, until: {current: C/100}}",
        "temperature: {set: 40 degC}",
        "condition_pressure: {reach: {above: 500 kPa}, stable: {below: 2 kPa/h, over: 30 min}, at_most: 12 h}",
        "prompt: close the valve",
    ],
)
def test_a_step_that_ends(step: str) -> None:
    assert compiled(f"{HEAD}  - {step}\n  - rest: {{for: 1 h}}\n").steps()


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            "»rest: {for: 1 h, until: {all: {pressure: {above: 700 kPa}, time: 2 h}}}",
            "takes 2 h at least, and the step ends after 1 h",
        ),
        ("»charge: {at: 1 mA, for: 5 min, until: {voltage: 3 V, for: 10 min}}", "for 10 min' takes 10 min at least"),
        ("»rest: {for: 10 min, until: {dV/dt: {below: 1 mV/h, over: 1 h}}}", "takes 1 h at least"),
        ("»rest: {for: 10 min, until: [{time: 20 min, then: end of run}]}", "it never counts"),
        (
            "»gitt: {direction: charge, at: 1 mA, pulse: 1 min, rest: 5 min, rest_until: {dV/dt: 1 mV/h},"
            " until: {voltage: 3 V}}",
            "takes 10 min at least, and the step ends after 300 s",
        ),
    ],
)
def test_an_end_that_comes_too_late(step: str, said: str) -> None:
    (message,) = problems(f"  - {step}\n")
    assert said in message


def test_a_time_said_twice_is_merely_superfluous() -> None:
    assert compiled(f"{HEAD}  - rest: {{for: 1 h, until: {{time: 2 h}}}}\n").steps()


def test_conditions_that_are_never_met_together() -> None:
    (message,) = problems(
        "  - »rest: {for: 1 h, until: {all: {temperature: {below: 30 degC}, pressure: {above: 2 kPa, below: 1 kPa}}}}\n"
    )
    assert message.startswith("'pressure ≥ 2 kPa' and 'pressure ≤ 1 kPa' are never met together")


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (
            "[{voltage: 2.9 V}, {voltage: 3 V, then: trip}]",
            "the end 'voltage ≥ 3 V' never counts: 'voltage ≥ 2.9 V' stands before it",
        ),
        ("[{voltage: 3 V}, {voltage: 3 V, then: end of run}]", "never counts"),
        ("[{voltage: 3 V}, {all: {voltage: 3 V, time: 1 h}, then: end of run}]", "put it first, or change its value"),
    ],
)
def test_an_end_behind_one_that_is_always_met_before(ends: str, said: str) -> None:
    (message,) = problems(f"  - »charge: {{at: 1 mA, until: {ends}}}\n")
    assert said in message


def test_a_farther_end_may_stand_first_to_tell_a_jump_from_a_slow_rise() -> None:
    assert compiled(
        f"{HEAD}  - charge: {{at: 1 mA, until: [{{voltage: 3 V, then: trip}}, {{voltage: 2.9 V}}]}}\n"
    ).steps()


def test_a_hold_that_never_begins() -> None:
    (message,) = problems("  - »charge: {at: 1 mA, hold: 3 V, for: 1 h, until: {voltage: 2.9 V}}\n")
    assert message == "'voltage ≥ 2.9 V' ends this step before it holds 3 V; leave out 'hold' or this end"


def test_a_marker_after_the_end_of_its_step() -> None:
    (message,) = problems("  - {»rest: {for: 1 h}, markers: [{name: photo, at: 2 h}]}\n")
    assert message == "marker 'photo' after 2 h never comes: the step ends after 1 h; give an earlier time"


# --- ways through the program


def test_steps_that_nothing_leads_to_are_named_once_a_row() -> None:
    (message,) = problems(
        "  - rest: {until: [{time: 1 h, then: end of run}]}\n  - »rest: {for: 1 h}\n  - charge: {at: 1 mA, for: 1 h}\n"
    )
    assert "nothing leads to this step: every end of '1 rest' leads elsewhere" in message


def test_a_jump_past_a_step_that_no_other_end_names() -> None:
    (message,) = problems(
        "  - rest: {until: [{time: 1 h, then: last}]}\n  - »rest: {for: 1 h}\n  - {name: last, rest: {for: 1 h}}\n"
    )
    assert "nothing leads to this step" in message


def test_a_loop_that_is_never_passed_again() -> None:
    (message,) = problems(
        "  - repeat: 3\n    steps:\n      - »charge: {at: 1 mA, until: [{voltage: 3 V, then: end of run}]}\n"
    )
    assert "the loop that begins here is never passed again" in message


def test_steps_that_are_never_left() -> None:
    (message,) = problems(
        "  - {name: a, rest: {for: 1 h}}\n  - »charge: {at: 1 mA, until: [{voltage: 3 V, then: a}]}\n"
    )
    assert "from '1 a' to here the steps are never left: each end leads back among them" in message
    (message,) = problems(
        "  - {name: a, »rest: {until: [{time: 1 h, then: a}, {voltage: {above: 3 V}, then: trip}]}}\n"
    )
    assert "never left" in message


@pytest.mark.parametrize(
    "steps",
    [
        "  - {name: a, rest: {for: 1 h}}\n  - charge: {at: 1 mA, until: [{voltage: 3 V, then: a}, {cycles: 3}]}\n",
        "  - repeat: 9\n    steps:\n      - rest: {until: [{time: 1 h}, {voltage: {above: 3 V}, then: end of loop}]}\n",
        "  - repeat: 9\n    steps:\n      - rest: {until: [{time: 1 h, then: next pass}, {pressure: {above: 1 MPa}}]}\n"
        "      - rest: {for: 1 h}\n",
        "  - {name: a, discharge: {at: 1 mA, until: [{voltage: 1 V}, {time: 9 h, then: b}]}}\n"
        "  - charge: {at: 1 mA, until: [{voltage: 3 V, then: a}, {total_capacity: 1 Ah}]}\n"
        "  - {name: b, impedance: {from: 1 kHz, to: 1 Hz, amplitude: 10 mV}}\n",
    ],
)
def test_jumps_that_lead_on(steps: str) -> None:
    assert compiled(HEAD + steps).steps()


def test_counts_that_no_number_satisfies() -> None:
    (message,) = problems("  - {»rest: {for: 1 s}, every: 10 cycles, first: 5 cycles}\n  - rest: {for: 1 s}\n")
    assert message == "no cycle satisfies 'every: 10' and 'first: 5'; this step is never done"
    (message,) = problems(
        "  - repeat: 9\n    steps:\n      - rest: {for: 1 s}\n"
        "      - {»rest: {for: 1 s}, after: 5 passes, first: 5 passes}\n"
    )
    assert message == "no pass satisfies 'first: 5' and 'after: 5'; this step is never done"
    assert compiled(f"{HEAD}  - {{rest: {{for: 1 s}}, every: 10 cycles, first: 30 cycles}}\n").steps()


def test_retention_needs_whole_cycles() -> None:
    charge = "charge: {at: 1 mA, until: {voltage: 3 V}}"
    discharge = "discharge: {at: 1 mA, until: {voltage: 1 V}}"
    loop = "  - repeat: 3\n    until: {retention: 80 %}\n    steps:\n"
    (message,) = problems(f"{loop}      - »{charge}\n")
    assert "a cycle is a charge and a discharge, and there is no discharge here" in message
    assert compiled(f"{HEAD}{loop}      - {charge}\n      - {discharge}\n").steps()


# --- remarks


def test_what_is_left_out_with_the_present_counts_is_remarked_and_no_mistake() -> None:
    program = compiled(
        f"{HEAD}  - repeat: 3\n    steps:\n      - charge: {{at: 1 mA, until: {{voltage: 3 V}}}}\n"
        "      - discharge: {at: 1 mA, until: {voltage: 1 V}}\n"
        "      - {rest: {for: 1 h}, every: 10 cycles}\n"
        "      - {rest: {for: 1 h}, after: 3 passes}\n"
        "      - {rest: {for: 1 h}, after: 2 passes}\n"
        "      - rest: {for: 1 h, until: {retention: {below: 80 %, of_cycle: 5}}}\n"
    )
    assert [(p.line, p.message) for p in remarks(program)] == [
        (7, "left out: 'every: 10' never comes, for only 3 cycles are planned"),
        (8, "left out: 'after: 3' never comes, for only 3 passes are made"),
        (10, "retention refers to cycle 5, and only 3 cycles are planned"),
    ]


# --- a channel

EVERYTHING = """\
protocol: x
record: {every: 0.5 s}
markers: [{name: photo, every: 1 h, trigger: true}]
limits: {pressure: {above: 1 MPa}, temperature: {above: 60 degC}}
steps:
  - charge: {at: 5 mA, until: {voltage: 3 V}}
  - hold: {at: 3.5 V, for: 1 h}
  - linear_sweep: {from: 0.5 V, to: 3.5 V, rate: 1 mV/s}
  - impedance: {from: 1 MHz, to: 1 Hz, amplitude: 10 mV, at: 3.5 V}
  - impedance: {from: 1 kHz, to: 1 mHz, amplitude: 4 mA}
  - rest: {for: 1 h, until: {pressure: {above: 500 kPa}, temperature: {above: 30 degC}}}
  - temperature: {set: 25 degC}
  - stack_pressure: {set: 500 kPa, within: 10 kPa}
  - marker: {name: now, trigger: true}
  - rest: {for: 1 h}
    record: {every: 1 s, burst: {every: 0.1 s, for: 10 s}}
"""


def test_a_channel_that_can_do_all_or_of_which_nothing_is_known() -> None:
    program = compiled(EVERYTHING)
    assert check_channel(program, Abilities()) == ()
    able = Abilities(0.1, (-10e-3, 10e-3), (-5.0, 5.0), (1e-3, 1e6), True, True, True, True, True, True)
    assert check_channel(program, able) == ()


@pytest.mark.parametrize(
    ("abilities", "places", "said"),
    [
        (Abilities(shortest_period_s=1.0), [(1, 1), (15, 5)], "a sample each 0.5 s is more than the channel can take"),
        (
            Abilities(current_range_A=(-1e-3, 1e-3)),
            [(6, 5), (10, 5)],
            "a current of 5 mA is outside the instrument's -1",
        ),
        (
            Abilities(voltage_range_V=(0.0, 3.2)),
            [(7, 5), (8, 5), (9, 5)],
            "a voltage of 3.5 V is outside the instrument's",
        ),
        (Abilities(frequency_range_Hz=(1e-2, 1e5)), [(9, 5), (10, 5)], "a frequency of 1e+06 Hz is outside"),
        (Abilities(has_impedance=False), [(9, 5), (10, 5)], "the channel has no impedance instrument"),
        (Abilities(has_galvanostatic_impedance=False), [(10, 5)], "drives no current (GEIS); give an amplitude in mV"),
        (Abilities(has_pressure=False), [(1, 1), (11, 5)], "a limit of pressure is set, and the channel has no"),
        (Abilities(has_temperature=False), [(1, 1), (11, 5)], "a limit of temperature is set, and the channel has no"),
        (Abilities(has_chamber=False), [(12, 5)], "no chamber to set; bind one, or ask for it with a 'prompt'"),
        (Abilities(has_frame=False), [(13, 5)], "no driven frame to set"),
    ],
)
def test_what_a_channel_lacks(abilities: Abilities, places: list[tuple[int, int]], said: str) -> None:
    found = check_channel(compiled(EVERYTHING), abilities)
    assert list(dict.fromkeys((p.line, p.column) for p in found)) == places
    assert said in found[0].message
