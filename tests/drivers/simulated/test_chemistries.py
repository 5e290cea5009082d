"""Cells made from what a cell's file states."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.cell import (
    CellParameters,
    ForecastCell,
    Format,
    SimulatedCell,
    parameters_for,
    silicon_half_cell,
)
from drivers.simulated.cell.blocking import Blocking, BlockingParameters
from drivers.simulated.cell.electrodes import HostParameters, MetalParameters, SiliconParameters
from drivers.simulated.cell.materials import LFP, NICKEL_RICH, SELENIUM, Chemistry
from drivers.simulated.cell.ocv import iron_phosphate, nickel_rich_oxide, selenium_composite
from drivers.simulated.clock import ManualClock
from drivers.simulated.wiring import DriveCurrent
from tests.drivers.simulated.deeds import do

# --- texts


@pytest.mark.parametrize(
    ("text", "positive", "negative", "solid"),
    [
        ("Si | Li", "Si", "Li", False),
        ("Li | Si", "Si", "Li", False),
        ("µm-Si ‖ LFP", "LFP", "Si", False),
        ("\u03bcm-Si ‖ LiFePO₄", "LFP", "Si", False),
        ("LFP || si", "LFP", "Si", False),
        ("Li | NMC811", NICKEL_RICH.name, "Li", False),
        ("Li/NMC-811", NICKEL_RICH.name, "Li", False),
        ("Si-C || NCM811", NICKEL_RICH.name, "Si-C", False),
        ("Si/C | NCM811", NICKEL_RICH.name, "Si-C", False),
        ("Si | NCM90", NICKEL_RICH.name, "Si", False),
        ("si|lpscl|ncm 90", NICKEL_RICH.name, "Si", True),
        ("Si | LPSCl || NCM90", NICKEL_RICH.name, "Si", True),
        ("Se-Mo6Se8 | Li-In", "Se-Mo6Se8", "Li-In", True),
        ("Se–Mo₆Se₈ | LPSCl | Li–In", "Se-Mo6Se8", "Li-In", True),
        ("Si | Li-In", "Si", "Li-In", True),
        ("NMC | LiIn", NICKEL_RICH.name, "Li-In", True),
        ("Li | Li", "Li", "Li", False),
        ("Li metal ‖ lithium foil", "Li", "Li", False),
        ("Li-In | LPSCl | Li-In", "Li-In", "Li-In", True),
        ("steel | LPSCl | steel", "steel", "steel", True),
        ("SS/LPSCl/SS", "steel", "steel", True),
        ("Li | LPSCl | stainless steel", "steel", "Li", True),
        ("carbon | LPSCl | Li-In", "carbon", "Li-In", True),
    ],
)
def test_chemistry_is_read_as_people_write_it(text: str, positive: str, negative: str, solid: bool) -> None:
    chemistry = Chemistry.parse(text)
    assert (chemistry.positive.name, chemistry.negative.name, chemistry.solid) == (positive, negative, solid)


@pytest.mark.parametrize(
    "text",
    ["", "Si", "Si |", "unobtainium | Li", "graphite | NMC622", "LFP | NMC811", "Si | steel", "Si | Si", "Li LFP"],
)
def test_unknown_chemistry_is_told_with_what_is_known(text: str) -> None:
    with pytest.raises(ValueError, match=r"known are.*LFP.*NMC811.*Se-Mo6Se8.*Si.*Li-In.*steel"):
        parameters_for(text)


@settings(max_examples=50)
@given(st.text(max_size=15))
def test_any_text_is_a_chemistry_or_a_value_error(text: str) -> None:
    try:
        Chemistry.parse(text)
    except ValueError as error:
        assert "known are" in str(error)


@pytest.mark.parametrize(
    "values",
    [
        {"capacity_Ah": 0.0},
        {"capacity_Ah": math.nan},
        {"electrode_area_cm2": -1.0},
        {"active_mass_g": math.inf},
        {"specific_capacity_Ah_g": 0.0},
        {"cells_in_series": 0},
        {"stack_pressure_Pa": -1.0},
        {"format": "submarine"},
    ],
)
def test_impossible_values_are_refused(values) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        parameters_for("Si | Li", **values)


def test_stated_values_are_kept_and_others_are_usual() -> None:
    cell = parameters_for("Si | Li", format="CR2032 coin", active_mass_g=0.68e-3, specific_capacity_Ah_g=3.579)
    same = silicon_half_cell(active_mass_mg=0.68)
    assert cell.nominal_capacity_Ah == pytest.approx(same.nominal_capacity_Ah, rel=1e-12)
    assert isinstance(cell.positive, SiliconParameters) and isinstance(same.positive, SiliconParameters)
    assert cell.positive.capacity_C == pytest.approx(same.positive.capacity_C, rel=1e-12)
    assert (cell.circuit, cell.casing, cell.format) == (same.circuit, same.casing, Format.COIN)
    pouch = parameters_for("Li | LFP", format="pouch", capacity_Ah=0.1, stack_pressure_Pa=2e5)
    assert ForecastCell(pouch).pressure_Pa == 2e5
    assert pouch.electrode_area_cm2 == pytest.approx(50.0)
    assert pouch.active_mass_g == pytest.approx(0.1 / 0.175)


# --- curves


@pytest.mark.parametrize("curve", [iron_phosphate, nickel_rich_oxide, selenium_composite])
def test_no_host_curve_rises_anywhere(curve) -> None:
    fillings = [-5.0 + k / 2000 for k in range(22000)]
    potentials = [curve(x) for x in fillings]
    assert all(math.isfinite(u) for u in potentials)
    assert all(after <= before + 1e-12 for before, after in pairwise(potentials))
    assert curve(-5.0) < 5.1 and curve(5.0) > 0.0


def test_nickel_rich_oxide_follows_chen() -> None:
    assert nickel_rich_oxide(0.2661) == pytest.approx(4.2849, abs=1e-4)
    assert nickel_rich_oxide(0.5) == pytest.approx(3.9717, abs=2e-3)


@pytest.mark.parametrize("host", [LFP, NICKEL_RICH, SELENIUM])
def test_an_emptied_host_reaches_every_usual_voltage(host) -> None:
    assert host.curve(-0.02) > host.window_V[1] + 0.1 and host.curve(1.05) < host.window_V[0] - 0.1


# --- cells


def half_cycle(cell: ForecastCell, current_A: float, end_V: float, hours: float = 40.0) -> float:
    """Capacity in Ah."""
    cell.set_current(current_A)
    low, high = (-math.inf, end_V) if current_A > 0.0 else (end_V, math.inf)
    passed_s = 0.0
    while low < cell.voltage_V < high:
        passed_s += cell.step_within(60.0, low, high)
        assert passed_s < hours * 3600.0, "the voltage is never reached"
    return passed_s * abs(current_A) / 3600.0


@pytest.mark.parametrize(
    ("text", "first", "share"),
    [
        ("Si | Li", -1, 2960 / 3579),
        ("Si | Li-In", -1, 2960 / 3579),
        ("Si-C | Li", -1, 1.0),
        ("Li | LFP", 1, 1.0),
        ("Li | NMC811", 1, 1.0),
        ("NCM90 | LPSCl | Li-In", 1, 1.0),
        ("Si | LFP", 1, 1.0),
        ("Si | NMC811", 1, 1.0),
        ("Si-C | LPSCl | NCM90", 1, 1.0),
        ("Se-Mo6Se8 | Li-In", -1, 1.0),
    ],
)
@pytest.mark.parametrize("formed", [False, True])
def test_cell_gives_about_what_is_stated_between_its_usual_voltages(
    text: str, first: int, share: float, formed: bool
) -> None:
    parameters = parameters_for(text, capacity_Ah=0.01, formed=formed)
    cell = ForecastCell(parameters)
    low, high = parameters.voltage_window_V
    current = parameters.current_A(0.1)
    assert current == pytest.approx(1e-3)
    ends = {1: high, -1: low}
    capacities = [half_cycle(cell, sign * current, ends[sign]) for sign in (first, -first, first, -first)]
    assert capacities[2:] == pytest.approx([0.01 * share] * 2, rel=0.04)


def test_indium_shifts_every_potential() -> None:
    lithium, indium = (ForecastCell(parameters_for(f"Si | {other}", formed=True)) for other in ("Li", "Li-In"))
    assert lithium.voltage_V - indium.voltage_V == pytest.approx(0.62, abs=1e-9)
    assert parameters_for("Si | Li-In").voltage_window_V == pytest.approx((-0.6, 0.88))
    assert parameters_for("NMC | Li-In").voltage_window_V == pytest.approx((2.18, 3.68))


def test_selenium_discharges_on_a_sloping_plateau_against_indium() -> None:
    parameters = parameters_for("Se-Mo6Se8 | Li-In")
    cell = ForecastCell(parameters)
    assert 1.7 < cell.voltage_V < 2.1
    cell.set_current(-parameters.current_A(0.1))
    voltages = []
    for _ in range(9):
        cell.step(3600.0)
        voltages.append(cell.voltage_V)
    assert all(1.35 < v < 1.65 for v in voltages[1:8]) and voltages == sorted(voltages, reverse=True)


@pytest.mark.parametrize("text", ["Si | NMC811", "Si | LPSCl | NCM90"])
def test_voltage_of_a_stack_is_the_sum_of_its_cells(text: str) -> None:
    one, two = (
        ForecastCell(parameters_for(text, capacity_Ah=0.005, electrode_area_cm2=2.0, cells_in_series=n)) for n in (1, 2)
    )
    assert two.parameters.voltage_window_V[1] == pytest.approx(8.4)
    for cell in (one, two):
        cell.set_current(cell.parameters.current_A(0.2))
    for _ in range(40):
        one.step(300.0)
        two.step(300.0)
        assert two.voltage_V == pytest.approx(2.0 * one.voltage_V, abs=2e-3)
    assert two.impedance(1e3) == pytest.approx(2.0 * one.impedance(1e3), abs=0.05 * abs(one.impedance(1e3)))
    assert two.open_circuit_V() == pytest.approx(2.0 * one.open_circuit_V(), abs=2e-3)
    clock = ManualClock()
    bench = SimulatedCell(two.parameters, clock)
    bench.drive(DriveCurrent(two.current_A, 0.0, 8.2))
    clock.sleep(12000.0)
    assert bench.terminals()[0] == pytest.approx(two.voltage_V, abs=5e-3)


def test_plating_and_overcharge_end_on_plateaus() -> None:
    for text in ("Li | LFP", "Li | NMC811", "Si | NMC811", "Se-Mo6Se8 | Li-In", "Si | Li-In"):
        parameters = parameters_for(text)
        for sign in (1.0, -1.0):
            cell = ForecastCell(parameters)
            cell.set_current(sign * parameters.current_A(0.2))
            cell.step(20 * 3600.0)
            before = cell.voltage_V
            cell.step(20 * 3600.0)
            assert -5.2 < cell.voltage_V < 6.0
            assert cell.voltage_V == pytest.approx(before, abs=0.5)


def test_pressure_breathes_and_creeps_in_a_solid_cell() -> None:
    parameters = parameters_for("Si | LPSCl | NCM90", formed=True, stack_pressure_Pa=20e6)
    assert parameters.format is Format.PRESS
    cell = ForecastCell(parameters)
    low, high = parameters.voltage_window_V
    current = parameters.current_A(0.2)
    charged, discharged = [], []
    for _ in range(5):
        half_cycle(cell, current, high)
        charged.append(cell.pressure_Pa)
        half_cycle(cell, -current, low)
        discharged.append(cell.pressure_Pa)
    assert all(0.3e6 < full - empty < 5e6 for full, empty in zip(charged, discharged, strict=True))
    assert discharged[-1] > discharged[1]


def test_hosts_fade_slowly() -> None:
    cell = ForecastCell(parameters_for("Li | NMC811"))
    current = cell.parameters.current_A(1.0)
    capacities = []
    for _ in range(40):
        half_cycle(cell, current, 4.3)
        capacities.append(half_cycle(cell, -current, 2.8))
    assert 0.97 < capacities[-1] / capacities[1] < 0.995


# --- blocking electrodes


def blocking(**values) -> ForecastCell:
    return ForecastCell(parameters_for("steel | LPSCl | steel", **values))


def test_blocking_cell_has_the_electrolytes_resistance() -> None:
    cell = blocking(electrode_area_cm2=0.785)
    expected = 0.06 / (2e-3 * 0.785)
    assert cell.impedance(1e6).real == pytest.approx(expected, rel=2e-3)
    cell.set_current(1e-6)
    assert cell.voltage_V == pytest.approx(1e-6 * expected, rel=1e-9)


def test_resistance_follows_arrhenius_and_falls_a_little_with_pressure() -> None:
    cell = blocking()
    resistance = {}
    for degC in (-10.0, 25.0, 60.0):
        cell.set_temperature(degC)
        resistance[degC] = cell.impedance(1e6).real
    for degC in (-10.0, 60.0):
        energy = 8.314463 * math.log(resistance[degC] / resistance[25.0]) / (1 / (degC + 273.15) - 1 / 298.15)
        assert energy == pytest.approx(32e3, rel=0.01)
    cell.set_temperature(25.0)
    pressed = []
    for pascals in (5e6, 50e6, 300e6):
        cell.set_stack_pressure(pascals)
        pressed.append(cell.impedance(1e6).real / resistance[25.0])
    assert 1.2 > pressed[0] > 1.0 > pressed[1] > pressed[2] > 0.8


def test_double_layer_is_a_constant_phase_element_and_in_the_end_a_capacitor() -> None:
    cell = blocking(electrode_area_cm2=1.0)
    resistance = cell.parameters.circuit.ohmic_ohm
    for frequency in (1.0, 10.0, 1e3):
        z = cell.impedance(frequency) - resistance
        assert -math.degrees(math.atan2(z.imag, z.real)) == pytest.approx(81.0, abs=1.5)
    cell.set_current(1e-9)
    cell.step(600.0)
    before = cell.voltage_V
    cell.step(600.0)
    assert cell.voltage_V - before == pytest.approx(1e-9 * 600.0 / 5e-6, rel=0.01), "two of 10 µF in series"
    cell.set_current(0.0)
    kept = cell.open_circuit_V()
    cell.step(3600.0)
    assert cell.voltage_V == pytest.approx(kept, rel=1e-3), "a capacitor keeps its charge"


def test_blocking_cell_driven_hard_ends_where_the_electrolyte_reacts() -> None:
    cell = blocking()
    cell.set_current(1e-3)
    for seconds in (1e-3, 1.0, 30.0, 3600.0):
        cell.step(seconds)
        assert 0.0 < cell.voltage_V < 6.5
    cell.set_voltage(0.01, 1.0)
    for _ in range(20):
        cell.step(30.0)
    assert abs(cell.current_A) < 1e-8


def test_sweep_against_lithium_shows_oxidation_above_4_5_V() -> None:
    cell = ForecastCell(parameters_for("Li | LPSCl | steel", electrode_area_cm2=1.0))
    assert cell.voltage_V == pytest.approx(2.8, abs=1e-6)
    currents = {}
    for millivolts in range(2800, 5001, 5):
        cell.set_voltage(millivolts / 1000, 1.0)
        cell.step(5.0)
        currents[millivolts] = cell.current_A
    assert currents[4000] == pytest.approx(10e-6 * 1e-3, rel=0.2), "C dV/dt at 1 mV/s"
    assert currents[4500] == pytest.approx(1e-6, rel=0.1)
    assert currents[4900] / currents[4700] == pytest.approx(math.exp(0.2 / 0.08), rel=0.1)


@given(st.floats(-10.0, 10.0), st.floats(-1.0, 1.0), st.floats(0.0, 1e5))
def test_leak_of_a_blocking_electrode_has_no_singularity(start_V: float, charge_C: float, time_s: float) -> None:
    electrode = Blocking(BlockingParameters(1e-5, 1e-4, rest_V=start_V))
    expected = electrode.potential_after(charge_C, time_s)
    assert electrode.insert(charge_C, time_s) == expected and math.isfinite(expected)
    assert electrode.lithium_C + electrode.lost_C == pytest.approx(charge_C, abs=1e-9)
    if time_s > 1.0:
        assert -3.0 < expected < 7.5


# --- whatever is done to them

cells = st.sampled_from(
    [
        parameters_for(text)
        for text in ("Li | LFP", "Li | NMC811", "Si | NMC811", "Si | Li-In", "Se-Mo6Se8 | Li-In", "Li | Li")
    ]
    + [
        parameters_for("Si | LPSCl | NCM90", cells_in_series=2),
        parameters_for("steel | LPSCl | steel"),
        parameters_for("Li | carbon"),
    ]
)
deeds = st.one_of(
    st.tuples(st.just("current"), st.floats(-0.02, 0.02), st.just(0.0)),
    st.tuples(st.just("voltage"), st.floats(-5.0, 9.0), st.floats(0.0, 0.02)),
    st.tuples(st.just("temperature"), st.floats(-40.0, 100.0), st.just(0.0)),
    st.tuples(st.just("pressure"), st.floats(0.0, 4e8), st.just(0.0)),
)


@settings(max_examples=60, deadline=None)
@given(cells, st.lists(st.tuples(deeds, st.floats(1e-3, 1e4)), max_size=5))
def test_no_sequence_breaks_a_cell(parameters: CellParameters, sequence) -> None:
    cell = ForecastCell(parameters)
    for (kind, value, limit), seconds in sequence:
        do(cell, kind, value, limit)
        for _ in range(2):
            assert math.isfinite(cell.voltage_V) and math.isfinite(cell.current_A)
            assert math.isfinite(cell.pressure_Pa) and cell.pressure_Pa >= 0.0
            if kind == "voltage":
                assert abs(cell.current_A) <= limit
                assert cell.voltage_V == pytest.approx(value, abs=1e-6) or abs(cell.current_A) == limit
            cell.step(seconds)
        assert math.isfinite(abs(cell.impedance(1.0)))


@settings(max_examples=40, deadline=None)
@given(cells, st.lists(st.tuples(st.floats(-1.0, 1.0), st.floats(10.0, 3600.0)), min_size=1, max_size=5))
def test_closed_loop_gives_out_no_energy(parameters: CellParameters, legs) -> None:
    cell = ForecastCell(parameters)
    scale = 1e-6 if parameters.name.startswith("steel") or "carbon" in parameters.name else 1.0
    charge = energy = 0.0
    for c_rate, seconds in legs:
        cell.set_current(scale * parameters.current_A(c_rate))
        for _ in range(10):
            cell.step(seconds / 10)
            charge += cell.current_A * seconds / 10
            energy += cell.current_A * cell.voltage_V * seconds / 10
    if charge:
        cell.set_current(-math.copysign(scale * parameters.current_A(0.2), charge))
        for _ in range(100):
            cell.step(abs(charge / cell.current_A) / 100)
            energy -= cell.voltage_V * charge / 100
    assert energy > -1e-6


def test_parameters_are_what_the_chemistry_says() -> None:
    full = parameters_for("Si | NMC811")
    assert isinstance(full.positive, HostParameters) and isinstance(full.negative, SiliconParameters)
    half = parameters_for("Li | NMC811")
    assert isinstance(half.positive, HostParameters) and isinstance(half.negative, MetalParameters)
