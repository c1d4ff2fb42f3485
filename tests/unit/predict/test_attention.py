"""Who sees whom, and what it costs."""

import pytest

from farthing.predict.attention import (
    Blocks,
    attention_flop,
    attention_time_s,
    blocks_time_s,
    decode_blocks,
    mean_context_tokens,
    prompt_blocks,
    score_bytes,
)
from farthing.predict.device import Device, Tiling

UNITS = Tiling(units=100, score_s=1e-9, read_bytes_per_s=1e9, block_s=1e-6, split_s=1e-6)


@pytest.mark.parametrize(
    ("new", "cached", "window"), [(1, 0, 0), (5, 0, 0), (5, 7, 0), (9, 0, 4), (3, 20, 4), (6, 2, 4)]
)
def test_mean_context_by_counting(new: int, cached: int, window: int) -> None:
    seen = [min(position, window or position) for position in range(cached + 1, cached + new + 1)]
    assert mean_context_tokens(new, cached, window=window) == pytest.approx(sum(seen) / new)


def test_encoders_see_everything() -> None:
    assert mean_context_tokens(512, 0, causal=False) == 512


def test_work_of_scores_and_values() -> None:
    assert attention_flop(3, 5, heads=2, qk_dim=7, v_dim=11) == 2 * 3 * 5 * 2 * 7 + 2 * 3 * 5 * 2 * 11


def test_time_is_the_longer_of_both() -> None:
    card = Device(
        matmul_flop_per_s=1, attention_flop_per_s=10, memory_bytes=1, memory_bytes_per_s=5, attention_s=0.5
    )
    assert attention_time_s(100, 5, device=card) == 10.5
    assert attention_time_s(10, 50, device=card, kernels=2) == 11


def test_thirteen_bytes_a_score() -> None:
    assert score_bytes(2, 3, 5, heads=7) == 13 * 2 * 3 * 5 * 7


def test_vector_units_bound_a_decode_step_unless_the_group_has_kernels_of_its_own() -> None:
    card = Device(
        matmul_flop_per_s=1e15,
        attention_flop_per_s=1e15,
        memory_bytes=80e9,
        memory_bytes_per_s=3e12,
        vector_attention_flop_per_s=5e12,
        tensor_attention_group=8,
    )
    work, traffic = 5e9, 1e8
    assert attention_time_s(work, traffic, device=card, decode=True, query_group=4) == pytest.approx(1e-3)
    assert attention_time_s(work, traffic, device=card, decode=True, query_group=8) < 1e-4
    assert attention_time_s(work, traffic, device=card, query_group=4) < 1e-4


def test_prompts_fall_into_tiles_of_queries() -> None:
    one = prompt_blocks(1, 128, heads=1)
    assert (one.blocks, one.longest, one.padding) == (1, 1, pytest.approx(128 / 64.5))
    long = prompt_blocks(3, 8192, heads=4)
    assert long.blocks == 3 * 4 * 64
    assert long.longest == pytest.approx(2, rel=0.02)
    assert prompt_blocks(3, 8192, heads=4, window=128).scores < long.scores / 10


def test_heads_that_share_keys_may_be_packed_and_their_keys_cut() -> None:
    """16 queries of 4 heads fill one tile of 64; alone each head would pad its 16 to 64."""
    alone, packed = (prompt_blocks(1, 16, 4080, heads=32, group=group, cut=group > 1) for group in (1.0, 4.0))
    assert (alone.blocks, packed.blocks) == (32, 8)
    assert alone.scores == pytest.approx(4 * packed.scores, rel=0.02)
    assert (alone.parts, packed.parts) == (1.0, pytest.approx(4096 / 128))


def test_heads_alone_read_the_keys_for_themselves() -> None:
    """16 heads a key-value head: one block of a sequence's keys that all share, or 16 that read them each."""
    shared, alone = (
        decode_blocks(100, 128, heads=16, kv_heads=1, alone=apart, padding=64) for apart in (False, True)
    )
    assert (shared.blocks, shared.readers, shared.padding) == (100, 1, 1)
    assert (alone.blocks, alone.readers, alone.padding) == (1600, 16, 64)
    # 1 MB of keys at 1 MB/s a unit takes 100 units 10 ms once, and 160 ms where each head reads them.
    card = Device(
        matmul_flop_per_s=1e15,
        attention_flop_per_s=1e15,
        memory_bytes=80e9,
        memory_bytes_per_s=1e15,
        tiling=Tiling(units=100, read_bytes_per_s=1e6),
    )
    times = [attention_time_s(0, 1e6, device=card, decode=True, blocks=found) for found in (shared, alone)]
    assert times == pytest.approx([0.01, 0.16])


def test_idle_units_take_parts_of_the_keys() -> None:
    whole = Blocks(blocks=1)
    assert blocks_time_s(1e-3, 0, whole, tiling=UNITS) == pytest.approx(0.1 + 1e-6)
    cut = decode_blocks(1, 128 * 50, heads=8, kv_heads=1)
    assert blocks_time_s(1e-3, 0, cut, tiling=UNITS) < 0.1 / 40


def test_evenly_cut_blocks_leave_no_unit_idle() -> None:
    """60 blocks leave 40 of 100 units idle if whole, none if cut; 10 in two parts each reach 20 units."""
    whole, even, few = (
        Blocks(blocks=60),
        Blocks(blocks=60, parts=8, even=True),
        Blocks(blocks=10, parts=2, even=True),
    )
    bare = Tiling(units=100)
    assert blocks_time_s(1e-3, 0, whole, tiling=bare) == pytest.approx(1e-3 / 0.6)
    assert blocks_time_s(1e-3, 0, even, tiling=bare) == pytest.approx(1e-3)
    assert blocks_time_s(1e-3, 0, few, tiling=bare) == pytest.approx(5e-3)


def test_exponentials_and_reading_take_their_time() -> None:
    many = Blocks(blocks=10_000, scores=1e9)
    assert blocks_time_s(1e-3, 0, many, tiling=UNITS) == pytest.approx(1e-3 + 1e-2 + 1e-4)
    assert blocks_time_s(0, 1e10, Blocks(blocks=10_000), tiling=UNITS) == pytest.approx(0.1 + 1e-4)
