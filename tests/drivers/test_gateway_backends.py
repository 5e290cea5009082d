"""The vendors' back ends against stand-ins for the vendors' software: what is told it, in which order."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drivers.gateway.backends import Backend, open_backend
from drivers.gateway.backends.chi import macro_of
from drivers.gateway.protocol import Capability
from drivers.interface import (
    BadReply,
    Current,
    ImpedancePoint,
    InstrumentError,
    InstrumentTimeout,
    Measurement,
    NotSafe,
    OutOfRange,
    Protection,
    Refused,
    Sweep,
    Unreachable,
    Voltage,
    WrongInstrument,
)
from tests.drivers.easy_biologic_stand_in import DEVICES, Instrument, install
from tests.drivers.toolkitpy_stand_in import toolkit

WINDOW = Protection(2.5, 4.2, 0.01)

# --- Bio-Logic


@pytest.fixture
def instrument(monkeypatch: pytest.MonkeyPatch) -> Instrument:
    found = Instrument()
    install(monkeypatch, found)
    monkeypatch.setattr("drivers.gateway.backends.biologic.POLL_S", 0.0)
    monkeypatch.setattr("drivers.gateway.backends.biologic.POINTS_S", 0.0)
    monkeypatch.setattr("drivers.gateway.backends.biologic.CONFIRM_S", 0.05)
    return found


@pytest.fixture
def biologic(instrument: Instrument) -> Any:
    return open_backend("biologic", {"address": "USB0"})


def test_biologic_holds_a_current_to_its_voltage_and_the_voltage_then(biologic: Any, instrument: Instrument) -> None:
    biologic.apply("1", Current(1e-3), WINDOW)
    assert instrument.done == [("stop", 0), ("start", 0)]
    (first, current), (second, voltage) = instrument.loaded[0]
    assert (first, second) == ("cplimit", "calimit")
    assert current["Current_step"] == [1e-3]
    assert (current["Test1_Config"], current["Test1_Value"], current["Exit_Cond"]) == ([0b101], [4.2], [1])  # E > 4.2
    assert voltage["Voltage_step"] == [4.2]  # of its first step
    assert (voltage["Test1_Config"], voltage["Test1_Value"], voltage["Exit_Cond"]) == ([0b1100101], [0.01], [2])
    assert (voltage["Test2_Config"], voltage["Test2_Value"]) == ([0b1100001], [-0.01])  # I < -10 mA
    for each in (current, voltage):
        assert (each["I_Range"], each["E_Range"], each["Bandwidth"]) == ([7], [1], [5])  # 1 mA, 5 V
    assert biologic.measure("1") == Measurement(3.3, 1e-3)
    assert biologic.is_on("1")
    biologic.apply("1", Current(-2e-3), WINDOW)
    discharge = instrument.loaded[0][0][1]
    assert (discharge["Test1_Config"], discharge["Test1_Value"]) == ([0b001], [2.5])
    biologic.off("1")
    assert not biologic.is_on("1")


def test_biologic_holds_a_voltage_and_says_where_a_limit_ended_it(biologic: Any, instrument: Instrument) -> None:
    biologic.apply("2", Voltage(3.7), WINDOW)
    assert [name for name, _ in instrument.loaded[1]] == ["calimit"]
    assert biologic.measure("2").voltage_V == 3.7
    instrument.state[1] = 0
    with pytest.raises(NotSafe, match=r"channel 2 stopped at 3\.3 V by itself \(was the current beyond 0\.01 A\?\)"):
        biologic.measure("2")
    biologic.apply("2", Current(0.0), WINDOW)
    assert biologic.measure("2") == Measurement(3.3, 0.0)


def test_biologic_starts_nothing_outside_the_protection_and_says_what_the_library_says(
    biologic: Any, instrument: Instrument
) -> None:
    instrument.rests_at_V = 4.5
    with pytest.raises(NotSafe, match=r"4\.5 V, outside 2\.5 … 4\.2 V"):
        biologic.apply("1", Voltage(4.0), WINDOW)
    assert ("start", 0) not in instrument.done
    with pytest.raises(OutOfRange, match="channel '3': 1, 2"):
        biologic.measure("3")
    biologic._device.get_values = lambda _: 1 / 0
    with pytest.raises(InstrumentError, match="EClib: ZeroDivisionError"):
        biologic.measure("1")


def test_biologic_says_where_a_channel_does_not_do_as_it_was_told(biologic: Any, instrument: Instrument) -> None:
    instrument.start = lambda channel: None  # type: ignore[method-assign]
    with pytest.raises(NotSafe, match="channel 1 was started and says that it is stopped"):
        biologic.apply("1", Current(1e-3), WINDOW)
    biologic._device.stop_channel = lambda channel: None
    instrument.state[0] = 2
    with pytest.raises(NotSafe, match="channel 1 was stopped and says that it runs"):
        biologic.off("1")


def test_a_potentiostatic_sweep_is_peis_with_a_peak_amplitude(biologic: Any, instrument: Instrument) -> None:
    wanted = (1000.0, 100.0, 10.0, 1.0, 0.3)
    points = list(biologic.sweep("1", Sweep(wanted, 0.01, protection=WINDOW), threading.Event()))
    assert [point.frequency_Hz for point in points] == pytest.approx(wanted)
    assert [point.impedance_ohm for point in points] == pytest.approx([10.0 - 5.0j] * 5, rel=1e-6)
    (name, series), (_, rest) = instrument.loaded[0]
    assert (name, series["Frequency_number"], rest["Frequency_number"]) == ("peis", [4], [1])
    assert (series["Initial_frequency"], series["Final_frequency"], series["sweep"]) == ([1000.0], [1.0], [False])
    assert series["Amplitude_Voltage"] == [pytest.approx(0.01 * 2**0.5)]
    assert series["Initial_Voltage_step"] == series["Final_Voltage_step"] == [3.3]  # where it rests
    assert (series["vs_initial"], series["I_Range"], series["E_Range"]) == ([False], [12], [1])
    assert instrument.done[-1] == ("stop", 0)


def test_a_galvanostatic_sweep_is_geis_in_twice_its_range(biologic: Any, instrument: Instrument) -> None:
    sweep = Sweep((10.0, 1.0), None, protection=WINDOW, amplitude_rms_A=5e-4, bias_A=-1e-4)
    assert len(list(biologic.sweep("1", sweep, threading.Event()))) == 2
    ((name, steps),) = instrument.loaded[0]
    assert (name, steps["Initial_Current_step"], steps["I_Range"]) == ("geis", [-1e-4], [8])  # 1.4 mA in 10 mA
    assert steps["Amplitude_Current"] == [pytest.approx(5e-4 * 2**0.5)]


def test_a_sweep_of_biologic_is_refused_broken_off_and_watched(biologic: Any, instrument: Instrument) -> None:
    near = Sweep((10.0, 1.0), 0.1, bias_V=4.15, protection=WINDOW)
    with pytest.raises(OutOfRange, match=r"4\.15 ± 0\.141 V: 2\.5 to 4\.2 V"):
        next(biologic.sweep("1", near, threading.Event()))
    strong = Sweep((10.0,), None, protection=WINDOW, amplitude_rms_A=8e-3)
    with pytest.raises(OutOfRange, match=r"± 0\.0113 A: ±0\.01 A"):
        next(biologic.sweep("1", strong, threading.Event()))
    assert ("start", 0) not in instrument.done
    called_off = threading.Event()
    points = biologic.sweep("1", Sweep((10.0, 1.0, 0.1), 0.01, protection=WINDOW), called_off)
    next(points)
    called_off.set()
    assert len(list(points)) == 1  # what had come with the first one
    assert instrument.done[-1] == ("stop", 0)
    points = biologic.sweep("1", Sweep((10.0, 1.0, 0.1), 0.01, protection=WINDOW), threading.Event())
    next(points)
    next(points)
    instrument.rests_at_V = 4.3
    with pytest.raises(NotSafe, match=r"4\.3 V and 0 A in the sweep: beyond its limits"):
        next(points)
    instrument.rests_at_V, instrument.frequencies_off = 3.3, 1.1
    with pytest.raises(BadReply, match=r"a point at 11 Hz with .* where 10 Hz was due"):
        next(biologic.sweep("1", Sweep((10.0,), 0.01, protection=WINDOW), threading.Event()))


def test_an_mpg2_is_what_its_channels_say(instrument: Instrument) -> None:
    instrument.kind = DEVICES.KBIO_DEV_MPG2
    instrument.plugged = [True] * 16
    for number, info in enumerate(instrument.infos):
        info.MaxIRange, info.Zboard = 9, int(number == 15)
    every = open_backend("biologic", {"address": "192.168.0.10"})
    assert every.describe().channels == tuple(str(number) for number in range(1, 17))
    assert (every.describe().instrument, every.describe().current_max_A) == ("Bio-Logic MPG2", 0.1)
    with pytest.raises(Refused, match="channel 1 has no impedance option"):
        next(every.sweep("1", Sweep((10.0,), 0.01, protection=WINDOW), threading.Event()))
    every.close()
    some = open_backend("biologic", {"address": "192.168.0.10", "channels": "2, 5"}).describe()
    assert (some.channels, some.capabilities) == (("2", "5"), (Capability.SOURCE,))
    with pytest.raises(OutOfRange, match="channels '17': plugged in are 1, 2"):
        open_backend("biologic", {"address": "192.168.0.10", "channels": 17})


def test_an_instrument_that_eclib_cannot_drive_is_not_opened(instrument: Instrument) -> None:
    instrument.infos[1].FirmwareCode = 1
    with pytest.raises(Unreachable, match=r"channel 2 has the firmware 1, .*restart the instrument"):
        open_backend("biologic", {"address": "USB0"})
    instrument.kind = DEVICES.KBIO_DEV_MPG
    with pytest.raises(WrongInstrument, match="a MPG is of no family that is known"):
        open_backend("biologic", {"address": "USB0"})
    assert instrument.connected == 0


# --- Gamry


@pytest.fixture
def gamry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setitem(sys.modules, "toolkitpy", toolkit())  # type: ignore[arg-type]
    for name in ("WATCH_S", "SETTLE_S"):
        monkeypatch.setattr(f"drivers.gateway.backends.gamry.{name}", 0.01)
    opened = open_backend("gamry", {"unverified": True})
    yield opened
    opened.close()


def test_gamry_holds_a_voltage_and_goes_to_the_next_with_the_cell_on(gamry: Any) -> None:
    pstat = gamry._pstat
    gamry.apply("1", Voltage(3.35), WINDOW)
    assert pstat.told == [
        *(("cell", False), ("cell", False)),  # when it was opened, and before it is looked at
        ("ctrl_mode", "pstat"),
        ("i_convention", "anodic"),
        ("ie_range", 5),
        ("ie_range_mode", False),
        ("voltage", 3.35),
        ("cell", True),
    ]
    assert gamry.measure("1") == Measurement(pytest.approx(3.35), pytest.approx(5e-3))
    gamry.apply("1", Voltage(3.36), WINDOW)
    assert pstat.told[8:] == [("voltage", 3.36)]
    assert gamry.is_on("1")
    gamry.apply("1", Current(0.0), WINDOW)
    assert gamry.is_on("1")
    assert not pstat.cell()
    assert len(pstat.threads) == 1
    assert threading.get_ident() not in pstat.threads


def test_gamry_opens_the_cell_at_a_limit_though_nobody_asks(gamry: Any) -> None:
    pstat = gamry._pstat
    gamry.apply("1", Voltage(3.35), WINDOW)
    pstat.R_ohm = 1.0
    while pstat.cell():
        time.sleep(0.001)
    with pytest.raises(NotSafe, match=r"0\.05 A: more than 0\.01 A; the cell was opened"):
        gamry.measure("1")
    pstat.R_ohm = 10.0
    gamry.apply("1", Current(-2e-3), WINDOW)
    assert gamry.measure("1") == Measurement(pytest.approx(3.28), pytest.approx(-2e-3))
    assert (pstat.set["ctrl_mode"], pstat.set["ie_range"]) == ("gstat", 4)
    assert pstat.set["voltage"] == pytest.approx(-2e-3 * 1000.0)  # over the range's resistor
    pstat.rests_at_V = 2.4
    while pstat.cell():
        time.sleep(0.001)
    with pytest.raises(NotSafe, match=r"2\.38 V: outside 2\.5 … 4\.2 V; the cell was opened"):
        gamry.measure("1")
    gamry.off("1")
    assert gamry.measure("1") == Measurement(2.4, 0.0)


def test_gamry_holds_no_current_unless_it_is_let_and_none_that_does_not_flow(
    gamry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = open_backend("gamry", {"address": "IFC1010-2"})
    assert plain.describe().capabilities == (Capability.SOURCE,)
    with pytest.raises(OutOfRange, match="a current only with the setting 'unverified'"):
        plain.apply("1", Current(1e-3), WINDOW)
    plain.close()
    monkeypatch.setattr(gamry._pstat, "ie_resistor", lambda number: 1.0 if number == 4 else 1000.0)
    gamry._pstat.measure_i = lambda: 0.0
    with pytest.raises(NotSafe, match=r"0\.001 A was set, and 0 A flow"):
        gamry.apply("1", Current(1e-3), WINDOW)
    assert not gamry._pstat.cell()


def test_gamry_says_where_the_cell_does_not_do_as_it_was_told(gamry: Any) -> None:
    gamry._pstat.stuck = True
    with pytest.raises(NotSafe, match="the cell was switched on, and is off"):
        gamry.apply("1", Voltage(3.35), WINDOW)
    gamry._pstat.is_open = False
    with pytest.raises(Unreachable, match="does not answer any more"):
        gamry.off("1")
    gamry._pstat.is_open = True
    with pytest.raises(InstrumentError, match="toolkitpy: TypeError"):
        gamry._asked(lambda: gamry._pstat.set_voltage())
    with pytest.raises(Unreachable, match="no potentiostat 'IFC9'; there are"):
        open_backend("gamry", {"address": "IFC9"})


def test_gamrys_impedance_is_asked_for_in_rms_values_about_the_bias(gamry: Any) -> None:
    points = list(gamry.sweep("1", Sweep((1000.0, 100.0), 0.01, protection=WINDOW), threading.Event()))
    assert points == [ImpedancePoint(1000.0, 8 - 6j), ImpedancePoint(100.0, 8 - 6j)]
    pstat = gamry._pstat
    assert (pstat.set["ctrl_mode"], pstat.set["voltage"], pstat.set["irupt_mode"]) == ("pstat", 3.3, "IRUPTOFF")
    assert pstat.set["ie_range"] == 3  # 0.14 mA at the peak over 100 Ω
    assert not pstat.cell()
    galvanostatic = Sweep((1000.0,), None, protection=WINDOW, amplitude_rms_A=1e-3, bias_A=2e-3)
    called_off = threading.Event()
    assert len(list(gamry.sweep("1", galvanostatic, called_off))) == 1
    assert (pstat.set["ctrl_mode"], pstat.set["ie_range"]) == ("gstat", 5)  # 3.4 mA at the peak
    with pytest.raises(OutOfRange, match=r"0\.0141 A at the peak: ±0\.01 A"):
        next(gamry.sweep("1", Sweep((1000.0,), None, protection=WINDOW, amplitude_rms_A=0.01), called_off))
    with pytest.raises(BadReply, match="no impedance was found at 666 Hz"):
        next(gamry.sweep("1", Sweep((666.0,), 0.01, protection=WINDOW), called_off))
    called_off.set()
    assert list(gamry.sweep("1", galvanostatic, called_off)) == []
    assert not pstat.cell()
    assert gamry.describe().frequency_min_Hz == 1.0


# --- CH Instruments


def test_the_macro_of_a_sweep(tmp_path: Path) -> None:
    macro = macro_of(Sweep((1000.0, 0.1), 0.01, bias_V=3.7), [tmp_path / "point0000.txt", tmp_path / "point0001.txt"])
    assert macro[:5] == b"\x63\x02\x00\x00\x0a"
    assert macro[5:].decode().split("\n") == [
        f"folder: {tmp_path}",
        "fileoverride",
        *("tech=imp", "ei=3.7", "fl=1000", "fh=1000", "amp=0.0141421", "qt=2", "impautosens", "run", "tsave:point0000"),
        *("tech=imp", "ei=3.7", "fl=0.1", "fh=0.1", "amp=0.0141421", "qt=2", "impautosens", "run", "tsave:point0001"),
        "forcequit: yesiamsure",
        "",
    ]


RESULT = """May 5, 2026   10:00:00
A.C. Impedance
File: point.bin
Instrument Model:  CHI660E

Freq/Hz, Z'/ohm, Z"/ohm, Z/ohm, Phase/deg

1.000e+3, 1.000e+1, -2.000e+0, 1.020e+1, -11.3
"""


@pytest.fixture
def chi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    program = tmp_path / "chi660e.exe"
    program.write_bytes(b"")
    monkeypatch.setattr("drivers.gateway.backends.chi.POLL_S", 0.01)
    yield open_backend("chi", {"program": str(program), "folder": str(tmp_path / "runs"), "point_s": 0.05})


class Program:
    """Writes the files of the points, as far as it gets."""

    def __init__(self, arguments: list[str], points: int) -> None:
        folder = Path(arguments[1].removeprefix("/runmacro:")).parent
        for number in range(points):
            (folder / f"point{number:04d}.txt").write_text(RESULT, encoding="cp1252")
        self.ended = False

    def poll(self) -> int | None:
        return 0 if self.ended else None

    def terminate(self) -> None:
        self.ended = True

    kill = terminate

    def wait(self, timeout: float) -> int:
        return 0


def test_chi_gives_a_point_as_its_file_comes_and_misses_one_that_does_not(
    chi: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Program] = []

    def start(arguments: list[str]) -> Program:
        started.append(Program(arguments, points=1))
        return started[-1]

    monkeypatch.setattr("subprocess.Popen", start)
    points = chi.sweep("1", Sweep((1000.0, 500.0), 0.01, bias_V=3.7), threading.Event())
    point = next(points)
    assert (point.frequency_Hz, point.impedance_ohm) == (1000.0, 10.0 - 2.0j)
    assert chi.is_on("1")
    with pytest.raises(InstrumentTimeout, match=r"point0001\.txt did not come for 500 Hz"):
        next(points)
    assert started[0].ended
    with pytest.raises(BadReply, match=r"point0000\.txt is of 1000 Hz, not of 900 Hz"):
        next(chi.sweep("1", Sweep((900.0,), 0.01), threading.Event()))
    called_off = threading.Event()
    points = chi.sweep("1", Sweep((1000.0, 500.0), 0.01), called_off)
    next(points)
    called_off.set()
    assert list(points) == []
    assert started[-1].ended


def test_chi_says_where_its_program_does_not_end(chi: Any) -> None:
    def wait(timeout: float) -> int:
        raise subprocess.TimeoutExpired("chi660e", timeout)

    chi._running = SimpleNamespace(terminate=lambda: None, kill=lambda: None, wait=wait, poll=lambda: None)
    with pytest.raises(NotSafe, match=r"chi660e\.exe does not end"):
        chi.off("1")
    assert chi.is_on("1")


def test_a_macro_of_a_current_or_beyond_the_protection_is_refused() -> None:
    with pytest.raises(Refused, match="no sweep of current"):
        macro_of(Sweep((1.0,), None, amplitude_rms_A=1e-3), [Path("point0000.txt")])
    with pytest.raises(OutOfRange, match=r"4\.195 ± 0\.0141 V: 2\.5 to 4\.2 V"):
        macro_of(Sweep((1.0,), 0.01, bias_V=4.195, protection=WINDOW), [Path("point0000.txt")])


def test_chi_wants_its_program(chi: Any) -> None:
    with pytest.raises(Unreachable, match="no program /nowhere/chi660e"):
        open_backend("chi", {"program": "/nowhere/chi660e.exe"})
    assert b"tech=imp\neio\n" in macro_of(Sweep((1000.0,), 0.01), [Path("point0000.txt")])
