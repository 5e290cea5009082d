"""A calibration session as it is kept: one file each, written anew after each point, never half."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from calibration.data import Frozen, Meter, Reference
from calibration.procedure import Note, Plan, State
from station.calibration_views import PlanOrder, SessionOrder, SessionView

log = logging.getLogger(__name__)
SUFFIX = ".json"
RETRIES = 5  # where another program holds the file, as virus scanners do


class SessionError(Exception):
    """What cannot be done to a calibration session now; the text is for the user."""


class Session(Frozen):
    """Everything that a calibration goes on from, and that its record is made of."""

    id: str
    order: SessionOrder
    plan: Plan
    reference: Reference
    meter: Meter
    began: float
    simulated: bool
    state: State
    deeds: tuple[Note, ...] = ()  # who did what
    warnings: tuple[str, ...] = ()  # that were said at the beginning

    @property
    def sensor(self) -> str:
        return self.order.sensor

    def at(self, state: State) -> Session:
        return self.model_copy(update={"state": state})

    def view(self) -> SessionView:
        state = self.state
        return SessionView(
            session=self.id,
            sensor=self.sensor,
            stage=state.stage,
            started=self.began,
            step=state.done,
            steps=state.done + len(state.todo),
            operator=self.order.operator,
        )


def plan_of(order: PlanOrder, *, driven: bool, reseats: bool) -> Plan:
    """Raises `SessionError` where the order makes no plan."""
    asked = order.model_dump()
    asked["least_load_N"] = order.least_load_N or order.full_load_N / 50
    try:
        return Plan(**asked, driven=driven, reseats=reseats)
    except ValidationError as error:
        said = [str(each["msg"]).removeprefix("Value error, ") for each in error.errors(include_url=False)]
        raise SessionError(f"this procedure cannot be: {'; '.join(said)}") from None


class Sessions:
    """Those of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, session: Session) -> None:
        """Whole or not at all: written beside it, brought to the disk, then put in its place."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(session.id)
        beside = path.with_name(f".{path.name}.unfinished")
        with beside.open("w", encoding="utf-8") as file:
            file.write(session.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        for attempt in range(RETRIES):
            try:
                beside.replace(path)
                break
            except PermissionError:
                if attempt == RETRIES - 1:
                    raise
                time.sleep(0.05)
        _sync_folder(self.folder)

    def load(self, name: str) -> Session:
        """Raises `KeyError` where there is none, `SessionError` where its file cannot be used."""
        path = self._path(name)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise KeyError(f"no calibration session '{name}' in {self.folder}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise SessionError(f"{path}: cannot be read: {error}") from None
        try:
            return Session.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise SessionError(f"{path}: {place}: {first['msg']}; the file was changed by hand or cut") from None

    def all(self) -> Iterator[Session]:
        """Newest first; a file that cannot be used is said in the log, and stays."""
        for path in sorted(self.folder.glob(f"*{SUFFIX}"), reverse=True):
            if path.name.startswith("."):
                continue
            try:
                yield self.load(path.stem)
            except (SessionError, KeyError) as error:
                log.warning("%s", error)

    def _path(self, name: str) -> Path:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            raise KeyError(f"'{name}' is no name of a calibration session")
        return self.folder / f"{name}{SUFFIX}"


def _sync_folder(folder: Path) -> None:
    """So that the new name survives a power cut; Windows has nothing of the kind."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
