"""A virtual Keithley 2700 with two 20-channel multiplexer cards.

Written from the vendor's manuals 2700-900-01 (scanning, section 7; format, section 14) and 2750-900-01.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.simulated.clock import Clock
from drivers.simulated.multimeter import Sensor, VirtualScanner
from drivers.simulated.scpi import (
    ILLEGAL_VALUE,
    MISSING,
    Arguments,
    BooleanSetting,
    NumberSetting,
    ScpiError,
    WordSetting,
    channels_out,
    matches,
)

ELEMENTS = ("READing", "UNITs", "TSTamp", "RNUMber", "CHANnel", "LIMits")
ELEMENTS_AT_RESET = ("READing", "UNITs", "TSTamp", "RNUMber")


class VirtualKeithley2700(VirtualScanner):
    """`READ?` takes SAMPle:COUNt readings, going round the scan list once the scan is enabled."""

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2700,1149456,B09  /A02"
    highest_ohm = 120e6
    nplc_low, nplc_high = 0.01, 50.0

    def __init__(
        self,
        sensors: Mapping[int, Sensor],
        *,
        clock: Clock | None = None,
        noise: float = 1e-5,
        seed: int = 2700,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(sensors, clock=clock, noise=noise, seed=seed, host=host, port=port)
        self._elements: tuple[str, ...] = ELEMENTS_AT_RESET
        self._count = 0
        self._started_s = self.clock.now()
        self._continuous = self.setting(":INITiate:CONTinuous", BooleanSetting("0"))
        self._triggers = self.setting(":TRIGger:COUNt", NumberSetting("1", low=1, high=110_000))
        self._samples = self.setting(":SAMPle:COUNt", NumberSetting("1", low=1, high=110_000))
        sources = ("IMMediate", "TIMer", "MANual", "BUS", "EXTernal")
        self.setting(":TRIGger:SOURce", WordSetting("IMM", words=sources))
        self.setting("[:ROUTe]:SCAN:TSOurce", WordSetting("IMM", words=("IMMediate", "HLIMit1", "LLIMit1")))
        self._scanning = self.setting("[:ROUTe]:SCAN:LSELect", WordSetting("NONE", words=("INTernal", "NONE")))
        self.define("[:ROUTe]:SCAN[:INTernal]", self._put_scan_list)
        self.define("[:ROUTe]:SCAN[:INTernal]?", lambda _: channels_out(self.lower_half(self.scan_list)))
        for header in ("[:ROUTe]:OPEN:ALL", ":TRACe:CLEar", ":ABORt"):
            self.define(header, lambda _: None)
        self.define(":FORMat:ELEMents", self._put_elements)
        self.define(":FORMat:ELEMents?", lambda _: ",".join(word[:4].upper() for word in self._elements))
        self.define(":READ?", self._read)
        self.define("*OPT?", lambda _: "7700,7700")

    def reset(self) -> None:
        super().reset()
        self._elements = ELEMENTS_AT_RESET

    def _put_scan_list(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        self.scan_list = sorted(self.channels(arguments[0]))  # it scans from the lowest to the highest

    def _put_elements(self, arguments: Arguments) -> None:
        chosen = tuple(word for word in ELEMENTS if any(matches(word, argument) for argument in arguments))
        if not chosen or len(chosen) < len(arguments):
            raise ScpiError(*ILLEGAL_VALUE)
        self._elements = chosen

    def _read(self, arguments: Arguments) -> str:
        if self._continuous.on:
            raise ScpiError(-213, "Init ignored")
        scanned = self.lower_half(self.scan_list) if self._scanning.word == "INT" else []
        count = int(self._samples.value * self._triggers.value)
        return ",".join(self._told(scanned[i % len(scanned)] if scanned else 0) for i in range(count))

    def _told(self, channel: int) -> str:
        value = self.read_channel(channel)
        unit = {"RES": "OHM", "FRES": "OHM4W"}.get(self.function_at(channel), "VDC")
        units = "UNITs" in self._elements
        fields = {
            "READing": f"{value:+.8E}" + (unit if units else ""),
            "TSTamp": f"{self.clock.now() - self._started_s:+.3f}" + ("SECS" if units else ""),
            "RNUMber": f"{self._count:+06d}" + ("RDNG#" if units else ""),
            "CHANnel": f"{channel:03d}",
            "LIMits": "0000",
        }
        self._count += 1
        return ",".join(text for word, text in fields.items() if word in self._elements)
