"""Force gauges on serial lines: bytes out and in, what is no reading, and physics."""

from __future__ import annotations

import itertools
import os
import select
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from drivers.interface import BadReply, InstrumentError, InstrumentTimeout, NoReading, OutOfRange, Refused, Unreachable
from drivers.line_stream import LineStream
from drivers.load_cell_profile import LoadCellByProfile, read_profile, shipped_profiles
from drivers.mantracourt import MantracourtAscii
from drivers.mt_sics import MtSicsBalance
from drivers.simulated.force_lines import VirtualLineStream, VirtualMantracourt, VirtualMtSics
from drivers.simulated.modbus_load_cell import LoadCellMap, VirtualModbusLoadCell
from drivers.simulated.server import LineInstrument

kgf = 9.80665
WEIGHT = r"Weight: (?P<value>[+-]?\d+\.\d+) g, raw \d+"


class Heart(LineInstrument):
    """Knows answers by heart; says nothing to what it does not know."""

    resource = "socket://{host}:{port}"

    def __init__(self, answers: dict[str, str], terminator: bytes = b"\r\n") -> None:
        super().__init__()
        self.answers, self.terminator = answers, terminator
        self.received: list[str] = []

    def answer(self, line: str) -> str | None:
        self.received.append(line)
        return self.answers.get(line)


class OneClientBus(VirtualMantracourt):
    """A serial server in raw mode: whoever comes second is hung up."""

    busy = 0

    def serve(self, connection: socket.socket) -> None:
        self.busy += 1
        try:
            if self.busy == 1:
                super().serve(connection)
        finally:
            self.busy -= 1


# --- Mantracourt


def test_stations_of_one_bus_share_its_port_and_each_hears_its_own_answer() -> None:
    forces = {1: 10.0, 2: 20.0, 3: 30.0}
    with OneClientBus({number: (lambda force=force: force) for number, force in forces.items()}) as bus:
        cells = {
            number: MantracourtAscii(bus.address, station=number, capacity_N=100.0, timeout_s=0.5) for number in forces
        }
        with ThreadPoolExecutor(3) as threads:
            read = threads.map(lambda number: {cells[number].read_force() for _ in range(50)}, forces)
        assert list(read) == [{10.0}, {20.0}, {30.0}]
        cells[1].close()
        cells[1].close()
        with pytest.raises(Unreachable, match="closed"):
            cells[1].read_force()
        assert cells[2].read_force() == 20.0, "closing one leaves the others"
        with pytest.raises(Unreachable, match="this port open with another terminator, baud rate or time-out"):
            MantracourtAscii(bus.address, station=1, capacity_N=100.0, timeout_s=0.4)
        with pytest.raises(InstrumentTimeout):
            MantracourtAscii(bus.address, station=9, capacity_N=100.0, timeout_s=0.5)
        assert cells[3].read_force() == 30.0, "a station that is silent takes nobody else's answer"
        cells[2].close()
        cells[3].close()
        with MantracourtAscii(bus.address, station=1, capacity_N=100.0, timeout_s=0.4) as again:
            assert again.read_force() == 10.0


@pytest.mark.parametrize(("said", "force_N"), [("123.456", 123.456), ("+00032.100", 32.1), ("-00001.000", -1.0)])
def test_a_mantracourt_station_is_asked_for_sys(said: str, force_N: float) -> None:
    with Heart({"!001:SYS?": said}, b"\r") as heart:
        with MantracourtAscii(heart.address, capacity_N=1000.0, timeout_s=0.3) as cell:
            assert cell.read_force() == pytest.approx(force_N)
        assert heart.received == ["!001:SYS?", "!001:SYS?"]


def test_a_mantracourt_station_has_its_number_and_its_unit() -> None:
    with (
        VirtualMantracourt({14: lambda: 2.0}) as bus,
        MantracourtAscii(bus.address, station=14, unit="kgf", capacity_N=100.0, timeout_s=0.3) as cell,
    ):
        assert cell.read_force() == pytest.approx(2 * kgf)
        assert "station 014, serial number 17:12345" in cell.identify()
        bus.flags = 0b100
        assert cell.read_force() == pytest.approx(2 * kgf), "no mask, no flags"
    assert set(bus.received[:2]) == {"!014:SYS?"}


def test_a_mantracourt_overload_is_no_number() -> None:
    force = [50.0]
    with (
        VirtualMantracourt({1: lambda: force[0]}) as bus,
        MantracourtAscii(bus.address, capacity_N=100.0, overload_mask=0b100, timeout_s=0.3) as cell,
    ):
        assert cell.read_force() == 50.0
        bus.flags = 0b100
        assert cell.read_force() is NoReading.OVERLOAD
        bus.flags, force[0] = 0b011, 150.1
        assert cell.read_force() is NoReading.OVERLOAD


@pytest.mark.parametrize(
    ("said", "error"), [("?", Refused), ("", BadReply), ("1.2.3", BadReply), ("nan", BadReply), ("1e3", BadReply)]
)
def test_what_is_no_mantracourt_number_is_an_error(said: str, error: type[InstrumentError]) -> None:
    with Heart({"!001:SYS?": said}, b"\r") as heart, pytest.raises(error):
        MantracourtAscii(heart.address, capacity_N=1000.0, timeout_s=0.3)


# --- MT-SICS


def balance(said: str, request: str = "SI", **more: str) -> dict[str, str]:
    return {"I2": 'I2 A "MS6002S"', "I4": 'I4 A "B123456789"', request: said, **more}


@pytest.mark.parametrize(
    ("said", "reading"),
    [
        ("S S     100.00 g", 0.1 * kgf),
        ("S D     129.07 g", 0.12907 * kgf),
        ("S S      -0.01 g", -1e-5 * kgf),
        ("S S      1.234 kg", 1.234 * kgf),
        ("S S          2 lb", 2 * 0.45359237 * kgf),
        ("S +", NoReading.OVERLOAD),
        ("S -", NoReading.OVERLOAD),
        ("S I", NoReading.NOT_AVAILABLE),
    ],
)
def test_a_balance_weighs_newtons(said: str, reading: float | NoReading) -> None:
    with Heart(balance(said)) as heart, MtSicsBalance(heart.address, timeout_s=0.3) as scale:
        found = scale.read_force()
    assert found is reading if isinstance(reading, NoReading) else found == pytest.approx(reading, rel=1e-9)
    assert heart.received == ["I2", "I4", "SI"]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("ES", Refused),
        ("ET", Refused),
        ("EL", Refused),
        ("S S    100.00 g", BadReply),  # nine characters
        ("S S     1x0.00 g", BadReply),
        ("S S     100.00 ct", BadReply),
        ("S S     100.00", BadReply),
        ('I4 A "B123456789"', BadReply),
    ],
)
def test_what_is_no_weight_is_an_error(said: str, error: type[InstrumentError]) -> None:
    with (
        Heart(balance(said)) as heart,
        MtSicsBalance(heart.address, timeout_s=0.3) as scale,
        pytest.raises(error),
    ):
        scale.read_force()


def test_a_stable_reading_is_never_a_dynamic_one() -> None:
    with (
        Heart(balance("S D     129.07 g", "S")) as heart,
        MtSicsBalance(heart.address, stable=True, timeout_s=0.3) as scale,
        pytest.raises(BadReply),
    ):
        scale.read_force()


def test_a_balance_is_tared_and_knows_the_place() -> None:
    force = [1.0 * kgf]
    with (
        VirtualMtSics(lambda: force[0]) as virtual,
        MtSicsBalance(virtual.address, gravity_m_s2=9.8119, timeout_s=0.3) as scale,
    ):
        assert scale.read_force() == pytest.approx(9.8119)
        scale.tare()
        assert scale.read_force() == 0.0
        virtual.moving = True
        with pytest.raises(Refused, match="does not come to rest"):
            scale.tare()
        force[0] = 6.2 * kgf
        assert scale.read_force() is NoReading.OVERLOAD


def test_a_line_of_the_print_key_is_no_answer() -> None:
    class Chatty(VirtualMtSics):
        def answer(self, line: str) -> str | None:
            said = super().answer(line)
            return f"{said}\r\nS S     999.99 g" if line == "SI" else said

    with Chatty(lambda: kgf) as virtual, MtSicsBalance(virtual.address, timeout_s=0.3) as scale:
        assert [scale.read_force() for _ in range(3)] == [pytest.approx(kgf)] * 3


# --- lines by a pattern


@pytest.mark.parametrize(
    ("line", "settings", "force_N"),
    [
        ("{force:.3f} N", {}, 12.5),
        ("{force:.3f}", {"unit": "kgf"}, 12.5 * kgf),
        ("{force:.1f} gf", {}, 12.5 * kgf / 1000),
        ("Weight: {force:+.2f} g, raw 8", {"pattern": WEIGHT, "unit": "gf"}, 12.5e-3 * kgf),
        ("{force:.2f}", {"scale": -2.0, "offset": 1.0}, -24.0),
    ],
)
def test_a_line_by_its_pattern(line: str, settings: dict[str, object], force_N: float) -> None:
    with (
        VirtualLineStream(lambda: 12.5, line=line, rate_Hz=200) as sketch,
        LineStream(sketch.address, capacity_N=1000.0, timeout_s=0.5, **settings) as gauge,  # type: ignore[arg-type]
    ):
        assert gauge.read_force() == pytest.approx(force_N)


def test_boot_text_and_cut_lines_are_passed_over_and_a_struck_line_is_outvoted() -> None:
    forces = itertools.cycle([-9999.0, 11.0, 12.5, 12.5])
    with VirtualLineStream(lambda: next(forces), rate_Hz=200) as sketch:
        assert sketch.boot_text, "which no pattern matches"
        with LineStream(sketch.address, capacity_N=1e5, median_of=5, timeout_s=0.5) as gauge:
            assert {gauge.read_force() for _ in range(3)} <= {11.0, 12.5}


def test_a_stream_of_something_else_says_what_came() -> None:
    with VirtualLineStream(lambda: 1.0, line="hello", rate_Hz=500) as sketch, pytest.raises(BadReply, match="hello"):
        LineStream(sketch.address, capacity_N=10.0, boot_s=0.1, timeout_s=0.5)


def test_a_line_for_each_request_and_a_tare() -> None:
    with Heart({"r": "5.0 N", "t": "ok"}, b"\n") as heart:
        with LineStream(
            heart.address, capacity_N=10.0, request="r", tare_request="t", median_of=1, timeout_s=0.3
        ) as gauge:
            assert gauge.read_force() == 5.0
            gauge.tare()
        assert heart.received == ["r", "r", "t"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pattern": "("}, "pattern"),
        ({"pattern": r"\d+"}, r"no group \(\?P<value>"),
        ({"median_of": 2}, "an odd number"),
        ({"unit": "stone"}, "unit 'stone'"),
        ({"capacity_N": 0.0}, "capacity_N"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], message: str) -> None:
    with pytest.raises(OutOfRange, match=message):
        LineStream("socket://192.0.2.1:1", **({"capacity_N": 1.0} | settings))  # type: ignore[arg-type]


# --- a real serial port


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_the_same_bytes_over_a_serial_port() -> None:
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)
    heard = b""

    def answer() -> None:
        nonlocal heard
        try:
            while chunk := os.read(ours, 64):
                heard += chunk
                if chunk.endswith(b"\r"):
                    os.write(ours, b"+00032.100\r" if b"SYS" in chunk else b"?\r")
        except OSError:
            pass  # closed

    import tty

    tty.setraw(theirs)
    threading.Thread(target=answer, daemon=True).start()
    with MantracourtAscii(f"{name}?baud=9600&parity=E", capacity_N=100.0, timeout_s=1.0) as cell:
        os.write(ours, b"+99999.000\r")  # nobody asked for this
        assert select.select([theirs], [], [], 5.0)[0], "it has come"
        assert cell.read_force() == pytest.approx(32.1)
        with pytest.raises(Refused):
            cell.identify()
        assert cell.read_force() == pytest.approx(32.1)
    with pytest.raises(Unreachable, match="closed"):
        cell.read_force()
    os.close(ours)
    os.close(theirs)
    assert heard.startswith(b"!001:SYS?\r!001:SYS?\r")


@pytest.mark.parametrize("address", ["/dev/no-such-port", "COM3?speed=9600", "/dev/null?parity=X", ""])
def test_a_port_that_is_none(address: str) -> None:
    with pytest.raises(Unreachable):
        MantracourtAscii(address, capacity_N=1.0)


# --- profiles


def test_each_shipped_profile_reads_and_names_its_source() -> None:
    assert {"laumas-tlb-gross", "laumas-tlb-net", "eagle-ei-1000", "baykon-mx08"} <= set(shipped_profiles())
    for name in shipped_profiles():
        assert len(read_profile(name).source) > 10


def test_a_shipped_profile_at_a_transmitter_like_it() -> None:
    laumas = LoadCellMap(value=7, counts_per_N=100 / kgf, status=6, overload_bit=3, sign_bit=7)
    for force_N in (123.4 * kgf, -20 * kgf):
        with (
            VirtualModbusLoadCell(lambda force_N=force_N: force_N, laumas) as virtual,  # type: ignore[misc]
            LoadCellByProfile(
                virtual.address, profile="laumas-tlb-gross", unit="kgf", scale=0.01, capacity_N=2000.0
            ) as cell,
        ):
            assert cell.read_force() == pytest.approx(force_N, abs=0.06)
            assert "Laumas" in cell.identify()


def test_what_is_set_at_the_panel_must_be_said() -> None:
    with pytest.raises(OutOfRange, match=r"setting unit is wanted: at this transmitter .* set at the panel"):
        LoadCellByProfile("tcp://192.0.2.1", profile="laumas-tlb-net", capacity_N=1.0)


def test_a_laboratorys_own_profile(tmp_path) -> None:
    own = tmp_path / "mine.toml"
    own.write_text(
        'transmitter = "Mine"\nsource = "its manual p. 3"\nunit = "N"\nscale = 1.0\n'
        '[map]\nregister = 4\ndtype = "float32"\nword_order = "little"\nbyte_order = "little"\n',
        encoding="utf-8",
    )
    wires = LoadCellMap(value=4, dtype="float32", word_order="little", byte_order="little", status=None, command=None)
    with (
        VirtualModbusLoadCell(lambda: 123.45, wires) as virtual,
        LoadCellByProfile(virtual.address, profile=str(own), capacity_N=2000.0) as cell,
    ):
        assert cell.read_force() == pytest.approx(123.45, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("transmitter = ", "Invalid value"),
        ('transmitter = "x"\nsource = "y"\n[map]\nregistre = 3\n', "map.register"),
        ('transmitter = "x"\nsource = "y"\n[map]\nregister = 70000\n', "map.register"),
        ('transmitter = "x"\nsource = "y"\n[map]\nregister = 3\ndtype = "double"\n', "map.dtype"),
    ],
)
def test_a_wrong_profile_is_told(tmp_path, text: str, message: str) -> None:
    own = tmp_path / "wrong.toml"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(OutOfRange, match=message):
        read_profile(str(own))


@pytest.mark.parametrize("name", ["no-such-thing", "/nowhere/at-all.toml"])
def test_a_profile_that_is_not_there(name: str) -> None:
    with pytest.raises(OutOfRange, match=r"setting profile"):
        read_profile(name)
