"""The tables of a certificate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from calibration.certificate import figures
from calibration.certificate.readings import NONE, evenly
from calibration.certificate.rounding import (
    Scale,
    degrees,
    rounded,
    shares,
    significant,
    to_the_place_of,
    uncertainty,
    with_uncertainty,
)
from calibration.data import Point
from calibration.document import Column, Table
from calibration.models import Floats, LogPolynomial, Model
from calibration.record import Calibration
from calibration.results import Budget, Component

MOST_LEVELS = 24
MOST_CORRELATED = 6  # parameters, whose correlation is printed
BEFORE_NUMBERS = 4  # columns of the budget


def model_name(model: Model) -> str:
    if isinstance(model, LogPolynomial):
        return f"polynomial of degree {len(model.coefficients) - 1} in ln R and ln F"
    return model.title


def results(calibration: Calibration) -> Table:
    """At each calibrated force, as a later reading of the resistance there will be stated."""
    forces = levels(calibration)
    resistances = calibration.model.resistance_ohm(forces)
    stated = figures.stated(calibration, forces)
    columns_of = (stated.force, stated.pressure, stated.low, stated.high)
    pressure = Scale.of(float(forces[-1]) / calibration.area.value_m2, "Pa")
    ohm = Scale.of(float(np.median(resistances)), "Ω")
    rows = []
    for force, resistance, of_force, of_pressure, low, high in zip(forces, resistances, *columns_of, strict=True):
        value = force / calibration.area.value_m2 * pressure.factor
        expanded = of_pressure * value
        rows.append(
            (
                to_the_place_of(force, of_force * force),
                uncertainty(of_force * force),
                significant(resistance * ohm.factor, 4),
                to_the_place_of(value, expanded),
                uncertainty(expanded),
                uncertainty(100 * of_pressure),
                f"{to_the_place_of(value * low, expanded)} to {to_the_place_of(value * high, expanded)}",
            )
        )
    columns = (
        Column(Markup("Force <i>F</i> / N"), 0.85),
        Column(Markup("<i>U</i>(<i>F</i>) / N"), 0.8),
        Column(Markup(f"Resistance <i>R</i> / {ohm.unit}"), 1.3),
        Column(Markup(f"Pressure <i>P</i> / {pressure.unit}"), 1.2),
        Column(Markup(f"<i>U</i>(<i>P</i>) / {pressure.unit}"), 0.9),
        Column(Markup("<i>U</i>(<i>P</i>) / %"), 0.8),
        Column(Markup(f"95 % interval of <i>P</i> / {pressure.unit}"), 1.75),
    )
    caption = (
        "Results per calibrated force; expanded uncertainties U with k = 2, values to the place of their uncertainty."
    )
    return Table(caption, columns, tuple(rows))


def levels(calibration: Calibration) -> Floats:
    """The calibrated forces in N, or some of them where they are many; the ends are always there."""
    found = calibration.evaluation
    inner = [level.force_N for level in found.quantities.levels][1:-1]
    inner = [force for force in inner if found.force_min_N < force < found.force_max_N]
    few = evenly(len(inner), MOST_LEVELS - 2)
    return np.array([found.force_min_N, *(inner[place] for place in few), found.force_max_N])


# --- the model


def parameters(calibration: Calibration) -> Table:
    """Values with standard uncertainties, and their correlation where there are few."""
    values = calibration.model.parameters()
    covariance = np.array(calibration.evaluation.choice.best.covariance, dtype=float)
    known = covariance.shape == (len(values), len(values))
    spread = np.sqrt(np.diagonal(covariance)) if known else np.zeros(len(values))
    free = [place for place, u in enumerate(spread) if u > 0]
    if not 1 < len(free) <= MOST_CORRELATED:
        free = []
    names = list(values)
    rows = []
    for place, (name, (value, unit)) in enumerate(values.items()):
        row = [_subscripted(name), *with_uncertainty(value, float(spread[place]), 7), unit or "1"]
        for other in free:
            shown = place in free and other <= place
            row.append(rounded(covariance[place, other] / (spread[place] * spread[other]), 3) if shown else "")
        rows.append(tuple(row))
    columns = (
        Column("Parameter", number=False),
        Column("Value", 1.4),
        Column("Std. uncertainty", 1.4),
        Column("Unit", 0.8, number=False),
        *(Column(_subscripted(names[place]), 0.6) for place in free),
    )
    return Table(
        "Parameters of the curve, with digits enough to compute it again.",
        columns,
        tuple(rows),
        width=0.62 if not free else min(1.0, 0.62 + 0.09 * len(free)),
        groups=(("", 4), ("Correlation", len(free))) if free else (),
    )


def candidates(calibration: Calibration) -> Table:
    choice = calibration.evaluation.choice
    known = [each.aicc for each in choice.candidates if each.aicc is not None]
    rows = []
    for place, each in enumerate(choice.candidates):
        rows.append(
            (
                model_name(each.model),
                str(each.parameters_fitted),
                NONE if each.aicc is None else rounded(each.aicc - min(known), 1),
                uncertainty(100 * each.residual),
                NONE if each.left_out_error is None else uncertainty(100 * each.left_out_error),
                "chosen" if place == 0 else "",
            )
        )
    rows += [(title, NONE, NONE, NONE, NONE, f"rejected: {why}") for title, why in choice.rejected]
    columns = (
        Column("Model", 2.4, number=False),
        Column("Parameters", 0.95),
        Column("ΔAICc", 0.8),
        Column("Residual / %", 0.9),
        Column("Series left out / %", 1.0),
        Column("", 1.7, number=False),
    )
    caption = (
        "Comparison of the models. ΔAICc: Akaike's criterion for few points, above the lowest. Residual, and error of "
        "a series that was left out of the fit: root mean square, relative to the force."
    )
    return Table(caption, columns, tuple(rows))


def _subscripted(name: str) -> str:
    """`p12` is p with 12 beneath."""
    letter, digits = name[:1], name[1:]
    return (
        Markup("<i>{}</i><sub>{}</sub>").format(letter, digits)
        if digits.isdigit()
        else Markup("<i>{}</i>").format(name)
    )


# --- the budget


def thirds(calibration: Calibration) -> tuple[Budget, ...]:
    """At the lowest, a middle and the highest calibrated force."""
    budgets = sorted(calibration.evaluation.budgets, key=lambda budget: budget.force_N)
    places = sorted({0, len(budgets) // 2, len(budgets) - 1})
    return tuple(budgets[place] for place in places)


def budget(calibration: Calibration) -> Table:
    """At three forces; the squares add up, and the shares add up to 100.0."""
    shown = thirds(calibration)
    names = component_names(shown)
    parts = [{part.name: part for part in each.components} for each in shown]
    percent = [dict(zip(names, shares([_square(of.get(name)) for name in names]), strict=True)) for of in parts]
    rows = []
    for name in names:
        first = next(of[name] for of in parts if name in of)
        row = [name, first.evaluation or NONE, first.distribution.value if first.evaluation else "not evaluated"]
        row.append(degrees(first.degrees_of_freedom) if first.evaluation else NONE)
        for of, share in zip(parts, percent, strict=True):
            evaluated = name in of and of[name].evaluation
            row += [_percent(of[name].relative), rounded(share[name], 1)] if evaluated else [NONE, NONE]
        rows.append(tuple(row))
    sums = (
        ("combined standard uncertainty <i>u</i><sub>c</sub>", [(_percent(each.combined), "100.0") for each in shown]),
        ("effective degrees of freedom ν<sub>eff</sub>", [(degrees(each.degrees_of_freedom), "") for each in shown]),
        ("factor for few readings <i>t</i>", [(rounded(each.few_readings, 3), "") for each in shown]),
        (
            "expanded uncertainty <i>U</i> = 2 <i>t u</i><sub>c</sub>",
            [(uncertainty(100 * each.expanded), "") for each in shown],
        ),
    )
    rows += [_sum(Markup(label), pairs) for label, pairs in sums]
    columns = (
        Column("Component", 2.9, number=False),
        Column("Type", 0.55, number=False),
        Column("Distribution", 1.3, number=False),
        Column("ν", 0.5),
        *(column for _ in shown for column in (Column(Markup("<i>u</i> / %"), 0.85), Column("share / %", 1.05))),
    )
    groups = (("", BEFORE_NUMBERS), *((f"at {significant(each.force_N, 3)} N", 2) for each in shown))
    return Table(
        "Uncertainty budget of the pressure at three forces.",
        columns,
        tuple(rows),
        sums=len(sums),
        label_span=BEFORE_NUMBERS,
        groups=groups,
    )


def component_names(budgets: Sequence[Budget]) -> list[str]:
    return list(dict.fromkeys(part.name for each in budgets for part in each.components))


def budget_notes(calibration: Calibration) -> str:
    """What is to be said of the components, each once."""
    notes = {part.name: part.note for each in thirds(calibration) for part in each.components if part.note}
    return (
        ". ".join(f"{name[:1].upper()}{name[1:]}: {note.rstrip('.')}" for name, note in notes.items()) + "."
        if notes
        else ""
    )


def _sum(label: str, pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return (label, *[""] * (BEFORE_NUMBERS - 1), *(text for pair in pairs for text in pair))


def _square(part: Component | None) -> float:
    return 0.0 if part is None else part.relative**2


def _percent(relative: float) -> str:
    """With a digit more than is stated, so that the squares add up as they are printed."""
    return rounded(100 * relative, 3)


# --- ISO 376, drift, outliers


def quantities(calibration: Calibration) -> Table:
    found = calibration.evaluation.quantities
    rows = [
        (
            significant(level.force_N, 3),
            *(
                NONE if value is None else significant(value, 2)
                for value in (level.reproducibility, level.repeatability, level.interpolation, level.reversibility)
            ),
        )
        for level in found.levels
    ]
    zero = "not stated" if found.zero is None else f"{significant(found.zero, 2)} %"
    creep = "not stated" if found.creep is None else f"{significant(found.creep, 2)} %"
    columns = (
        Column("Force / N"),
        Column("reproducibility b / %", 1.2),
        Column("repeatability b′ / %", 1.2),
        Column(Markup("interpolation f<sub>c</sub> / %"), 1.2),
        Column("reversibility v / %", 1.2),
    )
    caption = Markup("Zero error f<sub>0</sub>: {}; creep c between 30 s and 300 s: {}.").format(zero, creep)
    return Table(caption, columns, tuple(rows))


def drift(calibration: Calibration, history: Sequence[Calibration]) -> Table:
    """Differences at three forces, with the number E_n of both 95 % intervals."""
    shown = thirds(calibration)
    rows = []
    for former in sorted(history, key=lambda each: each.version):
        cells = []
        for each in shown:
            found = former.pressures([each.resistance_ohm])
            value = float(found.value_Pa[0])
            if math.isnan(value):
                cells += [NONE, NONE]
                continue
            difference = value - each.pressure_Pa
            both = math.hypot(float(found.expanded_uncertainty_Pa[0]), each.expanded * each.pressure_Pa)
            cells += [rounded(100 * difference / each.pressure_Pa, 1), rounded(abs(difference) / both, 2)]
        rows.append((str(former.version), f"{former.calibrated}", *cells))
    columns = (
        Column("Version", 0.8, number=False),
        Column("Calibrated", 1.2, number=False),
        *(
            column
            for _ in shown
            for column in (Column(Markup("Δ<i>P</i> / %")), Column(Markup("|Δ<i>P</i>| / <i>U</i>")))
        ),
    )
    groups = (("", 2), *((f"at {significant(each.force_N, 3)} N", 2) for each in shown))
    caption = (
        "Pressure by the earlier version less that by this one, for the same resistance; and its magnitude over the "
        "root sum of squares of both expanded uncertainties (above 1: more than they explain)."
    )
    return Table(caption, columns, tuple(rows), groups=groups)


def outliers(calibration: Calibration) -> Table | None:
    points, suspects = calibration.data.points, set(calibration.evaluation.choice.suspects)
    rows = []
    for index, point in enumerate(points):
        if point.excluded:
            rows.append((*_where(index, point), "excluded", point.excluded))
        elif index in suspects:
            rows.append((*_where(index, point), "used", "looks like an outlier; no reason to exclude it was given"))
    if not rows:
        return None
    columns = (
        Column("No.", 0.5),
        Column("Series", 0.6),
        Column("Going", 0.6, number=False),
        Column("Force / N", 0.8),
        Column("State", 0.8, number=False),
        Column("Reason", 3.6, number=False),
    )
    return Table(
        "Load steps that were excluded or look like outliers. Excluded ones stay in the record.", columns, tuple(rows)
    )


def _where(index: int, point: Point) -> tuple[str, str, str, str]:
    return str(index + 1), str(point.series), point.direction.value, significant(point.force_N, 4)
