"""A PalmSens device's own sweeps: impedance at a voltage or a current, and scans of voltage.

Wire facts: docs/instruments/palmsens.md (evidence: vendor manual, published examples). Not run on hardware yet.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

from drivers import palmsens_scripts as scripts
from drivers.interface import ImpedancePoint, Measurement, Protection, Range, Refused, Sweep
from drivers.methodscript import Status, Variable
from drivers.palmsens_device import PalmSensDevice
from drivers.palmsens_scripts import Limits


class PalmSensSweeps(PalmSensDevice):
    """Each begins and ends with the cell off, however it ends."""

    # --- impedance

    def check_sweep(self, sweep: Sweep) -> None:
        limits = self._limits(sweep.protection)
        device = self._device
        self._check("frequencies", bool(sweep.frequencies_Hz), "none given")
        for frequency in sweep.frequencies_Hz:
            span = f"{device.frequency_Hz.low:g} to {device.frequency_Hz.high:g} Hz"
            self._check("frequency", frequency in device.frequency_Hz, f"{frequency:g} Hz: {span}")
        if (amperes := sweep.amplitude_rms_A) is not None:
            self._check("GEIS", device.galvanostat, f"the {device.name} has no galvanostat")
            peak_A = math.sqrt(2) * amperes
            self._check("amplitude", 0 < peak_A <= limits.most_A, f"{amperes:g} A r.m.s.: to {limits.most_A:g} A peak")
            self._check("bias", sweep.bias_A == 0.0, "of current: a script could not watch the voltage meanwhile")
            return
        volts = math.nan if sweep.amplitude_rms_V is None else sweep.amplitude_rms_V
        self._check("amplitude", 0 < volts <= 0.25, f"{volts:g} V r.m.s.: above 0, to 0.25 V")
        if sweep.bias_V is not None:
            self._check_bias(sweep.bias_V, volts, limits, max(sweep.frequencies_Hz))

    def sweep(self, sweep: Sweep) -> Generator[ImpedancePoint, None, None]:
        """Measure point by point. The cell is off before and afterwards, however it ends."""
        self.check_sweep(sweep)
        return self._sweep(sweep)

    def interrupt(self) -> None:
        """From another thread: ends the sweep with an error at once."""
        self._link.interrupted.set()

    def _sweep(self, sweep: Sweep) -> Generator[ImpedancePoint, None, None]:
        self._check_open()
        self._link.interrupted.clear()
        limits = self._limits(sweep.protection)
        try:
            self._halt()
            at_rest_V = self._cell_within(limits)
            galvanostatic = sweep.amplitude_rms_A is not None
            rms = sweep.amplitude_rms_A or sweep.amplitude_rms_V or math.nan
            bias = sweep.bias_A if galvanostatic else at_rest_V if sweep.bias_V is None else sweep.bias_V
            if not galvanostatic:
                self._check_bias(bias, rms, limits, max(sweep.frequencies_Hz))
            currents = Range(math.sqrt(2) * rms, math.sqrt(2) * rms) if galvanostatic else self._currents(limits)
            output = self._link.begin(
                scripts.impedance(sweep.frequencies_Hz, rms, bias, currents, self._device, galvanostatic=galvanostatic)
            )
            self._sweeping = True
            for frequency in sweep.frequencies_Hz:
                package = self._link.next_package(output, 30.0 / frequency + self.timeout_s)
                if package is None:
                    self._bad("the sweep ended before its last frequency")
                yield self._point(package, frequency)
            self._link.end_of(output)
        finally:
            self._sweeping = False
            if not self._closed:
                self._halt()

    def _point(self, package: Sequence[Variable], asked_Hz: float) -> ImpedancePoint:
        frequency_Hz, real, imaginary = self._values(package, (("dc",), ("cc",), ("cd",)))
        if not math.isclose(frequency_Hz, asked_Hz, rel_tol=0.02):
            self._bad(f"a point at {frequency_Hz:g} Hz where {asked_Hz:g} Hz was asked for")
        if any(Status.OVERLOAD in variable.status for variable in package):
            raise Refused(
                f"overload at {asked_Hz:g} Hz",
                instrument=self.model,
                address=self.address,
                hint="a smaller amplitude, or a protection that allows more current",
            )
        return ImpedancePoint(frequency_Hz, complex(real, imaginary))  # a capacitor's imaginary part is negative

    def _check_bias(self, bias_V: float, rms_V: float, limits: Limits, frequency_Hz: float) -> None:
        peak_V = math.sqrt(2) * rms_V
        for volts in (bias_V - peak_V, bias_V + peak_V):
            fits = volts in Range(limits.low_V, limits.high_V)
            self._check(
                "bias", fits, f"{bias_V:g} V with a peak of {peak_V:.3g} V: {limits.low_V:g} … {limits.high_V:g} V"
            )
        self._check_mode(bias_V - peak_V, bias_V + peak_V, frequency_Hz)

    # --- of voltage, for notebooks

    def linear_sweep(
        self, start_V: float, end_V: float, step_V: float, rate_V_s: float, protection: Protection
    ) -> Generator[Measurement, None, None]:
        """LSV, point by point as they come. However it ends, the cell is off afterwards."""
        limits = self._check_scan((start_V, end_V), step_V, rate_V_s, protection)
        script = scripts.linear_sweep(start_V, end_V, step_V, rate_V_s, limits, self._device)
        return self._scan(script, start_V, limits, step_V / rate_V_s)

    def cyclic_voltammetry(
        self,
        start_V: float,
        vertices_V: tuple[float, float],
        step_V: float,
        rate_V_s: float,
        protection: Protection,
        *,
        scans: int = 1,
    ) -> Generator[Measurement, None, None]:
        """CV, point by point as they come. However it ends, the cell is off afterwards."""
        limits = self._check_scan((start_V, *vertices_V), step_V, rate_V_s, protection)
        self._check("scans", scans >= 1, f"{scans}: 1 or more")
        script = scripts.cyclic_voltammetry(start_V, vertices_V, step_V, rate_V_s, scans, limits, self._device)
        return self._scan(script, start_V, limits, step_V / rate_V_s)

    def _scan(
        self, script: Sequence[str], start_V: float, limits: Limits, interval_s: float
    ) -> Generator[Measurement, None, None]:
        self._check_open()
        try:
            self._halt()
            self._cell_within(limits)
            output = self._link.begin(script)
            self._confirm(output, start_V, limits)
            while (package := self._link.next_package(output, 10 * interval_s + self.timeout_s)) is not None:
                yield self._reading(package)
        finally:
            if not self._closed:
                self._halt()

    def _check_scan(self, reach: Sequence[float], step_V: float, rate_V_s: float, protection: Protection) -> Limits:
        limits = self._limits(protection)
        for volts in reach:
            fits = volts in Range(limits.low_V, limits.high_V)
            self._check("voltage", fits, f"{volts:g} V: {limits.low_V:g} … {limits.high_V:g} V")
        self._check("step", 1e-4 <= step_V <= max(reach) - min(reach), f"{step_V:g} V: 0.1 mV to the whole span")
        self._check("rate", 0 < rate_V_s <= 1.0, f"{rate_V_s:g} V/s: above 0, to 1 V/s")
        self._check_mode(min(reach), max(reach))
        return limits
