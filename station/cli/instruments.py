"""instruments list, scan, replay."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from station.cli.common import AsJson, console, err, say_json

if TYPE_CHECKING:
    from drivers.finding import Found
    from drivers.registry import Entry

app = typer.Typer(name="instruments", help="Drivers, and what answers on this computer's lines.", no_args_is_help=True)


@app.command("list")
def list_(
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="this project's own, as in docs/instruments.md")] = False,
) -> None:
    """All drivers: what they can do, where they come from, what they stand on. Exits 1 where one cannot be used."""
    from drivers.registry import OWN, entries

    rows = [_row(entry) for entry in entries()]
    if markdown:
        print("\n".join(_markdown(row for row in rows if row["origin"] == OWN)))
        return
    clashes = {row["driver"] for row in rows if sum(other["driver"] == row["driver"] for other in rows) > 1}
    for row in rows:
        if row["driver"] in clashes:
            row["trouble"] = "two packages claim this name: remove one of them"
    if as_json:
        say_json(rows)
    else:
        table = Table("driver", "instrument", "can be", "connection", "evidence", "from", box=None, pad_edge=False)
        for row in rows:
            roles = ", ".join(row["capabilities"])
            table.add_row(row["driver"], row["model"], roles, row["connection"], row["evidence"], row["origin"])
        console.print(table)
    for row in rows:
        if row["trouble"]:
            err.print(f"{row['driver']} of {row['origin']}: {row['trouble']}", markup=False)
    raise typer.Exit(1 if any(row["trouble"] for row in rows) else 0)


def _row(entry: Entry) -> dict[str, Any]:
    from drivers.registry import SettingsError
    from station.config import capabilities_of

    row = {"driver": entry.name, "model": "", "capabilities": [], "connection": "", "evidence": "", "quirks": ""}
    row |= {"safe_state": "", "origin": entry.origin, "trouble": ""}
    try:
        driver = entry.load()
    except SettingsError as error:
        return row | {"trouble": str(error)}
    about = getattr(driver, "about", None)
    row |= {"model": driver.model, "capabilities": capabilities_of(driver), "safe_state": driver.safe_state}
    if about is not None:
        row |= {"connection": about.connection, "evidence": about.evidence, "quirks": about.quirks}
    return row


def _markdown(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield "| driver | instrument | capabilities | connection | evidence | quirks | safe state |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        capabilities = ", ".join(f"`{name}`" for name in row["capabilities"])
        words = (row["model"], capabilities, row["connection"], row["evidence"], row["quirks"], row["safe_state"])
        yield f"| [{row['driver']}](instruments/{row['driver']}.md) | {' | '.join(words)} |"


@app.command()
def scan(
    visa: Annotated[bool, typer.Option("--visa", help="USB and GPIB instruments, asked *IDN?")] = False,
    serial: Annotated[bool, typer.Option("--serial", help="serial ports; none is opened")] = False,
    ask_serial: Annotated[
        bool, typer.Option("--ask-serial", help="open the serial ports and ask; this restarts many small boards")
    ] = False,
    network: Annotated[
        list[str] | None, typer.Option("--network", help="addresses of a local subnet, such as 192.168.1.0/28")
    ] = None,
    library: Annotated[str, typer.Option(help="VISA library: @py or @ivi")] = "@py",
    as_json: AsJson = False,
) -> None:
    """What answers, which driver fits it, and the lines for station.toml. Without options: VISA and serial ports."""
    from drivers.finding import FindingError, addresses_of, scan_network, scan_serial, scan_visa

    everything = not (visa or serial or ask_serial or network)
    try:
        hosts = [host for text in network or () for host in addresses_of(text)]
    except FindingError as error:
        err.print(str(error), markup=False)
        raise typer.Exit(2) from None
    found: list[Found] = []
    if visa or everything:
        found += scan_visa(library)
    if serial or ask_serial or everything:
        found += scan_serial(ask=ask_serial)
    found += scan_network(hosts)
    if as_json:
        say_json([_plain(each) for each in found])
        return
    for each in found:
        console.print(_in_words(each), markup=False, highlight=False)
    if not found:
        console.print("Nothing found.")
    _print_lines(found)


def _plain(found: Found) -> dict[str, Any]:
    candidates = [{"driver": each.driver, "address": each.address} for each in found.candidates]
    return {"where": found.where, "description": found.description, "said": found.said, "candidates": candidates}


def _in_words(found: Found) -> str:
    fits = " or ".join(candidate.driver for candidate in found.candidates) or ("no driver" if found.said else "")
    parts = [found.description, f"says '{found.said}'" if found.said else "", f"fits: {fits}" if fits else ""]
    return f"{found.where}: {'; '.join(part for part in parts if part)}"


def _print_lines(found: list[Found]) -> None:
    count: dict[str, int] = {}
    for each in found:
        for candidate in each.candidates:
            number = count[candidate.driver] = count.get(candidate.driver, 0) + 1
            console.print("\n" + candidate.lines(f"{candidate.driver}-{number}"), markup=False, highlight=False, end="")


@app.command()
def replay(
    trace: Annotated[Path, typer.Argument(help="a trace, as station.toml's 'trace' records it")],
    port: Annotated[int, typer.Option(help="of the first link; 0 takes a free one")] = 0,
    seconds: Annotated[float | None, typer.Option(help="stop after so long")] = None,
) -> None:
    """Play a recording as a virtual instrument until Ctrl-C. Exits 1 where something was asked that is not in it."""
    from drivers.simulated.replay import replays
    from drivers.transports.trace import TraceError, read_trace

    try:
        lines = read_trace(trace)
    except TraceError as error:
        err.print(str(error), markup=False)
        raise typer.Exit(1) from None
    servers = replays(lines, port=port)
    if not servers:
        err.print(f"{trace}: nothing was sent to an instrument in this recording", markup=False)
        raise typer.Exit(1)
    drivers = {line.link: line.driver for line in lines}
    try:
        for server in servers:
            server.start()
            text = f"{server.link}: driver '{drivers[server.link]}', address '{server.address}'"
            console.print(text, markup=False, highlight=False)
        _wait(seconds)
    finally:
        for server in servers:
            server.stop()
    unexpected = [request for server in servers for request in server.script.unexpected]
    for request in unexpected:
        err.print(f"asked, and not in the recording: {request[:200]!r}", markup=False)
    raise typer.Exit(1 if unexpected else 0)


def _wait(seconds: float | None) -> None:
    end = None if seconds is None else time.monotonic() + seconds
    try:
        while end is None or time.monotonic() < end:
            time.sleep(0.1)
    except KeyboardInterrupt:
        return
