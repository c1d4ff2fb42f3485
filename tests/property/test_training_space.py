"""The space of training plans: every plan is counted once, legal, and unlike all others."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import given as examples
from hypothesis import strategies as st
from tests.unit.search.training_plans import pieces

from farthing.errors import InvalidInput
from farthing.estimate.training import training_run
from farthing.records.workload import TrainingWorkload
from farthing.search.training_space import training_space

CHOICES: dict[str, tuple[Any, ...]] = {
    "tp": (1, 2, [1, 2], [2, 2, 4]),
    "pp": (1, 2, [1, 4]),
    "cp": (1, 2, [1, 2]),
    "ep": (1, 2, [1, 2, 8], [2, 2]),
    "expert_tp": (0, 1, [0, 1, 2]),
    "micro_batch_size": (1, 2, [1, 3]),
    "zero_stage": (0, 3, [1, 2], [0, 3, 0]),
    "sequence_parallel": (True, False, [False, True]),
    "schedule": ("1f1b", "interleaved", "zero-bubble", ["interleaved", "gpipe"]),
    "interleave": (1, 2, [1, 2], [2, 3]),
    "first_spared": (0, 1, [0, 1]),
    "last_spared": (0, 2, [1, 0]),
    "recompute": ("none", "full", ["selective", "none"], ["full", "operations"]),
    "recompute_share": (0.5, 1.0, [0.5, 1.0]),
    "recompute_layers": (1, 2, [1, 2]),
    "rank_order": ("tp-cp-dp-pp", "tp-cp-pp-dp"),
    "offload": ("none", ["none", "optimizer"], "optimizer+weights"),
    "offload_to": ("memory", "nvme", ["memory", "nvme"]),
    "flash_attention": (True, False, [True, False]),
    "compute_format": ("bf16", ["bf16", "fp16"]),
}
"""What may be given: values, lists, and values twice."""

CONTRADICTIONS = ("interleav", "goes with recompute=full", "leaves no layer")
"""Of messages about values that do not go together."""


@st.composite
def questions(draw: st.DrawFn, models: Any, clusters: Any) -> tuple[Any, ...]:
    model = dataclasses.replace(draw(models), layers=draw(st.sampled_from((1, 2, 3, 4, 6))))
    cluster = draw(clusters.filter(lambda one: one.count <= 16))
    workload = TrainingWorkload(
        sequence_tokens=draw(st.sampled_from((512, 513, 1000, 1026))),
        global_batch_size=draw(st.sampled_from((1, 2, 6, 8))),
    )
    names = draw(st.lists(st.sampled_from(list(CHOICES)), max_size=6, unique=True))
    if not model.is_moe:
        names = [name for name in names if name not in ("ep", "expert_tp")]
    given = {name: draw(st.sampled_from(CHOICES[name])) for name in names}
    # Few plans, so that each can be looked at.
    given.setdefault("zero_stage", draw(st.sampled_from((1, [1, 3]))))
    partly = "recompute_share" in given or "recompute_layers" in given
    words = ("full", ["none", "full"]) if partly else ("none", "full", ["none", "selective"])
    given.setdefault("recompute", draw(st.sampled_from(words)))
    return model, cluster, workload, given


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@examples(data=st.data())
def test_plans_are_counted_legal_and_distinct(models: Any, clusters: Any, data: st.DataObject) -> None:
    model, cluster, workload, given = data.draw(questions(models, clusters))
    try:
        space = training_space(model, cluster, workload, given)
    except InvalidInput as error:
        if not any(words in str(error) for words in CONTRADICTIONS):
            raise
        return
    found = list(pieces(model, cluster, workload, space))
    count = sum(one.found.count for one in found)
    assert space.candidates == count + sum(space.removed.values())
    assert all(number > 0 for number in space.removed.values())
    assert bool(space.rows) == bool(count)
    if count > 20_000:
        return
    every = [plan for one in found for plan, _, _ in one.plans()]
    assert len(every) == len(set(every)) == count
    for plan in data.draw(st.lists(st.sampled_from(every), max_size=10)) if every else ():
        training_run(model, cluster, workload, plan, ideal=False)
        assert plan.tp * plan.pp * plan.cp * plan.dp == cluster.count
        for name, value in given.items():
            allowed = value if isinstance(value, list) else [value]
            kept: Any = getattr(plan, name)
            if name.startswith("recompute_") and plan.recompute != "full":
                continue
            if name == "expert_tp":
                assert (kept or plan.tp) in [size or plan.tp for size in allowed]
                continue
            assert kept in allowed, name
