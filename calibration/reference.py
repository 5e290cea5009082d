"""Certificates of load cells as TOML files, `references/<name>.toml` beside the calibrations.

docs/calibration-files.md shows all that can be in one. What is wrong is said at once, with line and key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from scipy.optimize import nnls

from calibration import units
from calibration.load_cell import Floats, LoadCellCertificate
from calibration.record import CalibrationError
from calibration.units import Kind, UnitError

INDICATIONS = ("N", "kN", "mN", "kgf", "gf", "lbf", "mV/V")


def read_certificate(path: Path) -> LoadCellCertificate:
    """Raises `CalibrationError` with file, line and key of everything that is wrong."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text)
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path}: {error}") from None
    return _Reader(path, text, content).certificate()


def certificates(folder: Path) -> tuple[str, ...]:
    """Names of those in `folder` (…/references)."""
    return tuple(sorted(path.stem for path in folder.glob("*.toml"))) if folder.is_dir() else ()


def certificate_named(folder: Path, name: str) -> LoadCellCertificate:
    """Raises `CalibrationError` that names those there are."""
    if name not in (there := certificates(folder)):
        known = ", ".join(there) or "none"
        raise CalibrationError(f"{folder}: there is no certificate '{name}' of a load cell; there are: {known}")
    return read_certificate(folder / f"{name}.toml")


_STATEMENTS = ("table", "polynomial", "sensitivity")
_IDENTITY = ("name", "serial", "certificate", "laboratory", "calibrated", "expires", "unit", "resolution", "series")


class _Reader:
    """From TOML with units to the model; gathers what is wrong."""

    def __init__(self, path: Path, text: str, content: dict[str, Any]) -> None:
        self.path, self.lines, self.content = path, text.splitlines(), content
        self.problems: list[str] = []

    def certificate(self) -> LoadCellCertificate:
        unit = self.content.get("unit", "mV/V" if "sensitivity" in self.content else "N")
        if unit not in INDICATIONS:
            self._problem(("unit",), f"'{unit}' is no unit of an indication; there are: {', '.join(INDICATIONS)}")
        for key in self.content.keys() - {*_IDENTITY, *_STATEMENTS}:
            self._problem((key,), "is not known here")
        stated = [kind for kind in _STATEMENTS if kind in self.content]
        if len(stated) != 1:
            has = " and ".join(f"[{kind}]" for kind in stated) or "none"
            self._problem((), f"one of [table], [polynomial] and [sensitivity] is wanted; there is {has}")
        values = {key: self.content[key] for key in _IDENTITY if key in self.content and key != "series"}
        values |= {"name": values.get("name", self.path.stem), "unit": unit}
        if "resolution" in values:
            kind = Kind.RATIO if unit == "mV/V" else Kind.FORCE
            in_si = self._quantity(("resolution",), values["resolution"], kind)
            values["resolution"] = in_si / units.FACTORS[kind].get(unit, 1.0)
        self._give_up()
        values["statement"] = getattr(self, f"_{stated[0]}")(self._section(stated[0]))
        if "series" in self.content:
            values["series"] = self._series(self._section("series"))
        self._give_up()
        try:
            return LoadCellCertificate.model_validate(values)
        except ValidationError as error:
            for one in error.errors():
                self._problem(_in_file(one["loc"], stated[0]), one["msg"].removeprefix("Value error, "))
        self._give_up()
        raise AssertionError("a certificate that is wrong has a problem")

    def _table(self, section: dict[str, Any]) -> dict[str, Any]:
        self._known("table", section, "indication", "force", "force_unit")
        factor = self._force_factor("table", section)
        forces = [force * factor for force in self._floats(("table", "force"), section.get("force"))]
        indications = self._floats(("table", "indication"), section.get("indication"))
        return {"kind": "table", "indications": indications, "forces_N": forces} | self._uncertainty(
            "table", section, forces, factor
        )

    def _polynomial(self, section: dict[str, Any]) -> dict[str, Any]:
        self._known("polynomial", section, "coefficients", "range", "force_unit")
        factor = self._force_factor("polynomial", section)
        given = self._floats(("polynomial", "coefficients"), section.get("coefficients"))
        ends = self._floats(("polynomial", "range"), section.get("range"))
        if len(ends) != 2 and "range" in section:
            self._problem(("polynomial", "range"), "two numbers are wanted: the least and the largest indication")
        self._give_up()
        values = {"kind": "polynomial", "coefficients_N": [c * factor for c in given], "low": ends[0], "high": ends[1]}
        return values | self._uncertainty("polynomial", section, (), factor)

    def _sensitivity(self, section: dict[str, Any]) -> dict[str, Any]:
        self._known("sensitivity", section, "capacity", "output", "zero")
        if self.content.get("unit", "mV/V") != "mV/V":
            self._problem(("unit",), "with [sensitivity] the indication is in mV/V")
        capacity = self._quantity(("sensitivity", "capacity"), section.get("capacity"), Kind.FORCE)
        output = self._quantity(("sensitivity", "output"), section.get("output"), Kind.RATIO)
        zero = self._quantity(("sensitivity", "zero"), section.get("zero", "0 mV/V"), Kind.RATIO)
        values = {"kind": "sensitivity", "capacity_N": capacity, "output_mV_V": output, "zero_mV_V": zero}
        return values | self._uncertainty("sensitivity", section, (), 1.0)

    def _series(self, section: dict[str, Any]) -> dict[str, Any]:
        self._known("series", section, "force", "force_unit", "x1", "x2", "x3", "x4", "x5", "x6", "zero", "creep")
        factor = self._force_factor("series", section)
        forces = [force * factor for force in self._floats(("series", "force"), section.get("force"))]
        kept = {key: value for key, value in section.items() if key[0] == "x" or key in ("zero", "creep")}
        return kept | {"forces_N": forces}

    def _uncertainty(
        self, name: str, section: dict[str, Any], forces_N: Sequence[float], factor: float
    ) -> dict[str, float]:
        """Standard ones, relative and in N, that cover what is stated: '0.05 %', '0.02 N', or one for each force."""
        k = section.get("k", 2)
        if isinstance(k, bool) or not isinstance(k, int | float) or k <= 0:
            self._problem((name, "k"), "the coverage factor is a number above zero, such as 2")
            return {}
        place = (name, "expanded_uncertainty")
        stated = section.get("expanded_uncertainty")
        if stated is None:
            self._problem(place, "is missing: the force's expanded uncertainty, such as '0.05 %' or '0.02 N'")
            return {}
        relative, absolute = 0.0, 0.0
        if isinstance(stated, list) and all(isinstance(u, int | float) for u in stated):
            if len(stated) != len(forces_N) or min(stated, default=-1) < 0:
                self._problem(place, f"{len(stated)} values at {len(forces_N)} forces; one for each, not below zero")
                return {}
            relative, absolute = _covering(np.array(forces_N), np.array(stated, dtype=np.float64) * factor)
        else:
            for text in stated if isinstance(stated, list) else [stated]:
                share = units.share(str(text))
                if share is not None:
                    relative = float(np.hypot(relative, share))
                else:
                    absolute = float(np.hypot(absolute, self._quantity(place, text, Kind.FORCE)))
        return {"relative_standard_uncertainty": relative / k, "standard_uncertainty_N": absolute / k, "k": float(k)}

    # --- small things

    def _section(self, name: str) -> dict[str, Any]:
        section = self.content[name]
        if isinstance(section, dict):
            return section
        self._problem((name,), f"is to be a section [{name}]")
        self._give_up()
        return {}

    def _known(self, name: str, section: Mapping[str, Any], *keys: str) -> None:
        more = () if name == "series" else ("expanded_uncertainty", "k")
        for key in section.keys() - {*keys, *more}:
            self._problem((name, key), f"is not known here; there are: {', '.join((*keys, *more))}")

    def _force_factor(self, name: str, section: Mapping[str, Any]) -> float:
        try:
            return units.factor(str(section.get("force_unit", "N")), Kind.FORCE)
        except UnitError as error:
            self._problem((name, "force_unit"), str(error))
            return 1.0

    def _floats(self, place: tuple[str, ...], given: object) -> list[float]:
        if given is None:
            self._problem(place, "is missing")
            return []
        if isinstance(given, list) and all(isinstance(x, int | float) and not isinstance(x, bool) for x in given):
            return [float(x) for x in given]
        self._problem(place, "a list of numbers is wanted, such as [0, 10, 20]")
        return []

    def _quantity(self, place: tuple[str, ...], given: object, kind: Kind) -> float:
        if given is None:
            self._problem(place, "is missing")
            return 1.0
        try:
            return units.quantity(str(given), kind)
        except UnitError as error:
            self._problem(place, str(error))
            return 1.0

    def _problem(self, place: tuple[str, ...], said: str) -> None:
        line = self._line(place)
        where = f"{self.path}: line {line}, " if line else f"{self.path}: "
        self.problems.append(f"{where}'{'.'.join(place)}': {said}" if place else f"{self.path}: {said}")

    def _line(self, place: tuple[str, ...]) -> int | None:
        """Where the key, or its section, stands."""
        section, key = (place[0], place[-1]) if len(place) > 1 else ("", place[0] if place else "")
        inside, header = "", None
        for number, line in enumerate(self.lines, 1):
            if match := re.match(r"\s*\[\s*([\w-]+)\s*\]", line):
                inside = match[1]
                header = number if inside in (section, key) and header is None else header
            elif inside == section and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
                return number
        return header

    def _give_up(self) -> None:
        if self.problems:
            raise CalibrationError("\n".join(self.problems))


def _covering(forces_N: Floats, uncertainties_N: Floats) -> tuple[float, float]:
    """The least r and a with r² F² + a² ≥ u² at every entry, near u² in between."""
    squares = uncertainties_N**2
    if not squares.any():
        return 0.0, 0.0
    parts = np.column_stack((forces_N**2, np.full(len(forces_N), forces_N.max() ** 2)))
    weights = np.maximum(squares, 1e-6 * squares.max())[:, None]
    found, _ = nnls(parts / weights, squares / weights[:, 0])
    fitted = parts @ found
    if np.any((fitted <= 0) & (squares > 0)):
        return 0.0, float(uncertainties_N.max())
    scale = float(np.max(squares[squares > 0] / fitted[squares > 0]))
    relative, absolute = np.sqrt(found * scale)
    return float(relative), float(absolute * forces_N.max())


def _in_file(place: tuple[int | str, ...], statement: str) -> tuple[str, ...]:
    """A place in the model as one in the file."""
    words = [str(part) for part in place if not isinstance(part, int) and part not in _STATEMENTS]
    names = {"statement": statement, "forces_N": "force", "indications": "indication", "coefficients_N": "coefficients"}
    return tuple(dict.fromkeys(names.get(word, word) for word in words)) or (statement,)
