"""What the documentation names is there: pages and headings that are linked, commands with their options, modules."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_command_line import COMMANDS, OPTION, options

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]
OURS = ("calibration", "cellstation", "drivers", "gui", "protocols", "station")
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def anchors(path: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def typed(page: str) -> Iterator[tuple[str, set[str]]]:
    """Each command that a page types, and its options."""
    text = text_of(page).replace("\\\n", " ").replace("\\|", "¦")
    for line in re.findall(r"(?:(?<=[\s`/(])|^)cellstation ([^`|\n]+)", text):
        words = QUOTED.sub("X", line.partition(" #")[0]).split()
        name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS), None)
        if name is not None:
            yield name, set(OPTION.findall(" ".join(words)))


@pytest.mark.parametrize("page", PAGES)
def test_every_command_has_the_options_that_it_is_typed_with(page: str) -> None:
    for name, given in typed(page):
        assert given <= options(COMMANDS[name]) | {"--help"}, name


@pytest.mark.parametrize("page", PAGES)
def test_what_an_example_imports_is_there(page: str) -> None:
    pattern = rf"^ *from (?:{'|'.join(OURS)})[\w.]* import .*$"
    lines = "\n".join(re.findall(pattern, text_of(page), re.MULTILINE))
    for node in ast.walk(ast.parse(re.sub(r"^ +", "", lines, flags=re.MULTILINE))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            module = importlib.import_module(node.module)
            missing = [one.name for one in node.names if not hasattr(module, one.name)]
            assert not missing, f"{node.module} has no {', '.join(missing)}"
