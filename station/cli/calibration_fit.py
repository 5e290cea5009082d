"""calibration fit: a record from a table of force and resistance. What computes is imported where it is used."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from station.cli.common import AsJson, calibrations_folder, console, say_json

if TYPE_CHECKING:
    from calibration.data import Area, Meter, Reference
    from calibration.record import Calibration
    from calibration.table_file import Divider
    from calibration.units import Kind

YEAR = 365


class Side(StrEnum):
    """Which end of the divider the sensor is at."""

    SUPPLY = "supply"
    GROUND = "ground"


def add_to(app: typer.Typer) -> None:
    app.command()(fit)


def fit(
    data: Annotated[Path, typer.Argument(help="CSV file with columns of force and resistance; units in the headings")],
    sensor: Annotated[str | None, typer.Option(help="the sensor's name; otherwise the file's")] = None,
    area: Annotated[str | None, typer.Option(help="that the force acts on, '153.9 mm^2'")] = None,
    diameter: Annotated[str | None, typer.Option(help="of a disc, instead of the area: '14 mm'")] = None,
    tolerance: Annotated[str | None, typer.Option(help="± of diameter or area: '0.1 mm', '2 mm^2' or '1 %'")] = None,
    reference: Annotated[str | None, typer.Option(help="load cell: a certificate in references/NAME.toml")] = None,
    force_uncertainty: Annotated[
        str | None, typer.Option(help="expanded (k = 2), where there is no certificate: '0.5 %' or '0.1 N'")
    ] = None,
    meter: Annotated[str, typer.Option(help="what read the resistance")] = "not stated",
    meter_uncertainty: Annotated[str | None, typer.Option(help="the meter's limits of error: '0.05 %'")] = None,
    supply: Annotated[str | None, typer.Option(help="of a voltage divider: '5 V'")] = None,
    resistor: Annotated[str | None, typer.Option(help="the divider's fixed resistor: '10 kΩ'")] = None,
    sensor_at: Annotated[Side | None, typer.Option(help="the sensor's end of the divider")] = None,
    calibrated: Annotated[str | None, typer.Option(help="date of the measurement, 2026-05-31; otherwise today")] = None,
    expires: Annotated[str | None, typer.Option(help="date, or 'never'; otherwise a year later")] = None,
    operator: Annotated[str, typer.Option(help="who measured")] = "",
    calibrations: Annotated[
        Path | None,
        typer.Option("--calibrations", help="folder of the records; otherwise that of station.toml in this folder"),
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="write the certificate as this HTML page")] = None,
    certificate: Annotated[Path | None, typer.Option("--certificate", help="write the certificate as this PDF")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="store nothing")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="store without asking")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit force and resistance from a file, state the uncertainty, and store the record as the sensor's next version.

    Nothing is stored where the data make no calibration; every problem is said with its line.
    """
    from calibration.evaluate import Basis, evaluate
    from calibration.record import Calibration
    from calibration.registry import Registry
    from calibration.table_file import read_table

    name = _sensor_name(sensor, data)
    stated = _area(area, diameter, tolerance)
    table = read_table(data, area=stated, divider=_divider(supply, resistor, sensor_at))
    if table.area is None:
        raise typer.BadParameter("say what area the force acts on: --area '153.9 mm^2' or --diameter '14 mm'")
    registry = Registry(calibrations_folder(calibrations))
    day = _date(calibrated, "--calibrated") or datetime.datetime.now().astimezone().date()
    until = None if expires == "never" else _date(expires, "--expires") or day + datetime.timedelta(days=YEAR)
    cell = _reference(registry.folder, reference, force_uncertainty, day)
    basis = Basis(table.area, cell.reference, _meter(meter, meter_uncertainty))
    evaluation = evaluate(table.data, basis)
    record = Calibration(
        sensor=name,
        version=max(registry.versions(name), default=0) + 1,
        model=evaluation.choice.best.model,
        area=basis.area,
        evaluation=evaluation,
        data=table.data,
        reference=basis.reference,
        meter=basis.meter,
        conditions=_conditions(operator),
        calibrated=day,
        expires=until,
        issued=datetime.datetime.now(datetime.UTC),
        software=f"cellstation {importlib.metadata.version('cellstation')}",
        note="\n".join((*table.notes, *cell.remarks, *_unstated(meter_uncertainty))),
    )
    if not as_json:
        _print(record)
    path = None if dry_run or not _wanted(record, yes or as_json) else registry.add(record)
    kept = registry.get(name, int(path.stem.rpartition("-v")[2])) if path else record
    earlier = [entry.calibration for entry in registry.history(name)] if registry.versions(name) else []
    _write_certificates(kept, earlier, report, certificate)
    _say(kept, path, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Cell:
    """The load cell as stated, and what is to be said of it."""

    reference: Reference
    remarks: tuple[str, ...] = ()


def _sensor_name(given: str | None, data: Path) -> str:
    name = given if given is not None else re.sub(r"[^A-Za-z0-9_.-]+", "-", data.stem).strip("-._")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise typer.BadParameter(f"'{name}' is no name of a sensor: letters, digits, '.', '_' and '-' (--sensor)")
    return name


def _area(area: str | None, diameter: str | None, tolerance: str | None) -> Area | None:
    """Its tolerance is rectangular."""
    from calibration.data import Area
    from calibration.units import Kind, share

    if area is not None and diameter is not None:
        raise typer.BadParameter("either --area or --diameter, not both")
    if area is None and diameter is None:
        if tolerance is not None:
            raise typer.BadParameter("--tolerance is that of --area or --diameter")
        return None
    relative = share(tolerance) if tolerance is not None else None
    if diameter is not None:
        value = _quantity(diameter, Kind.LENGTH, "--diameter")
        within = relative * value if relative is not None else _quantity(tolerance, Kind.LENGTH, "--tolerance")
        return Area.disc(value, within)
    assert area is not None
    value = _quantity(area, Kind.AREA, "--area")
    within = relative * value if relative is not None else _quantity(tolerance, Kind.AREA, "--tolerance")
    return Area(value_m2=value, standard_uncertainty_m2=within / math.sqrt(3), source="as stated")


def _divider(supply: str | None, resistor: str | None, side: Side | None) -> Divider | None:
    from calibration.table_file import Divider
    from calibration.units import Kind

    if supply is None and resistor is None:
        return None
    if supply is None or resistor is None:
        raise typer.BadParameter("a divider has both --supply and --resistor")
    return Divider(
        _quantity(supply, Kind.VOLTAGE, "--supply"),
        _quantity(resistor, Kind.RESISTANCE, "--resistor"),
        None if side is None else side is Side.SUPPLY,
    )


def _reference(folder: Path, name: str | None, uncertainty: str | None, day: datetime.date) -> _Cell:
    from calibration.data import Reference
    from calibration.reference import certificate_named
    from calibration.units import Kind, share

    if name is not None:
        certificate = certificate_named(folder / "references", name)
        said = [f"forces as the file states them, taken as corrected by the certificate of {name}"]
        if certificate.expired(day):
            said.append(f"the certificate of load cell {name} expired on {certificate.expires}")
        return _Cell(certificate.reference(), tuple(said))
    if uncertainty is None:
        cell = Reference(name="not stated", statement="forces as the file states them")
        return _Cell(cell, ("no load cell is stated: its uncertainty is not in the budget",))
    relative = share(uncertainty)
    absolute = 0.0 if relative is not None else _quantity(uncertainty, Kind.FORCE, "--force-uncertainty")
    return _Cell(
        Reference(
            name="as stated",
            relative_standard_uncertainty=(relative or 0.0) / 2,
            standard_uncertainty_N=absolute / 2,
            statement=f"forces as the file states them, expanded uncertainty {uncertainty} (k = 2)",
        )
    )


def _meter(name: str, limits: str | None) -> Meter:
    """Limits of error are rectangular."""
    from calibration.data import Meter
    from calibration.units import share

    relative = share(limits) if limits is not None else 0.0
    if relative is None:
        raise typer.BadParameter(f"--meter-uncertainty: '{limits}' is no share; write it like '0.05 %'")
    return Meter(name=name, relative_standard_uncertainty=relative / math.sqrt(3))


def _unstated(meter_uncertainty: str | None) -> tuple[str, ...]:
    return () if meter_uncertainty else ("no limits of error of the meter are stated: they are not in the budget",)


def _conditions(operator: str) -> Any:
    from calibration.data import Conditions

    return Conditions(operator=operator, method="fitted from a file")


def _quantity(text: str | None, kind: Kind, option: str) -> float:
    """In SI; nothing is 0, and what is given must not be below it."""
    from calibration.units import UnitError, quantity

    if text is None:
        return 0.0
    try:
        value = quantity(text, kind)
    except UnitError as error:
        raise typer.BadParameter(f"{option}: {error}") from None
    if value < 0 or (value == 0 and option != "--tolerance"):
        raise typer.BadParameter(f"{option}: '{text}' is not above zero")
    return value


def _date(text: str | None, option: str) -> datetime.date | None:
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option}: '{text}' is no date; write it like 2026-05-31") from None


def _print(record: Calibration) -> None:
    from station.cli.calibration_tables import area_words, curve, print_evaluation

    console.print(record.id, style="bold", markup=False)
    console.print(curve(record.model), markup=False, soft_wrap=True)
    console.print(f"area {area_words(record.area)}", markup=False, soft_wrap=True)
    print_evaluation(record)
    for note in record.note.splitlines():
        console.print(f"note: {note}", markup=False, soft_wrap=True)


def _wanted(record: Calibration, yes: bool) -> bool:
    """Asked where a person is there to answer."""
    return yes or not sys.stdin.isatty() or typer.confirm(f"Store as {record.id}?")


def _write_certificates(
    record: Calibration, history: Sequence[Calibration], report: Path | None, certificate: Path | None
) -> None:
    if report is None and certificate is None:
        return
    from calibration.certificate import write_html, write_pdf

    for path, write in ((report, write_html), (certificate, write_pdf)):
        if path is not None:
            write(record, path, history)


def _say(record: Calibration, path: Path | None, *, as_json: bool) -> None:
    if as_json:
        content = record.model_dump(mode="json", exclude={"data": True, "evaluation": {"table"}})
        say_json({**content, "stored": str(path) if path else None})
    elif path is not None:
        console.print(f"stored: {path}", markup=False, soft_wrap=True)
    else:
        console.print("not stored", markup=False)
