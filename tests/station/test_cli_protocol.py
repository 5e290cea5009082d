"""protocol list, show, check and schema, and run --table, as they are typed."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from protocols import library, schema
from station import cli, examples
from station.client import ClientError
from station.readings import ChannelState, ChannelView, RunState, RunView, StationView

CONFIG = """\
[station]
poll = "1 s"
limits = { current = "1 A" }
[instruments.smu]
driver = "keithley-2450"
address = "TCPIP::smu.example::5025::SOCKET"
[instruments.smu2]
driver = "keithley-2450"
address = "TCPIP::smu2.example::5025::SOCKET"
[instruments.eis]
driver = "solartron-1260-1287"
address = "prologix://eis.example/4"
[instruments.neware]
driver = "neware-bts"
address = "127.0.0.1:1"
settings = { step_file_folder = "." }
[channels.A1]
source = "smu"
limits = { voltage = ["-0.1 V", "3 V"] }
[channels.A2]
source = "smu2"
impedance = "eis"
[channels.B1]
cycler = { instrument = "neware", channel = "27-1-1-1" }
"""
PROTOCOL = """\
protocol: x
parameters: {cycles: 2, rate: 1 mA}
limits: {voltage: [0 V, 4.5 V], current: 2 A}
steps:
  - repeat: ${cycles}
    steps:
      - charge: {at: "${rate}", until: {voltage: 4 V}}
      - discharge: {at: "${rate}", until: {voltage: 1 V}}
      - {rest: {for: 1 h}, every: 10 cycles}
"""
CELL = "cell: good\nnominal_capacity: 4 mAh\n"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    folder: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *arguments: str) -> Said:
        self.monkeypatch.setattr(sys, "argv", ["cellstation", *arguments])
        self.capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        return Said(code, *self.capsys.readouterr())

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path, capsys, monkeypatch)
    for name, text in (("station.toml", CONFIG), ("p.yaml", PROTOCOL), ("c.yaml", CELL)):
        shell.write(name, text)
    return shell


# --- the library


def test_the_list_names_where_each_was_published_and_its_cell(shell: Shell) -> None:
    rows = shell("protocol", "list", "--json").json()
    assert [row["name"] for row in rows] == list(library.names())
    assert all(row["title"] and row["source"] and row["cell"] for row in rows)
    listed = shell("protocol", "list").out
    assert "si-half-cell-long-term" in listed
    assert "cell si-li-coin; Nature Communications 15 (2024) 2263" in listed


def test_a_protocol_is_shown_with_its_published_result(shell: Shell) -> None:
    said = shell("protocol", "show", "si-half-cell-long-term").out
    assert "150 times:\n    discharge at 0.2 C until 0.05 V\n" in said
    assert "Result: " in said


def test_the_schemas_are_printed_as_they_are_published(shell: Shell) -> None:
    assert shell("protocol", "schema").out == schema.PROTOCOL_FILE.read_text(encoding="utf-8")
    assert shell("protocol", "schema", "--cell").out == schema.CELL_FILE.read_text(encoding="utf-8")


# --- check


def test_a_protocol_of_the_library_has_its_cell(shell: Shell) -> None:
    said = shell("protocol", "check", "si-half-cell-long-term")
    assert (said.code, said.err) == (0, "")
    assert said.out == "si-half-cell-long-term: fine for the library's cell si-li-coin: 301 cycles\n"


def test_what_is_left_out_with_few_cycles_is_a_note(shell: Shell) -> None:
    said = shell("protocol", "check", "p.yaml", "--cell", "c.yaml")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "note: p.yaml:9:10: left out: 'every: 10' never comes, for only 2 cycles are planned",
        "p.yaml: fine for c.yaml: 2 cycles",
    ]
    assert shell("protocol", "check", "p.yaml", "--cell", "c.yaml", "--json").json() == [
        {
            "file": "p.yaml",
            "line": 9,
            "column": 10,
            "message": "left out: 'every: 10' never comes, for only 2 cycles are planned",
            "severity": "note",
        }
    ]
    assert shell("protocol", "check", "p.yaml", "--cell", "c.yaml", "--set", "cycles=10", "--json").json() == []


@pytest.mark.parametrize(
    ("channel", "rate", "lines"),
    [
        ("A2", "1 mA", []),
        ("A1", "1 mA", ["p.yaml:7:9: step '1.1 charge 1 mA': 4 V is not between the limits in force, 0 V and 3 V"]),
        (
            "A2",
            "1.2 A",
            [
                "p.yaml:7:9: a current of 1200 mA is outside the instrument's -1050 to 1050 mA",
                "p.yaml:8:9: a current of -1200 mA is outside the instrument's -1050 to 1050 mA",
            ],
        ),
        ("B1", "1 mA", []),
    ],
)
def test_what_station_toml_says_of_a_channel(shell: Shell, channel: str, rate: str, lines: list[str]) -> None:
    said = shell("protocol", "check", "p.yaml", "--cell", "c.yaml", "--channel", channel, "--set", f"rate={rate}")
    assert said.code == (1 if lines else 0)
    assert all(any(heard.startswith(line) for heard in said.err.splitlines()) for line in lines), said.err
    assert (f"fine for c.yaml on channel {channel}" in said.out) is (not lines)


def test_an_impedance_sweep_needs_its_instrument_and_its_range(shell: Shell) -> None:
    shell.write("z.yaml", "protocol: z\nsteps:\n  - impedance: {from: 2 MHz, to: 1 Hz, amplitude: 10 mV}\n")
    said = shell("protocol", "check", "z.yaml", "--cell", "c.yaml", "--channel", "A1").err
    assert said.startswith("z.yaml:3:5: the channel has no impedance instrument")
    said = shell("protocol", "check", "z.yaml", "--cell", "c.yaml", "--channel", "B1").err
    assert "z.yaml:3:5: step '1 impedance': this channel's cycler runs alone and measures no impedance; bind" in said
    said = shell("protocol", "check", "z.yaml", "--cell", "c.yaml", "--channel", "A2").err
    assert said == "z.yaml:3:5: a frequency of 2e+06 Hz is outside the instrument's 1e-05 to 1e+06 Hz\n"


def test_a_recording_faster_than_the_station_samples_is_a_note(shell: Shell) -> None:
    shell.write("f.yaml", "protocol: f\nrecord: {every: 0.5 s}\nsteps:\n  - rest: {for: 1 h}\n")
    said = shell("protocol", "check", "f.yaml", "--cell", "c.yaml", "--channel", "A2")
    assert said.code == 0
    assert said.out.startswith("note: f.yaml:1:1: records faster than the station samples ('poll' is 1 s)")


def test_a_scaled_clock_can_sample_only_so_fast(shell: Shell) -> None:
    shell.write("fast.toml", f"[simulation]\nspeed = 200.0\nepoch = 1.0\n{CONFIG.replace('1 s', '10 s')}")
    shell.write("f.yaml", "protocol: f\nrecord: {every: 0.5 s}\nsteps:\n  - rest: {for: 1 h}\n")
    said = shell("protocol", "check", "f.yaml", "--cell", "c.yaml", "--channel", "A2", "--config", "fast.toml")
    assert said.code == 1
    assert "f.yaml:1:1: a sample each 0.5 s is more than the channel can take; it takes one each 2 s" in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("p.yaml", "--cell", "c.yaml", "--channel", "A9"), 1, "station.toml: there is no channel 'A9'; there are: A1"),
        (("p.yaml", "--cell", "c.yaml", "--channel", "A1", "--config", "no.toml"), 1, "no.toml: cannot be read"),
        (("p.yaml", "--channel", "A1"), 2, "give --cell"),
        (("p.yaml", "--table", "t.csv", "--cell", "c.yaml"), 2, "a table names the cell"),
        (("p.yaml", "--cell", "absent.yaml"), 1, "absent.yaml:1:1: cannot be read"),
        (("p.yaml", "--table", "absent.csv"), 1, "absent.csv:1:1: cannot be read"),
    ],
)
def test_what_cannot_be_checked(shell: Shell, arguments: tuple[str, ...], code: int, said: str) -> None:
    heard = shell("protocol", "check", *arguments)
    assert heard.code == code
    assert said in heard.err
    assert "Traceback" not in heard.err


def test_what_init_writes_is_fine_for_its_own_channel(shell: Shell) -> None:
    assert shell("init", "lab").code == 0
    protocol, cell = "lab/protocols/three-cycles.yaml", "lab/cells/example.yaml"
    said = shell("protocol", "check", protocol, "--cell", cell, "--channel", "A1", "--config", "lab/station.toml")
    assert (said.code, said.err) == (0, "")
    assert examples.PROTOCOL.startswith("protocol: Three cycles")


# --- tables


def test_each_row_of_a_table_is_checked(shell: Shell) -> None:
    shell.write("t.csv", "cell,channel,cycles\nc.yaml,A1,3\nc.yaml,A2,5\n")
    said = shell("protocol", "check", "p.yaml", "--table", "t.csv")
    assert (said.code, said.out) == (0, "p.yaml: fine for each of the 2 rows of t.csv\n")
    said = shell("protocol", "check", "p.yaml", "--table", "t.csv", "--config", "station.toml")
    assert said.code == 1
    assert said.err.startswith("t.csv:2:8: A1: p.yaml:7:9: step '1.1 charge 1 mA': 4 V is not between")
    shell.write("t.csv", "cell,cycles\nc.yaml,3\nc.yaml,many\n")
    assert shell("protocol", "check", "p.yaml", "--table", "t.csv", "--json").json()[0]["column"] == 8


@dataclass
class FakeStation:
    """Remembers what it is asked to start; refuses on the channel 'A3'."""

    states: Mapping[str, ChannelState]
    started: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)

    def status(self) -> StationView:
        channels = tuple(ChannelView(name=name, state=state) for name, state in self.states.items())
        return StationView(name="x", version="0", simulated=False, speed=1.0, time=0.0, store="ok", channels=channels)

    def start(self, channel: str, protocol: str, cell: str, who: str, **more: Any) -> RunView:
        if channel == "A3":
            raise ClientError("the instrument says no")
        self.started.append((channel, more["parameters"], cell))
        assert protocol == PROTOCOL
        return RunView(
            run_id=f"run-{channel}", channel=channel, cell="good", protocol="x", state=RunState.RUNNING, started=0.0
        )

    def run(self, run_id: str) -> RunView:
        state = RunState.FINISHED if run_id == "run-A1" else RunState.STOPPED
        return RunView(run_id=run_id, channel="", cell="good", protocol="x", state=state, started=0.0)


@pytest.fixture
def station(monkeypatch: pytest.MonkeyPatch) -> FakeStation:
    idle = dict.fromkeys(("A1", "A2", "A3"), ChannelState.IDLE)
    station = FakeStation({**idle, "B1": ChannelState.RUNNING})

    @contextlib.contextmanager
    def client(_: str) -> Iterator[FakeStation]:
        yield station

    monkeypatch.setattr("station.cli.channels.client", client)
    return station


def test_a_run_is_started_for_each_row(shell: Shell, station: FakeStation) -> None:
    shell.write("t.csv", "cell,channel,cycles\nc.yaml,A1,3\nc.yaml,A2,\n")
    said = shell("run", "p.yaml", "--table", "t.csv", "--set", "rate=2 mA", "--json")
    assert (said.code, said.err) == (0, "")
    assert station.started == [("A1", {"rate": "2 mA", "cycles": 3}, CELL), ("A2", {"rate": "2 mA"}, CELL)]
    assert [(row["line"], row["channel"], row["run_id"]) for row in said.json()] == [
        (2, "A1", "run-A1"),
        (3, "A2", "run-A2"),
    ]
    assert "run-A2: running" in shell("run", "p.yaml", "--table", "t.csv").out


def test_who_waits_hears_how_all_ended(shell: Shell, station: FakeStation) -> None:
    shell.write("t.csv", "cell,channel\nc.yaml,A1\n")
    assert shell("run", "p.yaml", "--table", "t.csv", "--wait", "--json").json()[0]["state"] == "finished"
    shell.write("t.csv", "cell,channel\nc.yaml,A1\nc.yaml,A2\n")
    said = shell("run", "p.yaml", "--table", "t.csv", "--wait", "--json")
    assert (said.code, [row["state"] for row in said.json()]) == (1, ["finished", "stopped"])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("cell,channel,cycles\nc.yaml,A1,3\nc.yaml,A2,no\n", "t.csv:3:11: cycles: p.yaml:5:5: 'repeat'"),
        ("cell,channel\nc.yaml,A1\nc.yaml,A9\n", "t.csv:3:8: there is no channel 'A9'; there are: A1, A2, A3, B1"),
        ("cell,channel\nc.yaml,A1\nc.yaml,B1\n", "t.csv:3:8: channel 'B1' is running, not idle"),
        ("cell,channel\nc.yaml,A1\nc.yaml,\n", "t.csv:3:1: names no channel to run on"),
        ("cell\nc.yaml\n", "t.csv:2:1: names no channel to run on"),
    ],
)
def test_nothing_is_started_where_a_row_is_wrong(shell: Shell, station: FakeStation, table: str, said: str) -> None:
    shell.write("t.csv", table)
    heard = shell("run", "p.yaml", "--table", "t.csv")
    assert heard.code == 1
    assert heard.err.startswith(said)
    assert station.started == []


def test_a_refusal_stops_no_other_row_and_is_told(shell: Shell, station: FakeStation) -> None:
    shell.write("t.csv", "cell,channel\nc.yaml,A3\nc.yaml,A2\n")
    said = shell("run", "p.yaml", "--table", "t.csv", "--json")
    assert said.code == 1
    assert [(row["run_id"], row["refused"]) for row in said.json()] == [
        (None, "the instrument says no"),
        ("run-A2", ""),
    ]
    assert "not started: the instrument says no" in shell("run", "p.yaml", "--table", "t.csv").out


def test_a_run_needs_a_channel_and_a_cell_or_a_table(shell: Shell, station: FakeStation) -> None:
    for arguments, hint in (
        ((), "--channel"),
        (("--channel", "A1"), "--cell"),
        (("--table", "t.csv", "--channel", "A1"), "--table"),
    ):
        said = shell("run", "p.yaml", *arguments)
        assert said.code == 2
        assert hint in said.err
