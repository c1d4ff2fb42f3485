"""Kinds of values that a question holds: read from text or JSON, told in OpenAPI, written in a command."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, TypeAdapter, WithJsonSchema

from farthing.errors import InvalidInput
from farthing.units import DAY, HOUR, MONTH, parse_bytes, parse_seconds, parse_tokens

Control = Literal["text", "select", "flag", "cluster", "clusters", "number", "hidden"]

Suggested = Literal["", "models", "accelerators", "networks", "formats", "engines"]
"""Names of the catalogue that a control suggests."""

LONGEST: Final = 400
"""Characters of a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a field of a question holds.

    Attributes
    ----------
    annotation
        What pydantic reads it as; a text becomes the value that it stands for.
    control
        What the page asks for it with.
    words
        Of a choice.
    command
        The value in a command line, before it is quoted.
    repeats
        Whether a command names its option once for each of several values.
    choices
        Values that can be chosen, with their titles; looked up when the page asks.
    suggested
        What the page suggests while one types.
    """

    annotation: Any
    control: Control = "text"
    words: tuple[str, ...] = ()
    command: Callable[[Any], str] = str
    repeats: bool = False
    choices: Callable[[], Sequence[tuple[str, str]]] | None = None
    suggested: Suggested = ""


def _kind(
    read: Callable[[Any], Any],
    schema: dict[str, Any],
    control: Control = "text",
    words: tuple[str, ...] = (),
    command: Callable[[Any], str] = str,
) -> Kind:
    annotation = Annotated[Any, BeforeValidator(read), WithJsonSchema(schema)]
    return Kind(annotation=annotation, control=control, words=words, command=command)


def _short(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _in_range(number: float, least: float, most: float, value: Any) -> float:
    if not least <= number <= most:
        raise InvalidInput(f"{_short(value)} is out of range: give {least:,.12g} to {most:,.12g}")
    return number


def _read_count(value: Any, least: int, most: int) -> int:
    number: float = math.nan
    if _is_number(value):
        number = value
    elif isinstance(value, str):
        try:
            number = parse_tokens(value.strip().removeprefix("-"))
        except InvalidInput:
            number = math.nan
        number = -number if value.strip().startswith("-") else number
    if not math.isfinite(number) or number != int(number):
        raise InvalidInput(f"{_short(value)} is not a whole number; write it like 8 or 4k (4000)")
    return int(_in_range(number, least, most, value))


def _text_of(unit: str) -> dict[str, Any]:
    """The schema of a number that is written as a text, with a unit."""
    return {"type": "string", "pattern": rf"^[0-9][0-9_,]*\.?[0-9]*([eE][+-]?[0-9]+)?{unit}$"}


def count(least: int = 1, most: int = 10**9) -> Kind:
    """A whole number, also as ``4k``.

    Examples
    --------
    >>> from pydantic import TypeAdapter
    >>> TypeAdapter(count().annotation).validate_python("4k")
    4000
    """
    schema = {
        "anyOf": [{"type": "integer", "minimum": least, "maximum": most}, _text_of(r"\s*[kKmMgGbBtTpP]?")],
        "description": "A whole number, or one like 4k.",
    }
    return _kind(lambda value: _read_count(value, least, most), schema, "number")


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value[:LONGEST].split(",")]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _joined(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def several(one: Kind, always: bool = False, most: int = 32) -> Kind:
    """A value of a kind, or several with commas or as a list; ``always`` a tuple.

    Examples
    --------
    >>> from pydantic import TypeAdapter
    >>> TypeAdapter(several(count()).annotation).validate_python("4,8")
    (4, 8)
    """
    adapter = TypeAdapter(one.annotation)
    part = adapter.json_schema()

    def read(value: Any) -> Any:
        found = tuple(dict.fromkeys(adapter.validate_python(item) for item in _listed(value)))
        if not found:
            raise InvalidInput("the list is empty: give one value or more, or leave the field out")
        if len(found) > most:
            raise InvalidInput(f"{len(found)} values are too many: give at most {most}")
        return found if always or len(found) > 1 else found[0]

    schema = {"anyOf": [part, {"type": "array", "items": part, "minItems": 1, "maxItems": most}]}
    return replace(_kind(read, schema, "text", one.words, _joined), suggested=one.suggested)


def repeated(one: Kind, most: int = 32) -> Kind:
    """Values of a kind, for each of which a command names its option again."""
    control: Control = "clusters" if one.control == "cluster" else "text"
    return replace(several(one, always=True, most=most), command=one.command, repeats=True, control=control)


def counts() -> Kind:
    """Whole numbers in their order, such as the layers of each stage."""

    def read(value: Any) -> tuple[int, ...]:
        return tuple(_read_count(part, 1, 10**6) for part in _listed(value)[:10_000])

    return _kind(
        read,
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]},
        command=_joined,
    )


def number(least: float = 0.0, most: float = 1e12, *, positive: bool = False) -> Kind:
    """A number in a range; ``positive`` leaves 0 out.

    Examples
    --------
    >>> from pydantic import TypeAdapter
    >>> TypeAdapter(number(0, 1).annotation).validate_python("0.25")
    0.25
    """

    def read(value: Any) -> float:
        try:
            found = float(value) if isinstance(value, str) or _is_number(value) else math.nan
        except (ValueError, OverflowError):
            found = math.nan
        if not math.isfinite(found):
            raise InvalidInput(f"{_short(value)} is not a number; write it like 0.25")
        if positive and found == 0:
            raise InvalidInput(f"{_short(value)} is out of range: give more than 0")
        return _in_range(found, least, most, value)

    return _kind(
        read,
        {"anyOf": [{"type": "number", "minimum": least, "maximum": most}, _text_of("")]},
        "number",
        command=lambda value: f"{value:.12g}",
    )


def tokens() -> Kind:
    """A number of tokens such as ``2T``."""

    def read(value: Any) -> float:
        found = parse_tokens(value) if isinstance(value, str) else value if _is_number(value) else math.nan
        if not math.isfinite(found):
            raise InvalidInput(f"{_short(value)} is not a count; write it like 2T, 15B or 300M")
        return float(_in_range(found, 1, 1e18, value))

    return _kind(
        read,
        {"anyOf": [{"type": "number", "minimum": 1, "maximum": 1e18}, _text_of(r"\s*[kKmMgGbBtTpP]?")]},
        command=lambda value: f"{value:.12g}",
    )


def seconds(most: float = 1e12, *, zero: bool = False) -> Kind:
    """A time: seconds, or a text such as ``50ms``; ``zero`` lets it be none.

    Examples
    --------
    >>> from pydantic import TypeAdapter
    >>> kind = seconds()
    >>> TypeAdapter(kind.annotation).validate_python("50ms"), kind.command(0.05)
    (0.05, '50ms')
    """

    def read(value: Any) -> float:
        found = parse_seconds(value) if isinstance(value, str) else value if _is_number(value) else math.nan
        if not math.isfinite(found) or found < 0 or (found == 0 and not zero):
            least = "of 0 or more" if zero else "above 0"
            raise InvalidInput(f"{_short(value)} is no time {least}; write it like 50ms, 2s, 10min or 3h")
        if found > most:
            raise InvalidInput(f"{_short(value)} is too long: give at most {_time(most)}")
        return float(found)

    return _kind(
        read,
        {
            "anyOf": [
                {"type": "number", "minimum" if zero else "exclusiveMinimum": 0, "maximum": most},
                _text_of(r"\s*(s|ms|us|ns|min|h|d)?"),
            ],
            "description": "Seconds, or a text with its unit such as 50ms, 2s, 10min, 3h or 30d.",
        },
        command=_time,
    )


def _time(value: float) -> str:
    for factor, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if value >= factor and value % factor == 0:
            return f"{value / factor:.12g}{unit}"
    return f"{value * 1000:.12g}ms" if 0 < value < 1 else f"{value:.12g}s"


def size(*, rate: bool = False) -> Kind:
    """Bytes, or a text such as ``5.7TB``; a ``rate`` in bytes a second.

    Examples
    --------
    >>> from pydantic import TypeAdapter
    >>> kind = size(rate=True)
    >>> TypeAdapter(kind.annotation).validate_python("2TB/s"), kind.command(2e12)
    (2000000000000.0, '2TB/s')
    """
    ending, example = ("/s", "2TB/s") if rate else ("", "5.7TB")

    def read(value: Any) -> float:
        found = float(value) if _is_number(value) else math.nan
        if isinstance(value, str) and len(value) <= LONGEST:
            try:
                found = parse_bytes(value.strip().removesuffix(ending))
            except InvalidInput:
                found = math.nan
        if not 0 < found <= 1e18:
            raise InvalidInput(f"{_short(value)} is no {'rate' if rate else 'size'}; write it like {example}")
        return found

    schema = {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": 1e18},
            _text_of(r"\s*([kKmMgGtTpP]?[iI]?[bB])?" + (f"({ending})?" if rate else "")),
        ],
        "description": f"Bytes{' a second' if rate else ''}, or a text with its unit such as {example}.",
    }
    return _kind(read, schema, command=lambda value: _bytes(value) + ending)


def _bytes(value: float) -> str:
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if value >= factor:
            return f"{value / factor:.12g}{unit}"
    return f"{value:.12g}B"


def money_rate(most: float = 1e9) -> Kind:
    """Money a second: USD/s, or a text with its time such as ``12/h``.

    Examples
    --------
    >>> from pydantic import TypeAdapter
    >>> kind = money_rate()
    >>> TypeAdapter(kind.annotation).validate_python("36/h"), kind.command(0.01)
    (0.01, '36')
    """
    spans = {"s": 1.0, "h": HOUR, "day": DAY, "month": MONTH}

    def read(value: Any) -> float:
        found = float(value) if _is_number(value) else math.nan
        if isinstance(value, str) and len(value) <= LONGEST:
            amount, _, span = value.replace("$", "").partition("/")
            try:
                found = float(amount) / spans[span.strip().lower()]
            except (KeyError, ValueError):
                found = math.nan
        if not 0 < found <= most:
            raise InvalidInput(
                f"{_short(value)} is no money for a time; write it like 12/h, 300/day or 9000/month"
            )
        return found

    schema = {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": most},
            {"type": "string", "pattern": r"^\$?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\s*/\s*(s|h|day|month)$"},
        ],
        "description": "USD a second, or a text with its time such as 12/h, 300/day or 9000/month.",
    }
    return _kind(read, schema, command=lambda value: f"{value * HOUR:.12g}")


def or_word(other: Kind, own: str) -> Kind:
    """A value of a kind, or one word.

    Examples
    --------
    >>> from pydantic import TypeAdapter
    >>> adapter = TypeAdapter(or_word(number(0, 1), "market").annotation)
    >>> adapter.validate_python("Market"), adapter.validate_python("0.3")
    ('market', 0.3)
    """
    adapter = TypeAdapter(other.annotation)

    def read(value: Any) -> Any:
        if isinstance(value, str) and value.strip().lower() == own:
            return own
        return adapter.validate_python(value)

    def command(value: Any) -> str:
        return own if value == own else other.command(value)

    return _kind(read, {"anyOf": [adapter.json_schema(), {"const": own}]}, command=command)


def word(words: Iterable[str], flags: Mapping[str, str] | None = None) -> Kind:
    """One of a few words; with ``flags`` each is an option of its own in a command."""
    listed = tuple(words)

    def read(value: Any) -> str:
        text = str(value).strip().lower()[:LONGEST]
        if text not in listed:
            raise InvalidInput(f"{_short(value)} is none of {', '.join(listed)}; choose one of these")
        return text

    command = (flags or {word: word for word in listed}).__getitem__
    return _kind(read, {"type": "string", "enum": list(listed)}, "select", listed, command)


_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def text(pattern: str = "", what: str = "a text", control: Control = "text") -> Kind:
    """A text of one line, in a pattern."""
    wanted = re.compile(pattern or r".*")

    def read(value: Any) -> str:
        if not isinstance(value, str) or len(value) > LONGEST or _FORBIDDEN.search(value):
            raise InvalidInput(f"{_short(value)} is not {what}: give at most {LONGEST} ordinary characters")
        found = value.strip()
        if not wanted.fullmatch(found):
            raise InvalidInput(f"{_short(value)} is not {what}")
        return found

    return _kind(read, {"type": "string", "maxLength": LONGEST}, control)


def name(suggested: Suggested = "") -> Kind:
    """A name of the catalogue."""
    return replace(text(r"[A-Za-z0-9][A-Za-z0-9 ._/+-]*", "a name"), suggested=suggested)


_LOOSE: Final = re.compile(r"(?:(\d+)\s*[x×*]\s*)?([a-z][a-z0-9 .-]*)", re.IGNORECASE)
"""Cards as people write them: ``3x RTX 3090``."""


def cluster() -> Kind:
    """Hardware such as ``2x8:h100-sxm@ib-ndr``, or cards as people write them; no file.

    Examples
    --------
    >>> from pydantic import TypeAdapter
    >>> adapter = TypeAdapter(cluster().annotation)
    >>> adapter.validate_python("3x RTX 3090"), adapter.validate_python("rtx3090")
    ('1x3:rtx-3090', 'rtx-3090')
    """
    kind = text(
        r"(?i:(?!.*\.toml$))[A-Za-z0-9][A-Za-z0-9.:@+x×*_ -]*",
        "a cluster; write it like 2x8:h100-sxm@ib-ndr: hosts x cards, the accelerator, the network",
        "cluster",
    )
    adapter = TypeAdapter(kind.annotation)

    def read(value: Any) -> str:
        found: str = adapter.validate_python(value)
        loose = _LOOSE.fullmatch(found)
        if loose is None:
            return found
        count, card = loose.groups()
        id = re.sub(r"^(rtx|gtx|rx)[- ]*(?=\d)", r"\1-", "-".join(card.lower().split()))
        return f"1x{count}:{id}" if count else id

    return replace(
        kind, annotation=Annotated[Any, BeforeValidator(read), WithJsonSchema(adapter.json_schema())]
    )


_FLAGS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def flag() -> Kind:
    """Yes or no."""

    def read(value: Any) -> bool:
        found = value if isinstance(value, bool) else _FLAGS.get(str(value).strip().lower())
        if found is None:
            raise InvalidInput(f"{_short(value)} is neither yes nor no")
        return found

    return _kind(read, {"type": "boolean"}, "flag")


class Source(str):
    """Python source that stands for a value."""

    __slots__ = ()


def in_python(value: Any) -> str:
    """A value as Python source.

    Examples
    --------
    >>> in_python("fp8"), in_python((4, 8)), in_python(0.05), in_python(2e12)
    ('"fp8"', '[4, 8]', '0.05', '2e12')
    """
    if isinstance(value, Source):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(map(in_python, value)) + "]"
    if isinstance(value, float) and value >= 1e6:
        return f"{value:.12g}".replace("e+", "e")
    return repr(value)


def quoted(value: str) -> str:
    """A word of a command line."""
    return shlex.quote(value)


def chosen(one: Kind, choices: Callable[[], Sequence[tuple[str, str]]]) -> Kind:
    """A value that the page lets one choose by titles; others are for whoever answers to refuse."""
    return replace(one, control="select", choices=choices)


def hidden(one: Kind) -> Kind:
    """A value that the page sets by links alone."""
    return replace(one, control="hidden")
