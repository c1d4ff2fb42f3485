"""Columns of plans give what one estimate of each plan gives."""

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import Any

import numpy as np
import pytest
from tests.unit.search.training_plans import pieces

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.estimate.training import training_run
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload
from farthing.search.training_columns import BLOCK, blocks
from farthing.search.training_space import TrainingSpace, training_space

PLANS = 200
"""That are estimated one by one in each case."""


def described(name: str, host: str) -> Cluster:
    """A cluster whose hosts are of the catalogue."""
    cluster = parse_cluster(name)
    groups = tuple(dataclasses.replace(group, host=catalog.hosts()[host]) for group in cluster.groups)
    return dataclasses.replace(cluster, groups=groups)


CASES: dict[str, tuple[str, str | Cluster, dict[str, Any], dict[str, Any]]] = {
    "dense": ("llama-3.1-8b", "2x8:h100-sxm@ib-ndr", {}, {}),
    "pipelines of unlike stages": ("gpt-3-6.7b", "4x4:a100-sxm-80gb@ib-hdr", {}, {"tp": [1, 2]}),
    "mixture": ("mixtral-8x7b", "2x8:h100-sxm@ib-ndr", {}, {"pp": [1, 4]}),
    "mixture after dense layers": ("deepseek-v2-lite", "1x8:h100-sxm", {}, {"cp": 1}),
    "tied embeddings": ("llama-3.2-1b", "1x8:a100-sxm-80gb", {}, {}),
    "hybrid": ("nemotron-3-nano-4b", "1x4:h100-sxm", {}, {}),
    "compiled": ("llama-3.2-1b", "1x8:h100-sxm", {}, {"engine": "torchtitan"}),
    "slow launches": ("gpt-2-124m", "1x8:h100-sxm", {"sequence_tokens": 512}, {"engine": "deepspeed"}),
    "slow launches of a mixture": (
        "deepseek-v2-lite",
        "1x8:h100-sxm",
        {"sequence_tokens": 256},
        {"engine": "megatron-deepspeed", "zero_stage": [1, 3]},
    ),
    "stored scores": ("gpt-2-124m", "1x4:rtx-4090", {"sequence_tokens": 1024}, {"flash_attention": False}),
    "adapters": ("llama-2-7b", "1x8:rtx-4090", {"lora_rank": 16}, {"weight_format": "bnb-nf4"}),
    "predictors": ("llama-3.2-1b", "1x4:h100-sxm", {"predictors": 2}, {}),
    "offload to drives": ("llama-2-7b", "1x4:rtx-3090", {}, {"offload_to": "nvme"}),
    "described hosts": ("llama-2-7b", described("1x8:a100-sxm-80gb", "dgx-a100"), {}, {"pp": [1, 2]}),
    "unlike cards": ("llama-2-7b", "1x4:a100-sxm-80gb+1x4:v100-sxm-32gb@ib-hdr", {}, {}),
    "one card": ("gpt-2-355m", "1x1:rtx-4090", {"sequence_tokens": 1024}, {}),
    "joined hosts": ("llama-2-13b", "8x4:gb200@ib-ndr", {"global_batch_size": 64}, {"cp": 1}),
    "8-bit products": ("llama-3.1-8b", "1x8:h100-sxm", {}, {"compute_format": "fp8", "engine": "torchtitan"}),
    "another optimizer": ("llama-3.2-1b", "1x4:h100-sxm", {"optimizer": "muon"}, {"gradient_format": "fp32"}),
    "overlap": (
        "llama-2-7b",
        "2x4:a100-sxm-80gb@25gbe",
        {},
        {"overlap_tensor_parallel": 0.7, "overlap_data_parallel": 0.5, "loss_chunks": 4},
    ),
}


def setup(case: str) -> tuple[Model, Cluster, TrainingWorkload, TrainingSpace]:
    name, machines, load, given = CASES[case]
    cluster = parse_cluster(machines) if isinstance(machines, str) else machines
    workload = TrainingWorkload(**{"sequence_tokens": 4096, "global_batch_size": 32} | load)
    model = catalog.model(name)
    return model, cluster, workload, training_space(model, cluster, workload, given)


@pytest.mark.parametrize("case", CASES)
def test_columns_equal_single_estimates(case: str) -> None:
    model, cluster, workload, space = setup(case)
    rng = random.Random(case)
    blocks_of = [block for rows in space.rows for block in blocks(rows)]
    some = dataclasses.replace(space, rows=rng.sample(blocks_of, min(len(blocks_of), 3)))
    found = list(pieces(model, cluster, workload, some))
    seen: set[TrainingPlan] = set()
    for piece in rng.choices(found, k=PLANS):
        columns = piece.found
        place, way = (rng.randrange(size) for size in columns.step_s.shape)
        plan = piece.plan(place, way)
        if plan is None:
            continue
        one = training_run(model, cluster, workload, plan, ideal=False)
        time, memory = one.time(), one.memory()
        assert columns.step_s[place, way] == pytest.approx(float(time.step_s), rel=1e-12), plan
        assert columns.total_bytes[place, way] == pytest.approx(float(memory.total_bytes), rel=1e-12), plan
        outside = np.broadcast_to(columns.offloaded_bytes, columns.step_s.shape)[place, way]
        assert outside == pytest.approx(float(memory.offloaded_bytes), rel=1e-12), plan
        seen.add(plan)
    assert len(seen) > PLANS / 3


def test_the_cases_have_every_word() -> None:
    """A column that is wrong for one word alone would be seen."""
    rows = [rows for case in ("dense", "mixture", "stored scores") for rows in setup(case)[-1].rows]
    assert {way.schedule for one in rows for way in one.pipelines} == {
        "1f1b",
        "interleaved",
        "zero-bubble",
        "gpipe",
    }
    assert {way.word for one in rows for way in one.recomputations} == {
        "none",
        "selective",
        "operations",
        "full",
    }
    for name, count in (("zero_stages", 4), ("rank_orders", 2)):
        bits = np.bitwise_or.reduce(np.concatenate([getattr(one, name) for one in rows]))
        assert bits == 2**count - 1
    assert {flag for one in rows for flag in one.sequence_parallel.tolist()} == {True, False}
    assert any((one.expert_tp < one.tp).any() and (one.ep > 1).any() for one in rows)


def test_blocks_are_all_rows_and_fit_the_cache() -> None:
    for rows in setup("mixture")[-1].rows:
        pieces = list(blocks(rows))
        assert sum(map(len, pieces)) == len(rows)
        assert all(len(piece) * len(piece.recomputations) <= BLOCK for piece in pieces)
        assert np.concatenate([piece.tp for piece in pieces]).tolist() == rows.tp.tolist()


def test_a_block_of_many_ways_has_a_row() -> None:
    rows = setup("dense")[-1].rows[0]
    wide = dataclasses.replace(
        rows.part(slice(0, 3)),
        recomputations=tuple(itertools.islice(itertools.cycle(rows.recomputations), BLOCK + 1)),
    )
    assert [len(piece) for piece in blocks(wide)] == [1, 1, 1]


def test_a_described_host_has_room_for_so_much() -> None:
    cluster = setup("described hosts")[1]
    host = cluster.groups[0].host
    assert host is not None
    model, workload = catalog.model("llama-2-7b"), TrainingWorkload(sequence_tokens=4096, global_batch_size=8)
    plan = TrainingPlan(dp=8, offload="optimizer")
    run = training_run(model, cluster, workload, plan, ideal=False)
    assert run.host_room_bytes == host.memory_bytes / 8
    assert run.memory().offloaded_bytes > 0
