"""aurora-unicycler's JSON, both ways. `golden/cycling.json` is a file that unicycler 0.4.6 itself accepts."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from protocols import interop
from protocols.compile import parse_protocol
from protocols.document import DocumentError
from protocols.program import ConstantCurrent, Kind, Repeat, Step, SweepPlan
from tests.protocols.interop.helpers import CELL, GOLDEN, remarks, written


def _file(*method: dict[str, Any], **parts: Any) -> str:
    return json.dumps({"record": {"time_s": 10}, "method": method, **parts}, indent=1)


def _read(*method: dict[str, Any], **parts: Any) -> interop.Converted:
    return interop.read(_file(*method, **parts), "unicycler", "theirs.json")


def _steps(converted: interop.Converted) -> list[str]:
    lines = converted.text.split("steps:\n", 1)[1].splitlines()
    return [line.split("  #")[0] for line in lines]


REST = {"step": "open_circuit_voltage", "until_time_s": 60}
CHARGE = {"step": "constant_current", "rate_C": 0.5, "until_voltage_V": 4.2}


def test_a_whole_file_reads_as_it_is_meant() -> None:
    converted = interop.read((GOLDEN / "cycling.json").read_bytes(), "unicycler", "cycling.json")
    assert _steps(converted) == [
        '  - name: "soak"',
        "    rest: {for: 1 h}",
        "  - impedance: {from: 1 MHz, to: 100 mHz, amplitude: 7.07106781187 mV, points_per_decade: 10}",
        "  - repeat: 3",
        "    steps:",
        '      - name: "slow charge"',
        "        charge: {at: C/10, hold: 4.2 V, until: {current: C/50}}",
        "      - discharge: {at: C/10, until: {voltage: 2.5 V}}",
        "  - repeat: 2",
        "    steps:",
        "      - repeat: 12",
        "        steps:",
        "          - charge: {at: C/2, for: 3 h, until: {voltage: 4.2 V}}",
        "          - hold: {at: 4.2 V, limit: C/2, for: 1 h, until: {current: C/20}}",
        "          - discharge: {at: 22.5 mA, for: 3 h, until: {voltage: 2.5 V}}",
        "      - impedance: {from: 20 kHz, to: 10 mHz, amplitude: 0.353553390593 mA, points_per_decade: 6}",
        "  - linear_sweep: {from: 2.5 V, to: 4.2 V, rate: 0.1 mV/s}",
        "  - charge: {at: 0.5 mA, for: 10 min}",
    ]
    assert 'protocol: "NMC811 vs graphite, 45 mAh"' in converted.text
    assert "record: {every: 10 s, change: [5 mV, 0.1 mA]}" in converted.text
    assert "limits: {voltage: [-0.1 V, 4.5 V], current: 100 mA}" in converted.text
    assert [str(loss) for loss in converted.losses] == [
        "cycling.json:7: left out: safety: the limit of capacity, 90 mAh"
    ]


def test_what_was_read_compiles_to_the_same_currents_and_loops() -> None:
    converted = interop.read((GOLDEN / "cycling.json").read_bytes(), "unicycler", "cycling.json")
    program = parse_protocol(converted.text).compile_for(CELL)
    assert [one.count for one in program.operations if isinstance(one, Repeat)] == [3, 12, 2]
    currents = [one.setpoint.current_A for one in program.steps() if isinstance(one.setpoint, ConstantCurrent)]
    assert currents == pytest.approx([4.5e-3, -4.5e-3, 22.5e-3, -22.5e-3, 0.5e-3])
    sweeps = [one.setpoint for one in program.steps() if isinstance(one.setpoint, SweepPlan)]
    assert sweeps[0].amplitude_rms_V == pytest.approx(0.01 / math.sqrt(2))  # theirs is the peak value
    assert sweeps[1].amplitude_rms_A == pytest.approx(0.5e-3 / math.sqrt(2))
    assert len(sweeps[0].frequencies_Hz) == 71


def test_writing_gives_the_steps_back() -> None:
    theirs = (GOLDEN / "cycling.json").read_text()
    ours = parse_protocol(interop.read(theirs, "unicycler", "cycling.json").text, "ours.yaml")
    again = json.loads(interop.write(ours, "unicycler", CELL).text)
    assert again["sample"] == {"name": "NMC811 vs graphite, 45 mAh", "capacity_mAh": 45.0}
    assert again["record"] == {"time_s": 10.0, "voltage_V": 0.005, "current_mA": 0.1}
    assert again["safety"] == {
        "max_voltage_V": 4.5, "min_voltage_V": -0.1, "max_current_mA": 100.0, "min_current_mA": -100.0
    }  # fmt: skip
    before = [step for step in json.loads(theirs)["method"] if step["step"] not in ("loop", "tag")]
    after = [step for step in again["method"] if step["step"] not in ("loop", "tag")]
    assert [step["step"] for step in after] == [step["step"] for step in before]
    assert [step["cycle_count"] for step in again["method"] if step["step"] == "loop"] == [3, 12, 2]
    assert after[1]["amplitude_V"] == pytest.approx(0.01)
    assert (after[2]["rate_C"], after[2]["until_voltage_V"], after[2]["id"]) == (0.1, 4.2, "slow charge")
    assert after[4]["rate_C"] == -0.1 and after[7]["current_mA"] == -22.5


def test_a_hold_after_a_discharge_has_a_negative_end() -> None:
    """unicycler's NEWARE export takes the direction of a hold from the sign of its end."""
    text = written("- discharge: {at: 9 mA, hold: 2.5 V, until: {current: 1 mA}}", "unicycler").text
    drive, hold = json.loads(text)["method"]
    assert (drive["current_mA"], drive["until_voltage_V"]) == (-9.0, 2.5)
    assert (hold["voltage_V"], hold["until_current_mA"]) == (2.5, -1.0)


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (0.5, "charge: {at: C/2"),
        ("C/3", "charge: {at: C/3"),
        ("D/2", "discharge: {at: C/2"),
        ("2C/3", "charge: {at: 0.666666666667 C"),
        ("1/5", "charge: {at: C/5"),
        (" C / 10 ", "charge: {at: C/10"),
        ("-0.1", "discharge: {at: C/10"),
    ],
)
def test_rates(rate: object, said: str) -> None:
    assert said in _read({**CHARGE, "rate_C": rate}).text


@pytest.mark.parametrize("rate", ["C", "C/0", "x/2", "1/2/3", "CC/2", True, [1], "1e400", {}])
def test_what_is_no_rate(rate: object) -> None:
    if rate == "C":  # one that unicycler refuses and that can mean one thing only
        assert "at: 1 C" in _read({**CHARGE, "rate_C": rate}).text
        return
    with pytest.raises(DocumentError, match=r"theirs\.json:\d+:\d+: .*is not a (rate|number)"):
        _read({**CHARGE, "rate_C": rate})


def test_a_rate_wins_over_a_current_and_the_difference_is_said() -> None:
    converted = _read({**CHARGE, "current_mA": 3}, sample={"capacity_mAh": 45})
    assert "charge: {at: C/2" in converted.text
    assert "the rate_C counts, and not the current_mA beside it" in str(converted.report[0])
    assert not _read({**CHARGE, "current_mA": 22.5}, sample={"capacity_mAh": 45}).report


class TestZero:
    def test_a_discharge_to_0_V_ends_there(self) -> None:
        step = {"step": "constant_current", "current_mA": -1, "until_voltage_V": 0}
        assert "discharge: {at: 1 mA, until: {voltage: 0 V}}" in _read(step).text

    def test_a_charge_until_0_V_has_no_voltage_end(self) -> None:
        step = {"step": "constant_current", "current_mA": 1, "until_voltage_V": 0, "until_time_s": 60}
        assert "charge: {at: 1 mA, for: 1 min}" in _read(step).text

    def test_a_charge_until_0_V_alone_is_refused(self) -> None:
        with pytest.raises(DocumentError, match="a charge until 0 V is over as it begins"):
            _read({"step": "constant_current", "current_mA": 1, "until_voltage_V": 0})

    def test_writing_0_V_would_mean_none_there(self) -> None:
        converted = written("- discharge: {at: 1 mA, until: {voltage: 0 V}}", "unicycler")
        assert json.loads(converted.text)["method"][0]["until_voltage_V"] == 0.001
        assert "approximated" in str(converted.losses[0])


class TestLoops:
    def test_an_integer_goes_to_the_step_of_that_number(self) -> None:
        loop = {"step": "loop", "loop_to": 1, "cycle_count": 5}
        assert _steps(_read(REST, loop)) == ["  - repeat: 5", "    steps:", "      - rest: {for: 1 min}"]

    def test_the_key_of_older_files(self) -> None:
        assert "repeat: 5" in _read(REST, {"step": "loop", "start_step": 1, "cycle_count": 5}).text

    def test_loops_inside_loops_that_begin_together(self) -> None:
        inner = {"step": "loop", "loop_to": 1, "cycle_count": 2}
        outer = {"step": "loop", "loop_to": 1, "cycle_count": 3}
        assert [line.strip() for line in _steps(_read(REST, inner, CHARGE, outer))] == [
            "- repeat: 3", "steps:", "- repeat: 2", "steps:", "- rest: {for: 1 min}",
            "- charge: {at: C/2, until: {voltage: 4.2 V}}",
        ]  # fmt: skip

    def test_loops_that_cross_are_refused(self) -> None:
        first = {"step": "loop", "loop_to": 1, "cycle_count": 2}
        second = {"step": "loop", "loop_to": 2, "cycle_count": 2}
        with pytest.raises(DocumentError, match="step 5: this loop begins inside another one and ends after it"):
            _read(REST, REST, first, REST, second)

    @pytest.mark.parametrize(
        ("loop_to", "said"),
        [
            (2, "this one goes to the loop itself"),
            (7, "this one goes to step 7 of 2"),
            (0, "this one goes to step 0 of 2"),
            ("formation", "there is no tag 'formation'; tags: none"),
        ],
    )
    def test_loops_that_lead_nowhere(self, loop_to: object, said: str) -> None:
        with pytest.raises(DocumentError, match=said):
            _read(REST, {"step": "loop", "loop_to": loop_to, "cycle_count": 2})

    def test_a_loop_of_nothing(self) -> None:
        with pytest.raises(DocumentError, match="this loop has no steps"):
            _read(REST, {"step": "tag", "tag": "x"}, {"step": "loop", "loop_to": "x", "cycle_count": 2})

    def test_a_tag_twice(self) -> None:
        with pytest.raises(DocumentError, match="there is a tag 'x' already"):
            _read({"step": "tag", "tag": "x"}, REST, {"step": "tag", "tag": "x"}, REST)

    def test_a_tag_between_a_charge_and_its_hold_keeps_them_apart(self) -> None:
        hold = {"step": "constant_voltage", "voltage_V": 4.2, "until_rate_C": 0.05}
        loop = {"step": "loop", "loop_to": "x", "cycle_count": 2}
        steps = _steps(_read(CHARGE, {"step": "tag", "tag": "x"}, hold, loop))
        assert steps[0] == "  - charge: {at: C/2, until: {voltage: 4.2 V}}"
        assert steps[3] == "      - hold: {at: 4.2 V, until: {current: C/20}}"


@pytest.mark.parametrize(
    ("step", "line", "said"),
    [
        ({"step": "constant_voltage", "voltage_V": 4.2}, 6, "it would hold for ever"),
        ({"step": "constant_voltage", "voltage_V": 4.2, "until_current_mA": 0}, 6, "it would hold for ever"),
        ({"step": "constant_current", "rate_C": 1}, 6, "needs an end"),
        ({"step": "constant_current", "until_time_s": 1}, 6, "needs a rate_C or a current_mA"),
        ({**CHARGE, "until_volage_V": 4}, 10, "'until_volage_V' is not known here"),
        ({**CHARGE, "until_time_s": -1}, 10, "below zero"),
        ({**CHARGE, "until_time_s": "soon"}, 10, "'soon' is not a number"),
        ({**CHARGE, "until_time_s": "nan"}, 10, "'nan' is not a finite number"),
        ({"step": "impedance_spectroscopy", "start_frequency_Hz": 1e3, "end_frequency_Hz": 1}, 6, "one amplitude"),
        ({"step": "cyclic_voltammetry"}, 6, "cyclic_voltammetry"),
        ({}, 6, "step"),
    ],
)
def test_mistakes_name_their_line(step: dict[str, Any], line: int, said: str) -> None:
    with pytest.raises(DocumentError) as raised:
        _read(step)
    problem = raised.value.problems[0]
    assert (problem.file, said in problem.message) == ("theirs.json", True), problem
    assert problem.line == line


def test_where_the_text_is_no_json() -> None:
    with pytest.raises(DocumentError, match=r"theirs\.json:2:10: is not JSON"):
        interop.read('{"method": [\n {"step" "x"}]}', "unicycler", "theirs.json")


class TestLimits:
    def test_one_limit_of_current_for_both_directions(self) -> None:
        converted = _read(REST, safety={"max_current_mA": 10, "min_current_mA": -5})
        assert "limits: {current: 5 mA}" in converted.text  # the narrower, as no step needs more
        assert "one limit of current for both directions, 5 mA" in str(converted.losses[0])

    def test_a_step_may_need_the_wider_one(self) -> None:
        step = {"step": "constant_current", "current_mA": 8, "until_time_s": 60}
        assert "current: 10 mA" in _read(step, safety={"max_current_mA": 10, "min_current_mA": -5}).text

    def test_a_voltage_limit_on_one_side(self) -> None:
        assert "limits: {voltage: [-10 V, 4.3 V]}" in _read(REST, safety={"max_voltage_V": 4.3}).text

    def test_in_the_wrong_order(self) -> None:
        with pytest.raises(DocumentError, match="max_voltage_V, 2, is not above"):
            _read(REST, safety={"max_voltage_V": 2, "min_voltage_V": 3})


def test_names_are_given_once_and_texts_cannot_break_the_file() -> None:
    odd = 'a "b"\n# ${x}: [\U0001f600] \x85'
    converted = _read({**REST, "id": odd}, {**REST, "id": odd}, {**REST, "id": "trip"}, sample={"name": odd})
    content = parse_protocol(converted.text).content
    assert content.protocol == odd.replace("${", "$ {")
    assert [step.name for step in content.steps] == [odd.replace("${", "$ {"), None, None]


def test_no_rates_without_a_cell_is_fine_and_said() -> None:
    converted = written("- charge: {at: 0.5 C, until: {voltage: 4.2 V}}", "unicycler", cell=None)
    assert json.loads(converted.text)["method"][0]["rate_C"] == 0.5
    assert remarks(converted) == [
        "3: note: its rates need a sample's capacity before unicycler can export it; give a cell, or the capacity there"
    ]


def test_steps_of_the_program_are_what_was_meant() -> None:
    program = parse_protocol(_read(REST, CHARGE).text).compile_for(CELL)
    assert [step.kind for step in program.operations if isinstance(step, Step)] == [Kind.REST, Kind.CHARGE]
