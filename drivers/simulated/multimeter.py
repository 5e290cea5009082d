"""What the virtual multimeters have in common: resistors at their inputs, overload, noise, time."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from drivers.simulated.clock import Clock
from drivers.simulated.scpi import (
    ILLEGAL_VALUE,
    LINE_PERIOD_S,
    MISSING,
    OUT_OF_RANGE,
    OVERFLOW,
    Arguments,
    ScpiError,
    ScpiServer,
    channels_in,
    matches,
    short_form,
)
from drivers.simulated.wiring import WiredCell

Sensor: TypeAlias = WiredCell | Callable[[], float]
"""What a channel is wired to: a cell with its pressure sensor, or a function that gives Ω."""

FUNCTIONS = ("VOLTage[:DC]", "CURRent[:DC]", "RESistance", "FRESistance", "TEMPerature")


class VirtualMeter(ScpiServer):
    """Resistors at numbered channels; an unwired channel reads overload, as an open input does.

    `noise` is the relative standard deviation of a reading, which `seed` makes the same in each run.
    """

    highest_ohm: float  # above it: overload
    nplc_low: float
    nplc_high: float

    def __init__(
        self,
        sensors: Mapping[int, Sensor],
        *,
        clock: Clock | None = None,
        noise: float = 1e-5,
        seed: int = 6510,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(clock=clock, host=host, port=port)
        self.sensors, self.noise = sensors, noise
        self._random = random.Random(seed)

    def take_reading(self, channel: int, function: str, nplc: float) -> float:
        """One conversion, which takes its time."""
        self.clock.sleep(2 * nplc * LINE_PERIOD_S)
        if function not in ("RES", "FRES"):
            return self._random.gauss(0.0, 1e-5)  # nothing but resistors is wired here
        sensor = self.sensors.get(channel)
        if sensor is None:
            return OVERFLOW
        ohm = sensor() if callable(sensor) else sensor.sensor_resistance_ohm()
        return ohm * self._random.gauss(1.0, self.noise) if ohm <= self.highest_ohm else OVERFLOW


class VirtualScanner(VirtualMeter):
    """A meter with multiplexer cards: each channel has its own function and integration.

    A four-wire channel n takes n + half the card's channels with it, and the upper half of a card
    cannot be measured so.
    """

    def __init__(
        self,
        sensors: Mapping[int, Sensor],
        *,
        slots: int = 2,
        card_channels: int = 20,
        clock: Clock | None = None,
        noise: float = 1e-5,
        seed: int = 6510,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(sensors, clock=clock, noise=noise, seed=seed, host=host, port=port)
        self.slots, self.card_channels = slots, card_channels
        self.define_channels()

    def define_channels(self) -> None:
        self.function_of: dict[int, str] = {}
        self.nplc_of: dict[int, float] = {}
        self.scan_list: list[int] = []
        self._function = "VOLT[:DC]"
        self._nplc = 1.0
        self.define("[:SENSe[1]]:FUNCtion[:ON]", self._put_function)
        self.define("[:SENSe[1]]:FUNCtion[:ON]?", self._tell_function)
        for word in FUNCTIONS:
            self.define(f"[:SENSe[1]]:{word}:NPLCycles", self._put_nplc)
            self.define(f"[:SENSe[1]]:{word}:NPLCycles?", lambda _: f"{self._nplc:g}")
            for header in ("RANGe[:UPPer]", "RANGe:AUTO", "AZERo[:STATe]", "OCOMpensated", "DIGits"):
                self.define(f"[:SENSe[1]]:{word}:{header}", lambda _: None)
                self.define(f"[:SENSe[1]]:{word}:{header}?", lambda _: "1")

    def reset(self) -> None:
        super().reset()
        self.function_of, self.nplc_of, self.scan_list = {}, {}, []
        self._function, self._nplc = "VOLT[:DC]", 1.0

    def function_at(self, channel: int) -> str:
        return self.function_of.get(channel, self._function)

    def read_channel(self, channel: int) -> float:
        return self.take_reading(channel, self.function_at(channel), self.nplc_of.get(channel, self._nplc))

    def channels(self, text: str) -> list[int]:
        """Those that exist, of a channel list."""
        channels = channels_in(text)
        for channel in channels:
            slot, position = divmod(channel, 100)
            if not (1 <= slot <= self.slots and 1 <= position <= self.card_channels):
                raise ScpiError(*OUT_OF_RANGE)
        return channels

    def lower_half(self, channels: Sequence[int]) -> list[int]:
        """Without those that are the voltage leads of four-wire channels."""
        upper = [channel for channel in channels if channel % 100 > self.card_channels // 2]
        return [channel for channel in channels if channel not in upper or self.function_at(channel) != "FRES"]

    def _put_function(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        function = next((short_form(word) for word in FUNCTIONS if matches(word, arguments[0])), None)
        if function is None:
            raise ScpiError(*ILLEGAL_VALUE)
        if len(arguments) == 1:
            self._function = function
        for channel in self.channels(arguments[1]) if len(arguments) > 1 else ():
            self.function_of[channel] = function

    def _tell_function(self, arguments: Arguments) -> str:
        functions = [self.function_at(channel) for channel in self.channels(arguments[0])] if arguments else []
        return ",".join(f'"{name.replace("[", "").replace("]", "")}"' for name in functions or [self._function])

    def _put_nplc(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        nplc = float(arguments[0])
        if not self.nplc_low <= nplc <= self.nplc_high:
            raise ScpiError(*OUT_OF_RANGE)
        if len(arguments) == 1:
            self._nplc = nplc
        for channel in self.channels(arguments[1]) if len(arguments) > 1 else ():
            self.nplc_of[channel] = nplc
