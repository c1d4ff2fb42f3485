"""LLaMA-2 70B by hand: the memory of training and serving it, with 70e9 parameters taken round."""

from __future__ import annotations

import math

import pytest

import farthing
from farthing.catalog import model as catalogue_model
from farthing.predict.kv_cache import kv_bytes_per_token, kv_cache_bytes
from farthing.predict.memory import (
    accelerators_needed,
    gpt_activation_bytes,
    gradient_bytes,
    optimizer_bytes,
    weight_bytes,
)
from farthing.predict.parameters import total_parameters
from farthing.predict.work import training_flop
from farthing.records.model import LayerKind
from farthing.units import GIGA

PARAMETERS = 70e9
KIND = LayerKind("full", "dense")


def test_states_of_training() -> None:
    assert weight_bytes(PARAMETERS) == 140 * GIGA
    assert gradient_bytes(PARAMETERS) == 140 * GIGA
    assert optimizer_bytes(PARAMETERS) == 840 * GIGA


def test_activations_of_training() -> None:
    """s b h L (10 + 24) = 4096 x 8 x 8192 x 80 x 34 bytes."""
    found = gpt_activation_bytes(4096, 8, 8192, 80)
    assert found == 4096 * 8 * 8192 * 80 * 34
    assert found / GIGA == pytest.approx(730, abs=0.5)


def test_cards_that_hold_it() -> None:
    """Weights, gradients and optimizer, 1120 GB, with and without 730 GB of activations, on 80 GB cards."""
    states = weight_bytes(PARAMETERS) + gradient_bytes(PARAMETERS) + optimizer_bytes(PARAMETERS)
    assert states == 1120 * GIGA
    activations = gpt_activation_bytes(4096, 8, 8192, 80)
    assert accelerators_needed(states + activations, 80 * GIGA) == 24
    assert accelerators_needed(states + activations, 24 * GIGA) == 78


def test_key_value_cache() -> None:
    """Batch 8, 4096 tokens: 80 layers x 2 x 8192 x 2 byte as MHA; 8 of 64 heads are kept as GQA."""
    model = catalogue_model("llama-2-70b")
    as_mha = 80 * 2 * 8192 * 2
    assert kv_cache_bytes(8, 4096, bytes_per_token=as_mha) / GIGA == pytest.approx(86, abs=0.2)
    as_gqa = 80 * kv_bytes_per_token(model, KIND)
    assert as_gqa == as_mha / 8 == 320 * 1024
    assert kv_cache_bytes(8, 4096, bytes_per_token=as_gqa) / GIGA == pytest.approx(10.7, abs=0.05)


def test_the_cache_in_an_estimate() -> None:
    """The same 10.7 GB, dealt out over eight cards."""
    found = farthing.infer(
        "llama-2-70b", "1x8:rtx-4090", tp=8, batch_size=8, prompt_tokens=3840, output_tokens=256
    )
    cache = next(part.value for part in found.memory.parts if part.name == "KV cache")
    assert 8 * cache / GIGA == pytest.approx(10.7, abs=0.05)


def test_parameters_by_matrix() -> None:
    layer = 2 * 8192 * 8192 + 2 * 8192 * 1024 + 3 * 8192 * 28672 + 2 * 8192
    whole = 80 * layer + 2 * 32000 * 8192 + 8192
    assert total_parameters(catalogue_model("llama-2-70b")) == whole == 68_976_648_192


def test_work_of_training() -> None:
    """6 x 70e9 x 2e12 FLOP: at 312 TFLOP/s and 44% of it, the 1.7 million GPU hours that Meta printed."""
    hours = training_flop(PARAMETERS, 2e12) / (312e12 * 0.44) / 3600
    assert hours == pytest.approx(1.7e6, rel=0.01)


def test_weights_set_the_pace_of_decode() -> None:
    """Eight RTX 4090 read 1/8 of the layers and of the head each: 17.2 GB at 1008 GB/s."""
    found = farthing.infer(
        "llama-2-70b", "1x8:rtx-4090", tp=8, batch_size=1, context_tokens=1, output_tokens=1, ideal=True
    )
    matrices = 80 * (2 * 8192 * 8192 + 2 * 8192 * 1024 + 3 * 8192 * 28672) + 32000 * 8192
    read_s = matrices * 2 / 8 / 1008e9
    products = next(part.value for part in found.decode if part.name == "matrix products")
    # Activations in and out of each product add a little.
    assert products == pytest.approx(read_s, rel=5e-3)
    assert found.bottleneck == "reading the weights from memory"
    assert math.isclose(sum(part.value for part in found.decode), found.tpot_s)
