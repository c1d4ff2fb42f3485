"""One transformer layer on one card: its matrices, its experts, and the numbers that its parts move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from farthing.predict.compute import experts_matmul_time_s, experts_touched
from farthing.predict.device import Device
from farthing.predict.kv_cache import attention_shape, linear_width
from farthing.predict.trace import Number, larger, named, select
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
class Product:
    """A weight matrix of a layer as one card holds it: ``inputs x outputs``."""

    title: str
    inputs: Number
    outputs: Number


def products(model: Model, kind: LayerKind, shards: Shards) -> list[Product]:
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
    found: list[Product] = []
    if kind.mixer in ("full", "window"):
        heads, kv_heads, qk_dim, v_dim = attention_shape(model, kind.mixer)
        query_from = model.q_lora_rank or hidden
        gate = heads * v_dim if model.gated_attention else 0
        if model.is_mla:
            latent = model.kv_lora_rank + model.qk_rope_head_dim + model.q_lora_rank
            expanded = heads * (model.qk_nope_head_dim + v_dim)
            found.append(Product("latents", hidden, latent))
            found.append(Product("query", query_from, heads * qk_dim / tp))
            found.append(Product("keys and values", model.kv_lora_rank, expanded / tp))
        else:
            keys = 0 if model.value_is_key and kind.mixer == "full" else v_dim
            pair = larger(kv_heads / tp, 1.0) * (qk_dim + keys)
            if model.q_lora_rank:
                found.append(Product("latents", hidden, model.q_lora_rank + pair))
                found.append(Product("query", query_from, heads * qk_dim / tp))
            else:
                found.append(Product("qkv", hidden, (heads * qk_dim + gate) / tp + pair))
        if model.output_lora_rank:
            grouped = model.output_groups * model.output_lora_rank
            found.append(Product("output groups", heads * v_dim / tp / model.output_groups, grouped))
            found.append(Product("attention output", grouped / tp, hidden))
        else:
            found.append(Product("attention output", heads * v_dim / tp, hidden))
        if model.index_heads and kind.mixer == "full":
            found.append(Product("indexer queries", query_from, model.index_heads * model.index_head_dim))
            found.append(Product("indexer keys", hidden, model.index_head_dim + model.index_heads))
    elif kind.mixer == "linear":
        values = model.linear_value_heads * model.linear_value_head_dim
        found.append(Product("linear attention input", hidden, linear_width(model) / tp))
        if model.linear_kind == "mamba1":
            rank, state = model.linear_key_heads, model.linear_key_head_dim
            found.append(Product("time step and state", values / tp, rank + 2 * state))
            found.append(Product("time step", rank, values / tp))
        found.append(Product("linear attention output", values / tp, hidden))
    gates = 2 if model.gated_ffn else 1
    width: Number = 0
    if kind.feed_forward == "dense":
        width = model.ffn_hidden
    elif kind.feed_forward == "moe":
        width = model.shared_ffn_hidden or model.shared_experts * model.moe_ffn_hidden
        found.append(Product("router", hidden, model.experts))
        if model.moe_hidden:
            found.append(Product("into the experts' latent", hidden, model.moe_hidden))
            found.append(Product("out of the experts' latent", model.moe_hidden, hidden))
    if width:
        found.append(Product("up", hidden, gates * width / tp))
        found.append(Product("down", width / tp, hidden))
    return found


FEED_FORWARD: Final = frozenset(
    ("up", "down", "router", "into the experts' latent", "out of the experts' latent")
)
"""Products that belong to a layer's feed-forward; all others to its mixer."""


def routed_experts_time_s(
    model: Model,
    shards: Shards,
    device: Device,
    tokens: Number,
    spread: float = 0.0,
    activation_bytes: float = 2.0,
) -> Number:
    """Time of the routed experts' products, gate, up and down, for the tokens of a pass.

    Parameters
    ----------
    model, shards, device
        The mixture, how its experts are dealt out, and the card.
    tokens
        Of the pass on this card, scalar or column; with those of replicas that share its experts, its reach.
    spread
        Unevenness of the experts' popularity; see `experts_touched`.
    activation_bytes
        Of an element of the inputs [byte].

    Returns
    -------
    Number
        [s]

    References
    ----------
    fedus-2022

    Examples
    --------
    One token of Mixtral reads two experts of three 4096 x 14336 matrices in 16 bits:

    >>> from farthing.catalog import model
    >>> from farthing.predict.device import Device
    >>> ideal = Device(matmul_flop_per_s=1e15, attention_flop_per_s=1e15,
    ...                memory_bytes=80e9, memory_bytes_per_s=1e12)
    >>> round(routed_experts_time_s(model("mixtral-8x7b"), Shards(), ideal, 1) * 1e6)
    705
    """
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


def inner_elements(model: Model, kind: LayerKind) -> Number:
    """Elements a token that rotary embedding and the activation read and write.

    Parameters
    ----------
    model, kind
        The model, and which of its layer kinds.

    Returns
    -------
    Number
        Elements.

    References
    ----------
    shoeybi-2019

    Examples
    --------
    Queries and keys of 32 heads read and written, and three tensors of 11,008:

    >>> from farthing.catalog import model
    >>> from farthing.records.model import LayerKind
    >>> inner_elements(model("llama-2-7b"), LayerKind("full", "dense")) == 2 * 64 * 128 + 3 * 11008
    True
    """
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


def expert_elements(model: Model, kind: LayerKind, shards: Shards) -> Number:
    """Elements a token that the routed experts' products take in.

    Parameters
    ----------
    model, kind, shards
        The layer, and how it is cut.

    Returns
    -------
    Number
        Elements; 0 for layers without experts.

    References
    ----------
    fedus-2022

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.records.model import LayerKind
    >>> expert_elements(model("mixtral-8x7b"), LayerKind("full", "moe"), Shards()) == 2 * (4096 + 14336)
    True
    """
    if kind.feed_forward != "moe":
        return 0
    width = (model.moe_hidden or model.hidden) + model.moe_ffn_hidden
    return model.experts_per_token * width / shards.tp
