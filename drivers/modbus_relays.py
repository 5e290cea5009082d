"""Relay boards with Modbus RTU or TCP, whatever their maker: one coil to a relay.

Wire facts: docs/instruments/modbus-relays.md (evidence: the Modbus specification). Not run on hardware yet.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from drivers.about import About
from drivers.relay_switch import Relays, RelaySwitch
from drivers.transports.modbus import ModbusLine


class ModbusRelays(RelaySwitch):
    """Relays 1 to `relay_count` at the coils from `first_coil` (0-based) on.

    `read_back` says what the routes are read back by: the board's coils, which say what it was told, or its inputs,
    wired to a second contact of each relay, from `first_input` on, which say what the relay does. Only the latter
    sees a contact that is welded.
    """

    model: ClassVar[str] = "Modbus relay board"
    about: ClassVar[About] = About(
        connection="Modbus TCP, Modbus RTU on a serial port or through a serial server",
        evidence="Modbus specification; not run on hardware",
        quirks="coils say what the board was told, not what its contacts do: wire auxiliary contacts to its inputs",
    )

    def __init__(
        self,
        address: str,
        *,
        routes: dict[str, Any],
        relay_count: int = 8,
        first_coil: int = 0,
        read_back: Literal["coils", "inputs"] = "coils",
        first_input: int = 0,
        unit_id: int = 1,
        settle_s: float = 0.05,
        timeout_s: float = 1.0,
    ) -> None:
        self.relay_count, self.unit_id = relay_count, unit_id
        self._first_coil, self._first_input = first_coil, first_input
        self._reads_inputs = read_back == "inputs"
        super().__init__(address, routes, settle_s)
        for fault, wrong in {
            f"relay_count {relay_count}: 1 to 2000": not 1 <= relay_count <= 2000,
            f"first_coil {first_coil}: 0 to 65535": not 0 <= first_coil <= 65535,
            f"first_input {first_input}: 0 to 65535": not 0 <= first_input <= 65535,
            f"read_back {read_back!r}: coils or inputs": read_back not in ("coils", "inputs"),
            f"unit_id {unit_id}: 1 to 247": not 1 <= unit_id <= 247,
        }.items():
            if wrong:
                self._wrong_setting(fault)
        self._line = ModbusLine(address, unit_id, instrument=self.model, timeout_s=timeout_s)
        try:
            self._states()
        except BaseException:
            self._line.close()
            raise

    def identify(self) -> str:
        """Such boards do not say what they are: the settings, once the relays have been read."""
        self._states()
        return f"{self.model}, unit {self.unit_id}, {self.relay_count} relays"

    def has_relay(self, relay: int) -> bool:
        return 1 <= relay <= self.relay_count

    def operate(self, relays: Relays, *, close: bool) -> None:
        for relay in relays:
            self._line.write_coil(self._first_coil + relay - 1, close)

    def closed_of(self, relays: Relays) -> frozenset[int]:
        states = self._states()
        return frozenset(relay for relay in relays if states[relay - 1])

    def close(self) -> None:
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _states(self) -> tuple[bool, ...]:
        """Closed or not, of all relays."""
        if self._reads_inputs:
            return self._line.read_bits(self._first_input, self.relay_count, function=2)
        return self._line.read_bits(self._first_coil, self.relay_count)
