"""The file where batches wait while the database is away.

Each line is a CRC-32 in hexadecimal, a space and JSON, so that a line torn by a power cut is known for what it
is. Lines are only ever added at the end; the file is removed when all of them are in the database.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from station.store.batch import Numbered, decode, encode

logger = logging.getLogger(__name__)


class Spool:
    """Batches on disk, in order. Used from one thread; one folder serves one writer."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "spool.jsonl"
        self.rejects = folder / "rejected.jsonl"
        self.waiting = 0  # lines that are not in the database yet
        self._start = 0  # where the first of them begins
        self._end = 0  # where the last of them ends
        self._taken: tuple[int, int] = (0, 0)  # lines given out by `take`, and where they end

    def recover(self) -> None:
        """Count what a former process left. A torn last line is dropped, a damaged one before it set aside."""
        self._start = self._end = self.waiting = 0
        if not self.path.exists():
            return
        damaged: list[bytes] = []
        with self.path.open("rb") as file:
            for line in file:
                if _payload(line) is None:
                    damaged.append(line)
                    continue
                for other in damaged:  # lines follow it, so this is no torn end
                    self.reject(other.decode(errors="replace").strip(), "damaged on disk")
                damaged.clear()
                self.waiting += 1
                self._end = file.tell()

    def append(self, items: Sequence[Numbered]) -> None:
        """Add `items`, all or none; returns when they are on the disk. Raises OSError where they are not."""
        lines = b"".join(_line(item) for item in items)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        if new:
            if self.waiting:
                logger.error("%s was removed with %d batches in it", self.path, self.waiting)
            self._start = self._end = self.waiting = 0
        with self.path.open("wb" if new else "r+b", buffering=0) as file:
            file.seek(self._end)
            file.truncate()  # what a failed attempt left behind
            write_through(file.fileno(), lines)
        if new:
            _sync_folder(self.path.parent)
        self._end += len(lines)
        self.waiting += len(items)

    def take(self, limit: int) -> list[Numbered]:
        """The next `limit` items at most; they count as waiting until `done`. A line that says nothing is set aside."""
        items: list[Numbered] = []
        lines, end = 0, self._start
        for line, after in self._lines():
            end = after
            payload = _payload(line)
            if payload is None:
                continue  # set aside by `recover`
            lines += 1
            try:
                items.append(decode(payload))
            except (ValueError, KeyError, TypeError) as error:
                self.reject(payload, f"not understood: {error!r}")
            if len(items) == limit:
                break
        self._taken = (lines, end)
        return items

    def done(self) -> None:
        """What `take` gave out last is in the database."""
        lines, self._start = self._taken
        self._taken = (0, self._start)
        self.waiting = max(0, self.waiting - lines)
        if self.waiting == 0:
            self.path.unlink(missing_ok=True)
            self._start = self._end = 0

    def reject(self, payload: str, reason: str) -> None:
        """Keep for people what no database will take."""
        self.rejects.parent.mkdir(parents=True, exist_ok=True)
        with self.rejects.open("ab", buffering=0) as file:
            write_through(file.fileno(), f"{reason}\t{payload}\n".encode(errors="backslashreplace"))

    def _lines(self) -> Iterator[tuple[bytes, int]]:
        if self.waiting == 0:
            return
        with self.path.open("rb") as file:
            file.seek(self._start)
            while file.tell() < self._end:
                yield file.readline(), file.tell()


def write_through(descriptor: int, content: bytes) -> None:
    """Write all of `content` and wait for the disk."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


def _line(item: Numbered) -> bytes:
    payload = encode(item).encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(payload), payload)


def _payload(line: bytes) -> str | None:
    """The line's JSON; None where the line is torn or damaged."""
    checksum, _, payload = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(payload):
        return None
    return payload.decode("ascii")


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
