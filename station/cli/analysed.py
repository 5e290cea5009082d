"""What the commands of analysis take: readings from a run or a file, and quantities with an uncertainty."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protocols.quantities import QuantityError, number
from station.cli.common import console, database_url, err, resolved_run

if TYPE_CHECKING:
    import pandas as pd

    from station.analysis.basis import Basis
    from station.analysis.estimate import Estimate
    from station.analysis.record import Record

Source = Annotated[
    str,
    typer.Argument(help="a run as 'cellstation runs' lists it ('last'), or a file of a cycler (see docs/formats.md)"),
]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="CSV file to write the numbers to")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace the file if it exists")]
RestCurrent = Annotated[str | None, typer.Option("--rest-current", help="up to which a current is rest: '1 uA'")]

_PLUS_MINUS = re.compile(r"\s*(?:±|\+/-|\+-)\s*")


@dataclass(frozen=True, slots=True)
class Given:
    """The readings, and what the run's cell file says."""

    name: str  # the file's, or the run's cell
    record: Record
    simulated: bool = False
    active_mass_g: float | None = None
    area_cm2: float | None = None
    capacity_Ah: float | None = None
    chemistry: str = ""
    finished: bool = True  # a file does not say; it is taken as it is


def given(source: str, db: str | None) -> Given:
    """A name with the suffix of a kind that is read, or that of a file, is a file; anything else is a run."""
    found = _file(Path(source)) if is_file(source) else _run(source, db)
    if found.simulated:
        err.print("SIMULATED: these readings are of a simulated cell", markup=False)
    if left_out := found.record.left_out:
        err.print(f"{left_out} readings without a time, a voltage or a current are left out", markup=False)
    return found


def is_file(source: str) -> bool:
    from station.analysis.files import SUFFIXES

    path = Path(source)
    return path.suffix.lower() in SUFFIXES or path.is_file()


def _file(path: Path) -> Given:
    from station.analysis.files import is_simulated, read_cycling

    record = read_cycling(path)
    return Given(path.name.split(".")[0], record, is_simulated(path))


def _run(source: str, db: str | None) -> Given:
    from protocols.cell import parse_cell
    from station.analysis.record import as_record
    from station.readings import RunState
    from station.store import Archive

    archive = Archive(database_url(db))
    run_id = resolved_run(archive, source)
    run, text = archive.run(run_id), json.loads(archive.snapshot(run_id).document).get("cell", {}).get("text")
    cell = parse_cell(text) if text else None
    return Given(
        run.cell,
        as_record(archive.frame(run_id)),
        run.simulated,
        run.active_mass_g,
        run.electrode_area_cm2,
        cell.capacity_Ah if cell else None,
        cell.chemistry if cell else "",
        run.state is RunState.FINISHED,
    )


def basis(found: Given, masses: Sequence[str] | None, area: str | None, volume: str | None) -> Basis:
    """From the options, and from the run where they do not say otherwise."""
    from station.analysis.basis import Basis

    named = {} if found.active_mass_g is None else {"active": found.active_mass_g}
    for text in masses or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise typer.BadParameter(f"'{text}' is no named mass; write it like 'active=1.5 mg'", param_hint="--mass")
        named[name.strip()] = quantity(value, "g", "a mass", "--mass")
    area_cm2 = found.area_cm2 if area is None else quantity(area, "cm^2", "an area", "--area")
    return Basis(named, area_cm2, None if volume is None else quantity(volume, "cm^3", "a volume", "--volume"))


def quantity(text: str, unit: str, kind: str, option: str) -> float:
    """Raises a mistake in usage, which names the option."""
    try:
        return number(text.strip(), unit, kind)
    except QuantityError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def optional(text: str | None, unit: str, kind: str, option: str) -> float | None:
    return None if text is None else quantity(text, unit, kind, option)


def estimate(text: str, unit: str, kind: str, option: str) -> Estimate:
    """'100 ohm', '100 ohm ± 2 ohm' or '100 ohm +- 2 %': what follows is the standard uncertainty."""
    from station.analysis.estimate import Estimate

    value, *rest = _PLUS_MINUS.split(text.strip(), maxsplit=1)
    size = quantity(value, unit, kind, option)
    if not rest:
        return Estimate(size)
    if rest[0].rstrip().endswith("%"):
        try:
            return Estimate(size, abs(size) * float(rest[0].rstrip(" %")) / 100)
        except ValueError:
            raise typer.BadParameter(f"'{rest[0]}' is no percentage", param_hint=option) from None
    return Estimate(size, abs(quantity(rest[0], unit, "an uncertainty", option)))


def write_table(table: pd.DataFrame, path: Path | None, *, overwrite: bool) -> None:
    """As CSV, with every digit. Raises FileExistsError where the file is there and may not be replaced."""
    if path is None:
        return
    if path.exists() and not overwrite:
        raise FileExistsError(17, "the file exists; '--overwrite' replaces it", str(path))
    table.to_csv(path, index=False)
    console.print(str(path), markup=False)


def show(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def shown(value: float | None, scale: float = 1.0, digits: int = 4) -> str:
    return "–" if value is None or value != value else f"{value * scale:.{digits}g}"
