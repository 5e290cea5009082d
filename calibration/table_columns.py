"""What the columns of a table are, by headings like 'Force / N', 'force_N', 'Force (N)', 'R/kΩ', 'Resistance_MOhm'."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from calibration import units
from calibration.data import Direction
from calibration.units import Kind


class Role(StrEnum):
    """What a column is for."""

    LOAD = "load"
    NOMINAL = "nominal load"
    RESPONSE = "response"
    SERIES = "series"
    INSERTION = "insertion"
    DIRECTION = "direction"
    TIME = "time"
    TEMPERATURE = "temperature"
    EXCLUDED = "excluded"
    OTHER = "not used"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `kind` and `unit` are those of a number, and empty for words."""

    index: int
    heading: str
    role: Role
    kind: Kind | None = None
    unit: str = ""
    direction: Direction | None = None  # that its heading states, of a response
    average: bool = False
    trouble: str = ""

    @property
    def factor(self) -> float:
        assert self.kind is not None
        return units.FACTORS[self.kind][self.unit]


LOADS = (Kind.FORCE, Kind.PRESSURE)
RESPONSES = (Kind.RESISTANCE, Kind.CONDUCTANCE, Kind.VOLTAGE)  # in the order of preference
_HINTS: Mapping[str, tuple[Kind, ...]] = (
    dict.fromkeys(("force", "forces", "load", "weight", "mass", "f", "fz", "kraft", "gewicht", "last"), LOADS)
    | dict.fromkeys(("pressure", "stress", "p", "druck"), (Kind.PRESSURE, Kind.FORCE))
    | dict.fromkeys(("resistance", "resistances", "r", "res", "rfsr", "rs", "fsr", "widerstand"), RESPONSES)
    | dict.fromkeys(("conductance", "g", "leitwert"), (Kind.CONDUCTANCE, Kind.FORCE))
    | dict.fromkeys(("voltage", "v", "vout", "u", "uout", "output", "spannung"), (Kind.VOLTAGE,))
    | dict.fromkeys(("time", "t", "elapsed", "zeit"), (Kind.TIME, Kind.TEMPERATURE))
    | dict.fromkeys(("temperature", "temp", "temperatur"), (Kind.TEMPERATURE,))
)
_WORDS: dict[str, Role] = (
    dict.fromkeys(("excluded", "exclude", "exclusion", "outlier", "reason"), Role.EXCLUDED)
    | dict.fromkeys(("insertion", "position", "mounting", "placement", "seating", "reinsertion"), Role.INSERTION)
    | dict.fromkeys(("direction", "dir", "branch", "leg", "richtung"), Role.DIRECTION)
    | dict.fromkeys(("series", "run", "trial", "cycle", "repeat", "repetition", "rep", "serie"), Role.SERIES)
)
_STATISTICS = {"std", "sd", "stdev", "stddev", "sem", "error", "err", "uncertainty", "deviation", "dev", "min", "max"}
_CIRCUIT = {"fixed", "pull", "pulldown", "pullup", "supply", "vcc", "vin", "vref", "vs", "vdd", "divider"}
_AVERAGES = {"mean", "average", "avg", "median"}
_NOMINAL = {"nominal", "target", "set", "setpoint"}
UP = {"up", "loading", "load", "increasing", "ascending", "inc", "asc", "rising", "+", "1", "+1", "auf"}
DOWN = {"down", "unloading", "unload", "decreasing", "descending", "dec", "desc", "falling", "-", "-1", "ab"}
_ALONE = {"N", "kN", "mN", "kgf", "gf", "lbf", *(u for u in units.FACTORS[Kind.RESISTANCE])}


def columns(headings: Sequence[str]) -> tuple[Column, ...]:
    """One for each heading."""
    return tuple(_column(index, heading) for index, heading in enumerate(headings))


def meant(headings: Sequence[str]) -> bool:
    """Whether this is the line of headings: a load and a response stand in it, with or without their units."""
    found = columns(headings)
    return all(any(column.role is role for column in found) for role in (Role.LOAD, Role.RESPONSE))


def chosen(found: Sequence[Column], role: Role) -> tuple[Column, ...]:
    """Those of the most direct kind: newtons before grams before kPa, resistance before conductance before voltage."""
    candidates = [column for column in found if column.role is role and column.kind is not None]
    ranked = sorted(candidates, key=_rank)
    best = [column for column in ranked if _rank(column) == _rank(ranked[0])]
    single = [column for column in best if not column.average]
    return tuple(sorted(single or best, key=lambda column: column.index))


def _rank(column: Column) -> tuple[int, bool]:
    assert column.kind is not None
    return (*LOADS, *RESPONSES).index(column.kind), column.unit in units.MASSES


def _column(index: int, heading: str) -> Column:
    for name, unit in _splits(units.tidy(heading)):
        words = _words(name)
        hinted = _hint(words)
        if (kind := _kind(unit, hinted)) is None:
            continue
        spelt = units.find(unit, kind)
        assert spelt is not None
        return _as_number(Column(index, heading, Role.OTHER, kind, spelt), words)
    words = _words(units.tidy(heading))
    for word in words:
        if word in _WORDS:
            return Column(index, heading, _WORDS[word])
    return _without_unit(index, heading, words)


def _without_unit(index: int, heading: str, words: list[str]) -> Column:
    hinted = _hint(words)
    if not hinted or {*words} & (_STATISTICS | _CIRCUIT):
        return Column(index, heading, Role.OTHER)
    role = Role.LOAD if hinted[0] in LOADS else Role.RESPONSE if hinted[0] in RESPONSES else Role.OTHER
    if role is Role.OTHER:
        return Column(index, heading, role)
    example = {Kind.FORCE: "N", Kind.PRESSURE: "kPa", Kind.CONDUCTANCE: "µS", Kind.VOLTAGE: "V"}.get(hinted[0], "kΩ")
    given = next((unit for _, unit in _splits(units.tidy(heading), explicit=True) if not unit.isdigit()), "")
    said = f"'{given}' is no unit of {hinted[0]} that is known here" if given else "the heading has no unit"
    return Column(index, heading, role, trouble=f"{said}; write it like '{heading.split('(')[0].strip()} / {example}'")


def _as_number(column: Column, words: list[str]) -> Column:
    assert column.kind is not None
    if {*words} & (_STATISTICS | _CIRCUIT - ({"divider"} if column.kind is Kind.VOLTAGE else set())):
        return column
    if column.kind in LOADS:
        return replace(column, role=Role.NOMINAL if {*words} & _NOMINAL else Role.LOAD)
    if column.kind in RESPONSES:
        down, up = {*words} & DOWN, {*words} & UP - {"1"}
        direction = Direction.DOWN if down else Direction.UP if up else None
        return replace(column, role=Role.RESPONSE, direction=direction, average=bool({*words} & _AVERAGES))
    roles = {Kind.TIME: Role.TIME, Kind.TEMPERATURE: Role.TEMPERATURE}
    return replace(column, role=roles.get(column.kind, Role.OTHER))


def _splits(heading: str, *, explicit: bool = False) -> Iterator[tuple[str, str]]:
    """Ways to read it as a name and a unit, the plainest first; `explicit`: only those that show where the unit is."""
    if match := re.fullmatch(r"(.*?)[(\[{]\s*(?:in\s+)?([^()\[\]{}]*?)\s*[)\]}](.*)", heading):
        yield f"{match[1]} {match[3]}", match[2]
    for match in re.finditer(r"\s*/\s*", heading):
        yield heading[: match.start()], heading[match.end() :]
    for pattern in (r"\s*,\s*", r"\s+in\s+"):
        for match in re.finditer(pattern, heading):
            yield heading[: match.start()], heading[match.end() :]
    if explicit:
        return
    for match in re.finditer(r"[\s_\-.]+", heading):
        yield heading[: match.start()], heading[match.end() :]
    tokens = re.split(r"[\s_/]+", heading)
    for index in range(1, len(tokens) - 1):
        yield " ".join(tokens[:index] + tokens[index + 1 :]), tokens[index]
    if heading in _ALONE:
        yield "", heading


def _words(name: str) -> list[str]:
    """'R1_up' as r, up; 'Vout' as vout; 'LoadingR' as loading, r."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[^\w+]|_|(?<=[A-Za-z])\d+\b", spaced.replace("#", " ").casefold()) if word]


def _hint(words: list[str]) -> tuple[Kind, ...]:
    """Of the last word that says something: 'load resistance' is a resistance."""
    return next((_HINTS[word] for word in reversed(words) if word in _HINTS), ())


def _kind(unit: str, hinted: tuple[Kind, ...]) -> Kind | None:
    """Which quantity the unit stands for; what the name says goes before."""
    for kind in hinted:
        if units.find(unit, kind):
            return kind
    if hinted:
        return None
    for exact in (True, False):
        for kind in (*LOADS, *RESPONSES, Kind.TIME, Kind.TEMPERATURE):
            found = units.find(unit, kind)
            if found and (not exact or found == units.tidy(unit)):
                return kind
    return None
