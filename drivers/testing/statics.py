"""What a driver's class must state, whatever it drives."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator

from drivers.about import About
from drivers.scpi import Choice, Number, declarations

METHODS = ("identify", "make_safe", "close", "__enter__", "__exit__")


def faults_of(driver: type) -> list[str]:
    """What is missing, each in words; empty for a driver that states it all."""
    return [*_words(driver), *_constructor(driver), *_declarations(driver)]


def _words(driver: type) -> Iterator[str]:
    if not driver.__doc__:
        yield "its class has no docstring that says what it drives, within which limits"
    if not getattr(inspect.getmodule(driver), "__doc__", None):
        yield "its module has no docstring"
    if not isinstance(model := getattr(driver, "model", None), str) or not model:
        yield "it states no 'model'"
    if not isinstance(safe := getattr(driver, "safe_state", None), str) or len(safe) <= 10:
        yield "it does not state its 'safe_state' in words"
    about = getattr(driver, "about", None)
    if not isinstance(about, About) or not (about.connection and about.evidence and about.quirks):
        yield "it does not state its 'about': connection, evidence, quirks"
    for method in METHODS:
        if not callable(getattr(driver, method, None)):
            yield f"it has no method '{method}'"


def _constructor(driver: type) -> Iterator[str]:
    first, *others = inspect.signature(driver).parameters.values()
    if first.name != "address":
        yield f"the first argument of its constructor is {first.name!r}, not 'address'"
    for parameter in others:
        if parameter.kind is not parameter.KEYWORD_ONLY:
            yield f"its setting '{parameter.name}' is not by keyword only"


def _declarations(driver: type) -> Iterator[str]:
    for name, item in declarations(driver).items():
        if not item.__doc__:
            yield f"'{name}' has no doc"
        if isinstance(item, Number):
            if not item.unit:
                yield f"'{name}' has no unit ('1' for a count)"
            if not -math.inf < item.within.low < item.within.high < math.inf:
                yield f"'{name}' has no limits"
            if not 0 <= item.rounding < item.within.high - item.within.low:
                yield f"'{name}' has a rounding beyond its limits"
        if isinstance(item, Choice) and len(item.tokens) < 2:
            yield f"'{name}' is a choice of one"
