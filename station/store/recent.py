"""Columns of runs that were asked for lately: a dashboard asks for the same ones again and again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import TypeAlias

from station.store.reduce import Floats

Key: TypeAlias = tuple[str, tuple[str, ...], int]
"""A run, the names of the columns, and which derivation of its pressures they show."""


class RecentColumns:
    """Keeps whole columns, up to `limit_bytes` of them; readings of one derivation are only ever added,
    so what is kept stays true."""

    def __init__(self, limit_bytes: int = 256 << 20) -> None:
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[Key, dict[str, Floats]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> dict[str, Floats] | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: Key, columns: Mapping[str, Floats]) -> None:
        with self._lock:
            self._kept[key] = dict(columns)
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and sum(map(_size, self._kept.values())) > self._limit_bytes:
                self._kept.popitem(last=False)


def _size(columns: Mapping[str, Floats]) -> int:
    return sum(values.nbytes for values in columns.values())
