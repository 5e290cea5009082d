"""gateway serve: on an instrument's own PC, for a station on another computer."""

from __future__ import annotations

import logging
import os
import secrets
from enum import StrEnum
from typing import Annotated

import typer

from station.cli.common import err

app = typer.Typer(name="gateway", help="An instrument that only its own PC can reach.", no_args_is_help=True)


class WhenLost(StrEnum):
    """The lost-host actions, as words of the command line."""

    LEAVE = "leave"
    OPEN = "open"


@app.command()
def serve(
    backend: Annotated[str, typer.Argument(help="fake, biologic, gamry or chi")],
    setting: Annotated[list[str] | None, typer.Option("--set", help="a setting of the back end, NAME=VALUE")] = None,
    host: Annotated[str, typer.Option(help="the address to listen at; 0.0.0.0 for other computers")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="the port to listen at")] = 48752,
    token: Annotated[str, typer.Option(envvar="CELLSTATION_GATEWAY_TOKEN", help="what a station must say")] = "",
    lost_host: Annotated[WhenLost, typer.Option(help="when nothing is heard of the station")] = WhenLost.OPEN,
    after: Annotated[float, typer.Option(help="for how many seconds")] = 60.0,
) -> None:
    """Serve the instrument behind BACKEND until Ctrl+C. The token is made, and said, where none is given."""
    from drivers.gateway.backends import open_backend
    from drivers.gateway.protocol import LostHost
    from drivers.gateway.service import GatewayService, run

    if after < 1.0:
        raise typer.BadParameter("a station asks about once a second: 1 at least", param_hint="--after")
    if "CELLSTATION_LOG" not in os.environ:
        logging.getLogger().setLevel(logging.INFO)
    settings = dict(_setting(text) for text in setting or ())
    try:
        opened = open_backend(backend, settings)
    except KeyError as error:
        raise typer.BadParameter(str(error.args[0]), param_hint="BACKEND") from None
    except TypeError as error:  # a setting that it does not have, or lacks
        raise typer.BadParameter(f"back end '{backend}': {error}", param_hint="--set") from None
    if not token:
        token = secrets.token_urlsafe(24)
        err.print(f"token: {token}", markup=False)
    service = GatewayService(opened, token=token, lost_host=LostHost(lost_host.value), after_s=after)

    def ready(at: str, number: int) -> None:
        action = "its circuits are opened" if lost_host is WhenLost.OPEN else "everything is left as it is"
        simulated = " (simulated)" if service.description.simulated else ""
        err.print(f"{service.description.instrument}{simulated} at {at}:{number}", markup=False)
        err.print(f"without a word of the station for {after:g} s, {action}", markup=False)

    run(service, host, port, ready)


def _setting(text: str) -> tuple[str, str | float | int | bool]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--set")
    if value in ("true", "false"):
        return name, value == "true"
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value
