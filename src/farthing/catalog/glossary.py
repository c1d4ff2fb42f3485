"""What every field of every record means; docs/terms.md is where it is written."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Mapping
from typing import Final

from farthing import records
from farthing.catalog.load import table
from farthing.errors import UnknownName
from farthing.records.glossary import GlossaryEntry

FILE: Final = "terms.csv"
WORDS: Final = "Words"
"""The section of what is no field of a record."""


def glossary() -> tuple[GlossaryEntry, ...]:
    """Words of the field and fields of records, in the order of docs/terms.md.

    Examples
    --------
    >>> [entry.meaning for entry in glossary() if entry.name == "tp"]
    ['Tensor parallel size']
    """
    return tuple(table(FILE, GlossaryEntry).values())


def term(record: str, field: str) -> GlossaryEntry:
    """What a field of a record means.

    Parameters
    ----------
    record
        Name of the record; empty explains a word, or a field of any.
    field
        Its field or property.

    Raises
    ------
    UnknownName
        No such record; no such field of it; a property or word that nothing explains.

    Examples
    --------
    >>> found = term("Accelerator", "tdp_w")
    >>> found.meaning, found.unit
    ('Power limit', 'W')
    """
    if record:
        known = _fields()
        if record not in known:
            raise UnknownName("record", record, known)
        if field not in known[record]:
            raise UnknownName(f"field of {record}", field, known[record])
    words, explained = _named()
    found = explained.get(field) if record else words.get(field) or explained.get(field)
    if found is None:
        raise UnknownName("term", field, {**words, **explained}, "see: docs/terms.md")
    return found


@functools.cache
def _named() -> tuple[Mapping[str, GlossaryEntry], Mapping[str, GlossaryEntry]]:
    """Words, and fields, by name: a few words are fields too, and mean something else there."""
    words = {entry.name: entry for entry in glossary() if entry.section == WORDS}
    return words, {entry.name: entry for entry in glossary() if entry.section != WORDS}


@functools.cache
def _fields() -> Mapping[str, tuple[str, ...]]:
    """Fields and properties by record; what two records of one name have is taken together."""
    found: dict[str, tuple[str, ...]] = {}
    for module in pkgutil.iter_modules(records.__path__):
        source = importlib.import_module(f"{records.__name__}.{module.name}")
        for name, thing in vars(source).items():
            if (
                isinstance(thing, type)
                and dataclasses.is_dataclass(thing)
                and thing.__module__ == source.__name__
            ):
                properties = (own for own, value in vars(thing).items() if isinstance(value, property))
                own = (*(field.name for field in dataclasses.fields(thing)), *properties)
                found[name] = tuple(dict.fromkeys((*found.get(name, ()), *own)))
    return found
