"""Tables of parameters: each row is a run, and the field that is wrong is named by line and column."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.compile import Protocol, parse_protocol
from protocols.document import DocumentError
from protocols.table import Value, check_rows, parse_table, read_table, value_of

PROTOCOL = """\
protocol: x
parameters: {cycles: 2, rate: 0.2 C, note: ''}
notes: ${note}
steps:
  - repeat: ${cycles}
    steps:
      - charge: {at: "${rate}", until: {voltage: 3 V}}
      - discharge: {at: "${rate}", until: {voltage: 1 V}}
"""
GOOD = "cell: good\nnominal_capacity: 4 mAh\n"
BARE = "cell: bare\n"


def read(parameters: Mapping[str, Value]) -> Protocol:
    return parse_protocol(PROTOCOL, "p.yaml", parameters)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "bare.yaml").write_text(BARE, encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text("cell: wrong\nmass: 1 g\n", encoding="utf-8")
    return tmp_path


def problems(text: str, folder: Path) -> list[str]:
    """With » where the one problem should be."""
    before, mark, after = text.partition("»")
    with pytest.raises(DocumentError) as caught:
        check_rows(parse_table(before + after, folder / "t.csv"), read)
    if mark:
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        assert [(p.line, p.column) for p in caught.value.problems] == [place], caught.value
    assert all(p.file == str(folder / "t.csv") for p in caught.value.problems)
    return [p.message for p in caught.value.problems]


def test_each_row_is_compiled_with_its_own_values(folder: Path) -> None:
    text = "cell,channel,cycles,rate\ngood.yaml,A1,3,1 mA\n\ngood.yaml,A2,,0.5 C\n"
    rows = check_rows(parse_table(text, folder / "t.csv"), read)
    assert [one.row.line for one in rows] == [2, 4]
    assert [one.row.text("channel") for one in rows] == ["A1", "A2"]
    assert [one.program.cycles_planned for one in rows] == [3, 2]  # an empty field leaves the protocol's own
    assert [one.row.parameters for one in rows] == [{"cycles": 3, "rate": "1 mA"}, {"rate": "0.5 C"}]
    assert [one.cell.cell for one in rows] == ["good", "good"]


@pytest.mark.parametrize(
    "text",
    [
        "cell;rate\ngood.yaml;1 mA\n",
        "cell\trate\ngood.yaml\t1 mA\n",
        'cell,rate\n"good.yaml","1 mA"\n',
        "cell , rate \n good.yaml , 1 mA \n",
        "rate,cell\r\n1 mA,good.yaml\r\n",
        "cell,rate\ngood.yaml,1 mA",
        "cell,rate\ngood.yaml,1 mA\n,\n , \n",  # what a spreadsheet leaves below
    ],
)
def test_the_ways_in_which_programs_write_tables(text: str, folder: Path) -> None:
    (row,) = check_rows(parse_table(text, folder / "t.csv"), read)
    assert (row.cell.cell, row.row.parameters) == ("good", {"rate": "1 mA"})


def test_quotes_hold_commas_and_quotes(folder: Path) -> None:
    (row,) = parse_table('cell,note\ngood.yaml,"a ""wet"" cell, 2nd"\n', folder / "t.csv").rows
    assert row.parameters == {"note": 'a "wet" cell, 2nd'}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; the first line names the columns"),
        ("\n\n,,\n", "is empty"),
        ("»cell\n", "has no rows below its header"),
        ("»rate\n1 mA\n", "has no column 'cell'"),
        ("cell,»,rate\ngood.yaml,,1 mA\n", "a column without a name"),
        ("cell,rate,»rate\ngood.yaml,1 mA,1 mA\n", "there is a column 'rate' already"),
        ("cell,»speed\ngood.yaml,1 mA\n", "the protocol has no parameter 'speed'; there are: cycles, rate, note"),
        ("\n\ncell,»speed\ngood.yaml,1 mA\n", "no parameter 'speed'"),
        ("cell,rate\n»good.yaml\n", "1 fields, and the header has 2"),
        ("cell,rate\ngood.yaml,1 mA,»3\n", "3 fields, and the header has 2; a comma inside a value needs quotes"),
        ("cell,rate\n»,1 mA\n", "names no cell file"),
        ('cell,rate\ngood.yaml,»"1 mA\n', "a quote that is not closed"),
        ('cell,rate\ngood.yaml,»1 "mA"\n', "a quote that is not closed, or in a field's middle"),
        ("cell,channel\ngood.yaml,A1\ngood.yaml,»A1\n", "channel 'A1' is that of line 2 already"),
        ("cell,cycles\n»absent.yaml,3\n", "cell: "),
        ("cell,cycles\n»wrong.yaml,3\n", "'mass' is not known here"),
        ("cell,cycles,rate\ngood.yaml,»many,1 mA\n", "cycles: p.yaml:5:5: 'repeat': input should be a valid integer"),
        (
            "cell,cycles,rate\ngood.yaml,»0,1 mA\n",
            "cycles: p.yaml:5:5: 'repeat': input should be greater than or equal",
        ),
        ("cell,cycles\nbare.yaml,3\n", "bare.yaml: p.yaml:7:18: '0.2 C' needs the cell's nominal_capacity"),
    ],
)
def test_what_is_wrong_is_named_where_it_stands(text: str, said: str, folder: Path) -> None:
    assert any(said in message for message in problems(text, folder))


def test_what_the_cell_lacks_is_the_cells_field_or_that_of_the_rate(folder: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        check_rows(parse_table("cell,rate\nbare.yaml,0.5 C\nbare.yaml,1 mA\n", folder / "t.csv"), read)
    assert {(p.line, p.column) for p in caught.value.problems} == {(2, 11)}


def test_one_wrong_value_that_is_used_twice_is_told_for_each_use(folder: Path) -> None:
    found = problems("cell,rate\ngood.yaml,1 V\n", folder)
    assert [message[:20] for message in found] == ["rate: p.yaml:7:18: '", "rate: p.yaml:8:21: '"]


def test_all_rows_are_looked_at(folder: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        check_rows(parse_table("cell,cycles\ngood.yaml,x\ngood.yaml,3\ngood.yaml,y\n", folder / "t.csv"), read)
    assert [(p.line, p.column) for p in caught.value.problems] == [(2, 11), (4, 11)]


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    latin = tmp_path / "latin.csv"
    latin.write_bytes("cell,note\ngood.yaml,für\n".encode("latin-1"))
    for path, said in (
        (tmp_path / "absent.csv", "cannot be read"),
        (tmp_path, "cannot be read"),
        (latin, "is not UTF-8 text"),
        (tmp_path / "cells.xlsx", "is no CSV file; save the sheet as CSV (UTF-8)"),
    ):
        with pytest.raises(DocumentError, match=rf":1:1: .*{said[:12]}"):
            read_table(path)


def test_values_are_numbers_where_they_look_like_it() -> None:
    assert [value_of(text) for text in ("3", "0.5", "1e-3", "0.2 C", "")] == [3, 0.5, 1e-3, "0.2 C", ""]


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet='cell,rate;\t"\n\r 1mA', max_size=60))
def test_any_text_is_a_table_or_refused_with_positions(text: str) -> None:
    try:
        table = parse_table(text, Path("t.csv"))
    except DocumentError as error:
        assert error.problems
        assert all(p.line >= 1 and p.column >= 1 for p in error.problems)
    else:
        assert table.rows
        assert all(row.text("cell") for row in table.rows)
