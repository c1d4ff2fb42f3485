"""Work and traffic of attention, in training, prefill and decode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from farthing.predict.device import CACHE_SPEED, Device, Tiling
from farthing.predict.trace import Number, formula, larger, rounded_up, select, smaller

QUERY_TILE: Final = 128
"""Queries of one head that a block handles together; in a decode step the heads that share keys take their
place, at most half as many."""

KEY_TILE: Final = 128
"""Keys that a block takes in one step; what is masked in the last step is computed all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """How the work of an attention kernel falls apart among compute units; scalar or column.

    Attributes
    ----------
    blocks
        Tiles of queries of one head, each the work of one unit.
    scores
        Exponentials that the softmax takes.
    padding
        Work in whole tiles over the plain work.
    longest
        Work of the longest block over that of the mean one: causal blocks are unequal.
    parts
        Parts that the keys of a block can be cut into.
    even
        Whether blocks are cut such that all units end together.
    readers
        Blocks that read the same keys and values; the last-level cache serves all but one.
    """

    blocks: Number
    scores: Number = 0.0
    padding: Number = 1.0
    longest: Number = 1.0
    parts: Number = 1.0
    even: bool = False
    readers: Number = 1.0


def prompt_blocks(
    sequences: Number,
    new_tokens: Number,
    cached_tokens: Number = 0,
    *,
    heads: Number,
    window: Number = 0,
    causal: bool = True,
    group: Number = 1.0,
    cut: bool = False,
) -> Blocks:
    """Blocks of the attention of prompts: 128 queries of one head each.

    Parameters
    ----------
    sequences, new_tokens, cached_tokens
        Sequences, tokens of each that are computed and that are cached, scalar or column.
    heads
        Query heads on this card.
    window
        Tokens that a windowed layer sees; 0 sees all.
    causal
        False for encoders.
    group
        Query heads that share keys and are packed into a block together.
    cut
        Whether the keys of blocks are cut such that all units end together.

    Returns
    -------
    Blocks

    References
    ----------
    dao-2023

    Examples
    --------
    >>> found = prompt_blocks(2, 1024, heads=8)
    >>> float(found.blocks), round(found.padding, 3), round(found.longest, 2)
    (128.0, 1.125, 1.78)
    """
    half = KEY_TILE / 2
    rows = rounded_up(new_tokens * group / half) * half / group
    last = cached_tokens + rows
    mean = mean_context_tokens(new_tokens, cached_tokens, window=window, causal=causal)
    # The last step of keys is half masked on average, and a window begins in the midst of a step as well.
    windowed = isinstance(window, np.ndarray) or window
    ends = KEY_TILE if windowed else half
    padded = smaller(mean + (ends if causal else 0.0), last)
    longest = smaller(last, window + QUERY_TILE) if windowed else last
    return Blocks(
        blocks=sequences * heads / group * rounded_up(new_tokens * group / QUERY_TILE),
        scores=sequences * heads * rows * padded,
        padding=rows * padded / (new_tokens * mean),
        longest=larger(longest / padded, 1.0) if causal else 1.0,
        parts=larger(padded / KEY_TILE, 1.0) if cut else 1.0,
        even=cut,
    )


def decode_blocks(
    sequences: Number,
    context_tokens: Number,
    *,
    heads: Number,
    kv_heads: Number,
    alone: Number = False,
    padding: Number = 1.0,
) -> Blocks:
    """Blocks of the attention of a decode step: up to 64 query heads that share their keys.

    Parameters
    ----------
    sequences, context_tokens
        Sequences, and tokens that each attends to; scalar or column.
    heads, kv_heads
        Heads of queries, and of keys and values, on this card.
    alone
        Where each query head is a block of its own, which reads the keys for itself.
    padding
        Work of whole tiles over the plain work where heads are alone.

    Returns
    -------
    Blocks

    References
    ----------
    dao-2023

    Examples
    --------
    >>> found = decode_blocks(4, 4096, heads=8, kv_heads=1)
    >>> found.blocks, found.scores, found.parts
    (4.0, 131072, 32.0)
    >>> decode_blocks(4, 4096, heads=8, kv_heads=1, alone=True).readers
    8.0
    """
    group = heads / kv_heads
    readers = select(alone, group, rounded_up(group / (QUERY_TILE // 2)))
    return Blocks(
        blocks=sequences * kv_heads * readers,
        scores=sequences * context_tokens * heads,
        padding=select(alone, padding, 1.0),
        parts=context_tokens / KEY_TILE,
        readers=readers,
    )


@formula(reference="pope-2022", unit="")
def mean_context_tokens(
    new_tokens: Number, cached_tokens: Number, *, window: Number = 0, causal: bool = True
) -> Number:
    """Tokens that one of the new tokens attends to, on average.

    Causal attention sees half of the new ones; a window cuts off what lies further back.

    Parameters
    ----------
    new_tokens, cached_tokens
        Tokens computed now and tokens before them, scalar or column.
    window
        Tokens that a windowed layer sees; 0 sees all.
    causal
        False for encoders.

    Returns
    -------
    Number
        Tokens.

    References
    ----------
    pope-2022

    Examples
    --------
    >>> mean_context_tokens(4096, 0), mean_context_tokens(1, 4096), mean_context_tokens(4096, 0, window=1024)
    (2048.5, 4097.0, 896.125)
    """
    if not causal:
        return cached_tokens + new_tokens
    everything = cached_tokens + (new_tokens + 1) / 2
    if not (isinstance(window, np.ndarray) or window):
        return everything
    # Position p (1-based, cached ones before it) sees min(p, window).
    last = cached_tokens + new_tokens
    growing = smaller(larger(window - cached_tokens, 0), new_tokens)
    seen = growing * (cached_tokens + (growing + 1) / 2) + (new_tokens - growing) * smaller(window, last)
    return seen / new_tokens


@formula(reference="kaplan-2020")
def attention_flop(
    new_tokens: Number, context_tokens: Number, *, heads: Number, qk_dim: Number, v_dim: Number
) -> Number:
    """Work of scores and of their product with the values.

    Parameters
    ----------
    new_tokens, context_tokens
        Queries, and the tokens that each attends to on average; scalar or column.
    heads, qk_dim, v_dim
        Query heads on this card, width of a key, width of a value.

    Returns
    -------
    Number
        [FLOP]

    References
    ----------
    kaplan-2020

    Examples
    --------
    >>> attention_flop(1, 4096, heads=64, qk_dim=128, v_dim=128)
    134217728
    """
    return 2 * new_tokens * context_tokens * heads * (qk_dim + v_dim)


@formula(reference="dao-2023")
def attention_time_s(
    work_flop: Number,
    traffic_bytes: Number,
    *,
    device: Device,
    kernels: Number = 1,
    decode: bool = False,
    query_group: float = 1.0,
    blocks: Blocks | None = None,
    cached_share: Number = 0.0,
) -> Number:
    """Time of a fused attention kernel that never stores the scores.

    Parameters
    ----------
    work_flop
        `attention_flop` [FLOP], scalar or column.
    traffic_bytes
        Queries, keys, values and outputs [byte].
    device
        The accelerator.
    kernels
        Launches that it takes.
    decode
        One query a sequence reads a long cache, at a rate of its own.
    query_group
        Query heads that share a key-value head.
    blocks
        How the work falls apart; None where it keeps all units busy.
    cached_share
        Share of the traffic that the last-level cache serves.

    Returns
    -------
    Number
        [s]

    References
    ----------
    dao-2023, williams-2009

    Examples
    --------
    >>> from farthing.predict.device import Device
    >>> ideal = Device(matmul_flop_per_s=330e12, attention_flop_per_s=330e12,
    ...                memory_bytes=24e9, memory_bytes_per_s=1e12)
    >>> attention_time_s(0, 1.34e9, device=ideal)
    0.00134
    """
    rate = device.reached_kv_bytes_per_s if decode else device.reached_memory_bytes_per_s
    reading = traffic_bytes * (1 - cached_share * (1 - 1 / CACHE_SPEED)) / rate
    products = work_flop / (
        device.reached_decode_attention_flop_per_s(query_group)
        if decode
        else device.reached_attention_flop_per_s
    )
    if not device.tiling.units:
        return larger(products, reading) + device.attention_start_s * kernels
    if blocks is None:
        blocks = Blocks(blocks=device.tiling.units)
    computing = blocks_time_s(
        products * blocks.padding,
        traffic_bytes * blocks.readers if decode else 0.0,
        blocks,
        tiling=device.tiling,
    )
    start = device.attention_start_s + device.kernel_start_s * (kernels - 1)
    return (computing**2 + reading**2) ** 0.5 + start


@formula(
    reference="dao-2023",
    name="time of attention blocks",
    shows="waves of blocks of queries: products, softmax, start and end",
)
def blocks_time_s(products_s: Number, read_bytes: Number, blocks: Blocks, *, tiling: Tiling) -> Number:
    """Time in which the compute units work through the blocks of an attention kernel.

    Tensor units and the exponentials take turns. Few blocks leave units idle, unless the keys can be cut.

    Parameters
    ----------
    products_s
        Time of the matrix products with all units at work [s], scalar or column.
    read_bytes
        Keys and values that must pass through the units at their own pace [byte].
    blocks
        How the work falls apart.
    tiling
        The units and their constants.

    Returns
    -------
    Number
        [s], never below ``products_s``.

    References
    ----------
    dao-2023

    Examples
    --------
    >>> blocks_time_s(1e-3, 0, Blocks(blocks=50), tiling=Tiling(units=100))
    0.002
    """
    units = tiling.units
    busy = larger(
        products_s + blocks.scores * tiling.score_s / units,
        read_bytes / (units * tiling.read_bytes_per_s),
    )
    full = blocks.blocks / units
    one = busy / full
    waves = larger(full + tiling.tail_share * (rounded_up(full) - full), 1.0)
    whole = larger(waves * (one + tiling.block_s), blocks.longest * one + tiling.block_s)
    if blocks.even:
        least = larger(1 / blocks.parts, full) / full
        return smaller(whole, busy * least + larger(full, 1.0) * tiling.block_s + tiling.split_s)
    cut = larger(smaller(1 / full, blocks.parts), 1.0)
    return select(cut >= 2, smaller(whole, one / cut + tiling.block_s + tiling.split_s), whole)


@formula(reference="korthikanti-2022")
def score_bytes(
    sequences: Number,
    tokens: Number,
    context_tokens: Number,
    *,
    heads: Number,
    bytes_per_score: Number = 13.0,
) -> Number:
    """Memory traffic of the score matrix when attention is not fused.

    The scores are written (2), softmax reads and writes them (4), dropout reads, writes and makes a mask (5),
    the product with the values reads them (2): 13 bytes a score.

    Parameters
    ----------
    sequences, tokens, context_tokens
        Scalar or column; unfused kernels compute the whole square, masked half included.
    heads
        Query heads on this card.
    bytes_per_score
        [byte]

    Returns
    -------
    Number
        [byte]

    References
    ----------
    korthikanti-2022

    Examples
    --------
    >>> score_bytes(1, 2048, 2048, heads=12)
    654311424.0
    """
    return sequences * tokens * context_tokens * heads * bytes_per_score
