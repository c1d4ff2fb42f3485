"""How the page asks for the fields of a question."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

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
def model_choices() -> Sequence[tuple[str, str]]:
    """Ids of models, with their names."""
    return tuple((id, model.name) for id, model in api.models().items())


@functools.cache
def accelerator_choices() -> Sequence[tuple[str, str]]:
    """Ids of accelerators, with their names."""
    return tuple((id, card.name) for id, card in api.accelerators().items())


@functools.cache
def network_choices() -> Sequence[tuple[str, str]]:
    """Ids of networks, with their names."""
    return tuple((id, network.name) for id, network in api.networks().items())


FORMATS: Final = "formats"


@functools.cache
def listed(name: str) -> Sequence[tuple[str, str]]:
    """Suggestions: ``models``, ``accelerators``, ``networks``, ``formats`` or ``engines``."""
    if name == "models":
        return model_choices()
    if name == "accelerators":
        return accelerator_choices()
    if name == "networks":
        return network_choices()
    return tuple((id, "") for id in (api.formats() if name == FORMATS else api.engines()))
