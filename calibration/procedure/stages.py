"""Where a calibration is, and what a person may do to it."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Where a calibration is."""

    ZERO = "zero"  # without load: the load cell's zero and the sensor's open resistance are taken
    CONDITIONING = "conditioning"
    SERIES = "series"
    REINSERTION = "reinsertion"  # the sensor is to be taken out and put back
    CREEP = "creep"
    REVIEW = "review"  # all is measured; points can be marked, the fit looked at, the record signed
    SIGNED = "signed"
    ABANDONED = "abandoned"


class Deed(StrEnum):
    """What a person may do now; the words of the command line and the service."""

    CONFIRM = "confirm"  # done as the instruction says: taken out and put back, without load, ...
    TAKE = "take"  # take the burst now, though the criterion is not met: written into the record
    REPEAT = "repeat"  # measure a point again; the former one stays, marked. Without a point: wait anew
    EXCLUDE = "exclude"  # mark a point, with a reason
    INCLUDE = "include"  # take the mark away
    SKIP = "skip"  # leave out this load, or with `whole_stage` the rest of this stage, with a reason
    PAUSE = "pause"
    RESUME = "resume"
    FIT = "fit"
    SIGN = "sign"
    ABANDON = "abandon"  # keeps the session's file, marked
