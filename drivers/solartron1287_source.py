"""Solartron 1287 electrochemical interface by itself: a host-sequenced source for one cell.

Wire facts: docs/instruments/solartron-1287.md (evidence: vendor manual, public code). Not run on hardware yet.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar
from urllib.parse import urlsplit

from drivers.about import About, Probe
from drivers.interface import (
    BadReply,
    Current,
    InstrumentError,
    Measurement,
    NotSafe,
    Protection,
    Range,
    Refused,
    Setpoint,
    Unreachable,
    Voltage,
    WrongInstrument,
)
from drivers.solartron1260 import GpibLine
from drivers.solartron1287 import CURRENT_LIMITS_A, FULL_SCALE_V, STANDARD_RESISTORS_OHM, Solartron1287
from drivers.source import CellSource
from drivers.transports.prologix import PrologixAdapter, PrologixDevice
from drivers.transports.visa import VisaLine

log = logging.getLogger(__name__)

_LIMITING = 0.98  # of the current limit: the potentiostat is in it
_OFF_TARGET_V = 0.02
_FOUND_ON_A = 20e-6  # on opening: what an offset of the coarsest range does not reach


class Solartron1287Source(CellSource):
    """Voltage of ±14.5 V with a current limit in decades to 2 A; current of ±2 A where `host_limits_voltage` allows it.

    CE and RE1 at the cell's positive side, RE2 and WE at the negative; positive current then charges.
    `address`: `prologix://host[:1234]/6`, or `GPIB0::6::INSTR` with a VISA library that has GPIB.

    As a galvanostat the 1287 has no voltage limit of its own but 14.5 V: if the station dies, a cell that it charges
    is charged on and on; while the station lives, `measure` sees to it that a limit that was passed is held instead of
    the current. So a current other than 0 is refused unless `host_limits_voltage` says that something else
    ends that (a separate watchdog, a protected cell).

    The 1287 states neither what it is nor what it was set to. What is held is proven by its voltmeter: before it
    polarises, the cell at open circuit is within the protection; afterwards voltage and current are.
    """

    model: ClassVar[str] = "Solartron 1287"
    safe_state: ClassVar[str] = "polarisation off, no current seen, full standby (cell disconnected)"
    about: ClassVar[About] = About(
        connection="GPIB through a Prologix GPIB-ETHERNET controller, or a VISA library that has GPIB",
        evidence="maker's manual in part, public programs; not run on hardware",
        quirks="no voltage limit as a galvanostat, hence `host_limits_voltage`; settings cannot be read back; current "
        "limits below 2 A are taken for decades (unverified)",
        probes=(Probe(b"++ver\n", "GPIB-ETHERNET", "prologix://{host}:{port}/6", 1234),),
    )

    def __init__(
        self,
        address: str,
        *,
        host_limits_voltage: bool = False,
        write_wait_s: float = 0.02,
        timeout_s: float = 5.0,
        patience_s: float = 10.0,
        library: str = "@ivi",
    ) -> None:
        self.address = address
        self.host_limits_voltage, self.patience_s = host_limits_voltage, patience_s
        self._protection: Protection | None = None
        self._is_on: bool | None = None  # None: not known
        self._at_clamp = False  # a current that has come to its voltage limit, which is held instead
        line = _line(address, timeout_s, library)
        self._device = Solartron1287(line, address=address, write_wait_s=write_wait_s)
        try:
            self._look_at_opening()
        except BaseException:
            line.close()
            raise

    def identify(self) -> str:
        """That its voltmeter answers in its own form: it has no words for what it is."""
        self._check_open()
        self._device.answers()
        return "Solartron 1287, by its voltmeter's reply"

    def check(self, setpoint: Setpoint, protection: Protection) -> None:
        super().check(setpoint, protection)
        if isinstance(setpoint, Voltage):
            if setpoint.volts not in Solartron1287.voltage_range:
                self._out_of_range(f"voltage {setpoint.volts:g} V: ±14.5 V")
            self._device.current_limit_A(protection.current_max_A)

    def check_limits(self, protection: Protection) -> None:
        if not protection.current_max_A > 0:
            self._out_of_range(f"protection of {protection.current_max_A:g} A: above 0")

    def check_current(self, amperes: float, protection: Protection) -> None:
        if amperes not in Solartron1287.current_range:
            self._out_of_range(f"current {amperes:g} A: ±2 A")
        if amperes and not self.host_limits_voltage:
            self._out_of_range(
                f"current {amperes:g} A: no voltage limit as a galvanostat: set host_limits_voltage if something else "
                "ends a charge"
            )

    def go_to(self, setpoint: Setpoint, protection: Protection) -> None:
        """Through standby where kind or limits change."""
        self._check_open()
        same = type(setpoint) is type(self._asked) and protection == self._protection
        if self._is_on and not self._at_clamp and same:
            self._set(setpoint)
        else:
            self._polarise(setpoint, protection)
        self._asked, self._protection, self._is_on, self._at_clamp = setpoint, protection, True, False
        self._check_cell(self.measure(), protection)

    def measure(self) -> Measurement:
        self._check_open()
        if self._is_on is None:
            self.off()
        if not self._is_on:
            self._device.half_standby()  # connected to the voltmeter, and nothing drives it
            volts, _ = self._device.measure()
            return Measurement(volts, 0.0)
        volts, amperes = self._device.measure()
        if isinstance(self._asked, Current) and self._protection is not None:
            volts, amperes = self._clamped(self._asked.amperes, self._protection, volts, amperes)
        return Measurement(volts, amperes, self._limited(volts, amperes))

    def off(self) -> None:
        """Polarisation off, no current seen, standby: again and again until certain or patience is at its end."""
        self._check_open()
        device, until = self._device, time.monotonic() + (self.patience_s if self._is_on is not False else 0.0)
        self._is_on = None
        while failures := self._failures_of(device.polarisation_off, device.verify_no_current, device.full_standby):
            if time.monotonic() >= until:
                raise NotSafe(
                    f"open circuit is not certain: {failures[0]}",
                    instrument=self.model,
                    address=self.address,
                    hint="take the 1287 to standby at its front panel",
                ) from failures[0]
            time.sleep(0.1)
        self._asked, self._is_on = None, False

    def output_is_on(self) -> bool:
        """As this driver left it: the 1287 cannot be asked."""
        self.identify()
        if self._is_on is None:
            self.off()
        return bool(self._is_on)

    def leave(self) -> None:
        self._closed = True
        self._device.line.close()

    def _look_at_opening(self) -> None:
        """What carries a current is on, and stays; anything else is taken to standby, for its state is not known."""
        self._device.voltmeter()
        try:
            self._device.answers()
        except BadReply as error:
            raise WrongInstrument(
                f"not a 1287: {error.message}", instrument=self.model, address=self.address
            ) from error
        try:
            _, amperes = self._device.measure()
        except Refused:  # full standby: nothing to measure
            amperes = 0.0
        if abs(amperes) > _FOUND_ON_A:
            self._is_on = True
        else:
            self.off()

    def _polarise(self, setpoint: Setpoint, protection: Protection) -> None:
        device = self._device
        device.polarisation_off()
        device.full_standby()
        galvanostat = isinstance(setpoint, Current)
        limit_A = self._limit_A(setpoint, protection)
        resistor = next(ohm for ohm in STANDARD_RESISTORS_OHM.values() if math.isclose(ohm, FULL_SCALE_V / limit_A))
        device.configure(limit_A, resistor, galvanostat=galvanostat)
        device.half_standby()
        at_rest_V, _ = device.measure()
        if at_rest_V not in Range(protection.voltage_min_V, protection.voltage_max_V):
            raise NotSafe(
                f"the cell is at {at_rest_V:g} V, outside {_words(protection)}: not polarised",
                instrument=self.model,
                address=self.address,
                hint="is it connected, RE1 and CE at its positive side?",
            )
        self._set(setpoint)
        self._is_on = None
        device.polarise()

    def _clamped(self, goal_A: float, protection: Protection, volts: float, amperes: float) -> tuple[float, float]:
        """A galvanostat has no clamp: where its voltage has passed the limit, the driver holds the limit, and back."""
        clamp_V = protection.voltage_max_V if goal_A > 0 else protection.voltage_min_V
        forward = math.copysign(1.0, goal_A)
        if goal_A == 0 or (not self._at_clamp and forward * (volts - clamp_V) <= 0):
            return volts, amperes
        if self._at_clamp and forward * amperes <= 1.05 * abs(goal_A):
            return volts, amperes
        self._at_clamp = not self._at_clamp
        try:
            held = Voltage(clamp_V) if self._at_clamp else Current(goal_A)
            self._polarise(held, replace(protection, voltage_min_V=-14.5, voltage_max_V=14.5))
            self._is_on = True
            return self._device.measure()
        except BaseException as error:
            self._off_after(error)
            raise

    def _set(self, setpoint: Setpoint) -> None:
        match setpoint:
            case Voltage(volts):
                self._device.set_voltage(volts)
            case Current(amperes):
                self._device.set_current(amperes)

    def _limit_A(self, setpoint: Setpoint, protection: Protection) -> float:
        """Of a potentiostat the widest decade within the protection; of a galvanostat the least that holds it."""
        match setpoint:
            case Voltage():
                return self._device.current_limit_A(protection.current_max_A)
            case Current(amperes):
                return min(limit for limit in CURRENT_LIMITS_A.values() if limit >= abs(amperes))

    def _check_cell(self, measured: Measurement, protection: Protection) -> None:
        volts, amperes = measured.voltage_V, measured.current_A
        window = Range(protection.voltage_min_V, protection.voltage_max_V)
        if (volts not in window and not self._at_clamp) or abs(amperes) > protection.current_max_A * 1.01:
            raise NotSafe(
                f"the cell is at {volts:g} V and {amperes:g} A, outside {_words(protection)}: circuit opened",
                instrument=self.model,
                address=self.address,
            )

    def _limited(self, volts: float, amperes: float) -> bool:
        match self._asked:
            case Voltage(goal) if self._protection is not None:
                limit_A = self._limit_A(self._asked, self._protection)
                return abs(amperes) >= _LIMITING * limit_A or abs(volts - goal) > _OFF_TARGET_V
            case Current(goal):
                return self._at_clamp or abs(volts) > 14.0 or abs(amperes - goal) > 0.05 * abs(goal) + 1e-5
            case _:
                return False

    def _failures_of(self, *steps: Callable[[], None]) -> list[InstrumentError]:
        """Each step whatever became of the one before; what failed."""
        failures = []
        for step in steps:
            try:
                step()
            except InstrumentError as error:
                log.error("%s: %s failed: %s", self.address, step.__name__, error)
                failures.append(error)
        return failures

    def _check_open(self) -> None:
        if self._closed:
            raise Unreachable("closed by this program", instrument=self.model, address=self.address)


def _words(protection: Protection) -> str:
    low, high, most = protection.voltage_min_V, protection.voltage_max_V, protection.current_max_A
    return f"the protection of {low:g} to {high:g} V and {most:g} A"


def _line(address: str, timeout_s: float, library: str) -> GpibLine:
    parts, model = urlsplit(address), Solartron1287Source.model
    if parts.scheme == "prologix" and parts.hostname and re.fullmatch(r"/\d{1,2}", parts.path):
        adapter = PrologixAdapter(
            parts.hostname, parts.port or 1234, instrument=model, timeout_s=timeout_s, traced_as=address
        )
        return PrologixDevice(adapter, int(parts.path[1:]))
    if re.fullmatch(r"GPIB\d*::\d+::INSTR", address):
        return VisaLine(address, instrument=model, timeout_s=timeout_s, library=library)
    raise Unreachable(
        "not an address of a GPIB instrument",
        instrument=model,
        address=address,
        hint="prologix://host/6 or GPIB0::6::INSTR",
    )
