"""Tables of the catalogue by name, and what their rows cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from farthing import catalog
from farthing.catalog.load import table as read
from farthing.catalog.prices import part_price
from farthing.errors import UnknownName
from farthing.records.hardware import Price
from farthing.records.parts import HostPart

TABLES: Final[dict[str, Callable[[], Mapping[str, Any]]]] = {
    "links": catalog.links,
    "nics": catalog.nics,
    "switches": catalog.switches,
    "hosts": catalog.hosts,
    "host-parts": lambda: read("host_parts.csv", HostPart),
    "parts": catalog.parts,
    "countries": catalog.countries,
    "hosting": catalog.hostings,
    "facilities": catalog.facilities,
    "resale": catalog.resales,
    "api-prices": catalog.api_prices,
    "engines": catalog.engines,
    "formats": catalog.formats,
}

_SINGULAR: Final = {
    "nics": "network card",
    "switches": "switch",
    "formats": "number format",
    "countries": "country",
    "hosting": "price of hosting",
    "facilities": "data centre",
}


def table(name: str) -> Mapping[str, Any]:
    """A table of the catalogue: of accelerators, models and prices there are functions of their own.

    Parameters
    ----------
    name
        ``links nics switches hosts host-parts parts countries hosting facilities resale api-prices engines``
        or ``formats``.

    Returns
    -------
    Mapping
        Records by id; of tables whose rows have none, by line.

    Raises
    ------
    UnknownName
        For another name.

    Examples
    --------
    >>> table("countries")["de"].name
    'Germany'
    """
    if name not in TABLES:
        raise UnknownName("table", name, TABLES)
    return TABLES[name]()


def row(name: str, id: str) -> Any:
    """One row of a `table`.

    Raises
    ------
    UnknownName
        With the nearest ids.

    Examples
    --------
    >>> row("links", "10GbE").id
    '10gbe'
    """
    rows = table(name)
    if id.strip().lower() not in rows:
        raise UnknownName(
            _SINGULAR.get(name, name.removesuffix("s")), id, rows, f"see: farthing catalog list {name}"
        )
    return rows[id.strip().lower()]


def table_prices(name: str) -> dict[str, Price]:
    """What the rows of a `table` cost to buy, as far as somebody knows.

    A host that somebody builds costs what its parts do, power supplies aside; it has the oldest of their
    dates.

    Raises
    ------
    UnknownName
        For another name.

    Examples
    --------
    >>> table_prices("switches")["switch-10g-20"].usd, table_prices("links")
    (1500.0, {})
    """
    rows = table(name)
    if name not in ("nics", "switches", "hosts", "parts"):
        return {}
    found = {id: _built_price(id) or part_price(id) for id in rows}
    return {id: price for id, price in found.items() if price is not None}


def _built_price(id: str) -> Price | None:
    """Of a host that somebody builds; None where it is none, or a part has no price."""
    parts = catalog.host_parts().get(id, ())
    prices = [(price, count) for part, count in parts if (price := part_price(part)) is not None]
    if not prices or len(prices) < len(parts):
        return None
    return Price(
        item=id,
        kind="purchase",
        usd=sum(price.usd * count for price, count in prices),
        per="unit",
        date=min(price.date for price, _ in prices),
        source=f"{len(parts)} parts, see: farthing catalog list host-parts --search {id}",
    )
