"""The view of training: its forms agree, its fields are the command's, and what is wrong is said."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.web.questions import (
    check_options,
    complaint,
    evaluated,
    numbers,
    page,
    record,
    reply,
    shown,
    table,
    typed,
)

from farthing.cli.train import train
from farthing.web.views.training import VIEW

SMALL: dict[str, Any] = {
    "model": "llama-2-7b",
    "cluster": "1x8:a100-sxm-80gb",
    "training_tokens": "100B",
    "tp": "1,2",
    "recompute": "selective",
    "offload": "none",
}

ONE: dict[str, Any] = {"model": "gpt-2-1.5b", "cluster": "h100-sxm", "search": "no"}


def test_every_option_is_asked_for() -> None:
    check_options(VIEW, train)


@pytest.mark.parametrize(
    "values",
    [
        SMALL,
        SMALL | {"front": "step,memory", "top": "2", "run_s": "60d", "launch": "megatron-lm"},
        SMALL | {"run_usd": "1", "usd_per_kwh": 0.3},
        ONE | {"changes": "layers=6,max_context=2048", "sequence_parallel": "no"},
        ONE | {"training_tokens": 1e9, "lora_rank": 8, "ideal": "yes", "overlap_data_parallel": "0.5"},
        {"model": "llama-2-70b", "cluster": "1x8:rtx-4090", "search": "no", "tp": "8"},
    ],
)
def test_the_command_says_the_same(values: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("training", capsys, **values) == record("training", **values)


@pytest.mark.parametrize(
    "values",
    [SMALL | {"weight_format": "bf16"}, ONE | {"changes": "layers=6"}, ONE | {"launch": "deepspeed"}],
)
def test_python_says_the_same(values: dict[str, Any]) -> None:
    found, _ = evaluated("training", **values)
    wanted = record("training", **values)
    # The page also tells what a better part gives.
    for name in set(wanted) - {"sensitivity", "search", "launch"}:
        assert found[name] == wanted[name]


def test_the_page_has_the_numbers() -> None:
    text, wanted = page("training", **SMALL), record("training", **SMALL)
    told = shown(text)
    for name in ("run_s", "step_s", "mfu", "tokens_per_s", "energy_j"):
        assert wanted[name] in told
    assert wanted["memory"]["total_bytes"] in told
    assert set(wanted["run_usd"].values()) <= told
    assert wanted["reliability"]["effective_time_share"] in told
    hourly = {3600 * cost["usd_per_s"] for cost in wanted["costs"]}
    assert told - hourly <= numbers(wanted)
    assert "What a 10% better part gives" in text
    assert "style=" not in text


def test_one_step_has_no_run() -> None:
    text = page("training", **ONE)
    assert 'data-number="step_s"' in text
    for number in ("run_s", "run_usd", "reliability"):
        assert f'data-number="{number}"' not in text


def test_the_table_has_the_numbers() -> None:
    rows = {row["name"]: row for row in table("training", **SMALL)}
    wanted = record("training", **SMALL)
    assert float(rows["step_s"]["value"]) == wanted["step_s"]
    assert float(rows["rent: run_usd"]["value"]) == wanted["run_usd"]["rent"]
    assert float(rows["mtbf_s"]["value"]) == wanted["reliability"]["mtbf_s"]
    assert rows["step_s"]["unit"] == "s"
    low, high = (float(rows["step_s"][end]) for end in ("low_80", "high_80"))
    assert low <= wanted["step_s"] <= high


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("run_s", "effective time share"),
        ("step_s", "narayanan-2021"),
        ("mfu", "peak rate of all cards"),
        ("tokens_per_s", "step time"),
        ("memory", "weight bytes"),
        ("run_usd", "an hour for"),
        ("energy_j", "at the meter"),
        ("reliability", "daly-2006"),
    ],
)
def test_numbers_are_explained(number: str, words: str) -> None:
    found = reply("training", "explain", number, **SMALL)
    assert found.status == 200
    assert words in found.body.decode()


def test_what_does_not_fit_says_so() -> None:
    text = page("training", model="llama-2-70b", cluster="rtx-4090", search="no")
    assert "does not fit" in text
    assert "missing" in text


def test_a_limit_that_no_plan_keeps() -> None:
    text = page("training", **SMALL, run_usd=1)
    assert "No plan keeps the limits; the nearest" in text


@pytest.mark.parametrize(
    ("values", "status", "words"),
    [
        ({"model": "lama-2-7b"}, 404, "llama-2-7b"),
        ({"cluster": "1x8:nothing"}, 404, "nothing"),
        ({"cluster": "0x8:h100-sxm"}, 422, "0x8"),
        ({"training_tokens": "0"}, 422, "training_tokens"),
        ({"training_tokens": "-2T"}, 422, "-2T"),
        ({"training_tokens": "nan"}, 422, "write it like 2T"),
        ({"training_tokens": "1e99"}, 422, "out of range"),
        ({"tp": "0"}, 422, "tp"),
        ({"tp": "1.5"}, 422, "whole number"),
        ({"tp": "3"}, 422, "tp"),
        ({"global_batch_size": "-1"}, 422, "global_batch_size"),
        ({"global_batch_size": "9" * 400}, 422, "global_batch_size"),
        ({"recompute": "some"}, 422, "none, selective, operations, full"),
        ({"recompute_share": "NaN"}, 422, "recompute_share"),
        ({"zero_stage": "4"}, 422, "0 to 3"),
        ({"run_s": "0"}, 422, "above 0"),
        ({"run_s": "30d", "training_tokens": ""}, 422, "training_tokens"),
        ({"run_usd": "0"}, 422, "more than 0"),
        ({"optimizer": "magic"}, 422, "adam"),
        ({"engine": "vllm"}, 422, "vllm"),
        ({"weight_format": "fp99"}, 404, "fp99"),
        ({"changes": "layers=x"}, 422, "layers"),
        ({"search": "no", "tp": "1,2"}, 422, "one value of tp"),
        ({"search": "no", "objective": "usd"}, 422, "objective"),
        ({"nonsense": "1"}, 422, "unknown field"),
    ],
)
def test_what_is_wrong_is_said(values: dict[str, Any], status: int, words: str) -> None:
    code, message = complaint("training", **SMALL | values)
    assert (code, words in message) == (status, True), message


def test_model_and_cluster_must_be_given() -> None:
    assert complaint("training", tp=8) == (422, "model is missing: give one, such as llama-2-70b")
    status, message = complaint("training", model="llama-2-70b")
    assert status == 422
    assert message.startswith("cluster is missing")
