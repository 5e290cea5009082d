"""Contract cases: the Solartron pair, the Modbus load cell, the SIMSERV chamber and the simulated press."""

from __future__ import annotations

from drivers.interface import (
    Chamber,
    ForceGauge,
    ImpedanceSource,
    Instrument,
    Press,
    SensorPress,
    Sweep,
    Thermometer,
)
from drivers.modbus_load_cell import ModbusLoadCell
from drivers.simserv import SimServChamber
from drivers.simulated.cell import SensorParameters
from drivers.simulated.clock import ManualClock, ScaledClock
from drivers.simulated.modbus_load_cell import LoadCellMap, VirtualModbusLoadCell
from drivers.simulated.press import VirtualPress as SimulatedPress
from drivers.simulated.press import VirtualPressDrive
from drivers.simulated.simserv import VirtualSimServ
from drivers.simulated.solartron import VirtualSolartron
from drivers.simulated.wiring import FixedCell
from drivers.solartron import SolartronImpedance
from drivers.testing import Case, Start, checksummed, modbus_tcp_registers
from drivers.virtual_press import VirtualPress

FLOAT_MAP = LoadCellMap(value=7, dtype="float32", status=6, overload_bit=3, command=5)


def open_load_cell(address: str) -> ModbusLoadCell:
    return ModbusLoadCell(
        address,
        register=7,
        dtype="float32",
        status_register=6,
        overload_mask=1 << 3,
        tare_register=5,
        capacity_N=2000.0,
        timeout_s=0.3,
    )


def read_force(driver: Instrument) -> object:
    assert isinstance(driver, ForceGauge)
    return driver.read_force()


def read_temperature(driver: Instrument) -> object:
    assert isinstance(driver, Thermometer)
    return driver.read_temperature_degC()


SPEED = 1e4


class QuickSolartron(SolartronImpedance):
    """The driver with a test's patience."""

    point_margin_s = 0.2


def open_solartron(address: str) -> SolartronImpedance:
    return QuickSolartron(address, write_wait_s=0.0, timeout_s=0.3, patience_s=2.0, speed=SPEED)


def spectrum(driver: Instrument) -> object:
    assert isinstance(driver, ImpedanceSource)
    return [point.impedance_ohm for point in driver.sweep(Sweep((1000.0, 100.0), amplitude_rms_V=0.01))]


CASES = [
    Case(
        name="solartron-1260-1287",
        virtual=lambda: VirtualSolartron(FixedCell(), ScaledClock(speed=SPEED)),
        open=open_solartron,
        exchange=lambda driver: driver.identify(),
        roles=(Instrument, ImpedanceSource),
        start=Start(spectrum, rb"PW1"),
    ),
    Case(
        name="simserv",
        virtual=lambda: VirtualSimServ(ManualClock(), start_s=0.0),
        open=lambda address: SimServChamber(
            address, temperature_min_degC=-20.0, temperature_max_degC=80.0, start_wait_s=0.01, timeout_s=0.3
        ),
        exchange=read_temperature,
        roles=(Instrument, Thermometer, Chamber),
    ),
    Case(
        name="modbus-load-cell",
        virtual=lambda: VirtualModbusLoadCell(lambda: 123.45, FLOAT_MAP),
        open=open_load_cell,
        exchange=read_force,
        roles=(Instrument, ForceGauge),
        undetectable=modbus_tcp_registers,
    ),
    Case(
        name="modbus-load-cell, RTU",
        virtual=lambda: VirtualModbusLoadCell(lambda: 123.45, FLOAT_MAP, rtu=True),
        open=open_load_cell,
        exchange=read_force,
        roles=(Instrument, ForceGauge),
        undetectable=checksummed,
    ),
    Case(
        name="virtual-press",
        virtual=lambda: VirtualPressDrive(SimulatedPress({"s1": SensorParameters()}, ManualClock()), ManualClock()),
        open=lambda address: VirtualPress(address, timeout_s=0.3),
        exchange=lambda driver: driver.identify(),
        roles=(Instrument, Press, SensorPress),
    ),
]
