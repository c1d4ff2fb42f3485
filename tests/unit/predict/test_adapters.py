"""Adapters and frozen low-bit weights: what they add, and what they spare."""

import dataclasses

import pytest

from farthing import train
from farthing.catalog import accelerator, model
from farthing.predict.adapters import adapter_time, conversion_time
from farthing.predict.device import device
from farthing.predict.layer import Shards
from farthing.predict.training_memory import MemorySizes, training_memory
from farthing.predict.training_pass import training_forward_time
from farthing.records.engine_efficiency import NO_OVERHEAD
from farthing.records.model import LayerKind
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

LLAMA = model("llama-2-7b")
LAYER = LayerKind("full", "dense")
CARD = device(accelerator("a100-sxm-80gb"), "bf16")


def test_adapters_of_attention_are_fewer() -> None:
    everywhere = adapter_time(LLAMA, LAYER, CARD, Shards(), rows=4096, backward=False)
    attention = adapter_time(LLAMA, LayerKind("full", "none"), CARD, Shards(), rows=4096, backward=False)
    assert attention.kernels == everywhere.kernels / 2
    assert attention.total_s < everywhere.total_s


def test_conversion_takes_the_same_whatever_the_batch() -> None:
    """Each pass turns all of the weights into 16 bits once."""
    time = conversion_time(LLAMA, LAYER, CARD, Shards(), stored_bytes=0.5)
    weights = 4096 * (3 * 4096 + 4096 + 3 * 11008)
    assert time.total_s == pytest.approx(weights * 2.5 / CARD.memory_bytes_per_s)
    slow = dataclasses.replace(CARD, conversion_share=0.25)
    assert conversion_time(LLAMA, LAYER, slow, Shards(), stored_bytes=0.5).total_s == pytest.approx(
        4 * time.total_s
    )


def test_unfused_kernels_are_more_and_slower() -> None:
    plain = device(
        accelerator("a100-sxm-80gb"), "bf16", engine=dataclasses.replace(NO_OVERHEAD, elementwise_factor=2.0)
    )
    shape = {"sequences": 1, "tokens": 2048, "context_tokens": 2048}
    fused = training_forward_time(LLAMA, LAYER, CARD, Shards(), **shape)
    unfused = training_forward_time(LLAMA, LAYER, plain, Shards(), **shape)
    assert unfused.elementwise_s == pytest.approx(2 * fused.elementwise_s)
    assert (unfused.matmul_s, unfused.kernels) == (fused.matmul_s, fused.kernels + 8)


def test_single_precision_moves_twice_the_bytes() -> None:
    single = device(accelerator("a100-sxm-80gb"), "tf32")
    shape = {"sequences": 8, "tokens": 384, "context_tokens": 384, "flash_attention": False}
    bert = model("bert-large")
    narrow = training_forward_time(bert, LAYER, CARD, Shards(), **shape)
    wide = training_forward_time(bert, LAYER, single, Shards(), **shape)
    assert wide.elementwise_s == pytest.approx(2 * narrow.elementwise_s)


def test_a_segment_before_is_attended_to() -> None:
    shape = model("transformer-xl-large")
    layer = {"sequences": 8, "tokens": 384, "context_tokens": 384, "flash_attention": False}
    without = training_forward_time(shape, LAYER, CARD, Shards(), **layer)
    with_it = training_forward_time(shape, LAYER, CARD, Shards(), memory_tokens=384, **layer)
    assert with_it.attention_s == pytest.approx(2 * without.attention_s, rel=0.1)
    assert with_it.matmul_s > without.matmul_s


def memory(weights: float = 2.0, plain: bool = False, chunks: int = 1, **workload: object) -> float:
    return float(
        training_memory(
            LLAMA,
            TrainingWorkload(sequence_tokens=2048, global_batch_size=1, **workload),  # type: ignore[arg-type]
            TrainingPlan(loss_chunks=chunks),
            MemorySizes(weight_bytes_per_parameter=weights, plain=plain),
        ).total_bytes
    )


def test_frozen_products_keep_no_input() -> None:
    spared = memory(lora_rank=16) - memory(lora_rank=16, lora_targets="attention")
    # The input of up and gate and that of down, and nothing else of size but the adapters.
    assert spared == pytest.approx(32 * 2048 * 2 * (4096 + 11008) * 1.04, rel=0.25)


def test_plain_losses_and_norms_keep_more() -> None:
    assert memory(plain=True) - memory() == pytest.approx(
        1.04 * 2048 * (8 * 32000 + 32 * 2 * 6 * 4096), rel=0.01
    )
    assert memory() - memory(chunks=8) == pytest.approx(1.04 * 7 / 8 * 6 * 2048 * 32000, rel=0.01)


def test_embedding_and_head_stay_in_16_bits() -> None:
    spared = memory(lora_rank=16) - memory(0.5, lora_rank=16)
    assert spared == pytest.approx(1.5 * (6738415616 - 2 * 32000 * 4096), rel=0.01)


def test_low_bit_weights_train_more_slowly() -> None:
    options = {"dp": 1, "lora_rank": 16, "sequence_tokens": 512, "engine": "hf-trainer"}
    wide = train("llama-2-7b", "1x1:a100-sxm-80gb", **options)
    narrow = train("llama-2-7b", "1x1:a100-sxm-80gb", weight_format="bnb-nf4", **options)
    assert narrow.step_s > 1.2 * wide.step_s
    assert narrow.memory.total_bytes < wide.memory.total_bytes - 8e9


def test_a_slow_host_is_waited_for() -> None:
    """Plain PyTorch at 128 tokens: the time does not depend on the card's rate."""
    options = {"dp": 1, "lora_rank": 16, "sequence_tokens": 128, "engine": "litgpt"}
    ampere = train("llama-2-7b", "1x1:a100-sxm-80gb", **options)
    hopper = train("llama-2-7b", "1x1:h100-sxm", **options)
    assert ampere.step_s == pytest.approx(hopper.step_s, rel=0.02)
    assert ampere.bottleneck == "waiting for the host"
