"""A calibration in the terminal, as it goes on."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from calibration.procedure.words import newtons, span
from station.calibration_views import CalibrationView, Deed, PointView

NEWEST = 6  # points shown
KEYS = {
    Deed.CONFIRM: "[Enter] done",
    Deed.TAKE: "[t] take it now",
    Deed.REPEAT: "[r] repeat",
    Deed.EXCLUDE: "[e] exclude a point",
    Deed.INCLUDE: "[i] include it again",
    Deed.SKIP: "[s] skip",
    Deed.PAUSE: "[p] pause",
    Deed.RESUME: "[p] go on",
    Deed.ABANDON: "[a] abandon",
}


def ohms(value: float) -> str:
    for factor, unit in ((1e6, "MΩ"), (1e3, "kΩ")):
        if value >= factor:
            return f"{value / factor:.4g} {unit}"
    return f"{value:.4g} Ω"


def display(view: CalibrationView) -> RenderableType:
    """All that the technician needs."""
    parts: list[RenderableType] = [Text(f"\n{view.instruction}\n", style="bold", justify="center")]
    if view.trouble:
        parts.append(Text(f"{view.trouble}\n", style="bold white on red", justify="center"))
    parts += [_readings(view), Text(), _progress(view), Text(), _points(view.points[-NEWEST:])]
    keys = "   ".join([text for deed, text in KEYS.items() if deed in view.deeds] + ["[q] leave it running"])
    parts += [Text(), Text(keys, style="dim")]
    simulated = "SIMULATED  " if view.simulated else ""
    return Panel(Group(*parts), title=Text(f"{simulated}{view.sensor}: {view.title}"), box=box.HEAVY, padding=(0, 2))


def point_line(point: PointView) -> str:
    """A point in one line, for scripts' logs."""
    said = f"; excluded: {point.excluded}" if point.excluded else f"; {point.note}" if point.note else ""
    return (
        f"point {point.index}: series {point.series}, insertion {point.insertion}, {point.direction}: "
        f"{newtons(point.force_N)}, {ohms(point.resistance_ohm)}{said}"
    )


def _readings(view: CalibrationView) -> Table:
    table = Table.grid(padding=(0, 3))
    force = "–" if view.force_N is None else newtons(view.force_N)
    target = "" if view.target_N is None else f"asked: {newtons(view.target_N)} ± {newtons(view.tolerance_N or 0.0)}"
    resistance = "open" if view.resistance_open else "–" if view.resistance_ohm is None else ohms(view.resistance_ohm)
    near = _mark(view.force_ok, "near enough", "not there yet")
    table.add_row("force", Text(force, style="bold"), near, _mark(view.force_stable, "at rest", "moves"), target)
    resting = _mark(view.resistance_stable, "at rest", "moves")
    table.add_row("resistance", Text(resistance, style="bold"), "", resting, _waiting(view))
    return table


def _mark(good: bool, yes: str, no: str) -> Text:
    return Text(f"✓ {yes}", style="green") if good else Text(f"· {no}", style="yellow")


def _waiting(view: CalibrationView) -> str:
    if view.taking is not None:
        return f"taken: {view.taking:.0%}"
    if view.dwell_left_s > 0:
        return f"{span(view.dwell_left_s)} more at this load"
    return f"waiting for {span(view.waited_s)}" if view.waited_s else ""


def _progress(view: CalibrationView) -> Table:
    table = Table.grid(padding=(0, 2))
    left = "" if view.remaining_s is None else f"about {span(view.remaining_s)} to go"
    table.add_row(
        ProgressBar(total=max(1, view.steps), completed=view.step, width=48), f"{view.step}/{view.steps}", left
    )
    return table


def _points(points: tuple[PointView, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("point", "series", "insertion", "", "force", "resistance", ""):
        table.add_column(heading)
    for point in points:
        said = f"excluded: {point.excluded}" if point.excluded else point.note
        row = (point.index, point.series, point.insertion, point.direction)
        numbers = (newtons(point.force_N), ohms(point.resistance_ohm))
        table.add_row(*map(str, row), *numbers, said, style="dim" if point.excluded else "")
    return table
