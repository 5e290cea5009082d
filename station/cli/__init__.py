"""The command line: `cellstation COMMAND`. Scripts depend on its words.

Every command exits 0 on success, 1 on a failed run or check, 2 on bad usage, and says what is wrong and
where on stderr.
"""

from __future__ import annotations

import logging
import os
import sys

import typer

from station.cli import (
    analyse,
    bench,
    calibrate,
    calibration,
    cell,
    channels,
    config,
    database,
    figure,
    gateway,
    instruments,
    protocol,
    results,
    simulate,
)

app = typer.Typer(
    name="cellstation",
    help="Runs a battery test bench: cyclers, potentiostats, impedance analysers and in-cell pressure sensors.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
bench.add_to(app)
config.add_to(app)
channels.add_to(app)
results.add_to(app)
figure.add_to(app)
simulate.add_to(app)
calibrate.add_to(app)
app.add_typer(analyse.app, name="analyse")
app.add_typer(calibration.app, name="calibration")
app.add_typer(protocol.app, name="protocol")
app.add_typer(instruments.app, name="instruments")
app.add_typer(gateway.app, name="gateway")
app.add_typer(database.app, name="db")
app.add_typer(cell.app, name="cell")


def main() -> None:
    """The entry point; what a user can cause ends in one clear line, not in a traceback."""
    level = os.environ.get("CELLSTATION_LOG", "WARNING").upper()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if (words := _words(error)) is None:
            raise
        print(words, file=sys.stderr)
        sys.exit(1)


def _words(error: Exception) -> str | None:
    """What the user is told; None where the mistake is ours."""
    if isinstance(error, KeyError):  # a name that is not there, with those that are
        return str(error.args[0]) if error.args else None
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return str(error) if isinstance(error, _plain_errors()) else None


def _plain_errors() -> tuple[type[Exception], ...]:
    """Those that say themselves what is wrong; imported only once something is."""
    from calibration.data import DataError
    from calibration.record import CalibrationError
    from drivers.interface import InstrumentError
    from drivers.registry import SettingsError
    from protocols.document import DocumentError
    from station.analysis.errors import AnalysisError
    from station.channel import ChannelError
    from station.client import ClientError
    from station.config import ConfigError
    from station.store import StoreError

    return (
        AnalysisError,
        CalibrationError,
        ChannelError,
        ClientError,
        ConfigError,
        DataError,
        DocumentError,
        InstrumentError,
        SettingsError,
        StoreError,
    )
