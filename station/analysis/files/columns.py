"""What columns of cycling data are called, and what units their headings state.

'Voltage / V', 'Ecell/mV', 'I (mA)', 'Test Time [h]', 'current_A', 'Test_Time(s)', '<I>/mA', 'TestTime/Sec.', 'Amps' and
the like: the Battery Data Format, frames of readings that were saved with their names, and the exports of BioLogic,
Arbin, Maccor, LAND and NEWARE.

Where currents have no sign and a column of states ('D', 'D_CC', 'CC DChg') says that some are of a discharge, these are
made negative.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from protocols.quantities import QuantityError, number
from station.analysis.errors import AnalysisError
from station.analysis.files.table import Table
from station.analysis.record import Floats, Record, as_record


@dataclass(frozen=True, slots=True)
class _Quantity:
    """`names` in the order in which they are preferred, in lower case, with spaces for underscores."""

    field: str  # of `Record`
    base: str  # unit; '' for a number
    names: tuple[str, ...]


_TIME = _Quantity(
    "test_time_s",
    "s",
    ("test time", "testtime", "test", "total time", "elapsed time", "time elapsed", "time", "t", "测试时间"),
)
_VOLTAGE = _Quantity(
    "voltage_V",
    "V",
    (
        *("ecell", "cell voltage", "voltage", "volts", "mvolts", "u", "v", "e"),
        *("<ewe>", "ewe", "potential", "working electrode potential", "电压", "ewe-ece"),
    ),
)
_CURRENT = _Quantity("current_A", "A", ("current", "i", "<i>", "amps", "mamps", "cur", "电流"))
_NEEDED = ((_TIME, "time, such as 'Time / s'"), (_VOLTAGE, "voltage"), (_CURRENT, "current"))
_OTHERS = (
    _Quantity(
        "cycle",
        "",
        (
            *("cycle", "cycle count", "cycle number", "cycle index", "cycle id"),
            *("cyc#", "cycle-index", "cycleno", "cycle no"),
        ),
    ),
    _Quantity("pressure_Pa", "Pa", ("pressure", "applied pressure", "surface pressure")),
    _Quantity("pressure_U_Pa", "Pa", ("pressure u", "pressure expanded uncertainty", "expanded uncertainty")),
    _Quantity("temperature_degC", "degC", ("temperature", "ambient temperature", "surface temperature")),
)
_STATES = ("state", "status", "step type", "状态")
_DISCHARGE = re.compile(r"d(?:$|[_\s-])|.*(?:dchg|disch)", re.IGNORECASE)

_UNIT = re.compile(r"^(?P<name>.*?)\s*(?:/\s*(?P<a>[^/()\[\]]+)|\((?P<b>[^()]+)\)|\[(?P<c>[^\[\]]+)\])\s*$")
_UNDERSCORE = re.compile(r"^(?P<name>.+)_(?P<unit>[A-Za-zµ°]+)$")
_NO_UNITS = ("", "1", "-")
_IMPLIED = {"amps": "A", "mamps": "mA", "volts": "V", "mvolts": "mV"}
_SPELLINGS = {"sec": "s", "sec.": "s", "secs": "s", "min.": "min", "hr": "h", "hrs": "h"}
_CLOCK = "h:min:s"
_DURATION = re.compile(
    r"\s*(?:(?P<days>\d+)\s*[d-]\s*)?(?P<hours>\d+):(?P<minutes>\d{1,2}):(?P<seconds>\d{1,2}(?:[.:]\d+)?)\s*"
)
_FIELDS = Record.__dataclass_fields__.keys() - {"left_out", "time_s"} | {"test_time_s"}


def is_heading(headings: Sequence[str]) -> bool:
    """Whether a line names a time, a voltage and a current."""
    return all(_found(headings, quantity) is not None for quantity, _ in _NEEDED)


def is_heading_at_open_circuit(headings: Sequence[str]) -> bool:
    """Whether a line names a time and a voltage."""
    return all(_found(headings, quantity) is not None for quantity in (_TIME, _VOLTAGE))


def as_cycling(table: Table) -> Record:
    """Raises AnalysisError that names the file and the line."""
    headings = table.headings
    where = f"{table.path}: line {table.heading_line}" if table.heading_line else f"{table.path}"
    values: dict[str, Floats] = {name: table.numbers(name) for name in headings if name in _FIELDS}
    for quantity, what in _NEEDED:
        heading = _found(headings, quantity)
        if heading is None:
            raise AnalysisError(f"{where}: no column of {what}; there are: {', '.join(headings)}")
        if quantity.field not in values:
            values[quantity.field] = _column(table, heading, quantity, where)
    for quantity in _OTHERS:
        heading = _found(headings, quantity)
        if heading is not None and quantity.field not in values and _has_unit(heading, quantity):
            values[quantity.field] = _column(table, heading, quantity, where)
    for name in ("cycle", "step"):
        if name in values and not np.isfinite(values[name]).all():
            del values[name]
    values["current_A"] = _signed(table, values["current_A"])
    try:
        return as_record(pd.DataFrame(values))
    except AnalysisError as error:
        raise AnalysisError(f"{table.path}: {error}") from error


def _found(headings: Sequence[str], quantity: _Quantity) -> str | None:
    if quantity.field in headings:
        return quantity.field
    plain = {_plain(_split(heading)[0]): heading for heading in reversed(headings)}
    return next((plain[name] for name in quantity.names if name in plain), None)


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name).strip().lower()


def _split(heading: str) -> tuple[str, str]:
    heading = re.sub(r"^<(\w+)/(\w+)>$", r"<\1>/\2", heading)  # EC-Lab's '<Ewe/V>'
    if match := _UNIT.match(heading):
        return match["name"], (match["a"] or match["b"] or match["c"]).strip()
    if match := _UNDERSCORE.match(heading):
        return match["name"], match["unit"]
    return heading, ""


def _has_unit(heading: str, quantity: _Quantity) -> bool:
    """What is of use but not needed, and of an unknown unit, is passed over."""
    return not quantity.base or _split(heading)[1] not in _NO_UNITS


def _column(table: Table, heading: str, quantity: _Quantity, where: str) -> Floats:
    unit = _split(heading)[1]
    if quantity.base == "s" and (unit.lower().startswith(_CLOCK) or _are_durations(table.frame[heading])):
        return _seconds(table, heading)
    scale, offset = _conversion(where, heading, unit, quantity.base)
    return table.numbers(heading) * scale + offset


def _conversion(where: str, heading: str, unit: str, base: str) -> tuple[float, float]:
    if not base:
        return 1.0, 0.0
    if unit in _NO_UNITS:
        unit = _IMPLIED.get(_plain(heading), "")
    if not unit:
        raise AnalysisError(f"{where}: '{heading}' states no unit; write it like '{heading.strip()} / {base}'")
    unit = {"°C": "degC", "C": "degC"}.get(unit, unit) if base == "degC" else _SPELLINGS.get(unit.lower(), unit)
    try:
        offset = number(f"0 {unit}", base, "a column")
        return number(f"1 {unit}", base, "a column") - offset, offset
    except QuantityError as error:
        raise AnalysisError(f"{where}: '{heading}': {error}") from error


# --- times as a clock shows them


def _are_durations(column: pd.Series) -> bool:
    known = column.dropna()
    return len(known) > 0 and bool(_DURATION.fullmatch(str(known.iloc[0])))


def _seconds(table: Table, heading: str) -> Floats:
    """'00:01:00.5', '0d 00:01:00.50', '1-02:03:04'."""
    values = np.full(len(table.frame), np.nan)
    for row, cell in enumerate(table.frame[heading]):
        if pd.isna(cell):
            continue
        match = _DURATION.fullmatch(str(cell))
        if match is None:
            raise AnalysisError(f"{table.path}: line {table.lines[row]}: '{cell}' in '{heading}' is no duration")
        hours = 24 * int(match["days"] or 0) + int(match["hours"])
        values[row] = 3600 * hours + 60 * int(match["minutes"]) + float(match["seconds"].replace(":", "."))
    return values


# --- currents without a sign


def _signed(table: Table, current_A: Floats) -> Floats:
    plain = {_plain(heading): heading for heading in table.headings}
    states = next((plain[name] for name in _STATES if name in plain), None)
    if states is None or np.nanmin(current_A, initial=0.0) < 0:
        return current_A
    kinds = table.frame[states].astype(str)
    named = {kind: bool(_DISCHARGE.match(kind.strip())) for kind in kinds.unique()}
    return np.where(kinds.map(named).to_numpy(dtype=bool), -current_A, current_A)
