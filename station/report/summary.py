"""The table of results: each with its uncertainty, the readings that it is from, and the function that gave it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calibration.document import Block, Column, Table, Text
from station.analysis.cycles import (
    Accuracy,
    Cycle,
    average_efficiency,
    end_of_life,
    fade_per_cycle,
    retention,
)
from station.analysis.errors import AnalysisError
from station.analysis.estimate import Estimate
from station.analysis.figures import Sample, spread
from station.analysis.flow import Direction
from station.analysis.halfcycles import HalfCycle
from station.analysis.impedance import CircuitFit, fit_series, select_circuit
from station.analysis.impedance.fit import FittedParameter
from station.analysis.impedance.spectrum import Measured
from station.analysis.pressure import CyclePressure, pressure_cycles
from station.export import software_version
from station.report.reported import Reported
from station.report.values import four_digits, pressure, stated

COLUMNS = (
    Column("Quantity", 1.75, number=False),
    Column("Value", 1.45),
    Column("Readings", 0.85, number=False),
    Column("Function", 1.65, number=False),
)
SOME_SPECTRA = 5
"""Fitted for a report, evenly chosen."""


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the summary."""

    name: str
    value: str
    readings: str
    function: str  # within station.analysis

    def cells(self) -> tuple[str, ...]:
        return self.name, self.value, self.readings, self.function


@dataclass(frozen=True, slots=True, eq=False)
class FittedSpectra:
    """What a report says of a run's impedance."""

    measured: tuple[Measured, ...]
    fits: tuple[CircuitFit, ...]


def summary(one: Reported, fitted: FittedSpectra | None, accuracy: Accuracy | None) -> tuple[Block, ...]:
    """How numbers are stated, and the table of them; a word where nothing can be said yet."""
    results = [*_cycling(one, accuracy), *_pressures(one), *_impedance(fitted)]
    if not results:
        return (Text("There are no results yet."),)
    circuit = f" The circuit is {fitted.fits[0].circuit.text}." if fitted is not None else ""
    text = (
        "± is the expanded uncertainty (k = 2): of means and slopes from the scatter over cycles, of pressures from "
        f"the calibration, of a circuit's parameters from the fit.{circuit}"
    )
    caption = (
        f"Readings are sequence numbers in run {one.run.run_id}; functions are those of station.analysis, cellstation "
        f"{software_version()}."
    )
    return Text(text), Table(caption, COLUMNS, tuple(result.cells() for result in results))


# --- cycles


def _cycling(one: Reported, accuracy: Accuracy | None) -> Iterator[Result]:
    sample = one.sample
    if sample is None:
        return
    complete = one.complete_cycles
    yield Result("Complete cycles", f"{len(complete)} of {len(sample.cycles)} begun", one.all_readings, "cycles.cycles")
    for cycle in (*complete[:1], *complete[1:][-1:]):
        yield from _of_cycle(one, sample, cycle, accuracy)
    if len(complete) > 1:
        yield from _over_cycles(one, complete)


def _of_cycle(one: Reported, sample: Sample, cycle: Cycle, accuracy: Accuracy | None) -> Iterator[Result]:
    name = f"cycle {cycle.number}"
    for direction in (cycle.first, cycle.first.other):
        half = cycle.half(direction)
        if half is not None:
            capacity = Estimate(half.capacity_Ah) if accuracy is None else accuracy.capacity_Ah(half)
            value = _capacity(capacity, sample)
            readings = one.readings(half.first_row, half.end_row)
            yield Result(f"{direction.value.capitalize()} capacity, {name}", value, readings, "halfcycles.half_cycles")
    readings = _of_both(one, cycle)
    efficiency = Estimate(cycle.coulombic_efficiency) if accuracy is None else accuracy.coulombic_efficiency(cycle)
    of = "cycles.Cycle"
    yield Result(f"Coulombic efficiency, {name}", _percent(efficiency), readings, f"{of}.coulombic_efficiency")
    yield Result(
        f"Energy efficiency, {name}",
        _percent(Estimate(cycle.energy_efficiency)),
        readings,
        f"{of}.energy_efficiency",
    )
    hysteresis = stated(Estimate(cycle.hysteresis_V), 1e3, "mV")
    yield Result(f"Voltage hysteresis, {name}", hysteresis, readings, f"{of}.hysteresis_V")


def _of_both(one: Reported, cycle: Cycle) -> str:
    halves: list[HalfCycle] = [half for half in (cycle.charge, cycle.discharge) if half is not None]
    return one.readings(min(half.first_row for half in halves), max(half.end_row for half in halves))


def _capacity(capacity: Estimate, sample: Sample) -> str:
    """In mAh, and per gram where the active mass is known (whose own uncertainty is not part of it)."""
    text = stated(capacity, 1e3, "mAh")
    per = sample.capacity
    return text if per.unit == "mAh" else f"{text} ({stated(capacity, per.per_Ah, per.unit)})"


def _percent(estimate: Estimate) -> str:
    text = stated(estimate, 100, "%")
    return text if "±" in text or not math.isfinite(estimate.value) else f"{100 * estimate.value:.2f} %"


def _over_cycles(one: Reported, complete: Sequence[Cycle]) -> Iterator[Result]:
    first = min(half.first_row for half in (complete[0].charge, complete[0].discharge) if half is not None)
    last = max(half.end_row for half in (complete[-1].charge, complete[-1].discharge) if half is not None)
    readings = one.readings(first, last)
    mean = average_efficiency(complete)
    name = f"Mean Coulombic efficiency, cycles {mean.first} to {mean.last}"
    yield Result(name, _percent(mean.arithmetic), readings, "cycles.average_efficiency")
    reference = complete[0].number
    kept = Estimate(float(retention(complete, reference)[-1]))
    name = f"Retention of cycle {complete[-1].number} against cycle {reference}"
    yield Result(name, _percent(kept), readings, "cycles.retention")
    try:
        fade = fade_per_cycle(complete, reference)
    except AnalysisError:
        return  # fewer than three cycles
    yield Result("Change of the retention", stated(fade, 100, "%/cycle"), readings, "cycles.fade_per_cycle")
    ended = end_of_life(complete, reference=reference)
    said = "not reached" if ended is None else f"cycle {ended}"
    yield Result("End of life (80 % retention)", said, readings, "cycles.end_of_life")


# --- pressure


def _pressures(one: Reported) -> Iterator[Result]:
    if one.sample is None or one.record is None:
        return
    try:
        whole = one.complete_cycles or one.sample.cycles
        found = pressure_cycles(one.record, whole, area_cm2=one.run.electrode_area_cm2)
    except AnalysisError:
        return  # none was measured
    by_number = {cycle.number: cycle for cycle in one.sample.cycles}
    lowest = min(found, key=lambda each: each.lowest.value)
    highest = max(found, key=lambda each: each.highest.value)
    function = "pressure.pressure_cycles"
    for name, each, value in (("Lowest", lowest, lowest.lowest), ("Highest", highest, highest.highest)):
        readings = _of_both(one, by_number[each.cycle])
        yield Result(f"{name} pressure (cycle {each.cycle})", pressure(value), readings, function)
    for each in dict.fromkeys((found[0], found[-1])):
        yield from _swing(one, each, by_number[each.cycle], function)


def _swing(one: Reported, each: CyclePressure, cycle: Cycle, function: str) -> Iterator[Result]:
    readings = _of_both(one, cycle)
    yield Result(f"Swing of the pressure, cycle {each.cycle}", pressure(each.swing), readings, function)
    if each.growth is not None and each.growth.value != 0:
        name = f"Growth of the pressure, cycle {each.cycle}"
        yield Result(name, pressure(each.growth), one.all_readings, function)


# --- impedance


def fitted_spectra(one: Reported) -> FittedSpectra | None:
    """Some spectra with fits of the circuit that the first of them supports best; None where none can be fitted."""
    if not one.spectra:
        return None
    measured = tuple(one.spectra[place] for place in spread(range(len(one.spectra)), SOME_SPECTRA))
    try:
        circuit = select_circuit(measured[0].spectrum).chosen.circuit.text
        fits = fit_series([each.spectrum for each in measured], circuit).fits
    except AnalysisError:
        return None  # too few points; the spectra are drawn all the same
    return FittedSpectra(measured, fits)


def _impedance(fitted: FittedSpectra | None) -> Iterator[Result]:
    if fitted is None:
        return
    for place in dict.fromkeys((0, len(fitted.fits) - 1)):
        measured, fit = fitted.measured[place], fitted.fits[place]
        for parameter in fit.parameters:
            if parameter.unit == "ohm":
                name = f"{parameter.name}, cycle {measured.cycle}"
                readings = f"spectrum {measured.number}"
                yield Result(name, _parameter(parameter), readings, "impedance.fit_series")


def _parameter(one: FittedParameter) -> str:
    """By its 95 % interval where that is far from symmetric, as of a parameter that the spectrum hardly determines."""
    if one.fixed or not math.isfinite(one.standard_error):
        return f"{four_digits(one.value)} Ω"
    if one.standard_error > 0.2 * abs(one.value):
        return f"{four_digits(one.value)} Ω (95 %: {four_digits(one.low_95)} to {four_digits(one.high_95)})"
    return stated(Estimate(one.value, one.standard_error), 1.0, "Ω")


def comparison(runs: Sequence[Reported]) -> Table:
    """One line for each run."""
    columns = (
        Column("Run", 1.8, number=False),
        Column("Cell", 1.2, number=False),
        Column("Cycles", 0.6),
        Column("Capacity, first cycle", 1.2),
        Column("Capacity, last", 1.2),
        Column("Coulombic efficiency", 1.3),
        Column("Retention", 0.8),
    )
    caption = (
        "Capacities of the second half-cycle; mean Coulombic efficiency from the second cycle on, ± its expanded "
        "uncertainty from the scatter (k = 2). The tables of each run say which readings they are from."
    )
    return Table(caption, columns, tuple(_compared(one) for one in runs))


def _compared(one: Reported) -> tuple[str, ...]:
    head = (one.run.run_id, one.run.cell)
    complete = one.complete_cycles
    if not complete or one.sample is None:
        return (*head, "0", "—", "—", "—", "—")
    given_back: Direction = complete[0].first.other
    halves = [cycle.half(given_back) for cycle in complete]
    first, last = (
        "—"
        if half is None
        else stated(Estimate(half.capacity_Ah), one.sample.capacity.per_Ah, one.sample.capacity.unit)
        for half in (halves[0], halves[-1])
    )
    mean = average_efficiency(complete[1:] or complete).arithmetic
    kept = Estimate(float(retention(complete, complete[0].number)[-1]))
    return (*head, str(len(complete)), first, last, _percent(mean), _percent(kept))
