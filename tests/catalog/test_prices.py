"""Prices name an accelerator, a date and a source; the choice among them is as defined."""

from __future__ import annotations

import datetime
import re

import pytest

from farthing import catalog
from farthing.catalog.prices import is_stale, prices, purchase_price, rental_price, street_prices
from farthing.errors import UnknownName
from farthing.records.hardware import Price

OTHERS = {**catalog.hosts(), **catalog.nics(), **catalog.switches(), **catalog.parts()}


def test_there_are_many() -> None:
    assert len(prices()) >= 450
    assert len({price.item for price in prices()}) >= 95


@pytest.mark.parametrize("price", prices(), ids=lambda price: f"{price.item}-{price.kind}-{price.provider}")
def test_price_is_sourced_and_plausible(price: Price) -> None:
    assert price.item in {**catalog.accelerators(), **OTHERS}
    assert price.source
    assert re.fullmatch(r"20\d\d(-(0[1-9]|1[0-2])(-[0-3]\d)?)?", price.date)
    if price.kind == "rental":
        assert price.per == "accelerator-hour"
        assert 0.03 <= price.usd <= 100
    else:
        assert price.per == "unit"
        assert not price.spot
        assert 50 <= price.usd <= 50_000 or (price.item in OTHERS and 1 <= price.usd <= 1_000_000)


def test_spot_is_never_dearer_than_all_demand_offers_of_the_place() -> None:
    demand: dict[tuple[str, str, str], float] = {}
    for price in prices():
        if price.kind == "rental" and not price.spot:
            place = (price.item, price.provider, price.region)
            demand[place] = max(demand.get(place, 0.0), price.usd)
    pairs = [
        (price.usd, demand[price.item, price.provider, price.region])
        for price in prices()
        if price.spot and (price.item, price.provider, price.region) in demand
    ]
    assert len(pairs) >= 20
    assert all(spot <= most for spot, most in pairs)


def middle(date: str) -> datetime.date:
    """The day, or the middle of the month or year where a price has no day."""
    year, month, day = (int(part) for part in (date + ("-07-01", "-15", "")[date.count("-")]).split("-"))
    return datetime.date(year, month, day)


def test_no_price_is_twenty_times_another_of_its_kind_and_year() -> None:
    kinds: dict[tuple[str, str, bool], list[Price]] = {}
    for price in prices():
        kinds.setdefault((price.item, price.kind, price.spot), []).append(price)
    apart = [
        (one.item, one.usd, other.usd)
        for found in kinds.values()
        for one in found
        for other in found
        if abs((middle(one.date) - middle(other.date)).days) <= 365 and one.usd > 20 * other.usd
    ]
    assert apart == []


@pytest.mark.parametrize(
    ("item", "kind", "date", "usd"),
    [
        ("rtx-5090", "used", "2026-09", 4795),
        ("rtx-5090", "purchase", "2026-09", 5258),
        ("dgx-spark", "purchase", "2026-06", 4699),
        ("v100-pcie-32gb", "used", "2026-01", 703),
        ("m4-max-32c", "purchase", "2026-06-25", 2499),
    ],
)
def test_known_street_prices(item: str, kind: str, date: str, usd: float) -> None:
    found = [price.usd for price in street_prices(item) if (price.kind, price.date) == (kind, date)]
    assert found == [usd]


@pytest.mark.parametrize(
    ("item", "provider", "spot", "date", "usd"),
    [
        ("h200-sxm", "Nebius", False, "2026-01-02", 2.3),
        ("b200-sxm", "Crusoe", False, "2026-10", 7.25),
        ("l40s", "RunPod", True, "2026-01-01", 0.71),
        ("mi325x", "TensorWave", False, "2026-05-18", 1.95),
    ],
)
def test_known_rentals(item: str, provider: str, spot: bool, date: str, usd: float) -> None:
    asked = (item, "rental", provider, spot, date)
    found = [p.usd for p in prices() if (p.item, p.kind, p.provider, p.spot, p.date) == asked]
    assert found == [usd]


@pytest.mark.parametrize(
    ("name", "usd"), [("a100-sxm-80gb", 15_000), ("h100-sxm", 35_000), ("rtx-4090", 1_600)]
)
def test_prices_of_the_2023_article(name: str, usd: float) -> None:
    found = [price for price in street_prices(name) if price.date == "2023-09-27"]
    assert [price.usd for price in found] == [usd]
    assert "Bojie Li" in found[0].source


def test_street_prices_are_newest_first_and_no_launch_prices() -> None:
    found = street_prices("rtx-3090")
    assert len(found) >= 4
    assert [price.date for price in found] == sorted((price.date for price in found), reverse=True)
    assert {price.kind for price in found} <= {"purchase", "used"}


def test_purchase_price_is_a_newest_street_price() -> None:
    price = purchase_price("rtx-4090")
    assert price is not None
    street = street_prices("rtx-4090")
    assert price.date == street[0].date
    assert price in street


def test_purchase_price_falls_back_to_the_launch_price() -> None:
    assert street_prices("rtx-2080-ti") == ()
    collected = purchase_price("rtx-2080-ti")
    assert collected is not None
    assert (collected.kind, collected.usd, collected.date) == ("launch", 999, "2018-09-20")
    of_the_catalogue = purchase_price("rtx-4060")
    assert of_the_catalogue is not None
    assert (of_the_catalogue.kind, of_the_catalogue.usd) == ("launch", 299)
    assert purchase_price("gb300") is None


@pytest.mark.parametrize("spot", [False, True])
def test_rental_price_is_the_lower_median_of_the_newest_year(spot: bool) -> None:
    offers = [p for p in prices() if p.item == "tpu-v5e" and p.kind == "rental" and p.spot == spot]
    newest = max(offer.date[:4] for offer in offers)
    usd = sorted(offer.usd for offer in offers if offer.date[:4] == newest)
    chosen = rental_price("tpu-v5e", spot=spot)
    assert chosen in offers
    assert chosen is not None
    below = sum(value < chosen.usd for value in usd)
    above = sum(value > chosen.usd for value in usd)
    assert below <= len(usd) / 2
    assert above <= len(usd) / 2
    assert chosen.date.startswith(newest)


def test_no_rental_price() -> None:
    assert rental_price("m2-ultra") is None
    assert rental_price("rtx-3090", spot=True) is None


@pytest.mark.parametrize("ask", [street_prices, purchase_price, rental_price])
def test_unknown_accelerator(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(UnknownName, match="rtx-4090"):
        ask("rtx-4900")


@pytest.mark.parametrize(
    ("date", "stale"),
    [
        ("2026-07-01", False),
        ("2026-05-02", False),
        ("2026-05-01", True),
        ("2026-06", False),
        ("2026", True),
        ("", True),
    ],
)
def test_stale_after_half_a_year(date: str, stale: bool) -> None:
    price = Price(item="t4", kind="rental", usd=1.0, per="accelerator-hour", date=date)
    assert is_stale(price, datetime.date(2026, 11, 1)) is stale
