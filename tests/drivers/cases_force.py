"""Contract cases: force gauges and the meter on serial lines, and load cells by profile."""

from __future__ import annotations

from drivers.interface import ForceGauge, Instrument, ResistanceMeter
from drivers.line_stream import LineStream
from drivers.load_cell_profile import LoadCellByProfile
from drivers.mantracourt import MantracourtAscii
from drivers.mt_sics import MtSicsBalance
from drivers.serial_adc import SerialAdc
from drivers.simulated.force_lines import VirtualLineStream, VirtualMantracourt, VirtualMtSics, VirtualSerialAdc
from drivers.simulated.modbus_load_cell import LoadCellMap, VirtualModbusLoadCell
from drivers.simulated.wiring import FixedCell
from drivers.testing import Case, checksummed, modbus_tcp_registers, text_of_fixed_width

TIMEOUT_S = 0.3
EAGLE = LoadCellMap(value=0x2000, dtype="float32", counts_per_N=1 / 9.80665, status=None, command=None, size=0x2010)


def read_force(driver: Instrument) -> object:
    assert isinstance(driver, ForceGauge)
    return driver.read_force()


def read_1(meter: Instrument) -> object:
    assert isinstance(meter, ResistanceMeter)
    return meter.read_resistances([1])[1]


CASES = [
    Case(
        name="mantracourt-ascii",
        virtual=lambda: VirtualMantracourt({1: lambda: 123.456}),
        open=lambda address: MantracourtAscii(address, capacity_N=1000.0, timeout_s=TIMEOUT_S),
        exchange=read_force,
        roles=(Instrument, ForceGauge),
    ),
    Case(
        name="mt-sics",
        virtual=lambda: VirtualMtSics(lambda: 12.34),
        open=lambda address: MtSicsBalance(address, timeout_s=TIMEOUT_S),
        exchange=read_force,
        roles=(Instrument, ForceGauge),
        undetectable=text_of_fixed_width,
    ),
    Case(
        name="line-stream",
        virtual=lambda: VirtualLineStream(lambda: 12.34, rate_Hz=100.0),
        open=lambda address: LineStream(address, capacity_N=100.0, boot_s=0.6, timeout_s=TIMEOUT_S),
        exchange=read_force,
        roles=(Instrument, ForceGauge),
        undetectable=checksummed,
    ),
    Case(
        name="serial-adc",
        virtual=lambda: VirtualSerialAdc({1: FixedCell(), 2: FixedCell()}),
        open=lambda address: SerialAdc(address, reference_ohm=100e3, boot_s=0.6, timeout_s=TIMEOUT_S),
        exchange=read_1,
        roles=(Instrument, ResistanceMeter),
        undetectable=checksummed,
    ),
    Case(
        name="modbus-load-cell-profile",
        virtual=lambda: VirtualModbusLoadCell(lambda: 123.45, EAGLE),
        open=lambda address: LoadCellByProfile(
            address, profile="eagle-ei-1000", capacity_N=2000.0, timeout_s=TIMEOUT_S
        ),
        exchange=read_force,
        roles=(Instrument, ForceGauge),
        undetectable=modbus_tcp_registers,
    ),
]
