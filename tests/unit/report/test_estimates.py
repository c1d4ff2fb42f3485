"""Reports of estimates say what the records say."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

import farthing
from farthing.catalog.cluster import parse_cluster
from farthing.records.estimate import InferenceEstimate, TrainingEstimate
from farthing.report.inference import inference_report
from farthing.report.training import training_report
from farthing.units import GIB

RIG = parse_cluster("1x8:rtx-4090")
POD = parse_cluster("256x8:a100-sxm-80gb@ib-hdr")


@pytest.fixture(scope="module")
def served() -> InferenceEstimate:
    return farthing.infer("llama-2-70b", RIG, tp=8, batch_size=4, context_tokens=4096, sensitivity=True)


@pytest.fixture(scope="module")
def trained() -> TrainingEstimate:
    return farthing.train(
        "llama-2-70b",
        POD,
        tp=8,
        pp=8,
        global_batch_size=1024,
        sequence_tokens=4096,
        training_tokens=2e12,
        sensitivity=True,
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_too_long(render: Any, served: Any, trained: Any, width: int) -> None:
    for text in (render(inference_report(served, RIG), width), render(training_report(trained, POD), width)):
        assert max(map(len, text.splitlines())) <= width


def test_memory_adds_up(render: Any, served: Any) -> None:
    text = render(inference_report(served, RIG))
    block = text[text.index("Memory of") : text.index("One decode")]
    sizes = [float(size.replace(",", "")) for size in re.findall(r"([\d,.]+) GiB +<?\d+%", block)]
    assert sum(sizes) == pytest.approx(served.memory.capacity_bytes / GIB, abs=0.05)
    assert "weights, bf16" in block
    assert "KV cache, fp16" in block


def test_parts_of_the_decode_step_add_up(render: Any, served: Any) -> None:
    text = render(inference_report(served, RIG))
    block = text[text.index("One decode") : text.index("Prefill of")]
    parts = [float(part) for part in re.findall(r"([\d.]+) ms +<?\d+%", block)]
    assert sum(parts) == pytest.approx(served.tpot_s * 1e3, rel=0.01)
    assert parts == sorted(parts, reverse=True)


def test_the_answer_comes_first(render: Any, served: Any, trained: Any) -> None:
    second = render(inference_report(served, RIG), 200).splitlines()[1]
    assert second.startswith("tp 8: fits; ")
    assert f"{served.tokens_per_s:.3g}" in second.replace(",", "")
    assert "for 4 streams" in second
    second = render(training_report(trained, POD), 200).splitlines()[1]
    assert f"MFU {trained.mfu:.1%}" in second
    assert f"{trained.run_s / 86400:.3g} days" in second


def test_what_was_assumed_and_warned_is_said(render: Any, served: Any) -> None:
    text = " ".join(render(inference_report(served, RIG)).split())
    for line in (*served.assumptions, *served.warnings, *(bar.basis for bar in served.intervals)):
        assert " ".join(line.split()) in text


def test_stale_prices_are_marked(render: Any, served: Any) -> None:
    fresh = tuple(dataclasses.replace(cost, stale=False) for cost in served.costs)
    old = tuple(dataclasses.replace(cost, stale=True) for cost in served.costs)
    mark = "older than six months"
    assert mark not in render(inference_report(dataclasses.replace(served, costs=fresh), RIG), 120)
    assert mark in render(inference_report(dataclasses.replace(served, costs=old), RIG), 120)


def test_without_prices_the_way_out_is_told(render: Any, served: Any) -> None:
    text = render(inference_report(dataclasses.replace(served, costs=()), RIG))
    assert "--usd-per-accelerator" in text


def test_the_best_part_comes_first(render: Any, served: Any) -> None:
    text = render(inference_report(served, RIG))
    block = text[text.index("What a 10%") : text.index("Warnings")].splitlines()[2:]
    gains = [float(match.group(1)) for line in block if (match := re.search(r"([+-][\d.]+)% ", line))]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 1


def test_one_that_does_not_fit_shows_what_is_missing(render: Any) -> None:
    card = parse_cluster("rtx-4090")
    estimate = farthing.infer("llama-2-70b", card)
    text = render(inference_report(estimate, card), 120)
    assert "does not fit; needs" in text
    assert f"missing  {-estimate.memory.free_bytes / GIB:,.2f} GiB" in re.sub(r" {2,}", "  ", text)
    assert "decode step" not in text
    run = farthing.train("llama-2-70b", card)
    text = render(training_report(run, card), 120)
    assert "missing" in text
    assert "One step" not in text


def test_a_single_step_has_no_run(render: Any) -> None:
    cluster = parse_cluster("1x8:a100-sxm-80gb")
    text = render(training_report(farthing.train("llama-2-7b", cluster), cluster))
    assert "whole run" not in text
    assert "USD/run" not in text
    assert "failures" not in text
    assert "for a step" in text


def test_unknown_power_is_said(render: Any, served: Any, trained: Any) -> None:
    assert "power unknown" in render(inference_report(dataclasses.replace(served, power_w=0.0), RIG))
    assert "power unknown" in render(training_report(dataclasses.replace(trained, power_w=0.0), POD))
