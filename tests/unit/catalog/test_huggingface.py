"""Hugging Face configurations become the shapes of the catalogue, or an error that names the key."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from farthing.catalog import huggingface, models
from farthing.catalog.huggingface import import_model, model_from_config, model_types
from farthing.errors import InvalidInput
from farthing.predict.parameters import total_parameters
from farthing.records.model import Model

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 80,
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
}


def config(
    model_type: str, layers: int, hidden: int, ffn: int, heads: int, vocab: int, **more: Any
) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_attention_heads": heads,
        "vocab_size": vocab,
        "max_position_embeddings": 4096,
        **more,
    }


LATENT = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
DELTANET = {
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
}
NEMOTRON_BLOCKS = "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME"

CONFIGS: list[tuple[str, dict[str, Any]]] = [
    ("llama-2-70b", LLAMA),
    ("mistral-7b", config("mistral", 32, 4096, 14336, 32, 32000, num_key_value_heads=8, sliding_window=4096)),
    (
        "mixtral-8x7b",
        config("mixtral", 32, 4096, 14336, 32, 32000, num_key_value_heads=8)
        | {"num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": None},
    ),
    ("qwen-7b", config("qwen", 32, 4096, 22016, 32, 151936, kv_channels=128)),
    ("qwen2-7b", config("qwen2", 28, 3584, 18944, 28, 152064, num_key_value_heads=4)),
    (
        "qwen1.5-moe-a2.7b",
        config("qwen2_moe", 24, 2048, 5632, 16, 151936, num_experts=60, num_experts_per_tok=4)
        | {"moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632},
    ),
    ("qwen3-14b", config("qwen3", 40, 5120, 17408, 40, 151936, num_key_value_heads=8, head_dim=128)),
    (
        "qwen3-30b-a3b",
        config("qwen3_moe", 48, 2048, 6144, 32, 151936, num_key_value_heads=4, head_dim=128)
        | {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768},
    ),
    (
        "qwen3-next-80b-a3b",
        config("qwen3_next", 48, 2048, 5120, 16, 151936, num_key_value_heads=2, head_dim=256)
        | {"num_experts": 512, "num_experts_per_tok": 10, "moe_intermediate_size": 512}
        | {"shared_expert_intermediate_size": 512, "full_attention_interval": 4}
        | DELTANET,
    ),
    ("gemma-2b", config("gemma", 18, 2048, 16384, 8, 256000, num_key_value_heads=1, head_dim=256)),
    (
        "gemma-2-9b",
        config(
            "gemma2", 42, 3584, 14336, 16, 256000, num_key_value_heads=8, head_dim=256, sliding_window=4096
        ),
    ),
    (
        "gemma-3-27b",
        config("gemma3_text", 62, 5376, 21504, 32, 262208, num_key_value_heads=16, head_dim=128)
        | {"sliding_window": 1024},
    ),
    ("phi-2", config("phi", 32, 2560, 10240, 32, 51200)),
    ("phi-4", config("phi3", 40, 5120, 17920, 40, 100352, num_key_value_heads=10, sliding_window=None)),
    (
        "gpt-2-124m",
        {
            "model_type": "gpt2",
            "n_layer": 12,
            "n_embd": 768,
            "n_head": 12,
            "vocab_size": 50257,
            "n_positions": 1024,
        },
    ),
    (
        "gpt-j-6b",
        {
            "model_type": "gptj",
            "n_layer": 28,
            "n_embd": 4096,
            "n_head": 16,
            "vocab_size": 50400,
            "n_positions": 2048,
        },
    ),
    ("gpt-neox-20b", config("gpt_neox", 44, 6144, 24576, 64, 50432)),
    (
        "opt-6.7b",
        config("opt", 32, 4096, 0, 32, 50272, ffn_dim=16384, word_embed_proj_dim=4096)
        | {"max_position_embeddings": 2048},
    ),
    (
        "bloom-7b1",
        {"model_type": "bloom", "n_layer": 30, "hidden_size": 4096, "n_head": 32, "vocab_size": 250880},
    ),
    (
        "falcon-40b",
        {"model_type": "falcon", "num_hidden_layers": 60, "hidden_size": 8192, "num_attention_heads": 128}
        | {"num_kv_heads": 8, "vocab_size": 65024, "new_decoder_architecture": True, "bias": False},
    ),
    (
        "mpt-7b",
        {"model_type": "mpt", "n_layers": 32, "d_model": 4096, "n_heads": 32, "vocab_size": 50432}
        | {"max_seq_len": 2048, "attn_config": {"alibi": True}},
    ),
    ("bert-base", config("bert", 12, 768, 3072, 12, 30522, max_position_embeddings=512)),
    (
        "deepseek-v2-lite",
        config("deepseek_v2", 27, 2048, 10944, 16, 102400, q_lora_rank=None, n_routed_experts=64)
        | {"num_experts_per_tok": 6, "moe_intermediate_size": 1408, "n_shared_experts": 2}
        | {"first_k_dense_replace": 1, "scoring_func": "softmax", "topk_method": "greedy"}
        | LATENT,
    ),
    (
        "deepseek-v3",
        config("deepseek_v3", 61, 7168, 18432, 128, 129280, q_lora_rank=1536, n_routed_experts=256)
        | {"num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": 1}
        | {"first_k_dense_replace": 3, "scoring_func": "sigmoid", "topk_method": "noaux_tc"}
        | LATENT,
    ),
    (
        "deepseek-v3.2",
        config("deepseek_v32", 61, 7168, 18432, 128, 129280, q_lora_rank=1536, n_routed_experts=256)
        | {"num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": 1}
        | {"first_k_dense_replace": 3, "index_n_heads": 64, "index_head_dim": 128, "index_topk": 2048}
        | LATENT,
    ),
    (
        "kimi-k2",
        config("kimi_k2", 61, 7168, 18432, 64, 163840, q_lora_rank=1536, n_routed_experts=384)
        | {"num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": 1}
        | {"first_k_dense_replace": 1}
        | LATENT,
    ),
    ("glm-4-32b", config("glm4", 61, 6144, 23040, 48, 151552, num_key_value_heads=2, head_dim=128)),
    (
        "glm-4.6",
        config("glm4_moe", 92, 5120, 12288, 96, 151552, num_key_value_heads=8, head_dim=128)
        | {"n_routed_experts": 160, "num_experts_per_tok": 8, "moe_intermediate_size": 1536}
        | {"n_shared_experts": 1, "first_k_dense_replace": 3, "attention_bias": True, "use_qk_norm": True},
    ),
    (
        "gpt-oss-20b",
        config("gpt_oss", 24, 2880, 2880, 64, 201088, num_key_value_heads=8, head_dim=64)
        | {"num_local_experts": 32, "num_experts_per_tok": 4, "attention_bias": True, "sliding_window": 128}
        | {"layer_types": ["sliding_attention", "full_attention"] * 12},
    ),
    (
        "llama-4-maverick-17b-128e",
        config("llama4_text", 48, 5120, 8192, 40, 202048, num_key_value_heads=8, head_dim=128)
        | {"intermediate_size_mlp": 16384, "num_local_experts": 128, "num_experts_per_tok": 1}
        | {"interleave_moe_layer_step": 2, "attention_chunk_size": 8192},
    ),
    ("command-r", config("cohere", 40, 8192, 22528, 64, 256000)),
    (
        "command-r7b",
        config("cohere2", 32, 4096, 14336, 32, 256000, num_key_value_heads=8, sliding_window=4096),
    ),
    (
        "starcoder2-7b",
        config("starcoder2", 32, 4608, 18432, 36, 49152, num_key_value_heads=4, sliding_window=4096),
    ),
    ("stablelm-2-1.6b", config("stablelm", 24, 2048, 5632, 32, 100352, use_qkv_bias=True)),
    ("olmo-2-7b", config("olmo2", 32, 4096, 11008, 32, 100352)),
    (
        "granite-3-8b",
        config("granite", 40, 4096, 12800, 32, 49155, num_key_value_heads=8, tie_word_embeddings=True),
    ),
    (
        "dbrx",
        {"model_type": "dbrx", "n_layers": 40, "d_model": 6144, "n_heads": 48, "vocab_size": 100352}
        | {"max_seq_len": 32768, "attn_config": {"kv_n_heads": 8}}
        | {"ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16, "moe_top_k": 4}},
    ),
    (
        "minimax-m2.5",
        config("minimax_m2", 62, 3072, 1536, 48, 200064, num_key_value_heads=8, head_dim=128)
        | {"num_local_experts": 256, "num_experts_per_tok": 8, "use_qk_norm": True, "use_routing_bias": True},
    ),
    (
        "jamba-v0.1",
        config("jamba", 32, 4096, 14336, 32, 65536, num_key_value_heads=8, num_experts=16)
        | {"num_experts_per_tok": 2, "attn_layer_period": 8, "attn_layer_offset": 4}
        | {"expert_layer_period": 2, "expert_layer_offset": 1, "mamba_dt_rank": 256, "mamba_d_state": 16},
    ),
    ("nemotron-4-340b", config("nemotron", 96, 18432, 73728, 96, 256000, num_key_value_heads=8)),
    (
        "nemotron-3-nano-30b-a3b",
        config("nemotron_h", 52, 2688, 1856, 32, 131072, num_key_value_heads=2, head_dim=128)
        | {"hybrid_override_pattern": NEMOTRON_BLOCKS, "n_routed_experts": 128, "num_experts_per_tok": 6}
        | {"moe_intermediate_size": 1856, "n_shared_experts": 1, "moe_shared_expert_intermediate_size": 3712}
        | {
            "n_groups": 8,
            "mamba_num_heads": 64,
            "mamba_head_dim": 64,
            "ssm_state_size": 128,
            "conv_kernel": 4,
        },
    ),
    ("baichuan2-7b", config("baichuan", 32, 4096, 11008, 32, 125696)),
    ("internlm2-20b", config("internlm2", 48, 6144, 16384, 48, 92544, num_key_value_heads=8, bias=False)),
    (
        "glm-4-9b",
        {"model_type": "chatglm", "num_layers": 40, "hidden_size": 4096, "ffn_hidden_size": 13696}
        | {"num_attention_heads": 32, "kv_channels": 128, "padded_vocab_size": 151552, "seq_length": 131072}
        | {"multi_query_attention": True, "multi_query_group_num": 2, "add_qkv_bias": True},
    ),
]

OUTSIDE_THE_SHAPE = (
    "id",
    "name",
    "family",
    "native_format",
    "source",
    "max_context",
    "published_parameters",
    "published_active_parameters",
)


def inside(model: Model) -> dict[str, Any]:
    values = dataclasses.asdict(model)
    for key in OUTSIDE_THE_SHAPE:
        values.pop(key)
    return values


@pytest.mark.parametrize(("id", "values"), CONFIGS, ids=[id for id, _ in CONFIGS])
def test_a_configuration_gives_the_shape_of_the_catalogue(id: str, values: dict[str, Any]) -> None:
    assert inside(model_from_config(values, id)) == inside(models()[id])


def test_at_least_forty_types_are_understood() -> None:
    tested = {values["model_type"] for _, values in CONFIGS}
    assert tested <= set(model_types())
    assert len(model_types()) >= 40


def test_of_a_multimodal_model_the_text_part_is_taken() -> None:
    text = {**LLAMA, "num_hidden_layers": 2}
    model = model_from_config({"model_type": "llava", "text_config": text, "tie_word_embeddings": True}, "m")
    assert model.layers == 2
    assert model.tied_embeddings


def test_keys_of_one_width_for_both_kinds_of_layer_of_gemma_4() -> None:
    values = config("gemma4_text", 6, 64, 128, 4, 1000, num_key_value_heads=2, head_dim=16)
    values |= {
        "global_head_dim": 32,
        "num_global_key_value_heads": 1,
        "attention_k_eq_v": True,
        "sliding_window": 8,
    }
    model = model_from_config(values, "m")
    assert (model.kv_heads, model.head_dim, model.window_kv_heads, model.window_head_dim) == (1, 32, 2, 16)
    assert model.value_is_key
    assert model.mixer_pattern == "wwwwwf"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "rwkv"}, ["model_type", "rwkv", "TOML", "llama"]),
        ({"model_type": None}, ["model_type"]),
        ({"model_type": ["llama"]}, ["model_type"]),
        ({"num_hidden_layers": "80"}, ["num_hidden_layers", "whole number", "'80'"]),
        ({"num_hidden_layers": -80}, ["num_hidden_layers", "-80"]),
        ({"num_hidden_layers": 0}, ["num_hidden_layers", "0"]),
        ({"num_hidden_layers": True}, ["num_hidden_layers"]),
        ({"hidden_size": None}, ["hidden_size", "missing"]),
        ({"hidden_size": 10**12}, ["hidden_size"]),
        ({"hidden_size": 8191}, ["hidden_size", "multiple"]),
        ({"vocab_size": [1]}, ["vocab_size"]),
        ({"vocab_size": 1.5}, ["vocab_size"]),
        ({"num_key_value_heads": 7}, ["kv_heads", "divide"]),
        ({"tie_word_embeddings": "yes"}, ["tie_word_embeddings"]),
        ({"text_config": "text"}, ["text_config"]),
        ({"model_type": "nemotron_h", "hybrid_override_pattern": "M?"}, ["hybrid_override_pattern"]),
        ({"model_type": "gemma2", "layer_types": ["full_attention"]}, ["layer_types"]),
        ({"model_type": "gemma2", "layer_types": ["new"] * 80}, ["layer_types", "new"]),
        ({"model_type": "gemma4_text", "hidden_size_per_layer_input": 256}, ["hidden_size_per_layer_input"]),
    ],
)
def test_what_makes_no_sense_is_named(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidInput) as error:
        model_from_config({**LLAMA, **change}, "m")
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_file_and_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "My-Llama"
    folder.mkdir()
    file = folder / "config.json"
    file.write_text(json.dumps(LLAMA))
    for path in (file, folder):
        model = import_model(str(path))
        assert model.id == "my-llama"
        assert total_parameters(model) == 68_976_648_192
        assert model.source == str(file)


@pytest.mark.parametrize("content", ["", "{", "[1]", '"text"', "\xff"])
def test_a_broken_file(tmp_path: Path, content: str) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(InvalidInput):
        import_model(str(file))


@pytest.mark.parametrize("path", ["nowhere/config.json", "nowhere.json", "no such thing"])
def test_a_missing_file(path: str) -> None:
    with pytest.raises(InvalidInput, match="no file"):
        import_model(path)


def test_a_hub_id_is_read_through_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    file = tmp_path / "downloaded"
    file.write_text(json.dumps(LLAMA))
    asked = []

    def download(repository: str, name: str, *, local_files_only: bool) -> str:
        asked.append((repository, name))
        return str(file)

    monkeypatch.setattr(hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface, "_is_reachable", lambda: True)
    model = import_model("meta-llama/Llama-2-70b-hf")
    assert asked == [("meta-llama/Llama-2-70b-hf", "config.json")]
    assert (model.id, model.source) == (
        "llama-2-70b-hf",
        "huggingface.co/meta-llama/Llama-2-70b-hf/config.json",
    )


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def download(repository: str, name: str, *, local_files_only: bool) -> str:
        raise OSError("no network\nmore")

    monkeypatch.setattr(hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface, "_is_reachable", lambda: True)
    with pytest.raises(InvalidInput, match=r"no network\).*HF_TOKEN"):
        import_model("org/name")


def test_without_a_network_the_cache_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    asked = []

    def download(repository: str, name: str, *, local_files_only: bool) -> str:
        asked.append(local_files_only)
        raise OSError("not in the cache")

    monkeypatch.setattr(hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface, "_is_reachable", lambda: False)
    with pytest.raises(InvalidInput, match=r"no network"):
        import_model("org/name")
    assert asked == [True]


def test_without_the_package_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InvalidInput, match=r"farthing\[hub\]"):
        import_model("org/name")
