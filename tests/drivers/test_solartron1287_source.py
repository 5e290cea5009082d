"""The 1287 by itself: what it is told, in which order, and what becomes of the cell."""

from __future__ import annotations

import pytest

from drivers.interface import BadReply, Current, NotSafe, OutOfRange, Protection, Voltage
from drivers.simulated.clock import ScaledClock
from drivers.simulated.solartron import IL_AMPERES, VirtualSolartron
from drivers.simulated.wiring import FixedCell
from drivers.solartron1287 import Solartron1287
from drivers.solartron1287_source import Solartron1287Source

WINDOW = Protection(1.0, 4.2, 0.02)


@pytest.fixture
def cell() -> FixedCell:
    return FixedCell()


@pytest.fixture
def virtual(cell: FixedCell):
    server = VirtualSolartron(cell, ScaledClock())
    server.resource = "prologix://{host}:{port}/6"
    with server:
        yield server


def open_source(virtual: VirtualSolartron, **settings: bool) -> Solartron1287Source:
    return Solartron1287Source(virtual.address, write_wait_s=0.0, timeout_s=1.0, patience_s=1.0, **settings)


def told(virtual: VirtualSolartron) -> list[str]:
    return [message for address, message in virtual.heard if address == 6]


def test_opening_takes_an_unknown_state_to_standby(virtual: VirtualSolartron) -> None:
    with open_source(virtual):
        voltmeter = ["RG0", "DG0", "TR0", "GP2"]
        assert told(virtual) == ["OT1", *voltmeter, "RU1", "RU1", "PW0", "BY1", *voltmeter, "RU1", "BY0"]


def test_a_voltage_is_held_within_the_decade_of_its_protection(virtual: VirtualSolartron) -> None:
    with open_source(virtual) as source:
        before = len(told(virtual))
        source.apply(Voltage(3.05), WINDOW)
        assert " ".join(told(virtual)[before:]) == (
            "PW0 BY0 OT1 PO0 ON0 IL4 OL2 RR3 PB2 CC0 FI0 VX0 IX0 BR0 PI0 RG0 DG0 TR0 GP2 BY1 RU1 "
            "PV3.0500E+0 VT1 VR3.0500E+0 IT1 IR0.0000E+0 BR1 PW1 RU1"
        )
        measured = source.measure()
        assert measured.current_A == pytest.approx(5e-3, rel=1e-3)
        assert not measured.in_compliance
        before = len(told(virtual))
        source.apply(Voltage(3.1), WINDOW)  # goes there without standby
        assert not {"PW0", "BY0", "PO0"} & set(told(virtual)[before:])
        source.apply(Voltage(4.0), WINDOW)  # would be 0.1 A
        assert source.measure().in_compliance
    assert not virtual.potentiostat.polarised
    assert told(virtual)[-1] == "BY0"


def test_a_current_wants_somebody_who_limits_its_voltage(virtual: VirtualSolartron) -> None:
    with open_source(virtual) as source:
        with pytest.raises(OutOfRange, match="host_limits_voltage"):
            source.apply(Current(1e-3), WINDOW)
        source.apply(Current(0.0), WINDOW)
        assert source.measure().voltage_V == pytest.approx(3.0, rel=1e-4)
    with open_source(virtual, host_limits_voltage=True) as source:
        before = len(told(virtual))
        source.apply(Current(-5e-3), WINDOW)
        assert {"PO1", "PC-5.0000E-3", "IL4", "RR3"} <= set(told(virtual)[before:])
        measured = source.measure()
        assert (measured.voltage_V, measured.current_A) == pytest.approx((2.95, -5e-3), rel=1e-3)


def test_a_cell_outside_the_protection_is_not_polarised(virtual: VirtualSolartron) -> None:
    with open_source(virtual) as source:
        with pytest.raises(NotSafe, match=r"the cell is at [23]\.\d+ V, outside the protection of 3\.2 to 4\.2 V"):
            source.apply(Voltage(3.3), Protection(3.2, 4.2, 0.02))
        assert "PW1" not in told(virtual)


def test_a_current_that_passes_its_voltage_is_held_there_and_comes_back(
    virtual: VirtualSolartron, cell: FixedCell
) -> None:
    with open_source(virtual, host_limits_voltage=True) as source:
        source.apply(Current(0.015), Protection(1.0, 3.1, 0.02))  # 3.15 V
        measured = source.measure()
        assert (measured.voltage_V, measured.current_A) == pytest.approx((3.1, 0.01), rel=1e-3)
        assert measured.in_compliance
        cell.emf_V = 2.9
        measured = source.measure()
        assert (measured.voltage_V, measured.current_A) == pytest.approx((3.05, 0.015), rel=1e-3)
        assert not measured.in_compliance


def test_a_current_limit_that_is_another_than_believed_is_noticed(
    virtual: VirtualSolartron, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(IL_AMPERES, 1, 0.05)  # the codes are not verified
    with open_source(virtual) as source:
        with pytest.raises(NotSafe, match="circuit opened"):
            source.apply(Voltage(4.0), Protection(1.0, 4.2, 1e-4))
        assert not virtual.potentiostat.polarised
        assert not source.output_is_on()


class OneReply:
    """A line that says one thing."""

    def __init__(self, reply: str) -> None:
        self.reply = reply

    def query(self, text: str) -> str:
        return self.reply


@pytest.mark.parametrize("reply", ["+3.00998E+01,-5.00000E-03,00,00", "+3.00998E+00,-5.00000E+00,00,00"])
def test_more_than_there_can_be_is_no_reading(reply: str) -> None:
    """A garbled exponent must not be taken for a cell beyond its limits, which the driver would act on."""
    device = Solartron1287(OneReply(reply), write_wait_s=0.0)  # type: ignore[arg-type]
    with pytest.raises(BadReply, match="more than there can be"):
        device.measure()
