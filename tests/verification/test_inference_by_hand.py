"""Serving, worked out by hand: experts touched, latent caches, windows, speculation, pipelines, batches."""

from __future__ import annotations

import itertools

import pytest

import farthing
from farthing.catalog import accelerator
from farthing.catalog import model as catalogue_model
from farthing.predict.compute import balance_tokens, experts_touched
from farthing.predict.device import device
from farthing.predict.inference import pipelined_step_time_s, speculated_tokens
from farthing.predict.inference_layer import forward_time
from farthing.predict.kv_cache import kept_tokens, kv_bytes_per_token
from farthing.predict.layer import Shards
from farthing.predict.placement import weighted_layers
from farthing.records.model import LayerKind


def test_experts_touched() -> None:
    """Mixtral, 2 of 8: one token reaches 2; two reach 8 (1 - (3/4)^2) = 3.5; many reach all."""
    assert experts_touched(8, 2, 1) == pytest.approx(2)
    assert experts_touched(8, 2, 2) == pytest.approx(3.5)
    assert experts_touched(8, 2, 1000) == pytest.approx(8)


def test_experts_touched_by_enumeration() -> None:
    """Three tokens, each with its own pair of four experts: the mean over all routings."""
    pairs = list(itertools.combinations(range(4), 2))
    routings = list(itertools.product(pairs, repeat=3))
    mean = sum(len(set(itertools.chain(*routing))) for routing in routings) / len(routings)
    assert experts_touched(4, 2, 3) == pytest.approx(mean)


def test_experts_read_by_one_token() -> None:
    """Mixtral at batch 1 on one card: two experts of each layer, not eight, cross the memory bus."""
    found = farthing.infer("mixtral-8x7b", "1x1:mi300x", context_tokens=1, output_tokens=1, ideal=True)
    products = next(part.value for part in found.decode if part.name == "matrix products")
    attention = 2 * 4096 * 4096 + 2 * 4096 * 1024
    layer = attention + 4096 * 8 + 2 * 3 * 4096 * 14336
    read = 2 * (32 * layer + 32000 * 4096)
    assert products == pytest.approx(read / accelerator("mi300x").memory_bytes_per_s, rel=5e-3)


def test_latent_cache_of_deepseek_v3() -> None:
    """512 + 64 numbers a layer and token: 61 layers in 16 bits keep 68.6 KiB, whatever tp."""
    model = catalogue_model("deepseek-v3")
    each = [kv_bytes_per_token(model, kind, tp=tp) / 2 for kind in model.layer_kinds for tp in (1, 8)]
    assert set(each) == {576}
    assert sum(kv_bytes_per_token(model, kind) for kind in model.layer_kinds) == 61 * 576 * 2 == 70272


def test_sliding_window() -> None:
    """Gemma 3 27B, five of six layers see 1024 tokens: at 32768 the cache is not 62 layers' but far less."""
    model = catalogue_model("gemma-3-27b")
    windowed = sum(kind.mixer == "window" for kind in model.layer_kinds)
    assert (windowed, model.layers) == (52, 62)
    kept = sum(kept_tokens(model, kind, 32768) for kind in model.layer_kinds)
    assert kept == 52 * 1024 + 10 * 32768
    found = farthing.infer(
        "gemma-3-27b", "1x1:h100-sxm", batch_size=1, prompt_tokens=32256, output_tokens=512
    )
    cache = next(part.value for part in found.memory.parts if part.name == "KV cache")
    assert cache == pytest.approx(kept * 2 * model.kv_heads * model.head_dim * 2)


def test_speculative_decoding() -> None:
    """Four drafts at 80%: 1 + .8 + .64 + .512 + .4096 tokens a step."""
    assert speculated_tokens(4, 0.8) == pytest.approx(1 + 0.8 + 0.64 + 0.512 + 0.4096)
    assert speculated_tokens(4, 0.0) == pytest.approx(1)
    assert speculated_tokens(4, 1.0) == pytest.approx(5)


def test_speculation_in_an_estimate() -> None:
    """With perfect and free drafts a step yields five tokens in the time of one step over five."""
    plain = farthing.infer("llama-2-7b", "1x1:h100-sxm", batch_size=1, context_tokens=1024, ideal=True)
    eager = farthing.infer(
        "llama-2-7b",
        "1x1:h100-sxm",
        batch_size=1,
        context_tokens=1024,
        draft_tokens=4,
        acceptance_rate=1.0,
        draft_cost_share=0.0,
        ideal=True,
    )
    assert plain.tpot_s / eager.tpot_s == pytest.approx(5, rel=0.02)


def test_batch_at_which_compute_catches_up() -> None:
    """RTX 4090 in fp16 with fp32 accumulation: 165.15 TFLOP/s over 1008 GB/s is 163.8 tokens."""
    card = device(accelerator("rtx-4090"), "fp16")
    found = balance_tokens(peak_flop_per_s=card.matmul_flop_per_s, memory_bytes_per_s=card.memory_bytes_per_s)
    assert found == pytest.approx(165.15e12 / 1008e9)


def test_pipelined_tokens() -> None:
    """Eight stages of 17.5 ms: eight micro-batches in flight still take 140 ms a token each, not more."""
    assert pipelined_step_time_s(0.14, 0.0175, micro_batches=8) == pytest.approx(0.14)
    assert pipelined_step_time_s(0.14, 0.0175, micro_batches=16) == pytest.approx(0.28)


def test_layers_over_unlike_cards() -> None:
    """30 layers over memory twice as fast and once: 20 to 10, unless the fast card holds 12 only."""
    assert weighted_layers(30, [2.0, 1.0], [99, 99]) == (20, 10)
    assert weighted_layers(30, [2.0, 1.0], [12, 99]) == (12, 18)


def test_attention_of_a_decode_step() -> None:
    """4096 cached tokens of LLaMA-2 70B on 8 cards: each reads one KV head of 128 + 128 numbers."""
    card = device(accelerator("rtx-4090"), "fp16")
    time = forward_time(
        catalogue_model("llama-2-70b"),
        LayerKind("full", "dense"),
        card,
        Shards(tp=8),
        sequences=1,
        new_tokens=1,
        cached_tokens=4095,
        decode=True,
    )
    cache, query = 4096 * 256 * 2, 8 * 256 * 2
    assert float(time.attention_s) == pytest.approx((cache + query) / 1008e9)


def test_prefill_is_bound_by_compute() -> None:
    """2 x N x T over eight cards: the layers' 68.45e9 weights, 2048 tokens, 165.15 TFLOP/s each."""
    found = farthing.infer(
        "llama-2-70b", "1x8:rtx-4090", tp=8, batch_size=1, prompt_tokens=2048, output_tokens=1, ideal=True
    )
    layers = 80 * (2 * 8192 * 8192 + 2 * 8192 * 1024 + 3 * 8192 * 28672)
    bound = 2 * layers * 2048 / (8 * 165.15e12)
    products = next(part.value for part in found.prefill if part.name == "matrix products")
    assert products == pytest.approx(bound, rel=0.01)
    assert found.ttft_s > bound


def test_two_replicas_serve_twice_as_much() -> None:
    one = farthing.infer("llama-2-7b", "1x1:a100-sxm-80gb", batch_size=8)
    two = farthing.infer("llama-2-7b", "1x2:a100-sxm-80gb", tp=1, dp=2, batch_size=16)
    assert two.tpot_s == pytest.approx(one.tpot_s)
    assert two.tokens_per_s == pytest.approx(2 * one.tokens_per_s)
