"""A virtual load-cell transmitter with Modbus TCP or RTU."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

from drivers.simulated.modbus import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE, VirtualModbus, refusal


@dataclass(frozen=True)
class LoadCellMap:
    """Where a transmitter keeps what (0-based registers), and how it writes a number."""

    value: int = 7
    dtype: str = "int32"
    word_order: str = "big"
    byte_order: str = "big"
    counts_per_N: float = 1.0  # of the number, before `decimals`
    decimals: int = 0
    decimals_register: int | None = None
    status: int | None = 6
    overload_bit: int = 3
    sign_bit: int | None = None  # numbers are magnitudes, their sign is this bit of the status
    command: int | None = 5
    tare_value: int = 1
    size: int = 64  # registers that exist: 0 … size - 1


class VirtualModbusLoadCell(VirtualModbus):
    """Answers functions 3, 4, 6 and 16; the force in N is asked of `force()` at each request.

    At 1.1 times `capacity_N` and beyond it sets its overload bit and sends its number's last value
    (float32: infinity).
    """

    def __init__(
        self,
        force: Callable[[], float],
        registers: LoadCellMap = LoadCellMap(),
        *,
        unit_id: int = 1,
        capacity_N: float = 2000.0,
        rtu: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(unit_id=unit_id, rtu=rtu, host=host, port=port)
        self.force, self.map, self.capacity_N = force, registers, capacity_N
        self.tare_N = 0.0
        self.written: list[tuple[int, int]] = []

    def answer(self, request: bytes) -> bytes:
        """The answer to one protocol data unit (function code and data)."""
        function = request[0]
        if function not in (3, 4, 6, 16):
            return refusal(function, ILLEGAL_FUNCTION)
        first, second = struct.unpack(">HH", request[1:5])
        count = 1 if function == 6 else second
        if function != 6 and not 1 <= count <= 125:
            return refusal(function, ILLEGAL_VALUE)
        if first + count > self.map.size:
            return refusal(function, ILLEGAL_ADDRESS)
        if function in (3, 4):
            registers = self._registers()
            data = b"".join(registers.get(first + i, 0).to_bytes(2, "big") for i in range(count))
            return bytes([function, len(data)]) + data
        values = [second] if function == 6 else struct.unpack(f">{count}H", request[6 : 6 + 2 * count])
        for register, value in enumerate(values, start=first):
            self._write(register, value)
        return request[:5]

    def _write(self, register: int, value: int) -> None:
        self.written.append((register, value))
        if register == self.map.command and value == self.map.tare_value:
            self.tare_N = self.force()

    def _registers(self) -> dict[int, int]:
        force = self.force()
        overload = abs(force) > 1.1 * self.capacity_N
        net = force - self.tare_N
        status = overload << self.map.overload_bit
        if self.map.sign_bit is not None:
            status |= (net < 0) << self.map.sign_bit
            net = abs(net)
        registers = dict(enumerate(self._words(net, overload), start=self.map.value))
        if self.map.status is not None:
            registers[self.map.status] = status
        if self.map.decimals_register is not None:
            registers[self.map.decimals_register] = self.map.decimals
        return registers

    def _words(self, force: float, overload: bool) -> list[int]:
        number = force * self.map.counts_per_N * 10**self.map.decimals
        if self.map.dtype == "float32":
            packed = struct.pack(">f", math.copysign(math.inf, force) if overload else number)
        else:
            bits, code = {"int16": (15, ">h"), "int32": (31, ">i")}[self.map.dtype]
            packed = struct.pack(code, (2**bits - 1 if force > 0 else -(2**bits)) if overload else round(number))
        words = [packed[i : i + 2] for i in range(0, len(packed), 2)]
        if self.map.word_order == "little":
            words.reverse()
        return [int.from_bytes(word, "big" if self.map.byte_order == "big" else "little") for word in words]
