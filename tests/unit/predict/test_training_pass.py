"""One layer in training, forward and back."""

import dataclasses

import pytest

from farthing.catalog import model
from farthing.predict.device import Device
from farthing.predict.inference_layer import forward_time
from farthing.predict.layer import Shards, products
from farthing.predict.training_pass import training_attention, training_backward_time, training_forward_time
from farthing.records.model import LayerKind

FULL, MOE = LayerKind("full", "dense"), LayerKind("full", "moe")
LLAMA = model("llama-2-70b")
COMPUTE_BOUND = Device(
    matmul_flop_per_s=1e12, attention_flop_per_s=1e12, memory_bytes=1e12, memory_bytes_per_s=1e18
)
MEMORY_BOUND = Device(
    matmul_flop_per_s=1e18, attention_flop_per_s=1e18, memory_bytes=1e12, memory_bytes_per_s=1e12
)
SHAPE = {"sequences": 2, "tokens": 1024, "context_tokens": 1024}


def test_backward_is_twice_the_forward() -> None:
    forward = training_forward_time(LLAMA, FULL, COMPUTE_BOUND, Shards(), **SHAPE)
    backward, weights = training_backward_time(LLAMA, FULL, COMPUTE_BOUND, Shards(), **SHAPE)
    assert backward.matmul_s == pytest.approx(2 * forward.matmul_s)
    assert weights == pytest.approx(forward.matmul_s)
    assert backward.attention_s == pytest.approx(2.5 * forward.attention_s)


def test_frozen_weights_need_no_gradient() -> None:
    whole, _ = training_backward_time(LLAMA, FULL, COMPUTE_BOUND, Shards(), **SHAPE)
    frozen, weights = training_backward_time(
        LLAMA, FULL, COMPUTE_BOUND, Shards(), weight_gradients=False, **SHAPE
    )
    assert weights == 0
    assert frozen.matmul_s == pytest.approx(whole.matmul_s / 2)


def test_unfused_attention_computes_the_square_and_stores_it() -> None:
    fused, _, nothing = training_attention(LLAMA, FULL, Shards(), flash_attention=True, **SHAPE)
    square, _, stored = training_attention(LLAMA, FULL, Shards(), flash_attention=False, **SHAPE)
    assert square / fused == pytest.approx(1024 / 512.5)
    assert (nothing, stored) == (0, 13 * 2 * 1024 * 1024 * 64)


def test_layers_without_a_mixer() -> None:
    none = LayerKind("none", "dense")
    assert training_attention(LLAMA, none, Shards(), flash_attention=True, **SHAPE) == (0, 0, 0)
    feed_forward = forward_time(LLAMA, none, COMPUTE_BOUND, Shards(), sequences=1, new_tokens=8)
    assert feed_forward.attention_s == 0
    assert feed_forward.matmul_s == pytest.approx(2 * 8 * 3 * 8192 * 28672 / 1e12)


def test_narrow_operands_load_faster() -> None:
    """Bound by memory, a product of 4-bit operands still writes 16 bits."""
    narrow = dataclasses.replace(MEMORY_BOUND, operand_bytes=0.5)
    wide_s, narrow_s = (
        training_forward_time(LLAMA, FULL, card, Shards(), **SHAPE).matmul_s
        for card in (MEMORY_BOUND, narrow)
    )
    rows, matrices = 2048, products(LLAMA, FULL, Shards())
    operands = sum(p.inputs * p.outputs + rows * p.inputs for p in matrices)
    assert wide_s - narrow_s == pytest.approx(1.5 * operands / 1e12)


def test_gradients_of_weights_are_read_and_written() -> None:
    """In fp32 each weight's gradient takes 4 bytes more each way than in 16 bits."""
    fp32, half = (
        training_backward_time(LLAMA, FULL, MEMORY_BOUND, Shards(), gradient_bytes=size, **SHAPE)[1]
        for size in (4.0, 2.0)
    )
    parameters = sum(p.inputs * p.outputs for p in products(LLAMA, FULL, Shards()))
    assert fp32 - half == pytest.approx(2 * 2.0 * parameters / 1e12)


def test_experts_gradients_are_of_all_experts() -> None:
    """So many tokens reach all 8 experts, each of 3 x 4096 x 14336 weights."""
    mixtral = model("mixtral-8x7b")
    fp32, half = (
        training_backward_time(mixtral, MOE, MEMORY_BOUND, Shards(), gradient_bytes=size, **SHAPE)[1]
        for size in (4.0, 2.0)
    )
    dense = sum(p.inputs * p.outputs for p in products(mixtral, MOE, Shards()))
    assert fp32 - half == pytest.approx(2 * 2.0 * (dense + 8 * 3 * 4096 * 14336) / 1e12)


def test_a_card_narrows_its_own_part_of_a_sequence() -> None:
    """Under sequence parallelism inputs of hidden width are cut before they are gathered."""
    card = dataclasses.replace(MEMORY_BOUND, quantise_bytes=4.0)
    together, apart = (
        training_forward_time(
            LLAMA, FULL, card, Shards(tp=8, sequence_parallel=parallel), **SHAPE
        ).elementwise_s
        for parallel in (False, True)
    )
    between = 2048 * 2.0 * 10 * 8192 * 7 / 8
    cast = 2048 * 4.0 * 2 * 8192 * 7 / 8
    assert together - apart == pytest.approx((between + cast) / 1e12)


def test_rows_are_sorted_by_expert() -> None:
    """Two passes of two tensors more where cards share the experts, one of two where a token is sent once."""
    mixtral = model("mixtral-8x7b")
    alone, sorted_, once = (
        training_forward_time(mixtral, MOE, MEMORY_BOUND, shards, **SHAPE).elementwise_s
        for shards in (
            Shards(),
            Shards(expert_groups=8, replicas=8),
            Shards(expert_groups=8, replicas=8, dispatch_once=True),
        )
    )
    assert sorted_ - alone == pytest.approx(2048 * 2.0 * 4 * 2 * 4096 / 1e12)
    assert once - alone == pytest.approx(2048 * 2.0 * 2 * 2 * 4096 / 1e12)
