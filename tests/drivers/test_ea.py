"""EA PSB and PSI, by SCPI and by Modbus: the maker's frames, the wire byte for byte, the physics, the protections."""

import socket

import pytest

from drivers.bidirectional import Quantity
from drivers.ea_modbus import EaModbus
from drivers.ea_scpi import EaScpi
from drivers.interface import (
    BadReply,
    Current,
    NotSafe,
    OutOfRange,
    Protection,
    Refused,
    Source,
    Voltage,
    WrongInstrument,
)
from drivers.simulated.cell import Format, SimulatedCell, silicon_lfp_cell
from drivers.simulated.clock import ManualClock
from drivers.simulated.ea import EaRegisters, VirtualEa, VirtualEaModbusTcp
from drivers.simulated.modbus import crc16
from drivers.simulated.server import VirtualInstrument
from drivers.simulated.supply import PowerStage
from drivers.simulated.wiring import DriveVoltage, FixedCell, OpenCircuit
from tests.drivers.scripted import Scripted

LIMITS = Protection(voltage_min_V=2.5, voltage_max_V=4.2, current_max_A=20.0)


def frame(text: str) -> bytes:
    return bytes.fromhex(text)


# --- Modbus: the maker's own frames

SET_CURRENT_50 = frame("01 06 01 F5 66 66 33 8E")
READ_ACTUAL, ACTUAL = frame("01 03 01 FB 00 03 75 C6"), frame("01 03 06 26 20 0C 9B 09 1B 93 50")
READ_NOMINAL, NOMINAL = frame("01 03 00 79 00 02 15 D2"), frame("01 03 04 42 A0 00 00 EE 69")
READ_STATUS, STATUS = frame("01 03 01 F9 00 02 15 C6"), frame("01 03 04 00 00 04 83 B9 52")
REMOTE_ON, REMOTE_OFF = frame("01 05 01 92 FF 00 2C 2B"), frame("01 05 01 92 00 00 6D DB")
IN_LOCAL, DENIED = frame("01 85 17 02 9E"), frame("01 85 07 03 52")


@pytest.mark.parametrize(
    "whole",
    [
        SET_CURRENT_50,
        READ_ACTUAL,
        ACTUAL,
        READ_NOMINAL,
        NOMINAL,
        READ_STATUS,
        STATUS,
        REMOTE_ON,
        REMOTE_OFF,
        IN_LOCAL,
        DENIED,
    ],
)
def test_the_makers_frames_have_a_sound_checksum(whole):
    assert crc16(whole[:-2]) == whole[-2:]


def test_the_virtual_instrument_answers_the_makers_frames():
    device = PowerStage(FixedCell(), volts=80.0)
    registers = EaRegisters(device)
    assert registers.answer_rtu(READ_NOMINAL) == NOMINAL
    device.locked_by_hand = True
    assert registers.answer_rtu(REMOTE_ON) == IN_LOCAL
    device.locked_by_hand = False
    assert registers.answer_rtu(REMOTE_ON) == REMOTE_ON
    assert registers.answer_rtu(SET_CURRENT_50) == SET_CURRENT_50
    assert device.set["SOUR:CURR"] == pytest.approx(30.0, rel=1e-4)
    assert registers.answer_rtu(REMOTE_OFF) == REMOTE_OFF
    broken = SET_CURRENT_50[:-1] + b"\x00"
    assert registers.answer_rtu(broken)[:3] == frame("01 86 05")
    with VirtualEaModbusTcp(PowerStage(FixedCell(), volts=500.0)) as tcp:
        asked = frame("47 11 00 00 00 06 00 03 00 79 00 02")
        assert tcp.take_tcp(bytearray(asked)) == frame("47 11 00 00 00 07 00 03 04 43 FA 00 00")


class Frames(VirtualInstrument):
    """Knows one conversation by heart: each request of eight bytes with its answer."""

    resource = "rtu+tcp://{host}:{port}"

    def __init__(self, *exchanges: tuple[bytes, bytes]) -> None:
        super().__init__()
        self.exchanges = list(exchanges)

    def serve(self, connection: socket.socket) -> None:
        while request := connection.recv(8):
            expected, answer = self.exchanges.pop(0)
            assert request == expected, f"{request.hex(' ')}, not {expected.hex(' ')}"
            connection.sendall(answer)


def sealed(text: str) -> bytes:
    return frame(text) + crc16(frame(text))


NOMINALS = [
    (READ_NOMINAL, NOMINAL),
    (sealed("01 03 00 7B 00 02"), sealed("01 03 04 42 70 00 00")),  # 60 A
    (sealed("01 03 00 7D 00 02"), sealed("01 03 04 44 BB 80 00")),  # 1500 W
]
OPENING = [
    *NOMINALS,
    *NOMINALS,
    (REMOTE_ON, REMOTE_ON),
    (READ_STATUS, STATUS),  # it is on
]


def test_a_reading_by_the_makers_frames():
    exchanges = [*OPENING, (READ_ACTUAL, ACTUAL), (READ_STATUS, STATUS)]
    with Frames(*exchanges) as instrument:
        supply = EaModbus(instrument.address, unit_id=1)
        assert supply.nominal == {"V": 80.0, "A": 60.0, "W": 1500.0}
        measured = supply.measure()
        assert measured.voltage_V == pytest.approx(0.1862 * 80, rel=1e-3)
        assert measured.current_A == pytest.approx(0.0616 * 60, rel=1e-3)
        supply.leave()
        assert not instrument.exchanges


def test_a_sinking_supply_reads_a_negative_current():
    sinking = sealed("01 03 04 80 00 04 83")
    with Frames(*OPENING, (READ_ACTUAL, ACTUAL), (READ_STATUS, sinking)) as instrument:
        supply = EaModbus(instrument.address, unit_id=1)
        assert supply.measure().current_A == pytest.approx(-0.0616 * 60, rel=1e-3)
        supply.leave()


def test_a_value_beyond_all_values_is_no_reading():
    wild = sealed("01 03 06 FF FF 0C 9B 09 1B")
    with Frames(*OPENING, (READ_ACTUAL, wild), (READ_STATUS, STATUS)) as instrument:
        supply = EaModbus(instrument.address, unit_id=1)
        with pytest.raises(BadReply, match="125%"):
            supply.measure()
        supply.leave()


def test_a_set_value_that_reads_back_otherwise_is_not_safe():
    read_back = (sealed("01 03 01 F5 00 01"), sealed("01 03 02 66 60"))
    with Frames(*OPENING, (SET_CURRENT_50, SET_CURRENT_50), read_back) as instrument:
        supply = EaModbus(instrument.address, unit_id=1)
        with pytest.raises(NotSafe, match=r"register 501 was set to 26214 .*reads back 26208"):
            supply.put(Quantity.SOURCE_CURRENT, 30.0)
        supply.leave()


@pytest.mark.parametrize(("answer", "reason"), [(IN_LOCAL, "exception 23"), (DENIED, "exception 7")])
def test_what_cannot_be_taken_under_remote_control_is_told(answer, reason):
    with Frames(*OPENING[:6], (REMOTE_ON, answer)) as instrument, pytest.raises(Refused, match=reason):
        EaModbus(instrument.address, unit_id=1)


def test_nominal_values_that_change_are_not_believed():
    other = (READ_NOMINAL, sealed("01 03 04 43 A0 00 00"))
    with (
        Frames(*NOMINALS, other, *NOMINALS[1:]) as instrument,
        pytest.raises(BadReply, match="from one reading to the next"),
    ):
        EaModbus(instrument.address, unit_id=1)


def test_nominal_values_that_are_none_are_another_instrument():
    with (
        Frames((READ_NOMINAL, sealed("01 03 04 00 00 00 00")), *OPENING[1:3]) as instrument,
        pytest.raises(WrongInstrument, match="0 V, 60 A"),
    ):
        EaModbus(instrument.address, unit_id=1)


# --- SCPI, byte for byte

SCPI_OPENING = """
    > *IDN?
    < EA Elektro-Automatik GmbH & Co. KG, PSB 9080-120 3U, 2300120001, V3.02 V2.30, bench 4
    > *CLS
    > *IDN?
    < EA Elektro-Automatik GmbH & Co. KG, PSB 9080-120 3U, 2300120001, V3.02 V2.30, bench 4
    > SYST:NOM:VOLT?
    < 80.00 V
    > SYST:NOM:CURR?
    < 120.0A
    > SYST:NOM:POW?
    < 5.00 kW
    > SYST:LOCK ON
    > SYST:LOCK:OWN?
    < REMOTE
    > OUTP?
    < OFF
    > SYST:CONF:OUTP:REST OFF
    > SYST:CONF:OUTP:REST?
    < OFF
"""
NO_ERROR = """
    > SYST:ERR?
    < 0,"No error"
"""
CHARGE = f"""
    > *CLS
    > MEAS:ARR?
    < 3.70V, 0.0A, 0W
    > STAT:OPER:COND?
    < 0
    > OUTP?
    < OFF
    {NO_ERROR}
    > VOLT:PROT 5.8
    > VOLT:PROT?
    < 5.80V
    > CURR:PROT 22.4
    > CURR:PROT?
    < 22.4A
    > SINK:CURR:PROT 22.4
    > SINK:CURR:PROT?
    < 22.4A
    > SOUR:POW 5000
    > SOUR:POW?
    < 5000 W
    > SINK:POW 5000
    > SINK:POW?
    < 5.00kW
    > SOUR:CURR 10
    > SOUR:CURR?
    < 10.0 A
    > SINK:CURR 0
    > SINK:CURR?
    < 0.0A
    > SOUR:VOLT 4.2
    > SOUR:VOLT?
    < 4.20 V
    > OUTP ON
    > OUTP?
    < ON
    {NO_ERROR}
"""
CLOSING = """
    > OUTP OFF
    > OUTP?
    < OFF
    > SYST:LOCK OFF
    > SYST:LOCK:OWN?
    < NONE
"""


@pytest.mark.parametrize(("status", "in_compliance"), [(1 << 9, False), (1 << 8, True), (1 << 10, True)])
def test_scpi_opening_charging_reading_and_closing(status, in_compliance):
    reading = f"> MEAS:ARR?\n< 3.92 V, 10.0 A, 39 W\n> STAT:OPER:COND?\n< {status}\n> OUTP?\n< ON"
    with Scripted(SCPI_OPENING + CHARGE + reading + CLOSING) as instrument:
        with EaScpi(instrument.address, pause_s=0.0, timeout_s=1) as supply:
            supply.apply(Current(10.0), LIMITS)
            measured = supply.measure()
        assert (measured.voltage_V, measured.current_A, measured.in_compliance) == (3.92, 10.0, in_compliance)
        assert instrument.finished()


def test_scpi_a_protection_that_reads_back_otherwise_is_not_safe():
    wrong = CHARGE.partition("< 5.80V")[0] + "< 66.00 V\n> OUTP OFF\n> OUTP?\n< OFF"
    with Scripted(SCPI_OPENING + wrong) as instrument:
        supply = EaScpi(instrument.address, pause_s=0.0, timeout_s=1)
        with pytest.raises(NotSafe, match=r"VOLT:PROT was set to 5\.8 V and reads back 66 V"):
            supply.apply(Current(10.0), LIMITS)
        supply.leave()
        assert instrument.finished()


def test_scpi_a_value_told_too_coarsely_proves_nothing():
    coarse = CHARGE.partition("< 5.80V")[0] + "< 6 V\n> OUTP OFF\n> OUTP?\n< OFF"
    with Scripted(SCPI_OPENING + coarse) as instrument:
        supply = EaScpi(instrument.address, pause_s=0.0, timeout_s=1)
        with pytest.raises(NotSafe, match=r"VOLT:PROT was set to 5\.8 V and reads back 6 V"):
            supply.apply(Current(10.0), LIMITS)
        supply.leave()
        assert instrument.finished()


@pytest.mark.parametrize(("owner", "asked"), [("LOCAL", 1), ("NONE", 3)])
def test_scpi_an_instrument_that_others_hold_is_told(owner, asked):
    opening = SCPI_OPENING.partition("> SYST:LOCK:OWN?")[0] + f"> SYST:LOCK:OWN?\n< {owner}\n" * asked
    with Scripted(opening) as instrument, pytest.raises(Refused, match=f"'{owner}' has it .*front panel"):
        EaScpi(instrument.address, pause_s=0.0, timeout_s=1)


def test_scpi_remote_control_that_is_told_of_a_moment_late():
    """As one PS 9000 T does: its display says remote already, its first answer NONE."""
    late = SCPI_OPENING.replace("< REMOTE", "< NONE\n> SYST:LOCK:OWN?\n< REMOTE")
    with Scripted(late) as instrument:
        EaScpi(instrument.address, pause_s=0.0, timeout_s=1).leave()
        assert instrument.finished()


def test_scpi_values_without_their_units_as_some_firmware_tells_them():
    bare = SCPI_OPENING.replace("80.00 V", "80.00").replace("120.0A", "120").replace("5.00 kW", "5000")
    reading = "> MEAS:ARR?\n< 3.92, -10.0, -39\n> STAT:OPER:COND?\n< 512\n> OUTP?\n< ON"
    with Scripted(bare + reading) as instrument:
        supply = EaScpi(instrument.address, pause_s=0.0, timeout_s=1)
        assert supply.nominal == {"V": 80.0, "A": 120.0, "W": 5000.0}
        measured = supply.measure()
        assert (measured.voltage_V, measured.current_A) == (3.92, -10.0)
        supply.leave()
        assert instrument.finished()


@pytest.mark.parametrize("reply", ["3.7", "3.70V, 1.0A", "3.70V, 1.0A, 4V", "nanV, 1.0A, 4W", "3.70V, 9.9E37A, 4W"])
def test_scpi_a_reading_wants_its_units(reply):
    with Scripted(f"{SCPI_OPENING}> MEAS:ARR?\n< {reply}") as instrument:
        supply = EaScpi(instrument.address, pause_s=0.0, timeout_s=1)
        with pytest.raises(BadReply, match="MEAS:ARR"):
            supply.measure()
        supply.leave()


def test_scpi_the_interface_watchdog_is_set_where_it_is_wanted():
    watched = """
        > SYST:COMM:MON:TIM 30
        > SYST:COMM:MON:ACT ON
        > SYST:COMM:MON:ACT?
        < ON
    """
    with Scripted(SCPI_OPENING + watched) as instrument:
        EaScpi(instrument.address, monitor_s=30, pause_s=0.0, timeout_s=1).leave()
        assert instrument.finished()


@pytest.mark.parametrize("settings", [{"monitor_s": 0}, {"margin": 0.5}, {"margin": float("nan")}])
def test_settings_that_it_does_not_have_are_refused_before_anything_is_opened(settings):
    with pytest.raises(OutOfRange):
        EaScpi("TCPIP::192.0.2.1::5025::SOCKET", **settings)


# --- both languages, with the virtual instrument wired to a cell


@pytest.fixture
def cell():
    return FixedCell(emf_V=3.0, resistance_ohm=0.05)


@pytest.fixture
def device(cell):
    return PowerStage(cell)


@pytest.fixture(params=["SCPI", "SCPI without blanks", "Modbus TCP", "Modbus RTU"])
def supply(request, device):
    if request.param.startswith("SCPI"):
        with (
            VirtualEa(device, blank=request.param == "SCPI", clock=ManualClock()) as virtual,
            EaScpi(virtual.address, pause_s=0.0, timeout_s=1) as scpi,
        ):
            yield scpi
    else:
        server = VirtualEaModbusTcp(device) if request.param == "Modbus TCP" else VirtualEa(device, rtu=True)
        with server as virtual, EaModbus(virtual.address, timeout_s=1) as modbus:
            yield modbus


def close_to(measured):
    return pytest.approx((measured.voltage_V, measured.current_A), abs=0.05)


def test_it_charges_then_holds_the_highest_voltage(supply: Source, cell, device):
    supply.apply(Current(10.0), LIMITS)
    assert device.set["VOLT"] == pytest.approx(4.2, abs=0.004)
    assert (device.set["SOUR:CURR"], device.set["SINK:CURR"]) == (pytest.approx(10.0, abs=0.003), 0.0)
    measured = supply.measure()
    assert close_to(measured) == (3.5, 10.0)
    assert not measured.in_compliance
    cell.emf_V = 4.0  # as it fills
    measured = supply.measure()
    assert close_to(measured) == (4.2, 4.0)
    assert measured.in_compliance


def test_it_discharges_then_holds_the_lowest_voltage(supply: Source, cell):
    supply.apply(Current(-8.0), LIMITS)
    measured = supply.measure()
    assert close_to(measured) == (2.6, -8.0)
    assert not measured.in_compliance
    cell.emf_V = 2.6  # as it empties, with nobody watching
    measured = supply.measure()
    assert close_to(measured) == (2.5, -2.0)
    assert measured.in_compliance


def test_from_charging_to_discharging_to_a_voltage_the_output_stays_on(supply: Source, cell, device):
    supply.apply(Current(10.0), LIMITS)
    supply.apply(Current(-10.0), LIMITS)
    assert close_to(supply.measure()) == (2.5, -10.0)
    supply.apply(Voltage(3.2), LIMITS)
    measured = supply.measure()
    assert close_to(measured) == (3.2, 4.0)
    assert not measured.in_compliance
    supply.apply(Current(0.0), LIMITS)
    assert close_to(supply.measure()) == (3.0, 0.0)
    supply.off()
    assert cell._drive == OpenCircuit()
    assert supply.measure().current_A == 0.0


def test_closing_gives_it_back_and_leaving_does_not(supply: Source, device):
    supply.apply(Current(10.0), LIMITS)
    supply.close()
    assert not device.on
    assert not device.remote


@pytest.mark.parametrize(
    ("emf_V", "setpoint", "reason"),
    [
        (4.3, Current(5.0), "not below"),
        (2.4, Current(-5.0), "not above"),
        (2.4, Voltage(3.0), "not above"),
    ],
)
def test_a_cell_beyond_its_limits_is_not_switched_on(supply: Source, cell, device, emf_V, setpoint, reason):
    cell.emf_V = emf_V
    with pytest.raises(NotSafe, match=reason):
        supply.apply(setpoint, LIMITS)
    assert not device.on


@pytest.mark.parametrize(
    ("setpoint", "limits"),
    [
        (Current(21.0), LIMITS),
        (Current(0.05), LIMITS),  # lost in its resolution
        (Current(-0.05), LIMITS),
        (Current(50.0), Protection(2.5, 4.2, 61.0)),
        (Voltage(4.3), LIMITS),
        (Voltage(3.0), Protection(-1.0, 4.2, 20.0)),
        (Voltage(3.0), Protection(2.5, 81.0, 20.0)),
    ],
)
def test_what_it_cannot_do_is_refused(supply: Source, setpoint, limits):
    with pytest.raises(OutOfRange, match="nothing was sent"):
        supply.apply(setpoint, limits)


def test_scpi_alarms_are_told_and_the_output_does_not_go_on(cell, device):
    with (
        VirtualEa(device, clock=ManualClock()) as virtual,
        EaScpi(virtual.address, pause_s=0.0, timeout_s=1) as supply,
    ):
        supply.apply(Current(10.0), LIMITS)
        cell.emf_V = 9.0  # a sense lead came off: beyond the overvoltage protection
        supply.measure()
        assert not supply.output_is_on()
        with pytest.raises(Refused, match="OVP"):
            supply.check_errors()


def test_scpi_a_cell_the_wrong_way_round_is_told(cell, device):
    cell.emf_V = -3.0
    with (
        VirtualEa(device, clock=ManualClock()) as virtual,
        EaScpi(virtual.address, pause_s=0.0, timeout_s=1) as supply,
        pytest.raises(NotSafe, match="wrong way round"),
    ):
        supply.apply(Current(10.0), LIMITS)


def test_a_cell_below_or_above_what_is_set_never_sees_more_than_either_current(cell):
    stage = PowerStage(cell)
    stage.set |= {"SOUR:CURR": 2.0, "SINK:CURR": 3.0}
    stage.switch(True)
    for volts, amperes in ((4.2, 2.0), (3.0, 0.0), (1.0, -3.0)):
        stage.set["VOLT"] = volts
        stage.wire()
        assert cell.terminals()[1] == pytest.approx(amperes)
        assert isinstance(cell._drive, DriveVoltage) and cell._drive.currents_A == (-3.0, 2.0)


def test_a_psi_only_charges(cell):
    device = PowerStage(cell, sinks=False)
    with (
        VirtualEa(device, clock=ManualClock()) as virtual,
        EaScpi(virtual.address, pause_s=0.0, timeout_s=1) as supply,
    ):
        with pytest.raises(OutOfRange, match="cannot discharge"):
            supply.check(Current(-1.0), LIMITS)
        supply.apply(Current(10.0), LIMITS)
        assert close_to(supply.measure()) == (3.5, 10.0)
        assert isinstance(cell._drive, DriveVoltage) and cell._drive.currents_A == (0.0, 10.0)


def test_modbus_the_overvoltage_protection_where_its_register_is_known(device):
    with VirtualEaModbusTcp(device) as virtual, EaModbus(virtual.address, ovp_register=550, timeout_s=1) as supply:
        supply.apply(Current(10.0), LIMITS)
        assert device.protection["VOLT"] == pytest.approx(4.2 + 0.02 * 80, abs=0.004)


def test_a_simulated_cell_is_charged_and_discharged():
    clock = ManualClock()
    cell = SimulatedCell(silicon_lfp_cell(Format.COIN), clock, 1)
    limits = Protection(2.0, 3.6, 20e-3)
    stage = PowerStage(cell, volts=10.0, amperes=0.1, watts=1.0)
    with VirtualEaModbusTcp(stage) as virtual, EaModbus(virtual.address, timeout_s=1) as supply:
        empty = supply.measure().voltage_V
        supply.apply(Current(1e-3), limits)
        clock.sleep(2400)
        charged = supply.measure()
        assert charged.voltage_V > empty + 1.0
        assert charged.current_A == pytest.approx(1e-3, rel=1e-2)
        supply.apply(Current(-1e-3), limits)
        clock.sleep(900)
        assert supply.measure().voltage_V < charged.voltage_V - 0.3


def test_an_idle_link_that_the_instrument_closed_is_opened_anew(device):
    with (
        VirtualEa(device, clock=ManualClock()) as virtual,
        EaScpi(virtual.address, pause_s=0.0, timeout_s=1) as supply,
    ):
        supply.apply(Current(10.0), LIMITS)
        supply._line.close()
        assert supply.measure().current_A == pytest.approx(10.0, abs=0.01)
