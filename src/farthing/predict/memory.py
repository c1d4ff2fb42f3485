"""Bytes that training and serving keep on each card: weights, gradients, optimizer, activations, KV cache.

These are formulas of plain numbers; ``training.py`` and ``inference.py`` put a model and a plan into them.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from farthing.errors import InvalidInput
from farthing.predict.trace import Number, formula
from farthing.records.model import LayerKind, Model
from farthing.units import GIB

OPTIMIZER_BYTES: Final[dict[str, float]] = {
    "adam": 12.0,
    "adam-8bit": 6.0,
    "adam-bf16": 4.0,
    "sgd": 8.0,
    "adafactor": 4.0,
    "muon": 8.0,
}
"""Bytes a parameter beside the 16-bit weight and gradient. adam: fp32 master, momentum, variance; adam-8bit:
fp32 master, two 8-bit states; adam-bf16: two bf16 states, no master; sgd and muon: fp32 master and momentum;
adafactor: fp32 master, its row and column statistics are negligible."""

CONTEXT_BYTES: Final = 0.75 * GIB
"""What a driver context, its kernels and its communication library hold on a card before any tensor is made.
An assumption: NVIDIA contexts of current frameworks take 0.5 to 1 GiB."""

FRAGMENTATION_SHARE: Final = 0.04
"""Share of the activations lost between blocks of a caching allocator; an assumption, not yet measured."""


@formula(reference="rajbhandari-2020")
def weight_bytes(parameters: Number, *, bytes_per_parameter: Number = 2.0, shards: Number = 1) -> Number:
    """Weights on one card.

    Parameters
    ----------
    parameters
        Parameters, scalar or column.
    bytes_per_parameter
        [byte], scales of quantised formats counted.
    shards
        Cards that share them.

    Returns
    -------
    Number
        [byte]

    References
    ----------
    rajbhandari-2020

    Examples
    --------
    >>> weight_bytes(70e9, shards=8) / 1e9
    17.5
    """
    return parameters * bytes_per_parameter / shards


@formula(reference="rajbhandari-2020")
def gradient_bytes(parameters: Number, *, bytes_per_parameter: Number = 2.0, shards: Number = 1) -> Number:
    """Gradients on one card.

    Parameters
    ----------
    parameters
        Trained parameters, scalar or column.
    bytes_per_parameter
        2 in 16 bits, 4 where gradients accumulate in fp32 [byte].
    shards
        Cards that share them.

    Returns
    -------
    Number
        [byte]

    References
    ----------
    rajbhandari-2020

    Examples
    --------
    >>> gradient_bytes(70e9) / 1e9
    140.0
    """
    return parameters * bytes_per_parameter / shards


def optimizer_bytes_per_parameter(optimizer: str) -> float:
    """Bytes that an optimizer keeps for each trained parameter, beside the 16-bit weight and gradient.

    Parameters
    ----------
    optimizer
        ``adam adam-8bit adam-bf16 sgd adafactor muon``.

    Returns
    -------
    float
        [byte]

    Raises
    ------
    InvalidInput
        For another name.

    References
    ----------
    rajbhandari-2020, dettmers-2022-8bit, shazeer-2018-adafactor, jordan-2024-muon

    Examples
    --------
    >>> optimizer_bytes_per_parameter("adam"), optimizer_bytes_per_parameter("sgd")
    (12.0, 8.0)
    """
    try:
        return OPTIMIZER_BYTES[optimizer]
    except KeyError:
        raise InvalidInput(f"unknown optimizer {optimizer!r}; known: {', '.join(OPTIMIZER_BYTES)}") from None


@formula(reference="rajbhandari-2020")
def optimizer_bytes(parameters: Number, *, bytes_per_parameter: Number = 12.0, shards: Number = 1) -> Number:
    """Optimizer states on one card.

    Parameters
    ----------
    parameters
        Trained parameters, scalar or column.
    bytes_per_parameter
        `optimizer_bytes_per_parameter` [byte].
    shards
        Cards that share them.

    Returns
    -------
    Number
        [byte]

    References
    ----------
    rajbhandari-2020

    Examples
    --------
    >>> optimizer_bytes(70e9) / 1e9
    840.0
    """
    return parameters * bytes_per_parameter / shards


@formula(reference="korthikanti-2022")
def gpt_activation_bytes(
    sequence_tokens: Number,
    sequences: Number,
    hidden: Number,
    layers: Number,
    *,
    tp: Number = 1,
    heads: Number = 0,
    sequence_parallel: bool = False,
    recompute: str = "selective",
) -> Number:
    """Stored activations of a GPT (no GQA, 4h feed-forward, dropout), as the paper prints them.

    ``s b h L (10 + 24/t + 5 a s / (h t))``; selective recomputation drops the last part, sequence parallelism
    divides the 10 by t, full recomputation keeps ``2 s b h`` a layer.

    Parameters
    ----------
    sequence_tokens, sequences, hidden, layers, heads
        s, b, h, L, a; scalar or column.
    tp
        t.
    sequence_parallel, recompute
        As in a plan; ``recompute`` is ``none``, ``selective`` or ``full``.

    Returns
    -------
    Number
        [byte]

    References
    ----------
    korthikanti-2022

    Examples
    --------
    >>> round(gpt_activation_bytes(4096, 8, 8192, 80) / 1e9, 1)
    730.1
    """
    if recompute == "full":
        return sequence_tokens * sequences * hidden * layers * 2
    between = 10 / tp if sequence_parallel else 10
    scores = 5 * heads * sequence_tokens / hidden / tp if recompute == "none" else 0
    return sequence_tokens * sequences * hidden * layers * (between + 24 / tp + scores)


def layer_activation_bytes(
    model: Model,
    kind: LayerKind,
    *,
    sequences: Number,
    tokens: Number,
    context_tokens: Number,
    tp: Number = 1,
    sequence_parallel: bool = True,
    flash_attention: bool = True,
    recompute: str = "selective",
    bytes_per_element: float = 2.0,
) -> Number:
    """Activations that one layer keeps of one micro-batch for its backward pass.

    Counts each tensor that some backward kernel reads: the inputs of the norms, of the projections and of the
    feed-forward network, queries, keys, values, attention output, the two or three inner tensors of the
    feed-forward network, dropout masks (models with LayerNorm are taken to train with dropout, those with
    RMSNorm without) and, without flash attention, the scores.

    Parameters
    ----------
    model, kind
        The model, and which of its layer kinds.
    sequences, tokens
        Sequences of the micro-batch and tokens of each that this card holds; scalar or column.
    context_tokens
        Keys that each query meets when scores are stored.
    tp, sequence_parallel, flash_attention, recompute
        As in the plan. ``full`` keeps the layer's input alone.
    bytes_per_element
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
    >>> from farthing.records.model import LayerKind, Model
    >>> gpt = Model(id="gpt", layers=1, hidden=6144, heads=64, kv_heads=64, head_dim=96, vocab=51200,
    ...             max_context=2048, ffn_hidden=24576, gated_ffn=False, norm="layernorm")
    >>> kept = layer_activation_bytes(gpt, LayerKind("full", "dense"), sequences=4, tokens=2048,
    ...                               context_tokens=2048, tp=8, flash_attention=False)
    >>> kept == 2048 * 4 * 6144 * 34 / 8
    True
    """
    slots = sequences * tokens
    between_shards = tp if sequence_parallel else 1
    if recompute == "full":
        return slots * model.hidden * bytes_per_element / between_shards
    elements: Number = 0.0  # between tensor-parallel regions
    sharded: Number = 0.0
    masks = 1.0 / bytes_per_element if model.norm == "layernorm" else 0.0
    if kind.mixer in ("full", "window"):
        heads, _, qk_dim, v_dim = attention_shape(model, kind.mixer)
        # Keys and values below one head a card are replicated.
        pairs = np.maximum(kv_heads_of(model, kind.mixer) / tp, 1.0) * tp
        keys = heads * (qk_dim + v_dim) if model.is_mla else pairs * (qk_dim + v_dim)
        latent = model.q_lora_rank + model.kv_lora_rank + model.qk_rope_head_dim
        elements = elements + 2 * model.hidden + masks * model.hidden + latent
        sharded = sharded + heads * (qk_dim + v_dim) + keys
        if flash_attention:
            sharded = sharded + 2 * heads  # the softmax's log-sum, fp32
        elif recompute == "none":
            sharded = sharded + (2 + masks) * heads * context_tokens
    elif kind.mixer == "linear":
        elements = elements + 2 * model.hidden
        sharded = sharded + 2 * linear_width(model)
    if kind.feed_forward == "dense":
        inner = 3 if model.gated_ffn else 2
        elements = elements + 2 * model.hidden + masks * model.hidden
        sharded = sharded + inner * model.ffn_hidden
    elif kind.feed_forward == "moe":
        inner = 3 if model.gated_ffn else 2
        shared = model.shared_ffn_hidden or model.shared_experts * model.moe_ffn_hidden
        elements = elements + 2 * model.hidden
        routed = 2 * (model.moe_hidden or model.hidden) + inner * model.moe_ffn_hidden
        sharded = sharded + model.experts_per_token * routed
        sharded = sharded + inner * shared + 2 * model.experts
    if model.parallel_attention:
        elements = elements - 2 * model.hidden
    return slots * bytes_per_element * (elements / between_shards + sharded / tp)


def attention_shape(model: Model, mixer: str) -> tuple[int, int, int, int]:
    """Query heads, KV heads, width of a key and of a value in a layer's attention.

    Parameters
    ----------
    model, mixer
        The model, and ``full`` or ``window``.

    Returns
    -------
    tuple of int

    References
    ----------
    ainslie-2023, deepseek-2024-v2

    Examples
    --------
    >>> from farthing.catalog import model
    >>> attention_shape(model("llama-2-70b"), "full")
    (64, 8, 128, 128)
    """
    if model.is_mla:
        return (
            model.heads,
            model.heads,
            model.qk_nope_head_dim + model.qk_rope_head_dim,
            model.v_head_dim or model.head_dim,
        )
    width = (model.window_head_dim if mixer == "window" else 0) or model.head_dim
    return model.heads, kv_heads_of(model, mixer), width, (model.v_head_dim or width)


def kv_heads_of(model: Model, mixer: str) -> int:
    """KV heads of a layer with this mixer.

    Parameters
    ----------
    model, mixer
        The model, and ``full`` or ``window``.

    Returns
    -------
    int

    References
    ----------
    ainslie-2023

    Examples
    --------
    >>> from farthing.catalog import model
    >>> kv_heads_of(model("llama-2-70b"), "full")
    8
    """
    return (model.window_kv_heads if mixer == "window" else 0) or model.kv_heads


def linear_width(model: Model) -> int:
    """Outputs of the input projection of a linear-attention or state-space layer.

    Parameters
    ----------
    model
        The model.

    Returns
    -------
    int

    References
    ----------
    yang-2024-gdn, dao-2024-mamba2

    Examples
    --------
    >>> from farthing.records.model import Model
    >>> hybrid = Model(id="h", layers=1, hidden=2048, heads=16, kv_heads=2, head_dim=256, vocab=1000,
    ...                max_context=1024, ffn_hidden=5632, mixer_pattern="l", linear_kind="gated-deltanet",
    ...                linear_key_heads=16, linear_value_heads=32, linear_key_head_dim=128,
    ...                linear_value_head_dim=128)
    >>> linear_width(hybrid)
    12352
    """
    keys = model.linear_key_heads * model.linear_key_head_dim
    values = model.linear_value_heads * model.linear_value_head_dim
    if model.linear_kind == "mamba2":
        return 2 * values + 2 * keys + model.linear_value_heads
    if model.linear_kind == "mamba1":
        return 2 * values
    if model.linear_kind == "lightning":
        return 2 * keys + 2 * values
    return 2 * keys + 2 * values + 2 * model.linear_value_heads


@formula(reference="ainslie-2023", unit="byte/token")
def layer_kv_bytes_per_token(
    kv_heads: Number, qk_dim: Number, v_dim: Number, bytes_per_element: Number
) -> Number:
    """Keys and values that one layer keeps of one token.

    Parameters
    ----------
    kv_heads
        KV heads on this card, scalar or column.
    qk_dim, v_dim
        Width of a key and of a value.
    bytes_per_element
        [byte]

    Returns
    -------
    Number
        [byte/token]

    References
    ----------
    ainslie-2023, pope-2022

    Examples
    --------
    LLaMA-2 70B keeps 8 of 64 heads: 320 KiB a token over its 80 layers.

    >>> 80 * layer_kv_bytes_per_token(8, 128, 128, 2) / 1024
    320.0
    """
    return kv_heads * (qk_dim + v_dim) * bytes_per_element


def kv_bytes_per_token(
    model: Model, kind: LayerKind, *, bytes_per_element: Number = 2.0, tp: Number = 1
) -> Number:
    """KV cache that one layer keeps of one token on one card; 0 for linear layers.

    MLA keeps a latent of ``kv_lora_rank + qk_rope_head_dim`` that every tensor-parallel rank holds whole;
    with more ranks than KV heads, heads are replicated.

    Parameters
    ----------
    model, kind
        The model, and which of its layer kinds.
    bytes_per_element
        [byte]
    tp
        Tensor parallel size, scalar or column.

    Returns
    -------
    Number
        [byte/token]

    References
    ----------
    ainslie-2023, deepseek-2024-v2

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.records.model import LayerKind
    >>> kv_bytes_per_token(model("deepseek-v3"), LayerKind("full", "moe")) / 2
    576.0
    """
    if kind.mixer not in ("full", "window") or model.encoder:
        return 0.0
    if model.is_mla:
        latent = model.kv_lora_rank + model.qk_rope_head_dim
        return layer_kv_bytes_per_token(1, latent, model.index_head_dim, bytes_per_element)
    _, kv_heads, qk_dim, v_dim = attention_shape(model, kind.mixer)
    if model.value_is_key and kind.mixer == "full":
        v_dim = 0
    return layer_kv_bytes_per_token(np.maximum(kv_heads / tp, 1.0), qk_dim, v_dim, bytes_per_element)


def kept_tokens(model: Model, kind: LayerKind, context_tokens: Number) -> Number:
    """Entries of a sequence that a layer's cache holds: a window forgets, compression merges.

    Parameters
    ----------
    model, kind
        The model, and which of its layer kinds.
    context_tokens
        Scalar or column.

    Returns
    -------
    Number
        Tokens.

    References
    ----------
    ainslie-2023

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.records.model import LayerKind
    >>> kept_tokens(model("gemma-3-27b"), LayerKind("window", "dense"), 8192)
    1024
    """
    if kind.mixer == "window":
        return np.minimum(context_tokens, model.window)
    if model.kv_compression > 1:
        return context_tokens / model.kv_compression
    return context_tokens


def state_bytes(model: Model, kind: LayerKind, *, tp: Number = 1, bytes_per_element: Number = 2.0) -> Number:
    """Recurrent state that a linear layer keeps of one sequence, whatever its length.

    Parameters
    ----------
    model, kind
        The model, and which of its layer kinds.
    tp
        Tensor parallel size, scalar or column.
    bytes_per_element
        [byte]

    Returns
    -------
    Number
        [byte]

    References
    ----------
    yang-2024-gdn, dao-2024-mamba2

    Examples
    --------
    >>> from farthing.records.model import LayerKind
    >>> from farthing.catalog import model
    >>> state_bytes(model("llama-2-70b"), LayerKind("full", "dense"))
    0.0
    """
    if kind.mixer != "linear":
        return 0.0
    matrix = model.linear_value_heads * model.linear_key_head_dim * model.linear_value_head_dim
    # The convolution keeps its last inputs: queries, keys and values, or channels.
    values = model.linear_value_heads * model.linear_value_head_dim
    keys = 0 if model.linear_kind == "mamba1" else model.linear_key_heads * model.linear_key_head_dim
    tail = (2 * keys + values) * max(model.linear_conv_kernel - 1, 0)
    return (matrix * 4.0 + tail * bytes_per_element) / tp


@formula(reference="kwon-2023")
def kv_cache_bytes(sequences: Number, tokens: Number, *, bytes_per_token: Number) -> Number:
    """KV cache of so many sequences.

    Parameters
    ----------
    sequences, tokens
        Scalar or column.
    bytes_per_token
        Of all layers [byte].

    Returns
    -------
    Number
        [byte]

    References
    ----------
    kwon-2023

    Examples
    --------
    LLaMA-2 70B at batch 8 and 4096 tokens, as GQA and as MHA:

    >>> kv_cache_bytes(8, 4096, bytes_per_token=327680) / 1e9
    10.73741824
    >>> kv_cache_bytes(8, 4096, bytes_per_token=8 * 327680) / 1e9
    85.89934592
    """
    return sequences * tokens * bytes_per_token


def lora_parameters(model: Model, kind: LayerKind, rank: int) -> int:
    """Parameters of low-rank adapters on all linear matrices of a layer.

    Each (in x out) matrix gains ``rank x (in + out)``; experts each have their own.

    Parameters
    ----------
    model, kind
        The model, and which of its layer kinds.
    rank
        Rank of the adapters.

    Returns
    -------
    int

    References
    ----------
    hu-2021-lora

    Examples
    --------
    >>> from farthing.catalog import model
    >>> shape = model("llama-2-7b")
    >>> sum(lora_parameters(shape, kind, 8) for kind in shape.layer_kinds)
    19988480
    """
    total = 0
    if kind.mixer in ("full", "window"):
        heads, kv_heads, qk_dim, v_dim = attention_shape(model, kind.mixer)
        outputs = (heads * qk_dim, kv_heads * qk_dim, kv_heads * v_dim)
        total += sum(rank * (model.hidden + width) for width in outputs)
        total += rank * (model.hidden + heads * v_dim)
    elif kind.mixer == "linear":
        values = model.linear_value_heads * model.linear_value_head_dim
        total += rank * (model.hidden + linear_width(model)) + rank * (model.hidden + values)
    matrices = 3 if model.gated_ffn else 2
    if kind.feed_forward == "dense":
        total += matrices * rank * (model.hidden + model.ffn_hidden)
    elif kind.feed_forward == "moe":
        shared = model.shared_ffn_hidden or model.shared_experts * model.moe_ffn_hidden
        total += matrices * rank * (model.hidden + model.moe_ffn_hidden) * model.experts
        total += matrices * rank * (model.hidden + shared) if shared else 0
    return total


@formula(reference="zhao-2023-fsdp")
def communication_buffer_bytes(unit_parameters: Number, *, zero_stage: int) -> Number:
    """Buffers that data-parallel traffic needs while it runs.

    ZeRO-3 holds two gathered units (the running and the prefetched one) in 16 bits and one unit of unreduced
    gradients; ZeRO-1 and -2 hold one bucket.

    Parameters
    ----------
    unit_parameters
        Parameters of the largest unit that is gathered at once, a layer; scalar or column.
    zero_stage
        0 to 3.

    Returns
    -------
    Number
        [byte]

    References
    ----------
    zhao-2023-fsdp

    Examples
    --------
    >>> communication_buffer_bytes(1e9, zero_stage=3) / 1e9
    6.0
    """
    if zero_stage == 3:
        return unit_parameters * 6.0
    return np.minimum(unit_parameters * 2.0, 100e6)


@formula(reference="li-2023-article")
def accelerators_needed(total_bytes: Number, memory_bytes: Number, *, reserved_bytes: Number = 0) -> Number:
    """Fewest accelerators whose memory holds so much, cut evenly: ``ceil(total / (memory - reserved))``.

    Parameters
    ----------
    total_bytes
        Everything that all of them hold together [byte], scalar or column.
    memory_bytes
        Of one accelerator [byte], scalar or column.
    reserved_bytes
        What each needs for itself, such as `CONTEXT_BYTES` [byte], scalar or column.

    Returns
    -------
    Number
        Accelerators, whole, scalar or column.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> float(accelerators_needed(180e9, 80e9)), float(accelerators_needed(180e9, 24e9))
    (3.0, 8.0)
    """
    return np.ceil(total_bytes / (memory_bytes - reserved_bytes))
