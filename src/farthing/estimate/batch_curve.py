"""What a plan does with batches of other sizes, all of them evaluated at once."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import numpy as np

from farthing.estimate.cost import CostBasis, ways
from farthing.estimate.figures import Figures, figures
from farthing.estimate.inference import largest_sizes
from farthing.estimate.run import Run, check, run_of
from farthing.estimate.subject import subject
from farthing.records.batch_point import BatchPoint
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

LARGEST: Final = 1 << 16
"""Larger batches are not tried: where nothing is cached, memory bounds them hardly at all."""


def batch_curve(
    model: Model,
    cluster: Cluster,
    workload: InferenceWorkload,
    plan: InferencePlan,
    *,
    basis: CostBasis,
    ideal: bool = False,
) -> tuple[BatchPoint, ...]:
    """The estimate's figures for each of several batches, the smaller ones first.

    Parameters
    ----------
    model, cluster, workload, plan
        A complete plan, as `infer_estimate` takes it.
    basis
        How money is counted.
    ideal
        Paper arithmetic.

    Raises
    ------
    InvalidInput
        A plan that the cluster or the model cannot follow.
    """
    check(model, cluster, workload, plan)
    about = subject(
        model,
        cluster,
        weight_format=plan.weight_format,
        compute_format=plan.compute_format,
        kv_format=plan.kv_format,
        dense_format=plan.dense_format,
        engine=plan.engine,
        ideal=ideal,
    )
    least = plan.dp * max(plan.micro_batches, 1)
    smallest = run_of(about, dataclasses.replace(workload, batch_size=least), plan)
    most = min(largest_sizes(smallest, smallest.memory())[0], LARGEST)
    batches = np.array(batch_sizes(least, most, workload.batch_size))
    run = run_of(about, workload, plan, batches)
    return _points(run, figures(run, basis), basis)


def batch_sizes(least: int, most: int, asked: int) -> tuple[int, ...]:
    """Doubled from the smallest one to the largest, and the one that is asked about.

    Examples
    --------
    >>> batch_sizes(2, 40, 12)
    (2, 4, 8, 12, 16, 32, 40)
    >>> batch_sizes(2, 0, 12)
    (12,)
    """
    found = {asked}
    if most >= least:
        found.add(most)
    while least <= most:
        found.add(least)
        least *= 2
    return tuple(sorted(found))


def _points(run: Run, found: Figures, basis: CostBasis) -> tuple[BatchPoint, ...]:
    batches = np.asarray(run.batch_size)

    def column(values: Any) -> list[Any]:
        """One value for each batch: what does not depend on it is the same for all."""
        listed: list[Any] = np.broadcast_to(values, batches.shape).tolist()
        return listed

    price: Any = None
    for way in ways(run.about.cluster, basis):
        if np.all(way.usd_per_s(found.power_w) > 0):
            price = way.usd_per_million_tokens(found.power_w, found.paid_tokens_per_s)
            break
    columns = {
        "batch_size": column(batches),
        "fits": column(np.asarray(found.memory.free_bytes) >= 0),
        "memory_bytes": column(found.memory.total_bytes),
        "ttft_s": column(found.ttft_s),
        "batch_prefill_s": column(found.batch_prefill_s),
        "tpot_s": column(found.tpot_s),
        "tokens_per_s": column(found.tokens_per_s),
        "served_tokens_per_s": column(found.served_tokens_per_s),
        "requests_per_s": column(found.requests_per_s),
        "usd_per_million_tokens": column(price),
    }
    rows = zip(*columns.values(), strict=True)
    return tuple(BatchPoint(**dict(zip(columns, row, strict=True))) for row in rows)
