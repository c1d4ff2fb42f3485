"""One layer: its matrices, and its time in serving and in training."""

import dataclasses

import pytest

from farthing.catalog import model, models
from farthing.predict.device import Device
from farthing.predict.layer import (
    Shards,
    forward_time,
    products,
    training_attention,
    training_backward_time,
    training_forward_time,
)
from farthing.predict.parameters import layer_parameters
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


@pytest.mark.parametrize("name", sorted(models()))
def test_products_hold_the_matrices(name: str) -> None:
    """What a layer multiplies by is what it stores; convolutions and vectors of linear layers aside."""
    shape = model(name)
    for kind in dict.fromkeys(shape.layer_kinds):
        held = layer_parameters(shape, kind)
        matrices = held.total - held.norms - held.biases - held.routed_experts
        used = sum(p.inputs * p.outputs for p in products(shape, kind, Shards()))
        assert used == pytest.approx(matrices, rel=2e-3 if kind.mixer == "linear" else 1e-12)


def test_tensor_parallelism_cuts_the_work() -> None:
    one, eight = (
        forward_time(LLAMA, FULL, COMPUTE_BOUND, Shards(tp=tp), sequences=1, new_tokens=512).matmul_s
        for tp in (1, 8)
    )
    assert one == pytest.approx(8 * eight)


def test_decode_reads_the_cache_and_prefill_computes() -> None:
    decode = forward_time(
        LLAMA, FULL, MEMORY_BOUND, Shards(), sequences=3, new_tokens=1, cached_tokens=999, decode=True
    )
    assert decode.attention_s == pytest.approx((3 * 1000 * 4096 + 3 * 2 * 64 * 256) / 1e12)
    prefill = forward_time(LLAMA, FULL, COMPUTE_BOUND, Shards(), sequences=1, new_tokens=1000)
    assert prefill.attention_s == pytest.approx(2 * 1000 * 500.5 * 64 * 256 / 1e12)
    assert prefill.total_s == prefill.matmul_s + prefill.attention_s + prefill.elementwise_s


def test_narrow_weights_are_read_sooner() -> None:
    wide, narrow = (
        forward_time(
            LLAMA, FULL, MEMORY_BOUND, Shards(weight_bytes=size), sequences=1, new_tokens=1, decode=True
        )
        for size in (2.0, 0.5)
    )
    assert wide.matmul_s / narrow.matmul_s == pytest.approx(4, rel=0.01)


def test_few_tokens_touch_few_experts() -> None:
    shape = model("mixtral-8x7b")
    one, many = (
        forward_time(shape, MOE, MEMORY_BOUND, Shards(), sequences=n, new_tokens=1, decode=True).matmul_s
        for n in (1, 64)
    )
    expert, rest = 3 * 4096 * 14336, 2 * 4096 * 4096 + 2 * 4096 * 1024 + 4096 * 8
    assert one == pytest.approx(2 * (2 * expert + rest) / 1e12, rel=0.01)
    assert many == pytest.approx(2 * (8 * expert + rest) / 1e12, rel=0.03)


def test_mixtures_may_take_further_kernels() -> None:
    shape = model("mixtral-8x7b")
    load = {"sequences": 1, "new_tokens": 1, "decode": True}
    slow = dataclasses.replace(MEMORY_BOUND, kernel_s=1e-6)
    more = dataclasses.replace(slow, expert_kernels=10.0)
    few, many = (forward_time(shape, MOE, card, Shards(), **load) for card in (slow, more))
    assert many.kernels == few.kernels + 10
    assert many.total_s - few.total_s == pytest.approx(10e-6)


def test_popular_experts_are_read_once_for_many_tokens() -> None:
    """16 tokens that pick 2 of 8 experts each touch 7.92 of them if routing is even, fewer if it is not."""
    shape = model("mixtral-8x7b")
    load = {"sequences": 16, "new_tokens": 1, "decode": True}
    even, uneven = (
        forward_time(shape, MOE, MEMORY_BOUND, Shards(), routing_spread=spread, **load).matmul_s
        for spread in (0.0, 3.0)
    )
    expert = 2 * 3 * 4096 * 14336 / 1e12
    assert even - uneven == pytest.approx(
        (8 * 0.75**16 * -1 + 6 * (1 + 3 * 15 / 4) ** (-1 / 3)) * expert, rel=0.02
    )


def test_masked_entries_of_a_window_are_read() -> None:
    """The cache of a window layer holds a pass's tokens too, and some kernels read those before masking."""
    gemma, window = model("gemma-3-27b"), LayerKind("window", "dense")
    ring = Shards(window_spare_tokens=512)
    heads = 2 * 32 * 256 * 2
    for masked, entries in ((0.0, 1024), (1.0, 1536)):
        card = dataclasses.replace(MEMORY_BOUND, masked_share=masked)
        time = forward_time(
            gemma, window, card, ring, sequences=1, new_tokens=1, cached_tokens=8191, decode=True
        )
        assert time.attention_s == pytest.approx((entries * 2 * 16 * 128 * 2 + heads / 2) / 1e12)


def test_engines_may_project_sequences_of_state_space_layers_one_by_one() -> None:
    hybrid = next(m for m in models().values() if m.linear_kind == "mamba2")
    kind = LayerKind("linear", "none")
    alone = dataclasses.replace(MEMORY_BOUND, sequence_products=1.0)
    read = 2 * sum(p.inputs * p.outputs for p in products(hybrid, kind, Shards())) / 1e12
    one, four = (
        forward_time(hybrid, kind, alone, Shards(), sequences=n, new_tokens=1, decode=True).matmul_s
        for n in (1, 4)
    )
    together = forward_time(
        hybrid, kind, MEMORY_BOUND, Shards(), sequences=4, new_tokens=1, decode=True
    ).matmul_s
    assert one == pytest.approx(read, rel=1e-3)
    assert four == pytest.approx(4 * one)
    assert together == pytest.approx(read, rel=1e-2)


def test_engines_that_do_not_group_tokens_read_an_expert_for_each() -> None:
    shape = model("mixtral-8x7b")
    alone = dataclasses.replace(MEMORY_BOUND, expert_rows=32.0)
    one, few, many = (
        [
            forward_time(shape, MOE, card, Shards(), sequences=tokens, new_tokens=1, decode=True).matmul_s
            for card in (MEMORY_BOUND, alone)
        ]
        for tokens in (1, 16, 32)
    )
    assert one[0] == one[1]
    assert few[1] > 3 * few[0]
    assert many[1] == pytest.approx(many[0])


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


def test_a_window_bounds_the_work() -> None:
    shape = dataclasses.replace(LLAMA, mixer_pattern="w", window=100)
    kind = LayerKind("window", "dense")
    short, long = (
        forward_time(
            shape, kind, MEMORY_BOUND, Shards(), sequences=1, new_tokens=1, cached_tokens=n, decode=True
        ).attention_s
        for n in (200, 20_000)
    )
    assert short == long


def test_a_checkpoint_may_narrow_more_than_its_experts() -> None:
    name = model("deepseek-v3")
    kind = LayerKind("full", "moe")
    wide = Shards(tp=1, weight_bytes=2.0, expert_bytes=0.5625)
    narrow = dataclasses.replace(wide, narrow=frozenset({"up", "down", "attention output"}))
    times = [
        forward_time(
            name, kind, MEMORY_BOUND, shards, sequences=1, new_tokens=1, cached_tokens=0, decode=True
        )
        for shards in (wide, narrow)
    ]
    # 16384 x 7168 of attention output, and three matrices of 7168 x 2048 of the shared expert.
    elements = 16384 * 7168 + 3 * 7168 * 2048
    saved = elements * (2.0 - 0.5625) / MEMORY_BOUND.memory_bytes_per_s
    assert times[0].matmul_s - times[1].matmul_s == pytest.approx(saved)


def test_eight_bit_latents_are_multiplied_in_eight_bits() -> None:
    slow = COMPUTE_BOUND
    quick = dataclasses.replace(slow, narrow_attention_factor=2.0)

    def attention(card: Device, kv_bytes: float, name: str = "deepseek-v3") -> float:
        shards = Shards(kv_bytes=kv_bytes)
        time = forward_time(
            model(name),
            LayerKind("full", "dense"),
            card,
            shards,
            sequences=64,
            new_tokens=1,
            cached_tokens=4096,
            decode=True,
        )
        return float(time.attention_s)

    assert attention(quick, 1.0) == pytest.approx(attention(slow, 1.0) / 2)
    assert attention(quick, 2.0) == attention(slow, 2.0)
    assert attention(quick, 1.0, "llama-2-70b") == attention(slow, 1.0, "llama-2-70b")


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
