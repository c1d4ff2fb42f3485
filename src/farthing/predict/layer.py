"""One transformer layer on one card: matrix products, attention and element-wise work, forward and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from farthing.predict.attention import (
    Blocks,
    attention_flop,
    attention_time_s,
    decode_blocks,
    mean_context_tokens,
    prompt_blocks,
    score_bytes,
)
from farthing.predict.compute import elementwise_time_s, experts_matmul_time_s, experts_touched, matmul_time_s
from farthing.predict.device import Device
from farthing.predict.kv_cache import (
    attention_shape,
    kept_tokens,
    kv_bytes_per_token,
    linear_width,
    state_bytes,
)
from farthing.predict.trace import Number, larger, named, select, smaller
from farthing.records.model import LayerKind, Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """How a layer is cut, and the numbers that it is stored in.

    Attributes
    ----------
    tp
        Tensor parallel size of attention and dense feed-forward.
    expert_groups, expert_tp
        Expert parallel size, and how many cards share each expert; scalar or column.
    replicas
        Tensor-parallel groups whose tokens meet in one expert-parallel group.
    sequence_parallel
        Work between tensor-parallel regions is split too.
    weight_bytes, expert_bytes, kv_bytes
        Of one element [byte]; ``expert_bytes`` 0 means that routed experts are stored like the rest.
    window_spare_tokens
        Entries that the cache of a window layer has beyond the window.
    narrow
        Titles of products that are stored like the routed experts.
    dispatch_once
        Whether a token crosses to a card once in training, however many of its experts are there.
    """

    tp: Number = 1
    expert_groups: Number = 1
    expert_tp: Number = 1
    replicas: Number = 1
    sequence_parallel: bool = False
    weight_bytes: float = 2.0
    expert_bytes: float = 0.0
    kv_bytes: float = 2.0
    window_spare_tokens: Number = 0
    narrow: frozenset[str] = frozenset()
    dispatch_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTime:
    """Time of one layer on one card by what it does [s], and its kernel launches; scalar or column."""

    matmul_s: Number
    attention_s: Number
    elementwise_s: Number
    kernels: Number = 0

    @property
    def total_s(self) -> Number:
        """All of it, one after the other [s]."""
        return self.matmul_s + self.attention_s + self.elementwise_s

    def __add__(self, other: LayerTime) -> LayerTime:
        return LayerTime(
            matmul_s=self.matmul_s + other.matmul_s,
            attention_s=self.attention_s + other.attention_s,
            elementwise_s=self.elementwise_s + other.elementwise_s,
            kernels=self.kernels + other.kernels,
        )


@dataclass(frozen=True, slots=True)
class _Product:
    """A weight matrix of a layer as one card holds it: ``inputs x outputs``."""

    title: str
    inputs: Number
    outputs: Number


def products(model: Model, kind: LayerKind, shards: Shards) -> list[_Product]:
    """Weight matrices of a layer on one card, routed experts aside.

    Parameters
    ----------
    model, kind
        The model, and which of its layer kinds.
    shards
        How it is cut.

    Returns
    -------
    list
        Title, inputs and outputs of each matrix.

    References
    ----------
    shoeybi-2019

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.records.model import LayerKind
    >>> [(p.title, p.inputs, p.outputs) for p in products(model("llama-2-70b"), LayerKind("full", "dense"),
    ...                                                  Shards(tp=8))]
    [('qkv', 8192, 1280.0), ('attention output', 1024.0, 8192), ('up', 8192, 7168.0), ('down', 3584.0, 8192)]
    """
    hidden, tp = model.hidden, shards.tp
    found: list[_Product] = []
    if kind.mixer in ("full", "window"):
        heads, kv_heads, qk_dim, v_dim = attention_shape(model, kind.mixer)
        query_from = model.q_lora_rank or hidden
        gate = heads * v_dim if model.gated_attention else 0
        if model.is_mla:
            latent = model.kv_lora_rank + model.qk_rope_head_dim + model.q_lora_rank
            expanded = heads * (model.qk_nope_head_dim + v_dim)
            found.append(_Product("latents", hidden, latent))
            found.append(_Product("query", query_from, heads * qk_dim / tp))
            found.append(_Product("keys and values", model.kv_lora_rank, expanded / tp))
        else:
            keys = 0 if model.value_is_key and kind.mixer == "full" else v_dim
            pair = larger(kv_heads / tp, 1.0) * (qk_dim + keys)
            if model.q_lora_rank:
                found.append(_Product("latents", hidden, model.q_lora_rank + pair))
                found.append(_Product("query", query_from, heads * qk_dim / tp))
            else:
                found.append(_Product("qkv", hidden, (heads * qk_dim + gate) / tp + pair))
        if model.output_lora_rank:
            grouped = model.output_groups * model.output_lora_rank
            found.append(_Product("output groups", heads * v_dim / tp / model.output_groups, grouped))
            found.append(_Product("attention output", grouped / tp, hidden))
        else:
            found.append(_Product("attention output", heads * v_dim / tp, hidden))
        if model.index_heads and kind.mixer == "full":
            found.append(_Product("indexer queries", query_from, model.index_heads * model.index_head_dim))
            found.append(_Product("indexer keys", hidden, model.index_head_dim + model.index_heads))
    elif kind.mixer == "linear":
        values = model.linear_value_heads * model.linear_value_head_dim
        found.append(_Product("linear attention input", hidden, linear_width(model) / tp))
        if model.linear_kind == "mamba1":
            rank, state = model.linear_key_heads, model.linear_key_head_dim
            found.append(_Product("time step and state", values / tp, rank + 2 * state))
            found.append(_Product("time step", rank, values / tp))
        found.append(_Product("linear attention output", values / tp, hidden))
    gates = 2 if model.gated_ffn else 1
    width: Number = 0
    if kind.feed_forward == "dense":
        width = model.ffn_hidden
    elif kind.feed_forward == "moe":
        width = model.shared_ffn_hidden or model.shared_experts * model.moe_ffn_hidden
        found.append(_Product("router", hidden, model.experts))
        if model.moe_hidden:
            found.append(_Product("into the experts' latent", hidden, model.moe_hidden))
            found.append(_Product("out of the experts' latent", model.moe_hidden, hidden))
    if width:
        found.append(_Product("up", hidden, gates * width / tp))
        found.append(_Product("down", width / tp, hidden))
    return found


FEED_FORWARD: Final = frozenset(
    ("up", "down", "router", "into the experts' latent", "out of the experts' latent")
)
"""Products that belong to a layer's feed-forward; all others to its mixer."""

STATE_SPACE: Final = frozenset(
    ("linear attention input", "time step and state", "time step", "linear attention output")
)
"""Projections of a layer with a recurrent state."""
FP8_BYTES: Final = 1.0
"""Of a cached number in 8 bits. Latents in it are multiplied as they are: decoding computes as much as it
reads (TensorRT-LLM, examples/models/core/deepseek_v3/README.md, FP8 KV Cache and MLA)."""

ROW_PARALLEL: Final = frozenset(("attention output", "down", "linear attention output"))
"""Products whose inputs tensor parallelism cuts, and not their outputs."""

CONVERTED_BYTES: Final = 3.0
"""Traffic of one element that becomes narrow: 16 bits read, 8 written."""


def _routed_experts_time_s(
    model: Model,
    shards: Shards,
    device: Device,
    tokens: Number,
    spread: float = 0.0,
    activation_bytes: float = 2.0,
) -> Number:
    hidden = model.moe_hidden or model.hidden
    gates = 2 if model.gated_ffn else 1
    width = model.moe_ffn_hidden / shards.expert_tp
    reach = tokens * shards.replicas
    slots = reach * model.experts_per_token / shards.expert_groups
    touched = experts_touched(model.experts, model.experts_per_token, reach, spread=spread)
    touched = touched / shards.expert_groups
    least_rows: Number = 1.0
    if device.expert_rows:
        alone = reach < device.expert_rows
        touched = select(alone, slots, touched)
        least_rows = select(alone, 1.0, device.tiling.rows)
    up = experts_matmul_time_s(
        slots,
        touched,
        gates * width,
        hidden,
        device=device,
        weight_bytes_per_element=shards.expert_bytes or shards.weight_bytes,
        activation_bytes_per_element=activation_bytes,
        output_bytes_per_element=2.0,
        least_rows=least_rows,
    )
    down = experts_matmul_time_s(
        slots,
        touched,
        hidden,
        width,
        device=device,
        weight_bytes_per_element=shards.expert_bytes or shards.weight_bytes,
        activation_bytes_per_element=activation_bytes,
        output_bytes_per_element=2.0,
        least_rows=least_rows,
    )
    return named("routed experts_s", up + down)


def _trained_experts_time_s(model: Model, shards: Shards, device: Device, tokens: Number) -> Number:
    """A pass through the routed experts in training: operands are as narrow as the products [s]."""
    narrow = replace(shards, expert_bytes=device.operand_bytes)
    return _routed_experts_time_s(model, narrow, device, tokens, activation_bytes=device.operand_bytes)


def _expert_gradients_time_s(
    model: Model, shards: Shards, device: Device, tokens: Number, gradient_bytes: float
) -> Number:
    """Gradients of the routed experts' weights: each expert's are a product of their own [s]."""
    hidden = model.moe_hidden or model.hidden
    gates = 2 if model.gated_ffn else 1
    width = model.moe_ffn_hidden / shards.expert_tp
    reach = tokens * shards.replicas
    slots = reach * model.experts_per_token / shards.expert_groups
    touched = experts_touched(model.experts, model.experts_per_token, reach) / shards.expert_groups
    found: Number = 0.0
    for outputs, inputs in ((gates * width, hidden), (hidden, width)):
        found = found + experts_matmul_time_s(
            touched * outputs,
            touched,
            inputs,
            slots / touched,
            device=device,
            weight_bytes_per_element=device.operand_bytes,
            activation_bytes_per_element=device.operand_bytes,
            output_bytes_per_element=2 * gradient_bytes,
        )
    return named("routed experts, gradient of weights_s", found)


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
    for product in matrices:
        part = (product.title, kind.feed_forward if product.title in FEED_FORWARD else kind.mixer)
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
        matmul = matmul + _routed_experts_time_s(model, shards, device, tokens, routing_spread)
        launched += 2
    if (kind.mixer,) not in known:
        known[kind.mixer,] = _attention_time_s(
            model, kind, device, shards, sequences, new_tokens, cached_tokens, decode=decode
        )
    attention = known[kind.mixer,]
    moved = tokens * 2.0 * (8 * model.hidden + _inner_elements(model, kind) / shards.tp)
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
        moved = moved + tokens * CONVERTED_BYTES * _expert_elements(model, kind, shards)
    elementwise = elementwise_time_s(moved, device=device, kernels=kernels)
    return LayerTime(
        matmul_s=matmul, attention_s=attention, elementwise_s=elementwise, kernels=launched + kernels
    )


def _inner_elements(model: Model, kind: LayerKind) -> Number:
    """Elements a token that rotary embedding and the activation read and write."""
    elements: Number = 0
    if kind.mixer in ("full", "window"):
        heads, kv_heads, qk_dim, _ = attention_shape(model, kind.mixer)
        elements += 2 * (heads + kv_heads) * qk_dim
    elif kind.mixer == "linear":
        elements += 2 * linear_width(model)
    passes = 3 if model.gated_ffn else 2
    if kind.feed_forward == "dense":
        elements += passes * model.ffn_hidden
    elif kind.feed_forward == "moe":
        shared = model.shared_ffn_hidden or model.shared_experts * model.moe_ffn_hidden
        elements += passes * (shared + model.experts_per_token * model.moe_ffn_hidden)
        elements += 2 * model.experts_per_token * (model.moe_hidden or model.hidden)
    return elements


def _regrouped_elements(model: Model, kind: LayerKind, shards: Shards) -> Number:
    """Elements a token that sorting its copies by expert reads and writes, beside gathering and adding them.

    Megatron's all-to-all sorts the rows of a card's experts after they arrive and sorts them back before they
    leave; kernels that send a token once copy it for each expert on arrival (token_dispatcher.py).
    """
    if kind.feed_forward != "moe":
        return 0
    passes = select(shards.expert_groups > 1, 2 if shards.dispatch_once else 4, 0)
    return passes * model.experts_per_token * (model.moe_hidden or model.hidden)


def _expert_elements(model: Model, kind: LayerKind, shards: Shards) -> Number:
    """Elements a token that the routed experts' products take in."""
    if kind.feed_forward != "moe":
        return 0
    width = (model.moe_hidden or model.hidden) + model.moe_ffn_hidden
    return model.experts_per_token * width / shards.tp


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


def training_forward_time(
    model: Model,
    kind: LayerKind,
    device: Device,
    shards: Shards,
    *,
    sequences: Number,
    tokens: Number,
    context_tokens: Number,
    memory_tokens: int = 0,
    flash_attention: bool = True,
) -> LayerTime:
    """Forward pass of one layer in training.

    Parameters
    ----------
    model, kind
        The model, and which of its layer kinds.
    device, shards
        The card, and how the layer is cut.
    sequences, tokens
        Sequences of a micro-batch, and tokens of each on this card; scalar or column.
    context_tokens
        Length of the whole sequence that they belong to.
    memory_tokens
        Tokens of the segment before that each sequence also attends to.
    flash_attention
        Fused and causal; otherwise the whole square of scores is computed and stored.

    Returns
    -------
    LayerTime

    References
    ----------
    shoeybi-2019, korthikanti-2022, dao-2023

    Examples
    --------
    >>> from farthing.predict.device import Device
    >>> from farthing.catalog import model
    >>> from farthing.records.model import LayerKind
    >>> ideal = Device(matmul_flop_per_s=312e12, attention_flop_per_s=312e12,
    ...                memory_bytes=80e9, memory_bytes_per_s=2e12)
    >>> time = training_forward_time(model("llama-2-70b"), LayerKind("full", "dense"), ideal, Shards(tp=8),
    ...                              sequences=1, tokens=4096, context_tokens=4096)
    >>> round(time.matmul_s * 1e3, 2)
    2.81
    """
    rows = sequences * tokens
    matmul: Number = 0.0
    size = device.activation_bytes
    matrices = products(model, kind, shards)
    for product in matrices:
        # The segment before is projected again, by the same matrix.
        all_rows = rows + sequences * memory_tokens if product.title == "qkv" else rows
        time = matmul_time_s(
            all_rows,
            product.outputs,
            product.inputs,
            device=device,
            weight_bytes_per_element=device.operand_bytes,
            activation_bytes_per_element=device.operand_bytes,
            output_bytes_per_element=size,
        )
        matmul = matmul + named(f"{product.title}_s", time)
    launched: Number = len(matrices)
    if kind.feed_forward == "moe":
        matmul = matmul + _trained_experts_time_s(model, shards, device, rows)
        # Rows are picked, sorted, gathered, scattered and added; each expert's products are issued alone.
        launched += 5 + 2 * model.experts / shards.expert_groups
    work, traffic, stored = training_attention(
        model,
        kind,
        shards,
        sequences=sequences,
        tokens=tokens,
        context_tokens=context_tokens + memory_tokens,
        flash_attention=flash_attention,
        element_bytes=size,
    )
    blocks = None
    if flash_attention:
        blocks = _training_blocks(model, kind, shards, work, sequences=sequences, tokens=tokens)
    eager = device.elementwise_factor
    attention_kernels = 1 if flash_attention else 2 + 3 * eager
    attention = (
        attention_time_s(work, traffic, device=device, kernels=attention_kernels, blocks=blocks)
        + stored * eager / device.reached_memory_bytes_per_s
    )
    between = shards.tp if shards.sequence_parallel else 1
    # Two norms (read, write) and two residual additions (read twice, write); dropout adds a mask to each.
    passes = 11 if model.norm == "layernorm" else 10
    inner = _inner_elements(model, kind) + _regrouped_elements(model, kind, shards)
    moved = rows * size * (passes * model.hidden / between + inner / shards.tp)
    elementwise = elementwise_time_s(moved * eager, device=device, kernels=8 * eager)
    if device.quantise_bytes:
        cast: Number = 0.0
        for product in matrices:
            # Cards narrow their own part of a sequence before they gather it.
            whole = product.title not in ROW_PARALLEL
            cast = cast + product.inputs / (between if whole else 1)
        elements = rows * (cast + _expert_elements(model, kind, shards))
        casting = elementwise_time_s(elements * device.quantise_bytes, device=device, kernels=launched)
        elementwise = elementwise + named("casting to the narrow format_s", casting)
        launched *= 2
    return LayerTime(
        matmul_s=matmul,
        attention_s=attention,
        elementwise_s=elementwise,
        kernels=launched + attention_kernels + 8 * eager,
    )


def _training_blocks(
    model: Model, kind: LayerKind, shards: Shards, work_flop: Number, *, sequences: Number, tokens: Number
) -> Blocks | None:
    """Blocks of fused attention over whole sequences; None where a layer has no scores."""
    if kind.mixer not in ("full", "window"):
        return None
    heads, _, qk_dim, v_dim = attention_shape(model, kind.mixer)
    window = model.window if kind.mixer == "window" else 0
    found = prompt_blocks(sequences, tokens, heads=heads / shards.tp, window=window, causal=not model.encoder)
    return replace(found, scores=work_flop / (2 * (qk_dim + v_dim)))


def training_attention(
    model: Model,
    kind: LayerKind,
    shards: Shards,
    *,
    sequences: Number,
    tokens: Number,
    context_tokens: Number,
    flash_attention: bool,
    element_bytes: float = 2.0,
) -> tuple[Number, Number, Number]:
    """Work, traffic and score traffic of the attention of one layer's forward pass in training.

    Parameters
    ----------
    model, kind, shards
        The layer, and how it is cut.
    sequences, tokens, context_tokens, flash_attention
        As in `training_forward_time`; a segment before counts as context.
    element_bytes
        Of a query, key, value or score [byte].

    Returns
    -------
    tuple
        [FLOP], [byte], [byte]

    References
    ----------
    korthikanti-2022, dao-2023

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.records.model import LayerKind
    >>> work, _, stored = training_attention(model("llama-2-70b"), LayerKind("full", "dense"), Shards(),
    ...     sequences=1, tokens=4096, context_tokens=4096, flash_attention=True)
    >>> round(work / 1e9), stored
    (275, 0.0)
    """
    rows = sequences * tokens
    if kind.mixer == "none":
        return 0.0, 0.0, 0.0
    if kind.mixer == "linear":
        matrix = (
            model.linear_value_heads * model.linear_key_head_dim * model.linear_value_head_dim / shards.tp
        )
        return 6 * rows * matrix, rows * 2 * element_bytes * linear_width(model) / shards.tp, 0.0
    heads, kv_heads, qk_dim, v_dim = attention_shape(model, kind.mixer)
    per_card = heads / shards.tp
    pairs = larger(kv_heads / shards.tp, 1.0)
    traffic = rows * element_bytes * (per_card + pairs) * (qk_dim + v_dim)
    if not flash_attention:
        # Relative positions take a second product of queries, and their scores are shifted and added.
        relative = model.position == "relative"
        work = attention_flop(
            rows, context_tokens, heads=per_card, qk_dim=qk_dim * (1 + relative), v_dim=v_dim
        )
        each = 6 * element_bytes + 1 + (5 * element_bytes if relative else 0)
        scores = score_bytes(sequences, tokens, context_tokens, heads=per_card, bytes_per_score=each)
        return work, traffic, scores
    window = model.window if kind.mixer == "window" else 0
    seen = mean_context_tokens(context_tokens, 0, window=window, causal=not model.encoder)
    if model.kv_compression > 1 and kind.mixer == "full":
        seen = seen / model.kv_compression
    if model.index_topk and kind.mixer == "full":
        seen = smaller(seen, model.index_topk)
    work = attention_flop(rows, seen, heads=per_card, qk_dim=qk_dim, v_dim=v_dim)
    if model.index_heads and kind.mixer == "full":
        everything = mean_context_tokens(context_tokens, 0, causal=not model.encoder)
        work = work + 2 * rows * everything * model.index_heads * model.index_head_dim
    return work, traffic, 0.0


def training_backward_time(
    model: Model,
    kind: LayerKind,
    device: Device,
    shards: Shards,
    *,
    sequences: Number,
    tokens: Number,
    context_tokens: Number,
    memory_tokens: int = 0,
    flash_attention: bool = True,
    weight_gradients: bool = True,
    gradient_bytes: float = 2.0,
) -> tuple[LayerTime, Number]:
    """Backward pass of one layer: gradients of the inputs and of the weights.

    Flash attention recomputes its scores: five products where the forward pass has two.

    Parameters
    ----------
    model, kind, device, shards, sequences, tokens, context_tokens, memory_tokens, flash_attention
        As in `training_forward_time`.
    weight_gradients
        False where the weights are frozen (LoRA).
    gradient_bytes
        Of a gradient of a weight, as it is accumulated [byte].

    Returns
    -------
    LayerTime, Number
        The whole, and the part of it that makes gradients of weights [s].

    References
    ----------
    shoeybi-2019, dao-2023

    Examples
    --------
    >>> from farthing.predict.device import Device
    >>> from farthing.catalog import model
    >>> from farthing.records.model import LayerKind
    >>> ideal = Device(matmul_flop_per_s=312e12, attention_flop_per_s=312e12,
    ...                memory_bytes=80e9, memory_bytes_per_s=2e12)
    >>> time, weights = training_backward_time(model("llama-2-70b"), LayerKind("full", "dense"), ideal,
    ...     Shards(tp=8), sequences=1, tokens=4096, context_tokens=4096)
    >>> round(time.matmul_s * 1e3, 2), round(weights * 1e3, 2)
    (5.62, 2.81)
    """
    rows = sequences * tokens
    inputs: Number = 0.0
    weights: Number = 0.0
    size = device.activation_bytes
    matrices = products(model, kind, shards)
    for product in matrices:
        # No gradient flows back into the segment before, but its keys and values train the projection.
        all_rows = rows + sequences * memory_tokens if product.title == "qkv" else rows
        back = matmul_time_s(
            rows,
            product.inputs,
            product.outputs,
            device=device,
            weight_bytes_per_element=device.operand_bytes,
            activation_bytes_per_element=device.operand_bytes,
            output_bytes_per_element=size,
        )
        inputs = inputs + named(f"{product.title}, gradient of inputs_s", back)
        if weight_gradients:
            own = matmul_time_s(
                product.outputs,
                product.inputs,
                all_rows,
                device=device,
                weight_bytes_per_element=device.operand_bytes,
                activation_bytes_per_element=device.operand_bytes,
                # Gradients of weights are added to those of the micro-batches before.
                output_bytes_per_element=2 * gradient_bytes,
            )
            weights = weights + named(f"{product.title}, gradient of weights_s", own)
    launched: Number = len(matrices) * (2 if weight_gradients else 1)
    if kind.feed_forward == "moe":
        launched += 6 + (4 if weight_gradients else 2) * model.experts / shards.expert_groups
        inputs = inputs + _trained_experts_time_s(model, shards, device, rows)
        if weight_gradients:
            weights = weights + _expert_gradients_time_s(model, shards, device, rows, gradient_bytes)
    work, traffic, stored = training_attention(
        model,
        kind,
        shards,
        sequences=sequences,
        tokens=tokens,
        context_tokens=context_tokens + memory_tokens,
        flash_attention=flash_attention,
        element_bytes=size,
    )
    eager = device.elementwise_factor
    blocks = None
    if flash_attention:
        blocks = _training_blocks(model, kind, shards, work, sequences=sequences, tokens=tokens)
    factor = 2.5 if flash_attention else 2.0
    attention_kernels = 2 if flash_attention else 4 + 3 * eager
    attention = (
        attention_time_s(work * factor, traffic * 2, device=device, kernels=attention_kernels, blocks=blocks)
        + stored * eager / device.reached_memory_bytes_per_s
    )
    between = shards.tp if shards.sequence_parallel else 1
    # A norm also reads the gradient that reaches it, a residual adds two gradients; an activation reads and
    # writes five tensors where the forward pass has three. Counts of tensors, not fitted.
    passes = 16 if model.norm == "layernorm" else 14
    inner = 1.7 * _inner_elements(model, kind) + _regrouped_elements(model, kind, shards)
    moved = rows * size * (passes * model.hidden / between + inner / shards.tp)
    elementwise = elementwise_time_s(moved * eager, device=device, kernels=8 * eager)
    if device.quantise_bytes:
        cast: Number = 0.0
        for product in matrices:
            whole = product.title in ROW_PARALLEL
            cast = cast + product.outputs / (between if whole else 1)
        elements = rows * (cast + _expert_elements(model, kind, shards))
        casting = elementwise_time_s(elements * device.quantise_bytes, device=device, kernels=len(matrices))
        elementwise = elementwise + named("casting gradients to the narrow format_s", casting)
        launched *= 1.5
    time = LayerTime(
        matmul_s=inputs + weights,
        attention_s=attention,
        elementwise_s=elementwise,
        kernels=launched + attention_kernels + 8 * eager,
    )
    return time, weights
