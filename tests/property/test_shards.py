"""Cards together hold the model: nothing is lost, and nothing counted twice but what is replicated."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from farthing.catalog import models as catalogue
from farthing.predict.device import device
from farthing.predict.inference_memory import inference_memory
from farthing.predict.parameters import layer_parameters, total_parameters
from farthing.predict.placement import places
from farthing.predict.sharding import stage_parameters
from farthing.predict.stages import even_layers, layer_kinds, stages
from farthing.predict.training_memory import MemorySizes, training_memory
from farthing.records.efficiency import IDEAL
from farthing.records.plan import InferencePlan


def whole(model: Any, tp: int, pp: int, expert_groups: int = 1, expert_tp: int = 1) -> float:
    """Parameters on all cards of one replica, what they replicate counted once."""
    total = 0.0
    for stage in stages(model, pp):
        shared, experts = stage_parameters(
            model, stage, tp=tp, pp=pp, expert_groups=expert_groups, expert_tp=expert_tp
        )
        total += stage.copies * (tp * shared + expert_groups * expert_tp * experts)
    for kind, count in ((kind, model.layer_kinds.count(kind)) for kind in layer_kinds(model)):
        held = layer_parameters(model, kind)
        kv_heads = (model.window_kv_heads if kind.mixer == "window" else 0) or max(model.kv_heads, 1)
        total -= count * ((tp - 1) * held.replicated + (max(tp / kv_heads, 1) - 1) * held.key_value)
    final_norm = model.hidden * (2 if model.norm == "layernorm" else 1)
    second_head = model.vocab * model.hidden if model.tied_embeddings and pp > 1 else 0
    return total - (tp - 1) * final_norm - second_head


@given(data=st.data())
def test_shards_sum_to_the_model(models: Any, data: st.DataObject) -> None:
    model = data.draw(models)
    tp = data.draw(st.sampled_from([size for size in (1, 2, 4, 8) if model.heads % size == 0]))
    pp = data.draw(st.integers(1, model.layers))
    groups, width = data.draw(st.sampled_from([(1, 1), (1, tp), (4, 1), (8, tp), (2, 2)]))
    found = whole(model, tp, pp, groups, width)
    assert found == pytest.approx(total_parameters(model), rel=1e-12)


@pytest.mark.parametrize("name", sorted(name for name, m in catalogue().items() if not m.embedding_hidden))
def test_catalogue_models_sum_too(name: str) -> None:
    model = catalogue()[name]
    for tp, pp in ((1, 1), (1, model.layers), (2, 1)):
        assert whole(model, tp, pp) == pytest.approx(total_parameters(model), rel=1e-12)


@given(st.integers(1, 200), st.data())
def test_layers_are_dealt_out_evenly(layers: int, data: st.DataObject) -> None:
    pp = data.draw(st.integers(1, layers))
    counts = even_layers(layers, pp)
    assert len(counts) == pp
    assert sum(counts) == layers
    assert max(counts) - min(counts) <= 1


def plain(case: Any, **changes: Any) -> Any:
    """The memory of a case with other sizes, no formats and no communicators in play."""
    plan = dataclasses.replace(case.plan, ep=1, expert_tp=0, interleave=1, schedule="1f1b", **changes)
    return training_memory(case.model, case.workload, plan, MemorySizes(kind="tpu"))


def never_rises(totals: list[float]) -> bool:
    return all(after <= before * (1 + 1e-12) for before, after in itertools.pairwise(totals))


@given(data=st.data())
def test_memory_never_rises_with_tensor_parallelism(training_cases: Any, data: st.DataObject) -> None:
    case = data.draw(training_cases)
    sizes = [size for size in (1, 2, 4, 8, 16, 32) if case.model.heads % size == 0]
    assert never_rises([plain(case, tp=tp).total_bytes for tp in sizes])
    # With one stage the fullest card stays the same: each part falls by itself.
    for field in ("weight_bytes", "gradient_bytes", "optimizer_bytes", "activation_peak_bytes"):
        assert never_rises([getattr(plain(case, tp=tp, pp=1), field) for tp in sizes]), field


@given(data=st.data())
def test_memory_never_rises_with_stages(training_cases: Any, data: st.DataObject) -> None:
    """For like layers, dealt out without a rest: what a stage saves in layers it keeps in flight."""
    case = data.draw(training_cases)
    assume(len(layer_kinds(case.model)) == 1)
    sizes = [size for size in (1, 2, 4, 8, 16, 32) if case.model.layers % size == 0]
    assert never_rises([plain(case, pp=pp).total_bytes for pp in sizes])


@given(data=st.data())
def test_states_never_rise_with_the_zero_stage(training_cases: Any, data: st.DataObject) -> None:
    case = data.draw(training_cases)
    found = [plain(case, zero_stage=stage) for stage in range(4)]
    assert never_rises([m.weight_bytes + m.gradient_bytes + m.optimizer_bytes for m in found])
    assert never_rises([m.total_bytes for m in found[:3]])
    # Stage 3 gathers two layers at a time, and embedding and head: with more layers it still saves.
    ends = 2 * case.model.vocab * case.model.hidden
    layer = (total_parameters(case.model) - ends) / case.model.layers
    if case.model.layers >= 8 * case.plan.pp and ends <= layer and len(layer_kinds(case.model)) == 1:
        assert never_rises([m.total_bytes for m in found])


@given(data=st.data())
def test_states_never_rise_with_data_parallelism(training_cases: Any, data: st.DataObject) -> None:
    """What ZeRO shards, it shards over more."""
    case = data.draw(training_cases)
    workload = dataclasses.replace(case.workload, global_batch_size=case.plan.micro_batch_size * 64)
    for stage in range(4):
        case = case._replace(workload=workload)
        found = [plain(case, pp=1, dp=dp, zero_stage=stage) for dp in (1, 2, 4, 8, 16)]
        assert never_rises([m.weight_bytes + m.gradient_bytes + m.optimizer_bytes for m in found])


@given(data=st.data())
def test_serving_memory_never_rises_with_more_cards(inference_cases: Any, data: st.DataObject) -> None:
    case = data.draw(inference_cases)
    group = case.cluster.groups[0]
    card = device(group.accelerator, "bf16")

    def total(tp: int, pp: int) -> float:
        plan = InferencePlan(tp=tp, pp=pp)
        placed = places(case.model, case.cluster, plan, [card], [IDEAL])
        return float(
            inference_memory(
                case.model, placed, plan, sequences=8, context_tokens=1024, step_tokens=512
            ).total_bytes
        )

    for pp in (1, min(2, case.model.layers)):
        sizes = [size for size in (1, 2, 4, 8, 16, 32) if case.model.heads % size == 0]
        assert never_rises([total(tp, pp) for tp in sizes])
    assert never_rises([total(2, pp) for pp in (1, 2, 4, 8, 32) if case.model.layers % pp == 0])
