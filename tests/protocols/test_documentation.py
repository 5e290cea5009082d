"""Every example of docs/protocols.md is read, compiled and understood by the schema."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from protocols import schema
from protocols.cell import parse_cell
from protocols.compile import parse_protocol
from protocols.document import Document
from protocols.language import Ends, ProtocolFile, Step
from protocols.source import read_profile
from protocols.table import check_rows, parse_table

TEXT = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text(encoding="utf-8")
CELL = """\
cell: si-12
active_mass: 0.68 mg
electrode_area: 1.131 cm^2
specific_capacity: 3579 mAh/g
reference: Li-In
state_of_charge: 0 %
limits: {voltage: [-0.65 V, 2.2 V], current: 20 mA}
"""
FORMATION = """\
protocol: Formation
parameters: {cycles: 1, rate: C/10}
steps:
  - repeat: ${cycles}
    steps: [{charge: {at: "${rate}", for: 1 h}}]
"""


@dataclass(frozen=True)
class Block:
    """A fenced example, with the line of the page that it begins at."""

    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}"

    @property
    def as_file(self) -> str:
        """Steps and parts of a file, made whole."""
        if self.text.startswith(("protocol:", "cell:", "#")):
            return self.text
        if self.text.startswith("- "):
            return "protocol: x\nsteps:\n" + re.sub(r"^(?=.)", "  ", self.text, flags=re.MULTILINE)
        whole = f"protocol: x\n{self.text}"
        return whole if "\nsteps:" in whole else f"{whole}steps:\n  - rest: {{for: 1 h}}\n"


BLOCKS = [
    Block(TEXT[: match.start()].count("\n") + 1, match[1], match[2])
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
]
YAML = [block for block in BLOCKS if block.language == "yaml"]
CELLS = [block for block in YAML if block.text.startswith("cell:")]
PROTOCOLS = [block for block in YAML if block not in CELLS]
CSV = [block.text for block in BLOCKS if block.language == "csv"]
FILES = {"drive-cycle.csv": CSV[0], "formation.yaml": FORMATION}


@pytest.mark.parametrize("block", PROTOCOLS, ids=str)
def test_an_example_compiles(block: Block) -> None:
    protocol = parse_protocol(block.as_file, "p.yaml", files=FILES)
    assert protocol.compile_for(parse_cell(CELL)).steps()
    assert protocol.summary()
    assert not list(Draft202012Validator(schema.protocol_schema()).iter_errors(Document(block.as_file, "p.yaml").data))


@pytest.mark.parametrize("block", CELLS, ids=str)
def test_the_cell_is_read(block: Block) -> None:
    assert parse_cell(block.text).capacity_Ah
    assert not list(Draft202012Validator(schema.cell_schema()).iter_errors(Document(block.text, "c.yaml").data))


def test_the_tables_are_read(tmp_path: Path) -> None:
    assert read_profile(CSV[0], "drive-cycle.csv").currents_A[0] == -1.5e-3
    (tmp_path / "cells").mkdir()
    for number in (12, 13, 14):
        (tmp_path / "cells" / f"si-{number}.yaml").write_text(CELL, encoding="utf-8")
    (rate_test,) = [block.text for block in YAML if block.text.startswith("protocol: Rate test")]
    rows = check_rows(parse_table(CSV[1], tmp_path / "t.csv"), lambda given: parse_protocol(rate_test, "p.yaml", given))
    assert [row.program.cycles_planned for row in rows] == [50, 50, 5]


def test_nothing_of_the_language_is_left_out() -> None:
    written = "".join(block.text for block in YAML)
    keys = {*Step.TECHNIQUES, *Step.model_fields, *(field.alias or name for name, field in Ends.model_fields.items())}
    keys |= set(ProtocolFile.model_fields)
    assert not [key for key in sorted(keys) if f"{key}:" not in written and f"`{key}" not in TEXT]


def test_its_links_lead_somewhere() -> None:
    headings = {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", TEXT, re.M)}
    for target in re.findall(r"\]\(#(.*?)\)", TEXT):
        assert target in headings
    for target in re.findall(r"\]\(([\w-]+\.md)\)", TEXT):
        assert (Path(__file__).parents[2] / "docs" / target).is_file()
