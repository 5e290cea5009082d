"""What a forecast keeps while it runs: readings as rows of numbers, for there are hundreds of thousands of them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from station.forecast.results import LimitMet, QuestionForecast
from station.readings import MarkerEvent, Reading, Spectrum, StepSummary
from station.sequencer import Outcome

Floats: TypeAlias = NDArray[np.float64]

COLUMNS = (
    "test_time_s",
    "step",
    "cycle",
    "step_time_s",
    "voltage_V",
    "current_A",
    "step_capacity_Ah",
    "net_capacity_Ah",
    "pressure_Pa",
    "temperature_degC",
)
_row = attrgetter(*COLUMNS)

MOST_EXAMPLES = 4096


class Listener(Protocol):
    """Hears all that is kept, in order; a database, say."""

    def keep(self, outcome: Outcome) -> None: ...


@dataclass
class Kept:
    """All that came of a run so far."""

    listener: Listener | None = None
    rows: array[float] = field(default_factory=lambda: array("d"))  # COLUMNS, reading after reading
    examples: list[Reading] = field(default_factory=list)  # some readings as they are, to see what they weigh
    operations: list[int] = field(default_factory=list)  # that each entered step is of
    steps: list[StepSummary] = field(default_factory=list)
    spectra: list[Spectrum] = field(default_factory=list)
    sweeps_s: list[float] = field(default_factory=list)  # how long each spectrum took
    markers: list[MarkerEvent] = field(default_factory=list)
    questions: list[QuestionForecast] = field(default_factory=list)
    limit_met: LimitMet | None = None
    samples: int = 0
    _example_each: int = 1

    def keep(self, outcome: Outcome) -> None:
        for reading in outcome.readings:
            self.rows.extend(_row(reading))
            if not reading.sequence % self._example_each:
                self._take_example(reading)
        if outcome.steps:
            self.steps.extend(outcome.steps)
        if outcome.spectra:
            self.spectra.extend(outcome.spectra)
        if outcome.markers:
            self.markers.extend(outcome.markers)
        if self.listener is not None:
            self.listener.keep(outcome)

    def _take_example(self, reading: Reading) -> None:
        """From the whole of the run, as evenly as it goes on."""
        self.examples.append(reading)
        if len(self.examples) > MOST_EXAMPLES:
            del self.examples[::2]
            self._example_each *= 2

    def table(self) -> dict[str, Floats]:
        """Columns of equal length by name, one value for each recorded reading."""
        values = np.frombuffer(self.rows, dtype=np.float64).reshape(-1, len(COLUMNS))
        return {name: values[:, place] for place, name in enumerate(COLUMNS)}
