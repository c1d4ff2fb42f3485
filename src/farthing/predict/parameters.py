"""How many parameters a model has, split by what shards them.

A matrix of ``n x m`` has ``n m`` parameters; the rest is book-keeping of which matrices a layer holds. The
split follows how engines shard: columns and rows of attention and feed-forward over tensor parallelism,
experts over expert parallelism, and everything small is kept whole on every device.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from farthing.records.model import LayerKind, Model

_CACHE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerParameters:
    """Parameters of one layer, by how they are sharded.

    Attributes
    ----------
    attention
        Projections that tensor parallelism splits by head; ``key_value`` is a part of it.
    key_value
        Key and value projections: tensor parallelism cannot split them below one KV head. 0 with MLA, whose
        latent is expanded to every query head.
    latent
        Projections into a latent and the indexer of sparse attention: whole on every device.
    linear_mixer
        Linear attention or state-space mixer, split by head.
    dense_ffn
        Dense feed-forward network, split by tensor parallelism.
    router
        Router and, with latent experts, the projections around them: whole on every device.
    routed_experts, expert
        All routed experts together, and one of them: split by expert parallelism, then by tensor parallelism.
    shared_experts
        Experts that every token passes, split by tensor parallelism.
    norms, biases
        Vectors: counted as whole on every device.
    """

    attention: int = 0
    key_value: int = 0
    latent: int = 0
    linear_mixer: int = 0
    dense_ffn: int = 0
    router: int = 0
    routed_experts: int = 0
    expert: int = 0
    shared_experts: int = 0
    norms: int = 0
    biases: int = 0

    @property
    def total(self) -> int:
        """All of the layer; ``key_value`` and ``expert`` are parts of others."""
        return self.replicated + self.attention + self.linear_mixer + self.dense_ffn + self.experts

    @property
    def replicated(self) -> int:
        """What every tensor-parallel device keeps whole."""
        return self.latent + self.router + self.norms + self.biases

    @property
    def experts(self) -> int:
        """Routed and shared experts together."""
        return self.routed_experts + self.shared_experts


def feed_forward_parameters(hidden: int, width: int, gated: bool) -> int:
    """Matrices of one feed-forward network: ``hidden x width``, three when gated, else two.

    Parameters
    ----------
    hidden, width
        Outer and inner width.
    gated
        Three matrices (SwiGLU, GeGLU) and not two.

    Returns
    -------
    int
        Parameters, without biases.

    References
    ----------
    shazeer-2020, vaswani-2017

    Examples
    --------
    >>> feed_forward_parameters(8192, 28672, True), feed_forward_parameters(768, 3072, False)
    (704643072, 4718592)
    """
    return (3 if gated else 2) * hidden * width


def query_output_parameters(hidden: int, heads: int, head_dim: int, v_head_dim: int) -> int:
    """Query and output projections: ``hidden x heads x (head_dim + v_head_dim)``.

    Parameters
    ----------
    hidden, heads, head_dim, v_head_dim
        Model width, query heads, width of a query head and of a value head.

    Returns
    -------
    int
        Parameters, without biases.

    References
    ----------
    vaswani-2017

    Examples
    --------
    >>> query_output_parameters(8192, 64, 128, 128)
    134217728
    """
    return hidden * heads * (head_dim + v_head_dim)


def key_value_parameters(hidden: int, kv_heads: int, head_dim: int, v_head_dim: int) -> int:
    """Key and value projections: ``hidden x kv_heads x (head_dim + v_head_dim)``.

    Parameters
    ----------
    hidden, kv_heads, head_dim, v_head_dim
        Model width, KV heads, width of a key head and of a value head (0 where the value is the key).

    Returns
    -------
    int
        Parameters, without biases.

    References
    ----------
    vaswani-2017, ainslie-2023

    Examples
    --------
    >>> key_value_parameters(8192, 8, 128, 128)
    16777216
    """
    return hidden * kv_heads * (head_dim + v_head_dim)


def _attention(model: Model, window: bool) -> dict[str, int]:
    hidden, heads = model.hidden, model.heads
    head_dim = (window and model.window_head_dim) or model.head_dim
    kv_heads = (window and model.window_kv_heads) or model.kv_heads
    v_head_dim = model.v_head_dim or head_dim
    if model.is_mla:
        head_dim = model.qk_nope_head_dim + model.qk_rope_head_dim
        v_head_dim = model.v_head_dim or model.qk_nope_head_dim
    latent = norms = 0
    query_from = hidden
    if model.q_lora_rank:
        query_from = model.q_lora_rank
        latent += hidden * model.q_lora_rank
        norms += model.q_lora_rank
    query = query_output_parameters(query_from, heads, head_dim, 0)
    output = query_output_parameters(hidden, heads, 0, v_head_dim)
    if model.output_lora_rank:
        output = (heads * v_head_dim + model.output_groups * hidden) * model.output_lora_rank
    gate = hidden * heads * v_head_dim if model.gated_attention else 0
    if model.is_mla:
        latent += hidden * (model.kv_lora_rank + model.qk_rope_head_dim)
        norms += model.kv_lora_rank
        key_value = 0
        expand = model.kv_lora_rank * heads * (model.qk_nope_head_dim + v_head_dim)
        bias = model.q_lora_rank + model.kv_lora_rank + model.qk_rope_head_dim
    else:
        value_width = 0 if model.value_is_key and not window else v_head_dim
        key_value = key_value_parameters(hidden, kv_heads, head_dim, value_width)
        expand = 0
        bias = heads * head_dim + kv_heads * (head_dim + value_width)
    if model.index_heads and not window:
        latent += (model.q_lora_rank or hidden) * model.index_heads * model.index_head_dim
        latent += hidden * (model.index_head_dim + model.index_heads)
        norms += 2 * model.index_head_dim
    return {
        "attention": query + gate + key_value + expand + output,
        "key_value": key_value,
        "latent": latent,
        "norms": norms + (2 * head_dim if model.qk_norm else 0),
        "biases": (bias if model.qkv_bias else 0) + (hidden if model.output_bias else 0),
    }


def _linear_mixer(model: Model) -> int:
    hidden, kernel = model.hidden, model.linear_conv_kernel
    heads, value_dim = model.linear_value_heads, model.linear_value_head_dim
    key_dim = model.linear_key_head_dim
    inner = heads * value_dim
    keys = model.linear_key_heads * key_dim
    if model.linear_kind == "gated-deltanet":
        projections = hidden * (2 * keys + 2 * inner + 2 * heads) + inner * hidden
        return projections + kernel * (2 * keys + inner) + 2 * heads + value_dim
    if model.linear_kind == "mamba2":
        projections = hidden * (2 * inner + 2 * keys + heads) + inner * hidden
        return projections + (kernel + 1) * (inner + 2 * keys) + 3 * heads + inner
    if model.linear_kind == "mamba1":
        rank, state = model.linear_key_heads, key_dim
        projections = 3 * hidden * inner + inner * (rank + 2 * state) + rank * inner
        return projections + inner * (kernel + 1) + inner * (state + 2) + rank + 2 * state
    return 5 * hidden * inner + inner


@lru_cache(maxsize=_CACHE)
def layer_parameters(model: Model, kind: LayerKind) -> LayerParameters:
    """Parameters of one layer of that kind.

    Parameters
    ----------
    model
        The shape.
    kind
        Mixer and feed-forward network of the layer.

    Returns
    -------
    LayerParameters
        Counts by how they are sharded.

    References
    ----------
    vaswani-2017, ainslie-2023, deepseek-2024-v2, fedus-2022, dao-2024-mamba2, yang-2024-gdn

    Examples
    --------
    >>> model = Model(id="m", layers=80, hidden=8192, heads=64, kv_heads=8, head_dim=128, vocab=32000,
    ...               max_context=4096, ffn_hidden=28672)
    >>> layer_parameters(model, model.layer_kinds[0]).total
    855654400
    """
    hidden = model.hidden
    counts: Counter[str] = Counter()
    if kind.mixer in ("full", "window"):
        counts.update(_attention(model, kind.mixer == "window"))
    elif kind.mixer == "linear":
        counts["linear_mixer"] = _linear_mixer(model)
    matrices_up = 2 if model.gated_ffn else 1
    if kind.feed_forward == "dense":
        counts["dense_ffn"] = feed_forward_parameters(hidden, model.ffn_hidden, model.gated_ffn)
        if model.ffn_bias:
            counts["biases"] += matrices_up * model.ffn_hidden + hidden
    elif kind.feed_forward == "moe":
        width = model.moe_hidden or hidden
        expert = feed_forward_parameters(width, model.moe_ffn_hidden, model.gated_ffn)
        if model.ffn_bias:
            expert += matrices_up * model.moe_ffn_hidden + width
            counts["biases"] += model.experts
        shared = model.shared_ffn_hidden or model.shared_experts * model.moe_ffn_hidden
        counts["expert"] = expert
        counts["routed_experts"] = model.experts * expert
        counts["shared_experts"] = feed_forward_parameters(hidden, shared, model.gated_ffn)
        counts["router"] = hidden * model.experts + (2 * hidden * width if model.moe_hidden else 0)
    counts["norms"] += model.norms_per_layer * final_norm_parameters(model)
    return LayerParameters(**counts)


def final_norm_parameters(model: Model) -> int:
    """The norm before the LM head: one vector, or two where it also shifts.

    Parameters
    ----------
    model
        The shape.

    Returns
    -------
    int
        Parameters.

    References
    ----------
    vaswani-2017

    Examples
    --------
    >>> model = Model(id="m", layers=12, hidden=768, heads=12, kv_heads=12, head_dim=64, vocab=50257,
    ...               max_context=1024, ffn_hidden=3072, norm="layernorm")
    >>> final_norm_parameters(model)
    1536
    """
    return model.hidden * (2 if model.norm == "layernorm" else 1)


@lru_cache(maxsize=_CACHE)
def embedding_parameters(model: Model) -> int:
    """Token, learned-position and segment embeddings, with the projection to ``hidden`` where there is one.

    Parameters
    ----------
    model
        The shape.

    Returns
    -------
    int
        Parameters of the input side. A tied LM head is the same matrix and counts here, once.

    References
    ----------
    vaswani-2017

    Examples
    --------
    >>> model = Model(id="m", layers=12, hidden=768, heads=12, kv_heads=12, head_dim=64, vocab=50257,
    ...               max_context=1024, ffn_hidden=3072, gated_ffn=False, position="learned")
    >>> embedding_parameters(model)
    39383808
    """
    positions = model.max_context if model.position == "learned" else 0
    width = model.embedding_hidden or model.hidden
    projection = width * model.hidden if model.embedding_hidden else 0
    return model.vocab * width + projection + (positions + model.type_vocab) * model.hidden


@lru_cache(maxsize=_CACHE)
def head_parameters(model: Model) -> int:
    """LM head: ``hidden x vocab``, 0 when tied to the embedding or when there is none (encoders).

    Parameters
    ----------
    model
        The shape.

    Returns
    -------
    int
        Parameters that the output side adds to the embedding.

    References
    ----------
    vaswani-2017

    Examples
    --------
    >>> model = Model(id="m", layers=80, hidden=8192, heads=64, kv_heads=8, head_dim=128, vocab=32000,
    ...               max_context=4096, ffn_hidden=28672)
    >>> head_parameters(model)
    262144000
    """
    width = model.embedding_hidden or model.hidden
    projection = width * model.hidden if model.embedding_hidden else 0
    return projection + (0 if model.tied_embeddings else model.vocab * width)


@lru_cache(maxsize=_CACHE)
def total_parameters(model: Model) -> int:
    """All parameters: layers, embeddings, head, final norm, and what the shape does not tell.

    Parameters
    ----------
    model
        The shape.

    Returns
    -------
    int
        Parameters, every expert included; tied embeddings count once. Multi-token-prediction modules and
        vision or audio towers are no part of it.

    References
    ----------
    kaplan-2020

    Examples
    --------
    >>> model = Model(id="m", layers=80, hidden=8192, heads=64, kv_heads=8, head_dim=128, vocab=32000,
    ...               max_context=4096, ffn_hidden=28672)
    >>> total_parameters(model)
    68976648192
    """
    kinds = Counter(model.layer_kinds)
    layers = sum(count * layer_parameters(model, kind).total for kind, count in kinds.items())
    ends = embedding_parameters(model) + head_parameters(model) + final_norm_parameters(model)
    return layers + ends + model.other_parameters


@lru_cache(maxsize=_CACHE)
def active_parameters(model: Model) -> int:
    """Parameters that one token passes: all but the routed experts that it is not sent to.

    Embedding and head are included, as DeepSeek, Qwen and Mistral count; OpenAI leaves out the input
    embedding of gpt-oss.

    Parameters
    ----------
    model
        The shape.

    Returns
    -------
    int
        Parameters; equal to `total_parameters` for a dense model.

    References
    ----------
    fedus-2022, deepseek-2024-v3

    Examples
    --------
    >>> model = Model(id="m", layers=32, hidden=4096, heads=32, kv_heads=8, head_dim=128, vocab=32000,
    ...               max_context=32768, ffn_hidden=0, ffn_pattern="m", experts=8, experts_per_token=2,
    ...               moe_ffn_hidden=14336)
    >>> active_parameters(model), total_parameters(model)
    (12879925248, 46702792704)
    """
    idle = model.experts - model.experts_per_token
    return total_parameters(model) - idle * sum(
        layer_parameters(model, kind).expert for kind in model.layer_kinds
    )
