"""Prices as a list, and the one mark that old ones carry wherever they are shown."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from farthing.records.hardware import Price, is_stale_date
from farthing.records.price_update import PriceUpdate
from farthing.report import layout
from farthing.report.encoding import fields_of

STALE: Final = ", stale"
"""Behind a price or its date, where it is older than half a year."""

STALE_COST: Final = "a price is older than six months"
"""Behind what a cost counts, where a price in it is stale."""

SHOWN_NAMES: Final = 8
"""So many unknown names are told; the rest is counted."""


def mark(date: str, today: datetime.date | None = None) -> str:
    """What stands behind a price or its date: the mark where it is old, else nothing.

    Examples
    --------
    >>> day = datetime.date(2026, 11, 28)
    >>> mark("2026-10-20", day), mark("2023-09-27", day), mark("", day)
    ('', ', stale', ', stale')
    """
    return STALE if is_stale_date(date, today or datetime.date.today()) else ""


def dated(price: Price, today: datetime.date | None = None) -> str:
    """The day of a price, with the mark where it is old.

    Examples
    --------
    >>> price = Price(item="t4", kind="rental", usd=0.5, per="accelerator-hour", date="2025-03-07")
    >>> dated(price, datetime.date(2026, 11, 28))
    '2025-03-07, stale'
    """
    return (price.date or "undated") + mark(price.date, today)


def price_object(price: Price) -> dict[str, Any]:
    """A price as JSON tells it: its fields, and whether it is stale."""
    return {**fields_of(price), "stale": price.is_stale(datetime.date.today())}


def price_list(prices: Sequence[Price]) -> RenderableType:
    """One line for each price.

    Parameters
    ----------
    prices
        In the order in which they are shown.
    """
    if not prices:
        return Text("no such prices are known")
    # Where room is short, who says so gives way, and never a number.
    header = (("item", 0), ("kind", 0), ("USD", 0), ("per", 0), ("date", 0), ("provider", 1), ("source", 1))
    rows = [
        (
            price.item,
            price.kind + (" spot" if price.spot else ""),
            _usd(price.usd),
            "hour" if price.per == "accelerator-hour" else price.per,
            dated(price),
            price.provider,
            price.source,
        )
        for price in prices
    ]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for number, (name, least) in enumerate(header):
        longest = max(len(name), *(len(row[number]) for row in rows))
        table.add_column(
            name,
            justify="right" if name == "USD" else "left",
            no_wrap=not least,
            min_width=least or longest,
        )
    for row in rows:
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
    note = f"{counted(prices)}. Rentals are per accelerator and hour; --json tells all."
    return Group(layout.indented(table), Text(), Text(note, style="dim"))


def counted(prices: Sequence[Price]) -> str:
    """How many prices of how many items.

    Examples
    --------
    >>> counted([Price(item="t4", kind="rental", usd=0.5, per="accelerator-hour")])
    '1 price of 1 item'
    """
    items = len({price.item for price in prices})
    plural = "" if len(prices) == 1 else "s"
    return f"{len(prices):,} price{plural} of {items:,} item{'' if items == 1 else 's'}"


def _usd(usd: float) -> str:
    return f"{usd:,.0f}" if usd >= 1000 else f"{usd:,.4f}".rstrip("0").rstrip(".")


def update_report(update: PriceUpdate) -> RenderableType:
    """What a refresh of rental prices brought.

    Parameters
    ----------
    update
        With the providers that were missing and the cards that are unknown.
    """
    rows = [
        ("offers", f"{update.offers:,} for {update.priced_accelerators:,} accelerators"),
        ("from", ", ".join(update.providers)),
    ]
    if update.missing_providers:
        rows.append(("not reached", f"{', '.join(update.missing_providers)}; their earlier offers stay"))
    if update.unknown_offers:
        names = ", ".join(update.unknown_names[:SHOWN_NAMES])
        more = len(update.unknown_names) - SHOWN_NAMES
        rest = f" and {more} more" if more > 0 else ""
        rows.append(("left out", f"{update.unknown_offers:,} offers of cards not told apart: {names}{rest}"))
    rows.append(("kept in", update.file))
    return Group(layout.heading("Rental prices are refreshed"), layout.facts(rows))
