"""A YAML file with positions: every message about it names file, line and column."""

from __future__ import annotations

import difflib
import functools
import io
import itertools
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

M = TypeVar("M", bound=BaseModel)
_NOT_YAML = (YAMLError, ValueError, TypeError, AttributeError, LookupError, NotImplementedError, AssertionError)
"""What ruamel.yaml raises on odd texts, not all of it on purpose."""
Place = tuple[str | int, ...]
MOST_PARTS = 100_000  # in one file, aliases written out
_YAML_IN_WORDS = (
    (r"character '\\t'", "a tab; YAML is indented with spaces"),
    (r"mapping values are not allowed", "a ':' that does not belong here; is the line indented as its neighbours are?"),
    (r"but found '<stream end>'", "the file ends too early; is a bracket not closed?"),
    (r"unexpected end of stream", "the file ends within a quoted text; is a quote not closed?"),
    (r"but found another document", "a second document begins here ('---'); a file holds one"),
    (r"character '[@`%]' that cannot start", "a text that begins so needs quotes around it"),
    (r"expected <block end>, but found", "does not fit what is above it; is the line indented as its neighbours are?"),
    (r"expected ',' or '[\]}]'", "a ',' or a closing bracket is missing before this"),
)
"""What the parser says, and what it means to who wrote the file."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file; line and column count from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class DocumentError(Exception):
    """A file that cannot be used, with every problem found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Document:
    """A parsed YAML file that knows where each of its parts stands."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.text = text
        try:
            self._tree = YAML(typ="rt").load(io.StringIO(text))
            self.data = _plain(self._tree, itertools.count(1))
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            raise DocumentError([Problem(file, line, column, _yaml_in_words(error))]) from None
        except ReaderError as error:
            before = text[: error.position].split("\n")
            said = f"a character that YAML does not allow, U+{error.character:04X}"
            raise DocumentError([Problem(file, len(before), len(before[-1]) + 1, said)]) from None
        except RecursionError:
            raise DocumentError([Problem(file, 1, 1, "is nested too deeply")]) from None
        except _NOT_YAML as error:
            plain = isinstance(error, YAMLError | ValueError) and " ".join(str(error).split())
            said = plain or "an alias that refers to itself, or an odd tag"
            raise DocumentError([Problem(file, 1, 1, f"is not YAML: {said}")]) from None

    @classmethod
    def read(cls, path: Path) -> Document:
        try:
            return cls(path.read_text(encoding="utf-8-sig"), str(path))
        except OSError as error:
            raise DocumentError([Problem(str(path), 1, 1, f"cannot be read: {error.strerror}")]) from None
        except UnicodeDecodeError as error:
            raise DocumentError([Problem(str(path), 1, 1, f"is not UTF-8 text (byte {error.start})")]) from None

    def problem(self, place: Place, message: str) -> Problem:
        """A problem at `place`, or at the innermost part of it that stands in the file."""
        line, column = self._position(place)
        return Problem(self.file, line, column, message)

    def as_model(self, model: type[M], data: Any = None) -> M:
        """The document (or `data`, a changed copy of it) as `model`; raises `DocumentError` with all problems."""
        content = self.data if data is None else data
        if not isinstance(content, dict):
            raise DocumentError([Problem(self.file, 1, 1, "is empty or not a mapping of keys to values")])
        try:
            return model.model_validate(content)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            problems = [self.problem(e["loc"], in_words(e, model)) for e in errors if not _follows_from(e, errors)]
            raise DocumentError(sorted(dict.fromkeys(problems), key=lambda p: (p.line, p.column))) from None

    def _position(self, place: Place) -> tuple[int, int]:
        node: Any = self._tree
        line, column = 0, 0
        for key in place:
            if isinstance(node, Mapping) and isinstance(key, int):
                continue  # a single mapping stands where a list may
            try:
                marks: Any = node
                line, column = marks.lc.key(key) if isinstance(node, Mapping) else marks.lc.item(key)
                node = node[key]
            except (AttributeError, KeyError, IndexError, TypeError):
                break
        return line + 1, column + 1


def _yaml_in_words(error: MarkedYAMLError) -> str:
    said = " ".join(str(error.problem or error.context or "this is not YAML").split())
    return next((f"{words} ({said})" for pattern, words in _YAML_IN_WORDS if re.search(pattern, said)), said)


def _plain(node: Any, parts: Iterator[int]) -> Any:
    if next(parts) > MOST_PARTS:
        raise ValueError("too many parts")
    if isinstance(node, Mapping):
        plain = {str(key): _plain(value, parts) for key, value in node.items()}
        if len(plain) < len(node):
            raise ValueError(f"a key stands twice, as a number and as a text, among {', '.join(plain)}")
        return plain
    if isinstance(node, list):
        return [_plain(value, parts) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return str(node)


def _follows_from(error: ErrorDetails, others: Sequence[ErrorDetails]) -> bool:
    """Whether a list is only too short because its items are wrong, which is said of each already."""
    place = error["loc"]
    return error["type"] == "too_short" and any(len(e["loc"]) > len(place) == _shared(e["loc"], place) for e in others)


def _shared(one: Place, other: Place) -> int:
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def in_words(error: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong with one key of what a person wrote, with the key that may have been meant."""
    key = str(error["loc"][-1]) if error["loc"] else ""
    what = f"'{key}'" if error["loc"] and isinstance(error["loc"][-1], str) else "each item here"
    match error["type"]:
        case "int_type" | "float_type" | "string_type" if key in ("int", "float", "str"):  # each part of a union
            return f"'{error['loc'][-2]}' is a number or a text, not {reprlib.repr(error['input'])}"
        case "extra_forbidden":
            known = _keys_beside(model, error["loc"])
            close = difflib.get_close_matches(key, known, n=1)
            meant = f"; did you mean '{close[0]}'?" if close else f"; known here: {', '.join(known)}" if known else ""
            return f"'{key}' is not known here{meant}"
        case "missing":
            return f"'{key}' is missing"
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
        case "model_type" | "dict_type":
            return f"{what} is a mapping of keys to values, not {reprlib.repr(error['input'])}"
        case "tuple_type" | "list_type":
            return f"{what} is a list, not {reprlib.repr(error['input'])}"
        case _:
            return f"{what}: {error['msg'][:1].lower()}{error['msg'][1:]}, not {reprlib.repr(error['input'])}"


def _keys_beside(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The keys that `model` knows where the unknown one stands, in the order in which they are declared."""
    schema = _schema(model)
    node: Any = schema
    for key in loc[:-1]:
        node = _descend(schema, node, key)
        if node is None:
            return []
    return list(_resolve(schema, node).get("properties", {}))


@functools.cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def _descend(schema: Any, node: Any, key: str | int) -> Any:
    resolved = _resolve(schema, node)
    if isinstance(key, int):
        return resolved.get("items")
    any_key = next(iter(resolved.get("patternProperties", {}).values()), resolved.get("additionalProperties"))
    found = resolved.get("properties", {}).get(key, any_key)
    return found if isinstance(found, dict) else None


def _resolve(schema: Any, node: Any) -> dict[str, Any]:
    for option in (node, *node.get("anyOf", ())):
        if "$ref" in option:
            name = re.sub(r".*/", "", option["$ref"])
            return dict(schema["$defs"][name])
        if option.get("type") in ("object", "array") and ("properties" in option or "items" in option):
            return dict(option)
    return dict(node)
