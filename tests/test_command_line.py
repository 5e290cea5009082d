"""docs/command-line.md names every command and every option that there is, and none that is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from station.cli import app

PAGE = (Path(__file__).parents[1] / "docs" / "command-line.md").read_text(encoding="utf-8")
SUMMARY, _, REFERENCE = PAGE.partition("## All options")
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(group, TyperGroup):
        for name, command in group.commands.items():
            yield from commands(command, (*path, name))
    else:
        assert isinstance(group, TyperCommand)
        yield " ".join(path), group


def options(command: TyperCommand) -> set[str]:
    """All spellings of all options that `--help` shows."""
    shown = (each for each in command.params if isinstance(each, TyperOption) and not each.hidden)
    return {spelling for each in shown for spelling in (*each.opts, *each.secondary_opts)}


COMMANDS = dict(commands(typer.main.get_command(app)))
ROWS = {
    name: set(OPTION.findall(cells))
    for names, cells in re.findall(r"^\| (`[^|]*`) \| (.*) \|$", REFERENCE, re.MULTILINE)
    for name in re.findall(r"`([^`]+)`", names)
}


def test_the_reference_has_every_command_and_option_and_no_other() -> None:
    assert {name: options(command) for name, command in COMMANDS.items()} == ROWS


def said_of(summary: str) -> Iterator[tuple[str, str]]:
    """Each command that the summary names, with what stands behind it; a bare word belongs to the group before it."""
    for cell in re.findall(r"^\| (`.*?`) \|(?: [^|]|\\\|)", summary.replace("\\|", "¦"), re.MULTILINE):
        group = ""
        for span in re.findall(r"`([^`]+)`", cell):
            words = span.removeprefix("cellstation ").split()
            meant = [" ".join(words[:2]), words[0]]
            if not span.startswith("cellstation "):
                meant.insert(0, f"{group} {words[0]}")
            name = next((each for each in meant if each in COMMANDS), span)
            yield name, span
            group = name.split()[0]


def test_the_summary_names_every_command_and_only_options_that_it_has() -> None:
    named = set()
    for name, span in said_of(SUMMARY):
        assert name in COMMANDS, span
        named.add(name)
        unknown = set(OPTION.findall(span)) - options(COMMANDS[name])
        assert not unknown, f"'{name}' has no {', '.join(sorted(unknown))}"
    assert named == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_says_what_it_is(name: str) -> None:
    shown = [each for each in COMMANDS[name].params if isinstance(each, TyperOption) and not each.hidden]
    assert [each.opts[0] for each in shown if not each.help] == []
