"""Switch cards and matrices that take SCPI's `ROUTe:CLOSe` and `ROUTe:OPEN`, the Keysight 34970A and 34972A among them.

Wire facts: docs/instruments/scpi-switch.md and keysight-34970a-switch.md (evidence: the makers' manuals of several such
switches). Not run on hardware yet.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from drivers.about import About, scpi_probes
from drivers.interface import WrongInstrument
from drivers.keysight34970a import Keysight34970A
from drivers.relay_switch import Relays, RelaySwitch
from drivers.scpi import ScpiInstrument


class ScpiSwitch(RelaySwitch, ScpiInstrument):
    """Relays by their channel numbers (111 is row 1, column 1 of the card in slot 1, say).

    `identity` is a regular expression that the answer to *IDN? must begin with. The read-back is the instrument's own
    record of its relays, not of their contacts.
    """

    model = "SCPI switch"
    about: ClassVar[About] = About(
        connection="TCP socket, USB, GPIB, serial (VISA)",
        evidence="several makers' manuals; not run on hardware",
        quirks="its read-back is what it was told, not what its contacts do",
    )
    possible_channels = range(1, 100_000)

    def __init__(
        self,
        address: str,
        *,
        routes: dict[str, Any],
        identity: str,
        settle_s: float = 0.05,
        timeout_s: float = 5.0,
    ) -> None:
        try:
            self._identity = re.compile(identity, re.IGNORECASE)
        except re.error as error:
            self.address = address
            self._wrong_setting(f"identity {identity!r}: {error}")
        RelaySwitch.__init__(self, address, routes, settle_s)
        ScpiInstrument.__init__(self, address, timeout_s=timeout_s)

    def has_relay(self, relay: int) -> bool:
        return relay in self.possible_channels

    def operate(self, relays: Relays, *, close: bool) -> None:
        self.send(f":ROUT:{'CLOS' if close else 'OPEN'} {_channel_list(relays)}")
        self._expect("*OPC?", "1")
        self.check_errors()

    def closed_of(self, relays: Relays) -> frozenset[int]:
        query = f":ROUT:CLOS? {_channel_list(relays)}"
        reply = self.ask(query)
        states = reply.split(",")
        if len(states) != len(relays) or not set(states) <= {"0", "1"}:
            self._bad_reply(query, reply, f"not 0 or 1 for each of {len(relays)} channels")
        return frozenset(relay for relay, state in zip(relays, states, strict=True) if state == "1")

    def check_set_up(self) -> None:
        """That the channels are there: a switch without the card answers with an error."""
        self.connected()
        self.check_errors()

    def _expect(self, query: str, wanted: str) -> None:
        if (reply := self.ask(query)) != wanted:
            self._bad_reply(query, reply, f"not {wanted}")

    def _check_identity(self) -> None:
        found = self.identify()
        if not self._identity.match(found):
            raise WrongInstrument(
                f"not what the setting 'identity' says: it says {found[:80]!r}",
                instrument=self.model,
                address=self.address,
                hint="is the address right, and the driver?",
            )


class Keysight34970Switch(ScpiSwitch):
    """Relays of a Keysight (Agilent, HP) 34970A or 34972A: 34904A matrix (111 to 148), 34903A actuators (101 to 120).

    The first digit of a channel is its slot, 1 to 3.
    """

    model = "Keysight 34970A switch"
    identity = Keysight34970A.identity
    about: ClassVar[About] = About(
        connection="TCP socket, USB (34972A), GPIB, RS-232 (34970A)",
        evidence="maker's manual in part; not run on hardware",
        quirks="a scan of the same instrument opens relays: do not use it as a scanner beside this",
        probes=scpi_probes(identity),
    )
    possible_channels = range(101, 349)

    def __init__(self, address: str, *, routes: dict[str, Any], settle_s: float = 0.05, timeout_s: float = 5.0) -> None:
        super().__init__(address, routes=routes, identity=self.identity, settle_s=settle_s, timeout_s=timeout_s)


def _channel_list(relays: Relays) -> str:
    return f"(@{','.join(map(str, relays))})"
