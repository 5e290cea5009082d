"""A third party's package adds a driver: installed from the template, it is listed, checked and conforms."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers import registry
from drivers.registry import Entry, PlugInError, SettingsError, check_settings, entry_of

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "examples" / "driver_plugin"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the template installed in it, as pip does, without a network."""
    source = shutil.copytree(TEMPLATE, tmp_path_factory.mktemp("source") / "plugin")
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*pip, "--target", str(folder), str(source)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return folder


def run(site: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """With this project and the plug-in to be found, as if both were installed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(site)))}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, cwd=cwd, timeout=100
    )


@pytest.fixture
def virtual(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.syspath_prepend(str(site))
    from arbor_driver.virtual import VirtualTx7  # type: ignore[import-not-found]

    with VirtualTx7(lambda: 21.25) as server:
        yield server.address


def test_it_is_listed_with_its_package_and_used_by_name(site: Path, virtual: str, tmp_path: Path) -> None:
    said = run(site, "-m", "station.cli", "instruments", "list", "--json", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    (row,) = [row for row in json.loads(said.stdout) if row["driver"] == "arbor-tx7"]
    assert (row["origin"], row["capabilities"]) == ("arbor-driver 0.1.0", ["Thermometer"])
    (tmp_path / "station.toml").write_text(f'[instruments.air]\ndriver = "arbor-tx7"\naddress = "{virtual}"\n')
    checked = run(site, "-m", "station.cli", "check", cwd=tmp_path)
    assert (checked.returncode, checked.stdout.strip()) == (0, "air: ARBOR TX-7 0042"), checked.stderr


def test_its_own_conformance_test_passes(site: Path, tmp_path: Path) -> None:
    test = shutil.copy(TEMPLATE / "tests" / "test_conformance.py", tmp_path)
    done = run(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", str(test), cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


def test_the_suite_catches_a_driver_that_takes_anything_for_a_number(site: Path, tmp_path: Path) -> None:
    careless = (TEMPLATE / "arbor_driver" / "tx7.py").read_text(encoding="utf-8")
    strict = "if not (match := READING.fullmatch(reply)):"
    assert strict in careless
    careless = careless.replace(strict, "if not (match := re.search(rb'T?([+-]?[0-9.]+)', reply)):")
    package = shutil.copytree(site / "arbor_driver", tmp_path / "arbor_driver")
    (package / "tx7.py").write_text(careless, encoding="utf-8")
    test = shutil.copy(TEMPLATE / "tests" / "test_conformance.py", tmp_path)
    environment = {"CELLSTATION_EXHAUSTIVE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-k", "any_byte", str(test)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=100,
        env=os.environ | environment | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
    )
    assert done.returncode == 1, done.stdout
    assert "where 25.5 was right" in done.stdout


# --- what can be wrong with another's package


def plug_ins(monkeypatch: pytest.MonkeyPatch, *entries: Entry) -> None:
    monkeypatch.setattr(registry, "_plug_ins", lambda: entries)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "no.such.module:X",
            r"driver 'x' of the package acme 1: no\.such\.module:X cannot be imported: ModuleNotFound",
        ),
        ("json:NoSuchClass", r"cannot be imported: AttributeError"),
        ("json:JSONDecoder", r"is no driver: it lacks identify, make_safe, close, model, safe_state"),
    ],
)
def test_what_cannot_be_used_names_its_package(target: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plug_ins(monkeypatch, Entry("x", target, "acme 1"))
    with pytest.raises(PlugInError, match=message):
        check_settings("x", {})
    check_settings("keithley-2450", {})  # in nobody else's way


def test_a_name_that_two_packages_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Entry("simserv", "drivers.simserv:SimServChamber", "acme 1")
    plug_ins(monkeypatch, own, Entry("y", "a:B", "acme 1"), Entry("y", "c:D", "zed 2"))
    with pytest.raises(PlugInError, match="driver 'simserv' is claimed by the packages cellstation and acme 1"):
        entry_of("simserv")
    with pytest.raises(PlugInError, match="claimed by the packages acme 1 and zed 2"):
        entry_of("y")
    with pytest.raises(SettingsError, match="there is no driver 'simsrv'; did you mean simserv"):
        entry_of("simsrv")
