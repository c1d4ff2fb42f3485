"""Parameter counts worked by hand from the matrices of each architecture."""

from __future__ import annotations

import dataclasses
import time

import pytest

from farthing.catalog import models
from farthing.predict.parameters import (
    LayerParameters,
    active_parameters,
    embedding_parameters,
    head_parameters,
    layer_parameters,
    total_parameters,
)
from farthing.records.model import LayerKind, Model

DENSE = LayerKind("full", "dense")
SPARSE = LayerKind("full", "moe")


def shape(**fields: object) -> Model:
    small = {
        "id": "small",
        "layers": 2,
        "hidden": 64,
        "heads": 4,
        "kv_heads": 2,
        "head_dim": 16,
        "vocab": 100,
        "max_context": 32,
        "ffn_hidden": 128,
    }
    return Model(**(small | fields))  # type: ignore[arg-type]


def test_llama_2_70b() -> None:
    layer = 2 * 8192 * 8192 + 2 * 8192 * 1024 + 3 * 8192 * 28672 + 2 * 8192
    assert 80 * layer + 2 * 32000 * 8192 + 8192 == 68_976_648_192
    assert total_parameters(models()["llama-2-70b"]) == 68_976_648_192


def test_gpt_2_with_learned_positions_biases_and_a_tied_head() -> None:
    model = models()["gpt-2-124m"]
    assert total_parameters(model) == 124_439_808
    assert embedding_parameters(model) == (50257 + 1024) * 768
    assert head_parameters(model) == 0


def test_bert_base_with_segments_and_pooler() -> None:
    embeddings = (30522 + 512 + 2) * 768 + 2 * 768
    layer = 4 * (768 * 768 + 768) + 2 * 768 * 3072 + 3072 + 768 + 4 * 768
    assert embeddings + 12 * layer + 768 * 768 + 768 == 109_482_240
    assert total_parameters(models()["bert-base"]) == 109_482_240


def test_opt_350m_with_a_projected_embedding() -> None:
    model = models()["opt-350m"]
    assert embedding_parameters(model) == 50272 * 512 + 512 * 1024 + 2048 * 1024
    assert head_parameters(model) == 512 * 1024
    assert total_parameters(model) == 331_196_416


def test_mixtral_8x7b_and_what_a_token_passes() -> None:
    model = models()["mixtral-8x7b"]
    layer = layer_parameters(model, SPARSE)
    assert layer.expert == 3 * 4096 * 14336
    assert layer.routed_experts == 8 * layer.expert
    assert layer.router == 8 * 4096
    assert total_parameters(model) == 46_702_792_704
    assert active_parameters(model) == 46_702_792_704 - 32 * 6 * layer.expert


def test_deepseek_v3_with_latent_attention_shared_and_dense_layers() -> None:
    model = models()["deepseek-v3"]
    dense, sparse = layer_parameters(model, DENSE), layer_parameters(model, SPARSE)
    attention = 1536 * 128 * 192 + 512 * 128 * 256 + 128 * 128 * 7168
    assert sparse.attention == attention
    assert sparse.key_value == 0
    assert sparse.latent == 7168 * (1536 + 576)
    assert sparse.norms == 2 * 7168 + 1536 + 512
    assert sparse.shared_experts == sparse.expert == 3 * 7168 * 2048
    assert dense.dense_ffn == 3 * 7168 * 18432
    assert total_parameters(model) == 671_026_419_200
    assert model.layer_kinds[:4] == (DENSE, DENSE, DENSE, SPARSE)


def test_the_indexer_of_deepseek_v3_2_is_added() -> None:
    plain, indexed = models()["deepseek-v3"], models()["deepseek-v3.2"]
    indexer = 1536 * 64 * 128 + 7168 * 128 + 7168 * 64 + 2 * 128
    assert total_parameters(indexed) - total_parameters(plain) == 61 * indexer


@pytest.mark.parametrize(
    ("id", "total"),
    [
        ("qwen3-next-80b-a3b", 79_674_391_296),  # gated delta net, gated attention, shared expert
        ("qwen3.5-27b", 26_895_998_464),
        ("jamba-v0.1", 51_570_323_328),  # Mamba 1
        ("nemotron-3-nano-30b-a3b", 31_577_940_288),  # Mamba 2, one block a layer
        ("gemma-2-27b", 27_227_128_320),  # sandwich norms
        ("gpt-oss-120b", 116_829_156_672),  # biased experts, sinks
        ("gpt-j-6b", 6_050_882_784),  # parallel attention, biased head
        ("falcon-40b", 41_303_293_952),  # two norms before parallel attention
        ("qwen2-7b", 7_615_616_512),  # biased query, key and value
        ("olmo-2-7b", 7_298_617_344),  # norms over all heads
        ("starcoder-15b", 15_517_456_384),  # multi-query
        ("command-r-plus", 103_810_674_688),  # norms of queries and keys
        ("bloom-176b", 176_247_271_424),  # norm of the embedding
    ],
)
def test_published_totals_of_unusual_architectures_are_met_exactly(id: str, total: int) -> None:
    assert total_parameters(models()[id]) == total


def test_gated_deltanet_layer() -> None:
    model = shape(
        mixer_pattern="lf",
        linear_kind="gated-deltanet",
        linear_key_heads=2,
        linear_value_heads=4,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        linear_conv_kernel=4,
    )
    projections = 64 * (16 + 16 + 32 + 32) + 64 * (4 + 4) + 32 * 64
    small = 4 * (16 + 16 + 32) + 4 + 4 + 8
    layer = layer_parameters(model, model.layer_kinds[0])
    assert layer.linear_mixer == projections + small
    assert layer.attention == 0


def test_lightning_layer_has_query_key_value_gate_and_output() -> None:
    model = shape(
        mixer_pattern="l",
        linear_kind="lightning",
        linear_key_heads=4,
        linear_value_heads=4,
        linear_key_head_dim=16,
        linear_value_head_dim=16,
    )
    assert layer_parameters(model, model.layer_kinds[0]).linear_mixer == 5 * 64 * 64 + 64


def test_windowed_layers_may_have_other_heads_and_full_ones_one_tensor_for_keys_and_values() -> None:
    model = shape(
        mixer_pattern="wf", window=8, window_kv_heads=4, window_head_dim=8, value_is_key=True, qk_norm=True
    )
    window, full = (layer_parameters(model, kind) for kind in model.layer_kinds)
    assert window.key_value == 64 * 4 * 8 * 2
    assert full.key_value == 64 * 2 * 16
    assert full.attention == 64 * 64 * 2 + full.key_value
    assert window.norms == 2 * 64 + 2 * 8


def test_the_output_gate_is_as_wide_as_the_heads() -> None:
    plain, gated = shape(), shape(gated_attention=True)
    assert total_parameters(gated) - total_parameters(plain) == 2 * 64 * 64


def test_experts_in_a_latent_are_projected_twice() -> None:
    fields = {"ffn_pattern": "m", "experts": 8, "experts_per_token": 2, "moe_ffn_hidden": 32}
    layer = layer_parameters(shape(**fields, moe_hidden=16), SPARSE)
    assert layer.expert == 3 * 16 * 32
    assert layer.router == 64 * 8 + 2 * 64 * 16


def test_biases_and_layer_norms_are_counted() -> None:
    plain = shape(gated_ffn=False)
    full = shape(gated_ffn=False, qkv_bias=True, output_bias=True, ffn_bias=True, norm="layernorm")
    biases = 64 + 2 * 32 + 64 + 128 + 64
    assert total_parameters(full) - total_parameters(plain) == 2 * (biases + 2 * 64) + 64


def test_the_parts_of_a_layer_add_up() -> None:
    for id in ("llama-2-70b", "deepseek-v3.2", "qwen3-next-80b-a3b", "gemma-4-26b-a4b"):
        model = models()[id]
        for kind in set(model.layer_kinds):
            layer = layer_parameters(model, kind)
            parts = {field.name: getattr(layer, field.name) for field in dataclasses.fields(LayerParameters)}
            assert all(value >= 0 for value in parts.values())
            assert layer.total == sum(parts.values()) - parts["expert"] - parts["key_value"]
            assert layer.key_value <= layer.attention


def test_a_dense_model_is_all_active() -> None:
    for id in ("llama-2-7b", "gpt-2-124m", "bert-base"):
        assert active_parameters(models()[id]) == total_parameters(models()[id])


def test_a_warm_count_takes_less_than_five_microseconds() -> None:
    model = models()["deepseek-v3"]
    total_parameters(model)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(1000):
            total_parameters(model)
        seconds.append((time.perf_counter() - start) / 1000)
    assert min(seconds) < 5e-6
