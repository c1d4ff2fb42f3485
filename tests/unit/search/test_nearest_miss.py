"""Where nothing keeps the limits: a plan that has room is nearer than any that has none."""

from __future__ import annotations

import re
from typing import Any

import pytest

import farthing
from farthing.records.search import NearestMiss

RIG = "1x8:a100-sxm-80gb"
TRAINING = {"task": "training", "training_tokens": 1e12, "pp": 1, "cp": 1}


def missed(model: str, **asked: Any) -> NearestMiss:
    found = farthing.search(model, RIG, **asked).result
    assert not found.best
    assert found.miss is not None
    return found.miss


@pytest.mark.parametrize(
    ("asked", "breaks"),
    [
        ({"tpot_s": 1e-4}, "a token, not 100 us"),
        ({"usd_per_million_tokens": 1e-4}, "costs .* a million tokens, not"),
        ({**TRAINING, "run_s": 3600.0}, "takes .* days, not 60.0 min"),
        ({**TRAINING, "run_usd": 1.0}, "costs .*, not [$]1.00"),
        ({**TRAINING, "usd_per_million_tokens": 1e-6}, "a million tokens, not"),
    ],
)
def test_the_nearest_has_room(asked: dict[str, Any], breaks: str) -> None:
    miss = missed("llama-2-70b" if "task" not in asked else "llama-2-7b", **asked)
    assert miss.choice.estimate.fits
    assert re.search(breaks, miss.breaks), miss.breaks
    assert any(way.startswith("a limit of") for way in miss.would_help)


def test_where_nothing_has_room_memory_is_what_is_told() -> None:
    miss = missed("llama-3.1-405b", tpot_s=1e-4, batch_size=1)
    assert not miss.choice.estimate.fits
    assert miss.breaks.startswith("needs ")


def test_every_broken_limit_is_named() -> None:
    miss = missed("llama-2-70b", tpot_s=1e-3, ttft_s=1e-3)
    assert "to the first token, not 1.00 ms, and takes " in miss.breaks
    assert " a token, not 1.00 ms" in miss.breaks
    (both,) = miss.would_help
    assert " to the first token and a limit of " in both
    both = missed("llama-2-7b", **TRAINING, run_s=3600.0, run_usd=1.0).breaks
    assert ", and costs $" in both


def test_what_would_help_helps() -> None:
    """The limits that the advice names, a little wider, let a plan through."""
    miss = missed("llama-2-70b", tpot_s=1e-3, ttft_s=1e-3)
    estimate = miss.choice.inference
    assert estimate is not None
    found = farthing.search(
        "llama-2-70b", RIG, tpot_s=estimate.tpot_s * 1.001, ttft_s=estimate.ttft_s * 1.001
    )
    assert found.best.fits


def test_a_small_share_of_the_price_is_not_rounded_to_nothing() -> None:
    price = missed("llama-2-70b", usd_per_million_tokens=1e-4).would_help[-1]
    assert price.startswith("hardware for 0.0")
    assert "for 0%" not in price
