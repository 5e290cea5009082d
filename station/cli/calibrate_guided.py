"""A calibration at the terminal: a live display, and a key for each deed."""

from __future__ import annotations

from rich.live import Live

from station.calibration_views import CalibrationView, Deed, DeedOrder, Stage
from station.cli.calibrate_display import display, point_line
from station.cli.calibration_tables import print_evaluation
from station.cli.common import console, who
from station.cli.keys import Keys
from station.client import Client, ClientError

REFRESH_S = 0.2
ENDED = (Stage.SIGNED, Stage.ABANDONED)
DEEDS = {
    "\n": Deed.CONFIRM,
    "t": Deed.TAKE,
    "r": Deed.REPEAT,
    "e": Deed.EXCLUDE,
    "i": Deed.INCLUDE,
    "s": Deed.SKIP,
    "p": Deed.PAUSE,
    "a": Deed.ABANDON,
}


def guided(station: Client, view: CalibrationView, signature: DeedOrder) -> bool:
    """To its end, or until the person leaves; False where it was abandoned."""
    left = False
    while not left and view.stage not in ENDED:
        view, left = _review(station, view, signature) if view.stage is Stage.REVIEW else _followed(station, view)
    say_end(view)
    return view.stage is not Stage.ABANDONED


def say_end(view: CalibrationView) -> None:
    """What came of it, and how to go on."""
    if view.record is not None:
        console.print(f"signed: {view.record}", markup=False)
        name, _, version = view.record.rpartition(" v")
        console.print(f"cellstation calibration certificate {name} --version {version}", markup=False)
    else:
        back = f"cellstation calibrate {view.sensor} --resume {view.session}"
        console.print(f"{view.title}. To come back: {back}", markup=False, soft_wrap=True)


def _followed(station: Client, view: CalibrationView) -> tuple[CalibrationView, bool]:
    """The display, until all is measured; True where the person left."""
    with Keys() as keys, Live(display(view), console=console, auto_refresh=False) as live:
        while view.stage is not Stage.REVIEW and view.stage not in ENDED:
            key = keys.pressed(REFRESH_S).lower()
            if key in ("q", "\x1b"):
                return view, True
            if key:
                live.stop()
                with keys.as_lines():
                    _do(station, view, key)
                live.start()
            view = station.calibration(view.session)
            live.update(display(view), refresh=True)
    return view, False


def _review(station: Client, view: CalibrationView, signature: DeedOrder) -> tuple[CalibrationView, bool]:
    """The points and the fit; then one deed. True where the person left."""
    for point in view.points:
        console.print(point_line(point), markup=False, soft_wrap=True)
    try:
        print_evaluation(station.calibration_draft(view.session))
    except ClientError as error:
        console.print(str(error), markup=False, style="bold red")
    keys = "[s] sign   [e] exclude   [i] include   [r] repeat a point   [a] abandon   [q] leave it at that"
    console.print(keys, markup=False)
    key = console.input("? ", markup=False).strip().lower()[:1]
    if key == "q":
        return view, True
    if key == "s":
        _sign(station, view, signature)
    elif key:
        _do(station, view, key)
    return station.calibration(view.session), False


def _sign(station: Client, view: CalibrationView, signature: DeedOrder) -> None:
    by = signature.authorised_by or console.input("authorised by (name)? ", markup=False).strip()
    try:
        station.do_calibration(view.session, Deed.SIGN, signature.model_copy(update={"authorised_by": by}))
    except ClientError as error:
        console.print(str(error), markup=False, style="bold red")


def _do(station: Client, view: CalibrationView, key: str) -> None:
    """What a key stands for; a refusal is said, and nothing is changed by it."""
    deed = DEEDS.get(key)
    if deed is Deed.PAUSE and view.paused:
        deed = Deed.RESUME
    if deed is None or deed not in view.deeds:
        return
    try:
        station.do_calibration(view.session, deed, _order(deed))
    except ClientError as error:
        console.print(str(error), markup=False, style="bold red")
        console.input("Enter to go on ", markup=False)


def _order(deed: Deed) -> DeedOrder:
    """Asks for what the deed needs."""
    point, reason, whole = None, "", False
    if deed in (Deed.EXCLUDE, Deed.INCLUDE, Deed.REPEAT):
        given = console.input("point (its number; empty: the present load)? ", markup=False).strip()
        point = int(given) if given.isdecimal() else None
    if deed in (Deed.EXCLUDE, Deed.SKIP, Deed.ABANDON) or (deed is Deed.REPEAT and point is not None):
        reason = console.input("reason? ", markup=False).strip()
    if deed is Deed.SKIP:
        whole = console.input("the rest of this stage too (y/n)? ", markup=False).strip().lower() == "y"
    return DeedOrder(who=who(), point=point, reason=reason, whole_stage=whole)
