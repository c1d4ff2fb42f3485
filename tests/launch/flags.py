"""Strict parsers of command lines, built from the lists of real options in ``flags/``.

A list has a line an option: its spellings, how many values it takes (empty one, 0 a switch, ``+`` or ``*``
several), the kind of value, and the allowed words. Its first lines name the engine's version and the source.
"""

from __future__ import annotations

import csv
import functools
import json
import shlex
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "flags"


@dataclass(frozen=True)
class Option:
    """An option of an engine."""

    names: tuple[str, ...]
    nargs: str
    kind: str
    choices: tuple[str, ...]


@functools.cache
def options(program: str) -> dict[str, Option]:
    """The options of a program by each of their spellings."""
    lines = (FOLDER / f"{program}.csv").read_text("utf-8").splitlines()
    found = {}
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        option = Option(tuple(row["names"].split()), row["nargs"], row["type"], tuple(row["choices"].split()))
        found |= dict.fromkeys(option.names, option)
    return found


def header(program: str) -> str:
    """What the list says of its version and source."""
    lines = (FOLDER / f"{program}.csv").read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith("#"))


def words(text: str) -> tuple[dict[str, str], list[str]]:
    """Variables and words of a command, as a shell reads them; a shell's own variable becomes a 1."""
    assert not text.rstrip().endswith("\\"), "a trailing backslash"
    assert "\t" not in text, "a tab"
    found = shlex.split(text.replace("\\\n", " "))
    variables = {}
    while "=" in found[0] and not found[0].startswith("-"):
        name, _, value = found.pop(0).partition("=")
        variables[name] = value
    return variables, ["1" if word.startswith("$") else word for word in found]


def parse(program: str, arguments: list[str]) -> dict[str, list[str]]:
    """Values by the option's first spelling; anything that the program would not take fails."""
    known = options(program)
    found: dict[str, list[str]] = {}
    place = 0
    while place < len(arguments):
        word = arguments[place]
        assert word in known, f"{program} has no option {word!r}"
        option = known[word]
        place += 1
        values = []
        while place < len(arguments) and not _is_option(arguments[place]):
            values.append(arguments[place])
            place += 1
        if option.nargs == "0":
            assert not values, f"{word} is a switch, and got {values}"
        elif option.nargs in ("+", "*"):
            assert values or option.nargs == "*", f"{word} has no value"
        else:
            assert len(values) == 1, f"{word} takes one value, not {values}"
        for value in values:
            check_value(word, option, value)
        assert option.names[0] not in found, f"{word} is there twice"
        found[option.names[0]] = values
    return found


def _is_option(word: str) -> bool:
    return word.startswith("-") and not word.removeprefix("-").replace(".", "").isdigit()


def check_value(word: str, option: Option, value: str) -> None:
    """The value is of the option's kind and one of its words."""
    assert value, f"{word} has an empty value"
    if option.choices:
        assert value in option.choices, f"{word} must be one of {option.choices}, not {value!r}"
    if option.kind == "int":
        int(value)
    elif option.kind == "float":
        float(value)
    elif option.kind == "json":
        json.loads(value)
