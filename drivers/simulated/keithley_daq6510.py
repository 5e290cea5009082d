"""A virtual Keithley DAQ6510 with two 20-channel multiplexer cards.

Written from programs that run on the instrument or its sister, the DMM6500: tektronix/keithley
(Drivers/Keithley_DMM6500), PyMeasure's keithleyDMM6500, nemocrys/exp-B-control.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.simulated.clock import Clock
from drivers.simulated.multimeter import Sensor, VirtualScanner
from drivers.simulated.scpi import (
    MISSING,
    OUT_OF_RANGE,
    Arguments,
    NumberSetting,
    ScpiError,
    channels_out,
    matches,
)


class VirtualKeithleyDaq6510(VirtualScanner):
    """One scan appends its readings to defbuffer1, in the order of the scan list."""

    identity = "KEITHLEY INSTRUMENTS,MODEL DAQ6510,04591126,1.7.12b"
    highest_ohm = 120e6
    nplc_low, nplc_high = 0.0005, 12.0

    def __init__(
        self,
        sensors: Mapping[int, Sensor],
        *,
        card_channels: int = 20,
        terminals: str = "REAR",
        language: str = "SCPI",
        clock: Clock | None = None,
        noise: float = 1e-5,
        seed: int = 6510,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(
            sensors, card_channels=card_channels, clock=clock, noise=noise, seed=seed, host=host, port=port
        )
        self.terminals, self.language = terminals, language
        self._buffer: list[tuple[int, float]] = []
        self._front = 1
        self.define("*LANG?", lambda _: self.language)
        self.define("*LANG", lambda _: None)  # takes effect when it is next switched on
        self.define(":ROUTe:TERMinals?", lambda _: self.terminals)
        self.define("[:ROUTe]:SCAN:CREate", self._create)
        self.define("[:ROUTe]:SCAN:CREate?", lambda _: channels_out(self.scan_list))
        self._scans = self.setting("[:ROUTe]:SCAN:COUNt:SCAN", NumberSetting("1", low=1, high=1e8))
        self.define("[:ROUTe]:SCAN:INTerval", lambda _: None)
        self.define("[:ROUTe]:SCAN:BUFFer", lambda _: None)
        self.define("[:ROUTe][:CHANnel]:CLOSe", self._close_channel)
        for header in ("[:ROUTe][:CHANnel]:OPEN", "[:ROUTe][:CHANnel]:OPEN:ALL", ":ABORt", ":DISPlay:SCReen"):
            self.define(header, lambda _: None)
        self.define(":INITiate[:IMMediate]", lambda _: self._scan())
        self.define(":READ?", self._read)
        self.define(":TRACe:CLEar", lambda _: self._buffer.clear())
        self.define(":TRACe:ACTual[:END]?", lambda _: str(len(self._buffer)))
        self.define(":TRACe:ACTual:STARt?", lambda _: str(min(1, len(self._buffer))))
        self.define(":TRACe:DATA?", self._data)

    def no_error(self) -> str:
        return '0,"No error;0,0,0"'

    def error(self, code: int, text: str) -> str:
        return f'{code},"{text};1;2015/05/06 12:57:04.484"'

    def _create(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        self.scan_list = self.lower_half(self.channels(arguments[0]))

    def _close_channel(self, arguments: Arguments) -> None:
        self._front = self.channels(arguments[0])[0]

    def _scan(self) -> None:
        for channel in self.scan_list * int(self._scans.value):
            self._buffer.append((channel, self.read_channel(channel)))

    def _read(self, arguments: Arguments) -> str:
        """Of the channel that is closed."""
        self._buffer.append((self._front, self.read_channel(self._front)))
        return f"{self._buffer[-1][1]:.6E}"

    def _data(self, arguments: Arguments) -> str:
        if len(arguments) < 2:
            raise ScpiError(*MISSING)
        first, last = (int(argument) for argument in arguments[:2])
        if not 1 <= first <= last <= len(self._buffer):
            raise ScpiError(*OUT_OF_RANGE)
        with_channel = any(matches("CHANnel", word) for word in arguments[3:])
        chosen = self._buffer[first - 1 : last]
        told = (f"{value:.6E},{channel}" if with_channel else f"{value:.6E}" for channel, value in chosen)
        return ",".join(told)
