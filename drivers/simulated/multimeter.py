"""What the virtual multimeters have in common: functions and their settings, resistors at the inputs, noise, time."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeAlias

from drivers.simulated.clock import Clock
from drivers.simulated.scpi import (
    ILLEGAL_VALUE,
    LINE_PERIOD_S,
    MISSING,
    NOT_ALLOWED,
    OUT_OF_RANGE,
    OVERFLOW,
    Arguments,
    MakeSetting,
    NumberSetting,
    ScpiError,
    ScpiServer,
    Setting,
    a_range,
    channels_in,
    choice,
    matches,
    number,
    short_form,
    switch,
)
from drivers.simulated.wiring import WiredCell

Sensor: TypeAlias = WiredCell | Callable[[], float]
"""What a channel is wired to: a cell with its pressure sensor, or a function that gives Ω."""

RANGES: Mapping[str, tuple[float, ...]] = {  # V, A, Ω, F
    "VOLTage[:DC]": (0.1, 1, 10, 100, 1000),
    "VOLTage:AC": (0.1, 1, 10, 100, 750),
    "CURRent[:DC]": (1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 3),
    "CURRent:AC": (1e-3, 0.01, 0.1, 1, 3),
    "RESistance": (10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8),
    "FRESistance": (1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8),
    "CAPacitance": (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3),
}
FUNCTIONS = (
    *RANGES,
    "VOLTage[:DC]:RATio",
    "TEMPerature",
    "FREQuency[:VOLTage]",
    "PERiod[:VOLTage]",
    "DIODe",
    "CONTinuity",
)
INTEGRATING = (
    "VOLTage[:DC]",
    "VOLTage[:DC]:RATio",
    "CURRent[:DC]",
    "RESistance",
    "FRESistance",
    "TEMPerature",
    "DIODe",
)
AVERAGING: dict[str, MakeSetting] = {
    "AVERage[:STATe]": switch("0"),
    "AVERage:COUNt": number("10", 1, 100),
    "AVERage:TCONtrol": choice("MOV", "MOVing", "REPeat", "HYBRid"),
}


class ByChannel:
    """A setting as it is where no channel is named, and as it is at channels that were."""

    def __init__(self, make: MakeSetting) -> None:
        self.make = make
        self.reset()

    def reset(self) -> None:
        self.here, self.of = self.make(), dict[int, Setting]()

    def at(self, channel: int) -> Setting:
        return self.of.get(channel, self.here)

    def put(self, text: str, channels: Sequence[int]) -> None:
        self.make().put(text)  # refused for one, refused for all
        for channel in channels:
            self.of.setdefault(channel, self.make()).put(text)
        if not channels:
            self.here.put(text)


class VirtualMeter(ScpiServer):
    """Resistors at numbered channels; an unwired channel reads overload, as an open input does.

    `noise` is the relative standard deviation of a reading, which `seed` makes the same in each run.
    """

    functions: ClassVar[Sequence[str]] = FUNCTIONS
    kept: ClassVar[Mapping[str, MakeSetting]] = AVERAGING
    """Settings of each function that change nothing in the simulation."""
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
        self.by_channel: list[ByChannel] = []
        self.function, self.function_of = self.functions[0], dict[int, str]()
        self.define("[:SENSe[1]]:FUNCtion[:ON]", self._put_function)
        self.define("[:SENSe[1]]:FUNCtion[:ON]?", self._tell_function)
        self.integration: dict[str, ByChannel] = {}
        self.kept_of: dict[tuple[str, str], ByChannel] = {}
        for word in self.functions:
            self._define_settings_of(word)

    def reset(self) -> None:
        super().reset()
        for setting in self.by_channel:
            setting.reset()
        self.function, self.function_of = self.functions[0], {}

    def nplc(self) -> Setting:
        return NumberSetting("1", low=self.nplc_low, high=self.nplc_high)

    def channels(self, text: str) -> list[int]:
        """Those of a channel list. Raises `ScpiError` where there is none of them."""
        raise ScpiError(*NOT_ALLOWED)

    def told(self, function: str) -> str:
        """The function's name in answers: 'VOLT:DC', 'FRES'."""
        return short_form(function).replace("[", "").replace("]", "")

    def function_at(self, channel: int) -> str:
        return self.function_of.get(channel, self.function)

    def read_channel(self, channel: int) -> float:
        """One conversion, which takes its time."""
        function = self.function_at(channel)
        nplc = self.integration[function].at(channel) if function in self.integration else None
        self.clock.sleep(2 * (nplc.value if isinstance(nplc, NumberSetting) else 1.0) * LINE_PERIOD_S)
        if function not in ("RESistance", "FRESistance"):
            return self._random.gauss(0.0, 1e-5)  # nothing but resistors is wired here
        sensor = self.sensors.get(channel)
        if sensor is None:
            return OVERFLOW
        ohm = sensor() if callable(sensor) else sensor.sensor_resistance_ohm()
        return ohm * self._random.gauss(1.0, self.noise) if ohm <= self.highest_ohm else OVERFLOW

    def setting_by_channel(
        self, header: str, make: MakeSetting, changed: Callable[[Sequence[int]], None] = lambda _: None
    ) -> ByChannel:
        """Define `header` and its query, each with or without a channel list behind."""
        setting = ByChannel(make)
        self.by_channel.append(setting)

        def put(arguments: Arguments) -> None:
            if not arguments:
                raise ScpiError(*MISSING)
            channels = self.channels(arguments[1]) if len(arguments) > 1 else []
            setting.put(arguments[0], channels)
            changed(channels)

        def tell(arguments: Arguments) -> str:
            named = [argument for argument in arguments if not argument.startswith("(")]
            lists = [argument for argument in arguments if argument.startswith("(")]
            channels = self.channels(lists[0]) if lists else []
            return (
                ",".join(setting.at(channel).get(named) for channel in channels)
                if channels
                else (setting.here.get(named))
            )

        self.define(header, put)
        self.define(header + "?", tell)
        return setting

    def _define_settings_of(self, word: str) -> None:
        root = f"[:SENSe[1]]:{word}"
        if word in INTEGRATING:
            self.integration[word] = self.setting_by_channel(f"{root}:NPLCycles", self.nplc)
        if word in RANGES:
            auto = self.setting_by_channel(f"{root}:RANGe:AUTO", switch("1", once=True))
            ranges = a_range(f"{RANGES[word][-1]}", *RANGES[word])
            self.setting_by_channel(f"{root}:RANGe[:UPPer]", ranges, changed=lambda where: auto.put("0", where))
        for header, make in self.kept.items():
            self.kept_of[word, header] = self.setting_by_channel(f"{root}:{header}", make)

    def _put_function(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        function = next((word for word in self.functions if matches(word, arguments[0])), None)
        if function is None:
            raise ScpiError(*ILLEGAL_VALUE)
        if len(arguments) == 1:
            self.function = function
        for channel in self.channels(arguments[1]) if len(arguments) > 1 else ():
            self.function_of[channel] = function

    def _tell_function(self, arguments: Arguments) -> str:
        functions = [self.function_at(channel) for channel in self.channels(arguments[0])] if arguments else []
        return ",".join(f'"{self.told(function)}"' for function in functions or [self.function])


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
        self.scan_list: list[int] = []
        self.closed: list[int] = []

    def reset(self) -> None:
        super().reset()
        self.scan_list, self.closed = [], []

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
        return [channel for channel in channels if channel not in upper or self.function_at(channel) != "FRESistance"]

    def define_closing(self, close: str, open_: str) -> None:
        """`close` and `open_` (headers) for single channels, outside any scan; their queries, and open all."""
        self.define(close, lambda given: self._operate(given, close=True))
        self.define(open_, lambda given: self._operate(given, close=False))
        self.define(open_ + ":ALL", lambda _: self.closed.clear())

    def _operate(self, given: Arguments, *, close: bool) -> None:
        if not given:
            raise ScpiError(*MISSING)
        channels = self.channels(given[0])
        self.closed = [channel for channel in self.closed if channel not in channels] + (channels if close else [])
