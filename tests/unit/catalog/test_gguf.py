"""GGUF headers become shapes; the files are written here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farthing.catalog.gguf import gguf_weight_bytes, import_gguf
from farthing.errors import InvalidInput
from farthing.predict.parameters import total_parameters

gguf = pytest.importorskip("gguf")

H, F, V, LAYERS = 64, 128, 320, 4
HEADS, KV, DIM = 4, 2, 16


def dense_layer(index: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes as they are stored: rows, columns."""
    return {
        f"blk.{index}.attn_norm.weight": (H,),
        f"blk.{index}.attn_q.weight": (HEADS * DIM, H),
        f"blk.{index}.attn_k.weight": (KV * DIM, H),
        f"blk.{index}.attn_v.weight": (KV * DIM, H),
        f"blk.{index}.attn_output.weight": (H, HEADS * DIM),
        f"blk.{index}.ffn_norm.weight": (H,),
        f"blk.{index}.ffn_gate.weight": (F, H),
        f"blk.{index}.ffn_up.weight": (F, H),
        f"blk.{index}.ffn_down.weight": (H, F),
    }


def llama(layers: int = LAYERS) -> dict[str, tuple[int, ...]]:
    tensors: dict[str, tuple[int, ...]] = {"token_embd.weight": (V, H), "output_norm.weight": (H,)}
    tensors["output.weight"] = (V, H)
    for index in range(layers):
        tensors |= dense_layer(index)
    return tensors


def sizes(**more: Any) -> dict[str, Any]:
    return {
        "block_count": LAYERS,
        "embedding_length": H,
        "context_length": 2048,
        "feed_forward_length": F,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV,
    } | {key.replace("__", "."): value for key, value in more.items()}


def write(path: Path, arch: str, metadata: dict[str, Any], tensors: dict[str, tuple[int, ...]]) -> Path:
    writer = gguf.GGUFWriter(str(path), arch)
    writer.add_name("Test Model")
    writer.add_token_list([f"<{index}>" for index in range(V)])
    for key, value in metadata.items():
        if isinstance(value, list):
            writer.add_array(f"{arch}.{key}", value)
        elif isinstance(value, bool):
            writer.add_bool(f"{arch}.{key}", value)
        elif isinstance(value, str):
            writer.add_string(f"{arch}.{key}", value)
        else:
            writer.add_uint32(f"{arch}.{key}", value)
    for name, shape in tensors.items():
        writer.add_tensor(name, np.zeros(shape, dtype=np.float16 if len(shape) > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_dense_model(tmp_path: Path) -> None:
    model = import_gguf(write(tmp_path / "Tiny-1B.Q4_0.gguf", "llama", sizes(), llama()))
    assert (model.id, model.name, model.family) == ("tiny-1b.q4-0", "Test Model", "llama")
    assert (model.layers, model.hidden, model.vocab, model.max_context) == (LAYERS, H, V, 2048)
    assert (model.heads, model.kv_heads, model.head_dim, model.ffn_hidden) == (HEADS, KV, DIM, F)
    assert model.gated_ffn
    assert not model.tied_embeddings
    assert (model.norm, model.norms_per_layer) == ("rmsnorm", 2)
    assert total_parameters(model) == model.published_parameters


def test_size_of_the_weights(tmp_path: Path) -> None:
    weights = gguf_weight_bytes(write(tmp_path / "m.gguf", "llama", sizes(), llama()))
    small = H * (2 * LAYERS + 1)
    assert weights.weight_bytes == 2 * (weights.parameters - small) + 4 * small
    assert weights.bits_per_weight == pytest.approx(16, rel=0.01)


def test_without_an_output_tensor_the_head_is_tied(tmp_path: Path) -> None:
    tensors = llama()
    del tensors["output.weight"]
    model = import_gguf(write(tmp_path / "m.gguf", "llama", sizes(), tensors))
    assert model.tied_embeddings
    assert total_parameters(model) == model.published_parameters


def test_a_mixture_of_experts_with_a_shared_one_and_a_dense_first_layer(tmp_path: Path) -> None:
    tensors = llama()
    for index in range(1, LAYERS):
        for name in ("ffn_gate", "ffn_up", "ffn_down"):
            del tensors[f"blk.{index}.{name}.weight"]
        tensors[f"blk.{index}.ffn_gate_inp.weight"] = (8, H)
        for suffix, lead in (("exps", (8,)), ("shexp", ())):
            tensors[f"blk.{index}.ffn_gate_{suffix}.weight"] = (*lead, 32, H)
            tensors[f"blk.{index}.ffn_up_{suffix}.weight"] = (*lead, 32, H)
            tensors[f"blk.{index}.ffn_down_{suffix}.weight"] = (*lead, H, 32)
    metadata = sizes(expert_count=8, expert_used_count=2, expert_shared_count=1)
    model = import_gguf(write(tmp_path / "m.gguf", "glm4moe", metadata, tensors))
    assert (model.experts, model.experts_per_token, model.moe_ffn_hidden) == (8, 2, 32)
    assert (model.shared_experts, model.shared_ffn_hidden) == (1, 32)
    assert model.ffn_pattern == "dmmm"
    assert total_parameters(model) == model.published_parameters


def test_windowed_layers_by_the_file_and_by_the_family(tmp_path: Path) -> None:
    stated = sizes(attention__sliding_window=256, attention__sliding_window_pattern=[True, True, False, True])
    model = import_gguf(write(tmp_path / "a.gguf", "llama", stated, llama()))
    assert (model.mixer_pattern, model.window) == ("wwf", 256)
    known = import_gguf(write(tmp_path / "b.gguf", "gpt-oss", sizes(attention__sliding_window=128), llama()))
    assert (known.mixer_pattern, known.window) == ("wf", 128)


def test_kv_heads_may_differ_by_layer(tmp_path: Path) -> None:
    metadata = sizes(attention__head_count_kv=[4, 4, 4, 2], attention__sliding_window=256)
    metadata["attention.sliding_window_pattern"] = [True, True, True, False]
    model = import_gguf(write(tmp_path / "m.gguf", "gemma4", metadata, llama()))
    assert (model.kv_heads, model.window_kv_heads) == (2, 4)


def test_biases_norms_and_learned_positions(tmp_path: Path) -> None:
    tensors = llama() | {"position_embd.weight": (2048, H), "output_norm.bias": (H,)}
    for index in range(LAYERS):
        tensors |= {
            f"blk.{index}.attn_q.bias": (H,),
            f"blk.{index}.attn_output.bias": (H,),
            f"blk.{index}.ffn_down.bias": (H,),
            f"blk.{index}.attn_q_norm.weight": (DIM,),
        }
        del tensors[f"blk.{index}.ffn_gate.weight"]
    model = import_gguf(write(tmp_path / "m.gguf", "gpt2", sizes(), tensors))
    assert (model.position, model.norm) == ("learned", "layernorm")
    assert model.qkv_bias
    assert model.output_bias
    assert model.ffn_bias
    assert model.qk_norm
    assert not model.gated_ffn


def test_latent_attention(tmp_path: Path) -> None:
    metadata = sizes(
        attention__kv_lora_rank=32,
        attention__q_lora_rank=24,
        attention__key_length=40,
        attention__value_length=32,
        attention__key_length_mla=24,
        attention__value_length_mla=16,
        rope__dimension_count=8,
    )
    model = import_gguf(write(tmp_path / "m.gguf", "deepseek2", metadata, llama()))
    assert (model.kv_lora_rank, model.q_lora_rank) == (32, 24)
    assert (model.qk_nope_head_dim, model.qk_rope_head_dim, model.v_head_dim) == (16, 8, 16)


def test_linear_layers(tmp_path: Path) -> None:
    tensors = llama()
    for index in range(3):
        tensors[f"blk.{index}.ssm_out.weight"] = (H, 64)
    metadata = sizes(ssm__inner_size=64, ssm__time_step_rank=4, ssm__state_size=8, ssm__group_count=2)
    model = import_gguf(write(tmp_path / "m.gguf", "qwen3next", metadata | {"ssm.conv_kernel": 4}, tensors))
    assert (model.mixer_pattern, model.linear_kind) == ("lllf", "gated-deltanet")
    assert (model.linear_key_heads, model.linear_value_heads, model.linear_value_head_dim) == (2, 4, 16)


def test_a_split_model_is_read_as_one(tmp_path: Path) -> None:
    tensors = list(llama().items())
    first, second = dict(tensors[:10]), dict(tensors[10:])
    path = write(tmp_path / "m-00001-of-00002.gguf", "llama", sizes(), first)
    with pytest.raises(InvalidInput, match="all of its parts"):
        import_gguf(path)
    write(tmp_path / "m-00002-of-00002.gguf", "llama", {}, second)
    model = import_gguf(path)
    assert model.id == "m"
    assert total_parameters(model) == model.published_parameters == gguf_weight_bytes(path).parameters


@pytest.mark.parametrize("keep", [0, 3, 20, 200, 1500, 20_000])
def test_a_truncated_file(tmp_path: Path, keep: int) -> None:
    whole = write(tmp_path / "whole.gguf", "llama", sizes(), llama()).read_bytes()
    assert keep < len(whole)
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole[:keep])
    with pytest.raises(InvalidInput, match=r"cut\.gguf"):
        import_gguf(path)


def test_what_is_no_gguf_file(tmp_path: Path) -> None:
    path = tmp_path / "text.gguf"
    path.write_text("not a model at all, only some words that are long enough to be read")
    with pytest.raises(InvalidInput, match="not a complete GGUF"):
        import_gguf(path)
    with pytest.raises(InvalidInput, match="no file"):
        import_gguf(tmp_path / "nothing.gguf")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"block_count": "many"}, "block_count"),
        ({"block_count": LAYERS + 1}, "layer 4 has no tensors"),
        ({"attention.head_count": 0}, "head_count"),
        ({"attention.head_count_kv": 3}, "kv_heads"),
    ],
)
def test_metadata_that_make_no_sense(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        import_gguf(write(tmp_path / "m.gguf", "llama", sizes() | change, llama()))


def test_missing_metadata(tmp_path: Path) -> None:
    metadata = sizes()
    del metadata["context_length"]
    with pytest.raises(InvalidInput, match="context_length"):
        import_gguf(write(tmp_path / "m.gguf", "llama", metadata, llama()))


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(InvalidInput, match=r"farthing\[gguf\]"):
        import_gguf(tmp_path / "m.gguf")
