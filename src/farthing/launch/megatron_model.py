"""A model's shape as options of Megatron-LM."""

from __future__ import annotations

import itertools

from farthing.launch.commands import Flag, pairs
from farthing.records.model import Model
from farthing.records.workload import TrainingWorkload

_POSITIONS = {"rotary": "rope", "learned": "learned_absolute", "relative": "relative", "none": "none"}


def model_flags(model: Model, workload: TrainingWorkload) -> tuple[list[Flag] | None, list[str], list[str]]:
    """Options of the shape, what Megatron-LM cannot do of it, and notes; no options where it lacks layers.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> flags, cannot, _ = model_flags(model("llama-2-70b"),
    ...                                TrainingWorkload(sequence_tokens=4096, global_batch_size=1))
    >>> [flag for flag in flags if "groups" in flag[0]], cannot
    ([('--num-query-groups', '8')], [])
    """
    lacks = _lacks(model, workload)
    if lacks:
        return None, lacks, []
    cannot: list[str] = []
    flags: list[Flag] = pairs(
        num_layers=model.layers,
        hidden_size=model.hidden,
        ffn_hidden_size=model.ffn_hidden or model.moe_ffn_hidden,
        num_attention_heads=model.heads,
    )
    flags += _attention(model)
    flags += pairs(
        seq_length=workload.sequence_tokens,
        max_position_embeddings=max(workload.sequence_tokens, model.max_context),
        position_embedding_type=_POSITIONS[model.position],
        normalization="RMSNorm" if model.norm == "rmsnorm" else "LayerNorm",
        vocab_size=model.vocab,
    )
    if model.gated_ffn:
        flags.append(("--swiglu",))
    if not model.tied_embeddings:
        flags.append(("--untie-embeddings-and-output-weights",))
    flags += _biases(model, cannot)
    if model.is_moe:
        flags += _experts(model)
    if workload.predictors:
        flags += pairs(mtp_num_layers=workload.predictors)
    notes = []
    if model.position == "rotary":
        notes.append(
            "Base and scaling of the rotary positions are not in farthing's shape: --rotary-base sets it."
        )
    return flags, cannot, notes


def _lacks(model: Model, workload: TrainingWorkload) -> list[str]:
    """Layers that pretrain_gpt.py cannot build."""
    reasons = {
        "an encoder": (model.encoder, "use pretrain_bert.py of Megatron-LM"),
        "linear attention or state-space layers": (model.uses("linear"), "use its pretrain_hybrid.py"),
        "layers without attention or without a feed-forward network": (
            model.uses("none") or any(kind.feed_forward == "none" for kind in model.layer_kinds),
            "use its pretrain_hybrid.py",
        ),
        "ALiBi positions": (model.position == "alibi", "use Megatron-DeepSpeed"),
        "attention and feed-forward network in parallel": (model.parallel_attention, "use GPT-NeoX"),
        "norms behind the blocks too": (
            model.norms_per_layer > 2,
            "use torchtitan or the Transformers library",
        ),
        "a projected embedding": (model.embedding_hidden > 0, "use the Transformers library"),
        "windowed layers of another width": (
            model.window_head_dim > 0 or model.window_kv_heads > 0,
            "use the Transformers library",
        ),
        "a sparse indexer or compressed keys": (
            model.index_heads > 0 or model.kv_compression > 1 or model.output_lora_rank > 0,
            "use the model's own training code",
        ),
        "predictors beside learned positions": (
            workload.predictors > 0 and model.position != "rotary",
            "use --predictors 0",
        ),
        "memory of the segment before": (workload.memory_tokens > 0, "use a Transformer-XL code"),
    }
    return [
        f"Megatron-LM's pretrain_gpt.py has no {what}, which {model.id} needs: {instead}"
        for what, (needed, instead) in reasons.items()
        if needed
    ]


def _attention(model: Model) -> list[Flag]:
    flags: list[Flag] = []
    if model.is_mla:
        flags.append(("--multi-latent-attention",))
        if model.q_lora_rank:
            flags += pairs(q_lora_rank=model.q_lora_rank)
        flags += pairs(
            kv_lora_rank=model.kv_lora_rank,
            qk_head_dim=model.qk_nope_head_dim,
            qk_pos_emb_head_dim=model.qk_rope_head_dim,
            v_head_dim=model.v_head_dim or model.head_dim,
        )
    else:
        flags += pairs(kv_channels=model.head_dim)
        if model.kv_heads < model.heads:
            flags += [("--group-query-attention",), *pairs(num_query_groups=model.kv_heads)]
    if model.qk_norm:
        flags.append(("--qk-layernorm",))
    if model.gated_attention:
        flags.append(("--attention-output-gate",))
    if model.uses("window"):
        windowed = [int(kind.mixer == "window") for kind in model.layer_kinds]
        flags.append(("--window-size", f"{model.window},0"))
        if not all(windowed):
            flags.append(("--window-attn-skip-freq", pattern(windowed)))
    return flags


def _biases(model: Model, cannot: list[str]) -> list[Flag]:
    biased = (model.qkv_bias, model.output_bias, model.ffn_bias)
    if all(biased):
        return []
    if any(biased[1:]):
        cannot.append(
            "Megatron-LM has biases in all linear layers or in the query, key and value alone: these "
            "commands "
            "leave the others out"
        )
    return [("--disable-bias-linear",), *([("--add-qkv-bias",)] if model.qkv_bias else [])]


def _experts(model: Model) -> list[Flag]:
    flags = pairs(
        num_experts=model.experts,
        moe_router_topk=model.experts_per_token,
        moe_ffn_hidden_size=model.moe_ffn_hidden,
        moe_token_dispatcher_type="alltoall",
        moe_router_load_balancing_type="aux_loss",
        moe_aux_loss_coeff="1e-3",
    )
    flags.append(("--moe-grouped-gemm",))
    mixtures = [int(kind.feed_forward == "moe") for kind in model.layer_kinds]
    if not all(mixtures):
        flags.append(("--moe-layer-freq", pattern(mixtures)))
    if model.shared_experts:
        width = model.shared_ffn_hidden or model.shared_experts * model.moe_ffn_hidden
        flags += pairs(moe_shared_expert_intermediate_size=width)
    if model.moe_hidden:
        flags += pairs(moe_latent_size=model.moe_hidden)
    return flags


def pattern(marks: list[int]) -> str:
    """Ones and zeros as the expression that Megatron-LM reads.

    Examples
    --------
    >>> pattern([0, 0, 0, 1, 1])
    '[0]*3+[1]*2'
    """
    return "+".join(f"[{mark}]*{len(list(run))}" for mark, run in itertools.groupby(marks))
