"""Tables for a terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table

from station.readings import ChannelView, StationView


def channels_table(view: StationView, title: str) -> Table:
    """All channels, a line each, with units."""
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in ("channel", "state", "step", "cycle", "voltage", "current", "capacity", "pressure"):
        table.add_column(heading, no_wrap=heading not in ("state", "step"))
    for channel in view.channels:
        table.add_row(*_channel_row(channel))
    return table


def _channel_row(channel: ChannelView) -> tuple[str, ...]:
    """A channel in words, with units."""
    cycles = f"{channel.cycle or '–'}/{channel.cycles_planned or '–'}"
    return (
        channel.name,
        f"{channel.state}{': ' + said if (said := channel.reason or channel.question) else ''}",
        channel.step_name or "–",
        cycles if channel.run_id else "–",
        _with_unit(channel.voltage_V, "V", 4),
        _with_unit(channel.current_A, "mA", 4, 1e3),
        _with_unit(channel.step_capacity_Ah, "mAh", 3, 1e3),
        _with_unit(channel.pressure_Pa, "kPa", 0, 1e-3),
    )


def _with_unit(value: float | None, unit: str, digits: int, scale: float = 1.0) -> str:
    return f"{value * scale:.{digits}f} {unit}" if value is not None else "–"
