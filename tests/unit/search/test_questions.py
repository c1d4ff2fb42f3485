"""Options of a search as workload, plan, axes and limits."""

from __future__ import annotations

from typing import Any

import pytest

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.errors import InvalidInput
from farthing.records.plan import InferencePlan
from farthing.records.search import Limits
from farthing.search.asked import (
    BATCH_TOKENS,
    SEQUENCES_PER_CARD,
    TRAINING_HEADROOM,
    inference_question,
    training_question,
    usual_batch,
)
from farthing.search.inference_space import Axes

LLAMA = catalog.model("llama-3.1-8b")
CLUSTER = parse_cluster("2x8:h100-sxm@ib-ndr")


def trained(limits: Limits | None = None, model: str = "llama-3.1-8b", **options: Any) -> Any:
    return training_question(catalog.model(model), CLUSTER, limits, options)


def served(limits: Limits | None = None, model: str = "llama-3.1-8b", **options: Any) -> Any:
    return inference_question(catalog.model(model), CLUSTER, limits, options)


# ---- training


@pytest.mark.parametrize(
    ("cards", "tokens", "batch"),
    [
        (1, 4096, 8),  # eight sequences a card
        (3, 4096, 16),  # a power of two at most
        (127, 4096, 512),
        (128, 4096, 1024),  # four million tokens
        (1024, 4096, 1024),
        (16_384, 4096, 2048),  # one sequence for eight cards
        (1024, 2**30, 128),
        (4, 2**30, 1),  # longer than a step's tokens
        (1, 1, 8),
    ],
)
def test_the_usual_batch(cards: int, tokens: int, batch: int) -> None:
    assert usual_batch(cards, tokens) == batch


@pytest.mark.parametrize("cards", [1, 6, 100, 1000, 30_000])
@pytest.mark.parametrize("tokens", [512, 4096, 131_072])
def test_the_usual_batch_is_a_power_of_two_within_bounds(cards: int, tokens: int) -> None:
    batch = usual_batch(cards, tokens)
    assert batch & (batch - 1) == 0
    assert batch <= SEQUENCES_PER_CARD * cards
    assert batch * tokens <= max(BATCH_TOKENS, cards * tokens / 8, tokens)


def test_training_takes_a_usual_sequence_and_batch() -> None:
    workload, given, _ = trained()
    assert (workload.sequence_tokens, workload.global_batch_size) == (4096, usual_batch(16, 4096))
    assert given == {}
    assert trained(model="gpt-2-124m")[0].sequence_tokens == 1024  # no longer than the model's context
    workload, *_ = trained(sequence_tokens=512, global_batch_size=24, training_tokens=1e9)
    assert (workload.sequence_tokens, workload.global_batch_size) == (512, 24)
    assert workload.training_tokens == 1e9


def test_training_leaves_headroom_unless_told_otherwise() -> None:
    assert trained()[2] == Limits(headroom_share=TRAINING_HEADROOM)
    assert trained(run_s=60.0)[2] == Limits(headroom_share=TRAINING_HEADROOM, run_s=60.0)
    assert trained(headroom_share=0.0)[2] == Limits()
    assert trained(headroom_share=0.2)[2] == Limits(headroom_share=0.2)
    # Limits that are given whole are what they are.
    assert trained(Limits(run_usd=5))[2] == Limits(run_usd=5)
    assert trained(Limits(run_usd=5), headroom_share=0.1)[2] == Limits(run_usd=5, headroom_share=0.1)


def test_fields_of_a_training_plan_are_given_as_they_are() -> None:
    _, given, _ = trained(tp=[1, 2], pp=4, engine="megatron-lm", schedule=("1f1b", "gpipe"))
    assert given == {"tp": [1, 2], "pp": 4, "engine": "megatron-lm", "schedule": ("1f1b", "gpipe")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence_tokns": 4096}, "unknown option 'sequence_tokns'; did you mean sequence_tokens"),
        ({"micro_batch": 4}, "unknown option 'micro_batch'; did you mean .*micro_batch_size"),
        ({"headroom": 0.1}, "unknown option 'headroom'; did you mean headroom_share"),
        ({"prompt_tokens": 5}, "unknown option 'prompt_tokens'"),
        ({"xyz": 1}, r"unknown option 'xyz'; known: sequence_tokens, .*tp, .*run_s"),
        ({"sequence_tokens": "4096"}, "sequence_tokens must be a whole number, not '4096'"),
        ({"sequence_tokens": 0}, "sequence_tokens must be at least 1"),
        ({"global_batch_size": [8, 16]}, "global_batch_size must be a whole number"),
        ({"headroom_share": 1.0}, "headroom_share must be in"),
    ],
    ids=str,
)
def test_training_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        trained(**options)


# ---- inference


def test_serving_searches_what_is_left_open() -> None:
    workload, plan, axes, limits = served()
    assert (plan, axes, limits) == (InferencePlan(), Axes(), Limits())
    assert (workload.prompt_tokens, workload.output_tokens) == (1024, 256)


@pytest.mark.parametrize(("batch", "axis"), [(8, (8,)), ([1, 8], (1, 8)), ((4,), (4,))])
def test_batches_are_an_axis(batch: Any, axis: tuple[int, ...]) -> None:
    _, _, axes, _ = served(batch_size=batch)
    assert axes.batch_size == axis
    assert served()[2].batch_size == ()


def test_sizes_and_formats_are_axes() -> None:
    _, plan, axes, limits = served(tp=[2, 4], weight_format=["bf16", "fp8"], engine="vllm", ttft_s=2.0)
    assert (axes.tp, axes.weight_format, axes.engine) == ((2, 4), ("bf16", "fp8"), ("vllm",))
    assert plan == InferencePlan()
    assert limits == Limits(ttft_s=2.0)
    assert served(Limits(ttft_s=2.0), tpot_s=0.1)[3] == Limits(ttft_s=2.0, tpot_s=0.1)


def test_a_model_of_its_own_format_is_served_in_it() -> None:
    assert served(model="deepseek-v3")[2].weight_format == (catalog.model("deepseek-v3").native_format,)
    assert served(model="deepseek-v3", weight_format="bf16")[2].weight_format == ("bf16",)


def test_stage_layers_stay_one_value() -> None:
    _, plan, _, _ = served(pp=2, stage_layers=(20, 12))
    assert plan.stage_layers == (20, 12)


def test_what_is_no_axis_has_one_value() -> None:
    with pytest.raises(InvalidInput, match="compute_format is no axis of the search; give one value"):
        served(compute_format=["bf16", "fp8"])
    with pytest.raises(InvalidInput, match="stage_layers is no axis of the search"):
        served(pp=2, stage_layers=[[20, 12]])
    assert served(compute_format="fp8")[1].compute_format == "fp8"


def test_prompts_follow_from_the_context() -> None:
    assert served(context_tokens=4096)[0].prompt_tokens == 4096 - 256
    assert served(context_tokens=4096, output_tokens=96)[0].prompt_tokens == 4000
    assert served(context_tokens=4096, prompt_tokens=5)[0].prompt_tokens == 5
    assert served(model="gpt-2-124m")[0].prompt_tokens == 1024 - 256  # both fit its context
    assert served(model="bert-base")[0].output_tokens == 0
    assert served(model="bert-base")[0].prompt_tokens == 512


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"promt_tokens": 5}, "unknown option 'promt_tokens'; did you mean prompt_tokens"),
        ({"global_batch_size": 5}, "unknown option 'global_batch_size'"),
        ({"prompt_tokens": [1, 2]}, "prompt_tokens must be a whole number"),
        ({"context_tokens": "4096"}, "context_tokens must be a whole number"),
        ({"context_tokens": [1, 2]}, "context_tokens must be a whole number"),
        ({"context_tokens": 4096, "output_tokens": None}, "output_tokens must be a whole number"),
    ],
    ids=str,
)
def test_serving_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        served(**options)
