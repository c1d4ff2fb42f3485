"""The front of the simulation: plain arguments become records, and a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.property.random_services import Book

from farthing import catalog
from farthing.catalog import model
from farthing.catalog.cluster import parse_cluster
from farthing.errors import InvalidInput
from farthing.records.plan import InferencePlan
from farthing.records.serving import Front, Lengths, Objectives, ServingResult, Traffic
from farthing.simulate.serving.ask import simulate_serving

LOAD: dict[str, Any] = {
    "requests_per_s": 2.0,
    "requests": 120,
    "prompt_tokens": 300,
    "output_tokens": 40,
    "seed": 5,
}


def simulate(cluster: str = "rtx-4090", name: str = "llama-2-7b", **question: Any) -> ServingResult:
    return simulate_serving(model(name), parse_cluster(cluster), **question)


def test_a_load_is_played() -> None:
    found = simulate(**LOAD)
    assert (found.offered, found.ended) == (120, {"finished": 120})
    assert found.traffic.prompt == Lengths(tokens=300)
    assert found.scheduler.id == "vllm"
    assert found.ttft_s.count == found.e2e_s.count == 120
    assert found.itl_s.count == 120 * 39
    assert found.tokens_per_s == pytest.approx(120 * 40 / found.span_s)
    assert found.requests_per_s == pytest.approx(120 / found.span_s)
    assert found.in_system == pytest.approx(found.in_system_by_little, rel=1e-9)
    assert 0 < found.utilisation < 1
    assert 0 < found.kv_share <= found.kv_peak_share <= 1
    assert found.good_share == 1, "nothing is asked"
    assert any("vLLM" in note for note in found.assumptions)
    assert sum(moment.tokens_per_s * (moment.end_s - moment.start_s) for moment in found.series) == (
        pytest.approx(120 * 40)
    )


def test_records_and_options_are_the_same() -> None:
    records = simulate(
        traffic=Traffic(
            requests_per_s=2.0, requests=120, prompt=Lengths(tokens=300), output=Lengths(tokens=40), seed=5
        ),
        plan=InferencePlan(engine="vllm"),
        scheduler=dataclasses.replace(catalog.scheduler("vllm"), token_budget=512),
        front=Front(queue_limit=9),
        objectives=Objectives(ttft_s=0.5),
    )
    options = simulate(
        **LOAD,
        engine="vllm",
        scheduler="vllm",
        token_budget=512,
        queue_limit=9,
        ttft_s=0.5,
        max_sequences=256,
    )
    assert records.e2e_s == options.e2e_s
    assert (records.front, records.objectives) == (options.front, options.objectives)
    assert options.scheduler.token_budget == 512


def test_the_same_seed_is_the_same_run() -> None:
    assert simulate(**LOAD) == simulate(**LOAD)
    assert simulate(**LOAD).e2e_s != simulate(**{**LOAD, "seed": 6}).e2e_s


def test_users_of_a_closed_loop() -> None:
    found = simulate(users=3, requests=30, think_s=0.5, prompt_tokens=100, output_tokens=20)
    assert (found.traffic.arrivals, found.offered) == ("closed", 30)
    assert found.in_system < 3


def test_a_closed_loop_ends_with_its_time() -> None:
    book = Book()
    found = simulate(users=3, duration_s=5.0, prompt_tokens=100, output_tokens=20, watchers=(book,))
    assert found.offered == len(book.requests) > 10
    assert max(request.arrival_s for request in book.requests) < 5.0 <= found.span_s


def test_a_trace(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text("at,in,out\n" + "".join(f"{second},200,{10 + second}\n" for second in range(20)))
    columns = {"arrival": "at", "prompt": "in", "output": "out"}
    found = simulate(trace=file, trace_columns=columns)
    assert found.offered == 20
    assert found.trace.startswith("trace.csv")
    assert found.tokens_per_s * found.span_s == pytest.approx(sum(range(10, 30)))
    with pytest.raises(InvalidInput, match="a trace has its own arrivals"):
        simulate(trace=file, trace_columns=columns, arrivals="poisson", requests_per_s=1.0)


def test_prefixes_are_found() -> None:
    found = simulate(**LOAD, prefix_groups=1, prefix_share=0.5)
    # Nine of 18 full blocks of 300 tokens are alike, and all but the first find them.
    assert found.prefix_hit_share == pytest.approx(119 / 120 * 144 / 300)
    assert simulate(**LOAD, prefix_groups=1, prefix_caching=False).prefix_hit_share == 0


def test_the_cluster_is_filled_with_replicas() -> None:
    assert simulate("4:rtx-4090", **LOAD, tp=1).replicas == 4
    assert simulate("4:rtx-4090", **LOAD, tp=2).replicas == 2


def test_a_rate_is_found() -> None:
    found = simulate(
        seek="rate", requests=300, prompt_tokens=300, output_tokens=40, ttft_s=0.5, tpot_s=0.05, share=0.9
    )
    rate = found.traffic.requests_per_s
    assert found.good_share >= 0.9
    assert len(found.tries) > 3
    assert min(tried.requests_per_s for tried in found.tries if tried.good_share < 0.9) > rate


def test_replicas_are_found() -> None:
    one = simulate(**{**LOAD, "requests_per_s": 60.0}, ttft_s=0.3, share=0.9)
    assert one.good_share < 0.9
    found = simulate(**{**LOAD, "requests_per_s": 60.0}, ttft_s=0.3, share=0.9, seek="replicas")
    assert found.good_share >= 0.9
    assert found.replicas > 1
    assert {tried.replicas: tried.good_share < 0.9 for tried in found.tries}[found.replicas - 1]


def test_warm_up() -> None:
    assert simulate(**LOAD, warm_up=20).ttft_s.count == 100


def test_no_request_in_the_time() -> None:
    found = simulate(requests_per_s=0.001, duration_s=1.0)
    assert found.offered == 0
    assert any("no request came" in warning for warning in found.warnings)


def test_requests_that_do_not_fit_are_told() -> None:
    found = simulate(**LOAD, chunks=False, token_budget=299)
    assert found.ended == {"too-long": 120}
    assert any("120 requests do not fit" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"seek": "speed"}, "seek must be rate, replicas or empty"),
        ({**LOAD, "warm_up": -1}, "warm_up must be a whole number"),
        ({**LOAD, "warm_up": True}, "warm_up must be a whole number"),
        ({"arrivals": "trace"}, "arrivals from a trace need one"),
        ({**LOAD, "requests_a_second": 3}, "requests_a_second"),
        ({**LOAD, "scheduler": "no-such"}, "no-such"),
        ({**LOAD, "seek": "rate"}, "say what a request must keep"),
        ({"prompt_tokens": 100}, "requests_per_s"),
    ],
)
def test_questions_that_make_no_sense(question: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        simulate(**question)
