"""Keithley DAQ6510 multimeter and scanner, as a meter for resistive sensors.

Wire facts: docs/instruments/keithley-daq6510.md (evidence: several users' programs). Not run on hardware yet.
"""

from __future__ import annotations

from drivers.about import About, scpi_probes
from drivers.interface import Range, WrongInstrument
from drivers.multimeter import Ohmmeter, card_channel, channel_list
from drivers.scpi import choice, number


class KeithleyDaq6510(Ohmmeter):
    """Resistance of up to 20 channels a card (101–120, 201–220), two-wire; 10 a card, four-wire.

    `function_per_channel=False` sets the function once for all channels, should a firmware refuse a
    channel list with it. `card_channels` is the number of two-wire channels on each card.
    """

    model = "Keithley DAQ6510"
    identity = r"KEITHLEY[^,]*,\s*MODEL DAQ6510,"
    about = About(
        connection="TCP socket, USB (VISA)",
        evidence="several users' programs, scan syntax partly unverified; not run on hardware",
        quirks="the switch on its front panel must select the rear terminals",
        probes=scpi_probes(identity),
    )
    slots = 2

    scans = number(":ROUT:SCAN:COUN:SCAN", "1", within=Range(1, 1e8), doc="Scans to one start.")
    terminals = choice(":ROUT:TERM", Front="FRON", Rear="REAR", doc="Set by the switch on the front panel alone.")
    integration = number(":SENS:RES:NPLC", "PLC", within=Range(0.0005, 12.0), doc="Integration of a reading.")

    def __init__(
        self,
        address: str,
        *,
        four_wire: bool = False,
        nplc: float = 1.0,
        card_channels: int = 20,
        function_per_channel: bool = True,
        timeout_s: float = 5.0,
    ) -> None:
        self.card_channels, self.function_per_channel = card_channels, function_per_channel
        super().__init__(address, four_wire=four_wire, nplc=nplc, timeout_s=timeout_s)

    def check_integration(self, nplc: float) -> None:
        KeithleyDaq6510.integration.check(self, nplc)

    def has_channel(self, channel: int) -> bool:
        return card_channel(channel, self.slots, self.card_channels, self.four_wire)

    def set_up(self, channels: tuple[int, ...]) -> None:
        where, function = channel_list(channels), self.function
        self.send(f':SENS:FUNC "{function}"' + (f",{where}" if self.function_per_channel else ""))
        self.send(f":SENS:{function}:NPLC {self.nplc:g},{where}")
        self.send(f":SENS:{function}:RANG:AUTO ON,{where}")
        self.send(f":ROUT:SCAN:CRE {where}")
        self.scans = 1

    def scan(self, channels: tuple[int, ...], timeout_s: float) -> str:
        self.send(':TRAC:CLE "defbuffer1"')
        self.send(":INIT")
        if (done := self.ask("*OPC?", timeout_s)) != "1":
            self._bad_reply("*OPC?", done, "not 1")
        return self.ask(f':TRAC:DATA? 1,{len(channels)},"defbuffer1",READ')

    def make_safe(self) -> None:
        self.send(":ABOR")
        super().make_safe()

    def check_set_up(self) -> None:
        if (language := self.ask("*LANG?")) != "SCPI":
            self._not_set_up(f"its command set is {language!r}", "send *LANG SCPI, then switch it off and on")
        if self.needs_rear_terminals() and self.terminals != "Rear":
            self._not_set_up("its front terminals are selected", "the cards are at the rear: press TERMINALS")

    def needs_rear_terminals(self) -> bool:
        """The cards are behind them."""
        return True

    def _not_set_up(self, message: str, hint: str) -> None:
        raise WrongInstrument(message, instrument=self.model, address=self.address, hint=hint)
