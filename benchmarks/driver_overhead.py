"""What our drivers cost beside the libraries beneath: the same query through the driver and without it."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import struct
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import pyvisa
import serial
from pymodbus.client import ModbusTcpClient

from benchmarks.table import show
from drivers.keithley2450 import Keithley2450
from drivers.mantracourt import MantracourtAscii
from drivers.modbus_load_cell import ModbusLoadCell
from drivers.simulated.keithley2450 import VirtualKeithley2450
from drivers.simulated.modbus_load_cell import LoadCellMap, VirtualModbusLoadCell
from drivers.simulated.wiring import FixedCell

ROUNDS = 40
QUERIES = 50  # in each round, with and without the driver in turn
TARGET = 0.15


def host_instruments(link: Connection) -> None:
    """In a process of its own, so that it takes no time from the one that is measured."""
    source = VirtualKeithley2450(FixedCell())
    gauge = VirtualModbusLoadCell(lambda: 123.4, LoadCellMap(value=0, dtype="float32", status=None, command=None))
    with source, gauge:
        link.send((source.address, gauge.host, gauge.port, gauge.address, serial_gauge()))
        link.recv()


def serial_gauge() -> str:
    """The name of a pseudo-terminal with a force gauge at its other end; '' where there are none (Windows)."""
    if not hasattr(os, "openpty"):
        return ""
    import tty

    ours, theirs = os.openpty()
    tty.setraw(theirs)

    def answer() -> None:
        while chunk := os.read(ours, 64):
            if chunk.endswith(b"\r"):
                os.write(ours, b"+00123.400\r")

    threading.Thread(target=answer, daemon=True).start()
    return os.ttyname(theirs)


def median_s(use: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """The median time of one call of each, measured in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for kept, call in zip(times, (use, other), strict=True):
            began = time.perf_counter()
            for _ in range(QUERIES):
                call()
            kept.append((time.perf_counter() - began) / QUERIES)
    return statistics.median(times[0]), statistics.median(times[1])


def scpi(address: str) -> tuple[float, float]:
    bare = pyvisa.ResourceManager("@py").open_resource(address, read_termination="\n", write_termination="\n")
    assert isinstance(bare, pyvisa.resources.MessageBasedResource)
    with Keithley2450(address) as driver:
        times = median_s(lambda: driver.voltage_limit, lambda: float(bare.query(":SOUR:CURR:VLIM?")))
    bare.close()
    return times


def modbus(host: str, port: int, address: str) -> tuple[float, float]:
    bare = ModbusTcpClient(host, port=port)
    bare.connect()  # type: ignore[no-untyped-call]

    def read() -> float:
        high, low = bare.read_holding_registers(0, count=2).registers
        return float(struct.unpack(">f", struct.pack(">HH", high, low))[0])

    with ModbusLoadCell(address, register=0, dtype="float32", capacity_N=2000.0) as driver:
        times = median_s(driver.read_force, read)
    bare.close()  # type: ignore[no-untyped-call]
    return times


def serial_line(port: str) -> tuple[float, float]:
    with serial.Serial(port, 115200, timeout=1.0) as bare:

        def read() -> float:
            bare.write(b"!001:SYS?\r")
            return float(bare.read_until(b"\r"))

        with MantracourtAscii(port, capacity_N=2000.0) as driver:
            return median_s(driver.read_force, read)


def main() -> None:
    context = multiprocessing.get_context("spawn")
    link, theirs = context.Pipe()
    process = context.Process(target=host_instruments, args=(theirs,), daemon=True)
    process.start()
    source, host, port, gauge, terminal = link.recv()
    measured = [
        ("Keithley 2450, one query (PyVISA)", scpi(source)),
        ("Modbus load cell, one force (pymodbus)", modbus(host, port, gauge)),
    ]
    if terminal:
        measured.append(("Mantracourt, one force (pyserial)", serial_line(terminal)))
    rows = []
    for name, (with_driver, without) in measured:
        cost = f"{100 * (with_driver / without - 1):+.1f} %"
        rows.append((name, f"{1e6 * with_driver:.0f}", f"{1e6 * without:.0f}", cost, f"< {100 * TARGET:.0f} %"))
    link.send(None)
    process.join()
    show("Drivers beside bare libraries", ("", "driver / µs", "bare / µs", "cost", "target"), rows)


if __name__ == "__main__":
    main()
