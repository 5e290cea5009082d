"""calibration list, show and fit, as they are typed: a record from a file, or words and nothing stored."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest import approx

from calibration import evaluate
from calibration.registry import Registry
from station import cli
from tests.calibration.records import A_OHM, record

REFERENCE = """\
name = "press"
serial = "A17"
calibrated = 2026-01-10
expires = 2026-03-10
resolution = "0.01 N"
[table]
indication = [0, 200]
force = [0, 200]
expanded_uncertainty = "0.1 %"
"""


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
        self.monkeypatch.setattr(sys, "argv", ["cellstation", "calibration", *arguments])
        self.capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        return Said(code, *self.capsys.readouterr())

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    @property
    def stored(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "calibrations").glob("*"))


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked though nobody is there"))
    monkeypatch.setattr(evaluate.Basis, "__init__", _few_draws(evaluate.Basis.__init__))
    return Shell(tmp_path, capsys, monkeypatch)


def _few_draws(original: Any) -> Any:
    """The propagation of distributions has its own tests; here it need not be fine."""
    return lambda self, *given, **named: original(self, *given, **{**named, "draws": 4000})


def readings(series: int = 3, seed: int = 5) -> str:
    """R = 288 kΩ at 84.05 N, falling with F^0.85; up and down, with 1 % between series."""
    generator = np.random.default_rng(seed)
    lines = ["run;insertion;Force / N;R / kΩ"]
    for number in range(1, series + 1):
        offset = generator.normal(0, 0.01)
        up = np.geomspace(2, 200, 9)
        for force in [*up, *up[-2::-1]]:
            ohm = 288 * (84.05 / force) ** 0.85 * np.exp(offset + generator.normal(0, 0.003))
            lines.append(f"{number};{number};{force:.4f};{ohm:.5g}")
    return "\n".join(lines).replace(".", ",") + "\n"


def test_a_file_becomes_a_record_and_its_history(shell: Shell) -> None:
    shell.write("mfsr-1.csv", readings())
    shell.write("calibrations/references/press.toml", REFERENCE)
    first = shell(
        "fit", "mfsr-1.csv", "--diameter", "14 mm", "--tolerance", "0.1 mm", "--reference", "press",
        "--meter", "dmm", "--meter-uncertainty", "0.05 %", "--operator", "Ada", "--calibrated", "2026-05-31",
    )  # fmt: skip
    assert first.code == 0, first.err
    for said in ("power law", "chosen", "sensing area", "expanded, k = 2", "certificate of load cell press expired"):
        assert said in first.out
    assert shell.stored == ["mfsr-1-v1.json", "references"]
    kept = Registry(shell.folder / "calibrations").get("mfsr-1", 1)
    pressure = kept.pressure(0.288e6)
    assert pressure is not None
    assert abs(pressure.value_Pa - 546e3) < pressure.expanded_uncertainty_Pa < 0.15 * 546e3
    assert kept.area.standard_uncertainty_m2 / kept.area.value_m2 == approx(2 * 0.1 / 14 / 3**0.5)
    assert kept.reference.relative_standard_uncertainty == approx(5e-4)
    assert kept.meter.relative_standard_uncertainty == approx(5e-4 / 3**0.5)
    assert (str(kept.calibrated), str(kept.expires), kept.conditions.operator) == ("2026-05-31", "2027-05-31", "Ada")
    assert len(kept.data.points) == 3 * 17
    assert "SHA-256" in kept.note

    second = shell("fit", "mfsr-1.csv", "--area", "153.94 mm^2", "--expires", "never", "--json")
    assert second.code == 0, second.err
    content = second.json()
    assert content["version"] == 2
    assert content["stored"].endswith("mfsr-1-v2.json")
    assert content["expires"] is None
    shown = shell("show", "mfsr-1", "--json").json()
    assert [entry["version"] for entry in shown["history"]] == [2, 1]
    assert shown["history"][0]["drift"]["within"] is True
    assert shown["history"][0]["drift"]["mean"] == approx(0.0, abs=0.02)
    assert "yes" in shell("show", "mfsr-1").out
    assert "mfsr-1 v1" in shell("show", "mfsr-1", "--version", "1").out


def test_a_dry_run_stores_nothing(shell: Shell) -> None:
    shell.write("data.csv", readings(1))
    said = shell("fit", "data.csv", "--diameter", "14 mm", "--sensor", "mfsr-1", "--dry-run")
    assert said.code == 0, said.err
    assert "mfsr-1 v1" in said.out
    assert "not stored" in said.out
    assert shell.stored == []


def test_a_person_is_asked(shell: Shell) -> None:
    shell.write("data.csv", readings(1))
    shell.monkeypatch.setattr("station.cli.calibration_fit.sys.stdin.isatty", lambda: True, raising=False)
    shell.monkeypatch.setattr("typer.confirm", lambda said: bool(said == "Store as data v1?") and False)
    said = shell("fit", "data.csv", "--diameter", "14 mm")
    assert "not stored" in said.out
    assert shell.stored == []


GOOD = [(1, 102.3), (2, 60.45), (5, 29.12), (10, 15.24), (20, 8.953), (50, 4.331), (100, 2.208)]


def table(pairs: list[tuple[object, object]], heading: str = "Force / N,R / kΩ") -> str:
    return "\n".join([heading, *(f"{force},{ohm}" for force, ohm in pairs)]) + "\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (table(GOOD[:4]), "4 different forces; at least 5 are needed"),
        (table([*GOOD[:3], (10, 41.2), (20, 48.9), *GOOD[5:]]), "not monotone"),
        (table([(ohm, force) for force, ohm in GOOD]), "look swapped"),
        (table(GOOD, "Force / N,R / Ω"), "is the unit wrong? kΩ where Ω is stated"),
        (table(GOOD, "Force / N,R / GΩ"), "is the unit wrong?"),
        (table([*GOOD[:3], (10, 29.12), *GOOD[4:]]), "stuck reading"),
        (table([*GOOD[:3], (10, -15.24), *GOOD[4:]]), "line 5, column 'R / kΩ': -15.24 kΩ is not a resistance"),
        (table([*GOOD[:3], (10, 0), *GOOD[4:]]), "line 5, column 'R / kΩ': 0 kΩ is not a resistance"),
        (table([*GOOD[:3], (10, "9.9e37"), *GOOD[4:]]), "line 5, column 'R / kΩ': overload (open circuit)"),
        (table([*GOOD[:3], (10, "OL"), *GOOD[4:]]), "line 5, column 'R / kΩ': overload (open circuit)"),
        (table(GOOD, "Force,R"), "the heading has no unit"),
    ],
)
def test_bad_data_are_said_and_nothing_is_stored(shell: Shell, text: str, said: str) -> None:
    shell.write("data.csv", text)
    found = shell("fit", "data.csv", "--diameter", "14 mm", "--yes")
    assert found.code == 1
    assert said in found.err
    assert "Traceback" not in found.err
    assert shell.stored == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "what area the force acts on"),
        (["--area", "14 mm"], "'mm' is no unit of area"),
        (["--area", "1 cm^2", "--diameter", "1 cm"], "not both"),
        (["--diameter", "-14 mm"], "is not above zero"),
        (["--tolerance", "1 %"], "--tolerance is that of"),
        (["--diameter", "14 mm", "--sensor", "a/b"], "no name of a sensor"),
        (["--diameter", "14 mm", "--supply", "5 V"], "both --supply and --resistor"),
        (["--diameter", "14 mm", "--expires", "soon"], "'soon' is no date"),
        (["--diameter", "14 mm", "--meter-uncertainty", "1"], "write it like '0.05 %'"),
        (["--diameter", "14 mm", "--force-uncertainty", "1 kPa"], "'kPa' is no unit of force"),
    ],
)
def test_bad_usage(shell: Shell, options: list[str], said: str) -> None:
    shell.write("data.csv", table(GOOD))
    shell.monkeypatch.setenv("COLUMNS", "300")
    found = shell("fit", "data.csv", *options)
    assert (found.code, shell.stored) == (2, [])
    assert said in found.err


def test_a_load_cell_that_is_not_there(shell: Shell) -> None:
    shell.write("data.csv", table(GOOD))
    found = shell("fit", "data.csv", "--diameter", "14 mm", "--reference", "press")
    assert (found.code, shell.stored) == (1, [])
    assert "no certificate 'press' of a load cell; there are: none" in found.err


# --- list and show


def test_the_list_has_the_newest_of_each(shell: Shell) -> None:
    assert "no calibrations" in shell("list").out
    store = Registry(shell.folder / "calibrations")
    for given in (record(), record(a_ohm=1.3 * A_OHM, expires="2026-01-01"), record(sensor="mfsr-2", simulated=True)):
        store.add(given)
    rows = shell("list", "--json").json()
    assert [(row["sensor"], row["version"], row["versions"]) for row in rows] == [("mfsr-1", 2, 2), ("mfsr-2", 1, 1)]
    assert [row["expired"] for row in rows] == [True, False]
    assert rows[0]["expanded_mid_range"] == 0.08
    shell.monkeypatch.setenv("COLUMNS", "200")
    listed = shell("list").out
    assert "EXPIRED" in listed
    assert "SIMULATED" in listed
    shown = shell("show", "mfsr-1").out
    assert "NO" in shown  # 30 % more resistance is not within 8 %


def test_a_record_that_was_changed_is_said_and_the_others_are_listed(shell: Shell) -> None:
    store = Registry(shell.folder / "calibrations")
    path = store.add(record())
    store.add(record(sensor="mfsr-2"))
    path.chmod(0o644)
    path.write_text(path.read_text(encoding="utf-8").replace('"note":""', '"note":"x"'), encoding="utf-8")
    found = shell("list", "--json")
    assert found.code == 1
    assert [row["sensor"] for row in found.json()] == ["mfsr-2"]
    assert "mfsr-1-v1.json: the record was changed after it was signed" in found.err
    assert shell("show", "mfsr-1").code == 1


def test_a_sensor_that_is_not_known(shell: Shell) -> None:
    found = shell("show", "x")
    assert found.code == 1
    assert "sensor 'x' has no calibration; sensors that have: none" in found.err
