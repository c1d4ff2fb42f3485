"""The front door's catalogue: tables, their rows, and one row in full with its sources."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from farthing import catalog
from farthing.catalog import tables
from farthing.catalog.listings import LISTINGS, columns_of
from farthing.catalog.load import si_field
from farthing.catalog.own_prices import stamps
from farthing.catalog.prices import api_prices, prices_of, purchase_price, rental_price
from farthing.catalog.sources import day_of, page_of
from farthing.errors import UnknownName
from farthing.estimate.summary import model_summary
from farthing.records.api_price import ApiPrice
from farthing.records.catalogue import CatalogEntry, CatalogFact, CatalogRows, CatalogTable, Plain
from farthing.records.hardware import Accelerator, Price
from farthing.records.model import Model
from farthing.units import GIGA, KIB, TERA, format_bytes, format_quantity, format_usd, unit_of

Listed = tuple[str, Any, Mapping[str, Plain]]
"""Key, record and shown values of a row."""

_TOLD_APART: Final = ("id", "name", "notes", "source", "mains_source")
"""Fields that are no facts of their own."""

_SOURCES: Final[Mapping[str, str]] = {
    "bytes_per_s": "rate",
    "latency_s": "latency",
    "efficiency": "efficiency",
    "price_usd": "price",
    "launch_price_usd": "launch price",
    "power_w": "draw",
    "wafer_usd": "wafer",
    "defects_per_cm2": "defects",
    "units": "units",
    "memory_kind": "memory",
    "memory_bytes": "memory",
}
"""Words that a part of a source begins with which is about one field alone."""

_SINGULAR: Final[Mapping[str, str]] = {
    "chips": "chip",
    "processes": "process",
    "memory-prices": "kind of memory",
    "packages": "package or board",
    "prices": "price",
}
"""What a row is called of tables that `farthing.catalog.tables` does not know."""

_MAINS: Final = ("volts", "circuit_amperes")

_LABELS: Final[Mapping[str, str]] = {
    "bytes_per_s": "rate of a port",
    "fp16_flop_per_s": "fp16, fastest sums",
    "fp16_fp32_accumulate_flop_per_s": "fp16, fp32 sums",
    "l2_bytes": "last-level cache",
    "tdp_w": "power limit",
    "datacenter_licence": "licensed for data centres",
    "kv_bytes_per_token": "KV cache of a token in 16 bits",
    "kv_cache_bytes": "KV cache of the longest context",
    "state_bytes": "recurrent state",
    "forward_flop_per_token": "FLOPs of a forward pass a token",
}
"""Fields whose names do not read as words."""

_ENDINGS: Final = (
    ("_bytes_per_s", " bandwidth"),
    ("_flop_per_s", ""),
    ("_op_per_s", ""),
    ("_bytes", ""),
    ("_s", ""),
    ("_w", ""),
    ("_usd", ""),
)

_LONG: Final = 10_000
"""From here on numbers need separators: a year does not."""


def catalog_tables() -> tuple[CatalogTable, ...]:
    """The tables of the catalogue, in the order in which they are shown.

    Examples
    --------
    >>> tables = catalog_tables()
    >>> [table.name for table in tables][:3], tables[0].count > 290
    (['accelerators', 'models', 'links'], True)
    """
    return tuple(_table(name) for name in LISTINGS)


def catalog_rows(name: str, *, search: str = "", sort: str = "") -> CatalogRows:
    """Rows of a table of the catalogue, as plain values in the units of its columns.

    Parameters
    ----------
    name
        Of the table.
    search
        Only those with this text in their names.
    sort
        Column to order them by: largest or newest first, words by the alphabet; ``-`` before it turns the
        order round. By default they are in the catalogue's order.

    Raises
    ------
    UnknownName
        No such table or column.

    Examples
    --------
    >>> found = catalog_rows("accelerators", search="rtx 40", sort="memory_gib")
    >>> found.rows[0]["id"], found.rows[0]["memory_gib"], found.table.columns[6].unit
    ('rtx-4090', 24.0, 'GiB')
    """
    found = _found(name, search, sort)
    return CatalogRows(table=_table(name), rows=tuple(dict(row) for _, _, row in found))


def catalog_records(name: str, *, search: str = "", sort: str = "") -> tuple[Any, ...]:
    """The records of `catalog_rows`, in SI units.

    Examples
    --------
    >>> [link.id for link in catalog_records("links", search="ib-hdr")]
    ['ib-hdr100', 'ib-hdr']
    """
    return tuple(record for _, record, _ in _found(name, search, sort))


def catalog_row(name: str, id: str) -> CatalogEntry:
    """One row of a table with all its facts, each with its source.

    Parameters
    ----------
    name
        Of the table.
    id
        As `catalog_rows` gives it.

    Raises
    ------
    UnknownName
        No such table or row; with the nearest names.

    Examples
    --------
    >>> found = catalog_row("links", "ib-hdr")
    >>> [(fact.label, fact.words) for fact in found.facts][1:3]
    [('rate of a port', '25.0 GB/s'), ('latency', '2.70 us')]
    """
    _check(name)
    key = id.strip().lower()
    if name == "accelerators":
        record: Any = catalog.accelerator(key)
        return described(record, name, prices=prices_of(record.id))
    if name == "models":
        record = catalog.model(key)
        return described(record, name, prices=api_prices(record.id))
    found = next((record for other, record, _ in _listed(name, stamps()) if other == key), None)
    if found is None:
        if name in tables.TABLES:
            tables.row(name, id)
        raise UnknownName(_SINGULAR[name], id, [other for other, _, _ in _listed(name, stamps())])
    if not hasattr(found, "id"):
        return described(found, name, id=key)
    price = tables.table_prices(name).get(found.id) if name in tables.TABLES else None
    return described(found, name, price=price, prices=prices_of(found.id) if price and _sold(name) else ())


def described(
    record: Any,
    table: str,
    *,
    id: str = "",
    price: Price | None = None,
    prices: Sequence[Price | ApiPrice] = (),
) -> CatalogEntry:
    """A record of the catalogue as facts.

    Parameters
    ----------
    record
        A row of the table.
    table
        Its name.
    id
        Of a row that has none of its own.
    price
        What it costs, in place of what the row says.
    prices
        All that were collected.
    """
    source = getattr(record, "source", "")
    facts = list(_facts(record))
    if price is not None:
        facts = [fact for fact in facts if fact.name not in ("price_usd", "price_date")]
        facts += _price_facts(price)
    key = id or record.id
    return CatalogEntry(
        table=table,
        id=key,
        name=getattr(record, "name", "") or key,
        record=type(record).__name__,
        facts=tuple(facts),
        prices=tuple(_paid(one) for one in prices),
        notes=getattr(record, "notes", ""),
        source=source,
        url=page_of(source),
    )


def _check(name: str) -> None:
    if name not in LISTINGS:
        raise UnknownName("table", name, LISTINGS)


def _sold(name: str) -> bool:
    return name in ("nics", "switches", "hosts", "parts")


def _table(name: str) -> CatalogTable:
    listed = _listed(name, stamps())
    numeric = {
        column
        for _, _, row in listed
        for column, value in row.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    listing = LISTINGS[name]
    return CatalogTable(
        name=name,
        title=listing.title,
        description=listing.description,
        record=listing.record,
        count=len(listed),
        columns=columns_of(name, frozenset(numeric)),
    )


def _found(name: str, search: str, sort: str) -> list[Listed]:
    _check(name)
    found = list(_listed(name, stamps()))
    if word := search.strip().lower():
        fields = LISTINGS[name].searched
        found = [
            one for one in found if word in " ".join(str(getattr(one[1], field)) for field in fields).lower()
        ]
    if sort:
        found = _sorted(name, found, sort)
    return found


def _sorted(name: str, found: list[Listed], sort: str) -> list[Listed]:
    """Largest or newest first, words by the alphabet; what is not known comes last either way."""
    column, turned = sort.removeprefix("-"), sort.startswith("-")
    known = [one for one, _, _ in LISTINGS[name].columns]
    if column not in known:
        raise UnknownName("column", column, known)
    told = [one for one in found if one[2][column] is not None]
    words = any(isinstance(one[2][column], str) for one in told)
    dated = column == "date" or column.endswith("_date")

    def key(one: Listed) -> Any:
        value = one[2][column]
        return value.lower() if isinstance(value, str) else value

    descending = not words or dated
    return [
        *sorted(told, key=key, reverse=descending is not turned),
        *(one for one in found if one[2][column] is None),
    ]


@functools.lru_cache(maxsize=64)
def _listed(name: str, known: object) -> tuple[Listed, ...]:
    """All rows of a table; ``known`` changes with the user's own prices."""
    columns = [column for column, _, _ in LISTINGS[name].columns]
    prices = tables.table_prices(name) if _sold(name) else {}
    found = []
    for key, record in _records(name).items():
        looked_up = dict(_looked_up(record))
        if _sold(name):
            price = prices.get(key)
            looked_up["price_usd"] = price.usd if price else None
            looked_up["price_date"] = price.date if price else None
        row: dict[str, Plain] = {"id": key}
        for column in columns:
            row[column] = looked_up[column] if column in looked_up else _shown(record, column)
        found.append((key, record, row))
    return tuple(found)


def _records(name: str) -> Mapping[str, Any]:
    """Records by the key that names a row."""
    if name in tables.TABLES:
        return tables.table(name)
    others: dict[str, Any] = {
        "accelerators": catalog.accelerators,
        "models": catalog.models,
        "chips": catalog.chips,
        "processes": catalog.processes,
        "memory-prices": catalog.memory_prices,
        "packages": catalog.package_prices,
        "prices": lambda: {str(number): price for number, price in enumerate(prices_of(), start=1)},
    }
    rows: Mapping[str, Any] = others[name]()
    return rows


def _shown(record: Any, column: str) -> Plain:
    """A field in the unit of its column; None where it is not known."""
    field, factor = si_field(column)
    value: Plain = getattr(record, field)
    if isinstance(value, bool):
        return value
    if not value:
        return None
    # What a data file writes comes back as it stood there.
    return float(f"{value / factor:.12g}") if isinstance(value, float) else value


def _looked_up(record: Any) -> Iterator[tuple[str, Plain]]:
    """Columns that are computed, or stand elsewhere."""
    if isinstance(record, Accelerator):
        yield "training_tflop_per_s", float(f"{record.training_flop_per_s / TERA:.12g}") or None
        purchase, rental = purchase_price(record.id), rental_price(record.id)
        yield "purchase_usd", purchase.usd if purchase else None
        yield "purchase_date", purchase.date if purchase else None
        yield "rental_usd_per_hour", rental.usd if rental else None
        yield "rental_date", rental.date if rental else None
    if isinstance(record, Model):
        summary = _summary(record.id)
        yield "attention", record.attention
        yield "parameters_billion", summary.parameters / GIGA
        yield "active_parameters_billion", summary.active_parameters / GIGA
        yield "kv_kib_per_token", summary.kv_bytes_per_token / KIB or None


@functools.cache
def _summary(id: str) -> Any:
    return model_summary(catalog.model(id))


def _facts(record: Any) -> Iterator[CatalogFact]:
    """The fields of a record that are not empty, and what follows from them."""
    source = getattr(record, "source", "")
    date = getattr(record, "date", "")
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        empty = not value and not isinstance(value, bool)
        if field.name not in _TOLD_APART and not empty:
            told = record.mains_source if field.name in _MAINS else clause_of(source, field.name)
            day = getattr(record, "price_date", "") if field.name.startswith("price_") else date
            yield fact(field.name, value, source=told, date=day)
    if isinstance(record, Model):
        summary = _summary(record.id) if record == catalog.models().get(record.id) else model_summary(record)
        for name in (
            "parameters",
            "active_parameters",
            "kv_bytes_per_token",
            "kv_cache_bytes",
            "state_bytes",
            "forward_flop_per_token",
        ):
            if value := getattr(summary, name):
                yield fact(name, value, source="computed from the shape")


def fact(name: str, value: Plain, *, source: str = "", date: str = "") -> CatalogFact:
    """A field of a record as a fact.

    Examples
    --------
    >>> found = fact("memory_bytes", 24 * 2.0**30, source="datasheet, 2023-01-15")
    >>> found.label, found.words, found.unit, found.date
    ('memory', '24.0 GiB', 'byte', '2023-01-15')
    """
    unit = unit_of(name)
    return CatalogFact(
        name=name,
        label=label_of(name),
        value=value,
        unit=unit,
        words=_words(value, unit),
        source=source,
        url=page_of(source),
        date=date or day_of(source),
    )


def clause_of(source: str, field: str) -> str:
    """The part of a source that is about a field, or all of it.

    Examples
    --------
    >>> clause_of("rate: IEEE 802.3; latency: measured by us", "latency_s")
    'measured by us'
    """
    begins = f"{_SOURCES.get(field, '')}: "
    own = (part.strip() for part in source.split(";"))
    return next(
        (part.removeprefix(begins) for part in own if len(begins) > 2 and part.startswith(begins)), source
    )


def label_of(field: str) -> str:
    """A field in words.

    Examples
    --------
    >>> label_of("memory_bytes_per_s"), label_of("tdp_w"), label_of("bytes_per_s")
    ('memory bandwidth', 'power limit', 'rate of a port')
    """
    if field in _LABELS:
        return _LABELS[field]
    for ending, kept in _ENDINGS:
        if field.endswith(ending):
            return field.removesuffix(ending).replace("_", " ") + kept
    return field.replace("_", " ")


def _words(value: Plain, unit: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if unit == "byte" and isinstance(value, (int, float)):
        return format_bytes(value, binary=True)
    if unit and isinstance(value, (int, float)):
        return format_quantity(value, unit)
    if isinstance(value, (int, float)):
        return f"{value:,.0f}" if abs(value) >= _LONG else f"{value:g}"
    return str(value)


def _price_facts(price: Price) -> Iterator[CatalogFact]:
    told = {"source": price.source, "date": price.date}
    yield dataclasses.replace(fact("price_usd", price.usd, **told), words=format_usd(price.usd))
    yield fact("price_date", price.date, **told)


def _paid(price: Price | ApiPrice) -> CatalogFact:
    """What something cost, as a fact."""
    if isinstance(price, ApiPrice):
        weights = f", {price.weight_format}" if price.weight_format else ""
        read, written = format_usd(price.usd_per_million_input), format_usd(price.usd_per_million_output)
        found = fact("usd_per_million_output", price.usd_per_million_output, source=price.source)
        label, unit = f"{price.provider}{weights}", "USD/Mtoken"
        words = f"{read} a million tokens read, {written} written"
    else:
        found = fact("usd", price.usd, source=price.source)
        told = (price.kind, "spot" if price.spot else "", price.provider, price.region)
        label, hourly = ", ".join(filter(None, told)), price.per == "accelerator-hour"
        unit, words = ("USD/h", f"{format_usd(price.usd)}/h") if hourly else ("USD", format_usd(price.usd))
    return dataclasses.replace(found, label=label, unit=unit, words=words, date=price.date)
