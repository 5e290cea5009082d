"""Maccor testers through MacNet, as cyclers that run procedures stored on them.

Wire facts: docs/instruments/maccor-macnet.md (evidence: the maker's help text). Not run on hardware yet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeAlias

from drivers.about import About, Probe
from drivers.interface import (
    Activity,
    BadReply,
    CyclerState,
    InstrumentError,
    InstrumentTimeout,
    Measurement,
    OutOfRange,
    ProcedureStatus,
    Protection,
    Refused,
    WrongInstrument,
)
from drivers.macnet import OK, RUNNING, SAFETY, Function, MacNet, Readings, Stat, wire_channel
from drivers.procedure_cycler import StoredProcedures

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
PROCEDURE = re.compile(r"[\x20-\x7e]{1,250}")
CERTAIN_REFUSALS = frozenset(map(str, (10, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25)))
"""Results of a start that say that nothing was started."""

STARTED = RUNNING | {Stat.COMPLETED, Stat.SUSPENDED, Stat.PROBLEM}
"""A channel that shows a new test's name in one of these has started it, even if it stands already."""

CHECKS = {
    "1": "the channel is not available",
    "2": "there is no such procedure",
    "3": "a procedure that it calls is not there",
    "4": "a test of this name is in the archive",
    "5": "the test's name is not valid",
    "6": "the chamber's number is not valid",
    "7": "the procedure does not compile",
}
LOOK = "look at the channel at the tester before anything else"
Done: TypeAlias = Callable[[Readings], bool]

PROBE = b'{"jsonrpc": "2.0", "method": "MacNet", "params": {"FClass": 1, "FNum": 1}, "id": 1}'


class MaccorMacNet(StoredProcedures):
    """All channels of one tester; a channel is named by its number as people count it ("4" is Chan 3 on the wire).

    `address` is "host" or "host:port" of the tester's PC (port 57570 if left out). Call from one thread.
    """

    model: ClassVar[str] = "Maccor (MacNet)"
    safe_state: ClassVar[str] = (
        "every running test goes on within the safety limits that were set at its start and its procedure's own; "
        "nothing is stopped unless stop(channel) is called"
    )
    about: ClassVar[About] = About(
        connection="TCP to the tester's PC, JSON-RPC",
        evidence="the maker's help text, a public client; not run on hardware",
        quirks="procedures are named, not sent; records stay on the tester; channels count from 0 on the wire",
        probes=(Probe(PROBE, r'"MacTest32EXEversionMajor"', "{host}:{port}", 57570, ends_with=b"\r\n"),),
    )
    holds_protection: ClassVar[bool] = True
    poll_period_s: ClassVar[float] = 1.0
    confirm_s: ClassVar[float] = 10.0  # how long a start or stop may take to show
    confirm_poll_s: ClassVar[float] = 0.2

    def __init__(self, address: str, *, timeout_s: float = 5.0) -> None:
        self.address = address
        self._net = MacNet(address, instrument=self.model, timeout_s=timeout_s)
        try:
            self.identify()
        except BadReply as error:
            self.close()
            raise WrongInstrument(f"what answers is no MacNet: {error.message}", **self._where()) from error
        except BaseException:
            self.close()
            raise

    # --- what every instrument has

    def identify(self) -> str:
        version, (name, _, self._count) = self._net.version(), self._net.system()
        return f"Maccor {name}, {version}, {self._count} channels"

    def close(self) -> None:
        """Close the link for good. Running tests go on."""
        self._net.end()

    # --- commands

    def check_procedure(self, channel: str, procedure: str, label: str, protection: Protection) -> None:
        """Whether the tester knows the procedure, and could start it where the channel is free now."""
        self._check_words(procedure, label)
        self._check_channel(channel)
        self._check_protection(channel, protection)
        if not self._net.procedure_exists(procedure):
            raise Refused(
                f"there is no procedure {procedure!r} on the tester",
                hint=r"its name is that of the file in C:\Maccor\Procedur, without .000",
                **self._where(),
            )
        if self._net.readings(channel).stat is Stat.AVAILABLE:
            self._check_start(channel, procedure, label)

    def start_procedure(self, channel: str, procedure: str, label: str, protection: Protection) -> None:
        """Set the safety limits, start once, and return when the channel is seen running under `label`.

        A lost or odd answer is decided from what the channel shows, never by starting again. `Refused` says that
        the test does not run, `InstrumentTimeout` that this is not known.
        """
        self.check_procedure(channel, procedure, label, protection)
        self._make_available(channel)
        self._check_start(channel, procedure, label)
        self._net.set_safety(channel, protection)
        try:
            said = self._net.command(Function.START_TEST, channel, **_start_data(procedure, label))
        except InstrumentError as error:
            said = str(error)
        if said in CERTAIN_REFUSALS:
            self._refuse(channel, f"the tester did not start {procedure!r}: result {said}")
        last: tuple[Readings, str] | None = None
        for last in self._watch(lambda: self._look(channel)):
            readings, name = last
            if name == label and readings.stat in STARTED:
                return
        if said == OK or last is None or last[0].stat is not Stat.AVAILABLE:
            self._unknown(channel, f"whether {label!r} runs is not known ({said}); it was not sent again", LOOK)
        self._refuse(channel, f"{label!r} did not start, and was not sent again: {said}")

    def stop(self, channel: str) -> None:
        """Suspend, which opens the circuit, then reset: the test is over."""
        self._check_channel(channel)
        if self._net.readings(channel).stat in RUNNING:
            self._insist(channel, Function.SUSPEND, lambda readings: readings.is_open, "not suspended")
        if self._net.readings(channel).stat is Stat.SUSPENDED:
            self._insist(channel, Function.RESET, _is_over, "suspended (its circuit is open), but not reset")
        if not (readings := self._net.readings(channel)).is_open:
            raise InstrumentTimeout(
                f"channel {channel} is not stopped: it is {readings.stat.name}",
                hint="stop it at the tester",
                **self._where(),
            )

    def proceed(self, channel: str) -> None:
        self._check_channel(channel)
        if (stat := self._net.readings(channel).stat) is not Stat.SUSPENDED:
            self._refuse(channel, f"it is {stat.name}, not suspended")
        self._insist(channel, Function.RESUME, lambda readings: readings.stat in RUNNING, "not resumed")

    # --- what the tester says

    def procedure_status(self, channels: Sequence[str]) -> Mapping[str, ProcedureStatus]:
        for channel in channels:
            self._check_channel(channel)
        return {channel: self._status(channel) for channel in channels}

    def _status(self, channel: str) -> ProcedureStatus:
        names, readings = self._net.names(channel), self._net.readings(channel)
        state, activity = state_of(readings), readings.activity
        sign = {Activity.CHARGE: 1.0, Activity.DISCHARGE: -1.0}.get(activity)
        running = state is CyclerState.RUNNING
        return ProcedureStatus(
            state=state,
            label=names.test,
            procedure=names.procedure,
            step=str(readings.step) if running else "",
            activity=activity if running else Activity.OTHER,
            test_time_s=readings.test_time_s,
            step_time_s=readings.step_time_s,
            measurement=Measurement(readings.voltage_V, readings.current_A if running else 0.0),
            counted_Ah=sign * readings.capacity_Ah if running and sign is not None else None,
            reason="" if running else readings.reason,
        )

    # --- within

    def _look(self, channel: str) -> tuple[Readings, str]:
        return self._net.readings(channel), self._net.names(channel).test

    def _make_available(self, channel: str) -> None:
        """A completed test is put away, which keeps its data; anything else is not ours to end."""
        if (stat := self._net.readings(channel).stat) is Stat.COMPLETED:
            self._insist(channel, Function.RESET, lambda readings: readings.stat is Stat.AVAILABLE, "not reset")
        elif stat is not Stat.AVAILABLE:
            self._refuse(channel, f"it is {stat.name}, not available; nothing was started")

    def _check_start(self, channel: str, procedure: str, label: str) -> None:
        data = _start_data(procedure, label)
        asked = {name: data[name] for name in ("TestName", "ProcName", "Comment", "Crate", "ChamberNum")}
        if (said := self._net.command(Function.CHECK_START, channel, **asked)) != OK:
            self._refuse(channel, f"the tester says that {procedure!r} cannot start: {CHECKS.get(said, said)}")

    def _insist(self, channel: str, function: tuple[int, int], done: Done, what: str) -> None:
        """Command once, and watch until it shows; a lost answer is decided from what the channel shows."""
        try:
            said = self._net.command(function, channel)
        except InstrumentError as error:
            said = str(error)
        readings = None
        for readings in self._watch(lambda: self._net.readings(channel)):
            if done(readings):
                return
        state = readings.stat.name if readings else "silent"
        raise InstrumentTimeout(
            f"channel {channel} is {what}: it is {state}, the answer was {said!r}",
            hint="look at the channel at the tester",
            **self._where(),
        )

    def _check_channel(self, channel: str) -> None:
        if not wire_channel(channel) < self._count:
            raise OutOfRange(f"no channel {channel}; the tester has {self._count}", **self._where())

    def _check_words(self, procedure: str, label: str) -> None:
        if not PROCEDURE.fullmatch(procedure):
            raise OutOfRange(f"procedure {procedure!r}: a name of 1 to 250 ASCII characters", **self._where())
        if not LABEL.fullmatch(label):
            raise OutOfRange(
                f"test name {label!r}: it names a file; up to 100 letters, digits, '_', '-' and '.'", **self._where()
            )

    def _check_protection(self, channel: str, protection: Protection) -> None:
        found = self._net.specification(channel)
        low, high, most_A = protection.voltage_min_V, protection.voltage_max_V, protection.current_max_A
        span = found.voltage_range
        if not (low < high and low in span and high in span):
            raise OutOfRange(
                f"channel {channel}: limits of {low:g} V and {high:g} V, where the channel goes from {span.low:g} V to "
                f"{span.high:g} V",
                **self._where(),
            )
        largest = min(found.charge_A[-1], found.discharge_A[-1])
        if not 0.0 < most_A <= largest:
            raise OutOfRange(
                f"channel {channel}: a limit of {most_A:g} A, where the channel gives up to {largest:g} A",
                **self._where(),
            )


def state_of(readings: Readings) -> CyclerState:
    """What is not known to stand is UNKNOWN, never idle."""
    match readings.stat:
        case stat if stat in RUNNING:
            return CyclerState.RUNNING
        case Stat.SUSPENDED | Stat.PROBLEM if readings.why in SAFETY:
            return CyclerState.PROTECTED
        case Stat.SUSPENDED:
            return CyclerState.PAUSED
        case Stat.COMPLETED:
            return CyclerState.FINISHED
        case Stat.AVAILABLE | Stat.SELECTED | Stat.RESET:
            return CyclerState.STOPPED
        case Stat.PROBLEM if readings.is_open:
            return CyclerState.PROTECTED
    return CyclerState.UNKNOWN


def _is_over(readings: Readings) -> bool:
    return readings.stat in (Stat.AVAILABLE, Stat.COMPLETED, Stat.RESET)


def _start_data(procedure: str, label: str) -> dict[str, float | str]:
    """With the maker's default wherever nothing is wanted."""
    return {
        "TestName": label,
        "ProcName": procedure,
        "Comment": "started by Cellstation",
        "Crate": 1,
        "ChamberNum": 0,
        "StartCycle": 0,
        "TotCycles": 0,
        "Mass": 1,
        "VGain": 0,
        "AbsTRepAlign": 0,
        "ParallelR": 0,
        "VDivHiR": 0,
        "VDivLoR": 0,
        "CANpos": -1,
        "CANprof": "",
        "RegimeName": "",
    }
