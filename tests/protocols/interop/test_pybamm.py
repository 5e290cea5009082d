"""PyBaMM's strings, both ways. `golden/pybamm-steps.json` holds what PyBaMM 26.10 itself makes of strings."""

from __future__ import annotations

import ast
import json

import pytest

from protocols import interop
from protocols.compile import parse_protocol
from protocols.document import DocumentError
from protocols.interop import pybamm_reader
from protocols.interop.plan import Drive, Hold, Rest, Unit, steps
from protocols.interop.report import Report
from tests.protocols.interop.helpers import GOLDEN, remarks, written

THEIRS = json.loads((GOLDEN / "pybamm-steps.json").read_text())


def _read(text: str, file: str = "theirs.py") -> interop.Converted:
    return interop.read(text, "pybamm", file)


def _steps(converted: interop.Converted) -> list[str]:
    lines = converted.text.split("steps:\n", 1)[1].splitlines()
    return [line.split("  #")[0] for line in lines]


@pytest.mark.parametrize("theirs", THEIRS, ids=lambda theirs: theirs["string"])
def test_a_string_means_what_pybamm_says(theirs: dict[str, object]) -> None:
    """Their current is positive on discharge; ours has a word for the direction."""
    report = Report()
    (step,) = steps(pybamm_reader.read(json.dumps([theirs["string"]]), "theirs.json", report).items)
    ends = {name: value for name, value, _ in theirs["ends"]}  # type: ignore[attr-defined]
    assert step.every_s == theirs["period_s"]
    if theirs["class"] == "Rest":
        assert isinstance(step, Rest) and step.time_s == theirs["duration_s"]
    elif theirs["class"] == "Voltage":
        assert isinstance(step, Hold)
        assert (step.voltage_V, step.time_s) == (theirs["value"], theirs["duration_s"])
        end = ends.get("CurrentTermination", ends.get("CRateTermination"))
        assert (step.current.value if step.current else None) == end
    else:
        assert isinstance(step, Drive)
        units = {"CRate": Unit.C_RATE, "Current": Unit.AMPERE, "Power": Unit.WATT, "Resistance": Unit.OHM}
        assert step.amount.unit is units[str(theirs["class"])]
        assert step.amount.value * (-1 if step.charge else 1) == theirs["value"]
        assert step.charge is (theirs["direction"] == "charge")
        assert (step.time_s, step.voltage_V) == (theirs["duration_s"], ends.get("VoltageTermination"))


def test_a_python_file() -> None:
    converted = _read(
        """
import pybamm
n = 3
rest = "Rest for 1 hour"
slow = "Discharge at C/10 for 10 hours or until 3.3 V"
cycle = [(slow, rest, "Charge at 1 A until 4.1 V", "Hold at 4.1 V until 50 mA")]
model = pybamm.lithium_ion.DFN({"thermal": "lumped"})
experiment = pybamm.Experiment(
    ["Rest for 10 s (1 second period)"] + cycle * n,
    period="30 seconds",
    temperature="25oC",
)
simulation = pybamm.Simulation(model, experiment=experiment)
"""
    )
    assert "record: {every: 30 s}" in converted.text
    assert _steps(converted) == [
        "  - rest: {for: 10 s}",
        "    record: {every: 1 s}",
        "  - repeat: 3",
        "    steps:",
        "      - discharge: {at: C/10, for: 10 h, until: {voltage: 3.3 V}}",
        "      - rest: {for: 1 h}",
        "      - charge: {at: 1 A, for: 24 h, until: {voltage: 4.1 V}}",
        "      - hold: {at: 4.1 V, limit: 1 A, for: 24 h, until: {current: 50 mA}}",
    ]
    assert remarks(converted) == [
        "6: note: says no time; PyBaMM's own, 24 h, is written",
        "6: note: says no time; PyBaMM's own, 24 h, is written",
        "11: left out: the experiment's temperature, '25oC'",
    ]


def test_steps_as_objects() -> None:
    converted = _read(
        """
from pybamm import step
[
    step.c_rate(-1 / 2, duration=3600, termination="4.1 V"),
    step.current(0.5, termination=["2.5V"], period="10 s"),
    step.power(2, duration="1 hour"),
    step.voltage(4.1, duration=60, termination="50mA"),
    step.rest(600),
    step.string("Rest for 1 min", period=1),
]
"""
    )
    assert _steps(converted) == [
        "  - charge: {at: C/2, for: 1 h, until: {voltage: 4.1 V}}",
        "  - discharge: {at: 500 mA, for: 24 h, until: {voltage: 2.5 V}}",
        "    record: {every: 10 s}",
        "  - discharge: {power: 2 W, for: 1 h}",
        "  - hold: {at: 4.1 V, for: 1 min, until: {current: 50 mA}}",
        "  - rest: {for: 10 min}",
        "  - rest: {for: 1 min}",
        "    record: {every: 1 s}",
    ]


def test_lines_of_text() -> None:
    converted = _read("# a note\nRest for 1 hour\n\nDischarge at 1C until 2.5 V\n", "steps.txt")
    assert _steps(converted) == ["  - rest: {for: 1 h}", "  - discharge: {at: 1 C, for: 2 h, until: {voltage: 2.5 V}}"]


def test_a_long_list_that_was_written_out_is_folded() -> None:
    """As unicycler writes it: hundreds of strings for loops inside loops."""
    converted = interop.read((GOLDEN / "unicycler-pybamm.json").read_bytes(), "pybamm", "exploded.json")
    assert _steps(converted) == [
        "  - rest: {for: 1 h}",
        "  - repeat: 3",
        "    steps:",
        "      - charge: {at: C/10, for: 20 h, until: {voltage: 4.2 V}}",
        "      - hold: {at: 4.2 V, limit: C/10, for: 24 h, until: {current: C/50}}",
        "      - discharge: {at: C/10, for: 20 h, until: {voltage: 2.5 V}}",
        "  - repeat: 24",
        "    steps:",
        "      - charge: {at: C/2, for: 3 h, until: {voltage: 4.2 V}}",
        "      - hold: {at: 4.2 V, limit: C/2, for: 1 h, until: {current: C/20}}",
        "      - discharge: {at: 22.5 mA, for: 3 h, until: {voltage: 2.5 V}}",
        "  - charge: {at: 0.5 mA, for: 10 min}",
    ]


@pytest.mark.parametrize(
    ("string", "said"),
    [
        ("Charge at D/2 for 1 hour", "'D/2' is no value"),
        ("Discharge at C/0 for 1 hour", "'C/0' is no value"),
        ("Hold at 1 A for 1 hour", "a voltage is held"),
        ("Charge at 4 V until 3 V", "a voltage is held"),
        ("Run US06 (A)", "is no step"),
        ("Discharge at 1 C", "says neither 'for' nor 'until'"),
        ("Charge at -1 A for 1 hour", "the direction is said by the verb"),
        ("Charge at 10 Ohm for 1 hour", "a load, which discharges only"),
        ("Discharge at 1 C for 1 fortnight", "'1 fortnight' is no time"),
        ("Discharge at 1 C for 0 hours", "'0 hours' is no time"),
        ("Discharge at 1 C until 4 Ah", "'4 Ah' is no value"),
        ("Discharge at 1 C until 3 V or 2 h", "'3 V or 2 h' is no value"),
        ("charge at 1 C for 1 hour", "begins with none of Charge"),
    ],
)
def test_strings_that_cannot_be_read(string: str, said: str) -> None:
    with pytest.raises(DocumentError) as raised:
        _read(f'[\n "Rest for 1 hour",\n "{string}",\n]')
    (problem,) = raised.value.problems
    assert said in problem.message and (problem.line, problem.column) == (3, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[__import__("os").system("ls")]', "nothing is run here"),
        ("Experiment([a for a in range(3)])", "'[a for a in range(3)]' is no step"),
        ("pybamm.Experiment(conditions)", "'conditions' does not stand for a list of steps"),
        ('["Rest for 1 hour"] * 2.5', "a whole number of times"),
        ('["Rest for 1 hour"] * 0', "a whole number of times"),
        ("import pybamm", "there is no list of steps here"),
        ("[]", "there is no list of steps here"),
        ("[1, 2]", "'1' is no step"),
        ("[pybamm.step.current(drive_cycle)]", "'drive_cycle' is not a number"),
        ("(((", "is neither Python nor a list of steps"),
        ("\x00", "is neither Python nor a list of steps"),
    ],
)
def test_files_that_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(DocumentError) as raised:
        _read(text)
    assert said in str(raised.value)


def test_ends_that_ours_do_not_have_are_said() -> None:
    converted = _read('["Hold at 4.1 V for 1 h until 3 V", "Discharge at 1 C for 1 h until 1 A"]')
    assert [remark for remark in remarks(converted) if "left out" in remark] == [
        "1: left out: its end at '3 V', which such a step of ours does not have",
        "1: left out: its end at '1 A', which such a step of ours does not have",
    ]


def test_writing() -> None:
    converted = written(
        """
- rest: {for: 90 s}
- charge: {at: C/10, for: 12 h, until: {voltage: 4.2 V}}
- hold: {at: 4.2 V, limit: C/10, for: 1 h, until: {current: C/50}}
- repeat: 2
  steps:
    - repeat: 10
      steps:
        - discharge: {power: 20 mW, for: 10 h, until: {voltage: 2.5 V}}
        - charge: {at: 0.7 C, for: 3 h, until: {voltage: 4.2 V}}
          record: {every: 1 min}
    - discharge: {resistance: 100 ohm, for: 1 h}
""",
        "pybamm",
        cell=None,
    )
    assert converted.text == (
        "# a test\nimport pybamm\n\nexperiment = pybamm.Experiment(\n"
        "    [\n"
        '        "Rest for 90 seconds",\n'
        '        "Charge at C/10 for 12 hours or until 4.2 V",\n'
        '        "Hold at 4.2 V for 1 hour or until C/50",\n'
        "    ]\n"
        "    + (\n"
        "        [\n"
        "            (\n"
        '                "Discharge at 0.02 W for 10 hours or until 2.5 V",\n'
        '                "Charge at 0.7 C for 3 hours or until 4.2 V (1 minute period)",\n'
        "            )\n"
        "        ] * 10\n"
        "        + [\n"
        '            "Discharge at 100 Ohm for 1 hour",\n'
        "        ]\n"
        "    ) * 2,\n"
        '    period="30 seconds",\n)\n'
    )
    ast.parse(converted.text)
    assert remarks(converted) == []
    assert parse_protocol(_read(converted.text).text).content.steps[3].repeat == 2


def test_what_pybamm_would_end_by_itself_is_said() -> None:
    converted = written("- discharge: {at: 1 mA, until: {voltage: 2.5 V}}", "pybamm", cell=None)
    assert remarks(converted) == ["3: note: says no time; PyBaMM ends it after 24 h at the latest"]


def test_a_charge_until_an_areal_capacity_is_said_as_a_time() -> None:
    converted = written("- charge: {at: 0.5 mA/cm^2, until: {capacity: 1 mAh/cm^2}}", "pybamm")
    assert '"Charge at 0.75 mA for 2 hours",' in converted.text
    assert not converted.losses
