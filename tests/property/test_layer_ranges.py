"""The best layer ranges are the best of all that small clusters allow, by `farthing.infer` for every one."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

import farthing
from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.records.estimate import InferenceEstimate
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.search import InferenceObjective
from farthing.records.wiring import Wiring
from farthing.records.workload import InferenceWorkload
from farthing.search.layer_ranges import best_layer_ranges
from farthing.units import GIB

CARDS = ("rtx-4090", "rtx-3060", "a100-sxm-80gb", "m2-ultra", "mi300x", "v100-sxm-32gb", "rtx-2060")
NETWORKS = ("1gbe", "10gbe", "25gbe", "ib-ndr")
ENGINES = ("", "llama.cpp", "exo", "petals", "vllm")
OLD_RELAY = Wiring(
    id="old", hops="relay", tensor_bytes=304, mask_rows=32, answered_calls=5, logits_return=True
)
REMOTE = Wiring(id="remote", hops="remote", tensor_bytes=304, mask_rows=64, answered_calls=1)


class Case(NamedTuple):
    """What is asked."""

    model: Model
    cluster: Cluster
    workload: InferenceWorkload
    plan: InferencePlan
    objective: InferenceObjective
    wiring: Wiring | None
    stages: int
    rearrange: bool


def model(layers: int, size_bytes: float, kind: str, **fields: Any) -> Model:
    """A model of that size in 16 bits, whose layers are alike, or of two kinds."""
    hidden, experts = 4096, 16
    inner = max(int(size_bytes / layers / 2 / 3 / hidden), 4096)
    if kind == "window":
        fields |= {"mixer_pattern": "wwf", "window": 512}
    if kind == "moe":
        fields |= {"ffn_pattern": "m", "dense_layers": 1, "experts": experts, "experts_per_token": 2}
        fields |= {"moe_ffn_hidden": max(inner // experts, 128)}
    return Model(
        id="random",
        layers=layers,
        hidden=hidden,
        heads=32,
        kv_heads=8,
        head_dim=128,
        max_context=32768,
        ffn_hidden=inner,
        **fields,
    )


@st.composite
def cases(draw: DrawFn) -> Case:
    cards = draw(st.lists(st.sampled_from(CARDS), min_size=2, max_size=3, unique=True))
    tp = draw(st.sampled_from((1, 1, 2)))
    shapes = [(1, tp)] * len(cards)
    if len(cards) == 2 and tp == 1:
        shapes[draw(st.integers(0, 1))] = draw(st.sampled_from(((1, 1), (1, 2), (2, 1), (1, 3))))
    cluster = parse_cluster(
        "+".join(
            f"{hosts}x{count}:{card}@{draw(st.sampled_from(NETWORKS))}"
            for (hosts, count), card in zip(shapes, cards, strict=True)
        )
    )
    # Cards of like size: most models need several.
    cluster = dataclasses.replace(
        cluster,
        groups=tuple(
            dataclasses.replace(
                group,
                accelerator=dataclasses.replace(
                    group.accelerator, memory_bytes=draw(st.sampled_from((12, 16, 24))) * GIB
                ),
            )
            for group in cluster.groups
        ),
    )
    memory_bytes = sum(group.count * group.accelerator.memory_bytes for group in cluster.groups)
    batch = draw(st.sampled_from((1, 2, 3, 64)))
    return Case(
        model=model(
            draw(st.integers(4, {2: 10, 3: 6, 4: 5}[cluster.count // tp])),
            memory_bytes * draw(st.sampled_from((0.1, 0.3, 0.4, 0.5, 0.6, 0.7))),
            draw(st.sampled_from(("plain", "window", "moe"))),
            # Large heads and embeddings make the ends of the chain unlike its middle.
            vocab=draw(st.sampled_from((32000, 256000))),
            tied_embeddings=draw(st.booleans()),
        ),
        cluster=cluster,
        workload=InferenceWorkload(
            batch_size=batch,
            prompt_tokens=1000,
            output_tokens=100,
            draft_tokens=draw(st.sampled_from((0, 0, 3))),
        ),
        plan=InferencePlan(
            tp=tp,
            engine=draw(st.sampled_from(ENGINES)),
            micro_batches=draw(st.sampled_from((0, 0, 1))),
            chunk_tokens=draw(st.sampled_from((0, 256))),
            overlap_communication=draw(st.sampled_from((0.0, 0.5))),
        ),
        objective=draw(st.sampled_from(("tpot", "tokens-per-s", "ttft", "memory"))),
        wiring=draw(st.sampled_from((None, None, OLD_RELAY, REMOTE))),
        stages=draw(st.sampled_from((0, 0, 0, 1, 2))),
        rearrange=draw(st.sampled_from((True, True, False))),
    )


def chains(cluster: Cluster, tp: int) -> Iterator[tuple[Cluster, int]]:
    """The cluster in every order of its machines, those of a group together, and how many stages use them."""
    for used in range(1, len(cluster.groups) + 1):
        for order in itertools.permutations(cluster.groups, used):
            waiting = [group for group in cluster.groups if group not in order]
            for hosts in itertools.product(*(range(1, group.hosts + 1) for group in order[:-1])):
                pairs = list(zip(order, hosts, strict=False))
                serving = [dataclasses.replace(group, hosts=number) for group, number in pairs]
                rest = [dataclasses.replace(g, hosts=g.hosts - n) for g, n in pairs if g.hosts > n]
                before = sum(group.count // tp for group in serving)
                for stages in range(before + 1, before + order[-1].count // tp + 1):
                    groups = (*serving, order[-1], *rest, *waiting)
                    yield dataclasses.replace(cluster, groups=groups), stages


def as_it_is(cluster: Cluster, tp: int) -> Iterator[tuple[Cluster, int]]:
    """The cluster with each number of stages."""
    for stages in range(1, cluster.count // tp + 1):
        yield cluster, stages


def answers(case: Case, plan: InferencePlan) -> Iterator[InferenceEstimate]:
    """The estimate of every cut on every chain."""
    layers = case.model.layers
    for cluster, stages in (
        chains(case.cluster, plan.tp) if case.rearrange else as_it_is(case.cluster, plan.tp)
    ):
        if case.stages not in (0, stages):
            continue
        for marks in itertools.combinations(range(1, layers), stages - 1):
            cut = tuple(end - start for start, end in itertools.pairwise((0, *marks, layers)))
            split = dataclasses.replace(plan, pp=stages, stage_layers=cut)
            yield farthing.infer(case.model, cluster, workload=case.workload, plan=split)


def value(objective: str, found: InferenceEstimate) -> float:
    if objective == "memory":
        return -found.memory.free_bytes
    return found.ttft_s if objective == "ttft" else found.tpot_s


@settings(max_examples=100)
@given(case=cases())
def test_no_cut_is_better(case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if case.wiring is not None:
            patch.setattr(catalog, "wiring", lambda engine: case.wiring)
        found = best_layer_ranges(
            case.model,
            case.cluster,
            case.workload,
            case.plan,
            objective=case.objective,
            stages=case.stages,
            rearrange=case.rearrange,
        )
        own = farthing.infer(case.model, found.cluster, workload=case.workload, plan=found.plan)
        every = list(answers(case, dataclasses.replace(case.plan, engine=found.plan.engine)))
    fitting = [value(case.objective, one) for one in every if one.fits]
    assert found.fits == own.fits == bool(fitting)
    if fitting:
        assert found.value == pytest.approx(value(case.objective, own), rel=1e-9)
        assert found.value == pytest.approx(min(fitting), rel=1e-9)
    else:
        assert found.value == math.inf
        assert found.missing_bytes > 0
