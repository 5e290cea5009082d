"""Gamry potentiostats by toolkitpy, which comes with Gamry Framework (Windows).

Written from public programs that use it. Not run on hardware. Voltage only: what a galvanostatic set point does at a
voltage limit without a curve around it is in none of them, so a current other than 0 is refused.
"""

from __future__ import annotations

import importlib
from typing import Any

from drivers.gateway.backends import Backend
from drivers.gateway.protocol import Capability, Description
from drivers.interface import Current, Measurement, NotSafe, OutOfRange, Protection, Setpoint, Unreachable, Voltage


class GamryBackend(Backend):
    """One potentiostat; `address` is its section (the first one where it is empty).

    Nothing in the instrument limits the current but its range: the largest that `current_max_A` needs is chosen, and
    a reading beyond the protection opens the cell.
    """

    name = "gamry"

    def __init__(self, address: str = "", *, current_max_A: float = 0.6, voltage_max_V: float = 8.0) -> None:
        try:
            self._toolkit: Any = importlib.import_module("toolkitpy")
        except ImportError as error:
            raise Unreachable(
                f"toolkitpy is not installed: {error}",
                instrument="Gamry",
                hint="it comes with Gamry Framework; run the gateway with the Python that Gamry installs",
            ) from error
        self._current_max_A, self._voltage_max_V = current_max_A, voltage_max_V
        self._toolkit.toolkitpy_init("cellstation")
        sections = list(self._toolkit.enum_sections())
        if not sections or address not in ("", *sections):
            raise Unreachable(f"no potentiostat {address!r}; there are {sections or 'none'}", instrument="Gamry")
        self._section = address or str(sections[0])
        self._pstat = self._toolkit.Pstat(self._section)
        self._held: tuple[Setpoint, Protection] | None = None
        self.off("1")

    def describe(self) -> Description:
        most = self._voltage_max_V
        return Description(f"Gamry {self._section}", (Capability.SOURCE,), ("1",), -most, most, self._current_max_A)

    def close(self) -> None:
        self._toolkit.toolkitpy_close()

    def apply(self, channel: str, setpoint: Setpoint, protection: Protection) -> None:
        low, high = protection.voltage_min_V, protection.voltage_max_V
        if isinstance(setpoint, Current):
            if setpoint.amperes != 0:
                raise OutOfRange("this back end holds voltages, and no current", instrument="Gamry")
            self.off(channel)
            self._held = setpoint, protection
            return
        rests_at_V = float(self._pstat.measure_v())
        if self._held is None and not low <= rests_at_V <= high:
            raise NotSafe(f"the cell is at {rests_at_V:.4g} V, outside {low:g} … {high:g} V", instrument="Gamry")
        self._pstat.set_ctrl_mode(self._toolkit.PSTATMODE)
        self._pstat.set_i_convention(self._toolkit.ICONVENTION.ANODIC)  # positive where the cell is charged
        self._pstat.set_ie_range(self._pstat.test_ie_range(protection.current_max_A))
        self._pstat.set_voltage(setpoint.volts)
        self._pstat.set_cell(True)
        self._held = setpoint, protection
        self.measure(channel)

    def measure(self, channel: str) -> Measurement:
        volts, amperes = float(self._pstat.measure_v()), float(self._pstat.measure_i())
        match self._held:
            case Voltage(goal), protection:
                if abs(amperes) > protection.current_max_A:
                    self.off(channel)
                    raise NotSafe(f"{amperes:g} A: more than {protection.current_max_A:g} A", instrument="Gamry")
                return Measurement(volts, amperes, abs(volts - goal) > 5e-3)
            case _:
                return Measurement(volts, 0.0)

    def is_on(self, channel: str) -> bool:
        return self._held is not None

    def off(self, channel: str) -> None:
        self._held = None
        self._pstat.set_cell(False)
