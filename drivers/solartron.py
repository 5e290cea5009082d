"""Solartron 1260 with 1287: potentiostatic impedance of one cell, swept by the host.

Wire facts: docs/instruments/solartron-1260-1287.md (evidence: vendor manuals, public code).
Not run on hardware yet.
"""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections.abc import Iterator
from typing import ClassVar, Self
from urllib.parse import urlsplit

from drivers.about import About, Probe
from drivers.interface import (
    ImpedancePoint,
    InstrumentError,
    NotSafe,
    OutOfRange,
    Protection,
    Range,
    Sweep,
    Unreachable,
)
from drivers.solartron1260 import GpibLine, Solartron1260
from drivers.solartron1287 import FULL_SCALE_V, STANDARD_RESISTORS_OHM, Solartron1287
from drivers.transports.prologix import PrologixAdapter, PrologixDevice
from drivers.transports.visa import VisaLine

log = logging.getLogger(__name__)

_BIAS_TOLERANCE_V = 0.02


class SolartronImpedance:
    """Impedance 10 µHz to 1 MHz around the open-circuit voltage or a given bias, up to 3 V rms.

    `address` is the 1260's: `prologix://host[:1234]/4`, or `GPIB0::4::INSTR` with a VISA library that
    has GPIB; `potentiostat_address` is the 1287's GPIB address on the same bus.

    Z = V1/V2 · `standard_resistor_ohm` · `impedance_factor`: V1 is the voltage across RE1 and RE2, V2
    the voltage across the standard resistor, which the current flows through. The resistor decides the
    full-scale current, 0.2 V / R; without one given it is that of the current limit in force, which is the
    widest decade within the sweep's protection (2 A, 0.2 A, 20 mA …; 0.1 A allows 20 mA). Measure a
    known resistor once and set `impedance_factor` to true/measured if it is not 1.
    Capacitive impedance has a negative imaginary part.

    A point takes max(`integration_s`, `integration_cycles`/f) + 1/f. `attenuate` passes the amplitude
    through the 1287's ×0.01 input, for 30 mV and less with a hundred times finer steps.
    `write_wait_s` is the pause after each command. `speed` is the pace of a virtual bench's clock, which
    all these times are divided by.
    After a lost link the cell is taken to open circuit as soon as it is back, for `patience_s`.
    """

    model: ClassVar[str] = "Solartron 1260 + 1287"
    safe_state: ClassVar[str] = "1287 polarisation off and in full standby (cell disconnected), 1260 generator at 0 V"
    about: ClassVar[About] = About(
        connection="GPIB through a Prologix GPIB-ETHERNET controller, or a VISA library that has GPIB",
        evidence="maker's manuals in part, public programs; not run on hardware",
        quirks="the 1287 has no words for what it is; its current limits below 2 A are taken for decades (unverified)",
        probes=(
            Probe(b"*IDN?\n", r"\b(1260|1255)"),
            Probe(b"++ver\n", "GPIB-ETHERNET", "prologix://{host}:{port}/4", 1234),
        ),
    )
    frequency_range = Range(10e-6, 1e6)  # Hz; the 1260 alone goes to 32 MHz
    point_margin_s = 10.0  # waited for a result beyond one and a half times what it should take

    def __init__(
        self,
        address: str,
        *,
        potentiostat_address: int = 6,
        standard_resistor_ohm: float | None = None,
        impedance_factor: float = 1.0,
        integration_s: float = 1.0,
        integration_cycles: float = 2.0,
        attenuate: bool = False,
        write_wait_s: float = 0.02,
        timeout_s: float = 5.0,
        patience_s: float = 20.0,
        speed: float = 1.0,
        library: str = "@py",
    ) -> None:
        self.address = address
        self.standard_resistor_ohm = standard_resistor_ohm
        self.impedance_factor = impedance_factor
        self.integration_s, self.integration_cycles = integration_s, integration_cycles
        self.attenuate = attenuate
        self.patience_s = patience_s
        self.speed = speed
        self._interrupted = threading.Event()
        self._maybe_polarised = False
        self._closed = False
        self._check_settings()
        analyser, potentiostat = _bus(address, potentiostat_address, timeout_s, library)
        self.potentiostat = Solartron1287(
            potentiostat, address=f"{address}, 1287 at {potentiostat_address}", write_wait_s=write_wait_s / speed
        )
        try:
            self.analyser = Solartron1260(analyser, address=address, write_wait_s=write_wait_s / speed)
        except BaseException:
            analyser.close()
            potentiostat.close()
            raise

    def identify(self) -> str:
        """What the 1260 says; the 1287 has no words for what it is."""
        self._check_open()
        return self.analyser.line.query("*IDN?")

    def check_sweep(self, sweep: Sweep) -> None:
        self._check("frequencies", bool(sweep.frequencies_Hz), "none given")
        for frequency in sweep.frequencies_Hz:
            self._check("frequency", frequency in self.frequency_range, f"{frequency:g} Hz: 10 µHz to 1 MHz")
        if sweep.amplitude_rms_A is not None:
            self._refuse_galvanostat()
        highest = Solartron1260.amplitude_range.high * (0.01 if self.attenuate else 1.0)
        amplitude = _amplitude_V(sweep)
        self._check("amplitude", 0 < amplitude <= highest, f"{amplitude:g} V rms: above 0, to {highest:g} V")
        if sweep.bias_V is not None:
            self._check_bias(sweep.bias_V, sweep)
        self.potentiostat.current_limit_A(sweep.protection.current_max_A)

    def sweep(self, sweep: Sweep) -> Iterator[ImpedancePoint]:
        """Measure point by point; the cell is polarised from the first point to the end of the iteration."""
        self.check_sweep(sweep)
        return self._sweep(sweep)

    def read_open_circuit_V(self) -> float:
        self._check_open()
        return self.potentiostat.open_circuit_V()

    def interrupt(self) -> None:
        """From another thread: break off the running point, which ends the sweep with an error."""
        self._interrupted.set()

    def make_safe(self) -> None:
        self._check_open()
        self._open_circuit(self.patience_s if self._maybe_polarised else 0.0)

    def close(self) -> None:
        if self._closed:
            return
        try:
            self.make_safe()
        finally:
            self._closed = True
            self.analyser.line.close()
            self.potentiostat.line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _sweep(self, sweep: Sweep) -> Iterator[ImpedancePoint]:
        self._check_open()
        self._interrupted.clear()
        try:
            self._polarise(sweep)
            for frequency in sweep.frequencies_Hz:
                self._check_open()
                point = self._point(frequency)
                self._check_cell(sweep.protection)
                yield point
        finally:
            if not self._closed:
                self.make_safe()

    def _polarise(self, sweep: Sweep) -> None:
        """From standby to polarised at the bias, with the limits set before and the voltages verified."""
        potentiostat, protection = self.potentiostat, sweep.protection
        potentiostat.polarisation_off()
        potentiostat.full_standby()
        limit_A = potentiostat.current_limit_A(protection.current_max_A)
        resistor = self.standard_resistor_ohm or next(
            ohm for ohm in STANDARD_RESISTORS_OHM.values() if math.isclose(ohm, FULL_SCALE_V / limit_A)
        )
        potentiostat.configure(limit_A, resistor, attenuate=self.attenuate)
        potentiostat.half_standby()  # the voltmeter sees the cell, nothing drives it
        open_circuit_V, _ = potentiostat.measure()
        if open_circuit_V not in _window(protection):
            raise NotSafe(
                f"{open_circuit_V:g} V at open circuit is outside {_words(protection)}: not polarised",
                instrument=self.model,
                address=self.address,
                hint="is the cell connected, RE1 and CE at its positive side?",
            )
        bias_V = open_circuit_V if sweep.bias_V is None else sweep.bias_V
        self._check_bias(bias_V, sweep)
        self.analyser.prepare(_amplitude_V(sweep) * (100 if self.attenuate else 1))
        potentiostat.set_voltage(bias_V)
        self._maybe_polarised = True
        potentiostat.polarise()
        held_V = self._check_cell(protection)
        if abs(held_V - bias_V) > _BIAS_TOLERANCE_V + 2 * _amplitude_V(sweep):
            raise NotSafe(
                f"the cell is at {held_V:g} V where {bias_V:g} V was set: is the current limit of {limit_A:g} A "
                "reached, or is the wiring wrong?",
                instrument=self.model,
                address=self.address,
            )

    def _point(self, frequency_Hz: float) -> ImpedancePoint:
        integration_s = max(self.integration_s, self.integration_cycles / frequency_Hz)
        takes_s = integration_s + 1 / frequency_Hz
        self.analyser.start(frequency_Hz, integration_s)
        # Not while it measures: the 1260 would hold the bus, and the 1287 could not be reached.
        if self._interrupted.wait(takes_s / self.speed):
            raise InstrumentError(
                f"sweep interrupted at {frequency_Hz:g} Hz", instrument=self.model, address=self.address
            )
        ratio = self.analyser.result(frequency_Hz, 1.5 * takes_s + self.point_margin_s - takes_s / self.speed)
        return ImpedancePoint(frequency_Hz, ratio * self.potentiostat.resistor_ohm * self.impedance_factor)

    def _check_cell(self, protection: Protection) -> float:
        """The cell's voltage, if it and the current are within the protection."""
        volts, amperes = self.potentiostat.measure()
        if volts not in _window(protection) or abs(amperes) > protection.current_max_A:
            raise NotSafe(
                f"the cell is at {volts:g} V and {amperes:g} A, outside {_words(protection)}: sweep ended",
                instrument=self.model,
                address=self.address,
            )
        return volts

    def _open_circuit(self, patience_s: float) -> None:
        """Polarisation off, verified, and full standby: again and again until certain or patience is at its end."""
        until = time.monotonic() + patience_s
        try:
            while failures := self._try_to_open():
                if time.monotonic() >= until:
                    raise NotSafe(
                        f"open circuit is not certain: {failures[0]}",
                        instrument=self.model,
                        address=self.address,
                        hint="take the 1287 to standby at its front panel",
                    ) from failures[0]
                time.sleep(0.1)
            self._maybe_polarised = False
        finally:
            self._generator_off()

    def _generator_off(self) -> None:
        try:
            self.analyser.stop()
        except InstrumentError as error:
            log.warning("%s: generator at 0 V is not certain: %s", self.address, error)

    def _try_to_open(self) -> list[InstrumentError]:
        """Each step whatever became of the one before; what failed."""
        failures = []
        potentiostat = self.potentiostat
        for step in (potentiostat.polarisation_off, potentiostat.verify_no_current, potentiostat.full_standby):
            try:
                step()
                log.info("%s: %s done", self.address, step.__name__)
            except InstrumentError as error:
                log.error("%s: %s failed: %s", self.address, step.__name__, error)
                failures.append(error)
        return failures

    def _check_bias(self, bias_V: float, sweep: Sweep) -> None:
        peak_V = math.sqrt(2) * _amplitude_V(sweep)
        for volts in (bias_V - peak_V, bias_V + peak_V):
            fits = volts in Solartron1287.voltage_range and volts in _window(sweep.protection)
            self._check(
                "bias", fits, f"{bias_V:g} V with a peak of {peak_V:.3g} V: ±14.5 V and {_words(sweep.protection)}"
            )

    def _refuse_galvanostat(self) -> None:
        """What current the analyser's signal makes in the 1287's galvanostat is in none of this driver's sources."""
        raise OutOfRange(
            "a sweep of current (GEIS) is not supported: what current the 1260's signal makes in the 1287 as a "
            "galvanostat is not known for certain",
            instrument=self.model,
            address=self.address,
            hint="sweep the voltage (PEIS): give the amplitude in mV",
        )

    def _check_settings(self) -> None:
        resistors = STANDARD_RESISTORS_OHM.values()
        resistor = self.standard_resistor_ohm
        self._check("standard_resistor_ohm", resistor is None or resistor in resistors, f"{resistor}: {[*resistors]}")
        self._check("impedance_factor", 0 < self.impedance_factor < math.inf, f"{self.impedance_factor}: above 0")
        self._check("integration_s", self.integration_s in Range(0.01, 1e5), f"{self.integration_s} s: 0.01 to 1e5 s")
        self._check("speed", 0 < self.speed < math.inf, f"{self.speed}: above 0; 1 for a real instrument")
        self._check("integration_cycles", self.integration_cycles >= 1, f"{self.integration_cycles}: at least 1")

    def _check_open(self) -> None:
        if self._closed:
            raise Unreachable("closed by this program", instrument=self.model, address=self.address)

    def _check(self, what: str, fits: bool, why: str) -> None:
        if not fits:
            raise OutOfRange(f"{what} {why}", instrument=self.model, address=self.address)


def _amplitude_V(sweep: Sweep) -> float:
    """NaN, which is in no range, where none is given."""
    return math.nan if sweep.amplitude_rms_V is None else sweep.amplitude_rms_V


def _window(protection: Protection) -> Range:
    return Range(protection.voltage_min_V, protection.voltage_max_V)


def _words(protection: Protection) -> str:
    return (
        f"the protection of {protection.voltage_min_V:g} to {protection.voltage_max_V:g} V"
        f" and {protection.current_max_A:g} A"
    )


def _bus(address: str, potentiostat: int, timeout_s: float, library: str) -> tuple[GpibLine, GpibLine]:
    """The lines to the 1260 and the 1287: one adapter for both, or two addresses of one board."""
    parts = urlsplit(address)
    model = SolartronImpedance.model
    if parts.scheme == "prologix" and parts.hostname and re.fullmatch(r"/\d{1,2}", parts.path):
        adapter = PrologixAdapter(
            parts.hostname, parts.port or 1234, instrument=model, timeout_s=timeout_s, traced_as=address
        )
        return PrologixDevice(adapter, int(parts.path[1:])), PrologixDevice(adapter, potentiostat)
    if (board := re.fullmatch(r"(GPIB\d*)::\d+::INSTR", address)) is not None:
        analyser = VisaLine(address, instrument=model, timeout_s=timeout_s, library=library)
        try:
            other = VisaLine(
                f"{board[1]}::{potentiostat}::INSTR", instrument=model, timeout_s=timeout_s, library=library
            )
        except BaseException:
            analyser.close()
            raise
        return analyser, other
    raise Unreachable(
        "not an address of a GPIB instrument",
        instrument=model,
        address=address,
        hint="prologix://host/4 or GPIB0::4::INSTR",
    )
