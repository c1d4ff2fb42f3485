"""Bytes of weights, states, activations and caches."""

import pytest

from farthing.catalog import model
from farthing.errors import InvalidInput
from farthing.predict.kv_cache import kept_tokens, kv_bytes_per_token, state_bytes
from farthing.predict.memory import (
    OPTIMIZER_BYTES,
    accelerators_needed,
    communication_buffer_bytes,
    gpt_activation_bytes,
    layer_activation_bytes,
    lora_parameters,
    optimizer_bytes_per_parameter,
    weight_bytes,
)
from farthing.records.model import LayerKind, Model

FULL = LayerKind("full", "dense")
LLAMA = model("llama-2-70b")


def kept(**changes: object) -> float:
    fields: dict[str, object] = {"sequences": 1, "tokens": 4096, "context_tokens": 4096}
    return float(layer_activation_bytes(LLAMA, FULL, **fields | changes))  # type: ignore[arg-type]


def test_llama_layer_by_tensor() -> None:
    """Norm inputs and outputs, q, k, v, attention output and log-sum, three of the feed-forward."""
    elements = 4 * 8192 + 2 * 8192 + 2 * 1024 + 2 * 64 + 3 * 28672
    assert kept() == 4096 * 2 * elements


def test_what_saves_activations() -> None:
    assert kept(recompute="full") < kept() < kept(recompute="none", flash_attention=False)
    assert kept(flash_attention=False) <= kept()
    assert kept(tp=8) == pytest.approx(kept() / 8)
    assert kept(tp=8, sequence_parallel=False) > kept(tp=8)
    assert kept(recompute="full") == 4096 * 8192 * 2


def test_closed_form_drops_parts() -> None:
    shape = {"tp": 8, "heads": 96}
    everything = gpt_activation_bytes(2048, 1, 12288, 96, recompute="none", **shape)
    selective = gpt_activation_bytes(2048, 1, 12288, 96, **shape)
    assert everything - selective == pytest.approx(96 * 5 * 96 * 2048**2 / 8)
    assert gpt_activation_bytes(2048, 1, 12288, 96, recompute="full") == 2048 * 12288 * 96 * 2


def test_quantised_weights() -> None:
    assert weight_bytes(70e9, bytes_per_parameter=0.5, shards=2) == 17.5e9


def test_optimizers() -> None:
    assert optimizer_bytes_per_parameter("adam") == 12
    assert all(bytes_ > 0 for bytes_ in OPTIMIZER_BYTES.values())
    with pytest.raises(InvalidInput, match="muon"):
        optimizer_bytes_per_parameter("lion")


def test_heads_are_replicated_beyond_their_number() -> None:
    assert kv_bytes_per_token(LLAMA, FULL) == 2 * 8 * 128 * 2
    assert kv_bytes_per_token(LLAMA, FULL, tp=8) == kv_bytes_per_token(LLAMA, FULL, tp=16) == 2 * 128 * 2
    assert kv_bytes_per_token(model("bert-base"), FULL) == 0


def test_caches_that_forget() -> None:
    gemma = model("gemma-3-27b")
    assert kept_tokens(gemma, LayerKind("window", "dense"), 500) == 500
    assert kept_tokens(gemma, LayerKind("window", "dense"), 10_000) == gemma.window
    assert kept_tokens(gemma, FULL, 10_000) == 10_000


def test_recurrent_state() -> None:
    """Heads x key x value numbers in fp32, and the convolution's last three inputs."""
    hybrid = Model(
        id="hybrid",
        layers=1,
        hidden=2048,
        heads=16,
        kv_heads=2,
        head_dim=256,
        vocab=1000,
        max_context=1024,
        ffn_hidden=4096,
        mixer_pattern="l",
        linear_kind="gated-deltanet",
        linear_key_heads=16,
        linear_value_heads=32,
        linear_key_head_dim=128,
        linear_value_head_dim=128,
        linear_conv_kernel=4,
    )
    kind = LayerKind("linear", "dense")
    matrix, tail = 32 * 128 * 128, (2 * 16 * 128 + 32 * 128) * 3
    assert state_bytes(hybrid, kind) == matrix * 4 + tail * 2
    assert state_bytes(hybrid, kind, tp=4) == (matrix * 4 + tail * 2) / 4
    assert kv_bytes_per_token(hybrid, kind) == 0


def test_adapters() -> None:
    rank, hidden, inner = 16, 4096, 11008
    square, wide = 4 * rank * 2 * hidden, 3 * rank * (hidden + inner)
    assert lora_parameters(model("llama-2-7b"), FULL, rank) == square + wide


def test_buffers() -> None:
    assert communication_buffer_bytes(1e9, zero_stage=3) == 6e9
    assert communication_buffer_bytes(1e9, zero_stage=1) == 100e6
    assert communication_buffer_bytes(1e6, zero_stage=0) == 2e6


def test_cards_needed_are_whole() -> None:
    assert accelerators_needed(80e9, 80e9) == 1
    assert accelerators_needed(80e9 + 1, 80e9) == 2
    assert accelerators_needed(80e9, 80e9, reserved_bytes=1e9) == 2


def test_recomputation_by_operation_keeps_every_second_product() -> None:
    """Of Llama 3.1 8B: input and output, queries, values, attention and its fp32 sums, one inner tensor."""
    kept = layer_activation_bytes(
        model("llama-3.1-8b"),
        LayerKind("full", "dense"),
        sequences=1,
        tokens=1000,
        context_tokens=1000,
        recompute="operations",
    )
    assert kept == 1000 * 2 * (2 * 4096 + 4096 + 1024 + 4096 + 2 * 32 + 14336)
