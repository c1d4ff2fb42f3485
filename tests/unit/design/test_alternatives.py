"""Owning beside renting and APIs, by hand."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import numpy as np
import pytest

from farthing import catalog
from farthing.design.alternatives import (
    SHARES,
    alternatives,
    api_usd_per_million,
    load_curve,
    newest_api_prices,
    with_demand,
    with_price,
)
from farthing.design.copies import Copies, Task
from farthing.design.machines import Machine
from farthing.design.pricing import Kit, Terms
from farthing.design.serving import Found
from farthing.design.shop import market
from farthing.records.api_price import ApiPrice
from farthing.records.design import Demand, DesignLimits, Ownership
from farthing.records.hardware import Host, Price
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

MODEL = catalog.model("llama-3.3-70b")
LOAD = InferenceWorkload(prompt_tokens=300, output_tokens=100)
TERMS = Terms(
    demand=Demand(tokens_per_s=1000.0),
    limits=DesignLimits(),
    ownership=Ownership(usd_per_kwh=0.1, pue=1.0),
)
BOX = Host(
    id="box",
    name="box",
    kind="server",
    slots=4,
    pcie_generation=4,
    pcie_lanes_per_slot=16,
    memory_bytes=1e12,
    memory_bytes_per_s=1e11,
)


def found(host: Host | None, **figures: float) -> Found:
    card = catalog.accelerator("h100-sxm")
    none, one = np.zeros(1), np.ones(1, dtype=np.int64)
    rows = Copies(
        one, one, one, one, one, none, none, none, none, none, 0.0, none, none, np.ones(1, dtype=bool)
    )
    task = Task(model=MODEL, workload=LOAD, plan=InferencePlan())
    kit = Kit(machine=Machine(accelerator=card, cards=4, host=host), network=None, spans=False)
    return Found(kit, task, rows, 0, figures)


# 7300 USD; 1 kW, at 0.1 USD/kWh 0.1 USD an hour; nothing else.
OWN = found(
    BOX,
    capital_usd=7300.0,
    rated_w=2000.0,
    average_power_w=1000.0,
    power_w=1000.0,
    resting_w=400.0,
    tokens_per_s=1000.0,
    usd_per_s=0.5 / 3600,
    usd_per_million_tokens=0.5 / 3.6,
)
# 4 cards in two copies at 1.1 USD an hour for all.
RENT = found(
    None,
    accelerators=8.0,
    copies=2.0,
    rented_share=1.0,
    tokens_per_s=1000.0,
    usd_per_s=1.1 / 3600,
    usd_per_million_tokens=1.1 / 3.6,
)
SHOP = market(
    rows=[
        Price(
            item="h100-sxm",
            kind="rental",
            usd=1.1 / 8,
            per="accelerator-hour",
            provider="a cloud",
            date="2026-01-05",
            source="its list",
        )
    ],
    today=datetime.date(2026, 11, 1),
)


def test_owning_pays_for_itself_against_rent() -> None:
    first = next(
        one for one in alternatives(SHOP, MODEL, LOAD, TERMS, own=OWN, rent=RENT) if one.name[:4] == "rent"
    )
    # The same tokens cost 1.1 USD an hour rented and 0.1 USD owned: 7300 USD are back after 7300 hours.
    assert first.break_even_s == pytest.approx(7300 * 3600)
    assert first.usd_per_million_tokens == pytest.approx(1.1 / 3.6)
    assert (first.date, first.source, first.stale) == ("2026-01-05", "a cloud: its list", True)
    assert "8 x h100-sxm" in first.name


def test_what_is_cheaper_than_running_never_pays() -> None:
    cheap = dataclasses.replace(RENT, figures=RENT.figures | {"usd_per_million_tokens": 0.09 / 3.6})
    every = alternatives(SHOP, MODEL, LOAD, TERMS, own=OWN, rent=cheap)
    assert next(one for one in every if one.name[:4] == "rent").break_even_s is None
    assert {one.break_even_s for one in alternatives(SHOP, MODEL, LOAD, TERMS, own=None, rent=RENT)} == {None}


def test_apis_are_in_order_and_have_dates() -> None:
    every = alternatives(SHOP, MODEL, LOAD, TERMS, own=OWN, rent=None)
    assert len(every) == len(newest_api_prices(MODEL)) > 3
    prices = [one.usd_per_million_tokens for one in every]
    assert prices == sorted(prices)
    assert all(one.date and one.source and one.name.startswith("API of ") for one in every)
    providers = [one.provider for one in newest_api_prices(MODEL)]
    assert len(set(providers)) == len(providers)


def test_an_answer_pays_for_its_prompt() -> None:
    price = ApiPrice(
        model="llama-3.3-70b",
        provider="x",
        usd_per_million_input=0.2,
        usd_per_million_output=0.9,
        date="2026-10-01",
        source="",
    )
    # Three tokens are read for each that is written.
    assert api_usd_per_million(price, LOAD) == pytest.approx(0.9 + 3 * 0.2)
    reads = InferenceWorkload(prompt_tokens=300, output_tokens=0)
    assert api_usd_per_million(price, reads) == 0.2


def test_less_to_do_makes_owned_tokens_dearer() -> None:
    curve = {point.share: point for point in load_curve(OWN, RENT, TERMS)}
    assert tuple(curve) == SHARES
    half = curve[0.5]
    # At half the demand 700 W instead of 1000 W: 0.03 USD an hour less, over half the tokens.
    assert half.own == pytest.approx((0.5 - 0.03) / (3.6 / 2))
    assert half.rent == pytest.approx(1.1 / (3.6 / 2))
    assert curve[1.0].own == pytest.approx(0.5 / 3.6)
    assert load_curve(None, RENT, TERMS)[0].own is None
    assert load_curve(OWN, None, TERMS)[0].rent is None


def test_elastic_rent_goes_down_to_one_copy() -> None:
    elastic = with_price(TERMS, elastic=True)
    curve = {point.share: point.rent for point in load_curve(None, RENT, elastic)}
    assert curve[0.5] == pytest.approx(1.1 / 3.6)
    # One of two copies stays: half the rent for a tenth of the tokens.
    assert curve[0.1] == pytest.approx(0.55 / 0.36)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [(with_demand(TERMS, 2.0).demand.tokens_per_s, 2000.0), (with_price(TERMS, years=7).ownership.years, 7)],
)
def test_other_terms(changed: Any, expected: float) -> None:
    assert changed == expected
