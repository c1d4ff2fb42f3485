"""The shape of a transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from farthing.errors import InvalidInput

Mixer = Literal["full", "window", "linear", "none"]
FeedForward = Literal["dense", "moe", "none"]

MOST_LAYERS = 10_000

LINEAR_KINDS = ("gated-deltanet", "mamba1", "mamba2", "lightning")

_MIXERS: dict[str, Mixer] = {"f": "full", "w": "window", "l": "linear", "n": "none"}
_FEED_FORWARDS: dict[str, FeedForward] = {"d": "dense", "m": "moe", "n": "none"}


@dataclass(frozen=True, slots=True)
class LayerKind:
    """What one layer is made of: a token mixer, then a feed-forward network."""

    mixer: Mixer
    feed_forward: FeedForward


_KINDS = {
    (mixer, feed_forward): LayerKind(_MIXERS[mixer], _FEED_FORWARDS[feed_forward])
    for mixer in _MIXERS
    for feed_forward in _FEED_FORWARDS
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A transformer, by its shape alone.

    Attributes
    ----------
    id, name, family
        Catalogue id, the publisher's name, and the family, e.g. ``llama``.
    layers, hidden, heads, kv_heads, head_dim, vocab, max_context
        The usual sizes. ``kv_heads < heads`` is GQA, 1 is MQA.
    ffn_hidden
        Inner width of a dense feed-forward network; 0 where every layer is MoE.
    gated_ffn
        Three matrices (SwiGLU, GeGLU) and not two.
    v_head_dim
        Width of a value head; 0 means ``head_dim``.
    q_lora_rank, kv_lora_rank, qk_rope_head_dim, qk_nope_head_dim
        Multi-head latent attention (MLA); ``kv_lora_rank`` 0 means none. ``q_lora_rank`` 0 means that the
        query is projected directly, also without MLA.
    output_lora_rank, output_groups
        The output projection goes through so many groups of that rank (DeepSeek-V4); 0 means one matrix.
    kv_compression
        Tokens that one cached entry of a full-attention layer stands for, on average over these layers
        (DeepSeek-V4); 1 means that every token is kept.
    mixer_pattern
        One letter a layer, repeated over the layers: ``f`` full attention, ``w`` sliding-window (or chunked)
        attention, ``l`` linear attention or a state-space layer, ``n`` none. Gemma 3 is ``wwwwwf``.
    ffn_pattern
        The same for the feed-forward network: ``d`` dense, ``m`` mixture of experts, ``n`` none.
    dense_layers
        So many first layers are dense whatever ``ffn_pattern`` says (DeepSeek-V3: 3).
    window
        Tokens that a windowed layer sees.
    window_kv_heads, window_head_dim
        Where windowed layers differ from full ones; 0 means the same.
    value_is_key
        Full-attention layers keep one tensor for keys and values (Gemma 4's large models).
    linear_kind
        ``gated-deltanet``, ``mamba1``, ``mamba2`` or ``lightning``; the fields below are its sizes.
    linear_key_heads, linear_value_heads, linear_key_head_dim, linear_value_head_dim, linear_conv_kernel
        For ``mamba2``: groups, heads, state size, head size, kernel. For ``mamba1``: rank of the time step,
        channels, state size, 1, kernel. The state holds value heads x key size x value size numbers.
    index_heads, index_head_dim, index_topk
        Sparse attention by an indexer (DeepSeek-V3.2): attention reads at most ``index_topk`` tokens.
    gated_attention
        An output gate as wide as the heads (Qwen3-Next, Qwen3.5).
    experts, experts_per_token, moe_ffn_hidden
        Routed experts in an MoE layer.
    moe_hidden
        Width that a routed expert reads and writes where tokens are projected to a latent first
        (Nemotron 3 Super); 0 means ``hidden``.
    shared_experts, shared_ffn_hidden
        Experts that every token passes; ``shared_ffn_hidden`` is the width of all of them together
        (0: ``shared_experts * moe_ffn_hidden``).
    position
        ``rotary``, ``learned`` (adds ``max_context x hidden``), ``alibi``, ``relative`` or ``none``.
    tied_embeddings
        The LM head is the embedding.
    norm
        ``rmsnorm`` (one vector) or ``layernorm`` (two).
    norms_per_layer
        Norms of width ``hidden`` in a layer: 2, or 4 with sandwich norms, 1 with parallel attention.
    qk_norm
        Norms over each head's query and key.
    qkv_bias, output_bias, ffn_bias
        Which projections have a bias.
    parallel_attention
        Attention and feed-forward read the same input (GPT-J, PaLM, Falcon): one all-reduce a layer.
    embedding_hidden
        Width of the embedding where it is projected to ``hidden`` (OPT-350M); 0 means ``hidden``.
    encoder
        Bidirectional, no KV cache, no causal saving (BERT).
    type_vocab
        Segment embeddings (BERT).
    other_parameters
        Parameters that the shape does not tell (pooler, per-layer embeddings), outside the layers.
    native_format
        Number format that the weights are published in; empty means 16 bits.
    published_parameters, published_active_parameters
        What the publisher prints; 0 where it prints nothing.
    source
        Where the shape comes from.
    """

    id: str
    name: str = ""
    family: str = ""
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    max_context: int
    ffn_hidden: int
    gated_ffn: bool = True
    v_head_dim: int = 0
    q_lora_rank: int = 0
    kv_lora_rank: int = 0
    qk_rope_head_dim: int = 0
    qk_nope_head_dim: int = 0
    output_lora_rank: int = 0
    output_groups: int = 0
    kv_compression: float = 1.0
    mixer_pattern: str = "f"
    ffn_pattern: str = "d"
    dense_layers: int = 0
    window: int = 0
    window_kv_heads: int = 0
    window_head_dim: int = 0
    value_is_key: bool = False
    linear_kind: str = ""
    linear_key_heads: int = 0
    linear_value_heads: int = 0
    linear_key_head_dim: int = 0
    linear_value_head_dim: int = 0
    linear_conv_kernel: int = 0
    index_heads: int = 0
    index_head_dim: int = 0
    index_topk: int = 0
    gated_attention: bool = False
    experts: int = 0
    experts_per_token: int = 0
    moe_ffn_hidden: int = 0
    moe_hidden: int = 0
    shared_experts: int = 0
    shared_ffn_hidden: int = 0
    position: str = "rotary"
    tied_embeddings: bool = False
    norm: str = "rmsnorm"
    norms_per_layer: int = 2
    qk_norm: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    ffn_bias: bool = False
    parallel_attention: bool = False
    embedding_hidden: int = 0
    encoder: bool = False
    type_vocab: int = 0
    other_parameters: int = 0
    native_format: str = ""
    published_parameters: float = 0.0
    published_active_parameters: float = 0.0
    source: str = ""

    def __post_init__(self) -> None:
        for field in ("layers", "hidden", "vocab", "max_context"):
            if getattr(self, field) < 1:
                raise InvalidInput(
                    f"model {self.id!r}: {field} must be at least 1, not {getattr(self, field)}"
                )
        if self.layers > MOST_LAYERS:
            raise InvalidInput(
                f"model {self.id!r}: layers must be at most {MOST_LAYERS:,}, not {self.layers}"
            )
        if self.uses("full") or self.uses("window"):
            for field in ("heads", "kv_heads", "head_dim"):
                if getattr(self, field) < 1:
                    raise InvalidInput(
                        f"model {self.id!r}: {field} must be at least 1, not {getattr(self, field)}"
                    )
            if self.heads % self.kv_heads:
                raise InvalidInput(
                    f"model {self.id!r}: kv_heads ({self.kv_heads}) must divide heads ({self.heads})"
                )
        if self.uses("window") and self.window < 1:
            raise InvalidInput(f"model {self.id!r}: windowed layers need window, the tokens that they see")
        if self.uses("linear") and self.linear_kind not in LINEAR_KINDS:
            raise InvalidInput(
                f"model {self.id!r}: linear layers need linear_kind, one of {', '.join(LINEAR_KINDS)}"
            )
        if not self.mixer_pattern or not self.ffn_pattern or self.dense_layers < 0:
            raise InvalidInput(f"model {self.id!r}: mixer_pattern and ffn_pattern need at least one letter")
        feed_forwards = {kind.feed_forward for kind in self.layer_kinds}
        if "moe" in feed_forwards:
            if not 0 < self.experts_per_token <= self.experts:
                raise InvalidInput(
                    f"model {self.id!r}: experts_per_token ({self.experts_per_token}) must be in 1..experts "
                    f"({self.experts})"
                )
            if self.moe_ffn_hidden < 1:
                raise InvalidInput(
                    f"model {self.id!r}: MoE layers need moe_ffn_hidden, the width of an expert"
                )
        if "dense" in feed_forwards and self.ffn_hidden < 1:
            raise InvalidInput(f"model {self.id!r}: dense layers need ffn_hidden")

    @property
    def layer_kinds(self) -> tuple[LayerKind, ...]:
        """The kind of each layer, first to last."""
        repeats = self.layers // min(len(self.mixer_pattern), len(self.ffn_pattern)) + 1
        mixers = (self.mixer_pattern * repeats)[: self.layers]
        feed_forwards = (self.ffn_pattern * repeats)[: self.layers]
        feed_forwards = ("d" * self.dense_layers + feed_forwards[self.dense_layers :])[: self.layers]
        try:
            return tuple([_KINDS[pair] for pair in zip(mixers, feed_forwards, strict=True)])
        except KeyError:
            raise InvalidInput(
                f"model {self.id!r}: a mixer_pattern is made of f, w, l, n and an ffn_pattern of d, m, n"
            ) from None

    def uses(self, mixer: Mixer) -> bool:
        """Whether any layer has this token mixer."""
        letter = {name: key for key, name in _MIXERS.items()}[mixer]
        return letter in self.mixer_pattern[: self.layers]

    @property
    def attention(self) -> str:
        """How it attends, in a word or two; SWA is a sliding window.

        Examples
        --------
        >>> from farthing.catalog import model
        >>> [model(id).attention for id in ("llama-2-70b", "llama-2-7b", "deepseek-v3")]
        ['GQA 64:8', 'MHA', 'MLA']
        """
        if self.is_mla:
            word = "MLA"
        elif not self.heads:
            word = "none"
        elif self.kv_heads == self.heads:
            word = "MHA"
        else:
            word = "MQA" if self.kv_heads == 1 else f"GQA {self.heads}:{self.kv_heads}"
        windows = ["SWA"] if self.uses("window") else []
        return " ".join([word, *windows, *(["linear"] if self.uses("linear") else [])])

    @property
    def is_moe(self) -> bool:
        """Whether any layer is a mixture of experts."""
        return "m" in self.ffn_pattern and self.experts > 0

    @property
    def is_state_space(self) -> bool:
        """Whether its linear layers are state-space models (Mamba)."""
        return self.linear_kind.startswith("mamba")

    @property
    def is_mla(self) -> bool:
        """Whether attention keeps a latent and not keys and values."""
        return self.kv_lora_rank > 0
