"""Costs of chips: options, refusals, what is not known, and the derivation."""

from __future__ import annotations

import math
from typing import Any

import pytest

from farthing import api, catalog
from farthing.errors import InvalidInput, UnknownName
from farthing.estimate.chip import chip_cost, new_price


@pytest.mark.parametrize("name", catalog.chips())
def test_every_chip_has_a_cost(name: str) -> None:
    found = chip_cost(name)
    assert 0 < found.yield_share < 1
    assert found.low_total_usd <= found.total_usd <= found.high_total_usd
    price = new_price(name)
    assert found.price_usd == (price.usd if price else 0)
    # What is sold for less than its materials is a slip in the data.
    assert found.margin_share >= 0


def test_prices_are_those_asked_for() -> None:
    base = chip_cost("h100-sxm")
    assert chip_cost("h100-sxm", memory_usd_per_gb=20).memory_usd == 80 * 20
    assert chip_cost("h100-sxm", package_usd=0).total_usd == pytest.approx(base.total_usd - base.package_usd)
    assert chip_cost("h100-sxm", wafer_usd=30_000).die_usd == pytest.approx(2 * base.die_usd)
    assert chip_cost("h100-sxm", board_usd=400).board_usd == 400
    assert chip_cost("h100-sxm", defects_per_cm2=0).yield_share == 1


def test_harvest_counts_for_the_die_with_spares_alone() -> None:
    assert chip_cost("h100-sxm").die_usd < chip_cost("h100-sxm", harvest=False).die_usd
    full, plain = chip_cost("a40"), chip_cost("a40", harvest=False)
    assert not full.harvest
    assert full.die_usd == plain.die_usd
    assert chip_cost("h100-sxm", unit_area_share=0).die_usd == pytest.approx(
        chip_cost("h100-sxm", harvest=False).die_usd
    )


def test_models_order() -> None:
    def share(model: Any, **options: Any) -> float:
        return chip_cost("h100-sxm", yield_model=model, harvest=False, **options).yield_share

    assert share("poisson") < share("murphy") < share("negative-binomial", clustering=1)


def test_a_part_without_a_price_is_told() -> None:
    found = chip_cost("mi250x")
    assert (found.missing, found.package_usd) == (("package",), 0)
    asked = chip_cost("mi250x", package_usd=500)
    assert asked.missing == ()
    assert asked.total_usd == pytest.approx(found.total_usd + 500)


def test_a_chip_without_a_price_has_no_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farthing.estimate.chip.purchase_price", lambda _id, among: None)
    found = chip_cost("h100-pcie")
    assert (found.price_usd, found.price_kind, found.margin_share) == (0, "", 0)


def test_what_it_rests_on_is_told() -> None:
    told = " ".join(chip_cost("h100-sxm").assumptions)
    for word in ("132 of 144", "TSMC 4N", "hbm3", "cowos-s", "board-sxm", "not counted"):
        assert word in told
    own = " ".join(chip_cost("h100-sxm", wafer_usd=1e4, defects_per_cm2=0.1, package_usd=1).assumptions)
    assert "TSMC 4N" not in own
    assert "cowos-s" not in own


@pytest.mark.parametrize("name", ["h100-sxm", "mi300x", "b200-sxm", "a40"])
@pytest.mark.parametrize("model", ["murphy", "poisson", "negative-binomial"])
def test_the_derivation_has_the_value(name: str, model: Any) -> None:
    plain, explained = chip_cost(name, yield_model=model), chip_cost(name, yield_model=model, explain=True)
    assert plain.terms == ()
    assert explained.total_usd == pytest.approx(plain.total_usd, rel=1e-12)
    cost, margin = explained.terms
    assert cost.value == pytest.approx(plain.total_usd)
    assert margin.value == pytest.approx(plain.margin_share)
    assert cost.reference == "li-2023-article"


def test_the_front_door_has_it() -> None:
    assert api.chip_cost("H100-SXM ").id == "h100-sxm"
    assert "h100-sxm" in api.chips()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"defects_per_cm2": -0.1}, "defects_per_cm2 must be 0 to 10"),
        ({"defects_per_cm2": math.nan}, "defects_per_cm2 must be"),
        ({"defects_per_cm2": 1e9}, "defects_per_cm2 must be"),
        ({"wafer_usd": 0}, "wafer_usd must be more than 0"),
        ({"wafer_usd": math.inf}, "wafer_usd must be"),
        ({"wafer_usd": "cheap"}, "wafer_usd must be"),
        ({"memory_usd_per_gb": -1}, "memory_usd_per_gb must be"),
        ({"package_usd": True}, "package_usd must be"),
        ({"unit_area_share": 1.5}, "unit_area_share must be in 0..1"),
        ({"clustering": 0}, "clustering must be in"),
        ({"yield_model": "seeds"}, "unknown yield model"),
        ({"defects_per_cm2": 10, "harvest": False, "yield_model": "poisson"}, "give fewer defects"),
        ({"article": True, "wafer_usd": 1e4}, "leave out all others"),
        ({"article": True, "yield_model": "poisson"}, "leave out all others"),
    ],
)
def test_bad_input_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        chip_cost("h100-sxm", **options)


def test_names_are_refused_with_advice() -> None:
    with pytest.raises(UnknownName, match="did you mean h100-sxm"):
        chip_cost("h100-smx")
    with pytest.raises(InvalidInput, match="silicon of 'rtx-4080' is not in the catalogue"):
        chip_cost("rtx-4080")
    with pytest.raises(InvalidInput, match="no bill of 'mi300x'; name h100-sxm or rtx-4090"):
        chip_cost("mi300x", article=True)
    with pytest.raises(UnknownName):
        chip_cost("zzz", article=True)
