"""The Keithley 2450: its wire byte for byte, its physics, its protections, its faults."""

import time
from dataclasses import dataclass, field

import pytest

from drivers.interface import (
    BadReply,
    Current,
    InstrumentError,
    InstrumentTimeout,
    NotSafe,
    OutOfRange,
    Protection,
    Refused,
    Setpoint,
    Unreachable,
    Voltage,
    WrongInstrument,
)
from drivers.keithley2450 import Keithley2450
from drivers.simulated.clock import ManualClock
from drivers.simulated.keithley2450 import VirtualKeithley2450
from drivers.simulated.wiring import Drive, DriveCurrent, DriveVoltage, FixedCell, OpenCircuit
from drivers.testing.faults import FaultProxy, swallow
from tests.drivers.scripted import Scripted

LIMITS = Protection(voltage_min_V=2.5, voltage_max_V=4.2, current_max_A=0.2)

# --- transcripts

OPENING = """
    > *IDN?
    < KEITHLEY INSTRUMENTS,MODEL 2450,04096331,1.6.7c
    > *CLS
    > *LANG?
    < SCPI
"""
OPENING_WHEN_OFF = f"""{OPENING}
    > :OUTP?
    < 0
    > :OUTP:CURR:SMOD HIMP
    > :OUTP:CURR:SMOD?
    < HIMP
    > :OUTP:VOLT:SMOD HIMP
    > :OUTP:VOLT:SMOD?
    < HIMP
"""
OPENING_WHEN_CHARGING = f"""{OPENING}
    > :OUTP?
    < 1
    > :SOUR:FUNC?
    < CURR
    > :SENS:FUNC?
    < "VOLT:DC"
    > :SOUR:CURR:READ:BACK?
    < 1
"""
OFF = """
    > :OUTP OFF
    > :OUTP?
    < 0
"""
OFF_AND_OPEN = f"""{OFF}
    > :OUTP:CURR:SMOD HIMP
    > :OUTP:CURR:SMOD?
    < HIMP
    > :OUTP:VOLT:SMOD HIMP
    > :OUTP:VOLT:SMOD?
    < HIMP
"""
ON = """
    > :OUTP ON
    > :OUTP?
    < 1
"""
NO_ERROR = """
    > :SYST:ERR?
    < 0,"No error;0,0,0"
"""
VOLTMETER = f"""
    > :OUTP?
    < 0
    {OFF}
    > :SOUR:FUNC CURR
    > :SOUR:FUNC?
    < CURR
    > :SENS:FUNC "VOLT"
    > :SENS:FUNC?
    < "VOLT:DC"
    > :SENS:VOLT:RSEN ON
    > :SENS:VOLT:RSEN?
    < 1
    > :SOUR:CURR:READ:BACK ON
    > :SOUR:CURR:READ:BACK?
    < 1
    > :OUTP:CURR:SMOD HIMP
    > :OUTP:CURR:SMOD?
    < HIMP
    > :SOUR:CURR:RANG:AUTO ON
    > :SENS:VOLT:RANG:AUTO ON
    > :SENS:VOLT:NPLC 1
    > :SENS:COUN 1
    > :SOUR:CURR 0
    > :SOUR:CURR?
    < 0
    > :SOUR:CURR:VLIM 21
    > :SOUR:CURR:VLIM?
    < 21
    {NO_ERROR}
    {ON}
"""
CHARGE = f"""
    > *CLS
    {VOLTMETER}
    > :SOUR:CURR:VLIM?
    < 21
    > :READ? "defbuffer1",SOUR,READ
    < +1.000000E-12,+3.700000E+00
    > :SOUR:CURR:VLIM 4.2
    > :SOUR:CURR:VLIM?
    < 4.2
    > :SOUR:CURR 0.1
    > :SOUR:CURR?
    < 0.1
    > :OUTP?
    < 1
    {NO_ERROR}
"""
READING = """
    > :OUTP?
    < 1
    > :READ? "defbuffer1",SOUR,READ
    < +1.000000E-01,+3.700000E+00
    > :SOUR:FUNC?
    < CURR
    > :SOUR:CURR:VLIM:TRIP?
    < 0
"""
DISCHARGE = f"""
    > *CLS
    > :OUTP?
    < 0
    {VOLTMETER}
    > :READ? "defbuffer1",SOUR,READ
    < -2.000000E-12,+3.700000E+00
    {OFF}
    > :SOUR:FUNC VOLT
    > :SOUR:FUNC?
    < VOLT
    > :SENS:FUNC "CURR"
    > :SENS:FUNC?
    < "CURR:DC"
    > :SENS:CURR:RSEN ON
    > :SENS:CURR:RSEN?
    < 1
    > :SOUR:VOLT:READ:BACK ON
    > :SOUR:VOLT:READ:BACK?
    < 1
    > :OUTP:VOLT:SMOD HIMP
    > :OUTP:VOLT:SMOD?
    < HIMP
    > :SOUR:VOLT:RANG:AUTO ON
    > :SENS:CURR:RANG:AUTO ON
    > :SENS:CURR:NPLC 1
    > :SENS:COUN 1
    > :SOUR:VOLT 2.5
    > :SOUR:VOLT?
    < 2.5
    > :SOUR:VOLT:ILIM 0.05
    > :SOUR:VOLT:ILIM?
    < 0.05
    {NO_ERROR}
    {ON}
    {NO_ERROR}
"""


def test_opening_charging_reading_and_closing_byte_for_byte():
    with Scripted(OPENING_WHEN_OFF + CHARGE + READING + OFF_AND_OPEN) as instrument:
        with Keithley2450(instrument.address, timeout_s=1) as smu:
            smu.apply(Current(0.1), LIMITS)
            measured = smu.measure()
        assert (measured.voltage_V, measured.current_A, measured.in_compliance) == (3.7, 0.1, False)
        assert instrument.finished()


def test_discharging_byte_for_byte():
    with Scripted(OPENING_WHEN_OFF + DISCHARGE + OFF_AND_OPEN) as instrument:
        with Keithley2450(instrument.address, timeout_s=1) as smu:
            smu.apply(Current(-0.05), LIMITS)
        assert instrument.finished()


def test_coming_back_to_an_output_that_is_on_sends_queries_only_and_leaving_it_sends_nothing():
    with Scripted(OPENING_WHEN_CHARGING + READING) as instrument:
        smu = Keithley2450(instrument.address, timeout_s=1)
        assert smu.measure().current_A == 0.1
        smu.leave()
        assert instrument.finished()


@pytest.mark.parametrize("language", ["TSP", "SCPI2400"])
def test_another_command_set_is_told_with_what_to_do(language):
    with (
        Scripted(OPENING.replace("< SCPI", f"< {language}")) as instrument,
        pytest.raises(WrongInstrument, match=rf"command set is '{language}' \(send \*LANG SCPI"),
    ):
        Keithley2450(instrument.address, timeout_s=1)


@pytest.mark.parametrize(
    "reply", ["+9.9E37,+3.7E+00", "+1.0E-01,+9.91E37", "+1.0E-01", "+1.0E-01,+3.7E+00,1", "nan,nan", "--,3.7"]
)
def test_an_overflowed_or_misshapen_reading_is_no_measurement(reply):
    with Scripted(OPENING_WHEN_CHARGING + READING.replace("+1.000000E-01,+3.700000E+00", reply)) as instrument:
        smu = Keithley2450(instrument.address, timeout_s=1)
        with pytest.raises(BadReply, match="READ"):
            smu.measure()
        smu.leave()


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("> :SOUR:CURR:VLIM?\n    < 4.2", "> :SOUR:CURR:VLIM?\n    < 21"),
        ("> :SOUR:CURR?\n    < 0.1", "> :SOUR:CURR?\n    < 1"),
    ],
)
def test_a_protection_that_reads_back_otherwise_turns_the_output_off(asked, held):
    with Scripted(OPENING_WHEN_OFF + CHARGE.partition(asked)[0] + held + OFF_AND_OPEN) as instrument:
        smu = Keithley2450(instrument.address, timeout_s=1)
        with pytest.raises(NotSafe, match="reads back"):
            smu.apply(Current(0.1), LIMITS)
        assert instrument.finished()
        smu.leave()


# --- with the virtual instrument, wired to a cell


@dataclass
class WatchedCell(FixedCell):
    """Remembers all that was ever done to it."""

    drives: list[Drive] = field(default_factory=list)

    def drive(self, drive: Drive) -> None:
        self.drives.append(drive)
        super().drive(drive)


@pytest.fixture
def cell():
    return WatchedCell(emf_V=3.0, resistance_ohm=10.0)


@pytest.fixture
def virtual(cell):
    with VirtualKeithley2450(cell, clock=ManualClock(), noise=0.0) as instrument:
        yield instrument


@pytest.fixture
def smu(virtual):
    with Keithley2450(virtual.address, timeout_s=1) as driver:
        yield driver


def close_to(measurement):
    return pytest.approx((measurement.voltage_V, measurement.current_A), abs=1e-4)


def test_opening_stops_the_discharge_through_a_freshly_powered_instrument(virtual, cell):
    assert cell.drives == [DriveVoltage(0.0, 1e-5)]  # the NORMAL off state
    with Keithley2450(virtual.address, timeout_s=1) as smu:
        assert cell.drives[-1] == OpenCircuit()
        assert not smu.output_is_on()


def test_with_the_output_off_it_measures_the_open_circuit_and_leaves_it_open(smu, cell):
    measured = smu.measure()
    assert (measured.voltage_V, measured.current_A, measured.in_compliance) == (pytest.approx(3.0), 0.0, False)
    assert cell.drives[-2:] == [DriveCurrent(0.0, -21.0, 21.0), OpenCircuit()]
    assert not smu.output_is_on()


def test_charging_holds_the_current_then_the_voltage_limit(smu, cell):
    smu.apply(Current(0.05), LIMITS)
    measured = smu.measure()
    assert close_to(measured) == (3.5, 0.05)
    assert not measured.in_compliance
    cell.emf_V = 4.0  # as it fills
    measured = smu.measure()
    assert close_to(measured) == (4.2, 0.02)
    assert measured.in_compliance


def test_discharging_is_held_by_the_current_limit_then_at_the_lowest_voltage(smu, cell):
    smu.apply(Current(-0.04), LIMITS)
    assert cell.drives[-1] == DriveVoltage(2.5, 0.04)
    measured = smu.measure()
    assert close_to(measured) == (2.6, -0.04)
    assert not measured.in_compliance
    cell.emf_V = 2.6  # as it empties, with nobody watching
    measured = smu.measure()
    assert close_to(measured) == (2.5, -0.01)
    assert measured.in_compliance


def test_holding_a_voltage(smu, cell):
    smu.apply(Voltage(4.0), LIMITS)
    measured = smu.measure()
    assert close_to(measured) == (4.0, 0.1)
    assert not measured.in_compliance
    cell.resistance_ohm = 1.0
    measured = smu.measure()
    assert close_to(measured) == (3.2, 0.2)
    assert measured.in_compliance


@pytest.mark.parametrize("amperes", [0.02, -0.02])
def test_a_symmetric_cell_is_held_on_both_sides(smu, cell, amperes):
    cell.emf_V = 0.0
    smu.apply(Current(amperes), Protection(-0.5, 0.5, 0.1))
    measured = smu.measure()
    assert close_to(measured) == (10 * amperes, amperes)
    cell.resistance_ohm = 1000.0  # as it polarises
    measured = smu.measure()
    sign = 1 if amperes > 0 else -1
    assert close_to(measured) == (sign * 0.5, sign * 5e-4)
    assert measured.in_compliance


def test_a_cell_at_rest_can_be_followed_with_the_output_on(smu, virtual):
    smu.apply(Current(0.0), LIMITS)
    before = len(virtual.received)
    assert close_to(smu.measure()) == (3.0, 0.0)
    assert not any("OUTP O" in line for line in virtual.received[before:])


def test_a_fresh_half_cell_above_its_limits_can_rest_and_discharge(smu, cell):
    limits = Protection(-0.05, 2.2, 0.01)  # and the cell is at 3 V
    smu.apply(Current(0.0), limits)
    assert cell.drives[-1] == DriveCurrent(0.0, -21.0, 21.0)
    smu.apply(Current(-1e-3), limits)
    assert cell.drives[-1] == DriveVoltage(-0.05, 1e-3)
    with pytest.raises(NotSafe, match=r"3 V, not within ±2\.2 V: not charged"):
        smu.apply(Current(1e-3), limits)
    assert cell.drives[-1] == OpenCircuit()


@pytest.mark.parametrize("setpoint", [Current(-0.01), Voltage(3.0)])
def test_a_cell_below_its_lowest_voltage_is_not_discharged(smu, cell, setpoint):
    cell.emf_V = 2.4
    with pytest.raises(NotSafe, match=r"2\.4 V, not above 2\.5 V"):
        smu.apply(setpoint, LIMITS)
    assert cell.drives[-1] == OpenCircuit()
    assert not any(isinstance(drive, DriveVoltage) and drive.voltage_V for drive in cell.drives)


def test_changes_of_level_keep_the_output_on_and_a_change_of_function_does_not(smu, virtual):
    def switched(setpoint: Setpoint) -> int:
        before = len(virtual.received)
        smu.apply(setpoint, LIMITS)
        return sum(line == ":OUTP ON" for line in virtual.received[before:])

    assert [switched(Current(0.01)), switched(Current(0.02)), switched(Current(0.0))] == [1, 0, 0]
    assert [switched(Current(-0.01)), switched(Current(-0.02)), switched(Voltage(3.1)), switched(Voltage(2.9))] == [
        1,
        0,
        0,
        0,
    ]
    assert switched(Current(0.01)) == 1


@pytest.mark.parametrize(
    ("first", "next_one", "sent"),
    [
        (Voltage(3.7), Voltage(3.71), [":SOUR:VOLT 3.71"]),  # a ramp's stairs
        (Current(0.01), Current(0.011), [":SOUR:CURR 0.011"]),  # constant power
        (Current(-0.01), Current(-0.011), [":SOUR:VOLT 2.5", ":SOUR:VOLT:ILIM 0.011"]),
    ],
)
def test_a_next_set_point_of_the_same_kind_states_the_level_alone_and_verifies_its_limit(
    smu, virtual, first, next_one, sent
):
    protection = Protection(2.5, 4.2, 0.1)
    smu.apply(first, protection)
    virtual.received.clear()
    smu.apply(next_one, protection)
    told = list(virtual.received)
    assert [line for line in told if not line.endswith("?")] == ["*CLS", *sent]
    limit = ":SOUR:CURR:VLIM?" if next_one == Current(0.011) else ":SOUR:VOLT:ILIM?"
    assert limit in told, "the protection that is in force was read"
    assert told.count(":OUTP?") == 2
    smu.apply(next_one, Protection(2.5, 4.1, 0.05))
    changed = {Voltage(3.71): ":SOUR:VOLT:ILIM 0.05", Current(0.011): ":SOUR:CURR:VLIM 4.1"}.get(next_one)
    assert changed is None or changed in virtual.received[len(told) :], "a protection that changes is set and verified"


def test_while_a_voltage_changes_no_moment_allows_more_than_before_or_after(smu, cell):
    smu.apply(Current(-0.2), LIMITS)
    smu.apply(Voltage(4.0), Protection(2.5, 4.2, 0.01))
    smu.apply(Current(-0.1), LIMITS)
    steps = [drive for drive in cell.drives if isinstance(drive, DriveVoltage)][-5:]
    assert [(step.voltage_V, step.current_max_A) for step in steps] == [
        (2.5, 0.2),
        (2.5, 0.01),
        (4.0, 0.01),
        (2.5, 0.01),
        (2.5, 0.1),
    ]


def protections_before(lines: list[str]) -> list[list[str]]:
    """For each `:OUTP ON`, what was read back since the output went off, after the last change."""
    found, read_back = [], []
    for line in lines:
        if line == ":OUTP OFF":
            read_back = []
        elif line == ":OUTP ON":
            found.append(read_back)
        elif line.endswith("?"):
            read_back = [*read_back, line]
        elif f"{line.split()[0]}?" in read_back:
            read_back = [query for query in read_back if query != f"{line.split()[0]}?"]
    return found


def test_no_output_on_without_its_protection_read_back(smu, virtual, cell):
    for setpoint in (Current(0.05), Current(-0.05), Voltage(3.3), Current(0.0), Current(-0.01), Current(0.01)):
        smu.apply(setpoint, LIMITS)
        smu.measure()
        smu.off()
        smu.measure()
    switched_on = protections_before(virtual.received)
    assert len(switched_on) > 12
    for read_back in switched_on:
        if ":SOUR:VOLT:ILIM?" in read_back:
            assert {":SOUR:FUNC?", ":SENS:CURR:RSEN?", ":SOUR:VOLT?", ":OUTP:VOLT:SMOD?"} <= set(read_back)
        else:
            assert {":SOUR:FUNC?", ":SENS:VOLT:RSEN?", ":SOUR:CURR?", ":SOUR:CURR:VLIM?", ":OUTP:CURR:SMOD?"} <= set(
                read_back
            )
    for drive in cell.drives[1:]:  # and what the cell saw of it
        match drive:
            case DriveCurrent(current, low, high):
                assert current == 0 or (low, high) == (-4.2, 4.2)
            case DriveVoltage(_, limit):
                assert 0 < limit <= 0.2


@pytest.mark.parametrize(
    ("setpoint", "protection"),
    [
        (Current(1.06), Protection(0, 5, 2)),
        (Current(-1.06), Protection(0, 5, 2)),
        (Current(0.3), LIMITS),
        (Current(-0.3), LIMITS),
        (Current(float("nan")), LIMITS),
        (Current(-1e-10), LIMITS),
        (Current(0.1), Protection(-1.0, 0.01, 0.2)),
        (Voltage(4.3), LIMITS),
        (Voltage(2.4), LIMITS),
        (Voltage(float("nan")), LIMITS),
        (Voltage(3.0), Protection(2.5, 22.0, 0.2)),
        (Voltage(3.0), Protection(2.5, 4.2, float("nan"))),
        (Voltage(3.0), Protection(float("nan"), 4.2, 0.2)),
        (Voltage(3.0), Protection(4.2, 2.5, 0.2)),
        (Voltage(3.0), Protection(2.5, 4.2, 1.06)),
    ],
)
def test_what_the_instrument_cannot_do_is_refused_and_nothing_is_sent(smu, virtual, setpoint, protection):
    before = len(virtual.received)
    for act in (smu.check, smu.apply):
        with pytest.raises(OutOfRange):
            act(setpoint, protection)
    assert virtual.received[before:] == []


def test_a_station_that_died_finds_the_source_as_it_was(virtual, cell):
    smu = Keithley2450(virtual.address, timeout_s=1)
    smu.apply(Current(-0.04), LIMITS)
    smu.leave()
    drives = list(cell.drives)
    with Keithley2450(virtual.address, timeout_s=1) as again:
        assert again.output_is_on()
        assert close_to(again.measure()) == (2.6, -0.04)
        again.apply(Current(-0.04), LIMITS)
        assert not again.measure().in_compliance
        assert cell.drives == drives  # not even for a moment
    assert cell.drives[-1] == OpenCircuit()


def test_an_output_that_someone_else_switched_on_is_left_alone(virtual, cell):
    virtual.answer(":SOUR:FUNC VOLT;:SENS:FUNC 'VOLT';:OUTP ON")
    with pytest.raises(Refused, match="someone else"):
        Keithley2450(virtual.address, timeout_s=1)
    assert virtual.output_is_on


def test_an_output_that_does_not_go_off_is_told(smu, virtual, monkeypatch):
    smu.apply(Current(0.01), LIMITS)
    monkeypatch.setattr(virtual._output, "put", lambda text: None)  # a stuck relay
    with pytest.raises(NotSafe, match="told to go off"):
        smu.off()
    monkeypatch.undo()


def test_an_output_that_does_not_go_on_is_told(smu, virtual, cell, monkeypatch):
    monkeypatch.setattr(virtual._output, "put", lambda text: None)  # an open interlock
    with pytest.raises(NotSafe, match="interlock"):
        smu.apply(Current(0.01), LIMITS)
    monkeypatch.undo()


def test_errors_in_the_queue_are_raised_and_the_output_is_off(smu, virtual, cell, monkeypatch):
    monkeypatch.setattr(virtual, "no_error", lambda: '-213,"Init ignored;1;2015/05/06 12:57:04.484"')
    with pytest.raises(Refused, match="-213 Init ignored"):
        smu.apply(Current(0.01), LIMITS)
    assert cell.drives[-1] == OpenCircuit()


def test_the_button_at_the_front_panel_is_respected(smu, virtual, cell):
    smu.apply(Current(0.05), LIMITS)
    virtual.press_output_button()
    measured = smu.measure()
    assert close_to(measured) == (3.0, 0.0)
    assert cell.drives[-1] == OpenCircuit()


# --- faults


@pytest.fixture
def proxy(virtual):
    between = FaultProxy(virtual.port)
    yield between
    between.close()


def test_silence_while_applying_is_told_and_the_source_is_off_once_it_is_back(proxy, virtual, cell):
    smu = Keithley2450(proxy.address(virtual.resource), timeout_s=0.5)
    proxy.spoil = swallow
    with pytest.raises(InstrumentTimeout) as caught:
        smu.apply(Current(0.05), LIMITS)
    assert "could not be confirmed off" in "".join(caught.value.__notes__)
    proxy.spoil = None
    smu.off()
    assert cell.drives[-1] == OpenCircuit()
    smu.close()


def test_a_link_lost_in_the_middle_of_a_look_at_the_cell_leaves_no_output_on(proxy, virtual, cell):
    smu = Keithley2450(proxy.address(virtual.resource), timeout_s=0.5)
    proxy.spoil = lambda chunk: None if virtual.output_is_on else chunk  # gone as soon as it is on
    proxy.refuse = True
    with pytest.raises(InstrumentError):
        smu.measure()
    assert virtual.output_is_on  # at 0 A, and the driver knows that it looked
    proxy.refuse, proxy.spoil = False, None
    for _ in range(100):
        try:
            measured = smu.measure()
            break
        except Unreachable:
            time.sleep(0.02)
    assert close_to(measured) == (3.0, 0.0)
    assert not virtual.output_is_on
    smu.close()


def test_closing_a_lost_instrument_says_that_it_may_be_on(proxy, virtual):
    smu = Keithley2450(proxy.address(virtual.resource), timeout_s=0.5)
    smu.apply(Current(0.05), LIMITS)
    proxy.refuse = True
    proxy.drop()
    with pytest.raises(InstrumentError):
        smu.close()
    smu.close()
