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

from station import figures
from station.derivation import carry_out, plan
from station.readings import CellEvent, CellEventKind, Event, Level, RunState
from station.report import CURVES, _half_cycles, capacity_text, pressure_text, spread, write_report
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
        self.fetched += [value for value in wanted if not value.startswith("#")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


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
    write_report(archive, "run-1", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Markers" in Page(text).headings
    assert "200 older markers are in the database alone" in text
    assert "<td>image 700</td><td>1 rest, cycle 1</td><td>750.0 %</td><td>triggered</td>" in text
    assert '<td class="marker">' not in text, "they would push the events that matter out of the table"
    assert "Broken vertical lines are the protocol's markers" in html.unescape(text)


def test_marker_lines_are_few_enough_to_see_the_curve() -> None:
    time_s, flat = np.array([0.0, 1e4]), np.array([1.0, 1.0])
    none = figures.voltage_and_current(time_s, flat, flat)
    some = figures.voltage_and_current(time_s, flat, flat, np.array([5e3]))
    many = figures.voltage_and_current(time_s, flat, flat, np.linspace(0, 1e4, 5000))
    counts = [text.count("stroke-dasharray") for text in (none, some, many)]
    assert counts == [0, 2, 2 * figures.MOST_MARKERS]


def test_a_whole_run_on_one_page(tmp_path: Path) -> None:
    event = Event(synthetic.STARTED, Level.ALARM, "pressure <1.5 MPa> & rising", "A1", "run-1", "zhang")
    channel = synthetic.half_cell(cycles=9)
    archive = recorded(tmp_path, channel, Batch("run-1", events=(event,)))
    path = tmp_path / "report.html"
    path.write_text("a former one")
    write_report(archive, "run-1", path)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.fetched == []
    assert page.headings == [
        "Voltage and current",
        "Pressure",
        "Voltage profiles",
        "Capacity and Coulombic efficiency",
        "Impedance",
        "Events",
        "What this run depended on",
    ]
    assert text.count("<svg") == 5
    assert len(set(re.findall(r' id="([^"]+)"', text))) > 20
    assert "SIMULATED BENCH" in text
    assert "discharge 1.000 mAh (666.7 mAh/g)" in text
    assert "charge 0.9097 mAh (606.5 mAh/g)" in text
    assert f"Coulombic efficiency {100 * archive.cycles('run-1')[0].coulombic_efficiency:.2f} %" in text
    assert "300.0 kPa ± 4.0 kPa (k = 2)" in text
    assert "7 of 9 spectra, 100 mHz to 100 kHz" in text
    assert "pressure &lt;1.5 MPa&gt; &amp; rising" in text
    assert "&lt;cell &amp; 7&gt;" in text
    assert "<pre>steps:" in text
    assert not list(tmp_path.glob("*.unfinished"))


def test_what_there_is_not_is_left_out_with_a_word(tmp_path: Path) -> None:
    channel = synthetic.Channel()
    channel.run_step("rest", 60.0, lambda _: 0.0)
    channel.readings = [replace(one, pressure_Pa=None, pressure_U_Pa=None) for one in channel.readings]
    archive = recorded(tmp_path, channel, simulated=False)
    write_report(archive, "run-1", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    Page(text)
    assert text.count("<svg") == 1
    assert "SIMULATED" not in text
    for word in ("No pressure was measured", "No current has flowed yet", "No impedance was measured"):
        assert word in text
    assert "Lowest pressure" not in text


def test_a_run_without_readings_and_one_that_is_not_there(tmp_path: Path) -> None:
    stopped = Batch("run-1", state=RunState.STOPPED, reason="by hand", ended=2e9)
    archive = recorded(tmp_path, synthetic.Channel(), stopped)
    write_report(archive, "run-1", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "stopped: by hand" in text
    assert "Nothing has been recorded yet" in text
    with pytest.raises(StoreError, match="no run 'x'"):
        write_report(archive, "x", tmp_path / "other.html")
    with pytest.raises(StoreError, match="no report was written"):
        write_report(archive, "run-1", tmp_path / "no folder" / "report.html")


def test_half_cycles_end_where_the_current_reverses_and_not_at_rests(tmp_path: Path) -> None:
    channel = synthetic.Channel()
    noise = iter(np.resize([1e-9, -1e-9], 10_000))
    for kind, amperes in (("discharge", -1e-3), ("rest", 0.0), ("discharge", -1e-3), ("charge", 1e-3), ("rest", 0.0)):
        channel.run_step(kind, 600.0, lambda _, amperes=amperes: amperes or next(noise))
    archive = recorded(tmp_path, channel)
    discharge, charge = _half_cycles(archive, "run-1", 1, 1e3)
    assert discharge.x[0] == charge.x[0] == 0
    assert discharge.x[-1] == pytest.approx(1 / 3, rel=1e-3)  # mAh
    assert np.max(charge.x) == pytest.approx(1 / 6, rel=1e-3)
    assert (np.diff(discharge.x) > -1e-6).all()


@pytest.mark.parametrize(
    ("pressure_Pa", "U_Pa", "text"),
    [
        (546_123.0, 4_321.0, "546.1 kPa ± 4.3 kPa (k = 2)"),
        (546_123.0, 52_000.0, "546 kPa ± 52 kPa (k = 2)"),
        (1_546_123.0, 234_000.0, "1550 kPa ± 230 kPa (k = 2)"),
        (546_123.0, 12.3, "546.123 kPa ± 0.012 kPa (k = 2)"),
        (546_123.0, float("nan"), "546.1 kPa (uncertainty not known)"),
    ],
)
def test_pressure_is_rounded_to_its_uncertainty(pressure_Pa: float, U_Pa: float, text: str) -> None:
    assert pressure_text(pressure_Pa, U_Pa) == text


def test_capacities_are_per_mass_only_where_the_mass_is_known() -> None:
    assert capacity_text(1.23456e-3, None) == "1.235 mAh"
    assert capacity_text(1.23456e-3, 1e-3) == "1.235 mAh (1235 mAh/g)"


def test_what_is_drawn_is_spread_over_the_run() -> None:
    assert spread([1, 2, 3]) == [1, 2, 3]
    chosen = spread(range(1, 301))
    assert (chosen[0], chosen[-1], len(chosen)) == (1, 300, CURVES)
    assert spread([]) == []


@pytest.mark.parametrize(
    ("largest", "unit"), [(0.9996, "A"), (2.5e-3, "mA"), (4e-7, "nA"), (4e-6, "µA"), (0.0, "A"), (3e6, "MA")]
)
def test_units_are_chosen_by_size(largest: float, unit: str) -> None:
    assert figures.prefix_scale(largest, "A").unit == unit


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
    write_report(archive, "run-1", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "mfsr-12 v3, made 2026-01-01, expires 2026-06-30, SHA-256 " + synthetic.CALIBRATION.sha256[:16] in text
    assert "the calibration mfsr-12 v3 expired on 2026-06-30" in text
    assert "546 kPa ± 36 kPa (k = 2, mfsr-12 v3)" in text
    assert "mfsr-12 v4, shown here, derived" in text and "mfsr-12 v3, kept, derived" in text
    assert "resistances_ohm" not in text, "the points of the calibration stand on its certificate"
