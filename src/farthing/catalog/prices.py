"""What accelerators cost to rent and to buy, what all else costs, and tokens, with date and source."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Sequence

from farthing import catalog
from farthing.catalog import own_prices
from farthing.catalog.load import table
from farthing.catalog.own_prices import Stamp
from farthing.errors import UnknownName
from farthing.records.api_price import ApiPrice
from farthing.records.hardware import STALE_AFTER_DAYS as STALE_AFTER_DAYS
from farthing.records.hardware import Accelerator, Host, Nic, Price, Switch
from farthing.records.parts import Part


def prices(own: Sequence[Price] = ()) -> tuple[Price, ...]:
    """All known prices, in US dollars: those that ship, under updated rentals, under the user's own.

    Rentals are per accelerator and hour, everything else per piece. Updated offers of an accelerator stand
    in for older shipped ones, on demand and spot each; the user's own prices stand in for all others of the
    same item and kind, where new and used are one kind: what a piece costs.

    Parameters
    ----------
    own
        Prices for one question (`farthing.catalog.own_prices.read_prices`), in place of all others of the
        same item and kind.

    Raises
    ------
    CatalogError
        A file in the user's folder is broken.

    Examples
    --------
    >>> sorted({price.kind for price in prices()})
    ['launch', 'purchase', 'rental', 'used']
    >>> quote = Price(item="h100-sxm", kind="purchase", usd=25e3, per="unit", date="2026-11-02")
    >>> purchase_price("h100-sxm", among=prices([quote])) == quote, purchase_price("h100-sxm") == quote
    (True, False)
    """
    known = _known(own_prices.stamps())
    return _instead(known, own) if own else known


def shipped_prices() -> tuple[Price, ...]:
    """Prices that ship, whatever the user has: what ships must not rest on anything else."""
    return tuple(table("prices.csv", Price).values())


@functools.lru_cache(maxsize=4)
def _known(stamps: tuple[Stamp, Stamp]) -> tuple[Price, ...]:
    own, updated = map(own_prices.kept, stamps)
    return _instead(_refreshed(shipped_prices(), updated), own)


def _refreshed(shipped: Sequence[Price], updated: Sequence[Price]) -> tuple[Price, ...]:
    """Updated rentals, and of the shipped prices those that are not older rentals of the same."""
    newest: dict[tuple[str, bool], str] = {}
    for price in updated:
        key = (price.item, price.spot)
        newest[key] = max(price.date, newest.get(key, ""))
    stay = (
        price
        for price in shipped
        if price.kind != "rental" or price.date >= newest.get((price.item, price.spot), "")
    )
    return (*stay, *updated)


def _instead(known: Sequence[Price], own: Sequence[Price]) -> tuple[Price, ...]:
    """The user's own prices, and the others of which the user has none."""
    replaced = {(price.item, _question(price)) for price in own}
    return (*(price for price in known if (price.item, _question(price)) not in replaced), *own)


def _question(price: Price) -> str:
    """What a price answers: new and used, both say what a piece costs."""
    return "purchase" if price.kind == "used" else price.kind


def prices_of(item: str | None = None) -> tuple[Price, ...]:
    """All known prices of an item, or of all items, newest first.

    Parameters
    ----------
    item
        Id of an accelerator, host, network card, switch or part.

    Raises
    ------
    UnknownName
        No such item.
    CatalogError
        A file of the user's own prices is broken.

    Examples
    --------
    >>> {price.item for price in prices_of("rtx-4090")}
    {'rtx-4090'}
    """
    id = None if item is None else own_prices.check_item(item)
    found = [price for price in prices() if id in (None, price.item)]
    return tuple(sorted(found, key=lambda price: price.date, reverse=True))


def street_prices(accelerator_id: str, *, among: Sequence[Price] | None = None) -> tuple[Price, ...]:
    """What people paid for one piece, new or used, newest first; launch prices are left out.

    Parameters
    ----------
    accelerator_id
        Whose.
    among
        Prices to go by; by default all known ones.

    Examples
    --------
    >>> [price.date for price in street_prices("a100-sxm-80gb")]
    ['2026', '2023-09-27']

    Raises
    ------
    UnknownName
        No such accelerator.
    """
    found = [price for price in _of(accelerator_id, among) if price.kind in ("purchase", "used")]
    return tuple(sorted(found, key=lambda price: price.date, reverse=True))


def purchase_price(accelerator_id: str, *, among: Sequence[Price] | None = None) -> Price | None:
    """What one piece costs to buy.

    The newest street price, new or used (its ``kind`` says which); among several of the same date the
    lower median. Without one, the newest launch price collected; without that, the launch price of the
    catalogue. None where no price is known.

    Parameters
    ----------
    accelerator_id
        Whose.
    among
        Prices to go by; by default all known ones.

    Examples
    --------
    >>> price = purchase_price("h100-sxm")
    >>> price.usd, price.kind, price.date
    (27500.0, 'purchase', '2026-05-25')
    >>> purchase_price("rtx-4060").kind, purchase_price("a800-sxm-80gb")
    ('launch', None)

    Raises
    ------
    UnknownName
        No such accelerator.
    """
    card = catalog.accelerator(accelerator_id)
    if among is None:
        return _purchase_price(card.id, own_prices.stamps())
    return _newest_purchase(card, among)


@functools.lru_cache(maxsize=1024)
def _purchase_price(id: str, stamps: tuple[Stamp, Stamp]) -> Price | None:
    return _newest_purchase(catalog.accelerator(id), _by_item(stamps).get(id, []))


def _newest_purchase(card: Accelerator, among: Sequence[Price]) -> Price | None:
    launches = tuple(price for price in _of(card.id, among) if price.kind == "launch")
    candidates = street_prices(card.id, among=among) or launches
    if candidates:
        newest = max(price.date for price in candidates)
        return _lower_median([price for price in candidates if price.date == newest])
    return _launch_price(card)


def rental_price(
    accelerator_id: str, spot: bool = False, *, among: Sequence[Price] | None = None
) -> Price | None:
    """What one accelerator costs to rent for an hour.

    The lower median of the offers of the newest calendar year, so that the result is an offer that
    somebody made. None where none is known.

    Parameters
    ----------
    accelerator_id
        Whose.
    spot
        Of offers that can be taken back, not of those on demand.
    among
        Prices to go by; by default all known ones.

    Examples
    --------
    >>> price = rental_price("h100-sxm")
    >>> price.per, price.date[:4], price.usd
    ('accelerator-hour', '2026', 2.69)
    >>> rental_price("h100-sxm", spot=True).usd
    1.25

    Raises
    ------
    UnknownName
        No such accelerator.
    """
    id = catalog.accelerator(accelerator_id).id
    if among is None:
        return _rental_price(id, spot, own_prices.stamps())
    return _newest_rental(_named(id, among), spot)


@functools.lru_cache(maxsize=1024)
def _rental_price(id: str, spot: bool, stamps: tuple[Stamp, Stamp]) -> Price | None:
    return _newest_rental(_by_item(stamps).get(id, []), spot)


def _newest_rental(found: Sequence[Price], spot: bool) -> Price | None:
    offers = [price for price in found if price.kind == "rental" and price.spot == spot]
    if not offers:
        return None
    newest = max(price.date[:4] for price in offers)
    return _lower_median([price for price in offers if price.date[:4] == newest])


def part_price(item_id: str, *, among: Sequence[Price] | None = None) -> Price | None:
    """What one host, network card, switch or part costs to buy: anything but an accelerator.

    The newest price collected, new or used; among several of the same date the lower median. Without one,
    the price in the item's own row of the catalogue. None where no price is known: of a host that somebody
    builds, add its parts up (`farthing.catalog.host_parts`).

    Parameters
    ----------
    item_id
        Whose.
    among
        Prices to go by; by default all known ones.

    Examples
    --------
    >>> price = part_price("article-server-8")
    >>> price.usd, price.date
    (20000.0, '2023-09-27')

    Raises
    ------
    UnknownName
        No such host, network card, switch or part.
    """
    rows: dict[str, Part | Switch | Nic | Host] = {
        **catalog.parts(),
        **catalog.switches(),
        **catalog.nics(),
        **catalog.hosts(),
    }
    id = item_id.strip().lower()
    if id not in rows:
        raise UnknownName("host, network card, switch or part", item_id, rows)
    candidates = [price for price in _named(id, among) if price.kind in ("purchase", "used")]
    if candidates:
        newest = max(price.date for price in candidates)
        return _lower_median([price for price in candidates if price.date == newest])
    row = rows[id]
    if isinstance(row, Part) or not row.price_usd:
        return None
    return Price(
        item=id, kind="purchase", usd=row.price_usd, per="unit", date=row.price_date, source=row.source
    )


def api_prices(model_id: str) -> tuple[ApiPrice, ...]:
    """What providers ask for a model's tokens, newest first, the cheapest answer first of a day.

    Examples
    --------
    >>> price = api_prices("llama-2-70b")[-1]
    >>> price.date, price.provider, price.usd_per_million_output
    ('2023-12-14', 'AWS Bedrock', 2.56)

    Raises
    ------
    UnknownName
        No such model.
    """
    model = catalog.model(model_id)
    found = [price for price in catalog.api_prices().values() if price.model == model.id]
    found.sort(key=lambda price: (price.usd_per_million_output, price.usd_per_million_input))
    return tuple(sorted(found, key=lambda price: price.date, reverse=True))


def is_stale(price: Price, today: datetime.date) -> bool:
    """Whether the price is more than half a year old.

    A date without day or month counts from its beginning; a price without a date is stale.

    Examples
    --------
    >>> price = Price(item="t4", kind="rental", usd=0.5, per="accelerator-hour", date="2026-03")
    >>> is_stale(price, datetime.date(2026, 8, 30)), is_stale(price, datetime.date(2026, 9, 1))
    (False, True)
    """
    return price.is_stale(today)


def _of(accelerator_id: str, among: Sequence[Price] | None) -> Sequence[Price]:
    return _named(catalog.accelerator(accelerator_id).id, among)


def _named(id: str, among: Sequence[Price] | None) -> Sequence[Price]:
    if among is not None:
        return [price for price in among if price.item == id]
    return _by_item(own_prices.stamps()).get(id, [])


@functools.lru_cache(maxsize=4)
def _by_item(stamps: tuple[Stamp, Stamp]) -> dict[str, list[Price]]:
    found: dict[str, list[Price]] = {}
    for price in _known(stamps):
        found.setdefault(price.item, []).append(price)
    return found


def _lower_median(offers: Sequence[Price]) -> Price:
    return sorted(offers, key=lambda price: price.usd)[(len(offers) - 1) // 2]


def _launch_price(card: Accelerator) -> Price | None:
    if not card.launch_price_usd:
        return None
    return Price(
        item=card.id,
        kind="launch",
        usd=card.launch_price_usd,
        per="unit",
        date=str(card.year),
        source=card.source,
    )
