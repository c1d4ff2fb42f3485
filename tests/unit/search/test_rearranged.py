"""Unlike machines are moved or left out where that is better, and only then."""

from __future__ import annotations

from typing import Any

import pytest

import farthing
from farthing.records.search import Rearranged


def moved(cluster: str, **more: Any) -> Rearranged | None:
    asked = {"weight_format": "q4_k_m", "batch_size": 1, "objective": "tpot"} | more
    return farthing.search("llama-3.1-8b", cluster, **asked).result.rearranged


def test_a_slow_machine_is_left_out() -> None:
    found = moved("1x1:rtx-4090+1x1:raspberry-pi-5@1gbe")
    assert found is not None
    assert found.unused == ("1 host with 1 x raspberry-pi-5",)
    assert found.machines[0] == "1 x 1 rtx-4090"
    estimate = found.choice.inference
    assert estimate is not None
    alone = farthing.infer("llama-3.1-8b", "1x1:rtx-4090", weight_format="q4_k_m")
    assert estimate.tpot_s == pytest.approx(alone.tpot_s, rel=1e-6)
    assert found.choice.figures["tpot_s"] == estimate.tpot_s


@pytest.mark.parametrize(
    ("cluster", "more"),
    [
        ("1x2:rtx-4090", {}),
        ("2x1:rtx-4090@10gbe", {}),
        ("1x1:rtx-4090+1x1:rtx-3090@10gbe", {"pp": 2, "stage_layers": (16, 16)}),
    ],
)
def test_nothing_is_moved_without_need(cluster: str, more: dict[str, Any]) -> None:
    assert moved(cluster, **more) is None


def test_it_beats_the_best_as_they_stand_and_keeps_the_limits() -> None:
    asked: dict[str, Any] = {"weight_format": "q4_k_m", "objective": "tpot"}
    rig = "1x2:rtx-3090+1x1:rtx-4090@10gbe"
    result = farthing.search("llama-3.3-70b", rig, **asked).result
    assert result.rearranged is not None
    assert result.rearranged.choice.figures["tpot_s"] < result.best[0].figures["tpot_s"]
    limit = result.rearranged.choice.figures["ttft_s"] * 0.9
    limited = farthing.search("llama-3.3-70b", rig, ttft_s=limit, **asked).result.rearranged
    assert limited is None or limited.choice.figures["ttft_s"] <= limit
