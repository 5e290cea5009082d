"""Modbus lines: TCP, RTU through a serial server, and RTU on a serial port.

Addresses: `tcp://host[:502]`, `rtu+tcp://host:port`, `serial:COM3?baud=9600&parity=N&stopbits=1`
(also `serial:/dev/ttyUSB0?baud=19200&parity=E`).
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit

from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU

from drivers.interface import BadReply, InstrumentTimeout, Refused, Unreachable
from drivers.transports.link import Backoff, Tap, wire_log

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge, still busy",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target did not respond",
}
"""Modbus Application Protocol Specification V1.1b3, section 7."""

_GARBLED = "are baud rate, parity, stop bits and unit id those of the device, is there one master only?"

_Client: TypeAlias = ModbusTcpClient | ModbusSerialClient
T = TypeVar("T")


@dataclass
class _Wire:
    """One pair of conductors or one connection, with everyone who talks on it."""

    client: _Client
    lock: threading.RLock = field(default_factory=threading.RLock)
    backoff: Backoff = field(default_factory=Backoff)
    users: int = 0


_wires: dict[str, _Wire] = {}  # a serial port can be opened once, whatever hangs on it
_wires_lock = threading.Lock()


class ModbusLine:
    """Registers of one Modbus unit; several units of one line share its connection and its lock.

    Nothing is ever sent twice. After a failure a TCP connection is opened anew before the next
    request, so that a late answer is never taken for the answer to another question. With `hold` false the
    connection is closed after each exchange, for devices that serve one at a time.
    """

    def __init__(
        self, address: str, unit_id: int = 1, *, instrument: str = "", timeout_s: float = 1.0, hold: bool = True
    ) -> None:
        self.address = address
        self.unit_id = unit_id
        self.instrument = instrument
        self.timeout_s = timeout_s
        self._hold = hold
        self._is_tcp = address.startswith("tcp:")
        self._received = b""
        self._tap = Tap(address)
        with _wires_lock:
            if address not in _wires:
                _wires[address] = _Wire(self._client())
            self._wire: _Wire | None = _wires[address]
            self._wire.users += 1

    def read(self, register: int, count: int = 1, *, function: int = 3) -> tuple[int, ...]:
        """`count` holding (`function` 3) or input (4) registers from the 0-based `register` on."""

        def ask(client: _Client) -> tuple[int, ...]:
            read = client.read_holding_registers if function == 3 else client.read_input_registers
            reply = self._checked(read(register, count=count, device_id=self.unit_id), function)
            if len(reply.registers) != count:
                raise self._bad(f"{len(reply.registers)} registers where {count} were asked for")
            return tuple(reply.registers)

        return self._exchange(ask, "read %d from %d, function %d", count, register, function)

    def write(self, register: int, value: int) -> None:
        """Write one holding register (function 6); returns once the device has confirmed it."""

        def tell(client: _Client) -> None:
            reply = self._checked(client.write_register(register, value, device_id=self.unit_id), 6)
            if reply.address != register or list(reply.registers) != [value]:
                raise self._bad("the device confirmed another value or register than was written")

        self._exchange(tell, "write %d to %d", value, register)

    def write_many(self, register: int, values: Sequence[int]) -> None:
        """Write consecutive holding registers (function 16); returns once the device has confirmed it."""

        def tell(client: _Client) -> None:
            reply = self._checked(client.write_registers(register, list(values), device_id=self.unit_id), 16)
            if (reply.address, reply.count) != (register, len(values)):
                raise self._bad("the device confirmed other registers than were written")

        self._exchange(tell, "write %d from %d", len(values), register)

    def read_bits(self, first: int, count: int, *, function: int = 1) -> tuple[bool, ...]:
        """`count` coils (`function` 1) or discrete inputs (2) from the 0-based `first` on."""

        def ask(client: _Client) -> tuple[bool, ...]:
            read = client.read_coils if function == 1 else client.read_discrete_inputs
            reply = self._checked(read(first, count=count, device_id=self.unit_id), function)
            if len(reply.bits) != 8 * ((count + 7) // 8):
                raise self._bad(f"{len(reply.bits)} bits where {count} were asked for")
            return tuple(reply.bits[:count])

        return self._exchange(ask, "read %d bits from %d, function %d", count, first, function)

    def write_coil(self, coil: int, on: bool) -> None:
        """Set one coil (function 5); returns once the device has confirmed it."""

        def tell(client: _Client) -> None:
            reply = self._checked(client.write_coil(coil, on, device_id=self.unit_id), 5)
            if reply.address != coil or list(reply.bits[:1]) != [on]:
                raise self._bad("the device confirmed another coil or state than was written")

        self._exchange(tell, "switch coil %d %s", coil, "on" if on else "off")

    def close(self) -> None:
        """Leave the line; its connection is closed when the last unit has left. May be called twice."""
        if self._wire is None:
            return
        with _wires_lock, self._wire.lock:
            self._wire.users -= 1
            if self._wire.users == 0:
                _close(self._wire.client)
                del _wires[self.address]
        self._wire = None

    def _exchange(self, act: Callable[[_Client], T], what: str, *numbers: object) -> T:
        """Do it with the connected client; any failure becomes a typed error, and the connection is given up.

        `what`, with its numbers, is put together for an error alone.
        """
        if self._wire is None:
            raise Unreachable("the line is closed", instrument=self.instrument, address=self.address)
        wire = self._wire
        with wire.lock:
            self._connect(wire)
            self._received = b""
            wire.client.transaction.trace_packet = self._trace
            wire.client.comm_params.timeout_connect = self.timeout_s
            try:
                return act(wire.client)
            except (ConnectionException, OSError) as error:
                self._tap.noted("lost")
                _close(wire.client)
                wire.backoff.failed()
                said = what % numbers
                raise Unreachable(f"link lost at {said!r}", instrument=self.instrument, address=self.address) from error
            except ModbusException as error:
                self._tap.noted("timeout")
                self._give_up(wire)
                said = what % numbers
                if self._received:
                    raise self._bad(f"no sound answer to {said!r}, but {self._received[:40].hex(' ')}") from error
                raise InstrumentTimeout(
                    f"no answer to {said!r} of unit {self.unit_id} within {self.timeout_s:g} s",
                    instrument=self.instrument,
                    address=self.address,
                    hint="is the unit id right, are the wires A and B the right way round? " + _GARBLED,
                ) from error
            except BadReply:
                self._give_up(wire)
                raise
            finally:
                self._tap.received(self._received)
                if not self._hold:
                    self._give_up(wire)

    def _connect(self, wire: _Wire) -> None:
        if _has_unread(wire.client):
            wire_log.warning("%s: unexpected input thrown away, connecting anew", self.address)
            _close(wire.client)
        if wire.client.connected:
            return
        if (wait_s := wire.backoff.remaining_s()) > 0:
            raise Unreachable(
                f"not connected; next attempt in {wait_s:.1f} s", instrument=self.instrument, address=self.address
            )
        if not wire.client.connect():
            wire.backoff.failed()
            raise Unreachable(
                "cannot connect",
                instrument=self.instrument,
                address=self.address,
                hint="is it switched on, is the address right, does another program hold the port?",
            )
        self._tap.noted("opened")
        wire.backoff.succeeded()

    def _give_up(self, wire: _Wire) -> None:
        # A serial port stays open: closing it stops no late answer, and pymodbus drains it before it sends.
        if isinstance(wire.client, ModbusTcpClient):
            _close(wire.client)

    def _checked(self, reply: ModbusPDU, function: int) -> ModbusPDU:
        if reply.isError():
            code = int(reply.exception_code)
            raise Refused(
                f"unit {self.unit_id} refused: exception {code}, {EXCEPTIONS.get(code, 'unknown')}",
                instrument=self.instrument,
                address=self.address,
                hint="do the register number (0-based), its kind (function 3 or 4) and the count fit the device?",
            )
        if self._is_tcp and not _is_whole(self._received):
            raise self._bad(f"{self._received[:40].hex(' ')}, whose header states another length")
        if reply.function_code != function:
            raise self._bad(f"an answer to function {reply.function_code}, not {function}")
        return reply

    def _bad(self, message: str) -> BadReply:
        return BadReply(message, instrument=self.instrument, address=self.address, hint=_GARBLED)

    def _trace(self, sending: bool, data: bytes) -> bytes:
        if sending:
            self._tap.sent(data)
        else:
            self._received = data  # all of the answer so far
        return data

    def _client(self) -> _Client:
        """The pymodbus client for the address, not connected; it never sends a request twice."""
        parts = urlsplit(self.address)
        try:
            if parts.scheme == "serial" and parts.path:
                settings = {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
                return ModbusSerialClient(
                    parts.path,
                    framer=FramerType.RTU,
                    baudrate=int(settings.pop("baud")),
                    parity=settings.pop("parity", "N"),
                    stopbits=int(settings.pop("stopbits", "1")),
                    timeout=self.timeout_s,
                    retries=0,
                )
            framer, port = {"tcp": (FramerType.SOCKET, 502), "rtu+tcp": (FramerType.RTU, None)}[parts.scheme]
            port = parts.port or port
            if not parts.hostname or port is None:
                raise ValueError("host or port missing")
        except (KeyError, ValueError) as error:
            raise Unreachable(
                f"not an address of a Modbus line ({error})",
                instrument=self.instrument,
                address=self.address,
                hint="tcp://host:502, rtu+tcp://host:port or serial:COM3?baud=9600&parity=N&stopbits=1",
            ) from error
        return ModbusTcpClient(parts.hostname, framer=framer, port=port, timeout=self.timeout_s, retries=0)


def _close(client: _Client) -> None:
    client.close()  # type: ignore[no-untyped-call]


def _is_whole(received: bytes) -> bool:
    """One Modbus TCP frame, or that frame repeated; a byte too many in the middle of it shows at the end."""
    length = 6 + int.from_bytes(received[4:6])
    if length == len(received):
        return True
    frame = received[:length]
    return bool(frame) and received == frame * (len(received) // len(frame))


def _has_unread(client: _Client) -> bool:
    """Whether a TCP connection holds bytes that nobody asked for, or its end."""
    link = client.socket
    return isinstance(link, socket.socket) and bool(select.select([link], [], [], 0)[0])
