"""The forward pass of one layer in serving: products, attention over the cache, norms and activations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from farthing.predict.attention import (
    attention_flop,
    attention_time_s,
    decode_blocks,
    mean_context_tokens,
    prompt_blocks,
)
from farthing.predict.compute import AT_ONCE, elementwise_time_s, matmul_time_s
from farthing.predict.device import Device
from farthing.predict.kv_cache import attention_shape, kept_tokens, kv_bytes_per_token, state_bytes
from farthing.predict.layer import (
    FEED_FORWARD,
    LayerTime,
    Product,
    Shards,
    expert_elements,
    inner_elements,
    products,
    routed_experts_time_s,
)
from farthing.predict.trace import Number, larger, named, smaller
from farthing.records.model import LayerKind, Model

STATE_SPACE: Final = frozenset(
    ("linear attention input", "time step and state", "time step", "linear attention output")
)
"""Projections of a layer with a recurrent state."""

FP8_BYTES: Final = 1.0
"""Of a cached number in 8 bits. Latents in it are multiplied as they are: decoding computes as much as it
reads (TensorRT-LLM, examples/models/core/deepseek_v3/README.md, FP8 KV Cache and MLA)."""

CONVERTED_BYTES: Final = 3.0
"""Traffic of one element that becomes narrow: 16 bits read, 8 written."""


def forward_time(
    model: Model,
    kind: LayerKind,
    device: Device,
    shards: Shards,
    *,
    sequences: Number,
    new_tokens: Number,
    cached_tokens: Number = 0,
    decode: bool = False,
    routing_spread: float = 0.0,
    told: dict[tuple[str, ...], Number] | None = None,
) -> LayerTime:
    """Forward pass of one layer in inference: fused kernels, flash attention, keys and values cached.

    Parameters
    ----------
    model, kind
        The model, and which of its layer kinds.
    device, shards
        The card, and how the layer is cut.
    sequences, new_tokens, cached_tokens
        Sequences, tokens of each that are computed now, tokens of each that are cached; scalar or column.
    decode
        One token a sequence; MLA then computes in its latent space.
    routing_spread
        Unevenness of the experts' popularity among the tokens of the pass; see `experts_touched`.
    told
        Times of parts that another kind of layer in the same pass has told; grows.

    Returns
    -------
    LayerTime

    References
    ----------
    pope-2022, shoeybi-2019

    Examples
    --------
    >>> from farthing.predict.device import Device
    >>> from farthing.catalog import model
    >>> from farthing.records.model import LayerKind
    >>> ideal = Device(matmul_flop_per_s=330e12, attention_flop_per_s=330e12,
    ...                memory_bytes=24e9, memory_bytes_per_s=1e12)
    >>> time = forward_time(model("llama-2-70b"), LayerKind("full", "dense"), ideal, Shards(tp=8),
    ...                     sequences=1, new_tokens=1, cached_tokens=4096, decode=True)
    >>> round(time.matmul_s * 80 * 1e3, 1)
    17.1
    """
    tokens = sequences * new_tokens
    known = {} if told is None else told
    matmul: Number = 0.0
    matrices = products(model, kind, shards)
    parts = [
        (product.title, kind.feed_forward if product.title in FEED_FORWARD else kind.mixer)
        for product in matrices
    ]
    if not (device.sequence_products and model.is_state_space):
        fresh = {part: own for part, own in zip(parts, matrices, strict=True) if part not in known}
        known |= _together(fresh, device, shards, tokens)
    for part, product in zip(parts, matrices, strict=True):
        if part not in known:
            apart = device.sequence_products and product.title in STATE_SPACE and model.is_state_space
            narrow = product.title in shards.narrow
            time = matmul_time_s(
                new_tokens if apart else tokens,
                product.outputs,
                product.inputs,
                device=device if narrow else device.wide or device,
                weight_bytes_per_element=shards.expert_bytes if narrow else shards.weight_bytes,
                count=sequences if apart else 1,
            )
            known[part] = named(f"{product.title}_s", time)
        matmul = matmul + known[part]
    launched = len(matrices) + 1
    if kind.feed_forward == "moe":
        matmul = matmul + routed_experts_time_s(model, shards, device, tokens, routing_spread)
        launched += 2
    if (kind.mixer,) not in known:
        known[kind.mixer,] = _attention_time_s(
            model, kind, device, shards, sequences, new_tokens, cached_tokens, decode=decode
        )
    attention = known[kind.mixer,]
    moved = tokens * 2.0 * (8 * model.hidden + inner_elements(model, kind) / shards.tp)
    # Two norms with residuals, rotary embedding, activation; a mixture also picks, sorts, gathers, scatters
    # and adds; a latent is normed and split.
    mixing = 5 + device.expert_kernels if kind.feed_forward == "moe" else 0
    kernels = 4 + mixing + (3 if model.is_mla else 0)
    # Narrow products want their inputs in their own format.
    if (device.wide or device).quantise_bytes:
        kernels += len(matrices)
        moved = moved + tokens * CONVERTED_BYTES * sum(product.inputs for product in matrices)
    if kind.feed_forward == "moe" and device.quantise_bytes:
        kernels += 2
        moved = moved + tokens * CONVERTED_BYTES * expert_elements(model, kind, shards)
    elementwise = elementwise_time_s(moved, device=device, kernels=kernels)
    return LayerTime(
        matmul_s=matmul, attention_s=attention, elementwise_s=elementwise, kernels=launched + kernels
    )


def _together(
    matrices: Mapping[Any, Product], device: Device, shards: Shards, tokens: Number
) -> dict[Any, Number]:
    """Times of products of a few plans, side by side: one call takes hardly longer for all of them [s]."""
    found: dict[Any, Number] = {}
    for narrow in (False, True):
        alike = {part: own for part, own in matrices.items() if (own.title in shards.narrow) == narrow}
        sizes = [own.outputs for own in alike.values()], [own.inputs for own in alike.values()]
        if len(alike) < 2 or np.ndarray not in map(type, (tokens, *sizes[0], *sizes[1])):
            continue
        plans = np.broadcast(tokens, *sizes[0], *sizes[1])
        if plans.size > AT_ONCE:
            continue
        outputs, inputs = (np.stack([np.broadcast_to(one, plans.shape) for one in many]) for many in sizes)
        times = matmul_time_s(
            tokens,
            outputs,
            inputs,
            device=device if narrow else device.wide or device,
            weight_bytes_per_element=shards.expert_bytes if narrow else shards.weight_bytes,
        )
        found |= zip(alike, times, strict=True)
    return found


def _attention_time_s(
    model: Model,
    kind: LayerKind,
    device: Device,
    shards: Shards,
    sequences: Number,
    new_tokens: Number,
    cached_tokens: Number,
    *,
    decode: bool,
) -> Number:
    tokens = sequences * new_tokens
    if kind.mixer == "linear":
        matrix = (
            model.linear_value_heads * model.linear_key_head_dim * model.linear_value_head_dim / shards.tp
        )
        state = 2 * sequences * state_bytes(model, kind, tp=shards.tp)
        return attention_time_s(6 * tokens * matrix, state, device=device, kernels=2)
    if kind.mixer == "none":
        return 0.0
    heads, kv_heads, qk_dim, v_dim = attention_shape(model, kind.mixer)
    spare = shards.window_spare_tokens * device.masked_share
    window = model.window + spare if kind.mixer == "window" else 0
    context = mean_context_tokens(new_tokens, cached_tokens, window=window, causal=not model.encoder)
    if model.kv_compression > 1 and kind.mixer == "full":
        context = context / model.kv_compression
    if model.index_topk and kind.mixer == "full":
        context = smaller(context, model.index_topk)
    if decode and model.is_mla:
        qk_dim, v_dim = model.kv_lora_rank + model.qk_rope_head_dim, model.kv_lora_rank
    work = attention_flop(tokens, context, heads=heads / shards.tp, qk_dim=qk_dim, v_dim=v_dim)
    if (decode or device.narrow_prompts) and model.is_mla and shards.kv_bytes == FP8_BYTES:
        work = work / device.narrow_attention_factor
    if model.index_heads and kind.mixer == "full":
        # The indexer scores every token before attention reads the best of them.
        everything = mean_context_tokens(new_tokens, cached_tokens, causal=not model.encoder)
        work = work + 2 * tokens * everything * model.index_heads * model.index_head_dim
    per_token = kv_bytes_per_token(model, kind, bytes_per_element=shards.kv_bytes, tp=shards.tp)
    held = kept_tokens(model, kind, cached_tokens + new_tokens, spare_tokens=spare)
    if model.index_topk and kind.mixer == "full" and decode:
        held = smaller(held, model.index_topk)
    traffic = sequences * held * per_token + tokens * 2.0 * heads / shards.tp * (qk_dim + v_dim)
    if decode and model.index_heads and kind.mixer == "full":
        # The indexer reads its own short key of every token.
        traffic = traffic + sequences * (cached_tokens + new_tokens) * model.index_head_dim * shards.kv_bytes
    per_card, pairs = heads / shards.tp, larger(kv_heads / shards.tp, 1.0)
    if decode:
        if model.is_mla:
            pairs = 1.0
        blocks = decode_blocks(
            sequences, context * new_tokens, heads=per_card, kv_heads=smaller(pairs, per_card)
        )
    else:
        blocks = prompt_blocks(
            sequences,
            new_tokens,
            cached_tokens,
            heads=per_card,
            window=window,
            causal=not model.encoder,
            group=heads / kv_heads if device.cuts_prompts else 1.0,
            cut=device.cuts_prompts,
        )
    return attention_time_s(
        work, traffic, device=device, decode=decode, query_group=heads / kv_heads, blocks=blocks
    )
