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
from farthing.estimate.likeness import serving_likeness, slowest
from farthing.estimate.run import run_of
from farthing.estimate.subject import Subject, cuts_heads, subject
from farthing.evidence.cluster_setup import engine_named, machines_of, model_named, repacked, weight_format
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
PROMPT: Final = "prefill_tokens_per_s"
PROMPT_CHUNK: Final = {"llama.cpp": 512}
"""Tokens of one pass of a prompt, where an engine's default is small."""

USUAL_CONTEXT: Final = 64
"""Where a row does not say how far its sequence has got: benchmarks of slow machines are short."""

HIDDEN: Final = {("distributed-llama", "0.3"): 3 / 8}
"""Share of its exchanges that a version reports as computing: gathers of queries, keys and values, in 0.3."""

_UNKNOWN: Final = (
    (r"computed|upper bound", "computed, not measured"),
    (r"speculation|lookahead", "drafted tokens of unknown acceptance"),
    (r"up to'", "a claim of a most, not a measurement"),
    (r"cpu experts|cpu offload|gpu layers", "the processor and the cards share the work"),
)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a row ran; ``hidden_share`` of the exchanges' time the program counts as computing."""

    about: Subject
    plan: InferencePlan
    batch: float
    context: float
    hidden_share: float = 0.0

    @property
    def simple_s(self) -> float:
        """Of a step: reading the weights that one card holds, or that all hold in turn."""
        about = self.about
        slowest = min(group.accelerator.memory_bytes_per_s for group in about.cluster.groups)
        read = active_parameters(about.model) * about.weights.bytes_per_element
        return float(np.asarray(read / self.plan.tp / slowest))

    @property
    def simple_prompt_s(self) -> float:
        """Of a prompt: computing it at the peak of the slowest card."""
        peak = min(card.matmul_flop_per_s for card in self.about.devices)
        return float(2 * active_parameters(self.about.model) * self.context / peak / self.plan.tp)

    def prompt_s(self) -> float:
        """Time of a prompt as long as the context."""
        chunk = PROMPT_CHUNK.get(self.plan.engine, 0)
        load = InferenceWorkload(batch_size=1, prompt_tokens=int(self.context), output_tokens=0)
        run = run_of(self.about, load, dataclasses.replace(self.plan, chunk_tokens=chunk))
        return float(np.asarray(run.prefill(1)[1]))

    def step(self) -> StepTime:
        """Time of one decode step."""
        run = run_of(self.about, InferenceWorkload(batch_size=int(self.batch)), self.plan)
        return run.step(self.batch, 1, max(self.context - 1, 0), decode=True)


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
    prompt = metric == PROMPT and case.cells.get("context", "").isdigit()
    if metric not in (*RATES, "ms_per_token", "ms_compute_per_token", "ms_transfer_per_token") and not prompt:
        raise FarthingError("the length of the sequences is not stated")
    setup = setup_of(case)
    plan, cluster = setup.plan, setup.about.cluster
    simple_s, batch = setup.simple_s, setup.batch
    likeness = serving_likeness(
        "prefill" if prompt else "decode",
        engine=plan.engine,
        card=slowest(setup.about),
        cards=plan.tp * plan.pp,
        tp=plan.tp,
        per_host=cluster.groups[0].accelerators_per_host,
        batch_size=batch,
    )
    if prompt:
        return setup.context / setup.prompt_s(), setup.context / setup.simple_prompt_s, likeness
    if metric == "ms_transfer_per_token":
        if plan.tp == 1:
            raise FarthingError("one machine exchanges nothing")
        simple_s = _kilobytes(setup.about.model, plan, setup.about.wiring) * 1024 / _line_rate(cluster)
    time_s = part_s(setup, metric)
    if metric in RATES:
        return batch / time_s, batch / simple_s, likeness
    return time_s * 1e3, simple_s * 1e3, likeness


def part_s(setup: Setup, metric: str) -> float:
    """The part of a step that a metric times [s]."""
    step = setup.step()
    hidden = setup.hidden_share * step.communication_s
    if metric == "ms_transfer_per_token":
        return float(np.asarray(step.communication_s - hidden))
    if metric == "ms_compute_per_token":
        computed = step.matmul_s + step.attention_s + step.elementwise_s + step.overhead_s
        return float(np.asarray(computed + hidden))
    return float(np.asarray(step.total_s))


def setup_of(case: Case) -> Setup:
    """What a row ran.

    Raises
    ------
    FarthingError
        The row does not tell, or the catalogue does not know.
    """
    model = model_named(case)
    engine, version = engine_named(case)
    cluster = machines_of(case, model)
    tp, pp = _split(case.cells.get("parallelism", "").lower(), model, cluster)
    weights, dense = repacked(model, weight_format(case, model, engine), engine)
    plan = InferencePlan(tp=tp, pp=pp, weight_format=weights, dense_format=dense, engine=engine)
    context = number(case, "context") if case.cells.get("context", "").isdigit() else USUAL_CONTEXT
    batch = number(case, "batch") if case.cells.get("batch", "").isdigit() else 1.0
    about = subject(
        model,
        cluster,
        weight_format=plan.weight_format,
        dense_format=plan.dense_format,
        compute_format="",
        kv_format="fp16",
        engine=engine,
    )
    wiring = catalog.wiring(engine, version)
    if wiring.hops == "relay" and re.search(r"no (part|gpu)\b", case.cells.get("hardware", "").lower()):
        wiring = dataclasses.replace(wiring, hops="remote")
    hidden = HIDDEN.get((engine, version), 0.0)
    return Setup(dataclasses.replace(about, wiring=wiring), plan, batch, context, hidden)


def _split(parallelism: str, model: Model, cluster: Cluster) -> tuple[int, int]:
    cards = cluster.count
    if cards == 1:
        return 1, 1
    # exo cuts layers apart where RDMA makes that pay, and the heads allow it.
    tensor = "tensor" in parallelism or "row split" in parallelism or "rdma" in parallelism
    if tensor and not cluster.is_mixed and cuts_heads(model, cards):
        return cards, 1
    return 1, min(cards, model.layers)


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
    return float(elements * (plan.tp - 1) * wiring.exchange_bits / 8 / 1024)


def _line_rate(cluster: Cluster) -> float:
    return cluster.network.bytes_per_s if cluster.network else cluster.groups[0].intra_link.bytes_per_s
