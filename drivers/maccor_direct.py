"""One channel of a Maccor tester in MacNet's direct mode, as a host-sequenced source.

Wire facts: docs/instruments/maccor-direct.md (evidence: the maker's help text). Not run on hardware yet.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar, NoReturn
from uuid import uuid4

from drivers.about import About, Probe
from drivers.interface import (
    Current,
    InstrumentError,
    InstrumentTimeout,
    Measurement,
    NotSafe,
    OutOfRange,
    Protection,
    Range,
    Refused,
    Setpoint,
    Voltage,
    WrongInstrument,
)
from drivers.maccor import PROBE
from drivers.macnet import OK, POWER_IGNORED, RUNNING, Function, MacNet, Readings, Stat
from drivers.source import CellSource

OURS = "cellstation-direct-"
"""What the names of tests begin with that this driver started; no other test is changed or reset."""

COMMAND_GAP_S = 0.11  # the tester wants 100 ms between two settings of the output
REFRESHES = 3  # of the output within the watchdog's time
SAFETY_MARGIN_V, SAFETY_MARGIN = 0.01, 0.02
"""How far beyond what is regulated the tester's safety limits lie (V, and relative of the current): it suspends the
channel there, and would do so at the very limit that it holds."""
HELD_SHARE = 0.98  # a current below so much of its set point is held back by the voltage
CONFIRM_S, CONFIRM_POLL_S = 10.0, 0.1
REFUSALS = {
    "1": "direct mode is for lab systems (system type 0) alone",
    "2": "the channel is not active, or not available",
    "3": "the pseudo procedure could not be made, or the command came too fast",
    "4": "direct mode is not active",
    "5": "direct mode is not ready yet",
}


@dataclass(frozen=True, slots=True)
class Output:
    """What direct mode is told: magnitudes, the range, and 'C' or 'D'."""

    current_A: float
    voltage_V: float
    current_range: int
    mode: str

    def parameters(self) -> dict[str, float | str]:
        return {
            "Current": self.current_A,
            "Voltage": self.voltage_V,
            "Power": POWER_IGNORED,
            "Resistance": 0,
            "CurrentRange": self.current_range,
            "ChMode": self.mode,
        }


class MaccorDirect(CellSource):
    """Channel `channel` (from 1) of a lab system, within the ranges that the tester states for it.

    `address` is "host" or "host:port" of the tester's PC (port 57570 if left out). `watchdog_s` is the tester's
    MacNetDirectModeWD: after so long without a setting the tester suspends the channel, which needs no PC. The
    output is set anew each third of it while it is measured; `prove_watchdog` shows once that it acts. 0 states that
    there is none: then a dead PC leaves the cell driven, within the limits. Call from one thread.
    """

    model: ClassVar[str] = "Maccor (direct mode)"
    safe_state: ClassVar[str] = "test suspended: the circuit is open, confirmed by the tester"
    about: ClassVar[About] = About(
        connection="TCP to the tester's PC, JSON-RPC",
        evidence="the maker's help text, a public client; not run on hardware",
        quirks="its watchdog is set in System.ini and cannot be read; the sign of the current is taken from the state; "
        "a rest is 0 A",
        probes=(Probe(PROBE, r'"MacTest32EXEversionMajor"', "{host}:{port}", 57570, ends_with=b"\r\n"),),
    )

    def __init__(self, address: str, *, channel: int, watchdog_s: float, timeout_s: float = 5.0) -> None:
        self.address = address
        self.channel = str(channel)
        self.watchdog_s = watchdog_s
        if watchdog_s and watchdog_s not in Range(1.0, 3600.0):
            self._out_of_range(f"watchdog_s {watchdog_s:g}: 1 to 3600 s, or 0 where the tester has none set")
        self._output: Output | None = None
        self._protection: Protection | None = None
        self._set_at = 0.0
        self._net = MacNet(address, instrument=self.model, timeout_s=timeout_s)
        try:
            self._check_tester(channel)
        except BaseException:
            self._net.end()
            raise

    def _check_tester(self, channel: int) -> None:
        _, kind, count = self._net.system()
        if kind != 0:
            raise WrongInstrument(f"it is a system of type {kind}; direct mode is for type 0 alone", **self._where())
        if not 1 <= channel <= count:
            raise OutOfRange(f"no channel {channel}; the tester has {count}", **self._where())
        found = self._net.specification(self.channel)
        self.voltage_range = found.voltage_range
        self.current_range = Range(-found.discharge_A[-1], found.charge_A[-1])
        self._ranges = {"C": found.charge_A, "D": found.discharge_A}

    # --- what every instrument has

    def identify(self) -> str:
        version, (name, _, count) = self._net.version(), self._net.system()
        return f"Maccor {name}, {version}, channel {self.channel} of {count}"

    def leave(self) -> None:
        self._closed = True
        self._net.end()

    def close(self) -> None:
        """A test that someone else runs on the channel is left alone."""
        if self._closed:
            return
        try:
            if self._asked is not None or (self.output_is_on() and self._is_ours()):
                self.off()
        finally:
            self.leave()

    # --- what the station asks of a source

    def check_limits(self, protection: Protection) -> None:
        low, high, most = protection.voltage_min_V, protection.voltage_max_V, protection.current_max_A
        span, currents = self.voltage_range, self.current_range
        if not (low in span and high in span):
            self._out_of_range(f"limits of {low:g} V and {high:g} V: within {span.low:g} … {span.high:g} V")
        if most not in Range(0.0, min(-currents.low, currents.high)) or most == 0.0:
            self._out_of_range(f"a limit of {most:g} A: up to {min(-currents.low, currents.high):g} A")

    def check_current(self, amperes: float, protection: Protection) -> None:
        """Whatever is within the protection's limit can be done."""

    def apply(self, setpoint: Setpoint, protection: Protection) -> None:
        """Go to `setpoint`; on an error the channel is suspended, but never a test that someone else runs on it."""
        self.check(setpoint, protection)
        if self.output_is_on() and not self._is_ours():
            self._refuse("the channel runs a test that was not started from here", "stop it at the tester")
        super().apply(setpoint, protection)

    def go_to(self, setpoint: Setpoint, protection: Protection) -> None:
        """The tester's own safety limits are set, and echoed, before."""
        readings = self._net.readings(self.channel)
        if not (on := self._running(readings)):
            self._make_available(readings)
        if not on or protection != self._protection:
            self._net.set_safety(self.channel, self._safety(protection))
            self._protection = protection
        output = self._output_for(setpoint, protection, readings.voltage_V)
        if not on:
            self._start(output)
        self._set(output)

    def measure(self) -> Measurement:
        """Also keeps the watchdog content. Raises `Refused` where the tester ended direct mode by itself."""
        readings = self._net.readings(self.channel)
        if not self._running(readings):
            if self._asked is not None:
                self._refuse(f"direct mode has ended: the channel is {readings.stat.name}, {readings.reason}", "")
            return Measurement(readings.voltage_V, 0.0)
        silent_s = time.monotonic() - self._set_at
        if self._output is not None and self.watchdog_s and silent_s > self.watchdog_s / REFRESHES:
            self._set(self._output)
        return Measurement(readings.voltage_V, readings.current_A, self._is_held(readings))

    def off(self) -> None:
        """Suspend, and return when the tester says that the channel is not active."""
        self._asked = self._output = self._protection = None
        if not self.output_is_on():
            return
        try:
            said = self._net.command(Function.SUSPEND, self.channel)
        except InstrumentError as error:
            said = str(error)
        until = time.monotonic() + CONFIRM_S
        while self.output_is_on():
            if time.monotonic() > until:
                raise NotSafe(
                    f"channel {self.channel} was told to suspend and is active ({said})",
                    hint="stop it at the tester",
                    **self._where(),
                )
            time.sleep(CONFIRM_POLL_S)

    def output_is_on(self) -> bool:
        """Raises `Refused` in a state in which nobody knows."""
        return self._running(self._net.readings(self.channel))

    # --- commissioning

    def prove_watchdog(self) -> float:
        """Hold 0 A, say nothing, and return after how many s the tester suspended the channel; raises `NotSafe`.

        Takes up to twice `watchdog_s`. The channel must be free; no current flows through a cell on it.
        """
        if not self.watchdog_s:
            self._out_of_range("the setting watchdog_s is 0: state MacNetDirectModeWD of the tester's System.ini")
        span, most_A = self.voltage_range, min(-self.current_range.low, self.current_range.high)
        self.apply(Current(0.0), Protection(span.low, span.high, most_A))
        began = time.monotonic()
        try:
            while (silent_s := time.monotonic() - began) < 2 * self.watchdog_s:
                if not self.output_is_on():
                    return silent_s
                time.sleep(CONFIRM_POLL_S)
        finally:
            self.off()
        raise NotSafe(
            f"channel {self.channel} was not suspended within {2 * self.watchdog_s:g} s of silence",
            hint="set MacNetDirectModeWD under [Misc_Options] of System.ini, and restart the tester's program",
            **self._where(),
        )

    # --- within

    def _output_for(self, setpoint: Setpoint, protection: Protection, voltage_V: float) -> Output:
        """A voltage above the cell's own is held by charging up to it, one below by discharging down to it."""
        match setpoint:
            case Current(amperes):
                mode = "D" if amperes < 0 else "C"
                limit_V = protection.voltage_min_V if amperes < 0 else protection.voltage_max_V
                return Output(abs(amperes), limit_V, self._range_of(mode, abs(amperes)), mode)
            case Voltage(volts):
                mode = "D" if volts < voltage_V else "C"
                most_A = protection.current_max_A
                return Output(most_A, volts, self._range_of(mode, most_A), mode)

    def _safety(self, protection: Protection) -> Protection:
        """A little beyond the limits that are regulated, and not beyond what the channel can do."""
        span = self.voltage_range
        return Protection(
            max(span.low, protection.voltage_min_V - SAFETY_MARGIN_V),
            min(span.high, protection.voltage_max_V + SAFETY_MARGIN_V),
            min(-self.current_range.low, self.current_range.high, protection.current_max_A * (1 + SAFETY_MARGIN)),
        )

    def _range_of(self, mode: str, current_A: float) -> int:
        return next(number for number, most_A in enumerate(self._ranges[mode], start=1) if current_A <= most_A)

    def _make_available(self, readings: Readings) -> None:
        """A test of ours that stands is put away, which keeps its data."""
        if readings.stat is Stat.AVAILABLE:
            return
        if readings.stat is not Stat.COMPLETED and not self._is_ours():
            self._refuse(f"the channel is {readings.stat.name}, with a test not started from here", "clear it there")
        said = self._net.command(Function.RESET, self.channel)
        until = time.monotonic() + CONFIRM_S
        while self._net.readings(self.channel).stat is not Stat.AVAILABLE:
            if time.monotonic() > until:
                self._refuse(f"the channel does not become available after a reset ({said})", "look at it there")
            time.sleep(CONFIRM_POLL_S)

    def _start(self, output: Output) -> None:
        """Begin direct mode at 0 A, once; the voltage is active from the beginning, or it could not be set later."""
        name = OURS + uuid4().hex[:12]
        at_rest = Output(0.0, output.voltage_V, output.current_range, output.mode)
        data = {"TestName": name, **at_rest.parameters(), "DataTime": 1.0, "DataV": 0, "DataI": 0}
        said = self._net.command(Function.START_DIRECT, self.channel, **data)
        if said != OK:
            self._refuse(f"direct mode did not start: {REFUSALS.get(said, said)}", "")
        self._set_at = time.monotonic()
        until = self._set_at + CONFIRM_S
        while self._net.readings(self.channel).stat is not Stat.ACTIVE:
            if time.monotonic() > until:
                raise InstrumentTimeout(f"channel {self.channel} does not become active", **self._where())
            time.sleep(CONFIRM_POLL_S)

    def _set(self, output: Output) -> None:
        until = time.monotonic() + CONFIRM_S
        while True:
            time.sleep(max(0.0, self._set_at + COMMAND_GAP_S - time.monotonic()))
            said = self._net.command(Function.SET_DIRECT, self.channel, **output.parameters())
            self._set_at = time.monotonic()
            if said == OK:
                self._output = output
                return
            if said not in ("3", "5") or self._set_at > until:  # too fast, not ready yet
                self._refuse(f"the output was not set: {REFUSALS.get(said, said)}", "")

    def _is_held(self, readings: Readings) -> bool:
        """Whether a limit is held and not the set point."""
        match self._asked:
            case Current(amperes):
                return abs(readings.current_A) < HELD_SHARE * abs(amperes)
            case Voltage() if self._output is not None:
                return abs(readings.current_A) >= HELD_SHARE * self._output.current_A
        return False

    def _running(self, readings: Readings) -> bool:
        if readings.stat in RUNNING:
            return True
        if readings.is_open:
            return False
        self._refuse(
            f"the channel is {readings.stat.name} ({readings.reason}): whether it is open is not known",
            "look at it at the tester",
        )

    def _is_ours(self) -> bool:
        return self._net.names(self.channel).test.startswith(OURS)

    def _refuse(self, message: str, hint: str) -> NoReturn:
        raise Refused(f"channel {self.channel}: {message}", hint=hint, **self._where())

    def _where(self) -> dict[str, str]:
        return {"instrument": self.model, "address": self.address}
