"""analyse impedance and analyse conductivity, as they are typed."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from station import cli
from station.store import Writer
from tests.station import synthetic as run
from tests.station.analysis.impedance.spectra import synthetic


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def type_(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["cellstation", *words])
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return type_


@pytest.fixture
def spectrum_file(tmp_path: Path) -> Path:
    spectrum = synthetic()
    rows = [f"{f},{z.real},{-z.imag}" for f, z in zip(spectrum.frequency_Hz, spectrum.impedance_ohm, strict=True)]
    path = tmp_path / "cell.csv"
    path.write_text("Frequency / Hz,Re(Z)/Ohm,-Im(Z)/Ohm\n" + "\n".join(rows), encoding="utf-8")
    return path


def test_a_spectrum_is_fitted_and_drawn(typed, spectrum_file: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    picture = tmp_path / "fit.svg"
    said = typed("analyse", "impedance", str(spectrum_file), "--circuit", "half-cell", "--plot", str(picture))
    assert said.code == 0, said.err
    for words in ("Kramers–Kronig: consistent", "R3", "ohm", "C (Brug) / F", "relaxation time / s"):
        assert words in said.out
    assert "hardly told apart" in said.err
    assert picture.read_text(encoding="utf-8").startswith("<?xml")


def test_without_a_circuit_one_is_chosen(typed, spectrum_file: Path) -> None:  # type: ignore[no-untyped-def]
    said = typed("analyse", "impedance", str(spectrum_file), "--json")
    assert said.code == 0, said.err
    result = json.loads(said.out)
    assert result["circuit"] == "L-R1-(Q2R2)-(Q3R3)-Q4"
    assert result["ranking"][0]["circuit"] == result["circuit"]
    (one,) = result["spectra"]
    assert one["kramers_kronig"]["consistent"] is True
    r3 = next(each for each in one["fit"]["parameters"] if each["name"] == "R3")
    assert r3["unit"] == "ohm"
    assert abs(r3["value"] - 16.0) < 4 * r3["standard_error"]
    assert one["relaxation_times"]["polarisation_ohm"]["value"] == pytest.approx(19, rel=0.05)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--circuit", "R1-(Q2R2"], 1, "column 4"),
        (["--circuit", "half-cel"], 1, "did you mean 'half-cell'"),
        (["--number", "3"], 1, "there are: 1"),
        (["--run", "last"], 2, "or a run by --run"),
        (["--circuit", "half-cell", "--plot", "x.bmp"], 2, ".svg"),
    ],
)
def test_mistakes_are_told(typed, spectrum_file: Path, words: list[str], code: int, told: str) -> None:  # type: ignore[no-untyped-def]
    said = typed("analyse", "impedance", str(spectrum_file), *words)
    assert said.code == code
    assert told in said.err
    assert "Traceback" not in said.err


def test_spectra_of_a_run_are_fitted_as_a_series(typed, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    url = f"sqlite:///{(tmp_path / 'station.db').as_posix()}"
    writer, channel = Writer(url, tmp_path / "spool"), run.half_cell()
    writer.begin_run(run.snapshot(channel.run_id))
    for batch in run.batches(channel):
        writer.submit(batch)
    writer.close()
    result = json.loads(
        typed("analyse", "impedance", "--run", "last", "--db", url, "--circuit", "R1-(C2R2)", "--json").out
    )
    assert [each["cycle"] for each in result["spectra"]] == [1, 2, 3]
    for one in result["spectra"]:
        values = {each["name"]: each["value"] for each in one["fit"]["parameters"]}
        assert values == {
            "R1": pytest.approx(10.0, rel=1e-5),
            "C2": pytest.approx(1e-5, rel=1e-5),
            "R2": pytest.approx(40.0, rel=1e-5),
        }
        assert one["relaxation_times"] is None  # seven points
    second = typed("analyse", "impedance", "--run", "run-1", "--db", url, "--number", "2", "--circuit", "R1-(C2R2)")
    assert "run-1 2, cycle 2" in second.out
    export = tmp_path / "run.bdf.csv"
    assert typed("export", "run-1", "-o", str(export), "--db", url).code == 0
    sweeps = next(tmp_path.glob("*.eis.csv"))
    from_file = json.loads(typed("analyse", "impedance", str(sweeps), "--circuit", "R1-(C2R2)", "--json").out)
    assert [each["cycle"] for each in from_file["spectra"]] == [1, 2, 3]


def test_a_file_that_is_not_there_is_told(typed, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    said = typed("analyse", "impedance", str(tmp_path / "none.csv"))
    assert (said.code, "none.csv" in said.err) == (1, True)


def test_a_conductivity_is_told_in_both_units(typed) -> None:  # type: ignore[no-untyped-def]
    said = typed("analyse", "conductivity", "--resistance", "10 ohm", "--thickness", "100 um", "--area", "1.54 cm^2")
    assert said.out.strip() == "0.06494 S/m = 0.0006494 S/cm"
    assert typed("analyse", "conductivity", "--resistance", "10 ohm").code == 2
    assert typed("analyse", "conductivity", "--resistance", "10 kg", "--thickness", "1 m", "--area", "1 m^2").code == 2
    assert typed("analyse", "conductivity").code == 2


def test_conductivities_over_temperature(typed, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    celsius = np.linspace(-20, 80, 11)
    sigma = 5 * np.exp(-800 / (celsius + 273.15 - 190)) / np.sqrt(celsius + 273.15)
    sigma *= np.exp(0.001 * np.random.default_rng(0).normal(size=11))
    path = tmp_path / "sigma.csv"
    rows = [f"{t},{100e-6 / (s * 1e-4)}" for t, s in zip(celsius, sigma, strict=True)]
    path.write_text("temperature_degC,resistance_ohm\n" + "\n".join(rows), encoding="utf-8")
    lengths = ("--thickness", "100 um", "--area", "1 cm^2")
    result = json.loads(typed("analyse", "conductivity", str(path), *lengths, "--json").out)
    assert result["vtf"]["t0_K"]["value"] == pytest.approx(190, abs=0.5)
    assert result["vtf"]["better_than_arrhenius"] > 10
    said = typed("analyse", "conductivity", str(path), *lengths, "--form", "sigma-T")
    assert "Arrhenius of sigma T" in said.out
    assert "VTF: T0 = 1" in said.out
    refused = typed("analyse", "conductivity", str(path))
    assert (refused.code, "thickness and area are needed" in refused.err) == (1, True)
