"""Who is wired to what in the virtual laboratory: its cells, its switches, its force gauges, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from drivers.simulated.cell import (
    CellParameters,
    Format,
    lithium_symmetric_cell,
    parameters_for,
    silicon_half_cell,
    silicon_lfp_cell,
)
from drivers.simulated.cell.electrodes import SiliconParameters
from drivers.simulated.positions import Sample
from drivers.simulated.stored_procedure import Mode, StoredProcedure, StoredStep

HALF = Sample(silicon_half_cell(), "Si | Li", "si-half-cell", (-0.1, 2.5))
COIN = Sample(silicon_lfp_cell(Format.COIN, formed=True), "Si | LFP", "si-lfp-coin", (0.0, 4.2))
POUCH = Sample(silicon_lfp_cell(Format.POUCH, formed=True), "Si | LFP", "si-lfp-pouch", (0.0, 4.2), 0.1)
SYMMETRIC = Sample(lithium_symmetric_cell(), "Li | Li", "li-li-coin", (-1.0, 1.0))
STACK = Sample(  # what a supply of tens of amperes can charge
    parameters_for("Si | LFP", format="pouch", capacity_Ah=10.0, cells_in_series=4, formed=True),
    "Si | LFP",
    "si-lfp-stack",
    (4.0, 16.5),
    15.0,
)


@dataclass(frozen=True)
class Place:
    """A cell, the instrument that drives it, and what else is at it.

    `by` is a source, or a cycler and its channel. An analyser without a switch is at the cell all the time.
    """

    sample: Sample
    by: str | tuple[str, str]
    meter: tuple[str, int]
    chamber: str
    impedance: str | None = None
    switch: str | None = None


LAND = "land"  # no instrument of the station: its files come to a folder

PLACES: Mapping[str, Place] = {
    "K1": Place(HALF, "keithley-2400", ("daq6510", 101), "votsch", "solartron", "relay-board"),
    "K2": Place(HALF, "keithley-2450", ("daq6510", 102), "votsch", "emstat-pico", "keysight-matrix"),
    "K3": Place(COIN, "keithley-2460", ("daq6510", 103), "votsch", "solartron", "scpi-matrix"),
    "K4": Place(HALF, "keithley-2602b-a", ("keithley-2700", 101), "votsch", "emstat-pico", "relay-board"),
    "K5": Place(COIN, "keithley-2602b-b", ("keithley-2700", 102), "votsch", "solartron", "scpi-matrix"),
    "N1": Place(COIN, ("neware", "27-1-1-1"), ("adc-board", 1), "ascii2-chamber", "solartron", "relay-board"),
    "N2": Place(POUCH, ("neware", "27-1-1-2"), ("adc-board", 2), "ascii2-chamber"),
    "E1": Place(STACK, "ea-psb-scpi", ("keithley-2700", 103), "binder-kbw"),
    "E2": Place(STACK, "ea-psb-modbus", ("keysight-34972a", 101), "binder-kbw"),
    "I1": Place(STACK, "itech-m3412", ("keysight-34972a", 102), "binder-mk"),
    "P1": Place(SYMMETRIC, "emstat4", ("keysight-34972a", 103), "espec", "emstat4"),
    "S1": Place(HALF, "solartron-1287", ("dmm6500", 1), "espec"),
    "G1": Place(POUCH, "potentiostat-pc", ("dmm6500", 2), "espec", "potentiostat-pc"),
    "G2": Place(COIN, ("cycler-pc", "1"), ("dmm6500", 3), "espec"),
    "D1": Place(COIN, "maccor-direct", ("keithley-2000", 1), "memmert"),
    "M1": Place(COIN, ("maccor", "1"), ("keithley-2000", 2), "memmert"),
    "R1": Place(COIN, ("arbin", "1"), ("keithley-2000", 3), "memmert"),
    "L1": Place(COIN, LAND, ("adc-board", 3), "ascii2-chamber"),
}


def as_found(place: str) -> CellParameters:
    """No two cells come charged alike, so that a voltage tells which cell an analyser is at."""
    cell = PLACES[place].sample.parameters
    share = 1.0 + 0.3 * list(PLACES).index(place)
    if isinstance(cell.positive, SiliconParameters):
        return replace(cell, positive=replace(cell.positive, filling=cell.positive.filling * share))
    if isinstance(cell.negative, SiliconParameters):
        return replace(cell, negative=replace(cell.negative, filling=cell.negative.filling * share))
    return cell


# --- the force gauges under the clamps, by the place that they are at; the press has its own

CLAMPS: Mapping[str, str] = {"dscusb": "E1", "hx711": "E2", "eagle-indicator": "I1", "balance": "N2"}


# --- the switches: the relays of a cell's route to its source, and to its analyser


def board_relays(index: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of the cell `index` on a board with single relays, two for each lead."""
    first = 4 * index + 1
    return (first, first + 1), (first + 2, first + 3)


def matrix_relays(index: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of the cell `index` on the matrix card in slot 1: its leads are two rows, each instrument's two columns."""
    row, source = 100 + 10 * (2 * index + 1), 1 + 4 * index
    return (row + source, row + 10 + source + 1), (row + 3, row + 10 + 4)


# --- what is stored on the testers, and protocols for the others

CURRENT_A = 0.5e-3  # of the coin cells, some C/4
MINUTE_CHECK = StoredProcedure(
    (
        StoredStep(Mode.REST, time_s=10.0),
        StoredStep(Mode.CHARGE, CURRENT_A, time_s=60.0),
        StoredStep(Mode.REST, time_s=10.0),
        StoredStep(Mode.DISCHARGE, CURRENT_A, time_s=30.0),
    )
)
CYCLES = StoredProcedure(
    (
        StoredStep(Mode.CHARGE, CURRENT_A, voltage_V=3.9),
        StoredStep(Mode.REST, time_s=600.0),
        StoredStep(Mode.DISCHARGE, CURRENT_A, voltage_V=2.0),
        StoredStep(Mode.REST, time_s=600.0),
    ),
    cycles=3,
)
STORED: Mapping[str, StoredProcedure] = {"minute-check": MINUTE_CHECK, "three-cycles": CYCLES}

_HEAD = "protocol: {name}\nrecord: {{every: 5 s, change: [10 mV]}}\nsteps:\n"
_FIRST = {"charge": ("charge", "discharge"), "discharge": ("discharge", "charge")}


def _check(first: str, *, spectrum: bool) -> str:
    name = f"Minute check, {first} first" + (", with a spectrum" if spectrum else "")
    there, back = _FIRST[first]
    lines = ["rest: {for: 10 s}", f"{there}: {{at: 0.25 C, for: 60 s}}", f"{back}: {{at: 0.25 C, for: 30 s}}"]
    lines += ["impedance: {from: 1 kHz, to: 10 Hz, amplitude: 10 mV, points_per_decade: 5}"] if spectrum else []
    return _HEAD.format(name=name) + "".join(f"  - {line}\n" for line in (*lines, "rest: {for: 5 s}"))


PROTOCOLS: Mapping[str, str] = {
    "check-charge": _check("charge", spectrum=False),
    "check-charge-eis": _check("charge", spectrum=True),
    "check-discharge": _check("discharge", spectrum=False),
    "check-discharge-eis": _check("discharge", spectrum=True),
    "check-stored": "protocol: What is stored on the tester\nsteps:\n  - procedure: minute-check\n",
}


def protocol_for(place: str) -> str:
    """The one of `PROTOCOLS` that fits the cell and the instruments of a place; none for LAND."""
    found = PLACES[place]
    if found.by in (("maccor", "1"), ("arbin", "1")):
        return "check-stored"
    first = "discharge" if found.sample is HALF else "charge"
    return f"check-{first}{'-eis' if found.impedance else ''}"
