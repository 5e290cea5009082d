"""What several commands share."""

from __future__ import annotations

import dataclasses
import getpass
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console

from protocols import library
from station.access import DEFAULT_URL, token
from station.client import Client

if TYPE_CHECKING:
    from station.store import Archive

console = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True)

Connect = Annotated[str, typer.Option("--connect", help="URL of the running station", envvar="CELLSTATION_URL")]
AsJson = Annotated[bool, typer.Option("--json", help="machine-readable output")]
Database = Annotated[
    str | None, typer.Option("--db", help="database URL; otherwise that of station.toml in this folder")
]
CONNECT_DEFAULT = DEFAULT_URL


def client(url: str) -> Client:
    return Client(url, token())


def who() -> str:
    """The person at the keyboard, for the audit log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id
        return "someone"


def protocol_path(protocol: str) -> Path:
    """A file, or that of the library's protocol of this name; raises `KeyError` that names a close match."""
    path = Path(protocol)
    return path if path.suffix in (".yaml", ".yml") or path.is_file() else library.path(protocol)


def say_json(content: Any) -> None:
    json.dump(_plain(content), sys.stdout, ensure_ascii=False, indent=2)
    print()


def _plain(content: Any) -> Any:
    if isinstance(content, BaseModel):
        return content.model_dump(mode="json")
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        return {field.name: _plain(getattr(content, field.name)) for field in dataclasses.fields(content)}
    if isinstance(content, dict):
        return {name: _plain(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(each) for each in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None  # JSON has no word for it
    return content


def resolved_run(archive: Archive, run_id: str) -> str:
    """The id itself, or that of the newest run for 'last'."""
    if run_id != "last":
        return run_id
    views = archive.runs()
    if not views:
        raise KeyError("there is no run in this database")
    return views[0].run_id


def database_url(given: str | None) -> str:
    """From the option, or from `station.toml` in this folder."""
    if given is not None:
        return given
    from station.config import read_config

    return read_config(Path("station.toml")).station.database


def calibrations_folder(given: Path | None) -> Path:
    """From the option, or from `station.toml` in this folder, or the one that a station has without being told."""
    if given is not None:
        return given
    from station.config import StationSection, read_config

    path = Path("station.toml")
    return read_config(path).station.calibrations if path.is_file() else StationSection().calibrations
