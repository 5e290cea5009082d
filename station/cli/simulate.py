"""simulate: a protocol in virtual time. What draws and what stores is imported where it is used."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from protocols import library
from protocols.cell import Cell
from protocols.compile import Protocol, read_protocol
from protocols.document import Document
from protocols.quantities import QuantityError, number
from station.cli.channels import parse_parameters
from station.cli.common import AsJson, console, err, say_json

if TYPE_CHECKING:
    from station.forecast import Forecast, Simulation, SoFar, VirtualCell, Watch
    from station.run import Run
    from station.safety import LimitsInForce

ENDS_BADLY = 1
INTERRUPTED = 130


def add_to(app: typer.Typer) -> None:
    app.command()(simulate)


def simulate(
    protocol: Annotated[str, typer.Argument(help="a protocol file, or the name of a library protocol")],
    cell: Annotated[
        str | None, typer.Option("--cell", help="a cell file or a library cell; else the cell that the protocol names")
    ] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="a parameter of the protocol; repeatable")
    ] = None,
    temperature: Annotated[
        str | None, typer.Option("--temperature", help="of the cell at the beginning, such as '45 degC'")
    ] = None,
    formed: Annotated[bool, typer.Option("--formed", help="the cell has its first cycle behind it")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="a station.toml: heed its limits too")] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="with --config: a channel, heed its limits")] = None,
    most: Annotated[str, typer.Option("--most", help="give up after so much of the test's time")] = "3 years",
    plot: Annotated[Path | None, typer.Option("--plot", help="draw it: FILE.png, .svg or .pdf")] = None,
    db: Annotated[str | None, typer.Option("--db", help="database URL: store it as a run marked simulated")] = None,
    as_json: AsJson = False,
) -> None:
    """Forecast a protocol on a simulated cell: its duration, capacity and pressure, and every limit it would meet.

    Exits 1 where the run would trip or does not end.
    """
    from station.forecast.model import simulated_cell

    _check_plot(plot)
    given_degC = _quantity(temperature, "degC", "a temperature", "--temperature")
    most_s = _quantity(most, "s", "a time", "--most")
    read = _protocol(protocol, parameters)
    document = Document.read(_cell_path(cell, read))
    run = _run(read, document, parse_parameters(parameters or []))
    model = simulated_cell(run.cell, document, formed=formed, temperature_degC=given_degC)
    simulation = _forecast(run, model, _around(config, channel), most_s or 0.0, db)
    if plot is not None:
        from station.forecast.picture import draw

        draw(simulation, plot)
    _say(simulation.forecast, as_json=as_json)
    if simulation.forecast.ending != "finished":
        _fail(simulation.forecast)


# --- what is asked for


def _protocol(given: str, parameters: list[str] | None) -> Protocol:
    path = Path(given)
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        path = library.path(given)
    return read_protocol(path, parse_parameters(parameters or []))


def _cell_path(given: str | None, protocol: Protocol) -> Path:
    if given is not None:
        path = Path(given)
        return path if path.suffix in (".yaml", ".yml") or path.is_file() else library.cell_path(given)
    if protocol.content.cell not in library.cell_names():
        raise typer.BadParameter("give a cell file: the protocol names no cell of the library", param_hint="--cell")
    return library.cell_path(protocol.content.cell)


def _run(protocol: Protocol, cell: Document, parameters: dict[str, int | float | str]) -> Run:
    """As a station prepares it; raises `DocumentError` with every problem."""
    from station.run import Request, Run

    subject = cell.as_model(Cell)
    program = protocol.compile_for(subject)
    request = Request(
        protocol.document.text, protocol.document.file, cell.text, cell.file, parameters, dict(protocol.files)
    )
    return Run("forecast", "forecast", subject, request, program, protocol.title, started=time.time())


def _around(config: Path | None, channel: str | None) -> LimitsInForce:
    from station.safety import LimitsInForce

    if config is None:
        if channel is not None:
            raise typer.BadParameter(
                "a channel's limits stand in a station.toml: give --config", param_hint="--channel"
            )
        return LimitsInForce()
    from station.config import read_config

    content = read_config(config)
    limits = LimitsInForce().narrowed_by(content.station.limits.limits(), "the station")
    if channel is None:
        return limits
    if channel not in content.channels:
        raise KeyError(f"{config}: no channel '{channel}'; there are: {', '.join(content.channels) or 'none'}")
    return limits.narrowed_by(content.channels[channel].limits.limits(), f"channel {channel}")


def _quantity(text: str | None, unit: str, kind: str, option: str) -> float | None:
    try:
        return None if text is None else number(text, unit, kind)
    except QuantityError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _check_plot(plot: Path | None) -> None:
    """Before anything is computed."""
    suffixes = (".png", ".svg", ".pdf")
    if plot is not None and plot.suffix.lower() not in suffixes:
        raise typer.BadParameter(f"'{plot}': a picture is written as {', '.join(suffixes)}", param_hint="--plot")
    if plot is not None and not plot.absolute().parent.is_dir():
        raise typer.BadParameter(f"'{plot}': there is no such folder", param_hint="--plot")


# --- the forecast


def _forecast(run: Run, cell: VirtualCell, around: LimitsInForce, most_s: float, db: str | None) -> Simulation:
    from station.forecast import forecast

    with _watched(run) as watch:
        if db is None:
            return forecast(run, cell, around=around, most_s=most_s, watch=watch)
        from station.forecast.record import recorded

        with recorded(db, run) as recorder:
            simulation = forecast(recorder.run, cell, around=around, most_s=most_s, watch=watch, listener=recorder)
            recorder.close(simulation.forecast)
        err.print(f"stored as run {recorder.run.run_id}, SIMULATED, in {db}", markup=False)
        return simulation


@contextlib.contextmanager
def _watched(run: Run) -> Iterator[Watch]:
    """Progress on a terminal; Ctrl-C ends the forecast with what there is."""
    asked_to_stop: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        asked_to_stop.append(number)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with _bar(run) as show:

            def watch(progress: SoFar) -> bool:
                show(progress)
                return not asked_to_stop

            yield watch
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _bar(run: Run) -> Iterator[Callable[[SoFar], None]]:
    if not err.is_terminal:
        yield lambda progress: None
        return
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from station.forecast.words import duration

    planned = run.program.cycles_planned
    columns = (TextColumn("simulating"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=planned or None)

        def show(progress: SoFar) -> None:
            text = f"cycle {progress.cycle} of {planned}, {duration(progress.time_s)}: {progress.step_name}"
            bar.update(task, completed=progress.cycle - 1, description=escape(text))

        yield show


# --- what is said


def _say(forecast: Forecast, *, as_json: bool) -> None:
    if as_json:
        say_json(dataclasses.asdict(forecast))
        return
    from station.forecast.words import in_words

    console.print(in_words(forecast))


def _fail(forecast: Forecast) -> None:
    """In one line, and where."""
    from station.forecast.words import ending

    print(f"{forecast.ended_at}: SIMULATED: {ending(forecast)}", file=sys.stderr)
    raise typer.Exit(INTERRUPTED if forecast.ending == "interrupted" else ENDS_BADLY)
