"""What a channel can do, as far as station.toml and the drivers' own declarations say: no instrument is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from drivers.interface import ProcedureCycler, Range
from drivers.registry import DRIVERS
from protocols.abilities import Abilities, check_channel
from protocols.cell import Cell
from protocols.document import DocumentError, Problem
from protocols.limits import Limits
from protocols.program import Program
from station.channel import MIN_PERIOD_S
from station.config import ChannelSection, ConfigError, StationConfig, has_capability
from station.cycler_parts import cut, cut_at_procedures
from station.preflight import beyond_limits, wants_trigger


def channel_section(config: StationConfig, name: str, file: Path) -> ChannelSection:
    """Raises `ConfigError` where the station has no such channel."""
    if name not in config.channels:
        known = ", ".join(config.channels) or "none"
        raise ConfigError(f"{file}: there is no channel '{name}'; there are: {known}")
    return config.channels[name]


def abilities_of(config: StationConfig, channel: ChannelSection) -> Abilities:
    """What is not declared stays unknown; the instruments themselves are asked when a run starts."""
    has_pressure = channel.sensor is not None or channel.frame is not None
    has_temperature = channel.thermometer is not None or channel.chamber is not None
    if channel.cycler is not None:  # what it cannot be told otherwise, `cut` says
        procedures = True if runs_procedures(config, channel) else None
        return Abilities(
            frequency_range_Hz=_range(_driver(config, channel.impedance), "frequency_range"),
            has_pressure=has_pressure,
            has_temperature=has_temperature,
            has_chamber=channel.chamber is not None,
            has_frame=channel.frame is not None,
            has_procedures=procedures,
        )
    if channel.exports is not None:
        return Abilities(has_impedance=False, has_chamber=False, has_frame=False, has_procedures=False)
    speed = config.simulation.speed if config.simulation else 1.0
    source = _driver(config, channel.source)
    impedance = _driver(config, channel.impedance)
    return Abilities(
        shortest_period_s=MIN_PERIOD_S * speed if speed > 1 else None,
        current_range_A=_range(source, "current_range"),
        voltage_range_V=_range(source, "voltage_range"),
        frequency_range_Hz=_range(impedance, "frequency_range"),
        has_impedance=channel.impedance is not None,
        has_pressure=has_pressure,
        has_temperature=has_temperature,
        has_chamber=channel.chamber is not None,
        has_frame=channel.frame is not None,
        has_procedures=False,
    )


def runs_procedures(config: StationConfig, channel: ChannelSection) -> bool:
    """Whether its cycler is told which of its stored procedures to run, and sent no program."""
    driver = _driver(config, channel.cycler.instrument if channel.cycler else None)
    return driver is not None and has_capability(driver, ProcedureCycler)


def problems_on(program: Program, cell: Cell, config: StationConfig, channel: ChannelSection) -> tuple[Problem, ...]:
    """What would be refused when the run starts there, as far as it is known without the instruments."""
    limits = _limits(program, cell, config, channel)
    found = [*check_channel(program, abilities_of(config, channel)), *beyond_limits(program, limits)]
    if channel.exports is not None:
        said = "this channel is of a tester that cannot be controlled: its exports become runs, and nothing starts here"
        found.append(Problem(program.file, 1, 1, said))
    if channel.cycler is not None:
        try:
            if runs_procedures(config, channel):
                cut_at_procedures(program, measures_impedance=channel.impedance is not None)
            else:
                cut(program, measures_impedance=channel.impedance is not None)
        except DocumentError as error:
            found += error.problems
    return tuple(sorted(dict.fromkeys(found), key=lambda p: (p.file, p.line, p.column)))


def notes_on(program: Program, config: StationConfig, channel: ChannelSection) -> Iterator[Problem]:
    """What works, and may surprise."""
    if wants_trigger(program) and channel.trigger is None:
        yield Problem(
            program.file, 1, 1, "markers pulse a trigger line, and this channel has none: only the record has them"
        )
    poll = config.station.poll
    for rule, file, line, column in (
        (program.record, program.file, 1, 1),
        *((step.record, step.file, step.line, step.column) for step in program.steps()),
    ):
        if rule is not None and min(rule.every_s, rule.burst_every_s or rule.every_s) < poll:
            said = f"records faster than the station samples ('poll' is {poll:g} s)"
            yield Problem(file, line, column, f"{said}; it samples faster there, as fast as the instruments answer")


def _limits(program: Program, cell: Cell, config: StationConfig, channel: ChannelSection) -> Limits:
    bench = config.station.limits.limits().narrowed_by(channel.limits.limits())
    return bench.narrowed_by(cell.limits.limits()).narrowed_by(program.limits)


def _driver(config: StationConfig, instrument: str | None) -> type | None:
    return None if instrument is None else DRIVERS[config.instruments[instrument].driver]


def _range(driver: type | None, name: str) -> tuple[float, float] | None:
    """That the driver declares of its instrument."""
    found = getattr(driver, name, None)
    return (found.low, found.high) if isinstance(found, Range) else None
