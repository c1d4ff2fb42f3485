"""Options that commands share: kinds of values, sections of the help, completion of names."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from farthing.errors import InvalidInput, UnknownName
from farthing.units import parse_seconds, parse_tokens

F = TypeVar("F", bound=Callable[..., Any])

LAST: Final = "Output"
"""The section of the help that closes it."""

MOST: Final = 10**9
"""Larger sizes of a plan are slips of the finger."""


class Count(click.ParamType[int]):
    """A whole number, also as ``4k`` (4000) or ``2M``."""

    name = "count"

    def __init__(self, least: int = 1, most: int = MOST) -> None:
        self.least = least
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of a text."""
        if isinstance(value, int):
            return value
        if "," in value:
            self.fail(f"{_short(value)} is several numbers; give one, without commas", param, ctx)
        negative = value.strip().startswith("-")
        try:
            number = parse_tokens(value.strip().removeprefix("-"))
        except InvalidInput:
            number = math.nan
        if not number.is_integer():
            self.fail(f"{_short(value)} is not a whole number; write it like 8 or 4k (4000)", param, ctx)
        number = -number if negative else number
        if not self.least <= number <= self.most:
            self.fail(f"{_short(value)} is out of range: give {self.least:,} to {self.most:,}", param, ctx)
        return int(number)


class Tokens(click.ParamType[float]):
    """A number of tokens such as ``2T``."""

    name = "tokens"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number of a text."""
        if isinstance(value, float):
            return value
        try:
            number = parse_tokens(value)
        except InvalidInput as error:
            self.fail(str(error), param, ctx)
        if not 1 <= number <= 1e18:
            self.fail(f"{_short(value)} is out of range: give 1 to 1e18, e.g. 2T", param, ctx)
        return number


class Number(click.ParamType[float]):
    """A number in a range."""

    name = "number"

    def __init__(self, least: float = 0.0, most: float = 1e12, *, positive: bool = False) -> None:
        self.least = least
        self.most = most
        self.positive = positive

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number of a text."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{_short(value)} is not a number; write it like 0.25", param, ctx)
        if not self.least <= number <= self.most:
            self.fail(f"{number:g} is out of range: give {self.least:g} to {self.most:g}", param, ctx)
        if self.positive and not number:
            self.fail(f"{_short(value)} is out of range: give more than 0", param, ctx)
        return number


class Word(click.ParamType[str]):
    """One of a few words; an unknown one gets the nearest offered."""

    name = "word"

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The words themselves."""
        return "[" + "|".join(self.words) + "]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word, if it is one."""
        word = str(value).strip().lower()
        if word not in self.words:
            kind = (param.name or "word").replace("_", " ") if param else "word"
            raise UnknownName(kind, str(value), self.words, f"one of {', '.join(self.words)}")
        return word

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words that begin so."""
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class CountList(click.ParamType[tuple[int, ...]]):
    """Whole numbers with commas."""

    name = "counts"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The numbers of a text."""
        if isinstance(value, tuple):
            return value
        return tuple(Count().convert(part, param, ctx) for part in _parts(value, self, param, ctx))


class Several(click.ParamType[Any]):
    """One value of a kind, or several with commas: what a search may choose from."""

    name = "values"

    def __init__(self, kind: click.ParamType[Any]) -> None:
        self.kind = kind

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Of the kind, with the sign that more may follow."""
        own = self.kind.get_metavar(param, ctx) or self.kind.name.upper()
        return f"{own}[,...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value, or a tuple of several."""
        if not isinstance(value, str):
            return value
        found = [self.kind.convert(part, param, ctx) for part in _parts(value, self, param, ctx)]
        return found[0] if len(found) == 1 else tuple(dict.fromkeys(found))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Of the value behind the last comma."""
        done, comma, rest = incomplete.rpartition(",")
        items = self.kind.shell_complete(ctx, param, rest)
        return [CompletionItem(done + comma + str(item.value)) for item in items]


class Name(click.ParamType[str]):
    """A name of the catalogue, which the command itself looks up."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text."""
        return str(value).strip()


class Duration(click.ParamType[float]):
    """A time such as ``50ms``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        if value.strip()[-1:].isdigit():
            # Whoever leaves out the unit may mean any.
            self.fail(f"{_short(value)} has no unit; write it like 50ms, 2s, 10min or 3h", param, ctx)
        try:
            seconds = parse_seconds(value)
        except InvalidInput as error:
            self.fail(str(error), param, ctx)
        if not 0 < seconds <= 1e12:
            self.fail(f"{_short(value)} is out of range: give more than 0, e.g. 50ms", param, ctx)
        return seconds


def _parts(
    text: str, kind: click.ParamType[Any], param: click.Parameter | None, ctx: click.Context | None
) -> list[str]:
    """What stands between commas; a single text may be empty, which the kind of value judges."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 1 and not all(parts):
        kind.fail(
            f"{_short(text)} has nothing between two commas or at an end; write it like a,b", param, ctx
        )
    return parts


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


class Option(click.Option):
    """An option that belongs to a section of the help."""

    def __init__(self, *args: Any, section: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class Command(click.Command):
    """A command whose help groups its options by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One definition list for each section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                sections.setdefault(getattr(param, "section", LAST), []).append(record)
        last = sections.pop(LAST, [])
        for title, records in [*sections.items(), (LAST, last)]:
            with formatter.section(title):
                formatter.write_dl(records, col_max=34)


def option(section: str, *names: str, **kwargs: Any) -> Callable[[F], F]:
    """An option in a section of the help."""
    return click.option(*names, cls=Option, section=section, **kwargs)


def field_option(section: str, record: type, *names: str, text: str, **kwargs: Any) -> Callable[[F], F]:
    """An option for a field of a record, left out unless given; its help says the record's default.

    Parameters
    ----------
    names
        The field, then the spellings.
    text
        Help, without the default.
    """
    default = next(f.default for f in dataclasses.fields(record) if f.name == names[0])
    if default not in (dataclasses.MISSING, "", 0, (), None) or default is False:
        word = (
            {True: "yes", False: "no"}[default]
            if isinstance(default, bool)
            else f"{default:g}"
            if (isinstance(default, float))
            else str(default)
        )
        text = f"{text}  [default: {word}]"
    return option(section, *names, default=None, help=text, **kwargs)


def joined(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Decorators in the order in which the help shows their options."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of models, or files."""
    from farthing import api

    found = [CompletionItem(id) for id in api.models() if id.startswith(incomplete.lower())]
    return found or [CompletionItem(incomplete, type="file")]


def complete_accelerator(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of accelerators."""
    from farthing import api

    return [CompletionItem(id) for id in api.accelerators() if id.startswith(incomplete.lower())]


def complete_cluster(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The accelerator behind ``2x4:``, or the network behind ``@``."""
    from farthing import api

    start = max(incomplete.rfind(sign) for sign in ":+@") + 1
    done, word = incomplete[:start], incomplete[start:].lower()
    known: Iterable[str] = api.networks() if done.endswith("@") else api.accelerators()
    return [CompletionItem(done + id) for id in known if id.startswith(word)]


def complete_format(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of number formats."""
    from farthing import api

    return _behind_comma(incomplete, api.formats())


def complete_engine(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of engines."""
    from farthing import api

    return _behind_comma(incomplete, api.engines())


def _behind_comma(incomplete: str, known: Iterable[str]) -> list[CompletionItem]:
    done, comma, rest = incomplete.rpartition(",")
    return [CompletionItem(done + comma + id) for id in known if id.startswith(rest.lower())]


def output_options(function: F) -> F:
    """``--json`` and ``--debug``, which every command has."""
    return joined(
        option(LAST, "as_json", "--json", is_flag=True, help="JSON in SI units, and nothing else."),
        option(LAST, "--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."),
    )(function)


def model_options(function: F) -> F:
    """The model and changes to its shape."""
    return joined(
        click.argument("model", shell_complete=complete_model),
        option(
            "Model",
            "changes",
            "--set",
            multiple=True,
            metavar="FIELD=VALUE",
            help="Change a field of the shape, e.g. --set layers=40. Repeatable.",
        ),
    )(function)


def cluster_option(function: F) -> F:
    """The hardware."""
    return option(
        "Hardware",
        "cluster",
        "--on",
        "--cluster",
        required=True,
        metavar="CLUSTER",
        shell_complete=complete_cluster,
        help="HOSTSxCARDS:ACCELERATOR@NETWORK such as 2x4:rtx-4090@25gbe, a .toml file, or - for TOML on "
        "standard input.",
    )(function)


def cost_options(function: F) -> F:
    """How money is counted."""
    names = (
        ("usd_per_kwh", "Price of electricity [USD/kWh].", "0.12"),
        ("years", "Years until bought hardware is written off.", "3"),
        ("pue", "Power of the building over power of the machines.", "1.2"),
        ("usd_per_accelerator", "Your price of a card [USD].", "the catalogue's"),
        ("usd_per_accelerator_hour", "Your rent of a card [USD/hour].", "the catalogue's"),
    )
    return joined(
        *(
            option(
                "Cost",
                name,
                "--" + name.replace("_", "-"),
                type=Number(0.0, 1e9),
                help=f"{text}  [default: {default}]",
            )
            for name, text, default in names
        )
    )(function)


def estimate_options(function: F) -> F:
    """How much is shown of an estimate."""
    return joined(
        option(LAST, "--ideal", is_flag=True, help="Paper arithmetic: every efficiency is 1."),
        option(LAST, "--explain", is_flag=True, help="Derive memory and times as on paper."),
        option(
            LAST,
            "--explain-depth",
            type=Count(1, 100),
            default=4,
            metavar="LEVELS",
            help="Levels of the derivation.  [default: 4]",
        ),
        option(
            LAST,
            "--sensitivity/--no-sensitivity",
            default=True,
            help="What a 10% better part gives.  [default: yes]",
        ),
    )(function)


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the user gave."""
    return {name: value for name, value in options.items() if value is not None}


def refuse_two_inputs(*texts: str) -> None:
    """Standard input can be read once."""
    if sum(text.strip() == "-" for text in texts) > 1:
        raise InvalidInput("only one of model and cluster can be read from standard input; name a file")
