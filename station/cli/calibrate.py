"""calibrate: a sensor against a load cell, guided step by step. A client of the station, which does the measuring."""

from __future__ import annotations

import datetime
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from station.access import token
from station.cli.common import CONNECT_DEFAULT, Connect, client, console, err, who
from station.client import Client, ClientError

if TYPE_CHECKING:
    from station.calibration_views import CalibrationView, DeedOrder

REFRESH_S = 0.2


def add_to(app: typer.Typer) -> None:
    app.command()(calibrate)


def calibrate(
    sensor: Annotated[str, typer.Argument(help="the sensor's name, as channels name it")],
    full_load: Annotated[str | None, typer.Option(help="the largest force of use, '100 N'")] = None,
    least_load: Annotated[str | None, typer.Option(help="otherwise a fiftieth of the full load")] = None,
    diameter: Annotated[str | None, typer.Option(help="of the disc that the force acts on, '14 mm'")] = None,
    diameter_tolerance: Annotated[str, typer.Option(help="±, '0.1 mm'")] = "0",
    area: Annotated[str | None, typer.Option(help="instead of the diameter, '154 mm^2'")] = None,
    area_tolerance: Annotated[str, typer.Option(help="±, '2 mm^2'")] = "0",
    area_source: Annotated[str, typer.Option(help="drawing, measurement, or whose statement the area is")] = "",
    meter: Annotated[str | None, typer.Option(help="instrument that reads the sensor in the press")] = None,
    meter_channel: Annotated[int | None, typer.Option(help="of a scanner")] = None,
    meter_uncertainty: Annotated[str | None, typer.Option(help="the meter's limits of error, '0.05 %'")] = None,
    gauge: Annotated[str | None, typer.Option(help="instrument that reads the load cell")] = None,
    reference: Annotated[str | None, typer.Option(help="its certificate, by name in calibrations/references")] = None,
    frame: Annotated[str | None, typer.Option(help="press that the station drives; without: you turn a screw")] = None,
    levels: Annotated[int | None, typer.Option(help="loads in a series, evenly spaced in ln F")] = None,
    conditioning: Annotated[int | None, typer.Option(help="loadings to 110 % of full load beforehand")] = None,
    series: Annotated[int | None, typer.Option(help="up and down, before the sensor is taken out")] = None,
    reinsertions: Annotated[int | None, typer.Option(help="each followed by one series")] = None,
    dwell: Annotated[str | None, typer.Option(help="at least so long at a load, '30 s'")] = None,
    window: Annotated[str | None, typer.Option(help="over which readings must have come to rest, '20 s'")] = None,
    burst: Annotated[int | None, typer.Option(help="readings to a point")] = None,
    creep: Annotated[str | None, typer.Option(help="how long creep is watched, '1 h'; 0: not at all")] = None,
    within: Annotated[str | None, typer.Option(help="how near to a load is near enough, '3 %'")] = None,
    operator: Annotated[str, typer.Option(help="who measures; otherwise the name that you are logged in by")] = "",
    place: Annotated[str, typer.Option(help="room or bench, for the record")] = "",
    laboratory: Annotated[str, typer.Option(help="that calibrates, as the certificate names it")] = "",
    customer: Annotated[str, typer.Option(help="whom the certificate is for")] = "",
    fixture: Annotated[str, typer.Option(help="what the sensor is pressed between")] = "",
    temperature: Annotated[float | None, typer.Option(help="of the room, in °C")] = None,
    humidity: Annotated[float | None, typer.Option(help="relative, in %")] = None,
    authorised_by: Annotated[str, typer.Option(help="who signs; asked for in the end otherwise")] = "",
    expires: Annotated[str | None, typer.Option(help="date, 2027-05-31; otherwise a year after")] = None,
    note: Annotated[str, typer.Option(help="for the record")] = "",
    resume: Annotated[str | None, typer.Option("--resume", metavar="SESSION", help="take it up again")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="ask nothing: for scripts, with a press that is driven")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="a line of JSON for each change; asks nothing")] = False,
    connect: Connect = CONNECT_DEFAULT,
    config: Annotated[Path, typer.Option(help="started where no station runs")] = Path("station.toml"),
) -> None:
    """Calibrate a pressure sensor against a load cell, guided step by step, up to the signed record.

    The station measures; leaving this command ('q', or Ctrl-C) leaves it at that, and --resume SESSION comes back.
    """
    from station.cli.calibrate_guided import guided
    from station.cli.calibrate_order import Asked, order_of

    alone = yes or as_json
    if not alone and not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask at: use --yes with a press that is driven (--frame)")
    if alone and resume is None and frame is None:
        raise typer.BadParameter("nobody turns a screw here: name a press that is driven (--frame)")
    until = _date(expires)
    with _station(connect, config) as station:
        if resume is not None:
            view = station.take_up_calibration(resume, who())
        else:
            asked = Asked(
                sensor, meter, meter_channel, meter_uncertainty, gauge, reference, frame, full_load, least_load,
                diameter, diameter_tolerance, area, area_tolerance, area_source, levels, conditioning, series,
                reinsertions, dwell, burst, creep, within, window, operator or who(), place, laboratory, customer,
                fixture, temperature, humidity,
            )  # fmt: skip
            view = station.begin_calibration(order_of(asked, station.calibration_options()))
        if not as_json:
            console.print(f"calibration {view.session}", markup=False)
        signature = _signature(authorised_by, until, note)
        fine = _alone(station, view, signature, as_json=as_json) if alone else guided(station, view, signature)
    raise typer.Exit(0 if fine else 1)


def _signature(authorised_by: str, expires: datetime.date | None, note: str) -> DeedOrder:
    from station.calibration_views import DeedOrder

    return DeedOrder(who=who(), authorised_by=authorised_by, expires=expires, note=note)


def _station(connect: str, config: Path) -> Client:
    """The running one, or one that is started."""
    try:
        with Client(connect, token()) as running:
            running.status()
    except ClientError:
        if not config.is_file():
            raise
        from station import demonstration

        connect = demonstration.start_station(config)
    return client(connect)


def _date(text: str | None) -> datetime.date | None:
    try:
        return None if text is None else datetime.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no date; write it like 2027-05-31", param_hint="--expires") from None


# --- for scripts


def _alone(station: Client, view: CalibrationView, signature: DeedOrder, *, as_json: bool) -> bool:
    """Without a person: what does not rest is taken with a note, what cannot be taken is left out with a reason."""
    from station.calibration_views import Deed, Stage
    from station.cli.calibrate_guided import say_end

    said, trouble = 0, ""
    while view.stage not in (Stage.REVIEW, Stage.SIGNED, Stage.ABANDONED):
        said = _say_news(view, said, as_json=as_json)
        if view.trouble != trouble and (trouble := view.trouble):
            err.print(trouble, markup=False, soft_wrap=True)
        if view.hands:
            text = f"a person is needed: {view.instruction} Go on with --resume {view.session} at a terminal."
            raise ClientError(text)
        if view.overdue:
            _go_on(station, view)
        if view.paused:
            raise ClientError(f"calibration {view.session} is paused: {view.trouble or view.instruction}")
        time.sleep(REFRESH_S)
        view = station.calibration(view.session)
    _say_news(view, said, as_json=as_json)
    if view.stage is Stage.REVIEW and signature.authorised_by:
        view = station.do_calibration(view.session, Deed.SIGN, signature)
    if as_json:
        sys.stdout.write(view.model_dump_json() + "\n")
    else:
        say_end(view)
    return view.stage in (Stage.SIGNED, Stage.REVIEW)


def _go_on(station: Client, view: CalibrationView) -> None:
    """Past what does not come to rest; where it has gone on by itself meanwhile, nothing is left to do."""
    from station.calibration_views import Deed, DeedOrder

    taken = Deed.TAKE in view.deeds and view.force_ok and not view.resistance_open and not view.trouble
    deed, reason = Deed.TAKE if taken else Deed.SKIP, f"no rest in time: {view.instruction}"
    try:
        station.do_calibration(view.session, deed, DeedOrder(who=who(), reason=reason))
    except ClientError:
        if station.calibration(view.session).overdue:
            raise


def _say_news(view: CalibrationView, said: int, *, as_json: bool) -> int:
    """The points that were not said yet; returns how many there are."""
    from station.cli.calibrate_display import point_line

    if len(view.points) > said:
        if as_json:
            sys.stdout.write(view.model_dump_json(exclude={"trace"}) + "\n")
        else:
            for point in view.points[said:]:
                console.print(point_line(point), markup=False, soft_wrap=True)
        sys.stdout.flush()
    return len(view.points)
