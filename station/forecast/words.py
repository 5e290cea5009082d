"""A forecast for people: tables for a terminal. A long run is condensed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from station.forecast.results import (
    CycleForecast,
    Ending,
    Forecast,
    LimitForecast,
    Moment,
    Range,
    StepForecast,
)

MOST_LINES = 12  # of cycles, and of each kind of event

_UNITS = {"V": (1.0, "V"), "A": (1e3, "mA"), "degC": (1.0, "°C")}


def in_words(forecast: Forecast) -> RenderableType:
    """All that a person wants to know first."""
    parts = [
        Text(f"SIMULATED forecast: {forecast.protocol}", style="bold"),
        _facts(forecast),
        _steps(forecast.steps),
        _cycles(forecast),
        _limits(forecast.limits),
        *_events(forecast),
    ]
    return Group(*(part for part in parts if part is not None))


def duration(seconds: float) -> str:
    """Such as '42 s', '3.5 min', '4 h' or '12.3 d'."""
    for limit_s, unit, length_s in ((120.0, "s", 1.0), (2 * 3600.0, "min", 60.0), (4 * 86400.0, "h", 3600.0)):
        if seconds < limit_s:
            return f"{seconds / length_s:.3g} {unit}"
    return f"{seconds / 86400.0:.1f} d"


def size(count: float) -> str:
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f} B"


def scale_of(unit: str, value: float) -> tuple[float, str]:
    """The factor to, and the name of, the unit that a value of this size is read in."""
    if unit != "Pa":
        return _UNITS[unit]
    return (1e-6, "MPa") if abs(value) >= 9.9995e6 else (1e-3, "kPa")


def quantity(value: float, unit: str) -> str:
    scale, shown = scale_of(unit, value)
    return f"{value * scale:.4g} {shown}"


def place(at: Moment) -> str:
    return f"in step {at.step_name}, cycle {at.cycle}, at {duration(at.time_s)}"


# --- the whole


def _facts(forecast: Forecast) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, text in _facts_in_words(forecast):
        table.add_row(name, text)
    return table


def _facts_in_words(forecast: Forecast) -> Iterator[tuple[str, Text]]:
    chemistry = f" ({forecast.chemistry})" if forecast.chemistry else ""
    yield "cell", Text(f"{forecast.cell}{chemistry}, simulated, at {forecast.temperature_begin_degC:g} °C")
    style = "green" if forecast.ending is Ending.FINISHED else "bold red"
    yield "ends", Text(ending(forecast), style=style)
    hours = f" ({forecast.duration_s / 3600:.1f} h)" if forecast.duration_s >= 4 * 86400 else ""
    yield "duration", Text(f"{duration(forecast.duration_s)}{hours} of the test's time")
    yield "cycles", Text(f"{forecast.cycles_whole} whole, {forecast.cycles_planned} planned")
    for name, found, unit in (("voltage", forecast.voltage_V, "V"), ("pressure", forecast.pressure_Pa, "Pa")):
        if found is not None:
            yield name, Text(_range(found, unit))
    yield "storage", Text(_storage(forecast))


def ending(forecast: Forecast) -> str:
    if forecast.ending is not Ending.TRIPPED:
        return forecast.reason
    at = f", {place(forecast.limit_met.at)}" if forecast.limit_met is not None else ""
    return f"TRIPS: {forecast.reason}{at}"


def _range(found: Range, unit: str) -> str:
    low, high = (f"{quantity(each.value, unit)} ({place(each.at)})" for each in (found.lowest, found.highest))
    return f"{low} to {high}"


def _storage(forecast: Forecast) -> str:
    found = forecast.storage
    return (
        f"{size(found.total_bytes)} in SQLite: {len(forecast.steps)} steps, {len(forecast.spectra)} spectra and "
        f"{found.readings_expected} readings of {found.bytes_per_reading:.0f} bytes "
        f"(measured; {found.readings_in_forecast} here, more on a bench that samples each {found.poll_s:g} s)"
    )


# --- tables


def _table(title: str, *headings: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number == 0 else "right", overflow="fold")
    return table


def _steps(steps: Sequence[StepForecast]) -> Table | None:
    """A line for each step of the protocol; where it was executed more than once, of its first and its last time."""
    by_name: dict[str, list[StepForecast]] = {}
    for step in steps:
        by_name.setdefault(step.step_name, []).append(step)
    if not by_name:
        return None
    table = _table(
        "Steps (of one that is done again and again, the first and the last time)",
        "step",
        "times",
        "duration",
        "capacity\nmAh",
        "energy\nmWh",
        "ended by",
    )
    table.columns[-1].justify = "left"
    for name, same in by_name.items():
        table.add_row(
            Text(name),
            str(len(same)),
            _first_and_last(duration(step.duration_s) for step in same),
            _first_and_last(f"{step.capacity_Ah * 1e3:.4g}" for step in same),
            _first_and_last(f"{step.energy_Wh * 1e3:.4g}" for step in same),
            Text(_reasons(same)),
        )
    return table


def _first_and_last(values: Iterable[str]) -> str:
    listed = list(values)
    return listed[0] if len(set(listed)) == 1 else f"{listed[0]}\n{listed[-1]}"


def _reasons(steps: Sequence[StepForecast]) -> str:
    counted = Counter(step.end_reason for step in steps).most_common(3)
    if len(counted) == 1:
        return counted[0][0]
    return "; ".join(f"{reason} ({times}×)" for reason, times in counted)


def _cycles(forecast: Forecast) -> Table | None:
    cycles = [cycle for cycle in forecast.cycles if cycle.charge_capacity_Ah or cycle.discharge_capacity_Ah]
    if not cycles:
        return None
    shown, specific = condensed(cycles), forecast.active_mass_g is not None
    scale, pressure_unit = scale_of("Pa", max(cycle.pressure_max_Pa or 0.0 for cycle in cycles))
    table = _table(
        "Cycles" if len(shown) == len(cycles) else f"Cycles ({len(shown)} of {len(cycles)})",
        "cycle",
        "duration",
        "charge\nmAh",
        "disch.\nmAh",
        *(["disch.\nmAh/g"] if specific else []),
        "Coulomb.\n%",
        "energy\n%",
        f"pressure\n{pressure_unit}",
    )
    for cycle in shown:
        table.add_row(*_cycle_row(cycle, forecast.active_mass_g, scale))
    return table


def condensed(cycles: Sequence[CycleForecast]) -> Sequence[CycleForecast]:
    """The first three, the last two and some between."""
    if len(cycles) <= MOST_LINES:
        return cycles
    between = MOST_LINES - 5
    spread = {3 + round((len(cycles) - 6) * (number + 1) / (between + 1)) for number in range(between)}
    return [cycles[index] for index in sorted({0, 1, 2, len(cycles) - 2, len(cycles) - 1} | spread)]


def _cycle_row(cycle: CycleForecast, active_mass_g: float | None, pressure_scale: float) -> list[str]:
    specific = [f"{cycle.discharge_capacity_Ah * 1e3 / active_mass_g:.4g}"] if active_mass_g is not None else []
    return [
        str(cycle.cycle),
        duration(cycle.duration_s),
        f"{cycle.charge_capacity_Ah * 1e3:.4g}",
        f"{cycle.discharge_capacity_Ah * 1e3:.4g}",
        *specific,
        _percent(cycle.coulombic_efficiency),
        _percent(cycle.energy_efficiency),
        _pressures(cycle, pressure_scale),
    ]


def _percent(value: float | None) -> str:
    return f"{100 * value:.2f}" if value is not None else "–"


def _pressures(cycle: CycleForecast, scale: float) -> str:
    if cycle.pressure_min_Pa is None or cycle.pressure_max_Pa is None:
        return "–"
    return f"{cycle.pressure_min_Pa * scale:.4g}–{cycle.pressure_max_Pa * scale:.4g}"


def _limits(limits: Sequence[LimitForecast]) -> Table | None:
    if not limits:
        return None
    table = _table("Limits in force", "limit", "at", "nearest", "met", "set by")
    table.columns[-1].justify = "left"
    for each in limits:
        name, bound, unit = each.limit.split("_")
        table.add_row(
            f"{'highest' if bound == 'max' else 'lowest'} {name}",
            quantity(each.value, unit),
            "–" if each.nearest is None else quantity(each.nearest, unit),
            Text("MET", style="bold red") if each.met else "no",
            Text(each.set_by.split(" '")[0]),  # without a protocol's title
        )
    return table


# --- what else comes up


def _events(forecast: Forecast) -> Iterator[Table | None]:
    yield _list(
        "Questions to the operator (answered at once here; a run waits)",
        [(each.at, f"“{each.text}”") for each in forecast.questions],
    )
    yield _list(
        "Waits for temperature and pressure",
        [(each.at, f"{duration(each.duration_s)}, until {each.end_reason}") for each in forecast.waits],
    )
    yield _list(
        "Markers",
        [(each.at, each.name + (" (with trigger)" if each.triggered else "")) for each in forecast.markers],
    )
    yield _list(
        "Impedance",
        [(each.at, f"{each.points} points in {duration(each.duration_s)}") for each in forecast.spectra],
    )


def _list(title: str, lines: Sequence[tuple[Moment, str]]) -> Table | None:
    if not lines:
        return None
    table = _table(title, "at", "cycle", "step", "")
    table.columns[2].justify = table.columns[3].justify = "left"
    shown = lines if len(lines) <= MOST_LINES else (*lines[: MOST_LINES - 1], lines[-1])
    for number, (at, text) in enumerate(shown):
        if len(shown) < len(lines) and number == len(shown) - 1:
            table.add_row("…", "", "", Text(f"{len(lines) - len(shown)} more"))
        table.add_row(duration(at.time_s), str(at.cycle), Text(at.step_name), Text(text))
    return table
