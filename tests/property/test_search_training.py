"""The training search finds what a plain loop over single estimates finds, on small problems."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import farthing
from farthing.errors import InvalidInput
from farthing.estimate.cost import CostBasis
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.search import Limits
from farthing.records.workload import TrainingWorkload
from farthing.search.training import search_training

WORDS: dict[str, tuple[Any, ...]] = {
    "zero_stage": (0, 1, 2, 3),
    "sequence_parallel": (False, True),
    "schedule": ("1f1b", "gpipe", "zero-bubble", "interleaved"),
    "recompute": ("none", "selective", "operations", "full"),
    "offload": ("none", "optimizer", "optimizer+weights"),
    "rank_order": ("tp-cp-dp-pp", "tp-cp-pp-dp"),
}
MOST = 120
"""Plans that a loop may evaluate for one problem."""


def legal(model: Model, workload: TrainingWorkload, plan: TrainingPlan) -> bool:
    """What Megatron-Core and torchtitan refuse beyond what an estimate does."""
    expert_tp = plan.expert_tp or plan.tp
    chunks = plan.pp * plan.interleave
    tokens = workload.sequence_tokens
    return (
        model.ffn_hidden % plan.tp == 0
        and (not model.is_moe or model.moe_ffn_hidden % expert_tp == 0)
        and (plan.cp == 1 or tokens % (2 * plan.cp) == 0)
        and (plan.tp == 1 or not plan.sequence_parallel or tokens // plan.cp % plan.tp == 0)
        and (plan.interleave == 1 or model.layers % chunks == 0 or (model.layers + 2) % chunks == 0)
        and (plan.schedule != "interleaved" or (plan.interleave > 1 and plan.pp > 1))
    )


def sizes(cards: int, model: Model, batch: int) -> Iterator[dict[str, int]]:
    """All products of so many cards, with every micro-batch and expert size."""
    every = range(1, cards + 1)
    for tp, pp, cp, dp in itertools.product(every, repeat=4):
        if tp * pp * cp * dp != cards or batch % dp:
            continue
        pairs = itertools.product(range(1, model.experts + 1), range(1, tp + 1)) if model.is_moe else [(1, 0)]
        for ep, expert_tp in pairs:
            if expert_tp and tp % expert_tp:
                continue
            for size in range(1, batch // dp + 1):
                yield {
                    "tp": tp,
                    "pp": pp,
                    "cp": cp,
                    "dp": dp,
                    "ep": ep,
                    "expert_tp": expert_tp,
                    "micro_batch_size": size,
                }


def ways(model: Model, pp: int, words: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a choice of words leaves open: virtual stages, spared layers, how much is computed again."""
    deepest = math.ceil(model.layers / pp)
    pipelines = [{"interleave": v} for v in range(2, model.layers + 3)]
    if words["schedule"] != "interleaved":
        pipelines = [{"first_spared": a, "last_spared": b} for a, b in ((0, 0), (0, 1), (1, 1))]
    again: list[dict[str, Any]] = [{}]
    if words["recompute"] == "full":
        again = [{"recompute_share": count / deepest} for count in range(1, deepest)]
        again += [{"recompute_layers": size} for size in range(1, deepest + 1) if deepest % size == 0]
    for pipeline, part in itertools.product(pipelines, again):
        yield pipeline | part


def plans(
    model: Model,
    workload: TrainingWorkload,
    chosen: list[dict[str, int]],
    allowed: dict[str, tuple[Any, ...]],
) -> Iterator[TrainingPlan]:
    """Every plan of some sizes that a loop over all values finds, before an estimate refuses some."""
    for one in chosen:
        for values in itertools.product(*allowed.values()):
            words = dict(zip(allowed, values, strict=True))
            for way in ways(model, one["pp"], words):
                plan = TrainingPlan(**one, **words, **way)
                if legal(model, workload, plan):
                    yield plan


@settings(
    max_examples=200,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_same_optimum_as_a_loop(models: Any, clusters: Any, data: st.DataObject) -> None:
    model = dataclasses.replace(data.draw(models), layers=data.draw(st.sampled_from((1, 2, 3, 4, 6))))
    if model.is_moe:
        model = dataclasses.replace(model, experts=8, experts_per_token=2)
    cluster = data.draw(clusters.filter(lambda one: one.count <= 8))
    workload = TrainingWorkload(
        sequence_tokens=data.draw(st.sampled_from((512, 1000, 4096))),
        global_batch_size=data.draw(st.sampled_from((1, 2, 4, 6))),
        training_tokens=1e9,
        lora_rank=data.draw(st.sampled_from((0, 0, 8))),
    )
    # A few values of a few words keep the loop short.
    allowed = {name: (data.draw(st.sampled_from(values)),) for name, values in WORDS.items()}
    for name in data.draw(st.lists(st.sampled_from(list(WORDS)), max_size=2, unique=True)):
        allowed[name] = tuple(dict.fromkeys((*allowed[name], data.draw(st.sampled_from(WORDS[name])))))
    flash = data.draw(st.booleans())
    candidates, chosen = list(sizes(cluster.count, model, workload.global_batch_size)), {}
    for name in data.draw(st.permutations(("micro_batch_size", "tp", "pp", "ep", "expert_tp", "cp"))):
        every = list(itertools.islice(plans(model, workload, candidates, allowed), MOST + 1))
        if len(every) <= MOST:
            break
        # Fix one size after the other until few plans are left.
        chosen[name] = data.draw(st.sampled_from(sorted({one[name] for one in candidates})))
        candidates = [one for one in candidates if one[name] == chosen[name]]
    every = list(plans(model, workload, candidates, allowed))
    basis = CostBasis(usd_per_accelerator_hour=1.0, usd_per_accelerator=5000.0)
    objective = data.draw(st.sampled_from(("step", "memory", "usd", "energy")))
    limits = Limits(headroom_share=data.draw(st.sampled_from((0.0, 0.2))))
    best, fitting = math.inf, 0
    for plan in every:
        try:
            one = farthing.train(
                model,
                cluster,
                workload=workload,
                plan=dataclasses.replace(plan, flash_attention=flash),
                cost=basis,
            )
        except InvalidInput:
            continue
        if one.fits and one.memory.free_bytes >= limits.headroom_share * one.memory.capacity_bytes:
            fitting += 1
            value = {
                "step": one.step_s,
                "memory": one.memory.total_bytes,
                "usd": min(cost.usd_per_million_tokens for cost in one.costs),
                "energy": one.power_w * one.step_s,
            }[objective]
            best = min(best, value)
    if objective == "energy" and not all(group.accelerator.tdp_w for group in cluster.groups):
        return
    try:
        answer = search_training(
            model,
            cluster,
            workload,
            {**{name: list(values) for name, values in allowed.items()}, **chosen, "flash_attention": flash},
            objective=objective,
            limits=limits,
            basis=basis,
        ).result
    except InvalidInput:
        assert fitting == 0
        return
    if not answer.best:
        assert fitting == 0
        return
    assert answer.best[0].training is not None
    assert answer.best[0].training.accelerators == cluster.count or not fitting
    if fitting:
        figure = {
            "step": "step_s",
            "memory": "memory_bytes",
            "usd": "usd_per_million_tokens",
            "energy": "energy_j",
        }
        assert answer.best[0].figures[figure[objective]] == pytest.approx(best, rel=1e-9)
