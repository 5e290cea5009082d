"""What a PalmSens device is asked for, whatever is done with it: its cell at rest, values, limits, and off.

Wire facts: docs/instruments/palmsens.md (evidence: vendor manual, published examples). Not run on hardware yet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NoReturn

from drivers import palmsens_scripts as scripts
from drivers.interface import BadReply, Measurement, NoReading, NotSafe, OutOfRange, Protection, Range, Unreachable
from drivers.methodscript import Output, Status, Variable
from drivers.palmsens_link import PalmSensLink
from drivers.palmsens_scripts import Device, Limits

_AGREE = 1e-6  # relative, of a value that a script says back
_FLAGGED = Status.OVERLOAD | Status.OVERLOAD_WARNING
VOLTAGES, _CURRENTS = ("ab", "da"), ("ba", "db")


class PalmSensDevice:
    """One device with one cell; a subclass opens the link."""

    model: ClassVar[str] = "PalmSens MethodSCRIPT"
    address: str
    interval_s: float
    timeout_s: float
    _link: PalmSensLink
    _device: Device
    _closed = False
    _sweeping = False

    # --- the cell

    def _halt(self) -> None:
        """End whatever runs, and have the cell off."""
        self._link.halt()

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
                (volts,) = self._values(package, (VOLTAGES,))
            if math.isnan(volts):
                self._bad("no voltage came while the circuit was open")
        except BaseException as error:
            self._link.off_after(error)
            raise
        self._link.is_off = True
        return volts

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

    # --- values

    def _reading(self, package: Sequence[Variable]) -> Measurement:
        """Of a package of a voltage, or of a voltage and a current; flagged where the device is overloaded."""
        if len(package) == 1:
            return Measurement(self._values(package, (VOLTAGES,))[0], 0.0)
        volts, amperes = self._values(package, (VOLTAGES, _CURRENTS))
        return Measurement(volts, amperes, any(variable.status & _FLAGGED for variable in package))

    def _values(self, package: Sequence[Variable], kinds: Sequence[Sequence[str]]) -> list[float]:
        found = []
        fits = len(package) == len(kinds) and all(one.kind in kind for one, kind in zip(package, kinds, strict=True))
        for variable in package:
            if not fits or isinstance(variable.value, NoReading):
                self._bad(f"{[(each.kind, each.value) for each in package]} is not what the script sends")
            found.append(variable.value)
        return found

    # --- checks

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
