"""Virtual relay boards, and a cell that is reached through their contacts."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Collection, Mapping, Sequence

from drivers.simulated.modbus import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE, VirtualModbus, refusal
from drivers.simulated.scpi import MISSING, OUT_OF_RANGE, Arguments, ScpiError, ScpiServer, channels_in
from drivers.simulated.wiring import Controller, Drive, OpenCircuit, WiredCell


class Contacts:
    """What the contacts of some relays do; `moved(closed)` is told after each change, and all states are kept."""

    def __init__(self) -> None:
        self.closed: frozenset[int] = frozenset()
        self.history: list[frozenset[int]] = [self.closed]
        self.welded: set[int] = set()  # these do not open
        self.dead: set[int] = set()  # these do not close
        self.moved: list[Callable[[frozenset[int]], None]] = []

    def tell(self, relay: int, close: bool) -> None:
        if close and relay not in self.dead:
            self._become(self.closed | {relay})
        elif not close and relay not in self.welded:
            self._become(self.closed - {relay})

    def _become(self, closed: frozenset[int]) -> None:
        if closed == self.closed:
            return
        self.closed = closed
        self.history.append(closed)
        for told in self.moved:
            told(closed)


class VirtualModbusRelays(VirtualModbus):
    """`relay_count` coils from 0 on, and as many inputs that are wired to second contacts of the relays."""

    def __init__(
        self, *, relay_count: int = 8, unit_id: int = 1, rtu: bool = False, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        super().__init__(unit_id=unit_id, rtu=rtu, host=host, port=port)
        self.relay_count, self.contacts = relay_count, Contacts()
        self.coils = [False] * relay_count
        self.received: list[bytes] = []  # protocol data units

    def answer(self, request: bytes) -> bytes:
        self.received.append(request)
        function = request[0]
        if function not in (1, 2, 5, 15):
            return refusal(function, ILLEGAL_FUNCTION)
        first, second = struct.unpack(">HH", request[1:5])
        count = 1 if function == 5 else second
        if (function == 5 and second not in (0x0000, 0xFF00)) or not 1 <= count <= 2000:
            return refusal(function, ILLEGAL_VALUE)
        if first + count > self.relay_count:
            return refusal(function, ILLEGAL_ADDRESS)
        if function in (1, 2):
            seen = [number in self.contacts.closed for number in range(1, self.relay_count + 1)]
            return bytes([function]) + _packed((self.coils if function == 1 else seen)[first : first + count])
        if function == 5:
            self._switch(first, second == 0xFF00)
        else:
            for offset in range(count):
                self._switch(first + offset, bool(request[6 + offset // 8] >> (offset % 8) & 1))
        return request[:5]

    def _switch(self, coil: int, on: bool) -> None:
        self.coils[coil] = on
        self.contacts.tell(coil + 1, on)


def _packed(states: list[bool]) -> bytes:
    """Byte count and bytes, the first state in the lowest bit."""
    data = bytearray((len(states) + 7) // 8)
    for number, state in enumerate(states):
        data[number // 8] |= state << (number % 8)
    return bytes([len(data)]) + data


class VirtualScpiSwitch(ScpiServer):
    """A mainframe with a card of `channels`; its read-back is its own record of what it was told."""

    identity = "HEWLETT-PACKARD,34970A,0,13-2-2"

    def __init__(self, channels: Collection[int] = range(111, 149), *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host=host, port=port)
        self.channels, self.contacts = frozenset(channels), Contacts()
        self.told: set[int] = set()
        self.define("[:ROUTe]:CLOSe", lambda given: self._operate(given, close=True))
        self.define("[:ROUTe]:OPEN", lambda given: self._operate(given, close=False))
        self.define("[:ROUTe]:CLOSe:EXCLusive", self._close_alone)
        self.define("[:ROUTe]:DONE?", lambda _: "1")
        self.define("[:ROUTe]:CLOSe?", lambda given: self._states(given, "1", "0"))
        self.define("[:ROUTe]:OPEN?", lambda given: self._states(given, "0", "1"))

    def reset(self) -> None:
        super().reset()
        self._open_all()

    def _operate(self, given: Arguments, *, close: bool) -> None:
        for channel in self._channels(given):
            (self.told.add if close else self.told.discard)(channel)
            self.contacts.tell(channel, close)

    def _close_alone(self, given: Arguments) -> None:
        """Open whatever is closed, then close these."""
        wanted = self._channels(given)
        self._open_all()
        for channel in wanted:
            self.told.add(channel)
            self.contacts.tell(channel, close=True)

    def _open_all(self) -> None:
        for channel in sorted(self.told):
            self.contacts.tell(channel, close=False)
        self.told.clear()

    def _states(self, given: Arguments, closed: str, opened: str) -> str:
        return ",".join(closed if channel in self.told else opened for channel in self._channels(given))

    def _channels(self, given: Arguments) -> list[int]:
        if len(given) != 1:
            raise ScpiError(*MISSING)
        channels = channels_in(given[0])
        if not self.channels.issuperset(channels):
            raise ScpiError(*OUT_OF_RANGE)
        return channels


class SwitchedCell:
    """One cell behind the contacts: an instrument sees it where all relays of its route are closed.

    `together` counts how often more than one route was closed: that two sources had the cell at once.
    """

    def __init__(self, cell: WiredCell, contacts: Contacts, routes: Mapping[str, tuple[int, ...]]) -> None:
        self.cell, self.routes, self.together = cell, routes, 0
        self.ports = {name: Port(self, name) for name in routes}
        self._closed: frozenset[str] = frozenset()
        self._lock = threading.RLock()
        contacts.moved.append(self._moved)

    def _moved(self, closed: frozenset[int]) -> None:
        with self._lock:
            now = frozenset(name for name, relays in self.routes.items() if closed >= set(relays))
            touched = [name for name, relays in self.routes.items() if closed & set(relays)]
            self.together += len(touched) > 1
            if now == self._closed:
                return  # relays of another cell: whoever drives this one goes on
            self.cell.terminals()  # what was until now was with the contacts as they were
            self._closed = now
            drives = [self.ports[name].wanted for name in now]
            self.cell.drive(next((drive for drive in drives if not isinstance(drive, OpenCircuit)), OpenCircuit()))

    def reaches(self, name: str) -> bool:
        return name in self._closed


class Port:
    """What the instrument at the end of one route is wired to: the cell, or open terminals."""

    def __init__(self, switched: SwitchedCell, name: str) -> None:
        self._switched, self._name = switched, name
        self.wanted: Drive = OpenCircuit()

    @property
    def reached(self) -> bool:
        return self._switched.reaches(self._name)

    def drive(self, drive: Drive) -> None:
        self.wanted = drive
        if self._switched.reaches(self._name):
            self._switched.cell.drive(drive)

    def terminals(self) -> tuple[float, float]:
        return self._switched.cell.terminals() if self._switched.reaches(self._name) else (0.0, 0.0)

    def control(self, controller: Controller | None, max_step_s: float = 10.0) -> None:
        """A tester's firmware goes on while its route is open: it sees open terminals, and drives nothing."""
        if controller is None:
            self._switched.cell.control(None)
            return

        def through(time_s: float, voltage_V: float, current_A: float) -> Drive | None:
            is_reached = self._switched.reaches(self._name)
            drive = controller(time_s, voltage_V, current_A) if is_reached else controller(time_s, 0.0, 0.0)
            self.wanted = self.wanted if drive is None else drive
            return drive if is_reached else None

        self._switched.cell.control(through, max_step_s)

    def impedance(self, frequency_Hz: float) -> complex:
        return self._switched.cell.impedance(frequency_Hz) if self._switched.reaches(self._name) else complex(1e12)

    def pressure_Pa(self) -> float:
        return self._switched.cell.pressure_Pa()

    def sensor_resistance_ohm(self) -> float:
        return self._switched.cell.sensor_resistance_ohm()

    def temperature_degC(self) -> float:
        return self._switched.cell.temperature_degC()


class SharedPort:
    """What an instrument is wired to that several cells can be switched to: the one whose route is closed."""

    def __init__(self, ports: Sequence[Port]) -> None:
        self._ports = tuple(ports)

    def drive(self, drive: Drive) -> None:
        for port in self._ports:
            port.drive(drive)

    def control(self, controller: Controller | None, max_step_s: float = 10.0) -> None:
        raise NotImplementedError("a tester's firmware has one cell of its own")

    def terminals(self) -> tuple[float, float]:
        return self._reached.terminals()

    def impedance(self, frequency_Hz: float) -> complex:
        return self._reached.impedance(frequency_Hz)

    def pressure_Pa(self) -> float:
        return self._reached.pressure_Pa()

    def sensor_resistance_ohm(self) -> float:
        return self._reached.sensor_resistance_ohm()

    def temperature_degC(self) -> float:
        return self._reached.temperature_degC()

    @property
    def _reached(self) -> Port:
        """Where none is, the first: it shows open terminals."""
        return next((port for port in self._ports if port.reached), self._ports[0])
