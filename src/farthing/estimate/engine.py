"""The engine that usually runs a format on a cluster, where the user names none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from farthing import catalog
from farthing.predict.trace import Number
from farthing.records.engine import Engine
from farthing.records.hardware import Accelerator, Cluster
from farthing.records.plan import InferencePlan

_BY_FAMILY: Final = {
    "gguf-file": "llama.cpp",
    "gguf-tensor": "llama.cpp",
    "mlx": "mlx",
    "exl2": "exllamav2",
    "exl3": "exllamav3",
}
"""Formats that belong to one engine."""


def usual_engine(cluster: Cluster, weight_format: str) -> Engine:
    """The engine that one would take today: the format's own, MLX on a Mac, llama.cpp on processors and on
    unlike cards, and otherwise vLLM.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> usual_engine(parse_cluster("1x8:h100-sxm"), "fp8").id
    'vllm'
    >>> usual_engine(parse_cluster("rtx-4090"), "q4_k_m").id
    'llama.cpp'
    """
    own = _BY_FAMILY.get(catalog.number_format(weight_format).family, "")
    cards = [group.accelerator for group in cluster.groups]
    if not own and all(card.vendor == "Apple" for card in cards):
        own = "mlx"
    vllm = catalog.engine("vllm")
    servers = all(runs_on(vllm, card) and card.kind in ("gpu", "tpu", "npu") for card in cards)
    if own:
        return catalog.engine(own)
    return vllm if servers and not cluster.is_mixed else catalog.engine("llama.cpp")


def runs_on(engine: Engine, card: Accelerator) -> bool:
    """Whether an engine runs on an accelerator: by its vendor, and by what its requirements leave out.

    Examples
    --------
    >>> vllm = catalog.engine("vllm")
    >>> [runs_on(vllm, catalog.accelerator(name)) for name in ("t4", "p100-pcie-16gb", "m2-ultra")]
    [True, False, False]
    """
    known = not engine.vendors or card.vendor.lower() in engine.vendors.lower()
    return known and card.architecture not in engine.unsupported.split()


def chosen_note(engine: Engine) -> str:
    """What an estimate says of an engine that nobody named.

    Examples
    --------
    >>> chosen_note(catalog.engine("vllm"))
    'no engine named: taken to run on vLLM, as is usual'
    """
    return f"no engine named: taken to run on {engine.name}, as is usual"


def with_engine(plan: InferencePlan, cluster: Cluster) -> tuple[InferencePlan, tuple[str, ...]]:
    """A plan on the engine that it names, else on the usual one, and what is assumed then.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> plan, notes = with_engine(InferencePlan(), parse_cluster("rtx-4090"))
    >>> plan.engine, notes
    ('vllm', ('no engine named: taken to run on vLLM, as is usual',))
    """
    if plan.engine:
        return plan, ()
    engine = usual_engine(cluster, plan.weight_format)
    return replace(plan, engine=engine.id), (chosen_note(engine),)


def refusals(engine: Engine, cluster: Cluster, plan: InferencePlan) -> Iterator[tuple[str, Number]]:
    """What an engine cannot do in words, and whether a plan, or which plans of a column, ask for it.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> plan = InferencePlan(tp=2, weight_format="q4_k_m")
    >>> found = refusals(catalog.engine("tgi"), parse_cluster("1x2:rtx-4090"), plan)
    >>> [words for words, asked in found if asked]
    ['Text Generation Inference 3.3 does not load q4_k_m weights']
    """
    if not engine.id:
        return
    name = f"{engine.name} {engine.version}".strip()
    for size, able, what in (
        (plan.tp, engine.tensor_parallel, "tensor parallelism"),
        (plan.pp, engine.pipeline_parallel, "pipeline parallelism"),
        (plan.ep, engine.expert_parallel, "expert parallelism"),
    ):
        if not able:
            yield f"{name} has no {what}", size > 1
    if engine.expert_parallel and not engine.data_parallel:
        yield f"{name} has no experts that replicas share", plan.ep > plan.tp
    if not catalog.wiring(engine.id).cuts_across_hosts:
        within = max(group.accelerators_per_host for group in cluster.groups)
        yield f"{name} cuts a layer only within a host", plan.tp > within
    if engine.weight_formats:
        loads = plan.weight_format in engine.weight_formats.split()
        yield f"{name} does not load {plan.weight_format} weights", not loads
    if engine.kv_formats and catalog.number_format(plan.kv_format).bits < 16:
        keeps = plan.kv_format in engine.kv_formats.split()
        yield f"{name} has no KV cache in {plan.kv_format}", not keeps
    if cluster.is_mixed and not engine.mixed_accelerators:
        yield f"{name} does not run one model on unlike cards", plan.tp * plan.pp > 1
    for group in cluster.groups:
        runs = runs_on(engine, group.accelerator)
        yield f"{engine.name} does not run on {group.accelerator.name}", not runs
