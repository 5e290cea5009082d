"""The service: HTTP for commands and history, a stream for live data. It owns the instruments.

Loopback only unless told otherwise; every command needs the token; every command is in the event log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.middleware.trustedhost import TrustedHostMiddleware

from calibration.record import CalibrationError
from protocols.document import DocumentError
from station.cell_orders import CellEventOrder
from station.channel import ChannelError
from station.readings import (
    CellEvent,
    CellView,
    CycleView,
    DerivationView,
    EventView,
    MarkerEvent,
    ProtocolView,
    RunView,
    SeriesView,
    SpectrumView,
    StationView,
)
from station.station import VERSION, Station
from station.store import StoreError

log = logging.getLogger(__name__)
_PARAMETERS = TypeAdapter(dict[str, int | float | str])
STREAM_PERIOD_S = 0.25
SWITCH_INTERVAL_S = 0.0005
"""Python lets a busy thread run 5 ms before another gets its turn; an off command should not wait for a report."""


class Order(BaseModel):
    """A command's body: who asks, for the audit log."""

    who: str = ""


class ConfirmOrder(Order):
    """The answer to what the channel asks."""

    answer: str = ""


class StartOrder(Order):
    """What to start."""

    protocol: str
    cell: str
    parameters: dict[str, int | float | str] = Field(default_factory=dict)
    protocol_file: str = "protocol"
    cell_file: str = "cell"
    files: dict[str, str] = Field(default_factory=dict)  # that a protocol text draws on, by the names it uses


def build_app(
    station: Station, token: str, hosts: tuple[str, ...] = (), shut_down: Callable[[], None] = lambda: None
) -> FastAPI:
    """The HTTP application around a station; opening the app opens the station."""

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await station.open()
        yield
        await station.close()

    app = FastAPI(title="Cellstation", version=VERSION, lifespan=life)
    # A page in a browser cannot reach the service under a name of its own.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]", *hosts])
    _errors(app)
    _reading_routes(app, station)
    _command_routes(app, station, token, shut_down)
    return app


def _errors(app: FastAPI) -> None:
    def answer(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
        async def handler(_: Request, error: Exception) -> Response:
            detail = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
            return JSONResponse({"detail": detail}, status)

        return handler

    app.add_exception_handler(ChannelError, answer(409))
    app.add_exception_handler(DocumentError, answer(422))
    app.add_exception_handler(CalibrationError, answer(422))
    app.add_exception_handler(StoreError, answer(404))
    app.add_exception_handler(KeyError, answer(404))


def _reading_routes(app: FastAPI, station: Station) -> None:
    @app.get("/status")
    async def status() -> StationView:
        return station.view()

    @app.get("/runs")
    def runs() -> tuple[RunView, ...]:
        return station.archive.runs()

    @app.get("/runs/{run_id}")
    def run(run_id: str) -> RunView:
        return station.archive.run(run_id)

    @app.get("/runs/{run_id}/series")
    def series(
        run_id: str,
        columns: str,
        since: float | None = None,
        until: float | None = None,
        cycle: int | None = None,
        points: int = 2000,
    ) -> SeriesView:
        wanted = [column for column in columns.split(",") if column]
        return station.archive.series(run_id, wanted, since_s=since, until_s=until, cycle=cycle, points=points)

    @app.get("/runs/{run_id}/cycles")
    def cycles(run_id: str) -> tuple[CycleView, ...]:
        return station.archive.cycles(run_id)

    @app.get("/runs/{run_id}/spectra")
    def spectra(run_id: str) -> tuple[SpectrumView, ...]:
        return station.archive.spectra(run_id)

    @app.get("/runs/{run_id}/markers")
    def markers(run_id: str, since: float | None = None) -> tuple[MarkerEvent, ...]:
        return station.archive.markers(run_id, since)

    @app.get("/events")
    def events(after: int = 0, channel: str | None = None, limit: int = 500) -> tuple[EventView, ...]:
        return station.archive.events(after=after, channel=channel, limit=limit)

    @app.get("/protocols")
    def protocols() -> tuple[ProtocolView, ...]:
        return station.protocols()

    @app.get("/protocols/{name}")
    def protocol(name: str, parameters: str = "{}") -> ProtocolView:
        """In words with these parameters, a JSON object."""
        try:
            given = _PARAMETERS.validate_json(parameters)
        except ValidationError as error:
            raise HTTPException(422, 'parameters are a JSON object of numbers and texts, {"cycles": 3}') from error
        return station.protocol(name, given)

    @app.get("/cells")
    def cells() -> tuple[CellView, ...]:
        return station.cells()

    @app.get("/cells/{cell}/events")
    def cell_events(cell: str) -> tuple[CellEvent, ...]:
        return station.archive.cell_events(station.cell_name(cell))

    @app.get("/runs/{run_id}/derivations")
    def derivations(run_id: str) -> tuple[DerivationView, ...]:
        return station.archive.derivations(run_id)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(_live(station), media_type="application/x-ndjson")


def _command_routes(app: FastAPI, station: Station, token: str, shut_down: Callable[[], None]) -> None:
    def known(authorization: Annotated[str, Header()] = "") -> None:
        if not secrets.compare_digest(authorization.removeprefix("Bearer ").encode(), token.encode()):
            raise HTTPException(401, "this command needs the station's token (set CELLSTATION_TOKEN)")

    @app.post("/shutdown", dependencies=[Depends(known)], status_code=204)
    async def shutdown() -> None:
        shut_down()

    @app.post("/cells/{cell}/events", dependencies=[Depends(known)])
    async def cell_event(cell: str, order: CellEventOrder) -> CellEvent:
        return await station.record_cell_event(cell, order)

    @app.post("/channels/{name}/start", dependencies=[Depends(known)])
    async def start(name: str, order: StartOrder) -> RunView:
        station.channel(name)
        request = station.request(
            order.protocol, order.cell, order.protocol_file, order.cell_file, order.parameters, order.files
        )
        return await station.start(name, request, order.who or "someone")

    @app.post("/channels/{name}/confirm", dependencies=[Depends(known)], status_code=204)
    async def confirm(name: str, order: ConfirmOrder) -> None:
        await station.channel(name).confirm(order.who or "someone", order.answer)

    @app.post("/channels/{name}/{verb}", dependencies=[Depends(known)], status_code=204)
    async def command(name: str, verb: str, order: Order) -> None:
        channel = station.channel(name)
        verbs = {
            "pause": channel.pause,
            "resume": channel.resume,
            "skip": channel.skip,
            "stop": channel.stop,
            "clear-trip": channel.clear_trip,
        }
        if verb not in verbs:
            raise HTTPException(404, f"no command '{verb}'; there are: start, confirm, {', '.join(verbs)}")
        await verbs[verb](order.who or "someone")


async def _live(station: Station) -> AsyncIterator[str]:
    """The whole station some times a second, and each event when it is stored."""
    newest = await asyncio.to_thread(station.archive.events, after=0, channel=None, limit=1)
    last = newest[-1].number if newest else 0
    while True:
        yield f"station {station.view().model_dump_json()}\n"
        with contextlib.suppress(StoreError):  # the station's view says what is wrong with the database
            for event in await asyncio.to_thread(station.archive.events, after=last, channel=None, limit=500):
                last = event.number
                yield f"event {event.model_dump_json()}\n"
        await asyncio.sleep(STREAM_PERIOD_S)


def listen(host: str, port: int) -> socket.socket:
    """Take the port before any instrument is touched, so that no second station drives the same cells."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if sys.platform == "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def serve(station: Station, listener: socket.socket, token: str) -> None:
    """Run until interrupted; the orderly end opens every source's circuit."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    host = str(listener.getsockname()[0])

    def shut_down() -> None:
        server.should_exit = True

    app = build_app(station, token, (host,), shut_down)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
    server.run(sockets=[listener])
