"""The front door's closer looks at a plan: what other batches would do, which stage holds what and when."""

from __future__ import annotations

from farthing.estimate.batch_curve import batch_curve as _batch_curve
from farthing.estimate.cost import CostBasis
from farthing.estimate.engine import with_engine
from farthing.estimate.subject import resolve_cluster, resolve_model
from farthing.records.batch_point import BatchPoint
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload


def batch_curve(
    model: str | Model,
    cluster: str | Cluster,
    *,
    workload: InferenceWorkload,
    plan: InferencePlan,
    cost: CostBasis | None = None,
    ideal: bool = False,
) -> tuple[BatchPoint, ...]:
    """Throughput, latency and price of a plan over the batch: what `infer` says of each size, all at once.

    Parameters
    ----------
    model, cluster, cost, ideal
        As in `infer`.
    workload, plan
        Records, such as those of an estimate.

    Returns
    -------
    tuple of BatchPoint
        Batches doubled from the smallest that the plan allows to the largest that fits, and the workload's
        own, which may not fit; the smaller ones first.

    Raises
    ------
    InvalidInput
        Unknown names, a split that the model or cluster does not allow.

    Examples
    --------
    >>> from farthing import api
    >>> found = api.infer("llama-3.1-8b", "rtx-4090", weight_format="fp8", batch_size=12)
    >>> curve = batch_curve("llama-3.1-8b", "rtx-4090", workload=found.workload, plan=found.plan)
    >>> [point.batch_size for point in curve][:6], curve[-1].batch_size == found.largest_batch_size
    ([1, 2, 4, 8, 12, 16], True)
    >>> curve[4].tpot_s == found.tpot_s, curve[0].tpot_s < curve[-1].tpot_s
    (True, True)
    """
    shape, machines = resolve_model(model), resolve_cluster(cluster)
    split = plan if ideal else with_engine(plan, machines)[0]
    return _batch_curve(shape, machines, workload, split, basis=cost or CostBasis(), ideal=ideal)
