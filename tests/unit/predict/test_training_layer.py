"""One layer of one micro-batch: what its experts' tokens cross, by hand."""

import pytest

from farthing.catalog import accelerator, model
from farthing.catalog.cluster import parse_cluster
from farthing.predict.device import device
from farthing.predict.training_layer import Parts, Setting, layer_parts
from farthing.records.efficiency import IDEAL
from farthing.records.model import LayerKind
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

CLUSTER = parse_cluster("1x8:h100-sxm")


def parts(**more: object) -> Parts:
    group = CLUSTER.groups[0]
    setting = Setting(
        model=model("mixtral-8x7b"),
        cluster=CLUSTER,
        group=group,
        device=device(accelerator("h100-sxm"), "bf16"),
        workload=TrainingWorkload(sequence_tokens=4096, global_batch_size=8),
        plan=TrainingPlan(dp=8, ep=8, expert_tp=1),
        efficiency=IDEAL,
        weight_size=2.0,
        gradient_size=2.0,
        launch_s=0.0,
        **more,  # type: ignore[arg-type]
    )
    return layer_parts(setting, LayerKind("full", "moe"))


def test_a_token_visits_a_card_once() -> None:
    """Two experts of eight cards are on 8 x (1 - (7/8)^2) = 1.875 cards on average."""
    each, once = parts(), parts(dispatch_once=True)
    assert once.expert_parallel / each.expert_parallel == pytest.approx(1.875 / 2, rel=0.01)


def test_the_total_leaves_out_what_hides() -> None:
    found = parts()
    assert found.total == found.forward + found.backward + found.expert_parallel
