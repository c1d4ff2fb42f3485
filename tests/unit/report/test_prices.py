"""Prices as a list; old ones carry the mark wherever a price is shown."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest

from farthing import api, article
from farthing.catalog.cluster import parse_cluster
from farthing.catalogue import described
from farthing.cli.article import _tables
from farthing.records.hardware import Price
from farthing.records.price_update import PriceUpdate
from farthing.report.accelerators import Candidate, accelerator_report, candidate_object, comparison
from farthing.report.catalog import row_list, row_report
from farthing.report.clusters import cluster_report
from farthing.report.prices import STALE, price_list, price_object, update_report

TODAY = datetime.date.today().isoformat()
AGES = pytest.mark.parametrize(("date", "old"), [(TODAY, False), ("2023-09-27", True), ("", True)])


def price(date: str, kind: Any = "purchase") -> Price:
    per: Any = "accelerator-hour" if kind == "rental" else "unit"
    return Price(item="rtx-4090", kind=kind, usd=1600, per=per, provider="Shop", date=date, source="a test")


@AGES
def test_the_list(render: Any, date: str, old: bool) -> None:
    text = render(price_list([price(date)]))
    assert (STALE in text) is old
    assert "1 price of 1 item" in text
    assert price_object(price(date))["stale"] is old


@AGES
def test_an_accelerator(render: Any, date: str, old: bool) -> None:
    assert (STALE in render(accelerator_report(api.accelerator("rtx-4090"), [price(date)]))) is old


@AGES
def test_a_comparison(render: Any, date: str, old: bool) -> None:
    estimate = api.infer("llama-2-7b", "rtx-4090", weight_format="int8")
    (own, _) = estimate.costs
    estimate = dataclasses.replace(estimate, costs=(dataclasses.replace(own, stale=old),))
    card = api.accelerator("rtx-4090")
    alone = Candidate(accelerator=card, purchase=price(date), rental=price(date, "rental"))
    text = render(comparison([alone]), 120)
    assert text.count(STALE) == 2 * old
    priced = Candidate(accelerator=card, estimate=estimate)
    assert render(comparison([priced]), 120).count(STALE) == old
    found = candidate_object(alone)
    assert (found["purchase"]["stale"], found["rental"]["stale"]) == (old, old)
    assert candidate_object(priced)["purchase"] is None


@AGES
def test_a_cluster(render: Any, date: str, old: bool) -> None:
    prices = {"rtx-4090": (price(date), price(date, "rental"))}
    assert render(cluster_report(parse_cluster("1x8:rtx-4090"), prices)).count(STALE) == 2 * old


@AGES
def test_the_rest_of_the_catalogue(render: Any, date: str, old: bool) -> None:
    row = dataclasses.replace(api.row("switches", "switch-200g-40"), price_usd=20000.0, price_date=date)
    assert (STALE in render(row_list("switches", [row]), 120)) is old
    assert (STALE in render(row_report(described(row, "switches")), 120)) is (old and bool(date))


def test_unpriced_rows_have_no_mark(render: Any) -> None:
    row = dataclasses.replace(api.row("switches", "switch-200g-40"), price_usd=0.0, price_date="")
    assert STALE not in render(row_list("switches", [row]), 120)


@AGES
def test_the_article(render: Any, date: str, old: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(article, "known_prices", lambda: (price(date),))
    text = " ".join(render(_tables(article.rows(), wide=False)).split())
    assert f"rtx-4090 $1,600 ({date or 'undated'}{STALE * old})" in text


def test_the_price_of_a_host_ages_too() -> None:
    cluster = parse_cluster("1x8:rtx-4090")
    group = cluster.groups[0]
    host = api.row("hosts", "article-server-8")
    for seen, old in ((TODAY, False), ("2023-09-27", True), ("", False)):
        dated = dataclasses.replace(host, price_usd=20000.0, price_date=seen)
        owned = dataclasses.replace(cluster, groups=(dataclasses.replace(group, host=dated),))
        found = api.infer("llama-2-7b", owned, tp=8, usd_per_accelerator=1600).costs
        assert [cost.stale for cost in found if cost.way == "own"] == [old]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_amounts_are_never_cut(render: Any, width: int) -> None:
    text = render(price_list([price(TODAY), dataclasses.replace(price(TODAY), usd=0.123456)]), width)
    assert "1,600" in text
    assert "0.1235" in text


def test_a_refresh(render: Any) -> None:
    update = PriceUpdate(
        file="rentals.csv",
        offers=3,
        priced_accelerators=2,
        providers=("AWS", "RunPod"),
        missing_providers=("GCP",),
        unknown_offers=40,
        unknown_names=tuple(f"card {number}" for number in range(10)),
    )
    text = " ".join(render(update_report(update)).split())
    for words in (
        "3 for 2 accelerators",
        "AWS, RunPod",
        "GCP; their earlier",
        "40 offers",
        "card 7 and 2 more",
    ):
        assert words in text
    bare = dataclasses.replace(update, missing_providers=(), unknown_offers=0, unknown_names=())
    assert "left out" not in render(update_report(bare))
    assert "not reached" not in render(update_report(bare))
