"""Bio-Logic potentiostats (SP-150, MPG-2, VSP …) through EC-Lab's DLL, by the package easy-biologic (GPL; not ours).

Written from that package's functions and the EClib facts that public programs agree on. Not run on hardware.
`pip install easy-biologic` on the instrument's PC; its licence is its own, and nothing of it is part of this project.
"""

from __future__ import annotations

import importlib
import math
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from drivers.gateway.backends import Backend
from drivers.gateway.protocol import Capability, Description
from drivers.interface import (
    BadReply,
    Current,
    ImpedancePoint,
    InstrumentError,
    Measurement,
    NotSafe,
    OutOfRange,
    Protection,
    Refused,
    Setpoint,
    Sweep,
    Unreachable,
    Voltage,
    WrongInstrument,
)

Technique: TypeAlias = "tuple[str, dict[str, Any]]"  # its file without suffix, and its parameters

STOPPED, RUNNING = 0, 1  # states of a channel
KERNEL = 5  # the firmware that takes techniques; EC-Lab loads another
NEXT_TECHNIQUE, STOP = 1, 2  # exit conditions of a limit
BELOW, ABOVE = 0b001, 0b101  # of a limit: active, and which side of the value
OF_E, OF_I = 0 << 5, 3 << 5  # of a limit: what is compared
I_RANGES_A = (1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)  # by number
I_AUTO = 12
E_RANGES_V = (2.5, 5.0, 10.0)  # by number
BANDWIDTH = 5  # medium

LONGEST_S = 1e6
CONFIRM_S, POLL_S = 2.0, 0.02  # for a channel to start or to stop
POINTS_S = 0.2  # between questions for the points of a sweep
SETTLE_S = 1.0  # at the bias, before a sweep
FREQUENCY_OFF = 0.02  # of the one asked for, that the instrument may choose
MOST_LINKED = 20  # techniques in a channel


class BioLogicBackend(Backend):
    """Source and, where the channel has the option, impedance; the instrument itself stops at the limits.

    A current is held by CPLIMIT, then by CALIMIT at the voltage that ended it; a voltage by CALIMIT. Impedance is PEIS
    or GEIS, with the phase in degrees and the amplitude a peak value.

    `address` as EC-Lab has it (USB0, 192.168.0.10); `channels` as '1,2,5', all that are plugged in where it is empty;
    `current_max_A` of the instrument, where that is below its largest range.
    """

    name = "biologic"

    def __init__(
        self,
        address: str,
        *,
        channels: str | int | float = "",
        current_max_A: float = 0.8,
        voltage_max_V: float = 10.0,
        frequency_max_Hz: float = 1e6,
    ) -> None:
        try:
            package: Any = importlib.import_module("easy_biologic")
            self._library: Any = importlib.import_module("easy_biologic.lib.ec_lib")
        except (ImportError, OSError, AttributeError) as error:  # it loads a DLL as it is imported
            raise Unreachable(
                f"easy-biologic is not installed or cannot load EClib: {error}",
                instrument="Bio-Logic",
                hint="on the instrument's Windows PC: pip install easy-biologic",
            ) from error
        self._lock = threading.RLock()  # EClib is asked one thing at a time, whatever channel it is of
        self._held: dict[str, tuple[Setpoint, Protection]] = {}
        self._device = package.BiologicDevice(address, populate_info=False)
        self._said(self._device.connect)
        try:
            self._kind = str(self._device.kind.name).removeprefix("KBIO_DEV_")
            self._info = {name: self._channel_info(name) for name in self._wanted(str(channels))}
        except BaseException:
            self._said(self._device.disconnect)
            raise
        ranges = [I_RANGES_A[min(info.MaxIRange, len(I_RANGES_A) - 1)] for info in self._info.values()]
        self._current_max_A = min(current_max_A, *ranges)
        self._voltage_max_V, self._frequency_max_Hz = voltage_max_V, frequency_max_Hz

    def describe(self) -> Description:
        impedance = any(info.Zboard for info in self._info.values())
        most, range_A = self._voltage_max_V, self._current_max_A
        return Description(
            f"Bio-Logic {self._kind}",
            (Capability.SOURCE, *((Capability.IMPEDANCE,) if impedance else ())),
            tuple(self._info),
            -most,
            most,
            range_A,
            frequency_min_Hz=1e-5 if impedance else 0.0,
            frequency_max_Hz=self._frequency_max_Hz if impedance else 0.0,
            amplitude_max_V=0.1 if impedance else 0.0,
            amplitude_max_A=range_A / 2 / math.sqrt(2) if impedance else 0.0,
        )

    def close(self) -> None:
        self._said(self._device.disconnect)

    # --- source

    def apply(self, channel: str, setpoint: Setpoint, protection: Protection) -> None:
        self._rests_at_V(channel, protection)
        if setpoint == Current(0.0):
            self._held[channel] = setpoint, protection  # open circuit: the channel measures Ewe all the time
            return
        low, high, most = protection.voltage_min_V, protection.voltage_max_V, protection.current_max_A
        match setpoint:
            case Current(amperes):
                ends_at, side = (high, ABOVE) if amperes > 0 else (low, BELOW)
                end = _limited(NEXT_TECHNIQUE, (OF_E | side, ends_at))
                i_range = _range_of(I_RANGES_A, abs(amperes), "A")  # one for both: a change would open the circuit
                techniques = [
                    ("cplimit", {"Current_step": [float(amperes)], "Record_every_dE": 1.0, **end}),
                    _calimit(ends_at, most),
                ]
            case Voltage(goal):
                i_range, techniques = I_AUTO, [_calimit(goal, most)]
        self._start(channel, techniques, protection, i_range)
        self._held[channel] = setpoint, protection

    def measure(self, channel: str) -> Measurement:
        values = self._values(channel)
        volts, amperes = float(values.Ewe), float(values.I)
        held = self._held.get(channel)
        if held is None or held[0] == Current(0.0):
            return Measurement(volts, amperes if values.State == RUNNING else 0.0)
        if values.State != RUNNING:
            protection = held[1]
            raise NotSafe(
                f"channel {channel} stopped at {volts:.4g} V by itself",
                instrument="Bio-Logic",
                hint=f"was the current beyond {protection.current_max_A:g} A?",
            )
        flagged = bool(values.Eoverflow or values.Ioverflow or values.Saturation)
        match held[0]:
            case Current(goal):
                return Measurement(volts, amperes, flagged or abs(amperes - goal) > 0.02 * abs(goal))
            case Voltage(goal):
                return Measurement(volts, amperes, flagged or abs(volts - goal) > 5e-3)

    def is_on(self, channel: str) -> bool:
        held = self._held.get(channel)
        return self._values(channel).State != STOPPED or (held is not None and held[0] == Current(0.0))

    def off(self, channel: str) -> None:
        number = self._number(channel)
        self._held.pop(channel, None)
        self._said(self._device.stop_channel, number)
        self._await(channel, STOPPED, "was stopped and says that it runs")

    # --- impedance

    def sweep(self, channel: str, sweep: Sweep, called_off: threading.Event) -> Iterator[ImpedancePoint]:
        """Frequencies that are not even in the logarithm are several techniques, linked, of those that are."""
        self._number(channel)
        if not self._info[channel].Zboard:
            raise Refused(f"channel {channel} has no impedance option", instrument="Bio-Logic")
        rests_at_V = self._rests_at_V(channel, sweep.protection)
        series = list(_series(sweep.frequencies_Hz))
        if len(series) > MOST_LINKED:
            raise OutOfRange(
                f"the frequencies are {len(series)} even series: at most {MOST_LINKED}", instrument="Bio-Logic"
            )
        if sweep.amplitude_rms_A is not None:
            name, i_range, steps = _geis(sweep, sweep.amplitude_rms_A)
        else:
            name, i_range, steps = _peis(sweep, rests_at_V)
        try:
            self._start(channel, [(name, {**steps, **_swept(*each)}) for each in series], sweep.protection, i_range)
            yield from self._points(channel, sweep, called_off)
        finally:
            self.off(channel)

    def _points(self, channel: str, sweep: Sweep, called_off: threading.Event) -> Iterator[ImpedancePoint]:
        window, number, wanted = sweep.protection, self._number(channel), iter(sweep.frequencies_Hz)
        while not called_off.wait(POINTS_S):
            data, info, values = self._said(self._library.get_data, self._device.idn, number)
            if values.State == RUNNING and not (
                window.voltage_min_V <= values.Ewe <= window.voltage_max_V and abs(values.I) <= window.current_max_A
            ):
                raise NotSafe(
                    f"{values.Ewe:.4g} V and {values.I:.3g} A in the sweep: beyond its limits", instrument="Bio-Logic"
                )
            if info.ProcessIndex == 1:
                for row in range(info.NbRows):
                    words = data[row * info.NbCols : row * info.NbCols + 4]
                    yield _point([self._said(self._library.convert_numeric, word) for word in words], next(wanted, 0.0))
            if values.State == STOPPED and not info.NbRows:
                return

    # --- the library

    def _start(self, channel: str, techniques: Sequence[Technique], protection: Protection, i_range: int) -> None:
        """Load them with their ranges, and start the channel.

        `BiologicDevice.load_techniques` would number the parameters of the second technique as of its second step,
        and leave those of its first step unsaid: so they are loaded here.
        """
        number, library = self._number(channel), self._library
        widest = max(abs(protection.voltage_min_V), abs(protection.voltage_max_V))
        ranges = {"I_Range": i_range, "E_Range": _range_of(E_RANGES_V, widest, "V"), "Bandwidth": BANDWIDTH}
        for place, (name, parameters) in enumerate(techniques):
            first, last = place == 0, place == len(techniques) - 1
            packed = self._said(library.create_parameters, {**parameters, **ranges})
            self._said(library.load_technique, self._device.idn, number, name, packed, first, last, self._device.kind)
        self._said(self._device.start_channel, number)
        self._await(channel, RUNNING, "was started and says that it is stopped")

    def _rests_at_V(self, channel: str, protection: Protection) -> float:
        """At open circuit, to which the channel is brought here."""
        self.off(channel)
        volts = float(self._values(channel).Ewe)
        low, high = protection.voltage_min_V, protection.voltage_max_V
        if not low <= volts <= high:
            raise NotSafe(f"the cell is at {volts:.4g} V, outside {low:g} … {high:g} V", instrument="Bio-Logic")
        return volts

    def _await(self, channel: str, state: int, otherwise: str) -> None:
        deadline = time.monotonic() + CONFIRM_S
        while self._values(channel).State != state:
            if time.monotonic() > deadline:
                raise NotSafe(f"channel {channel} {otherwise}", instrument="Bio-Logic")
            time.sleep(POLL_S)

    def _values(self, channel: str) -> Any:
        return self._said(self._device.get_values, self._number(channel))

    def _wanted(self, channels: str) -> list[str]:
        plugged = [str(number + 1) for number, there in enumerate(self._device.plugged) if there]
        named = [name.strip() for name in channels.split(",") if name.strip()] or plugged
        if not named or not set(named) <= set(plugged):
            raise OutOfRange(f"channels {channels!r}: plugged in are {', '.join(plugged)}", instrument="Bio-Logic")
        return named

    def _channel_info(self, channel: str) -> Any:
        if self._device.kind not in self._library.VMP3_DEVICE_FAMILY | self._library.SP300_DEVICE_FAMILY:
            raise WrongInstrument(f"a {self._kind} is of no family that is known", instrument="Bio-Logic")
        info = self._said(self._device.channel_info, int(channel) - 1)
        if info.FirmwareCode != KERNEL:
            raise Unreachable(
                f"channel {channel} has the firmware {info.FirmwareCode}, not EClib's {KERNEL}",
                instrument="Bio-Logic",
                hint="was EC-Lab used? close it and restart the instrument",
            )
        return info

    def _number(self, channel: str) -> int:
        if channel not in self._info:
            raise OutOfRange(f"channel {channel!r}: {', '.join(self._info)}", instrument="Bio-Logic")
        return int(channel) - 1

    def _said(self, call: Any, *arguments: object) -> Any:
        try:
            with self._lock:
                return call(*arguments)
        except InstrumentError:
            raise
        except Exception as error:
            raise InstrumentError(f"EClib: {type(error).__name__}: {error}", instrument="Bio-Logic") from error


# --- parameters of techniques


def _calimit(volts: float, most_A: float) -> Technique:
    limits = _limited(STOP, (OF_I | ABOVE, most_A), (OF_I | BELOW, -most_A))
    return "calimit", {"Voltage_step": [float(volts)], "Record_every_dI": float(most_A), **limits}


def _limited(exit_condition: int, *ends: tuple[int, float]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "vs_initial": [False],
        "Duration_step": [LONGEST_S],
        "Step_number": 0,
        "Record_every_dT": 1.0,
        "Exit_Cond": [exit_condition],
        "N_Cycles": 0,
    }
    for index, (config, value) in enumerate((*ends, (0, 0.0), (0, 0.0))[:3], start=1):
        found |= {f"Test{index}_Config": [config], f"Test{index}_Value": [float(value)]}
    return found


def _peis(sweep: Sweep, rests_at_V: float) -> tuple[str, int, dict[str, Any]]:
    """File, current range, and all parameters but the frequencies."""
    bias = rests_at_V if sweep.bias_V is None else sweep.bias_V
    peak = math.sqrt(2) * (sweep.amplitude_rms_V or 0.0)
    low, high = sweep.protection.voltage_min_V, sweep.protection.voltage_max_V
    if not low <= bias - peak <= bias + peak <= high:
        raise OutOfRange(f"{bias:.4g} ± {peak:.3g} V: {low:g} to {high:g} V", instrument="Bio-Logic")
    steps = {"Initial_Voltage_step": bias, "Final_Voltage_step": bias, "Amplitude_Voltage": peak}
    return "peis", I_AUTO, {**steps, "Record_every_dI": 1.0}


def _geis(sweep: Sweep, amplitude_rms_A: float) -> tuple[str, int, dict[str, Any]]:
    peak, bias = math.sqrt(2) * amplitude_rms_A, sweep.bias_A
    most = abs(bias) + peak
    if most > sweep.protection.current_max_A:
        raise OutOfRange(f"{bias:.4g} ± {peak:.3g} A: ±{sweep.protection.current_max_A:g} A", instrument="Bio-Logic")
    steps = {"Initial_Current_step": bias, "Final_Current_step": bias, "Amplitude_Current": peak}
    i_range = _range_of(I_RANGES_A, max(2 * peak, most), "A")  # the amplitude is half of it at the most
    return "geis", i_range, {**steps, "Record_every_dE": 1.0}


def _swept(first_Hz: float, last_Hz: float, count: int) -> dict[str, Any]:
    return {
        "vs_initial": False,
        "vs_final": False,
        "Duration_step": SETTLE_S,
        "Step_number": 0,
        "Record_every_dT": SETTLE_S,
        "Initial_frequency": first_Hz,
        "Final_frequency": last_Hz,
        "Frequency_number": count,
        "sweep": False,  # even in the logarithm
        "Average_N_times": 1,
        "Correction": False,
        "Wait_for_steady": 1.0,
    }


def _series(frequencies_Hz: Sequence[float]) -> Iterator[tuple[float, float, int]]:
    """First, last and count of the longest geometric series that follow one another."""
    left = list(frequencies_Hz)
    while left:
        count = min(2, len(left))
        while count < len(left) and math.isclose(left[count] / left[count - 1], left[1] / left[0], rel_tol=1e-6):
            count += 1
        yield left[0], left[count - 1], count
        left = left[count:]


def _point(numbers: Sequence[float], wanted_Hz: float) -> ImpedancePoint:
    frequency, volts, amperes, phase_deg = numbers
    if not abs(frequency - wanted_Hz) <= FREQUENCY_OFF * wanted_Hz or not amperes > 0:
        raise BadReply(
            f"a point at {frequency:g} Hz with {amperes:g} A, where {wanted_Hz:g} Hz was due", instrument="Bio-Logic"
        )
    angle = math.radians(phase_deg)
    return ImpedancePoint(frequency, volts / amperes * complex(math.cos(angle), math.sin(angle)))


def _range_of(ranges: Sequence[float], value: float, unit: str) -> int:
    """The number of the smallest range that holds `value`."""
    for number, largest in enumerate(ranges):
        if value <= largest:
            return number
    raise OutOfRange(f"{value:g} {unit}: the largest range is {ranges[-1]:g} {unit}", instrument="Bio-Logic")
