"""What passes over a link is recorded, and a recording plays as the instrument did."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.interface import BadReply, Current, InstrumentTimeout, Protection, Source
from drivers.keithley2450 import Keithley2450
from drivers.modbus_load_cell import ModbusLoadCell
from drivers.registry import open_instrument
from drivers.simulated.clock import ManualClock
from drivers.simulated.keithley2450 import VirtualKeithley2450
from drivers.simulated.replay import Exchange, Script, VirtualReplay, address_of, replays
from drivers.simulated.wiring import FixedCell
from drivers.testing import Case, FaultProxy, Kind, swallow
from drivers.testing.faults import FaultAt
from drivers.transports import trace
from drivers.transports.framed import FramedSocket
from drivers.transports.trace import Recorder, TraceError, TraceLine, read_trace, recording
from tests.drivers.collect import all_cases

LIMITS = Protection(1.0, 4.2, 0.01)


@given(
    st.floats(0, 4e9),
    st.sampled_from("<>"),
    st.one_of(st.binary(max_size=40), st.text("AB*?\r\n\t", max_size=20).map(str.encode)),
)
def test_a_line_comes_back_as_it_was(time: float, direction: str, data: bytes) -> None:
    line = TraceLine(round(time, 6), "smu", "keithley-2450", "TCPIP::a::1::SOCKET", direction, data)
    assert TraceLine.from_json(line.to_json()) == line
    assert "\n" not in line.to_json()


def test_what_is_printable_is_text_and_the_rest_is_base64(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "t.jsonl", instrument="smu", driver="d")
    recorder.record("l", ">", b"*IDN?\n")
    recorder.record("l", "<", b"\x00\xff")
    recorder.record("l", "!", event="timeout")
    recorder.close()
    rows = [json.loads(row) for row in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [row.get("text", row.get("base64", row.get("event"))) for row in rows] == ["*IDN?\n", "AP8=", "timeout"]
    assert {(row["instrument"], row["driver"], row["link"]) for row in rows} == {("smu", "d", "l")}


ASKED = [case for case in all_cases() if case.name != "line-stream"]  # which speaks unasked: a replay answers


@pytest.mark.parametrize("case", ASKED, ids=lambda case: case.name)
def test_each_driver_s_exchange_is_recorded_and_plays_back_the_same(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    recorder = Recorder(path, instrument="x", driver=case.name)
    with case.virtual() as virtual, recording(recorder), case.open(virtual.address) as driver:
        said = case.exchange(driver), case.exchange(driver)
    recorder.close()
    (replay,) = replays(read_trace(path))
    with replay, case.open(replay.address) as driver:
        assert (case.exchange(driver), case.exchange(driver)) == said
    assert not replay.script.unexpected


def test_a_recorded_failure_fails_again(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    recorder = Recorder(path, instrument="smu", driver="keithley-2450")
    with VirtualKeithley2450(FixedCell(), clock=ManualClock()) as virtual, FaultProxy(virtual.port) as proxy:
        with recording(recorder):
            smu = Keithley2450(proxy.address(virtual.resource), timeout_s=0.3)
        proxy.spoil = FaultAt(Kind.GARBLED, 2, 0.0)  # the second answer
        with pytest.raises(BadReply) as first:
            smu.measure()
        proxy.spoil = swallow
        with pytest.raises(InstrumentTimeout):
            smu.identify()
        proxy.spoil = None
        smu.close()
    recorder.close()
    (replay,) = replays(read_trace(path))
    with replay:
        again = Keithley2450(replay.address, timeout_s=0.3)
        with pytest.raises(BadReply) as second:
            again.measure()
        assert second.value.message == first.value.message
        with pytest.raises(InstrumentTimeout):
            again.identify()
        again.close()
    assert not replay.script.unexpected


def test_polls_may_be_more_or_fewer_than_in_the_recording() -> None:
    recorded = [
        Exchange(b"S?\n", b"1\n"),
        Exchange(b"S?\n", b"1\n"),
        Exchange(b"S?\n", b"2\n"),
        Exchange(b"R\n", b"ok\n"),
    ]
    more, fewer = Script(recorded), Script(recorded)
    answers = [more.take(b"S?\n")[0] for _ in range(5)]
    assert [exchange.received for exchange in answers if exchange] == [b"1\n", b"1\n", b"2\n", b"2\n", b"2\n"]
    assert more.take(b"R\n")[0] == recorded[3]
    assert fewer.take(b"S?\n")[0] == recorded[0]
    assert fewer.take(b"R\n")[0] == recorded[3]
    assert fewer.finished


def test_a_request_in_pieces_or_unknown_or_with_another_number() -> None:
    script = Script([Exchange(b"JOB 20260101-120000 a1b2c3d4\n", b"ok\n"), Exchange(b"PASS ***\n", b"in\n")])
    assert script.take(b"JOB 2026") == (None, 0)
    assert script.take(b"JOB 20270202-130000 00ff00ffee\n") == (script.recorded[0], 31)
    assert script.take(b"PASS s3cret\n") == (script.recorded[1], 12)
    assert script.take(b"WHAT\n") == (None, 5)


def test_a_link_that_was_lost_is_lost_again() -> None:
    with VirtualReplay("10.0.0.9:502", [Exchange(b"A;", b"half", lost=True)]) as replay:
        link = FramedSocket(replay.address, terminator=b";", default_port=1, timeout_s=0.5)
        with pytest.raises(Exception, match="closed by the instrument after 4 bytes"):
            link.exchange(b"A;")
        link.end()


@pytest.mark.parametrize(
    ("link", "template"),
    [
        ("TCPIP::192.168.1.20::5025::SOCKET", "TCPIP::{host}::{port}::SOCKET"),
        ("USB0::0x05E6::0x2450::04096331::INSTR", "TCPIP::{host}::{port}::SOCKET"),
        ("ASRL/dev/ttyUSB0::INSTR", "TCPIP::{host}::{port}::SOCKET"),
        ("serial:COM3?baud=9600", "rtu+tcp://{host}:{port}"),
        ("tcp://10.0.0.2:502", "tcp://{host}:{port}"),
        ("prologix://10.0.0.3:1234/4", "prologix://{host}:{port}/4"),
        ("10.0.0.4:2049", "{host}:{port}"),
        ("COM4", "socket://{host}:{port}"),
    ],
)
def test_where_a_recorded_link_is_found_again(link: str, template: str) -> None:
    assert address_of(link) == template


def test_secrets_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    recorder = Recorder(
        path, instrument="x", driver="d", secrets=trace.secrets_in({"login": ["ann", "p<w"], "port": "9"})
    )
    recorder.record("l", ">", b"<password>p&lt;w</password> p<w YW5uOnA8dw== 9")
    recorder.close()
    (line,) = read_trace(path)
    assert line.data == b"<password>***</password> *** *** 9"


def test_a_trace_is_bounded_and_read_whole_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "LONGEST_FILE", 2000)
    path = tmp_path / "t.jsonl"
    recorder = Recorder(path, instrument="x", driver="d")
    for number in range(200):
        recorder.record("l", ">", b"%d" % number)
    recorder.close()
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["t.1.jsonl", "t.2.jsonl", "t.3.jsonl", "t.jsonl"] or files == [
        "t.1.jsonl",
        "t.2.jsonl",
        "t.3.jsonl",
    ]
    path.touch()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 4 * 2200
    numbers = [int(line.data) for line in read_trace(path)]
    assert numbers == list(range(numbers[0], 200))
    assert len(numbers) > 40


def test_a_disk_that_cannot_be_written_breaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    recorder = Recorder(tmp_path / "file" / "t.jsonl", instrument="x", driver="d")
    for _ in range(3):
        recorder.record("l", ">", b"a")
    recorder.close()
    assert caplog.text.count("lines are lost") == 1


def test_whoever_records_never_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "WAITING_LINES", 5)
    gate = threading.Event()
    append = Recorder._append
    monkeypatch.setattr(Recorder, "_append", lambda self, line: (gate.wait(5), append(self, line)))
    recorder = Recorder(tmp_path / "t.jsonl", instrument="x", driver="d")
    for number in range(20):
        recorder.record("l", ">", b"%d" % number)
    gate.set()
    recorder.close()
    lines = read_trace(tmp_path / "t.jsonl")
    lost = sum(int(line.event.split()[0]) for line in lines if line.direction == "!")
    assert lost >= 13
    assert lost + sum(line.direction == ">" for line in lines) == 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]\n", r"t\.jsonl:1: is no line of a trace: no 'direction'"),
        ('{"direction": ">"}\n', r"t\.jsonl:1: .*KeyError"),
        ('{"direction": ">", "time": 1, "base64": "%"}\n', r"t\.jsonl:1"),
        ("nonsense\n", r"t\.jsonl:1"),
    ],
)
def test_what_is_no_trace_is_told_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(TraceError, match=message):
        read_trace(tmp_path / "t.jsonl")


def test_an_instrument_of_a_station_is_traced_by_name(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "smu.jsonl"
    with VirtualKeithley2450(FixedCell(), clock=ManualClock()) as virtual:
        smu = open_instrument("keithley-2450", virtual.address, {}, name="smu-1", trace=path)
        assert isinstance(smu, Source)
        smu.apply(Current(1e-3), LIMITS)
        smu.close()
        del smu
    lines = read_trace(path)
    assert {(line.instrument, line.driver, line.link) for line in lines} == {
        ("smu-1", "keithley-2450", virtual.address)
    }
    sent = [line.data for line in lines if line.direction == ">"]
    assert sent[0] == b"*IDN?\n"
    assert b":OUTP ON\n" in sent
    assert all(line.data.endswith(b"\n") for line in lines if line.direction == "<")


def test_a_modbus_answer_of_another_length_than_its_header_states(tmp_path: Path) -> None:
    case = next(case for case in all_cases() if case.name == "modbus-load-cell")
    with case.virtual() as virtual, FaultProxy(virtual.port) as proxy:
        driver = case.open(proxy.address(virtual.resource))
        assert isinstance(driver, ModbusLoadCell)
        proxy.spoil = FaultAt(Kind.DOUBLED, 9, 0.0)
        with pytest.raises(BadReply, match="header states another length"):
            driver.read_force()
        assert driver.read_force() == pytest.approx(123.45)
        driver.close()
