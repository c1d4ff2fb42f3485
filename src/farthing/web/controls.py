"""How the page asks for the fields of a question."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from farthing import api
from farthing.web.asks import Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One field of a form.

    Attributes
    ----------
    ask
        The field.
    text
        What stands in it.
    choices
        Value and words of each that can be chosen.
    """

    ask: Ask
    text: str
    choices: Sequence[tuple[str, str]] = ()


def control(ask: Ask, text: str) -> Control:
    """The control of a field with what was given.

    Examples
    --------
    >>> from farthing.web.kinds import word
    >>> control(Ask(name="x", title="X", text="", kind=word(["a", "b"])), "a").choices
    (('a', 'a'), ('b', 'b'))
    """
    return Control(ask=ask, text=text, choices=_choices(ask))


def _choices(ask: Ask) -> Sequence[tuple[str, str]]:
    if ask.kind.choices is not None:
        return ask.kind.choices()
    if ask.kind.control == "select":
        return tuple((word, word) for word in ask.kind.words)
    if ask.kind.control == "flag":
        return (("yes", "yes"), ("no", "no"))
    return ()


@functools.cache
def suggestions(kind: str) -> Sequence[tuple[str, str]]:
    """Ids of the catalogue that a control suggests, with their names.

    Examples
    --------
    >>> dict(suggestions("accelerators"))["rtx-4090"]
    'GeForce RTX 4090'
    """
    found = {
        "models": api.models,
        "accelerators": api.accelerators,
        "networks": api.networks,
        "formats": api.formats,
        "engines": api.engines,
    }[kind]()
    if isinstance(found, Mapping):
        return tuple((id, getattr(one, "name", "")) for id, one in found.items())
    return tuple((id, "") for id in found)
