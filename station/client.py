"""The service's client: what the dashboard, the command line and scripts use.

with Client("http://127.0.0.1:8765", token=...) as station:
    station.start("A1", protocol="si-half-cell-long-term", cell="cell-7")
    print(station.status().channels)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from station.readings import (
    CellEvent,
    CellEventKind,
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

T = TypeVar("T")


class ClientError(Exception):
    """The service refused a request, or does not answer; the text is for the user."""


class Client:
    """A connection to one running station. Use one client per thread."""

    def __init__(self, url: str, token: str = "", timeout_s: float = 10.0) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- what is

    def status(self) -> StationView:
        return self._get("/status", StationView)

    def runs(self) -> tuple[RunView, ...]:
        """All runs, newest first."""
        return self._get("/runs", tuple[RunView, ...])

    def run(self, run_id: str) -> RunView:
        return self._get(f"/runs/{run_id}", RunView)

    def series(
        self,
        run_id: str,
        columns: Sequence[str],
        *,
        since_s: float | None = None,
        until_s: float | None = None,
        cycle: int | None = None,
        points: int = 2000,
    ) -> SeriesView:
        """Fields of `Reading` over the run, reduced to about `points` rows with every extreme kept.

        `test_time_s` is always among them; `since_s` and `until_s` are in test time.
        """
        wanted = {"columns": ",".join(columns), "since": since_s, "until": until_s, "cycle": cycle, "points": points}
        return self._get(f"/runs/{run_id}/series", SeriesView, {k: v for k, v in wanted.items() if v is not None})

    def cycles(self, run_id: str) -> tuple[CycleView, ...]:
        return self._get(f"/runs/{run_id}/cycles", tuple[CycleView, ...])

    def spectra(self, run_id: str) -> tuple[SpectrumView, ...]:
        return self._get(f"/runs/{run_id}/spectra", tuple[SpectrumView, ...])

    def markers(self, run_id: str, since_s: float | None = None) -> tuple[MarkerEvent, ...]:
        """What the run's protocol marked, in the order made; `since_s` is in test time, and included."""
        wanted = {} if since_s is None else {"since": since_s}
        return self._get(f"/runs/{run_id}/markers", tuple[MarkerEvent, ...], wanted)

    def events(self, after: int = 0, channel: str | None = None, limit: int = 500) -> tuple[EventView, ...]:
        """Events with number > `after`, oldest first; the newest `limit` of them."""
        wanted: dict[str, Any] = {"after": after, "limit": limit}
        if channel is not None:
            wanted["channel"] = channel
        return self._get("/events", tuple[EventView, ...], wanted)

    def protocols(self) -> tuple[ProtocolView, ...]:
        return self._get("/protocols", tuple[ProtocolView, ...])

    def protocol(self, name: str, parameters: Mapping[str, int | float | str] | None = None) -> ProtocolView:
        """One of them in words, as these parameters make it."""
        return self._get(f"/protocols/{name}", ProtocolView, {"parameters": json.dumps(dict(parameters or {}))})

    def cells(self) -> tuple[CellView, ...]:
        return self._get("/cells", tuple[CellView, ...])

    def cell_events(self, cell: str) -> tuple[CellEvent, ...]:
        """What people did to a cell, by the time when they did it."""
        return self._get(f"/cells/{quote(cell, safe='')}/events", tuple[CellEvent, ...])

    def derivations(self, run_id: str) -> tuple[DerivationView, ...]:
        """Every set of pressures of a run, oldest first; its readings have the current one."""
        return self._get(f"/runs/{run_id}/derivations", tuple[DerivationView, ...])

    def stream(self) -> Iterator[StationView | EventView]:
        """Live: the whole station some times a second, and each event as it happens. Ends with the service."""
        try:
            with self._http.stream("GET", "/stream", timeout=httpx.Timeout(10.0, read=15.0)) as reply:
                if reply.status_code != httpx.codes.OK:
                    reply.read()
                    raise ClientError(_reason(reply))
                for line in reply.iter_lines():
                    if line:
                        yield _update(line)
        except httpx.HTTPError as error:
            raise ClientError(f"the live stream of {self.url} ended: {error or type(error).__name__}") from error

    # --- what shall be

    def start(
        self,
        channel: str,
        protocol: str,
        cell: str,
        who: str = "",
        *,
        parameters: Mapping[str, int | float | str] | None = None,
        protocol_file: str = "protocol",
        cell_file: str = "cell",
        files: Mapping[str, str] | None = None,
    ) -> RunView:
        """Start a run.

        `protocol` is a library name or the YAML text itself, `cell` a known cell's name or its YAML text;
        `protocol_file` and `cell_file` are what messages call a text. `parameters` replace the protocol's own.
        `files` are the texts that a protocol text draws on (`protocols.compile.Protocol.files`).
        """
        body = {
            "protocol": protocol,
            "cell": cell,
            "who": who,
            "parameters": dict(parameters or {}),
            "protocol_file": protocol_file,
            "cell_file": cell_file,
            "files": dict(files or {}),
        }
        return _parsed(self._send("POST", f"/channels/{channel}/start", json=body, timeout=60.0), RunView)

    def record_cell_event(
        self, cell: str, kind: CellEventKind, channel: str, who: str = "", *, at: float | None = None, note: str = ""
    ) -> CellEvent:
        """Keep what was done to a cell, with what the channel's pressure sensor says now.

        `at` is when it was done, in seconds since the Unix epoch; None: now.
        """
        body = {"kind": kind, "channel": channel, "at": at, "note": note, "who": who}
        return _parsed(self._send("POST", f"/cells/{quote(cell, safe='')}/events", json=body, timeout=60.0), CellEvent)

    def pause(self, channel: str, who: str = "") -> None:
        """Open the circuit and keep the place; returns when the instrument confirmed it."""
        self._command(channel, "pause", who)

    def resume(self, channel: str, who: str = "") -> None:
        self._command(channel, "resume", who)

    def skip(self, channel: str, who: str = "") -> None:
        """End the present step and go on with the next."""
        self._command(channel, "skip", who)

    def stop(self, channel: str, who: str = "") -> None:
        """End the run with the circuit open; returns when the instrument confirmed it."""
        self._command(channel, "stop", who)

    def confirm(self, channel: str, answer: str = "", who: str = "") -> None:
        """Answer what the channel asks; the run goes on, and the answer is kept with it."""
        self._send("POST", f"/channels/{channel}/confirm", json={"who": who, "answer": answer}, timeout=60.0)

    def clear_trip(self, channel: str, who: str = "") -> None:
        self._command(channel, "clear-trip", who)

    def shut_down(self) -> None:
        """End the station in order: sources are opened, runs stay to be taken up at the next start."""
        self._send("POST", "/shutdown", json={})

    def _command(self, channel: str, verb: str, who: str) -> None:
        self._send("POST", f"/channels/{channel}/{verb}", json={"who": who}, timeout=60.0)

    def _get(self, path: str, kind: type[T], params: dict[str, Any] | None = None) -> T:
        return _parsed(self._send("GET", path, params=params), kind)

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            reply = self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise ClientError(
                f"no station answers at {self.url} ({error or type(error).__name__}); start one: 'cellstation serve'"
            ) from error
        if reply.is_error:
            raise ClientError(_reason(reply))
        return reply


def _parsed(reply: httpx.Response, kind: type[T]) -> T:
    try:
        return TypeAdapter(kind).validate_json(reply.content)
    except ValidationError as error:
        raise ClientError(f"{reply.url} answered in a form that this version does not know") from error


def _reason(reply: httpx.Response) -> str:
    try:
        detail = reply.json().get("detail", "")
    except (json.JSONDecodeError, AttributeError):
        detail = reply.text[:200]
    return str(detail) or f"{reply.url} answered {reply.status_code}"


def _update(line: str) -> StationView | EventView:
    kind, _, body = line.partition(" ")
    try:
        return StationView.model_validate_json(body) if kind == "station" else EventView.model_validate_json(body)
    except ValidationError as error:
        raise ClientError("the live stream has a form that this version does not know") from error
