"""The engine that usually runs a format on a cluster, where the user names none."""

from __future__ import annotations

from typing import Final

from farthing import catalog
from farthing.records.engine import Engine
from farthing.records.hardware import Cluster

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
    servers = all(
        card.vendor in vllm.vendors.split() and card.kind in ("gpu", "tpu", "npu") for card in cards
    )
    if own:
        return catalog.engine(own)
    return vllm if servers and not cluster.is_mixed else catalog.engine("llama.cpp")


def chosen_note(engine: Engine) -> str:
    """What an estimate says of an engine that nobody named.

    Examples
    --------
    >>> chosen_note(catalog.engine("vllm"))
    'no engine named: taken to run on vLLM, as is usual'
    """
    return f"no engine named: taken to run on {engine.name}, as is usual"
