"""cellstation protocol convert."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from protocols.document import DocumentError
from station.cli.protocol import app
from tests.protocols.interop.helpers import GOLDEN

OURS = """protocol: x
steps:
  - charge: {at: 0.5 C, for: 3 h, until: {voltage: 4.2 V}}
  - rest: {for: "${minutes} min"}
parameters: {minutes: 10}
"""


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    path = tmp_path / "x.yaml"
    path.write_text(OURS)
    return path


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    path = tmp_path / "cell.yaml"
    path.write_text("cell: coin\nnominal_capacity: 45 mAh\n")
    return path


def test_to_stdout_and_the_report_to_stderr(ours: Path) -> None:
    result = _run(ours, "--to", "pybamm", "--set", "minutes=20")
    assert result.exit_code == 0
    assert '"Charge at C/2 for 3 hours or until 4.2 V",' in result.stdout and '"Rest for 20 minutes",' in result.stdout
    assert result.stderr == ""


def test_to_a_file(ours: Path, cell: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.mps"
    result = _run(ours, "--to", "biologic", "--cell", cell, "-o", target)
    assert (result.exit_code, result.stdout) == (0, "")
    assert b"ctrl1_val           22.500" in target.read_bytes() and b"\r\n" in target.read_bytes()
    assert "x.yaml:1: note: no limits of voltage and current" in result.stderr


def test_from_another_format_by_its_extension(tmp_path: Path) -> None:
    target = tmp_path / "ours.yaml"
    result = _run(GOLDEN / "cycling.json", "--to", "cellstation", "-o", target)
    assert result.exit_code == 0
    assert 'protocol: "NMC811 vs graphite, 45 mAh"' in target.read_text(encoding="utf-8")
    assert "cycling.json:7: left out: safety: the limit of capacity, 90 mAh" in result.stderr


def test_strict_writes_nothing_where_anything_is_lost(tmp_path: Path) -> None:
    target = tmp_path / "ours.yaml"
    result = _run(GOLDEN / "cycling.json", "--to", "cellstation", "--strict", "-o", target)
    assert result.exit_code == 1 and not target.exists()
    assert "1 losses; nothing was written (--strict)" in result.stderr
    assert _run(GOLDEN / "unicycler-pybamm.json", "--to", "cellstation", "--strict").exit_code == 0


def test_json(ours: Path, tmp_path: Path) -> None:
    result = _run(ours, "--to", "unicycler", "--json")
    found = json.loads(result.stdout)
    assert json.loads(found["text"])["method"][0]["rate_C"] == 0.5
    (remark,) = found["report"]
    assert (remark["line"], remark["done"]) == (3, "note")
    refused = json.loads(_run(GOLDEN / "cycling.json", "--to", "cellstation", "--strict", "--json").stdout)
    assert (refused["written"], refused["text"]) == (False, None)


def test_a_library_protocol() -> None:
    result = _run("si-half-cell-long-term", "--to", "pybamm")
    assert result.exit_code == 0 and '"Rest for 4 hours",' in result.stdout


def test_what_cannot_be_written_is_said(ours: Path) -> None:
    result = _run(ours, "--to", "neware")
    assert isinstance(result.exception, DocumentError)  # a line and exit code 1, by the command's entry point
    assert "x.yaml:3:1: step 1 charge 0.5 C: neware wants currents in mA: give a cell" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("x.yaml", "--to", "klingon"), "'klingon' is no format"),
        (("x.yaml", "--to", "cellstation"), "one of both is cellstation"),
        (("x.json", "--to", "neware"), "one of both is cellstation"),
        (("x.mps", "--to", "cellstation"), "'biologic' cannot be used with --from"),
        (("x.json", "--to", "cellstation", "--set", "a=1"), "--set is for a protocol of ours"),
    ],
)
def test_bad_usage(arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(arguments[0]).write_text("{}")
    result = _run(*arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())
