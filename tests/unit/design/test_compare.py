"""Cards are compared by plans that a search finds, on as few cards as hold the model."""

from __future__ import annotations

from typing import Any

import pytest

from farthing import api, catalog
from farthing.catalog.prices import purchase_price, rental_price
from farthing.design.compare import FIGURES, compare_cards
from farthing.errors import InvalidInput, UnknownName
from farthing.records.card_comparison import CardPlan

MODEL = catalog.model("llama-3.1-8b")
CARDS = ["rtx-4090", "h100-sxm", "m2-ultra"]


@pytest.fixture(scope="module")
def plans() -> tuple[CardPlan, ...]:
    return compare_cards(MODEL, CARDS, lora_rank=16)


def one(plans: tuple[CardPlan, ...], card: str, task: str, rank: int = 0) -> CardPlan:
    (found,) = [p for p in plans if (p.accelerator, p.task, p.lora_rank) == (card, task, rank)]
    return found


def test_every_task_has_every_card(plans: tuple[CardPlan, ...]) -> None:
    tasks = [("inference", 0), ("training", 0), ("training", 16)]
    assert [(p.task, p.lora_rank, p.accelerator) for p in plans] == [(*t, c) for t in tasks for c in CARDS]


@pytest.mark.parametrize(("card", "task"), [("rtx-4090", "inference"), ("h100-sxm", "training")])
def test_the_plan_is_the_best_of_the_search(plans: tuple[CardPlan, ...], card: str, task: Any) -> None:
    plan = one(plans, card, task)
    assert plan.choice is not None
    cards = plan.choice.estimate.accelerators
    asked = {"offload": "none"} if task == "training" else {}
    best = api.search(MODEL, f"1x{cards}:{card}", task=task, top=1, **asked).result.best
    assert best[0].estimate.plan == plan.choice.estimate.plan
    if cards > 1:
        fewer = api.search(MODEL, f"1x{cards // 2}:{card}", task=task, top=1, **asked).result
        assert not fewer.best


def test_figures_are_of_one_card_and_its_prices(plans: tuple[CardPlan, ...]) -> None:
    plan = one(plans, "h100-sxm", "training")
    bought, rented = purchase_price("h100-sxm"), rental_price("h100-sxm")
    assert plan.choice is not None
    assert bought is not None
    assert rented is not None
    each = plan.choice.estimate.tokens_per_s / plan.choice.estimate.accelerators
    assert plan.tokens_per_s_per_accelerator == pytest.approx(each)
    assert plan.tokens_per_s_per_usd == pytest.approx(each / bought.usd)
    assert plan.rented_tokens_per_usd == pytest.approx(each * 3600 / rented.usd)


def test_ratios_are_to_the_first_card(plans: tuple[CardPlan, ...]) -> None:
    for plan in plans:
        first = one(plans, "rtx-4090", plan.task, plan.lora_rank)
        assert plan.relative_to == "rtx-4090"
        for name, ratio in plan.relative.items():
            assert ratio == pytest.approx(getattr(plan, name) / getattr(first, name))
    assert set(one(plans, "h100-sxm", "training").relative) == set(FIGURES)


def test_an_unknown_price_has_no_ratio(plans: tuple[CardPlan, ...]) -> None:
    plan = one(plans, "m2-ultra", "inference")
    assert rental_price("m2-ultra") is None
    assert plan.rented_tokens_per_usd == 0
    assert "rented_tokens_per_usd" not in plan.relative


def test_adapters_need_fewer_cards(plans: tuple[CardPlan, ...]) -> None:
    whole, adapters = (one(plans, "rtx-4090", "training", rank).choice for rank in (0, 16))
    assert whole is not None
    assert adapters is not None
    assert adapters.estimate.accelerators < whole.estimate.accelerators


def test_a_machine_with_shared_memory_is_one(plans: tuple[CardPlan, ...]) -> None:
    choice = one(plans, "m2-ultra", "training").choice
    assert choice is not None
    assert choice.estimate.accelerators == 1


def test_what_does_not_fit_says_so_and_the_next_card_is_the_measure() -> None:
    served, other, trained, also = compare_cards(catalog.model("llama-2-70b"), ["rtx-3090", "mi300x"])
    assert served.choice is not None
    assert (served.relative_to, other.relative_to) == ("rtx-3090", "rtx-3090")
    assert trained.choice is None
    assert trained.misfit.startswith("does not fit on 8 cards: the nearest plan needs")
    assert (trained.tokens_per_s_per_accelerator, trained.relative) == (0.0, {})
    assert also.relative_to == "mi300x"
    assert set(also.relative.values()) == {1.0}


def test_a_card_that_cannot_be_asked_leaves_the_others() -> None:
    tpu, gpu, *_ = compare_cards(MODEL, ["tpu-v5e", "rtx-4090"], weight_format="q4_k_m")
    assert "llama.cpp does not run on TPU v5e" in tpu.misfit
    assert gpu.relative_to == "rtx-4090"


def test_an_encoder_reads() -> None:
    served, _ = compare_cards(catalog.model("bert-base"), ["h100-sxm"])
    assert served.tokens_per_s_per_accelerator > 0


def test_options_reach_the_serving_search() -> None:
    served, _ = compare_cards(MODEL, ["h100-sxm"], weight_format="fp8", prompt_tokens=300)
    assert served.choice is not None
    assert served.choice.inference is not None
    assert served.choice.inference.plan.weight_format == "fp8"
    assert served.choice.inference.workload.prompt_tokens == 300


def test_progress_ends_with_all() -> None:
    told: list[tuple[int, int]] = []
    compare_cards(MODEL, ["h100-sxm", "h100-sxm"], told=lambda done, whole: told.append((done, whole)))
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("cards", "more", "words"),
    [
        ([], {}, "no card to compare"),
        (["h100-sxm"], {"lora_rank": -1}, "whole number of 0 or more, not -1"),
        (["h100-sxm"], {"lora_rank": 1.5}, "whole number of 0 or more, not 1.5"),
        (["h100-sxm"], {"batchsize": 1}, "batchsize"),
        (["h100-sxm"], {"prompt_tokens": 0}, "prompt_tokens must be at least 1"),
        (["h100-sxm"], {"weight_format": "fp9"}, "fp9"),
    ],
)
def test_bad_input(cards: list[str], more: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        compare_cards(MODEL, cards, **more)


def test_an_unknown_card_is_refused_before_any_search() -> None:
    with pytest.raises(UnknownName, match="rtx-4090"):
        compare_cards(MODEL, ["h100-sxm", "rtx-4900"], told=lambda *_: pytest.fail("searched"))
