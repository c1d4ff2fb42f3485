"""One formula serves one plan and a column of them: a column's rows equal the scalars."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from farthing.catalog import efficiency
from farthing.predict.device import device
from farthing.predict.inference import step_time
from farthing.predict.inference_memory import inference_memory
from farthing.predict.placement import places
from farthing.predict.training import training_time
from farthing.predict.training_memory import training_memory
from farthing.records.engine_efficiency import NO_OVERHEAD
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.workload import TrainingWorkload

SIZES = ("tp", "pp", "dp", "ep", "micro_batch_size")


def splits(model: Any, cluster: Any, most: int = 40) -> list[dict[str, int]]:
    """Ways to use all cards, tensor x pipeline x data x expert parallel, with two micro-batch sizes."""
    powers = [2**n for n in range(8)]
    found = [
        dict(zip(SIZES, (tp, pp, dp, ep, size), strict=True))
        for tp, pp, dp in itertools.product(powers, repeat=3)
        if tp * pp * dp == cluster.count and model.heads % tp == 0 and pp <= model.layers
        for ep in powers
        if ep == 1 or (model.is_moe and model.experts % ep == 0 and dp * tp % (ep * tp) == 0)
        for size in (1, 2)
    ]
    return found[:most]


def columns(rows: list[dict[str, int]], names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The rows as one column a size."""
    return {name: np.array([row[name] for row in rows]) for name in names}


def compare(column: Any, scalars: list[Any]) -> None:
    """Each field of a result against the results of single plans."""
    for field in dataclasses.fields(column):
        expected = np.array([float(getattr(one, field.name)) for one in scalars])
        found = np.broadcast_to(np.asarray(getattr(column, field.name), dtype=float), expected.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0, err_msg=field.name)


@settings(max_examples=100)
@given(data=st.data())
def test_training_columns(models: Any, clusters: Any, data: st.DataObject) -> None:
    model, cluster = data.draw(models), data.draw(clusters)
    rows = splits(model, cluster)
    assume(len(rows) > 1)
    words = {
        "recompute": data.draw(st.sampled_from(("none", "selective", "full"))),
        "schedule": data.draw(st.sampled_from(("1f1b", "gpipe", "zero-bubble"))),
        "zero_stage": data.draw(st.sampled_from((0, 1, 2, 3))),
        "flash_attention": data.draw(st.booleans()),
        "sequence_parallel": data.draw(st.booleans()),
        "offload": data.draw(st.sampled_from(("none", "optimizer", "optimizer+weights"))),
    }
    workload = TrainingWorkload(
        sequence_tokens=1024,
        global_batch_size=cluster.count * 4,
        lora_rank=data.draw(st.sampled_from((0, 8))),
    )
    group = cluster.groups[0]
    constants = efficiency(group.accelerator)
    card = device(group.accelerator, "bf16", constants)

    def both(plan: TrainingPlan) -> tuple[Any, Any]:
        time = training_time(
            model,
            cluster,
            group,
            card,
            workload,
            plan,
            efficiency=constants,
            card_to_host_bytes_per_s=20e9,
            host_bytes_per_s=50e9,
        )
        return time, training_memory(model, workload, plan)

    time, memory = both(TrainingPlan(**columns(rows, SIZES), **words))  # type: ignore[arg-type]
    scalars = [both(TrainingPlan(**row, **words)) for row in rows]  # type: ignore[arg-type]
    compare(time, [one[0] for one in scalars])
    compare(memory, [one[1] for one in scalars])


@settings(max_examples=100)
@given(data=st.data())
def test_inference_columns(models: Any, clusters: Any, data: st.DataObject) -> None:
    model, cluster = data.draw(models), data.draw(clusters)
    rows = [row for row in splits(model, cluster) if row["micro_batch_size"] == 1]
    assume(len(rows) > 1)
    decode = data.draw(st.booleans())
    group = cluster.groups[0]
    constants = efficiency(group.accelerator)
    card = device(group.accelerator, "bf16", constants)
    batch = cluster.count * 2

    def both(plan: InferencePlan) -> tuple[Any, Any]:
        placed = places(model, cluster, plan, [card], [constants])
        step = step_time(
            model,
            cluster,
            placed,
            plan,
            sequences=batch / plan.dp,
            new_tokens=1 if decode else 512,
            cached_tokens=700,
            decode=decode,
            weight_bytes=0.5,
            engine=dataclasses.replace(NO_OVERHEAD, step_s=1e-3),
        )
        memory = inference_memory(
            model,
            placed,
            plan,
            sequences=batch / plan.dp,
            context_tokens=1212,
            step_tokens=512,
            weight_size=0.5,
        )
        return step, memory

    sizes = ("tp", "pp", "dp", "ep")
    step, memory = both(InferencePlan(**columns(rows, sizes)))
    scalars = [both(InferencePlan(**{name: row[name] for name in sizes})) for row in rows]
    compare(step, [one[0] for one in scalars])
    compare(memory, [one[1] for one in scalars])


@pytest.mark.parametrize("interleave", [1, 2])
def test_context_and_interleave_columns(interleave: int) -> None:
    """Sizes that the random plans leave at 1."""
    from farthing.catalog import model as named_model
    from farthing.catalog.cluster import parse_cluster

    model, cluster = named_model("llama-2-7b"), parse_cluster("4x8:h100-sxm@ib-ndr")
    group = cluster.groups[0]
    card = device(group.accelerator, "bf16")
    workload = TrainingWorkload(sequence_tokens=8192, global_batch_size=32)
    rows = [(1, 4, 8), (2, 4, 4), (4, 4, 2), (8, 4, 1)]
    plan = TrainingPlan(
        cp=np.array([cp for cp, _, _ in rows]),
        pp=np.array([pp for _, pp, _ in rows]),
        dp=np.array([dp for _, _, dp in rows]),
        interleave=np.full(len(rows), interleave),
        schedule="interleaved",
    )
    singles = [
        TrainingPlan(cp=cp, pp=pp, dp=dp, interleave=interleave, schedule="interleaved")
        for cp, pp, dp in rows
    ]
    compare(
        training_time(model, cluster, group, card, workload, plan),
        [training_time(model, cluster, group, card, workload, one) for one in singles],
    )
    compare(
        training_memory(model, workload, plan), [training_memory(model, workload, one) for one in singles]
    )
