"""A virtual Keithley DMM6500 with a 2000-SCAN card; without one, its input is channel 1.

Written from programs that run on the instrument: tektronix/keithley (Drivers/Keithley_DMM6500), PyMeasure's
keithleyDMM6500 with its recorded tests, QCoDeS' driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from drivers.simulated.clock import Clock
from drivers.simulated.keithley_daq6510 import VirtualKeithleyDaq6510
from drivers.simulated.multimeter import Sensor
from drivers.simulated.scpi import OUT_OF_RANGE, Arguments, ScpiError, channels_in

CARD_CHANNELS = 10


class VirtualKeithleyDmm6500(VirtualKeithleyDaq6510):
    """As the DAQ6510, with one card whose channels are 1 … 10."""

    identity = "KEITHLEY INSTRUMENTS,MODEL DMM6500,04440000,1.7.12b"

    def __init__(
        self,
        sensors: Mapping[int, Sensor],
        *,
        scanner_card: bool = True,
        terminals: str = "REAR",
        language: str = "SCPI",
        line_Hz: int = 50,
        clock: Clock | None = None,
        noise: float = 1e-5,
        seed: int = 6500,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(
            sensors,
            terminals=terminals,
            language=language,
            line_Hz=line_Hz,
            clock=clock,
            noise=noise,
            seed=seed,
            host=host,
            port=port,
        )
        self.card_channels = CARD_CHANNELS if scanner_card else 0
        card = "2000,10-Chan Mux,0.0.0a,00000000" if scanner_card else "Empty Slot"
        self.define(":SYSTem:CARD1:IDN?", lambda _: card)
        for header, told in (("VCHannel[:STARt]", "1"), ("VCHannel:END", "10"), ("VMAX", "110"), ("MULTiplex", "1")):
            self.define(f":SYSTem:CARD1:{header}?", partial(_of_the_card, told if scanner_card else "0"))

    def channels(self, text: str) -> list[int]:
        """Those that exist, of a channel list."""
        channels = channels_in(text)
        if not all(1 <= channel <= self.card_channels for channel in channels):
            raise ScpiError(*OUT_OF_RANGE)
        return channels


def _of_the_card(told: str, arguments: Arguments) -> str:
    return told
