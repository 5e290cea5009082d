"""The spectrum and the response in time are one circuit."""

import cmath
import math

import numpy as np
import pytest

from drivers.simulated.cell import SimulatedCell, lithium_symmetric_cell, silicon_half_cell, silicon_lfp_cell
from drivers.simulated.cell.impedance import Arc, Tail, ladder
from drivers.simulated.clock import ManualClock
from drivers.simulated.wiring import DriveCurrent, OpenCircuit


def half_filled() -> tuple[SimulatedCell, ManualClock]:
    """A formed half-cell, half lithiated and rested until its hysteresis has gone."""
    clock = ManualClock()
    parameters = silicon_half_cell(formed=True)
    cell = SimulatedCell(parameters, clock)
    cell.drive(DriveCurrent(-parameters.current_A(0.2), -1.0, 3.0))
    clock.sleep(2.1 * 3600)
    cell.drive(OpenCircuit())
    clock.sleep(30 * 24 * 3600)
    cell.terminals()
    return cell, clock


def excite(
    cell: SimulatedCell, clock: ManualClock, frequency_Hz: float, amplitude_A: float, periods: int = 3
) -> complex:
    """Impedance from a staircase sine of current, read in the middle of each stair in the last period."""
    stairs = 64
    hold = 1.0 / frequency_Hz / stairs
    voltage, current = 0j, 0j
    for k in range(periods * stairs):
        cell.drive(DriveCurrent(amplitude_A * math.sin(2 * math.pi * (k + 0.5) / stairs), -5.0, 5.0))
        clock.sleep(hold / 2)
        if k >= (periods - 1) * stairs:
            turn = cmath.exp(-2j * math.pi * (k + 0.5) / stairs)
            v, i = cell.terminals()
            voltage, current = voltage + v * turn, current + i * turn
        clock.sleep(hold / 2)
    cell.drive(OpenCircuit())
    return voltage / current


@pytest.mark.parametrize("frequency_Hz", [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 2.5e3])
def test_sine_in_time_agrees_with_the_spectrum(frequency_Hz: float) -> None:
    cell, clock = half_filled()
    measured = excite(cell, clock, frequency_Hz, 5e-6)
    expected = cell.impedance(frequency_Hz)
    assert abs(measured - expected) < 0.03 * abs(expected), f"{measured:.3f} Ω against {expected:.3f} Ω"


def test_small_pulse_shows_the_ohmic_resistance_first_and_the_whole_one_later() -> None:
    clock = ManualClock()
    parameters = lithium_symmetric_cell()
    cell = SimulatedCell(parameters, clock)
    cell.drive(DriveCurrent(1e-4, -1.0, 1.0))
    assert cell.terminals()[0] == pytest.approx(1e-4 * parameters.circuit.ohmic_ohm, rel=1e-9)
    clock.sleep(3600)
    assert cell.terminals()[0] == pytest.approx(1e-4 * parameters.circuit.direct_current_ohm, rel=1e-6)


def test_symmetric_cell_has_the_current_fraction_it_states() -> None:
    circuit = lithium_symmetric_cell().circuit
    assert circuit.ohmic_ohm / (circuit.ohmic_ohm + circuit.diffusion.resistance_ohm) == pytest.approx(0.30, abs=0.002)


def test_spectrum_has_the_named_circuit_in_the_measured_band() -> None:
    cell, _ = half_filled()
    circuit = cell.parameters.circuit
    frequencies = np.logspace(6, 0, 40)
    for f in frequencies:
        w = 2 * math.pi * f
        film = circuit.film.resistance_ohm / (
            1 + circuit.film.resistance_ohm * circuit.film.q * (1j * w) ** circuit.film.n
        )
        transfer = circuit.transfer.resistance_ohm / (
            1 + circuit.transfer.resistance_ohm * circuit.transfer.q * (1j * w) ** circuit.transfer.n
        )
        q4 = 1 / (circuit.diffusion.q * (1j * w) ** circuit.diffusion.n)
        named = 1j * w * circuit.inductance_H + circuit.ohmic_ohm + film + transfer + q4
        assert abs(cell.impedance(float(f)) - named) < 0.02 * abs(named)


def test_spectrum_ends_in_the_slope_of_the_open_circuit_curve() -> None:
    """Far below the diffusion's corner the reactance is that of dV/dq, and nothing drifts beyond it."""
    cell, clock = half_filled()
    reactance = -cell.impedance(1e-6).imag * 2 * math.pi * 1e-6
    before = cell.terminals()[0]
    charge = 1e-3
    cell.drive(DriveCurrent(charge / 10, -1.0, 3.0))
    clock.sleep(10)
    cell.drive(OpenCircuit())
    clock.sleep(1800)
    assert (cell.terminals()[0] - before) / charge == pytest.approx(reactance, rel=0.05)


@pytest.mark.parametrize("element", [Arc.peaking_at(12.0, 7.5, 0.8), Tail(1.8, 0.6, 120.0)])
def test_ladder_keeps_the_resistance_and_follows_the_spectrum(element: Arc | Tail) -> None:
    times = element.time_constant_s * (np.logspace(-2, 2, 7) if isinstance(element, Arc) else np.logspace(-3.5, 0, 9))
    resistances = np.array(ladder(element, times))
    assert resistances.min() >= 0.0
    assert resistances.sum() == pytest.approx(element.resistance_ohm, rel=1e-12)
    for omega in np.logspace(-2, 2, 30) / element.time_constant_s:
        pairs = (resistances / (1 + 1j * omega * times)).sum()
        assert abs(pairs - element.impedance(float(omega))) < 0.015 * element.resistance_ohm


def test_resistance_grows_with_cycles_and_in_the_cold() -> None:
    cell, clock = half_filled()
    new = cell.impedance(1.0).real
    current = cell.parameters.current_A(0.5)
    for _ in range(4):
        for sign in (-1, 1):
            cell.drive(DriveCurrent(sign * current, 0.0, 2.0))
            clock.sleep(2500)
    cell.drive(OpenCircuit())
    clock.sleep(24 * 3600)
    assert new < cell.impedance(1.0).real < 1.1 * new
    cell.set_temperature_degC(0.0)
    assert cell.impedance(1.0).real > 2.0 * new
    assert cell.temperature_degC() == 0.0


@pytest.mark.parametrize("frequency", [0.0, -1.0, math.nan, math.inf])
def test_impedance_refuses_what_is_no_frequency(frequency: float) -> None:
    with pytest.raises(ValueError, match="frequency_Hz"):
        SimulatedCell(silicon_lfp_cell(), ManualClock()).impedance(frequency)
