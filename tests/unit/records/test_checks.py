"""Records refuse numbers that make no sense, and say which."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from farthing.catalog import accelerator, link
from farthing.catalog import model as catalogue_model
from farthing.catalog.cluster import parse_cluster
from farthing.errors import InvalidInput
from farthing.records.hardware import Cluster, HostGroup
from farthing.records.model import LayerKind, Model
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.workload import InferenceWorkload, TrainingWorkload


def small(**changes: Any) -> Model:
    fields: dict[str, Any] = {
        "id": "small",
        "layers": 4,
        "hidden": 256,
        "heads": 4,
        "kv_heads": 2,
        "head_dim": 64,
        "vocab": 1000,
        "max_context": 512,
        "ffn_hidden": 1024,
    }
    return Model(**fields | changes)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"layers": 0}, "layers"),
        ({"hidden": 0}, "hidden"),
        ({"vocab": -1}, "vocab"),
        ({"heads": 0}, "heads"),
        ({"kv_heads": 3}, "kv_heads"),
        ({"ffn_hidden": 0}, "ffn_hidden"),
        ({"mixer_pattern": "w"}, "window"),
        ({"mixer_pattern": "l"}, "linear_kind"),
        ({"mixer_pattern": "x"}, "mixer_pattern"),
        ({"ffn_pattern": ""}, "ffn_pattern"),
        ({"ffn_pattern": "m"}, "experts"),
        ({"ffn_pattern": "m", "experts": 8, "experts_per_token": 9}, "experts_per_token"),
        ({"ffn_pattern": "m", "experts": 8, "experts_per_token": 2}, "moe_ffn_hidden"),
    ],
)
def test_models(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        small(**changes)


def test_layer_kinds_follow_the_patterns() -> None:
    model = small(layers=5, mixer_pattern="wwf", window=8)
    assert [kind.mixer for kind in model.layer_kinds] == ["window", "window", "full", "window", "window"]
    mixed = small(
        layers=3, ffn_pattern="m", dense_layers=1, experts=8, experts_per_token=2, moe_ffn_hidden=64
    )
    assert mixed.layer_kinds == (
        LayerKind("full", "dense"),
        LayerKind("full", "moe"),
        LayerKind("full", "moe"),
    )
    assert mixed.is_moe
    assert not model.is_moe
    assert model.uses("window")
    assert not model.uses("linear")
    assert catalogue_model("deepseek-v3").is_mla


@pytest.mark.parametrize(
    ("record", "changes", "word"),
    [
        (accelerator("rtx-4090"), {"memory_bytes": 0}, "memory_bytes"),
        (accelerator("rtx-4090"), {"memory_bytes_per_s": float("nan")}, "memory_bytes_per_s"),
        (link("1gbe"), {"bytes_per_s": 0}, "bytes_per_s"),
        (link("1gbe"), {"latency_s": -1}, "latency_s"),
        (link("1gbe"), {"efficiency": 1.5}, "efficiency"),
        (parse_cluster("1x8:rtx-4090").groups[0], {"hosts": 0}, "hosts"),
        (parse_cluster("2x8:rtx-4090@10gbe"), {"network": None}, "network"),
        (parse_cluster("2x8:rtx-4090@10gbe"), {"oversubscription": 0.5}, "oversubscription"),
        (parse_cluster("2x8:rtx-4090@10gbe"), {"groups": ()}, "no hosts"),
        (TrainingPlan(), {"tp": 0}, "tp"),
        (TrainingPlan(), {"micro_batch_size": -1}, "micro_batch_size"),
        (TrainingPlan(), {"zero_stage": 4}, "zero_stage"),
        (TrainingPlan(), {"overlap_data_parallel": 2.0}, "overlap_data_parallel"),
        (InferencePlan(), {"pp": 0}, "pp"),
        (InferencePlan(), {"stage_layers": (0, 2)}, "stage_layers"),
        (InferencePlan(), {"chunk_tokens": -1}, "chunk_tokens"),
        (InferencePlan(), {"overlap_communication": -0.1}, "overlap_communication"),
        (InferenceWorkload(), {"batch_size": 0}, "batch_size"),
        (InferenceWorkload(), {"prefix_share": 1.0}, "prefix_share"),
        (InferenceWorkload(), {"acceptance_rate": 1.1}, "acceptance_rate"),
        (InferenceWorkload(), {"output_tokens": float("inf")}, "output_tokens"),
        (TrainingWorkload(sequence_tokens=1, global_batch_size=1), {"global_batch_size": 0}, "global_batch"),
        (
            TrainingWorkload(sequence_tokens=1, global_batch_size=1),
            {"training_tokens": -1},
            "training_tokens",
        ),
    ],
)
def test_others(record: Any, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        dataclasses.replace(record, **changes)


def test_plans_take_columns() -> None:
    plan = TrainingPlan(tp=np.array([1, 2, 4]), pp=np.array([4, 2, 1]))
    assert (plan.tp * plan.pp == 4).all()


def test_contexts_of_a_load() -> None:
    load = InferenceWorkload(prompt_tokens=1000, output_tokens=200)
    assert load.decode_context_tokens == 1100
    assert load.longest_context_tokens == 1200
    fixed = InferenceWorkload(prompt_tokens=1000, output_tokens=200, context_tokens=4096)
    assert fixed.decode_context_tokens == fixed.longest_context_tokens == 4096


def test_cluster_counts() -> None:
    cluster = parse_cluster("1x2:rtx-4090+2x1:m2-ultra@1gbe")
    assert (cluster.hosts, cluster.count, cluster.is_mixed) == (3, 4, True)
    assert [group.count for group in cluster.groups] == [2, 2]
    like = Cluster(
        name="alike",
        groups=(
            HostGroup(
                hosts=1, accelerators_per_host=4, accelerator=accelerator("t4"), intra_link=link("pcie3-x16")
            ),
        ),
    )
    assert not like.is_mixed
