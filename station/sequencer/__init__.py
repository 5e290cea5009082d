"""The sequencer: what follows from one sample. Pure: no I/O, no clock, no sleep.

Given the program, the state, and something that happened (a sample, a finished sweep, a person's command),
each function returns an `Outcome`: the new state, the commands to carry out, and what to store. The same
code runs the bench, a forecast in virtual time, every property test, and the resume after a crash.

Charge is integrated by the trapezoid rule over all samples of a step, from its first sample on, by the step's
own clock, which stands in a pause. Samples are recorded by time and by change of what is measured, and
whenever the recorded ones alone would miss more than `CHARGE_TOLERANCE` of the step's charge; so a trapezoid
over the stored rows, by `step_time_s`, gives the stored charge.
"""

from station.sequencer.course import current_step
from station.sequencer.events import (
    advance,
    begin,
    confirm,
    measured_in_words,
    next_due,
    pause,
    record,
    resume,
    skip,
    stop,
    swept,
    watched,
)
from station.sequencer.recording import CHARGE_TOLERANCE
from station.sequencer.restoring import before_gap_A, mean_over_gap_A, restore
from station.sequencer.setpoints import drive
from station.sequencer.state import Outcome, Phase, Sample, State, dump, load

__all__ = [
    "CHARGE_TOLERANCE",
    "Outcome",
    "Phase",
    "Sample",
    "State",
    "advance",
    "before_gap_A",
    "begin",
    "confirm",
    "current_step",
    "drive",
    "dump",
    "load",
    "mean_over_gap_A",
    "measured_in_words",
    "next_due",
    "pause",
    "record",
    "restore",
    "resume",
    "skip",
    "stop",
    "swept",
    "watched",
]
