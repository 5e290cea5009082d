"""init, check."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from station import examples
from station.cli.common import AsJson, console, err, say_json

if TYPE_CHECKING:
    from station.config import InstrumentSection, StationConfig


def add_to(app: typer.Typer) -> None:
    app.command()(init)
    app.command()(check)


def init(folder: Annotated[Path, typer.Argument(help="a new or empty folder")]) -> None:
    """Write a commented station.toml, an example cell and an example protocol. Nothing is overwritten."""
    for path in examples.write(folder):
        console.print(str(path), markup=False)


def check(
    config: Annotated[Path, typer.Argument(help="the station's configuration")] = Path("station.toml"),
    wiring: Annotated[bool, typer.Option("--wiring", help="prove which sensor belongs to which channel")] = False,
    channel: Annotated[str | None, typer.Option(help="with --wiring: this channel alone")] = None,
    move_frames: Annotated[
        bool, typer.Option("--move-frames", help="with --wiring: a driven frame moves a little, nobody need press")
    ] = False,
    seconds: Annotated[float, typer.Option(help="with --wiring: how long to wait for a cell to be pressed")] = 30.0,
    trace: Annotated[Path | None, typer.Option(help="folder to record every exchange to")] = None,
    as_json: AsJson = False,
) -> None:
    """Read the configuration, reach every instrument, and say what answered. Switches nothing on.

    With --wiring no current is applied either: a person presses each cell in turn, and voltages are compared.
    """
    from station.config import read_config

    station = read_config(config)
    if trace is not None:
        station = traced(station, trace)
    if wiring:
        raise typer.Exit(_check_wiring(station, channel, move_frames, seconds, as_json))
    instruments = station.instruments
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = list(pool.map(_ask, instruments, instruments.values()))
    rows = [
        {"instrument": name, "driver": section.driver, "address": section.address, "answer": said, "ok": ok}
        for (name, section), (ok, said) in zip(instruments.items(), answers, strict=True)
    ]
    if as_json:
        say_json(rows)
    for name, (ok, said) in zip(instruments, answers, strict=True):
        if not ok:
            print(f"{config}: instruments.{name}: {said}", file=sys.stderr)
        elif not as_json:
            console.print(f"{name}: {said}", markup=False)
    raise typer.Exit(0 if all(ok for ok, _ in answers) else 1)


def traced(station: StationConfig, folder: Path) -> StationConfig:
    """With every instrument recorded to a file of its own in `folder`."""
    instruments = {
        name: section.model_copy(update={"trace": folder / f"{name}.jsonl"})
        for name, section in station.instruments.items()
    }
    return station.model_copy(update={"instruments": instruments})


def _ask(name: str, section: InstrumentSection) -> tuple[bool, str]:
    """What an instrument says it is. A source that is on is left as it is."""
    from drivers.interface import InstrumentError
    from drivers.registry import open_instrument

    try:
        instrument = open_instrument(section.driver, section.address, section.settings, name=name, trace=section.trace)
    except InstrumentError as error:
        return False, f"{error}{_what_is_there(section)}"
    try:
        return True, instrument.identify()
    except InstrumentError as error:
        return False, str(error)
    finally:
        leave = getattr(instrument, "leave", instrument.close)
        leave()


def _what_is_there(section: InstrumentSection) -> str:
    """What answers at the address of an instrument that could not be opened, and which driver would fit it."""
    from drivers.finding import look_at

    found = look_at(section.address)
    if found is None or not found.said:
        return ""
    others = [candidate.driver for candidate in found.candidates if candidate.driver != section.driver]
    fits = f"; the driver that fits is {' or '.join(others)}" if others else ""
    return f"; what answers there says '{found.said[:80]}'{fits}"


def _check_wiring(station: StationConfig, channel: str | None, move_frames: bool, seconds: float, as_json: bool) -> int:
    from station.cli.wiring import Wiring
    from station.wiring import Outcome

    if channel is not None and channel not in station.channels:
        err.print(f"there is no channel '{channel}'; there are: {', '.join(station.channels)}", markup=False)
        return 2
    names = [channel] if channel is not None else list(station.channels)
    verdicts = []
    check = Wiring(station, say=lambda text: err.print(text, markup=False), seconds=seconds, move_frames=move_frames)
    for verdict in check.check(names):
        verdicts.append(verdict)
        if not as_json:
            said = f"{verdict.channel}, {verdict.what}: {verdict.outcome.value}: {verdict.text}"
            console.print(said, markup=False, highlight=False)
    if as_json:
        rows = [(verdict.channel, verdict.what, verdict.outcome.value, verdict.text) for verdict in verdicts]
        say_json([dict(zip(("channel", "what", "outcome", "text"), row, strict=True)) for row in rows])
    return 0 if all(verdict.outcome is Outcome.RIGHT for verdict in verdicts) else 1
