"""Records on disk: versions, hashes, two that add at once, drift between calibrations, files that cannot be used."""

from __future__ import annotations

import datetime
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pytest import approx

from calibration import registry
from calibration.record import CalibrationError
from calibration.registry import Registry, drift, read_calibration
from tests.calibration.records import A_OHM, TODAY, B, record


def test_versions_are_counted_up_and_read_back(tmp_path: Path) -> None:
    store = Registry(tmp_path / "new")
    assert store.sensors() == ()
    assert store.newest("mfsr-1") is None
    first = store.add(record(version=7))
    second = store.add(record(note="again"))
    store.add(record(sensor="mfsr-1-v2"))  # a name that ends like a version
    assert (first.name, second.name) == ("mfsr-1-v1.json", "mfsr-1-v2.json")
    assert store.sensors() == ("mfsr-1", "mfsr-1-v2")
    assert store.versions("mfsr-1") == (1, 2)
    newest = store.newest("mfsr-1")
    assert newest is not None
    assert (newest.version, newest.note) == (2, "again")
    assert newest.sha256 == newest.content_hash()
    assert store.get("mfsr-1", 1).model == record().model
    assert not any(path.suffix == ".tmp" for path in store.folder.iterdir())
    if os.name == "posix":
        assert stat.S_IMODE(first.stat().st_mode) == 0o444


def test_ten_is_after_nine(tmp_path: Path) -> None:
    store = Registry(tmp_path)
    for _ in range(11):
        store.add(record())
    newest = store.newest("mfsr-1")
    assert newest is not None
    assert newest.version == 11


def test_who_adds_at_once_gets_a_version_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda n: Registry(tmp_path).add(record(note=str(n))), range(24)))
    assert len(set(paths)) == 24
    assert Registry(tmp_path).versions("mfsr-1") == tuple(range(1, 25))
    assert {read_calibration(path).note for path in paths} == {str(n) for n in range(24)}


def test_without_hard_links_nothing_is_overwritten_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(registry.os, "link", no_links)
    paths = [Registry(tmp_path).add(record(note=str(n))) for n in range(3)]
    assert [read_calibration(path).note for path in paths] == ["0", "1", "2"]


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registry.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        Registry(tmp_path).add(record())
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_said_with_what_is(tmp_path: Path) -> None:
    store = Registry(tmp_path)
    store.add(record())
    with pytest.raises(CalibrationError, match="'mfsr-1' has no version 5; there are: 1"):
        store.get("mfsr-1", 5)
    with pytest.raises(CalibrationError, match="'x' has no calibration; sensors that have: mfsr-1"):
        store.get("x", 1)
    with pytest.raises(CalibrationError, match="'x' has no calibration"):
        store.history("x")


def changed(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.chmod(0o644)
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")


@pytest.mark.parametrize(
    "changes", [{"note": "better"}, {"version": 9}, {"expires": "2099-01-01"}, {"area": {"value_m2": 1}}, {"more": 1}]
)
def test_a_record_that_was_changed_is_named(tmp_path: Path, changes: dict[str, object]) -> None:
    path = Registry(tmp_path).add(record())
    changed(path, **changes)
    with pytest.raises(CalibrationError, match="changed after it was signed") as caught:
        Registry(tmp_path).newest("mfsr-1")
    assert str(caught.value).startswith(f"{path}: ")


def test_the_layout_of_the_file_is_no_change(tmp_path: Path) -> None:
    path = Registry(tmp_path).add(record())
    before = read_calibration(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    path.chmod(0o644)
    path.write_text(json.dumps(content, indent=2, sort_keys=True), encoding="utf-8")
    assert read_calibration(path) == before


def test_a_record_without_a_hash_or_under_another_name(tmp_path: Path) -> None:
    path = Registry(tmp_path).add(record())
    (tmp_path / "mfsr-1-v4.json").write_bytes(path.read_bytes())
    with pytest.raises(CalibrationError, match=r"holds mfsr-1 v1; the file's name"):
        Registry(tmp_path).get("mfsr-1", 4)
    changed(path, sha256="")
    with pytest.raises(CalibrationError, match="not sealed"):
        Registry(tmp_path).get("mfsr-1", 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no calibration record: "),
        (b"\xff\xfe", "is no calibration record: "),
        (b"[]", "is no calibration record"),
        (b"{}", "sensor: Field required"),
        (b'{"sensor": "x", "version": "one"}', "version: "),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_place(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad-v1.json"
    path.write_bytes(content)
    with pytest.raises(CalibrationError) as caught:
        read_calibration(path)
    assert str(caught.value).startswith(f"{path}: {said}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="cannot be read"):
        read_calibration(tmp_path / "none-v1.json")


def test_drift_is_the_change_of_force_at_equal_resistance() -> None:
    """5 % more resistance at every force: the later curve gives 1.05^(1/b) times the force for the same reading."""
    found = drift(record(version=1), record(version=2, a_ohm=1.05 * A_OHM))
    assert found is not None
    assert found.change == approx(np.full(found.change.shape, 1.05 ** (1 / B) - 1), rel=1e-9)
    assert found.combined == approx(np.full(found.change.shape, 0.08 * 2**0.5), rel=1e-12)
    assert found.within
    assert np.all(np.diff(found.forces_N) > 0)
    assert found.forces_N[0] >= 1.0
    assert found.forces_N[-1] <= 400.0
    large = drift(record(version=1), record(version=2, a_ohm=1.2 * A_OHM))
    assert large is not None
    assert not large.within
    assert large.mean == approx(1.2 ** (1 / B) - 1, rel=1e-9)


def test_without_a_common_range_there_is_no_drift() -> None:
    assert drift(record(version=1), record(version=2, a_ohm=1e4 * A_OHM)) is None


def test_the_history_is_newest_first(tmp_path: Path) -> None:
    store = Registry(tmp_path)
    for factor, expires in ((1.0, TODAY), (1.02, None), (1.05, None)):
        store.add(record(a_ohm=factor * A_OHM, expires=expires))
    entries = store.history("mfsr-1", today=TODAY + datetime.timedelta(days=1))
    assert [entry.calibration.version for entry in entries] == [3, 2, 1]
    assert [entry.expired for entry in entries] == [False, False, True]
    assert entries[2].drift is None
    assert entries[1].drift is not None
    assert (entries[1].drift.earlier, entries[1].drift.later) == (1, 2)
    assert entries[0].drift is not None
    assert entries[0].drift.mean == approx((1.05 / 1.02) ** (1 / B) - 1, rel=1e-9)
