"""NVLink bridges between cards that have slots alone, where a row states them."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from farthing import catalog
from farthing.records.hardware import Cluster

BRIDGES: Final = (
    (r"h200-nvl", "nvlink-bridge-h200-nvl"),
    (r"h100-(?:nvl|pcie)", "nvlink-bridge-h100-pcie"),
    (r"a100-pcie.*", "nvlink-bridge-a100-pcie"),
    (r"rtx-a6000", "nvlink-bridge-a6000"),
    (r"rtx-3090", "nvlink-bridge-3090"),
    (r"rtx-2080-ti|quadro-rtx-[68]000", "nvlink-bridge-turing"),
)
"""Cards and the catalogue's bridge of them."""


def bridged(cluster: Cluster, text: str) -> Cluster:
    """The cluster, with a bridge between the cards of a host where a source says that there is one.

    A bridge joins two or four cards; a split over more of them than that is taken as one over the bridge too.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> pair = parse_cluster("1x2:rtx-3090")
    >>> [bridged(pair, text).groups[0].intra_link.id for text in ("NVLink bridge", "PCIe 4.0, no NVLink")]
    ['nvlink-bridge-3090', 'pcie4-x16']
    """
    lowered = text.lower()
    if "nvlink" not in lowered or re.search(r"\b(?:no|without) nvlink", lowered):
        return cluster
    groups = []
    for group in cluster.groups:
        card = group.accelerator.id
        bridge = next((id for pattern, id in BRIDGES if re.fullmatch(pattern, card)), "")
        links = catalog.links()
        change = {"intra_link": links[bridge], "host_copy": False} if bridge else {}
        groups.append(dataclasses.replace(group, **change))  # type: ignore[arg-type]
    return dataclasses.replace(cluster, groups=tuple(groups))
