"""The calibration records on disk: `<sensor>-v<version>.json`, one immutable record each."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import ValidationError

from calibration.record import Calibration, CalibrationError


class Registry:
    """The records in one folder; a folder that is not there holds none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def versions(self, sensor: str) -> tuple[int, ...]:
        """Of one sensor, rising."""
        pattern = re.compile(re.escape(sensor) + r"-v(\d+)\.json")
        matches = (pattern.fullmatch(path.name) for path in self.folder.glob("*.json"))
        return tuple(sorted(int(match[1]) for match in matches if match))

    def get(self, sensor: str, version: int) -> Calibration:
        """Raises `CalibrationError` where there is none, or it cannot be used."""
        path = self.folder / f"{sensor}-v{version}.json"
        try:
            calibration = Calibration.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            known = ", ".join(f"v{number}" for number in self.versions(sensor)) or "none"
            raise CalibrationError(f"sensor '{sensor}' has no version {version}; there are: {known}") from None
        except OSError as error:
            raise CalibrationError(f"{path}: cannot be read: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise CalibrationError(f"{path}: {place}: {first['msg']}") from None
        if calibration.sha256 and calibration.sha256 != calibration.content_hash():
            raise CalibrationError(f"{path}: was changed after it was signed: its content does not have its hash")
        return calibration

    def newest(self, sensor: str) -> Calibration | None:
        """None where there is none."""
        versions = self.versions(sensor)
        return self.get(sensor, versions[-1]) if versions else None

    def sensors(self) -> tuple[str, ...]:
        return tuple(sorted({path.stem.rpartition("-v")[0] for path in self.folder.glob("*-v*.json")}))

    def add(self, record: Calibration) -> Calibration:
        record = record.sealed()
        (self.folder / f"{record.sensor}-v{record.version}.json").write_text(record.model_dump_json(), encoding="utf-8")
        return record
