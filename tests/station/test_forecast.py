"""Forecasts on a cell whose answers are known beforehand."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
from pytest import approx

from protocols.cell import parse_cell
from protocols.compile import parse_protocol
from protocols.document import DocumentError
from protocols.limits import Limits
from station.forecast import Ending, Forecast, Simulation, SoFar, forecast
from station.forecast.rig import CHAMBER_LAG_S, FRAME_LAG_S
from station.run import Request, Run
from station.safety import LimitsInForce
from tests.station.ideal_cell import IdealCell

CELL = """\
cell: ideal
nominal_capacity: 1 mAh
active_mass: 1 mg
state_of_charge: 0 %
limits: {voltage: [2.5 V, 4.5 V], current: 10 mA, pressure: {above: 1 MPa}, temperature: {above: 200 degC}}
"""
HEAD = "protocol: Test\nrecord: {every: 30 s}\nsteps:\n"
CYCLES = """\
  - repeat: 3
    steps:
      - charge: {at: 0.1 C, until: {voltage: 4.01 V}}
      - discharge: {at: 0.1 C, until: {voltage: 3 V}}
"""


def prepared(steps: str, cell: str = CELL, head: str = HEAD) -> Run:
    subject = parse_cell(cell)
    protocol = parse_protocol(head + steps, "test.yaml")
    request = Request(head + steps, "test.yaml", cell, "cell.yaml")
    return Run("test", "test", subject, request, protocol.compile_for(subject), protocol.title, started=0.0)


def simulated(steps: str, cell: IdealCell | None = None, most_s: float = 1e8, head: str = HEAD) -> Simulation:
    return forecast(prepared(steps, head=head), cell or IdealCell(), most_s=most_s)


def said(steps: str, cell: IdealCell | None = None, most_s: float = 1e8, head: str = HEAD) -> Forecast:
    return simulated(steps, cell, most_s, head).forecast


# --- duration and charge


def test_a_half_cycle_at_a_tenth_of_1C_takes_ten_hours() -> None:
    found = said("  - charge: {at: 0.1 C, until: {voltage: 4 V}}\n", IdealCell(resistance_ohm=0.0))
    assert found.simulated is True
    assert (found.ending, found.reason) == (Ending.FINISHED, "finished")
    assert found.duration_s == approx(10 * 3600, rel=1e-3)
    assert found.steps[0].capacity_Ah == approx(1e-3, rel=1e-3)
    assert found.steps[0].energy_Wh == approx(3.5e-3, rel=1e-3)


def test_an_end_of_voltage_is_met_within_a_millivolt() -> None:
    simulation = simulated(CYCLES)
    step, voltage = simulation.readings["step"], simulation.readings["voltage_V"]
    for number, target in enumerate([4.01, 3.0] * 3, start=1):
        assert voltage[step == number][-1] == approx(target, abs=1e-3)


def test_charge_is_balanced_between_readings_steps_and_cycles() -> None:
    simulation = simulated(CYCLES, IdealCell(efficiency=0.99))
    found, readings = simulation.forecast, simulation.readings
    assert sum(step.capacity_Ah for step in found.steps) == approx(float(readings["net_capacity_Ah"][-1]), abs=1e-9)
    assert found.cycles_whole == found.cycles_planned == 3
    for cycle in found.cycles[1:]:
        assert cycle.coulombic_efficiency == approx(0.99, rel=2e-3)
        assert cycle.charge_capacity_Ah == approx(1.01e-3, rel=2e-2)
        # What the resistance takes: 0.1 mA over 10 Ω, in either direction, of some 3.5 V.
        assert cycle.energy_efficiency == approx(0.99 * 3.499 / 3.501, rel=2e-3)


def test_readings_are_recorded_as_the_protocol_says() -> None:
    found = said("  - rest: {for: 1 h}\n")
    assert found.storage.readings_in_forecast == found.storage.readings_expected == 121
    fine = said("  - rest: {for: 1 h}\n    record: {every: 1 s}\n")
    assert fine.storage.readings_in_forecast == 3601


def test_an_end_of_capacity_and_of_time_are_met_on_the_spot() -> None:
    found = said("  - charge: {at: 1 mA, until: {capacity: 0.4 mAh}}\n  - discharge: {at: 1 mA, for: 100 s}\n")
    assert found.steps[0].capacity_Ah == approx(0.4e-3, rel=2e-4)
    assert found.steps[1].duration_s == approx(100.0, abs=1e-3)
    assert found.steps[1].capacity_Ah == approx(-100 / 3600 * 1e-3, rel=2e-4)  # but for 10 ms of settling


def test_a_hold_ends_at_its_current() -> None:
    steps = "  - charge: {at: 1 C, hold: 3.9 V, until: {current: 0.05 C}}\n"
    simulation = simulated(steps, IdealCell(resistance_ohm=100.0))
    current = simulation.readings["current_A"]
    assert current[-1] == approx(0.05e-3, rel=2e-2)
    assert simulation.readings["voltage_V"].max() == approx(3.9, abs=1e-3)
    # At the end the cell is short of 3.9 V by what the last current takes.
    assert simulation.forecast.steps[0].capacity_Ah == approx((0.9 - 0.05e-3 * 100.0) * 1e-3, rel=5e-3)


def test_the_same_forecast_comes_out_twice() -> None:
    first, second = said(CYCLES), said(CYCLES)
    assert dataclasses.replace(first, storage=second.storage) == second


# --- limits


def test_a_limit_is_told_with_its_step_cycle_and_time() -> None:
    steps = "  - rest: {for: 10 min}\n  - charge: {at: 0.1 C, for: 20 h}\n"
    found = said(steps, IdealCell(breathing_Pa=1e6, resistance_ohm=0.0))
    assert found.ending is Ending.TRIPPED
    met = found.limit_met
    assert met is not None
    assert (met.limit, met.limit_value, met.set_by) == ("pressure_max_Pa", 1e6, "cell ideal")
    assert (met.at.step, met.at.cycle) == (2, 1)
    assert met.at.step_name.startswith("2 charge")
    # 500 kPa of 1 MPa per capacity: half of it, after five hours.
    assert met.at.time_s == approx(600 + 5 * 3600, abs=31)
    assert found.duration_s == met.at.time_s
    assert "pressure" in found.reason and "1000 kPa" in found.reason
    assert found.ended_at == "test.yaml:5"
    assert found.steps[-1].end_reason == found.reason
    assert [(each.limit, each.met) for each in found.limits if each.met] == [("pressure_max_Pa", True)]


def test_the_sample_that_trips_is_recorded() -> None:
    simulation = simulated("  - charge: {at: 0.1 C, for: 30 h}\n", IdealCell(resistance_ohm=0.0))
    assert simulation.forecast.limit_met is not None
    assert simulation.forecast.limit_met.limit == "voltage_max_V"
    assert simulation.readings["voltage_V"][-1] == approx(4.5, abs=1e-3)
    assert simulation.forecast.duration_s == approx(15 * 3600, rel=1e-3)
    assert simulation.forecast.steps[-1].capacity_Ah == approx(1.5e-3, rel=1e-3)
    assert (simulation.readings["test_time_s"][1:] > simulation.readings["test_time_s"][:-1]).all()


def test_limits_of_a_channel_narrow_those_of_the_cell() -> None:
    around = LimitsInForce().narrowed_by(Limits(voltage_max_V=3.5), "channel A1")
    found = forecast(prepared("  - charge: {at: 0.1 C, for: 9 h}\n"), IdealCell(), around=around).forecast
    assert found.limit_met is not None
    assert found.limit_met.set_by == "channel A1"
    assert {each.limit: each.set_by for each in found.limits}["voltage_min_V"] == "cell ideal"


def test_how_near_the_run_comes_to_each_limit_is_said() -> None:
    found = {each.limit: each for each in said(CYCLES).limits}
    assert found["voltage_max_V"].nearest == approx(4.01, abs=1e-3)
    assert found["current_max_A"].nearest == approx(0.1e-3)
    assert found["pressure_max_Pa"].nearest == approx(600e3, rel=0.01)
    assert not any(each.met for each in found.values())


# --- what does not end by itself


def test_a_run_that_does_not_end_is_given_up() -> None:
    found = said("  - rest: {for: 3000 h}\n", most_s=86400.0)
    assert found.ending is Ending.UNENDING
    assert "not at its end after 1 days" in found.reason and "1 rest" in found.reason
    assert found.duration_s == approx(86400, abs=31)


def test_a_run_is_ended_by_who_watches_it_with_what_there_is() -> None:
    seen: list[SoFar] = []

    def watch(so_far: SoFar) -> bool:
        seen.append(so_far)
        return so_far.time_s < 50 * 3600

    found = forecast(prepared("  - rest: {for: 3000 h}\n"), IdealCell(), watch=watch).forecast
    assert found.ending is Ending.INTERRUPTED
    assert 50 * 3600 <= found.duration_s < 100 * 3600
    assert found.steps[-1].duration_s == approx(found.duration_s)
    assert [each.time_s for each in seen] == sorted(each.time_s for each in seen)


def test_steps_that_take_no_time_do_not_go_round_for_ever() -> None:
    steps = "  - repeat: 1000000\n    steps:\n      - charge: {at: 0.1 C, until: {voltage: 2.9 V}}\n"
    found = said(steps)
    assert found.ending is Ending.UNENDING
    assert "steps that ended at once" in found.reason


# --- impedance, waits, questions


def test_a_sweep_takes_a_few_periods_of_each_frequency() -> None:
    found = said("  - impedance: {from: 1 kHz, to: 0.01 Hz, amplitude: 10 mV, points_per_decade: 1}\n")
    (sweep,) = found.spectra
    assert sweep.points == 6
    assert sweep.duration_s == approx(sum(0.5 + 3 / f for f in (1e3, 1e2, 10, 1, 0.1, 0.01)), rel=1e-6)
    assert found.duration_s == approx(sweep.duration_s)


def test_a_temperature_is_waited_for() -> None:
    simulation = simulated(
        "  - temperature: {set: 60 degC, within: 1 K, for: 10 min, at_most: 4 h}\n  - rest: {for: 1 h}\n"
    )
    (wait,) = simulation.forecast.waits
    assert wait.at.step == 1
    # From 25 to within 1 K of 60 °C, then ten minutes more.
    assert wait.duration_s == approx(CHAMBER_LAG_S * math.log(35) + 600, abs=61)
    assert simulation.readings["temperature_degC"][-1] == approx(60.0, abs=0.2)
    assert simulation.forecast.ending is Ending.FINISHED


def test_a_stack_pressure_is_waited_for_and_the_cell_breathes_from_there() -> None:
    simulation = simulated(
        "  - stack_pressure: {set: 800 kPa, within: 10 kPa, for: 60 s, at_most: 1 h}\n"
        "  - charge: {at: 0.1 C, until: {voltage: 3.8 V}}\n"
    )
    (wait,) = simulation.forecast.waits
    assert wait.duration_s == approx(FRAME_LAG_S * math.log(30) + 60, abs=61)
    later = simulation.readings["pressure_Pa"][simulation.readings["step"] == 2]
    assert later[0] == approx(800e3, abs=5e3)
    assert later[-1] == approx(880e3, abs=5e3)  # 100 kPa for a whole charge


def test_a_question_is_answered_at_once_and_told() -> None:
    found = said("  - rest: {for: 1 h}\n  - prompt: Is the microscope in place?\n  - rest: {for: 1 h}\n")
    (question,) = found.questions
    assert question.text == "Is the microscope in place?"
    assert question.at.time_s == approx(3600)
    assert found.ending is Ending.FINISHED
    assert found.duration_s == approx(7200, abs=2)


def test_a_marker_is_told_with_its_time() -> None:
    found = said("  - rest: {for: 1 h}\n  - marker: {name: beam on, trigger: true}\n  - rest: {for: 1 h}\n")
    (marker,) = found.markers
    assert (marker.name, marker.triggered) == ("beam on", True)
    assert marker.at.time_s == approx(3600)


def test_what_the_simulated_cell_does_not_bear_is_named_with_its_line() -> None:
    with pytest.raises(DocumentError, match=r"test.yaml:4:.*more than this cell bears"):
        said("  - temperature: {set: 160 degC, at_most: 8 h}\n")


# --- storage


def test_storage_is_measured_and_grows_with_the_run() -> None:
    short, long = said(CYCLES).storage, said(CYCLES.replace("repeat: 3", "repeat: 9")).storage
    assert 60 < short.bytes_per_reading < 200
    assert long.total_bytes == approx(3 * short.total_bytes, rel=0.1)


def test_changes_that_a_bench_would_see_between_two_samples_are_counted() -> None:
    steps = "  - charge: {at: 1 C, until: {voltage: 3.9 V}}\n"
    found = said(steps, head=HEAD.replace("30 s", "30 s, change: [1 mV]")).storage
    assert found.readings_in_forecast < 140  # in nine tenths of an hour
    assert found.readings_expected == approx(900, rel=0.05)  # a reading for each millivolt


# --- as data


def test_the_whole_is_plain_json_with_units_in_its_names() -> None:
    found = json.loads(json.dumps(dataclasses.asdict(said(CYCLES)), allow_nan=False))
    assert found["simulated"] is True
    assert found["ending"] == "finished"
    assert {"duration_s", "limits", "markers", "questions", "storage", "cycles", "steps"} <= set(found)
    assert found["pressure_Pa"]["highest"]["at"].keys() == {"time_s", "step", "step_name", "cycle"}
    assert found["cycles"][0]["charge_capacity_Ah"] == approx(1e-3, rel=0.02)
    assert len(found["steps"]) == 6


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_picture_is_written_and_says_simulated(tmp_path: Path, suffix: str) -> None:
    from station.forecast.picture import draw

    path = tmp_path / f"picture{suffix}"
    draw(simulated(CYCLES), path)
    content = path.read_bytes()
    assert content.startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix])
    assert len(content) > 10_000
    assert b"SIMULATED" in content or suffix == ".pdf"
