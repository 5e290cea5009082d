"""PalmSens EmStat Pico, EmStat4 and their kin, by MethodSCRIPT: a source for one cell, and its impedance.

Wire facts: docs/instruments/palmsens.md (evidence: vendor manual, published examples). Not run on hardware yet.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator, Sequence
from typing import ClassVar, NoReturn, Self

from drivers import palmsens_scripts as scripts
from drivers.about import About, Probe
from drivers.interface import (
    BadReply,
    Current,
    ImpedancePoint,
    InstrumentTimeout,
    Measurement,
    NoReading,
    NotSafe,
    OutOfRange,
    Protection,
    Range,
    Refused,
    Setpoint,
    Sweep,
    Unreachable,
    Voltage,
)
from drivers.methodscript import Ended, Failed, Output, Status, Variable, read_package
from drivers.palmsens_link import PalmSensLink
from drivers.palmsens_scripts import DEVICES, Held, Limits
from drivers.transports.serial_lines import SerialLines

_ANSWER = r"t(espico|senswb|es4_|mes4|nexus)\w*\d+#"  # to `t`; over USB at any speed
_AGREE = 1e-6  # relative, of a value that a script says back
_FLAGGED = Status.OVERLOAD | Status.OVERLOAD_WARNING
_VOLTAGES, _CURRENTS = ("ab", "da"), ("ba", "db")


class PalmSens:
    """Source and impedance analyser of one cell: WE to its positive side, RE and CE together to the other.

    A set point is a script that runs in the device until it is called off, sending a package every `interval_s`; it
    keeps the protection by itself: at its voltage limit it holds that, at its current limit that. From one set point
    to the next the circuit is open for about half a second. A Pico has no galvanostat: its current is emulated by a
    voltage that the script moves, `control_ohm` (a tenth to a half of the cell's resistance) times what is lacking.

    `address` is a serial port or a pyserial URL; `device` is what must answer (espico, es4_hr …), any unless given.
    `baud` 0 is the device's own: 230400 for a Pico, 921600 for others (ignored over USB).
    """

    model: ClassVar[str] = "PalmSens MethodSCRIPT"
    safe_state: ClassVar[str] = "script ended and cell switched off, confirmed by the device"
    about: ClassVar[About] = About(
        connection="serial port or USB; pyserial URLs",
        evidence="maker's manual and published examples; not run on hardware",
        quirks="after a run-time error the device leaves the cell on: the driver switches it off; a hold reports the "
        "voltage that is set, not one that is measured; a Pico emulates current",
        probes=(
            Probe(b"t\n", _ANSWER, "{resource}", baud=230400, ends_with=b"*\n"),
            Probe(b"t\n", _ANSWER, "{resource}", baud=921600, ends_with=b"*\n"),
        ),
    )

    def __init__(
        self,
        address: str,
        *,
        device: str = "",
        interval_s: float = 0.2,
        control_ohm: float = 5.0,
        baud: int = 0,
        timeout_s: float = 3.0,
    ) -> None:
        self.address = address
        self.interval_s, self.control_ohm, self.timeout_s = interval_s, control_ohm, timeout_s
        self._check("interval_s", interval_s in Range(0.01, 60.0), f"{interval_s} s: 0.01 to 60 s")
        self._check("control_ohm", control_ohm in Range(1e-3, 1e9), f"{control_ohm} Ω: 1 mΩ to 1 GΩ")
        self._check("device", device in ("", *DEVICES), f"{device!r}: {', '.join(DEVICES)}")
        pico = device in ("espico", "senswb")
        line = SerialLines(
            address,
            baud=baud or (230400 if pico or not device else 921600),
            xonxoff=pico,
            rtscts=not pico and bool(device),
            instrument=self.model,
            timeout_s=timeout_s,
        )
        self._link = PalmSensLink(line, patience_s=2 * interval_s + timeout_s)
        self._output: Output | None = None  # of a script that holds a set point
        self._last: Measurement | None = None
        self._held: Setpoint | None = None
        self._limits_held: Limits | None = None
        self._sweeping = False
        self._closed = False
        try:
            self._identity, self._device = self._link.identified(device)
            if not self._adopt():
                self._link.cell_off()
        except BaseException:
            self._link.line.end()
            raise

    # --- what every instrument has

    def identify(self) -> str:
        self._check_open()
        if self._output is None:
            self._identity, self._device = self._link.identified("")
        return self._identity

    def make_safe(self) -> None:
        self.off()

    def close(self) -> None:
        if self._closed:
            return
        try:
            self.off()
        finally:
            self.leave()

    def leave(self) -> None:
        """A script that runs goes on, with its limits."""
        self._closed = True
        self._link.line.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- source

    def check(self, setpoint: Setpoint, protection: Protection) -> None:
        limits = self._limits(protection)
        match setpoint:
            case Voltage(volts):
                reach = f"{limits.low_V:g} … {limits.high_V:g} V ({self._device.name}, protection)"
                self._check("voltage", volts in Range(limits.low_V, limits.high_V), f"{volts:g} V: {reach}")
                self._check_mode(volts, volts)
            case Current(0.0):
                return
            case Current(amperes):
                most = f"±{limits.most_A:g} A ({self._device.name}, protection)"
                self._check("current", abs(amperes) in Range(0.0, limits.most_A), f"{amperes:g} A: {most}")
                if not self._device.galvanostat:
                    self._check_mode(limits.low_V, limits.high_V)

    def apply(self, setpoint: Setpoint, protection: Protection) -> None:
        """Call off what runs, look at the cell, and have a new script hold `setpoint` within `protection`."""
        self.check(setpoint, protection)
        try:
            if self._output is not None or not self._link.is_off:
                self._halt()
            self._hold(setpoint, self._limits(protection))
        except BaseException as error:
            self._output = None
            self._link.off_after(error)
            raise

    def measure(self) -> Measurement:
        """The latest package of the running script, or the voltage at open circuit."""
        self._check_open()
        if self._output is not None:
            return self._latest()
        if not self._link.is_off:
            self._halt()
        return Measurement(self._open_circuit_V(), 0.0)

    def off(self) -> None:
        self._check_open()
        self._halt()

    def output_is_on(self) -> bool:
        """Of a set point; a sweep of impedance has the cell on, and off again when it ends."""
        self._check_open()
        if self._sweeping:
            return False
        if self._output is not None:
            self._catch_up()
            return self._output is not None
        if self._link.is_off:
            self.identify()  # the device is there, and nobody else has it
            return False
        if self._adopt():
            return True
        self._link.cell_off()
        return False

    # --- sweeps of voltage, for notebooks

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

    # --- holding and scanning

    def _hold(self, setpoint: Setpoint, limits: Limits) -> None:
        device, interval_s = self._device, self.interval_s
        match setpoint:
            case Current(0.0):
                goal, script = 0.0, scripts.rest_on(limits, interval_s)
            case _:
                at_rest_V = self._cell_within(limits)
                held = (
                    Held.voltage(setpoint.volts, at_rest_V, limits, interval_s)
                    if isinstance(setpoint, Voltage)
                    else Held.current(setpoint.amperes, limits, interval_s)
                )
                goal = held.goal
                script = (
                    scripts.hold(held, device)
                    if device.galvanostat
                    else scripts.emulate(held, at_rest_V, device, self.control_ohm)
                )
        output = self._link.begin(script)
        self._confirm(output, goal, limits)
        self._output, self._last = output, None
        self._held, self._limits_held = setpoint, limits
        self._latest()

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
                yield self._measurement(package)
        finally:
            if not self._closed:
                self._halt()

    def _confirm(self, output: Output, goal: float, limits: Limits) -> None:
        """The first package says back what the device was given; the cell is switched on only after a pause."""
        said = self._link.next_package(output, self.timeout_s)
        expected = (goal, limits.low_V, limits.high_V, limits.most_A)
        found = tuple(variable.value for variable in said or ())
        agrees = len(found) == len(expected) and all(
            not isinstance(value, NoReading) and math.isclose(value, asked, rel_tol=_AGREE, abs_tol=1e-12)
            for value, asked in zip(found, expected, strict=True)
        )
        if not agrees:
            raise NotSafe(
                f"set point and limits were given as {expected} and are said back as {found}",
                instrument=self.model,
                address=self.address,
            )

    def _cell_within(self, limits: Limits) -> float:
        """The voltage at open circuit, where it is within the limits."""
        volts = self._open_circuit_V()
        if volts not in Range(limits.low_V, limits.high_V):
            raise NotSafe(
                f"the cell is at {volts:.4g} V, outside {limits.low_V:g} … {limits.high_V:g} V: not switched on",
                instrument=self.model,
                address=self.address,
                hint="is it connected, with WE at its positive side?",
            )
        return volts

    def _open_circuit_V(self) -> float:
        try:
            interval_s = min(self.interval_s, 0.2)
            output = self._link.begin(scripts.rest(interval_s))
            volts = math.nan
            while (package := self._link.next_package(output, interval_s + self.timeout_s)) is not None:
                (volts,) = self._values(package, (_VOLTAGES,))
            if math.isnan(volts):
                self._bad("no voltage came while the circuit was open")
        except BaseException as error:
            self._link.off_after(error)
            raise
        self._link.is_off = True
        return volts

    def _latest(self) -> Measurement:
        """The newest of what the script has sent; waits for one where nothing has come since the last."""
        came = self._catch_up()
        while self._output is not None and not came:
            came = self._take(self._link.read(2 * self.interval_s + self.timeout_s))
        if self._output is None or self._last is None:
            was = f"; last {self._last.voltage_V:.4g} V, {self._last.current_A:.4g} A" if self._last else ""
            raise NotSafe(
                f"the device has ended the set point: it saw what its limits exclude{was}. The cell is off",
                instrument=self.model,
                address=self.address,
            )
        return self._last

    def _halt(self) -> None:
        self._output = None
        self._link.halt()

    def _catch_up(self) -> bool:
        """Take in all lines that have come; whether there was a package among them."""
        found = False
        for raw in self._link.line.lines_here():
            found |= self._take(self._link.text(raw))
            if self._output is None:
                break
        return found

    def _take(self, line: str) -> bool:
        """One line of the script that holds a set point; whether it was a package."""
        assert self._output is not None
        try:
            said = self._output.feed(line)
        except ValueError as error:
            self._bad(str(error))
        match said:
            case Ended():
                self._halt()
            case Failed():
                self._output = None
                self._link.stopped_by(said)
            case tuple():
                self._last = self._measurement(said)
                return True
        return False

    def _measurement(self, package: Sequence[Variable]) -> Measurement:
        if len(package) == 1:
            return Measurement(self._values(package, (_VOLTAGES,))[0], 0.0)
        volts, amperes = self._values(package, (_VOLTAGES, _CURRENTS))
        flagged = any(variable.status & _FLAGGED for variable in package)
        return Measurement(volts, amperes, flagged or self._limited(package[0].kind, volts))

    def _limited(self, kind: str, volts: float) -> bool:
        """Whether the script holds a limit: the current where a voltage was asked for, or the other way round."""
        match self._held:
            case Voltage(goal):
                return kind == "ab" or not math.isclose(volts, goal, abs_tol=2e-3)
            case Current(amperes) if self._limits_held is not None:
                clamp_V = self._limits_held.high_V if amperes > 0 else self._limits_held.low_V
                return kind == "da" and math.isclose(volts, clamp_V, abs_tol=1e-4)
            case _:
                return False

    def _values(self, package: Sequence[Variable], kinds: Sequence[Sequence[str]]) -> list[float]:
        found = []
        fits = len(package) == len(kinds) and all(one.kind in kind for one, kind in zip(package, kinds, strict=True))
        for variable in package:
            if not fits or isinstance(variable.value, NoReading):
                self._bad(f"{[(each.kind, each.value) for each in package]} is not what the script sends")
            found.append(variable.value)
        return found

    def _adopt(self) -> bool:
        """Whether a script of ours is running: it goes on, and is followed from here."""
        deadline = time.monotonic() + 2 * self.interval_s + 0.1
        while (left_s := deadline - time.monotonic()) > 0:
            with contextlib.suppress(InstrumentTimeout):
                line = self._link.line.read_line(left_s)
                if not line.startswith(b"P"):
                    continue
                with contextlib.suppress(ValueError, BadReply):  # cut where the link was opened
                    self._held = None
                    self._last = self._measurement(read_package(self._link.text(line)))
                    self._output, self._link.is_off = _Joined(), False
                    return True
        return False

    # --- small things

    def _limits(self, protection: Protection) -> Limits:
        low, high, most = protection.voltage_min_V, protection.voltage_max_V, protection.current_max_A
        self._check("protection", low < high, f"there is no voltage between {low:g} V and {high:g} V")
        self._check("protection", most > 0, f"a current limit of {most:g} A")
        limits = Limits.of(protection, self._device)
        span = f"{low:g} … {high:g} V is out of the reach of the {self._device.name}"
        self._check("protection", limits.low_V < limits.high_V, span)
        return limits

    def _currents(self, limits: Limits) -> Range:
        return Range(min(self._device.current_min_A, limits.most_A), limits.most_A)

    def _check_scan(self, reach: Sequence[float], step_V: float, rate_V_s: float, protection: Protection) -> Limits:
        limits = self._limits(protection)
        for volts in reach:
            fits = volts in Range(limits.low_V, limits.high_V)
            self._check("voltage", fits, f"{volts:g} V: {limits.low_V:g} … {limits.high_V:g} V")
        self._check("step", 1e-4 <= step_V <= max(reach) - min(reach), f"{step_V:g} V: 0.1 mV to the whole span")
        self._check("rate", 0 < rate_V_s <= 1.0, f"{rate_V_s:g} V/s: above 0, to 1 V/s")
        self._check_mode(min(reach), max(reach))
        return limits

    def _check_bias(self, bias_V: float, rms_V: float, limits: Limits, frequency_Hz: float) -> None:
        peak_V = math.sqrt(2) * rms_V
        for volts in (bias_V - peak_V, bias_V + peak_V):
            fits = volts in Range(limits.low_V, limits.high_V)
            self._check(
                "bias", fits, f"{bias_V:g} V with a peak of {peak_V:.3g} V: {limits.low_V:g} … {limits.high_V:g} V"
            )
        self._check_mode(bias_V - peak_V, bias_V + peak_V, frequency_Hz)

    def _check_mode(self, low_V: float, high_V: float, bandwidth_Hz: float = 0.0) -> None:
        try:
            scripts.mode_for(self._device, low_V, high_V, bandwidth_Hz)
        except ValueError as error:
            raise OutOfRange(f"{error}; nothing was sent", **self._where()) from None

    def _check(self, what: str, fits: bool, why: str) -> None:
        if not fits:
            raise OutOfRange(f"{what} {why}; nothing was sent", **self._where())

    def _check_open(self) -> None:
        if self._closed:
            raise Unreachable("closed by this program", **self._where())

    def _bad(self, message: str) -> NoReturn:
        raise BadReply(message, **self._where())

    def _where(self) -> dict[str, str]:
        return {"instrument": self.model, "address": self.address}


class _Joined(Output):
    """Of a script that was joined in its middle: which loops are open is not known, so an end may come any time."""

    def feed(self, line: str) -> tuple[Variable, ...] | Ended | Failed | None:
        try:
            return super().feed(line)
        except ValueError:
            if line in ("*", "-", "+"):
                return None
            raise
