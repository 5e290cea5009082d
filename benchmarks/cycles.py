"""Cycle analysis of ten million readings: time and memory, beside one pass of numpy over the same columns."""

from __future__ import annotations

import multiprocessing
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.table import show
from station.analysis.cycles import cycle_table, cycles

READINGS = 10_000_000
CYCLES = 1000


def frame() -> pd.DataFrame:
    """Charge, hold, rest, discharge, rest, over and over."""
    time_s = np.arange(READINGS, dtype=np.float64)
    phase = time_s % (READINGS // CYCLES) / (READINGS // CYCLES)
    phases = [phase < 0.4, phase < 0.5, phase < 0.55, phase < 0.98]
    current_A = np.select(phases, [1e-3, 1e-3 * np.exp(-(phase - 0.4) * 40), 0.0, -1e-3], 0.0)
    voltage_V = np.select(phases, [3.0 + phase * 3, 4.2, 4.1, 4.1 - (phase - 0.55) * 3], 3.0)
    return pd.DataFrame({"time": time_s, "voltage": voltage_V, "current": current_A})


def measure(answer: multiprocessing.SimpleQueue[tuple[float, float, float | None, int]]) -> None:
    """In a process of its own, whose greatest memory is that of the analysis."""
    data = frame()
    began = time.perf_counter()
    _ = float(np.trapezoid(np.abs(data["current"].to_numpy()), data["time"].to_numpy()))
    one_pass_s = time.perf_counter() - began
    before_MiB = _peak_MiB(reset=True)
    began = time.perf_counter()
    found = cycles(data)
    took_s = time.perf_counter() - began
    cycle_table(found)
    after_MiB = _peak_MiB()
    extra_MiB = None if before_MiB is None or after_MiB is None else after_MiB - before_MiB
    answer.put((took_s, one_pass_s, extra_MiB, len(found)))


def _peak_MiB(*, reset: bool = False) -> float | None:
    """Of this process; with `reset` its peak is set back to what it holds now. None where there is no Linux to ask."""
    if sys.platform != "linux":
        return None
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    context = multiprocessing.get_context("spawn")
    answer: multiprocessing.SimpleQueue[tuple[float, float, float | None, int]] = context.SimpleQueue()
    process = context.Process(target=measure, args=(answer,))
    process.start()
    took_s, one_pass_s, extra_MiB, found = answer.get()
    process.join()
    memory = "–" if extra_MiB is None else f"{extra_MiB:.0f} MiB"
    row = (f"{READINGS:.0e} readings", str(found), f"{took_s:.2f} s", f"{took_s / one_pass_s:.0f}", memory)
    headings = ("", "cycles", "took", "passes of np.trapezoid", "memory beyond the readings")
    show("Cycle analysis (targets: 2 s, 1 GiB)", headings, [row])


if __name__ == "__main__":
    main()
