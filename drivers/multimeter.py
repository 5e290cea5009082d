"""What the multimeters that read resistive sensors have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from drivers.interface import InstrumentError, OutOfRange, Resistance
from drivers.scpi import ScpiInstrument, read_number

LINE_PERIOD_S = 0.02  # 50 Hz, the slower
AUTOZERO_AND_RANGING = 3  # conversions to one reading
RELAY_AND_SETTLING_S = 0.2  # to one channel; high resistances settle slowly


class Ohmmeter(ScpiInstrument):
    """Reads resistances, two- or four-wire, with autorange.

    The meter is set up at the first reading, whenever other channels are asked for, and after any error.
    """

    safe_state = "idle: a meter drives nothing but its own small test current"

    def __init__(self, address: str, *, four_wire: bool = False, nplc: float = 1.0, timeout_s: float = 5.0) -> None:
        self.address = address
        self.check_integration(nplc)
        self.four_wire, self.nplc, self.timeout_s = four_wire, nplc, timeout_s
        self._ready_for: tuple[int, ...] = ()
        super().__init__(address, timeout_s=timeout_s)

    @property
    def function(self) -> str:
        return "FRES" if self.four_wire else "RES"

    @abstractmethod
    def check_integration(self, nplc: float) -> None:
        """Raise `OutOfRange` where the meter cannot integrate over `nplc` cycles of the mains."""

    @abstractmethod
    def has_channel(self, channel: int) -> bool: ...

    @abstractmethod
    def set_up(self, channels: tuple[int, ...]) -> None:
        """Make the meter ready to scan `channels`, which are in ascending order."""

    @abstractmethod
    def scan(self, channels: tuple[int, ...], timeout_s: float) -> str:
        """One scan; the readings in the order of `channels`, with commas between."""

    def check_channels(self, channels: Sequence[int]) -> None:
        missing = [channel for channel in channels if not self.has_channel(channel)]
        if missing or not channels or len(set(channels)) < len(channels):
            wires = "four-wire" if self.four_wire else "two-wire"
            what = f"no {wires} channel {', '.join(map(str, missing))}" if missing else "channels missing or repeated"
            raise OutOfRange(f"{what}; nothing was sent", instrument=self.model, address=self.address)

    def read_resistances(self, channels: Sequence[int]) -> Mapping[int, Resistance]:
        self.check_channels(channels)
        ascending = tuple(sorted(channels))
        try:
            if self._ready_for != ascending:
                self.clear_errors()
                self.set_up(ascending)
                self.check_errors()
                self._ready_for = ascending
            reply = self.scan(ascending, self.timeout_s + self.scan_duration_s(len(ascending)))
            fields = reply.split(",")
            if len(fields) != len(ascending):
                self._bad_reply("the scan", reply, f"{len(fields)} readings for {len(ascending)} channels")
            readings = self._readings(ascending, fields)
            self.check_errors()
        except InstrumentError:
            self._ready_for = ()
            raise
        return {channel: readings[channel] for channel in channels}

    def scan_duration_s(self, count: int) -> float:
        """The longest that a scan of `count` channels should take."""
        return count * (AUTOZERO_AND_RANGING * self.nplc * LINE_PERIOD_S + RELAY_AND_SETTLING_S)

    def make_safe(self) -> None:
        self.check_errors()

    def _readings(self, channels: tuple[int, ...], fields: list[str]) -> dict[int, Resistance]:
        readings = {}
        for channel, field in zip(channels, fields, strict=True):
            try:
                readings[channel] = read_number(field)
            except ValueError as error:
                self._bad_reply(f"channel {channel}", field, error)
        return readings


def channel_list(channels: Sequence[int]) -> str:
    """'(@101:103,105)' for 101, 102, 103, 105."""
    runs: list[list[int]] = []
    for channel in channels:
        if runs and channel == runs[-1][-1] + 1:
            runs[-1].append(channel)
        else:
            runs.append([channel])
    return "(@" + ",".join(f"{run[0]}:{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs) + ")"


def card_channel(channel: int, slots: int, channels: int, four_wire: bool) -> bool:
    """Whether slot-and-channel number `channel` (101 = slot 1, channel 1) exists on multiplexer cards.

    Four-wire readings take channel n for the current and n + channels/2 for the voltage, so only the
    lower half can be named.
    """
    slot, position = divmod(channel, 100)
    return 1 <= slot <= slots and 1 <= position <= (channels // 2 if four_wire else channels)
