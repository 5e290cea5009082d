"""A virtual SCPI instrument: headers, queries, joined commands and an error queue, as IEEE 488.2 and SCPI-99 say.

A subclass lists its commands in the manuals' own notation, `[:SOURce[1]]:CURRent:VLIMit[:LEVel]`: capitals
are the short form, brackets what may be left out. Case does not matter, nor a colon at the start.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import ClassVar, TypeAlias, TypeVar

from drivers.simulated.clock import Clock, ScaledClock
from drivers.simulated.server import LineInstrument

Arguments = Sequence[str]
Action = Callable[[Arguments], "str | None"]

OVERFLOW = 9.9e37
OVERRANGE = 1.2  # how far beyond its name a range reaches at most
LINE_PERIOD_S = 0.02


class ScpiError(Exception):
    """What goes into the error queue."""

    def __init__(self, code: int, text: str) -> None:
        self.code, self.text = code, text
        super().__init__(f"{code} {text}")


OPERATION_COMPLETE, EXECUTION_ERROR, COMMAND_ERROR, POWER_ON = 1, 16, 32, 128  # of the event register
ERROR_AVAILABLE = 4  # of the status byte

UNDEFINED_HEADER = (-113, "Undefined header")
NOT_ALLOWED = (-108, "Parameter not allowed")
MISSING = (-109, "Missing parameter")
TYPE = (-104, "Data type error")
SETTINGS_CONFLICT = (-221, "Settings conflict")
OUT_OF_RANGE = (-222, "Data out of range")
ILLEGAL_VALUE = (-224, "Illegal parameter value")


# --- settings: what a command stores and its query tells


@dataclass
class Setting:
    """Stores whatever it is given: for settings that change nothing in the simulation."""

    default: str = "0"
    on_change: Callable[[], None] = field(default=lambda: None, repr=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.put(self.default)

    def put(self, text: str) -> None:
        self.text = text

    def get(self, arguments: Arguments) -> str:
        return self.text


@dataclass
class NumberSetting(Setting):
    """A number within limits, both inclusive; MIN, MAX and DEF stand for theirs. `allowed` may say more."""

    low: float = -OVERFLOW
    high: float = OVERFLOW
    allowed: Callable[[float], bool] = field(default=lambda value: True, repr=False)

    def put(self, text: str) -> None:
        value = self._number(text)
        if not (self.low <= value <= self.high and self.allowed(value)):
            raise ScpiError(*OUT_OF_RANGE)
        self.value = value

    def get(self, arguments: Arguments) -> str:
        named = self._named(arguments[0]) if arguments else self.value
        if named is None:
            raise ScpiError(*ILLEGAL_VALUE)
        return f"{named:g}" if named == 0 or abs(named) >= 1e-4 else f"{named:.6E}"

    def _number(self, text: str) -> float:
        named = self._named(text)
        try:
            return float(text) if named is None else named
        except ValueError:
            raise ScpiError(*TYPE) from None

    def _named(self, text: str) -> float | None:
        word = text.strip().upper()
        names = {"MIN": self.low, "MINIMUM": self.low, "MAX": self.high, "MAXIMUM": self.high}
        return float(self.default) if word in ("DEF", "DEFAULT") else names.get(word)


@dataclass
class BooleanSetting(Setting):
    """ON, OFF, 1 or 0; told as 1 or 0. With `once`, ONCE does what it does and leaves it off."""

    once: bool = False

    def put(self, text: str) -> None:
        states = {"ON": True, "1": True, "OFF": False, "0": False} | ({"ONCE": False} if self.once else {})
        if text.strip().upper() not in states:
            raise ScpiError(*ILLEGAL_VALUE)
        self.on = states[text.strip().upper()]

    def get(self, arguments: Arguments) -> str:
        return "1" if self.on else "0"


@dataclass
class WordSetting(Setting):
    """One of several words, in their short or long form; told in the short form (or as `told`)."""

    words: Sequence[str] = ()
    told: Callable[[str], str] = field(default=lambda word: word, repr=False)

    def put(self, text: str) -> None:
        for word in self.words:
            if matches(word, text):
                self.word = short_form(word)
                return
        raise ScpiError(*ILLEGAL_VALUE)

    def get(self, arguments: Arguments) -> str:
        return self.told(self.word)


@dataclass
class RangeSetting(NumberSetting):
    """A measuring range: the least that holds what is asked for, one of `ranges` in ascending order."""

    ranges: Sequence[float] = ()

    def __post_init__(self) -> None:
        self.low, self.high = self.ranges[0], self.ranges[-1]
        super().__post_init__()

    def put(self, text: str) -> None:
        wanted = abs(self._number(text))
        if wanted > OVERRANGE * self.high:
            raise ScpiError(*OUT_OF_RANGE)
        self.value = next((scale for scale in self.ranges if wanted <= scale), self.high)


AnySetting = TypeVar("AnySetting", bound=Setting)
MakeSetting: TypeAlias = Callable[[], Setting]


def number(default: str, low: float, high: float) -> MakeSetting:
    return partial(NumberSetting, default, low=low, high=high)


def switch(default: str, once: bool = False) -> MakeSetting:
    return partial(BooleanSetting, default, once=once)


def a_range(default: str, *ranges: float) -> MakeSetting:
    return partial(RangeSetting, default, ranges=ranges)


def choice(default: str, *words: str) -> MakeSetting:
    return partial(WordSetting, default, words=words)


def text(default: str) -> MakeSetting:
    return partial(Setting, default)


# --- the server


class ScpiServer(LineInstrument):
    """One instrument; every line that it was sent is kept in `received`."""

    identity: str
    queue_length: ClassVar[int] = 20
    joined_from_root: ClassVar[bool] = False  # True: the header of a joined command is whole, as some makers have it

    def __init__(self, *, clock: Clock | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host, port)
        self.clock: Clock = clock or ScaledClock()
        self.received: list[str] = []
        self._actions: list[tuple[re.Pattern[str], bool, Action]] = []  # header, whether it asks, what it does
        self._found: dict[str, Action | None] = {}
        self._settings: list[Setting] = []
        self._errors: deque[tuple[int, str]] = deque()
        self._events = POWER_ON
        self._one_at_a_time = threading.RLock()
        self._define_common_commands()

    # --- for subclasses

    def define(self, header: str, action: Action) -> None:
        """`action` gets the arguments as text; what it returns is the answer."""
        command = header.removesuffix("?")
        self._actions.insert(0, (compiled(command), command != header, action))  # a subclass's before its base's
        self._found.clear()

    def setting(self, header: str, setting: AnySetting) -> AnySetting:
        """Define `header` and its query. A change calls the setting's `on_change`."""

        def put(arguments: Arguments) -> None:
            if not arguments:
                raise ScpiError(*MISSING)
            if len(arguments) > 1:
                raise ScpiError(*NOT_ALLOWED)
            setting.put(arguments[0])
            setting.on_change()

        self.define(header, put)
        self.define(header + "?", setting.get)
        self._settings.append(setting)
        return setting

    def keep(self, settings: Mapping[str, MakeSetting], of: Iterable[str] = ("",)) -> None:
        """Settings that are kept and told and change nothing in the simulation; `{}` is each of `of` in turn."""
        for word in of:
            for header, make in settings.items():
                self.setting(header.format(word), make())

    def silent(self, *headers: str) -> None:
        """Commands without an answer that change nothing in the simulation."""
        for header in headers:
            self.define(header, lambda _: None)

    def no_error(self) -> str:
        return '0,"No error"'

    def error(self, code: int, text: str) -> str:
        return f'{code},"{text}"'

    def reset(self) -> None:
        """*RST."""
        for setting in self._settings:
            setting.reset()

    # --- the wire

    def answer(self, line: str) -> str | None:
        with self._one_at_a_time:
            self.received.append(line)
            replies = []
            path = ""
            for part in split_outside(line, ";"):
                if part.strip():
                    path, reply = self._carry_out(part.strip(), path)
                    if reply is not None:
                        replies.append(reply)
            return ";".join(replies) if replies else None

    def _carry_out(self, part: str, path: str) -> tuple[str, str | None]:
        """Do one command; the path of its header is where the next one may go on from."""
        header, _, rest = part.partition(" ")
        header = header.upper()
        if header.lstrip(":").startswith("*"):
            candidates = [header.lstrip(":")]
        elif header.startswith(":") or self.joined_from_root:
            candidates = [f":{header.lstrip(':')}"]
        else:
            candidates = [f"{path}:{header}", f":{header}"]
        try:
            for candidate in dict.fromkeys(candidates):
                if (action := self._find(candidate)) is not None:
                    reply = action([argument.strip() for argument in split_outside(rest, ",") if argument.strip()])
                    return (path if candidate.startswith("*") else candidate.rpartition(":")[0]), reply
            raise ScpiError(*UNDEFINED_HEADER)
        except ScpiError as error:
            self._report(error.code, error.text)
        except ValueError:  # a number was expected
            self._report(*TYPE)
        except IndexError:  # an argument was expected
            self._report(*MISSING)
        return path, None

    def _find(self, header: str) -> Action | None:
        if header not in self._found:
            command = header.removesuffix("?")
            self._found[header] = next(
                (
                    action
                    for pattern, asks, action in self._actions
                    if asks == (command != header) and pattern.fullmatch(command)
                ),
                None,
            )
        return self._found[header]

    def _report(self, code: int, text: str) -> None:
        self._note_event(COMMAND_ERROR if -200 < code <= -100 else EXECUTION_ERROR)
        if len(self._errors) < self.queue_length:
            self._errors.append((code, text))
        else:
            self._errors[-1] = (-350, "Queue overflow")

    def _define_common_commands(self) -> None:
        self.define("*IDN?", lambda _: self.identity)
        self.define("*RST", lambda _: self.reset())
        self.define("*CLS", lambda _: self._clear_status())
        self.define("*OPC?", lambda _: "1")
        self.define("*OPC", lambda _: self._note_event(OPERATION_COMPLETE))
        self.define("*ESR?", lambda _: self._tell_events())
        self.define("*STB?", lambda _: str(ERROR_AVAILABLE if self._errors else 0))
        self.define("*TST?", lambda _: "0")
        self.silent("*WAI", "*TRG", "*SAV", "*RCL", ":STATus:PRESet")
        self.keep({"*SRE": number("0", 0, 255), "*ESE": number("0", 0, 255)})
        self.define(":SYSTem:VERSion?", lambda _: "1999.0")
        for queue in (":SYSTem:CLEar", ":STATus:QUEue:CLEar", ":STATus:CLEar"):
            self.define(queue, lambda _: self._errors.clear())
        for queue in (":SYSTem:ERRor[:NEXT]?", ":STATus:QUEue[:NEXT]?"):
            self.define(queue, lambda _: self._next_error())
        self.define(":SYSTem:ERRor:COUNt?", lambda _: str(len(self._errors)))
        self.define(":SYSTem:LFRequency?", lambda _: "50")

    def _clear_status(self) -> None:
        self._errors.clear()
        self._events = 0

    def _note_event(self, bit: int) -> None:
        self._events |= bit

    def _tell_events(self) -> str:
        """The event register of IEEE 488.2, which is cleared by reading it."""
        events, self._events = self._events, 0
        return str(events)

    def _next_error(self) -> str:
        return self.error(*self._errors.popleft()) if self._errors else self.no_error()


# --- notation


@cache
def compiled(notation: str) -> re.Pattern[str]:
    """Kept: an instrument has hundreds, and many instruments are made."""
    return re.compile(header_pattern(notation))


def header_pattern(notation: str) -> str:
    """The regular expression for a header in the manuals' notation, for text in capitals."""
    pattern = ""
    for piece in re.findall(r"[A-Za-z]+|.", notation):
        if piece.isalpha():
            pattern += f"(?:{piece.upper()}|{short_form(piece)})"
        else:
            pattern += {"[": "(?:", "]": ")?"}.get(piece, re.escape(piece))
    return pattern


def matches(notation: str, text: str) -> bool:
    """Whether `text`, in quotes or not, is the word `notation` in its short or long form."""
    return compiled(notation).fullmatch(unquoted(text).upper()) is not None


def short_form(word: str) -> str:
    """'VOLT' for 'VOLTage', and 'VOLT:DC' for 'VOLTage:DC'."""
    return "".join(letter for letter in word if not letter.islower())


def split_outside(text: str, separator: str) -> list[str]:
    """Split where the separator is in no quotes and no brackets."""
    parts, part, quote, depth = [], "", "", 0
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == separator and depth == 0:
            parts.append(part)
            part = ""
            continue
        part += letter
    return [*parts, part]


def unquoted(text: str) -> str:
    return text.strip().strip("\"'")


def block(text: str) -> str:
    """Of definite length, as IEEE 488.2 has it: '#14abcd'."""
    return f"#{len(str(len(text)))}{len(text)}{text}"


def channels_in(text: str) -> list[int]:
    """101, 102, 103, 105 for '(@101:103,105)'. Raises `ScpiError`."""
    if not re.fullmatch(r"\(@[\d:, ]*\)", text):
        raise ScpiError(*ILLEGAL_VALUE)
    channels: list[int] = []
    for run in filter(None, text[2:-1].replace(" ", "").split(",")):
        first, _, last = run.partition(":")
        channels += range(int(first), int(last or first) + 1)
    return channels


def channels_out(channels: Sequence[int]) -> str:
    """'(@101:103,105)', runs joined."""
    runs: list[tuple[int, int]] = []
    for channel in channels:
        if runs and runs[-1][1] == channel - 1:
            runs[-1] = (runs[-1][0], channel)
        else:
            runs.append((channel, channel))
    return "(@" + ",".join(str(first) if first == last else f"{first}:{last}" for first, last in runs) + ")"
