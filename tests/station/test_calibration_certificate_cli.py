"""`calibration certificate`: which files it writes, and what it says where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from calibration.certificate import render_pdf
from calibration.registry import Registry
from station.cli.calibration import app
from tests.calibration.sample import calibration, earlier


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default folder, where there is no station.toml."""
    monkeypatch.chdir(tmp_path)
    registry = Registry(tmp_path / "calibrations")
    for record in (earlier(), calibration()):
        registry.add(record)
    return tmp_path


def test_without_an_ending_both_are_written_of_the_newest_version(folder: Path) -> None:
    result = CliRunner().invoke(app, ["certificate", "mfsr-07"])
    assert result.exit_code == 0, result.output
    assert result.output.split() == ["mfsr-07-v2.pdf", "mfsr-07-v2.html"]
    # The same record gives the same file, and the version before is in it.
    assert (folder / "mfsr-07-v2.pdf").read_bytes() == render_pdf(calibration(), (earlier(),))
    assert "Drift against earlier versions" in (folder / "mfsr-07-v2.html").read_text(encoding="utf-8")


def test_an_ending_says_which(folder: Path) -> None:
    options = ["--version", "1", "-o", "old.html", "--calibrations", str(folder / "calibrations")]
    result = CliRunner().invoke(app, ["certificate", "mfsr-07", *options])
    assert result.exit_code == 0, result.output
    assert result.output.split() == ["old.html"]
    text = (folder / "old.html").read_text(encoding="utf-8")
    assert "calibration version 1" in text
    assert "Drift against earlier versions" not in text
    assert not list(folder.glob("*.pdf"))


def test_a_sensor_without_a_calibration_writes_nothing(folder: Path) -> None:
    result = CliRunner().invoke(app, ["certificate", "mfsr-99"])
    assert result.exit_code != 0
    assert "mfsr-99" in str(result.exception)
    assert [path.name for path in folder.iterdir()] == ["calibrations"]
