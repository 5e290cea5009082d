"""Reading buffers as the virtual Keithley 2450, DMM6500 and DAQ6510 have them: READ?, FETCh? and TRACe.

Written from the vendor's manual 2450-901-01 Rev. B (section 6, TRACe subsystem; :READ?, p. 6-6).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from drivers.simulated.scpi import (
    ILLEGAL_VALUE,
    MISSING,
    OUT_OF_RANGE,
    Arguments,
    ScpiError,
    ScpiServer,
    matches,
    unquoted,
)

DEFAULT_BUFFERS = ("DEFBUFFER1", "DEFBUFFER2")
MOST_READINGS = 100_000
STATISTICS: Mapping[str, Callable[[list[float]], float]] = {
    "AVERage": statistics.fmean,
    "MAXimum": max,
    "MINimum": min,
    "PK2Pk": lambda values: max(values) - min(values),
    "STDDev": lambda values: statistics.stdev(values) if len(values) > 1 else 0.0,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading as a buffer keeps it; `channel` 0 is the input, `sourced` is of a source-measure unit."""

    time_s: float
    measured: float
    unit: str
    channel: int = 0
    sourced: float = 0.0
    source_unit: str = ""


class ReadingBuffers(ScpiServer):
    """A subclass takes one sample, and calls `define_buffers` and `reset_buffers`."""

    signed = ""  # '+': positive numbers have a sign

    def sample(self) -> Sample:
        raise NotImplementedError

    def samples_of_one_trigger(self) -> int:
        return 1

    def define_buffers(self) -> None:
        self._started_s = self.clock.now()
        self._style = dict.fromkeys(DEFAULT_BUFFERS, "CONT")
        self._points = dict.fromkeys(DEFAULT_BUFFERS, MOST_READINGS)
        self.buffers: dict[str, list[Sample]] = {name: [] for name in DEFAULT_BUFFERS}
        for query in (":READ?", ":MEASure?"):
            self.define(query, self.read)
        self.define(":FETCh?", self.fetch)
        self.define(":TRACe:TRIGger", lambda arguments: self.acquire(self._name(arguments)))
        self.define(":TRACe:MAKE", self._make)
        self.define(":TRACe:DELete", self._delete)
        self.define(":TRACe:CLEar", lambda arguments: self._buffer(arguments).clear())
        self.define(":TRACe:ACTual[:END]?", lambda arguments: str(len(self._buffer(arguments))))
        self.define(":TRACe:ACTual:STARt?", lambda arguments: str(min(1, len(self._buffer(arguments)))))
        self.define(":TRACe:DATA?", self._data)
        self.define(":TRACe:POINts", self._put_points)
        self.define(":TRACe:POINts?", lambda arguments: str(self._points[self._name(arguments)]))
        self.define(":TRACe:FILL:MODE", self._put_style)
        self.define(":TRACe:FILL:MODE?", lambda arguments: self._style[self._name(arguments)])
        for word, of in STATISTICS.items():
            self.define(f":TRACe:STATistics:{word}?", partial(self._statistic, of))
        self.silent(":TRACe:STATistics:CLEar")

    def reset_buffers(self) -> None:
        self.buffers = {name: [] for name in DEFAULT_BUFFERS}
        self._style = dict.fromkeys(DEFAULT_BUFFERS, "CONT")
        self._points = dict.fromkeys(DEFAULT_BUFFERS, MOST_READINGS)

    def acquire(self, name: str) -> None:
        for _ in range(self.samples_of_one_trigger()):
            self.append(name, self.sample())

    def append(self, name: str, sample: Sample) -> None:
        """A full buffer drops its oldest reading, or takes no more, as it was told."""
        buffer = self.buffers[name]
        if len(buffer) >= self._points[name]:
            if self._style[name] == "ONCE":
                return
            del buffer[0]
        buffer.append(sample)

    def read(self, arguments: Arguments) -> str:
        self.acquire(self._name(arguments))
        return self.fetch(arguments)

    def fetch(self, arguments: Arguments) -> str:
        samples = self._buffer(arguments)
        if not samples:
            raise ScpiError(*OUT_OF_RANGE)
        return self._told(samples[-1:], arguments[1:])

    def _data(self, arguments: Arguments) -> str:
        if len(arguments) < 2:
            raise ScpiError(*MISSING)
        first, last = (int(argument) for argument in arguments[:2])
        samples = self._buffer(arguments[2:])
        if not 1 <= first <= last <= len(samples):
            raise ScpiError(*OUT_OF_RANGE)
        return self._told(samples[first - 1 : last], arguments[3:])

    def _statistic(self, of: Callable[[list[float]], float], arguments: Arguments) -> str:
        values = [sample.measured for sample in self._buffer(arguments)]
        return self._number(of(values)) if values else "9.910000E+37"

    def _name(self, arguments: Arguments) -> str:
        name = unquoted(arguments[0]).upper() if arguments else DEFAULT_BUFFERS[0]
        if name not in self.buffers:
            raise ScpiError(*ILLEGAL_VALUE)
        return name

    def _buffer(self, arguments: Arguments) -> list[Sample]:
        return self.buffers[self._name(arguments)]

    def _make(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        name = unquoted(arguments[0]).upper()
        self.buffers[name], self._style[name] = [], "ONCE"
        self._points[name] = int(arguments[1]) if len(arguments) > 1 else MOST_READINGS

    def _delete(self, arguments: Arguments) -> None:
        if (name := self._name(arguments)) in DEFAULT_BUFFERS:
            raise ScpiError(*ILLEGAL_VALUE)
        del self.buffers[name], self._points[name], self._style[name]

    def _put_points(self, arguments: Arguments) -> None:
        """A buffer that is resized is emptied."""
        if not arguments:
            raise ScpiError(*MISSING)
        name = self._name(arguments[1:])
        if not 10 <= float(arguments[0]) <= 7e6:
            raise ScpiError(*OUT_OF_RANGE)
        self._points[name] = int(float(arguments[0]))
        self.buffers[name].clear()

    def _put_style(self, arguments: Arguments) -> None:
        word = next((word for word in ("CONTinuous", "ONCE") if arguments and matches(word, arguments[0])), None)
        if word is None:
            raise ScpiError(*ILLEGAL_VALUE)
        self._style[self._name(arguments[1:])] = word[:4].upper()

    def _told(self, samples: Iterable[Sample], elements: Arguments) -> str:
        chosen = [self._element(word) for word in elements] or [lambda sample: self._number(sample.measured)]
        return ",".join(tell(sample) for sample in samples for tell in chosen)

    def _element(self, word: str) -> Callable[[Sample], str]:
        tellers: dict[str, Callable[[Sample], str]] = {
            "READing": lambda sample: self._number(sample.measured),
            "SOURce": lambda sample: self._number(sample.sourced),
            "CHANnel": lambda sample: str(sample.channel),
            "RELative": lambda sample: self._number(sample.time_s - self._started_s),
            "SEConds": lambda sample: str(int(sample.time_s)),
            "FRACtional": lambda sample: f"{sample.time_s % 1:.9f}",
            "DATE": lambda sample: time.strftime("%m/%d/%Y", time.gmtime(sample.time_s)),
            "TIME": lambda sample: time.strftime("%H:%M:%S", time.gmtime(sample.time_s)),
            "TSTamp": lambda sample: time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime(sample.time_s)),
            "FORMatted": lambda sample: f"{sample.measured:+.5g} {sample.unit.split()[0]}",
            "SOURFORMatted": lambda sample: f"{sample.sourced:+.5g} {sample.source_unit.split()[0]}",
            "UNIT": lambda sample: sample.unit,
            "SOURUNIT": lambda sample: sample.source_unit,
            "STATus": lambda sample: "0",  # the bits are not simulated
            "SOURSTATus": lambda sample: "0",
        }
        for notation, tell in tellers.items():
            if matches(notation, word):
                return tell
        raise ScpiError(*ILLEGAL_VALUE)

    def _number(self, value: float) -> str:
        return f"{value:{self.signed}.6E}"
