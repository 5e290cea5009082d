"""`cellstation calibrate`: by itself with a press that is driven, and what it says where it cannot be."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from station.access import TOKEN_VARIABLE
from station.cli import app
from station.cli.calibrate_display import display
from tests.acceptance.bench import TOKEN
from tests.acceptance.calibrating import SPEED, order, watched
from tests.acceptance.conftest import Live, rig_at

OPTIONS = """
    --full-load 120N --least-load 2N --levels 5 --conditioning 1 --series 1 --reinsertions 1 --dwell 8s --window 10s
    --burst 3 --creep 40s --reference press-force --diameter 14mm --diameter-tolerance 0.1mm --meter press-meter
    --meter-uncertainty 0.05% --frame press-drive
"""
SHORT = OPTIONS.split()


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    with rig_at(SPEED, tmp_path) as rig, rig.station(poll="1 s") as live:
        monkeypatch.setenv("CELLSTATION_URL", live.client.url)
        yield live


def run(*arguments: str, said: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(app, ["calibrate", *arguments], input=said)
    error = str(result.exception) if result.exception is not None else ""
    return result.exit_code, result.output + error


def test_a_script_calibrates_and_signs(live: Live) -> None:
    code, said = run("mfsr-B1", *SHORT, "--yes", "--authorised-by", "Dr Q.", "--note", "for the spring campaign")
    assert code == 0, said
    assert "point 0: series 1, insertion 1, up: 2" in said and "point 17: series 2, insertion 2, down: " in said
    assert "signed: mfsr-B1 v2" in said and "calibration certificate mfsr-B1 --version 2" in said
    record = live.client.calibrations("mfsr-B1")[0]
    assert record.authorised_by == "Dr Q." and record.note == "for the spring campaign"
    assert record.area.standard_uncertainty_m2 == pytest.approx(record.area.value_m2 * 2 * 0.1 / 3**0.5 / 14)
    assert record.meter.relative_standard_uncertainty == pytest.approx(0.0005 / 3**0.5)


def test_lines_of_json_and_coming_back_to_sign(live: Live) -> None:
    code, said = run("mfsr-A1", *SHORT, "--json")
    assert code == 0, said
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    counts = [len(line["points"]) for line in lines]  # two points may come between two looks at a clock that runs fast
    assert counts == sorted(counts) and counts[-1] == 18 and len(set(counts)) > 3 and lines[-1]["stage"] == "review"
    code, said = run("mfsr-A1", "--resume", lines[-1]["session"], "--yes", "--authorised-by", "Dr Q.")
    assert code == 0 and "signed: mfsr-A1 v2" in said, said


def test_what_cannot_be_is_said(live: Live) -> None:
    for arguments, message in (
        (("mfsr-A1", "--yes", "--full-load", "100 N"), "name a press that is driven"),
        (("mfsr-A1", *SHORT), "there is no terminal to ask at"),
        (("mfsr-A1", "--yes", "--frame", "press-drive", "--diameter", "14 mm"), "There are: scanner, press-meter"),
        (("mfsr-A1", *SHORT[2:], "--yes"), "such as '100 N'"),
        (("mfsr-A1", *SHORT, "--full-load", "100 kg/s", "--yes"), "no unit of force"),
        (("mfsr-A1", *SHORT, "--area", "154 mm^2", "--yes"), "One of --diameter"),
        (("mfsr-A1", *SHORT, "--meter", "lost", "--yes"), "there is no instrument 'lost'"),
        (("mfsr-A1", *SHORT, "--expires", "soon", "--yes"), "is no date"),
        (("mfsr-A1", "--resume", "nothing", "--yes"), "no calibration session 'nothing'"),
    ):
        code, said = run(*arguments)
        assert code != 0 and message in " ".join(said.replace("│", " ").split()), said
    assert live.client.calibration_options().sessions == ()


def test_a_sensor_in_a_cell_that_runs_is_refused_in_one_line(live: Live) -> None:
    rest = "protocol: Rest\nlimits: {voltage: [-0.05 V, 2.2 V]}\nsteps:\n  - rest: {for: 1000 h}\n"
    run_id = live.client.start("A1", rest, "si-half-cell-1", "tester").run_id
    code, said = run("mfsr-A1", *SHORT, "--yes")
    assert code == 1 and f"mfsr-A1 lies in cell si-half-cell-1 in channel A1, where run {run_id} is on" in said


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is asked for")
def test_at_a_terminal_it_shows_what_to_do_takes_keys_and_can_be_left(live: Live) -> None:
    import pty

    arguments = [sys.executable, "-m", "station.cli", "calibrate", "mfsr-A1", *SHORT]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, arguments)
    shown = ""
    end = time.monotonic() + 30.0
    while time.monotonic() < end and "Series 1 of 2" not in shown:
        shown += os.read(terminal, 65536).decode(errors="replace")
    os.write(terminal, b"p")
    while time.monotonic() < end and "Paused" not in shown:
        shown += os.read(terminal, 65536).decode(errors="replace")
    os.write(terminal, b"q")
    try:
        while time.monotonic() < end and "--resume" not in shown:
            shown += os.read(terminal, 65536).decode(errors="replace")
    except OSError:
        pass  # the terminal is gone with its child
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert "SIMULATED" in shown and "[q] leave it running" in shown and "--resume" in shown
    (kept,) = live.client.calibration_options().sessions
    assert live.client.calibration(kept.session).paused


def test_the_display_has_all_that_the_technician_needs(live: Live) -> None:
    session = live.client.begin_calibration(order()).session
    view = watched(live.client, session, lambda view: len(view.points) >= 2)
    console = Console(width=120, record=True, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    console.print(display(view))
    text = console.export_text()
    for word in ("SIMULATED", "mfsr-A1", "force", "asked: ", "resistance", "to go", "insertion", "[p] pause"):
        assert word in text
