"""Keysight 34970A and 34972A data acquisition units, as a meter for resistive sensors.

Wire facts: docs/instruments/keysight-34970a.md (evidence: vendor manual). Not run on hardware yet.
"""

from __future__ import annotations

from drivers.about import About, scpi_probes
from drivers.interface import OutOfRange, Range
from drivers.multimeter import Ohmmeter, card_channel, channel_list
from drivers.scpi import number, switch

INTEGRATIONS = (0.02, 0.2, 1, 2, 10, 20, 100, 200)  # PLC


class Keysight34970A(Ohmmeter):
    """Resistance of up to 20 channels a card (101–120, 201–220, 301–320), two-wire; 10 a card, four-wire.

    `card_channels` is 20 for a 34901A, 16 for a 34902A. `delay_s` is what a channel settles before it is read;
    without it, the instrument's own, which grows with the resistance.
    """

    model = "Keysight 34970A/34972A"
    identity = r"(HEWLETT-PACKARD|Agilent|Keysight)[^,]*,\s*3497[02]A,"
    about = About(
        connection="TCP socket 5025 and USB (34972A), GPIB, RS-232 (VISA)",
        evidence="maker's manual; not run on hardware",
        quirks="its scan list is redefined by each set-up; four-wire readings take a second channel of the card",
        probes=scpi_probes(identity, baud=9600),
    )
    error_query = "SYST:ERR?"
    slots = 3

    triggers = number("TRIG:COUN", "1", within=Range(1, 50_000), doc="Scans to one READ?.")
    channel_delay = number("ROUT:CHAN:DEL", "s", within=Range(0.0, 60.0), doc="Settling before a channel is read.")
    with_channel = switch("FORM:READ:CHAN", doc="Each reading is followed by its channel.")
    with_time = switch("FORM:READ:TIME", doc="Each reading is followed by its time.")
    with_unit = switch("FORM:READ:UNIT", doc="Each reading has its unit.")
    with_alarm = switch("FORM:READ:ALAR", doc="Each reading is followed by its alarm.")

    def __init__(
        self,
        address: str,
        *,
        four_wire: bool = False,
        nplc: float = 1.0,
        card_channels: int = 20,
        delay_s: float | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        self.address, self.card_channels, self.delay_s = address, card_channels, delay_s
        if delay_s is not None:
            Keysight34970A.channel_delay.check(self, delay_s)
        super().__init__(address, four_wire=four_wire, nplc=nplc, timeout_s=timeout_s)

    def check_integration(self, nplc: float) -> None:
        if nplc not in INTEGRATIONS:
            known = ", ".join(map(str, INTEGRATIONS))
            raise OutOfRange(f"nplc {nplc:g} is none of {known}", instrument=self.model, address=self.address)

    def has_channel(self, channel: int) -> bool:
        return card_channel(channel, self.slots, self.card_channels, self.four_wire)

    def set_up(self, channels: tuple[int, ...]) -> None:
        where = channel_list(channels)
        self.send(f"CONF:{self.function} AUTO,DEF,{where}")  # the scan list, too
        self.send(f"SENS:{self.function}:NPLC {self.nplc:g},{where}")
        if self.delay_s is not None:
            self.send(f"ROUT:CHAN:DEL {self.delay_s:g},{where}")
        self.send("TRIG:SOUR IMM")
        self.triggers = 1
        self.with_channel = True
        self.with_time = self.with_unit = self.with_alarm = False

    def scan(self, channels: tuple[int, ...], timeout_s: float) -> str:
        """Each reading comes with its channel, so that none is taken for another's."""
        reply = self.ask("READ?", timeout_s)
        fields = reply.split(",")
        found = fields[1::2]
        if [field.strip() for field in found] != [str(channel) for channel in channels] or len(fields) % 2:
            self._bad_reply("READ?", reply, f"not one reading and its channel for each of {len(channels)} channels")
        return ",".join(fields[::2])

    def scan_duration_s(self, count: int) -> float:
        return super().scan_duration_s(count) + count * (self.delay_s or 0.0)

    def make_safe(self) -> None:
        self.send("ABOR")
        super().make_safe()
