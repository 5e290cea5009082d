"""All drivers by the short names that a station's configuration uses."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import get_type_hints

from drivers.interface import Instrument
from drivers.keithley2450 import Keithley2450
from drivers.keithley2700 import Keithley2700
from drivers.keithley_daq6510 import KeithleyDaq6510
from drivers.keysight3446x import Keysight3446x
from drivers.modbus_load_cell import ModbusLoadCell
from drivers.neware_bts import NewareBts
from drivers.simserv import SimServChamber
from drivers.solartron import SolartronImpedance
from drivers.virtual_press import VirtualPress

DRIVERS: Mapping[str, type[Instrument]] = {
    "keithley-2450": Keithley2450,
    "keithley-2700": Keithley2700,
    "keithley-daq6510": KeithleyDaq6510,
    "keysight-3446x": Keysight3446x,
    "modbus-load-cell": ModbusLoadCell,
    "neware-bts": NewareBts,
    "simserv": SimServChamber,
    "solartron-1260-1287": SolartronImpedance,
    "virtual-press": VirtualPress,
}


class SettingsError(ValueError):
    """A driver or one of its settings is unknown, missing or of the wrong kind. Nothing was opened."""


def open_instrument(driver: str, address: str, settings: Mapping[str, object]) -> Instrument:
    """Open `driver` (a name in `DRIVERS`) at `address`; `settings` are its keyword arguments.

    Raises `SettingsError` before anything is opened, and what the driver raises on opening.
    """
    check_settings(driver, settings)
    return DRIVERS[driver](address, **settings)  # type: ignore[call-arg]  # a Protocol says nothing of its constructor


def check_settings(driver: str, settings: Mapping[str, object]) -> None:
    """Raises `SettingsError` where the driver or one of its settings is unknown, missing or of the wrong kind."""
    if driver not in DRIVERS:
        raise SettingsError(f"there is no driver {driver!r}{_suggest(driver, DRIVERS)}")
    cls = DRIVERS[driver]
    parameters = dict(list(inspect.signature(cls).parameters.items())[1:])  # the first is the address
    for name in settings:
        if name not in parameters:
            raise SettingsError(f"{driver} has no setting {name!r}{_suggest(name, parameters)}")
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in settings:
            raise SettingsError(f"{driver} needs the setting {name!r}")
    kinds = get_type_hints(cls.__init__)
    for name, value in settings.items():
        if not _is_of_kind(value, kinds.get(name)):
            raise SettingsError(f"{driver}: setting {name!r} should be {_KINDS[kinds[name]]}, not {value!r}")


_KINDS: Mapping[object, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _is_of_kind(value: object, kind: object) -> bool:
    """Only the plain kinds are looked at; what is finer is the driver's to check."""
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not (kind is bool or kind is str) or isinstance(value, kind)


def _suggest(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else f"; there are {', '.join(known)}"
