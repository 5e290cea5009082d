"""All drivers by the short names that a station's configuration uses: this project's and those of others' packages.

Another package adds drivers by entry points of the group `cellstation.drivers`, `name = "its.module:Class"`. A
driver's module is imported when it is first asked for, so one that cannot be imported is in nobody else's way.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

from drivers.interface import Instrument
from drivers.transports.trace import Recorder, recording, secrets_in

GROUP = "cellstation.drivers"
OWN = "cellstation"

BUILT_IN: dict[str, str] = {
    "arbin-cti": "drivers.arbin:ArbinCti",
    "ascii2": "drivers.ascii2:Ascii2Chamber",
    "binder-mb1": "drivers.binder:BinderMb1",
    "binder-mb2": "drivers.binder:BinderMb2",
    "ea-modbus": "drivers.ea_modbus:EaModbus",
    "ea-scpi": "drivers.ea_scpi:EaScpi",
    "espec": "drivers.espec:EspecChamber",
    "gateway": "drivers.gateway.driver:Gateway",
    "itech-bidirectional": "drivers.itech:ItechBidirectional",
    "keithley-2000": "drivers.keithley2000:Keithley2000",
    "keithley-2400": "drivers.keithley2400:Keithley2400",
    "keithley-2450": "drivers.keithley2450:Keithley2450",
    "keithley-2460": "drivers.keithley2450:Keithley2460",
    "keithley-2600b": "drivers.keithley2600b:Keithley2600B",
    "keithley-2700": "drivers.keithley2700:Keithley2700",
    "keithley-daq6510": "drivers.keithley_daq6510:KeithleyDaq6510",
    "keithley-dmm6500": "drivers.keithley_dmm6500:KeithleyDmm6500",
    "keysight-3446x": "drivers.keysight3446x:Keysight3446x",
    "keysight-34970a": "drivers.keysight34970a:Keysight34970A",
    "keysight-34970a-switch": "drivers.scpi_switch:Keysight34970Switch",
    "line-stream": "drivers.line_stream:LineStream",
    "maccor-direct": "drivers.maccor_direct:MaccorDirect",
    "maccor-macnet": "drivers.maccor:MaccorMacNet",
    "mantracourt-ascii": "drivers.mantracourt:MantracourtAscii",
    "memmert-atmoweb": "drivers.memmert:MemmertChamber",
    "modbus-load-cell": "drivers.modbus_load_cell:ModbusLoadCell",
    "modbus-load-cell-profile": "drivers.load_cell_profile:LoadCellByProfile",
    "modbus-relays": "drivers.modbus_relays:ModbusRelays",
    "mt-sics": "drivers.mt_sics:MtSicsBalance",
    "neware-bts": "drivers.neware_bts:NewareBts",
    "palmsens": "drivers.palmsens:PalmSens",
    "scpi-switch": "drivers.scpi_switch:ScpiSwitch",
    "serial-adc": "drivers.serial_adc:SerialAdc",
    "simserv": "drivers.simserv:SimServChamber",
    "solartron-1260-1287": "drivers.solartron:SolartronImpedance",
    "solartron-1287": "drivers.solartron1287_source:Solartron1287Source",
    "virtual-press": "drivers.virtual_press:VirtualPress",
}
"""Name: module and class. One line makes a driver known."""


class SettingsError(ValueError):
    """A driver or one of its settings is unknown, missing or of the wrong kind. Nothing was opened."""


class PlugInError(SettingsError):
    """Another package's driver cannot be used: it says which package, and why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A driver that is known by name; not imported yet."""

    name: str
    target: str  # module:class
    origin: str  # the distribution, with its version where it is not this one

    def load(self) -> type[Instrument]:
        """Import it. Raises `PlugInError` for another package's driver that cannot be used."""
        module, _, attribute = self.target.partition(":")
        if self.origin == OWN:
            own: type[Instrument] = getattr(importlib.import_module(module), attribute)
            return own
        try:
            loaded = getattr(importlib.import_module(module), attribute)
        except Exception as error:  # another's code may raise anything
            raise self._unusable(
                f"{self.target} cannot be imported: {type(error).__name__}: {error}", "reinstall it or remove it"
            ) from error
        missing = [name for name in ("identify", "make_safe", "close") if not callable(getattr(loaded, name, None))]
        missing += [name for name in ("model", "safe_state") if not isinstance(getattr(loaded, name, None), str)]
        if not isinstance(loaded, type) or missing:
            raise self._unusable(
                f"{self.target} is no driver: {'it lacks ' + ', '.join(missing) if missing else 'it is no class'}",
                "docs/add-an-instrument.md says what a driver has",
            )
        return loaded

    def _unusable(self, what: str, hint: str) -> PlugInError:
        return PlugInError(f"driver {self.name!r} of the package {self.origin}: {what} ({hint})")


def entries() -> list[Entry]:
    """All that is known, by name; more than one of a name where packages clash."""
    own = [Entry(name, target, OWN) for name, target in BUILT_IN.items()]
    return sorted((*own, *_plug_ins()), key=lambda entry: (entry.name, entry.origin != OWN, entry.origin))


def entry_of(name: str) -> Entry:
    """Raises `SettingsError` where there is none, and `PlugInError` where two packages claim the name."""
    found = [entry for entry in entries() if entry.name == name]
    if not found:
        raise SettingsError(f"there is no driver {name!r}{_suggest(name, (entry.name for entry in entries()))}")
    if len(found) > 1:
        raise PlugInError(
            f"driver {name!r} is claimed by the packages {' and '.join(entry.origin for entry in found)} "
            "(remove one of them, or ask its authors for another name)"
        )
    return found[0]


@functools.cache
def _plug_ins() -> tuple[Entry, ...]:
    """Found once in a process, for the search goes through all that is installed."""
    return tuple(Entry(found.name, found.value, _origin(found)) for found in entry_points(group=GROUP))


def _origin(found: EntryPoint) -> str:
    return f"{found.dist.name} {found.dist.version}" if found.dist else "of unknown name"


class _Drivers(Mapping[str, type[Instrument]]):
    """The driver classes by name, imported as they are asked for."""

    def __getitem__(self, name: str) -> type[Instrument]:
        """Raises `KeyError` for an unknown name, `PlugInError` for one that cannot be used."""
        if name not in self:
            raise KeyError(name)
        return entry_of(name).load()

    def __contains__(self, name: object) -> bool:
        return name in BUILT_IN or any(entry.name == name for entry in _plug_ins())

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(entry.name for entry in entries()))

    def __len__(self) -> int:
        return len(set(self))


DRIVERS: Mapping[str, type[Instrument]] = _Drivers()


def open_instrument(
    driver: str, address: str, settings: Mapping[str, object], *, name: str = "", trace: Path | None = None
) -> Instrument:
    """Open `driver` (a name in `DRIVERS`) at `address`; `settings` are its keyword arguments.

    With `trace`, what passes over its links is recorded to that file, as of the instrument `name`.
    Raises `SettingsError` before anything is opened, and what the driver raises on opening.
    """
    check_settings(driver, settings)
    cls: Callable[..., Instrument] = DRIVERS[driver]
    if trace is None:
        return cls(address, **settings)
    recorder = Recorder(trace, instrument=name or driver, driver=driver, secrets=secrets_in(settings))
    try:
        with recording(recorder):
            instrument = cls(address, **settings)
    except BaseException:
        recorder.close()
        raise
    weakref.finalize(instrument, recorder.close)  # at the end of the program at the latest
    return instrument


def check_settings(driver: str, settings: Mapping[str, object]) -> None:
    """Raises `SettingsError` where the driver or one of its settings is unknown, missing or of the wrong kind."""
    cls = entry_of(driver).load()
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
            raise SettingsError(f"{driver}: setting {name!r} should be {_in_words(kinds[name])}, not {value!r}")


_KINDS: Mapping[object, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _is_of_kind(value: object, kind: object) -> bool:
    """Plain kinds, choices and tables are looked at; what is finer is the driver's to check."""
    kind = _without_none(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if get_origin(kind) is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(kind))
    if get_origin(kind) is dict:
        return isinstance(value, dict)
    return not (kind is bool or kind is str) or isinstance(value, kind)


def _in_words(kind: object) -> str:
    kind = _without_none(kind)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(str(choice) for choice in get_args(kind) if choice != '')}"
    return "a table" if get_origin(kind) is dict else _KINDS[kind]


def _without_none(kind: object) -> object:
    """A setting that may be None is left out of a file where it is."""
    if get_origin(kind) not in (Union, UnionType):
        return kind
    others = [one for one in get_args(kind) if one is not NoneType]
    return others[0] if len(others) == 1 else kind


def _suggest(name: str, known: Iterable[str]) -> str:
    known = sorted(set(known))
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else f"; there are {', '.join(known)}"
