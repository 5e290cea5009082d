"""The demonstration as a newcomer starts it, without a window."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.bdf_validator import validate


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    options = ["--headless", "--seconds", "12", "--speed", "4000", "--output", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "station.cli", "demo", *options],
        env={key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    words = ("database", "export", "report", "screenshot")
    said = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.strip().startswith(words)]
    assert [word for word, _ in said] == ["database", *["export", "export", "report"] * 2, "screenshot"]
    assert all(Path(path).is_file() for _, path in said), done.stdout
    return next(folder.iterdir())


def test_both_cells_were_driven_and_nothing_tripped(output: Path) -> None:
    exports = sorted(output.glob("SIMULATED-*.bdf.csv"))
    assert [path.name[-len("A1.bdf.csv") :] for path in exports] == ["A1.bdf.csv", "B1.bdf.csv"]
    for path in exports:
        frame = pd.read_csv(path)
        assert frame["Current / A"].abs().max() > 1e-4
        assert 400e3 < frame["Applied Pressure / Pa"].median() < 900e3


def test_the_exports_open_and_pass_the_formats_own_validator(output: Path) -> None:
    for path in output.glob("SIMULATED-*.bdf.csv"):
        frame = pd.read_csv(path)
        assert validate(path)["ok"]
        assert np.all(np.diff(frame["Test Time / s"]) > 0)
        assert len(pd.read_parquet(path.with_suffix("").with_suffix(".bdf.parquet"))) == len(frame)


def test_the_charge_of_every_half_cycle_is_the_integral_of_its_current(output: Path) -> None:
    halves = 0
    for path in output.glob("SIMULATED-*.bdf.csv"):
        driven = pd.read_csv(path).dropna(
            subset=["Current / A"]
        )  # a pressure is recorded alone in a sweep that takes long
        for _, step in driven.groupby("Step Count / 1"):
            if step["Current / A"].abs().max() < 1e-6 or len(step) < 3:
                continue
            integral_Ah = np.trapezoid(step["Current / A"], step["Test Time / s"]) / 3600.0
            net_Ah = step["Net Capacity / Ah"].iloc[-1] - step["Net Capacity / Ah"].iloc[0]
            assert integral_Ah == pytest.approx(net_Ah, rel=1e-3)
            halves += 1
    assert halves >= 2


def test_everything_says_that_it_is_simulated(output: Path) -> None:
    reports = list(output.glob("SIMULATED-*.html"))
    assert len(reports) == 2
    assert all("SIMULATED" in path.read_text(encoding="utf-8") for path in reports)
    assert (output / "dashboard.png").stat().st_size > 20_000
