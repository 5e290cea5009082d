"""The part of easy-biologic and EClib that the gateway's back end uses, as a channel with a resistive cell.

The signatures are those of easy-biologic 0.4.0 (`BiologicDevice`, `lib.ec_lib`), compared with it; the labels of the
techniques and the layout of their data are those of EClib as public programs have them. Like EClib, it takes a
parameter by its type, and a channel is seen running some moments after it was started.
"""

from __future__ import annotations

import ctypes
import enum
import math
import sys
from collections import deque
from types import ModuleType, SimpleNamespace
from typing import Any

DEVICES = enum.Enum("DeviceCodes", {"KBIO_DEV_SP150": 14, "KBIO_DEV_SP300": 16, "KBIO_DEV_MPG2": 22, "KBIO_DEV_MPG": 2})
VMP3_DEVICE_FAMILY = {DEVICES.KBIO_DEV_SP150, DEVICES.KBIO_DEV_MPG2}
SP300_DEVICE_FAMILY = {DEVICES.KBIO_DEV_SP300}

_LIMITS = {f"Test{n}_{part}": kind for n in (1, 2, 3) for part, kind in (("Config", int), ("Value", float))}
_STEP = {
    **{"vs_initial": bool, "Duration_step": float, "Step_number": int, "Record_every_dT": float},
    **{"I_Range": int, "E_Range": int, "Bandwidth": int},
}
_IMPEDANCE = {
    **_STEP,
    **{"vs_final": bool, "Final_frequency": float, "Initial_frequency": float, "sweep": bool, "Frequency_number": int},
    **{"Average_N_times": int, "Correction": bool, "Wait_for_steady": float},
}
LABELS: dict[str, dict[str, type]] = {
    "cplimit": {**_STEP, **_LIMITS, "Current_step": float, "Record_every_dE": float, "Exit_Cond": int, "N_Cycles": int},
    "calimit": {**_STEP, **_LIMITS, "Voltage_step": float, "Record_every_dI": float, "Exit_Cond": int, "N_Cycles": int},
    "peis": {
        **_IMPEDANCE,
        **dict.fromkeys(("Initial_Voltage_step", "Final_Voltage_step", "Amplitude_Voltage", "Record_every_dI"), float),
    },
    "geis": {
        **_IMPEDANCE,
        **dict.fromkeys(("Initial_Current_step", "Final_Current_step", "Amplitude_Current", "Record_every_dE"), float),
    },
}


class EcError(Exception):
    """EClib's."""


class Instrument:
    """What stands behind the DLL: channels with a cell of `Z_ohm` and what was loaded into them."""

    def __init__(self) -> None:
        self.kind = DEVICES.KBIO_DEV_SP150
        self.plugged = [True, True] + [False] * 14
        self.infos = [SimpleNamespace(FirmwareCode=5, Zboard=1, MaxIRange=10, MinIRange=4) for _ in range(16)]
        self.rests_at_V, self.Z_ohm = 3.3, complex(10.0, -5.0)
        self.connected = 0
        self.loaded: dict[int, list[tuple[str, dict[str, Any]]]] = {}
        self.done: list[tuple[str, int]] = []
        self.state = dict.fromkeys(range(16), 0)
        self.starting = dict.fromkeys(range(16), 0)
        self.rows: deque[tuple[float, ...]] = deque()
        self.frequencies_off = 1.0

    def values(self, channel: int) -> SimpleNamespace:
        if self.starting[channel]:
            self.starting[channel] -= 1
            self.state[channel] = 0 if self.starting[channel] else 1
        running = self.state[channel] == 1
        amperes, volts = 0.0, self.rests_at_V
        if running and self.loaded[channel][0][0] == "cplimit":
            amperes = self.loaded[channel][0][1]["Current_step"][0]
        elif running and self.loaded[channel][0][0] == "calimit":
            volts = self.loaded[channel][0][1]["Voltage_step"][0]
        return SimpleNamespace(State=self.state[channel], Ewe=volts, I=amperes, Eoverflow=0, Ioverflow=0, Saturation=0)

    def start(self, channel: int) -> None:
        self.done.append(("start", channel))
        self.starting[channel] = 3
        for name, parameters in self.loaded[channel]:
            if name in ("peis", "geis"):
                first, last = parameters["Initial_frequency"][0], parameters["Final_frequency"][0]
                count = parameters["Frequency_number"][0]
                peak = parameters.get("Amplitude_Voltage", [0.01])[0]
                for place in range(count):
                    frequency = first * (last / first) ** (place / max(1, count - 1)) * self.frequencies_off
                    self.rows.append((frequency, peak, peak / abs(self.Z_ohm), math.degrees(self._phase()), 3.3, 0.0))

    def _phase(self) -> float:
        return math.atan2(self.Z_ohm.imag, self.Z_ohm.real)


def install(monkeypatch: Any, instrument: Instrument) -> None:
    """As the modules that the back end imports."""

    class BiologicDevice:
        def __init__(self, address: str, timeout: int = 5, populate_info: bool = True) -> None:
            self.address, self.idn = address, None
            if populate_info:
                self.connect()
                self.disconnect()

        def connect(self, bin_file: str | None = None, xlx_file: str | None = None) -> None:
            if self.idn is not None:
                raise RuntimeError("Device already connected.")
            self.idn, self.plugged, self.kind = 7, instrument.plugged, instrument.kind
            instrument.connected += 1

        def disconnect(self) -> None:
            self.idn, self.plugged = None, None
            instrument.connected -= 1

        def start_channel(self, ch: int) -> None:
            instrument.start(ch)

        def stop_channel(self, ch: int) -> None:
            instrument.done.append(("stop", ch))
            instrument.state[ch] = instrument.starting[ch] = 0
            instrument.rows.clear()

        def get_values(self, ch: int) -> SimpleNamespace:
            return instrument.values(ch)

        def channel_info(self, ch: int) -> SimpleNamespace:
            return instrument.infos[ch]

    package, lib, library = (ModuleType(name) for name in ("easy_biologic", "lib", "ec_lib"))
    package.BiologicDevice = BiologicDevice  # type: ignore[attr-defined]
    for function in (create_parameters, convert_numeric):
        setattr(library, function.__name__, function)
    library.VMP3_DEVICE_FAMILY = VMP3_DEVICE_FAMILY  # type: ignore[attr-defined]
    library.SP300_DEVICE_FAMILY = SP300_DEVICE_FAMILY  # type: ignore[attr-defined]

    def load_technique(
        idn: int,
        ch: int,
        technique: str,
        params: list[tuple[str, Any, int]],
        first: bool = True,
        last: bool = True,
        device: Any = None,
        verbose: bool = False,
    ) -> None:
        if idn != 7 or technique not in LABELS or device is not instrument.kind:
            raise EcError(-401)
        found: dict[str, Any] = {}
        for label, value, index in params:
            if LABELS[technique].get(label) is not type(value) or index != len(found.setdefault(label, [])):
                raise EcError(f"-405: {label}[{index}] = {value!r}")
            found[label].append(value)
        if missing := LABELS[technique].keys() - found.keys():
            raise EcError(f"-405: {missing}")
        if first:
            instrument.loaded[ch] = []
        instrument.loaded[ch].append((technique, found))

    def get_data(idn: int, ch: int) -> tuple[Any, SimpleNamespace, SimpleNamespace]:
        data = (ctypes.c_uint32 * 1000)()
        rows = [instrument.rows.popleft() for _ in range(min(2, len(instrument.rows)))]
        for place, row in enumerate(rows):
            for column, value in enumerate(row):
                data[place * 15 + column] = ctypes.c_uint32.from_buffer(ctypes.c_float(value)).value
        if not rows:
            instrument.state[ch] = 0
        info = SimpleNamespace(NbRows=len(rows), NbCols=15, ProcessIndex=1, TechniqueIndex=0, TechniqueID=104)
        return data, info, instrument.values(ch)

    library.load_technique = load_technique  # type: ignore[attr-defined]
    library.get_data = get_data  # type: ignore[attr-defined]
    for name, module in {"": package, ".lib": lib, ".lib.ec_lib": library}.items():
        monkeypatch.setitem(sys.modules, "easy_biologic" + name, module)


def create_parameters(params: dict[str, Any], index: int = 0, types: Any = None) -> list[tuple[str, Any, int]]:
    """Label, value and step of each; `index` is added to the step."""
    found = []
    for label, values in params.items():
        for place, value in enumerate(values if isinstance(values, list) else [values]):
            if type(value) not in (bool, int, float):
                raise TypeError(f"Invalid value type {type(value)}.")
            found.append((label, value, index + place))
    return found


def convert_numeric(num: int) -> float:
    return ctypes.c_float.from_buffer(ctypes.c_uint32(num)).value
