"""What one card holds."""

import pytest

from farthing.catalog import model
from farthing.predict.parameters import layer_parameters
from farthing.predict.sharding import (
    expert_tp_of,
    head_copy_parameters,
    layer_shard_parameters,
    stage_lora_parameters,
    stage_parameters,
)
from farthing.predict.stages import stages
from farthing.records.model import LayerKind
from farthing.records.plan import TrainingPlan

FULL = LayerKind("full", "dense")


def test_key_and_value_heads_stay_whole() -> None:
    shape = model("llama-2-70b")
    key_value = layer_parameters(shape, FULL).key_value
    eight, sixteen = (layer_shard_parameters(shape, FULL, tp=tp)[0] for tp in (8, 16))
    norms = 2 * 8192
    rest = layer_parameters(shape, FULL).total - key_value - norms
    assert eight == rest / 8 + key_value / 8 + norms
    assert sixteen == rest / 16 + key_value / 8 + norms


def test_experts_are_dealt_out() -> None:
    shape = model("mixtral-8x7b")
    kind = LayerKind("full", "moe")
    routed = 8 * 3 * 4096 * 14336
    for groups, width in ((1, 1), (8, 1), (4, 2)):
        found = layer_shard_parameters(shape, kind, tp=1, expert_groups=groups, expert_tp=width)[1]
        assert found == routed / (groups * width)


def test_expert_tensor_parallelism_follows_tp() -> None:
    assert expert_tp_of(TrainingPlan(tp=8)) == 8
    assert expert_tp_of(TrainingPlan(tp=8, expert_tp=2)) == 2


def test_heads() -> None:
    tied, untied = model("gpt-2-124m"), model("llama-2-7b")
    assert [head_copy_parameters(tied, pp) for pp in (1, 4)] == [0, 50257 * 768]
    assert [head_copy_parameters(untied, pp) for pp in (1, 4)] == [32000 * 4096] * 2


def test_ends_of_the_pipeline_are_heavier() -> None:
    shape = model("llama-2-70b")
    first, middle, last = (stage_parameters(shape, s, tp=1, pp=8)[0] for s in stages(shape, 8))
    assert first - middle == 32000 * 8192
    assert last - middle == 32000 * 8192 + 8192


def test_adapters_of_a_stage() -> None:
    shape = model("llama-2-7b")
    whole, none = stage_lora_parameters(shape, stages(shape, 1)[0], rank=8, tp=1)
    assert none == 0
    parts = [s.copies * stage_lora_parameters(shape, s, rank=8, tp=2)[0] for s in stages(shape, 4)]
    assert sum(parts) * 2 == pytest.approx(whole)


def test_adapters_of_experts_go_where_the_experts_go() -> None:
    shape = model("mixtral-8x7b")
    stage = stages(shape, 1)[0]
    shared, experts = stage_lora_parameters(shape, stage, rank=8, tp=2)
    fewer = stage_lora_parameters(shape, stage, rank=8, tp=2, expert_groups=4, expert_tp=2)
    assert fewer == (shared, experts / 8)
