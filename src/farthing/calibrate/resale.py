"""Writes what accelerators fetch used, from the collected prices, for the yearly decline to rest on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from farthing import catalog
from farthing.catalog.prices import shipped_prices
from farthing.records.hardware import Price
from farthing.records.resale import Resale

DATA: Final = Path(catalog.__file__).parent / "data"

YOUNGEST_YEARS: Final = 0.5
"""Younger pieces say nothing of a year: the root of a small age blows every bargain up."""


def fit() -> None:
    """Write ``resale.csv`` anew."""
    (DATA / "resale.csv").write_text(resale_text(rows_of(shipped_prices())), "utf-8")


def rows_of(found: Sequence[Price]) -> list[Resale]:
    """A row for each used price of an accelerator whose launch price is known, in the order of the prices."""
    return [row for price in found if price.kind == "used" for row in _row(price, found)]


def _row(price: Price, found: Sequence[Price]) -> Iterator[Resale]:
    card = catalog.accelerators().get(price.item)
    if card is None or not price.date:
        return
    launches = [
        other for other in found if other.kind == "launch" and other.item == price.item and other.date
    ]
    usd, day, basis = card.launch_price_usd, str(card.year), "the catalogue"
    if launches:
        first = min(launches, key=lambda launch: launch.date)
        usd, day, basis = first.usd, first.date, "prices.csv"
    age = (_middle(price.date) - _middle(day)).days / 365
    if usd > 0 and age >= YOUNGEST_YEARS:
        yield Resale(
            item=price.item,
            age_years=round(age, 2),
            share=float(f"{price.usd / usd:.3g}"),
            date=price.date,
            source=f"{price.usd:g} of {usd:g} USD at launch ({day}, {basis}); {price.source}",
        )


def _middle(day: str) -> date:
    """A day, or the middle of a month or year where only that is known."""
    year, month, of_month = (*map(int, day.split("-")), 0, 0)[:3]
    return date(year, month or 7, of_month or (15 if month else 1))


def resale_text(rows: Sequence[Resale]) -> str:
    """Rows as the file has them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("item", "age_years", "share", "date", "source"))
    writer.writerows((row.item, f"{row.age_years:g}", f"{row.share:g}", row.date, row.source) for row in rows)
    return text.getvalue()
