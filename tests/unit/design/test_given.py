"""Described builds are those of the search, and what does not go together is said in one line."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from farthing import catalog
from farthing.design.answer import design_serving
from farthing.design.given import given_build
from farthing.design.shop import Shop, market
from farthing.errors import FarthingError, Infeasible, InvalidInput, UnknownName
from farthing.records.design import Build, Demand, DesignLimits, Ownership
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

MODEL = catalog.model("llama-2-70b")
LOAD = InferenceWorkload(prompt_tokens=512, output_tokens=128)
PLAN = InferencePlan(weight_format="fp16")
CARDS = ("rtx-3090", "rtx-4090", "h100-sxm", "mi300x", "dgx-spark")
PAIR: dict[str, Any] = {
    "accelerator": "rtx-4090",
    "accelerators_per_host": 4,
    "host": "romed8-2t-frame",
    "hosts": 2,
    "nic": "connectx-4-lx-single",
    "sequences": 16,
    "plan": InferencePlan(weight_format="fp16", tp=4, pp=2),
}
"""Two hosts of four cards, and a cable between them."""


@pytest.fixture(scope="module")
def shop() -> Shop:
    return market()


def described(shop: Shop, **changes: Any) -> Build:
    """The pair, or something else."""
    asked = {**PAIR, **changes}
    return given_build(shop, asked.pop("model", MODEL), asked.pop("load", LOAD), asked.pop("plan"), **asked)


@pytest.mark.parametrize(
    ("demand", "ways"),
    [
        (Demand(tokens_per_s=600.0), "own"),
        (Demand(tokens_per_s=2500.0, trough_share=0.3), "rent"),
    ],
)
def test_what_the_search_finds_is_the_same_when_described(shop: Shop, demand: Demand, ways: Any) -> None:
    terms = Ownership(years=4.0, annual_interest=0.05, circuit_w=3000.0)
    found = design_serving(
        shop,
        MODEL,
        LOAD,
        [PLAN],
        demand=demand,
        limits=DesignLimits(tpot_s=0.2),
        ownership=terms,
        ways=ways,
        accelerators=CARDS,
    )
    assert len(found.best) >= 3
    for build in found.best:
        assert build.inference is not None
        again = given_build(
            shop,
            MODEL,
            LOAD,
            build.inference.plan,
            accelerator=build.accelerator,
            accelerators_per_host=build.accelerators_per_host,
            host=build.host,
            hosts=build.hosts,
            nic=build.nic,
            switch=build.switch,
            network=build.network,
            nics_per_host=build.nics_per_host,
            copies=build.copies,
            sequences=build.inference.workload.batch_size,
            ownership=terms,
            demand=demand,
        )
        assert again == build


def test_a_bill_holds_what_was_described(shop: Shop) -> None:
    built = described(shop)
    bought = {row.item: row.quantity for row in built.bill}
    assert bought["rtx-4090"] == 8
    assert bought["connectx-4-lx-single"] == 2
    assert bought["asrock-romed8-2t"] == 2
    assert (built.cluster, built.switch, built.network) == ("2x4:rtx-4090@25g-roce", "", "25g-roce")
    assert sum(row.quantity * row.usd for row in built.bill) == pytest.approx(built.capital_usd)


def test_more_copies_do_and_cost_as_much_more(shop: Shop) -> None:
    alone = described(shop, accelerators_per_host=2, hosts=1, nic="", plan=two_cards())
    twice = described(
        shop, accelerators_per_host=2, hosts=2, nic="", copies=2, switch="mikrotik-crs305", plan=two_cards()
    )
    assert twice.tokens_per_s == pytest.approx(2 * alone.tokens_per_s)
    assert twice.capital_usd > 2 * alone.capital_usd
    joint = [row for row in twice.bill if row.part in ("switch", "cable")]
    assert twice.capital_usd - 2 * alone.capital_usd == pytest.approx(sum(r.quantity * r.usd for r in joint))


def two_cards() -> InferencePlan:
    return InferencePlan(weight_format="awq-int4", tp=2)


def test_demand_below_what_it_can_do_makes_tokens_dear(shop: Shop) -> None:
    full = described(shop)
    half = described(shop, demand=Demand(tokens_per_s=full.tokens_per_s / 2))
    assert half.usd_per_million_tokens > 1.7 * full.usd_per_million_tokens
    assert half.power_w < full.power_w


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"accelerator": "rtx-4900"}, UnknownName, "did you mean rtx-"),
        ({"host": "romed8"}, UnknownName, "romed8-2t"),
        ({"nic": "connectx-99"}, UnknownName, "connectx-"),
        ({"switch": "mikrotik-crs999"}, UnknownName, "mikrotik-crs"),
        ({"hosts": 0}, InvalidInput, "hosts must be a whole number in 1.."),
        ({"hosts": -2}, InvalidInput, "hosts must be a whole number"),
        ({"hosts": 2.5}, InvalidInput, "hosts must be a whole number"),
        ({"copies": 10**9}, InvalidInput, "copies must be a whole number in 1..100,000"),
        ({"sequences": float("nan")}, InvalidInput, "sequences must be a whole number"),
        ({"sequences": True}, InvalidInput, "sequences must be a whole number"),
        ({"accelerators_per_host": 9}, InvalidInput, "has 6 slots for accelerators, not 9"),
        ({"accelerator": "h100-sxm"}, InvalidInput, "no place for h100-sxm (SXM5): use one of dgx-h100"),
        ({"host": "hgx-h100-8u"}, InvalidInput, "it is made for h100-sxm"),
        (
            {"accelerator": "h100-sxm", "host": "hgx-h100-8u"},
            InvalidInput,
            "sold with 8 accelerators, not 4: say accelerators_per_host=8",
        ),
        ({"hosts": 3}, InvalidInput, "take 2 hosts of 4, not 3: say hosts=2"),
        ({"copies": 3}, InvalidInput, "say hosts=6, or copies=1"),
        ({"plan": InferencePlan(tp=6, pp=2)}, InvalidInput, "must lie in one host or fill hosts of 4"),
        (
            {"plan": InferencePlan(tp=8, weight_format="q4_k_m", engine="llama.cpp")},
            InvalidInput,
            "cuts a layer only within a host",
        ),
        ({"plan": InferencePlan(dp=2, tp=4)}, InvalidInput, "say copies=2"),
        ({"plan": InferencePlan(tp=3, pp=2)}, InvalidInput, "does not divide the 64 heads"),
        ({"network": "10gbe"}, InvalidInput, "speaks 25g-roce, not 10gbe: say nic="),
        ({"hosts": 1, "plan": two_cards()}, InvalidInput, "one host has nobody to talk to"),
        ({"switch": "mikrotik-crs305"}, InvalidInput, "do not take 25g-roce: say switch="),
        ({"accelerators_per_host": 6, "nics_per_host": 2}, InvalidInput, "1 slots free for"),
        ({"nics_per_host": 3}, InvalidInput, "change nics_per_host"),
        ({"host": "am5-x870e-2-cards", "accelerators_per_host": 2}, InvalidInput, "take 4 hosts of 2"),
        ({"host": "article-server-4"}, InvalidInput, "article-server-4 deliver is not known"),
        (
            {"host": "romed8-2t"},
            InvalidInput,
            "nobody is known to sell romed8-2t: give its price",
        ),
        ({"sequences": 4000}, Infeasible, "more a card; would fit: a batch of"),
        ({"demand": Demand(tokens_per_s=1e6)}, Infeasible, "say copies="),
        ({"host": ""}, InvalidInput, "must have the same number"),
        ({"host": "", "accelerators_per_host": 3}, InvalidInput, "rented out in machines of 1, 2, 4, 8"),
        ({"plan": InferencePlan(tp=4, pp=2, engine="megatron-lm")}, InvalidInput, "trains models: choose"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_does_not_go_together_is_said(
    shop: Shop, changes: dict[str, Any], kind: type[FarthingError], words: str
) -> None:
    with pytest.raises(kind) as caught:
        described(shop, **changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_watts_and_lanes_and_ports_are_counted(shop: Shop) -> None:
    desktop = {"host": "am4-b550-1-card", "accelerators_per_host": 1, "hosts": 8}
    plan = InferencePlan(weight_format="fp16", pp=8)
    with pytest.raises(InvalidInput, match=r"the free slot of am4-b550-1-card carries 3\.94 GB/s"):
        described(shop, **desktop, nic="connectx-6", switch="mikrotik-crs804-200g", plan=plan)
    with pytest.raises(InvalidInput, match="a cable joins two ports, not 8 ports: say switch="):
        described(shop, **desktop, nic="intel-x550-t2", plan=plan)
    with pytest.raises(
        InvalidInput, match=r"mikrotik-crs305 cannot join 9 ports: say switch=.*mikrotik-crs317"
    ):
        described(
            shop,
            **{**desktop, "hosts": 9},
            nic="intel-x550-t2",
            switch="mikrotik-crs305",
            plan=dataclasses.replace(plan, pp=9),
        )
    small = dataclasses.replace(shop.hosts["hgx-h100-8u"], psu_w=6000.0)
    weak = dataclasses.replace(shop, hosts={**shop.hosts, small.id: small})
    with pytest.raises(InvalidInput, match="supplies of hgx-h100-8u deliver 6"):
        described(
            weak,
            accelerator="h100-sxm",
            accelerators_per_host=8,
            host=small.id,
            hosts=1,
            nic="",
            plan=InferencePlan(tp=8),
        )
