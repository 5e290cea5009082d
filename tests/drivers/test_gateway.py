"""The gateway: its lines, what it refuses, and what becomes of the cell when the station is lost."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.gateway.backends import open_backend
from drivers.gateway.backends.fake import FakeBackend
from drivers.gateway.driver import Gateway
from drivers.gateway.links import Link
from drivers.gateway.protocol import SETPOINT, Capability, LostHost, Malformed, decode, encode, from_wire, to_wire
from drivers.gateway.service import GatewayService, run
from drivers.interface import (
    Current,
    CyclerProgram,
    CyclerState,
    CyclerStep,
    InstrumentError,
    Measurement,
    NotSafe,
    OutOfRange,
    Protection,
    Refused,
    StepKind,
    Sweep,
    Voltage,
)
from drivers.simulated.cell import SimulatedCell, silicon_half_cell
from drivers.simulated.clock import ManualClock, ScaledClock
from drivers.simulated.gateway import VirtualGateway
from drivers.simulated.wiring import FixedCell, OpenCircuit
from tests.drivers.neware_bench import CapacitorCell

WINDOW = Protection(1.0, 4.2, 0.02)


def expected(service: GatewayService) -> Link:
    """A station that holds all channels and was heard at 0."""
    service._links[""] = Link("", "a", None, 0.0)
    return service._links[""]


def wait_for(condition: Callable[[], bool], within_s: float = 3.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- lines


@contextlib.contextmanager
def dialog() -> Iterator[tuple[VirtualGateway, socket.socket]]:
    with (
        VirtualGateway(FakeBackend({"1": FixedCell()}, ManualClock())) as virtual,
        socket.create_connection((virtual.host, virtual.port)) as link,
    ):
        yield virtual, link


def asker(link: socket.socket) -> Callable[[str], str]:
    lines = link.makefile("rw")

    def ask(text: str) -> str:
        lines.write(text + "\n")
        lines.flush()
        return lines.readline().rstrip("\n")

    return ask


def test_the_lines_of_a_dialog() -> None:
    with dialog() as (virtual, link):
        ask = asker(link)
        hello = json.loads(ask('{"id":1,"verb":"hello","version":1,"token":"token","session":"a","channel":"1"}'))
        assert hello["result"] == {
            "version": 1,
            "backend": "fake",
            "description": {
                "instrument": "simulated potentiostat",
                "capabilities": ["source", "impedance", "cycler"],
                "channels": ["1"],
                "voltage_min_V": -10.0,
                "voltage_max_V": 10.0,
                "current_max_A": 0.8,
                "frequency_min_Hz": 1e-5,
                "frequency_max_Hz": 1e6,
                "amplitude_max_V": 1.0,
                "amplitude_max_A": 0.1,
                "simulated": True,
            },
            "lost_host": "open",
            "after_s": 60.0,
            "host_was_lost": "",
        }
        apply = (
            '{"id":2,"verb":"apply","channel":"1","key":"k1","setpoint":{"volts":3.05},'
            '"protection":{"voltage_min_V":1.0,"voltage_max_V":4.2,"current_max_A":0.02}}'
        )
        assert ask(apply) == '{"id":2,"ok":true,"result":null}'
        assert json.loads(ask('{"id":3,"verb":"measure","channel":"1"}'))["result"] == {
            "voltage_V": 3.05,
            "current_A": pytest.approx(5e-3),
            "in_compliance": False,
        }
        again = json.loads(ask(apply))
        assert again["error"]["message"] == "this start was received already, and is not done twice"
        assert virtual.backend.starts == ["1"]
        endless = apply.replace('"k1"', '"k2"').replace("4.2", "1e999")
        for wrong in (
            *('{"id":4,"verb":"fly"}', '{"id":5,"verb":"off"}', "[]", "{", '{"id":6,"verb":"off","id":6}'),
            *('{"id":8,"verb":"bye","channel":"1"}', endless, "[" * 100_000),
        ):
            assert json.loads(ask(wrong))["error"]["message"].startswith("not understood")
        assert ask('{"id":7,"verb":"is_on","channel":"1"}') == '{"id":7,"ok":true,"result":true}'


@pytest.mark.parametrize(
    ("hello", "why"),
    [
        ('{"id":1,"verb":"hello","version":1,"token":"tokem","session":"a","channel":"1"}', "wrong token"),
        (
            '{"id":1,"verb":"hello","version":2,"token":"token","session":"a","channel":"1"}',
            "speaks version 1, the station 2",
        ),
        ('{"id":1,"verb":"off","channel":"1"}', "first line must be 'hello'"),
        ("GET / HTTP/1.1", "not understood"),
    ],
)
def test_who_does_not_greet_rightly_is_told_and_cut_off(hello: str, why: str) -> None:
    with dialog() as (_, link):
        lines = link.makefile("rw")
        lines.write(hello + "\n")
        lines.flush()
        assert why in lines.readline()
        assert lines.readline() == ""


@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=8), max_size=4))
def test_an_object_goes_through_the_line(message: dict[str, object]) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line[:-1]) == message


@given(st.binary(max_size=40))
def test_any_bytes_are_an_object_or_malformed(line: bytes) -> None:
    try:
        assert isinstance(decode(line), dict)
    except Malformed:
        pass


def test_values_are_read_strictly() -> None:
    for setpoint in (Current(-1e-3), Voltage(4.2)):
        assert from_wire(SETPOINT, to_wire(SETPOINT, setpoint)) == setpoint
    for wrong in ({}, {"volts": 1.0, "amperes": 1.0}, {"volts": "1"}, {"voltss": 1.0}, [1.0]):
        with pytest.raises(Malformed):
            from_wire(SETPOINT, wrong)
    with pytest.raises(Malformed):
        from_wire(Measurement, {"voltage_V": 1.0, "current_A": 0.0})
    with pytest.raises(ValueError):
        encode({"x": float("nan")})


# --- as a source, an analyser, a cycler


@pytest.fixture
def backend() -> FakeBackend:
    clock = ManualClock(1_000_000.0)
    return FakeBackend({"1": CapacitorCell(clock), "2": FixedCell()}, clock)


@pytest.fixture
def virtual(backend: FakeBackend) -> Iterator[VirtualGateway]:
    with VirtualGateway(backend, after_s=0.3) as server:
        yield server


def opened(virtual: VirtualGateway, channel: str = "2") -> Gateway:
    return Gateway(virtual.address, token="token", channel=channel, timeout_s=1.0)


def test_it_can_what_its_back_end_can(virtual: VirtualGateway) -> None:
    with opened(virtual) as driver:
        assert driver.identify() == "simulated potentiostat (fake)"
        assert driver.greeting.description.simulated
        driver.apply(Current(5e-3), WINDOW)
        assert driver.measure().voltage_V == pytest.approx(3.05)
        with pytest.raises(OutOfRange, match=r"±0\.8 A"):
            driver.check(Current(1.0), Protection(0.0, 5.0, 2.0))
    with opened(virtual, channel="") as cycler, pytest.raises(OutOfRange, match="give the setting 'channel'"):
        cycler.measure()


def test_what_its_back_end_cannot_is_refused_before_anything_is_sent(
    virtual: VirtualGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(virtual) as driver:
        monkeypatch.setattr(driver, "_about", replace(driver.greeting.description, capabilities=(Capability.CYCLER,)))
        with pytest.raises(OutOfRange, match="is no source here: it is cycler"):
            driver.check(Current(1e-3), WINDOW)


def test_a_sweep_of_a_simulated_cell_is_its_impedance() -> None:
    clock = ManualClock(1_000_000.0)
    cell = SimulatedCell(silicon_half_cell(), clock, 1)
    with VirtualGateway(FakeBackend({"1": cell}, clock)) as virtual, opened(virtual, "1") as driver:
        points = list(driver.sweep(Sweep((1e4, 1e3, 100.0), 0.01, protection=Protection(0.0, 5.0, 0.1))))
    for point in points:
        assert point.impedance_ohm == pytest.approx(cell.impedance(point.frequency_Hz), rel=0.02)
        assert point.impedance_ohm.imag < 0


def test_a_sweep_goes_on_while_the_station_asks_for_the_set_point(virtual: VirtualGateway) -> None:
    with opened(virtual) as driver:
        points = driver.sweep(Sweep((100.0, 10.0), 0.01))
        assert next(points).frequency_Hz == 100.0
        assert not driver.output_is_on()
        assert next(points).frequency_Hz == 10.0


def test_a_sweep_that_goes_wrong_says_so(virtual: VirtualGateway, backend: FakeBackend) -> None:
    def broken(channel: str, sweep: Sweep, called_off: threading.Event):
        yield from FakeBackend.sweep(backend, channel, Sweep(sweep.frequencies_Hz[:1], 0.01), called_off)
        raise NotSafe("overload at 10 Hz")

    backend.sweep = broken  # type: ignore[method-assign]
    with opened(virtual) as driver:
        points = driver.sweep(Sweep((100.0, 10.0), 0.01))
        assert next(points).frequency_Hz == 100.0
        with pytest.raises(NotSafe, match="overload at 10 Hz"):
            next(points)


def test_a_program_runs_alone_and_its_records_come_once(virtual: VirtualGateway, backend: FakeBackend) -> None:
    program = CyclerProgram(
        "charge and rest",
        (
            CyclerStep(StepKind.CC, current_A=0.005, end_voltage_V=3.2),
            CyclerStep(StepKind.REST, end_time_s=60.0),
        ),
        Protection(0.0, 4.5, 0.02),
        capacity_max_Ah=0.01,
        record_time_s=10.0,
    )
    driver = opened(virtual, channel="")
    test_id = driver.start("1", program, "cell 7")
    with pytest.raises(Refused, match="a program is running in channel 1"):
        driver.start("1", program, "cell 8")
    for _ in range(6):
        backend.clock.sleep(20.0)
        driver.status(["1"])
    status = driver.status(["1"])["1"]
    assert (status.state, status.test_id, status.label) == (CyclerState.FINISHED, test_id, "cell 7")
    records = driver.records("1", test_id, 0)
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
    assert driver.records("1", test_id, len(records) - 2) == records[-2:]
    charge = [record for record in records if record.step == 1]
    assert charge[-1].voltage_V == pytest.approx(3.2, abs=0.01)
    assert charge[-1].step_capacity_Ah == pytest.approx(0.005 * charge[-1].step_time_s / 3600, rel=0.05)
    driver.close()
    assert len(backend.testers["1"].tests) == 1


# --- faults


def test_an_error_of_the_back_end_reaches_the_station_as_it_was(virtual: VirtualGateway, backend: FakeBackend) -> None:
    with opened(virtual) as driver:
        backend.unsound = NotSafe("the booster is off", hint="switch it on")
        with pytest.raises(NotSafe, match=r"gateway at .*: the booster is off \(switch it on\)"):
            driver.measure()
        backend.unsound = ZeroDivisionError("in the vendor's software")
        with pytest.raises(InstrumentError, match="the back end failed: ZeroDivisionError: in the vendor's software"):
            driver.measure()
        assert driver.measure().current_A == 0.0


def test_a_set_point_that_fails_leaves_the_circuit_open(virtual: VirtualGateway, backend: FakeBackend) -> None:
    with opened(virtual) as driver:
        driver.apply(Current(5e-3), WINDOW)
        backend.unsound = NotSafe("the limits read back otherwise")
        with pytest.raises(NotSafe):
            driver.apply(Current(6e-3), WINDOW)
        assert not driver.output_is_on()
        assert backend.cells["2"].terminals()[1] == 0.0


def test_a_silent_station_has_its_circuits_opened(virtual: VirtualGateway, backend: FakeBackend) -> None:
    driver = opened(virtual)
    driver.apply(Current(5e-3), WINDOW)
    wait_for(lambda: backend.cells["2"]._drive == OpenCircuit())  # type: ignore[attr-defined]
    assert not driver.output_is_on()
    driver.leave()
    with opened(virtual) as again:
        assert "nothing heard of the station for 0.3 s; every circuit was opened" in again.greeting.host_was_lost


def test_a_station_that_asks_is_not_lost(virtual: VirtualGateway) -> None:
    with opened(virtual) as driver:
        driver.apply(Current(5e-3), WINDOW)
        for _ in range(10):
            time.sleep(0.06)
            assert driver.measure().current_A == pytest.approx(5e-3)


def test_a_station_that_waits_for_an_order_or_a_point_is_not_lost() -> None:
    backend = FakeBackend({"1": FixedCell()}, ScaledClock())

    def slowly(channel: str, *given: object) -> None:
        time.sleep(0.25)
        FakeBackend.apply(backend, channel, *given)  # type: ignore[arg-type]

    backend.apply = slowly  # type: ignore[method-assign]
    with VirtualGateway(backend, after_s=0.1) as virtual, opened(virtual, "1") as driver:
        driver.apply(Current(1e-3), WINDOW)
        assert driver.output_is_on()
        driver.off()
        assert len(list(driver.sweep(Sweep((4.0, 1000.0), 0.01)))) == 2
        assert not virtual.service._was_lost


def test_a_lost_link_is_a_lost_station_too_and_leave_means_leave(backend: FakeBackend) -> None:
    with VirtualGateway(backend, after_s=0.1, lost_host=LostHost.LEAVE) as virtual:
        first = opened(virtual)
        first.apply(Current(5e-3), WINDOW)
        first.leave()
        wait_for(lambda: bool(virtual.service._was_lost))
        with opened(virtual) as again:
            assert again.greeting.lost_host is LostHost.LEAVE
            assert again.greeting.host_was_lost.endswith("everything was left as it was")
            assert again.output_is_on()


def test_a_circuit_that_does_not_open_is_tried_again(backend: FakeBackend) -> None:
    now = [0.0]
    service = GatewayService(backend, token="t", after_s=10.0, clock=lambda: now[0])
    backend.apply("2", Current(5e-3), WINDOW)
    link = expected(service)
    backend.unsound = InstrumentError("USB is gone")  # for channel 1, which is asked first
    now[0] = 11.0
    service.look()
    assert "channel 1 could not be opened: USB is gone" in service._was_lost[""]
    assert not backend.is_on("2")
    service.look()
    assert service._was_lost[""].endswith("every circuit was opened")
    assert link.heard_at is None


def test_a_channel_that_hangs_keeps_no_other_from_being_opened(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.gateway.service.BUSY_S", 0.01)
    now = [0.0]
    service = GatewayService(backend, token="t", after_s=10.0, clock=lambda: now[0])
    link = expected(service)
    backend.apply("2", Current(5e-3), WINDOW)
    now[0] = 11.0
    stuck, done = threading.Event(), threading.Event()

    def hang() -> None:
        with service._locks["1"]:
            stuck.set()
            done.wait()

    threading.Thread(target=hang, daemon=True).start()
    stuck.wait()
    service.look()
    done.set()
    assert not backend.is_on("2")
    assert "channel 1 is busy with an order, and could not be opened" in service._was_lost[""]
    assert link.heard_at == 0.0  # and is tried again


def test_a_station_that_comes_back_while_its_circuits_are_opened_can_be_lost_once_more(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    service = GatewayService(backend, token="t", after_s=10.0, clock=lambda: now[0])
    link = expected(service)
    now[0] = 11.0

    def off(channel: str) -> None:
        FakeBackend.off(backend, channel)
        link.heard_at = now[0]

    monkeypatch.setattr(backend, "off", off)
    service.look()
    backend.apply("2", Current(5e-3), WINDOW)
    now[0] = 22.0
    monkeypatch.undo()
    service.look()
    assert not backend.is_on("2")


def test_whatever_one_channel_does_the_others_are_opened_at_the_end(backend: FakeBackend) -> None:
    service = GatewayService(backend, token="t")
    backend.apply("2", Current(5e-3), WINDOW)
    backend.unsound = InstrumentError("USB is gone")
    service.close()
    assert not backend.is_on("2")


def test_a_start_that_was_overtaken_by_its_stations_next_connection_is_not_done(
    virtual: VirtualGateway, backend: FakeBackend
) -> None:
    driver = Gateway(virtual.address, token="token", channel="2", timeout_s=0.2)
    with virtual.service._locks["2"]:  # the channel is busy when the start comes
        with pytest.raises(InstrumentError):
            driver.apply(Current(5e-3), WINDOW)  # nor can the driver open the circuit
        driver._link.close()
        driver._greet()
    time.sleep(0.1)
    assert backend.starts == []
    assert not driver.output_is_on()
    driver.close()


def test_one_station_a_channel(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.gateway.service.PATIENCE_S", 0.02)
    with VirtualGateway(backend) as virtual:
        with opened(virtual, "2") as two, opened(virtual, "1") as one:
            for channel in ("2", ""):
                with pytest.raises(Refused, match="another station has it"):
                    opened(virtual, channel)
            one.apply(Current(1e-3), WINDOW)
            two.apply(Current(5e-3), WINDOW)
            assert (one.measure().current_A, two.measure().current_A) == (pytest.approx(1e-3), pytest.approx(5e-3))
            with pytest.raises(Refused, match="greeted for channel 1, not for 2"):
                one.stop("2")
            two.off()
            assert one.output_is_on()
        with opened(virtual) as second, pytest.raises(OutOfRange, match="channel '7': 1, 2"):
            assert second.identify()
            opened(virtual, "7")


def test_only_the_channel_of_a_silent_station_is_opened(virtual: VirtualGateway, backend: FakeBackend) -> None:
    with opened(virtual, "1") as silent, opened(virtual, "2") as other:
        silent.apply(Current(1e-3), WINDOW)
        other.apply(Current(5e-3), WINDOW)

        def opened_there() -> bool:
            assert other.output_is_on()
            return "1" not in backend.held

        wait_for(opened_there)
        assert other.output_is_on()


def test_a_station_whose_computer_died_keeps_nobody_out_once_it_is_lost(virtual: VirtualGateway) -> None:
    dead = opened(virtual)  # its connection stays, as nothing closes it
    wait_for(lambda: bool(virtual.service._was_lost))
    with opened(virtual) as second:
        assert "every circuit was opened" in second.greeting.host_was_lost
        with pytest.raises(Refused, match="replaced by a later connection"):
            dead.measure()


def test_a_connection_that_does_not_greet_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.gateway.service.GREETING_S", 0.02)
    with dialog() as (_, link):
        link.sendall(b'{"id":1,"verb":"hel')
        assert link.recv(1) == b""


def test_a_line_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.gateway.service.LONGEST_LINE", 1000)
    with dialog() as (_, link), contextlib.suppress(ConnectionError):
        link.sendall(b" " * 2000)
        assert link.recv(1) == b""


# --- a sweep that takes long


@pytest.fixture
def slow() -> Iterator[VirtualGateway]:
    """Its first point at 1 mHz takes a thousand seconds."""
    with VirtualGateway(FakeBackend({"1": FixedCell()}, ScaledClock())) as server:
        yield server


def begun(driver: Gateway) -> threading.Thread:
    """A sweep whose first point is awaited in another thread, as the station's worker does."""
    thread = threading.Thread(target=lambda: suppressed(list, driver.sweep(Sweep((1e-3,), 0.01))), daemon=True)
    thread.start()
    return thread


def suppressed(act: Callable[[object], object], value: object) -> None:
    with contextlib.suppress(InstrumentError):
        act(value)


def test_a_sweep_is_broken_off_in_the_midst_of_a_point(slow: VirtualGateway) -> None:
    driver = opened(slow, "1")
    thread = begun(driver)
    wait_for(lambda: slow.service._sweeping("1"))
    driver.interrupt()
    thread.join()
    assert not slow.service._sweeps
    driver.close()


def test_a_sweep_ends_with_its_station(slow: VirtualGateway) -> None:
    service = slow.service
    for end in (
        lambda ask: ask('{"id":3,"verb":"bye"}'),
        lambda ask: ask('{"id":3,"verb":"stop","channel":"1"}'),
        lambda ask: service.close(),
    ):
        with socket.create_connection((slow.host, slow.port)) as link:
            ask = asker(link)
            ask('{"id":1,"verb":"hello","version":1,"token":"token","session":"a","channel":"1"}')
            sweep = json.dumps(to_wire(Sweep, Sweep((1e-3,), 0.01)))
            key = f'"key":"{time.monotonic_ns()}"'
            assert "true" in ask('{"id":2,"verb":"sweep","channel":"1",' + key + ',"sweep":' + sweep + "}")
            assert service._sweeping("1")
            assert "no count" in ask('{"id":3,"verb":"points","channel":"1","after":-1}')
            assert "a sweep is running" in ask('{"id":3,"verb":"go_to_step","channel":"1","step":1}')
            end(ask)
            assert not service._sweeping("1")


def test_vendors_software_that_is_not_there_is_said_so() -> None:
    for name in ("biologic", "gamry"):
        with pytest.raises(InstrumentError, match="not installed"):
            open_backend(name, {"address": "x"})
    with pytest.raises(KeyError, match="there is no back end 'ivium'; there are fake"):
        open_backend("ivium", {})


def test_it_serves_until_it_is_stopped(backend: FakeBackend) -> None:
    found: list[tuple[str, int]] = []
    service = GatewayService(backend, token="token")
    threading.Thread(
        target=run, args=(service, "127.0.0.1", 0, lambda *address: found.append(address)), daemon=True
    ).start()
    wait_for(lambda: bool(found))
    with Gateway(f"{found[0][0]}:{found[0][1]}", token="token", channel="2") as driver:
        assert driver.measure().voltage_V == 3.0
