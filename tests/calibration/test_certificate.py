"""The certificate says what ISO/IEC 17025 wants, on every page, and nothing that is not in the record."""

from __future__ import annotations

import datetime
import html
import io
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup
from pypdf import PdfReader
from pytest import approx

from calibration.certificate import figures, number, render_html, render_pdf, tables
from calibration.certificate.content import STATEMENT, document
from calibration.certificate.readings import MOST_STEPS, NONE
from calibration.certificate.wording import formula
from calibration.data import Conditions, Dataset, Direction, Point, Reference
from calibration.document import Facts, Picture, Table, Text, write_whole
from calibration.models import LinearConductance, LogPolynomial, OffsetPower, PowerLaw, SeriesResistance
from calibration.record import Calibration
from tests.calibration.sample import AREA, LEVELS_N, REASON, calibration, earlier

SIMULATED = "SIMULATED: these data come from a simulated bench"


@cache
def signed() -> Calibration:
    return calibration()


@cache
def former() -> Calibration:
    return earlier()


@cache
def pdf() -> bytes:
    return render_pdf(signed(), (former(),))


@cache
def pdf_pages() -> tuple[str, ...]:
    return pages_of(pdf())


def pages_of(content: bytes) -> tuple[str, ...]:
    return tuple(re.sub(r"\s+", " ", page.extract_text()) for page in PdfReader(io.BytesIO(content)).pages)


@cache
def page() -> str:
    return words_of(render_html(signed(), (former(),)))


def words_of(text: str) -> str:
    text = re.sub(r"<(style|svg)\b.*?</\1>", " ", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"</?(?:sub|sup|i|b)>", "", text).replace("<", " <")))


def bare(**changes: object) -> Calibration:
    """One series up, single readings, nothing stated that need not be."""
    points = tuple(
        Point(series=1, direction=Direction.UP, forces_N=(float(f),), resistances_ohm=(2e6 / float(f) ** 0.9,))
        for f in LEVELS_N
    )
    values = {"data": Dataset(points=points), "conditions": Conditions(), "reference": Reference(name="load cell")}
    return calibration(**values, temperature=None, expires=None, authorised_by="", software="", **changes)


REQUIRED = (
    "Calibration report",
    "not an accredited calibration certificate",
    "no accreditation mark",
    "relate only to the item",
    "reproduced only in full",
    "Battery Laboratory, Example Institute",
    "Room 214, Example Street 1, Exampletown",
    "Cell group, Example Institute",
    "mfsr-07",
    "conditioned: 4 loadings to 121 N (110 % of full load)",
    "procedure 1.0",
    "Date of calibration",
    "2026-09-21",
    "2026-09-21 16:40 UTC",
    "2027-09-21",
    "Dr B. Metrologist",
    "A. Technician",
    "coverage factor k = 2",
    "coverage probability of approximately 95 %",
    "JCGM 100:2008",
    "JCGM 101:2008",
    "certificate K-2026-0815",
    "Example Force Laboratory",
    "2028-03-01; valid on the day of this calibration",
    "23.0 °C ± 0.50 K",
    "41 %",
    "Time under load in use",
    "rising or falling force",
    "Power law",
    "unclassified",
    "screw slipped while the burst was taken",
    "cellstation 0.1.0",
)


def test_the_pdf_says_everything_that_is_required() -> None:
    text = " ".join(pdf_pages())
    assert [words for words in REQUIRED if words not in text] == []
    assert signed().sha256 in text.replace(" ", "")


def test_the_page_says_everything_that_is_required() -> None:
    assert [words for words in REQUIRED if words not in page()] == []
    assert signed().sha256 in page()
    assert page().count("End of report") == 1


def test_every_page_has_the_number_and_its_place_and_the_last_one_the_end_mark() -> None:
    pages = pdf_pages()
    assert number(signed()) == f"mfsr-07-v2-{signed().sha256[:8]}"
    for place, text in enumerate(pages, start=1):
        assert number(signed()) in text
        assert f"page {place} of {len(pages)}" in text
    assert ["End of report" in text for text in pages] == [False] * (len(pages) - 1) + [True]
    assert not any("SIMULATED" in text for text in pages)


def test_all_letters_are_embedded_on_sheets_of_a4() -> None:
    for sheet in PdfReader(io.BytesIO(pdf())).pages:
        assert (float(sheet.mediabox.width), float(sheet.mediabox.height)) == approx((595.28, 841.89), abs=0.01)
        for font in sheet["/Resources"]["/Font"].values():  # type: ignore[index]
            whole = font.get_object()
            inner = whole.get("/DescendantFonts", [whole])[0].get_object()
            assert "/FontFile2" in inner["/FontDescriptor"], whole["/BaseFont"]
    text = "".join(pdf_pages())
    assert all(sign in text for sign in "Ω±−ν∞°²")
    assert "■" not in text


def test_simulated_data_and_drafts_are_called_so_on_every_page_and_words_are_no_markup() -> None:
    conditions = Conditions(laboratory="<b>A & B</b>", customer='"x" <script>alert(1)</script>')
    record = calibration(simulated=True, conditions=conditions).model_copy(update={"sha256": ""})
    pages = pages_of(render_pdf(record))
    assert all(SIMULATED in text and "DRAFT: not signed" in text for text in pages)
    assert "Calibration report (SIMULATED) (DRAFT)" in pages[0]
    assert '"x" <script>alert(1)</script>' in pages[0]
    assert "<b>A & B</b>" in pages[0]
    text = render_html(record)
    assert "<title>Calibration report (SIMULATED) (DRAFT) mfsr-07-v2-draft</title>" in text
    assert f'<p class="banner">{SIMULATED}' in text
    assert f'@top-left {{ content: "{SIMULATED}' in text  # printed on every page
    assert "<script>" not in text


def test_only_what_is_simulated_or_a_draft_has_a_banner() -> None:
    assert document(signed()).banner == ""
    assert document(signed().model_copy(update={"sha256": ""})).banner == "DRAFT: not signed"


# --- numbers


def table(record: Calibration, beginning: str, history: tuple[Calibration, ...] = ()) -> Table:
    found = [
        block
        for section in document(record, history).sections
        for block in section.blocks
        if isinstance(block, Table) and block.caption.startswith(beginning)
    ]
    assert len(found) == 1
    return found[0]


def number_of(text: str) -> float:
    return float(text.replace("−", "-"))


def test_results_are_what_the_record_gives_in_use() -> None:
    record = signed()
    rows = table(record, "Results").rows
    assert len(rows) == len(LEVELS_N)
    for row in rows:
        force, of_force, resistance, pressure, expanded, percent = (number_of(text) for text in row[:6])
        low, high = (number_of(text) for text in row[6].split(" to "))
        assert force / AREA.value_m2 / 1e3 == approx(pressure, rel=0.01)
        found = record.pressures([record.model.resistance_ohm(pressure * 1e3 * AREA.value_m2)])
        assert resistance * 1e6 == approx(float(record.model.resistance_ohm(force)), rel=0.01)
        assert expanded * 1e3 == approx(float(found.expanded_uncertainty_Pa[0]), rel=0.06)
        assert percent == approx(100 * expanded / pressure, rel=0.06)
        assert 100 * of_force / force < percent + 0.1  # the area is in the pressure's alone
        assert low * 1e3 == approx(float(found.low_Pa[0]), rel=0.01)
        assert high * 1e3 == approx(float(found.high_Pa[0]), rel=0.01)
        digits = row[4].replace(".", "").lstrip("0")
        assert len(digits) == 2
        assert row[3].partition(".")[2] == "" or len(row[3].partition(".")[2]) == len(row[4].partition(".")[2])


def test_the_budget_adds_up_as_it_is_printed() -> None:
    record = signed()
    budget = table(record, "Uncertainty budget")
    components, sums = budget.rows[: -budget.sums], budget.rows[-budget.sums :]
    assert [row[0] for row in components] == [part.name for part in record.evaluation.budgets[0].components]
    for column in range(tables.BEFORE_NUMBERS, len(budget.columns), 2):
        parts = np.array([number_of(row[column]) for row in components if row[column] != NONE])
        combined = number_of(sums[0][column])
        assert np.sqrt(np.sum(parts**2)) == approx(combined, abs=0.0005 * (1 + len(parts) ** 0.5))
        percent = [number_of(row[column + 1]) for row in components if row[column + 1] != NONE]
        assert sum(round(10 * share) for share in percent) == 1000
        assert sums[0][column + 1] == "100.0"
        widened = number_of(sums[2][column])
        assert 2 * widened * combined == approx(number_of(sums[3][column]), rel=0.05)
    assert " ".join(components[1][:2]) in " ".join(pdf_pages())


def test_what_was_not_evaluated_is_said_and_counts_nothing() -> None:
    budget = table(bare(), "Uncertainty budget")
    reversibility = next(row for row in budget.rows if row[0] == "reversibility")
    assert reversibility[1:4] == (NONE, "not evaluated", NONE)
    assert set(reversibility[4:]) == {NONE}


def test_parameters_have_the_uncertainty_of_the_fit() -> None:
    """Against the scatter of the parameters over data sets that differ by noise alone."""
    record = signed()
    (a, (value_a, _)), (b, (value_b, _)) = record.model.parameters().items()
    assert (a, b) == ("a", "b")
    covariance = np.array(record.evaluation.choice.best.covariance)
    assert covariance.shape == (2, 2)
    x = np.log(LEVELS_N)
    # A straight line in ln R and ln F: u(ln a)/u(b) is the root mean square of ln F.
    assert np.sqrt(covariance[0, 0]) / value_a / np.sqrt(covariance[1, 1]) == approx(np.sqrt(np.mean(x**2)), rel=0.05)
    assert abs(value_b - 0.85) < 5 * np.sqrt(covariance[1, 1]) + 0.005
    rows = table(record, "Parameters").rows
    assert rows[0][0] == Markup("<i>a</i>")
    assert rows[1][4] == f"{covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]):.3f}"


def test_candidates_outliers_and_readings_are_all_there() -> None:
    record = signed()
    rows = table(record, "Comparison").rows
    assert len(rows) == len(record.evaluation.choice.candidates) + len(record.evaluation.choice.rejected)
    assert rows[0][2] == "0.0"
    assert rows[0][-1] == "chosen"
    assert table(record, "Load steps that were excluded").rows[0][-2:] == ("excluded", REASON)
    steps = table(record, "Load steps, in the order")
    assert len(steps.rows) == len(record.data.points)
    assert [steps.rows[place][-1] for place in steps.marked] == ["excluded"]
    assert table(record, "Creep").caption == "Creep at constant force. 24 of 40 samples."
    assert "open (overload)" in {row[3] for row in table(record, "Without load").rows}


def test_drift_is_what_the_earlier_version_would_have_said() -> None:
    record, old = signed(), former()
    row = table(record, "Pressure by the earlier", (old,)).rows[0]
    low = record.evaluation.budgets[0]
    found = old.pressures([low.resistance_ohm]).value_Pa[0]
    expected = 100 * (found / low.pressure_Pa - 1)
    assert number_of(row[2]) == approx(expected, abs=0.051) or row[2] == NONE
    middle = record.evaluation.budgets[2]
    found = old.pressures([middle.resistance_ohm]).value_Pa[0]
    assert number_of(row[4]) == approx(100 * (found / middle.pressure_Pa - 1), abs=0.051)
    assert number_of(row[4]) == approx(-100 * (1 - 0.97 ** (1 / 0.85)), abs=2.5)
    titles = [section.title for section in document(old, (record,)).sections]
    assert "Drift against earlier versions" not in titles  # the later one is no part of its history


# --- figures


def test_the_figures_draw_the_records_data() -> None:
    record = signed()
    used = [point for point in record.data.points if point.used]
    curve = figures.curve(record).axes[0]
    drawn = np.concatenate([np.asarray(line.get_xdata()) for line in curve.lines if line.get_marker() in ("^", "v")])
    assert sorted(drawn) == approx(sorted(point.force_N for point in used))
    crosses = [line for line in curve.lines if line.get_marker() == "x"]
    assert list(crosses[0].get_xdata()) == approx([p.force_N for p in record.data.points if not p.used])
    line = next(line for line in curve.lines if line.get_marker() == "None")
    force, resistance = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert record.model.force_N(resistance * 1e6) == approx(force, rel=1e-9)
    left = figures.residuals(record).axes[0]
    deviations = np.concatenate([np.asarray(one.get_ydata()) for one in left.lines if one.get_marker() in ("^", "v")])
    expected = [100 * (float(record.model.force_N(p.resistance_ohm)) / p.force_N - 1) for p in used]
    assert sorted(deviations) == approx(sorted(expected))


def test_many_series_are_told_apart_by_their_insertions() -> None:
    points = tuple(
        point.model_copy(update={"series": 10 * copy + point.series})
        for copy in range(3)
        for point in signed().data.points
    )
    many = signed().model_copy(update={"data": Dataset(points=points)})
    legend = figures.residuals(many).axes[0].get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == [*(f"insertion {n}" for n in range(1, 5)), "going up", "going down", "± U, k = 2"]


def test_the_bars_of_the_budget_are_as_high_as_the_uncertainty() -> None:
    record = signed()
    budgets = record.evaluation.budgets
    heights = np.sum([parts for _, parts in figures.budget_parts(budgets)], axis=0)
    assert heights == approx([100 * budget.expanded for budget in budgets])
    bars = figures.budget(record).axes[0].patches
    tops = [bar.get_y() + bar.get_height() for bar in bars][-len(budgets) :]
    assert tops == approx([100 * budget.expanded for budget in budgets])


def test_the_difference_of_branches_is_that_of_the_sensor() -> None:
    """Made with 5 % at no force, closing in a straight line until full load."""
    force = np.geomspace(2, 110, 12)
    up = force, 1e6 * force**-0.85
    share = 0.05 * (1 - force / 110)
    down = force[:-1] * 1.01, 1e6 * (force[:-1] * 1.01) ** -0.85 / (1 + share[:-1])
    x, found = figures.difference_percent(up, down)
    assert found == approx(100 * 0.05 * (1 - x / 110), abs=0.06)


def test_creep_is_drawn_relative_to_the_reference_time() -> None:
    record = signed()
    found = record.evaluation.creep
    assert found is not None
    time = np.array([sample.time_s for sample in record.data.creep])
    change = figures.creep_percent(record, found)
    assert change == approx(100 * found.per_decade * np.log10(time / found.reference_s), abs=1.0)


# --- other records


def test_what_is_not_stated_is_said_to_be_missing() -> None:
    pages = pages_of(render_pdf(bare()))
    text = " ".join(pages)
    assert (
        "Incomplete: not stated are laboratory, place, customer, method, environmental temperature, certificate of the "
        "load cell and person who authorised it." in pages[0]
    )
    assert "traceability of the force to the SI is not claimed" in text
    assert (
        "Not evaluated, and so no part of the uncertainty: reproducibility between series, reversibility, creep" in text
    )
    assert "not authorised" in text
    assert "rising force only" in text
    assert "Not measured: no series has both branches." in text
    assert "End of report" in pages[-1]


def test_an_expired_load_cell_cannot_be_overlooked() -> None:
    expired = calibration(reference=Reference(name="S-beam", certificate="K-1", expires=datetime.date(2026, 9, 20)))
    found = document(expired)
    assert "had expired on 2026-09-20, before this calibration was made (2026-09-21)" in found.notices[0].text
    facts = next(block for block in found.sections[3].blocks if isinstance(block, Facts))
    assert dict(facts.rows)["Expires"] == "2026-09-20; EXPIRED on the day of this calibration, 2026-09-21"


def test_a_ramp_of_thousands_of_rows_stays_a_report() -> None:
    force = np.concatenate((np.geomspace(2, 100, 600), np.geomspace(100, 2, 600)))
    points = tuple(
        Point(
            series=1 + (place % 3),
            direction=Direction.UP if place < 600 else Direction.DOWN,
            forces_N=(float(each),),
            resistances_ohm=(1e7 * float(each) ** -0.85 * (1 + 0.01 * np.sin(place)),),
        )
        for place, each in enumerate(force)
    )
    record = calibration(data=Dataset(points=points))
    steps = table(record, "Load steps, in the order")
    assert len(steps.rows) == MOST_STEPS
    assert f"{MOST_STEPS} of 1200, evenly chosen" in steps.caption
    assert len(table(record, "Results").rows) <= tables.MOST_LEVELS


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (PowerLaw, "<i>R</i> = <i>a</i> · (<i>F</i> / 1 N)<sup>−<i>b</i></sup>"),
        (LinearConductance, "1/<i>R</i> = <i>k</i> · <i>F</i> + <i>c</i>"),
        (SeriesResistance, "<i>R</i> = <i>k</i> / <i>F</i> + <i>R</i><sub>0</sub>"),
        (OffsetPower, "1/<i>R</i> = <i>c</i> + <i>k</i> · (<i>F</i> / 1 N)<sup><i>m</i></sup>"),
        (
            LogPolynomial,
            "ln(<i>R</i> / 1 Ω) = Σ <i>p</i><sub>i</sub> · (ln(<i>F</i> / <i>F</i>*))<sup><i>i</i></sup>",
        ),
    ],
)
def test_formulas_are_set_as_formulas(model: type[PowerLaw], shown: str) -> None:
    assert formula(model.formula) == Markup(shown)


def test_every_kind_of_block_is_in_the_document_and_no_section_is_empty() -> None:
    sections = document(signed(), (former(),)).sections
    kinds = {type(block) for section in sections for block in section.blocks}
    assert {Text, Facts, Table, Picture} <= kinds
    assert all(section.blocks for section in sections)
    assert sections[-1].blocks[-1] == Text(STATEMENT)
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Table):
                assert {len(row) for row in block.rows} == {len(block.columns)}, block.caption


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.pdf"
    write_whole(path, b"former")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full"):
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        write_whole(path, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["x.pdf"]
    assert path.read_bytes() == b"former"
