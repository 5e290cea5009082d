"""figure: for a paper, with the data beside it. What computes and draws is imported where it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from station.cli.analysed import given, is_file, optional, quantity
from station.cli.common import Database, console, database_url, err, resolved_run

if TYPE_CHECKING:
    from station.analysis.figures import Drawn, Figure, Format, Sample
    from station.analysis.figures import Size as FigureSize
    from station.analysis.impedance.spectrum import Measured


class Kind(StrEnum):
    VOLTAGE_CAPACITY = "voltage-capacity"
    CYCLING = "cycling"
    RATE = "rate"
    DQDV = "dqdv"
    VOLTAGE_CURRENT = "voltage-current"
    PRESSURE = "pressure"
    PRESSURE_LOOPS = "pressure-loops"
    NYQUIST = "nyquist"
    BODE = "bode"
    KRAMERS_KRONIG = "kramers-kronig"
    DRT = "drt"
    IMPEDANCE = "impedance"
    CONDUCTIVITY = "conductivity"


class Size(StrEnum):
    SINGLE = "single"
    ONE_AND_A_HALF = "one-and-a-half"
    DOUBLE = "double"


SPECTRA = (Kind.NYQUIST, Kind.BODE, Kind.KRAMERS_KRONIG, Kind.DRT, Kind.IMPEDANCE)
SOME_SPECTRA = 7
SOME_TESTS = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed beside the kind and the sources."""

    size: Size | None
    db: str | None
    cycles: tuple[int, ...] | None
    numbers: tuple[int, ...]
    circuit: str | None
    fit: bool
    mass: str | None
    nominal_capacity: str | None
    thickness: str | None
    area: str | None

    def width(self, otherwise: str) -> FigureSize:
        from station.analysis.figures import Size as FigureSize

        return FigureSize(self.size.value if self.size is not None else otherwise)


def add_to(app: typer.Typer) -> None:
    app.command()(figure)


def figure(
    kind: Annotated[Kind, typer.Argument(help="what to draw; see docs/figures.md")],
    sources: Annotated[list[str], typer.Argument(help="runs ('last'), or files of readings or spectra")],
    output: Annotated[Path, typer.Option("-o", "--output", help="the files' name without an ending")],
    formats: Annotated[str, typer.Option("--format", help="svg, pdf, png, with commas between")] = "svg,pdf,png",
    size: Annotated[Size | None, typer.Option("--size", help="of a journal's column: 85, 120 or 178 mm")] = None,
    cycles: Annotated[str | None, typer.Option("--cycles", help="such as '1,2,10-50'; otherwise some of them")] = None,
    number: Annotated[list[int] | None, typer.Option("--number", help="only this spectrum; repeatable")] = None,
    circuit: Annotated[str | None, typer.Option("--circuit", help="to fit; otherwise one is chosen")] = None,
    fit: Annotated[bool, typer.Option("--fit/--no-fit", help="whether spectra are fitted")] = True,
    mass: Annotated[str | None, typer.Option("--mass", help="'1.5 mg': capacities per gram of it")] = None,
    nominal_capacity: Annotated[str | None, typer.Option("--nominal-capacity", help="that 1C refers to")] = None,
    thickness: Annotated[str | None, typer.Option("--thickness", help="of a conductor: '100 um'")] = None,
    area: Annotated[str | None, typer.Option("--area", help="of a conductor: '1.54 cm^2'")] = None,
    db: Database = None,
) -> None:
    """Draw a figure in a journal's size, as SVG, PDF and PNG, and write its data beside it as CSV.

    Several runs or files are drawn into one figure by the kinds cycling, rate and conductivity, and those of spectra.
    """
    from station.analysis.figures import save

    asked = Asked(
        *(size, db, _numbers(cycles), tuple(number or ()), circuit, fit),
        *(mass, nominal_capacity, thickness, area),
    )
    wanted = _formats(formats)
    if kind in SPECTRA:
        drawn = _of_spectra(kind, sources, asked)
    elif kind is Kind.CONDUCTIVITY:
        drawn = _of_conductivities(sources, asked)
    else:
        drawn = _of_cycling(kind, sources, asked)
    for path in save(drawn, output, wanted):
        console.print(str(path), markup=False)
    err.print(drawn.caption, markup=False, highlight=False)


def _formats(text: str) -> tuple[Format, ...]:
    from station.analysis.figures import Format

    known = {each.value: each for each in Format}
    names = [name.strip().lower().lstrip(".") for name in text.split(",") if name.strip()]
    if not names or (unknown := [name for name in names if name not in known]):
        said = f"'{unknown[0]}' is no format of a figure" if names else "no format is named"
        raise typer.BadParameter(f"{said}; there are {', '.join(known)}", param_hint="--format")
    return tuple(known[name] for name in dict.fromkeys(names))


def _numbers(text: str | None) -> tuple[int, ...] | None:
    """'1,2,10-12' as 1, 2, 10, 11, 12."""
    if text is None:
        return None
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.strip().isdecimal()):
            raise typer.BadParameter(f"'{part}' is no cycle, and no range such as 10-50", param_hint="--cycles")
        found += range(int(first), int(last if dash else first) + 1)
    return tuple(found)


# --- cycling


def _of_cycling(kind: Kind, sources: Sequence[str], asked: Asked) -> Figure:
    from station.analysis import figures

    samples = [_sample(source, asked) for source in sources]
    several: dict[Kind, Callable[[], Figure]] = {
        Kind.CYCLING: lambda: figures.capacities(samples, size=asked.width("single")),
        Kind.RATE: lambda: figures.rates(samples, size=asked.width("single")),
    }
    if kind in several:
        return several[kind]()
    if len(samples) > 1:
        raise typer.BadParameter(f"a figure '{kind}' is of one run or file; there are {len(samples)}")
    one, cycles = samples[0], asked.cycles
    single: dict[Kind, Callable[[], Figure]] = {
        Kind.VOLTAGE_CAPACITY: lambda: figures.voltage_capacity(one, cycles, size=asked.width("single")),
        Kind.DQDV: lambda: figures.dqdv_map(one, cycles, size=asked.width("double")),
        Kind.PRESSURE_LOOPS: lambda: figures.pressure_loops(one, cycles, size=asked.width("single")),
        Kind.PRESSURE: lambda: figures.pressure_and_voltage(
            one.record, size=asked.width("double"), simulated=one.simulated
        ),
        Kind.VOLTAGE_CURRENT: lambda: figures.voltage_and_current(
            one.record, size=asked.width("double"), simulated=one.simulated
        ),
    }
    return single[kind]()


def _sample(source: str, asked: Asked) -> Sample:
    from station.analysis.cycles import cut_half, cycles
    from station.analysis.figures import CapacityUnit, Sample

    found = given(source, asked.db)
    mass_g = found.active_mass_g if asked.mass is None else quantity(asked.mass, "g", "a mass", "--mass")
    nominal_Ah = optional(asked.nominal_capacity, "Ah", "a capacity", "--nominal-capacity") or found.capacity_Ah
    unit = CapacityUnit.of(mass_g)
    all_cycles = cycles(found.record)
    cut = None if found.finished else cut_half(all_cycles, len(found.record))
    return Sample(found.name, found.record, all_cycles, unit, found.simulated, nominal_Ah, cut)


# --- spectra


def _of_spectra(kind: Kind, sources: Sequence[str], asked: Asked) -> Figure:
    from station.analysis import figures
    from station.analysis.impedance import distribution_of_relaxation_times, kramers_kronig

    most = {Kind.KRAMERS_KRONIG: SOME_TESTS, Kind.IMPEDANCE: 1}.get(kind, SOME_SPECTRA)
    measured = _measured(sources, asked, most)
    simulated = any(each.simulated for each in measured)
    if kind is Kind.KRAMERS_KRONIG:
        tests = [(_name(each), kramers_kronig(each.spectrum)) for each in measured]
        return figures.consistency(tests, size=asked.width("single"), simulated=simulated)
    if kind is Kind.DRT:
        found = [(_name(each), each.cycle, distribution_of_relaxation_times(each.spectrum)) for each in measured]
        return figures.relaxation_times(found, size=asked.width("single"), simulated=simulated)
    drawn = _drawn(measured, asked)
    if kind is Kind.NYQUIST:
        return figures.nyquist(drawn, size=asked.width("single"), simulated=simulated)
    if kind is Kind.BODE:
        return figures.bode(drawn, size=asked.width("single"), simulated=simulated)
    one = drawn[0]
    test, times = kramers_kronig(one.spectrum), distribution_of_relaxation_times(one.spectrum)
    return figures.impedance(one, test, times, size=asked.width("double"), simulated=simulated)


def _measured(sources: Sequence[str], asked: Asked, most: int) -> list[Measured]:
    """At most so many spectra, evenly chosen unless they are named."""
    from station.analysis.errors import AnalysisError
    from station.analysis.figures import spread
    from station.analysis.files import read_spectra
    from station.analysis.impedance.spectrum import of_sweeps
    from station.store import Archive

    found: list[Measured] = []
    for source in sources:
        if is_file(source):
            found += read_spectra(Path(source))
        else:
            archive = Archive(database_url(asked.db))
            run_id = resolved_run(archive, source)
            found += of_sweeps(run_id, archive.sweeps(run_id), archive.run(run_id).simulated)
    chosen = [
        each
        for each in found
        if (not asked.numbers or each.number in asked.numbers) and (asked.cycles is None or each.cycle in asked.cycles)
    ]
    if not chosen:
        raise AnalysisError(f"none of the {len(found)} spectra has that number or cycle" if found else "no spectra")
    if not asked.numbers and asked.cycles is None:
        chosen = [chosen[place] for place in spread(range(len(chosen)), most)]
    return chosen


def _drawn(measured: Sequence[Measured], asked: Asked) -> list[Drawn]:
    from station.analysis.figures import Drawn
    from station.analysis.impedance import fit_series, select_circuit

    if not asked.fit:
        return [Drawn(_name(each), each.spectrum, each.cycle) for each in measured]
    spectra = [each.spectrum for each in measured]
    circuit = asked.circuit or select_circuit(spectra[0]).chosen.circuit.text
    fits = fit_series(spectra, circuit).fits
    return [Drawn(_name(each), each.spectrum, each.cycle, one) for each, one in zip(measured, fits, strict=True)]


def _name(one: Measured) -> str:
    return f"cycle {one.cycle}" if one.cycle is not None else f"{one.source.split('.')[0]} {one.number}"


# --- conductivity


def _of_conductivities(sources: Sequence[str], asked: Asked) -> Figure:
    from station.analysis.figures import Conductivity, conductivity
    from station.analysis.files import is_simulated
    from station.analysis.impedance import fit_arrhenius, fit_vtf
    from station.analysis.impedance.temperatures import read_temperatures

    thickness_m = optional(asked.thickness, "m", "a thickness", "--thickness")
    area_m2 = optional(asked.area, "m^2", "an area", "--area")
    samples = []
    for source in sources:
        kelvin, sigma = read_temperatures(Path(source), thickness_m, area_m2)
        curved = fit_vtf(kelvin, sigma) if len(set(kelvin)) > 3 and asked.fit else None
        samples.append(Conductivity(Path(source).stem, fit_arrhenius(kelvin, sigma), curved))
    simulated = any(is_simulated(Path(source)) for source in sources)
    return conductivity(samples, size=asked.width("single"), simulated=simulated)
