"""The books of a run: each token, and each request that users gave up, is counted once and fairly."""

from __future__ import annotations

from typing import Any

import pytest

import farthing
from farthing.records.plan import DisaggregatedPlan, InferencePlan, Pool
from farthing.records.serving import Lengths, ServingResult

APART = DisaggregatedPlan(
    prefill=InferencePlan(dp=2),
    decode=InferencePlan(),
    prefill_pool=Pool(accelerators_per_host=2),
    decode_pool=Pool(),
)


def run(cluster: str = "1x1:h100-sxm", **question: Any) -> ServingResult:
    asked = {"requests": 200, "requests_per_s": 5.0} | question
    return farthing.simulate_serving("llama-3.1-8b", cluster, **asked)


def tokens(result: ServingResult) -> float:
    return result.tokens_per_s * result.span_s


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"draft_tokens": 3},
        {"cluster": "1x3:h100-sxm", "plan": APART},
        {"cluster": "1x2:h100-sxm", "pp": 2},
        {"scheduler": "static"},
        {"scheduler": "llama.cpp"},
    ],
    ids=["plain", "drafted", "two kinds of workers", "a pipeline", "static", "slots"],
)
def test_every_token_is_counted_once(question: dict[str, Any]) -> None:
    result = run(**question)
    assert result.ended == {"finished": 200}
    assert tokens(result) == pytest.approx(200 * 250)
    over_time = sum(one.tokens_per_s * (one.end_s - one.start_s) for one in result.series)
    # Drafts beyond the end of an answer are written, and thrown away.
    assert over_time == pytest.approx(200 * 250, rel=0.02 if "draft_tokens" in question else 1e-9)
    assert result.itl_s.count <= 200 * 249 * (1.02 if "draft_tokens" in question else 1)


def test_who_waits_for_a_static_batch_writes_nothing() -> None:
    lengths = Lengths(kind="lognormal", tokens=250, spread=1.0)
    static, usual = run(scheduler="static", output=lengths), run(output=lengths)
    assert tokens(static) == pytest.approx(tokens(usual))
    assert static.tpot_s.count == usual.tpot_s.count > 190
    strict = run(scheduler="static", output=lengths, tpot_s=1e-4)
    assert strict.missed["tpot"] == strict.tpot_s.count
    assert strict.good_share <= 0.05


def test_a_static_batch_that_runs_out_of_memory_goes_on() -> None:
    result = run(
        requests_per_s=50.0,
        scheduler="static",
        prompt_tokens=4000,
        output=Lengths(kind="lognormal", tokens=1500, spread=1.5),
        requests=400,
    )
    assert result.ended == {"finished": 400}
    assert result.preemptions


def test_users_of_a_closed_loop_stop_when_the_time_is_over() -> None:
    result = run(users=4, requests=0, requests_per_s=0.0, duration_s=30.0, think_s=1.0)
    assert 4 * 7 < result.offered < 4 * 13
    last = max(one.end_s for one in result.series if one.requests_per_s)
    assert last <= 30.0 + (result.series[0].end_s - result.series[0].start_s)
    assert result.span_s == pytest.approx(30.0, abs=4.0)
    assert sum(result.ended.values()) == result.offered


def test_who_gives_up_is_no_fault_of_the_service() -> None:
    result = run(cancel_share=0.3, ttft_s=1.0, tpot_s=0.1)
    assert result.ended["cancelled"] > 30
    assert result.good_share == 1.0
    assert result.breaks == ""
    slow = run(cancel_share=0.3, ttft_s=0.001)
    assert slow.good_share == 0.0
    assert (slow.breaks, slow.missed) == ("ttft", {"ttft": 200})


@pytest.mark.parametrize(
    ("question", "breaks"),
    [
        ({"ttft_s": 2.0}, ""),
        ({}, ""),
        ({"tpot_s": 0.001, "ttft_s": 10.0}, "tpot"),
        ({"e2e_s": 0.1}, "e2e"),
        ({"ttft_s": 5.0, "queue_limit": 1, "max_sequences": 1}, "rejected"),
        ({"ttft_s": 100.0, "queue_timeout_s": 0.5, "max_sequences": 1}, "timed-out"),
        ({"ttft_s": 100.0, "prompt_tokens": 150_000, "scheduler": "llama.cpp"}, "too-long"),
        ({"ttft_s": 1000.0, "requests_per_s": 100.0, "requests": 3000, "max_sequences": 32}, "queue"),
        ({"ttft_s": 1.0, "requests": 0, "duration_s": 1e-3}, "load"),
    ],
)
def test_what_breaks_the_objectives(question: dict[str, Any], breaks: str) -> None:
    assert run(**question).breaks == breaks


def test_what_stops_a_search_is_known() -> None:
    found = run(requests_per_s=1.0, requests=800, tpot_s=0.02, seek="rate")
    failed = [one for one in found.tries if one.breaks]
    assert failed
    assert {one.breaks for one in failed} == {"tpot"}
    assert min(one.requests_per_s for one in failed) <= 1.03 * found.traffic.requests_per_s


def test_contexts_beyond_the_model_are_told() -> None:
    assert any("exceed the 131,072" in words for words in run(prompt_tokens=140_000, requests=3).warnings)


def test_progress_counts_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    run(progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 200) for done in range(201)]
