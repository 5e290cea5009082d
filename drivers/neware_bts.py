"""NEWARE testers (CT-4008T and its like) through the BTS Client's TCP/XML API, as instrument-sequenced cyclers.

Wire facts: docs/instruments/neware-bts.md (evidence: replies recorded from BTS 8.0; the API document
v1.19 as users quote it). Not run on hardware yet.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import ClassVar, Self
from uuid import uuid4

from drivers.about import About, Probe
from drivers.interface import (
    BadReply,
    CyclerProgram,
    CyclerRecord,
    CyclerState,
    CyclerStatus,
    InstrumentError,
    InstrumentTimeout,
    Measurement,
    OutOfRange,
    Refused,
    WrongInstrument,
)
from drivers.neware_api import PAGE_ROWS, BtsApi, Channel, Live, Verdict, Volume
from drivers.neware_stepfile import INSTRUMENT, StepMap, step_file, step_map, wire_steps
from drivers.neware_totals import Totals

log = logging.getLogger(__name__)

STATES = {
    "working": CyclerState.RUNNING,
    "pause": CyclerState.PAUSED,
    "finish": CyclerState.FINISHED,
    "stop": CyclerState.STOPPED,
    "protect": CyclerState.PROTECTED,
}
ENDED = frozenset({CyclerState.FINISHED, CyclerState.STOPPED, CyclerState.PROTECTED})


class ReplacedTest(Refused):
    """The channel's records belong to another test than the one asked for: someone started it anew."""


class NewareBts:
    """All channels behind one BTS Client; a channel is named "devtype-devid-subdevid-chlid" (27-21-1-1).

    `address` is "host:port" of the BTS Client's PC (port 502 if left out). Step files are written to
    `step_file_folder`, which the BTS Client's PC must see as `step_file_folder_on_client` (`C:\\jobs`
    for a share; the same path if left out). `login` is a user and password for clients that ask for one.
    Call from one thread.
    """

    model: ClassVar[str] = "NEWARE CT-4008T (BTS API)"
    safe_state: ClassVar[str] = (
        "every running test goes on within its own step file's voltage, current and capacity limits; "
        "nothing is stopped unless stop(channel) is called"
    )
    about: ClassVar[About] = About(
        connection="TCP to the BTS Client's PC, XML",
        evidence="replies recorded from BTS 8.0, users' programs; not run on hardware",
        quirks="live values are up to 5 s old; it may name subdevice 1 whatever was asked; tests go on without a PC",
        probes=(
            Probe(
                b'<?xml version="1.0" encoding="UTF-8" ?><bts version="1.0"><cmd>getdevinfo</cmd></bts>\n\n#\r\n',
                "<cmd>getdevinfo_resp</cmd>",
                "{host}:{port}",
                502,
                ends_with=b"#\r\n",
            ),
        ),
    )
    poll_period_s: ClassVar[float] = 5.0  # the vendor refreshes its data no faster
    confirm_s: ClassVar[float] = 30.0  # how long a start or stop may take to show in the status

    def __init__(
        self,
        address: str,
        *,
        step_file_folder: str | Path,
        step_file_folder_on_client: str | None = None,
        timeout_s: float = 30.0,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.address = address
        self._folder = Path(step_file_folder)
        self._folder_on_client = step_file_folder_on_client or str(self._folder.resolve())
        self._channels: dict[str, Channel] = {}
        self._maps: dict[tuple[str, int], StepMap | None] = {}
        self._read: dict[str, tuple[int, Totals]] = {}  # by channel: the test last read and how far
        self._check_folder()
        self._api = BtsApi(address, timeout_s=timeout_s, login=login)
        try:
            self.identify()
        except BadReply as error:
            self.close()
            raise WrongInstrument(
                f"what answers is no BTS API: {error.message}", hint="port 502 is Modbus's too", **self._where()
            ) from error
        except InstrumentError:
            self.close()
            raise

    # --- what every instrument has

    def identify(self) -> str:
        client, channels = self._api.devices()
        if not channels:
            raise WrongInstrument(
                "the BTS Client has no channels", hint="does it show the tester as online?", **self._where()
            )
        self._channels = {channel.name: channel for channel in channels}
        return f"{client or 'BTS Client'}, {len(channels)} channels"

    def make_safe(self) -> None:
        """Stops nothing (see `safe_state`); raises `InstrumentError` where the tester does not answer."""
        self.identify()

    def close(self) -> None:
        """Close the link for good. Running tests go on."""
        self._api.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(self._channels)

    # --- commands

    def check_program(self, program: CyclerProgram) -> None:
        wire_steps(program)

    def start(self, channel: str, program: CyclerProgram, label: str) -> int:
        """Write the step file, start it once and return the test id when the channel is seen running.

        A lost or odd answer is decided from the status, never by starting again. `Refused` says that
        the test does not run, `InstrumentTimeout` that this is not known.
        """
        self.check_program(program)
        _check_label(label)
        target = self._channel(channel)
        if (state := self._state(target)) not in ENDED:
            raise Refused(
                f"channel {channel} is {state.value}; nothing was started",
                hint="look at it in the BTS Client" if state is CyclerState.UNKNOWN else "stop it first",
                **self._where(),
            )
        before = self._volume(target)
        path = self._write_step_file(target, program, label)
        verdict = self._api.start(target, path, label, self._folder_on_client)
        if verdict is Verdict.NO:
            raise Refused(
                f"channel {channel} did not take {path}; the tester gives no reason",
                hint="does the BTS Client's PC see the file under this path?",
                **self._where(),
            )
        test_id = self._seen_running(target, label, before.test_id, verdict)
        self._remember_map(channel, test_id, step_map(program))
        return test_id

    def stop(self, channel: str) -> None:
        """Also where nothing seems to run, for the status may be some seconds old."""
        target = self._channel(channel)
        verdict = self._api.stop(target)
        state = CyclerState.UNKNOWN
        for age_s, status in self._watch(target):
            state = status.state
            if verdict is not Verdict.OK and age_s < self.poll_period_s:
                continue  # only an 'ok' vouches for a status that may be older than the command
            if state in ENDED:
                return
            if verdict is not Verdict.OK:
                verdict = self._api.stop(target)
        raise InstrumentTimeout(
            f"channel {channel} is not stopped: {self.confirm_s:g} s after stop it is {state.value}",
            hint="stop it at the BTS Client or at the tester",
            **self._where(),
        )

    def proceed(self, channel: str) -> None:
        target = self._channel(channel)
        if (state := self._state(target)) is not CyclerState.PAUSED:
            raise Refused(f"channel {channel} is {state.value}, not paused", **self._where())
        self._insist(self._api.proceed(target), "continue", channel)

    def go_to_step(self, channel: str, step: int) -> None:
        target = self._channel(channel)
        if (state := self._state(target)) is not CyclerState.RUNNING:
            raise Refused(f"channel {channel} is {state.value}, not running", **self._where())
        steps = self._map(channel, self._volume(target).test_id)
        try:
            wire = steps.wire_step(step) if steps else step
        except ValueError:
            raise OutOfRange(f"the program on channel {channel} has no step {step}", **self._where()) from None
        self._insist(self._api.go_to(target, wire), f"go to step {step}", channel)

    # --- what the tester says

    def status(self, channels: Sequence[str]) -> Mapping[str, CyclerStatus]:
        """One request each for test ids, live values and states, for all channels.

        Live voltage and current come rounded to 0.1 mV and 0.1 mA; `records` has them in full. A
        channel whose answer names another channel is UNKNOWN.
        """
        statuses = self._as_numbered_by_tester([self._channel(name) for name in channels])
        return {name: self._renumbered(name, status) for name, status in statuses.items()}

    def records(self, channel: str, test_id: int, after: int) -> Sequence[CyclerRecord]:
        """At most 1000 records. The steps are those of the program that was started: the two parts of a
        CCCV are one step, whose time, capacity and energy run through.

        Raises `ReplacedTest` where the tester offers another test's records, and `BadReply` where
        records are missing.
        """
        target = self._channel(channel)
        volume = self._volume(target, test_id)
        if volume.count < after:
            raise BadReply(
                f"channel {channel}, test {test_id}: {volume.count} records, but {after} were read", **self._where()
            )
        if volume.count == after:
            return ()
        rows = self._page(target, test_id, after + 1)
        steps = self._map(channel, test_id)
        totals = self._totals_before(target, test_id, rows, steps)
        made = []
        for row in rows:
            totals = totals.at(row, steps)
            made.append(totals.applied(row, steps))
        self._read[channel] = (test_id, totals)
        return made

    # --- starting

    def _write_step_file(self, target: Channel, program: CyclerProgram, label: str) -> str:
        """Write the file under a new name; returns its path on the BTS Client's PC."""
        now, guid = datetime.now(), uuid4()
        safe_label = re.sub("[^A-Za-z0-9._-]+", "-", label)[:40]
        name = f"{target.name}_{now:%Y%m%d-%H%M%S}_{guid.hex[:6]}_{safe_label}.xml"
        self._write(name, step_file(program, remark=label, created=now, guid=guid))
        folder = self._folder_on_client
        windows = folder.startswith("\\\\") or re.match("[A-Za-z]:", folder)
        return str((PureWindowsPath if windows else PurePosixPath)(folder) / name)

    def _seen_running(self, target: Channel, label: str, before: int, verdict: Verdict) -> int:
        status, last_s, over = None, 0.0, None
        for age_s, status in self._watch(target):
            last_s = age_s
            if status.test_id in (None, before) or status.state is CyclerState.UNKNOWN:
                continue
            if verdict is not Verdict.OK and status.label != label:
                continue  # someone else's, or a label that is older than the test id
            if status.state not in ENDED or over == status.test_id:  # a short test may be over: seen twice
                assert status.test_id is not None
                return status.test_id
            over = status.test_id
        what = f"{label!r} on channel {target.name}: the answer to start was {verdict.value!r}"
        to_the_end = last_s >= self.confirm_s - self.poll_period_s
        if status and to_the_end and status.state in ENDED and (status.test_id or 0) == before:
            raise Refused(f"{what}, and it did not start; it was not sent again", **self._where())
        raise InstrumentTimeout(
            f"{what}, and whether it runs is not known; it was not sent again",
            hint="look at the channel in the BTS Client before anything else",
            **self._where(),
        )

    def _watch(self, target: Channel) -> Iterator[tuple[float, CyclerStatus]]:
        """The channel's status now and every `poll_period_s` for `confirm_s`, each with the time it was asked at.

        Failed requests are logged and passed over: what counts is what the tester says in the end.
        """
        begun = time.monotonic()
        while True:
            asked_s = time.monotonic() - begun
            try:
                yield asked_s, self._as_numbered_by_tester([target])[target.name]
            except InstrumentError as error:
                log.warning("channel %s: %s", target.name, error)
            left_s = begun + self.confirm_s - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(self.poll_period_s, left_s))

    def _insist(self, verdict: Verdict, what: str, channel: str) -> None:
        if verdict is Verdict.NO:
            raise Refused(f"channel {channel} refused {what!r}; the tester gives no reason", **self._where())
        if verdict is Verdict.UNCERTAIN:
            raise InstrumentTimeout(
                f"no certain answer to {what!r} on channel {channel}; it was not sent again",
                hint="look at the channel's step before trying again",
                **self._where(),
            )

    # --- step numbers: the file's and the program's

    def _remember_map(self, channel: str, test_id: int, steps: StepMap) -> None:
        """Keep it beside the step files, for a test outlives this process."""
        self._maps[channel, test_id] = steps
        try:
            self._write(_map_name(channel, test_id), steps.to_text())
        except Refused as error:  # the test runs: that must be told all the same
            log.error("%s: after a restart, steps of test %d will be numbered as in its file", error, test_id)

    def _map(self, channel: str, test_id: int) -> StepMap | None:
        """None for a test that was not started from here: its steps are numbered as its own file's."""
        if (channel, test_id) not in self._maps:
            self._check_folder()
            path = self._folder / _map_name(channel, test_id)
            try:
                self._maps[channel, test_id] = StepMap.from_text(path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                log.warning("channel %s, test %d: not started from here, steps are its file's", channel, test_id)
                self._maps[channel, test_id] = None
            except (OSError, ValueError) as error:
                raise Refused(f"cannot read {path}: {error}", **self._where()) from error
        return self._maps[channel, test_id]

    def _write(self, name: str, text: str) -> None:
        draft = self._folder / f"{name}.part"
        try:
            draft.write_text(text, encoding="utf-8", newline="\n")
            draft.replace(self._folder / name)  # whole or not at all
        except OSError as error:
            raise Refused(
                f"cannot write {name} to {self._folder}: {error.strerror}",
                hint="may this user write to the step-file folder?",
                **self._where(),
            ) from error

    def _check_folder(self) -> None:
        if not self._folder.is_dir():
            raise Refused(f"no step-file folder {self._folder}", hint="is the share mounted?", **self._where())

    # --- records

    def _page(self, target: Channel, test_id: int, start: int) -> list[CyclerRecord]:
        answered, rows = self._api.page(target, test_id, start)
        self._same_test(target, test_id, answered)
        return rows

    def _volume(self, target: Channel, test_id: int = 0) -> Volume:
        """The data set of test `test_id`, or of the latest test for 0."""
        (volume,) = self._api.volumes([target], test_id)
        if volume is None:
            raise BadReply(f"the answer is not about channel {target.name}", **self._where())
        if test_id:
            self._same_test(target, test_id, volume.test_id)
        return volume

    def _same_test(self, target: Channel, asked: int, answered: int) -> None:
        if asked != answered:
            raise ReplacedTest(
                f"channel {target.name} offers records of test {answered}, not of {asked}",
                hint="someone started the channel anew at the BTS Client",
                **self._where(),
            )

    def _totals_before(
        self, target: Channel, test_id: int, rows: Sequence[CyclerRecord], steps: StepMap | None
    ) -> Totals:
        """What came before `rows`: remembered, or looked up where a part of a CCCV came before."""
        read_id, read = self._read.get(target.name, (test_id, Totals()))
        if not rows or steps is None or (read_id == test_id and read.follows(rows[0])):
            return read if read_id == test_id else Totals()
        first, past = rows[0].sequence, list(rows[:1])
        while first > 1 and steps.continues(rows[0].step) and all(row.step == rows[0].step for row in past):
            begin = max(1, first - PAGE_ROWS)
            past = self._page(target, test_id, begin)[: first - begin]
            if len(past) < first - begin:
                raise BadReply(f"channel {target.name}: records {begin} to {first - 1} are incomplete", **self._where())
            first = begin
        totals = Totals()
        for row in past:
            totals = totals.at(row, steps)
        return totals

    # --- values

    def _channel(self, name: str) -> Channel:
        if name not in self._channels:
            raise OutOfRange(f"no channel {name!r}; the tester has {', '.join(self._channels)}", **self._where())
        return self._channels[name]

    def _state(self, target: Channel) -> CyclerState:
        (text,) = self._api.states([target])
        return self._state_of(target, text)

    def _state_of(self, target: Channel, text: str | None) -> CyclerState:
        if text not in STATES:
            self._api.log_once(f"channel {target.name} is in state {text!r}, which is not known")
        return STATES.get(text or "", CyclerState.UNKNOWN)

    def _as_numbered_by_tester(self, targets: Sequence[Channel]) -> dict[str, CyclerStatus]:
        """Statuses whose steps are those of the step file."""
        if not targets:
            return {}
        volumes, live, states = self._api.volumes(targets), self._api.live(targets), self._api.states(targets)
        return {target.name: self._status(target, volumes[n], live[n], states[n]) for n, target in enumerate(targets)}

    def _status(self, target: Channel, volume: Volume | None, live: Live | None, state: str | None) -> CyclerStatus:
        if volume is None or live is None or state is None:
            return CyclerStatus(CyclerState.UNKNOWN, None, "", None, None, None)
        return CyclerStatus(
            state=self._state_of(target, state),
            test_id=volume.test_id or None,
            label=live.barcode,
            step=live.step,
            cycle=live.cycle,
            measurement=Measurement(live.voltage_V, live.current_A),
        )

    def _renumbered(self, channel: str, status: CyclerStatus) -> CyclerStatus:
        if status.test_id is None or status.step is None:
            return status
        steps = self._map(channel, status.test_id)
        return replace(status, step=steps.program_step(status.step)) if steps else status

    def _where(self) -> dict[str, str]:
        return {"instrument": INSTRUMENT, "address": self.address}


def _check_label(label: str) -> None:
    if not label.isprintable() or not label.strip():
        raise OutOfRange(f"label {label!r} is empty or has characters that cannot be printed", instrument=INSTRUMENT)


def _map_name(channel: str, test_id: int) -> str:
    return f"{channel}_test{test_id}.steps"
