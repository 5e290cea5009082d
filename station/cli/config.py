"""init, check."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from station import examples
from station.cli.common import AsJson, console, say_json

if TYPE_CHECKING:
    from station.config import InstrumentSection


def add_to(app: typer.Typer) -> None:
    app.command()(init)
    app.command()(check)


def init(folder: Annotated[Path, typer.Argument(help="a new or empty folder")]) -> None:
    """Write a commented station.toml, an example cell and an example protocol. Nothing is overwritten."""
    for path in examples.write(folder):
        console.print(str(path), markup=False)


def check(
    config: Annotated[Path, typer.Argument(help="the station's configuration")] = Path("station.toml"),
    as_json: AsJson = False,
) -> None:
    """Read the configuration, reach every instrument, and say what answered. Switches nothing on."""
    from station.config import read_config

    instruments = read_config(config).instruments
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = list(pool.map(_ask, instruments.values()))
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


def _ask(section: InstrumentSection) -> tuple[bool, str]:
    """What an instrument says it is. A source that is on is left as it is."""
    from drivers.interface import InstrumentError
    from drivers.registry import open_instrument

    try:
        instrument = open_instrument(section.driver, section.address, section.settings)
    except InstrumentError as error:
        return False, str(error)
    try:
        return True, instrument.identify()
    except InstrumentError as error:
        return False, str(error)
    finally:
        leave = getattr(instrument, "leave", instrument.close)
        leave()
