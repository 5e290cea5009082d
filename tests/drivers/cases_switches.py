"""Contract cases: relay boards and matrices."""

from __future__ import annotations

from drivers.interface import Instrument, Switch
from drivers.modbus_relays import ModbusRelays
from drivers.scpi_switch import Keysight34970Switch, ScpiSwitch
from drivers.simulated.switches import VirtualModbusRelays, VirtualScpiSwitch
from drivers.testing import Case, Start, checksummed

BOARD = {
    "source": {"cell": "A1", "to": "smu", "relays": [1, 2]},
    "impedance": {"cell": "A1", "to": "eis", "relays": [3, 4]},
}
MATRIX = {
    "source": {"cell": "A1", "to": "smu", "relays": [111, 122]},
    "impedance": {"cell": "A1", "to": "eis", "relays": [131, 142]},
}


def connect(driver: Instrument) -> object:
    assert isinstance(driver, Switch)
    return driver.connect("source")


CASES = [
    Case(
        name="modbus-relays",
        virtual=lambda: VirtualModbusRelays(rtu=True),
        open=lambda address: ModbusRelays(address, routes=BOARD, settle_s=0.0, timeout_s=0.3),
        exchange=lambda driver: driver.identify(),
        roles=(Instrument, Switch),
        start=Start(connect, rb"(?s)\x05..\xff\x00"),
        undetectable=checksummed,
    ),
    Case(
        name="scpi-switch",
        virtual=VirtualScpiSwitch,
        open=lambda address: ScpiSwitch(
            address, routes=MATRIX, identity="HEWLETT-PACKARD,34970A", settle_s=0.0, timeout_s=0.3
        ),
        exchange=lambda driver: driver.identify(),
        roles=(Instrument, Switch),
        start=Start(connect, rb":ROUT:CLOS \("),
    ),
    Case(
        name="keysight-34970a-switch",
        virtual=VirtualScpiSwitch,
        open=lambda address: Keysight34970Switch(address, routes=MATRIX, settle_s=0.0, timeout_s=0.3),
        exchange=lambda driver: driver.identify(),
        roles=(Instrument, Switch),
        start=Start(connect, rb":ROUT:CLOS \("),
    ),
]
