"""Which sensor belongs to which channel: by touch and by voltage, without a current."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.interface import Current, NoReading, Protection, Resistance
from drivers.keithley2450 import Keithley2450
from drivers.registry import BUILT_IN
from drivers.simulated.clock import ManualClock, ScaledClock
from drivers.simulated.keithley2450 import VirtualKeithley2450
from drivers.simulated.keithley_daq6510 import VirtualKeithleyDaq6510
from drivers.simulated.solartron import VirtualSolartron
from drivers.simulated.switches import SharedPort, SwitchedCell, VirtualModbusRelays
from drivers.simulated.wiring import DriveCurrent, FixedCell, OpenCircuit
from station.cli.wiring import Wiring
from station.config import StationConfig, read_config
from station.wiring import BASELINE_SCANS, CHANGED_SCANS, Outcome, Place, TouchTest, compare_voltages
from tests.acceptance.frame import VirtualFrame

A, B, C = ("scanner", 101), ("scanner", 102), ("scanner", 103)
OWNERS: dict[Place, str] = {A: "A1", B: "B1", C: "C1"}


def ready_test(base: float = 288e3, noise: float = 1e-4) -> TouchTest:
    test, chance = TouchTest("A1", A, OWNERS), random.Random(1)
    for _ in range(BASELINE_SCANS):
        assert not test.ready
        assert test.feed({place: base * chance.gauss(1, noise) for place in OWNERS}) is None
    assert test.ready
    return test


def scan(**ohm: Resistance) -> dict[Place, Resistance]:
    return {A: ohm.get("a", 288e3), B: ohm.get("b", 288e3), C: ohm.get("c", 288e3)}


def test_the_pressed_cell_s_own_sensor() -> None:
    test = ready_test()
    for _ in range(CHANGED_SCANS - 1):
        assert test.feed(scan(a=200e3)) is None
    verdict = test.feed(scan(a=190e3))
    assert verdict is not None
    assert verdict.outcome is Outcome.RIGHT


def test_a_swapped_sensor_is_named_with_the_channel_it_was_meant_for() -> None:
    test = ready_test()
    test.feed(scan(c=200e3))
    verdict = test.feed(scan(c=200e3))
    assert verdict is not None
    assert verdict.outcome is Outcome.WRONG
    assert verdict.text == (
        "channel 103 of 'scanner' changed, which station.toml gives to channel C1; channel 101 of 'scanner' should have"
    )


def test_a_neighbour_that_feels_a_little_of_it_does_not_matter() -> None:
    test = ready_test()
    test.feed(scan(a=100e3, b=265e3))
    verdict = test.feed(scan(a=100e3, b=265e3))
    assert verdict is not None
    assert verdict.outcome is Outcome.RIGHT


def test_two_at_once_and_none_at_all_prove_nothing() -> None:
    both = ready_test()
    for _ in range(5):
        assert both.feed(scan(a=200e3, b=210e3)) is None
    assert "more than one sensor changed" in both.give_up().text
    none = ready_test()
    for _ in range(5):
        assert none.feed(scan(a=287e3)) is None
    assert "no sensor changed" in none.give_up().text
    assert {both.give_up().outcome, none.give_up().outcome} == {Outcome.UNCLEAR}


def test_an_unloaded_sensor_that_begins_to_conduct() -> None:
    test = TouchTest("A1", A, OWNERS)
    for _ in range(BASELINE_SCANS):
        test.feed(scan(a=NoReading.OVERLOAD, b=NoReading.OVERLOAD))
    test.feed(scan(a=2e6, b=NoReading.OVERLOAD))
    verdict = test.feed(scan(a=1e6, b=NoReading.OVERLOAD))
    assert verdict is not None
    assert verdict.outcome is Outcome.RIGHT


def test_one_spark_is_no_touch_and_a_loose_plug_no_proof() -> None:
    spark = ready_test()
    assert spark.feed(scan(b=100e3)) is None
    assert spark.feed(scan()) is None
    assert spark.feed(scan(b=100e3)) is None
    loose = TouchTest("A1", A, OWNERS)
    for number in range(BASELINE_SCANS):
        loose.feed(scan(b=NoReading.OVERLOAD if number % 2 else 288e3))
    for _ in range(5):
        assert loose.feed(scan(b=NoReading.OVERLOAD)) is None


@given(st.lists(st.floats(-0.02, 0.02), min_size=3, max_size=30))
def test_noise_alone_never_proves_anything(noise: list[float]) -> None:
    test = ready_test()
    for one in noise:
        assert test.feed(scan(a=288e3 * (1 + one), b=288e3 * (1 - one))) is None


@pytest.mark.parametrize(
    ("seen_V", "at_channels", "sharing", "outcome", "said"),
    [
        (3.001, {"A1": 3.0, "B1": 3.4}, (), Outcome.RIGHT, "as the channel does"),
        (3.401, {"A1": 3.0, "B1": 3.4}, (), Outcome.WRONG, "which is that of channel B1"),
        (3.401, {"A1": 3.0, "B1": 3.4}, ("B1",), Outcome.UNCLEAR, "which is that of channel B1"),
        (0.002, {"A1": 3.0, "B1": 3.4}, (), Outcome.WRONG, "sees 0.0020 V; the channel's own instrument sees 3.0000 V"),
        (3.001, {"A1": 3.0, "B1": 3.003}, (), Outcome.UNCLEAR, "the voltage of B1 too"),
    ],
)
def test_voltages(
    seen_V: float, at_channels: dict[str, float], sharing: tuple[str, ...], outcome: Outcome, said: str
) -> None:
    verdict = compare_voltages("A1", "eis", seen_V, at_channels, sharing)
    assert verdict.outcome is outcome
    assert said in verdict.text


# --- with instruments


class Bench:
    """Two cells whose sensors can be pressed, on a scanner wired as `wired` says."""

    def __init__(self, folder: Path, wired: tuple[int, int] = (101, 102), eis_at: str = "A1") -> None:
        self.cells = {"A1": FixedCell(emf_V=3.0), "B1": FixedCell(emf_V=3.4)}
        clock = ManualClock()
        self.servers = {
            "smu-A1": VirtualKeithley2450(self.cells["A1"], clock=clock),
            "smu-B1": VirtualKeithley2450(self.cells["B1"], clock=clock),
            "scanner": VirtualKeithleyDaq6510({wired[0]: self.cells["A1"], wired[1]: self.cells["B1"]}, clock=clock),
            "eis": VirtualSolartron(self.cells[eis_at], ScaledClock(speed=1e4)),
        }
        for server in self.servers.values():
            server.start()
        drivers = {"smu-A1": "keithley-2450", "smu-B1": "keithley-2450", "scanner": "keithley-daq6510"}
        text = ""
        for name, server in self.servers.items():
            driver = drivers.get(name, "solartron-1260-1287")
            text += f'[instruments.{name}]\ndriver = "{driver}"\naddress = "{server.address}"\n'
            text += "settings = { write_wait_s = 0.0 }\n" if name == "eis" else ""
        for name, channel in (("A1", 101), ("B1", 102)):
            text += f'[channels.{name}]\nsource = "smu-{name}"\nimpedance = "eis"\n'
            text += f'sensor = {{ meter = "scanner", channel = {channel}, name = "mfsr-{name}" }}\n'
        self.path = folder / "station.toml"
        self.path.write_text(text)
        self.config: StationConfig = read_config(self.path)

    def press(self, text: str) -> None:
        """What the person at the bench does when asked to."""
        for name, cell in self.cells.items():
            cell.sensor_ohm = 150e3 if f"Channel {name}:" in text else 288e3

    def stop(self) -> None:
        for server in self.servers.values():
            server.stop()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[object]:
    made: list[Bench] = []

    def bench(**how: object) -> Bench:
        made.append(Bench(tmp_path, **how))  # type: ignore[arg-type]
        return made[-1]

    yield bench
    for each in made:
        each.stop()


def test_a_bench_that_is_wired_right(make) -> None:  # type: ignore[no-untyped-def]
    bench = make()
    verdicts = list(Wiring(bench.config, bench.press, seconds=5).check(["A1"]))
    assert [(each.what, each.outcome) for each in verdicts] == [("sensor", Outcome.RIGHT), ("impedance", Outcome.RIGHT)]
    for cell in bench.cells.values():
        assert cell.terminals()[1] == 0.0
        assert isinstance(cell._drive, OpenCircuit)


def test_sensors_that_are_swapped_and_an_analyser_at_the_other_cell(make) -> None:  # type: ignore[no-untyped-def]
    bench = make(wired=(102, 101), eis_at="B1")
    sensor, impedance = Wiring(bench.config, bench.press, seconds=5).check(["A1"])
    assert sensor.outcome is Outcome.WRONG
    assert "which station.toml gives to channel B1" in sensor.text
    assert impedance.outcome is Outcome.UNCLEAR, "it is lent to B1 as well"
    assert "which is that of channel B1" in impedance.text


def test_nobody_presses(make) -> None:  # type: ignore[no-untyped-def]
    bench = make()
    (sensor, _) = Wiring(bench.config, lambda _: None, seconds=0.3).check(["A1"])
    assert sensor.outcome is Outcome.UNCLEAR


def test_a_frame_that_moves_a_little_and_back(make, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(BUILT_IN, "frame-1", "tests.acceptance.frame:Frame")
    bench, said = make(), []
    with VirtualFrame(ScaledClock(1e3), time_constant_s=1.0) as frame:
        bench.servers["scanner"].sensors[101] = lambda: 288e3 * (1e5 / frame._now()) ** 2
        text = bench.path.read_text().replace("[channels.A1]", '[channels.A1]\nframe = "press"')
        text += f'[instruments.press]\ndriver = "frame-1"\naddress = "{frame.address}"\n'
        bench.path.write_text(text)
        wiring = Wiring(read_config(bench.path), said.append, seconds=5, move_frames=True)
        (sensor, _) = wiring.check(["A1"])
        assert sensor.outcome is Outcome.RIGHT
        assert said == ["Channel A1: its frame moves from 100 by 10 kPa and back."]
        assert frame.goal_Pa == 1e5
        limits = 'limits = { pressure = { above = "105 kPa" } }'
        bench.path.write_text(text.replace('frame = "press"', f'frame = "press"\n{limits}'))
        wiring = Wiring(read_config(bench.path), said.append, seconds=5, move_frames=True)
        (sensor, _) = wiring.check(["A1"])
        assert "leaves no room to move within the channel's limits" in sensor.text
        assert frame.goal_Pa == 1e5


def test_a_source_that_is_on_is_left_alone_and_stays_on(make) -> None:  # type: ignore[no-untyped-def]
    bench = make()
    smu = bench.servers["smu-A1"]
    driver = Keithley2450(smu.address, timeout_s=1.0)
    driver.apply(Current(1e-3), Protection(1.0, 4.2, 0.01))
    driver.leave()
    (_, impedance) = Wiring(bench.config, bench.press, seconds=5).check(["A1"])
    assert impedance.text == "its source's output is on: it is left alone"
    assert bench.cells["A1"]._drive == DriveCurrent(1e-3, -4.2, 4.2)


# --- behind a switch


class SwitchedBench:
    """Two cells behind one relay board; with `swapped` the analyser's two routes lead to each other's cell."""

    def __init__(self, folder: Path, *, swapped: bool = False) -> None:
        clock = ManualClock()
        self.board = VirtualModbusRelays(relay_count=4)
        at_eis = {"A1": 4, "B1": 2} if swapped else {"A1": 2, "B1": 4}
        self.cells = {
            name: SwitchedCell(FixedCell(emf_V=volts), self.board.contacts, {"smu": (relay,), "eis": (at_eis[name],)})
            for name, volts, relay in (("A1", 3.0, 1), ("B1", 3.4, 3))
        }
        ports = {
            f"smu-{name}": VirtualKeithley2450(cell.ports["smu"], clock=clock) for name, cell in self.cells.items()
        }
        shared = SharedPort([cell.ports["eis"] for cell in self.cells.values()])
        self.servers = {**ports, "eis": VirtualSolartron(shared, ScaledClock(speed=1e4)), "matrix": self.board}
        drivers = {"eis": "solartron-1260-1287", "matrix": "modbus-relays"}
        text = ""
        for name, server in self.servers.items():
            server.start()
            text += (
                f'[instruments.{name}]\ndriver = "{drivers.get(name, "keithley-2450")}"\naddress = "{server.address}"\n'
            )
        text += "[instruments.eis.settings]\nwrite_wait_s = 0.0\n[instruments.matrix.settings]\n"
        text += 'relay_count = 4\nread_back = "inputs"\nsettle_s = 0.0\n'
        for number, name in enumerate(self.cells):
            text += f'routes.{name}-smu = {{ cell = "{name}", to = "smu-{name}", relays = [{2 * number + 1}] }}\n'
            text += f'routes.{name}-eis = {{ cell = "{name}", to = "eis", relays = [{2 * number + 2}] }}\n'
        for name in self.cells:
            text += f'[channels.{name}]\nsource = "smu-{name}"\nimpedance = "eis"\n'
            routes = f'source_route = "{name}-smu", impedance_route = "{name}-eis"'
            text += f'switch = {{ instrument = "matrix", {routes} }}\n'
        (folder / "station.toml").write_text(text)
        self.config = read_config(folder / "station.toml")

    def stop(self) -> None:
        for server in self.servers.values():
            server.stop()


@pytest.mark.parametrize(
    ("swapped", "outcome", "said"),
    [(False, Outcome.RIGHT, "sees 3.0"), (True, Outcome.WRONG, "which is that of channel B1")],
)
def test_cells_behind_a_switch_are_brought_to_both_instruments(
    tmp_path: Path, swapped: bool, outcome: Outcome, said: str
) -> None:
    bench = SwitchedBench(tmp_path, swapped=swapped)
    try:
        (verdict,) = Wiring(bench.config, lambda _: None).check(["A1"])
    finally:
        bench.stop()
    assert verdict.outcome is outcome
    assert said in verdict.text
    assert bench.board.contacts.closed == frozenset()
    assert all(cell.together == 0 for cell in bench.cells.values())


def test_a_source_that_is_on_keeps_its_cell_and_no_relay_moves_for_it(tmp_path: Path) -> None:
    bench = SwitchedBench(tmp_path)
    try:
        bench.board.contacts.tell(1, close=True)
        driver = Keithley2450(bench.servers["smu-A1"].address, timeout_s=1.0)
        driver.apply(Current(1e-3), Protection(1.0, 4.2, 0.01))
        driver.leave()
        (verdict,) = Wiring(bench.config, lambda _: None).check(["A1"])
    finally:
        bench.stop()
    assert verdict.text == "its source's output is on: it is left alone"
    assert 1 in bench.board.contacts.closed and not any(2 in closed for closed in bench.board.contacts.history)
