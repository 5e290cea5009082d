"""A calibration in the terminal: its models, budget and history."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from station.cli.common import console

if TYPE_CHECKING:
    from calibration.data import Area
    from calibration.models import Response
    from calibration.record import Calibration
    from calibration.registry import Entry
    from calibration.results import Budget, Choice


def print_list(found: Sequence[tuple[Calibration, int]], today: datetime.date) -> None:
    table = _table("sensor", "version", "calibrated", "expires", "model", "range", "U at mid range")
    for record, versions in found:
        budgets = record.evaluation.budgets
        table.add_row(
            record.sensor + (" (SIMULATED)" if record.simulated else ""),
            f"{record.version} of {versions}" if versions > 1 else str(record.version),
            f"{record.calibrated}",
            _expiry(record, today),
            record.model.title,
            _pressures(record),
            _percent(_middle(budgets).expanded) if budgets else "-",
        )
    console.print(table)


def print_record(record: Calibration, today: datetime.date) -> None:
    simulated = " (SIMULATED)" if record.simulated else ""
    console.print(f"{record.id}{simulated}", style="bold", markup=False)
    reference, meter = record.reference, record.meter
    for name, said in (
        ("calibrated", f"{record.calibrated}" + (f" by {by}" if (by := record.conditions.operator) else "")),
        ("expires", _expiry(record, today)),
        ("curve", curve(record.model)),
        ("range", _range(record)),
        ("area", area_words(record.area)),
        ("load cell", _joined(reference.name, reference.serial, reference.certificate, reference.statement)),
        ("meter", _joined(meter.name, meter.identity, meter.settings)),
        ("note", record.note),
        ("SHA-256", record.sha256),
    ):
        if said:
            console.print(f"{name:12}{said}", markup=False, soft_wrap=True)
    print_evaluation(record)


def print_evaluation(record: Calibration) -> None:
    """The comparison of models, the budget and the warnings."""
    print_models(record.evaluation.choice)
    print_budgets(record.evaluation.budgets)
    for warning in record.evaluation.warnings:
        console.print(f"note: {warning}", markup=False, soft_wrap=True, style="yellow")


def print_models(choice: Choice) -> None:
    table = _table("model", "parameters", "AICc", "residual of F", "error when a series is left out", "")
    for place, one in enumerate(choice.candidates):
        table.add_row(
            one.model.title,
            str(one.parameters_fitted),
            "-" if one.aicc is None else f"{one.aicc:.1f}",
            _percent(one.residual),
            "-" if one.left_out_error is None else _percent(one.left_out_error),
            "chosen" if place == 0 else "",
        )
    for title, reason in choice.rejected:
        table.add_row(title, "", "", "", "", reason)
    console.print(table)


def print_budgets(budgets: Sequence[Budget]) -> None:
    """Standard uncertainties of the pressure over the range, and what they add up to."""
    table = _table("standard uncertainty", *(f"{one.force_N:.3g} N" for one in budgets))
    for row in range(len(budgets[0].components) if budgets else 0):
        parts = [one.components[row] for one in budgets]
        table.add_row(parts[0].name, *("-" if not part.evaluation else _percent(part.relative) for part in parts))
    table.add_section()
    table.add_row("combined", *(_percent(one.combined) for one in budgets))
    table.add_row("expanded, k = 2", *(_percent(one.expanded) for one in budgets))
    table.add_row("resistance", *(ohms(one.resistance_ohm) for one in budgets))
    table.add_row("pressure", *(f"{one.pressure_Pa / 1e3:.4g} kPa" for one in budgets))
    console.print(table)


def print_history(history: Sequence[Entry]) -> None:
    if len(history) < 2:
        return
    table = _table("version", "calibrated", "expires", "mean drift", "largest drift", "within the uncertainties")
    for entry in history:
        record, drift = entry.calibration, entry.drift
        words = ["-", "-", "-"]
        if drift is not None:
            at = f"at {drift.forces_N[drift.worst]:.3g} N, U {_percent(float(drift.combined[drift.worst]))}"
            largest = f"{drift.change[drift.worst]:+.1%} ({at})"
            words = [f"{drift.mean:+.1%}", largest, "yes" if drift.within else "NO"]
        expires = f"{record.expires or 'never'}" + (" EXPIRED" if entry.expired else "")
        table.add_row(str(record.version), f"{record.calibrated}", expires, *words)
    console.print(table)


def curve(model: Response) -> str:
    """Formula and parameters; of a spline only how many knots."""
    parameters = model.parameters()
    if len(parameters) > 8:
        return f"{model.title}, {model.formula} ({len(parameters) // 2} knots)"
    values = (f"{name} = {value:.6g} {unit}".rstrip() for name, (value, unit) in parameters.items())
    return f"{model.title}, {model.formula}: {', '.join(values)}"


def area_words(area: Area) -> str:
    uncertainty = f", standard uncertainty {area.standard_uncertainty_m2 * 1e6:.2g} mm²"
    return f"{area.value_m2 * 1e6:.5g} mm²{uncertainty if area.standard_uncertainty_m2 else ''} ({area.source})"


def ohms(value: float) -> str:
    factor, unit = (1e6, "MΩ") if value >= 1e6 else (1e3, "kΩ") if value >= 1e3 else (1.0, "Ω")
    return f"{value / factor:.4g} {unit}"


def _middle(budgets: Sequence[Budget]) -> Budget:
    return budgets[len(budgets) // 2]


def _range(record: Calibration) -> str:
    return f"{record.force_min_N:.3g} to {record.force_max_N:.3g} N ({_pressures(record)})"


def _pressures(record: Calibration) -> str:
    low, high = (force / record.area.value_m2 / 1e3 for force in (record.force_min_N, record.force_max_N))
    return f"{low:.3g} to {high:.3g} kPa"


def _expiry(record: Calibration, today: datetime.date) -> str:
    return f"{record.expires or 'never'}" + (" EXPIRED" if record.expired(today) else "")


def _percent(share: float) -> str:
    """Two digits: an uncertainty has no more."""
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.1f} %" if percent >= 0.995 else f"{percent:.2g} %"


def _joined(*words: str) -> str:
    return ", ".join(word for word in words if word)


def _table(*headings: str) -> Table:
    table = Table()
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place == 0 else "right")
    return table
