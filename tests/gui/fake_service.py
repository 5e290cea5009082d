"""A service over real HTTP, as `station.client` expects it, on a bench of formulas.

To look at the dashboard with it: python -m tests.gui.fake_service --channels 40
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import TypeAdapter

from station.readings import CellEvent, CellEventKind, ChannelState, ProtocolView
from tests.gui.bench import CELLS, PROTOCOLS, Bench, Run

AFTER = {
    "pause": ChannelState.PAUSED,
    "resume": ChannelState.RUNNING,
    "skip": ChannelState.RUNNING,
    "stop": ChannelState.IDLE,
    "clear-trip": ChannelState.IDLE,
    "confirm": ChannelState.RUNNING,
}


class Refusal(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class FakeService:
    """`commands` are the (verb, channel, body) received; `refuse[verb]` makes one fail with these words."""

    def __init__(self, bench: Bench | None = None, port: int = 0, token: str = "secret", period_s: float = 0.2) -> None:
        self.bench = bench or Bench()
        self.token = token
        self.period_s = period_s
        self.commands: list[tuple[str, str, dict[str, Any]]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.refuse: dict[str, str] = {}
        self.warnings: tuple[str, ...] = ()
        self.rows_whatever_is_asked: int | None = None
        self.delay_s = 0.0
        self._port = port
        self._running = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.answer(self, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                service.answer(self, json.loads(body or b"{}"))

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        self._running.set()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._running.clear()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running.is_set():
            self.stop()

    def verbs(self) -> list[str]:
        return [verb for verb, _, _ in self.commands]

    # --- answers

    def answer(self, request: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        url = urlsplit(request.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        try:
            if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
                raise Refusal(401, "missing or wrong token")
            if url.path == "/stream":
                self._stream(request)
                return
            time.sleep(self.delay_s)
            parts = url.path.strip("/").split("/")
            if request.command == "POST":
                content = self._command(parts[2], parts[1], body)
            else:
                self.asked.append((url.path, query))
                content = _json(self._get(parts, query))
            _reply(request, 200, content)
        except Refusal as refusal:
            _reply(request, refusal.status, json.dumps({"detail": str(refusal)}))

    def _get(self, parts: list[str], query: dict[str, str]) -> object:
        match parts:
            case ["status"]:
                return self.bench.station()
            case ["protocols"]:
                return [self._described(protocol.name, {}) for protocol in PROTOCOLS]
            case ["protocols", name]:
                return self._described(name, json.loads(query["parameters"]))
            case ["cells"]:
                return CELLS
            case ["events"]:
                return [event for event in self.bench.events if event.number > int(query.get("after", 0))]
            case ["runs"]:
                return [self.bench.run_view(run) for run in self.bench.runs.values()]
            case ["runs", run_id]:
                return self.bench.run_view(self._run(run_id))
            case ["runs", run_id, "cycles"]:
                run = self._run(run_id)
                return run.cycles(self.bench.now_s(run))
            case ["runs", run_id, "markers"]:
                run = self._run(run_id)
                return run.markers(self.bench.now_s(run), float(query.get("since", 0.0)))
            case ["runs", run_id, "spectra"]:
                run = self._run(run_id)
                return run.spectra(self.bench.now_s(run))
            case ["runs", run_id, "series"]:
                run = self._run(run_id)
                return run.series(
                    self.bench.now_s(run),
                    query["columns"].split(","),
                    float(query.get("since", 0.0)),
                    float(query.get("until", "inf")),
                    int(query["cycle"]) if "cycle" in query else None,
                    self.rows_whatever_is_asked or int(query["points"]),
                )
        raise Refusal(404, f"there is no /{'/'.join(parts)}")

    def _described(self, name: str, given: dict[str, Any]) -> ProtocolView:
        protocol = next(each for each in PROTOCOLS if each.name == name)
        if wrong := [key for key in given if key not in protocol.parameters]:
            raise Refusal(422, f"{name}.yaml:3:1: no parameter '{wrong[0]}' here")
        if given.get("rate") == "fast":
            raise Refusal(422, f"{name}.yaml:7:9: 'fast' is not a current, such as '1 mA' or '0.2 C'")
        values = protocol.parameters | given
        return protocol.model_copy(update={"summary": tuple(line.format(**values) for line in protocol.summary)})

    def _run(self, run_id: str) -> Run:
        run = self.bench.find(run_id)
        if run is None:
            raise Refusal(404, f"there is no run {run_id!r}")
        return run

    def _command(self, verb: str, channel: str, body: dict[str, Any]) -> str:
        self.commands.append((verb, channel, body))
        if verb in self.refuse:
            raise Refusal(409, self.refuse[verb])
        bench = self.bench
        if verb == "events":  # of a cell, which stands where the channel does
            cell, kind = channel, CellEventKind(body["kind"])
            said = (2.88e5, 546e3, 36e3, "mfsr-1 v3") if kind is CellEventKind.ASSEMBLED else (2.2e7, None, None, None)
            now = bench.station().time
            return _json(CellEvent(cell, body["at"] or now, kind, body["channel"], "mfsr-1", now, *said))
        if verb == "start":
            bench.states[channel] = ChannelState.RUNNING
            run = Run(f"new-{channel}", channel, body["cell"], body["protocol"], -bench.elapsed_s())
            bench.runs[channel] = run
            bench.say(f"started: {body['protocol']} on cell {body['cell']}", channel, who=body["who"])
            return _json(bench.run_view(run).model_copy(update={"warnings": self.warnings}))
        if verb == "confirm":
            bench.questions.pop(channel)
        bench.states[channel] = AFTER[verb]
        bench.say(f"{verb} asked for", channel, who=body["who"])
        if AFTER[verb] is ChannelState.IDLE:
            bench.runs[channel].live = False
        return "null"

    def _stream(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/x-ndjson")
        request.end_headers()
        told = len(self.bench.events)
        try:
            while self._running.is_set():
                lines = [f"station {self.bench.station().model_dump_json()}\n"]
                news = self.bench.events[told:]
                told += len(news)
                lines += [f"event {event.model_dump_json()}\n" for event in news]
                request.wfile.write("".join(lines).encode())
                time.sleep(self.period_s)
        except ConnectionError:
            return


def _json(content: object) -> str:
    return TypeAdapter(Any).dump_json(content).decode()


def _reply(request: BaseHTTPRequestHandler, status: int, content: str) -> None:
    data = content.encode()
    try:
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)
    except ConnectionError:
        return


def main() -> None:
    words = argparse.ArgumentParser(description="Open the dashboard on a bench of formulas.")
    words.add_argument("--channels", type=int, default=8)
    words.add_argument("--speed", type=float, default=60.0)
    words.add_argument("--seconds", type=float)
    words.add_argument("--screenshot")
    options = words.parse_args()
    from pathlib import Path

    from gui.app import run

    with FakeService(Bench(options.channels, options.speed)) as service:
        shot = Path(options.screenshot) if options.screenshot else None
        raise SystemExit(run(service.url, service.token, screenshot=shot, seconds=options.seconds))


if __name__ == "__main__":
    main()
