"""The library: each protocol compiles for its cell, says what was published, and does it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest import approx

from protocols import library
from protocols.cell import read_cell
from protocols.checks import remarks
from protocols.compile import Protocol, read_protocol
from protocols.program import (
    ChamberTemperature,
    ConstantCurrent,
    ConstantVoltage,
    Kind,
    Program,
    Quantity,
    StackPressure,
    Step,
    SweepPlan,
    VoltageRamp,
)

DOCS = Path(__file__).parents[2] / "docs" / "library.md"


def read(name: str, **parameters: object) -> Protocol:
    return read_protocol(library.path(name), parameters)


def compiled(name: str, **parameters: object) -> Program:
    protocol = read(name, **parameters)
    return protocol.compile_for(read_cell(library.cell_path(protocol.content.cell)))


def driven(program: Program) -> list[tuple[float, float]]:
    """Current in A and the voltage in V that ends it, of each charge and discharge."""
    return [(current_of(step), end_of(step, Quantity.VOLTAGE)) for step in program.steps() if is_driven(step)]


def is_driven(step: Step) -> bool:
    return step.kind in (Kind.CHARGE, Kind.DISCHARGE)


def current_of(step: Step) -> float:
    assert isinstance(step.setpoint, ConstantCurrent)
    return step.setpoint.current_A


def end_of(step: Step, quantity: Quantity) -> float:
    return next(c.value for end in step.ends for c in end.conditions if c.quantity is quantity)


def spectra(program: Program) -> list[SweepPlan]:
    return [step.setpoint for step in program.steps() if isinstance(step.setpoint, SweepPlan)]


# --- each file


@pytest.mark.parametrize("name", library.names())
def test_a_protocol_compiles_for_its_cell_and_says_where_it_is_from(name: str) -> None:
    protocol = read(name)
    content = protocol.content
    program = compiled(name)
    assert content.source and content.notes
    assert program.steps() and protocol.summary()
    assert remarks(program) == ()


@pytest.mark.parametrize("name", library.names())
def test_a_result_is_published_or_said_to_be_unverified(name: str) -> None:
    result = read(name).content.result
    assert "Published: " in result or "ot verified here" in result


@pytest.mark.parametrize("name", library.names())
def test_a_protocol_runs_within_limits_of_voltage_and_current(name: str) -> None:
    content = read(name).content
    limits = content.limits.limits().narrowed_by(read_cell(library.cell_path(content.cell)).limits.limits())
    assert -5.0 <= limits.voltage_min_V < limits.voltage_max_V <= 9.0
    assert limits.current_max_A <= 0.2


@pytest.mark.parametrize("name", library.cell_names())
def test_a_cell_says_what_it_is_and_is_used(name: str) -> None:
    cell = read_cell(library.cell_path(name))
    assert cell.cell == name
    assert cell.chemistry and cell.format and cell.description and cell.electrode_area


def test_each_cell_is_used() -> None:
    assert {read(name).content.cell for name in library.names()} == set(library.cell_names())


def test_each_protocol_stands_in_the_documentation() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in library.names() if f"`{name}`" not in text] == []


def test_an_unknown_name_is_met_with_a_close_one() -> None:
    with pytest.raises(KeyError, match="no library protocol 'si-lfp-fullcell'; did you mean 'si-lfp-full-cell'"):
        library.path("si-lfp-fullcell")
    with pytest.raises(KeyError, match="no library cell 'si-li-coins'; did you mean 'si-li-coin'"):
        library.cell_path("si-li-coins")
    with pytest.raises(KeyError, match="there are: "):
        library.path("zzz")


# --- what was published


def test_the_half_cell_cycles_as_published() -> None:
    program = compiled("si-half-cell-long-term", cycles_at_0_2C=2, cycles_at_0_4C=2)
    one_c = 3.579 * 0.679e-3  # A
    first, second, third = driven(program)[::2]
    assert first == (approx(-0.1 * one_c), 0.02)  # silicon against lithium takes up lithium first
    assert second == (approx(-0.2 * one_c), 0.05)
    assert third == (approx(-0.4 * one_c), 0.05)
    assert {voltage for _, voltage in driven(program)[1::2]} == {2.0}
    assert compiled("si-half-cell-long-term").cycles_planned == 301


def test_lfp_is_cycled_at_175_mA_per_gram() -> None:
    program = compiled("li-lfp-long-term")
    assert driven(program)[2][0] == approx(0.175 * 9e-3)
    assert program.cycles_planned == 1 + 400
    assert max(current for current, _ in driven(compiled("li-lfp-rate"))) == approx(5 * 0.175 * 9e-3)


def test_the_pouch_holds_the_published_capacity() -> None:
    program = compiled("si-lfp-pouch")
    assert driven(program) == [(approx(1.17e-3), 3.9), (approx(-1.17e-3), 2.0)]


@pytest.mark.parametrize(
    ("name", "density_mA_cm2"), [("li-li-plating-0-1", 0.1), ("li-li-plating-0-2", 0.2), ("li-li-plating-1-0", 1.0)]
)
def test_plating_and_stripping(name: str, density_mA_cm2: float) -> None:
    program = compiled(name, half_cycle="30 min")
    currents = [current_of(step) for step in program.steps() if is_driven(step)]
    assert currents == [approx(density_mA_cm2 * 1.131e-3), approx(-density_mA_cm2 * 1.131e-3)]
    assert [end_of(step, Quantity.TIME) for step in program.steps() if is_driven(step)] == [1800.0, 1800.0]


def test_the_transference_number_takes_10_mV_between_two_spectra() -> None:
    program = compiled("transference-number")
    assert [step.kind for step in program.steps()] == [Kind.REST, Kind.IMPEDANCE, Kind.HOLD, Kind.IMPEDANCE]
    assert program.steps()[2].setpoint == ConstantVoltage(0.01, None, above_rest=True)


def test_temperatures_and_spectra_of_the_conductivity() -> None:
    program = compiled("conductivity-temperature")
    points = [s.setpoint for s in program.steps() if isinstance(s.setpoint, ChamberTemperature)]
    assert [point.temperature_degC for point in points] == [*range(-10, 81, 10)]
    for plan in spectra(program):
        assert (plan.frequencies_Hz[0], plan.frequencies_Hz[-1]) == (approx(1e6), approx(0.1))
        assert plan.amplitude_rms_V == 0.01
    cold = [s.setpoint for s in compiled("impedance-temperature").steps() if isinstance(s.setpoint, ChamberTemperature)]
    assert (min(c.temperature_degC for c in cold), max(c.temperature_degC for c in cold)) == (-40.0, 50.0)


def test_pressures() -> None:
    program = compiled("se-mo6se8-conductivity-pressure")
    points = [s.setpoint for s in program.steps() if isinstance(s.setpoint, StackPressure)]
    assert [point.pressure_Pa / 1e6 for point in points] == [
        approx(pressure) for pressure in (9.55, 19.1, 28.65, 38.2, 47.75, 57.3)
    ]
    frame = [s.setpoint for s in compiled("si-stack-pressure").steps() if isinstance(s.setpoint, StackPressure)]
    assert [point.pressure_Pa for point in frame] == [10e6, 30e6, 100e6]


def test_the_selenium_cathode_runs_its_published_hours_and_cycles() -> None:
    slow = compiled("se-mo6se8-slow")
    assert slow.cycles_planned * 2 * 20.0 == 3200.0  # h, where each half-cycle gives the capacity of 1C
    long = compiled("se-mo6se8-long-term")
    assert long.cycles_planned == 1 + 3000
    assert [abs(current) for current, _ in driven(long)] == [approx(rate * 2.034e-3) for rate in (0.1, 0.1, 0.5, 0.5)]
    assert {voltage for _, voltage in driven(long)} == {0.9, 3.2}


def test_titration() -> None:
    pulses = [step for step in compiled("se-mo6se8-gitt").steps() if is_driven(step)]
    assert [(current_of(p), end_of(p, Quantity.TIME)) for p in pulses] == [
        (approx(-0.05 * 2.034e-3), 3600.0),
        (approx(0.05 * 2.034e-3), 3600.0),
    ]
    assert [end_of(p, Quantity.VOLTAGE) for p in pulses] == [0.9, 3.2]


def test_the_microscope_is_triggered_every_20_minutes() -> None:
    program = compiled("se-mo6se8-microscope")
    (rule,) = program.markers
    assert (rule.every_s, rule.trigger) == (1200.0, True)
    assert driven(program) == [(approx(-0.12 * 2.034e-3), approx(0.78)), (approx(0.12 * 2.034e-3), approx(2.78))]


def test_potentials_against_lithium_hold_for_a_cell_with_lithium_indium() -> None:
    for name in ("nano-si-half-cell", "si-li-in-half-cell"):
        assert {round(voltage, 6) for _, voltage in driven(compiled(name))} == {-0.62, 0.88}
    ramps = [s.setpoint for s in compiled("nano-si-voltammetry").steps() if isinstance(s.setpoint, VoltageRamp)]
    assert sorted({round(ramp.end_V, 6) for ramp in ramps}) == [-0.62, 0.88]
    assert [ramp.rate_V_s for ramp in ramps] == [approx(1e-4)] * len(ramps)


def test_nano_silicon_at_its_current_densities() -> None:
    program = compiled("nano-si-half-cell")
    currents = [abs(current) / 0.785 * 1e3 for current, _ in driven(program)]
    assert currents == [approx(density) for density in (0.1, 0.1, 0.2, 0.2, 0.5, 0.5)]
    assert all(plan.frequencies_Hz[-1] == approx(0.01) for plan in spectra(program))
    full = [abs(current) / 8e-3 for current, _ in driven(compiled("nano-si-full-cell-rate"))]
    assert (min(full), max(full)) == (approx(0.200 / 20), approx(0.200))


def test_a_beamline_sees_five_states_of_charge() -> None:
    program = compiled("nano-si-beamline")
    shares = [m.states_of_charge for step in program.steps() for m in step.markers]
    assert shares == [(0.25, 0.5, 0.75), (0.75, 0.5, 0.25)]
    assert program.state_of_charge == 0.0


@pytest.mark.parametrize("capacity_mAh_g", [800, 1000])
def test_lithiation_limited_to_a_capacity(capacity_mAh_g: int) -> None:
    program = compiled("si-capacity-limited", capacity=f"{capacity_mAh_g} mAh/g")
    lithiation = next(step for step in program.steps() if step.kind is Kind.DISCHARGE)
    assert end_of(lithiation, Quantity.CAPACITY) == approx(capacity_mAh_g * 1e-6)


def test_the_critical_current_is_sought_upwards() -> None:
    currents = [abs(current_of(step)) for step in compiled("critical-current-density").steps() if is_driven(step)]
    assert currents == sorted(currents)
    assert (currents[0], currents[-1]) == (approx(0.1e-3 * 0.785), approx(3e-3 * 0.785))


def test_cells_from_reviews() -> None:
    fast = driven(compiled("si-nmc811-500-cycles"))
    assert abs(fast[-1][0]) == approx(5e-3 * 0.785)
    assert compiled("si-nmc811-500-cycles").cycles_planned == 2 + 500
    assert driven(compiled("columnar-si-ncm90"))[-1][0] == approx(-1e-3 * 2)
    assert driven(compiled("bipolar-stack"))[0][1] == 8.2
    symmetric = {round(abs(current) / 0.785e-3, 6) for current, _ in driven(compiled("li-li-symmetric-solid-state"))}
    assert symmetric == {0.05, 0.2}
