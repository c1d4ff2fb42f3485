"""One optimizer step: its parts, and what each axis of the plan changes."""

import dataclasses
from typing import Any

import pytest

from farthing import train
from farthing.catalog import model
from farthing.catalog.cluster import parse_cluster
from farthing.predict.device import device
from farthing.predict.training import TrainingTime, pipelined_time_s, training_time
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

LLAMA = model("llama-2-7b")
CLUSTER = parse_cluster("4x8:a100-sxm-80gb@ib-hdr")


def step(**sizes: Any) -> TrainingTime:
    lora = sizes.pop("lora_rank", 0)
    batch = sizes.pop("batch", 32)
    host = sizes.pop("host_bytes_per_s", 1e9)
    predictors = sizes.pop("predictors", 0)
    group = CLUSTER.groups[0]
    return training_time(
        LLAMA,
        CLUSTER,
        group,
        device(group.accelerator, "bf16"),
        TrainingWorkload(
            sequence_tokens=4096, global_batch_size=batch, lora_rank=lora, predictors=predictors
        ),
        TrainingPlan(**sizes),
        card_to_host_bytes_per_s=host,
        host_bytes_per_s=host,
    )


@pytest.mark.parametrize(
    "sizes",
    [
        {"dp": 32},
        {"tp": 8, "dp": 4},
        {"pp": 4, "dp": 8},
        {"cp": 8, "dp": 4},
        {"tp": 2, "pp": 2, "dp": 8, "zero_stage": 3},
        {"pp": 4, "dp": 8, "schedule": "zero-bubble"},
        {"tp": 4, "dp": 8, "recompute": "full", "overlap_tensor_parallel": 0.5},
    ],
)
def test_parts_sum_to_the_step(sizes: dict[str, Any]) -> None:
    found = dataclasses.asdict(step(**sizes))
    total = found.pop("step_s")
    assert sum(found.values()) == pytest.approx(total)
    assert all(value >= 0 for value in found.values())


def test_the_slowest_stage_sets_the_pace() -> None:
    assert pipelined_time_s(2.0, 3.0, num_micro_batches=10) == 23
    assert pipelined_time_s(2.0, 3.0, num_micro_batches=10, interleave=3) == 21


def test_bubble_shrinks_with_micro_batches_and_schedules() -> None:
    """(p-1)/m of the work, or a little less as the head makes one stage longer than the others."""
    few, many = step(pp=4, dp=1, batch=8), step(pp=4, dp=1, batch=64)
    assert few.pipeline_bubble_s == pytest.approx(many.pipeline_bubble_s)
    assert few.pipeline_bubble_s / (few.step_s - few.optimizer_s) == pytest.approx(3 / 11, rel=0.1)
    virtual = step(pp=4, dp=1, batch=8, interleave=4, schedule="interleaved")
    assert virtual.pipeline_bubble_s == pytest.approx(few.pipeline_bubble_s / 4, rel=0.05)
    assert step(pp=4, dp=1, batch=8, schedule="zero-bubble").pipeline_bubble_s < few.pipeline_bubble_s / 2


def test_only_what_is_cut_is_exchanged() -> None:
    alone = step(dp=32)
    assert (alone.tensor_parallel_s, alone.context_parallel_s, alone.pipeline_hop_s) == (0, 0, 0)
    assert step(tp=8, dp=4).tensor_parallel_s > 0
    assert step(pp=4, dp=8).pipeline_hop_s > 0
    slow = train("llama-2-7b", "8x1:h100-sxm@1gbe", cp=8, global_batch_size=1, sequence_tokens=4096)
    assert "context-parallel traffic" in {part.name for part in slow.parts}
    assert step(dp=32).context_parallel_s == 0


def test_recomputation_repeats_the_forward_pass() -> None:
    full, none = step(dp=32, recompute="full"), step(dp=32, recompute="none")
    assert none.recompute_s == 0
    # All of the forward pass but the head's.
    assert 0.9 * full.forward_s < full.recompute_s < full.forward_s


def test_overlap_hides_traffic() -> None:
    shown, hidden = step(tp=8, dp=4), step(tp=8, dp=4, overlap_tensor_parallel=1.0)
    assert hidden.tensor_parallel_s < shown.tensor_parallel_s
    apart, under = step(dp=32, overlap_data_parallel=0.0), step(dp=32)
    assert under.data_parallel_s < apart.data_parallel_s


def test_traffic_hides_once() -> None:
    """What context parallelism hides under attention leaves less room for the gradients."""
    room = step(dp=32, overlap_data_parallel=1.0, zero_stage=1)
    crowded = step(cp=32, dp=1, batch=1, zero_stage=1)
    assert crowded.step_s > crowded.forward_s + crowded.backward_s
    assert room.data_parallel_s < crowded.data_parallel_s


def test_adapters_train_faster_than_everything() -> None:
    everything, adapters = step(dp=32), step(dp=32, lora_rank=16)
    # No gradients of weights, half of the work of the products; the adapters take a little of it back.
    assert adapters.backward_s < 0.65 * everything.backward_s
    assert adapters.optimizer_s < everything.optimizer_s / 50
    assert adapters.data_parallel_s <= everything.data_parallel_s


def test_offloading_costs_transfers() -> None:
    here = step(dp=32)
    there = step(dp=32, offload="optimizer", host_bytes_per_s=20e9)
    assert there.optimizer_s > here.optimizer_s
    slow = step(dp=32, offload="optimizer+weights", host_bytes_per_s=1e9)
    assert slow.optimizer_s > step(dp=32, offload="optimizer", host_bytes_per_s=1e9).optimizer_s


def test_predictors_add_layers_and_heads() -> None:
    """Of 32 layers and a head, one predictor adds about a layer and a head."""
    from_one, plain = step(dp=32, predictors=1), step(dp=32)
    more = from_one.forward_s / plain.forward_s - 1
    layer, head = 202.4e6, 32000 * 4096
    assert more == pytest.approx((layer + head + 2 * 4096**2) / (32 * layer + head), rel=0.15)
