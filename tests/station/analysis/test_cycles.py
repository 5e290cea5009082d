"""Half-cycles and what follows from them, of cells whose capacities are known."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.analysis.basis import Basis
from station.analysis.cycles import (
    Accuracy,
    average_efficiency,
    cycle_table,
    cycles,
    end_of_life,
    fade_per_cycle,
    initial_efficiency,
    rate_test,
    retention,
)
from station.analysis.errors import AnalysisError
from station.analysis.flow import Direction
from station.analysis.halfcycles import HalfCycle, half_cycles
from station.analysis.record import Record, as_record, record
from tests.station.analysis.records import ideal_cell
from tests.station.synthetic import half_cell


def test_charge_energy_and_voltages_of_an_ideal_cell() -> None:
    charge, discharge = half_cycles(ideal_cell(1))
    assert (charge.direction, discharge.direction) == (Direction.CHARGE, Direction.DISCHARGE)
    assert charge.capacity_Ah == pytest.approx(2e-3, rel=1e-12)
    assert discharge.capacity_Ah == pytest.approx(1.98e-3, rel=1e-12)
    assert charge.energy_Wh == pytest.approx(2e-3 * (3.5 + 0.05), rel=1e-9)
    assert charge.half_capacity_voltage_V == pytest.approx(3.55, rel=1e-9)
    assert discharge.half_capacity_voltage_V == pytest.approx(4.0 - 0.495 - 0.05, rel=1e-9)
    assert (charge.first_voltage_V, charge.last_voltage_V) == pytest.approx((3.05, 4.05))
    assert charge.duration_s == pytest.approx(7200.0)
    assert charge.hold_capacity_Ah == 0.0
    assert charge.constant_current_A == pytest.approx(1e-3)


def test_efficiencies_hysteresis_and_polarisation() -> None:
    (cycle,) = cycles(ideal_cell(1, efficiency=0.99))
    assert cycle.coulombic_efficiency == pytest.approx(0.99, rel=1e-12)
    charge_V, discharge_V = 3.55, 4.0 - 0.495 - 0.05
    assert cycle.hysteresis_V == pytest.approx(charge_V - discharge_V, rel=1e-9)
    assert cycle.polarisation_V == pytest.approx(charge_V - discharge_V, rel=1e-9)
    assert cycle.voltage_efficiency == pytest.approx(discharge_V / charge_V, rel=1e-9)
    assert cycle.energy_efficiency == pytest.approx(cycle.voltage_efficiency * 0.99, rel=1e-9)


def test_an_anode_s_half_cell_is_lithiated_first_and_its_efficiency_is_delithiation_over_lithiation() -> None:
    (cycle,) = cycles(ideal_cell(1, efficiency=0.85, charge_first=False))
    assert cycle.first is Direction.DISCHARGE
    assert cycle.coulombic_efficiency == pytest.approx(0.85, rel=1e-12)
    table = cycle_table([cycle], lithiation=Direction.DISCHARGE)
    assert table.loc[0, "lithiation_capacity_mAh"] == pytest.approx(2.0)
    assert table.loc[0, "delithiation_capacity_mAh"] == pytest.approx(1.7)
    assert table.loc[0, "charge_capacity_mAh"] == table.loc[0, "delithiation_capacity_mAh"]


def test_an_efficiency_above_one_is_kept() -> None:
    found = cycles(ideal_cell(3, efficiency=1.02))
    assert [cycle.coulombic_efficiency for cycle in found] == pytest.approx([1.02] * 3)
    assert average_efficiency(found).arithmetic.value == pytest.approx(1.02)


def test_a_hold_at_the_end_is_included_and_reported_separately() -> None:
    hold_s, current_A = 3600.0, 1e-3
    charge, _ = half_cycles(ideal_cell(1, hold_s=hold_s, every_s=2.0))
    of_hold_Ah = current_A * hold_s / math.log(10) * 0.9 / 3600
    assert charge.hold_capacity_Ah == pytest.approx(of_hold_Ah, rel=1.5e-2)
    assert charge.capacity_Ah == pytest.approx(2e-3 + of_hold_Ah, rel=1e-5)
    assert charge.constant_current_A == pytest.approx(current_A, rel=2e-3)


def test_a_flat_end_at_constant_current_is_no_hold() -> None:
    time_s = np.linspace(0, 3600, 361)
    volts = np.where(time_s > 1800, 3.5, 3.0)
    (charge,) = half_cycles(record(time_s, volts, np.full(361, 1e-3)))
    assert charge.hold_capacity_Ah == 0.0


def test_the_stations_own_sums_are_kept_however_sparsely_it_recorded() -> None:
    channel = half_cell(cycles=3)
    frame = pd.DataFrame([dataclasses.asdict(one) for one in channel.readings])
    found = cycles(frame)
    assert [cycle.number for cycle in found] == [1, 2, 3]
    for cycle in found:
        steps = [step.capacity_Ah for step in channel.steps if step.cycle == cycle.number]
        assert cycle.charge is not None
        assert cycle.charge.capacity_Ah == pytest.approx(sum(q for q in steps if q > 0), rel=1e-12)
        assert cycle.discharge is not None
        assert cycle.discharge.capacity_Ah == pytest.approx(-sum(q for q in steps if q < 0), rel=1e-12)
        assert cycle.first is Direction.DISCHARGE
        assert cycle.discharge.duration_s == pytest.approx(3600.0)


@given(
    st.floats(0.5, 1.1),
    st.integers(1, 5),
    st.booleans(),
    st.sampled_from([0.0, 600.0]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=25, deadline=None)
def test_a_row_put_in_on_the_straight_line_changes_nothing(efficiency, number, charge_first, hold_s, random) -> None:
    whole = ideal_cell(number, efficiency=efficiency, charge_first=charge_first, hold_s=hold_s, every_s=120.0)
    places = sorted(random.sample(range(1, len(whole)), min(20, len(whole) - 1)))
    columns = []
    for values in (whole.time_s, whole.voltage_V, whole.current_A):
        between = [(values[place - 1] + values[place]) / 2 for place in places]
        columns.append(np.insert(values, places, between))
    before, after = cycles(whole), cycles(record(*columns))
    assert len(before) == len(after) == number
    for one, other in zip(before, after, strict=True):
        assert other.coulombic_efficiency == pytest.approx(one.coulombic_efficiency, rel=1e-9)
        for direction in Direction:
            a, b = one.half(direction), other.half(direction)
            assert a is not None and b is not None
            assert b.capacity_Ah == pytest.approx(a.capacity_Ah, rel=1e-9)
            assert b.energy_Wh == pytest.approx(a.energy_Wh, rel=1e-3)  # a product of two straight lines bends


@given(st.integers(1, 40), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_a_step_split_in_two_is_the_same_half_cycle(row: int, number: int) -> None:
    frame = recorded(number)
    step = frame["step"] == 3
    rows = frame.index[step]
    cut = rows[min(row, len(rows) - 2)]
    after = frame.index > cut
    sums = ["step_capacity_Ah", "step_energy_Wh", "step_time_s"]
    split = frame.copy()
    split.loc[after & step, sums] -= frame.loc[cut, sums]
    split.loc[after, "step"] += 1
    for one, other in zip(half_cycles(frame), half_cycles(split), strict=True):
        assert other.capacity_Ah == pytest.approx(one.capacity_Ah, rel=1e-12)
        assert other.energy_Wh == pytest.approx(one.energy_Wh, rel=1e-12)
        assert other.duration_s == pytest.approx(one.duration_s, rel=1e-12)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ideal_cell(6, hold_s=600.0, rest_s=0.5, every_s=60.0)
    whole = half_cycles(plain)
    monkeypatch.setattr("station.analysis.halfcycles.BLOCK", 37)
    for one, other in zip(whole, half_cycles(plain), strict=True):
        assert other.direction is one.direction
        assert numbers(other) == pytest.approx(numbers(one), rel=1e-9)


def test_noise_of_the_current_at_rest_makes_no_half_cycles() -> None:
    quiet = ideal_cell(3)
    noise = np.random.default_rng(1).normal(0.0, 4e-7, len(quiet))
    noisy = record(quiet.time_s, quiet.voltage_V, quiet.current_A + noise)
    assert [half.direction for half in half_cycles(noisy)] == [half.direction for half in half_cycles(quiet)]
    for one, other in zip(cycles(quiet), cycles(noisy), strict=True):
        assert other.coulombic_efficiency == pytest.approx(one.coulombic_efficiency, abs=1e-4)


def test_a_current_that_turns_within_one_interval_counts_on_both_sides_of_its_zero() -> None:
    charge, discharge = half_cycles(record([0, 3600, 7200, 10800], [3, 4, 3, 3], [1e-3, 1e-3, -1e-3, -1e-3]))
    assert charge.capacity_Ah == pytest.approx(1.25e-3)
    assert discharge.capacity_Ah == pytest.approx(1.25e-3)


def test_retention_fade_and_end_of_life() -> None:
    parts = [ideal_cell(1, capacity_Ah=2e-3 * (1 - 0.01 * k), efficiency=1.0) for k in range(30)]
    found = cycles(joined(parts))
    assert retention(found)[10] == pytest.approx(0.9)
    assert retention(found, reference=11)[0] == pytest.approx(1 / 0.9)
    assert fade_per_cycle(found).value == pytest.approx(-0.01, rel=1e-9)
    assert end_of_life(found, below=0.795) == 22
    assert end_of_life(found, below=0.5) is None
    with pytest.raises(AnalysisError, match=r"cycle 99.*1 to 30"):
        retention(found, reference=99)


def test_average_efficiencies_over_a_stated_range() -> None:
    found = cycles(joined([ideal_cell(1, efficiency=value) for value in (0.8, 0.99, 0.98, 0.97)]))
    assert initial_efficiency(found) == pytest.approx(0.8)
    average = average_efficiency(found, first=2)
    assert (average.first, average.last, average.cycles) == (2, 4, 3)
    assert average.arithmetic.value == pytest.approx(0.98)
    assert average.arithmetic.u == pytest.approx(0.01 / math.sqrt(3))
    assert average.product == pytest.approx(0.99 * 0.98 * 0.97)
    assert average.geometric == pytest.approx((0.99 * 0.98 * 0.97) ** (1 / 3))


def test_a_rate_test_is_grouped_by_current() -> None:
    parts = []
    for rate, share in ((0.5, 1.0), (1.0, 0.9), (2.0, 0.7), (0.5, 0.98)):
        parts += [ideal_cell(3, current_A=2e-3 * rate, capacity_Ah=2e-3 * share, every_s=60.0)]
    rates = rate_test(cycles(joined(parts)), nominal_capacity_Ah=2e-3)
    assert [rate.c_rate for rate in rates] == pytest.approx([0.5, 1.0, 2.0, 0.5])
    assert [(rate.first, rate.last) for rate in rates] == [(1, 3), (4, 6), (7, 9), (10, 12)]
    assert [rate.share for rate in rates] == pytest.approx([1.0, 0.9, 0.7, 0.98])


def test_specific_areal_and_volumetric_amounts() -> None:
    basis = Basis({"silicon": 0.5e-3, "electrode": 1e-3}, area_cm2=1.13, volume_cm3=2e-3)
    row = cycle_table(cycles(ideal_cell(1)), basis).iloc[0]
    assert row["charge_capacity_mAh_g_silicon"] == pytest.approx(4000)
    assert row["charge_capacity_mAh_g_electrode"] == pytest.approx(2000)
    assert row["charge_capacity_mAh_cm2"] == pytest.approx(2 / 1.13)
    assert row["charge_energy_mWh_g_electrode"] == pytest.approx(2000 * 3.55)
    assert row["charge_energy_mWh_cm3"] == pytest.approx(1000 * 3.55)
    with pytest.raises(AnalysisError, match="silicon"):
        Basis({"silicon": 0.0})


def test_a_gain_error_cancels_in_the_efficiency_and_an_offset_does_not() -> None:
    (cycle,) = cycles(ideal_cell(1, efficiency=1.0))
    gain_only = Accuracy(current_gain=1e-3)
    assert gain_only.coulombic_efficiency(cycle).u == 0.0
    assert cycle.charge is not None
    assert gain_only.capacity_Ah(cycle.charge).u == pytest.approx(2e-6)
    shifted = ideal_cell(1, efficiency=1.0)
    on = shifted.current_A != 0
    offset_A = 1e-6
    measured = record(shifted.time_s, shifted.voltage_V, shifted.current_A + np.where(on, offset_A, 0.0))
    moved = cycles(measured)[0].coulombic_efficiency - 1.0
    assert Accuracy(current_offset_A=offset_A).coulombic_efficiency(cycle).u == pytest.approx(abs(moved), rel=1e-2)


def test_what_cannot_be_analysed_says_why() -> None:
    with pytest.raises(AnalysisError, match=r"reading 3 .* 1 s, before .* 2 s"):
        record([0, 2, 1], [3, 3, 3], [1, 1, 1])
    with pytest.raises(AnalysisError, match="fewer than two"):
        record([0.0], [3.0], [1.0])
    with pytest.raises(AnalysisError, match="equal length"):
        record([0, 1], [3, 3, 3], [1, 1, 1])
    with pytest.raises(AnalysisError, match="no current above"):
        half_cycles(record([0, 1], [3, 3], [0, 0]))
    with pytest.raises(AnalysisError, match="no charge passes"):
        half_cycles(record([1, 1], [3, 3], [0, 1]))
    with pytest.raises(AnalysisError, match="cycle falls from 2 to 1 at reading 3"):
        half_cycles(record([0, 1, 2], [3, 3, 3], [1, 1, 1], cycle=[1, 2, 1]))
    with pytest.raises(AnalysisError, match=r"no column of current.*time, voltage"):
        as_record(pd.DataFrame({"time": [0, 1], "voltage": [3, 3]}))


def test_rows_without_a_value_are_left_out_and_counted() -> None:
    frame = pd.DataFrame({"time": [0, 1, 2, 3], "voltage": [3, np.nan, 3, 3], "current": [1.0, 1.0, 1.0, 1.0]})
    found = as_record(frame)
    assert (len(found), found.left_out) == (3, 1)


def joined(parts: list[Record]) -> Record:
    """One after the other."""
    times, offset_s = [], 0.0
    for part in parts:
        times.append(part.time_s + offset_s)
        offset_s = times[-1][-1]
    volts = np.concatenate([part.voltage_V for part in parts])
    return record(np.concatenate(times), volts, np.concatenate([part.current_A for part in parts]))


@functools.cache
def recorded(number: int) -> pd.DataFrame:
    """Of so many cycles; not to be changed."""
    return pd.DataFrame([dataclasses.asdict(one) for one in half_cell(cycles=number).readings])


def numbers(half: HalfCycle) -> list[float]:
    return [value for value in dataclasses.astuple(half) if not isinstance(value, str)]


def test_a_clock_that_was_set_back_takes_nothing_from_the_stations_sums() -> None:
    frame = recorded(2)
    moved = frame.copy()
    moved.loc[300, "test_time_s"] -= 500.0
    assert as_record(moved).left_out == 1
    for one, other in zip(cycles(frame), cycles(moved), strict=True):
        assert other.coulombic_efficiency == pytest.approx(one.coulombic_efficiency, rel=1e-12)
