"""analyse cycles, dqdv, gitt and transference, from files and from a run, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from station.analysis.cycles import cycles
from station.analysis.errors import AnalysisError
from station.analysis.files import read_cycling
from station.analysis.flow import Direction
from station.analysis.naming import lithiation
from station.analysis.record import Record
from station.cli import app
from station.export import export
from station.store import Archive, Writer, upgrade
from tests.station import synthetic
from tests.station.analysis.records import ideal_cell, titration


def saved(data: Record, path: Path, separator: str = ",") -> Path:
    columns = {
        "Time / h": data.time_s / 3600,
        "Ecell/mV": data.voltage_V * 1e3,
        "I (mA)": data.current_A * 1e3,
        "Comment": ["-"] * len(data),
    }
    pd.DataFrame(columns).to_csv(path, index=False, sep=separator)
    return path


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, ["analyse", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def database(tmp_path: Path) -> str:
    url = f"sqlite:///{(tmp_path / 'station.db').as_posix()}"
    upgrade(url)
    writer = Writer(url, tmp_path / "spool")
    channel = synthetic.half_cell(cycles=3)
    writer.begin_run(synthetic.snapshot(channel.run_id))
    for batch in synthetic.batches(channel):
        writer.submit(batch)
    writer.close()
    return url


# --- files


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_units_are_those_of_the_header(tmp_path: Path, separator: str) -> None:
    data = ideal_cell(1)
    found = read_cycling(saved(data, tmp_path / "a.csv", separator))
    assert found.time_s == pytest.approx(data.time_s)
    assert found.voltage_V == pytest.approx(data.voltage_V)
    assert found.current_A == pytest.approx(data.current_A)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Time / s,Voltage / V\n0,3\n", r"line 1: no column of current; there are: Time / s, Voltage / V"),
        ("Time,Voltage / V,I/A\n0,3,1\n", r"line 1: 'Time' states no unit; write it like 'Time / s'"),
        ("Time / s,Voltage / A,I/A\n0,3,1\n", r"line 1: 'Voltage / A': .* unit like V is wanted"),
        ("Time / s,U / V,I/A\n0,3,1\n1,x,1\n", r"line 3: 'x' in 'U / V' is not a number"),
        (
            "Time / s;U / V;I/A\n0;3,1;1\n1;3.1;1\n",
            r"line 2: '3,1' in 'U / V' is not a number; write decimals with a point",
        ),
        ("", "the file is empty"),
        ("Time / s,U / V,I/A\n1,3,1\n0,3,1\n", r"a\.csv: reading 2 was taken at 0 s, before"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AnalysisError, match=said):
        read_cycling(path)


def test_an_exported_run_gives_the_capacities_of_the_database(tmp_path: Path, database: str) -> None:
    export(Archive(database), "run-1", "bdf-csv", tmp_path / "run.bdf.csv")
    of_file, of_run = cycles(read_cycling(tmp_path / "run.bdf.csv")), cycles(Archive(database).frame("run-1"))
    assert len(of_file) == len(of_run) == 3
    for one, other in zip(of_file, of_run, strict=True):
        assert one.coulombic_efficiency == pytest.approx(other.coulombic_efficiency, rel=2e-3)


def test_a_frame_that_was_saved_is_read_as_it_was(tmp_path: Path, database: str) -> None:
    frame = Archive(database).frame("run-1")
    frame.to_csv(tmp_path / "a.csv", index=False)
    for one, other in zip(cycles(read_cycling(tmp_path / "a.csv")), cycles(frame), strict=True):
        assert one.coulombic_efficiency == pytest.approx(other.coulombic_efficiency, rel=1e-12)


# --- commands


def test_cycles_of_a_file(tmp_path: Path) -> None:
    path = saved(ideal_cell(3, efficiency=0.99), tmp_path / "a.csv")
    found = json.loads(run("cycles", path, "--mass", "silicon=0.5 mg", "--area", "1.13 cm^2", "--json"))
    assert [row["cycle"] for row in found["cycles"]] == [1, 2, 3]
    assert found["cycles"][0]["charge_capacity_mAh_g_silicon"] == pytest.approx(4000)
    assert found["average_efficiency"]["arithmetic"]["value"] == pytest.approx(0.99)
    assert found["end_of_life_cycle"] is None
    said = run("cycles", path, "-o", tmp_path / "b.csv", "--half-cell")
    assert "delithiation" in said
    assert pd.read_csv(tmp_path / "b.csv")["coulombic_efficiency"].to_list() == pytest.approx([0.99] * 3)


def test_cycles_of_a_run(database: str) -> None:
    found = json.loads(run("cycles", "last", "--db", database, "--json"))
    row = found["cycles"][0]
    assert row["discharge_capacity_mAh"] == pytest.approx(1.0, rel=1e-3)
    assert row["discharge_capacity_mAh_g_active"] == pytest.approx(1.0 / 1.5e-3, rel=1e-3)
    assert "SIMULATED" in CliRunner().invoke(app, ["analyse", "cycles", "run-1", "--db", database]).stderr


def test_dqdv_keeps_the_charge_and_finds_no_peak_on_a_slope(tmp_path: Path) -> None:
    path = saved(ideal_cell(2), tmp_path / "a.csv")
    for how in ((), ("--levels",)):
        run("dqdv", path, "--cycle", "2", "-o", tmp_path / "b.csv", "--overwrite", *how)
        table = pd.read_csv(tmp_path / "b.csv")
        assert set(table["cycle"]) == {2}
        charge = table[table["direction"] == "charge"]
        step_V = np.diff(charge["voltage_V"]).mean()
        assert charge["dQ_dV_Ah_V"].sum() * step_V == pytest.approx(2e-3, rel=1e-6)
    with pytest.raises(FileExistsError):
        run("dqdv", path, "-o", tmp_path / "b.csv")
    with pytest.raises(AnalysisError, match="no cycle 9; there are 1 to 2"):
        run("dqdv", path, "--cycle", "9")


def test_gitt_prints_the_bias(tmp_path: Path) -> None:
    data = titration(1e-15, 2.5e-6, pulses=2, pulse_s=3600.0, rest_s=40000.0, rows=400)
    path = saved(data, tmp_path / "a.csv")
    found = json.loads(run("gitt", path, "--radius", "2.5 um +- 10 %", "--json"))
    assert found[0]["D_fit_m2_s"] == pytest.approx(1e-15, rel=0.01)
    assert found[0]["D_fit_u_m2_s"] == pytest.approx(0.2e-15, rel=0.05)
    assert found[0]["fourier_corrected"] == pytest.approx(0.58, rel=0.1)
    said = run("gitt", path, "--radius", "2.5 um")
    assert "not met in pulses 1 to 2: pulse short beside R²/D" in said


def test_transference_as_typed(tmp_path: Path) -> None:
    typed = ["--bias", "10 mV", "--r0", "40 ohm", "--rs", "45 ohm", "--rb", "100 ohm +- 1 %"]
    found = json.loads(run("transference", *typed, "--is", "26.43 uA", "--json"))
    assert found["corrected"]["value"] == pytest.approx(0.3, abs=1e-3)
    assert found["watanabe"]["u"] == pytest.approx(0.003, rel=0.05)
    t = np.linspace(0, 36000, 3601)
    table = {"t / s": t, "U / V": 0.01 + 0 * t, "I / uA": 26.43 + 45 * np.exp(-t / 1200)}
    pd.DataFrame(table).to_csv(tmp_path / "a.csv", index=False)
    said = run("transference", tmp_path / "a.csv", *typed)
    assert "t₊ (Watanabe):                 0.3000 ± 0.0030" in said
    missing = CliRunner().invoke(app, ["analyse", "transference", *typed])
    assert missing.exit_code == 2
    assert "--is" in missing.stderr


@pytest.mark.parametrize(
    ("chemistry", "way"),
    [
        ("Si | Li", Direction.DISCHARGE),
        ("Li | µm-Si", Direction.DISCHARGE),
        ("NMC811 | Li-In", Direction.DISCHARGE),
        ("Si | NMC811", None),
        ("Li | Li", None),
        ("", None),
    ],
)
def test_which_way_an_electrode_is_lithiated(chemistry: str, way: Direction | None) -> None:
    assert lithiation(chemistry) is way
