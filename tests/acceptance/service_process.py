"""The service as a process that can be killed, and started again quickly."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

from station.client import Client, ClientError
from station.config import read_config
from station.service import listen, serve
from station.station import Station
from tests.acceptance.bench import TOKEN, wait_until


def run_service(config: Path) -> None:
    """The life of one service, in a process of its own."""
    sys.stdout = sys.stderr = config.with_name("station.log").open("a", encoding="utf-8", buffering=1)
    settings = read_config(config)
    listener = listen(settings.station.host, settings.station.port)
    serve(Station(settings), listener, TOKEN)


class Service:
    """Starts the service, kills it, and reads what it has committed."""

    def __init__(self, config: Path, port: int) -> None:
        self.config, self.url = config, f"http://127.0.0.1:{port}"
        # A fork of a server that has the imports done starts at once; where there is no fork, each start imports.
        self._context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
        if os.name == "posix":
            self._context.set_forkserver_preload(["pytest", __name__])
        self._process: BaseProcess | None = None
        self.client = Client(self.url, TOKEN)

    def start(self) -> None:
        self._process = self._context.Process(target=run_service, args=(self.config,), daemon=True)
        self._process.start()

    def kill(self) -> None:
        """SIGKILL, or TerminateProcess on Windows."""
        assert self._process is not None and self._process.is_alive(), "the service ended by itself"
        self._process.kill()
        self._process.join()

    def shut_down(self) -> None:
        """The orderly end."""
        assert self._process is not None
        self.client.shut_down()
        self._process.join(20.0)
        assert self._process.exitcode == 0

    def wait_until_up(self) -> None:
        wait_until(self._answers, 60.0, "for the service")

    def _answers(self) -> bool:
        try:
            self.client.status()
        except ClientError:
            return False
        return True

    def end(self) -> None:
        self.client.close()
        if self._process is not None and self._process.is_alive():
            self._process.kill()
            self._process.join()
