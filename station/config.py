"""The station's configuration: `station.toml`, checked, with every message naming file and line."""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from drivers.interface import (
    Chamber,
    ForceGauge,
    ImpedanceSource,
    Instrument,
    Press,
    PressureFrame,
    ProcedureCycler,
    ProgramCycler,
    ResistanceMeter,
    SensorPress,
    Source,
    Switch,
    Thermometer,
    TriggerOutput,
)
from drivers.registry import DRIVERS, PlugInError, SettingsError, check_settings, entry_of
from protocols.document import Place, in_words
from protocols.limits import LimitsModel, Model
from protocols.quantities import Seconds


class ConfigError(Exception):
    """A configuration that cannot be used; each problem on a line that names file, line and key."""


class StationSection(Model):
    """The station as a whole; folders are relative to the configuration file."""

    name: str = "Cellstation"
    database: str = "sqlite:///cellstation.db"
    spool: Path = Path("spool")
    cells: Path = Path("cells")
    protocols: Path = Path("protocols")
    calibrations: Path = Path("calibrations")
    poll: Seconds = Field(1.0, gt=0, description="how often each channel is sampled")
    lost_after: Seconds = Field(5.0, gt=0, description="without a good sample for so long, a channel trips")
    lend_within: Seconds = Field(
        12 * 3600.0, gt=0, description="a channel that waits longer for the impedance instrument trips"
    )
    host: str = "127.0.0.1"
    port: int = Field(8765, ge=0, le=65535)
    limits: LimitsModel = LimitsModel()


class SimulationSection(Model):
    """Present only where all instruments are virtual: the clock that they share with the station."""

    speed: float = Field(1.0, gt=0)
    epoch: float = Field(gt=0, description="Unix time at which the scaled clock agreed with the wall's")


class InstrumentSection(Model):
    """One instrument: its driver's name, its address, and the driver's own settings."""

    driver: str
    address: str
    settings: dict[str, Any] = Field(default_factory=dict)
    trace: Path | None = Field(None, description="file that every exchange is recorded to, as JSON lines")


class CyclerSection(Model):
    """A channel of a cycler that runs whole programs, or its own stored procedures, alone."""

    instrument: str
    channel: str


class ExportsSection(Model):
    """A folder that a tester without remote control exports to; its files become runs of the channel."""

    folder: Path
    files: str = Field("*.csv", min_length=1, description="which of its files are this channel's: '*_007_3*.txt'")
    cell: str | None = Field(None, description="name of the cell's file; otherwise a run has its export's name")
    clock_offset: Seconds = Field(0.0, description="how far the tester's clock is ahead of the station's")
    settle: Seconds = Field(10.0, gt=0, description="a file that was not changed for so long is whole")
    every: Seconds = Field(10.0, gt=0, description="how often the folder is looked at")
    record: Seconds = Field(5.0, gt=0, description="how often the pressure is kept")
    pressures: Path = Field(Path("pressures"), description="folder that the pressure is kept in meanwhile")


class SensorBinding(Model):
    """The pressure sensor of a channel: which meter reads it where, and its name among the calibrations."""

    meter: str
    channel: int
    name: str


class SwitchBinding(Model):
    """The switch that hands the cell from its source or cycler to the impedance instrument, with its two routes."""

    instrument: str
    source_route: str
    impedance_route: str


class ChannelSection(Model):
    """A position for a cell, with the instruments bound to it."""

    source: str | None = None
    cycler: CyclerSection | None = None
    exports: ExportsSection | None = None
    impedance: str | None = None
    switch: SwitchBinding | None = None
    sensor: SensorBinding | None = None
    chamber: str | None = Field(None, description="that the cell is in; several channels may name one")
    thermometer: str | None = Field(None, description="at the cell; the chamber's own otherwise")
    frame: str | None = Field(None, description="driven frame that the cell is clamped in")
    trigger: str | None = Field(None, description="instrument whose trigger line markers pulse")
    limits: LimitsModel = LimitsModel()

    @model_validator(mode="after")
    def _driven(self) -> ChannelSection:
        if sum(each is not None for each in (self.source, self.cycler, self.exports)) != 1:
            raise ValueError("a channel has either a 'source' or a 'cycler', or 'exports' of a tester")
        if self.switch is not None and (self.exports is not None or self.impedance is None):
            raise ValueError(
                "a 'switch' hands the cell from its 'source' or 'cycler' to an 'impedance' instrument: name both"
            )
        return self


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class StationConfig(Model):
    """All of `station.toml`."""

    station: StationSection = StationSection()
    simulation: SimulationSection | None = None
    instruments: dict[Name, InstrumentSection] = Field(default_factory=dict)
    channels: dict[Name, ChannelSection] = Field(default_factory=dict)


def read_config(path: Path) -> StationConfig:
    """Raises `ConfigError` with every problem; folders come back absolute."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}; 'cellstation init DIR' writes an example"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}:{_line_of(error, text)}: {error}") from None
    lines = _lines(text)
    try:
        config = StationConfig.model_validate(data)
    except ValidationError as error:
        problems = [(e["loc"], _words(e)) for e in error.errors(include_url=False)]
        raise ConfigError(_messages(path, lines, problems)) from None
    if loose := _loose_ends(config):
        raise ConfigError(_messages(path, lines, loose))
    return _absolute(config, path.resolve().parent)


def _loose_ends(config: StationConfig) -> list[tuple[Place, str]]:
    """What each key alone does not show: unknown drivers, instruments that are not there, positions used twice."""
    return [
        *_impatience(config),
        *_instrument_problems(config),
        *_reference_problems(config),
        *_route_problems(config),
        *_shared_positions(config),
    ]


def _impatience(config: StationConfig) -> Iterator[tuple[Place, str]]:
    speed = config.simulation.speed if config.simulation else 1.0
    if config.station.lost_after <= config.station.poll / speed:
        yield ("station", "lost_after"), "is not longer than 'poll': every channel would trip between two samples"


def _instrument_problems(config: StationConfig) -> Iterator[tuple[Place, str]]:
    reached: list[tuple[InstrumentSection, str]] = []
    for name, instrument in config.instruments.items():
        try:
            check_settings(instrument.driver, instrument.settings)
        except SettingsError as error:
            known = instrument.driver in DRIVERS and not isinstance(error, PlugInError)
            yield ("instruments", name, "settings" if known else "driver"), str(error)
        for other, its_name in reached:
            if (other.address, other.settings) == (instrument.address, instrument.settings):
                yield ("instruments", name, "address"), f"is that of instrument '{its_name}' already"
        reached.append((instrument, name))


def _reference_problems(config: StationConfig) -> Iterator[tuple[Place, str]]:
    for name, channel in config.channels.items():
        cycler = channel.cycler.instrument if channel.cycler else None
        used: dict[str, tuple[str | None, *tuple[type, ...]]] = {
            "source": (channel.source, Source),
            "cycler": (cycler, ProgramCycler, ProcedureCycler),
            "impedance": (channel.impedance, ImpedanceSource),
            "switch": (channel.switch.instrument if channel.switch else None, Switch),
            "sensor": (channel.sensor.meter if channel.sensor else None, ResistanceMeter),
            "chamber": (channel.chamber, Chamber),
            "thermometer": (channel.thermometer, Thermometer),
            "frame": (channel.frame, PressureFrame),
            "trigger": (channel.trigger, TriggerOutput),
        }
        for key, (wanted, *capabilities) in used.items():
            place = ("channels", name, key)
            if wanted is None:
                continue
            if wanted not in config.instruments:
                known = ", ".join(config.instruments) or "none"
                yield place, f"there is no instrument '{wanted}'; there are: {known}"
                continue
            driver = config.instruments[wanted].driver
            cls = _usable(driver)
            if key == "cycler" and channel.impedance and cls and has_capability(cls, ProcedureCycler):
                said = "runs procedures of its own, which the station cannot interrupt for a sweep"
                yield ("channels", name, "impedance"), f"instrument '{wanted}' ({driver}) {said}"
            if cls is not None and not any(has_capability(cls, capability) for capability in capabilities):
                names = " and no ".join(capability.__name__ for capability in capabilities)
                yield place, f"instrument '{wanted}' ({driver}) cannot be used as this: it is no {names}"


def _route_problems(config: StationConfig) -> Iterator[tuple[Place, str]]:
    """Of switches whose settings state their routes, as this project's own do: both are of one cell, and different."""
    for name, channel in config.channels.items():
        if (bound := channel.switch) is None or bound.instrument not in config.instruments:
            continue
        routes = config.instruments[bound.instrument].settings.get("routes")
        wanted = {"source_route": bound.source_route, "impedance_route": bound.impedance_route}
        if not isinstance(routes, dict):
            continue
        if missing := [f"'{route}'" for route in wanted.values() if route not in routes]:
            yield ("channels", name, "switch"), f"'{bound.instrument}' has no route {' and no route '.join(missing)}"
            continue
        cells = {str(routes[route].get("cell")) for route in wanted.values() if isinstance(routes[route], dict)}
        if len(cells) > 1 or bound.source_route == bound.impedance_route:
            yield ("channels", name, "switch"), "its routes must be two, and of the same cell"


def _usable(driver: str) -> type[Instrument] | None:
    """None where it is unknown or cannot be imported, which is told elsewhere."""
    with contextlib.suppress(SettingsError):
        return entry_of(driver).load()
    return None


def _shared_positions(config: StationConfig) -> Iterator[tuple[Place, str]]:
    taken: dict[tuple[object, ...], str] = {}
    for name, channel in config.channels.items():
        positions: list[tuple[str, tuple[object, ...]]] = []
        if channel.source:
            positions.append(("source", ("source", channel.source)))
        if channel.cycler:
            positions.append(("cycler", ("cycler", channel.cycler.instrument, channel.cycler.channel)))
        if channel.switch:
            routes = (channel.switch.source_route, channel.switch.impedance_route)
            positions += [("switch", (f"route {route}", channel.switch.instrument)) for route in routes]
        if channel.exports:
            positions.append(("exports", ("exports", str(channel.exports.folder), channel.exports.files)))
        if channel.frame:
            positions.append(("frame", ("frame", channel.frame)))
        if channel.sensor:
            positions.append(("sensor", ("sensor", channel.sensor.meter, channel.sensor.channel)))
            positions.append(("sensor", ("calibration", channel.sensor.name)))
        for key, position in positions:
            if position in taken:
                yield ("channels", name, key), f"'{position[1]}' is used by channel {taken[position]} already"
                break
            taken[position] = name


CAPABILITIES: tuple[type, ...] = (
    Source,
    ProgramCycler,
    ProcedureCycler,
    ImpedanceSource,
    ResistanceMeter,
    ForceGauge,
    Chamber,
    Thermometer,
    PressureFrame,
    Switch,
    TriggerOutput,
    Press,
    SensorPress,
)


def capabilities_of(driver: type[Instrument]) -> list[str]:
    """By the names of `drivers.interface`; a chamber is a thermometer too, which is not said again."""
    names = [capability.__name__ for capability in CAPABILITIES if has_capability(driver, capability)]
    return [name for name in names if not (name == "Thermometer" and "Chamber" in names)]


def has_capability(driver: type[Instrument], capability: type) -> bool:
    """True where the driver has every method of the capability."""
    wanted = [name for name in vars(capability) if not name.startswith("_") and callable(getattr(capability, name))]
    return all(callable(getattr(driver, name, None)) for name in wanted)


def _absolute(config: StationConfig, folder: Path) -> StationConfig:
    section = config.station
    folders = {key: folder / getattr(section, key) for key in ("spool", "cells", "protocols", "calibrations")}
    resolved = section.model_copy(update={"database": absolute_url(section.database, folder), **folders})
    instruments = {
        name: each.model_copy(update={"trace": folder / each.trace}) if each.trace else each
        for name, each in config.instruments.items()
    }
    channels = {name: _with_absolute_exports(each, folder) for name, each in config.channels.items()}
    return config.model_copy(update={"station": resolved, "instruments": instruments, "channels": channels})


def _with_absolute_exports(channel: ChannelSection, folder: Path) -> ChannelSection:
    if (exports := channel.exports) is None:
        return channel
    folders = {"folder": folder / exports.folder, "pressures": folder / exports.pressures}
    return channel.model_copy(update={"exports": exports.model_copy(update=folders)})


def absolute_url(database: str, folder: PurePath) -> str:
    """An SQLite file is relative to `folder`; other databases, and one in memory, stay what they are."""
    match = re.fullmatch(r"(sqlite(?:\+\w+)?:///)(?!/)(.+)", database)
    if match is None or match[2] == ":memory:":
        return database
    return match[1] + (folder / match[2]).as_posix()


# --- messages


def _messages(path: Path, lines: Mapping[Place, int], problems: Iterable[tuple[Place, str]]) -> str:
    return "\n".join(f"{path}:{_line(lines, place)}: {'.'.join(map(str, place))}: {said}" for place, said in problems)


def _words(error: ErrorDetails) -> str:
    if error["type"] == "string_pattern_mismatch":
        return "a name is made of letters, digits, '_', '-' and '.', and begins with a letter or a digit"
    return in_words(error, StationConfig)


def _line_of(error: tomllib.TOMLDecodeError, text: str) -> int:
    """TOML's parser says the line in words only, and none where the text ends too early."""
    match = re.search(r"\(at line (\d+),", str(error))
    return int(match[1]) if match else text.count("\n") + 1


_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_KEYS = rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*"


def _lines(text: str) -> dict[Place, int]:
    """Where each table and key begins; TOML's parser keeps no positions."""
    found: dict[Place, int] = {}
    table: Place = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(rf"\s*\[{_KEYS}\]", line):
            table = _parts(header[1])
            found.setdefault(table, number)
        elif key := re.match(rf"{_KEYS}=", line):
            found.setdefault((*table, *_parts(key[1])), number)
    return found


def _parts(keys: str) -> Place:
    return tuple(key.strip("\"'") for key in re.findall(_KEY, keys))


def _line(lines: Mapping[Place, int], place: Place) -> int:
    """Of the innermost part of `place` that stands in the file."""
    whole = tuple(map(str, place))
    prefixes = (whole[:depth] for depth in range(len(whole), 0, -1))
    return next((lines[prefix] for prefix in prefixes if prefix in lines), 1)
