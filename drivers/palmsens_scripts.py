"""The MethodSCRIPTs that the PalmSens driver sends, and what each device can do.

Each script keeps the cell within its limits by itself, whoever has gone away. A script that holds something first
says back what it was given, then waits `CONFIRM_S` before it switches the cell on, so that it can be called off.

Sources: MethodSCRIPT manual 1.8 (chapter 14, appendix B), PalmSens' published examples.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from drivers.interface import Protection, Range
from drivers.methodscript import literal

CONFIRM_S = 0.2
HELD_LOOP_S = 3600.0  # one measurement loop of a set point that is held; then the next begins, the cell staying on
REST_POINTS = 3
LOW_SPEED, HIGH_SPEED, GALVANOSTAT, MAX_RANGE = 2, 3, 6, 4

CELL_OFF = ("cell_off",)


@dataclass(frozen=True, slots=True)
class Mode:
    """A potentiostat mode of the Pico: its range, the widest window within it, its bandwidth."""

    number: int
    voltage_V: Range
    window_V: float
    bandwidth_Hz: float


@dataclass(frozen=True, slots=True)
class Device:
    """One kind of device, by the first letters of its answer to `t`."""

    name: str
    voltage_V: Range
    current_max_A: float
    current_min_A: float  # the smallest range
    frequency_Hz: Range
    galvanostat: bool = True
    modes: tuple[Mode, ...] = ()  # of the Pico, in the order of preference


_PICO_MODES = (
    Mode(LOW_SPEED, Range(-1.25, 2.0), 2.2, 100.0),
    Mode(MAX_RANGE, Range(-1.7, 2.0), 2.6, 100.0),
    Mode(HIGH_SPEED, Range(-1.7, 2.0), 1.214, 200e3),
)


def _pico(name: str) -> Device:
    return Device(name, Range(-1.7, 2.0), 5e-3, 100e-9, Range(0.016, 200e3), galvanostat=False, modes=_PICO_MODES)


_LOW = Device("EmStat4 LR", Range(-3.0, 3.0), 10e-3, 1e-9, Range(1e-3, 200e3))
_HIGH = Device("EmStat4 HR", Range(-6.0, 6.0), 100e-3, 100e-9, Range(1e-3, 200e3))
DEVICES = {
    "espico": _pico("EmStat Pico"),
    "senswb": _pico("Sensit Wearable"),
    "es4_lr": _LOW,
    "es4_hr": _HIGH,
    "mes4lr": _LOW,
    "mes4hr": _HIGH,
    "nexus1": Device("Nexus", Range(-10.0, 10.0), 1.0, 1e-9, Range(1e-3, 1e6)),
}
"""Frequencies are narrower than the data sheets have them where these differ between sub-models."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The protection as a device can hold it: within its own range too."""

    low_V: float
    high_V: float
    most_A: float

    @classmethod
    def of(cls, protection: Protection, device: Device) -> Limits:
        """Narrowed to the device's range, never widened."""
        return cls(
            max(protection.voltage_min_V, device.voltage_V.low),
            min(protection.voltage_max_V, device.voltage_V.high),
            min(protection.current_max_A, device.current_max_A),
        )


def mode_for(device: Device, low_V: float, high_V: float, bandwidth_Hz: float = 0.0) -> int:
    """The potentiostat mode that reaches from `low_V` to `high_V`. Raises `ValueError` where none does."""
    if not device.modes:
        return HIGH_SPEED if bandwidth_Hz > 100.0 else LOW_SPEED
    for mode in device.modes:
        within = low_V in mode.voltage_V and high_V in mode.voltage_V and high_V - low_V <= mode.window_V
        if within and bandwidth_Hz <= mode.bandwidth_Hz:
            return mode.number
    windows = "; ".join(
        f"{mode.voltage_V.low:g} to {mode.voltage_V.high:g} V within {mode.window_V:g} V up to {mode.bandwidth_Hz:g} Hz"
        for mode in device.modes
    )
    raise ValueError(f"{low_V:g} to {high_V:g} V is not within a dynamic window of the {device.name} ({windows})")


def rest(interval_s: float) -> list[str]:
    """The cell's voltage, with the cell off: a few points, then the end."""
    return [
        *_variables("p"),
        *_set_up(HIGH_SPEED, 6 / interval_s),
        "cell_off",
        f"meas_loop_ocp p {literal(interval_s)} {literal(REST_POINTS * interval_s)}",
        *_package("p"),
        "endloop",
        *_FINALLY,
    ]


def hold_voltage(volts: float, limits: Limits, device: Device, interval_s: float) -> list[str]:
    """Hold until called off or the current passes its limit."""
    run = f"meas_loop_ca p c goal {literal(interval_s)} {literal(HELD_LOOP_S)}"
    return [
        *_stated(volts, limits),
        *_set_up(mode_for(device, volts, volts), 6 / interval_s),
        "set_range_minmax da goal goal",
        *_range("ba", device.current_min_A, limits.most_A),
        *_confirmed,
        "set_e goal",
        "cell_on",
        *_held(run, ("if c > most", "if c < least")),
    ]


def hold_current(amperes: float, limits: Limits, interval_s: float) -> list[str]:
    """Galvanostatic, until called off or the voltage leaves its limits."""
    run = f"meas_loop_cp p c goal {literal(interval_s)} {literal(HELD_LOOP_S)}"
    return [
        *_stated(amperes, limits),
        *_set_up(GALVANOSTAT, 6 / interval_s),
        *_range("ab", *[max(abs(limits.low_V), abs(limits.high_V))] * 2),
        *_range("db", *[abs(amperes) or limits.most_A] * 2),
        *_confirmed,
        "set_i goal",
        "cell_on",
        *_held(run, ("if p > high", "if p < low")),
    ]


def emulate_current(
    amperes: float, from_V: float, limits: Limits, device: Device, interval_s: float, control_ohm: float
) -> list[str]:
    """On a device without galvanostat: a voltage that is moved until the current is right, never out of its limits.

    At each interval the voltage moves by `control_ohm` times what the current lacks, `STEP_V` at the most.
    """
    return [
        *_stated(amperes, limits),
        *_variables("e", "d", "step", "back", "gain"),
        f"store_var e {literal(from_V)} ja",
        f"store_var step {literal(STEP_V)} ja",
        f"store_var back {literal(-STEP_V)} ja",
        f"store_var gain {literal(control_ohm)} ja",
        *_set_up(mode_for(device, limits.low_V, limits.high_V), 6 / interval_s),
        "set_range_minmax da low high",
        *_range("ba", device.current_min_A, limits.most_A),
        *_confirmed,
        "set_e e",
        "cell_on",
        "loop stop == 0i",
        f"meas_loop_ca p c e {literal(interval_s)} {literal(interval_s)}",
        *_package("p", "c"),
        *_stop_if(("if c > most", "if c < least")),
        "endloop",
        "copy_var goal d",
        "sub_var d c",
        "mul_var d gain",
        *_at_most("d", ">", "step"),
        *_at_most("d", "<", "back"),
        "add_var e d",
        *_at_most("e", ">", "high"),
        *_at_most("e", "<", "low"),
        "endloop",
        *_FINALLY,
    ]


STEP_V = 5e-3


def linear_sweep(
    start_V: float, end_V: float, step_V: float, rate_V_s: float, limits: Limits, device: Device
) -> list[str]:
    """LSV; the cell is off afterwards."""
    loop = f"meas_loop_lsv p c {_literals(start_V, end_V, step_V, rate_V_s)}"
    return _scan(loop, (start_V, end_V), step_V, rate_V_s, limits, device)


def cyclic_voltammetry(
    start_V: float,
    vertices_V: tuple[float, float],
    step_V: float,
    rate_V_s: float,
    scans: int,
    limits: Limits,
    device: Device,
) -> list[str]:
    """CV from `start_V` to the first vertex, the second and back; the cell is off afterwards."""
    times = f" nscans({scans})" if scans > 1 else ""
    loop = f"meas_loop_cv p c {_literals(start_V, *vertices_V, step_V, rate_V_s)}{times}"
    return _scan(loop, (start_V, *vertices_V), step_V, rate_V_s, limits, device)


def impedance(
    frequencies_Hz: Sequence[float], rms: float, bias: float, current: Range, device: Device, *, galvanostatic: bool
) -> list[str]:
    """PEIS at a voltage, or GEIS at a current, one loop for each run of frequencies in geometric series."""
    loop = "meas_loop_geis" if galvanostatic else "meas_loop_eis"
    bandwidth_Hz = max(frequencies_Hz)
    if galvanostatic:
        mode, kind, set_to = GALVANOSTAT, "db", "set_i"
        reach: list[str] = []
    else:
        peak = math.sqrt(2) * rms
        mode, kind, set_to = mode_for(device, bias - peak, bias + peak, bandwidth_Hz), "ba", "set_e"
        reach = [f"set_range_minmax da {_literals(bias - peak, bias + peak)}"]
    return [
        *_variables("f", "r", "j"),
        *_set_up(mode, bandwidth_Hz),
        *reach,
        *_range(kind, current.low, current.high),
        f"{set_to} {literal(bias)}",
        "cell_on",
        *itertools.chain.from_iterable(
            (
                f"{loop} f r j {_literals(rms, first, last)} {count}i {literal(bias)}",
                *_package("f", "r", "j"),
                "endloop",
            )
            for first, last, count in series(frequencies_Hz)
        ),
        *_FINALLY,
    ]


def series(frequencies_Hz: Sequence[float]) -> Iterator[tuple[float, float, int]]:
    """First, last and count of the longest geometric series that follow one another in `frequencies_Hz`."""
    begin = 0
    while begin < len(frequencies_Hz):
        end = begin + 1
        if end < len(frequencies_Hz):
            ratio = frequencies_Hz[end] / frequencies_Hz[begin]
            while end < len(frequencies_Hz) and ratio != 1.0:
                expected = frequencies_Hz[begin] * ratio ** (end - begin)
                if not math.isclose(frequencies_Hz[end], expected, rel_tol=1e-6):
                    break
                end += 1
        yield frequencies_Hz[begin], frequencies_Hz[end - 1], end - begin
        begin = end


_FINALLY = ("on_finished:", "cell_off")
_confirmed = (*("pck_start", *(f"pck_add {name}" for name in ("goal", "low", "high", "most")), "pck_end"),
              f"wait {literal(CONFIRM_S)}")  # fmt: skip


def _stated(goal: float, limits: Limits) -> list[str]:
    """The variables of a script that holds something, with what the host gave them."""
    values = {"goal": goal, "low": limits.low_V, "high": limits.high_V, "most": limits.most_A, "least": -limits.most_A}
    return [
        *_variables("p", "c", "stop", *values),
        "store_var stop 0i aa",
        *(f"store_var {name} {literal(value)} ja" for name, value in values.items()),
    ]


def _held(run: str, conditions: Iterable[str]) -> list[str]:
    stops = _stop_if(conditions)
    return ["loop stop == 0i", run, *_package("p", "c"), *stops, "endloop", "endloop", *_FINALLY]


def _stop_if(conditions: Iterable[str]) -> list[str]:
    """Leave the measurement loop, and the one around it, where a value has passed its limit."""
    return [line for condition in conditions for line in (condition, "store_var stop 1i aa", "breakloop", "endif")]


def _at_most(name: str, comparison: str, limit: str) -> tuple[str, ...]:
    return f"if {name} {comparison} {limit}", f"copy_var {limit} {name}", "endif"


def _scan(
    loop: str, reach: Sequence[float], step_V: float, rate_V_s: float, limits: Limits, device: Device
) -> list[str]:
    low, high = min(reach), max(reach)
    return [
        *_stated(reach[0], limits),
        *_set_up(mode_for(device, low, high), 6 * rate_V_s / step_V),
        f"set_range_minmax da {_literals(low, high)}",
        *_range("ba", device.current_min_A, limits.most_A),
        *_confirmed,
        "set_e goal",
        "cell_on",
        loop,
        *_package("p", "c"),
        *_stop_if(("if c > most", "if c < least")),
        "endloop",
        *_FINALLY,
    ]


def _variables(*names: str) -> list[str]:
    return [f"var {name}" for name in names]


def _set_up(mode: int, bandwidth_Hz: float) -> list[str]:
    return ["set_pgstat_chan 0", f"set_pgstat_mode {mode}", f"set_max_bandwidth {literal(math.ceil(bandwidth_Hz))}"]


def _range(kind: str, low: float, high: float) -> list[str]:
    return [f"set_range {kind} {literal(high)}", f"set_autoranging {kind} {_literals(min(low, high), high)}"]


def _package(*names: str) -> list[str]:
    return ["pck_start", *(f"pck_add {name}" for name in names), "pck_end"]


def _literals(*values: float) -> str:
    return " ".join(literal(value) for value in values)
