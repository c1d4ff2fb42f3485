"""Gradients and gathered weights: what a pass hides, and what it costs even so."""

import dataclasses

import pytest

from farthing.catalog import accelerator, model
from farthing.catalog.cluster import parse_cluster
from farthing.predict.device import Tiling, device
from farthing.predict.stages import stages
from farthing.predict.training_layer import Parts, Setting
from farthing.predict.training_traffic import (
    data_parallel_axes,
    data_parallel_time_s,
    free_passes_s,
    stage_collectives_s,
)
from farthing.records.efficiency import IDEAL
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

CLUSTER = parse_cluster("1x8:a100-sxm-80gb")


def traffic_s(busy_s: float, units: int) -> float:
    card = dataclasses.replace(device(accelerator("a100-sxm-80gb"), "bf16"), tiling=Tiling(units=units))
    setting = Setting(
        model=model("llama-2-7b"),
        cluster=CLUSTER,
        group=CLUSTER.groups[0],
        device=card,
        workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
        plan=TrainingPlan(dp=8, zero_stage=1),
        efficiency=IDEAL,
        weight_size=2.0,
        gradient_size=2.0,
        launch_s=0.0,
    )
    parts = Parts(forward=busy_s, backward=busy_s)
    stage = stages(setting.model, 1)[0]
    collectives = stage_collectives_s(setting, data_parallel_axes(setting), stage)
    return float(data_parallel_time_s(setting, collectives, free_passes_s(parts), 1))


def test_hidden_collectives_take_units_from_the_products() -> None:
    """16 of 108 units carry the channels of a collective while it runs."""
    alone = traffic_s(0.0, 108)
    assert traffic_s(10.0, 0) == 0
    assert traffic_s(10.0, 108) == pytest.approx(alone * 16 / 108)


def test_nothing_hides_behind_nothing() -> None:
    assert traffic_s(0.0, 108) == traffic_s(0.0, 0) > 0
