"""The report of a search says what the record says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from farthing import api, catalog
from farthing.catalog.cluster import parse_cluster
from farthing.records.plan import InferencePlan
from farthing.records.search import Choice, Limits, SearchResult
from farthing.records.workload import InferenceWorkload, TrainingWorkload
from farthing.report.search import plan_words, search_report
from farthing.search.inference import search_inference
from farthing.search.inference_space import Axes
from farthing.search.training import search_training

RIG = parse_cluster("1x4:h100-sxm")
SHAPE = catalog.model("llama-2-70b")


def found(**more: Any) -> SearchResult:
    chosen = {"batch_size": [1, 64], "weight_format": ["bf16", "fp8"]} | more.pop("chosen", {})
    return search_inference(
        SHAPE, RIG, InferenceWorkload(), InferencePlan(engine="vllm"), axes=Axes.of(**chosen), **more
    ).result


@pytest.fixture(scope="module")
def served() -> SearchResult:
    return found(front=("tokens-per-s", "tpot"), limits=Limits(tpot_s=0.05))


@pytest.fixture(scope="module")
def trained() -> SearchResult:
    load = TrainingWorkload(sequence_tokens=2048, global_batch_size=16)
    given = {"pp": 1, "offload": "none", "cp": 1}
    return search_training(catalog.model("llama-2-7b"), RIG, load, given).result


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_too_long(render: Any, served: Any, trained: Any, width: int) -> None:
    for result in (served, trained, found(chosen={"tp": 1, "pp": 1})):
        text = render(search_report(result), width)
        assert max(map(len, text.splitlines())) <= width


def test_the_best_come_first(render: Any, served: Any) -> None:
    text = render(search_report(served), 120)
    rates = re.findall(r"^  \d  .*?  +([\d,]+)  ", text, flags=re.MULTILINE)
    expected = [f"{choice.figures['paid_tokens_per_s']:,.0f}" for choice in served.best]
    assert rates == expected
    assert text.startswith("Search for the most tokens a second  the best of each kind; + where some workers")
    assert "+  prompts on " in text


def test_counts_add_up(render: Any, served: Any, trained: Any) -> None:
    for result in (served, trained):
        text = render(search_report(result), 120)
        block = text[text.index("Plans  ") :].splitlines()
        numbers = [int(line.split()[-1].replace(",", "")) for line in block[2:]]
        evaluated = numbers.index(result.evaluated)
        assert result.candidates + sum(numbers[:evaluated]) == result.evaluated
        assert result.evaluated + sum(numbers[evaluated + 1 : -1]) == result.fitting == numbers[-1]


def test_reasons_add_up_to_the_time(render: Any, served: Any) -> None:
    text = render(search_report(served), 120)
    together = re.search(r"together +([\d.]+) +([\d.]+)", text)
    assert together is not None
    for shown, choice in zip(together.groups(), served.best, strict=False):
        assert float(shown) == pytest.approx(1e3 / choice.figures["paid_tokens_per_s"], rel=0.002)


def test_a_miss_says_what_would_help(render: Any) -> None:
    result = found(chosen={"batch_size": 4, "tp": 1, "pp": 1, "dp": 1, "weight_format": "bf16"})
    text = render(search_report(result), 120)
    assert "no plan keeps the limits" in text
    assert re.search(r"but +needs [\d.]+ GiB more a card", text)
    assert re.search(r"what would help .*\w+ weights, or ", text)
    assert result.miss is not None
    assert result.miss.choice.inference is not None
    assert not result.miss.choice.inference.fits


def test_the_objectives_of_a_front_have_columns(render: Any) -> None:
    plain = render(search_report(found()), 120)
    assert "memory" not in plain.partition("Plans")[0]
    front = render(search_report(found(front=("tpot", "memory"))), 120)
    head = front.partition("Pareto front  no plan is better in all of tpot, memory")[2].splitlines()[1]
    assert head.split()[-1] == "memory"
    load = TrainingWorkload(sequence_tokens=2048, global_batch_size=16)
    given = {"pp": 1, "offload": "none", "cp": 1}
    least = search_training(catalog.model("llama-2-7b"), RIG, load, given, objective="energy").result
    text = render(search_report(least), 120)
    assert re.search(r"USD/M +energy +memory$", text, flags=re.MULTILINE)
    assert re.search(r"[\d.]+ kJ ", text)


def test_rates_say_what_they_count(render: Any, served: Any) -> None:
    assert "tokens/s: put out while prompts are read in between" in render(search_report(served), 80)


def test_encoders_have_no_time_of_a_token(render: Any) -> None:
    result = search_inference(
        catalog.model("bert-base"),
        parse_cluster("1x2:rtx-4090"),
        InferenceWorkload(prompt_tokens=512, output_tokens=0),
        InferencePlan(engine="vllm"),
        axes=Axes.of(batch_size=8),
    ).result
    text = render(search_report(result), 100)
    assert "a token" not in text
    assert "put out" not in text
    assert "time to the first token [" in text
    (rate,) = {
        round(c.figures["paid_tokens_per_s"] * c.figures["energy_per_token_j"]) for c in result.best[:1]
    }
    estimate = result.best[0].inference
    assert estimate is not None
    assert rate == round(estimate.power_w)


TOLD = [
    ({"pp": 4, "schedule": "zero-bubble"}, "pp 4, micro-batch 1, zero-bubble"),
    ({"pp": 4, "schedule": "gpipe"}, "pp 4, micro-batch 1, gpipe"),
    ({"pp": 4, "schedule": "interleaved", "interleave": 2}, "pp 4, micro-batch 1, interleave 2"),
    ({"pp": 4, "first_spared": 1, "last_spared": 2}, "first stage spared 1, last stage spared 2"),
    ({"pp": 2, "dp": 2, "rank_order": "tp-cp-pp-dp"}, "ranks tp-cp-pp-dp"),
    ({"tp": 2, "sequence_parallel": False}, "no sequence parallelism"),
    ({"recompute": "full", "recompute_share": 0.25}, "recompute full 0.25"),
    ({"recompute": "full", "recompute_layers": 4}, "recompute full in groups of 4"),
    ({"recompute": "operations"}, "recompute operations"),
    ({"dp": 4, "zero_stage": 3}, "ZeRO 3"),
    ({"offload": "optimizer"}, "offload optimizer"),
]


@pytest.mark.parametrize(("fields", "words"), TOLD, ids=[words for _, words in TOLD])
def test_all_that_differs_of_a_plan_is_told(fields: dict[str, Any], words: str) -> None:
    estimate = api.train("llama-2-7b", "1x4:h100-sxm", global_batch_size=16, **{"dp": 1, **fields})
    told = plan_words(Choice(training=estimate, figures={}))
    assert words in told
    assert told != plan_words(
        Choice(training=api.train("llama-2-7b", "1x4:h100-sxm", global_batch_size=16, dp=1), figures={})
    )


def test_layers_of_unlike_machines_are_told() -> None:
    estimate = api.infer("llama-2-7b", "1x1:rtx-4090+1x1:rtx-3090@1gbe", stage_layers=(20, 12), pp=2)
    assert "layers 20+12" in plan_words(Choice(inference=estimate, figures={}))
