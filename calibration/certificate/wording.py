"""Words that several parts of a certificate use."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup


def duration(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size or (unit == "h" and seconds >= size):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    return capital(text.rstrip(".")) + "."


def formula(text: str) -> Markup:
    """A formula in plain text (`a · x^(−b)`, `p_i`, `R0`) with raised and lowered signs and slanted letters."""
    for pattern, replacement in (
        (r"\b([RFabckmpi])(?=\b|[_0-9])", r"<i>\1</i>"),
        (r"\^\(([^()]*)\)|\^(<i>\w</i>)", r"<sup>\1\2</sup>"),
        (r"_(\w)|(?<=</i>)([0-9])", r"<sub>\1\2</sub>"),
    ):
        text = re.sub(pattern, replacement, text)
    return Markup(text)


def listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def named(name: str, value: str) -> str:
    return f"{name} {value}" if value else ""
