"""A virtual Keithley 2700 with two 20-channel multiplexer cards.

Written from the vendor's manuals 2700-900-01 (closing channels, section 2; scanning, section 7; format, section 14) and
2750-900-01.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.simulated.clock import Clock
from drivers.simulated.keithley_classic import OF_A_FUNCTION, VirtualClassicMeter
from drivers.simulated.multimeter import AVERAGING, FUNCTIONS, Sensor, VirtualScanner
from drivers.simulated.scpi import (
    MISSING,
    Arguments,
    ScpiError,
    WordSetting,
    channels_out,
    choice,
    number,
    switch,
)


class VirtualKeithley2700(VirtualClassicMeter, VirtualScanner):
    """`READ?` takes SAMPle:COUNt readings, going round the scan list once the scan is enabled."""

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2700,1149456,B09  /A02"
    functions = tuple(word for word in FUNCTIONS if not word.startswith(("CAP", "DIOD")) and "RATio" not in word)
    elements = ("READing", "UNITs", "TSTamp", "RNUMber", "CHANnel", "LIMits")
    elements_at_reset = ("READing", "UNITs", "TSTamp", "RNUMber")
    kept = (
        AVERAGING
        | OF_A_FUNCTION
        | {
            "OCOMpensated": switch("0"),
            "TRANsducer": choice("TC", "TCouple", "FRTD", "THERmistor"),
            "TCouple:TYPE": choice("K", *"JKTERSBN"),
            "TCouple:RJUNction:RSELect": choice("SIM", "SIMulated", "INTernal", "EXTernal"),
            "TCouple:RJUNction:SIMulated": number("23", 0, 65),
        }
    )
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
        self.slots, self.card_channels = 2, 20
        self.scan_list: list[int] = []
        self.closed: list[int] = []
        self._count = 0
        self._started_s = self.clock.now()
        self.keep({"[:ROUTe]:SCAN:TSOurce": choice("IMM", "IMMediate", "HLIMit1", "HLIMit2", "LLIMit1", "LLIMit2")})
        self._scanning = self.setting("[:ROUTe]:SCAN:LSELect", WordSetting("NONE", words=("INTernal", "NONE")))
        self.define("[:ROUTe]:SCAN[:INTernal]", self._put_scan_list)
        self.define("[:ROUTe]:SCAN[:INTernal]?", lambda _: channels_out(self.lower_half(self.scan_list)))
        for many in ("", ":MULTiple"):
            self.define_closing(f"[:ROUTe]{many}:CLOSe", f"[:ROUTe]{many}:OPEN")
            self.define(f"[:ROUTe]{many}:CLOSe?", lambda _: channels_out(sorted(self.closed)))
            self.define(f"[:ROUTe]{many}:CLOSe:STATe?", self._states)
        self.define("[:ROUTe]:MULTiple:STATe?", self._states)
        self.define("*OPT?", lambda _: "7700,7700")

    def take(self, count: int) -> list[str]:
        """Without a scan, of the channel that is closed, or of the input."""
        scanned = self.lower_half(self.scan_list) if self._scanning.word == "INT" else []
        here = self.closed[0] if self.closed else 0
        return [self._told(scanned[i % len(scanned)] if scanned else here) for i in range(count)]

    def _put_scan_list(self, arguments: Arguments) -> None:
        if not arguments:
            raise ScpiError(*MISSING)
        self.scan_list = sorted(self.channels(arguments[0]))  # it scans from the lowest to the highest

    def _states(self, arguments: Arguments) -> str:
        if not arguments:
            raise ScpiError(*MISSING)
        return ",".join("1" if channel in self.closed else "0" for channel in self.channels(arguments[0]))

    def _told(self, channel: int) -> str:
        value = self.read_channel(channel)
        unit = {"RESistance": "OHM", "FRESistance": "OHM4W"}.get(self.function_at(channel), "VDC")
        units = "UNITs" in self.chosen
        fields = {
            "READing": f"{value:+.8E}" + (unit if units else ""),
            "TSTamp": f"{self.clock.now() - self._started_s:+.3f}" + ("SECS" if units else ""),
            "RNUMber": f"{self._count:+06d}" + ("RDNG#" if units else ""),
            "CHANnel": f"{channel:03d}",
            "LIMits": "0000",
        }
        self._count += 1
        return ",".join(fields[word] for word in self.chosen if word in fields)
