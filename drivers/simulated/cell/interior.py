"""What is inside a cell, without the clock and the source that it is connected to: one step after another."""

from __future__ import annotations

from math import isfinite

from drivers.simulated.cell.electrodes import (
    AGEING_STEP,
    ElectrodeParameters,
    HostParameters,
    SiliconParameters,
    electrode,
)
from drivers.simulated.cell.impedance import Factors, Polarisation, arrhenius, contact, impedance
from drivers.simulated.cell.mechanics import Stack
from drivers.simulated.cell.parameters import CellParameters

SLOWNESS_TOLERANCE = 1e-3  # relative change of the diffusion resistance that is not worth the time
TEMPERATURES_degC = (-60.0, 150.0)


class Interior:
    """Electrodes, polarisation and stack of one cell. Current is positive on charge.

    Cells in series are one that is calculated once: they age alike and take the same current.
    """

    def __init__(self, parameters: CellParameters, temperature_degC: float) -> None:
        self.parameters = parameters
        self._in_series = parameters.cells_in_series
        self.positive = electrode(parameters.positive)
        self.negative = electrode(parameters.negative)
        self.polarisation = Polarisation(parameters.circuit)
        self.stack = Stack(parameters.casing)
        self.temperature_degC = temperature_degC
        self.least_capacity_C = min(
            (e.capacity_C for e in _electrodes(parameters) if isinstance(e, SiliconParameters | HostParameters)),
            default=3600.0 * parameters.nominal_capacity_Ah,
        )
        self.factors = self._thermal = Factors(1.0, 1.0, 1.0, 1.0)  # what the present state makes of the resistances
        self.slowness = 1.0  # factor on the diffusion resistance
        self._grown_for_C = 0.0  # charge that may pass until the interfaces' growth is worked out anew
        self.set_temperature_degC(temperature_degC)

    def set_temperature_degC(self, temperature_degC: float) -> None:
        """Raises `ValueError` outside `TEMPERATURES_degC`."""
        lowest, highest = TEMPERATURES_degC
        if not lowest <= temperature_degC <= highest:
            raise ValueError(f"{temperature_degC} °C is outside the simulated cell's {lowest:g} to {highest:g} °C")
        circuit = self.parameters.circuit
        self.temperature_degC = temperature_degC
        interface = arrhenius(circuit.interface_activation_J_mol, temperature_degC)
        self._thermal = Factors(
            ohmic=arrhenius(circuit.ohmic_activation_J_mol, temperature_degC),
            film=interface,
            transfer=interface,
            diffusion=arrhenius(circuit.diffusion_activation_J_mol, temperature_degC),
        )
        self._work_out_factors(self.positive.slowness * self.negative.slowness)

    def press(self, pressure_Pa: float) -> None:
        """Bring the stack to this pressure from outside."""
        self.stack.press(pressure_Pa)
        self._work_out_factors(self.slowness)

    def _work_out_factors(self, slowness: float) -> None:
        circuit, thermal = self.parameters.circuit, self._thermal
        cycles = self.cycles()
        self.slowness = slowness
        self._grown_for_C = 2.0 * AGEING_STEP * self.least_capacity_C
        self.factors = Factors(
            thermal.ohmic * contact(circuit, self.stack.pressure_Pa),
            thermal.film * (1.0 + circuit.film.growth_per_cycle * cycles),
            thermal.transfer * (1.0 + circuit.transfer.growth_per_cycle * cycles) * slowness**0.25,
            thermal.diffusion * slowness,
        )

    def cycles(self) -> float:
        """Equivalent full cycles so far."""
        return max(self.positive.cycles(), self.negative.cycles())

    def outlook(self, time_s: float) -> tuple[float, float]:
        """(a, b): after `time_s`, the polarisation from a constant current I is a + b·I."""
        return self.polarisation.outlook(time_s, self.factors)

    def open_circuit_after(self, charge_C: float, time_s: float) -> float:
        """Voltage without polarisation, were `charge_C` to pass over `time_s`; changes nothing."""
        return self._in_series * (
            self.positive.potential_after(-charge_C, time_s) - self.negative.potential_after(charge_C, time_s)
        )

    def pass_current(self, current_A: float, time_s: float) -> float:
        """Let a constant current flow for `time_s`, an hour at the most; returns the voltage at the end."""
        charge_C = current_A * time_s
        positive, negative, in_series = self.positive, self.negative, self._in_series
        open_circuit_V = in_series * (positive.insert(-charge_C, time_s) - negative.insert(charge_C, time_s))
        voltage_V = open_circuit_V + self.polarisation.advance(time_s, self.factors, current_A)
        self.stack.advance(in_series * (positive.thickness_m + negative.thickness_m), time_s)
        self._grown_for_C -= abs(charge_C)
        slowness = positive.slowness * negative.slowness
        if self._grown_for_C < 0.0 or abs(slowness - self.slowness) > SLOWNESS_TOLERANCE * self.slowness:
            self._work_out_factors(slowness)
        return voltage_V

    def impedance(self, frequency_Hz: float) -> complex:
        """Linear response in Ω at the present state; raises `ValueError` unless the frequency is above zero."""
        if not (frequency_Hz > 0.0 and isfinite(frequency_Hz)):
            raise ValueError(f"frequency_Hz is {frequency_Hz}; it must be above zero")
        slope = -self._in_series * (self.positive.slope_V_C() + self.negative.slope_V_C())
        return impedance(self.parameters.circuit, self.factors, slope, frequency_Hz)


def _electrodes(parameters: CellParameters) -> tuple[ElectrodeParameters, ElectrodeParameters]:
    return parameters.positive, parameters.negative
