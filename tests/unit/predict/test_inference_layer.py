"""One layer in serving: what is read, what is computed, and how engines differ."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from farthing.catalog import model, models
from farthing.predict.compute import AT_ONCE
from farthing.predict.device import Device
from farthing.predict.inference_layer import forward_time
from farthing.predict.layer import Shards, products
from farthing.records.model import LayerKind

FULL, MOE = LayerKind("full", "dense"), LayerKind("full", "moe")
LLAMA = model("llama-2-70b")
COMPUTE_BOUND = Device(
    matmul_flop_per_s=1e12, attention_flop_per_s=1e12, memory_bytes=1e12, memory_bytes_per_s=1e18
)
MEMORY_BOUND = Device(
    matmul_flop_per_s=1e18, attention_flop_per_s=1e18, memory_bytes=1e12, memory_bytes_per_s=1e12
)


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


@pytest.mark.parametrize(("name", "narrow"), [("llama-2-70b", ""), ("deepseek-v3", "up")])
def test_products_side_by_side_take_what_each_takes(name: str, narrow: str) -> None:
    shape, tp = model(name), np.array([1, 2, 4, 8])
    kind = shape.layer_kinds[-1]

    def matmul_s(sizes: Any) -> Any:
        shards = Shards(tp=sizes, weight_bytes=2.0, expert_bytes=0.5, narrow=frozenset((narrow,)))
        return forward_time(shape, kind, COMPUTE_BOUND, shards, sequences=3, new_tokens=8).matmul_s

    assert matmul_s(tp).tolist() == pytest.approx([matmul_s(int(size)) for size in tp], rel=1e-12)
    # A long column is worked out product by product.
    many = np.tile(tp, AT_ONCE)
    assert matmul_s(many)[:4].tolist() == matmul_s(tp).tolist()
