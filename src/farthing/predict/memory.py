"""Bytes that a card keeps: weights, gradients, optimizer, activations, adapters, buffers.

What attention keeps of earlier tokens is in ``kv_cache.py``; ``training_memory.py`` and
``inference_memory.py`` put a model and a plan into both.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from farthing.errors import InvalidInput
from farthing.predict.kv_cache import attention_shape, kv_heads_of, linear_width
from farthing.predict.trace import Number, formula, larger, smaller
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

COMMUNICATOR_BYTES: Final = 0.25 * GIB
"""What NCCL holds for each group of cards: buffers of 4 MiB for both neighbours on about 32 channels."""

FRAGMENTATION_SHARE: Final = 0.04
"""Share of the activations lost between blocks of a caching allocator; an assumption, not yet measured."""


MASKED_SHARE: Final = 0.15
"""Share of its tokens that an encoder learns to predict (devlin-2018)."""


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
    expert_tp: Number = 1,
    sequence_parallel: bool = True,
    flash_attention: bool = True,
    recompute: str = "selective",
    frozen_ffn: bool = False,
    dropped_inputs: str = "none",
    bytes_per_element: float = 2.0,
    product_bytes: float = 2.0,
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
    tp, expert_tp, sequence_parallel, flash_attention, recompute
        As in the plan. ``full`` keeps the layer's input alone.
    frozen_ffn
        No weight or adapter of the feed-forward network is trained: the inputs of its products are not kept,
        those of its activation are.
    dropped_inputs
        Where adapters drop some of their input, so that the rest and a mask are kept beside the input itself:
        ``none``, ``attention`` or ``all``.
    bytes_per_element, product_bytes
        Of an activation, and of an input of a product: those that are narrow are kept so [byte].

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
    if recompute == "operations" and _alternates(model, kind):
        heads, _, qk_dim, v_dim = attention_shape(model, kind.mixer)
        pairs = larger(kv_heads_of(model, kind.mixer) / tp, 1.0) * tp
        # The layer's input and output; queries, values, what attention gives, and one inner tensor.
        own = heads * (qk_dim + v_dim + 2) + pairs * v_dim + model.ffn_hidden
        return slots * bytes_per_element * (2 * model.hidden / between_shards + own / tp)
    elements: Number = 0.0  # between tensor-parallel regions
    sharded: Number = 0.0
    # Of these, inputs of products that nothing else reads.
    inputs: Number = 0.0
    inputs_sharded: Number = 0.0
    masks = 1.0 / bytes_per_element if model.norm == "layernorm" else 0.0
    if kind.mixer in ("full", "window"):
        heads, _, qk_dim, v_dim = attention_shape(model, kind.mixer)
        # Keys and values below one head a card are replicated.
        pairs = larger(kv_heads_of(model, kind.mixer) / tp, 1.0) * tp
        keys = heads * (qk_dim + v_dim) if model.is_mla else pairs * (qk_dim + v_dim)
        latent = model.q_lora_rank + model.kv_lora_rank + model.qk_rope_head_dim
        elements = elements + 2 * model.hidden + masks * model.hidden + latent
        sharded = sharded + heads * (qk_dim + v_dim) + keys
        inputs = inputs + model.hidden
        if flash_attention:
            sharded = sharded + 2 * heads  # the softmax's log-sum, fp32
        elif recompute == "none":
            sharded = sharded + (2 + masks) * heads * context_tokens
    elif kind.mixer == "linear":
        elements = elements + 2 * model.hidden
        sharded = sharded + 2 * linear_width(model)
    if kind.feed_forward == "dense":
        inner = (3 if model.gated_ffn else 2) - frozen_ffn
        elements = elements + (2 - frozen_ffn) * model.hidden + masks * model.hidden
        sharded = sharded + inner * model.ffn_hidden
        if not frozen_ffn:
            inputs, inputs_sharded = inputs + model.hidden, inputs_sharded + model.ffn_hidden
    elif kind.feed_forward == "moe":
        inner = 3 if model.gated_ffn else 2
        shared = model.shared_ffn_hidden or model.shared_experts * model.moe_ffn_hidden
        elements = elements + 2 * model.hidden
        # Cards that share an expert each hold its whole input and output.
        routed = 2 * (model.moe_hidden or model.hidden) * expert_tp + inner * model.moe_ffn_hidden
        sharded = sharded + model.experts_per_token * routed
        sharded = sharded + inner * shared + 2 * model.experts
        own = (model.moe_hidden or model.hidden) * expert_tp + model.moe_ffn_hidden
        inputs_sharded = inputs_sharded + model.experts_per_token * own + shared
    if model.parallel_attention:
        elements = elements - 2 * model.hidden
    saved = (bytes_per_element - product_bytes) * (inputs / between_shards + inputs_sharded / tp)
    if dropped_inputs == "attention" and kind.mixer != "none":
        inputs, inputs_sharded = model.hidden, 0.0
    if dropped_inputs != "none":
        saved = saved - (bytes_per_element + 1.0) * (inputs / between_shards + inputs_sharded / tp)
    return slots * (bytes_per_element * (elements / between_shards + sharded / tp) - saved)


def _alternates(model: Model, kind: LayerKind) -> bool:
    """Whether a layer has the seven products of which every second is recomputed."""
    plain = kind.mixer in ("full", "window") and kind.feed_forward == "dense"
    return plain and model.gated_ffn and not model.is_mla


def recomputed_share(model: Model, kind: LayerKind) -> float:
    """Share of the products of a layer that recomputation by operation repeats.

    Every second in order: of queries, keys, values, output, gate, up and down these are keys, output and up.

    Parameters
    ----------
    model, kind
        The model, and which of its layer kinds.

    Returns
    -------
    float
        Share of the work in FLOP; a half where a layer has other products.

    References
    ----------
    chen-2016

    Examples
    --------
    >>> from farthing.catalog import model
    >>> round(recomputed_share(model("llama-3.1-8b"), LayerKind("full", "dense")), 3)
    0.365
    """
    if not _alternates(model, kind):
        return 0.5
    heads, kv_heads, qk_dim, v_dim = attention_shape(model, kind.mixer)
    again = kv_heads * qk_dim + heads * v_dim + model.ffn_hidden
    return again / (again + heads * qk_dim + kv_heads * v_dim + 2 * model.ffn_hidden)


def adapted_kind(kind: LayerKind, targets: str) -> LayerKind:
    """The part of a layer that adapters stand beside.

    Parameters
    ----------
    kind
        The whole layer.
    targets
        ``all`` or ``attention``.

    Returns
    -------
    LayerKind

    References
    ----------
    hu-2021-lora

    Examples
    --------
    >>> from farthing.records.model import LayerKind
    >>> adapted_kind(LayerKind("full", "dense"), "attention")
    LayerKind(mixer='full', feed_forward='none')
    """
    return LayerKind(kind.mixer, "none") if targets == "attention" else kind


def lora_expert_parameters(model: Model, kind: LayerKind, rank: int) -> int:
    """The part of `lora_parameters` that belongs to routed experts.

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
    >>> from farthing.records.model import LayerKind
    >>> lora_expert_parameters(model("mixtral-8x7b"), LayerKind("full", "moe"), 8)
    3538944
    """
    if kind.feed_forward != "moe":
        return 0
    width = model.moe_hidden or model.hidden
    return (3 if model.gated_ffn else 2) * rank * (width + model.moe_ffn_hidden) * model.experts


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
        total += lora_expert_parameters(model, kind, rank)
        total += matrices * rank * (model.hidden + shared) if shared else 0
    return total


@formula(reference="zhao-2023-fsdp")
def communication_buffer_bytes(
    unit_parameters: Number, *, zero_stage: int, end_parameters: Number = 0.0, bucket_bytes: float = 1e8
) -> Number:
    """Buffers that data-parallel traffic needs while it runs.

    ZeRO-3 holds two gathered units (the running and the prefetched one) in 16 bits, one unit of unreduced
    gradients and the gathered embedding and head; ZeRO-1 and -2 hold one bucket.

    Parameters
    ----------
    unit_parameters
        Parameters of the largest unit that is gathered at once, a layer; scalar or column.
    zero_stage
        0 to 3.
    end_parameters
        Parameters of embedding and head, which no layer's unit holds; scalar or column.
    bucket_bytes
        Most that one bucket takes [byte].

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
        return unit_parameters * 6.0 + end_parameters * 2.0
    return smaller(unit_parameters * 2.0, bucket_bytes)


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
