"""The report of a simulated service: every line true, as wide as asked, for each kind of run."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import farthing
from farthing.catalog.cluster import parse_cluster
from farthing.records.plan import DisaggregatedPlan, InferencePlan, Pool
from farthing.records.serving import Lengths, ServingResult
from farthing.report.encoding import json_text
from farthing.report.serving import serving_report
from farthing.report.serving_words import BREAKS, answer, machines, played, share
from farthing.report.sparkline import Sparkline, means

APART = DisaggregatedPlan(
    prefill=InferencePlan(dp=2),
    decode=InferencePlan(),
    prefill_pool=Pool(accelerators_per_host=2),
    decode_pool=Pool(),
)


def run(cluster: str = "1x1:h100-sxm", **question: Any) -> ServingResult:
    asked: dict[str, Any] = {"requests": 300} | question
    if not asked.keys() & {"users", "trace"}:
        asked.setdefault("requests_per_s", 8.0)
    return farthing.simulate_serving("llama-3.1-8b", cluster, **asked)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "chats.csv"
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n0,100,20\n1,0,0\n3.5,2000,300\n", "utf-8")
    return path


RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("1x1:h100-sxm", {}),
    "one request": ("1x1:h100-sxm", {"requests": 1}),
    "one token": ("1x1:h100-sxm", {"requests": 5, "output_tokens": 1}),
    "no request": ("1x1:h100-sxm", {"requests": 0, "duration_s": 1e-3}),
    "good": ("1x1:h100-sxm", {"ttft_s": 1.0, "tpot_s": 0.05}),
    "bad": ("1x1:h100-sxm", {"ttft_s": 1.0, "e2e_s": 0.5, "share": 0.995}),
    "overload": ("1x1:rtx-4090", {"requests_per_s": 60.0, "requests": 1500, "ttft_s": 900.0}),
    "users": ("1x2:h100-sxm", {"users": 1, "think_s": 3.0, "requests": 9, "dp": 2}),
    "given up": (
        "1x1:rtx-4090",
        {
            "requests_per_s": 30.0,
            "queue_limit": 9,
            "timeout_s": 20.0,
            "queue_timeout_s": 3.0,
            "cancel_share": 0.2,
            "prefix_groups": 1,
            "priorities": (1.0, 3.0),
            "ttft_s": 1.0,
        },
    ),
    "apart": ("1x3:h100-sxm", {"plan": APART}),
    "bursts": (
        "1x4:h100-sxm",
        {
            "arrivals": "gamma",
            "burstiness": 3.0,
            "routing": "power-of-two",
            "prompt": Lengths(kind="lognormal", tokens=1500, spread=1, most=9000),
            "output": Lengths(kind="uniform", tokens=100, spread=0.3),
        },
    ),
    "tides": ("1x1:h100-sxm", {"arrivals": "diurnal", "day_s": 20.0}),
    "static": ("1x1:h100-sxm", {"scheduler": "static", "tpot_s": 0.05}),
    "prompts first": ("1x1:h100-sxm", {"engine": "sglang", "poll_steps": 4}),
    "slots": ("1x1:h100-sxm", {"scheduler": "llama.cpp"}),
    "rate": ("1x1:h100-sxm", {"seek": "rate", "tpot_s": 0.02, "requests_per_s": 1.0}),
    "any rate": ("1x1:h100-sxm", {"seek": "rate", "e2e_s": 3000.0, "requests": 20}),
    "size": ("1x1:h100-sxm", {"seek": "replicas", "tpot_s": 0.015, "requests_per_s": 60.0}),
    "ranks": ("1x2:h100-sxm", {"pp": 2, "micro_batches": 2}),
}


@pytest.fixture(scope="module")
def results() -> dict[str, ServingResult]:
    return {name: run(cluster, **question) for name, (cluster, question) in RUNS.items()}


def text_of(render: Any, result: ServingResult, width: int = 100) -> str:
    text: str = render(serving_report(result, parse_cluster(result.cluster)), width)
    return text


@pytest.mark.parametrize("name", RUNS)
def test_no_line_is_too_long_and_no_number_is_none(render: Any, results: Any, name: str) -> None:
    for width in (80, 100):
        text = text_of(render, results[name], width)
        assert max(map(len, text.splitlines())) <= width
        assert not re.search(r"\bnan\b|\binf\b|None|e\+0|\bTrue\b|Spread\(", text), text


@pytest.mark.parametrize("name", RUNS)
def test_singular_and_plural(render: Any, results: Any, name: str) -> None:
    text = " ".join(text_of(render, results[name]).split())
    assert not re.search(
        r"(?<![\d.,])1 (replicas|requests|users|workers|passes|tokens(?! come)|blocks|batches|times)\b", text
    )
    assert not re.search(
        r"\b(?!1\b)\d+ (replica|request|user|worker|pass|token|block|batch|time)\b(?!/)", text
    ), text


@pytest.mark.parametrize("name", RUNS)
def test_ascii_has_no_other_characters(results: Any, name: str) -> None:
    import io

    class Page(io.StringIO):
        encoding = "ascii"  # type: ignore[assignment]

    page = Page()
    report = serving_report(results[name], parse_cluster(results[name].cluster))
    Console(file=page, width=100).print(report)
    assert page.getvalue().isascii()


def test_the_first_line_answers(results: Any) -> None:
    first = {name: answer(result) for name, result in results.items()}
    assert first["plain"].startswith(
        "Answers all requests at 8.00 requests/s on 1 replica: first token after "
    )
    assert first["no request"] == "No request came to 1 replica."
    assert first["good"].startswith(
        "Keeps the objectives at 8.00 requests/s on 1 replica: 100% of the requests"
    )
    assert first["bad"].startswith(
        "Misses the objectives at 8.00 requests/s on 1 replica: whole answers take"
    )
    assert "0% of the requests are good, 99.5% are asked." in first["bad"]
    assert f": {BREAKS['queue']};" in first["overload"]
    assert first["users"].startswith("Answers all requests with 1 user on 2 replicas: ")
    assert re.match(r"Misses the objectives .*: requests are rejected; ", first["given up"])
    assert " on 2 workers that read prompts and 1 that writes answers: " in first["apart"]
    rate = results["rate"].traffic.requests_per_s
    assert first["rate"].startswith(f"Keeps the objectives up to {rate:.3g} requests/s on 1 replica: ")
    needed = results["size"].replicas
    assert needed > 2
    assert first["size"].startswith(f"Needs {needed} replicas to keep the objectives at 60.0 requests/s: ")
    for result in results.values():
        for cost in result.costs:
            word = {"own": "owned", "rent": "rented"}[cost.way]
            assert re.search(rf"A million tokens cost \$.* {word}", answer(result))


def test_a_trace_is_named(render: Any, recorded: Path) -> None:
    result = farthing.simulate_serving("llama-3.1-8b", "1x1:h100-sxm", trace=recorded)
    text = " ".join(text_of(render, result).split())
    assert "Answers all requests as they were recorded on 1 replica: " in text
    assert "chats.csv (Azure LLM inference trace): 2 requests over 3.50 s" in text
    assert "1 without tokens dropped" in text
    faster = farthing.simulate_serving("llama-3.1-8b", "1x1:h100-sxm", trace=recorded, requests_per_s=4.0)
    assert "played at 4.00 requests/s" in " ".join(text_of(render, faster).split())


def table(text: str, title: str) -> list[list[str]]:
    """Rows under a heading, cells apart by two spaces."""
    lines = text.split(f"\n{title}", 1)[1].splitlines()[1:]
    block = lines[: lines.index("")]
    return [re.split(r" {2,}", line.strip()) for line in block]


def test_latencies_are_those_of_the_record(render: Any, results: Any) -> None:
    from farthing.units import format_seconds

    result = results["plain"]
    rows = {row[0]: row[1:] for row in table(text_of(render, result), "Latency")}
    for name, spread in (
        ("to the first pass (queue)", result.queue_s),
        ("to the first token (TTFT)", result.ttft_s),
        ("between tokens, by request (TPOT)", result.tpot_s),
        ("between two tokens (ITL)", result.itl_s),
        ("to the whole answer", result.e2e_s),
    ):
        expected = [getattr(spread, field) for field in ("mean", "p50", "p90", "p99", "most")]
        assert rows[name] == [format_seconds(value) for value in expected]
    rows = {row[0]: row[1:] for row in table(text_of(render, results["one token"]), "Latency")}
    assert "between two tokens (ITL)" not in rows


def test_requests_add_up(render: Any, results: Any) -> None:
    result = results["given up"]
    rows = table(text_of(render, result), "Requests")
    counts = {row[0]: int(row[1].replace(",", "")) for row in rows[1:] if len(row) == 4}
    good = counts.pop("good (goodput)")
    assert sum(counts.values()) == result.offered == 300
    assert len(counts) >= 4
    assert good == round(result.good_share * 300)
    late = result.missed["ttft"]
    assert late
    assert f"too late: {late} to the first token" in text_of(render, result)


def test_searches_tell_every_try(render: Any, results: Any) -> None:
    for name, title in (("rate", "Search for the highest rate"), ("size", "Search for the fewest replicas")):
        result, text = results[name], text_of(render, results[name])
        rows = [row for row in table(text, title) if len(row) == 3][1:]
        assert len(rows) == len(result.tries)
        for row, one in zip(rows, result.tries, strict=True):
            assert row[1] == (BREAKS[one.breaks] if one.breaks else "keeps the objectives")
            assert row[2] == share(one.good_share)
    text = " ".join(text_of(render, results["rate"]).split())
    assert re.search(r"limited by tokens come too slowly at [\d.]+ requests/s", text)
    assert "a short load it comes within" in text
    size = " ".join(text_of(render, results["size"]).split())
    fewer = results["size"].replicas - 1
    assert f"fewer do not do with {fewer} replicas tokens come too slowly" in size
    assert f"cards {fewer + 1}, more than the 1 of" in size
    assert f"plan dp {fewer + 1}," in size
    assert "nothing at any rate" in " ".join(text_of(render, results["any rate"]).split())


def test_warnings_and_assumptions_are_told(render: Any, results: Any) -> None:
    text = " ".join(text_of(render, results["overload"]).split())
    assert results["overload"].warnings
    for words in (*results["overload"].warnings, *results["overload"].assumptions):
        assert f"- {' '.join(words.split())}" in text


def test_money_is_that_of_the_cards_that_serve(render: Any, results: Any) -> None:
    one = {row[0]: row for row in table(text_of(render, results["plain"]), "Money")}
    many = {row[0]: row for row in table(text_of(render, results["size"]), "Money")}
    rent = next(cost for cost in results["plain"].costs if cost.way == "rent")
    assert float(one["rent"][1]) == pytest.approx(rent.usd_per_s * 3600, abs=0.01)
    ratio = float(many["rent"][1]) / float(one["rent"][1])
    assert ratio == pytest.approx(results["size"].replicas, rel=0.01)
    free = dataclasses.replace(results["plain"], costs=())
    assert "cost unknown" in text_of(render, free)
    assert "A million tokens" not in text_of(render, free)


def test_books_that_do_not_balance_are_told(render: Any, results: Any) -> None:
    assert "is the same (Little's law)" in " ".join(text_of(render, results["plain"]).split())
    broken = dataclasses.replace(results["plain"], in_system_by_little=99.0)
    assert "please report it" in text_of(render, broken)


def test_what_was_played_is_told(results: Any) -> None:
    def facts(name: str) -> dict[str, str]:
        return dict(played(results[name], parse_cluster(results[name].cluster)))

    assert facts("bursts")["arrivals"] == (
        "in bursts (gaps vary by 3 times their mean), 8.00 requests/s on average, 300 requests"
    )
    assert facts("bursts")["prompts"].endswith("lognormal, standard deviation 100% of that, none above 9,000")
    assert facts("bursts")["answers"] == "70 to 130 tokens, all as likely"
    assert "in tides of 50% over 20.0 s" in facts("tides")["arrivals"]
    assert facts("users")["arrivals"] == (
        "1 user who waits for the answer and then pauses 3.00 s, 9 requests"
    )
    assert facts("given up")["besides"] == (
        "priorities 25%, 75%, the most urgent first; prompts begin in 1 way, alike over 50% of a mean "
        "prompt; 20% of the users give up while the answer is written"
    )
    assert facts("given up")["front"] == (
        "at most 9 wait at a replica; given up when not begun within 3.00 s; "
        "given up when not answered within 20.0 s"
    )
    assert "static batches" in facts("static")["scheduler"]
    assert "prompts before answers" in facts("prompts first")["scheduler"]
    assert "looks at its queue every 4 passes" in facts("prompts first")["scheduler"]
    assert "memory in equal slots" in facts("slots")["scheduler"]
    assert facts("one token")["answers"] == "1 token"
    assert "prompts on" in facts("apart")
    assert machines(results["apart"]) == "2 workers that read prompts and 1 that writes answers"


@pytest.mark.parametrize("name", RUNS)
def test_json_has_every_field_and_no_nan(results: Any, name: str) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    told = json.loads(json_text(results[name]), parse_constant=refuse)
    assert set(told) == {field.name for field in dataclasses.fields(ServingResult)}
    assert told["ended"] == results[name].ended
    if name == "no request":
        assert told["ttft_s"] == {"count": 0, "mean": 0, "p50": 0, "p90": 0, "p99": 0, "most": 0}
        assert told["requests_per_s"] == 0
    else:
        assert told["ttft_s"]["p99"] == results[name].ttft_s.p99


def test_shares_are_not_rounded_to_all_or_nothing() -> None:
    told = {value: share(value) for value in (0.99999, 1 - 1e-12, 1.0, 0.9989, 0.00001, 0.5)}
    assert list(told.values()) == [">99.9%", "100%", "100%", "99.9%", "<0.1%", "50%"]


def test_sparklines() -> None:
    assert Sparkline([]).text(5) == ""
    assert Sparkline([0, 0]).text(5) == "  "
    assert Sparkline([1, 8], top=8).text(5) == "▁█"
    assert len(Sparkline(list(range(100))).text(40)) <= 40
    assert means([], 4) == []
    assert means([1.0, 2.0, 3.0], 2) == [1.5, 3.0]
