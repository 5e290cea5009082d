"""Bio-Logic potentiostats (SP-150, MPG-2, VSP …) through EC-Lab's DLL, by the package easy-biologic (GPL; not ours).

Written from that package's documented classes and the EClib facts that public programs agree on. Not run on hardware.
`pip install easy-biologic` on the instrument's PC; its licence is its own, and nothing of it is part of this project.
"""

from __future__ import annotations

import importlib
from typing import Any

from drivers.gateway.backends import Backend
from drivers.gateway.protocol import Capability, Description
from drivers.interface import (
    Current,
    InstrumentError,
    Measurement,
    NotSafe,
    OutOfRange,
    Protection,
    Setpoint,
    Unreachable,
    Voltage,
)

LONGEST_S = 1e6
RUNNING = 1  # state of a channel
NEXT_TECHNIQUE, STOP = 1, 2  # exit conditions of a limit


class BioLogicBackend(Backend):
    """Source: CPLIMIT, then CALIMIT at the voltage that ended it; the instrument itself stops at the limits.

    `address` as EC-Lab has it (USB0, 192.168.0.10); `current_max_A` of the instrument's largest range.
    """

    name = "biologic"

    def __init__(
        self, address: str, *, channels: int = 1, current_max_A: float = 0.8, voltage_max_V: float = 10.0
    ) -> None:
        try:
            device: Any = importlib.import_module("easy_biologic")
            self._programs: Any = importlib.import_module("easy_biologic.base_programs")
            self._library: Any = importlib.import_module("easy_biologic.lib.ec_lib")
        except (ImportError, OSError, AttributeError) as error:  # it loads a DLL as it is imported
            raise Unreachable(
                f"easy-biologic is not installed or cannot load EClib: {error}",
                instrument="Bio-Logic",
                hint="on the instrument's Windows PC: pip install easy-biologic",
            ) from error
        self._channels = tuple(str(number + 1) for number in range(channels))
        self._current_max_A, self._voltage_max_V = current_max_A, voltage_max_V
        self._device = device.BiologicDevice(address)
        self._held: dict[str, Setpoint] = {}
        self._said(self._device.connect)

    def describe(self) -> Description:
        most = self._voltage_max_V
        kind = f"Bio-Logic {self._device.kind}"
        return Description(kind, (Capability.SOURCE,), self._channels, -most, most, self._current_max_A)

    def close(self) -> None:
        self._said(self._device.disconnect)

    def apply(self, channel: str, setpoint: Setpoint, protection: Protection) -> None:
        number = self._number(channel)
        self.off(channel)
        volts = self.measure(channel).voltage_V
        low, high = protection.voltage_min_V, protection.voltage_max_V
        if not low <= volts <= high:
            raise NotSafe(f"the cell is at {volts:.4g} V, outside {low:g} … {high:g} V", instrument="Bio-Logic")
        match setpoint:
            case Current(0.0):
                self._held[channel] = setpoint  # open circuit: the channel measures Ewe all the time
                return
            case Current(amperes):
                names = ["cplimit", "calimit"]
                parameters = [
                    self._current(amperes, protection),
                    self._voltage(high if amperes > 0 else low, protection),
                ]
            case Voltage(goal):
                names, parameters = ["calimit"], [self._voltage(goal, protection)]
        self._said(self._device.load_techniques, number, names, parameters)
        self._held[channel] = setpoint
        self._said(self._device.start_channel, number)

    def measure(self, channel: str) -> Measurement:
        values = self._said(self._device.get_values, self._number(channel))
        volts, amperes = float(values.Ewe), float(values.I)
        if values.State != RUNNING:
            return Measurement(volts, 0.0)
        flagged = bool(values.Eoverflow or values.Ioverflow or values.Saturation)
        match self._held.get(channel):
            case Current(goal):
                return Measurement(volts, amperes, flagged or abs(amperes - goal) > 0.02 * abs(goal))
            case Voltage(goal):
                return Measurement(volts, amperes, flagged or abs(volts - goal) > 5e-3)
            case _:
                return Measurement(volts, amperes, flagged)

    def is_on(self, channel: str) -> bool:
        running = bool(self._said(self._device.get_values, self._number(channel)).State == RUNNING)
        return running or self._held.get(channel) == Current(0.0)

    def off(self, channel: str) -> None:
        number = self._number(channel)
        self._held.pop(channel, None)
        self._said(self._device.stop_channel, number)
        if self._said(self._device.get_values, number).State == RUNNING:
            raise NotSafe(f"channel {channel} was stopped and says that it runs", instrument="Bio-Logic")

    def _current(self, amperes: float, protection: Protection) -> dict[str, object]:
        charge = amperes > 0
        ends = ("E", "GT", protection.voltage_max_V) if charge else ("E", "LT", protection.voltage_min_V)
        return {"Current_step": [amperes], "Record_every_dE": 1.0, **self._limited(NEXT_TECHNIQUE, ends)}

    def _voltage(self, volts: float, protection: Protection) -> dict[str, object]:
        most = protection.current_max_A
        limits = self._limited(STOP, ("I", "GT", most), ("I", "LT", -most))
        return {"Voltage_step": [volts], "Record_every_dI": most, **limits}

    def _limited(self, exit_condition: int, *ends: tuple[str, str, float]) -> dict[str, object]:
        library = self._library
        found: dict[str, object] = {
            "vs_initial": [False],
            "Duration_step": [LONGEST_S],
            "Step_number": 0,
            "Record_every_dT": 1.0,
            "Exit_Cond": [exit_condition],
            "N_Cycles": 0,
        }
        for index in (1, 2, 3):
            found |= {f"Test{index}_Config": [0], f"Test{index}_Value": [0.0]}
        for index, (variable, comparison, value) in enumerate(ends, start=1):
            limit = self._programs.configure_limit(
                library.LimitVariable[variable], library.LimitComparison[comparison], library.LimitLogic.OR, value
            )
            found |= {f"Test{index}_Config": [limit.config_int], f"Test{index}_Value": [limit.value]}
        return found

    def _number(self, channel: str) -> int:
        if channel not in self._channels:
            raise OutOfRange(f"channel {channel!r}: {', '.join(self._channels)}", instrument="Bio-Logic")
        return int(channel) - 1

    def _said(self, call: Any, *arguments: object) -> Any:
        try:
            return call(*arguments)
        except InstrumentError:
            raise
        except Exception as error:
            raise InstrumentError(f"EClib: {type(error).__name__}: {error}", instrument="Bio-Logic") from error
