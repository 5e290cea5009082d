"""A recording of all that passes over an instrument's links, to be looked at or played back.

One JSON object a line: `time` (Unix, s), `instrument`, `driver`, `link` (its address), `direction` and what passed.
The direction is '>' to the instrument, '<' from it, and '!' for what became of the link (`event`: opened, closed,
timeout, lost). What passed is `text` where it is printable ASCII with line ends, `base64` otherwise.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import itertools
import json
import logging
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import escape

log = logging.getLogger(__name__)

LONGEST_FILE = 10_000_000  # bytes; then a new file is begun
KEPT_FILES = 4  # the newest and those before it: name.jsonl, name.1.jsonl …
WAITING_LINES = 20_000  # while the disk is slow; beyond that, lines are lost and counted
SECRET_NAMES = ("password", "login", "token", "secret", "pin", "key")
MASK = b"***"


class TraceError(ValueError):
    """A file that is no trace; says which line."""


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One line of a trace."""

    time: float
    instrument: str
    driver: str
    link: str
    direction: str  # '>', '<' or '!'
    data: bytes = b""
    event: str = ""

    def to_json(self) -> str:
        content: dict[str, Any] = {
            "time": round(self.time, 6),
            "instrument": self.instrument,
            "driver": self.driver,
            "link": self.link,
            "direction": self.direction,
        }
        if self.direction == "!":
            content["event"] = self.event
        elif all(32 <= byte < 127 or byte in b"\r\n\t" for byte in self.data):
            content["text"] = self.data.decode("ascii")
        else:
            content["base64"] = base64.b64encode(self.data).decode("ascii")
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> TraceLine:
        """Raises `ValueError` where it is no line of a trace."""
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("direction") not in (">", "<", "!"):
            raise ValueError("no 'direction' of '>', '<' or '!'")
        try:
            data = base64.b64decode(content.get("base64", ""), validate=True) or content.get("text", "").encode("ascii")
            instrument, driver, link = (str(content.get(name, "")) for name in ("instrument", "driver", "link"))
            event = str(content.get("event", ""))
            return cls(float(content["time"]), instrument, driver, link, content["direction"], data, event)
        except (KeyError, TypeError, AttributeError, binascii.Error, UnicodeEncodeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None


class Recorder:
    """Writes lines to `path` in a thread of its own: whoever records never waits, and never hears of a full disk.

    `secrets` are replaced by *** wherever they would be written.
    """

    def __init__(self, path: Path, *, instrument: str, driver: str, secrets: Iterable[str] = ()) -> None:
        self.path, self.instrument, self.driver = path, instrument, driver
        self._secrets = _spellings(secrets)
        self._waiting: queue.Queue[TraceLine | threading.Event | None] = queue.Queue(WAITING_LINES)
        self._lost = 0
        self._file: IO[str] | None = None
        self._broken = False
        self._thread = threading.Thread(target=self._write, daemon=True, name=f"trace-{instrument}")
        self._thread.start()

    def record(self, link: str, direction: str, data: bytes = b"", event: str = "") -> None:
        for secret in self._secrets:
            data = data.replace(secret, MASK)
        line = TraceLine(time.time(), self.instrument, self.driver, link, direction, data, event)
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def flush(self, within_s: float = 5.0) -> None:
        """Until what was recorded so far is in the file."""
        written = threading.Event()
        with contextlib.suppress(queue.Full):
            self._waiting.put(written, timeout=within_s)
            written.wait(within_s)

    def close(self) -> None:
        """Write what waits, and close the file."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=5.0)
            self._thread.join(5.0)

    def _write(self) -> None:
        while (item := self._waiting.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            try:
                self._append(item)
            except OSError as error:
                if not self._broken:
                    log.warning("trace of %s to %s: %s; lines are lost", self.instrument, self.path, error.strerror)
                self._broken = True
        if self._file is not None:
            self._file.close()

    def _append(self, line: TraceLine) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8", newline="\n")
        if self._lost:
            lost, self._lost = self._lost, 0
            self._file.write(TraceLine(line.time, *self._names(line), "!", event=f"{lost} lines lost").to_json() + "\n")
        self._file.write(line.to_json() + "\n")
        if self._waiting.empty():
            self._file.flush()
        if self._file.tell() > LONGEST_FILE:
            self._file.close()
            self._file = None
            _rotate(self.path)

    def _names(self, line: TraceLine) -> tuple[str, str, str]:
        return line.instrument, line.driver, line.link


_recorder: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


@contextlib.contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Links that are made inside write to `recorder`, for as long as they live."""
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        _recorder.reset(token)


def recorder_in_use() -> Recorder | None:
    return _recorder.get()


def secrets_in(settings: Mapping[str, object]) -> list[str]:
    """The values of a driver's settings whose names say that nobody else should know them."""
    found: list[str] = []
    for name, value in settings.items():
        if any(word in name.lower().split("_") for word in SECRET_NAMES):
            parts = value if isinstance(value, list | tuple) else [value]
            found += [part for part in parts if isinstance(part, str) and part]
    return found


def read_trace(path: Path) -> list[TraceLine]:
    """All lines in the order written, with those of the older files beside it. Raises `TraceError`, `OSError`."""
    lines: list[TraceLine] = []
    for file in [*(older for older in reversed(_older(path)) if older.exists()), path]:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise TraceError(f"{file}: is no trace: not UTF-8 text") from None
        rows = text.splitlines()
        for number, row in enumerate(rows, start=1):
            try:
                lines.append(TraceLine.from_json(row))
            except ValueError as error:
                if number == len(rows) and not text.endswith("\n"):
                    break  # the program ended in the middle of a line
                raise TraceError(f"{file}:{number}: is no line of a trace: {error}") from None
    return lines


def _older(path: Path) -> list[Path]:
    return [path.with_name(f"{path.stem}.{number}{path.suffix}") for number in range(1, KEPT_FILES)]


def _rotate(path: Path) -> None:
    names = [path, *_older(path)]
    for newer, older in reversed(list(itertools.pairwise(names))):
        if newer.exists():
            newer.replace(older)


def _spellings(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """As they may stand on the wire: plain, in XML, and as HTTP's user and password."""
    plain = [secret for secret in secrets if secret]
    pairs = [f"{one}:{other}" for one in plain for other in plain]
    encoded = {base64.b64encode(pair.encode()) for pair in pairs}
    spelled = {text.encode() for secret in plain for text in (secret, escape(secret))}
    return tuple(sorted(spelled | encoded, key=len, reverse=True))
