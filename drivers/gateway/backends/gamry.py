"""Gamry potentiostats by toolkitpy, which comes with Gamry Framework (Windows).

Written from public programs that use it. Not run on hardware. Voltages are held as those programs hold them. Currents
and impedance follow Gamry's own example scripts as such programs carry them, and are not verified: they want the
setting `unverified`. No limit is in the instrument but the current range: this program looks a few times a second, and
opens the cell.
"""

from __future__ import annotations

import importlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from drivers.gateway.backends import Backend
from drivers.gateway.protocol import Capability, Description
from drivers.interface import (
    BadReply,
    Current,
    ImpedancePoint,
    InstrumentError,
    Measurement,
    NotSafe,
    OutOfRange,
    Protection,
    Setpoint,
    Sweep,
    Unreachable,
    Voltage,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

WATCH_S = 0.2  # between looks at a held cell; one takes the instrument as long
SETTLE_S = 1.0  # at the bias, before a sweep
CURRENT_OFF = 0.05  # of the current asked for, that a first reading may be away from it
SPEED_NORMAL = 1  # of ReadZ


class GamryBackend(Backend):
    """One potentiostat; `address` is its section (the first one where it is empty).

    With `unverified`, also currents and impedance; `estimated_ohm` is where the impedance is looked for first. A point
    of impedance cannot be broken off, so none is measured below `frequency_min_Hz`.
    """

    name = "gamry"

    def __init__(
        self,
        address: str = "",
        *,
        current_max_A: float = 0.6,
        voltage_max_V: float = 8.0,
        unverified: bool = False,
        estimated_ohm: float = 100.0,
        frequency_min_Hz: float = 1.0,
    ) -> None:
        try:
            self._toolkit: Any = importlib.import_module("toolkitpy")
        except ImportError as error:
            raise Unreachable(
                f"toolkitpy is not installed: {error}",
                instrument="Gamry",
                hint="it comes with Gamry Framework; run the gateway with the Python that Gamry installs",
            ) from error
        self._current_max_A, self._voltage_max_V = current_max_A, voltage_max_V
        self._unverified, self._estimated_ohm = unverified, estimated_ohm
        self._held: tuple[Setpoint, Protection] | None = None
        self._opened_why = ""
        self._worker = ThreadPoolExecutor(1, "gamry")  # toolkitpy is asked from one thread, one thing at a time
        self._closed = threading.Event()
        try:
            self._section = self._asked(lambda: self._open(address))
            limits = self._asked(lambda: (self._pstat.freq_limit_lower(), self._pstat.freq_limit_upper()))
        except BaseException:
            self._worker.shutdown(wait=False)
            raise
        self._frequencies_Hz = max(float(limits[0]), frequency_min_Hz), float(limits[1])
        threading.Thread(target=self._watch, daemon=True, name="gamry watch").start()

    def describe(self) -> Description:
        most, range_A = self._voltage_max_V, self._current_max_A
        source = Description(f"Gamry {self._section}", (Capability.SOURCE,), ("1",), -most, most, range_A)
        if not self._unverified:
            return source
        low, high = self._frequencies_Hz
        capabilities = Capability.SOURCE, Capability.IMPEDANCE
        return Description(source.instrument, capabilities, ("1",), -most, most, range_A, low, high, 0.1, range_A / 2)

    def close(self) -> None:
        self._closed.set()
        self._asked(self._toolkit.toolkitpy_close)
        self._worker.shutdown()

    # --- source

    def apply(self, channel: str, setpoint: Setpoint, protection: Protection) -> None:
        if isinstance(setpoint, Current) and setpoint.amperes != 0 and not self._unverified:
            raise OutOfRange(
                "this back end holds voltages, and a current only with the setting 'unverified'", instrument="Gamry"
            )
        self._asked(lambda: self._apply(setpoint, protection))

    def measure(self, channel: str) -> Measurement:
        return self._asked(self._measure)

    def is_on(self, channel: str) -> bool:
        return self._asked(lambda: self._rests_on_order() or self._is_on())

    def off(self, channel: str) -> None:
        self._asked(self._off)

    def _apply(self, setpoint: Setpoint, protection: Protection) -> None:
        held = self._held
        if isinstance(setpoint, Voltage) and held is not None and (type(held[0]), held[1]) == (Voltage, protection):
            self._held = setpoint, protection
            self._pstat.set_voltage(setpoint.volts)  # the cell stays on
            self._measure()
            return
        self._rests_at_V(protection)
        if setpoint == Current(0.0):
            self._held = setpoint, protection
            return
        match setpoint:
            case Voltage(goal):
                self._control(self._toolkit.PSTATMODE, protection.current_max_A)
                self._pstat.set_voltage(goal)
            case Current(amperes):
                range_number = self._control(self._toolkit.GSTATMODE, abs(amperes))
                self._pstat.set_voltage(float(self._pstat.ie_resistor(range_number)) * amperes)
        self._held = setpoint, protection
        self._on()
        found = self._measure()
        if isinstance(setpoint, Current) and not (
            abs(found.current_A - setpoint.amperes) <= CURRENT_OFF * abs(setpoint.amperes)
        ):
            self._off()
            raise NotSafe(f"{setpoint.amperes:g} A was set, and {found.current_A:g} A flow", instrument="Gamry")

    def _measure(self) -> Measurement:
        if self._opened_why:
            raise NotSafe(self._opened_why, instrument="Gamry")
        volts, amperes = float(self._pstat.measure_v()), float(self._pstat.measure_i())
        if self._held is None or self._rests_on_order():
            return Measurement(volts, 0.0)
        setpoint, protection = self._held
        low, high, most = protection.voltage_min_V, protection.voltage_max_V, protection.current_max_A
        match setpoint:
            case Voltage(goal):
                wrong = "" if abs(amperes) <= most else f"{amperes:g} A: more than {most:g} A"
                in_compliance = abs(volts - goal) > 5e-3
            case Current(goal):
                wrong = "" if low <= volts <= high else f"{volts:.4g} V: outside {low:g} … {high:g} V"
                in_compliance = abs(amperes - goal) > CURRENT_OFF * abs(goal)
        if wrong:
            self._off()
            self._opened_why = f"{wrong}; the cell was opened"
            raise NotSafe(self._opened_why, instrument="Gamry")
        return Measurement(volts, amperes, in_compliance)

    def _rests_on_order(self) -> bool:
        """Whether a current of 0 was asked for, for which the cell is off."""
        held = self._held
        return held is not None and held[0] == Current(0.0)

    def _watch(self) -> None:
        """Look at what is held though no station asks."""
        while not self._closed.wait(WATCH_S):
            if self._held is None or self._rests_on_order():
                continue
            try:
                self._asked(self._measure)
            except NotSafe as error:
                log.error("%s", error)
            except InstrumentError as error:
                log.error("the cell could not be looked at: %s", error)
            except RuntimeError:  # closed meanwhile
                return

    # --- impedance

    def sweep(self, channel: str, sweep: Sweep, called_off: threading.Event) -> Iterator[ImpedancePoint]:
        try:
            readz, amplitude, bias = self._asked(lambda: self._prepare(sweep))
            for frequency in sweep.frequencies_Hz:
                if called_off.is_set():
                    return
                yield self._asked(partial(self._point, readz, frequency, amplitude, bias, sweep.protection))
        finally:
            self.off(channel)

    def _prepare(self, sweep: Sweep) -> tuple[Any, float, float]:
        """The cell on at the bias, and what a point is measured by; the amplitudes are r.m.s. values here."""
        toolkit, pstat, ohm = self._toolkit, self._pstat, self._estimated_ohm
        rests_at_V = self._rests_at_V(sweep.protection)
        self._set_up_for_impedance()
        readz = toolkit.ReadZ(pstat)
        for name in ("set_inoise", "set_vnoise", "set_ienoise"):
            getattr(readz, name)(0.0)
        readz.set_gain(1.0)
        readz.set_zmod(ohm)
        readz.set_speed(SPEED_NORMAL)
        readz.set_drift_cor(False)
        if sweep.amplitude_rms_A is not None:
            most = abs(sweep.bias_A) + math.sqrt(2) * sweep.amplitude_rms_A
            range_number = self._control(toolkit.GSTATMODE, _within(most, sweep.protection))
            pstat.set_voltage(float(pstat.ie_resistor(range_number)) * sweep.bias_A)
            self._on()
            time.sleep(SETTLE_S)
            readz.set_idc(sweep.bias_A)
            return readz, sweep.amplitude_rms_A, sweep.bias_A
        amplitude, bias = sweep.amplitude_rms_V or 0.0, rests_at_V if sweep.bias_V is None else sweep.bias_V
        self._control(toolkit.PSTATMODE, sweep.protection.current_max_A)
        pstat.set_voltage(bias)
        self._on()
        time.sleep(SETTLE_S)
        steady_A = float(pstat.measure_i())
        most = _within(abs(steady_A) + math.sqrt(2) * amplitude / ohm, sweep.protection)
        pstat.set_ie_range(pstat.test_ie_range(most))
        readz.set_vdc(bias)
        readz.set_idc(steady_A)
        return readz, amplitude, bias

    def _point(
        self, readz: Any, frequency: float, amplitude: float, bias: float, protection: Protection
    ) -> ImpedancePoint:
        if readz.measure(frequency, amplitude, bias) is False:
            raise BadReply(f"no impedance was found at {frequency:g} Hz", instrument="Gamry")
        curve = self._toolkit.ZCurve(1)
        curve.add_point(readz, self._pstat.measure_temp())
        row = curve.acq_data()[0]
        volts, amperes = float(self._pstat.measure_v()), float(self._pstat.measure_i())
        low, high, most = protection.voltage_min_V, protection.voltage_max_V, protection.current_max_A
        if not (low <= volts <= high and abs(amperes) <= most):
            raise NotSafe(f"{volts:.4g} V and {amperes:.3g} A in the sweep: beyond its limits", instrument="Gamry")
        return ImpedancePoint(float(row["zfreq"]), complex(float(row["zreal"]), float(row["zimag"])))

    def _set_up_for_impedance(self) -> None:
        """As Gamry's example scripts have it for both kinds."""
        toolkit = self._toolkit
        for name, value in (
            ("ach_select", toolkit.ACHSELECT_GND),
            ("ie_stability", toolkit.STABILITY_FAST),
            ("ca_speed", toolkit.CASPEED_NORM),
            ("ground", toolkit.FLOAT),
            ("ich_range", 3.0),
            ("ich_range_mode", False),
            ("ich_filter", 3.0),
            ("vch_range", 3.0),
            ("vch_range_mode", False),
            ("ich_offset_enable", True),
            ("vch_offset_enable", True),
            ("vch_filter", 2.5),
            ("ach_range", 3.0),
            ("ie_range_lower_limit", 0),
            ("analog_out", 0.0),
            ("pos_feed_enable", False),
            ("irupt_mode", toolkit.IRUPTOFF),
        ):
            getattr(self._pstat, f"set_{name}")(value)

    # --- the library, in its thread

    def _open(self, address: str) -> str:
        self._toolkit.toolkitpy_init("cellstation")
        sections = [str(section) for section in self._toolkit.enum_sections()]
        if not sections or address not in ("", *sections):
            raise Unreachable(f"no potentiostat {address!r}; there are {sections or 'none'}", instrument="Gamry")
        section = address or sections[0]
        self._pstat: Any = self._toolkit.Pstat(section)
        if hasattr(self._pstat, "open"):  # newer ones want it
            self._pstat.open()
        self._off()
        return section

    def _rests_at_V(self, protection: Protection) -> float:
        self._off()
        volts, low, high = float(self._pstat.measure_v()), protection.voltage_min_V, protection.voltage_max_V
        if not low <= volts <= high:
            raise NotSafe(f"the cell is at {volts:.4g} V, outside {low:g} … {high:g} V", instrument="Gamry")
        return volts

    def _control(self, mode: Any, largest_A: float) -> Any:
        """The number of the fixed current range that holds `largest_A`. The cell is off."""
        self._pstat.set_ctrl_mode(mode)
        self._pstat.set_i_convention(self._toolkit.ICONVENTION.ANODIC)  # positive where the cell is charged
        range_number = self._pstat.test_ie_range(largest_A)
        self._pstat.set_ie_range(range_number)
        self._pstat.set_ie_range_mode(False)
        return range_number

    def _on(self) -> None:
        self._pstat.set_cell(True)
        if not self._is_on():
            raise NotSafe("the cell was switched on, and is off", instrument="Gamry")

    def _off(self) -> None:
        self._held, self._opened_why = None, ""
        self._pstat.set_cell(False)
        if self._is_on():
            raise NotSafe("the cell was switched off, and is on", instrument="Gamry")

    def _is_on(self) -> bool:
        if not self._toolkit.pstat_is_valid(self._pstat):
            raise Unreachable("the potentiostat does not answer any more", instrument="Gamry")
        return bool(self._pstat.cell())

    def _asked(self, act: Callable[[], T]) -> T:
        return self._worker.submit(self._guarded, act).result()

    def _guarded(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except InstrumentError:
            raise
        except Exception as error:
            raise InstrumentError(f"toolkitpy: {type(error).__name__}: {error}", instrument="Gamry") from error


def _within(amperes: float, protection: Protection) -> float:
    if amperes > protection.current_max_A:
        raise OutOfRange(f"{amperes:.3g} A at the peak: ±{protection.current_max_A:g} A", instrument="Gamry")
    return amperes
