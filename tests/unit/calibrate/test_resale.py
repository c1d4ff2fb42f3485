"""Used prices over launch prices: the shipped rows are those of the collected prices."""

from __future__ import annotations

import math

import pytest

from farthing import catalog
from farthing.calibrate.resale import DATA, resale_text, rows_of
from farthing.catalog.load import read_table
from farthing.catalog.prices import prices
from farthing.predict.resale import residual_share, yearly_decline
from farthing.records.hardware import Price
from farthing.records.resale import Resale


def used(item: str, usd: float, date: str) -> Price:
    return Price(item=item, kind="used", usd=usd, per="unit", date=date, source="shop")


def launch(item: str, usd: float, date: str) -> Price:
    return Price(item=item, kind="launch", usd=usd, per="unit", date=date, source="maker")


def test_shipped_rows_are_those_of_the_prices() -> None:
    text = (DATA / "resale.csv").read_text("utf-8")
    assert text == resale_text(rows_of(prices())), "write it anew: python -m farthing.calibrate resale"


def test_a_row_by_hand() -> None:
    found = [
        launch("t4", 2000, "2020-01-01"),
        launch("t4", 9999, "2021-01-01"),
        used("t4", 500, "2024-01-01"),
    ]
    (row,) = rows_of(found)
    assert (row.item, row.share, row.date) == ("t4", 0.25, "2024-01-01")
    assert row.age_years == pytest.approx(1461 / 365, abs=0.005)
    assert row.source == "500 of 2000 USD at launch (2020-01-01, prices.csv); shop"


def test_without_a_collected_launch_price_the_catalogue_speaks() -> None:
    card = catalog.accelerator("rtx-4060")
    (row,) = rows_of([used("rtx-4060", card.launch_price_usd / 2, str(card.year + 2))])
    assert (row.share, row.age_years) == (0.5, pytest.approx(2, abs=0.01))


def test_a_month_stands_for_its_middle() -> None:
    found = [launch("t4", 100, "2020-07-01"), used("t4", 50, "2022"), used("t4", 50, "2022-07")]
    assert [row.age_years for row in rows_of(found)] == pytest.approx([2.0, 2.04], abs=0.005)


@pytest.mark.parametrize(
    "price",
    [
        used("no-such-card", 500, "2024"),
        used("a800-sxm-80gb", 500, "2024"),
        used("t4", 500, ""),
        used("t4", 500, "2020-03-01"),
        launch("t4", 500, "2024"),
    ],
)
def test_what_tells_nothing_of_a_year_is_left_out(price: Price) -> None:
    assert rows_of([launch("t4", 2000, "2020-01-01"), price]) == []


def test_text_reads_back() -> None:
    rows = rows_of([launch("t4", 3000, "2020-01-01"), used("t4", 1000, "2024-05")])
    assert list(read_table("resale.csv", Resale, resale_text(rows)).values()) == rows


def test_decline_of_the_shipped_rows() -> None:
    rows = list(catalog.resales().values())
    decline = yearly_decline([row.age_years for row in rows], [row.share for row in rows])
    assert 0 < decline < 0.5
    above = sum(row.share > residual_share(row.age_years, decline) for row in rows)
    assert math.floor(len(rows) / 2) - 1 <= above <= math.ceil(len(rows) / 2)
