"""A protocol in virtual time on a simulated cell: how long it takes, what it gives, and which limits it meets.

The sequencer and the limits are the station's own; the source, the sensors and the cell are simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocols.checks import problem_at
from protocols.document import DocumentError
from protocols.program import Kind
from station.forecast.course import MOST_S, Course, SoFar, Watch
from station.forecast.kept import Floats, Kept, Listener
from station.forecast.results import Ending, Forecast
from station.forecast.rig import VirtualCell
from station.forecast.storage import storage
from station.forecast.summary import (
    cycle_forecasts,
    limit_forecasts,
    markers,
    spectra,
    step_forecasts,
    value_range,
    waits,
)
from station.run import Run
from station.safety import LimitsInForce

UNFORESEEN = "there is no forecast of a stored procedure: its cycler alone knows what it does"

__all__ = ["MOST_S", "Ending", "Forecast", "Simulation", "SoFar", "VirtualCell", "Watch", "forecast", "limits_of"]


@dataclass(frozen=True)
class Simulation:
    """A forecast, and the readings that it was made from (by column, one value for each recorded reading)."""

    forecast: Forecast
    readings: Mapping[str, Floats]


def limits_of(run: Run, around: LimitsInForce | None = None) -> LimitsInForce:
    """Those of cell and protocol, and of what is around them: a station and a channel."""
    of_cell = (around or LimitsInForce()).narrowed_by(run.cell.limits.limits(), f"cell {run.cell.cell}")
    return of_cell.narrowed_by(run.program.limits, f"protocol '{run.protocol_name}'")


def forecast(
    run: Run,
    cell: VirtualCell,
    *,
    around: LimitsInForce | None = None,
    most_s: float = MOST_S,
    watch: Watch | None = None,
    listener: Listener | None = None,
) -> Simulation:
    """Run the protocol to its end, a trip, `most_s` of the test's time, or until `watch` says to stop.

    `around` are limits of a station and a channel; `listener` hears every reading. Raises `DocumentError` for what
    the simulated cell does not bear, and for a stored procedure.
    """
    program, limits = run.program, limits_of(run, around)
    if problems := [problem_at(step, UNFORESEEN) for step in program.steps() if step.kind is Kind.PROCEDURE]:
        raise DocumentError(problems)
    kept = Kept(listener)
    temperature_degC = cell.temperature_degC
    course = Course(program, cell, limits, kept, most_s=most_s, watch=watch)
    ending = course.run()
    cycles = cycle_forecasts(kept, finished=ending is Ending.FINISHED)
    said = Forecast(
        simulated=True,
        protocol=run.protocol_name,
        protocol_file=run.request.protocol_file,
        cell=run.cell.cell,
        cell_file=run.request.cell_file,
        chemistry=run.cell.chemistry,
        active_mass_g=run.cell.active_mass,
        parameters=dict(run.request.parameters),
        ending=ending,
        reason=course.reason,
        ended_at=course.ended_at,
        limit_met=kept.limit_met,
        duration_s=course.duration_s,
        cycles_planned=program.cycles_planned,
        cycles_whole=sum(cycle.coulombic_efficiency is not None for cycle in cycles),
        samples=kept.samples,
        temperature_begin_degC=temperature_degC,
        pressure_Pa=value_range(program, kept, "pressure_Pa"),
        voltage_V=value_range(program, kept, "voltage_V"),
        current_A=value_range(program, kept, "current_A"),
        temperature_degC=value_range(program, kept, "temperature_degC"),
        storage=storage(program, kept),
        limits=limit_forecasts(limits, kept),
        markers=markers(kept),
        questions=tuple(kept.questions),
        waits=waits(program, kept),
        spectra=spectra(kept),
        cycles=cycles,
        steps=step_forecasts(kept.steps),
    )
    return Simulation(said, kept.table())
