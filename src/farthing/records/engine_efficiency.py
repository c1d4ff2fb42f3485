"""How well an engine uses an architecture, and the time that its host side takes."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEfficiency:
    """Constants of an engine on an architecture; factors are relative to the architecture's own `Efficiency`.

    In the table, rows name an engine, an architecture and a number format, any of them ``*``; a field that a
    row leaves empty comes from the next less specific row.

    Attributes
    ----------
    engine, architecture, format
        What the constants are for; ``*`` stands for all.
    matmul_share, attention_share
        Factors on the rates of matrix products and of the attention of a prompt: the engine's kernels,
        conversion of stored weights included.
    memory_share, kv_share
        Factors on the rate at which weights, and keys and values, are read.
    elementwise_factor
        Memory traffic and kernels of norms, activations, scores and the like in training, over those of fused
        kernels: eager frameworks run one kernel for each operation.
    conversion_share
        Share of the memory bandwidth at which training turns frozen low-bit weights into 16 bits at each use.
    vector_attention_flop_per_s
        Rate of one compute unit in the attention of a decode step, where kernels leave tensor units idle
        then [FLOP/s]; 0 where they use them.
    tensor_attention_group
        Query heads a key-value head that the decode kernels compute on the tensor units even so; 0 for none.
    narrow_prompts
        1 where attention over a prompt computes in 8 bits once the cache holds an 8-bit latent, 0 where only
        decode steps do.
    prefill_launch_s, decode_launch_s
        Host time to issue one kernel of a pass; a pass takes at least as long as issuing all of its kernels.
        0 where graphs are replayed.
    step_s, sequence_s
        Host time of a step that the device does not hide, and the part of it that each sequence adds.
    expert_share
        Factor on the rate of the routed experts' products, on top of ``matmul_share``.
    tile_rows
        Rows of activations that a tile of the engine's matrix kernels fills up to.
    unit_tiles
        Tiles that a compute unit must have in flight to reach its rate: more than 1 where small ones hide
        each other's latency.
    inner_splits
        1 where the inner dimension of a product with few tiles is split among idle units, 0 where it is not.
    expert_rows
        Fewest tokens of a pass whose routed experts run as grouped matrix products. With fewer, each token is
        multiplied by its own experts alone, and an expert is read again for each; 0 always groups.
    vector_flop
        Operations of the vector units that a stored weight costs for each token, unpacked and multiplied,
        where so few tokens pass that no matrix units are used; 0 leaves it out.
    expert_kernels
        Kernels that a mixture's layer takes beyond those counted: routing in steps, a kernel to quantise the
        inputs of each product, weighted outputs added one by one.
    ungraphed_kernel_s
        What each kernel takes longer in a pass of several tokens, where only passes of one are replayed from
        a graph.
    overlap_power
        How well matrix kernels compute while they read: the p of ``(computing^p + reading^p)^(1/p)``. 1 where
        they take turns, 2 where other tiles of a unit fill most of the wait.
    kernel_factor
        Kernels that it launches for each one counted: more than 1 where it fuses less.
    compute
        Number format that products of many rows are computed in, where that is not the weights' own.
    request_s
        Host time from a request's arrival to the start of its first pass, and from its end to the reply.
    exchange_s
        What one exchange between tensor-parallel cards takes on top of the architecture's collective, for
        each doubling of the cards.
    waiting_share
        Share of the other users' prompts that a request waits for before its first token, in a closed loop:
        small where prompts join the running batch, larger where they go before it.
    burst_share
        Share of the time in which all users' prompts are read, that a request waits for where workers of
        their own read them: the loop begins with all prompts at once, and answers of like length bring them
        back nearly together.
    head_factor
        How many times as long a byte of the head takes as one of the layers, where the first card alone
        computes the logits.
    window_spare_tokens
        Entries that the cache of a window layer has beyond the window: tokens of a pass land there before the
        oldest are given up. At least a plan's chunk; 1e9 where the whole context stays.
    masked_share
        Share of those entries that attention reads and multiplies before the mask drops them.
    prompt_cuts
        1 where the attention of a prompt packs the query heads that share keys into one block, and cuts the
        keys of a block among idle units; 0 where it does neither.
    sequence_products
        1 where state-space layers project each sequence by itself, reading the matrices again for each; 0
        where one product serves all sequences of a pass.
    reserved_share
        Freed blocks that the framework's allocator keeps in training, over the bytes in use: the driver's
        tools show them as used.
    fitted_on
        The measurements behind the figures.
    """

    engine: str = "*"
    architecture: str = "*"
    format: str = "*"
    compute: str = ""
    expert_share: float = math.nan
    tile_rows: float = math.nan
    unit_tiles: float = math.nan
    inner_splits: float = math.nan
    expert_rows: float = math.nan
    vector_flop: float = math.nan
    expert_kernels: float = math.nan
    ungraphed_kernel_s: float = math.nan
    overlap_power: float = math.nan
    kernel_factor: float = math.nan
    matmul_share: float = math.nan
    attention_share: float = math.nan
    memory_share: float = math.nan
    kv_share: float = math.nan
    elementwise_factor: float = math.nan
    conversion_share: float = math.nan
    vector_attention_flop_per_s: float = math.nan
    tensor_attention_group: float = math.nan
    narrow_prompts: float = math.nan
    prefill_launch_s: float = math.nan
    decode_launch_s: float = math.nan
    step_s: float = math.nan
    sequence_s: float = math.nan
    request_s: float = math.nan
    exchange_s: float = math.nan
    waiting_share: float = math.nan
    burst_share: float = math.nan
    head_factor: float = math.nan
    window_spare_tokens: float = math.nan
    masked_share: float = math.nan
    prompt_cuts: float = math.nan
    sequence_products: float = math.nan
    reserved_share: float = math.nan
    fitted_on: str = ""


NO_OVERHEAD = EngineEfficiency(
    matmul_share=1.0,
    attention_share=1.0,
    memory_share=1.0,
    expert_share=1.0,
    tile_rows=16.0,
    unit_tiles=1.0,
    inner_splits=1.0,
    expert_rows=0.0,
    vector_flop=0.0,
    expert_kernels=0.0,
    ungraphed_kernel_s=0.0,
    overlap_power=2.0,
    kernel_factor=1.0,
    kv_share=1.0,
    elementwise_factor=1.0,
    conversion_share=1.0,
    vector_attention_flop_per_s=0.0,
    tensor_attention_group=0.0,
    narrow_prompts=0.0,
    prefill_launch_s=0.0,
    decode_launch_s=0.0,
    step_s=0.0,
    sequence_s=0.0,
    request_s=0.0,
    exchange_s=0.0,
    waiting_share=0.1,
    burst_share=0.1,
    head_factor=1.0,
    window_spare_tokens=0.0,
    masked_share=0.0,
    prompt_cuts=0.0,
    sequence_products=0.0,
    reserved_share=0.0,
    fitted_on="none: an engine that costs nothing",
)
"""An engine that costs nothing: the architecture's own constants."""
