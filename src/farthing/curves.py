"""The front door's closer looks at a plan: what other batches would do, which stage holds what and when."""

from __future__ import annotations

from farthing.estimate.batch_curve import batch_curve as _batch_curve
from farthing.estimate.cost import CostBasis
from farthing.estimate.engine import with_engine
from farthing.estimate.step_timeline import step_timeline as _step_timeline
from farthing.estimate.subject import resolve_cluster, resolve_model
from farthing.estimate.training import memory_use, training_run
from farthing.records.batch_point import BatchPoint
from farthing.records.estimate import MemoryUse
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.step_timeline import StepTimeline
from farthing.records.workload import InferenceWorkload, TrainingWorkload


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


def stage_memory(
    model: str | Model,
    cluster: str | Cluster,
    *,
    workload: TrainingWorkload,
    plan: TrainingPlan,
    ideal: bool = False,
) -> tuple[MemoryUse, ...]:
    """What a card of each pipeline stage holds in training; `train` says it of the fullest alone.

    Parameters
    ----------
    model, cluster, ideal
        As in `train`.
    workload, plan
        Records, such as those of an estimate.

    Returns
    -------
    tuple of MemoryUse
        In the order of the stages.

    Raises
    ------
    InvalidInput
        Unknown names, a split that the model or cluster does not allow.

    Examples
    --------
    >>> from farthing import api
    >>> found = api.train("llama-2-70b", "4x8:h100-sxm@ib-ndr", tp=8, pp=4, global_batch_size=64)
    >>> stages = stage_memory("llama-2-70b", "4x8:h100-sxm@ib-ndr", workload=found.workload, plan=found.plan)
    >>> len(stages), max(stage.total_bytes for stage in stages) == found.memory.total_bytes
    (4, True)
    """
    run = training_run(resolve_model(model), resolve_cluster(cluster), workload, plan, ideal=ideal)
    return tuple(memory_use(memory, run.capacity_bytes) for memory in run.stage_memories())


def step_timeline(
    model: str | Model,
    cluster: str | Cluster,
    *,
    workload: TrainingWorkload,
    plan: TrainingPlan,
    ideal: bool = False,
) -> StepTimeline:
    """One training step pass by pass: what each pipeline stage computes when, and when it waits.

    Parameters
    ----------
    model, cluster, ideal
        As in `train`.
    workload, plan
        Records, such as those of an estimate.

    Returns
    -------
    StepTimeline
        Played with the estimate's own times of the stages.

    Raises
    ------
    InvalidInput
        Unknown names, a split that the model or cluster does not allow.

    Examples
    --------
    >>> from farthing import api
    >>> found = api.train("llama-2-70b", "4x8:h100-sxm@ib-ndr", tp=8, pp=4, global_batch_size=16)
    >>> step = step_timeline("llama-2-70b", "4x8:h100-sxm@ib-ndr", workload=found.workload, plan=found.plan)
    >>> step.boxes[0].kind, abs(step.step_s / found.step_s - 1) < 0.03
    ('forward', True)
    """
    run = training_run(resolve_model(model), resolve_cluster(cluster), workload, plan, ideal=ideal)
    return _step_timeline(run)
