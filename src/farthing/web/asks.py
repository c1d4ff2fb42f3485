"""What a view asks: fields as data, from which its form, its schema and its command follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from farthing.errors import InvalidInput
from farthing.web import kinds
from farthing.web.kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One field of a question.

    Attributes
    ----------
    name
        As the Python call names it, in SI units.
    title, text
        Its label, and what it means, in a sentence.
    kind
        What it holds.
    section
        Of the form; sections that are not the first are folded.
    default
        What counts where nothing is given, in words, for the page.
    flag
        Its option in the command; ``--`` and the name with dashes unless stated; ``-`` is none, and an empty
        one stands alone as an argument. ``--x/--no-x`` gives both answers of a flag.
    slider
        Least and most of a slider beside the number.
    belongs
        Fields that it says something about: the page drops it where one of them changes.
    in_python
        Whether the Python call takes it.
    """

    name: str
    title: str
    text: str
    kind: Kind
    section: str = ""
    default: str = ""
    flag: str | None = None
    slider: tuple[int, int] | None = None
    belongs: tuple[str, ...] = ()
    in_python: bool = True

    @property
    def option(self) -> str:
        """Its option in the command.

        Examples
        --------
        >>> Ask(name="batch_size", title="Batch", text="Sequences.", kind=kinds.count()).option
        '--batch-size'
        """
        return "--" + self.name.replace("_", "-") if self.flag is None else self.flag


class Question(BaseModel):
    """A question: what is left out, or left empty, is not given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            return {name: value for name, value in values.items() if value not in ("", None)}
        return values

    @property
    def given(self) -> dict[str, Any]:
        """The fields that were given, by name."""
        return {
            name: value for name, value in self.model_dump(exclude_unset=True).items() if value is not None
        }


def in_text(value: Any) -> str:
    """A value as an address or a field has it.

    Examples
    --------
    >>> in_text(("a", "b")), in_text(True)
    ('a,b', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(in_text, value)) if isinstance(value, (tuple, list)) else f"{value}"


def question_model(name: str, asks: Iterable[Ask], doc: str) -> type[Question]:
    """A pydantic model of the fields that a view asks.

    Examples
    --------
    >>> model = question_model("Load", [Ask(name="tp", title="", text="", kind=kinds.count())], "A load.")
    >>> model(tp="8").given
    {'tp': 8}
    """
    fields: dict[str, Any] = {
        ask.name: (ask.kind.annotation | None, Field(default=None, description=ask.text, title=ask.title))
        for ask in asks
    }
    model: type[Question] = create_model(name, __base__=Question, __doc__=doc, **fields)
    return model


def read_question(model: type[Question], values: Mapping[str, Any]) -> Question:
    """A question from what was sent.

    Raises
    ------
    InvalidInput
        The first thing that is wrong with it.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise InvalidInput(complaint(error.errors(include_url=False), model.model_fields)) from None


_BODIES: Final = {
    "json_invalid": 'the body is not JSON; send an object of fields such as {"model": "llama-2-70b"}',
    "missing": "the body is empty; send an object of fields as JSON",
    "model_attributes_type": "the body is no object of fields; send JSON, and say so: content-type: "
    "application/json",
    "model_type": "the question is no object of fields; send JSON",
}
"""What is wrong with a body as a whole, by pydantic's word for it."""


def complaint(errors: Sequence[Any], known: Iterable[str] = ()) -> str:
    """What is wrong, in a sentence that names the field; nothing else of what was sent."""
    first = errors[0]
    place = [str(part) for part in first["loc"] if part not in ("query", "body")]
    where = place[0] if place else "the question"
    if first["type"] == "extra_forbidden":
        listed = ", ".join(known)
        return f"unknown field; known: {listed}" if listed else "unknown field"
    if first["type"] in _BODIES:
        return _BODIES[first["type"]]
    cause = first.get("ctx", {}).get("error")
    return f"{where}: {cause}" if isinstance(cause, InvalidInput) else f"{where}: {first['msg']}"


def command_line(words: Sequence[str], asks: Iterable[Ask], given: Mapping[str, Any]) -> str:
    """The command that asks the same.

    Examples
    --------
    >>> asks = [Ask(name="model", title="", text="", kind=kinds.name(), flag=""),
    ...         Ask(name="tpot_s", title="", text="", kind=kinds.seconds(), flag="--tpot")]
    >>> command_line(["infer"], asks, {"model": "llama-2-7b", "tpot_s": 0.05})
    'farthing infer llama-2-7b --tpot 50ms'
    """
    parts = ["farthing", *words]
    for ask in asks:
        if ask.name not in given or ask.option == "-":
            continue
        value = given[ask.name]
        if isinstance(value, bool):
            yes, _, no = ask.option.partition("/")
            parts += [word for word in (yes if value else no,) if word]
        elif ask.kind.repeats:
            for one in value:
                parts += [ask.option, kinds.quoted(ask.kind.command(one))]
        else:
            words_of_it = kinds.quoted(ask.kind.command(value))
            parts += [ask.option, words_of_it] if ask.option else [words_of_it]
    return " ".join(parts)


PYTHON_WIDTH: Final = 88


def python_call(function: str, positional: Sequence[str], given: Mapping[str, Any], **more: Any) -> str:
    """The Python call that asks the same.

    Examples
    --------
    >>> print(python_call("infer", ["model"], {"model": "llama-2-7b", "tp": 8}))
    import farthing
    <BLANKLINE>
    farthing.infer("llama-2-7b", tp=8)
    """
    arguments = [kinds.in_python(given[name]) for name in positional if name in given]
    named = {name: value for name, value in given.items() if name not in positional} | more
    changes = named.pop("changes", ())
    if changes:
        # A shape of one's own is made first.
        words = ", ".join(map(kinds.in_python, changes))
        shape = f"farthing.api.find_model({arguments[0]}, **farthing.api.parsed_changes([{words}]))"
        arguments[0] = shape
    arguments += [f"{name}={kinds.in_python(value)}" for name, value in named.items()]
    call = f"farthing.{function}({', '.join(arguments)})"
    if len(call) > PYTHON_WIDTH:
        inner = "".join(f"    {argument},\n" for argument in arguments)
        call = f"farthing.{function}(\n{inner})"
    module = "farthing.api" if "farthing.api." in call else "farthing"
    return f"import {module}\n\n{call}"
