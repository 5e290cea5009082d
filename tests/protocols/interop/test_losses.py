"""What a format cannot say is named in the report, with its line; what would be unsafe or endless is refused."""

from __future__ import annotations

import pytest

from protocols import interop, library
from protocols.cell import read_cell
from protocols.compile import parse_protocol, read_protocol
from protocols.document import DocumentError
from protocols.language import Step
from tests.protocols.interop.helpers import CELL, remarks, written

WRITABLE = [name for name, one in interop.FORMATS.items() if one.can_write]


def _lost(steps: str, head: str = "", to: str = "unicycler") -> list[str]:
    return [remark for remark in remarks(written(steps, to, head=head)) if ": note: " not in remark]


@pytest.mark.parametrize(
    ("steps", "loss"),
    [
        ("- rest: {for: 1 h, until: {dV/dt: 1 mV/h}}", "left out: its end at dV/dt ≤ 1 mV/h"),
        (
            "- charge: {at: 1 mA, until: {voltage: 4 V, temperature: {above: 60 degC}}}",
            "left out: its end at temperature ≥ 60 °C",
        ),
        ("- charge: {at: 1 mA, until: {voltage: 4 V, pressure_change: 1 kPa}}", "left out: its end at pressure change"),
        (
            "- charge: {at: 1 mA, until: [{voltage: 4 V}, {time: 1 h, then: end of run}]}",
            "approximated: the next step follows its end at time ≥ 1 h, instead of 'end of run'",
        ),
        (
            "- charge: {at: 1 mA, until: {voltage: 4 V, for: 5 s}}",
            "approximated: its end at voltage ≥ 4 V for 5 s ends it at once",
        ),
        (
            "- charge: {at: 1 mA, hold: 4 V, for: 2 h, until: {current: 0.1 mA}}",
            "approximated: the time is that of the constant current and of the hold",
        ),
        ("- hold: {at: 4 V, limit: 5 mA, for: 1 h}", "left out: the largest current of the hold, 5 mA"),
        ("- linear_sweep: {from: 3 V, to: 4 V, rate: 1 mV/s, limit: 5 mA}", "left out: its largest current, 5 mA"),
        ("- impedance: {from: 1 kHz, to: 1 Hz, amplitude: 10 mV, at: 3 V}", "left out: its bias of 3 V"),
        (
            "- impedance: {from: 1 kHz, to: 1 Hz, amplitude: 1 mA, bias_current: 2 mA}",
            "left out: its bias of 2 mA",
        ),
        ("- marker: beam\n- rest: {for: 1 s}", "left out: the marker"),
        ("- prompt: change the cell\n- rest: {for: 1 s}", "left out: the whole step"),
        ("- temperature: {set: 45 degC}\n- rest: {for: 1 s}", "left out: the whole step"),
        ("- rest: {for: 1 h}\n  markers: [{name: x, every: 1 min}]", "left out: its markers"),
        ("- rest: {for: 1 h}\n  record: {every: 1 s}", "left out: its own recording interval, 1 s"),
        (
            "- rest: {for: 1 h}\n  record: {every: 30 s, change: [1 mV]}",
            "left out: its own recording, but for the interval",
        ),
        (
            "- repeat: 9\n  until: {retention: {below: 80 %}}\n  steps:\n"
            "    - charge: {at: 1 mA, for: 1 h}\n    - discharge: {at: 1 mA, for: 1 h}",
            "left out: the loop's end at retention ≤ 80 %: it is passed 9 times in any case",
        ),
    ],
)
def test_each_loss_is_named(steps: str, loss: str) -> None:
    (lost,) = _lost(steps)
    assert loss in lost
    assert int(lost.split(":")[0]) >= 3


@pytest.mark.parametrize(
    ("head", "loss"),
    [
        ("limits: {pressure: {above: 1 MPa}}\n", "the limits of pressure: nothing will watch them"),
        ("limits: {temperature: {above: 60 degC}}\n", "the limits of temperature: nothing will watch them"),
        ("record: {change: [2 kPa]}\n", "recording at changes of pressure and temperature"),
        ("record: {burst: {every: 1 s, for: 10 s}}\n", "the burst of records"),
        ("markers: [{name: x, every: 1 h}]\n", "the markers"),
    ],
)
@pytest.mark.parametrize("to", WRITABLE)
def test_what_no_format_can_say_of_the_whole(head: str, loss: str, to: str) -> None:
    assert any(loss in lost for lost in _lost("- rest: {for: 1 h}", head, to))


@pytest.mark.parametrize("to", WRITABLE)
@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("- rest: {until: {dV/dt: 1 mV/h}}", "a rest needs a time there"),
        ("- charge: {at: 1 mA, until: {energy: 5 Wh}}", "no end is left that can be said"),
        ("- charge: {at: 1 mA, until: {pressure: {above: 1 MPa}}}", "no end is left that can be said"),
        ("- hold: {at: 4 V, until: {dI/dt: 1 uA/h}}", "the hold would not end"),
        (
            "- charge: {at: 1 mA, hold: 4 V, until: {capacity: 5 mAh}}",
            "without its end by time or current the hold would not end",
        ),
        ("- chronoamperometry: {at: 10 mV vs OCV, for: 1 h}", "a voltage against the open-circuit voltage"),
        (
            "- name: first\n  charge: {at: 1 mA, for: 1 h}\n- discharge: {at: 0.5 C of first, for: 1 h}",
            "a current that an earlier step's measured capacity decides",
        ),
        ("- marker: beam", "nothing is left of it"),
    ],
)
def test_what_would_not_end_is_refused(steps: str, said: str, to: str) -> None:
    with pytest.raises(DocumentError) as raised:
        written(steps, to)
    assert all(problem.file == "ours.yaml" for problem in raised.value.problems)
    assert said in str(raised.value)


def test_spectra_are_left_out_where_there_are_none() -> None:
    steps = "- rest: {for: 1 h}\n- repeat: 5\n  steps:\n    - impedance: {from: 1 kHz, to: 1 Hz, amplitude: 10 mV}"
    converted = written(steps, "neware")
    assert [remark for remark in remarks(converted) if "left out" in remark] == [
        "6: left out: the whole step: there is none like it"
    ]
    assert 'Step_Type="5"' not in converted.text  # the loop has nothing left to do


class TestSomePassesOnly:
    """A step that is done in some passes only: loops are written out and folded again."""

    CYCLE = "    - charge: {at: 1 mA, for: 1 h}\n    - discharge: {at: 1 mA, for: 1 h}\n"
    SWEEP = "      impedance: {from: 1 kHz, to: 1 Hz, amplitude: 10 mV}"

    def _counts(self, condition: str, count: int, before: str = "") -> list[str]:
        text = f"{before}- repeat: {count}\n  steps:\n{self.CYCLE}    - {condition}\n{self.SWEEP}"
        converted = written(text, "unicycler")
        back = parse_protocol(interop.read(converted.data, "unicycler", "back.json").text)
        return _outline(back.content.steps)

    def test_each_third_pass(self) -> None:
        assert self._counts("every: 3 passes", 10) == [
            "3 x [2 x [charge discharge] charge discharge impedance]", "charge", "discharge"
        ]  # fmt: skip

    def test_the_first_passes(self) -> None:
        assert self._counts("first: 2 passes", 5) == [
            "2 x [charge discharge impedance]", "3 x [charge discharge]"
        ]  # fmt: skip

    def test_after_some_passes(self) -> None:
        assert self._counts("after: 2 passes", 5) == [
            "2 x [charge discharge]", "3 x [charge discharge impedance]"
        ]  # fmt: skip

    def test_cycles_count_what_was_done_before(self) -> None:
        before = "- charge: {at: 1 mA, for: 1 h}\n- discharge: {at: 1 mA, for: 1 h}\n"
        assert self._counts("every: 3 cycles", 6, before) == [
            "charge", "discharge", "2 x [charge discharge charge discharge impedance charge discharge]"
        ]  # fmt: skip


def _outline(steps: tuple[Step, ...]) -> list[str]:
    found = []
    for step in steps:
        inside = " ".join(_outline(step.steps)) if step.steps is not None else ""
        found.append(f"{step.repeat} x [{inside}]" if step.repeat is not None else step.technique)
    return found


def test_rates_stay_rates_and_currents_stay_currents() -> None:
    """A current that goes with the cell's capacity was written as a rate, whatever the capacity is."""
    steps = """
- charge: {at: 0.1 C, until: {voltage: 4 V}}
- charge: {at: 4.5 mA, until: {voltage: 4 V}}
- charge: {at: 3 mA/cm^2, hold: 4 V, until: {current: C/100}}
"""
    for cell in (CELL, CELL.model_copy(update={"nominal_capacity": 3.1})):
        text = written(steps, "pybamm", cell).text
        assert '"Charge at C/10 until' in text and '"Charge at 4.5 mA until' in text
        assert '"Hold at 4 V until C/100",' in text


def test_techniques_are_what_they_are_on_the_bench() -> None:
    steps = """
- gitt: {direction: charge, at: C/20, pulse: 10 min, rest: 1 h, until: {voltage: 4 V}, most: 5}
- pulse: {direction: discharge, at: 1 C, for: 10 s}
- pitt: {from: 3 V, to: 3.02 V, step: 10 mV, for: 1 h}
"""
    converted = written(steps, "pybamm")
    assert '"Charge at C/20 for 10 minutes or until 4 V"' in converted.text
    assert "] * 5" in converted.text and '"Discharge at 1 C for 10 seconds' in converted.text
    assert '"Hold at 3.01 V for 1 hour"' in converted.text
    assert any("the next step follows its end at voltage ≥ 4 V, instead of" in str(loss) for loss in converted.losses)


def test_what_needs_more_of_the_cell_says_so() -> None:
    with pytest.raises(DocumentError, match="needs the cell's electrode_area"):
        written("- charge: {at: 1 mA/cm^2, for: 1 h}", "pybamm", cell=None)
    with pytest.raises(DocumentError, match="needs a cell, so that it can be said as a time"):
        written("- charge: {at: 1 C, until: {capacity: 1 mAh}}", "pybamm", cell=None)


@pytest.mark.parametrize("name", library.names())
def test_a_library_protocol_is_written_or_refused_with_its_line(name: str) -> None:
    protocol = read_protocol(library.path(name))
    cell = read_cell(library.cell_path(protocol.content.cell))
    try:
        converted = interop.write(protocol, "unicycler", cell)
    except DocumentError as error:
        assert all(problem.line > 1 and "step" in problem.message for problem in error.problems)
    else:
        parse_protocol(interop.read(converted.data, "unicycler", "back.json").text).compile_for(cell)
