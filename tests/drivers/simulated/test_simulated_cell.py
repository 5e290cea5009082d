"""The cell as a whole: cycling, drives and limits, charge, controllers, threads."""

import math
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.cell import (
    CellParameters,
    Format,
    SimulatedCell,
    lithium_symmetric_cell,
    silicon_half_cell,
    silicon_lfp_cell,
)
from drivers.simulated.clock import ManualClock, ScaledClock
from drivers.simulated.wiring import Drive, DriveCurrent, DriveVoltage, OpenCircuit

# --- cycling, by a controller in virtual time


@dataclass
class HalfCycle:
    end_V: float
    current_A: float
    charge_C: float = 0.0
    voltages: list[float] = field(default_factory=list)


@dataclass
class Cycler:
    """A little tester's firmware: one half cycle after the other, with nothing between."""

    plan: list[HalfCycle]
    at: int = 0
    last_s: float = 0.0

    def __call__(self, time_s: float, voltage_V: float, current_A: float) -> Drive | None:
        if self.at == len(self.plan):
            return None
        now = self.plan[self.at]
        now.charge_C += current_A * (time_s - self.last_s)
        now.voltages.append(voltage_V)
        self.last_s = time_s
        if (voltage_V - now.end_V) * now.current_A >= 0.0:
            self.at += 1
            return self.drive()
        return None

    def drive(self) -> Drive:
        return OpenCircuit() if self.at == len(self.plan) else DriveCurrent(self.plan[self.at].current_A, -1.0, 5.0)


def cycle(parameters: CellParameters, plan: list[HalfCycle], hours: float) -> SimulatedCell:
    clock = ManualClock()
    cell = SimulatedCell(parameters, clock)
    cycler = Cycler(plan)
    cell.drive(cycler.drive())
    cell.control(cycler, max_step_s=4.0)
    clock.sleep(hours * 3600)
    cell.terminals()
    assert cycler.at == len(plan), "the plan did not end in time"
    cell.control(None)
    return cell


@pytest.fixture(scope="module")
def ten_cycles() -> tuple[CellParameters, list[HalfCycle], SimulatedCell, float]:
    parameters = silicon_half_cell()
    plan: list[HalfCycle] = []
    for number in range(10):
        rate, low = (0.1, 0.02) if number == 0 else (0.2 if number < 6 else 0.4, 0.05)
        plan += [HalfCycle(low, -parameters.current_A(rate)), HalfCycle(2.0, parameters.current_A(rate))]
    began = time.perf_counter()
    cell = cycle(parameters, plan, hours=80)
    return parameters, plan, cell, time.perf_counter() - began


def specific(parameters: CellParameters, half: HalfCycle) -> float:
    return abs(half.charge_C) / 3.6 / parameters.active_mass_g


def test_ten_cycles_of_a_silicon_half_cell_look_like_one(ten_cycles) -> None:
    parameters, plan, _, _ = ten_cycles
    lithiation = [specific(parameters, half) for half in plan[::2]]
    delithiation = [specific(parameters, half) for half in plan[1::2]]
    efficiency = [out / taken for taken, out in zip(lithiation, delithiation, strict=True)]
    assert 3200 < lithiation[0] < 3400
    assert 0.85 < efficiency[0] < 0.90
    assert all(0.995 < e < 0.999 for e in efficiency[1:])
    assert all(2700 < q < 3000 for q in lithiation[1:6]), "0.2C"
    assert all(2300 < q < 2700 for q in lithiation[6:]), "0.4C"
    for cycles in (lithiation[1:6], lithiation[6:]):
        assert all(0.997 < after / before < 1.0 for before, after in pairwise(cycles)), "slow fade"
        assert cycles[-1] < 0.997 * cycles[0]


def test_voltages_of_the_cycles(ten_cycles) -> None:
    _, plan, _, _ = ten_cycles

    def middle(half: HalfCycle) -> float:
        return sorted(half.voltages)[len(half.voltages) // 2]

    assert 0.07 < middle(plan[0]) < 0.11, "plateau of the first lithiation"
    assert 0.1 < middle(plan[2]) < 0.25, "sloping later"
    assert 0.35 < middle(plan[1]) < 0.5 and 0.35 < middle(plan[3]) < 0.5
    assert max(max(half.voltages) for half in plan) < 2.05, "a controller sees the end before it is far away"


def test_pressure_grows_from_cycle_to_cycle(ten_cycles) -> None:
    _, _, cell, _ = ten_cycles
    assert 10e3 < cell.pressure_Pa() - 546e3 < 80e3


def test_full_cell_has_its_capacity_within_its_window() -> None:
    parameters = silicon_lfp_cell()
    current = parameters.current_A(0.1)
    plan = [HalfCycle(3.9, current), HalfCycle(2.0, -current), HalfCycle(3.9, current), HalfCycle(2.0, -current)]
    cycle(parameters, plan, hours=60)
    first, out, second, again = (abs(half.charge_C) / 3.6 for half in plan)
    assert again == pytest.approx(11.7, rel=0.02)
    assert 0.82 < out / first < 0.90 and 0.99 < again / second < 1.0
    assert 2.8 < sum(plan[1].voltages) / len(plan[1].voltages) < 3.1


def test_hysteresis_opens_a_loop_that_rest_narrows() -> None:
    parameters = silicon_half_cell(formed=True)
    clock = ManualClock()
    cell = SimulatedCell(parameters, clock)
    current = parameters.current_A(0.2)
    cell.drive(DriveCurrent(-current, -1.0, 3.0))
    clock.sleep(2 * 3600)
    lithiated = cell.state()
    clock.sleep(3600)
    cell.drive(DriveCurrent(current, -1.0, 3.0))
    clock.sleep(3600)
    delithiated = cell.state()
    assert delithiated.positive_lithium_C == pytest.approx(lithiated.positive_lithium_C, rel=0.01)
    assert 0.15 < delithiated.open_circuit_V - lithiated.open_circuit_V < 0.25
    cell.drive(OpenCircuit())
    clock.sleep(40 * 3600)
    assert lithiated.open_circuit_V + 0.05 < cell.state().open_circuit_V < delithiated.open_circuit_V - 0.05


# --- drives, clamps and limits


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1.7e9)


@pytest.fixture
def cell(clock: ManualClock) -> SimulatedCell:
    return SimulatedCell(silicon_half_cell(formed=True), clock)


def test_open_circuit_carries_no_current(cell: SimulatedCell, clock: ManualClock) -> None:
    for _ in range(5):
        clock.sleep(1000)
        assert cell.terminals()[1] == 0.0


def test_current_clamp_holds_exactly_and_the_current_decays(cell: SimulatedCell, clock: ManualClock) -> None:
    current = -cell.parameters.current_A(0.5)
    cell.drive(DriveCurrent(current, 0.05, 2.0))
    seen = []
    for _ in range(1200):
        clock.sleep(10)
        seen.append(cell.terminals())
    held = [i for v, i in seen if v == 0.05]
    assert all(v >= 0.05 for v, _ in seen)
    assert all(i == current for v, i in seen if v > 0.05)
    assert len(held) > 300
    assert all(abs(after) < abs(before) for before, after in pairwise(held))
    assert abs(held[-1]) < 0.1 * abs(current)


def test_voltage_hold_gives_the_limit_first_and_then_less(cell: SimulatedCell, clock: ManualClock) -> None:
    limit = cell.parameters.current_A(0.5)
    cell.drive(DriveVoltage(0.15, limit))
    voltage, current = cell.terminals()
    assert current == -limit and voltage > 0.15
    seen = []
    for _ in range(1000):
        clock.sleep(10)
        seen.append(cell.terminals())
    assert all(abs(i) <= limit for _, i in seen)
    assert all(i == -limit for v, i in seen if v > 0.15)
    held = [i for v, i in seen if v == 0.15]
    assert len(held) > 500 and all(abs(after) < abs(before) for before, after in pairwise(held))


def test_step_of_voltage_meets_the_ohmic_resistance_at_once() -> None:
    clock = ManualClock()
    cell = SimulatedCell(lithium_symmetric_cell(), clock)
    circuit = cell.parameters.circuit
    cell.drive(DriveVoltage(0.01, 1.0))
    assert cell.terminals()[1] == pytest.approx(0.01 / circuit.ohmic_ohm, rel=1e-6)
    clock.sleep(4 * 3600)
    assert cell.terminals()[1] == pytest.approx(0.01 / circuit.direct_current_ohm, rel=1e-4)


def test_abuse_ends_on_a_plateau_and_comes_back(cell: SimulatedCell, clock: ManualClock) -> None:
    current = cell.parameters.current_A(1.0)
    cell.drive(DriveCurrent(-current, -5.0, 5.0))
    clock.sleep(3 * 3600)
    assert -0.2 < cell.terminals()[0] < 0.0, "lithium is plated"
    cell.drive(DriveCurrent(current, -5.0, 5.0))
    clock.sleep(6 * 3600)
    assert 3.0 < cell.terminals()[0] < 5.0, "electrolyte and collector are oxidised"
    cell.drive(DriveCurrent(-current, -5.0, 5.0))
    clock.sleep(0.4 * 3600)
    assert 0.0 < cell.terminals()[0] < 0.5, "what was oxidised need not be reduced again"


@pytest.mark.parametrize(
    "drive",
    [
        DriveCurrent(math.nan, 0.0, 1.0),
        DriveCurrent(math.inf, 0.0, 1.0),
        DriveCurrent(1e-3, 2.0, 1.0),
        DriveCurrent(1e-3, math.nan, 1.0),
        DriveVoltage(math.nan, 1.0),
        DriveVoltage(1.0, -1.0),
        DriveVoltage(1.0, math.nan),
    ],
)
def test_impossible_settings_are_refused(cell: SimulatedCell, drive: Drive) -> None:
    with pytest.raises(ValueError):
        cell.drive(drive)
    assert cell.terminals()[1] == 0.0


# --- charge


@pytest.mark.parametrize("parameters", [silicon_half_cell(), silicon_lfp_cell(Format.COIN), lithium_symmetric_cell()])
def test_every_coulomb_reported_is_found_in_the_cell(parameters: CellParameters) -> None:
    clock = ManualClock()
    cell = SimulatedCell(parameters, clock)
    passed, last_s = 0.0, 0.0

    def count(time_s: float, voltage_V: float, current_A: float) -> None:
        nonlocal passed, last_s
        passed += current_A * (time_s - last_s)
        last_s = time_s

    before = cell.state()
    cell.control(count)
    low, high = parameters.voltage_window_V
    toward_lithiation = -1 if parameters.positive.__class__.__name__ == "SiliconParameters" else 1
    for drive, hours in (
        (DriveCurrent(toward_lithiation * parameters.current_A(0.2), low, high), 4.0),
        (DriveVoltage(0.5 * (low + high), parameters.current_A(0.4)), 0.7),
        (OpenCircuit(), 0.3),
        (DriveCurrent(-toward_lithiation * parameters.current_A(0.1), low, high), 1.23),
    ):
        cell.drive(drive)
        clock.sleep(hours * 3600)
        cell.terminals()
    after = cell.state()
    inside = (
        after.positive_lithium_C
        + after.negative_lithium_C
        + after.lost_lithium_C
        - (before.positive_lithium_C + before.negative_lithium_C + before.lost_lithium_C)
    )
    scale = parameters.nominal_capacity_Ah * 3600
    assert abs(inside) < 1e-9 * scale, "what leaves one electrode is in the other, or lost there"
    assert passed == pytest.approx(after.charge_passed_C, abs=1e-6 * scale)
    lithium_side = after.negative_lithium_C - before.negative_lithium_C
    if toward_lithiation == 1:  # the negative silicon's gain and loss; the positive electrode keeps books alone
        lithium_side = before.positive_lithium_C - after.positive_lithium_C
    assert passed == pytest.approx(lithium_side, rel=1e-6)


# --- controllers, catching up, threads


def test_controller_is_called_in_cell_time_and_its_drive_takes_effect_at_once(
    cell: SimulatedCell, clock: ManualClock
) -> None:
    start = clock.now()
    calls: list[tuple[float, float]] = []
    current = cell.parameters.current_A(0.5)

    def firmware(time_s: float, voltage_V: float, current_A: float) -> Drive | None:
        calls.append((time_s - start, current_A))
        return DriveCurrent(-current, 0.0, 3.0) if 60.0 <= time_s - start < 66.0 else None

    cell.control(firmware, max_step_s=3.0)
    clock.sleep(600)
    assert cell.terminals()[1] == -current
    times = [t for t, _ in calls]
    assert all(0.0 < after - before <= 3.0 + 1e-6 for before, after in pairwise(times))
    assert times[-1] == pytest.approx(600.0)
    first_with_current = next(t for t, i in calls if i != 0.0)
    assert 60.0 < first_with_current <= 63.1
    assert cell.state().charge_passed_C == pytest.approx(-current * (600 - times[times.index(first_with_current) - 1]))


def test_controller_may_ask_and_drive_the_cell_itself(cell: SimulatedCell, clock: ManualClock) -> None:
    def firmware(time_s: float, voltage_V: float, current_A: float) -> None:
        assert cell.terminals() == (voltage_V, current_A)
        cell.drive(DriveCurrent(1e-4, 0.0, 3.0))

    cell.control(firmware)
    clock.sleep(30)
    assert cell.terminals()[1] == 1e-4
    cell.control(None)
    with pytest.raises(ValueError, match="max_step_s"):
        cell.control(firmware, max_step_s=0.0)


def test_catching_up_after_a_month_at_rest_is_quick(cell: SimulatedCell, clock: ManualClock) -> None:
    cell.drive(DriveCurrent(-cell.parameters.current_A(0.2), 0.0, 3.0))
    clock.sleep(7200)
    cell.drive(OpenCircuit())
    before = cell.terminals()[0]
    clock.sleep(30 * 24 * 3600)
    began = time.perf_counter()
    after = cell.terminals()[0]
    assert time.perf_counter() - began < 0.5
    assert after > before + 0.05


def test_result_hardly_depends_on_how_often_one_looks() -> None:
    ends = []
    for pause_s in (1.7, 1000.0):
        clock = ManualClock()
        cell = SimulatedCell(silicon_half_cell(), clock)
        cell.drive(DriveCurrent(-cell.parameters.current_A(0.4), 0.05, 2.0))
        while clock.now() < 9900:
            clock.sleep(min(pause_s, 9900 - clock.now()))
            cell.terminals()
        ends.append(cell.state())
    assert ends[0].voltage_V == pytest.approx(ends[1].voltage_V, abs=1e-4)
    assert ends[0].charge_passed_C == pytest.approx(ends[1].charge_passed_C, rel=1e-3)


def test_many_threads_share_one_cell() -> None:
    clock = ScaledClock(speed=3000.0)
    cell = SimulatedCell(silicon_half_cell(formed=True), clock)
    current = cell.parameters.current_A(0.5)
    failures: list[BaseException] = []
    end = time.perf_counter() + 0.6

    def instrument(number: int) -> None:
        try:
            while time.perf_counter() < end:
                if number == 0:
                    cell.drive(DriveCurrent(-current, 0.02, 2.0))
                    cell.drive(OpenCircuit())
                elif number == 1:
                    assert 0.0 < cell.impedance(10.0).real < 1e3
                elif number == 2:
                    assert 1e5 < cell.sensor_resistance_ohm() < 1e6 and cell.pressure_Pa() > 0.0
                else:
                    voltage, amperes = cell.terminals()
                    assert 0.0 < voltage < 2.5 and amperes in (0.0, -current)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=instrument, args=(n % 4,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert cell.state().time_s == pytest.approx(clock.now(), abs=3000.0)


# --- whatever is done to it

voltages = st.floats(-5.0, 6.0)
drives = st.one_of(
    st.just(OpenCircuit()),
    st.builds(DriveCurrent, st.floats(-0.02, 0.02), st.floats(-6.0, 0.5), st.floats(1.0, 6.0)),
    st.builds(lambda i: DriveCurrent(i, -math.inf, math.inf), st.floats(-0.02, 0.02)),
    st.builds(DriveVoltage, voltages, st.floats(0.0, 0.02)),
)
cells = st.sampled_from([silicon_half_cell(), silicon_lfp_cell(Format.COIN, formed=True), lithium_symmetric_cell()])


@settings(max_examples=40, deadline=None)
@given(cells, st.lists(st.tuples(drives, st.floats(0.0, 1500.0)), min_size=1, max_size=5), st.floats(-20.0, 60.0))
def test_no_sequence_of_drives_breaks_the_cell(
    parameters: CellParameters, sequence: list[tuple[Drive, float]], temperature_degC: float
) -> None:
    clock = ManualClock(1.7e9)
    cell = SimulatedCell(parameters, clock, temperature_degC=temperature_degC)
    for drive, seconds in sequence:
        cell.drive(drive)
        for pause_s in (0.0, seconds):
            clock.sleep(pause_s)
            voltage, current = cell.terminals()
            assert math.isfinite(voltage) and math.isfinite(current)
            meets_the_drive(drive, voltage, current)
        assert math.isfinite(cell.pressure_Pa()) and cell.pressure_Pa() >= 0.0
        assert cell.sensor_resistance_ohm() > 0.0
        impedance = cell.impedance(1.0)
        assert impedance.real > 0.0 and math.isfinite(abs(impedance))


def meets_the_drive(drive: Drive, voltage: float, current: float) -> None:
    match drive:
        case OpenCircuit():
            assert current == 0.0
        case DriveCurrent(wanted, low, high):
            assert low <= voltage <= high
            assert current == wanted or voltage in (low, high)
        case DriveVoltage(wanted, limit):
            assert abs(current) <= limit
            assert voltage == wanted or abs(current) == limit
