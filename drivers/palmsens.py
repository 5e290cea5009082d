"""PalmSens EmStat Pico, EmStat4 and their kin, by MethodSCRIPT: a source for one cell, and its impedance.

Wire facts: docs/instruments/palmsens.md (evidence: vendor manual, published examples). Not run on hardware yet.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from drivers import palmsens_scripts as scripts
from drivers.about import About, Probe
from drivers.interface import (
    BadReply,
    Current,
    InstrumentTimeout,
    Measurement,
    NotSafe,
    Protection,
    Range,
    Setpoint,
    Voltage,
)
from drivers.methodscript import Ended, Failed, Output, Variable, read_package
from drivers.palmsens_link import PalmSensLink
from drivers.palmsens_scripts import DEVICES, Held, Limits
from drivers.palmsens_sweeps import PalmSensSweeps
from drivers.source import CellSource
from drivers.transports.serial_lines import SerialLines

_ANSWER = r"t(espico|senswb|es4_|mes4|nexus)\w*\d+#"  # to `t`; over USB at any speed


class PalmSens(CellSource, PalmSensSweeps):
    """Source and impedance analyser of one cell: WE to its positive side, RE and CE together to the other.

    A set point is a script that runs in the device until it is called off, sending a package every `interval_s`; it
    keeps the protection by itself: at its voltage limit it holds that, at its current limit that. From one set point
    to the next the circuit is open for about half a second. A Pico has no galvanostat: its current is emulated by a
    voltage that the script moves, `control_ohm` (a tenth to a half of the cell's resistance) times what is lacking.

    `address` is a serial port or a pyserial URL; `device` is what must answer (espico, es4_hr …), any unless given.
    `baud` 0 is the device's own: 230400 for a Pico, 921600 for others (ignored over USB).
    """

    model: ClassVar[str] = PalmSensSweeps.model
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

    def leave(self) -> None:
        """A script that runs goes on, with its limits."""
        self._closed = True
        self._link.line.end()

    # --- source

    def check(self, setpoint: Setpoint, protection: Protection) -> None:
        super().check(setpoint, protection)
        if isinstance(setpoint, Voltage):
            limits, volts = self._limits(protection), setpoint.volts
            reach = f"{limits.low_V:g} … {limits.high_V:g} V ({self._device.name}, protection)"
            self._check("voltage", volts in Range(limits.low_V, limits.high_V), f"{volts:g} V: {reach}")
            self._check_mode(volts, volts)

    def check_limits(self, protection: Protection) -> None:
        self._limits(protection)

    def check_current(self, amperes: float, protection: Protection) -> None:
        limits = self._limits(protection)
        most = f"±{limits.most_A:g} A ({self._device.name}, protection)"
        self._check("current", abs(amperes) <= limits.most_A, f"{amperes:g} A: {most}")
        if amperes and not self._device.galvanostat:
            self._check_mode(limits.low_V, limits.high_V)

    def go_to(self, setpoint: Setpoint, protection: Protection) -> None:
        """Call off what runs, look at the cell, and have a new script hold `setpoint` within `protection`."""
        if self._output is not None or not self._link.is_off:
            self._halt()
        self._hold(setpoint, self._limits(protection))

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

    # --- the script that holds a set point

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

    def _halt(self) -> None:
        self._output = None
        super()._halt()

    def _off_after(self, error: BaseException) -> None:
        self._output = None
        self._link.off_after(error)

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
        reading = self._reading(package)
        limited = len(package) == 2 and self._limited(package[0].kind, reading.voltage_V)
        return replace(reading, in_compliance=reading.in_compliance or limited)

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


class _Joined(Output):
    """Of a script that was joined in its middle: which loops are open is not known, so an end may come any time."""

    def feed(self, line: str) -> tuple[Variable, ...] | Ended | Failed | None:
        try:
            return super().feed(line)
        except ValueError:
            if line in ("*", "-", "+"):
                return None
            raise
