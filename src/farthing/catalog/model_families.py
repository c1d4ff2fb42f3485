"""What the fields of a Hugging Face configuration mean, family by family.

A configuration names a ``model_type``; each type that is understood has a reader here, which also knows what
the implementation adds without saying so (biases, norms, gates of shared experts).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from farthing.errors import InvalidInput

Fields = dict[str, Any]

ADVICE: Final = "describe the shape in a TOML file instead"
_LARGEST: Final = 10**9


class Config:
    """A configuration whose fields are checked as they are read."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values = values
        self.where = where

    def has(self, key: str) -> bool:
        return self.values.get(key) is not None

    def fail(self, key: str, problem: str) -> InvalidInput:
        return InvalidInput(f"{self.where}: {key} {problem}; {ADVICE}")

    def integer(self, *keys: str, default: int | None = None, least: int = 0) -> int:
        """The first of the keys that is there."""
        for key in keys:
            value = self.values.get(key)
            if value is None:
                continue
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if isinstance(value, bool) or not isinstance(value, int):
                raise self.fail(key, f"must be a whole number, not {value!r}")
            if not least <= value <= _LARGEST:
                raise self.fail(key, f"must be {least} to {_LARGEST:.0e}, not {value}")
            return value
        if default is None:
            raise self.fail(" or ".join(keys), "is missing")
        return default

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.fail(key, f"must be true or false, not {value!r}")
        return value

    def part(self, key: str) -> Config:
        value = self.values.get(key)
        if value is not None and not isinstance(value, Mapping):
            raise self.fail(key, f"must be an object, not {value!r}")
        return Config(value or {}, f"{self.where}, {key}")

    def letters(self, key: str, letters: Mapping[Any, str], layers: int) -> str:
        """A list with one entry a layer, as a pattern; empty when the key is missing."""
        value = self.values.get(key)
        if value is None:
            return ""
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) < layers:
            raise self.fail(key, f"must list one entry for each of {layers} layers, not {value!r}")
        unknown = [entry for entry in value if not isinstance(entry, str | int) or entry not in letters]
        if unknown:
            raise self.fail(key, f"holds {unknown[0]!r}; understood: {', '.join(map(str, letters))}")
        return shortest_period("".join(letters[entry] for entry in value[:layers]))


def shortest_period(pattern: str) -> str:
    """The shortest start of a pattern that gives it when repeated.

    Examples
    --------
    >>> shortest_period("wwfwwfww"), shortest_period("ffff"), shortest_period("fw")
    ('wwf', 'f', 'fw')
    """
    for length in range(1, len(pattern)):
        if (pattern[:length] * (len(pattern) // length + 1))[: len(pattern)] == pattern:
            return pattern[:length]
    return pattern


_ATTENTION_LETTERS: Final = {
    "full_attention": "f",
    "sliding_attention": "w",
    "chunked_attention": "w",
    "linear_attention": "l",
}


def _shape(config: Config, *, tied: bool, ffn: bool = True, head_dim: int = 0) -> Fields:
    """The fields that nearly every configuration has."""
    hidden = config.integer("hidden_size", "n_embd", "d_model", least=1)
    heads = config.integer("num_attention_heads", "n_head", "n_heads", least=1)
    head_dim = head_dim or config.integer("head_dim", "kv_channels", "attention_head_dim", default=0)
    if not head_dim:
        if hidden % heads:
            raise config.fail("hidden_size", f"({hidden}) must be a multiple of the heads ({heads})")
        head_dim = hidden // heads
    fields: Fields = {
        "layers": config.integer("num_hidden_layers", "n_layer", "n_layers", "num_layers", least=1),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": config.integer("num_key_value_heads", "num_kv_heads", default=heads, least=1),
        "head_dim": head_dim,
        "vocab": config.integer("padded_vocab_size", "vocab_size", least=1),
        "max_context": config.integer(
            "max_position_embeddings",
            "n_positions",
            "max_seq_len",
            "seq_length",
            "n_ctx",
            default=2048,
            least=1,
        ),
        "ffn_hidden": config.integer("intermediate_size", "ffn_hidden_size", least=1) if ffn else 0,
        "tied_embeddings": config.flag("tie_word_embeddings", tied),
    }
    return fields


def _biased(fields: Fields) -> Fields:
    return fields | {"norm": "layernorm", "qkv_bias": True, "output_bias": True, "ffn_bias": True}


def _window(config: Config, fields: Fields, pattern: str = "w") -> Fields:
    """Windowed layers, where ``layer_types`` or the family's pattern says so."""
    pattern = config.letters("layer_types", _ATTENTION_LETTERS, fields["layers"]) or pattern
    window = config.integer("sliding_window", "attention_chunk_size", default=0)
    if "w" in pattern and window:
        return fields | {"mixer_pattern": pattern, "window": window}
    return fields | {"mixer_pattern": pattern.replace("w", "f")}


def _llama(config: Config) -> Fields:
    fields = _shape(config, tied=False)
    bias = config.flag("attention_bias") or config.flag("bias")
    return fields | {"qkv_bias": bias, "output_bias": bias, "ffn_bias": config.flag("mlp_bias")}


def _mistral(config: Config) -> Fields:
    return _window(config, _shape(config, tied=False))


def _mixtral(config: Config) -> Fields:
    fields = _mistral(config)
    return fields | _experts(config, width=fields["ffn_hidden"]) | {"ffn_hidden": 0}


def _experts(config: Config, width: int = 0) -> Fields:
    routed = ("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts")
    chosen = ("num_experts_per_tok", "num_experts_per_token", "top_k_experts", "moe_top_k", "moe_topk")
    return {
        "ffn_pattern": "m",
        "experts": config.integer(*routed, least=1),
        "experts_per_token": config.integer(*chosen, least=1),
        "moe_ffn_hidden": width or config.integer("moe_intermediate_size", least=1),
    }


def _qwen(config: Config) -> Fields:
    fields = _shape(config, tied=False)
    return fields | {"ffn_hidden": fields["ffn_hidden"] // 2, "qkv_bias": not config.flag("attn_no_bias")}


def _qwen2(config: Config) -> Fields:
    fields = _shape(config, tied=False) | {"qkv_bias": True}
    if not config.flag("use_sliding_window"):
        return fields
    full_first = config.integer("max_window_layers", default=fields["layers"])
    pattern = "f" * min(full_first, fields["layers"]) + "w" * max(0, fields["layers"] - full_first)
    return _window(config, fields, pattern)


def _qwen_sparse(config: Config, fields: Fields) -> Fields:
    """Which layers of a Qwen are MoE, and its shared expert with a gate of one vector a layer."""
    layers = fields["layers"]
    only_dense = config.values.get("mlp_only_layers") or []
    step = config.integer("decoder_sparse_step", default=1, least=1)
    pattern = "".join("d" if i in only_dense or (i + 1) % step else "m" for i in range(layers))
    shared = config.integer("shared_expert_intermediate_size", default=0)
    return (
        fields
        | _experts(config)
        | {
            "ffn_pattern": shortest_period(pattern),
            "shared_experts": 1 if shared else 0,
            "shared_ffn_hidden": shared,
            "other_parameters": pattern.count("m") * fields["hidden"] if shared else 0,
            "ffn_hidden": fields["ffn_hidden"] if "d" in pattern else 0,
        }
    )


def _qwen2_moe(config: Config) -> Fields:
    return _qwen_sparse(config, _qwen2(config))


def _qwen3(config: Config) -> Fields:
    return _llama(config) | {"qk_norm": True}


def _qwen3_moe(config: Config) -> Fields:
    return _qwen_sparse(config, _qwen3(config))


def _qwen3_next(config: Config) -> Fields:
    sparse = config.has("num_experts")
    fields = _shape(config, tied=False, ffn=config.has("intermediate_size")) | {"qk_norm": True}
    if sparse:
        fields = _qwen_sparse(config, fields)
    interval = config.integer("full_attention_interval", default=4, least=1)
    pattern = config.letters("layer_types", _ATTENTION_LETTERS, fields["layers"])
    return fields | {
        "mixer_pattern": pattern or "l" * (interval - 1) + "f",
        "gated_attention": config.flag("attn_output_gate", True),
        "linear_kind": "gated-deltanet",
        "linear_key_heads": config.integer("linear_num_key_heads", least=1),
        "linear_value_heads": config.integer("linear_num_value_heads", least=1),
        "linear_key_head_dim": config.integer("linear_key_head_dim", least=1),
        "linear_value_head_dim": config.integer("linear_value_head_dim", least=1),
        "linear_conv_kernel": config.integer("linear_conv_kernel_dim", least=1),
    }


def _gemma(config: Config) -> Fields:
    return _shape(config, tied=True)


def _gemma2(config: Config) -> Fields:
    return _window(config, _gemma(config) | {"norms_per_layer": 4}, "wf")


def _gemma3(config: Config) -> Fields:
    period = config.integer("sliding_window_pattern", "_sliding_window_pattern", default=6, least=1)
    fields = _gemma(config) | {"norms_per_layer": 4, "qk_norm": True}
    return _window(config, fields, "w" * (period - 1) + "f")


def _gemma4(config: Config) -> Fields:
    if config.integer("hidden_size_per_layer_input", default=0):
        raise config.fail("hidden_size_per_layer_input", "(embeddings in every layer) is not understood")
    fields = _gemma3(config)
    shared = config.flag("attention_k_eq_v")
    full_heads = config.integer("num_global_key_value_heads", default=fields["kv_heads"], least=1)
    fields |= {
        "window_head_dim": fields["head_dim"],
        "window_kv_heads": fields["kv_heads"],
        "head_dim": config.integer("global_head_dim", default=512, least=1),
        "kv_heads": full_heads if shared else fields["kv_heads"],
        "value_is_key": shared,
    }
    if not config.flag("enable_moe_block"):
        return fields
    experts = _experts(config)
    per_layer = fields["hidden"] + experts["experts"]  # the router's scales
    shared_width = {"shared_experts": 1, "shared_ffn_hidden": fields["ffn_hidden"], "ffn_hidden": 0}
    more = {"norms_per_layer": 7, "other_parameters": fields["layers"] * per_layer}
    return fields | experts | shared_width | more


def _phi(config: Config) -> Fields:
    fields = _biased(_shape(config, tied=False)) | {"gated_ffn": False, "parallel_attention": True}
    return fields | {"norms_per_layer": 1, "other_parameters": fields["vocab"]}  # the LM head has a bias


def _phi3(config: Config) -> Fields:
    return _window(config, _shape(config, tied=False))


def _gpt2(config: Config) -> Fields:
    fields = _biased(_shape(config, tied=True, ffn=False)) | {"gated_ffn": False, "position": "learned"}
    if config.flag("multi_query"):
        fields["kv_heads"] = 1
    return fields | {"ffn_hidden": config.integer("n_inner", default=4 * fields["hidden"], least=1)}


def _gptj(config: Config) -> Fields:
    fields = _shape(config, tied=False, ffn=False) | {"norm": "layernorm", "ffn_bias": True}
    return fields | {
        "ffn_hidden": config.integer("n_inner", default=4 * fields["hidden"], least=1),
        "gated_ffn": False,
        "parallel_attention": True,
        "norms_per_layer": 1,
        "other_parameters": fields["vocab"],
    }


def _gpt_neox(config: Config) -> Fields:
    bias = config.flag("attention_bias", True)
    fields = _biased(_shape(config, tied=False)) | {"qkv_bias": bias, "output_bias": bias}
    return fields | {"gated_ffn": False, "parallel_attention": config.flag("use_parallel_residual", True)}


def _opt(config: Config) -> Fields:
    fields = _biased(_shape(config, tied=True, ffn=False))
    width = config.integer("word_embed_proj_dim", default=fields["hidden"], least=1)
    extra = 2 * fields["hidden"]  # two positions that are never used
    if not config.flag("do_layer_norm_before", True):
        extra -= 2 * fields["hidden"]  # no final norm
    return fields | {
        "ffn_hidden": config.integer("ffn_dim", least=1),
        "gated_ffn": False,
        "position": "learned",
        "embedding_hidden": width if width != fields["hidden"] else 0,
        "other_parameters": extra,
    }


def _bloom(config: Config) -> Fields:
    fields = _biased(_shape(config, tied=True, ffn=False))
    return fields | {
        "ffn_hidden": config.integer("n_inner", default=4 * fields["hidden"], least=1),
        "gated_ffn": False,
        "position": "alibi",
        "other_parameters": 2 * fields["hidden"],  # norm of the embedding
    }


def _falcon(config: Config) -> Fields:
    fields = _shape(config, tied=True, ffn=False)
    newer, parallel = config.flag("new_decoder_architecture"), config.flag("parallel_attn", True)
    if not newer:
        fields["kv_heads"] = 1 if config.flag("multi_query", True) else fields["heads"]
    bias = config.flag("bias")
    norms = config.integer("num_ln_in_parallel_attn", default=2 if newer else 1) if parallel else 2
    return fields | {
        "ffn_hidden": config.integer("ffn_hidden_size", default=4 * fields["hidden"], least=1),
        "gated_ffn": False,
        "norm": "layernorm",
        "parallel_attention": parallel,
        "norms_per_layer": norms,
        "qkv_bias": bias,
        "output_bias": bias,
        "ffn_bias": bias,
        "position": "alibi" if config.flag("alibi") else "rotary",
    }


def _mpt(config: Config) -> Fields:
    fields = _shape(config, tied=True, ffn=False)
    attention = config.part("attn_config")
    fields["kv_heads"] = attention.integer("kv_n_heads", default=fields["heads"], least=1)
    bias = not config.flag("no_bias", True)
    return fields | {
        "ffn_hidden": config.integer("expansion_ratio", default=4, least=1) * fields["hidden"],
        "gated_ffn": False,
        "norm": "layernorm" if bias else "rmsnorm",  # a layer norm without bias is one vector too
        "qkv_bias": bias,
        "output_bias": bias,
        "ffn_bias": bias,
        "position": "alibi" if attention.flag("alibi", True) else "learned",
    }


def _bert(config: Config) -> Fields:
    fields = _biased(_shape(config, tied=True))
    return fields | {
        "gated_ffn": False,
        "position": "learned",
        "encoder": True,
        "type_vocab": config.integer("type_vocab_size", default=2),
        "other_parameters": fields["hidden"] * (fields["hidden"] + 1),  # pooler
    }


def _shared_experts(config: Config) -> Fields:
    return {"shared_experts": config.integer("n_shared_experts", "num_shared_experts", default=0)}


def _first_dense(config: Config, fields: Fields) -> Fields:
    """MoE after the first dense layers; each MoE layer has a bias that balances the experts."""
    dense = config.integer("first_k_dense_replace", default=0)
    kinds = config.letters("mlp_layer_types", {"dense": "d", "sparse": "m"}, fields["layers"])
    if kinds:
        dense = len(kinds) - len(kinds.lstrip("d")) if "m" in kinds else fields["layers"]
    balanced = config.values.get("topk_method") != "greedy" and config.values.get("scoring_func") != "softmax"
    experts = _experts(config)
    bias = (fields["layers"] - dense) * experts["experts"] if balanced else 0
    more = {
        "dense_layers": dense,
        "other_parameters": bias,
        "ffn_hidden": fields["ffn_hidden"] if dense else 0,
    }
    return fields | experts | _shared_experts(config) | more


def _deepseek(config: Config) -> Fields:
    nope = config.integer("qk_nope_head_dim", least=1)
    rope = config.integer("qk_rope_head_dim", least=1)
    fields = _shape(config, tied=False, head_dim=nope + rope)
    bias = config.flag("attention_bias")
    fields |= {
        "kv_heads": fields["heads"],
        "v_head_dim": config.integer("v_head_dim", least=1),
        "q_lora_rank": config.integer("q_lora_rank", default=0),
        "kv_lora_rank": config.integer("kv_lora_rank", least=1),
        "qk_nope_head_dim": nope,
        "qk_rope_head_dim": rope,
        "index_heads": config.integer("index_n_heads", default=0),
        "index_head_dim": config.integer("index_head_dim", default=0),
        "index_topk": config.integer("index_topk", default=0),
        "qkv_bias": bias,
        "output_bias": bias,
    }
    return _first_dense(config, fields) if config.has("n_routed_experts") else fields


def _glm(config: Config) -> Fields:
    return _shape(config, tied=False) | {"qkv_bias": config.flag("attention_bias")}


def _glm4(config: Config) -> Fields:
    return _glm(config) | {"norms_per_layer": 4}


def _glm4_moe(config: Config) -> Fields:
    return _first_dense(config, _glm(config) | {"qk_norm": config.flag("use_qk_norm")})


def _chatglm(config: Config) -> Fields:
    fields = _shape(config, tied=False)
    if config.flag("multi_query_attention"):
        fields["kv_heads"] = config.integer("multi_query_group_num", least=1)
    return fields | {"qkv_bias": config.flag("add_qkv_bias")}


def _gpt_oss(config: Config) -> Fields:
    fields = _window(config, _llama(config), "wf")
    more = {
        "ffn_hidden": 0,
        "ffn_bias": True,
        "other_parameters": fields["layers"] * fields["heads"],
    }  # sinks
    return fields | _experts(config, width=fields["ffn_hidden"]) | more


def _llama4(config: Config) -> Fields:
    fields = _window(config, _shape(config, tied=False), "wwwf")
    step = config.integer("interleave_moe_layer_step", default=1, least=1)
    experts = _experts(config, width=fields["ffn_hidden"])
    dense = config.integer("intermediate_size_mlp", least=1) if step > 1 else 0
    return (
        fields | experts | {"ffn_pattern": "d" * (step - 1) + "m", "shared_experts": 1, "ffn_hidden": dense}
    )


def _cohere(config: Config) -> Fields:
    fields = _shape(config, tied=True)
    width = (fields["heads"] + fields["kv_heads"]) * fields["head_dim"]
    bias = config.flag("attention_bias")
    return fields | {
        "parallel_attention": True,
        "norms_per_layer": 1,
        "qkv_bias": bias,
        "output_bias": bias,
        "other_parameters": fields["layers"] * width if config.flag("use_qk_norm") else 0,
    }


def _cohere2(config: Config) -> Fields:
    period = config.integer("sliding_window_pattern", "_sliding_window_pattern", default=4, least=1)
    return _window(config, _cohere(config), "w" * (period - 1) + "f")


def _starcoder2(config: Config) -> Fields:
    bias = config.flag("use_bias", True)
    fields = _shape(config, tied=True) | {"norm": "layernorm", "gated_ffn": False}
    return _window(config, fields | {"qkv_bias": bias, "output_bias": bias, "ffn_bias": bias})


def _stablelm(config: Config) -> Fields:
    if config.flag("qk_layernorm"):
        raise config.fail("qk_layernorm", "is not understood")
    parallel = config.flag("use_parallel_residual")
    return _shape(config, tied=False) | {
        "norm": "layernorm",
        "qkv_bias": config.flag("use_qkv_bias"),
        "parallel_attention": parallel,
        "norms_per_layer": 1 if parallel else 2,
    }


def _olmo2(config: Config) -> Fields:
    fields = _llama(config)
    width = (fields["heads"] + fields["kv_heads"]) * fields["head_dim"]  # norms over all heads at once
    return _window(config, fields | {"other_parameters": fields["layers"] * width}, "wwwf")


def _dbrx(config: Config) -> Fields:
    fields = _shape(config, tied=False, ffn=False)
    attention, ffn = config.part("attn_config"), config.part("ffn_config")
    fields["kv_heads"] = attention.integer("kv_n_heads", default=fields["heads"], least=1)
    return fields | _experts(ffn, width=ffn.integer("ffn_hidden_size", least=1))


def _minimax_m2(config: Config) -> Fields:
    fields = _shape(config, tied=False)
    extra = (fields["heads"] + fields["kv_heads"]) * fields["head_dim"] if config.flag("use_qk_norm") else 0
    experts = _experts(config, width=fields["ffn_hidden"])
    extra += experts["experts"] if config.flag("use_routing_bias", True) else 0
    return fields | experts | {"ffn_hidden": 0, "other_parameters": fields["layers"] * extra}


def _jamba(config: Config) -> Fields:
    fields = _shape(config, tied=False)
    hidden, layers = fields["hidden"], fields["layers"]
    attention = config.integer("attn_layer_period", default=8, least=1)
    attention_offset = config.integer("attn_layer_offset", default=4)
    sparse = config.integer("expert_layer_period", default=2, least=1)
    sparse_offset = config.integer("expert_layer_offset", default=1)
    rank = config.integer("mamba_dt_rank", default=-(-hidden // 16), least=1)
    mixers = "".join("f" if i % attention == attention_offset else "l" for i in range(layers))
    feed_forwards = "".join("m" if i % sparse == sparse_offset else "d" for i in range(layers))
    fields |= _experts(config, width=fields["ffn_hidden"]) if config.integer("num_experts") > 1 else {}
    return fields | {
        "mixer_pattern": shortest_period(mixers),
        "ffn_pattern": shortest_period(feed_forwards) if "experts" in fields else "d",
        "position": "none",
        "linear_kind": "mamba1",
        "linear_key_heads": rank,
        "linear_value_heads": config.integer("mamba_expand", default=2, least=1) * hidden,
        "linear_key_head_dim": config.integer("mamba_d_state", default=16, least=1),
        "linear_value_head_dim": 1,
        "linear_conv_kernel": config.integer("mamba_d_conv", default=4, least=1),
    }


def _nemotron(config: Config) -> Fields:
    return _shape(config, tied=False) | {"norm": "layernorm", "gated_ffn": False}


_NEMOTRON_BLOCKS: Final = {
    "M": "ln",
    "*": "fn",
    "E": "nm",
    "-": "nd",
    "mamba": "ln",
    "attention": "fn",
    "moe": "nm",
    "mlp": "nd",
}


def _nemotron_h(config: Config) -> Fields:
    blocks = config.values.get("layers_block_type") or config.values.get("hybrid_override_pattern")
    if not isinstance(blocks, str | list) or any(block not in _NEMOTRON_BLOCKS for block in blocks):
        raise config.fail("hybrid_override_pattern", "must be made of M, E, * and -")
    fields = _shape(Config({**config.values, "num_hidden_layers": len(blocks)}, config.where), tied=False)
    kinds = [_NEMOTRON_BLOCKS[block] for block in blocks]
    fields |= {
        "mixer_pattern": "".join(kind[0] for kind in kinds),
        "ffn_pattern": "".join(kind[1] for kind in kinds),
        "norms_per_layer": 1,
        "gated_ffn": False,
        "position": "none",
        "linear_kind": "mamba2",
        "linear_key_heads": config.integer("n_groups", least=1),
        "linear_value_heads": config.integer("mamba_num_heads", least=1),
        "linear_key_head_dim": config.integer("ssm_state_size", least=1),
        "linear_value_head_dim": config.integer("mamba_head_dim", least=1),
        "linear_conv_kernel": config.integer("conv_kernel", least=1),
    }
    if "m" not in fields["ffn_pattern"]:
        return fields
    experts = _experts(config) | {"ffn_pattern": fields["ffn_pattern"]} | _shared_experts(config)
    return (
        fields
        | experts
        | {
            "ffn_hidden": fields["ffn_hidden"] if "d" in fields["ffn_pattern"] else 0,
            "shared_ffn_hidden": config.integer("moe_shared_expert_intermediate_size", default=0),
            "moe_hidden": config.integer("moe_latent_size", default=0),
            "other_parameters": fields["ffn_pattern"].count("m") * experts["experts"],
        }
    )


FAMILIES: Final[dict[str, Callable[[Config], Fields]]] = {
    "llama": _llama,
    "mistral": _mistral,
    "ministral": _mistral,
    "ministral3": _mistral,
    "mixtral": _mixtral,
    "qwen": _qwen,
    "qwen2": _qwen2,
    "qwen2_moe": _qwen2_moe,
    "qwen3": _qwen3,
    "qwen3_vl_text": _qwen3,
    "qwen3_moe": _qwen3_moe,
    "qwen3_vl_moe_text": _qwen3_moe,
    "qwen3_next": _qwen3_next,
    "qwen3_5": _qwen3_next,
    "qwen3_5_text": _qwen3_next,
    "qwen3_5_moe": _qwen3_next,
    "qwen3_5_moe_text": _qwen3_next,
    "gemma": _gemma,
    "gemma2": _gemma2,
    "gemma3": _gemma3,
    "gemma3_text": _gemma3,
    "gemma4_text": _gemma4,
    "gemma4_unified_text": _gemma4,
    "phi": _phi,
    "phi3": _phi3,
    "gpt2": _gpt2,
    "gpt_bigcode": _gpt2,
    "gptj": _gptj,
    "gpt_neox": _gpt_neox,
    "opt": _opt,
    "bloom": _bloom,
    "falcon": _falcon,
    "mpt": _mpt,
    "bert": _bert,
    "deepseek": _deepseek,
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "deepseek_v32": _deepseek,
    "kimi_k2": _deepseek,
    "glm_moe_dsa": _deepseek,
    "glm4_moe_lite": _deepseek,
    "glm": _glm,
    "glm4": _glm4,
    "glm4_moe": _glm4_moe,
    "chatglm": _chatglm,
    "gpt_oss": _gpt_oss,
    "llama4": _llama4,
    "llama4_text": _llama4,
    "cohere": _cohere,
    "cohere2": _cohere2,
    "starcoder2": _starcoder2,
    "stablelm": _stablelm,
    "olmo2": _olmo2,
    "olmo3": _olmo2,
    "granite": _llama,
    "dbrx": _dbrx,
    "minimax_m2": _minimax_m2,
    "jamba": _jamba,
    "nemotron": _nemotron,
    "nemotron_h": _nemotron_h,
    "baichuan": _llama,
    "internlm": _llama,
    "internlm2": _llama,
    "smollm3": _llama,
}
