"""The library on simulated cells: each protocol comes to its end, and gives what its cell's stated capacity leads to.

Cycles are few here; `python -m benchmarks library` runs each as published.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from pytest import approx

from protocols import library
from protocols.cell import Cell
from protocols.compile import read_protocol
from protocols.document import Document
from station.forecast import Ending, Forecast, Simulation, forecast
from station.forecast.model import simulated_cell
from station.run import Request, Run

Parameters = dict[str, int | float | str]


def simulated(name: str, parameters: Parameters, *, formed: bool = False) -> Simulation:
    """A library protocol in virtual time, on the cell that it names."""
    protocol = read_protocol(library.path(name), parameters)
    document = Document.read(library.cell_path(protocol.content.cell))
    cell = document.as_model(Cell)
    request = Request(protocol.document.text, protocol.document.file, document.text, document.file, parameters)
    run = Run("test", "test", cell, request, protocol.compile_for(cell), protocol.title, started=0.0)
    return forecast(run, simulated_cell(cell, document, formed=formed))


# --- what is looked at


def given_back_mAh(found: Forecast) -> float:
    """By the last whole cycle."""
    cycle = [cycle for cycle in found.cycles if cycle.coulombic_efficiency is not None][-1]
    return 1e3 * min(cycle.charge_capacity_Ah, cycle.discharge_capacity_Ah)


def passed_mAh(found: Forecast) -> float:
    """In either direction, over the whole run."""
    return 1e3 * sum(abs(step.capacity_Ah) for step in found.steps)


def highest_V(found: Forecast) -> float:
    return found.voltage_V.highest.value if found.voltage_V else math.nan


def last_kPa(found: Forecast) -> float:
    return found.pressure_Pa.last / 1e3 if found.pressure_Pa else math.nan


def highest_kPa(found: Forecast) -> float:
    return found.pressure_Pa.highest.value / 1e3 if found.pressure_Pa else math.nan


def span_K(found: Forecast) -> float:
    temperature = found.temperature_degC
    return temperature.highest.value - temperature.lowest.value if temperature else math.nan


def sweeps(found: Forecast) -> float:
    return len(found.spectra)


def hours(found: Forecast) -> float:
    return found.duration_s / 3600


def marks(found: Forecast) -> float:
    return len(found.markers)


@dataclass(frozen=True)
class Row:
    """`quantity` of a forecast lies between `low` and `high`."""

    name: str
    quantity: Callable[[Forecast], float]
    low: float
    high: float
    parameters: Parameters = field(default_factory=dict)
    formed: bool = False


SILICON_mAh = 0.679 * 3.579
ROWS = (
    Row(
        "si-half-cell-long-term",
        given_back_mAh,
        0.5 * SILICON_mAh,
        SILICON_mAh,
        {"cycles_at_0_2C": 2, "cycles_at_0_4C": 2},
    ),
    Row("si-half-cell-rate", given_back_mAh, 0.5 * SILICON_mAh, SILICON_mAh, {"cycles_each": 1}),
    Row("si-half-cell-high-loading", given_back_mAh, 4.0, 8.1, {"cycles": 2}),
    Row("li-lfp-long-term", given_back_mAh, 1.2, 1.65, {"cycles": 3}),
    Row("li-lfp-rate", given_back_mAh, 1.3, 1.65, {"cycles_each": 1}),
    Row("li-nmc811-cycling", given_back_mAh, 1.4, 1.9, {"cycles": 2}),
    Row("si-lfp-full-cell", given_back_mAh, 1.3, 1.9, {"cycles": 2}),
    Row("si-lfp-pouch", given_back_mAh, 11.0, 12.5, {"cycles": 2}),  # published: 11.7 mAh
    Row("li-li-plating-0-1", highest_V, 0.002, 0.05, {"cycles": 3}),
    Row("li-li-plating-0-2", highest_V, 0.004, 0.1, {"cycles": 3}),
    Row("li-li-plating-1-0", highest_V, 0.02, 0.5, {"cycles": 3}),
    Row("transference-number", sweeps, 2, 2),
    Row("linear-sweep-stability", highest_V, 4.5, 5.51),  # published: stable to above 4.5 V
    Row("conductivity-temperature", span_K, 89, 91),
    Row("interface-growth", hours, 50, 55),
    Row("built-in-pressure-coin", last_kPa, 540, 552),  # published: 546 kPa
    Row("built-in-pressure-pouch", last_kPa, 51, 53),  # published: 52 kPa
    Row("se-mo6se8-slow", given_back_mAh, 1.0, 2.2, {"cycles": 2}),
    Row("se-mo6se8-long-term", given_back_mAh, 1.0, 2.2, {"cycles": 3}),
    Row("se-mo6se8-rate", given_back_mAh, 1.0, 2.2, {"cycles_each": 1}),
    Row("se-mo6se8-gitt", hours, 60, 150),  # some 2 x 20 pulses of 3 h
    Row("se-mo6se8-voltammetry", passed_mAh, 2.0, 5.0, {"cycles": 1}),
    Row("se-mo6se8-conductivity-pressure", highest_kPa, 57000, 57600),
    Row("se-mo6se8-pouch", given_back_mAh, 5.4, 11.9, {"cycles": 1}),
    Row("se-mo6se8-microscope", marks, 40, 60),  # every 20 min of some 17 h
    Row("nano-si-half-cell", given_back_mAh, 0.9, 1.79, {"cycles": 2}),
    Row("nano-si-full-cell-rate", given_back_mAh, 1.1, 1.7, {"cycles_each": 1}),
    Row("nano-si-voltammetry", passed_mAh, 0.8, 3.6, {"cycles": 1}),
    Row("nano-si-beamline", marks, 9, 9, formed=True),
    Row("si-capacity-limited", lambda found: found.cycles[-1].discharge_capacity_Ah * 1e3, 0.999, 1.001, {"cycles": 3}),
    Row("critical-current-density", highest_V, 0.05, 2.0),
    Row("self-discharge", given_back_mAh, 2.2, 3.3, {"rest": "48 h"}),
    Row("li-li-symmetric-solid-state", highest_V, 0.005, 0.1, {"cycles_each": 3}),
    Row("si-stack-pressure", highest_kPa, 100e3, 110e3, {"cycles_each": 1}),
    Row("si-nmc811-500-cycles", given_back_mAh, 1.6, 3.3, {"cycles": 3}),
    Row("columnar-si-ncm90", given_back_mAh, 4.9, 7.2, {"cycles": 2}),
    Row("bipolar-stack", given_back_mAh, 5.6, 8.2, {"cycles": 2}),
    Row("impedance-temperature", span_K, 89, 91),
    Row("si-li-in-half-cell", given_back_mAh, 1.8, 3.6, {"cycles": 2}),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_protocol_comes_to_its_end_and_gives_what_its_cell_can(row: Row) -> None:
    found = simulated(row.name, row.parameters, formed=row.formed).forecast
    assert (found.ending, found.reason) == (Ending.FINISHED, "finished")
    assert found.cycles_whole == found.cycles_planned or found.cycles_planned == 0 or row.name in CUT_SHORT
    assert row.low <= row.quantity(found) <= row.high


CUT_SHORT = ("impedance-temperature",)
"""Protocols whose last cycle is not whole by intention."""


def test_no_protocol_is_forgotten() -> None:
    assert sorted(row.name for row in ROWS) == list(library.names())


def test_the_transference_number_comes_out_as_the_simulated_cell_has_it() -> None:
    """0.3 (drivers/simulated/cell/parameters.py), by Bruce, Vincent and Evans: Polymer 28 (1987) 2324."""
    readings = simulated("transference-number", {}).readings
    polarised = readings["current_A"] > 1e-6
    steady_A = float(readings["current_A"][polarised][-1])
    bulk_ohm, interfaces_ohm, applied_V = 10.0 / 1.131, 53.0 / 1.131, 0.01
    first_A = applied_V / (bulk_ohm + interfaces_ohm)
    number = steady_A * (applied_V - first_A * interfaces_ohm) / (first_A * (applied_V - steady_A * interfaces_ohm))
    assert number == approx(0.3, abs=0.02)
