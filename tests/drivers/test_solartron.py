"""The Solartron pair: bytes on the bus, impedance of a known circuit, protection, and lost links."""

from __future__ import annotations

import cmath
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

import drivers.solartron
from drivers.interface import (
    BadReply,
    ImpedanceSource,
    InstrumentError,
    InstrumentTimeout,
    NotSafe,
    OutOfRange,
    Protection,
    Refused,
    Sweep,
    Unreachable,
    WrongInstrument,
)
from drivers.simulated.clock import ManualClock, ScaledClock
from drivers.simulated.solartron import VirtualSolartron
from drivers.simulated.wiring import DriveVoltage, FixedCell, OpenCircuit
from drivers.solartron import SolartronImpedance
from drivers.solartron1260 import Solartron1260, number
from drivers.solartron1287 import Solartron1287
from drivers.testing.faults import FaultProxy, Spoil, cut_after, double, dribble, garble, swallow
from drivers.transports.prologix import PrologixAdapter, PrologixDevice

PROTECTION = Protection(2.5, 4.3, 0.1)
SPEED = 1e5


@dataclass
class RcCell(FixedCell):
    """5 Ω and 10 Ω parallel to 100 µF in series: its arc's top, 10 - 5j Ω, is at 159.155 Hz."""

    emf_V: float = 3.7
    resistance_ohm: float = 15.0

    def impedance(self, frequency_Hz: float) -> complex:
        return 5 + 10 / (1 + 2j * math.pi * frequency_Hz * 10 * 100e-6)


def sweep(*frequencies: float, amplitude: float = 0.01, **settings: Any) -> Sweep:
    return Sweep(frequencies or (1000.0,), amplitude, **({"protection": PROTECTION} | settings))


def open_driver(address: str, **settings: Any) -> SolartronImpedance:
    fast: dict[str, Any] = {"write_wait_s": 0.0, "timeout_s": 1.0, "patience_s": 3.0, "speed": SPEED}
    return SolartronImpedance(address, **(fast | settings))


@contextmanager
def bench(cell: FixedCell | None = None, **settings: Any) -> Iterator[tuple[SolartronImpedance, VirtualSolartron]]:
    with (
        VirtualSolartron(cell or RcCell(), ScaledClock(speed=SPEED), noise=0.0) as virtual,
        open_driver(virtual.address, **settings) as driver,
    ):
        virtual.heard.clear()
        yield driver, virtual


@contextmanager
def behind_proxy(**settings: Any) -> Iterator[tuple[SolartronImpedance, VirtualSolartron, FaultProxy]]:
    with VirtualSolartron(RcCell(), ScaledClock(speed=SPEED), noise=0.0) as virtual:
        proxy = FaultProxy(virtual.port)
        try:
            with open_driver(proxy.address(virtual.resource), **settings) as driver:
                yield driver, virtual, proxy
        finally:
            proxy.close()


def told(virtual: VirtualSolartron, address: int) -> list[str]:
    return [message for to, message in virtual.heard if to == address]


def is_open(virtual: VirtualSolartron) -> bool:
    state = virtual.potentiostat
    return not state.settings["PW"] and not state.settings["BY"] and state.cell.terminals()[1] == 0


# --- what goes over the wire


CONTROLLER = b"++mode 1\n++auto 0\n++eos 3\n++eoi 1\n++read_tmo_ms 1000\n"


def test_bytes_of_a_whole_sweep() -> None:
    with behind_proxy() as (driver, _, proxy):
        assert len(list(driver.sweep(sweep(1000.0)))) == 1
    sent = b"".join(proxy.sent)
    assert sent.startswith(CONTROLLER + b"++addr 4\nOT 1\n++addr 4\n*IDN?\n++addr 4\n++read eoi\n")
    sweep_bytes = sent[sent.index(b"++addr 6") :]
    standby = to(6, "PW0", "BY1", "RG0", "DG0", "TR0", "GP2", "RU1", None, "BY0") + to(
        4, "BK", "VA 0.0000E\x1b+0", "*IDN?", None
    )
    assert (
        sweep_bytes.splitlines()
        == (
            to(6, "PW0", "BY0")
            + to(6, "OT1", "PO0", "ON0", "IL4", "OL2", "RR3", "PB2", "CC0", "FI0", "VX0", "IX0", "BR0", "PI0")
            + to(6, "RG0", "DG0", "TR0", "GP2", "BY1", "RU1", None)
            + to(4, "OS 0", "OP 2,1", "OP 3,0", "GT 0", "VB 0.0000E\x1b+0", "AU 0", "MS 0.0000E\x1b+0")
            + to(4, "RA 1,0", "RA 2,0", "DC 1,0", "DC 2,0", "IP 1,0", "IP 2,0", "OU 1,1", "OU 2,1")
            + to(4, "SO 1,2", "CV 1", "CZ 1", "UW 0", "SW 0", "BP 0", "CE", "VA 1.0000E-2")
            + to(6, "PV3.7000E\x1b+0", "VT1", "VR3.7000E\x1b+0", "IT1", "IR0.0000E\x1b+0", "BR1", "PW1", "RU1", None)
            + to(4, "FR 1.0000000E\x1b+3", "IS 1.0000E\x1b+0", "SI", "SO 1,2", "DO", None)
            + to(6, "RU1", None)
            + standby  # at the sweep's end
            + standby  # and when the driver is closed
        ).splitlines()
    )


def to(address: int, *messages: str | None) -> bytes:
    """What the adapter is sent for `messages`; None is a read."""
    return b"".join(f"++addr {address}\n{message or '++read eoi'}\n".encode() for message in messages)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e6, "1.0000E+6"), (10e-6, "1.0000E-5"), (0.0, "0.0000E+0"), (-3.7, "-3.7000E+0"), (9.99996, "1.0000E+1")],
)
def test_numbers_as_the_manuals_write_them(value: float, text: str) -> None:
    assert number(value) == text


class Dialog:
    """A GPIB line with answers prepared."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.sent = list(answers), list[str]()

    def write(self, text: str) -> None:
        self.sent.append(text)

    def read(self, timeout_s: float | None = None) -> str:
        return self.answers.pop(0)

    def query(self, text: str, timeout_s: float | None = None) -> str:
        self.write(text)
        return self.read(timeout_s)

    def close(self) -> None: ...


IDENTITY = "1260 IMPEDANCE ANALYZER, SOLARTRON, 0, 0"


def analyser(*answers: str) -> Solartron1260:
    return Solartron1260(Dialog(IDENTITY, *answers), write_wait_s=0)


@pytest.mark.parametrize(
    "identity", [IDENTITY, "SCHLUMBERGER TECHNOLOGIES, 1260 IMPEDANCE ANALYZER, 0, 0", "1255B FRA, SOLARTRON, 0, 0"]
)
def test_identities(identity: str) -> None:
    assert Solartron1260(Dialog(identity), write_wait_s=0).identity == identity


def test_another_instrument_at_the_address() -> None:
    with pytest.raises(WrongInstrument, match="KEITHLEY"):
        Solartron1260(Dialog("KEITHLEY INSTRUMENTS,MODEL 2450,01,1.7"), write_wait_s=0)


def test_a_result_is_magnitude_and_angle() -> None:
    ratio = analyser("+1.0000000E+03,+2.0000E+00,-3.0000E+01,0,00").result(1e3, 1)
    assert ratio == pytest.approx(cmath.rect(2, -math.pi / 6))
    assert ratio.imag < 0, "capacitive"


@pytest.mark.parametrize("limit", ["00", "-1", "+1"])
def test_the_limit_check_is_nobodys_business(limit: str) -> None:
    assert analyser(f"+1.0000000E+03,+2.0000E+00,+0.0000E+00,0,{limit}").result(1e3, 1) == 2


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "+1.0000000E+03,+2.0000E+00,-3.0000E+01,0,0",
        "+1.0000000E+03,+2.0000E+00,-3.0000E+01,0,000",
        "+1.0000000E+03,+2.0000E+00,-3.0000E+01,0",
        " 1.0000000E+03,+2.0000E+00,-3.0000E+01,0,00",
        "+1.000000E+03,+2.00000E+00,-3.0000E+01,0,00",
        "+1.0000000E+03;+2.0000E+00;-3.0000E+01;0;00",
        "+1.0000000E+03,+      nan ,-3.0000E+01,0,00",
        "+1.0000000E+03,+2.0000E+00,-3.0000E+01,E,00",
        "+1.0000000E+03,+2.0000E+00,-3.0000E+02,0,00",
        "+1.0000000E+03,-2.0000E+00,-3.0000E+01,0,00",
        "+1.0010000E+03,+2.0000E+00,-3.0000E+01,0,00",
    ],
    ids=str,
)
def test_anything_else_is_a_bad_reply(reply: str) -> None:
    with pytest.raises(BadReply):
        analyser(reply).result(1e3, 1)


@pytest.mark.parametrize("digit", "123456789")
def test_an_error_digit_is_a_refusal_with_the_frequency(digit: str) -> None:
    with pytest.raises(Refused, match=f"error {digit} at 0.01 Hz"):
        analyser(f"+1.0000000E-02,+0.0000E+00,+0.0000E+00,{digit},00").result(0.01, 1)


def test_voltmeter_readings() -> None:
    line = Dialog("+2.07035E-03,+1.51106E-08,00,00", "+2.07035E-03,+1.51106E-08,00,03", "+2.07035E-03,+1.51106E-08")
    potentiostat = Solartron1287(line, write_wait_s=0)
    assert potentiostat.measure() == (2.07035e-3, 1.51106e-8)
    with pytest.raises(Refused, match=r"codes 00 .* 03"):
        potentiostat.measure()
    with pytest.raises(BadReply):
        potentiostat.measure()
    assert line.sent == ["RU1"] * 3


@pytest.mark.parametrize(("allowed", "limit"), [(5.0, 2.0), (2.0, 2.0), (1.99, 0.2), (0.1, 0.02), (20e-6, 20e-6)])
def test_the_current_limit_is_never_wider_than_allowed(allowed: float, limit: float) -> None:
    assert Solartron1287(Dialog(), write_wait_s=0).current_limit_A(allowed) == limit


# --- sweeps on the virtual pair


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_the_impedance_of_a_known_circuit(noise: float) -> None:
    cell = RcCell()
    frequencies = tuple(10 ** (6 - i / 5) for i in range(41))  # 1 MHz … 10 mHz
    with (
        VirtualSolartron(cell, ScaledClock(speed=1e6), noise=noise) as virtual,
        open_driver(virtual.address, speed=1e6) as driver,
    ):
        assert isinstance(driver, ImpedanceSource)
        points = list(driver.sweep(sweep(*frequencies)))
        assert virtual.analyser.unknown == virtual.potentiostat.unknown == []
    assert tuple(point.frequency_Hz for point in points) == frequencies
    for point in points:
        expected = cell.impedance(point.frequency_Hz)
        assert abs(point.impedance_ohm - expected) < (6 * noise + 2e-4) * abs(expected)
    if noise == 0:
        top = min(points, key=lambda point: point.impedance_ohm.imag)
        assert top.impedance_ohm == pytest.approx(10 - 5j, abs=0.05), "capacitive is negative"


def test_a_resistor_and_the_standard_resistor() -> None:
    with bench(FixedCell(3.0, 10.0)) as (driver, virtual):
        (point,) = driver.sweep(sweep(1000.0))
        assert point.impedance_ohm == pytest.approx(10.0, rel=1e-4)
        assert virtual.potentiostat.resistor_ohm == 10.0, "0.2 V / 20 mA, the current limit within 100 mA"
    with bench(FixedCell(3.0, 10e3), standard_resistor_ohm=1e3, impedance_factor=1.02) as (driver, virtual):
        (point,) = driver.sweep(sweep(1000.0))
        assert point.impedance_ohm == pytest.approx(10.2e3, rel=1e-4)
        assert "RR5" in told(virtual, 6)


def test_the_amplitude_through_the_hundredfold_attenuator() -> None:
    with bench(attenuate=True) as (driver, virtual):
        (point,) = driver.sweep(sweep(1000.0, amplitude=0.01))
        assert point.impedance_ohm == pytest.approx(RcCell().impedance(1000.0), rel=1e-4)
        assert "PI1" in told(virtual, 6)
        assert "VA 1.0000E+0" in told(virtual, 4)
        with pytest.raises(OutOfRange, match=r"0\.03 V"):
            driver.check_sweep(sweep(amplitude=0.031))


@pytest.mark.parametrize(("bias", "held"), [(None, 3.7), (3.8, 3.8), (3.65, 3.65)])
def test_the_cell_is_held_at_its_open_circuit_voltage_or_the_bias(bias: float | None, held: float) -> None:
    drives: list[object] = []

    class Watched(RcCell):
        def drive(self, drive: Any) -> None:
            drives.append(drive)
            super().drive(drive)

    with bench(Watched()) as (driver, virtual):
        for _ in driver.sweep(sweep(1000.0, 10.0, bias_V=bias)):
            assert virtual.potentiostat.cell.terminals()[0] == pytest.approx(held, abs=1e-3)
    on, off = drives
    assert isinstance(on, DriveVoltage)
    assert on.voltage_V == pytest.approx(held, abs=2e-4)
    assert on.current_max_A == 0.02
    assert off == OpenCircuit()


def test_the_limits_are_set_and_the_voltage_measured_before_the_cell_is_polarised() -> None:
    with bench() as (driver, virtual):
        list(driver.sweep(sweep()))
        heard = told(virtual, 6)
    on = heard.index("PW1")
    assert {"PO0", "IL4", "OL2", "RR3", "BY1", "RU1", "PV3.7000E+0"} <= set(heard[:on])
    assert heard.index("BY1") < heard.index("RU1"), "in full standby the voltmeter does not see the cell"
    assert heard[0] == "PW0"
    assert heard[-1] == "BY0"


def test_a_point_takes_its_integration_time_and_a_cycle() -> None:
    clock = ManualClock()
    with (
        VirtualSolartron(RcCell(), clock, noise=0.0) as virtual,
        open_driver(virtual.address, integration_s=0.5, integration_cycles=3, speed=1e9) as driver,
    ):
        list(driver.sweep(sweep(1000.0)))
        assert clock.time_s == pytest.approx(0.501)
        list(driver.sweep(sweep(0.01)))
        assert clock.time_s == pytest.approx(0.501 + 400.0)


def test_a_result_that_comes_later_than_the_adapter_waits() -> None:
    """The adapter gives up reading after 0.2 s here; the driver has it ask again, and asks nothing else."""
    with (
        VirtualSolartron(RcCell(), ScaledClock(speed=1.0), noise=0.0) as virtual,
        VirtualSolartron(RcCell(), ScaledClock(speed=1.0), noise=0.0),
    ):
        adapter = PrologixAdapter("127.0.0.1", virtual.port, timeout_s=0.2)
        device = PrologixDevice(adapter, 4)
        for message in ("OT 1", "OP 2,1", "FR 1E+3", "IS 0.5", "SI"):
            device.write(message)
        assert device.read(5.0).startswith("+1.0000000E+03,")
        assert told(virtual, 4) == ["OT 1", "OP 2,1", "FR 1E+3", "IS 0.5", "SI"]
        with pytest.raises(InstrumentTimeout, match=r"/17: no answer within 0\.4 s"):
            PrologixDevice(adapter, 17).query("*IDN?", 0.4)
        assert PrologixDevice(adapter, 4).query("*IDN?", 5.0) == IDENTITY
        adapter.close()


# --- refusals before anything is sent


def test_out_of_range_and_nothing_sent() -> None:
    wrong = [
        sweep(1e6 + 1),
        sweep(9e-6),
        sweep(1000.0, math.nan),
        Sweep((), 0.01, protection=PROTECTION),
        sweep(amplitude=0.0),
        sweep(amplitude=-0.01),
        sweep(amplitude=3.1),
        sweep(amplitude=math.nan),
        sweep(bias_V=4.3),
        sweep(bias_V=math.nan),
        sweep(bias_V=14.6, protection=Protection(-20, 20, 0.1)),
        sweep(protection=Protection(2.5, 4.3, 19e-6)),
    ]
    with bench() as (driver, virtual):
        for request in wrong:
            with pytest.raises(OutOfRange):
                driver.check_sweep(request)
            with pytest.raises(OutOfRange):
                driver.sweep(request)
        assert virtual.heard == []


@pytest.mark.parametrize(
    "settings",
    [
        {"standard_resistor_ohm": 50.0},
        {"impedance_factor": 0.0},
        {"integration_s": 0.001},
        {"integration_cycles": 0.5},
    ],
)
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(OutOfRange):
        SolartronImpedance("prologix://127.0.0.1:1/4", **settings)


@pytest.mark.parametrize("address", ["TCPIP::127.0.0.1::1234::SOCKET", "prologix://127.0.0.1", "prologix:///4", "4"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(Unreachable, match="prologix://host/4"):
        SolartronImpedance(address)


def test_gpib_addresses_of_one_board(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: dict[str, Dialog] = {}

    def line(address: str, **settings: Any) -> Dialog:
        opened[address] = Dialog("+3.70000E+00,+0.00000E+00,00,00" if "::6::" in address else IDENTITY)
        opened[address].answers *= 2
        return opened[address]

    monkeypatch.setattr(drivers.solartron, "VisaLine", line)
    with SolartronImpedance("GPIB1::4::INSTR", potentiostat_address=6, write_wait_s=0) as driver:
        assert driver.analyser.identity == IDENTITY
    assert list(opened) == ["GPIB1::4::INSTR", "GPIB1::6::INSTR"]
    assert opened["GPIB1::6::INSTR"].sent == ["PW0", "BY1", "RG0", "DG0", "TR0", "GP2", "RU1", "BY0"]


# --- protection and clean-up


def test_a_cell_outside_the_protection_is_not_polarised() -> None:
    with bench(RcCell(emf_V=4.4)) as (driver, virtual):
        with pytest.raises(NotSafe, match=r"4\.4.*outside the protection"):
            next(iter(driver.sweep(sweep())))
        assert "PW1" not in told(virtual, 6)
        assert is_open(virtual)


def test_a_bias_that_the_current_limit_does_not_allow() -> None:
    with bench(RcCell(emf_V=3.0)) as (driver, virtual):
        with pytest.raises(NotSafe, match=r"current limit of 0\.02 A"):
            list(driver.sweep(sweep(bias_V=4.0)))
        assert is_open(virtual)


def test_a_cell_that_leaves_the_protection_during_the_sweep() -> None:
    cell = RcCell()
    with bench(cell) as (driver, virtual):
        points = driver.sweep(sweep(1000.0, 100.0))
        next(points)
        cell.emf_V = 0.0  # a short circuit
        with pytest.raises(NotSafe, match="outside the protection"):
            next(points)
        assert is_open(virtual)


def test_an_overload_ends_the_sweep_at_open_circuit() -> None:
    with bench(FixedCell(3.7, 0.1), standard_resistor_ohm=1e3) as (driver, virtual):
        with pytest.raises(Refused, match="error 3 at 1000 Hz"):
            list(driver.sweep(sweep(1000.0)))
        assert is_open(virtual)


def test_closing_the_iterator_early_opens_the_circuit() -> None:
    with bench() as (driver, virtual):
        points = driver.sweep(sweep(1000.0, 100.0))
        next(points)
        assert virtual.potentiostat.polarised
        points.close()  # type: ignore[attr-defined]
        assert is_open(virtual)
        assert told(virtual, 6)[-1] == "BY0"
        assert told(virtual, 4)[-3:] == ["BK", "VA 0.0000E+0", "*IDN?"]


def test_an_iterator_never_started_sends_nothing() -> None:
    with bench() as (driver, virtual):
        driver.sweep(sweep())
        assert virtual.heard == []


def test_closing_the_driver_opens_what_another_program_left_on() -> None:
    with VirtualSolartron(RcCell(), noise=0.0) as virtual:
        for message in ("BY1", "PV4.0E0", "PW1"):
            virtual.potentiostat.listen(message)
        assert virtual.potentiostat.cell.terminals()[1] > 0
        driver = open_driver(virtual.address)
        assert virtual.potentiostat.polarised, "opening switches nothing"
        driver.close()
        driver.close()
        assert is_open(virtual)


def test_a_1287_that_does_not_obey_is_not_called_safe() -> None:
    with bench(patience_s=0.2) as (driver, virtual):
        obey = virtual.potentiostat.listen
        virtual.potentiostat.listen = lambda message: None if message == "PW0" else obey(message)  # type: ignore[method-assign]
        for message in ("BY1", "PV4.3E0", "PW1"):
            obey(message)
        with pytest.raises(NotSafe, match=r"A flows after polarisation off.*front panel"):
            driver.make_safe()
        assert told(virtual, 6)[-1] == "BY0", "each step whatever became of the one before"
        virtual.potentiostat.listen = obey  # type: ignore[method-assign]


def test_a_dead_1287_is_not_called_safe() -> None:
    with bench(timeout_s=0.2) as (driver, virtual):
        potentiostat = virtual.bus.pop(6)
        with pytest.raises(NotSafe, match="/6: no answer"):
            driver.make_safe()
        virtual.bus[6] = potentiostat
        patiently(driver.make_safe)
        assert is_open(virtual)


def test_an_interrupt_ends_a_long_point() -> None:
    with bench(speed=1.0) as (driver, virtual):
        threading.Timer(0.2, driver.interrupt).start()
        begin = time.monotonic()
        with pytest.raises(InstrumentError, match=r"interrupted at 0\.01 Hz"):
            list(driver.sweep(sweep(0.01)))
        assert time.monotonic() - begin < 2
        assert is_open(virtual)
        driver.speed = SPEED
        assert len(list(driver.sweep(sweep(1000.0)))) == 1, "the next sweep is not interrupted"


# --- lost and spoiled links


def once(proxy: FaultProxy, spoil: Spoil) -> None:
    def spoil_once(chunk: bytes) -> bytes | None:
        proxy.spoil = None
        return spoil(chunk)

    proxy.spoil = spoil_once


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (swallow, InstrumentTimeout),
        (garble, BadReply),
        (cut_after(20), (BadReply, Unreachable, InstrumentTimeout)),
        (lambda _: b"+1.0000000E+03,+2.0000E+00,-3.0000E+01,0,00\r\n", BadReply),
        (lambda _: b"+1.0000000E+02,+2.0000E+00\r\n", BadReply),
    ],
    ids=["swallow", "garble", "cut", "left-over result", "short result"],
)
def test_a_spoiled_result_ends_the_sweep_at_open_circuit(
    spoil: Spoil, error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SolartronImpedance, "point_margin_s", 0.2)
    with behind_proxy(integration_s=0.01, timeout_s=0.3) as (driver, virtual, proxy):
        points = driver.sweep(sweep(1000.0, 100.0, 10.0))
        next(points)
        once(proxy, spoil)
        with pytest.raises(error):
            next(points)
        assert is_open(virtual)
        assert told(virtual, 6)[-1] == "BY0"
        assert [point.frequency_Hz for point in driver.sweep(sweep(1000.0, 10.0))] == [1000.0, 10.0]


@pytest.mark.parametrize("spoil", [dribble, double])
def test_slow_and_doubled_answers(spoil: Spoil) -> None:
    with behind_proxy() as (driver, virtual, proxy):
        proxy.spoil = spoil
        (point,) = driver.sweep(sweep(1000.0))
        assert point.impedance_ohm == pytest.approx(RcCell().impedance(1000.0), rel=1e-4)
        assert not virtual.potentiostat.polarised


def test_a_sweep_outlives_a_connection_dropped_between_points() -> None:
    with behind_proxy() as (driver, _, proxy):
        points = driver.sweep(sweep(1000.0, 159.155))
        next(points)
        proxy.drop()
        assert next(points).impedance_ohm == pytest.approx(10 - 5j, rel=1e-3)
        assert b"".join(proxy.sent).count(CONTROLLER) >= 2, "the adapter is told its settings again"


def test_the_circuit_is_opened_as_soon_as_the_link_is_back() -> None:
    with behind_proxy() as (driver, virtual, proxy):
        points = driver.sweep(sweep(1000.0, 100.0))
        next(points)
        proxy.refuse = True
        proxy.drop()
        back = threading.Timer(1.0, lambda: setattr(proxy, "refuse", False))
        back.start()
        with pytest.raises(InstrumentError) as caught:
            next(points)
        back.join()
        assert not isinstance(caught.value, NotSafe)
        assert is_open(virtual)
        assert told(virtual, 6)[-1] == "BY0"


def test_a_link_that_stays_away_is_not_safe_and_says_so() -> None:
    with behind_proxy(patience_s=0.5) as (driver, virtual, proxy):
        points = driver.sweep(sweep(1000.0, 100.0))
        next(points)
        proxy.refuse = True
        proxy.drop()
        with pytest.raises(NotSafe, match=r"open circuit is not certain.*front panel"):
            next(points)
        assert virtual.potentiostat.polarised, "nobody could tell it"
        proxy.refuse = False
        patiently(driver.make_safe)
        assert is_open(virtual)


def test_a_closed_driver_stays_closed() -> None:
    with bench() as (driver, virtual):
        points = driver.sweep(sweep(1000.0, 100.0))
        next(points)
        driver.close()
        assert is_open(virtual)
        virtual.heard.clear()
        for use in (lambda: next(points), driver.identify, driver.make_safe, lambda: next(driver.sweep(sweep()))):
            with pytest.raises(Unreachable, match="closed"):
                use()
        assert virtual.heard == []


def test_nobody_listens() -> None:
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with pytest.raises(Unreachable):
        open_driver(f"prologix://127.0.0.1:{port}/4")


# --- the virtual pair and other people's programs


def talk(virtual: VirtualSolartron, text: bytes, until: bytes = b"\n") -> bytes:
    with socket.create_connection(("127.0.0.1", virtual.port), timeout=3) as link:
        link.sendall(text)
        reply = b""
        while until not in reply:
            if not (chunk := link.recv(4096)):
                break
            reply += chunk
        return reply


def test_a_plain_dialog_with_the_controller() -> None:
    with VirtualSolartron(RcCell(), noise=0.0) as virtual:
        assert talk(virtual, b"++ver\n").startswith(b"Prologix GPIB-ETHERNET Controller")
        assert talk(virtual, b"++mode 1\r\n++auto 0\r\n++addr 4\r\n++addr\r\n") == b"4\r\n"
        assert talk(virtual, b"*IDN?\n++read eoi\n") == IDENTITY.encode() + b"\r\n"
        assert talk(virtual, b"++auto 1\n*IDN?\n") == IDENTITY.encode() + b"\r\n"
        assert talk(virtual, b"++frobnicate\n") == b"Unrecognized command\r\n"
        assert talk(virtual, b"++auto 0\n++read_tmo_ms 20\n++addr 9\n*IDN?\n++read eoi\n++ver\n").startswith(
            b"Prologix"
        )


def test_public_programs_dialogs() -> None:
    """The order of vtipy (SI, SO, DO, one read), and of ums (SI and a read), with unescaped plus signs."""
    with VirtualSolartron(RcCell(), ScaledClock(speed=1e4), noise=0.0) as virtual:
        start = b"++mode 1\n++auto 0\n++addr 6\nRR3\nIL6\nPI0\nPV3.7\nBY1\nPW1\n++addr 4\nOP2,1\nVA0.01\nIS0.2\n"
        first = talk(virtual, start + b"CV 1\nFR 1.6E+02\nSI\nSO 1,2\nDO\n++read eoi\n")
        assert len(first) == 45
        assert first.startswith(b"+1.6000000E+02,+1.1")
        second = talk(virtual, b"SO1,2\nFR1.0000000E+3\nSI\n++read eoi\n")
        assert second.startswith(b"+1.0000000E+03,+5.4")
        assert virtual.analyser.unknown == virtual.potentiostat.unknown == []


def test_without_a_polarised_cell_there_is_an_error_digit() -> None:
    with VirtualSolartron(RcCell(), ScaledClock(speed=1e4)) as virtual:
        reply = talk(virtual, b"++auto 0\n++addr 4\nOP 2,1\nVA 0.01\nSO 1,2\nSI\nDO\n++read eoi\n")
        assert reply == b"+1.0000000E+03,+0.0000E+00,+0.0000E+00,3,00\r\n"


def patiently(act: Callable[[], None], patience_s: float = 3.0) -> None:
    """`act()`, again while the link backs off."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return act()
        except InstrumentError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
