"""What the service tells its clients of sensors, their calibrations and a calibration that goes on."""

from __future__ import annotations

import datetime

from pydantic import Field

from calibration.data import Area, Direction, Meter, TemperatureCoefficient
from calibration.procedure.stages import Deed as Deed
from calibration.procedure.stages import Stage as Stage
from station.readings import View


class SensorView(View):
    """A sensor that is named by a channel or has a calibration."""

    name: str
    channel: str | None = None  # where it is bound
    meter: str | None = None
    meter_channel: int | None = None
    version: int | None = None  # of the newest calibration
    calibrated: datetime.date | None = None
    expires: datetime.date | None = None
    expired: bool = False
    versions: int = 0


class SensorInCell(View):
    """A sensor that is in no press: in the channel that names it a run is on."""

    sensor: str
    meter: str  # that reads it there
    meter_channel: int
    channel: str
    cell: str
    run_id: str

    def against(self, sensor: str, meter: str, meter_channel: int) -> str:
        """Why a calibration of `sensor`, read by this channel of the meter, cannot be; '' where it can."""
        where = f"cell {self.cell} in channel {self.channel}, where run {self.run_id} is on"
        if sensor == self.sensor:
            return (
                f"sensor {sensor} lies in {where}: it cannot be in the press; calibrate it when that run is over (or "
                "was stopped) and the sensor is out of the cell, or choose the sensor that is in the press"
            )
        if (meter, meter_channel) == (self.meter, self.meter_channel):
            return (
                f"channel {meter_channel} of {meter} reads sensor {self.sensor} of {where}: connect the sensor in the "
                "press to another channel or meter, and choose that, or wait until the run is over"
            )
        return ""


class InstrumentView(View):
    """An instrument that a calibration can use."""

    name: str
    driver: str
    channels: tuple[int, ...] = ()  # that a sensor is bound to, of a scanner
    detail: str = ""


class ReferenceView(View):
    """A load cell's certificate in the station's folder."""

    name: str  # as `SessionOrder.reference` names it
    cell: str = ""  # the load cell's own name and serial number
    expires: datetime.date | None = None
    expired: bool = False
    detail: str = ""  # the certificate's number and laboratory, or why it cannot be used


class CalibrationOptions(View):
    """What there is to choose from."""

    sensors: tuple[SensorView, ...]
    meters: tuple[InstrumentView, ...]
    gauges: tuple[InstrumentView, ...]
    frames: tuple[InstrumentView, ...]  # that press by themselves
    references: tuple[str, ...]  # certificates of load cells in the station's folder
    reference_details: tuple[ReferenceView, ...] = ()  # of them, by name
    sessions: tuple[SessionView, ...] = ()  # that can be taken up again
    in_cells: tuple[SensorInCell, ...] = ()
    simulated: bool = False


class SessionView(View):
    session: str
    sensor: str
    stage: Stage
    started: float
    step: int
    steps: int
    operator: str = ""


class StabilityOrder(View):
    """When a reading counts as having come to rest: both stay within a band over the window."""

    window_s: float = Field(20.0, gt=0)
    force_within: float = Field(0.005, gt=0, description="change over the window, as a share of the force")
    resistance_within: float = Field(0.01, gt=0, description="likewise, of the resistance")
    longest_wait_s: float = Field(300.0, gt=0, description="then the technician is asked what to do")


class PlanOrder(View):
    """The procedure that is asked for; forces in N."""

    full_load_N: float = Field(gt=0)
    least_load_N: float | None = None  # None: a fiftieth of the full load
    levels: int = Field(10, ge=5, le=30)  # evenly spaced in ln F
    conditioning_cycles: int = Field(4, ge=0, le=20)
    conditioning_share: float = Field(1.1, gt=0, le=1.5)
    series_before: int = Field(2, ge=1, le=10)  # up and down, without moving the sensor
    reinsertions: int = Field(3, ge=0, le=10)  # each followed by one series up and down
    dwell_s: float = Field(30.0, ge=0)  # at least so long at a load before its reading
    burst: int = Field(10, ge=1, le=200)
    burst_s: float = Field(10.0, ge=0)
    creep_s: float = Field(3600.0, ge=0)  # 0: creep is not measured
    creep_share: float = Field(0.8, gt=0, le=1)
    tolerance: float = Field(0.03, gt=0, lt=0.5)  # how near to the asked force is near enough
    stability: StabilityOrder = StabilityOrder()


class SessionOrder(View):
    """Everything that a calibration is begun with."""

    sensor: str
    meter: str
    meter_channel: int = 1
    gauge: str
    reference: str | None = None  # a certificate's name; None: the load cell's indication as it is, with a warning
    frame: str | None = None  # None: a person turns a screw
    frame_area_m2: float | None = Field(None, gt=0)  # that a frame's pressure acts on; None: the sensing area
    area: Area
    plan: PlanOrder
    meter_statement: Meter | None = None
    temperature: TemperatureCoefficient | None = None
    operator: str = ""
    place: str = ""
    laboratory: str = ""
    customer: str = ""
    fixture: str = ""
    temperature_degC: float | None = None
    humidity_percent: float | None = None


class PointView(View):
    """A point as the technician sees it; `index` is its place in the data set."""

    index: int
    series: int
    insertion: int
    direction: Direction
    nominal_N: float | None
    force_N: float
    resistance_ohm: float
    excluded: str = ""
    suspect: bool = False
    note: str = ""


class TraceView(View):
    """The last minutes, for the live curves; `time_s` counts from the session's start."""

    time_s: tuple[float, ...] = ()
    force_N: tuple[float | None, ...] = ()
    resistance_ohm: tuple[float | None, ...] = ()


class CalibrationView(View):
    """A calibration as it is now: what to do, what is measured, how far it is."""

    session: str
    sensor: str
    stage: Stage
    paused: bool = False
    title: str  # in a few words: 'Series 2 of 5, going up'
    instruction: str  # what to do next, in a sentence or two
    target_N: float | None = None
    tolerance_N: float | None = None
    force_N: float | None = None
    resistance_ohm: float | None = None
    resistance_open: bool = False  # the meter says overload
    force_ok: bool = False  # within the tolerance of the target
    force_stable: bool = False
    resistance_stable: bool = False
    taking: float | None = None  # share of the burst that is taken
    waited_s: float = 0.0
    dwell_left_s: float = 0.0
    step: int = 0  # steps done
    steps: int = 0
    remaining_s: float | None = None  # an estimate
    points: tuple[PointView, ...] = ()
    trace: TraceView = TraceView()
    deeds: tuple[Deed, ...] = ()
    trouble: str = ""  # an instrument that does not answer, a force too high
    driven: bool = False  # a frame presses; else a person turns the screw
    hands: bool = False  # a person is to do what the instruction says now, and to confirm it
    overdue: bool = False  # it has waited for longer than was stated: take, repeat or skip
    simulated: bool = False
    record: str | None = None  # id of the signed calibration


class DeedOrder(View):
    """What a person does to a session."""

    who: str = ""
    point: int | None = None  # for repeat, exclude and include
    reason: str = ""
    whole_stage: bool = False  # for skip: all that is left of the stage, not only the present load
    authorised_by: str = ""  # for sign
    expires: datetime.date | None = None  # for sign; None: a year from now
    note: str = ""


CalibrationOptions.model_rebuild()
