"""What each capability promises. The virtual instrument of a case is wired to a `FixedCell` of 3 V and 288 kΩ."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.interface import (
    Chamber,
    Current,
    CyclerProgram,
    ForceGauge,
    ImpedanceSource,
    InstrumentError,
    NoReading,
    OutOfRange,
    PressureFrame,
    ProgramCycler,
    Protection,
    ResistanceMeter,
    Setpoint,
    Source,
    Sweep,
    Thermometer,
    Voltage,
)
from drivers.testing.bench import Bench, in_role
from drivers.testing.compare import until_it_answers
from drivers.testing.faults import garble

NAN = float("nan")
NEAR = 0.02  # relative: a set point and what a coarse instrument makes of it


def raises_out_of_range(*acts: Callable[[], object]) -> Callable[[], None]:
    def refuse() -> None:
        for act in acts:
            with pytest.raises(OutOfRange):
                act()

    return refuse


class SourceConformance:
    """A host-sequenced source, at a cell of 3 V whose voltage rises by 10 mV with the case's `current_A`."""

    @in_role(Source)
    def test_a_source_is_off_after_construction(self, bench: Bench) -> None:
        assert not bench.driver.output_is_on()

    @in_role(Source)
    def test_a_source_that_is_off_measures_the_open_circuit(self, bench: Bench) -> None:
        measured = bench.driver.measure()
        assert measured.voltage_V == pytest.approx(3.0, rel=NEAR)
        assert (measured.current_A, measured.in_compliance) == (0.0, False)

    @in_role(Source)
    @pytest.mark.parametrize("of_level", [1.0, -1.0, 0.0])
    def test_a_source_goes_to_its_current_and_off_again(self, bench: Bench, of_level: float) -> None:
        current_A = of_level * bench.case.current_A
        self._goes_to(bench, Current(current_A), "current_A", current_A)

    @in_role(Source)
    def test_a_source_goes_to_its_voltage_and_off_again(self, bench: Bench) -> None:
        self._goes_to(bench, Voltage(3.01), "voltage_V", 3.01)

    def _goes_to(self, bench: Bench, setpoint: Setpoint, quantity: str, value: float) -> None:
        source = bench.driver
        source.apply(setpoint, bench.limits)
        assert source.output_is_on()
        measured = source.measure()
        assert getattr(measured, quantity) == pytest.approx(value, rel=NEAR, abs=1e-3 * bench.case.current_A)
        assert not measured.in_compliance
        source.off()
        assert not source.output_is_on()
        assert source.measure().current_A == 0.0

    @in_role(Source)
    @pytest.mark.parametrize(
        ("setpoint", "limits"),
        [
            (Current(1e6), Protection(0.0, 5.0, 1e7)),
            (Current(NAN), None),
            (Voltage(1e6), Protection(0.0, 1e7, 0.01)),
            (Voltage(4.3), None),
            (Current(1e5), None),
            (Voltage(3.0), Protection(NAN, 4.2, 0.01)),
        ],
    )
    def test_a_source_refuses_what_it_cannot_do_and_sends_nothing(
        self, bench: Bench, setpoint: Setpoint, limits: Protection | None
    ) -> None:
        within = limits or bench.limits
        refuse = raises_out_of_range(
            lambda: bench.driver.check(setpoint, within), lambda: bench.driver.apply(setpoint, within)
        )
        assert bench.sends(refuse) == b""

    @in_role(Source)
    @pytest.mark.parametrize("how", ["make_safe", "off", "close"])
    def test_a_source_that_is_made_safe_is_off(self, bench: Bench, how: str) -> None:
        bench.driver.apply(Current(bench.case.current_A), bench.limits)
        getattr(bench.driver, how)()
        bench.driver.close()
        with bench.case.open(bench.address) as again:
            assert isinstance(again, Source)
            assert not again.output_is_on()

    @in_role(Source)
    def test_a_source_that_is_left_stays_on_and_is_found_so(self, bench: Bench) -> None:
        bench.driver.apply(Current(bench.case.current_A), bench.limits)
        bench.driver.leave()
        with bench.case.open(bench.address) as again:
            assert isinstance(again, Source)
            assert again.output_is_on()
            assert again.measure().current_A == pytest.approx(bench.case.current_A, rel=NEAR)

    @in_role(Source)
    def test_a_source_that_cannot_verify_is_not_on(self, bench: Bench) -> None:
        bench.proxy.spoil = garble
        with pytest.raises(InstrumentError):
            bench.driver.apply(Current(bench.case.current_A), bench.limits)
        bench.proxy.spoil = None
        assert not until_it_answers(bench.driver.output_is_on)


class MeterConformance:
    """What only measures."""

    @in_role(ResistanceMeter)
    def test_a_meter_reads_the_channels_it_was_asked_for(self, bench: Bench) -> None:
        channel = self._channel_of(bench)
        readings = bench.driver.read_resistances([channel])
        assert list(readings) == [channel]
        assert readings[channel] == pytest.approx(288e3, rel=NEAR)

    def _channel_of(self, bench: Bench) -> int:
        """One that exists: 1 on a bench meter, 101 on a card."""
        try:
            bench.driver.check_channels([1])
        except OutOfRange:
            bench.driver.check_channels([101])
            return 101
        return 1

    @in_role(ResistanceMeter)
    @pytest.mark.parametrize("channels", [[99_999], [-1], [0], []])
    def test_a_meter_refuses_channels_that_do_not_exist_and_sends_nothing(
        self, bench: Bench, channels: list[int]
    ) -> None:
        refuse = raises_out_of_range(
            lambda: bench.driver.check_channels(channels), lambda: bench.driver.read_resistances(channels)
        )
        assert bench.sends(refuse) == b""

    @in_role(ForceGauge)
    def test_a_force_gauge_reads_a_force_or_says_why_not(self, bench: Bench) -> None:
        force = bench.driver.read_force()
        assert isinstance(force, NoReading) or abs(force) < 1e6

    @in_role(Thermometer)
    def test_a_thermometer_reads_a_temperature_or_says_why_not(self, bench: Bench) -> None:
        temperature = bench.driver.read_temperature_degC()
        assert isinstance(temperature, NoReading) or -100.0 < temperature < 300.0


class SurroundingsConformance:
    """Chambers and frames, whose set points stay."""

    @in_role(Chamber)
    @pytest.mark.parametrize("temperature_degC", [-300.0, 1e6, NAN, float("inf")])
    def test_a_chamber_refuses_where_it_cannot_go_and_sends_nothing(
        self, bench: Bench, temperature_degC: float
    ) -> None:
        refuse = raises_out_of_range(
            lambda: bench.driver.check_temperature(temperature_degC),
            lambda: bench.driver.set_temperature(temperature_degC),
        )
        assert bench.sends(refuse) == b""

    @in_role(Chamber)
    def test_a_chamber_keeps_its_set_point_when_it_is_made_safe_and_closed(self, bench: Bench) -> None:
        bench.driver.set_temperature(30.0)

        def leave() -> None:
            bench.driver.make_safe()
            bench.driver.close()

        assert bench.sends(leave) == b""

    @in_role(Chamber)
    def test_a_chamber_that_cannot_verify_says_so(self, bench: Bench) -> None:
        bench.proxy.spoil = garble
        with pytest.raises(InstrumentError):
            bench.driver.set_temperature(30.0)

    @in_role(PressureFrame)
    @pytest.mark.parametrize("pressure_Pa", [-1e12, 1e12, NAN, float("inf")])
    def test_a_frame_refuses_where_it_cannot_go_and_sends_nothing(self, bench: Bench, pressure_Pa: float) -> None:
        refuse = raises_out_of_range(
            lambda: bench.driver.check_pressure(pressure_Pa), lambda: bench.driver.set_pressure(pressure_Pa)
        )
        assert bench.sends(refuse) == b""


class ImpedanceConformance:
    """Impedance analysers."""

    @in_role(ImpedanceSource)
    def test_an_impedance_source_measures_each_frequency_in_order(self, bench: Bench) -> None:
        frequencies = (1000.0, 100.0)
        points = list(bench.driver.sweep(Sweep(frequencies, amplitude_rms_V=0.01)))
        assert [point.frequency_Hz for point in points] == pytest.approx(frequencies)
        assert all(0 < abs(point.impedance_ohm) < 1e12 for point in points)

    @in_role(ImpedanceSource)
    @pytest.mark.parametrize(
        "sweep",
        [
            Sweep((1e12,), 0.01),
            Sweep((0.0,), 0.01),
            Sweep((NAN,), 0.01),
            Sweep((100.0,), 1e6),
            Sweep((100.0,), NAN),
            Sweep((100.0,), 0.01, bias_V=1e6),
            Sweep((100.0,), None),
            Sweep((100.0,), None, amplitude_rms_A=1e6),
            Sweep((100.0,), None, amplitude_rms_A=NAN),
        ],
    )
    def test_an_impedance_source_refuses_what_it_cannot_do_and_sends_nothing(self, bench: Bench, sweep: Sweep) -> None:
        refuse = raises_out_of_range(lambda: bench.driver.check_sweep(sweep), lambda: list(bench.driver.sweep(sweep)))
        assert bench.sends(refuse) == b""

    @in_role(ImpedanceSource)
    def test_an_impedance_sweep_can_be_broken_off(self, bench: Bench) -> None:
        points = bench.driver.sweep(Sweep((1000.0, 500.0, 100.0), amplitude_rms_V=0.01))
        next(points)
        points.close()
        bench.driver.make_safe()


class CyclerConformance:
    """Cyclers that run a whole program alone."""

    @in_role(ProgramCycler)
    def test_a_cycler_checks_a_program_without_a_word(self, bench: Bench) -> None:
        empty = CyclerProgram("empty", (), bench.limits, capacity_max_Ah=1.0, record_time_s=1.0)

        def check() -> None:
            with pytest.raises(InstrumentError):
                bench.driver.check_program(empty)

        assert bench.sends(check) == b""


class ByRole(SourceConformance, MeterConformance, SurroundingsConformance, ImpedanceConformance, CyclerConformance):
    """All of them."""
