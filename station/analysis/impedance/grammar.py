"""The notation of circuits, read by recursive descent; a circuit string is never evaluated as code.

    series    = item { ["-" | "+"] item }            one after the other
    item      = atom { "/" atom }                     "/": in parallel
    atom      = element | "p(" series { "," series } ")" | "[" series "]" | "(" group ")"
    group     = item { item } | item { "-" item }     side by side; in a row
    element   = symbol [ "_" ] [ digits ]             R1, CPE2, Wo1

Parentheses hold what is in parallel: `R1-(Q2R2)`. Parentheses directly within them hold what is in series, as in
B. A. Boukamp's circuit description code (Solid State Ionics 20 (1986) 31), and so does every group with "-":
`R1-(Q2(R2W2))` and `R1-(Q2(R2-W2))` are the same. `p(R2-Wo1,C2)` and `Q2/(R2+W2)` are other programs' words for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from station.analysis.errors import AnalysisError
from station.analysis.impedance.elements import ELEMENTS, Element

_ELEMENT = re.compile(rf"({'|'.join(sorted(ELEMENTS, key=len, reverse=True))})(_?\d*)")
_OPENING = re.compile(r"p\s*\(|[(\[]")
_DEEPEST = 40


class CircuitError(AnalysisError):
    """A circuit string that cannot be read. `column` counts from 1."""

    def __init__(self, text: str, at: int, what: str) -> None:
        self.column = at + 1
        super().__init__(f"circuit, column {self.column}: {what}\n  {text}\n  {' ' * at}^")


@dataclass(frozen=True, slots=True)
class Named:
    """An element as written."""

    symbol: str
    number: str
    at: int  # where in the text, from 0

    @property
    def kind(self) -> type[Element]:
        return ELEMENTS[self.symbol]


@dataclass(frozen=True, slots=True)
class Group:
    """Two or more in series, or in parallel."""

    series: bool
    parts: tuple[Tree, ...]


Tree: TypeAlias = Named | Group


def parse(text: str) -> Tree:
    """The tree of `text`; raises `CircuitError`."""
    reader = _Reader(text)
    tree = reader.series()
    if not reader.ended:
        reader.fail(
            f"'{reader.next}' closes nothing" if reader.next in ")]" else f"'{reader.next}' does not belong here"
        )
    return tree


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text.replace("\n", " ").replace("\t", " "), 0, 0

    @property
    def next(self) -> str:
        while self._at < len(self._text) and self._text[self._at] == " ":
            self._at += 1
        return self._text[self._at : self._at + 1]

    @property
    def ended(self) -> bool:
        return not self.next

    def fail(self, what: str, at: int | None = None) -> NoReturn:
        raise CircuitError(self._text, self._at if at is None else at, what)

    def series(self) -> Tree:
        """Items in a row, up to what closes them."""
        parts = [self._item(within_parallel=False)]
        while self.next and self.next not in ")],":
            self._take("-+")
            parts.append(self._item(within_parallel=False))
        return _group(True, parts)

    def _item(self, *, within_parallel: bool) -> Tree:
        parts = [self._atom(within_parallel=within_parallel)]
        while self._take("/"):
            parts.append(self._atom(within_parallel=True))
        return _group(False, parts)

    def _atom(self, *, within_parallel: bool) -> Tree:
        opening = _OPENING.match(self._text, self._at if self.next else len(self._text))
        if opening is None:
            return self._element()
        opened, self._at, self._depth = self._at, opening.end(), self._depth + 1
        if self._depth > _DEEPEST:
            self.fail(f"more than {_DEEPEST} brackets within each other", opened)
        if opening[0] == "[":
            tree = self._closed(self.series(), "]", opened)
        elif opening[0] == "(":
            tree = self._closed(self._in_parentheses(series=within_parallel), ")", opened)
        else:
            branches = [self.series()]
            while self._take(","):
                branches.append(self.series())
            tree = self._closed(_group(False, branches), ")", opened)
        self._depth -= 1
        return tree

    def _in_parentheses(self, *, series: bool) -> Tree:
        """Side by side, in parallel unless they are within what is in parallel; with '-', in series."""
        signed = self._signed()
        series = series or signed
        parts = [self._item(within_parallel=not series)]
        while self.next and self.next not in ")],":
            at = self._at
            if self._take("-+") != signed:
                self.fail("here '-' and elements side by side are mixed: say by parentheses which belong together", at)
            parts.append(self._item(within_parallel=not series))
        return _group(series, parts)

    def _signed(self) -> bool:
        """Whether the group that begins here has a '-' of its own."""
        depth = 0
        for character in self._text[self._at :]:
            depth += (character in "([") - (character in ")]")
            if depth < 0:
                return False
            if depth == 0 and character in "-+":
                return True
        return False

    def _closed(self, tree: Tree, bracket: str, opened: int) -> Tree:
        if not self._take(bracket):
            if self.ended:
                self.fail(f"this is never closed with '{bracket}'", opened)
            self.fail(f"'{bracket}' is wanted instead of '{self.next}'")
        return tree

    def _element(self) -> Tree:
        if self.ended:
            self.fail("an element is missing at the end" if self._text.strip() else "there is no circuit")
        match = _ELEMENT.match(self._text, self._at)
        if match is None:
            if self.next.isalpha():
                self.fail(f"no element begins with '{self.next}'; there are {', '.join(ELEMENTS)}")
            self.fail(f"an element is wanted instead of '{self.next}'")
        at, self._at = self._at, match.end()
        return Named(match[1], match[2], at)

    def _take(self, characters: str) -> bool:
        if self.next and self.next in characters:
            self._at += 1
            return True
        return False


def _group(series: bool, parts: list[Tree]) -> Tree:
    """One in a row is itself; series within series are one."""
    flat: list[Tree] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Group) and part.series == series else (part,))
    return flat[0] if len(flat) == 1 else Group(series, tuple(flat))
