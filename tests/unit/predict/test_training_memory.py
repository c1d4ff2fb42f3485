"""The fullest card of a training run."""

import dataclasses
from typing import Any

import pytest

from farthing.catalog import model
from farthing.predict.memory import COMMUNICATOR_BYTES, CONTEXT_BYTES, FRAGMENTATION_SHARE
from farthing.predict.parameters import total_parameters
from farthing.predict.training_memory import MemorySizes, TrainingMemory, driver_bytes, training_memory
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

LLAMA = model("llama-2-7b")
N = total_parameters(LLAMA)


def memory(name: str = "llama-2-7b", lora_rank: int = 0, **sizes: Any) -> TrainingMemory:
    load = TrainingWorkload(sequence_tokens=4096, global_batch_size=64, lora_rank=lora_rank)
    return training_memory(model(name), load, TrainingPlan(**sizes))


def test_sixteen_bytes_a_parameter() -> None:
    found = memory(zero_stage=0)
    assert (found.weight_bytes, found.gradient_bytes, found.optimizer_bytes) == (2 * N, 2 * N, 12 * N)
    assert found.buffer_bytes == 0


@pytest.mark.parametrize(
    ("stage", "whole"), [(0, (2, 2, 12)), (1, (2, 2, 1.5)), (2, (2, 0.25, 1.5)), (3, (0.25, 0.25, 1.5))]
)
def test_zero_stages(stage: int, whole: tuple[float, ...]) -> None:
    found = memory(dp=8, zero_stage=stage)
    states = (found.weight_bytes, found.gradient_bytes, found.optimizer_bytes)
    assert states == pytest.approx([share * N for share in whole])


def test_parts_sum_to_the_total() -> None:
    found = dataclasses.asdict(memory(tp=2, pp=2, dp=4, zero_stage=3))
    total = found.pop("total_bytes")
    assert found.pop("offloaded_bytes") == 0
    assert sum(found.values()) == pytest.approx(total)


def test_first_stage_holds_the_most_micro_batches() -> None:
    deep = memory(pp=4, dp=1)
    flat = memory(pp=4, dp=16)  # 4 micro-batches still fill it
    shallow = memory(pp=4, dp=64)  # one micro-batch
    assert deep.activation_peak_bytes == flat.activation_peak_bytes
    assert shallow.activation_peak_bytes < deep.activation_peak_bytes / 2


def test_gpipe_keeps_every_micro_batch() -> None:
    assert memory(pp=4, schedule="gpipe").activation_peak_bytes > 8 * memory(pp=4).activation_peak_bytes


def test_offloading_moves_states_away() -> None:
    whole, lighter = memory(zero_stage=0), memory(zero_stage=0, offload="optimizer")
    assert lighter.optimizer_bytes == 0
    assert lighter.offloaded_bytes == whole.optimizer_bytes
    bare = memory(zero_stage=0, offload="optimizer+weights")
    assert bare.weight_bytes == pytest.approx(2 * whole.weight_bytes / 32)


def test_adapters_keep_the_weights_alone() -> None:
    found = memory(lora_rank=16, zero_stage=0)
    adapters = found.gradient_bytes / 2
    assert found.weight_bytes == 2 * N + 2 * adapters
    assert found.optimizer_bytes == 12 * adapters
    assert adapters < N / 100


def test_gathered_layers_count_the_experts_that_are_replicated() -> None:
    """DeepSeek-V3, all experts dealt out once: ZeRO-3 gathers no expert, only the rest and the ends."""
    apart = memory("deepseek-v3", dp=64, ep=64, expert_tp=1, zero_stage=3)
    assert apart.buffer_bytes < 6 * 1e9 + 2 * 2e9
    together = memory("deepseek-v3", dp=64, ep=1, expert_tp=1, zero_stage=3)
    assert together.buffer_bytes > 6 * 11e9


def test_context_parallelism_splits_the_sequence() -> None:
    one, four = memory(dp=1), memory(cp=4, dp=1)
    assert four.activation_peak_bytes == pytest.approx(one.activation_peak_bytes / 4)


def test_workspace() -> None:
    found = memory()
    expected = CONTEXT_BYTES + FRAGMENTATION_SHARE * found.activation_peak_bytes
    assert found.workspace_bytes == pytest.approx(expected)


def test_deepspeed_copies_gradients_in_the_step_and_buckets_them() -> None:
    usual = memory(dp=8, zero_stage=1)
    deepspeed = training_memory(
        model("llama-2-7b"),
        TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
        TrainingPlan(dp=8, zero_stage=1),
        MemorySizes(step_copy_bytes_per_parameter=6.0, bucket_bytes=1e9),
    )
    assert deepspeed.buffer_bytes > usual.buffer_bytes + 6 * 6.7e9 / 8


def test_only_gpus_hold_buffers_of_communicators() -> None:
    plan = TrainingPlan(tp=8, pp=2, dp=2)
    assert driver_bytes(plan, kind="gpu") == CONTEXT_BYTES + 3 * COMMUNICATOR_BYTES
    assert driver_bytes(plan, kind="tpu") == CONTEXT_BYTES
