"""analyse impedance, analyse conductivity. What computes and draws is imported where it is used: it takes seconds."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from station.cli.common import AsJson, Database, console, database_url, say_json

if TYPE_CHECKING:
    from station.analysis.estimate import Estimate
    from station.analysis.impedance import DRT, VTF, Arrhenius, CircuitFit
    from station.analysis.impedance.account import Account
    from station.analysis.impedance.spectrum import Measured


class Form(StrEnum):
    SIGMA = "sigma"
    SIGMA_T = "sigma-T"


def add_to(app: typer.Typer) -> None:
    app.command()(impedance)
    app.command()(conductivity)


def impedance(
    files: Annotated[list[Path] | None, typer.Argument(help="files of spectra (see docs/formats.md)")] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="a run's spectra; 'last' is the newest run")] = None,
    numbers: Annotated[
        list[int] | None, typer.Option("--number", help="only this spectrum of the run or file; repeatable")
    ] = None,
    circuit: Annotated[
        str | None,
        typer.Option("--circuit", help="such as 'L-R1-(Q2R2)-(Q3R3)-Q4', or a name such as 'half-cell'; else chosen"),
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="draw it: FILE.png, .svg or .pdf")] = None,
    db: Database = None,
    as_json: AsJson = False,
) -> None:
    """Test spectra for consistency, fit a circuit without start values, and find relaxation times."""
    from station.analysis.impedance.account import account

    result = account(_measured(files or [], run_id, numbers or [], db), circuit)
    if plot is not None:
        _draw(result, plot)
    if as_json:
        say_json(result.plain())
        return
    _say(result)
    if plot is not None:
        console.print(str(plot), markup=False)


def conductivity(
    file: Annotated[
        Path | None,
        typer.Argument(help="CSV: temperature_degC or temperature_K, and resistance_ohm or conductivity_S_per_cm"),
    ] = None,
    resistance: Annotated[str | None, typer.Option("--resistance", help="of one measurement: '12.3 ohm'")] = None,
    thickness: Annotated[str | None, typer.Option("--thickness", help="between the electrodes: '100 um'")] = None,
    area: Annotated[str | None, typer.Option("--area", help="of the electrodes: '1.54 cm^2'")] = None,
    form: Annotated[Form, typer.Option("--form", help="what the Arrhenius fit is of")] = Form.SIGMA,
    as_json: AsJson = False,
) -> None:
    """Conductivity from resistance, thickness and area; Arrhenius and Vogel–Tammann–Fulcher fits over temperature."""
    from station.analysis.impedance import conductivity_S_per_m, fit_arrhenius, fit_vtf
    from station.analysis.impedance.temperatures import read_temperatures

    lengths = (_si(thickness, "m", "a thickness"), _si(area, "m^2", "an area"))
    if (file is None) == (resistance is None):
        raise typer.BadParameter("give a file, or --resistance with --thickness and --area")
    if file is None:
        if None in lengths:
            raise typer.BadParameter("--resistance needs --thickness and --area")
        ohm = _si(resistance, "ohm", "a resistance") or 0.0
        _say_conductivity(conductivity_S_per_m(ohm, lengths[0] or 0.0, lengths[1] or 0.0), as_json)
        return
    temperature_K, sigma = read_temperatures(file, *lengths)
    straight = fit_arrhenius(temperature_K, sigma, form="sigma T" if form is Form.SIGMA_T else "sigma")
    curved = fit_vtf(temperature_K, sigma) if len(set(temperature_K)) > 3 else None
    if as_json:
        say_json({"arrhenius": _plain(straight), "vtf": None if curved is None else _plain(curved)})
        return
    _say_temperatures(straight, curved)


# --- where spectra come from


def _measured(files: Sequence[Path], run_id: str | None, numbers: Sequence[int], db: str | None) -> list[Measured]:
    from station.analysis.errors import AnalysisError
    from station.analysis.files import read_spectra

    if bool(files) == (run_id is not None):
        raise typer.BadParameter("give files, or a run by --run")
    found = [each for path in files for each in read_spectra(path)] if run_id is None else _of_run(run_id, db)
    wanted = [each for each in found if not numbers or each.number in numbers]
    if not wanted:
        there = ", ".join(str(each.number) for each in found)
        raise AnalysisError(f"no spectrum has that number; there are: {there}" if found else "there are no spectra")
    return wanted


def _of_run(run_id: str, db: str | None) -> list[Measured]:
    from station.analysis.impedance.spectrum import of_sweeps
    from station.cli.common import resolved_run
    from station.store import Archive

    archive = Archive(database_url(db))
    run = resolved_run(archive, run_id)
    return list(of_sweeps(run, archive.sweeps(run), archive.run(run).simulated))


def _si(text: str | None, unit: str, kind: str) -> float | None:
    from protocols.quantities import QuantityError, number

    if text is None:
        return None
    try:
        return number(text, unit, kind)
    except QuantityError as error:
        raise typer.BadParameter(str(error)) from None


# --- what is said


def _draw(result: Account, path: Path) -> None:
    from station.analysis.errors import AnalysisError
    from station.analysis.figures import Drawn, Format, impedance, save

    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise typer.BadParameter(f"{path}: a picture is .png, .svg or .pdf")
    if len(result.spectra) > 1:
        raise AnalysisError(f"--plot draws one spectrum; there are {len(result.spectra)}: choose by --number")
    one = result.spectra[0]
    measured = one.measured
    drawn = Drawn(measured.source, measured.spectrum, measured.cycle, one.fit)
    figure = impedance(drawn, one.test, one.relaxation, simulated=measured.simulated)
    save(figure, path.with_suffix(""), [Format(path.suffix.lower()[1:])])


def _say(result: Account) -> None:
    for each in result.ranking:
        line = f"{each.fit.circuit.text}: {each.fit.free} parameters, BIC {each.difference:+.1f}"
        console.print(line, markup=False, highlight=False)
    for one in result.spectra:
        measured = one.measured
        cycle = "" if measured.cycle is None else f", cycle {measured.cycle}"
        left_out = f", {measured.spectrum.left_out} points without a value" if measured.spectrum.left_out else ""
        console.rule(f"{measured.source} {measured.number}{cycle}{left_out}", align="left")
        if one.test is not None:
            console.print(f"Kramers–Kronig: {one.test.verdict}", markup=False, highlight=False)
        _say_fit(one.fit)
        if one.relaxation is not None:
            _say_relaxation(one.relaxation)


def _say_relaxation(relaxation: DRT) -> None:
    table = _table("relaxation time / s", "frequency / Hz", "resistance / ohm")
    for peak in relaxation.peaks:
        table.add_row(str(peak.time_constant_s), f"{peak.frequency_Hz:.4g}", str(peak.resistance_ohm))
    console.print(table)
    tail = "" if relaxation.tail_exponent is None else f", beside a tail of exponent {relaxation.tail_exponent:.2f}"
    console.print(f"λ = {relaxation.regularisation:.1e} ({relaxation.chosen_by}){tail}", markup=False, highlight=False)
    if relaxation.tail:
        print("the slowest relaxation times are of a tail, not of a process", file=sys.stderr)


def _say_fit(fit: CircuitFit) -> None:
    title = f"{fit.circuit.text}, weights: {fit.weighting}, reduced chi² {fit.chi2_reduced:.3g}"
    console.print(title, markup=False, highlight=False)
    table = _table("parameter", "value", "standard error", "95 % from", "to", "unit")
    for each in fit.parameters:
        numbers = (each.value, each.standard_error, each.low_95, each.high_95)
        table.add_row(each.name, *(f"{value:.4g}" for value in numbers), each.unit or "1")
    console.print(table)
    table = _table("arc", "frequency / Hz", "C (Brug) / F", "C (Hsu–Mansfeld) / F")
    for arc in fit.arcs:
        brug = "–" if arc.capacitance_brug_F is None else str(arc.capacitance_brug_F)
        table.add_row(
            f"{arc.resistor}, {arc.capacitor}", str(arc.frequency_Hz), brug, str(arc.capacitance_hsu_mansfeld_F)
        )
    console.print(table)
    for flag in fit.flags:
        print(flag, file=sys.stderr)


def _say_conductivity(sigma: Estimate, as_json: bool) -> None:
    if as_json:
        say_json({"conductivity_S_per_m": sigma.value, "conductivity_S_per_cm": sigma.value / 100})
    else:
        console.print(f"{sigma.value:.4g} S/m = {sigma.value / 100:.4g} S/cm", highlight=False)


def _say_temperatures(straight: Arrhenius, curved: VTF | None) -> None:
    low, high = straight.activation_energy_95_eV
    console.print(
        f"Arrhenius of {straight.form}: Ea = {straight.activation_energy_eV} eV (95 %: {low:.4f} to {high:.4f}), "
        f"A = {straight.prefactor} {'S K/m' if straight.form == 'sigma T' else 'S/m'}",
        highlight=False,
    )
    if curved is None:
        return
    better = curved.better_than_arrhenius
    console.print(
        f"VTF: T0 = {curved.t0_K} K (95 %: {curved.t0_95_K[0]:.1f} to {curved.t0_95_K[1]:.1f}), B = {curved.b_K} K, "
        f"B kB = {curved.pseudo_activation_energy_eV} eV, A = {curved.prefactor} S K^0.5/m"
        + ("" if better is None else f"; AICc of Arrhenius less that of VTF: {better:+.1f}"),
        highlight=False,
    )
    for warning in curved.warnings:
        print(warning, file=sys.stderr)


def _table(*headings: str) -> Table:
    table = Table()
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number == 0 else "right")
    return table


def _plain(result: Any) -> dict[str, Any]:
    return {
        name: value.tolist() if hasattr(value, "tolist") else value
        for name, value in dataclasses.asdict(result).items()
    }
