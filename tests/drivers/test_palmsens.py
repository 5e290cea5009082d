"""PalmSens: numbers and packages as the maker prints them, the scripts that go out, and what becomes of the cell."""

from __future__ import annotations

import itertools
import math
import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import finding
from drivers import palmsens_scripts as scripts
from drivers.interface import (
    Current,
    InstrumentError,
    NoReading,
    NotSafe,
    OutOfRange,
    Protection,
    Refused,
    Sweep,
    Voltage,
    WrongInstrument,
)
from drivers.methodscript import Ended, Failed, Output, Status, Variable, literal, read_error, read_package
from drivers.palmsens import PalmSens
from drivers.palmsens_scripts import DEVICES, Held, Limits
from drivers.simulated.clock import ScaledClock
from drivers.simulated.methodscript import digits
from drivers.simulated.palmsens import VirtualPalmSens
from drivers.simulated.wiring import FixedCell

WINDOW = Protection(1.0, 4.2, 0.01)
HALF_CELL = Protection(-0.05, 2.0, 5e-3)

# --- numbers and packages; the values are those of the maker's README and of its arithmetic


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Pda7F85F3Fu;ba48D503Dp,10,288", [("da", -0.499905, 0, None), ("ba", -5.7847747e-05, 0, 136)]),
        ("Pda7F85F3Fu;ba4BA99F0p,10,288", [("da", -0.499905, 0, None), ("ba", -5.487976e-05, 0, 136)]),
        (
            "PdcDF5DFF4u;cc896D904m,10,287;cd82DB1A8u,10,287",
            [("dc", 99.999732, 0, None), ("cc", 9885.956, 0, 135), ("cd", 2.9946, 0, 135)],
        ),
        ("Pda84E63DAn;ba82AB973f,14,284", [("da", 0.00513737, 0, None), ("ba", 2.799987e-09, 4, 132)]),
        ("Peb8000003 ,11", [("eb", 3.0, 1, None)]),
        ("Pda807A120u;ba8030D3Dn,10,20B,40", [("da", 0.5, 0, None), ("ba", 199.997e-6, 0, 11)]),
        ("Pea8000005i;ja7FFFFFFa", [("ea", 5.0, 0, None), ("ja", -1e-18, 0, None)]),
    ],
)
def test_packages_of_real_devices(line: str, expected: list[tuple[str, float, int, int | None]]) -> None:
    found = read_package(line)
    for variable, (kind, value, status, current_range) in zip(found, expected, strict=True):
        assert (variable.kind, variable.status, variable.range) == (kind, status, current_range)
        assert variable.value == pytest.approx(value, rel=1e-7)


def test_no_number_is_said_to_be_none() -> None:
    assert read_package("Pba     nan,12,288") == (Variable("ba", NoReading.OVERLOAD, Status.OVERLOAD, 136),)
    assert read_package("Pba     nan,10") == (Variable("ba", NoReading.NOT_AVAILABLE, Status.OK, None),)


@pytest.mark.parametrize(
    "line",
    ["P", "Pda7F85F3F", "Pda7F85F3Fx", "Pda7f85f3fu", "Pda7F85F3Fu;", "Pda7F85F3Fu,99", "da7F85F3Fu", "Pda 7F85F3Fu"],
)
def test_what_is_no_package_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        read_package(line)


@given(st.floats(min_value=1e-12, max_value=1e12) | st.just(0.0), st.sampled_from([1, -1]))
def test_a_literal_has_no_decimal_point_and_comes_back(magnitude: float, sign: int) -> None:
    text = literal(sign * magnitude)
    assert "." not in text and "e" not in text
    number = int(text.rstrip("afpnumkMGTPE"))
    scale = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "a": 1e-18}
    assert number * scale[text.lstrip("-0123456789")] == pytest.approx(sign * magnitude, rel=1e-5)


@pytest.mark.parametrize(("value", "text"), [(-0.5, "-500m"), (4.2, "4200m"), (1e-6, "1u"), (60, "60"), (0, "0")])
def test_literals_as_the_manual_has_them(value: float, text: str) -> None:
    assert literal(value) == text


@given(st.floats(min_value=-1e9, max_value=1e9).filter(lambda value: value == 0 or abs(value) > 1e-9))
def test_any_value_goes_over_the_wire(value: float) -> None:
    (found,) = read_package("Pab" + digits(value))
    assert found.value == pytest.approx(value, rel=1e-5, abs=1e-18)


def test_errors_say_what_they_mean_and_where() -> None:
    error = read_error("e!4001: Line 3, Col 1")
    assert error is not None and (error.command, error.code, error.line) == ("e", 0x4001, 3)
    assert str(read_error("!0032: Line 12")) == (
        "error 0032 at line 12 of the script: critical overload: the measurement was stopped"
    )
    assert Output().feed("T!0032") is None


def test_the_output_of_a_script_is_followed_strictly() -> None:
    output = Output()
    assert [output.feed(line) for line in ("L", "M0007", "Thello", "*", "+", "")] == [None] * 5 + [Ended()]
    output.feed("M0007")
    with pytest.raises(ValueError, match="end came within a loop"):
        output.feed("")
    assert isinstance(Output().feed("!0032: Line 2"), Failed)
    for line in ("e", "*", "hello", "Z!0006"):
        with pytest.raises(ValueError):
            Output().feed(line)


# --- scripts

HELD = """var p
var c
var stop
var goal
var low
var high
var most
var least
store_var stop 0i aa
store_var goal 1m ja
store_var low 1 ja
store_var high 4200m ja
store_var most 10m ja
store_var least -10m ja
var stage
var amps
var clamp
var more
var less
store_var stage 0i aa
store_var amps 1m ja
store_var clamp 4200m ja
store_var more 1050u ja
store_var less -1050u ja
set_pgstat_chan 0
set_pgstat_mode 6
set_max_bandwidth 30
pck_start
pck_add goal
pck_add low
pck_add high
pck_add most
pck_end
wait 200m
loop stage < 2i
if stage == 0i
set_pgstat_chan 0
set_pgstat_mode 6
set_max_bandwidth 30
set_range ab 4200m
set_autoranging ab 4200m 4200m
set_range db 1m
set_autoranging db 1m 1m
set_i amps
cell_on
loop stage == 0i
meas_loop_cp p c amps 200m 3600
pck_start
pck_add p
pck_add c
pck_end
if p > clamp
store_var stage 1i aa
breakloop
endif
if p < low
store_var stage 2i aa
breakloop
endif
endloop
endloop
cell_off
endif
if stage == 1i
set_pgstat_chan 0
set_pgstat_mode 2
set_max_bandwidth 30
set_range_minmax da clamp clamp
set_range ba 1050u
set_autoranging ba 100n 1050u
set_e clamp
cell_on
loop stage == 1i
meas_loop_ca p c clamp 200m 3600
pck_start
pck_add p
pck_add c
pck_end
if c > more
store_var stage 0i aa
breakloop
endif
if c < less
store_var stage 2i aa
breakloop
endif
endloop
endloop
cell_off
endif
endloop
on_finished:
cell_off"""


def test_a_current_is_held_within_its_voltages_by_the_device_itself() -> None:
    device = DEVICES["es4_hr"]
    held = Held.current(1e-3, Limits.of(WINDOW, device), 0.2)
    assert "\n".join(scripts.hold(held, device)) == HELD


def test_a_discharge_is_clamped_at_the_lower_voltage() -> None:
    held = Held.current(-1e-3, Limits.of(WINDOW, DEVICES["es4_hr"]), 0.2)
    script = scripts.hold(held, DEVICES["es4_hr"])
    assert "store_var clamp 1 ja" in script
    assert [line for line in script if line.startswith("if ")] == [
        *("if stage == 0i", "if p < clamp", "if p > high"),
        *("if stage == 1i", "if c > more", "if c < less"),
    ]


def test_impedance_is_one_loop_for_each_geometric_series() -> None:
    frequencies = (1000.0, 100.0, 10.0, 7.0)
    assert list(scripts.series(frequencies)) == [(1000.0, 10.0, 3), (7.0, 7.0, 1)]
    loops = [
        line
        for line in scripts.impedance(
            frequencies, 0.01, 3.7, scripts.Range(1e-7, 0.01), DEVICES["es4_hr"], galvanostatic=False
        )
        if line.startswith("meas_loop")
    ]
    assert loops == ["meas_loop_eis f r j 10m 1000 10 3i 3700m", "meas_loop_eis f r j 10m 7 7 1i 3700m"]


@pytest.mark.parametrize(("low", "high", "mode"), [(0.0, 2.0, 2), (-1.25, 0.95, 2), (-1.7, 0.9, 4), (-0.6, 2.0, 4)])
def test_the_dynamic_window_of_a_pico_chooses_its_mode(low: float, high: float, mode: int) -> None:
    assert scripts.mode_for(DEVICES["espico"], low, high) == mode


@pytest.mark.parametrize(("low", "high", "bandwidth"), [(0.0, 4.2, 0.0), (-1.7, 2.0, 0.0), (0.0, 2.0, 1e3)])
def test_what_no_window_of_a_pico_holds_is_refused(low: float, high: float, bandwidth: float) -> None:
    with pytest.raises(ValueError, match="dynamic window of the EmStat Pico"):
        scripts.mode_for(DEVICES["espico"], low, high, bandwidth)


# --- at the device


@pytest.fixture
def cell() -> FixedCell:
    return FixedCell(emf_V=3.0)


@pytest.fixture
def virtual(cell: FixedCell):
    with VirtualPalmSens(cell, ScaledClock(speed=5.0)) as server:
        yield server


@pytest.fixture
def pstat(virtual: VirtualPalmSens):
    with PalmSens(virtual.address, interval_s=0.05, timeout_s=1.0) as driver:
        yield driver


def pico(virtual: VirtualPalmSens) -> PalmSens:
    return PalmSens(virtual.address, interval_s=0.05, timeout_s=1.0, control_ohm=5.0)


def wait_for(condition, within_s: float = 2.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_bytes_of_an_opening(virtual: VirtualPalmSens) -> None:
    with PalmSens(virtual.address, interval_s=0.05) as driver:
        assert virtual.received == ["t", "e", "cell_off", ""]
        assert driver.identify() == "EmStat4 HR, firmware 1600, Sep 30 2025 12:00:00"


def test_it_is_recognised_at_a_serial_port(virtual: VirtualPalmSens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "REPLY_S", 0.3)
    assert [found.driver for found in finding.ask_serial(virtual.address).candidates] == ["palmsens"]


def test_another_device_than_the_one_named_is_not_opened(virtual: VirtualPalmSens) -> None:
    with pytest.raises(WrongInstrument, match="not espico: it says 'tes4_hr"):
        PalmSens(virtual.address, device="espico", interval_s=0.05)


def test_a_current_of_a_resistor(pstat: PalmSens, virtual: VirtualPalmSens) -> None:
    pstat.apply(Current(5e-3), WINDOW)
    measured = pstat.measure()
    assert (measured.voltage_V, measured.current_A) == pytest.approx((3.05, 5e-3), rel=1e-3)
    assert virtual.cell_is_on
    virtual.overload = True
    pstat.measure()
    assert pstat.measure().in_compliance
    pstat.off()
    assert not virtual.cell_is_on
    assert virtual.received[-3:] == ["e", "cell_off", ""]


def settled(pstat: PalmSens, voltage_V: float, current_A: float, limited: bool) -> None:
    """Within a while."""

    def is_there() -> bool:
        found = pstat.measure()
        values = (found.voltage_V, found.current_A) == pytest.approx((voltage_V, current_A), rel=2e-3, abs=1e-6)
        return bool(values) and found.in_compliance == limited

    wait_for(is_there)


def test_a_current_is_clamped_at_its_voltage_and_comes_back(pstat: PalmSens, cell: FixedCell) -> None:
    pstat.apply(Current(5e-3), WINDOW)
    cell.emf_V = 4.19  # 4.24 V at 5 mA
    settled(pstat, 4.2, 1e-3, limited=True)
    cell.emf_V = 3.5
    settled(pstat, 3.55, 5e-3, limited=False)


def test_a_voltage_is_held_with_no_more_than_its_current(pstat: PalmSens, cell: FixedCell) -> None:
    pstat.apply(Voltage(3.05), WINDOW)
    settled(pstat, 3.05, 5e-3, limited=False)
    cell.emf_V = 2.9  # would take 15 mA
    settled(pstat, 3.0, 10e-3, limited=True)
    cell.emf_V = 2.99
    settled(pstat, 3.05, 6e-3, limited=False)


def test_the_device_itself_ends_what_cannot_be(pstat: PalmSens, virtual: VirtualPalmSens, cell: FixedCell) -> None:
    pstat.apply(Current(5e-3), WINDOW)
    cell.emf_V = 0.5  # a short
    wait_for(lambda: not virtual.cell_is_on)  # nobody asked it anything
    with pytest.raises(NotSafe, match=r"limits exclude; last 0\.55 V, 0\.005 A\. The cell is off"):
        pstat.measure()
    assert not pstat.output_is_on()
    assert pstat.measure().current_A == 0.0


def test_at_rest_no_current_flows_and_the_voltage_is_followed(
    pstat: PalmSens, virtual: VirtualPalmSens, cell: FixedCell
) -> None:
    pstat.apply(Current(0.0), WINDOW)
    settled(pstat, 3.0, 0.0, limited=False)
    cell.emf_V = 2.8
    settled(pstat, 2.8, 0.0, limited=False)
    assert pstat.output_is_on() and not virtual.cell_is_on


@pytest.mark.parametrize("setpoint", [Current(1e-3), Voltage(3.01)])
def test_a_cell_outside_the_protection_is_not_switched_on(
    pstat: PalmSens, virtual: VirtualPalmSens, setpoint: Current | Voltage
) -> None:
    with pytest.raises(NotSafe, match=r"3 V, outside 3\.005 … 4\.2 V: not switched on"):
        pstat.apply(setpoint, Protection(3.005, 4.2, 0.01))
    assert "cell_on" not in virtual.received


def test_after_a_run_time_error_the_driver_switches_the_cell_off(pstat: PalmSens, virtual: VirtualPalmSens) -> None:
    pstat.apply(Current(1e-3), WINDOW)
    virtual.fail_next(0x0032)
    with pytest.raises(Refused, match="error 0032 at line 47 of the script: critical overload"):
        for _ in range(100):
            pstat.measure()
    assert not virtual.cell_is_on
    assert virtual.received[-3:] == ["e", "cell_off", ""]
    assert not pstat.output_is_on()


def test_limits_that_come_back_changed_stop_it_before_the_cell_is_on(
    pstat: PalmSens, virtual: VirtualPalmSens, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = scripts.hold
    monkeypatch.setattr(
        scripts, "hold", lambda *args: [line.replace("high 4200m", "high 4700m") for line in hold(*args)]
    )
    with pytest.raises(NotSafe, match="said back"):
        pstat.apply(Current(1e-3), WINDOW)
    assert not virtual.cell_is_on
    assert virtual.received[-3:] == ["e", "cell_off", ""]


def test_a_script_that_is_refused_says_its_line(pstat: PalmSens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "rest", lambda _: ["var p", "levitate 1"])
    with pytest.raises(Refused, match=r"error 4001 at line 2 of the script: unknown script command: 'levitate 1'"):
        pstat.measure()


def test_a_scan_of_voltage_and_back(pstat: PalmSens, virtual: VirtualPalmSens) -> None:
    points = list(pstat.linear_sweep(2.95, 3.05, 0.01, 0.5, WINDOW))
    assert [point.voltage_V for point in points] == pytest.approx([2.95 + 0.01 * n for n in range(11)])
    assert [point.current_A for point in points] == pytest.approx([(n - 5) * 1e-3 for n in range(11)], abs=1e-6)
    cycle = list(pstat.cyclic_voltammetry(3.0, (3.02, 2.98), 0.01, 0.5, WINDOW, scans=2))
    volts = [round(point.voltage_V, 3) for point in cycle]
    assert (max(volts), min(volts), volts[0], volts[-1]) == (3.02, 2.98, 3.0, 3.0)
    assert not virtual.cell_is_on


class Capacitive(FixedCell):
    def impedance(self, frequency_Hz: float) -> complex:
        return 10.0 + 1 / (2j * math.pi * frequency_Hz * 1e-3)


@pytest.mark.parametrize("galvanostatic", [False, True])
def test_the_impedance_of_a_capacitor_has_a_negative_imaginary_part(galvanostatic: bool) -> None:
    frequencies = (1000.0, 100.0, 30.0)
    sweep = Sweep(frequencies, 0.01, protection=WINDOW)
    if galvanostatic:
        sweep = Sweep(frequencies, None, amplitude_rms_A=1e-3, protection=WINDOW)
    with VirtualPalmSens(Capacitive(), ScaledClock(speed=5.0)) as virtual:
        with PalmSens(virtual.address, interval_s=0.05) as driver:
            points = list(driver.sweep(sweep))
        assert not virtual.cell_is_on
    for point in points:
        expected = 10.0 - 1j / (2 * math.pi * point.frequency_Hz * 1e-3)
        assert point.impedance_ohm == pytest.approx(expected, rel=1e-3)
    assert any(line.startswith("meas_loop_geis") for line in virtual.received) == galvanostatic


def test_a_sweep_is_broken_off_in_the_middle_of_a_point(pstat: PalmSens, virtual: VirtualPalmSens) -> None:
    timer = threading.Timer(0.5, pstat.interrupt)
    timer.start()
    began = time.monotonic()
    with pytest.raises(InstrumentError, match="interrupted"):
        list(pstat.sweep(Sweep((1000.0, 0.01), 0.01, protection=WINDOW)))
    assert time.monotonic() - began < 10.0  # the point takes 40 s
    assert not virtual.cell_is_on


def test_a_sweep_goes_on_while_the_station_asks_for_the_set_point(pstat: PalmSens) -> None:
    points = pstat.sweep(Sweep((1000.0, 500.0, 100.0), 0.01, protection=WINDOW))
    found = []
    for point in points:
        assert not pstat.output_is_on()  # no set point is held
        found.append(point.frequency_Hz)
    assert found == pytest.approx([1000.0, 500.0, 100.0])
    assert pstat.measure().current_A == 0.0


def test_a_driver_that_comes_back_finds_its_script_running(virtual: VirtualPalmSens) -> None:
    first = PalmSens(virtual.address, interval_s=0.05)
    first.apply(Voltage(3.02), WINDOW)
    first.leave()
    with PalmSens(virtual.address, interval_s=0.05) as second:
        assert second.output_is_on()
        assert second.measure().current_A == pytest.approx(2e-3, rel=1e-3)
        second.apply(Current(-1e-3), WINDOW)
        assert second.measure().current_A == pytest.approx(-1e-3, rel=1e-3)
    assert not virtual.cell_is_on


# --- the Pico


def test_a_pico_emulates_current_by_voltage() -> None:
    with (
        VirtualPalmSens(FixedCell(emf_V=0.5), ScaledClock(speed=5.0), device="espico") as virtual,
        pico(virtual) as driver,
    ):
        driver.apply(Current(2e-3), HALF_CELL)
        wait_for(lambda: driver.measure().current_A == pytest.approx(2e-3, rel=0.01), within_s=5.0)
        assert driver.measure().voltage_V == pytest.approx(0.52, abs=1e-3)
        assert not any(line.startswith("meas_loop_cp") for line in virtual.received)


def test_an_emulated_current_stops_at_the_protection() -> None:
    cell = FixedCell(emf_V=1.9, resistance_ohm=100.0)
    with VirtualPalmSens(cell, ScaledClock(speed=5.0), device="espico") as virtual, pico(virtual) as driver:
        driver.apply(Current(3e-3), Protection(0.0, 1.95, 5e-3))  # 2.2 V would be needed
        settled(driver, 1.95, 0.5e-3, limited=True)
        assert virtual.cell_is_on


def test_a_pico_holds_a_voltage_with_no_more_than_its_current() -> None:
    cell = FixedCell(emf_V=1.0, resistance_ohm=100.0)
    with VirtualPalmSens(cell, ScaledClock(speed=5.0), device="espico") as virtual, pico(virtual) as driver:
        driver.apply(Voltage(1.1), Protection(0.0, 1.95, 3e-3))
        settled(driver, 1.1, 1e-3, limited=False)
        cell.emf_V = 0.7  # would take 4 mA
        settled(driver, 1.0, 3e-3, limited=True)


def test_a_pico_refuses_what_its_dynamic_window_does_not_hold() -> None:
    with (
        VirtualPalmSens(FixedCell(emf_V=0.5), ScaledClock(speed=5.0), device="espico") as virtual,
        pico(virtual) as driver,
    ):
        before = len(virtual.received)
        with pytest.raises(OutOfRange, match=r"voltage 3\.7 V"):
            driver.check(Voltage(3.7), WINDOW)
        with pytest.raises(OutOfRange, match="dynamic window"):
            driver.check(Current(1e-3), Protection(-1.7, 2.0, 5e-3))
        with pytest.raises(OutOfRange, match="the EmStat Pico has no galvanostat"):
            driver.check_sweep(Sweep((100.0,), None, amplitude_rms_A=1e-3, protection=HALF_CELL))
        assert len(virtual.received) == before


# --- the virtual device as other programs speak to it


def answers(virtual: VirtualPalmSens, *sent: str, until: str) -> list[str]:
    """All lines that come after `sent`, to the one that is `until`."""
    with socket.create_connection((virtual.host, virtual.port), timeout=5.0) as client, client.makefile("r") as lines:
        client.sendall("".join(f"{line}\n" for line in sent).encode())
        return list(itertools.takewhile(lambda line: line != until, (line.rstrip("\n") for line in lines)))


def test_branches_text_and_a_first_look_in_a_script() -> None:
    script = """var p
var n
store_var n 2i aa
meas 10m p ab
if n == 1i
  send_string "one"
elseif n == 2i
  send_string "two, 2.5 V"  # not a literal
else
  send_string "more"
endif
pck_start
pck_add p
pck_end""".splitlines()
    with VirtualPalmSens(FixedCell(emf_V=0.3), ScaledClock(speed=50.0), noise=0.0) as virtual:
        assert answers(virtual, "v", "e", *script, "", until="") == ["v0108", "e", "Ttwo, 2.5 V", "Pab80493E0u,10,204"]


def test_each_vertex_of_a_scan_comes_once() -> None:
    script = ("var p", "var c", "set_e 0", "cell_on", "meas_loop_cv p c 0 20m -10m 10m 1", "pck_start", "pck_add p")
    with VirtualPalmSens(FixedCell(emf_V=0.3), ScaledClock(speed=50.0), noise=0.0) as virtual:
        lines = answers(virtual, "e", *script, "pck_end", "endloop", "on_finished:", "cell_off", "", until="")
    found = [read_package(line)[0].value for line in lines if line.startswith("P")]
    assert found == pytest.approx([0.0, 0.01, 0.02, 0.01, 0.0, -0.01, 0.0])


def test_a_loop_is_ended_and_the_script_goes_on() -> None:
    script = (
        "var p",
        "var c",
        "cell_on",
        "meas_loop_ca p c 0 100m 3600",
        "pck_start",
        "pck_add c",
        "pck_end",
        "endloop",
    )
    with (
        VirtualPalmSens(FixedCell(emf_V=0.0), ScaledClock(speed=5.0), noise=0.0) as virtual,
        socket.create_connection((virtual.host, virtual.port), timeout=5.0) as client,
        client.makefile("r") as lines,
    ):
        client.sendall("\n".join(("e", *script, 'send_string "on"', "on_finished:", "cell_off", "", "")).encode())
        assert [next(lines) for _ in range(3)] == ["e\n", "M0007\n", "Pba8000000 ,10,224\n"]
        client.sendall(b"h\nH\nY\n")
        rest = [line.rstrip("\n") for line in itertools.takewhile(lambda line: line != "\n", lines)]
        assert [line for line in rest if not line.startswith("P")] == ["h", "H", "Y", "*", "Ton"]
        wait_for(lambda: not virtual.cell_is_on)
