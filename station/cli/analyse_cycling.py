"""analyse cycles, dqdv, gitt, transference. What computes is imported where it is used: it takes a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from station.cli.analysed import (
    Output,
    Overwrite,
    RestCurrent,
    Source,
    basis,
    estimate,
    given,
    optional,
    quantity,
    show,
    shown,
    write_table,
)
from station.cli.common import AsJson, Database, console, err, say_json

if TYPE_CHECKING:
    from station.analysis.cycles import Cycle
    from station.analysis.flow import Direction
    from station.analysis.gitt import GittPulse
    from station.analysis.record import Record
    from station.analysis.transference import Polarisation, Transference


def add_to(app: typer.Typer) -> None:
    app.command()(cycles)
    app.command()(dqdv)
    app.command()(gitt)
    app.command()(transference)


# --- cycles


def cycles(
    source: Source,
    db: Database = None,
    output: Output = None,
    overwrite: Overwrite = False,
    mass: Annotated[list[str] | None, typer.Option("--mass", help="'active=1.5 mg'; as often as needed")] = None,
    area: Annotated[str | None, typer.Option("--area", help="of the electrode: '1.13 cm^2'")] = None,
    volume: Annotated[str | None, typer.Option("--volume", help="'2.5e-3 cm^3'")] = None,
    nominal_capacity: Annotated[str | None, typer.Option("--nominal-capacity", help="that 1C refers to")] = None,
    half_cell: Annotated[
        bool | None, typer.Option("--half-cell/--full-cell", help="whether a discharge is a lithiation")
    ] = None,
    reference: Annotated[int, typer.Option("--reference", help="cycle that retention refers to")] = 1,
    end_of_life: Annotated[str, typer.Option("--end-of-life", help="retention that a cell ends at")] = "80 %",
    average_from: Annotated[int | None, typer.Option("--average-from", help="first cycle of the mean CE")] = None,
    average_to: Annotated[int | None, typer.Option("--average-to", help="last cycle of the mean CE")] = None,
    rest_current: RestCurrent = None,
    as_json: AsJson = False,
) -> None:
    """Capacities, energies, efficiencies, hysteresis, retention, fade, and groups of cycles by rate."""
    from protocols.quantities import QuantityError, share
    from station.analysis import cycles as of
    from station.analysis.flow import Direction
    from station.analysis.naming import lithiation

    found = given(source, db)
    try:
        life = share(end_of_life)
    except QuantityError as error:
        raise typer.BadParameter(str(error), param_hint="--end-of-life") from error
    per = basis(found, mass, area, volume)
    rest_A = optional(rest_current, "A", "a current", "--rest-current")
    one_C_Ah = optional(nominal_capacity, "Ah", "a capacity", "--nominal-capacity") or found.capacity_Ah
    ways = {True: Direction.DISCHARGE, False: None, None: lithiation(found.chemistry)}
    all_cycles = of.cycles(found.record, rest_current_A=rest_A)
    table = of.cycle_table(all_cycles, per, lithiation=ways[half_cell])
    cut = None if found.finished else of.cut_half(all_cycles, len(found.record))
    whole = [cycle for cycle in all_cycles if cut is None or cycle.number != cut.cycle] or all_cycles
    summary = _summary(whole, one_C_Ah, reference, life, average_from, average_to)
    if len(whole) < len(all_cycles):
        text = f"the run was cut in cycle {all_cycles[-1].number}, or goes on in it: of that, the table alone"
        err.print(text, markup=False)
    write_table(table, output, overwrite=overwrite)
    if as_json:
        say_json({"cycles": table.to_dict(orient="records"), **summary})
        return
    _show_cycles(all_cycles, ways[half_cell])
    for line in _said(summary, reference, life):
        console.print(line, markup=False)


def _summary(
    all_cycles: Sequence[Cycle],
    one_C_Ah: float | None,
    reference: int,
    life: float,
    average_from: int | None,
    average_to: int | None,
) -> dict[str, Any]:
    """What single numbers there are; None where there is none."""
    from station.analysis import cycles as of
    from station.analysis.errors import AnalysisError

    def known(value: Any) -> Any:
        try:
            return value()
        except AnalysisError:
            return None

    return {
        "initial_efficiency": of.initial_efficiency(all_cycles),
        "average_efficiency": known(lambda: of.average_efficiency(all_cycles, average_from, average_to)),
        "fade_per_cycle": known(lambda: of.fade_per_cycle(all_cycles, reference)),
        "end_of_life_cycle": known(lambda: of.end_of_life(all_cycles, life, reference)),
        "rates": of.rate_test(all_cycles, one_C_Ah),
    }


def _show_cycles(all_cycles: Sequence[Cycle], lithiation: Direction | None) -> None:
    first = all_cycles[0].first

    def name(direction: Direction) -> str:
        if lithiation is None:
            return direction.value
        return f"{direction.value} ({'lithiation' if direction is lithiation else 'delithiation'})"

    ways = (first, first.other)
    headings = ["cycle", *(f"{name(way)} / mAh" for way in ways), "CE / %", "EE / %", "ΔV̄ / mV", "polarisation / mV"]
    rows = []
    for cycle in all_cycles:
        halves = [cycle.half(way) for way in ways]
        rows.append(
            [
                str(cycle.number),
                *(shown(None if half is None else half.capacity_Ah, 1e3) for half in halves),
                shown(cycle.coulombic_efficiency, 100, 5),
                shown(cycle.energy_efficiency, 100, 4),
                shown(cycle.hysteresis_V, 1e3),
                shown(cycle.polarisation_V, 1e3),
            ]
        )
    show("Cycles", headings, rows)


def _said(summary: dict[str, Any], reference: int, life: float) -> Iterator[str]:
    yield f"initial Coulombic efficiency: {shown(summary['initial_efficiency'], 100, 5)} %"
    if (average := summary["average_efficiency"]) is not None:
        yield (
            f"mean Coulombic efficiency, cycles {average.first} to {average.last}: "
            f"({shown(average.arithmetic.value, 100, 6)} ± {shown(average.arithmetic.u, 100, 2)}) %, "
            f"geometric {shown(average.geometric, 100, 6)} %, product {shown(average.product, 100, 6)} %"
        )
    if (fade := summary["fade_per_cycle"]) is not None:
        change, u = shown(fade.value, 100, 3), shown(fade.u, 100, 2)
        yield f"retention changes by ({change} ± {u}) % of cycle {reference} per cycle"
    ended = summary["end_of_life_cycle"]
    yield f"retention below {100 * life:g} %: " + ("in no cycle" if ended is None else f"from cycle {ended} on")
    for rate in summary["rates"]:
        c_rate = "" if rate.c_rate is None else f" ({rate.c_rate:.3g} C)"
        yield (
            f"cycles {rate.first} to {rate.last} at {1e3 * rate.current_A:.4g} mA{c_rate}: "
            f"{shown(rate.capacity_Ah.value, 1e3)} mAh, {100 * rate.share:.1f} % of the first group"
        )


# --- dqdv


def dqdv(
    source: Source,
    db: Database = None,
    output: Output = None,
    overwrite: Overwrite = False,
    cycle: Annotated[list[int] | None, typer.Option("--cycle", help="as often as needed; all by default")] = None,
    step: Annotated[str | None, typer.Option("--step", help="of the grid of voltage: '2 mV'")] = None,
    window: Annotated[int, typer.Option("--window", help="of the smoothing, in steps of the grid")] = 9,
    order: Annotated[int, typer.Option("--order", help="of the smoothing's polynomial")] = 2,
    levels: Annotated[bool, typer.Option("--levels", help="count charge at levels of voltage instead (LEAN)")] = False,
    prominence: Annotated[str, typer.Option("--prominence", help="of a peak, of the highest value")] = "5 %",
    within: Annotated[str, typer.Option("--within", help="how far a peak moves from cycle to cycle")] = "30 mV",
    rest_current: RestCurrent = None,
    as_json: AsJson = False,
) -> None:
    """dQ/dV of each half-cycle, and its peaks followed over cycles."""
    import pandas as pd

    from protocols.quantities import QuantityError, share
    from station.analysis.curves import NONE, Smoothing, dqdv_by_levels, half_curves
    from station.analysis.curves import dqdv as by_grid
    from station.analysis.errors import AnalysisError
    from station.analysis.flow import Direction
    from station.analysis.halfcycles import half_cycles
    from station.analysis.peaks import track_peaks

    found = given(source, db)
    rest_A = optional(rest_current, "A", "a current", "--rest-current")
    step_V = optional(step, "V", "a voltage", "--step")
    within_V = quantity(within, "V", "a voltage", "--within")
    try:
        stands_out = share(prominence)
    except QuantityError as error:
        raise typer.BadParameter(str(error), param_hint="--prominence") from error
    halves = half_cycles(found.record, rest_current_A=rest_A)
    if cycle and (missing := set(cycle) - {half.cycle for half in halves}):
        raise AnalysisError(f"there is no cycle {min(missing)}; there are {halves[0].cycle} to {halves[-1].cycle}")
    chosen = [half for half in halves if not cycle or half.cycle in cycle]
    smoothing = Smoothing(window, order)
    curves = [
        dqdv_by_levels(curve, step_V, NONE if window == 1 else smoothing)
        if levels
        else by_grid(curve, step_V, smoothing)
        for curve in half_curves(found.record, chosen, rest_current_A=rest_A)
    ]
    tracks = {
        way: track_peaks([curve for curve in curves if curve.direction is way], within_V, stands_out)
        for way in Direction
    }
    columns = [
        pd.DataFrame(
            {"cycle": c.cycle, "direction": c.direction.value, "voltage_V": c.x, "dQ_dV_Ah_V": c.dydx, "u_Ah_V": c.u}
        )
        for c in curves
    ]
    write_table(pd.concat(columns), output, overwrite=overwrite)
    if as_json:
        say_json({"smoothing": curves[0].smoothing, "peaks": {way.value: list(tracks[way]) for way in Direction}})
        return
    console.print(f"dQ/dV by {curves[0].smoothing}", markup=False)
    rows = [
        (way.value, str(number), str(peak.cycle), shown(peak.position), shown(peak.height, 1e3), shown(peak.width, 1e3))
        for way in Direction
        for number, track in enumerate(tracks[way], 1)
        for peak in track.peaks
    ]
    show("Peaks", ("", "peak", "cycle", "voltage / V", "height / mAh V⁻¹", "width / mV"), rows)


# --- gitt


def gitt(
    source: Source,
    radius: Annotated[str, typer.Option("--radius", help="of the particles: '2.5 um', '2.5 um +- 10 %'")],
    db: Database = None,
    output: Output = None,
    overwrite: Overwrite = False,
    rest_current: RestCurrent = None,
    as_json: AsJson = False,
) -> None:
    """Diffusion coefficients from pulses and rests, by three methods, with the bias of the classical one."""
    import pandas as pd

    from station.analysis.gitt import gitt as analyse

    found = given(source, db)
    rest_A = optional(rest_current, "A", "a current", "--rest-current")
    pulses = analyse(found.record, estimate(radius, "m", "a radius", "--radius"), rest_current_A=rest_A)
    write_table(pd.DataFrame([_gitt_row(pulse) for pulse in pulses]), output, overwrite=overwrite)
    if as_json:
        say_json([{**_gitt_row(pulse), "checks": list(pulse.checks)} for pulse in pulses])
        return
    headings = ("pulse", "", "E / V", "ΔE_s / mV", "ΔE_τ / mV", "D (W–H)", "Dτ/R²", "corrected", "√t", "fit", "mV/h")
    rows = [
        (
            str(pulse.number),
            pulse.direction.value,
            shown(pulse.relaxed_V),
            shown(pulse.relaxed_change_V.value, 1e3, 3),
            shown(pulse.pulse_change_V.value, 1e3, 3),
            shown(pulse.D_total.value, 1, 3),
            shown(pulse.fourier, 1, 2),
            shown(None if pulse.D_corrected is None else pulse.D_corrected.value, 1, 3),
            shown(pulse.D_sqrt.value, 1, 3),
            shown(pulse.D_fit.value, 1, 3),
            shown(pulse.rest_slope_V_s.value, 3.6e6, 2),
        )
        for pulse in pulses
    ]
    show("GITT; D in m² s⁻¹, Dτ/R² by the D of Weppner and Huggins (W–H), dE/dt at the end of the rest", headings, rows)
    for (name, example), failed in _unmet(pulses).items():
        console.print(f"not met in pulses {_ranges(failed)}: {name} ({example})", markup=False)


def _gitt_row(pulse: GittPulse) -> dict[str, Any]:
    corrected = pulse.D_corrected
    return {
        "pulse": pulse.number,
        "direction": pulse.direction.value,
        "start_s": pulse.start_s,
        "pulse_s": pulse.pulse_s,
        "rest_s": pulse.rest_s,
        "current_A": pulse.current_A,
        "relaxed_V": pulse.relaxed_V,
        "relaxed_change_V": pulse.relaxed_change_V.value,
        "pulse_change_V": pulse.pulse_change_V.value,
        "ohmic_V": pulse.ohmic_V,
        "D_total_m2_s": pulse.D_total.value,
        "D_total_u_m2_s": pulse.D_total.u,
        "D_corrected_m2_s": None if corrected is None else corrected.value,
        "D_corrected_u_m2_s": None if corrected is None else corrected.u,
        "D_sqrt_m2_s": pulse.D_sqrt.value,
        "D_sqrt_early_m2_s": pulse.D_sqrt_early.value,
        "sqrt_r2": pulse.sqrt_r2,
        "D_fit_m2_s": pulse.D_fit.value,
        "D_fit_u_m2_s": pulse.D_fit.u,
        "fit_rms_V": pulse.fit_rms_V,
        "fourier": pulse.fourier,
        "fourier_corrected": pulse.fourier_corrected,
        "rest_slope_V_s": pulse.rest_slope_V_s.value,
    }


def _unmet(pulses: Sequence[GittPulse]) -> dict[tuple[str, str], list[int]]:
    """Pulses by the condition that they do not meet, with what was found in the first of them."""
    examples: dict[str, str] = {}
    found: dict[tuple[str, str], list[int]] = {}
    for pulse in pulses:
        for check in pulse.checks:
            if not check.met:
                example = examples.setdefault(check.name, f"in pulse {pulse.number}, {check.found}")
                found.setdefault((check.name, example), []).append(pulse.number)
    return found


def _ranges(numbers: Sequence[int]) -> str:
    """Rising numbers as '1 to 4, 7'."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


# --- transference


def transference(
    bias: Annotated[str, typer.Option("--bias", help="applied voltage ΔV: '10 mV', '10 mV +- 0.1 mV'")],
    initial_resistance: Annotated[str, typer.Option("--r0", help="of the interfaces before: '40 ohm +- 1 %'")],
    steady_resistance: Annotated[str, typer.Option("--rs", help="of the interfaces at the steady state")],
    source: Annotated[str | None, typer.Argument(help="run or CSV file of the polarisation, for its currents")] = None,
    initial_current: Annotated[str | None, typer.Option("--i0", help="at the first moment: '71.4 uA'")] = None,
    steady_current: Annotated[str | None, typer.Option("--is", help="at the steady state")] = None,
    bulk_resistance: Annotated[str | None, typer.Option("--rb", help="of the electrolyte")] = None,
    db: Database = None,
    as_json: AsJson = False,
) -> None:
    """Transference number by Bruce and Vincent, corrected and not, and by Watanabe, with Monte-Carlo uncertainty.

    Without --i0, the initial current is ΔV/(R_b + R₀) where --rb is given, and the first reading's otherwise.
    """
    from station.analysis.transference import Polarisation
    from station.analysis.transference import transference as analyse

    initial = None if initial_current is None else estimate(initial_current, "A", "a current", "--i0")
    steady = None if steady_current is None else estimate(steady_current, "A", "a current", "--is")
    bulk = None if bulk_resistance is None else estimate(bulk_resistance, "ohm", "a resistance", "--rb")
    if source is not None:
        from station.analysis.estimate import Estimate

        read = _currents(given(source, db).record)
        steady = steady or read.steady_A
        if initial is None and bulk is None:
            initial = Estimate(read.first_A)
        if not read.steady:
            console.print(f"the current still changes by {100 * read.drift_per_hour:.2g} % per hour", markup=False)
    if steady is None:
        raise typer.BadParameter("give the steady current, or a run or file to read it from", param_hint="--is")
    measured = Polarisation(
        estimate(bias, "V", "a voltage", "--bias"),
        steady,
        estimate(initial_resistance, "ohm", "a resistance", "--r0"),
        estimate(steady_resistance, "ohm", "a resistance", "--rs"),
        bulk,
        initial,
    )
    found = analyse(measured)
    if as_json:
        say_json(found)
        return
    for line in _transference_said(measured, found):
        console.print(line, markup=False)


def _currents(record: Record) -> Any:
    from station.analysis.transference import currents

    return currents(record.time_s, record.current_A)


def _transference_said(measured: Polarisation, found: Transference) -> Iterator[str]:
    how = "as measured" if measured.initial_A is not None else "ΔV/(R_b + R₀)"
    yield f"I₀ = {1e6 * found.initial_A:.4g} µA ({how}), I_s = {1e6 * abs(measured.steady_A.value):.4g} µA"
    yield f"t₊ (Evans, Vincent and Bruce): {found.corrected}"
    yield f"t₊ uncorrected, I_s/I₀:        {found.uncorrected}"
    if found.watanabe is not None:
        yield f"t₊ (Watanabe):                 {found.watanabe}"
    if found.current_fraction is not None:
        yield f"current fraction ρ₊:           {found.current_fraction}"
    for warning in found.warnings:
        yield f"warning: {warning}"
