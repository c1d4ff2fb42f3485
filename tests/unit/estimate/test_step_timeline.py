"""A step that is played out agrees with the estimate; stages' memory with that of the fullest card."""

from __future__ import annotations

from typing import Any

import pytest

from farthing import api
from farthing.records.step_timeline import StepTimeline

LLAMA, HOSTS = "llama-2-70b", "8x8:h100-sxm@ib-ndr"
SMALL, FEW = "llama-3.1-8b", "4x8:h100-sxm@ib-ndr"
EVEN: list[tuple[str, str, dict[str, Any]]] = [
    (LLAMA, HOSTS, {"tp": 8, "pp": 8, "global_batch_size": 16}),
    (LLAMA, HOSTS, {"tp": 8, "pp": 8, "global_batch_size": 64, "schedule": "gpipe"}),
    (LLAMA, HOSTS, {"tp": 8, "pp": 8, "global_batch_size": 64, "schedule": "interleaved", "interleave": 5}),
    (LLAMA, HOSTS, {"tp": 8, "pp": 8, "global_batch_size": 64, "schedule": "zero-bubble"}),
    (LLAMA, "16x8:h100-sxm@ib-ndr", {"tp": 4, "pp": 8, "dp": 4, "global_batch_size": 1024}),
    (SMALL, FEW, {"tp": 1, "pp": 4, "dp": 8, "global_batch_size": 64, "recompute": "full"}),
    (SMALL, "1x8:h100-sxm", {"zero_stage": 3, "global_batch_size": 64}),
    ("llama-2-7b", "1x8:rtx-4090", {"tp": 1, "pp": 8, "global_batch_size": 8}),
]
UNEVEN: list[tuple[str, str, dict[str, Any]]] = [
    (SMALL, FEW, {"tp": 1, "pp": 4, "dp": 8, "global_batch_size": 64, "last_spared": 2}),
    (
        SMALL,
        FEW,
        {"tp": 1, "pp": 4, "dp": 8, "global_batch_size": 64, "last_spared": 2, "schedule": "zero-bubble"},
    ),
    ("deepseek-v3", "256x8:h800-sxm@ib-ndr", {"pp": 16, "ep": 64, "dp": 128, "global_batch_size": 15360}),
    ("mixtral-8x7b", FEW, {"tp": 2, "pp": 4, "dp": 4, "ep": 4, "global_batch_size": 64}),
    ("llama-2-70b", HOSTS, {"tp": 8, "pp": 8, "global_batch_size": 16, "lora_rank": 16}),
]


def played(model: str, cluster: str, options: dict[str, Any]) -> tuple[Any, StepTimeline]:
    found = api.train(model, cluster, **options)
    return found, api.step_timeline(model, cluster, workload=found.workload, plan=found.plan)


@pytest.mark.parametrize(("model", "cluster", "options"), EVEN, ids=lambda value: str(value)[:40])
def test_the_step_of_even_stages_is_the_estimate(model: str, cluster: str, options: dict[str, Any]) -> None:
    found, step = played(model, cluster, dict(options))
    assert step.step_s == pytest.approx(found.step_s, rel=2e-3)
    assert step.stages == found.plan.pp


@pytest.mark.parametrize(("model", "cluster", "options"), UNEVEN, ids=lambda value: str(value)[:40])
def test_the_step_of_uneven_stages_is_near(model: str, cluster: str, options: dict[str, Any]) -> None:
    found, step = played(model, cluster, dict(options))
    assert step.step_s == pytest.approx(found.step_s, rel=0.03)


@pytest.mark.parametrize(("model", "cluster", "options"), EVEN + UNEVEN, ids=lambda value: str(value)[:40])
def test_boxes_fill_the_time_that_is_played(model: str, cluster: str, options: dict[str, Any]) -> None:
    found, step = played(model, cluster, dict(options))
    assert max(box.end_s for box in step.boxes) == pytest.approx(step.step_s - step.left_out_s)
    assert all(box.start_s < box.end_s for box in step.boxes)
    forwards = [box for box in step.boxes if box.kind == "forward"]
    assert len(forwards) == step.played_micro_batches * step.stages * found.plan.interleave
    assert step.played_micro_batches <= max(32, step.stages)
    assert (step.left_out_s > 0) == (step.played_micro_batches < step.micro_batches)
    order = [(box.stage, box.start_s) for box in step.boxes]
    assert order == sorted(order)


@pytest.mark.parametrize(("model", "cluster", "options"), EVEN + UNEVEN, ids=lambda value: str(value)[:40])
def test_the_fullest_stage_is_the_estimates_card(model: str, cluster: str, options: dict[str, Any]) -> None:
    found = api.train(model, cluster, **options)
    stages = api.stage_memory(model, cluster, workload=found.workload, plan=found.plan)
    assert len(stages) == found.plan.pp
    assert max(stages, key=lambda one: one.total_bytes) == found.memory


def test_later_stages_keep_fewer_activations() -> None:
    found = api.train(LLAMA, HOSTS, tp=8, pp=8, global_batch_size=64)
    stages = api.stage_memory(LLAMA, HOSTS, workload=found.workload, plan=found.plan)
    kept = [part.value for stage in stages for part in stage.parts if part.name == "activations"]
    assert kept[:-1] == sorted(kept[:-1], reverse=True)
    assert len(set(kept)) == 8
