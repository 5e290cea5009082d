"""The part of toolkitpy that the gateway's back end uses, at a cell of 3.3 V behind 10 Ω.

Names and numbers of arguments as public programs have them (Gamry's example scripts among them): a name that is not
here, or another number of arguments, fails.
"""

from __future__ import annotations

import math
import threading
from types import SimpleNamespace
from typing import Any

_SETTERS = (
    *("ach_select", "ie_stability", "ca_speed", "ground", "ich_range", "ich_range_mode", "ich_filter", "vch_range"),
    *("vch_range_mode", "vch_filter", "ich_offset_enable", "vch_offset_enable", "ach_range", "ie_range_lower_limit"),
    *("analog_out", "pos_feed_enable", "irupt_mode", "ctrl_mode", "i_convention", "ie_range", "ie_range_mode"),
    *("voltage", "cell"),
)


class Pstat:
    """One potentiostat."""

    rests_at_V, R_ohm = 3.3, 10.0
    ranges_A = (3e-7, 3e-6, 3e-5, 3e-4, 3e-3, 3e-2, 0.3)

    def __init__(self, section: str) -> None:
        self.section, self.is_open = section, False
        self.told: list[tuple[str, Any]] = []
        self.set: dict[str, Any] = {"voltage": 0.0, "cell": False}
        self.threads: set[int] = set()
        self.stuck = False
        for name in _SETTERS:
            setattr(self, f"set_{name}", self._setter(name))

    def _setter(self, name: str) -> Any:
        def tell(value: Any) -> None:
            self.told.append((name, value))
            self.threads.add(threading.get_ident())
            if not (name == "cell" and self.stuck):
                self.set[name] = value

        return tell

    def open(self) -> None:
        self.is_open = True

    def cell(self) -> bool:
        return bool(self.set["cell"])

    def test_ie_range(self, amperes: float) -> int:
        return next(number for number, largest in enumerate(self.ranges_A) if amperes <= largest)

    def ie_resistor(self, number: int) -> float:
        return 3.0 / self.ranges_A[number]

    def freq_limit_lower(self) -> float:
        return 1e-5

    def freq_limit_upper(self) -> float:
        return 1e6

    def measure_temp(self) -> float:
        return 25.0

    def measure_v(self) -> float:
        return self.rests_at_V + self.measure_i() * self.R_ohm

    def measure_i(self) -> float:
        if not self.set["cell"]:
            return 0.0
        if self.set["ctrl_mode"] == "gstat":
            return float(self.set["voltage"]) / self.ie_resistor(self.set["ie_range"])
        return float(self.set["voltage"] - self.rests_at_V) / self.R_ohm


class ReadZ:
    """Measures 8 - 6j Ω."""

    def __init__(self, pstat: Pstat) -> None:
        self.pstat, self.set, self.measured = pstat, {}, []  # type: ignore[var-annotated]
        for name in ("gain", "inoise", "vnoise", "ienoise", "zmod", "speed", "drift_cor", "vdc", "idc"):
            setattr(self, f"set_{name}", lambda value, name=name: self.set.__setitem__(name, value))

    def measure(self, frequency: float, amplitude: float, bias: float) -> bool:
        assert self.pstat.cell()
        self.measured.append((frequency, amplitude, bias))
        return frequency != 666.0


class ZCurve:
    """Keeps points."""

    def __init__(self, size: int) -> None:
        self.rows: list[dict[str, float]] = []

    def add_point(self, readz: ReadZ, temperature: float) -> None:
        zmod, zphz = 10.0, math.degrees(math.atan2(-6.0, 8.0))
        self.rows.append({"zfreq": readz.measured[-1][0], "zreal": 8.0, "zimag": -6.0, "zmod": zmod, "zphz": zphz})

    def acq_data(self) -> list[dict[str, float]]:
        return self.rows


def toolkit() -> SimpleNamespace:
    """As the module."""
    constants = "ACHSELECT_GND", "STABILITY_FAST", "CASPEED_NORM", "FLOAT", "IRUPTOFF"
    return SimpleNamespace(
        toolkitpy_init=lambda name: None,
        toolkitpy_close=lambda: None,
        enum_sections=lambda: ["IFC1010-1", "IFC1010-2"],
        pstat_is_valid=lambda pstat: pstat.is_open,
        Pstat=Pstat,
        ReadZ=ReadZ,
        ZCurve=ZCurve,
        PSTATMODE="pstat",
        GSTATMODE="gstat",
        ICONVENTION=SimpleNamespace(ANODIC="anodic", CATHODIC="cathodic"),
        **{name: name for name in constants},
    )
