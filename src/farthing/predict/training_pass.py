"""Forward and backward pass of one layer in training."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from farthing.predict.attention import (
    Blocks,
    attention_flop,
    attention_time_s,
    mean_context_tokens,
    prompt_blocks,
    score_bytes,
)
from farthing.predict.compute import elementwise_time_s, experts_matmul_time_s, experts_touched, matmul_time_s
from farthing.predict.device import Device
from farthing.predict.kv_cache import attention_shape, linear_width
from farthing.predict.layer import (
    LayerTime,
    Shards,
    expert_elements,
    inner_elements,
    products,
    routed_experts_time_s,
)
from farthing.predict.trace import Number, larger, named, select, smaller
from farthing.records.model import LayerKind, Model

ROW_PARALLEL: Final = frozenset(("attention output", "down", "linear attention output"))
"""Products whose inputs tensor parallelism cuts, and not their outputs."""


def _trained_experts_time_s(model: Model, shards: Shards, device: Device, tokens: Number) -> Number:
    """A pass through the routed experts in training: operands are as narrow as the products [s]."""
    narrow = replace(shards, expert_bytes=device.operand_bytes)
    return routed_experts_time_s(model, narrow, device, tokens, activation_bytes=device.operand_bytes)


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


def _regrouped_elements(model: Model, kind: LayerKind, shards: Shards) -> Number:
    """Elements a token that sorting its copies by expert reads and writes, beside gathering and adding them.

    Megatron's all-to-all sorts the rows of a card's experts after they arrive and sorts them back before they
    leave; kernels that send a token once copy it for each expert on arrival (token_dispatcher.py).
    """
    if kind.feed_forward != "moe":
        return 0
    passes = select(shards.expert_groups > 1, 2 if shards.dispatch_once else 4, 0)
    return passes * model.experts_per_token * (model.moe_hidden or model.hidden)


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
    inner = inner_elements(model, kind) + _regrouped_elements(model, kind, shards)
    moved = rows * size * (passes * model.hidden / between + inner / shards.tp)
    elementwise = elementwise_time_s(moved * eager, device=device, kernels=8 * eager)
    if device.quantise_bytes:
        cast: Number = 0.0
        for product in matrices:
            # Cards narrow their own part of a sequence before they gather it.
            whole = product.title not in ROW_PARALLEL
            cast = cast + product.inputs / (between if whole else 1)
        elements = rows * (cast + expert_elements(model, kind, shards))
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
    inner = 1.7 * inner_elements(model, kind) + _regrouped_elements(model, kind, shards)
    moved = rows * size * (passes * model.hidden / between + inner / shards.tp)
    elementwise = elementwise_time_s(moved * eager, device=device, kernels=8 * eager)
    if device.quantise_bytes:
        cast: Number = 0.0
        for product in matrices:
            whole = product.title in ROW_PARALLEL
            cast = cast + product.outputs / (between if whole else 1)
        elements = rows * (cast + expert_elements(model, kind, shards))
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
