"""Which price counts: new or used, old or of today, given or collected."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest

from farthing import catalog
from farthing.design.shop import Shop, market
from farthing.errors import InvalidInput, UnknownName
from farthing.records.hardware import Price

TODAY = datetime.date(2026, 11, 1)


def price(kind: Any, usd: float, date: str, item: str = "rtx-4090", **fields: Any) -> Price:
    per: Any = "accelerator-hour" if kind == "rental" else "unit"
    return Price(item=item, kind=kind, usd=usd, per=per, date=date, source="a shop", **fields)


def shop(*rows: Price, **options: Any) -> Shop:
    return market(rows=rows, today=TODAY, **options)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Of prices of the same half year the lower counts, whichever kind it is.
        ([price("purchase", 1500, "2026-10"), price("used", 800, "2026-08")], 800),
        ([price("purchase", 700, "2026-10"), price("used", 800, "2026-08")], 700),
        # An older one says nothing beside it.
        ([price("purchase", 1500, "2026-10"), price("used", 800, "2026-01")], 1500),
        ([price("purchase", 1500, "2025-10-01"), price("used", 1800, "2026-10-01")], 1800),
        # Of one kind the newest date counts, and of that the lower median.
        ([price("used", usd, "2026-10") for usd in (900, 700, 800, 1000)], 800),
        ([price("used", 500, "2026-09"), price("used", 900, "2026-10")], 900),
        # A launch price stands in where nobody sells.
        ([price("launch", 1600, "2022-10")], 1600),
        ([price("launch", 1600, "2022-10"), price("used", 900, "2024-01")], 900),
        # A price without a date is older than any other.
        ([price("used", 100, ""), price("purchase", 1500, "2026-10")], 1500),
        ([price("used", 100, "")], 100),
    ],
)
def test_the_price_that_counts(rows: list[Price], expected: float) -> None:
    found = shop(*rows).price("rtx-4090")
    assert found
    assert found.usd == expected


def test_new_or_used_alone() -> None:
    rows = (price("purchase", 1500, "2026-10"), price("used", 800, "2026-10"))
    new, used = (shop(*rows, condition=condition).price("rtx-4090") for condition in ("new", "used"))
    assert new
    assert used
    assert (new.usd, used.usd) == (1500, 800)
    assert shop(rows[0], condition="used").price("rtx-4090") is None
    launch = shop(rows[1], condition="new").price("rtx-4090")
    assert launch
    assert (launch.kind, launch.usd) == ("launch", catalog.accelerator("rtx-4090").launch_price_usd)


def test_only_accelerators_have_a_condition() -> None:
    rows = (price("purchase", 90, "2026-10", "nic-25g"), price("used", 40, "2026-10", "nic-25g"))
    for condition in ("any", "new", "used"):
        found = shop(*rows, condition=condition).price("nic-25g")
        assert found
        assert found.usd == 40


def test_a_row_of_the_catalogue_is_the_last_resort() -> None:
    found = shop().price("switch-10g-20")
    assert found
    assert (found.usd, found.date) == (1500.0, "2023-09-27")
    assert shop().price("intel-i210") is None


def test_given_prices_come_first_and_say_so() -> None:
    rows = (price("used", 800, "2026-10"), price("rental", 0.3, "2026-10"))
    mine = shop(*rows, given_usd={"rtx-4090": 1234.0}, given_usd_per_hour={"rtx-4090": 0.25})
    for found, usd in ((mine.price("rtx-4090"), 1234.0), (mine.rental("rtx-4090"), 0.25)):
        assert found
        assert (found.usd, found.date, found.source) == (usd, "2026-11-01", "given by you")
        assert not mine.row("accelerator", "rtx-4090", "card", 1, found).stale
    free = shop(given_usd={"rtx-4090": 0.0}).price("rtx-4090")
    assert free
    assert free.usd == 0


def test_rent_is_the_lower_median_of_the_newest_year_on_demand() -> None:
    rows = [
        price("rental", usd, date) for usd, date in ((1.0, "2025-12"), (4.0, "2026-01"), (2.0, "2026-02"))
    ]
    found = shop(*rows, price("rental", 0.1, "2026-03", spot=True)).rental("rtx-4090")
    assert found
    assert found.usd == 2.0
    assert shop(price("rental", 0.1, "2026-03", spot=True)).rental("rtx-4090") is None


def test_half_a_year_makes_a_price_stale() -> None:
    for date, stale in (("2026-05-02", False), ("2026-05-01", True), ("2026-05", True), ("", True)):
        asked = price("used", 800, date)
        assert shop(asked).row("accelerator", "rtx-4090", "card", 2, asked).stale == stale


def test_another_price_for_one_thing() -> None:
    before = shop(price("used", 800, "2026-10"))
    after = before.at_price("rtx-4090", 400.0, "own").price("rtx-4090")
    rented = before.at_price("rtx-4090", 0.5, "rent").rental("rtx-4090")
    assert after
    assert rented
    assert (after.usd, rented.usd) == (400.0, 0.5)
    unchanged = before.price("rtx-4090")
    assert unchanged
    assert unchanged.usd == 800


@pytest.mark.parametrize("usd", [-1.0, math.nan, math.inf, 1e12])
def test_prices_that_make_no_sense(usd: float) -> None:
    with pytest.raises(InvalidInput, match="rtx-4090 must be 0 or more"):
        market(given_usd={"rtx-4090": usd})


def test_unknown_items_and_conditions() -> None:
    with pytest.raises(UnknownName, match="rtx-4090"):
        market(given_usd={"rtx-4091": 1.0})
    with pytest.raises(UnknownName, match="psu-850"):
        market(given_usd_per_hour={"psu-850": 1.0})
    with pytest.raises(InvalidInput, match="condition must be any, new or used"):
        market(condition="worn")  # type: ignore[arg-type]
