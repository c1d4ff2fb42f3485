"""Where traces of requests keep what: the layouts that are recognised, and columns that the caller names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from farthing.errors import InvalidInput, UnknownName
from farthing.units import parse_seconds

FIELDS: Final = ("arrival", "prompt", "output", "priority", "prefix")
"""What a request of a trace can tell; the first three it must."""
REQUIRED: Final = FIELDS[:3]
MOST_NAMES: Final = 20
"""Columns that an error lists."""
EXAMPLE: Final = "columns arrival=time:ms, prompt=input, output=output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns of a CSV file, or keys of JSON objects, that tell of a request.

    Attributes
    ----------
    name, title
        Short, and for people.
    arrival, prompt, output, priority, prefix
        Names of columns; of the last two ``""`` where there is none.
    unit_s
        Of arrivals that are numbers [s]; 0 where the first value decides: seconds, or date-times.
    block_tokens
        Tokens that one id of ``prefix`` stands for.
    mark
        Another column by which the layout is told from one with the same columns.
    """

    name: str
    title: str
    arrival: str
    prompt: str
    output: str
    priority: str = ""
    prefix: str = ""
    unit_s: float = 0.0
    block_tokens: int = 0
    mark: str = ""

    @property
    def columns(self) -> dict[str, str]:
        """Names of columns by field, of those that are there."""
        return {field: getattr(self, field) for field in FIELDS if getattr(self, field)}

    def lacking(self, names: Sequence[str]) -> list[str]:
        """Columns that a file with these names would need to have."""
        wanted = (self.arrival, self.prompt, self.output, self.mark)
        return [name for name in wanted if name and name not in names]


LAYOUTS: Final = (
    Layout(
        name="azure",
        title="Azure LLM inference trace",
        arrival="TIMESTAMP",
        prompt="ContextTokens",
        output="GeneratedTokens",
    ),
    Layout(
        name="bailian",
        title="Qwen-Bailian usage trace",
        arrival="timestamp",
        prompt="input_length",
        output="output_length",
        prefix="hash_ids",
        unit_s=1.0,
        block_tokens=16,
        mark="chat_id",
    ),
    Layout(
        name="mooncake",
        title="Mooncake trace",
        arrival="timestamp",
        prompt="input_length",
        output="output_length",
        prefix="hash_ids",
        unit_s=1e-3,
        block_tokens=512,
    ),
    Layout(
        name="burstgpt",
        title="BurstGPT trace",
        arrival="Timestamp",
        prompt="Request tokens",
        output="Response tokens",
        unit_s=1.0,
    ),
)
"""A layout with a mark stands before the one that it is told from."""


def layout_of(where: str, names: Sequence[str], columns: Mapping[str, str] | None, layout: str) -> Layout:
    """The layout of a file.

    Parameters
    ----------
    where
        The file, for errors.
    names
        Of its columns or keys.
    columns
        Which of them tell what, by field; None to recognise the layout.
    layout
        Name of a layout that it must have; ``""`` to recognise it.

    Examples
    --------
    >>> layout_of("t.csv", ["Timestamp", "Request tokens", "Response tokens"], None, "").name
    'burstgpt'
    >>> columns = {"arrival": "at:ms", "prompt": "in", "output": "out"}
    >>> layout_of("t.csv", ["at", "in", "out"], columns, "").unit_s
    0.001
    """
    if columns is not None:
        if layout:
            raise InvalidInput(f"{where}: give a layout or columns, not both")
        return _named(where, names, columns)
    known = {one.name: one for one in LAYOUTS}
    if layout and layout not in known:
        raise UnknownName("layout of traces", layout, known)
    candidates = [known[layout]] if layout else LAYOUTS
    nearest = min(candidates, key=lambda one: len(one.lacking(names)))
    lacking = nearest.lacking(names)
    if not lacking:
        return nearest if nearest.prefix in names else replace(nearest, prefix="", block_tokens=0)
    said = f"{where} has the columns {listed(names)}"
    if layout or len(lacking) < len(nearest.columns):
        offers = [near for name in lacking for near in difflib.get_close_matches(name, names, n=1)]
        offer = f" (did you mean {', '.join(offers)}?)" if offers else ""
        said += f": like layout {nearest.name}, but without {', '.join(lacking)}{offer}"
    else:
        said += f", of none of the layouts {', '.join(known)}"
    raise InvalidInput(f"{said}; say which tell what, e.g. {EXAMPLE}")


def listed(names: Sequence[str]) -> str:
    """Names in a row, of many the first.

    Examples
    --------
    >>> listed(["at", "in", "out"])
    'at, in, out'
    """
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _named(where: str, names: Sequence[str], columns: Mapping[str, str]) -> Layout:
    for field in columns:
        if field not in FIELDS:
            raise UnknownName("field of a trace", str(field), FIELDS, f"fields: {', '.join(FIELDS)}")
    lacking = [field for field in REQUIRED if field not in columns]
    if lacking:
        raise InvalidInput(f"{where}: say which column tells {', '.join(lacking)}, e.g. {EXAMPLE}")
    unit_s, block_tokens = 0.0, 0
    found = dict(columns)
    for field, name in columns.items():
        if name in names:
            continue
        bare, colon, suffix = str(name).rpartition(":")
        if field in ("arrival", "prefix") and colon and bare in names:
            found[field] = bare
            if field == "arrival":
                unit_s = _unit_s(where, suffix)
            else:
                block_tokens = _block_tokens(where, suffix)
            continue
        asked = bare if colon and field in ("arrival", "prefix") else str(name)
        raise UnknownName(f"column in {where}:", asked, names)
    if "prefix" in found and not block_tokens:
        raise InvalidInput(
            f"{where}: say how many tokens a block of the prefix has, e.g. {found['prefix']}:16"
        )
    twice = next((name for name in found.values() if list(found.values()).count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"{where}: column {twice!r} cannot tell two things; name another for one of them")
    return Layout(name="columns", title="columns named", **found, unit_s=unit_s, block_tokens=block_tokens)


def _unit_s(where: str, unit: str) -> float:
    try:
        return parse_seconds(f"1{unit}")
    except InvalidInput:
        raise InvalidInput(f"{where}: {unit!r} is no unit of arrivals; use s, ms, us or ns") from None


def _block_tokens(where: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65536:
        raise InvalidInput(f"{where}: a block of the prefix has 1 to 65536 tokens, not {text!r}")
    return int(text)
