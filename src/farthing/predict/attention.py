"""Work and traffic of attention, in training, prefill and decode."""

from __future__ import annotations

import numpy as np

from farthing.predict.device import Device
from farthing.predict.trace import Number, formula


@formula(reference="pope-2022", unit="")
def mean_context_tokens(
    new_tokens: Number, cached_tokens: Number, *, window: int = 0, causal: bool = True
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
    if not window:
        return everything
    # Position p (1-based, cached ones before it) sees min(p, window).
    last = cached_tokens + new_tokens
    growing = np.minimum(np.maximum(window - cached_tokens, 0), new_tokens)
    seen = growing * (cached_tokens + (growing + 1) / 2) + (new_tokens - growing) * np.minimum(window, last)
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
    reading = device.reached_kv_bytes_per_s if decode else device.reached_memory_bytes_per_s
    computing = (
        device.reached_decode_attention_flop_per_s(query_group)
        if decode
        else device.reached_attention_flop_per_s
    )
    longer = np.maximum(work_flop / computing, traffic_bytes / reading)
    return longer + device.kernel_start_s * kernels


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
