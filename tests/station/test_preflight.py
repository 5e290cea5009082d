"""Where a program would meet a limit in force, with file and line."""

from __future__ import annotations

import math

import pytest

from protocols.limits import Limits
from station.preflight import beyond_limits, wants_trigger
from station.run import Request, Run, prepare

CELL = "cell: c\nnominal_capacity: 1 mAh\n"


def run_of(*steps: str, head: str = "", files: dict[str, str] | None = None) -> Run:
    text = f"protocol: p\n{head}steps:\n" + "".join(f"  - {step}\n" for step in steps)
    return prepare("run", "A1", Request(text, "p.yaml", CELL, "c.yaml", {}, files or {}), 0.0)


def test_a_step_of_an_included_file_is_named_with_that_file() -> None:
    part = "protocol: part\nsteps:\n  - rest: {for: 1 s}\n  - charge: {at: 5 mA, for: 1 h}\n"
    run = run_of("include: part.yaml", files={"part.yaml": part})
    (problem,) = beyond_limits(run.program, Limits(current_max_A=2e-3))
    assert str(problem).startswith("part.yaml:4:5: step '")


@pytest.mark.parametrize(
    ("step", "limits", "said"),
    [
        ("charge: {at: 2 mA, for: 1 h}", Limits(current_max_A=2e-3), "2 mA is not below the limit in force, 2 mA"),
        ("charge: {at: 1 mA, hold: 3 V, for: 1 h}", Limits(voltage_max_V=3.0), "3 V is not between"),
        ("hold: {at: 3 V, for: 1 h}", Limits(voltage_max_V=2.9), "-inf V and 2.9 V"),
        ("linear_sweep: {from: 1 V, to: 2 V, rate: 1 mV/s}", Limits(voltage_min_V=1.0), "1 V is not between"),
        ("linear_sweep: {to: 2 V, rate: 1 mV/s}", Limits(voltage_max_V=1.5), "2 V is not between"),
        ("temperature: {set: 60 degC}", Limits(temperature_max_degC=55.0), "60 °C is not between"),
        ("stack_pressure: {set: 2 MPa, within: 1 kPa}", Limits(pressure_max_Pa=1e6), "2000 kPa is not between"),
        (
            "impedance: {from: 1 kHz, to: 1 Hz, amplitude: 1 mA, bias_current: 1 mA}",
            Limits(current_max_A=2e-3),
            "2.414 mA is not below",
        ),
    ],
)
def test_a_set_point_beyond_a_limit(step: str, limits: Limits, said: str) -> None:
    run = run_of(step)
    assert beyond_limits(run.program, Limits()) == ()
    (problem,) = beyond_limits(run.program, limits)
    assert said in str(problem)


def test_what_depends_on_the_cell_is_judged_while_it_runs() -> None:
    limits = Limits(voltage_min_V=0.0, voltage_max_V=2.0, current_max_A=1e-3)
    steps = ("charge: {power: 1 kW, for: 1 h}", "chronoamperometry: {at: 3 V vs OCV, for: 1 s}")
    assert beyond_limits(run_of(*steps).program, limits) == ()


def test_the_largest_current_of_a_profile_counts_in_both_directions() -> None:
    files = {"load.csv": "time / s,current / mA\n0,1\n1,-3\n2,0\n"}
    run = run_of("profile: {file: load.csv, for: 10 s}", files=files)
    (problem,) = beyond_limits(run.program, Limits(current_max_A=2.9e-3))
    assert "3 mA is not below" in problem.message
    assert beyond_limits(run.program, Limits(current_max_A=3.1e-3)) == ()


@pytest.mark.parametrize(
    ("steps", "head", "wanted"),
    [
        (("rest: {for: 1 s}",), "", False),
        (("marker: image",), "", False),
        (("marker: {name: image, trigger: true}", "rest: {for: 1 s}"), "", True),
        (("{rest: {for: 1 s}, markers: [{name: i, at: 0 s, trigger: true}]}",), "", True),
        (("rest: {for: 1 s}",), "markers: [{name: i, every: 1 min, trigger: true}]\n", True),
    ],
)
def test_whether_a_trigger_line_is_wanted(steps: tuple[str, ...], head: str, wanted: bool) -> None:
    run = run_of("rest: {for: 1 s}", *steps, head=head)
    assert wants_trigger(run.program) is wanted


def test_limits_that_are_not_set_are_no_limits() -> None:
    assert beyond_limits(run_of("temperature: {set: 60 degC}").program, Limits(pressure_max_Pa=math.inf)) == ()
