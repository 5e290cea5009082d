"""The report page: complete in itself, honest about what it shows."""

from __future__ import annotations

import html
import html.parser
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pypdf import PdfReader

from station.analysis.cycles import Accuracy, average_efficiency, cycles
from station.analysis.estimate import Estimate
from station.analysis.figures.overtime import MOST_MARKERS, voltage_and_current
from station.analysis.figures.scales import prefix_scale
from station.analysis.pressure import pressure_cycles
from station.analysis.record import as_record, record
from station.derivation import carry_out, plan
from station.readings import CellEvent, CellEventKind, Event, Level, RunState
from station.report import write_report
from station.report.values import pressure, stated
from station.store import Archive, Batch, StoreError, Writer
from tests.calibration_records import made_record
from tests.station import synthetic


class Page(html.parser.HTMLParser):
    """Checks that elements are closed, and collects what the page would fetch from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.headings: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)
        wanted = [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.fetched += [value for value in wanted if not value.startswith(("#", "data:image/png;base64,"))]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data.partition(". ")[2])


def recorded(
    tmp_path: Path,
    channel: synthetic.Channel,
    *extra: Batch,
    simulated: bool = True,
    more: dict[str, object] | None = None,
) -> Archive:
    url = f"sqlite:///{(tmp_path / 'station.db').as_posix()}"
    writer = Writer(url, tmp_path / "spool")
    document = {"protocol": "steps:\n  - rest: {for: 4 h}\n", "cell": {"name": "<cell & 7>", "mass": None}, "list": [1]}
    document = {**document, **(more or {})}
    snapshot = replace(synthetic.snapshot(channel.run_id, simulated=simulated), document=json.dumps(document))
    writer.begin_run(snapshot)
    for batch in (*synthetic.batches(channel), *extra):
        writer.submit(batch)
    writer.close()
    assert writer.trouble is None
    return Archive(url)


def test_markers_are_lines_in_the_figures_and_a_table_of_their_own(tmp_path: Path) -> None:
    made = tuple(synthetic.marker(number) for number in range(1, 701))
    events = tuple(Event(one.time, Level.MARKER, one.name, "A1", "run-1") for one in made)
    archive = recorded(tmp_path, synthetic.half_cell(cycles=1), Batch("run-1", markers=made, events=events))
    write_report(archive, ["run-1"], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Markers" in Page(text).headings
    assert "200 older markers are in the database alone" in text
    row = '<td>image 700</td><td>1 rest, cycle 1</td><td class="number">750.0 %</td><td>triggered</td>'
    assert row in text
    assert "<td>marker</td>" not in text, "they would push the events that matter out of the table"
    assert "Broken vertical lines are the protocol's markers" in html.unescape(text)


def test_marker_lines_are_few_enough_to_see_the_curve() -> None:
    time_s, flat = np.array([0.0, 1e4]), np.array([1.0, 1.0])
    given = record(time_s, flat, flat)
    drawn = [voltage_and_current(given, np.array(times)) for times in ([], [5e3], np.linspace(0, 1e4, 5000))]
    counts = [[len(c.get_segments()) for axes in one.drawing.axes for c in axes.collections] for one in drawn]
    assert counts == [[], [1, 1], [MOST_MARKERS, MOST_MARKERS]]


def test_a_whole_run_on_one_page(tmp_path: Path) -> None:
    event = Event(synthetic.STARTED, Level.ALARM, "pressure <1.5 MPa> & rising", "A1", "run-1", "zhang")
    archive = recorded(tmp_path, synthetic.half_cell(cycles=9), Batch("run-1", events=(event,)))
    path = tmp_path / "report.html"
    path.write_text("a former one")
    write_report(archive, ["run-1"], path)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.fetched == []
    assert page.headings == HEADINGS
    assert text.count("<svg") == 7
    assert len(set(re.findall(r' id="([^"]+)"', text))) > 20
    assert "SIMULATED: these data come from a simulated cell" in text
    assert "pressure &lt;1.5 MPa&gt; &amp; rising" in text
    assert "&lt;cell &amp; 7&gt;" in text
    assert "<pre>steps:" in text
    assert "TCPIP::10.0.0.5" not in text
    assert not list(tmp_path.glob("*.unfinished"))


HEADINGS = [
    "The run",
    "Results",
    "Voltage and current",
    "Pressure",
    "Voltage profiles",
    "Capacity and Coulombic efficiency",
    "Differential capacity",
    "Pressure over capacity",
    "Impedance",
    "Events",
    "What the run depended on",
]


def test_numbers_are_the_analysis_s_and_name_their_readings(tmp_path: Path) -> None:
    archive = recorded(tmp_path, synthetic.half_cell(cycles=4))
    accuracy = Accuracy(current_gain=1e-3, current_offset_A=1e-7)
    write_report(archive, ["run-1"], tmp_path / "report.html", accuracy)
    rows = rows_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    frame = archive.frame("run-1")
    found = cycles(frame)
    last = found[-1]
    assert last.charge is not None
    value, readings, function = rows[f"Charge capacity, cycle {last.number}"]
    capacity = accuracy.capacity_Ah(last.charge)
    assert value.startswith(stated(capacity, 1e3, "mAh")) and "±" in value
    first, end = frame["sequence"][last.charge.first_row], frame["sequence"][last.charge.end_row - 1]
    assert (readings, function) == (f"{first}–{end}", "halfcycles.half_cycles")
    mean = average_efficiency(found).arithmetic
    assert rows["Mean Coulombic efficiency, cycles 1 to 4"][0] == stated(mean, 100, "%")
    swing = pressure_cycles(as_record(frame), found)[0].swing
    assert rows["Swing of the pressure, cycle 1"][0] == pressure(swing)


def rows_of(text: str) -> dict[str, list[str]]:
    lines = re.findall(r"<tr>(<td>.*?)</tr>", text)
    cells = [[html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", line)] for line in lines]
    return {row[0]: row[1:] for row in cells if len(row) == 4}


def test_the_pdf_says_what_the_page_says(tmp_path: Path) -> None:
    archive = recorded(tmp_path, synthetic.half_cell(cycles=3))
    for name in ("a.html", "a.pdf"):
        write_report(archive, ["run-1"], tmp_path / name)
    pages = [page.extract_text() for page in PdfReader(tmp_path / "a.pdf").pages]
    assert all("SIMULATED" in page for page in pages)
    said = "".join("".join(pages).split())
    assert all("".join(heading.split()) in said for heading in HEADINGS)
    for name, (value, readings, function) in rows_of((tmp_path / "a.html").read_text(encoding="utf-8")).items():
        for word in (name, value, readings, function):
            assert "".join(word.split()) in said, word


def test_runs_are_compared(tmp_path: Path) -> None:
    archive = recorded(tmp_path, synthetic.half_cell(cycles=3))
    again = synthetic.half_cell(cycles=2, run_id="run-2")
    writer = Writer(f"sqlite:///{(tmp_path / 'station.db').as_posix()}", tmp_path / "spool")
    writer.begin_run(synthetic.snapshot("run-2", simulated=False))
    for batch in synthetic.batches(again):
        writer.submit(batch)
    writer.close()
    write_report(archive, ["run-1", "run-2"], tmp_path / "two.html")
    text = (tmp_path / "two.html").read_text(encoding="utf-8")
    assert "Comparison of 2 runs (SIMULATED)" in text
    assert "run-1: readings 1–" in text and "run-2: readings 1–" in text
    assert {"Results, compared", "Capacity and Coulombic efficiency, compared"} <= set(Page(text).headings)


def test_what_there_is_not_is_left_out_with_a_word(tmp_path: Path) -> None:
    channel = synthetic.Channel()
    channel.run_step("rest", 60.0, lambda _: 0.0)
    channel.readings = [replace(one, pressure_Pa=None, pressure_U_Pa=None) for one in channel.readings]
    archive = recorded(tmp_path, channel, simulated=False)
    write_report(archive, ["run-1"], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    Page(text)
    assert text.count("<svg") == 1
    assert "SIMULATED" not in text
    for word in ("No pressure was measured", "No current has flowed", "No impedance was measured", "no results yet"):
        assert word in text


def test_a_run_without_readings_and_one_that_is_not_there(tmp_path: Path) -> None:
    stopped = Batch("run-1", state=RunState.STOPPED, reason="by hand", ended=2e9)
    archive = recorded(tmp_path, synthetic.Channel(), stopped)
    write_report(archive, ["run-1"], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "stopped: by hand" in text
    assert "Nothing has been recorded yet" in text
    with pytest.raises(StoreError, match="no run 'x'"):
        write_report(archive, ["x"], tmp_path / "other.html")
    with pytest.raises(StoreError, match="no report was written"):
        write_report(archive, ["run-1"], tmp_path / "no folder" / "report.html")


@pytest.mark.parametrize(
    ("pressure_Pa", "U_Pa", "text"),
    [
        (546_123.0, 4_321.0, "546.1 ± 4.3 kPa"),
        (546_123.0, 52_000.0, "546 ± 52 kPa"),
        (1_546_123.0, 234_000.0, "1550 ± 230 kPa"),
        (546_123.0, 12.3, "546.123 ± 0.012 kPa"),
        (546_123.0, float("nan"), "546.1 kPa (uncertainty not known)"),
    ],
)
def test_pressure_is_rounded_to_its_uncertainty(pressure_Pa: float, U_Pa: float, text: str) -> None:
    assert pressure(Estimate(pressure_Pa, U_Pa / 2)) == text


@pytest.mark.parametrize(
    ("largest", "unit"), [(0.9996, "A"), (2.5e-3, "mA"), (4e-7, "nA"), (4e-6, "µA"), (0.0, "A"), (3e6, "MA")]
)
def test_units_are_chosen_by_size(largest: float, unit: str) -> None:
    assert prefix_scale(largest, "A").unit == unit


def test_what_the_pressures_rest_on_is_in_the_summary(tmp_path: Path) -> None:
    """The record that the run began with, what was known against it, the cell's events, and another derivation."""
    built_in = CellEvent(
        *("cell-7", synthetic.STARTED - 3600.0, CellEventKind.ASSEMBLED, "A1", "mfsr-12", synthetic.STARTED - 3600.0),
        *(2.88e5, 546e3, 36e3, "mfsr-12 v3"),
    )
    channel = synthetic.half_cell(cycles=1)
    known = json.loads(synthetic.snapshot().document)
    archive = recorded(tmp_path, channel, Batch(cell_events=(built_in,)), more=known)
    planned = plan(archive, "run-1", made_record("mfsr-12", 4, a=1e6), "ada", synthetic.STARTED + 1e5)
    carry_out(f"sqlite:///{(tmp_path / 'station.db').as_posix()}", planned)
    write_report(archive, ["run-1"], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "mfsr-12 v3, made 2026-01-01, expires 2026-06-30, SHA-256 " + synthetic.CALIBRATION.sha256[:16] in text
    assert "the calibration mfsr-12 v3 expired on 2026-06-30" in text
    assert "546 kPa ± 36 kPa (k = 2, mfsr-12 v3)" in text
    assert "mfsr-12 v4, shown here, derived" in text and "mfsr-12 v3, kept, derived" in text
    assert "resistances_ohm" not in text, "the points of the calibration stand on its certificate"


def test_a_cycle_that_the_run_was_cut_in_is_no_complete_one(tmp_path: Path) -> None:
    """Its half capacity would be taken for fade, and the cell's life for ended."""
    stopped = Batch("run-1", state=RunState.STOPPED, reason="by hand", ended=2e9)
    archive = recorded(tmp_path, synthetic.cut_half_cell(cycles=3), stopped)
    write_report(archive, ["run-1"], tmp_path / "report.html")
    text = html.unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "3 of 4 begun" in text
    assert "Retention of cycle 3 against cycle 1" in text
    assert "cycle 4" not in text.split("Voltage and current")[0]
    assert text.count("Cycle 4, in which the run was cut or goes on, is left out") == 3, "profiles, dQ/dV, loops"
    assert text.count("Cycle 4, in which the run was cut or goes on, has a cross instead, and no efficiency") == 1
