"""BioLogic EC-Lab's binary .mpr files, and what is particular in its texts.

The maker does not publish the format. What is known of it is in the documentation of yadg
(https://dgbowl.github.io/yadg/, eclab.mpr) and of galvani (https://github.com/echemdata/galvani): modules, each with a
header; in the module 'VMP data' the number of points and of columns, the columns' ids, then points one after the other.
The ids below are those that appear in files of cycling and impedance; the widths of others are not known, and so what
stands behind two of them cannot be read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from station.analysis.errors import AnalysisError
from station.analysis.files.table import Table

MAGIC = b"BIO-LOGIC MODULAR FILE"
OPEN_CIRCUIT = 11  # the technique, as the module 'VMP Set' begins
_TEXT_OF_OPEN_CIRCUIT = re.compile(rb"EC-Lab ASCII FILE\s+Nb header lines\s*:\s*\d+\s+Open Circuit Voltage\s")
_FILE_HEADER = 52
_LONG = 0xFFFFFFFF  # in the place of a length: the length follows
_FLAGS = frozenset({1, 2, 3, 21, 31, 65})  # bits of one byte, which stands where the first of them does
_COLUMNS = {
    4: ("time/s", "<f8"),
    5: ("control/V/mA", "<f4"),
    6: ("Ewe/V", "<f4"),
    7: ("dq/mA.h", "<f8"),
    8: ("I/mA", "<f4"),
    9: ("Ece/V", "<f4"),
    11: ("<I>/mA", "<f8"),
    13: ("(Q-Qo)/mA.h", "<f8"),
    16: ("Analog IN 1/V", "<f4"),
    17: ("Analog IN 2/V", "<f4"),
    19: ("control/V", "<f4"),
    20: ("control/mA", "<f4"),
    23: ("dQ/mA.h", "<f8"),
    24: ("cycle number", "<f8"),
    32: ("freq/Hz", "<f4"),
    33: ("|Ewe|/V", "<f4"),
    34: ("|I|/A", "<f4"),
    35: ("Phase(Z)/deg", "<f4"),
    36: ("|Z|/Ohm", "<f4"),
    37: ("Re(Z)/Ohm", "<f4"),
    38: ("-Im(Z)/Ohm", "<f4"),
    39: ("I Range", "<u2"),
    69: ("R/Ohm", "<f4"),
    70: ("P/W", "<f4"),
    74: ("|Energy|/W.h", "<f8"),
    75: ("Analog OUT/V", "<f4"),
    76: ("<I>/mA", "<f4"),
    77: ("<Ewe>/V", "<f4"),
    123: ("Energy charge/W.h", "<f8"),
    124: ("Energy discharge/W.h", "<f8"),
    125: ("Capacitance charge/µF", "<f8"),
    126: ("Capacitance discharge/µF", "<f8"),
    131: ("Ns", "<u2"),
    168: ("Rcmp/Ohm", "<f4"),
    169: ("Cs/µF", "<f4"),
    172: ("Cp/µF", "<f4"),
    174: ("<Ewe>/V", "<f4"),
    182: ("step time/s", "<f8"),
    434: ("(Q-Qo)/C", "<f4"),
    435: ("dQ/C", "<f4"),
    462: ("Temperature/°C", "<f4"),
    467: ("Q charge/discharge/mA.h", "<f8"),
    468: ("half cycle", "<u4"),
    469: ("z cycle", "<u4"),
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Of the module's data, by its version: how ids are written, and where the points begin."""

    ids: str
    points_at: int


_LAYOUTS = {0: _Layout("u1", 100), 2: _Layout("<u2", 405), 3: _Layout("<u2", 406), 10: _Layout(">u2", 1007)}


def read(path: Path, content: bytes) -> Table:
    """The points of a file, under the headings of EC-Lab. Raises AnalysisError that says what is wrong with it."""
    modules = dict(_modules(path, content))
    if b"VMP data" not in modules:
        raise AnalysisError(f"{path}: there is no measurement in this .mpr file (no module 'VMP data')")
    version, data = modules[b"VMP data"]
    layout = _LAYOUTS.get(10 if version == 11 else version)
    if layout is None:
        raise _export_instead(path, f"version {version} of its data is not known")
    points, columns = struct.unpack_from("<IB", data)
    ids = np.frombuffer(data, layout.ids, columns, 5).astype(int).tolist()
    if not points:
        raise AnalysisError(f"{path}: there is no point in this .mpr file")
    size, left = divmod(len(data) - layout.points_at, points)
    if left or size <= 0:
        raise AnalysisError(f"{path}: the .mpr file is damaged: {points} points do not fit its length")
    record = _record(path, ids, size)
    values = np.frombuffer(data, record, points, layout.points_at)
    frame = _with_derived(pd.DataFrame({name: values[name] for name in record.names or ()}))
    _, settings = modules.get(b"VMP Set", (0, b""))
    if settings[:1] == bytes([OPEN_CIRCUIT]):
        frame = at_open_circuit(frame)
    return Table(path, frame, 0, range(1, points + 1))


def is_text_of_open_circuit(content: bytes) -> bool:
    """Whether a text export is of the technique that drives no current, and has no column of it."""
    return _TEXT_OF_OPEN_CIRCUIT.match(content) is not None


def at_open_circuit(frame: pd.DataFrame) -> pd.DataFrame:
    """With its current, which is nothing."""
    return frame if {"I/mA", "<I>/mA"} & set(frame.columns) else frame.assign(**{"I/mA": 0.0})


def _with_derived(frame: pd.DataFrame) -> pd.DataFrame:
    """What EC-Lab works out when it exports text: mean currents from charges, parts of Z from modulus and phase."""
    if not {"I/mA", "<I>/mA"} & set(frame.columns) and {"time/s", "dq/mA.h"} <= set(frame.columns):
        seconds = np.diff(frame["time/s"].to_numpy(), prepend=np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_mA = 3600 * frame["dq/mA.h"].to_numpy() / seconds
        frame["<I>/mA"] = np.where(np.isfinite(mean_mA), mean_mA, 0.0)
    if "Re(Z)/Ohm" not in frame.columns and {"|Z|/Ohm", "Phase(Z)/deg"} <= set(frame.columns):
        modulus = frame["|Z|/Ohm"].to_numpy(dtype=np.float64)
        phase = np.radians(frame["Phase(Z)/deg"].to_numpy(dtype=np.float64))
        frame["Re(Z)/Ohm"], frame["-Im(Z)/Ohm"] = modulus * np.cos(phase), -modulus * np.sin(phase)
    return frame


def _modules(path: Path, content: bytes) -> Iterator[tuple[bytes, tuple[int, bytes]]]:
    """Name, version and data of each."""
    place = _FILE_HEADER
    while place < len(content):
        if content[place : place + 6] != b"MODULE" or place + 57 > len(content):
            raise AnalysisError(f"{path}: the .mpr file is damaged at byte {place}: no module begins there")
        name = content[place + 6 : place + 16].rstrip()
        length, version = struct.unpack_from("<II", content, place + 41)
        begin = place + 57  # behind a date of eight letters
        if length == _LONG:
            length, _, version = struct.unpack_from("<III", content, place + 45)
            begin = place + 65
        if begin + length > len(content):
            raise AnalysisError(f"{path}: the .mpr file ends within its module '{name.decode('ascii', 'replace')}'")
        yield name, (version, content[begin : begin + length])
        place = begin + length


def _record(path: Path, ids: list[int], size: int) -> np.dtype[np.void]:
    """The columns that are known, each at its place; one that is not known is as wide as what is left."""
    names: list[str] = []
    formats: list[str] = []
    offsets: list[int] = []
    place, flagged, unknown = 0, False, None
    known_size = sum(np.dtype(_COLUMNS[each][1]).itemsize for each in ids if each in _COLUMNS)
    known_size += 1 if _FLAGS & set(ids) else 0
    strangers = [each for each in ids if each not in _COLUMNS and each not in _FLAGS]
    for each in ids:
        if each in _FLAGS:
            place += 0 if flagged else 1
            flagged = True
        elif each in _COLUMNS:
            name, form = _COLUMNS[each]
            if name not in names:
                names.append(name)
                formats.append(form)
                offsets.append(place)
            place += np.dtype(form).itemsize
        elif len(strangers) == 1 and size > known_size:
            place += size - known_size
        else:
            unknown = each
            break
    if unknown is None and place != size:
        raise _export_instead(path, f"its points have {size} bytes, and their columns {place}")
    if unknown is not None and not {"freq/Hz", "time/s"} & set(names):
        raise _export_instead(path, f"its columns {', '.join(map(str, strangers))} are not known")
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


def _export_instead(path: Path, why: str) -> AnalysisError:
    return AnalysisError(f"{path}: this .mpr file cannot be read: {why}; export it as text (.mpt) from EC-Lab")
