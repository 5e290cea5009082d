"""Runs as a channel would record them: sampled finely, integrated over every sample, recorded in part."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from station.readings import Event, Level, MarkerEvent, Reading, RunState, Spectrum, StepSummary
from station.store import Batch, RunSnapshot
from tests.calibration_records import made_record

STARTED = 1_790_000_000.0
SAMPLE_S = 5.0
RECORD_S = 30.0
CALIBRATION = made_record("mfsr-12", 3, a=6e5, expires=datetime.date(2026, 6, 30))


def snapshot(run_id: str = "run-1", *, simulated: bool = True, started: float = STARTED) -> RunSnapshot:
    document = {
        "cellstation": "0.1.0",
        "cell": {"name": "cell-7", "chemistry": "Li | µm-Si"},
        "instruments": [{"model": "2450", "address": "TCPIP::10.0.0.5"}],
        "channel": {"sensor": {"name": "mfsr-12", "meter": "scanner", "channel": 101}},
        "calibration": CALIBRATION.model_dump(mode="json"),
        "assembled": STARTED - 3600.0,
        "warnings": ["the calibration mfsr-12 v3 expired on 2026-06-30"],
    }
    return RunSnapshot(run_id, "A1", "cell-7", "si-half-cell", started, simulated, 1.5e-3, 1.13, json.dumps(document))


def reading(sequence: int, **changes: float) -> Reading:
    """A single reading, for tests to which the values matter little."""
    values: dict[str, float] = {"voltage_V": 3.0 + 1e-3 * sequence, "current_A": 1e-3}
    return Reading(
        sequence=sequence,
        time=STARTED + sequence,
        test_time_s=float(sequence),
        step=1,
        step_name="1 charge",
        cycle=1,
        step_time_s=float(sequence),
        step_capacity_Ah=1e-3 * sequence / 3600,
        step_energy_Wh=3e-3 * sequence / 3600,
        net_capacity_Ah=1e-3 * sequence / 3600,
        **{**values, **changes},
    )


@dataclass
class Channel:
    """Executes steps on a cell whose voltage follows its charge; keeps what it would hand to the store."""

    run_id: str = "run-1"
    readings: list[Reading] = field(default_factory=list)
    steps: list[StepSummary] = field(default_factory=list)
    spectra: list[Spectrum] = field(default_factory=list)
    time_s: float = 0.0
    charge_Ah: float = 0.0
    cycle: int = 1

    def run_step(self, kind: str, duration_s: float, current_A: Callable[[float], float]) -> None:
        """Sample every `SAMPLE_S`; record the first and the last sample, every `RECORD_S`, and changes of current."""
        step, began_s, began_Ah = len(self.steps) + 1, self.time_s, self.charge_Ah
        energy_Wh, before, unrecorded = 0.0, None, None
        samples = int(duration_s / SAMPLE_S)
        for k in range(samples + 1):
            step_s, amperes = k * SAMPLE_S, current_A(k * SAMPLE_S)
            if before is not None:
                self.charge_Ah += (before[0] + amperes) / 2 * SAMPLE_S / 3600
            volts = self._voltage(amperes)
            if before is not None:
                energy_Wh += (before[0] * before[1] + amperes * volts) / 2 * SAMPLE_S / 3600
            self.time_s = began_s + step_s
            one = Reading(
                sequence=0,
                time=STARTED + self.time_s,
                test_time_s=self.time_s,
                step=step,
                step_name=f"{step} {kind}",
                cycle=self.cycle,
                step_time_s=step_s,
                voltage_V=volts,
                current_A=amperes,
                step_capacity_Ah=self.charge_Ah - began_Ah,
                step_energy_Wh=energy_Wh,
                net_capacity_Ah=self.charge_Ah,
                resistance_ohm=2e4,
                pressure_Pa=3e5 - 1e8 * self.charge_Ah,
                pressure_U_Pa=4e3,
                calibration="mfsr-12 v3",
            )
            changed = before is not None and abs(amperes - before[0]) > 0.02 * abs(before[0])
            if changed and unrecorded is not None:
                self._record(unrecorded)
            if k in (0, samples) or changed or step_s % RECORD_S == 0:
                self._record(one)
                unrecorded = None
            else:
                unrecorded = one
            before = (amperes, volts)
        began = STARTED + began_s
        ended = STARTED + self.time_s
        capacity_Ah = self.charge_Ah - began_Ah
        self.steps.append(
            StepSummary(step, f"{step} {kind}", kind, self.cycle, began, ended, capacity_Ah, energy_Wh, "time")
        )
        self.time_s += 0.25  # until the next step's first sample

    def sweep(self) -> None:
        frequencies = tuple(10.0**k for k in range(5, -2, -1))
        impedances = [10 + 40 / (1 + 2j * math.pi * f * 40 * 1e-5) for f in frequencies]
        self.spectra.append(
            Spectrum(
                number=len(self.spectra) + 1,
                time=STARTED + self.time_s,
                test_time_s=self.time_s,
                step=len(self.steps) + 1,
                cycle=self.cycle,
                bias_V=None,
                amplitude_rms_V=0.01,
                frequency_Hz=frequencies,
                real_ohm=tuple(z.real for z in impedances),
                imaginary_ohm=tuple(z.imag for z in impedances),
            )
        )
        self.run_step("impedance", 20.0, lambda _: 0.0)

    def _voltage(self, amperes: float) -> float:
        return 0.45 + 120 * self.charge_Ah + 60 * amperes

    def _record(self, one: Reading) -> None:
        values = {name: getattr(one, name) for name in one.__slots__}
        self.readings.append(Reading(**{**values, "sequence": len(self.readings) + 1}))


def marker(number: int, **changes: Any) -> MarkerEvent:
    """The `number`th of a run, a minute after the one before."""
    time_s = 60.0 * number
    made = MarkerEvent(f"image {number}", STARTED + time_s, time_s, 1, "1 rest", 1, 0.5 + 0.01 * number, True)
    return replace(made, **changes)


def half_cell(cycles: int = 3, run_id: str = "run-1") -> Channel:
    """Rest, then cycles of discharge, charge and a hold with a falling current; a sweep before each cycle."""
    channel = Channel(run_id)
    channel.run_step("rest", 120.0, lambda _: 0.0)
    for cycle in range(1, cycles + 1):
        channel.cycle = cycle
        channel.sweep()
        channel.run_step("discharge", 3600.0, lambda _: -1e-3)
        channel.run_step("charge", 3000.0 - 10 * cycle, lambda _: 1e-3)
        channel.run_step("hold", 900.0, lambda t: 1e-3 * math.exp(-t / 300))
    return channel


def cut_half_cell(cycles: int = 3) -> Channel:
    """As `half_cell`, and half a charge of another cycle: as where somebody stopped the run."""
    channel = half_cell(cycles)
    channel.cycle = cycles + 1
    channel.run_step("discharge", 3600.0, lambda _: -1e-3)
    channel.run_step("charge", 900.0, lambda _: 1e-3)
    return channel


def batches(channel: Channel, size: int = 50, *, state: RunState | None = RunState.FINISHED) -> Iterator[Batch]:
    """The run cut into batches as the station would submit them, the last one with its end."""
    steps, spectra = list(channel.steps), list(channel.spectra)
    for start in range(0, len(channel.readings), size):
        chunk = channel.readings[start : start + size]
        until = chunk[-1].time
        last = chunk[-1] is channel.readings[-1]
        ended = tuple(step for step in steps if step.end_time <= until)
        measured = tuple(one for one in spectra if one.time <= until)
        del steps[: len(ended)], spectra[: len(measured)]
        yield Batch(
            run_id=channel.run_id,
            readings=tuple(chunk),
            steps=ended,
            spectra=measured,
            events=(Event(until, Level.INFO, f"{len(chunk)} readings", "A1", channel.run_id),),
            checkpoint=json.dumps({"after": chunk[-1].sequence}),
            state=state if last else None,
            reason="the protocol is complete" if last and state else "",
            ended=until if last and state else None,
        )
