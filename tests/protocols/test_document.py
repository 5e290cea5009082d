"""Every message about a file names file, line and column, whatever is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocols.abilities import Abilities, check_channel
from protocols.cell import Cell, parse_cell, read_cell
from protocols.checks import remarks
from protocols.compile import Protocol, parse_protocol, read_protocol
from protocols.document import DocumentError
from protocols.language import Ends, Step
from tests.protocols import every_technique

NOTHING = Abilities(1e3, (0.0, 0.0), (0.0, 0.0), (1.0, 1.0), *[False] * 6)
"""Of a channel that can do nothing."""

PROTOCOL = """\
protocol: Two cycles
source: a paper
parameters: {cycles: 2, rate: 0.2 C}
record: {every: 30 s, change: [5 mV, 2 kPa]}
limits: {voltage: [-0.05 V, 2.2 V], current: 5 mA, pressure: {above: 1.5 MPa}}
steps:
  - rest: {for: 4 h}
  - {every: 10 cycles, impedance: {from: 1 MHz, to: 0.1 Hz, amplitude: 10 mV}}
  - repeat: ${cycles}
    steps:
      - discharge: {at: "${rate}", until: {voltage: 0.02 V, pressure: {above: 600 kPa}}}
      - charge: {at: 1 mA/cm^2, hold: 2 V, until: {current: 0.05 C}}
      - hold: {at: 1 V, limit: 175 mA/g, for: 10 min}
"""
CELL = """\
cell: coin-1
active_mass: 0.68 mg
electrode_area: 1.131 cm^2
specific_capacity: 3579 mAh/g
limits: {voltage: [-0.05 V, 2.2 V], temperature: {above: 60 °C}}
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        parse_protocol(text, "p.yaml")
    return str(caught.value).splitlines()


def test_the_examples_are_well_formed() -> None:
    assert parse_protocol(PROTOCOL).title == "Two cycles"
    assert parse_cell(CELL).cell == "coin-1"


@pytest.mark.parametrize(
    ("replaced", "by", "said"),
    [
        ("for: 4 h", "for: 4 zz", "p.yaml:7:12: 'zz' in '4 zz' is not a unit; one like s is wanted"),
        ("for: 4 h", "fro: 4 h", "p.yaml:7:12: 'fro' is not known here; did you mean 'for'?"),
        ("rest:", "rset:", "p.yaml:7:5: 'rset' is not known here; did you mean 'rest'?"),
        ("limits:", "limit:", "p.yaml:5:1: 'limit' is not known here; did you mean 'limits'?"),
        ("above: 600 kPa", "abov: 600 kPa", "p.yaml:11:72: 'abov' is not known here; did you mean 'above'?"),
        ("above: 600 kPa", "xyz: 600 kPa", "p.yaml:11:72: 'xyz' is not known here; known here: above, below"),
        ("voltage: 0.02 V", "voltage: 0.02 A", "p.yaml:11:44: '0.02 A' is not a voltage; a unit like V is wanted"),
        ("at: 1 mA/cm^2, ", "", "p.yaml:12:9: give exactly one of at, power, resistance"),
        ("protocol: Two cycles\n", "", "p.yaml:1:1: 'protocol' is missing"),
        ("amplitude: 10 mV", "amplitude: 10", "p.yaml:8:61: 10 has no unit; write it like '10 V'"),
        ("[-0.05 V, 2.2 V]", "[2.2 V, -0.05 V]", "p.yaml:5:1: the voltage limits are in the wrong order"),
        ("[-0.05 V, 2.2 V]", "2.2 V", "p.yaml:5:1: voltage limits are a pair, such as [-0.05 V, 2.2 V]"),
        ("[-0.05 V, 2.2 V]", "[-0.05 V, 2.2]", "p.yaml:5:29: 2.2 has no unit"),
        ("current: 5 mA", "current: 0 mA", "p.yaml:5:1: the current limit is a magnitude above zero"),
        ("${cycles}", "-1", "p.yaml:9:5: 'repeat': input should be greater than or equal to 1, not -1"),
        ("[5 mV, 2 kPa]", "[5 mV, 2 kg]", "p.yaml:4:1: '2 kg' is no change of voltage (5 mV), current"),
        ("{for: 4 h}", "4 h", "p.yaml:7:5: 'rest' is a mapping of keys to values, not '4 h'"),
        ("cycles: 2", "cycles: [2]", "p.yaml:3:1: parameter 'cycles' is [2]; it should be a number or a text"),
        ("pressure: {above: 600 kPa}", "pressure: 600 kPa", "p.yaml:11:61: say which way: {above: 600 kPa}"),
        ("- rest: {for: 4 h}", "- {rest: {for: 4 h}, hold: {at: 1 V}}", "p.yaml:7:5: a step is exactly one of"),
        ("for: 4 h}", "for: 4 h", "p.yaml:8:5: "),  # YAML itself: the closing brace is missed here
        ("source: a paper", "source: a paper\nsource: b", 'p.yaml:3:1: found duplicate key "source"'),
        ("source: a paper", "source: 'a paper", "p.yaml:"),
        ("source: a paper", "source: a \x07", "p.yaml:2:11: a character that YAML does not allow, U+0007"),
        ("source: a paper", "source: *nobody", "p.yaml:2:9: found undefined alias 'nobody'"),
    ],
)
def test_each_mistake_is_named_where_it_stands(replaced: str, by: str, said: str) -> None:
    assert replaced in PROTOCOL
    lines = problems_of(PROTOCOL.replace(replaced, by, 1))
    assert any(line.startswith(said) for line in lines), lines


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = PROTOCOL.replace("for: 4 h", "for: 4 zz").replace("at: 1 V", "att: 1 V").replace("30 s", "30")
    lines = problems_of(text)
    assert [line.split(": ")[0] for line in lines] == ["p.yaml:4:10", "p.yaml:7:12", "p.yaml:13:9", "p.yaml:13:16"]


def test_a_mistake_in_a_step_does_not_make_the_list_of_steps_too_short() -> None:
    assert problems_of("protocol: x\nsteps:\n  - rest: {for: 1}\n") == [
        "p.yaml:3:12: 1 has no unit; write it like '1 s'"
    ]
    assert len(problems_of("protocol: x\nsteps: []\n")) == 1


@pytest.mark.parametrize("text", ["", "# nothing\n", "just words", "- a\n- b\n", "5"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    assert problems_of(text) == ["p.yaml:1:1: is empty or not a mapping of keys to values"]


def test_a_key_is_not_lost_because_a_number_and_a_text_look_alike() -> None:
    assert "a key stands twice" in problems_of(PROTOCOL.replace("cycles: 2", "cycles: 2, 7: a, '7': b"))[0]


@pytest.mark.parametrize(
    "text", ["&a [*a]", "- " * 900, "{" * 900, "a:\n" + "".join(" " * i + "- a:\n" for i in range(0, 999, 3))]
)
def test_what_is_nested_without_end_is_refused(text: str) -> None:
    problems_of(text)


def test_aliases_cannot_fill_the_memory() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    assert problems_of("\n".join(lines)) == ["p.yaml:1:1: is not YAML: too many parts"]


def test_merged_keys_and_comments_are_yaml_too() -> None:
    text = "protocol: x  # a title\ncommon: &slow {at: 1 mA}\nsteps:\n  - charge: {<<: *slow, for: 1 h}\n"
    assert problems_of(text) == [
        "p.yaml:2:1: 'common' is not known here; known here: protocol, source, cell, result, notes, parameters, "
        "record, markers, limits, steps"
    ]


@pytest.mark.parametrize("read", [read_protocol, read_cell])
def test_files_that_cannot_be_read(read: object, tmp_path: Path) -> None:
    assert callable(read)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("protocol: Zelle für Tests".encode("latin-1"))
    for path, said in ((tmp_path / "none.yaml", "cannot be read"), (tmp_path, "cannot be read"), (latin, "not UTF-8")):
        with pytest.raises(DocumentError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}:1:1: ")
        assert said in str(caught.value)


def test_a_file_saved_by_an_editor_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "protocol.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + PROTOCOL.replace("\n", "\r\n").encode())
    assert read_protocol(path).title == "Two cycles"


def test_a_cell_states_what_it_lacks() -> None:
    with pytest.raises(DocumentError, match=r"c.yaml:1:1: 'specific_capacity' needs 'active_mass'"):
        parse_cell("cell: x\nspecific_capacity: 3579 mAh/g\n", "c.yaml")
    with pytest.raises(DocumentError, match=r"c.yaml:1:1: 'cell'"):
        parse_cell("cell: ''\n", "c.yaml")
    with pytest.raises(DocumentError, match=r"c.yaml:2:1: 'active_mass': input should be greater than 0"):
        parse_cell("cell: x\nactive_mass: 0 g\n", "c.yaml")


def test_the_capacity_that_1C_refers_to() -> None:
    assert parse_cell(CELL).capacity_Ah == pytest.approx(0.68e-3 * 3.579)
    assert parse_cell(CELL + "nominal_capacity: 2 mAh\n").capacity_Ah == pytest.approx(2e-3)
    assert parse_cell("cell: x\n").capacity_Ah is None


# --- any text at all

SEEDS = [PROTOCOL, CELL, every_technique.PROTOCOL, every_technique.CELL]
WORDS = sorted(set(re.findall(r"[A-Za-z_]+|[-\d.]+|[^\sA-Za-z_\d]", "".join(SEEDS))))
BITS = st.one_of(
    st.sampled_from([*WORDS, "\n", "  ", "- ", ": ", "null", "!!", "&a ", "*a", "${", "}"]), st.text(max_size=3)
)
VALUE = re.compile(r"(?<=[:,\[{] )[^\s,:{}\[\]][^,:{}\[\]\n]*|(?<=[{\[])[^\s,:{}\[\]][^,:{}\[\]\n]*")
VALUES = sorted({match[0] for seed in SEEDS for match in VALUE.finditer(seed)})
KEYS_AND_VALUES = re.compile(r"[A-Za-z_/]+(?=:)")
KEYS = sorted({match[0] for seed in SEEDS for match in KEYS_AND_VALUES.finditer(seed)})


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A valid file with a few parts cut out, moved or replaced."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(BITS) + text[end:]
    return text


@st.composite
def exchanged(draw: st.DrawFn) -> str:
    """A valid file with values and keys of other places: it stays YAML, so what is wrong shows later."""
    text = draw(st.sampled_from([PROTOCOL, every_technique.PROTOCOL]))
    for _ in range(draw(st.integers(1, 3))):
        pattern, others = draw(st.sampled_from([(VALUE, VALUES), (VALUE, VALUES), (KEYS_AND_VALUES, KEYS)]))
        match = draw(st.sampled_from(list(pattern.finditer(text))))
        text = text[: match.start()] + draw(st.sampled_from(others)) + text[match.end() :]
    return text


def must_be_read_or_refused(text: str) -> None:
    for parse in (parse_protocol, parse_cell):
        try:
            found = parse(text, "f.yaml")
        except DocumentError as error:
            must_name_places(error, text)
        else:
            assert isinstance(found, Protocol | Cell)


def must_name_places(error: DocumentError, text: str) -> None:
    assert error.problems
    for problem in error.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.line <= len(re.split("\r\n|[\n\r\x85\u2028\u2029]", text)) + 1
        assert problem.message.strip()
        assert str(problem).startswith(("f.yaml:", *every_technique.FILES))


def test_the_protocol_with_every_technique_has_them_all_and_compiles() -> None:
    protocol = parse_protocol(every_technique.PROTOCOL, files=every_technique.FILES)
    written = {step.technique for step in protocol.content.steps} | {"hold", "procedure"}  # which stands alone
    assert written == set(Step.TECHNIQUES)
    assert {name for name in Ends.model_fields if name in str(protocol.content.steps)} == set(Ends.model_fields)
    assert protocol.compile_for(parse_cell(every_technique.CELL)).cycles_planned > 20


@settings(max_examples=30, deadline=None)
@given(exchanged())
def test_a_file_with_exchanged_parts_compiles_or_is_refused_with_positions(text: str) -> None:
    """Each line of what follows is reached: reading, compiling, checking, and saying it in words."""
    try:
        protocol = parse_protocol(text, "f.yaml", files=every_technique.FILES)
        assert protocol.summary()
        program = protocol.compile_for(parse_cell(every_technique.CELL))
    except DocumentError as error:
        must_name_places(error, text)
    else:
        assert program.steps()
        must_name_places(DocumentError([*remarks(program), *check_channel(program, NOTHING)]), text)


@settings(max_examples=120, deadline=None)
@given(mutated())
def test_a_mutated_file_is_read_or_refused_with_positions(text: str) -> None:
    must_be_read_or_refused(text)


@settings(max_examples=120, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(BITS, max_size=25).map("".join)))
@example("!!omap [a: 1]")
@example("!!bool x")
@example("!!int foo")
@example("a: 2001-99-99")
@example("x: &a {<<: *a}")
@example("%YAML 3.0\n---\na: 1")
@example("{[a]: b}")
@example("!!set {a, b}")
@example("\ud800")
@example("protocol: x\nsteps:\n  - charge: {at: C/0, for: 1 h}")
def test_any_text_is_read_or_refused_with_positions(text: str) -> None:
    must_be_read_or_refused(text)
