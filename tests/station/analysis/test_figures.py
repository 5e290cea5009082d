"""Figures: what is drawn is the analysis's, what stands beside it is what is drawn, in the sizes of journals."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Drawing
from PIL import Image
from pypdf import PdfReader
from typer.testing import CliRunner

from station.analysis.curves import dqdv, half_curves
from station.analysis.cycles import cut_half, cycles, rate_test
from station.analysis.errors import AnalysisError
from station.analysis.figures import (
    CapacityUnit,
    Conductivity,
    Drawn,
    Figure,
    Format,
    Sample,
    Size,
    bode,
    capacities,
    conductivity,
    consistency,
    dqdv_map,
    impedance,
    nyquist,
    pressure_and_voltage,
    pressure_loops,
    rates,
    relaxation_times,
    save,
    voltage_and_current,
    voltage_capacity,
)
from station.analysis.flow import Direction
from station.analysis.impedance import (
    distribution_of_relaxation_times,
    fit_arrhenius,
    fit_circuit,
    fit_vtf,
    kramers_kronig,
)
from station.analysis.pressure import pressure_loop
from station.analysis.record import as_record, record
from station.cli import app
from station.readings import RunState
from station.store import Writer, upgrade
from tests.station import synthetic
from tests.station.analysis.impedance.spectra import HALF_CELL
from tests.station.analysis.impedance.spectra import synthetic as spectrum
from tests.station.analysis.records import ideal_cell

KELVIN = np.array([253.0, 273, 293, 313, 333, 353])
SIGMA = 40 / np.sqrt(KELVIN) * np.exp(-900 / (KELVIN - 180))


@pytest.fixture(scope="module")
def sample() -> Sample:
    bare = ideal_cell(3, efficiency=0.98, every_s=60.0)
    pressure_Pa = 3e5 + 1e5 * (bare.voltage_V - 3)
    data = record(
        bare.time_s, bare.voltage_V, bare.current_A, pressure_Pa=pressure_Pa, pressure_U_Pa=0.05 * pressure_Pa
    )
    return Sample("cell 7", data, cycles(data), CapacityUnit.of(1e-3), nominal_capacity_Ah=4e-3)


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    one = spectrum()
    return Drawn("cycle 1", one, 1, fit_circuit(one, HALF_CELL))


# --- what is drawn is the analysis's


def test_curves_are_those_of_the_half_cycles(sample: Sample) -> None:
    table = voltage_capacity(sample, [2]).data
    for curve in half_curves(sample.record, [h for c in sample.cycles[1:2] for h in (c.charge, c.discharge) if h]):
        rows = table[table["direction"] == curve.direction]
        assert rows["capacity_mAh_g"].to_numpy() == pytest.approx(curve.capacity_Ah * 1e6)
        assert rows["voltage_V"].to_numpy() == pytest.approx(curve.voltage_V)


def test_capacities_and_efficiencies_are_those_of_the_cycles(sample: Sample) -> None:
    figure = capacities([sample])
    assert figure.data["coulombic_efficiency_percent"].to_list() == pytest.approx([98.0] * 3)
    assert figure.data["charge_capacity_mAh_g"].to_list() == pytest.approx([2000.0] * 3)
    drawn_y = np.asarray(figure.drawing.axes[0].get_lines()[0].get_ydata())
    assert drawn_y == pytest.approx(figure.data["charge_capacity_mAh_g"].to_numpy())


def test_an_efficiency_far_off_sets_no_scale_and_is_marked_at_the_edge() -> None:
    far = ideal_cell(1, efficiency=0.4, every_s=600.0)
    near = ideal_cell(8, efficiency=0.99, every_s=600.0)
    end_s = far.time_s[-1] + 1
    joined = record(
        np.concatenate((far.time_s, near.time_s + end_s)),
        np.concatenate((far.voltage_V, near.voltage_V)),
        np.concatenate((far.current_A, near.current_A)),
    )
    lower = capacities([Sample("a", joined, cycles(joined))]).drawing.axes[1]
    assert lower.get_ylim()[0] > 90
    assert [line.get_marker() for line in lower.get_lines()][-1] == "v"


def test_rates_are_named_by_the_nominal_capacity(sample: Sample) -> None:
    figure = rates([sample])
    (group,) = rate_test(sample.cycles, 4e-3)
    assert figure.data["c_rate"].unique() == pytest.approx([group.c_rate])
    assert [text.get_text() for text in figure.drawing.axes[0].texts] == ["C/4"]


def test_a_half_cycle_that_the_run_was_cut_in_is_drawn_apart_or_left_out() -> None:
    channel = synthetic.cut_half_cell(cycles=4)
    data = as_record(pd.DataFrame([asdict(one) for one in channel.readings]))
    found = cycles(data)
    cut = cut_half(found, len(data))
    assert cut is not None and (cut.cycle, cut.direction) == (5, Direction.CHARGE)
    assert cut_half(found[:-1], len(data)) is None, "the charge of the fourth had ended"
    stopped = Sample("c", data, found, cut=cut)
    assert [cycle.number for cycle in stopped.complete_cycles] == [1, 2, 3, 4]

    figure = capacities([stopped])
    upper, lower = figure.drawing.axes
    crosses = [line for line in upper.get_lines() if line.get_marker() == "x"]
    assert [(*line.get_xdata(), line.get_label()) for line in crosses] == [(5, "cut short")]
    (charge,) = (line for line in upper.get_lines() if line.get_label() == "charge")
    assert 5 not in charge.get_xdata(), "a quarter of a charge is no capacity"
    (discharge,) = (line for line in upper.get_lines() if line.get_label() == "discharge")
    assert 5 in discharge.get_xdata(), "that half was whole"
    assert figure.data["cut_short"].to_list() == [""] * 4 + ["charge"]
    assert np.isnan(figure.data["coulombic_efficiency_percent"].to_list()[-1]) and lower.get_ylim()[0] > 50
    assert "Cycle 5, in which the run was cut or goes on, has a cross instead" in figure.caption

    for draw in (voltage_capacity, dqdv_map, pressure_loops):
        one = draw(stopped)
        assert one.data["cycle"].unique().tolist() == [1, 2, 3, 4] and "is left out" in one.caption
        one = draw(stopped, [4, 5])
        assert set(one.data["cycle"]) >= {5} and "is drawn as far as it came" in one.caption, "who asks for it gets it"
    assert rates([stopped]).data["cycle"].max() == 4

    begun = Sample("c", data, found[-1:], cut=cut)
    assert voltage_capacity(begun).data["cycle"].unique().tolist() == [5], "the only one there is"
    whole = capacities([Sample("c", data, found)])
    assert not [line for line in whole.drawing.axes[0].get_lines() if line.get_marker() == "x"]
    assert "cut" not in whole.caption


def test_each_row_of_the_map_is_a_derivative(sample: Sample) -> None:
    figure = dqdv_map(sample, [1])
    halves = [half for half in (sample.cycles[0].charge, sample.cycles[0].discharge) if half is not None]
    for curve in half_curves(sample.record, halves):
        found = dqdv(curve)
        rows = figure.data[figure.data["direction"] == curve.direction]
        assert rows["voltage_V"].to_numpy() == pytest.approx(found.x)
        assert rows["dqdv_mAh_g_V"].to_numpy() == pytest.approx(found.dydx * 1e6)


def test_loops_are_those_of_the_analysis(sample: Sample) -> None:
    table = pressure_loops(sample, [2]).data
    loop = pressure_loop(sample.record, sample.cycles[1])
    assert table["charge_Pa"].to_numpy() == pytest.approx(loop.charge_Pa)
    assert table["capacity_mAh_g"].to_numpy() == pytest.approx(loop.capacity_Ah * 1e6)


def test_a_spectrum_is_drawn_with_its_fit_and_both_axes_to_one_scale(drawn: Drawn) -> None:
    figure = nyquist([drawn])
    measured = figure.data[figure.data["of"] == "measured"]
    assert measured["imaginary_ohm"].to_numpy() == pytest.approx(drawn.spectrum.impedance_ohm.imag)
    assert drawn.fit is not None
    assert measured["residual_real_percent"].to_numpy() == pytest.approx(100 * drawn.fit.residuals.real)
    figure.drawing.draw_without_rendering()
    axes = figure.drawing.axes[0]
    (left, low), (right, high) = axes.transData.transform([(0, 0), (10, 10)])
    assert right - left == pytest.approx(high - low)


def test_conductivities_are_drawn_with_both_fits_and_the_caption_says_their_results() -> None:
    fit = fit_arrhenius(KELVIN, SIGMA)
    figure = conductivity([Conductivity("SPE", fit, fit_vtf(KELVIN, SIGMA))])
    assert figure.data.groupby("of").size().to_dict() == {"Arrhenius": 100, "VTF": 100, "measured": 6}
    assert f"({fit.activation_energy_eV}) eV" in figure.caption


def test_what_cannot_be_drawn_is_said(sample: Sample) -> None:
    with pytest.raises(AnalysisError, match="there is no cycle 9; there are 1 to 3"):
        voltage_capacity(sample, [9])
    bare = Sample("b", ideal_cell(1), cycles(ideal_cell(1)))
    with pytest.raises(AnalysisError, match="one unit, not of mAh and mAh/g"):
        capacities([sample, bare])
    with pytest.raises(AnalysisError, match="no pressure was measured"):
        pressure_and_voltage(bare.record)
    with pytest.raises(AnalysisError, match="no cycle has a charge, a discharge and a pressure"):
        pressure_loops(bare)


# --- sizes, files, simulated cells


def every_kind(sample: Sample, drawn: Drawn) -> dict[str, Callable[[Size], Figure]]:
    test, times = kramers_kronig(drawn.spectrum), distribution_of_relaxation_times(drawn.spectrum)
    sigma = Conductivity("SPE", fit_arrhenius(KELVIN, SIGMA), fit_vtf(KELVIN, SIGMA))
    return {
        "voltage-capacity": lambda size: voltage_capacity(sample, size=size),
        "cycling": lambda size: capacities([sample], size=size),
        "rate": lambda size: rates([sample], size=size),
        "dqdv": lambda size: dqdv_map(sample, size=size),
        "pressure": lambda size: pressure_and_voltage(sample.record, size=size),
        "voltage-current": lambda size: voltage_and_current(sample.record, size=size),
        "pressure-loops": lambda size: pressure_loops(sample, size=size),
        "nyquist": lambda size: nyquist([drawn], size=size),
        "bode": lambda size: bode([drawn], size=size),
        "kramers-kronig": lambda size: consistency([("cycle 1", test)], size=size),
        "drt": lambda size: relaxation_times([("cycle 1", 1.0, times)], size=size),
        "impedance": lambda size: impedance(drawn, test, times, size=size),
        "conductivity": lambda size: conductivity([sigma], size=size),
    }


def test_every_kind_has_the_width_of_a_column_and_names_its_units(sample: Sample, drawn: Drawn) -> None:
    for kind, draw in every_kind(sample, drawn).items():
        figure = draw(Size.SINGLE)  # where there is the least room
        assert figure.kind == kind
        assert figure.drawing.get_figwidth() * 25.4 == pytest.approx(85)
        assert 40 < figure.drawing.get_figheight() * 25.4 < 180
        figure.drawing.draw_without_rendering()
        assert nothing_is_cut(figure.drawing), kind
        labels = [axis.get_label_text() for axes in figure.drawing.axes for axis in (axes.xaxis, axes.yaxis)]
        assert all("/" in label or label in ("", "Cycle") for label in labels), labels
        assert len(figure.data) and not figure.data.columns.duplicated().any()


@pytest.mark.parametrize(("size", "width_mm"), [("single", 85), ("one-and-a-half", 120), ("double", 178)])
def test_columns_of_journals(sample: Sample, size: str, width_mm: float) -> None:
    for draw in (voltage_capacity, pressure_loops, dqdv_map):
        assert draw(sample, size=Size(size)).drawing.get_figwidth() * 25.4 == pytest.approx(width_mm)


def nothing_is_cut(drawing: Drawing) -> bool:
    """All that is written lies within the page."""
    box, page = drawing.get_tightbbox(), drawing.get_size_inches()
    return bool(box.x0 > -0.02 and box.y0 > -0.02 and box.x1 < page[0] + 0.02 and box.y1 < page[1] + 0.02)


def test_files_are_of_the_size_asked_for_and_the_data_beside_them_are_those_drawn(tmp_path: Path, drawn: Drawn) -> None:
    figure = nyquist([drawn], size=Size.SINGLE)
    written = save(figure, tmp_path / "fig.3a")
    assert [path.name for path in written] == ["fig.3a.svg", "fig.3a.pdf", "fig.3a.png", "fig.3a.csv"]
    with Image.open(tmp_path / "fig.3a.png") as picture:
        assert picture.size[0] == pytest.approx(85 / 25.4 * 600, abs=1)
    page = PdfReader(tmp_path / "fig.3a.pdf").pages[0]
    assert float(page.mediabox.width) / 72 * 25.4 == pytest.approx(85, abs=0.1)
    assert "Re Z / Ω" in page.extract_text()
    assert 'width="240.9' in (tmp_path / "fig.3a.svg").read_text(encoding="utf-8")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "fig.3a.csv"), figure.data)
    save(figure, tmp_path / "again", [Format.SVG])
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "fig.3a.svg").read_bytes()
    with pytest.raises(AnalysisError, match="no figure was written to"):
        save(figure, tmp_path / "no folder" / "x")


def test_simulated_cells_are_called_so_in_the_figure_and_in_every_row(tmp_path: Path, sample: Sample) -> None:
    simulated = Sample("s", sample.record, sample.cycles, sample.capacity, simulated=True)
    for figure in (voltage_capacity(simulated), capacities([sample, simulated])):
        save(figure, tmp_path / "a", [Format.PDF])
        assert "SIMULATED" in PdfReader(tmp_path / "a.pdf").pages[0].extract_text()
        assert (pd.read_csv(tmp_path / "a.csv")["origin"] == "SIMULATED").all()
    save(voltage_capacity(sample), tmp_path / "b", [Format.PDF])
    assert "SIMULATED" not in PdfReader(tmp_path / "b.pdf").pages[0].extract_text()


# --- the command


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("figures")
    url = f"sqlite:///{(folder / 'station.db').as_posix()}"
    upgrade(url)
    writer = Writer(url, folder / "spool")
    channel = synthetic.half_cell(cycles=3)
    writer.begin_run(synthetic.snapshot(channel.run_id))
    for batch in synthetic.batches(channel):
        writer.submit(batch)
    writer.close()
    return url


def typed(*words: str | Path, fails: int = 0) -> str:
    result = CliRunner().invoke(app, ["figure", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == fails, result.output
    return result.output


@pytest.mark.parametrize("kind", ["voltage-capacity", "cycling", "pressure", "pressure-loops", "dqdv"])
def test_figures_of_a_run(tmp_path: Path, database: str, kind: str) -> None:
    said = typed(kind, "last", "-o", tmp_path / "a", "--format", "svg", "--db", database)
    assert "a.svg" in said and "a.csv" in said and "SIMULATED" in said
    assert (pd.read_csv(tmp_path / "a.csv")["origin"] == "SIMULATED").all()


def test_a_figure_of_a_run_that_was_stopped_knows_the_cycle_that_it_was_cut_in(tmp_path: Path) -> None:
    url = f"sqlite:///{(tmp_path / 'station.db').as_posix()}"
    upgrade(url)
    with contextlib.closing(Writer(url, tmp_path / "spool")) as writer:
        writer.begin_run(synthetic.snapshot())
        for batch in synthetic.batches(synthetic.cut_half_cell(), state=RunState.STOPPED):
            writer.submit(batch)
    typed("cycling", "last", "-o", tmp_path / "a", "--format", "svg", "--db", url)
    assert pd.read_csv(tmp_path / "a.csv")["cut_short"].fillna("").to_list() == ["", "", "", "charge"]
    result = CliRunner().invoke(app, ["analyse", "cycles", "last", "--db", url])
    assert "the run was cut in cycle 4, or goes on in it" in result.stderr
    assert "cycles 1 to 3" in result.stdout and "retention below 80 %: in no cycle" in result.stdout


def test_spectra_of_a_run_and_of_a_file_in_one_figure(tmp_path: Path, database: str) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("f/Hz,Re/ohm,Im/ohm\n1000,5,-1\n100,6,-2\n10,7,-1\n", encoding="utf-8")
    typed("nyquist", "run-1", path, "--no-fit", "-o", tmp_path / "a", "--format", "png", "--db", database)
    names = pd.read_csv(tmp_path / "a.csv")["spectrum"].unique().tolist()
    assert names == ["cycle 1", "cycle 2", "cycle 3", "theirs 1"]


def test_mistakes_are_told(tmp_path: Path, database: str) -> None:
    stem = tmp_path / "a"
    assert "'bmp' is no format" in typed("cycling", "last", "-o", stem, "--format", "bmp", "--db", database, fails=2)
    assert "one run or file" in typed("dqdv", "last", "last", "-o", stem, "--db", database, fails=2)
    assert "no range" in typed("dqdv", "last", "-o", stem, "--cycles", "1,x", "--db", database, fails=2)
    assert not list(tmp_path.iterdir())
