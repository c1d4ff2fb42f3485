"""Few sequences on a few like cards: a plan that leaves cards idle is named where it is clearly better."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import farthing
from farthing.errors import InvalidInput
from farthing.search.rearranged import FEW, WORTH_IDLE


def ask(model: str, cluster: str, **more: Any) -> Any:
    return farthing.search(model, cluster, **more).result


def by_hand(model: str, cluster: str, most: int, **more: Any) -> float:
    """The best rate of any split of up to so many cards, one estimate after the other."""
    rates = []
    sizes = range(1, most + 1)
    for tp, pp, dp, chunk in itertools.product(sizes, sizes, sizes, (0, 512)):
        if tp * pp * dp > most:
            continue
        try:
            found = farthing.infer(model, cluster, tp=tp, pp=pp, dp=dp, chunk_tokens=chunk, **more)
        except InvalidInput:
            continue
        rates += [found.served_tokens_per_s] if found.fits else []
    return max(rates)


@pytest.mark.parametrize(
    ("model", "cluster", "batch", "used"),
    [("llama-3.1-8b", "1x7:rtx-4090", 1, 4), ("llama-3.1-8b", "1x3:rtx-4090", 1, 2)],
)
def test_a_pipeline_over_all_is_not_the_last_word(model: str, cluster: str, batch: int, used: int) -> None:
    found = ask(model, cluster, batch_size=batch)
    other = found.rearranged
    assert other is not None
    assert other.machines == (f"{used} x rtx-4090",)
    assert other.choice.inference is not None
    assert other.choice.inference.accelerators == used
    rate = other.choice.figures["paid_tokens_per_s"]
    assert rate > found.best[0].figures["paid_tokens_per_s"] * WORTH_IDLE
    count = int(cluster[2])
    assert rate == pytest.approx(by_hand(model, cluster, count, batch_size=batch), rel=1e-9)
    assert other.unused == (f"{count - used} x rtx-4090",)
    assert any("cards idle" in warning for warning in other.choice.inference.warnings)


def test_idle_cards_are_paid_for() -> None:
    found = ask("llama-3.1-8b", "1x7:rtx-4090", batch_size=1, objective="usd")
    assert found.rearranged is not None
    plan = found.rearranged.choice.inference
    assert plan is not None
    alone = farthing.infer("llama-3.1-8b", "1x4:rtx-4090", plan=plan.plan, batch_size=1)
    assert min(cost.usd_per_s for cost in plan.costs) > 1.2 * min(cost.usd_per_s for cost in alone.costs)


@pytest.mark.parametrize(
    ("cluster", "more"),
    [
        ("1x8:h100-sxm", {"batch_size": 64}),
        ("1x7:rtx-4090", {"objective": "tpot"}),
        ("1x7:rtx-4090", {"batch_size": 1, "pp": 7}),
        ("1x7:rtx-4090", {"batch_size": 1, "tpot_s": 0.001}),
        (f"{FEW + 1}x1:rtx-4090@10gbe", {"batch_size": 1}),
    ],
)
def test_cards_are_not_left_idle_without_need(cluster: str, more: dict[str, Any]) -> None:
    assert ask("llama-3.1-8b", cluster, **more).rearranged is None


def test_limits_hold_for_fewer_cards_too() -> None:
    asked: dict[str, Any] = {"batch_size": 1, "objective": "tokens-per-s"}
    free = ask("llama-3.1-8b", "1x7:rtx-4090", **asked).rearranged
    assert free is not None
    limit = free.choice.figures["ttft_s"] * 0.95
    kept = ask("llama-3.1-8b", "1x7:rtx-4090", ttft_s=limit, **asked).rearranged
    assert kept is None or kept.choice.figures["ttft_s"] <= limit
