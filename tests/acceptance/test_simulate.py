"""`cellstation simulate` as it is typed: a forecast that says it is one, in words, as JSON, as a picture, as a run."""

from __future__ import annotations

import signal
import sqlite3
import sys
import threading
from pathlib import Path

import pytest
from pytest import approx

from tests.acceptance.bench import wait_until
from tests.acceptance.test_commands import Said, Shell

SHORT = """\
protocol: Short
record: {every: 30 s}
steps:
  - rest: {for: 10 min}
  - discharge: {at: 0.5 C, until: {voltage: 0.05 V}}
  - charge: {at: 0.5 C, until: {voltage: 2 V}}
"""
CELL = """\
cell: mine
chemistry: Si | Li
format: coin
active_mass: 0.68 mg
electrode_area: 1.131 cm^2
specific_capacity: 3579 mAh/g
limits: {voltage: [-0.05 V, 2.2 V], current: 5 mA}
"""


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(capsys, monkeypatch)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    protocol, cell = tmp_path / "short.yaml", tmp_path / "cell.yaml"
    protocol.write_text(SHORT, encoding="utf-8")
    cell.write_text(CELL, encoding="utf-8")
    return protocol, cell


def test_a_forecast_in_words(shell: Shell, files: tuple[Path, Path]) -> None:
    protocol, cell = files
    said = shell("simulate", protocol, "--cell", cell)
    assert (said.code, said.err) == (0, "")
    assert "SIMULATED" in said.out
    for word in ("finished", "duration", "2 discharge", "3 charge", "Coulomb.", "lowest voltage", "in SQLite"):
        assert word in said.out


def test_a_library_protocol_brings_its_cell(shell: Shell) -> None:
    said = shell(
        "simulate", "si-half-cell-long-term", "--set", "cycles_at_0_2C=2", "--set", "cycles_at_0_4C=1", "--json"
    )
    found = said.json()
    assert (said.code, found["simulated"], found["cell"]) == (0, True, "si-li-coin")
    assert found["cycles_whole"] == found["cycles_planned"] == 4
    first = found["cycles"][0]
    # 0.1C on 3579 mAh/g: less than ten hours each way, of less than the theoretical capacity.
    assert 0.5 * 2.43e-3 < first["discharge_capacity_Ah"] < 2.43e-3
    assert 0.8 < first["coulombic_efficiency"] < 0.95
    assert first["duration_s"] == approx(
        3600 * (4 + (first["discharge_capacity_Ah"] + first["charge_capacity_Ah"]) / 0.243e-3), rel=0.02
    )
    assert first["pressure_max_Pa"] > first["pressure_min_Pa"] > 1e5


def test_a_formed_cell_has_its_first_losses_behind_it(shell: Shell, files: tuple[Path, Path]) -> None:
    protocol, cell = files
    fresh, formed = (shell("simulate", protocol, "--cell", cell, "--json", *more) for more in ((), ("--formed",)))
    assert fresh.json()["cycles"][0]["coulombic_efficiency"] < 0.92
    assert formed.json()["cycles"][0]["coulombic_efficiency"] > 0.95


def test_a_warm_cell_gives_more(shell: Shell, files: tuple[Path, Path]) -> None:
    protocol, cell = files
    found = [
        shell("simulate", protocol, "--cell", cell, "--formed", "--json", "--temperature", warm).json()
        for warm in ("10 degC", "40 degC")
    ]
    assert [each["temperature_degC"]["last"] for each in found] == [10.0, 40.0]
    cold, warm = (each["cycles"][0]["discharge_capacity_Ah"] for each in found)
    assert warm > 1.02 * cold


def test_a_run_that_would_trip_fails_and_says_where(shell: Shell, files: tuple[Path, Path]) -> None:
    protocol, cell = files
    protocol.write_text(SHORT.replace("until: {voltage: 2 V}", "for: 20 h"), encoding="utf-8")
    said = shell("simulate", protocol, "--cell", cell)
    assert said.failed_with(f"{protocol}:6", "SIMULATED", "TRIPS", "voltage", "cell mine", "3 charge")
    assert "MET" in said.out


def test_a_run_that_does_not_end_fails(shell: Shell, files: tuple[Path, Path]) -> None:
    protocol, cell = files
    said = shell("simulate", protocol, "--cell", cell, "--most", "5 min")
    assert said.failed_with(f"{protocol}:4", "not at its end", "1 rest")


def test_limits_of_a_channel_are_heeded(shell: Shell, files: tuple[Path, Path], tmp_path: Path) -> None:
    protocol, cell = files
    config = tmp_path / "station.toml"
    config.write_text(
        '[instruments.smu]\ndriver = "keithley-2450"\naddress = "TCPIP::x::5025::SOCKET"\n'
        '[channels.A1]\nsource = "smu"\nlimits = { voltage = ["0 V", "1.9 V"] }\n',
        encoding="utf-8",
    )
    assert shell("simulate", protocol, "--cell", cell, "--config", config).code == 0
    said = shell("simulate", protocol, "--cell", cell, "--config", config, "--channel", "A1")
    assert said.failed_with("1.9 V of channel A1")
    assert shell("simulate", protocol, "--cell", cell, "--config", config, "--channel", "A2").failed_with("no channel")


@pytest.mark.parametrize(
    ("protocol_text", "cell_text", "parts"),
    [
        (SHORT.replace("0.05 V", "0.05 kg"), CELL, ("short.yaml:5:", "0.05 kg")),
        (SHORT, CELL.replace("Si | Li", "Unobtainium"), ("cell.yaml:2:1:", "simulated")),
        (SHORT, CELL.replace("active_mass: 0.68 mg\n", ""), ("cell.yaml", "active_mass")),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_line(
    shell: Shell,
    files: tuple[Path, Path],
    protocol_text: str,
    cell_text: str,
    parts: tuple[str, ...],
) -> None:
    protocol, cell = files
    protocol.write_text(protocol_text, encoding="utf-8")
    cell.write_text(cell_text, encoding="utf-8")
    assert shell("simulate", protocol, "--cell", cell).failed_with(*parts)


@pytest.mark.parametrize(
    "options",
    [("--temperature", "hot"), ("--most", "5 V"), ("--plot", "picture.doc"), ("--plot", "no/such/folder/picture.png")],
)
def test_wrong_options_are_bad_usage(shell: Shell, files: tuple[Path, Path], options: tuple[str, str]) -> None:
    protocol, cell = files
    said = shell("simulate", protocol, "--cell", cell, *options)
    assert said.code == 2
    assert options[1] in said.err


def test_a_protocol_without_a_cell_asks_for_one(shell: Shell, files: tuple[Path, Path]) -> None:
    said = shell("simulate", files[0])
    assert said.code == 2
    assert "--cell" in said.err


def test_a_picture_and_a_run_that_can_be_exported(
    shell: Shell,
    files: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    protocol, cell = files
    database, picture = f"sqlite:///{(tmp_path / 'forecast.db').as_posix()}", tmp_path / "picture.svg"
    said = shell("simulate", protocol, "--cell", cell, "--db", database, "--plot", picture, "--json")
    assert said.code == 0
    found = said.json()
    assert "SIMULATED" in picture.read_text(encoding="utf-8")

    (run,) = shell("runs", "--db", database, "--json").json()
    assert (run["state"], run["simulated"], run["cell"]) == ("finished", True, "mine")
    assert run["readings"] == found["storage"]["readings_in_forecast"]
    assert run["ended"] - run["started"] == approx(found["duration_s"], abs=1e-3)
    assert shell("export", "last", "-o", tmp_path / "run.bdf.csv", "--db", database).code == 0
    rows = (tmp_path / "run.bdf.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == run["readings"] + 1
    assert "simulated" in (tmp_path / "run.json").read_text(encoding="utf-8").lower()
    assert shell("report", "last", "-o", tmp_path / "run.html", "--db", database).code == 0
    assert "simulated" in (tmp_path / "run.html").read_text(encoding="utf-8").lower()
    assert shell("db", "check", "--db", database).code == 0

    # The space that was forecast is what was taken, beside the tables themselves.
    with sqlite3.connect(tmp_path / "forecast.db") as connection:
        pages = connection.execute("SELECT SUM(pgsize) FROM dbstat").fetchone() if _has_dbstat(connection) else None
    if pages is not None:
        assert pages[0] == approx(found["storage"]["total_bytes"] + 60e3, rel=0.3)

    assert shell("simulate", protocol, "--cell", cell, "--db", database).code == 0, "a second run beside the first"
    assert len(shell("runs", "--db", database, "--json").json()) == 2


def _has_dbstat(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1 FROM dbstat LIMIT 1")
    except sqlite3.OperationalError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="untried there: a signal raised by another thread")
def test_ctrl_c_ends_it_with_what_there_is(shell: Shell, files: tuple[Path, Path]) -> None:
    protocol, cell = files
    protocol.write_text(SHORT.replace("10 min", "20000 h"), encoding="utf-8")
    before = signal.getsignal(signal.SIGINT)

    def press() -> None:
        """Once the forecast listens."""
        wait_until(lambda: signal.getsignal(signal.SIGINT) is not before, 60.0, "for the forecast")
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    said: Said = shell("simulate", protocol, "--cell", cell)
    thread.join()
    assert said.code == 130
    assert "interrupted" in said.err
    assert "1 rest" in said.out
    assert signal.getsignal(signal.SIGINT) is before
