"""What a certificate says, from the record alone, in the order of ISO/IEC 17025:2017, 7.8.2 and 7.8.4."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from calibration.certificate import figures, findings, tables
from calibration.certificate.rounding import Scale, decimals, rounded, significant, uncertainty
from calibration.certificate.wording import duration, joined, listed, named, sentence
from calibration.data import Direction
from calibration.document import Block, Document, Facts, Notice, Picture, Section, Text
from calibration.record import Calibration

TITLE = "Calibration report"
STATEMENT = (
    "This is a calibration report, not an accredited calibration certificate, and it carries no accreditation mark. "
    "The results relate only to the item named here, as it was when it was calibrated. "
    "The report may be reproduced only in full."
)
NOT_STATED = "not stated"


def document(calibration: Calibration, history: Sequence[Calibration] = ()) -> Document:
    history = [each for each in history if each.sensor == calibration.sensor and each.version < calibration.version]
    sections = (
        _identification(calibration),
        _results(calibration),
        _uncertainty_statement(calibration),
        _traceability(calibration),
        _conditions(calibration),
        findings.model(calibration),
        findings.residuals(calibration),
        findings.hysteresis(calibration),
        findings.creep(calibration),
        findings.budget(calibration),
        findings.quantities(calibration),
        findings.drift(calibration, history),
        findings.outliers(calibration),
        findings.readings(calibration),
        _authorisation(calibration),
    )
    return Document(
        title=TITLE + (" (SIMULATED)" if calibration.simulated else "") + ("" if calibration.sha256 else " (DRAFT)"),
        subtitle=f"Pressure sensor {calibration.sensor}, calibration version {calibration.version}",
        number=number(calibration),
        banner=_banner(calibration),
        statement=STATEMENT,
        notices=tuple(Notice(text) for text in _notices(calibration)),
        sections=tuple(section for section in sections if section is not None),
        software=calibration.software or NOT_STATED,
        issued=calibration.issued,
    )


def number(calibration: Calibration) -> str:
    """Unique among all reports: sensor, version and the beginning of the content hash."""
    return f"{calibration.sensor}-v{calibration.version}-{calibration.sha256[:8] or 'draft'}"


def _banner(calibration: Calibration) -> str:
    said = []
    if calibration.simulated:
        said.append("SIMULATED: these data come from a simulated bench, not from an experiment")
    if not calibration.sha256:
        said.append("DRAFT: not signed")
    return " · ".join(said)


def _notices(calibration: Calibration) -> list[str]:
    conditions, reference = calibration.conditions, calibration.reference
    wanted = {
        "laboratory": conditions.laboratory,
        "place": conditions.place,
        "customer": conditions.customer,
        "method": conditions.method,
        "environmental temperature": "" if conditions.temperature_degC is None else "known",
        "certificate of the load cell": reference.certificate,
        "person who authorised it": calibration.authorised_by,
    }
    missing = [name for name, value in wanted.items() if not value]
    notices = [f"Incomplete: not stated are {listed(missing)}."] if missing else []
    if reference.expires is not None and reference.expires < calibration.calibrated:
        notices.append(
            f"The calibration of the load cell had expired on {reference.expires}, "
            f"before this calibration was made ({calibration.calibrated})."
        )
    return notices


# --- sections


def _identification(calibration: Calibration) -> Section:
    conditions = calibration.conditions
    rows = (
        ("Report number", number(calibration)),
        ("Laboratory", conditions.laboratory or NOT_STATED),
        ("Place of calibration", conditions.place or NOT_STATED),
        ("Customer", conditions.customer or NOT_STATED),
        ("Item", f"force-sensing resistor {calibration.sensor}, calibration version {calibration.version}"),
        ("Sensing area", _area(calibration)),
        ("Condition of the item", _condition(calibration)),
        ("Method", conditions.method or NOT_STATED),
        ("Date of calibration", f"{calibration.calibrated}"),
        ("Date of issue", f"{calibration.issued:%Y-%m-%d %H:%M %Z}".strip()),
        ("Valid in use until", _expiry(calibration)),
        ("Calibrated by", conditions.operator or NOT_STATED),
        ("Authorised by", calibration.authorised_by or "not authorised"),
        ("Software", calibration.software or NOT_STATED),
        ("Content hash (SHA-256)", calibration.sha256 or "none: a draft"),
    )
    return Section("Identification", (Facts(rows),))


def _area(calibration: Calibration) -> str:
    area = calibration.area
    value, spread = area.value_m2 * 1e6, area.standard_uncertainty_m2 * 1e6
    stated = f"{significant(value, 4)} mm², uncertainty not stated"
    if spread > 0:
        places = max(0, decimals(spread))
        stated = Markup(f"{rounded(value, places)} mm², <i>u</i> = {rounded(spread, places)} mm² (k = 1)")
    return Markup("{}; {}").format(stated, area.source)


def _condition(calibration: Calibration) -> str:
    conditions = calibration.conditions
    known = [f"conditioned: {conditions.conditioning}"] if conditions.conditioning else []
    known += [conditions.note] if conditions.note else []
    known += [calibration.note] if calibration.note else []
    return "; ".join(known) or NOT_STATED


def _expiry(calibration: Calibration) -> str:
    if calibration.expires is None:
        return "no date set"
    return f"{calibration.expires} (the user's own rule, not a recommended interval)"


def _results(calibration: Calibration) -> Section:
    area = calibration.area.value_m2
    ends = calibration.force_min_N, calibration.force_max_N
    expanded = 100 * figures.stated(calibration, tables.levels(calibration)).pressure
    text = Text(
        f"From {_range('N', *ends)}, that is {_range('Pa', *(end / area for end in ends))}, the pressure found from "
        f"the sensor's resistance has an expanded uncertainty (k = 2) between {uncertainty(expanded.min())} % and "
        f"{uncertainty(expanded.max())} %. P = F / A, with the sensing area A stated above. Each row holds for a "
        "single later reading of this resistance, after the sensor was inserted again, on either branch unless the "
        "conditions of use say otherwise."
    )
    blocks: list[Block] = [text, tables.results(calibration)]
    blocks.append(
        Picture(
            figures.curve(calibration),
            "Resistance over force, with the fitted curve and the 95 % interval of the pressure at each resistance. "
            "Symbols: load steps by series and branch.",
        )
    )
    return Section("Results", tuple(blocks))


def _uncertainty_statement(calibration: Calibration) -> Section:
    budgets = calibration.evaluation.budgets
    draws = min(budget.monte_carlo_draws for budget in budgets)
    worst = max(abs((budget.high - budget.low) / 2 / budget.expanded - 1) for budget in budgets)
    text = Markup(
        "The reported expanded uncertainty <i>U</i> is the standard uncertainty multiplied by the coverage factor "
        "<i>k</i> = 2, which corresponds to a coverage probability of approximately 95 %. The standard uncertainty was "
        "evaluated according to JCGM 100:2008 (GUM); where its effective degrees of freedom are few, it is widened by "
        "the ratio of Student's factor to the normal one, so that <i>k</i> = 2 keeps its meaning. The 95 % intervals "
        "are from the propagation of distributions according to JCGM 101:2008 with {draws} draws; their "
        "half-widths differ from <i>U</i> by at most {worst} % of it. Drift after the calibration is not part of the "
        "uncertainty."
    ).format(draws=f"{draws:,}".replace(",", " "), worst=uncertainty(100 * worst))
    unknown = [part.name for part in budgets[0].components if not part.evaluation]
    if not unknown:
        return Section("Measurement uncertainty", (Text(text),))
    notice = Notice(f"Not evaluated, and so no part of the uncertainty: {listed(unknown)}.")
    return Section("Measurement uncertainty", (Text(text), notice))


def _traceability(calibration: Calibration) -> Section:
    reference, meter = calibration.reference, calibration.meter
    if reference.certificate:
        text = (
            f"Force is traceable through the load cell {reference.name}, calibrated by "
            f"{reference.laboratory or 'a laboratory that is not stated'} under certificate {reference.certificate}. "
            "The results from outside this calibration are those of that certificate, and what the table marks as "
            "stated."
        )
    else:
        text = (
            f"No certificate of the load cell ({reference.name}) is stated: metrological traceability of the force to "
            "the SI is not claimed."
        )
    rows = [
        ("Load cell", joined(reference.name, named("serial", reference.serial))),
        ("Certificate", joined(reference.certificate, reference.laboratory) or NOT_STATED),
        ("Calibrated", f"{reference.calibrated or NOT_STATED}"),
        ("Expires", _reference_expiry(calibration)),
        ("Force from indication", reference.statement or NOT_STATED),
        ("Its standard uncertainty", _reference_uncertainty(calibration)),
        ("Resistance meter", joined(meter.name, meter.identity)),
        ("Its settings", meter.settings or NOT_STATED),
        ("Its standard uncertainty", _meter_uncertainty(calibration)),
        ("Sensing area", f"stated: {calibration.area.source}"),
    ]
    return Section("Metrological traceability", (Text(text), Facts(tuple(rows))))


def _reference_expiry(calibration: Calibration) -> str:
    expires = calibration.reference.expires
    if expires is None:
        return NOT_STATED
    state = "EXPIRED" if expires < calibration.calibrated else "valid"
    return f"{expires}; {state} on the day of this calibration, {calibration.calibrated}"


def _reference_uncertainty(calibration: Calibration) -> str:
    reference = calibration.reference
    parts = []
    if reference.relative_standard_uncertainty:
        parts.append(f"{uncertainty(100 * reference.relative_standard_uncertainty)} % of the force")
    if reference.standard_uncertainty_N:
        parts.append(f"{uncertainty(reference.standard_uncertainty_N)} N")
    resolution = f"; resolution {significant(reference.resolution_N, 2)} N" if reference.resolution_N else ""
    return (" and ".join(parts) + " (k = 1)" if parts else NOT_STATED) + resolution


def _meter_uncertainty(calibration: Calibration) -> str:
    meter = calibration.meter
    share = meter.relative_standard_uncertainty
    resolution = ""
    if meter.resolution_ohm:
        scale = Scale.of(meter.resolution_ohm, "Ω")
        resolution = f"; resolution {significant(meter.resolution_ohm * scale.factor, 2)} {scale.unit}"
    return (f"{uncertainty(100 * share)} % of the reading (k = 1)" if share else NOT_STATED) + resolution


def _conditions(calibration: Calibration) -> Section:
    conditions, evaluation = calibration.conditions, calibration.evaluation
    warmth = NOT_STATED
    if conditions.temperature_degC is not None:
        warmth = f"{rounded(conditions.temperature_degC, 1)} °C"
        if conditions.temperature_within_K is not None:
            warmth += f" ± {significant(conditions.temperature_within_K, 2)} K"
    humidity = NOT_STATED if conditions.humidity_percent is None else f"{conditions.humidity_percent:.0f} %"
    ends = calibration.force_min_N, calibration.force_max_N
    least_ohm, most_ohm = (float(each) for each in calibration.model.resistance_ohm(ends[::-1]))
    rows = [
        ("Ambient temperature", warmth),
        ("Relative humidity", humidity),
        ("Pressed between", conditions.fixture or NOT_STATED),
        ("Dwell before a reading", NOT_STATED if conditions.dwell_s is None else f"{conditions.dwell_s:g} s"),
        ("Force in use", _range("N", *ends)),
        ("Pressure in use", _range("Pa", *(end / calibration.area.value_m2 for end in ends))),
        ("Resistance in use", _range("Ω", least_ohm, most_ohm)),
        ("Time under load in use", _time_in_use(calibration)),
        ("Temperature in use", _temperature_in_use(calibration)),
        ("Branch", _branch(calibration)),
    ]
    blocks: list[Block] = [Facts(tuple(rows))]
    blocks.append(
        Text(
            "Outside the range there is no value: nothing is extrapolated. Fixture, meter, range and settings in use "
            "are those of the calibration.",
            small=True,
        )
    )
    blocks += [Notice(sentence(text)) for text in evaluation.warnings]
    return Section("Conditions of the calibration and of use", tuple(blocks))


def _time_in_use(calibration: Calibration) -> str:
    creep = calibration.evaluation.creep
    if creep is None:
        return "as long as in the calibration; creep was not measured, and nothing is known of longer times"
    return (
        f"the curve holds {creep.reference_s:.3g} s after loading; other times are corrected for creep, which was "
        f"watched for {duration(creep.longest_s)}"
    )


def _temperature_in_use(calibration: Calibration) -> str:
    known = calibration.temperature
    if known is None:
        return "that of the calibration; no temperature coefficient is stated"
    coefficient = Markup("d ln <i>R</i>/d<i>T</i> = ({} ± {}) %/K (k = 1), {}").format(
        rounded(100 * known.per_K, 2),
        significant(100 * known.standard_uncertainty_per_K, 2),
        known.source or NOT_STATED,
    )
    within = f"{known.reference_degC:g} °C ± {known.use_within_K:g} K where it is not measured"
    return Markup("{}; measured temperatures are corrected, {}").format(within, coefficient)


def _branch(calibration: Calibration) -> str:
    branches = {point.direction for point in calibration.data.used()}
    if branches == set(Direction):
        return "rising or falling force: half the hysteresis is part of the uncertainty"
    word = "rising" if Direction.UP in branches else "falling"
    return f"{word} force only: hysteresis was not measured"


def _range(unit: str, *ends: float) -> str:
    """Each end with the prefix that suits it."""
    scales = [Scale.of(end, unit) for end in ends]
    return " to ".join(f"{significant(end * s.factor, 3)} {s.unit}" for end, s in zip(ends, scales, strict=True))


def _authorisation(calibration: Calibration) -> Section:
    state = (
        f"{calibration.authorised_by}, {calibration.issued:%Y-%m-%d}" if calibration.authorised_by else "not authorised"
    )
    rows = (
        ("Authorised by", state),
        ("Content hash (SHA-256)", calibration.sha256 or "none: a draft"),
        ("Report number", number(calibration)),
    )
    return Section("Authorisation", (Facts(rows), Text(STATEMENT)))
