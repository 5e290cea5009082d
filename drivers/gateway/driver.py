"""An instrument behind a gateway on its own PC: a source, an impedance analyser or a cycler, as its back end says.

The protocol is this project's own: docs/gateway.md.
"""

from __future__ import annotations

import itertools
import math
import threading
import uuid
from collections.abc import Generator, Mapping, Sequence
from typing import Any, ClassVar, NoReturn, Self, TypeVar

from drivers.about import About, Probe
from drivers.gateway.protocol import (
    DEFAULT_PORT,
    SETPOINT,
    VERSION,
    Capability,
    Greeting,
    Json,
    Malformed,
    Progress,
    decode,
    encode,
    error_from_wire,
    from_wire,
    to_wire,
)
from drivers.gateway.protocol import ERRORS as ERRORS_BY_NAME
from drivers.interface import (
    BadReply,
    Current,
    CyclerProgram,
    CyclerRecord,
    CyclerStatus,
    ImpedancePoint,
    InstrumentError,
    Measurement,
    OutOfRange,
    Protection,
    Range,
    Setpoint,
    Sweep,
    Unreachable,
    Voltage,
)
from drivers.transports.framed import FramedSocket

T = TypeVar("T")

_POLL_S = 0.02  # between questions for the points of a sweep; doubles to a second, or what shows that it is here


class Gateway:
    """What the back end says it can, for `channel` as a source and impedance analyser, for all channels as a cycler.

    `address` is host[:48752]. With a `channel`, `make_safe` and `close` open its circuit; without one, programs that
    run alone are left to themselves. Whatever the station asks shows the gateway that it is there: where it asks
    nothing for the time that the gateway was started with, the gateway does what it was told then.
    """

    model: ClassVar[str] = "gateway"
    safe_state: ClassVar[str] = "the channel's circuit open, confirmed by the back end; programs of cyclers go on"
    about: ClassVar[About] = About(
        connection="TCP to 'cellstation gateway serve' on the instrument's PC, with a token",
        evidence="the protocol is ours; the vendors' back ends are not run on hardware",
        quirks="what it can do is known once it is opened; a station that is silent for long is taken for lost",
        probes=(Probe(b'{"id":0,"verb":"who"}\n', r'"gateway":1\b', "{host}:{port}", DEFAULT_PORT),),
    )

    def __init__(self, address: str, *, token: str, channel: str = "", timeout_s: float = 10.0) -> None:
        self.address, self.channel, self.timeout_s = address, channel, timeout_s
        self._token, self._session = token, uuid.uuid4().hex
        self._link = FramedSocket(
            address, terminator=b"\n", default_port=DEFAULT_PORT, instrument=self.model, timeout_s=timeout_s
        )
        self._numbers = itertools.count(1)
        self._connection = 0
        self._closed = False
        self._must_open = False  # a set point whose fate is not known
        self._interrupted = threading.Event()
        try:
            self.greeting = self._greet()
            self._about = self.greeting.description
        except BaseException:
            self._link.end()
            raise

    def identify(self) -> str:
        return self._asked(str, "identify")

    def make_safe(self) -> None:
        if self.channel:
            self.off()

    def close(self) -> None:
        if self._closed:
            return
        try:
            self.make_safe()
            self._asked(type(None), "bye")
        finally:
            self.leave()

    def leave(self) -> None:
        """The gateway waits for the station to come back, as long as it was started with."""
        self._closed = True
        self._link.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- source

    def check(self, setpoint: Setpoint, protection: Protection) -> None:
        about, low, high, most = (
            self._able(Capability.SOURCE),
            protection.voltage_min_V,
            protection.voltage_max_V,
            protection.current_max_A,
        )
        if not (low < high and 0 < most < math.inf and -math.inf < low and high < math.inf):
            self._out_of_range(f"a protection of {low:g} to {high:g} V and {most:g} A")
        match setpoint:
            case Voltage(volts) if volts not in Range(max(low, about.voltage_min_V), min(high, about.voltage_max_V)):
                self._out_of_range(f"{volts:g} V: {about.voltage_min_V:g} to {about.voltage_max_V:g} V, and protection")
            case Current(amperes) if abs(amperes) not in Range(0.0, min(most, about.current_max_A)):
                self._out_of_range(f"{amperes:g} A: ±{about.current_max_A:g} A, and the protection's {most:g} A")

    def apply(self, setpoint: Setpoint, protection: Protection) -> None:
        """The gateway opens the circuit where this fails there; where its reply is lost, this does."""
        self.check(setpoint, protection)
        try:
            self._asked(
                type(None),
                "apply",
                channel=self.channel,
                key=uuid.uuid4().hex,
                setpoint=to_wire(SETPOINT, setpoint),
                protection=to_wire(Protection, protection),
            )
        except InstrumentError as error:
            self._must_open = True
            try:
                self.off()
            except InstrumentError as second:
                error.add_note(f"and the circuit could not be confirmed open: {second}")
            raise

    def measure(self) -> Measurement:
        self._able(Capability.SOURCE)
        self._open_what_is_unknown()
        return self._asked(Measurement, "measure", channel=self.channel)

    def off(self) -> None:
        self._asked(type(None), "off", channel=self.channel)
        self._must_open = False

    def output_is_on(self) -> bool:
        self._open_what_is_unknown()
        return self._asked(bool, "is_on", channel=self.channel)

    def _open_what_is_unknown(self) -> None:
        if self._must_open:
            self.off()

    # --- impedance

    def check_sweep(self, sweep: Sweep) -> None:
        about = self._able(Capability.IMPEDANCE)
        for frequency in sweep.frequencies_Hz or (math.nan,):
            if frequency not in Range(about.frequency_min_Hz, about.frequency_max_Hz) or frequency <= 0:
                self._out_of_range(f"{frequency:g} Hz: {about.frequency_min_Hz:g} to {about.frequency_max_Hz:g} Hz")
        volts, amperes = sweep.amplitude_rms_V, sweep.amplitude_rms_A
        if (volts is None) == (amperes is None):
            self._out_of_range("one amplitude, of voltage or of current")
        amplitude, highest = (volts, about.amplitude_max_V) if volts is not None else (amperes, about.amplitude_max_A)
        if amplitude is None or not 0 < amplitude <= highest:
            self._out_of_range(f"an amplitude of {amplitude} r.m.s.: above 0, to {highest:g}")
        window = Range(sweep.protection.voltage_min_V, sweep.protection.voltage_max_V)
        if sweep.bias_V is not None and sweep.bias_V not in window:
            self._out_of_range(f"a bias of {sweep.bias_V:g} V: {window.low:g} to {window.high:g} V")
        if abs(sweep.bias_A) > sweep.protection.current_max_A:
            self._out_of_range(f"a bias of {sweep.bias_A:g} A: to {sweep.protection.current_max_A:g} A")

    def sweep(self, sweep: Sweep) -> Generator[ImpedancePoint, None, None]:
        """Measure point by point. However the iteration ends, the gateway is asked to open the circuit."""
        self.check_sweep(sweep)
        return self._sweep(sweep)

    def interrupt(self) -> None:
        self._interrupted.set()

    def _sweep(self, sweep: Sweep) -> Generator[ImpedancePoint, None, None]:
        self._interrupted.clear()
        try:
            self._asked(type(None), "sweep", channel=self.channel, key=uuid.uuid4().hex, sweep=to_wire(Sweep, sweep))
            count, pause_s = 0, _POLL_S
            while True:
                progress = self._asked(Progress, "points", channel=self.channel, after=count)
                for point in progress.points:
                    yield ImpedancePoint(point.frequency_Hz, complex(point.real_ohm, point.imaginary_ohm))
                count += len(progress.points)
                if progress.over:
                    self._check_end(progress, count, len(sweep.frequencies_Hz))
                    return
                pause_s = _POLL_S if progress.points else min(1.0, self.greeting.after_s / 4, 2 * pause_s)
                if self._interrupted.wait(pause_s):
                    raise InstrumentError("interrupted", instrument=self.model, address=self.address)
        finally:
            if not self._closed:
                self.off()

    def _check_end(self, progress: Progress, count: int, wanted: int) -> None:
        if progress.error:
            raise ERRORS_BY_NAME.get(progress.kind, InstrumentError)(
                progress.error, instrument=self.model, address=self.address
            )
        if count != wanted:
            self._bad(f"the sweep is over after {count} of {wanted} frequencies")

    # --- cycler

    def check_program(self, program: CyclerProgram) -> None:
        about = self._able(Capability.CYCLER, channel=False)
        if not program.steps:
            self._out_of_range("a program without steps")
        window = Range(about.voltage_min_V, about.voltage_max_V)
        for number, step in enumerate(program.steps, start=1):
            if abs(step.current_A or 0.0) > about.current_max_A:
                self._out_of_range(f"step {number}: {step.current_A:g} A: ±{about.current_max_A:g} A")
            for volts in (step.voltage_V, step.end_voltage_V):
                if volts is not None and volts not in window:
                    self._out_of_range(f"step {number}: {volts:g} V: {window.low:g} to {window.high:g} V")

    def start(self, channel: str, program: CyclerProgram, label: str) -> int:
        self.check_program(program)
        wire = to_wire(CyclerProgram, program)
        return self._asked(int, "start", channel=channel, key=uuid.uuid4().hex, program=wire, label=label)

    def status(self, channels: Sequence[str]) -> Mapping[str, CyclerStatus]:
        return {channel: self._asked(CyclerStatus, "status", channel=channel) for channel in channels}

    def records(self, channel: str, test_id: int, after: int) -> Sequence[CyclerRecord]:
        found: tuple[CyclerRecord, ...] = self._asked(
            tuple[CyclerRecord, ...],
            "records",
            channel=channel,
            test_id=test_id,
            after=after,
        )
        for expected, record in enumerate(found, start=after + 1):
            if record.sequence != expected:
                self._bad(f"record {record.sequence} of test {test_id} where {expected} was due")
        return found

    def stop(self, channel: str) -> None:
        self._asked(type(None), "stop", channel=channel)

    def proceed(self, channel: str) -> None:
        self._asked(type(None), "proceed", channel=channel)

    def go_to_step(self, channel: str, step: int) -> None:
        self._asked(type(None), "go_to_step", channel=channel, step=step)

    # --- the line

    def _asked(self, kind: type[T], verb: str, **fields: object) -> T:
        """Raises what the gateway says went wrong, as if the instrument were here."""
        if self._closed:
            raise Unreachable("closed by this program", instrument=self.model, address=self.address)
        self._link.connect()
        if self._connection != self._link.connections:
            self.greeting = self._greet()
        return self._exchange(kind, {"verb": verb, **fields})

    def _greet(self) -> Greeting:
        self._link.connect()
        connection = self._link.connections
        hello: Json = {
            "verb": "hello",
            "version": VERSION,
            "token": self._token,
            "session": self._session,
            "channel": self.channel,
        }
        greeting = self._exchange(Greeting, hello)
        if self._link.connections != connection:  # it was opened anew in between, and has not been greeted
            self._link.close()
            raise Unreachable("the link was lost while the gateway was greeted", **self._where())
        self._connection = connection
        return greeting

    def _exchange(self, kind: type[T], ask: Json) -> T:
        number = next(self._numbers)
        reply = self._link.exchange(encode({"id": number, **ask}))
        try:
            answer = decode(reply)
            if answer.get("id") != number or answer.get("ok") not in (True, False):
                raise Malformed(f"{reply[:60]!r} is not the reply to request {number}")
            if answer["ok"] and set(answer) == {"id", "ok", "result"}:
                return from_wire(kind, answer["result"])
            if set(answer) != {"id", "ok", "error"}:
                raise Malformed(f"{reply[:60]!r} has fields that are not known, or lacks some")
            error = error_from_wire(answer["error"], self.model, self.address)
        except Malformed as wrong:
            self._bad(str(wrong))
        raise error

    def _able(self, capability: Capability, *, channel: bool = True) -> Any:
        about = self._about
        if capability not in about.capabilities:
            able = ", ".join(about.capabilities)
            self._out_of_range(f"{about.instrument} is no {capability.value} here: it is {able}")
        if channel and not self.channel:
            self._out_of_range("which channel? give the setting 'channel'")
        return about

    def _out_of_range(self, message: str) -> NoReturn:
        raise OutOfRange(f"{message}; nothing was sent", **self._where())

    def _bad(self, message: str) -> NoReturn:
        self._link.close()
        raise BadReply(message, **self._where())

    def _where(self) -> dict[str, str]:
        return {"instrument": self.model, "address": self.address}
