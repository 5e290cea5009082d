"""`cellstation instruments` and `cellstation check`, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from drivers.registry import BUILT_IN
from drivers.simulated.clock import ManualClock
from drivers.simulated.keithley2450 import VirtualKeithley2450
from drivers.simulated.keysight3446x import VirtualKeysight3446x
from drivers.simulated.wiring import FixedCell
from drivers.transports.trace import read_trace
from station.cli import app

runner = CliRunner()


def test_list_says_what_each_driver_can_do_and_stands_on() -> None:
    said = runner.invoke(app, ["instruments", "list", "--json"])
    assert said.exit_code == 0
    rows = {row["driver"]: row for row in json.loads(said.stdout)}
    assert set(rows) >= set(BUILT_IN)
    assert rows["simserv"]["capabilities"] == ["Chamber"]
    assert rows["keithley-2450"]["capabilities"] == ["Source"]
    assert all("hardware" in rows[name]["evidence"] and rows[name]["quirks"] for name in BUILT_IN)
    assert {rows[name]["origin"] for name in BUILT_IN} == {"cellstation"}


def test_list_says_which_driver_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from drivers import registry

    broken = registry.Entry("broken", "no.such.module:Driver", "acme-drivers 1.2")
    twice = registry.Entry("simserv", "drivers.simserv:SimServChamber", "acme-drivers 1.2")
    monkeypatch.setattr(registry, "_plug_ins", lambda: (broken, twice))
    said = runner.invoke(app, ["instruments", "list"])
    assert said.exit_code == 1
    words = " ".join(said.output.split())
    assert "broken of acme-drivers 1.2: driver 'broken' of the package acme-drivers 1.2: no.such.module:Driver" in words
    assert "simserv of acme-drivers 1.2: two packages claim this name" in words


def test_scan_refuses_a_foreign_network_and_finds_nothing_where_nothing_is() -> None:
    said = runner.invoke(app, ["instruments", "scan", "--network", "8.8.8.0/28"])
    assert said.exit_code == 2
    assert "is not searched" in said.output
    assert runner.invoke(app, ["instruments", "scan", "--network", "127.0.0.77/32", "--json"]).stdout.strip() == "[]"


def station(folder: Path, address: str, extra: str = "") -> Path:
    path = folder / "station.toml"
    path.write_text(f'[instruments.smu]\ndriver = "keithley-2450"\naddress = "{address}"\n{extra}')
    return path


def test_check_says_what_is_there_instead_and_which_driver_would_fit(tmp_path: Path) -> None:
    with VirtualKeysight3446x(FixedCell(), clock=ManualClock()) as meter:
        said = runner.invoke(app, ["check", str(station(tmp_path, meter.address))])
    assert said.exit_code == 1
    assert "not a Keithley 2450" in said.output
    assert "the driver that fits is keysight-3446x" in said.output


def test_check_records_and_the_recording_plays(tmp_path: Path) -> None:
    with VirtualKeithley2450(FixedCell(), clock=ManualClock()) as smu:
        config = station(tmp_path, smu.address)
        said = runner.invoke(app, ["check", str(config), "--trace", str(tmp_path / "traces")])
        assert said.exit_code == 0
    trace = tmp_path / "traces" / "smu.jsonl"
    assert any(line.data.startswith(b"KEITHLEY INSTRUMENTS,MODEL 2450,") for line in read_trace(trace))
    played = runner.invoke(app, ["instruments", "replay", str(trace), "--seconds", "0"])
    assert played.exit_code == 0
    assert f"{smu.address}: driver 'keithley-2450', address 'TCPIP::127.0.0.1::" in played.stdout


def test_a_station_s_own_trace_file_is_beside_its_configuration(tmp_path: Path) -> None:
    with VirtualKeithley2450(FixedCell(), clock=ManualClock()) as smu:
        config = station(tmp_path, smu.address, 'trace = "smu.jsonl"\n')
        assert runner.invoke(app, ["check", str(config)]).exit_code == 0
    assert {line.instrument for line in read_trace(tmp_path / "smu.jsonl")} == {"smu"}


@pytest.mark.parametrize("text", ["nonsense\n", ""])
def test_a_replay_of_what_is_no_trace(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(text)
    said = runner.invoke(app, ["instruments", "replay", str(tmp_path / "t.jsonl"), "--seconds", "0"])
    assert said.exit_code == 1
    assert "t.jsonl" in said.output


def test_wiring_of_a_channel_that_is_not_there(tmp_path: Path) -> None:
    said = runner.invoke(app, ["check", str(station(tmp_path, "x")), "--wiring", "--channel", "A9"])
    assert said.exit_code == 2
    assert "there is no channel 'A9'" in said.output
