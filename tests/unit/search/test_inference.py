"""What a search over inference plans returns, beside the optimum that the property tests check."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import farthing
from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.errors import Infeasible, InvalidInput
from farthing.estimate.cost import CostBasis
from farthing.records.estimate import InferenceEstimate
from farthing.records.plan import InferencePlan
from farthing.records.search import Limits
from farthing.records.workload import InferenceWorkload
from farthing.search.inference import search_inference
from farthing.search.inference_space import Axes
from farthing.search.table import Search


def search(
    model: str = "llama-2-70b",
    cluster: str = "1x8:h100-sxm",
    *,
    load: InferenceWorkload | None = None,
    plan: InferencePlan | None = None,
    chosen: dict[str, Any] | None = None,
    **more: Any,
) -> Search:
    return search_inference(
        catalog.model(model),
        parse_cluster(cluster),
        load or InferenceWorkload(),
        plan or InferencePlan(),
        axes=Axes.of(**(chosen or {})),
        **more,
    )


def best(found: Search) -> InferenceEstimate:
    assert isinstance(found.best, InferenceEstimate)
    return found.best


def test_kinds_differ_and_come_in_order() -> None:
    result = search(chosen={"weight_format": ["bf16", "fp8"]}, top=8).result
    kinds = [
        (plan.tp, plan.pp, plan.dp, plan.ep, plan.weight_format)
        for plan in (choice.inference.plan for choice in result.best if choice.inference)
    ]
    assert len(set(kinds)) == len(kinds) == 8
    rates = [choice.figures["paid_tokens_per_s"] for choice in result.best]
    assert rates == sorted(rates, reverse=True)


def test_equal_plans_give_way_to_the_simpler() -> None:
    # The first token does not care for replicas, nor for the batch.
    plan = best(search("llama-2-7b", objective="ttft", chosen={"tp": 1, "pp": 1}))
    assert (plan.plan.dp, plan.plan.chunk_tokens, plan.plan.micro_batches) == (8, 0, 0)
    assert plan.workload.batch_size == 8


def test_an_open_batch_ends_where_memory_does() -> None:
    found = best(search(chosen={"tp": 8, "chunk_tokens": 0}))
    larger = dataclasses.replace(found.workload, batch_size=found.workload.batch_size + found.plan.dp)
    assert found.workload.batch_size == found.largest_batch_size
    assert found.fits
    assert larger.batch_size > found.largest_batch_size


def test_a_limited_open_batch_ends_at_the_limit() -> None:
    found = search("llama-2-7b", limits=Limits(max_batch_size=50))
    assert found.table["batch_size"].max() <= 50
    assert best(found).workload.batch_size in (48, 49, 50)


def test_cards_stay_idle_only_where_no_split_uses_all() -> None:
    found = best(search("llama-2-7b", "1x7:rtx-4090", chosen={"pp": 1, "dp": 1, "batch_size": 1}))
    assert found.accelerators == 4  # 32 heads
    assert "the plan leaves 3 of 7 cards idle" in found.warnings
    assert best(search("llama-2-7b", "1x7:rtx-4090", chosen={"batch_size": 1})).accelerators == 7


def test_an_engine_does_only_what_it_can() -> None:
    plans = search(chosen={"engine": "lmdeploy", "batch_size": 8}).table
    assert set(plans["pp"].tolist()) == {1}
    result = search(chosen={"engine": ["ollama", "tgi"], "batch_size": 8}).result
    rules = {removed.rule for removed in result.removed}
    assert "Text Generation Inference 3.3 has no pipeline parallelism" in rules
    assert "Ollama 0.6.3 client has no tensor parallelism" in rules


def test_the_usual_engine_is_said() -> None:
    found = best(search(chosen={"batch_size": 1}))
    assert found.plan.engine == "vllm"
    assert "no engine named: taken to run on vLLM, as is usual" in found.assumptions


def test_experts_shared_by_replicas_are_in_the_space() -> None:
    table = search("mixtral-8x7b", chosen={"batch_size": 64}).table
    assert (table["ep"] > table["tp"]).any()
    assert (table["ep"] <= table["tp"] * table["dp"]).all()


@pytest.mark.parametrize(
    ("limits", "reason", "breaks"),
    [
        (Limits(ttft_s=1e-3), "too long to the first token", "to the first token, not 1.00 ms"),
        (Limits(tpot_s=1e-3), "too long a token", "a token, not 1.00 ms"),
        (Limits(usd_per_million_tokens=1e-3), "too dear tokens", "a million tokens, not"),
        (Limits(headroom_share=0.99), "too little headroom on a card", "of a card free, not"),
    ],
)
def test_a_limit_that_none_keeps(limits: Limits, reason: str, breaks: str) -> None:
    found = search("llama-2-7b", chosen={"batch_size": [1, 8]}, limits=limits, top=1)
    result = found.result
    assert not result.best
    assert result.fitting == 0
    assert set(found.table["reason"].tolist()) == {reason}
    assert [(broken.rule, broken.candidates) for broken in result.broken] == [(reason, result.evaluated)]
    assert result.miss is not None
    assert breaks in result.miss.breaks
    assert result.miss.would_help
    with pytest.raises(
        Infeasible, match="no plan of llama-2-7b on 1x8:h100-sxm keeps the limits: the nearest"
    ):
        _ = found.best


def test_the_nearest_miss_would_be_better() -> None:
    found = search(limits=Limits(tpot_s=0.015))
    miss = found.result.miss
    assert miss is not None
    assert "a token, not 15.0 ms" in miss.breaks
    assert miss.choice.figures["paid_tokens_per_s"] > found.result.best[0].figures["paid_tokens_per_s"]


def test_more_memory_for_a_larger_batch_is_no_miss() -> None:
    assert search("llama-2-7b", "rtx-4090").result.miss is None


def test_reasons_are_sorted_by_what_they_save() -> None:
    for objective in ("tpot", "ttft", "usd", "memory"):
        result = search(chosen={"batch_size": 8}, objective=objective).result
        saved = [abs(reason.runner_up_s - reason.winner_s) for reason in result.reasons]
        assert saved == sorted(saved, reverse=True)
    first = search(chosen={"batch_size": 8}, objective="ttft").result
    assert sum(reason.winner_s for reason in first.reasons) == pytest.approx(first.best[0].figures["ttft_s"])


def test_a_long_front_keeps_its_ends() -> None:
    found = search("llama-2-7b", front=("tokens-per-s", "tpot", "memory"))
    front = found.result.front
    assert len(front) == 32
    fits = found.table.where(found.table["fits"])
    assert front[0].figures["paid_tokens_per_s"] == pytest.approx(fits["paid_tokens_per_s"].max())


def test_unlike_cards_form_one_chain() -> None:
    found = search(
        "llama-2-13b", "1x2:h100-sxm+1x2:rtx-4090@10gbe", chosen={"batch_size": 4}, objective="tpot"
    )
    assert best(found).fits
    assert set(found.table["dp"].tolist()) == {1}
    assert best(found).plan.engine == "llama.cpp"


def test_unlike_cards_get_the_layers_that_suit_them() -> None:
    cluster, load = "1x2:h100-sxm+1x2:rtx-4090@10gbe", InferenceWorkload(batch_size=16)
    chosen = {"batch_size": 16, "tp": 2, "pp": 2, "chunk_tokens": 0, "micro_batches": 0}
    found = search("llama-2-13b", cluster, chosen=chosen, objective="tpot")
    own = farthing.infer("llama-2-13b", cluster, workload=load, tp=2, pp=2)
    assert best(found).tpot_s < own.tpot_s
    first, second = best(found).plan.stage_layers
    assert first > second
    assert set(found.table["stage_layers"].tolist()) == {"", f"{first} {second}"}


def test_given_layers_fix_the_stages() -> None:
    plan = InferencePlan(stage_layers=(30, 50), pp=2, engine="vllm")
    found = search(plan=plan, chosen={"batch_size": 8})
    assert set(found.table["pp"].tolist()) == {2}
    assert best(found).plan.stage_layers == (30, 50)


def test_an_encoder_is_ranked_by_the_tokens_it_reads() -> None:
    found = best(
        search("bert-large", load=InferenceWorkload(prompt_tokens=128, output_tokens=0), chosen={"tp": 1})
    )
    assert found.plan.dp == 8


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"objective": "speed"}, "no objective 'speed'"),
        ({"front": ["ttft"]}, "two or three objectives"),
        ({"front": ["ttft", "ttft"]}, "two or three objectives"),
        ({"top": 0}, "top must be a whole number"),
        ({"chosen": {"tp": 16}}, "16 cards"),
        ({"limits": Limits(run_s=1.0)}, "run_s is for training"),
        ({"chosen": {"weight_format": "fp9"}}, "unknown number format 'fp9'"),
        ({"load": InferenceWorkload(output_tokens=0), "objective": "tpot"}, "without output_tokens"),
        (
            {"cluster": "1x2:rtx-4090-d", "objective": "usd", "basis": CostBasis()},
            "no price of 1x2:rtx-4090-d is known",
        ),
        ({"cluster": "m1-max-24c", "objective": "energy"}, "the power of .* is unknown"),
    ],
)
def test_bad_questions(more: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        search(**more)


def test_the_table_is_all_that_was_evaluated() -> None:
    found = search(chosen={"batch_size": [1, 16]})
    table = found.table
    assert len(table) == found.result.evaluated
    assert np.isfinite(table["tpot_s"]).all()
    assert (table["tp"] * table["pp"] * table["dp"] == 8).all()
    assert set(table["batch_size"].tolist()) == {1, 16}
    assert repr(found).startswith(f"<Search: {len(table):,} of ")
