"""Questions: what they may say, and what is told to whoever asks nonsense."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from farthing import api, catalog
from farthing.design.asked import (
    chosen_accelerators,
    given_prices,
    market_decline,
    ownership_terms,
    rack_usd_per_kw_month,
    serving_plans,
)
from farthing.errors import CatalogError, FarthingError, InvalidInput, UnknownName
from farthing.records.design import Demand, DesignLimits, Ownership

ASKED: dict[str, Any] = {"tokens_per_s": 100, "accelerators": ["l4"], "most_hosts": 1}


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"tokens_per_s": 0}, "state the demand"),
        ({"tokens_per_s": -1}, "tokens_per_s must be a number of 0 or more"),
        ({"tokens_per_s": math.nan}, "tokens_per_s must be a number"),
        ({"tokens_per_s": math.inf}, "tokens_per_s must be a number"),
        ({"tokens_per_s": "many"}, "tokens_per_s"),
        ({"trough_share": 1.5}, "trough_share must be in 0..1"),
        ({"tpot_s": -0.1}, "tpot_s must be a number of 0 or more"),
        ({"most_hosts": 0}, "most_hosts must be at least 1"),
        ({"most_hosts": 1.5}, "most_hosts must be a whole number"),
        ({"most_accelerators": -1}, "most_accelerators must be a number of 0 or more"),
        ({"pue": 0.5}, "pue must be a number of 1 or more"),
        ({"pue": 11}, "pue must be in 1..10"),
        ({"years": 0}, r"years must be in \(0, 100\]"),
        ({"years": 101}, r"years must be in \(0, 100\]"),
        ({"years": math.nan}, r"years must be in \(0, 100\]"),
        ({"annual_interest": 8}, None),
        ({"annual_interest": 80}, "0.08 is 8%"),
        ({"residual_share": 1.1}, "residual_share must be in 0..1"),
        ({"usd_per_kwh": -0.1}, "usd_per_kwh must be a number of 0 or more"),
        ({"site": "moon"}, "site must be home or datacentre"),
        ({"country": "atlantis"}, "atlantis"),
        ({"accelerators": ["rtx-9999"]}, "unknown accelerator, vendor or architecture 'rtx-9999'"),
        ({"objective": "fastest"}, "no objective 'fastest'"),
        ({"objective": "capital"}, "what is rented takes no capital"),
        ({"objective": "tokens-per-s"}, "leave out tokens_per_s"),
        ({"objective": "tokens-per-s", "tokens_per_s": 0}, "within a limit on capital"),
        ({"front": ("usd", "tokens-per-s")}, "leave out tokens_per_s"),
        ({"front": ("usd",)}, "two or three objectives"),
        ({"front": ("usd", "usd")}, "two or three objectives"),
        ({"front": ("usd", "tpot", "ttft", "power")}, "two or three objectives"),
        ({"front": ("usd", "beauty")}, "no objective 'beauty'"),
        ({"ways": "steal"}, "ways must be own, rent or either"),
        ({"condition": "worn"}, "condition must be any, new or used"),
        ({"top": 0}, "top must be a whole number of at least 1"),
        ({"top": True}, "top must be a whole number"),
        ({"tp": 2}, "a design finds tp itself"),
        ({"batch_size": 8}, "a design finds batch_size itself"),
        ({"weight_format": []}, "weight_format has no value"),
        ({"weight_format": "fp99"}, "fp99"),
        ({"engine": "megatron-lm"}, "trains models"),
        ({"engine": "no-such"}, "no-such"),
        ({"usd": {"l4": -5}}, "the price of l4 must be a number of 0 or more"),
        ({"usd": {"l4": "cheap"}}, "the price of l4 must be a number"),
        ({"usd": {"l44": 5}}, "l44"),
        ({"usd_per_hour": {"l4": math.nan}}, "the rent of l4 must be a number"),
        ({"usd_per_hour": {"psu-850": 1.0}}, "psu-850"),
        ({"colour": "red"}, "unknown option 'colour'"),
        ({"tokens_per_sec": 5}, "did you mean tokens_per_s"),
        ({"prompt_tokens": -1}, "prompt_tokens"),
        ({"model": "llama-9"}, "llama-9"),
    ],
)
def test_nonsense_is_refused_in_one_line(question: dict[str, Any], message: str | None) -> None:
    asked = {"model": "llama-3.1-8b", **ASKED, **question}
    if message is None:
        api.design(**asked)
        return
    with pytest.raises((InvalidInput, UnknownName), match=message) as caught:
        api.design(**asked)
    assert "\n" not in str(caught.value)


def test_huge_numbers_find_nothing_and_say_so() -> None:
    found = api.design("llama-3.1-8b", **{**ASKED, "tokens_per_s": 1e15})
    assert not found.best
    assert found.miss


@pytest.mark.parametrize("text", ["", "item,usd\n", "nonsense", "item,kind,usd,per,date\nrtx-4090,purch"])
def test_price_files_that_are_broken(tmp_path: Path, text: str) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(text)
    with pytest.raises(FarthingError) as caught:
        api.design("llama-3.1-8b", prices=file, **ASKED)
    assert isinstance(caught.value, (InvalidInput, CatalogError))
    with pytest.raises(FarthingError):
        api.design("llama-3.1-8b", prices=tmp_path / "none.csv", **ASKED)


def test_own_prices_count_in_the_bill() -> None:
    found = api.design("llama-3.1-8b", usd={"L4": 123.0}, ways="own", **ASKED)
    (row,) = (row for row in found.best[0].bill if row.part == "accelerator")
    assert (row.usd, row.source) == (123.0, "given by you")


def test_records_and_options_say_the_same() -> None:
    by_options = api.design("llama-3.1-8b", tpot_s=0.1, years=4, **ASKED)
    by_records = api.design(
        "llama-3.1-8b",
        accelerators="L4",
        demand=Demand(tokens_per_s=100),
        limits=DesignLimits(tpot_s=0.1, most_hosts=1),
        ownership=Ownership(years=4),
    )
    assert by_records == by_options


def test_a_country_gives_electricity_and_circuits() -> None:
    germany = catalog.country("de")
    home = ownership_terms(None, {}, country="Germany")
    assert home.usd_per_kwh == germany.usd_per_kwh_household
    assert home.circuit_w == pytest.approx(230 * 16 * 0.8)
    rack = ownership_terms(None, {"site": "datacentre"}, country="de")
    assert rack.usd_per_kwh == germany.usd_per_kwh_business
    assert rack.circuit_w == 0
    mine = ownership_terms(None, {"usd_per_kwh": 0.5, "circuit_w": 100.0}, country="de")
    assert (mine.usd_per_kwh, mine.circuit_w) == (0.5, 100.0)


def test_a_data_centre_has_its_overhead_and_its_rent() -> None:
    found = ownership_terms(None, {"site": "datacentre"}, country="us")
    assert found.pue == catalog.facilities()["average"].pue
    assert found.usd_per_kw_month == rack_usd_per_kw_month("us") > 0
    rows = [row for row in catalog.hostings().values() if row.country == "us"]
    newest = max(row.date[:4] for row in rows)
    inside = [row.usd_per_kw_month for row in rows if row.date[:4] == newest]
    assert min(inside) <= rack_usd_per_kw_month("us") <= max(inside)
    mine = ownership_terms(None, {"site": "datacentre", "pue": 1.1, "usd_per_kw_month": 90.0})
    assert (mine.pue, mine.usd_per_kw_month) == (1.1, 90.0)


def test_what_used_cards_kept_tells_what_these_will() -> None:
    kept = ownership_terms(None, {"residual_share": "market", "years": 3})
    assert kept.residual_share == pytest.approx(min((1 - market_decline()) ** 3, 1.0))
    longer = ownership_terms(None, {"residual_share": "market", "years": 6})
    assert longer.residual_share < kept.residual_share


def test_groups_of_accelerators() -> None:
    hopper = chosen_accelerators("Hopper")
    assert {catalog.accelerator(name).architecture for name in hopper} == {"hopper"}
    assert chosen_accelerators(["l4", "hopper", "h100-sxm"]) == ("l4", *hopper)
    amd = chosen_accelerators(["AMD"])
    assert {catalog.accelerator(name).vendor for name in amd} == {"AMD"}


def test_plans_are_all_combinations() -> None:
    model = catalog.model("llama-3.1-8b")
    options: dict[str, Any] = {"weight_format": ["bf16", "int8"], "kv_format": ("bf16", "fp8"), "left": 1}
    plans = serving_plans(model, options)
    assert {(plan.weight_format, plan.kv_format) for plan in plans} == {
        (weights, keys) for weights in ("bf16", "int8") for keys in ("bf16", "fp8")
    }
    assert options == {"left": 1}
    native = catalog.model("deepseek-v3")
    assert [plan.weight_format for plan in serving_plans(native, {})] == [native.native_format]


def test_given_prices_are_by_id() -> None:
    assert given_prices({" RTX-4090 ": 5}, "the price") == {"rtx-4090": 5.0}
    assert given_prices(None, "the price") == {}
    with pytest.raises(InvalidInput):
        given_prices({"rtx-4090": True}, "the price")
