"""The models that torchtitan brings, and others that its LLaMA layers can form."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.records.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Where torchtitan has a model.

    Attributes
    ----------
    family, flavor
        The package under ``torchtitan.models``, and the name in its registry.
    own
        Lines of Python that put the flavor there; empty where torchtitan brings it.
    notes
        What the shape leaves open.
    """

    family: str
    flavor: str
    own: str = ""
    notes: tuple[str, ...] = ()


# Layers, hidden, heads, key-value heads, vocabulary, experts.
_BROUGHT = {
    (16, 2048, 32, 8, 128256, 0): ("llama3", "1B"),
    (28, 3072, 24, 8, 128256, 0): ("llama3", "3B"),
    (32, 4096, 32, 8, 128256, 0): ("llama3", "8B"),
    (80, 8192, 64, 8, 128256, 0): ("llama3", "70B"),
    (126, 16384, 128, 8, 128256, 0): ("llama3", "405B"),
    (28, 1024, 16, 8, 151936, 0): ("qwen3", "0.6B"),
    (28, 2048, 16, 8, 151936, 0): ("qwen3", "1.7B"),
    (40, 5120, 40, 8, 151936, 0): ("qwen3", "14B"),
    (64, 5120, 64, 8, 151936, 0): ("qwen3", "32B"),
    (48, 2048, 32, 4, 151936, 128): ("qwen3", "30B-A3B"),
    (61, 7168, 128, 128, 129280, 256): ("deepseek_v3", "671B"),
    (24, 2880, 64, 8, 201088, 32): ("gpt_oss", "20b"),
    (36, 2880, 64, 8, 201088, 128): ("gpt_oss", "120b"),
}

_OWN = """\
def shape(attn_backend, tp_gemm_backend="default"):
    dim, heads, vocab = {hidden}, {heads}, {vocab}
    return llama3.Llama3Model.Config(
        dim=dim,
        vocab_size=vocab,
        enable_weight_tying={tied},
        tok_embeddings=llama3.Embedding.Config(
            num_embeddings=vocab, embedding_dim=dim, param_init=llama3.{embedding_init}
        ),
        norm=llama3.RMSNorm.Config(normalized_shape=dim, param_init=llama3._NORM_INIT),
        lm_head=llama3.Linear.Config(
            in_features=dim, out_features=vocab, param_init=llama3._output_linear_init(dim)
        ),
        layers=llama3._build_llama3_layers(
            n_layers={layers},
            dim=dim,
            n_heads=heads,
            n_kv_heads={kv_heads},
            hidden_dim={ffn_hidden},
            rope=llama3.ComplexRoPE.Config(dim=dim // heads, max_seq_len={max_context}, theta=10000),
            attn_backend=attn_backend,
            tp_gemm_backend=tp_gemm_backend,
        ),
    )


llama3.llama3_configs["{id}"] = shape
"""


def find_shape(model: Model) -> Shape | None:
    """The model in torchtitan's words; None where its layers cannot form it.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> find_shape(model("llama-3.1-8b")).flavor, find_shape(model("llama-2-7b")).flavor
    ('8B', 'llama-2-7b')
    >>> find_shape(model("bloom-176b")) is None
    True
    """
    key = (model.layers, model.hidden, model.heads, model.kv_heads, model.vocab, model.experts)
    if key in _BROUGHT:
        family, flavor = _BROUGHT[key]
        return Shape(family=family, flavor=flavor)
    if not _is_llama(model):
        return None
    own = _OWN.format(
        hidden=model.hidden,
        heads=model.heads,
        vocab=model.vocab,
        tied=model.tied_embeddings,
        embedding_init="_EMBEDDING_SKIP_INIT" if model.tied_embeddings else "_EMBEDDING_INIT",
        layers=model.layers,
        kv_heads=model.kv_heads,
        ffn_hidden=model.ffn_hidden,
        max_context=model.max_context,
        id=model.id,
    )
    note = (
        "Base and scaling of the rotary positions are not in farthing's shape: theta in the module sets them."
    )
    return Shape(family="llama3", flavor=model.id, own=own, notes=(note,))


def _is_llama(model: Model) -> bool:
    """Whether LLaMA 3's layers form it: what torchtitan's other families add is not among the shapes."""
    biased = model.qkv_bias or model.output_bias or model.ffn_bias
    odd = model.is_mla or model.is_moe or model.qk_norm or model.gated_attention or model.parallel_attention
    plain = set(model.mixer_pattern) == {"f"} and set(model.ffn_pattern) == {"d"} and not model.encoder
    return (
        plain
        and not (biased or odd or model.embedding_hidden)
        and model.gated_ffn
        and model.position == "rotary"
        and model.norm == "rmsnorm"
        and model.norms_per_layer == 2
        and model.head_dim * model.heads == model.hidden
        and model.v_head_dim in (0, model.head_dim)
    )
