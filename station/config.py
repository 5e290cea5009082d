"""The station's configuration: `station.toml`, checked, with every message naming file and line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from drivers.registry import SettingsError, check_settings
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


class CyclerChannel(Model):
    """A channel of a cycler that runs whole programs alone."""

    instrument: str
    channel: str


class SensorBinding(Model):
    """The pressure sensor of a channel: which meter reads it where, and its name among the calibrations."""

    meter: str
    channel: int
    name: str


class ChannelSection(Model):
    """A position for a cell, with the instruments bound to it."""

    source: str | None = None
    cycler: CyclerChannel | None = None
    impedance: str | None = None
    sensor: SensorBinding | None = None
    limits: LimitsModel = LimitsModel()

    @model_validator(mode="after")
    def _driven(self) -> ChannelSection:
        if (self.source is None) == (self.cycler is None):
            raise ValueError("a channel has either a 'source' or a 'cycler'")
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
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}; 'cellstation init DIR' writes an example"
        ) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    try:
        config = StationConfig.model_validate(data)
    except ValidationError as error:
        lines = [
            f"{path}:{_line(text, e['loc'])}: {'.'.join(map(str, e['loc']))}: {_words(e)}"
            for e in error.errors(include_url=False)
        ]
        raise ConfigError("\n".join(lines)) from None
    if problems := [f"{path}:{_line(text, place)}: {'.'.join(place)}: {said}" for place, said in _loose_ends(config)]:
        raise ConfigError("\n".join(problems))
    return _absolute(config, path.resolve().parent)


def _loose_ends(config: StationConfig) -> list[tuple[tuple[str, ...], str]]:
    """Unknown drivers and settings, references to instruments that are not there, positions used twice."""
    found: list[tuple[tuple[str, ...], str]] = []
    for name, instrument in config.instruments.items():
        try:
            check_settings(instrument.driver, instrument.settings)
        except SettingsError as error:
            found.append((("instruments", name), str(error)))
    taken: dict[tuple[object, ...], str] = {}
    for name, channel in config.channels.items():
        place = ("channels", name)
        used = {
            "source": channel.source,
            "cycler": channel.cycler.instrument if channel.cycler else None,
            "impedance": channel.impedance,
            "sensor": channel.sensor.meter if channel.sensor else None,
        }
        for key, wanted in used.items():
            if wanted is not None and wanted not in config.instruments:
                known = ", ".join(config.instruments) or "none"
                found.append(((*place, key), f"there is no instrument '{wanted}'; there are: {known}"))
        positions: list[tuple[str, tuple[object, ...]]] = []
        if channel.source:
            positions.append(("source", ("source", channel.source)))
        if channel.cycler:
            positions.append(("cycler", ("cycler", channel.cycler.instrument, channel.cycler.channel)))
        if channel.sensor:
            positions.append(("sensor", ("sensor", channel.sensor.meter, channel.sensor.channel)))
        for key, position in positions:
            if position in taken:
                found.append(((*place, key), f"is used by channel {taken[position]} already"))
            taken[position] = name
    return found


def _absolute(config: StationConfig, folder: Path) -> StationConfig:
    section = config.station
    database = section.database
    if (match := re.fullmatch(r"sqlite:///(?!/)(.+)", database)) and match[1] != ":memory:":
        database = f"sqlite:///{(folder / match[1]).as_posix()}"
    resolved = section.model_copy(
        update={
            "database": database,
            **{key: folder / getattr(section, key) for key in ("spool", "cells", "protocols", "calibrations")},
        }
    )
    return config.model_copy(update={"station": resolved})


def _words(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "is not known here"
        case "missing":
            return "is missing"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")


def _line(text: str, place: tuple[Any, ...]) -> int:
    """The line of the innermost part of `place` that can be found; TOML's parser keeps no positions."""
    lines = text.splitlines()
    keys = [str(part) for part in place]
    for depth in range(len(keys), 0, -1):
        header = re.compile(r"^\s*\[\s*" + r"\s*\.\s*".join(rf"\"?{re.escape(k)}\"?" for k in keys[:depth]) + r"\s*\]")
        for index, line in enumerate(lines):
            if header.match(line):
                return _key_line(lines, index + 1, keys[depth:]) or index + 1
    return 1


def _key_line(lines: list[str], start: int, keys: list[str]) -> int | None:
    for index in range(start, len(lines)):
        if lines[index].lstrip().startswith("["):
            return None
        if keys and re.match(rf"^\s*\"?{re.escape(keys[0])}\"?\s*=", lines[index]):
            return index + 1
    return None
