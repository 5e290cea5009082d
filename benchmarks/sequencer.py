"""How fast the sequencer runs in virtual time: a cell that is a capacitor, and one step where each sample is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.table import show
from protocols.cell import parse_cell
from protocols.compile import parse_protocol
from protocols.limits import Limits
from protocols.program import Condition, ConstantCurrent, End, Kind, Program, Quantity, RecordRule, Step
from station import sequencer
from station.commands import Command, HoldCurrent, HoldVoltage, MeasureImpedance
from station.sequencer import Phase, Sample

CYCLES = 20
PROTOCOL = """\
protocol: Benchmark
record: {every: 30 s, change: [5 mV]}
limits: {voltage: [1.9 V, 4.1 V], current: 10 mA}
steps:
  - rest: {for: 10 min}
  - repeat: 20
    steps:
      - charge: {at: 1 mA, hold: 4 V, until: {current: 0.1 mA}}
      - discharge: {at: 1 mA, until: {voltage: 2 V}}
"""
CELL = "cell: capacitor\nlimits: {voltage: [1.9 V, 4.1 V], current: 10 mA}\n"
CAPACITANCE_F = 1.8  # one hour at 1 mA from 2 to 4 V
RESISTANCE_OHM = 50.0


@dataclass
class Capacitor:
    """Behind a resistor, driven as the sequencer commands."""

    open_V: float = 3.0
    command: Command | None = None

    def step(self, seconds: float) -> tuple[float, float]:
        """Voltage and current after `seconds`."""
        match self.command:
            case HoldCurrent(current):
                pass
            case HoldVoltage(voltage):
                current = (voltage - self.open_V) / RESISTANCE_OHM
            case _:
                current = 0.0
        self.open_V += current * seconds / CAPACITANCE_F
        return self.open_V + current * RESISTANCE_OHM, current


def run(program: Program, interval_s: float = 1.0) -> tuple[int, int, float]:
    """Samples, readings and the virtual time in s."""
    cell, now = Capacitor(), 0.0
    samples = readings = 0
    outcome = sequencer.begin(program, now)
    while True:
        for command in outcome.commands:
            assert not isinstance(command, MeasureImpedance)
            cell.command = command
        if outcome.state.phase is not Phase.RUNNING:
            return samples, readings, now
        now += interval_s
        outcome = sequencer.advance(program, outcome.state, Sample(now, *cell.step(interval_s)))
        samples, readings = samples + 1, readings + len(outcome.readings)


def one_step(samples: int = 200_000) -> float:
    """Seconds that `advance` takes for each sample of a constant current with an end of voltage, all recorded."""
    end = End((Condition(Quantity.VOLTAGE, True, 4.0),))
    step = Step(Kind.CHARGE, "1 charge 1 mA", "", 1, ConstantCurrent(1e-3), ends=(end,))
    program = Program("one step", "", (step,), RecordRule(0.5), Limits())
    state = sequencer.begin(program, 0.0).state
    given = [Sample(float(at), 3.0, 1e-3) for at in range(samples)]
    began = time.process_time()
    for sample in given:
        state = sequencer.advance(program, state, sample).state
    took_s = time.process_time() - began
    assert state.sequence == samples
    return took_s / samples


def main() -> None:
    program = parse_protocol(PROTOCOL).compile_for(parse_cell(CELL, "cell"))
    began = time.perf_counter()
    samples, readings, virtual_s = run(program)
    took_s = time.perf_counter() - began
    row = (
        f"{CYCLES} cycles of CCCV, a sample each second",
        f"{samples}",
        f"{readings}",
        f"{samples / took_s:.0f}",
        f"{virtual_s / took_s:.0f}",
    )
    show("Sequencer in virtual time", ("", "samples", "readings", "samples / s", "times real time"), [row])
    note = f"{one_step() * 1e6:.1f} µs of the processor"
    show("A step at constant current, each sample recorded", ("", "per sample"), [("", note)])


if __name__ == "__main__":
    main()
