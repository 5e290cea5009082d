"""Relay boards and matrices: bytes, read-back, and that two sources never have one cell, whatever the line does."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from drivers.interface import InstrumentError, NotSafe, OutOfRange, Refused, Switch, WrongInstrument
from drivers.modbus_relays import ModbusRelays
from drivers.scpi_switch import Keysight34970Switch, ScpiSwitch
from drivers.simulated.switches import Contacts, SwitchedCell, VirtualModbusRelays, VirtualScpiSwitch
from drivers.simulated.wiring import DriveCurrent, FixedCell, OpenCircuit
from drivers.testing.faults import FaultProxy
from tests.drivers.cases_switches import BOARD, MATRIX


def relays(address: str, **more: Any) -> ModbusRelays:
    return ModbusRelays(address, **({"routes": BOARD, "settle_s": 0.0, "timeout_s": 0.3} | more))


def test_bytes_of_a_relay_board() -> None:
    with VirtualModbusRelays(rtu=True) as board, FaultProxy(board.port) as proxy:
        with relays(proxy.address(board.resource)) as switch:
            proxy.sent.clear()
            switch.connect("source")
            switch.disconnect("source")
        assert [chunk.hex(" ").upper() for chunk in proxy.sent] == [
            "01 01 00 00 00 08 3D CC",  # is the route to the analyser open?
            "01 05 00 00 FF 00 8C 3A",
            "01 05 00 01 FF 00 DD FA",
            "01 01 00 00 00 08 3D CC",  # are both closed?
            "01 05 00 00 00 00 CD CA",
            "01 05 00 01 00 00 9C 0A",
            "01 01 00 00 00 08 3D CC",  # are both open?
        ]


def test_bytes_of_a_matrix() -> None:
    with VirtualScpiSwitch() as mainframe:
        with Keysight34970Switch(mainframe.address, routes=MATRIX, settle_s=0.0) as switch:
            mainframe.received.clear()
            switch.connect("source")
            switch.disconnect("source")
        assert mainframe.received == [
            ":ROUT:CLOS? (@131,142)",
            ":ROUT:CLOS (@111,122)",
            "*OPC?",
            ":SYST:ERR?",
            ":ROUT:CLOS? (@111,122)",
            ":ROUT:OPEN (@111,122)",
            "*OPC?",
            ":SYST:ERR?",
            ":ROUT:CLOS? (@111,122)",
        ]


def test_half_a_route_excludes_too() -> None:
    with VirtualModbusRelays() as board, relays(board.address) as switch:
        board._switch(3, True)  # relay 4, by another program
        assert switch.connected() == {"impedance"}
        with pytest.raises(NotSafe, match="route 'source' was not closed: 'impedance' is not open"):
            switch.connect("source")
        assert board.contacts.closed == {4}


def test_a_cell_and_an_instrument_have_one_route_each() -> None:
    routes = {
        "A1-smu": {"cell": "A1", "to": "smu-1", "relays": [1]},
        "A1-eis": {"cell": "A1", "to": "eis", "relays": [2]},
        "A2-smu": {"cell": "A2", "to": "smu-2", "relays": [3]},
        "A2-eis": {"cell": "A2", "to": "eis", "relays": [4]},
    }
    allowed = {frozenset(pair) for pair in (("A1-smu", "A2-smu"), ("A1-smu", "A2-eis"), ("A1-eis", "A2-smu"))}
    for one, other in itertools.combinations(routes, 2):
        with VirtualModbusRelays() as board, relays(board.address, routes=routes) as switch:
            switch.connect(one)
            if frozenset((one, other)) in allowed:
                switch.connect(other)
                assert switch.connected() == {one, other}
            else:
                with pytest.raises(NotSafe):
                    switch.connect(other)
                assert switch.connected() == {one}


def test_only_inputs_see_a_welded_contact() -> None:
    with (
        VirtualModbusRelays() as board,
        relays(board.address) as blind,
        relays(board.address, read_back="inputs") as seeing,
    ):
        blind.connect("source")
        board.contacts.welded = {1}
        blind.disconnect("source")  # the coil says open
        assert seeing.connected() == {"source"}
        with pytest.raises(NotSafe, match="relay 1 reads back closed"):
            seeing.disconnect("source")
        with pytest.raises(NotSafe):
            seeing.connect("impedance")
        with pytest.raises(NotSafe):
            seeing.make_safe()


def test_a_relay_that_does_not_close_leaves_the_route_open() -> None:
    with VirtualModbusRelays() as board, relays(board.address, read_back="inputs") as switch:
        board.contacts.dead = {2}
        with pytest.raises(NotSafe, match="relay 2 reads back open"):
            switch.connect("source")
        assert board.contacts.closed == frozenset()


@pytest.mark.parametrize("number", range(4))
def test_a_reply_that_is_lost_at_any_step_leaves_the_route_open(number: int) -> None:
    seen = 0

    def swallow_one(chunk: bytes) -> bytes:
        nonlocal seen
        seen += 1
        return b"" if seen == number + 1 else chunk

    with VirtualModbusRelays(rtu=True) as board, FaultProxy(board.port) as proxy:
        with relays(proxy.address(board.resource), timeout_s=0.1) as switch:
            proxy.spoil = swallow_one
            with pytest.raises(InstrumentError):
                switch.connect("source")
            assert board.contacts.closed == frozenset()
        assert sum(request == bytes.fromhex("05 0000 ff00") for request in board.received) <= 1, "not closed twice"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"routes": {}}, "there is none"),
        ({"routes": {"a": {"cell": "A1", "to": "smu"}}}, r"routes\.a\.relays"),
        ({"routes": {"a": {"cell": "A1", "to": "smu", "relays": []}}}, r"routes\.a\.relays"),
        ({"routes": {"a": {"cell": "A1", "to": "smu", "relays": [9]}}}, "there is no relay 9"),
        ({"routes": {"a": {"cell": "A1", "to": "smu", "relays": [1], "pole": 2}}}, r"routes\.a\.pole"),
        (
            {"routes": {**BOARD, "b": {"cell": "A2", "to": "x", "relays": [4]}}},
            "relay 4 is in route 'impedance' already",
        ),
        ({"relay_count": 0, "routes": BOARD}, "there is no relay 1"),
        ({"settle_s": -1.0}, "settle_s"),
        ({"read_back": "hope"}, "coils or inputs"),
        ({"unit_id": 300}, "unit_id 300"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OutOfRange, match=message):
        relays("tcp://192.0.2.1", **settings)


def test_a_matrix_without_the_card_is_told_when_it_is_opened() -> None:
    with VirtualScpiSwitch(channels=range(101, 121)) as mainframe, pytest.raises(InstrumentError):
        Keysight34970Switch(mainframe.address, routes=MATRIX, timeout_s=0.3)


def test_a_refusal_of_the_matrix_is_told() -> None:
    with VirtualScpiSwitch() as mainframe, Keysight34970Switch(mainframe.address, routes=MATRIX) as switch:
        mainframe.channels = frozenset({131, 142})
        with pytest.raises(Refused, match="-222 Data out of range"):
            switch.connect("source")


def test_a_plain_switch_is_known_by_its_setting() -> None:
    with VirtualScpiSwitch() as mainframe:
        with ScpiSwitch(mainframe.address, routes=MATRIX, identity="hewlett-packard") as switch:
            assert isinstance(switch, Switch)
        with pytest.raises(WrongInstrument, match="not what the setting 'identity' says"):
            ScpiSwitch(mainframe.address, routes=MATRIX, identity="ACME,")
    with pytest.raises(OutOfRange, match="setting identity"):
        ScpiSwitch("TCPIP::192.0.2.1::5025::SOCKET", routes=MATRIX, identity="(")


def test_a_cell_behind_contacts_is_seen_by_one_port() -> None:
    contacts, cell = Contacts(), FixedCell(emf_V=3.0, resistance_ohm=10.0)
    switched = SwitchedCell(cell, contacts, {"smu": (1, 2), "eis": (3, 4)})
    smu, eis = switched.ports["smu"], switched.ports["eis"]
    smu.drive(DriveCurrent(0.1, 0.0, 5.0))
    assert smu.terminals() == (0.0, 0.0) and abs(eis.impedance(1.0)) > 1e9
    for relay in (1, 2):
        contacts.tell(relay, True)
    assert smu.terminals() == pytest.approx((4.0, 0.1)) and eis.terminals() == (0.0, 0.0)
    smu.drive(OpenCircuit())
    assert smu.terminals() == (3.0, 0.0)
    assert switched.together == 0
    contacts.tell(3, True)
    assert switched.together == 1
