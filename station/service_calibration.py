"""The service's routes for calibrations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from calibration.data import DataError
from calibration.procedure import ProcedureError
from calibration.record import Calibration, CalibrationError
from drivers.interface import InstrumentError
from station.calibrating import Desk, SessionError
from station.calibrating.options import options
from station.calibration_views import CalibrationOptions, CalibrationView, Deed, DeedOrder, SessionOrder


class TakeUpOrder(BaseModel):
    """Who takes a session up again."""

    who: str = ""


def add_calibration(app: FastAPI, desk: Desk, known: Any) -> None:
    """Add the routes; `known` is what a command depends on: the token."""
    _errors(app)
    _reading_routes(app, desk)
    _command_routes(app, desk, known)


def _errors(app: FastAPI) -> None:
    def answer(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
        async def handler(_: Request, error: Exception) -> Response:
            return JSONResponse({"detail": str(error)}, status)

        return handler

    app.add_exception_handler(SessionError, answer(409))
    app.add_exception_handler(ProcedureError, answer(409))
    app.add_exception_handler(InstrumentError, answer(409))
    app.add_exception_handler(DataError, answer(422))
    app.add_exception_handler(CalibrationError, answer(422))


def _reading_routes(app: FastAPI, desk: Desk) -> None:
    @app.get("/calibration")
    async def calibration_options() -> CalibrationOptions:
        return await asyncio.to_thread(options, desk)

    @app.get("/calibration/{session}")
    async def calibration(session: str) -> CalibrationView:
        return desk.view(session)

    @app.get("/calibration/{session}/draft")
    async def draft(session: str) -> Calibration:
        return await desk.draft(session)

    @app.get("/calibrations/{sensor}")
    def calibrations(sensor: str) -> tuple[Calibration, ...]:
        return tuple(desk.registry.get(sensor, version) for version in reversed(desk.registry.versions(sensor)))

    @app.get("/calibrations/{sensor}/{version}/certificate")
    def certificate(sensor: str, version: int, format: Literal["pdf", "html"] = "pdf") -> Response:
        from calibration.certificate import render_html, render_pdf

        record = desk.registry.get(sensor, version)
        if format == "html":
            return Response(render_html(record), media_type="text/html; charset=utf-8")
        return Response(render_pdf(record), media_type="application/pdf")


def _command_routes(app: FastAPI, desk: Desk, known: Any) -> None:
    @app.post("/calibration", dependencies=[known])
    async def begin(order: SessionOrder) -> CalibrationView:
        return await desk.begin(order)

    @app.post("/calibration/{session}/take-up", dependencies=[known])
    async def take_up(session: str, order: TakeUpOrder) -> CalibrationView:
        return await desk.take_up(session, order.who or "someone")

    @app.post("/calibration/{session}/{deed}", dependencies=[known])
    async def do(session: str, deed: Deed, order: DeedOrder) -> CalibrationView:
        return await desk.do(session, deed, order)
