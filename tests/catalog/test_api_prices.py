"""Prices of tokens name a model, a provider, a day and a source; the newest come first."""

from __future__ import annotations

import datetime
import re

import pytest

from farthing import catalog
from farthing.catalog.load import read_table
from farthing.catalog.prices import api_prices
from farthing.errors import CatalogError, InvalidInput, UnknownName
from farthing.records.api_price import ApiPrice

PRICES = tuple(catalog.api_prices().values())
HEADER = "model,provider,weight_format,usd_per_million_input,usd_per_million_output,date,source\n"

WIDE = {
    "deepseek-r1": "SambaNova's 5 against Lambda's 0.2 for prompts in the same list",
    "llama-3.1-8b": "Azure's 0.61 of 2024 against DeepInfra's 0.02 eleven months later",
    "llama-3.1-70b": "Azure's 2.68 of 2024 against DeepInfra's 0.1 eleven months later",
    "llama-3.2-1b": "Cloudflare's 0.201 for answers against OpenRouter's 0.01 in the same summer",
    "llama-3.3-70b": "DeepInfra's 0.038 for prompts, which it asked 0.13 for half a year later",
    "qwen3-235b-a22b": "its reasoning and its plain weights are one shape here and cost unlike",
}
"""Models whose prices of a year differ more than twentyfold, and why."""


def test_there_are_many() -> None:
    assert len(PRICES) > 550
    assert len({price.model for price in PRICES}) >= 80
    assert len({price.provider for price in PRICES}) >= 25
    assert {price.date[:4] for price in PRICES} == {"2023", "2024", "2025", "2026"}


@pytest.mark.parametrize("price", PRICES, ids=lambda price: f"{price.model}-{price.provider}-{price.date}")
def test_price_is_sourced_and_plausible(price: ApiPrice) -> None:
    assert price.model in catalog.models()
    assert price.provider
    assert "; listed as " in price.source
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])-[0-3]\d", price.date)
    datetime.date.fromisoformat(price.date)
    assert 0.005 <= price.usd_per_million_input <= price.usd_per_million_output <= 30


def test_no_row_is_there_twice() -> None:
    assert len(set(PRICES)) == len(PRICES)


def test_rows_are_sorted() -> None:
    assert [(p.model, p.provider, p.date) for p in PRICES] == sorted(
        (p.model, p.provider, p.date) for p in PRICES
    )


def test_prices_of_a_year_differ_less_than_twentyfold() -> None:
    wide = set()
    for one in PRICES:
        for other in PRICES:
            years = datetime.date.fromisoformat(one.date) - datetime.date.fromisoformat(other.date)
            if one.model == other.model and abs(years.days) <= 365:
                for field in ("usd_per_million_input", "usd_per_million_output"):
                    if getattr(one, field) > 20 * getattr(other, field):
                        wide.add(one.model)
    assert wide == set(WIDE)


@pytest.mark.parametrize(
    ("model", "provider", "date", "usd"),
    [
        ("llama-2-70b", "Anyscale", "2023-12-14", (1.0, 1.0)),
        ("llama-3.1-405b", "AWS Bedrock", "2024-10-30", (5.32, 16.0)),
        ("llama-3.3-70b", "Groq", "2025-03-13", (0.59, 0.79)),
        ("gpt-oss-120b", "Together AI", "2025-09-13", (0.15, 0.6)),
        ("deepseek-r1", "DeepSeek", "2025-09-13", (0.55, 2.19)),
    ],
)
def test_known_prices(model: str, provider: str, date: str, usd: tuple[float, float]) -> None:
    found = [
        (price.usd_per_million_input, price.usd_per_million_output)
        for price in api_prices(model)
        if (price.provider, price.date) == (provider, date)
    ]
    assert usd in found


def test_newest_first_and_the_cheapest_first_of_a_day() -> None:
    found = api_prices("Llama-3.3-70B ")
    assert len(found) >= 15
    assert {price.model for price in found} == {"llama-3.3-70b"}
    assert [price.date for price in found] == sorted((price.date for price in found), reverse=True)
    newest = [price.usd_per_million_output for price in found if price.date == found[0].date]
    assert newest == sorted(newest)


def test_a_model_that_nobody_serves_has_none() -> None:
    assert api_prices("gpt-3-175b") == ()


def test_unknown_model() -> None:
    with pytest.raises(UnknownName, match="llama-2-70b"):
        api_prices("llama-2-07b")


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("llama-9-70b,Us,,1,1,2026-01-01,us", "model"),
        ("llama-2-70b,Us,fp9,1,1,2026-01-01,us", "weight_format"),
    ],
)
def test_a_row_of_an_unknown_model_or_format_is_refused(row: str, field: str) -> None:
    with pytest.raises(CatalogError, match=field):
        catalog.refuse_unknown("mine.csv", read_table("mine.csv", ApiPrice, HEADER + row))


@pytest.mark.parametrize("usd", ["0", "-1", "nan", "inf", "cheap", ""])
def test_a_price_that_is_none_is_refused(usd: str) -> None:
    with pytest.raises(CatalogError, match="usd_per_million_output"):
        read_table("mine.csv", ApiPrice, f"{HEADER}llama-2-70b,Us,,1,{usd},2026-01-01,us")


@pytest.mark.parametrize("usd", [0.0, -1.0, float("nan"), float("inf")])
def test_a_record_of_no_price_is_refused(usd: float) -> None:
    with pytest.raises(InvalidInput, match="usd_per_million_input must be a positive number"):
        ApiPrice(
            model="llama-2-70b",
            provider="Us",
            usd_per_million_input=usd,
            usd_per_million_output=1.0,
            date="2026-01-01",
            source="us",
        )
