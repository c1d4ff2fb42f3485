"""What attention keeps of the tokens before: keys and values, latents, windows, recurrent state."""

from __future__ import annotations

from collections import Counter

from farthing.predict.trace import Number, formula, larger, smaller
from farthing.records.model import LayerKind, Model


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
    return layer_kv_bytes_per_token(larger(kv_heads / tp, 1.0), qk_dim, v_dim, bytes_per_element)


def kept_tokens(model: Model, kind: LayerKind, context_tokens: Number, *, spare_tokens: Number = 0) -> Number:
    """Entries of a sequence that a layer's cache holds: a window forgets, compression merges.

    Parameters
    ----------
    model, kind
        The model, and which of its layer kinds.
    context_tokens
        Scalar or column.
    spare_tokens
        Entries beyond the window that an engine's cache has.

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
        return smaller(context_tokens, model.window + spare_tokens)
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


def prompt_cache_bytes(model: Model, tokens: Number, *, bytes_per_element: Number = 2.0) -> Number:
    """All that reading a prompt leaves in the cache, over all cards: what one worker hands to another.

    Parameters
    ----------
    model
        The model.
    tokens
        Of the prompt, scalar or column.
    bytes_per_element
        Of keys and values [byte].

    Returns
    -------
    Number
        [byte]

    References
    ----------
    zhong-2024-distserve

    Examples
    --------
    >>> from farthing.catalog import model
    >>> prompt_cache_bytes(model("llama-2-70b"), 1024) / 2**20
    320.0
    """
    total: Number = 0.0
    for kind, count in Counter(model.layer_kinds).items():
        each = kv_bytes_per_token(model, kind, bytes_per_element=bytes_per_element, tp=1)
        total = total + count * (kept_tokens(model, kind, tokens) * each + state_bytes(model, kind))
    return total
