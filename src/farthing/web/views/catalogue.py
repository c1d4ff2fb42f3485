"""Catalogue: what is known of hardware, models, software, prices and places, with the source of each fact."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from farthing import api
from farthing.errors import UnknownName
from farthing.records.catalogue import CatalogColumn, CatalogEntry, CatalogRows, CatalogTable, Plain
from farthing.web.asks import Ask, python_call
from farthing.web.estimate_parts import meaning
from farthing.web.kinds import chosen, hidden, quoted, text
from farthing.web.view import Explanation, Given, Shown, View

MOST: Final = 300
"""Rows that a page shows; the CSV has all."""

FIRST: Final = {"table": "accelerators"}

_GPU_SORT: Final = {
    "id": "id",
    "vendor": "vendor",
    "year": "year",
    "memory_gib": "memory",
    "memory_gb_per_s": "bandwidth",
    "training_tflop_per_s": "compute",
    "tdp_w": "power",
}
"""Columns that ``farthing gpu list`` sorts by, and its words for them."""

_LISTED: Final = frozenset(
    {"links", "nics", "switches", "hosts", "parts", "host-parts", "countries", "hosting", "facilities"}
    | {"resale", "api-prices", "engines", "formats"}
)
"""Tables that ``farthing catalog list`` knows."""

_SHOWN: Final = _LISTED - {"host-parts", "resale", "api-prices"}
"""Those whose rows ``farthing catalog show`` knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What a page of the catalogue tells.

    Attributes
    ----------
    tables
        All there are.
    found
        Rows of the one that was asked for.
    entry
        The row that was chosen, in full; None where none was.
    """

    tables: tuple[CatalogTable, ...]
    found: CatalogRows
    entry: CatalogEntry | None = None


_tables = functools.cache(api.catalog_tables)


def _choices() -> Sequence[tuple[str, str]]:
    return [(table.name, f"{table.title} ({table.count:,})") for table in _tables()]


ASKS: Final = (
    Ask(
        name="table",
        title="Table",
        text="Of the catalogue.",
        kind=chosen(text(what="a table"), _choices),
        default="Accelerators",
    ),
    Ask(
        name="search",
        title="Search",
        text="Only rows with this text in their names.",
        kind=text(what="a text to search for"),
        default="names",
        belongs=("table",),
    ),
    Ask(
        name="sort",
        title="Order",
        text="Column to order by: largest or newest first, words by the alphabet; - turns it round.",
        kind=hidden(text(r"-?[a-z0-9_]+", "a column")),
        default="the catalogue's order",
        belongs=("table",),
    ),
    Ask(
        name="id",
        title="Row",
        text="A row that is shown in full.",
        kind=hidden(text(what="a row")),
        belongs=("table", "search"),
    ),
)


def _ask(given: Given) -> Catalogue:
    table = given["table"]
    return Catalogue(
        tables=_tables(),
        found=api.catalog_rows(table, search=given.get("search", ""), sort=given.get("sort", "")),
        entry=api.catalog_row(table, given["id"]) if "id" in given else None,
    )


def cell(value: Plain, column: CatalogColumn) -> str:
    """A value of a table in words; its column names the unit.

    Examples
    --------
    >>> price, year = CatalogColumn(name="usd", title="price", unit="USD"), CatalogColumn(name="y", title="")
    >>> cell(27500.0, price), cell(1.5, price), cell(2022, year), cell(3352.0, year), cell(0.98461, year)
    ('27,500', '1.50', '2022', '3,352', '0.9846')
    >>> cell(True, year), cell(None, year)
    ('yes', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        # A year has no separators.
        return f"{value:,}" if value >= 10_000 else f"{value}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if column.unit.startswith("USD") and abs(value) >= 0.1 and value != int(value):
        return f"{value:.2f}"
    return f"{value:.4g}"


def _show(given: Given, answer: Catalogue) -> Shown:
    found, search = answer.found, given.get("search", "")
    table, rows = found.table, found.rows
    named = f" with {search!r} in their names" if search else ""
    count = f"{len(rows):,} of {table.count:,} rows{named}" if search else f"{table.count:,} rows"
    sort = given.get("sort", "")
    entry = answer.entry
    return Shown(
        headline=entry.name if entry else table.title,
        verdict=f"{table.title}, {count}" if entry else count,
        more={
            "tables": answer.tables,
            "table": table,
            "columns": [(column, *_order(column, rows, sort)) for column in table.columns],
            "rows": [
                (
                    str(row["id"]),
                    [(row[column.name], cell(row[column.name], column)) for column in table.columns],
                )
                for row in rows[:MOST]
            ],
            "left": len(rows) - MOST,
            "entry": entry,
            "sources": _sources(entry),
        },
    )


def _order(column: CatalogColumn, rows: Sequence[Mapping[str, Plain]], sort: str) -> tuple[str, str]:
    """What a click on a column's title sorts by, and how it is sorted now, as browsers tell it."""
    if sort.removeprefix("-") != column.name:
        return column.name, ""
    dated = column.name == "date" or column.name.endswith("_date")
    down = (column.numeric or dated) is not sort.startswith("-")
    turned = column.name if sort.startswith("-") else f"-{column.name}"
    return turned, "descending" if down else "ascending"


def _sources(entry: CatalogEntry | None) -> list[tuple[str, str, str]]:
    """Source, page and day of the facts of a row, each once: facts refer to them by number."""
    return list(dict.fromkeys((one.source, one.url, one.date) for one in entry.facts)) if entry else []


def _rows(answer: Catalogue) -> Sequence[Mapping[str, Any]]:
    """The table; of a row that was chosen its facts and prices."""
    if answer.entry is None:
        return answer.found.rows
    return [
        {
            "name": fact.name,
            "label": fact.label,
            "value": fact.value,
            "unit": fact.unit,
            "source": fact.source,
            "url": fact.url,
            "date": fact.date,
        }
        for fact in (*answer.entry.facts, *answer.entry.prices)
    ]


def _explain(given: Given, answer: Catalogue, number: str) -> Explanation:
    """A fact of the row that was chosen."""
    entry = answer.entry
    fact = next((one for one in entry.facts if one.name == number), None) if entry else None
    if entry is None or fact is None:
        known = [column.field for column in answer.found.table.columns]
        said = meaning(answer.found.table.record, number)
        if not said:
            raise UnknownName("column", number, known)
        return Explanation(title=number.replace("_", " "), meaning=said)
    facts = [("of", entry.name)] + ([("as of", fact.date)] if fact.date else [])
    return Explanation(
        title=fact.label,
        value=fact.words,
        meaning=meaning(entry.record, number),
        facts=facts,
        notes=[entry.notes] if entry.notes else [],
        source=fact.source,
        url=fact.url,
    )


def _commands(given: Given) -> str:
    """The command that lists the table, or shows the row."""
    table = given["table"]
    group = {"accelerators": "gpu", "models": "model"}.get(table, "")
    if "id" in given:
        row = quoted(given["id"].strip().lower())
        if group:
            return f"farthing {group} show {row}"
        return f"farthing catalog show {table} {row}" if table in _SHOWN else ""
    if not group and table not in _LISTED:
        return ""
    parts = [f"farthing {group} list" if group else f"farthing catalog list {table}"]
    if "search" in given:
        parts.append(f"--search {quoted(given['search'])}")
    if group == "gpu" and given.get("sort") in _GPU_SORT:
        parts.append(f"--sort {_GPU_SORT[given['sort']]}")
    return " ".join(parts)


def _call(given: Given) -> str:
    if "id" in given:
        kept = {name: given[name] for name in ("table", "id")}
        return python_call("api.catalog_row", ("table", "id"), kept)
    return python_call("api.catalog_rows", ("table",), given)


VIEW: Final = View(
    name="catalogue",
    title="Catalogue",
    lead="What is known of hardware, models, software, prices and places: each fact with its source.",
    asks=ASKS,
    ask=_ask,
    show=_show,
    record=lambda given, answer: answer,
    rows=_rows,
    explain=_explain,
    first=FIRST,
    filled=("table",),
    commands=_commands,
    call=_call,
    schema=Catalogue,
)
