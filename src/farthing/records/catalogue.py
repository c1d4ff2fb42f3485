"""The catalogue as something to look at: its tables, their rows as plain values, and one row in full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Plain = str | int | float | bool | None
"""What a cell of a table holds; None where nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogColumn:
    """A column of a table.

    Attributes
    ----------
    name
        Key of the rows, which ends in the unit that it is shown in: ``memory_gib``.
    title, unit
        What stands above it; ``unit`` is empty for words, counts and shares.
    field
        Field of the record that it shows; empty where it is computed or looked up.
    numeric
        It holds numbers.
    """

    name: str
    title: str
    unit: str = ""
    field: str = ""
    numeric: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogTable:
    """A table of the catalogue.

    Attributes
    ----------
    name, title, description
        As commands call it, as a heading, and in a sentence.
    record
        Name of the record that each row is.
    count
        How many rows it has.
    columns
        What a list of them shows.
    """

    name: str
    title: str
    description: str
    record: str
    count: int
    columns: tuple[CatalogColumn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogRows:
    """Rows of a table.

    Attributes
    ----------
    table
        Which one; its ``count`` is of all its rows.
    rows
        Values by name of the column. ``id`` is always there, and names the row.
    """

    table: CatalogTable
    rows: tuple[Mapping[str, Plain], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogFact:
    """One fact of a row, and where it is from.

    Attributes
    ----------
    name, label
        Field of the record, and in words.
    value, unit
        In SI units, as the record has it.
    words
        The value as people read it.
    source, url, date
        Who says so, the page where it is read, and the day of it; empty where that is not known.
    """

    name: str
    label: str
    value: Plain
    unit: str = ""
    words: str
    source: str = ""
    url: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One row of a table in full.

    Attributes
    ----------
    table, id, name
        Which row of which table.
    record
        Name of the record that it is.
    facts
        All that is known of it; a field that is empty is left out.
    prices
        What it cost, newest first; of a model what its tokens cost.
    notes, source, url
        Caveats, where the row comes from, and the page of that.
    """

    table: str
    id: str
    name: str
    record: str
    facts: tuple[CatalogFact, ...]
    prices: tuple[CatalogFact, ...] = ()
    notes: str = ""
    source: str = ""
    url: str = ""
