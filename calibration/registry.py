"""The calibrations of all sensors in a folder, one immutable file each: `<sensor>-v<version>.json`."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from calibration.models import Floats
from calibration.record import Calibration, CalibrationError

_NAME = re.compile(r"(?P<sensor>[A-Za-z0-9][A-Za-z0-9_.-]*)-v(?P<version>[1-9]\d*)\.json")
_GRID = 201  # resistances at which two calibrations are compared


@dataclass(frozen=True, slots=True)
class Drift:
    """What another calibration of the same sensor makes of the same resistance, over the range that both cover.

    `change` is the force by the later one over that by the earlier one, less one; `combined` is the root sum of
    squares of both relative expanded uncertainties of force. All at `resistances_ohm`, from low force to high.
    """

    earlier: int
    later: int
    resistances_ohm: Floats
    forces_N: Floats  # by the earlier one
    change: Floats
    combined: Floats

    @property
    def mean(self) -> float:
        return float(self.change.mean())

    @property
    def worst(self) -> int:
        """Where it is largest against what the uncertainties allow."""
        return int(np.argmax(np.abs(self.change) / self.combined))

    @property
    def within(self) -> bool:
        """Whether it is explained by the uncertainties everywhere."""
        return bool(np.all(np.abs(self.change) <= self.combined))


@dataclass(frozen=True, slots=True)
class Entry:
    """One version in a sensor's history, newest first; no drift where there is none earlier or no common range."""

    calibration: Calibration
    expired: bool
    drift: Drift | None


@dataclass(frozen=True, slots=True)
class Registry:
    """Reading verifies each record's hash. Nothing here changes or removes a file."""

    folder: Path

    def sensors(self) -> tuple[str, ...]:
        return tuple(sorted({sensor for sensor, _ in self._files()}))

    def versions(self, sensor: str) -> tuple[int, ...]:
        """Rising; empty where there is none."""
        return tuple(sorted(version for name, version in self._files() if name == sensor))

    def newest(self, sensor: str) -> Calibration | None:
        versions = self.versions(sensor)
        return self.get(sensor, versions[-1]) if versions else None

    def get(self, sensor: str, version: int) -> Calibration:
        """Raises `CalibrationError` that says which there are, or which file was changed."""
        versions = self.versions(sensor)
        if not versions:
            known = ", ".join(self.sensors()) or "none"
            raise CalibrationError(f"{self.folder}: sensor '{sensor}' has no calibration; sensors that have: {known}")
        if version not in versions:
            there = ", ".join(map(str, versions))
            raise CalibrationError(f"{self.folder}: '{sensor}' has no version {version}; there are: {there}")
        return read_calibration(self.path(sensor, version))

    def path(self, sensor: str, version: int) -> Path:
        return self.folder / f"{sensor}-v{version}.json"

    def add(self, calibration: Calibration) -> Path:
        """Store it as the sensor's next version, sealed with its hash; the version that it has is not looked at.

        The file is there as a whole or not at all, is read-only, and never replaces another, also where two
        processes add at once.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        while True:
            version = max(self.versions(calibration.sensor), default=0) + 1
            record = calibration.model_copy(update={"version": version, "sha256": ""}).sealed()
            path = self.path(record.sensor, version)
            if _publish(path, _text(record)):
                return path

    def history(self, sensor: str, today: datetime.date | None = None) -> tuple[Entry, ...]:
        """Newest first. Raises `CalibrationError` where there is none."""
        now = today or datetime.datetime.now().astimezone().date()
        versions = self.versions(sensor)
        records = [self.get(sensor, version) for version in versions or (1,)]
        entries = [
            Entry(record, record.expired(now), drift(before, record) if before else None)
            for before, record in zip([None, *records], records, strict=False)
        ]
        return tuple(reversed(entries))

    def _files(self) -> list[tuple[str, int]]:
        names = (path.name for path in self.folder.iterdir()) if self.folder.is_dir() else ()
        return [(match["sensor"], int(match["version"])) for name in names if (match := _NAME.fullmatch(name))]


def read_calibration(path: Path) -> Calibration:
    """Raises `CalibrationError` with the file and the place; also where it was changed after it was sealed."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # no JSON, or no UTF-8
        raise CalibrationError(f"{path}: is no calibration record: {error}") from None
    if not isinstance(content, dict):
        raise CalibrationError(f"{path}: is no calibration record")
    sealed = content.get("sha256")
    # A file that was changed is told as such before what the change broke; and over the file's own content, so that
    # a record stays valid when later versions of the program know more fields.
    if isinstance(sealed, str) and sealed and sealed != _hash(content):
        raise CalibrationError(
            f"{path}: the record was changed after it was signed: its content does not match its hash. Restore it "
            "from a backup, or calibrate anew"
        )
    try:
        calibration = Calibration.model_validate_json(json.dumps(content))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the record"
        raise CalibrationError(f"{path}: {place}: {first['msg']}") from None
    if not calibration.sha256:
        raise CalibrationError(f"{path}: sha256: the record is not sealed with its hash")
    if path.name != f"{calibration.sensor}-v{calibration.version}.json":
        raise CalibrationError(f"{path}: holds {calibration.id}; the file's name is to say so")
    return calibration


def drift(earlier: Calibration, later: Calibration) -> Drift | None:
    """None where they share no range of resistance."""
    ranges = [np.log(one.model.resistance_ohm([one.force_min_N, one.force_max_N])) for one in (earlier, later)]
    high, low = min(float(ends[0]) for ends in ranges), max(float(ends[1]) for ends in ranges)
    if not low < high:
        return None
    ln_ohm = np.linspace(high, low, _GRID)[1:-1]  # the ends may round to outside
    resistances = np.exp(ln_ohm)
    before, after = earlier.model.force_N(resistances), later.model.force_N(resistances)
    combined = np.hypot(_expanded(earlier, ln_ohm), _expanded(later, ln_ohm))
    return Drift(earlier.version, later.version, resistances, before, after / before - 1.0, combined)


def _expanded(calibration: Calibration, ln_ohm: Floats) -> Floats:
    """Relative expanded uncertainty of force."""
    table = calibration.evaluation.table
    grid = table.ln_ohm_first + table.ln_ohm_step * np.arange(len(table.expanded_force))
    return np.asarray(np.interp(ln_ohm, grid, table.expanded_force), dtype=np.float64)


def _hash(content: dict[str, object]) -> str:
    """As `Calibration.content_hash`, of what stands in a file."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _text(record: Calibration) -> str:
    return json.dumps(record.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":")) + "\n"


def _publish(path: Path, text: str) -> bool:
    """Whether the file is ours: written elsewhere first, then given its name, which fails where there is one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if not _named(temporary, path):
            return False
    finally:
        temporary.unlink(missing_ok=True)
    path.chmod(0o444)
    _sync(path.parent)
    return True


def _named(temporary: Path, path: Path) -> bool:
    """By a hard link, which is exclusive and whole; where the file system has none, the name is reserved first."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        try:
            path.open("x").close()
        except FileExistsError:
            return False
        temporary.replace(path)
    return True


def _sync(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
