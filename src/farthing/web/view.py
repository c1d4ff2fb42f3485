"""What a view is: a question, its answer, and the forms in which the answer is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from farthing.records.chart import Chart
from farthing.records.term import Term
from farthing.web.asks import Ask, Question, command_line, python_call, question_model

Given = Mapping[str, Any]
"""Fields that were given, by name, in SI units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An answer as the page shows it.

    Attributes
    ----------
    headline
        What was asked, in a line.
    verdict
        The answer, in a sentence.
    good
        Whether the answer is one: a plan that fits, a build that does. None where that is no question.
    charts
        As data, in their order.
    more
        What the view's own template shows, by name.
    """

    headline: str = ""
    verdict: str = ""
    good: bool | None = None
    charts: Sequence[Chart] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How a number comes about.

    Attributes
    ----------
    title, value
        The number's name, and itself in words.
    meaning
        What it is, in a sentence.
    terms
        Its derivation; empty where it has none of its own.
    notes
        What else is to know: intervals, prices and their dates.
    facts
        Names and words of what belongs to it.
    source, url
        Where it is from, and the page of that.
    """

    title: str
    value: str = ""
    meaning: str = ""
    terms: Sequence[Term] = ()
    notes: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    source: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One view of the page, and what stands behind it under ``/api``.

    Attributes
    ----------
    name, title, lead
        Of the address, of the menu, and a sentence under the title.
    asks
        The fields of the question.
    ask
        The answer to the fields that were given.
    show
        The answer as the page shows it.
    later
        What the page asks for when the answer is there, since it takes longer: names for the template
        ``NAME_later.html``; None where all is shown at once.
    record
        The answer as JSON in SI units: what the command prints with ``--json``.
    rows
        The answer as a table.
    explain
        How a number of the answer comes about, by its name; None where none is explained.
    intro
        What is said above the answer where no question was asked yet.
    first
        The fields of the question that is shown before any is asked.
    verb
        What its button says.
    slow
        Whether it may take seconds: such questions wait for each other, not for the quick ones.
    commands
        The command from what was given, where its words depend on that.
    command, function, positional, python
        The words of the command, the Python function, the fields that it takes by place, and what it takes
        besides.
    call
        The Python call from what was given, where it is not that function of these fields as they stand.
    needed, filled
        Fields that a question must give, and those that stand as in ``first`` where it leaves them out.
    schema
        The records of the answer, for OpenAPI.
    """

    name: str
    title: str
    lead: str
    asks: Sequence[Ask]
    ask: Callable[[Given], Any]
    show: Callable[[Given, Any], Shown]
    record: Callable[[Given, Any], Any]
    rows: Callable[[Any], Sequence[Mapping[str, Any]]]
    explain: Callable[[Given, Any, str], Explanation] | None = None
    later: Callable[[Given, Any], Mapping[str, Any]] | None = None
    intro: str = ""
    first: Given = field(default_factory=dict)
    verb: str = "Answer"
    slow: bool = False
    command: Sequence[str] = ()
    commands: Callable[[Given], str] | None = None
    function: str = ""
    positional: Sequence[str] = ()
    python: Given = field(default_factory=dict)
    call: Callable[[Given], str] | None = None
    needed: Sequence[str] = ()
    filled: Sequence[str] = ()
    schema: Any = None

    @property
    def question(self) -> type[Question]:
        """The pydantic model of its question."""
        return _model(self.name, tuple(self.asks), self.lead)

    def command_line(self, given: Given) -> str:
        """The command that asks the same; empty where there is none."""
        if self.commands is not None:
            return self.commands(given)
        return command_line(self.command, self.asks, given) if self.command else ""

    def python_call(self, given: Given) -> str:
        """The Python call that asks the same; empty where there is none."""
        if self.call is not None:
            return self.call(given)
        if not self.function:
            return ""
        taken = {ask.name for ask in self.asks if ask.in_python}
        kept = {name: value for name, value in given.items() if name in taken}
        return python_call(self.function, self.positional, kept, **self.python)


_MODELS: dict[str, type[Question]] = {}


def _model(name: str, asks: tuple[Ask, ...], lead: str) -> type[Question]:
    if name not in _MODELS:
        _MODELS[name] = question_model(f"{name.title().replace('-', '')}Question", asks, lead)
    return _MODELS[name]
