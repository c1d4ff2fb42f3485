"""Work that a model owes, however it is run."""

import pytest

from farthing.catalog import model
from farthing.predict.work import forward_flop, layer_flop_per_token, mfu, model_flop, training_flop
from farthing.records.model import LayerKind


def test_rules_of_thumb() -> None:
    assert forward_flop(7e9, 10) == 140e9
    assert training_flop(7e9, 10) == 3 * forward_flop(7e9, 10)
    assert mfu(100, 2, peak_flop_per_s=50, accelerators=4) == 0.25


def test_a_dense_layer() -> None:
    """Two per parameter, and 2 x 4096 x 64 x 256 for the square of attention."""
    matrices = 2 * 8192 * 8192 + 2 * 8192 * 1024 + 3 * 8192 * 28672
    found = layer_flop_per_token(model("llama-2-70b"), LayerKind("full", "dense"), 4096)
    assert found == 2 * matrices + 2 * 4096 * 64 * 256


def test_only_active_experts_work() -> None:
    found = layer_flop_per_token(model("mixtral-8x7b"), LayerKind("full", "moe"), 0)
    attention, router = 2 * 4096 * 4096 + 2 * 4096 * 1024, 4096 * 8
    assert found == 2 * (attention + router + 2 * 3 * 4096 * 14336)


def test_windows_cap_the_square() -> None:
    gemma, kind = model("gemma-3-27b"), LayerKind("window", "dense")
    at_window, beyond = (layer_flop_per_token(gemma, kind, n) for n in (gemma.window, 10 * gemma.window))
    assert at_window == beyond


def test_a_step_is_near_six_per_parameter() -> None:
    shape = model("llama-2-7b")
    assert model_flop(shape, 1000, 1) == pytest.approx(6 * 6.6e9 * 1000, rel=0.01)
    assert model_flop(shape, 2000, 4096) == 2 * model_flop(shape, 1000, 4096)


def test_predictors_work_too() -> None:
    """A layer with its experts, twice the hidden state joined, and the head once more."""
    shape = model("deepseek-v3")
    more = model_flop(shape, 1, 4096, predictors=1) - model_flop(shape, 1, 4096)
    layer = layer_flop_per_token(shape, LayerKind("full", "moe"), 4096)
    assert more == pytest.approx(3 * (layer + 2 * 2 * 7168 * 7168 + 2 * 129280 * 7168))
