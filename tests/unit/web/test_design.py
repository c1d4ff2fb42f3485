"""The view of designs: its forms agree, its fields are the command's, and what is wrong is said."""

from __future__ import annotations

import dataclasses
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

from farthing.cli.design import design
from farthing.units import MONTH
from farthing.web.views.design import VIEW

SERVING: dict[str, Any] = {
    "model": "llama-3.1-8b",
    "tokens_per_s": "500",
    "tpot_s": "50ms",
    "accelerators": "rtx-3090,rtx-4090",
}
RENTED = SERVING | {"ways": "rent", "accelerators": "h100-sxm"}
TRAINING: dict[str, Any] = {
    "model": "llama-3.1-8b",
    "task": "training",
    "training_tokens": "10B",
    "run_s": "60d",
    "accelerators": "h100-sxm",
    "ways": "rent",
}


def test_every_option_is_asked_for() -> None:
    ways = {"--buy": "own", "--rent": "rent", "--either": "either"}
    asked = next(ask for ask in VIEW.asks if ask.name == "ways")
    assert {asked.kind.command(way): way for way in asked.kind.words} == ways
    assert {option for parameter in design.params for option in parameter.opts} >= set(ways)
    others = [ask for ask in VIEW.asks if ask is not asked]
    check_options(
        dataclasses.replace(VIEW, asks=others), design, unasked=frozenset({*ways.values(), "told", "prices"})
    )


@pytest.mark.parametrize(
    "values",
    [
        SERVING | {"front": "usd,tpot", "weight_format": "bf16,fp8", "ways": "own", "top": "2"},
        SERVING | {"usd": "rtx-3090=500,rtx-4090=0", "residual_share": "market", "country": "de"},
        RENTED | {"usd_per_hour": "h100-sxm=1.5", "trough_share": "0.2", "elastic": "yes"},
        RENTED | {"usd_per_s": "5/h", "most_hosts": "2", "changes": "layers=16"},
        RENTED | {"ttft_s": "1us"},
        TRAINING,
    ],
)
def test_the_command_says_the_same(values: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("design", capsys, **values) == record("design", **values)


@pytest.mark.parametrize(
    "values",
    [SERVING | {"usd": "rtx-3090=500", "top": "1"}, RENTED | {"changes": "layers=16"}, TRAINING],
)
def test_python_says_the_same(values: dict[str, Any]) -> None:
    assert evaluated("design", **values) == record("design", **values)


def test_the_page_has_the_numbers() -> None:
    values = SERVING | {"front": "usd,tpot"}
    text, wanted = page("design", **values), record("design", **values)
    told = shown(text)
    for build in wanted["best"]:
        for name in ("tokens_per_s", "tpot_s", "capital_usd", "usd_per_million_tokens"):
            assert not build[name] or build[name] in told
        assert all(row["source"] in text or row["source"].startswith("https://") for row in build["bill"])
    monthly = {build["usd_per_s"] * MONTH for build in (*wanted["best"], *wanted["front"])}
    assert told - monthly <= numbers(wanted)
    assert "Pareto front" in text
    assert "style=" not in text
    assert "data-chart" in text


def test_a_page_of_training_has_its_numbers() -> None:
    wanted = record("design", **TRAINING)["best"][0]
    assert {wanted["run_s"], wanted["run_usd"]} <= shown(page("design", **TRAINING))


def test_the_table_has_the_builds() -> None:
    rows, wanted = table("design", **SERVING), record("design", **SERVING)
    assert [row["place"] for row in rows] == [str(place) for place in range(1, len(wanted["best"]) + 1)]
    assert [float(row["usd_per_million_tokens"]) for row in rows] == [
        build["usd_per_million_tokens"] for build in wanted["best"]
    ]


def test_a_design_without_builds_says_what_is_nearest() -> None:
    values = RENTED | {"ttft_s": "1us"}
    text = page("design", **values)
    assert "No build keeps the limits" in text
    assert not record("design", **values)["best"]
    assert reply("design", "csv", **values).status == 200
    assert "no build keeps the limits" in reply("design", "explain", "tpot_s", **values).body.decode()


@pytest.mark.parametrize(
    "number",
    ["usd_per_million_tokens", "tokens_per_s", "ttft_s", "tpot_s", "capital_usd", "usd_per_month", "power_w"],
)
def test_numbers_are_explained(number: str) -> None:
    found = reply("design", "explain", number, **SERVING)
    text = found.body.decode()
    assert found.status == 200
    assert '<p class="small">' in text
    if number in ("capital_usd", "usd_per_million_tokens"):
        assert "used, 20" in text or "purchase, 20" in text
    if number in ("tpot_s", "tokens_per_s", "usd_per_million_tokens", "usd_per_month"):
        assert "Derivation" in text


def test_an_unknown_number_is_refused() -> None:
    assert reply("design", "explain", "beauty", **SERVING).status == 422


@pytest.mark.parametrize(
    ("values", "status", "words"),
    [
        ({"tokens_per_s": "0"}, 422, "tokens_per_s"),
        ({"tokens_per_s": "-3"}, 422, "out of range"),
        ({"tokens_per_s": "nan"}, 422, "not a number"),
        ({"tokens_per_s": "1e300"}, 422, "out of range"),
        ({"tpot_s": "-1s"}, 422, "tpot_s"),
        ({"model": "lama"}, 404, "lama"),
        ({"model": "llama-3.1-8b"}, 422, "demand"),
        (SERVING | {"accelerators": "rtx-9999"}, 404, "rtx-9999"),
        (SERVING | {"country": "atlantis"}, 404, "atlantis"),
        (SERVING | {"usd": "rtx-4090"}, 422, "rtx-4090=1500"),
        (SERVING | {"usd": "rtx-4090=-5"}, 422, "rtx-4090=1500"),
        (SERVING | {"usd_per_s": "12"}, 422, "12/h"),
        (SERVING | {"residual_share": "2"}, 422, "residual_share"),
        (SERVING | {"front": "usd"}, 422, "objective"),
        (SERVING | {"training_tokens": "1B"}, 422, "training_tokens: 'Tokens' is of training"),
        (TRAINING | {"tpot_s": "50ms"}, 422, "tpot_s: 'A token within' is of serving"),
        ({"model": "llama-3.1-8b", "task": "training"}, 422, "tokens"),
        ({"surprise": "1"}, 422, "unknown field"),
    ],
)
def test_what_is_wrong_is_said(values: dict[str, Any], status: int, words: str) -> None:
    found = complaint("design", **values)
    assert found[0] == status
    assert words in found[1]
    assert "<" not in found[1]
