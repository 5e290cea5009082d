"""The cell in virtual time: the same physics as the cell on the bench, at any length of step."""

import math
from bisect import bisect
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.cell import (
    CellParameters,
    ForecastCell,
    Format,
    SimulatedCell,
    lithium_symmetric_cell,
    silicon_half_cell,
    silicon_lfp_cell,
)
from drivers.simulated.clock import ManualClock
from drivers.simulated.wiring import DriveCurrent, DriveVoltage
from tests.drivers.simulated.deeds import do


class Sample(NamedTuple):
    charge_C: float  # passed in this leg
    voltage_V: float
    current_A: float
    pressure_Pa: float


class Leg(NamedTuple):
    current_A: float
    end_V: float


def run_on_the_bench(parameters: CellParameters, legs: list[Leg], every_s: float = 5.0) -> list[list[Sample]]:
    clock = ManualClock()
    cell = SimulatedCell(parameters, clock)
    runs = []
    for current, end in legs:
        cell.drive(DriveCurrent(current, -9.0, 9.0))
        samples = [Sample(0.0, cell.terminals()[0], current, cell.pressure_Pa())]
        while (samples[-1].voltage_V - end) * current < 0.0:
            clock.sleep(every_s)
            charge = samples[-1].charge_C + abs(current) * every_s
            samples.append(Sample(charge, *cell.terminals(), cell.pressure_Pa()))
        runs.append(samples)
    return runs


def run_in_a_forecast(parameters: CellParameters, legs: list[Leg], every_s: float = 30.0) -> list[list[Sample]]:
    cell = ForecastCell(parameters)
    runs = []
    for current, end in legs:
        cell.set_current(current)
        low, high = (-9.0, end) if current > 0.0 else (end, 9.0)
        samples = [Sample(0.0, cell.voltage_V, cell.current_A, cell.pressure_Pa)]
        while (samples[-1].voltage_V - end) * current < 0.0:
            charge = samples[-1].charge_C + abs(current) * cell.step_within(every_s, low, high)
            samples.append(Sample(charge, cell.voltage_V, cell.current_A, cell.pressure_Pa))
        runs.append(samples)
    return runs


def at(samples: list[Sample], charge_C: float) -> Sample:
    place = min(max(1, bisect([s.charge_C for s in samples], charge_C)), len(samples) - 1)
    before, after = samples[place - 1 : place + 1]
    part = (charge_C - before.charge_C) / (after.charge_C - before.charge_C)
    return Sample(*(a + part * (b - a) for a, b in zip(before, after, strict=True)))


HALF, FULL = silicon_half_cell(), silicon_lfp_cell(Format.COIN)


@pytest.mark.parametrize(
    ("parameters", "legs"),
    [
        (HALF, [Leg(-HALF.current_A(0.2), 0.05), Leg(HALF.current_A(0.2), 2.0)]),
        (FULL, [Leg(FULL.current_A(0.5), 3.9), Leg(-FULL.current_A(0.5), 2.0), Leg(FULL.current_A(0.5), 3.9)]),
    ],
)
def test_forecast_is_what_the_bench_would_see(parameters: CellParameters, legs: list[Leg]) -> None:
    for bench, forecast in zip(run_on_the_bench(parameters, legs), run_in_a_forecast(parameters, legs), strict=True):
        assert forecast[-1].charge_C == pytest.approx(bench[-1].charge_C, rel=0.005)
        for sample in forecast:
            same = at(bench, sample.charge_C)
            assert sample.pressure_Pa == pytest.approx(same.pressure_Pa, rel=0.002)
            if 0.05 < sample.charge_C / bench[-1].charge_C < 0.92:
                assert sample.voltage_V == pytest.approx(same.voltage_V, abs=4e-3)


def test_charging_to_a_held_voltage_agrees_with_the_bench() -> None:
    parameters = silicon_lfp_cell(formed=True)
    limit = parameters.current_A(0.5)
    clock = ManualClock()
    bench, forecast = SimulatedCell(parameters, clock), ForecastCell(parameters)
    bench.drive(DriveVoltage(3.6, limit))
    forecast.set_voltage(3.6, limit)
    charge = 0.0
    for minute in range(0, 240):
        clock.sleep(60.0)
        for _ in range(2):
            forecast.step(30.0)
            charge += 30.0 * forecast.current_A
        voltage, current = bench.terminals()
        if minute > 3:
            assert forecast.voltage_V == pytest.approx(voltage, abs=4e-3)
        assert forecast.current_A == pytest.approx(current, abs=0.06 * limit), "the knee is steep"
    expected = bench.state().charge_passed_C
    assert forecast.voltage_V == pytest.approx(3.6, abs=1e-9) and forecast.current_A < 0.05 * limit
    assert charge == pytest.approx(expected, rel=0.01)
    assert forecast.pressure_Pa == pytest.approx(bench.pressure_Pa(), rel=1e-3)


def test_voltage_right_after_the_current_is_switched_on_is_that_of_the_ohmic_resistance() -> None:
    parameters = lithium_symmetric_cell()
    cell = ForecastCell(parameters)
    cell.set_current(1e-4)
    assert (cell.voltage_V, cell.current_A) == (pytest.approx(1e-4 * parameters.circuit.ohmic_ohm, rel=1e-9), 1e-4)
    cell.step(3600.0)
    assert cell.voltage_V == pytest.approx(1e-4 * parameters.circuit.direct_current_ohm, rel=1e-6)
    cell.set_voltage(0.01, math.inf)
    cell.step(4 * 3600.0)
    assert cell.current_A == pytest.approx(0.01 / parameters.circuit.direct_current_ohm, rel=1e-3)
    cell.set_voltage(0.02, 1e-4)
    assert cell.current_A == 1e-4 and cell.voltage_V < 0.02, "the limit holds"


def test_length_of_the_steps_hardly_matters() -> None:
    ends = []
    for every_s in (0.5, 30.0, 1800.0):
        cell = ForecastCell(silicon_half_cell(formed=True))
        cell.set_current(-cell.parameters.current_A(0.3))
        for _ in range(round(7200.0 / every_s)):
            cell.step(every_s)
        cell.set_current(0.0)
        cell.step(5400.0)
        ends.append((cell.voltage_V, cell.pressure_Pa))
    for voltage, pressure in ends[1:]:
        assert voltage == pytest.approx(ends[0][0], abs=1e-3)
        assert pressure == pytest.approx(ends[0][1], rel=1e-3)


def test_pulse_after_long_steps_sees_the_fast_arcs() -> None:
    """Long steps leave the fast pairs in their steady state, from which milliseconds go on."""
    cell, fine = ForecastCell(lithium_symmetric_cell()), ForecastCell(lithium_symmetric_cell())
    for one, lengths in ((cell, [600.0, 30.0, 30.0]), (fine, [0.25] * 2640)):
        one.set_current(1e-3)
        for seconds in lengths:
            one.step(seconds)
        one.set_current(0.0)
    for _ in range(20):
        for one in (cell, fine):
            one.step(0.003)
        assert cell.voltage_V == pytest.approx(fine.voltage_V, rel=1e-5)
    assert 0.0 < cell.voltage_V < 0.9 * 1e-3 * cell.parameters.circuit.direct_current_ohm


def test_current_of_a_voltage_hold_decays() -> None:
    cell = ForecastCell(silicon_half_cell(formed=True))
    limit = cell.parameters.current_A(0.5)
    cell.set_voltage(0.15, limit)
    assert cell.current_A == -limit and cell.voltage_V > 0.15
    held = []
    for _ in range(400):
        cell.step(30.0)
        assert abs(cell.current_A) <= limit
        if cell.voltage_V == pytest.approx(0.15, abs=1e-6):
            held.append(abs(cell.current_A))
    assert len(held) > 150 and all(after < before for before, after in pairwise(held))


def test_step_within_ends_at_the_voltage_and_not_a_sample_later() -> None:
    cell = ForecastCell(silicon_half_cell(formed=True))
    cell.set_current(-cell.parameters.current_A(0.5))
    while cell.step_within(30.0, 0.05, 3.0) == 30.0:
        pass
    assert 0.05 - 1e-4 < cell.voltage_V <= 0.05
    cell.set_current(cell.parameters.current_A(0.5))
    elapsed = 0.0
    while cell.voltage_V < 2.0:
        passed = cell.step_within(30.0, 0.0, 2.0)
        assert 0.0 < passed <= 30.0
        elapsed += passed
    assert 2.0 <= cell.voltage_V < 2.01 and elapsed > 3600.0


def test_thousand_cycles_fade_slowly_and_press_ever_harder() -> None:
    """With hours for minutes: what ages does so by charge, not by the number of steps."""
    parameters = silicon_lfp_cell(formed=True)
    cell = ForecastCell(parameters)
    current = parameters.current_A(0.5)
    capacities, pressures = [], []
    for _ in range(100):
        for sign, low, high in ((1.0, -9.0, 3.9), (-1.0, 2.0, 9.0)):
            cell.set_current(sign * current)
            charge = 0.0
            while True:
                passed = cell.step_within(300.0, low, high)
                charge += passed * current
                if not low < cell.voltage_V < high:
                    break
        capacities.append(charge)
        pressures.append(cell.pressure_Pa)
    assert all(0.99 < after / before < 1.001 for before, after in pairwise(capacities[1:]))
    assert 0.75 < capacities[-1] / capacities[1] < 0.95
    assert all(after > before for before, after in pairwise(pressures))


def test_temperature_and_stack_pressure_are_set_from_outside() -> None:
    cell = ForecastCell(lithium_symmetric_cell())
    cell.set_current(1e-4)
    warm = cell.voltage_V
    cell.set_temperature(0.0)
    assert cell.temperature_degC == 0.0 and cell.voltage_V > 1.3 * warm
    cell.set_stack_pressure(2e6)
    assert cell.pressure_Pa == 2e6
    cell.step(30.0)
    assert cell.pressure_Pa == pytest.approx(2e6, rel=1e-3)
    assert cell.impedance(1e5).real > 1.3 * ForecastCell(lithium_symmetric_cell()).impedance(1e5).real


@pytest.mark.parametrize(
    "mistake",
    [
        lambda cell: cell.set_current(math.nan),
        lambda cell: cell.set_current(math.inf),
        lambda cell: cell.set_voltage(math.nan, 1.0),
        lambda cell: cell.set_voltage(1.0, -1.0),
        lambda cell: cell.set_voltage(1.0, math.nan),
        lambda cell: cell.set_temperature(math.nan),
        lambda cell: cell.set_temperature(400.0),
        lambda cell: cell.set_stack_pressure(-1.0),
        lambda cell: cell.step(0.0),
        lambda cell: cell.step(math.nan),
        lambda cell: cell.step(math.inf),
        lambda cell: cell.step_within(-1.0, 0.0, 1.0),
        lambda cell: cell.impedance(0.0),
    ],
)
def test_impossible_settings_are_refused(mistake) -> None:
    cell = ForecastCell(FULL)
    before = cell.voltage_V
    with pytest.raises(ValueError):
        mistake(cell)
    assert (cell.voltage_V, cell.current_A) == (before, 0.0)


# --- whatever is done to it

seconds = st.floats(1e-3, 4e4) | st.sampled_from([1e-3, 1.0, 30.0, 3600.0])
sets = st.one_of(
    st.tuples(st.just("current"), st.floats(-0.02, 0.02), st.just(0.0)),
    st.tuples(st.just("voltage"), st.floats(-5.0, 9.0), st.floats(0.0, 0.02)),
    st.tuples(st.just("temperature"), st.floats(-40.0, 100.0), st.just(0.0)),
    st.tuples(st.just("pressure"), st.floats(0.0, 1e8), st.just(0.0)),
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([HALF, FULL, lithium_symmetric_cell()]), st.lists(st.tuples(sets, seconds), max_size=5))
def test_no_sequence_breaks_the_cell(parameters: CellParameters, sequence) -> None:
    cell = ForecastCell(parameters)
    for (kind, value, limit), length in sequence:
        do(cell, kind, value, limit)
        for _ in range(2):
            assert math.isfinite(cell.voltage_V) and math.isfinite(cell.current_A)
            assert math.isfinite(cell.pressure_Pa) and cell.pressure_Pa >= 0.0
            if kind == "current":
                assert cell.current_A == value
            if kind == "voltage":
                assert abs(cell.current_A) <= limit
                assert cell.voltage_V == pytest.approx(value, abs=1e-6) or abs(cell.current_A) == limit
            cell.step(length)
        assert math.isfinite(abs(cell.impedance(1.0))) and math.isfinite(cell.open_circuit_V())


legs = st.lists(st.tuples(st.floats(-1.0, 1.0), st.floats(10.0, 3600.0)), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([silicon_half_cell(formed=True), silicon_lfp_cell(formed=True), lithium_symmetric_cell()]), legs)
def test_closed_loop_of_charge_gives_out_no_energy(parameters: CellParameters, legs) -> None:
    cell = ForecastCell(parameters)
    charge = energy = 0.0
    for c_rate, length in legs:
        cell.set_current(parameters.current_A(c_rate))
        for _ in range(10):
            cell.step(length / 10)
            charge += cell.current_A * length / 10
            energy += cell.current_A * cell.voltage_V * length / 10
    if charge:
        cell.set_current(-math.copysign(parameters.current_A(0.2), charge))
        for _ in range(100):
            cell.step(abs(charge / cell.current_A) / 100)
            energy += cell.voltage_V * -charge / 100
    assert energy > -1e-6
