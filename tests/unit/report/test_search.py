"""The report of a search says what the record says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.records.plan import InferencePlan
from farthing.records.search import Limits, SearchResult
from farthing.records.workload import InferenceWorkload, TrainingWorkload
from farthing.report.search import search_report
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
