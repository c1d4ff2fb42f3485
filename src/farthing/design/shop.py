"""What can be had and for how much: parts with their prices, under the buyer's conditions."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from farthing import catalog
from farthing.catalog.prices import STALE_AFTER_DAYS, is_stale, prices
from farthing.errors import InvalidInput, UnknownName
from farthing.records.design import BillRow, Condition, Way
from farthing.records.hardware import Accelerator, Host, Link, Nic, Price, Switch
from farthing.records.parts import Part


@dataclass(frozen=True, kw_only=True)
class Shop:
    """Everything on offer.

    Attributes
    ----------
    accelerators, hosts, nics, switches, parts, links
        Records by id.
    host_parts
        What a host that somebody builds is made of.
    offers
        Prices by item.
    condition
        Accelerators ``new``, ``used``, or whichever is cheaper; other parts are taken as they come.
    given_usd, given_usd_per_hour
        The buyer's own prices by item, to buy and to rent.
    today
        From which prices have their age.
    """

    accelerators: Mapping[str, Accelerator]
    hosts: Mapping[str, Host]
    nics: Mapping[str, Nic]
    switches: Mapping[str, Switch]
    parts: Mapping[str, Part]
    links: Mapping[str, Link]
    host_parts: Mapping[str, tuple[tuple[str, int], ...]]
    offers: Mapping[str, Sequence[Price]]
    condition: Condition = "any"
    given_usd: Mapping[str, float] = field(default_factory=dict)
    given_usd_per_hour: Mapping[str, float] = field(default_factory=dict)
    today: datetime.date = field(default_factory=datetime.date.today)

    def price(self, item: str) -> Price | None:
        """What one piece costs to buy; None where nobody knows.

        Examples
        --------
        >>> new, used = (
        ...     Price(item="rtx-3090", kind=kind, usd=usd, per="unit", date="2026-10")
        ...     for kind, usd in (("purchase", 1500.0), ("used", 800.0))
        ... )
        >>> market(rows=[new, used]).price("rtx-3090").usd
        800.0
        """
        if item not in self._known:
            self._known[item] = self._price(item)
        return self._known[item]

    @functools.cached_property
    def _known(self) -> dict[str, Price | None]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        # Another process may be handed a shop while this one looks up prices.
        return {name: value for name, value in list(self.__dict__.items()) if name != "_known"}

    def _price(self, item: str) -> Price | None:
        if item in self.given_usd:
            return self._given(item, self.given_usd[item], "purchase")
        new = self._newest(item, "purchase") or self._newest(item, "launch") or self._own(item)
        used = self._newest(item, "used")
        if item in self.accelerators and self.condition != "any":
            return new if self.condition == "new" else used
        found = [price for price in (self._newest(item, "purchase"), used) if price is not None]
        if not found:
            return new
        # An old price says nothing beside one of today.
        newest = max(_day(price) for price in found)
        recent = [price for price in found if (newest - _day(price)).days <= STALE_AFTER_DAYS]
        return min(recent, key=lambda price: price.usd)

    def rental(self, item: str) -> Price | None:
        """What one accelerator costs for an hour: the lower median of the newest year's offers on demand."""
        if item in self.given_usd_per_hour:
            return self._given(item, self.given_usd_per_hour[item], "rental")
        offers = [price for price in self.offers.get(item, ()) if price.kind == "rental" and not price.spot]
        if not offers:
            return None
        year = max(price.date[:4] for price in offers)
        return _lower_median([price for price in offers if price.date[:4] == year])

    def at_price(self, item: str, usd: float, way: Way) -> Shop:
        """The same shop, where one thing has another price to own it, or to rent it by the hour."""
        if way == "own":
            return replace(self, given_usd={**self.given_usd, item: usd})
        return replace(self, given_usd_per_hour={**self.given_usd_per_hour, item: usd})

    def row(self, part: str, item: str, name: str, quantity: int, price: Price) -> BillRow:
        """A line of a bill."""
        return BillRow(
            part=part,
            item=item,
            name=name,
            quantity=quantity,
            usd=price.usd,
            kind=price.kind,
            date=price.date,
            source=price.source,
            stale=is_stale(price, self.today),
        )

    def _newest(self, item: str, kind: str) -> Price | None:
        offers = [price for price in self.offers.get(item, ()) if price.kind == kind]
        if not offers:
            return None
        newest = max(price.date for price in offers)
        return _lower_median([price for price in offers if price.date == newest])

    def _own(self, item: str) -> Price | None:
        """The price in the item's own row of the catalogue."""
        card = self.accelerators.get(item)
        if card is not None:
            if not card.launch_price_usd:
                return None
            return Price(
                item=item,
                kind="launch",
                usd=card.launch_price_usd,
                per="unit",
                date=str(card.year),
                source=card.source,
            )
        row = self.hosts.get(item) or self.nics.get(item) or self.switches.get(item)
        if row is None or not row.price_usd:
            return None
        return Price(
            item=item, kind="purchase", usd=row.price_usd, per="unit", date=row.price_date, source=row.source
        )

    def _given(self, item: str, usd: float, kind: str) -> Price:
        return Price(
            item=item,
            kind="rental" if kind == "rental" else "purchase",
            usd=usd,
            per="accelerator-hour" if kind == "rental" else "unit",
            date=self.today.isoformat(),
            source="given by you",
        )


def _day(price: Price) -> datetime.date:
    """Of a price; a year or a month alone counts from its beginning."""
    if not price.date:
        return datetime.date.min
    year, month, day = (*map(int, price.date.split("-")), 1, 1)[:3]
    return datetime.date(year, month, day)


def _lower_median(offers: Sequence[Price]) -> Price:
    return sorted(offers, key=lambda price: price.usd)[(len(offers) - 1) // 2]


def market(
    *,
    condition: Condition = "any",
    given_usd: Mapping[str, float] | None = None,
    given_usd_per_hour: Mapping[str, float] | None = None,
    rows: Sequence[Price] | None = None,
    today: datetime.date | None = None,
) -> Shop:
    """The catalogue as a shop.

    Parameters
    ----------
    condition
        Of accelerators.
    given_usd, given_usd_per_hour
        The buyer's own prices by item.
    rows
        Prices instead of the catalogue's.
    today
        By default the day it is.

    Raises
    ------
    UnknownName
        A price of something that the catalogue does not have.
    InvalidInput
        A price below 0.

    Examples
    --------
    >>> market(given_usd={"rtx-4090": 1234.0}).price("rtx-4090").usd
    1234.0
    """
    if condition not in ("any", "new", "used"):
        raise InvalidInput(f"condition must be any, new or used, not {condition!r}")
    offers: dict[str, list[Price]] = {}
    for price in prices() if rows is None else rows:
        offers.setdefault(price.item, []).append(price)
    shop = Shop(
        accelerators=catalog.accelerators(),
        hosts=catalog.hosts(),
        nics=catalog.nics(),
        switches=catalog.switches(),
        parts=catalog.parts(),
        links=catalog.links(),
        host_parts=catalog.host_parts(),
        offers=offers,
        condition=condition,
        given_usd=dict(given_usd or {}),
        given_usd_per_hour=dict(given_usd_per_hour or {}),
        today=today or datetime.date.today(),
    )
    known = {**shop.parts, **shop.switches, **shop.nics, **shop.hosts, **shop.accelerators}
    for given in (shop.given_usd, shop.given_usd_per_hour):
        for item, usd in given.items():
            if item not in (shop.accelerators if given is shop.given_usd_per_hour else known):
                raise UnknownName("item with a price", item, known, "see: farthing catalog list")
            if not 0 <= usd < 1e12:
                raise InvalidInput(f"the price of {item} must be 0 or more, not {usd!r}")
    return shop
