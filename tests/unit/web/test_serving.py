"""The view of a service under load: its forms agree, its fields are the command's, what is wrong is said."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests.unit.web.questions import (
    check_options,
    complaint,
    evaluated,
    given,
    numbers,
    page,
    record,
    reply,
    shown,
    table,
    typed,
)

from farthing.cli.simulate_serve import serve
from farthing.records.serving import Lengths
from farthing.web.views.serving import VIEW

RUN: dict[str, Any] = {
    "model": "llama-3.1-8b",
    "cluster": "1x1:h100-sxm",
    "requests_per_s": "10",
    "requests": "200",
}
GOOD = RUN | {"ttft_s": "1s", "tpot_s": "50ms"}
APART = RUN | {"cluster": "1x3:h100-sxm", "prefill": "dp=2", "decode": "tp=1"}
SOUGHT = {name: value for name, value in RUN.items() if name != "requests_per_s"} | {
    "tpot_s": "20ms",
    "seek": "rate",
}
SIZED = RUN | {"requests_per_s": "60", "tpot_s": "15ms", "seek": "replicas"}

FILES = {"trace", "trace_columns", "requests_out", "perfetto", "perfetto_from", "perfetto_for"}
"""What a page neither reads nor writes."""


def test_every_option_is_asked_for() -> None:
    sought = next(ask for ask in VIEW.asks if ask.name == "seek")
    flags = {sought.kind.command(what): what for what in sought.kind.words}
    assert flags == {"--find-rate": "rate", "--size": "replicas"}
    assert {option for parameter in serve.params for option in parameter.opts} >= set(flags)
    others = dataclasses.replace(VIEW, asks=[ask for ask in VIEW.asks if ask is not sought])
    check_options(others, serve, unasked=frozenset({*FILES, "find_rate", "size"}))


@pytest.mark.parametrize(
    "values",
    [
        GOOD,
        APART | {"prefill_pool": "1x2", "weight_format": "fp8"},
        SOUGHT,
        SIZED,
        RUN | {"prompt": "lognormal:800:0.8:4k", "output": "uniform:100:0.2", "burstiness": "2", "seed": "7"},
        RUN
        | {"swing": "0.5", "day_s": "30s", "priorities": "0.5,0.5", "prefix_groups": "3", "warm_up": "20"},
        {"model": "llama-3.1-8b", "cluster": "rtx-4090", "users": "8", "think_s": "2s", "requests": "60"},
        RUN | {"scheduler": "static", "batch_wait_s": "50ms", "chunks": "no", "queue_limit": "5"},
        RUN
        | {"changes": "layers=16,max_context=32k", "ideal": "yes", "usd_per_kwh": "0.3", "timeout_s": "1min"},
    ],
)
def test_the_command_says_the_same(values: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("serving", capsys, **values) == record("serving", **values)


@pytest.mark.parametrize(
    "values",
    [
        GOOD,
        APART,
        SOUGHT,
        RUN | {"burstiness": "2", "prompt": "lognormal:800:0.8"},
        RUN | {"changes": "layers=16"},
    ],
)
def test_python_says_the_same(values: dict[str, Any]) -> None:
    assert evaluated("serving", **values) == record("serving", **values)


@pytest.mark.parametrize("values", [GOOD, SOUGHT, APART])
def test_the_page_has_the_numbers(values: dict[str, Any]) -> None:
    text, wanted = page("serving", **values), record("serving", **values)
    told = shown(text)
    for name in ("ttft_s", "tpot_s", "itl_s", "e2e_s", "queue_s"):
        assert {wanted[name][field] for field in ("mean", "p50", "p90", "p99", "most")} <= told
    assert {wanted[name] for name in ("tokens_per_s", "utilisation", "kv_share")} <= told
    assert {cost["usd_per_million_tokens"] for cost in wanted["costs"]} <= told
    assert told <= numbers(wanted)
    if values is not APART:
        assert wanted["goodput_requests_per_s"] in told
        assert 'class="verdict good"' in text
    assert "Slow and usual first tokens" in text
    assert "style=" not in text


def test_objectives_that_are_missed_are_a_bad_verdict() -> None:
    text = page("serving", **RUN | {"e2e_s": "100ms"})
    assert 'class="verdict bad"' in text
    assert "Misses the objectives" in text


def test_the_table_has_the_numbers() -> None:
    wanted = record("serving", **GOOD)
    rows = {(row["name"], row["of"]): row["value"] for row in table("serving", **GOOD)}
    assert float(rows["ttft_s", "p99"]) == wanted["ttft_s"]["p99"]
    assert float(rows["tokens_per_s", ""]) == wanted["tokens_per_s"]
    assert float(rows["ended", "finished"]) == 200


@pytest.mark.parametrize(
    "number",
    [
        "ttft_s",
        "tpot_s",
        "goodput_requests_per_s",
        "requests_per_s",
        "tokens_per_s",
        "utilisation",
        "kv_share",
        "costs",
    ],
)
def test_numbers_are_explained(number: str) -> None:
    found = reply("serving", "explain", number, **GOOD)
    text = found.body.decode()
    assert found.status == 200
    assert f"number={number}" in page("serving", **GOOD) or number == "requests_per_s"
    assert text.count('<p class="small">') >= 2
    assert ("Derivation" in text) == (number in ("goodput_requests_per_s", "tokens_per_s", "costs"))


def test_an_unknown_number_is_refused() -> None:
    assert reply("serving", "explain", "beauty", **GOOD).status == 422


def test_lengths_stay_texts() -> None:
    told = given(VIEW, prompt="Lognormal:1000: 0.8", output=250)
    assert (told["prompt"], told["output"]) == ("lognormal:1000:0.8", "250")
    wanted = record("serving", **RUN | {"prompt": "1k"})["traffic"]["prompt"]
    assert wanted["tokens"] == Lengths(tokens=1000.0).tokens


@pytest.mark.parametrize(
    ("values", "status", "words"),
    [
        (RUN | {"requests_per_s": "0"}, 422, "more than 0"),
        (RUN | {"requests_per_s": "-1"}, 422, "out of range"),
        (RUN | {"requests_per_s": "nan"}, 422, "not a number"),
        (RUN | {"requests": "20001"}, 422, "20,000"),
        (RUN | {"requests": "1.5"}, 422, "whole number"),
        (RUN | {"prompt": "0"}, 422, "prompt"),
        (RUN | {"prompt": "normal:3:4"}, 422, "lognormal:1000:0.8"),
        (RUN | {"prompt": "1e300"}, 422, "prompt"),
        (RUN | {"priorities": "1,x"}, 422, "priorities"),
        (RUN | {"priorities": "0,0"}, 422, "above 0"),
        (RUN | {"arrivals": "trace"}, 422, "arrivals"),
        (RUN | {"users": "4"}, 422, "give Users or Rate"),
        (RUN | {"swing": "0.2", "burstiness": "2"}, 422, "Swing means nothing to gamma arrivals"),
        (RUN | {"prefill": "tp=2"}, 422, "--prefill needs --decode"),
        (RUN | {"prefill": "tp"}, 422, "tp=2,dp=2"),
        (APART | {"seek": "replicas", "ttft_s": "1s"}, 422, "Seek rate"),
        (RUN | {"seek": "rate"}, 422, "needs objectives"),
        (RUN | {"tp": "64"}, 422, "tp"),
        (RUN | {"model": "lama"}, 404, "lama"),
        (RUN | {"cluster": "1x1:abacus"}, 404, "abacus"),
        (RUN | {"scheduler": "fifo"}, 404, "fifo"),
        (RUN | {"model": "llama-3.1-405b"}, 409, "each card needs"),
        (SOUGHT | {"tpot_s": "1us"}, 409, "no"),
        ({"model": "llama-3.1-8b", "cluster": "rtx-4090"}, 422, "say how requests come"),
        (RUN | {"requests_per_s": "10", "duration_s": "1h", "requests": ""}, 422, "at most 20,000"),
        ({"trace": "/etc/passwd"}, 422, "unknown field"),
    ],
)
def test_what_is_wrong_is_said(values: dict[str, Any], status: int, words: str) -> None:
    found = complaint("serving", **values)
    assert found[0] == status, found
    assert words in found[1]
    assert "passwd" not in found[1]
