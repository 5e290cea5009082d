"""The Modbus load cell: bytes on the wire, register maps, overloads and faults."""

from __future__ import annotations

import math
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from drivers.interface import (
    BadReply,
    ForceGauge,
    InstrumentError,
    InstrumentTimeout,
    NoReading,
    OutOfRange,
    Refused,
    Unreachable,
)
from drivers.modbus_load_cell import ModbusLoadCell
from drivers.simulated.modbus import crc16
from drivers.simulated.modbus_load_cell import LoadCellMap, VirtualModbusLoadCell
from drivers.testing.faults import FaultProxy, cut_after, double, dribble, garble, swallow

GOLDEN = 0x42F6E666  # 123.45 as IEEE 754 single


@contextmanager
def device(answer: Callable[[bytes], bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """A bare TCP peer: what it received, and for each message the bytes of `answer`."""
    received: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def talk() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                while message := peer.recv(1024):
                    received.append(message)
                    peer.sendall(answer(message))

    threading.Thread(target=talk, daemon=True).start()
    try:
        yield listener.getsockname()[1], received
    finally:
        listener.close()


def rtu(*body: int) -> bytes:
    return bytes(body) + crc16(bytes(body))


def test_crc_is_that_of_the_serial_line_specification() -> None:
    assert crc16(bytes.fromhex("01 03 00 00 00 0A")) == bytes.fromhex("C5 CD")


def test_rtu_bytes_on_the_wire() -> None:
    reply = rtu(0x11, 3, 4, 0x42, 0xF6, 0xE6, 0x66)
    with (
        device(lambda _: reply) as (port, received),
        ModbusLoadCell(
            f"rtu+tcp://127.0.0.1:{port}", unit_id=0x11, register=0x1000, dtype="float32", capacity_N=200
        ) as cell,
    ):
        received.clear()
        assert cell.read_force() == pytest.approx(123.45, abs=1e-5)
        assert received == [bytes.fromhex("11 03 10 00 00 02 C2 5B")]


def test_tcp_bytes_on_the_wire() -> None:
    def answer(request: bytes) -> bytes:
        return request[:4] + bytes([0, 5, 7, 4, 2, 0x30, 0x39])

    with (
        device(answer) as (port, received),
        ModbusLoadCell(
            f"tcp://127.0.0.1:{port}",
            unit_id=7,
            function=4,
            register=9,
            dtype="int16",
            scale=0.01,
            unit="kgf",
            capacity_N=2000,
        ) as cell,
    ):
        assert cell.read_force() == pytest.approx(123.45 * 9.80665)
        assert [message[2:] for message in received] == [bytes.fromhex("0000 0006 07 04 0009 0001")] * 2
        assert received[0][:2] != received[1][:2], "each request has a transaction number of its own"


@pytest.mark.parametrize(
    ("word_order", "byte_order", "registers"),
    [
        ("big", "big", (0x42F6, 0xE666)),
        ("little", "big", (0xE666, 0x42F6)),
        ("big", "little", (0xF642, 0x66E6)),
        ("little", "little", (0x66E6, 0xF642)),
    ],
)
@pytest.mark.parametrize("over_rtu", [False, True])
def test_all_four_orders_of_a_float(
    word_order: Any, byte_order: Any, registers: tuple[int, int], over_rtu: bool
) -> None:
    assert struct.pack(">f", 123.45) == GOLDEN.to_bytes(4, "big")
    layout = LoadCellMap(value=20, dtype="float32", word_order=word_order, byte_order=byte_order)
    with VirtualModbusLoadCell(lambda: 123.45, layout, rtu=over_rtu) as virtual:
        assert virtual.answer(bytes([3, 0, 20, 0, 2])) == bytes([3, 4]) + struct.pack(">HH", *registers)
        with ModbusLoadCell(
            virtual.address,
            register=20,
            dtype="float32",
            word_order=word_order,
            byte_order=byte_order,
            capacity_N=2000,
        ) as cell:
            assert isinstance(cell, ForceGauge)
            assert cell.read_force() == pytest.approx(123.45, rel=1e-7)


@pytest.mark.parametrize("dtype", ["int16", "int32"])
@pytest.mark.parametrize("force", [123.45, -123.45, 0.0])
def test_integers_with_decimals(dtype: Any, force: float) -> None:
    layout = LoadCellMap(value=10, dtype=dtype, decimals=2, decimals_register=30)
    with (
        VirtualModbusLoadCell(lambda: force, layout) as virtual,
        ModbusLoadCell(virtual.address, register=10, dtype=dtype, decimals_register=30, capacity_N=2000) as cell,
    ):
        assert cell.read_force() == pytest.approx(force, abs=1e-9)


def test_sign_in_the_status_register() -> None:
    layout = LoadCellMap(value=7, dtype="int32", status=6, sign_bit=7)
    settings: dict[str, Any] = {"register": 7, "status_register": 6, "overload_mask": 0x3F, "capacity_N": 2000}
    with VirtualModbusLoadCell(lambda: -500.0, layout) as virtual:
        with ModbusLoadCell(virtual.address, **settings) as naive:
            assert naive.read_force() == 500.0
        with ModbusLoadCell(virtual.address, negative_mask=1 << 7, **settings) as cell:
            assert cell.read_force() == -500.0


def test_scale_offset_and_unit() -> None:
    with (
        VirtualModbusLoadCell(lambda: 1000.0, LoadCellMap(value=10, dtype="int32")) as virtual,
        ModbusLoadCell(virtual.address, register=10, scale=0.1, offset=-3.0, unit="kgf", capacity_N=2000) as cell,
    ):
        assert cell.read_force() == pytest.approx((1000 * 0.1 - 3.0) * 9.80665)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
@pytest.mark.parametrize("sign", [1, -1])
def test_overload_is_no_number(dtype: Any, sign: int) -> None:
    load = 0.0
    with (
        VirtualModbusLoadCell(lambda: load, LoadCellMap(dtype=dtype), capacity_N=100) as virtual,
        ModbusLoadCell(virtual.address, register=7, dtype=dtype, capacity_N=100) as by_number,
        ModbusLoadCell(
            virtual.address, register=7, dtype=dtype, capacity_N=1e9, status_register=6, overload_mask=8
        ) as by_status,
    ):
        load = sign * 111.0
        assert by_number.read_force() is NoReading.OVERLOAD
        assert by_status.read_force() is NoReading.OVERLOAD
        load = sign * 109.0
        assert by_number.read_force() == pytest.approx(load)
        assert by_status.read_force() == pytest.approx(load)


def test_a_force_beyond_one_and_a_half_times_the_capacity_is_no_number() -> None:
    load = 150.0
    with (
        VirtualModbusLoadCell(lambda: load, LoadCellMap(dtype="float32"), capacity_N=1e6) as virtual,
        ModbusLoadCell(virtual.address, register=7, dtype="float32", capacity_N=100) as cell,
    ):
        assert cell.read_force() == 150.0
        load = 150.1
        assert cell.read_force() is NoReading.OVERLOAD


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (math.nan, NoReading.NOT_AVAILABLE),
        (math.inf, NoReading.OVERLOAD),
        (-math.inf, NoReading.OVERLOAD),
    ],
)
def test_floats_that_are_no_numbers(number: float, expected: NoReading) -> None:
    with (
        VirtualModbusLoadCell(lambda: number, LoadCellMap(dtype="float32"), capacity_N=math.inf) as virtual,
        ModbusLoadCell(virtual.address, register=7, dtype="float32", capacity_N=100) as cell,
    ):
        assert cell.read_force() is expected


def test_a_missing_valid_bit_is_no_reading() -> None:
    with (
        VirtualModbusLoadCell(lambda: 5.0, LoadCellMap(dtype="float32")) as virtual,
        ModbusLoadCell(
            virtual.address, register=7, dtype="float32", status_register=6, valid_mask=2, capacity_N=100
        ) as cell,
    ):
        assert cell.read_force() is NoReading.NOT_AVAILABLE


def test_tare_is_written_once_and_confirmed() -> None:
    with VirtualModbusLoadCell(lambda: 40.0, LoadCellMap(dtype="float32", tare_value=7)) as virtual:
        with ModbusLoadCell(
            virtual.address, register=7, dtype="float32", tare_register=5, tare_value=7, capacity_N=100
        ) as cell:
            assert cell.read_force() == 40.0
            cell.tare()
            assert virtual.written == [(5, 7)]
            assert cell.read_force() == 0.0
        with (
            ModbusLoadCell(virtual.address, register=7, dtype="float32", capacity_N=100) as bare,
            pytest.raises(Refused, match="no tare register"),
        ):
            bare.tare()


def test_the_virtual_transmitter_knows_its_exceptions() -> None:
    virtual = VirtualModbusLoadCell(lambda: 0.0)
    assert virtual.answer(bytes([1, 0, 0, 0, 1])) == bytes([0x81, 1])
    assert virtual.answer(bytes([3, 0, 64, 0, 1])) == bytes([0x83, 2])
    assert virtual.answer(bytes([3, 0, 0, 0, 126])) == bytes([0x83, 3])
    assert virtual.answer(bytes([16, 0, 5, 0, 1, 2, 0, 9])) == bytes([16, 0, 5, 0, 1])
    virtual.stop()


@pytest.mark.parametrize(
    ("code", "name"), [(1, "illegal function"), (2, "illegal data address"), (3, "illegal data value")]
)
def test_exceptions_are_refusals_with_a_name(code: int, name: str) -> None:
    with device(lambda _: rtu(1, 0x83, code)) as (port, _), pytest.raises(Refused) as refusal:
        ModbusLoadCell(f"rtu+tcp://127.0.0.1:{port}", register=7, capacity_N=100)
    assert f"exception {code}, {name}" in str(refusal.value)
    assert "function 3 or 4" in str(refusal.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"unit_id": 0},
        {"unit_id": 248},
        {"function": 5},
        {"register": -1},
        {"dtype": "float64"},
        {"unit": "oz"},
        {"word_order": "middle"},
        {"byte_order": "BIG"},
        {"capacity_N": 0},
        {"capacity_N": math.nan},
        {"scale": 0},
        {"scale": math.nan},
        {"overload_mask": 1},
    ],
)
def test_settings_are_checked_before_anything_is_sent(settings: dict[str, Any]) -> None:
    with device(lambda _: b"") as (port, received), pytest.raises(OutOfRange):
        ModbusLoadCell(f"tcp://127.0.0.1:{port}", **({"register": 7, "capacity_N": 100} | settings))
    assert received == []


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "udp://127.0.0.1:502", "rtu+tcp://127.0.0.1", "serial:COM3", "serial:?baud=9600", "tcp://host:x"],
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(Unreachable, match="not an address"):
        ModbusLoadCell(address, register=7, capacity_N=100)


def test_nobody_listens() -> None:
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with pytest.raises(Unreachable, match="cannot connect"):
        ModbusLoadCell(f"tcp://127.0.0.1:{port}", register=7, capacity_N=100)


@contextmanager
def behind_proxy(over_rtu: bool, timeout_s: float = 0.15) -> Iterator[tuple[ModbusLoadCell, FaultProxy]]:
    with VirtualModbusLoadCell(lambda: 42.0, LoadCellMap(dtype="float32"), rtu=over_rtu) as virtual:
        proxy = FaultProxy(virtual.port)
        try:
            with ModbusLoadCell(proxy.address(virtual.resource), register=7, dtype="float32", capacity_N=100) as cell:
                cell._line.timeout_s = timeout_s
                yield cell, proxy
        finally:
            proxy.close()


@pytest.mark.parametrize(
    ("over_rtu", "spoil", "error"),
    [
        (False, swallow, InstrumentTimeout),
        (True, swallow, InstrumentTimeout),
        (False, garble, BadReply),
        (True, garble, BadReply),
        (False, cut_after(0), Unreachable),
        (True, cut_after(5), (BadReply, Unreachable)),
        (True, lambda _: rtu(1, 3, 2, 0, 7), BadReply),
        (True, lambda _: rtu(9, 3, 4, 0, 0, 0, 0), BadReply),
        (True, lambda _: rtu(1, 4, 4, 0, 0, 0, 0), BadReply),
    ],
    ids=[
        "tcp",
        "rtu",
        "tcp garbled",
        "rtu garbled",
        "cut",
        "cut short",
        "few registers",
        "other unit",
        "other function",
    ],
)
def test_faults_are_typed_and_the_next_reading_is_good(over_rtu: bool, spoil: Any, error: Any) -> None:
    with behind_proxy(over_rtu) as (cell, proxy):
        proxy.spoil = spoil
        sent = len(proxy.sent)
        with pytest.raises(error) as caught:
            cell.read_force()
        assert len(proxy.sent) == sent + 1, "nothing is sent twice"
        assert str(proxy.proxy_port) in str(caught.value)
        if isinstance(caught.value, BadReply):
            assert "baud rate" in str(caught.value)
        proxy.spoil = None
        assert patiently(cell.read_force) == 42.0


@pytest.mark.parametrize("over_rtu", [False, True])
@pytest.mark.parametrize("spoil", [dribble, double])
def test_slow_and_doubled_answers_are_read_right(over_rtu: bool, spoil: Any) -> None:
    with behind_proxy(over_rtu, timeout_s=2.0) as (cell, proxy):
        proxy.spoil = spoil
        assert [cell.read_force() for _ in range(5)] == [42.0] * 5


@pytest.mark.parametrize("over_rtu", [False, True])
def test_a_late_answer_is_never_taken_for_another_ones(over_rtu: bool) -> None:
    forces = iter([0.0, 1.0, 2.0, 3.0])

    def slow_once(chunk: bytes) -> bytes:
        time.sleep(0.6 if proxy.spoil is slow_once else 0)
        proxy.spoil = None
        return chunk

    with VirtualModbusLoadCell(lambda: next(forces), LoadCellMap(dtype="float32"), rtu=over_rtu) as virtual:
        proxy = FaultProxy(virtual.port)
        with ModbusLoadCell(proxy.address(virtual.resource), register=7, dtype="float32", capacity_N=100) as cell:
            cell._line.timeout_s = 0.15
            proxy.spoil = slow_once
            with pytest.raises(InstrumentTimeout):
                cell.read_force()
            time.sleep(0.6)
            cell._line.timeout_s = 1.0
            assert cell.read_force() == 2.0
        proxy.close()


def test_two_units_share_one_line() -> None:
    with VirtualModbusLoadCell(lambda: 42.0, LoadCellMap(dtype="float32"), rtu=True) as virtual:
        proxy = FaultProxy(virtual.port)
        settings: dict[str, Any] = {"register": 7, "dtype": "float32", "capacity_N": 100}
        first = ModbusLoadCell(proxy.address(virtual.resource), **settings)
        second = ModbusLoadCell(proxy.address(virtual.resource), **settings)
        assert first._line._wire is second._line._wire
        first.close()
        first.close()
        assert second.read_force() == 42.0
        second.close()
        with pytest.raises(Unreachable, match="closed"):
            second.read_force()
        proxy.close()


def test_rtu_noise_gets_no_answer() -> None:
    virtual = VirtualModbusLoadCell(lambda: 42.0, LoadCellMap(dtype="float32"), unit_id=2, rtu=True)
    bad_crc = bytearray(bytes.fromhex("02 03 00 07 00 02 00 00"))
    assert virtual.take_rtu(bad_crc) == b""
    assert virtual.take_rtu(bytearray(rtu(3, 3, 0, 7, 0, 2))) == b"", "another unit's request"
    assert virtual.take_rtu(bytearray(b"\x02\x03")) is None
    virtual.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_rtu_on_a_serial_port() -> None:
    controller, line = os.openpty()
    virtual = VirtualModbusLoadCell(lambda: -123.45, LoadCellMap(dtype="float32"), unit_id=3, rtu=True)

    def talk() -> None:
        pending = bytearray()
        while True:
            try:
                pending += os.read(controller, 256)
            except OSError:
                return
            while (reply := virtual.take_rtu(pending)) is not None:
                os.write(controller, reply)

    threading.Thread(target=talk, daemon=True).start()
    with ModbusLoadCell(
        f"serial:{os.ttyname(line)}?baud=38400&stopbits=1",
        unit_id=3,
        register=7,
        dtype="float32",
        capacity_N=200,
        timeout_s=0.5,
    ) as cell:
        assert [cell.read_force() for _ in range(3)] == [pytest.approx(-123.45, rel=1e-6)] * 3
        virtual.unit_id = 9
        with pytest.raises(InstrumentTimeout, match="unit 3"):
            cell.read_force()
        virtual.unit_id = 3
        assert cell.read_force() == pytest.approx(-123.45, rel=1e-6)
    os.close(line)
    os.close(controller)
    virtual.stop()


def patiently(read: Callable[[], float | NoReading], patience_s: float = 3.0) -> float | NoReading:
    """`read()`, again while the link backs off."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return read()
        except InstrumentError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
