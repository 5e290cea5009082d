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


def rest_on(limits: Limits, interval_s: float) -> list[str]:
    """No current, until called off: the cell stays off, and its voltage is sent."""
    return [
        *_stated(0.0, limits),
        *_set_up(HIGH_SPEED, 6 / interval_s),
        *_confirmed,
        "cell_off",
        "loop stop == 0i",
        f"meas_loop_ocp p {literal(interval_s)} {literal(HELD_LOOP_S)}",
        *_package("p"),
        "endloop",
        "endloop",
        *_FINALLY,
    ]


@dataclass(frozen=True, slots=True)
class Held:
    """A current, and the voltage that it is not driven beyond; `by_voltage` where the voltage is what is wanted.

    As a current source with a voltage limit has it: the current until the voltage is reached, then the voltage as
    long as it takes no more than `EXCESS` times the current.
    """

    amperes: float
    clamp_V: float
    by_voltage: bool
    limits: Limits
    interval_s: float

    @classmethod
    def current(cls, amperes: float, limits: Limits, interval_s: float) -> Held:
        return cls(amperes, limits.high_V if amperes > 0 else limits.low_V, False, limits, interval_s)

    @classmethod
    def voltage(cls, volts: float, at_rest_V: float, limits: Limits, interval_s: float) -> Held:
        return cls(math.copysign(limits.most_A, volts - at_rest_V), volts, True, limits, interval_s)

    @property
    def goal(self) -> float:
        return self.clamp_V if self.by_voltage else self.amperes

    def values(self) -> list[str]:
        """The variables; `stage` 0 is at the current, 1 at the voltage, 2 at the end."""
        bound_A = EXCESS * abs(self.amperes)
        numbers = {"amps": self.amperes, "clamp": self.clamp_V, "more": bound_A, "less": -bound_A}
        return [
            *_stated(self.goal, self.limits),
            *_variables("stage", *numbers),
            f"store_var stage {int(self.by_voltage)}i aa",
            *(f"store_var {name} {literal(value)} ja" for name, value in numbers.items()),
        ]

    def at_voltage(self, device: Device, beyond: str) -> list[str]:
        """Hold the voltage while `stage` is 1; where the current is passed, `beyond` is what follows."""
        run = f"meas_loop_ca p c clamp {literal(self.interval_s)} {literal(HELD_LOOP_S)}"
        charges = self.amperes > 0
        return [
            "if stage == 1i",
            *_set_up(mode_for(device, self.clamp_V, self.clamp_V), 6 / self.interval_s),
            "set_range_minmax da clamp clamp",
            *_range("ba", device.current_min_A, EXCESS * abs(self.amperes)),
            "set_e clamp",
            "cell_on",
            "loop stage == 1i",
            run,
            *_package("p", "c"),
            *_leave("c > more", beyond if charges else "2i"),
            *_leave("c < less", "2i" if charges else beyond),
            "endloop",
            "endloop",
            "cell_off",
            "endif",
        ]


def hold(held: Held, device: Device) -> list[str]:
    """By the galvanostat and the potentiostat in turn, until called off; what neither should see ends it."""
    charges = held.amperes > 0
    low_V, high_V = held.limits.low_V, held.limits.high_V
    return [
        *held.values(),
        *_set_up(GALVANOSTAT, 6 / held.interval_s),
        *_confirmed,
        "loop stage < 2i",
        "if stage == 0i",
        *_set_up(GALVANOSTAT, 6 / held.interval_s),
        *_range("ab", *[max(abs(low_V), abs(high_V))] * 2),
        *_range("db", *[abs(held.amperes)] * 2),
        "set_i amps",
        "cell_on",
        "loop stage == 0i",
        f"meas_loop_cp p c amps {literal(held.interval_s)} {literal(HELD_LOOP_S)}",
        *_package("p", "c"),
        *(_leave("p > clamp", "1i") if charges else _leave("p < clamp", "1i")),
        *(_leave("p < low", "2i") if charges else _leave("p > high", "2i")),
        "endloop",
        "endloop",
        "cell_off",
        "endif",
        *held.at_voltage(device, "0i"),
        "endloop",
        *_FINALLY,
    ]


def emulate(held: Held, from_V: float, device: Device, control_ohm: float) -> list[str]:
    """On a device without galvanostat: a voltage that is moved until the current is right, never out of its limits.

    At each interval it moves by `control_ohm` times what the current lacks, `STEP_V` at the most. What is wanted as a
    voltage is set at once, and moved to only if that takes too much current.
    """
    ends = ("low", "clamp") if held.amperes > 0 else ("clamp", "high")
    low_V = held.limits.low_V if held.amperes > 0 else held.clamp_V
    high_V = held.clamp_V if held.amperes > 0 else held.limits.high_V
    numbers = {"e": from_V, "d": 0.0, "step": STEP_V, "back": -STEP_V, "gain": control_ohm}
    mode = mode_for(device, low_V, high_V)
    interval = literal(held.interval_s)
    return [
        *held.values(),
        *_variables(*numbers),
        *(f"store_var {name} {literal(value)} ja" for name, value in numbers.items()),
        *_set_up(mode, 6 / held.interval_s),
        *_confirmed,
        *held.at_voltage(device, "0i"),
        "if stage == 0i",
        *_set_up(mode, 6 / held.interval_s),
        f"set_range_minmax da {ends[0]} {ends[1]}",
        *_range("ba", device.current_min_A, 2 * held.limits.most_A),
        "set_e e",
        "cell_on",
        "loop stage == 0i",
        f"meas_loop_ca p c e {interval} {interval}",
        *_package("p", "c"),
        "endloop",
        "copy_var amps d",
        "sub_var d c",
        "mul_var d gain",
        *_at_most("d", ">", "step"),
        *_at_most("d", "<", "back"),
        "add_var e d",
        *_at_most("e", ">", ends[1]),
        *_at_most("e", "<", ends[0]),
        "endloop",
        "endif",
        *_FINALLY,
    ]


EXCESS = 1.05
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


def _leave(condition: str, stage: str) -> tuple[str, ...]:
    return f"if {condition}", f"store_var stage {stage} aa", "breakloop", "endif"


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
