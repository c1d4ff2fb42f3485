"""Tables of pass times against the cost model that they are read off."""

from __future__ import annotations

from typing import Any

import pytest

from farthing.catalog import model
from farthing.catalog.cluster import parse_cluster
from farthing.estimate.run import Run, run_of
from farthing.estimate.subject import subject
from farthing.predict.inference import speculated_tokens
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload
from farthing.simulate.serving.passes import PassTimes
from farthing.simulate.serving.tables import pass_times

MODELS = ("llama-2-7b", "gemma-2-9b", "deepseek-v2-lite", "mixtral-8x7b")
"""Full attention, windows, a latent cache, experts."""


def made(name: str = "llama-2-7b", **workload: Any) -> tuple[Run, PassTimes]:
    about = subject(
        model(name), parse_cluster("4:h100-sxm"), weight_format="bf16", compute_format="", engine="vllm"
    )
    run = run_of(about, InferenceWorkload(**workload), InferencePlan(tp=4, engine="vllm"))
    return run, pass_times(run, max_sequences=32, pass_tokens=2048)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("sequences", [1, 7, 32])
@pytest.mark.parametrize("context", [1, 2, 64, 4096, 2**17])
def test_decoding_is_exact_at_powers_of_two(name: str, sequences: int, context: int) -> None:
    run, times = made(name)
    exact = float(run.step(sequences, 1, float(context), decode=True).total_s)
    assert times.decode_s(sequences, sequences * context)[0] == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("context", [3, 100, 1500, 3000, 50_000])
def test_decoding_is_close_between(name: str, context: int) -> None:
    run, times = made(name)
    exact = float(run.step(16, 1, float(context), decode=True).total_s)
    assert times.decode_s(16, 16 * context)[0] == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("name", MODELS)
def test_decoding_takes_longer_with_more(name: str) -> None:
    _, times = made(name)
    by_context = [times.decode_s(16, 16 * context)[0] for context in (1, 10, 100, 1000, 10**4, 10**5, 10**6)]
    assert by_context == sorted(by_context)
    by_sequences = [times.decode_s(count, 1000 * count)[0] for count in range(1, 33)]
    assert by_sequences == sorted(by_sequences)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("new", "cached", "close"),
    # Between powers of two the model's attention goes up in waves of tiles, the table straight.
    [(1, 0, 1e-3), (16, 0, 1e-3), (2048, 0, 1e-3), (512, 2048, 1e-3), (1000, 3000, 0.03), (700, 3000, 0.1)],
)
def test_prompts(name: str, new: int, cached: int, close: float) -> None:
    run, times = made(name)
    exact = float(run.step(1, float(new), float(cached), decode=False).total_s)
    found = times.mixed_s(0, 0, new, times.prompt_attention_s(new, cached))
    assert found == pytest.approx(exact, rel=close)


def test_writing_beside_reading_costs_its_tokens_and_attention() -> None:
    run, times = made()
    alone = times.mixed_s(0, 0, 1000, 0.0)
    both = times.mixed_s(16, 16 * 4000, 1000, 0.0)
    apart = float(run.step(16, 1, 4000.0, decode=True).total_s)
    assert alone < both < alone + apart


def test_drafts() -> None:
    run, plain = made()
    _, drafted = made(draft_tokens=3, acceptance_rate=0.7, draft_cost_share=0.1)
    assert (plain.pass_tokens, plain.yielded_tokens) == (1, 1.0)
    assert drafted.pass_tokens == 4
    assert drafted.yielded_tokens == pytest.approx(float(speculated_tokens(3, 0.7)))
    # 1 + 0.7 + 0.49 + 0.343 tokens are right.
    assert drafted.yielded_tokens == pytest.approx(2.533)
    step = float(run.step(8, 4, 1024.0, decode=True).total_s) * 1.3
    assert drafted.decode_s(8, 8 * 1024)[0] == pytest.approx(step, rel=1e-9)


def test_the_slowest_stage() -> None:
    _, times = made()
    assert times.slowest_share == pytest.approx(1.0, abs=0.05), "without a pipeline it is all of the pass"
    about = subject(
        model("llama-2-7b"),
        parse_cluster("4:h100-sxm"),
        weight_format="bf16",
        compute_format="",
        engine="vllm",
    )
    piped = run_of(about, InferenceWorkload(), InferencePlan(pp=4, engine="vllm"))
    assert pass_times(piped, max_sequences=8, pass_tokens=512).slowest_share == pytest.approx(0.25, abs=0.1)
