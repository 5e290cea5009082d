"""What a certificate says of the curve: the model, how well it describes the readings, the budget, the readings."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from calibration.certificate import figures, tables
from calibration.certificate.readings import readings as readings_of
from calibration.certificate.rounding import decimals, rounded, significant, uncertainty
from calibration.certificate.wording import capital, duration, formula
from calibration.document import Block, Picture, Section, Text
from calibration.record import Calibration


def model(calibration: Calibration) -> Section:
    choice = calibration.evaluation.choice
    loss = "with a robust loss, for outliers stand in the data" if choice.robust else "by least squares"
    text = Markup("{}: {}. Fitted to {} load steps with errors in both variables, in {}, {}.").format(
        capital(tables.model_name(calibration.model)),
        formula(calibration.model.formula),
        len(calibration.data.used()),
        choice.variable.value,
        loss,
    )
    return Section("Model", (Text(text), tables.parameters(calibration), tables.candidates(calibration)))


def residuals(calibration: Calibration) -> Section:
    picture = Picture(
        figures.residuals(calibration),
        "Force found from the resistance by the curve less the force applied, in % of the latter. Band: expanded "
        "uncertainty of the force, without the sensing area.",
    )
    return Section("Residuals", (picture,))


def hysteresis(calibration: Calibration) -> Section:
    figure = figures.hysteresis(calibration)
    if figure is None:
        return Section("Hysteresis", (Text("Not measured: no series has both branches."),))
    return Section(
        "Hysteresis",
        (Picture(figure, "Conductance going up and down, and beside it the difference of the branches."),),
    )


def creep(calibration: Calibration) -> Section:
    found, figure = calibration.evaluation.creep, figures.creep(calibration)
    if found is None or figure is None:
        return Section("Creep", (Text("Not measured."),))
    places = max(0, decimals(200 * found.standard_uncertainty)) if found.standard_uncertainty else 2
    caption = (
        f"At {significant(found.force_N, 3)} N conductance grew by {rounded(100 * found.per_decade, places)} % per "
        f"decade of time, U = {rounded(200 * found.standard_uncertainty, places)} % (k = 2), relative to "
        f"{found.reference_s:.3g} s under load; watched for {duration(found.longest_s)}; scatter about the line "
        f"{uncertainty(100 * found.residual)} %."
    )
    return Section("Creep", (Picture(figure, caption),))


def budget(calibration: Calibration) -> Section:
    text = Text(
        Markup(
            "Relative standard uncertainties <i>u</i> of the pressure in %, and each one's share of the variance. The "
            "squares of the components add up to that of the combined standard uncertainty. Type A: from these "
            "readings; B: from other knowledge."
        )
    )
    picture = Picture(
        figures.budget(calibration),
        "Expanded uncertainty (k = 2) of the pressure over the range of force, divided by the components' shares of "
        "the variance.",
    )
    notes = tables.budget_notes(calibration)
    blocks: list[Block] = [text, tables.budget(calibration)]
    if notes:
        blocks.append(Text(notes, small=True))
    return Section("Uncertainty budget", (*blocks, picture))


def quantities(calibration: Calibration) -> Section:
    quantities = calibration.evaluation.quantities
    text = Text(
        Markup("Of the {}, computed after ISO 376:2011, in %. Classification: {}.").format(
            quantities.of, quantities.classification.rstrip(".")
        )
    )
    return Section("Quantities after ISO 376", (text, tables.quantities(calibration)))


def drift(calibration: Calibration, history: Sequence[Calibration]) -> Section | None:
    figure = figures.drift(calibration, history)
    if figure is None:
        return None
    caption = (
        "Pressure that an earlier version would give for the same resistance, less that of this one. Shaded: 95 % "
        "interval of this version, which holds what both have in common too."
    )
    return Section("Drift against earlier versions", (tables.drift(calibration, history), Picture(figure, caption)))


def outliers(calibration: Calibration) -> Section:
    table = tables.outliers(calibration)
    if table is None:
        return Section("Outliers", (Text("No load step was excluded, and none looks like an outlier."),))
    return Section("Outliers", (table,))


def readings(calibration: Calibration) -> Section:
    text = Text(
        "Each row is the mean of a burst of readings taken together; ± is their standard deviation. All single "
        "readings are in the record that the content hash is of."
    )
    return Section("Readings", (text, *readings_of(calibration)))
