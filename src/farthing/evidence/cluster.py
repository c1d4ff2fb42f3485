"""One model over several machines on slow links, held against published measurements."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from farthing import catalog
from farthing.errors import FarthingError
from farthing.estimate.inference import run_of
from farthing.estimate.subject import cuts_heads, subject
from farthing.evidence.cluster_setup import engine_named, machines_of, model_named, weight_format
from farthing.evidence.outcome import compared, number, refused
from farthing.predict.inference import StepTime
from farthing.predict.parameters import active_parameters
from farthing.predict.rooted import rooted_elements
from farthing.records.comparison import Case, Comparison, Likeness
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.wiring import Wiring
from farthing.records.workload import InferenceWorkload

GROUP: Final = "cluster over slow links"
PARTS: Final = "cluster, parts of a step"
RATES: Final = ("decode_tokens_per_s", "decode_steps_per_s")
USUAL_CONTEXT: Final = 64
"""Where a row does not say how far its sequence has got: benchmarks of slow machines are short."""

_UNKNOWN: Final = (
    (r"computed|upper bound", "computed, not measured"),
    (r"speculation|lookahead", "drafted tokens of unknown acceptance"),
    (r"up to'", "a claim of a most, not a measurement"),
    (r"cpu experts|cpu offload|gpu layers", "the processor and the cards share the work"),
)


@dataclass(frozen=True, slots=True)
class _Setup:
    """What ran, and its time of a step."""

    model: Model
    cluster: Cluster
    plan: InferencePlan
    wiring: Wiring
    step: StepTime
    simple_s: float


def compare(cases: Sequence[Case]) -> list[Comparison]:
    """The prediction of each row, or the reason why there is none."""
    return [_compare(case) for case in cases]


def _compare(case: Case) -> Comparison:
    metric = case.cells.get("metric", "")
    group = PARTS if metric.startswith(("ms_compute", "ms_transfer", "kB")) else GROUP
    measured = math.nan
    try:
        measured = number(case, "value")
        if not measured > 0:
            raise FarthingError("the value is missing")
        predicted, simple, likeness = _predicted(case, metric)
    except FarthingError as error:
        return refused(case, metric, measured, str(error), group=group)
    return compared(
        case,
        metric,
        measured,
        predicted,
        simple=simple,
        group=group,
        likeness=likeness,
        rate=metric.endswith("_per_s"),
    )


def _predicted(case: Case, metric: str) -> tuple[float, float, Likeness]:
    text = " ".join(case.cells.get(name, "") for name in ("hardware", "parallelism", "notes")).lower()
    for pattern, reason in _UNKNOWN:
        if re.search(pattern, text):
            raise FarthingError(reason)
    if metric == "kB_transferred_per_token":
        return _traffic(case)
    if metric not in (*RATES, "ms_per_token", "ms_compute_per_token", "ms_transfer_per_token"):
        raise FarthingError("the length of the sequences is not stated")
    setup = _setup(case)
    step, plan = setup.step, setup.plan
    batch = number(case, "batch") if case.cells.get("batch", "").isdigit() else 1.0
    likeness = Likeness(
        what="decode",
        engine=plan.engine,
        hardware=setup.cluster.groups[0].accelerator.architecture,
        regime="one card" if plan.tp * plan.pp == 1 else "tensor parallel" if plan.tp > 1 else "pipeline",
    )
    if metric == "ms_transfer_per_token":
        if plan.tp == 1:
            raise FarthingError("one machine exchanges nothing")
        ideal = _kilobytes(setup.model, plan, setup.wiring) * 1024 / _line_rate(setup.cluster)
        return _milliseconds(step.communication_s), max(ideal, 1e-9) * 1e3, likeness
    whole = step.total_s
    if metric == "ms_compute_per_token":
        whole = step.matmul_s + step.attention_s + step.elementwise_s + step.overhead_s
    if metric in RATES:
        return batch / float(whole), batch / setup.simple_s, likeness
    return _milliseconds(whole), setup.simple_s * 1e3, likeness


def _setup(case: Case) -> _Setup:
    model = model_named(case)
    engine, version = engine_named(case)
    cluster = machines_of(case, model)
    plan = InferencePlan(
        weight_format=weight_format(case, model, engine),
        engine=engine,
        **_split(case.cells.get("parallelism", "").lower(), model, cluster),
    )
    context = number(case, "context") if case.cells.get("context", "").isdigit() else USUAL_CONTEXT
    batch = number(case, "batch") if case.cells.get("batch", "").isdigit() else 1.0
    about = subject(
        model,
        cluster,
        weight_format=plan.weight_format,
        compute_format="",
        kv_format="fp16",
        engine=engine,
    )
    if version:
        about = dataclasses.replace(about, wiring=catalog.wiring(engine, version))
    run = run_of(about, InferenceWorkload(batch_size=int(batch)), plan)
    step = run.step(batch, 1, max(context - 1, 0), decode=True)
    read = active_parameters(model) * about.weights.bytes_per_element / plan.tp
    slowest = min(group.accelerator.memory_bytes_per_s for group in cluster.groups)
    return _Setup(model, cluster, plan, about.wiring, step, read / slowest)


def _split(parallelism: str, model: Model, cluster: Cluster) -> dict[str, int]:
    cards = cluster.count
    if cards == 1:
        return {"tp": 1, "pp": 1}
    # exo cuts layers apart where RDMA makes that pay, and the heads allow it.
    tensor = "tensor" in parallelism or "row split" in parallelism or "rdma" in parallelism
    if tensor and not cluster.is_mixed and cuts_heads(model, cards):
        return {"tp": cards, "pp": 1}
    return {"tp": 1, "pp": min(cards, model.layers)}


def _traffic(case: Case) -> tuple[float, float, Likeness]:
    model = model_named(case)
    engine, version = engine_named(case)
    nodes = number(case, "n_nodes")
    if engine != "distributed-llama" or not nodes > 1:
        raise FarthingError("no count of the bytes of this engine")
    wiring = catalog.wiring(engine, version or "0.1")
    plan = InferencePlan(tp=int(nodes), engine=engine)
    bits = 32.0 if "f32 sync" in case.cells.get("quant", "").lower() else wiring.exchange_bits
    predicted = _kilobytes(model, plan, wiring) * bits / wiring.exchange_bits
    simple = (nodes - 1) * 4 * model.hidden * model.layers * bits / 8 / 1024
    return predicted, simple, Likeness(what="traffic", engine=engine, regime="tensor parallel")


def _kilobytes(model: Model, plan: InferencePlan, wiring: Wiring) -> float:
    """KiB that the whole cluster exchanges for a token."""
    elements = sum(
        float(np.asarray(rooted_elements(model, kind, plan.tp - 1, slices=wiring.exchange == "slices")))
        for kind in model.layer_kinds
    )
    return elements * (plan.tp - 1) * wiring.exchange_bits / 8 / 1024


def _line_rate(cluster: Cluster) -> float:
    return cluster.network.bytes_per_s if cluster.network else cluster.groups[0].intra_link.bytes_per_s


def _milliseconds(time_s: object) -> float:
    return float(np.asarray(time_s)) * 1e3
