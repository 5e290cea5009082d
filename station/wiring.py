"""Which sensor belongs to which channel, proved without harm to a cell; no I/O here.

Two proofs. *Touch*: somebody presses one cell (or a driven frame moves a little), and that cell's sensor alone must
change. *Voltage*: two instruments at one cell see the same open-circuit voltage. Nothing here applies a current.
"""

from __future__ import annotations

import enum
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from drivers.interface import NoReading, Resistance

BASELINE_SCANS = 4
CHANGED_SCANS = 2  # in a row: one alone may be a spark
LEAST_CHANGE = 0.05  # of the reading, relative
NOISE_FACTOR = 8.0  # times the spread at rest
CLEARLY_MORE = 3.0  # than any other sensor's change
SAME_V = 5e-3
SAME_SHARE = 0.005

Place: TypeAlias = tuple[str, int]
"""A meter's name in station.toml, and its channel."""


class Outcome(enum.Enum):
    RIGHT = "right"
    WRONG = "wrong"
    UNCLEAR = "unclear"  # nothing changed, or more than one thing


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one channel's wiring, in words for whoever stands at the bench."""

    channel: str
    what: str  # 'sensor' or 'impedance'
    outcome: Outcome
    text: str


class TouchTest:
    """Fed with scans while one cell is pressed; the first few, before anyone presses, are the baseline."""

    def __init__(self, channel: str, expected: Place, owners: Mapping[Place, str]) -> None:
        self.channel, self.expected = channel, expected
        self._owners = owners  # which channel each place is configured for
        self._baseline: dict[Place, list[Resistance]] = {}
        self._scans = 0
        self._candidate: Place | None = None
        self._in_a_row = 0
        self._several: frozenset[Place] = frozenset()

    @property
    def ready(self) -> bool:
        """The baseline stands: the cell may be pressed."""
        return self._scans >= BASELINE_SCANS

    def feed(self, scan: Mapping[Place, Resistance]) -> Verdict | None:
        """One scan over all places; the verdict as soon as there is one."""
        if not self.ready:
            for place, reading in scan.items():
                self._baseline.setdefault(place, []).append(reading)
            self._scans += 1
            return None
        changes = {place: self._change(place, reading) for place, reading in scan.items()}
        changed = sorted((place for place in changes if changes[place] > 0), key=lambda place: -changes[place])
        if not changed:
            self._candidate, self._in_a_row = None, 0
            return None
        first = changed[0]
        if len(changed) > 1 and changes[first] < CLEARLY_MORE * changes[changed[1]]:
            self._several = frozenset(changed)
            self._candidate, self._in_a_row = None, 0
            return None
        self._in_a_row = self._in_a_row + 1 if first == self._candidate else 1
        self._candidate = first
        return self._verdict(first) if self._in_a_row >= CHANGED_SCANS else None

    def give_up(self) -> Verdict:
        """When the time is over."""
        if self._several:
            names = ", ".join(self._named(place) for place in sorted(self._several))
            text = f"more than one sensor changed: {names}; press one cell alone"
        else:
            text = (
                f"no sensor changed; {self._named(self.expected)} should have. Is its plug in, "
                "or is it at a channel of the meter that station.toml does not name?"
            )
        return Verdict(self.channel, "sensor", Outcome.UNCLEAR, text)

    def _verdict(self, place: Place) -> Verdict:
        if place == self.expected:
            return Verdict(self.channel, "sensor", Outcome.RIGHT, f"its sensor is {self._named(place)}")
        owner = self._owners.get(place)
        meant = f", which station.toml gives to channel {owner}" if owner else ""
        text = f"{self._named(place)} changed{meant}; {self._named(self.expected)} should have"
        return Verdict(self.channel, "sensor", Outcome.WRONG, text)

    def _change(self, place: Place, reading: Resistance) -> float:
        """How many times the threshold; 0 below it. A reading that comes or goes is a change without doubt."""
        before = self._baseline.get(place, [])
        numbers = [one for one in before if not isinstance(one, NoReading)]
        if isinstance(reading, NoReading) or len(numbers) < len(before) or not numbers:
            settled = len(numbers) in (0, len(before))  # an input that comes and goes by itself proves nothing
            return 100.0 if settled and isinstance(reading, NoReading) is bool(numbers) else 0.0
        mean = statistics.fmean(numbers)
        threshold = max(LEAST_CHANGE * abs(mean), NOISE_FACTOR * statistics.pstdev(numbers))
        times = abs(reading - mean) / threshold if threshold > 0 else 0.0
        return times if times > 1 else 0.0

    def _named(self, place: Place) -> str:
        return f"channel {place[1]} of '{place[0]}'"


def compare_voltages(
    channel: str, impedance: str, seen_V: float, at_channels_V: Mapping[str, float], sharing: Sequence[str] = ()
) -> Verdict:
    """Whether the impedance instrument, which sees `seen_V`, is at the cell of `channel`.

    `at_channels_V` are the open-circuit voltages that the channels' own instruments measured. `sharing` are the other
    channels that the instrument is lent to: it can be at one cell at a time.
    """
    own_V = at_channels_V[channel]
    alike = [name for name, volts in at_channels_V.items() if _same(volts, seen_V)]
    seen = f"'{impedance}' sees {seen_V:.4f} V"
    if channel in alike and len(alike) == 1:
        return Verdict(channel, "impedance", Outcome.RIGHT, f"{seen}, as the channel does ({own_V:.4f} V)")
    if channel in alike:
        others = ", ".join(name for name in alike if name != channel)
        text = f"{seen}, which is the voltage of {others} too: cells of different voltage would tell"
        return Verdict(channel, "impedance", Outcome.UNCLEAR, text)
    there = f", which is that of channel {' or '.join(alike)}" if alike else ""
    text = f"{seen}{there}; the channel's own instrument sees {own_V:.4f} V"
    lent_elsewhere = bool(set(alike) & set(sharing))
    return Verdict(channel, "impedance", Outcome.UNCLEAR if lent_elsewhere else Outcome.WRONG, text)


def _same(one_V: float, other_V: float) -> bool:
    return abs(one_V - other_V) <= SAME_V + SAME_SHARE * max(abs(one_V), abs(other_V))
