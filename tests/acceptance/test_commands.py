"""The command line as it is typed: exit codes, one clear line on stderr, and JSON that a script can read."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drivers.simulated.bench import VirtualBench
from drivers.simulated.clock import ScaledClock
from drivers.simulated.keithley2450 import VirtualKeithley2450
from station.access import TOKEN_VARIABLE
from station.bench_station import write_station
from station.cli import main
from station.client import Client, ClientError
from station.readings import CellEventKind
from tests.acceptance.bench import TOKEN, free_port, wait_until

ROOT = Path(__file__).parents[2]
SPEED = 200.0
SHORT = """\
protocol: Short
record: {every: 2 s}
limits: {voltage: [-0.05 V, 2.2 V]}
steps:
  - rest: {for: 10 s}
  - discharge: {at: 0.5 C, for: 60 s}
  - charge: {at: 0.5 C, for: 30 s}
"""


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def failed_with(self, *parts: str) -> bool:
        """Exit 1, each part named on stderr, a line for each problem and no traceback."""
        assert self.code == 1, self
        assert all(part in self.err for part in parts), self.err
        assert "Traceback" not in self.err
        assert self.err.count("\n") == 1, f"one line: {self.err}"
        return True


class Shell:
    """Types commands, in this process where nothing hinders it: a fresh one takes seconds to start."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: str | Path) -> Said:
        self._monkeypatch.setattr(sys, "argv", ["cellstation", *map(str, arguments)])
        self._capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = self._capsys.readouterr()
        return Said(code, out, err)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    return Shell(capsys, monkeypatch)


def typed(*arguments: str | Path, folder: Path) -> subprocess.Popen[str]:
    """The same in a process of its own; it ends with its standard input."""
    return subprocess.Popen(
        [sys.executable, "-m", "station.cli", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {TOKEN_VARIABLE: TOKEN, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass(frozen=True)
class Served:
    """A virtual bench in this process, and `cellstation serve` in another."""

    folder: Path
    config: Path
    bench: VirtualBench
    url: str

    @property
    def source(self) -> VirtualKeithley2450:
        source = self.bench.servers["smu"]
        assert isinstance(source, VirtualKeithley2450)
        return source

    @property
    def database(self) -> str:
        return f"sqlite:///{(self.folder / 'cellstation.db').as_posix()}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder, epoch, port = tmp_path_factory.mktemp("served"), time.time(), free_port()
    with VirtualBench(ScaledClock(SPEED, epoch), folder) as bench:
        config = write_station(bench, folder, epoch=epoch, port=port)
        (folder / "protocols" / "short.yaml").write_text(SHORT, encoding="utf-8")
        process = typed("serve", "--config", config, "--with-parent", folder=folder)
        url = f"http://127.0.0.1:{port}"
        with Client(url, TOKEN) as client:
            wait_until(lambda: _answers(client) or process.poll() is not None, 60.0, "for the service")
            assert process.poll() is None, process.communicate()
            for channel, position in bench.positions.items():  # whose sensors have settled for an hour
                cell = position.cell_name
                client.record_cell_event(cell, CellEventKind.ASSEMBLED, channel, "tester", at=epoch - 3600.0)
            yield Served(folder, config, bench, url)
            with contextlib.suppress(ClientError):
                client.shut_down()
        _, err = process.communicate(timeout=30.0)
        assert process.returncode == 0
        assert "Traceback" not in err
        assert not bench.servers["smu"].output_is_on  # type: ignore[attr-defined]


def _answers(client: Client) -> bool:
    try:
        return all(channel.state == "idle" for channel in client.status().channels)
    except ClientError:
        return False


# --- a station that runs


def test_check_reaches_every_instrument_and_switches_nothing_on(shell: Shell, served: Served) -> None:
    said = shell("check", served.config, "--json")
    assert said.code == 0
    answers = {row["instrument"]: row["answer"] for row in said.json()}
    assert answers["smu"].startswith("KEITHLEY INSTRUMENTS,MODEL 2450")
    assert set(answers) == set(served.bench.servers)
    assert "neware: " in shell("check", served.config).out
    assert not served.source.output_is_on


def test_status_run_export_report(shell: Shell, served: Served, tmp_path: Path) -> None:
    channels = shell("status", "--connect", served.url, "--json").json()["channels"]
    assert [channel["state"] for channel in channels] == ["idle", "idle"]
    assert "SIMULATED" in shell("status", "--connect", served.url).out

    done = shell("run", "short", "--channel", "A1", "--cell", "si-half-cell-1", "--wait", "--connect", served.url)
    assert (done.code, done.err) == (0, "")
    assert "finished" in done.out

    runs = shell("runs", "--db", served.database, "--json").json()
    assert {run["state"] for run in runs} == {"finished"}
    assert runs[0]["run_id"] in shell("runs", "--db", served.database).out

    exported = tmp_path / "run.bdf.csv"
    assert shell("export", "last", "-o", exported, "--db", served.database).code == 0
    assert len(exported.read_text(encoding="utf-8").splitlines()) > 10
    assert shell("export", "last", "-o", exported, "--db", served.database).failed_with("run.bdf")
    assert shell("report", "last", "-o", tmp_path / "run.html", "--db", served.database).code == 0
    assert "Short" in (tmp_path / "run.html").read_text(encoding="utf-8")
    assert shell("db", "check", "--db", served.database).code == 0
    assert shell("db", "backup", tmp_path / "copy.db", "--db", served.database).code == 0
    assert (tmp_path / "copy.db").stat().st_size > 0


def test_a_question_is_shown_and_answered_and_a_file_brings_what_it_includes(
    shell: Shell, served: Served, tmp_path: Path
) -> None:
    (tmp_path / "pause.yaml").write_text("protocol: pause\nsteps:\n  - rest: {for: 1 s}\n", encoding="utf-8")
    text = "protocol: ask\nlimits: {voltage: [-0.05 V, 2.9 V]}\nsteps:\n  - prompt: Ready?\n  - include: pause.yaml\n"
    (tmp_path / "ask.yaml").write_text(text, encoding="utf-8")
    at = ("--connect", served.url)

    def status() -> dict[str, object]:
        found: dict[str, object] = shell("status", "--json", *at).json()["channels"][0]
        return found

    started = shell("run", tmp_path / "ask.yaml", "--channel", "A1", "--cell", "si-half-cell-1", *at)
    assert (started.code, started.err) == (0, "")
    wait_until(lambda: status()["question"] == "Ready?", what="for the question")
    assert "Ready?" in shell("status", *at).out
    assert shell("confirm", "A1", "--answer", "yes", *at).code == 0
    wait_until(lambda: status()["state"] == "idle", what="for the end")


def test_a_run_that_is_stopped_fails_who_waits_for_it(shell: Shell, served: Served, tmp_path: Path) -> None:
    long = tmp_path / "long.yaml"
    long.write_text(SHORT.replace("60 s", "3 h").replace("30 s", "3 h"), encoding="utf-8")
    started = shell("run", long, "--channel", "A1", "--cell", "si-half-cell-1", "--connect", served.url, "--json")
    assert started.json()["state"] == "running"
    run_id = started.json()["run_id"]
    for verb in ("pause", "resume", "skip", "stop"):
        assert shell(verb, "A1", "--connect", served.url) == Said(0, "", "")
    assert shell("stop", "A1", "--connect", served.url).failed_with("nothing runs on channel A1")
    with Client(served.url) as client:
        assert client.run(run_id).state == "stopped"
    waiting = typed(
        *("run", long, "--channel", "A1", "--cell", "si-half-cell-1", "--connect", served.url, "--wait"),
        folder=tmp_path,
    )
    wait_until(lambda: shell("stop", "A1", "--connect", served.url).code == 0, 30.0, "for the run to begin")
    out, err = waiting.communicate(timeout=30.0)
    assert (waiting.returncode, err) == (1, "")
    assert "stopped by" in out


def test_a_table_starts_a_run_for_each_row(shell: Shell, served: Served) -> None:
    table = served.folder / "runs.csv"
    table.write_text("cell,channel\ncells/si-half-cell-1.yaml,A9\n", encoding="utf-8")
    short = served.folder / "protocols" / "short.yaml"
    run = ("run", short, "--table", table, "--connect", served.url)
    assert shell(*run).failed_with("runs.csv:2:27", "no channel 'A9'")
    table.write_text("cell,channel\ncells/si-half-cell-1.yaml,A1\n", encoding="utf-8")
    assert shell("protocol", "check", short, "--table", table, "--config", served.config).code == 0
    said = shell(*run, "--wait", "--json")
    assert (said.code, said.err) == (0, "")
    assert [(row["channel"], row["state"]) for row in said.json()] == [("A1", "finished")]


def test_a_second_station_on_the_port_touches_no_instrument(served: Served) -> None:
    before = len(served.source.received)
    process = typed("serve", "--config", served.config, folder=served.folder)
    _, err = process.communicate(timeout=60.0)
    assert process.returncode == 1
    assert err.count("\n") == 1
    assert "cannot be taken" in err
    assert str(served.config) in err
    new = served.source.received[before:]
    assert not [line for line in new if line.startswith(("*", ":SOUR", ":OUTP ON"))], "only the first station speaks"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("run", "short", "--channel", "A9", "--cell", "si-half-cell-1"), ("no channel 'A9'", "A1")),
        (("run", "short", "--channel", "A1", "--cell", "si-half-cel-1"), ("did you mean 'si-half-cell-1'",)),
        (("run", "shorter", "--channel", "A1", "--cell", "si-half-cell-1"), ("shorter",)),
        (("run", "absent.yaml", "--channel", "A1", "--cell", "si-half-cell-1"), ("absent.yaml", "No such file")),
        (("run", "short", "--channel", "A1", "--cell", "si-half-cell-1", "--set", "n=3"), ("no parameter 'n'",)),
        (("pause", "A1"), ("channel A1 is idle", "not running")),
        (("clear-trip", "B1"), ("channel B1 is idle, not tripped",)),
        (("confirm", "A1", "--answer", "yes"), ("channel A1 is idle", "not running")),
    ],
)
def test_what_a_running_station_refuses(
    shell: Shell, served: Served, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    assert shell(*arguments, "--connect", served.url).failed_with(*parts)


def test_a_wrong_token_is_named(shell: Shell, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "guessed")
    assert shell("stop", "A1", "--connect", served.url).failed_with("token", TOKEN_VARIABLE)


# --- without a station


def test_init_writes_what_check_and_protocol_check_can_read(shell: Shell, tmp_path: Path) -> None:
    assert shell("init", tmp_path / "lab").code == 0
    files = {path.name for path in (tmp_path / "lab").rglob("*") if path.is_file()}
    assert {"station.toml", "example.yaml", "three-cycles.yaml"} <= files
    fine = shell(
        "protocol", "check", tmp_path / "lab/protocols/three-cycles.yaml", "--cell", tmp_path / "lab/cells/example.yaml"
    )
    assert fine.code == 0
    assert "3 cycles" in fine.out
    assert shell("init", tmp_path / "lab").failed_with("is there already")


def test_check_names_the_instrument_that_does_not_answer(shell: Shell, tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    nobody = f"TCPIP::127.0.0.1::{free_port()}::SOCKET"
    config.write_text(
        f'[instruments.smu]\ndriver = "keithley-2450"\naddress = "{nobody}"\n[channels.A1]\nsource = "smu"\n',
        encoding="utf-8",
    )
    assert shell("check", config).failed_with(str(config), "instruments.smu", nobody, "cannot connect")
    assert shell("check", config, "--json").json()[0]["ok"] is False


def test_check_names_an_instrument_that_talks_nonsense(shell: Shell, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"TCPIP::127.0.0.1::{listener.getsockname()[1]}::SOCKET"
        config = tmp_path / "station.toml"
        config.write_text(
            f'[instruments.smu]\ndriver = "keithley-2450"\naddress = "{address}"\nsettings = {{ timeout_s = 0.3 }}\n'
            '[channels.A1]\nsource = "smu"\n',
            encoding="utf-8",
        )
        assert shell("check", config).failed_with("instruments.smu", "no answer")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[station\n", ("line 1",)),
        ('[station]\npolll = "1 s"\n', (":2:", "station.polll", "not known")),
        ('[station]\npoll = "1 V"\n', (":2:", "station.poll")),
        ('[instruments.smu]\ndriver = "keithly-2450"\naddress = "x"\n', (":2:", "did you mean keithley-2450")),
        ('[channels.A1]\nsource = "smu"\n', (":2:", "channels.A1.source", "no instrument 'smu'")),
        ("[channels.A1]\n", ("channels.A1", "either a 'source' or a 'cycler'")),
    ],
)
def test_a_wrong_configuration_is_named_with_its_line(
    shell: Shell, tmp_path: Path, text: str, parts: tuple[str, ...]
) -> None:
    config = tmp_path / "station.toml"
    config.write_text(text, encoding="utf-8")
    assert shell("check", config).failed_with(str(config), *parts)
    assert shell("serve", "--config", config).failed_with(str(config), *parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("steps: [", (":1:",)),
        (SHORT.replace("discharge", "discharg"), (":6:", "discharg")),
        (SHORT.replace("60 s", "60 kg"), (":6:", "60 kg")),
        ("", (":1:1:", "empty")),
    ],
)
def test_a_wrong_protocol_is_named_with_its_line(
    shell: Shell, tmp_path: Path, text: str, parts: tuple[str, ...]
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text, encoding="utf-8")
    assert shell("protocol", "check", file).failed_with(str(file), *parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("status", "--connect", "http://127.0.0.1:1"), ("no station answers at http://127.0.0.1:1",)),
        (("check", "absent.toml"), ("absent.toml", "cellstation init")),
        (("protocol", "check", "absent.yaml"), ("absent.yaml", "No such file")),
        (("protocol", "show", "si-half-cell-long"), ("did you mean 'si-half-cell-long-term'",)),
        (("db", "check", "--db", "sqlite:///absent.db"), ("absent.db",)),
        (("db", "check", "--db", "mysql://x"), ("mysql", "not supported")),
        (("runs", "--db", "sqlite:///absent.db"), ("absent.db",)),
        (("export", "last", "-o", "x.csv", "--db", "sqlite:///absent.db"), ("absent.db",)),
        (("runs",), ("station.toml",)),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    shell: Shell, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    assert shell(*arguments).failed_with(*parts)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("nonsense",), "nonsense"),
        (("run", "short"), "--channel"),
        (("run", "short", "--channel", "A1", "--cell", "c", "--set", "bad"), "NAME=VALUE"),
        (("virtual-bench", "--speed", "fast"), "--speed"),
        (("export", "last", "-o", "x", "--format", "doc"), "bdf-csv"),
    ],
)
def test_bad_usage_exits_2(shell: Shell, arguments: tuple[str, ...], part: str) -> None:
    said = shell(*arguments)
    assert said.code == 2
    assert part in said.err
    assert "Traceback" not in said.err


def test_every_command_has_help(shell: Shell) -> None:
    listed = shell("--help")
    assert listed.code == 0
    for command in ("demo", "init", "check", "serve", "gui", "status", "run", "pause", "resume", "skip", "stop"):
        assert command in listed.out
        assert shell(command, "--help").code == 0


def test_the_library_is_listed_and_shown(shell: Shell) -> None:
    names = [row["name"] for row in shell("protocol", "list", "--json").json()]
    assert "si-half-cell-long-term" in names
    for name in names:
        assert shell("protocol", "show", name).code == 0
        assert shell("protocol", "check", name).code == 0


def test_a_virtual_bench_as_it_is_typed(shell: Shell, tmp_path: Path) -> None:
    process = typed("virtual-bench", "--folder", tmp_path, "--json", "--with-parent", folder=tmp_path)
    try:
        wait_until(lambda: (tmp_path / "station.toml").exists() or process.poll() is not None, 60.0)
        said = shell("check", tmp_path / "station.toml", "--json")
        assert said.code == 0
        assert all(row["ok"] for row in said.json())
    finally:
        out, err = process.communicate(timeout=30.0)
    assert process.returncode == 0
    assert err == ""
    assert {row["name"] for row in json.loads(out)} == {row["instrument"] for row in said.json()}
