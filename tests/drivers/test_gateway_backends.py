"""The vendors' back ends against stand-ins for the vendors' software: what is told it, in which order."""

from __future__ import annotations

import enum
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from drivers.gateway.backends import Backend, open_backend
from drivers.gateway.backends.chi import macro_of
from drivers.interface import (
    Current,
    InstrumentError,
    InstrumentTimeout,
    NotSafe,
    OutOfRange,
    Protection,
    Sweep,
    Unreachable,
    Voltage,
)

WINDOW = Protection(2.5, 4.2, 0.01)

# --- Bio-Logic


class BioLogicStandIn:
    """A channel that says that it runs from start to stop."""

    kind = "SP150"

    def __init__(self, address: str) -> None:
        self.told: list[Any] = [("open", address)]
        self.state, self.volts, self.amperes = 0, 3.3, 0.0

    def connect(self) -> None:
        self.told.append("connect")

    def disconnect(self) -> None:
        self.told.append("disconnect")

    def load_techniques(self, channel: int, names: list[str], parameters: list[dict[str, Any]]) -> None:
        self.told.append((channel, names, parameters))

    def start_channel(self, channel: int) -> None:
        self.told.append(("start", channel))
        self.state, self.amperes = 1, 1e-3

    def stop_channel(self, channel: int) -> None:
        self.told.append(("stop", channel))
        self.state, self.amperes = 0, 0.0

    def get_values(self, channel: int) -> SimpleNamespace:
        if channel == 9:
            raise RuntimeError("-201")
        return SimpleNamespace(State=self.state, Ewe=self.volts, I=self.amperes, Eoverflow=0, Ioverflow=0, Saturation=0)


@pytest.fixture
def biologic(monkeypatch: pytest.MonkeyPatch) -> Any:
    package, programs, lib, library = (ModuleType(name) for name in ("a", "b", "c", "d"))
    package.BiologicDevice = BioLogicStandIn  # type: ignore[attr-defined]
    library.LimitVariable = enum.Enum("LimitVariable", {"E": 0, "I": 3})  # type: ignore[attr-defined]
    library.LimitComparison = enum.Enum("LimitComparison", {"LT": 0, "GT": 1})  # type: ignore[attr-defined]
    library.LimitLogic = enum.Enum("LimitLogic", {"OR": 0})  # type: ignore[attr-defined]
    programs.configure_limit = lambda variable, comparison, logic, value: SimpleNamespace(  # type: ignore[attr-defined]
        config_int=f"{variable.name} {comparison.name}", value=value
    )
    for name, module in {"": package, ".base_programs": programs, ".lib": lib, ".lib.ec_lib": library}.items():
        monkeypatch.setitem(sys.modules, "easy_biologic" + name, module)
    return open_backend("biologic", {"address": "USB0", "channels": 2})


def test_biologic_holds_a_current_to_its_voltage_and_the_voltage_then(biologic: Any) -> None:
    device = biologic._device
    biologic.apply("1", Current(1e-3), WINDOW)
    assert device.told[2] == ("stop", 0)
    channel, names, (current, voltage) = device.told[3]
    assert (channel, names) == (0, ["cplimit", "calimit"])
    assert current["Current_step"] == [1e-3]
    assert (current["Test1_Config"], current["Test1_Value"], current["Exit_Cond"]) == (["E GT"], [4.2], [1])
    assert voltage["Voltage_step"] == [4.2]
    assert (voltage["Test1_Config"], voltage["Test1_Value"], voltage["Exit_Cond"]) == (["I GT"], [0.01], [2])
    assert (voltage["Test2_Config"], voltage["Test2_Value"]) == (["I LT"], [-0.01])
    assert device.told[4] == ("start", 0)
    assert biologic.measure("1").current_A == 1e-3
    assert biologic.is_on("1")
    biologic.off("1")
    assert not biologic.is_on("1")


def test_biologic_starts_nothing_outside_the_protection_and_says_what_the_library_says(biologic: Any) -> None:
    biologic._device.volts = 4.5
    with pytest.raises(NotSafe, match=r"4\.5 V, outside 2\.5 … 4\.2 V"):
        biologic.apply("1", Voltage(4.0), WINDOW)
    assert ("start", 0) not in biologic._device.told
    with pytest.raises(OutOfRange, match="channel '3': 1, 2"):
        biologic.measure("3")
    biologic._device.get_values = lambda _: 1 / 0
    with pytest.raises(InstrumentError, match="EClib: ZeroDivisionError"):
        biologic.measure("1")


# --- Gamry


class GamryStandIn:
    def __init__(self, section: str) -> None:
        self.told: list[Any] = []
        self.volts, self.amperes = 3.3, 1e-3

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.told.append((name, *arguments))

    def measure_v(self) -> float:
        return self.volts

    def measure_i(self) -> float:
        return self.amperes

    def test_ie_range(self, amperes: float) -> int:
        return 7


@pytest.fixture
def gamry(monkeypatch: pytest.MonkeyPatch) -> Any:
    toolkit = SimpleNamespace(
        toolkitpy_init=lambda _: None,
        toolkitpy_close=lambda: None,
        enum_sections=lambda: ["IFC1010-1"],
        Pstat=GamryStandIn,
        PSTATMODE=1,
        ICONVENTION=SimpleNamespace(ANODIC=1),
    )
    monkeypatch.setitem(sys.modules, "toolkitpy", toolkit)  # type: ignore[arg-type]
    return open_backend("gamry", {})


def test_gamry_holds_a_voltage_and_opens_where_the_current_is_too_much(gamry: Any) -> None:
    pstat = gamry._pstat
    gamry.apply("1", Voltage(3.35), WINDOW)
    assert pstat.told == [
        ("set_cell", False),
        ("set_ctrl_mode", 1),
        ("set_i_convention", 1),
        ("set_ie_range", 7),
        ("set_voltage", 3.35),
        ("set_cell", True),
    ]
    pstat.amperes = 0.02
    with pytest.raises(NotSafe, match=r"0\.02 A: more than 0\.01 A"):
        gamry.measure("1")
    assert pstat.told[-1] == ("set_cell", False)
    with pytest.raises(OutOfRange, match="holds voltages, and no current"):
        gamry.apply("1", Current(1e-3), WINDOW)


# --- CH Instruments


def test_the_macro_of_a_sweep(tmp_path: Path) -> None:
    macro = macro_of(Sweep((1000.0, 0.1), 0.01, bias_V=3.7), [tmp_path / "point0000.txt", tmp_path / "point0001.txt"])
    assert macro[:5] == b"\x63\x02\x00\x00\x0a"
    assert macro[5:].decode().split("\n") == [
        f"folder: {tmp_path}",
        "fileoverride",
        *("tech=imp", "ei=3.7", "fl=1000", "fh=1000", "amp=0.01", "run", "tsave:point0000"),
        *("tech=imp", "ei=3.7", "fl=0.1", "fh=0.1", "amp=0.01", "run", "tsave:point0001"),
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


def test_chi_wants_its_program(chi: Any) -> None:
    with pytest.raises(Unreachable, match="no program /nowhere/chi660e"):
        open_backend("chi", {"program": "/nowhere/chi660e.exe"})
    assert b"tech=imp\neio\n" in macro_of(Sweep((1000.0,), 0.01), [Path("point0000.txt")])
