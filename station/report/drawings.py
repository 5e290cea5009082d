"""The figures of a report, each with what it shows and which readings it is from; a word where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from calibration.document import Block, Picture, Section, Text
from station.analysis import figures
from station.analysis.errors import AnalysisError
from station.analysis.figures import Drawn, Figure, Size
from station.report.reported import Reported
from station.report.summary import FittedSpectra
from station.report.values import hertz

SIZE = Size.DOUBLE


def of_run(one: Reported, fitted: FittedSpectra | None) -> list[Section]:
    sample, record = one.sample, one.record
    markers_s = np.array([marker.test_time_s for marker in one.markers], dtype=np.float64)
    simulated = one.run.simulated
    nothing, no_current = "Nothing has been recorded yet.", "No current has flowed yet."

    def of(title: str, draw: Callable[[], Figure] | None, missing: str) -> Section:
        return _section(title, draw, missing, f"Readings {one.all_readings} of run {one.run.run_id}.")

    return [
        of(
            "Voltage and current",
            None
            if record is None
            else lambda: figures.voltage_and_current(record, markers_s, size=SIZE, simulated=simulated),
            nothing,
        ),
        of(
            "Pressure",
            None
            if record is None
            else lambda: figures.pressure_and_voltage(record, markers_s, size=SIZE, simulated=simulated),
            nothing,
        ),
        of(
            "Voltage profiles",
            None if sample is None else lambda: figures.voltage_capacity(sample, size=SIZE),
            no_current,
        ),
        of(
            "Capacity and Coulombic efficiency",
            None if sample is None else lambda: figures.capacities([sample], size=SIZE),
            no_current,
        ),
        of("Differential capacity", None if sample is None else lambda: figures.dqdv_map(sample), no_current),
        of(
            "Pressure over capacity",
            None if sample is None else lambda: figures.pressure_loops(sample, size=SIZE),
            no_current,
        ),
        _impedance(one, fitted),
    ]


def of_comparison(runs: Sequence[Reported]) -> list[Section]:
    samples = [one.sample for one in runs if one.sample is not None]
    traced = "; ".join(f"{one.run.run_id}: readings {one.all_readings}" for one in runs) + "."
    drawn: list[Section] = []
    if samples:
        title = "Capacity and Coulombic efficiency, compared"
        drawn.append(_section(title, lambda: figures.capacities(samples, size=SIZE), "", traced))
    last = [one.spectra[-1] for one in runs if one.spectra]
    if len(last) > 1:
        spectra = [Drawn(f"{each.source}, cycle {each.cycle}", each.spectrum) for each in last]
        simulated = any(each.simulated for each in last)
        said = "; ".join(f"{each.source}: spectrum {each.number}" for each in last) + "."
        draw = _nyquist(spectra, simulated)
        drawn.append(_section("Impedance, compared", draw, "", said))
    return drawn


def _nyquist(spectra: Sequence[Drawn], simulated: bool) -> Callable[[], Figure]:
    return lambda: figures.nyquist(spectra, size=Size.ONE_AND_A_HALF, simulated=simulated)


def _impedance(one: Reported, fitted: FittedSpectra | None) -> Section:
    title = "Impedance"
    if not one.spectra:
        return Section(title, (Text("No impedance was measured in this run."),))
    if fitted is not None:
        chosen = [
            Drawn(f"cycle {each.cycle}", each.spectrum, each.cycle, fit)
            for each, fit in zip(fitted.measured, fitted.fits, strict=True)
        ]
        numbers = [each.number for each in fitted.measured]
    else:
        measured = [one.spectra[place] for place in figures.spread(range(len(one.spectra)))]
        chosen = [Drawn(f"cycle {each.cycle}", each.spectrum, each.cycle) for each in measured]
        numbers = [each.number for each in measured]
    low = min(float(each.spectrum.frequency_Hz[-1]) for each in chosen)
    high = max(float(each.spectrum.frequency_Hz[0]) for each in chosen)
    count = f"{len(chosen)} of {len(one.spectra)} spectra" if len(chosen) < len(one.spectra) else "All spectra"
    which = ", ".join(str(number) for number in numbers)
    traced = f"{count}, {hertz(low)} to {hertz(high)}: numbers {which} of run {one.run.run_id}."
    return _section(title, _nyquist(chosen, one.run.simulated), "", traced)


def _section(title: str, draw: Callable[[], Figure] | None, missing: str, traced: str) -> Section:
    if draw is None:
        return Section(title, (Text(missing),))
    try:
        figure = draw()
    except AnalysisError as error:
        text = str(error)
        return Section(title, (Text(f"{text[:1].upper()}{text[1:].rstrip('.')}."),))
    blocks: tuple[Block, ...] = (Picture(figure.drawing, f"{figure.caption} {traced}"),)
    return Section(title, blocks)
